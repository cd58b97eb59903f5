/*
 * Groups: the view that the group table decides on, the wishes that follow, and the steps of the role transaction.
 */
#include "daemon/node_int.h"

#include "daemon/base/require.h"

mono_t node_last_sign(const struct node *n, uint16_t group, mono_t now)
{
	const struct node_group *grp = &n->group[group];
	mono_t last = MONO_ZERO;
	for (uint16_t i = 0; i < grp->n_members; i++) {
		const struct node_member *m = &n->member[grp->members[i]];
		if (!mono_is_never(m->heard_at))
			last = mono_max(last, m->heard_at);
		if (!mono_is_never(m->zero_at))
			last = mono_max(last, m->zero_at);
	}
	return last.ns ? last : now;
}

bool node_gate_open(const struct node *n, mono_t now)
{
	if (!n->sync_gate || !n->n_peers)
		return true;
	/* Each peer that is there speaks for its own sessions: one that has none must not open it for the master. */
	bool any = false;
	for (uint8_t p = 0; p < n->n_peers; p++) {
		if (!node_channel_up(&n->peer[p], now))
			continue;
		if (!n->peer[p].you_have_all)
			return false;
		any = true;
	}
	return any;
}

bool node_group_ready(const struct node *n, uint16_t group, mono_t now)
{
	const struct node_group *grp = &n->group[group];
	if (!n->running || n->stopping || n->maintenance || node_starting(n) || grp->role.is == ROLE_FAULT ||
	    grp->role.is == ROLE_INIT)
		return false;
	if (!mono_is_never(grp->role.hold_until) || grp->role.partial)
		return false;
	for (uint16_t i = 0; i < grp->n_members; i++)
		if (n->member[grp->members[i]].down)
			return false;
	if (!n->has_sync || grp->role.is == ROLE_MASTER)
		return true;
	return !node_sync_late(n, now) && (!n->sync_gate || node_gate_open(n, now));
}

/* Members whose master-down timers run on the same interval: the slowest decides how long we may wait for news. */
static int64_t group_down_ns(const struct node *n, uint16_t group)
{
	int64_t longest = 0;
	for (uint16_t i = 0; i < n->group[group].n_members; i++) {
		int64_t down = vrrp_down(&n->inst[n->group[group].members[i]]);
		longest = down > longest ? down : longest;
	}
	return longest;
}

static void view_members(const struct node *n, uint16_t group, mono_t now, struct group_view *v)
{
	const struct node_group *grp = &n->group[group];
	for (uint16_t i = 0; i < grp->n_members; i++) {
		uint16_t inst = grp->members[i];
		const struct node_member *m = &n->member[inst];
		const struct vrrp *r = &n->inst[inst];
		if (m->down) {
			if (!v->n_down++)
				v->first_down = inst;
			continue;
		}
		/* A better master counts as long as a backup would wait for its next advert. */
		if (!mono_is_never(m->higher_at) && mono_sub(now, m->higher_at) <= vrrp_peer_down(r)) {
			if (!v->n_higher++)
				v->first_higher = inst;
			v->first_member_higher |= i == 0;
		}
		if (r->state != VRRP_BACKUP)
			continue;
		if (r->expired) {
			if (!v->n_expired++)
				v->first_deaf = inst;
			v->n_zero = (uint16_t)(v->n_zero + m->zero);
			v->first_member_expired |= i == 0;
			continue;
		}
		v->n_hearing = (uint16_t)(v->n_hearing + !mono_is_never(m->heard_at));
		v->n_lower = (uint16_t)(v->n_lower + m->lower);
	}
}

/* What a peer said of this group not long ago. Of those that could follow a leaving one only the fittest counts it as
 * leaving: two that took over together would meet on the wire. */
static enum group_peer peer_says(const struct node *n, const struct node_peer *p, uint16_t group, mono_t now)
{
	if (p->groups[group].leaving) {
		uint32_t heir = p->groups[group].successor;
		bool ours = heir ? heir == n->id : !node_outranked(n, group, now);
		return ours ? GROUP_PEER_LEAVING : GROUP_PEER_NOT_MASTER;
	}
	bool serves = p->groups[group].role == PEER_ROLE_MASTER || p->groups[group].role == PEER_ROLE_MOVING;
	return serves ? GROUP_PEER_MASTER : GROUP_PEER_NOT_MASTER;
}

/* Its process is gone, and nobody fitter than we are takes its place; one that should have and did not is not waited for. */
static bool ours_by_death(const struct node *n, const struct node_peer *p, uint16_t group, mono_t now)
{
	if (!p->dead || p->groups[group].role != PEER_ROLE_MASTER)
		return false;
	return !node_outranked(n, group, now) || mono_sub(now, p->dead_at) > NODE_CHANNEL_NS;
}

static void view_peers(const struct node *n, uint16_t group, mono_t now, struct group_view *v)
{
	bool unheard = false;
	v->peer_ready = node_ready_peer(n, group, now) != NULL;
	for (uint8_t p = 0; p < n->n_peers; p++) {
		const struct node_peer *peer = &n->peer[p];
		unheard |= !peer->same_config || !node_channel_up(peer, now);
		if (!peer->same_config)
			continue;
		v->peer_dead |= ours_by_death(n, peer, group, now);
		if (!node_channel_up(peer, now))
			continue;
		v->channel_up = true;
		if (mono_is_never(node_said_at(peer, group)) ||
		    mono_sub(now, node_said_at(peer, group)) > NODE_CHANNEL_NS)
			continue;
		enum group_peer said = peer_says(n, peer, group, now);
		v->peer = said > v->peer ? said : v->peer;
	}
	/* Of three nodes one is not heard here: the master that a member still hears may be that one. */
	if (v->peer == GROUP_PEER_NOT_MASTER && unheard)
		v->peer = GROUP_PEER_UNKNOWN;
}

static struct group_view view(const struct node *n, uint16_t group, mono_t now)
{
	const struct node_group *grp = &n->group[group];
	struct group_view v = {
		.is = grp->role.state == ROLE_COMMITTING ? grp->role.target : grp->role.is,
		.n = grp->n_members,
		.gate_open = node_gate_open(n, now),
		.preempt = (grp->preempt || node_owns(n, group)) && !grp->given_away &&
			   mono_is_never(grp->plan_retry_at) && mono_is_never(grp->held_until),
		.fault_degrade = grp->fault_degrade,
		.maintenance = n->maintenance,
		.first_decides = !mono_is_never(grp->first_decides_until) && mono_before(now, grp->first_decides_until),
		.not_grouped = !mono_is_never(grp->not_grouped_until) && mono_before(now, grp->not_grouped_until),
		.holding = !mono_is_never(grp->role.hold_until) || (node_starting(n) && grp->role.is == ROLE_BACKUP),
		.arbitrate = grp->arbitrate,
	};
	view_members(n, group, now, &v);
	view_peers(n, group, now, &v);
	/* A node that has not got the sessions lets one that has go first, for as long as that one's timer may run longer. */
	v.better_ready = !mono_is_never(grp->expired_since) && node_better_ready(n, group, now) &&
			 mono_sub(now, grp->expired_since) < n->inst[grp->members[0]].master_adv_ns;
	return v;
}

void node_wish(struct node_run *r, uint16_t group, enum role_is target, enum role_kind kind, enum role_reason reason,
	       mono_t detect)
{
	struct node *n = r->n;
	bool channel = false;
	for (uint8_t p = 0; p < n->n_peers; p++)
		channel |= n->peer[p].up;
	struct role_ev ev = {
		.type = ROLE_EV_WISH,
		.epoch = n->group[group].role.epoch,
		.target = target,
		.kind = kind,
		.reason = reason,
		.detect = detect,
		.peer_ready = node_ready_peer(n, group, r->now) != NULL,
		.has_sync = n->has_sync,
		.sync_late = node_sync_late(n, r->now),
		.stored = n->sync.stored > 0,
		.leftovers = node_ike_leftovers(n, group),
		.copies = n->group[group].sa_copies,
		.close = node_ike_wants_close(n, group, r->now),
		.warm = node_ike_warm(n, group),
		.has_channel = channel,
		.seen = n->seen,
	};
	node_role(r, group, &ev);
}

/* Both sides yielded to each other: say so, and let one member decide for a while. */
static void note_crossing(struct node_run *r, uint16_t group, const struct group_view *v)
{
	struct node_group *grp = &r->n->group[group];
	if (mono_is_never(grp->yielded_at) || v->first_decides || grp->n_members < 2)
		return;
	if (mono_sub(r->now, grp->yielded_at) > 2 * group_down_ns(r->n, group))
		return;
	grp->first_decides_until = mono_add(r->now, NODE_PENALTY_NS);
	grp->yielded_at = MONO_NEVER;
	node_tell(r, NODE_TOLD_CROSSED)->group = group;
}

static void note_yield(struct node_run *r, uint16_t group, const struct group_decision *d)
{
	struct node_group *grp = &r->n->group[group];
	if (!mono_is_never(grp->took_on_zero_at) &&
	    mono_sub(r->now, grp->took_on_zero_at) <= 2 * group_down_ns(r->n, group)) {
		/* One member's master left and another member's did not: the other router does not move them together.
		 */
		grp->not_grouped_until = mono_add(r->now, NODE_PENALTY_NS);
		struct node_act *a = node_tell(r, NODE_TOLD_NOT_GROUPED);
		a->group = group;
		a->inst = d->member;
		node_wish(r, group, ROLE_BACKUP, ROLE_K_FORCED, ROLE_R_NOT_GROUPED, r->now);
		return;
	}
	grp->yielded_at = r->now;
	node_wish(r, group, ROLE_BACKUP, ROLE_K_FORCED, d->reason, r->now);
}

/* A member alone is deaf: worth a line when it lasts, not when the others are just about to expire as well. */
static void note_deaf(struct node_run *r, uint16_t group, const struct group_decision *d)
{
	struct node_group *grp = &r->n->group[group];
	if (!d->deaf) {
		grp->deaf_since = MONO_NEVER;
		grp->deaf_told = false;
		return;
	}
	if (mono_is_never(grp->deaf_since))
		grp->deaf_since = r->now;
	if (grp->deaf_told || mono_sub(r->now, grp->deaf_since) < r->n->inst[d->member].master_adv_ns)
		return;
	grp->deaf_told = true;
	struct node_act *a = node_tell(r, NODE_TOLD_DEAF);
	a->group = group;
	a->inst = d->member;
}

/* Every member is deaf, and the master's word on the channel keeps this node from taking over. */
static void note_cut(struct node_run *r, uint16_t group, const struct group_decision *d)
{
	struct node *n = r->n;
	struct node_group *grp = &n->group[group];
	if (d->cut == !mono_is_never(grp->cut_since))
		return;
	struct node_act *a = node_tell(r, d->cut ? NODE_TOLD_CUT : NODE_TOLD_CUT_ENDED);
	a->group = group;
	a->peer = node_master_peer(n, group, r->now);
	a->on = d->verdict == GROUP_TAKE;
	a->late_ns = d->cut ? 0 : mono_sub(r->now, grp->cut_since);
	grp->cut_since = d->cut ? r->now : MONO_NEVER;
	n->arbitrated += d->cut;
}

static void note_expired(struct node_group *grp, const struct group_view *v, mono_t now)
{
	bool all = v->is == ROLE_BACKUP && v->n_expired > 0 && v->n_expired + v->n_down >= v->n;
	if (!all)
		grp->expired_since = MONO_NEVER;
	else if (mono_is_never(grp->expired_since))
		grp->expired_since = now;
}

/* Would preempt, were it not for the gate: said once while it lasts. */
static void note_gate(struct node_run *r, uint16_t group, const struct group_view *v)
{
	struct node_group *grp = &r->n->group[group];
	bool held = v->is == ROLE_BACKUP && v->preempt && !v->gate_open && v->n_lower > 0 && v->n_lower >= v->n;
	if (held && !grp->gate_told)
		node_tell(r, NODE_TOLD_GATE_CLOSED)->group = group;
	grp->gate_told = held;
}

/* A master is heard after all while its place is being prepared for: nothing has been shown outside yet. */
static void step_back(struct node_run *r, uint16_t group)
{
	const struct role *role = &r->n->group[group].role;
	if (role->is == ROLE_MASTER) /* it was given away and is being taken back: the new master has made it */
		node_wish(r, group, ROLE_BACKUP, ROLE_K_FORCED, ROLE_R_HIGHER, r->now);
	else
		node_wish(r, group, ROLE_BACKUP, ROLE_K_NONE, (enum role_reason)role->rec.reason, r->now);
}

void node_master_heard(struct node_run *r, uint16_t group)
{
	const struct node *n = r->n;
	const struct role *role = &n->group[group].role;
	node_role(r, group, &(struct role_ev){ .type = ROLE_EV_RIVAL });
	if (role->state != ROLE_PREPARING || role->target != ROLE_MASTER || role->kind != ROLE_K_CRASH ||
	    role->rec.reason == ROLE_R_OPERATOR)
		return;
	struct group_view v = view(n, group, r->now);
	if (group_decide(&v).verdict == GROUP_STAY)
		step_back(r, group);
}

void node_evaluate(struct node_run *r, uint16_t group)
{
	struct node *n = r->n;
	struct node_group *grp = &n->group[group];
	if (!n->running || n->stopping)
		return;
	node_split_watch(r, group);
	if (mono_due(grp->held_until, r->now))
		grp->held_until = MONO_NEVER;
	struct group_view v = view(n, group, r->now);
	if (mono_is_never(grp->expired_since)) {
		note_expired(grp, &v, r->now);
		if (!mono_is_never(grp->expired_since))
			v = view(n, group, r->now);
	} else {
		note_expired(grp, &v, r->now);
	}
	struct group_decision d = group_decide(&v);
	if (grp->role.state == ROLE_DEMOTING && d.verdict != GROUP_FAULT)
		return; /* it always finishes; only where it ends may change */
	note_deaf(r, group, &d);
	note_cut(r, group, &d);
	note_gate(r, group, &v);
	switch (d.verdict) {
	case GROUP_STAY:
		return;
	case GROUP_TAKE:
		if (d.reason == ROLE_R_NO_RESPONSE)
			note_crossing(r, group, &v);
		if (d.reason == ROLE_R_PRIORITY_ZERO && v.n_hearing > 0)
			grp->took_on_zero_at = r->now;
		node_wish(r, group, ROLE_MASTER, ROLE_K_CRASH, d.reason, node_last_sign(n, group, r->now));
		return;
	case GROUP_TAKE_PLANNED:
		grp->partner = node_master_peer(n, group, r->now);
		node_wish(r, group, ROLE_MASTER, ROLE_K_PLANNED, d.reason, r->now);
		return;
	case GROUP_YIELD:
		note_yield(r, group, &d);
		return;
	case GROUP_GIVE:
		node_wish(r, group, ROLE_BACKUP, ROLE_K_PLANNED, d.reason, r->now);
		return;
	case GROUP_FAULT:
		node_wish(r, group, ROLE_FAULT, ROLE_K_FAULT, d.reason, r->now);
		return;
	case GROUP_CLEAR:
		node_wish(r, group, ROLE_BACKUP, ROLE_K_NONE, d.reason, r->now);
		return;
	}
}

void node_evaluate_all(struct node_run *r)
{
	for (uint16_t g = 0; g < r->n->n_groups; g++)
		node_evaluate(r, g);
}

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
			grp->given_away = true;
		break;
	case ROLE_MASTER:
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
		node_ike_close(r, group, act->epoch);
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
					       .u.rearm.delay_ns = ROLE_UP_NS + group_down_ns(n, group) });
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

void node_maintenance(struct node_run *r, bool on)
{
	struct node *n = r->n;
	n->maintenance = on;
	for (uint16_t g = 0; g < n->n_groups; g++) {
		const struct role *role = &n->group[g].role;
		n->group[g].given_away = false;
		if (on && !n->stopping && role->state == ROLE_PREPARING && role->is == ROLE_BACKUP)
			node_wish(r, g, ROLE_BACKUP, ROLE_K_NONE, ROLE_R_MAINTENANCE, r->now);
	}
	node_evaluate_all(r);
}
