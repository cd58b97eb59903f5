"""A peer with the right key and ill will: evil_peer as node 1 against node 2's replication, in two namespaces."""

import os
import resource
import subprocess
import threading
import time

import pytest

from test_sync import BUILD, Node, Two, wait_for


class Evil:
    """evil_peer in node 1's namespace."""

    def __init__(self, node):
        self.lines = []
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", node.netns, os.path.join(BUILD, "evil_peer"), "10.9.0.1", "10.9.0.2", node.key],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, bufsize=1)
        threading.Thread(target=Node._read, args=(self.process, self.lines), daemon=True).start()
        self.wait("ready")

    def say(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def wait(self, text, after=0, seconds=10.0):
        return wait_for("evil_peer to say " + text,
                        lambda: [line for line in self.lines[after:] if text in line], seconds)[0]

    def stream(self):
        after = len(self.lines)
        self.say("dial")
        self.wait("stream", after)

    def ask(self, command, answer, seconds=10.0):
        after = len(self.lines)
        self.say(command)
        return self.wait(answer, after, seconds)

    def close(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@pytest.fixture
def victim():
    two = Two()
    evil = []

    def make(**options):
        two[2].start(**options)
        two[2].inside("sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_loose=0")
        evil.append(Evil(two[1]))
        evil[0].stream()
        return evil[0], two[2]
    yield make
    for e in evil:
        e.close()
    two.close()


def table(node):
    return [line for line in node.inside("conntrack", "-L").splitlines() if "src=" in line]


def drops(node):
    return {row["reason"]: row["count"] for row in node.data("statistics")[0]["ours"]["drops"]}


def counters(node):
    return node.data("statistics")[0]["ours"]["counters"]


@pytest.mark.parametrize("how, named", [
    ("cut", "runs past the end of its record"), ("long", "above the limit of this connection"),
    ("noise", "above the limit of this connection"), ("gap", "not the next one of its stream"),
    ("garble", "a value that is out of range"), ("stream", "a second stream"), ("again", "not the next one of its stream")])
def test_refused_and_named(victim, how, named):
    evil, node = victim()
    evil.ask("flood 3", "flooded 3")
    wait_for("three copies", lambda: len([t for t in table(node) if "src=10.77." in t]) == 3)
    evil.ask(how, "down")
    status = wait_for("the reason in the status", lambda: [
        link for link in node.data("status")[0]["peers"][0]["links"] if named in link["error"]])[0]
    assert status["state"] == "down", status
    if how != "stream":
        assert [text for text in drops(node) if named in text], drops(node)
    assert counters(node)["rx_created"] == 3
    # It is left alone for a second, and after that welcome as ever.
    evil.ask("dial", "down")
    begin = time.monotonic()
    while not [line for line in evil.lines[-4:] if line.startswith("stream")]:
        assert time.monotonic() < begin + 10
        evil.say("dial")
        time.sleep(0.3)
    assert time.monotonic() - begin > 0.3
    evil.ask("flood 2", "flooded 5")
    wait_for("copies again", lambda: counters(node)["rx_records"] >= 5)


def test_a_record_of_a_later_version_is_skipped(victim):
    evil, node = victim()
    evil.ask("flood 3", "flooded 3")
    evil.say("later")
    evil.ask("flood 2", "flooded 5")
    wait_for("five copies", lambda: len([t for t in table(node) if "src=10.77." in t]) == 5)
    assert drops(node)["record type is unknown; it was skipped"] == 1
    assert counters(node)["rx_created"] == 5 and node.data("status")[0]["peers"][0]["links"][0]["state"] == "active"


def test_a_flood_is_read_slowly_and_whole(victim):
    """60000 records, 20000 a second: back-pressure, no loss, little memory, and the thread answers meanwhile."""
    evil, node = victim(protocols="slow")
    pid = node.process.pid

    def memory():
        with open("/proc/%d/statm" % pid, encoding="ascii") as f:
            return int(f.read().split()[1]) * resource.getpagesize()
    before, begin, worst = memory(), time.monotonic(), 0.0
    evil.say("flood 60000")
    while counters(node)["rx_created"] < 60000:
        asked = time.monotonic()
        node.ask("ping", "report pong", 5)
        worst = max(worst, time.monotonic() - asked)
        assert time.monotonic() < begin + 30
        time.sleep(0.05)
    took = time.monotonic() - begin
    assert took > 1.5, "60000 records at 20000 a second in %.2f s" % took
    assert worst < 0.5, "an answer took %.3f s" % worst
    assert memory() - before < 60 << 20
    wait_for("every copy in the kernel", lambda: node.data("status")[0]["kept"]["kernel"]["entries"] >= 60000, 20, 0.2)
    assert not [text for text in drops(node) if "stream" in text]
    peer = node.data("status")[0]["peers"][0]
    assert peer["data"] == "up", peer


def test_unknown_handles(victim):
    evil, node = victim()
    evil.ask("handles 20000", "flooded 20000")
    wait_for("all to be counted", lambda: counters(node)["rx_unknown"] == 20000, 20)
    assert node.data("statistics")[0]["ours"]["table"]["entries"] == 0


def test_the_router_itself_is_not_opened(victim):
    """A stolen key: sessions that the box itself would answer, or would have opened. The control: one that it forwards."""
    evil, node = victim()
    node.ip("addr", "add", "203.0.113.77/32", "dev", "lo")
    wait_for("the new address", lambda: True)
    mine = ["10.9.0.2", "203.0.113.77", "127.0.0.1", "224.0.0.5", "255.255.255.255"]
    time_limit = time.monotonic() + 5
    while counters(node).get("refused_local", 0) == 0:  # the addresses are read a moment after they change
        assert time.monotonic() < time_limit
        evil.say("own 192.0.2.66 203.0.113.77 21")
        time.sleep(0.1)
    for address in mine:
        evil.say("own 192.0.2.66 %s 22" % address)
        evil.say("own %s 192.0.2.66 23" % address)
    evil.say("own 192.0.2.66 198.51.100.1 24")
    wait_for("the one that is forwarded", lambda: [line for line in table(node) if "dport=24" in line])
    found = table(node)
    assert not [line for line in found if "dport=22" in line], found
    assert not [line for line in found if "dport=23" in line and "src=224" not in line and "src=255" not in line], found
    refused = {r["reason"]: r["here"] for r in node.data("statistics")[0]["ours"]["refusals"]}
    assert refused["local"] >= 8, refused


def test_a_refusal_has_words_on_both_nodes():
    """Another session of the standby answers on the translated address; when it ends, the copy is written."""
    two = Two()
    try:
        a, b = two.start()[1], two[2]
        other = "-p tcp -s 192.0.2.1 -d 10.2.2.2 --sport 5555 --dport 80".split()
        b.inside("conntrack", "-I", *(other + "--state ESTABLISHED -u ASSURED,SEEN_REPLY -t 300".split()))
        a.add(1000, "-n 192.0.2.1:5555")

        def rows(node):
            return {r["reason"]: r for r in node.data("statistics")[0]["ours"]["refusals"]}
        wait_for("the reason on the standby", lambda: rows(b).get("collision", {}).get("here"))
        wait_for("the reason at the owner", lambda: rows(a).get("collision", {}).get("peers"))
        session = a.data("sessions")[0]
        assert session["disposition"] == "failed" and "same translated address" in session["error"], session
        b.inside("conntrack", "-D", *other)
        wait_for("the copy", lambda: [line for line in b.table() if "dport=5555" in line], 15)
        wait_for("the owner to know", lambda: a.data("sessions")[0]["disposition"] == "synced")
    finally:
        two.close()
