/*
 * netstate: objects that more than one group wants. keepalived takes such files, so an address that stands in two virtual
 * routers is there as long as one of them is MASTER. An object always belongs to one group; it moves to another one that
 * wants it where its own wants it less.
 */
#include <errno.h>
#include "daemon/netstate_priv.h"

/* A group's wish for an object that others want too. Those of an object name all its groups. */
struct net_claim {
	uint32_t obj_next, group_next;
	uint32_t obj, tag;
	uint16_t group;
};

void net_claims_init(struct netstate *ns)
{
	slab_init(&ns->claims, sizeof(struct net_claim), NET_OBJECTS_MAX);
}

void net_claims_free(struct netstate *ns)
{
	if (!ns->claims.used)
		return;
	for (uint32_t h = ns->all_objs; h; h = net_obj_at(ns, h)->all_next)
		net_obj_at(ns, h)->claims = 0;
	slab_free_all(&ns->claims);
}

static bool claims(const struct netstate *ns, const struct net_obj *o, uint16_t group)
{
	for (uint32_t h = o->claims; h; h = ((struct net_claim *)slab_at(&ns->claims, h))->obj_next)
		if (((struct net_claim *)slab_at(&ns->claims, h))->group == group)
			return true;
	return false;
}

static int claim(struct netstate *ns, struct net_obj *o, uint16_t group, uint32_t tag)
{
	uint32_t h = slab_alloc(&ns->claims);
	struct net_claim *c = slab_at(&ns->claims, h);
	struct net_group *g = net_group_make(ns, group);
	if (!c || !g) {
		slab_free(&ns->claims, h);
		ns->count.full++;
		return -ENOSPC;
	}
	*c = (struct net_claim){ .obj_next = o->claims, .group_next = g->claims, .obj = o->handle, .tag = tag };
	c->group = group;
	o->claims = g->claims = h;
	if (group < NET_GROUPS_MAX && group >= ns->n_groups)
		ns->n_groups = group + 1u;
	return 0;
}

int net_claim_add(struct netstate *ns, struct net_obj *o, uint16_t group, uint32_t tag)
{
	if (o->group == group || claims(ns, o, group))
		return 0;
	int rc = o->claims ? 0 : claim(ns, o, o->group, o->tag);
	return rc ? rc : claim(ns, o, group, tag);
}

/* How much a group wants what it has. After a start nobody knows yet whose the address is: it is kept. */
static int wish(const struct netstate *ns, uint16_t group)
{
	switch (net_group_at(ns, group)->mode) {
	case NET_DOWN:
		return 0;
	case NET_KEEP:
		return 1;
	case NET_UP:
		return 2;
	}
	return 0;
}

void net_claims_settle(struct netstate *ns, struct net_obj *o)
{
	const struct net_claim *best = NULL;
	int most = wish(ns, o->group);
	for (uint32_t h = o->claims; h;) {
		const struct net_claim *c = slab_at(&ns->claims, h);
		if (wish(ns, c->group) > most) {
			most = wish(ns, c->group);
			best = c;
		}
		h = c->obj_next;
	}
	if (!best)
		return;
	net_group_remove(ns, o);
	o->tag = best->tag;
	net_group_append(ns, best->group, o);
}

void net_claims_moved(struct netstate *ns, const struct net_group *g)
{
	for (uint32_t h = g->claims; h;) {
		const struct net_claim *c = slab_at(&ns->claims, h);
		h = c->group_next;
		net_claims_settle(ns, net_obj_at(ns, c->obj));
	}
}
