"""Replication under load: parts b (churn flat out), c (stopped peer), d (CPU), g (latency), i (endurance)."""

import time

from lab import now_ns
from measure import Row, median
from syncpair import A, B, Cold, Hot, Ours, Pair, Room, cpu_window

ALIVE = 20000
STACKS = (Ours, Cold, Hot)


def told(verdict):
    """What a comparison found, in words."""
    if verdict["equal"]:
        return "equal (%d entries)" % verdict["a"]
    return "%d missing, %d extra, %d differ of %d" % (verdict["missing"], verdict["extra"], verdict["differ"], verdict["a"])


def texts(runs, form):
    return "; ".join(form(r) for r in runs) or "-"


# ---------------------------------------------------------------- b: as many changes as the kernel makes

def churn_run(stack_class, pair, seconds, snat):
    with stack_class(pair) as stack:
        made = pair.labct(A, "churn", 0, seconds, ALIVE, *(["snat"] if snat else []))
        found = {"rate": made["events"] / made["seconds"]}
        if stack.hot:
            verdict = pair.compare(10)
            found["after_s"] = (verdict["at_ns"] - made["end_ns"]) / 1e9
        else:
            time.sleep(max(0.0, 1 - (now_ns() - made["end_ns"]) / 1e9))
            stack.commit()
            verdict = pair.compare()
            found["after_s"] = None
        found.update(verdict=verdict, overruns=stack.overruns(A) if stack_class is Ours else None)
        return found


def part_b(ctx):
    seconds, runs, rows = 5, {s: [] for s in STACKS}, []

    def form(r):
        when = "" if r["after_s"] is None else " after %.2f s" % r["after_s"]
        return "%.0fk/s: %s%s%s" % (r["rate"] / 1e3, told(r["verdict"]), when if r["verdict"]["equal"] else "",
                                    ", %d overruns" % r["overruns"] if r["overruns"] else "")

    def ok(r):
        return r["verdict"]["equal"] and r["after_s"] <= 1 and r["overruns"] == 0

    with Room(200000), Pair(ctx.build) as pair:
        for n in range(ctx.choose(3, 1)):
            for stack in STACKS[n % 3:] + STACKS[:n % 3]:
                runs[stack].append(churn_run(stack, pair, seconds, False))
                ctx.say("%s: %s" % (stack.label, form(runs[stack][-1])))
        rows.append(Row("b", "churn flat out for 5 s, %d alive: tables after the end" % ALIVE, "equal within 1 s, 0 overruns",
                        texts(runs[Ours], form), "%s; no external cache: %s" % (
                            texts(runs[Cold], form), texts(runs[Hot], form)), all(map(ok, runs[Ours])),
                        {s.label: r for s, r in runs.items()}))
        snat = [churn_run(Ours, pair, seconds, True) for _ in range(ctx.choose(2, 1))]
        rows.append(Row("b", "the same with source NAT", "equal within 1 s, 0 overruns", texts(snat, form), "",
                        all(map(ok, snat)), {"keeptrackd": snat}))
    return rows


# ---------------------------------------------------------------- c: the peer does not take anything for 3 s

def stopped_run(stack_class, pair):
    with stack_class(pair) as stack:
        idle_kb = stack.rss_kb(A)
        load = pair.start(A, "labct", "churn", "58000", "4", str(ALIVE))
        time.sleep(1)
        stack.freeze(B)
        end, most = time.monotonic() + 3, 0
        while time.monotonic() < end:
            most = max(most, stack.rss_kb(A))
            time.sleep(0.1)
        made = pair.result(load)
        stack.thaw(B)
        thawed = now_ns()
        if stack.hot:
            verdict = pair.compare(15)
        else:
            time.sleep(2)
            stack.commit()
            verdict = pair.compare()
        most = max(most, stack.rss_kb(A))
        return {"events": made["events"], "verdict": verdict, "after_s": (verdict["at_ns"] - thawed) / 1e9,
                "rss_mb": most / 1024, "idle_mb": idle_kb / 1024, "hot": stack.hot,
                "overruns": stack.overruns(A) if stack_class is Ours else None}


def part_c(ctx):
    runs = {s: [] for s in (Ours, Cold)}

    def form(r):
        return "%s%s, sender %.0f MB (idle %.0f)%s" % (
            told(r["verdict"]), " after %.2f s" % r["after_s"] if r["hot"] and r["verdict"]["equal"] else "", r["rss_mb"],
            r["idle_mb"], ", %d overruns" % r["overruns"] if r["overruns"] else "")

    with Room(200000), Pair(ctx.build) as pair:
        for _ in range(ctx.choose(3, 1)):
            for stack in runs:
                runs[stack].append(stopped_run(stack, pair))
                ctx.say("%s: %s" % (stack.label, form(runs[stack][-1])))
    return [Row("c", "peer stopped for 3 s under 58k events/s, tables after it goes on",
                "equal within 2 s, 0 overruns, sender < 32 MB", texts(runs[Ours], form), texts(runs[Cold], form),
                all(r["verdict"]["equal"] and r["after_s"] <= 2 and r["rss_mb"] < 32 and r["overruns"] == 0
                    for r in runs[Ours]), {s.label: r for s, r in runs.items()})]


# ---------------------------------------------------------------- d: CPU

def load_packets(pair):
    made = pair.packets(20000, 3)
    return made["flows"]


def load_churn(pair):
    return pair.labct(A, "churn", 50000, 3, ALIVE)["events"]


def cpu_run(stack_class, pair, load, silent_standby=False):
    """CPU seconds per 100k events: of both routers, and of what a takeover would still cost the standby."""
    with stack_class(pair, **({"quick": True} if stack_class is Ours else {})) as stack:
        if silent_standby:
            pair.events(B, False)
        try:
            time.sleep(0.5)
            used = cpu_window(stack)
            events = load(pair)
            time.sleep(1.5)
            cpu = used()
            commit = stack.commit()
            verdict = pair.compare(3 if stack.hot else 0)
        finally:
            if silent_standby:
                pair.events(B, True)
        scale = 100000 / events
        return {"active": cpu[A] * scale, "standby": cpu[B] * scale, "commit": commit * scale, "events": events,
                "equal": verdict["equal"], "verdict": told(verdict)}


def middle(runs, key):
    return median([r[key] for r in runs])


def ratio(ours, theirs):
    return ours / theirs if theirs else float("inf")


def cpu_rows(ctx, pair, load, what, active_goal):
    runs, rows = {s: [] for s in STACKS}, []
    silent = []
    for n in range(ctx.choose(4, 2)):
        for stack in STACKS[n % 3:] + STACKS[:n % 3]:
            runs[stack].append(cpu_run(stack, pair, load))
        silent.append(cpu_run(Ours, pair, load, silent_standby=True))
    active = {s: middle(r, "active") for s, r in runs.items()}
    standby = {s: middle(r, "standby") for s, r in runs.items()}
    commit = middle(runs[Cold], "commit")
    samples = dict({s.label: r for s, r in runs.items()}, standby_without_listener=silent)
    for stack, r in runs.items():
        ctx.say("%s: %s" % (stack.label, [(round(x["active"], 3), round(x["standby"], 3), x["verdict"]) for x in r]))
    share = ratio(active[Ours], active[Cold])
    rows.append(Row("d", "%s: CPU s per 100k events, active" % what, "<= %.2f x of conntrackd" % active_goal,
                    "%.3f = %.2f x" % (active[Ours], share), "%.3f; no external cache %.3f" % (active[Cold], active[Hot]),
                    share <= active_goal, samples))
    ours = active[Ours] + standby[Ours]
    hot, cold = active[Hot] + standby[Hot], active[Cold] + standby[Cold] + commit
    rows.append(Row("d", "  active + standby (standby alone; with its nf_conntrack_events = 0)",
                    "<= 0.4 x without external cache", "%.3f = %.2f x (%.3f; %.3f)" % (
                        ours, ratio(ours, hot), standby[Ours], middle(silent, "standby")),
                    "no external cache: %.3f (%.3f)" % (hot, standby[Hot]), ratio(ours, hot) <= 0.4))
    rows.append(Row("d", "  active + standby, theirs with the commit of a takeover",
                    "<= 0.6 x of conntrackd" if load is load_packets else "", "%.2f x" % ratio(ours, cold),
                    "%.3f (standby %.3f, commit %.3f)" % (cold, standby[Cold], commit),
                    ratio(ours, cold) <= 0.6 if load is load_packets else None))
    equal = {s: sum(r["equal"] for r in runs[s]) for s in runs}
    rows.append(Row("d", "  tables equal afterwards", "all", "%d of %d" % (equal[Ours], len(runs[Ours])),
                    "%d of %d; no external cache %d" % (equal[Cold], len(runs[Cold]), equal[Hot]),
                    equal[Ours] == len(runs[Ours])))
    return rows


def part_d(ctx):
    with Room(300000), Pair(ctx.build) as pair:
        return (cpu_rows(ctx, pair, load_packets, "20000 new flows/s through the router", 0.35) +
                cpu_rows(ctx, pair, load_churn, "churn of 50000 events/s", 0.4))


# ---------------------------------------------------------------- g: latency

def latency_run(stack_class, pair, seconds):
    with stack_class(pair) as stack:
        time.sleep(0.5)
        used = cpu_window(stack)
        made = pair.labct(A, "stamp", 10000, seconds)
        time.sleep(0.5)
        cpu = used()
        return dict(pair.lag(), events=made["events"], cpu=(cpu[A] + cpu[B]) * 100000 / made["events"])


def part_g(ctx):
    runs = {s: [] for s in (Ours, Hot)}
    with Room(300000), Pair(ctx.build) as pair:
        for _ in range(ctx.choose(5, 2)):
            for stack in runs:
                runs[stack].append(latency_run(stack, pair, 4))
                ctx.say("%s: %s" % (stack.label, runs[stack][-1]))

    def form(r):
        return "p50 %.2f, p99 %.2f ms, max %.1f (n=%d)" % (middle(r, "p50_us") / 1e3, middle(r, "p99_us") / 1e3,
                                                           max(x["max_us"] for x in r) / 1e3, len(r))

    ours, theirs = runs[Ours], runs[Hot]
    share = ratio(middle(ours, "cpu"), middle(theirs, "cpu"))
    all_there = all(x["n"] == x["events"] for x in ours)
    return [Row("g", "10000 events/s: event on fw-a -> entry in fw-b's kernel", "p50 < 0.8 ms, p99 < 6 ms",
                form(ours) + ("" if all_there else ", NOT ALL ARRIVED"), "no external cache: " + form(theirs),
                all_there and middle(ours, "p50_us") < 800 and middle(ours, "p99_us") < 6000,
                {s.label: r for s, r in runs.items()}),
            Row("g", "  CPU s per 100k events, both routers", "<= 0.5 x without external cache",
                "%.3f = %.2f x" % (middle(ours, "cpu"), share), "%.3f" % middle(theirs, "cpu"), share <= 0.5)]


# ---------------------------------------------------------------- i: endurance

CAUSES = ("found", "repaired", "lost", "vanished", "extra", "offered", "digests_differ", "buckets_resent", "evidence",
          "claims", "op_create_failed", "op_update_failed", "refused_version", "refused_epoch", "table_full")


def slope_percent(samples):
    """Least squares over (minute, kB): percent of the mean per minute."""
    if len(samples) < 3:
        return 0.0
    mx, my = (sum(s[i] for s in samples) / len(samples) for i in (0, 1))
    spread = sum((x - mx) ** 2 for x, _ in samples)
    return 100 * sum((x - mx) * (y - my) for x, y in samples) / spread / my


def unexplained(statistics):
    return sum(s["count"] for s in statistics["ours"]["sessions"] if s["disposition"] in ("pending", "failed"))


def part_i(ctx):
    seconds, skip = ctx.choose((600, 180), (60, 18))
    with Room(300000), Pair(ctx.build) as pair, Ours(pair) as stack:
        load = pair.start(A, "labct", "churn", "60000", str(seconds), str(ALIVE))
        begin, samples = time.monotonic(), {A: [], B: []}
        while load.poll() is None:
            at = time.monotonic() - begin
            if at >= skip:
                for name in samples:
                    samples[name].append((at / 60, stack.rss_kb(name)))
            time.sleep(1)
        made = pair.result(load)
        verdict = pair.compare(5)
        time.sleep(1.5)
        stats = {name: stack.statistics(name) for name in samples}
    slopes = {name: slope_percent(s) for name, s in samples.items()}
    repairs = {name: {k: v for k, v in s["ours"]["counters"].items() if k in CAUSES and v} for name, s in stats.items()}
    rest = sum(unexplained(s) for s in stats.values())
    lost = sum(s["messages"]["lost"] for s in stats.values())
    after = (verdict["at_ns"] - made["end_ns"]) / 1e9
    text = "%.0fk/s; %s after %.2f s; %d pending or failed; repairs %s; overruns %d" % (
        made["events"] / made["seconds"] / 1e3, told(verdict), after, rest, repairs[A] or repairs[B] and repairs or "none",
        lost)
    sizes = {name: [kb for _, kb in s] for name, s in samples.items()}
    return [Row("i", "%d s of 60000 events/s" % seconds, "equal, 0 unexplained, no repair", text, "",
                verdict["equal"] and rest == 0 and lost == 0 and not any(repairs.values()),
                {"repairs": repairs, "verdict": verdict, "seconds": made["seconds"], "events": made["events"]}),
            Row("i", "  memory, after the first %d s" % skip, "slope < 0.5 % a minute" if not ctx.quick else
                "(too short for a slope)", ", ".join("%s %.1f..%.1f MB, %+.2f %%/min" % (
                    name, min(v) / 1024, max(v) / 1024, slopes[name]) for name, v in sizes.items() if v), "",
                None if ctx.quick else all(s < 0.5 for s in slopes.values()), {n: s for n, s in samples.items()})]
