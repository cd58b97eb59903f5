"""One router with keeptrackd and one with another program, and every virtual router on both.

Scenarios that have nothing to do with each other run at the same time, each in a rig of its own: at_once().
"""

import concurrent.futures
import json

from advert import packed
from conftest import build_dir
from lab import now_ns, wait_for
from rig import Ours, Rig, Vr
from wire import Tap

OWN4 = {"a": "10.1.255.1", "b": "10.1.255.2"}
OWN6 = {"a": "2001:db8:9::a", "b": "2001:db8:9::b"}
LATE_MS = {False: 600, True: 250}  # than theory, on a busy machine; after priority 0 still before silence counts
THEIRS_LATE_MS = 1000  # one virtual router after the other, announcements and log lines first


class Form(Vr):
    """A virtual router and what keepalived is told of it beyond the usual: lines, or a function of the router's name."""

    def __init__(self, name, vrid, vips, advert, priority, theirs=(), speaks=3, **more):
        super().__init__(name, 1, vrid, vips, advert, priority, **more)
        self.theirs, self.speaks = theirs, speaks


class Duo:
    """One of each, nothing runs yet. Adverts are seen on the survivor's own interface: unicast too."""

    def __init__(self, make, forms, ours="a"):
        self.rig = Rig(build_dir())
        for name in ("a", "b"):
            other = "b" if name == "a" else "a"
            # Unicast is to be seen leaving also while nobody answers.
            self.rig[name].ip("addr add %s/64 dev eth1 nodad" % OWN6[name], *(
                "neigh replace %s lladdr %s dev eth1 nud permanent" % (own[other], Rig.mac(other, 1)) for own in (OWN4, OWN6)))
        self.forms = forms
        theirs = "b" if ours == "a" else "a"
        self.ours, self.theirs = Ours(self.rig, ours, self.forms), make(self.rig, theirs, self.forms)
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

    def master_alone(self, router, seconds=12, but=()):
        """
        This one advertises every virtual router, the other one none, for a whole interval and more. but: names of
        those that are the other one's.
        """
        def wrong(form, now):
            winner, since = self.other(router) if form.name in but else router, now - int(form.advert * 1.3e9)
            return (not [a for a in self.adverts(winner, form, since) if a.priority]
                    or self.adverts(self.other(winner), form, since))

        def probe():
            now = now_ns()
            missing = [f.name for f in self.forms if wrong(f, now)]
            if missing:
                raise ValueError(missing)
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
        return self.theirs.complaints()

    def close(self):
        for router in (self.ours, self.theirs):
            router.stop()
        self.rig.close()


def skew_ms(form, priority):
    """RFC 3768 6.1: parts of a second; RFC 9568 6.1: parts of the interval."""
    return (256 - priority) / 256 * (1000 if form.speaks == 2 else form.advert * 1000)


def check_times(duo, took, priority, of_leaving, heir):
    """Three intervals and a skew, or after priority 0 a skew."""
    early = getattr(heir, "early_ms", 5)
    late = LATE_MS[of_leaving] if heir is duo.ours else THEIRS_LATE_MS
    for form in duo.forms:
        last, ms = took[form.name]
        want = skew_ms(form, priority) + (0 if of_leaving else 3000 * form.advert)
        assert (last == 0) == of_leaving, (form.name, last)
        assert want - early < ms < want + late, "%s on %s: %.1f ms instead of %.1f" % (form.name, heir.label, ms, want)


def play(make, forms, high):
    """The higher one becomes master; it dies and comes back; it leaves. forms: function of the priorities."""
    duo = Duo(make, forms({"a": 150 if high == "ours" else 100, "b": 100 if high == "ours" else 150}))
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
        check_times(duo, duo.takes(master, backup, begin, backup), 100, False, backup)
        for tap in duo.taps.values():
            tap.read()
        master.start()
        duo.master_alone(master)
        begin = now_ns()
        master.process.terminate()
        check_times(duo, duo.takes(master, backup, begin, backup), 100, True, backup)
        if high == "theirs":
            assert all(i["counters"]["priority_zero_received"] >= 1 for i in duo.shown().values())
            shown = duo.shown()
            assert not [(n, i["counters"]["drops"]) for n, i in shown.items() if i["counters"]["drops"]]
        assert not duo.complaints(), duo.complaints()
    finally:
        duo.close()


def address(duo, router, form):
    """The one its last advert came from, as bytes that compare."""
    return packed(duo.adverts(router, form, 0, router)[-1].src)


def tie(make, forms, where):
    """Equal priorities; both became master while they could not hear each other: the higher address keeps the role."""
    duo = Duo(make, forms({"a": 100, "b": 100}), ours=where)
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
        # Most of all speak from their first address; some from one of their virtual MAC's interface.
        first, others = (duo.ours, duo.theirs) if where == "b" else (duo.theirs, duo.ours)
        but = [f.name for f in duo.forms if address(duo, first, f) < address(duo, others, f)]
        duo.master_alone(first, but=but)
        assert not duo.complaints(), duo.complaints()
    finally:
        duo.close()


def at_once(*jobs):
    """Each job: a function and its arguments."""
    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        for job in [pool.submit(*j) for j in jobs]:
            job.result()
