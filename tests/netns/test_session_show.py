"""What an operator sees of sessions: the support case of 643 here and 16 there, lists with filters, delays, rules.

Needs root, ip, conntrack, nft.
"""

import re
import socket
import struct

import pytest

from lab import CLIENT, SERVER, wait_for
from wire import in_netns

PINGS, STREAMS = 629, 13
WIDTH = 100


def ping_all(machine, to, count):
    """As many echo requests, each with an identifier of its own: as many sessions of the box itself."""
    def work():
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        for ident in range(1, count + 1):
            head = struct.pack(">BBHHH", 8, 0, 0, ident, 1)
            total = sum(struct.unpack(">4H", head))
            total = (total >> 16) + (total & 0xffff)
            s.sendto(struct.pack(">BBHHH", 8, 0, ~total & 0xffff, ident, 1), (to, 0))
        return s
    return in_netns(machine.holder.pid, work)


def streams(lab, count):
    def listener():
        s = socket.create_server((SERVER, 7101), backlog=count)
        s.settimeout(3)
        return s

    def opener():
        return [socket.create_connection((SERVER, 7101), 3) for _ in range(count)]
    server = in_netns(lab["server"].holder.pid, listener)
    near = in_netns(lab["client"].holder.pid, opener)
    return near + [server.accept()[0] for _ in near] + [server]


def table(text):
    """Rows of the tables of a text, by their cells."""
    return [re.split(r"  +", line.strip()) for line in text.splitlines() if line and not line.startswith("--")]


def shown(daemon, *words):
    code, text = daemon.ktsh_raw("show", *words)
    assert code == 0, text
    return text


def rows_of(statistics):
    return {r["protocol"]: r for r in statistics["peers"][0]["rows"]}


@pytest.fixture
def busy(pair, lab):
    kept = [ping_all(lab["fw-a"], CLIENT, PINGS)] + streams(lab, STREAMS)
    yield pair
    for s in kept:
        s.close()


def quiet(daemon):
    """The figures when nothing is on its way any more."""
    def probe():
        s = daemon.ask("show session statistics")
        rows = rows_of(s) if s["peers"][0]["rows"] else {}
        good = rows and rows["icmp"]["local"] >= PINGS and s["peers"][0]["fresh"] and not s["peers"][0]["unexplained"]
        return s if good else None
    return wait_for("the figures to be explained", probe, 10, 0.2)


def test_every_difference_is_explained(busy, lab):
    a, b = busy["fw-a"], busy["fw-b"]
    wait_for("the copies", lambda: lab["fw-b"].conntrack("-L", "-p", "tcp", "--dport", "7101").count("src=") >=
             STREAMS, 10, 0.1)
    said = quiet(a)
    rows = rows_of(said)
    assert rows["icmp"]["local"] == PINGS and rows["icmp"]["peer"] == 0, rows
    assert rows["icmp"]["explained"] == rows["icmp"]["delta"] == PINGS, rows
    assert all(r["unexplained"] == 0 for r in rows.values()), rows
    assert rows["all"]["local"] == said["sessions"]
    mine = {r["protocol"]: r for r in said["current"]}
    local = sum(r["count"] for r in said["reasons"] if r["protocol"] == "tcp")
    assert mine["tcp"]["sessions"] - local == STREAMS, said
    why = [r for r in said["reasons"] if r["protocol"] == "icmp"]
    assert [(r["disposition"], r["reason"], r["count"]) for r in why] == [("skipped", "local-origin", PINGS)], why
    # the same, seen from the other side: nothing is missing there
    other = rows_of(quiet_from(b))
    assert other["icmp"]["delta"] == other["icmp"]["explained"] == -PINGS, other
    # on the screen
    text = shown(a, "session", "statistics")
    print(text)
    assert "Current ICMP session(s): %d\n" % PINGS in text
    assert ["icmp", str(PINGS), "0", "+%d" % PINGS, "+%d" % PINGS, "0"] in table(text), text
    assert "Every difference is explained." in text
    assert ["fw-a", "icmp", str(PINGS), "skipped", "local-origin", "this box itself opened it"] in table(text), text
    # what the router did before it listened, and no sweep has shown yet
    kernel = said["kernel"]
    assert kernel["unrecorded"] == kernel["entries"] - said["sessions"] < 10 and kernel["relations"] == 0, kernel


def quiet_from(daemon):
    def probe():
        s = daemon.ask("show session statistics")
        return s if s["peers"][0]["fresh"] and s["peers"][0]["rows"] and not s["peers"][0]["unexplained"] else None
    return wait_for("the other side's figures to be explained", probe, 10, 0.2)


def test_lists_and_their_filters(busy, lab):
    a, b = busy["fw-a"], busy["fw-b"]

    def listed(daemon, *words):
        return daemon.ktsh("show", "conntrack", "table", *words)
    wait_for("every session to be on record",
             lambda: listed(a, "ipv4", "protocol", "icmp")["shown"] == PINGS, 10, 0.2)
    whole = listed(a, "ipv4")
    assert whole["shown"] == len(whole["sessions"]) >= PINGS + STREAMS and not whole["more"]
    assert whole["node"] == "fw-a" and whole["family"] == "ipv4"
    assert 0 <= whole["unrecorded"] < 10 and whole["kernel_entries"] >= whole["shown"], whole["kernel_entries"]
    through = listed(a, "ipv4", "port", "7101", "protocol", "tcp", "source", CLIENT, "destination", SERVER + "/24")
    assert through["shown"] == STREAMS
    one = through["sessions"][0]
    assert one["tcp"] == {"state": "ESTABLISHED", "code": "ES"} and one["owner"] == "fw-a" and one["mine"], one
    assert one["original"]["source"] == CLIENT and one["nat"] and not one["lease"], one
    assert listed(a, "ipv4", "port", "7101", "state", "tw")["shown"] == 0
    assert listed(a, "ipv4", "port", "7101", "mark", "7")["shown"] == 0
    assert listed(a, "ipv4", "zone", "5")["shown"] == 0
    wait_for("the copies", lambda: listed(b, "ipv4", "port", "7101", "synced")["shown"] == STREAMS, 10, 0.2)
    few = listed(a, "ipv4", "limit", "5")
    assert few["shown"] == len(few["sessions"]) == 5 and few["more"] and few["unrecorded"] is None
    unsynced = listed(a, "ipv4", "unsynced", "protocol", "1")
    assert {(s["disposition"], s["reason"]) for s in unsynced["sessions"]} == {("skipped", "local-origin")}
    assert listed(a, "ipv4", "synced", "protocol", "icmp")["shown"] == 0
    # a copy's timer is a lease; the caches hold what is replicated, each on its side
    copy = listed(b, "ipv4", "port", "7101")["sessions"][0]
    assert copy["lease"] and copy["owner"] == "fw-a" and not copy["mine"], copy
    cache = {side: {n: d.ktsh("show", "conntrack-sync", "cache", side, "port", "7101")["shown"]
                    for n, d in (("a", a), ("b", b))} for side in ("internal", "external")}
    assert cache == {"internal": {"a": STREAMS, "b": 0}, "external": {"a": 0, "b": STREAMS}}, cache
    text = shown(b, "conntrack", "table", "ipv4", "port", "7101")
    print(text)
    assert "TCP state codes: SS - SYN SENT, SR - SYN RECEIVED, ES - ESTABLISHED,\n" in text
    found = [r for r in table(text) if "%s:7101" % SERVER in r]
    assert len(found) == STREAMS and {r[3] for r in found} == {"tcp [6] ES"}, text
    assert all(r[4].endswith("L") and 200 < int(r[4][:-1]) <= 600 for r in found), text
    assert "13 sessions shown" in text and max(map(len, text.splitlines())) <= WIDTH, text
    for words, why in ((("source", "10.0.0"), "source must be an address"), (("source", "::1"), "not an IPv4 address"),
                       (("protocol", "tpc"), "protocol must be"), (("state", "open"), "state must be"),
                       (("synced", "unsynced"), "exclude each other")):
        code, said = a.ktsh_raw("show", "conntrack", "table", "ipv4", *words)
        assert code == 1 and said.startswith("% ") and why in said, (words, said)
    lab["fw-a"].conntrack("-I", "-p", "udp", "-s", "2001:db8:77::1", "-d", "2001:db8:78::1", "--sport", "7", "--dport",
                          "8", "-t", "120", "-u", "SEEN_REPLY")
    six = wait_for("the IPv6 session", lambda: (lambda s: s if s["shown"] else None)(
        listed(a, "ipv6", "source", "2001:db8:77::/48")), 5, 0.1)
    assert six["family"] == "ipv6" and six["sessions"][0]["protocol"] == "udp", six
    assert "[2001:db8:77::1]:7  [2001:db8:78::1]:8  udp [17]" in shown(a, "conntrack", "table", "ipv6", "port", "8")
    # a standby does not listen to new sessions: what comes without an event is counted as not on record
    before = listed(b, "ipv4")
    lab["fw-b"].conntrack("-I", "-p", "udp", "-s", "192.0.2.77", "-d", "192.0.2.78", "--sport", "7", "--dport", "8",
                          "-t", "120", "-u", "SEEN_REPLY")
    after = listed(b, "ipv4")
    known = [s for s in after["sessions"] if s["original"]["source"] == "192.0.2.77"]
    assert after["unrecorded"] == before["unrecorded"] + 1 or known, (before["unrecorded"], after["unrecorded"])


def test_how_replication_stands(busy):
    a, b = busy["fw-a"], busy["fw-b"]
    text = wait_for("both to be in sync", lambda: (lambda t: t if "in sync as of " in t else None)(
        shown(a, "conntrack-sync", "status")), 15, 0.2)
    age = float(re.search(r"in sync as of ([0-9.]+) s ago", text).group(1))
    assert age < 3, text
    lag = a.ask("show conntrack-sync lag")["peers"][0]
    assert lag["connected"] and lag["samples"] > 0 and 0 < lag["stored_p50_us"] <= lag["stored_p99_us"], lag
    assert lag["unsent_us"] < 1000000 and lag["ours_equal_us"] < 3000000, lag
    queues = {q["queue"]: q for q in a.ask("show conntrack-sync queue")["queues"]}
    assert queues["session table"]["waiting"] > PINGS and queues["kernel's table"]["waiting"] > PINGS, queues
    assert queues["event buffer (bytes)"]["limit"] > 1 << 20, queues
    rules = {r["rule"]: r for r in a.ask("show conntrack-sync filters")["rules"]}
    assert rules["opened by the box itself"]["sessions"] >= PINGS and rules["everything else"]["sessions"] >= STREAMS
    peer = b.ask("show conntrack-sync peers")["peers"][0]
    assert peer["node"] == "fw-a" and peer["copies"] >= STREAMS and peer["bytes_received"] > 1000, peer
    policy = {r["kind"]: r for r in a.ask("show session policy")["rows"]}
    assert policy["TCP"]["replicated"] == "yes" and policy["TCP, half-open"]["replicated"] == "no"
    assert policy["Opened or answered by the box itself"]["replicated"] == "no"
    for words in ("session policy", "conntrack-sync lag", "conntrack-sync queue", "conntrack-sync filters",
                  "conntrack-sync peers", "conntrack-sync status"):
        text = shown(a, *words.split())
        print(text)
        assert max(map(len, text.splitlines())) <= WIDTH, text
    b.stop()
    text = wait_for("the reason", lambda: (lambda t: t if "no data connection: " in t else None)(
        shown(a, "conntrack-sync", "status")), 5, 0.1)
    assert "not known to be in sync" in text
    gone = a.ask("show session statistics")["peers"][0]
    assert not gone["connected"] and not gone["fresh"], gone
