/*
 * What SYNC is told of the roles, what it reports, and what follows when it says nothing.
 */
#include "daemon/node_int.h"

void node_authority(struct node_run *r, uint16_t group, struct epoch epoch, bool mine)
{
	struct node *n = r->n;
	/* Groups that move at the same time may commit in another order than they drew their numbers; to SYNC a lower number
	 * means that the last command is taken back. */
	epoch = n->authority = epoch_max(n->authority, epoch);
	n->n_mine += (uint32_t)mine - (uint32_t)n->group[group].mine;
	n->group[group].mine = mine;
	struct sync_authority au = { .epoch = epoch,
				     .any = n->n_mine > 0,
				     .all = n->n_groups > 0 && n->n_mine == n->n_groups };
	struct node_act *a = node_emit(r, NODE_ACT_SYNC);
	a->cmd = (struct sync_cmd){ .type = SYNC_CMD_AUTHORITY, .epoch = epoch, .authority = au };
}

/* Groups that start in the same step share a fence, at the highest of their epochs. */
static void say_fence(struct node_run *r, uint16_t group, const struct role_act *act)
{
	struct node *n = r->n;
	n->group[group].fence_waits = true;
	if (!r->fence) {
		r->fence = node_emit(r, NODE_ACT_SYNC);
		r->fence->cmd = (struct sync_cmd){ .type = SYNC_CMD_FENCE, .peer_node = n->group[group].partner };
	}
	r->fence->cmd.epoch = epoch_max(r->fence->cmd.epoch, act->epoch);
}

static struct sync_cmd *say_sync(struct node_run *r, enum sync_cmd_type type, const struct role_act *act,
				 uint32_t partner)
{
	struct node_act *a = node_emit(r, NODE_ACT_SYNC);
	a->cmd = (struct sync_cmd){ .type = type, .epoch = act->epoch, .seq = act->seq, .peer_node = partner };
	return &a->cmd;
}

static void mutes(struct node *n, uint16_t group, bool on)
{
	n->n_mutes += (uint32_t)on - (uint32_t)n->group[group].mutes;
	n->group[group].mutes = on;
}

void node_sync_act(struct node_run *r, uint16_t group, const struct role_act *act)
{
	static const enum sync_cmd_type type[] = {
		[ROLE_ACT_FENCE] = SYNC_CMD_FENCE,
		[ROLE_ACT_JOIN] = SYNC_CMD_JOIN,
		[ROLE_ACT_APPLY] = SYNC_CMD_APPLY,
		[ROLE_ACT_FLUSH] = SYNC_CMD_FLUSH,
		[ROLE_ACT_SYNC_DEMOTING] = SYNC_CMD_DEMOTING,
		[ROLE_ACT_SYNC_STABLE] = SYNC_CMD_STABLE,
	};
	if (act->type == ROLE_ACT_FENCE) {
		say_fence(r, group, act);
		return;
	}
	if (act->type == ROLE_ACT_FLUSH || act->type == ROLE_ACT_SYNC_DEMOTING)
		mutes(r->n, group, true);
	else if (act->type == ROLE_ACT_SYNC_STABLE)
		mutes(r->n, group, false);
	/* What another group is giving up goes on: its ends are not told before it rests as well. */
	say_sync(r, type[act->type], act, r->n->group[group].partner)->rest = r->n->n_mutes == 0;
}

/* What SYNC has to know of the roles, once more: its mailbox may have been full while it hung. */
static void sync_anew(struct node_run *r)
{
	struct node *n = r->n;
	struct role_act act = { .epoch = n->authority };
	bool any = false, rest = true;
	if (epoch_is_none(n->authority))
		return;
	for (uint16_t g = 0; g < n->n_groups; g++) {
		any |= n->group[g].mine;
		rest &= n->group[g].role.state == ROLE_STABLE;
	}
	if (any)
		say_sync(r, SYNC_CMD_FENCE, &act, 0);
	node_authority(r, 0, n->authority, n->group[0].mine);
	if (rest)
		say_sync(r, SYNC_CMD_STABLE, &act, 0)->rest = true;
}

/* A fence holds for every lower epoch as well. */
static void fenced(struct node_run *r, const struct role_ev *ev)
{
	struct node *n = r->n;
	for (uint16_t g = 0; g < n->n_groups; g++) {
		struct node_group *grp = &n->group[g];
		if (!grp->fence_waits || epoch_cmp(grp->role.epoch, ev->epoch) > 0)
			continue;
		struct role_ev own = *ev;
		own.epoch = grp->role.epoch;
		grp->fence_waits = false;
		node_role(r, g, &own);
	}
}

/* So does the commit of the store: there is one store for all groups. */
static void committed(struct node_run *r, const struct role_ev *ev)
{
	struct node *n = r->n;
	for (uint16_t g = 0; g < n->n_groups; g++) {
		if (epoch_cmp(n->group[g].role.epoch, ev->epoch) > 0)
			continue;
		struct role_ev own = *ev;
		own.type = ROLE_EV_STORED;
		own.epoch = n->group[g].role.epoch;
		node_role(r, g, &own);
	}
}

void node_on_sync(struct node_run *r, const struct sync_report *rep)
{
	struct node *n = r->n;
	struct role_ev ev = { .type = ROLE_EV_FENCED,
			      .epoch = rep->epoch,
			      .seq = rep->seq,
			      .degraded = rep->degraded,
			      .storing = rep->storing };
	switch (rep->type) {
	case SYNC_REP_PONG:
		n->pong_at = r->now;
		n->aborting = false;
		if (n->sync_silent_told) {
			n->sync_silent_told = false;
			node_tell(r, NODE_TOLD_SYNC_BACK);
			sync_anew(r);
			n->touched_all = true;
		}
		return;
	case SYNC_REP_STATE:
		n->sync = rep->state;
		n->touched_all = true;
		return;
	case SYNC_REP_FENCED:
		fenced(r, &ev);
		return;
	case SYNC_REP_AUTHORITY:
		return; /* nothing waits for it */
	case SYNC_REP_FLUSHED:
		ev.type = ROLE_EV_FLUSHED;
		break;
	case SYNC_REP_APPLIED:
		ev.type = ROLE_EV_APPLIED;
		break;
	case SYNC_REP_COMMITTED:
		committed(r, &ev);
		return;
	case SYNC_REP_CTL_CONN:
	case SYNC_REP_FACTS:
	case SYNC_REP_LISTENER:
	case SYNC_REP_STOPPED:
		return;
	}
	for (uint16_t g = 0; g < n->n_groups; g++)
		if (epoch_cmp(n->group[g].role.epoch, ev.epoch) == 0)
			node_role(r, g, &ev);
}

bool node_sync_late(const struct node *n, mono_t now)
{
	return n->has_sync && mono_sub(now, n->pong_at) > NODE_SYNC_LATE_NS;
}

void node_sync_watch(struct node_run *r)
{
	struct node *n = r->n;
	if (!n->has_sync)
		return;
	if (mono_due(n->ping_at, r->now)) {
		struct node_act *a = node_emit(r, NODE_ACT_SYNC);
		a->cmd.type = SYNC_CMD_PING;
		a->cmd.seq = ++n->ping_seq;
		n->ping_at = mono_add(r->now, NODE_HEARTBEAT_NS);
	}
	if (!node_sync_late(n, r->now))
		return;
	if (!n->sync_silent_told) {
		n->sync_silent_told = true;
		node_tell(r, NODE_TOLD_SYNC_SILENT);
	}
	if (mono_sub(r->now, n->pong_at) < NODE_SYNC_HUNG_NS || n->stopping)
		return;
	bool any = false, resting = true;
	for (uint16_t g = 0; g < n->n_groups; g++) {
		struct role *role = &n->group[g].role;
		if (role->is == ROLE_MASTER && role->state == ROLE_STABLE && node_ready_peer(n, g, r->now)) {
			any = true;
			n->aborting = true;
			node_wish(r, g, ROLE_BACKUP, ROLE_K_PLANNED, ROLE_R_SYNC_HANG, n->pong_at);
		}
		resting &= role->state == ROLE_STABLE && role->is != ROLE_MASTER;
	}
	if (n->aborting && !any && resting) {
		n->aborting = false;
		node_emit(r, NODE_ACT_ABORT);
	}
}
