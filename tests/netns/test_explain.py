"""explain session and the commands that act on replication, on two running routers.

The case of a vendor's support: 643 sessions on one firewall and 16 on the other, since 629 of them are pings of the box
itself. Needs root, ip, nft.
"""

import signal
import socket
import struct

import pytest

from conf import lab_conf, text
from ctdump import add_tcp, attribute, dump
from keeptrackd import Daemon
from lab import ROUTERS, SERVER, now_ns, wait_for
from test_replication import Flow, group
from wire import in_netns

PINGS, FLOWS = 629, 13


def make(lab, **sync):
    daemons = {}
    for name in ROUTERS:
        conf = lab_conf(lab, name)
        conf["vrrp"]["groups"][0]["preempt"] = False
        conf["sync"].update(sync)
        daemons[name] = Daemon(lab, name, conf=text(conf))
    for name in ROUTERS:
        daemons[name].start()
        wait_for("fw-a to be master", lambda: group(daemons["fw-a"])["role"] == "MASTER", 5)
    wait_for("both to be ready", lambda: all(group(d)["ready"] for d in daemons.values()), 10)
    return daemons


def explain(daemon, source, destination, protocol, **more):
    return daemon.ask("explain session", source=source, destination=destination, protocol=protocol, **more)


def verdict(daemon, *words, **more):
    return explain(daemon, *words, **more)["verdict"]


def ping_many(machine, dst, idents):
    """One echo request each, as so many ping programs would send them."""
    def work():
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as s:
            for ident in idents:
                body = struct.pack(">BBHHH", 8, 0, 0, ident, 1)
                total = sum(struct.unpack(">4H", body))
                s.sendto(body[:2] + struct.pack(">H", ~(total + (total >> 16)) & 0xffff) + body[4:], (dst, 0))
    in_netns(machine.holder.pid, work)


def lasting(machine):
    """Entries of hosts behind the routers."""
    return sorted(repr(e.lasting()) for k, e in dump(machine).items()
                  if "10.0.1.10" in k and not {"10.0.1.1", "10.0.1.2", "10.0.1.3"} & set(k))


def equal(lab, least=1, seconds=10):
    def probe():
        a, b = lasting(lab["fw-a"]), lasting(lab["fw-b"])
        return len(a) >= least and a == b
    wait_for("equal tables", probe, seconds, 0.05)


def idle(daemon, seconds=15):
    """Until the newest order is done."""
    def probe():
        order = daemon.ask("show conntrack-sync status")["order"]
        return order if order and not order["running"] else None
    return wait_for("the order to be done", probe, seconds, 0.05)


def test_the_case_of_629_pings(lab):
    daemons = make(lab)
    flows = [Flow(lab["client"], lab["server"], socket.SOCK_STREAM, (SERVER, 7001 + n), (SERVER, 7001 + n))
             for n in range(FLOWS)]
    ping_many(lab["fw-a"], SERVER, range(1, PINGS + 1))
    equal(lab, FLOWS)

    def counted():
        rows = daemons["fw-a"].ask("show conntrack-sync statistics")["ours"]["sessions"]
        why = {r["reason"]: r["count"] for r in rows if r["disposition"] in ("skipped", "synced")}
        return why.get("local-origin", 0) >= PINGS and why.get("", 0) >= FLOWS
    wait_for("every session to have its disposition", counted, 15, 0.1)

    said = verdict(daemons["fw-a"], "203.0.113.2:600", SERVER, "icmp")
    assert said["code"] == "local-origin" and not said["replicated"], said
    assert said["text"].startswith("not replicated: local-origin, 203.0.113.2 is an address of fw-a (rule: local"), said
    # From the other router, and by the answer's direction.
    there = explain(daemons["fw-b"], SERVER, "203.0.113.2:5", "icmp")
    assert there["verdict"]["code"] == "local-origin" and "fw-a" in there["verdict"]["text"], there
    assert [n["node"] for n in there["nodes"]] == ["fw-b", "fw-a"]
    assert [n["kernel"]["present"] for n in there["nodes"]] == [False, True], there
    assert there["session"]["original"]["source"] == "203.0.113.2"

    # A flow of a host: by its own name, turned round, and by the translated one.
    _, src, sport, dst, dport = flows[0].original()
    seen = dump(lab["fw-a"])[flows[0].original()].reply
    for names in (("%s:%d" % (src, sport), "%s:%d" % (dst, dport)), ("%s:%d" % (dst, dport), "%s:%d" % (src, sport)),
                  ("%s:%d" % (seen[1], seen[2]), "%s:%d" % (seen[3], seen[4])),
                  ("%s:%d" % (seen[3], seen[4]), "%s:%d" % (seen[1], seen[2]))):
        for daemon in daemons.values():
            found = explain(daemon, *names, "tcp")
            assert found["verdict"]["replicated"], (names, found)
            assert found["session"]["original"]["source_port"] == sport
            assert all(n["kernel"]["present"] and n["table"]["present"] for n in found["nodes"]), found
    status, out = daemons["fw-a"].ktsh_raw("explain", "session", "%s:%d" % (src, sport), "%s:%d" % (dst, dport), "tcp")
    assert status == 0 and "\nVerdict: replicated: a session of fw-a, in the kernel of every node" in out, out
    assert verdict(daemons["fw-a"], "10.0.1.10:1", "203.0.113.10:2", "udp")["code"] == "nowhere"
    status, out = daemons["fw-a"].ktsh_raw("explain", "session", "10.0.1.10", "203.0.113.10:2", "udp")
    assert status == 1 and "source '10.0.1.10' must be an address and a port" in out, out
    for flow in flows:
        flow.close()


@pytest.fixture
def strict(lab):
    return make(lab, protocols=["tcp", "icmp"], ignore=[{"address": "203.0.113.0/24", "port": 7050}])


def test_rules_and_refusals_are_named(lab, strict):
    udp = Flow(lab["client"], lab["server"], socket.SOCK_DGRAM, (SERVER, 7002), (SERVER, 7002))
    left = Flow(lab["client"], lab["server"], socket.SOCK_STREAM, (SERVER, 7050), (SERVER, 7050))
    good = Flow(lab["client"], lab["server"], socket.SOCK_STREAM, (SERVER, 7051), (SERVER, 7051))
    equal_one = good.original()
    wait_for("the copy", lambda: equal_one in dump(lab["fw-b"]), 5, 0.05)

    def ends(flow):
        _, src, sport, dst, dport = flow.original()
        return "%s:%d" % (src, sport), "%s:%d" % (dst, dport)
    said = verdict(strict["fw-a"], *ends(udp), "udp")
    assert said["code"] == "protocol-off" and "sync.protocols" in said["change"], said
    said = verdict(strict["fw-b"], *ends(left), "tcp")
    assert said["code"] == "ignored" and "entry 1 of sync.ignore" in said["text"], said

    # Another flow on the standby holds the translated address: its kernel refuses the copy.
    add_tcp(lab["fw-b"], SERVER, 7077, "203.0.113.1", 50000)
    address, lan = socket.inet_aton("203.0.113.1"), "10.0.1.10"
    nat = attribute(1, address) + attribute(2, address) + attribute(0x8003, attribute(1, struct.pack(">H", 50000)) +
                                                                     attribute(2, struct.pack(">H", 50000)))
    add_tcp(lab["fw-a"], lan, 50000, SERVER, 7077, (0x8006, nat))
    said = wait_for("the refusal", lambda: next(iter(
        v for v in [verdict(strict["fw-a"], lan + ":50000", SERVER + ":7077", "tcp")]
        if v["code"] == "collision"), None), 5, 0.05)
    assert "fw-b" in said["text"] and "disjoint" in said["change"], said
    assert verdict(strict["fw-b"], lan + ":50000", SERVER + ":7077", "tcp")["code"] == "collision"

    # A peer that hangs is waited for, and named.
    strict["fw-b"].signal(signal.SIGSTOP)
    begin = now_ns()
    found = explain(strict["fw-a"], *ends(udp), "udp")
    assert 0.9e9 < now_ns() - begin < 3e9 and found["nodes"][1]["state"] == "silent", found
    assert found["verdict"]["code"] == "protocol-off" and found["nodes"][1]["kernel"] is None, found
    assert found["nodes"][1]["steps"][0]["text"].startswith("the peer did not answer: "), found
    strict["fw-b"].signal(signal.SIGCONT)

    # Nobody answers for a peer that is gone.
    strict["fw-b"].kill()
    found = wait_for("the connection to be gone", lambda: next(iter(
        f for f in [explain(strict["fw-a"], "10.9.9.9:1", "10.8.8.8:2", "tcp")]
        if f["nodes"][1]["state"] == "not-connected"), None), 5, 0.1)
    assert found["verdict"]["code"] == "not-here" and found["nodes"][1]["error"], found
    for flow in (udp, left, good):
        flow.close()


def test_a_copy_in_the_store(lab):
    """In no kernel of the standby: found by the owner's word, and without it by a walk over the table."""
    daemons = make(lab, store="warm")
    flow = Flow(lab["client"], lab["server"], socket.SOCK_STREAM, (SERVER, 7060), (SERVER, 7060))
    reply = wait_for("the original", lambda: dump(lab["fw-a"]).get(flow.original()), 3, 0.05).reply
    names = "%s:%d" % (reply[3], reply[4]), "%s:%d" % (reply[1], reply[2])
    for daemon in daemons.values():
        said = wait_for("the copy in the store", lambda d=daemon: next(iter(
            v for v in [verdict(d, *names, "tcp")] if v["code"] == "warm"), None), 5, 0.05)
        assert said["replicated"] and "store" in said["text"] and "sync.store" in said["change"], said
    assert flow.original() not in dump(lab["fw-b"])
    lab["fw-b"].ip("link set sync0 down")
    found = wait_for("the channel to be cut", lambda: next(iter(
        f for f in [explain(daemons["fw-b"], *names, "tcp")] if f["nodes"][1]["state"] == "not-connected"), None), 8, 0.2)
    assert found["nodes"][0]["table"]["reason"] == "warm" and not found["nodes"][0]["kernel"]["present"], found
    assert found["verdict"]["code"] == "unconfirmed" and found["session"]["original"]["source"] == "10.0.1.10", found
    flow.close()


def test_resets_lose_nothing(lab):
    daemons = make(lab)
    flows = [Flow(lab["client"], lab["server"], kind, (SERVER, 7100 + n), (SERVER, 7100 + n))
             for n, kind in enumerate([socket.SOCK_STREAM] * 20 + [socket.SOCK_DGRAM] * 5)]
    keys = {f.original() for f in flows}

    def there(name):
        return keys <= set(dump(lab[name]))
    wait_for("all copies", lambda: there("fw-b"), 5, 0.05)
    for number, (name, command, order) in enumerate((
            ("fw-a", "reset conntrack-sync internal-cache", True), ("fw-b", "reset conntrack-sync external-cache", True),
            ("fw-b", "reset conntrack-sync internal-cache", True), ("fw-a", "reset conntrack-sync external-cache", True),
            ("fw-a", "restart conntrack-sync", False), ("fw-b", "restart conntrack-sync", False),
            ("fw-b", "force resync", True), ("fw-a", "force resync", True))):
        answer = daemons[name].ask(command)
        assert answer["order"]["running"] if order else answer["connections"] == 1, (command, answer)
        # A light load meanwhile; no entry of a living flow may leave either kernel for a moment.
        end = now_ns() + 300000000
        fresh = Flow(lab["client"], lab["server"], socket.SOCK_STREAM, (SERVER, 7200 + number), (SERVER, 7200 + number))
        while now_ns() < end:
            for flow in flows[number::8]:
                flow.talk()
            assert there("fw-a") and there("fw-b"), command
        if order:
            done = idle(daemons[name])
            assert done["order"] == command and done["kernel_read"] and not done["to_send"] + done["to_receive"], done
        fresh.close()
        assert "%s by user 0" % command in daemons[name].log(), command
    wait_for("both to be ready", lambda: all(group(d)["ready"] for d in daemons.values()), 15, 0.1)
    equal(lab, len(keys))

    counters = daemons["fw-a"].ask("show conntrack-sync statistics")["ours"]["counters"]
    assert counters["resyncs"] >= 3 and counters["rx_resyncs"] >= 1 and counters["tx_created"] >= 25, counters
    answer = daemons["fw-a"].ask("clear counters")
    assert answer["cleared"] == ["control", "replication"] and answer["kept"], answer
    after = daemons["fw-a"].ask("show conntrack-sync statistics")
    assert after["ours"]["counters"]["resyncs"] == 0 and after["ours"]["counters"]["tx_created"] < 25, after
    assert after["internal"]["active"] >= 25 and after["channel"]["bytes_sent"] < 100000, after
    equal(lab, len(keys))
    for flow in flows:
        flow.talk()
        flow.close()
