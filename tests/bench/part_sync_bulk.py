"""Replication of what is there already: parts e (memory per session) and f (half a million into an empty peer)."""

import json
import signal
import subprocess
import time

from lab import LabError, wait_for
from measure import Row, median
from part_sync_load import told
from syncpair import A, B, Cold, Hot, Ours, Pair, Room

# ---------------------------------------------------------------- e: memory


def table_bytes(stack, name):
    t = stack.statistics(name)["ours"]["table"]
    return t["entries"], t["used_bytes"]


def grow(pair, stack, total, steps, extra):
    """Fills in steps; the most bytes that a session cost at any step, on each router: (bytes, entries then)."""
    worst = {A: (0, 0), B: (0, 0)}
    for n in range(steps):
        share = total // steps
        pair.labct(A, "fill", share, "first=%d" % (n * share), *extra)
        wait_for("fw-b to have %d sessions" % ((n + 1) * share),
                 lambda n=n: table_bytes(stack, B)[0] >= (n + 1) * share and table_bytes(stack, A)[0] >= (n + 1) * share,
                 30, 0.1)
        time.sleep(0.3)  # a grown index moves on for a moment
        for name in worst:
            entries, used = table_bytes(stack, name)
            if entries >= 50000:  # below, the pool's last chunk says more than a session costs
                worst[name] = max(worst[name], (used / entries, entries))
    return worst


def ours_memory(pair, total, steps, extra=()):
    with Ours(pair) as stack:
        before = {n: stack.rss_kb(n) for n in (A, B)}
        worst = grow(pair, stack, total, steps, extra)
        return {"worst": worst, "rss": {n: (stack.rss_kb(n) - before[n]) * 1024 / total for n in (A, B)}}


def theirs_memory(pair, total):
    with Cold(pair) as stack:
        before = {n: stack.rss_kb(n) for n in (A, B)}
        step = total // 20  # what a burst would make it lose is not what is measured
        for n in range(20):
            pair.labct(A, "fill", step, "first=%d" % (n * step))
            time.sleep(0.2)
        wait_for("conntrackd's external cache to fill", lambda: stack.cached(B) >= total, 30, 0.5)
        return {n: (stack.rss_kb(n) - before[n]) * 1024 / total for n in (A, B)}


def part_e(ctx):
    total, steps = ctx.choose((500000, 40), (200000, 16))
    rows = []
    with Room(total), Pair(ctx.build) as pair:
        found = {"v4": ours_memory(pair, total, steps), "v6": ours_memory(pair, total // 2, steps // 2, ("v6",))}
        theirs = theirs_memory(pair, 100000)
    for kind, name, limit in (("v4", "IPv4", 100), ("v6", "IPv6", 150)):
        worst = max(found[kind]["worst"].values())
        rows.append(Row("e", "bytes per %s session, index included, at the worst of %d fillings" % (
            name, steps if kind == "v4" else steps // 2), "<= %d" % limit, "%.1f (at %d sessions)" % worst,
            "%.0f + %.0f (growth of RSS)" % (theirs[A], theirs[B]) if kind == "v4" else "", worst[0] <= limit, found))
        rows.append(Row("e", "  growth of the process (RSS) per session, fw-a and fw-b", "",
                        "%.0f + %.0f" % (found[kind]["rss"][A], found[kind]["rss"][B]), "", None))
    return rows


# ---------------------------------------------------------------- f: bulk

def timer_start(pair):
    return subprocess.Popen([pair.lab.tool("labflow"), "timer", "10", "60", "fifo"], stdout=subprocess.PIPE)


def timer_result(child):
    child.send_signal(signal.SIGTERM)
    out, _ = child.communicate(timeout=10)
    return json.loads(out)


def bulk_run(stack_class, pair, count, snat, silent):
    """fw-b joins a full fw-a: seconds from its first copy's beginning, lateness of a 10 ms timer on its machine."""
    with stack_class(pair, alone=True) as stack:
        pair.labct(A, "fill", count, *(["snat"] if snat else []))
        if stack_class is Ours:
            wait_for("fw-a to know its sessions", lambda: stack.statistics(A)["internal"]["active"] >= count, 60, 0.1)
        else:
            time.sleep(2)
        if silent:
            pair.events(B, False)
        timer = None
        try:
            began = stack.pair.lab[B].session_count() + 50
            stack.begin(B)
            if not isinstance(stack, Ours) and not stack.hot:
                timer = timer_start(pair)
                return cold_bulk(stack, timer, count)
            if stack_class is Hot:
                stack.tell(B, "-n")
            wait_for("the first copies", lambda: stack.pair.lab[B].session_count() > began, 20, 0.001)
            # Not earlier: an empty fw-b's first look at its table passes by fw-a's half million in one piece of kernel
            # time, because both share one table here.
            t0 = time.monotonic()
            timer = timer_start(pair)
            wait_for("all copies", lambda: stack.pair.lab[B].session_count() >= count, 60, 0.002)
            seconds = time.monotonic() - t0
            late = timer_result(timer)
            verdict = pair.compare(5)
        finally:
            if timer and timer.poll() is None:
                timer.kill()
                timer.wait()
            if silent:
                pair.events(B, True)
        return {"seconds": seconds, "late": late, "equal": verdict["equal"], "verdict": told(verdict)}


def cold_bulk(stack, timer, count):
    """Into the external cache, then the commit."""
    t0 = time.monotonic()
    stack.tell(B, "-n")
    wait_for("the external cache", lambda: stack.cached(B) >= count, 60, 0.1)
    t1 = time.monotonic()
    stack.tell(B, "-c")
    wait_for("the commit", lambda: stack.lab[B].session_count() >= 0.99 * count, 60, 0.01)
    return {"seconds": t1 - t0, "commit": time.monotonic() - t1, "late": timer_result(timer)}


def theirs_text(pair, ctx, count):
    """conntrackd without and with external cache; what fails says so and stops nothing."""
    texts, samples = [], {}
    for stack in (Hot, Cold):
        try:
            r = bulk_run(stack, pair, count, False, False)
            samples[stack.label] = r
            texts.append("no external cache: %.2f s" % r["seconds"] if stack is Hot else
                         "into the cache %.2f s + commit %.2f s" % (r["seconds"], r["commit"]))
            texts[-1] += ", timer p99 %.2f ms" % (r["late"]["p99_us"] / 1e3)
        except (LabError, OSError, subprocess.SubprocessError) as e:
            ctx.say("%s: %s" % (stack.label, e))
            texts.append("%s: did not get there (%s)" % (stack.label, str(e)[:60]))
    return "; ".join(texts), samples


def part_f(ctx):
    count, rows = 500000, []
    with Room(count), Pair(ctx.build) as pair:
        theirs, samples = theirs_text(pair, ctx, count)
        for snat, silent, limit, late in ((False, False, 4.5, 1), (True, False, 6.5, 3), (False, True, 3, None),
                                          (True, True, 5, None)):
            runs, failure = [], None
            for _ in range(ctx.choose(3, 1)):
                try:
                    runs.append(bulk_run(Ours, pair, count, snat, silent))
                    ctx.say("bulk snat=%s silent=%s: %s" % (snat, silent, runs[-1]))
                except LabError as e:
                    failure = str(e)
                    ctx.say("bulk snat=%s silent=%s: %s" % (snat, silent, e))
            what = "%s500k sessions into an empty peer's kernel%s" % ("SNAT: " if snat else "",
                                                                     ", its nf_conntrack_events = 0" if silent else "")
            if not runs:
                rows.append(Row("f", what, "< %.1f s" % limit, failure, theirs if not rows else "", False))
                continue
            seconds = median([r["seconds"] for r in runs])
            equal = all(r["equal"] for r in runs)
            rows.append(Row("f", what, "< %.1f s" % limit, "%.2f s (n=%d)%s" % (
                seconds, len(runs), "" if equal else ", " + runs[-1]["verdict"]), theirs if not rows else "",
                failure is None and equal and seconds < limit, {"keeptrackd": runs, "theirs": samples}))
            p99 = median([r["late"]["p99_us"] for r in runs]) / 1e3
            rows.append(Row("f", "  lateness of a 10 ms FIFO timer meanwhile", "p99 < %d ms" % late if late else "",
                            "p99 %.2f, max %.2f ms" % (p99, max(r["late"]["max_us"] for r in runs) / 1e3), "",
                            p99 < late if late else None))
    return rows
