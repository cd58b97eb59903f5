/*
 * The desired half of netstate: how objects stand in the kernel, and the operations that make it follow.
 *
 * An object has at most one operation in flight. It is settled by its result and its event together: whichever comes
 * second. Should the event never come, a dump settles it (NET_ECHO_NS).
 */
#include <errno.h>
#include <string.h>
#include "daemon/base/mutant.h"
#include "daemon/base/require.h"
#include "daemon/netstate_priv.h"

uint64_t net_addr_hash(const struct netstate *ns, const struct addr *a)
{
	uint8_t k[18] = { NET_ADDR, a->af };
	memcpy(k + 2, a->b, sizeof(a->b));
	return tbl_hash(&ns->obj_by_key, k, sizeof(k));
}

uint64_t net_obj_hash(const struct netstate *ns, const struct net_obj *o)
{
	if (o->what == NET_ADDR)
		return net_addr_hash(ns, &o->addr);
	if (o->what == NET_ROUTE || o->what == NET_RULE)
		return net_spec_hash(ns, o);
	uint8_t k[3] = { o->what, (uint8_t)(o->iface >> 8), (uint8_t)o->iface };
	return tbl_hash(&ns->obj_by_key, k, sizeof(k));
}

void net_group_dirty(struct netstate *ns, uint32_t group)
{
	struct net_group *g = net_group_at(ns, group);
	ns->n_touched += !g->touched;
	g->touched = true;
	for (unsigned kind = 0; kind < 2; kind++) {
		g->cursor[kind] = 0;
		if (g->dirty & 1u << kind)
			continue;
		g->dirty |= (uint8_t)(1u << kind);
		ns->n_dirty[kind]++;
	}
}

bool netstate_touched_group(struct netstate *ns, uint16_t *group)
{
	uint32_t all = net_groups_all(ns);
	for (uint32_t i = 0; i < all && ns->n_touched; i++, ns->touched_next++) { /* on from the last one */
		uint32_t g = net_group_nth(ns, ns->touched_next % all);
		if (!net_group_at(ns, g)->touched)
			continue;
		net_group_at(ns, g)->touched = false;
		ns->n_touched--;
		if (g == NET_ORPHANS)
			continue;
		*group = (uint16_t)g;
		return true;
	}
	return false;
}

static void group_clean(struct netstate *ns, uint32_t group, enum net_op_kind kind)
{
	struct net_group *g = net_group_at(ns, group);
	if (!(g->dirty & 1u << kind))
		return;
	g->dirty &= (uint8_t) ~(1u << kind);
	ns->n_dirty[kind]--;
}

void net_group_append(struct netstate *ns, uint32_t group, struct net_obj *o)
{
	struct net_group *g = net_group_at(ns, group); /* whoever declares made it */
	o->group = (uint16_t)group;
	o->next = 0;
	*(g->last[o->what] ? &net_obj_at(ns, g->last[o->what])->next : &g->first[o->what]) = o->handle;
	g->last[o->what] = o->handle;
	if (group < NET_GROUPS_MAX && group >= ns->n_groups)
		ns->n_groups = group + 1;
	net_group_dirty(ns, group);
}

void net_group_remove(struct netstate *ns, struct net_obj *o)
{
	struct net_group *g = net_group_at(ns, o->group);
	uint32_t *link = &g->first[o->what], before = 0;
	while (*link != o->handle) {
		before = *link;
		link = &net_obj_at(ns, before)->next;
	}
	*link = o->next;
	if (g->last[o->what] == o->handle)
		g->last[o->what] = before;
	net_group_dirty(ns, o->group);
}

/* ---- role ---- */

/* Without marks the list alone decides, so an address that somebody else has there now must not get on it. */
void net_list_obj(struct netstate *ns, struct net_obj *o)
{
	if (o->listed || o->what == NET_LINK_UP)
		return;
	if (o->what == NET_ADDR && !ns->marks && net_sight(ns, o).here)
		return;
	o->listed = true;
	ns->own_dirty = true;
}

void netstate_group_prepare(struct netstate *ns, uint16_t group)
{
	require(group < NET_GROUPS_MAX);
	for (unsigned w = 0; w < NET_WHAT_N && net_group_known(ns, group); w++)
		for (uint32_t h = net_group_at(ns, group)->first[w]; h; h = net_obj_at(ns, h)->next) {
			net_obj_at(ns, h)->prepared = true;
			net_list_obj(ns, net_obj_at(ns, h));
		}
}

/* What was refused before says nothing about another wish or another state of its link. */
static void forgive(struct net_obj *o)
{
	o->err = 0;
	o->backoff_ns = 0;
	o->next_try = MONO_ZERO;
	if (o->what >= NET_ROUTE)
		o->route.foreign = false;
}

static void group_set(struct netstate *ns, uint16_t group, enum net_mode mode)
{
	struct net_group *g = net_group_make(ns, group);
	if (!g) /* then it has no objects either */
		return;
	for (unsigned w = 0; w < NET_WHAT_N && mode != NET_KEEP; w++)
		for (uint32_t h = g->first[w]; h; h = net_obj_at(ns, h)->next) {
			net_obj_at(ns, h)->prepared = false;
			if (mode != g->mode)
				forgive(net_obj_at(ns, h));
		}
	g->mode = mode;
	net_group_dirty(ns, group);
	net_claims_moved(ns, g);
}

void netstate_group_set(struct netstate *ns, uint16_t group, enum net_mode mode)
{
	require(group < NET_GROUPS_MAX);
	group_set(ns, group, mode);
}

void netstate_end(struct netstate *ns)
{
	group_set(ns, NET_STATIC, NET_DOWN);
}

bool netstate_ended(const struct netstate *ns)
{
	static const uint32_t group[] = { NET_STATIC, NET_ORPHANS };
	for (unsigned i = 0; i < 2; i++)
		for (unsigned w = 0; w < NET_WHAT_N; w++)
			for (uint32_t h = net_group_at(ns, group[i])->first[w]; h; h = net_obj_at(ns, h)->next)
				if (net_obj_at(ns, h)->flight || net_sight(ns, net_obj_at(ns, h)).ours_at)
					return false;
	return true;
}

enum net_mode netstate_group_mode(const struct netstate *ns, uint16_t group)
{
	require(group < NET_GROUPS_MAX);
	return net_group_known(ns, group) ? net_group_at(ns, group)->mode : NET_KEEP;
}

/* ---- ownership ---- */

/* Marked and as we make it, on whichever base. */
static bool made_like(const struct net_obj *o, const struct net_link *l)
{
	if (!l || l->group != NET_MARK || l->kind != o->link.kind)
		return false;
	return l->kind != NET_LINK_MACVLAN || (l->mac_len == 6 && memcmp(l->mac, o->link.mac, 6) == 0);
}

bool net_link_is(const struct netstate *ns, const struct net_obj *o, const struct net_link *l)
{
	return made_like(o, l) && l->base == net_iface_at(ns, o->link.base)->index;
}

struct net_obj *net_link_obj(const struct netstate *ns, uint16_t iface)
{
	return iface == NET_NO_IFACE ? NULL : net_obj_at(ns, net_iface_at(ns, iface)->link);
}

static struct net_sight sight_addr(const struct netstate *ns, const struct net_obj *o)
{
	const struct net_obs *at = net_obs_find(ns, o->place, &o->addr, o->plen);
	const struct net_obs *here = net_obs_find(ns, net_iface_index(ns, o), &o->addr, o->plen);
	struct net_sight s = { .here = here != NULL, .ours_here = net_is_ours(ns, o, here) };
	s.ours_at = net_is_ours(ns, o, at) ? o->place : s.ours_here ? here->a.ifindex : 0;
	return s;
}

static struct net_sight sight_link(const struct netstate *ns, const struct net_obj *o)
{
	int want = net_iface_index(ns, o);
	struct net_sight s = { .here = net_link_is(ns, o, netstate_link(ns, want)) };
	s.ours_here = s.here && o->listed;
	/* Under another name, or on a base that bears another name now: still ours, and in the way. */
	if (o->listed && made_like(o, netstate_link(ns, o->place)))
		s.ours_at = o->place;
	else if (o->listed && made_like(o, netstate_link(ns, want)))
		s.ours_at = want;
	return s;
}

static struct net_sight sight_link_up(const struct netstate *ns, const struct net_obj *o)
{
	const struct net_obj *made = net_link_obj(ns, o->iface);
	const struct net_link *l = netstate_link(ns, net_iface_index(ns, o));
	bool up = made && net_link_is(ns, made, l) && l->up;
	return (struct net_sight){ .here = up, .ours_here = up, .ours_at = up ? l->index : 0 };
}

struct net_sight net_sight(const struct netstate *ns, const struct net_obj *o)
{
	switch ((enum net_what)o->what) {
	case NET_LINK:
		return sight_link(ns, o);
	case NET_LINK_UP:
		return sight_link_up(ns, o);
	case NET_ADDR:
		return sight_addr(ns, o);
	case NET_ROUTE:
	case NET_RULE:
		return net_sight_route(ns, o);
	}
	return (struct net_sight){ .here = false };
}

/* Takes note of where our copy is and tells of a change. Interfaces as such are nothing for the guardian. */
void net_own_refresh(struct netstate *ns, struct net_obj *o)
{
	int at = net_sight(ns, o).ours_at;
	o->place = at ? at : o->flight ? o->place : 0;
	if ((at != 0) == o->told_ours || o->changed || o->what == NET_LINK)
		return;
	o->changed = true;
	o->chg_next = ns->changed_objs;
	ns->changed_objs = o->handle;
}

static struct net_op make_op(const struct net_obj *o, enum net_op_kind kind, int ifindex)
{
	struct net_op op = { .kind = kind,
			     .what = (enum net_what)o->what,
			     .obj = o->handle,
			     .seq = o->op_seq,
			     .tag = o->tag,
			     .group = o->group == NET_ORPHANS ? NET_NO_GROUP : o->group,
			     .ifindex = ifindex,
			     .addr = o->addr,
			     .plen = o->plen };
	if (o->what == NET_ADDR)
		op.opt = o->opt;
	return op;
}

bool netstate_changed_owned(struct netstate *ns, struct net_owned *out)
{
	while (ns->changed_objs) {
		struct net_obj *o = net_obj_at(ns, ns->changed_objs);
		ns->changed_objs = o->chg_next;
		o->changed = false;
		int place = net_sight(ns, o).ours_at;
		bool ours = place != 0;
		if (ours == o->told_ours)
			continue; /* changed back meanwhile */
		o->told_ours = ours;
		*out = (struct net_owned){ .obj = o->handle, .ours = ours };
		out->del = make_op(o, NET_OP_DEL, place);
		return true;
	}
	return false;
}

bool netstate_lost(struct netstate *ns, struct net_op *out)
{
	while (ns->lost_objs) {
		struct net_obj *o = net_obj_at(ns, ns->lost_objs);
		ns->lost_objs = o->lost_next;
		o->lost = false;
		if (o->group == NET_ORPHANS || net_group_at(ns, o->group)->mode != NET_UP)
			continue;
		ns->count.lost++;
		*out = make_op(o, NET_OP_ADD, net_iface_index(ns, o));
		return true;
	}
	return false;
}

/* ---- the difference ---- */

void net_retry_at(struct netstate *ns, struct net_obj *o, mono_t at)
{
	struct net_group *g = net_group_at(ns, o->group);
	g->retry = mono_min(g->retry, at);
	ns->next_retry = mono_min(ns->next_retry, at);
}

static void needs_settle(struct netstate *ns)
{
	for (uint32_t g = 0; g < ns->n_groups; g++)
		for (unsigned i = 0; i < net_group_at(ns, g)->n_needs; i++)
			if (net_iface_at(ns, net_group_at(ns, g)->needs[i])->changed)
				net_group_dirty(ns, g);
}

static void look_again(struct netstate *ns, struct net_obj *o)
{
	forgive(o);
	net_own_refresh(ns, o);
	net_group_dirty(ns, o->group);
}

/* A base that came, went or came back: interfaces are made on it again. */
static void bases_settle(struct netstate *ns)
{
	for (uint32_t h = net_group_at(ns, NET_STATIC)->first[NET_LINK]; h; h = net_obj_at(ns, h)->next)
		if (net_iface_at(ns, net_obj_at(ns, h)->link.base)->changed)
			look_again(ns, net_obj_at(ns, h));
}

static void routes_settle(struct netstate *ns)
{
	for (uint32_t i = 0; ns->n_routes && i < net_groups_all(ns); i++)
		for (uint32_t h = net_group_at(ns, net_group_nth(ns, i))->first[NET_ROUTE]; h;
		     h = net_obj_at(ns, h)->next)
			if (net_route_changed(ns, net_obj_at(ns, h)))
				look_again(ns, net_obj_at(ns, h));
}

/* A link that changed makes old refusals worthless: its objects are tried at once. */
static void ifaces_settle(struct netstate *ns)
{
	if (!ns->changed_ifaces)
		return;
	for (uint32_t i = ns->changed_ifaces; i; i = net_iface_at(ns, i - 1)->chg_next)
		for (uint32_t h = net_iface_at(ns, i - 1)->first; h; h = net_obj_at(ns, h)->if_next)
			look_again(ns, net_obj_at(ns, h));
	bases_settle(ns);
	routes_settle(ns);
	needs_settle(ns);
	while (ns->changed_ifaces) {
		struct net_iface *f = net_iface_at(ns, ns->changed_ifaces - 1);
		ns->changed_ifaces = f->chg_next;
		f->changed = false;
	}
}

/* Off the list once nothing of ours can be in the kernel. */
static void unlist(struct netstate *ns, struct net_obj *o)
{
	if (!o->listed || o->prepared)
		return;
	o->listed = o->added = false;
	o->place = 0;
	ns->own_stale = true;
	net_own_refresh(ns, o);
}

enum decision { D_NOTHING = 0, D_ADD, D_DEL };

/* A link that is down would drop IPv6 addresses at once. One of ours that comes up just now is up when they arrive. */
bool net_carries(const struct netstate *ns, uint16_t iface)
{
	const struct net_link *l = netstate_link(ns, net_iface_at(ns, iface)->index);
	const struct net_obj *made = net_link_obj(ns, iface), *up = net_obj_at(ns, net_iface_at(ns, iface)->link_up);
	if (!l || (made && !net_link_is(ns, made, l)))
		return false;
	return l->up || (up && up->flight == NET_F_ADD);
}

/* What an addition needs; *ifindex receives where it goes. */
static bool can_add(const struct netstate *ns, const struct net_obj *o, int *ifindex)
{
	switch ((enum net_what)o->what) {
	case NET_LINK:
		*ifindex = net_iface_at(ns, o->link.base)->index;
		return *ifindex != 0;
	case NET_LINK_UP:
		*ifindex = net_iface_index(ns, o);
		return net_link_obj(ns, o->iface) &&
		       net_link_is(ns, net_link_obj(ns, o->iface), netstate_link(ns, *ifindex));
	case NET_ADDR:
		*ifindex = net_iface_index(ns, o);
		return net_carries(ns, o->iface);
	case NET_ROUTE:
		return net_route_can_add(ns, o);
	case NET_RULE:
		return true;
	}
	return false;
}

/* Our copy was made by another configuration: what can be seen of its options decides whether it is made again. */
static bool other_options(const struct netstate *ns, const struct net_obj *o)
{
	const struct net_obs *b = net_obs_find(ns, o->place, &o->addr, o->plen);
	if (!o->compare || o->what != NET_ADDR || !b)
		return false;
	const struct net_addr_opt *is = &b->a.opt, *want = &o->opt;
	const struct net_link *l = netstate_link(ns, o->place);
	const char *label = want->label[0] ? want->label : l ? l->name : "";
	if (o->addr.af == ADDR_V4 &&
	    ((is->label[0] && strcmp(is->label, label) != 0) || !addr_eq(&is->broadcast, &want->broadcast)))
		return true;
	return ((is->flags ^ want->flags) & NET_A_OPTIONS) || !addr_eq(&is->peer, &want->peer) ||
	       (o->addr.af == ADDR_V4 && is->scope != want->scope) || is->limited != want->limited;
}

static enum decision decide_up(struct netstate *ns, struct net_obj *o, int *ifindex)
{
	struct net_sight s = net_sight(ns, o);
	*ifindex = s.ours_at;
	if (s.ours_at && (!s.ours_here || s.ours_at != net_iface_index(ns, o)) && o->what < NET_ROUTE)
		return D_DEL; /* its interface bears another name now */
	if (s.ours_here && other_options(ns, o))
		return D_DEL;
	o->compare = false;
	/* Where somebody else's route is in the way, asking again now and then is the only way to hear of its end. */
	bool in_the_way = o->what >= NET_ROUTE && o->route.foreign && !o->route.present;
	if ((s.here && !in_the_way) || !can_add(ns, o, ifindex))
		return D_NOTHING; /* ours or foreign: it is there; or an event has to come first */
	return D_ADD;
}

static enum decision decide_down(struct netstate *ns, struct net_obj *o, int *ifindex)
{
	struct net_sight s = net_sight(ns, o);
	if (!s.ours_at) {
		unlist(ns, o);
		return D_NOTHING;
	}
	if (MUTANT(M_UNDO_FORGETS_ADDRESS) && !o->next)
		return D_NOTHING;
	*ifindex = s.ours_at;
	return D_DEL;
}

static enum decision decide(struct netstate *ns, struct net_obj *o, mono_t now, int *ifindex)
{
	enum decision d = D_NOTHING;
	if (o->flight) {
		if (!o->acked)
			return D_NOTHING;
		if (mono_due(mono_add(o->acked_at, NET_ECHO_NS), now)) {
			*(o->what >= NET_ROUTE ? &ns->routes_wanted : &ns->dump_wanted) = true;
			o->acked_at = now;
		}
		net_retry_at(ns, o, mono_add(o->acked_at, NET_ECHO_NS));
		return D_NOTHING;
	}
	switch (net_group_at(ns, o->group)->mode) {
	case NET_KEEP:
		return D_NOTHING;
	case NET_UP:
		d = decide_up(ns, o, ifindex);
		break;
	case NET_DOWN:
		d = decide_down(ns, o, ifindex);
		break;
	}
	if (d != D_NOTHING && !mono_due(o->next_try, now)) {
		net_retry_at(ns, o, o->next_try);
		return D_NOTHING;
	}
	return d;
}

static void launch(struct netstate *ns, struct net_obj *o, enum net_op_kind kind, int ifindex, struct net_op *out)
{
	o->flight = kind == NET_OP_ADD ? NET_F_ADD : NET_F_DEL;
	o->flight_ifindex = ifindex;
	o->acked = o->seen = false;
	o->op_seq = ++ns->op_seq;
	ns->count.retries += o->err != 0;
	if (kind == NET_OP_ADD) {
		ns->count.adds++;
		o->added = false;
		net_list_obj(ns, o);
	} else {
		ns->count.dels++;
	}
	*out = make_op(o, kind, ifindex);
}

/* Where the difference of this group goes on: the object after the last one given, or the first of the next kind. */
static uint32_t group_next(const struct netstate *ns, const struct net_group *g, enum net_op_kind kind, int *what)
{
	uint32_t at = g->cursor[kind];
	int step = kind == NET_OP_ADD ? 1 : -1;
	*what = at ? g->cursor_what[kind] : kind == NET_OP_ADD ? 0 : NET_WHAT_N - 1;
	uint32_t h = at ? net_obj_at(ns, at)->next : g->first[*what];
	while (!h && *what + step >= 0 && *what + step < NET_WHAT_N) {
		*what += step;
		h = g->first[*what];
	}
	return h;
}

/* Adds the group's operations to out; false when there is no more room. */
static bool group_diff(struct netstate *ns, uint32_t group, enum net_op_kind kind, mono_t now, struct net_op *out,
		       unsigned *n)
{
	struct net_group *g = net_group_at(ns, group);
	uint32_t h;
	int what;
	while ((h = group_next(ns, g, kind, &what)) != 0) {
		struct net_obj *o = net_obj_at(ns, h);
		int ifindex = 0;
		enum decision d = decide(ns, o, now, &ifindex);
		g->cursor[kind] = h;
		g->cursor_what[kind] = (uint8_t)what;
		if (d != (kind == NET_OP_ADD ? D_ADD : D_DEL))
			continue;
		launch(ns, o, kind, ifindex, &out[(*n)++]);
		if (*n == NET_CHUNK)
			return false;
	}
	g->cursor[kind] = 0;
	group_clean(ns, group, kind);
	return true;
}

unsigned netstate_diff(struct netstate *ns, enum net_op_kind kind, mono_t now, struct net_op out[NET_CHUNK])
{
	require(!ns->declaring);
	if (!ns->synced)
		return 0;
	ifaces_settle(ns);
	unsigned n = 0;
	for (uint32_t i = 0; i < net_groups_all(ns) && ns->n_dirty[kind]; i++) {
		uint32_t g = net_group_nth(ns, i);
		if ((net_group_at(ns, g)->dirty & 1u << kind) && !group_diff(ns, g, kind, now, out, &n))
			break;
	}
	return n;
}
