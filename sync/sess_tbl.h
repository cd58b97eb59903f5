/*
 * Purpose: the session table: one compact record per flow, found by its original tuple or by its 32-bit id.
 * Owns:    records (IPv4 and IPv6 in separate slabs), side records for rare attributes, the index.
 * Thread:  SYNC only (one at a time).
 * In/Out:  struct ct_entry on the outside; struct sess inside the core. Ids are 1..2^32-2, 0 is "none"; an id stays with
 *          its record until sess_del.
 * Errors:  sess_add returns NULL at the limit or without memory and counts it; the table is unchanged then.
 *
 * Bytes per session, index included: IPv4 <= 100, IPv6 <= 150 (asserted in check_sess_tbl).
 */
#ifndef KT_SYNC_SESS_TBL_H
#define KT_SYNC_SESS_TBL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/base/slab.h"
#include "daemon/base/tbl.h"
#include "sync/ct.h"
#include "sync/rec.h"

/* Nodes are kept as 4-bit slots, 1..SESS_NODES; 0 is "nobody". */
#define SESS_NODES 4

enum sess_flag {
	SESS_USED = 1 << 0,
	SESS_KERN = 1 << 1,     /* is in this node's kernel table, as far as known */
	SESS_LEASED = 1 << 2,   /* its kernel timer is a lease this node gave; expire_s says until when. Of what nobody
				   owns: an earlier life of this node gave it */
	SESS_FRESH = 1 << 3,    /* given since the last sweep passed: a dump read ahead may still show the old timer.
				   Of what nobody owns: a sweep saw it idle */
	SESS_SWEPT = 1 << 4,    /* parity of the sweep that saw it last */
	SESS_COUNTED = 1 << 5,  /* its digest is part of its owner's set */
	SESS_DEAD_DEL = 1 << 6, /* ended: to be told as DELETE */
	SESS_DEAD_EXP = 1 << 7, /* ran out: to be told as EXPIRED */
	SESS_CLAIM = 1 << 8,    /* to be told as CLAIM */
	SESS_CURRENT = 1 << 9,  /* to be told as CURRENT */
	SESS_WANT = 1 << 10,    /* to be asked for with WANT: the copy is lost */
	SESS_FOREIGN = 1 << 11, /* a peer has or had it: its end must be told */
	SESS_ASK = 1 << 12,     /* the owner says it expired; the kernel's answer decides */
	SESS_TCP = 1 << 13,     /* tcp state is known */
	SESS_WIN = 1 << 14,     /* tcp flags and scales are known */
	SESS_SEEN = 1 << 15,    /* named in the owner's running bulk */
	SESS_FLIP =
	    1 << 16, /* create said EEXIST, so update is tried: ENOENT then means that another flow is in the way */
	SESS_REPLACE = 1 << 17,  /* the kernel's entry has another NAT mapping: delete it first */
	SESS_REFUSED = 1 << 18,  /* counted among its owner's refused entries */
	SESS_ONLY_NEW = 1 << 19, /* may be created, an entry that exists must not be touched */
	SESS_TELL = 1 << 20,     /* the owner is to be told whether the kernel refuses it (REFUSED) */
	SESS_GONE = 1 << 21,     /* not there any more; only the injector still holds the record */
	SESS_OLD = 1 << 22,      /* LEASED before it became another node's by a floor: see sync_lease_is_old */
};

/* Which list the queue links belong to. */
enum sess_list {
	SESS_LIST_NONE = 0,
	SESS_LIST_DIRTY,
	SESS_LIST_EXPIRY,
	SESS_LIST_YOUNG, /* not told before it is old enough; one list per protocol of the configuration */
	SESS_LIST_STORE, /* a copy that waits outside of the kernel; one list per class */
};

/* What the injector should do next for a session, and what it is doing. */
enum sess_op { SESS_OP_NONE = 0, SESS_OP_STRICT, SESS_OP_RENEW, SESS_OP_GET, SESS_OP_PUT, SESS_OP_DELETE };

enum sess_queue { SESS_QUEUE_NONE = 0, SESS_QUEUE_LIVE, SESS_QUEUE_BULK, SESS_QUEUE_RENEW };
#define SESS_QUEUES 4

/* Common part of a record; addresses follow (16 bytes for IPv4, 64 for IPv6). First word: free list of the slab. */
struct sess {
	uint32_t q_next, q_prev; /* the list that it is in */
	uint32_t op_next;        /* injector queue */
	uint32_t side;           /* side record or 0 */
	uint32_t epoch_lo;
	uint32_t epoch_hi : 8, claim : 24;
	uint32_t mark;
	uint32_t expire_s;   /* seconds of the table's clock at which the kernel's entry should end; in the expiry list:
				when it ended */
	uint32_t evidence_s; /* when traffic was last seen here, 0: never; in the list of the young: its birth */
	uint16_t sport[2], dport[2]; /* original, reply */
	uint32_t flags : 23;         /* enum sess_flag */
	uint32_t list : 3;           /* enum sess_list */
	uint32_t want : 3, fly : 3;  /* enum sess_op: still to be done; in flight */
	uint16_t zone;
	uint16_t status;
	uint8_t l4;
	uint8_t epoch_node : 3, node : 3; /* slots */
	uint8_t queue : 2;                /* enum sess_queue: waits there, or was taken from there and is in flight */
	uint8_t tcp_state : 4, dirty : 4; /* dirty: bit slot-1 = still to be told to that node; in the
					     store: enum sync_class */
	uint8_t tcp_flags;                /* original in the low, reply in the high four bits */
	uint8_t tcp_scale;
	uint8_t told;      /* two bits per slot: stream generation in which that node learnt the handle, 0 never */
	uint8_t why : 7;   /* enum sync_why: reason why it is not replicated, or SYNC_WHY_NONE */
	uint8_t found : 1; /* a sweep found it; counted so when the next one sees it and no event has come */
	uint8_t err;       /* errno of the last failed injection */
};

struct sess4 {
	struct sess c;
	uint8_t addr[4][4]; /* original src, dst, reply src, dst */
};

struct sess6 {
	struct sess c;
	uint8_t addr[4][16];
};

/* What few entries have (CT_HAS_RARE). */
struct sess_side {
	char helper[16];
	struct ct_tuple master;
	uint32_t has;
	bool other_zone; /* the reply direction is in another zone than the original one */
	uint16_t reply_zone;
	uint32_t sctp_vtag[2];
	uint8_t sctp_state;
	uint8_t labels[CT_LABELS_LEN];
	struct ct_seqadj seqadj[2];
	struct ct_synproxy synproxy;
};

_Static_assert(SESS_NODES < 8, "slots fit three bits");
/* Behind the addresses, with sync.accounting only: by how much this kernel's counters are short of the flow's. */
struct sess_acct {
	uint32_t bytes_lo, packets_lo;
	uint32_t bytes_hi : 24, packets_hi : 7;
	uint32_t fresh : 1; /* the owner's total: this kernel's part is not taken off yet */
	uint32_t start;     /* 0: not known */
};

_Static_assert(sizeof(struct sess_acct) == 16, "what accounting costs");
_Static_assert(sizeof(struct sess4) <= 76, "IPv4 record");
_Static_assert(sizeof(struct sess6) <= 124, "IPv6 record");

struct sess_tbl {
	struct tbl idx;
	struct slab v4, v6, side;
	uint32_t nodes[SESS_NODES]; /* node ids by slot - 1, 0: free */
	uint32_t limit;
	uint64_t full; /* refused additions */
	bool acct;
};

/* Resumable walk over all records; survives additions and removals between calls. */
struct sess_walk {
	uint32_t pos;
	bool v6, active;
};

/* limit in records of both families together. key: 16 bytes of the index hash. 0 or -ENOMEM. */
int sess_tbl_init(struct sess_tbl *t, uint32_t limit, const uint8_t *key);
/* Room for counters in every record; before the first one is added. */
void sess_tbl_account(struct sess_tbl *t);
/* NULL without them. */
struct sess_acct *sess_acct(const struct sess_tbl *t, uint32_t id);
void sess_tbl_free(struct sess_tbl *t);
uint32_t sess_count(const struct sess_tbl *t);
size_t sess_bytes(const struct sess_tbl *t);

/* Slot of a node id, 0 if it has none. sess_node_add gives it one: 0 when all are taken or id is 0. */
unsigned sess_node_slot(const struct sess_tbl *t, uint32_t node);
unsigned sess_node_add(struct sess_tbl *t, uint32_t node);
/* Node id of a slot; 0 for 0. */
uint32_t sess_node_id(const struct sess_tbl *t, unsigned slot);

/* NULL: not known. *id may be NULL. */
struct sess *sess_find(const struct sess_tbl *t, const struct ct_tuple *orig, uint32_t *id);
/* Adds without looking: the caller has searched. Reply is the zero tuple. */
struct sess *sess_add(struct sess_tbl *t, const struct ct_tuple *orig, uint32_t *id);
/* The record must be in no list and no queue. */
void sess_del(struct sess_tbl *t, uint32_t id);
static inline bool sess_is_v6(uint32_t id)
{
	return id >> 31;
}
/* NULL when there is no such record; any 32-bit number is allowed (ids come from the wire). */
static inline struct sess *sess_at(const struct sess_tbl *t, uint32_t id)
{
	const struct slab *sl = sess_is_v6(id) ? &t->v6 : &t->v4;
	uint32_t h = id & UINT32_C(0x7fffffff);

	if (h == 0 || h > sl->carved)
		return NULL;
	struct sess *x = (struct sess *)slab_at(sl, h);
	return x->flags & SESS_USED ? x : NULL;
}

void sess_orig(const struct sess_tbl *t, uint32_t id, struct ct_tuple *out);
void sess_reply(const struct sess_tbl *t, uint32_t id, struct ct_tuple *out);
/* False: no memory for a zone of its own; nothing is changed. */
bool sess_set_reply(struct sess_tbl *t, uint32_t id, const struct ct_tuple *reply);
/* The stored flow version, and setting it. False: a part is out of range or the node has no slot; nothing is changed.
 */
struct flow_version sess_version(const struct sess_tbl *t, const struct sess *x);
bool sess_set_version(struct sess_tbl *t, struct sess *x, struct flow_version v);
/*
 * Takes over the rare parts that e has. *changed becomes true when one of them is new or other than before, else it is
 * left alone. False: no memory. sess_side is NULL when there are none.
 */
bool sess_set_side(struct sess_tbl *t, struct sess *x, const struct ct_entry *e, bool *changed);
const struct sess_side *sess_side(const struct sess_tbl *t, const struct sess *x);
/* Everything stored as an entry (no timeout). */
void sess_entry(const struct sess_tbl *t, uint32_t id, struct ct_entry *out);

void sess_walk_start(struct sess_walk *w);
/* The next record; *budget counts slots looked at. 0 when the budget is used up, or at the end (then !w->active). */
uint32_t sess_walk_next(const struct sess_tbl *t, struct sess_walk *w, unsigned *budget);
/* True when the walk has already passed this record's place. */
bool sess_walk_passed(const struct sess_walk *w, uint32_t id);

#endif
