"""Notifications: the same configuration under keepalived and under us in equal namespaces; slow readers, unsafe scripts.

One scenario feeds most tests: instances lose their link and get it back twenty times, then the daemon ends.
"""

import os
import re
import shutil
import signal
import stat
import tempfile
import threading
import time

import pytest

from conftest import build_dir
from lab import Machine, wait_for

FLAPS = 20

CONF = """
global_defs {
    router_id ROUTER
    vrrp_version 3
    script_user root
    enable_script_security
    notification_email { ops@example.net }
    notification_email_from ha@example.net
    smtp_server 127.0.0.1
    notify_fifo %(dir)s/fifo
    %(more)s
}
vrrp_sync_group G1 {
    group { VI_1
            VI_2 }
    notify_master "%(script)s group-master"
    notify_backup "%(script)s group-backup"
    notify_fault "%(script)s group-fault"
    notify_stop "%(script)s group-stop"
    notify "%(script)s group"
}
vrrp_instance VI_1 {
    state BACKUP
    interface v0
    virtual_router_id 51
    priority 150
    advert_int 0.1
    virtual_ipaddress { 10.0.1.1/24 }
    notify_master "%(script)s master 'two words'"
    notify_backup "%(script)s backup"
    notify_fault "%(script)s fault"
    notify_stop "%(script)s stop"
    notify "%(script)s any"
    smtp_alert
}
vrrp_instance VI_2 {
    state BACKUP
    interface v0
    virtual_router_id 52
    priority 140
    advert_int 0.1
    virtual_ipaddress { 10.0.2.1/24 }
    notify "%(script)s any"
}
vrrp_instance ALONE {
    state BACKUP
    interface v0
    virtual_router_id 53
    priority 130
    advert_int 0.1
    virtual_ipaddress { 10.0.3.1/24 }
    notify "%(script)s any"
}
"""

OURS_ONLY = """vrrp_notify_fifo %(dir)s/slow
    vrrp_notify_fifo_script "%(reader)s %(dir)s/slow.out"
"""

SCRIPT = "#!/bin/sh\nfor a; do l=\"$l<$a>\"; done\necho \"$l\" >> %s/calls\n"
READER = "#!/bin/sh\nwhile read -r line; do echo \"$line\" >> $1; sleep 2; done < $2\n"


def read(path):
    try:
        with open(path, encoding="utf-8") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def lines(path):
    return read(path).splitlines()


class Side:
    """One daemon in its namespace; the link of its interface is in the tester's hands."""

    def __init__(self, bench, name, argv):
        self.machine = Machine(bench, name)
        self.dir, self.argv = self.machine.dir, argv
        self.machine.ip("link set lo up", "link add v0 type veth peer name v1", "address add 10.0.1.2/24 dev v0",
                        "link set v0 up", "link set v1 up")
        self.write("script", SCRIPT % self.dir, 0o755)
        self.write("reader", READER, 0o755)
        self.process = None
        self.tap = []

    def write(self, name, text, mode=0o644):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def path(self, name):
        return os.path.join(self.dir, name)

    def start(self, more=""):
        words = {"dir": self.dir, "script": self.path("script"), "reader": self.path("reader")}
        conf = self.write("keepalived.conf", CONF % dict(words, more=more % words))
        self.process = self.machine.spawn(*self.argv, conf, log="daemon")
        wait_for("the pipe of " + self.dir, lambda: stat.S_ISFIFO(os.stat(self.path("fifo")).st_mode), 5)
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        """keepalived makes its pipe anew with each reload: a reader has to come again."""
        while self.process.poll() is None:
            try:
                with open(self.path("fifo"), encoding="utf-8") as f:
                    for line in f:
                        self.tap.append(line.rstrip("\n"))
            except FileNotFoundError:
                time.sleep(0.002)

    def link(self, up):
        self.machine.ip("link set v1 " + ("up" if up else "down"))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)


class Bench:
    """Two sides, and what both said after the scenario."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="kt-notify-", dir="/var/lib")  # no part of the path is anybody else's
        os.chmod(self.dir, 0o755)
        ours = os.path.join(self.dir, "keepalived")
        os.symlink(os.path.join(build_dir(), "keeptrackd"), ours)
        self.ours = Side(self, "ours", (ours, "-n", "-l", "-P", "-f"))
        self.theirs = Side(self, "theirs", ("keepalived", "-n", "-l", "-P", "-f"))
        self.sides = (self.ours, self.theirs)

    def close(self):
        for side in self.sides:
            for child in side.machine.children + [side.machine.holder]:
                child.kill()
                child.wait()
        shutil.rmtree(self.dir)


def flap(bench):
    """Both sides lose their link and get it back; the next time comes when both are master again."""
    for side in bench.sides:
        wait_for("MASTER", lambda s=side: 'GROUP "G1" MASTER 0' in s.tap and 'INSTANCE "ALONE" MASTER 130' in s.tap, 8)
    for i in range(FLAPS):
        for side in bench.sides:
            side.link(False)
        for side in bench.sides:
            wait_for("FAULT %d" % i, lambda s=side: s.tap.count('INSTANCE "ALONE" FAULT 130') == i + 1 and
                     s.tap.count('GROUP "G1" FAULT 0') == i + 1, 5)
            side.link(True)
        for side in bench.sides:
            wait_for("MASTER %d" % i, lambda s=side: s.tap.count('INSTANCE "ALONE" MASTER 130') == i + 2 and
                     s.tap.count('GROUP "G1" MASTER 0') == i + 2, 5)


@pytest.fixture(scope="module", name="bench")
def fixture_bench():
    bench = Bench()
    try:
        bench.ours.start(OURS_ONLY)
        bench.theirs.start()
        flap(bench)
        bench.flapped = time.monotonic()
        bench.modes = [os.stat(s.path("fifo")) for s in bench.sides]
        bench.slow = wait_for("the slow reader's last line", lambda: len(lines(bench.ours.path("slow.out"))) > 3 and
                              lines(bench.ours.path("slow.out"))[-3:], 12)
        for side in bench.sides:
            side.stop()
        wait_for("the last lines", lambda: all(s.tap[-1:] == ['GROUP "G1" STOP 0'] for s in bench.sides), 3)
        yield bench
    finally:
        bench.close()


def of(tap, name):
    return [line for line in tap if '"%s"' % name in line]


def test_each_subject_is_told_the_same_in_the_same_order(bench):
    for name in ("VI_1", "VI_2", "ALONE", "G1"):
        assert of(bench.ours.tap, name) == of(bench.theirs.tap, name)


def test_programs_get_the_same_arguments(bench):
    assert sorted(lines(bench.ours.path("calls"))) == sorted(lines(bench.theirs.path("calls")))
