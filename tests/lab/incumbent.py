"""What keeptrackd is compared with: keepalived, conntrackd and the usual script between them.

The script does what the conntrackd documentation tells everybody to do on a change of role, and asks the IKE daemon for
the tunnel when the router becomes master. Nothing orders it against the addresses: keepalived runs it asynchronously.
"""

import os
import signal
import subprocess

from lab import LabError, ROUTERS, VIP_LAN, VIP_WAN, wait_for

KEEPALIVED_CONF = """
global_defs {
    router_id %(name)s
    script_user root
    enable_script_security
    vrrp_version 3
}
vrrp_sync_group edge {
    group {
        lan
        wan
    }
    notify_master "%(script)s primary"
    notify_backup "%(script)s backup"
    notify_fault "%(script)s fault"
}
vrrp_instance lan {
    state BACKUP
    interface lan0
    virtual_router_id 10
    priority %(priority)d
    advert_int 0.1
    virtual_ipaddress {
        %(vip_lan)s/24
    }
}
vrrp_instance wan {
    state BACKUP
    interface wan0
    virtual_router_id 20
    priority %(priority)d
    advert_int 0.1
    virtual_ipaddress {
        %(vip_wan)s/24
    }
}
"""

CONNTRACKD_CONF = """
Sync {
    Mode FTFW {
%(mode)s    }
    UDP {
        IPv4_address %(own)s
        IPv4_Destination_Address %(other)s
        Port 3780
        Interface sync0
        SndSocketBuffer 1249280
        RcvSocketBuffer 1249280
        Checksum on
    }
}
General {
    HashSize %(buckets)d
    HashLimit %(limit)d
    LogFile %(log)s
    Syslog off
    LockFile /run/lock/conntrack.lock
    UNIX {
        Path /run/conntrackd.ctl
    }
    NetlinkBufferSize 8388608
    NetlinkBufferSizeMaxGrowth 33554432
    NetlinkOverrunResync on
    Filter From Userspace {
        Protocol Accept {
            TCP
            UDP
            ICMP
        }
        Address Ignore {
            IPv4_address 127.0.0.1
            IPv4_address 10.0.1.1
            IPv4_address 10.0.1.2
            IPv4_address 10.0.1.3
            IPv4_address 203.0.113.1
            IPv4_address 203.0.113.2
            IPv4_address 203.0.113.3
            IPv4_address 10.9.0.1
            IPv4_address 10.9.0.2
        }
    }
}
"""

SCRIPT = """#!/bin/sh
C="conntrackd -C %(conf)s"
export STRONGSWAN_CONF=%(strongswan)s
case "$1" in
primary)
    swanctl --initiate --child hq --timeout 5 --uri unix:///run/charon.vici >/dev/null 2>&1 &
    $C -c
    $C -f
    $C -R
    $C -B
    wait
    ;;
backup)
    swanctl --terminate --ike hq --force --timeout 0 --uri unix:///run/charon.vici >/dev/null 2>&1
    $C -t
    $C -n
    ;;
fault)
    $C -t
    ;;
esac
echo "$1" >> %(dir)s/notify.log
"""


def conntrackd_conf(own, other, log, sessions=131072, external_cache=True):
    """For two nodes on sync0. sessions: the most it may hold; without external cache it writes into the kernel at once."""
    return CONNTRACKD_CONF % {"own": own, "other": other, "log": log, "limit": sessions, "buckets": sessions // 4,
                              "mode": "" if external_cache else "        DisableExternalCache On\n"}


class Incumbent:
    """keepalived + conntrackd on both routers of a lab, with the same interface as Keeptrackd."""

    journal = False

    def __init__(self, lab, charons, sync=True, sessions=131072):
        self.name = "keepalived + conntrackd" if sync else "keepalived alone"
        self.lab, self.charons, self.with_sync, self.sessions = lab, charons, sync, sessions
        self.vrrp, self.sync = {}, {}
        for i, name in enumerate(ROUTERS):
            self._write(name, 150 if i == 0 else 100, "10.9.0.%d" % (i + 1), "10.9.0.%d" % (2 - i))

    def _file(self, router, name, text=None, mode=0o644):
        path = os.path.join(self.lab[router].dir, name)
        if text is not None:
            with open(path, "w", encoding="ascii") as f:
                f.write(text)
            os.chmod(path, mode)
        return path

    def _write(self, name, priority, own, other):
        conf = self._file(name, "conntrackd.conf", conntrackd_conf(
            own, other, os.path.join(self.lab[name].dir, "conntrackd-events.log"), self.sessions))
        text = SCRIPT % {"conf": conf, "strongswan": self.charons[name].env["STRONGSWAN_CONF"],
                         "dir": self.lab[name].dir}
        script = self._file(name, "primary-backup.sh", text if self.with_sync else "#!/bin/sh\nexit 0\n", 0o755)
        self._file(name, "keepalived.conf", KEEPALIVED_CONF % {
            "name": name, "script": script, "priority": priority, "vip_lan": VIP_LAN, "vip_wan": VIP_WAN})

    def start(self, router):
        machine = self.lab[router]
        machine.run("sh", "-c", "rm -f /run/lock/conntrack.lock /run/conntrackd.ctl /run/keepalived*.pid /run/vrrp*.pid")
        if self.with_sync:
            self.sync[router] = machine.spawn("conntrackd", "-C", self._file(router, "conntrackd.conf"))
            wait_for("conntrackd on " + router, lambda: self._sync(router, "-s", check=True), 5)
        self.rejoin(router)

    def _sync(self, router, option, check=False):
        return self.lab[router].run("conntrackd", "-C", self._file(router, "conntrackd.conf"), option, check=check)

    def _children(self, router):
        parent = self.vrrp[router].pid
        out = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True, check=False).stdout
        return [int(pid) for pid in out.split()]

    def alive(self, router):
        return router in self.vrrp and self.vrrp[router].poll() is None

    def is_master(self, router):
        return self.alive(router) and self.lab[router].has_ip4(VIP_LAN, VIP_WAN)

    def is_ready(self, router):
        """The standby holds what the master has: its external cache is as large as the master's internal one."""
        if not self.with_sync:
            return True
        other = ROUTERS[1 - ROUTERS.index(router)]

        def count(node, which):
            return self._sync(node, which).count("dport=5001")

        return count(router, "-e") >= max(1, count(other, "-i"))

    def rest(self, standby):
        """A minute later: the script's `conntrackd -t` has emptied the standby's kernel of what an earlier time as
        master left there. The demo does not wait that long."""
        self.lab[standby].conntrack("-F")

    def freeze(self, router):
        # The parent first: its death would make the child leave politely, with a priority-0 advert.
        for pid in [self.vrrp[router].pid] + self._children(router):
            os.kill(pid, signal.SIGSTOP)
        if self.with_sync:
            self.sync[router].send_signal(signal.SIGSTOP)

    def kill(self, router, everything=True):
        """As a crash of the processes. everything: conntrackd too, else the VRRP process alone."""
        if not self.alive(router):
            raise LabError("keepalived on %s is not running" % router)
        parent, children = self.vrrp[router], self._children(router)
        os.kill(parent.pid, signal.SIGSTOP)
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        parent.kill()
        parent.wait()
        if everything:
            self.clear_dead(router)

    def clear_dead(self, router):
        if self.with_sync and self.sync[router].poll() is None:
            self.sync[router].kill()
            self.sync[router].wait()

    def restart_dead(self, router):
        self.clear_dead(router)
        self.start(router)

    def planned(self, router):
        """What an operator does without a better word for it: stop keepalived on the master."""
        self.vrrp[router].terminate()
        self.vrrp[router].wait()

    def rejoin(self, router):
        """After a planned switch: keepalived runs again on the router that was stopped."""
        machine = self.lab[router]
        machine.run("sh", "-c", "rm -f /run/keepalived*.pid /run/vrrp*.pid")
        self.vrrp[router] = machine.spawn("keepalived", "-n", "-l", "-D", "-P", "-f",
                                          self._file(router, "keepalived.conf"))

    def remark(self, _router):
        """What the live line adds to the kernel's facts."""
        return ""

    def timeline(self, _router, _since_ns):
        """keepalived keeps no account of a change of role."""
        return None

    def stop(self):
        for router in ROUTERS:
            for child in (self.vrrp.get(router), self.sync.get(router)):
                if child is not None and child.poll() is None:
                    child.terminate()
        for router in ROUTERS:
            for child in (self.vrrp.get(router), self.sync.get(router)):
                if child is not None:
                    try:
                        child.wait(5)
                    except subprocess.TimeoutExpired:
                        child.kill()
                        child.wait()
