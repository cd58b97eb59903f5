/*
 * Purpose: what app_sweep.c and show_sweep.c share: the queue of sweeps.
 * Owns:    nothing of its own.
 * Thread:  CONTROL.
 * In/Out:  structs.
 * Errors:  none.
 */
#ifndef KT_APP_SWEEP_INT_H
#define KT_APP_SWEEP_INT_H

#include "daemon/app_sweep.h"
#include "daemon/base/list.h"
#include "ike-hooks/xfrm_io.h"

#define DRY_WAITING_MAX 4   /* requests of the shell at a time */
#define DRY_LIST_MAX    256 /* rows of one address: made in one callback */

/* Somebody who is answered when the sweep is done. The name tells whether a reload came in between. */
struct waiter {
	uint16_t tunnel;
	struct epoch epoch;
	uint32_t seq;
	char name[IKE_NAME_MAX];
};

struct dry {
	bool used;
	uint64_t token;
	struct addr *vip; /* those to be looked at */
	unsigned n, next;
	json_t *rows;
	uint64_t kept, more, unread;
};

struct sweep {
	struct list node;
	struct xfrm_filter filter;
	struct waiter *waiter;
	unsigned n, cap;
	struct dry *dry; /* of a dry run: no waiters */
	struct xfrm_scan *scan;
	bool more; /* KERNEL's word: another slice is needed */
};

struct sweeps {
	struct list waiting;
	struct sweep *running;
	struct dry dry[DRY_WAITING_MAX];
	struct {
		uint64_t sweeps, shared, found, larval, deleted, gone, failed, unread, errors, slices;
		uint64_t ct_asked, ct_refused, ct_no_sync, ct_skipped;
	} count;
	struct sync_ct_counts ct_before; /* when the counters were cleared */
	int last_error;
	int64_t took_ns, max_ns; /* of the last sweep, of the longest */
};

struct sweep *sweep_new(struct app *a, const struct xfrm_filter *f);
/* Begins the next one when none runs. */
void sweep_run_next(struct app *a);
/* Which SAs a sweep of the whole address takes for this tunnel. */
struct xfrm_filter sweep_filter(const struct ike_tunnel_conf *c);
/* show_sweep.c: one address of a dry run was looked at. */
void sweep_dry_part(struct app *a, struct sweep *s, int rc);

#endif
