/*
 * The ctl channel in the node core: heartbeats with roles and readiness, and the messages of a planned switch.
 */
#include "daemon/node_int.h"

#include <string.h>
#include "daemon/base/mutant.h"
#include "daemon/base/require.h"
#include "sync/rec.h"

struct node_peer *node_peer_of(struct node *n, uint32_t id)
{
	for (uint8_t p = 0; p < n->n_peers; p++)
		if (n->peer[p].node == id)
			return &n->peer[p];
	return NULL;
}

bool node_channel_up(const struct node_peer *p, mono_t now)
{
	return p->up && !mono_is_never(p->heard_at) && mono_sub(now, p->heard_at) <= NODE_CHANNEL_NS;
}

static bool ready_for(const struct node_peer *p, uint16_t group, mono_t now)
{
	return p->up && p->same_config && p->groups[group].ready && !mono_is_never(node_said_at(p, group)) &&
	       mono_sub(now, node_said_at(p, group)) <= NODE_READY_NS;
}

const struct node_peer *node_ready_peer(const struct node *n, uint16_t group, mono_t now)
{
	for (uint8_t p = 0; p < n->n_peers; p++)
		if (ready_for(&n->peer[p], group, now))
			return &n->peer[p];
	return NULL;
}

bool node_group_peer_ready(const struct node *n, uint16_t group, mono_t now)
{
	return node_ready_peer(n, group, now) != NULL;
}

static struct peer_msg *new_msg(struct node_run *r, enum peer_msg_type type, uint32_t peer)
{
	require(r->out->n_msgs < r->out->cap_msgs);
	struct peer_msg *m = &r->out->msgs[r->out->n_msgs++];
	memset(m, 0, sizeof(*m));
	m->type = type;
	struct node_act *a = node_emit(r, NODE_ACT_PEER);
	a->peer = peer;
	a->msg = m;
	return m;
}

bool node_any_peer_up(const struct node *n)
{
	bool up = false;
	for (uint8_t p = 0; p < n->n_peers; p++)
		up |= n->peer[p].up;
	return up;
}

bool node_peer_has_all(const struct node *n, uint32_t peer)
{
	for (unsigned i = 0; i < SYNC_NODES_MAX; i++)
		if (n->sync.has_all[i] == peer)
			return true;
	return false;
}

uint8_t node_group_priority(const struct node *n, uint16_t group)
{
	const struct node_group *grp = &n->group[group];
	uint8_t low = 255;
	for (uint16_t i = 0; i < grp->n_members; i++)
		if (n->inst[grp->members[i]].priority < low)
			low = n->inst[grp->members[i]].priority;
	return low;
}

/* Who takes over: ready before not ready, then the priority, then the lower id. */
struct rank {
	bool ready;
	uint8_t priority;
	uint32_t node;
};

static bool fitter(const struct rank *a, const struct rank *b)
{
	if (a->ready != b->ready)
		return a->ready;
	if (a->priority != b->priority)
		return a->priority > b->priority;
	return a->node < b->node;
}

static struct rank rank_of(const struct node_peer *p, uint16_t group, mono_t now)
{
	return (struct rank){ ready_for(p, group, now), p->groups[group].priority, p->node };
}

uint32_t node_successor(const struct node *n, uint16_t group, mono_t now)
{
	struct rank best = { 0 };
	for (uint8_t p = 0; p < n->n_peers; p++) {
		struct rank it = rank_of(&n->peer[p], group, now);
		if (it.ready && (!best.node || fitter(&it, &best)))
			best = it;
	}
	return best.node;
}

/* On the channel and no master: it could take the group over. */
static bool contender(const struct node_peer *p, uint16_t group, mono_t now)
{
	return !p->dead && p->same_config && !p->maintenance && node_channel_up(p, now) &&
	       p->groups[group].role == PEER_ROLE_BACKUP && !p->groups[group].leaving;
}

bool node_outranked(const struct node *n, uint16_t group, mono_t now)
{
	struct rank me = { node_group_ready(n, group, now), node_group_priority(n, group), n->id };
	for (uint8_t p = 0; p < n->n_peers; p++) {
		struct rank it = rank_of(&n->peer[p], group, now);
		if (contender(&n->peer[p], group, now) && fitter(&it, &me) && !MUTANT(M_EVERY_NODE_SUCCEEDS))
			return true;
	}
	return false;
}

bool node_better_ready(const struct node *n, uint16_t group, mono_t now)
{
	if (node_group_ready(n, group, now))
		return false;
	for (uint8_t p = 0; p < n->n_peers; p++)
		if (contender(&n->peer[p], group, now) && ready_for(&n->peer[p], group, now))
			return true;
	return false;
}

uint32_t node_master_peer(const struct node *n, uint16_t group, mono_t now)
{
	for (uint8_t p = 0; p < n->n_peers; p++)
		if (node_channel_up(&n->peer[p], now) && n->peer[p].same_config &&
		    n->peer[p].groups[group].role == PEER_ROLE_MASTER)
			return n->peer[p].node;
	return 0;
}

void node_say(struct node_run *r, enum peer_msg_type type, uint32_t to, uint16_t group, struct epoch epoch,
	      uint64_t seq, uint8_t reason, bool planned)
{
	struct peer_msg *m = new_msg(r, type, to);
	m->group = group;
	m->epoch = epoch;
	m->last_seq = seq;
	m->reason = reason;
	m->planned = planned;
}

static uint8_t role_on_wire(const struct role *role)
{
	if (role->state == ROLE_COMMITTING || (role->state == ROLE_DEMOTING && role->is == ROLE_MASTER))
		return PEER_ROLE_MOVING;
	switch (role->is) {
	case ROLE_INIT:
		return PEER_ROLE_INIT;
	case ROLE_BACKUP:
		return PEER_ROLE_BACKUP;
	case ROLE_MASTER:
		return PEER_ROLE_MASTER;
	case ROLE_FAULT:
		return PEER_ROLE_FAULT;
	}
	return PEER_ROLE_INIT;
}

static void put_group(struct node_run *r, struct peer_msg *m, uint16_t g)
{
	struct node *n = r->n;
	struct node_group *grp = &n->group[g];
	grp->told_role = grp->role.is;
	grp->told_ready = node_group_ready(n, g, r->now);
	m->groups[m->n_groups++] = (struct peer_group_state){
		.group = g,
		.role = role_on_wire(&grp->role),
		.priority = node_group_priority(n, g),
		.ready = grp->told_ready,
		.epoch = grp->role.epoch,
	};
}

static struct peer_msg *new_heartbeat(struct node_run *r)
{
	struct peer_msg *m = new_msg(r, PEER_HEARTBEAT, 0);
	m->epoch = r->n->seen;
	m->maintenance = r->n->maintenance;
	return m;
}

/* The heartbeats from action `from` on go to each peer: what it has of our sessions is between the two. */
static void to_each(struct node_run *r, unsigned from)
{
	struct node *n = r->n;
	unsigned end = r->out->n;
	bool first = true;
	for (uint8_t p = 0; p < n->n_peers; p++) {
		bool all = node_peer_has_all(n, n->peer[p].node);
		if (!n->peer[p].up)
			continue;
		for (unsigned i = from; i < end; i++) {
			struct peer_msg *m = r->out->a[i].msg;
			if (!first) {
				struct peer_msg *own = new_msg(r, PEER_HEARTBEAT, 0);
				*own = *m;
				m = own;
			}
			m->you_have_all = all;
			(first ? &r->out->a[i] : &r->out->a[r->out->n - 1])->peer = n->peer[p].node;
		}
		first = false;
	}
}

void node_heartbeat_all(struct node_run *r)
{
	struct node *n = r->n;
	n->heartbeat_at = mono_add(r->now, NODE_HEARTBEAT_NS);
	if (!n->n_peers)
		return;
	unsigned from = r->out->n;
	/* Without a group it still says that this node lives. */
	struct peer_msg *m = n->n_groups ? NULL : new_heartbeat(r);
	for (uint16_t g = 0; g < n->n_groups; g++) {
		if (!m || m->n_groups == PEER_GROUPS_MAX)
			m = new_heartbeat(r);
		put_group(r, m, g);
	}
	to_each(r, from);
}

void node_heartbeat(struct node_run *r)
{
	struct node *n = r->n;
	if (n->n_groups <= NODE_WALK || !n->n_peers) {
		node_heartbeat_all(r);
		return;
	}
	/* The channel keeps the order and loses nothing: what changed, and the others in turn. */
	unsigned from = r->out->n;
	struct peer_msg *m = new_heartbeat(r);
	n->heartbeat_at = mono_add(r->now, NODE_HEARTBEAT_NS);
	for (uint16_t g = 0; g < n->n_groups; g++) {
		const struct node_group *grp = &n->group[g];
		if (grp->told_role == grp->role.is && grp->told_ready == node_group_ready(n, g, r->now))
			continue;
		if (m->n_groups == PEER_GROUPS_MAX)
			m = new_heartbeat(r);
		put_group(r, m, g);
	}
	for (uint16_t i = 0; i < n->n_groups && m->n_groups < PEER_GROUPS_MAX; i++) {
		n->tell_next = (uint16_t)((n->tell_next + 1) % n->n_groups);
		put_group(r, m, n->tell_next);
	}
	to_each(r, from);
}

void node_unadopt(struct node_run *r, uint16_t group)
{
	struct node_group *grp = &r->n->group[group];
	node_touch(r->n, group);
	grp->adopting = grp->resuming = false;
	struct node_act *a = node_emit(r, NODE_ACT_NET);
	a->group = group;
	a->net_mode = NODE_NET_DOWN;
	a->epoch = grp->role.epoch;
}

void node_on_peer_up(struct node_run *r, const struct node_ev *ev)
{
	struct node_peer *p = node_peer_of(r->n, ev->peer);
	if (!p) {
		r->n->stale++;
		return;
	}
	p->up = true;
	p->heard_at = p->up_at = r->now;
	p->dead = p->probing = false;
	node_tell(r, NODE_TOLD_PEER_UP)->peer = p->node;
	/* Somebody else is there to serve: what an earlier process of ours left goes at once. */
	for (uint16_t g = 0; g < r->n->n_groups; g++)
		if (r->n->group[g].adopting && !r->n->group[g].resuming)
			node_unadopt(r, g);
	node_heartbeat_all(r);
}

void node_probe(struct node_run *r, struct node_peer *p)
{
	p->probe_at = MONO_NEVER;
	if (p->up || !p->probes_left)
		return;
	p->probes_left--;
	p->probing = true;
	node_emit(r, NODE_ACT_PROBE)->peer = p->node;
}

void node_on_peer_down(struct node_run *r, const struct node_ev *ev)
{
	struct node *n = r->n;
	struct node_peer *p = node_peer_of(n, ev->peer);
	if (!p || !p->up) {
		n->stale++;
		return;
	}
	p->up = false;
	p->lost_at = r->now;
	bool was_master = false;
	for (uint16_t g = 0; g < n->n_groups; g++) {
		was_master |= p->groups[g].role == PEER_ROLE_MASTER;
		p->groups[g].ready = p->groups[g].leaving = false;
	}
	node_tell(r, NODE_TOLD_PEER_DOWN)->peer = p->node;
	/* Loss alone never moves a role; a kernel that lives and refuses proves that the process is gone. */
	if (ev->lost && was_master) {
		p->probes_left = NODE_PROBES;
		node_probe(r, p);
	}
	node_evaluate_all(r);
}

void node_on_probe(struct node_run *r, const struct node_ev *ev)
{
	struct node *n = r->n;
	struct node_peer *p = node_peer_of(n, ev->peer);
	if (!p || !p->probing) {
		n->stale++;
		return;
	}
	p->probing = false;
	if (p->up)
		return;
	if (!ev->refused) {
		p->probe_at = mono_add(r->now, NODE_PROBE_NS);
		return;
	}
	for (uint16_t i = 0; i < n->n_inst; i++)
		if (!mono_is_never(n->member[i].heard_at) && mono_before(p->lost_at, n->member[i].heard_at))
			return; /* an advert since: somebody is still there */
	p->dead = true;
	p->dead_at = r->now;
	node_tell(r, NODE_TOLD_PEER_DEAD)->peer = p->node;
	node_evaluate_all(r);
}

/* No epoch beyond what a session record can hold: a peer gone mad must not use up the counter of the cluster. */
static bool see(struct node *n, struct epoch e)
{
	if (e.counter > SYNC_EPOCH_MAX) {
		n->stale++;
		return false;
	}
	n->seen = epoch_max(n->seen, e);
	return true;
}

static void on_hello(struct node_run *r, struct node_peer *p, const struct peer_hello *h)
{
	struct node *n = r->n;
	/* "you have everything" holds for one boot of both. */
	if (p->boot_nonce != h->boot_nonce)
		p->you_have_all = false;
	p->boot_nonce = h->boot_nonce;
	see(n, h->epoch_max);
	bool same = memcmp(&h->config_digest[1], &n->config_digest[1], sizeof(h->config_digest[1])) == 0;
	if (!same)
		node_tell(r, NODE_TOLD_CONFIG_DIFFERS)->peer = p->node;
	/* What was said under other numbers is forgotten; of very many groups all is said anew after a hello. */
	if (p->same_config != same || n->n_groups > NODE_WALK)
		for (uint16_t g = 0; g < n->n_groups; g++) {
			p->groups[g].at = MONO_NEVER;
			p->groups[g].ready = p->groups[g].leaving = false;
			p->groups[g].role = PEER_ROLE_INIT;
		}
	p->same_config = same;
	p->up = true;
	r->n->touched_all = true;
}

/*
 * The peer was MASTER beside us and is it no longer (a healed split brain): what it announced may have come after ours.
 * A role that it handed over bears our own epoch.
 */
static void note_survived(struct node_run *r, const struct node_peer *p, const struct peer_group_state *s)
{
	const struct node_group *grp = &r->n->group[s->group];
	bool was = p->groups[s->group].role == PEER_ROLE_MASTER || p->groups[s->group].role == PEER_ROLE_MOVING;
	bool is = s->role == PEER_ROLE_MASTER || s->role == PEER_ROLE_MOVING;
	bool moved = epoch_cmp(s->epoch, grp->role.epoch) > 0 && epoch_cmp(s->epoch, p->groups[s->group].epoch) > 0;
	if (!p->same_config || is || grp->role.is != ROLE_MASTER || epoch_cmp(s->epoch, grp->role.epoch) == 0 ||
	    !(was || moved))
		return;
	for (uint16_t m = 0; m < grp->n_members; m++)
		node_emit(r, NODE_ACT_ANNOUNCE)->inst = grp->members[m];
}

/* A MASTER that says FAULT left in between: its LEAVING was not heard, as when the channel paused just then. After a
 * longer silence somebody else may have followed it, and the wire tells. */
static bool left_unheard(const struct node_run *r, const struct node_peer *p, const struct peer_group_state *s)
{
	mono_t said = p->groups[s->group].at;
	bool served = p->groups[s->group].role == PEER_ROLE_MASTER || p->groups[s->group].role == PEER_ROLE_MOVING;
	return s->role == PEER_ROLE_FAULT && served && !p->groups[s->group].leaving && !r->n->woke &&
	       !mono_is_never(said) && mono_sub(r->now, said) <= NODE_UNHEARD_NS;
}

static void on_heartbeat(struct node_run *r, struct node_peer *p, const struct peer_msg *m, bool was_up)
{
	struct node *n = r->n;
	bool all = !was_up || p->you_have_all != m->you_have_all;
	p->you_have_all = m->you_have_all;
	p->beat_at = r->now;
	n->touched_all |= all;
	p->maintenance = m->maintenance;
	for (uint8_t i = 0; i < m->n_groups; i++) {
		const struct peer_group_state *s = &m->groups[i];
		if (s->group >= n->n_groups) {
			n->stale++;
			continue;
		}
		if (left_unheard(r, p, s)) {
			p->groups[s->group].leaving = true;
			p->groups[s->group].successor = 0;
		} else if (s->role != PEER_ROLE_MASTER && s->role != PEER_ROLE_MOVING) {
			p->groups[s->group].leaving = false;
		}
		note_survived(r, p, s);
		p->groups[s->group].role = s->role;
		p->groups[s->group].priority = s->priority;
		p->groups[s->group].ready = s->ready;
		p->groups[s->group].epoch = s->epoch;
		p->groups[s->group].at = r->now;
		see(n, s->epoch);
		struct node_group *grp = &n->group[s->group];
		node_touch(n, s->group);
		if (p->same_config && s->role == PEER_ROLE_MASTER) {
			if (grp->adopting)
				node_unadopt(r, s->group);
			if (grp->stalled) {
				grp->stalled = false;
				grp->stall_until = MONO_NEVER;
				node_wish(r, s->group, ROLE_BACKUP, ROLE_K_FORCED, ROLE_R_STALL, r->now);
			}
		}
	}
	if (all)
		node_evaluate_all(r);
	for (uint8_t i = 0; !all && i < m->n_groups; i++)
		if (m->groups[i].group < n->n_groups)
			node_evaluate(r, m->groups[i].group);
}

static void on_take(struct node_run *r, const struct node_peer *p, const struct peer_msg *m)
{
	struct node *n = r->n;
	if (n->maintenance || n->stopping || node_starting(n) || n->group[m->group].role.is != ROLE_BACKUP)
		return;
	n->group[m->group].given_away = false;
	if (m->reason == ROLE_R_STOP || m->reason == ROLE_R_MAINTENANCE)
		n->group[m->group].role.leaving_heard = true;
	n->group[m->group].partner = p->node;
	node_wish(r, m->group, ROLE_MASTER, ROLE_K_PLANNED, (enum role_reason)m->reason, r->now);
}

void node_on_peer_msg(struct node_run *r, const struct node_ev *ev)
{
	struct node *n = r->n;
	struct node_peer *p = node_peer_of(n, ev->peer);
	const struct peer_msg *m = ev->msg;
	if (!p || !m) {
		n->stale++;
		return;
	}
	bool was_up = node_channel_up(p, r->now);
	p->heard_at = r->now;
	if (!see(n, m->epoch))
		return;
	if (m->type == PEER_HELLO) {
		on_hello(r, p, &m->hello);
		return;
	}
	if (m->type == PEER_HEARTBEAT) {
		on_heartbeat(r, p, m, was_up);
		return;
	}
	if (m->group >= n->n_groups || !p->same_config) {
		n->stale++;
		return;
	}
	struct node_group *grp = &n->group[m->group];
	struct role_ev re = { .type = ROLE_EV_PEER,
			      .epoch = m->epoch,
			      .seq = m->last_seq,
			      .peer_ready = p->groups[m->group].ready,
			      .has_sync = n->has_sync,
			      .sync_late = node_sync_late(n, r->now),
			      .stored = n->sync.stored > 0,
			      .close = m->type == PEER_PREPARED && node_ike_wants_close(n, m->group, true, r->now),
			      .has_channel = true,
			      .seen = n->seen };
	switch (m->type) {
	case PEER_HELLO:
	case PEER_HEARTBEAT:
	case PEER_JOURNAL:
	case PEER_CLOSE:
	case PEER_FACTS_ASK:
	case PEER_FACTS:
		return;
	case PEER_TAKE:
		on_take(r, p, m);
		return;
	case PEER_PREPARED:
		grp->outbid = grp->role.state == ROLE_STABLE && m->reason == ROLE_R_PREEMPTED;
		if (grp->role.state == ROLE_STABLE)
			grp->partner = p->node;
		re.peer = ROLE_PEER_PREPARED;
		break;
	case PEER_GO:
		re.peer = ROLE_PEER_GO;
		break;
	case PEER_UP:
		re.peer = ROLE_PEER_UP;
		break;
	case PEER_LEAVING:
		if (n->woke) { /* said while we slept: somebody else may have followed long ago, the wire tells */
			p->groups[m->group].role = PEER_ROLE_BACKUP;
			p->groups[m->group].ready = false;
			n->stale++;
			return;
		}
		p->groups[m->group].leaving = true;
		p->groups[m->group].successor = m->successor;
		p->groups[m->group].ready = false;
		p->groups[m->group].at = r->now;
		node_touch(n, m->group);
		if (n->group[m->group].role.state == ROLE_PREPARING && (!m->successor || m->successor == n->id))
			n->group[m->group].role.leaving_heard = true;
		node_evaluate(r, m->group);
		return;
	}
	if (grp->partner != p->node) { /* of three nodes only the one this switch is made with has a say */
		n->stale++;
		return;
	}
	node_role(r, m->group, &re);
}
