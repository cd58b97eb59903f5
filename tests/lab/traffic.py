"""The lab's traffic: a busy TCP stream, idle TCP connections, UDP echoes through NAT and through the VPN."""

import json
import os
import select
import subprocess

from lab import LabError, SERVER, TCP_PORT, UDP_PORT, VPN_HOST, wait_for

UDP_RATE, VPN_RATE, IDLE = 1000, 100, 200


def be_prompt(children):
    """Above ordinary programs: what these do next to them would be seen as gaps of the network."""
    for child in children:
        os.sched_setscheduler(child.pid, os.SCHED_FIFO, os.sched_param(5))


class Traffic:
    """Starts the servers and the client; measures between mark() and report()."""

    def __init__(self, lab, idle=IDLE, udp_rate=UDP_RATE, vpn_rate=VPN_RATE, prompt=False):
        """prompt: both ends run above ordinary programs; they show gaps of 5 ms otherwise while nothing happens."""
        tool = lab.tool("labtraffic")
        self.lab = lab
        ends = [lab[name].spawn(tool, "server", str(TCP_PORT), str(UDP_PORT), log="traffic") for name in ("server", "peer")]
        for name in ("server", "peer"):
            wait_for("the echo server on " + name,
                     lambda n=name: ":%d" % TCP_PORT in lab[n].run("ss", "-Hltn"), 5)
        flows = ["udp,%s,%d,%d" % (SERVER, UDP_PORT, udp_rate)]
        if vpn_rate:
            flows.append("vpn,%s,%d,%d" % (VPN_HOST, UDP_PORT, vpn_rate))
        self.client = lab["client"].spawn(tool, "client", SERVER, str(TCP_PORT), str(idle), *flows,
                                          stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if prompt:
            be_prompt(ends + [self.client])
        self.rest = b""
        self.opened = self._line(30)
        if self.opened["refused"]:
            raise LabError("%d of %d TCP connections could not be opened through the routers"
                           % (self.opened["refused"], self.opened["opened"] + self.opened["refused"]))

    def _line(self, seconds):
        out = self.client.stdout
        while b"\n" not in self.rest:
            if not select.select([out], [], [], seconds)[0]:
                raise LabError("the traffic client does not answer")
            data = out.read1(65536)
            if not data:
                raise LabError("the traffic client has ended")
            self.rest += data
        line, self.rest = self.rest.split(b"\n", 1)
        return json.loads(line)

    def ask(self, command, seconds=10.0):
        self.client.stdin.write(command.encode() + b"\n")
        self.client.stdin.flush()
        return self._line(seconds)

    def mark(self):
        """Begins a measuring window; returns its time in nanoseconds."""
        return self.ask("mark")["mark"]

    def report(self):
        return self.ask("report")

    def check_idle(self, ms=4000):
        """One message on each idle connection; how many were answered."""
        return self.ask("idle %d" % ms, ms / 1000 + 10)

    def reopen(self):
        """New TCP connections. The old ones end in both kernels at once, so that nothing of theirs is seen later."""
        self.lab["server"].run("ss", "-K", "sport", "=", ":%d" % TCP_PORT)
        self.lab["client"].run("ss", "-K", "dport", "=", ":%d" % TCP_PORT)
        return self.ask("reopen", 1200)

    def flowing(self, flow):
        """True when an echo of this flow arrived within the last 50 ms."""
        return self.report()["udp"][flow]["silence_ns"] < 50e6

    def stream_alive(self):
        stream = self.report()["stream"]
        return stream["up"] and stream["silence_ns"] < 100e6 and not stream["disorder"]
