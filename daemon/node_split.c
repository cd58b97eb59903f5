/*
 * Split brain: two masters of one group. It is seen on the wire (a MASTER hears another master) and on the channel (the
 * peer says MASTER of a group that is ours), said once with who and where, and said again when it is over. Which of the
 * two yields is decided elsewhere, by the group table.
 */
#include "daemon/node_int.h"

#include "daemon/base/require.h"

/* The other master of this segment counts as long as a backup would wait for it. */
static bool rival_heard(const struct node *n, uint16_t inst, mono_t now)
{
	const struct node_member *m = &n->member[inst];
	const struct vrrp *v = &n->inst[inst];
	return !mono_is_never(m->rival_at) && mono_sub(now, m->rival_at) <= vrrp_peer_down(v);
}

static bool serving(const struct node_group *grp)
{
	return grp->role.is == ROLE_MASTER && grp->role.state == ROLE_STABLE;
}

static void begin(struct node_run *r, uint16_t group, uint16_t inst, uint32_t node)
{
	struct node *n = r->n;
	struct node_split *s = &n->group[group].split;
	if (!mono_is_never(s->since))
		return;
	s->since = r->now;
	s->inst = inst;
	s->node = node;
	s->src = (struct addr){ 0 };
	s->priority = 0;
	if (inst != UINT16_MAX) {
		s->src = n->inst[inst].peer.src;
		s->priority = n->inst[inst].peer.priority;
	} else {
		struct node_peer *p = node_peer_of(n, node);
		require(p != NULL);
		s->priority = p->groups[group].priority;
	}
	n->splits++;
	struct node_act *a = node_tell(r, NODE_TOLD_SPLIT);
	a->group = group;
	a->peer = node;
}

static void end(struct node_run *r, uint16_t group)
{
	struct node_group *grp = &r->n->group[group];
	struct node_act *a = node_tell(r, NODE_TOLD_SPLIT_ENDED);
	a->group = group;
	a->late_ns = mono_sub(r->now, grp->split.since);
	a->on = serving(grp);
	if (a->on)
		node_ike_verify(r, group); /* the last of two initiations has won, whosever it was */
	grp->split = (struct node_split){ .since = MONO_NEVER, .maybe = MONO_NEVER };
	for (uint16_t i = 0; i < grp->n_members; i++)
		r->n->member[grp->members[i]].rival_since = MONO_NEVER;
}

void node_rival(struct node_run *r, uint16_t inst, bool higher)
{
	struct node *n = r->n;
	struct node_member *m = &n->member[inst];
	const struct vrrp *v = &n->inst[inst];
	bool again = rival_heard(n, inst, r->now);
	if (!serving(&n->group[m->group]))
		return;
	/* Whose place was just taken may have had an advert on its way. */
	int64_t grace = v->conf->adv_ns < NODE_HANDOVER_NS ? v->conf->adv_ns : NODE_HANDOVER_NS;
	if (mono_sub(r->now, v->since) <= grace)
		return;
	m->rival_at = r->now;
	/* One advert of a better router is how it preempts without a channel; this one yields then, and hears no second. */
	if (higher && !again)
		return;
	if (mono_is_never(m->rival_since))
		m->rival_since = r->now;
	begin(r, m->group, inst, node_master_peer(n, m->group, r->now));
}

/* The peer whose words of the last 300 ms are that it is MASTER of this group; 0: none. */
static uint32_t rival_on_channel(const struct node *n, uint16_t group, mono_t now)
{
	uint32_t node = node_master_peer(n, group, now);
	for (uint8_t p = 0; node && p < n->n_peers; p++) {
		mono_t said = node_said_at(&n->peer[p], group);
		if (n->peer[p].node == node && (mono_is_never(said) || mono_sub(now, said) > NODE_CHANNEL_NS))
			return 0;
	}
	return node;
}

void node_split_watch(struct node_run *r, uint16_t group)
{
	struct node *n = r->n;
	struct node_group *grp = &n->group[group];
	uint32_t other = serving(grp) ? rival_on_channel(n, group, r->now) : 0;
	bool heard = false;
	for (uint16_t i = 0; i < grp->n_members; i++)
		heard |= rival_heard(n, grp->members[i], r->now);
	/* A switch is seen on the channel with a little delay: only what lasts counts. */
	if (!other)
		grp->split.maybe = MONO_NEVER;
	else if (mono_is_never(grp->split.maybe))
		grp->split.maybe = r->now;
	else if (mono_sub(r->now, grp->split.maybe) >= NODE_HEARTBEAT_NS)
		begin(r, group, UINT16_MAX, other);
	if (mono_is_never(grp->split.since))
		return;
	if (other)
		grp->split.node = other;
	if (!serving(grp) || (!heard && !other))
		end(r, group);
}
