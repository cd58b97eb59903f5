"""FRR's vrrpd on the other router: both ways round, IPv4 and IPv6, version 2 and 3.

It does not make its macvlan interfaces, so the test does. Its timers count in hundredths of a second.
"""

import os

from duo import Form, at_once, play, tie
from lab import wait_for
from rig import Router

DAEMONS = "/usr/lib/frr"


class Frr(Router):
    label, comms, logname, early_ms = "frr", ("vrrpd", "zebra"), "vrrpd", 15

    def make_interfaces(self):
        for v in self.instances:
            name, four = "vmac%d" % v.vrid, v.family == "ipv4"
            self.machine.ip("link add %s link %s type macvlan mode bridge" % (name, v.interface),
                            "link set %s address 00:00:5e:00:0%d:%02x" % (name, 1 if four else 2, v.vrid),
                            *("addr add %s dev %s%s" % (a, name, "" if four else " nodad") for a in v.vips),
                            "link set %s up" % name)

    def conf(self):
        lines = ["hostname " + self.name]
        for v in self.instances:
            lines += ["interface " + v.interface, " vrrp %d version %d" % (v.vrid, v.speaks),
                      " vrrp %d priority %d" % (v.vrid, v.priority[self.name]),
                      " vrrp %d advertisement-interval %d" % (v.vrid, round(v.advert * 1000))]
            lines += [" vrrp %d %s %s" % (v.vrid, "ip" if v.family == "ipv4" else "ipv6", a.split("/")[0]) for a in v.vips]
        return "\n".join(lines + ["!", ""])

    def start(self):
        if not self.machine.run("ip", "link", "show", "type", "macvlan"):
            self.make_interfaces()
        path = os.path.join(self.machine.dir, "frr.conf")
        with open(path, "w", encoding="ascii") as f:
            f.write(self.conf())
        os.chmod(path, 0o644)
        self.machine.run("sh", "-c", "rm -rf /run/frr && mkdir -p /run/frr && chown frr:frr /run/frr")
        self.zebra = self.machine.spawn(DAEMONS + "/zebra", "-f", "/dev/null", "-i", "/run/frr/zebra.pid", "--log", "stdout",
                                        "-P", "0", log="zebra")
        wait_for("zebra", lambda: "zserv" in self.machine.run("sh", "-c", "ls /run/frr"), 5)
        self.process = self.machine.spawn(DAEMONS + "/vrrpd", "-f", path, "-i", "/run/frr/vrrpd.pid", "--log", "stdout",
                                          "-P", "0", log=self.logname)
        wait_for("vrrpd", lambda: self.machine.run("vtysh", "-c", "show vrrp").count("Virtual Router ID") == len(
            self.instances), 5, 0.1)
        return self

    def stop(self):
        super().stop()
        if self.zebra:
            self.zebra.kill()
            self.zebra.wait()

    zebra = None

    def complaints(self):
        words = ("hecksum", "malformed", "nvalid", "ismatch", "mproper")
        return [line for line in self.log().split("\n") if any(w in line for w in words)]


def forms(priority):
    mac = {"virtual_mac": {"kind": "macvlan"}}
    return [Form("v3", 5, ["10.1.0.5/16"], 0.1, priority, **mac),
            Form("base", 6, ["10.1.0.6/16", "10.1.0.66/16"], 0.1, priority),
            Form("v2", 7, ["10.1.0.7/16"], 1, priority, speaks=2, version="v2"),
            Form("up", 8, ["10.1.0.8/16"], 1, priority, speaks=2, version="v2+v3"),
            Form("v6", 9, ["fe80::1:9/64"], 0.1, priority, family="ipv6", **mac),
            Form("base6", 10, ["fe80::1:a/64", "2001:db8:1::a/64"], 0.1, priority, family="ipv6")]


def test_takeover_hand_back_and_priority_zero():
    at_once((play, Frr, forms, "ours"), (play, Frr, forms, "theirs"))


def test_ties():
    at_once((tie, Frr, forms, "a"), (tie, Frr, forms, "b"))
