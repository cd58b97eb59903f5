"""The watch for unknown SPIs beside the ESP of a kernel: plain ESP, SAs that the kernel names, and its counter of packets
without one."""

import re
import struct

import pytest

from ipsec import Charon
from keeptrackd import Daemon
from lab import Lab, MACHINES, PEER, VIP_WAN, VPN_HOST, wait_for
from wire import Sender

SECONDS = 30


@pytest.fixture(scope="module", name="lab")
def fixture_lab(build):
    with Lab(build, rules=None) as lab:
        yield lab


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def ip(text):
    return bytes(map(int, text.split(".")))


def esp(lab, source, spi):
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + 48, 0, 0, 64, 50, 0) + ip(source) + ip(VIP_WAN)
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xffff) + (total >> 16)
    head = head[:10] + struct.pack("!H", ~((total & 0xffff) + (total >> 16)) & 0xffff) + head[12:]
    return (mac(lab.mac("fw-a", "wan0")) + mac(MACHINES["server"]["eth0"][1]) + b"\x08\x00" + head
            + struct.pack("!II", spi, 1) + bytes(40))


def seen_none(watch, answers):
    """Packets went through the tunnel, and not one of them was read."""
    read = watch()["packets_read"]
    return answers(4) and watch()["packets_read"] == read


def test_kernel_esp(lab):
    router = lab["fw-a"]
    for name in ("peer", "fw-a"):
        Charon(lab, name, kernel_esp=True).start()
    daemon = Daemon(lab, "fw-a", replicate=False, advert="0.25")
    daemon.start()

    def ipsec():
        return daemon.ask("show ipsec")

    def tunnel():
        return ipsec()["tunnels"][0]

    def watch():
        return ipsec()["watch"]

    def spis():
        found = re.findall(r"^src (\S+) dst (\S+)\n\s+proto esp spi (0x[0-9a-f]+)", router.run("ip", "xfrm", "state"), re.M)
        return {int(spi, 16) for source, destination, spi in found if (source, destination) == (PEER, VIP_WAN)}

    wait_for("the tunnel", lambda: tunnel()["state"] == "up", SECONDS)
    sender = Sender(lab["server"], "eth0")

    client = lab["client"]

    def answers(n):
        out = client.run("ping", "-c", str(n), "-i", "0.2", "-W", "2", VPN_HOST, check=False, timeout=60)
        return " 0% packet loss" in out

    # This machine is slow: the first attempts may have overlapped, and then the peer chose an SA that was given up. That
    # is what the watch is for.
    wait_for("an answer through the tunnel", lambda: answers(1) and tunnel()["state"] == "up", SECONDS)
    base = tunnel()["resets"]

    # What the kernel has is known, and packets of the tunnel end in the filter.
    wait_for("the SPI to be known", lambda: spis() and watch()["known_spis"] >= 1 and watch()["kernel_lists"] > 0, SECONDS)
    assert watch()["no_states"] is not None
    wait_for("the filter to know it", lambda: seen_none(watch, answers), SECONDS)
    assert tunnel()["resets"] == base

    # An SA of somebody else on the same address: its SPI is found in the kernel, and nothing happens.
    router.run("ip", "xfrm", "state", "add", "src", PEER, "dst", VIP_WAN, "proto", "esp", "spi", "0x4711", "reqid", "7",
               "mode", "tunnel", "aead", "rfc4106(gcm(aes))", "0x" + "5a" * 20, "128")
    sender.send(esp(lab, PEER, 0x4711))
    wait_for("the kernel to explain it", lambda: watch()["explained"] >= 1 or watch()["known_spis"] >= 2, SECONDS)
    assert tunnel()["resets"] == base

    # An unknown one from the peer. Nothing came in on the tunnel's SA since it was looked at last.
    old, rises = spis() - {0x4711}, watch()["no_state_rises"]
    sender.send(esp(lab, PEER, 0x4712))

    def again():
        sender.send(esp(lab, PEER, 0x4712))
        return tunnel()["resets"] == base + 1
    wait_for("the reset", again, SECONDS, 0.3)
    wait_for("the tunnel", lambda: tunnel()["state"] == "up" and spis() - {0x4711}, SECONDS)
    assert not spis() & old
    wait_for("the counter to be noticed", lambda: watch()["no_state_rises"] > rises, SECONDS)
    wait_for("an answer through the new tunnel", lambda: answers(1), SECONDS)
    sender.close()
    daemon.stop(20)
