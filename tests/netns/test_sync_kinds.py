"""Every kind of entry arrives as it is: both kernels' tables are compared attribute by attribute.

Needs root, ip, conntrack, nft.
"""

import struct
from types import SimpleNamespace

import ctdump
from test_sync import two, wait_for  # noqa: F401  pylint: disable=unused-import

SURE = "-u ASSURED,SEEN_REPLY -t 300"
V4 = "-s 10.1.1.1 -d 10.2.2.2 " + SURE
V6 = "-s 2001:db8::1 -d 2001:db8:1::2 " + SURE
UP = " --state ESTABLISHED --dport 80 --sport "
KINDS = (
    "-p udp --dport 53 --sport 1 " + V4, "-p udp --dport 53 --sport 1 " + V6,
    "-p udplite --sport 1 --dport 2 " + V4, "-p udplite --sport 1 --dport 2 " + V6,
    "-p sctp --sport 1 --dport 2 --state ESTABLISHED --orig-vtag 4277009102 --reply-vtag 6 " + V4,
    "-p sctp --sport 1 --dport 2 --state ESTABLISHED --orig-vtag 5 --reply-vtag 6 -n 192.0.2.1:77 " + V4.replace(
        "10.1.1.1", "10.1.1.9"),
    "-p sctp --sport 1 --dport 2 --state ESTABLISHED --orig-vtag 5 --reply-vtag 6 " + V6,
    "-p dccp --sport 1 --dport 2 --state OPEN --role client " + V4,
    "-p gre --srckey 0x111 --dstkey 0x222 " + V4, "-p gre --srckey 0x113 --dstkey 0x222 " + V4,
    "-p gre --srckey 0x111 --dstkey 0x222 " + V6,
    "-p 89 " + V4, "-p esp " + V4, "-p 97 " + V6,
    "-p tcp" + UP + "3 --zone 5 " + V4, "-p tcp" + UP + "4 --orig-zone 6 " + V4, "-p tcp" + UP + "5 --reply-zone 7 " + V4,
    "-p tcp" + UP + "6 -m 4294967295 " + V4,
    "-p tcp" + UP + "7 -n 192.0.2.1:77 -g 192.0.2.2:88 " + V4, "-p tcp" + UP + "8 -g 10.3.3.3 " + V4,
    "-p udp --sport 9 --dport 53 -n 192.0.2.1:53 -g 10.3.3.4:5353 " + V4,
)
HELP, LABELS, ADJUST, REPLY_ADJUST, SYNPROXY = 0x8005, 22, 0x800f, 0x8010, 0x8018


def entries(node):
    return {k: e for k, e in ctdump.dump(SimpleNamespace(holder=node.process)).items()
            if k[1].startswith("10.1.") or k[1].startswith("2001:db8")}


def lasting(node):
    return sorted(repr(e.lasting()) for e in entries(node).values())


def same(a, b, count):
    def probe():
        left, right = lasting(a), lasting(b)
        return len(left) == count and left == right
    try:
        wait_for("equal tables of %d" % count, probe, 10, 0.1)
    except AssertionError:
        left, right = set(lasting(a)), set(lasting(b))
        raise AssertionError("only here: %s\nonly there: %s" % (sorted(left - right), sorted(right - left))) from None


def words(*numbers):
    return b"".join(ctdump.attribute(k + 1, struct.pack(">I", n & 0xffffffff)) for k, n in enumerate(numbers))


def test_every_kind_of_entry(two):  # noqa: F811  pylint: disable=redefined-outer-name
    a, b = two.start()[1], two[2]
    for node in (a, b):
        # labels are kept only where a rule asks for them
        node.inside("nft", "-f", "-", text="table ip t { chain c { type filter hook forward priority 0; "
                                           "ct label 3 accept; }; }")
    for kind in KINDS:
        a.inside("conntrack", "-I", *kind.split())
    master, flow = SimpleNamespace(holder=a.process), (6, "10.1.1.1", 10, "10.2.2.2", 21)
    ctdump.add_tcp(master, *flow[1:], (HELP, ctdump.attribute(1, b"ftp\0")))
    ctdump.add_echo(master, "10.1.1.1", "10.2.2.2", 7)
    ctdump.add_echo(master, "2001:db8::1", "2001:db8:1::2", 65535)
    count = len(KINDS) + 3
    same(a, b, count)
    # neighbour discovery of the routers themselves is no session to replicate
    wait_for("every one to count as synced", lambda: sum(x["disposition"] == "synced" for x in a.data("sessions")) == count)
    # what changes later, one part at a time
    for part in ((LABELS, bytes([8]) + bytes(15)), (LABELS, bytes([9]) + bytes(14) + b"\x80"),
                 (ADJUST, words(1000, 0, 5)), (REPLY_ADJUST, words(4000000000, -3, -7)),
                 (8, struct.pack(">I", 77))):
        ctdump.change(master, flow, part)
        same(a, b, count)
    moved = entries(b)[flow]
    assert moved.labels == bytes([9]) + bytes(14) + b"\x80" and moved.mark == 77 and moved.helper == "ftp", moved
    assert moved.adjusted == [(1000, 0, 5), (4000000000, 2 ** 32 - 3, 2 ** 32 - 7)], moved.adjusted
    state, *tags = entries(b)[(132, "10.1.1.1", 1, "10.2.2.2", 2)].sctp
    assert state == 4 and all(tags), tags
    # a copy that is removed by hand comes back with everything it had
    b.inside("conntrack", "-D", "-p", "tcp", "--sport", "10", "-s", "10.1.1.1")
    b.inside("conntrack", "-D", "-p", "sctp")
    same(a, b, count)
    # the end of one is told
    a.inside("conntrack", "-D", "-p", "tcp", "--sport", "10", "-s", "10.1.1.1")
    same(a, b, count - 1)
    wait_for("equal digests", lambda: all(n.state().get("equal") == "1" for n in two.nodes))


def test_a_protocol_left_out(two):  # noqa: F811  pylint: disable=redefined-outer-name
    """`protocols` without it: nothing is sent, and the reason is said; the control is the test above."""
    a, b = two[1].start(protocols="tcp"), two[2].start(protocols="tcp")
    a.master(1)
    two.wait_joined()
    for kind in KINDS[:14] + ("-p tcp" + UP + "30 " + V4,):
        a.inside("conntrack", "-I", *kind.split())
    wait_for("the TCP session", lambda: len(lasting(b)) == 1)
    said = [(s["disposition"], s["reason"]) for s in a.data("sessions")]
    assert sorted(said) == [("skipped", "protocol-off")] * 14 + [("synced", "")], said
    assert len(lasting(b)) == 1
