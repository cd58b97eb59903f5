/*
 * Purpose: the last things that happened to one tunnel.
 * Owns:    a ring of IKE_HIST_MAX entries, by value.
 * Thread:  any (pure).
 * In:      changes of state.   Out: entries, the newest first.
 * Errors:  none; the oldest entry gives way.
 */
#ifndef KT_IKE_HIST_H
#define KT_IKE_HIST_H

#include <stdint.h>
#include "daemon/base/epoch.h"
#include "ike-hooks/ike_fsm.h"

#define IKE_HIST_MAX 16

struct ike_hist_entry {
	int64_t wall_us;
	mono_t at;
	struct epoch epoch;
	uint8_t from, to; /* enum ike_state; equal: something was noticed, the state stayed */
	uint8_t why;      /* enum ike_reason */
};

struct ike_hist {
	uint64_t n; /* ever added */
	struct ike_hist_entry e[IKE_HIST_MAX];
};

void ike_hist_add(struct ike_hist *h, const struct ike_hist_entry *e);
/* Entry number i, 0 the newest; NULL when there is none. */
const struct ike_hist_entry *ike_hist_get(const struct ike_hist *h, unsigned i);

#endif
