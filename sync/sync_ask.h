/*
 * Purpose: questions between the nodes about one session (ASK, ANSWER), and what an operator orders: resets of the
 *          records and a full comparison in both directions.
 * Owns:    the questions of a peer and to it, the state of the last order; parts of struct sync.
 * Thread:  SYNC only.
 * In:      a tuple, an order, records.   Out: facts, progress.
 * Errors:  a full list, a peer that is not connected, a switch under way: 0 or negative.
 *
 * A question names one session, and the answer speaks of no other. It costs a few reads of the kernel: a peer has
 * SYNC_ASKS_MAX open questions and SYNC_ASK_NS between them on the average; the others are not answered.
 */
#ifndef KT_SYNC_SYNC_ASK_H
#define KT_SYNC_SYNC_ASK_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/mono.h"
#include "sync/rec.h"
#include "sync/sess_tbl.h"

struct sync;
struct sync_peer;

#define SYNC_ASKS_MAX     8                 /* open questions to a peer, and of it */
#define SYNC_ASK_NS       (10 * NS_PER_MS)  /* per question of a peer, on the average */
#define SYNC_ASK_BURST_NS (200 * NS_PER_MS) /* and at once as many as fit into this */
#define SYNC_RESYNC_NS    NS_PER_SEC        /* between two full bulks that a peer asked for */

enum sync_ask_state {
	SYNC_ASK_NONE = 0, /* no such question (any more): the connection it was asked on has ended */
	SYNC_ASK_NEW,      /* to be sent, or to be answered by the driver */
	SYNC_ASK_SENT,     /* waits for the peer */
	SYNC_ASK_ANSWERED, /* facts are there */
};

struct sync_question {
	enum sync_ask_state state;
	uint32_t id; /* of the asking node */
	struct ct_tuple tuple;
	struct sync_facts facts;
};

struct sync_asks {
	struct sync_question ours[SYNC_ASKS_MAX], theirs[SYNC_ASKS_MAX];
	uint32_t last_id; /* of ours */
	mono_t next_at;   /* when the questions of this peer so far are paid for */
};

/* Our question to a peer: its number in *id. 0, -ENOTCONN or ERR_FULL. End it with sync_ask_end, whatever came of it. */
int sync_ask(struct sync *s, uint32_t node, const struct ct_tuple *tuple, uint32_t *id);
/* facts (may be NULL) is filled when the state is ANSWERED. */
enum sync_ask_state sync_ask_look(struct sync *s, uint32_t node, uint32_t id, struct sync_facts *facts);
void sync_ask_end(struct sync *s, uint32_t node, uint32_t id);
/* A peer's question that waits for us: who, and what. False: none. */
bool sync_asked(struct sync *s, uint32_t *node, uint32_t *id, struct ct_tuple *tuple);
void sync_answer(struct sync *s, uint32_t node, uint32_t id, const struct sync_facts *facts);

enum sync_order {
	SYNC_ORDER_INTERNAL = 0, /* judge own flows anew, read the kernel, tell all of it again */
	SYNC_ORDER_EXTERNAL, /* forget copies that are not in the kernel, try refused ones, ask for all of it again */
	SYNC_ORDER_RESYNC,   /* read the kernel, all of it again in both directions */
};

/* Full bulks beside those that a stream begins with. */
struct sync_again {
	bool out_due, in_due; /* one is to be sent; one is to be asked for */
	mono_t out_at;        /* not before */
	uint64_t n_out, n_in; /* full ones sent and received so far */
};

/* Progress of the newest order. */
struct sync_reset {
	bool walking, given; /* given: there was one since the start */
	enum sync_order order;
	struct sess_walk walk;
	mono_t begin, end; /* end: MONO_NEVER while it runs */
	uint64_t sweeps;   /* sweeps_done must pass this */
	uint8_t out, in;   /* peers, bit slot - 1, that still have to get, or to send, everything */
	uint64_t n_out[SESS_NODES], n_in[SESS_NODES];
	uint64_t forgotten, judged;
};

/* Gives the order. 0; ERR_STATE: a switch is under way, nothing was done. One that still runs is replaced. */
int sync_reset_give(struct sync *s, enum sync_order order, mono_t now);
/* Sets every counter of the core to zero. */
void sync_counters_clear(struct sync *s);

#endif
