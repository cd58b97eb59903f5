"""strongSwan in the lab: one charon per machine, ESP in user space (kernel-libipsec), so no kernel ESP is needed; where
there is one (tests/vm), kernel_esp=True uses it.

    hq = Tunnel()                                        # the lab's own: IKEv2 with a pre-shared key
    old = Tunnel("old", 1, peer="203.0.113.19", version=1)
    Charon(lab, "fw-a", [hq, old]).start()               # both routers have the near ends, the tunnel's machine the far end
"""

import os
import signal
import stat
import subprocess

from lab import LabError, PEER, ROUTERS, VIP_WAN, wait_for

CHARON = "/usr/lib/ipsec/charon"
SECRET = "the secret of the lab"
OWN = {"fw-a": "203.0.113.2", "fw-b": "203.0.113.3"}  # the routers' own addresses

# kernel-libipsec has to come before kernel-netlink: the first one that can do ESP is taken.
STRONGSWAN_CONF = """
charon {
    load = random nonce aes sha1 sha2 hmac kdf curve25519 openssl pem pkcs8 x509 pubkey %(esp)s kernel-netlink socket-default vici
    retransmit_timeout = %(timeout)s
    retransmit_base = %(base)s
    retransmit_tries = %(tries)d
%(crowd)s    plugins {
        kernel-libipsec { load = yes }
        vici { socket = unix:///run/charon.vici }
    }
    filelog {
        log { path = %(log)s
              default = 1
              flush_line = yes }
    }
}
"""

# The far ends of many tunnels are one process here. So many half-open negotiations of one address are an attack for it: it
# asks for cookies, refuses more than five, and goes on with that until they are forgotten after 30 s.
CROWD = """    cookie_threshold = 10000
    cookie_threshold_ip = 10000
    block_threshold = 10000
"""


class Tunnel:
    """What both ends are told of a tunnel, and its networks: near (at the client) and far (behind the peer).

    number 0 has the lab's own networks, each other one a pair for itself (join() wires them). machine: where the far end
    is; at: its own address, if a NAT box shows another one as peer. ipv6: IPv6 inside, too. near_end, far_end: settings
    of the connection at that end; near_child, far_child: of its child. warm: there are also connections between the
    routers' own addresses and the peer, on which keeptrackd keeps an IKE SA without child. ours: settings of keeptrackd's
    tunnel.
    """

    def __init__(self, name="hq", number=0, vip=VIP_WAN, peer=PEER, machine="peer", at=None, version=2, auth="psk",
                 ipv6=False, near_end=None, far_end=None, near_child=None, far_child=None, warm=False, **ours):
        self.name, self.number, self.vip, self.peer, self.machine = name, number, vip, peer, machine
        self.at, self.version, self.auth, self.ipv6 = at or peer, version, auth, ipv6
        self.ends = {True: near_end or {}, False: far_end or {}}
        self.children = {True: near_child or {}, False: far_child or {}}
        self.warm, self.ours = warm, ours

    @property
    def near_net(self):
        return "10.2.%d" % self.number if self.number else "10.0.1"

    @property
    def far_host(self):
        return "10.99.%d.1" % self.number

    @property
    def far_host6(self):
        return "fd99:%x::1" % self.number

    def networks(self, near):
        v4, v6 = (self.near_net + ".0/24", "fd02:%x::/64") if near else ("10.99.%d.0/24" % self.number, "fd99:%x::/64")
        return v4 + ("," + v6 % self.number if self.ipv6 else "")

    def connection(self, near):
        """One section of swanctl.conf, as a dictionary."""
        ends = (self.vip, self.peer) if near else (self.at, self.vip)
        ids = ends
        if self.auth == "cert":
            ids = ("near.lab", "far.lab") if near else ("far.lab", "near.lab")
        elif self.at != self.peer:
            ids = (self.vip, "far.hidden") if near else ("far.hidden", self.vip)
        local = {"auth": "psk" if self.auth == "psk" else "pubkey", "id": ids[0]}
        remote = dict(local, id=ids[1])
        if self.auth == "cert":
            local["certs"] = "%s.pem" % ("near" if near else "far")
        conn = {"version": self.version, "local_addrs": ends[0], "remote_addrs": ends[1],
                "proposals": "aes128-sha256-x25519", "mobike": "no", "dpd_delay": "0", "local": local, "remote": remote}
        conn.update(self.ends[near])
        child = {"local_ts": self.networks(near), "remote_ts": self.networks(not near),
                 "esp_proposals": "aes128-sha256-x25519", "start_action": "none", "close_action": "none",
                 "dpd_action": "clear"}
        child.update(self.children[near])
        conn["children"] = {self.name: child}
        return conn

    def connections(self, router):
        """Those of a router, or (None) of the far end, by name."""
        found = {self.name: self.connection(router is not None)}
        if self.warm and router:
            found[self.name + "-warm"] = self._warm(True, OWN[router], {"childless": "force"})
        elif self.warm:
            for name, own in OWN.items():
                found["%s-warm-%s" % (self.name, name)] = self._warm(False, own, {"childless": "allow"})
        return found

    def _warm(self, near, own, more):
        conn = self.connection(near)
        side, other = ("local", "remote") if near else ("remote", "local")
        conn[side + "_addrs"] = own
        conn[side] = dict(conn[side], id=own)
        conn[other] = dict(conn[other])
        return dict(conn, **more)

    def conf(self):
        """The same tunnel in keeptrackd's configuration."""
        warm = {"warm": True, "warm_ike": self.name + "-warm"} if self.warm else {}
        return dict({"name": self.name, "vip": self.vip, "peer": self.peer, "ike": self.name, "child": self.name},
                    **warm, **self.ours)


HQ = Tunnel()


def section(values, depth=1):
    """A dictionary in the syntax of swanctl.conf."""
    pad = "    " * depth
    return "".join("%s%s {\n%s%s}\n" % (pad, k, section(v, depth + 1), pad) if isinstance(v, dict)
                   else "%s%s = %s\n" % (pad, k, v) for k, v in values.items())


def certificates(lab):
    """The lab's authority, and an ed25519 certificate for each end, made once; their folder."""
    folder = os.path.join(lab.dir, "certificates")
    if os.path.isdir(folder):
        return folder
    os.mkdir(folder)

    def openssl(*words):
        p = subprocess.run(["openssl"] + list(words), cwd=folder, capture_output=True, text=True, check=False)
        if p.returncode != 0:
            raise LabError("openssl %s: %s" % (words[0], p.stderr.strip()[-300:]))

    openssl("req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "3650",
            "-subj", "/CN=lab", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    for end in ("near", "far"):
        with open(os.path.join(folder, end + ".ext"), "w", encoding="ascii") as f:
            f.write("subjectAltName=DNS:%s.lab\n" % end)
        openssl("req", "-newkey", "ed25519", "-nodes", "-keyout", end + ".key", "-out", end + ".csr", "-subj",
                "/CN=%s.lab" % end)
        openssl("x509", "-req", "-in", end + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days",
                "3650", "-extfile", end + ".ext", "-out", end + ".pem")
    return folder


class Charon:
    """The IKE daemon of one machine: of a router with the near ends of all tunnels, or of a far machine with its own.
    retransmit: seconds until the first repetition, factor, and how many."""

    def __init__(self, lab, name, tunnels=(HQ,), kernel_esp=False, retransmit=(0.5, 1.5, 5)):
        self.lab, self.machine = lab, lab[name]
        self.router = name in ROUTERS
        self.dir = self.machine.dir
        self.process = None
        self.begun = 0
        self.tunnels = [t for t in tunnels if self.router or t.machine == name]
        with open(os.path.join(self.dir, "strongswan.conf"), "w", encoding="ascii") as f:
            f.write(STRONGSWAN_CONF % {"log": os.path.join(self.dir, "ike.log"), "timeout": retransmit[0],
                                       "base": retransmit[1], "tries": retransmit[2],
                                       "crowd": CROWD if len(self.tunnels) > 5 else "",
                                       "esp": "" if kernel_esp else "kernel-libipsec"})
        self.swanctl_conf = os.path.join(self.dir, "swanctl.conf")
        self.write()

    def write(self):
        """The configuration of the tunnels; load() makes a running charon take it."""
        connections = {}
        for tunnel in self.tunnels:
            connections.update(tunnel.connections(self.machine.name if self.router else None))
        with open(self.swanctl_conf, "w", encoding="ascii") as f:
            f.write("connections {\n%s}\nsecrets {\n    ike-lab { secret = \"%s\" }\n}\n" % (section(connections), SECRET))
        if any(t.auth == "cert" for t in self.tunnels):
            made, end = certificates(self.lab), "near" if self.router else "far"
            for source, target in (("ca.pem", "x509ca/ca.pem"), (end + ".pem", "x509/%s.pem" % end),
                                   (end + ".key", "private/%s.pem" % end)):
                target = os.path.join(self.dir, target)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                with open(os.path.join(made, source), "rb") as f, open(target, "wb") as g:
                    g.write(f.read())

    @property
    def env(self):
        return {"STRONGSWAN_CONF": os.path.join(self.dir, "strongswan.conf"), "SWANCTL_DIR": self.dir}

    def start(self):
        self.begin()
        return self.ready()

    def begin(self):
        """Starts it; several can begin side by side before ready() waits for each."""
        self.machine.run("rm", "-f", "/run/charon.vici", "/run/charon.pid")
        # Where a router's configuration of keeptrackd says that they are, on both alike.
        self.machine.run("cp", self.swanctl_conf, self.env["STRONGSWAN_CONF"], "/run")
        self.begun = self._begins()
        self.process = self.machine.spawn(CHARON, log="charon", env=self.env)

    def ready(self):
        wait_for("the control socket of charon on " + self.machine.name, self._answers, 60)
        self.load()
        return self

    def load(self):
        self.swanctl("--load-all", "--file", self.swanctl_conf)

    def _begins(self):
        """How often charon said in its log that it has begun: who connects before that may wait in vain."""
        return self.log().count("worker threads")

    def log(self):
        try:
            with open(os.path.join(self.dir, "ike.log"), encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def _answers(self):
        if self.process.poll() is not None:
            raise LabError("charon has ended")
        if self._begins() == self.begun:
            return False
        path = "/proc/%d/root/run/charon.vici" % self.process.pid
        return stat.S_ISSOCK(os.stat(path).st_mode) and self.swanctl("--version", check=False, timeout=10)

    def swanctl(self, *words, check=True, timeout=20):
        return self.machine.run("env", *("%s=%s" % pair for pair in self.env.items()), "swanctl", *words,
                                "--uri", "unix:///run/charon.vici", check=check, timeout=timeout)

    def initiate(self, name="hq"):
        self.swanctl("--initiate", "--ike", name, "--child", name, "--timeout", "5")

    def list_sas(self, name="hq"):
        return self.swanctl("--list-sas", "--ike", name, check=False)

    def tunnel_up(self, name="hq"):
        return "INSTALLED" in self.list_sas(name)

    def stop(self):
        """The process as the machine loses it: nothing is told to the other end."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def freeze(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
