/* What is tracked fails and comes back, also in quick turns; a tracked fault must cost the role. */
#include "daemon/base/require.h"
#include "tests/sim/sim.h"

#define OBEYED_NS (3 * NS_PER_SEC) /* a fault takes the role within this, whatever is under way */

static void tell(struct sim *w, unsigned n, unsigned inst, bool fault, int points)
{
	int base = w->conf[n][inst].priority, priority = base + points;
	if (!w->box[n].p)
		return;
	struct sim_item *it = sim_item_new(w, IT_OPER, n);
	it->num = OPER_TRACK;
	it->inst = (uint16_t)inst;
	it->flag = fault;
	it->gen = (uint32_t)(base == 255 ? 255 : priority < 1 ? 1 : priority > 254 ? 254 : priority);
	sim_post(w, it, 0);
}

bool sim_track_wanted(const struct sim *w)
{
	return w->seed % 4 == 3;
}

/* Of a group all members are told the same points; a fault is one member's own. */
void sim_track_fail(struct sim *w, unsigned n, unsigned inst)
{
	if (sim_chance(w, 0.5)) {
		w->count.track_fault++;
		TRACE(w, "n%u what instance %u tracks is a fault", n + 1, inst);
		tell(w, n, inst, true, 0);
		return;
	}
	int points = (int)sim_range(w, -120, 60);
	w->count.track_points++;
	TRACE(w, "n%u priorities of the group of instance %u move by %d", n + 1, inst, points);
	for (unsigned i = 0; i < w->n_inst; i++)
		if (w->conf[n][i].group == w->conf[n][inst].group)
			tell(w, n, i, false, points);
}

void sim_track_calm(struct sim *w, unsigned n)
{
	for (unsigned i = 0; i < w->n_inst; i++)
		tell(w, n, i, false, 0);
}

void sim_track_check(struct sim *w, unsigned n)
{
	struct sim_proc *p = w->box[n].p;
	for (unsigned i = 0; i < w->n_inst; i++) {
		const struct role *r = &p->group[p->member[i].group].role;
		struct sim_inst *si = &p->si[i];
		if (!p->member[i].tracked || p->stopped_until.ns)
			si->tracked_at = MONO_NEVER;
		else if (mono_is_never(si->tracked_at))
			si->tracked_at = w->now;
		if (mono_is_never(si->tracked_at) || w->degrade || mono_sub(w->now, si->tracked_at) < OBEYED_NS)
			continue;
		if (r->is == ROLE_MASTER && r->state == ROLE_STABLE && p->node.running)
			sim_violation(w, "n%u is MASTER of group %u, and what instance %u tracks is a fault", n + 1,
				      p->member[i].group, i);
	}
}
