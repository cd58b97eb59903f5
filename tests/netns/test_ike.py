"""The tunnel machine and the VICI client against real strongSwan daemons: two namespaces, ESP in user space.

Needs root, strongswan-charon, swanctl. The program under test is vici_probe (see its head) and the sweep of real SAs by
check_xfrm_io. KT_BUILD names the build directory.
"""

import os
import re
import signal
import subprocess
import time

import pytest

BUILD = os.environ.get("KT_BUILD", os.path.join(os.path.dirname(__file__), "..", "..", "build"))
PROBE = os.path.join(os.path.abspath(BUILD), "vici_probe")
CHARON = "/usr/lib/ipsec/charon"

# kernel-libipsec must stand before kernel-netlink: the first one that offers ESP is taken.
STRONGSWAN = """
charon {
    load = random nonce aes sha1 sha2 hmac kdf curve25519 openssl kernel-libipsec kernel-netlink socket-default vici
    retransmit_timeout = 0.5
    retransmit_tries = 3
    filelog { log { path = %(dir)s/charon.log
                    default = 1
                    flush_line = yes } }
}
"""
CONNECTION = """
connections { hq {
    version = 2
    local_addrs = %(local)s
    remote_addrs = %(remote)s
    proposals = aes128-sha256-x25519
    mobike = no
    dpd_delay = 0
    local { auth = psk
            id = %(local)s }
    remote { auth = psk
             id = %(remote)s }
    children { net {
        local_ts = %(local_net)s
        remote_ts = %(remote_net)s
        esp_proposals = aes128-sha256-x25519
        start_action = none
        close_action = none
        dpd_action = clear
    } }
} }
secrets { ike-1 { secret = "not a secret" } }
"""
VIP, PEER = "192.0.2.1", "192.0.2.2"
NET_A, NET_B = "198.51.100.1", "203.0.113.1"


def wait_for(what, seconds, happened):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if happened():
            return
        time.sleep(0.02)
    raise AssertionError("did not happen within %d s: %s" % (seconds, what))


class Machine:
    """A network and mount namespace with its own /run, and a charon in it."""

    def __init__(self, where, name):
        self.dir = os.path.join(where, name)
        os.mkdir(self.dir)
        self.holder = subprocess.Popen(["unshare", "--net", "--mount", "sleep", "infinity"])
        wait_for("namespaces of " + name, 5, lambda: self._apart("net") and self._apart("mnt"))
        self.run("mount", "-t", "tmpfs", "none", "/run")
        self.run("ip", "link", "set", "lo", "up")
        self.charon = None

    def _apart(self, kind):
        return os.readlink("/proc/%d/ns/%s" % (self.holder.pid, kind)) != os.readlink("/proc/self/ns/" + kind)

    def command(self, *words):
        return ["nsenter", "-t", str(self.holder.pid), "-n", "-m", "env",
                "STRONGSWAN_CONF=%s/strongswan.conf" % self.dir] + list(words)

    def run(self, *words, check=True):
        return subprocess.run(self.command(*words), check=check, capture_output=True, text=True, timeout=20).stdout

    def configure(self, local, remote, local_net, remote_net):
        with open(self.dir + "/strongswan.conf", "w", encoding="ascii") as f:
            f.write(STRONGSWAN % {"dir": self.dir})
        with open(self.dir + "/swanctl.conf", "w", encoding="ascii") as f:
            f.write(CONNECTION % {"local": local, "remote": remote, "local_net": local_net, "remote_net": remote_net})

    def start_charon(self):
        self.run("rm", "-f", "/run/charon.vici", "/run/charon.pid")
        self.charon = subprocess.Popen(self.command(CHARON), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        socket = "/proc/%d/root/run/charon.vici" % self.holder.pid
        wait_for("charon's socket", 10, lambda: os.path.exists(socket))
        self.run("swanctl", "--load-all", "--file", self.dir + "/swanctl.conf")

    def kill_charon(self):
        self.charon.kill()
        self.charon.wait()

    def end(self):
        for process in (self.charon, self.holder):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()

    def probe(self, *steps, charon_ends=None):
        """Runs vici_probe; returns its exit status and its lines as (ms, text)."""
        words = self.command(PROBE, "/run/charon.vici", VIP, PEER, "hq", "net", *steps)
        return Probe(subprocess.Popen(words, stdout=subprocess.PIPE, text=True))


class Probe:
    def __init__(self, process):
        self.process = process
        self.lines = []

    def until(self, pattern):
        """Reads until a line matches."""
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if re.search(pattern, line):
                return
        raise AssertionError("never seen: %s\n%s" % (pattern, "\n".join(self.lines)))

    def end(self):
        rest, _ = self.process.communicate(timeout=40)
        self.lines += rest.splitlines()
        text = "\n".join(self.lines)
        print(text)
        assert self.process.returncode == 0, text
        return text


@pytest.fixture(name="pair")
def fixture_pair(tmp_path):
    machines = []
    try:
        for name in ("router", "peer"):
            machines.append(Machine(str(tmp_path), name))
        router, peer = machines
        router.run("ip", "link", "add", "wan", "type", "veth", "peer", "name", "wan", "netns", str(peer.holder.pid))
        for machine, address, inner in ((router, VIP, NET_A), (peer, PEER, NET_B)):
            machine.run("ip", "addr", "add", address + "/24", "dev", "wan")
            machine.run("ip", "addr", "add", inner + "/32", "dev", "lo")
            machine.run("ip", "link", "set", "wan", "up")
        router.configure(VIP, PEER, NET_A, NET_B)
        peer.configure(PEER, VIP, NET_B, NET_A)
        peer.start_charon()
        router.start_charon()
        yield router, peer
    finally:
        for machine in machines:
            machine.end()


def late_us(text):
    return int(re.search(r"late-max-us (\d+)", text).group(1))


@pytest.mark.alone
def test_purge_initiate_up_and_again(pair):
    """Start purges, initiate brings the child up, a demotion removes it, a second promotion works again."""
    router, peer = pair
    text = router.probe("ready", "purge", "initiate", "wait-up", "purge", "initiate", "wait-up", "run:200").end()
    took = [float(x) for x in re.findall(r"up took_ms=([\d.]+)", text)]
    assert len(took) == 2 and max(took) < 300, text
    assert "leftovers=1" not in text
    assert peer.run("swanctl", "--list-sas").count("ESTABLISHED") == 1
    print("initiate to child-updown: %s ms" % took)


def test_stale_sa_of_an_earlier_life_is_purged(pair):
    """An SA that survived in charon would make the initiate fail: the start's purge removes it."""
    router, _ = pair
    router.run("swanctl", "--initiate", "--child", "net", "--timeout", "5")
    text = router.probe("ready", "purge", "initiate", "wait-up").end()
    assert re.search(r"reply terminate ok=1 matches=1", text)


def test_sa_that_comes_up_while_passive_is_removed(pair):
    router, peer = pair
    probe = router.probe("ready", "purge", "run:3000")
    probe.until("step run")
    peer.run("swanctl", "--initiate", "--child", "net", "--timeout", "5")
    text = probe.end()
    assert "SA came up while passive" in text
    assert "ESTABLISHED" not in router.run("swanctl", "--list-sas")


def test_dead_peer_is_found_and_the_tunnel_comes_back(pair):
    """The peer's charon is killed and restarted: counters raise the doubt, the rekey fails, the reset repairs."""
    router, peer = pair
    probe = router.probe("ready", "purge", "initiate", "wait-up", "run:1000", "wait-dead:5000", "wait-up:8000", "run:300")
    probe.until(r"up took_ms")
    router.run("sysctl", "-qw", "net.ipv4.ping_group_range=0 0", check=False)
    ping = subprocess.Popen(router.command("ping", "-q", "-i", "0.05", "-I", NET_A, NET_B), stdout=subprocess.DEVNULL)
    try:
        probe.until(r"list child=1 id=\d+ in=[1-9]")
        peer.kill_charon()
        peer.start_charon()
        text = probe.end()
    finally:
        ping.kill()
        ping.wait()
    assert re.search(r"dead peer silent", text)
    assert len(re.findall(r"up took_ms", text)) == 2


def test_charon_stopped_never_delays(pair):
    """SIGSTOP: requests end with the connection after 500 ms, the loop is never late, SIGCONT brings everything back."""
    router, _ = pair
    probe = router.probe("ready", "purge", "initiate", "wait-up", "stopped:9000", "run:1500", "ready:9000", "wait-up:5000")
    probe.until(r"step stopped")
    os.kill(router.charon.pid, signal.SIGSTOP)
    probe.until(r"step ready")
    os.kill(router.charon.pid, signal.SIGCONT)
    text = probe.end()
    assert "lost no answer before the deadline" in text
    assert late_us(text) < 300000, text


def test_charon_absent_then_started_while_active(pair):
    """No IKE daemon at the promotion: purge answers at once; when it appears the tunnel is initiated."""
    router, _ = pair
    router.kill_charon()
    probe = router.probe("absent", "purge:100", "initiate", "run:500", "wait-up:9000")
    probe.until(r"step run")
    router.start_charon()
    text = probe.end()
    assert re.search(r"purged leftovers=1", text)
    assert "ready charon" in text


def test_charon_killed_and_restarted_while_active(pair):
    router, _ = pair
    probe = router.probe("ready", "purge", "initiate", "wait-up", "wait-down:5000", "wait-up:9000")
    probe.until(r"step wait-down")
    router.kill_charon()
    router.start_charon()
    text = probe.end()
    assert "the IKE daemon is not reachable" in text
