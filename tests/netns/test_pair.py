"""Two routers with the real daemon: election, reload, foreign packets, a process that stands still."""

import os
import signal
import time

import pytest

from lab import now_ns, wait_for

FORGER = """
import sys, time
from scapy.all import Ether, IP, Raw, sendp, checksum
import struct

def frame(version=3, kind=1, vrid=20, priority=150, count=1, ttl=255, spoil=0, cut=0):
    src, dst = "203.0.113.10", "224.0.0.18"
    body = struct.pack("!BBBBHH", version << 4 | kind, vrid, priority, count, 10, 0) + bytes([203, 0, 113, 1])
    ip = IP(src=src, dst=dst, ttl=ttl, proto=112)
    pseudo = bytes([203, 0, 113, 10, 224, 0, 0, 18, 0, 112]) + struct.pack("!H", len(body))
    body = body[:6] + struct.pack("!H", checksum(pseudo + body) ^ spoil) + body[8:]
    mac = open("/sys/class/net/eth0/address").read().strip()
    return Ether(src=mac, dst="01:00:5e:00:00:12") / ip / Raw(body[:len(body) - cut])

bad = [frame(version=7), frame(spoil=1), frame(ttl=254), frame(cut=5), frame(count=9)]
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    for packet in bad:
        sendp(packet, iface="eth0", verbose=False)
        time.sleep(0.2)
"""


def vrrp(daemon):
    return {i["name"]: i for i in daemon.ask("show vrrp", detail=True)["instances"]}


def test_one_master_and_both_say_so(pair):
    for name, state in (("fw-a", "MASTER"), ("fw-b", "BACKUP")):
        for instance in vrrp(pair[name]).values():
            assert instance["state"] == state
    assert pair.masters() == ["fw-a"]


def test_forced_switch_there_and_back(pair):
    pair.wait_synced("fw-b", minimum=0)
    for new in ("fw-b", "fw-a"):
        def willing(new=new):
            groups = pair[pair.other(new)].ask("show failover status")["peers"][0]["groups"]
            return groups[0]["ready"]
        wait_for("%s to be ready" % new, willing, 10)
        assert pair[pair.other(new)].ktsh_raw("force", "failover")[0] == 0
        pair.wait_master(new, 5)


@pytest.mark.parametrize("spoil", ["truncated", "missing", "unknown key"])
def test_a_broken_configuration_changes_nothing(pair, spoil):
    daemon = pair["fw-a"]
    before = daemon.ask("show configuration")
    with open(daemon.conf_path, encoding="utf-8") as f:
        text = f.read()
    if spoil == "missing":
        os.unlink(daemon.conf_path)
    else:
        daemon.write_conf(text[:len(text) // 2] if spoil == "truncated" else text + "\nnonsense = 1;\n")
    length = len(daemon.log())
    daemon.signal(signal.SIGHUP)
    wait_for("a message that names the file", lambda: daemon.conf_path in daemon.log()[length:], 5)
    if spoil == "unknown key":
        line = text.count("\n") + 2
        assert "%s:%d: nonsense" % (daemon.conf_path, line) in daemon.log()[length:]
    assert daemon.ask("show configuration") == before
    assert pair.masters() == ["fw-a"]


def test_bad_packets_do_not_delay_the_master(pair, lab):
    wan = lab.capture("br-wan")
    script = os.path.join(lab["server"].dir, "forge.py")
    with open(script, "w", encoding="ascii") as f:
        f.write(FORGER)
    begin = now_ns()
    forger = lab["server"].spawn("/usr/bin/python3", script, "4")
    assert forger.wait(30) == 0, open(os.path.join(lab["server"].dir, "python3.log"), encoding="utf-8").read()
    sent = wan.find("vrrp", begin, mac=lab.mac("fw-a", "wan0"), vrid=20)
    gaps = [b["t_ns"] - a["t_ns"] for a, b in zip(sent, sent[1:])]
    assert len(gaps) > 30
    assert max(gaps) < 200e6, "an advert came %.0f ms late" % ((max(gaps) - 100e6) / 1e6)
    assert not wan.find("vrrp", begin, mac=lab.mac("fw-b", "wan0"))
    drops = {d["reason"]: d["count"] for d in vrrp(pair["fw-a"])["wan"]["counters"]["drops"]}
    assert sum(drops.values()) >= 15 and len(drops) >= 4, drops


def test_a_master_that_slept_is_silent_in_its_old_role(make_pair, lab):
    pair = make_pair(preempt=False)
    wan = lab.capture("br-wan")
    pair["fw-a"].signal(signal.SIGSTOP)
    wait_for("fw-b to take over", lambda: "fw-b" in pair.masters(), 5)
    time.sleep(5)  # the length of the stall itself
    woken = now_ns()
    pair["fw-a"].signal(signal.SIGCONT)
    pair.wait_master("fw-b", 5)
    heard = wait_for("fw-b's adverts afterwards", lambda: len(
        wan.find("vrrp", woken, mac=lab.mac("fw-b", "wan0"))) > 10 and wan.read(), 5)
    old = [e for e in heard if e["kind"] == "vrrp" and e["t_ns"] > woken and e["mac"] == lab.mac("fw-a", "wan0")]
    assert not [e for e in old if e["priority"] > 0], old
