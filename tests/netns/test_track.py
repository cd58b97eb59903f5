"""Tracking: scripts, links, processes, files, the conntrack table, and what they do to priorities and roles."""

import json
import signal
import subprocess

import pytest

from conf import lab_conf, text
from conftest import build_dir, sanitizer_reports
from keeptrackd import Daemon, group
from lab import Lab, ROUTERS, VIP_LAN, VIP_WAN, wait_for


BAD = "/run/keeptrackd/bad"  # each router has a /run of its own


class Two:
    """Two routers of one lab for all tests of this file: configurations change by reload."""

    def __init__(self, lab):
        self.lab = lab
        self.daemons = {name: Daemon(lab, name, conf=text(self.conf(name))) for name in ROUTERS}

    def __getitem__(self, name):
        return self.daemons[name]

    def conf(self, name, track=None, lan=(), edge=(), **more):
        conf = lab_conf(self.lab, name, advert=0.1)
        if track:
            conf["vrrp"]["track"] = track
        if lan:
            conf["vrrp"]["instances"][0]["track"] = list(lan)
        if edge:
            conf["vrrp"]["groups"][0]["track"] = list(edge)
        conf["vrrp"]["groups"][0].update(more)
        return conf

    def use(self, **options):
        """The same for both, by reload."""
        for name, daemon in self.daemons.items():
            daemon.write_conf(text(self.conf(name, **options)))
            before = daemon.log().count("configuration reloaded")
            daemon.signal(signal.SIGHUP)
            wait_for("the reload", lambda d=daemon, n=before: d.log().count("configuration reloaded") > n, 3)
        wait_for("both to agree", self.agree, 5)

    def agree(self):
        """What one says of a group means something to the other."""
        return all(d.ask("show vrrp peer")["peers"][0]["config_equal"] for d in self.daemons.values())

    def wait_peers(self):
        wait_for("both to be ready", lambda: all(group(d)["ready"] for d in self.daemons.values()), 5)
        wait_for("both to agree", self.agree, 5)

    def masters(self):
        return [name for name in ROUTERS if self.lab[name].has_ip4(VIP_LAN, VIP_WAN)]

    def wait_master(self, name, seconds=5):
        wait_for("%s to be master alone" % name, lambda: self.masters() == [name], seconds)

    def thing(self, name, what):
        return next(t for t in self[name].ask("show vrrp track")["things"] if t["name"] == what)

    def inst(self, name, inst="lan"):
        return next(i for i in self[name].ask("show vrrp track")["instances"] if i["name"] == inst)


@pytest.fixture(scope="module")
def module_lab():
    made = Lab(build_dir())
    two = Two(made)
    for daemon in two.daemons.values():
        daemon.start()
    two.wait_master("fw-a", 10)
    yield two
    found = sanitizer_reports(made)
    made.close()
    assert not found, "\n".join(found)


@pytest.fixture
def two(module_lab):
    """fw-a is master, nothing is tracked; afterwards again."""
    module_lab.wait_master("fw-a")
    module_lab.wait_peers()
    yield module_lab
    module_lab.use()


def script(name="web", flag=BAD, **more):
    return dict({"name": name, "shell": "test ! -e %s" % flag, "interval": 0.1}, **more)


def test_a_weight_moves_the_role_and_back(two):
    two.use(track={"scripts": [script(weight=-60, rise=2, fall=2)]}, lan=["web"])
    wait_for("a result", lambda: two.thing("fw-a", "web")["state"] == "up", 3)
    two.lab["fw-a"].run("touch", BAD)
    two.wait_master("fw-b")
    shown = two.inst("fw-a")
    assert (shown["priority"], shown["priority_configured"], shown["points"], shown["fault"]) == (90, 150, -60, False)
    assert two.inst("fw-a", "wan")["priority"] == 90  # members move together
    cause = shown["tracked"][0]
    assert (cause["name"], cause["list"], cause["points"], cause["state"]) == ("web", "own", -60, "down")
    assert 0 < cause["since_us"] < 10_000_000
    thing = two.thing("fw-a", "web")
    assert thing["last_status"] == 1 and thing["failed"] >= 2 and thing["runs"] > thing["failed"]
    assert "priority 150 -> 90 (script web -60)" in two["fw-a"].log()
    two.lab["fw-a"].run("rm", BAD)
    two.wait_master("fw-a")
    assert two.inst("fw-a")["priority"] == 150


def test_a_fault_leaves_in_order(two):
    two.use(track={"scripts": [script()]}, edge=["web"])
    wait_for("a result", lambda: two.thing("fw-a", "web")["state"] == "up", 3)
    two.lab["fw-a"].run("touch", BAD)
    two.wait_master("fw-b")
    assert group(two["fw-a"])["role"] == "FAULT"
    entries = two["fw-a"].ask("show failover history", limit=10)["entries"]
    assert next(e for e in entries if e["node"] == "fw-a")["reason"] == "trackedFault"
    assert next(e for e in entries if e["node"] == "fw-b")["reason"] == "peerLeaving"
    assert all(i["tracked"][0]["fault"] for i in (two.inst("fw-a"), two.inst("fw-a", "wan")))
    two.lab["fw-a"].run("rm", BAD)
    two.wait_master("fw-a")


def test_a_timeout_ends_the_whole_group_of_processes(two):
    command = "sleep 77.7 & echo one; echo two; sleep 88.8"
    two.use(track={"scripts": [{"name": "slow", "shell": command, "interval": 0.2, "timeout": 0.3, "weight": -1}]},
            lan=["slow"])
    wait_for("a timeout", lambda: two.thing("fw-a", "slow")["timeouts"] >= 2, 5)
    shown = two.thing("fw-a", "slow")
    assert shown["state"] == "down" and shown["last_output"] == "one two" and shown["skipped"] >= 1
    assert shown["last"].startswith("no end within 0.3 s")
    assert two.inst("fw-a")["priority"] == 149
    two.use()
    wait_for("no process of it to be left",
             lambda: not any("77.7" in c or "88.8" in c for c in commands(two.lab, "fw-a")), 3)


def test_who_runs_a_script_and_what_becomes_of_bad_ones(two):
    two.use(track={"scripts": [
        {"name": "who", "shell": "id -un", "user": "nobody", "interval": 0.2, "weight": 1},
        {"name": "none", "exec": ["/no/such/program"], "interval": 0.2, "weight": 1},
        {"name": "killed", "shell": "kill -9 $$", "interval": 0.2, "weight": 1},
        {"name": "guess", "shell": "true", "user": "no-such-user", "interval": 0.2, "weight": 1},
        {"name": "idle", "shell": "true"}]},
        lan=["who", "none", "killed", "guess"])
    for name in ("who", "none", "killed", "guess"):
        wait_for("a result of " + name, lambda n=name: two.thing("fw-a", n)["state"] != "unknown", 3)
    assert two.thing("fw-a", "who")["last_output"] == "nobody" and two.thing("fw-a", "who")["state"] == "up"
    assert two.thing("fw-a", "none")["last"].startswith("cannot be started: ")
    assert two.thing("fw-a", "killed")["last"] == "killed by signal 9"
    assert "no-such-user" in two.thing("fw-a", "guess")["last"]
    idle = two.thing("fw-a", "idle")
    assert idle["state"] == "unused" and idle["runs"] == 0
    assert two.inst("fw-a")["points"] == 1


def commands(lab, name):
    found = []
    for pid in lab[name].pids():
        try:
            with open("/proc/%d/cmdline" % pid, "rb") as f:
                found.append(f.read().replace(b"\0", b" ").decode())
        except OSError:
            pass
    return found


def test_a_reload_keeps_what_did_not_change(two):
    scripts = [script(weight=-60), script("other", "/run/none", weight=-5)]
    two.lab["fw-b"].run("touch", BAD)
    two.use(track={"scripts": scripts}, lan=["web"])
    wait_for("a result", lambda: two.inst("fw-b")["priority"] == 40, 3)
    runs = two.thing("fw-b", "web")["runs"]
    role = group(two["fw-a"])["epoch"]
    scripts[0]["interval"] = 0.2
    two.use(track={"scripts": scripts}, lan=["web", "other"])
    shown = two.thing("fw-b", "web")
    assert shown["runs"] >= runs and shown["state"] == "down" and two.inst("fw-b")["priority"] == 40
    # A weight of its own in the list goes before that of the script.
    two.use(track={"scripts": scripts}, lan=[{"script": "web", "weight": -10}, "other"])
    assert two.inst("fw-b")["priority"] == 90
    two.lab["fw-b"].run("rm", BAD)
    wait_for("the priority", lambda: two.inst("fw-b")["priority"] == 100, 3)
    assert group(two["fw-a"])["epoch"] == role and two.masters() == ["fw-a"]


def test_links(two):
    router, other = two.lab["fw-a"], two.lab["fw-b"]
    make = ("link add t0 type veth peer name t1", "link set t0 up", "link set t1 up")
    router.ip(*make)
    other.ip(*make)
    two.use(track={"interfaces": [{"interface": "t0", "down_delay": 0.3}]},
            lan=[{"interface": "t0", "weight": -60}, {"interface": "absent0", "weight": 7}])
    wait_for("the links", lambda: two.thing("fw-a", "t0")["state"] == "up", 3)
    assert two.inst("fw-a")["points"] == 0 and two.thing("fw-a", "absent0")["state"] == "down"
    router.ip("link set t1 down")
    wait_for("the link to be seen", lambda: two.thing("fw-a", "t0")["delayed"], 2)
    router.ip("link set t1 up")  # too short to count
    wait_for("the link to be seen", lambda: not two.thing("fw-a", "t0")["delayed"], 2)
    assert two.inst("fw-a")["points"] == 0 and two.masters() == ["fw-a"]
    router.ip("link set t1 down")
    two.wait_master("fw-b")
    assert two.inst("fw-a")["tracked"][0]["points"] == -60
    router.ip("link set t1 up")
    two.wait_master("fw-a")
    # Without a weight it is a fault; reverse: while it is up.
    two.use(edge=[{"interface": "t0"}])
    assert two.masters() == ["fw-a"]
    router.ip("link del t0")
    two.wait_master("fw-b")
    assert group(two["fw-a"])["role"] == "FAULT"
    router.ip(*make)
    two.wait_master("fw-a")
    other.ip("link set t1 down")
    two.use(edge=[{"interface": "t0", "reverse": True}])
    two.wait_master("fw-b")
    assert group(two["fw-a"])["role"] == "FAULT"
    router.ip("link set t1 down")
    two.wait_master("fw-a")
    router.ip("link del t0")
    other.ip("link del t0")


def test_files(two):
    path = "/run/keeptrackd/number"

    def write(name, content):
        two.lab[name].run("sh", "-c", "echo '%s' > %s.new && mv %s.new %s" % (content, path, path, path))

    two.use(track={"files": [{"name": "n", "file": path, "init": -3, "weight": 2}]}, lan=[{"file": "n"}])
    wait_for("the number", lambda: two.inst("fw-a")["points"] == -6 and two.inst("fw-b")["points"] == -6, 3)
    assert two.lab["fw-a"].run("cat", path) == "-3\n"
    write("fw-a", "-40")
    two.wait_master("fw-b")
    assert two.inst("fw-a")["priority"] == 70 and two.thing("fw-a", "n")["value"] == -40
    two.lab["fw-a"].run("sh", "-c", "echo 7 > " + path)  # truncated first: the empty file does not count
    two.wait_master("fw-a")
    assert two.inst("fw-a")["priority"] == 164
    assert two.thing("fw-a", "n")["changes"] == 3
    write("fw-a", "seven")
    wait_for("the complaint", lambda: two.inst("fw-a")["priority"] == 150, 3)
    assert "has no number in it" in two["fw-a"].log()
    write("fw-a", "-127")  # a product of -254 is a fault
    two.wait_master("fw-b")
    assert group(two["fw-a"])["role"] == "FAULT"
    two.lab["fw-a"].run("rm", path)
    two.wait_master("fw-a")
    assert two.thing("fw-a", "n")["value"] == 0
    # weight 0: any number but 0 is a fault
    two.lab["fw-b"].run("rm", path)
    two.use(track={"files": [{"name": "n", "file": path, "weight": 0}]}, lan=[{"file": "n"}])
    wait_for("the other router", lambda: group(two["fw-b"])["role"] == "BACKUP", 8)
    write("fw-a", "1")
    two.wait_master("fw-b")
    write("fw-a", "0")
    two.wait_master("fw-a")


def test_processes(two):
    sleeper = ["sleep", "55.5"]
    two.use(track={"processes": [
        {"name": "any", "process": ["sleep", "55.5"], "quorum": 2, "weight": -60, "terminate_delay": 0.2},
        {"name": "none", "process": ["/no/such/program"], "quorum_max": 0}]},
        lan=[{"process": "any"}, {"process": "none"}])
    wait_for("the count", lambda: two.thing("fw-a", "any")["state"] == "down", 4)
    assert two.thing("fw-a", "none")["state"] == "up"
    assert two.thing("fw-a", "any")["seen_by"] in ("events", "scan")
    # Both routers see the processes of one kernel, so both priorities move: what counts is what each one says.
    running = [two.lab["fw-a"].spawn(*sleeper) for _ in range(2)]
    wait_for("both of them", lambda: two.thing("fw-a", "any")["count"] == 2, 4)
    wait_for("the priority", lambda: two.inst("fw-a")["priority"] == 150, 3)
    running[0].kill()
    running[0].wait()
    wait_for("one of them", lambda: two.thing("fw-a", "any")["count"] == 1, 4)
    wait_for("the priority", lambda: two.inst("fw-a")["priority"] == 90, 3)
    running[1].kill()
    running[1].wait()
    wait_for("none of them", lambda: two.thing("fw-a", "any")["count"] == 0, 4)


def test_processes_are_seen_at_once_where_the_kernel_tells(two):
    """In a network namespace of its own nobody tells; outside the events of the kernel do, unless this is a container."""
    tool = two.lab.tool("track_root")
    inside = json.loads(two.lab["fw-a"].run(tool))
    assert inside["seen_by"] == "scan" and 0 <= inside["up_ms"] < 2500 and 0 <= inside["down_ms"] < 2500, inside
    outside = json.loads(subprocess.run([tool], capture_output=True, text=True, check=True, timeout=20).stdout)
    limit = 500 if outside["seen_by"] == "events" else 2500
    assert 0 <= outside["up_ms"] < limit and 0 <= outside["down_ms"] < limit, outside


def test_the_conntrack_table(two):
    shown = None
    two.use(track={"conntrack": [{"name": "ct", "high": 90, "low": 80, "interval": 0.1, "weight": -60},
                                 {"name": "strict", "high": 1, "low": 0, "interval": 0.1, "weight": 5}]},
            edge=[{"conntrack": "ct"}, {"conntrack": "strict"}])
    wait_for("a look", lambda: two.thing("fw-a", "ct")["state"] == "up", 3)
    shown = two.thing("fw-a", "ct")
    assert shown["entries_max"] > 0 and shown["percent"] == shown["entries"] * 100 // shown["entries_max"]


def test_waiting_for_the_first_result(two):
    """With weight 0 the first result decides what the instance becomes; until then it is nothing."""
    daemon = two["fw-b"]
    slow = {"name": "slow", "shell": "sleep 0.7; test ! -e " + BAD, "interval": 5, "timeout": 3}
    two.use(track={"scripts": [slow]}, lan=["slow"])
    daemon.stop()
    two.lab["fw-b"].run("mkdir", "-p", "/run/keeptrackd")
    two.lab["fw-b"].run("touch", BAD)
    daemon.start()
    wait_for("the daemon", lambda: two.inst("fw-b")["waits"], 3)
    assert group(daemon)["role"] == "INIT"
    assert daemon.ask("show vrrp")["instances"][0]["state"] == "INIT"
    wait_for("the result", lambda: group(daemon)["role"] == "FAULT", 3)
    assert "BACKUP" not in "".join(line for line in daemon.log().split("ended")[-1].splitlines() if "group edge" in line)
    two.lab["fw-b"].run("rm", BAD)
    daemon.stop()
    daemon.start()
    wait_for("the daemon", lambda: two.inst("fw-b")["waits"], 3)
    wait_for("the result", lambda: group(daemon)["role"] == "BACKUP", 3)
