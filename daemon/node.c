/*
 * The node core: events come in here, are given to the machine they belong to, and what the machines answer is carried
 * on: a virtual router reports what it heard, the group table turns that into a wish, the role transaction into steps.
 * The parts: node_group.c and node_role.c (groups and roles), node_timer.c (what is due), node_peer.c (the channel),
 * node_sync.c (sessions), node_ike.c (tunnels), node_start.c (delays).
 */
#include "daemon/node.h"
#include "daemon/node_int.h"

#include <string.h>
#include "daemon/base/mutant.h"
#include "daemon/base/require.h"

void node_init(struct node *n, const struct node_conf *c, mono_t now)
{
	memset(n, 0, sizeof(*n));
	n->id = c->id;
	n->inst = c->inst;
	n->member = c->member;
	n->n_inst = c->n_inst;
	n->group = c->group;
	n->n_groups = c->n_groups;
	n->peer = c->peer;
	n->n_peers = c->n_peers;
	n->tunnel = c->tunnel;
	n->n_tunnels = c->n_tunnels;
	n->has_sync = c->has_sync;
	n->sync_gate = c->sync_gate;
	n->maintenance = c->maintenance;
	n->seen = c->stored;
	memcpy(n->config_digest, c->config_digest, sizeof(n->config_digest));
	n->startup_delay_ns = c->startup_delay_ns;
	n->startup_until = MONO_NEVER;
	n->pong_at = now;
	n->ping_at = n->heartbeat_at = n->alive_told_at = n->walk_at = n->due_at = MONO_NEVER;
	n->touched = NODE_NO_GROUP;
	for (uint16_t g = 0; g < n->n_groups; g++) {
		struct node_group *grp = &n->group[g];
		role_init(&grp->role, g, n->id);
		grp->stall_until = grp->plan_retry_at = grp->deaf_since = MONO_NEVER;
		grp->yielded_at = grp->took_on_zero_at = MONO_NEVER;
		grp->held_until = grp->expired_since = grp->cut_since = MONO_NEVER;
		grp->split = (struct node_split){ .since = MONO_NEVER, .maybe = MONO_NEVER };
		for (uint16_t m = 0; m < grp->n_members; m++) {
			struct node_member *mem = &n->member[grp->members[m]];
			*mem = (struct node_member){ .inst = grp->members[m], .group = g, .down = true };
			mem->zero_at = mem->higher_at = mem->heard_at = MONO_NEVER;
			mem->rival_at = mem->rival_since = MONO_NEVER;
		}
	}
	for (uint8_t p = 0; p < n->n_peers; p++) {
		n->peer[p].heard_at = n->peer[p].up_at = n->peer[p].lost_at = MONO_NEVER;
		n->peer[p].probe_at = n->peer[p].beat_at = n->peer[p].dead_at = MONO_NEVER;
		for (uint16_t g = 0; g < n->n_groups; g++)
			n->peer[p].groups[g].at = MONO_NEVER;
	}
	node_rebuild(n);
}

struct node_act *node_emit(struct node_run *r, enum node_act_type type)
{
	require(r->out->n < r->out->cap);
	struct node_act *a = &r->out->a[r->out->n++];
	memset(a, 0, sizeof(*a));
	a->type = type;
	return a;
}

struct node_act *node_tell(struct node_run *r, enum node_told what)
{
	struct node_act *a = node_emit(r, NODE_ACT_TOLD);
	a->what = what;
	return a;
}

void node_vrrp(struct node_run *r, uint16_t inst, const struct vrrp_ev *ev)
{
	struct node *n = r->n;
	struct node_member *m = &n->member[inst];
	struct vrrp_acts acts;
	struct vrrp *v = &n->inst[inst];
	bool listens = false;
	node_touch(n, m->group);
	vrrp_step(v, ev, r->now, &acts);
	for (unsigned i = 0; i < acts.n; i++) {
		const struct vrrp_act *va = &acts.a[i];
		switch (va->type) {
		case VRRP_ACT_SEND: {
			struct node_act *a = node_emit(r, NODE_ACT_ADVERT);
			a->inst = inst;
			a->priority = va->u.priority;
			break;
		}
		case VRRP_ACT_EXPIRED:
			m->zero = !mono_is_never(m->zero_at) &&
				  mono_sub(r->now, m->zero_at) <= vrrp_skew(v) + v->master_adv_ns;
			break;
		case VRRP_ACT_HEARD_ZERO:
			m->zero_at = r->now;
			m->rival_at = MONO_NEVER;
			break;
		case VRRP_ACT_HEARD_HIGHER:
			m->higher_at = r->now;
			node_rival(r, inst, true);
			break;
		case VRRP_ACT_HEARD_LOWER:
			m->zero = m->rearmed = false;
			m->lower = true;
			break;
		case VRRP_ACT_HEARD_MASTER:
			m->zero = m->lower = m->rearmed = false;
			break;
		case VRRP_ACT_HEARD_RIVAL:
			n->rivals++;
			node_rival(r, inst, false);
			node_emit(r, NODE_ACT_ANNOUNCE)->inst = inst;
			break;
		case VRRP_ACT_STATE: {
			struct node_act *a = node_tell(r, NODE_TOLD_INSTANCE);
			a->inst = inst;
			a->from = (uint8_t)va->u.state.from;
			a->to = (uint8_t)va->u.state.to;
			a->reason = (uint8_t)va->u.state.reason;
			m->lower = m->zero = m->rearmed = false;
			m->higher_at = m->rival_at = m->rival_since = MONO_NEVER;
			listens |= va->u.state.to == VRRP_BACKUP && va->u.state.from != VRRP_MASTER;
			break;
		}
		case VRRP_ACT_WARN: {
			struct node_act *a = node_tell(r, NODE_TOLD_WARN);
			a->inst = inst;
			a->reason = (uint8_t)va->u.warn;
			break;
		}
		}
	}
	if (listens)
		node_listens(r, inst);
}

/* With the channel cut the master's adverts keep its sessions' copies alive: SYNC is told, once a second at most. */
static void tell_alive(struct node_run *r, uint16_t group)
{
	struct node *n = r->n;
	if (!n->has_sync || n->group[group].role.is != ROLE_BACKUP)
		return;
	if (!mono_is_never(n->alive_told_at) && mono_sub(r->now, n->alive_told_at) < NS_PER_SEC)
		return;
	n->alive_told_at = r->now;
	node_emit(r, NODE_ACT_SYNC)->cmd.type = SYNC_CMD_PEER_ALIVE;
}

static void on_advert(struct node_run *r, const struct node_ev *ev)
{
	struct node *n = r->n;
	if (ev->inst >= n->n_inst || !ev->advert) {
		n->stale++;
		return;
	}
	struct node_member *m = &n->member[ev->inst];
	struct node_group *grp = &n->group[m->group];
	bool alive = ev->advert->u.advert.priority > 0; /* a farewell may come from a dead process' guardian */
	if (alive)
		m->heard_at = r->now;
	if (grp->adopting && alive) /* another master: what an earlier process left goes at once */
		node_unadopt(r, m->group);
	for (uint8_t p = 0; alive && p < n->n_peers; p++)
		n->peer[p].dead = false;
	if (alive)
		node_stalled_heard(r, m->group);
	node_vrrp(r, ev->inst, ev->advert);
	if (alive && n->running)
		node_master_heard(r, m->group);
	tell_alive(r, m->group);
	node_evaluate(r, m->group);
}

void node_settle_member(struct node_run *r, uint16_t inst)
{
	struct node *n = r->n;
	const struct node_group *grp = &n->group[n->member[inst].group];
	const struct vrrp *v = &n->inst[inst];
	const struct role *role = &grp->role;
	bool taking = role->state == ROLE_PREPARING && role->target == ROLE_MASTER;
	bool serving =
	    role->state == ROLE_COMMITTING || (role->is == ROLE_MASTER && role->state != ROLE_DEMOTING && !taking);
	if (v->faulted && role->is != ROLE_FAULT)
		node_vrrp(r, inst, &(struct vrrp_ev){ .type = VRRP_EV_FAULT_CLEAR });
	if (serving && v->state == VRRP_BACKUP) {
		/* On the beat of the others, so that the group's timers end together. */
		struct vrrp_ev take = { .type = VRRP_EV_TAKE, .u.take.advert_base = MONO_ZERO };
		for (uint16_t m = 0; m < grp->n_members; m++)
			if (n->inst[grp->members[m]].state == VRRP_MASTER)
				take.u.take.advert_base = n->inst[grp->members[m]].advert_at;
		node_vrrp(r, inst, &take);
	} else if (!serving && role->state == ROLE_STABLE && v->state == VRRP_MASTER) {
		node_vrrp(r, inst, &(struct vrrp_ev){ .type = VRRP_EV_YIELD, .u.yield.send_zero = true });
	}
}

static void on_link(struct node_run *r, const struct node_ev *ev)
{
	struct node *n = r->n;
	if (ev->inst >= n->n_inst) {
		n->stale++;
		return;
	}
	struct node_member *m = &n->member[ev->inst];
	if (ev->up) {
		struct vrrp_ev src = { .type = VRRP_EV_SRC, .u.src = ev->src };
		node_vrrp(r, ev->inst, &src);
	}
	if (m->down == !ev->up)
		return;
	m->down = !ev->up;
	node_touch(n, m->group);
	struct vrrp_ev le = { .type = ev->up ? VRRP_EV_LINK_UP : VRRP_EV_LINK_DOWN };
	/* A group that leaves because of this link still has to say so on the others: the group table comes first. */
	if (!ev->up)
		node_evaluate(r, m->group);
	node_vrrp(r, ev->inst, &le);
	if (!ev->up)
		return;
	node_evaluate(r, m->group);
	if (n->running)
		node_settle_member(r, ev->inst);
}

static void on_start(struct node_run *r, const struct node_ev *ev)
{
	struct node *n = r->n;
	n->running = true;
	if (n->startup_delay_ns > 0 && !node_resumes(n))
		n->startup_until = mono_add(r->now, n->startup_delay_ns);
	n->heartbeat_at = r->now;
	n->ping_at = n->has_sync ? r->now : MONO_NEVER;
	n->pong_at = r->now;
	for (uint16_t g = 0; g < n->n_groups; g++) {
		/* In maintenance nothing is taken over, so nothing is kept for that; nor where somebody else is there. */
		n->group[g].resuming &= !n->maintenance && !node_master_peer(n, g, r->now);
		bool adopting = n->group[g].resuming || (ev->adopting && !n->maintenance && !node_any_peer_up(n));
		n->group[g].adopting = adopting;
		struct node_act *a = node_emit(r, NODE_ACT_NET);
		a->group = g;
		a->net_mode = adopting ? NODE_NET_KEEP : NODE_NET_DOWN;
		a->epoch = n->seen;
		node_begin(r, g, ROLE_R_START);
		node_resume(r, g);
	}
	node_evaluate_all(r);
}

static void check_stopped(struct node_run *r)
{
	struct node *n = r->n;
	if (!n->stopping || !n->running)
		return;
	/* Whoever rests stays at rest: each group is passed once. */
	for (; n->stop_next < n->n_groups; n->stop_next++)
		if (n->group[n->stop_next].role.is != ROLE_INIT || n->group[n->stop_next].role.state != ROLE_STABLE)
			return;
	n->running = false;
	node_emit(r, NODE_ACT_STOPPED);
}

static void on_stop(struct node_run *r)
{
	struct node *n = r->n;
	if (n->stopping)
		return;
	n->stopping = true;
	n->stop_next = 0;
	for (uint16_t g = 0; g < n->n_groups; g++) {
		struct node_group *grp = &n->group[g];
		if (grp->adopting)
			node_unadopt(r, g);
		node_wish(r, g, ROLE_INIT, ROLE_K_STOP, ROLE_R_STOP, r->now);
	}
}

static void on_tick(struct node_run *r)
{
	struct node *n = r->n;
	if (!n->running)
		return;
	if (mono_due(n->startup_until, r->now))
		node_startup_over(r);
	node_group_timers(r);
	node_vrrp_timers(r);
	struct ike_ev ike = { .kind = IKE_EV_TICK };
	for (uint16_t t = 0; t < n->n_tunnels; t++)
		if (mono_due(ike_deadline(&n->tunnel[t]), r->now))
			node_ike(r, t, &ike);
	for (uint8_t p = 0; p < n->n_peers; p++)
		if (mono_due(n->peer[p].probe_at, r->now))
			node_probe(r, &n->peer[p]);
	node_sync_watch(r);
	if (mono_due(n->heartbeat_at, r->now)) {
		n->touched_all |= n->n_peers > 0; /* what time alone changes */
		node_heartbeat(r);
		n->walk_next = 0;
		n->walk_at = r->now;
	}
	if (mono_due(n->walk_at, r->now))
		node_walk(r);
}

static void on_force(struct node_run *r, uint16_t group)
{
	struct node *n = r->n;
	for (uint16_t g = 0; g < n->n_groups; g++) {
		enum role_is is = n->group[g].role.is;
		if ((group != NODE_ALL_GROUPS && group != g) || n->stopping || is == ROLE_INIT || is == ROLE_FAULT)
			continue;
		n->group[g].given_away = false;
		bool give = is == ROLE_MASTER;
		uint32_t master = node_master_peer(n, g, r->now);
		if (!give && n->group[g].role.state == ROLE_STABLE)
			n->group[g].partner = master;
		node_wish(r, g, give ? ROLE_BACKUP : ROLE_MASTER, give || master ? ROLE_K_PLANNED : ROLE_K_CRASH,
			  ROLE_R_OPERATOR, r->now);
	}
}

/* Only to a peer that is ready: alone, a router with an address that was put back is better than none. */
static void on_lost(struct node_run *r, uint16_t group)
{
	struct node *n = r->n;
	if (group >= n->n_groups) {
		n->stale++;
		return;
	}
	const struct role *role = &n->group[group].role;
	if (n->stopping || role->is != ROLE_MASTER || role->state != ROLE_STABLE || !node_ready_peer(n, group, r->now))
		return;
	node_wish(r, group, ROLE_BACKUP, ROLE_K_PLANNED, ROLE_R_ADDRESS_LOST, r->now);
}

/* After a reload: whoever is new in this group catches up with it. */
static void on_join(struct node_run *r, uint16_t group)
{
	struct node *n = r->n;
	if (group >= n->n_groups) {
		n->stale++;
		return;
	}
	struct node_group *grp = &n->group[group];
	if (grp->role.is == ROLE_INIT)
		node_begin(r, group, ROLE_R_CONFIG);
	for (uint16_t m = 0; m < grp->n_members && grp->role.is != ROLE_INIT; m++) {
		uint16_t inst = grp->members[m];
		if (n->inst[inst].state == VRRP_INIT)
			node_vrrp(r, inst, &(struct vrrp_ev){ .type = VRRP_EV_START });
		node_settle_member(r, inst);
	}
	for (uint16_t t = 0; t < n->n_tunnels; t++) {
		struct ike_tunnel *tunnel = &n->tunnel[t];
		bool wanted = grp->role.is == ROLE_MASTER;
		struct ike_ev ev = { .kind = wanted ? IKE_EV_INITIATE : IKE_EV_PURGE,
				     .epoch = epoch_max(grp->role.epoch, tunnel->epoch) };
		if (tunnel->conf.group == group && tunnel->active != wanted)
			node_ike(r, t, &ev);
	}
	node_evaluate(r, group);
}

static void on_net(struct node_run *r, const struct node_ev *ev)
{
	struct node *n = r->n;
	if (ev->group >= n->n_groups) {
		n->stale++;
		return;
	}
	struct role_ev re = { .type = ev->type == NODE_EV_NET      ? ROLE_EV_NET
				      : ev->type == NODE_EV_VIP_UP ? ROLE_EV_VIP_UP
								   : ROLE_EV_GARP,
			      .epoch = ev->epoch,
			      .net = ev->net,
			      .err = ev->err,
			      .peer_ready = node_ready_peer(n, ev->group, r->now) != NULL };
	node_role(r, ev->group, &re);
}

static void dispatch(struct node_run *r, const struct node_ev *ev)
{
	struct node *n = r->n;
	switch (ev->type) {
	case NODE_EV_START:
		n->touched_all = true;
		on_start(r, ev);
		return;
	case NODE_EV_STOP:
		n->touched_all = true;
		on_stop(r);
		return;
	case NODE_EV_ADVERT:
		on_advert(r, ev);
		return;
	case NODE_EV_DROPPED:
		if (MUTANT(M_TIMER_TOUCHED_BY_DROP) && ev->inst < n->n_inst) {
			node_touch(n, n->member[ev->inst].group);
			n->inst[ev->inst].advert_at = mono_add(r->now, n->inst[ev->inst].conf->adv_ns);
			n->inst[ev->inst].master_down_at = mono_add(r->now, vrrp_down(&n->inst[ev->inst]));
		}
		return;
	case NODE_EV_LINK:
		on_link(r, ev);
		return;
	case NODE_EV_TRACK:
		node_on_track(r, ev);
		return;
	case NODE_EV_NET:
	case NODE_EV_VIP_UP:
	case NODE_EV_GARP:
		on_net(r, ev);
		return;
	case NODE_EV_SYNC:
		node_on_sync(r, ev->report);
		return;
	case NODE_EV_PEER_UP:
		n->touched_all = true;
		node_on_peer_up(r, ev);
		return;
	case NODE_EV_PEER_DOWN:
		n->touched_all = true;
		node_on_peer_down(r, ev);
		return;
	case NODE_EV_PEER_MSG:
		node_on_peer_msg(r, ev);
		return;
	case NODE_EV_PROBE:
		node_on_probe(r, ev);
		return;
	case NODE_EV_IKE:
		if (ev->tunnel < n->n_tunnels)
			node_ike(r, ev->tunnel, ev->ike);
		else
			n->stale++;
		return;
	case NODE_EV_FORCE:
		on_force(r, ev->group);
		return;
	case NODE_EV_MAINTENANCE:
		n->touched_all = true;
		node_maintenance(r, ev->on);
		return;
	case NODE_EV_LOST:
		on_lost(r, ev->group);
		return;
	case NODE_EV_SA_COPIES:
	case NODE_EV_SA_IMPORTED:
		node_on_copies(r, ev);
		return;
	case NODE_EV_JOIN:
		on_join(r, ev->group);
		return;
	case NODE_EV_DRAINED:
		n->draining = n->woke = false;
		n->drained = true;
		on_tick(r);
		n->drained = false;
		return;
	case NODE_EV_TICK:
		on_tick(r);
		return;
	}
}

void node_ev_keep(struct node_ev_kept *k, const struct node_ev *ev)
{
	k->ev = *ev;
	if (ev->advert) {
		k->u.advert = *ev->advert;
		k->ev.advert = &k->u.advert;
	} else if (ev->report) {
		k->u.report = *ev->report;
		k->ev.report = &k->u.report;
	} else if (ev->msg) {
		k->u.msg = *ev->msg;
		k->ev.msg = &k->u.msg;
	} else if (ev->ike) {
		k->u.ike = *ev->ike;
		k->ev.ike = &k->u.ike;
	}
}

void node_step(struct node *n, const struct node_ev *ev, mono_t now, struct node_acts *acts)
{
	struct node_run r = { .n = n, .out = acts, .now = now };
	acts->n = 0;
	acts->n_msgs = 0;
	if (n->running) {
		node_wake_check(&r);
		node_stall_check(&r);
	}
	dispatch(&r, ev);
	node_settle(&r);
	check_stopped(&r);
	n->due_at = node_deadline(n);
}

mono_t node_deadline(const struct node *n)
{
	mono_t t = mono_min(n->heartbeat_at, n->ping_at);
	if (!n->running)
		return MONO_NEVER;
	t = mono_min(t, n->startup_until);
	t = mono_min(mono_min(t, n->walk_at), mono_min(timerq_next(&n->inst_due), timerq_next(&n->group_due)));
	for (uint8_t p = 0; p < n->n_peers; p++)
		t = mono_min(t, n->peer[p].probe_at);
	for (uint16_t k = 0; k < n->n_tunnels; k++)
		t = mono_min(t, ike_deadline(&n->tunnel[k]));
	return t;
}
