/*
 * Purpose: how many sessions there are per protocol and why they are replicated or not, here and at the peers, so that a
 *          difference between two nodes can be explained to the last session.
 * Owns:    struct sync_count, part of struct sync.
 * Thread:  SYNC only.
 * In:      sync_count_want when somebody looks; a peer's COUNTS_ASK and COUNTS.   Out: records, figures with their age.
 * Errors:  a peer that does not answer leaves its figures unknown or old; both are visible.
 *
 * Nothing is counted while nobody looks: the hot path pays nothing, and the reasons need no bookkeeping that could go
 * wrong. A look starts one walk in steps of a tick here and, by COUNTS_ASK, at each connected peer; the walks begin
 * within a message's time of each other. A peer that looks again at once gets the figures of the last walk, and their age.
 * Only births are counted as they happen (rates).
 */
#ifndef KT_SYNC_SYNC_COUNT_H
#define KT_SYNC_SYNC_COUNT_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/mono.h"
#include "sync/rec.h"
#include "sync/sess_tbl.h"
#include "sync/sync_conf.h"
#include "sync/sync_policy.h"

#define SYNC_COUNT_AGAIN_NS  (250 * NS_PER_MS)
#define SYNC_COUNT_SHARE     10               /* between two walks for peers pass so many times the duration of one */
#define SYNC_COUNT_WAIT_NS   (2 * NS_PER_SEC) /* for the peers' figures; then what is known is shown */

/* A reason of the figures alone: an own session of which the peer's daemon has no record, its table is full. */
#define SYNC_COUNT_NO_RECORD SYNC_WHY_N
#define SYNC_COUNT_N         (SYNC_WHY_N + 1)

/* Figures of this node. present: in the kernel's table, or in the store; absent: on record, but in neither. */
struct sync_counts {
	mono_t at; /* end of the walk; 0: never */
	uint32_t present[SYNC_PROTO_N][SYNC_COUNT_N], absent[SYNC_PROTO_N][SYNC_COUNT_N];
	uint32_t own[SYNC_PROTO_N], copies[SYNC_PROTO_N]; /* of the present ones */
	uint32_t half_open, half_close;                   /* TCP, of the present ones */
	uint32_t stored; /* of the present ones: in this node's store, not in its kernel */
};

/* Figures of a peer: at 0: never heard. */
struct sync_peer_counts {
	mono_t at; /* when its walk ended */
	struct sync_count_set set[SYNC_PROTO_N];
};

struct sync_count_peer {
	bool ask; /* COUNTS_ASK is to be sent */
	bool due; /* an answer is to be sent, set `next` first */
	unsigned next;
	mono_t heard;                    /* when its last complete answer came */
	struct sync_peer_counts in, got; /* being received; the last complete one */
};

struct sync_count {
	bool walking, again; /* again: a walk begins when this one is done */
	struct sess_walk walk;
	mono_t began, last_began;
	struct sync_counts work, last;
	struct sync_count_peer peer[SESS_NODES]; /* by slot - 1 */
	/* births: NEW events, in all and per second of the last whole interval */
	uint64_t born[SYNC_PROTO_N], born_before[SYNC_PROTO_N];
	uint32_t rate_milli[SYNC_PROTO_N];
	mono_t rate_at;
};

/* What one protocol's columns say. Signed: the peer may have more. */
struct sync_count_delta {
	int64_t local, peer, delta;
	int64_t explained;   /* by a reason at the node that has, or lacks, the session */
	int64_t unexplained; /* the rest: 0 when quiet */
};

struct sync;
struct sync_peer;

/* Of a reason in the figures, below SYNC_COUNT_N. */
enum sync_disposition sync_count_disp(unsigned why);
const char *sync_count_word(unsigned why);
const char *sync_count_text(unsigned why);

/* Somebody looks: figures not older than `now` are made here and asked for. */
void sync_count_want(struct sync *s, mono_t now);
/* Are the figures here, and those of every connected peer, from `since` or later? */
bool sync_count_done(const struct sync *s, mono_t since);
void sync_count_delta(const struct sync_counts *c, const struct sync_peer_counts *p, unsigned proto,
		      struct sync_count_delta *out);

/* All at once, for tests; and the same as a peer would get it. */
void sync_count_now(const struct sync *s, struct sync_counts *out);
void sync_count_sets(const struct sync_counts *c, struct sync_peer_counts *out);

/* For the core. */
void sync_count_init(struct sync_count *c, mono_t now);
void sync_count_born(struct sync_count *c, uint8_t l4);
void sync_count_step(struct sync *s, unsigned budget, mono_t now);
/* True: a record of *type is to be made with sync_count_fill. */
bool sync_count_due(const struct sync *s, const struct sync_peer *p, enum sync_rec_type *type);
void sync_count_fill(struct sync *s, struct sync_peer *p, struct sync_rec *rec, mono_t now);
void sync_count_on(struct sync *s, struct sync_peer *p, const struct sync_rec *rec, mono_t now);
void sync_count_peer_up(struct sync *s, struct sync_peer *p);

#endif
