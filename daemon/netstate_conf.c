/* netstate: life of the struct, declaration of the configured objects, the ownership list. */
#include <errno.h>
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/netstate_priv.h"

int netstate_init(struct netstate *ns, bool marks)
{
	*ns = (struct netstate){ .marks = marks, .next_tick = MONO_ZERO, .next_retry = MONO_NEVER };
	slab_init(&ns->objs, sizeof(struct net_obj), NET_OBJECTS_MAX);
	slab_init(&ns->obs, sizeof(struct net_obs), NET_OBSERVED_MAX);
	slab_init(&ns->specs, sizeof(struct net_spec), NET_OBJECTS_MAX);
	slab_init(&ns->links, sizeof(struct net_linkrec), NET_LINKS_MAX);
	net_claims_init(ns);
	slab_init(&ns->ifaces, sizeof(struct net_iface), NET_LINKS_MAX);
	slab_init(&ns->groups, sizeof(struct net_group), NET_GROUPS_MAX + 2);
	if (!net_group_make(ns, NET_STATIC) || !net_group_make(ns, NET_ORPHANS) ||
	    tbl_init(&ns->obj_by_key, 64, NULL) || tbl_init(&ns->obs_by_addr, 256, NULL) ||
	    tbl_init(&ns->link_by_index, 32, NULL) || tbl_init(&ns->link_by_name, 32, NULL) ||
	    tbl_init(&ns->iface_by_name, 32, NULL)) {
		netstate_free(ns);
		return -ENOMEM;
	}
	net_group_at(ns, NET_STATIC)->mode = NET_UP;
	net_group_at(ns, NET_ORPHANS)->mode = NET_DOWN;
	return 0;
}

void netstate_free(struct netstate *ns)
{
	slab_free_all(&ns->objs);
	slab_free_all(&ns->obs);
	slab_free_all(&ns->links);
	slab_free_all(&ns->specs);
	slab_free_all(&ns->claims);
	tbl_free(&ns->obj_by_key);
	tbl_free(&ns->link_by_name);
	tbl_free(&ns->iface_by_name);
	tbl_free(&ns->obs_by_addr);
	tbl_free(&ns->link_by_index);
	slab_free_all(&ns->ifaces);
	slab_free_all(&ns->groups);
	*ns = (struct netstate){ 0 };
}

struct net_group *net_group_make(struct netstate *ns, uint32_t group)
{
	while (!net_group_known(ns, group)) {
		uint32_t h = slab_alloc(&ns->groups);
		if (!h)
			return NULL;
		((struct net_group *)slab_at(&ns->groups, h))->retry = MONO_NEVER;
	}
	return net_group_at(ns, group);
}

/* ---- declaration ---- */

/* What makes two declarations the same object. */
static bool obj_same(const struct netstate *ns, const struct net_obj *a, const struct net_obj *b)
{
	if (a->what != b->what || a->iface != b->iface)
		return false;
	switch ((enum net_what)a->what) {
	case NET_LINK:
		return a->link.kind == b->link.kind && a->link.base == b->link.base &&
		       memcmp(a->link.mac, b->link.mac, sizeof(a->link.mac)) == 0;
	case NET_LINK_UP:
		return true;
	case NET_ADDR:
		return a->plen == b->plen && addr_eq(&a->addr, &b->addr);
	case NET_ROUTE:
	case NET_RULE:
		return net_spec_same(ns, a, b);
	}
	return false;
}

static struct net_obj *obj_find(const struct netstate *ns, const struct net_obj *like)
{
	struct tbl_iter it;
	uint32_t h = tbl_find_first(&ns->obj_by_key, net_obj_hash(ns, like), &it);
	for (; h; h = tbl_find_next(&ns->obj_by_key, &it))
		if (obj_same(ns, net_obj_at(ns, h), like))
			return net_obj_at(ns, h);
	return NULL;
}

static struct net_obj *obj_make(struct netstate *ns, const struct net_obj *like)
{
	uint32_t h = slab_alloc(&ns->objs);
	if (!h || tbl_add(&ns->obj_by_key, net_obj_hash(ns, like), h)) {
		slab_free(&ns->objs, h);
		ns->count.full++;
		return NULL;
	}
	struct net_obj *o = net_obj_at(ns, h);
	*o = *like;
	o->handle = h;
	o->all_next = ns->all_objs;
	ns->all_objs = h;
	ns->n_routes += o->what >= NET_ROUTE;
	if (o->iface != NET_NO_IFACE) {
		o->if_next = net_iface_at(ns, o->iface)->first;
		net_iface_at(ns, o->iface)->first = h;
	}
	return o;
}

static void obj_free(struct netstate *ns, struct net_obj *o)
{
	if (o->iface != NET_NO_IFACE) {
		uint32_t *link = &net_iface_at(ns, o->iface)->first;
		while (*link != o->handle)
			link = &net_obj_at(ns, *link)->if_next;
		*link = o->if_next;
	}
	tbl_del(&ns->obj_by_key, net_obj_hash(ns, o), o->handle);
	if (o->what >= NET_ROUTE) {
		slab_free(&ns->specs, o->route.spec);
		ns->n_routes--;
	}
	slab_free(&ns->objs, o->handle);
}

/* Objects that nobody wants and nothing of which is left in the kernel. */
void net_orphans_sweep(struct netstate *ns)
{
	struct net_group *g = net_group_at(ns, NET_ORPHANS);
	bool any = false;
	for (unsigned w = 0; w < NET_WHAT_N; w++) {
		any |= g->first[w] != 0;
		g->first[w] = g->last[w] = 0;
	}
	if (!any)
		return;
	uint32_t *link = &ns->all_objs;
	while (*link) {
		struct net_obj *o = net_obj_at(ns, *link);
		bool orphan = o->group == NET_ORPHANS;
		if (orphan && !o->listed && !o->flight && !o->changed && !o->told_ours && !o->lost) {
			*link = o->all_next;
			obj_free(ns, o);
			continue;
		}
		if (orphan)
			net_group_append(ns, NET_ORPHANS, o);
		link = &o->all_next;
	}
	g->cursor[NET_OP_ADD] = g->cursor[NET_OP_DEL] = 0;
}

static bool plen_ok(const struct addr *a, uint8_t plen)
{
	return (a->af == ADDR_V4 || a->af == ADDR_V6) && plen > 0 && plen <= addr_len(a->af) * 8;
}

static void group_empty(struct net_group *g)
{
	memset(g->first, 0, sizeof(g->first));
	memset(g->last, 0, sizeof(g->last));
	g->cursor[NET_OP_ADD] = g->cursor[NET_OP_DEL] = 0;
	g->n_needs = 0;
	g->claims = 0;
}

void netstate_conf_begin(struct netstate *ns)
{
	ns->conf_gen++;
	ns->declaring = true;
	net_claims_free(ns);
	for (uint32_t i = 0; i < net_groups_all(ns); i++)
		group_empty(net_group_at(ns, net_group_nth(ns, i)));
	for (uint32_t g = 0; g < ns->n_groups; g++)
		net_group_at(ns, g)->mode = NET_KEEP;
	for (uint32_t i = 0; i < ns->n_ifaces; i++)
		net_iface_at(ns, i)->link = net_iface_at(ns, i)->link_up = 0;
}

/* The object of this description, declared now; *err 1: another group has it too. NULL with *err when it cannot be. */
struct net_obj *net_declare(struct netstate *ns, uint16_t group, const struct net_obj *like, uint32_t tag, int *err)
{
	struct net_obj *o = obj_find(ns, like);
	if (o && o->conf_gen == ns->conf_gen) {
		*err = o->what < NET_ADDR ? -EEXIST : net_claim_add(ns, o, group, tag);
		if (*err)
			return NULL;
		*err = 1;
		return o;
	}
	*err = -ENOSPC;
	if (!net_group_make(ns, group))
		return NULL;
	if (!o)
		o = obj_make(ns, like);
	if (!o)
		return NULL;
	o->conf_gen = ns->conf_gen;
	o->tag = tag;
	net_group_append(ns, group, o);
	*err = 0;
	return o;
}

int netstate_want_link(struct netstate *ns, uint16_t group, const char *name, const char *base, enum net_link_kind kind,
		       const uint8_t mac[6], uint32_t tag)
{
	require(ns->declaring);
	if (group >= NET_GROUPS_MAX || (kind != NET_LINK_MACVLAN && kind != NET_LINK_IPVLAN))
		return -EINVAL;
	int iface = net_iface_intern(ns, name), on = net_iface_intern(ns, base), err;
	if (iface < 0 || on < 0)
		return iface < 0 ? iface : on;
	if (net_iface_at(ns, iface)->link)
		return -EEXIST;
	struct net_obj like = { .what = NET_LINK, .iface = (uint16_t)iface };
	like.link.kind = kind;
	like.link.base = (uint16_t)on;
	if (kind == NET_LINK_MACVLAN)
		memcpy(like.link.mac, mac, sizeof(like.link.mac));
	struct net_obj *made = net_declare(ns, NET_STATIC, &like, tag, &err);
	if (!made)
		return err;
	like = (struct net_obj){ .what = NET_LINK_UP, .iface = (uint16_t)iface };
	struct net_obj *up = net_declare(ns, group, &like, tag, &err);
	if (!up)
		return err;
	net_iface_at(ns, iface)->link = made->handle;
	net_iface_at(ns, iface)->link_up = up->handle;
	return (int)up->handle;
}

static const struct net_addr_opt plain = { .flags = NET_A_NODAD };

static bool opt_eq(const struct net_addr_opt *a, const struct net_addr_opt *b)
{
	return addr_eq(&a->peer, &b->peer) && addr_eq(&a->broadcast, &b->broadcast) &&
	       strcmp(a->label, b->label) == 0 && a->scope == b->scope && a->flags == b->flags &&
	       a->limited == b->limited && a->preferred_lft == b->preferred_lft;
}

int netstate_want_addr(struct netstate *ns, uint16_t group, const char *ifname, const struct addr *addr, uint8_t plen,
		       const struct net_addr_opt *opt, uint32_t tag)
{
	require(ns->declaring);
	if (group > NET_STATIC || !plen_ok(addr, plen))
		return -EINVAL;
	int iface = net_iface_intern(ns, ifname), err;
	if (iface < 0)
		return iface;
	opt = opt ? opt : &plain;
	struct net_obj like = {
		.what = NET_ADDR, .iface = (uint16_t)iface, .addr = *addr, .plen = plen, .opt = *opt, .compare = true
	};
	struct net_obj *o = net_declare(ns, group, &like, tag, &err);
	if (!o)
		return err;
	if (err == 0 && !opt_eq(&o->opt, opt)) {
		o->opt = *opt;
		o->compare = true;
	}
	return (int)o->handle;
}

int netstate_need_link(struct netstate *ns, uint16_t group, const char *ifname)
{
	require(ns->declaring);
	if (group >= NET_GROUPS_MAX)
		return -EINVAL;
	int iface = net_iface_intern(ns, ifname);
	if (iface < 0)
		return iface;
	struct net_group *g = net_group_make(ns, group);
	if (!g)
		return -ENOSPC;
	for (unsigned i = 0; i < g->n_needs; i++)
		if (g->needs[i] == iface)
			return 0;
	if (g->n_needs == NET_NEEDS_MAX) {
		ns->count.full++;
		return -ENOSPC;
	}
	g->needs[g->n_needs++] = (uint16_t)iface;
	if (group >= ns->n_groups)
		ns->n_groups = group + 1u;
	return 0;
}

void netstate_conf_end(struct netstate *ns)
{
	require(ns->declaring);
	ns->declaring = false;
	for (uint32_t h = ns->all_objs; h; h = net_obj_at(ns, h)->all_next) {
		struct net_obj *o = net_obj_at(ns, h);
		if (o->conf_gen == ns->conf_gen) {
			if (o->claims)
				net_claims_settle(ns, o);
			continue;
		}
		o->prepared = false;
		net_group_append(ns, NET_ORPHANS, o);
	}
}

bool netstate_own_dirty(struct netstate *ns)
{
	bool dirty = ns->own_dirty;
	ns->own_dirty = false;
	if (dirty)
		ns->own_stale = false;
	return dirty;
}

bool netstate_own_stale(struct netstate *ns)
{
	bool stale = ns->own_stale;
	ns->own_stale = false;
	return stale;
}

static void own_fill(const struct netstate *ns, const struct net_obj *o, struct own_entry *e)
{
	*e = (struct own_entry){ .what = o->what, .addr = o->addr, .plen = o->plen };
	e->ifindex = o->place ? o->place : net_iface_index(ns, o);
	if (o->iface != NET_NO_IFACE)
		memcpy(e->ifname, net_iface_at(ns, o->iface)->name, IFNAMSIZ);
	if (o->what == NET_ADDR) {
		e->peer = o->opt.peer;
	} else if (o->what == NET_LINK) {
		e->link_kind = (uint8_t)o->link.kind;
		memcpy(e->mac, o->link.mac, sizeof(e->mac));
		memcpy(e->base, net_iface_at(ns, o->link.base)->name, IFNAMSIZ);
	} else if (o->what == NET_ROUTE) {
		e->ifindex = 0;
		route_text_print(&net_spec_of(ns, o)->route, e->text);
	} else if (o->what == NET_RULE) {
		e->ifindex = 0;
		route_text_print_rule(&net_spec_of(ns, o)->rule, e->text);
	}
}

uint32_t netstate_own_list(const struct netstate *ns, struct own_entry *out, uint32_t cap)
{
	uint32_t n = 0;
	for (uint32_t h = ns->all_objs; h && n < cap; h = net_obj_at(ns, h)->all_next)
		if (net_obj_at(ns, h)->listed)
			own_fill(ns, net_obj_at(ns, h), &out[n++]);
	return n;
}

/* The object that an entry of the ownership file speaks of; false when it makes no sense. */
static bool own_like(struct netstate *ns, const struct own_entry *e, struct net_obj *like)
{
	*like = (struct net_obj){ .what = e->what, .iface = NET_NO_IFACE };
	if (e->what == NET_LINK || e->what == NET_ADDR) {
		int iface = net_iface_intern(ns, e->ifname);
		if (iface < 0)
			return false;
		like->iface = (uint16_t)iface;
	}
	switch ((enum net_what)e->what) {
	case NET_LINK: {
		int base = net_iface_intern(ns, e->base);
		like->link.kind = (enum net_link_kind)e->link_kind;
		like->link.base = (uint16_t)base;
		memcpy(like->link.mac, e->mac, sizeof(e->mac));
		return base >= 0 && (e->link_kind == NET_LINK_MACVLAN || e->link_kind == NET_LINK_IPVLAN);
	}
	case NET_ADDR:
		like->addr = e->addr;
		like->plen = e->plen;
		like->opt = plain;
		like->opt.peer = e->peer;
		like->compare = true;
		return plen_ok(&e->addr, e->plen);
	case NET_ROUTE:
	case NET_RULE:
		return net_route_like(ns, e->what, e->text, like);
	case NET_LINK_UP:
		break;
	}
	return false;
}

void netstate_own_load(struct netstate *ns, const struct own_entry *e, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct net_obj like;
		if (!own_like(ns, &e[i], &like))
			continue;
		struct net_obj *o = obj_find(ns, &like);
		if (!o) {
			o = obj_make(ns, &like);
			if (!o) {
				if (like.what >= NET_ROUTE)
					slab_free(&ns->specs, like.route.spec);
				continue;
			}
			net_group_append(ns, NET_ORPHANS, o);
		} else if (like.what >= NET_ROUTE) {
			slab_free(&ns->specs, like.route.spec);
		}
		o->listed = o->added = o->compare = true;
		o->place = e[i].ifindex;
		net_own_refresh(ns, o);
		o->place = o->place ? o->place : e[i].ifindex;
	}
}

uint32_t netstate_leftovers(const struct netstate *ns, uint16_t group)
{
	require(group <= NET_STATIC);
	uint32_t n = 0;
	for (unsigned w = NET_LINK_UP; w < NET_WHAT_N && net_group_known(ns, group); w++)
		for (uint32_t h = net_group_at(ns, group)->first[w]; h; h = net_obj_at(ns, h)->next)
			n += net_sight(ns, net_obj_at(ns, h)).ours_at != 0;
	return n;
}
