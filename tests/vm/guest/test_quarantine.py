"""The quarantine by iptables, because this kernel has no nft family but bridge, and the sweep of SAs that carry keys: ESP,
AH, IPComp, with marks, in UDP. One router, no IKE daemon; its backup role is the lost link of the LAN."""

import signal

import pytest

from conf import lab_conf, text
from ipsec_kernel import Leaks, ESP, add_policies, policies, sas
from keeptrackd import Daemon
from lab import Lab, PEER, VIP_WAN, wait_for

SECONDS = 30
VIP6, PEER6 = "2001:db8:2::1", "2001:db8:2::9"
OWN, STRANGER = "203.0.113.2", "203.0.113.77"
KEYS = {"esp": ["aead", "rfc4106(gcm(aes))", "0x" + "5a" * 20, "128"], "ah": ["auth", "hmac(sha256)", "0x" + "5a" * 32],
        "comp": ["comp", "deflate"]}


@pytest.fixture(scope="module", name="lab")
def fixture_lab(build):
    with Lab(build, rules=None) as lab:
        yield lab


class Router:
    """fw-a; its role comes and goes with the link of the LAN."""

    def __init__(self, lab, ipv6=True, channel=False, **tunnel):
        self.machine = lab["fw-a"]
        conf = lab_conf(lab, "fw-a", advert=0.25, peer=channel, replicate=False, ipv6=ipv6)
        tunnels = [dict({"name": "four", "vip": VIP_WAN, "peer": PEER, "backend": "none"}, **tunnel)]
        if ipv6:
            tunnels.append({"name": "six", "vip": VIP6, "peer": PEER6, "backend": "none"})
        conf["ipsec"] = {"tunnels": tunnels}
        self.daemon = Daemon(lab, "fw-a", conf=text(conf))
        self.daemon.start()
        wait_for("the role", lambda: self.machine.has_ip4(VIP_WAN), SECONDS)

    def lose(self):
        self.machine.run("ip", "link", "set", "lan0", "down")
        wait_for("the address to be gone", lambda: not self.machine.has_ip4(VIP_WAN), SECONDS)

    def gain(self):
        self.machine.run("ip", "link", "set", "lan0", "up")
        wait_for("the role", lambda: self.machine.has_ip4(VIP_WAN), SECONDS)

    def chains(self):
        return [self.machine.run(p + "-legacy-save", "-t", "filter", check=False) for p in ("iptables", "ip6tables")]

    def end(self):
        self.daemon.stop(20)
        self.machine.run("sh", "-c", "ip link set lan0 up; ip xfrm state flush; ip xfrm policy flush; rm -rf /run/keeptrackd")


@pytest.fixture(name="make")
def fixture_make(lab):
    made = []

    def make(**tunnel):
        made.append(Router(lab, **tunnel))
        return made[-1]
    yield make
    for router in made:
        router.end()


def add(machine, *rows):
    """SAs with keys: source, destination, SPI, protocol, mode, more words. One process for all: they are slow here."""
    machine.ip(*(" ".join(["xfrm state add src", source, "dst", destination, "proto", protocol, "spi", hex(spi), "mode", mode,
                           *more, *KEYS[protocol]]) for source, destination, spi, protocol, mode, *more in rows))
    return {(row[0], row[1], "0x%08x" % row[2]) for row in rows}


def test_sas_with_keys_of_every_protocol(make):
    """ESP, AH and IPComp, in tunnels and not, in UDP; what the kernel makes below IPComp goes with it. Conntrack entries
    too: the port of a peer behind NAT is learnt from its SA."""
    router = make(channel=True)
    machine = router.machine
    machine.sysctl({"net/core/xfrm_acq_expires": 3600})
    ours = add(machine, (VIP_WAN, PEER, 0x1001, "esp", "tunnel"), (PEER, VIP_WAN, 0x1002, "esp", "tunnel"),
               (PEER, VIP_WAN, 0x1003, "ah", "transport"), (VIP6, PEER6, 0x1004, "ah", "tunnel"),
               (PEER, VIP_WAN, 0x105, "comp", "tunnel"), (PEER6, VIP6, 0x106, "comp", "transport"),
               (PEER, VIP_WAN, 0x1007, "esp", "tunnel", "encap", "espinudp", "31000", "4500", "0.0.0.0"))
    others = add(machine, (OWN, PEER, 0x2001, "esp", "tunnel"), (PEER, OWN, 0x2002, "ah", "tunnel"),
                 (STRANGER, "203.0.113.11", 0x2003, "esp", "tunnel"))
    kept = add_policies(machine, VIP_WAN, STRANGER)
    listed = router.daemon.ask("show ipsec sweep dry-run")
    rows = {(sa["source"], sa["destination"], sa["spi"]): sa for sa in listed["sas"]}
    assert set(rows) == ours and {sa["state"] for sa in rows.values()} == {"valid"}
    assert rows[(PEER, VIP_WAN, "0x00001007")]["source_port"] == 31000
    assert listed["kept"] >= 1  # the kernel's own, below IPComp in tunnel mode
    for port in ("31000", "31001"):
        machine.run("conntrack", "-I", "-p", "udp", "-s", PEER, "-d", VIP_WAN, "--sport", port, "--dport", "4500", "-t", "600")
    router.lose()
    wait_for("the SAs to be gone", lambda: not sas(machine) & ours, SECONDS)
    wait_for("the entry to be gone", lambda: "sport=31000 " not in machine.conntrack("-L", "-p", "udp"), SECONDS)
    assert "sport=31001 " in machine.conntrack("-L", "-p", "udp")
    wait_for("what was below to be gone", lambda: sas(machine) == others, SECONDS)
    assert policies(machine) == kept
    swept = router.daemon.ask("show ipsec")["sweep"]
    assert swept["deleted"] >= len(ours) and not swept["failed"]
    router.gain()


def test_numbers_of_a_tunnel(make):
    router = make(reqid=7, mark=66)
    machine = router.machine
    numbers = ["reqid", "7", "mark", "66", "mask", "0xff"]
    ours = add(machine, (PEER, VIP_WAN, 0x1011, "esp", "tunnel", *numbers))
    others = add(machine, (PEER, VIP_WAN, 0x1012, "esp", "tunnel", "reqid", "8"), (VIP_WAN, PEER, 0x1013, "esp", "tunnel"))
    assert {sa["spi"] for sa in router.daemon.ask("show ipsec sweep dry-run")["sas"]} == {"0x00001011"}
    router.lose()
    wait_for("the SA to be gone", lambda: not sas(machine) & ours, SECONDS)
    assert sas(machine) == others
    router.gain()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_quarantine_by_iptables(lab, make, end):
    """In force while the address is away, lifted with it; both families; nothing is left, whatever the end was."""
    router = make()
    machine = router.machine
    wait_for("the rules", lambda: router.daemon.ask("show ipsec")["quarantine"]["in_force"], SECONDS)
    shown = router.daemon.ask("show ipsec")["quarantine"]
    assert shown["by"] == "iptables" and shown["addresses"] == 2 and not shown["error"]
    leaks = Leaks(machine, lab["peer"], "eth0", wait_for)
    try:
        assert leaks.all_pass(VIP_WAN, PEER) == (True, False)
        router.lose()
        for vip, peer, own in ((VIP_WAN, PEER, OWN), (VIP6, PEER6, "2001:db8:2::2")):
            assert leaks.all_pass(vip, peer) == (False, True)
            assert leaks.passes(own, peer, ESP)
        router.gain()
        assert leaks.all_pass(VIP_WAN, PEER) == (True, False)
        router.lose()
        assert not leaks.passes(VIP_WAN, PEER, ESP)
        if end == "stop":
            router.daemon.stop(20)
        else:
            router.daemon.signal(signal.SIGKILL)
        wait_for("the chains to be gone", lambda: "keeptrackd" not in "".join(router.chains()), SECONDS)
        assert leaks.all_pass(VIP_WAN, PEER) == (True, False)
    finally:
        leaks.close()


def test_an_address_in_a_vrf(lab, make):
    """The match does not ask the local table of a VRF: there the daemon closes and opens."""
    machine = lab["fw-a"]
    machine.ip("link add red type vrf table 10", "link set red up", "link set wan0 master red")
    leaks = Leaks(machine, lab["peer"], "eth0", wait_for, "red")
    try:
        router = make(ipv6=False)

        def state(shut):
            shown = router.daemon.ask("show ipsec")["quarantine"]
            return shown["in_force"] and shown["shut"] == shut
        wait_for("the rules", lambda: "keeptrackd" not in router.chains()[0], SECONDS)  # there is nothing to be dropped
        assert leaks.all_pass(VIP_WAN, PEER) == (True, False)
        router.lose()
        wait_for("the address to be shut", lambda: state(1), SECONDS)
        assert leaks.all_pass(VIP_WAN, PEER) == (False, True)
        assert leaks.passes(OWN, PEER, ESP)
        router.gain()
        wait_for("the address to be open", lambda: state(0), SECONDS)
        assert leaks.all_pass(VIP_WAN, PEER) == (True, False)
    finally:
        leaks.close()
        machine.ip("link set wan0 nomaster", "link del red")
