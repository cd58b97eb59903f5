/*
 * The IKE SA that a node keeps while it is not MASTER (conf.warm): from its own address, without a child (RFC 6023), so
 * that a takeover is one CREATE_CHILD_SA exchange. Level-triggered: it is looked for, initiated when it is not there, and
 * looked at again. A dead one is found by the IKE daemon's own liveness checks, which tell by ike-updown.
 */
#include "daemon/base/mutant.h"
#include "ike-hooks/ike_int.h"

#define ANSWER_NS (1 * NS_PER_SEC) /* a request of the keeper without any answer is given up */

static const char *const keep_name[IKE_KEEP_N] = { "off", "checking", "queued", "initiating", "up", "failed" };

const char *ike_keep_name(enum ike_keep_state s)
{
	return (unsigned)s < IKE_KEEP_N ? keep_name[s] : "?";
}

static void enter(struct ike_tunnel *t, enum ike_keep_state to)
{
	t->keep.state = to;
	t->keep.timer = t->keep.flight_by = MONO_NEVER;
	t->keep.flying = false;
}

static void ask(struct ike_tunnel *t, struct ike_acts *o, enum ike_act_kind kind, enum ike_req req, mono_t now)
{
	struct ike_act *a = ike_emit(t, o, kind, IKE_WHY_NONE);

	a->warm = true;
	a->seq = t->keep.seq = ++t->seq;
	t->keep.req = req;
	t->keep.req_by = mono_add(now, ANSWER_NS);
}

static void look(struct ike_tunnel *t, struct ike_acts *o, mono_t now)
{
	ask(t, o, IKE_ACT_LIST, IKE_REQ_LIST, now);
}

void ike_keep_start(struct ike_tunnel *t, struct ike_acts *o, mono_t now)
{
	if (!t->conf.warm || !t->backend || t->state != IKE_IDLE || t->keep.state != IKE_KEEP_OFF)
		return;
	t->keep.fails = 0;
	enter(t, IKE_KEEP_ASK);
	look(t, o, now);
}

void ike_keep_stop(struct ike_tunnel *t)
{
	enter(t, IKE_KEEP_OFF);
	t->keep.req = IKE_REQ_NONE;
	t->keep.req_by = MONO_NEVER;
}

static void is_up(struct ike_tunnel *t, struct ike_acts *o, mono_t now)
{
	if (t->keep.state != IKE_KEEP_UP) {
		t->keep.ups++;
		ike_note(t, o, IKE_WHY_WARM_UP);
	}
	t->keep.fails = 0;
	enter(t, IKE_KEEP_UP);
	t->keep.timer = mono_add(now, IKE_WARM_LOOK_NS);
}

static void is_gone(struct ike_tunnel *t, struct ike_acts *o)
{
	if (t->keep.state == IKE_KEEP_UP) {
		t->keep.losts++;
		ike_note(t, o, IKE_WHY_WARM_LOST);
	}
	enter(t, MUTANT(M_IKE_WARM_LOST) ? IKE_KEEP_OFF : IKE_KEEP_WANT);
}

static void pause(struct ike_tunnel *t, struct ike_acts *o, mono_t now)
{
	if (t->keep.fails == IKE_FAILS_TOLD)
		ike_note(t, o, IKE_WHY_WARM_LATE);
	enter(t, IKE_KEEP_PAUSE);
	t->keep.timer = mono_add(now, ike_backoff_ns(t->keep.fails));
	t->keep.fails++;
}

void ike_keep_grant(struct ike_tunnel *t, struct ike_acts *o, mono_t now)
{
	enter(t, IKE_KEEP_TRY);
	t->keep.flying = true;
	t->keep.flight_by = mono_add(now, IKE_FLIGHT_NS);
	t->keep.timer = mono_add(now, ike_soft_ns(t->keep.fails + 2)); /* there is no hurry */
	ask(t, o, IKE_ACT_INITIATE, IKE_REQ_INITIATE, now);
}

/* The IKE daemon would retransmit for minutes, and join what is begun next to that. */
static void give_up(struct ike_tunnel *t, struct ike_acts *o, mono_t now)
{
	ask(t, o, IKE_ACT_TERMINATE, IKE_REQ_TERMINATE, now);
	pause(t, o, now);
}

void ike_keep_reply(struct ike_tunnel *t, struct ike_acts *o, const struct ike_ev *ev, mono_t now)
{
	enum ike_req req = t->keep.req;

	t->keep.req = IKE_REQ_NONE;
	t->keep.req_by = MONO_NEVER;
	if (ev->ok || req == IKE_REQ_TERMINATE)
		return; /* the event, or the next look, tells the rest */
	if (t->keep.state == IKE_KEEP_TRY || t->keep.state == IKE_KEEP_ASK)
		pause(t, o, now);
}

void ike_keep_list(struct ike_tunnel *t, struct ike_acts *o, const struct ike_sample *s, mono_t now)
{
	t->keep.req = IKE_REQ_NONE;
	t->keep.req_by = MONO_NEVER;
	if (s->child) {
		t->left_warm = true;
		ike_unwanted(t, o, IKE_WHY_UNWANTED, now);
		if (t->state != IKE_IDLE)
			return;
	}
	if (s->established)
		is_up(t, o, now);
	else if (s->present)
		give_up(t, o, now); /* connecting for somebody else's sake, or dying */
	else
		is_gone(t, o);
}

void ike_keep_updown(struct ike_tunnel *t, struct ike_acts *o, bool up, mono_t now)
{
	switch (t->keep.state) {
	case IKE_KEEP_OFF:
	case IKE_KEEP_N:
		t->count.ignored++;
		return;
	case IKE_KEEP_ASK:
	case IKE_KEEP_WANT:
	case IKE_KEEP_TRY:
	case IKE_KEEP_PAUSE:
		if (up)
			is_up(t, o, now);
		return;
	case IKE_KEEP_UP:
		/* It may be an older one that was replaced. */
		if (!up && t->keep.req == IKE_REQ_NONE)
			look(t, o, now);
		return;
	}
}

static void timer_due(struct ike_tunnel *t, struct ike_acts *o, mono_t now)
{
	switch (t->keep.state) {
	case IKE_KEEP_TRY:
		give_up(t, o, now);
		return;
	case IKE_KEEP_UP:
		t->keep.timer = mono_add(now, IKE_WARM_LOOK_NS);
		if (t->keep.req == IKE_REQ_NONE)
			look(t, o, now);
		return;
	case IKE_KEEP_PAUSE:
		enter(t, IKE_KEEP_ASK);
		look(t, o, now);
		return;
	case IKE_KEEP_OFF:
	case IKE_KEEP_ASK:
	case IKE_KEEP_WANT:
	case IKE_KEEP_N:
		t->keep.timer = MONO_NEVER;
		return;
	}
}

bool ike_keep_tick(struct ike_tunnel *t, struct ike_acts *o, mono_t now)
{
	if (t->keep.req != IKE_REQ_NONE && mono_due(t->keep.req_by, now)) {
		t->keep.req = IKE_REQ_NONE;
		t->keep.req_by = MONO_NEVER;
		if (t->keep.state == IKE_KEEP_ASK)
			pause(t, o, now);
		return true;
	}
	if (mono_due(t->keep.flight_by, now)) {
		t->keep.flying = false;
		t->keep.flight_by = MONO_NEVER;
		return true;
	}
	if (!mono_due(t->keep.timer, now))
		return false;
	timer_due(t, o, now);
	return true;
}

mono_t ike_keep_deadline(const struct ike_tunnel *t)
{
	return mono_min(t->keep.flight_by, mono_min(t->keep.timer, t->keep.req_by));
}
