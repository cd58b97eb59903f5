/*
 * What several nodes owe each other: with arbitrate nobody becomes a second master while the first one says on the channel
 * that it serves; and of those who could follow a master that goes, one does. Judged by what the world sees.
 */
#include <string.h>
#include "tests/sim/sim.h"

#define KNOWN_NS (2500 * NS_PER_MS) /* what lasts longer than this has reached everybody, however slow the channel */
#define FRESH_NS (200 * NS_PER_MS)
#define APART_NS (150 * NS_PER_MS) /* two that follow the same departure do so within this */

static const struct node_group *group_at(const struct sim *w, unsigned n, unsigned g)
{
	return &w->box[n].p->group[g];
}

/* The channel of n to m carries what m says now. */
static bool hears(const struct sim *w, unsigned n, unsigned m)
{
	const struct sim_ctl *c = &w->box[n].p->ctl[m];
	return c->up && mono_sub(w->now, c->heard_at) <= FRESH_NS && mono_sub(w->now, w->met[n][m]) > KNOWN_NS;
}

static bool lasts(const struct sim *w, mono_t since)
{
	return !mono_is_never(since) && since.ns && mono_sub(w->now, since) > KNOWN_NS;
}

static void since(const struct sim *w, mono_t *at, bool holds)
{
	if (!holds)
		*at = MONO_NEVER;
	else if (mono_is_never(*at) || !at->ns)
		*at = w->now;
}

/* At this instant: a tick may be some milliseconds ago. */
static bool serves_now(const struct sim *w, unsigned n, unsigned g)
{
	const struct role *r = &group_at(w, n, g)->role;
	return r->is == ROLE_MASTER && r->state == ROLE_STABLE;
}

/* Each tick of the world: since when what holds. */
void sim_group_tick(struct sim *w)
{
	for (unsigned n = 0; n < w->n_nodes; n++) {
		for (unsigned m = 0; m < w->n_nodes; m++) {
			bool met = n != m && sim_runs(w, n) && sim_runs(w, m) && w->box[n].p->ctl[m].up &&
				   w->box[m].p->ctl[n].up;
			since(w, &w->met[n][m], met);
			if (!met)
				w->met[n][m] = w->now;
		}
		for (unsigned g = 0; w->box[n].p && g < w->n_groups; g++) {
			struct sim_group *sg = &w->box[n].p->sg[g];
			const struct role *r = &group_at(w, n, g)->role;
			bool runs = sim_runs(w, n);
			since(w, &sg->serves_since, runs && serves_now(w, n, g));
			since(w, &sg->ready_since,
			      runs && r->is == ROLE_BACKUP &&
				  node_group_ready(&w->box[n].p->node, (uint16_t)g, w->now));
		}
	}
}

static void check_arbitration(struct sim *w, unsigned n, unsigned g, uint8_t reason)
{
	if (!w->arbitrate || (reason != ROLE_R_NO_RESPONSE && reason != ROLE_R_PRIORITY_ZERO))
		return;
	for (unsigned m = 0; m < w->n_nodes; m++)
		if (m != n && sim_runs(w, m) && serves_now(w, m, g) && lasts(w, w->box[m].p->sg[g].serves_since) &&
		    hears(w, n, m))
			sim_violation(w, "n%u takes group %u over although n%u serves it and says so on the channel",
				      n + 1, g, m + 1);
}

static void check_successor(struct sim *w, unsigned n, unsigned g, uint8_t reason)
{
	if (reason != ROLE_R_PEER_LEAVING && reason != ROLE_R_PROCESS_DEATH)
		return;
	const struct sim_followed *f = &w->followed[g];
	unsigned m = f->node;
	w->count.followed++;
	const struct role *other = w->box[m].p ? &group_at(w, m, g)->role : NULL;
	bool serves =
	    other && (other->state == ROLE_COMMITTING || (other->state == ROLE_STABLE && other->is == ROLE_MASTER));
	if (f->at.ns && m != n && serves && mono_sub(w->now, f->at) <= APART_NS && sim_runs(w, m) && hears(w, n, m) &&
	    hears(w, m, n) && lasts(w, w->box[n].p->sg[g].ready_since) && f->was_ready)
		sim_violation(w, "n%u and n%u both follow the master of group %u", m + 1, n + 1, g);
	w->followed[g] =
	    (struct sim_followed){ .at = w->now, .node = n, .was_ready = lasts(w, w->box[n].p->sg[g].ready_since) };
}

/* Node n is past its point of no return. */
void sim_group_commits(struct sim *w, unsigned n, unsigned g)
{
	uint8_t reason = group_at(w, n, g)->role.rec.reason;
	check_arbitration(w, n, g, reason);
	check_successor(w, n, g, reason);
}
