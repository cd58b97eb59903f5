"""One keepalived.conf for both routers and for either daemon: sessions survive, and the real keepalived reads it, too."""

import os
import re
import subprocess

import pytest

import control
from keeptrackd import SOCKET, key_file
from lab import ROUTERS, VIP_LAN, VIP_WAN, wait_for
from named import link_names
from traffic import Traffic

CONF = """global_defs {
    vrrp_version 3
    script_user root
}
conntrack_sync {
    cluster demo
    @fw-a self 1
    @fw-b self 2
    node 1 fw-a 10.9.0.1
    node 2 fw-b 10.9.0.2
    key_file %(key)s
    run_dir /run/keeptrackd
    @fw-a state_dir %(state)s/a
    @fw-b state_dir %(state)s/b
    replicate %(replicate)s
}
ipsec_failover {
    tunnel T {
        vip 203.0.113.1
        peer 203.0.113.9
        ike peer
        child net
    }
}
vrrp_sync_group edge {
    group {
        lan
        wan
    }
}
vrrp_instance lan {
    interface lan0
    virtual_router_id 10
    @fw-a priority 150
    @fw-b priority 100
    advert_int 0.1
    virtual_ipaddress {
        10.0.1.1/24
    }
}
vrrp_instance wan {
    interface wan0
    virtual_router_id 20
    @fw-a priority 150
    @fw-b priority 100
    advert_int 0.1
    virtual_ipaddress {
        203.0.113.1/24
    }
}
"""


class Router:
    """A router with the one file and a program called keepalived."""

    def __init__(self, lab, name, conf):
        self.machine, self.name, self.conf, self.process = lab[name], name, conf, None
        self.ours = os.path.join(link_names(lab), "keepalived")

    def spawn(self, program):
        self.process = self.machine.spawn(program, "-n", "-l", "-D", "-f", self.conf, "-i", self.name)

    def group(self):
        answer = control.ask(self.machine.holder.pid, SOCKET, "show failover status", {}, 3)
        return answer["groups"][0]

    def ready(self):
        try:
            return self.group()["ready"]
        except (OSError, IndexError, KeyError):
            return False

    def has_vips(self):
        return self.machine.has_ip4(VIP_LAN, VIP_WAN)


@pytest.mark.parametrize("replicate", ["yes", "no"])
def test_sessions_survive_a_crash_with_one_file(lab, replicate):
    """Under rules that drop what conntrack does not know; without replication the same sessions are lost."""
    conf = os.path.join(lab.dir, "keepalived.conf")
    with open(conf, "w", encoding="ascii") as f:
        f.write(CONF % {"key": key_file(lab), "state": lab.dir, "replicate": replicate})
    a, b = (Router(lab, name, conf) for name in ROUTERS)
    if replicate == "yes":
        the_real_one_takes_it(a)
    for router in (a, b):
        router.spawn(router.ours)
    wait_for("fw-a to serve", a.has_vips, 10)
    if replicate == "yes":
        wait_for("both to be ready", lambda: a.ready() and b.ready(), 15)
    traffic = Traffic(lab, idle=5, udp_rate=100, vpn_rate=0)
    if replicate == "yes":
        wait_for("the sessions on fw-b", lambda: b.machine.conntrack("-L", "-p", "tcp").count("ESTABLISHED") >= 6, 10)
    a.process.send_signal(19)  # it must not react while its links go
    lab.cut("fw-a")
    a.process.kill()
    wait_for("fw-b to serve", b.has_vips, 5)
    alive = traffic.check_idle(3000)["alive"]
    assert alive == (5 if replicate == "yes" else 0)
    if replicate == "yes":
        wait_for("the stream to go on", traffic.stream_alive, 5)


def the_real_one_takes_it(router):
    """It warns of the two blocks that it does not know, and serves the rest."""
    p = subprocess.run(router.machine.command(["keepalived", "-t", "-f", router.conf, "-i", router.name]),
                       capture_output=True, text=True, timeout=20, check=False)
    said = [line for line in (p.stdout + p.stderr).split("\n") if "Line " in line or "line " in line]
    assert p.returncode == 5 and any("Unknown keyword" in line for line in said), (p.returncode, p.stderr)
    first, last = (CONF[:CONF.index(word)].count("\n") + 1 for word in ("conntrack_sync", "vrrp_sync_group"))
    for line in said:
        assert first <= int(re.search(r"[Ll]ine (\d+)\)", line).group(1)) < last, line
    router.spawn("/usr/sbin/keepalived")
    wait_for("the real one to serve", router.has_vips, 10)
    router.process.terminate()
    router.process.wait(10)
    wait_for("its addresses to leave", lambda: not router.machine.has_ip4(VIP_LAN), 5)
