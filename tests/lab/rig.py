"""Routers and a listener on any number of Ethernet segments, and the two VRRP daemons that can run on a router.

    client --- br1 .. brN --- { a, b, ... }        a and b also have a link of their own, sync0

The same virtual routers (Vr) become a configuration of keeptrackd (Ours) or of keepalived (Theirs), so that one scenario
can be played with either. Machines are those of lab.py: nothing is named on the host, everything ends with the program.
"""

import json
import os
import signal
import socket
import subprocess

import control
from conf import text
from lab import Machine, Machines, wait_for
from wire import Tap

ROUTER_NAMES = ("a", "b", "c")
SOCKET = "/run/keeptrackd/ctl.sock"


class Vr:
    """A virtual router: what both daemons are told of it."""

    def __init__(self, name, segment, vrid, vips, advert=0.1, priority=None, excluded=(), family="ipv4", preempt=True,
                 **ours):
        self.name, self.segment, self.vrid, self.vips, self.advert = name, segment, vrid, list(vips), advert
        self.priority = priority or {"a": 150, "b": 100, "c": 50}
        self.excluded, self.family, self.preempt, self.ours = list(excluded), family, preempt, ours

    @property
    def interface(self):
        return "eth%d" % self.segment

    def changed(self, **fields):
        other = Vr(self.name, self.segment, self.vrid, self.vips, self.advert, self.priority, self.excluded, self.family,
                   self.preempt, **self.ours)
        for key, value in fields.items():
            setattr(other, key, value)
        return other


class Rig(Machines):
    """The machines. Use it as a context manager."""

    def __init__(self, build, segments=1, routers=("a", "b"), ipv6=True):
        super().__init__(build, "keeptrackd-rig-")
        self.segments, self.routers = segments, tuple(routers)
        try:
            for name in ("switch", "client") + self.routers:
                self.machines[name] = Machine(self, name)
            self._wire(ipv6)
        except BaseException:
            self.close()
            raise

    @staticmethod
    def mac(machine, segment):
        return "02:%s:00:00:00:%02x" % ({"client": "cc", "a": "0a", "b": "0b", "c": "0c"}[machine], segment)

    @staticmethod
    def address(machine, segment):
        return "10.%d.255.%d" % (segment, {"client": 10, "a": 1, "b": 2, "c": 3}[machine])

    @staticmethod
    def port(machine, segment):
        return "%s%d" % (machine, segment)

    def _wire(self, ipv6):
        switch = self["switch"]
        switch.ip(*(line for s in range(1, self.segments + 1)
                    for line in ("link add br%d type bridge stp_state 0 forward_delay 0 mcast_snooping 0" % s,
                                 "link set br%d up" % s)))
        for name in ("client",) + self.routers:
            machine = self[name]
            machine.sysctl({"net/ipv6/conf/all/accept_dad": 0, "net/ipv6/conf/default/accept_dad": 0,
                            "net/ipv4/conf/all/rp_filter": 0, "net/ipv4/conf/default/rp_filter": 0,
                            "net/ipv6/conf/default/disable_ipv6": 0 if ipv6 else 1})
            lines = ["link set lo up"]
            for s in range(1, self.segments + 1):
                lines += ["link add eth%d address %s type veth peer name %s netns %d"
                          % (s, self.mac(name, s), self.port(name, s), switch.holder.pid),
                          "link set eth%d up" % s, "addr add %s/16 dev eth%d" % (self.address(name, s), s)]
            machine.ip(*lines)
            switch.ip(*("link set %s master br%d up" % (self.port(name, s), s) for s in range(1, self.segments + 1)))
        if len(self.routers) > 1:
            self["a"].ip("link add sync0 type veth peer name sync0 netns %d" % self["b"].holder.pid,
                         "link set sync0 up", "addr add 10.254.0.1/24 dev sync0")
            self["b"].ip("link set sync0 up", "addr add 10.254.0.2/24 dev sync0")
        for name in self.routers:  # a carrier is noticed within a second: no run begins before
            wait_for("the links of " + name, lambda n=name: all(
                link["operstate"] in ("UP", "UNKNOWN") for link in json.loads(self[n].run("ip", "-j", "link", "show"))
                if link["ifname"].startswith(("eth", "sync"))), 5)

    def tap(self, segment=1):
        return Tap(self["client"], "eth%d" % segment)

    def unplug(self, name):
        """No frame of this router passes the switch any more; its own links stay up. Instant, both ways."""
        self["switch"].ip(*("link set %s nomaster" % self.port(name, s) for s in range(1, self.segments + 1)))
        if name in ("a", "b"):
            self["a"].ip("link set sync0 down")

    def plug(self, name):
        self["switch"].ip(*("link set %s master br%d" % (self.port(name, s), s) for s in range(1, self.segments + 1)))
        if name in ("a", "b"):
            self["a"].ip("link set sync0 up")

    def clean(self, name):
        """What a reboot takes away: virtual addresses, files in /run."""
        machine = self[name]
        for s in range(1, self.segments + 1):
            machine.run("ip", "-4", "addr", "flush", "dev", "eth%d" % s)
            machine.ip("addr add %s/16 dev eth%d" % (self.address(name, s), s))
        machine.run("sh", "-c", "rm -rf /run/keeptrackd /run/*.pid /run/keepalived*")


class Router:
    """A daemon on a router; what both kinds have in common."""

    def __init__(self, rig, name, instances, group=None, channel=False, replicate=False):
        self.rig, self.name, self.machine = rig, name, rig[name]
        self.instances, self.group, self.channel, self.replicate = list(instances), group, channel, replicate
        self.process = None

    def mac(self, segment=1):
        return self.rig.mac(self.name, segment)

    def log(self):
        try:
            with open(os.path.join(self.machine.dir, self.logname + ".log"), encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def pids(self):
        """All processes of the daemon, parents first."""
        found = []
        for pid in self.machine.pids():
            try:
                with open("/proc/%d/comm" % pid, encoding="ascii") as f:
                    if f.read().startswith(self.comms):
                        found.append(pid)
            except OSError:
                pass
        return sorted(found)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def freeze(self):
        for pid in self.pids():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in reversed(self.pids()):
            os.kill(pid, signal.SIGCONT)

    def die(self):
        """All of it at once, without a word to anybody: the machine has lost its power."""
        pids = self.pids()
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
        self.process.wait()

    def crash(self):
        """Links down and SIGKILL; frozen first, so that nothing reacts to the links."""
        self.freeze()
        self.rig.unplug(self.name)
        self.die()

    def stop(self):
        if self.alive():
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.die()

    def holds(self, *vips):
        return self.machine.has_ip4(*[v.split("/")[0] for v in vips])

    def cpu_ns(self):
        """CPU time of all threads of all processes, as the scheduler counts it."""
        total = 0
        for pid in self.pids():
            for task in os.listdir("/proc/%d/task" % pid):
                with open("/proc/%d/task/%s/schedstat" % (pid, task), encoding="ascii") as f:
                    total += int(f.read().split()[0])
        return total

    def memory_kb(self):
        """(RSS, PSS) of all processes."""
        rss = pss = 0
        for pid in self.pids():
            with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as f:
                for line in f:
                    if line.startswith("Rss:"):
                        rss += int(line.split()[1])
                    elif line.startswith("Pss:"):
                        pss += int(line.split()[1])
        return rss, pss


class Ours(Router):
    label, comms, logname = "keeptrackd", ("keeptrackd", "kt-"), "keeptrackd"

    def conf(self):
        def one(v):
            item = {"name": v.name, "interface": v.interface, "vrid": v.vrid, "family": v.family,
                    "advert_interval": v.advert, "preempt": v.preempt, "virtual_addresses": v.vips}
            if v.excluded:
                item["excluded_addresses"] = v.excluded
            return dict(item, **v.ours)

        conf = {"node": {"id": ROUTER_NAMES.index(self.name) + 1, "run_dir": "/run/keeptrackd",
                         "state_dir": os.path.join(self.machine.dir, "state"),
                         "log": {"level": "info", "syslog": False, "stderr": True},
                         "instances": [{"name": v.name, "priority": v.priority[self.name]} for v in self.instances]}}
        if self.channel:
            conf["cluster"] = "rig"
            conf["nodes"] = [{"id": i + 1, "name": n, "addresses": ["10.254.0.%d" % (i + 1)]}
                             for i, n in enumerate(("a", "b"))]
            conf["channel"] = {"insecure": True}
        conf["vrrp"] = {"instances": [one(v) for v in self.instances]}
        if self.group:
            conf["vrrp"]["groups"] = [{"name": self.group, "members": [v.name for v in self.instances]}]
        conf["sync"] = {"replicate": self.replicate}
        return text(conf)

    @property
    def path(self):
        return os.path.join(self.machine.dir, "keeptrackd.conf")

    def write(self):
        os.makedirs(os.path.join(self.machine.dir, "state"), exist_ok=True)
        with open(self.path, "w", encoding="ascii") as f:
            f.write(self.conf())

    def start(self):
        self.write()
        self.process = self.machine.spawn(self.rig.tool("keeptrackd"), "-f", self.path, "-n", log=self.logname)
        wait_for("keeptrackd on %s" % self.name, self._answers, 30)
        return self

    def _answers(self):
        if self.process.poll() is not None:
            raise SystemExit("keeptrackd on %s has ended:\n%s" % (self.name, self.log()[-2000:]))
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.connect("/proc/%d/root%s" % (self.machine.holder.pid, SOCKET))
        return True

    def ask(self, command, **args):
        return control.ask(self.machine.holder.pid, SOCKET, command, args, 5)

    def reload(self, instances):
        """SIGHUP with other instances; returns when the daemon has judged the file."""
        words = ("configuration reloaded", "was not reloaded")
        before = sum(self.log().count(w) for w in words)
        self.instances = list(instances)
        self.write()
        self.process.send_signal(signal.SIGHUP)
        wait_for("the reload on " + self.name, lambda: sum(self.log().count(w) for w in words) > before, 5)

    def ready(self):
        """The standby could take over now: the channel is up and the groups are ready (without channel: it runs)."""
        if not self.channel:
            return True
        status = self.ask("show failover status")
        return (status["peers"][0]["channel"] == "up" and all(g["ready"] for g in status["groups"]))


class Theirs(Router):
    label, comms, logname = "keepalived", ("keepalived",), "keepalived"
    detail = False

    def conf(self):
        def one(v):
            lines = ["vrrp_instance %s {" % v.name, "    state BACKUP", "    interface " + v.interface,
                     "    virtual_router_id %d" % v.vrid, "    priority %d" % v.priority[self.name],
                     "    advert_int %s" % v.advert] + ([] if v.preempt else ["    nopreempt"])
            for word, vips in (("virtual_ipaddress", v.vips), ("virtual_ipaddress_excluded", v.excluded)):
                if vips:
                    lines += ["    %s {" % word] + ["        " + a for a in vips] + ["    }"]
            return "\n".join(lines + ["}", ""])

        head = "global_defs {\n    router_id %s\n    vrrp_version 3\n}\n" % self.name
        if self.group:
            head += "vrrp_sync_group %s {\n    group {\n%s    }\n}\n" % (
                self.group, "".join("        %s\n" % v.name for v in self.instances))
        return head + "".join(one(v) for v in self.instances)

    @property
    def path(self):
        return os.path.join(self.machine.dir, "keepalived.conf")

    def write(self):
        with open(self.path, "w", encoding="ascii") as f:
            f.write(self.conf())

    def start(self):
        self.write()
        self.machine.run("sh", "-c", "rm -f /run/keepalived*.pid /run/vrrp*.pid")
        before = self.log().count("Startup complete")
        self.process = self.machine.spawn("keepalived", "-n", "-l", "-P", "-f", self.path,
                                          *(["-D"] if self.detail else []), log=self.logname)
        wait_for("keepalived on %s to begin" % self.name,
                 lambda: self.log().count("Startup complete") > before, 60)
        return self

    def reload(self, instances):
        """SIGHUP with other instances; returns when the daemon says that it has read the file."""
        before = self.log().count("Reload complete")
        self.instances = list(instances)
        self.write()
        self.process.send_signal(signal.SIGHUP)
        wait_for("the reload on " + self.name, lambda: self.log().count("Reload complete") > before, 10)

    def ready(self):
        return self.alive()


STACKS = (Ours, Theirs)
