/*
 * Is the peer alive, and does it use this SA? Judged by counters of the lists, because only the IKE daemon can send an
 * authenticated liveness message. Counters alone are a hint (one-way traffic is legal), so the first answer to silence is
 * a rekey: authenticated, harmless, one round trip.
 */
#include "daemon/base/mutant.h"
#include "ike-hooks/ike_int.h"

void ike_dpd_clear(struct ike_tunnel *t)
{
	t->dpd = (struct ike_dpd){
		.in_at = MONO_NEVER, .out_at = MONO_NEVER, .rekey_by = MONO_NEVER, .proved_until = MONO_ZERO
	};
}

int64_t ike_dpd_period(const struct ike_tunnel *t)
{
	const struct ike_dpd_conf *c = &t->conf.dpd;

	if (!c->enabled)
		return IKE_LIST_GAP_NS;
	int64_t p = c->retry_ns < c->interval_ns ? c->retry_ns : c->interval_ns;
	return p > 50 * NS_PER_MS ? p : 50 * NS_PER_MS;
}

static void dead(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why)
{
	t->count.dpd_dead++;
	t->dpd.told = true;
	ike_emit(t, o, IKE_ACT_DPD_DEAD, why);
	ike_hook(t, o, HOOK_DPD_DEAD, why);
}

/* At once, or at the instant when the last reset is old enough. */
static void reset(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why, mono_t now)
{
	if (!t->dpd.told)
		dead(t, o, why);
	if (ike_reset(t, o, IKE_RESET_GAP_NS, why, now))
		return;
	t->dpd.rekeying = true;
	t->dpd.rekey_by = t->resets_barred ? mono_add(now, IKE_BARRED_NS) : mono_add(t->reset_at, IKE_RESET_GAP_NS);
	ike_note(t, o, IKE_WHY_RESET_LIMIT);
}

void ike_dpd_late(struct ike_tunnel *t, struct ike_acts *o, mono_t now)
{
	t->dpd.rekeying = false;
	switch (t->conf.dpd.action) {
	case IKE_DPD_RESET:
		reset(t, o, IKE_WHY_DPD_SILENT, now);
		return;
	case IKE_DPD_REKEY:
	case IKE_DPD_NOTIFY:
		if (!t->dpd.told)
			dead(t, o, IKE_WHY_DPD_SILENT);
		return;
	}
}

bool ike_dpd_down(struct ike_tunnel *t, struct ike_acts *o, mono_t now)
{
	if (!t->conf.dpd.enabled || !t->dpd.doubt)
		return false;
	if (t->conf.dpd.action == IKE_DPD_RESET) {
		t->dpd.rekeying = false;
		reset(t, o, IKE_WHY_DPD_EVENT, now);
		return t->state != IKE_UP;
	}
	if (!t->dpd.told)
		dead(t, o, IKE_WHY_DPD_EVENT);
	return false;
}

void ike_dpd_rekeyed(struct ike_tunnel *t, struct ike_acts *o, uint32_t sa_id, mono_t now)
{
	const struct ike_dpd_conf *c = &t->conf.dpd;
	bool asked = t->dpd.rekeying, told = t->dpd.doubt || t->dpd.told;

	ike_dpd_clear(t);
	t->sa_id = sa_id;
	if (!asked)
		return;
	/* One-way traffic is believed for a while; who asks periodically asks again. */
	t->dpd.proved_until = mono_add(now, c->mode == IKE_DPD_PERIODIC ? c->interval_ns : IKE_PROVED_NS);
	if (told)
		ike_note(t, o, IKE_WHY_REKEYED);
}

static void ask_for_keys(struct ike_tunnel *t, struct ike_acts *o, int64_t wait_ns, mono_t now)
{
	t->dpd.rekeying = true;
	t->dpd.rekey_by = mono_add(now, wait_ns > IKE_REKEY_NS ? wait_ns : IKE_REKEY_NS);
	t->count.rekeys++;
	ike_request(t, o, IKE_ACT_REKEY, IKE_REQ_REKEY, now);
}

static bool may_ask(const struct ike_tunnel *t, mono_t now)
{
	return !MUTANT(M_IKE_BLIND) && !t->dpd.told && !t->dpd.rekeying && !mono_before(now, t->dpd.proved_until);
}

static void verdict(struct ike_tunnel *t, struct ike_acts *o, mono_t now)
{
	if (!may_ask(t, now))
		return;
	if (t->conf.dpd.action == IKE_DPD_NOTIFY)
		dead(t, o, IKE_WHY_DPD_DOUBT);
	else
		ask_for_keys(t, o, IKE_REKEY_NS, now);
}

/* Nothing goes out, nothing comes in: on demand that is nobody's concern. */
static void idle(struct ike_tunnel *t, struct ike_acts *o, mono_t now)
{
	const struct ike_dpd_conf *c = &t->conf.dpd;

	if (c->mode != IKE_DPD_PERIODIC || mono_sub(now, t->dpd.in_at) < c->interval_ns || !may_ask(t, now))
		return;
	ask_for_keys(t, o, c->retries * c->retry_ns, now);
}

static void start_over(struct ike_dpd *d, const struct ike_sample *s, mono_t now)
{
	d->in = s->in_packets;
	d->out = d->out_at_in = s->out_packets;
	d->in_at = now;
	d->out_at = MONO_NEVER;
}

void ike_dpd_sample(struct ike_tunnel *t, struct ike_acts *o, const struct ike_sample *s, mono_t now)
{
	const struct ike_dpd_conf *c = &t->conf.dpd;
	struct ike_dpd *d = &t->dpd;

	if (d->valid && s->sa_id != d->sa_id) {
		/* A new child without an event seen: the peer answered a rekey, or made it. */
		ike_dpd_rekeyed(t, o, s->sa_id, now);
	}
	if (!d->valid || s->in_packets < d->in || s->out_packets < d->out) {
		d->valid = true;
		d->sa_id = s->sa_id;
		start_over(d, s, now);
		return;
	}
	if (s->in_packets > d->in) {
		if (d->doubt || d->told)
			ike_note(t, o, IKE_WHY_DPD_OVER);
		d->doubt = d->told = d->rekeying = false;
		start_over(d, s, now);
		d->proved_until = MONO_ZERO;
		return;
	}
	if (s->out_packets > d->out && mono_is_never(d->out_at))
		d->out_at = now;
	d->out = s->out_packets;
	if (mono_is_never(d->out_at) || d->out - d->out_at_in < 2) {
		idle(t, o, now);
		return;
	}
	int64_t silent = mono_sub(now, d->out_at);
	if (silent >= c->interval_ns && !d->doubt) {
		d->doubt = true;
		ike_note(t, o, IKE_WHY_DPD_DOUBT);
	}
	if (silent >= c->interval_ns + c->retries * c->retry_ns)
		verdict(t, o, now);
}

/* ---- after a split brain ---- */

/*
 * The last INITIAL_CONTACT wins at the peer, and that may have been the other master's. Without a packet from the peer
 * within a second this SA counts as forgotten there; an idle tunnel is negotiated anew for nothing, which costs nobody.
 */
void ike_verify(struct ike_tunnel *t, struct ike_acts *o, mono_t now)
{
	if (t->state != IKE_UP || !t->conf.initiate) {
		t->count.ignored++;
		return;
	}
	t->verifying = true;
	t->verify_seen = false;
	t->verify_by = mono_add(now, IKE_VERIFY_NS);
	if (t->req == IKE_REQ_NONE)
		ike_request(t, o, IKE_ACT_LIST, IKE_REQ_LIST, now);
}

void ike_verify_sample(struct ike_tunnel *t, struct ike_acts *o, const struct ike_sample *s, mono_t now)
{
	if (!t->verifying)
		return;
	if (!t->verify_seen) {
		t->verify_seen = true;
		t->verify_in = s->in_packets;
		if (mono_is_never(t->verify_by))
			t->verify_by = mono_add(now, IKE_VERIFY_NS);
	} else if (s->in_packets != t->verify_in) {
		t->verifying = false;
		t->verify_by = MONO_NEVER;
		ike_note(t, o, IKE_WHY_SPLIT_OVER);
	} else if (mono_is_never(t->verify_by) && t->resets_barred) {
		t->verify_by = mono_add(now, IKE_BARRED_NS);
	} else if (mono_is_never(t->verify_by)) {
		t->verifying = false;
		ike_reset(t, o, IKE_WATCH_GAP_NS, IKE_WHY_SPLIT, now);
	}
}

void ike_verify_late(struct ike_tunnel *t, struct ike_acts *o, mono_t now)
{
	t->verify_by = MONO_NEVER;
	if (t->state == IKE_UP && t->req != IKE_REQ_LIST)
		ike_request(t, o, IKE_ACT_LIST, IKE_REQ_LIST, now);
}
