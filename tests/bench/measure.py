"""What the benchmarks share: the program around their parts (run), rows of the table, statistics, load, conditions."""

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import threading
import time
import traceback

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "lab"))

from rig import Ours, STACKS, Theirs  # noqa: E402,F401


class Context:
    """What a part is told: where the programs are, how thorough to be, whom to measure."""

    def __init__(self, build, quick, stacks):
        self.build, self.quick, self.stacks = build, quick, stacks

    def choose(self, thorough, quick):
        return quick if self.quick else thorough

    @staticmethod
    def say(text):
        print("  " + text, file=sys.stderr, flush=True)


class Row:
    """One line of the table. ours and theirs are texts, met is True, False or None (nothing was promised)."""

    other = "keepalived"  # whose column theirs is

    def __init__(self, part, what, goal, ours, theirs, met, samples=None):
        self.part, self.what, self.goal, self.ours, self.theirs, self.met = part, what, goal, ours, theirs, met
        self.samples = samples or {}

    def as_json(self):
        return {"part": self.part, "what": self.what, "goal": self.goal, "keeptrackd": self.ours,
                self.other: self.theirs, "met": self.met, "samples": self.samples}


class TooLong(Exception):
    """A part did not end within its time."""


def too_long(*_):
    raise TooLong()


def run_part(name, parts, ctx):
    """The rows of a part; one that says why, if it did not come to its end. parts: {name: (function, seconds)}."""
    work, seconds = parts[name]
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    try:
        return work(ctx)
    except TooLong:
        return [Row(name, "part %s" % name, "", "did not end within %d s" % seconds, "", False)]
    except Exception as e:  # pylint: disable=broad-except
        traceback.print_exc()
        return [Row(name, "part %s" % name, "", "failed: %s" % str(e)[:200], "", False)]
    finally:
        signal.alarm(0)


def table(rows):
    lines = ["| | what | goal | keeptrackd | %s | met |" % Row.other, "|---|---|---|---|---|---|"]
    for r in rows:
        lines.append("| %s | %s | %s | %s | %s | %s |" % (r.part, r.what.strip(), r.goal, r.ours, r.theirs,
                                                        {True: "yes", False: "NO", None: ""}[r.met]))
    return "\n".join(lines)


def percentile(values, p):
    """The smallest value that p % of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * p // 100) - 1))] if isinstance(p, int) else \
        ordered[min(len(ordered) - 1, max(0, int(-(-len(ordered) * p // 100)) - 1))]


def median(values):
    return statistics.median(values) if values else None


def cell(values, digits=1, unit=" ms"):
    """"median (max N, n)" of the samples, or a dash."""
    if not values:
        return "-"
    return "%.*f, max %.*f%s (n=%d)" % (digits, statistics.median(values), digits, max(values), unit, len(values))


def setting(name, value=None):
    """Reads or writes a setting of the first namespace that counts for all of them."""
    with open("/proc/sys/net/netfilter/%s" % name, "r" if value is None else "w", encoding="ascii") as f:
        return int(f.read()) if value is None else f.write(str(value))


class Settings:
    """Such settings for a while; each value is made of the one before, which is restored."""

    def __init__(self, **wanted):
        self.wanted, self.before = wanted, {}

    def __enter__(self):
        self.before = {name: setting(name) for name in self.wanted}
        for name, value in self.wanted.items():
            setting(name, value(self.before[name]))
        return self

    def __exit__(self, *_):
        for name, value in self.before.items():
            setting(name, value)


class Load:
    """Busy loops at nice 0, ended with the block and at the latest with this program."""

    def __init__(self, loops):
        self.loops, self.children = loops, []

    def __enter__(self):
        for _ in range(self.loops):
            self.children.append(subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "sh", "-c", "while :; do :; done"], stdin=subprocess.DEVNULL))
        return self

    def __exit__(self, *_):
        for child in self.children:
            child.kill()
            child.wait()


class Steal:
    """When the hypervisor took the processors away, from /proc/stat: nothing inside the machine can be on time then.

    The kernel tells it in hundredths of a second, so that single thefts below 10 ms may stay unseen.
    """

    EVERY_S = 0.05

    def __init__(self):
        self.samples, self.ending, self.thread = [], threading.Event(), threading.Thread(target=self._watch, daemon=True)

    @staticmethod
    def _ticks():
        with open("/proc/stat", encoding="ascii") as f:
            return int(f.readline().split()[8])

    def _watch(self):
        while True:
            self.samples.append((time.monotonic_ns(), self._ticks()))
            if self.ending.wait(self.EVERY_S):
                return

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()

    def stolen(self):
        """[(begin, end)] in ns of CLOCK_MONOTONIC: between two looks in which time was stolen. Ask after the block."""
        return [(a[0], b[0]) for a, b in zip(self.samples, self.samples[1:]) if b[1] > a[1]]

    def total_ms(self):
        return 10 * (self.samples[-1][1] - self.samples[0][1])


class Stalls:
    """When a thread of the highest priority, bound to its processor, woke up LIMIT_MS too late: a program of any priority
    could not have been on time there. Finer than Steal, and it sees what the hypervisor does not count."""

    LIMIT_MS = 10

    def __init__(self, build):
        self.program, self.windows = os.path.join(build, "labflow"), []

    def __enter__(self):
        self.child = subprocess.Popen([self.program, "stalls", str(self.LIMIT_MS)], stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_):
        self.child.terminate()
        out, _ = self.child.communicate()
        self.windows = sorted(tuple(map(int, line.split())) for line in out.splitlines())

    def longest_ms(self):
        return max(((end - begin) / 1e6 for begin, end in self.windows), default=0.0)


def outside(windows, begin, end):
    """Does [begin, end] touch none of the windows?"""
    return all(end < a or begin > b for a, b in windows)


def version_of(*argv):
    try:
        p = subprocess.run(argv, capture_output=True, text=True, timeout=5, check=False)
        return ((p.stdout + p.stderr).strip().split("\n") or [""])[0]
    except OSError:
        return "not installed"


def conditions(build):
    with open("/proc/meminfo", encoding="ascii") as f:
        memory = int(f.readline().split()[1]) // 1024
    cpu = ""
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as f:
        for line in f:
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
    return {"kernel": platform.release(), "cores": os.cpu_count(), "cpu": cpu, "memory_mb": memory,
            "load_average": os.getloadavg(), "keeptrackd": version_of(os.path.join(build, "keeptrackd"), "--version"),
            "keepalived": version_of("keepalived", "--version"), "time": time.strftime("%Y-%m-%d %H:%M:%S %Z")}


def arguments(name, doc, parts, stacks):
    usage, rest = doc.split("\n", 1)
    parser = argparse.ArgumentParser(prog="./dev bench " + name, usage=usage.removeprefix("usage "), epilog=rest,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few repetitions")
    parser.add_argument("--only", default=",".join(sorted(parts)), help="parts, for example a,c")
    if stacks:
        parser.add_argument("--stack", choices=[s.label for s in STACKS], help="measure this daemon alone")
    parser.add_argument("--json", metavar="FILE", help="all samples and the conditions")
    parser.add_argument("--build", default=os.path.join(TOP, "build"), help="folder with the programs")
    args = parser.parse_args()
    args.only = [p for p in args.only.replace(" ", "").split(",") if p]
    for p in args.only:
        if p not in parts:
            parser.error("there is no part %s" % p)
    return args


def run(name, doc, parts, other="keepalived", stacks=False, note=""):
    """A benchmark from its arguments to its table; the exit status: 1 when a goal was missed.

    doc: its text of usage, the first line as "usage (as root): ...". parts: {letter: (function, seconds it may take)}.
    other: the program in the second column, asked for its version. stacks: the parts measure the daemons that
    ctx.stacks lists, and --stack chooses one. note: what to know of the cells of the table.
    """
    args = arguments(name, doc, parts, stacks)
    if os.getuid() != 0:
        sys.exit("Network namespaces are needed: run it as root.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    Row.other = other
    before = conditions(args.build)
    if other not in before:
        before[other] = version_of(other, "--version")
    ctx = Context(args.build, args.quick, [s for s in STACKS if args.stack in (None, s.label)] if stacks else [])
    rows, seconds = [], {}
    for part in args.only:
        begin = time.monotonic()
        print("part %s: %s" % (part, parts[part][0].__module__), file=sys.stderr, flush=True)
        rows += run_part(part, parts, ctx)
        seconds[part] = round(time.monotonic() - begin, 1)
    after = os.getloadavg()
    print("%s; %s" % (before["keeptrackd"], before[other]))
    print("Linux %(kernel)s, %(cores)d cores (%(cpu)s), %(memory_mb)d MB, %(time)s; load average before "
          "%(load_average)s" % before, "after %s" % (after,))
    print("%s; %s%s\n" % ("quick" if args.quick else "full", ", ".join("%s %.0f s" % s for s in seconds.items()),
                          "; " + note if note else ""))
    print(table(rows))
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump({"conditions": dict(before, load_average_after=after), "quick": args.quick, "seconds": seconds,
                       "rows": [r.as_json() for r in rows]}, f, indent=1)
    return 1 if any(r.met is False for r in rows) else 0
