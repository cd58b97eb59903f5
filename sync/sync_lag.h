/*
 * Purpose: how far a peer is behind: how long changes wait to be told, how long until it has stored them, when it last
 *          said that it has all.
 * Owns:    struct sync_lag, part of struct sync_peer.
 * Thread:  SYNC only.
 * In:      records pulled, told, acknowledged; time.   Out: durations.
 * Errors:  none.
 *
 * No record has a time stamp: a record of the dirty list is marked now and then (the newest one at that instant). When
 * the mark has been told, so has all that was older. The age of the oldest change that waits is thus known as "at most";
 * under steady load the bound is at most twice the truth.
 * Delay until stored: from the moment a change leaves the dirty set until the peer's ACK that covers it. The peer gathers
 * ACKs for up to SYNC_ACK_NS, so some tens of milliseconds say nothing about the line.
 */
#ifndef KT_SYNC_SYNC_LAG_H
#define KT_SYNC_SYNC_LAG_H

#include <stdint.h>
#include "daemon/base/hist.h"
#include "daemon/base/mono.h"

#define SYNC_LAG_RING    64
#define SYNC_LAG_STEP_NS NS_PER_MS /* shortest distance of two samples */

struct sync_lag {
	/* dirty list */
	uint32_t mark; /* record of the list, 0: none */
	mono_t mark_at;
	mono_t clear_at; /* all that waited at this instant is told */
	/* sent, not acknowledged yet; a full ring takes no further sample */
	struct {
		uint64_t seq;
		mono_t at;
	} ring[SYNC_LAG_RING];
	unsigned first, n;
	struct hist stored;
	/* the newest DIGEST sent; when the newest that was judged had been sent */
	uint64_t digest_seq;
	mono_t digest_at, judged_at;
};

struct sync;
struct sync_peer;

void sync_lag_up(struct sync_lag *l, mono_t now);
/* Before a record is pulled for this peer. */
void sync_lag_pull(const struct sync *s, struct sync_peer *p, mono_t now);
/* A record leaves the dirty list; prev: the one before it, 0: none. */
void sync_lag_unlist(struct sync *s, uint32_t id, uint32_t prev);
void sync_lag_sent(struct sync_lag *l, uint64_t seq, mono_t now);
void sync_lag_acked(struct sync_lag *l, uint64_t seq, mono_t now);
void sync_lag_digest(struct sync_lag *l, uint64_t seq, mono_t now);
void sync_lag_judged(struct sync_lag *l, uint64_t digest_seq);

/* The oldest change that waits for this peer is at most so old; 0: none waits. */
int64_t sync_lag_unsent_ns(const struct sync_peer *p, mono_t now);
/* The oldest sample that is not acknowledged; 0: none. */
int64_t sync_lag_unstored_ns(const struct sync_peer *p, mono_t now);

#endif
