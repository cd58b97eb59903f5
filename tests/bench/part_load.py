"""Part h: adverts every 10 ms while the cores are busy, and processes that are stopped for some milliseconds."""

import os
import signal
import time

from lab import now_ns, wait_for
from measure import Load, Ours, Row, Stalls, Steal, median, outside, percentile
from part_takeover import heard, skew_ms
from rig import Rig, Vr

INTERVAL_MS, VIP = 10, "10.1.0.1/16"
DOWN_MS = 3 * INTERVAL_MS + skew_ms(100, INTERVAL_MS)
PAUSES_MS = (5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60)


class Pair:
    """A master and a backup in machines of their own, with a listener."""

    def __init__(self, stack, build):
        self.rig = Rig(build)
        try:
            vrs = [Vr("main", 1, 10, [VIP], advert=INTERVAL_MS / 1000)]
            self.a, self.b, self.tap = stack(self.rig, "a", vrs), stack(self.rig, "b", vrs), self.rig.tap()
            self.a.start()
            wait_for("a to be master", lambda: self.a.holds(VIP), 5)
            self.b.start()
            heard(self.tap, self.a.mac(), 20, 5, now_ns())
        except BaseException:
            self.rig.close()
            raise

    def takeovers(self, since, until=None):
        """When b began to advertise, in ns."""
        stamps = [x.t_ns for x in self.tap.vrrp(since, until, mac=self.b.mac())]
        return [t for i, t in enumerate(stamps) if i == 0 or t - stamps[i - 1] > 5e6 * INTERVAL_MS]

    def close(self):
        for router in (self.a, self.b):
            if router.alive():
                router.die()
        self.tap.close()
        self.rig.close()


def under_load(ctx, seconds):
    """Both stacks at the same time under the same loops: ({label: ([(since, until, lateness in ms)], [instants of false
    takeovers])}, Steal, Stalls)."""
    pairs = {}
    try:
        for stack in ctx.stacks:
            pairs[stack.label] = Pair(stack, ctx.build)
        with Load(4), Steal() as steal, Stalls(ctx.build) as stalls:
            time.sleep(1)
            begin, end = now_ns(), time.monotonic() + seconds
            while time.monotonic() < end:
                time.sleep(min(5, max(0.01, end - time.monotonic())))
                for pair in pairs.values():
                    pair.tap.read()
        found = {}
        for label, pair in pairs.items():
            stamps = [x.t_ns for x in pair.tap.vrrp(begin, mac=pair.a.mac())]
            found[label] = ([(a, b, (b - a) / 1e6 - INTERVAL_MS) for a, b in zip(stamps, stamps[1:])],
                            pair.takeovers(begin))
        return found, steal, stalls
    finally:
        for pair in pairs.values():
            pair.close()


def stop_for(router, ms):
    """SIGSTOP of the daemon's processes; how long it was, in milliseconds."""
    pids = [router.process.pid] if isinstance(router, Ours) else router.pids()
    begin = now_ns()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    while now_ns() - begin < ms * 1e6 - 200000:
        time.sleep(0.0001)
    for pid in reversed(pids):
        os.kill(pid, signal.SIGCONT)
    return (now_ns() - begin) / 1e6


def pauses(stack, ctx):
    """[(who was stopped, for how many ms, b took over)]"""
    pair, found = Pair(stack, ctx.build), []
    try:
        for _ in range(ctx.choose(3, 1)):
            for ms in PAUSES_MS:
                for who, router in (("master", pair.a), ("backup", pair.b)):
                    begin = now_ns()
                    took = stop_for(router, ms)
                    time.sleep(0.06)
                    found.append((who, took, bool(pair.takeovers(begin))))
                    wait_for("a to be master alone again", lambda: pair.a.holds(VIP) and not pair.b.holds(VIP), 5)
                    pair.tap.frames.clear()
                    heard(pair.tap, pair.a.mac(), 5, 5)
        return found
    finally:
        pair.close()


def judge(found):
    """(of the master: taken over wrongly or not at all, of the backup: taken over), as lists of pauses in ms."""
    wrong = [round(ms, 1) for who, ms, taken in found if who == "master" and
             ((taken and ms < DOWN_MS - INTERVAL_MS) or (not taken and ms > DOWN_MS + INTERVAL_MS))]
    return wrong, [round(ms, 1) for who, ms, taken in found if who == "backup" and taken]


def lateness_cell(late):
    return "p50 %.2f, p99 %.2f, p99.99 %.2f, max %.2f ms (n=%d)" % (
        median(late), percentile(late, 99), percentile(late, 99.99), max(late), len(late))


def loaded_rows(found, stolen, seconds, whole):
    """Two rows; stolen: windows to leave out, whole: this is everything that was measured, nothing was promised."""
    late, takeovers = {}, {}
    for label, (gaps, instants) in found.items():
        late[label] = [ms for since, until, ms in gaps if outside(stolen, since, until)]
        # what is decided now was caused up to a master-down time ago
        takeovers[label] = sum(outside(stolen, t - 2e6 * DOWN_MS, t) for t in instants)
    ours = late.get("keeptrackd")
    late_cells, take_cells = ([f(d[k]) if k in d else "-" for k in ("keeptrackd", "keepalived")]
                    for d, f in ((late, lateness_cell), (takeovers, str)))
    what = "4 busy loops for %d s, 10 ms adverts: lateness" % seconds
    if whole:
        return [Row("h", what + ", also while the machine stood still", "", *late_cells, None),
                Row("h", "  takeovers", "", *take_cells, None, takeovers)]
    return [Row("h", what, "p99.99 <= 15 ms", *late_cells, percentile(ours, 99.99) <= 15 if ours else None,
                {k: {"p50": median(v), "p99": percentile(v, 99), "p9999": percentile(v, 99.99), "max": max(v)}
                 for k, v in late.items()}),
            Row("h", "  false takeovers", "0", *take_cells, takeovers["keeptrackd"] == 0 if ours else None, takeovers)]


def part_h(ctx):
    seconds = ctx.choose(300, 60)
    loaded, steal, stalls = under_load(ctx, seconds)
    lost = steal.stolen() + stalls.windows
    rows = loaded_rows(loaded, lost, seconds, False)
    if lost:
        rows += loaded_rows(loaded, [], seconds, True)
        rows.append(Row("h", "  the hypervisor took the processors away", "", "%d ms in %d of %d looks" % (
            steal.total_ms(), len(steal.stolen()), len(steal.samples)), "", None))
        rows.append(Row("h", "  a bound thread of the highest priority was %d ms late" % stalls.LIMIT_MS, "",
                        "%d times, longest %.0f ms" % (len(stalls.windows), stalls.longest_ms()), "", None))
    ctx.say("under load: %s; stolen %d ms" % (rows[0].ours, steal.total_ms()))
    judged, tried = {}, {}
    for stack in ctx.stacks:
        found = pauses(stack, ctx)
        judged[stack.label], tried[stack.label] = judge(found), found
        ctx.say("pauses of %s: %s" % (stack.label, judged[stack.label]))
    for i, (what, goal) in enumerate((
            ("master stopped for 5..60 ms (%.0f ms is its end): takeovers against expectation" % DOWN_MS,
             "0 (+- one interval)"), ("backup stopped for 5..60 ms: takeovers", "0"))):
        cells = ["%d of %d%s" % (len(judged[k][i]), len(tried[k]) // 2, "".join(
            ", %s ms" % x for x in judged[k][i][:4])) if k in judged else "-" for k in ("keeptrackd", "keepalived")]
        rows.append(Row("h", what, goal, cells[0], cells[1], not judged["keeptrackd"][i] if "keeptrackd" in judged else None,
                        tried))
    return rows
