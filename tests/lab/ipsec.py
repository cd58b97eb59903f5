"""strongSwan in the lab: one charon per machine, ESP in user space (kernel-libipsec), so no kernel ESP is needed; where
there is one (tests/vm), kernel_esp=True uses it."""

import os
import signal
import stat

from lab import LabError, PEER, VIP_WAN, VPN_LAN, wait_for

CHARON = "/usr/lib/ipsec/charon"
SECRET = "the secret of the lab"

# kernel-libipsec has to come before kernel-netlink: the first one that can do ESP is taken.
STRONGSWAN_CONF = """
charon {
    load = random nonce aes sha1 sha2 hmac kdf curve25519 openssl %(esp)s kernel-netlink socket-default vici
    retransmit_timeout = 0.5
    retransmit_base = 1.5
    plugins {
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

SWANCTL_CONF = """
connections {
    hq {
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
        children {
            hq {
                local_ts = %(local_ts)s
                remote_ts = %(remote_ts)s
                esp_proposals = aes128-sha256-x25519
                start_action = none
                close_action = none
                dpd_action = clear
            }
        }
    }
}
secrets {
    ike-lab { secret = "%(secret)s" }
}
"""


class Charon:
    """The IKE daemon of one machine."""

    def __init__(self, lab, name, kernel_esp=False):
        self.machine = lab[name]
        self.router = name != "peer"
        self.dir = self.machine.dir
        self.process = None
        self.begun = 0
        ends = {"local": VIP_WAN, "remote": PEER, "local_ts": "10.0.1.0/24", "remote_ts": VPN_LAN}
        if not self.router:
            ends = {"local": PEER, "remote": VIP_WAN, "local_ts": VPN_LAN, "remote_ts": "10.0.1.0/24"}
        with open(os.path.join(self.dir, "strongswan.conf"), "w", encoding="ascii") as f:
            f.write(STRONGSWAN_CONF % {"log": os.path.join(self.dir, "ike.log"),
                                       "esp": "" if kernel_esp else "kernel-libipsec"})
        self.swanctl_conf = os.path.join(self.dir, "swanctl.conf")
        with open(self.swanctl_conf, "w", encoding="ascii") as f:
            f.write(SWANCTL_CONF % dict(ends, secret=SECRET))

    @property
    def env(self):
        return {"STRONGSWAN_CONF": os.path.join(self.dir, "strongswan.conf")}

    def start(self):
        self.machine.run("rm", "-f", "/run/charon.vici", "/run/charon.pid")
        self.begun = self._begins()
        self.process = self.machine.spawn(CHARON, log="charon", env=self.env)
        wait_for("the control socket of charon on " + self.machine.name, self._answers, 60)
        self.swanctl("--load-all", "--file", self.swanctl_conf)

    def _begins(self):
        """How often charon said in its log that it has begun: who connects before that may wait in vain."""
        try:
            with open(os.path.join(self.dir, "ike.log"), encoding="utf-8", errors="replace") as f:
                return f.read().count("worker threads")
        except FileNotFoundError:
            return 0

    def _answers(self):
        if self.process.poll() is not None:
            raise LabError("charon has ended")
        if self._begins() == self.begun:
            return False
        path = "/proc/%d/root/run/charon.vici" % self.process.pid
        return stat.S_ISSOCK(os.stat(path).st_mode) and self.swanctl("--version", check=False, timeout=10)

    def swanctl(self, *words, check=True, timeout=20):
        return self.machine.run("env", "STRONGSWAN_CONF=" + self.env["STRONGSWAN_CONF"], "swanctl", *words,
                                "--uri", "unix:///run/charon.vici", check=check, timeout=timeout)

    def initiate(self):
        self.swanctl("--initiate", "--child", "hq", "--timeout", "5")

    def tunnel_up(self):
        return "INSTALLED" in self.swanctl("--list-sas", check=False)

    def stop(self):
        """The process as the machine loses it: nothing is told to the other end."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def freeze(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGSTOP)
