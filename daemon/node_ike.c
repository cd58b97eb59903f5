/*
 * Tunnels in the node core: purge and initiate by group, who may negotiate now, and what the tunnels answer to the role
 * transaction.
 */
#include <string.h>
#include "daemon/base/mutant.h"
#include "daemon/node_int.h"

bool node_ike_leftovers(const struct node *n, uint16_t group)
{
	if (n->group[group].resuming) /* what is there serves: it is looked for, and not purged */
		return false;
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
	struct role_ev ev = { .type = ROLE_EV_IKE_MARK,
			      .epoch = r->n->group[t->conf.group].role.epoch,
			      .phase = phase };
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

static void closed(struct node_run *r, uint16_t group, struct epoch epoch)
{
	struct node_group *grp = &r->n->group[group];
	if (epoch_cmp(epoch, grp->role.epoch) != 0 || !grp->tunnels_closing || --grp->tunnels_closing)
		return;
	struct role_ev ev = { .type = ROLE_EV_CLOSED, .epoch = epoch };
	node_role(r, group, &ev);
}

static void made(struct node_run *r, uint16_t group, struct epoch epoch)
{
	struct node_group *grp = &r->n->group[group];
	if (epoch_cmp(epoch, grp->role.epoch) != 0 || !grp->tunnels_making || --grp->tunnels_making)
		return;
	struct role_ev ev = { .type = ROLE_EV_MADE, .epoch = epoch };
	node_role(r, group, &ev);
}

static void say_hook(struct node_run *r, uint16_t tunnel, const struct ike_act *ia)
{
	const struct ike_tunnel *t = &r->n->tunnel[tunnel];
	struct node_act *a = node_emit(r, NODE_ACT_HOOK);
	a->hook = ia->hook;
	a->tunnel = tunnel;
	a->group = t->conf.group;
	a->reason = (uint8_t)ia->reason;
	a->epoch = t->epoch;
	a->ike = *ia;
}

static void carry_out(struct node_run *r, uint16_t tunnel, const struct ike_act *ia)
{
	uint16_t group = r->n->tunnel[tunnel].conf.group;
	struct node_act *a;

	switch (ia->kind) {
	case IKE_ACT_TERMINATE:
	case IKE_ACT_INITIATE:
	case IKE_ACT_REKEY:
	case IKE_ACT_LIST:
	case IKE_ACT_SWEEP:
	case IKE_ACT_CLOSE:
		a = node_emit(r, NODE_ACT_IKE);
		a->tunnel = tunnel;
		a->ike = *ia;
		return;
	case IKE_ACT_PURGED:
		purge_answered(r, group, ia->epoch);
		return;
	case IKE_ACT_UP:
		came_up(r, group, ia->epoch);
		return;
	case IKE_ACT_CLOSED:
		closed(r, group, ia->epoch);
		return;
	case IKE_ACT_MADE:
		made(r, group, ia->epoch);
		return;
	case IKE_ACT_DOWN:
	case IKE_ACT_DPD_DEAD:
	case IKE_ACT_RESET_FAILED:
		return; /* each comes with its hook and its trace */
	case IKE_ACT_HOOK:
		say_hook(r, tunnel, ia);
		return;
	case IKE_ACT_TRACE:
		a = node_tell(r, NODE_TOLD_TUNNEL);
		a->tunnel = tunnel;
		a->ike = *ia;
		return;
	case IKE_ACT_N:
		return;
	}
}

/* A reset is cheap for one tunnel; for all of them at once, again and again, it would be what an attacker wants. */
static bool may_reset(struct node *n, mono_t now)
{
	int64_t back = mono_sub(now, n->resets_at) / (NS_PER_SEC / (NODE_RESET_RATE * 1000));

	if (back > 0) {
		n->resets_spent = n->resets_spent > back ? n->resets_spent - back : 0;
		n->resets_at = now;
	}
	return n->resets_spent + 1000 <= NODE_RESET_BURST * 1000;
}

static void step(struct node_run *r, uint16_t tunnel, const struct ike_ev *ev)
{
	struct node *n = r->n;
	struct ike_tunnel *t = &n->tunnel[tunnel];
	struct ike_acts acts;
	unsigned flights = ike_flights(t), queued = ike_queued(t);
	uint64_t resets = t->count.resets, held = t->count.resets_held;

	t->resets_barred = !may_reset(n, r->now);
	ike_step(t, ev, r->now, &acts);
	if (t->count.resets != resets && n->resets_spent < NODE_RESET_BURST * 1000)
		n->resets_spent += 1000;
	n->resets_barred += t->resets_barred && t->count.resets_held != held;
	/* Before the actions: one of them may end a transaction, and that steps other tunnels. */
	n->ike_flights += ike_flights(t) - flights;
	n->ike_queued += ike_queued(t) - queued;
	for (unsigned i = 0; i < acts.n; i++)
		carry_out(r, tunnel, &acts.a[i]);
}

/* Before whom: smaller is first. Retries wait for first attempts, and what a backup keeps warm for everything else. */
static uint32_t turn_of(const struct ike_tunnel *t)
{
	uint32_t kind = t->state != IKE_QUEUED ? 2 : t->fails ? 1 : 0;

	return kind << 8 | t->conf.priority;
}

/* IKE SAs that are being negotiated: several children may wait for the same one. */
struct flights {
	unsigned n;
	struct {
		const struct addr *peer;
		const char *ike;
	} sa[IKE_FLIGHTS_MAX];
};

/* The connection that it uses, or would use. */
static const char *ike_of(const struct ike_tunnel *t)
{
	bool warm = t->keep.flying || t->keep.state == IKE_KEEP_WANT ||
		    (t->state == IKE_QUEUED ? ike_next_warm(t) : t->on_warm);

	return warm ? t->conf.warm_ike : t->conf.ike;
}

static void flights_add(struct flights *f, const struct ike_tunnel *t)
{
	const char *ike = ike_of(t);

	for (unsigned i = 0; i < f->n; i++)
		if (strcmp(f->sa[i].ike, ike) == 0)
			return;
	if (f->n == IKE_FLIGHTS_MAX || !addr_len(t->conf.peer.af))
		return;
	f->sa[f->n].peer = &t->conf.peer;
	f->sa[f->n++].ike = ike;
}

/* For a peer more than a few unfinished negotiations of one address are an attack, and it stops answering that address. */
static bool crowds(const struct flights *f, const struct ike_tunnel *t)
{
	const char *ike = ike_of(t);
	unsigned same = 0;

	for (unsigned i = 0; i < f->n; i++) {
		if (strcmp(f->sa[i].ike, ike) == 0)
			return false;
		same += addr_eq(f->sa[i].peer, &t->conf.peer);
	}
	return same >= IKE_FLIGHTS_PEER;
}

/* The first max of those that wait and may begin, in order. Returns how many there are. */
static unsigned next_turns(const struct node *n, const struct flights *f, uint16_t *out, unsigned max)
{
	uint32_t key[IKE_FLIGHTS_MAX];
	unsigned k = 0;

	for (uint16_t t = 0; t < n->n_tunnels; t++) {
		if (!ike_queued(&n->tunnel[t]))
			continue;
		uint32_t turn = turn_of(&n->tunnel[t]);
		if ((k == max && turn >= key[k - 1]) || crowds(f, &n->tunnel[t]))
			continue;
		unsigned at = k < max ? k++ : k - 1;
		for (; at > 0 && key[at - 1] > turn; at--) {
			key[at] = key[at - 1];
			out[at] = out[at - 1];
		}
		key[at] = turn;
		out[at] = t;
	}
	return k;
}

/* Room for more negotiations: a far end, and our own IKE daemon, must not be met by hundreds at once. */
static void give_turns(struct node_run *r)
{
	struct node *n = r->n;
	struct ike_ev grant = { .kind = IKE_EV_GRANT };
	uint16_t turn[IKE_FLIGHTS_MAX];
	struct flights f = { .n = 0 };

	if (!n->ike_queued || n->ike_flights >= IKE_FLIGHTS_MAX)
		return;
	for (uint16_t t = 0; n->ike_flights && t < n->n_tunnels; t++)
		if (ike_flights(&n->tunnel[t]))
			flights_add(&f, &n->tunnel[t]);
	/* Of those that are chosen together some may be too many for their peer; then others have their places. */
	for (uint32_t before = UINT32_MAX; n->ike_queued < before && n->ike_flights < IKE_FLIGHTS_MAX;) {
		unsigned k = next_turns(n, &f, turn, IKE_FLIGHTS_MAX - n->ike_flights);
		before = n->ike_queued;
		for (unsigned i = 0; i < k; i++) {
			const struct ike_tunnel *t = &n->tunnel[turn[i]];
			if (!ike_queued(t) || crowds(&f, t))
				continue;
			flights_add(&f, t);
			step(r, turn[i], &grant);
		}
	}
}

void node_ike(struct node_run *r, uint16_t tunnel, const struct ike_ev *ev)
{
	mark_event(r, &r->n->tunnel[tunnel], ev);
	if (ev->kind == IKE_EV_SA_LIST && ev->seq == 0)
		return; /* looked at for the timeline only: the machine did not ask */
	step(r, tunnel, ev);
	give_turns(r);
}

void node_ike_recount(struct node *n)
{
	n->ike_flights = n->ike_queued = 0;
	for (uint16_t t = 0; t < n->n_tunnels; t++) {
		n->ike_flights += ike_flights(&n->tunnel[t]);
		n->ike_queued += ike_queued(&n->tunnel[t]);
	}
}

static void each_of(struct node_run *r, uint16_t group, const struct ike_ev *ev)
{
	for (uint16_t t = 0; t < r->n->n_tunnels; t++)
		if (r->n->tunnel[t].conf.group == group)
			step(r, t, ev);
}

void node_ike_purge(struct node_run *r, uint16_t group, struct epoch epoch)
{
	struct node *n = r->n;
	struct node_group *grp = &n->group[group];
	uint16_t due = 0;
	for (uint16_t t = 0; t < n->n_tunnels; t++)
		due = (uint16_t)(due + (n->tunnel[t].conf.group == group));
	grp->tunnels_due = due;
	grp->tunnels_up_due = grp->tunnels_making = grp->tunnels_closing = 0;
	each_of(r, group, &(struct ike_ev){ .kind = IKE_EV_PURGE, .epoch = epoch });
	give_turns(r);
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
	each_of(r, group, &(struct ike_ev){ .kind = IKE_EV_INITIATE, .epoch = epoch });
	give_turns(r);
}

/* A node that is alive and BACKUP takes over, ready or not. */
static bool has_successor(const struct node *n, uint16_t group, mono_t now)
{
	for (uint8_t p = 0; p < n->n_peers; p++)
		if (node_channel_up(&n->peer[p], now) && !n->peer[p].maintenance &&
		    n->peer[p].groups[group].role == PEER_ROLE_BACKUP && !n->peer[p].groups[group].leaving)
			return true;
	return node_ready_peer(n, group, now) != NULL;
}

bool node_ike_wants_close(const struct node *n, uint16_t group, bool planned, mono_t now)
{
	bool others = planned || has_successor(n, group, now);
	for (uint16_t t = 0; t < n->n_tunnels; t++)
		if (n->tunnel[t].conf.group == group && ike_wants_close(&n->tunnel[t], others))
			return true;
	return false;
}

void node_ike_close(struct node_run *r, uint16_t group, bool planned, struct epoch epoch)
{
	struct node *n = r->n;
	bool others = planned || has_successor(n, group, r->now);
	struct ike_ev ev = { .kind = IKE_EV_CLOSE,
			     .epoch = epoch,
			     .wait_ns = others ? IKE_CLOSE_NOW_NS : IKE_CLOSE_NS };
	uint16_t due = 0;
	for (uint16_t t = 0; t < n->n_tunnels; t++)
		due = (uint16_t)(due + (n->tunnel[t].conf.group == group && ike_wants_close(&n->tunnel[t], others)));
	n->group[group].tunnels_closing = due;
	for (uint16_t t = 0; t < n->n_tunnels && due; t++)
		if (n->tunnel[t].conf.group == group && ike_wants_close(&n->tunnel[t], others))
			step(r, t, &ev);
}

bool node_ike_warm(const struct node *n, uint16_t group)
{
	for (uint16_t t = 0; t < n->n_tunnels; t++)
		if (n->tunnel[t].conf.group == group && ike_is_warm(&n->tunnel[t]))
			return true;
	return false;
}

void node_ike_make(struct node_run *r, uint16_t group, struct epoch epoch)
{
	struct node *n = r->n;
	struct ike_ev ev = { .kind = IKE_EV_MAKE, .epoch = epoch };
	uint16_t due = 0;
	for (uint16_t t = 0; t < n->n_tunnels; t++)
		due = (uint16_t)(due + (n->tunnel[t].conf.group == group && ike_is_warm(&n->tunnel[t])));
	n->group[group].tunnels_making = due;
	n->group[group].made_ahead = true;
	for (uint16_t t = 0; t < n->n_tunnels; t++)
		if (n->tunnel[t].conf.group == group && ike_is_warm(&n->tunnel[t]))
			step(r, t, &ev);
	give_turns(r);
}

/* The planned takeover did not happen: what was brought up ahead of it goes. */
void node_ike_unmake(struct node_run *r, uint16_t group)
{
	struct node *n = r->n;
	struct node_group *grp = &n->group[group];
	if (!grp->made_ahead || grp->role.state != ROLE_STABLE || MUTANT(M_IKE_MADE_KEPT))
		return;
	grp->made_ahead = false;
	if (grp->role.is == ROLE_MASTER)
		return;
	for (uint16_t t = 0; t < n->n_tunnels; t++) {
		struct ike_ev ev = { .kind = IKE_EV_PURGE, .epoch = epoch_max(grp->role.epoch, n->tunnel[t].epoch) };
		if (n->tunnel[t].conf.group == group && n->tunnel[t].making)
			step(r, t, &ev);
	}
	give_turns(r);
}

void node_ike_verify(struct node_run *r, uint16_t group)
{
	each_of(r, group, &(struct ike_ev){ .kind = IKE_EV_VERIFY });
	give_turns(r);
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
