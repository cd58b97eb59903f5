"""The program under its other names on a router of the lab: conntrackd with its files and verbs, keepalived beside it."""

import os
import subprocess
import time

from lab import ROUTERS, wait_for

SYNC_ADDRESS = {"fw-a": "10.9.0.1", "fw-b": "10.9.0.2"}

PLAIN = """Sync {
    Mode FTFW { }
    Multicast Default {
        IPv4_address 225.0.0.50
        Group 3780
        IPv4_interface %(own)s
        Interface sync0
    }
}
General {
    LockFile %(lock)s
    UNIX { Path %(socket)s }
}
"""

KEEPALIVED = """vrrp_instance lan {
    interface lan0
    virtual_router_id 10
    priority %(priority)d
    advert_int 0.1
    version 3
    virtual_ipaddress {
        10.0.1.1/24
    }
}
"""


def link_names(lab):
    """A directory in which the program has its other names."""
    path = os.path.join(lab.dir, "bin")
    if not os.path.isdir(path):
        os.makedirs(path)
        for name in ("keepalived", "conntrackd"):
            os.symlink(lab.tool("keeptrackd"), os.path.join(path, name))
    return path


class Conntrackd:
    """conntrackd on one router: its configuration, its process, its verbs."""

    def __init__(self, lab, router, conf=PLAIN, key="insecure\n", folder="ct", **values):
        self.lab, self.router, self.machine = lab, router, lab[router]
        self.bin = link_names(lab)
        self.dir = os.path.join(self.machine.dir, folder)
        os.makedirs(self.dir)
        self.conf, self.lock, self.socket = (os.path.join(self.dir, "conntrackd." + end)
                                             for end in ("conf", "lock", "ctl"))
        other = ROUTERS[1 - ROUTERS.index(router)]
        self.values = dict(own=SYNC_ADDRESS[router], other=SYNC_ADDRESS[other], lock=self.lock, socket=self.socket,
                           **values)
        self.write(conf)
        if key:
            with open(os.path.join(self.dir, "conntrackd.key"), "w", encoding="ascii") as f:
                f.write(key)
            os.chmod(f.name, 0o600)

    def write(self, conf):
        with open(self.conf, "w", encoding="ascii") as f:
            f.write(conf % self.values)

    def command(self, *args):
        return self.machine.command(["env", "PATH=%s:%s" % (self.bin, os.environ["PATH"]), "conntrackd"] + list(args))

    def call(self, *args, timeout=20):
        """(exit status, standard output, standard error) of conntrackd with these arguments."""
        p = subprocess.run(self.command(*args), capture_output=True, text=True, timeout=timeout, check=False)
        return p.returncode, p.stdout, p.stderr

    def verb(self, *args):
        """Standard output of a client verb, which must succeed."""
        status, out, err = self.call("-C", self.conf, *args)
        assert status == 0, "conntrackd %s: status %d: %s" % (" ".join(args), status, err)
        return out

    def start(self):
        status, _, err = self.call("-d", "-C", self.conf)
        assert status == 0, err
        return self.pid()

    def pid(self):
        """The one process with exactly these arguments, or None."""
        for _ in range(20):  # for a moment a new guardian has the arguments of its parent
            found = [pid for pid in self.machine.pids() if self.arguments(pid) == ["conntrackd", "-d", "-C", self.conf]]
            if len(found) < 2:
                break
            time.sleep(0.01)
        assert len(found) < 2, found
        return found[0] if found else None

    @staticmethod
    def arguments(pid):
        try:
            with open("/proc/%d/cmdline" % pid, encoding="ascii", errors="replace") as f:
                return f.read().split("\0")[:-1]
        except OSError:
            return []

    def active(self, cache):
        """"current active connections" of the internal or external cache."""
        part = self.verb("-s").split("cache %s:\n" % cache)[1]
        return int(part.split("current active connections:")[1].split()[0])

    def knows_peer(self):
        """Records came from the other router."""
        line = [row for row in self.verb("-s").split("\n") if "Pckts recv" in row][0]
        return int(line.split()[3]) > 0


class Keepalived:
    """keepalived on one router, in the foreground."""

    def __init__(self, lab, router):
        self.lab, self.router, self.machine = lab, router, lab[router]
        self.bin = link_names(lab)
        self.conf, self.pid_file = (os.path.join(self.machine.dir, "keepalived." + end) for end in ("conf", "pid"))
        with open(self.conf, "w", encoding="ascii") as f:
            f.write(KEEPALIVED % {"priority": 150 - 50 * ROUTERS.index(router)})
        self.process = None

    def start(self):
        self.process = self.machine.spawn(os.path.join(self.bin, "keepalived"), "-n", "-l", "-D", "-f", self.conf,
                                          "-p", self.pid_file, "-r", self.pid_file + "-vrrp")
        wait_for("the pid file of keepalived on " + self.router, lambda: os.path.exists(self.pid_file), 5)
        return self

    def log(self):
        with open(os.path.join(self.machine.dir, "keepalived.log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def alive(self):
        return self.process.poll() is None


def flow(machine, port, count=1):
    """Established TCP sessions through a router, from the LAN to the WAN."""
    for n in range(count):
        machine.run("conntrack", "-I", "-p", "tcp", "-s", "10.0.1.10", "-d", "203.0.113.10", "--sport", str(port + n),
                    "--dport", "80", "--state", "ESTABLISHED", "-t", "300", "-u", "ASSURED,SEEN_REPLY")
