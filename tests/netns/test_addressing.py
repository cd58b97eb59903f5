"""Where adverts come from and go to: unicast, groups and sources of one's own, addresses that come late, virtual MACs; and
what a dissector says of all of it.
"""

import os
import subprocess

import pytest

from advert import frame4, frame6, v3
from conftest import build_dir, sanitizer_reports
from lab import now_ns, wait_for
from rig import Ours, Rig, Vr
from wire import Sender, Tap

PRIORITY = {"a": 150, "b": 100}
HAVE = {"ipv4": ("10.1.255.1", "10.1.255.2"), "ipv6": ("fe80::a:1", "fe80::b:1")}


@pytest.fixture
def rig():
    with Rig(build_dir()) as made:
        for name in ("a", "b"):
            made[name].run("ip", "-6", "addr", "flush", "dev", "eth1")
            made[name].ip("addr add fe80::%s:1/64 dev eth1 nodad" % name)
        yield made
        found = sanitizer_reports(made)
    assert not found, "\n".join(found)


def instances(router):
    return {i["name"]: i for i in router.ask("show vrrp")["instances"]}


def state(router, name="one"):
    return instances(router)[name]["state"]


def settled(pair, name="one"):
    wait_for("a master and a backup", lambda: [state(r, name) for r in pair] == ["MASTER", "BACKUP"], 10)


def vr(family="ipv4", name="one", vrid=10, advert=0.1, vips=None, **ours):
    vips = vips or (["10.1.0.1/16"] if family == "ipv4" else ["fe80::1:1/64", "2001:db8:1::1/64"])
    return Vr(name, 1, vrid, vips, advert, PRIORITY, family=family, **ours)


# ---------------------------------------------------------------- unicast

@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_unicast_pair(rig, family):
    """The same list of peers on both: each leaves itself out. TTL as configured; takeover and hand-back as ever."""
    one = vr(family, unicast_peers=list(HAVE[family]), unicast_ttl=9)
    pair = [Ours(rig, name, [one]).start() for name in ("a", "b")]
    settled(pair)
    shown = [instances(r)["one"] for r in pair]
    assert [i["sends_to"] for i in shown] == [[HAVE[family][1]], [HAVE[family][0]]]
    assert shown[1]["peer"]["address"] == HAVE[family][0] and not shown[1]["counters"]["drops"]
    client = rig.tap()  # the client is no peer: the switch may flood the first frames to it, later ones never
    begin = now_ns() + 500000000
    wait_for("half a second and more of adverts", lambda: now_ns() > begin + 500000000, 3)
    assert not client.vrrp(begin), "unicast adverts reach others"
    tap = Tap(rig["b"], "eth1")
    wait_for("an advert", lambda: tap.vrrp(mac=pair[0].mac()), 2)
    assert {a.ttl for a in tap.vrrp(mac=pair[0].mac())} == {9}
    pair[0].stop()
    wait_for("b after priority 0", lambda: state(pair[1]) == "MASTER", 2)
    assert instances(pair[1])["one"]["counters"]["priority_zero_received"] == 1
    pair[0].start()
    settled(pair)
    pair[0].die()
    wait_for("b after a death", lambda: state(pair[1]) == "MASTER", 2)
    pair[1].stop()


def test_unicast_over_global_ipv6_addresses(rig):
    """The peers know a router by the address that is in their list, so that is the source."""
    addresses = ["2001:db8:9::%s" % n for n in "ab"]
    for name, address in zip("ab", addresses):
        rig[name].ip("addr add %s/64 dev eth1 nodad" % address)
    pair = [Ours(rig, n, [vr("ipv6", unicast_peers=addresses)]).start() for n in ("a", "b")]
    settled(pair)
    shown = [instances(r)["one"] for r in pair]
    assert [i["source"] for i in shown] == addresses and shown[1]["peer"]["address"] == addresses[0]
    assert not shown[1]["counters"]["drops"]
    for router in pair:
        router.stop()


def test_one_deaf_direction_of_three(rig):
    """A peer that is not there costs the others nothing."""
    one = vr(advert=0.05, unicast_peers=["10.1.255.77", *HAVE["ipv4"]])
    pair = [Ours(rig, name, [one]).start() for name in ("a", "b")]
    settled(pair)
    begin = now_ns()
    wait_for("the neighbour 10.1.255.77 to be given up", lambda: now_ns() - begin > 4e9, 6)
    assert [state(r) for r in pair] == ["MASTER", "BACKUP"]
    assert instances(pair[1])["one"]["counters"]["became_master"] == 0
    for router in pair:
        router.stop()


def test_the_farewell_of_a_dead_process_reaches_every_peer(rig):
    """SIGKILL: the guardian says priority 0 to each destination, in each version, with the TTL that is configured."""
    vrs = [vr(name="uni", vrid=10, advert=1, unicast_ttl=77, version="v2+v3", unicast_peers=[*HAVE["ipv4"], "10.1.255.10"]),
           vr("ipv6", "uni6", 11, 1, ["fe80::1:2/64"], unicast_peers=list(HAVE["ipv6"])),
           vr(name="group", vrid=12, advert=1, vips=["10.1.0.3/16"], version="v2+v3")]
    pair = [Ours(rig, name, vrs, group="all", channel=True).start() for name in ("a", "b")]
    for name in ("uni", "uni6", "group"):
        settled(pair, name)
    wait_for("b to be ready", lambda: all(r.ready() for r in pair), 10)
    tap, client = Tap(rig["b"], "eth1"), rig.tap()
    wait_for("adverts", lambda: {a.vrid for a in tap.vrrp(mac=pair[0].mac())} == {10, 11, 12}, 3)
    pair[0].process.kill()
    wait_for("b to take over", lambda: state(pair[1], "group") == "MASTER", 1)
    want = {(10, 2, 77), (10, 3, 77), (11, 3, 255), (12, 2, 255), (12, 3, 255)}
    zero = wait_for("the farewells", lambda: [z for z in [{(a.vrid, a.version, a.ttl) for a in tap.vrrp(
        mac=pair[0].mac(), priority=0)}] if z == want], 2)
    assert zero
    assert {(a.version, a.ttl) for a in client.vrrp(vrid=10, priority=0, mac=pair[0].mac())} == {(2, 77), (3, 77)}
    assert not [d for i in instances(pair[1]).values() for d in i["counters"]["drops"]], instances(pair[1])
    pair[1].stop()


def test_one_socket_for_all(rig):
    """However many virtual routers: a raw socket for each interface and family, and the two of the guardian."""
    vrs = [vr(name="four%d" % i, vrid=i, vips=["10.1.1.%d/16" % i]) for i in range(1, 41)]
    vrs += [vr("ipv6", "six%d" % i, i, vips=["fe80::1:%d/64" % i]) for i in range(1, 21)]
    router = Ours(rig, "a", vrs).start()
    wait_for("all to be master", lambda: {i["state"] for i in instances(router).values()} == {"MASTER"}, 10)

    def raw(table):
        return len(rig["a"].run("cat", "/proc/net/" + table).strip().split("\n")) - 1
    assert (raw("raw"), raw("raw6")) == (2, 2)
    router.reload(vrs[:3] + vrs[40:42])
    assert (raw("raw"), raw("raw6")) == (2, 2)
    sender = Sender(rig["client"], "eth1")
    sender.send(frame4(v3(3, 200, ["10.1.1.3"], "10.1.255.10"), "10.1.255.10"))
    sender.send(frame4(v3(30, 200, ["10.1.1.30"], "10.1.255.10"), "10.1.255.10"))
    wait_for("the right one to yield", lambda: state(router, "four3") == "BACKUP", 2)
    assert [i["drops"] for i in router.ask("show interfaces")["interfaces"]][0] == [
        {"family": "ipv4", "reason": "unknown_vrid", "count": 1}]
    assert {state(router, n) for n in ("four1", "four2", "six1", "six2")} == {"MASTER"}
    router.reload(vrs[40:41])
    assert (raw("raw"), raw("raw6")) == (1, 2)
    router.stop()


# ---------------------------------------------------------------- groups and sources

@pytest.mark.parametrize("family,group", [("ipv4", "224.0.0.77"), ("ipv6", "ff02::4321")])
def test_a_group_of_ones_own(rig, family, group):
    """Two virtual routers, one of them in another group; a reload exchanges the groups, and the master stays master."""
    usual = "224.0.0.18" if family == "ipv4" else "ff02::12"
    other = ["10.1.0.2/16"] if family == "ipv4" else ["fe80::1:2/64"]
    two = [vr(family, multicast_group=group), vr(family, "two", 11, vips=other)]
    pair = [Ours(rig, name, two).start() for name in ("a", "b")]
    settled(pair, "one")
    settled(pair, "two")
    tap = rig.tap()
    sender = Sender(rig["client"], "eth1")
    src = "10.1.255.10" if family == "ipv4" else "fe80::99"
    frame = frame4 if family == "ipv4" else frame6
    for to in (usual, group):  # the right one is accepted, the other one has its reason
        sender.send(frame(v3(10, 1, [v.split("/")[0] for v in two[0].vips], src, dst=to), src, dst=to))
    wait_for("one of both to be heard", lambda: all(
        instances(r)["one"]["counters"]["drops"] == [{"reason": "destination", "count": 1}] for r in pair), 3)
    wait_for("adverts", lambda: len(tap.vrrp(vrid=10)) > 2 and len(tap.vrrp(vrid=11)) > 2, 3)
    mac = ("01:00:5e:00:00:4d", "01:00:5e:00:00:12") if family == "ipv4" else ("33:33:00:00:43:21", "33:33:00:00:00:12")
    assert {f.dst for f in tap.read() if f.src == pair[0].mac() and f.raw[23 if family == "ipv4" else 20] == 112} == set(mac)
    before = [[i["counters"]["became_" + s] for s in ("master", "backup", "fault")] for i in instances(pair[0]).values()]
    for router in pair:
        router.reload([vr(family), vr(family, "two", 11, vips=other, multicast_group=group)])
    assert "was not reloaded" not in pair[0].log(), pair[0].log()
    begin = now_ns()
    wait_for("adverts after the reload", lambda: len(tap.vrrp(begin, vrid=10)) > 5 and len(tap.vrrp(begin, vrid=11)) > 5, 3)
    assert [i["sends_to"] for i in instances(pair[0]).values()] == [[usual], [group]]
    for name in ("one", "two"):  # between the two reloads the backup is deaf; how long that takes is the machine's
        settled(pair, name)
    assert [[i["counters"]["became_" + s] for s in ("master", "backup", "fault")]
            for i in instances(pair[0]).values()] == before, "the master's socket and role stay"
    for router in pair:
        router.stop()


def test_from_unicast_to_multicast_and_back(rig):
    pair = [Ours(rig, name, [vr(unicast_peers=list(HAVE["ipv4"]))]).start() for name in ("a", "b")]
    settled(pair)
    for conf in (vr(), vr(unicast_peers=list(HAVE["ipv4"]))):
        for router in reversed(pair):  # the backup first: it is deaf until the master follows
            router.reload([conf])
        settled(pair)
        begin = now_ns()
        wait_for("half a second", lambda b=begin: now_ns() - b > 5e8, 2)
        assert [state(r) for r in pair] == ["MASTER", "BACKUP"]
    for router in pair:
        router.stop()


def test_a_source_of_ones_own(rig):
    """FAULT, with the reason, as long as the configured address is not on the interface; it clears by itself."""
    router = Ours(rig, "a", [vr(source="10.1.255.200")]).start()
    wait_for("FAULT", lambda: state(router) == "FAULT", 3)
    assert instances(router)["one"]["link_error"] == "the configured source address is not on the interface"
    assert "the source address 10.1.255.200 is not on eth1; waiting for it" in router.log()
    tap = rig.tap()
    rig["a"].ip("addr add 10.1.255.200/16 dev eth1")
    wait_for("MASTER", lambda: state(router) == "MASTER", 3)
    assert instances(router)["one"]["link_error"] == ""
    wait_for("adverts", lambda: len(tap.vrrp()) > 3, 2)
    assert {a.src for a in tap.vrrp()} == {"10.1.255.200"}
    rig["a"].ip("addr del 10.1.255.200/16 dev eth1")
    wait_for("FAULT again", lambda: state(router) == "FAULT", 3)
    wait_for("no virtual address", lambda: not router.holds("10.1.0.1"), 3)
    rig["a"].ip("addr add 10.1.255.200/16 dev eth1")
    wait_for("MASTER again", lambda: state(router) == "MASTER", 3)
    router.stop()


# ---------------------------------------------------------------- IPv6: the link-local address

def test_a_link_local_address_that_comes_late(rig):
    """None at the start, tentative for a while, taken away, back: the FAULT comes and goes without anybody's help."""
    machine = rig["a"]
    machine.run("ip", "-6", "addr", "flush", "dev", "eth1")
    machine.sysctl({"net/ipv6/conf/eth1/accept_dad": 1, "net/ipv6/conf/all/accept_dad": 1,
                    "net/ipv6/conf/eth1/dad_transmits": 2})
    router = Ours(rig, "a", [vr("ipv6"), vr("ipv4", "four", 11)]).start()
    wait_for("IPv4 to be master alone", lambda: state(router, "four") == "MASTER", 5)
    assert state(router) == "FAULT" and "no usable link-local IPv6 address" in router.log()
    for _ in range(2):
        machine.ip("addr add fe80::a:1/64 dev eth1")
        assert "tentative" in machine.run("ip", "-6", "addr", "show", "dev", "eth1", "to", "fe80::a:1")
        assert state(router) == "FAULT"
        wait_for("MASTER", lambda: state(router) == "MASTER", 6)
        assert "tentative" not in machine.run("ip", "-6", "addr", "show", "dev", "eth1", "to", "fe80::a:1")
        machine.ip("addr del fe80::a:1/64 dev eth1")
        wait_for("FAULT", lambda: state(router) == "FAULT", 3)
        assert state(router, "four") == "MASTER"
    assert instances(router)["one"]["counters"]["became_fault"] == 3
    router.stop()


def test_a_duplicate_link_local_address_is_none(rig):
    """Detection found another one with this address: nothing is sent from it."""
    machine = rig["a"]
    machine.run("ip", "-6", "addr", "flush", "dev", "eth1")
    machine.sysctl({"net/ipv6/conf/eth1/accept_dad": 1, "net/ipv6/conf/all/accept_dad": 1})
    rig["client"].ip("addr add fe80::a:1/64 dev eth1 nodad")
    router = Ours(rig, "a", [vr("ipv6")]).start()
    tap = rig.tap()
    machine.ip("addr add fe80::a:1/64 dev eth1")
    wait_for("the duplicate to be found", lambda: "dadfailed" in machine.run(
        "ip", "-6", "addr", "show", "dev", "eth1", "to", "fe80::a:1"), 5)
    assert state(router) == "FAULT" and not tap.vrrp()
    machine.ip("addr add fe80::a:2/64 dev eth1")
    wait_for("MASTER", lambda: state(router) == "MASTER", 6)
    assert {a.src for a in tap.vrrp()} == {"fe80::a:2"}
    router.stop()


# ---------------------------------------------------------------- what a dissector says

def dissect(path, *options):
    p = subprocess.run(["tshark", "-n", "-r", path, *options], capture_output=True, text=True, timeout=60, check=False)
    assert p.returncode == 0, p.stderr
    return p.stdout.rstrip("\n")


def write_pcap(path, frames):
    with open(path, "wb") as f:
        f.write(bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000"))
        for i, frame in enumerate(frames):
            f.write(i.to_bytes(4, "little") + bytes(4) + len(frame).to_bytes(4, "little") * 2 + frame)


def test_dissector_has_nothing_to_say(rig):
    """Version 2 plain and with a password, both versions at once, version 3, IPv6, unicast, from a virtual MAC's address."""
    peers = {f: [HAVE[f][0], "10.1.255.10" if f == "ipv4" else "fe80::c:1"] for f in HAVE}
    rig["client"].ip("addr add fe80::c:1/64 dev eth1 nodad")
    vrs = [vr(name="v2", vrid=1, advert=1, vips=["10.1.0.1/16"], version="v2"),
           vr(name="pass", vrid=2, advert=1, vips=["10.1.0.2/16"], version="v2", auth_pass="secret"),
           vr(name="both", vrid=3, advert=1, vips=["10.1.0.3/16"], version="v2+v3"),
           vr(name="v3", vrid=4, vips=["10.1.0.4/16", "10.1.0.5/16"]),
           vr("ipv6", name="v6", vrid=5, vips=["fe80::1:5/64", "2001:db8:1::5/64"]),
           vr(name="uni", vrid=6, vips=["10.1.0.6/16"], unicast_peers=peers["ipv4"]),
           vr(name="uni2", vrid=7, advert=1, vips=["10.1.0.7/16"], version="v2+v3", unicast_peers=peers["ipv4"]),
           vr(name="vmac", vrid=9, vips=["10.1.0.9/16"], virtual_mac={"kind": "macvlan"}),
           vr("ipv6", name="vmac6", vrid=10, vips=["fe80::1:a/64"], virtual_mac={"kind": "macvlan"}),
           vr("ipv6", name="uni6", vrid=8, vips=["fe80::1:8/64"], unicast_peers=peers["ipv6"])]
    router, tap = Ours(rig, "a", vrs).start(), rig.tap()
    want = {(1, "2"), (2, "2"), (3, "2"), (3, "3"), (4, "3"), (5, "3"), (6, "3"), (7, "2"), (7, "3"), (8, "3"), (9, "3"), (10, "3")}
    wait_for("two adverts of each kind", lambda: all(
        len([a for a in tap.vrrp() if (a.vrid, str(a.version)) == w]) >= 2 for w in want), 10)
    router.stop()
    wait_for("the farewells", lambda: {a.vrid for a in tap.vrrp(priority=0)} == set(range(1, 11)), 3)
    macs = {9: "00:00:5e:00:01:09", 10: "00:00:5e:00:02:0a"}
    assert all(a.mac == macs.get(a.vrid, router.mac()) for a in tap.vrrp())
    frames = [f.raw for f in tap.read() if f.src in (router.mac(), *macs.values())]
    path = os.path.join(rig.dir, "ours.pcap")
    write_pcap(path, frames)
    seen = set()
    fields = ("vrrp.virt_rtr_id", "vrrp.version", "vrrp.checksum.status", "ip.ttl", "ipv6.hlim", "ip.checksum.status",
              "ip.dsfield.dscp", "ipv6.tclass.dscp", "vrrp.auth_type")
    for line in dissect(path, "-o", "ip.check_checksum:TRUE", "-Y", "vrrp", "-T", "fields",
                        *(x for f in fields for x in ("-e", f))).split("\n"):
        vrid, version, checksum, ttl, hops, ipsum, dscp, tclass, auth = line.split("\t")
        seen.add((int(vrid), version))
        assert checksum in ("1", "Good"), line
        assert "255" in (ttl, hops) and "48" in (dscp, tclass), line
        assert ipsum in ("1", "Good", ""), line
        assert auth == {"1": "0", "2": "1", "3": "0", "7": "0"}.get(vrid, "") or version == "3", line
    assert seen == want
    found = dissect(path, "-o", "ip.check_checksum:TRUE", "-Y",
                    "_ws.expert.severity >= 0x00400000 and (vrrp or arp or icmpv6)", "-T", "fields", "-e", "frame.number",
                    "-e", "_ws.expert.message")
    assert not found, found
