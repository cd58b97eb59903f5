/*
 * The invariants of replication: what is told and written, what the digests say, and, when all is quiet, that both
 * kernels have the same entries, each with one disposition, and that nothing is repaired without a cause.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include "sync/sync_int.h"
#include "tests/sim/sim.h"

#define SERVED_NS (15 * NS_PER_SEC) /* by then both have read what packets did before the last change of roles */

static const char *const kind_text[KINDS] = {
	[KIND_THROUGH] = "a session through the router",
	[KIND_LOCAL_ORIGIN] = "a session that a router itself opened",
	[KIND_LOCAL_DEST] = "a session that ends at a virtual address",
	[KIND_IGNORED] = "a session that a rule leaves out",
	[KIND_PROTO_OFF] = "a session of a protocol that is left out",
	[KIND_NODE_ADDR] = "a session translated to the router's own address",
};

/* ---- what is told and written ---- */

void sim_check_told(struct sim *w, unsigned n, const struct sync_rec *rec)
{
	const struct sync *core = w->box[n].p->sync.core;
	struct ct_tuple t = rec->e.orig;
	if (rec->type != SYNC_REC_SESSION && rec->type != SYNC_REC_CLAIM && rec->type != SYNC_REC_CURRENT)
		return;
	if (!rec->full && sess_at(&core->tbl, rec->handle))
		sess_orig(&core->tbl, rec->handle, &t);
	const struct sim_sess *s = sim_check_session(w, &t);
	if (s && s->kind != KIND_THROUGH)
		sim_violation(w, "n%u tells its peer %s (port %u)", n + 1, kind_text[s->kind], t.sport);
}

void sim_check_touched(struct sim *w, unsigned n, const struct ct_op *op)
{
	const struct sim_sess *s = sim_check_session(w, &op->e.orig);
	if (s && s->kind != KIND_THROUGH && op->cookie && op->type != CT_OP_GET)
		sim_violation(w, "n%u changes %s in its kernel (port %u, operation %d)", n + 1, kind_text[s->kind],
			      s->orig.sport, (int)op->type);
	/* What lives by seconds, and is refreshed by packets that make no event, runs out on the other node and comes back. */
	if (op->type == CT_OP_CREATE && !mono_is_never(w->watch_until) && !sync_policy_short(&op->e))
		sim_violation(w, "n%u writes a copy (port %u) while nothing happened", n + 1, op->e.orig.sport);
}

/* ---- digests ---- */

/* What a set would be if it were counted now. */
static void recount(const struct sync *s, unsigned slot, struct digest_set *d)
{
	struct sess_walk k;
	unsigned budget = UINT32_MAX;
	uint32_t id;
	digest_init(d, s->sets[slot - 1].key);
	sess_walk_start(&k);
	while ((id = sess_walk_next(&s->tbl, &k, &budget)) != 0) {
		struct flow f = { id, sess_at(&s->tbl, id) };
		struct ct_entry e;
		if (!(f.x->flags & SESS_COUNTED) || flow_owner(s, f) != slot)
			continue;
		sess_entry(&s->tbl, id, &e);
		struct digest_item it = digest_entry(d->key, &e);
		digest_add(d, &it);
	}
}

static void check_digests(struct sim *w, unsigned n)
{
	static struct digest_set d;
	const struct sync *s = w->box[n].p->sync.core;
	if (s->recounting)
		return;
	for (unsigned slot = 1; slot <= SESS_NODES; slot++) {
		if (!sess_node_id(&s->tbl, slot))
			continue;
		recount(s, slot, &d);
		w->count.recounts++;
		const struct digest_set *is = &s->sets[slot - 1];
		if (is->count != d.count || is->root != d.root || memcmp(is->b, d.b, sizeof(d.b)) != 0)
			sim_violation(w, "n%u: its digest of n%u's sessions is of %llu sessions, and there are %llu",
				      n + 1, slot, (unsigned long long)is->count, (unsigned long long)d.count);
	}
}

/* ---- as time goes by ---- */

/* What a full table gave up is gone by the kernel's own decision. */
void sim_check_dropped(struct sim *w)
{
	struct ct_tuple t;
	for (unsigned n = 0; n < w->n_nodes; n++)
		while (w->box[n].ct && fake_ct_dropped(w->box[n].ct, &t)) {
			struct sim_sess *s = (struct sim_sess *)(uintptr_t)sim_check_session(w, &t);
			if (s)
				s->flushed = w->now;
		}
}

void sim_check_sync_tick(struct sim *w)
{
	bool both = false;
	sim_check_dropped(w);
	for (unsigned a = 0; a < w->n_nodes; a++)
		for (unsigned b = a + 1; b < w->n_nodes; b++)
			both |= sim_runs(w, a) && sim_runs(w, b) && w->box[a].p->group[0].role.is == ROLE_MASTER &&
				w->box[b].p->group[0].role.is == ROLE_MASTER;
	w->count.both += both && !w->both_now;
	w->both_now = both;
}

void sim_check_sync_second(struct sim *w)
{
	for (unsigned n = 0; n < w->n_nodes; n++)
		if (w->box[n].p && sim_chance(w, 0.2))
			check_digests(w, n);
}

/* ---- at rest ---- */

static const char *entries_differ(const struct ct_entry *e, const struct ct_entry *f)
{
	if (memcmp(&e->reply, &f->reply, sizeof(e->reply)) != 0)
		return "is translated otherwise";
	if ((e->status ^ f->status) & (CT_ST_SRC_NAT | CT_ST_DST_NAT))
		return "has other NAT bits";
	if ((e->status ^ f->status) & SYNC_STATUS_STABLE)
		return "has another status";
	if (e->mark != f->mark)
		return "has another mark";
	return e->tcp_state != f->tcp_state ? "has another TCP state" : NULL;
}

/* The one thing that each session is. */
static bool disposed(struct sim *w, unsigned n, const struct ct_entry *e, struct sync_view *v, char *why, size_t cap)
{
	const struct sim_sess *s = sim_check_session(w, &e->orig);
	if (!sync_view_one(w->box[n].p->sync.core, &e->orig, v, w->now)) {
		snprintf(why, cap, "n%u has an entry of port %u that no record explains", n + 1, e->orig.sport);
		return false;
	}
	if ((unsigned)v->why >= SYNC_WHY_N || v->disp != sync_why_disposition(v->why)) {
		snprintf(why, cap, "n%u: disposition %d of port %u does not follow from its reason %d", n + 1,
			 (int)v->disp, e->orig.sport, (int)v->why);
		return false;
	}
	bool off = s && s->kind != KIND_THROUGH;
	if (off != (v->disp == SYNC_DISP_SKIPPED) && s) {
		snprintf(why, cap, "n%u: %s (port %u) is %s (%s)", n + 1, kind_text[s->kind], e->orig.sport,
			 sync_disposition_word(v->disp), sync_why_word(v->why));
		return false;
	}
	return true;
}

#define LEASE_LATE_S 4 /* renewals are due at half and wait for the sweep that reads the timer */

static bool entry_ok(struct sim *w, unsigned n, const struct ct_entry *e, char *why, size_t cap)
{
	struct sync_view v, x;
	struct ct_entry f;
	if (!disposed(w, n, e, &v, why, cap))
		return false;
	if (v.leased && !v.mine && v.disp == SYNC_DISP_SYNCED && !sync_policy_short(&v.e) &&
	    v.remaining_s + LEASE_LATE_S < w->lease_ns / NS_PER_SEC / 2) {
		snprintf(why, cap, "n%u has not renewed the lease of port %u: %u s are left", n + 1, e->orig.sport,
			 v.remaining_s);
		return false;
	}
	for (unsigned b = 0; b < w->n_nodes && v.disp == SYNC_DISP_SYNCED; b++) {
		struct sim_rec r;
		if (b == n || (sim_rec_find(w->box[b].p->sync.core, &e->orig, &r) && r.stored))
			continue; /* in a store: sim_check_tables looks at it */
		if (w->full_tables && sync_view_one(w->box[b].p->sync.core, &e->orig, &x, w->now) &&
		    x.why == SYNC_WHY_STANDBY_FULL)
			continue; /* one peer of its owner had no room, and this one has */
		bool there = fake_ct_find(w->box[b].ct, &e->orig, &f);
		bool known = sync_view_one(w->box[b].p->sync.core, &e->orig, &x, w->now);
		const char *what = !there                             ? "is not in the kernel"
				   : !known                           ? "is not known"
				   : x.disp != SYNC_DISP_SYNCED       ? "is not replicated"
				   : x.version.node != v.version.node ? "has another owner"
								      : entries_differ(e, &f);
		if (!what)
			continue;
		snprintf(why, cap,
			 "the entry of port %u (%u) in n%u's kernel %s at n%u (%s, %s there; status %#x and %#x, mark "
			 "%#x and %#x)",
			 e->orig.sport, e->orig.l4, n + 1, what, b + 1, v.mine ? "its own" : "a copy",
			 known ? sync_why_word(x.why) : "-", e->status, there ? f.status : 0, e->mark,
			 there ? f.mark : 0);
		return false;
	}
	return true;
}

/* A session that was used since the world came to rest is where its packets go. */
static bool in_use(struct sim *w, char *why, size_t cap)
{
	for (unsigned k = 0; k < SIM_SESS; k++) {
		const struct sim_sess *s = &w->sess[k];
		struct ct_entry e;
		if (s->state != SESS_OPEN || !s->safe || s->by < 0 || s->idle ||
		    mono_sub(w->now, s->last) > 25 * NS_PER_SEC || fake_ct_find(w->box[s->by].ct, &s->orig, &e))
			continue;
		snprintf(why, cap, "n%d has lost the session of port %u, used %.3f s ago", s->by + 1, s->orig.sport,
			 (double)mono_sub(w->now, s->last) / 1e9);
		return false;
	}
	return true;
}

bool sim_check_kernels(struct sim *w, char *why, size_t cap)
{
	struct ct_event ev[32];
	for (unsigned n = 0; n < w->n_nodes; n++) {
		uint64_t cursor = 0;
		unsigned k;
		check_digests(w, n);
		while ((k = fake_ct_dump(w->box[n].ct, &cursor, ev, 32)) > 0)
			for (unsigned i = 0; i < k; i++)
				if (!entry_ok(w, n, &ev[i].e, why, cap))
					return false;
	}
	return in_use(w, why, cap);
}

/* ---- watching a quiet world ---- */

/* All that is replicated belongs to the one that serves: nobody has a reason to claim. */
static bool all_served(const struct sim *w)
{
	for (unsigned n = 0; n < w->n_nodes; n++) {
		const struct sync *s = w->box[n].p->sync.core;
		struct sess_walk k;
		unsigned budget = UINT32_MAX;
		uint32_t id;
		sess_walk_start(&k);
		while ((id = sess_walk_next(&s->tbl, &k, &budget)) != 0) {
			struct flow f = { id, sess_at(&s->tbl, id) };
			unsigned owner = flow_owner(s, f);
			if (f.x->flags & SESS_GONE || owner == 0 || f.x->why != SYNC_WHY_NONE)
				continue;
			int node = sim_node_of(sess_node_id(&s->tbl, owner));
			if (node < 0 || w->box[node].p->group[0].role.is != ROLE_MASTER ||
			    mono_sub(w->now, w->box[node].p->sg[0].serves_since) < SERVED_NS)
				return false;
		}
	}
	return w->n_groups == 1;
}

static struct epoch roles(const struct sim *w)
{
	struct epoch e = { 0, 0 };
	for (unsigned n = 0; n < w->n_nodes; n++)
		if (w->box[n].p)
			e = epoch_max(e, w->box[n].p->node.seen);
	return e;
}

void sim_check_watch(struct sim *w)
{
	w->count.watched++;
	TRACE(w, "watched from now on");
	w->watch_claims = all_served(w);
	w->watch_epoch = roles(w);
	for (unsigned n = 0; n < w->n_nodes; n++)
		w->watch[n] = w->box[n].p->sync.core->stats;
}

#define SAME(name)                                                                    \
	if (a->name != b->name)                                                       \
	sim_violation(w, "n%u: %s rose by %llu while nothing happened", n + 1, #name, \
		      (unsigned long long)(b->name - a->name))

void sim_check_watched(struct sim *w)
{
	if (epoch_cmp(roles(w), w->watch_epoch) != 0)
		return;         /* somebody preempted after a delay */
	uint64_t forgotten = 0; /* ends that nobody told: the digests settle them */
	bool asked = false;
	for (unsigned n = 0; n < w->n_nodes; n++) {
		const struct sync_stats *a = &w->watch[n], *b = &w->box[n].p->sync.core->stats;
		asked |= a->rx_expired != b->rx_expired || a->extra != b->extra;
	}
	for (unsigned n = 0; n < w->n_nodes; n++) {
		const struct sync_stats *a = &w->watch[n], *b = &w->box[n].p->sync.core->stats;
		forgotten += b->expire_forgotten + b->destroy_forgotten - a->expire_forgotten - a->destroy_forgotten;
		/* A digest that is on its way while a flow changes hands describes what was. */
		/* Who was asked may have claimed, and the next packet takes the flow back from him. */
		if (w->watch_claims && !asked)
			SAME(claims);
		forgotten += b->claims - a->claims;
	}
	for (unsigned n = 0; n < w->n_nodes && !forgotten; n++) {
		const struct sync_stats *a = &w->watch[n], *b = &w->box[n].p->sync.core->stats;
		if (w->n_nodes == 2) { /* among three an end may be told by a handle that came from the third */
			SAME(digests_differ);
			SAME(buckets_resent);
		}
		/* Copies of what lives by seconds run out, are asked for and come back. */
		if (b->repaired - a->repaired > b->lost - a->lost)
			SAME(repaired);
		SAME(extra);
		SAME(offered);
		SAME(bulks);
		SAME(overruns);
	}
}
#undef SAME
