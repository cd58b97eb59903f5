"""keeptrackd on one router, keepalived (VRRPv3) on the other: both ways round, IPv4 and IPv6.

Adverts every 100 ms. keeptrackd runs on fw-a, and where addresses decide also on fw-b, whose address is the higher one.
"""

import os
import signal
import statistics
import subprocess
import time

import pytest

from conf import instance, lab_conf, text
from keeptrackd import Daemon
from lab import ROUTERS, now_ns, wait_for
from wire import Tap, gaps_ms

VIPS = {"ipv4": ["10.0.1.1/24", "10.0.1.5/24"], "ipv6": ["fe80::1:1/64", "2001:db8:1::1/64"]}
HIGH, LOW = 150, 100
SKEW = {HIGH: 41.4, LOW: 60.9}  # (256 - priority) * 100 ms / 256, RFC 9568 6.1
LATE_MS, LATE_ZERO_MS = 600, 250  # than theory, on a busy machine; the second is still before the silence counts
THEIRS_LATE_MS = 1000  # announcements and log lines first
CONF = """global_defs {
    router_id %(name)s
    vrrp_version 3
}
vrrp_instance one {
    state BACKUP
    interface lan0
    virtual_router_id 10
    priority %(priority)d
    advert_int 0.1
    %(more)s
    virtual_ipaddress {
        %(vips)s
    }
}
"""


class Node:
    """What both kinds of router have in common."""

    def __init__(self, lab, router, family):
        self.lab, self.router, self.family, self.machine = lab, router, family, lab[router]
        self.mac = lab.mac(router, "lan0")

    def holds(self):
        """All addresses, in the kernel."""
        if self.family == "ipv4":
            return self.machine.has_ip4("10.0.1.1", "10.0.1.5")
        with open("/proc/%d/net/if_inet6" % self.machine.holder.pid, encoding="ascii") as f:
            table = f.read()
        return ("fe800000000000000000000000010001" in table and "20010db8000100000000000000000001" in table)


class Ours(Node):
    def __init__(self, lab, router, family, priority, preempt=True, checksum="keepalived"):
        super().__init__(lab, router, family)
        conf = lab_conf(lab, router, peer=False, priority=priority)
        conf["vrrp"] = {"instances": [instance("one", "lan0", 10, VIPS[family], family=family, preempt=preempt,
                                               checksum=checksum)]}
        self.daemon = Daemon(lab, router, conf=text(conf))

    def start(self):
        self.daemon.start()

    def die(self):
        """SIGKILL of everything, the guardian too: nothing is sent any more."""
        for pid in self.machine.pids():
            with open("/proc/%d/comm" % pid, encoding="ascii") as f:
                if f.read().startswith(("keeptrackd", "kt-guardian")):
                    os.kill(pid, signal.SIGKILL)
        self.daemon.process.wait()

    def leave(self):
        self.daemon.stop()

    def counters(self):
        return self.daemon.ask("show vrrp")["instances"][0]["counters"]


class Keepalived(Node):
    def __init__(self, lab, router, family, priority, preempt=True):
        super().__init__(lab, router, family)
        self.path = os.path.join(self.machine.dir, "keepalived.conf")
        with open(self.path, "w", encoding="ascii") as f:
            f.write(CONF % {"name": router, "priority": priority, "more": "" if preempt else "nopreempt",
                            "vips": "\n        ".join(VIPS[family])})

    def start(self):
        self.machine.run("sh", "-c", "rm -f /run/keepalived*.pid /run/vrrp*.pid")
        self.process = self.machine.spawn("keepalived", "-n", "-l", "-D", "-P", "-f", self.path)
        wait_for("keepalived to begin", lambda: "Entering BACKUP STATE" in self.log(), 5)

    def log(self):
        try:
            with open(os.path.join(self.machine.dir, "keepalived.log"), encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def die(self):
        """The parent first, stopped: else the child would say good-bye."""
        out = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False).stdout
        os.kill(self.process.pid, signal.SIGSTOP)
        for pid in out.split():
            os.kill(int(pid), signal.SIGKILL)
        self.process.kill()
        self.process.wait()

    def leave(self):
        self.process.terminate()
        self.process.wait(5)


@pytest.fixture(params=["ipv4", "ipv6"])
def family(request):
    return request.param


@pytest.fixture
def duo(lab, family):
    """duo(our priority, their priority): (ours, keepalived, tap); nothing runs yet."""
    def make(our_priority, their_priority, preempt=True, where="fw-a", **more):
        other = ROUTERS[1 - ROUTERS.index(where)]
        return (Ours(lab, where, family, our_priority, preempt=preempt, **more),
                Keepalived(lab, other, family, their_priority, preempt=preempt), Tap(lab["client"], "eth0"))
    return make


def alone(node, other, seconds=3):
    wait_for("%s to hold the addresses alone" % node.router, lambda: node.holds() and not other.holds(), seconds, 0.002)


def stays(node, other, seconds=0.6):
    """
    Returns the middle of that time, as an instant. A master that says nothing for nearly as long as its death would take
    loses its role rightly: where a busy machine did that to it, the time begins anew.
    """
    for _ in range(4):
        tap, begin, held = Tap(node.lab["client"], "eth0"), now_ns(), True
        while held and now_ns() < begin + seconds * 1e9:
            time.sleep(0.005)
            held = node.holds() and not other.holds()
        said = [begin] + [a.t_ns for a in tap.vrrp(begin, mac=node.mac)] + [now_ns()]
        tap.close()
        if held:
            return (begin + said[-1]) // 2
        silent = max(y - x for x, y in zip(said, said[1:])) / 1e6
        assert silent > 250, "the role moved, though %s was never silent for more than %.0f ms" % (node.router, silent)
        alone(node, other, 5)
    raise AssertionError("%s is silent for too long each time" % node.router)


def last_before_first(tap, old, new, since):
    """Milliseconds from the old master's last advert (priority 0 counts) to the new one's first."""
    first = wait_for("an advert of " + new.router, lambda: tap.vrrp(since, mac=new.mac), 2)[0]
    last = [a for a in tap.vrrp(mac=old.mac) if a.t_ns < first.t_ns][-1]
    return last, (first.t_ns - last.t_ns) / 1e6


@pytest.mark.parametrize("our,their", [(HIGH, LOW), (LOW, HIGH)])
def test_higher_priority_wins(duo, our, their):
    ours, theirs, tap = duo(our, their)
    begin = now_ns()
    ours.start()
    theirs.start()
    winner, loser = (ours, theirs) if our > their else (theirs, ours)
    alone(winner, loser, 5)
    since = stays(winner, loser)
    assert {a.mac for a in tap.vrrp(since)} == {winner.mac}
    counters = ours.counters()
    assert not counters["drops"], counters
    if winner is theirs:
        counters = wait_for("more adverts", lambda: (lambda c: c if c["adverts_received"] > 5 else None)(ours.counters()), 3)
        assert counters["checksums_rfc9568"] == 0 and not counters["drops"], counters
    assert not [a for a in tap.vrrp(begin) if a.version != 3]
    for word in ("bad", "invalid", "mismatch", "Incorrect", "expect", "not match"):
        assert word not in theirs.log(), theirs.log()


@pytest.mark.parametrize("dies", ["ours", "theirs"])
def test_takeover_after_death(duo, dies):
    ours, theirs, tap = duo(HIGH if dies == "ours" else LOW, LOW if dies == "ours" else HIGH)
    old, new = (ours, theirs) if dies == "ours" else (theirs, ours)
    old.start()
    new.start()
    alone(old, new, 5)
    wait_for("the listener to hear the master", lambda: len(tap.vrrp(mac=old.mac)) > 3, 2)
    begin = now_ns()
    old.die()
    wait_for("%s to take over" % new.router, new.holds, 2)
    last, took = last_before_first(tap, old, new, begin)
    assert last.priority == HIGH, "it should have died without a word"
    assert 300 + SKEW[LOW] - 2 < took < 300 + SKEW[LOW] + (LATE_MS if new is ours else THEIRS_LATE_MS), took
    assert wait_for("an announcement", lambda: announced(tap, new, begin), 2)


def announced(tap, node, since):
    if node.family == "ipv4":
        return [t for t, mac, gratuitous in tap.arp("10.0.1.1", since) if gratuitous and mac == node.mac]
    return [f for f in tap.read() if f.t_ns > since and f.src == node.mac and f.type == 0x86dd
            and f.raw[20] == 58 and f.raw[54] == 136]


@pytest.mark.parametrize("leaves", ["ours", "theirs"])
def test_priority_zero(duo, leaves):
    ours, theirs, tap = duo(HIGH if leaves == "ours" else LOW, LOW if leaves == "ours" else HIGH)
    old, new = (ours, theirs) if leaves == "ours" else (theirs, ours)
    old.start()
    new.start()
    alone(old, new, 5)
    wait_for("the listener to hear the master", lambda: len(tap.vrrp(mac=old.mac)) > 3, 2)
    begin = now_ns()
    old.leave()
    alone(new, old, 2)
    last, took = last_before_first(tap, old, new, begin)
    assert last.priority == 0
    assert SKEW[LOW] - 2 < took < SKEW[LOW] + (LATE_ZERO_MS if new is ours else THEIRS_LATE_MS), took
    if new is ours:
        assert ours.counters()["priority_zero_received"] >= 1


@pytest.mark.parametrize("our,their", [(HIGH, LOW), (LOW, HIGH)])
@pytest.mark.parametrize("preempt", [True, False])
def test_the_higher_one_comes_later(duo, preempt, our, their):
    ours, theirs, tap = duo(our, their, preempt=preempt)
    late, first = (ours, theirs) if our > their else (theirs, ours)
    first.start()
    alone(first, late, 5)
    begin = now_ns()
    late.start()
    if preempt:
        alone(late, first, 3)
        stays(late, first, 0.4)
        assert tap.vrrp(begin, mac=late.mac)
    else:
        stays(first, late, 0.8)
        assert not tap.vrrp(begin, mac=late.mac)


@pytest.mark.parametrize("where", ROUTERS)
def test_tie_at_equal_priority(lab, duo, where):
    """Both became master while they could not hear each other: the higher address keeps the role (RFC 9568 6.4.3)."""
    ours, theirs, tap = duo(LOW, LOW, where=where)
    ports = [lab.port(router, "lan0") for router in ROUTERS]
    for port in ports:
        lab["switch"].run("bridge", "link", "set", "dev", port, "isolated", "on")
    ours.start()
    theirs.start()
    wait_for("two masters that do not hear each other", lambda: ours.holds() and theirs.holds(), 5)
    for port in ports:
        lab["switch"].run("bridge", "link", "set", "dev", port, "isolated", "off")
    winner, loser = (ours, theirs) if ours.router == "fw-b" else (theirs, ours)
    alone(winner, loser, 2)
    since = stays(winner, loser)
    assert {a.mac for a in tap.vrrp(since)} == {winner.mac}


@pytest.mark.parametrize("late_one", ["ours", "theirs"])
def test_tie_the_first_one_stays(duo, late_one):
    """An equal priority is no reason to preempt, not even for the higher address."""
    ours, theirs, _ = duo(LOW, LOW, where="fw-b" if late_one == "ours" else "fw-a")
    first, late = (theirs, ours) if late_one == "ours" else (ours, theirs)
    first.start()
    alone(first, late, 5)
    late.start()
    stays(first, late, 0.7)


def test_another_interval_is_learnt(duo):
    """keepalived advertises every 200 ms; we are configured for 100 ms and must not take over in between."""
    ours, theirs, tap = duo(LOW, HIGH)
    with open(theirs.path, encoding="ascii") as f:
        conf = f.read()
    with open(theirs.path, "w", encoding="ascii") as f:
        f.write(conf.replace("advert_int 0.1", "advert_int 0.2"))
    theirs.start()
    alone(theirs, ours, 5)
    ours.start()
    stays(theirs, ours, 1.0)
    shown = ours.daemon.ask("show vrrp")["instances"][0]
    assert shown["master_advert_interval_us"] == 200000, shown
    assert not tap.vrrp(mac=ours.mac)
    theirs.die()
    wait_for("our takeover", ours.holds, 3)
    last, took = last_before_first(tap, theirs, ours, 0)
    assert last.priority == HIGH and 600 + 2 * SKEW[LOW] - 5 < took < 600 + 2 * SKEW[LOW] + LATE_MS, took


# ---------------------------------------------------------------- what a dissector says of our adverts

def dissect(path, *options):
    p = subprocess.run(["tshark", "-n", "-r", path, *options], capture_output=True, text=True, timeout=60, check=False)
    assert p.returncode == 0, p.stderr
    return p.stdout


def write_pcap(path, frames):
    with open(path, "wb") as f:
        f.write(bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000"))
        for frame in frames:
            f.write((frame.t_ns // 10 ** 9).to_bytes(4, "little") + (frame.t_ns // 1000 % 10 ** 6).to_bytes(4, "little"))
            f.write(len(frame.raw).to_bytes(4, "little") * 2 + frame.raw)


# tshark verifies the checksum of VRRPv3 over IPv4 in one form only, with the pseudo-header.
def test_dissector_has_nothing_to_say(lab, family):
    ours, tap = Ours(lab, "fw-a", family, HIGH), Tap(lab["client"], "eth0")
    ours.start()
    wait_for("our adverts", lambda: len(tap.vrrp(mac=ours.mac)) >= 10, 5)
    ours.leave()
    wait_for("our good-bye", lambda: tap.vrrp(mac=ours.mac)[-1].priority == 0, 2)
    path = os.path.join(lab.dir, "ours.pcap")
    frames = [f for f in tap.read() if f.src == ours.mac]
    write_pcap(path, frames)
    adverts = tap.vrrp(mac=ours.mac)
    lines = dissect(path, "-Y", "vrrp", "-T", "fields", "-e", "vrrp.prio", "-e", "vrrp.version", "-e", "vrrp.typever",
                    "-e", "vrrp.checksum.status", "-e", "ip.ttl", "-e", "ipv6.hlim").rstrip("\n").split("\n")
    assert len(lines) == len(adverts)
    for line, advert in zip(lines, adverts):
        prio, version, typever, checksum, ttl4, ttl6 = line.split("\t")
        assert int(prio) == advert.priority and int(version) == 3 and typever in ("0x31", "49"), line
        assert checksum in ("1", "Good"), line
        assert "255" in (ttl4, ttl6), line
    # Adverts and announcements: no expert information above a chat; the good-bye is one by its nature.
    found = dissect(path, "-Y", "_ws.expert.severity >= 0x00400000 and (vrrp or arp or icmpv6)", "-T", "fields", "-e",
                    "frame.number", "-e", "_ws.expert.message")
    assert not found.strip(), found
    gaps = gaps_ms([a for a in adverts if a.priority])
    assert abs(statistics.median(gaps) - 100) < 3, gaps


def test_dissector_can_find_something(lab):
    """Negative control: a wrong checksum in the same capture is noticed."""
    ours, tap = Ours(lab, "fw-a", "ipv4", HIGH), Tap(lab["client"], "eth0")
    ours.start()
    wait_for("our adverts", lambda: len(tap.vrrp(mac=ours.mac)) >= 2, 5)
    frame = next(f for f in tap.read() if f.src == ours.mac and f.type == 0x0800 and f.raw[23] == 112)
    frame.raw = frame.raw[:40] + bytes([frame.raw[40] ^ 0x55]) + frame.raw[41:]
    path = os.path.join(lab.dir, "bad.pcap")
    write_pcap(path, [frame])
    found = dissect(path, "-Y", "_ws.expert.severity >= 0x00400000 and vrrp", "-T", "fields", "-e", "_ws.expert.message")
    assert "hecksum" in found, found


def test_the_other_checksum_is_understood(lab):
    """keeptrackd sends the RFC 9568 form here; the other keeptrackd accepts it, and counts which it was."""
    one, two = Ours(lab, "fw-a", "ipv4", HIGH, checksum="rfc9568"), Ours(lab, "fw-b", "ipv4", LOW)
    one.start()
    two.start()
    alone(one, two, 5)
    counters = wait_for("adverts in the counters", lambda: (
        lambda c: c if c["checksums_rfc9568"] > 3 else None)(two.counters()), 3)
    assert counters["checksums_pseudo_header"] == 0 and not counters["drops"], counters
    stays(one, two, 0.5)
