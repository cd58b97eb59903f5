"""Fixtures of the tests in network namespaces. The real binary runs; nothing outside the lab is touched.

    def test_something(lab):                 # the topology of tests/lab/lab.py, fresh for each test
    def test_something(pair):                # two routers with keeptrackd running, fw-a is master
    def test_something(make_pair):           # the same with options: make_pair(advert="0.01", ipsec=False)

Everything a test started ends with the lab, by process id. Logs of a failed test are shown with the failure.

Several files run at a time (./dev). A test that measures how late something is, in milliseconds, is marked as one that has
to run alone: @pytest.mark.alone.
"""

import glob
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lab"))

from ipsec import Charon  # noqa: E402
from keeptrackd import Daemon, group  # noqa: E402
from lab import Lab, ROUTERS, TCP_PORT, VIP_LAN, VIP_WAN, wait_for  # noqa: E402
from traffic import Traffic  # noqa: E402
from vpnsite import Site  # noqa: E402


def build_dir():
    return os.environ.get("KT_BUILD", os.path.join(os.path.dirname(os.path.dirname(HERE)), "build"))


class Pair:
    """Two routers with keeptrackd, by name: pair["fw-a"] is a keeptrackd.Daemon."""

    def __init__(self, lab, **options):
        self.lab = lab
        self.daemons = {name: Daemon(lab, name, **options) for name in ROUTERS}
        self.charons = {}

    def __getitem__(self, name):
        return self.daemons[name]

    def start(self):
        for daemon in self.daemons.values():
            daemon.start()
        self.wait_master("fw-a")
        return self

    def other(self, name):
        return ROUTERS[1 - ROUTERS.index(name)]

    def masters(self):
        """Routers that hold the virtual addresses in their kernel, whatever anybody says."""
        return [name for name in ROUTERS if self.lab[name].has_ip4(VIP_LAN, VIP_WAN)]

    def wait_master(self, name, seconds=10.0):
        wait_for("%s to hold the virtual addresses alone" % name, lambda: self.masters() == [name], seconds)

    def wait_ready(self, seconds=10.0):
        """Until either router may take over or serves."""
        wait_for("both routers to be ready", lambda: all(group(d)["ready"] for d in self.daemons.values()), seconds)

    def wait_synced(self, name, minimum=1, seconds=20.0):
        """Until the kernel of a router holds as many of the traffic's TCP sessions as the other one's."""
        def count(router):
            return self.lab[router].conntrack("-L", "-p", "tcp", "--dport", str(TCP_PORT)).count("ESTABLISHED")
        wait_for("%s to hold every session" % name,
                 lambda: count(name) >= max(minimum, count(self.other(name))), seconds, 0.1)

    def start_ipsec(self):
        """strongSwan on the peer and on both routers, with the tunnel loaded but not started."""
        for name in ("peer",) + ROUTERS:
            self.charons[name] = Charon(self.lab, name)
            self.charons[name].start()

    def crash(self, name):
        """Power failure: nothing of the router is heard any more."""
        self.daemons[name].signal(19)  # SIGSTOP: it must not react while its links go one after the other
        if name in self.charons:
            self.charons[name].freeze()
        self.lab.cut(name)
        self.daemons[name].kill()
        if name in self.charons:
            self.charons[name].stop()

    def traffic(self, **options):
        return Traffic(self.lab, **options)


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: measures short times, and runs when nothing else does")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    found = getattr(item, "funcargs", {})
    lab = found.get("lab") or getattr(found.get("site"), "lab", None)
    if lab is None or report.when == "teardown" or not report.failed:
        return
    for name in ROUTERS:
        for file in ("keeptrackd.log", "ike.log"):
            path = os.path.join(lab.dir, name, file)
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as f:
                    report.sections.append(("%s on %s" % (file, name), "".join(f.readlines()[-40:])))


def sanitizer_reports(made):
    """What a program built with --enable-sanitizers said on its standard error."""
    found = []
    for name in made.machines:
        for file in glob.glob(os.path.join(made.dir, name, "*.log")):
            with open(file, encoding="utf-8", errors="replace") as f:
                text = f.read()
            if "Sanitizer" in text or "runtime error: " in text:
                found.append("%s: %s" % (os.path.basename(file), text[-3000:]))
    return found


@pytest.fixture
def lab():
    made = Lab(build_dir())
    yield made
    found = sanitizer_reports(made)
    made.close()
    assert not found, "\n".join(found)


@pytest.fixture
def make_pair(lab):
    def make(start=True, ipsec=False, **options):
        pair = Pair(lab, ipsec=ipsec, **options)
        if ipsec:
            pair.start_ipsec()
        return pair.start() if start else pair
    return make


@pytest.fixture
def pair(make_pair):
    return make_pair()


@pytest.fixture(name="make_site")
def fixture_make_site():
    """A vpnsite.Site with these tunnels."""
    sites = []

    def make(*tunnels, **more):
        sites.append(Site(build_dir(), tunnels, **more))
        return sites[-1]

    try:
        yield make
        for site in sites:
            found = sanitizer_reports(site.lab)
            assert not found, "\n".join(found)
    finally:
        for site in sites:
            site.close()
