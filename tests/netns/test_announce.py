"""Announcements: rounds and pace on the wire, and who the neighbours believe after a healed split brain."""

import json

import pytest

from conftest import build_dir, sanitizer_reports
from lab import now_ns, wait_for
from rig import Ours, Rig, Vr

VIP = "10.1.0.1"


@pytest.fixture
def rig():
    made = Rig(build_dir(), segments=1, ipv6=False)
    yield made
    found = sanitizer_reports(made)
    made.close()
    assert not found, "\n".join(found)


def garps(tap, mac, since=0):
    """(instant, address) of every gratuitous ARP from this MAC."""
    source, found = bytes.fromhex(mac.replace(":", "")), []
    for frame in tap.read():
        raw = frame.raw
        if raw[6:12] == source and raw[12:14] == b"\x08\x06" and raw[28:32] == raw[38:42] and frame.t_ns >= since:
            found.append((frame.t_ns, ".".join(str(b) for b in raw[28:32])))
    return found


def neighbour(rig):
    """The MAC that the host has for the virtual address; it never asks anew by itself."""
    for entry in json.loads(rig["client"].run("ip", "-j", "neigh", "show", "dev", "eth1")):
        if entry["dst"] == VIP:
            return entry.get("lladdr")
    return None


def start(rig, channel, **options):
    vr = Vr("v", 1, 10, [VIP + "/16"], advert=0.1, garp_delay=0.3, garp_repeat=2, **options)
    nodes = {n: Ours(rig, n, [vr], channel=channel).start() for n in ("a", "b")}
    wait_for("a to be master", lambda: nodes["a"].holds(VIP), 10)
    wait_for("b to be ready", nodes["b"].ready, 10)
    return nodes


@pytest.mark.parametrize("how", ["channel", "advert", "neither"])
def test_the_survivor_of_a_split_brain_gets_its_hosts_back(rig, how):
    """
    The host is on b's side of the cut: its entry points at b. After the heal a (the higher priority) survives, and the
    host comes back without any refresh. Control: with garp_lower_repeat = 0 it stays with b.
    """
    nodes = start(rig, how == "channel", higher_priority_advert=how != "channel",
                  garp_lower_repeat=0 if how == "neither" else 2, garp_lower_delay=0)
    tap = rig.tap(1)
    rig["client"].run("ping", "-c1", "-W1", VIP)
    rig["client"].run("ip", "neigh", "replace", VIP, "lladdr", rig.mac("a", 1), "dev", "eth1", "nud", "stale")
    rig.unplug("a")
    wait_for("b to be master", lambda: nodes["b"].holds(VIP), 5)
    wait_for("the host to believe b", lambda: neighbour(rig) == rig.mac("b", 1), 5)
    assert nodes["a"].holds(VIP)
    wait_for("b's last announcement", lambda: len(garps(tap, rig.mac("b", 1))) >= 4, 5)
    healed = now_ns()
    rig.plug("a")
    wait_for("b to yield", lambda: not nodes["b"].holds(VIP), 5)
    if how == "neither":
        wait_for("adverts of a", lambda: len(tap.vrrp(healed, mac=rig.mac("a", 1))) > 20, 5)
        assert neighbour(rig) == rig.mac("b", 1)
        assert not garps(tap, rig.mac("a", 1), healed)
    else:
        wait_for("the host to believe a again", lambda: neighbour(rig) == rig.mac("a", 1), 2)
    assert nodes["a"].holds(VIP)
    for node in nodes.values():
        node.stop()
    tap.close()


def test_rounds_and_pace(rig):
    """garp_repeat per address, the same again after garp_delay, a refresh, and never two within garp_interval."""
    vips = ["10.1.0.%d/16" % k for k in range(1, 11)]
    tap = rig.tap(1)
    a = Ours(rig, "a", [Vr("v", 1, 10, vips, advert=0.1, garp_repeat=2, garp_delay=1, garp_refresh=3, garp_interval=0.004)])
    a.start()
    wait_for("the refresh", lambda: len(garps(tap, a.mac())) >= 50, 10)
    sent = garps(tap, a.mac())
    first = sent[0][0]
    bursts = [[s for s in sent if low <= (s[0] - first) / 1e9 < high] for low, high in ((0, 0.8), (0.8, 2.5), (2.5, 9))]
    assert [len(b) for b in bursts] == [20, 20, 10], [len(b) for b in bursts]
    for burst, each in zip(bursts, (2, 2, 1)):
        assert all(sum(1 for _, vip in burst if vip == v.split("/")[0]) == each for v in vips)
    # All of it is paced, the first round as well.
    later = [t for t, _ in sent]
    assert min(y - x for x, y in zip(later, later[1:])) > 3500000
    a.stop()
    tap.close()
