"""A router with a daemon on it, and the far end of its links, which plays the other router as the case wants it.

Two worlds with the same MACs and addresses, one for each daemon; what the kernel, the scripts and the FIFO say of a world
is read as plain values that can be compared.
"""

import functools
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lab"))

from advert import frame4, frame6, v2, v3  # noqa: E402
from generate import FAR4, FAR6, OWN4, OWN6, RUN, SEGMENTS  # noqa: E402
from lab import Machine, Machines, wait_for  # noqa: E402
from wire import Sender, Tap  # noqa: E402

CALL = """#!/bin/sh
IFS='|'
echo "$*" >> %s/n.log
""" % RUN

READER = """#!/bin/sh
IFS='|'
echo "reader|$*" >> %s/n.log
exec sleep 1000
""" % RUN

CHECK = """#!/bin/sh
test ! -e %s/fail-$1
""" % RUN


@functools.lru_cache(None)
def link_kinds():
    """Kinds of interfaces on top of another one that this machine's kernel can make."""
    def can(kind):
        script = "ip link add kt0 type veth peer name kt1 && ip link add link kt0 name kt2 type " + kind
        return not subprocess.run(["unshare", "--net", "sh", "-c", script], capture_output=True, check=False).returncode
    return tuple(kind for kind in ("macvlan", "ipvlan") if can(kind))


class Stack:
    """How a daemon is started; program None stands for the real keepalived."""

    def __init__(self, label, program=None):
        self.label, self.program = label, program


class World(Machines):
    """One router, one far end. Use it as a context manager."""

    def __init__(self, build, stack, case):
        super().__init__(build, "keeptrackd-diff-")
        self.stack, self.case, self.process = stack, case, None
        self.talking, self.talker, self.closing = {}, None, threading.Event()
        self.fifo_text, self.fifo = "", None
        self.old_calls = self.old_lines = 0
        self.threads = []
        try:
            for name in ("router", "far"):
                self.machines[name] = Machine(self, name)
            self._wire()
            self._files()
            self.base = self._kernel()
            self.taps = [Tap(self["far"], "eth%d" % k) for k in range(SEGMENTS)]
            self.senders = [Sender(self["far"], "eth%d" % k) for k in range(SEGMENTS)]
            self._start_talker()
        except BaseException:
            self.close()
            raise

    def _thread(self, work):
        self.threads.append(threading.Thread(target=work))
        self.threads[-1].start()

    @property
    def root(self):
        return "/proc/%d/root" % self["router"].holder.pid

    def path(self, name):
        return "%s%s/%s" % (self.root, RUN, name)

    @staticmethod
    def mac(machine, k):
        return "02:%s:00:00:00:%02x" % ({"router": "0a", "far": "0b"}[machine], k)

    @staticmethod
    def link_local(machine, k):
        return "fe80::%s:ff:fe00:%x" % ({"router": "a", "far": "b"}[machine], k)

    def _wire(self):
        router, far = self["router"], self["far"]
        for m in (router, far):
            m.sysctl({"net/ipv6/conf/all/accept_dad": 0, "net/ipv6/conf/default/accept_dad": 0,
                      "net/ipv6/conf/default/router_solicitations": 0, "net/ipv6/conf/all/accept_ra": 0,
                      "net/ipv4/conf/all/rp_filter": 0, "net/ipv4/conf/default/rp_filter": 0,
                      "net/ipv4/ip_nonlocal_bind": 1})
        router.ip("link set lo up", *(
            "link add eth%d address %s type veth peer name eth%d address %s netns %d"
            % (k, self.mac("router", k), k, self.mac("far", k), far.holder.pid) for k in range(SEGMENTS)))
        for m, a4, a6 in ((router, OWN4, OWN6), (far, FAR4, FAR6)):
            m.ip(*[line % k for k in range(SEGMENTS) for line in (
                "link set eth%d up", "addr add " + a4 % k + "/16 dev eth%d", "addr add " + a6 % k + "/64 dev eth%d nodad")])
        # the far end answers nothing: it only talks as it is told
        wait_for("the links", lambda: all(link["operstate"] == "UP" for link in json.loads(router.run("ip", "-j", "link"))
                                          if link["ifname"].startswith("eth")), 5)

    def _files(self):
        os.mkdir(self.path(""))
        for name, text in (("n.sh", CALL), ("reader.sh", READER), ("chk.sh", CHECK)):
            self.put(name, text, 0o755)
        for name in self.case.tracked:
            self.put(name, "0\n")
        self.write("same")

    def put(self, name, text, mode=0o644):
        with open(self.path(name), "w", encoding="ascii") as f:
            f.write(text)
        os.chmod(self.path(name), mode)

    def write(self, how):
        for name, text in self.case.text(how).items():
            self.put(name, text)

    # ---- the daemon

    def start(self):
        os.mkfifo(self.path("fifo"), 0o600)
        self.fifo = os.open(self.path("fifo"), os.O_RDWR | os.O_NONBLOCK)
        self._thread(self._listen)
        program = self.stack.program or "/usr/sbin/keepalived"
        name = os.path.join(self["router"].dir, "keepalived")
        os.symlink(program, name)
        self.process = self["router"].spawn(name, "-n", "-l", "-D", "-f", RUN + "/keepalived.conf", "-i", self.case.id,
                                            log="daemon")

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        with open(os.path.join(self["router"].dir, "daemon.log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    # ---- the far end

    def _frame(self, v, priority):
        k = v.segment
        if v.family == 6:
            src = self.link_local("far", k)
            body = v3(v.vrid, priority, v.vips, src, dst=v.group6, interval=v.interval)
            return frame6(body, src, dst=v.group6, mac=self.mac("far", k))
        dst = OWN4 % k if v.unicast else v.group4
        src = FAR4 % k
        if v.version == 3:
            body = v3(v.vrid, priority, v.vips, src, dst=dst, interval=v.interval)
        else:
            body = v2(v.vrid, priority, v.vips, auth=1 if v.password else 0, password=v.password)
        return frame4(body, src, dst=dst, mac=self.mac("far", k), to=self.mac("router", k) if v.unicast else None)

    def _listen(self):
        """Reads the FIFO all the time: whoever reads late is told less of what has passed."""
        while not self.closing.is_set():
            if select.select([self.fifo], [], [], 0.1)[0]:
                self.fifo_text += os.read(self.fifo, 65536).decode("ascii")

    def _start_talker(self):
        fds = [s.socket.fileno() for s in self.senders]
        self.talker = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "talker.py"), "0.3" if self.case.version == 2 else "0.05"] + list(map(str, fds)),
            stdin=subprocess.PIPE, pass_fds=fds)

    def _talk(self):
        """The talker says what has to be said now."""
        words = [w for v, priority in self.talking.values() for w in (str(v.segment), self._frame(v, priority).hex())]
        self.talker.stdin.write((" ".join(words) + "\n").encode())
        self.talker.stdin.flush()

    def _send(self, v, priority):
        try:
            self.senders[v.segment].send(self._frame(v, priority))
        except OSError:
            pass  # the link is down: that is what the case wants

    def event(self, what, arg, on):
        """Makes (on) or ends an event."""
        routers = {v.name: v for v in self.case.routers}
        if what == "far":
            if on:
                self.talking[arg] = (routers[arg], 254)
            else:
                del self.talking[arg]
            self._talk()
        elif what == "lower" and on:
            for _ in range(3):
                self._send(routers[arg], 1)
                time.sleep(0.02)
        elif what == "zero" and on:
            v, end = routers[arg], time.monotonic() + 3
            self.talking[arg] = (v, 254)
            self._talk()
            while time.monotonic() < end and not any(' BACKUP ' in x for x in self.by_name().get('INSTANCE "%s"' % arg, [])):
                time.sleep(0.05)
            time.sleep(0.2)
            del self.talking[arg]
            self._talk()
            self._send(v, 0)
        elif what == "link":
            self["far"].ip("link set eth%d %s" % (arg, "down" if on else "up"))
        elif what == "script":
            if on:
                self.put("fail-" + arg, "")
            else:
                os.unlink(self.path("fail-" + arg))
        elif what == "file":
            self.put(arg, "20\n" if on else "0\n")
        elif what == "reload":
            self.write(arg if on else "same")
            self.process.send_signal(signal.SIGHUP)

    # ---- what is to be seen

    def _ip(self, *options):
        out = self["router"].run("ip", *options, "-j", "-batch", "-",
                                 text="addr show\nroute show table all\nrule show\n" if not options
                                 else "route show table all\nrule show\n")
        decoder, found, at = json.JSONDecoder(), [], 0
        while at < len(out.rstrip()):
            value, at = decoder.raw_decode(out, at)
            found.append(value)
            while at < len(out) and out[at].isspace():
                at += 1
        return found

    def _kernel(self):
        """{what: sorted or ordered list of texts}"""
        addr, route4, rule4 = self._ip()
        route6, rule6 = self._ip("-6")
        seen = {"addresses": [], "links": [], "routes": [], "rules": []}
        for link in addr:
            if link["ifname"] == "lo":
                continue
            if not link["ifname"].startswith("eth"):
                seen["links"].append("%s %s on %s" % (link["ifname"], link["address"], link.get("link")))
            for a in link["addr_info"]:
                if a["family"] == "inet6" and a["local"] == self.link_local("router", int(link["address"][-2:], 16)):
                    continue
                flags = [f for f in ("secondary", "noprefixroute", "nodad", "home", "mngtmpaddr", "autojoin", "deprecated",
                                     "tentative") if a.get(f)]
                life = a.get("preferred_life_time", 0)
                # fewer and fewer seconds of the same life are no difference
                life = "forever" if life == 4294967295 else "0" if life == 0 else "some"
                seen["addresses"].append(" ".join([
                    link["ifname"], a["local"], str(a["prefixlen"]), a.get("address", ""), "brd=" + a.get("broadcast", ""),
                    a["scope"], a.get("label", "")] + flags + ["lft=" + life]))
        for route in route4 + route6:
            if route.get("protocol") != "kernel":
                seen["routes"].append(" ".join("%s=%s" % (k, route[k]) for k in sorted(route)
                                               if k not in ("pref",) and route[k] != []))
        for rule in rule4 + rule6:
            seen["rules"].append(" ".join("%s=%s" % (k, rule[k]) for k in sorted(rule)))
        # virtual routers that become master together do so in either order; what is secondary says which was first
        seen["addresses"].sort()
        seen["routes"].sort()
        seen["rules"].sort()
        return seen

    def kernel(self):
        """What is there besides what was there before the daemon."""
        now = self._kernel()
        return {k: [x for x in now[k] if x not in self.base[k]] + ["gone: " + x for x in self.base[k] if x not in now[k]]
                for k in now}

    def mark(self):
        """Calls and lines are counted from here on."""
        self.old_calls, self.old_lines = len(self.all_calls()), len(self.lines())

    def all_calls(self):
        try:
            with open(self.path("n.log"), encoding="ascii") as f:
                return f.read().split("\n")[:-1]
        except FileNotFoundError:
            return []

    def calls(self):
        """{"script and instance or group": its calls in order}, since the mark."""
        found = {}
        for line in self.all_calls()[self.old_calls:]:
            words = line.split("|")
            found.setdefault(" ".join(words[:2]), []).append(line)
        return found

    def lines(self):
        """The FIFO's lines since the beginning."""
        return self.fifo_text.split("\n")[:-1]

    def by_name(self):
        """{"INSTANCE name": its lines in order}, since the mark."""
        found = {}
        for line in self.lines()[self.old_lines:]:
            found.setdefault(" ".join(line.split(" ")[:2]), []).append(line)
        return found

    def adverts(self):
        """{vrid: the last advert that this router sent, without its checksum}"""
        found = {}
        for k, tap in enumerate(self.taps):
            for a in tap.vrrp():
                if a.mac != self.mac("far", k):
                    found["eth%d vrid %d" % (k, a.vrid)] = "from %s (%s) ttl %d v%d priority %d interval %d: %s %s" % (
                        a.src, a.mac, a.ttl, a.version, a.priority, a.interval_ms, " ".join(a.vips), a.body[8 + len(a.vips) * 4:].hex()
                        if a.version == 2 else "")
        return found

    def answers(self):
        """{"answer of ADDRESS": whether the far end gets one}: an address of each virtual router that is on its segment."""
        found = {}
        for v in self.case.routers:
            for address in v.here[:1]:
                scope = "%%eth%d" % v.segment if address.startswith("fe80") else ""
                found["answer of " + address] = self["far"].spawn("ping", "-n", "-q", "-c", "3", "-i", "0.2", "-w", "2",
                                                                  address + scope, log="ping")
        return {what: "answers" if p.wait(10) == 0 else "does not answer" for what, p in found.items()}

    def stop(self):
        if self.alive():
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                return False
        return True

    def close(self, keep_files=False):
        self.closing.set()
        for t in self.threads:
            t.join()
        if self.talker is not None:
            self.talker.stdin.close()
            self.talker.wait()
        for s in getattr(self, "taps", []) + getattr(self, "senders", []):
            s.close()
        if self.fifo is not None:
            os.close(self.fifo)
            self.fifo = None
        super().close(keep_files)
