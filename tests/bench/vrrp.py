# VRRP: keeptrackd and keepalived measured in the same run, interleaved; the table of docs/measurements.md
"""usage (as root): ./dev bench vrrp [--quick] [--only a,b,..] [--stack keeptrackd|keepalived] [--json FILE]

  a  many addresses announced          f  CPU with 255 instances
  b  detection of a crash              g  4080 instances
  c  master loses its LAN interface    h  busy cores, stopped processes
  d  LEAVING during a bulk             i  others hold the kernel's routing lock
  e  death of the process

About 20 minutes, with --quick 5 to 8. Numbers are for comparing on one machine: both daemons take turns in the same run.
"""

import argparse
import json
import os
import signal
import sys
import time

from measure import Context, STACKS, TOP, conditions, run_part, table
from part_channel import part_c, part_d
from part_load import part_h
from part_scale import part_f, part_g
from part_takeover import part_a, part_b, part_e, part_i

# What each part may take at most, in seconds.
PARTS = {"a": (part_a, 420), "b": (part_b, 300), "c": (part_c, 480), "d": (part_d, 360), "e": (part_e, 420),
         "f": (part_f, 300), "g": (part_g, 240), "h": (part_h, 600), "i": (part_i, 300)}


def arguments():
    parser = argparse.ArgumentParser(prog="./dev bench vrrp", usage=__doc__.split("\n", 1)[0][7:],
                                     epilog=__doc__.split("\n", 1)[1],
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few repetitions")
    parser.add_argument("--only", default=",".join(sorted(PARTS)), help="parts, for example a,c")
    parser.add_argument("--stack", choices=[s.label for s in STACKS], help="measure this daemon alone")
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
    before = conditions(args.build)
    ctx = Context(args.build, args.quick, [s for s in STACKS if args.stack in (None, s.label)])
    rows, seconds = [], {}
    for name in args.only:
        begin = time.monotonic()
        print("part %s: %s" % (name, PARTS[name][0].__module__), file=sys.stderr, flush=True)
        rows += run_part(name, PARTS, ctx)
        seconds[name] = round(time.monotonic() - begin, 1)
    after = os.getloadavg()
    print("%(keeptrackd)s; %(keepalived)s" % before)
    print("Linux %(kernel)s, %(cores)d cores (%(cpu)s), %(memory_mb)d MB, %(time)s; load average before "
          "%(load_average)s" % before, "after %s" % (after,))
    print("%s; %s; median, maximum and number of runs\n"
          % ("quick" if args.quick else "full", ", ".join("%s %.0f s" % s for s in seconds.items())))
    print(table(rows))
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump({"conditions": dict(before, load_average_after=after), "quick": args.quick, "seconds": seconds,
                       "rows": [r.as_json() for r in rows]}, f, indent=1)
    return 1 if any(r.met is False for r in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
