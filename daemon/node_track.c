/*
 * What is tracked moves priorities, and is a fault or none: here it meets the group table, which alone decides. A fault
 * goes the way of a link that is down: the group leaves its role by its transaction first, then the member is in FAULT.
 */
#include "daemon/node_int.h"

#include "daemon/base/require.h"

bool node_group_waits(const struct node *n, uint16_t group)
{
	const struct node_group *grp = &n->group[group];
	for (uint16_t i = 0; i < grp->n_members; i++)
		if (n->member[grp->members[i]].waits)
			return true;
	return false;
}

/*
 * The next advertisement bears it (RFC 9568 5.2.4). A backup judges its master anew when that one is heard next; what it
 * concluded from its former priority holds no longer.
 */
static void move_priority(struct node_run *r, uint16_t inst, uint8_t priority)
{
	struct node_member *m = &r->n->member[inst];
	const struct vrrp *v = &r->n->inst[inst];
	uint8_t from = v->wanted;
	if (from == priority)
		return;
	node_vrrp(r, inst, &(struct vrrp_ev){ .type = VRRP_EV_PRIORITY, .u.priority = priority });
	if (v->peer.src.af == ADDR_NONE || v->peer.priority >= v->priority)
		m->lower = false;
	struct node_act *a = node_tell(r, NODE_TOLD_PRIORITY);
	a->inst = inst;
	a->from = from;
	a->to = priority;
}

static void set_fault(struct node_run *r, uint16_t inst, bool fault)
{
	struct node_member *m = &r->n->member[inst];
	struct vrrp_ev ev = { .type = VRRP_EV_TRACK, .u.track.fault = fault };
	if (m->tracked == fault)
		return;
	m->tracked = fault;
	node_touch(r->n, m->group);
	/* A group that leaves because of it still has to say so on all members: the group table comes first. */
	if (fault)
		node_evaluate(r, m->group);
	node_vrrp(r, inst, &ev);
	if (fault)
		return;
	node_evaluate(r, m->group);
	if (r->n->running)
		node_settle_member(r, inst);
}

void node_on_track(struct node_run *r, const struct node_ev *ev)
{
	struct node *n = r->n;
	if (ev->inst >= n->n_inst || ev->priority == 0) {
		n->stale++;
		return;
	}
	uint16_t group = n->member[ev->inst].group;
	move_priority(r, ev->inst, ev->priority);
	n->member[ev->inst].waits = ev->waits;
	set_fault(r, ev->inst, ev->fault);
	if (n->running && !n->stopping && n->group[group].role.is == ROLE_INIT)
		node_begin(r, group, ROLE_R_START);
	node_evaluate(r, group);
}
