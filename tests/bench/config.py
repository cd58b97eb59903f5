# Config: how long a keepalived.conf of 10,000 virtual routers takes to read, and one line that makes 65,024 of them
"""usage (as root): ./dev bench config [--quick] [--stack keeptrackd|keepalived] [--only PARTS] [--json FILE]

  many  10,000 virtual routers written out, on 40 interfaces
  most  4,000 of them, which both daemons take
  seq   the line of keepalived's manual with three ~SEQ, which makes 65,024
  vars  2,000 of them as a variable of several lines

Both daemons are called as `keepalived -t -f FILE`, in a namespace that has the interfaces; the whole of it is measured.
"""

import os
import re
import subprocess
import sys
import time

from measure import TOP, Row, cell, run

sys.path.insert(0, os.path.join(TOP, "tests", "lab"))

from lab import Machine, Machines  # noqa: E402

INTERFACES = 40

ONE = """vrrp_instance VI_%(n)d {
    state BACKUP
    interface eth%(interface)d
    virtual_router_id %(vrid)d
    priority 100
    advert_int 1
    virtual_ipaddress {
        10.%(a)d.%(b)d.1/24
        10.%(a)d.%(b)d.2/24
    }
}
"""

SEQ = """$VI4= \\
vrrp_instance vrrp4.${IF}.${NUM}.${ID} { \\
    interface eth${IF} \\
    virtual_router_id ${ID} \\
    priority 130 \\
    virtual_ipaddress { \\
        10.${IF}.${NUM}.${ID}/24 \\
    } \\
}
~SEQ(IF,0,7) ~SEQ(NUM,0,31) ~SEQ(ID,1,254) $VI4
"""

VARS = """$VI= \\
vrrp_instance VI_${NET}_${ID} { \\
    interface eth${NET} \\
    virtual_router_id ${ID} \\
    virtual_ipaddress { \\
        10.${NET}.${ID}.1/24 \\
    } \\
}
~SEQ(NET,0,9) ~SEQ(ID,1,200) $VI
"""


def written_out(count):
    return "".join(ONE % {"n": n, "interface": n // 250, "vrid": n % 250 + 1, "a": n // 250, "b": n % 250 + 1}
                   for n in range(count))


class Place(Machines):
    """A namespace with interfaces, and both programs under the same name."""

    def __init__(self, build):
        super().__init__(build, "keeptrackd-config-")
        self.machines["m"] = Machine(self, "m")
        self["m"].ip("link set lo up", *(line for k in range(0, INTERFACES, 2) for line in (
            "link add eth%d type veth peer name eth%d" % (k, k + 1), "link set eth%d up" % k, "link set eth%d up" % (k + 1),
            "addr add 10.%d.255.1/16 dev eth%d" % (k, k), "addr add 10.%d.255.1/16 dev eth%d" % (k + 1, k + 1))))
        self.programs = {"keepalived": "/usr/sbin/keepalived",
                         "keeptrackd": os.path.join(self["m"].dir, "keepalived")}
        os.symlink(self.tool("keeptrackd"), self.programs["keeptrackd"])

    def read(self, label, text, seconds):
        """(seconds, peak of memory in MiB, status, what was said) of one -t; status None: it was ended after `seconds`."""
        path = os.path.join(self["m"].dir, "k.conf")
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        begin = time.monotonic()
        p = subprocess.Popen(self["m"].command([self.programs[label], "-t", "-f", path]), stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True)
        peak, end = 0, begin + seconds
        while p.poll() is None and time.monotonic() < end:
            try:
                with open("/proc/%d/status" % p.pid, encoding="ascii") as f:
                    peak = max([peak] + [int(kb) for kb in re.findall(r"VmHWM:\s+(\d+)", f.read())])
            except OSError:
                pass
            try:
                p.wait(0.05)
            except subprocess.TimeoutExpired:
                pass
        took = time.monotonic() - begin
        done = p.poll()
        if done is None:
            p.kill()
        return took, peak / 1024, done, p.communicate()[1]


def part(name, what, text, goal):
    def work(ctx):
        found, shown = {}, {}
        with Place(ctx.build) as place:
            for label in ("keeptrackd", "keepalived"):
                if label not in [s.label for s in ctx.stacks]:
                    shown[label] = "-"
                    continue
                times = []
                for _ in range(ctx.choose(3, 1)):
                    took, peak, status, said = place.read(label, text, 120)
                    ctx.say("%s, %s: %.2f s, %d MiB, status %s" % (what, label, took, peak, status))
                    # read to the end, but more than there may be: that is what was to be measured
                    limit = re.search(r"at most (\d+) are possible", said)
                    if status != 0 and not limit:
                        ctx.say(said[-500:])
                    times.append(took if status == 0 or limit else None)
                    if None in times:
                        break
                if None not in times and limit:
                    shown[label] = "%s, %d MiB; read, then refused: at most %s" % (cell(times, 2, " s"), peak, limit[1])
                elif None in times:
                    shown[label] = "not read within 120 s" if status is None else "refused (status %s)" % status
                else:
                    shown[label] = "%s, %d MiB" % (cell(times, 2, " s"), peak)
                found[label] = times
        ours = found.get("keeptrackd")
        met = None if ours is None else None not in ours and max(ours) < goal
        return [Row(name, what, "< %d s" % goal, shown["keeptrackd"], shown["keepalived"], met, found)]
    return work


PARTS = {"many": (part("many", "10,000 virtual routers written out", written_out(10000), 10), 900),
         "most": (part("most", "4,000 virtual routers written out", written_out(4000), 10), 900),
         "seq": (part("seq", "65,024 virtual routers of one ~SEQ line", SEQ, 10), 900),
         "vars": (part("vars", "2,000 virtual routers of a variable", VARS, 10), 300)}


if __name__ == "__main__":
    sys.exit(run("config", __doc__, PARTS, stacks=True, note="median, maximum and number of runs, peak of memory"))
