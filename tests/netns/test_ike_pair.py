"""Two routers with keeptrackd and strongSwan, far ends of every kind: what a tunnel is after its address has moved.

All tunnels live on one site, so that each change of role proves all of them: IKEv2 with a key and with certificates, IKEv1
main mode with a key (as H3C's users have it), IPv6, a far end behind NAT, one that ignores INITIAL_CONTACT, one that
nobody can initiate to, and one that is not ours at all. The negative control is in test_ike_control.py.
"""

import os
import re
import signal
import time

import pytest

from conftest import build_dir, sanitizer_reports
from ipsec import Tunnel
from lab import VIP_WAN, now_ns, wait_for
from vpnsite import Echoes, HIDDEN, NAT_BOX, PEER6, Site, VIP6

SOON_MS = 3000  # detection (361 ms), a takeover, a negotiation, and a busy machine
MANAGED = [
    Tunnel("psk", 1),
    Tunnel("main", 2, peer="203.0.113.19", version=1),
    Tunnel("cert", 3, peer="203.0.113.29", auth="cert"),
    Tunnel("six", 4, vip=VIP6, peer=PEER6, ipv6=True),
    Tunnel("nat", 5, peer=NAT_BOX, machine="hidden", at=HIDDEN),
    Tunnel("never", 6, peer="203.0.113.39", far_end={"unique": "never"}),
    Tunnel("mobile", 8, peer="203.0.113.59", near_end={"mobike": "yes"}, far_end={"mobike": "yes"}),
]
NEVER = MANAGED[5]
# Its far end renews it when its own detection says so; a filter in front of it refuses whoever begins.
CLOSED = Tunnel("closed", 7, peer="203.0.113.49", initiate="never", far_end={"dpd_delay": "1s", "keyingtries": "0"},
                far_child={"dpd_action": "start", "close_action": "none"})
NAMES = [t.name for t in MANAGED]
# IKE_SA_INIT requests have no responder SPI yet: 8 bytes at offset 8 of the header.
CLOSED_RULE = """
table ip closed {
    chain input {
        type filter hook input priority 0; policy accept;
        ip daddr 203.0.113.49 udp dport 500 @th,128,64 0 counter drop
    }
}
"""


@pytest.fixture(scope="module", name="site")
def fixture_site():
    site = Site(build_dir(), MANAGED + [CLOSED], retransmit=(0.2, 1.5, 3))
    try:
        site.lab["peer"].run("nft", "-f", "-", text=CLOSED_RULE)
        site.start_ike()
        site.start_daemons()
        site.wait_up("fw-a", *NAMES)
        site.charons["peer"].initiate("closed")
        site.echoes = Echoes(site)
        yield site
        found = sanitizer_reports(site.lab)
        assert not found, "\n".join(found)
    finally:
        site.close()


@pytest.fixture(autouse=True)
def fixture_whole(site):
    """Before each test: fw-a serves, fw-b is ready, everything flows."""
    for charon in site.charons.values():
        charon.thaw()
    for name in list(site.down):
        site.revive(name)
    site.wait_ready("fw-b", 30)
    site.wait_master("fw-a")
    whole(site, "fw-a")


def whole(site, name):
    """Every tunnel is up where it belongs, nothing of it is elsewhere, and echoes come through each."""
    site.wait_up(name, seconds=20)
    site.echoes.wait_flowing()
    other = site.other(name)
    if other in site.down or site.charons[other].process.poll() is not None:
        return
    for tunnel in NAMES + ["closed"]:
        site.wait_state(other, tunnel, "idle")
    wait_for("%s to have no SA" % other, lambda: "ESTABLISHED" not in site.charons[other].swanctl("--list-sas"), 5)


def ike_sas(site, tunnel):
    """How many IKE SAs of a tunnel its far end has."""
    return len(re.findall(r"^%s: #\d+, ESTABLISHED" % tunnel.name, site.charons[tunnel.machine].list_sas(tunnel.name), re.M))


def quick(outages, names=tuple(NAMES), limit=SOON_MS):
    slow = {n: ms for n, ms in outages.items() if n in names and ms >= limit}
    assert not slow, "%s, of %s" % (slow, outages)


def ping6(site, tunnel):
    return " 0% packet loss" in site.lab["client"].run("ping", "-6", "-c", "1", "-W", "1", tunnel.far_host6, check=False)


def test_first_tunnels(site):
    """What the start made: exactly one IKE SA each, and the states in words and numbers."""
    shown = {t["name"]: t for t in site.show("fw-a")["tunnels"]}
    for tunnel in MANAGED:
        seen = shown[tunnel.name]
        assert (seen["state"], seen["wanted"], seen["backend"]) == ("up", True, "vici"), seen
        assert seen["vip"] == tunnel.vip and seen["peer"] == tunnel.peer and seen["initiations"] >= 1, seen
        assert ike_sas(site, tunnel) == 1, tunnel.name
    assert shown["closed"]["initiations"] == 0 and shown["closed"]["state"] == "up", shown["closed"]
    assert "IKEv1" in site.charons["fw-a"].list_sas("main")
    wait_for("an answer through the IPv6 tunnel", lambda: ping6(site, MANAGED[3]), 5)
    assert site.show("fw-b")["backend"]["up"] and site.show("fw-b")["backend"]["version"].startswith("charon")


def test_the_lint_names_what_fights_the_role(site):
    """One connection has MOBIKE on; the check says so, of this one only, and how to mend it. It has no dead peer detection."""
    check = wait_for("the check to know every connection", lambda: whole_check(site), 10)
    found = {t["tunnel"]: {f["setting"]: f for f in t["findings"]} for t in check["tunnels"]}
    assert check["verdict"] == "danger" and check["dangers"] >= 1, check
    thief = found["mobile"]["mobike"]
    assert thief["severity"] == "danger" and "own address" in thief["danger"], thief
    assert "connections.mobile.mobike = no" in thief["fix"], thief
    assert [n for n in found if "mobike" in found[n]] == ["mobile"], found
    assert all("dpd_delay" in found[n] for n in NAMES), found
    text = site.daemons["fw-a"].ktsh_raw("show", "ipsec", "check")[1]
    assert "mobile" in text and "mobike" in text, text


def whole_check(site):
    check = site.daemons["fw-a"].ask("show ipsec check")
    return check if all(t["checked"] for t in check["tunnels"]) else None


def far_ends(site, tunnel):
    """Where the far end has the other one: the addresses of its IKE SAs."""
    return set(re.findall(r"^  remote '[^']*' @ (\S+?)\[", site.charons["peer"].list_sas(tunnel), re.M))


def test_mobike_thief(site):
    """The virtual address goes while nobody looks, and charon takes the tunnel to its router's own address: its event says
    so, and keeptrackd brings the tunnel back to where it belongs."""
    site.daemons["fw-b"].stop()
    assert far_ends(site, "mobile") == {VIP_WAN}
    before = site.tunnel("fw-a", "mobile")["initiations"]
    site.daemons["fw-a"].signal(signal.SIGSTOP)
    site.lab["fw-a"].run("ip", "addr", "del", VIP_WAN + "/24", "dev", "wan0")
    wait_for("the theft", lambda: far_ends(site, "mobile") - {VIP_WAN}, 10, 0.1)
    site.daemons["fw-a"].signal(signal.SIGCONT)
    wait_for("the tunnel to be asked for again", lambda: site.tunnel("fw-a", "mobile")["initiations"] > before, 70, 0.1)
    wait_for("it to be at the virtual address", lambda: far_ends(site, "mobile") == {VIP_WAN}, 20, 0.1)
    assert "MOBIKE" in site.daemons["fw-a"].log() and "MOBIKE" not in site.daemons["fw-b"].log()
    site.daemons["fw-b"].start()


def test_planned_there_and_back(site):
    """The role goes and comes back by command: nobody is told an end, and nothing of the earlier time is in the way."""
    for old, new in (("fw-a", "fw-b"), ("fw-b", "fw-a")):
        site.wait_ready(new)
        logged = len(site.charons["peer"].log())
        site.echoes.mark()
        site.planned(old)
        site.wait_master(new)
        site.wait_up(new, *NAMES)
        site.echoes.wait_flowing(*NAMES)
        quick(site.echoes.outages())
        # Purged in silence: the far end never hears a DELETE from the router that let go.
        said = site.charons["peer"].log()[logged:]
        assert "received DELETE for IKE_SA" not in said, said
        wait_for("the far end to start the closed one", lambda: site.echoes.flowing("closed"), 20)
        assert site.tunnel(new, "closed")["initiations"] == 0
        whole(site, new)
    wait_for("IPv6 inside", lambda: ping6(site, MANAGED[3]), 5)


def test_crash_and_return(site):
    """A power failure, and the router boots again with a higher priority: twice a change of role."""
    site.echoes.mark()
    before = {t: site.tunnel("fw-b", t)["initiations"] for t in NAMES}
    many = ike_sas(site, NEVER)
    site.crash("fw-a")
    site.wait_up("fw-b", *NAMES)
    site.echoes.wait_flowing(*NAMES)
    quick(site.echoes.outages())
    for tunnel in MANAGED:
        seen = site.tunnel("fw-b", tunnel.name)
        assert seen["initiations"] > before[tunnel.name] and seen["last_setup_us"] > 0, seen
        # INITIAL_CONTACT made the far end drop the dead router's; one ignores it, and the newest carries the traffic.
        assert ike_sas(site, tunnel) == (many + 1 if tunnel is NEVER else 1), tunnel.name
    wait_for("the far end to start the closed one", lambda: site.echoes.flowing("closed"), 20)
    site.echoes.mark()
    site.revive("fw-a")
    site.wait_master("fw-a", 30)
    site.wait_up("fw-a", *NAMES)
    site.echoes.wait_flowing(*NAMES)
    quick(site.echoes.outages())
    whole(site, "fw-a")


def test_stale_sas_do_not_stop_the_return(site):
    """charon of the old master is stopped while the role goes: its SAs survive, and would make each initiate fail. They are
    purged when it answers again, before the role comes back."""
    site.wait_ready("fw-b")
    site.charons["fw-a"].freeze()
    site.echoes.mark()
    asked = now_ns()
    site.planned("fw-a")
    site.wait_master("fw-b")
    # Nothing waited for the charon that stands still.
    assert (now_ns() - asked) / 1e6 < 1000
    site.wait_up("fw-b", *NAMES)
    site.echoes.wait_flowing(*NAMES)
    quick(site.echoes.outages())
    wait_for("it to be seen", lambda: not site.show("fw-a")["backend"]["up"], 10)
    assert set(site.states("fw-a").values()) == {"absent"}, site.states("fw-a")
    site.charons["fw-a"].thaw()
    wait_for("the stale SAs to go", lambda: "ESTABLISHED" not in site.charons["fw-a"].swanctl("--list-sas"), 15)
    wait_for("fw-a to be purged", lambda: set(site.states("fw-a").values()) == {"idle"}, 10)
    site.wait_ready("fw-a")
    site.echoes.mark()
    site.planned("fw-b")
    site.wait_master("fw-a")
    site.wait_up("fw-a", *NAMES)
    site.echoes.wait_flowing(*NAMES)
    quick(site.echoes.outages())


def test_charon_stopped_on_the_new_master(site):
    """It stands still in the middle of the promotion: addresses and sessions move on time, the tunnels when it goes on."""
    site.wait_ready("fw-b")
    site.charons["fw-b"].freeze()
    site.planned("fw-a")
    site.wait_master("fw-b", 2)
    entry = site.timeline("fw-b")
    at = {p["phase"]: p["offset_us"] for p in entry["phases"]}
    # The step of the purge may take 5 ms by the table; beyond that nobody waits.
    assert at["vip-up"] - at["decide"] < 200000, entry
    assert not set(site.states("fw-b").values()) & {"up", "idle"}, site.states("fw-b")
    time.sleep(0.7)  # past the deadline of a request: the connection is made anew
    assert not site.show("fw-b")["backend"]["up"]
    site.charons["fw-b"].thaw()
    site.wait_up("fw-b", *NAMES)
    site.echoes.wait_flowing(*NAMES)
    site.wait_ready("fw-a")
    site.planned("fw-b")
    site.wait_master("fw-a")


def test_charon_dies_and_is_restarted_on_the_master(site):
    """The role stays; the tunnels are back when the IKE daemon is, and the other router takes nothing."""
    epoch = site.group("fw-a")["epoch"]
    site.charons["fw-a"].stop()
    wait_for("it to be seen", lambda: set(site.states("fw-a").values()) == {"absent"}, 5)
    backend = site.show("fw-a")["backend"]
    assert not backend["up"] and backend["error"], backend
    assert site.masters() == ["fw-a"]
    site.start_ike("fw-a")
    site.echoes.mark()
    site.wait_up("fw-a", *NAMES)
    site.echoes.wait_flowing(*NAMES)
    assert site.group("fw-a")["epoch"] == epoch and site.masters() == ["fw-a"]


def test_charon_is_dead_where_the_role_goes(site):
    """It is started late, on a router that is master already."""
    site.wait_ready("fw-b")
    site.charons["fw-b"].stop()
    site.planned("fw-a")
    site.wait_master("fw-b", 2)
    assert set(site.states("fw-b").values()) == {"absent"}, site.states("fw-b")
    site.start_ike("fw-b")
    site.wait_up("fw-b", *NAMES)
    site.echoes.wait_flowing(*NAMES)
    site.wait_ready("fw-a")
    site.planned("fw-b")
    site.wait_master("fw-a")


def test_what_is_not_listed_is_not_touched(site):
    """A tunnel of the same two machines from the router's own address lives through every change of role."""
    other = Tunnel("own", 0, vip="203.0.113.2", peer="203.0.113.9", near_child={"local_ts": "10.77.0.0/24"},
                   far_child={"remote_ts": "10.77.0.0/24"})
    site.lab["fw-a"].ip("addr add 10.77.0.1/32 dev lo")
    for name in ("fw-a", "peer"):
        site.charons[name].tunnels.append(other)
        site.charons[name].write()
        site.charons[name].load()
    site.charons["fw-a"].initiate("own")
    sa = re.search(r"own: #(\d+), ESTABLISHED", site.charons["fw-a"].list_sas("own")).group(1)
    for old, new in (("fw-a", "fw-b"), ("fw-b", "fw-a")):
        site.wait_ready(new)
        site.planned(old)
        site.wait_master(new)
        site.wait_up(new, *NAMES)
        assert re.search(r"own: #%s, ESTABLISHED" % sa, site.charons["fw-a"].list_sas("own"))
    site.charons["fw-a"].swanctl("--terminate", "--ike", "own", "--force", "--timeout", "1", check=False)


def test_the_daemon_restarts_with_leftovers(site):
    """keeptrackd of the standby is killed and comes back while its charon has an SA that nobody wants."""
    site.wait_ready("fw-b")
    daemon = site.daemons["fw-b"]
    daemon.kill()
    for pid in site.lab["fw-b"].pids():
        with open("/proc/%d/comm" % pid, encoding="ascii") as f:
            if f.read().startswith("keeptrackd"):
                os.kill(pid, signal.SIGKILL)
    # The address is not here: what charon begins stays in negotiation, which is a leftover like any other.
    site.charons["fw-b"].swanctl("--initiate", "--ike", "psk", "--child", "psk", "--timeout", "1", check=False)
    daemon.start()
    wait_for("nothing to be left", lambda: "psk:" not in site.charons["fw-b"].list_sas("psk"), 10)
    assert site.states("fw-b")["psk"] in ("idle", "purging")
