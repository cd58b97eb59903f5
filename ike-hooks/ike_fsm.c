/*
 * The rules, and the measurements behind them (strongSwan 5.9.8):
 * - initiate joins an IKE SA that is still connecting, whose retransmission may be 4 s away, and fails or hangs on a
 * stale one: so terminate with force comes first whenever something may exist.
 * - success of initiate with timeout -1 means "queued": only child-updown counts.
 * - a reply is matched by its sequence number, which is never reused; a role change abandons every request under way.
 */
#include "daemon/base/mutant.h"
#include "ike-hooks/ike_fsm.h"
#include "daemon/base/require.h"
#include "ike-hooks/ike_int.h"

static const char *const state_name[] = {
#define IKE_TEXT(name, text) [name] = text,
	IKE_STATE_TABLE(IKE_TEXT)
#undef IKE_TEXT
};
static const char *const reason_text[] = {
#define IKE_TEXT(name, text) [name] = text,
	IKE_REASON_TABLE(IKE_TEXT)
#undef IKE_TEXT
};
static const char *const req_name[] = { "none", "terminate", "initiate", "rekey", "list", "close" };

/* Pause after the n-th failed attempt in a row; the last one repeats. */
static const int64_t backoff_ns[] = { 500 * NS_PER_MS, 1 * NS_PER_SEC, 2 * NS_PER_SEC, 5 * NS_PER_SEC };
#define N_BACKOFF (sizeof(backoff_ns) / sizeof(backoff_ns[0]))

const char *ike_state_name(enum ike_state s)
{
	return (unsigned)s < IKE_STATE_N ? state_name[s] : "?";
}

const char *ike_reason_text(enum ike_reason r)
{
	return (unsigned)r < IKE_REASON_N ? reason_text[r] : "?";
}

const char *ike_req_name(enum ike_req r)
{
	return (unsigned)r < IKE_REQ_N ? req_name[r] : "?";
}

bool ike_needs_purge(const struct ike_tunnel *t)
{
	return (t->left_ike && t->conf.backend != IKE_BACKEND_NONE) || t->left_kernel || t->left_warm || t->unwanted;
}

struct ike_act *ike_emit(struct ike_tunnel *t, struct ike_acts *o, enum ike_act_kind kind, enum ike_reason why)
{
	require(o->n < IKE_ACTS_MAX);
	struct ike_act *a = &o->a[o->n++];
	*a = (struct ike_act){ .kind = kind, .epoch = t->epoch, .reason = why, .from = t->state, .to = t->state };
	return a;
}

void ike_note(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why)
{
	ike_emit(t, o, IKE_ACT_TRACE, why);
}

void ike_hook(struct ike_tunnel *t, struct ike_acts *o, enum hook_event ev, enum ike_reason why)
{
	ike_emit(t, o, IKE_ACT_HOOK, why)->hook = ev;
}

void ike_change(struct ike_tunnel *t, struct ike_acts *o, enum ike_state to, enum ike_reason why, mono_t now)
{
	t->why = why;
	t->timer = MONO_NEVER;
	t->flying = false;
	t->flight_by = t->verify_by = MONO_NEVER;
	t->verifying = false;
	if (t->state == to)
		return;
	struct ike_act *a = ike_emit(t, o, IKE_ACT_TRACE, why);
	a->to = to;
	t->state = to;
	t->since = now;
	if (to != IKE_IDLE)
		ike_keep_stop(t);
}

struct ike_act *ike_request(struct ike_tunnel *t, struct ike_acts *o, enum ike_act_kind kind, enum ike_req req,
			    mono_t now)
{
	t->req = req;
	t->req_seq = ++t->seq;
	t->req_epoch = t->epoch;
	t->req_by = mono_add(now, IKE_PURGE_NS + 2 * t->conf.exec_timeout_ns); /* one program may have to end first */
	struct ike_act *a = ike_emit(t, o, kind, t->why);
	a->seq = t->req_seq;
	a->warm = t->on_warm;
	return a;
}

void ike_init(struct ike_tunnel *t, const struct ike_tunnel_conf *conf, bool shares_peer, mono_t now)
{
	*t = (struct ike_tunnel){ .conf = *conf, .shares_peer = shares_peer, .since = now };
	t->left_ike = conf->backend != IKE_BACKEND_NONE;
	t->left_warm = conf->warm;
	t->left_kernel = true;
	t->timer = t->req_by = t->sweep_by = MONO_NEVER;
	t->flight_by = t->make_by = t->close_by = t->verify_by = MONO_NEVER;
	t->unknown.told_at = MONO_NEVER;
	t->initiated = t->purged_at = t->reset_at = MONO_NEVER;
	ike_keep_stop(t);
	ike_dpd_clear(t);
}

mono_t ike_deadline(const struct ike_tunnel *t)
{
	mono_t d = mono_min(t->timer, mono_min(t->flight_by, t->verify_by));

	d = mono_min(d, mono_min(t->make_by, t->close_by));
	d = mono_min(d, ike_keep_deadline(t));
	if (t->req != IKE_REQ_NONE)
		d = mono_min(d, t->req_by);
	if (t->sweeping)
		d = mono_min(d, t->sweep_by);
	if (t->dpd.rekeying)
		d = mono_min(d, t->dpd.rekey_by);
	return d;
}

int64_t ike_soft_ns(uint32_t fails)
{
	int64_t d = IKE_SOFT_NS;

	for (uint32_t i = 0; i < fails && d < IKE_SOFT_MAX_NS; i++)
		d *= 2;
	return d < IKE_SOFT_MAX_NS ? d : IKE_SOFT_MAX_NS;
}

int64_t ike_backoff_ns(uint32_t fails)
{
	return backoff_ns[fails < N_BACKOFF ? fails : N_BACKOFF - 1];
}

void ike_want_initiate(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why, mono_t now)
{
	ike_change(t, o, IKE_QUEUED, why, now);
}

/* Its turn. */
void ike_send_initiate(struct ike_tunnel *t, struct ike_acts *o, mono_t now)
{
	int64_t soft = ike_soft_ns(t->fails);

	t->on_warm = ike_next_warm(t);
	/* From here on the IKE daemon and the kernel may hold something, whatever the answers will be. */
	t->left_ike = t->left_ike || !t->on_warm;
	t->left_warm = t->left_warm || t->on_warm;
	t->left_kernel = true;
	t->ike_up = false;
	ike_change(t, o, IKE_INITIATING, IKE_WHY_TURN, now);
	t->flying = true;
	if (soft + 2 * t->conf.exec_timeout_ns > IKE_FLIGHT_NS)
		t->flight_by = mono_add(now, IKE_FLIGHT_NS);
	t->initiated = now;
	t->timer = mono_add(now, soft + 2 * t->conf.exec_timeout_ns);
	t->count.initiates++;
	ike_request(t, o, IKE_ACT_INITIATE, IKE_REQ_INITIATE, now)->child = true;
}

void ike_purge_done(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why, mono_t now)
{
	t->purged_at = now;
	if (t->purge_asked) {
		struct ike_act *a = ike_emit(t, o, IKE_ACT_PURGED, why);
		a->epoch = t->purge_epoch;
		a->leftovers = ike_needs_purge(t);
		t->purge_asked = false;
	}
	if (t->state != IKE_PURGING)
		return; /* the IKE daemon is away, or came back meanwhile and is being asked */
	if (t->active && t->conf.initiate) {
		ike_want_initiate(t, o, why, now);
	} else if (t->active) {
		ike_change(t, o, IKE_WAITING, why, now);
	} else {
		ike_change(t, o, IKE_IDLE, why, now);
		t->unwanted = t->unwanted || ike_needs_purge(t);
		if (t->unwanted)
			t->timer = mono_add(now, IKE_REPURGE_NS);
		else
			ike_keep_start(t, o, now);
	}
}

/* IKE daemon first, sweep second: it would keep a child as installed whose SA vanished behind its back. */
void ike_purge_kernel(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why, mono_t now)
{
	if (t->scope == IKE_SWEEP_NONE || (t->scope == IKE_SWEEP_PAIR && (t->shares_peer || !t->conf.peer.af))) {
		ike_purge_done(t, o, why, now);
		return;
	}
	t->sweeping = true;
	t->sweep_seq = ++t->seq;
	t->sweep_epoch = t->epoch;
	t->sweep_by = mono_add(now, IKE_PURGE_NS);
	struct ike_act *a = ike_emit(t, o, IKE_ACT_SWEEP, why);
	a->seq = t->sweep_seq;
	a->vip = t->conf.vip;
	if (t->scope == IKE_SWEEP_PAIR)
		a->peer = t->conf.peer;
}

/* The connection of the VIP first, then the warm one, of which a backup keeps the IKE SA. */
void ike_purge_answered(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why, mono_t now)
{
	bool ok = why == IKE_WHY_PURGED;

	if (ok && t->on_warm)
		t->left_warm = false;
	else if (ok)
		t->left_ike = t->unpurged = false;
	if (!t->purge_warm) {
		ike_purge_kernel(t, o, why, now);
		return;
	}
	t->purge_warm = false;
	t->on_warm = true;
	ike_request(t, o, IKE_ACT_TERMINATE, IKE_REQ_TERMINATE, now)->child = !t->purge_whole;
}

void ike_begin_purge(struct ike_tunnel *t, struct ike_acts *o, enum ike_sweep_scope scope, bool whole,
		     enum ike_reason why, mono_t now)
{
	t->scope = scope;
	t->unpurged = true;
	t->unwanted = false;
	t->sweeping = false;
	t->req = IKE_REQ_NONE;
	t->sa_id = 0;
	t->on_warm = false;
	t->purge_warm = t->conf.warm;
	t->purge_whole = whole;
	t->count.purges++;
	ike_dpd_clear(t);
	ike_say_made(t, o, why);
	ike_say_closed(t, o, why);
	if (!t->backend) {
		ike_change(t, o, IKE_ABSENT, why, now);
		ike_purge_kernel(t, o, why, now);
		return;
	}
	ike_change(t, o, IKE_PURGING, why, now);
	ike_request(t, o, IKE_ACT_TERMINATE, IKE_REQ_TERMINATE, now);
}

void ike_check_after(struct ike_tunnel *t, struct ike_acts *o, int64_t delay_ns, enum ike_reason why, mono_t now)
{
	ike_change(t, o, IKE_CHECKING, why, now);
	t->req = IKE_REQ_NONE;
	if (delay_ns == 0)
		ike_request(t, o, IKE_ACT_LIST, IKE_REQ_LIST, now);
	else
		t->timer = mono_add(now, delay_ns);
}

void ike_went_down(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why)
{
	t->count.downs++;
	ike_emit(t, o, IKE_ACT_DOWN, why);
	ike_hook(t, o, HOOK_TUNNEL_DOWN, why);
}

void ike_child_lost(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why, mono_t now)
{
	ike_went_down(t, o, why);
	t->missing = 0;
	t->sa_id = 0;
	ike_dpd_clear(t);
	ike_check_after(t, o, IKE_SETTLE_NS, why, now);
}

void ike_became_up(struct ike_tunnel *t, struct ike_acts *o, uint32_t sa_id, enum ike_reason why, mono_t now)
{
	int64_t took = why == IKE_WHY_CHILD_UP && !mono_is_never(t->initiated) ? mono_sub(now, t->initiated) : 0;

	t->left_ike = t->left_ike || !t->on_warm;
	t->left_warm = t->left_warm || t->on_warm;
	t->left_kernel = true;
	t->req = IKE_REQ_NONE;
	t->sa_id = sa_id;
	t->missing = 0;
	t->fails = 0;
	t->initiated = MONO_NEVER;
	t->count.ups++;
	if (took)
		t->last_up_ns = took;
	ike_dpd_clear(t);
	ike_change(t, o, IKE_UP, why, now);
	t->timer = mono_add(now, ike_dpd_period(t));
	ike_emit(t, o, IKE_ACT_UP, why)->took_ns = took;
	ike_hook(t, o, HOOK_TUNNEL_UP, why);
	ike_say_made(t, o, why);
}

void ike_attempt_failed(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why, mono_t now)
{
	int64_t pause = ike_backoff_ns(t->fails);

	/* What was begun is left alone until the retry: a slow peer may still answer, and then it counts. */
	t->req = IKE_REQ_NONE;
	t->fails++;
	ike_change(t, o, IKE_FAILED, why, now);
	t->timer = MUTANT(M_IKE_ONE_TRY) ? MONO_NEVER : mono_add(now, pause);
	if (t->fails == IKE_FAILS_TOLD) {
		ike_emit(t, o, IKE_ACT_RESET_FAILED, why);
		ike_hook(t, o, HOOK_RESET_FAILED, why);
	}
	ike_say_made(t, o, why);
}

bool ike_reset(struct ike_tunnel *t, struct ike_acts *o, int64_t gap_ns, enum ike_reason why, mono_t now)
{
	bool early = !mono_is_never(t->reset_at) && mono_before(now, mono_add(t->reset_at, gap_ns));

	if (early || (gap_ns && t->resets_barred)) {
		t->count.resets_held++;
		return false;
	}
	t->reset_at = now;
	t->count.resets++;
	t->fails = 0;
	if (t->state == IKE_UP)
		ike_went_down(t, o, why);
	ike_begin_purge(t, o, IKE_SWEEP_PAIR, true, why, now);
	return true;
}

void ike_unwanted(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why, mono_t now)
{
	mono_t earliest = mono_is_never(t->purged_at) ? now : mono_add(t->purged_at, IKE_REPURGE_NS);

	if (t->state == IKE_PURGING) {
		t->unwanted = true; /* looked at when this purge is done */
	} else if (t->state != IKE_IDLE) {
		t->count.ignored++; /* the IKE daemon is away: it is purged when it is back */
	} else if (mono_due(earliest, now)) {
		ike_begin_purge(t, o, IKE_SWEEP_VIP, false, why, now);
	} else {
		t->unwanted = true;
		t->timer = earliest;
	}
}
