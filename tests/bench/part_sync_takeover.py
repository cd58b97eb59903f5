"""Takeovers with many sessions: parts a (addresses, datagrams, resets) and h (TCP with window scale)."""

import json
import subprocess
import time

from incumbent import Incumbent
from keeptrackd import Keeptrackd
from lab import Lab, LabError, ROUTERS, SERVER, now_ns, wait_for
from measure import Row, cell, median
from races import NoCharon
from syncpair import Room
from traffic import Traffic

IDLE = 50
SINK_PORT = 5003


class Duo:
    """One of both stacks under traffic, with `sessions` of other people in the master's table."""

    def __init__(self, build, ours, sessions, traffic=True, rules=None):
        self.lab = Lab(build) if rules is None else Lab(build, rules)
        self.ours, self.sessions, self.traffic, self.capture = ours, sessions, None, None
        try:
            self.stack = (Keeptrackd(self.lab, None, ipsec=False) if ours else
                          Incumbent(self.lab, {r: NoCharon for r in ROUTERS}, sessions=max(131072, 2 * sessions)))
            # Ours finds them when it starts; conntrackd gets them in portions that it keeps up with.
            if ours:
                self.fill(sessions, 0)
            for name in ROUTERS:
                self.stack.start(name)
                wait_for("fw-a to be master", lambda: self.stack.is_master("fw-a"), 30)
            if not ours:
                self.fill(25000, 0.3)
            if traffic:
                self.capture = self.lab.capture("br-wan")
                self.traffic = Traffic(self.lab, idle=IDLE, vpn_rate=0, prompt=True)
            self.ready()
        except BaseException:
            self.close()
            raise

    def fill(self, step, pause):
        for first in range(0, self.sessions, step):
            self.lab["fw-a"].run(self.lab.tool("labct"), "fill", str(min(step, self.sessions - first)), "first=%d" % first,
                                 timeout=120)
            time.sleep(pause)

    def master(self):
        masters = [r for r in ROUTERS if self.stack.is_master(r)]
        return masters[0] if len(masters) == 1 else None

    def other(self, name):
        return ROUTERS[1 - ROUTERS.index(name)]

    def standby_ready(self, standby):
        if self.ours:
            status = self.stack.daemons[standby].ask("show failover status")
            return (status["role"] == "BACKUP" and status["groups"][0]["ready"] and
                    self.lab[standby].session_count() >= self.sessions)
        return external(self.lab, self.stack, standby) >= self.sessions + (IDLE if self.traffic else 0)

    def ready(self, seconds=90):
        """(master, standby) once the standby has everything; a router that came back may take its role again meanwhile."""
        def there():
            master = self.master()
            return (master, self.other(master)) if master and self.standby_ready(self.other(master)) else None
        pair, end = wait_for("the standby to have the sessions", there, seconds, 0.1), time.monotonic() + 20
        while time.monotonic() < end:
            time.sleep(1.2)
            before, pair = pair, wait_for("the standby to have the sessions", there, seconds, 0.1)
            if pair == before:
                break
        if self.traffic:
            wait_for("traffic", lambda: self.traffic.flowing("udp"), 10)
        time.sleep(0.5)
        self.stack.rest(pair[1])
        return pair

    def switch(self, planned):
        """One takeover; what was measured of it."""
        master, standby = self.ready()
        still_ms = self.still() if self.traffic and planned else None
        since = self.traffic.mark() if self.traffic else now_ns()
        if planned:
            self.stack.planned(master)
        else:
            self.stack.kill(master, everything=False)
        wait_for("the takeover", lambda: self.stack.is_master(standby), 20, 0.005)
        found = {"planned": planned, "since": since, "to": standby, "still_ms": still_ms}
        if self.ours:
            found["vip_ms"] = self.decided(standby, since)
        else:
            found.update(self.committed(standby, since))
        if self.traffic:
            wait_for("traffic after the takeover", lambda: self.traffic.flowing("udp"), 20)
            time.sleep(0.7)
            report, idle = self.traffic.report()["udp"]["udp"], self.traffic.check_idle()
            found.update(lost=report["lost"], moved=report["moved"], gap_ms=report["gap_ns"] / 1e6,
                         dead=idle["total"] - idle["alive"], reset=len(self.capture.find("rst", since)))
        self.again(master, planned)
        return found

    def still(self):
        """The longest gap in a second without a switch."""
        self.traffic.mark()
        time.sleep(1)
        return self.traffic.report()["udp"]["udp"]["gap_ns"] / 1e6

    def decided(self, standby, since):
        line = wait_for("the journal", lambda: self.stack.timeline(standby, since), 5)
        return (line["at_ns"]["vip-up"] - line["at_ns"]["decide"]) / 1e6

    def committed(self, standby, since):
        """From the first advert of the new master to the end of its commit."""
        mac = self.lab.mac(standby, "wan0")
        if self.capture is None:
            return {}
        first = wait_for("its adverts", lambda: self.capture.find("vrrp", since, mac=mac), 5)[0]["t_ns"]
        garps = self.capture.find("garp", since, mac=mac)
        wait_for("the commit", lambda: self.lab[standby].session_count() >= 0.99 * self.sessions, 60, 0.005)
        return {"vip_ms": (garps[0]["t_ns"] - first) / 1e6 if garps else None,
                "commit_ms": (now_ns() - first) / 1e6}

    def again(self, dead, planned):
        if not planned:
            if not self.ours:
                self.lab[dead].run("ip", "addr", "del", "10.0.1.1/24", "dev", "lan0", check=False)
                self.lab[dead].run("ip", "addr", "del", "203.0.113.1/24", "dev", "wan0", check=False)
            self.stack.restart_dead(dead)
        elif not self.ours:
            self.stack.rejoin(dead)
        time.sleep(1.0)  # with the incumbents the first router takes its role back

    def close(self):
        try:
            if getattr(self, "stack", None):
                self.stack.stop()
        finally:
            self.lab.close()


def external(lab, stack, router):
    """Entries of conntrackd's external cache."""
    out = lab[router].run("conntrackd", "-C", "%s/conntrackd.conf" % lab[router].dir, "-s", check=False)
    for line in out.split("cache external", 1)[-1].split("\n"):
        if "current active connections" in line:
            return int(line.split()[-1])
    return 0


# ---------------------------------------------------------------- a

def switches(ctx, ours, sessions, runs, kinds):
    found = []
    try:
        duo = Duo(ctx.build, ours, sessions)
    except (LabError, subprocess.SubprocessError) as e:
        if ours:
            raise
        ctx.say("conntrackd, %d sessions: %s" % (sessions, e))
        return found
    try:
        for n in range(runs):
            try:
                found.append(duo.switch(kinds[n % len(kinds)]))
            except (LabError, subprocess.SubprocessError) as e:
                if ours:
                    raise
                ctx.say("conntrackd, %d sessions: %s" % (sessions, e))
                break
            ctx.say("%s, %d sessions: %s" % ("keeptrackd" if ours else "conntrackd", sessions, found[-1]))
    finally:
        duo.close()
    return found


def known(runs, key, **want):
    return [r[key] for r in runs if r.get(key) is not None and all(r[k] == v for k, v in want.items())]


def part_a(ctx):
    sizes = ((1000, ctx.choose(6, 3), 2), (100000, ctx.choose(20, 6), ctx.choose(4, 1)), (500000, ctx.choose(6, 2), 1))
    ours, theirs, rows = {}, {}, []
    with Room(500000):
        for sessions, mine, other in sizes:
            ours[sessions] = switches(ctx, True, sessions, mine, (False, True))
            theirs[sessions] = switches(ctx, False, sessions, other, (False,)) if other else []
    small = median(known(ours[1000], "vip_ms", planned=False))
    for sessions in ours:
        ms = known(ours[sessions], "vip_ms", planned=False)
        met = median(ms) < 5 and (sessions < 500000 or median(ms) <= 1.5 * small)
        commit = known(theirs[sessions], "commit_ms")
        rows.append(Row("a", "decision -> VIP up with %d sessions (process death)" % sessions,
                        "< 5 ms" + (", <= 1.5 x of 1000" if sessions == 500000 else ""), cell(ms, 2),
                        "addresses %s, sessions usable %s" % (cell(known(theirs[sessions], "vip_ms"), 1), cell(commit, 0)),
                        met, {"keeptrackd": ours[sessions], "conntrackd": theirs[sessions]}))
    hundred, others = ours[100000], theirs[100000]

    def harm(runs):
        return "%d wrong ports, %d resets, %d of %d idle connections dead" % (
            sum(known(runs, "moved")), sum(known(runs, "reset")), sum(known(runs, "dead")), IDLE * len(runs))

    rows.append(Row("a", "datagrams with a wrong NAT port, TCP resets in %d takeovers at 100000 sessions (theirs: %d)" % (
        len(hundred), len(others)), "0", harm(hundred), harm(others),
        not any(r["moved"] or r["reset"] or r["dead"] for r in hundred)))
    planned = [r for r in hundred if r["planned"]]
    rows.append(Row("a", "planned switch at 100000 sessions, 1000 datagrams/s: gap, lost", "< 5 ms, 0",
                    "%s, %d lost; without a switch %s" % (cell(known(planned, "gap_ms"), 1), sum(known(planned, "lost")),
                                                          cell(known(planned, "still_ms"), 1)), "",
                    median(known(planned, "gap_ms")) < 5 and sum(known(planned, "lost")) == 0))
    return rows


# ---------------------------------------------------------------- h: window scale

def rate(stream, begin_ns, end_ns):
    """Bytes per second of the stream between two instants."""
    slots = [b for i, b in enumerate(stream["bytes"])
             if begin_ns <= stream["begin_ns"] + i * stream["slot_ns"] < end_ns]
    return sum(slots) * 1e9 / max(1, len(slots)) / stream["slot_ns"]


def stream_once(duo, strip):
    """One TCP stream through a takeover: its rate 1 to 2 s after, as a share of the second before."""
    master, standby = duo.ready()
    push = duo.lab["client"].spawn(duo.lab.tool("labflow"), "push", SERVER, str(SINK_PORT), "5", stdout=subprocess.PIPE)
    time.sleep(1.8)
    if strip:
        done = json.loads(duo.lab[standby].run(duo.lab.tool("labct"), "strip", str(SINK_PORT)))
        if done["stripped"] < 1:
            raise LabError("the standby has no copy of the stream to strip: %s" % done)
    since = now_ns()
    duo.stack.kill(master, everything=False)
    wait_for("the takeover", lambda: duo.stack.is_master(standby), 10, 0.002)
    took = now_ns()
    out, _ = push.communicate(timeout=30)
    stream = json.loads(out)
    duo.again(master, False)
    before, after = rate(stream, since - 1e9, since), rate(stream, took + 1e9, took + 2e9)
    return {"before_mbit": before * 8e-6, "after_mbit": after * 8e-6, "share": after / before if before else 0.0}


def part_h(ctx):
    with Room(1000):
        duo = Duo(ctx.build, True, 1000, traffic=False)
        try:
            for name in ("client", "server"):
                duo.lab[name].run(duo.lab.tool("labflow"), "plain", "eth0")
            duo.lab["server"].spawn(duo.lab.tool("labflow"), "sink", str(SINK_PORT), log="sink")
            wait_for("the sink", lambda: ":%d" % SINK_PORT in duo.lab["server"].run("ss", "-Hltn"), 5)
            runs = []
            for _ in range(ctx.choose(10, 3)):
                runs.append(stream_once(duo, False))
                ctx.say("stream: %s" % runs[-1])
            control = [stream_once(duo, True) for _ in range(ctx.choose(2, 1))]
            ctx.say("without scales and flags: %s" % control)
        finally:
            duo.close()
    good = sum(r["share"] >= 0.8 for r in runs)
    stalled = all(r["share"] < 0.1 for r in control)
    return [Row("h", "TCP stream with window scale across a takeover, strict rules: rate after / before",
                ">= 0.8, %d of %d" % (len(runs), len(runs)), "%d of %d (lowest %.2f, before %.2f Gbit/s)" % (
                    good, len(runs), min(r["share"] for r in runs), median([r["before_mbit"] for r in runs]) / 1e3), "",
                good == len(runs), {"runs": runs, "control": control}),
            Row("h", "  control: copy without scales and flags", "stalls", ", ".join("%.2f" % r["share"] for r in control),
                "", stalled)]
