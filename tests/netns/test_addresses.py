"""Addresses in the real kernel: some that cannot be added, others' addresses, what the kernel deletes by itself."""

import time

import pytest

from conf import instance, lab_conf, text
from keeptrackd import Daemon, group
from lab import ROUTERS, VIP_LAN, VIP_WAN, now_ns, wait_for
from wire import Tap

EXTRA = "dark0"  # one more interface of each router, for addresses that are not on an instance's interface
LAST = "2001:db8:50::50"


def shown(daemon):
    """{address: (state, error)} of show vrrp."""
    return {a["address"].split("/")[0]: (a["state"], a["error"])
            for i in daemon.ask("show vrrp")["instances"] for a in i["addresses"]}


def add_extra(lab):
    for router in ROUTERS:
        lab[router].ip("link add %s type veth peer name dark1" % EXTRA, "link set %s up" % EXTRA, "link set dark1 up")


def set_ipv6(lab, router, on):
    lab[router].sysctl({"net/ipv6/conf/%s/disable_ipv6" % EXTRA: 0 if on else 1})


def fifty(lab, router, preempt=True):
    """50 virtual addresses: 25 IPv4 and 24 IPv6 ones on lan0, and one on an interface that may refuse it."""
    conf = lab_conf(lab, router)
    last = {"address": LAST + "/64", "interface": EXTRA}
    instances = [instance("lan", "lan0", 10, ["10.50.0.%d/24" % (i + 1) for i in range(25)]),
                 instance("lan6", "lan0", 10, ["fe80::50/64"] + ["2001:db8:50::%x/64" % (i + 1) for i in range(23)]
                          + [last], family="ipv6")]
    conf["vrrp"] = {"instances": instances,
                    "groups": [{"name": "edge", "members": ["lan", "lan6"], "preempt": preempt}]}
    return conf


def fifty_held(lab, router):
    """How many of the 50 the kernel of a router has."""
    found = lab[router].addresses("lan0") + lab[router].addresses(EXTRA)
    text_of_all = set(found)
    with open("/proc/%d/net/if_inet6" % lab[router].holder.pid, encoding="ascii") as f:
        link_local = "fe800000000000000000000000000050" in f.read()
    return sum(a.startswith(("10.50.0.", "2001:db8:50:")) for a in text_of_all) + link_local


def start_fifty(lab, refusing, preempt=True):
    add_extra(lab)
    set_ipv6(lab, refusing, False)
    return {name: Daemon(lab, name, conf=text(fifty(lab, name, preempt))) for name in ROUTERS}


def test_one_of_fifty_refused_with_a_peer(lab):
    daemons = start_fifty(lab, "fw-a", preempt=False)
    daemons["fw-b"].start()
    wait_for("fw-b to serve all 50", lambda: fifty_held(lab, "fw-b") == 50, 10)
    daemons["fw-a"].start()
    wait_for("fw-a to be ready", lambda: group(daemons["fw-a"])["ready"], 10)
    for _ in range(2):
        daemons["fw-a"].ask("force failover")
        wait_for("the try to be over", lambda: group(daemons["fw-a"])["role"] != "MASTER"
                 and group(daemons["fw-a"])["state"] == "stable" and group(daemons["fw-b"])["role"] == "MASTER"
                 and group(daemons["fw-b"])["state"] == "stable" and fifty_held(lab, "fw-b") == 50
                 and fifty_held(lab, "fw-a") == 0, 1.0)
    assert "2001:db8:50::50" in daemons["fw-a"].log()


def test_one_of_fifty_lost_on_a_master_with_a_peer(lab):
    daemons = start_fifty(lab, "fw-a", preempt=True)
    set_ipv6(lab, "fw-a", True)
    for daemon in daemons.values():
        daemon.start()
    wait_for("fw-a to serve all 50", lambda: fifty_held(lab, "fw-a") == 50 and fifty_held(lab, "fw-b") == 0, 10)
    wait_for("both to be ready", lambda: all(group(d)["ready"] for d in daemons.values()), 10)
    set_ipv6(lab, "fw-a", False)
    wait_for("fw-b to serve all 50",
             lambda: fifty_held(lab, "fw-b") == 50 and group(daemons["fw-b"])["role"] == "MASTER", 1.0)
    wait_for("fw-a to have removed its 49", lambda: fifty_held(lab, "fw-a") == 0, 1)
    # It has the higher priority, but what it gave away it does not take back by itself.
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        assert fifty_held(lab, "fw-b") == 50 and fifty_held(lab, "fw-a") == 0
    entry = next(e for e in daemons["fw-b"].ask("show failover history")["entries"] if e["node"] == "fw-b")
    assert (entry["kind"], entry["to"], entry["outcome"]) == ("planned", "MASTER", "ok"), entry


def test_one_of_fifty_lost_on_both_routers(lab):
    """The role comes to rest somewhere, with 49 addresses."""
    daemons = start_fifty(lab, "fw-a")
    set_ipv6(lab, "fw-a", True)
    for daemon in daemons.values():
        daemon.start()
    wait_for("both to be ready", lambda: all(group(d)["ready"] for d in daemons.values())
             and fifty_held(lab, "fw-a") == 50, 10)
    for router in ROUTERS:
        set_ipv6(lab, router, False)

    def changes():
        return sum(len(i) for i in [d.ask("show failover history", limit=1000)["entries"] for d in daemons.values()])

    def masters():
        return sum(fifty_held(lab, router) == 49 for router in ROUTERS)

    wait_for("49 on one of them", lambda: masters() == 1, 3)
    begin, still, before = now_ns(), now_ns(), changes()
    while now_ns() - still < 1e9:
        if changes() != before:
            before, still = changes(), now_ns()
        assert now_ns() - begin < 8e9, "the role does not come to rest"
        time.sleep(0.05)
    assert masters() == 1
    assert sum(group(d)["role"] == "MASTER" for d in daemons.values()) == 1


def test_one_of_fifty_refused_alone(lab):
    daemon = start_fifty(lab, "fw-a")["fw-a"].start()
    wait_for("49 addresses", lambda: fifty_held(lab, "fw-a") == 49, 5)
    wait_for("the role", lambda: group(daemon)["role"] == "MASTER" and group(daemon)["state"] == "stable", 2)
    states = shown(daemon)
    missing = {a: s for a, s in states.items() if s[0] != "up"}
    assert len(states) == 50 and list(missing) == [LAST], missing
    assert missing[LAST][0] == "missing" and missing[LAST][1], missing
    status = group(daemon)
    assert status["degraded"] and LAST in status["detail"], status
    assert LAST in daemon.log() and "1 of 50" in daemon.log()
    code, out = daemon.ktsh_raw("show", "vrrp")
    assert code == 0 and LAST in out, out
    # It is tried again, and comes when the reason is gone.
    set_ipv6(lab, "fw-a", True)
    wait_for("all 50", lambda: fifty_held(lab, "fw-a") == 50, 7)
    wait_for("the show command to say so", lambda: shown(daemon)[LAST] == ("up", "")
             and not group(daemon)["degraded"], 2)
    daemon.stop()
    assert fifty_held(lab, "fw-a") == 0


def test_somebody_elses_address_is_used_and_never_deleted(lab, make_pair):
    lab["fw-a"].ip("addr add 10.0.1.1/24 dev lan0")
    pair = make_pair(preempt=False)
    wait_for("both to be ready", lambda: all(group(d)["ready"] for d in pair.daemons.values()), 10)
    assert shown(pair["fw-a"]) == {"10.0.1.1": ("foreign", ""), "203.0.113.1": ("up", "")}
    assert "10.0.1.1/24" in pair["fw-a"].log() and "somebody else" in pair["fw-a"].log()
    pair["fw-a"].ask("force failover")
    wait_for("fw-b to hold the addresses", pair["fw-b"].has_vips, 2)
    wait_for("fw-a to be at rest", lambda: group(pair["fw-a"])["role"] == "BACKUP"
             and not lab["fw-a"].has_ip4(VIP_WAN), 2)
    assert lab["fw-a"].has_ip4(VIP_LAN)
    pair["fw-a"].stop()
    assert lab["fw-a"].has_ip4(VIP_LAN)
    # And after SIGKILL, by the guardian or the next start.
    pair["fw-a"].start()
    wait_for("fw-a to be ready", lambda: group(pair["fw-a"])["ready"], 10)
    pair["fw-a"].ask("force failover")
    wait_for("fw-a to be master", lambda: group(pair["fw-a"])["role"] == "MASTER", 2)
    wait_for("fw-b to be ready", lambda: group(pair["fw-b"])["ready"], 10)
    pair["fw-a"].kill()
    wait_for("fw-b to hold the addresses", pair["fw-b"].has_vips, 2)
    wait_for("the guardian to have done its work", lambda: not lab["fw-a"].has_ip4(VIP_WAN), 2)
    pair["fw-a"].start()
    wait_for("fw-a to be ready", lambda: group(pair["fw-a"])["ready"], 10)
    assert lab["fw-a"].has_ip4(VIP_LAN)


def test_others_addresses_survive_our_comings_and_goings(lab, make_pair):
    """Addresses that are not configured here: on the same interface, in the same subnet, before and after ours."""
    others = ["10.0.1.70/24", "10.0.1.71/32", "10.70.0.1/24", "2001:db8:70::1/64"]
    lab["fw-a"].ip(*("addr add %s dev lan0" % a for a in others[:2]))
    pair = make_pair(preempt=False)
    lab["fw-a"].ip(*("addr add %s dev lan0" % a for a in others[2:]))
    wait_for("both to be ready", lambda: all(group(d)["ready"] for d in pair.daemons.values()), 10)
    pair["fw-a"].ask("force failover")
    pair.wait_master("fw-b", 2)
    pair["fw-a"].stop()
    left = lab["fw-a"].addresses("lan0")
    assert all(a.split("/")[0] in left for a in others), left


def test_somebody_elses_address_behind_ours_in_the_subnet(lab, make_pair):
    """The kernel would delete it together with ours, which came first; also when the guardian does it."""
    pair = make_pair(start=False, preempt=False)
    for name in ROUTERS:
        conf = lab_conf(lab, name)
        conf["vrrp"]["instances"][0]["virtual_addresses"] = ["10.0.1.1/24", "10.65.0.1/24"]
        conf["vrrp"]["groups"][0]["preempt"] = False
        pair[name].write_conf(text(conf))
    pair.start()
    lab["fw-a"].ip("addr add 10.65.0.9/24 dev lan0")
    wait_for("both to be ready", lambda: all(group(d)["ready"] for d in pair.daemons.values()), 10)
    pair["fw-a"].ask("force failover")
    pair.wait_master("fw-b", 2)
    wait_for("the addresses of fw-a to be as they should",
             lambda: lab["fw-a"].has_ip4("10.65.0.9") and not lab["fw-a"].has_ip4("10.65.0.1"), 2)
    lab["fw-b"].ip("addr add 10.65.0.8/24 dev lan0")
    wait_for("fw-a to be ready", lambda: group(pair["fw-a"])["ready"] and not group(pair["fw-a"])["degraded"], 10)
    pair["fw-b"].kill()
    pair.wait_master("fw-a", 2)
    assert lab["fw-b"].has_ip4("10.65.0.8") and not lab["fw-b"].has_ip4("10.65.0.1")


def lone(lab, vips, **more):
    """fw-a alone, with addresses on lan0."""
    conf = lab_conf(lab, "fw-a", peer=False)
    conf["vrrp"] = {"instances": [instance("lan", "lan0", 10, vips, **more)]}
    daemon = Daemon(lab, "fw-a", conf=text(conf)).start()
    wait_for("the role", lambda: group(daemon)["role"] == "MASTER" and group(daemon)["state"] == "stable", 5)
    return daemon


def test_deleted_by_somebody_else(lab):
    daemon = lone(lab, ["10.0.1.1/24"])
    tap = Tap(lab["client"], "eth0")
    for _ in range(5):
        begin = now_ns()
        lab["fw-a"].ip("addr del 10.0.1.1/24 dev lan0")
        wait_for("the address to be back", lambda: lab["fw-a"].has_ip4("10.0.1.1"), 0.5, 0.002)
        wait_for("its announcement", lambda b=begin: [a for a in tap.arp("10.0.1.1", b) if a[2]], 0.5)
    assert group(daemon)["role"] == "MASTER" and shown(daemon)["10.0.1.1"] == ("up", "")
    wait_for("adverts", lambda: len(tap.vrrp()) > 2, 1)
    assert {a.priority for a in tap.vrrp()} == {150}


@pytest.mark.parametrize("promote", [0, 1])
def test_secondaries_die_with_their_primary(lab, promote):
    """The kernel deletes a subnet's later addresses together with its first one, unless told otherwise."""
    lab["fw-a"].ip("addr add 10.60.0.9/24 dev lan0")
    vips = ["10.60.0.1", "10.60.0.2", "10.61.0.1", "10.61.0.2", "10.61.0.3"]
    daemon = lone(lab, [v + "/24" for v in vips])
    assert lab["fw-a"].has_ip4(*vips)
    # The daemon asks the kernel to keep them; somebody may have changed his mind about that.
    path = "/proc/sys/net/ipv4/conf/lan0/promote_secondaries"
    wait_for("the kernel to be asked to keep them", lambda: lab["fw-a"].run("cat", path) == "1\n", 1)
    lab["fw-a"].sysctl({"net/ipv4/conf/lan0/promote_secondaries": promote,
                        "net/ipv4/conf/all/promote_secondaries": promote})
    lab["fw-a"].ip("addr del 10.60.0.9/24 dev lan0")  # somebody's first address, ours behind it
    wait_for("ours to be back", lambda: lab["fw-a"].has_ip4(*vips), 0.5, 0.002)
    lab["fw-a"].ip("addr del 10.61.0.1/24 dev lan0")  # one of ours, others of ours behind it
    wait_for("ours to be back", lambda: lab["fw-a"].has_ip4(*vips), 0.5, 0.002)
    lab["fw-a"].run("ip", "-force", "-batch", "-", check=False,
                    text="".join("addr del %s/24 dev lan0\n" % v for v in vips))
    wait_for("ours to be back", lambda: lab["fw-a"].has_ip4(*vips), 0.5, 0.002)
    assert {s for s, _ in shown(daemon).values()} == {"up"}
    assert daemon.stop() < 1
    left = lab["fw-a"].addresses("lan0")
    assert not [a for a in left if a.startswith(("10.60.", "10.61."))], left


def test_ipv6_addresses_come_back_after_link_down(lab):
    """The kernel drops IPv6 addresses when an interface goes down, IPv4 ones stay."""
    add_extra(lab)
    vips = ["fe80::99/64", "2001:db8:1::99/64", {"address": "2001:db8:77::1/64", "interface": EXTRA}]
    daemon = lone(lab, vips, family="ipv6")
    machine = lab["fw-a"]

    def held():
        return "2001:db8:1::99" in machine.addresses("lan0") and "2001:db8:77::1" in machine.addresses(EXTRA)

    assert held()
    flags = machine.run("ip", "-6", "addr", "show", "dev", "lan0", "to", "2001:db8:1::99")
    assert "nodad" in flags and "tentative" not in flags, flags
    machine.ip("link set %s down" % EXTRA)
    machine.ip("link set %s up" % EXTRA)
    wait_for("the address beside the instance's interface to be back", held, 2)
    machine.ip("link set lan0 down", "link set lan0 up")
    wait_for("the addresses to be back", held, 3)
    wait_for("the role", lambda: group(daemon)["role"] == "MASTER", 3)
    assert {s for s, _ in shown(daemon).values()} == {"up"}


def test_ipv6_pair(lab):
    """A group of IPv4 and IPv6 members moves as one; the new master announces every address."""
    daemons = {name: Daemon(lab, name, conf=text(lab_conf(lab, name, ipv6=True))) for name in ROUTERS}
    for daemon in daemons.values():
        daemon.start()
    wait_for("both to be ready", lambda: all(group(d)["ready"] for d in daemons.values())
             and group(daemons["fw-a"])["role"] == "MASTER", 10)
    tap = Tap(lab["client"], "eth0")
    begin = now_ns()
    daemons["fw-a"].ask("force failover")

    def six(router):
        return "2001:db8:1::1" in lab[router].addresses("lan0") and "2001:db8:2::1" in lab[router].addresses("wan0")

    wait_for("fw-b to hold everything", lambda: six("fw-b") and daemons["fw-b"].has_vips()
             and not six("fw-a") and not daemons["fw-a"].has_vips(), 2)
    mac = lab.mac("fw-b", "lan0")

    def announced():
        """Targets of unsolicited neighbour advertisements to all nodes that override (RFC 4861 4.4)."""
        found = set()
        for f in tap.read():
            p = f.raw[14:]
            if f.t_ns > begin and f.type == 0x86dd and f.src == mac and p[6] == 58 and p[40] == 136:
                assert p[7] == 255 and p[24] == 0xff and p[44] & 0x20, "hop limit, multicast, override"
                found.add(p[48:64].hex())
        return found

    wanted = {"fe800000000000000000000000010001", "20010db8000100000000000000000001"}
    wait_for("the announcements", lambda: wanted <= announced(), 2)
    adverts = tap.vrrp(begin, af=6, mac=mac)
    assert adverts and all(a.ttl == 255 and a.vips == ["fe80::1:1", "2001:db8:1::1"] for a in adverts), adverts
    lab["client"].run("ping", "-6", "-c", "1", "-W", "2", "2001:db8:1::1")


def test_a_flood_of_foreign_changes(lab):
    """More events than the route socket holds: the model is read anew, and our address is where it belongs."""
    daemon = lone(lab, ["10.0.1.1/24"])
    lab["fw-a"].ip(*("addr add 10.80.%d.%d/32 dev lo" % (i // 250, i % 250 + 1) for i in range(2500)),
                   "addr del 10.0.1.1/24 dev lan0", "addr flush dev lo to 10.80.0.0/16")
    wait_for("the address", lambda: lab["fw-a"].has_ip4("10.0.1.1"), 2)
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        assert group(daemon)["role"] == "MASTER"
