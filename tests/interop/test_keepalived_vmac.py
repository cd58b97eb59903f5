"""Virtual MACs with keepalived (use_vmac) on the other router: takeover and hand-back both ways, one MAC throughout."""

import json
import os

import pytest

from conf import instance, lab_conf, text
from keeptrackd import Daemon
from lab import ROUTERS, now_ns, wait_for
from wire import Tap

VIP, VMAC = "10.0.1.1", "00:00:5e:00:01:0a"
CONF = """global_defs {
    router_id %(name)s
    vrrp_version 3
}
vrrp_instance one {
    state BACKUP
    interface lan0
    virtual_router_id 10
    use_vmac vrrp.10
    %(xmit)s
    priority %(priority)d
    advert_int 0.1
    virtual_ipaddress {
        10.0.1.1/24
    }
}
"""


class Theirs:
    def __init__(self, lab, router, priority, xmit_base):
        self.machine = lab[router]
        # keepalived leaves this setting alone: its base would name the virtual address in ARP with its own MAC.
        self.machine.sysctl({"net/ipv4/conf/lan0/arp_announce": 2})
        self.path = os.path.join(self.machine.dir, "keepalived.conf")
        with open(self.path, "w", encoding="ascii") as f:
            f.write(CONF % {"name": router, "priority": priority, "xmit": "vmac_xmit_base" if xmit_base else ""})

    def start(self):
        self.machine.run("sh", "-c", "rm -f /run/keepalived*.pid /run/vrrp*.pid")
        self.process = self.machine.spawn("keepalived", "-n", "-l", "-D", "-P", "-f", self.path)

    def stop(self):
        self.process.terminate()
        self.process.wait(5)


class Ours:
    def __init__(self, lab, router, priority, base_source):
        conf = lab_conf(lab, router, peer=False, priority=priority)
        vmac = {"source": "base"} if base_source else {}
        conf["vrrp"] = {"instances": [instance("one", "lan0", 10, [VIP + "/24"], virtual_mac=vmac)]}
        self.machine = lab[router]
        self.daemon = Daemon(lab, router, conf=text(conf))

    def start(self):
        self.daemon.start()

    def stop(self):
        self.daemon.stop()


def is_up(machine):
    links = {l["ifname"]: l for l in json.loads(machine.run("ip", "-j", "link", "show"))}
    return "vrrp.10" in links and "UP" in links["vrrp.10"]["flags"]


@pytest.mark.parametrize("base", [False, True], ids=["virtual source", "base source"])
@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_one_mac(lab, first, base):
    """The better router starts, leaves, and comes back; the other one serves meanwhile."""
    tap = Tap(lab["client"], "eth0")
    a, b = ROUTERS
    better = Ours(lab, a, 150, base) if first == "ours" else Theirs(lab, a, 150, base)
    other = Theirs(lab, b, 100, base) if first == "ours" else Ours(lab, b, 100, base)

    def serves(node, seconds):
        wait_for("%s to serve alone" % node.machine.name,
                 lambda: [r for r in ROUTERS if lab[r].has_ip4(VIP)] == [node.machine.name], seconds)
        since = now_ns()
        # What keepalived's interface says as it goes down may send the switch the wrong way for a moment.
        wait_for("an answer", lambda: " 1 received" in lab["client"].run("ping", "-n", "-c", "1", "-W", "0.2", VIP,
                                                                         check=False), 2)
        wait_for("its adverts", lambda: tap.vrrp(since, vrid=10, src="10.0.1.%d" % (2 + ROUTERS.index(
            node.machine.name))), 2)
        assert VMAC in lab["client"].run("ip", "neigh", "show", VIP)
        macs = {advert.mac for advert in tap.vrrp(since, vrid=10)}
        assert macs == ({lab.mac(node.machine.name, "lan0")} if base else {VMAC})

    better.start()
    serves(better, 10)
    other.start()
    better.stop()
    serves(other, 5)
    better.start()
    serves(better, 10)
    ours = better if first == "ours" else other
    assert is_up(ours.machine) == (ours is better)
    assert {mac for _, mac, _ in tap.arp(VIP)} == {VMAC}
