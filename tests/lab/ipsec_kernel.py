"""What IPsec leaves in a kernel, and packets that claim to be IPsec: made and looked for without any IKE daemon."""

import re
import socket
import struct

from wire import Tap, in_netns

ESP, AH, UDP = 50, 51, 17
IPV6_HDRINCL = 36


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def packet(source, destination, protocol, payload):
    """An IP packet whose source is whatever is asked for."""
    src, dst = (socket.inet_pton(family(source), a) for a in (source, destination))
    if len(src) == 16:
        return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + src + dst + payload
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0) + src + dst
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def send(machine, source, destination, protocol, token, port=None, device=None):
    """Sends one packet of a machine with this source; a rule that drops it is no error. token: bytes to be found again.
    device: a VRF."""
    body = b"\x00\x00\x12\x34\x00\x00\x00\x01" + token
    if protocol == UDP:
        body = struct.pack("!HHHH", port, port, 8 + len(token), 0) + token
    whole = packet(source, destination, protocol, body)

    def put():
        with socket.socket(family(source), socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
            if family(source) == socket.AF_INET6:
                s.setsockopt(socket.IPPROTO_IPV6, IPV6_HDRINCL, 1)
            if device:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
            try:
                s.sendto(whole, (destination, 0))
            except PermissionError:
                pass
    in_netns(machine.holder.pid, put)


class Leaks:
    """Which of these packets arrive at another machine."""

    numbers = iter(range(1, 1 << 30))

    def __init__(self, sender, receiver, interface, wait_for, device=None):
        self.sender, self.wait_for, self.device = sender, wait_for, device
        self.tap = Tap(receiver, interface)

    def _arrived(self, token):
        return any(token in f.raw for f in self.tap.read())

    def _send(self, source, destination, protocol, port):
        token = b"leak-%08d-end." % next(self.numbers)
        send(self.sender, source, destination, protocol, token, port, self.device)
        return token

    def passes(self, source, destination, protocol, port=None):
        """True when the packet arrives. A later one that nobody stops tells when it would have."""
        token = self._send(source, destination, protocol, port)
        after = []

        def control():
            after.append(self._send(source, destination, UDP, 501))
            return any(self._arrived(t) for t in after)
        self.wait_for("a packet that nothing stops", control, 10, 0.05)
        return self._arrived(token)

    def all_pass(self, source, destination):
        """(every kind passes, no kind passes)"""
        kinds = [self.passes(source, destination, UDP, 500), self.passes(source, destination, UDP, 4500),
                 self.passes(source, destination, ESP), self.passes(source, destination, AH)]
        return all(kinds), not any(kinds)

    def close(self):
        self.tap.close()


def sas(machine, address=""):
    """{(source, destination, SPI)} of the kernel's SAs, of one address or of all."""
    found = re.findall(r"^src (\S+) dst (\S+)\n\s+proto \w+ spi (0x[0-9a-f]+)", machine.run("ip", "xfrm", "state"), re.M)
    return {sa for sa in found if not address or address in sa[:2]}


def dropped(machine):
    """Why this kernel has dropped packets of IPsec that came in: {counter: packets}."""
    stat = dict(line.split() for line in machine.run("cat", "/proc/net/xfrm_stat").strip().split("\n"))
    return {k: int(v) for k, v in stat.items() if k.startswith("XfrmIn") and int(v)}


def add_larval(machine, source, destination, spi, protocol="esp", *more):
    """An SPI that was given out, with no keys yet: what an interrupted negotiation leaves."""
    machine.run("ip", "xfrm", "state", "allocspi", "src", source, "dst", destination, "proto", protocol, "mode", "tunnel",
                *more, "min", hex(spi), "max", hex(spi))
    return source, destination, "0x%08x" % spi


def add_policies(machine, local, remote):
    """One that uses the address, one that lets pass, one that blocks: not one of them is ours to remove."""
    machine.ip("xfrm policy add src 10.50.0.0/24 dst 10.51.0.0/24 dir out tmpl src %s dst %s proto esp mode tunnel"
               % (local, remote), "xfrm policy add src 10.52.0.0/24 dst 10.53.0.0/24 dir fwd",
               "xfrm policy add src 10.54.0.0/24 dst 10.55.0.0/24 dir out action block")
    return policies(machine)


def policies(machine):
    """The policies of add_policies, each as one text without counters."""
    return set(re.findall(r"^src 10\.5\d\.0\.0/24 dst .*\n(?:\s+.*\n)+", machine.run("ip", "xfrm", "policy"), re.M))
