/*
 * Purpose: what the active node knows about its inbound SAs and about who has which of them: the difference between two
 *          listings of the kernel, and what each standby lacks.
 * Owns:    nothing: the memory is the caller's; the copies in it are locked.
 * Thread:  CONTROL (pure).
 * In:      sorted listings.   Out: the next copy that a node lacks; lists.
 * Errors:  none.
 */
#ifndef KT_SA_SEND_H
#define KT_SA_SEND_H

#include <stdint.h>
#include "ike-hooks/sa_wire.h"

#define SA_SEND_PEERS 8

struct sa_sent {
	uint32_t id;
	uint8_t have; /* bit for each other node that was sent this copy */
};

struct sa_send {
	struct sa_copy *copies[2]; /* cap each; [now] is the last listing, sorted by sa_cmp, the other one is free */
	struct sa_sent *sent[2];
	struct sa_top *tops; /* cap: for building lists */
	unsigned now;
	uint16_t n, cap;
	uint16_t batch; /* how far the last sa_send_copies came */
	uint32_t last_id;
	struct {
		uint64_t listings, begun, ended, sent, lists;
	} count;
};

/* The place into which the next listing goes. */
struct sa_copy *sa_send_room(struct sa_send *s);
/* The room holds a sorted listing of n. What is in it as before keeps its id and is not sent again. The old one is wiped. */
void sa_send_take(struct sa_send *s, uint16_t n);
/* Wipes everything: nothing is served here any more. */
void sa_send_clear(struct sa_send *s);
/* This node has nothing. */
void sa_send_forget(struct sa_send *s, unsigned peer);
/* It asks for these. */
void sa_send_wanted(struct sa_send *s, unsigned peer, const struct sa_want *want);
/* As many copies as fit, behind a head that is there already, of those that this node lacks. How many; 0: it has all. */
unsigned sa_send_copies(struct sa_send *s, unsigned peer, struct wire_wr *w);
/* They were sent: this node has them, unless it says otherwise. */
void sa_send_sent(struct sa_send *s, unsigned peer);
bool sa_send_lacks(const struct sa_send *s, unsigned peer);
/*
 * The at-th list of an address (from 0): what the node has been sent. False: there are no more; every address has at least
 * one list, which says that there is nothing.
 */
bool sa_send_list(struct sa_send *s, const struct addr *vip, unsigned at, struct sa_list *out);

#endif
