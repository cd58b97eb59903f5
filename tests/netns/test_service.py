"""The installed files do their work: init script, systemd's unit and its protocol, in a machine with an /etc of its own."""

import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from conf import lab_conf, text
from keeptrackd import Daemon
from lab import wait_for

# The machine sees the installed files where a package would put them; nothing of the host is written.
PLACE = """set -e
cp -a /etc /run/etc && mount --bind /run/etc /etc
mount -t tmpfs tmpfs /var/lib
mount --bind "$1/usr/sbin" /usr/local/sbin
mount --bind "$1/usr/bin" /usr/local/bin
cp -a "$1/etc/." /etc/
mkdir -p /run/systemd/system
cp "$1/usr/lib/systemd/system/keeptrackd.service" /run/systemd/system/
"""
CONFIG, INIT = "/etc/keeptrackd/keeptrackd.conf", "/etc/init.d/keeptrackd"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A directory with what `make install` installs."""
    build = os.environ.get("KT_BUILD") or os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(
        os.path.abspath(__file__)))), "build")
    place = str(tmp_path_factory.mktemp("installed"))
    p = subprocess.run(["make", "-s", "-C", build, "install", "DESTDIR=" + place], capture_output=True, text=True,
                       check=False)
    assert p.returncode == 0, p.stderr[-2000:]
    return place


class Box:
    """fw-a with the installed files in their places."""

    def __init__(self, lab, installed):
        self.lab, self.machine = lab, lab["fw-a"]
        self.machine.run("sh", "-c", PLACE, "sh", installed)
        conf = lab_conf(lab, "fw-a", peer=False)
        del conf["node"]["state_dir"]
        self.good = text(conf)

    def write(self, text_, path=CONFIG):
        self.machine.run("sh", "-c", 'cat > "$0"', path, text=text_)

    def service(self, verb):
        """(exit status, output) of the init script, started with as little environment as at boot."""
        out = self.machine.run("env", "-i", "sh", "-c", '"$0" "$@" 2>&1; echo "status $?"', INIT, *verb.split(),
                               timeout=30)
        match = re.search(r"status (\d+)\n$", out)
        return int(match.group(1)), out[:match.start()]

    def pid(self):
        return int(self.machine.run("cat", "/run/keeptrackd.pid"))

    def serves(self):
        return self.machine.has_ip4("10.0.1.1", "203.0.113.1")


@pytest.fixture
def box(lab, installed):
    return Box(lab, installed)


def test_what_is_installed(installed):
    for path in ("usr/sbin/keeptrackd", "usr/bin/ktsh", "etc/init.d/keeptrackd"):
        assert os.access(os.path.join(installed, path), os.X_OK), path
    for path in ("etc/default/keeptrackd", "etc/keeptrackd/keeptrackd.conf.example",
                 "usr/lib/systemd/system/keeptrackd.service", "usr/share/man/man8/keeptrackd.8",
                 "usr/share/man/man1/ktsh.1", "usr/share/man/man5/keeptrackd.conf.5"):
        assert os.path.getsize(os.path.join(installed, path)) > 50, path
    assert not os.path.exists(os.path.join(installed, "etc/keeptrackd/keeptrackd.conf")), "an example is no decision"
    out = subprocess.run([os.path.join(installed, "usr/sbin/keeptrackd"), "--help"], capture_output=True, text=True,
                         check=True).stdout
    assert CONFIG in out


def test_init_script_from_start_to_stop(box):
    assert box.service("status")[0] == 3
    assert box.service("start")[0] == 6, "no configuration"
    box.write(box.good + "colour = 1;\n")
    status, out = box.service("start")
    assert status == 6 and "colour" in out and not box.serves(), out
    box.write(box.good)
    status, out = box.service("start")
    assert status == 0, out
    wait_for("the addresses", box.serves, 5)
    assert box.service("status")[0] == 0
    pid = box.pid()
    assert box.service("start")[0] == 0 and box.pid() == pid, "a second start is none"
    out = box.machine.run("ktsh", "-c", "show vrrp")
    assert "MASTER" in out

    # reload: a broken file does not reach the daemon, a good one is applied.
    box.write(box.good.replace("vrid = 10", "vrid = 300"))
    status, out = box.service("reload")
    assert status == 6 and "300" in out, out
    box.write(box.good.replace("10.0.1.1/24", "10.0.1.7/24"))
    assert box.service("reload")[0] == 0
    wait_for("the new address", lambda: box.machine.has_ip4("10.0.1.7") and not box.machine.has_ip4("10.0.1.1"), 2)
    assert box.pid() == pid
    box.write(box.good)
    assert box.service("force-reload")[0] == 0
    wait_for("the old address", box.serves, 2)

    # restart: refused with a broken file, and then nothing was stopped.
    box.write("")
    assert box.service("restart")[0] == 6 and box.serves() and box.pid() == pid
    box.write(box.good)
    assert box.service("restart")[0] == 0 and box.pid() != pid
    wait_for("the addresses", box.serves, 5)

    begin = time.monotonic()
    assert box.service("stop")[0] == 0
    assert time.monotonic() - begin < 2 and not box.serves()
    assert box.service("status")[0] == 3 and box.service("stop")[0] == 0
    assert box.service("reload")[0] == 7 and box.service("try-restart")[0] == 0
    assert box.service("status")[0] == 3
    assert box.service("dance")[0] == 2
    assert not [p for p in box.machine.pids() if os.path.exists("/proc/%d" % p)], "a process was left behind"


def test_init_script_after_a_death(box):
    box.write(box.good)
    assert box.service("start")[0] == 0
    wait_for("the addresses", box.serves, 5)
    pid = box.pid()
    os.kill(pid, signal.SIGKILL)
    wait_for("the end of it", lambda: box.service("status")[0] == 1, 3)
    assert box.serves(), "alone: the addresses stay for the next start"
    assert box.service("start")[0] == 0
    wait_for("the role", lambda: "MASTER" in box.machine.run("ktsh", "-c", "show vrrp"), 5)
    assert box.serves() and box.pid() != pid
    assert box.service("stop")[0] == 0 and not box.serves()


def test_options_of_the_administrator(box):
    box.write(box.good, "/etc/keeptrackd/other.conf")
    box.write('KEEPTRACKD_OPTIONS="-f /etc/keeptrackd/other.conf"\n', "/etc/default/keeptrackd")
    assert box.service("start")[0] == 0
    wait_for("the addresses", box.serves, 5)
    assert box.service("reload")[0] == 0
    assert box.service("stop")[0] == 0


def test_leaves_the_terminal(box):
    """Without -n it goes to the background; the start fails when the start failed."""
    box.write(box.good)
    box.machine.run("keeptrackd")
    wait_for("the addresses", box.serves, 5)
    pid = int(box.machine.run("cat", "/run/keeptrackd/keeptrackd.pid"))
    with open("/proc/%d/stat" % pid, encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    assert fields[4] == "0", "it has no controlling terminal"
    out = box.machine.run("sh", "-c", "keeptrackd 2>&1; echo status $?")
    assert "already running" in out and "status 0" not in out, out
    os.kill(pid, signal.SIGTERM)
    wait_for("the end", lambda: not os.path.exists("/proc/%d" % pid) and not box.serves(), 3)
    assert not os.path.exists("/proc/%d/root/run/keeptrackd/keeptrackd.pid" % box.machine.holder.pid)


def test_a_full_disk_is_told(box):
    """What cannot be stored is named, nothing is promised on it, and it is written as soon as there is room."""
    def not_stored():
        return json.loads(box.machine.run("ktsh", "-c", "show failover status json"))["not_stored"] or ""

    box.write(box.good)
    box.machine.run("sh", "-c", "mount -t tmpfs -o size=64k tmpfs /var/lib && mkdir /var/lib/keeptrackd && "
                                "! dd if=/dev/zero of=/var/lib/fill bs=4k 2>/dev/null")
    box.machine.run("keeptrackd")
    wait_for("the complaint", lambda: "/epoch: No space" in not_stored(), 5)
    out = box.machine.run("sh", "-c", "ktsh maintenance enter persistent force; echo status $?")
    assert "No space" in out and "status 1" in out, out
    box.machine.run("rm", "/var/lib/fill")
    wait_for("the epoch on the disk", lambda: "/epoch" not in not_stored(), 6)
    assert "Maintenance: yes, also" in box.machine.run("ktsh", "maintenance", "enter", "persistent", "force")
    box.machine.run("sh", "-c", 'kill "$(cat /run/keeptrackd/keeptrackd.pid)"')
    wait_for("the end", lambda: not box.serves(), 3)
    assert box.machine.run("cat", "/var/lib/keeptrackd/maintenance") == "maintenance\n"


def test_unit_is_understood(box):
    box.write(box.good)
    out = box.machine.run("sh", "-c",
                          "systemd-analyze verify --man=no /run/systemd/system/keeptrackd.service 2>&1; echo status $?")
    ours = [line for line in out.split("\n") if "keeptrackd" in line]
    assert "status 0" in out and not ours, out


def test_service_manager_protocol(lab):
    """READY when it runs, WATCHDOG in time, RELOADING and READY around a reload, STOPPING at the end."""
    daemon = Daemon(lab, "fw-a", conf=text(lab_conf(lab, "fw-a", peer=False)))
    path = os.path.join(lab["fw-a"].dir, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        s.settimeout(3)
        daemon.process = lab["fw-a"].spawn(lab.tool("keeptrackd"), "-n", "-f", daemon.conf_path,
                                           env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "400000"})

        def until(word):
            seen = []
            while word not in "\n".join(seen).split("\n"):
                seen.append(s.recv(4096).decode())
            return seen

        until("READY=1")
        assert os.path.exists("/proc/%d/root/run/keeptrackd/ctl.sock" % lab["fw-a"].holder.pid)
        begin = time.monotonic()
        for _ in range(4):
            until("WATCHDOG=1")
        assert 0.5 < time.monotonic() - begin < 1.6, "half of 400 ms each; all of it would be too late"
        daemon.signal(signal.SIGHUP)
        until("RELOADING=1")
        until("READY=1")
        with open(daemon.conf_path, "a", encoding="utf-8") as f:
            f.write("colour = 1;\n")
        daemon.signal(signal.SIGHUP)  # refused, and the manager must not wait for ever
        until("RELOADING=1")
        until("READY=1")
        # A service manager that stops a control group sends its signal to every process of it.
        for pid in lab["fw-a"].pids():
            os.kill(pid, signal.SIGTERM)
        until("STOPPING=1")
        daemon.process.wait(3)
        assert daemon.process.returncode == 0
        assert not lab["fw-a"].has_ip4("10.0.1.1")
