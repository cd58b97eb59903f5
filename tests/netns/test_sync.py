"""Replication alone, between two real kernels' tables: two namespaces, the channel between them, sync_node on each.

No VRRP, no role transaction: the test plays CONTROL through sync_node's stdin.
Needs root, ip, conntrack, ss. KT_BUILD names the build directory.
"""

import hashlib
import itertools
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time

import pytest

from lab import busy

BUILD = os.path.abspath(os.environ.get("KT_BUILD", os.path.join(os.path.dirname(__file__), "..", "..", "build")))
TCP = "-p tcp --state ESTABLISHED -u ASSURED,SEEN_REPLY -t 300"


def wait_for(what, probe, seconds=10.0, step=0.02):
    begin = time.monotonic()
    while True:
        value = probe()
        if value:
            return value
        passed = time.monotonic() - begin
        assert passed < seconds * busy(), "waited %.1f s in vain for: %s" % (passed, what)
        time.sleep(step)


def run(*words, check=True, text=None):
    done = subprocess.run(words, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, timeout=60, check=False)
    assert not check or done.returncode == 0, "%s: %s" % (" ".join(words), done.stdout)
    return done.stdout


def key_line(key):
    return "keeptrackd-key 1 %s %s\n" % (hashlib.sha256(key).hexdigest()[:8], key.hex())


class Node:
    """A namespace, and sync_node in it."""

    made = itertools.count()

    def __init__(self, number, folder):
        self.number = number
        self.netns = "kts%d-%d-%d" % (number, os.getpid(), next(Node.made))
        self.key = os.path.join(folder, "key%d" % number)
        self.lines = []
        self.process = None
        self.reader = None
        run("ip", "netns", "add", self.netns)
        self.ip("link", "set", "lo", "up")

    def ip(self, *words):
        return run("ip", "-n", self.netns, *words)

    def inside(self, *words, check=True, text=None):
        return run("ip", "netns", "exec", self.netns, *words, check=check, text=text)

    def write_key(self, *keys):
        with open(self.key, "w", encoding="ascii") as f:
            f.write("".join(key_line(k) for k in keys))
        os.chmod(self.key, 0o600)

    def start(self, links=1, lease=300, plain=False, v6=False, ctl_only=False, protocols=""):
        form = "fd00:9:%d::%d" if v6 else "10.9.%d.%d"
        addresses = [",".join(form % (link, n) for link in range(links)) for n in (1, 2)]
        self.lines = []
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", self.netns, os.path.join(BUILD, "sync_node"), str(self.number)] + addresses +
            ["-" if plain else self.key, str(lease)] + (["ctl-only"] if ctl_only else []) +
            ([protocols] if protocols else []),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
            bufsize=1)
        self.reader = threading.Thread(target=self._read, args=(self.process, self.lines), daemon=True)
        self.reader.start()
        self.wait_line("^ready")
        return self

    @staticmethod
    def _read(process, lines):
        for line in process.stdout:
            lines.append(line.rstrip("\n"))

    def say(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def wait_line(self, pattern, after=0, seconds=10.0):
        """The first line from `after` on that matches; its match object."""
        def look():
            for line in self.lines[after:]:
                found = re.search(pattern, line)
                if found:
                    return found
            assert self.process.poll() is None or not after == 0, "it ended: %s" % self.lines[-5:]
            return None
        return wait_for("node %d to say %s" % (self.number, pattern), look, seconds)

    def ask(self, text, pattern, seconds=10.0):
        """Says a line and waits for an answer that comes after it."""
        at = len(self.lines)
        self.say(text)
        return self.wait_line(pattern, at, seconds)

    def data(self, text):
        """Objects of a session command."""
        at = len(self.lines)
        self.say(text)
        self.wait_line(r'"end":true', at)
        found = [json.loads(line) for line in self.lines[at:] if line.startswith('{"v":1')]
        assert found[-1]["status"] == "ok", found[-1]
        return [line["data"] for line in found[:-1]]

    def state(self):
        for line in reversed(self.lines):
            if line.startswith("report state"):
                return dict(word.split("=") for word in line.split()[4:])
        return {}

    def master(self, counter):
        self.ask("auth %d %d all" % (counter, self.number), "report authority epoch=%d.%d" % (counter, self.number))
        self.say("role %d %d" % (counter, self.number))

    def add(self, source_port, extra="", base=TCP + " -s 10.1.1.1 -d 10.2.2.2 --dport 80"):
        self.inside("conntrack", "-I", *(base + " --sport %d " % source_port + extra).split())

    def add_many(self, first, count):
        """Thousands of entries by one process."""
        lines = "".join("-A %s -s 10.1.%d.%d -d 10.2.2.2 --sport %d --dport 80\n" %
                        (TCP, n // 50000, 1 + n % 200, 5000 + n % 50000) for n in range(first, first + count))
        self.inside("conntrack", "-R", "-", text=lines)

    def table(self, *words):
        out = self.inside("conntrack", "-L", *words)
        return sorted(set(line for line in out.splitlines() if "src=10.1." in line))

    def count(self):
        return len(self.table())

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def kill(self):
        """The process alone dies; `ip netns exec` has become it."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def close(self):
        self.end()
        run("ip", "netns", "del", self.netns, check=False)


class Two:
    """Nodes 1 and 2, two links."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="kt-sync-")
        self.key = os.urandom(32)
        self.nodes = []
        try:
            self.nodes = [Node(1, self.folder), Node(2, self.folder)]
            for link in range(2):
                name = "s%d" % link
                self.nodes[0].ip("link", "add", name, "type", "veth", "peer", "name", name, "netns",
                                 self.nodes[1].netns)
                for node in self.nodes:
                    node.ip("addr", "add", "10.9.%d.%d/24" % (link, node.number), "dev", name)
                    node.ip("addr", "add", "fd00:9:%d::%d/64" % (link, node.number), "dev", name, "nodad")
                    node.ip("link", "set", name, "up")
            for node in self.nodes:
                node.write_key(self.key)
        except AssertionError:
            self.close()
            raise

    def __getitem__(self, number):
        return self.nodes[number - 1]

    def start(self, **options):
        for node in self.nodes:
            node.start(**options)
        self[1].master(1)
        self.wait_joined()
        return self

    def wait_joined(self):
        for node in self.nodes:
            wait_for("node %d to have everything" % node.number,
                     lambda n=node: n.state().get("data_up") == "1" and n.state().get("have_all") == "1" and
                     n.state().get("peer_has_all") == "1")

    def wait_count(self, count, seconds=10.0):
        wait_for("%d entries on both" % count, lambda: [n.count() for n in self.nodes] == [count, count], seconds, 0.1)

    def close(self):
        for node in self.nodes:
            node.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def two():
    made = Two()
    yield made
    made.close()


@pytest.mark.parametrize("plain", [False, True])
def test_live_create_and_delete(two, plain):
    a, b = two.start(plain=plain)[1], two[2]
    a.add(1000)
    a.add(1001, "-n 192.0.2.1:5555")
    a.add(1002, base=TCP + " -s 2001:db8::1 -d 2001:db8:1::2 --dport 443")
    a.add(1003, base="-p udp -s 10.1.1.1 -d 10.2.2.2 --dport 53 -u ASSURED,SEEN_REPLY -t 120")
    copy = wait_for("the NAT entry on node 2", lambda: b.table("-p", "tcp", "--src-nat"))
    assert "dst=192.0.2.1 sport=80 dport=5555" in copy[0]
    wait_for("all IPv4 entries on node 2", lambda: b.count() == 3)
    wait_for("the IPv6 entry on node 2", lambda: "dport=443" in b.inside("conntrack", "-L", "-f", "ipv6"))
    leases = [int(line.split()[2]) for line in b.table("-p", "tcp")]
    assert min(leases) > 290, leases
    a.inside("conntrack", "-D", "-p", "tcp", "--sport", "1000")
    wait_for("the deletion on node 2", lambda: b.count() == 2)
    wait_for("equal digests", lambda: all(n.state().get("equal") == "1" for n in two.nodes))
    status = a.data("status")[0]
    assert status["authority"] == "all" and status["peers"][0]["data"] == "up"
    assert status["peers"][0]["address"] == "10.9.0.2"
    sessions = a.data("sessions")
    assert sorted(s["original"]["source_port"] for s in sessions) == [1001, 1002, 1003]
    assert {s["disposition"] for s in sessions} == {"synced"}


def test_nothing_is_readable_on_the_wire(two):
    """TLS hides what plaintext shows: the same traffic with `insecure` is the control."""
    def sniff(plain):
        path = os.path.join(two.folder, "capture-%s" % plain)
        with open(path, "wb") as out:
            dump = subprocess.Popen(["ip", "netns", "exec", two[2].netns, "tshark", "-Q", "-i", "s0", "-w", "-"],
                                    stdout=out, stderr=subprocess.DEVNULL)
        try:
            wait_for("the capture", lambda: os.path.getsize(path) > 0, 60)
            two.start(plain=plain)
            two[1].add(1000 + plain)
            wait_for("the copy", lambda: two[2].count() == 1 + plain)
            wait_for("the packets", lambda: os.path.getsize(path) > 2000)
        finally:
            for node in two.nodes:
                node.end()
            dump.terminate()
            dump.wait()
        with open(path, "rb") as captured:
            return captured.read()
    cluster = b"\x80\x05\x00\x04test"  # the TLV in hello
    assert cluster not in sniff(False)
    for node in two.nodes:
        node.lines = []
    assert cluster in sniff(True)


def test_bulk_on_join(two):
    a, b = two[1], two[2]
    a.start()
    a.master(1)
    a.add_many(0, 5000)
    wait_for("5000 own entries", lambda: a.data("status")[0]["own"] == 5000)
    b.start()
    two.wait_joined()
    two.wait_count(5000)
    wait_for("equal digests", lambda: b.state().get("equal") == "1" and b.state().get("copies") == "5000")
    numbers = b.data("statistics")[0]
    assert numbers["external"]["created"] == 5000 and numbers["external"]["created_failed"] == 0
    assert numbers["ours"]["sessions"] == [{"disposition": "synced", "reason": "", "count": 5000}]
    assert len(b.data("sessions")) == 5000


def test_burst_arrives_whole(two):
    a, b = two.start()[1], two[2]
    a.add_many(0, 20000)
    two.wait_count(20000, 20)
    a.inside("conntrack", "-F")
    two.wait_count(0, 20)
    assert b.data("statistics")[0]["messages"] == {"malformed": 0, "lost": 0}


def test_takeover_fence_and_authority(two):
    a, b = two.start()[1], two[2]
    a.add(1000)
    wait_for("the copy", lambda: b.count() == 1)
    fenced = b.ask("fence 2 2", r"report fenced epoch=2\.2 seq=0 degraded=(\d)")
    assert fenced.group(1) == "0"
    b.master(2)
    # It is node 2's flow now: what happens to the old master's entry is no end, and the entry comes back.
    wait_for("the new floor on node 1", lambda: [s["owner_id"] for s in a.data("sessions")] == [2])
    a.inside("conntrack", "-D", "-p", "tcp", "--sport", "1000")
    wait_for("the entry on node 1 again", lambda: a.count() == 1)
    assert b.count() == 1
    a.ask("auth 2 2 none", "report authority")
    a.say("role 2 2")
    # The new owner's changes flow the other way.
    b.add(2000)
    two.wait_count(2)
    assert a.data("status")[0]["authority"] == "none"
    assert all(s["owner_id"] == 2 for s in a.data("sessions"))


def test_planned_switch_loses_nothing(two):
    a, b = two.start()[1], two[2]
    a.add_many(0, 1900)
    two.wait_count(1900)
    total = 1900
    for counter in (2, 3, 4):  # 20 ms are little on a busy machine: then the next switch has to do it
        a.add_many(total, 100)
        total += 100
        seq = a.ask("flush %d 2" % counter, r"report flushed epoch=%d\.2 seq=(\d+)" % counter).group(1)
        applied = b.ask("apply %s %d 2" % (seq, counter), r"report applied epoch=%d\.2 seq=%s degraded=(\d)" % (
            counter, seq)).group(1)
        there = b.count()
        if applied == "0":
            break
        a.say("stable")
    assert applied == "0" and there == total, (applied, there, total)
    b.master(counter)
    a.ask("auth %d 2 none" % counter, "report authority")
    a.say("stable")
    b.say("stable")
    wait_for("equal digests", lambda: b.data("status")[0]["own"] == total and a.data("status")[0]["copies"] == total)


def test_stream_moves_to_the_other_link(two):
    a, b = two.start(links=2)[1], two[2]

    def links():
        return [link["state"] for link in a.data("status")[0]["peers"][0]["links"]]
    wait_for("both links", lambda: sorted(links()) == ["active", "standby"])
    first = links().index("active")
    a.ip("link", "set", "s%d" % first, "down")
    a.add(1000)
    wait_for("the copy over the other link", lambda: b.count() == 1)
    assert links()[1 - first] == "active"
    assert "down" not in " ".join(line for line in a.lines if line.startswith("ctl "))
    a.ip("link", "set", "s%d" % first, "up")
    wait_for("the first link to stand by", lambda: links()[first] == "standby")
    assert links()[1 - first] == "active"


def test_killed_connections_come_back(two):
    a, b = two.start()[1], two[2]
    for n in range(5):
        before = a.data("status")[0]["peers"][0]["links"][0]["connects"]
        a.inside("ss", "-K", "dport", "=", "3780")
        a.add(1000 + n)
        wait_for("the next copy", lambda n=n: b.count() == n + 1)
        assert a.data("status")[0]["peers"][0]["links"][0]["connects"] > before
    wait_for("equal digests", lambda: all(n.state().get("equal") == "1" for n in two.nodes))


def test_process_death_is_told_from_silence(two):
    a, b = two.start()[1], two[2]
    b.kill()
    a.wait_line("ctl node=2 down")
    assert a.ask("probe", r"probe node=2 result=(\d)").group(1) == "0"  # refused by the living kernel
    b.ip("link", "set", "s0", "down")
    assert a.ask("probe", r"probe node=2 result=(\d)").group(1) == "2"  # silence proves nothing
    b.ip("link", "set", "s0", "up")
    a.add(1000)
    b.start()
    two.wait_joined()
    wait_for("the copy", lambda: b.count() == 1)


def test_stalled_thread_stays_alone(two):
    a, b = two.start()[1], two[2]
    at = len(a.lines)
    started = time.monotonic()
    a.say("stall 1000")
    a.say("ping")
    a.wait_line("report pong", at)
    assert time.monotonic() - started > 0.9
    # Heartbeats go on: they are CONTROL's.
    assert not [line for line in b.lines if line.startswith("ctl node=1 down")]
    a.add(1000)
    wait_for("the copy", lambda: b.count() == 1)


def test_exact_delete(two):
    a = two.start()[1]
    a.add(1000)
    a.add(1001)
    wait_for("both", lambda: a.count() == 2)
    a.say("delete 6 10.1.1.1 1000 10.2.2.2 80")
    wait_for("one to go", lambda: [line for line in a.table() if "sport=1001" in line] and a.count() == 1)


def test_wrong_key_then_rotation(two):
    a, b = two[1], two[2]
    new = os.urandom(32)
    b.write_key(new)
    a.start()
    b.start()
    link = wait_for("the reason", lambda: [k for k in a.data("status")[0]["peers"][0]["links"]
                                           if k["reason"] == "key-id"])[0]
    assert "refused our identity" in link["error"]
    drops = {row["reason"]: row["count"] for row in b.data("statistics")[0]["ours"]["drops"]}
    assert [text for text in drops if text.startswith("the keys differ")], drops
    b.write_key(new, two.key)  # both keys are valid now
    b.ask("conf " + b.key, "^conf 0")
    a.master(1)
    two.wait_joined()
    a.write_key(new)
    a.ask("conf " + a.key, "^conf 0")
    os.chmod(b.key, 0o644)
    refused = b.ask("conf " + b.key, r"^conf -\d+ (.*)")
    assert "chmod 600" in refused.group(1)
    a.add(1000)
    wait_for("the copy, over the connection that stayed", lambda: b.count() == 1)


def test_own_addresses_are_followed(two):
    """A session to an address of the box is local; it becomes so when the address comes."""
    a, b = two.start()[1], two[2]
    a.add(1000)
    wait_for("the copy", lambda: b.count() == 1)
    a.ip("addr", "add", "10.2.2.2/32", "dev", "lo")
    wait_for("the reason", lambda: [s["reason"] for s in a.data("sessions")] == ["local-destination"])
    a.add(1001)
    wait_for("the second entry", lambda: len(a.data("sessions")) == 2)
    assert {s["disposition"] for s in a.data("sessions")} == {"skipped"}
    assert not [line for line in b.table() if "sport=1001" in line]


def test_slow_reader_does_not_hold_the_thread(two):
    """A session listing nobody reads: the thread goes on."""
    a = two.start()[1]
    a.add_many(0, 3000)
    wait_for("3000 own entries", lambda: a.data("status")[0]["own"] == 3000)
    a.say("sessions")
    a.ask("ping", "report pong")
    wait_for("the whole list", lambda: len([s for s in a.lines if '"disposition"' in s]) == 3000)


def test_channel_over_ipv6(two):
    a, b = two.start(v6=True)[1], two[2]
    a.add(1000)
    wait_for("the copy", lambda: b.count() == 1)
    assert a.data("status")[0]["peers"][0]["address"] == "fd00:9::2"


def test_without_replication(two):
    """replicate = false: the ctl channel alone; commands are answered, entries deleted, nothing copied."""
    a, b = two[1].start(ctl_only=True), two[2].start(ctl_only=True)
    a.wait_line("ctl node=2 up")
    b.wait_line("ctl node=1 up")
    a.add(1000)
    assert a.ask("fence 2 1", r"report fenced epoch=2\.1 seq=0 degraded=(\d)").group(1) == "0"
    a.ask("auth 2 1 all", r"report authority epoch=2\.1")
    a.ask("flush 2 1", r"report flushed epoch=2\.1")
    b.ask("apply 5 2 1", r"report applied epoch=2\.1 seq=5")
    a.say("delete 6 10.1.1.1 1000 10.2.2.2 80")
    wait_for("the deletion", lambda: a.count() == 0)
    assert a.data("status")[0]["replicate"] is False
    a.ask("statistics", r'"status":"error","code":1,"message":"session replication is off')
    assert b.count() == 0


def test_only_one_side_replicates(two):
    """The other one says why it takes no data; the ctl channel is not touched by that."""
    a, b = two[1].start(), two[2].start(ctl_only=True)
    b.wait_line("ctl node=1 up")
    # Earlier attempts may have found nobody listening yet.
    wait_for("the reason", lambda: [k for k in a.data("status")[0]["peers"][0]["links"]
                                    if "replication is off here" in k["error"]])
    assert a.data("status")[0]["peers"][0]["data"] == "down"
    assert not [line for line in a.lines if line.startswith("ctl node=2 down")]
