# Config: how long a keepalived.conf of 10,000 virtual routers takes to read, and one line that makes 65,024 of them
"""usage (as root): ./dev bench config [--quick] [--stack keeptrackd|keepalived] [--only PARTS] [--json FILE]

  many    10,000 virtual routers written out, on 40 interfaces
  most    4,000 of them
  groups  10,000 of them in 2,500 groups, members in no order
  seq     a line like that of keepalived's manual with three ~SEQ, which makes 65,024 on 256 interfaces
  vars    2,000 of them as a variable of several lines
  start   from the start of the daemon with 4,000 of them until all are MASTER with all their addresses
  large   the same with 10,000

Both daemons are called as `keepalived -t -f FILE`, in a namespace that has the interfaces; the whole of it is measured.
For the last two they run: memory is the peak of all their processes, and what does not come to its end is given up after
120 s.
"""

import glob
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
    interface eth${IF}.${NUM} \\
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


def in_groups(count):
    """The members of a group stand far from each other in the file."""
    quarter = count // 4
    return written_out(count) + "".join(
        "vrrp_sync_group G%d {\n    group {\n%s    }\n}\n"
        % (n, "".join("        VI_%d\n" % (k * quarter + (n * by + 17 * k) % quarter) for k, by in enumerate((1, 3, 7, 9))))
        for n in range(quarter))


def written_out(count):
    return "".join(ONE % {"n": n, "interface": n // 250, "vrid": n % 250 + 1, "a": n // 250, "b": n % 250 + 1}
                   for n in range(count))


class Place(Machines):
    """A namespace with interfaces, and both programs under the same name."""

    def __init__(self, build, more=False):
        super().__init__(build, "keeptrackd-config-")
        self.machines["m"] = Machine(self, "m")
        self["m"].ip("link set lo up", *(line for k in range(0, INTERFACES, 2) for line in (
            "link add eth%d type veth peer name eth%d" % (k, k + 1), "link set eth%d up" % k, "link set eth%d up" % (k + 1),
            "addr add 10.%d.255.1/16 dev eth%d" % (k, k), "addr add 10.%d.255.1/16 dev eth%d" % (k + 1, k + 1))))
        if more:
            self["m"].ip(*("link add eth%d.%d type veth peer name eth%d.%d" % (k, n, k, n + 1)
                           for k in range(8) for n in range(0, 32, 2)))
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


    def start(self, label, text, count, seconds):
        """(seconds until all are MASTER, None if they do not get there, how many are, addresses, MiB, seconds of CPU)"""
        m = self["m"]
        path, log, pids = (os.path.join(m.dir, name) for name in ("k.conf", "log." + label, "pid"))
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        base = m.run("ip", "-o", "-4", "addr", timeout=120).count("\n")
        begin = time.monotonic()
        with open(log, "w", encoding="ascii") as out:
            p = subprocess.Popen(m.command([self.programs[label], "-nlPD", "-f", path, "-p", pids, "-r", pids + "-v"]),
                                 stdout=out, stderr=out)
        masters = 0
        with open(log, encoding="ascii", errors="replace") as said:
            while p.poll() is None and masters < count and time.monotonic() < begin + seconds:
                time.sleep(0.1)
                masters += said.read().count(" Entering MASTER STATE")
        addresses = 0
        while p.poll() is None and masters >= count and addresses < 2 * count and time.monotonic() < begin + seconds:
            addresses = m.run("ip", "-o", "-4", "addr", timeout=120).count("\n") - base
        took = time.monotonic() - begin
        addresses = m.run("ip", "-o", "-4", "addr", timeout=120).count("\n") - base
        memory, cpu = self.cost(p.pid)
        p.terminate()
        try:
            p.wait(30)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
        return took if masters >= count and addresses >= 2 * count else None, masters, addresses, memory, cpu

    @staticmethod
    def cost(pid):
        """Peak of resident memory in MiB and seconds of CPU, of a process and its children."""
        memory = cpu = 0
        children = {}
        for path in glob.glob("/proc/[0-9]*/stat"):
            try:
                with open(path, encoding="utf-8", errors="replace") as f:
                    children.setdefault(int(f.read().rsplit(")", 1)[1].split()[1]), []).append(int(path.split("/")[2]))
            except OSError:
                pass
        family = [pid]
        while family:
            at = family.pop()
            family += children.get(at, [])
            try:
                with open("/proc/%d/status" % at, encoding="ascii") as f:
                    memory += sum(int(kb) for kb in re.findall(r"VmHWM:\s+(\d+)", f.read()))
                with open("/proc/%d/stat" % at, encoding="ascii") as f:
                    cpu += sum(int(n) for n in f.read().rsplit(")", 1)[1].split()[11:13])
            except OSError:
                pass
        return memory / 1024, cpu / os.sysconf("SC_CLK_TCK")


def start_part(name, count, goal):
    def work(ctx):
        shown, found = {}, {}
        for label in ("keeptrackd", "keepalived"):
            shown[label] = "-"
            if label not in [s.label for s in ctx.stacks]:
                continue
            with Place(ctx.build) as place:
                took, masters, addresses, memory, cpu = place.start(label, written_out(count), count, 120)
            found[label] = took
            shown[label] = "%s, %d MiB, %.1f s of CPU" % (
                "%.1f s" % took if took else "not within 120 s: %d MASTER, %d addresses" % (masters, addresses), memory, cpu)
            ctx.say("%d, %s: %s" % (count, label, shown[label]))
        met = None if "keeptrackd" not in found else found["keeptrackd"] is not None and found["keeptrackd"] < goal
        return [Row(name, "%s virtual routers: from the start until all are MASTER" % format(count, ","), "< %d s" % goal,
                    shown["keeptrackd"], shown["keepalived"], met, found)]
    return work


def part(name, what, text, goal):
    def work(ctx):
        found, shown = {}, {}
        with Place(ctx.build, name == "seq") as place:
            for label in ("keeptrackd", "keepalived"):
                if label not in [s.label for s in ctx.stacks]:
                    shown[label] = "-"
                    continue
                times = []
                for _ in range(ctx.choose(3, 1)):
                    took, peak, status, said = place.read(label, text, 120)
                    ctx.say("%s, %s: %.2f s, %d MiB, status %s" % (what, label, took, peak, status))
                    if status != 0:
                        ctx.say(said[-500:])
                    times.append(took if status == 0 else None)
                    if None in times:
                        break
                if None in times:
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
         "groups": (part("groups", "10,000 virtual routers in 2,500 groups", in_groups(10000), 10), 900),
         "seq": (part("seq", "65,024 virtual routers of one ~SEQ line", SEQ, 10), 900),
         "vars": (part("vars", "2,000 virtual routers of a variable", VARS, 10), 300),
         "start": (start_part("start", 4000, 30), 400), "large": (start_part("large", 10000, 60), 400)}


if __name__ == "__main__":
    sys.exit(run("config", __doc__, PARTS, stacks=True, note="median, maximum and number of runs, peak of memory"))
