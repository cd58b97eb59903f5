"""SIGKILL of the daemon: the guardian cleans up when somebody else will serve, and leaves everything when nobody will."""

import os
import signal
import threading
import time

import pytest
from scapy.layers.l2 import ARP, Ether

from keeptrackd import group
from lab import VIP_LAN, VIP_WAN, busy, now_ns, wait_for
from traffic import Traffic
from wire import Sender, Tap

ROUNDS = 20


class WhoHas:
    """A host of the LAN that asks for the virtual address again and again, as arping does."""

    def __init__(self, lab):
        mac = "02:00:00:00:01:10"
        self.tap, self.sender = Tap(lab["client"], "eth0"), Sender(lab["client"], "eth0")
        self.frame = bytes(Ether(src=mac, dst="ff:ff:ff:ff:ff:ff")
                           / ARP(op=1, hwsrc=mac, psrc="10.0.1.10", hwdst="00:00:00:00:00:00", pdst=VIP_LAN))
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        while not self.stop.is_set():
            self.sender.send(self.frame)
            time.sleep(0.001)

    def answers(self, since):
        return self.tap.arp(VIP_LAN, since)

    def close(self):
        self.stop.set()
        self.thread.join()
        self.sender.close()
        self.tap.close()


def ready(pair, name):
    wait_for("%s to be ready as a standby" % name,
             lambda: group(pair[name])["ready"] and group(pair[name])["role"] == "BACKUP"
             and group(pair[pair.other(name)])["role"] == "MASTER", 15, 0.01)


def sessions(lab, router):
    return lab[router].conntrack("-L", "-p", "tcp", "--dport", "5001").count("ESTABLISHED")


def one_death(lab, pair, host, old, with_sigterm):
    """SIGKILL of the master `old`; returns milliseconds until the new master's first announcement."""
    new = pair.other(old)
    guardian = pair[old].guardian()
    begin = now_ns()
    pair[old].process.send_signal(signal.SIGKILL)
    if with_sigterm:
        os.kill(guardian, signal.SIGTERM)
    mac = lab.mac(new, "lan0")
    first = wait_for("an announcement of " + new,
                     lambda: next((t for t, m, gratuitous in host.answers(begin) if gratuitous and m == mac), None), 3,
                     0.005)
    pair[old].process.wait()
    wait_for("%s to be master alone" % new, lambda: pair.masters() == [new], 1, 0.005)
    wait_for("answers of " + new,
             lambda: sum(t > first + 60e6 and m == mac for t, m, _ in host.answers(first)) >= 10, 3, 0.01)
    strangers = [(t - first) / 1e6 for t, m, _ in host.answers(first + 10000000) if m != mac]
    assert not strangers, "%s still answered %s ms after the first announcement of %s" % (old, strangers[:5], new)
    return (first - begin) / 1e6


@pytest.mark.alone
def test_twenty_deaths(lab, make_pair):
    pair = make_pair(preempt=False)
    traffic = Traffic(lab, idle=20, udp_rate=100, vpn_rate=0)
    master, took, host = "fw-a", [], WhoHas(lab)
    try:
        for i in range(ROUNDS):
            standby = pair.other(master)
            ready(pair, standby)
            wait_for("every session on both routers",
                     lambda: sessions(lab, "fw-a") == sessions(lab, "fw-b") == 21, 10, 0.02)
            took.append(one_death(lab, pair, host, master, with_sigterm=i % 2 == 1))
            assert sessions(lab, master) == 21, "the dead router's kernel lost sessions"
            pair[master].start()
            master = standby
            host.tap.frames.clear()
    finally:
        host.close()
    # Detection needs no timer: either the good-bye of the guardian or the refused connection tells.
    assert sorted(took)[ROUNDS // 2] < 100, took
    assert traffic.check_idle(3000) == {"total": 20, "alive": 20, "reset": 0}
    wait_for("the stream", traffic.stream_alive, 3)


def test_alone_everything_is_left_and_adopted(lab, make_pair):
    pair = make_pair(preempt=False)
    pair["fw-b"].kill()
    wait_for("fw-a to know that it is alone",
             lambda: pair["fw-a"].ask("show failover status")["peers"][0]["channel"] == "down", 3)
    traffic = Traffic(lab, idle=20, udp_rate=100, vpn_rate=0)
    guardian = pair["fw-a"].guardian()
    epoch = group(pair["fw-a"])["epoch"]
    traffic.mark()
    pair["fw-a"].kill()
    wait_for("the guardian to end", lambda: not os.path.exists("/proc/%d" % guardian), 3)
    assert pair["fw-a"].has_vips(), "nobody else serves: the addresses stay"
    pair["fw-a"].start()
    end = time.monotonic() + 10
    while group(pair["fw-a"])["role"] != "MASTER":
        assert pair["fw-a"].has_vips(), "an address was away while it was adopted"
        assert time.monotonic() < end
    assert pair["fw-a"].has_vips()
    report = traffic.report()["udp"]["udp"]
    assert report["lost"] == 0 and report["moved"] == 0, report
    assert traffic.check_idle(3000) == {"total": 20, "alive": 20, "reset": 0}
    now = group(pair["fw-a"])["epoch"]
    assert int(now.split(".")[0]) > int(epoch.split(".")[0]), "epochs never go back: %s after %s" % (now, epoch)
    # Adopted means owned: a stop takes them away.
    states = {a["state"] for i in pair["fw-a"].ask("show vrrp")["instances"] for a in i["addresses"]}
    assert states == {"up"}, states
    pair["fw-a"].stop()
    assert not lab["fw-a"].has_ip4(VIP_LAN) and not lab["fw-a"].has_ip4(VIP_WAN)


def test_guardian_dies_as_well_and_the_restart_cleans(lab, make_pair):
    """As when a container's first process dies: nothing is left to clean up, until the daemon comes back."""
    pair = make_pair(preempt=False)
    ready(pair, "fw-b")
    lab["fw-a"].ip("addr add 10.0.1.77/24 dev lan0")
    os.kill(pair["fw-a"].guardian(), signal.SIGKILL)
    pair["fw-a"].kill()
    wait_for("fw-b to hold the addresses", pair["fw-b"].has_vips, 2)
    assert pair["fw-a"].has_vips(), "nobody was left to remove them"
    begin = time.monotonic()
    pair["fw-a"].start()
    pair.wait_master("fw-b", 1)
    took = time.monotonic() - begin
    assert took < 0.5 * busy(), "the other master is heard or known: leftovers go at once, not after %.2f s" % took
    assert lab["fw-a"].has_ip4("10.0.1.77"), "not ours"
    ready(pair, "fw-a")


def test_guardian_alone_dies(lab, make_pair):
    """The daemon serves on without a guardian, and says so."""
    pair = make_pair(preempt=False)
    ready(pair, "fw-b")
    os.kill(pair["fw-a"].guardian(), signal.SIGKILL)
    wait_for("the daemon to miss its guardian", lambda: "guardian" in pair["fw-a"].log(), 15, 0.1)
    assert pair.masters() == ["fw-a"]
    assert pair["fw-a"].stop() < 2
    assert pair.masters() == ["fw-b"]


def test_guardian_ends_with_an_orderly_stop(lab, pair):
    guardian = pair["fw-b"].guardian()
    pair["fw-b"].stop()
    assert not os.path.exists("/proc/%d" % guardian)
    assert pair.masters() == ["fw-a"]
