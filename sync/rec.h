/*
 * Purpose: a record of the data channel as a plain value: what the replication core hands out and takes in; sync_wire
 *          turns it into bytes and back.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In/Out:  host order except addresses. A field that a type does not use is zero.
 * Errors:  none here; the codec names what is wrong with bytes, the core counts what it refuses (enum sync_refusal).
 */
#ifndef KT_SYNC_REC_H
#define KT_SYNC_REC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "daemon/base/epoch.h"
#include "sync/ct.h"

#define SYNC_BUCKETS         4096                      /* digest buckets per owner */
#define SYNC_BUCKETS_PER_REC 32                        /* bucket values in one DIGEST_BUCKETS record */
#define SYNC_EPOCH_MAX       ((UINT64_C(1) << 40) - 1) /* highest role epoch counter that a table record can hold */
#define SYNC_CLAIM_MAX       ((UINT32_C(1) << 24) - 1) /* highest claim count that a table record can hold */

/*
 * Who a flow belongs to. Compared in this order: role epoch, claim count, node id; the higher one wins everywhere. All
 * zero is "nobody's" and lower than every other.
 */
struct flow_version {
	struct epoch epoch;
	uint32_t claim;
	uint32_t node; /* the owner */
};

/* Numbers are part of the wire format. */
enum sync_rec_type {
	SYNC_REC_SESSION = 1, /* version, handle, e: create or update */
	SYNC_REC_DELETE = 2,  /* version, handle, (e.orig): the flow ended */
	SYNC_REC_EXPIRED = 3, /* version, handle, (e.orig): its timer ran out at the owner; the peer may know better */
	SYNC_REC_CLAIM = 4,   /* version, handle, e: traffic was seen here, the flow is mine now */
	SYNC_REC_CURRENT = 5, /* version, handle, e: answer to a refused older version */
	SYNC_REC_WANT = 6,    /* full: e.orig, else handle (the addressee's own): my copy is gone, send it again */
	SYNC_REC_BULK_BEGIN = 7, /* mask: every session of mine in these buckets follows */
	SYNC_REC_BULK_END =
	    8, /* what was not named since BULK_BEGIN in its buckets is not there any more; knew, forgot */
	SYNC_REC_DIGEST = 9,          /* count, digest: over all sessions of mine as sent before this record */
	SYNC_REC_DIGEST_BUCKETS = 10, /* first, n, buckets: how the addressee's sessions look here, after a mismatch */
	SYNC_REC_ACK = 11,            /* ack_seq, refused, digest_seq, equal */
	SYNC_REC_FLOOR =
	    12, /* version: flows below it are version.node's; first record of every stream (may be zero) */
	SYNC_REC_REFUSED =
	    13,            /* full: e.orig, version, err: the kernel here refuses your session; err 0: not any more */
	SYNC_REC_ASK = 14, /* ask_id, e.orig (either direction, translated or not): what do you know of it? */
	SYNC_REC_ANSWER = 15,     /* ask_id, facts */
	SYNC_REC_RESYNC = 16,     /* send all that is yours again (a full bulk) */
	SYNC_REC_COUNTS_ASK = 17, /* somebody looks: how many sessions do you have, of which kind and why? */
	SYNC_REC_COUNTS = 18,     /* counts: one protocol of the answer */
};

/* What a node knows of one session: the answer to ASK, and its half of `explain session`. */
enum {
	SYNC_FACT_KERNEL = 1 << 0,   /* its kernel has it: status, left_s, tcp_state are the kernel's own */
	SYNC_FACT_TABLE = 1 << 1,    /* its session table has it: word, err, version, table_left_s */
	SYNC_FACT_TUPLES = 1 << 2,   /* orig and reply are known */
	SYNC_FACT_MINE = 1 << 3,     /* the flow is this node's */
	SYNC_FACT_UNREAD = 1 << 4,   /* the kernel could not be asked: kernel_err */
	SYNC_FACT_JUDGED = 1 << 5,   /* in the kernel only: word says what the policy makes of it */
	SYNC_FACT_LEASED = 1 << 6,   /* its timer is a lease that this node gave */
	SYNC_FACT_OFF = 1 << 7,      /* this node replicates nothing */
	SYNC_FACT_SERVES = 1 << 8,   /* this node is master of a group */
	SYNC_FACT_HELPER = 1 << 9,   /* it names a helper */
	SYNC_FACT_REFUSED = 1 << 10, /* its own kernel refuses it */
	SYNC_FACT_ALL = (1 << 11) - 1,
};

/* Why an address is no stranger's. */
enum sync_fact_addr {
	SYNC_ADDR_NONE = 0,
	SYNC_ADDR_OWN = 1,
	SYNC_ADDR_VIP = 2,
	SYNC_ADDR_LOOPBACK = 3,
	SYNC_ADDR_GROUP = 4, /* multicast or broadcast */
};

#define SYNC_FACT_WORD 24 /* bytes of a reason's word, with NUL */

struct sync_facts {
	uint32_t flags;
	struct ct_tuple orig, reply;
	uint16_t status;
	uint32_t left_s;
	uint8_t tcp_state;
	uint8_t kernel_err;
	char word[SYNC_FACT_WORD]; /* of enum sync_why: words outlive the numbers of an enum */
	uint8_t err;               /* errno of the refused injection */
	struct flow_version version;
	uint32_t table_left_s;
	uint32_t quiet_s;                  /* seconds since traffic was last seen, UINT32_MAX: never */
	uint16_t rule;                     /* entry of sync.ignore that leaves it out, from 1 on */
	uint8_t cause;                     /* enum sync_fact_addr: the address that made it local */
	uint8_t cause_l3;                  /* 4, 6, or 0: none */
	uint8_t cause_ip[16];              /* network order */
	uint32_t kernel_count, kernel_max; /* entries in its kernel's table; 0: not known */
};

/* How many sessions of one protocol share a reason. The word travels, not a number: versions may differ in reasons. */
#define SYNC_COUNT_ROWS 24
#define SYNC_COUNT_WORD 24
struct sync_count_row {
	uint32_t count;
	uint8_t disp; /* enum sync_disposition */
	bool absent;  /* on record, but neither in the kernel's table nor in the store */
	char word[SYNC_COUNT_WORD];
};

struct sync_count_set {
	uint8_t proto; /* enum sync_proto */
	uint8_t left;  /* sets of the same answer that follow */
	uint8_t n_rows;
	uint32_t age_ms;                /* of the figures when they left */
	uint32_t half_open, half_close; /* TCP */
	struct sync_count_row rows[SYNC_COUNT_ROWS];
};

struct sync_bucket {
	uint32_t count;
	uint64_t digest;
};

struct sync_rec {
	enum sync_rec_type type;
	uint32_t owner;     /* node id of the sender */
	struct epoch epoch; /* newest epoch the sender knew when the record left the dirty set */
	uint64_t seq;       /* of the sender's stream to this peer: 1, 2, 3 .. per connection */
	struct flow_version version;

	/*
	 * Sessions travel by handle after the first record of a connection. full: e holds both tuples (DELETE, EXPIRED,
	 * WANT: the original one) and, for SESSION, CLAIM, CURRENT, all that is known, master and helper too. Not full:
	 * only has/status/timeout_s/mark/tcp_* of e, and check says which tuple the sender means.
	 */
	uint32_t handle;
	uint32_t check;
	bool full;
	bool bulk; /* part of a bulk: the receiver may pace it */
	struct ct_entry e;

	/*
	 * REFUSED: errno of the kernel (sync_reject.h); EADDRNOTAVAIL: the flow is local to the sender of this record;
	 * EDQUOT: it waits in its store, above the high-water mark; ENFILE: there was no room for a record of it
	 */
	uint8_t err;
	/* DIGEST */
	uint64_t count, digest;
	/* ACK: everything up to ack_seq is stored, or refused (how many entries are so now); verdict on the last DIGEST
	 */
	uint64_t ack_seq;
	uint32_t refused;
	uint64_t digest_seq; /* seq of the judged DIGEST, 0: none yet */
	bool equal;
	/* BULK_END of all buckets: an earlier life of the addressee had all of the sender's sessions */
	bool knew;
	bool forgot; /* of what is not named, some did not end: it went with a role, an address or an interface */
	/* DIGEST_BUCKETS */
	uint16_t first, n;
	/* ASK, ANSWER: the asking node's own number */
	uint32_t ask_id;
	union {
		/* BULK_BEGIN: bit b of byte b / 8 = bucket b takes part */
		uint8_t mask[SYNC_BUCKETS / 8];
		/* DIGEST_BUCKETS */
		struct sync_bucket buckets[SYNC_BUCKETS_PER_REC];
		/* ANSWER */
		struct sync_facts facts;
		/* COUNTS */
		struct sync_count_set counts;
	};
};

/* The part behind `mask` is large, and few records have it: in those about a session it stays as it is. */
static inline void sync_rec_clear(struct sync_rec *r, enum sync_rec_type type)
{
	bool session = type == SYNC_REC_SESSION || type == SYNC_REC_CLAIM || type == SYNC_REC_CURRENT ||
		       type == SYNC_REC_DELETE || type == SYNC_REC_EXPIRED;

	memset(r, 0, session ? offsetof(struct sync_rec, mask) : sizeof(*r));
	r->type = type;
}

/* <0, 0, >0 */
static inline int flow_version_cmp(struct flow_version a, struct flow_version b)
{
	int c = epoch_cmp(a.epoch, b.epoch);

	if (c)
		return c;
	if (a.claim != b.claim)
		return a.claim < b.claim ? -1 : 1;
	return a.node == b.node ? 0 : a.node < b.node ? -1 : 1;
}

#endif
