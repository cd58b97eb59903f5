# VRRP: keeptrackd and keepalived measured in the same run, interleaved; the table of docs/measurements.md
"""usage (as root): ./dev bench vrrp [--quick] [--only a,b,..] [--stack keeptrackd|keepalived] [--json FILE]

  a  many addresses announced          f  CPU with 255 instances
  b  detection of a crash              g  4080 instances
  c  master loses its LAN interface    h  busy cores, stopped processes
  d  LEAVING during a bulk             i  others hold the kernel's routing lock
  e  death of the process

About 20 minutes, with --quick 5 to 8. Numbers are for comparing on one machine: both daemons take turns in the same run.
"""

import sys

from measure import run
from part_channel import part_c, part_d
from part_load import part_h
from part_scale import part_f, part_g
from part_takeover import part_a, part_b, part_e, part_i

# What each part may take at most, in seconds.
PARTS = {"a": (part_a, 420), "b": (part_b, 300), "c": (part_c, 480), "d": (part_d, 360), "e": (part_e, 420),
         "f": (part_f, 300), "g": (part_g, 240), "h": (part_h, 600), "i": (part_i, 300)}


if __name__ == "__main__":
    sys.exit(run("vrrp", __doc__, PARTS, stacks=True, note="median, maximum and number of runs"))
