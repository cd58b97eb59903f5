/*
 * What an event means in a state: the IKE daemon's answers, events and lists, and time. The role's and the operator's
 * wishes are in ike_role.c.
 */
#include "ike-hooks/ike_int.h"

static void ev_backend_up(struct ike_tunnel *t, mono_t now, struct ike_acts *o)
{
	if (t->backend || t->conf.backend == IKE_BACKEND_NONE) {
		t->count.ignored++;
		return;
	}
	t->backend = true;
	t->missing = 0;
	t->on_warm = t->conf.warm;
	/* It was stopped while the role went and came back: its children are those of before, their SAs are swept. */
	if (t->active && t->unpurged) {
		ike_begin_purge(t, o, IKE_SWEEP_PAIR, false, IKE_WHY_LEFTOVERS, now);
		return;
	}
	if (t->active) {
		ike_check_after(t, o, 0, IKE_WHY_BACKEND_BACK, now);
		return;
	}
	t->left_ike = true;
	t->left_warm = t->conf.warm;
	ike_begin_purge(t, o, IKE_SWEEP_VIP, false, IKE_WHY_BACKEND_BACK, now);
}

static void ev_backend_down(struct ike_tunnel *t, mono_t now, struct ike_acts *o)
{
	bool was_up = t->state == IKE_UP, terminating = t->state == IKE_PURGING && !t->sweeping;

	if (!t->backend) {
		t->count.ignored++;
		return;
	}
	t->backend = false;
	t->req = IKE_REQ_NONE;
	t->sa_id = 0;
	t->initiated = MONO_NEVER;
	ike_dpd_clear(t);
	if (was_up)
		ike_went_down(t, o, IKE_WHY_BACKEND_LOST);
	ike_change(t, o, IKE_ABSENT, IKE_WHY_BACKEND_LOST, now);
	ike_say_made(t, o, IKE_WHY_BACKEND_LOST);
	ike_say_closed(t, o, IKE_WHY_BACKEND_LOST);
	if (terminating && t->purge_asked)
		ike_purge_kernel(t, o, IKE_WHY_BACKEND_LOST, now);
}

/* The list said that there is no child; it has to say so twice, of each connection. */
static void check_missed(struct ike_tunnel *t, struct ike_acts *o, bool established, mono_t now)
{
	if (++t->missing < (t->conf.warm ? 4 : 2)) {
		t->on_warm = t->conf.warm && !t->on_warm;
		ike_check_after(t, o, IKE_SETTLE_NS / 2, t->why, now);
		return;
	}
	t->missing = 0;
	if (!t->conf.initiate)
		ike_change(t, o, IKE_WAITING, t->why, now);
	else if (established)
		ike_want_initiate(t, o, t->why, now);
	else
		ike_begin_purge(t, o, IKE_SWEEP_NONE, true, t->why, now);
}

static void initiate_answered(struct ike_tunnel *t, struct ike_acts *o, bool ok, mono_t now)
{
	if (!ok) {
		ike_attempt_failed(t, o, IKE_WHY_REFUSED, now);
		return;
	}
	if (t->state == IKE_INITIATING && t->conf.exec_timeout_ns)
		t->timer = mono_add(now, ike_soft_ns(t->fails)); /* the program had its time, now the peer has */
	if (t->make_asked)
		t->make_by = mono_add(now, IKE_MAKE_NS); /* the IKE daemon is at work: now it is the peer's turn */
}

static void ev_reply(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *o)
{
	if (t->keep.req != IKE_REQ_NONE && ev->req == t->keep.req && ev->seq == t->keep.seq) {
		ike_keep_reply(t, o, ev, now);
		return;
	}
	if (t->req == IKE_REQ_NONE || ev->req != t->req || ev->seq != t->req_seq ||
	    epoch_cmp(ev->epoch, t->req_epoch) != 0) {
		t->count.late++;
		return;
	}
	t->req = IKE_REQ_NONE;
	switch (ev->req) {
	case IKE_REQ_TERMINATE:
		ike_purge_answered(t, o, ev->ok ? IKE_WHY_PURGED : IKE_WHY_REFUSED, now);
		return;
	case IKE_REQ_INITIATE:
		initiate_answered(t, o, ev->ok, now);
		return;
	case IKE_REQ_LIST:
		if (t->state == IKE_CHECKING) /* an answer without a sample */
			check_missed(t, o, false, now);
		return;
	case IKE_REQ_CLOSE:
		if (!ev->ok)
			ike_say_closed(t, o, IKE_WHY_REFUSED);
		else if (t->conf.backend != IKE_BACKEND_VICI) /* programs tell no events: this one has told the peer */
			ike_say_closed(t, o, IKE_WHY_CLOSED);
		return;
	case IKE_REQ_REKEY: /* refused or not, child-rekey or its deadline decides */
	case IKE_REQ_NONE:
	case IKE_REQ_N:
		return;
	}
}

static void ev_swept(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *o)
{
	if (!t->sweeping || ev->seq != t->sweep_seq || epoch_cmp(ev->epoch, t->sweep_epoch) != 0) {
		t->count.late++;
		return;
	}
	t->sweeping = false;
	if (ev->ok && t->scope == IKE_SWEEP_VIP)
		t->left_kernel = false;
	ike_purge_done(t, o, ev->ok ? IKE_WHY_PURGED : IKE_WHY_REFUSED, now);
}

/* A child came up that the role does not want. */
static void unwanted_child(struct ike_tunnel *t, struct ike_acts *o, bool warm, mono_t now)
{
	t->left_ike = t->left_ike || !warm;
	t->left_warm = t->left_warm || warm;
	t->left_kernel = t->left_kernel || !warm;
	ike_unwanted(t, o, IKE_WHY_UNWANTED, now);
}

static void ev_child_up(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *o)
{
	switch (t->state) {
	case IKE_IDLE:
		unwanted_child(t, o, ev->warm, now);
		return;
	case IKE_PURGING:
		if (!t->active)
			unwanted_child(t, o, ev->warm, now);
		else
			t->count.ignored++;
		return;
	case IKE_UP:
		/* A second child of the same name (peer's own, or a collision): the newest carries the traffic. */
		if (ev->sa_id)
			t->sa_id = ev->sa_id;
		t->on_warm = ev->warm;
		t->left_ike = t->left_ike || !ev->warm;
		t->left_warm = t->left_warm || ev->warm;
		ike_dpd_clear(t);
		return;
	case IKE_CHECKING:
	case IKE_INITIATING:
	case IKE_FAILED:
	case IKE_WAITING:
	case IKE_QUEUED:
		t->on_warm = ev->warm;
		ike_became_up(t, o, ev->sa_id, IKE_WHY_CHILD_UP, now);
		return;
	case IKE_ABSENT:
	case IKE_CLOSING:
	case IKE_STATE_N:
		t->count.ignored++;
		return;
	}
}

static void ev_child_down(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *o)
{
	if (t->state != IKE_UP || ev->warm != t->on_warm || (ev->sa_id && t->sa_id && ev->sa_id != t->sa_id)) {
		t->count.ignored++; /* the purge's own doing, or an older child going away */
		return;
	}
	if (!ike_dpd_down(t, o, now))
		ike_child_lost(t, o, IKE_WHY_CHILD_DOWN, now);
}

static void ev_ike_updown(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *o)
{
	bool passive = !t->active && (t->state == IKE_IDLE || t->state == IKE_PURGING);

	if (passive && ev->warm) {
		ike_keep_updown(t, o, ev->up, now);
	} else if (ev->up && passive) {
		t->left_ike = t->left_kernel = true;
		ike_unwanted(t, o, IKE_WHY_UNWANTED, now);
	} else if (ev->warm != t->on_warm) {
		t->count.ignored++;
	} else if (ev->up && t->state == IKE_INITIATING && !t->ike_up) {
		/* Half of the way: the child follows within a round trip. */
		t->ike_up = true;
		t->timer = mono_max(t->timer, mono_add(now, ike_soft_ns(t->fails)));
	} else if (!ev->up && t->state == IKE_UP && t->req == IKE_REQ_NONE) {
		/* It may be an older IKE SA that was replaced: ask, the child's own event decides if it comes. */
		ike_request(t, o, IKE_ACT_LIST, IKE_REQ_LIST, now);
	} else if (!ev->up && t->state == IKE_CLOSING) {
		ike_say_closed(t, o, IKE_WHY_CLOSED);
	} else {
		t->count.ignored++;
	}
}

static void ev_child_rekey(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *o)
{
	if (t->state != IKE_UP || ev->warm != t->on_warm) {
		t->count.ignored++;
		return;
	}
	ike_dpd_rekeyed(t, o, ev->sa_id, now);
}

static void ev_sa_list(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *o)
{
	const struct ike_sample *s = &ev->sample;

	if (t->keep.req == IKE_REQ_LIST && ev->seq == t->keep.seq) {
		ike_keep_list(t, o, s, now);
		return;
	}
	if (t->req != IKE_REQ_LIST || ev->seq != t->req_seq || epoch_cmp(ev->epoch, t->req_epoch) != 0) {
		t->count.late++;
		return;
	}
	t->req = IKE_REQ_NONE;
	if (t->state == IKE_CHECKING) {
		if (s->child)
			ike_became_up(t, o, s->sa_id, IKE_WHY_CHILD_FOUND, now);
		else
			check_missed(t, o, s->established, now);
		return;
	}
	if (t->state == IKE_UP && ike_stale_sample(t, o, s, now))
		return;
	if (!s->child) {
		if (++t->missing >= IKE_MISSING_MAX)
			ike_child_lost(t, o, IKE_WHY_CHILD_GONE, now);
		return;
	}
	t->missing = 0;
	t->sa_id = s->sa_id;
	if (t->conf.dpd.enabled)
		ike_dpd_sample(t, o, s, now);
	if (t->state == IKE_UP)
		ike_verify_sample(t, o, s, now);
}

/* The state's own timer. */
static void timer_due(struct ike_tunnel *t, mono_t now, struct ike_acts *o)
{
	t->timer = MONO_NEVER;
	switch (t->state) {
	case IKE_IDLE:
		if (t->unwanted)
			ike_begin_purge(t, o, IKE_SWEEP_VIP, false, IKE_WHY_UNWANTED, now);
		return;
	case IKE_CHECKING:
		ike_request(t, o, IKE_ACT_LIST, IKE_REQ_LIST, now);
		return;
	case IKE_INITIATING:
		ike_attempt_failed(t, o, IKE_WHY_DEADLINE, now);
		return;
	case IKE_UP:
		t->timer = mono_add(now, ike_dpd_period(t));
		if (t->req == IKE_REQ_NONE)
			ike_request(t, o, IKE_ACT_LIST, IKE_REQ_LIST, now);
		return;
	case IKE_FAILED:
		if (t->making) /* the address is not ours yet */
			t->timer = mono_add(now, ike_backoff_ns(0));
		else
			ike_begin_purge(t, o, IKE_SWEEP_NONE, true, IKE_WHY_RETRY, now);
		return;
	case IKE_CLOSING:
		ike_check_after(t, o, 0, IKE_WHY_ROLE, now);
		return;
	case IKE_ABSENT:
	case IKE_PURGING:
	case IKE_WAITING:
	case IKE_QUEUED:
	case IKE_STATE_N:
		return;
	}
}

/* A request without any answer; the shell has its own, shorter limit, so this is the last resort. */
static void request_late(struct ike_tunnel *t, mono_t now, struct ike_acts *o)
{
	t->req = IKE_REQ_NONE;
	if (t->state == IKE_PURGING)
		ike_purge_answered(t, o, IKE_WHY_PURGE_LATE, now);
	else if (t->state == IKE_CHECKING)
		check_missed(t, o, false, now);
}

/* What others wait for. */
static bool promise_due(struct ike_tunnel *t, mono_t now, struct ike_acts *o)
{
	if (mono_due(t->flight_by, now)) {
		t->flying = false;
		t->flight_by = MONO_NEVER;
	} else if (mono_due(t->make_by, now)) {
		ike_say_made(t, o, IKE_WHY_DEADLINE);
	} else if (mono_due(t->close_by, now)) {
		ike_say_closed(t, o, IKE_WHY_CLOSE_LATE);
	} else {
		return false;
	}
	return true;
}

static void ev_tick(struct ike_tunnel *t, mono_t now, struct ike_acts *o)
{
	if (promise_due(t, now, o)) {
		return;
	} else if (t->sweeping && mono_due(t->sweep_by, now)) {
		t->sweeping = false;
		ike_purge_done(t, o, IKE_WHY_PURGE_LATE, now);
	} else if (t->req != IKE_REQ_NONE && mono_due(t->req_by, now)) {
		request_late(t, now, o);
	} else if (t->dpd.rekeying && mono_due(t->dpd.rekey_by, now)) {
		ike_dpd_late(t, o, now);
	} else if (mono_due(t->verify_by, now)) {
		ike_verify_late(t, o, now);
	} else if (mono_due(t->timer, now)) {
		timer_due(t, now, o);
	} else {
		ike_keep_tick(t, o, now);
	}
}

static void ev_grant(struct ike_tunnel *t, mono_t now, struct ike_acts *o)
{
	if (t->state == IKE_QUEUED)
		ike_send_initiate(t, o, now);
	else if (t->keep.state == IKE_KEEP_WANT)
		ike_keep_grant(t, o, now);
	else
		t->count.ignored++;
}

void ike_step(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *out)
{
	out->n = 0;
	switch (ev->kind) {
	case IKE_EV_PURGE:
		ike_ev_purge(t, ev, now, out);
		return;
	case IKE_EV_INITIATE:
		ike_ev_initiate(t, ev, now, out);
		return;
	case IKE_EV_BACKEND_UP:
		ev_backend_up(t, now, out);
		return;
	case IKE_EV_BACKEND_DOWN:
		ev_backend_down(t, now, out);
		return;
	case IKE_EV_REPLY:
		ev_reply(t, ev, now, out);
		return;
	case IKE_EV_SWEPT:
		ev_swept(t, ev, now, out);
		return;
	case IKE_EV_CHILD_UPDOWN:
		if (ev->up)
			ev_child_up(t, ev, now, out);
		else
			ev_child_down(t, ev, now, out);
		return;
	case IKE_EV_IKE_UPDOWN:
		ev_ike_updown(t, ev, now, out);
		return;
	case IKE_EV_CHILD_REKEY:
		ev_child_rekey(t, ev, now, out);
		return;
	case IKE_EV_SA_LIST:
		ev_sa_list(t, ev, now, out);
		return;
	case IKE_EV_TICK:
		ev_tick(t, now, out);
		return;
	case IKE_EV_GRANT:
		ev_grant(t, now, out);
		return;
	case IKE_EV_RESET:
		ike_ev_reset(t, ev, now, out);
		return;
	case IKE_EV_MOVED:
		ike_ev_moved(t, ev, now, out);
		return;
	case IKE_EV_VERIFY:
		ike_verify(t, out, now);
		return;
	case IKE_EV_CLOSE:
		ike_ev_close(t, ev, now, out);
		return;
	case IKE_EV_MAKE:
		ike_ev_make(t, ev, now, out);
		return;
	case IKE_EV_STALE_PEER:
		ike_stale(t, out, ev, now);
		return;
	case IKE_EV_N:
		t->count.ignored++;
		return;
	}
}
