"""How sessions live on two running routers: longer than their timers, on another path, without an interface, after a split."""

import socket
import time

import pytest

from ctdump import dump
from lab import ROUTERS, SERVER, VIP_LAN, VIP_WAN, wait_for
from test_replication import (CLIENT6, SERVER6, Flow, group, open_flows, routers,  # noqa: F401  pylint: disable=unused-import
                              same_on_both)

STREAM, DATAGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM
UDP_S = 4  # seconds that a UDP session lives without a packet


@pytest.fixture
def impatient(lab):
    for name in ROUTERS:
        lab[name].sysctl({"net/netfilter/nf_conntrack_udp_timeout": UDP_S,
                          "net/netfilter/nf_conntrack_udp_timeout_stream": UDP_S})


def counters(daemon):
    return daemon.ask("show conntrack-sync statistics")["ours"]["counters"]


def skipped(daemon):
    rows = daemon.ask("show conntrack-sync statistics")["ours"]["sessions"]
    return {s["reason"]: s["count"] for s in rows if s["disposition"] == "skipped"}


def udp(lab, count, port, server=SERVER):
    return [Flow(lab["client"], lab["server"], DATAGRAM, (server, port + n), (server, port + n)) for n in range(count)]


def through(lab, router):
    """IPv6 takes this router, whoever is master."""
    for host, net, side in (("client", 1, "lan0"), ("server", 2, "wan0")):
        lab[host].ip("neigh replace 2001:db8:%d::1 lladdr %s dev eth0 nud permanent" % (net, lab.mac(router, side)))


def alone(lab, daemons, name):
    """This router holds the virtual addresses, the other one none."""
    other = ROUTERS[1 - ROUTERS.index(name)]
    return daemons[name].has_vips() and not lab[other].has_ip4(VIP_LAN) and not lab[other].has_ip4(VIP_WAN)


def test_longer_than_their_timers(lab, impatient, routers):  # noqa: F811  pylint: disable=redefined-outer-name
    """Busy sessions through the master; twenty that routing moves to the other router without any change of a role; a
    copy that runs out. After two timeouts all are in both kernels, and after a switch all go on as they were."""
    del impatient
    busy, moved = udp(lab, 3, 7400), udp(lab, 20, 7500, SERVER6)
    stays, goes = [f.original() for f in busy], [f.original() for f in moved]
    same_on_both(lab, stays + goes)
    epoch = group(routers["fw-a"])["epoch"]
    through(lab, "fw-b")
    lab["fw-b"].run("conntrack", "-U", "-p", "udp", "-s", stays[0][1], "--sport", str(stays[0][2]), "-t", "1")
    begin = time.monotonic()
    while time.monotonic() - begin < 2.5 * UDP_S:
        for flow in busy + moved:
            flow.talk()
        a, b = dump(lab["fw-a"]), dump(lab["fw-b"])
        assert all(k in a for k in stays), "the end of a copy took the original away"
        assert all(k in b for k in goes), "a session that the other router serves was removed there"
        time.sleep(0.3)  # packets come more often than a session of theirs would end
    same_on_both(lab, stays + goes)
    assert counters(routers["fw-b"])["claims"] >= 20
    assert group(routers["fw-a"])["epoch"] == epoch and alone(lab, routers, "fw-a")

    routers["fw-a"].ask("force failover")
    wait_for("fw-b to be master", lambda: alone(lab, routers, "fw-b"), 3)
    for flow in busy + moved:
        flow.talk()  # from the same translated port as ever
    through(lab, "fw-a")
    for flow in moved:
        flow.talk()
    same_on_both(lab, stays + goes)


def test_wan_interface_goes_down(lab, routers):  # noqa: F811  pylint: disable=redefined-outer-name
    """The kernel drops masqueraded sessions with the interface: those of the virtual address live on in their copies,
    those of the router's own address cannot, and were named before."""
    flows = open_flows(lab)
    hidden = Flow(lab["client"], lab["server"], DATAGRAM, (SERVER, 7300), (SERVER, 7300))
    keys = {name: flow.original() for name, flow in flows.items()}
    same_on_both(lab, keys.values())
    assert hidden.original() in dump(lab["fw-a"]) and hidden.original() not in dump(lab["fw-b"])
    assert skipped(routers["fw-a"])["node-address"] == 1
    lab["fw-a"].ip("link set wan0 down")
    wait_for("fw-b to be master", lambda: alone(lab, routers, "fw-b"), 3)
    wait_for("the kernel to drop what it masqueraded", lambda: hidden.original() not in dump(lab["fw-a"]), 5)
    table = dump(lab["fw-b"])
    assert [name for name, key in keys.items() if key not in table] == []
    for flow in flows.values():
        flow.talk()
    # What fw-a lost comes back as copies.
    lab["fw-a"].ip("link set wan0 up", "addr replace 2001:db8:2::2/64 dev wan0 nodad", "route replace default via " + SERVER)
    same_on_both(lab, keys.values(), 10)
    for flow in flows.values():
        flow.talk()


def split(lab, on):
    """The routers do not hear each other; everybody else hears both."""
    for name in ROUTERS:
        for side in ("lan0", "wan0"):
            lab["switch"].run("bridge", "link", "set", "dev", lab.port(name, side), "isolated", "on" if on else "off")
    if on:
        lab["fw-a"].ip("link set sync0 down")
    else:
        lab["fw-a"].ip("link set sync0 up", "addr replace fd00:9::1/64 dev sync0 nodad")


def towards(lab, router, state="reachable"):
    """IPv4 of client and server takes this router from now on; state permanent: whatever the routers announce."""
    for host, address, side in (("client", VIP_LAN, "lan0"), ("server", VIP_WAN, "wan0")):
        lab[host].ip("neigh replace %s lladdr %s dev eth0 nud %s" % (address, lab.mac(router, side), state))


def test_split_brain_heals(lab, routers):  # noqa: F811  pylint: disable=redefined-outer-name
    """Both were masters, both served. Afterwards both tables hold every session of either side, and every one goes on."""
    old = open_flows(lab)
    same_on_both(lab, [f.original() for f in old.values()])
    split(lab, True)
    wait_for("two masters", lambda: all(d.has_vips() for d in routers.values()), 5)
    sides = []
    for name in ("fw-b", "fw-a"):
        towards(lab, name, "permanent")  # each of two masters announces the addresses as its own
        port = 7600 + 100 * ROUTERS.index(name)
        sides.append([Flow(lab["client"], lab["server"], kind, (SERVER, port + n), (SERVER, port + n))
                      for n, kind in enumerate((STREAM, DATAGRAM, STREAM, DATAGRAM))])
        assert all(f.original() in dump(lab[name]) for f in sides[-1])
    assert not any(f.original() in dump(lab["fw-b"]) for f in sides[1])
    split(lab, False)
    wait_for("one master", lambda: [n for n in ROUTERS if lab[n].has_ip4(VIP_LAN, VIP_WAN)] in (["fw-a"], ["fw-b"]), 5)
    flows = list(old.values()) + sides[0] + sides[1]
    same_on_both(lab, [f.original() for f in flows], 10)
    master = next(n for n in ROUTERS if lab[n].has_ip4(VIP_LAN, VIP_WAN))
    towards(lab, master)
    for flow in flows:
        flow.talk()
    same_on_both(lab, [f.original() for f in flows])
