/* A node that slept: what it may not do before it has listened. */
#include "daemon/base/mutant.h"
#include "daemon/node_int.h"

#define STALL_LOOKS 16 /* in the shortest master-down time of ours */

/* A MASTER that slept past its own master-down time must listen before it speaks (design: "Stall guard"). */
void node_stall_check(struct node_run *r)
{
	struct node *n = r->n;
	if (MUTANT(M_GUARD_OFF))
		return;
	uint32_t iter = 0, inst;
	/* Who looked a moment ago did not sleep since: thousands of late ones are not looked at with every event. */
	if (mono_sub(r->now, n->stall_looked) < n->stall_ns / STALL_LOOKS)
		return;
	n->stall_looked = r->now;
	mono_t slept = mono_sub(r->now, MONO_ZERO) > n->stall_ns ? mono_add(r->now, -n->stall_ns) : MONO_ZERO;
	while (timerq_walk(&n->inst_due, slept, &iter, &inst)) {
		uint16_t g = n->member[inst].group;
		struct node_group *grp = &n->group[g];
		if (grp->members[0] != inst || grp->role.state == ROLE_DEMOTING || grp->stalled)
			continue;
		const struct vrrp *v = &n->inst[inst];
		if (v->state != VRRP_MASTER || mono_is_never(v->advert_at))
			continue;
		int64_t late = mono_sub(r->now, v->advert_at);
		if (late <= vrrp_own_down(v))
			continue;
		grp->stalled = true;
		grp->stall_until = mono_add(r->now, v->conf->adv_ns);
		node_touch(n, g);
		n->stalls++;
		struct node_act *a = node_tell(r, NODE_TOLD_STALL);
		a->group = g;
		a->late_ns = late;
		if (!n->draining)
			node_emit(r, NODE_ACT_DRAIN);
		n->draining = true;
	}
}

/* Whoever slept longer than a channel's silence takes what waited in its sockets for history until all of it is read. */
void node_wake_check(struct node_run *r)
{
	struct node *n = r->n;
	if (n->woke || mono_is_never(n->due_at) || mono_sub(r->now, n->due_at) <= NODE_CHANNEL_NS)
		return;
	n->woke = true;
	if (!n->draining)
		node_emit(r, NODE_ACT_DRAIN);
	n->draining = true;
}

/* Somebody else is master while we slept. */
void node_stalled_heard(struct node_run *r, uint16_t group)
{
	struct node_group *grp = &r->n->group[group];
	if (!grp->stalled)
		return;
	node_touch(r->n, group);
	grp->stalled = false;
	grp->stall_until = MONO_NEVER;
	node_wish(r, group, ROLE_BACKUP, ROLE_K_FORCED, ROLE_R_STALL, r->now);
}
