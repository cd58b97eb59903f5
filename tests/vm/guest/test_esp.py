"""IPsec with the ESP of a kernel: a tunnel follows its virtual address, and of the SAs in the kernel go exactly those that
have to. tests/netns has the same machine with ESP in user space, where no SA is in the kernel."""

import os
import signal

import pytest

from conf import lab_conf, text
from ipsec import Charon
from ipsec_kernel import add_larval, add_policies, policies, sas
from keeptrackd import Daemon
from lab import Lab, PEER, ROUTERS, VIP_WAN, VPN_HOST, wait_for
from wire import Tap

ADVERT = "0.25"
SECONDS = 30
VIP6, PEER6 = "2001:db8:2::1", "2001:db8:2::9"
OWN, OWN6, STRANGER = "203.0.113.2", "2001:db8:2::2", "203.0.113.77"
BOTH_WAYS = {(VIP_WAN, PEER), (PEER, VIP_WAN)}
CIPHER = ["aead", "rfc4106(gcm(aes))", "0x" + "5a" * 20, "128"]


@pytest.fixture(scope="module", name="lab")
def fixture_lab(build):
    with Lab(build, rules=None) as lab:
        yield lab


class World:
    """The daemons of a test. Machines and IKE daemons outlive it, because both take seconds to start here."""

    charons = {}

    def __init__(self, lab):
        self.lab, self.daemons, self.cut = lab, {}, set()

    def charon(self, name):
        self.charons[name] = Charon(self.lab, name, kernel_esp=True)
        self.charons[name].start()

    def daemon(self, name, conf=None):
        self.daemons[name] = Daemon(self.lab, name, conf=conf, advert=ADVERT)
        self.daemons[name].start()

    def pair(self):
        for name in ("peer",) + ROUTERS:
            if name not in self.charons:
                self.charon(name)
        for name in ROUTERS:
            self.daemon(name)
        self.serves("fw-a")

    def serves(self, name):
        """The whole service: addresses, tunnel, and packets through it that nobody on the wire can read."""
        def only():
            return [r for r in ROUTERS if self.lab[r].has_ip4(VIP_WAN)] == [name]
        wait_for("%s to be the only master" % name, only, SECONDS)
        wait_for("the tunnel on " + name, lambda: len(sas(self.lab[name], VIP_WAN)) == 2 and
                 self.charons[name].tunnel_up(), SECONDS)
        tap = Tap(self.lab["switch"], self.lab.port("peer", "eth0"))
        wait_for("an answer through the tunnel", self.ping, SECONDS)
        packets = [(f.raw[23], f.raw[26:30]) for f in tap.read() if f.type == 0x0800]
        tap.close()
        inner = {bytes([10, 0, 1, 10]), bytes([10, 99, 0, 1])}
        assert {source for protocol, source in packets if protocol == 50} >= {ip(VIP_WAN), ip(PEER)}
        assert not [p for p in packets if p[1] in inner]

    def ping(self):
        return " 0% packet loss" in self.lab["client"].run("ping", "-c", "1", "-W", "1", VPN_HOST, check=False)

    def ready(self, name):
        wait_for(name + " to be ready",
                 lambda: self.daemons[name].ask("show failover status")["groups"][0]["ready"], SECONDS)

    def crash(self, name):
        self.daemons[name].signal(signal.SIGSTOP)
        self.charons[name].freeze()
        self.lab.cut(name)
        self.cut.add(name)
        self.daemons[name].kill()
        self.charons.pop(name).stop()

    def plug(self, name):
        self.lab.plug(name)
        self.cut.remove(name)

    def end(self):
        for charon in self.charons.values():
            charon.process.send_signal(signal.SIGCONT)
        for daemon in self.daemons.values():
            daemon.stop(20)
        for name in list(self.cut):
            self.plug(name)
            self.lab.reboot(name)
        for name in ROUTERS:
            self.lab[name].run("sh", "-c", "ip xfrm state flush; ip xfrm policy flush; rm -rf /run/keeptrackd")


@pytest.fixture(name="world")
def fixture_world(lab):
    world = World(lab)
    yield world
    world.end()


def ip(address):
    return bytes(map(int, address.split(".")))


def add_sa(machine, source, destination, spi):
    machine.run("ip", "xfrm", "state", "add", "src", source, "dst", destination, "proto", "esp", "spi", hex(spi), "reqid",
                "7", "mode", "tunnel", *CIPHER)
    return source, destination, "0x%08x" % spi


def test_force_crash_return(world, lab):
    """There by command, back by a crash with an SA that was left behind, and the dead router's leftovers at its return."""
    world.pair()
    a, b = lab["fw-a"], lab["fw-b"]
    b.sysctl({"net/core/xfrm_acq_expires": 3600})
    foreign = {add_sa(a, OWN, PEER, 0x3001), add_sa(a, PEER, OWN, 0x3002)}
    kept = add_policies(a, VIP_WAN, STRANGER)
    assert len(kept) == 3
    world.ready("fw-b")

    world.daemons["fw-a"].ask("force failover")
    world.serves("fw-b")
    wait_for("fw-a to have no SA of the address", lambda: not sas(a, VIP_WAN), SECONDS)
    assert sas(a) == foreign and policies(a) == kept
    world.ready("fw-a")

    stale = sas(b, VIP_WAN)
    assert {sa[:2] for sa in stale} == BOTH_WAYS
    foreign_b = {add_sa(b, "203.0.113.3", PEER, 0x3003), add_sa(b, PEER, "203.0.113.3", 0x3004)}
    kept_b = add_policies(b, VIP_WAN, STRANGER)
    world.crash("fw-b")
    world.serves("fw-a")
    assert sas(a) > foreign and policies(a) == kept
    # The peer has dropped the SAs of the dead router as well (RFC 7296 2.4, INITIAL_CONTACT).
    wait_for("the peer to know the new SAs only", lambda: sas(lab["peer"]) == sas(a, VIP_WAN), SECONDS)

    # Nobody was left on fw-b to remove anything; one negotiation had begun, too.
    add_larval(b, PEER, VIP_WAN, 0x3005)
    assert stale < sas(b)
    world.plug("fw-b")
    world.charon("fw-b")
    world.daemon("fw-b")
    wait_for("the leftovers to be gone", lambda: not sas(b, VIP_WAN), SECONDS)
    assert sas(b) == foreign_b and policies(b) == kept_b
    world.ready("fw-b")
    world.serves("fw-a")


def test_the_ike_daemon_is_stopped_while_the_role_goes(world, lab):
    """charon answers nothing: the address moves all the same, and the kernel's SAs go without its help."""
    world.pair()
    world.ready("fw-b")
    world.charons["fw-a"].freeze()
    world.daemons["fw-a"].ask("force failover")
    world.serves("fw-b")
    wait_for("fw-a to have no SA of the address", lambda: not sas(lab["fw-a"], VIP_WAN), SECONDS)
    os.kill(world.charons["fw-a"].process.pid, signal.SIGCONT)
    world.ready("fw-a")
    world.daemons["fw-b"].ask("force failover")
    world.serves("fw-a")


def test_start_with_leftovers_of_both_families(world, lab):
    """No IKE daemon at all: real and half-made SAs of the addresses go, both directions; all others stay."""
    machine = lab["fw-a"]
    machine.sysctl({"net/core/xfrm_acq_expires": 3600})  # half-made SAs are ours to remove, not time's
    conf = lab_conf(lab, "fw-a", advert=float(ADVERT), peer=False, replicate=False, ipv6=True)
    conf["ipsec"] = {"tunnels": [{"name": "four", "vip": VIP_WAN, "peer": PEER, "backend": "none"},
                                 {"name": "six", "vip": VIP6, "peer": PEER6, "backend": "none"}]}
    ours, others = set(), set()
    for n, (vip, peer, own) in enumerate(((VIP_WAN, PEER, OWN), (VIP6, PEER6, OWN6))):
        base = 0x4000 + 0x100 * n
        ours |= {add_sa(machine, vip, peer, base), add_sa(machine, peer, vip, base + 1),
                 add_larval(machine, peer, vip, base + 2), add_larval(machine, vip, peer, base + 3)}
        others |= {add_sa(machine, own, peer, base + 0x10), add_sa(machine, peer, own, base + 0x11),
                   add_larval(machine, peer, own, base + 0x12)}
    others |= {add_sa(machine, "203.0.113.11", STRANGER, 0x4020), add_sa(machine, "2001:db8:2::11", "2001:db8:2::12", 0x4021)}
    kept = add_policies(machine, VIP_WAN, STRANGER)
    assert sas(machine) == ours | others and len(ours) == 8 and len(others) == 8
    world.daemon("fw-a", conf=text(conf))
    wait_for("the leftovers to be gone", lambda: not sas(machine) & ours, SECONDS)
    wait_for("the role", lambda: machine.has_ip4(VIP_WAN), SECONDS)
    assert sas(machine) == others and policies(machine) == kept
    # What comes while the node is master is somebody's work; when the role ends it goes, too.
    mine = {add_sa(machine, VIP_WAN, PEER, 0x4030), add_sa(machine, PEER6, VIP6, 0x4031)}
    machine.run("ip", "link", "set", "lan0", "down")
    wait_for("the SAs of the lost role to be gone", lambda: not sas(machine) & mine, SECONDS)
    machine.run("ip", "link", "set", "lan0", "up")
    assert sas(machine) == others and policies(machine) == kept
