/*
 * Purpose: planned switches that wait for SYNC: FLUSH and APPLY take more than one pass, and groups switch at the same
 *          time, each with a partner of its own. One list of each kind. PURE.
 * Owns:    struct sync_waits, inside whoever drives the core.
 * Thread:  SYNC only.
 * In:      the commands, and the end of the transaction that gave them.   Out: what is still to be answered, oldest first.
 * Errors:  a list that is full keeps what it has and counts the rest: those roles go on when the time of the step is
 *          over, and are degraded.
 */
#ifndef KT_SYNC_SYNC_WAIT_H
#define KT_SYNC_SYNC_WAIT_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/epoch.h"
#include "daemon/base/mono.h"

#define SYNC_WAITS_MAX 64

struct sync_wait {
	struct epoch epoch; /* of the transaction */
	uint32_t node;      /* its other end, 0: the only peer */
	uint64_t seq;       /* APPLY: up to this record */
	mono_t until;       /* APPLY: then it ends degraded; FLUSH: then unread events are not waited for any more */
};

struct sync_waits {
	struct sync_wait w[SYNC_WAITS_MAX];
	unsigned n;
	uint64_t full; /* found no room */
};

/* What the same transaction asked for before is replaced. */
void sync_wait_add(struct sync_waits *q, const struct sync_wait *w);
/* This one is answered; i < q->n. The others keep their order. */
struct sync_wait sync_wait_take(struct sync_waits *q, unsigned i);
/* The transaction is over: nobody waits for its answer any more. */
void sync_wait_end(struct sync_waits *q, struct epoch epoch);
/* The first instant that something is waited until; MONO_NEVER: nothing waits. */
mono_t sync_wait_until(const struct sync_waits *q);

#endif
