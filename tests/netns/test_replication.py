"""Sessions of two running routers, compared in both kernels: every protocol, every kind of NAT, both families."""

import socket

import pytest

from conf import lab_conf, text
from ctdump import ASSURED, BE_LIBERAL, CONFIRMED, DST_NAT, NAT_BITS, SEEN_REPLY, SRC_NAT, dump
from keeptrackd import Daemon, group
from lab import CLIENT, ROUTERS, SERVER, VIP_WAN, now_ns, wait_for
from wire import in_netns

CLIENT6, SERVER6 = "2001:db8:1::10", "2001:db8:2::10"
# A subnet in which the routers have nothing but the virtual address: what is masqueraded there takes it.
VIP_M, SERVER_M, VIP6_M, SERVER6_M = "198.51.100.1", "198.51.100.10", "2001:db8:5::1", "2001:db8:5::10"
TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
RULES = """
table ip more {
    chain prerouting {
        type nat hook prerouting priority -100; policy accept;
        iifname "wan0" tcp dport 8080 dnat to 10.0.1.10:7080
        iifname "wan0" udp dport 8081 dnat to 10.0.1.10:7081
    }
    chain postrouting {
        type nat hook postrouting priority 90; policy accept;
        oifname "wan0" udp dport 7300 masquerade
    }
}
table ip6 more6 {
    chain postrouting {
        type nat hook postrouting priority 90; policy accept;
        oifname "wan0" tcp dport 7307 masquerade
    }
}
insert rule inet lab forward iifname "wan0" ct status dnat accept
"""


def inet(machine, kind, bind=None, connect=None):
    """A socket in a machine's namespace."""
    def make():
        family = socket.AF_INET6 if ":" in (bind or connect)[0] else socket.AF_INET
        s = socket.socket(family, kind)
        s.settimeout(3)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if bind:
            s.bind(bind)
            if kind == socket.SOCK_STREAM:
                s.listen(8)
        if connect:
            s.connect(connect)
        return s
    return in_netns(machine.holder.pid, make)


class Flow:
    """A TCP connection or a UDP exchange between two machines of the lab."""

    def __init__(self, near, far, kind, to, listen):
        self.kind = kind
        self.listener = inet(far, kind, bind=listen)
        self.near = inet(near, kind, connect=to)
        self.far = self.seen = None
        if kind == socket.SOCK_STREAM:
            self.far, self.seen = self.listener.accept()
            self.far.settimeout(3)
        self.talk()

    def talk(self):
        """A message each way; the far end must see the same source as ever."""
        self.near.send(b"there")
        if self.kind == socket.SOCK_STREAM:
            assert self.far.recv(16) == b"there"
            self.far.send(b"back")
        else:
            data, seen = self.listener.recvfrom(16)
            assert data == b"there" and self.seen in (None, seen), "left as %s, then as %s" % (self.seen, seen)
            self.seen = seen
            self.listener.sendto(b"back", seen)
        assert self.near.recv(16) == b"back"

    def original(self):
        """The kernel's name of it, as the master sees it first."""
        near, to = self.near.getsockname(), self.near.getpeername()
        return TCP if self.kind == socket.SOCK_STREAM else UDP, near[0], near[1], to[0], to[1]

    def close(self):
        for s in (self.near, self.far, self.listener):
            if s:
                s.close()


def open_flows(lab):
    client, server = lab["client"], lab["server"]
    stream, datagram = socket.SOCK_STREAM, socket.SOCK_DGRAM
    return {
        "tcp snat": Flow(client, server, stream, (SERVER, 7001), (SERVER, 7001)),
        "udp snat": Flow(client, server, datagram, (SERVER, 7002), (SERVER, 7002)),
        "tcp dnat": Flow(server, client, stream, (VIP_WAN, 8080), (CLIENT, 7080)),
        "udp dnat": Flow(server, client, datagram, (VIP_WAN, 8081), (CLIENT, 7081)),
        "udp masquerade": Flow(client, server, datagram, (SERVER_M, 7300), (SERVER_M, 7300)),
        "tcp 6": Flow(client, server, stream, (SERVER6, 7001), (SERVER6, 7001)),
        "udp 6": Flow(client, server, datagram, (SERVER6, 7002), (SERVER6, 7002)),
        "tcp 6 masquerade": Flow(client, server, stream, (SERVER6_M, 7307), (SERVER6_M, 7307)),
    }


@pytest.fixture
def routers(lab):
    for name in ROUTERS:
        lab[name].run("nft", "-f", "-", text=RULES)
        lab[name].ip("route add default via %s" % SERVER6)
    lab["client"].ip("route add default via 2001:db8:1::1")
    lab["server"].ip("route add 2001:db8:1::/64 via 2001:db8:2::1", "addr add %s/24 dev eth0" % SERVER_M,
                     "addr add %s/64 dev eth0 nodad" % SERVER6_M)
    daemons = {}
    for name in ROUTERS:
        conf = lab_conf(lab, name, ipv6=True)
        conf["vrrp"]["groups"][0]["preempt"] = False
        vips = {i["name"]: i["virtual_addresses"] for i in conf["vrrp"]["instances"]}
        vips["wan"].append(VIP_M + "/24")
        vips["wan6"].append(VIP6_M + "/64")
        daemons[name] = Daemon(lab, name, conf=text(conf))
    for name in ROUTERS:  # one after the other: the first is master
        daemons[name].start()
        wait_for("fw-a to be master", lambda: group(daemons["fw-a"])["role"] == "MASTER", 5)
    wait_for("both to be ready", lambda: all(group(d)["ready"] for d in daemons.values()), 10)
    return daemons


def told(entry):
    """What a copy has to have in common with the original. The kernel notes of a flow without translation that it was
    looked at, which matters to new flows only: that bit stands in no copy."""
    bits = SEEN_REPLY | ASSURED | CONFIRMED | (NAT_BITS if entry.status & (SRC_NAT | DST_NAT) else 0)
    return entry.reply, entry.status & bits, entry.tcp_state, entry.scales


def same_on_both(lab, keys, seconds=5):
    """Waits until both kernels say the same of these flows; returns both tables."""
    def tables():
        a, b = dump(lab["fw-a"]), dump(lab["fw-b"])
        for key in keys:
            if key not in a or key not in b or told(a[key]) != told(b[key]):
                raise ValueError("%s: %s against %s" % (key, a.get(key), b.get(key)))
        return a, b
    return wait_for("equal entries on both routers", tables, seconds, 0.05)


def test_every_kind_in_both_kernels(lab, routers):
    flows = open_flows(lab)
    lab["client"].run("ping", "-c", "1", "-W", "2", "-e", "4242", SERVER)
    lab["client"].run("ping", "-6", "-c", "1", "-W", "2", "-e", "4243", SERVER6)
    keys = {name: flow.original() for name, flow in flows.items()}
    keys["icmp"] = (ICMP, CLIENT, 4242, SERVER, 8)
    keys["icmp 6"] = (ICMP6, CLIENT6, 4243, SERVER6, 128)
    a, b = same_on_both(lab, keys.values())

    # The originals are what this test believes them to be.
    for name, bits in (("tcp snat", SRC_NAT), ("udp snat", SRC_NAT), ("icmp", SRC_NAT), ("tcp dnat", DST_NAT),
                       ("udp dnat", DST_NAT), ("udp masquerade", SRC_NAT), ("tcp 6 masquerade", SRC_NAT),
                       ("tcp 6", 0), ("udp 6", 0), ("icmp 6", 0)):
        for table in (a, b):
            assert table[keys[name]].status & (SRC_NAT | DST_NAT) == bits, (name, table[keys[name]])
    assert b[keys["tcp dnat"]].reply == (TCP, CLIENT, 7080, SERVER, keys["tcp dnat"][2])
    assert b[keys["tcp snat"]].reply[3] == VIP_WAN
    assert b[keys["udp masquerade"]].reply[3] == VIP_M and b[keys["tcp 6 masquerade"]].reply[3] == VIP6_M
    for name in ("tcp snat", "tcp dnat", "tcp 6", "tcp 6 masquerade"):
        flags = b[keys[name]].tcp_flags
        assert flags[0] & BE_LIBERAL and flags[1] & BE_LIBERAL, "%s: windows would be checked too strictly" % name
    # A copy lives by its lease, whatever the original's own time is.
    assert 300 <= b[keys["udp snat"]].timeout <= 600 and a[keys["udp snat"]].timeout < 200

    wait_for("the digests to say so, too", lambda: all(
        p["equal"] and p["peer_has_all"] and p["have_all"]
        for r in routers.values() for p in r.ask("show conntrack-sync status")["peers"]), 3)

    # They are worth something: after a switch every flow goes on.
    routers["fw-a"].ask("force failover")
    wait_for("fw-b to be master", lambda: group(routers["fw-b"])["role"] == "MASTER"
             and not routers["fw-a"].has_vips(), 3)
    for flow in flows.values():
        flow.talk()
    # And what changes now goes the other way.
    fresh = Flow(lab["client"], lab["server"], socket.SOCK_STREAM, (SERVER, 7009), (SERVER, 7009))
    same_on_both(lab, [fresh.original()])
    for flow in list(flows.values()) + [fresh]:
        flow.close()


def test_local_sessions_are_never_sent(lab, routers):
    flow = Flow(lab["client"], lab["server"], socket.SOCK_DGRAM, (SERVER, 7002), (SERVER, 7002))
    for target, ident in (("10.0.1.2", 501), ("10.0.1.1", 502), ("203.0.113.1", 503)):
        lab["client"].run("ping", "-c", "1", "-W", "2", "-e", str(ident), target)
    lab["client"].run("ping", "-6", "-c", "1", "-W", "2", "-e", "504", "2001:db8:1::1")
    lab["fw-a"].run("ping", "-c", "1", "-W", "2", "-e", "505", SERVER)
    same_on_both(lab, [flow.original()])  # what came later is there by now, or never
    idents = {501, 502, 503, 504, 505}
    assert {e.orig[2] for e in dump(lab["fw-a"]).values() if e.orig[0] in (ICMP, ICMP6)} >= idents
    # Masqueraded behind this router's own address: of no use to the other one, which does not have it.
    hidden = Flow(lab["client"], lab["server"], socket.SOCK_DGRAM, (SERVER, 7300), (SERVER, 7300))
    second = Flow(lab["client"], lab["server"], socket.SOCK_DGRAM, (SERVER, 7003), (SERVER, 7003))
    same_on_both(lab, [second.original()])
    table = dump(lab["fw-b"])
    assert dump(lab["fw-a"])[hidden.original()].reply[3] == "203.0.113.2" and hidden.original() not in table
    assert not [e for e in table.values() if e.orig[0] in (ICMP, ICMP6) and e.orig[2] in idents], table
    statistics = routers["fw-a"].ask("show conntrack-sync statistics")["ours"]["sessions"]
    why = {s["reason"]: s["count"] for s in statistics if s["disposition"] == "skipped"}
    assert why["local-destination"] >= 4 and why["local-origin"] >= 1 and why["node-address"] >= 1, statistics


def test_delete_follows(lab, routers):
    flows = open_flows(lab)
    keys = {name: flow.original() for name, flow in flows.items()}
    same_on_both(lab, keys.values())
    begin = now_ns()
    for name in ("tcp snat", "udp snat", "tcp dnat", "tcp 6"):
        key = keys[name]
        family = "ipv6" if ":" in key[1] else "ipv4"
        lab["fw-a"].run("conntrack", "-D", "-f", family, "-p", "tcp" if key[0] == TCP else "udp", "-s", key[1], "-d",
                        key[3], "--sport", str(key[2]), "--dport", str(key[4]))

    def gone():
        table = dump(lab["fw-b"])
        return not [n for n in ("tcp snat", "udp snat", "tcp dnat", "tcp 6") if keys[n] in table]

    wait_for("the copies to go", gone, 2, 0.01)
    assert now_ns() - begin < 2e9
    same_on_both(lab, [keys[n] for n in ("udp dnat", "udp 6", "udp masquerade", "tcp 6 masquerade")])


def test_a_lost_copy_never_kills_the_original(lab, routers):
    """The standby's copy is deleted by hand, or runs out: the owner's entry stays, and the copy comes again."""
    flows = open_flows(lab)
    keys = {name: flow.original() for name, flow in flows.items()}
    same_on_both(lab, keys.values())
    key = keys["tcp snat"]
    lab["fw-b"].run("conntrack", "-D", "-p", "tcp", "-s", key[1], "--sport", str(key[2]))
    key = keys["udp snat"]
    lab["fw-b"].run("conntrack", "-U", "-p", "udp", "-s", key[1], "--sport", str(key[2]), "-t", "1")

    def expired():
        assert all(k in dump(lab["fw-a"]) for k in keys.values()), "an original is gone"
        entry = dump(lab["fw-b"]).get(key)  # reading the table is what lets the kernel drop it
        return entry is None or entry.timeout > 200

    wait_for("the short copy to run out or to be renewed", expired, 4, 0.05)
    same_on_both(lab, keys.values(), 10)
    end = now_ns() + 2500000000  # longer than an EXPIRED message waits before it is sent
    while now_ns() < end:
        assert all(k in dump(lab["fw-a"]) for k in keys.values()), "an original is gone"
    for name, flow in flows.items():
        flow.talk()


def test_without_replication_nothing_is_copied(lab):
    """Negative control of this file."""
    daemons = {n: Daemon(lab, n, conf=text(lab_conf(lab, n, replicate=False))) for n in ROUTERS}
    for daemon in daemons.values():
        daemon.start()
    wait_for("fw-a to be master", lambda: group(daemons["fw-a"])["role"] == "MASTER" and daemons["fw-a"].has_vips(), 5)
    flow = Flow(lab["client"], lab["server"], socket.SOCK_STREAM, (SERVER, 7001), (SERVER, 7001))
    key = flow.original()
    end = now_ns() + 500000000
    while now_ns() < end:
        assert key in dump(lab["fw-a"]) and key not in dump(lab["fw-b"])


def run_out(lab, router, key):
    """Makes an entry of a router run out now, as time would; reading the table lets the kernel drop it."""
    lab[router].run("conntrack", "-U", "-p", "udp", "-s", key[1], "--sport", str(key[2]), "--dport", str(key[4]), "-t", "1")
    wait_for("the entry to run out", lambda: key not in dump(lab[router]), 3, 0.02)
    return now_ns()


def test_expiry_is_not_a_delete(lab, routers):
    """When the owner's entry runs out, the copy stays until the peer was asked; without traffic it goes then."""
    flow = Flow(lab["client"], lab["server"], socket.SOCK_DGRAM, (SERVER, 7002), (SERVER, 7002))
    key = flow.original()
    same_on_both(lab, [key])
    begin = run_out(lab, "fw-a", key)
    while now_ns() - begin < 1e9:
        assert key in dump(lab["fw-b"]), "the expiry was sent as a delete"
    wait_for("the copy to go, too", lambda: key not in dump(lab["fw-b"]), 5, 0.05)
    assert now_ns() - begin > 1.5e9
    assert key not in dump(lab["fw-a"])


def test_a_flow_that_takes_the_other_router_lives_on(lab, routers):
    """Half of a flow passes the standby. The owner sees nothing of it, its entry runs out; the standby has seen packets,
    claims the flow, and the former owner gets a copy."""
    flow = Flow(lab["client"], lab["server"], socket.SOCK_DGRAM, (SERVER6, 7002), (SERVER6, 7002))
    key = flow.original()
    same_on_both(lab, [key])
    for host, side in (("client", "lan0"), ("server", "wan0")):
        net = 1 if host == "client" else 2
        lab[host].ip("neigh replace 2001:db8:%d::1 lladdr %s dev eth0 nud permanent" % (net, lab.mac("fw-b", side)))
    flow.talk()
    assert dump(lab["fw-b"])[key].timeout < 200, "the packets did not pass the standby"
    lab["fw-a"].run("conntrack", "-U", "-f", "ipv6", "-p", "udp", "-s", key[1], "--sport", str(key[2]), "-t", "1")
    wait_for("the owner's entry to run out", lambda: key not in dump(lab["fw-a"]), 3, 0.02)

    def claimed():
        assert key in dump(lab["fw-b"]), "a flow that lives was deleted"
        return key in dump(lab["fw-a"])

    wait_for("the former owner to have it again", claimed, 6, 0.05)
    flow.talk()
    counters = routers["fw-b"].ask("show conntrack-sync statistics")["ours"]["counters"]
    assert counters["claims"] >= 1, counters
