/*
 * tunnels = "auto": every connection of the IKE daemon whose local address is a virtual address is a tunnel, for each of
 * its children. The list is read when the IKE daemon comes up, and again and again, because an operator may load more.
 * A connection that is gone keeps its place as a tunnel that waits, so that numbers in requests under way keep their
 * meaning; the next new one takes it.
 */
#include "daemon/app_watch.h"

#include <stdlib.h>
#include <string.h>
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/require.h"
#include "ike-hooks/vici_conn.h"

#define LOOK_NS  (10 * NS_PER_SEC)
#define AGAIN_NS (200 * NS_PER_MS) /* a role is changing, or the request was refused */
#define ROOM     16u

struct app_learn {
	struct loop_timer *timer;
	struct ike_tunnel_conf *seen; /* of the list that is being read */
	unsigned n, cap;
	bool full_told;
};

static void ask(struct app *a)
{
	struct vici_tag tag = { .tunnel = APP_TAG_LEARN };

	a->learn->n = 0;
	bool asked = a->vici && vici_conns(a->vici, tag) == 0;
	loop_timer_set(a->learn->timer, mono_add(clock_mono(), asked ? LOOK_NS : AGAIN_NS));
}

static void on_timer(void *arg, mono_t deadline)
{
	(void)deadline;
	struct app *a = arg;

	if (a->vici && vici_state(a->vici) == VICI_READY)
		ask(a);
}

int app_learn_start(struct app *a)
{
	if (!a->cfg->tunnels_auto || a->learn)
		return 0;
	a->learn = calloc(1, sizeof(*a->learn));
	if (!a->learn)
		return -1;
	a->learn->timer = loop_timer_new(a->loop, LOOP_NORMAL, on_timer, a);
	return a->learn->timer ? 0 : -1;
}

void app_learn_stop(struct app *a)
{
	if (!a->learn)
		return;
	loop_timer_free(a->learn->timer);
	free(a->learn->seen);
	free(a->learn);
	a->learn = NULL;
}

void app_learn_up(struct app *a)
{
	if (a->learn)
		ask(a);
}

static struct ike_tunnel_conf *more(struct app_learn *l)
{
	if (l->n == IKE_TUNNELS_MAX)
		return NULL;
	if (l->n == l->cap) {
		unsigned cap = l->cap ? l->cap * 2 : ROOM;
		struct ike_tunnel_conf *p = realloc(l->seen, cap * sizeof(*p));
		if (!p)
			return NULL;
		l->seen = p;
		l->cap = cap;
	}
	return &l->seen[l->n++];
}

/* A far end that may be anybody cannot be initiated to. */
static void add_child(struct app *a, const struct vici_conn *c, const struct addr *vip, int group, const char *child)
{
	struct ike_tunnel_conf *k = more(a->learn);

	if (!k) {
		if (!a->learn->full_told)
			log_warn(LOG_IKE, "tunnels = \"auto\": no room for connection %s and further ones", c->name);
		a->learn->full_told = true;
		return;
	}
	*k = a->cfg->auto_conf;
	k->vip = *vip;
	k->group = (uint16_t)group;
	snprintf(k->ike, sizeof(k->ike), "%s", c->name);
	snprintf(k->child, sizeof(k->child), "%s", child);
	if (c->n_children + c->more_children == 1 || strcmp(c->name, child) == 0)
		snprintf(k->name, sizeof(k->name), "%s", c->name);
	else
		snprintf(k->name, sizeof(k->name), "%.31s-%.31s", c->name, child);
	if (c->remote.n == 1 && !c->remote.other && !c->remote.any)
		k->peer = c->remote.addr[0];
	else
		k->initiate = false;
}

void app_learn_conn(struct app *a, const struct vici_conn *c)
{
	if (!a->learn || !c->name[0])
		return;
	for (unsigned i = 0; i < c->local.n; i++) {
		int group = cfg_group_of_vip(a->cfg, &c->local.addr[i]);
		if (group < 0)
			continue;
		for (unsigned k = 0; k < c->n_children; k++)
			if (c->child[k].name[0])
				add_child(a, c, &c->local.addr[i], group, c->child[k].name);
		return;
	}
}

static bool is_same(const struct ike_tunnel_conf *a, const struct ike_tunnel_conf *b)
{
	return strcmp(a->ike, b->ike) == 0 && strcmp(a->child, b->child) == 0 && addr_eq(&a->vip, &b->vip);
}

static void feed(struct app *a, uint16_t tunnel, const struct ike_ev *ike)
{
	struct node_ev ev = { .type = NODE_EV_IKE, .tunnel = tunnel, .ike = ike };
	app_feed(a, &ev);
}

/* Room for n tunnels more, and for what they may say in one step. */
static bool grow(struct app *a, unsigned n)
{
	unsigned total = a->node.n_tunnels + n;
	unsigned acts = NODE_ACTS_FOR(a->node.n_inst, a->node.n_groups) + 32u * total;

	require(!a->act_depth);
	if (total > IKE_TUNNELS_MAX)
		return false;
	struct ike_tunnel *t = realloc(a->node.tunnel, (total + 1u) * sizeof(*t));
	if (!t)
		return false;
	a->node.tunnel = t;
	if (acts <= a->acts.cap)
		return true;
	struct node_act *list = calloc(acts, sizeof(*list));
	if (!list)
		return false;
	free(a->acts.a);
	a->acts.a = list;
	a->acts.cap = acts;
	a->acts.n = 0;
	return true;
}

/* Tunnels of one VIP and peer must not sweep each other away. */
static void find_neighbours(struct app *a)
{
	for (uint16_t i = 0; i < a->node.n_tunnels; i++) {
		const struct ike_tunnel_conf *c = &a->node.tunnel[i].conf;
		bool shares = false;
		for (uint16_t k = 0; k < a->node.n_tunnels && !shares; k++) {
			const struct ike_tunnel_conf *o = &a->node.tunnel[k].conf;
			shares = k != i && addr_eq(&c->vip, &o->vip) && addr_eq(&c->peer, &o->peer);
		}
		a->node.tunnel[i].shares_peer = shares;
	}
}

static int place_for(struct app *a)
{
	for (uint16_t t = 0; t < a->node.n_tunnels; t++)
		if (a->node.tunnel[t].conf.gone)
			return t;
	if (!grow(a, 1))
		return -1;
	a->node.tunnel[a->node.n_tunnels] = (struct ike_tunnel){ .seq = 0 };
	return a->node.n_tunnels++;
}

static void begin(struct app *a, const struct ike_tunnel_conf *c)
{
	int t = place_for(a);

	if (t < 0)
		return;
	uint32_t seq = a->node.tunnel[t].seq; /* numbers are never used twice */
	ike_init(&a->node.tunnel[t], c, false, clock_mono());
	a->node.tunnel[t].seq = seq;
	node_rebuild(&a->node);
	log_notice(LOG_IKE, "tunnel %s begins: connection %s, child %s%s", c->name, c->ike, c->child,
		   c->initiate ? "" : ", which the peer has to initiate");
}

static void end(struct app *a, uint16_t t)
{
	struct ike_tunnel *tunnel = &a->node.tunnel[t];
	struct ike_ev ev = { .kind = IKE_EV_RESET, .why = IKE_WHY_UNLOADED, .force = true };

	log_notice(LOG_IKE, "tunnel %s ends: the IKE daemon has no connection %s with a child %s any more",
		   tunnel->conf.name, tunnel->conf.ike, tunnel->conf.child);
	tunnel->conf.gone = true;
	tunnel->conf.initiate = false;
	feed(a, t, &ev);
}

static const struct ike_tunnel_conf *in_list(const struct app_learn *l, const struct ike_tunnel_conf *c)
{
	for (unsigned i = 0; i < l->n; i++)
		if (is_same(&l->seen[i], c))
			return &l->seen[i];
	return NULL;
}

static bool is_known(const struct app *a, const struct ike_tunnel_conf *c)
{
	for (uint16_t t = 0; t < a->node.n_tunnels; t++)
		if (!a->node.tunnel[t].conf.gone && is_same(&a->node.tunnel[t].conf, c))
			return true;
	return false;
}

/* First whether they are wanted up, then that the IKE daemon answers: what it has is found, and not purged. */
static void join(struct app *a)
{
	struct ike_ev up = { .kind = IKE_EV_BACKEND_UP };

	for (uint16_t t = 0; t < a->node.n_tunnels; t++) {
		const struct ike_tunnel *tunnel = &a->node.tunnel[t];
		struct node_ev ev = { .type = NODE_EV_JOIN, .group = tunnel->conf.group };
		if (!tunnel->conf.learnt || tunnel->backend)
			continue;
		if (!tunnel->active)
			app_feed(a, &ev);
		feed(a, t, &up);
	}
}

static bool resting(const struct app *a)
{
	for (uint16_t g = 0; g < a->node.n_groups; g++)
		if (a->node.group[g].role.state != ROLE_STABLE)
			return false;
	return true;
}

void app_learn_done(struct app *a, bool ok)
{
	struct app_learn *l = a->learn;
	bool added = false;

	if (!l)
		return;
	if (!ok || !a->node.running || !resting(a)) { /* a promotion must meet no tunnel that is being looked into */
		loop_timer_set(l->timer, mono_add(clock_mono(), AGAIN_NS));
		return;
	}
	for (uint16_t t = 0; t < a->node.n_tunnels; t++) {
		struct ike_tunnel_conf *c = &a->node.tunnel[t].conf;
		const struct ike_tunnel_conf *now = c->learnt && !c->gone ? in_list(l, c) : NULL;
		if (now)
			*c = *now;
		else if (c->learnt && !c->gone)
			end(a, t);
	}
	for (unsigned i = 0; i < l->n; i++) {
		if (is_known(a, &l->seen[i]))
			continue;
		begin(a, &l->seen[i]);
		added = true;
	}
	find_neighbours(a);
	app_watch_rebuild(a);
	if (added)
		join(a);
}

int app_learn_carry(struct app *a, const struct node *old)
{
	unsigned n = 0;

	for (uint16_t t = 0; t < old->n_tunnels && a->cfg->tunnels_auto; t++)
		n += old->tunnel[t].conf.learnt;
	if (!n)
		return 0;
	if (!grow(a, n))
		return -1;
	for (uint16_t t = 0; t < old->n_tunnels; t++) {
		int group = cfg_group_of_vip(a->cfg, &old->tunnel[t].conf.vip);
		if (!old->tunnel[t].conf.learnt || group < 0)
			continue;
		struct ike_tunnel *k = &a->node.tunnel[a->node.n_tunnels++];
		struct ike_tunnel_conf was = old->tunnel[t].conf;
		*k = old->tunnel[t];
		k->conf = a->cfg->auto_conf;
		memcpy(k->conf.name, was.name, sizeof(was.name));
		memcpy(k->conf.ike, was.ike, sizeof(was.ike));
		memcpy(k->conf.child, was.child, sizeof(was.child));
		k->conf.vip = was.vip;
		k->conf.peer = was.peer;
		k->conf.gone = was.gone;
		k->conf.initiate = k->conf.initiate && was.peer.af && !was.gone;
		k->conf.group = (uint16_t)group;
	}
	node_rebuild(&a->node);
	return 0;
}
