"""Parts c and d: the master loses an interface, also while half a million sessions are being copied."""

import os
import time

from conf import lab_conf, text
from incumbent import Incumbent
from keeptrackd import Daemon
from lab import Lab, ROUTERS, wait_for
from measure import Load, Ours, Row, Steal, cell, median, outside, percentile
from part_takeover import skew_ms
from races import NoCharon
from rig import Rig, Vr
from traffic import Traffic

SESSIONS = 500000
LIMIT = "/proc/sys/net/netfilter/nf_conntrack_max"


class RoomForSessions:
    """nf_conntrack_max counts for every namespace; what it was is restored."""

    def __enter__(self):
        with open(LIMIT, encoding="ascii") as f:
            self.before = f.read()
        if int(self.before) < 2 * SESSIONS:
            with open(LIMIT, "w", encoding="ascii") as f:
                f.write(str(2 * SESSIONS))

    def __exit__(self, *_):
        with open(LIMIT, "w", encoding="ascii") as f:
            f.write(self.before)


def fill(machine, count=SESSIONS):
    """Established sessions of nobody, as the kernel's own tool makes them."""
    machine.run("conntrack", "-R", "-", timeout=120, text="".join(
        "-A -p tcp --state ESTABLISHED -t 3000 -u ASSURED,SEEN_REPLY -s 10.0.%d.%d -d 203.0.113.77 --sport %d --dport 80\n"
        % (20 + n // 5000000, 1 + n // 25000, 10000 + 2 * (n % 25000)) for n in range(count)))


# ---------------------------------------------------------------- c: the LAN interface of the master goes down

class LanLoss:
    """Two routers under traffic; the LAN interface of the master is set down, again and again."""

    def __init__(self, build, ours, channel, bulk):
        self.lab, self.ours, self.channel, self.bulk = Lab(build), ours, channel, bulk
        self.daemons, self.theirs, self.traffic = {}, None, None
        try:
            if bulk:
                fill(self.lab["fw-a"])
            if ours:
                for name in ROUTERS:
                    conf = lab_conf(self.lab, name, advert=1, peer=channel, replicate=channel)
                    self.daemons[name] = Daemon(self.lab, name, conf=text(conf))
            else:
                self.theirs = Incumbent(self.lab, {r: NoCharon for r in ROUTERS}, sync=False)
                for name in ROUTERS:
                    path = os.path.join(self.lab[name].dir, "keepalived.conf")
                    with open(path, encoding="ascii") as f:
                        conf = f.read()
                    with open(path, "w", encoding="ascii") as f:
                        f.write(conf.replace("advert_int 0.1", "advert_int 1"))
            self.start("fw-a")
            wait_for("fw-a to be master", lambda: self.holds("fw-a"), 20)
            self.traffic = Traffic(self.lab, idle=0, vpn_rate=0)
        except BaseException:
            self.close()
            raise

    def start(self, name):
        if self.ours:
            self.daemons[name].start()
        else:
            self.theirs.start(name)

    def holds(self, name):
        return self.lab[name].has_ip4("10.0.1.1", "203.0.113.1")

    def ready(self):
        """The moment for the loss has come."""
        if self.bulk:
            wait_for("the copying to begin", lambda: self.lab["fw-b"].session_count() > 20000, 30, 0.002)
        elif self.ours and self.channel:
            wait_for("fw-b to be ready",
                     lambda: self.daemons["fw-b"].ask("show failover status")["groups"][0]["ready"], 20)
        else:
            time.sleep(2.5)

    def once(self):
        """Milliseconds without an echo of the UDP flow (1000 a second)."""
        self.start("fw-b")
        self.ready()
        self.traffic.mark()
        copied = self.lab["fw-b"].session_count()
        self.lab["fw-a"].ip("link set lan0 down")
        wait_for("fw-b to take over", lambda: self.holds("fw-b"), 10)
        wait_for("the datagrams to flow", lambda: self.traffic.flowing("udp"), 10)
        if self.bulk and self.lab["fw-b"].session_count() > SESSIONS:
            raise RuntimeError("the copying had ended before the loss (%d sessions at its begin)" % copied)
        gap = self.traffic.report()["udp"]["udp"]["gap_ns"] / 1e6
        self.again()
        return gap

    def again(self):
        """The old order: fw-a is master, fw-b has no daemon and no sessions."""
        if self.ours:
            self.daemons["fw-b"].stop()
        else:
            self.theirs.planned("fw-b")
        self.lab["fw-a"].ip("link set lan0 up", "route replace default via 203.0.113.10")
        if self.bulk:
            self.lab["fw-b"].conntrack("-F")
        wait_for("fw-a to be master again", lambda: self.holds("fw-a"), 20)
        wait_for("the datagrams to flow again", lambda: self.traffic.flowing("udp"), 10)

    def close(self):
        for daemon in self.daemons.values():
            daemon.kill()
        if self.theirs:
            self.theirs.stop()
        self.lab.close()


def losses(build, runs, ours, channel=False, bulk=False):
    rig = LanLoss(build, ours, channel, bulk)
    try:
        return [rig.once() for _ in range(runs)]
    finally:
        rig.close()


def part_c(ctx):
    rows, wanted = [], {s.label for s in ctx.stacks}
    skew = skew_ms(100, 1000)
    theirs = losses(ctx.build, ctx.choose(3, 1), False) if "keepalived" in wanted else []
    ctx.say("keepalived: %s" % theirs)
    if "keeptrackd" not in wanted:
        return [Row("c", "LAN interface of the master lost, adverts every 1 s: traffic gap", "", "-", cell(theirs), None)]
    with RoomForSessions():
        for channel, bulk, runs, goal, limit in (
                (True, False, ctx.choose(10, 2), "<= 20 ms", 20),
                (True, True, ctx.choose(4, 1), "<= 20 ms", 20),
                (False, False, ctx.choose(3, 1), "<= 1.2 skew times (%.0f ms)" % (1.2 * skew), 1.2 * skew)):
            gaps = losses(ctx.build, runs, True, channel, bulk)
            what = "LAN interface of the master lost, adverts every 1 s, %s%s: traffic gap" % (
                "channel up" if channel else "no channel", ", 500k sessions being copied" if bulk else "")
            rows.append(Row("c", what, goal, cell(gaps), cell(theirs), max(gaps) <= limit,
                            {"keeptrackd": gaps, "keepalived": theirs}))
            ctx.say("%s: %s" % (what, gaps))
    return rows


# ---------------------------------------------------------------- d: LEAVING while the channel is full

GROUPS = 20


def decided(router, group, since):
    """(instant of a router's last decision about a group in ms of the wall clock, its reason), or None."""
    for e in router.ask("show failover history", limit=500)["entries"]:
        if e["node"] == router.name and e["group"] == group:
            for t in router.ask("show failover timeline", epoch=e["epoch"])["transactions"]:
                at = [p["offset_us"] for p in t["phases"] if p["phase"] == "decide"]
                if t["node"] == router.name and t["group"] == group and t["reason"] == e["reason"] and at:
                    ms = (t["wall_us"] + at[0]) / 1e3
                    return (ms, t["reason"]) if ms >= since else None
            return None
    return None


def leave_all(rig, a, b, found):
    """During one bulk: the links of a's groups go down one after the other. Adds to found what happened to each, in ms of
    the wall clock: (our call, a's decision, b's decision, b's reason)."""
    begin = {}
    for s in range(1, GROUPS + 1):
        if b.machine.session_count() > 0.95 * SESSIONS:
            break
        begin["g%d" % s] = time.time() * 1e3
        rig["a"].ip("link set eth%d down" % s)
        time.sleep(0.03)
    wait_for("b to have taken the groups", lambda: all(b.holds("10.%s.0.1" % g[1:]) for g in begin), 20)
    for g, since in begin.items():
        left, heard = decided(a, g, since), decided(b, g, since)
        if left and heard:
            found.append((since, left[0], heard[0], heard[1]))


def part_d(ctx):
    if Ours not in ctx.stacks:
        return []
    found, stolen, missed = [], [], 0
    since_boot = time.time_ns() - time.monotonic_ns()
    groups = [Vr("g%d" % s, s, s, ["10.%d.0.1/16" % s], advert=1) for s in range(1, GROUPS + 1)]
    with RoomForSessions(), Rig(ctx.build, segments=GROUPS) as rig:
        a, b = (Ours(rig, n, groups, channel=True, replicate=True) for n in ("a", "b"))
        fill(rig["a"])
        a.start()
        for _ in range(ctx.choose(5, 1)):
            wait_for("a to be master of all", lambda: all(a.holds(v.vips[0]) for v in groups), 20)
            b.start()
            wait_for("the copying to begin", lambda: b.machine.session_count() > 20000, 30, 0.002)
            # the words of the roles have a connection of their own, which may come after that of the sessions
            wait_for("the channel", lambda: a.ask("show failover status")["peers"][0]["channel"] == "up", 10, 0.01)
            before = len(found)
            with Load(2), Steal() as steal:
                leave_all(rig, a, b, found)
            stolen += [((x + since_boot) / 1e6, (y + since_boot) / 1e6) for x, y in steal.stolen()]
            ctx.say("%d heard; sessions copied: %d; %s" % (len(found) - before, b.machine.session_count(),
                                                          sorted({why for _, _, _, why in found[before:]})))
            missed += len(found) == before
            b.stop()
            b.machine.conntrack("-F")
            rig["a"].ip(*("link set eth%d up" % s for s in range(1, GROUPS + 1)))
        for router in (a, b):
            if router.alive():
                router.die()
    # 400 ms after the decision the channel has told everything twice; a theft after that excuses nothing
    kept = [f for f in found if outside(stolen, f[0], min(f[2], f[1] + 400))]
    times, calls = [heard - left for _, left, heard, _ in kept], [heard - call for call, _, heard, _ in kept]
    if not times:
        return [Row("d", "LEAVING during a bulk", "p99 <= 10 ms", "no link was lost while sessions were being copied", "",
                    False)]

    def said(values):
        return "p50 %.1f, p99 %.1f, max %.1f ms (n=%d)" % (median(values), percentile(values, 99), max(values), len(values))

    aside = [f[2] - f[1] for f in found if f not in kept]
    return [Row("d", "500k sessions being copied, cores busy: the master's decision to leave -> the peer's to take over",
                "p99 <= 10 ms", said(times), "(no channel)", percentile(times, 99) <= 10, {"ms": times}),
            Row("d", "  `ip link set down` begins -> the peer's decision", "", said(calls), "", None, {"ms": calls}),
            *([Row("d", "  set aside: the hypervisor took the processors away", "", said(aside), "", None, {"ms": aside})]
              if aside else [])]
