"""A site with IPsec: the lab, tunnels of any kind between its routers' virtual address and far ends, IKE daemons, and
keeptrackd on both routers.

    with Site(build, [Tunnel(), Tunnel("old", 1, peer="203.0.113.19", version=1)]) as site:
        site.start()                           # fw-a is master, every tunnel is up
        echoes = Echoes(site)                  # one flow of echoes through each tunnel
        echoes.mark()
        site.crash("fw-a")
        site.wait_up("fw-b")
        echoes.outages()                       # {tunnel: ms}
        site.revive("fw-a")

A tunnel whose machine is "hidden" ends behind a NAT box: 203.0.113.8 to the world, and forwarded=False keeps the box from
passing on what begins outside.
"""

import re
import subprocess

from conf import lab_conf, text
from ipsec import Charon
from keeptrackd import Daemon
from lab import Lab, LabError, Machine, PEER, ROUTERS, ROUTER_RULES, UDP_PORT, VIP_WAN, wait_for
from traffic import be_prompt, Traffic

CLIENT, CLIENT6 = "10.0.1.10", "2001:db8:1::10"
NAT_BOX, HIDDEN = "203.0.113.8", "192.168.8.9"
VIP6, PEER6 = "2001:db8:2::1", "2001:db8:2::9"

FIRM = (0.5, 1.5, 5)  # seconds until a repetition, factor, number: about 10 s until a peer counts as dead

NAT_RULES = """
table ip box {
    chain pre {
        type nat hook prerouting priority -100; policy accept;
        %s
    }
    chain post {
        type nat hook postrouting priority 100; policy accept;
        oifname "eth0" masquerade
    }
}
"""
NAT_LEGACY = """
*nat
:PREROUTING ACCEPT
:POSTROUTING ACCEPT
%s
-A POSTROUTING -o eth0 -j MASQUERADE
COMMIT
"""


def add_nat_box(lab, forwarded=True, legacy=False):
    """The machines nat and hidden. legacy: by iptables, where the kernel has no nftables for IPv4."""
    for name in ("nat", "hidden"):
        lab.machines[name] = Machine(lab, name)
        lab[name].sysctl({"net/ipv4/conf/all/rp_filter": 0, "net/ipv4/conf/default/rp_filter": 0})
    box, hidden, switch = lab["nat"], lab["hidden"], lab["switch"]
    box.ip("link add eth0 address 02:00:00:00:02:08 type veth peer name eth0-nat netns %d" % switch.holder.pid,
           "link add eth1 type veth peer name eth0 netns %d" % hidden.holder.pid)
    switch.ip("link set eth0-nat master br-wan up")
    box.ip("link set lo up", "link set eth0 up", "link set eth1 up", "addr add %s/24 dev eth0" % NAT_BOX,
           "addr add 192.168.8.1/24 dev eth1")
    hidden.ip("link set lo up", "link set eth0 up", "addr add %s/24 dev eth0" % HIDDEN, "route add default via 192.168.8.1")
    box.sysctl({"net/ipv4/ip_forward": 1})
    if legacy:
        rule = "-A PREROUTING -i eth0 -p udp -m multiport --dports 500,4500 -j DNAT --to-destination " + HIDDEN
        box.run("iptables-legacy-restore", text=NAT_LEGACY % (rule if forwarded else ""))
    else:
        rule = 'iifname "eth0" udp dport { 500, 4500 } dnat to ' + HIDDEN
        box.run("nft", "-f", "-", text=NAT_RULES % (rule if forwarded else ""))


def join(lab, tunnels):
    """Addresses and routes of tunnels with networks of their own. What belongs into one never leaves in clear."""
    lines = {name: [] for name in lab.machines}
    for tunnel in tunnels:
        n, far = tunnel.number, lines[tunnel.machine]
        if tunnel.at not in (PEER, PEER6, HIDDEN):
            far.append("addr add %s" % (tunnel.at + ("/64 dev eth0 nodad" if ":" in tunnel.at else "/24 dev eth0")))
        if n:
            far.append("addr add %s/24 dev lo" % tunnel.far_host)
            lines["client"] += ["addr add 10.2.%d.10/24 dev eth0" % n,
                                "route add 10.99.%d.0/24 via 10.0.1.1 src 10.2.%d.10" % (n, n)]
        for i, name in enumerate(ROUTERS if n else ()):
            lines[name] += ["addr add 10.2.%d.%d/32 dev lo" % (n, i + 2), "route add 10.2.%d.0/24 via %s" % (n, CLIENT),
                            "route add blackhole 10.99.%d.0/24 metric 4000" % n]
        if tunnel.ipv6:
            far.append("addr add %s/64 dev lo nodad" % tunnel.far_host6)
            lines["client"] += ["addr add fd02:%x::10/64 dev eth0 nodad" % n,
                                "route add fd99:%x::/64 via fe80::1:1 dev eth0 src fd02:%x::10" % (n, n)]
            for i, name in enumerate(ROUTERS):
                lines[name] += ["addr add fd02:%x::%d/128 dev lo nodad" % (n, i + 2),
                                "route add fd02:%x::/64 via %s dev lan0" % (n, CLIENT6),
                                "route add blackhole fd99:%x::/64 metric 4000" % n]
    for name, text_of in lines.items():
        if text_of:
            lab[name].ip(*text_of)


def load_algorithms(machine):
    """The kernel's modules for what the tunnels use. Loading them takes a virtual machine seconds, and the first negotiation
    would wait for it with others behind."""
    for source, target in (("192.0.2.1", "192.0.2.2"), ("2001:db8:ff::1", "2001:db8:ff::2")):
        machine.run("ip", "xfrm", "state", "add", "src", source, "dst", target, "proto", "esp", "spi", "0x1000", "mode",
                    "tunnel", "enc", "cbc(aes)", "0x" + "11" * 16, "auth-trunc", "hmac(sha256)", "0x" + "22" * 32, "128")
    machine.run("ip", "xfrm", "state", "flush")


class Site:
    """The machines and their daemons. Use it as a context manager, or call close(). retransmit: of the far ends."""

    def __init__(self, build, tunnels, kernel_esp=False, advert=0.1, forwarded=True, retransmit=FIRM):
        self.tunnels, self.kernel_esp, self.advert = list(tunnels), kernel_esp, advert
        self.ipv6 = any(":" in t.vip or t.ipv6 for t in self.tunnels)
        self.lab = Lab(build, rules=None if kernel_esp else ROUTER_RULES)
        self.daemons, self.charons, self.down = {}, {}, set()
        try:
            if kernel_esp:
                load_algorithms(self.lab["client"])
            else:  # what comes out of a tunnel may begin something, too
                for name in ROUTERS:
                    self.lab[name].run("nft", "add rule inet lab forward iifname \"ipsec*\" accept")
            if any(t.machine == "hidden" for t in self.tunnels):
                add_nat_box(self.lab, forwarded, legacy=kernel_esp)
            join(self.lab, self.tunnels)
            for name in ROUTERS + tuple(dict.fromkeys(t.machine for t in self.tunnels)):
                self.charons[name] = Charon(self.lab, name, self.tunnels, kernel_esp,
                                            FIRM if name in ROUTERS else retransmit)
        except BaseException:
            self.lab.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.lab.close()

    @property
    def machines(self):
        return self.lab.machines

    def other(self, name):
        return ROUTERS[1 - ROUTERS.index(name)]

    # ---- processes

    def conf(self, name, tunnels=None, hooks=None, **ipsec):
        """keeptrackd's configuration as a dictionary. tunnels: those to manage (default: all)."""
        conf = lab_conf(self.lab, name, advert=self.advert, ipv6=self.ipv6)
        managed = self.tunnels if tunnels is None else tunnels
        if managed:
            conf["ipsec"] = dict({"vici": "/run/charon.vici", "swanctl": "/run/swanctl.conf",
                                  "strongswan": "/run/strongswan.conf"}, tunnels=[t.conf() for t in managed], **ipsec)
        if hooks:
            conf["hooks"] = hooks
        return conf

    def start_ike(self, *names):
        """charon on these machines (default: on all), side by side."""
        wanted = [self.charons[n] for n in names or self.charons]
        for charon in wanted:
            charon.begin()
        for charon in wanted:
            charon.ready()

    def start_daemons(self, make=None):
        """keeptrackd on both routers. make: name -> configuration."""
        for name in ROUTERS:
            self.daemons[name] = Daemon(self.lab, name, conf=text((make or self.conf)(name))).start()
            if name == ROUTERS[0]:
                self.wait_master(name)

    def start(self, make=None):
        self.start_ike()
        self.start_daemons(make)
        self.wait_up(ROUTERS[0])
        self.wait_ready(ROUTERS[1])
        return self

    def stop_daemons(self):
        for daemon in self.daemons.values():
            try:
                daemon.stop()
            except subprocess.TimeoutExpired:
                daemon.kill()

    # ---- what is there

    def masters(self):
        """Routers that hold the address of the tunnels in their kernel, whatever anybody says."""
        return [name for name in ROUTERS if self.lab[name].has_ip4(VIP_WAN)]

    def wait_master(self, name, seconds=15.0):
        wait_for("%s to hold the virtual addresses alone" % name, lambda: self.masters() == [name], seconds, 0.01)

    def show(self, name):
        return self.daemons[name].ask("show ipsec")

    def tunnel(self, name, tunnel):
        """What `show ipsec json` says of one tunnel on a router."""
        return next(t for t in self.show(name)["tunnels"] if t["name"] == tunnel)

    def states(self, name):
        return {t["name"]: t["state"] for t in self.show(name)["tunnels"]}

    def wait_state(self, name, tunnel, state, seconds=15.0):
        return wait_for("tunnel %s on %s to be %s" % (tunnel, name, state),
                        lambda: self._in_state(name, tunnel, state), seconds)

    def _in_state(self, name, tunnel, state):
        seen = self.tunnel(name, tunnel)
        if seen["state"] != state:
            raise LabError("it is %s: %s" % (seen["state"], seen["reason"]))
        return seen

    def wait_up(self, name, *tunnels, seconds=20.0):
        """Until these tunnels (default: all) are up on a router, in its own words and in those of its charon."""
        for tunnel in tunnels or [t.name for t in self.tunnels]:
            self.wait_state(name, tunnel, "up", seconds)

        def installed():
            """One question for all: a process costs a virtual machine a good part of a second."""
            sas = self.charons[name].swanctl("--list-sas", check=False)
            missing = [t for t in tunnels or [t.name for t in self.tunnels]
                       if not re.search(r"^  %s: #\d+, reqid \d+, INSTALLED" % re.escape(t), sas, re.M)]
            if missing:
                raise LabError("without child: %s" % missing)
            return True
        wait_for("charon of %s to have them" % name, installed, seconds, 0.1)

    def group(self, name):
        return self.daemons[name].ask("show failover status")["groups"][0]

    def wait_ready(self, name, seconds=20.0):
        wait_for("%s to be a ready standby" % name, lambda: self.group(name)["role"] == "BACKUP" and
                 self.group(name)["ready"], seconds)

    def timeline(self, name):
        """The newest promotion in a router's journal."""
        return next(e for e in self.daemons[name].ask("show failover timeline")["transactions"]
                    if e["node"] == name and e["to"] == "MASTER")

    # ---- what happens

    def crash(self, name):
        """Power failure: nothing of the router is heard any more, and nothing of it reacts."""
        self.daemons[name].signal(19)
        self.charons[name].freeze()
        self.lab.cut(name)
        self.down.add(name)
        self.daemons[name].kill()
        self.charons[name].stop()

    def revive(self, name, conf=None):
        """The crashed router boots. A ready standby, or master again, by the time its configuration says."""
        machine = self.lab[name]
        for pid in machine.pids():
            with open("/proc/%d/comm" % pid, encoding="ascii") as f:
                if f.read().startswith("keeptrackd"):  # the dead process' guardian, which a power failure ends, too
                    machine.run("kill", "-9", str(pid), check=False)
        self.lab.reboot(name)
        for interface, address in (("lan0", "fe80::1:1/64"), ("wan0", "fe80::2:1/64")):
            machine.run("ip", "addr", "del", address, "dev", interface, check=False)
        if self.kernel_esp:
            machine.run("sh", "-c", "ip xfrm state flush; ip xfrm policy flush")
        self.lab.plug(name)
        self.down.discard(name)
        self.start_ike(name)
        if conf is not None:
            self.daemons[name].write_conf(text(conf))
        self.daemons[name].start()

    def planned(self, name):
        """The master gives its role away."""
        self.daemons[name].ask("force failover")


class Echoes(Traffic):
    """UDP echoes through tunnels, one flow for each, and nothing else. inward: the far end sends, and goes on sending into
    an SA that has died on the routers; tunnels of one machine only. prompt: see Traffic."""

    def __init__(self, site, tunnels=None, rate=200, inward=False, prompt=False):  # pylint: disable=super-init-not-called
        lab, tool = site.lab, site.lab.tool("labtraffic")
        chosen = site.tunnels if tunnels is None else tunnels
        self.lab, self.rest = lab, b""
        self.servers = []
        for name in ["client"] if inward else dict.fromkeys(t.machine for t in chosen):
            if ":%d" % UDP_PORT not in lab[name].run("ss", "-Hlun"):
                self.servers.append(lab[name].spawn(tool, "server", log="traffic"))
                wait_for("the echo server on " + name, lambda n=name: ":%d" % UDP_PORT in lab[n].run("ss", "-Hlun"), 5)
        self.client = lab[chosen[0].machine if inward else "client"].spawn(tool, "client", "-", "0", "0", *(
            "%s,%s,%d,%d" % (t.name, t.near_net + ".10" if inward else t.far_host, UDP_PORT, rate) for t in chosen),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if prompt:
            be_prompt(self.servers + [self.client])
        self.names = [t.name for t in chosen]
        self._line(30)

    def wait_flowing(self, *names, seconds=10.0):
        for name in names or self.names:
            wait_for("echoes through " + name, lambda n=name: self.flowing(n), seconds)

    def outages(self):
        """{tunnel: ms} of the longest silence since mark()."""
        return {n: f["gap_ns"] / 1e6 for n, f in self.report()["udp"].items()}

    def returned(self, name):
        """The instant (CLOCK_MONOTONIC, ns) at which the longest silence of a flow ended."""
        flow = self.report()["udp"][name]
        return flow["gap_begin_ns"] + flow["gap_ns"]

    def close(self):
        for child in [self.client] + self.servers:
            child.kill()
            child.wait()


def xfrm(machine, *addresses):
    """[(source, destination)] of the kernel's SAs of these addresses."""
    found = []
    for line in machine.run("ip", "xfrm", "state").split("\n"):
        words = line.split()
        if words[:1] == ["src"] and (words[1] in addresses or words[3] in addresses):
            found.append((words[1], words[3]))
    return found
