"""The samples of Debian's package keepalived: our verdict beside keepalived's, and the same kernel state with both.

docs/keepalived-compat.md is made here: KT_GOLDEN=write brings it up to date.
"""

import concurrent.futures
import glob
import json
import os
import re
import sys
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lab"))

from box import Box  # noqa: E402
from conftest import build_dir  # noqa: E402
from lab import LabError, wait_for  # noqa: E402

SAMPLES = "/usr/share/doc/keepalived/samples"
DOC = os.path.join(TOP, "docs", "keepalived-compat.md")
CONF = "/etc/keepalived/keepalived.conf"
VRRP = ("conditional_conf", "track_interface", "vrrp", "vrrp.localcheck", "vrrp.routes", "vrrp.rules", "vrrp.scripts",
        "vrrp.static_ipaddress", "vrrp.sync")
MIXED = ("sample", "SSL_GET", "vrrp.lvs_syncd")
PORTS = ("eth0", "eth1", "eth2", "eth3", "eth0.1")
SETUP = "".join("""
ip link add %s address 02:00:00:00:00:0%d type veth peer name far%d
ip link set far%d up
ip link set %s up""" % (p, n, n, n, p) for n, p in enumerate(PORTS)) + """
ip addr add 192.168.200.1/24 dev eth0
ip addr add 192.168.100.1/24 dev eth0
ip addr add 192.168.0.2/24 dev eth0
ip addr add 192.168.201.1/24 dev eth1
ip addr add 10.1.0.1/24 dev eth2
ip addr add 10.2.0.1/24 dev eth0.1
"""


def samples():
    return sorted(os.path.basename(p).split(".", 2)[2] for p in glob.glob(SAMPLES + "/keepalived.conf.*"))


def text_of(name):
    """A sample as it is, but for what the test has no time for or this daemon refuses: see changes()."""
    with open(os.path.join(SAMPLES, "keepalived.conf." + name), encoding="latin-1") as f:
        return f.read()


def changes(name, text):
    """For running: a short interval, PASS in place of AH, which is refused, no other namespace, and no IPVS."""
    text = re.sub(r"advert_int\s+12", "advert_int 1", text)
    text = re.sub(r".*(net_namespace|lvs_sync_daemon_interface).*", "", text)
    return text.replace("auth_type AH", "auth_type PASS") if name == "SSL_GET" else text


def make_box(original):
    box = Box(build_dir(), original=original)
    box.sh(SETUP + "sysctl -qw net.ipv4.conf.all.rp_filter=0")
    return box


# ---- verdicts


def verdict(box, name):
    """(exit status, findings) of -t."""
    box.write("/tmp/" + name, text_of(name))
    p = box.call("keepalived", "-t", "-i", "high", "-f", "/tmp/" + name)
    lines = []
    for line in (p.stderr + p.stdout).split("\n"):
        line = line.replace("/tmp/%s:" % name, "line ").replace("(/tmp/%s: Line " % name, "(line ").strip()
        if line and line not in lines and "the configuration is valid" not in line:
            lines.append(line)
    return p.returncode, lines


def cell(lines, most=3):
    text = "<br>".join(line.replace("|", "\\|").replace("<", "&lt;") for line in lines[:most])
    return text + ("<br>... %d more" % (len(lines) - most) if len(lines) > most else "")


HEAD = """# The samples of keepalived

Made by `tests/netns/test_samples.py` (`KT_GOLDEN=write` brings it up to date): the verdict of `keepalived -t` for each
sample of Debian's package, by keepalived itself (2.2.7) and by this daemon under that name. Both run in the same kind of
network namespace with eth0 to eth3 and eth0.1, without the scripts that samples name, with `-i high`.

Exit statuses are keepalived's: 0 nothing to say, 5 something to say and it runs, 6 the same about scripts without script
security, 4 it does not run. What is said in vain
but rightly (words without effect here) does not change the status.

The nine samples for VRRP alone and the three that have LVS too then run with both, until both hold their addresses;
addresses, routes and rules in the kernel are the same, and so they are after the end. Changed for that: the interval of
12 s and the namespace in conditional_conf; in SSL_GET `auth_type AH`, which is refused here, to PASS; and without
lvs_sync_daemon_interface, for which the kernel of the test has no IPVS.

## LVS

A file with virtual servers serves its VRRP part; one line of level ERR, and `show vrrp`, say that LVS is not served. The
real keepalived serves it from the same file beside this daemon, with pid files of its own:

    keepalived --check --pid /run/lvs.pid --checkers_pid /run/lvs_checkers.pid -f /etc/keepalived/keepalived.conf

`--check` (`-C`) starts only its checkers: it sends no advert and touches no virtual address. Both programs reload by HUP
and end by TERM on their own. The blocks `conntrack_sync` and `ipsec_failover` of this daemon are unknown to it: it names
them in its log and goes on. Tested in `tests/vm/guest/test_lvs.py`.

A file with virtual servers only has nothing for this daemon: it says so and waits, as keepalived does with `-P`, for a
reload that brings a virtual router. The other way round, a reload that finds none any more is refused: a file that was
cut short looks like that.

## Verdicts

| sample | keepalived | what it says | here | what is said here |
|---|---|---|---|---|
"""


@pytest.fixture(scope="module")
def both():
    boxes = [make_box(original) for original in (True, False)]
    yield boxes
    for box in boxes:
        box.close()


def test_verdicts(both):
    """No sample that keepalived takes is refused for its syntax, and the document says what is."""
    rows = []
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda job: verdict(*job), [(box, name) for name in samples() for box in both]))
    for n, name in enumerate(samples()):
        (theirs, their_lines), (ours, our_lines) = found[2 * n:2 * n + 2]
        rows.append("| %s | %d | %s | %d | %s |" % (name, theirs, cell(their_lines), ours, cell(our_lines)))
        assert ours in (0, 4, 5, 6)
        if ours == 4:  # a word that is refused by name
            assert any("is not supported" in line for line in our_lines), our_lines
    text = HEAD + "\n".join(rows) + "\n"
    if os.environ.get("KT_GOLDEN") == "write":
        with open(DOC, "w", encoding="utf-8") as f:
            f.write(text)
    with open(DOC, encoding="utf-8") as f:
        assert f.read() == text, "docs/keepalived-compat.md is not what was seen: KT_GOLDEN=write"
    assert len(rows) == 25


# ---- kernel state


def pick(entry, keys):
    return tuple((k, json.dumps(entry[k], sort_keys=True)) for k in keys if k in entry)


def kernel(box):
    """Addresses by interface, routes and rules; without what differs from run to run."""
    found = box.sh("ip -j addr show; ip -j route show table all; ip -j rule show").strip().split("\n")
    all_links, all_routes, all_rules = map(json.loads, found)
    addresses = {}
    for link in all_links:
        if link["ifname"].startswith(("eth", "vrrp")):
            addresses[link["ifname"]] = sorted(
                pick(a, ("local", "prefixlen", "scope", "label", "broadcast", "address", "deprecated", "noprefixroute"))
                for a in link["addr_info"] if not (a["family"] == "inet6" and a["scope"] == "link"))
    routes = sorted(pick(r, ("type", "dst", "gateway", "via", "dev", "scope", "prefsrc", "metric", "table", "nexthops", "flags"))
                    for r in all_routes if r.get("protocol") == "keepalived")
    rules = sorted(pick(r, ("priority", "src", "srclen", "dst", "dstlen", "table", "iif", "oif", "fwmark", "action"))
                   for r in all_rules)
    return {"addresses": addresses, "routes": routes, "rules": rules}


def differences(theirs, ours):
    """Lines of what only one of both has."""
    def flat(state):
        lines = {("address", name) + a for name, found in state["addresses"].items() for a in found + [()]}
        return lines | {("route",) + r for r in state["routes"]} | {("rule",) + r for r in state["rules"]}
    a, b = flat(theirs), flat(ours)
    return ["keepalived: %s" % (line,) for line in sorted(a - b)] + ["here: %s" % (line,) for line in sorted(b - a)]


class Run:
    """One sample with one daemon."""

    def __init__(self, name, original):
        self.name, self.box = name, make_box(original)
        self.before = kernel(self.box)
        self.box.write(CONF, changes(name, text_of(name)))
        self.child = self.box.spawn("keepalived", "-P", "-n", "-l", "-D", "-i", "high", "-f", CONF)

    def masters(self):
        """Every instance of the sample has said that it is master."""
        text = changes(self.name, text_of(self.name))
        names = re.findall(r"^\s*vrrp_instance\s+(\S+)", text, re.M)
        log = self.box.read("/run/log")
        return all("(%s) Entering MASTER STATE" % name in log for name in names)

    def end(self):
        if self.child.poll() is None:
            self.box.run("pkill", "-TERM", "-o", "-x", "keepalived")
            self.child.wait(10)


class Pair:
    """A sample with both daemons: what they made of the kernel, and what is left of it."""

    def __init__(self, name):
        self.theirs, self.ours = Run(name, True), Run(name, False)

    def same(self):
        """Both are master everywhere, and what they made of the kernel is the same."""
        return (all(run.masters() for run in (self.ours, self.theirs)) and
                kernel(self.ours.box) == kernel(self.theirs.box) != self.ours.before)

    def play(self, until):
        try:
            wait_for("the same kernel state", self.same, until - time.monotonic(), 0.5)
        except LabError:
            pass  # the test says what differs
        self.running = [kernel(run.box) for run in (self.theirs, self.ours)]
        self.lived = [run.child.poll() is None for run in (self.theirs, self.ours)]
        self.theirs.end()
        self.ours.end()
        try:
            wait_for("what was there before",
                     lambda: kernel(self.ours.box)["addresses"] == self.ours.before["addresses"], 3, 0.2)
        except LabError:
            pass
        self.left = [kernel(run.box) for run in (self.theirs, self.ours)]
        self.log = self.ours.box.read("/run/log")[-2000:]

    def close(self):
        self.theirs.box.close()
        self.ours.box.close()


@pytest.fixture(scope="module")
def pairs():
    """Every sample with both daemons, all at the same time: {name: Pair}."""
    with concurrent.futures.ThreadPoolExecutor(12) as pool:  # a box ends with the thread that made it
        found = dict(zip(VRRP + MIXED, pool.map(Pair, VRRP + MIXED)))
        until = time.monotonic() + 25
        list(pool.map(lambda p: p.play(until), found.values()))
        yield found
        list(pool.map(lambda p: p.close(), found.values()))


@pytest.mark.parametrize("name", VRRP + MIXED)
def test_same_kernel_state(pairs, name):
    """Both take the role, put the same into the kernel, and leave it as it was."""
    p = pairs[name]
    assert p.lived == [True, True], p.log
    assert differences(*p.running) == [], p.log
    assert p.running[1] != p.ours.before
    assert (p.theirs.child.returncode, p.ours.child.returncode) == (0, 0)
    assert differences(*p.left) == []
    assert p.left[1]["addresses"] == p.ours.before["addresses"]
