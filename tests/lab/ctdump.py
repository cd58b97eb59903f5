"""The kernel's connection table, as netlink tells it: with status bits and TCP details that conntrack -L leaves out."""

import os
import socket
import struct

from wire import in_netns

NETLINK_NETFILTER, CT_GET = 12, 0x0101
SEEN_REPLY, ASSURED, CONFIRMED, SRC_NAT, DST_NAT, SRC_DONE, DST_DONE = 2, 4, 8, 0x10, 0x20, 0x80, 0x100
NAT_BITS = SRC_NAT | DST_NAT | SRC_DONE | DST_DONE
BE_LIBERAL = 8


def attributes(data):
    """{type: bytes} of a run of netlink attributes."""
    found, at = {}, 0
    while at + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, at)
        if size < 4:
            break
        found[kind & 0x3fff] = data[at + 4:at + size]
        at += (size + 3) & ~3
    return found


def number(data):
    return int.from_bytes(data, "big")


def tuple_of(data):
    """(protocol, source, source port, destination, destination port); of ICMP: (.., id, .., type)."""
    a = attributes(data)
    ip, proto = attributes(a[1]), attributes(a[2])
    if 1 in ip:
        src, dst = (socket.inet_ntop(socket.AF_INET, ip[k]) for k in (1, 2))
    else:
        src, dst = (socket.inet_ntop(socket.AF_INET6, ip[k]) for k in (3, 4))
    if 2 in proto:
        ports = number(proto[2]), number(proto[3])
    else:
        ports = number(proto.get(4, proto.get(7, b"\0"))), number(proto.get(5, proto.get(8, b"\0")))
    return number(proto[1]), src, ports[0], dst, ports[1]


class Entry:
    def __init__(self, data):
        a = attributes(data)
        self.orig, self.reply = tuple_of(a[1]), tuple_of(a[2])
        self.status, self.timeout = number(a.get(3, b"\0")), number(a.get(7, b"\0"))
        tcp = attributes(attributes(a.get(4, b"")).get(1, b""))
        self.tcp_state = number(tcp[1]) if 1 in tcp else None
        self.scales = (tcp[2][0], tcp[3][0]) if 2 in tcp and 3 in tcp else None
        self.tcp_flags = (tcp[4][0], tcp[5][0]) if 4 in tcp and 5 in tcp else None
        sctp = attributes(attributes(a.get(4, b"")).get(3, b""))
        self.sctp = (sctp[1][0], number(sctp[2]), number(sctp[3])) if len(sctp) >= 3 else None
        self.mark, self.labels = number(a.get(8, b"\0")), a.get(22, b"").rstrip(b"\0")
        self.zones = [number(attributes(a[k]).get(3, a.get(18, b"\0"))) for k in (1, 2)]
        self.helper = attributes(a.get(5, b"")).get(1, b"").rstrip(b"\0").decode()
        self.adjusted = [tuple(number(v) for _, v in sorted(attributes(a.get(k, b"")).items())) for k in (15, 16)]

    def lasting(self):
        """What a copy must have in common with the original: all but timers and what the own kernel adds."""
        return (self.orig, self.reply, self.status & (SEEN_REPLY | ASSURED | NAT_BITS), self.tcp_state, self.scales,
                self.sctp, self.mark, self.labels, self.zones, self.helper, self.adjusted)

    def __repr__(self):
        return "%s / %s status %#x timeout %d tcp %s %s %s" % (
            self.orig, self.reply, self.status, self.timeout, self.tcp_state, self.scales, self.tcp_flags)


def attribute(kind, data):
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def say(machine, family, flags, *parts):
    """One CT_NEW message of raw attributes (kind, bytes), acknowledged."""
    body = bytes([family, 0, 0, 0]) + b"".join(attribute(*p) for p in parts)

    def work():
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as s:
            s.bind((0, 0))
            s.send(struct.pack("=IHHII", 16 + len(body), 0x0100, 5 | flags, 1, 0) + body)
            error = struct.unpack_from("=i", s.recv(65536), 16)[0]
            if error:
                raise OSError(-error, os.strerror(-error))
    in_netns(machine.holder.pid, work)


def ports_tuple(proto, src, sport, dst, dport):
    return attribute(0x8001, attribute(1, socket.inet_aton(src)) + attribute(2, socket.inet_aton(dst))) + attribute(
        0x8002, attribute(1, bytes([proto])) + attribute(2, struct.pack(">H", sport)) +
        attribute(3, struct.pack(">H", dport)))


def change(machine, orig, *parts):
    """Updates an IPv4 entry (protocol, source, port, destination, port)."""
    say(machine, socket.AF_INET, 0, (0x8001, ports_tuple(*orig)), *parts)


def add_tcp(machine, src, sport, dst, dport, *parts):
    """An established TCP session with further attributes."""
    info = attribute(0x8001, attribute(1, bytes([3])))
    say(machine, socket.AF_INET, 0x600, (0x8001, ports_tuple(6, src, sport, dst, dport)),
        (0x8002, ports_tuple(6, dst, dport, src, sport)), (0x8004, info),
        (3, struct.pack(">I", SEEN_REPLY | ASSURED | CONFIRMED)), (7, struct.pack(">I", 300)), *parts)


def add_echo(machine, src, dst, ident):
    """An answered echo session of ICMP or ICMPv6 (the tool fails at them)."""
    six = ":" in src
    family, proto, first, kinds = (socket.AF_INET6, 58, 7, (128, 129)) if six else (socket.AF_INET, 1, 4, (8, 0))

    def ends(one, other, kind):
        ip = b"".join(attribute(k + (3 if six else 1), socket.inet_pton(family, a)) for k, a in enumerate((one, other)))
        return attribute(0x8001, ip) + attribute(
            0x8002, attribute(1, bytes([proto])) + attribute(first, struct.pack(">H", ident)) +
            attribute(first + 1, bytes([kind])) + attribute(first + 2, b"\0"))
    say(machine, family, 0x600, (0x8001, ends(src, dst, kinds[0])), (0x8002, ends(dst, src, kinds[1])),
        (3, struct.pack(">I", SEEN_REPLY | CONFIRMED)), (7, struct.pack(">I", 300)))


def dump(machine, family=0):
    """{original tuple: Entry} of a machine's table."""
    def ask():
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as s:
            s.bind((0, 0))
            s.send(struct.pack("=IHHII", 20, CT_GET, 0x301, 1, 0) + bytes([family, 0, 0, 0]))
            found = {}
            while True:
                data, at = s.recv(1 << 18), 0
                while at < len(data):
                    size, kind = struct.unpack_from("=IH", data, at)
                    if kind == 3:
                        return found
                    if kind == 2:
                        raise OSError(-struct.unpack_from("=i", data, at + 16)[0], "conntrack dump")
                    entry = Entry(data[at + 20:at + size])
                    found[entry.orig] = entry
                    at += (size + 3) & ~3
    return in_netns(machine.holder.pid, ask)
