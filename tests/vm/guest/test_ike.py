"""Tunnels of every kind with the ESP of a kernel: IKEv2 with a key and with certificates, IKEv1 main mode, IPv6, a far end
behind NAT (ESP in UDP), one that ignores INITIAL_CONTACT. tests/netns has the same with ESP in user space; here the SAs are
the kernel's, and no time is judged."""

import re

import pytest

from ipsec import Tunnel
from lab import PEER, ROUTERS, VIP_WAN, wait_for
from vpnsite import Echoes, HIDDEN, NAT_BOX, PEER6, Site, VIP6, xfrm

SECONDS = 90
TUNNELS = [
    Tunnel("psk", 1),
    Tunnel("main", 2, peer="203.0.113.19", version=1),
    Tunnel("cert", 3, peer="203.0.113.29", auth="cert"),
    Tunnel("six", 4, vip=VIP6, peer=PEER6, ipv6=True),
    Tunnel("nat", 5, peer=NAT_BOX, machine="hidden", at=HIDDEN),
    Tunnel("never", 6, peer="203.0.113.39", far_end={"unique": "never"}),
]


@pytest.fixture(scope="module", name="site")
def fixture_site(build):
    with Site(build, TUNNELS, kernel_esp=True, advert=0.25) as site:
        for name in ROUTERS:
            site.lab[name].sysctl({"net/core/xfrm_acq_expires": 3600})  # what is half made is ours to remove, not time's
        site.start_ike()
        site.start_daemons()
        site.echoes = Echoes(site, rate=10)
        serves(site, "fw-a")
        yield site


def serves(site, name):
    """Every tunnel is up on this router only: its words, its kernel's SAs, and echoes through each."""
    site.wait_master(name, SECONDS)
    site.wait_up(name, seconds=SECONDS)
    site.echoes.wait_flowing(seconds=SECONDS)
    there = xfrm(site.lab[name], VIP_WAN, VIP6)
    for tunnel in TUNNELS:
        assert (tunnel.vip, tunnel.peer) in there and (tunnel.peer, tunnel.vip) in there, (tunnel.name, there)
    other = site.other(name)
    if other not in site.down and site.charons[other].process.poll() is None:
        wait_for("the kernel of %s to have no SA of the addresses" % other,
                 lambda: not xfrm(site.lab[other], VIP_WAN, VIP6), SECONDS, 0.2)


def ike_sas(site):
    """How many IKE SAs of each tunnel its far end has."""
    return {t.name: len(re.findall(r"^%s: #\d+, ESTABLISHED" % t.name, site.charons[t.machine].list_sas(t.name), re.M))
            for t in TUNNELS}


def test_natural_state(site):
    """ESP is what it should be: bare, in UDP towards the NAT box, and the inside of each tunnel is never seen outside."""
    states = site.lab["fw-a"].run("ip", "xfrm", "state")
    assert re.search(r"src %s dst %s\n(.*\n)*?\s+encap type espinudp sport 4500" % (VIP_WAN, NAT_BOX), states), states
    assert not re.search(r"src %s dst %s\n\s+proto.*\n.*\n.*\n.*\n\s+encap" % (VIP_WAN, PEER), states), states
    assert "IKEv1" in site.charons["fw-a"].list_sas("main")
    wait_for("an answer inside IPv6", lambda: " 0% packet loss" in site.lab["client"].run(
        "ping", "-6", "-c", "1", "-W", "2", TUNNELS[3].far_host6, check=False), SECONDS)


def test_there_and_back(site):
    for old, new in (("fw-a", "fw-b"), ("fw-b", "fw-a")):
        site.wait_ready(new, SECONDS)
        site.planned(old)
        serves(site, new)


def test_crash_and_return(site):
    """The far ends' old SAs go by INITIAL_CONTACT, where they listen to it."""
    site.wait_ready("fw-b", SECONDS)
    before = ike_sas(site)
    site.crash("fw-a")
    serves(site, "fw-b")
    kept = ike_sas(site)
    assert kept.pop("never") > before["never"] and set(kept.values()) == {1}, kept
    site.revive("fw-a")
    serves(site, "fw-a")


def test_stale_sas_of_a_stopped_charon(site):
    """charon of the old master stands still while the role goes and comes back: the kernel's SAs are swept all the same,
    and what charon itself still knows is purged when it goes on."""
    site.wait_ready("fw-b", SECONDS)
    site.charons["fw-a"].freeze()
    site.planned("fw-a")
    serves(site, "fw-b")
    site.charons["fw-a"].thaw()
    wait_for("charon of fw-a to know nothing", lambda: "ESTABLISHED" not in site.charons["fw-a"].swanctl("--list-sas"), SECONDS)
    site.wait_ready("fw-a", SECONDS)
    site.planned("fw-b")
    serves(site, "fw-a")
