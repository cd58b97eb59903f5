"""Every form of VRRP that keepalived speaks, all at once: one virtual router each, keeptrackd on one side and keepalived on
the other, in both directions. Version 2 plain and with a password, version 3, IPv6, unicast, a virtual MAC, and both
versions at once on our side against either on theirs.
"""

from duo import Form, OWN4, OWN6, at_once, play, tie
from rig import Theirs

PASS_LINES = ("    authentication {", "        auth_type PASS", "        auth_pass secret", "    }")


class Keepalived(Theirs):
    detail, early_ms = True, 5

    def conf(self):
        def one(v):
            lines = ["vrrp_instance %s {" % v.name, "    state BACKUP", "    version %d" % v.speaks,
                     "    interface " + v.interface, "    virtual_router_id %d" % v.vrid,
                     "    priority %d" % v.priority[self.name], "    advert_int %s" % v.advert]
            lines += v.theirs(self.name) if callable(v.theirs) else list(v.theirs)
            lines += ["    virtual_ipaddress {"] + ["        " + a for a in v.vips] + ["    }", "}", ""]
            return "\n".join(lines)
        return "global_defs {\n    router_id %s\n    vrrp_version 3\n    vrrp_garp_master_repeat 1\n}\n" % self.name + "".join(map(one, self.instances))

    def complaints(self):
        """What it says of packets; the wrong one of two versions is no news."""
        words = ("bad ", "invalid", "mismatch", "ncorrect", "expect", "not match", "checksum")
        return [line for line in self.log().split("\n") if any(w in line for w in words)
                and "up2" not in line and "up3" not in line and "version" not in line.lower()]


def unicast(own):
    def lines(name):
        return ["    unicast_src_ip " + own[name], "    unicast_peer {", "        " + own["b" if name == "a" else "a"], "    }"]
    return lines


def forms(priority):
    def form(*args, **more):
        return Form(*args[:4], priority, *args[4:], **more)
    mac = {"virtual_mac": {"kind": "macvlan"}}
    return [
        form("v2", 1, ["10.1.0.1/16"], 1, (), 2, version="v2"),
        form("pass", 2, ["10.1.0.2/16"], 1, PASS_LINES, 2, version="v2", auth_pass="secret"),
        form("v3", 3, ["10.1.0.3/16", "10.1.0.33/16"], 0.1),
        form("v6", 4, ["fe80::1:4/64", "2001:db8:1::4/64"], 0.1, family="ipv6"),
        form("uni", 5, ["10.1.0.5/16"], 0.1, unicast(OWN4), unicast_peers=sorted(OWN4.values())),
        form("uni2", 6, ["10.1.0.6/16"], 1, unicast(OWN4), 2, version="v2", unicast_peers=sorted(OWN4.values())),
        form("uni6", 7, ["2001:db8:1::7/64"], 0.1, unicast(OWN6), family="ipv6", unicast_peers=sorted(OWN6.values())),
        form("vmac", 8, ["10.1.0.8/16"], 0.1, ("    use_vmac kvrrp.8",), **mac),
        form("vmac6", 9, ["fe80::1:9/64"], 0.1, ("    use_vmac kvrrp6.9",), family="ipv6", **mac),
        form("up2", 10, ["10.1.0.10/16"], 1, (), 2, version="v2+v3"),
        form("up3", 11, ["10.1.0.11/16"], 1, (), 3, version="v2+v3"),
    ]


def test_takeover_hand_back_and_priority_zero():
    at_once((play, Keepalived, forms, "ours"), (play, Keepalived, forms, "theirs"))


def test_ties():
    at_once((tie, Keepalived, forms, "a"), (tie, Keepalived, forms, "b"))
