"""The scene of the ping log: a far site pings through an IKEv1 tunnel to the pair's virtual address, and the master loses its
power. Two labs at once: in one the routers leave the tunnel alone and the far end's dead peer detection, 3 s and three
times 3 s, has to notice; in the other keeptrackd brings the tunnel along. Both columns are pings of this moment.
"""

import re
import subprocess
import threading
import time

from ipsec import Tunnel
from lab import LabError, wait_for
from vpnsite import Echoes, Site
from ui import ms

A, B = "fw-a", "fw-b"
BEFORE_S, AFTER_S, LIMIT_S = 3, 3, 30
DPD_NS, OURS_NS = 8_000_000_000, 2_000_000_000  # at least so long without us; at most so long with us
ANSWER = re.compile(r"icmp_seq=(\d+) .*time=([\d.]+) ms")
LATE = re.compile(r"no answer yet for icmp_seq=(\d+)")


class Ping:
    """One ping a second, as the far site's users see it: {sequence: text}."""

    def __init__(self, machine, source, target):
        self.rows, self.last_good = {}, 0
        self.process = subprocess.Popen(machine.command(["ping", "-n", "-O", "-i", "1", "-I", source, target]),
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.target = target
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            good, late = ANSWER.search(line), LATE.search(line)
            if good:
                self.last_good = int(good.group(1))
                self.rows[self.last_good] = "56 bytes from %s: icmp_seq=%s time=%s ms" % ((self.target,) + good.groups())
            elif late:
                self.rows.setdefault(int(late.group(1)), "Request time out")

    def stop(self):
        self.process.kill()
        self.process.wait()


class Half:
    """One of the two labs."""

    def __init__(self, build, title, ours):
        self.title, self.ours = title, ours
        far_end = {"dpd_delay": "3s", "dpd_timeout": "12s"}
        self.site = Site(build, [Tunnel("hq", version=1, far_end=far_end, far_child={"dpd_action": "start"})])
        self.ping = self.echoes = None
        self.back = False

    def start(self):
        site = self.site
        site.start_ike()
        site.start_daemons(None if self.ours else lambda name: site.conf(name, []))
        if not self.ours:
            site.charons[A].initiate()
        site.wait_ready(B)
        wait_for("the tunnel", site.charons[A].tunnel_up, 15)
        self.echoes = Echoes(site, rate=100, inward=True)
        self.echoes.wait_flowing()
        self.ping = Ping(site.lab["peer"], "10.99.0.1", "10.0.1.10")
        wait_for("answers", lambda: self.ping.last_good >= 1, 5)

    def crash(self):
        self.echoes.mark()
        self.site.crash(A)

    def close(self):
        if self.ping:
            self.ping.stop()
        self.site.close()


def scene_ipsec(screen, build):
    """Returns a result as the other scenes do, with what both halves lost."""
    halves = []
    try:
        for title, ours in (("dead peer detection only (3 s x 3)", False), ("keeptrackd", True)):
            screen.line("  starting: " + title)
            halves.append(Half(build, title, ours))
            halves[-1].start()
        show(screen, halves)
        result = {"scene": "ipsec", "stack": "keeptrackd", "halves": {}}
        for half in halves:
            flow = half.echoes.report()["udp"]["hq"]
            half.outage = max(flow["gap_ns"], flow["silence_ns"])
            half.lost = sum("time out" in row for row in half.ping.rows.values())
            result["halves"][half.title] = {"outage_ns": half.outage, "pings_lost": half.lost,
                                            "pings": [half.ping.rows[n] for n in sorted(half.ping.rows)]}
        dpd, ours = halves
        screen.line()
        screen.table(["", "outage", "pings lost"], [[h.title, ms(h.outage, 0), h.lost] for h in halves])
        screen.note("detection of the crash (about 360 ms at 100 ms adverts) is in both; the rest is the tunnel's")
        result["checks"] = [["with detection by the peer alone the tunnel was dead for more than 8 s", dpd.outage > DPD_NS],
                            ["with keeptrackd it was back within 2 s", ours.outage < OURS_NS],
                            ["at most two pings were lost with keeptrackd", ours.lost <= 2]]
        result["ok"] = all(ok for _, ok in result["checks"])
        for text, ok in result["checks"]:
            screen.line("    %s  %s" % (screen.good("yes") if ok else screen.bad("NO "), text))
        return result
    finally:
        for half in halves:
            half.close()


def show(screen, halves):
    """Both logs side by side while they grow, from a few pings before the crash to a few after the later return."""
    first = [h.ping.last_good for h in halves]
    screen.line("  " + screen.bold("%-52s  %s" % (halves[0].title, halves[1].title)))
    shown, crashed, back, end = 0, False, None, time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        done = [max(h.ping.rows, default=0) for h in halves]
        while all(f + shown + 1 <= d for f, d in zip(first, done)):
            shown += 1
            cells = [h.ping.rows.get(f + shown, "") for h, f in zip(halves, first)]
            line = "  ".join(text.ljust(52) for text in cells).rstrip()
            screen.line("  " + (screen.bad(line) if "time out" in line else line))
            if shown == BEFORE_S and not crashed:
                for half in halves:
                    half.crash()
                crashed = True
                screen.line("  " + screen.bold("-- fw-a loses its power, in both --"))
        alive = crashed and all(h.echoes.flowing("hq") and "time out" not in h.ping.rows[max(h.ping.rows)] for h in halves)
        if alive and shown > BEFORE_S + 1:
            back = back if back is not None else shown
            if shown >= back + AFTER_S:
                return
        else:
            back = None
        time.sleep(0.05)
    raise LabError("the pings did not come back within %d s" % LIMIT_S)
