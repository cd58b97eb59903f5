"""Every form of VRRP that keepalived speaks, all at once: one virtual router each, keeptrackd on one side and keepalived on
the other, in both directions. Version 2 plain and with a password, version 3, IPv6, unicast, a virtual MAC, and both
versions at once on our side against either on theirs.

Scenarios that have nothing to do with each other run at the same time, each in a rig of its own.
"""

import concurrent.futures
import json

from conftest import build_dir
from lab import now_ns, wait_for
from rig import Ours, Rig, Theirs, Vr
from wire import Tap

PASS_LINES = ("    authentication {", "        auth_type PASS", "        auth_pass secret", "    }")
OWN4 = {"a": "10.1.255.1", "b": "10.1.255.2"}
OWN6 = {"a": "2001:db8:9::a", "b": "2001:db8:9::b"}
SPOILT_MS = 250  # later than theory on a busy machine


class Form(Vr):
    """A virtual router and what keepalived is told of it beyond the usual: lines, or a function of the router's name."""

    def __init__(self, name, vrid, vips, advert, priority, theirs=(), speaks=3, **more):
        super().__init__(name, 1, vrid, vips, advert, priority, **more)
        self.theirs, self.speaks = theirs, speaks


class Keepalived(Theirs):
    detail = True

    def conf(self):
        def one(v):
            lines = ["vrrp_instance %s {" % v.name, "    state BACKUP", "    version %d" % v.speaks,
                     "    interface " + v.interface, "    virtual_router_id %d" % v.vrid,
                     "    priority %d" % v.priority[self.name], "    advert_int %s" % v.advert]
            lines += v.theirs(self.name) if callable(v.theirs) else list(v.theirs)
            lines += ["    virtual_ipaddress {"] + ["        " + a for a in v.vips] + ["    }", "}", ""]
            return "\n".join(lines)
        return "global_defs {\n    router_id %s\n    vrrp_version 3\n}\n" % self.name + "".join(map(one, self.instances))


def unicast(own):
    def lines(name):
        return ["    unicast_src_ip " + own[name], "    unicast_peer {", "        " + own["b" if name == "a" else "a"], "    }"]
    return lines


def forms(priority):
    def form(*args, **more):
        return Form(*args[:4], priority, *args[4:], **more)
    mac = {"virtual_mac": {"kind": "macvlan"}}
    return [
        form("v2", 1, ["10.1.0.1/16"], 1, (), 2, version="v2"),
        form("pass", 2, ["10.1.0.2/16"], 1, PASS_LINES, 2, version="v2", auth_pass="secret"),
        form("v3", 3, ["10.1.0.3/16", "10.1.0.33/16"], 0.1),
        form("v6", 4, ["fe80::1:4/64", "2001:db8:1::4/64"], 0.1, family="ipv6"),
        form("uni", 5, ["10.1.0.5/16"], 0.1, unicast(OWN4), unicast_peers=sorted(OWN4.values())),
        form("uni2", 6, ["10.1.0.6/16"], 1, unicast(OWN4), 2, version="v2", unicast_peers=sorted(OWN4.values())),
        form("uni6", 7, ["2001:db8:1::7/64"], 0.1, unicast(OWN6), family="ipv6", unicast_peers=sorted(OWN6.values())),
        form("vmac", 8, ["10.1.0.8/16"], 0.1, ("    use_vmac kvrrp.8",), **mac),
        form("vmac6", 9, ["fe80::1:9/64"], 0.1, ("    use_vmac kvrrp6.9",), family="ipv6", **mac),
        form("up2", 10, ["10.1.0.10/16"], 1, (), 2, version="v2+v3"),
        form("up3", 11, ["10.1.0.11/16"], 1, (), 3, version="v2+v3"),
    ]


class Duo:
    """One of each, nothing runs yet. Adverts are seen on the survivor's own interface: unicast too."""

    def __init__(self, priority, ours="a"):
        self.rig = Rig(build_dir())
        for name in ("a", "b"):
            other = "b" if name == "a" else "a"
            # Unicast is to be seen leaving also while nobody answers.
            self.rig[name].ip("addr add %s/64 dev eth1 nodad" % OWN6[name], *(
                "neigh replace %s lladdr %s dev eth1 nud permanent" % (own[other], Rig.mac(other, 1)) for own in (OWN4, OWN6)))
        self.forms = forms(priority)
        theirs = "b" if ours == "a" else "a"
        self.ours, self.theirs = Ours(self.rig, ours, self.forms), Keepalived(self.rig, theirs, self.forms)
        self.local = {r: self.own_addresses(r.name) for r in (self.ours, self.theirs)}
        self.taps = {r: Tap(self.rig[r.name], "eth1") for r in (self.ours, self.theirs)}

    def own_addresses(self, name):
        links = json.loads(self.rig[name].run("ip", "-j", "addr", "show", "dev", "eth1"))
        return {a["local"] for a in links[0]["addr_info"]}

    def other(self, router):
        return self.theirs if router is self.ours else self.ours

    def adverts(self, router, form, since=0, at=None):
        """Of this router; keepalived may use an address of its virtual MAC's interface."""
        def is_its(a):
            return a.src in self.local[router] or (router is self.theirs and a.src not in self.local[self.ours])
        return [a for a in self.taps[at or self.theirs].vrrp(since, vrid=form.vrid, af=6 if form.family == "ipv6" else 4)
                if is_its(a)]

    def master_alone(self, router, seconds=12):
        """This one advertises every virtual router, the other one none, for a whole interval and more."""
        def probe():
            now = now_ns()
            missing = [f.name for f in self.forms
                       if not [a for a in self.adverts(router, f, now - int(f.advert * 1.3e9)) if a.priority]
                       or self.adverts(self.other(router), f, now - int(f.advert * 1.3e9))]
            if missing:
                raise ValueError("not %s: %s" % (router.name, missing))
            return True
        wait_for("%s to be the only master" % router.label, probe, seconds, 0.05)

    def shown(self):
        return {i["name"]: i for i in self.ours.ask("show vrrp")["instances"]}

    def takes(self, old, new, begin, at):
        """{form: (priority of the last advert, ms to the new one's first)}, in versions that both speak."""
        found = {}
        for f in self.forms:
            first = wait_for("an advert of %s for %s" % (new.label, f.name),
                             lambda f=f: self.adverts(new, f, begin, at), 8)[0]
            last = [a for a in self.adverts(old, f, 0, at) if a.t_ns < first.t_ns][-1]
            found[f.name] = last.priority, (first.t_ns - last.t_ns) / 1e6
        return found

    def complaints(self):
        words = ("bad ", "invalid", "mismatch", "ncorrect", "expect", "not match", "checksum")
        return [line for line in self.theirs.log().split("\n") if any(w in line for w in words)
                and "up2" not in line and "up3" not in line and "version" not in line.lower()]

    def close(self):
        for router in (self.ours, self.theirs):
            router.stop()
        self.rig.close()


def skew_ms(form, priority):
    """RFC 3768 6.1: parts of a second; RFC 9568 6.1: parts of the interval."""
    return (256 - priority) / 256 * (1000 if form.speaks == 2 else form.advert * 1000)


def check_times(duo, took, priority, of_leaving):
    """Three intervals and a skew, or after priority 0 a skew."""
    for form in duo.forms:
        last, ms = took[form.name]
        want = skew_ms(form, priority) + (0 if of_leaving else 3000 * form.advert)
        assert (last == 0) == of_leaving, (form.name, last)
        assert want - 5 < ms < want + SPOILT_MS, "%s: %.1f ms instead of %.1f" % (form.name, ms, want)


def play(high):
    """The higher one becomes master; it dies and comes back; it leaves."""
    priority = {"a": 150 if high == "ours" else 100, "b": 100 if high == "ours" else 150}
    duo = Duo(priority)
    try:
        master, backup = (duo.ours, duo.theirs) if high == "ours" else (duo.theirs, duo.ours)
        backup.start()
        master.start()
        duo.master_alone(master)
        shown = duo.shown()
        if high == "theirs":
            for form in duo.forms:
                assert shown[form.name]["peer"]["priority"] == 150, shown[form.name]
        assert not [(n, i["counters"]["drops"]) for n, i in shown.items() if i["counters"]["drops"]]
        assert not duo.complaints(), duo.complaints()
        begin = now_ns()
        master.die()
        check_times(duo, duo.takes(master, backup, begin, backup), 100, False)
        for tap in duo.taps.values():
            tap.read()
        master.start()
        duo.master_alone(master)
        begin = now_ns()
        master.process.terminate()
        check_times(duo, duo.takes(master, backup, begin, backup), 100, True)
        if high == "theirs":
            assert all(i["counters"]["priority_zero_received"] >= 1 for i in duo.shown().values())
        assert not duo.complaints(), duo.complaints()
    finally:
        duo.close()


def tie(where):
    """Equal priorities; both became master while they could not hear each other: the higher address keeps the role."""
    duo = Duo({"a": 100, "b": 100}, ours=where)
    try:
        ports = [duo.rig.port(name, 1) for name in ("a", "b")]
        for port in ports:
            duo.rig["switch"].run("bridge", "link", "set", "dev", port, "isolated", "on")
        duo.ours.start()
        duo.theirs.start()
        for router in (duo.ours, duo.theirs):
            for form in duo.forms:
                wait_for("%s: both to be master" % form.name, lambda r=router, f=form: duo.adverts(r, f, 0, r), 8)
        for port in ports:
            duo.rig["switch"].run("bridge", "link", "set", "dev", port, "isolated", "off")
        duo.master_alone(duo.ours if where == "b" else duo.theirs)
        assert not duo.complaints(), duo.complaints()
    finally:
        duo.close()


def at_once(function, *arguments):
    with concurrent.futures.ThreadPoolExecutor(len(arguments)) as pool:
        for job in [pool.submit(function, a) for a in arguments]:
            job.result()


def test_takeover_hand_back_and_priority_zero():
    at_once(play, "ours", "theirs")


def test_ties():
    at_once(tie, "a", "b")
