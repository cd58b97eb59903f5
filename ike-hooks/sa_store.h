/*
 * Purpose: the copies of other nodes' inbound SAs that a standby holds, until a promotion installs them.
 * Owns:    nothing: the memory is the caller's, locked. Every entry that is let go is wiped first.
 * Thread:  CONTROL (pure).
 * In:      records of a node, lists of what it has, the present instant.
 * Out:     entries by virtual address, ids that are missing here.
 * Errors:  enum sa_drop, counted by the caller. When it is full a record is refused (SA_DROP_FULL); the next list asks for
 *          it again.
 *
 * Level, not edge: a list says all that the other node has for an address. What it does not name goes, what it names and
 * is not here is asked for. Without any list for SA_STALE_NS a copy goes as well: too many packets could be replayed to it.
 */
#ifndef KT_SA_STORE_H
#define KT_SA_STORE_H

#include <stdint.h>
#include "daemon/base/mono.h"
#include "ike-hooks/sa_wire.h"

#define SA_STALE_NS (60 * NS_PER_SEC)

struct sa_held {
	uint32_t node;
	mono_t expires; /* MONO_NEVER: no lifetime */
	mono_t told;    /* a list named it last */
	uint8_t policy; /* enum sa_policy, as it was looked at last */
	struct sa_copy sa;
};

struct sa_store {
	struct sa_held *held; /* cap of them, in the order of (node, id) by index */
	uint16_t *order;      /* cap; the first n are in use, the rest are free places */
	uint16_t n, cap;
	struct {
		uint64_t put, replaced, listed, unlisted, expired, stale;
	} count;
};

/* held and order: cap places each, zeroed. */
void sa_store_init(struct sa_store *s, struct sa_held *held, uint16_t *order, uint16_t cap);
/* Copies sa in. SA_OK, SA_DROP_LIFE or SA_DROP_FULL. An older record of the same id, or of the same SA, is replaced. */
enum sa_drop sa_store_put(struct sa_store *s, uint32_t node, const struct sa_copy *sa, mono_t now);
/* Carries a list in; ids that are missing go to want (which is emptied first). */
void sa_store_list(struct sa_store *s, uint32_t node, const struct sa_list *list, mono_t now, struct sa_want *want);
/* Lets go what is over. */
void sa_store_tick(struct sa_store *s, mono_t now);
/* Lets go what a node said: its process is another one. 0: everything. */
void sa_store_forget(struct sa_store *s, uint32_t node);
/* Lets go the copies of an address. */
void sa_store_forget_vip(struct sa_store *s, const struct addr *vip);
/* Notes what was found out about an entry's policy (enum sa_policy). */
void sa_store_policy(struct sa_store *s, uint32_t node, uint32_t id, uint8_t policy);
/* Lets go the at-th entry in order. */
void sa_store_drop(struct sa_store *s, uint16_t at);
/* The at-th entry in order; NULL behind the last one. */
const struct sa_held *sa_store_at(const struct sa_store *s, uint16_t at);
/* Seconds left of an entry's lifetime. */
uint32_t sa_store_left(const struct sa_held *h, mono_t now);

#endif
