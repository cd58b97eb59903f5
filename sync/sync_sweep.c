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

/* What only a sweep sets right, or what follows from it. While there is any, the next one comes soon. */
static uint64_t finds(const struct sync *s)
{
	const struct sync_stats *st = &s->stats;

	return st->found + st->vanished + st->lost + st->repaired + st->evidence + st->claims + st->leftovers +
	       st->offered + st->extra + st->op_restored + st->op_strict;
}

void sync_sweep_soon(struct sync *s, int64_t in_ns, mono_t now)
{
	s->sweep_at = mono_min(s->sweep_at, mono_add(now, in_ns));
	s->sweep_calm = false;
	s->sweep_news = true; /* a running one may have passed what it concerns */
}

void sync_sweep_cost(struct sync *s, int64_t ns)
{
	s->sweep_cost = ns;
}

/* What the pace has not yet made of the share, renewals permitting: a table of few entries is read in one piece. */
static int64_t pause_after(const struct sync *s, mono_t now)
{
	int64_t took = mono_sub(now, s->sweep_began);
	int64_t pause = s->sweep_cost * SYNC_SWEEP_SHARE - took, most = sync_lease_s(s) * NS_PER_SEC / 4 - took;

	if (pause > most)
		pause = most;
	if (pause > SYNC_SWEEP_REST_NS)
		pause = SYNC_SWEEP_REST_NS;
	return s->sweep_calm && pause > SYNC_SWEEP_NS ? pause : SYNC_SWEEP_NS;
}

/* First what the last one did not see is asked for: marks have one bit, and turned twice they would say that it did. */
bool sync_sweep_wanted(const struct sync *s, mono_t now)
{
	return !s->sweeping && !s->missing_walking && mono_due(s->sweep_at, now);
}

/* The whole table within a quarter of a lease: renewals are due at half. */
static uint32_t needed_rate(const struct sync *s)
{
	return sess_count(&s->tbl) / (sync_lease_s(s) / 4 > 0 ? sync_lease_s(s) / 4 : 1);
}

uint32_t sync_sweep_rate(const struct sync *s)
{
	uint32_t need = needed_rate(s), rate = need > SYNC_SWEEP_RATE ? need : SYNC_SWEEP_RATE;

	if (s->sweeps_done == 0)
		return 0;
	return s->sweep_hurry && rate < SWEEP_HURRY_RATE ? SWEEP_HURRY_RATE : rate;
}

uint32_t sync_sweep_least(const struct sync *s)
{
	uint32_t need = needed_rate(s);

	if (!s->sweep_calm || s->sweep_hurry || s->sweep_news || finds(s) != s->sweep_finds)
		return sync_sweep_rate(s);
	return need > 0 ? need : 1;
}

void sync_sweep_begin(struct sync *s, mono_t now)
{
	require(!s->missing_walking);
	/* After one that did not end its marks go on: with one bit, turning twice would make all look seen. */
	if (!s->sweep_marks)
		s->sweep_parity = !s->sweep_parity;
	s->sweeping = s->sweep_marks = true;
	s->sweep_news = false;
	s->sweep_cost = 0;
	s->sweep_began = now;
	s->sweep_judges = mono_due(s->judge_at, now);
	if (s->sweep_judges)
		s->judge_at = mono_add(now, SYNC_LEFTOVER_NS);
	s->sweep_at = now;
}

void sync_sweep_end(struct sync *s, bool complete, mono_t now)
{
	s->sweeping = false;
	s->sweep_calm =
	    complete && !s->sweep_hurry && !s->sweep_news && s->sweeps_done > 0 && finds(s) == s->sweep_finds;
	s->sweep_at = mono_add(now, complete ? pause_after(s, now) : NS_PER_SEC);
	if (!complete)
		return;
	s->sweep_finds = finds(s);
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
