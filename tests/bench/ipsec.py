# IPsec: keeptrackd, keepalived with a swanctl script, and dead peer detection alone, interleaved; docs/measurements.md
"""usage (as root): ./dev bench ipsec [--quick] [--only a,b,..] [--json FILE]

  a  crash: outage after the address moved        e  what IPsec adds to a change of role
  b  planned switch                               f  our share: decision to request written
  c  the first stale packet of a peer             g  forged and legitimate packets
  d  200 tunnels                                  h  packets lost towards us, with the copy of inbound SAs

About 15 minutes, with --quick 5. The second column is keepalived with a notify script that runs swanctl --initiate; dead
peer detection alone has rows of its own. RTT is near 0, ESP in user space; part h runs in the virtual machine, whose
kernel has ESP, and counts packets only. Numbers are for comparing on one machine.
"""

import sys

from measure import run
from part_ipsec_outage import part_a, part_b, part_c
from part_ipsec_scale import part_d, part_e, part_f
from part_ipsec_watch import part_g, part_h

# What each part may take at most, in seconds.
PARTS = {"a": (part_a, 600), "b": (part_b, 300), "c": (part_c, 120), "d": (part_d, 180), "e": (part_e, 240),
         "f": (part_f, 120), "g": (part_g, 180), "h": (part_h, 300)}


if __name__ == "__main__":
    sys.exit(run("ipsec", __doc__, PARTS, other="keepalived", note="median, maximum and number of runs"))
