/*
 * Tunnels in the node core: purge and initiate by group, and what the tunnels answer to the role transaction.
 */
#include "daemon/node_int.h"

bool node_ike_leftovers(const struct node *n, uint16_t group)
{
	for (uint16_t t = 0; t < n->n_tunnels; t++)
		if (n->tunnel[t].conf.group == group && ike_needs_purge(&n->tunnel[t]))
			return true;
	return false;
}

static void purge_answered(struct node_run *r, uint16_t group, struct epoch epoch)
{
	struct node_group *grp = &r->n->group[group];
	if (epoch_cmp(epoch, grp->role.epoch) != 0)
		return; /* of a purge that was overtaken */
	if (!grp->tunnels_due || --grp->tunnels_due)
		return;
	struct role_ev ev = { .type = ROLE_EV_PURGED, .epoch = epoch };
	node_role(r, group, &ev);
}

static void came_up(struct node_run *r, uint16_t group, struct epoch epoch)
{
	struct node_group *grp = &r->n->group[group];
	if (epoch_cmp(epoch, grp->role.epoch) != 0)
		return;
	if (!grp->tunnels_up_due || --grp->tunnels_up_due)
		return;
	struct role_ev ev = { .type = ROLE_EV_IKE_UP, .epoch = epoch };
	node_role(r, group, &ev);
}

static void mark(struct node_run *r, const struct ike_tunnel *t, enum role_phase phase)
{
	struct role_ev ev = { .type = ROLE_EV_IKE_MARK, .epoch = r->n->group[t->conf.group].role.epoch, .phase = phase };
	node_role(r, t->conf.group, &ev);
}

/* What the timeline of a role change shows of its tunnels. */
static void mark_event(struct node_run *r, const struct ike_tunnel *t, const struct ike_ev *ev)
{
	bool of_role = epoch_cmp(t->epoch, r->n->group[t->conf.group].role.epoch) == 0;
	if (!of_role)
		return;
	if (ev->kind == IKE_EV_SWEPT && ev->ok)
		mark(r, t, ROLE_PH_SWEEP);
	else if (ev->kind == IKE_EV_IKE_UPDOWN && ev->up && t->active)
		mark(r, t, ROLE_PH_IKE_AUTH);
	else if (ev->kind == IKE_EV_SA_LIST && ev->sample.in_packets && t->active)
		mark(r, t, ROLE_PH_PACKET);
}

void node_ike(struct node_run *r, uint16_t tunnel, const struct ike_ev *ev)
{
	struct ike_tunnel *t = &r->n->tunnel[tunnel];
	struct ike_acts acts;
	mark_event(r, t, ev);
	if (ev->kind == IKE_EV_SA_LIST && ev->seq == 0)
		return; /* looked at for the timeline only: the machine did not ask */
	ike_step(t, ev, r->now, &acts);
	for (unsigned i = 0; i < acts.n; i++) {
		const struct ike_act *ia = &acts.a[i];
		switch (ia->kind) {
		case IKE_ACT_TERMINATE:
		case IKE_ACT_INITIATE:
		case IKE_ACT_REKEY:
		case IKE_ACT_LIST:
		case IKE_ACT_SWEEP: {
			struct node_act *a = node_emit(r, NODE_ACT_IKE);
			a->tunnel = tunnel;
			a->ike = *ia;
			break;
		}
		case IKE_ACT_PURGED:
			purge_answered(r, t->conf.group, ia->epoch);
			break;
		case IKE_ACT_UP:
			came_up(r, t->conf.group, ia->epoch);
			break;
		case IKE_ACT_DOWN:
		case IKE_ACT_DPD_DEAD:
		case IKE_ACT_RESET_FAILED:
			break; /* each comes with its hook and its trace */
		case IKE_ACT_HOOK: {
			struct node_act *a = node_emit(r, NODE_ACT_HOOK);
			a->hook = ia->hook;
			a->tunnel = tunnel;
			a->group = t->conf.group;
			a->reason = (uint8_t)ia->reason;
			a->epoch = t->epoch;
			break;
		}
		case IKE_ACT_TRACE: {
			struct node_act *a = node_tell(r, NODE_TOLD_TUNNEL);
			a->tunnel = tunnel;
			a->ike = *ia;
			break;
		}
		case IKE_ACT_N:
			break;
		}
	}
}

void node_ike_purge(struct node_run *r, uint16_t group, struct epoch epoch)
{
	struct node *n = r->n;
	uint16_t due = 0;
	for (uint16_t t = 0; t < n->n_tunnels; t++)
		due = (uint16_t)(due + (n->tunnel[t].conf.group == group));
	n->group[group].tunnels_due = due;
	n->group[group].tunnels_up_due = 0;
	struct ike_ev ev = { .kind = IKE_EV_PURGE, .epoch = epoch };
	for (uint16_t t = 0; t < n->n_tunnels; t++)
		if (n->tunnel[t].conf.group == group)
			node_ike(r, t, &ev);
}

void node_ike_initiate(struct node_run *r, uint16_t group, struct epoch epoch)
{
	struct node *n = r->n;
	n->group[group].tunnels_due = 0;
	uint16_t due = 0;
	for (uint16_t t = 0; t < n->n_tunnels; t++)
		due = (uint16_t)(due + (n->tunnel[t].conf.group == group && n->tunnel[t].conf.initiate &&
					n->tunnel[t].conf.backend != IKE_BACKEND_NONE));
	n->group[group].tunnels_up_due = due;
	struct ike_ev ev = { .kind = IKE_EV_INITIATE, .epoch = epoch };
	/* Lower numbers first, in one pass per priority present. */
	for (int prio = 0, next; prio < 256; prio = next) {
		next = 256;
		for (uint16_t t = 0; t < n->n_tunnels; t++) {
			if (n->tunnel[t].conf.group != group)
				continue;
			if (n->tunnel[t].conf.priority == prio)
				node_ike(r, t, &ev);
			else if (n->tunnel[t].conf.priority > prio && n->tunnel[t].conf.priority < next)
				next = n->tunnel[t].conf.priority;
		}
	}
}

void node_ike_copies(struct node_run *r, uint16_t group, bool import, struct epoch epoch)
{
	struct node_act *a = node_emit(r, import ? NODE_ACT_SA_IMPORT : NODE_ACT_SA_REMOVE);
	a->group = group;
	a->epoch = epoch;
}

void node_on_copies(struct node_run *r, const struct node_ev *ev)
{
	struct node *n = r->n;
	if (ev->group >= n->n_groups) {
		n->stale++;
		return;
	}
	if (ev->type == NODE_EV_SA_COPIES) {
		n->group[ev->group].sa_copies = ev->on;
		return;
	}
	struct role_ev re = { .type = ROLE_EV_IMPORTED, .epoch = ev->epoch, .degraded = ev->err != 0 };
	node_role(r, ev->group, &re);
}
