"""Parts a, b and c: how long packets through a tunnel are lost, seen by an echo every 2 ms.

The address has moved when the new master's first announcement of it is on the wire; the outage ends with the first answer.
What lies before is detection, which is the protocol's and the same for everybody.
"""

import os
import time

from conf import text
from incumbent import Incumbent
from ipsec import Tunnel
from keeptrackd import Daemon
from lab import ROUTERS, VIP_WAN, now_ns, wait_for
from measure import Row, cell, median
from vpnsite import Echoes, Site

A, B = ROUTERS
RATE = 500
STEP_MS = 1000 / RATE
# 3 s without an answer, then three transmissions of 3 s each, as in the seed: dpd 3 s, retransmission 3 s, 2 tries.
DPD = (3.0, 1.0, 2)
KINDS = (("IKEv2 PSK", Tunnel("psk", 1), 10), ("IKEv2 certificates", Tunnel("cert", 3, peer="203.0.113.29", auth="cert"), 10),
         ("IKEv1 main mode PSK", Tunnel("main", 2, peer="203.0.113.19", version=1), 10),
         ("IKEv2 PSK, warm", Tunnel("warm", 4, peer="203.0.113.39", warm=True, far_end={"unique": "never"}), 5))
SCRIPT = """#!/bin/sh
export STRONGSWAN_CONF=%(strongswan)s
case "$1" in
primary)
    exec swanctl --initiate --ike %(name)s --child %(name)s --timeout 5 --uri unix:///run/charon.vici ;;
backup)
    exec swanctl --terminate --ike %(name)s --force --timeout 0 --uri unix:///run/charon.vici ;;
esac
"""


class Ours:
    """keeptrackd on both routers, with one tunnel."""

    label = "keeptrackd"

    def __init__(self, site, tunnel):
        self.site, self.tunnel = site, tunnel

    def start(self, name=None):
        for router in [name] if name else ROUTERS:
            if router not in self.site.daemons:
                self.site.daemons[router] = Daemon(self.site.lab, router, conf="")
            self.site.daemons[router].write_conf(text(self.site.conf(router, [self.tunnel])))
            self.site.daemons[router].start()
            if router == A:
                self.site.wait_master(A)

    def up(self, name):
        self.site.wait_up(name, self.tunnel.name)
        if self.tunnel.warm:
            wait_for("a warm IKE SA on the standby", lambda: "ESTABLISHED" in self.site.charons[self.site.other(name)].list_sas(
                self.tunnel.name + "-warm"), 10)

    def ready(self):
        self.site.wait_ready(B)

    def freeze(self, name):
        self.site.daemons[name].signal(19)

    def kill(self, name):
        self.site.daemons[name].kill()

    def planned(self, name):
        self.site.planned(name)

    def rejoin(self, name):
        """It runs on as the standby."""

    def stop(self):
        self.site.stop_daemons()
        for name in ROUTERS:  # the guardian of a killed one has to be gone before the next start
            end_guardians(self.site.lab[name])


class Script:
    """keepalived on both routers; script: it asks the IKE daemon for the tunnel when the role comes."""

    label = "keepalived"

    def __init__(self, site, tunnel, script=True):
        self.site, self.tunnel, self.script = site, tunnel, script
        self.stack = Incumbent(site.lab, site.charons, sync=False)
        for name in ROUTERS:
            path = os.path.join(site.lab[name].dir, "primary-backup.sh")
            with open(path, "w", encoding="ascii") as f:
                f.write(SCRIPT % {"strongswan": site.charons[name].env["STRONGSWAN_CONF"], "name": tunnel.name}
                        if script else "#!/bin/sh\nexit 0\n")

    def start(self, name=None):
        for router in [name] if name else ROUTERS:
            self.stack.start(router)
            if router == A:
                self.site.wait_master(A)

    def up(self, name):
        if not self.script:
            self.site.charons[name].initiate(self.tunnel.name)
        wait_for("the tunnel", lambda: self.site.charons[name].tunnel_up(self.tunnel.name), 10)

    def ready(self):
        time.sleep(0.3)  # a backup that has heard a few adverts

    def freeze(self, name):
        self.stack.freeze(name)

    def kill(self, name):
        self.stack.kill(name)

    def planned(self, name):
        self.stack.planned(name)

    def rejoin(self, name):
        self.stack.rejoin(name)

    def stop(self):
        self.stack.stop()


def end_guardians(machine):
    for pid in machine.pids():
        try:
            with open("/proc/%d/comm" % pid, encoding="ascii") as f:
                if f.read().startswith("keeptrackd"):
                    os.kill(pid, 9)
        except (FileNotFoundError, ProcessLookupError):
            pass


def clean(site, name):
    """The router as after a boot, without daemons."""
    machine = site.lab[name]
    end_guardians(machine)
    site.lab.reboot(name)
    site.charons[name].stop()
    if name in site.down:
        site.lab.plug(name)
        site.down.discard(name)


def fresh_ike(site, far=True):
    """charon everywhere as if just booted: nothing of an earlier run is left in any of them."""
    names = list(site.charons) if far else list(ROUTERS)
    for name in names:
        site.charons[name].stop()
    site.start_ike(*names)


def moved(site, new, since):
    """When the address was announced by the router that has it now."""
    wan = site.lab.capture("br-wan")
    return wait_for("the announcement of " + new, lambda: wan.find(
        "garp", since, mac=site.lab.mac(new, "wan0"), ip=VIP_WAN)[0]["t_ns"], 3)


def crash_once(site, stack, seconds=10.0):
    """{"after": ms after the address moved, "whole": ms of silence, "lost": echoes} of one power failure."""
    echoes = None
    try:
        fresh_ike(site)
        site.lab.capture("br-wan")
        stack.start()
        stack.up(A)
        stack.ready()
        echoes = Echoes(site, [stack.tunnel], RATE, prompt=True)
        echoes.wait_flowing()
        time.sleep(0.3)
        since = echoes.mark()
        stack.freeze(A)
        site.charons[A].freeze()
        site.lab.cut(A)
        site.down.add(A)
        stack.kill(A)
        site.charons[A].stop()
        at = moved(site, B, since)
        wait_for("echoes through " + B, echoes_after(echoes, stack.tunnel.name, at), seconds, 0.02)
        time.sleep(0.3)
        report = echoes.report()["udp"][stack.tunnel.name]
        back = report["gap_begin_ns"] + report["gap_ns"]
        return {"after": (back - at) / 1e6, "whole": report["gap_ns"] / 1e6, "lost": report["lost"]}
    finally:
        stack.stop()
        if echoes:
            echoes.close()
        for name in ROUTERS:
            clean(site, name)


def echoes_after(echoes, name, at):
    """Has an echo come back since the address moved?"""
    def look():
        flow = echoes.report()["udp"][name]
        return now_ns() - flow["silence_ns"] > at + 1000000
    return look


def both(samples, key):
    return [s[key] for s in samples]


def part_a(ctx):
    rows, runs = [], ctx.choose(5, 2)
    with Site(ctx.build, [t for _, t, _ in KINDS]) as site:
        for title, tunnel, goal in KINDS:
            found = {"keeptrackd": [], "keepalived": []}
            for _ in range(runs):
                for stack in (Ours(site, tunnel),) + (() if tunnel.warm else (Script(site, tunnel),)):
                    found[stack.label].append(crash_once(site, stack))
            ours, theirs = found["keeptrackd"], found["keepalived"]
            rows.append(Row("a", "crash, %s: outage after the address moved" % title, "<= %d ms" % goal,
                            cell(both(ours, "after")), cell(both(theirs, "after")), median(both(ours, "after")) <= goal, found))
            rows.append(Row("a", "  with detection, at 100 ms adverts", "", cell(both(ours, "whole"), 0),
                            cell(both(theirs, "whole"), 0), None))
            ctx.say("%s: %s" % (title, {k: [round(x, 1) for x in both(v, "after")] for k, v in found.items()}))
    rows.append(dpd_row(ctx))
    return rows


def dpd_row(ctx):
    """Nobody initiates; the peer detects and renegotiates: 3 s, and 3 transmissions of 3 s, as the seed's users set it."""
    tunnel = Tunnel("dpd", 1, far_end={"dpd_delay": "3s"}, far_child={"dpd_action": "start"})
    took = []
    with Site(ctx.build, [tunnel], retransmit=DPD) as site:
        for _ in range(ctx.choose(5, 1)):
            took.append(crash_once(site, Script(site, tunnel, script=False), 30.0)["after"] / 1000)
    ctx.say("dead peer detection alone: %s" % took)
    return Row("a", "crash, IKEv2 PSK: the peer's dead peer detection alone (3 s x 3)", "", "-", cell(took, 1, " s"), None,
               {"dpd": took})


# ---------------------------------------------------------------- b: planned switch

def planned_samples(site, stack, runs):
    """[{"lost", "gap", "after"}] of the role going there and back."""
    found, echoes = [], None
    try:
        fresh_ike(site)
        site.lab.capture("br-wan")
        stack.start()
        stack.up(A)
        stack.ready()
        echoes = Echoes(site, [stack.tunnel], RATE, prompt=True)
        old, new = ROUTERS
        for _ in range(runs):
            echoes.wait_flowing()
            if isinstance(stack, Ours):
                site.wait_ready(new)
            stack.up(old) if isinstance(stack, Ours) else None  # pylint: disable=expression-not-assigned
            time.sleep(0.4)
            since = echoes.mark()
            stack.planned(old)
            at = moved(site, new, since)
            wait_for("echoes through " + new, echoes_after(echoes, stack.tunnel.name, at), 10, 0.02)
            time.sleep(0.5)
            report = echoes.report()["udp"][stack.tunnel.name]
            found.append({"lost": report["lost"], "outage": max(0.0, report["gap_ns"] / 1e6 - STEP_MS),
                          "after": (report["gap_begin_ns"] + report["gap_ns"] - at) / 1e6})
            stack.rejoin(old)
            if not isinstance(stack, Ours) and old == A:  # keepalived takes the role back by its priority
                wait_for("fw-a to have the role again", lambda: site.masters() == [A], 5)
                echoes.wait_flowing()
                time.sleep(1.0)
            else:
                old, new = new, old
        return found
    finally:
        stack.stop()
        if echoes:
            echoes.close()
        for name in ROUTERS:
            clean(site, name)


def part_b(ctx):
    rows, runs = [], ctx.choose(5, 2)
    with Site(ctx.build, [t for _, t, _ in KINDS]) as site:
        for title, tunnel, goal in (KINDS[0], KINDS[3]):
            ours = planned_samples(site, Ours(site, tunnel), runs)
            theirs = [] if tunnel.warm else planned_samples(site, Script(site, tunnel), runs)
            limit = 2 if tunnel.warm else goal
            rows.append(Row("b", "planned switch, %s: outage" % title, "<= %d ms" % limit, cell(both(ours, "outage")),
                            cell(both(theirs, "outage")), median(both(ours, "outage")) <= limit,
                            {"keeptrackd": ours, "keepalived": theirs}))
            rows.append(Row("b", "  echoes lost, one every 2 ms", "<= 1" if tunnel.warm else "", cell(both(ours, "lost"), 0, ""),
                            cell(both(theirs, "lost"), 0, ""), median(both(ours, "lost")) <= 1 if tunnel.warm else None))
            ctx.say("%s: ours %s, theirs %s" % (title, ours, theirs))
    return rows


# ---------------------------------------------------------------- c: the first stale packet

def usurp(site, tunnel):
    """The other router takes the address for a moment, as in a split brain, and negotiates: the peer now uses an SA that
    the master does not have. Returns the instant at which the address is announced by the master again."""
    other = site.lab[B]
    other.ip("addr add %s/24 dev wan0" % VIP_WAN)
    other.run("arping", "-U", "-c", "1", "-w", "1", "-I", "wan0", VIP_WAN, check=False)
    site.charons[B].initiate(tunnel.name)
    site.charons[B].freeze()
    other.ip("addr del %s/24 dev wan0" % VIP_WAN)
    wan, since = site.lab.capture("br-wan"), now_ns()
    site.lab[A].run("arping", "-U", "-c", "1", "-w", "1", "-I", "wan0", VIP_WAN, check=False)
    site.charons[B].stop()
    return wait_for("the announcement of fw-a", lambda: wan.find(
        "garp", since, mac=site.lab.mac(A, "wan0"), ip=VIP_WAN)[0]["t_ns"], 3)


def part_c(ctx):
    """The peer sends every 2 ms; the address is ours; the SA is unknown: until the first answer."""
    tunnel = KINDS[0][1]
    took = []
    with Site(ctx.build, [tunnel]) as site:
        stack = Ours(site, tunnel)
        site.lab.capture("br-wan")
        site.start_ike()
        stack.start()
        stack.up(A)
        stack.ready()
        echoes = Echoes(site, [tunnel], RATE, inward=True, prompt=True)
        for _ in range(ctx.choose(5, 2)):
            # The watch is open after a promotion; a peer is reset at most once in 5 s.
            site.wait_ready(B)
            site.planned(A)
            site.wait_master(B)
            site.wait_ready(A)
            site.planned(B)
            site.wait_master(A)
            site.wait_up(A, tunnel.name)
            echoes.wait_flowing()
            site.daemons[B].stop()
            time.sleep(5.2)
            echoes.mark()
            at = usurp(site, tunnel)
            wait_for("echoes again", echoes_after(echoes, tunnel.name, at), 10, 0.02)
            time.sleep(0.3)
            took.append((echoes.returned(tunnel.name) - at) / 1e6)
            site.start_ike(B)
            site.daemons[B].start()
        shown = site.tunnel(A, tunnel.name)
        echoes.close()
        stack.stop()
    ctx.say("stale packet: %s, %s" % (took, shown))
    return [Row("c", "the peer uses an SA of the other router (split brain): first stale packet -> first answer", "<= 20 ms", cell(took), "- (nothing reacts)",
                median(took) <= 20, {"keeptrackd": took})]
