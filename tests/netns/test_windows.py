"""sync.strict_window_after with live TCP: after a takeover the kernel learns the windows anew, then it checks them again.

An ACK far outside of the window passes while the entry is liberal, and is invalid afterwards; the stream goes on.
"""

import json
import re
import socket
import struct
import threading
import time

import pytest

from conf import lab_conf, text
from ctdump import BE_LIBERAL, dump
from keeptrackd import SOCKET, Daemon
from lab import CLIENT, ROUTERS, SERVER, VIP_WAN, wait_for
from test_replication import Flow, group, same_on_both
from wire import in_netns


@pytest.fixture
def pairs(lab):
    daemons = {}
    for name in ROUTERS:
        conf = lab_conf(lab, name)
        conf["vrrp"]["groups"][0]["preempt"] = False
        conf["sync"]["strict_window_after"] = 2
        conf["sync"]["accounting"] = True
        lab[name].sysctl({"net/netfilter/nf_conntrack_acct": 1})
        daemons[name] = Daemon(lab, name, conf=text(conf))
    for name in ROUTERS:
        daemons[name].start()
        wait_for("fw-a to be master", lambda: group(daemons["fw-a"])["role"] == "MASTER", 5)
    wait_for("both to be ready", lambda: all(group(d)["ready"] for d in daemons.values()), 10)
    return daemons


class Stream:
    """Bulk data in one direction of a flow until it is stopped; counts what arrives."""

    def __init__(self, flow):
        self.flow, self.arrived, self.on, self.error = flow, 0, True, None
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self._send, self._take)]
        for thread in self.threads:
            thread.start()

    def _send(self):
        try:
            while self.on:
                self.flow.near.sendall(bytes(65536))
                time.sleep(0.02)  # both cores are for others, too
            self.flow.near.shutdown(socket.SHUT_WR)
        except OSError as e:
            self.error = e

    def _take(self):
        try:
            while True:
                data = self.flow.far.recv(1 << 20)
                if not data:
                    return
                self.arrived += len(data)
        except OSError as e:
            self.error = e

    def moves(self):
        before = self.arrived
        wait_for("the stream to move", lambda: self.arrived > before + (1 << 20), 5)
        assert self.error is None, self.error

    def stop(self):
        self.on = False
        for thread in self.threads:
            thread.join(5)
        assert self.error is None, self.error


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def carried(lab, router, flow):
    """What other nodes have counted of a flow."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(3)
        s.connect("/proc/%d/root%s" % (lab[router].holder.pid, SOCKET))
        s.sendall(b'{"v":1,"id":1,"cmd":"show conntrack table ipv4","args":{}}\n')
        for line in s.makefile(encoding="utf-8"):
            answer = json.loads(line)
            for row in [] if answer.get("end") else answer["data"].get("sessions", []):
                if row["original"]["source_port"] == flow.original()[2]:
                    return row["carried"]
            if answer.get("end"):
                return None


def numbers(lab, flow, talk):
    """Sequence and acknowledgement number of a packet that the client sends now."""
    port, everything = flow.near.getsockname()[1], socket.htons(3)
    holder = lab["client"].holder.pid
    with in_netns(holder, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, everything)) as s:
        s.settimeout(5)
        talk()
        until = time.monotonic() + 5
        while time.monotonic() < until:
            packet = s.recv(256)
            tcp = packet[4 * (packet[0] & 15):]
            if packet[0] >> 4 == 4 and packet[9] == socket.IPPROTO_TCP and struct.unpack("!H", tcp[:2])[0] == port:
                return struct.unpack("!II", tcp[4:12])
    raise AssertionError("no packet of the flow in 5 s")


def far_outside(lab, flow, talk=lambda: None):
    """An ACK of the client's own connection, a gigabyte ahead: what lies behind the window would be taken for a late one."""
    port, to = flow.near.getsockname()[1], flow.near.getpeername()[1]
    seq, ack = numbers(lab, flow, talk)
    head = struct.pack("!HHIIBBHHH", port, to, (seq + 0x40000000) & 0xffffffff, ack, 5 << 4, 0x10, 512, 0, 0)
    ends = socket.inet_aton(CLIENT) + socket.inet_aton(SERVER)
    head = head[:16] + struct.pack("!H", checksum(ends + struct.pack("!HH", 6, 20) + head)) + head[18:]
    with in_netns(lab["client"].holder.pid, lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 6)) as s:
        s.sendto(head, (SERVER, 0))


def invalid(lab):
    rules = lab["fw-b"].run("nft", "list", "chain", "inet", "lab", "forward")
    return int(re.search(r"ct state invalid counter packets (\d+)", getattr(rules, "stdout", rules)).group(1))


def test_strict_again_after_a_takeover(lab, pairs):
    moving = Flow(lab["client"], lab["server"], socket.SOCK_STREAM, (SERVER, 7001), (SERVER, 7001))
    idle = Flow(lab["client"], lab["server"], socket.SOCK_STREAM, (SERVER, 7002), (SERVER, 7002))
    same_on_both(lab, [moving.original(), idle.original()])
    pairs["fw-a"].ask("force failover")
    wait_for("fw-b to be master", lambda: group(pairs["fw-b"])["role"] == "MASTER" and not pairs["fw-a"].has_vips(), 3)

    def liberal(flow):
        entry = dump(lab["fw-b"])[flow.original()]
        assert entry.reply[3] == VIP_WAN and entry.scales and min(entry.scales) > 0, entry
        return bool((entry.tcp_flags[0] | entry.tcp_flags[1]) & BE_LIBERAL)
    assert liberal(moving) and liberal(idle)
    # While it is liberal, nothing is out of its window: the control of this test.
    before = invalid(lab)
    far_outside(lab, idle, idle.talk)
    idle.talk()
    assert invalid(lab) == before
    moving.talk()
    stream = Stream(moving)
    wait_for("strict windows", lambda: not liberal(moving), 25, 0.1)
    stream.moves()
    before = invalid(lab)
    far_outside(lab, moving)
    wait_for("the forged ACK to be invalid", lambda: invalid(lab) == before + 1, 3)
    stream.moves()
    # The walk that saw the traffic told what this router has counted to the one that was before.
    told = wait_for("counters at the other router", lambda: carried(lab, "fw-a", moving), 3)
    assert told["bytes"] > 65536 and 1e6 < told["age_us"] < 60e6, told
    stream.stop()
    assert invalid(lab) == before + 1, "packets of the stream itself were called invalid"
    counters = pairs["fw-b"].ask("show conntrack-sync statistics")["ours"]["counters"]
    assert counters["op_strict"] >= 1 and counters["op_strict_failed"] == 0, counters
    for flow in (moving, idle):
        flow.close()
