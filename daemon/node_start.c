/*
 * How a node begins: the startup delay, in which no role is taken, and who need not wait: the owner of its addresses, and a
 * group whose role goes on.
 */
#include "daemon/node_int.h"

#include "daemon/base/mutant.h"

bool node_owns(const struct node *n, uint16_t group)
{
	const struct node_group *grp = &n->group[group];
	for (uint16_t i = 0; i < grp->n_members; i++)
		if (n->inst[grp->members[i]].wanted != 255)
			return false;
	return true;
}

bool node_starting(const struct node *n)
{
	return !mono_is_never(n->startup_until) && !MUTANT(M_STARTUP_DELAY_IGNORED);
}

void node_listens(struct node_run *r, uint16_t inst)
{
	const struct node *n = r->n;
	if (n->inst[inst].state != VRRP_BACKUP || n->n_peers || !node_owns(n, n->member[inst].group))
		return;
	node_vrrp(r, inst, &(struct vrrp_ev){ .type = VRRP_EV_REARM, .u.rearm.delay_ns = 1 });
}

void node_begin(struct node_run *r, uint16_t group, enum role_reason reason)
{
	struct node *n = r->n;
	enum role_reason why;
	if (node_group_waits(n, group) && !n->group[group].resuming)
		return;
	if (node_group_faulty(n, group, r->now, &why))
		node_wish(r, group, ROLE_FAULT, ROLE_K_FAULT, why, r->now);
	else
		node_wish(r, group, ROLE_BACKUP, ROLE_K_NONE, reason, r->now);
	for (uint16_t m = 0; m < n->group[group].n_members; m++)
		node_vrrp(r, n->group[group].members[m], &(struct vrrp_ev){ .type = VRRP_EV_START });
}

bool node_resumes(const struct node *n)
{
	for (uint16_t g = 0; g < n->n_groups; g++)
		if (n->group[g].resuming)
			return true;
	return false;
}

/*
 * Nobody heard of the change: the other routers wait for the next advert, and not for long. Whoever speaks first on the
 * wire or on the channel is believed (node_unadopt).
 */
void node_resume(struct node_run *r, uint16_t group)
{
	struct node *n = r->n;
	const struct node_group *grp = &n->group[group];
	if (!grp->resuming || grp->role.is != ROLE_BACKUP)
		return;
	for (uint16_t m = 0; m < grp->n_members; m++)
		if (n->inst[grp->members[m]].state == VRRP_BACKUP)
			node_vrrp(r, grp->members[m],
				  &(struct vrrp_ev){ .type = VRRP_EV_REARM, .u.rearm.delay_ns = 1 });
}

void node_startup_over(struct node_run *r)
{
	struct node *n = r->n;
	n->startup_until = MONO_NEVER;
	n->touched_all = true;
	node_tell(r, NODE_TOLD_STARTED);
	for (uint16_t i = 0; i < n->n_inst; i++) {
		if (n->inst[i].state != VRRP_BACKUP)
			continue;
		node_vrrp(r, i, &(struct vrrp_ev){ .type = VRRP_EV_REARM });
		node_listens(r, i);
	}
}
