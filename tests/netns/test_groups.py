"""Groups among two and three real routers: who follows, what is said of two masters, arbitration, maintenance, deaths."""

import os
import signal
import statistics

import pytest

from conf import lab_conf, text
from cluster import VIPS, cluster, instances, isolate, settled, wait_role, wait_standby
from conftest import build_dir, sanitizer_reports
from keeptrackd import Daemon
from lab import VIP_LAN, VIP_WAN, now_ns, wait_for
from rig import Rig, Theirs, Vr
from traffic import Traffic


@pytest.fixture
def make_rig():
    made = []

    def make(routers=("a", "b"), segments=3):
        made.append(Rig(build_dir(), segments=segments, routers=routers, ipv6=False))
        return made[-1]
    yield make
    found = [report for rig in made for report in sanitizer_reports(rig)]
    for rig in made:
        rig.close()
    assert not found, "\n".join(found)


def spoke(taps, rig, name, since):
    """Adverts of this router as a master."""
    return [a for s, tap in taps.items() for a in tap.vrrp(since, mac=rig.mac(name, s)) if a.priority > 0]


def last_entry(node, to):
    return next(e for e in node.ask("show failover history", limit=20)["entries"]
                if e["node"] == node.name and e["to"] == to)


# ---- three routers

PRIORITY = {"a": 150, "b": 100, "c": 120}


def test_of_three_the_fittest_follows(make_rig):
    """However the master goes: the ready node with the highest priority takes over, the third one never speaks."""
    rig = make_rig(("a", "b", "c"))
    nodes = cluster(rig, priority=PRIORITY)
    taps = {s: rig.tap(s) for s in (1, 2)}
    a, c = nodes["a"], nodes["c"]
    for how, reason in (("stop", "stop"), ("death", "peerProcessDied"), ("fault", "peerLeaving"), ("crash", None)):
        settled(nodes, "a")
        begin = now_ns()
        if how == "stop":
            a.stop()
        elif how == "death":
            a.process.send_signal(signal.SIGKILL)
            a.process.wait()
        elif how == "fault":
            rig["a"].ip("link set eth1 down")
        else:
            a.crash()
        wait_role(c, "MASTER", 3)
        wait_for("c's addresses", lambda: c.holds(*VIPS), 2, 0.01)
        assert nodes["b"].is_role("BACKUP")
        assert not spoke(taps, rig, "b", begin), how
        entry = last_entry(c, "MASTER")
        assert reason is None or entry["reason"] in (reason, "peerLeaving"), (how, entry)
        if how == "fault":
            rig["a"].ip("link set eth1 up", "addr replace %s/16 dev eth1" % rig.address("a", 1))
        else:
            if how == "crash":
                rig.clean("a")
                rig.plug("a")
            a.start()
    settled(nodes, "a")
    assert not any(n.status()["counters"]["split_brains"] for n in nodes.values())


def test_three_and_one_of_them_is_keepalived(make_rig):
    rig = make_rig(("a", "b", "c"))
    priority = {"a": 150, "b": 100, "c": 50}
    nodes = cluster(rig, names=("a", "b"), priority=priority)
    theirs = Theirs(rig, "c", instances(0.1, priority), group="edge")
    theirs.start()
    taps = {s: rig.tap(s) for s in (1, 2)}
    settled(nodes, "a")
    begin = now_ns()
    nodes["a"].stop()
    wait_role(nodes["b"], "MASTER", 3)
    assert not spoke(taps, rig, "c", begin)
    nodes["b"].die()
    wait_for("keepalived to take over", lambda: theirs.holds(*VIPS), 5)
    # The dead router's kernel still has them; they go when it starts and hears the other master.
    for name in ("b", "a"):
        nodes[name].start()
    settled(nodes, "a")
    wait_for("keepalived to give them back", lambda: not theirs.holds(VIPS[0]) and not theirs.holds(VIPS[1]), 5)
    assert nodes["a"].holds(*VIPS) and not nodes["b"].holds(VIPS[0])


# ---- two masters, and none of it with arbitrate

@pytest.mark.parametrize("arbitrate", [False, True])
def test_segments_cut_with_the_channel_alive(make_rig, arbitrate):
    rig = make_rig()
    nodes = cluster(rig, arbitrate=arbitrate)
    a, b = nodes["a"], nodes["b"]
    settled(nodes, "a")
    taps = {s: rig.tap(s) for s in (1, 2)}
    begin = now_ns()
    isolate(rig, (1, 2), ("a", "b"))
    if arbitrate:
        cut = wait_for("b to arbitrate", lambda: [g for g in b.status()["groups"] if g["arbitrating_us"] is not None], 3)
        assert [d["interface"] for d in cut[0]["deaf"]] == ["eth1", "eth2"]
        wait_for("some intervals", lambda: b.first()["arbitrating_us"] > 1500000, 3)
        assert a.holds(*VIPS) and not b.holds(VIPS[0]) and not b.holds(VIPS[1])
        assert not spoke(taps, rig, "b", begin)
        assert b.status()["counters"]["arbitrations"] == 1
        assert "eth1" in b.log() and "these segments are cut" in b.log()
        status, out = b.ktsh("show", "failover", "status")
        assert status == 0 and "arbitrating for" in out, out
        # The channel goes as well: the protocol's own rules count again.
        rig["switch"].ip("link set %s nomaster" % rig.port("a", 3))
        wait_role(b, "MASTER", 3)
        rig["switch"].ip("link set %s master br3" % rig.port("a", 3))
    else:
        wait_role(b, "MASTER", 3)
        for node, other, priority in ((a, "b", 100), (b, "a", 150)):
            split = wait_for("%s to name it" % node.name, lambda n=node: n.first()["split_brain"], 3)
            assert split["node"] == other and split["priority"] == priority and split["segments"] == [], split
            assert "split brain" in node.log()
            status, out = node.ktsh("show", "failover", "status")
            assert status == 0 and "SPLIT BRAIN" in out, out
    isolate(rig, (1, 2), ("a", "b"), on=False)
    settled(nodes, "a")
    wait_for("b to give its addresses back", lambda: not b.holds(VIPS[0]) and not b.holds(VIPS[1]), 3)
    assert b.first()["deaf"] == [] and b.first()["arbitrating_us"] is None
    for node in (a, b):
        wait_for("the end of it on " + node.name, lambda n=node: n.first()["split_brain"] is None, 3)
    if not arbitrate:
        assert all(n.status()["counters"]["split_brains"] == 1 for n in (a, b))
        assert all("split brain ended" in n.log() for n in (a, b))


def test_a_second_master_without_a_channel_is_named(make_rig):
    """A router that was alone and hears the other one again: who, with which priority, on which segment."""
    rig = make_rig()
    nodes = cluster(rig)
    theirs_too = Vr("lan", 1, 10, ["10.1.0.1/16"], 0.1, {"a": 90, "b": 90})
    settled(nodes, "a")
    nodes["b"].stop()
    rig["b"].run("sh", "-c", "rm -rf /run/keeptrackd")
    ka = Theirs(rig, "b", [theirs_too])
    isolate(rig, (1,), ("a", "b"))
    ka.start()
    wait_for("keepalived to be master of its own", lambda: ka.holds(VIPS[0]), 5)
    assert nodes["a"].first()["split_brain"] is None
    # Heard one way only: the other one is never answered, and stays.
    rig["b"].run("nft", "-f", "-", text="table ip deaf {\nchain input {\ntype filter hook input priority 0;\n"
                 "ip protocol vrrp drop;\n}\n}\n")
    isolate(rig, (1,), ("a", "b"), on=False)
    split = wait_for("a to name it", lambda: nodes["a"].first()["split_brain"], 3)
    assert split["address"] == rig.address("b", 1) and split["priority"] == 90 and split["node"] == "", split
    assert [s["interface"] for s in split["segments"]] == ["eth1"], split
    rival = {i["name"]: i["rival"] for i in nodes["a"].ask("show vrrp")["instances"]}
    assert rival["lan"]["address"] == rig.address("b", 1) and rival["wan"] is None
    assert rig.address("b", 1) + " with priority 90 is master of lan" in nodes["a"].log()
    ka.stop()
    wait_for("the end to be named", lambda: "split brain ended" in nodes["a"].log(), 3)
    assert nodes["a"].first()["split_brain"] is None and nodes["a"].is_role("MASTER")


# ---- maintenance

def test_maintenance(make_rig):
    rig = make_rig()
    nodes = cluster(rig, names=("a", "b"), start=False)
    a, b = nodes["a"], nodes["b"]
    a.start()
    wait_role(a, "MASTER")
    status, out = a.ktsh("maintenance", "enter")
    assert status == 1 and "no other node is ready to take group edge over" in out, out
    assert a.is_role("MASTER") and not a.status()["maintenance"]
    b.start()
    settled(nodes, "a")

    taps = {s: rig.tap(s) for s in (1, 2)}
    begin = now_ns()
    status, out = a.ktsh("maintenance", "enter", "persistent")
    assert status == 0 and "also after a restart" in out, out
    wait_role(b, "MASTER", 3)
    assert last_entry(b, "MASTER")["kind"] == "planned" and last_entry(b, "MASTER")["reason"] == "maintenance"
    assert not [x for x in spoke(taps, rig, "a", begin) if x.t_ns > spoke(taps, rig, "b", begin)[0].t_ns]
    wait_for("b to see it", lambda: b.peer("a")["maintenance"], 2)
    status, out = b.ktsh("show", "vrrp", "peer")
    assert status == 0 and "MAINTENANCE" in out, out

    # It stays out, over an end of the process and over the end of the other one.
    wait_for("the file", lambda: os.path.exists(os.path.join(rig["a"].dir, "state", "maintenance")), 2)
    a.stop()
    a.start()
    assert "in maintenance since an earlier run" in a.log()
    assert a.status()["maintenance"] and a.status()["maintenance_persistent"]
    b.stop()
    wait_for("three times the time after which it would take over",
             lambda: a.ask("show vrrp")["instances"][0]["since_us"] > 1200000, 3)
    assert a.is_role("BACKUP") and not a.holds(VIPS[0])
    b.start()
    wait_role(b, "MASTER")

    # Left: an ordinary standby with the higher priority, which waits for the sessions.
    status, out = a.ktsh("maintenance", "leave")
    assert status == 0, out
    settled(nodes, "a")
    assert last_entry(a, "MASTER")["reason"] == "preempted"
    a.stop()
    a.start()
    assert not a.status()["maintenance"]
    settled(nodes, "a")

    # Alone, and by force.
    b.stop()
    status, out = a.ktsh("maintenance", "enter", "force")
    assert status == 0 and "after a restart" not in out, out
    wait_for("a to let go", lambda: not a.holds(VIPS[0]) and not a.holds(VIPS[1]), 2)
    a.ktsh("maintenance", "leave")
    wait_role(a, "MASTER", 3)


# ---- the peer, and what an earlier process left

def test_what_differs_is_named(make_rig):
    rig = make_rig()
    nodes = cluster(rig, names=("a", "b"), start=False)
    nodes["b"].replicate = False
    for node in nodes.values():
        node.start()
    peer = wait_for("the channel", lambda: [p for p in nodes["a"].ask("show vrrp peer")["peers"] if p["groups"]], 5)[0]
    assert peer["config_differs"] == ["sync"]
    assert {c["section"]: c["equal"] for c in peer["config"]} == {"channel": True, "vrrp": True, "sync": False,
                                                                  "ipsec": True}
    sync = next(c for c in peer["config"] if c["section"] == "sync")
    assert len(sync["ours"]) == len(sync["theirs"]) == 16 and sync["ours"] != sync["theirs"]
    group = peer["groups"][0]
    assert group["priority"] == 100 and group["our_priority"] == 150, group
    status, out = nodes["a"].ktsh("show", "vrrp", "peer")
    assert status == 0 and "DIFFERS" in out, out


def test_leftovers_go_when_the_peer_is_heard(make_rig):
    """It is no master and never will be: still somebody is there who might have been, so nothing is served on trust."""
    rig = make_rig()
    nodes = cluster(rig)
    a, b = nodes["a"], nodes["b"]
    settled(nodes, "a")
    assert b.ktsh("maintenance", "enter")[0] == 0
    wait_for("a to be alone", lambda: not a.peer("b")["groups"][0]["ready"], 3)
    a.die()
    assert a.holds(*VIPS)
    a.start()
    wait_for("the leftovers to go", lambda: not a.holds(VIPS[0]), 1, 0.002)
    assert not a.is_role("MASTER")
    wait_role(a, "MASTER", 3)
    assert a.holds(*VIPS)


# ---- deaths of the process

def death_ms(rig, taps, master, standby, count=1):
    """SIGKILL of the master; milliseconds until the standby's first advert, and until all of them."""
    begin = now_ns()
    master.process.send_signal(signal.SIGKILL)

    def all_spoke():
        first = {}
        for segment, tap in taps.items():
            for advert in tap.vrrp(begin, mac=rig.mac(standby.name, segment)):
                if advert.priority > 0:
                    first.setdefault((segment, advert.vrid), advert.t_ns)
        return first if len(first) >= count else None
    first = wait_for("%s to speak" % standby.name, all_spoke, 5, 0.01)
    master.process.wait()
    return (min(first.values()) - begin) / 1e6, (max(first.values()) - begin) / 1e6


@pytest.mark.alone
@pytest.mark.parametrize("advert", [0.1, 1, 40])
def test_death_at_any_interval(make_rig, advert):
    rig = make_rig()
    nodes = cluster(rig, advert=advert, preempt=False)
    taps = {s: rig.tap(s) for s in (1, 2)}
    wait_standby(nodes["a"], nodes["b"])
    nodes["a"].ask("force failover")  # nobody waits two minutes for the first master
    took, master = [], "a"
    for _ in range(5):
        standby = "b" if master == "a" else "a"
        settled(nodes, master)
        took.append(death_ms(rig, taps, nodes[master], nodes[standby], 2)[1])
        wait_role(nodes[standby], "MASTER", 3)
        nodes[master].start()
        master = standby
    print("death at %s s adverts: %s ms" % (advert, ["%.1f" % t for t in took]))
    assert statistics.median(took) < 60, took
    assert sorted(took)[-2] < 300, took  # a busy machine may spoil one


@pytest.mark.alone
@pytest.mark.parametrize("grouped", [False, True])
def test_death_with_255_instances(make_rig, grouped):
    rig = make_rig()
    vrs = [Vr("v%d" % i, 1 + i % 2, i, ["10.%d.1.%d/16" % (1 + i % 2, i)], 1) for i in range(1, 256)]
    nodes = cluster(rig, vrs=vrs, group="all" if grouped else None)
    taps = {s: rig.tap(s) for s in (1, 2)}
    wait_standby(nodes["a"], nodes["b"], seconds=20)
    nodes["a"].ask("force failover")
    settled(nodes, "a", 20)
    first, last = death_ms(rig, taps, nodes["a"], nodes["b"], 255)
    print("death with 255 instances%s: %.1f ms, all %.1f ms" % (" in a group" if grouped else "", first, last))
    assert first < 300 and last < 1000, (first, last)  # no timer was waited for: that would be three seconds
    wait_role(nodes["b"], "MASTER", 5)


# ---- the master's LAN interface is lost, adverts every second

SKEW_MS = (256 - 100) * 1000 / 256  # of priority 100 at 1 s


def lan_lost_gaps_ms(lab, channel, runs):
    """Traffic from the LAN to the WAN while the link of the master's LAN interface goes; one gap for each run."""
    daemons = {}
    for name in ("fw-a", "fw-b"):
        conf = lab_conf(lab, name, advert=1, peer=channel, priority=100)
        conf["vrrp"]["groups"][0]["preempt"] = False
        if not channel:
            conf["sync"] = {"replicate": False}
        daemons[name] = Daemon(lab, name, conf=text(conf)).start()
    daemons["fw-a"].ask("force failover")
    gaps, master = [], "fw-a"

    def role(name, want):
        group = daemons[name].ask("show failover status")["groups"][0]
        return group["role"] == want and (group["ready"] or not channel)
    wait_for("a master", lambda: daemons[master].has_vips(), 5)
    traffic = Traffic(lab, idle=5, udp_rate=1000, vpn_rate=0)
    for _ in range(runs):
        standby = "fw-b" if master == "fw-a" else "fw-a"
        wait_for("a standby", lambda: role(master, "MASTER") and role(standby, "BACKUP"), 10)
        wait_for("echoes", lambda: traffic.flowing("udp"), 5)
        traffic.mark()
        lab["switch"].ip("link set %s down" % lab.port(master, "lan0"))
        wait_for("the standby's addresses", lambda: lab[standby].has_ip4(VIP_LAN, VIP_WAN), 5, 0.01)
        wait_for("echoes through " + standby, lambda: traffic.flowing("udp"), 5)
        gaps.append(traffic.report()["udp"]["udp"]["gap_ns"] / 1e6)
        lab["switch"].ip("link set %s up" % lab.port(master, "lan0"))
        master = standby
    for daemon in daemons.values():
        daemon.kill()
    print("LAN lost, channel %s: gaps %s ms, median %.1f" % (channel, ["%.1f" % g for g in gaps],
                                                             statistics.median(gaps)))
    return gaps


@pytest.mark.alone
@pytest.mark.parametrize("channel", [True, False])
def test_lan_interface_lost(lab, channel):
    runs = int(os.environ.get("KT_RUNS", "3" if channel else "1"))
    gaps = lan_lost_gaps_ms(lab, channel, runs)
    assert statistics.median(gaps) < (100 if channel else SKEW_MS + 300), gaps  # not three seconds more
