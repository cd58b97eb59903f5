"""What is replicated and when, with the real kernel: rules by interface, least ages, addresses that come and go, timers
and TCP windows after a takeover.

Needs root, ip, conntrack, nft.
"""

import re
import time
from types import SimpleNamespace

import ctdump
from test_sync import TCP, two, wait_for  # noqa: F401  pylint: disable=unused-import

KEY = (6, "10.1.1.1", 1000, "10.2.2.2", 80)
V6 = "-p udp -s 2001:db8:7::1 -d 2001:db8:8::2 --sport 1 --dport 9 -u ASSURED,SEEN_REPLY -t 300"


def reasons(node):
    return sorted(s["reason"] for s in node.data("sessions"))


def counters(node):
    return node.data("statistics")[0]["ours"]["counters"]


def lives(node):
    """Seconds left of each entry, by source port."""
    found = [re.search(r" (\d+) ESTABLISHED .*? sport=(\d+)", line) for line in node.table("-p", "tcp")]
    return {int(m.group(2)): int(m.group(1)) for m in found if m}


def change(node, part):
    ctdump.change(SimpleNamespace(holder=node.process), KEY, part)


def test_an_interface_stands_for_its_networks(two):  # noqa: F811  pylint: disable=redefined-outer-name
    """Both families; the rule follows the addresses of the interface, and says so while it has none."""
    a, b = two.start()[1], two[2]
    a.ip("link", "add", "dmz0", "type", "veth", "peer", "name", "dmz1")
    a.ip("link", "set", "dmz0", "up")
    a.add(1000)
    a.inside("conntrack", "-I", *V6.split())
    wait_for("both copies", lambda: reasons(b) == ["", ""])
    a.say("policy interface dmz0")
    a.wait_line("interface dmz0 has no address: rule 1 of sync.ignore matches nothing")
    assert reasons(a) == ["", ""]
    a.ip("addr", "add", "10.2.2.254/24", "dev", "dmz0")
    wait_for("the IPv4 session to be left out", lambda: reasons(a) == ["", "ignored"])
    wait_for("its copy to go", lambda: b.count() == 0)
    a.ip("addr", "add", "2001:db8:8::ff/64", "dev", "dmz0", "nodad")
    wait_for("the IPv6 session to be left out", lambda: reasons(a) == ["ignored", "ignored"])
    wait_for("its copy to go, too", lambda: not b.data("sessions"))
    a.add(1001)
    wait_for("a new one", lambda: reasons(a) == ["ignored"] * 3)
    a.ip("addr", "del", "10.2.2.254/24", "dev", "dmz0")
    wait_for("IPv4 to come back", lambda: b.count() == 2 and reasons(a) == ["", "", "ignored"])
    a.ip("link", "set", "dmz0", "name", "other0")
    wait_for("all to come back", lambda: reasons(a) == ["", "", ""] and len(b.data("sessions")) == 3)
    assert counters(a)["judged_out"] == 2 and counters(a)["judged_in"] >= 3, counters(a)


def test_least_age(two):  # noqa: F811  pylint: disable=redefined-outer-name
    a, b = two.start()[1], two[2]
    a.say("policy age 3")
    a.say("policy port 81")
    wait_for("the new policy", lambda: counters(a)["rejudgings"] >= 2)
    two.wait_joined()
    begin = time.monotonic()
    a.add(1000)
    a.add(1001)
    wait_for("two young ones", lambda: reasons(a) == ["too-young", "too-young"], 2)
    a.inside("conntrack", "-D", "-p", "tcp", "--sport", "1001")
    wait_for("the copy", lambda: b.count() == 1, 6)
    assert time.monotonic() - begin > 2, "it was told before it was old enough"
    assert counters(a)["tx_created"] == 1 and counters(a)["cancelled"] == 1 and counters(a)["tx_deleted"] == 0
    # a planned switch leaves none behind
    a.say("policy age 3600")
    two.wait_joined()
    for port in range(1010, 1030):
        a.add(port)
    wait_for("20 young ones", lambda: reasons(a).count("too-young") == 20)
    a.ask("flush 9 2", "report flushed epoch=9.2")
    wait_for("all of them at the other node", lambda: b.count() == 21, 2)


def test_addresses_come_and_go(two):  # noqa: F811  pylint: disable=redefined-outer-name
    """On the owner the session becomes local and is one of many again; on the standby the copy has to go at once."""
    a, b = two.start()[1], two[2]
    a.add(1000)
    wait_for("the copy", lambda: b.count() == 1)
    a.ip("addr", "add", "10.1.1.1/32", "dev", "lo")
    wait_for("the reason", lambda: reasons(a) == ["local-origin"] and b.count() == 0)
    a.ip("addr", "del", "10.1.1.1/32", "dev", "lo")
    wait_for("the copy again", lambda: reasons(a) == [""] and b.count() == 1)
    b.ip("addr", "add", "10.2.2.2/32", "dev", "lo")
    wait_for("the copy to go", lambda: b.count() == 0)
    wait_for("the owner to know why", lambda: reasons(a) == ["peer-local"])
    assert a.count() == 1 and counters(b)["judged_local"] == 1
    assert counters(a)["judged_out"] == 1 and counters(a)["judged_in"] == 1


def test_idle_flows_get_their_own_timers_back(two):  # noqa: F811  pylint: disable=redefined-outer-name
    """After a takeover with a lease of 20 s: before it ends, idle TCP has what this node's sysctl says."""
    a, b = two[1], two[2]
    b.inside("sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_timeout_established=5000")
    two.start(lease=20)
    idle = re.sub("-t [0-9]+", "-t 400000", TCP) + " -s 10.1.1.1 -d 10.2.2.2 --dport 80"
    for port in range(1000, 1050):
        a.add(port, base=idle)
    wait_for("the copies", lambda: b.count() == 50)
    assert max(lives(b).values()) <= 22, "a copy has no lease"
    a.kill()
    begin = time.monotonic()
    b.ask("fence 2 2", "report fenced epoch=2.2")
    b.master(2)
    wait_for("full timers", lambda: min(lives(b).values()) > 4900, 16, 0.2)
    assert counters(b)["op_restored"] == 50 and b.count() == 50
    assert max(lives(b).values()) <= 5000 and time.monotonic() - begin < 15, "later than the first sweep"


def test_named_states(two):  # noqa: F811  pylint: disable=redefined-outer-name
    """tcp_states = ( "fin_wait" ): nothing before, everything after."""
    a, b = two.start()[1], two[2]
    a.say("policy states %d" % (1 << 4))
    wait_for("the new policy", lambda: counters(a)["rejudgings"] >= 2)
    two.wait_joined()
    a.add(1000)
    wait_for("the reason", lambda: reasons(a) == ["state-off"])
    change(a, (0x8004, ctdump.attribute(0x8001, ctdump.attribute(1, bytes([4])))))
    wait_for("the copy", lambda: b.count() == 1)
    change(a, (0x8004, ctdump.attribute(0x8001, ctdump.attribute(1, bytes([7])))))
    wait_for("its next state, which no list names", lambda: "TIME_WAIT" in (b.table() or [""])[0])
