"""Two real routers change their roles: crash, planned switch, stop, return, and links that go, come back and vanish."""

import signal
import time

import pytest

from keeptrackd import group
from lab import VIP_LAN, VIP_WAN, now_ns, wait_for
from traffic import Traffic
from wire import Tap

DOWN_MS = 361  # master-down time of fw-b at 100 ms adverts and priority 100


def settled(pair, master="fw-a"):
    """One master, and a standby that may take over at any time."""
    pair.wait_master(master)
    standby = pair.other(master)
    wait_for("both routers to be ready", lambda: all(group(pair[n])["ready"] for n in (master, standby)), 10)


def record(daemon, to, since_wall_us=0, **want):
    """The newest journal entry of this node about a change to a role."""
    for entry in daemon.ask("show failover history", limit=50)["entries"]:
        if (entry["node"] == daemon.router and entry["to"] == to and entry["wall_us"] >= since_wall_us
                and all(entry[k] == v for k, v in want.items())):
            return entry
    return None


def few(lab):
    return Traffic(lab, idle=20, udp_rate=200, vpn_rate=0)


def all_alive(traffic):
    """Every idle connection answers, and the stream goes on (TCP waits up to its retransmission time by itself)."""
    assert traffic.check_idle(3000) == {"total": 20, "alive": 20, "reset": 0}
    return wait_for("the stream to go on", traffic.stream_alive, 3)


def timeline(daemon, to):
    for entry in daemon.ask("show failover timeline")["transactions"]:
        if entry["node"] == daemon.router and entry["to"] == to:
            begin = entry["wall_us"] * 1000 - (time.clock_gettime_ns(time.CLOCK_REALTIME) - now_ns())
            return entry, {p["phase"]: begin + p["offset_us"] * 1000 for p in entry["phases"]}
    return None, None


def crash_and_return(lab, pair, traffic, wan, lan):
    """Milliseconds of silence before fw-b spoke, and between the journal's and the wire's instant of the addresses."""
    pair.wait_synced("fw-b", minimum=21)
    begin = now_ns()
    wait_for("adverts in the capture", lambda: len(wan.find("vrrp", begin, mac=lab.mac("fw-a", "wan0"))) > 1, 2)
    begin = now_ns()
    pair.crash("fw-a")
    wait_for("fw-b to hold the addresses", pair["fw-b"].has_vips, 3)
    wait_for("echoes through fw-b", lambda: traffic.flowing("udp"), 3)

    old = [e for e in wan.find("vrrp", begin - 10 ** 9, mac=lab.mac("fw-a", "wan0"))][-1]
    first = wan.find("vrrp", begin, mac=lab.mac("fw-b", "wan0"))[0]
    detection = (first["t_ns"] - old["t_ns"]) / 1e6
    assert DOWN_MS - 1 <= detection, detection
    assert first["priority"] == 100
    entry, at = timeline(pair["fw-b"], "MASTER")
    assert entry["kind"] == "crash" and entry["reason"] == "masterNoResponse" and entry["outcome"] == "ok", entry
    garp = min(e["t_ns"] for e in wan.find("garp", begin, mac=lab.mac("fw-b", "wan0"))
               + lan.find("garp", begin, mac=lab.mac("fw-b", "lan0")))
    order = [p["phase"] for p in entry["phases"]]
    assert order.index("fence") < order.index("authority") < order.index("advert") < order.index("vip-up")
    assert all_alive(traffic)
    assert not wan.find("rst", begin)

    # The dead router comes back empty: it may take its role only when it holds every session again.
    lab.reboot("fw-a")
    lab.plug("fw-a")
    held = lab["fw-a"].conntrack("-L", "-p", "tcp", "--dport", "5001").count("ESTABLISHED")
    pair["fw-a"].start()
    pair.wait_master("fw-a", 20)
    assert held == 0
    entry = record(pair["fw-a"], "MASTER", kind="planned")
    assert entry and entry["reason"] == "preempted" and entry["outcome"] == "ok", entry
    wait_for("echoes through fw-a", lambda: traffic.flowing("udp"), 3)
    assert all_alive(traffic)
    settled(pair)
    return detection, (garp - at["vip-up"]) / 1e6


@pytest.mark.alone
def test_crash_return_and_gate(lab, pair):
    settled(pair)
    for name, state in (("fw-a", "MASTER"), ("fw-b", "BACKUP")):
        assert {i["state"] for i in pair[name].ask("show vrrp")["instances"]} == {state}
    traffic = few(lab)
    captures, took = (lab.capture("br-wan"), lab.capture("br-lan")), []
    # Detection is the protocol's: the master-down time after the last advert that was heard, and no more than noise. The
    # journal tells the instant at which the addresses were announced. A busy machine may spoil that now and then.
    while not took or (len(took) < 4 and not (took[-1][0] < DOWN_MS + 60 and abs(took[-1][1]) < 1)):
        took.append(crash_and_return(lab, pair, traffic, *captures))
    assert took[-1][0] < DOWN_MS + 60 and abs(took[-1][1]) < 1, "silence, and journal beside wire: %s ms" % took
    assert traffic.report()["udp"]["udp"]["moved"] == 0


def test_gate_stays_closed_without_the_sessions(lab, make_pair):
    """A router that comes back and cannot learn the sessions does not take the role from a living master."""
    pair = make_pair()
    settled(pair)
    pair["fw-a"].kill()
    pair.wait_master("fw-b")
    lab["fw-a"].ip("link set sync0 down")
    pair["fw-a"].start()
    wait_for("fw-a to hear fw-b on both segments",
             lambda: all(i["peer"] for i in pair["fw-a"].ask("show vrrp")["instances"]), 5)
    status = group(pair["fw-a"])
    assert status["gate"] == "closed" and not status["ready"] and status["role"] == "BACKUP", status
    end = time.monotonic() + 1.5  # four master-down times
    while time.monotonic() < end:
        assert pair.masters() == ["fw-b"]
        time.sleep(0.02)
    lab["fw-a"].ip("link set sync0 up", "addr replace fd00:9::1/64 dev sync0 nodad")
    pair.wait_master("fw-a", 15)


@pytest.mark.alone
def test_force_on_master_and_on_backup(lab, pair):
    settled(pair)
    traffic, gaps = few(lab), []
    pair.wait_synced("fw-b", minimum=21)
    for on, new in (("fw-a", "fw-b"), ("fw-a", "fw-a"), ("fw-a", "fw-b"), ("fw-b", "fw-a")):
        old = pair.other(new)
        wait_for("%s to be ready" % new, lambda n=new: group(pair[n])["ready"], 10)
        begin = traffic.mark()
        wall = time.time_ns() // 1000
        assert pair[on].ask("force failover") == {"groups": ["edge"]}
        pair.wait_master(new, 2)
        wait_for("echoes", lambda: traffic.flowing("udp"), 2)
        gained = wait_for("the journal of %s" % new, lambda n=new, w=wall: record(pair[n], "MASTER", w), 2)
        lost = wait_for("the journal of %s" % old, lambda o=old, w=wall: record(pair[o], "BACKUP", w), 2)
        assert gained["kind"] == lost["kind"] == "planned" and gained["epoch"] == lost["epoch"], (gained, lost)
        assert gained["outcome"] == lost["outcome"] == "ok", (gained, lost)
        report = traffic.report()["udp"]["udp"]
        assert report["moved"] == 0, report
        gaps.append(report["gap_ns"] / 1e6)
        assert not lab.capture("br-wan").find("rst", begin)
    assert sorted(gaps)[1] < 150 and max(gaps) < 1000, gaps  # a busy machine may spoil one or two
    assert all_alive(traffic)
    # What was given away by hand is not taken back by priority alone.
    pair["fw-a"].ask("force failover")
    pair.wait_master("fw-b", 2)
    end = time.monotonic() + 1.2
    while time.monotonic() < end:
        assert pair.masters() == ["fw-b"]
        time.sleep(0.02)


@pytest.mark.alone
def test_stop_with_a_peer_and_alone(lab, pair):
    settled(pair)
    traffic = few(lab)
    pair.wait_synced("fw-b", minimum=21)
    traffic.mark()
    assert pair["fw-a"].stop() < 2.0
    assert pair["fw-a"].process.returncode == 0
    assert pair.masters() == ["fw-b"]
    wait_for("echoes through fw-b", lambda: traffic.flowing("udp"), 2)
    assert traffic.report()["udp"]["udp"]["gap_ns"] < DOWN_MS * 1e6, "as if it had died"
    assert all_alive(traffic)
    assert record(pair["fw-b"], "MASTER")["kind"] == "planned"
    # Alone: nobody to wait for, everything is removed.
    zero = Tap(lab["client"], "eth0")
    assert pair["fw-b"].stop() < 1.0
    assert pair["fw-b"].process.returncode == 0
    assert pair.masters() == []
    assert [a.priority for a in zero.vrrp(vrid=10)][-1] == 0


@pytest.mark.alone
@pytest.mark.parametrize("how", ["admin", "carrier"])
def test_link_down_and_back(lab, pair, how):
    settled(pair)
    traffic = few(lab)
    pair.wait_synced("fw-b", minimum=21)
    wan = Tap(lab["server"], "eth0")
    where, name = ("fw-a", "lan0") if how == "admin" else ("switch", lab.port("fw-a", "lan0"))
    took = []
    while not took or (took[-1] >= 60 and len(took) < 4):  # a busy machine may spoil one
        took.append(down_and_back(lab, pair, traffic, wan, where, name))
    assert took[-1] < 60, "%s ms until fw-b took over" % took


def down_and_back(lab, pair, traffic, wan, where, name):
    """A link of the master; milliseconds from there to the first advert of the other one."""
    settled(pair)
    begin = now_ns()
    lab[where].ip("link set %s down" % name)
    done = now_ns()
    pair.wait_master("fw-b", 2)
    first = wait_for("fw-b's adverts", lambda: wan.vrrp(begin, mac=lab.mac("fw-b", "wan0")), 1)[0]
    last = wan.vrrp(begin, mac=lab.mac("fw-a", "wan0"))[-1]
    assert last.priority == 0, "the good-bye on the link that still works"
    assert group(pair["fw-a"])["role"] == "FAULT"
    assert record(pair["fw-b"], "MASTER")["reason"] == "peerLeaving"
    assert record(pair["fw-a"], "FAULT")["kind"] == "fault"
    wait_for("echoes through fw-b", lambda: traffic.flowing("udp"), 2)

    lab[where].ip("link set %s up" % name)
    pair.wait_master("fw-a", 10)
    wait_for("echoes through fw-a", lambda: traffic.flowing("udp"), 3)
    assert all_alive(traffic)
    return (first.t_ns - done) / 1e6


def make_lan0(lab, name="lan0"):
    lab["fw-a"].ip("link add %s address %s type veth peer name %s netns %d"
                   % (name, lab.mac("fw-a", "lan0"), lab.port("fw-a", "lan0"), lab["switch"].holder.pid))
    lab["switch"].ip("link set %s master br-lan up" % lab.port("fw-a", "lan0"))
    lab["fw-a"].ip("link set %s up" % name, "addr add 10.0.1.2/24 dev %s" % name)


@pytest.mark.alone
def test_interface_deleted_and_made_again(lab, pair):
    wan, took = Tap(lab["server"], "eth0"), []
    while not took or (took[-1] >= 60 and len(took) < 4):  # a busy machine may spoil one
        settled(pair)
        begin = now_ns()
        lab["fw-a"].ip("link del lan0")
        done = now_ns()
        pair.wait_master("fw-b", 2)
        first = wait_for("fw-b's adverts", lambda b=begin: wan.vrrp(b, mac=lab.mac("fw-b", "wan0")), 1)[0]
        took.append((first.t_ns - done) / 1e6)
        lan = next(i for i in pair["fw-a"].ask("show vrrp")["instances"] if i["name"] == "lan")
        assert lan["state"] == "FAULT" and not lan["link"], lan
        make_lan0(lab)
        pair.wait_master("fw-a", 10)
    assert took[-1] < 60, took


def test_interface_renamed(lab, pair):
    settled(pair)
    lab["fw-a"].ip("link set lan0 down", "link set lan0 name other0")
    pair.wait_master("fw-b", 2)
    assert VIP_LAN not in lab["fw-a"].addresses("other0")
    lab["fw-a"].ip("link set other0 up")  # up again under a name that nobody configured
    end = time.monotonic() + 0.6
    while time.monotonic() < end:
        assert pair.masters() == ["fw-b"]
        time.sleep(0.02)
    lab["fw-a"].ip("link set other0 down", "link set other0 name lan0", "link set lan0 up")
    pair.wait_master("fw-a", 10)


def test_renamed_while_up(lab, pair):
    """An interface may be renamed while it carries our address: the address goes with it, and has to go away."""
    settled(pair)
    lab["fw-a"].run("ip", "link", "set", "lan0", "name", "other0", check=False)
    if "other0" not in lab["fw-a"].run("ip", "-br", "link"):  # before Linux 6.1 only interfaces that are down
        lab["fw-a"].ip("link set lan0 down", "link set lan0 name other0", "link set other0 up")
    pair.wait_master("fw-b", 2)
    assert VIP_LAN not in lab["fw-a"].addresses("other0")
    assert VIP_WAN not in lab["fw-a"].addresses("wan0")
    lab["fw-a"].ip("link set other0 down", "link set other0 name lan0", "link set lan0 up")
    pair.wait_master("fw-a", 10)


def test_channel_cut_moves_no_role(lab, pair):
    settled(pair)
    before = group(pair["fw-a"])["epoch"]
    lab["fw-a"].ip("link set sync0 down")
    wait_for("both to miss the channel",
             lambda: all(pair[n].ask("show failover status")["peers"][0]["channel"] == "down" for n in pair.daemons), 5)
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        assert pair.masters() == ["fw-a"]
        time.sleep(0.02)
    assert not group(pair["fw-b"])["ready"]
    lab["fw-a"].ip("link set sync0 up", "addr replace fd00:9::1/64 dev sync0 nodad")
    wait_for("fw-b to be ready again", lambda: group(pair["fw-b"])["ready"], 15)
    assert group(pair["fw-a"])["epoch"] == before


def test_refused_signal_changes_nothing(lab, pair):
    """Signals that are not ours to act on leave the role alone."""
    settled(pair)
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE):
        pair["fw-a"].signal(number)
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        assert pair.masters() == ["fw-a"] and pair["fw-a"].alive()
        time.sleep(0.02)
