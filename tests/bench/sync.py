# Replication: keeptrackd and conntrackd measured in the same run, interleaved; the table of docs/measurements.md
"""usage (as root): ./dev bench sync [--quick] [--only a,b,..] [--json FILE]

  a  takeovers with 1k, 100k, 500k sessions   f  500k sessions into an empty peer
  b  churn as fast as the kernel makes it     g  latency at 10k events/s
  c  peer stopped for 3 s under load          h  TCP window scale across a takeover
  d  CPU                                      i  endurance at 60k events/s
  e  memory per session

About 35 minutes, with --quick 8. conntrackd runs in FTFW mode: with its external cache, whose entries a takeover commits,
and without ("no external cache"), where it writes into the standby's kernel at once. Tables are compared by a program
that shares no code with the daemon. Numbers are for comparing on one machine.
"""

import argparse
import json
import os
import signal
import sys
import time

from measure import Context, Row, TOP, conditions, run_part, table, version_of
from part_sync_bulk import part_e, part_f
from part_sync_load import part_b, part_c, part_d, part_g, part_i
from part_sync_takeover import part_a, part_h

# What each part may take at most, in seconds.
PARTS = {"a": (part_a, 600), "b": (part_b, 300), "c": (part_c, 180), "d": (part_d, 420), "e": (part_e, 240),
         "f": (part_f, 420), "g": (part_g, 180), "h": (part_h, 240), "i": (part_i, 700)}


def arguments():
    parser = argparse.ArgumentParser(prog="./dev bench sync", usage=__doc__.split("\n", 1)[0][7:],
                                     epilog=__doc__.split("\n", 1)[1],
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few repetitions")
    parser.add_argument("--only", default=",".join(sorted(PARTS)), help="parts, for example a,c")
    parser.add_argument("--json", metavar="FILE", help="all samples and the conditions")
    parser.add_argument("--build", default=os.path.join(TOP, "build"), help="folder with the programs")
    args = parser.parse_args()
    args.only = [p for p in args.only.replace(" ", "").split(",") if p]
    for p in args.only:
        if p not in PARTS:
            parser.error("there is no part %s" % p)
    return args


def main():
    args = arguments()
    if os.getuid() != 0:
        sys.exit("Network namespaces are needed: run it as root.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    Row.other = "conntrackd"
    before = dict(conditions(args.build), conntrackd=version_of("conntrackd", "--version"))
    ctx = Context(args.build, args.quick, [])
    rows, seconds = [], {}
    for name in args.only:
        begin = time.monotonic()
        print("part %s" % name, file=sys.stderr, flush=True)
        rows += run_part(name, PARTS, ctx)
        seconds[name] = round(time.monotonic() - begin, 1)
    after = os.getloadavg()
    print("%(keeptrackd)s; %(conntrackd)s" % before)
    print("Linux %(kernel)s, %(cores)d cores (%(cpu)s), %(memory_mb)d MB, %(time)s; load average before "
          "%(load_average)s" % before, "after %s" % (after,))
    print("%s; %s\n" % ("quick" if args.quick else "full", ", ".join("%s %.0f s" % s for s in seconds.items())))
    print(table(rows))
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump({"conditions": dict(before, load_average_after=after), "quick": args.quick, "seconds": seconds,
                       "rows": [r.as_json() for r in rows]}, f, indent=1)
    return 1 if any(r.met is False for r in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
