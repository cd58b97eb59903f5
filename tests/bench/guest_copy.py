"""Runs inside the virtual machine: guest_copy.py BUILD off|inbound RUNS. One line of JSON: packets of the peer that were sent
after the address had moved and did not arrive, for each crash.

The SA of the far end has no word of the crash, so it sends into the one it knows until the new one is negotiated.
"""

import json
import os
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lab"))

from ipsec import Tunnel  # noqa: E402
from lab import ROUTERS, VIP_WAN, now_ns, wait_for  # noqa: E402
from vpnsite import Site  # noqa: E402
from wire import in_netns  # noqa: E402

A, B = ROUTERS
STEP_S, PORT = 0.02, 7100


class Stream:
    """Numbered datagrams from behind the far end to the client."""

    def __init__(self, site, tunnel):
        def sender():
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((tunnel.far_host, 0))
            s.connect((tunnel.near_net + ".10", PORT))
            return s

        def receiver():
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((tunnel.near_net + ".10", PORT))
            s.settimeout(0.5)
            return s

        self.out = in_netns(site.lab["peer"].holder.pid, sender)
        self.inn = in_netns(site.lab["client"].holder.pid, receiver)
        self.sent, self.got, self.ending = [], set(), threading.Event()
        for work in (self._send, self._receive):
            threading.Thread(target=work, daemon=True).start()

    def _send(self):
        while not self.ending.wait(STEP_S):
            at = now_ns()
            try:
                self.out.send(b"%d" % len(self.sent))
                self.sent.append(at)
            except OSError:
                self.sent.append(at)  # no SA any more: lost as well

    def _receive(self):
        while not self.ending.is_set():
            try:
                self.got.add(int(self.inn.recv(64)))
            except socket.timeout:
                pass

    def newest(self):
        return max(self.got, default=-1)


def main():
    build, mode, runs = sys.argv[1], sys.argv[2], int(sys.argv[3])
    # The policies have to be there before the tunnel is, and both routers name them alike (docs/ipsec.md).
    tunnel = Tunnel("psk", 1, sync_sa=mode, near_child={"start_action": "trap", "reqid": "11"})
    lost = []
    with Site(build, [tunnel], kernel_esp=True, advert=0.25) as site:
        wan = site.lab.capture("br-wan")
        site.start_ike()
        site.start_daemons()
        stream = Stream(site, tunnel)
        for run in range(runs):
            site.wait_master(A, 60)
            site.wait_up(A, seconds=90)
            site.wait_ready(B, 90)
            begun = len(stream.sent)
            wait_for("packets to arrive", lambda b=begun: stream.newest() > b + 10, 30)
            time.sleep(2.0)  # the copy of the newest SA is on the standby
            since = now_ns()
            site.crash(A)
            at = wait_for("the announcement", lambda s=since: wan.find(
                "garp", s, mac=site.lab.mac(B, "wan0"), ip=VIP_WAN)[0]["t_ns"], 30)
            site.wait_up(B, seconds=90)
            time.sleep(2.0)
            last = now_ns() - 1000000000
            lost.append(sum(at < t < last and n not in stream.got for n, t in enumerate(list(stream.sent))))
            if run + 1 < runs:
                site.revive(A)
        stream.ending.set()
        site.stop_daemons()
    print(json.dumps({"lost": lost}))


if __name__ == "__main__":
    main()
