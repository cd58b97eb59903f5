/*
 * Timers of virtual routers and groups: which are due, and what a step changed in them. The cost of a step is that of what
 * it changes, however many groups there are.
 */
#include "daemon/node_int.h"

#include "daemon/base/mutant.h"

static void retime(struct node *n, uint16_t group)
{
	const struct node_group *grp = &n->group[group];
	for (uint16_t i = 0; i < grp->n_members; i++) {
		uint16_t inst = grp->members[i];
		timerq_set(&n->inst_due, inst, grp->stalled ? MONO_NEVER : vrrp_deadline(&n->inst[inst]));
	}
	timerq_set(&n->group_due, group,
		   mono_min(mono_min(grp->stall_until, grp->plan_retry_at), role_deadline(&grp->role)));
}

void node_rebuild(struct node *n)
{
	timerq_init(&n->inst_due, n->n_inst ? &n->member[0].timer : NULL, sizeof(*n->member), n->n_inst);
	timerq_init(&n->group_due, n->n_groups ? &n->group[0].timer : NULL, sizeof(*n->group), n->n_groups);
	n->n_exposed = n->n_mine = n->n_mutes = 0;
	node_ike_recount(n);
	n->touched = NODE_NO_GROUP;
	n->touched_all = true; /* the next step looks at everything */
	n->stall_ns = INT64_MAX;
	n->stall_looked = MONO_ZERO;
	for (uint16_t i = 0; i < n->n_inst; i++) {
		int64_t ns = n->inst[i].conf->down_adverts * n->inst[i].conf->adv_ns;
		n->stall_ns = ns < n->stall_ns ? ns : n->stall_ns;
	}
	for (uint16_t g = 0; g < n->n_groups; g++) {
		n->group[g].touched = n->group[g].exposed = false;
		n->n_mine += n->group[g].mine;
		n->n_mutes += n->group[g].mutes;
		retime(n, g);
	}
}

/* True when it is to be looked at: a master fell silent. Expiries count only after the sockets were read dry. */
static bool member_due(struct node_run *r, uint16_t i, bool *expiry)
{
	struct node *n = r->n;
	struct vrrp *v = &n->inst[i];
	struct vrrp_ev tick = { .type = VRRP_EV_TICK };
	if (v->state == VRRP_MASTER) {
		node_vrrp(r, i, &tick);
		return false;
	}
	if (!n->drained) {
		*expiry = true;
		return false;
	}
	int64_t late = mono_sub(r->now, v->master_down_at);
	if (v->state == VRRP_BACKUP && late > v->master_adv_ns && !MUTANT(M_GUARD_OFF) && !n->member[i].rearmed) {
		/* We were late by more than an interval: what we did not hear may be our own fault. */
		tick.type = VRRP_EV_REARM;
		tick.u.rearm.delay_ns = vrrp_skew(v);
		n->member[i].rearmed = true;
		n->rearms++;
		struct node_act *a = node_tell(r, NODE_TOLD_REARMED);
		a->inst = i;
		a->late_ns = late;
	}
	node_vrrp(r, i, &tick);
	return true;
}

void node_vrrp_timers(struct node_run *r)
{
	struct node *n = r->n;
	bool expiry = false;
	uint32_t key;
	for (unsigned done = 0; done < NODE_TICK_MAX && timerq_pop(&n->inst_due, r->now, &key); done++) {
		uint16_t g = n->member[key].group;
		const struct node_group *grp = &n->group[g];
		bool silent = false;
		node_touch(n, g); /* its timers are set anew at the end of the step */
		for (uint16_t m = 0; m < grp->n_members && !grp->stalled; m++)
			if (mono_due(vrrp_deadline(&n->inst[grp->members[m]]), r->now))
				silent |= member_due(r, grp->members[m], &expiry);
		if (silent) /* members that fell silent together are judged together */
			node_evaluate(r, g);
	}
	if (expiry && !n->draining) {
		n->draining = true;
		node_emit(r, NODE_ACT_DRAIN);
	}
}

void node_group_timers(struct node_run *r)
{
	struct node *n = r->n;
	struct role_ev tick = { .type = ROLE_EV_TICK };
	uint32_t g;
	for (unsigned done = 0; done < NODE_TICK_MAX && timerq_pop(&n->group_due, r->now, &g); done++) {
		struct node_group *grp = &n->group[g];
		node_touch(n, (uint16_t)g);
		if (grp->stalled && mono_due(grp->stall_until, r->now)) {
			grp->stalled = false;
			grp->stall_until = MONO_NEVER;
			retime(n, (uint16_t)g); /* its adverts are due at once */
		}
		if (mono_due(role_deadline(&grp->role), r->now))
			node_role(r, (uint16_t)g, &tick);
		if (mono_due(grp->plan_retry_at, r->now))
			grp->plan_retry_at = MONO_NEVER;
	}
}

/* No peers, nothing under way, nothing waited for: time alone cannot change what is decided. */
static bool calm(const struct node *n, uint16_t group)
{
	const struct node_group *grp = &n->group[group];
	const mono_t waits[] = { grp->held_until,  grp->expired_since, grp->cut_since,     grp->split.since,
				 grp->split.maybe, grp->deaf_since,    grp->plan_retry_at, grp->role.hold_until };
	enum vrrp_state usual = grp->role.is == ROLE_MASTER ? VRRP_MASTER : VRRP_BACKUP;
	if (n->n_peers || n->maintenance || grp->role.state != ROLE_STABLE || grp->stalled || grp->gate_told)
		return false;
	for (unsigned i = 0; i < sizeof(waits) / sizeof(waits[0]); i++)
		if (!mono_is_never(waits[i]))
			return false;
	for (uint16_t i = 0; i < grp->n_members; i++) {
		const struct node_member *m = &n->member[grp->members[i]];
		const struct vrrp *v = &n->inst[grp->members[i]];
		if (m->down || m->tracked || m->lower || m->zero || !mono_is_never(m->higher_at) || v->expired ||
		    v->state != usual)
			return false;
	}
	return true;
}

void node_walk(struct node_run *r)
{
	struct node *n = r->n;
	uint16_t pieces = (uint16_t)((n->n_groups + NODE_WALK - 1) / NODE_WALK);
	for (unsigned i = 0; i < NODE_WALK && n->walk_next < n->n_groups; i++, n->walk_next++)
		if (!calm(n, n->walk_next))
			node_evaluate(r, n->walk_next);
	n->walk_at = n->walk_next < n->n_groups ? mono_add(r->now, NODE_HEARTBEAT_NS / (pieces + 1)) : MONO_NEVER;
}

/* Serves something, and nobody else could: the guardian must not end it. */
static void note_exposed(struct node_run *r, uint16_t group)
{
	struct node_group *grp = &r->n->group[group];
	bool serving = grp->role.is == ROLE_MASTER || grp->role.net_up || grp->adopting;
	bool exposed = serving && !node_ready_peer(r->n, group, r->now);
	r->n->n_exposed += (uint32_t)exposed - (uint32_t)grp->exposed;
	grp->exposed = exposed;
}

/* A change of role or readiness is said at once, not at the next heartbeat. */
static bool to_be_told(const struct node_run *r, uint16_t group)
{
	const struct node_group *grp = &r->n->group[group];
	return grp->told_role != grp->role.is || grp->told_ready != node_group_ready(r->n, group, r->now);
}

void node_settle(struct node_run *r)
{
	struct node *n = r->n;
	bool tell = false;
	for (uint16_t g = 0; n->touched_all && g < n->n_groups; g++)
		node_touch(n, g);
	n->touched_all = false;
	while (n->touched != NODE_NO_GROUP) {
		uint16_t g = n->touched;
		n->touched = n->group[g].next_touched;
		n->group[g].touched = false;
		retime(n, g);
		note_exposed(r, g);
		tell |= to_be_told(r, g);
	}
	if (!n->running)
		return;
	bool on = n->n_groups > 0 && n->n_exposed == 0;
	if (on != n->guardian_on) {
		n->guardian_on = on;
		node_emit(r, NODE_ACT_GUARDIAN)->on = on;
	}
	if (tell && n->n_peers)
		node_heartbeat(r);
}
