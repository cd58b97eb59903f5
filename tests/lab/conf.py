"""Configurations as Python values: the lab's as a dictionary that a test changes, and its text.

    conf = lab_conf(lab, "fw-a")
    conf["vrrp"]["instances"][0]["advert_interval"] = 0.01
    Daemon(lab, "fw-a", conf=text(conf))
"""

import os

from keeptrackd import key_file
from lab import ROUTERS


def value(v, depth):
    pad = "    " * depth
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, (int, float)):
        return str(v)
    if isinstance(v, str):
        return '"%s"' % v
    if isinstance(v, dict):
        return "{\n" + "".join("%s    %s = %s;\n" % (pad, k, value(x, depth + 1)) for k, x in v.items()) + pad + "}"
    return "(" + ",".join("\n%s    %s" % (pad, value(x, depth + 1)) for x in v) + "\n" + pad + ")"


def text(conf):
    return "".join("%s = %s;\n" % (k, value(v, 0)) for k, v in conf.items())


def instance(name, interface, vrid, vips, advert=0.1, family="ipv4", **more):
    return dict({"name": name, "interface": interface, "vrid": vrid, "family": family, "advert_interval": advert,
                 "virtual_addresses": list(vips)}, **more)


def lab_conf(lab, router, advert=0.1, peer=True, replicate=True, ipv6=False, priority=None, level="info"):
    """The lab's pair as in keeptrackd.CONF; ipv6 adds two IPv6 instances, peer=False makes a router without channel."""
    index = ROUTERS.index(router)
    state = os.path.join(lab[router].dir, "state")
    conf = {
        "node": {"id": index + 1, "priority": 150 - 50 * index if priority is None else priority,
                 "run_dir": "/run/keeptrackd", "state_dir": state,
                 "log": {"level": level, "syslog": False, "stderr": True}},
    }
    if peer:
        conf["cluster"] = "demo"
        conf["nodes"] = [{"id": i + 1, "name": name, "addresses": ["10.9.0.%d" % (i + 1)]}
                         for i, name in enumerate(ROUTERS)]
        conf["channel"] = {"port": 4950, "key_file": key_file(lab)}
    instances = [instance("lan", "lan0", 10, ["10.0.1.1/24"], advert),
                 instance("wan", "wan0", 20, ["203.0.113.1/24"], advert)]
    if ipv6:
        instances += [instance("lan6", "lan0", 10, ["fe80::1:1/64", "2001:db8:1::1/64"], advert, "ipv6"),
                      instance("wan6", "wan0", 20, ["fe80::2:1/64", "2001:db8:2::1/64"], advert, "ipv6")]
    conf["vrrp"] = {"instances": instances,
                    "groups": [{"name": "edge", "members": [i["name"] for i in instances]}]}
    conf["sync"] = {"replicate": replicate}
    return conf
