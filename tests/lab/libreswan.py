"""libreswan in the lab: one pluto per machine. Its SAs live in the kernel, so it needs kernel ESP (tests/vm).

Debian lets libreswan and strongSwan not be installed together, so ./dev unpacks libreswan's package into a directory of
its own, where nothing of it is started by anybody."""

import os
import shutil
import signal

from ipsec import SECRET
from lab import LabError, PEER, VIP_WAN, VPN_LAN, wait_for

ROOT = os.environ.get("KT_LIBRESWAN", "/usr/local/lib/keeptrackd-tests/libreswan")
PROGRAMS = os.path.join(ROOT, "usr/libexec/ipsec")
WHACK = os.path.join(PROGRAMS, "whack")
CTL = "/run/pluto/pluto.ctl"
HOME = "/usr/libexec/ipsec"  # where pluto looks for its helpers, whatever it is told

IPSEC_CONF = """config setup
    uniqueids=yes

conn hq
    left=%(local)s
    leftid=%(local)s
    leftsubnet=%(local_ts)s
    leftupdown=%(updown)s
    right=%(remote)s
    rightid=%(remote)s
    rightsubnet=%(remote_ts)s
    authby=secret
    ikev2=insist
    ike=aes128-sha2_256-dh31
    esp=aes128-sha2_256
    mobike=no
    initial-contact=yes
    dpddelay=0
    rekey=yes
    auto=add
"""

# Packets get to the policy by a route, which is what is left to do by the script that pluto calls.
UPDOWN = """#!/bin/sh
case $PLUTO_VERB in
route-client) exec ip route replace "$PLUTO_PEER_CLIENT" via "$PLUTO_PEER" ;;
unroute-client) ip route del "$PLUTO_PEER_CLIENT" via "$PLUTO_PEER" ;;
esac
exit 0
"""


class Pluto:
    """The IKE daemon of one machine. The same interface as ipsec.Charon."""

    def __init__(self, lab, name):
        if not os.access(WHACK, os.X_OK):
            raise LabError("%s is missing: ./dev test unpacks it" % WHACK)
        self.machine = lab[name]
        self.dir = self.machine.dir
        self.process = None
        ends = {"local": VIP_WAN, "remote": PEER, "local_ts": "10.0.1.0/24", "remote_ts": VPN_LAN}
        if name == "peer":
            ends = {"local": PEER, "remote": VIP_WAN, "local_ts": VPN_LAN, "remote_ts": "10.0.1.0/24"}
        self.conf, self.secrets = self._path("ipsec.conf"), self._path("ipsec.secrets")
        self.nss, ends["updown"] = self._path("nss"), self._path("updown")
        with open(ends["updown"], "w", encoding="ascii") as f:
            f.write(UPDOWN)
        os.chmod(ends["updown"], 0o755)
        with open(self.conf, "w", encoding="ascii") as f:
            f.write(IPSEC_CONF % ends)
        with open(self.secrets, "w", encoding="ascii") as f:
            f.write('%(local)s %(remote)s : PSK "' % ends + SECRET + '"\n')
        os.chmod(self.secrets, 0o600)
        # The machine's own view of the file system gets what the package would have put there.
        self.machine.run("sh", "-c", "[ -x %s/addconn ] || { mount -t tmpfs -o mode=755 tmpfs %s && ln -s %s %s; }"
                         % (HOME, os.path.dirname(HOME), PROGRAMS, HOME))
        if not os.path.isdir(self.nss):
            os.mkdir(self.nss)
            self._run(self._certutil(), "-N", "-d", "sql:" + self.nss, "--empty-password")

    def _path(self, name):
        return os.path.join(self.dir, name)

    @staticmethod
    def _certutil():
        own = os.path.join(ROOT, "usr/bin/certutil")
        return own if os.access(own, os.X_OK) else shutil.which("certutil") or "certutil"

    @property
    def env(self):
        return {"LD_LIBRARY_PATH": os.path.join(ROOT, "usr/lib/x86_64-linux-gnu"), "IPSEC_EXECDIR": PROGRAMS,
                "IPSEC_CONF": self.conf}

    def _run(self, *words, check=True, timeout=60):
        env = ["%s=%s" % pair for pair in self.env.items()]
        return self.machine.run("env", *env, *words, check=check, timeout=timeout)

    def start(self):
        self.machine.run("sh", "-c", "rm -rf /run/pluto && mkdir -p /run/pluto")
        self.process = self.machine.spawn(
            os.path.join(PROGRAMS, "pluto"), "--nofork", "--logfile", self._path("ike.log"), "--config", self.conf,
            "--secretsfile", self.secrets, "--nssdir", self.nss, "--ipsecdir", self.dir, "--rundir", "/run/pluto",
            "--uniqueids", "--no-dnssec", "--nhelpers", "0", log="pluto", env=self.env)
        wait_for("pluto on " + self.machine.name, self._answers, 60)
        self._run(os.path.join(PROGRAMS, "addconn"), "--config", self.conf, "--ctlsocket", CTL, "hq")
        self.whack("--listen")

    def _answers(self):
        if self.process.poll() is not None:
            raise LabError("pluto has ended")
        return os.path.exists("/proc/%d/root%s" % (self.machine.holder.pid, CTL)) and self.whack("--briefstatus")

    def whack(self, *words, check=True, timeout=20):
        return self.machine.run(WHACK, "--ctlsocket", CTL, *words, check=check, timeout=timeout)

    def tunnel_up(self):
        return '"hq"' in self.whack("--trafficstatus", check=False)

    def initiate(self):
        self.whack("--initiate", "--name", "hq", "--asynchronous")
        wait_for("the tunnel", self.tunnel_up, 20)

    def stop(self):
        """The process as the machine loses it: nothing is told to the other end."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def freeze(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGSTOP)
