"""Whoever answers at charon's socket: no role waits for him, memory stays bounded, and `show ipsec` says what he is."""

import pytest

from conf import lab_conf, text
from fake_vici import FakeCharon, MODES
from ipsec import Tunnel
from keeptrackd import Daemon
from lab import ROUTERS, VIP_LAN, VIP_WAN, wait_for

TUNNELS = [Tunnel("t%d" % n, n, peer="203.0.113.%d" % (100 + n)) for n in range(1, 9)]
# The table of the role allows the purge 5 ms; the rest is the fence, netlink, and a busy machine.
LATE_US = 250000
MEMORY_KB = 6 * 1024  # two connections, each with at most one segment of 512 KiB, and what the allocator keeps


def rss_kb(daemon):
    with open("/proc/%d/status" % daemon.process.pid, encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))


def promotion(daemon):
    entry = next(e for e in daemon.ask("show failover timeline")["transactions"]
                 if e["node"] == daemon.router and e["to"] == "MASTER")
    at = {p["phase"]: p["offset_us"] for p in entry["phases"]}
    return at["vip-up"] - at["decide"], entry


@pytest.fixture(name="routers")
def fixture_routers(lab):
    daemons = {}
    for name in ROUTERS:
        conf = lab_conf(lab, name, replicate=False)
        conf["ipsec"] = {"vici": "/run/charon.vici", "tunnels": [t.conf() for t in TUNNELS]}
        daemons[name] = Daemon(lab, name, conf=text(conf)).start()
    wait_for("fw-a to be master", daemons["fw-a"].has_vips, 10)
    return daemons


def test_hostile_charons(lab, routers):
    """Each kind on both routers, and a role change with each: the addresses move on time, in both directions."""
    old, new = ROUTERS
    for mode in MODES:
        memory = {}
        with FakeCharon(lab["fw-a"], mode) as one, FakeCharon(lab["fw-b"], mode) as two:
            for fake in (one, two):
                wait_for("the %s one to be connected to" % mode, lambda f=fake: f.connections > 0, 5)
            wait_for("fw-b and fw-a to be ready", lambda: routers[new].ask("show failover status")["groups"][0]["ready"], 10)
            memory = {name: rss_kb(routers[name]) for name in ROUTERS}
            routers[old].ask("force failover")
            wait_for("the role to go, with a %s charon" % mode,
                     lambda: lab[new].has_ip4(VIP_LAN, VIP_WAN) and not lab[old].has_ip4(VIP_WAN), 2, 0.005)
            took, entry = promotion(routers[new])
            assert took < LATE_US, (mode, entry)
            backend = routers[new].ask("show ipsec")["backend"]
            if mode in ("good", "bytes", "fat"):  # as long as a segment may be, and right
                wait_for("the initiations", lambda m=two if new == "fw-b" else one: sum(
                    c == "initiate" for _, c in list(m.commands)) >= len(TUNNELS), 5)
                assert routers[new].ask("show ipsec")["backend"]["up"], backend
            elif mode == "deep":  # each answer is whole, and none makes sense: as if it refused everything
                wait_for("refusals", lambda: any("refused" in t["reason"] for t in routers[new].ask("show ipsec")["tunnels"]), 5)
                assert "up" not in {t["state"] for t in routers[new].ask("show ipsec")["tunnels"]}
            else:
                wait_for("a %s charon to be no charon" % mode, lambda: not routers[new].ask("show ipsec")["backend"]["up"]
                         and routers[new].ask("show ipsec")["backend"]["error"], 5)
                assert set(t["state"] for t in routers[new].ask("show ipsec")["tunnels"]) <= {"absent", "purging", "checking"}
            for name in ROUTERS:
                grown = rss_kb(routers[name]) - memory[name]
                assert grown < MEMORY_KB, "%s: %d KiB more with a %s charon" % (name, grown, mode)
        old, new = new, old
    for name in ROUTERS:
        wait_for("nobody to be there", lambda n=name: routers[n].ask("show ipsec")["backend"]["state"] == "absent", 5)
        assert {t["state"] for t in routers[name].ask("show ipsec")["tunnels"]} == {"absent"}


def test_a_charon_becomes_bad_and_good_again(lab, routers):
    """The tunnels are asked for as soon as somebody answers who makes sense; nothing of the bad time remains."""
    daemon = routers["fw-a"]
    for mode in ("mute", "fat", "noise"):
        with FakeCharon(lab["fw-a"], mode) as bad:
            wait_for("two connections", lambda b=bad: b.connections >= 2, 10)
        with FakeCharon(lab["fw-a"]) as good:
            at = good.wait_for_command("version")
            good.wait_for_command("initiate", at)
            wait_for("all to be initiated", lambda g=good: sum(c == "initiate" for _, c in list(g.commands)) >= len(TUNNELS), 5)
            assert daemon.ask("show ipsec")["backend"]["version"] == "charon 5.9.8"
