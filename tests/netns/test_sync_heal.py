"""Whatever made the tables differ, they are equal again within 5 s of its end, and nothing that lives is lost by that.

Two nodes without roles, as in test_sync.py; both kernels' tables are read by a program that shares no code with the
daemon, and compared entry by entry. The numbered sessions are of four kinds in turn: TCP, TCP with a mark, UDP, TCP with SNAT.
Needs root, ip, conntrack, ss.
"""

import os
import signal
import subprocess
import time

import pytest

from test_sync import BUILD, Two, wait_for

LABTABLE = os.path.join(BUILD, "labtable")
HEAL = 5.0  # seconds from the end of a cause to equal tables, on a machine that does nothing else (wait_for)


@pytest.fixture
def make_two():
    made = []

    def make():
        made.append(Two())
        return made[-1]
    yield make
    for two in made:
        two.close()


@pytest.fixture
def two(make_two):
    return make_two()


def table(node):
    """{what a copy has to have: (kernel id, seconds left)} of a node's own kernel. While it changes, a dump may show an
    entry twice."""
    found = {}
    for line in node.inside(LABTABLE, "dump", "10.1.").splitlines():
        entry, rest = line.split("\t")
        found[entry] = tuple(int(n) for n in rest.split())
    return found


def make(node, first, count, seconds=300):
    node.inside(LABTABLE, "make", str(first), str(count), str(seconds))


def drop(node, first, count, step=1):
    node.inside(LABTABLE, "drop", str(first), str(count), str(step))


def difference(two):
    a, b = (set(table(n)) for n in two.nodes)
    return sorted(a - b), sorted(b - a), len(a)


def same(two, count=None, seconds=HEAL, since=None):
    """Waits until both kernels hold the same entries; returns what it took."""
    begin = since or time.monotonic()
    last = []

    def equal():
        last[:] = difference(two)
        return not last[0] and not last[1] and count in (None, last[2])
    try:
        wait_for("equal tables", equal, max(0.1, begin + seconds - time.monotonic()), 0.05)
    except AssertionError:
        raise AssertionError("after %.1f s: %d entries on the first node; %d only there: %s; %d only on the second: %s; %s" % (
            time.monotonic() - begin, last[2], len(last[0]), last[0][:3], len(last[1]), last[1][:3],
            ["%s, %s" % (screen(n), {k: v for k, v in counters(n).items() if v}) for n in two.nodes])) from None
    return time.monotonic() - begin


def counters(node):
    return node.data("statistics")[0]["ours"]["counters"]


def screen(node):
    """What `show conntrack-sync status` says of being in sync."""
    return node.data("status")[0]["sync"]


def says_in_sync(two):
    """Each node's screen says so, and since when."""
    said = []

    def fresh():
        said[:] = [screen(node) for node in two.nodes]
        return all(x["equal"] and not x["missing"] and x["as_of_us"] < 2500000 for x in said)
    try:
        wait_for("both to be in sync", fresh, HEAL, 0.1)
    except AssertionError:
        raise AssertionError("not both say that they are in sync: %s" % said) from None


def survivors(before, after, what):
    """Entries that live through it are the same objects of the kernel as before: not removed and made again."""
    moved = [entry for entry, (ident, _) in before.items() if after.get(entry, (0, 0))[0] != ident]
    assert not moved, "%s: %d of %d were removed or made again, such as %s" % (what, len(moved), len(before), moved[:3])


class Load:
    """New sessions all the time, old ones ended, on one node."""

    def __init__(self, node, first=1000000, rate=2000, alive=4000):
        self.process = subprocess.Popen(["ip", "netns", "exec", node.netns, LABTABLE, "churn", str(first), str(rate), str(alive)],
                                        stdout=subprocess.PIPE, universal_newlines=True)

    def stop(self):
        """(made, ended) so far."""
        self.process.send_signal(signal.SIGTERM)
        out = self.process.communicate(timeout=10)[0]
        assert self.process.returncode == 0, out
        return tuple(int(n) for n in out.split())


# ---------------------------------------------------------------- by hand

def test_copies_removed_by_hand_are_repaired_and_no_others(two):
    a, b = two.start()[1], two[2]
    make(a, 0, 1000)
    same(two, 1000)
    says_in_sync(two)
    before_a, before_b, repaired = table(a), table(b), counters(b)["repaired"]
    drop(b, 5, 37, 27)
    same(two, 1000)
    wait_for("37 repairs", lambda: counters(b)["repaired"] == repaired + 37, 2)
    sweeps = counters(b)["sweeps"]
    wait_for("the next sweep", lambda: counters(b)["sweeps"] > sweeps, 15)
    after = table(b)
    assert counters(b)["repaired"] == repaired + 37, "more than what was missing was written"
    again = {entry for entry in before_b if after[entry][0] != before_b[entry][0]}
    assert 30 <= len(again) <= 37, len(again)  # an entry made again in its old place has its old id
    assert all(after[entry][1] <= before_b[entry][1] for entry in set(before_b) - again), "others were written, too"
    survivors(before_a, table(a), "the originals")
    says_in_sync(two)


def test_what_the_operator_removes(two):
    """`conntrack -D` and `-F` are obeyed where the authority is; elsewhere they only cost a copy for a moment."""
    a, b = two.start()[1], two[2]
    make(a, 0, 8000)
    same(two, 8000)
    before = table(a)
    b.inside("conntrack", "-D", "-p", "udp")
    same(two, 8000)
    b.inside("conntrack", "-F")
    same(two, 8000)
    survivors(before, table(a), "originals of copies that were removed")
    a.inside("conntrack", "-D", "-p", "udp")
    same(two, 6000)
    before = table(b)
    a.inside("conntrack", "-D", "-m", "0", "-s", "10.1.0.1", "--src-nat")
    same(two, 4000)
    survivors({k: v for k, v in before.items() if "192.0.2." not in k}, table(b), "copies of what stayed")
    a.inside("conntrack", "-F")
    same(two, 0)
    sweeps = [counters(n)["sweeps"] for n in two.nodes]
    wait_for("a sweep on both", lambda: all(counters(n)["sweeps"] > s for n, s in zip(two.nodes, sweeps)), 15)
    assert difference(two)[2] == 0, "removed sessions came back"
    says_in_sync(two)


# ---------------------------------------------------------------- losses

def test_nothing_of_our_own_comes_back(two):
    """A listening node writes and deletes 100,000 copies: not one event of that reaches its socket."""
    a, b = two.start()[1], two[2]
    b.say("join")
    make(a, 0, 1)
    same(two, 1)
    before = b.data("statistics")[0]["ours"]["events"]["received"]
    make(a, 1, 100000)
    same(two, 100001, 30)
    drop(a, 1, 100000)
    same(two, 1, 30)
    events = b.data("statistics")[0]["ours"]["events"]
    assert counters(b)["op_created"] >= 100001 and counters(b)["op_deleted"] >= 100000
    assert events["received"] == before and events["own"] == 0 and events["overruns"] == 0, events


def test_lost_events(two):
    """A receive buffer that holds some fifty events, and bursts of thousands, on the owner and on the standby."""
    a, b = two[1], two[2]
    make(a, 0, 10000)
    for node in (a, b):
        node.start(protocols="rcvbuf=65536")
    a.master(1)
    two.wait_joined()
    same(two, 10000)
    before = [table(n) for n in two.nodes]
    make(a, 10000, 20000)
    drop(a, 10000, 15000)
    same(two, 15000, HEAL + 1)  # unseen ends are told 2 s later
    assert counters(a)["overruns"] > 0
    for node, entries in zip(two.nodes, before):
        survivors(entries, table(node), "sessions that lived on while events were lost, node %d" % node.number)
    before = table(a)
    b.inside("conntrack", "-F")
    same(two, 15000)
    assert counters(b)["overruns"] > 0
    survivors(before, table(a), "originals while the standby lost events")
    a.inside("conntrack", "-F")
    same(two, 0, HEAL + 1)
    says_in_sync(two)


def test_mute_sessions(two):
    """Sessions born before the daemon never make an event: they are found, and so is their end."""
    a, b = two[1], two[2]
    for node in two.nodes:
        node.inside("sysctl", "-qw", "net.netfilter.nf_conntrack_events=0")
    make(a, 0, 4000)
    begin = time.monotonic()
    two.start()
    same(two, 4000, since=begin)
    before, seen = [table(n) for n in two.nodes], counters(a)["events_destroy"]
    drop(a, 0, 300)
    same(two, 3700, HEAL + 2)
    assert counters(a)["events_destroy"] == seen, "they were not mute"
    for node, entries in zip(two.nodes, before):
        kept = {k: v for k, v in entries.items() if int(k.split()[2]) >= 10300}
        assert len(kept) == 3700
        survivors(kept, table(node), "node %d" % node.number)
    assert counters(b)["lost"] == 0


# ---------------------------------------------------------------- nodes and links that go and come back, under load

def test_stopped_peer_and_cut_link(make_two):
    """10 s each, at the same time on two pairs, while sessions come and go; then equal again."""
    stopped, cut = make_two().start(), make_two().start()
    bases, loads = [], []
    for two in (stopped, cut):
        make(two[1], 0, 5000)
        same(two, 5000)
        bases.append([table(n) for n in two.nodes])
        loads.append(Load(two[1]))
    stopped[2].process.send_signal(signal.SIGSTOP)
    cut[1].ip("link", "set", "s0", "down")
    until = time.monotonic() + 10
    wait_for("the cut to be noticed", lambda: "no data connection" in str(screen(cut[1])["missing"]), 6)
    time.sleep(max(0.0, until - time.monotonic()))  # the length of the outage itself
    for two in (stopped, cut):
        assert difference(two)[0], "without a connection something was copied"
    cut[1].ip("link", "set", "s0", "up")
    stopped[2].process.send_signal(signal.SIGCONT)
    begin = time.monotonic()
    for load in loads:
        assert load.stop()[0] > 10000
    for two in (stopped, cut):
        same(two, since=begin)
    for two, base in zip((stopped, cut), bases):
        for node, entries in zip(two.nodes, base):
            survivors(entries, table(node), "node %d" % node.number)
        assert counters(two[1])["overruns"] == 0
        says_in_sync(two)


@pytest.mark.parametrize("number", [2, 1])
def test_restart_under_load(two, number):
    """Either node's process dies, or ends in order, while sessions come and go; what lived through it is untouched, and
    copies of what ended meanwhile go."""
    node = two.start()[number]
    make(two[1], 0, 5000)
    same(two, 5000)
    before = [table(n) for n in two.nodes]
    for epoch, end in ((2, node.kill), (3, node.end)):
        known = len(table(two[2]))
        load = Load(two[1], 1000000 * epoch, alive=4000 if number == 1 else 400)
        wait_for("some load", lambda: len(table(two[2])) > known + (500 if number == 1 else 390), 5)
        end()
        node.start()
        if number == 1:
            node.master(epoch)
        two.wait_joined()
        load.stop()
        same(two)
        for each, entries in zip(two.nodes, before):
            survivors(entries, table(each), "node %d" % each.number)
        assert number == 1 or counters(node)["leftovers"] > 0, "nothing ended while it was away"
    says_in_sync(two)
