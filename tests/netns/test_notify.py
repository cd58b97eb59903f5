"""Notifications: the same configuration under keepalived and under us in equal namespaces; slow readers, unsafe scripts.

One scenario feeds most tests: instances lose their link and get it back twenty times, then the daemon ends.
"""

import json
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
from advert import frame4, v3
from lab import Machine, wait_for
from wire import Sender

FLAPS = 20
CALLS = 6  # programs that each state of all is told to

CONF = """
global_defs {
    router_id ROUTER
    vrrp_version 3
    script_user root
    enable_script_security
    notification_email { ops@example.net }
    notification_email_from ha@example.net
    smtp_server 127.0.0.1
    vrrp_notify_priority_changes true
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
    advert_int 0.05
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
    advert_int 0.05
    virtual_ipaddress { 10.0.2.1/24 }
    notify "%(script)s any"
}
vrrp_instance ALONE {
    state BACKUP
    interface v0
    virtual_router_id 53
    priority 130
    advert_int 0.05
    virtual_ipaddress { 10.0.3.1/24 }
    track_interface { x0 weight -20 }
    notify "%(script)s any"
    notify_master_rx_lower_pri "%(script)s lower"
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
                        "link set v0 up", "link set v1 up", "link add x0 type veth peer name x1", "link set x0 up",
                        "link set x1 up")
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

    def link(self, up, name="v1"):
        self.machine.ip("link set %s %s" % (name, "up" if up else "down"))

    def lower_router(self):
        """One advert of a router of priority 50 that believes to be master of ALONE."""
        wire = Sender(self.machine, "v1")
        wire.send(frame4(v3(53, 50, ["10.0.3.1"], src="10.0.1.99", interval=5), src="10.0.1.99"))
        wire.close()

    def close(self):
        said = read(self.path("daemon.log"))
        self.machine.close()
        assert "Sanitizer" not in said and "runtime error: " not in said, said[-3000:]

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
            side.close()
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
            # On a busy machine programs must not fall behind: then some would rightly be left out.
            wait_for("programs", lambda s=side: len(lines(s.path("calls"))) == CALLS * (2 + 3 * i + 3), 5)


def other_news(bench):
    """What is told besides states."""
    for up, priority in ((False, 110), (True, 130)):
        for side in bench.sides:
            side.link(up, "x1")
        for side in bench.sides:
            wait_for("the priority", lambda s=side: s.tap[-1] == 'INSTANCE "ALONE" MASTER_PRIORITY %d' % priority, 3)
    for side in bench.sides:
        side.lower_router()
        wait_for("the lower router", lambda s=side: s.tap[-1] == 'INSTANCE "ALONE" MASTER_RX_LOWER_PRI 130', 3)


@pytest.fixture(scope="module", name="bench")
def fixture_bench():
    bench = Bench()
    try:
        bench.ours.start(OURS_ONLY)
        bench.theirs.start()
        flap(bench)
        other_news(bench)
        yield bench
    finally:
        bench.close()


def show(machine):
    return json.loads(machine.run(os.path.join(build_dir(), "ktsh"), "--socket", "/run/keeptrackd/ctl.sock", "-c",
                                  "show notify json"))


def receiver(shown, name):
    return next(r for r in shown["receivers"] if r["receiver"] == name)


@pytest.fixture(scope="module", name="ended")
def fixture_ended(bench):
    """The same after the slow reader has come to its end, and both daemons."""
    bench.modes = [os.stat(s.path("fifo")) for s in bench.sides]
    bench.slow = slow_lines(bench.ours)
    bench.queue = show(bench.ours.machine)
    for side in bench.sides:
        side.stop()
    wait_for("the last lines", lambda: all(s.tap[-1:] == ['GROUP "G1" STOP 0'] for s in bench.sides), 3)
    return bench


def slow_lines(side):
    """What the reader that takes two seconds for each line has when nothing waits for it any more."""
    def rest():
        r = receiver(show(side.machine), "vrrp fifo")
        return not r["waiting"] and not r["busy"]
    wait_for("the slow reader to be told", rest, 15, 0.1)
    return wait_for("its last line", lambda: lines(side.path("slow.out"))[-1:] == side.tap[-1:] and
                    lines(side.path("slow.out")), 5, 0.05)


# ---- our own file: users, safety, time, mail ----

NATIVE = """
node = {{ realtime = false; log = {{ stderr = true; syslog = false; }}; state_dir = "{0}/state"; }};
vrrp = {{ instances = (
    {{ name = "plain"; interface = "v0"; vrid = 1; advert_interval = 0.05; virtual_addresses = ( "10.0.1.1/24" );
      notify = {{ all = {{ exec = ( "{0}/facts", "a b" ); user = "nobody"; }}; mail = true; }}; }},
    {{ name = "unsafe"; interface = "v0"; vrid = 2; advert_interval = 0.05; virtual_addresses = ( "10.0.2.1/24" );
      notify = {{ master = {{ exec = ( "{0}/open/script" ); }}; }}; }},
    {{ name = "hangs"; interface = "v0"; vrid = 3; advert_interval = 0.05; virtual_addresses = ( "10.0.3.1/24" );
      notify = {{ master = {{ exec = ( "{0}/hangs" ); }}; priority_changes = true; }}; }} ); }};
notify = {{ user = "root"; script_security = true; timeout = 0.5;
    fifo = {{ path = "{0}/fifo"; user = "nobody"; reader = {{ exec = ( "{0}/reader", "x" ); }}; }};
    mail = {{ to = ( "a@example.net", "b@example.net" ); from = "ha@example.net"; router = "R1";
             sendmail = "{0}/sendmail"; }}; }};
"""

FACTS = """#!/bin/sh
echo "$*|$(id -u):$(id -g):$(id -G)|$(ls /proc/self/fd | tr '\\n' ' ')|$HA_EVENT $HA_ROLE_NEW $HA_GROUP|$MARK|$(ps -o pgid= $$ | tr -d ' ') $$" >> {0}/facts.out
"""


class Native:
    """A daemon of ours with a file of ours, which is MASTER of all after a moment."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="kt-notify-", dir="/var/lib")
        os.chmod(self.dir, 0o755)
        self.side = Side(self, "own", (os.path.join(build_dir(), "keeptrackd"), "-n", "-l", "-f"))
        d = self.side.dir
        os.mkdir(os.path.join(d, "open"))
        os.chmod(os.path.join(d, "open"), 0o777)
        self.side.write("facts", FACTS.format(d), 0o755)
        self.side.write("facts.out", "", 0o666)
        self.side.write("open/script", "#!/bin/sh\ntouch %s/unsafe-was-run\n" % d, 0o755)
        self.side.write("hangs", "#!/bin/sh\nsleep 987 & echo begun; wait\n", 0o755)
        self.side.write("reader", "#!/bin/sh\nread -r l < $2; echo \"$l\" >> %s/read\n" % d, 0o755)
        self.side.write("sendmail", "#!/bin/sh\necho \"$*\" > %s/mail.$$; cat >> %s/mail.$$; mv %s/mail.$$ "
                        "%s/got.$$\n" % (d, d, d, d), 0o755)
        conf = self.side.write("own.conf", NATIVE.format(d))
        self.process = self.side.machine.spawn(*self.side.argv, conf, log="daemon", env={"MARK": "inherited"})

    def results(self):
        return show(self.side.machine)["results"]

    def result(self, name, state):
        return wait_for("%s told as %s" % (name, state), lambda: next(
            (r for r in self.results() if (r["name"], r["state"], r["receiver"]) == (name, state, "scripts")), None), 6)


@pytest.fixture(scope="module", name="native")
def fixture_native(bench):  # while it runs, the slow reader of the other one gets on
    made = Native()
    try:
        yield made
    finally:
        made.side.close()
        shutil.rmtree(made.dir)


def test_a_program_runs_as_its_user_with_nothing_of_ours(native):
    assert native.result("plain", "MASTER")["outcome"] == "exited"
    first = lines(native.side.path("facts.out"))[0].split("|")
    assert first[0] == "a b INSTANCE plain BACKUP 100"
    assert first[1] == "65534:65534:65534"
    assert first[2] == "0 1 2 3 "  # 3 is the directory that is listed
    assert first[3] == "instance BACKUP plain"
    assert first[4] == "inherited"
    group, pid = first[5].split()
    assert group == pid


def test_an_unsafe_program_is_not_run_and_its_unsafe_part_is_named(native):
    result = native.result("unsafe", "MASTER")
    part = os.path.join(native.side.dir, "open")
    assert result["outcome"] == "not started" and result["line"].startswith(part + " can be written by everybody")
    assert not os.path.exists(native.side.path("unsafe-was-run"))
    log = read(native.side.path("daemon.log"))
    assert re.search(r"own\.conf:\d+: vrrp\.instances\[unsafe\]\.notify\.master\.exec.*%s can be written" % part, log)


def test_a_program_that_hangs_is_killed_with_its_children(native):
    result = native.result("hangs", "MASTER")
    assert (result["outcome"], result["line"]) == ("timed out", "begun")
    assert 0.45e6 < result["took_us"] < 1.4e6
    assert "sleep 987" not in native.side.machine.run("ps", "ax", "-o", "args")


def test_mail_goes_through_sendmail(native):
    def got():
        return [read(os.path.join(native.side.dir, f)) for f in os.listdir(native.side.dir) if f.startswith("got.")]
    mails = wait_for("two messages", lambda: len(got()) == 2 and got(), 5)
    text = next(m for m in mails if "MASTER" in m)
    assert text.startswith("-t -i\nDate: ")
    assert "\nSubject: [R1] VRRP Instance plain - Entering MASTER state\n" in text
    assert "\nFrom: ha@example.net\n" in text and "\nTo: a@example.net,\n\tb@example.net\n" in text
    assert any("Entering BACKUP state" in m for m in mails)


def test_a_reader_that_ends_is_started_again(native):
    wait_for("two lines for two readers", lambda: len(lines(native.side.path("read"))) >= 2, 6)
    pipe = show(native.side.machine)["pipes"][0]
    assert pipe["state"] == "open" and pipe["reader_starts"] >= 2
    assert os.stat(native.side.path("fifo")).st_uid == 65534
    assert "the reader of %s has ended" % native.side.path("fifo") in read(native.side.path("daemon.log"))


def test_the_table_for_people(native):
    text = native.side.machine.run(os.path.join(build_dir(), "ktsh"), "--socket", "/run/keeptrackd/ctl.sock", "-c",
                                   "show notify")
    assert re.search(r"^Receiver +Waiting +Told +Failed +Superseded +Dropped$", text, re.M)
    assert re.search(r"^INSTANCE +hangs +MASTER +\S*/hangs .*timed out", text, re.M)


def test_a_reload_tells_what_it_deletes_and_moves_pipes(native):
    """The program of what goes is run although its configuration is no more."""
    conf = native.side.path("own.conf")
    text = read(conf)
    at, end = text.index('{ name = "unsafe"'), text.index('{ name = "hangs"')
    deleted = 'deleted = { exec = ( "%s/facts", "gone" ); }; master = {' % native.side.dir

    def reload(new, count):
        native.side.write("own.conf", new)
        native.process.send_signal(signal.SIGHUP)
        wait_for("the reload", lambda: read(native.side.path("daemon.log")).count("configuration reloaded") == count, 3)

    reload(text.replace("master = {", deleted, 1), 1)
    reload((text[:at] + text[end:]).replace("/fifo", "/fifo2"), 2)
    wait_for("the deletion", lambda: any(line.startswith("gone|") for line in lines(native.side.path("facts.out"))), 3)
    assert "|instance DELETED unsafe|" in next(x for x in lines(native.side.path("facts.out")) if x.startswith("gone|"))
    wait_for("the other pipe", lambda: os.path.exists(native.side.path("fifo2")), 3)
    assert not os.path.exists(native.side.path("fifo"))
    pipes = wait_for("its reader", lambda: [p for p in show(native.side.machine)["pipes"] if p["reader_runs"]], 3)
    assert [p["path"] for p in pipes] == [native.side.path("fifo2")]
    native.side.write("own.conf", text)
    reload(text, 3)


def test_a_hung_program_does_not_keep_the_daemon(native):
    """The end waits for programs for a second, and leaves what still runs to itself."""
    before = time.monotonic()
    native.process.send_signal(signal.SIGTERM)
    assert native.process.wait(10) == 0
    assert time.monotonic() - before < 3
    assert lines(native.side.path("facts.out"))[-1].startswith("a b INSTANCE plain STOP 100|")
    assert not os.path.exists(native.side.path("fifo"))
    reader = native.side.path("reader")
    wait_for("the reader's end", lambda: reader not in native.side.machine.run("ps", "ax", "-o", "args"), 3)


# ---- beside keepalived ----

def of(tap, name):
    return [line for line in tap if '"%s"' % name in line]


def test_each_subject_is_told_the_same_in_the_same_order(ended):
    for name in ("VI_1", "VI_2", "ALONE", "G1"):
        assert of(ended.ours.tap, name) == of(ended.theirs.tap, name)
    states = [line.split()[2] for line in of(ended.ours.tap, "ALONE")]
    assert states == ["BACKUP", "MASTER"] + FLAPS * ["FAULT", "BACKUP", "MASTER"] + \
        ["MASTER_PRIORITY", "MASTER_PRIORITY", "MASTER_RX_LOWER_PRI", "STOP"]


def test_programs_get_the_same_arguments(ended):
    assert sorted(lines(ended.ours.path("calls"))) == sorted(lines(ended.theirs.path("calls")))
    assert "<master><two words>" in lines(ended.ours.path("calls"))


def test_programs_run_in_the_order_of_the_lines(ended):
    words = [re.match(r'(\w+) "(\w+)" (\w+) (\d+)', line).groups() for line in ended.ours.tap if "MASTER_" not in line]
    told = [re.match("<(?:any|group)><(.*)>$", line) for line in lines(ended.ours.path("calls"))]
    assert [tuple(t.group(1).split("><")) for t in told if t] == words


def test_a_slow_reader_has_the_last_state_and_what_it_has_is_in_order(ended):
    """Two seconds for a line, and four subjects flap twenty times: most of it is history when it comes to it."""
    assert len(ended.slow) < 20
    for name in ("VI_1", "VI_2", "ALONE", "G1"):
        assert [w.split()[2] for w in of(ended.slow, name) if "MASTER_" not in w][-1] == "MASTER"
    at = -1
    for line in ended.slow:
        at = ended.ours.tap.index(line, at + 1)
    count = receiver(ended.queue, "vrrp fifo")
    told = receiver(ended.queue, "fifo")
    assert count["superseded"] > 100 and count["dropped"] == 0
    assert count["told"] + count["superseded"] == told["told"] and told["superseded"] == told["dropped"] == 0


def test_pipes_are_made_as_keepalived_makes_them_and_removed(ended):
    ours, theirs = ended.modes
    assert (ours.st_mode, ours.st_uid, ours.st_gid) == (theirs.st_mode, theirs.st_uid, theirs.st_gid)
    assert [n for n in ("fifo", "slow") if os.path.exists(ended.ours.path(n))] == []
