/*
 * The rules, and the measurements behind them (strongSwan 5.9.8):
 * - initiate joins an IKE SA that is still connecting, whose retransmission may be 4 s away, and fails or hangs on a
 * stale one: so terminate with force comes first whenever something may exist.
 * - success of initiate with timeout -1 means "queued": only child-updown counts.
 * - a reply is matched by its sequence number, which is never reused; a role change abandons every request under way.
 */
#include "ike-hooks/ike_fsm.h"
#include "daemon/base/require.h"

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
static const char *const req_name[] = { "none", "terminate", "initiate", "rekey", "list" };

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
	return (t->left_ike && t->conf.backend != IKE_BACKEND_NONE) || t->left_kernel || t->unwanted;
}

static struct ike_act *act(struct ike_tunnel *t, struct ike_acts *o, enum ike_act_kind kind, enum ike_reason why)
{
	require(o->n < IKE_ACTS_MAX);
	struct ike_act *a = &o->a[o->n++];
	*a = (struct ike_act){ .kind = kind, .epoch = t->epoch, .reason = why, .from = t->state, .to = t->state };
	return a;
}

static void hook(struct ike_tunnel *t, struct ike_acts *o, enum hook_event ev, enum ike_reason why)
{
	act(t, o, IKE_ACT_HOOK, why)->hook = ev;
}

static void change(struct ike_tunnel *t, struct ike_acts *o, enum ike_state to, enum ike_reason why, mono_t now)
{
	t->why = why;
	t->timer = MONO_NEVER;
	if (t->state == to)
		return;
	struct ike_act *a = act(t, o, IKE_ACT_TRACE, why);
	a->to = to;
	t->state = to;
	t->since = now;
}

static void request(struct ike_tunnel *t, struct ike_acts *o, enum ike_act_kind kind, enum ike_req req, mono_t now)
{
	t->req = req;
	t->req_seq = ++t->seq;
	t->req_epoch = t->epoch;
	t->req_by = mono_add(now, IKE_PURGE_NS + 2 * t->conf.exec_timeout_ns); /* one program may have to end first */
	act(t, o, kind, t->why)->seq = t->req_seq;
}

static void dpd_clear(struct ike_tunnel *t)
{
	t->dpd = (struct ike_dpd){
		.in_at = MONO_NEVER, .out_at = MONO_NEVER, .rekey_by = MONO_NEVER, .proved_until = MONO_ZERO
	};
}

void ike_init(struct ike_tunnel *t, const struct ike_tunnel_conf *conf, bool shares_peer, mono_t now)
{
	*t = (struct ike_tunnel){ .conf = *conf, .shares_peer = shares_peer, .since = now };
	t->left_ike = conf->backend != IKE_BACKEND_NONE;
	t->left_kernel = true;
	t->timer = t->req_by = t->sweep_by = MONO_NEVER;
	t->initiated = t->purged_at = t->reset_at = MONO_NEVER;
	dpd_clear(t);
}

mono_t ike_deadline(const struct ike_tunnel *t)
{
	mono_t d = t->timer;

	if (t->req != IKE_REQ_NONE)
		d = mono_min(d, t->req_by);
	if (t->sweeping)
		d = mono_min(d, t->sweep_by);
	if (t->dpd.rekeying)
		d = mono_min(d, t->dpd.rekey_by);
	return d;
}

static int64_t soft_ns(const struct ike_tunnel *t)
{
	int64_t d = IKE_SOFT_NS;

	for (uint32_t i = 0; i < t->fails && d < IKE_SOFT_MAX_NS; i++)
		d *= 2;
	return d < IKE_SOFT_MAX_NS ? d : IKE_SOFT_MAX_NS;
}

static int64_t list_period(const struct ike_tunnel *t)
{
	const struct ike_dpd_conf *c = &t->conf.dpd;

	if (!c->enabled)
		return IKE_LIST_GAP_NS;
	int64_t p = c->retry_ns < c->interval_ns ? c->retry_ns : c->interval_ns;
	return p > 50 * NS_PER_MS ? p : 50 * NS_PER_MS;
}

static void send_initiate(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why, mono_t now)
{
	/* From here on the IKE daemon and the kernel may hold something, whatever the answers will be. */
	t->left_ike = t->left_kernel = true;
	t->ike_up = false;
	change(t, o, IKE_INITIATING, why, now);
	t->initiated = now;
	t->timer = mono_add(now, soft_ns(t) + 2 * t->conf.exec_timeout_ns);
	t->count.initiates++;
	request(t, o, IKE_ACT_INITIATE, IKE_REQ_INITIATE, now);
}

static void purge_done(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why, mono_t now)
{
	t->purged_at = now;
	if (t->purge_asked) {
		struct ike_act *a = act(t, o, IKE_ACT_PURGED, why);
		a->epoch = t->purge_epoch;
		a->leftovers = ike_needs_purge(t);
		t->purge_asked = false;
	}
	if (t->state != IKE_PURGING)
		return; /* the IKE daemon is away, or came back meanwhile and is being asked */
	if (t->active && t->conf.initiate) {
		send_initiate(t, o, why, now);
	} else if (t->active) {
		change(t, o, IKE_WAITING, why, now);
	} else {
		change(t, o, IKE_IDLE, why, now);
		t->unwanted = t->unwanted || ike_needs_purge(t);
		if (t->unwanted)
			t->timer = mono_add(now, IKE_REPURGE_NS);
	}
}

/* IKE daemon first, sweep second: it would keep a child as installed whose SA vanished behind its back. */
static void purge_kernel(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why, mono_t now)
{
	if (t->scope == IKE_SWEEP_NONE || (t->scope == IKE_SWEEP_PAIR && t->shares_peer)) {
		purge_done(t, o, why, now);
		return;
	}
	t->sweeping = true;
	t->sweep_seq = ++t->seq;
	t->sweep_epoch = t->epoch;
	t->sweep_by = mono_add(now, IKE_PURGE_NS);
	struct ike_act *a = act(t, o, IKE_ACT_SWEEP, why);
	a->seq = t->sweep_seq;
	a->vip = t->conf.vip;
	if (t->scope == IKE_SWEEP_PAIR)
		a->peer = t->conf.peer;
}

static void begin_purge(struct ike_tunnel *t, struct ike_acts *o, enum ike_sweep_scope scope, enum ike_reason why,
			mono_t now)
{
	t->scope = scope;
	t->unwanted = false;
	t->sweeping = false;
	t->req = IKE_REQ_NONE;
	t->sa_id = 0;
	t->count.purges++;
	dpd_clear(t);
	if (!t->backend) {
		change(t, o, IKE_ABSENT, why, now);
		purge_kernel(t, o, why, now);
		return;
	}
	change(t, o, IKE_PURGING, why, now);
	request(t, o, IKE_ACT_TERMINATE, IKE_REQ_TERMINATE, now);
}

static void check_after(struct ike_tunnel *t, struct ike_acts *o, int64_t delay_ns, enum ike_reason why, mono_t now)
{
	change(t, o, IKE_CHECKING, why, now);
	t->req = IKE_REQ_NONE;
	if (delay_ns == 0)
		request(t, o, IKE_ACT_LIST, IKE_REQ_LIST, now);
	else
		t->timer = mono_add(now, delay_ns);
}

static void went_down(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why)
{
	t->count.downs++;
	act(t, o, IKE_ACT_DOWN, why);
	hook(t, o, HOOK_TUNNEL_DOWN, why);
}

static void child_lost(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why, mono_t now)
{
	went_down(t, o, why);
	t->missing = 0;
	t->sa_id = 0;
	dpd_clear(t);
	check_after(t, o, IKE_SETTLE_NS, why, now);
}

static void became_up(struct ike_tunnel *t, struct ike_acts *o, uint32_t sa_id, enum ike_reason why, mono_t now)
{
	int64_t took = why == IKE_WHY_CHILD_UP && !mono_is_never(t->initiated) ? mono_sub(now, t->initiated) : 0;

	t->left_ike = t->left_kernel = true;
	t->req = IKE_REQ_NONE;
	t->sa_id = sa_id;
	t->missing = 0;
	t->fails = 0;
	t->initiated = MONO_NEVER;
	t->count.ups++;
	if (took)
		t->last_up_ns = took;
	dpd_clear(t);
	change(t, o, IKE_UP, why, now);
	t->timer = mono_add(now, list_period(t));
	act(t, o, IKE_ACT_UP, why)->took_ns = took;
	hook(t, o, HOOK_TUNNEL_UP, why);
}

static void attempt_failed(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why, mono_t now)
{
	size_t i = t->fails < N_BACKOFF ? t->fails : N_BACKOFF - 1;

	/* What was begun is left alone until the retry: a slow peer may still answer, and then it counts. */
	t->req = IKE_REQ_NONE;
	t->fails++;
	change(t, o, IKE_FAILED, why, now);
	t->timer = mono_add(now, backoff_ns[i]);
	if (t->fails == IKE_FAILS_TOLD) {
		act(t, o, IKE_ACT_RESET_FAILED, why);
		hook(t, o, HOOK_RESET_FAILED, why);
	}
}

/* ---- dead peer detection ---- */

static void dead(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why)
{
	t->count.dpd_dead++;
	t->dpd.told = true;
	act(t, o, IKE_ACT_DPD_DEAD, why);
	hook(t, o, HOOK_DPD_DEAD, why);
}

/* Purge and initiate, unless the last reset is too young: then at the instant it may. */
static void reset_peer(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why, mono_t now)
{
	mono_t earliest = mono_is_never(t->reset_at) ? now : mono_add(t->reset_at, IKE_RESET_GAP_NS);

	if (!t->dpd.told)
		dead(t, o, why);
	if (mono_before(now, earliest)) {
		t->dpd.rekeying = true;
		t->dpd.rekey_by = earliest;
		t->count.resets_held++;
		act(t, o, IKE_ACT_TRACE, IKE_WHY_RESET_LIMIT);
		return;
	}
	t->reset_at = now;
	t->count.resets++;
	t->fails = 0;
	went_down(t, o, why);
	begin_purge(t, o, IKE_SWEEP_PAIR, why, now);
}

/* The rekey had its time. */
static void rekey_unanswered(struct ike_tunnel *t, struct ike_acts *o, mono_t now)
{
	t->dpd.rekeying = false;
	switch (t->conf.dpd.action) {
	case IKE_DPD_RESET:
		reset_peer(t, o, IKE_WHY_DPD_SILENT, now);
		return;
	case IKE_DPD_REKEY:
	case IKE_DPD_NOTIFY:
		if (!t->dpd.told)
			dead(t, o, IKE_WHY_DPD_SILENT);
		return;
	}
}

static void rekeyed(struct ike_tunnel *t, struct ike_acts *o, uint32_t sa_id, mono_t now)
{
	bool asked = t->dpd.rekeying;

	dpd_clear(t);
	t->sa_id = sa_id;
	if (!asked)
		return;
	t->dpd.proved_until = mono_add(now, IKE_PROVED_NS);
	act(t, o, IKE_ACT_TRACE, IKE_WHY_REKEYED);
}

/* Counters alone are only a hint (one-way traffic is legal), so the first answer is a rekey: authenticated, harmless.
 */
static void dpd_verdict(struct ike_tunnel *t, struct ike_acts *o, mono_t now)
{
	struct ike_dpd *d = &t->dpd;

	if (d->told || d->rekeying || mono_before(now, d->proved_until))
		return;
	if (t->conf.dpd.action == IKE_DPD_NOTIFY) {
		dead(t, o, IKE_WHY_DPD_DOUBT);
		return;
	}
	d->rekeying = true;
	d->rekey_by = mono_add(now, IKE_REKEY_NS);
	t->count.rekeys++;
	request(t, o, IKE_ACT_REKEY, IKE_REQ_REKEY, now);
}

static void dpd_sample(struct ike_tunnel *t, struct ike_acts *o, const struct ike_sample *s, mono_t now)
{
	const struct ike_dpd_conf *c = &t->conf.dpd;
	struct ike_dpd *d = &t->dpd;

	if (d->valid && s->sa_id != d->sa_id) {
		/* A new child without an event seen: the peer answered a rekey, or made it. */
		rekeyed(t, o, s->sa_id, now);
	}
	if (!d->valid || s->in_packets < d->in || s->out_packets < d->out) {
		d->valid = true;
		d->sa_id = s->sa_id;
		d->in = s->in_packets;
		d->out = d->out_at_in = s->out_packets;
		d->in_at = now;
		d->out_at = MONO_NEVER;
		return;
	}
	if (s->in_packets > d->in) {
		if (d->doubt || d->told)
			act(t, o, IKE_ACT_TRACE, IKE_WHY_DPD_OVER);
		d->doubt = d->told = d->rekeying = false;
		d->in = s->in_packets;
		d->out = d->out_at_in = s->out_packets;
		d->in_at = now;
		d->out_at = MONO_NEVER;
		d->proved_until = MONO_ZERO;
		return;
	}
	if (s->out_packets > d->out && mono_is_never(d->out_at))
		d->out_at = now;
	d->out = s->out_packets;
	if (mono_is_never(d->out_at) || d->out - d->out_at_in < 2)
		return;
	int64_t silent = mono_sub(now, d->out_at);
	if (silent >= c->interval_ns && !d->doubt) {
		d->doubt = true;
		act(t, o, IKE_ACT_TRACE, IKE_WHY_DPD_DOUBT);
	}
	if (silent >= c->interval_ns + c->retries * c->retry_ns)
		dpd_verdict(t, o, now);
}

/* ---- events ---- */

static void ev_purge(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *o)
{
	if (epoch_cmp(ev->epoch, t->epoch) < 0) {
		t->count.stale++;
		return;
	}
	t->epoch = t->purge_epoch = ev->epoch;
	if (t->state == IKE_UP)
		went_down(t, o, IKE_WHY_ROLE);
	t->active = false;
	t->purge_asked = true;
	t->fails = 0;
	t->initiated = t->reset_at = MONO_NEVER;
	begin_purge(t, o, IKE_SWEEP_VIP, IKE_WHY_ROLE, now);
}

/* Active, and the IKE daemon answers: what next? The VIP is ours, so a sweep may concern this tunnel only. */
static void go_active(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why, mono_t now)
{
	if (t->left_ike)
		begin_purge(t, o, IKE_SWEEP_PAIR, IKE_WHY_LEFTOVERS, now);
	else if (t->conf.initiate)
		send_initiate(t, o, why, now);
	else
		change(t, o, IKE_WAITING, why, now);
}

static void ev_initiate(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *o)
{
	int newer = epoch_cmp(ev->epoch, t->epoch);

	if (newer < 0 || (newer == 0 && t->active)) {
		t->count.stale++;
		return;
	}
	t->epoch = ev->epoch;
	t->active = t->left_kernel = true;
	t->unwanted = false;
	t->fails = 0;
	switch (t->state) {
	case IKE_ABSENT:
	case IKE_PURGING:
		t->why = IKE_WHY_ROLE; /* goes on when the IKE daemon is back, or the purge is done */
		return;
	case IKE_UP:
		act(t, o, IKE_ACT_UP, IKE_WHY_CHILD_FOUND); /* the role was confirmed, not changed */
		return;
	case IKE_CHECKING:
		check_after(t, o, 0, IKE_WHY_ROLE, now);
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

static void ev_backend_up(struct ike_tunnel *t, mono_t now, struct ike_acts *o)
{
	if (t->backend || t->conf.backend == IKE_BACKEND_NONE) {
		t->count.ignored++;
		return;
	}
	t->backend = true;
	t->missing = 0;
	if (t->active) {
		check_after(t, o, 0, IKE_WHY_BACKEND_BACK, now);
		return;
	}
	t->left_ike = true;
	begin_purge(t, o, IKE_SWEEP_VIP, IKE_WHY_BACKEND_BACK, now);
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
	dpd_clear(t);
	if (was_up)
		went_down(t, o, IKE_WHY_BACKEND_LOST);
	change(t, o, IKE_ABSENT, IKE_WHY_BACKEND_LOST, now);
	if (terminating && t->purge_asked)
		purge_kernel(t, o, IKE_WHY_BACKEND_LOST, now);
}

/* The list said, twice, that there is no child. */
static void check_missed(struct ike_tunnel *t, struct ike_acts *o, bool established, mono_t now)
{
	if (++t->missing < 2) {
		check_after(t, o, IKE_SETTLE_NS / 2, t->why, now);
		return;
	}
	t->missing = 0;
	if (!t->conf.initiate)
		change(t, o, IKE_WAITING, t->why, now);
	else if (established)
		send_initiate(t, o, t->why, now);
	else
		begin_purge(t, o, IKE_SWEEP_NONE, t->why, now);
}

static void ev_reply(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *o)
{
	if (t->req == IKE_REQ_NONE || ev->req != t->req || ev->seq != t->req_seq ||
	    epoch_cmp(ev->epoch, t->req_epoch) != 0) {
		t->count.late++;
		return;
	}
	t->req = IKE_REQ_NONE;
	switch (ev->req) {
	case IKE_REQ_TERMINATE:
		if (ev->ok)
			t->left_ike = false;
		purge_kernel(t, o, ev->ok ? IKE_WHY_PURGED : IKE_WHY_REFUSED, now);
		return;
	case IKE_REQ_INITIATE:
		if (!ev->ok)
			attempt_failed(t, o, IKE_WHY_REFUSED, now);
		else if (t->state == IKE_INITIATING && t->conf.exec_timeout_ns)
			t->timer = mono_add(now, soft_ns(t)); /* the program had its time, now the peer has */
		return;
	case IKE_REQ_LIST:
		if (t->state == IKE_CHECKING) /* an answer without a sample */
			check_missed(t, o, false, now);
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
	purge_done(t, o, ev->ok ? IKE_WHY_PURGED : IKE_WHY_REFUSED, now);
}

/* Something came up although the role wants nothing. */
static void unwanted(struct ike_tunnel *t, struct ike_acts *o, mono_t now)
{
	mono_t earliest = mono_is_never(t->purged_at) ? now : mono_add(t->purged_at, IKE_REPURGE_NS);

	t->left_ike = t->left_kernel = true;
	if (t->state == IKE_PURGING) {
		t->unwanted = true; /* looked at when this purge is done */
	} else if (mono_due(earliest, now)) {
		begin_purge(t, o, IKE_SWEEP_VIP, IKE_WHY_UNWANTED, now);
	} else {
		t->unwanted = true;
		t->timer = earliest;
	}
}

static void ev_child_up(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *o)
{
	switch (t->state) {
	case IKE_IDLE:
		unwanted(t, o, now);
		return;
	case IKE_PURGING:
		if (!t->active)
			unwanted(t, o, now);
		else
			t->count.ignored++;
		return;
	case IKE_UP:
		/* A second child of the same name (peer's own, or a collision): the newest carries the traffic. */
		if (ev->sa_id)
			t->sa_id = ev->sa_id;
		dpd_clear(t);
		return;
	case IKE_CHECKING:
	case IKE_INITIATING:
	case IKE_FAILED:
	case IKE_WAITING:
		became_up(t, o, ev->sa_id, IKE_WHY_CHILD_UP, now);
		return;
	case IKE_ABSENT:
	case IKE_STATE_N:
		t->count.ignored++;
		return;
	}
}

static void ev_child_down(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *o)
{
	if (t->state != IKE_UP || (ev->sa_id && t->sa_id && ev->sa_id != t->sa_id)) {
		t->count.ignored++; /* the purge's own doing, or an older child going away */
		return;
	}
	if (t->conf.dpd.enabled && t->dpd.doubt && t->conf.dpd.action == IKE_DPD_RESET) {
		t->dpd.rekeying = false;
		reset_peer(t, o, IKE_WHY_DPD_EVENT, now);
		if (t->state != IKE_UP)
			return;
	} else if (t->conf.dpd.enabled && t->dpd.doubt && !t->dpd.told) {
		dead(t, o, IKE_WHY_DPD_EVENT);
	}
	child_lost(t, o, IKE_WHY_CHILD_DOWN, now);
}

static void ev_ike_updown(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *o)
{
	if (ev->up && !t->active && (t->state == IKE_IDLE || t->state == IKE_PURGING)) {
		unwanted(t, o, now);
	} else if (ev->up && t->state == IKE_INITIATING && !t->ike_up) {
		/* Half of the way: the child follows within a round trip. */
		t->ike_up = true;
		t->timer = mono_max(t->timer, mono_add(now, soft_ns(t)));
	} else if (!ev->up && t->state == IKE_UP && t->req == IKE_REQ_NONE) {
		/* It may be an older IKE SA that was replaced: ask, the child's own event decides if it comes. */
		request(t, o, IKE_ACT_LIST, IKE_REQ_LIST, now);
	} else {
		t->count.ignored++;
	}
}

static void ev_child_rekey(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *o)
{
	if (t->state != IKE_UP) {
		t->count.ignored++;
		return;
	}
	rekeyed(t, o, ev->sa_id, now);
}

static void ev_sa_list(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *o)
{
	const struct ike_sample *s = &ev->sample;

	if (t->req != IKE_REQ_LIST || ev->seq != t->req_seq || epoch_cmp(ev->epoch, t->req_epoch) != 0) {
		t->count.late++;
		return;
	}
	t->req = IKE_REQ_NONE;
	if (t->state == IKE_CHECKING) {
		if (s->child)
			became_up(t, o, s->sa_id, IKE_WHY_CHILD_FOUND, now);
		else
			check_missed(t, o, s->established, now);
		return;
	}
	if (!s->child) {
		if (++t->missing >= IKE_MISSING_MAX)
			child_lost(t, o, IKE_WHY_CHILD_GONE, now);
		return;
	}
	t->missing = 0;
	t->sa_id = s->sa_id;
	if (t->conf.dpd.enabled)
		dpd_sample(t, o, s, now);
}

/* The state's own timer. */
static void timer_due(struct ike_tunnel *t, mono_t now, struct ike_acts *o)
{
	t->timer = MONO_NEVER;
	switch (t->state) {
	case IKE_IDLE:
		if (t->unwanted)
			begin_purge(t, o, IKE_SWEEP_VIP, IKE_WHY_UNWANTED, now);
		return;
	case IKE_CHECKING:
		request(t, o, IKE_ACT_LIST, IKE_REQ_LIST, now);
		return;
	case IKE_INITIATING:
		attempt_failed(t, o, IKE_WHY_DEADLINE, now);
		return;
	case IKE_UP:
		t->timer = mono_add(now, list_period(t));
		if (t->req == IKE_REQ_NONE)
			request(t, o, IKE_ACT_LIST, IKE_REQ_LIST, now);
		return;
	case IKE_FAILED:
		begin_purge(t, o, IKE_SWEEP_NONE, IKE_WHY_RETRY, now);
		return;
	case IKE_ABSENT:
	case IKE_PURGING:
	case IKE_WAITING:
	case IKE_STATE_N:
		return;
	}
}

/* A request without any answer; the shell has its own, shorter limit, so this is the last resort. */
static void request_late(struct ike_tunnel *t, mono_t now, struct ike_acts *o)
{
	t->req = IKE_REQ_NONE;
	if (t->state == IKE_PURGING)
		purge_kernel(t, o, IKE_WHY_PURGE_LATE, now);
	else if (t->state == IKE_CHECKING)
		check_missed(t, o, false, now);
}

static void ev_tick(struct ike_tunnel *t, mono_t now, struct ike_acts *o)
{
	if (t->sweeping && mono_due(t->sweep_by, now)) {
		t->sweeping = false;
		purge_done(t, o, IKE_WHY_PURGE_LATE, now);
	} else if (t->req != IKE_REQ_NONE && mono_due(t->req_by, now)) {
		request_late(t, now, o);
	} else if (t->dpd.rekeying && mono_due(t->dpd.rekey_by, now)) {
		rekey_unanswered(t, o, now);
	} else if (mono_due(t->timer, now)) {
		timer_due(t, now, o);
	}
}

void ike_step(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *out)
{
	out->n = 0;
	switch (ev->kind) {
	case IKE_EV_PURGE:
		ev_purge(t, ev, now, out);
		return;
	case IKE_EV_INITIATE:
		ev_initiate(t, ev, now, out);
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
	case IKE_EV_N:
		t->count.ignored++;
		return;
	}
}
