"""VRRP packets of any shape, right or wrong, as whole frames.

    frame4(v3(10, 200, ["10.0.0.1"], src="10.0.0.9"), src="10.0.0.9")
    frame6(v3(10, 200, ["fe80::1"], src="fe80::9", dst="ff02::12"), src="fe80::9")

v2() and v3() make a message whose checksum is right for src and dst; any field may be given another value before that.
"""

import socket
import struct

GROUP4, GROUP6 = "224.0.0.18", "ff02::12"
PROTO = 112


def packed(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def internet_sum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return 0xffff ^ total


def summed(body, src=None, dst=None, at=6):
    """The message with its checksum made right over whatever it holds; with src and dst the pseudo-header counts."""
    pseudo = b""
    if src and ":" in src:
        pseudo = packed(src) + packed(dst) + struct.pack("!IxxxB", len(body), PROTO)
    elif src:
        pseudo = packed(src) + packed(dst) + struct.pack("!xBH", PROTO, len(body))
    if len(body) < at + 2:
        return body
    value = internet_sum(pseudo + body[:at] + b"\0\0" + body[at + 2:])
    return body[:at] + struct.pack("!H", value) + body[at + 2:]


def v3(vrid, priority, vips, src, dst=None, version=3, kind=1, count=None, interval=10, spoil=0, tail=b"", cut=None,
       pseudo=True):
    """interval: hundredths of a second; spoil: xored into the checksum; cut: only so many bytes of it."""
    dst = dst or (GROUP6 if ":" in src else GROUP4)
    body = struct.pack("!BBBBHH", version << 4 | kind, vrid, priority, len(vips) if count is None else count, interval, 0)
    body += b"".join(packed(v) for v in vips) + tail
    body = summed(body, src if pseudo else None, dst)
    body = body[:6] + bytes([body[6] ^ spoil]) + body[7:]
    return body if cut is None else body[:cut]


def v2(vrid, priority, vips, version=2, kind=1, count=None, interval=1, auth=0, password=b"", spoil=0, cut=None):
    body = struct.pack("!BBBBBBH", version << 4 | kind, vrid, priority, len(vips) if count is None else count, auth,
                       interval, 0)
    body += b"".join(packed(v) for v in vips)
    if cut is not None:
        body = (body + b"\0" * 8)[:cut]
    # The password is no part of the sum in RFC 3768, but every implementation sums all of the packet; so do we.
    else:
        body += password.ljust(8, b"\0")[:8]
    body = summed(body)
    return body[:6] + bytes([body[6] ^ spoil]) + body[7:] if len(body) > 6 else body


def mac_bytes(text):
    return bytes(int(part, 16) for part in text.split(":"))


def group_mac(dst):
    raw = packed(dst)
    return b"\x33\x33" + raw[12:] if ":" in dst else b"\x01\x00\x5e" + bytes([raw[1] & 0x7f]) + raw[2:]


def frame4(body, src, dst=GROUP4, ttl=255, mac="02:cc:00:00:00:77", to=None, length=None, pad=0, proto=PROTO):
    """to: destination MAC; length: another total length in the IP header; pad: bytes after the packet."""
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0xc0, 20 + len(body) if length is None else length, 0, 0, ttl, proto, 0,
                       packed(src), packed(dst))
    head = summed(head, at=10)
    return (mac_bytes(to) if to else group_mac(dst)) + mac_bytes(mac) + b"\x08\x00" + head + body + b"\0" * pad


def frame6(body, src, dst=GROUP6, hops=255, mac="02:cc:00:00:00:77", to=None):
    head = struct.pack("!IHBB16s16s", 0x6c000000, len(body), PROTO, hops, packed(src), packed(dst))
    return (mac_bytes(to) if to else group_mac(dst)) + mac_bytes(mac) + b"\x86\xdd" + head + body
