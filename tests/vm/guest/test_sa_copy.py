"""Copies of inbound SAs (sync_sa = "inbound"): what a peer sends while the tunnel is negotiated anew is read with a copy that
the standby held in locked memory. The SAs are made by hand, so that nothing but the copy can read a packet; test_sa_bridge
has an IKE daemon."""

import os
import re
import resource
import signal
import time

import pytest

from conf import lab_conf, text
from keeptrackd import Daemon
from lab import CLIENT, Lab, PEER, ROUTERS, VIP_WAN, VPN_HOST, VPN_LAN, wait_for

ADVERT = 0.5
SECONDS = 60
LAN = "10.0.1.0/24"
PORT = "7000"

SENDER = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 0))
n, at = 0, time.monotonic()
while True:
    try:
        s.sendto(b"%d" % n, (sys.argv[2], int(sys.argv[3])))
        n += 1
    except OSError:  # the peer's IKE daemon is between two routes: nothing was sent
        pass
    at += 0.01
    time.sleep(max(0, at - time.monotonic()))
"""

RECEIVER = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", int(sys.argv[1])))
with open(sys.argv[2], "a", buffering=1) as f:
    while True:
        f.write(s.recv(100).decode() + "\\n")
"""

# A socket that takes ESP out of UDP (RFC 3948), as an IKE daemon holds it open.
DECAPSULATOR = """
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", 4500))
s.setsockopt(socket.IPPROTO_UDP, 100, 2)
time.sleep(3600)
"""

GCM = ["aead", "rfc4106(gcm(aes))", "KEY20", "128"]
CBC = ["auth-trunc", "hmac(sha256)", "KEY32", "128", "enc", "cbc(aes)", "KEY16"]
ESN = ["replay-window", "128", "flag", "esn"]
NAT_T = ["encap", "espinudp", "4500", "4500", "0.0.0.0"]
KINDS = {
    "gcm": {"alg": GCM, "more": ["replay-window", "32"], "peer": []},
    "cbc-esn-nat-t": {"alg": CBC, "more": ESN + NAT_T, "peer": ESN + NAT_T},
}


def python(machine, script, *args, log=None):
    return machine.spawn("/usr/bin/python3", "-c", script, *args, log=log)


class World:
    """Two routers with one tunnel, and a stream of numbered packets from the peer to the client."""

    def __init__(self, lab):
        self.lab, self.daemons, self.extra, self.cut, self.keys = lab, {}, [], set(), []
        self.charons = {}
        self.got = os.path.join(lab.dir, "got")

    def start(self, name, sync="inbound", **tunnel):
        conf = lab_conf(self.lab, name, advert=ADVERT, replicate=False)
        conf["ipsec"] = {"tunnels": [dict({"name": "hq", "vip": VIP_WAN, "peer": PEER, "sync_sa": sync}, **tunnel)]}
        self.daemons[name] = Daemon(self.lab, name, conf=text(conf))
        self.daemons[name].start()

    def pair(self, sync="inbound", **tunnel):
        for name in ROUTERS:
            self.start(name, sync, **tunnel)
        self.serves("fw-a")
        self.ready("fw-b")

    def serves(self, name):
        wait_for("%s to be the only master" % name,
                 lambda: [r for r in ROUTERS if r not in self.cut and self.lab[r].has_ip4(VIP_WAN)] == [name], SECONDS)

    def ready(self, name):
        wait_for(name + " to be ready",
                 lambda: self.daemons[name].ask("show failover status")["groups"][0]["ready"], SECONDS)

    def copies(self, name):
        return self.daemons[name].ask("show ipsec")["sa_copies"]

    def holds(self, name, *spis):
        wait_for("%s to hold copies of %s" % (name, spis),
                 lambda: [h["spi"] for h in self.copies(name)["held"]] == sorted(spis), SECONDS)

    # ---- SAs made by hand ----

    def key(self, size):
        self.keys.append(os.urandom(size))
        return "0x" + self.keys[-1].hex()

    def tunnel(self, kind, spi):
        """The peer sends, the active receives, both routers have the policies; nobody has anything else."""
        alg = [re.sub(r"KEY(\d+)", lambda m: self.key(int(m.group(1))), word) for word in KINDS[kind]["alg"]]
        state = ["ip", "xfrm", "state", "add", "src", PEER, "dst", VIP_WAN, "proto", "esp", "spi", hex(spi), "reqid", "7",
                 "mode", "tunnel"]
        tmpl = ["tmpl", "src", PEER, "dst", VIP_WAN, "proto", "esp", "mode", "tunnel", "reqid", "7"]
        between = ["ip", "xfrm", "policy", "add", "src", VPN_LAN, "dst", LAN]
        for name in ROUTERS:
            for direction in ("in", "fwd"):
                self.lab[name].run(*between, "dir", direction, *tmpl)
            if "nat-t" in kind:
                self.extra.append(python(self.lab[name], DECAPSULATOR))
        self.lab["peer"].run("ip", "route", "replace", LAN, "via", VIP_WAN)
        self.lab["peer"].run(*state, *alg, *KINDS[kind]["peer"])
        self.lab["peer"].run(*between, "dir", "out", *tmpl)
        self.lab["fw-a"].run(*state, *alg, *KINDS[kind]["more"])

    def tunnel_on(self, name, spi):
        """The peer has a second SA, which it uses from now on; that router knows it."""
        alg = [re.sub(r"KEY(\d+)", lambda m: self.key(int(m.group(1))), word) for word in GCM]
        state = ["src", PEER, "dst", VIP_WAN, "proto", "esp", "spi", hex(spi), "reqid", "7", "mode", "tunnel", *alg]
        self.lab[name].run("ip", "xfrm", "state", "add", *state, "replay-window", "32")
        self.lab["peer"].run("ip", "xfrm", "state", "add", *state)
        old = [s for s in states(self.lab["peer"]) if s != hex(spi)][0]
        self.lab["peer"].run("ip", "xfrm", "state", "delete", "src", PEER, "dst", VIP_WAN, "proto", "esp", "spi", old)

    def flush(self):
        for name in ROUTERS + ("peer",):
            self.lab[name].run("sh", "-c", "ip xfrm state flush; ip xfrm policy flush")
        self.lab["peer"].run("ip", "route", "flush", LAN)

    # ---- packets ----

    def numbers(self):
        try:
            with open(self.got, encoding="ascii") as f:
                return [int(line) for line in f.read().split("\n")[:-1]]
        except FileNotFoundError:
            return []

    def stream(self):
        """A number that grows by one every 10 ms; begins to count when the first ones have arrived."""
        if os.path.exists(self.got):
            os.unlink(self.got)
        self.extra.append(python(self.lab["client"], RECEIVER, PORT, self.got))
        self.extra.append(python(self.lab["peer"], SENDER, VPN_HOST, CLIENT, PORT))
        wait_for("packets to arrive", lambda: len(self.numbers()) > 20, SECONDS)

    def goes_on(self, more=100):
        count = len(self.numbers())
        wait_for("%d more packets" % more, lambda: len(self.numbers()) > count + more, SECONDS)

    def gaps(self):
        """Numbers that never came, as [(first, how many)]."""
        numbers = self.numbers()
        assert numbers == sorted(set(numbers))
        return [(a + 1, b - a - 1) for a, b in zip(numbers, numbers[1:]) if b != a + 1]

    def crash(self, name):
        self.lab.cut(name)
        self.cut.add(name)
        self.daemons[name].kill()

    def end(self):
        for process in self.extra:
            process.kill()
            process.wait()
        for daemon in self.daemons.values():
            daemon.stop(20)
        for charon in self.charons.values():
            charon.stop()
        for name in list(self.cut):
            self.lab.plug(name)
            self.lab.reboot(name)
        self.flush()
        for name in ROUTERS:
            self.lab[name].run("sh", "-c", "rm -rf /run/keeptrackd %s/*" % os.path.join(self.lab[name].dir, "state"))


@pytest.fixture(scope="module", name="lab")
def fixture_lab(build):
    with Lab(build, rules=None) as lab:
        yield lab


@pytest.fixture(name="world")
def fixture_world(lab):
    world = World(lab)
    yield world
    world.end()


def states(machine):
    """SPI -> what `ip xfrm state` says of that SA."""
    parts = re.split(r"^(?=src )", machine.run("ip", "-s", "xfrm", "state"), flags=re.M)
    return {m.group(1): p for p in parts for m in [re.search(r"spi (0x\w+)", p)] if m}


@pytest.mark.parametrize("kind", KINDS)
def test_planned_switch_loses_nothing(world, lab, kind):
    world.pair(backend="none")
    world.tunnel(kind, 0xc1000001)
    world.holds("fw-b", "0xc1000001")
    wait_for("the policy to be looked at", lambda: world.copies("fw-b")["held"][0]["policy"] == "fits", SECONDS)
    world.stream()
    world.daemons["fw-a"].ask("force failover")
    world.serves("fw-b")
    world.goes_on()
    assert world.gaps() == []
    copy = states(lab["fw-b"])["0xc1000001"]
    assert "reqid 7" in copy and VIP_WAN in copy
    life = int(re.search(r"expire add: soft 0\(sec\), hard (\d+)\(sec\)", copy).group(1))
    assert 0 < life <= 120
    shown = world.copies("fw-b")
    assert shown["installed_now"] == 1 and shown["count"]["installed"] == 1 and shown["held"] == []
    # The old master has neither the SA nor a copy of the copy.
    wait_for("fw-a to have no SA of the address", lambda: not states(lab["fw-a"]), SECONDS)
    assert world.copies("fw-a")["held"] == []


def test_crash_and_return(world, lab):
    """The packets that reach the new master are all read: one gap, until the addresses have moved, and none afterwards. The
    dead one comes back as standby, and gets what there is."""
    world.pair(backend="none")
    world.tunnel("gcm", 0xc3000001)
    world.holds("fw-b", "0xc3000001")
    world.stream()
    # The window of the copy begins where the last report left it, with everything before it seen.
    wait_for("a report of the window", lambda: world.copies("fw-b")["held"][0]["replay_top"] > 10, SECONDS)
    world.crash("fw-a")
    world.serves("fw-b")
    world.goes_on()
    assert len(world.gaps()) == 1
    # A new SA of the same peer, as a negotiation would make it; with its first packet the bridge has ten seconds.
    world.tunnel_on("fw-b", 0xc3000002)
    wait_for("the bridge to be taken away", lambda: "0xc3000001" not in states(lab["fw-b"]), SECONDS)
    assert world.copies("fw-b")["count"]["ended_by_new_sa"] == 1
    assert "0xc3000002" in states(lab["fw-b"])
    assert len(world.gaps()) == 1


def test_spi_in_use(world, lab):
    """An SA of this node has the number already: it stays, the copy is left out and counted, and the role comes degraded.
    What arrives is lost, as it is without any copy."""
    world.pair(backend="none")
    world.tunnel("gcm", 0xc4000001)
    world.holds("fw-b", "0xc4000001")
    lab["fw-b"].run("ip", "xfrm", "state", "add", "src", "203.0.113.77", "dst", VIP_WAN, "proto", "esp", "spi",
                    "0xc4000001", "reqid", "9", "mode", "tunnel", "aead", "rfc4106(gcm(aes))", "0x" + "11" * 20, "128")
    world.stream()
    world.daemons["fw-a"].ask("force failover")
    world.serves("fw-b")
    wait_for("the clash to be counted", lambda: world.copies("fw-b")["count"]["spi_in_use"] == 1, SECONDS)
    assert world.copies("fw-b")["installed_now"] == 0
    wait_for("fw-a to have no SA of the address", lambda: not states(lab["fw-a"]), SECONDS)
    count = len(world.numbers())
    time.sleep(1)
    assert len(world.numbers()) <= count + 1


def find(path, keys):
    """Files below path that hold one of the keys, raw or as hexadecimal text."""
    found = []
    for root, _, files in os.walk(path):
        for name in files:
            full = os.path.join(root, name)
            with open(full, "rb") as f:
                data = f.read()
            if any(k in data or k.hex().encode() in data for k in keys):
                found.append(full)
    return found


def present(pid, begin, end):
    """The pages of a mapping that exist, as (address, length): reading the others would make them."""
    page = os.sysconf("SC_PAGESIZE")
    with open("/proc/%d/pagemap" % pid, "rb", buffering=0) as f:
        f.seek(begin // page * 8)
        words = memoryview(f.read((end - begin) // page * 8)).cast("Q")
    here = [i for i, w in enumerate(words) if w >> 62]
    runs = []
    for i in here:
        if runs and runs[-1][1] == i:
            runs[-1][1] += 1
        else:
            runs.append([i, i + 1])
    return [(begin + a * page, (b - a) * page) for a, b in runs]


def in_memory(pid, keys):
    """The mappings of a process that hold one of the keys."""
    found = []
    with open("/proc/%d/maps" % pid, encoding="ascii") as maps, open("/proc/%d/mem" % pid, "rb", buffering=0) as mem:
        for line in maps:
            area, rights = line.split()[:2]
            if not rights.startswith("r"):
                continue
            begin, end = (int(x, 16) for x in area.split("-"))
            try:
                data = b"".join(os.pread(mem.fileno(), length, at) for at, length in present(pid, begin, end))
            except (OSError, OverflowError, ValueError):
                continue
            if any(k in data for k in keys):
                found.append(area)
    return found


def test_keys_are_nowhere(world, lab, tmp_path):
    """Both ends are made to dump core while they have the keys; these are in no core, log, journal or answer. That they were
    there is seen in the living process, in locked memory that is not dumped."""
    cores = tmp_path / "cores"
    cores.mkdir()
    with open("/proc/sys/kernel/core_pattern", "w", encoding="ascii") as f:
        f.write(str(cores / "core.%p"))
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    world.pair(backend="none")
    world.tunnel("gcm", 0xc5000001)
    keys = world.keys
    world.holds("fw-b", "0xc5000001")
    world.stream()
    said = [json for name in ROUTERS for words in (["show", "ipsec"], ["show", "ipsec", "json"], ["show", "failover"])
            for json in [world.daemons[name].ktsh_raw(*words)[1]]]
    assert "c5000001" in said[4] and not [s for s in said for k in keys if k.hex() in s]
    for name in ROUTERS:
        process = world.daemons[name].process
        areas = in_memory(process.pid, keys)
        assert areas, name
        with open("/proc/%d/smaps" % process.pid, encoding="ascii") as f:
            smaps = f.read()
        for area in areas:
            flags = re.search(r"^%s .*?^VmFlags: (.*?)$" % area, smaps, re.M | re.S).group(1).split()
            assert "lo" in flags and "dd" in flags, (name, area)
    for name in ("fw-b", "fw-a"):
        process = world.daemons[name].process
        process.send_signal(signal.SIGABRT)
        process.wait(SECONDS)
        wait_for("the core of " + name, lambda: (cores / ("core.%d" % process.pid)).exists(), SECONDS)
    sizes = [os.path.getsize(cores / name) for name in os.listdir(cores)]
    assert len(sizes) >= 2 and min(sizes) > 100000
    assert find(cores, keys) == []
    for name in ROUTERS:
        assert find(lab[name].dir, keys) == []
