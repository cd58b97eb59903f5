"""Virtual MACs on what the machine's own kernel may not have: a base in a VRF, ipvlan, no nftables."""

import json

import pytest

from lab import wait_for
from rig import Rig, Vr

SECONDS = 15
VMAC = "00:00:5e:00:01:0a"


@pytest.fixture(scope="module", name="rig")
def fixture_rig(build):
    with Rig(build, segments=2) as rig:
        for name in ("a", "b"):
            rig[name].ip("link add red type vrf table 100", "link set red up", "link set eth2 master red")
        yield rig


def link(machine, name):
    found = [l for l in json.loads(machine.run("ip", "-d", "-j", "link", "show")) if l["ifname"] == name]
    return found[0] if found else {"flags": [], "address": "", "linkinfo": {"info_kind": ""}}


def serves(rig, pair, name, vip, kind="macvlan"):
    """The interface is up on this router only, and answers the client."""
    up = {d.name for d in pair if "UP" in link(rig[d.name], "vrrp.10")["flags"]}
    return (up == {name} and link(rig[name], "vrrp.10")["linkinfo"]["info_kind"] == kind
            and " 1 received" in rig["client"].run("ping", "-c", "1", "-W", "1", vip, check=False))


def test_a_base_enters_and_leaves_a_vrf(rig, make):
    pair = make([Vr("four", 1, 10, ["10.2.0.1/16"], interface="eth2", virtual_mac={})])
    wait_for("a to serve", lambda: serves(rig, pair, "a", "10.2.0.1"), SECONDS)
    assert VMAC in rig["client"].run("ip", "neigh", "show", "10.2.0.1")
    assert link(rig["a"], "vrrp.10").get("master") == "red"
    for change, master in (("nomaster", None), ("master red", "red")):
        for name in ("b", "a"):
            rig[name].ip("link set eth2 " + change)
        wait_for("the virtual MAC to follow", lambda m=master: all(
            link(rig[name], "vrrp.10").get("master") == m for name in ("a", "b")), SECONDS)
        wait_for("a to serve", lambda: serves(rig, pair, "a", "10.2.0.1"), SECONDS)


def test_ipvlan(rig, make):
    pair = make([Vr("four", 1, 10, ["10.1.0.1/16"], virtual_mac={"kind": "ipvlan"})])
    wait_for("a to serve", lambda: serves(rig, pair, "a", "10.1.0.1", "ipvlan"), SECONDS)
    shown = pair[0].ask("show vrrp", detail=True)["instances"][0]["virtual_mac"]
    assert shown["kind"] == "ipvlan" and shown["mac"] == link(rig["a"], "eth1")["address"]
    pair[0].stop()
    wait_for("b to serve", lambda: serves(rig, pair, "b", "10.1.0.1", "ipvlan"), SECONDS)


def test_a_kernel_without_nftables(rig, make):
    """Said and shown; the role goes on, and the addresses answer."""
    pair = make([Vr("four", 1, 10, ["10.1.0.1/16"], virtual_mac={}, accept=False)])
    wait_for("a to serve", lambda: serves(rig, pair, "a", "10.1.0.1"), SECONDS)
    wait_for("the reason", lambda: "nftables refused the rules" in pair[0].log(), SECONDS)
    assert pair[0].ask("show vrrp", detail=True)["instances"][0]["accept"] == "failed"
