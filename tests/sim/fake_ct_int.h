/*
 * Purpose: the parts of the conntrack table in memory among themselves: storage and reports (fake_ct.c), requests
 *          (fake_ct_change.c), packets (fake_ct_packet.c).
 * Owns:    struct fake_ct, its entries.
 * Thread:  one.
 * In/Out:  see fake_ct.h.
 * Errors:  memory that runs out ends the program.
 */
#ifndef KT_TESTS_FAKE_CT_INT_H
#define KT_TESTS_FAKE_CT_INT_H

#include "tests/sim/fake_ct.h"
#include "tests/sim/fake_ct_req.h"

enum { FAKE_CT_BUCKETS = 4096, ORIG = 0, REPLY = 1 };

struct ent {
	struct ent *next[2]; /* chains of the two tuples */
	struct ct_tuple tuple[2];
	struct ct_tuple master;
	uint32_t slot, id, status, mark;
	uint8_t tcp_state, tcp_flags[2], tcp_wscale[2];
	bool has_master, mute, masquerade, injected, fin[2];
	uint8_t masq_addr[16];
	char helper[16];
	mono_t expires, stream;
	uint64_t born; /* order of creation */
};

struct fake_ct {
	uint32_t max, crowd, count, next_id, n_slots, cap_slots, free_slot;
	struct ent **slots;
	struct ent *bucket[2][FAKE_CT_BUCKETS];
	mono_t now, next;
	uint64_t births;
	bool early_drop;
	uint32_t evicted;
	/* the one listener */
	bool new_update, destroy, overrun;
	uint32_t own;
	int events_mode;
	struct ct_event *queue;
	uint32_t q_cap, q_head, q_n;
	struct fake_ct_fault fault;
	struct fake_ct_stats stats;
	struct ct_tuple dropped[64];
	unsigned n_dropped;
};

/* As the kernel: one hash for both directions, so a tuple finds the entry whichever direction it is of. dir: which one,
 * may be NULL. */
struct ent *fct_find(const struct fake_ct *f, const struct ct_tuple *t, int *dir);
/* An entry that is not in the table yet; into the table; out of it, with its event, and freed. */
struct ent *fct_new(struct fake_ct *f);
void fct_link(struct fake_ct *f, struct ent *e);
void fct_destroy(struct fake_ct *f, struct ent *e, uint32_t portid);
/* Room for one more: early_drop() of nf_conntrack_core.c, with the worst luck: it always finds a victim. */
bool fct_make_room(struct fake_ct *f, const struct ct_tuple *t, bool request);
void fct_expire_at(struct fake_ct *f, struct ent *e, uint32_t seconds);
/* marked: the mark is told even if it is 0 (dumps, and changes by request). */
void fct_describe(const struct fake_ct *f, const struct ent *e, enum ct_event_type type, bool protoinfo, bool marked,
		  struct ct_entry *out);
/* An event for whoever listens. */
void fct_emit(struct fake_ct *f, const struct ent *e, enum ct_event_type type, uint32_t portid, bool protoinfo);
/* nf_nat_setup_info: changes the source or the destination of what leaves, and with it the reply tuple. Nothing to
 * change: only the DONE bit. */
void fct_nat_setup(struct ent *e, const struct fake_ct_manip *m, bool src);

#endif
