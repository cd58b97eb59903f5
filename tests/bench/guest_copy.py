"""Runs inside the virtual machine: guest_copy.py BUILD off|inbound RUNS. One line of JSON: packets of IPsec that came to the
router with the address and were dropped there, for each crash.

The far end has no word of the crash, so it sends into the SA that it knows until the new one is negotiated. What its IKE
daemon keeps from being sent at all, while it exchanges the one for the other, is not counted.
"""

import json
import os
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lab"))

from ipsec import Tunnel  # noqa: E402
from ipsec_kernel import dropped  # noqa: E402
from lab import ROUTERS, wait_for  # noqa: E402
from vpnsite import Site  # noqa: E402
from wire import in_netns  # noqa: E402

A, B = ROUTERS
STEP_S, PORT = 0.01, 7100


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
        self.sent, self.newest, self.ending = 0, -1, threading.Event()
        for work in (self._send, self._receive):
            threading.Thread(target=work, daemon=True).start()

    def _send(self):
        while not self.ending.wait(STEP_S):
            try:
                self.out.send(b"%d" % self.sent)
            except OSError:
                pass  # no SA at this moment
            self.sent += 1

    def _receive(self):
        while not self.ending.is_set():
            try:
                self.newest = int(self.inn.recv(64))
            except socket.timeout:
                pass


def main():
    build, mode, runs = sys.argv[1], sys.argv[2], int(sys.argv[3])
    # The policies have to be there before the tunnel is, and both routers name them alike (docs/ipsec.md).
    tunnel = Tunnel("psk", 1, sync_sa=mode, near_child={"start_action": "trap", "reqid": "11"})
    lost = []
    with Site(build, [tunnel], kernel_esp=True, advert=0.25) as site:
        site.start_ike()
        site.start_daemons()
        stream = Stream(site, tunnel)
        for run in range(runs):
            site.wait_master(A, 60)
            site.wait_up(A, seconds=90)
            site.wait_ready(B, 90)
            begun = stream.sent
            wait_for("packets to arrive", lambda b=begun: stream.newest > b + 10, 30)
            time.sleep(2.0)  # the copy of the newest SA is on the standby
            before = sum(dropped(site.lab[B]).values())
            site.crash(A)
            site.wait_up(B, seconds=90)
            begun = stream.sent
            wait_for("packets to arrive again", lambda b=begun: stream.newest > b + 10, 30)
            lost.append(sum(dropped(site.lab[B]).values()) - before)
            if run + 1 < runs:
                site.revive(A)
        stream.ending.set()
        site.stop_daemons()
    print(json.dumps({"lost": lost}))


if __name__ == "__main__":
    main()
