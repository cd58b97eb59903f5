"""Two routers of the lab that replicate sessions, with keeptrackd or conntrackd, for measuring.

    with Pair(build) as pair:
        with Ours(pair) as stack:               # or Cold(pair), Hot(pair)
            pair.labct("fw-a", "churn", "50000", "3", "20000")
            pair.compare(5)

Cold is conntrackd with its external cache (a takeover commits it to the kernel), Hot writes into the kernel at once
(DisableExternalCache), as keeptrackd does. Both speak FTFW. One stack at a time: the kernel builds event messages for
every namespace while anybody listens in any of them.
"""

import json
import os
import signal
import subprocess
import time

from conf import lab_conf, text
from incumbent import conntrackd_conf
from keeptrackd import Daemon
from lab import Lab, LabError, ROUTERS, wait_for
from measure import Settings
from wire import in_netns

A, B = ROUTERS
SINK = "203.0.113.77"
EVENTS = "/proc/sys/net/netfilter/nf_conntrack_events"


class Room(Settings):
    """Space for this many sessions in each table; what the limits were is restored.

    All namespaces share one hash table: with twice the buckets its chains are as long as on two machines."""

    def __init__(self, sessions):
        # copies stay below the high-water mark of 85 %, and room for a stack's own
        super().__init__(nf_conntrack_buckets=lambda now: 2 * now,
                         nf_conntrack_max=lambda now: max(int(sessions * 1.5) + 65536, now))


class Pair:
    """The machines, generators and the witness."""

    def __init__(self, build):
        self.lab = Lab(build)
        try:
            for name in ROUTERS:
                self.lab[name].sysctl({"net/netfilter/nf_conntrack_timestamp": 1})
                # Datagrams of labflow end at the server, which drops what is not for it.
                self.lab[name].ip("neigh replace %s lladdr 02:00:00:00:02:10 dev wan0 nud permanent" % SINK)
        except BaseException:
            self.lab.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lab.close()

    def start(self, name, tool, *words):
        """A generator in the background; result() takes its answer."""
        return self.lab[name].spawn(self.lab.tool(tool), *words, stdout=subprocess.PIPE)

    @staticmethod
    def result(child, seconds=60):
        out, _ = child.communicate(timeout=seconds)
        if child.returncode != 0:
            raise LabError("a generator ended with status %d: %s" % (child.returncode, out))
        return json.loads(out)

    def labct(self, name, *words, seconds=120):
        answer = self.result(self.start(name, "labct", *[str(w) for w in words]), seconds)
        if answer.get("errors"):
            raise LabError("labct %s: %d errors: %s" % (" ".join(map(str, words)), answer["errors"], answer["error"]))
        return answer

    def packets(self, rate, seconds, first=0):
        """One datagram of each of `rate` new flows a second through fw-a."""
        return self.result(self.start("client", "labflow", "udp", "eth0", self.lab.mac(A, "lan0"), str(rate),
                                      str(seconds), str(first)), seconds * 3 + 20)

    def compare(self, seconds=0):
        """Both kernels entry by entry, again until they are equal or time is up."""
        p = subprocess.run([self.lab.tool("labct"), "compare"] + [str(self.lab[n].holder.pid) for n in ROUTERS] +
                           [str(seconds)], capture_output=True, text=True, timeout=seconds + 60, check=False)
        if p.returncode != 0:
            raise LabError("labct compare: " + p.stderr)
        return json.loads(p.stdout)

    def lag(self):
        p = subprocess.run([self.lab.tool("labct"), "lag", str(self.lab[B].holder.pid)], capture_output=True, text=True,
                           timeout=60, check=True)
        return json.loads(p.stdout)

    def flush(self):
        for name in ROUTERS:
            self.lab[name].run("conntrack", "-F", check=False, timeout=120)

    def events(self, name, on):
        """nf_conntrack_events of one router; off: the daemon there finds a file of its own, and believes it is on."""
        machine, path = self.lab[name], EVENTS
        if not on:
            machine.run("sh", "-c", "echo 1 > /run/events && mount --bind /run/events " + path)
        else:
            machine.run("umount", path)

        def write():
            with open(path, "w", encoding="ascii") as f:
                f.write("1" if on else "0")
        in_netns(machine.holder.pid, write)


def task_ns(pid, comm=None):
    """CPU time of a process' threads (of those with this name), as the scheduler counts it."""
    total = 0
    for task in os.listdir("/proc/%d/task" % pid):
        base = "/proc/%d/task/%s/" % (pid, task)
        if comm is not None:
            with open(base + "comm", encoding="ascii") as f:
                if f.read().strip() != comm:
                    continue
        with open(base + "schedstat", encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total


def rss_kb(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        for line in f:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    raise LabError("process %d has no memory" % pid)


class Stack:
    """A pair of daemons. processes: by router. Use it as a context manager."""

    hot = True  # copies are in the standby's kernel without a takeover

    def __init__(self, pair, alone=False, **options):
        self.pair, self.lab, self.alone, self.options = pair, pair.lab, alone, options

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        self.pair.flush()

    def pid(self, name):
        raise NotImplementedError

    def rss_kb(self, name):
        return rss_kb(self.pid(name))

    def freeze(self, name):
        os.kill(self.pid(name), signal.SIGSTOP)

    def thaw(self, name):
        os.kill(self.pid(name), signal.SIGCONT)

    def cpu_ns(self, name):
        return task_ns(self.pid(name))

    def commit(self):
        """What a takeover would still have to do; CPU seconds of the standby."""
        return 0.0


class Ours(Stack):
    label, comm = "keeptrackd", "kt-sync"

    def start(self):
        self.daemons = {}
        for name in ROUTERS:
            conf = lab_conf(self.lab, name)
            conf["sync"].update(self.options)
            self.daemons[name] = Daemon(self.lab, name, conf=text(conf))
        self.begin(A)
        wait_for("fw-a to be master", lambda: self.status(A)["role"] == "MASTER", 20)
        if not self.alone:
            self.begin(B)
            self.wait_ready()

    def begin(self, name):
        self.daemons[name].start()

    def status(self, name):
        return self.daemons[name].ask("show failover status")

    def wait_ready(self, seconds=40):
        wait_for("fw-b to be a ready standby", lambda: self.status(B)["groups"][0]["ready"] and
                 self.status(B)["role"] == "BACKUP", seconds, 0.05)

    def statistics(self, name):
        return self.daemons[name].ask("show conntrack-sync statistics")

    def pid(self, name):
        return self.daemons[name].process.pid

    def cpu_ns(self, name):
        """The replication thread; election runs in another one, as it does in another program with conntrackd."""
        return task_ns(self.pid(name), self.comm)

    def overruns(self, name):
        return self.statistics(name)["messages"]["lost"]

    def stop(self):
        for daemon in self.daemons.values():
            try:
                daemon.stop()
            except subprocess.TimeoutExpired:
                daemon.kill()


class Cold(Stack):
    label, hot = "conntrackd", False
    external_cache = True

    def start(self):
        self.children = {}
        for i, name in enumerate(ROUTERS):
            machine = self.lab[name]
            machine.run("sh", "-c", "rm -f /run/lock/conntrack.lock /run/conntrackd.ctl")
            with open(self.path(name), "w", encoding="ascii") as f:
                f.write(conntrackd_conf("10.9.0.%d" % (i + 1), "10.9.0.%d" % (2 - i), os.path.join(machine.dir, "ct.log"),
                                        1048576, self.external_cache))
            if name == A or not self.alone:
                self.begin(name)

    def path(self, name):
        return os.path.join(self.lab[name].dir, "conntrackd-%s.conf" % ("cold" if self.external_cache else "hot"))

    def begin(self, name):
        self.children[name] = self.lab[name].spawn("conntrackd", "-C", self.path(name))
        wait_for("conntrackd on " + name, lambda: self.tell(name, "-s"), 10)

    def tell(self, name, option):
        return self.lab[name].run("conntrackd", "-C", self.path(name), option, timeout=60)

    def pid(self, name):
        return self.children[name].pid

    def cached(self, name):
        """Entries of the external cache."""
        lines = self.tell(name, "-s").split("cache external", 1)
        for line in lines[1].split("\n") if len(lines) > 1 else []:
            if "current active connections" in line:
                return int(line.split()[-1])
        return 0

    def commit(self):
        if self.hot:
            return 0.0
        before = self.cpu_ns(B)
        self.tell(B, "-c")
        # The answer comes when the commit has begun or ended, as the version pleases: until nothing changes any more.
        count, still = -1, 0
        while still < 3:
            time.sleep(0.1)
            now = self.lab[B].session_count()
            still, count = (still + 1, count) if now == count else (0, now)
        return (self.cpu_ns(B) - before) / 1e9

    def stop(self):
        for child in self.children.values():
            if child.poll() is None:
                child.terminate()
                try:
                    child.wait(5)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()


class Hot(Cold):
    label, hot, external_cache = "conntrackd, no external cache", True, False


def cpu_window(stack):
    """A function that gives the CPU seconds of both routers since now."""
    before = {name: stack.cpu_ns(name) for name in ROUTERS}
    return lambda: {name: (stack.cpu_ns(name) - before[name]) / 1e9 for name in ROUTERS}
