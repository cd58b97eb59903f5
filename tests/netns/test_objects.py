"""Routes, rules, excluded and static addresses: they follow the role, come back when lost, and go at the end."""

import os

import pytest

from conf import lab_conf, text
from keeptrackd import Daemon, group
from lab import ROUTERS, wait_for

ROUTES = ["default via 10.0.1.9 metric 77 src 10.0.1.1", "10.77.0.0/16 via 10.0.1.8 mtu lock 1400",
          "blackhole 10.78.0.0/16 table 100", "10.79.0.0/16 nexthop via 10.0.1.8 weight 2 nexthop via 10.0.1.9",
          "2001:db8:77::/48 via 2001:db8:5::2 dev lan0", "unreachable 2001:db8:78::/48"]
RULES = ["from 10.77.0.0/16 lookup 100 priority 500", "inet6 from 2001:db8:77::/48 lookup 100 priority 501",
         "fwmark 0x10/0xf0 ipproto tcp dport 80-90 lookup 100 priority 502"]
EXCLUDED = [{"address": "2001:db8:5::1/64"}, {"address": "10.5.0.1/32", "scope": "link"}]
STATIC = {"addresses": [{"address": "10.6.0.1/24", "interface": "lan0"}], "routes": ["10.66.0.0/16 via 10.6.0.2"],
          "rules": ["from 10.6.0.0/24 lookup 66 priority 600"]}
MOVING = len(ROUTES) + len(RULES) + len(EXCLUDED)
ALWAYS = 3


def ip(lab, router, *words):
    return lab[router].run("ip", *words)


def objects(lab, router):
    """Everything that bears our mark, as the kernel tells it: (what moves with the role, what is static)."""
    found = []
    for family in "-4", "-6":
        found += [line for line in ip(lab, router, family, "-o", "route", "show", "table", "all", "proto", "18").splitlines()
                  if line.strip()]
        found += [line for line in ip(lab, router, family, "rule", "show").splitlines()
                  if "proto keepalived" in line or "proto 18" in line]
    addresses = ip(lab, router, "-o", "address", "show", "dev", "lan0")
    found += [a for a in ("2001:db8:5::1/64", "10.5.0.1/32", "10.6.0.1/24") if a in addresses]
    static = [line for line in found if "10.6.0." in line or "10.66." in line]
    return len(found) - len(static), len(static)


def conf(lab, router, lost="restore", **more):
    c = lab_conf(lab, router)
    lan = c["vrrp"]["instances"][0]
    lan.update(excluded_addresses=EXCLUDED, routes=ROUTES, rules=RULES, address_lost=lost)
    c["vrrp"]["static"] = dict(STATIC, **more)
    return text(c)


def start(lab, lost="restore"):
    for router in ROUTERS:  # no virtual address of these tests may wait for the kernel's own default route
        lab[router].sysctl({"net/ipv6/conf/lan0/disable_ipv6": 0})
    daemons = {name: Daemon(lab, name, conf=conf(lab, name, lost)) for name in ROUTERS}
    for d in daemons.values():
        d.start()
    wait_for("fw-a to have everything and fw-b only what is static",
             lambda: [objects(lab, r) for r in ROUTERS] == [(MOVING, ALWAYS), (0, ALWAYS)], 15)
    return daemons


def whole(lab, router, seconds=6):
    wait_for("%s to have everything (has %s)" % (router, objects(lab, router)),
             lambda: objects(lab, router) == (MOVING, ALWAYS), seconds)


def test_objects_follow_the_role(lab):
    daemons = start(lab)
    wait_for("fw-b to be ready", lambda: group(daemons["fw-b"])["ready"], 10)
    daemons["fw-a"].ask("force failover")
    wait_for("everything to be on fw-b", lambda: [objects(lab, r) for r in ROUTERS] == [(0, ALWAYS), (MOVING, ALWAYS)], 10)
    shown = {o["text"]: o["state"] for i in daemons["fw-b"].ask("show vrrp")["instances"] for o in i["routes"]}
    assert len(shown) == len(ROUTES) + len(RULES) and set(shown.values()) == {"up"}, shown
    static = daemons["fw-b"].ask("show vrrp")["static"]
    assert [o["state"] for o in static] == ["up"] * ALWAYS, static
    # somebody flushes: the mark is not enough to be left alone, but everything comes back
    ip(lab, "fw-b", "route", "flush", "table", "all", "proto", "18")
    ip(lab, "fw-b", "-6", "route", "flush", "table", "all", "proto", "18")
    ip(lab, "fw-b", "rule", "del", "priority", "500")
    ip(lab, "fw-b", "rule", "del", "priority", "600")
    ip(lab, "fw-b", "address", "del", "10.5.0.1/32", "dev", "lan0")
    whole(lab, "fw-b")
    assert "was removed by somebody else: put back" in daemons["fw-b"].log()
    assert group(daemons["fw-b"])["role"] == "MASTER"
    assert group(daemons["fw-b"])["lost"]["count"] >= 3
    # the end: nothing of ours stays, on either router, whatever the role
    for d in daemons.values():
        d.stop()
    assert [objects(lab, r) for r in ROUTERS] == [(0, 0), (0, 0)]


def test_link_flap_alone(lab):
    """IPv4 routes die without an event when their link goes down or their source address leaves."""
    d = Daemon(lab, "fw-a", conf=conf(lab, "fw-a"))
    d.start()
    whole(lab, "fw-a", 15)
    ip(lab, "fw-a", "link", "set", "lan0", "down")
    wait_for("the fault", lambda: group(d)["role"] == "FAULT", 5)
    ip(lab, "fw-a", "link", "set", "lan0", "up")
    whole(lab, "fw-a", 15)
    # silent: the address goes, and with it the routes that name it as their source
    ip(lab, "fw-a", "address", "del", "10.0.1.1/24", "dev", "lan0")
    whole(lab, "fw-a", 5)


def test_somebody_elses_route(lab):
    """A route of somebody else in the place of ours is used, named, never deleted, and replaced when it goes."""
    ip(lab, "fw-a", "route", "add", "10.77.0.0/16", "via", "10.0.1.2")
    d = Daemon(lab, "fw-a", conf=conf(lab, "fw-a"))
    d.start()
    wait_for("all but one", lambda: objects(lab, "fw-a") == (MOVING - 1, ALWAYS), 15)
    wait_for("the master's word", lambda: group(d)["role"] == "MASTER" and not group(d)["degraded"], 5)
    foreign = [o for i in d.ask("show vrrp")["instances"] for o in i["routes"] if o["state"] == "foreign"]
    assert len(foreign) == 1 and "10.77.0.0/16" in foreign[0]["text"], foreign
    assert "set by somebody else" in d.log()
    ip(lab, "fw-a", "route", "del", "10.77.0.0/16")
    whole(lab, "fw-a", 8)
    ip(lab, "fw-a", "route", "add", "10.90.0.0/16", "via", "10.0.1.2")
    d.stop()
    assert "10.90.0.0/16" in ip(lab, "fw-a", "route", "show")


@pytest.mark.parametrize("what", ["address", "route"])
def test_yield(lab, what):
    """address_lost = "yield": whoever takes an address or a route from the master moves the role."""
    daemons = start(lab, lost="yield")
    wait_for("fw-b to be ready", lambda: group(daemons["fw-b"])["ready"], 10)
    if what == "address":
        ip(lab, "fw-a", "address", "del", "10.5.0.1/32", "dev", "lan0")
    else:
        ip(lab, "fw-a", "route", "del", "10.77.0.0/16")
    wait_for("everything to be on fw-b", lambda: [objects(lab, r) for r in ROUTERS] == [(0, ALWAYS), (MOVING, ALWAYS)], 10)
    assert "the role goes to the peer" in daemons["fw-a"].log()
    assert group(daemons["fw-a"])["reason"] == "addressLost", group(daemons["fw-a"])
    assert group(daemons["fw-a"])["lost"]["gave_role_away"]
    # alone there is nobody to yield to: put back
    daemons["fw-a"].stop()
    ip(lab, "fw-b", "route", "del", "10.77.0.0/16")
    whole(lab, "fw-b")
    assert "no peer is ready" in daemons["fw-b"].log()


def test_killed_and_restarted(lab):
    """After SIGKILL without a guardian's reason the objects are adopted; those configured no longer are removed."""
    d = Daemon(lab, "fw-a", conf=conf(lab, "fw-a"))
    d.start()
    whole(lab, "fw-a", 15)
    guardian = d.guardian()
    d.kill()
    wait_for("the guardian to end", lambda: not os.path.exists("/proc/%d" % guardian), 3)  # no peer: it leaves everything
    assert objects(lab, "fw-a") == (MOVING, ALWAYS)
    c = lab_conf(lab, "fw-a")
    c["vrrp"]["instances"][0].update(routes=ROUTES[1:2])
    d = Daemon(lab, "fw-a", conf=text(c))
    d.start()
    wait_for("only the one route that is still configured", lambda: objects(lab, "fw-a") == (1, 0), 10)
    assert "of an earlier process are still here" in d.log()


def test_killed_master(lab):
    """With a ready peer the guardian of a killed master takes everything that moves with the role away."""
    daemons = start(lab)
    wait_for("fw-b to be ready", lambda: group(daemons["fw-b"])["ready"], 10)
    daemons["fw-a"].kill()
    wait_for("everything to be on fw-b and nothing of the role on fw-a",
             lambda: [objects(lab, r)[0] for r in ROUTERS] == [0, MOVING], 10)


@pytest.mark.parametrize("on", [True, False])
def test_promote_secondaries(lab, on):
    """The setting is made where our addresses go, as configured, and put back at the end."""
    path = "net/ipv4/conf/lan0/promote_secondaries"

    def now():
        return lab["fw-a"].run("cat", "/proc/sys/" + path).strip()
    lab["fw-a"].sysctl({path: 0})
    c = lab_conf(lab, "fw-a")
    c["vrrp"]["promote_secondaries"] = on
    d = Daemon(lab, "fw-a", conf=text(c))
    d.start()
    wait_for("the master", lambda: group(d)["role"] == "MASTER" and group(d)["state"] == "stable", 10)
    if on:
        wait_for("the setting", lambda: now() == "1", 3)
    assert now() == ("1" if on else "0")
    d.stop()
    assert now() == "0"
