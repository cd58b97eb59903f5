"""Races that keepalived's users run into, as scenarios that either daemon can play (rig.Ours, rig.Theirs).

A scenario returns what was observed, as a dictionary; SCENARIOS has for each a title, and a sentence made of what was
observed. tests/interop/test_races.py asserts our side; tests/bench/races.py writes docs/keepalived-differences.md.
"""

import os
import signal
import threading
import time

from incumbent import Incumbent
from keeptrackd import Keeptrackd
from lab import Lab, LabError, now_ns, wait_for
from rig import Ours, Rig, Vr
from traffic import Traffic
from wire import Sender, Tap

VIP = "10.1.0.1/16"
FAST = 0.1


class Duo:
    """a is master, b its backup; one instance, or those that are given."""

    def __init__(self, stack, build, vrs=None, advert=FAST, preempt=True, channel=False, start=True):
        self.vrs = vrs or [Vr("one", 1, 10, [VIP], advert=advert, preempt=preempt)]
        self.rig = Rig(build, segments=max(v.segment for v in self.vrs))
        channel = channel and stack is Ours
        self.a, self.b = (stack(self.rig, name, self.vrs, channel=channel) for name in ("a", "b"))
        self.tap = self.rig.tap()
        self.vips = [vip for v in self.vrs for vip in v.vips if ":" not in vip]
        if start:
            try:
                self.start()
            except BaseException:
                self.rig.close()
                raise

    def start(self):
        slowest = max(v.advert for v in self.vrs)
        self.a.start()
        wait_for("a to be master", lambda: self.a.holds(*self.vips), 5 + 5 * slowest)
        self.b.start()
        wait_for("b to be ready", self.b.ready, 10)
        begin = now_ns()
        wait_for("adverts that b can hear", lambda: len(self.tap.vrrp(begin, mac=self.a.mac())) >= 3 * len(self.vrs),
                 5 + 5 * slowest, 0.01)

    def adverts(self, router, since, until=None):
        return self.tap.vrrp(since, until, mac=router.mac())

    def holders(self, *vips):
        return "".join(r.name for r in (self.a, self.b) if r.holds(*(vips or self.vips)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for router in (self.a, self.b):
            for pid in router.pids():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        self.tap.close()
        self.rig.close()


def when(probe, seconds):
    """Seconds until probe() is true, or None."""
    begin = time.monotonic()
    try:
        wait_for("it", probe, seconds, 0.005)
    except LabError:
        return None
    return time.monotonic() - begin


# ---------------------------------------------------------------- 1: sessions before addresses

class NoCharon:
    env = {"STRONGSWAN_CONF": "/dev/null"}


def fill(machine, count):
    """Sessions of other people, so that loading the table takes as long as in real life."""
    machine.run("conntrack", "-R", "-", timeout=60, text="".join(
        "-A -p tcp --state ESTABLISHED -t 3000 -u ASSURED -s 10.0.%d.%d -d 203.0.113.77 --sport %d --dport 80 "
        "-g 203.0.113.77 -q 203.0.113.1 --reply-port-src 80 --reply-port-dst %d\n"
        % (2 + n // 50000, 1 + n % 200, 10000 + n % 50000, 10000 + n % 50000) for n in range(count)))


def sessions_before_addresses(stack, build, sessions=20000):
    """Crash of the master under traffic through NAT, with a filled table."""
    with Lab(build) as lab:
        both = (Keeptrackd(lab, {}, ipsec=False) if stack is Ours
                else Incumbent(lab, {r: NoCharon for r in ("fw-a", "fw-b")}))
        try:
            for router in ("fw-a", "fw-b"):
                both.start(router)
            wait_for("fw-a to be master", lambda: both.is_master("fw-a"), 10)
            fill(lab["fw-a"], sessions)
            traffic = Traffic(lab, idle=0, udp_rate=500, vpn_rate=0)
            wait_for("the standby to have the sessions", lambda: both.is_ready("fw-b"), 20, 0.1)
            time.sleep(1.0)  # a steady stream, and the rest of the table
            capture = Tap(lab["client"], "eth0")
            traffic.mark()
            both.freeze("fw-a")
            lab.cut("fw-a")
            both.kill("fw-a")
            wait_for("fw-b to be master", lambda: both.is_master("fw-b"), 5)
            wait_for("the datagrams to flow", lambda: traffic.flowing("udp"), 5)
            wait_for("the stream to flow", traffic.stream_alive, 10, 0.1)
            report = traffic.report()
            capture.close()
            udp, stream = report["udp"]["udp"], report["stream"]
            return {"moved": udp["moved"], "udp_gap_ms": udp["gap_ns"] / 1e6, "tcp_gap_ms": stream["gap_ns"] / 1e6,
                    "sessions": sessions}
        finally:
            both.stop()


# ---------------------------------------------------------------- 3: lists of addresses that differ

def different_lists(stack, build):
    """The master gets one more address, the backup does not know it yet."""
    with Duo(stack, build) as duo:
        begin = now_ns()
        duo.a.reload([v.changed(vips=v.vips + ["10.1.0.2/16"]) for v in duo.vrs])
        wait_for("the new address", lambda: duo.a.holds("10.1.0.2"), 3)
        time.sleep(10 * FAST)
        of_b = duo.adverts(duo.b, begin)
        return {"backup_became_master_after_ms": (of_b[0].t_ns - begin) / 1e6 if of_b else None,
                "holders": duo.holders(VIP)}


# ---------------------------------------------------------------- 4: a process that is not scheduled

def pause(router, seconds):
    router.freeze()
    time.sleep(seconds)
    router.thaw()


def not_scheduled(stack, build, pauses=5):
    """10 ms adverts. The backup stops for 5 to 30 times its master-down time, then the master for 5 times."""
    with Duo(stack, build, advert=0.01, preempt=False) as duo:
        wrong = 0
        for n in range(pauses):
            begin = now_ns()
            pause(duo.b, 0.2 + 0.2 * n)
            time.sleep(0.15)
            wrong += bool(duo.adverts(duo.b, begin))
            wait_for("a to be master alone", lambda: duo.holders() == "a", 5)
        duo.a.freeze()
        wait_for("b to take over", lambda: duo.b.holds(VIP), 3)
        time.sleep(0.15)
        begin = now_ns()
        duo.a.thaw()
        time.sleep(0.6)
        heard = [f for f in duo.tap.read() if f.t_ns >= begin and f.src == duo.a.mac()]
        garps = [f for f in heard if f.type == 0x0806 and f.raw[28:32] == f.raw[38:42]]
        return {"pauses": pauses, "false_takeovers": wrong, "late_adverts": len(duo.adverts(duo.a, begin)),
                "late_announcements": len(garps), "holders": duo.holders()}


# ---------------------------------------------------------------- 5: after a split brain

def after_split_brain(stack, build):
    """
    Both are masters while the switch parts them; then they hear each other again, a hears b first. (The other way round b
    goes before a knows of it, and there is no channel.) A host keeps asking nobody.
    """
    with Duo(stack, build) as duo:
        switch, client = duo.rig["switch"], duo.rig["client"]
        ports = [duo.rig.port(name, 1) for name in ("a", "b")]
        client.run("ping", "-c", "1", "-W", "1", "10.1.0.1", check=False)
        for _ in range(5):
            parted = now_ns()
            for port in ports:
                switch.run("bridge", "link", "set", "dev", port, "isolated", "on")
            wait_for("two masters", lambda: duo.holders() == "ab", 5)
            # The second round of announcements of b is over when they meet: nothing of its is on the way any more.
            wait_for("a silence of b's announcements", lambda p=parted: (
                lambda seen: seen and now_ns() - seen[-1][0] > 300e6)([x for x in duo.tap.arp("10.1.0.1", p)
                                                                     if x[1] == duo.b.mac() and x[2]]), 5)
            asked = now_ns()
            wait_for("an advert of a", lambda n=asked: duo.adverts(duo.a, n), 5, 0.002)
            begin = now_ns()
            switch.run("bridge", "link", "set", "dev", ports[0], "isolated", "off")
            healed = now_ns()
            yielded = when(lambda: duo.holders() == "a", 5)
            switch.run("bridge", "link", "set", "dev", ports[1], "isolated", "off")
            if duo.adverts(duo.b, healed):
                break
        right = when(lambda: duo.rig.mac("a", 1) in client.run("ip", "neigh", "show", "10.1.0.1"), 3)
        announced = [t for t, mac, own in duo.tap.arp("10.1.0.1", begin) if own and mac == duo.a.mac()]
        return {"one_master_after_ms": yielded and yielded * 1e3, "hosts_right": right is not None,
                "announced_after_ms": (announced[0] - begin) / 1e6 if announced else None}


# ---------------------------------------------------------------- 6: reloads

class Monitor:
    """What happens to the addresses of a router, as the kernel tells it."""

    def __init__(self, machine):
        self.path = os.path.join(machine.dir, "monitor.log")
        self.process = machine.spawn("ip", "-o", "monitor", "address", stdout=open(self.path, "wb"))
        machine.ip("addr add 10.77.0.1/32 dev lo", "addr del 10.77.0.1/32 dev lo")
        wait_for("the monitor", lambda: "10.77.0.1" in self.text() or self._again(machine), 5)

    @staticmethod
    def _again(machine):
        machine.ip("addr add 10.77.0.1/32 dev lo", "addr del 10.77.0.1/32 dev lo")
        return False

    def text(self):
        with open(self.path, encoding="ascii") as f:
            return f.read()

    def deleted(self, vip):
        return sum(line.startswith("Deleted") and " %s/" % vip in line for line in self.text().split("\n"))

    def close(self):
        self.process.kill()
        self.process.wait()


RELOADS = ("add", "remove", "move", "swap", "priority")


def reload_to(kind, one, two):
    """(instances before, instances after, addresses that must stay all the time)."""
    first, second, third = "10.1.0.1", "10.1.0.2", "10.1.0.3"
    if kind == "add":
        return [one, two], [one.changed(vips=one.vips + [third + "/16"]), two], (first, second)
    if kind == "remove":
        more = one.changed(vips=one.vips + [third + "/16"])
        return [more, two], [one, two], (first, second)
    if kind == "move":
        more = one.changed(vips=one.vips + [third + "/16"])
        return [more, two], [one, two.changed(vips=two.vips + [third + "/16"])], (first, second, third)
    if kind == "swap":
        return [one, two], [one.changed(vips=two.vips), two.changed(vips=one.vips)], (first, second)
    return [one, two], [one.changed(priority={"a": 180, "b": 90}), two], (first, second)


def reload_once(stack, build, kind):
    """Both routers get the new file in the same moment."""
    one = Vr("one", 1, 10, ["10.1.0.1/16"], advert=FAST)
    two = Vr("two", 1, 11, ["10.1.0.2/16"], advert=FAST)
    before, after, stay = reload_to(kind, one, two)
    with Duo(stack, build, vrs=before) as duo:
        monitor = Monitor(duo.rig["a"])
        try:
            begin = now_ns()
            threads = [threading.Thread(target=r.reload, args=(after,)) for r in (duo.b, duo.a)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            time.sleep(8 * FAST)
            want = [vip for v in after for vip in v.vips]
            settled = duo.a.holds(*want) and duo.holders(*stay) == "a"
            return {"taken_away": sum(monitor.deleted(vip) > 0 for vip in stay), "complete": settled,
                    "zeros": sum(x.priority == 0 for x in duo.adverts(duo.a, begin)),
                    "backup_adverts": len(duo.adverts(duo.b, begin))}
        finally:
            monitor.close()


def reloads(stack, build):
    return {kind: reload_once(stack, build, kind) for kind in RELOADS}


# ---------------------------------------------------------------- 8: IPv6 without a usable source

def advert6(duo, since, seconds):
    """Milliseconds from an instant to the first IPv6 advert, or None."""
    if when(lambda: duo.tap.vrrp(since, af=6), seconds) is None:
        return None
    return (duo.tap.vrrp(since, af=6)[0].t_ns - since) / 1e6


def late_link_local(stack, build, kinds=("missing", "tentative")):
    """The daemon starts before the interface has a link-local address; then while that is tentative."""
    six = Vr("six", 1, 10, ["fe80::1:1/64", "2001:db8:1::1/64"], advert=FAST, family="ipv6")
    found = {}
    for kind in kinds:
        with Duo(stack, build, vrs=[six], start=False) as duo:
            machine = duo.rig["a"]
            machine.sysctl({"net/ipv6/conf/eth1/addr_gen_mode": 1})
            machine.run("ip", "-6", "addr", "flush", "dev", "eth1")
            if kind == "tentative":
                machine.sysctl({"net/ipv6/conf/eth1/accept_dad": 1, "net/ipv6/conf/all/accept_dad": 1,
                                "net/ipv6/conf/eth1/dad_transmits": 1})
                machine.ip("addr add fe80::a/64 dev eth1")
            duo.a.start()
            if kind == "missing":
                time.sleep(0.5)
                machine.ip("addr add fe80::a/64 dev eth1 nodad")
            begin = now_ns()
            found[kind] = advert6(duo, begin, 6)
    return found


# ---------------------------------------------------------------- measured before: bad packets, SIGKILL

def checksum(data):
    total = sum(int.from_bytes(data[i:i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def advert_frame(src_mac, src, vrid, priority, vips, interval_cs, spoil=0):
    """A VRRPv3 advert as keepalived sends it (checksum with pseudo-header); spoil is added to the checksum."""
    src, group = bytes(map(int, src.split("."))), bytes((224, 0, 0, 18))
    addresses = b"".join(bytes(map(int, v.split("/")[0].split("."))) for v in vips)
    body = bytes((0x31, vrid, priority, len(vips))) + interval_cs.to_bytes(2, "big") + b"\0\0" + addresses
    total = checksum(src + group + bytes((0, 112)) + len(body).to_bytes(2, "big") + body)
    body = body[:6] + ((total + spoil) & 0xffff).to_bytes(2, "big") + body[8:]
    head = bytes((0x45, 0xc0)) + (20 + len(body)).to_bytes(2, "big") + b"\0\1\0\0" + bytes((255, 112)) + b"\0\0" + src + group
    head = head[:10] + checksum(head).to_bytes(2, "big") + head[12:]
    return (bytes.fromhex("01005e000012") + bytes.fromhex(src_mac.replace(":", "")) + b"\x08\0" + head + body)


def bad_packets(stack, build, seconds=5.0):
    """Adverts every second; somebody sends five adverts per second with a wrong list of addresses and lower priority."""
    with Duo(stack, build, advert=1) as duo:
        sender = Sender(duo.rig["client"], "eth1")
        frame = advert_frame(duo.rig.mac("client", 1), duo.rig.address("client", 1), 10, 50, ["10.1.9.9/16"], 100, 1)
        begin, end = now_ns(), time.monotonic() + seconds
        while time.monotonic() < end:
            sender.send(frame)
            time.sleep(0.2)
        sender.close()
        own = duo.adverts(duo.a, begin - 1100000000)
        stamps = [x.t_ns for x in own] + [now_ns()]
        return {"seconds": seconds, "adverts": len(duo.adverts(duo.a, begin)),
                "longest_silence_ms": max(b - a for a, b in zip(stamps, stamps[1:])) / 1e6,
                "backup_adverts": len(duo.adverts(duo.b, begin))}


def killed(stack, build):
    """SIGKILL of the master's daemon; its machine lives. The daemon is not started again for two seconds."""
    with Duo(stack, build, channel=True) as duo:
        begin = now_ns()
        pids = duo.a.pids()
        if stack is Ours:
            duo.a.process.kill()
        else:
            os.kill(pids[0], signal.SIGSTOP)  # the parent; its death would make the child say good-bye
            for pid in reversed(pids):
                os.kill(pid, signal.SIGKILL)
        wait_for("b to take over", lambda: duo.b.holds(VIP), 3)
        first = duo.adverts(duo.b, begin)
        time.sleep(2.0)
        return {"takeover_ms": (first[0].t_ns - begin) / 1e6 if first else None, "holders_after_2_s": duo.holders()}


# ---------------------------------------------------------------- the list

def ms(value, never="never"):
    return never if value is None else "%.0f ms" % value


def masters(letters):
    return {"": "nobody held", "a": "the master alone held", "b": "the backup alone held",
            "ab": "both routers held"}[letters]


def say_reloads(r):
    def one(kind):
        x = r[kind]
        words = [w for w, bad in (("%d kept address%s deleted and added again" % (
            x["taken_away"], "" if x["taken_away"] == 1 else "es"), x["taken_away"]),
                                  ("priority 0 was sent", x["zeros"]),
                                  ("the backup sent %d adverts as master" % x["backup_adverts"], x["backup_adverts"]),
                                  ("addresses were missing or on both routers 0.8 s later", not x["complete"])) if bad]
        return "%s: %s" % (kind, ", ".join(words) if words else "nothing else moved")
    return "; ".join(one(kind) for kind in RELOADS)


SCENARIOS = (
    ("1", "Sessions are in the kernel before the addresses are up", sessions_before_addresses,
     "Crash of the master under traffic through NAT, 20000 other sessions in its table (keepalived: with conntrackd and "
     "its documented script).",
     lambda r: "the NAT port of a UDP flow changed %d times; gap of UDP %.0f ms, of TCP %.0f ms" % (
         r["moved"], r["udp_gap_ms"], r["tcp_gap_ms"])),
    ("3", "An address is added on one router first", different_lists,
     "The master is reloaded with one more address than the backup has; adverts every 100 ms, watched for 1 s.",
     lambda r: "%s; %s the address" % (
         "the backup stayed backup" if r["backup_became_master_after_ms"] is None
         else "the backup became master after " + ms(r["backup_became_master_after_ms"]), masters(r["holders"]))),
    ("4", "A process is not scheduled for a while", not_scheduled,
     "Adverts every 10 ms. The backup is stopped (SIGSTOP) for 0.2 to 1 s, 5 times; then the master, until the backup has "
     "taken over.",
     lambda r: "%d false takeovers in %d pauses of the backup; the master that came back sent %d adverts and %d "
     "announcements of addresses that were no longer its own; after 0.6 s %s the address" % (
         r["false_takeovers"], r["pauses"], r["late_adverts"], r["late_announcements"], masters(r["holders"]))),
    ("5", "The survivor of a split brain announces itself again", after_split_brain,
     "Both are masters while the switch parts them, then they hear each other again.",
     lambda r: "one master after %s; the survivor announced its address %s; the hosts' ARP entry was %s within 3 s" % (
         ms(r["one_master_after_ms"]),
         "never" if r["announced_after_ms"] is None else "after " + ms(r["announced_after_ms"]),
         "right" if r["hosts_right"] else "wrong")),
    ("6", "Reload", reloads,
     "Two instances on one interface; both routers get the new file in the same moment: an address is added, removed, moved "
     "from one instance to the other, two are exchanged, a priority changes.", say_reloads),
    ("8", "IPv6 without a usable link-local address at start", late_link_local,
     "The daemon starts while the interface has no link-local address (one is added 0.5 s later), or a tentative one. "
     "Adverts every 100 ms, watched for 6 s.",
     lambda r: "first advert %s after the address was added; with a tentative one %s after the start" % (
         ms(r["missing"]), ms(r["tentative"]))),
    ("own", "Rejected packets", bad_packets,
     "Adverts every second; a third machine sends five adverts per second with a wrong checksum, for 5 s.",
     lambda r: "the master sent %d adverts, its longest silence was %s; the backup sent %d adverts as master" % (
         r["adverts"], ms(r["longest_silence_ms"]), r["backup_adverts"])),
    ("own", "SIGKILL of the master's daemon", killed,
     "The machine lives on, and nothing restarts the daemon; adverts every 100 ms.",
     lambda r: "takeover after %s; 2 s later %s the address" % (ms(r["takeover_ms"]), masters(r["holders_after_2_s"]))),
)
