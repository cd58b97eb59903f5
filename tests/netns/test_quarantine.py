"""What a role change does with IPsec outside of the IKE daemon: SAs of the kernel (larval ones, made by ALLOCSPI: this
kernel may have no ESP), conntrack entries of IKE and ESP, and the quarantine of an address that is not ours.

Needs root, ip, conntrack, nft, iptables.
"""

import signal

import pytest

from conf import lab_conf, text
from conftest import Pair
from ipsec_kernel import Leaks, UDP, ESP, add_larval, add_policies, policies, sas, send
from keeptrackd import Daemon
from lab import PEER, ROUTERS, SERVER, VIP_WAN, wait_for

VIP6, PEER6 = "2001:db8:2::1", "2001:db8:2::9"
OWN, STRANGER = "203.0.113.2", "203.0.113.77"
FOUR = {"name": "four", "vip": VIP_WAN, "peer": PEER, "backend": "none"}
SIX = {"name": "six", "vip": VIP6, "peer": PEER6, "backend": "none"}


def conf_of(lab, router, tunnels=(FOUR, SIX), **options):
    conf = lab_conf(lab, router, ipv6=True, **options)
    if tunnels:
        conf["ipsec"] = {"tunnels": [dict(t) for t in tunnels]}
    return conf


@pytest.fixture(name="start")
def fixture_start(lab):
    def start(tunnels=(FOUR, SIX), only=None, **options):
        pair = Pair(lab, ipsec=False)
        for name in ROUTERS if only is None else (only,):
            pair.daemons[name] = Daemon(lab, name, conf=text(conf_of(lab, name, tunnels, **options)))
            pair.daemons[name].start()
        if only is None:
            pair.wait_master("fw-a")
            pair.wait_ready()
        return pair
    return start


@pytest.fixture(name="leaks")
def fixture_leaks(lab):
    made = []

    def make(router):
        made.append(Leaks(lab[router], lab["peer"], "eth0", wait_for))
        return made[-1]
    yield make
    for leak in made:
        leak.close()


def table(machine):
    return machine.run("nft", "list", "table", "inet", "keeptrackd", check=False)


def quarantine(daemon):
    return daemon.ask("show ipsec")["quarantine"]


def entries(machine, *words):
    return [line for line in machine.conntrack("-L", *words).splitlines() if "src=" in line]


# ---- SAs

def test_only_the_listed_addresses_are_swept(lab, start):
    """Demotion: both directions, AH and IPComp too, both families; the dry run has named exactly them before."""
    a = lab["fw-a"]
    a.sysctl({"net/core/xfrm_acq_expires": 3600})  # ours to remove, not time's
    pair = start()
    ours, others = set(), set()
    for n, (vip, peer, own) in enumerate(((VIP_WAN, PEER, OWN), (VIP6, PEER6, "2001:db8:2::2"))):
        base = 0x4000 + 0x100 * n
        ours |= {add_larval(a, peer, vip, base), add_larval(a, vip, peer, base + 1), add_larval(a, peer, vip, base + 2, "ah"),
                 add_larval(a, peer, vip, base + 3, "comp")}
        others |= {add_larval(a, peer, own, base + 0x10), add_larval(a, own, peer, base + 0x11)}
    ours.add(add_larval(a, STRANGER, VIP_WAN, 0x4020))
    others.add(add_larval(a, STRANGER, "203.0.113.11", 0x4021))
    kept = add_policies(a, VIP_WAN, STRANGER)
    assert len(kept) == 3 and sas(a) == ours | others

    listed = pair["fw-a"].ask("show ipsec sweep dry-run")
    rows = {(sa["source"], sa["destination"], sa["spi"]): sa for sa in listed["sas"]}
    assert set(rows) == ours and listed["kept"] == 0 and listed["unread"] == 0
    assert {sa["state"] for sa in rows.values()} == {"larval"}
    assert {sa["protocol"] for sa in rows.values()} == {"esp", "ah", "ipcomp"}
    row = rows[(PEER, VIP_WAN, "0x00004002")]
    assert (row["direction"], row["protocol"], row["tunnels"], row["group"]) == ("in", "ah", ["four"], "edge")
    assert row["why"] == "to the virtual address of tunnel four"
    assert "no listed tunnel" in rows[(STRANGER, VIP_WAN, "0x00004020")]["why"]
    assert rows[(VIP6, PEER6, "0x00004101")]["direction"] == "out"
    assert {(c["protocol"], c["source_port"]) for c in listed["conntrack"]} == {
        ("udp", 500), ("udp", 4500), ("esp", 0), ("ah", 0)}
    status, out = pair["fw-a"].ktsh_raw("show", "ipsec", "sweep", "dry-run")
    assert status == 0 and "0x00004002" in out and "larval" in out
    assert sas(a) == ours | others  # a look changes nothing

    assert pair["fw-a"].ktsh_raw("force", "failover")[0] == 0
    pair.wait_master("fw-b")
    wait_for("the SAs to be gone", lambda: not sas(a) & ours, 5)
    assert sas(a) == others and policies(a) == kept
    swept = pair["fw-a"].ask("show ipsec")["sweep"]
    assert swept["deleted"] >= len(ours) and not swept["failed"] and not swept["errors"]
    assert pair["fw-a"].ask("show ipsec sweep dry-run")["sas"] == []
    pair["fw-a"].ask("clear counters")
    assert pair["fw-a"].ask("show ipsec statistics")["sweep"]["deleted"] == 0


def test_reqid_and_mark_narrow_the_sweep(lab, start):
    """With a reqid only SAs that have it go; those of the same address that somebody else made stay."""
    a = lab["fw-a"]
    a.sysctl({"net/core/xfrm_acq_expires": 3600})
    pair = start([dict(FOUR, reqid=7, mark=66)])
    wanted = ["reqid", "7", "mark", "66", "mask", "0xffffffff"]
    ours = {add_larval(a, PEER, VIP_WAN, 0x5001, "esp", *wanted), add_larval(a, VIP_WAN, PEER, 0x5002, "esp", *wanted)}
    others = {add_larval(a, PEER, VIP_WAN, 0x5003, "esp", "reqid", "8"), add_larval(a, PEER, VIP_WAN, 0x5004),
              add_larval(a, PEER, VIP_WAN, 0x5005, "esp", "reqid", "7")}
    if sas(a) != ours | others:
        pytest.fail("this ip cannot set reqid and mark of an SPI: %s" % sas(a))
    listed = pair["fw-a"].ask("show ipsec sweep dry-run")
    assert {sa["spi"] for sa in listed["sas"]} == {"0x00005001", "0x00005002"} and listed["kept"] == 3
    assert {(sa["reqid"], sa["mark"]) for sa in listed["sas"]} == {(7, 66)}
    assert pair["fw-a"].ktsh_raw("force", "failover")[0] == 0
    pair.wait_master("fw-b")
    wait_for("the SAs to be gone", lambda: not sas(a) & ours, 5)
    assert sas(a) == others


# ---- conntrack

def test_conntrack_of_the_tunnel_goes_with_the_role(lab, start):
    """IKE, NAT-T, ESP and AH by tuple, whoever began; other flows of the address stay, and none was ever copied."""
    a, b = lab["fw-a"], lab["fw-b"]
    pair = start()
    pair.wait_synced("fw-b", minimum=0)
    wait_for("fw-b to be ready", lambda: pair["fw-b"].ask("show failover status")["groups"][0]["ready"], 10)
    for vip, peer in ((VIP_WAN, PEER), (VIP6, PEER6)):
        send(a, vip, peer, UDP, b"ike", 500)
        send(a, vip, peer, ESP, b"esp")
        send(lab["peer"], peer, vip, UDP, b"nat-t", 4500)
    send(a, VIP_WAN, PEER, UDP, b"other port", 501)
    send(a, VIP_WAN, SERVER, UDP, b"other peer", 500)

    def mine(family, peer):
        return [e for e in entries(a, "-f", family) if peer in e and ("port=500 " in e or "port=4500 " in e or " 50 " in e)]
    for family, peer in (("ipv4", PEER), ("ipv6", PEER6)):
        wait_for("the entries of " + peer, lambda f=family, p=peer: len(mine(f, p)) == 3, 5)
    assert "local" in str(pair["fw-a"].ask("explain session", source="%s:500" % VIP_WAN, destination="%s:500" % PEER,
                                           protocol="udp"))
    assert not [e for e in entries(b) if VIP_WAN in e and PEER in e]

    assert pair["fw-a"].ktsh_raw("force", "failover")[0] == 0
    pair.wait_master("fw-b")
    for family, peer in (("ipv4", PEER), ("ipv6", PEER6)):
        wait_for("the entries of %s to be gone" % peer, lambda f=family, p=peer: not mine(f, p), 5)
    left = [e for e in entries(a, "-f", "ipv4") if "src=" + VIP_WAN in e]
    assert [e for e in left if "port=501 " in e] and [e for e in left if "dst=" + SERVER in e and "port=500 " in e]
    counts = pair["fw-a"].ask("show ipsec")["sweep"]["conntrack"]
    assert counts["deleted"] >= 6 and counts["absent"] and not counts["failed"] and not counts["refused"]
    # The new master has asked for what an earlier life may have left there; nothing was, or it was too late to be sure.
    counts = pair["fw-b"].ask("show ipsec")["sweep"]["conntrack"]
    assert counts["asked"] and counts["absent"] + counts["late"] >= 8 and not counts["failed"]


def test_conntrack_goes_without_replication(lab, start):
    """The SYNC thread does it even where it replicates nothing."""
    a = lab["fw-a"]
    pair = start([FOUR], replicate=False)
    send(a, VIP_WAN, PEER, UDP, b"ike", 500)
    wait_for("the entry", lambda: [e for e in entries(a) if PEER in e and "port=500 " in e], 5)
    assert pair["fw-a"].ktsh_raw("force", "failover")[0] == 0
    pair.wait_master("fw-b")
    wait_for("the entry to be gone", lambda: not [e for e in entries(a) if PEER in e and "port=500 " in e], 5)


# ---- quarantine

def test_quarantine_follows_the_address(lab, start, leaks):
    """Nothing of IPsec leaves the backup from the address; its own address, and other ports, are free. It lifts with the
    role, and comes back when the role goes."""
    pair = start()
    leak = {name: leaks(name) for name in ROUTERS}
    wait_for("the rules", lambda: quarantine(pair["fw-b"])["in_force"], 5)
    assert quarantine(pair["fw-b"])["by"] == "nftables"
    for vip, peer, own in ((VIP_WAN, PEER, "203.0.113.3"), (VIP6, PEER6, "2001:db8:2::3")):
        assert leak["fw-b"].all_pass(vip, peer) == (False, True)
        assert leak["fw-b"].all_pass(own, peer) == (True, False)
        assert leak["fw-a"].all_pass(vip, peer) == (True, False)
    before = table(lab["fw-b"])
    assert pair["fw-a"].ktsh_raw("force", "failover")[0] == 0
    pair.wait_master("fw-b")
    for vip, peer in ((VIP_WAN, PEER), (VIP6, PEER6)):
        assert leak["fw-b"].all_pass(vip, peer) == (True, False)
        assert leak["fw-a"].all_pass(vip, peer) == (False, True)
    # No job was needed for that: the rules are the same ones, their counters went on.
    assert before and [line for line in table(lab["fw-b"]).splitlines() if "counter" not in line] == [
        line for line in before.splitlines() if "counter" not in line]


def test_link_local_address(lab, start):
    """It is quarantined on its own link only: on another one it may be somebody's by right."""
    pair = start([dict(SIX, name="link", vip="fe80::2:1", peer="fe80::9:9")])
    for machine in ("peer", "client"):
        lab[machine].ip("addr add fe80::9:9/64 dev eth0 nodad")
    leak = {name: Leaks(lab[name], lab["peer"], "eth0", wait_for, "wan0") for name in ROUTERS}
    elsewhere = Leaks(lab["fw-b"], lab["client"], "eth0", wait_for, "lan0")
    wait_for("the rules", lambda: quarantine(pair["fw-b"])["in_force"], 5)
    assert leak["fw-b"].all_pass("fe80::2:1", "fe80::9:9") == (False, True)
    assert leak["fw-a"].all_pass("fe80::2:1", "fe80::9:9") == (True, False)
    assert elsewhere.all_pass("fe80::2:1", "fe80::9:9") == (True, False)
    assert pair["fw-a"].ktsh_raw("force", "failover")[0] == 0
    pair.wait_master("fw-b")
    assert leak["fw-b"].all_pass("fe80::2:1", "fe80::9:9") == (True, False)
    assert leak["fw-a"].all_pass("fe80::2:1", "fe80::9:9") == (False, True)
    for tap in (*leak.values(), elsewhere):
        tap.close()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_quarantine_ends_with_the_process(lab, start, leaks, end):
    pair = start()
    wait_for("the rules", lambda: quarantine(pair["fw-b"])["in_force"], 5)
    leak = leaks("fw-b")
    assert leak.all_pass(VIP_WAN, PEER) == (False, True)
    if end == "stop":
        pair["fw-b"].stop()
    else:
        pair["fw-b"].kill()
    assert not table(lab["fw-b"])
    assert leak.all_pass(VIP_WAN, PEER) == (True, False)


def test_no_tunnel_no_rules(lab, start, leaks):
    """The negative control: without tunnels nothing is in the way, and no table is made."""
    pair = start(())
    assert quarantine(pair["fw-b"])["by"] == "none"
    assert not table(lab["fw-b"])
    assert leaks("fw-b").all_pass(VIP_WAN, PEER) == (True, False)


def test_a_reload_brings_and_takes_the_rules(lab, start):
    daemon = start((), only="fw-b", peer=False)["fw-b"]

    def reload(tunnels):
        daemon.write_conf(text(conf_of(lab, "fw-b", tunnels, peer=False)))
        daemon.signal(signal.SIGHUP)
    reload((FOUR,))
    wait_for("the rules", lambda: VIP_WAN in table(lab["fw-b"]) and quarantine(daemon)["in_force"], 5)
    reload((SIX,))
    wait_for("other rules", lambda: VIP6 in table(lab["fw-b"]) and VIP_WAN not in table(lab["fw-b"]), 5)
    reload(())
    wait_for("no rules", lambda: not table(lab["fw-b"]) and quarantine(daemon)["by"] == "none", 5)


def test_an_address_that_is_still_there_is_shut(lab, start, leaks):
    """Somebody has put the address on the backup: it is local, and not ours all the same. With the role it opens."""
    pair = start([FOUR])
    leak = leaks("fw-b")
    lab["fw-b"].ip("addr add %s/24 dev wan0" % VIP_WAN)
    wait_for("the address to be shut", lambda: quarantine(pair["fw-b"])["shut"] == 1, 5)
    wait_for("the rules", lambda: "shut4" in table(lab["fw-b"]), 5)
    assert leak.all_pass(VIP_WAN, PEER) == (False, True)
    assert pair["fw-a"].ktsh_raw("force", "failover")[0] == 0
    pair.wait_master("fw-b")
    wait_for("the address to be open", lambda: "shut4" not in table(lab["fw-b"]), 5)
    assert leak.all_pass(VIP_WAN, PEER) == (True, False)


def chains(machine, program="iptables"):
    return machine.run(program + "-legacy-save", "-t", "filter", check=False)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_iptables_where_nftables_refuses(lab, start, leaks, end):
    """Somebody else owns a table of our name, as if the kernel had no nftables. The chains go with the process, also when
    it is killed: its guardian removes them; a rule of somebody else stays."""
    router = lab["fw-b"]
    other = router.spawn("nft", "-i", stdin=-1, stdout=-1)
    other.stdin.write(b"add table inet keeptrackd { flags owner; }\n")
    other.stdin.flush()
    wait_for("the other's table", lambda: table(router), 5)
    router.run("iptables-legacy", "-A", "OUTPUT", "-d", "192.0.2.99", "-j", "DROP")
    pair = start()
    wait_for("the rules", lambda: quarantine(pair["fw-b"])["in_force"], 10)
    assert quarantine(pair["fw-b"])["by"] == "iptables"
    assert chains(router).count("-j keeptrackd\n") == 1 and VIP6 in chains(router, "ip6tables")
    leak = leaks("fw-b")
    for vip, peer in ((VIP_WAN, PEER), (VIP6, PEER6)):
        assert leak.all_pass(vip, peer) == (False, True)
    assert pair["fw-a"].ktsh_raw("force", "failover")[0] == 0
    pair.wait_master("fw-b")
    assert leak.all_pass(VIP_WAN, PEER) == (True, False)
    assert pair["fw-b"].ktsh_raw("force", "failover")[0] == 0
    pair.wait_master("fw-a")
    assert leak.all_pass(VIP_WAN, PEER) == (False, True)
    if end == "stop":
        pair["fw-b"].stop()
    else:
        pair["fw-b"].signal(signal.SIGKILL)
    for program in ("iptables", "ip6tables"):
        wait_for("the chains to be gone", lambda p=program: "keeptrackd" not in chains(router, p), 10)
    assert "192.0.2.99" in chains(router)
    assert leak.all_pass(VIP_WAN, PEER) == (True, False)
    other.stdin.close()
