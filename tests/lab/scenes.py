"""The scenes: what happens to the routers, what is measured, and what has to be true afterwards.

Detection is the protocol's time: from the old master's last advert to the new master's first one, both as captured on
the WAN bridge. Takeover is the new master's own work: from its decision (its journal says when; for a stack without a
journal its first advert) to the first packet that it forwards, as captured.
"""

import time

from lab import LabError, ROUTERS, now_ns, wait_for
from traffic import IDLE

VIP_GARP_MAX_NS = 1_000_000  # the journal's "VIP up" against the first GARP in the capture
GAP_MAX_NS = 1_500_000_000   # longer than this nobody calls a failover
DEAD_NS = 5_000_000_000      # the negative control: the tunnel stays dead at least this long


class Run:
    """One stack in one lab, with traffic through it."""

    def __init__(self, lab, stack, charons, traffic, screen):
        self.lab, self.stack, self.charons, self.traffic, self.screen = lab, stack, charons, traffic, screen
        self.wan, self.lan = lab.capture("br-wan"), lab.capture("br-lan")
        self.down = None  # the router that a crash left dead

    def other(self, router):
        return ROUTERS[1 - ROUTERS.index(router)]

    def master(self):
        masters = [r for r in ROUTERS if self.stack.is_master(r)]
        return masters[0] if len(masters) == 1 else None

    # ---- waiting, with the live lines

    def tick(self):
        roles = tuple(self.role(r) for r in ROUTERS)
        self.screen.live(lambda: [self.live_row(r, role) for r, role in zip(ROUTERS, roles)], roles)

    def role(self, router):
        if not self.stack.alive(router):
            return "dead"
        return "MASTER" if self.stack.is_master(router) else "backup"

    def live_row(self, router, role):
        word = role.ljust(6)
        word = self.screen.good(word) if role == "MASTER" else self.screen.bad(word) if role == "dead" else word
        return "%s  %s  %5d sessions in its kernel  %s" % (
            router, word, self.lab[router].session_count(), self.stack.remark(router))

    def pause(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.tick()
            time.sleep(min(0.05, max(0.0, end - time.monotonic())))

    def wait(self, what, probe, seconds, step=0.02):
        def looked():
            self.tick()
            return probe()
        return wait_for(what, looked, seconds, step)

    def settled(self, seconds=8.0, vpn=True):
        """Waits until all traffic flows again (or the deadline: then the report says what does not)."""
        def flows():
            r = self.traffic.report()
            udp = r["udp"]
            return (r["stream"]["silence_ns"] < 100e6 and udp["udp"]["silence_ns"] < 50e6
                    and (not vpn or udp["vpn"]["silence_ns"] < 100e6))
        try:
            self.wait("traffic to flow", flows, seconds, 0.05)
        except LabError:
            pass
        self.pause(0.5)

    def stable(self, seconds=30.0, still=1.5):
        """The one master, after nothing has changed for a while (a router that joins may take its role back)."""
        seen = {"master": None, "since": 0.0}

        def unchanged():
            master = self.master()
            if master != seen["master"]:
                seen.update(master=master, since=time.monotonic())
            return master if master and time.monotonic() - seen["since"] >= still else None
        return self.wait("exactly one master, and no change", unchanged, seconds)

    def ready(self, seconds=30.0):
        """One master, and a standby that holds every session."""
        master = self.stable(seconds)
        standby = self.other(master)
        if self.stack.alive(standby):
            self.wait("the standby to hold every session", lambda: self.stack.is_ready(standby), seconds, 0.2)
            self.stack.rest(standby)
        return master, standby

    # ---- measuring

    def measure(self, scene, since, old=None, new=None, vpn_from=None):
        """Everything known about the window that began at `since`."""
        report = self.traffic.report()
        idle = self.traffic.check_idle()
        stream = self.traffic.report()["stream"]
        udp, vpn = report["udp"]["udp"], report["udp"]["vpn"]
        result = {
            "scene": scene, "stack": self.stack.name, "from": old, "to": new,
            "detection_ns": None, "takeover_ns": None, "advert_to_forward_ns": None, "garp_offset_ns": None,
            "udp_sent": udp["sent"], "udp_lost": udp["lost"], "udp_gap_ns": udp["gap_ns"], "udp_moved": udp["moved"],
            "tcp_gap_ns": report["stream"]["gap_ns"], "vpn_lost": vpn["lost"],
            "vpn_outage_ns": vpn["gap_ns"], "idle_total": idle["total"], "idle_alive": idle["alive"],
            "stream_alive": stream["up"] and stream["silence_ns"] < 500e6 and not stream["disorder"],
            "stream_error": stream["error"],
            "rst": len(self.wan.find("rst", since)) + len(self.lan.find("rst", since)),
            "timeline": [], "checks": [],
        }
        if new:
            self.measure_switch(result, since, old, new)
        return result

    def measure_switch(self, result, since, old, new):
        old_mac, new_mac = self.lab.mac(old, "wan0"), self.lab.mac(new, "wan0")
        adverts = [e for e in self.wan.find("vrrp", since - 1_000_000_000) if e["vrid"] == 20]
        first = next((e for e in adverts if e["mac"] == new_mac and e["t_ns"] >= since), None)
        if first is None:
            return
        last = [e for e in adverts if e["mac"] == old_mac and e["priority"] > 0 and e["t_ns"] < first["t_ns"]]
        # Where the routers work together nothing has to be detected.
        if last and result["scene"] not in ("planned switch", "return"):
            result["detection_ns"] = first["t_ns"] - last[-1]["t_ns"]
        decided = first["t_ns"]
        garps = self.wan.find("garp", since, mac=new_mac) + self.lan.find(
            "garp", since, mac=self.lab.mac(new, "lan0"))
        garp = min((e["t_ns"] for e in garps), default=None)
        timeline = self.stack.timeline(new, since)
        if timeline:
            at = timeline["at_ns"]
            decided = at.get("decide", decided)
            result["timeline"] = sorted(([int(t - decided), name] for name, t in at.items()), key=lambda p: p[0])
            if garp is not None and "vip-up" in at:
                result["garp_offset_ns"] = int(garp - at["vip-up"])
        elif self.stack.journal:
            result["checks"].append(["the new master's journal has the switch", False])
        forwards = [e for e in self.wan.find("forward", since, traffic="udp", mac=new_mac)]
        if forwards:
            result["takeover_ns"] = int(forwards[0]["t_ns"] - decided)
            result["advert_to_forward_ns"] = forwards[0]["t_ns"] - first["t_ns"]
        seen = [["last advert of " + old, last[-1]["t_ns"]] if last else None, ["first advert of " + new, first["t_ns"]],
                ["first GARP of " + new, garp] if garp else None,
                ["first packet forwarded by " + new, forwards[0]["t_ns"]] if forwards else None]
        result["capture"] = [[int(t - decided), name] for name, t in filter(None, seen)]

    def judge(self, result, vpn_max_ns=2_000_000_000):
        """What has to hold in every scene."""
        checks = result["checks"]
        checks.append(["all %d idle connections answer (%d)" % (result["idle_total"], result["idle_alive"]),
                       result["idle_alive"] == result["idle_total"] == IDLE])
        checks.append(["the TCP stream goes on, nothing missing or twice", bool(result["stream_alive"])])
        checks.append(["no TCP reset in the capture (%d)" % result["rst"], result["rst"] == 0])
        checks.append(["no datagram left with another NAT port (%d)" % result["udp_moved"], result["udp_moved"] == 0])
        checks.append(["longest gap below %.1f s" % (GAP_MAX_NS / 1e9), result["udp_gap_ns"] < GAP_MAX_NS])
        checks.append(["the tunnel is back within %.0f s" % (vpn_max_ns / 1e9), result["vpn_outage_ns"] < vpn_max_ns])
        if self.stack.journal and result["to"]:
            offset = result["garp_offset_ns"]
            checks.append(["the journal's VIP up is within 1 ms of the first GARP",
                           offset is not None and abs(offset) <= VIP_GARP_MAX_NS])
        result["ok"] = all(ok for _, ok in checks)
        return result


# ---------------------------------------------------------------- what happens

def crash_now(run, router):
    """Power failure: the links first, so that no reset and no priority-0 advert can help, then SIGKILL.
    The processes stand still while the links go one after the other: in a power failure they would not react either."""
    run.stack.freeze(router)
    run.charons[router].freeze()
    run.lab.cut(router)
    run.stack.kill(router)
    run.charons[router].stop()
    run.down = router


def scene_planned(run):
    old, new = run.ready()
    since = run.traffic.mark()
    run.pause(0.5)
    run.stack.planned(old)
    run.wait("%s to be master" % new, lambda: run.stack.is_master(new) and not run.stack.is_master(old), 5)
    run.settled()
    result = run.judge(run.measure("planned switch", since, old, new))
    run.stack.rejoin(old)
    return result


def scene_crash(run):
    old, new = run.ready()
    since = run.traffic.mark()
    run.pause(0.5)
    crash_now(run, old)
    run.wait("%s to be master" % new, lambda: run.stack.is_master(new), 10)
    run.settled()
    return run.judge(run.measure("crash", since, old, new))


def scene_return(run):
    if run.down is None:
        old = run.ready()[0]
        crash_now(run, old)
        run.wait("%s to be master" % run.other(old), lambda: run.stack.is_master(run.other(old)), 10)
        run.settled()
    back, present = run.down, run.other(run.down)
    since = run.traffic.mark()
    run.pause(0.3)
    run.stack.clear_dead(back)
    run.lab.reboot(back)
    run.lab.plug(back)
    run.charons[back].start()
    run.stack.start(back)
    run.down = None
    run.wait("%s to hold every session" % back, lambda: run.stack.is_ready(back) or run.master() == back, 20, 0.1)
    # It takes its role back if it may (priority, preemption): then that switch is part of the scene.
    took = True
    try:
        # Only the router with the higher priority has a reason to; the other is watched for a moment.
        run.wait("%s to take its role back" % back, lambda: run.master() == back, 8 if back == ROUTERS[0] else 2)
    except LabError:
        took = False
        run.wait("exactly one master", run.master, 5)
    run.settled()
    result = run.measure("return", since, *((present, back) if took else ()))
    result["from"], result["to"] = (present, back) if took else (None, None)
    result["remark"] = "%s took its role back" % back if took else "%s stays the standby" % back
    return run.judge(result)


def scene_death(run):
    old, new = run.ready()
    since = run.traffic.mark()
    run.pause(0.5)
    run.stack.kill(old, everything=False)
    run.wait("%s to be master" % new, lambda: run.stack.is_master(new), 10)
    run.settled()
    result = run.judge(run.measure("process death", since, old, new))
    run.stack.restart_dead(old)
    run.wait("%s to have joined again" % old, lambda: run.stack.is_ready(old) or run.master() == old, 20, 0.1)
    return result


def scene_dpd(run):
    run.ready()
    peer = run.charons["peer"]
    since = run.traffic.mark()
    run.pause(0.5)
    peer.stop()
    peer.start()
    run.wait("the tunnel to be noticed dead and renewed",
             lambda: run.traffic.flowing("vpn") and run.charons["peer"].tunnel_up(), 20, 0.1)
    run.settled()
    result = run.measure("peer restarts", since)
    return run.judge(result, vpn_max_ns=10_000_000_000)


def scene_control(run):
    """The negative control: the same crash without replication and without our IPsec work has to hurt."""
    old = run.stable()
    new = run.other(old)
    since = run.traffic.mark()
    run.pause(0.5)
    crash_now(run, old)
    run.wait("%s to be master" % new, lambda: run.stack.is_master(new), 10)
    took = now_ns()
    run.pause((DEAD_NS + 500_000_000) / 1e9)
    result = run.measure("control", since, old, new)
    silence = run.traffic.report()["udp"]["vpn"]["silence_ns"]
    result["vpn_outage_ns"] = max(result["vpn_outage_ns"], silence)
    dead_after = result["vpn_outage_ns"] if silence >= now_ns() - took else 0
    result["checks"] = [
        ["without replication every idle connection is dead (%d of %d alive)"
         % (result["idle_alive"], result["idle_total"]), result["idle_alive"] == 0],
        ["without replication the TCP stream is dead", not result["stream_alive"]],
        ["without our IPsec work the tunnel stays dead for more than 5 s", dead_after > DEAD_NS],
        ["the routers themselves did switch (UDP flows again)", run.traffic.flowing("udp")],
    ]
    result["ok"] = all(ok for _, ok in result["checks"])
    return result


SCENES = {
    "planned": (scene_planned, "the operator moves the role on purpose"),
    "crash": (scene_crash, "the master loses all links and power"),
    "return": (scene_return, "the dead router boots again"),
    "death": (scene_death, "the master's daemon is killed, its kernel lives on"),
    "dpd": (scene_dpd, "the far end of the VPN crashes and restarts, knowing nothing"),
}
