"""Parts d, e and f: many tunnels, what IPsec costs a change of role, and how long our own part of a start takes."""

import re
import time

from conf import lab_conf, text
from fake_vici import FakeCharon
from ipsec import Tunnel
from keeptrackd import Daemon
from lab import Lab, ROUTERS, VIP_WAN, now_ns, wait_for
from measure import Row, cell, median
from part_ipsec_outage import clean, end_guardians, fresh_ike, moved
from vpnsite import Site

A, B = ROUTERS
MANY, FIRST = 200, 10
ESTABLISHED = re.compile(r"CHILD_SA (t\d+)\{\d+\} established")


def many():
    return [Tunnel("t%d" % n, n, peer="203.0.113.%d" % (40 + n), priority=1 if n > MANY - FIRST else 100)
            for n in range(1, MANY + 1)]


class LogTail:
    """When charon said first that a child is established, by name."""

    def __init__(self, charon):
        self.path = charon.dir + "/ike.log"
        with open(self.path, "rb") as f:
            f.seek(0, 2)
            self.at = f.tell()
        self.rest, self.seen = "", {}

    def look(self):
        with open(self.path, "rb") as f:
            f.seek(self.at)
            data = f.read()
        self.at += len(data)
        lines = (self.rest + data.decode(errors="replace")).split("\n")
        self.rest = lines.pop()
        now = now_ns()
        for line in lines:
            found = ESTABLISHED.search(line)
            if found:
                self.seen.setdefault(found.group(1), now)
        return len(self.seen)


def part_d(ctx):
    """All tunnels follow one address; ten of them are configured to be first."""
    tunnels = many()
    whole, first = [], []
    with Site(ctx.build, tunnels) as site:
        site.start_ike()
        site.lab.capture("br-wan")
        for i, name in enumerate(ROUTERS):
            site.daemons[name] = Daemon(site.lab, name, conf=text(site.conf(name))).start()
            if i == 0:
                site.wait_master(name)
        old, new = ROUTERS
        wait_for("all tunnels at the start", lambda: set(site.states(old).values()) == {"up"}, 60, 0.3)
        for _ in range(ctx.choose(5, 2)):
            site.wait_ready(new)
            tail = LogTail(site.charons[new])
            since = now_ns()
            site.planned(old)
            wait_for("all tunnels on " + new, lambda t=tail: t.look() >= MANY, 60, 0.005)
            at = moved(site, new, since)
            whole.append((max(tail.seen.values()) - at) / 1e6)
            first.append((max(tail.seen[t.name] for t in tunnels if t.ours["priority"] == 1) - at) / 1e6)
            wait_for("%s to say so" % new, lambda n=new: set(site.states(n).values()) == {"up"}, 20, 0.1)
            wait_for("%s to have none" % old, lambda o=old: set(site.states(o).values()) == {"idle"}, 20, 0.1)
            old, new = new, old
        site.stop_daemons()
    ctx.say("200 tunnels: all %s, first ten %s" % (whole, first))
    return [Row("d", "%d tunnels up after the address moved" % MANY, "<= 5000 ms", cell(whole, 0), "-", median(whole) <= 5000,
                {"all": whole, "first": first}),
            Row("d", "  the %d that come first" % FIRST, "<= 300 ms", cell(first, 0), "-", median(first) <= 300)]


# ---------------------------------------------------------------- e: what IPsec adds to a change of role

def promotions(site, runs, frozen):
    """ms from the decision to the first announcement on the wire, of planned switches to fw-b; charon there may be stopped."""
    took = []
    for _ in range(runs):
        site.wait_ready(B)
        if frozen:
            site.charons[B].freeze()
        since = now_ns()
        site.planned(A)
        at = moved(site, B, since)
        site.wait_master(B)
        real_minus_mono = time.clock_gettime_ns(time.CLOCK_REALTIME) - now_ns()
        entry = site.timeline(B)
        phases = {p["phase"]: p["offset_us"] for p in entry["phases"]}
        took.append((at - (entry["wall_us"] * 1000 - real_minus_mono) - phases["decide"] * 1000) / 1e6)
        if frozen:
            site.charons[B].thaw()
        site.wait_ready(A)
        if site.show(B)["tunnels"]:
            wait_for("everything on fw-b to be up", lambda: set(site.states(B).values()) == {"up"}, 30, 0.1)
        site.planned(B)
        site.wait_master(A)
        if site.show(A)["tunnels"]:
            wait_for("everything on fw-a to be up", lambda: set(site.states(A).values()) == {"up"}, 30, 0.1)
            wait_for("nothing on fw-b", lambda: set(site.states(B).values()) == {"idle"}, 30, 0.1)
        time.sleep(0.5)
    return took


def part_e(ctx):
    """The same switch without IPsec, with it, with a stopped charon on the new master; one tunnel and many."""
    tunnels, runs = many(), ctx.choose(5, 2)
    found = {}
    with Site(ctx.build, tunnels) as site:
        site.start_ike()
        site.lab.capture("br-wan")
        for label, managed, frozen in (("none", [], False), ("1", tunnels[:1], False), ("1, charon stopped", tunnels[:1], True),
                                       ("200", tunnels, False), ("200, charon stopped", tunnels, True)):
            fresh_ike(site)
            for i, name in enumerate(ROUTERS):
                if name not in site.daemons:
                    site.daemons[name] = Daemon(site.lab, name, conf="")
                site.daemons[name].write_conf(text(site.conf(name, managed)))
                site.daemons[name].start()
                if i == 0:
                    site.wait_master(name)
            if managed:
                wait_for("the tunnels", lambda: set(site.states(A).values()) == {"up"}, 60, 0.2)
            found[label] = promotions(site, runs, frozen)
            site.stop_daemons()
            for name in ROUTERS:
                end_guardians(site.lab[name])
            ctx.say("%s: %s" % (label, found[label]))
        for name in ROUTERS:
            clean(site, name)
    base = median(found["none"])
    rows = [Row("e", "planned switch, decision -> address announced, without IPsec", "", cell(found["none"]), "-", None, found)]
    for label in ("1", "1, charon stopped", "200", "200, charon stopped"):
        more = median(found[label]) - base
        rows.append(Row("e", "  added by tunnels: %s" % label, "<= 5 ms", "%+.1f ms (%s)" % (more, cell(found[label])), "-",
                        more <= 5))
    return rows


# ---------------------------------------------------------------- f: our share

def part_f(ctx):
    """From the first announcement on the wire to the request in the hands of a charon that does nothing but look at its
    clock (so the wake-up of that process is in it, too)."""
    tunnel, share = Tunnel("psk", 1), []
    with Lab(ctx.build) as lab:
        daemons = {}
        wan = lab.capture("br-wan")
        with FakeCharon(lab[A]) as one, FakeCharon(lab[B]) as two:
            fakes = {A: one, B: two}
            for name in ROUTERS:
                conf = lab_conf(lab, name, replicate=True)
                conf["ipsec"] = {"tunnels": [tunnel.conf()]}
                daemons[name] = Daemon(lab, name, conf=text(conf)).start()
                wait_for("fw-a to be master", daemons[A].has_vips, 10)
            old, new = ROUTERS
            for _ in range(ctx.choose(10, 5)):
                wait_for("a ready standby", lambda n=new: daemons[n].ask("show failover status")["groups"][0]["ready"], 20)
                since = now_ns()
                daemons[old].ask("force failover")
                at = wait_for("the announcement", lambda n=new, s=since: wan.find(
                    "garp", s, mac=lab.mac(n, "wan0"), ip=VIP_WAN)[0]["t_ns"], 3)
                share.append((fakes[new].wait_for_command("initiate", since) - at) / 1e6)
                time.sleep(0.3)
                old, new = new, old
            for daemon in daemons.values():
                daemon.stop()
    ctx.say("announcement to request: %s" % share)
    return [Row("f", "our share: address announced -> request written", "<= 1 ms", cell(share, 2), "-", median(share) <= 1,
                {"keeptrackd": share})]
