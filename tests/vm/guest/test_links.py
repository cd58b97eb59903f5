"""Election on interfaces that the machine's own kernel may not have: VLANs, interfaces in a VRF, dummy interfaces."""

import pytest

from lab import now_ns, wait_for
from rig import Rig, Vr
from wire import Tap

# Interface, third octet of its addresses, and how the client reaches it.
VLAN, IN_VRF, VLAN_IN_VRF = ("eth1.10", 110), ("eth2", 2), ("eth1.20", 120)
SECONDS = 15


@pytest.fixture(scope="module", name="rig")
def fixture_rig(build):
    with Rig(build, segments=2) as rig:
        for host, name in ((1, "a"), (2, "b"), (10, "client")):
            lines = ["link add link eth1 name eth1.%d type vlan id %d" % (v, v) for v in (10, 20)]
            if name != "client":
                lines += ["link add red type vrf table 100", "link set red up", "link set eth2 master red",
                          "link set eth1.20 master red", "link add dummy0 type dummy", "link set dummy0 up"]
            for v in (10, 20):
                lines += ["link set eth1.%d up" % v, "addr add 10.%d.255.%d/16 dev eth1.%d" % (100 + v, host, v)]
            rig[name].ip(*lines)
        yield rig


def routers(link):
    """Two virtual routers on an interface, one of each family."""
    interface, number = link
    return [Vr("four", 1, 10, ["10.%d.0.1/16" % number], interface=interface),
            Vr("six", 1, 10, ["fe80::10:%x/64" % number, "2001:db8:%x::1/64" % number], family="ipv6",
               interface=interface)]


def states(daemon):
    return {i["name"]: i["state"] for i in daemon.ask("show vrrp", detail=True)["instances"]}


def received(daemon):
    return {i["name"]: i["counters"]["adverts_received"] for i in daemon.ask("show vrrp", detail=True)["instances"]}


def all_in(daemon, state):
    return set(states(daemon).values()) == {state}


def holds(daemon, link):
    """0, 1 or 2 families of the addresses are in the kernel."""
    number = link[1]
    with open("/proc/%d/net/if_inet6" % daemon.machine.holder.pid, encoding="ascii") as f:
        six = f.read()
    return (daemon.machine.has_ip4("10.%d.0.1" % number) + ("20010db8%04x00000000000000000001" % number in six))


def only_holder(daemon, other, link):
    return holds(daemon, link) == 2 and holds(other, link) == 0


def announced(tap, mac, number, since):
    """Both families' announcements of the new master (RFC 9568 6.4.2, gratuitous ARP; RFC 4861 7.2.6)."""
    garps = [a for a in tap.arp("10.%d.0.1" % number, since) if a[1] == mac and a[2]]
    target = bytes.fromhex("20010db8%04x00000000000000000001" % number)
    advertised = [f for f in tap.read() if f.t_ns >= since and f.type == 0x86dd and f.src == mac and
                  f.raw[20] == 58 and f.raw[54] == 136 and f.raw[62:78] == target]
    return garps and advertised


@pytest.mark.parametrize("link", [VLAN, IN_VRF, VLAN_IN_VRF], ids=["vlan", "vrf", "vlan-in-vrf"])
def test_election_takeover_return(rig, make, link):
    interface, number = link
    a, b = make(routers(link))
    wait_for("a to be the only master", lambda: all_in(a, "MASTER") and all_in(b, "BACKUP") and
             only_holder(a, b, link), SECONDS)
    # b is quiet because it hears a, over sockets bound to this very interface.
    before = received(b)
    wait_for("adverts of both families at b", lambda: all(n > before[name] + 5 for name, n in received(b).items()),
             SECONDS)
    assert all_in(b, "BACKUP")
    client = rig["client"]
    tap = Tap(client, interface)
    client.run("ping", "-c", "1", "-W", "5", "10.%d.0.1" % number)
    begin = now_ns()
    a.crash()
    try:
        wait_for("b to be master", lambda: all_in(b, "MASTER") and holds(b, link) == 2, SECONDS)
        wait_for("the announcements of b", lambda: announced(tap, b.mac(int(interface[3])), number, begin), SECONDS)
        adverts = tap.vrrp(begin, mac=b.mac(int(interface[3])))
        assert {x.af for x in adverts} == {4, 6} and {x.priority for x in adverts} == {100}, adverts
        client.run("ping", "-c", "1", "-W", "5", "10.%d.0.1" % number)
    finally:
        rig.plug("a")
    # a was killed as master, so it finds its own leftovers; b is master until a has the role again.
    a.start()
    wait_for("a to be the only master again", lambda: all_in(a, "MASTER") and all_in(b, "BACKUP") and
             only_holder(a, b, link), SECONDS)
    a.stop()
    wait_for("b after a's goodbye", lambda: all_in(b, "MASTER") and holds(b, link) == 2 and holds(a, link) == 0, SECONDS)
    tap.close()


def test_the_interface_below_a_vlan_goes_down(rig, make):
    """The VLAN's carrier follows the interface below it; its priority-0 advert cannot leave, so b waits."""
    a, b = make(routers(VLAN))
    wait_for("a to be the only master", lambda: all_in(a, "MASTER") and only_holder(a, b, VLAN), SECONDS)
    rig["a"].ip("link set eth1 down")
    try:
        wait_for("b to be master, a at fault", lambda: all_in(b, "MASTER") and all_in(a, "FAULT") and
                 only_holder(b, a, VLAN), SECONDS)
    finally:
        rig["a"].ip("link set eth1 up")
    wait_for("a to be the only master again", lambda: all_in(a, "MASTER") and all_in(b, "BACKUP") and
             only_holder(a, b, VLAN), SECONDS)


def test_a_vlan_is_deleted_and_made_anew(rig, make):
    a, b = make(routers(VLAN))
    wait_for("a to be the only master", lambda: all_in(a, "MASTER") and only_holder(a, b, VLAN), SECONDS)
    rig["a"].ip("link del eth1.10")
    wait_for("b to be master, a at fault", lambda: all_in(b, "MASTER") and all_in(a, "FAULT"), SECONDS)
    rig["a"].ip("link add link eth1 name eth1.10 type vlan id 10", "link set eth1.10 up",
                "addr add 10.110.255.1/16 dev eth1.10")
    wait_for("a to be the only master again", lambda: all_in(a, "MASTER") and all_in(b, "BACKUP") and
             only_holder(a, b, VLAN), SECONDS)


def test_an_interface_leaves_its_vrf_and_comes_back(rig, make):
    """The kernel takes an interface down and up for it. On both sides of the change a is heard, so b stays backup."""
    a, b = make(routers(IN_VRF))
    wait_for("a to be the only master", lambda: all_in(a, "MASTER") and only_holder(a, b, IN_VRF), SECONDS)
    for change in ("nomaster", "master red"):
        for router in (b, a):
            rig[router.name].ip("link set eth2 " + change)
        wait_for("a to be the only master after " + change, lambda: all_in(a, "MASTER") and all_in(b, "BACKUP") and
                 only_holder(a, b, IN_VRF), SECONDS)
        before = received(b)
        wait_for("adverts of both families at b", lambda seen=before: all(n > seen[k] + 5 for k, n in received(b).items()),
                 SECONDS)
        rig["client"].run("ping", "-c", "1", "-W", "5", "10.2.0.1")


def test_addresses_on_a_dummy_interface(rig, make):
    """Virtual addresses of a service live on a dummy interface, the election is on another one."""
    service = ["198.51.100.1", "2001:db8:5::1"]
    instances = [Vr("four", 1, 10, ["10.1.0.1/16", {"address": service[0] + "/32", "interface": "dummy0"}]),
                 Vr("six", 1, 10, ["fe80::1:1/64", {"address": service[1] + "/128", "interface": "dummy0"}], family="ipv6")]
    a, b = make(instances, group="service", channel=True)

    def there(router):
        return sum(address in rig[router.name].addresses("dummy0") for address in service)

    wait_for("a to have the service", lambda: there(a) == 2 and there(b) == 0 and a.ready() and b.ready(), SECONDS)
    client = rig["client"]
    client.ip("route replace 198.51.100.1/32 via 10.1.0.1")
    client.run("ping", "-c", "1", "-W", "5", service[0])
    a.ask("force failover")
    wait_for("b to have the service", lambda: there(b) == 2 and there(a) == 0, SECONDS)
    client.run("ping", "-c", "1", "-W", "5", service[0])
    # The interface goes with the addresses, and comes back without them: who has lost them gives the role away.
    rig["b"].ip("link del dummy0")
    wait_for("somebody who has the service", lambda: there(a) == 2, SECONDS)
    rig["b"].ip("link add dummy0 type dummy", "link set dummy0 up")
    wait_for("b to be ready again", b.ready, SECONDS)
    a.ask("force failover")
    wait_for("b to have the service", lambda: there(b) == 2 and there(a) == 0, SECONDS)
    # Alone, b keeps what it has, says what it lacks, and serves it again as soon as it can.
    a.stop()
    rig["b"].ip("link del dummy0")
    status = wait_for("b to say what is missing", lambda: [g for g in b.ask("show failover status")["groups"] if g["degraded"]],
                      SECONDS)
    assert "dummy0" in status[0]["detail"] and status[0]["role"] == "MASTER", status
    assert b.holds("10.1.0.1")
    rig["b"].ip("link add dummy0 type dummy", "link set dummy0 up")
    wait_for("b to have the service", lambda: there(b) == 2 and not b.ask("show failover status")["groups"][0]["degraded"],
             SECONDS)
