"""Packets of the lab without a process per look: sockets made inside a machine's network namespace.

    tap = Tap(lab["client"], "eth0")          # everything on the wire, stamped by the kernel
    tap.vrrp(vrid=10)                         # adverts so far, oldest first
    Sender(lab["client"], "eth0").send(frame) # raw frames; build them with scapy
"""

import ctypes
import socket
import struct
import threading
import time

CLONE_NEWNET = 0x40000000
ETH_P_ALL, SO_RCVBUFFORCE, SO_TIMESTAMPNS, PACKET_OUTGOING = 3, 33, 35, 4
LIBC = ctypes.CDLL(None, use_errno=True)


def in_netns(pid, work):
    """Runs work() in a thread that stands in the network namespace of a process; returns what it returned."""
    result = {}

    def body():
        try:
            with open("/proc/%d/ns/net" % pid, encoding="ascii") as f:
                if LIBC.setns(f.fileno(), CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            result["value"] = work()
        except BaseException as e:  # pylint: disable=broad-except
            result["error"] = e

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if "error" in result:
        raise result["error"]
    return result["value"]


def packet_socket(machine, interface):
    def make():
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        s.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        s.bind((interface, ETH_P_ALL))
        s.setblocking(False)
        return s
    return in_netns(machine.holder.pid, make)


class Frame:
    """One frame: t_ns (CLOCK_MONOTONIC), src and dst MAC, ether type, payload behind the Ethernet header."""

    __slots__ = ("t_ns", "raw", "outgoing")

    def __init__(self, t_ns, raw, outgoing):
        self.t_ns, self.raw, self.outgoing = t_ns, raw, outgoing

    @property
    def src(self):
        return ":".join("%02x" % b for b in self.raw[6:12])

    @property
    def dst(self):
        return ":".join("%02x" % b for b in self.raw[:6])

    @property
    def type(self):
        return struct.unpack("!H", self.raw[12:14])[0]


class Advert:
    """A VRRP packet: where it came from and what it says."""

    def __init__(self, frame, af, src, ttl, body):
        self.t_ns, self.mac, self.af, self.src, self.ttl, self.body = frame.t_ns, frame.src, af, src, ttl, body
        self.version, self.vrid, self.priority, self.count = body[0] >> 4, body[1], body[2], body[3]
        self.interval_ms = (struct.unpack("!H", body[4:6])[0] & 0x0fff) * 10
        size = 4 if af == 4 else 16
        family = socket.AF_INET if af == 4 else socket.AF_INET6
        whole = min(self.count, (len(body) - 8) // size)  # a forged count names more than there is
        self.vips = [socket.inet_ntop(family, body[8 + i * size:8 + (i + 1) * size]) for i in range(whole)]

    def __repr__(self):
        return "advert(%.6f %s vrid %d prio %d)" % (self.t_ns / 1e9, self.src, self.vrid, self.priority)


def parse_vrrp(frame):
    """An Advert, or None when the frame is something else."""
    p = frame.raw[14:]
    if frame.type == 0x0800 and len(p) >= 28 and p[9] == 112:
        body = p[(p[0] & 15) * 4:struct.unpack("!H", p[2:4])[0]]
        return Advert(frame, 4, socket.inet_ntop(socket.AF_INET, p[12:16]), p[8], body) if len(body) >= 8 else None
    if frame.type == 0x86dd and len(p) >= 48 and p[6] == 112:
        body = p[40:40 + struct.unpack("!H", p[4:6])[0]]
        return Advert(frame, 6, socket.inet_ntop(socket.AF_INET6, p[8:24]), p[7], body) if len(body) >= 8 else None
    return None


class Tap:
    """What an interface of a machine saw since the tap was opened."""

    def __init__(self, machine, interface):
        self.socket = packet_socket(machine, interface)
        self.frames = []

    def read(self):
        """All frames so far, oldest first."""
        shift = time.clock_gettime_ns(time.CLOCK_REALTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        while True:
            try:
                raw, control, _, address = self.socket.recvmsg(65536, 64)
            except (BlockingIOError, OSError) as e:
                if isinstance(e, BlockingIOError):
                    return self.frames
                continue  # the interface went down: said once, then the socket goes on
            sec, nsec = struct.unpack("qq", control[0][2][:16])
            self.frames.append(Frame(sec * 1000000000 + nsec - shift, raw, address[2] == PACKET_OUTGOING))

    def vrrp(self, since=0, until=None, **want):
        """Adverts; want: vrid, src, mac, priority, af."""
        found = []
        for frame in self.read():
            if frame.t_ns < since or (until is not None and frame.t_ns > until):
                continue
            advert = parse_vrrp(frame)
            if advert and all(getattr(advert, k) == v for k, v in want.items()):
                found.append(advert)
        return found

    def arp(self, ip, since=0):
        """(t_ns, MAC, is a gratuitous one) of every ARP packet whose sender address is ip."""
        found, want = [], socket.inet_aton(ip)
        for frame in self.read():
            p = frame.raw[14:]
            if frame.type == 0x0806 and frame.t_ns >= since and p[14:18] == want:
                found.append((frame.t_ns, ":".join("%02x" % b for b in p[8:14]), p[24:28] == want))
        return found

    def close(self):
        self.socket.close()


class Sender:
    """Puts frames on the wire."""

    def __init__(self, machine, interface):
        self.socket = packet_socket(machine, interface)

    def send(self, frame):
        self.socket.send(bytes(frame))

    def close(self):
        self.socket.close()


def gaps_ms(adverts):
    """Times between neighbours in milliseconds."""
    return [(b.t_ns - a.t_ns) / 1e6 for a, b in zip(adverts, adverts[1:])]
