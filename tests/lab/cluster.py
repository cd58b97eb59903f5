"""Two or three routers of a rig as one cluster: the last segment of the rig carries their channel.

    with Rig(build_dir(), segments=3, routers=("a", "b", "c")) as rig:
        nodes = cluster(rig, priority={"a": 150, "b": 100, "c": 120})     # started; lan on segment 1, wan on segment 2
        wait_role(nodes["a"], "MASTER")
"""

import os

from conf import text
from lab import LabError, wait_for
from rig import Ours, ROUTER_NAMES, Vr

VIPS = ("10.1.0.1", "10.2.0.1")


class Node(Ours):
    """keeptrackd with a channel to every other router of the rig."""

    replicate, group_options = True, {}

    def conf(self):
        def one(v):
            return dict({"name": v.name, "interface": v.interface, "vrid": v.vrid, "family": v.family,
                         "advert_interval": v.advert, "preempt": v.preempt, "virtual_addresses": v.vips}, **v.ours)

        state = os.path.join(self.machine.dir, "state")
        conf = {"node": {"id": ROUTER_NAMES.index(self.name) + 1, "run_dir": "/run/keeptrackd", "state_dir": state,
                         "log": {"level": "info", "syslog": False, "stderr": True},
                         "instances": [{"name": v.name, "priority": v.priority[self.name]} for v in self.instances]},
                "cluster": "rig",
                "nodes": [{"id": ROUTER_NAMES.index(n) + 1, "name": n,
                           "addresses": [self.rig.address(n, self.rig.segments)]} for n in self.members()],
                "channel": {"insecure": True},
                "vrrp": {"instances": [one(v) for v in self.instances]},
                "sync": {"replicate": self.replicate}}
        if self.group:
            conf["vrrp"]["groups"] = [dict({"name": self.group, "members": [v.name for v in self.instances]},
                                           **self.group_options)]
        return text(conf)

    def members(self):
        """The nodes of the cluster."""
        return self.cluster

    def status(self):
        return self.ask("show failover status")

    def first(self):
        """Its first group."""
        return self.status()["groups"][0]

    def peer(self, name):
        return next(p for p in self.status()["peers"] if p["node"] == name)

    def is_role(self, role):
        return all(g["role"] == role and g["state"] == "stable" for g in self.status()["groups"])

    def ktsh(self, *words):
        """(exit status, output) of ktsh."""
        script = 'exec "$0" "$@" 2>&1; '
        try:
            return 0, self.machine.run("sh", "-c", script, self.rig.tool("ktsh"), *words)
        except LabError as e:
            return 1, str(e)


def instances(advert, priority, preempt=True):
    return [Vr("lan", 1, 10, ["10.1.0.1/16"], advert, priority, preempt=preempt),
            Vr("wan", 2, 20, ["10.2.0.1/16"], advert, priority, preempt=preempt)]


def cluster(rig, names=None, advert=0.1, priority=None, preempt=True, start=True, vrs=None, group="edge", replicate=True,
            **group_options):
    """The nodes by name. The first one is started first."""
    names = tuple(names or rig.routers)
    nodes = {}
    for name in names:
        node = Node(rig, name, vrs or instances(advert, priority, preempt), group=group)
        node.cluster, node.replicate, node.group_options = names, replicate, group_options
        nodes[name] = node
        if start:
            node.start()
    return nodes


def wait_role(node, role, seconds=10.0):
    wait_for("%s to be %s" % (node.name, role), lambda: node.is_role(role), seconds, 0.01)


def wait_standby(node, *others, seconds=15.0):
    """Until node is a ready standby, and everybody on the channel says and hears so."""
    def there():
        mine = node.status()
        return (all(g["role"] == "BACKUP" and g["ready"] for g in mine["groups"])
                and all(g["ready"] and g["role"] == "BACKUP" for o in others for g in o.peer(node.name)["groups"])
                and all(o.peer(node.name)["groups"] for o in others))
    wait_for("%s to be a ready standby" % node.name, there, seconds, 0.02)


def settled(nodes, master, seconds=15.0):
    """One master, and every other node a ready standby."""
    wait_role(nodes[master], "MASTER", seconds)
    for name, node in nodes.items():
        if name != master and node.alive():
            wait_standby(node, *[o for n, o in nodes.items() if n != name and o.alive()], seconds=seconds)


def isolate(rig, segments, names, on=True):
    """These routers do not hear each other on these segments; everybody else is heard, and no link goes down."""
    for segment in segments:
        for name in names:
            rig["switch"].run("bridge", "link", "set", "dev", rig.port(name, segment), "isolated", "on" if on else "off")
