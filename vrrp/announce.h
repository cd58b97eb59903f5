/*
 * Purpose: which announcement (gratuitous ARP, unsolicited neighbour advertisement) is due when. PURE.
 * Owns:    nothing; the per-instance part lies in the caller's array.
 * Thread:  CONTROL (pure).
 * In:      what happened to an instance, instants.   Out: one item after the other; a deadline.
 * Errors:  none; what could not be sent is given back with announce_again.
 *
 * A round is one announcement of each address of an instance. Rounds of a burst follow each other after
 * ANNOUNCE_GAP_NS. The first round of a takeover goes out address by address as the kernel acknowledges them; what
 * follows is decided here:
 *   takeover         garp_repeat - 1 rounds, and garp_repeat more after garp_delay
 *   while MASTER     garp_refresh_repeat rounds each garp_refresh
 *   lower router     garp_lower_repeat rounds when it is first heard as master, the same again when it has been silent
 *                    for three intervals (its own last announcement may have come after ours), and after
 *                    garp_lower_delay: the survivor of a split brain gets its traffic back by itself
 *   virtual MAC      one round on the base interface each garp_extra
 * Instances take turns address by address, so that one with thousands of them holds up nobody.
 */
#ifndef KT_VRRP_ANNOUNCE_H
#define KT_VRRP_ANNOUNCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/base/mono.h"
#include "daemon/base/timerq.h"
#include "vrrp/vrrp_conf.h"

#define ANNOUNCE_GAP_NS   (20 * NS_PER_MS) /* between two rounds of a burst */
#define ANNOUNCE_LOWER_NS (1 * NS_PER_SEC) /* a lower router that keeps talking starts no second burst within this */
#define ANNOUNCE_PACES    256

struct announce_inst {
	const struct vrrp_conf *conf;
	bool on;           /* MASTER with its addresses on the way up */
	bool extra;        /* the round under way is for the base of a virtual MAC */
	uint16_t rounds;   /* left in this burst, the one under way included */
	uint16_t next_vip; /* of the round under way */
	mono_t round_at;
	mono_t second_at, settle_at, lower_at, refresh_at, extra_at; /* bursts to come; MONO_NEVER: none */
	mono_t covered_until; /* acknowledgements until then belong to addresses that a whole round has announced */
	mono_t lower_quiet;   /* no new burst for a lower router before this */
	struct timerq_slot timer;
};

struct announce {
	char *base;
	size_t stride;
	uint16_t n;
	struct timerq due;
	struct {
		mono_t arp, na; /* earliest next announcement */
	} pace[ANNOUNCE_PACES]; /* by interface index; two that share a place share the pace */
	uint64_t bursts[5];     /* by enum announce_why */
};

enum announce_why {
	ANNOUNCE_TAKEN = 0,
	ANNOUNCE_SECOND,
	ANNOUNCE_REFRESH,
	ANNOUNCE_LOWER,
	ANNOUNCE_EXTRA,
};

struct announce_item {
	uint16_t inst, vip;
	bool extra; /* on the base interface, from the virtual MAC */
};

/* first: the part inside the first of n objects that lie stride bytes apart; conf is set in each. All of them rest. */
void announce_init(struct announce *a, struct announce_inst *first, size_t stride, uint16_t n);
/* The same array or another one with the states in it (reload): what runs goes on with the conf that is set now. */
void announce_rebuild(struct announce *a, struct announce_inst *first, size_t stride, uint16_t n, mono_t now);

/*
 * The kernel acknowledged an address of a MASTER: true when its announcement is to go out now; the rest of the burst
 * follows. False when a burst for all addresses speaks for this one as well: announce_all came before, or there is a pace.
 */
bool announce_added(struct announce *a, uint16_t inst, mono_t now);
/* All addresses are to be announced now: they were there already (adopted, or the role came back). */
void announce_all(struct announce *a, uint16_t inst, mono_t now);
/* A lower router was heard as master, or said that it was one. */
void announce_lower(struct announce *a, uint16_t inst, mono_t now);
/* No longer MASTER. */
void announce_end(struct announce *a, uint16_t inst);

/* The next announcement that is due; counts as sent unless it is given back. */
bool announce_next(struct announce *a, mono_t now, struct announce_item *out);
/* Not sent: again at this instant. Before the next announce_next. */
void announce_again(struct announce *a, const struct announce_item *it, mono_t at);
/* Earliest instant for an announcement of this family on this interface. */
mono_t announce_pace(const struct announce *a, int ifindex, uint8_t af);
/* One was sent; the next one at least gap_ns later. */
void announce_sent(struct announce *a, int ifindex, uint8_t af, int64_t gap_ns, mono_t now);
/* When announce_next has something; MONO_NEVER: nothing to do. */
mono_t announce_deadline(const struct announce *a);

#endif
