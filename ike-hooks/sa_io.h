/*
 * Purpose: inbound SAs with their keys out of the kernel and into it, exactly those of listed pairs of addresses; and the
 *          wake-up when the kernel's table has changed.
 * Owns:    a netlink socket during a call; struct sa_hint.
 * Thread:  sa_scan, sa_import, sa_remove: KERNEL (blocking netlink with bounded waits). struct sa_hint: CONTROL.
 * In:      pairs of virtual address and peer.   Out: copies in the caller's locked memory; counts.
 * Errors:  0, -errno, or ERR_TIMEOUT. -EPROTONOSUPPORT: this kernel has no XFRM.
 *
 * Keys pass through `room` only, which is locked memory of the caller's; the socket's own buffers are the kernel's.
 */
#ifndef KT_SA_IO_H
#define KT_SA_IO_H

#include <stdint.h>
#include "daemon/base/loop.h"
#include "daemon/base/mono.h"
#include "ike-hooks/sa_bridge.h"
#include "ike-hooks/sa_copy.h"
#include "ike-hooks/sa_wire.h"
#include "ike-hooks/xfrm_policy.h"

#define SA_SCAN_NS   (500 * NS_PER_MS) /* a whole call */
#define SA_ROOM_SIZE (64u * 1024u)     /* bytes of locked memory that a call works in */

struct sa_pair {
	struct addr vip, peer; /* peer.af 0: any */
};

struct sa_scan {
	/* in */
	const struct sa_pair *pairs; /* sorted by sa_pair_cmp */
	unsigned n_pairs;
	struct sa_bridges *bridges; /* judged by this listing; what ends is deleted. May be NULL. */
	const uint8_t *print_key;   /* SA_PRINT_KEY bytes */
	uint8_t *room;              /* SA_ROOM_SIZE */
	struct sa_copy *list;       /* locked, cap of them */
	uint16_t cap;
	/* out */
	uint16_t n;                /* copies, sorted by sa_cmp; our own bridges are not among them */
	uint32_t drops[SA_DROP_N]; /* SAs of the pairs that cannot be copied */
	uint32_t ended;            /* bridges that were deleted */
	bool repeat;               /* the table changed meanwhile: look again soon */
	int64_t took_ns;
};
int sa_pair_cmp(const void *a, const void *b);
int sa_scan(struct sa_scan *s);

struct sa_import {
	/* in */
	struct sa_copy *list; /* locked; the first ones first */
	uint16_t n;
	struct sa_bridges *bridges;
	uint8_t *room;
	/* out */
	uint16_t installed;
	uint16_t clashed; /* the SPI is in use here */
	uint16_t over;    /* nothing left of the lifetime, or too many copies */
	uint16_t failed;  /* refused by the kernel: last_error */
	int last_error;
	int64_t took_ns;
};
int sa_import(struct sa_import *im);

/* Deletes the bridges of one address. How many are gone, or as above. */
int sa_remove(struct sa_bridges *bridges, const struct addr *vip, uint8_t *room);

/* What inbound and forward policies ask for: at most cap, the number in n. 0 or as above. */
int sa_policies(struct xfrm_ask *asks, unsigned cap, unsigned *n, uint8_t *room);

/* Called on CONTROL when an SA was made, changed or removed in the kernel; only that is known, for the kernel is told to
 * cut its messages after the header: they hold keys. */
struct sa_hint;
struct sa_hint *sa_hint_new(struct loop *l, void (*changed)(void *arg), void *arg);
void sa_hint_free(struct sa_hint *h);

#endif
