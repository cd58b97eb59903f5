"""What words of keepalived.conf do on the wire and to the kernel: beside the real keepalived, and beside an instance without.

Each virtual router of a scene has one word. What is seen of it must be the same under both daemons, and something else than
of the plain one: a word that did nothing would be noticed.
"""

import os
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lab"))

from advert import frame4, v3  # noqa: E402
from box import Box  # noqa: E402
from conftest import build_dir  # noqa: E402
from lab import wait_for  # noqa: E402
from wire import Sender, Tap, parse_vrrp  # noqa: E402

WINDOW = 3.45  # seconds from the first announcement on; rounds come every whole second

INSTANCE = """vrrp_instance V%(vrid)d {
    interface lan0
    virtual_router_id %(vrid)d
    priority 100
%(plain)s    virtual_ipaddress {
        %(vip)s
    }
%(words)s}
"""


def instance(vrid, words=(), vip=None, plain=("advert_int 0.1",)):
    return INSTANCE % {"vrid": vrid, "vip": vip or "10.0.1.%d/32" % vrid,
                       "plain": "".join("    %s\n" % w for w in plain), "words": "".join("    %s\n" % w for w in words)}


# ---- what is seen

class Side:
    """One daemon in its box, with a tap on the far end of lan0."""

    def __init__(self, original, conf, wants=()):
        self.box = Box(build_dir(), original=original)
        for line in ("addr add 10.0.1.11/24 dev lan0",) + tuple(wants):
            self.box.sh("ip " + line)
        self.box.write("/etc/keepalived/keepalived.conf", conf)
        machine = SimpleNamespace(holder=SimpleNamespace(pid=self.box.init))
        self.tap, self.sender = Tap(machine, "lan1"), Sender(machine, "lan1")
        self.began = time.monotonic_ns()
        self.box.spawn("keepalived", "-nlD")

    def close(self):
        self.tap.close()
        self.sender.close()
        self.box.close()

    def adverts(self, vrid, since=0):
        """[(time, source, destination, TTL, source MAC, version, priority)] of one virtual router, IPv4."""
        found = []
        for f in self.tap.read():
            a = parse_vrrp(f)
            if a and a.vrid == vrid and a.mac != "02:00:00:00:00:99" and f.t_ns >= since:
                dst = ".".join(map(str, f.raw[30:34])) if a.af == 4 else f.raw[38:54].hex()
                found.append((f.t_ns, a.src, dst, a.ttl, a.mac.startswith("00:00:5e"), a.version, a.priority))
        return found

    def garps(self, ip, since=0):
        return [t for t, _, gratuitous in self.tap.arp(ip, since) if gratuitous]

    def rounds(self, ip):
        """[(second in which it began, announcements)] of the rounds within the window; 0.4 s of silence end one."""
        times, found = self.garps(ip), []
        for i, t in enumerate(times):
            if t - times[0] > WINDOW * 1e9:
                break
            if i and t - times[i - 1] < 0.4e9:
                found[-1][1] += 1
            else:
                found.append([round((t - times[0]) / 1e9), 1])
        return found

    def wait_garp(self, ip, seconds=15):
        wait_for("an announcement of " + ip, lambda: self.garps(ip), seconds)

    def wait_window(self, ip):
        self.wait_garp(ip)
        wait_for("the window of " + ip, lambda: time.monotonic_ns() > self.garps(ip)[0] + WINDOW * 1e9 + 1e8, 10)


def both(conf, play, wants=()):
    """What play(side) sees of the real keepalived, and of this daemon; at the same time."""
    def one(original):
        side = Side(original, conf, wants)
        try:
            return play(side)
        finally:
            side.close()
    with ThreadPoolExecutor(2) as pool:
        return tuple(pool.map(one, (True, False)))


def same_twice(conf, play, wants=()):
    """A busy machine moves instants: what differs once is played again."""
    theirs, ours = both(conf, play, wants)
    return (theirs, ours) if theirs == ours else both(conf, play, wants)


# scenes are played four at a time, from the first test on; a test looks at its own
SCENES = {}


def scene(play):
    SCENES[play.__name__] = play
    return play


@pytest.fixture(scope="module")
def played():
    with ThreadPoolExecutor(4) as pool:
        yield {name: pool.submit(play) for name, play in SCENES.items()}


def lower(vrid, priority=20):
    return frame4(v3(vrid, priority, ["10.0.1.%d" % vrid], src="10.0.1.99", interval=100), src="10.0.1.99",
                  mac="02:00:00:00:00:99")


# ---- one word in each instance

WORDS = {
    2: ["garp_master_delay 2"],
    3: ["garp_master_repeat 2"],
    4: ["garp_master_delay 0", "garp_master_refresh 1"],
    5: ["garp_master_delay 0", "garp_master_refresh 1", "garp_master_refresh_repeat 3"],
    6: ["mcast_dst_ip 224.0.0.99"],
    7: ["mcast_src_ip 10.0.1.11"],
    8: ["unicast_src_ip 10.0.1.11", "unicast_peer {", "10.0.1.99", "}"],
    9: ["unicast_src_ip 10.0.1.11", "unicast_peer {", "10.0.1.99", "}", "unicast_ttl 7"],
    12: ["vmac_xmit_base"],  # without a virtual MAC it does nothing: the control
}
SAME_AS_PLAIN = {12}


@scene
def words_of_an_instance():
    conf = "global_defs {\n vrrp_version 3\n vrrp_garp_master_delay 1\n}\n" + instance(1)
    conf += "".join(instance(vrid, words) for vrid, words in WORDS.items())

    def play(side):
        side.box.sh("ip addr add 10.0.1.99/24 dev lan1; ip neigh replace 10.0.1.99 lladdr 02:00:00:00:00:99 dev lan0")
        seen = {}
        for vrid in [1] + list(WORDS):
            side.wait_window("10.0.1.%d" % vrid)
            seen[vrid] = (side.rounds("10.0.1.%d" % vrid), sorted({a[1:5] for a in side.adverts(vrid) if a[6] == 100}))
        return seen

    return same_twice(conf, play)


def test_words_of_an_instance(played):
    """garp_master_delay, _repeat, _refresh, _refresh_repeat, mcast_dst_ip, mcast_src_ip, unicast_src_ip, unicast_peer,
    unicast_ttl."""
    theirs, ours = played["words_of_an_instance"].result()
    assert ours == theirs
    assert ours[1][0] == [[0, 5], [1, 5]] and [a[1:3] for a in ours[1][1]] == [("224.0.0.18", 255)]
    for vrid, words in WORDS.items():
        assert (ours[vrid] == ours[1]) == (vrid in SAME_AS_PLAIN), words


# ---- the same words for all instances

@scene
def defaults_of_instances():
    conf = """global_defs {
 vrrp_version 3
 vrrp_garp_master_delay 2
 vrrp_garp_master_repeat 3
 vrrp_garp_master_refresh 3
 vrrp_garp_master_refresh_repeat 2
 vrrp_mcast_group4 224.0.0.77
 vrrp_mcast_group6 ff02::77
}
""" + instance(1) + instance(2, vip="fe80::2/64")

    def play(side):
        side.wait_window("10.0.1.1")
        wait_for("IPv6 adverts", lambda: side.adverts(2), 15)
        return side.rounds("10.0.1.1"), {a[2] for a in side.adverts(1)}, {a[2] for a in side.adverts(2)}

    return same_twice(conf, play)


def test_defaults_of_instances(played):
    """vrrp_garp_master_delay, _repeat, _refresh, _refresh_repeat, vrrp_mcast_group4, vrrp_mcast_group6."""
    theirs, ours = played["defaults_of_instances"].result()
    assert ours == theirs
    assert ours[0] == [[0, 3], [2, 3], [3, 2]], ours
    assert ours[1] == {"224.0.0.77"} and ours[2] == {"ff02" + "0" * 26 + "77"}


# ---- when another router is heard

HEARD = {
    1: [],
    2: ["garp_lower_prio_repeat 2"],
    3: ["garp_lower_prio_delay 2"],
    4: ["lower_prio_no_advert"],
    5: ["higher_prio_send_advert"],
}


PLAIN = [1, 1, True, 0]  # an announcement at once and after the delay; the lower one is answered, the higher one is not


def heard(defaults):
    """What is sent when a lower and then a higher router is heard, by virtual router."""
    conf = "global_defs {\n vrrp_version 3\n vrrp_garp_master_delay 1\n vrrp_garp_master_repeat 1\n%s}\n" % "".join(
        " %s\n" % w for w in defaults)
    conf += "".join(instance(vrid, words, plain=("advert_int 1",)) for vrid, words in HEARD.items())

    def say(side, priority, within):
        """An advert for each virtual router, when none of them is about to send its own; when it was."""
        def calm():
            now = time.monotonic_ns()
            return all(0.05e9 < now - side.adverts(v)[-1][0] < within * 1e9 for v in HEARD)
        wait_for("a moment between adverts", calm, 10)
        t = time.monotonic_ns()
        for v in HEARD:
            side.sender.send(lower(v, priority))
        return t

    def play(side):
        for vrid in HEARD:
            side.wait_garp("10.0.1.%d" % vrid, 20)
        wait_for("their second rounds", lambda: all(len(side.garps("10.0.1.%d" % v)) > 1 for v in HEARD), 10)
        time.sleep(0.3)
        t, result = say(side, 20, 0.3), {}
        time.sleep(1.7)
        for vrid in HEARD:
            times = [x - t for x in side.garps("10.0.1.%d" % vrid, t)]
            # what comes later still is a round of this daemon's own, when the other router has fallen silent
            result[vrid] = [len([x for x in times if x < 0.5e9]), len([x for x in times if 0.5e9 <= x < 1.6e9]),
                            any(a[0] - t < 0.25e9 for a in side.adverts(vrid, t))]
        t = say(side, 200, 0.7)
        time.sleep(0.25)
        for vrid in HEARD:
            result[vrid].append(len(side.adverts(vrid, t)))
        return result

    return same_twice(conf, play)


PLAIN = [1, 1, True, 0]  # an announcement at once and after the delay; the lower one is answered, the higher one is not


@scene
def heard_plain():
    return heard([])


@scene
def heard_with_defaults():
    return heard(["vrrp_garp_lower_prio_repeat 2", "vrrp_garp_lower_prio_delay 2", "vrrp_lower_prio_no_advert",
                  "vrrp_higher_prio_send_advert"])


def test_another_router_is_heard(played):
    """garp_lower_prio_repeat, garp_lower_prio_delay, lower_prio_no_advert, higher_prio_send_advert."""
    theirs, ours = played["heard_plain"].result()
    assert ours == theirs == {1: PLAIN, 2: [2, 2, True, 0], 3: [1, 0, True, 0], 4: [1, 1, False, 0], 5: [1, 1, True, 1]}


def test_another_router_is_heard_with_defaults(played):
    """vrrp_garp_lower_prio_repeat, vrrp_garp_lower_prio_delay, vrrp_lower_prio_no_advert, vrrp_higher_prio_send_advert."""
    theirs, ours = played["heard_with_defaults"].result()
    assert ours == theirs
    assert ours[1] == [2, 0, False, 1] and all(a != b for a, b in zip(ours[1], PLAIN))


# ---- the pace of announcements, the beginning, and interfaces

def spread(times):
    """Time from the first to the last of a round, in tenths of a second."""
    times = [t for t in times if t - times[0] < 2e9]
    return round((times[-1] - times[0]) / 1e8)


def neighbours(side, address):
    """Times of unsolicited neighbour advertisements."""
    want = bytes.fromhex(address)
    return [f.t_ns for f in side.tap.read() if f.type == 0x86dd and f.raw[20] == 58 and f.raw[54] == 136 and f.raw[62:78] == want]


def pace_by(how):
    vips = "10.0.1.1/32\n10.0.1.2/32\n10.0.1.3/32\n10.0.1.4/32"
    pace = {"vrrp_garp_interval": (" vrrp_garp_interval 0.2\n vrrp_gna_interval 0.2\n", ""),
            "garp_group": ("", "garp_group {\n garp_interval 0.2\n gna_interval 0.2\n interface lan0\n}\n"
                               "garp_group {\n garp_interval 0.9\n interfaces {\n lan1\n }\n}\n")}[how]
    conf = "global_defs {\n vrrp_version 3\n vrrp_min_garp\n%s}\n%s" % pace
    conf += instance(1, vip=vips) + instance(2, vip="fe80::21/64\nfe80::22/64\nfe80::23/64\nfe80::24/64")

    def play(side):
        last = "fe80" + "0" * 26 + "24"
        side.wait_garp("10.0.1.4")
        wait_for("the last neighbour advertisement", lambda: neighbours(side, last), 15)
        time.sleep(0.5)
        four = sorted(t for k in range(1, 5) for t in side.garps("10.0.1.%d" % k))
        six = sorted(t for k in range(1, 5) for t in neighbours(side, "fe80" + "0" * 26 + "2%d" % k))
        return len(four), spread(four) // 2, len(six), spread(six) // 2

    return same_twice(conf, play)


@scene
def pace_vrrp_garp_interval():
    return pace_by("vrrp_garp_interval")


@scene
def pace_garp_group():
    return pace_by("garp_group")


@pytest.mark.parametrize("how", ["vrrp_garp_interval", "garp_group"])
def test_pace(played, how):
    """vrrp_min_garp, vrrp_garp_interval, vrrp_gna_interval, garp_group with garp_interval, gna_interval, interface and
    interfaces."""
    theirs, ours = played["pace_" + how].result()
    assert ours == theirs
    assert ours[0] == 4 and ours[1] == 3 and ours[3] == 3, ours


@scene
def the_beginning():
    conf = "global_defs {\n vrrp_version 3\n vrrp_startup_delay 1\n vrrp_down_timer_adverts 10\n default_interface lan1\n}\n"
    conf += "static_ipaddress {\n 10.7.7.7/24\n}\n" + instance(1) + instance(2, ["down_timer_adverts 25"])

    def play(side):
        side.wait_garp("10.0.1.2")
        assert "10.7.7.7/24" in side.box.addresses("lan1")
        return [(side.garps("10.0.1.%d" % k)[0] - side.began) / 1e9 for k in (1, 2)]

    return both(conf, play)


def test_the_beginning(played):
    """vrrp_startup_delay, vrrp_down_timer_adverts, down_timer_adverts, default_interface."""
    for seen in played["the_beginning"].result():
        # the delay, then ten or 25 intervals and the skew; the start itself and a busy machine take some time
        assert 1.9 < seen[0] < 4 and 1.3 < seen[1] - seen[0] < 2.2, seen


def links(side):
    """{name: (kind, MAC)} of what was made on lan0."""
    out = side.box.run("ip", "-d", "-o", "link", "show")
    found = {}
    for line in out.strip().split("\n"):
        m = re.match(r"\d+: (\S+)@lan0: .*?link/ether (\S+) .* (macvlan|ipvlan) ", line)
        if m:
            found[m[1]] = (m[3], m[2].startswith("00:00:5e:00:01"))
    return found


@scene
def interfaces_of_virtual_macs():
    conf = "global_defs {\n vrrp_version 3\n vrrp_garp_master_delay 0\n vmac_prefix vx\n vrrp_garp_extra_if 1\n}\n"
    conf += instance(1, ["use_vmac"]) + instance(2, ["use_vmac named"]) + instance(3, ["use_vmac", "vmac_xmit_base"])
    conf += instance(5, ["use_vmac", "garp_extra_if 30"])
    conf += instance(6, ["use_vmac", "vmac_garp_intvl 30"])

    def play(side):
        for vrid in (1, 2, 3, 5, 6):
            side.wait_garp("10.0.1.%d" % vrid)
        time.sleep(2.2)
        return links(side), [{a[4] for a in side.adverts(v)} for v in (1, 2, 3)], \
            [len(side.rounds("10.0.1.%d" % v)) > 1 for v in (1, 5, 6)]

    return both(conf, play)


def test_interfaces_of_virtual_macs(played):
    """use_vmac, vmac_prefix, vmac_xmit_base, garp_extra_if, vmac_garp_intvl, vrrp_garp_extra_if."""
    theirs, ours = played["interfaces_of_virtual_macs"].result()
    assert ours[0] == theirs[0] and {"vx.1", "named", "vx.3", "vx.5"} <= set(ours[0])
    assert ours[1] == theirs[1] == [{True}, {True}, {False}]
    assert ours[2] == [True, False, False]  # keepalived does it only for single addresses on other interfaces


@scene
def closed_addresses():
    conf = "global_defs {\n vrrp_version 3\n vrrp_strict\n}\n" + instance(1) + instance(2, ["accept"])
    conf += instance(3, ["strict_mode off"]) + instance(4, ["strict_mode off", "no_accept"]) + instance(5, ["strict_mode on"])

    def play(side):
        for vrid in range(1, 6):
            side.wait_garp("10.0.1.%d" % vrid)
        side.box.sh("ip netns add far; ip link set lan1 netns far; ip -n far addr add 10.0.1.99/24 dev lan1; "
                    "ip -n far link set lan1 up")
        wait_for("the addresses again", lambda: {"10.0.1.%d/32" % v for v in range(1, 6)} <= set(side.box.addresses()), 15)
        wait_for("an answer", lambda: side.box.call("ping", "-c1", "-W1", "10.0.1.3", ns="far").returncode == 0, 10)
        return [side.box.call("ping", "-c1", "-W1", "10.0.1.%d" % v, ns="far").returncode == 0 for v in range(1, 6)]

    return same_twice(conf, play)


def test_closed_addresses(played):
    """no_accept, accept, strict_mode, vrrp_strict: who answers an echo request to a virtual address."""
    theirs, ours = played["closed_addresses"].result()
    assert ours == theirs == [False, True, True, False, False], (theirs, ours)
