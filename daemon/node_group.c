/*
 * Groups: the view that the group table decides on, and the wishes that follow.
 */
#include "daemon/node_int.h"

#include "daemon/base/mutant.h"
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
		if (n->member[grp->members[i]].down || n->member[grp->members[i]].tracked)
			return false;
	if (!n->has_sync || grp->role.is == ROLE_MASTER)
		return true;
	return !node_sync_late(n, now) && (!n->sync_gate || node_gate_open(n, now));
}

int64_t node_group_down_ns(const struct node *n, uint16_t group)
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
		bool tracked = m->tracked && !MUTANT(M_TRACK_IGNORED);
		if (m->down || tracked) {
			if (!v->n_down++) {
				v->first_down = inst;
				v->down_tracked = !m->down;
			}
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
	v.better_ready = !mono_is_never(grp->expired_since) && !grp->resuming && node_better_ready(n, group, now) &&
			 mono_sub(now, grp->expired_since) < n->inst[grp->members[0]].master_adv_ns;
	return v;
}

bool node_group_faulty(const struct node *n, uint16_t group, mono_t now, enum role_reason *reason)
{
	struct group_view v = view(n, group, now);
	v.is = ROLE_BACKUP;
	struct group_decision d = group_decide(&v);
	*reason = d.reason;
	return d.verdict == GROUP_FAULT;
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
		.close = node_ike_wants_close(n, group, false, r->now),
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
	if (mono_sub(r->now, grp->yielded_at) > 2 * node_group_down_ns(r->n, group))
		return;
	grp->first_decides_until = mono_add(r->now, NODE_PENALTY_NS);
	grp->yielded_at = MONO_NEVER;
	node_tell(r, NODE_TOLD_CROSSED)->group = group;
}

static void note_yield(struct node_run *r, uint16_t group, const struct group_decision *d)
{
	struct node_group *grp = &r->n->group[group];
	if (!mono_is_never(grp->took_on_zero_at) &&
	    mono_sub(r->now, grp->took_on_zero_at) <= 2 * node_group_down_ns(r->n, group)) {
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
		/* While it hands the role over it does not say MASTER: whom the switch is made with is known already. */
		if (grp->role.state == ROLE_STABLE)
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
