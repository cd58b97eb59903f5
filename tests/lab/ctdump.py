"""The kernel's connection table, as netlink tells it: with status bits and TCP details that conntrack -L leaves out."""

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

    def __repr__(self):
        return "%s / %s status %#x timeout %d tcp %s %s %s" % (
            self.orig, self.reply, self.status, self.timeout, self.tcp_state, self.scales, self.tcp_flags)


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
