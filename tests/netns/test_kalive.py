"""Called keepalived: options, exit codes, pid files, namespaces, several on one machine, signals, and lines in the log."""

import json
import os
import socket
import sys
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lab"))

from advert import frame4, v2, v3  # noqa: E402
from box import Box  # noqa: E402
from conftest import build_dir  # noqa: E402
from consumers import mehdy_stats  # noqa: E402
from lab import wait_for  # noqa: E402
from wire import in_netns  # noqa: E402

CONF = """global_defs {
    router_id box
%s}
%s
vrrp_instance VI_1 {
    state BACKUP
    interface lan0
    virtual_router_id 51
    priority 100
    version 3
    advert_int 0.05
    virtual_ipaddress {
        10.0.1.1/24
%s    }
}
"""
PLAIN = CONF % ("", "", "")
FILE = "/etc/keepalived/keepalived.conf"


@pytest.fixture(scope="module")
def box():
    made = Box(build_dir())
    made.write(FILE, PLAIN)
    yield made
    made.close()


@pytest.fixture
def daemon(box):
    """start(*options, ns=None): in the background, and until it serves; all of them end with the test."""
    box.write(FILE, PLAIN)

    def start(*options, ns=None, serves=True):
        p = box.call("keepalived", *options, ns=ns)
        assert (p.returncode, p.stdout, p.stderr) == (0, "", "")
        if serves:
            wait_for("the address", lambda: "10.0.1.1/24" in box.addresses(ns=ns), 5)

    yield start
    box.call("killall", "keepalived")
    wait_for("all ends", lambda: box.call("pgrep", "-x", "keepalived").returncode == 1, 5)


def log_lines(box, path="/run/log"):
    return [line.split(": ", 1)[1] for line in box.read(path).split("\n") if ": " in line]


# ---- what ends at once

@pytest.mark.parametrize("options, status, out, err", [
    (["-Q"], 1, "", "Unknown option -Q\n"),
    (["--nope"], 1, "", "Unknown option --nope\n"),
    (["-f"], 1, "", "Missing parameter for option -f\n"),
    (["--signum=STATS_CLEAR"], 0, "63\n", ""),
    (["--signum=FOO"], 1, "", "Unknown sigfunc FOO\n"),
    (["-t", "-f", "/run/none.conf"], 4, "", "Config files missing '/run/none.conf'.\n"),
    (["-t", "extra"], 0, "Unexpected argument(s): extra \n", ""),
])
def test_exit_codes(box, options, status, out, err):
    p = box.call("keepalived", *options)
    assert (p.returncode, p.stdout, p.stderr) == (status, out, err)


def test_a_daemon_without_a_file_says_so(box):
    p = box.call("keepalived", "-nl", "-f", "none.conf", cwd="/run")
    assert p.returncode == 6 and "Config files missing 'none.conf'." in p.stderr
    p = box.call("keepalived", "-nl", "-C")
    assert p.returncode == 1 and "keepalived -C" in p.stderr


def test_a_file_that_cannot_be_served_ends_the_start(box):
    """In the foreground and in the background, with the reason on the terminal, once."""
    box.write("/run/refused.conf", PLAIN + "bfd_instance B {\n    neighbor_ip 10.0.1.3\n}\n")
    for options in ([], ["-n"], ["-nl"]):
        p = box.call("keepalived", "-f", "/run/refused.conf", *options)
        assert p.returncode == 2 and p.stderr.count("/run/refused.conf:") == 1, p.stderr
        assert not box.exists("/run/keepalived.pid")


def test_findings_go_to_a_file(box):
    box.write("/run/odd.conf", PLAIN + "nonsense 1\n")
    p = box.call("keepalived", "--config-test=/run/findings", "-f", "/run/odd.conf")
    assert (p.returncode, p.stderr) == (5, "")
    assert "/run/odd.conf:" in box.read("/run/findings") and "nonsense" in box.read("/run/findings")
    assert os.stat(box.path("/run/findings")).st_mode & 0o777 == 0o600


def test_lines_of_other_machines(box):
    """keepalived-operator: one file for all, each pod has its lines."""
    box.write("/run/ids.conf", PLAIN + "@pod-7 nonsense 1\n@^pod-7 more nonsense\n@pod-8 and this\n")
    for options, words in ((["--config-id=pod-7"], ["nonsense"]), (["-i", "pod-8"], ["more", "and"]), (["-ipod-9"], ["more"])):
        p = box.call("keepalived", "-t", "-f", "/run/ids.conf", *options)
        assert p.returncode == 5
        assert [line.split("unknown word '")[1].split("'")[0] for line in p.stderr.strip().split("\n")] == words


# ---- files and names

def test_pid_files_by_default(box, daemon):
    daemon()
    main = box.pid_in("/run/keepalived.pid")
    assert box.pid_in("/run/vrrp.pid") == main
    assert all(os.stat(box.path(p)).st_mode & 0o777 == 0o644 for p in ("/run/keepalived.pid", "/run/vrrp.pid"))
    assert os.readlink(box.path("/proc/%d/cwd" % main)) == "/"
    p = box.call("keepalived", "-nl")
    assert p.returncode == 0 and "daemon is already running" in p.stderr
    box.run("kill", str(main))
    wait_for("its end", lambda: not box.exists("/run/keepalived.pid") and not box.exists("/run/vrrp.pid"), 5)


def test_death_and_restart(box, daemon):
    """What a killed one leaves behind is in nobody's way: pid files with a number of nobody, addresses."""
    daemon("-p", "/run/a.pid", "-r", "/run/b.pid")
    main = box.pid_in("/run/a.pid")
    box.run("kill", "-9", str(main))
    wait_for("its death", lambda: not box.lives(main), 5)
    assert box.exists("/run/a.pid")
    daemon("-p", "/run/a.pid", "-r", "/run/b.pid")
    assert box.pid_in("/run/a.pid") == box.pid_in("/run/b.pid")
    assert box.addresses().count("10.0.1.1/24") == 1


def test_an_end_right_after_the_start_leaves_nothing(box, daemon):
    """The address of a killed one goes with the next one, even if that ends before it knows of it."""
    for delay in ("0", "0.01", "0.05"):
        daemon()
        box.sh("old=$(cat /run/keepalived.pid); kill -9 $old; while kill -0 $old 2>/dev/null; do :; done; keepalived; "
               "sleep %s; kill $(cat /run/keepalived.pid)" % delay)
        wait_for("the address to leave", lambda: "10.0.1.1/24" not in box.addresses(), 5)
        wait_for("its end", lambda: not box.exists("/run/keepalived.pid"), 5)


def test_several_on_one_machine(box, daemon):
    """A namespace by option, one by the file with a name for the instance, and pid files by option."""
    for ns in ("red", "blue", "green"):
        box.namespace(ns)
    box.write("/run/blue.conf", CONF % ("", "net_namespace blue\ninstance second\n", ""))
    box.write("/run/plain.conf", PLAIN)
    daemon("-s", "red", serves=False)
    daemon("-f", "/run/blue.conf", serves=False)
    daemon("-f", "/run/plain.conf", "-p", "/run/green.pid", "-r", "/run/green-vrrp.pid", ns="green")
    for ns in ("red", "blue"):
        wait_for("the address in " + ns, lambda ns=ns: "10.0.1.1/24" in box.addresses(ns=ns), 5)
    assert "10.0.1.1/24" not in box.addresses()
    pids = [box.pid_in(p) for p in ("/run/keepalived/red/keepalived.pid", "/run/keepalived/blue/keepalived_second.pid",
                                    "/run/green.pid")]
    assert len(set(pids)) == 3
    assert box.pid_in("/run/keepalived/red/vrrp.pid") == pids[0]
    assert box.pid_in("/run/keepalived/blue/vrrp_second.pid") == pids[1]
    # Each has a control socket of its own.
    sockets = box.sh("ls -d /run/keeptrackd/*/ctl.sock").split()
    assert [s.split("/")[3].rsplit("-", 1)[0] for s in sockets] == ["blue_second", "green.pid", "red"]
    for s in sockets:
        assert json.loads(box.run("ktsh", "-s", s, "show", "vrrp", "json"))
    # A reload is one of the same daemon.
    box.write(FILE, CONF % ("", "", "        10.0.1.2/24\n"))
    box.write("/run/blue.conf", CONF % ("", "net_namespace blue\ninstance second\n", "        10.0.1.2/24\n"))
    box.write("/run/plain.conf", CONF % ("", "", "        10.0.1.2/24\n"))
    for pid, ns in zip(pids, ("red", "blue", "green")):
        box.run("kill", "-HUP", str(pid))
        wait_for("the second address in " + ns, lambda ns=ns: "10.0.1.2/24" in box.addresses(ns=ns), 5)
    for pid in pids:
        box.run("kill", str(pid))
    wait_for("their end", lambda: not box.exists("/run/keepalived"), 5)


def test_directories_of_deleted_routers_go(box, daemon):
    """The run directory at the end; the state when its configuration is gone, for an hour, and nobody lives there."""
    def start(name):
        box.write("/run/%s.conf" % name, PLAIN)
        daemon("-f", "/run/%s.conf" % name, "-p", "/run/%s.pid" % name, "-r", "/run/%s-vrrp.pid" % name, ns="many", serves=False)
        wait_for("its directory", lambda: places("/var/lib", name), 5)

    def places(root, name):
        return box.sh("ls %s/keeptrackd 2>/dev/null || true" % root).count(name + ".pid-")

    def stop(name):
        box.sh("kill $(cat /run/%s.pid)" % name)
        wait_for("its end", lambda: not box.exists("/run/%s.pid" % name), 5)

    def age(name):
        box.sh("touch -d '2 hours ago' /var/lib/keeptrackd/%s.pid-*/origin" % name)

    box.namespace("many")
    for name in ("stays", "young", "deleted", "killed", "lives"):
        start(name)
    for name in ("stays", "young", "deleted"):
        stop(name)
        assert not places("/run", name)
    box.sh("kill -9 $(cat /run/killed.pid)")
    wait_for("its death", lambda: box.sh("ss -xlH | grep -c killed.pid || true") == "0\n", 5)
    box.sh("rm /run/young.conf /run/deleted.conf /run/killed.conf /run/lives.conf")
    for name in ("stays", "deleted", "killed", "lives"):
        age(name)
    start("next")
    wait_for("the sweep", lambda: not places("/var/lib", "deleted") and not places("/var/lib", "killed"), 5)
    assert not places("/run", "killed")
    assert all(places("/var/lib", name) for name in ("stays", "young", "lives", "next"))
    assert places("/run", "lives") and places("/run", "next")
    for name in ("lives", "next"):
        stop(name)


def test_addresses_may_stay(box, daemon):
    daemon("-V")
    box.run("kill", str(box.pid_in("/run/keepalived.pid")))
    wait_for("its end", lambda: not box.exists("/run/keepalived.pid"), 5)
    assert "10.0.1.1/24" in box.addresses()
    daemon()
    box.run("kill", str(box.pid_in("/run/keepalived.pid")))
    wait_for("the address to leave", lambda: "10.0.1.1/24" not in box.addresses(), 5)


def test_init_script_of_the_package(box, daemon):
    """The script that Debian's package installs, with our program in its place."""
    box.sh("mount --bind /run/bin/keeptrackd /usr/sbin/keepalived")
    try:
        def script(verb):
            return box.call("/etc/init.d/keepalived", verb).returncode
        assert script("start") == 0
        main = box.pid_in("/run/keepalived.pid")
        wait_for("the address", lambda: "10.0.1.1/24" in box.addresses(), 5)
        box.write(FILE, CONF % ("", "", "        10.0.1.2/24\n"))
        assert script("reload") == 0
        wait_for("the second address", lambda: "10.0.1.2/24" in box.addresses(), 5)
        assert script("restart") == 0
        wait_for("another process", lambda: box.pid_in("/run/keepalived.pid") != main, 5)
        wait_for("the address again", lambda: "10.0.1.1/24" in box.addresses(), 5)
        assert script("stop") == 0
        wait_for("its end", lambda: not box.exists("/run/keepalived.pid"), 5)
    finally:
        box.sh("umount -l /usr/sbin/keepalived")


# ---- signals

def ask(box, name, path):
    box.sh("rm -f %s; kill -s $(keepalived --signum=%s) $(cat /run/keepalived.pid)" % (path, name))
    wait_for(path, lambda: box.exists(path), 3)
    return box.read(path)


def test_files_on_signals(box, daemon):
    box.write(FILE, CONF % ("    json_version 2\n    umask 022\n    stats_dump_file /run/my.stats\n", "", ""))
    daemon()
    answer = json.loads(ask(box, "JSON", "/tmp/keepalived.json"))
    assert [r["data"]["iname"] for r in answer["vrrp"]] == ["VI_1"]
    assert os.stat(box.path("/tmp/keepalived.json")).st_mode & 0o777 == 0o644
    assert mehdy_stats(ask(box, "STATS", "/run/my.stats"))["VI_1"]["Became master"] == 1
    # Whoever reads sees the whole file, old or new, however many signals come.
    main = box.pid_in("/run/keepalived.pid")
    for _ in range(20):
        box.sh("for i in 1 2 3 4 5; do kill -36 %d; done" % main)
        json.loads(box.read("/tmp/keepalived.json"))
    # A link that somebody put there is replaced, not followed.
    box.sh("rm -f /tmp/keepalived.data; echo mine >/run/victim; ln -s /run/victim /tmp/keepalived.data; kill -USR1 %d" % main)
    wait_for("the data file", lambda: not os.path.islink(box.path("/tmp/keepalived.data")), 3)
    assert box.read("/run/victim") == "mine\n"


def test_reload(box, daemon):
    daemon()
    main = box.pid_in("/run/keepalived.pid")
    box.write(FILE, CONF % ("", "", "        10.0.1.2/24\n"))
    box.run("kill", "-HUP", str(main))
    wait_for("the second address", lambda: "10.0.1.2/24" in box.addresses(), 5)
    # What would take the addresses away is refused: no file, an empty one, half of one.
    for text in (None, "", PLAIN[:len(PLAIN) // 2]):
        if text is None:
            os.unlink(box.path(FILE))
        else:
            box.write(FILE, text)
        box.run("kill", "-HUP", str(main))
        time.sleep(0.2)
        assert {"10.0.1.1/24", "10.0.1.2/24"} <= set(box.addresses())
        assert box.lives(main)


def test_signals_before_it_listens_do_no_harm(box, daemon):
    child = box.spawn("keepalived", "-nl")
    main = int(wait_for("the process", lambda: box.call("pgrep", "-ox", "keepalived").stdout, 5))

    def ignored():
        lines = dict(line.split(":\t") for line in box.read("/proc/%d/status" % main).strip().split("\n"))
        return (int(lines["SigIgn"], 16) | int(lines["SigCgt"], 16)) >> 9 & 1  # SIGUSR1 is signal 10

    wait_for("its first step", ignored, 5)
    for _ in range(3):
        box.run("kill", "-USR1", str(main))
        box.run("kill", "-36", str(main))
    wait_for("the address", lambda: "10.0.1.1/24" in box.addresses(), 5)
    assert box.pid_in("/run/keepalived.pid") == main
    box.run("kill", "-INT", str(main))
    assert child.wait(5) == 0


# ---- lines in the log

def test_lines_that_people_look_for(box, daemon):
    box.sh("rm -f /run/log")
    box.write("/run/bin/ok", "#!/bin/sh\n! test -e /run/bad\n", 0o755)
    script = 'vrrp_script chk {\n  script "/run/bin/ok"\n  interval 1\n fall 1\n rise 1\n}\n'
    box.write(FILE, (CONF % ("    script_user root\n    enable_script_security\n", script, "")).rstrip()[:-1] +
              "    track_script {\n        chk\n    }\n}\n")
    child = box.spawn("keepalived", "-nlD")
    wait_for("the address", lambda: "10.0.1.1/24" in box.addresses(), 5)
    box.write("/run/bad", "")
    wait_for("the fault", lambda: "10.0.1.1/24" not in box.addresses(), 5)
    os.unlink(box.path("/run/bad"))
    wait_for("the address again", lambda: "10.0.1.1/24" in box.addresses(), 5)
    box.run("ip", "link", "set", "lan1", "down")
    wait_for("the second fault", lambda: "(VI_1) Entering FAULT STATE" in box.read("/run/log").split("setting VIPs.")[-1], 5)
    box.run("ip", "link", "set", "lan1", "up")
    wait_for("the address once more", lambda: "10.0.1.1/24" in box.addresses(), 5)
    box.sh("kill $(cat /run/keepalived.pid)")
    child.wait(5)
    at = 0
    lines = log_lines(box)
    for phrase in ("Starting Keepalived v", "Startup complete", "(VI_1) Entering BACKUP STATE (init)",
                   "(VI_1) Receive advertisement timeout", "(VI_1) Entering MASTER STATE", "(VI_1) setting VIPs.",
                   "(VI_1) removing VIPs.", "(VI_1) Entering FAULT STATE", "(VI_1) Entering BACKUP STATE",
                   "(VI_1) Entering MASTER STATE", "Netlink reports lan0 down", "(VI_1) Entering FAULT STATE",
                   "(VI_1) Entering BACKUP STATE", "(VI_1) Entering MASTER STATE", "Stopping", "(VI_1) sent 0 priority", "Stopped Keepalived v"):
        found = [i for i, line in enumerate(lines[at:], at) if line.startswith(phrase)]
        assert found, "%s after %r in\n%s" % (phrase, lines[max(0, at - 1)], "\n".join(lines))
        at = found[0] + 1
    states = [line for line in lines if line.startswith("(VI_1) Entering ")]
    assert len(states) == 8, "one line for each state, and none for those that are passed on the way"
    assert [line for line in lines if line.startswith("VRRP_Script(")] == [
        "VRRP_Script(chk) succeeded", "VRRP_Script(chk) failed (exited with status 1)", "VRRP_Script(chk) succeeded"]


def test_lines_about_other_routers(box, daemon):
    box.write(FILE, PLAIN + """vrrp_instance VI_2 {
    interface lan0
    virtual_router_id 52
    authentication {
        auth_type PASS
        auth_pass right
    }
    virtual_ipaddress {
        10.0.1.2
    }
}
""")
    daemon("-g/run/others.log")

    def make():
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        s.bind(("lan1", 0))
        return s

    def says(phrase, frame):
        def said():
            wire.send(frame)
            return any(line == phrase for line in log_lines(box, "/run/others.log"))
        wait_for(phrase, said, 5)

    wire = in_netns(box.init, make)
    other = "10.0.1.99"
    try:
        says("(VI_2) received an invalid passwd!",
             frame4(v2(52, 200, ["10.0.1.2"], auth=1, password=b"wrong"), src=other))
        says("(VI_1) Master received advert from 10.0.1.99 with higher priority 200, ours 100",
             frame4(v3(51, 200, ["10.0.1.1"], src=other, interval=5), src=other))
        wait_for("the role to leave", lambda: "10.0.1.1/24" not in box.addresses(), 5)
        says("(VI_1) Backup received priority 0 advertisement",
             frame4(v3(51, 0, ["10.0.1.1"], src=other, interval=5), src=other))
        wait_for("the role to come back", lambda: "10.0.1.1/24" in box.addresses(), 5)
    finally:
        wire.close()


def test_tags_and_facility(box, daemon):
    """In the system log: the tags that filters know, with namespace and instance, and the facility."""
    box.sh("mkdir -p /run/dev && ln -sf /run/dev/log /run/devlog")
    log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    path = box.path("/run/dev/log")
    log.bind(path)
    os.chmod(path, 0o666)
    log.settimeout(0.2)
    # /dev belongs to the host: the daemon gets one of its own.
    box.write(FILE, CONF % ("", "instance east\n", ""))
    child = box.spawn("unshare", "--mount", "--propagation", "private", "sh", "-c",
                      "mount -t tmpfs tmpfs /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/urandom c 1 9 && "
                      "ln -s /run/dev/log /dev/log && exec keepalived -n -S local3")
    wait_for("the address", lambda: "10.0.1.1/24" in box.addresses(), 5)
    box.sh("kill $(cat /run/keepalived/keepalived_east.pid)")
    child.wait(5)
    lines = []
    try:
        while len(lines) < 1000:
            lines.append(log.recv(2000).decode())
    except socket.timeout:
        pass
    log.close()
    assert lines and all(152 <= int(x[1:x.index(">")]) <= 159 for x in lines)  # local3
    tags = {x.split("[")[0].rsplit(" ", 1)[1] for x in lines}
    assert tags == {"Keepalived", "Keepalived_vrrp", "Keepalived_east", "Keepalived_vrrp_east"} - \
        ({"Keepalived_vrrp"} - tags)
    assert any(x.endswith("]: (VI_1) Entering MASTER STATE") and " Keepalived_vrrp_east[" in x for x in lines)


def test_log_file_and_dump(box, daemon):
    daemon("-g/run/ka.log", "-d")
    wait_for("lines in the file", lambda: "(VI_1) Entering MASTER STATE" in box.read("/run/ka.log"), 5)
    lines = log_lines(box, "/run/ka.log")
    assert " VRRP Instance = VI_1" in lines and "   Virtual Router ID = 51" in lines
