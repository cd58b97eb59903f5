"""Parts g and h: what packets cost that nobody should answer, and what the copy of inbound SAs saves."""

import json
import os
import re
import subprocess
import time

from ipsec import Tunnel
from lab import PEER, ROUTERS, VIP_WAN, wait_for
from measure import Row, TOP, cell, median
from part_ipsec_outage import Ours
from vpnsite import Site
from syncpair import task_ns

A, B = ROUTERS
PACKETS = 100000  # a second
QUIET_US = 300    # of a difference of the 99th percentile nobody speaks


class Flood:
    """Packets to the master, what its daemon's threads spend on them, and how late its timers are meanwhile.

    Each packet of a new source is a new session of the router itself for conntrack; its event is read by the replication
    thread, whether anybody watches SPIs or not. That thread is counted for itself."""

    def __init__(self, site, seconds):
        self.site, self.seconds, self.daemon = site, seconds, site.daemons[A]

    def run(self, source=None, spi="random", raw=False):
        """{"share", "events_share": % of a core, "late_p99_us", "late_max_us", "rate", "resets"}; without a source nothing
        is sent."""
        lab, pid = self.site.lab, self.daemon.process.pid
        lab[A].run("conntrack", "-F")  # what an earlier flood left would end during this one
        time.sleep(0.5)
        self.daemon.ask("clear counters")
        before, events, begin = task_ns(pid), task_ns(pid, "kt-sync"), time.monotonic()
        rate = 0
        if source is None:
            time.sleep(self.seconds)
        else:
            out = lab["server"].run(lab.tool("labflow"), "esp", "eth0", lab.mac(A, "wan0"), str(PACKETS), str(self.seconds),
                                    source, VIP_WAN, spi, *(["raw"] if raw else []), timeout=self.seconds * 5 + 20)
            sent = json.loads(out)
            rate = sent["flows"] / sent["seconds"]
        wall = time.monotonic() - begin
        events = task_ns(pid, "kt-sync") - events
        spent = task_ns(pid) - before - events
        late = self.daemon.ask("show version")
        return {"share": spent / wall / 1e7, "events_share": events / wall / 1e7, "late_p99_us": late["late_p99_us"],
                "late_max_us": late["late_max_us"], "rate": round(rate), "resets": self.site.tunnel(A, "psk")["resets"]}

    def watch(self):
        return self.site.show(A)["watch"]["open"]


def cost(name, base, seen, limit):
    """What the daemon's threads spent beyond rest; where the generator did not come to its rate, in proportion."""
    more = [(s["share"] - b["share"]) * PACKETS / s["rate"] for s, b in zip(seen, base)]
    rate = min(s["rate"] for s in seen)
    return Row("g", "%s (sent: %dk/s)" % (name, rate // 1000), "< %g %% of a core" % limit, cell(more, 2, " %"), "-",
               median(more) < limit, {"base": base, "seen": seen})


def part_g(ctx):
    seconds, runs = ctx.choose(4, 2), ctx.choose(3, 1)
    kinds = {"forged, from the configured peer": (PEER, "random", False), "forged, from anywhere": ("random", "random", False),
             "forged, bare ESP": (PEER, "random", True), "legitimate": (PEER, None, False)}
    base, seen = [], {k: [] for k in kinds}
    tunnel = Tunnel("psk", 1)
    with Site(ctx.build, [tunnel]) as site:
        stack = Ours(site, tunnel)
        site.start_ike()
        stack.start()
        stack.up(A)
        flood = Flood(site, seconds)
        for _ in range(runs):
            site.wait_ready(B)
            site.planned(A)  # a promotion opens the watch
            site.wait_master(B)
            site.wait_ready(A)
            site.planned(B)
            site.wait_master(A)
            stack.up(A)
            wait_for("the watch to be open", flood.watch, 5)
            base.append(flood.run())
            for kind, (source, spi, raw) in kinds.items():
                known = re.search(r"in\s+([0-9a-f]{8})", site.charons[A].list_sas("psk")).group(1)
                seen[kind].append(flood.run(source, spi or known, raw))
        wait_for("the watch to close", lambda: not flood.watch(), 45, 0.2)
        still = [flood.run()]
        known = re.search(r"in\s+([0-9a-f]{8})", site.charons[A].list_sas("psk")).group(1)
        closed = [flood.run(PEER, known)]
        alive = site.charons[A].tunnel_up("psk")
        stack.stop()
    ctx.say("base %s, seen %s, closed %s" % (base, seen, closed))
    rows = [cost("%d packets/s, watch open: %s" % (PACKETS, k), base, seen[k], 5 if k == "legitimate" else 3) for k in kinds]
    rows.append(cost("%d packets/s, watch closed: legitimate" % PACKETS, still, closed, 0.5))
    # The generator and charon have the two processors meanwhile: compared is with the same packets and a closed watch.
    rows.append(Row("g", "  beside that, with a new source in each packet: reading the events of these sessions", "",
                    cell([s["events_share"] for s in seen["forged, from anywhere"]], 1, " %"), "-", None))
    late = median([s["late_p99_us"] for k in kinds for s in seen[k]]) - closed[0]["late_p99_us"]
    rows.append(Row("g", "  lateness of timers, 99th percentile, beyond that with the watch closed", "unchanged",
                    "%+d us" % late, "-", late < QUIET_US))
    resets = max(s["resets"] for k in kinds for s in seen[k])
    rows.append(Row("g", "  resets of the tunnel during one flood of %d s" % seconds, "<= 1", str(resets), "-", resets <= 1))
    rows.append(Row("g", "  the tunnel is up afterwards", "yes", "yes" if alive else "no", "-", alive))
    return rows


def part_h(ctx):
    """In the virtual machine: the peer sends every 10 ms; what comes to the router that has the address now has to be read."""
    found = {}
    for mode in ("off", "inbound"):
        p = subprocess.run([os.path.join(TOP, "tests", "vm", "vm.py"), "-t", "240", "/usr/bin/python3", "-B",
                            os.path.join(TOP, "tests", "bench", "guest_copy.py"), os.path.abspath(ctx.build), mode,
                            str(ctx.choose(5, 2))], capture_output=True, text=True, check=False)
        lines = [line for line in p.stdout.split("\n") if line.startswith("{")]
        if p.returncode != 0 or not lines:
            raise RuntimeError("status %d: %s" % (p.returncode, (p.stdout + p.stderr)[-600:]))
        found[mode] = json.loads(lines[-1])["lost"]
    ctx.say("lost towards us: %s" % found)
    return [Row("h", "crash, kernel ESP: packets that came to the new master and could not be read, copy of inbound SAs", "0",
                cell(found["inbound"], 0, ""), "-", max(found["inbound"]) == 0, found),
            Row("h", "  the same without the copy (the virtual machine is slow)", "", cell(found["off"], 0, ""), "-", None)]
