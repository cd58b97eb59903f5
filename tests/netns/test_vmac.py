"""Virtual MACs on real routers: who answers for what, what a backup forwards, and interfaces that come, go and change."""

import json
import signal
import socket
import struct
import time

import pytest

from conftest import build_dir, sanitizer_reports
from conf import lab_conf, text
from keeptrackd import Daemon
from lab import CLIENT, Lab, MACHINES, ROUTER_RULES, ROUTERS, SERVER, VIP_LAN, VIP_WAN, now_ns, wait_for
from wire import Sender, Tap

VMAC, VMAC_WAN, VMAC6 = "00:00:5e:00:01:0a", "00:00:5e:00:01:14", "00:00:5e:00:02:0a"
# What hosts send to the virtual MAC arrives on its interface: a rule that names the base names it as well.
RULES = ROUTER_RULES.replace('iifname "lan0"', 'iifname { "lan0", "vrrp.10", "vrrp6.10" }')
VIP6, LINK_VIP6 = "2001:db8:1::1", "fe80::1:1"


@pytest.fixture
def lab():
    made = Lab(build_dir(), rules=RULES)
    yield made
    found = sanitizer_reports(made)
    made.close()
    assert not found, "\n".join(found)


def vmac_conf(lab, router, ipv6=False, vmac=None, peer=True, **more):
    conf = lab_conf(lab, router, ipv6=ipv6, peer=peer)
    for i in conf["vrrp"]["instances"]:
        if vmac is not False:
            i["virtual_mac"] = vmac or {}
        i.update(more)
    return conf


def start(lab, **options):
    pair = {name: Daemon(lab, name, conf=text(vmac_conf(lab, name, **options))) for name in ROUTERS}
    for daemon in pair.values():
        daemon.start()
    wait_master(lab, "fw-a")
    wait_for("both to be ready", lambda: all(
        d.ask("show failover status")["groups"][0]["ready"] for d in pair.values()), 10)
    return pair


def wait_master(lab, name, seconds=10.0):
    wait_for("%s to hold the addresses alone" % name,
             lambda: [r for r in ROUTERS if lab[r].has_ip4(VIP_LAN, VIP_WAN)] == [name], seconds)


def links(machine):
    return {l["ifname"]: l for l in json.loads(machine.run("ip", "-d", "-j", "link", "show"))}


def is_up(machine, name):
    link = links(machine).get(name)
    return link is not None and "UP" in link["flags"]


def sysctl(machine, path):
    return int(machine.run("cat", "/proc/sys/net/" + path))


def mac_bytes(mac):
    return bytes(int(b, 16) for b in mac.split(":"))


def who_has(lab, ip, tap):
    """MACs that answer the client's question for an address; its question is sent once."""
    me = mac_bytes(MACHINES["client"]["eth0"][1])
    frame = (b"\xff" * 6 + me + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 1) + me + socket.inet_aton(CLIENT)
             + bytes(6) + socket.inet_aton(ip)).ljust(60, b"\0")
    since = now_ns()
    Sender(lab["client"], "eth0").send(frame)
    wait_for("an answer for " + ip, lambda: tap.arp(ip, since), 2)
    time.sleep(0.05)  # a second answer would come at the same time as the first
    return sorted({mac for _, mac, _ in tap.arp(ip, since)})


def ping(machine, address, seconds=1):
    return " 1 received" in machine.run("ping", "-n", "-c", "1", "-W", str(seconds), address, check=False)


def silent(machine, address):
    return not ping(machine, address, 0.2)


def udp(mac, dst, sport):
    """A frame of the client to a MAC, with a UDP packet to somebody behind the router."""
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 30, sport, 0, 64, 17, 0, socket.inet_aton(CLIENT),
                     socket.inet_aton(dst))
    total = sum(struct.unpack("!10H", ip))
    total = (total & 0xffff) + (total >> 16)
    ip = ip[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + ip[12:]
    return (mac_bytes(mac) + mac_bytes(MACHINES["client"]["eth0"][1]) + b"\x08\x00" + ip
            + struct.pack("!HHHH2s", sport, 9, 10, 0, b"kt")).ljust(60, b"\0")


def forwarded(tap, since, outgoing):
    """Packets of udp() that passed an interface, from whichever MAC."""
    return [f for f in tap.read() if f.t_ns >= since and f.outgoing == outgoing and f.type == 0x0800
            and f.raw[23] == 17 and f.raw[36:38] == b"\x00\x09"]


def flood_switch(lab):
    """The switch learns nothing any more and has forgotten everything: every frame goes to every port."""
    switch = lab["switch"]
    for router in ROUTERS + ("client",):
        for interface, (end, _, _) in MACHINES[router].items():
            if end.startswith("br-"):
                port = lab.port(router, interface)
                switch.run("sh", "-c", "echo 0 > /sys/class/net/%s/brport/learning; echo 1 > "
                           "/sys/class/net/%s/brport/flush" % (port, port))


# ---- who answers, and with what

def test_hosts_and_translated_traffic_know_one_mac(lab):
    """Ping, NAT and IPv6 through the pair with a strict reverse path filter; no neighbour learns anything new."""
    for router in ROUTERS:
        lab[router].sysctl({"net/ipv4/conf/all/rp_filter": 1})
    client, server = Tap(lab["client"], "eth0"), Tap(lab["server"], "eth0")
    pair = start(lab, ipv6=True)
    lab["client"].ip("route add 2001:db8:2::/64 via %s dev eth0" % LINK_VIP6)
    lab["server"].ip("route add 2001:db8:1::/64 via fe80::2:1 dev eth0")

    def all_work():
        return (ping(lab["client"], VIP_LAN) and ping(lab["client"], SERVER) and ping(lab["client"], VIP6)
                and ping(lab["client"], LINK_VIP6 + "%eth0") and ping(lab["client"], "2001:db8:2::10"))

    wait_for("everything through fw-a", all_work, 10)
    assert who_has(lab, VIP_LAN, client) == [VMAC]
    assert who_has(lab, "10.0.1.2", client) == [lab.mac("fw-a", "lan0")]
    adverts = client.vrrp(src="10.0.1.2", vrid=10)
    assert adverts and {a.mac for a in adverts} == {VMAC}
    assert {a.mac for a in client.vrrp(af=6, vrid=10)} == {VMAC6}
    assert is_up(lab["fw-a"], "vrrp.10") and not is_up(lab["fw-b"], "vrrp.10")
    # The router looks for its next hop on behalf of a translated packet: never with the base's MAC.
    lab["fw-a"].run("ip", "neigh", "flush", "all")
    assert ping(lab["client"], SERVER)
    assert pair["fw-a"].ktsh_raw("force", "failover")[0] == 0
    wait_master(lab, "fw-b")
    wait_for("everything through fw-b", all_work, 10)
    assert who_has(lab, VIP_LAN, client) == [VMAC]
    lab["fw-b"].run("ip", "neigh", "flush", "all")
    assert ping(lab["client"], SERVER)
    assert {mac for _, mac, _ in client.arp(VIP_LAN)} == {VMAC}
    assert {mac for _, mac, _ in server.arp(VIP_WAN)} == {VMAC_WAN}
    neighbours = lab["client"].run("ip", "neigh", "show", VIP6) + lab["client"].run("ip", "neigh", "show", LINK_VIP6)
    assert neighbours.count(VMAC6) == 2
    # Only one router's base ever spoke for itself; nobody has an address that the kernel made up.
    made_up = lab["fw-b"].run("ip", "-6", "addr", "show", "dev", "vrrp6.10")
    assert "fe80::200" not in made_up and "tentative" not in made_up


def test_the_settings_are_what_does_it(lab):
    """Negative control: with the base's old settings it answers for the virtual address as well."""
    client, server = Tap(lab["client"], "eth0"), Tap(lab["server"], "eth0")
    start(lab)
    lab["fw-a"].sysctl({"net/ipv4/conf/lan0/arp_ignore": 0, "net/ipv4/conf/wan0/arp_announce": 0})
    assert who_has(lab, VIP_LAN, client) == [VMAC, lab.mac("fw-a", "lan0")]
    lab["fw-a"].run("ip", "neigh", "flush", "all")
    since = now_ns()
    assert ping(lab["client"], SERVER)
    assert lab.mac("fw-a", "wan0") in {mac for _, mac, _ in server.arp(VIP_WAN, since)}


def test_without_a_virtual_mac_neighbours_have_to_learn(lab):
    """Negative control for the one MAC."""
    tap = Tap(lab["client"], "eth0")
    pair = start(lab, vmac=False)
    assert pair["fw-a"].ktsh_raw("force", "failover")[0] == 0
    wait_master(lab, "fw-b")
    wait_for("the announcement", lambda: lab.mac("fw-b", "lan0") in {mac for _, mac, _ in tap.arp(VIP_LAN)}, 2)
    assert lab.mac("fw-a", "lan0") in {mac for _, mac, _ in tap.arp(VIP_LAN)}


# ---- a backup forwards nothing

def send_1000(lab, master, backup, dead=False):
    """1000 frames to the virtual MAC over a switch that floods: (forwarded by the master, by the backup)."""
    taps = {name: Tap(lab[name], "wan0") for name in ROUTERS}
    sender = Sender(lab["client"], "eth0")
    flood_switch(lab)
    since = now_ns()
    for i in range(1000):
        sender.send(udp(VMAC, SERVER, 20000 + i))
        if i % 100 == 99:  # the queue of a veth is short
            wait_for("the frames to pass", lambda n=i + 1: len(forwarded(taps[master], since, True)) == n, 3, 0.002)
    return len(forwarded(taps[master], since, True)), len(forwarded(taps[backup], since, True))


def test_a_backup_forwards_nothing(lab):
    pair = start(lab)
    assert send_1000(lab, "fw-a", "fw-b") == (1000, 0)
    # Killed: its guardian takes the interface down, and the kernel forwards nothing without a process.
    wait_for("a ready backup", lambda: pair["fw-b"].ask("show failover status")["groups"][0]["ready"], 5)
    pair["fw-a"].kill()
    wait_master(lab, "fw-b")
    wait_for("the guardian", lambda: not is_up(lab["fw-a"], "vrrp.10"), 2)
    assert send_1000(lab, "fw-b", "fw-a") == (1000, 0)
    pair["fw-a"].start()  # the next process takes over what is left of it
    wait_master(lab, "fw-a", 20)
    wait_for("everything in its place", lambda: serves(lab, "fw-a"), 2)


def test_an_interface_that_is_up_would_forward(lab):
    """Negative control; and a backup whose interface somebody else takes up takes it down again."""
    pair = start(lab)
    pair["fw-b"].signal(signal.SIGSTOP)
    lab["fw-b"].run("ip", "link", "set", "vrrp.10", "up")
    assert send_1000(lab, "fw-a", "fw-b") == (1000, 1000)
    pair["fw-b"].signal(signal.SIGCONT)
    wait_for("the interface to be down", lambda: not is_up(lab["fw-b"], "vrrp.10"), 3)
    assert lab["fw-a"].has_ip4(VIP_LAN)


# ---- settings come and go

def base_settings(machine):
    return {(b, k): sysctl(machine, "ipv4/conf/%s/%s" % (b, k)) for b in ("lan0", "wan0")
            for k in ("arp_ignore", "arp_announce")}


def test_settings_come_back(lab):
    """At the end, after a reload without virtual MACs, and by the next process after a crash; others' changes stay."""
    router = lab["fw-a"]
    router.sysctl({"net/ipv4/conf/lan0/arp_announce": 1})
    before = base_settings(router)
    daemon = Daemon(lab, "fw-a", conf=text(vmac_conf(lab, "fw-a", peer=False)))
    plain = text(vmac_conf(lab, "fw-a", peer=False, vmac=False))
    daemon.start()
    wait_for("master", lambda: router.has_ip4(VIP_LAN))
    assert set(base_settings(router).items()) == {(("lan0", "arp_ignore"), 1), (("lan0", "arp_announce"), 2),
                                                  (("wan0", "arp_ignore"), 1), (("wan0", "arp_announce"), 2)}
    daemon.stop()
    assert base_settings(router) == before
    assert "vrrp.10" not in links(router)
    daemon.start()
    wait_for("master", lambda: router.has_ip4(VIP_LAN))
    daemon.write_conf(plain)
    daemon.signal(signal.SIGHUP)
    wait_for("the interface to go", lambda: "vrrp.10" not in links(router), 5)
    wait_for("the old settings", lambda: base_settings(router) == before, 2)
    assert router.has_ip4(VIP_LAN)
    daemon.write_conf(text(vmac_conf(lab, "fw-a", peer=False)))
    daemon.signal(signal.SIGHUP)
    wait_for("the interface", lambda: is_up(router, "vrrp.10"), 5)
    wait_for("the new settings", lambda: base_settings(router) != before, 2)
    daemon.kill()
    assert is_up(router, "vrrp.10")  # nobody else serves: everything stays
    router.sysctl({"net/ipv4/conf/wan0/arp_ignore": 2})
    daemon.write_conf(plain)
    daemon.start()
    wait_for("the interface to go", lambda: "vrrp.10" not in links(router), 5)
    before[("wan0", "arp_ignore")] = 2
    wait_for("the old settings", lambda: base_settings(router) == before, 5)


def test_a_lone_router_that_was_killed_serves_on(lab):
    daemon = Daemon(lab, "fw-a", conf=text(vmac_conf(lab, "fw-a", peer=False)))
    daemon.start()
    wait_for("master", lambda: lab["fw-a"].has_ip4(VIP_LAN))
    index = links(lab["fw-a"])["vrrp.10"]["ifindex"]
    daemon.kill()
    assert ping(lab["client"], VIP_LAN)
    daemon.start()
    wait_for("master", lambda: daemon.ask("show vrrp")["instances"][0]["state"] == "MASTER", 5)
    assert links(lab["fw-a"])["vrrp.10"]["ifindex"] == index and ping(lab["client"], VIP_LAN)


# ---- interfaces that come, go and change

def unplug(lab, router, interface="lan0"):
    lab[router].run("ip", "link", "del", interface)


def replug(lab, router, interface="lan0", port=None):
    """The interface is made anew, as when a card is plugged in."""
    bridge, mac, addresses = MACHINES[router][interface]
    switch, machine, port = lab["switch"], lab[router], port or lab.port(router, interface)
    machine.ip("link add %s address %s type veth peer name %s netns %d" % (interface, mac, port, switch.holder.pid))
    switch.ip("link set %s master %s up" % (port, bridge))
    machine.ip("link set %s up" % interface, *("addr add %s dev %s%s" % (a, interface, " nodad" if ":" in a else "")
                                               for a in addresses))


def serves(lab, router):
    return (lab[router].has_ip4(VIP_LAN, VIP_WAN) and is_up(lab[router], "vrrp.10")
            and sysctl(lab[router], "ipv4/conf/lan0/arp_ignore") == 1
            and sysctl(lab[router], "ipv4/conf/vrrp.10/arp_ignore") == 1)


def test_a_base_that_comes_later_and_comes_back(lab):
    unplug(lab, "fw-a")
    pair = {name: Daemon(lab, name, conf=text(vmac_conf(lab, name))).start() for name in ROUTERS}
    wait_master(lab, "fw-b")
    assert "vrrp.10" not in links(lab["fw-a"])
    vmac = pair["fw-a"].ask("show vrrp")["instances"][0]["virtual_mac"]
    assert vmac["state"] == "absent" and vmac["mac"] == VMAC
    replug(lab, "fw-a")
    wait_master(lab, "fw-a", 20)
    wait_for("everything in its place", lambda: serves(lab, "fw-a"), 2)
    first = links(lab["fw-a"])["vrrp.10"]["ifindex"]
    unplug(lab, "fw-a")
    wait_master(lab, "fw-b")
    replug(lab, "fw-a")
    wait_master(lab, "fw-a", 20)
    wait_for("everything in its place", lambda: serves(lab, "fw-a"), 2)
    assert links(lab["fw-a"])["vrrp.10"]["ifindex"] != first
    assert ping(lab["client"], VIP_LAN) and ping(lab["client"], SERVER)


def test_a_base_with_another_name(lab):
    """The name is what the configuration means: the virtual MAC moves to the interface that bears it."""
    start(lab)
    router = lab["fw-a"]
    router.ip("link set lan0 down", "link set lan0 name other0")
    wait_master(lab, "fw-b")
    wait_for("its old settings", lambda: sysctl(router, "ipv4/conf/other0/arp_ignore") == 0, 2)
    assert not is_up(router, "vrrp.10")
    replug(lab, "fw-a", port="lan-new")
    wait_master(lab, "fw-a", 20)
    wait_for("everything in its place", lambda: serves(lab, "fw-a"), 2)
    assert links(router)["vrrp.10"]["link"] == "lan0" and ping(lab["client"], VIP_LAN)
    assert sysctl(router, "ipv4/conf/other0/arp_ignore") == 0


def test_a_base_goes_down_and_comes_up(lab):
    start(lab)
    router = lab["fw-a"]
    router.run("ip", "link", "set", "lan0", "down")
    wait_master(lab, "fw-b")
    wait_for("the interface to be down", lambda: not is_up(router, "vrrp.10"), 2)
    assert not is_up(router, "vrrp.20")  # it moves with the group
    router.run("ip", "link", "set", "lan0", "up")
    wait_master(lab, "fw-a", 20)
    wait_for("everything in its place", lambda: serves(lab, "fw-a"), 2)


def test_what_somebody_does_to_the_interfaces(lab):
    """Another MAC and MTU of the base, the virtual MAC's interface taken down or deleted: the role stays."""
    pair = start(lab)
    router, tap = lab["fw-a"], Tap(lab["client"], "eth0")
    router.run("ip", "link", "set", "lan0", "address", "02:0a:00:00:77:77")
    wait_for("the base's new MAC", lambda: who_has(lab, "10.0.1.2", tap) == ["02:0a:00:00:77:77"], 2)
    assert who_has(lab, VIP_LAN, tap) == [VMAC]
    router.run("ip", "link", "set", "lan0", "mtu", "1400")
    wait_for("the lower MTU", lambda: links(router)["vrrp.10"]["mtu"] == 1400, 2)
    router.run("ip", "link", "set", "lan0", "mtu", "1500")
    wait_for("the higher MTU", lambda: links(router)["vrrp.10"]["mtu"] == 1500, 2)
    router.run("ip", "link", "set", "vrrp.10", "down")
    wait_for("the interface to be up", lambda: is_up(router, "vrrp.10"), 2)
    router.run("ip", "link", "del", "vrrp.10")
    wait_for("the interface to be back", lambda: serves(lab, "fw-a"), 2)
    assert ping(lab["client"], VIP_LAN)
    assert pair["fw-a"].ask("show vrrp")["instances"][0]["counters"]["became_master"] == 1
    assert {a.mac for a in tap.vrrp(vrid=10)} == {VMAC}


def test_a_name_that_somebody_else_uses(lab):
    """Our interface cannot be made: said, shown, and the foreign one is left alone."""
    router = lab["fw-a"]
    router.run("ip", "link", "add", "vrrp.10", "type", "veth", "peer", "name", "other0")
    daemon = Daemon(lab, "fw-a", conf=text(vmac_conf(lab, "fw-a", peer=False))).start()
    wait_for("the word about it", lambda: "vrrp.10" in daemon.log(), 5)
    assert daemon.ask("show vrrp")["instances"][0]["virtual_mac"]["state"] == "foreign"
    assert "lan: interface vrrp.10 of the virtual MAC is foreign" in daemon.ktsh_raw("show", "vrrp")[1]
    daemon.stop()
    assert links(router)["vrrp.10"]["linkinfo"]["info_kind"] == "veth"


def test_a_kind_that_this_kernel_may_not_have(lab):
    """An ipvlan works like a macvlan, or the reason is told where this kernel has none."""
    router = lab["fw-a"]
    daemon = Daemon(lab, "fw-a", conf=text(vmac_conf(lab, "fw-a", peer=False, vmac={"kind": "ipvlan"}))).start()

    def outcome():
        return router.has_ip4(VIP_LAN) or "Operation not supported" in daemon.log()
    wait_for("the addresses, or the reason", outcome, 5)
    if router.has_ip4(VIP_LAN):
        assert links(router)["vrrp.10"]["linkinfo"]["info_kind"] == "ipvlan" and ping(lab["client"], VIP_LAN)
    else:
        assert "vrrp.10" in daemon.log()


# ---- accept = false

def table(machine):
    return machine.run("nft", "list", "table", "inet", "keeptrackd", check=False)


def test_closed_addresses(lab):
    """Dropped for everybody but neighbour discovery; with the role, and gone with the process."""
    pair = start(lab, ipv6=True, accept=False)
    client = lab["client"]
    assert silent(client, VIP_LAN) and silent(client, VIP6) and silent(client, LINK_VIP6 + "%eth0")
    assert ping(client, SERVER)  # the translated address is one of the closed ones
    assert VMAC6 in client.run("ip", "neigh", "show", VIP6) and VMAC in client.run("ip", "neigh", "show", VIP_LAN)
    assert ping(lab["fw-a"], VIP_LAN)  # its own packets
    lab["fw-a"].run("nft", "flush", "ruleset")
    assert VIP_LAN in table(lab["fw-a"]) and silent(client, VIP_LAN)
    assert not table(lab["fw-b"])
    shown = pair["fw-a"].ask("show vrrp")["instances"][0]
    assert shown["accept"] == "no" and shown["virtual_mac"] == {
        "interface": "vrrp.10", "kind": "macvlan", "mac": VMAC, "state": "up", "adverts_from": "virtual"}
    assert pair["fw-a"].ktsh_raw("force", "failover")[0] == 0
    wait_master(lab, "fw-b")
    wait_for("the rules to go with the role", lambda: not table(lab["fw-a"]), 2)
    assert VIP_LAN in table(lab["fw-b"]) and silent(client, VIP_LAN)
    pair["fw-b"].kill()
    assert not table(lab["fw-b"])


def test_an_owner_accepts(lab):
    conf = vmac_conf(lab, "fw-a", peer=False, vmac=False, accept=False)
    conf["node"]["instances"] = [{"name": "lan", "priority": 255}]
    conf["vrrp"]["groups"] = []
    Daemon(lab, "fw-a", conf=text(conf)).start()
    wait_for("master", lambda: lab["fw-a"].has_ip4(VIP_LAN, VIP_WAN), 5)
    assert ping(lab["client"], VIP_LAN) and silent(lab["server"], VIP_WAN)


def test_rules_that_are_refused(lab):
    """Somebody else owns a table of our name: said and shown, the role goes on; afterwards the rules are there."""
    router = lab["fw-a"]
    other = router.spawn("nft", "-i", stdin=-1, stdout=-1)
    other.stdin.write(b"add table inet keeptrackd { flags owner; }\n")
    other.stdin.flush()
    wait_for("the other's table", lambda: table(router), 2)
    daemon = Daemon(lab, "fw-a", conf=text(vmac_conf(lab, "fw-a", peer=False, accept=False))).start()
    wait_for("master", lambda: router.has_ip4(VIP_LAN, VIP_WAN), 5)
    wait_for("the refusal", lambda: "nftables refused the rules" in daemon.log(), 2)
    assert daemon.ask("show vrrp")["instances"][0]["accept"] == "failed" and ping(lab["client"], VIP_LAN)
    other.stdin.close()
    other.wait(5)
    wait_for("the rules", lambda: VIP_LAN in table(router), 7)
    assert silent(lab["client"], VIP_LAN)
    wait_for("the state", lambda: daemon.ask("show vrrp")["instances"][0]["accept"] == "no", 2)


def test_a_reload_opens_and_closes(lab):
    """accept and the virtual MAC change under a running master: it stays master, and hosts follow at once."""
    router, client = lab["fw-a"], lab["client"]
    daemon = Daemon(lab, "fw-a", conf=text(vmac_conf(lab, "fw-a", peer=False, vmac=False))).start()
    wait_for("master", lambda: router.has_ip4(VIP_LAN, VIP_WAN), 5)
    assert ping(client, VIP_LAN)

    def reload(**options):
        daemon.write_conf(text(vmac_conf(lab, "fw-a", peer=False, **options)))
        daemon.signal(signal.SIGHUP)
    reload(vmac=False, accept=False)
    wait_for("the rules", lambda: VIP_LAN in table(router), 2)
    assert silent(client, VIP_LAN)
    reload(accept=True)
    wait_for("the rules to go", lambda: not table(router), 2)
    wait_for("the virtual MAC", lambda: is_up(router, "vrrp.10"), 2)
    wait_for("hosts to know it", lambda: ping(client, VIP_LAN, 0.2) and
             VMAC in client.run("ip", "neigh", "show", VIP_LAN), 2)
    assert daemon.ask("show vrrp")["instances"][0]["counters"]["became_master"] == 1


def test_ipv6_addresses_without_a_link_local_one(lab):
    """The kernel has to make one: without it the router could not look for its neighbours from there."""
    router = lab["fw-a"]
    conf = vmac_conf(lab, "fw-a", peer=False)
    conf["vrrp"]["instances"][0]["excluded_addresses"] = ["2001:db8:1::5/64"]
    Daemon(lab, "fw-a", conf=text(conf)).start()
    wait_for("master", lambda: router.has_ip4(VIP_LAN), 5)
    wait_for("the answer", lambda: ping(lab["client"], "2001:db8:1::5", 0.2), 3)
    assert "fe80::200:5eff:fe00:10a" in router.run("ip", "-6", "addr", "show", "dev", "vrrp.10")
    assert "fe80::" not in router.run("ip", "-6", "addr", "show", "dev", "vrrp.20")


def test_two_masters_hear_each_other(lab):
    """Each one's adverts bear the MAC that the other's interface has as well: they have to pass it nevertheless."""
    def isolated(on):
        for router in ROUTERS:
            for interface in ("lan0", "wan0"):
                lab["switch"].run("bridge", "link", "set", "dev", lab.port(router, interface), "isolated",
                                  "on" if on else "off")
    isolated(True)
    for name in ROUTERS:
        Daemon(lab, name, conf=text(vmac_conf(lab, name, peer=False, ipv6=True))).start()
    wait_for("two masters", lambda: all(lab[name].has_ip4(VIP_LAN, VIP_WAN) for name in ROUTERS), 10)
    isolated(False)
    wait_master(lab, "fw-a", 3)
    wait_for("its interfaces to be down", lambda: not any(is_up(lab["fw-b"], i) for i in ("vrrp.10", "vrrp6.10")), 2)
    assert ping(lab["client"], VIP_LAN)
