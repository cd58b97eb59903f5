"""libreswan, as the IKE daemon of our routers and as the far end of strongSwan: a crash and a planned switch each. Its SAs
are the kernel's, so this needs a kernel with ESP."""

import os
import signal

import pytest

from conf import lab_conf, text
from ipsec import Charon
from ipsec_kernel import sas
from keeptrackd import Daemon
from lab import Lab, PEER, ROUTERS, VIP_WAN, VPN_HOST, wait_for
from libreswan import CTL, Pluto, WHACK
from wire import Tap

ADVERT = 0.25
SECONDS = 40


@pytest.fixture(scope="module", name="lab")
def fixture_lab(build):
    with Lab(build, rules=None) as lab:
        # The first SA of a cipher makes the kernel load and test modules, which takes seconds here; nobody shall wait for it
        # in the middle of a negotiation.
        for address in (PEER, VIP_WAN):
            lab["client"].run("ip", "xfrm", "state", "add", "src", VIP_WAN, "dst", address, "proto", "esp", "spi", "0x5001",
                              "mode", "tunnel", "enc", "cbc(aes)", "0x" + "5a" * 16, "auth-trunc", "hmac(sha256)",
                              "0x" + "5a" * 32, "128")
        lab["client"].run("ip", "xfrm", "state", "flush")
        yield lab


class World:
    """IKE daemons and keeptrackd of one test."""

    def __init__(self, lab):
        self.lab, self.ike, self.daemons, self.cut = lab, {}, {}, set()

    def start(self, routers, peer):
        """One kind of IKE daemon on the routers, one at the far end."""
        self.ike["peer"] = self._make("peer", peer)
        for name in ROUTERS:
            self.ike[name] = self._make(name, routers)
        for name in ROUTERS:
            self.daemon(name)
        self.serves("fw-a")
        self.ready("fw-b")

    def _make(self, name, kind):
        ike = Pluto(self.lab, name) if kind is Pluto else kind(self.lab, name, kernel_esp=True)
        ike.start()
        return ike

    def daemon(self, name):
        conf = lab_conf(self.lab, name, advert=ADVERT)
        tunnel = {"name": "hq", "vip": VIP_WAN, "peer": PEER, "ike": "hq"}
        if isinstance(self.ike[name], Pluto):
            conf["ipsec"] = {"whack": WHACK, "pluto": CTL, "tunnels": [dict(tunnel, backend="libreswan")]}
        else:
            conf["ipsec"] = {"tunnels": [dict(tunnel, child="hq")]}
        self.daemons[name] = Daemon(self.lab, name, conf=text(conf))
        self.daemons[name].start()

    def serves(self, name):
        """The address, the tunnel, and packets through it."""
        def only():
            return [r for r in ROUTERS if self.lab[r].has_ip4(VIP_WAN)] == [name]
        wait_for("%s to be the only master" % name, only, SECONDS)
        wait_for("the tunnel on " + name, lambda: self.tunnel(name)["state"] == "up" and self.ike[name].tunnel_up(), SECONDS)
        wait_for("an answer through the tunnel", self.ping, SECONDS)

    def tunnel(self, name):
        return self.daemons[name].ask("show ipsec")["tunnels"][0]

    def ping(self):
        return " 0% packet loss" in self.lab["client"].run("ping", "-c", "1", "-W", "1", VPN_HOST, check=False)

    def ready(self, name):
        wait_for(name + " to be ready",
                 lambda: self.daemons[name].ask("show failover status")["groups"][0]["ready"], SECONDS)

    def crash(self, name):
        self.daemons[name].signal(signal.SIGSTOP)
        self.ike[name].freeze()
        self.lab.cut(name)
        self.cut.add(name)
        self.daemons[name].kill()
        self.ike[name].stop()

    def end(self):
        for daemon in self.daemons.values():
            daemon.stop(20)
        for ike in self.ike.values():
            if ike.process.poll() is None:
                ike.process.send_signal(signal.SIGCONT)
            ike.stop()
        for name in list(self.cut):
            self.lab.plug(name)
            self.lab.reboot(name)
        for name in ROUTERS + ("peer",):
            self.lab[name].run("sh", "-c", "ip xfrm state flush; ip xfrm policy flush; rm -rf /run/keeptrackd")


@pytest.fixture(name="world")
def fixture_world(lab):
    world = World(lab)
    yield world
    world.end()


def planned_switch(world, lab):
    """From fw-a to fw-b: nothing of the old tunnel is left, and its end is told to nobody."""
    tap = Tap(lab["switch"], lab.port("fw-a", "wan0"))
    assert len(sas(lab["fw-a"], VIP_WAN)) >= 2  # where everything is slow a second attempt may have overtaken the first
    world.daemons["fw-a"].ask("force failover")
    world.serves("fw-b")
    wait_for("fw-a to have no SA of the address", lambda: not sas(lab["fw-a"], VIP_WAN), SECONDS)
    wait_for("the IKE daemon of fw-a to know", lambda: not world.ike["fw-a"].tunnel_up(), SECONDS)
    sent = [f.raw for f in tap.read() if f.type == 0x0800 and f.raw[23] == 17 and f.raw[6:8] == b"\x02\x0a"
            and f.raw[26:30] == bytes([203, 0, 113, 1])]
    tap.close()
    assert not sent
    world.ready("fw-a")


def crash(world, lab, name, other):
    world.crash(name)
    world.serves(other)
    new = sas(lab[other], VIP_WAN)
    assert len(new) >= 2
    # The peer sends into the new SAs only: the dead router's are gone there (RFC 7296 2.4, INITIAL_CONTACT).
    wait_for("the peer to know the new SAs only", lambda: sas(lab["peer"], VIP_WAN) == new, SECONDS)


def test_libreswan_here(world, lab):
    """pluto on the routers, strongSwan at the far end: planned there and back, pluto lost and found, a crash."""
    world.start(Pluto, Charon)
    # What pluto does not tell is named as such.
    shown = world.daemons["fw-a"].ask("show ipsec sa")
    assert shown["known"] and not shown["sas"] and shown["not_told"][0]["id"]
    assert shown["not_told"][0]["backend"] == "libreswan" and shown["not_told"][0]["state"] == "up"
    checked = world.daemons["fw-a"].ask("show ipsec check")
    assert checked["verdict"] == "not checked" and "mobike=no" in checked["tunnels"][0]["not_checked_because"]
    planned_switch(world, lab)
    # Back again, and pluto is stopped while the role goes: the address moves all the same.
    os.kill(world.ike["fw-b"].process.pid, signal.SIGSTOP)
    world.daemons["fw-b"].ask("force failover")
    world.serves("fw-a")
    wait_for("fw-b to have no SA of the address", lambda: not sas(lab["fw-b"], VIP_WAN), SECONDS)
    os.kill(world.ike["fw-b"].process.pid, signal.SIGCONT)
    # pluto dies on the master: the tunnel's state says so, and it comes back by itself.
    world.ike["fw-a"].stop()
    wait_for("the loss to be seen", lambda: world.tunnel("fw-a")["state"] == "absent", SECONDS)
    world.ike["fw-a"].start()
    world.serves("fw-a")
    world.ready("fw-b")
    crash(world, lab, "fw-a", "fw-b")


def test_libreswan_there(world, lab):
    """strongSwan on the routers, pluto at the far end."""
    world.start(Charon, Pluto)
    planned_switch(world, lab)
    crash(world, lab, "fw-b", "fw-a")
