# idle: memory and threads of a daemon with nothing to do, and 200 of them in 200 namespaces
"""usage (as root): ./dev bench idle [--quick] [--json FILE]

  a  one daemon with one virtual router, no replication: proportional set size, threads
  b  200 daemons in 200 network namespaces: time until all serve, memory of all

About a minute. Memory is proportional: what processes share counts for each by its share. All processes of a daemon are
counted, helpers and children too.
"""

import glob
import os
import sys
import time

from measure import Row, run

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lab"))

from box import Box  # noqa: E402
from lab import wait_for  # noqa: E402

CONF = """vrrp_instance VI_1 {
    state BACKUP
    interface lan0
    virtual_router_id 51
    priority 100
    version 3
    advert_int 0.5
    virtual_ipaddress {
        10.0.1.1/24
    }
}
"""
MANY = 200


def processes(box):
    """{pid: [kB of proportional set size, names of threads, kB resident]} of all keepalived programs in the box."""
    found = {}
    for path in glob.glob(box.path("/proc/[0-9]*")):
        try:
            with open(path + "/cmdline", encoding="utf-8", errors="replace") as f:
                if f.read().split("\0")[0].rsplit("/", 1)[-1] != "keepalived":
                    continue
            names = []
            for task in glob.glob(path + "/task/*/comm"):
                with open(task, encoding="ascii") as f:
                    names.append(f.read().strip())
            with open(path + "/smaps_rollup", encoding="ascii") as f:
                size = dict(line.split()[:2] for line in f if line.startswith(("Pss:", "Rss:")))
            found[int(path.rsplit("/", 1)[-1])] = [int(size["Pss:"]), sorted(names), int(size["Rss:"])]
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def one(build, original):
    box = Box(build, original)
    try:
        box.write("/etc/keepalived/keepalived.conf", CONF)
        box.run("keepalived")
        wait_for("the address", lambda: "10.0.1.1/24" in box.addresses(), 10)
        time.sleep(1)  # what belongs to the start is over
        return processes(box)
    finally:
        box.close()


def total_mb(found):
    return sum(p[0] for p in found.values()) / 1024


def largest_mb(found, column):
    return max(p[column] for p in found.values()) / 1024


def part_a(ctx):
    ours, theirs = one(ctx.build, False), one(ctx.build, True)
    threads = sorted(name for p in ours.values() for name in p[1])
    return [Row("a", "idle, one virtual router: daemon", "<= 6 MB PSS", "%.1f MB" % largest_mb(ours, 0),
                "%.1f MB" % largest_mb(theirs, 0), largest_mb(ours, 0) <= 6, {"keeptrackd": ours, "keepalived": theirs}),
            Row("a", "the same if nothing were shared (RSS)", "-", "%.1f MB" % largest_mb(ours, 2),
                "%.1f MB" % largest_mb(theirs, 2), None),
            Row("a", "all its processes", "-", "%.1f MB" % total_mb(ours), "%.1f MB" % total_mb(theirs), None),
            Row("a", "threads", "no SYNC", ", ".join(threads), "-", "kt-sync" not in threads)]


def many(build, original):
    """(seconds until all serve, MB of all)"""
    box = Box(build, original)
    try:
        box.write("/etc/keepalived/keepalived.conf", CONF)
        for n in range(MANY):
            box.namespace("n%d" % n)
        begin = time.monotonic()
        # as agents do: one after the other, each waits for the parent's end
        box.sh("for n in $(seq 0 %d); do ip netns exec n$n keepalived -P -p /run/n$n.pid -r /run/n$n-vrrp.pid || exit 1;"
               " done" % (MANY - 1), timeout=60)
        wait_for("all pid files", lambda: all(box.exists("/run/n%d-vrrp.pid" % n) for n in range(MANY)), 20)
        started = time.monotonic() - begin
        wait_for("all addresses", lambda: all("10.0.1.1/24" in box.addresses(ns="n%d" % n)
                                              for n in range(MANY)), 60, 1)
        time.sleep(1)
        return started, total_mb(processes(box))
    finally:
        box.close()


def part_b(ctx):
    ours, theirs = many(ctx.build, False), many(ctx.build, True)
    return [Row("b", "200 in 200 namespaces: started", "<= 20 s", "%.1f s" % ours[0], "%.1f s" % theirs[0], ours[0] <= 20),
            Row("b", "memory of all", "-", "%.0f MB" % ours[1], "%.0f MB" % theirs[1], None)]


PARTS = {"a": (part_a, 60), "b": (part_b, 300)}


if __name__ == "__main__":
    sys.exit(run("idle", __doc__, PARTS))
