/*
 * What an operator orders: resets and a full comparison. "Forget" never means a session that lives: an own flow keeps its
 * record, since without it the peers would be told that it ended, and a copy in the kernel keeps the evidence of traffic
 * that only its record holds. What is forgotten is what was concluded: judgements, refusals, lost copies. Then the kernel
 * is read, and full bulks tell all of it again; both are compared with what is here, by the same rules as ever.
 */
#include <string.h>
#include "daemon/base/err.h"
#include "sync/sync_int.h"

#define DEAD (SESS_DEAD_DEL | SESS_DEAD_EXP)

void sync_on_resync(struct sync *s, struct sync_peer *p, mono_t now)
{
	(void)now;
	s->stats.rx_resyncs++;
	p->again.out_due = true; /* however often it asks, one waits; sync_again_step keeps the distance */
}

void sync_again_step(struct sync_peer *p, mono_t now)
{
	if (!p->again.out_due || p->bulk.running || !mono_due(p->again.out_at, now))
		return;
	p->again.out_due = false;
	p->again.out_at = mono_add(now, SYNC_RESYNC_NS);
	p->bulk.wanted = p->bulk.full = true;
}

/* The whole kernel, soon, and from its beginning if it is being read. */
static void read_again(struct sync *s, mono_t now)
{
	s->reset.sweeps = s->sweeps_done + s->sweeping;
	s->sweep_hurry = true;
	s->sweep_again = s->sweeping;
	s->sweep_at = now;
}

static void tell_again(struct sync *s, struct sync_peer *p)
{
	p->again.out_due = true;
	s->reset.out |= (uint8_t)(1u << (p->slot - 1));
	s->reset.n_out[p->slot - 1] = p->again.n_out + (p->bulk.running && p->bulk.full);
}

static void hear_again(struct sync *s, struct sync_peer *p)
{
	p->again.in_due = true;
	s->reset.in |= (uint8_t)(1u << (p->slot - 1));
	s->reset.n_in[p->slot - 1] = p->again.n_in + p->rx_bulk.open;
}

int sync_reset_give(struct sync *s, enum sync_order order, mono_t now)
{
	if (s->owner.muted)
		return ERR_STATE;
	s->reset = (struct sync_reset){ .given = true, .order = order, .begin = now, .end = MONO_NEVER };
	s->stats.resyncs++;
	s->reset.walking = order != SYNC_ORDER_RESYNC;
	sess_walk_start(&s->reset.walk);
	read_again(s, now);
	for (unsigned slot = 1; slot <= SESS_NODES; slot++) {
		struct sync_peer *p = sync_peer_slot(s, slot);
		if (!p || !p->up)
			continue;
		if (order != SYNC_ORDER_EXTERNAL)
			tell_again(s, p);
		if (order != SYNC_ORDER_INTERNAL)
			hear_again(s, p);
		/* A repair that could not help may be tried at once again. */
		p->repair_until = now;
	}
	return 0;
}

/* What was concluded of an own flow, by a peer's word or by an earlier configuration, is concluded anew. */
static void judge_own(struct sync *s, struct flow f)
{
	if (f.x->flags & DEAD || f.x->list == SESS_LIST_EXPIRY)
		return;
	bool was = f.x->why == SYNC_WHY_NONE;
	s->reset.judged++;
	s->stats.reset_judged++;
	if (f.x->why == SYNC_WHY_PEER_LOCAL) {
		flow_uncount(s, f);
		f.x->why = SYNC_WHY_NONE;
	}
	flow_forget_err(f);
	flow_judge(s, f);
	if (was != (f.x->why == SYNC_WHY_NONE))
		flow_dirty(s, f, ALL_PEERS);
}

static void forget_copy(struct sync *s, struct flow f)
{
	/* What waits in the store is no loss. */
	if (f.x->queue != SESS_QUEUE_NONE || f.x->why != SYNC_WHY_NONE || f.x->list == SESS_LIST_STORE)
		return;
	/* Its owner was told that it is refused here, and has to hear how the next attempt goes. */
	if (f.x->flags & SESS_REFUSED) {
		s->stats.op_retried++;
		flow_want(s, f, SESS_OP_PUT, SESS_QUEUE_BULK);
		return;
	}
	if (f.x->flags & SESS_KERN || !(f.x->flags & SESS_WANT) || !sync_any_up(s))
		return;
	s->reset.forgotten++;
	s->stats.reset_forgotten++;
	flow_drop(s, f, false);
}

static void walk(struct sync *s, unsigned budget)
{
	struct flow f;

	while (s->reset.walking && (f.id = sess_walk_next(&s->tbl, &s->reset.walk, &budget)) != 0) {
		f.x = sess_at(&s->tbl, f.id);
		if (f.x->flags & SESS_GONE)
			continue;
		bool mine = flow_mine(s, f);
		if (mine && s->reset.order == SYNC_ORDER_INTERNAL)
			judge_own(s, f);
		else if (!mine && s->reset.order == SYNC_ORDER_EXTERNAL && flow_owner(s, f) != 0)
			forget_copy(s, f);
	}
	s->reset.walking = s->reset.walk.active;
}

void sync_reset_step(struct sync *s, unsigned budget, mono_t now)
{
	struct sync_reset *r = &s->reset;

	if (!r->given || !mono_is_never(r->end))
		return;
	if (r->walking)
		walk(s, budget);
	for (unsigned i = 0; i < SESS_NODES; i++) {
		const struct sync_peer *p = &s->peers[i];
		uint8_t bit = (uint8_t)(1u << i);
		if (p->again.n_out > r->n_out[i] || !p->up)
			r->out &= (uint8_t)~bit;
		if (p->again.n_in > r->n_in[i] || !p->up)
			r->in &= (uint8_t)~bit;
	}
	if (!r->walking && s->sweeps_done > r->sweeps && r->out == 0 && r->in == 0)
		r->end = now;
}

void sync_counters_clear(struct sync *s)
{
	memset(&s->stats, 0, sizeof(s->stats));
	memset(s->filter_hits, 0, sizeof(s->filter_hits));
	memset(s->count.born, 0, sizeof(s->count.born));
	memset(s->count.born_before, 0, sizeof(s->count.born_before));
	for (unsigned i = 0; i < SESS_NODES; i++)
		hist_clear(&s->peers[i].lag.stored);
}
