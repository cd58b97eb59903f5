# Replication: keeptrackd and conntrackd measured in the same run, interleaved; the table of docs/measurements.md
"""usage (as root): ./dev bench sync [--quick] [--only a,b,..] [--json FILE]

  a  takeovers with 1k, 100k, 500k sessions   f  500k sessions into an empty peer
  b  churn as fast as the kernel makes it     g  latency at 10k events/s
  c  peer stopped for 3 s under load          h  TCP window scale across a takeover
  d  CPU                                      i  endurance at 60k events/s
  e  memory per session                       j  causes of difference at 100k: how long until equal

About 38 minutes, with --quick 9. conntrackd runs in FTFW mode: with its external cache, whose entries a takeover commits,
and without ("no external cache"), where it writes into the standby's kernel at once. Tables are compared by a program
that shares no code with the daemon. Numbers are for comparing on one machine.
"""

import sys

from measure import run
from part_sync_bulk import part_e, part_f
from part_sync_heal import part_j
from part_sync_load import part_b, part_c, part_d, part_g, part_i
from part_sync_takeover import part_a, part_h

# What each part may take at most, in seconds.
PARTS = {"a": (part_a, 600), "b": (part_b, 300), "c": (part_c, 180), "d": (part_d, 420), "e": (part_e, 240),
         "f": (part_f, 420), "g": (part_g, 180), "h": (part_h, 240), "i": (part_i, 700),
         "j": (part_j, 400)}


if __name__ == "__main__":
    sys.exit(run("sync", __doc__, PARTS, other="conntrackd"))
