"""Fixtures of the tests that run inside a virtual machine (../vm.py): topologies last for a whole file, because making
one takes seconds there. A test leaves its topology as it found it, without daemons."""

import os
import sys

import pytest

TESTS = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TESTS, "lab"))

from rig import Ours  # noqa: E402

BUILD = os.environ.get("KT_BUILD", os.path.join(os.path.dirname(TESTS), "build"))


def pytest_configure():
    if not os.path.exists("/dev/vm"):
        raise pytest.UsageError("these tests run in a virtual machine: tests/vm/vm.py /usr/bin/python3 -m pytest ...")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Logs of the daemons of a failed test."""
    report = (yield).get_result()
    if report.when != "call" or not report.failed:
        return
    for fixture in item.funcargs.values():
        for name, machine in getattr(fixture, "machines", {}).items():
            for file in ("keeptrackd.log", "ike.log"):
                path = os.path.join(machine.dir, file)
                if os.path.exists(path):
                    with open(path, encoding="utf-8", errors="replace") as f:
                        report.sections.append(("%s on %s" % (file, name), "".join(f.readlines()[-40:])))


@pytest.fixture(scope="session")
def build():
    return os.path.abspath(BUILD)


@pytest.fixture(name="make")
def fixture_make(rig):
    """make(instances): daemons on a and b of the file's own rig, with a as master; everything is gone afterwards."""
    daemons = []

    def make(instances, **options):
        pair = [Ours(rig, name, instances, **options) for name in ("a", "b")]
        daemons.extend(pair)
        for daemon in pair:
            daemon.start()
        return pair
    yield make
    for daemon in daemons:
        daemon.stop()
    rig.plug("a")
    for name in ("a", "b"):
        rig[name].run("rm", "-rf", "/run/keeptrackd")
