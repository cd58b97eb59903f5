"""A pair whose channel and LAN lose every fifth packet, late and out of order: no role moves without a reason, the sessions
of both kernels are equal all the same, and a takeover is what it is on good wires."""

import socket
import time

import pytest

from conf import lab_conf, text
from ctdump import ASSURED, SEEN_REPLY, SRC_NAT, dump
from keeptrackd import Daemon
from lab import Lab, ROUTERS, SERVER, VIP_LAN, VIP_WAN, wait_for
from wire import Tap, in_netns

BAD = "loss 20% delay 20ms 10ms"
SECONDS = 60
TCP_FLOWS, UDP_FLOWS, PORT = 8, 4, 7001
RULES = """
*filter
:INPUT ACCEPT
:FORWARD DROP
-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A FORWARD -i lan0 -p udp -m conntrack --ctstate NEW -j ACCEPT
-A FORWARD -i lan0 -p tcp --syn -m conntrack --ctstate NEW -j ACCEPT
COMMIT
*nat
:POSTROUTING ACCEPT
-A POSTROUTING -o wan0 -s 10.0.1.0/24 -j SNAT --to-source %s --random-fully
COMMIT
""" % VIP_WAN


@pytest.fixture(scope="module", name="lab")
def fixture_lab(build):
    with Lab(build, rules=None) as lab:
        for name in ROUTERS:
            lab[name].run("iptables-legacy-restore", text=RULES)
            lab[name].sysctl({"net/netfilter/nf_conntrack_tcp_loose": 0, "net/netfilter/nf_conntrack_events": 1})
        yield lab


@pytest.fixture(name="bad_wires")
def fixture_bad_wires(lab):
    """Both directions of the channel; of the LAN the routers' side and the client's."""
    ends = [(name, link) for name in ROUTERS for link in ("sync0", "lan0")] + [("client", "eth0")]
    for name, link in ends:
        lab[name].run("tc", "qdisc", "add", "dev", link, "root", "netem", *BAD.split())
    yield
    for name, link in ends:
        lab[name].run("tc", "qdisc", "del", "dev", link, "root")


@pytest.fixture(name="routers")
def fixture_routers(lab, bad_wires):
    del bad_wires
    daemons = {}
    for name in ROUTERS:
        daemons[name] = Daemon(lab, name, conf=text(lab_conf(lab, name, advert=0.25))).start()
    wait_for("fw-a to be master", lambda: masters(lab) == ["fw-a"], SECONDS)
    yield daemons
    for daemon in daemons.values():
        daemon.stop(20)


class Flow:
    """A connection from the client through the routers' NAT to the server; both ends live in this process."""

    def __init__(self, lab, kind, number):
        self.kind, self.sent = kind, 0
        self.server = inet(lab["server"], kind, lambda s: s.bind((SERVER, PORT + number)))
        self.client = inet(lab["client"], kind, lambda s: s.settimeout(SECONDS))
        if kind == socket.SOCK_STREAM:
            self.server.listen(1)
            self.client.connect((SERVER, PORT + number))
            self.far, self.seen = self.server.accept()
        else:
            self.client.connect((SERVER, PORT + number))
            self.far, self.seen = self.server, None

    def talk(self):
        """There and back until it succeeds; the server sees the same source as ever."""
        self.sent += 1
        word = b"%08d" % self.sent
        if self.kind == socket.SOCK_STREAM:
            self.client.sendall(word)
            assert self.far.recv(8) == word
            self.far.sendall(word)
            assert self.client.recv(8) == word
            return
        self.client.settimeout(0.3)
        self.far.settimeout(0.3)

        def once():
            self.client.send(word)
            _, seen = self.far.recvfrom(8)
            assert self.seen in (None, seen), "left as %s, then as %s" % (self.seen, seen)
            self.seen = seen
            self.far.sendto(word, seen)
            return self.client.recv(8)
        wait_for("a datagram there and back", once, SECONDS)

    def key(self):
        near, far = self.client.getsockname(), self.client.getpeername()
        return (6 if self.kind == socket.SOCK_STREAM else 17,) + near + far

    def close(self):
        for s in {self.client, self.far, self.server}:
            s.close()


def inet(machine, kind, prepare):
    def make():
        s = socket.socket(socket.AF_INET, kind)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.settimeout(SECONDS)
        prepare(s)
        return s
    return in_netns(machine.holder.pid, make)


def masters(lab):
    return [name for name in ROUTERS if lab[name].has_ip4(VIP_LAN, VIP_WAN)]


def promotions(daemon):
    """How often this node became master."""
    entries = daemon.ask("show failover history", limit=1000)["entries"]
    return len([e for e in entries if e["node"] == daemon.router and e["to"] == "MASTER"])


def flows_in(machine):
    """The lab's flows in a kernel: original, reply, whether assured and translated, TCP state."""
    bits = SEEN_REPLY | ASSURED | SRC_NAT
    return {key: (e.reply, e.status & bits, e.tcp_state) for key, e in dump(machine, socket.AF_INET).items()
            if key[3] == SERVER}


def equal(lab, keys):
    """Both kernels have these flows, the same way, and no others."""
    a, b = flows_in(lab["fw-a"]), flows_in(lab["fw-b"])
    return a == b and set(a) == set(keys)


def test_sessions_are_equal_and_survive(lab, routers):
    tap = Tap(lab["switch"], lab.port("server", "eth0"))
    flows = [Flow(lab, socket.SOCK_STREAM, n) for n in range(TCP_FLOWS)]
    flows += [Flow(lab, socket.SOCK_DGRAM, n) for n in range(UDP_FLOWS)]
    for flow in flows:
        flow.talk()
    wait_for("equal sessions", lambda: equal(lab, [f.key() for f in flows]), SECONDS, 0.1)
    # Some end. The peer hears of it over the same bad wire.
    for flow in flows[:3]:
        flow.close()
    flows = flows[3:]
    for n in range(3):
        lab["fw-a"].conntrack("-D", "-p", "tcp", "--dport", str(PORT + n))
    wait_for("equal sessions after some ended", lambda: equal(lab, [f.key() for f in flows]), SECONDS, 0.1)
    # Five seconds are twenty intervals, and two hundred heartbeats of which forty are lost.
    end = time.monotonic() + 5
    while time.monotonic() < end:
        assert masters(lab) == ["fw-a"]
        time.sleep(0.1)
    assert (promotions(routers["fw-a"]), promotions(routers["fw-b"])) == (1, 0)
    # On the good segment everybody heard one master only, all the time.
    assert {a.src for a in tap.vrrp(vrid=20)} == {"203.0.113.2"}

    routers["fw-a"].signal(19)
    lab.cut("fw-a")
    routers["fw-a"].kill()
    wait_for("fw-b to be master", lambda: lab["fw-b"].has_ip4(VIP_LAN, VIP_WAN), SECONDS)
    for flow in flows:
        flow.talk()
    assert promotions(routers["fw-b"]) == 1

    lab.plug("fw-a")
    lab.reboot("fw-a")
    routers["fw-a"].start()
    wait_for("fw-a to be master again, with every session", lambda: masters(lab) == ["fw-a"] and
             equal(lab, [f.key() for f in flows]), SECONDS, 0.1)
    for flow in flows:
        flow.talk()
        flow.close()
    tap.close()
