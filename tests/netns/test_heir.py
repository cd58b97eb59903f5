"""keepalived is killed beside a living conntrackd, which goes on with everything that it served; and gives it back."""

import json
import os
import signal
import sys
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lab"))

from conftest import build_dir  # noqa: E402
from lab import Lab, now_ns, ROUTERS, VIP_LAN, VIP_WAN, wait_for  # noqa: E402
from named import Conntrackd, Keepalived  # noqa: E402
from traffic import Traffic  # noqa: E402
from wire import gaps_ms, Tap  # noqa: E402

ADVERT_MS = 300
DOWN_MS = 3 * ADVERT_MS + ADVERT_MS * (256 - 100) / 256  # of fw-b, which must never see that much silence
EVERYTHING = """
global_defs {
    script_user root
}
vrrp_sync_group all {
    group {
        lan
        wan
        extra
    }
    notify "%(dir)s/told.sh"
}
vrrp_instance lan {
    interface lan0
    virtual_router_id 10
    priority %(priority)d
    advert_int 0.3
    version 3
    virtual_ipaddress {
        10.0.1.1/24
    }
    virtual_routes {
        198.51.100.0/24 via 10.0.1.10 dev lan0
    }
    virtual_rules {
        from 192.0.2.0/24 lookup 100 preference 4242
    }
}
vrrp_instance wan {
    interface wan0
    virtual_router_id 20
    priority %(priority)d
    advert_int 0.3
    version 3
    virtual_ipaddress {
        203.0.113.1/24
    }
}
vrrp_instance extra {
    interface lan0
    virtual_router_id 30
    priority %(priority)d
    advert_int 0.3
    version 3
    use_vmac
    no_accept
    virtual_ipaddress {
        10.0.1.99/24
    }
}
"""


@pytest.fixture(name="lab")
def fixture_lab():
    made = Lab(build_dir())
    yield made
    made.close()


def shown(lab, ct, *words):
    return json.loads(lab[ct.router].run(lab.tool("ktsh"), "-s", ct.socket, "show", *words, "json"))


def ready(lab, ct):
    status = shown(lab, ct, "failover", "status")
    return bool(status["groups"]) and all(g["ready"] for g in status["groups"]) and len(status["peers"]) == 1


def roles(lab, ct):
    return {g["role"] for g in shown(lab, ct, "failover", "status")["groups"]}


def threads(pid):
    return len(os.listdir("/proc/%d/task" % pid))


class Two:
    """Both routers with both programs, in either order, and what the LAN and fw-a's kernel say meanwhile."""

    def __init__(self, lab, first):
        self.lab = lab
        self.ka, self.ct = {n: Keepalived(lab, n) for n in ROUTERS}, {n: Conntrackd(lab, n) for n in ROUTERS}
        for name in ROUTERS:
            self.configure(name)
        if first == "conntrackd":
            self.start(self.ct)
        self.ka["fw-a"].start()
        wait_for("fw-a to serve", lambda: self.serves("fw-a"), 10)
        self.ka["fw-b"].start()
        if first == "keepalived":
            self.start(self.ct)
        self.wait_ready()
        self.tap = Tap(lab["client"], "eth0")
        self.monitor = lab["fw-a"].spawn("ip", "-o", "monitor", "address", "route", "rule", "link", log="monitor")

    def configure(self, name):
        script = os.path.join(self.lab[name].dir, "told.sh")
        with open(script, "w", encoding="ascii") as f:
            f.write("#!/bin/sh\necho \"$@\" >>%s/told\n" % self.lab[name].dir)
        os.chmod(script, 0o700)
        with open(self.ka[name].conf, "w", encoding="ascii") as f:
            f.write(EVERYTHING % {"dir": self.lab[name].dir, "priority": 150 - 50 * ROUTERS.index(name)})

    @staticmethod
    def start(programs):
        for program in programs.values():
            program.start()

    def told(self, name):
        with open(os.path.join(self.lab[name].dir, "told"), encoding="ascii") as f:
            return f.read().split("\n")[:-1]

    def serves(self, name):
        return self.lab[name].has_ip4(VIP_LAN, VIP_WAN)

    def wait_ready(self):
        wait_for("both routers to be ready", lambda: all(ready(self.lab, c) for c in self.ct.values()), 10)

    def kill(self):
        """SIGKILL of fw-a's keepalived; conntrackd is the engine afterwards."""
        pid = self.ct["fw-a"].pid()
        self.ka["fw-a"].process.kill()
        self.ka["fw-a"].process.wait()
        wait_for("conntrackd to go on", lambda: threads(pid) > 1 and roles(self.lab, self.ct["fw-a"]) == {"MASTER"}, 8)
        assert self.ct["fw-a"].pid() == pid

    def back(self):
        """A supervisor starts keepalived again."""
        pid = self.ct["fw-a"].pid()
        self.ka["fw-a"].start()
        wait_for("conntrackd to be a part of it", lambda: threads(pid) == 1 and os.path.exists(self.ct["fw-a"].socket), 8)
        wait_for("keepalived to be MASTER", lambda: roles(self.lab, self.ct["fw-a"]) == {"MASTER"}, 8)
        assert self.ct["fw-a"].pid() == pid

    def gone(self):
        """What fw-a's kernel lost since the beginning."""
        with open(os.path.join(self.lab["fw-a"].dir, "monitor.log"), encoding="ascii") as f:
            return [line for line in f if "Deleted" in line]

    def end_monitor(self):
        self.monitor.kill()
        self.monitor.wait()

    def check_quiet(self, since, arp=True):
        """Nobody but fw-a spoke, and never so late that another router would have taken over."""
        for vrid in (10, 30):
            adverts = self.tap.vrrp(since, vrid=vrid)
            assert {a.priority for a in adverts} == {150}, adverts
            assert max(gaps_ms(adverts)) < DOWN_MS, gaps_ms(adverts)
        assert not self.gone()
        if arp:
            assert not [a for a in self.tap.arp(VIP_LAN, since) if a[2]]


@pytest.mark.parametrize("first", ["keepalived", "conntrackd"])
def test_killed_and_started_again(lab, first):
    """Nothing moves: no role, no address, no session, and nobody is told."""
    two = Two(lab, first)
    traffic = Traffic(lab, idle=20, udp_rate=200, vpn_rate=0)
    wait_for("the stream to flow", traffic.stream_alive, 10, 0.1)
    told = {name: two.told(name) for name in ROUTERS}
    epoch = shown(lab, two.ct["fw-b"], "failover", "status")["groups"][0]
    masters = two.ka["fw-b"].log().count("Entering MASTER STATE")
    since = now_ns()
    traffic.mark()
    for _ in range(2):
        two.kill()
        assert two.ct["fw-a"].call("-C", two.ct["fw-a"].conf, "-s")[0] == 0
        files = shown(lab, two.ct["fw-a"], "version")
        assert files["heir_of"] == two.ka["fw-a"].conf
        assert "has DIED" in lab["fw-a"].run(lab.tool("ktsh"), "-s", two.ct["fw-a"].socket, "show", "failover", "status")
        assert "table inet keeptrackd" in lab["fw-a"].run("nft", "list", "tables")
        two.back()
        assert shown(lab, two.ct["fw-a"], "version")["heir_of"] == ""
    wait_for("both to be whole again", lambda: all(ready(lab, c) for c in two.ct.values()), 10)
    two.check_quiet(since)
    assert lab["fw-a"].run("ip", "rule", "show", "preference", "4242") and two.serves("fw-a")
    assert lab["fw-a"].run("ip", "route", "show", "198.51.100.0/24") and not two.serves("fw-b")
    assert {name: two.told(name) for name in ROUTERS} == told
    assert shown(lab, two.ct["fw-b"], "failover", "status")["groups"][0]["role"] == epoch["role"] == "BACKUP"
    assert two.ka["fw-b"].log().count("Entering MASTER STATE") == masters
    report, idle = traffic.report(), traffic.check_idle(3000)
    assert report["stream"]["up"] and not report["stream"]["disorder"], report
    assert idle["alive"] == 20 and not idle["reset"], idle


def test_ends_of_each(lab):
    """Orderly ends are as they always were, also of an heir; the deaths of both are one."""
    two = Two(lab, "keepalived")
    a_ct = two.ct["fw-a"]
    # A reload of each while conntrackd serves: each reads what its program would.
    two.kill()
    os.kill(a_ct.pid(), signal.SIGHUP)
    wait_for("the reload", lambda: not shown(lab, a_ct, "version").get("reload_error"), 5)
    assert two.serves("fw-a")
    two.back()
    # keepalived is stopped: the other router serves, conntrackd goes on without virtual routers.
    two.wait_ready()
    two.ka["fw-a"].process.terminate()
    assert two.ka["fw-a"].process.wait(5) == 0
    wait_for("fw-b to serve", lambda: two.serves("fw-b") and not two.serves("fw-a"), 5)
    wait_for("conntrackd alone", lambda: threads(a_ct.pid()) > 1 and os.path.exists(a_ct.socket), 5)
    assert not shown(lab, a_ct, "failover", "status")["groups"]
    two.ka["fw-a"].start()
    wait_for("fw-a to serve", lambda: two.serves("fw-a") and not two.serves("fw-b"), 10)
    two.wait_ready()
    # conntrackd is killed, and ended: its layer goes, the rest stays.
    os.kill(a_ct.pid(), signal.SIGKILL)
    wait_for("its socket to go", lambda: not os.path.exists(a_ct.socket), 5)
    a_ct.start()
    two.wait_ready()
    assert two.serves("fw-a")
    # An heir that is ended gives the role away; one that is killed leaves it to the guardian.
    two.kill()
    assert a_ct.call("-C", a_ct.conf, "-k")[0] == 0
    wait_for("fw-b to serve", lambda: two.serves("fw-b") and not two.serves("fw-a"), 5)
    wait_for("it to end", lambda: a_ct.pid() is None and not os.path.exists(a_ct.lock), 5)
    two.ka["fw-a"].start()
    a_ct.start()
    wait_for("fw-a to serve", lambda: two.serves("fw-a") and not two.serves("fw-b"), 10)
    two.wait_ready()
    two.kill()
    two.wait_ready()
    os.kill(a_ct.pid(), signal.SIGKILL)
    wait_for("fw-b to serve", lambda: two.serves("fw-b") and not two.serves("fw-a"), 5)
    # Both at once.
    two.ka["fw-a"].start()
    a_ct.start()
    wait_for("fw-a to serve", lambda: two.serves("fw-a") and not two.serves("fw-b"), 10)
    two.wait_ready()
    for pid in (two.ka["fw-a"].process.pid, a_ct.pid()):
        os.kill(pid, signal.SIGKILL)
    two.ka["fw-a"].process.wait()
    wait_for("fw-b to serve", lambda: two.serves("fw-b") and not two.serves("fw-a"), 5)
    two.end_monitor()


def test_killed_again_and_again(lab):
    """A program that crashes as often as it is started: at any moment somebody serves, and in the end everything is well."""
    two = Two(lab, "keepalived")
    since = now_ns()
    pid = two.ct["fw-a"].pid()
    two.ka["fw-a"].process.kill()
    two.ka["fw-a"].process.wait()
    for n in range(10):
        process = lab["fw-a"].spawn(os.path.join(two.ka["fw-a"].bin, "keepalived"), "-n", "-l", "-f", two.ka["fw-a"].conf,
                                    "-p", two.ka["fw-a"].pid_file, "-r", two.ka["fw-a"].pid_file + "-vrrp", log="crashes")
        time.sleep(0.02 + n * 0.04)  # before, while and after it has taken over: the moments are the point
        process.kill()
        process.wait()
    wait_for("conntrackd to serve", lambda: roles(lab, two.ct["fw-a"]) == {"MASTER"} and two.serves("fw-a"), 8)
    two.back()
    two.wait_ready()
    two.check_quiet(since)
    assert two.ct["fw-a"].pid() == pid and not two.serves("fw-b")
    left = [p for p in lab["fw-a"].pids() if "kt-guardian" in open("/proc/%d/comm" % p, encoding="ascii").read()]
    assert len(left) == 1, left
