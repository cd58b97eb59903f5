/*
 * Purpose: the cluster's one number for role changes: (counter, node id), compared in this order.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In/Out:  values. {0,0} is "none" and older than every other.
 * Errors:  none.
 */
#ifndef KT_BASE_EPOCH_H
#define KT_BASE_EPOCH_H

#include <stdbool.h>
#include <stdint.h>

struct epoch {
	uint64_t counter;
	uint32_t node;
};

static inline int epoch_cmp(struct epoch a, struct epoch b)
{
	if (a.counter != b.counter)
		return a.counter < b.counter ? -1 : 1;
	return a.node == b.node ? 0 : a.node < b.node ? -1 : 1;
}

static inline bool epoch_is_none(struct epoch e)
{
	return e.counter == 0;
}

static inline struct epoch epoch_max(struct epoch a, struct epoch b)
{
	return epoch_cmp(a, b) >= 0 ? a : b;
}

/* The next epoch of this node: above everything seen. */
static inline struct epoch epoch_next(struct epoch seen, uint32_t node)
{
	return (struct epoch){ seen.counter + 1, node };
}

#endif
