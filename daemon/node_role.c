/*
 * The steps of the role transaction, carried out: what a group says, sends and gives to its members when its role moves.
 */
#include "daemon/node_int.h"

static void each_member(struct node_run *r, uint16_t group, const struct vrrp_ev *ev)
{
	const struct node_group *grp = &r->n->group[group];
	for (uint16_t i = 0; i < grp->n_members; i++)
		node_vrrp(r, grp->members[i], ev);
}

static void say_net(struct node_run *r, uint16_t group, enum node_net_mode mode, struct epoch epoch)
{
	r->n->group[group].adopting = false;
	node_touch(r->n, group);
	struct node_act *a = node_emit(r, NODE_ACT_NET);
	a->group = group;
	a->net_mode = mode;
	a->epoch = epoch;
}

/* The role went because an address could not be kept. What took it may come again: the higher priority waits, and then
 * counts again. */
static void hold_off(struct node_run *r, uint16_t group)
{
	struct node_group *grp = &r->n->group[group];
	grp->held_until = mono_add(r->now, NODE_PENALTY_NS);
	if (grp->preempt)
		node_tell(r, NODE_TOLD_HELD)->group = group;
}

static void role_changed(struct node_run *r, uint16_t group, enum role_is is, const struct role_record *rec)
{
	struct node *n = r->n;
	struct node_group *grp = &n->group[group];
	struct node_act *a = node_tell(r, NODE_TOLD_ROLE);
	a->group = group;
	a->from = rec->from;
	a->to = (uint8_t)is;
	a->reason = rec->reason;
	a->epoch = rec->epoch;
	if (rec->from != is) {
		a = node_emit(r, NODE_ACT_HOOK);
		a->hook = HOOK_ROLE;
		a->group = group;
		a->from = rec->from;
		a->to = (uint8_t)is;
		a->reason = rec->reason;
		a->epoch = rec->epoch;
	}
	switch (is) {
	case ROLE_INIT:
		each_member(r, group, &(struct vrrp_ev){ .type = VRRP_EV_STOP });
		break;
	case ROLE_BACKUP:
		if (rec->from == ROLE_FAULT)
			each_member(r, group, &(struct vrrp_ev){ .type = VRRP_EV_FAULT_CLEAR });
		else if (rec->reason == ROLE_R_TRANSACTION)
			hold_off(r, group);
		else if (rec->kind == ROLE_K_PLANNED && rec->outcome != ROLE_RES_ERROR)
			grp->given_away = !grp->outbid;
		grp->outbid = false;
		break;
	case ROLE_MASTER:
		grp->resuming = false;
		grp->given_away = false;
		grp->yielded_at = grp->held_until = MONO_NEVER;
		break;
	case ROLE_FAULT:
		each_member(r, group, &(struct vrrp_ev){ .type = VRRP_EV_FAULT });
		break;
	}
	node_split_watch(r, group);
}

/* Priority 0 from members that are silent already: a planned switch whose other side was not heard of again. */
static void farewell(struct node_run *r, uint16_t group)
{
	const struct node_group *grp = &r->n->group[group];
	for (uint16_t i = 0; i < grp->n_members; i++) {
		struct vrrp *v = &r->n->inst[grp->members[i]];
		if (v->state != VRRP_BACKUP || r->n->member[grp->members[i]].down)
			continue;
		v->stats.adv_sent++;
		v->stats.zero_sent++;
		node_emit(r, NODE_ACT_ADVERT)->inst = grp->members[i];
	}
}

/* A fault names the node that is to follow; whoever was asked in an orderly way and did not answer is not named again. */
static void say_leaving(struct node_run *r, uint16_t group, const struct role_act *act, uint8_t reason)
{
	uint32_t heir = act->planned ? 0 : node_successor(r->n, group, r->now);
	node_say(r, PEER_LEAVING, 0, group, act->epoch, 0, reason, act->planned);
	r->out->msgs[r->out->n_msgs - 1].successor = heir;
}

/*
 * The beat of a group's adverts. Very many groups that take over at once would otherwise speak in one burst for ever:
 * each has a phase of its own, and its members share it.
 */
static mono_t beat_of(const struct node_run *r, uint16_t group)
{
	uint16_t beats = (uint16_t)((r->n->n_groups + NODE_BURST - 1) / NODE_BURST);
	if (beats <= 1)
		return MONO_ZERO;
	int64_t adv_ns = r->n->inst[r->n->group[group].members[0]].conf->adv_ns;
	return mono_add(r->now, adv_ns / beats * (1 + group % beats));
}

/* Carries out one action of the transaction. */
static void role_act(struct node_run *r, uint16_t group, const struct role_act *act, const struct role_record *rec)
{
	struct node *n = r->n;
	switch (act->type) {
	case ROLE_ACT_EPOCH:
		n->seen = epoch_max(n->seen, act->epoch);
		node_emit(r, NODE_ACT_ROLE_EPOCH)->epoch = act->epoch;
		return;
	case ROLE_ACT_FENCE:
	case ROLE_ACT_JOIN:
	case ROLE_ACT_APPLY:
	case ROLE_ACT_FLUSH:
	case ROLE_ACT_SYNC_DEMOTING:
	case ROLE_ACT_SYNC_STABLE:
		node_sync_act(r, group, act);
		return;
	case ROLE_ACT_AUTHORITY:
		node_authority(r, group, act->epoch, act->mine);
		return;
	case ROLE_ACT_PURGE:
		node_ike_purge(r, group, act->epoch);
		return;
	case ROLE_ACT_IMPORT:
	case ROLE_ACT_UNIMPORT:
		node_ike_copies(r, group, act->type == ROLE_ACT_IMPORT, act->epoch);
		return;
	case ROLE_ACT_CLOSE:
		node_ike_close(r, group, act->planned, act->epoch);
		return;
	case ROLE_ACT_MAKE:
		node_ike_make(r, group, act->epoch);
		return;
	case ROLE_ACT_ADVERT:
		each_member(r, group,
			    &(struct vrrp_ev){ .type = VRRP_EV_TAKE, .u.take.advert_base = beat_of(r, group) });
		return;
	case ROLE_ACT_NET_UP:
		say_net(r, group, NODE_NET_UP, act->epoch);
		return;
	case ROLE_ACT_NET_DOWN:
		say_net(r, group, NODE_NET_DOWN, act->epoch);
		return;
	case ROLE_ACT_YIELD:
		each_member(r, group, &(struct vrrp_ev){ .type = VRRP_EV_YIELD, .u.yield.send_zero = act->zero });
		if (!act->planned)
			return;
		/* The new master's first advert has until UP to arrive. */
		each_member(r, group,
			    &(struct vrrp_ev){ .type = VRRP_EV_REARM,
					       .u.rearm.delay_ns = ROLE_UP_NS + node_group_down_ns(n, group) });
		return;
	case ROLE_ACT_FAULT: /* the members were told with ROLE_ACT_CHANGED; role keeps the hold */
		return;
	case ROLE_ACT_INITIATE:
		node_ike_initiate(r, group, act->epoch);
		return;
	case ROLE_ACT_PEER_TAKE:
		n->group[group].partner = node_successor(n, group, r->now);
		node_say(r, PEER_TAKE, n->group[group].partner, group, act->epoch, 0, rec->reason, false);
		return;
	case ROLE_ACT_PEER_PREPARED:
		node_say(r, PEER_PREPARED, n->group[group].partner, group, act->epoch, 0, rec->reason, false);
		return;
	case ROLE_ACT_PEER_GO:
		node_say(r, PEER_GO, n->group[group].partner, group, act->epoch, act->seq, rec->reason, false);
		return;
	case ROLE_ACT_PEER_UP:
		node_say(r, PEER_UP, n->group[group].partner, group, act->epoch, 0, rec->reason, false);
		return;
	case ROLE_ACT_PEER_LEAVING:
		say_leaving(r, group, act, rec->reason);
		return;
	case ROLE_ACT_FAREWELL:
		farewell(r, group);
		return;
	case ROLE_ACT_BEGIN:
		if (act->is == ROLE_MASTER)
			node_emit(r, NODE_ACT_PREPARE)->group = group;
		return;
	case ROLE_ACT_CHANGED:
		role_changed(r, group, act->is, rec);
		return;
	case ROLE_ACT_JOURNAL:
		node_emit(r, NODE_ACT_JOURNAL)->record = *rec;
		return;
	}
}

void node_role(struct node_run *r, uint16_t group, const struct role_ev *ev)
{
	struct node_group *grp = &r->n->group[group];
	struct role_acts acts;
	bool was_planning = grp->role.state == ROLE_PREPARING && grp->role.kind == ROLE_K_PLANNED;
	node_touch(r->n, group);
	struct role_ev known = *ev;
	known.seen = epoch_max(ev->seen, r->n->seen); /* a role that is taken back draws its number above all of them */
	role_step(&grp->role, &known, r->now, &acts);
	unsigned next_rec = 0;
	for (unsigned i = 0; i < acts.n; i++) {
		/* CHANGED and JOURNAL speak of a finished record, everything else of the running one. */
		const struct role_record *rec = &grp->role.rec;
		if (acts.a[i].type == ROLE_ACT_JOURNAL)
			rec = &acts.rec[acts.a[i].record];
		else if (acts.a[i].type == ROLE_ACT_CHANGED && next_rec < acts.n_rec)
			rec = &acts.rec[next_rec];
		if (acts.a[i].type == ROLE_ACT_JOURNAL)
			next_rec = acts.a[i].record + 1;
		role_act(r, group, &acts.a[i], rec);
	}
	node_ike_unmake(r, group);
	bool planning = grp->role.state == ROLE_PREPARING && grp->role.kind == ROLE_K_PLANNED;
	if (was_planning && !planning && grp->role.state == ROLE_STABLE && grp->role.is != ROLE_MASTER)
		grp->plan_retry_at = mono_add(r->now, NODE_PLAN_RETRY_NS);
}
