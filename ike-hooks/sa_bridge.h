/*
 * Purpose: which SAs in the kernel are copies that we installed: what a sweep leaves alone, and when they go.
 * Owns:    nothing: the memory is the caller's. No keys here.
 * Thread:  KERNEL (pure): imports, listings and sweeps all run there, one after the other.
 * In:      installed copies, listings, the present instant.   Out: what has to be deleted.
 * Errors:  a full table: sa_bridge_add says false, and the copy must not be installed.
 *
 * A copy is a bridge to the SA that the new negotiation makes. It goes SA_AFTER_NS after a new SA from the same peer has
 * carried a packet, for some of the peer's packets may still be on their way; or after SA_BRIDGE_NS; or when its role does.
 */
#ifndef KT_SA_BRIDGE_H
#define KT_SA_BRIDGE_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/mono.h"
#include "ike-hooks/sa_copy.h"
#include "ike-hooks/xfrm_wire.h"

#define SA_AFTER_NS  (10 * NS_PER_SEC)
#define SA_BRIDGE_NS (60 * NS_PER_SEC)

struct sa_bridge {
	struct xfrm_sa sa;
	mono_t since, carried; /* carried: a new SA has; MONO_NEVER: not yet */
	bool ends;             /* is to be deleted now */
};

struct sa_bridges {
	struct sa_bridge *list;
	uint16_t n, cap;
	struct {
		uint64_t installed, carried, late, gone, taken_back;
	} count; /* ended because: the new SA carries, 60 s are over, somebody else removed it, the role went */
};

bool sa_bridge_add(struct sa_bridges *b, const struct sa_copy *sa, mono_t now);
/* This SA of the kernel is one of them. NULL b: none is. */
bool sa_bridge_holds(const struct sa_bridges *b, const struct xfrm_sa *sa);
bool sa_bridge_is(const struct sa_bridges *b, const struct sa_copy *sa);
/*
 * Judges them by a listing that is sorted by sa_cmp and complete for the addresses given; sets ends, forgets those that are
 * in the kernel no longer. How many end.
 */
unsigned sa_bridge_judge(struct sa_bridges *b, const struct sa_copy *listing, uint16_t n, const struct addr *vips,
			 unsigned n_vips, mono_t now);
/* Everything of this address ends. How many. */
unsigned sa_bridge_end(struct sa_bridges *b, const struct addr *vip);
/* Those that end were deleted: forgets them. */
void sa_bridge_ended(struct sa_bridges *b);

#endif
