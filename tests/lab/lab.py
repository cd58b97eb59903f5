"""The lab: two routers between a LAN and a WAN, each machine a network namespace of its own.

    client --- br-lan --- { fw-a, fw-b } --- br-wan --- server
                            `- sync0 -'          `----- peer (the far end of the VPN)

A machine is held by one sleeping process that owns its network and mount namespace; nothing is named on the host,
and when this program dies, whatever the way, the kernel ends the machines' processes and with them the namespaces.
The bridges live in a machine called switch. Each machine has a private, empty /run.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

from wire import in_netns

VIP_LAN, VIP_WAN = "10.0.1.1", "203.0.113.1"
PEER, SERVER, CLIENT = "203.0.113.9", "203.0.113.10", "10.0.1.10"
VPN_LAN, VPN_HOST = "10.99.0.0/24", "10.99.0.1"
ROUTERS = ("fw-a", "fw-b")
TCP_PORT, UDP_PORT = 5001, 5002

# machine -> interface -> (bridge or other machine, MAC, addresses)
MACHINES = {
    "client": {"eth0": ("br-lan", "02:00:00:00:01:10", ("10.0.1.10/24", "2001:db8:1::10/64"))},
    "fw-a": {
        "lan0": ("br-lan", "02:0a:00:00:01:02", ("10.0.1.2/24", "2001:db8:1::2/64")),
        "wan0": ("br-wan", "02:0a:00:00:02:02", ("203.0.113.2/24", "2001:db8:2::2/64")),
        "sync0": ("fw-b", "02:0a:00:00:09:01", ("10.9.0.1/24", "fd00:9::1/64")),
    },
    "fw-b": {
        "lan0": ("br-lan", "02:0b:00:00:01:03", ("10.0.1.3/24", "2001:db8:1::3/64")),
        "wan0": ("br-wan", "02:0b:00:00:02:03", ("203.0.113.3/24", "2001:db8:2::3/64")),
        "sync0": ("fw-a", "02:0b:00:00:09:02", ("10.9.0.2/24", "fd00:9::2/64")),
    },
    "server": {"eth0": ("br-wan", "02:00:00:00:02:10", ("203.0.113.10/24", "2001:db8:2::10/64"))},
    "peer": {"eth0": ("br-wan", "02:00:00:00:02:09", ("203.0.113.9/24", "2001:db8:2::9/64"))},
}

ROUTER_RULES = """
table inet lab {
    chain input {
        type filter hook input priority 0; policy drop;
        iifname "lo" accept
        iifname "sync0" accept
        ct state invalid drop
        ct state established,related accept
        ip protocol { icmp, vrrp } accept
        ip6 nexthdr { icmpv6, vrrp } accept
        meta l4proto { icmpv6, vrrp } accept
        iifname "wan0" udp dport { 500, 4500 } accept
    }
    chain forward {
        type filter hook forward priority 0; policy drop;
        ct state invalid counter drop
        ct state established,related accept
        iifname "lan0" meta l4proto { udp, icmp, icmpv6 } ct state new accept
        iifname "lan0" tcp flags & (fin | syn | rst | ack) == syn ct state new accept
    }
}
table ip labnat {
    chain postrouting {
        type nat hook postrouting priority 100; policy accept;
        oifname "wan0" ip saddr 10.0.1.0/24 snat to %s fully-random
    }
}
""" % VIP_WAN


class LabError(Exception):
    """Something of the lab itself did not work."""


def busy():
    """How many times longer something may take here and now: others may use this machine, too."""
    return min(4.0, max(1.0, os.getloadavg()[0] / os.cpu_count()))


def wait_for(what, probe, seconds=10.0, step=0.02):
    """
    Calls probe until it returns something true, and returns that; LabError after the deadline. That is one for a machine
    at rest: where many want to run, or where sleeping takes longer than was asked for, it is a later one.
    """
    begin, late = time.monotonic(), 0.0
    last = None
    while True:
        try:
            value = probe()
            if value:
                return value
            last = value
        except (OSError, ValueError, KeyError, IndexError, TypeError, LabError, subprocess.SubprocessError) as e:
            last = e
        now = time.monotonic()
        if now > begin + seconds * (busy() + min(late, 3.0)):
            raise LabError("waited %.1f s in vain for: %s%s" % (now - begin, what, " (%s)" % last if last else ""))
        time.sleep(step)
        late += max(0.0, time.monotonic() - now - step - 0.005)


class Machine:
    """A network namespace with a private /run, and the processes started in it."""

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.dir = os.path.join(lab.dir, name)
        os.makedirs(self.dir)
        self.children = []
        script = ("mount -t tmpfs -o mode=755 tmpfs /run && mkdir -p /run/lock /run/netns && "
                  "mount -t sysfs sysfs /sys && echo ok && exec sleep infinity")
        self.holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--propagation", "private",
             "sh", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if self.holder.stdout.readline().strip() != b"ok":
            raise LabError("cannot make a namespace for %s (root is needed, and a kernel with namespaces)" % name)
        self.net_inode = os.stat("/proc/%d/ns/net" % self.holder.pid).st_ino

    def command(self, argv):
        return ["nsenter", "-t", str(self.holder.pid), "-n", "-m", "--"] + list(argv)

    def run(self, *argv, check=True, text=None, timeout=20):
        """Runs to the end; returns standard output."""
        p = subprocess.run(self.command(argv), input=text, capture_output=True, text=True, timeout=timeout,
                           check=False)
        if check and p.returncode != 0:
            raise LabError("%s: %s: status %d: %s" % (self.name, " ".join(argv), p.returncode,
                                                      (p.stderr or p.stdout).strip()[-600:]))
        return p.stdout

    def spawn(self, *argv, log=None, env=None, stdin=subprocess.DEVNULL, stdout=None):
        """Starts a process that ends with this program at the latest. Output goes to <lab>/<machine>/<log>.log."""
        if stdout is None:
            stdout = open(os.path.join(self.dir, (log or os.path.basename(argv[0])) + ".log"), "ab")
        child = subprocess.Popen(self.command(["setpriv", "--pdeathsig", "KILL", "--"] + list(argv)), stdin=stdin,
                                 stdout=stdout, stderr=stdout if stdin == subprocess.DEVNULL else subprocess.STDOUT,
                                 env=dict(os.environ, **(env or {})))
        self.children.append(child)
        return child

    def ip(self, *lines):
        self.run("ip", "-batch", "-", text="\n".join(lines) + "\n")

    def sysctl(self, values):
        """Writes {path below /proc/sys: value}; what this kernel does not have is left out."""
        def write():
            for path, value in values.items():
                if os.path.exists("/proc/sys/" + path):
                    with open("/proc/sys/" + path, "w", encoding="ascii") as f:
                        f.write(str(value))
        in_netns(self.holder.pid, write)

    def addresses(self, interface):
        out = json.loads(self.run("ip", "-j", "addr", "show", "dev", interface))
        return [a["local"] for a in out[0].get("addr_info", []) if a.get("scope") != "link"]

    def has_ip4(self, *wanted):
        """True when all these addresses are local; costs no process, so it may be asked often."""
        with open("/proc/%d/net/fib_trie" % self.holder.pid, encoding="ascii") as f:
            lines = f.read().split("\n")
        local = {lines[i - 1].split()[-1] for i, line in enumerate(lines) if "/32 host LOCAL" in line}
        return all(address in local for address in wanted)

    def session_count(self):
        """Entries of the kernel's connection table, without a process."""
        with open("/proc/%d/net/stat/nf_conntrack" % self.holder.pid, encoding="ascii") as f:
            return int(f.read().split("\n")[1].split()[0], 16)

    def pids(self):
        """Every process whose network namespace is this machine's, except its holder."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) != self.holder.pid:
                try:
                    if os.stat("/proc/%s/ns/net" % entry).st_ino == self.net_inode:
                        found.append(int(entry))
                except OSError:
                    pass
        return found

    def conntrack(self, *args):
        return self.run("conntrack", *args, check=False)

    def close(self):
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for child in self.children:
            child.kill()
            child.wait()
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()


class Machines:
    """Machines by name in a directory of their own. Use it as a context manager, or call close()."""

    def __init__(self, build, prefix):
        self.build = os.path.abspath(build)
        self.dir = tempfile.mkdtemp(prefix=prefix)
        os.chmod(self.dir, 0o755)
        self.machines = {}

    def __getitem__(self, name):
        return self.machines[name]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def tool(self, name):
        path = os.path.join(self.build, name)
        if not os.access(path, os.X_OK):
            raise LabError("%s is missing: ./dev build makes it" % path)
        return path

    def close(self, keep_files=False):
        for machine in self.machines.values():
            machine.close()
        if not keep_files:
            shutil.rmtree(self.dir, ignore_errors=True)


class Lab(Machines):
    """The topology. Use it as a context manager, or call close()."""

    def __init__(self, build, rules=ROUTER_RULES):
        super().__init__(build, "keeptrackd-lab-")
        self.captures = {}
        self.clock = time.monotonic()
        try:
            for name in ("switch",) + tuple(MACHINES):
                self.machines[name] = Machine(self, name)
            self._wire()
            for name in ROUTERS:
                self._make_router(self[name], rules)
        except BaseException:
            self.close()
            raise

    def _wire(self):
        switch = self["switch"]
        for bridge in ("br-lan", "br-wan"):
            switch.ip("link add %s type bridge stp_state 0 forward_delay 0 mcast_snooping 0" % bridge,
                      "link set %s up" % bridge)
        switch.sysctl({"net/bridge/bridge-nf-call-iptables": 0, "net/bridge/bridge-nf-call-ip6tables": 0})
        for name, links in MACHINES.items():
            machine = self[name]
            machine.sysctl({"net/ipv6/conf/all/accept_dad": 0, "net/ipv6/conf/default/accept_dad": 0,
                              "net/ipv4/conf/all/rp_filter": 0, "net/ipv4/conf/default/rp_filter": 0})
            for interface, (end, mac, _) in links.items():
                if end.startswith("br-"):
                    machine.ip("link add %s address %s type veth peer name %s netns %d"
                               % (interface, mac, self.port(name, interface), switch.holder.pid))
                    switch.ip("link set %s master %s up" % (self.port(name, interface), end))
                elif name < end:
                    machine.ip("link add %s address %s type veth peer name %s address %s netns %d"
                               % (interface, mac, interface, MACHINES[end][interface][1], self[end].holder.pid))
        for name, links in MACHINES.items():
            lines = ["link set lo up"]
            for interface, (_, _, addresses) in links.items():
                lines.append("link set %s up" % interface)
                lines += ["addr add %s dev %s%s" % (a, interface, " nodad" if ":" in a else "") for a in addresses]
            self[name].ip(*lines)
        self["client"].ip("route add default via " + VIP_LAN)
        self["peer"].ip("addr add %s/24 dev lo" % VPN_HOST)

    @staticmethod
    def port(machine, interface):
        return ("%s-%s" % (interface[:3], machine))[:15]

    @staticmethod
    def _make_router(router, rules):
        router.sysctl({"net/ipv4/ip_forward": 1, "net/ipv6/conf/all/forwarding": 1,
                         "net/ipv4/conf/all/send_redirects": 0, "net/ipv4/conf/default/send_redirects": 0})
        if rules:
            router.run("nft", "-f", "-", text=rules)
            router.sysctl({"net/netfilter/nf_conntrack_tcp_loose": 0, "net/netfilter/nf_conntrack_events": 1})
        # What belongs into the tunnel never leaves in clear when there is no tunnel, nor the channel through the WAN.
        router.ip("route add default via " + SERVER, "route add blackhole %s metric 4000" % VPN_LAN,
                  "route add blackhole 10.9.0.0/24 metric 4000")

    # ---- events of the world

    def cut(self, router):
        """All links of a router lose their carrier, as when the power goes."""
        self[router].ip("link set sync0 down")
        self["switch"].ip(*("link set %s down" % self.port(router, i) for i in ("lan0", "wan0")))

    def plug(self, router):
        """The links come back; returns when the router's kernel uses them (it notices within a second)."""
        self["switch"].ip(*("link set %s up" % self.port(router, i) for i in ("lan0", "wan0")))
        self[router].ip("link set sync0 up", "addr replace %s dev sync0 nodad"
                        % MACHINES[router]["sync0"][2][1])

        def usable():
            links = json.loads(self[router].run("ip", "-j", "link", "show"))
            return all(link["operstate"] == "UP" for link in links if link["ifname"] in MACHINES[router])
        wait_for("the links of %s to be up" % router, usable, 5)
        # A freshly booted kernel has not asked for any neighbour while its links were down.
        self[router].run("ip", "neigh", "flush", "all")

    def reboot(self, router):
        """What a router has lost when it comes back: sessions, virtual addresses, the files in /run."""
        machine = self[router]
        machine.conntrack("-F")
        for interface, (_, _, own) in MACHINES[router].items():
            keep = {a.split("/")[0] for a in own}
            for address in machine.addresses(interface):
                if address not in keep:
                    machine.run("ip", "addr", "del", "%s/%d" % (address, 64 if ":" in address else 24), "dev",
                                interface, check=False)
        machine.run("sh", "-c", "rm -rf /run/keeptrackd /run/*.pid /run/*.vici /run/conntrackd* /run/lock/*")

    def capture(self, bridge):
        if bridge not in self.captures:
            self.captures[bridge] = Capture(self, bridge)
        return self.captures[bridge]

    def mac(self, router, interface):
        return MACHINES[router][interface][1]


class Capture:
    """What labcapture saw on a bridge so far; times in nanoseconds of CLOCK_MONOTONIC."""

    def __init__(self, lab, bridge):
        self.path = os.path.join(lab.dir, "capture-%s.jsonl" % bridge)
        self.events = []
        self.process = lab["switch"].spawn(lab.tool("labcapture"), bridge, PEER, stdout=open(self.path, "wb"))
        self.file = open(self.path, encoding="ascii")
        self.rest = ""
        wait_for("the capture on %s" % bridge, lambda: '"ready"' in open(self.path, encoding="ascii").read(), 5)

    def read(self):
        """All events until now, oldest first."""
        lines = (self.rest + self.file.read()).split("\n")
        self.rest = lines.pop()
        self.events += [e for e in map(json.loads, filter(None, lines)) if "kind" in e]
        return self.events

    def find(self, kind, since=0, until=None, **want):
        return [e for e in self.read() if e["kind"] == kind and e["t_ns"] >= since
                and (until is None or e["t_ns"] <= until) and all(e.get(k) == v for k, v in want.items())]


def now_ns():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)
