"""Two names, one engine: keepalived and conntrackd beside each other on one router, in either order."""

import json
import os
import signal
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lab"))

from conftest import build_dir  # noqa: E402
from lab import Lab, ROUTERS, VIP_LAN, wait_for  # noqa: E402
from named import Conntrackd, flow, Keepalived, PLAIN  # noqa: E402


@pytest.fixture(name="lab")
def fixture_lab():
    made = Lab(build_dir())
    yield made
    made.close()


def copies(ct, count, seconds=8):
    wait_for("%d copies on %s" % (count, ct.router), lambda: ct.active("external") == count, seconds)


def names(machine):
    """What the machine's processes are called, and with what they were started."""
    found = []
    for pid in machine.pids():
        with open("/proc/%d/comm" % pid, encoding="ascii") as f:
            comm = f.read().strip()
        if comm in ("keepalived", "conntrackd"):
            found.append((comm, Conntrackd.arguments(pid)[0].rsplit("/", 1)[-1]))
    return sorted(found)


def threads(pid):
    return len(os.listdir("/proc/%d/task" % pid))


def served(lab, name):
    return lab[name].has_ip4(VIP_LAN)


def ready(lab, ct):
    """Both files together make one router of a cluster: a switch would lose nothing."""
    status = json.loads(lab[ct.router].run(lab.tool("ktsh"), "-s", ct.socket, "show", "failover", "status", "json"))
    return bool(status["groups"]) and all(g["ready"] for g in status["groups"]) and len(status["peers"]) == 1


def both(lab):
    return ({name: Keepalived(lab, name) for name in ROUTERS}, {name: Conntrackd(lab, name) for name in ROUTERS})


def test_keepalived_first(lab):
    """conntrackd joins the keepalived that runs; each ends by itself, and the other goes on."""
    ka, ct = both(lab)
    for k in ka.values():
        k.start()
    wait_for("fw-a to serve", lambda: served(lab, "fw-a") and not served(lab, "fw-b"), 8)
    a_ct = ct["fw-a"].start()
    ct["fw-b"].start()
    assert names(lab["fw-a"]) == [("conntrackd", "conntrackd"), ("keepalived", "keepalived")]
    assert threads(a_ct) == 1  # a small process: the engine is the other one
    assert served(lab, "fw-a")  # replication has begun under a master that went on
    flow(lab["fw-a"], 40000, 3)
    copies(ct["fw-b"], 3)
    wait_for("both routers to be ready", lambda: all(ready(lab, c) for c in ct.values()), 8)
    shown = json.loads(lab["fw-a"].run(lab.tool("ktsh"), "-s", ct["fw-a"].socket, "show", "version", "json"))
    assert shown["configuration"] == [{"file": ka["fw-a"].conf, "layer": False}, {"file": ct["fw-a"].conf, "layer": True}]

    # A second one is refused, and says why.
    twice = ct["fw-a"].call("-d", "-C", ct["fw-a"].conf)
    assert twice[0] == 1 and "exists, perhaps conntrackd already running?" in twice[2]

    stranger = Conntrackd(lab, "fw-a", PLAIN, folder="other")  # files of its own do not help
    status, _, err = stranger.call("-d", "-C", stranger.conf)
    assert status == 1 and "another conntrackd is part of this engine already" in err
    assert not os.path.exists(stranger.lock) and ct["fw-a"].active("internal") == 3

    # HUP of either reads both files; one that cannot be read changes nothing.
    ct["fw-a"].write("Sync {\n")
    os.kill(a_ct, signal.SIGHUP)
    wait_for("the refusal", lambda: "the configuration was not reloaded" in ka["fw-a"].log(), 5)
    ct["fw-a"].write(PLAIN)
    assert ct["fw-a"].active("internal") == 3
    done = ka["fw-a"].log().count("configuration reloaded")
    ka["fw-a"].process.send_signal(signal.SIGHUP)
    wait_for("the reload", lambda: ka["fw-a"].log().count("configuration reloaded") > done, 5)
    os.kill(a_ct, signal.SIGHUP)
    wait_for("the other reload", lambda: ka["fw-a"].log().count("configuration reloaded") > done + 1, 5)

    # conntrackd is killed: what it added goes, what the other one has stays.
    os.kill(a_ct, signal.SIGKILL)
    wait_for("its socket to go", lambda: not os.path.exists(ct["fw-a"].socket), 5)
    assert served(lab, "fw-a") and ka["fw-a"].alive()
    assert ct["fw-a"].call("-C", ct["fw-a"].conf, "-s")[0] == 1
    flow(lab["fw-a"], 41000)
    ct["fw-a"].start()
    copies(ct["fw-b"], 4)
    assert served(lab, "fw-a")

    # -k and TERM end it as well.
    assert ct["fw-a"].call("-C", ct["fw-a"].conf, "-k")[0] == 0
    wait_for("it to end", lambda: ct["fw-a"].pid() is None and not os.path.exists(ct["fw-a"].lock), 5)
    os.kill(ct["fw-a"].start(), signal.SIGTERM)
    wait_for("it to end", lambda: ct["fw-a"].pid() is None and not os.path.exists(ct["fw-a"].lock), 5)
    assert served(lab, "fw-a") and ka["fw-a"].alive()


def test_conntrackd_first(lab):
    """A conntrackd that was alone gives the engine to keepalived, and has it back when that one has ended."""
    ka, ct = both(lab)
    pids = {name: c.start() for name, c in ct.items()}
    wait_for("the routers to find each other", lambda: all(c.knows_peer() for c in ct.values()), 8)
    flow(lab["fw-a"], 40000, 3)
    copies(ct["fw-b"], 3)
    for k in ka.values():
        k.start()
    wait_for("fw-a to serve", lambda: served(lab, "fw-a") and not served(lab, "fw-b"), 8)
    assert {name: c.pid() for name, c in ct.items()} == pids  # the same processes, under their names
    assert names(lab["fw-a"]) == [("conntrackd", "conntrackd"), ("keepalived", "keepalived")]
    for name, c in ct.items():
        wait_for("it to be a part of the other", lambda n=name, c=c: threads(pids[n]) == 1 and os.path.exists(c.socket), 5)
    flow(lab["fw-a"], 41000)
    wait_for("all copies", lambda: ct["fw-b"].active("external") + ct["fw-b"].active("internal") == 4, 8)

    # An orderly end: the address moves, conntrackd stays.
    ka["fw-a"].process.terminate()
    assert ka["fw-a"].process.wait(5) == 0
    wait_for("fw-b to serve", lambda: served(lab, "fw-b") and not served(lab, "fw-a"), 8)
    wait_for("the engine here", lambda: threads(pids["fw-a"]) > 1 and os.path.exists(ct["fw-a"].socket), 5)
    assert ct["fw-a"].pid() == pids["fw-a"]
    assert ct["fw-a"].call("-C", ct["fw-a"].conf, "-k")[0] == 0
    wait_for("it to end", lambda: ct["fw-a"].pid() is None and not os.path.exists(ct["fw-a"].lock), 5)


def test_a_router_alone(lab):
    """Where nobody else could serve, no end of either takes the address away."""
    ka, ct = Keepalived(lab, "fw-a").start(), Conntrackd(lab, "fw-a")
    wait_for("fw-a to serve", lambda: served(lab, "fw-a"), 8)
    watch = lab["fw-a"].spawn("ip", "-o", "monitor", "address", log="monitor")
    ct.start()
    ka.process.kill()
    ka.process.wait()
    wait_for("conntrackd to be the engine", lambda: threads(ct.pid()) > 1 and os.path.exists(ct.socket), 5)
    assert served(lab, "fw-a")
    ka.start()
    wait_for("it to be a part of the other", lambda: threads(ct.pid()) == 1 and os.path.exists(ct.socket), 5)
    wait_for("keepalived to be master again", lambda: ka.log().count("Entering MASTER STATE") == 2, 8)
    os.kill(ct.pid(), signal.SIGKILL)
    wait_for("its socket to go", lambda: not os.path.exists(ct.socket), 5)
    assert served(lab, "fw-a")
    watch.kill()
    with open(os.path.join(lab["fw-a"].dir, "monitor.log"), encoding="ascii") as f:
        assert not [line for line in f if "Deleted" in line and VIP_LAN in line]
