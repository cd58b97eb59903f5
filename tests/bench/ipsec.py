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

import functools
import sys

from measure import run, Settings
from part_ipsec_outage import part_a, part_b, part_c
from part_ipsec_scale import part_d, part_e, part_f
from part_ipsec_watch import part_g, part_h

# All namespaces share one table of sessions. A walk over one that is nearly empty is one piece of kernel time, 8 to 10 ms for
# the 262144 buckets of a large machine, in which no program runs on that processor, be it another router's or the sender
# of the echoes. This many are what a router with some ten thousand sessions has.
BUCKETS = 16384


def small_table(part):
    @functools.wraps(part)
    def measured(ctx):
        with Settings(nf_conntrack_buckets=lambda now: min(now, BUCKETS)):
            return part(ctx)
    return measured


# What each part may take at most, in seconds.
PARTS = {name: (small_table(part), seconds) for name, part, seconds in (
    ("a", part_a, 600), ("b", part_b, 300), ("c", part_c, 120), ("d", part_d, 180), ("e", part_e, 240), ("f", part_f, 120),
    ("g", part_g, 180), ("h", part_h, 300))}


if __name__ == "__main__":
    sys.exit(run("ipsec", __doc__, PARTS, other="keepalived", note="median, maximum and number of runs"))
