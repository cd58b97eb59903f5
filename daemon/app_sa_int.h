/*
 * Purpose: what the files of daemon/app_sa* share among themselves; nobody else includes it.
 * Owns:    nothing.
 * Thread:  CONTROL.
 * In/Out:  see app_sa.h.
 * Errors:  see app_sa.h.
 */
#ifndef KT_APP_SA_INT_H
#define KT_APP_SA_INT_H

#include "daemon/app_sa.h"
#include "ike-hooks/sa_io.h"
#include "ike-hooks/sa_seal.h"
#include "ike-hooks/sa_send.h"
#include "ike-hooks/sa_store.h"

/* A tunnel with sync_sa = "inbound". */
struct sa_listed {
	struct sa_pair pair; /* first: searched with sa_pair_cmp */
	uint16_t group;
	uint8_t priority;
};

struct sa_peer {
	uint32_t node;
	bool up, offered, told; /* told: in the log, that it takes no copies */
	bool lists;             /* its lists are due: the next is part `part` of address `vip` */
	unsigned vip, part;
	mono_t want_at; /* when it may be asked again for what is missing */
};

struct app_sa {
	struct app *app;
	int refused; /* why there is nothing here: -errno; 0: it works */
	struct sa_seal *seal;
	struct sa_send send;
	struct sa_store store;
	struct sa_bridges bridges; /* KERNEL's */
	uint8_t *room;             /* KERNEL's */
	uint8_t *plain;            /* locked, SA_PLAIN_MAX */
	struct sa_copy *scratch;   /* locked */
	struct sa_listed *listed;  /* sorted */
	unsigned n_listed;
	struct sa_peer peers[SA_SEND_PEERS];
	unsigned n_peers;
	struct addr *vips; /* that the last listing was about */
	unsigned n_vips;
	struct sa_hint *hint;
	struct loop_timer *timer, *pump;
	mono_t next_scan, next_policies;
	bool asking;                /* for policies */
	unsigned unfit, unfit_told; /* held copies whose packets would be dropped here */
	bool scanning, bridging;    /* bridging: copies of ours are in the kernel, or were at the last look */
	uint8_t print_key[SA_PRINT_KEY];
	uint64_t in_drops[SA_DROP_N];  /* records of others */
	uint32_t out_drops[SA_DROP_N]; /* own SAs, at the last listing */
	struct {
		uint64_t rx, tx, scans, scan_errors, imports, installed, clashed, over, failed, wants;
	} count;
	int last_error;
	uint16_t in_kernel; /* bridges at the last look */
	int64_t scan_ns, import_ns;
	struct sa_bridges ended; /* its counters at the last look */
	struct log_rate rate;
};

/* The listed tunnel of these two addresses, or NULL. */
const struct sa_listed *sa_listed_find(const struct app_sa *s, const struct addr *vip, const struct addr *peer);
/* This node serves the group: its copies would be its own SAs. */
bool sa_serves(const struct app *a, uint16_t group);
/* Tells the node core which groups have copies. */
void sa_tell_groups(struct app_sa *s);
struct sa_peer *sa_peer_of(struct app_sa *s, uint32_t node);
/* Sends what is due, as far as the channel takes it. */
void sa_pump(struct app_sa *s);
/* Looks, now and then, whether the policies here would let packets of the held copies through. */
void sa_policies_check(struct app_sa *s, mono_t now);
void sa_offer(struct app_sa *s, struct sa_peer *p);

#endif
