/* Sweeps over the kernel's table: when, how fast, and what one that was complete has not found. */
#include "daemon/base/mutant.h"
#include "daemon/base/require.h"
#include "sync/sync_int.h"

/* 100,000 sessions in 0.7 s: a burst that overran the socket may need two of them within 5 s. */
#define SWEEP_HURRY_RATE 150000

void sync_on_overrun(struct sync *s, mono_t now)
{
	s->stats.overruns++;
	s->sweep_hurry = true;
	/* What was lost may lie where a running sweep has been already. */
	s->sweep_again |= s->sweeping;
	s->sweep_at = now;
}

/* First what the last one did not see is asked for: marks have one bit, and turned twice they would say that it did. */
bool sync_sweep_wanted(const struct sync *s, mono_t now)
{
	return !s->sweeping && !s->missing_walking && mono_due(s->sweep_at, now);
}

/* The whole table within a quarter of a lease: renewals are due at half. */
uint32_t sync_sweep_rate(const struct sync *s)
{
	uint32_t need = sess_count(&s->tbl) / (sync_lease_s(s) / 4 > 0 ? sync_lease_s(s) / 4 : 1);
	uint32_t rate = need > SYNC_SWEEP_RATE ? need : SYNC_SWEEP_RATE;

	if (s->sweeps_done == 0)
		return 0;
	return s->sweep_hurry && rate < SWEEP_HURRY_RATE ? SWEEP_HURRY_RATE : rate;
}

void sync_sweep_begin(struct sync *s, mono_t now)
{
	require(!s->missing_walking);
	/* After one that did not end its marks go on: with one bit, turning twice would make all look seen. */
	if (!s->sweep_marks)
		s->sweep_parity = !s->sweep_parity;
	s->sweeping = s->sweep_marks = true;
	s->sweep_judges = mono_due(s->judge_at, now);
	if (s->sweep_judges)
		s->judge_at = mono_add(now, SYNC_LEFTOVER_NS);
	s->sweep_at = now;
}

void sync_sweep_end(struct sync *s, bool complete, mono_t now)
{
	s->sweeping = false;
	s->sweep_at = mono_add(now, complete ? SYNC_SWEEP_NS : NS_PER_SEC);
	if (!complete)
		return;
	s->stats.sweeps++;
	s->sweeps_done++;
	s->sweep_hurry = s->sweep_again;
	if (s->sweep_again)
		s->sweep_at = now;
	s->sweep_again = false;
	s->sweep_marks = false;
	s->missing_walking = true;
	sess_walk_start(&s->missing_walk);
}

/* Our copy was lost, or not written yet, when the flow became ours: nobody else can give it back. */
static bool is_missing(const struct sync *s, struct flow f)
{
	uint32_t not_so = SESS_KERN | SESS_GONE | SESS_DEAD_DEL | SESS_DEAD_EXP;

	return !(f.x->flags & not_so) && f.x->why == SYNC_WHY_NONE && f.x->list == SESS_LIST_NONE &&
	       f.x->queue == SESS_QUEUE_NONE && flow_mine(s, f);
}

/* A copy that is not in the kernel and waits for nothing: a question went down with its connection, its owner changed. */
static void want_again(struct sync *s, struct flow f)
{
	unsigned owner = flow_owner(s, f);

	if (f.x->flags & (SESS_KERN | SESS_GONE | SESS_REFUSED | SESS_ASK) || f.x->list != SESS_LIST_NONE ||
	    f.x->queue != SESS_QUEUE_NONE || f.x->why != SYNC_WHY_NONE || owner == 0 || owner == s->self_slot)
		return;
	f.x->flags |= SESS_WANT;
	flow_dirty(s, f, 1u << (owner - 1));
}

/* Entries that the sweep did not show are asked for one by one: a dump may miss what moves. */
void sync_missing_step(struct sync *s, unsigned budget, mono_t now)
{
	struct flow f;

	if (!s->missing_walking)
		return;
	while ((f.id = sess_walk_next(&s->tbl, &s->missing_walk, &budget)) != 0) {
		f.x = sess_at(&s->tbl, f.id);
		if (store_outlived(s, f, now)) {
			flow_drop(s, f, false);
			continue;
		}
		if (is_missing(s, f)) {
			s->stats.repaired++;
			flow_want(s, f, SESS_OP_PUT, SESS_QUEUE_RENEW);
			continue;
		}
		want_again(s, f);
		bool swept = f.x->flags & SESS_SWEPT;
		if (!(f.x->flags & SESS_KERN) || f.x->flags & SESS_GONE || swept == s->sweep_parity ||
		    f.x->queue != SESS_QUEUE_NONE)
			continue;
		if (MUTANT(M_SWEEP_BLIND))
			continue;
		flow_want(s, f, SESS_OP_GET, SESS_QUEUE_RENEW);
	}
	s->missing_walking = s->missing_walk.active;
}
