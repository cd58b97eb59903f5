/* What the role, the operator and the watchers want of a tunnel. */
#include "daemon/base/mutant.h"
#include "ike-hooks/ike_int.h"

#define CLOSED_NS (1 * NS_PER_SEC) /* after a goodbye a PURGE follows; without one the role stayed here */

void ike_say_closed(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why)
{
	if (!t->close_asked)
		return;
	t->close_asked = false;
	t->close_by = MONO_NEVER;
	ike_emit(t, o, IKE_ACT_CLOSED, why)->epoch = t->close_epoch;
}

void ike_say_made(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why)
{
	if (!t->make_asked)
		return;
	t->make_asked = false;
	t->make_by = MONO_NEVER;
	ike_emit(t, o, IKE_ACT_MADE, why);
}

void ike_ev_purge(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *o)
{
	if (epoch_cmp(ev->epoch, t->epoch) < 0) {
		t->count.stale++;
		return;
	}
	t->epoch = t->purge_epoch = ev->epoch;
	if (t->state == IKE_UP)
		ike_went_down(t, o, IKE_WHY_ROLE);
	t->active = t->making = false;
	t->purge_asked = true;
	t->fails = 0;
	t->initiated = t->reset_at = MONO_NEVER;
	if (MUTANT(M_IKE_KEPT) && t->state == IKE_UP) {
		ike_purge_done(t, o, IKE_WHY_ROLE, now);
		return;
	}
	ike_begin_purge(t, o, IKE_SWEEP_VIP, false, IKE_WHY_ROLE, now);
}

/* Active, and the IKE daemon answers: what next? The VIP is ours, so a sweep may concern this tunnel only. */
static void go_active(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why, mono_t now)
{
	if (t->left_ike || t->left_warm)
		ike_begin_purge(t, o, IKE_SWEEP_PAIR, false, IKE_WHY_LEFTOVERS, now);
	else if (t->conf.initiate)
		ike_want_initiate(t, o, why, now);
	else
		ike_change(t, o, IKE_WAITING, why, now);
}

/* The role is there, and what MAKE began goes on as if it had been begun now. */
static void was_made(struct ike_tunnel *t, struct ike_acts *o)
{
	t->making = false;
	t->make_asked = false;
	t->make_by = MONO_NEVER;
	if (t->state != IKE_UP)
		return;
	t->count.made++;
	ike_emit(t, o, IKE_ACT_UP, IKE_WHY_CHILD_FOUND);
}

void ike_ev_initiate(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *o)
{
	int newer = epoch_cmp(ev->epoch, t->epoch);

	if (newer == 0 && t->making) {
		was_made(t, o);
		return;
	}
	if (newer < 0 || (newer == 0 && t->active)) {
		t->count.stale++;
		return;
	}
	t->epoch = ev->epoch;
	t->active = t->left_kernel = true;
	t->making = t->unwanted = false;
	t->fails = 0;
	switch (t->state) {
	case IKE_ABSENT:
	case IKE_PURGING:
		t->why = IKE_WHY_ROLE; /* goes on when the IKE daemon is back, or the purge is done */
		return;
	case IKE_UP:
		ike_emit(t, o, IKE_ACT_UP, IKE_WHY_CHILD_FOUND); /* the role was confirmed, not changed */
		return;
	case IKE_CHECKING:
	case IKE_CLOSING:
		ike_check_after(t, o, 0, IKE_WHY_ROLE, now);
		return;
	case IKE_QUEUED:
		return;
	case IKE_IDLE:
	case IKE_INITIATING:
	case IKE_FAILED:
	case IKE_WAITING:
	case IKE_STATE_N:
		go_active(t, o, IKE_WHY_ROLE, now);
		return;
	}
}

/* Without force the IKE daemon keeps the SA until the peer has answered, and says so by ike-updown. */
void ike_ev_close(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *o)
{
	t->close_asked = true;
	t->close_epoch = ev->epoch;
	if (t->state != IKE_UP || !t->backend) {
		ike_say_closed(t, o, IKE_WHY_NONE);
		return;
	}
	t->count.closes++;
	ike_went_down(t, o, IKE_WHY_ROLE);
	ike_change(t, o, IKE_CLOSING, IKE_WHY_ROLE, now);
	t->timer = mono_add(now, CLOSED_NS);
	t->close_by = mono_add(now, ev->wait_ns);
	ike_request(t, o, IKE_ACT_CLOSE, IKE_REQ_CLOSE, now);
}

/* The child comes up while the old master still serves: what is lost in between, nobody misses. */
void ike_ev_make(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *o)
{
	if (epoch_cmp(ev->epoch, t->epoch) <= 0 || t->active || !ike_is_warm(t) || !t->conf.initiate) {
		struct ike_act *a = ike_emit(t, o, IKE_ACT_MADE, IKE_WHY_NONE);
		a->epoch = ev->epoch;
		return;
	}
	t->epoch = ev->epoch;
	t->active = t->making = t->make_asked = true;
	t->fails = 0;
	t->make_by = mono_add(now, IKE_MAKE_ASK_NS);
	go_active(t, o, IKE_WHY_MAKE, now);
}

void ike_ev_reset(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *o)
{
	int64_t gap = ev->force ? 0 : IKE_WATCH_GAP_NS;

	switch (t->state) {
	case IKE_IDLE:
		if (ev->force)
			ike_begin_purge(t, o, IKE_SWEEP_VIP, true, ev->why, now);
		else
			t->count.ignored++;
		return;
	case IKE_CHECKING:
	case IKE_INITIATING:
	case IKE_QUEUED:
	case IKE_WAITING:
		/* Under way already, or the peer's to do. */
		if (ev->force)
			ike_reset(t, o, gap, ev->why, now);
		else
			t->count.ignored++;
		return;
	case IKE_FAILED: /* the peer is alive: no need to wait for the next attempt */
	case IKE_UP:
		ike_reset(t, o, gap, ev->why, now);
		return;
	case IKE_ABSENT:
	case IKE_PURGING:
	case IKE_CLOSING:
	case IKE_STATE_N:
		t->count.ignored++;
		return;
	}
}

void ike_ev_moved(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *o)
{
	if (ev->warm) {
		t->count.ignored++; /* the node's own addresses may change */
		return;
	}
	t->count.moved++;
	t->left_ike = t->left_kernel = true;
	if (!t->active)
		ike_unwanted(t, o, IKE_WHY_MOVED, now);
	else if (t->state == IKE_UP)
		ike_reset(t, o, IKE_WATCH_GAP_NS, IKE_WHY_MOVED, now);
}
