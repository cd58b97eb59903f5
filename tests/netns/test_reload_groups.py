"""SIGHUP under a running pair: groups, members, names, channel, hooks. (Broken files, lists and timers: test_reload.)"""

import signal
import time

import pytest

from conf import instance, lab_conf, text
from lab import VIP_LAN, VIP_WAN, wait_for
from wire import Tap

LINES = ("configuration reloaded", "was not reloaded")


def reload(daemon, conf=None):
    """Sends SIGHUP with this configuration (a dictionary, a text, or None for no file); True when it was taken."""
    before = sum(daemon.log().count(line) for line in LINES)
    taken = daemon.log().count(LINES[0])
    if conf is not None:
        daemon.write_conf(conf if isinstance(conf, str) else text(conf))
    daemon.signal(signal.SIGHUP)
    wait_for("the reload on %s to be judged" % daemon.router,
             lambda: sum(daemon.log().count(line) for line in LINES) > before, 3)
    assert daemon.alive()
    return daemon.log().count(LINES[0]) > taken


def groups(daemon):
    return {g["name"]: g for g in daemon.ask("show failover status")["groups"]}


def changes(daemon):
    return [(e["group"], e["from"], e["to"]) for e in daemon.ask("show failover history", limit=200)["entries"]
            if e["node"] == daemon.router]


def ready(pair):
    wait_for("both routers to be ready",
             lambda: all(g["ready"] for d in pair.daemons.values() for g in groups(d).values()), 10)


class Change:
    """Configurations of both routers, changed alike and reloaded on the backup first."""

    def __init__(self, lab, make_pair, **options):
        self.lab = lab
        self.pair = make_pair(start=False)
        self.conf = {name: lab_conf(lab, name, **options) for name in self.pair.daemons}
        for name, daemon in self.pair.daemons.items():
            daemon.write_conf(text(self.conf[name]))
        self.pair.start()
        ready(self.pair)

    def apply(self, change):
        for name in ("fw-b", "fw-a"):
            change(self.conf[name])
            assert reload(self.pair[name], self.conf[name]), self.pair[name].log()[-600:]


@pytest.fixture
def running(lab, make_pair):
    return Change(lab, make_pair)


def still(running, before):
    """No role moved: neither now nor within some master-down times."""
    pair = running.pair
    end = time.monotonic() + 0.8
    while time.monotonic() < end:
        assert pair.masters() == ["fw-a"]
        time.sleep(0.02)
    assert {n: changes(d) for n, d in pair.daemons.items()} == before


def test_addresses_come_and_go(running):
    tap = Tap(running.lab["client"], "eth0")
    before = {n: changes(d) for n, d in running.pair.daemons.items()}

    def more(conf):
        conf["vrrp"]["instances"][0]["virtual_addresses"] = ["10.0.1.1/24", "10.0.1.77/24"]

    def less(conf):
        conf["vrrp"]["instances"][0]["virtual_addresses"] = ["10.0.1.1/24"]

    running.apply(more)
    wait_for("the new address", lambda: running.lab["fw-a"].has_ip4("10.0.1.77"), 2)
    wait_for("its announcement", lambda: tap.arp("10.0.1.77"), 2)
    assert not running.lab["fw-b"].has_ip4("10.0.1.77")
    running.apply(less)
    wait_for("the address to go", lambda: not running.lab["fw-a"].has_ip4("10.0.1.77"), 2)
    still(running, before)


def test_member_joins_and_leaves_a_serving_group(running):
    tap = Tap(running.lab["client"], "eth0")
    before = {n: changes(d) for n, d in running.pair.daemons.items()}

    def join(conf):
        conf["vrrp"]["instances"].insert(0, instance("second", "lan0", 11, ["10.0.1.88/24"]))
        conf["vrrp"]["instances"].insert(0, instance("third", "wan0", 12, ["203.0.113.88/24"]))
        conf["vrrp"]["groups"][0]["members"] = ["second", "lan", "wan", "third"]

    def leave(conf):
        conf["vrrp"]["instances"] = conf["vrrp"]["instances"][2:]
        conf["vrrp"]["groups"][0]["members"] = ["lan", "wan"]

    running.apply(join)
    wait_for("the new address", lambda: running.lab["fw-a"].has_ip4("10.0.1.88"), 2)
    wait_for("adverts of the new member", lambda: len(tap.vrrp(vrid=11)) > 3, 2)
    ready(running.pair)
    still(running, before)
    running.apply(leave)
    wait_for("the address to go", lambda: not running.lab["fw-a"].has_ip4("10.0.1.88"), 2)
    assert tap.vrrp(vrid=11)[-1].priority == 0
    still(running, before)


def test_a_new_name_moves_nothing(running):
    tap = Tap(running.lab["client"], "eth0")
    before = {n: changes(d) for n, d in running.pair.daemons.items()}

    def rename(conf):
        conf["vrrp"]["groups"][0]["name"] = "border"

    running.apply(rename)
    still(running, before)
    assert list(groups(running.pair["fw-a"])) == ["border"]
    assert groups(running.pair["fw-a"])["border"]["role"] == "MASTER"
    assert all(a.priority for a in tap.vrrp(vrid=10))
    ready(running.pair)
    running.pair["fw-a"].ask("force failover")
    running.pair.wait_master("fw-b", 2)


def test_groups_come_split_and_change_places(running):
    pair = running.pair
    before = {n: changes(d) for n, d in pair.daemons.items()}

    def alone(conf):
        conf["vrrp"]["instances"].insert(0, instance("alone", "lan0", 30, ["10.0.1.99/24"]))

    def swap(conf):
        conf["vrrp"]["instances"].reverse()

    running.apply(alone)
    wait_for("the new group on fw-a", lambda: running.lab["fw-a"].has_ip4("10.0.1.99"), 5)
    for name in pair.daemons:
        assert ("alone", "BACKUP", "FAULT") not in changes(pair[name])
        assert [c for c in changes(pair[name]) if c[0] == "edge"] == [c for c in before[name] if c[0] == "edge"]
    ready(pair)
    before = {n: changes(d) for n, d in pair.daemons.items()}
    running.apply(swap)
    still(running, before)
    assert running.lab["fw-a"].has_ip4("10.0.1.99") and not running.lab["fw-b"].has_ip4("10.0.1.99")

    def split(conf):
        conf["vrrp"]["groups"] = [{"name": "left", "members": ["lan"]}, {"name": "right", "members": ["wan"]}]

    running.apply(split)
    wait_for("one master for every address", lambda: pair.masters() == ["fw-a"], 5)
    ready(pair)
    assert {g["role"] for g in groups(pair["fw-a"]).values()} == {"MASTER"}

    def drop(conf):
        conf["vrrp"]["instances"] = [i for i in conf["vrrp"]["instances"] if i["name"] != "alone"]

    running.apply(drop)
    wait_for("the address to go", lambda: not running.lab["fw-a"].has_ip4("10.0.1.99"), 2)
    assert set(groups(pair["fw-a"])) == {"left", "right"}


def test_channel_and_nodes(running):
    pair = running.pair
    before = {n: changes(d) for n, d in pair.daemons.items()}

    def third(conf):
        conf["nodes"].append({"id": 3, "name": "fw-c", "addresses": ["10.9.0.3"]})
        conf["channel"]["port"] = 4951

    def two(conf):
        del conf["nodes"][2]

    running.apply(third)
    wait_for("the channel on its new port", lambda: all(
        d.ask("show failover status")["peers"][0]["channel"] == "up" for d in pair.daemons.values()), 5)
    ready(pair)
    still(running, before)
    running.apply(two)
    assert len(pair["fw-a"].ask("show failover status")["peers"]) == 1
    ready(pair)
    still(running, before)
    pair["fw-a"].ask("force failover")
    pair.wait_master("fw-b", 2)


def test_what_needs_a_restart_is_refused(running):
    daemon = running.pair["fw-a"]
    before = {n: changes(d) for n, d in running.pair.daemons.items()}
    for key, value in (("run_dir", "/run/other"), ("id", 2)):
        conf = lab_conf(running.lab, "fw-a")
        conf["node"][key] = value
        assert not reload(daemon, conf), key
    conf = lab_conf(running.lab, "fw-a", replicate=False)
    assert not reload(daemon, conf)
    assert "restart" in daemon.log().split(LINES[1])[-1]
    still(running, before)


def test_hooks_and_log_level(running):
    daemon, lab = running.pair["fw-a"], running.lab
    mark = lab["fw-a"].dir + "/hook"

    def hooks(conf):
        conf["hooks"] = [{"on": "@on@", "exec": "@exec@"}]
        conf["node"]["log"]["level"] = "warning"

    hooks(running.conf["fw-a"])
    conf = text(running.conf["fw-a"]).replace('"@on@"', '( "role" )')
    conf = conf.replace('"@exec@"', '( "/bin/sh", "-c", "echo $HA_ROLE_OLD $HA_ROLE_NEW >> %s" )' % mark)
    before = daemon.log().count("configuration reloaded")
    daemon.write_conf(conf)
    daemon.signal(signal.SIGHUP)
    wait_for("the hook in the configuration", lambda: daemon.ask("show ipsec")["hooks"], 3)
    assert daemon.log().count("configuration reloaded") == before  # a notice
    daemon.ask("force failover")
    running.pair.wait_master("fw-b", 2)

    def said():
        try:
            with open(mark, encoding="ascii") as f:
                return f.read().split("\n")
        except FileNotFoundError:
            return []
    wait_for("the hook to run", lambda: "MASTER BACKUP" in said(), 3)
    assert daemon.stop() < 2
    assert said()[-2] == "BACKUP INIT"  # the last hook is not cut off by the end of the daemon


def test_reload_while_a_role_moves(running):
    """Neither is lost: the role change ends, then the file is taken."""
    pair = running.pair
    for name in ("fw-a", "fw-b"):
        for i in running.conf[name]["vrrp"]["instances"]:
            i["advert_interval"] = 0.09
        pair[name].write_conf(text(running.conf[name]))
    pair["fw-a"].ask("force failover")
    for name in ("fw-a", "fw-b"):
        pair[name].signal(signal.SIGHUP)
    for name in ("fw-a", "fw-b"):
        wait_for("the reload on " + name, lambda n=name: LINES[0] in pair[n].log(), 3)
    pair.wait_master("fw-b", 3)
    ready(pair)
    assert VIP_LAN in pair["fw-b"].machine.addresses("lan0")
    assert VIP_WAN in pair["fw-b"].machine.addresses("wan0")
