/*
 * netstate: routes and rules. Only those with our mark are seen at all: a table may hold a million routes of others.
 *
 * The kernel says nothing when IPv4 routes die with a link or an address (net/ipv4/fib_frontend.c, fib_semantics.c).
 * After such events a list is asked for.
 */
#include <errno.h>
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/netstate_priv.h"

/* What makes two routes the same place in the kernel, or two rules. */
struct place_key {
	uint8_t what, af, plen, tos;
	uint32_t table, number; /* metric of a route, priority of a rule */
	uint8_t dst[16];
};

static uint64_t route_hash(const struct netstate *ns, const struct route *r)
{
	struct place_key k = { NET_ROUTE, r->af, r->plen, r->tos, r->table, r->metric, { 0 } };
	memcpy(k.dst, r->dst.b, sizeof(k.dst));
	return tbl_hash(&ns->obj_by_key, &k, sizeof(k));
}

static uint64_t rule_hash(const struct netstate *ns, const struct rule *r)
{
	struct place_key k = { NET_RULE, r->af, 0, 0, 0, r->priority, { 0 } };
	return tbl_hash(&ns->obj_by_key, &k, sizeof(k));
}

uint64_t net_spec_hash(const struct netstate *ns, const struct net_obj *o)
{
	const struct net_spec *s = net_spec_of(ns, o);
	return o->what == NET_ROUTE ? route_hash(ns, &s->route) : rule_hash(ns, &s->rule);
}

static const char *spec_text(const struct netstate *ns, const struct net_obj *o, char *buf)
{
	const struct net_spec *s = net_spec_of(ns, o);
	return o->what == NET_ROUTE ? route_text_print(&s->route, buf) : route_text_print_rule(&s->rule, buf);
}

bool net_spec_same(const struct netstate *ns, const struct net_obj *a, const struct net_obj *b)
{
	char ta[ROUTE_TEXT_MAX], tb[ROUTE_TEXT_MAX];
	return strcmp(spec_text(ns, a, ta), spec_text(ns, b, tb)) == 0;
}

/* ---- declaration ---- */

static uint32_t route_spec(struct netstate *ns, const struct route *r, int *err)
{
	uint16_t iface[ROUTE_HOPS_MAX];
	for (unsigned i = 0; i < ROUTE_HOPS_MAX; i++) {
		int n = i < r->n_hops && r->hop[i].dev[0] ? net_iface_intern(ns, r->hop[i].dev) : NET_NO_IFACE;
		*err = n;
		if (n < 0)
			return 0;
		iface[i] = (uint16_t)n;
	}
	uint32_t h = slab_alloc(&ns->specs);
	struct net_spec *s = slab_at(&ns->specs, h);
	*err = -ENOSPC;
	if (!s) {
		ns->count.full++;
		return 0;
	}
	s->route = *r;
	memcpy(s->iface, iface, sizeof(iface));
	return h;
}

static uint32_t rule_spec(struct netstate *ns, const struct rule *r, int *err)
{
	uint32_t h = slab_alloc(&ns->specs);
	struct net_spec *s = slab_at(&ns->specs, h);
	*err = -ENOSPC;
	if (!s) {
		ns->count.full++;
		return 0;
	}
	s->rule = *r;
	return h;
}

static int want(struct netstate *ns, uint16_t group, uint8_t what, uint32_t spec, int err, uint32_t tag)
{
	if (!spec)
		return err;
	struct net_obj like = { .what = what, .iface = NET_NO_IFACE };
	like.route.spec = spec;
	struct net_obj *o = net_declare(ns, group, &like, tag, &err);
	if (!o || o->route.spec != spec)
		slab_free(&ns->specs, spec);
	return o ? (int)o->handle : err;
}

int netstate_want_route(struct netstate *ns, uint16_t group, const struct route *r, uint32_t tag)
{
	int err = 0;
	require(ns->declaring);
	if (group > NET_STATIC)
		return -EINVAL;
	uint32_t spec = route_spec(ns, r, &err);
	return want(ns, group, NET_ROUTE, spec, err, tag);
}

int netstate_want_rule(struct netstate *ns, uint16_t group, const struct rule *r, uint32_t tag)
{
	int err = 0;
	require(ns->declaring);
	if (group > NET_STATIC)
		return -EINVAL;
	uint32_t spec = rule_spec(ns, r, &err);
	return want(ns, group, NET_RULE, spec, err, tag);
}

bool net_route_like(struct netstate *ns, uint8_t what, const char *text, struct net_obj *like)
{
	char why[ROUTE_ERROR_MAX];
	struct route route;
	struct rule rule;
	int err = 0;
	if (what == NET_ROUTE)
		like->route.spec = route_text_route(text, 0, NULL, &route, why) ? route_spec(ns, &route, &err) : 0;
	else
		like->route.spec = route_text_rule(text, 0, NULL, &rule, why) ? rule_spec(ns, &rule, &err) : 0;
	return like->route.spec != 0;
}

bool netstate_op_route(const struct netstate *ns, const struct net_op *op, struct rtnl_route *out)
{
	if (op->what != NET_ROUTE)
		return false;
	const struct net_spec *s = net_spec_of(ns, net_obj_at(ns, op->obj));
	*out = (struct rtnl_route){ .r = s->route, .proto = NET_MARK };
	for (unsigned i = 0; i < s->route.n_hops; i++)
		out->oif[i] = s->iface[i] == NET_NO_IFACE ? 0 : net_iface_at(ns, s->iface[i])->index;
	return true;
}

bool netstate_op_rule(const struct netstate *ns, const struct net_op *op, struct rule *out)
{
	if (op->what != NET_RULE)
		return false;
	*out = net_spec_of(ns, net_obj_at(ns, op->obj))->rule;
	return true;
}

/* ---- how they stand ---- */

struct net_sight net_sight_route(const struct netstate *ns, const struct net_obj *o)
{
	(void)ns;
	bool ours = o->route.present && o->listed;
	return (struct net_sight){ .here = o->route.present || o->route.foreign, .ours_here = ours, .ours_at = ours };
}

bool net_route_can_add(const struct netstate *ns, const struct net_obj *o)
{
	const struct net_spec *s = net_spec_of(ns, o);
	for (unsigned i = 0; i < s->route.n_hops; i++)
		if (s->iface[i] != NET_NO_IFACE && !net_carries(ns, s->iface[i]))
			return false;
	return true;
}

/* A route whose way names no interface may go over any. */
bool net_route_changed(const struct netstate *ns, const struct net_obj *o)
{
	const struct net_spec *s = net_spec_of(ns, o);
	for (unsigned i = 0; i < s->route.n_hops; i++)
		if (s->iface[i] == NET_NO_IFACE || net_iface_at(ns, s->iface[i])->changed)
			return true;
	return false;
}

void net_routes_unsure(struct netstate *ns)
{
	if (ns->n_present)
		ns->routes_wanted = true;
}

bool netstate_routes_wanted(struct netstate *ns)
{
	bool wanted = ns->routes_wanted && ns->n_routes;
	ns->routes_wanted = false;
	return wanted;
}

/* ---- what the kernel tells ---- */

static void set_present(struct netstate *ns, struct net_obj *o, bool present)
{
	if (o->what == NET_ROUTE && present != o->route.present)
		ns->n_present += present ? 1 : UINT32_MAX;
	o->route.present = present;
	if (present)
		o->route.foreign = false;
	net_obj_seen(ns, o, o->flight ? o->flight_ifindex : o->place, !present);
}

/* One ends: the others of its place, which it may have kept out, are tried again. */
static void seen(struct netstate *ns, struct net_obj *o, bool gone, bool listed)
{
	if (listed && o->route.gone == ns->route_gen)
		return; /* the list is older than the event */
	o->route.gen = ns->route_gen;
	if (gone)
		o->route.gone = ns->route_gen;
	if (!listed || !o->route.present)
		set_present(ns, o, !gone);
}

static bool same_hop(const struct netstate *ns, const struct net_spec *s, unsigned i, const struct rtnl_route *r,
		     unsigned k)
{
	const struct route_hop *want = &s->route.hop[i], *is = &r->r.hop[k];
	if (want->via.af != is->via.af || (want->via.af && !addr_eq(&want->via, &is->via)))
		return false;
	return s->iface[i] == NET_NO_IFACE || net_iface_at(ns, s->iface[i])->index == r->oif[k];
}

/* The kernel may give the ways of a route in another order than it got them. */
static bool same_route(const struct netstate *ns, const struct net_spec *s, const struct rtnl_route *r)
{
	const struct route *want = &s->route, *is = &r->r;
	if (want->af != is->af || want->plen != is->plen || want->tos != is->tos || want->table != is->table ||
	    want->metric != is->metric || want->type != is->type || !addr_eq(&want->dst, &is->dst))
		return false;
	if (want->src.af && !addr_eq(&want->src, &is->src))
		return false;
	if (want->n_hops == 0)
		return true; /* IPv6 names the loopback interface where there is no way */
	if (want->n_hops != is->n_hops)
		return false;
	for (unsigned i = 0; i < want->n_hops; i++) {
		unsigned k = 0;
		while (k < is->n_hops && !same_hop(ns, s, i, r, k))
			k++;
		if (k == is->n_hops)
			return false;
	}
	return true;
}

/*
 * An interface that is gone has no number any more with which its route could be told apart: for the end of a route
 * its place is enough, as no two of ours are in one place.
 */
void netstate_route_seen(struct netstate *ns, const struct rtnl_route *r, bool gone, bool listed)
{
	struct tbl_iter it;
	if (r->proto != NET_MARK || r->cached)
		return;
	uint32_t h = tbl_find_first(&ns->obj_by_key, route_hash(ns, &r->r), &it);
	for (; h; h = tbl_find_next(&ns->obj_by_key, &it)) {
		struct net_obj *o = net_obj_at(ns, h);
		if (o->what != NET_ROUTE)
			continue;
		const struct route *want = &net_spec_of(ns, o)->route;
		bool place = want->af == r->r.af && want->plen == r->r.plen && want->table == r->r.table &&
			     want->metric == r->r.metric && addr_eq(&want->dst, &r->r.dst);
		if (same_route(ns, net_spec_of(ns, o), r) || (gone && place && o->route.present))
			seen(ns, o, gone, listed);
		else if (gone && place) {
			o->next_try = MONO_ZERO;
			net_group_dirty(ns, o->group);
		}
	}
}

void netstate_rule_seen(struct netstate *ns, const struct rtnl_rule *r, bool gone, bool listed)
{
	struct tbl_iter it;
	char is[ROUTE_TEXT_MAX], want_text[ROUTE_TEXT_MAX];
	if (r->proto != NET_MARK)
		return;
	route_text_print_rule(&r->r, is);
	uint32_t h = tbl_find_first(&ns->obj_by_key, rule_hash(ns, &r->r), &it);
	for (; h; h = tbl_find_next(&ns->obj_by_key, &it)) {
		struct net_obj *o = net_obj_at(ns, h);
		if (o->what == NET_RULE && strcmp(spec_text(ns, o, want_text), is) == 0)
			seen(ns, o, gone, listed);
	}
}

void netstate_routes_begin(struct netstate *ns)
{
	ns->route_gen++;
}

void netstate_routes_end(struct netstate *ns)
{
	ns->listing = true;
	for (uint32_t h = ns->all_objs; h && ns->n_routes; h = net_obj_at(ns, h)->all_next) {
		struct net_obj *o = net_obj_at(ns, h);
		if (o->what < NET_ROUTE)
			continue;
		bool absent = o->route.present && o->route.gen != ns->route_gen;
		if (absent)
			set_present(ns, o, false);
		if (!o->acked)
			continue;
		o->seen = true;
		net_obj_seen(ns, o, o->flight_ifindex, o->flight == NET_F_DEL);
	}
	ns->listing = false;
}
