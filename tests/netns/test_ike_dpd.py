"""Dead peer detection with a real charon: the far end stops while packets are sent to it. The hooks tell what was found out
and that it cannot be repaired; when the far end goes on, the tunnel is back by itself."""

import os
import stat

from conf import text
from ipsec import Tunnel
from keeptrackd import Daemon
from lab import VIP_WAN, wait_for
from vpnsite import Echoes

PEER = "203.0.113.19"
HOOK = """#!/bin/sh
echo "$HA_EVENT|$HA_TUNNEL|$HA_PEER|$HA_VIP|$HA_GROUP|$HA_EPOCH|$HA_REASON" >> %s
"""


def heard(path):
    try:
        with open(path, encoding="utf-8") as f:
            return [line.split("|") for line in f.read().split("\n") if line]
    except FileNotFoundError:
        return []


def dpd(site):
    return site.daemons["fw-a"].ask("show ipsec dpd")["tunnels"][0]


def test_a_peer_that_stops(make_site):
    tunnel = Tunnel("hq", 1, peer=PEER, dpd={"interval": 1, "retry": 0.5, "retries": 1, "action": "reset"})
    site = make_site(tunnel)
    folder = site.lab["fw-a"].dir
    script, told = os.path.join(folder, "hook.sh"), os.path.join(folder, "hooks.txt")
    with open(script, "w", encoding="ascii") as f:
        f.write(HOOK % told)
    os.chmod(script, stat.S_IRWXU)
    hooks = [{"on": ["up", "down", "dpd-dead", "reset-failed"], "exec": [script]}]
    site.start_ike("fw-a", "peer")
    site.daemons["fw-a"] = Daemon(site.lab, "fw-a", conf=text(site.conf("fw-a", hooks=hooks))).start()
    site.wait_up("fw-a")
    echoes = Echoes(site, rate=50)
    try:
        echoes.wait_flowing()
        # So that there is a time with an answer before the one without.
        wait_for("a look at the counters", lambda: dpd(site)["in_packets"], 10)
        site.charons["peer"].freeze()
        wait_for("the hook for the dead peer", lambda: "dpd-dead" in [e[0] for e in heard(told)], 20)
        assert site.tunnel("fw-a", "hq")["resets"] == 1
        wait_for("the hook for a reset in vain", lambda: "reset-failed" in [e[0] for e in heard(told)], 20)
        assert site.tunnel("fw-a", "hq")["state"] != "up"
        site.charons["peer"].thaw()
        site.wait_up("fw-a")
        echoes.wait_flowing()
    finally:
        echoes.close()
    wait_for("the hook for the new tunnel", lambda: [e[0] for e in heard(told)].count("up") == 2, 5)
    events = heard(told)
    assert [e[0] for e in events] == ["up", "dpd-dead", "down", "reset-failed", "up"]
    assert all(e[1:5] == ["hq", PEER, VIP_WAN, "edge"] for e in events)
    assert len({e[5] for e in events}) == 1, "the role did not change"
    shown = site.daemons["fw-a"].ask("show ipsec")["hooks"][0]
    assert shown["runs"] == 5 and shown["failed"] == 0 and shown["last"]["event"] == "up"
    assert site.tunnel("fw-a", "hq")["dpd_dead"] == 1
