"""keeptrackd on the routers of a lab: configuration, process, and questions through ktsh."""

import json
import os
import signal
import socket
import subprocess
import time

import control
from lab import LabError, PEER, ROUTERS, VIP_LAN, VIP_WAN, now_ns, wait_for

CONF = """# %(name)s of the lab
node = {
    id = %(id)d;
    priority = %(priority)d;
    run_dir = "/run/keeptrackd";
    state_dir = "%(state)s";
    log = { level = "%(level)s"; syslog = false; stderr = true; };
};
cluster = "demo";
nodes = (
    { id = 1; name = "fw-a"; addresses = ( "10.9.0.1" ); },
    { id = 2; name = "fw-b"; addresses = ( "10.9.0.2" ); }
);
channel = { port = 4950; key_file = "%(key)s"; };
vrrp = {
    instances = (
        { name = "lan"; interface = "lan0"; vrid = 10; family = "ipv4"; advert_interval = %(advert)s;
          virtual_addresses = ( "10.0.1.1/24" ); },
        { name = "wan"; interface = "wan0"; vrid = 20; family = "ipv4"; advert_interval = %(advert)s;
          virtual_addresses = ( "203.0.113.1/24" ); }
    );
    groups = ( { name = "edge"; members = ( "lan", "wan" );%(preempt)s } );
};
sync = { replicate = %(replicate)s; };
%(ipsec)s
"""

IPSEC = """ipsec = {
    vici = "/run/charon.vici";
    tunnels = (
        { name = "hq"; vip = "%s"; peer = "%s"; ike = "hq"; child = "hq";
          dpd = { interval = 3; retry = 1; retries = 2; action = "reset"; }; }
    );
};""" % (VIP_WAN, PEER)

SOCKET = "/run/keeptrackd/ctl.sock"


class Daemon:
    """One keeptrackd on one machine of the lab."""

    def __init__(self, lab, router, conf=None, **options):
        self.lab, self.router, self.machine = lab, router, lab[router]
        self.process = None
        self.conf_path = os.path.join(self.machine.dir, "keeptrackd.conf")
        self.state = os.path.join(self.machine.dir, "state")
        os.makedirs(self.state, exist_ok=True)
        self.write_conf(conf if conf is not None else self.make_conf(**options))

    def make_conf(self, replicate=True, ipsec=True, advert="0.1", preempt=None, level="info"):
        index = ROUTERS.index(self.router)
        return CONF % {
            "name": self.router, "id": index + 1, "priority": 150 - 50 * index, "state": self.state, "level": level,
            "key": key_file(self.lab), "replicate": "true" if replicate else "false", "advert": advert,
            "preempt": "" if preempt is None else " preempt = %s;" % ("true" if preempt else "false"),
            "ipsec": IPSEC if ipsec else ""}

    def write_conf(self, text):
        with open(self.conf_path, "w", encoding="utf-8") as f:
            f.write(text)

    @property
    def log_path(self):
        return os.path.join(self.machine.dir, "keeptrackd.log")

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def start(self, *options):
        if self.alive():
            raise LabError("keeptrackd on %s runs already" % self.router)
        self.process = self.machine.spawn(self.lab.tool("keeptrackd"), "-f", self.conf_path, "-n", *options)
        wait_for("the control socket of keeptrackd on " + self.router, self._answers, 5)
        return self

    def _answers(self):
        if self.process.poll() is not None:
            self.lab_error()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:  # a dead process leaves its socket's name
            s.connect("/proc/%d/root%s" % (self.machine.holder.pid, SOCKET))
        return True

    def lab_error(self):
        tail = "\n".join(self.log().strip().split("\n")[-15:])
        raise SystemExit("keeptrackd on %s has ended with status %s:\n%s" % (self.router, self.process.poll(), tail))

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, seconds=5):
        """SIGTERM, and what it took to end (seconds)."""
        begin = time.monotonic()
        if self.alive():
            self.process.terminate()
            self.process.wait(seconds)
        return time.monotonic() - begin

    def kill(self):
        if self.alive():
            self.process.kill()
            self.process.wait()

    def guardian(self):
        """Process id of its guardian: the child that has the same program."""
        me = self.process.pid
        for pid in self.machine.pids():
            with open("/proc/%d/stat" % pid, encoding="ascii") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            if int(fields[1]) == me and os.path.samefile("/proc/%d/exe" % pid, "/proc/%d/exe" % me):
                return pid
        raise LabError("keeptrackd on %s has no guardian" % self.router)

    def ktsh_raw(self, *words, timeout=10):
        """(exit status, standard output) of ktsh."""
        argv = self.machine.command([self.lab.tool("ktsh")] + list(words))
        p = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False)
        return p.returncode, p.stdout + p.stderr

    def ktsh(self, *words):
        """The JSON answer of a command; LabError when the command fails."""
        status, out = self.ktsh_raw(*words, "json")
        if status != 0:
            raise LabError("ktsh %s: status %d: %s" % (" ".join(words), status, out.strip()))
        return json.loads(out)

    def ask(self, command, **args):
        """The same answer over the control socket itself (docs/control-protocol.md); cheaper than a process."""
        return control.ask(self.machine.holder.pid, SOCKET, command, args, 3)

    def has_vips(self):
        return self.machine.has_ip4(VIP_LAN, VIP_WAN)


def group(daemon):
    """How a daemon's first group is, in its own words."""
    return daemon.ask("show failover status")["groups"][0]


def key_file(lab):
    """The channel's key, made once per lab by the daemon's own generator."""
    path = os.path.join(lab.dir, "channel.key")
    if not os.path.exists(path):
        p = subprocess.run([lab.tool("keeptrackd"), "--genkey", path], capture_output=True, text=True, check=False)
        if p.returncode != 0:
            raise LabError("keeptrackd --genkey: " + (p.stderr or p.stdout).strip())
    return path


class Keeptrackd:
    """Both routers run keeptrackd. The same interface as incumbent.Incumbent."""

    name = "keeptrackd"
    journal = True

    def __init__(self, lab, charons, **options):
        self.lab, self.charons, self.options = lab, charons, options
        self.daemons, self.remarks = {}, {}

    def start(self, router):
        self.daemons[router] = Daemon(self.lab, router, **self.options).start()

    def alive(self, router):
        return router in self.daemons and self.daemons[router].alive()

    def is_master(self, router):
        return self.alive(router) and self.daemons[router].has_vips()

    def is_ready(self, router):
        """The standby's kernel holds what the master's kernel has: counted from outside, no word of ours believed."""
        if not self.options.get("replicate", True):
            return True
        other = ROUTERS[1 - ROUTERS.index(router)]

        def count(name):
            return self.lab[name].conntrack("-L", "-p", "tcp", "--dport", "5001").count("ESTABLISHED")

        return count(router) >= max(1, count(other))

    def rest(self, standby):
        """Nothing: the standby's copies are kept, by design."""

    def freeze(self, router):
        self.daemons[router].signal(signal.SIGSTOP)

    def kill(self, router, everything=True):
        del everything  # one process is all there is; its guardian has to do its work
        self.daemons[router].kill()

    def clear_dead(self, router):
        """Nothing of the dead process is left when the machine boots again."""
        for pid in self.lab[router].pids():
            try:
                with open("/proc/%d/comm" % pid, encoding="ascii") as f:
                    if f.read().startswith("keeptrackd"):
                        os.kill(pid, signal.SIGKILL)
            except (FileNotFoundError, ProcessLookupError):
                pass

    def restart_dead(self, router):
        """As a service manager does. What the dead process and its guardian left is the new one's to find."""
        self.start(router)

    def planned(self, router):
        status, out = self.daemons[router].ktsh_raw("force", "failover")
        if status != 0:
            raise LabError("force failover: status %d: %s" % (status, out.strip()))

    def rejoin(self, router):
        """Nothing to do: the router that gave its role away runs on as the standby."""

    def remark(self, router):
        """What the daemon says about itself, asked twice a second at most."""
        at, text = self.remarks.get(router, (0.0, ""))
        if time.monotonic() - at < 0.5:
            return text
        try:
            status = self.daemons[router].ask("show failover status")
            group = status["groups"][0]
            text = "ready" if group["ready"] else "not ready: " + ", ".join(group["not_ready_because"])
            if status.get("replication"):
                text = "%d own, %d copies, %s" % (status["replication"]["own"], status["replication"]["copies"], text)
        except (OSError, LabError, KeyError, IndexError, ValueError):
            text = ""
        self.remarks[router] = (time.monotonic(), text)
        return text

    def timeline(self, router, since_ns):
        """The promotion of a router as its journal has it: {phase: instant in ns}, and the entry; None if it has none."""
        real_minus_mono = time.clock_gettime_ns(time.CLOCK_REALTIME) - now_ns()
        answer = self.daemons[router].ktsh("show", "failover", "timeline")
        for entry in answer["transactions"]:
            begin = entry["wall_us"] * 1000 - real_minus_mono
            if entry["node"] == router and entry["to"] == "MASTER" and begin > since_ns:
                return {"at_ns": {p["phase"]: begin + p["offset_us"] * 1000 for p in entry["phases"]},
                        "entry": entry}
        return None

    def stop(self):
        for daemon in self.daemons.values():
            try:
                daemon.stop()
            except subprocess.TimeoutExpired:
                daemon.kill()
