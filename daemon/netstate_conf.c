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
	slab_init(&ns->links, sizeof(struct net_linkrec), NET_LINKS_MAX);
	slab_init(&ns->iface_mem, NET_LINKS_MAX * sizeof(*ns->ifaces), 1);
	slab_init(&ns->group_mem, (NET_GROUPS_MAX + 1) * sizeof(*ns->groups), 1);
	ns->ifaces = slab_at(&ns->iface_mem, slab_alloc(&ns->iface_mem));
	ns->groups = slab_at(&ns->group_mem, slab_alloc(&ns->group_mem));
	if (!ns->ifaces || !ns->groups || tbl_init(&ns->obj_by_addr, 64, NULL) ||
	    tbl_init(&ns->obs_by_addr, 256, NULL) || tbl_init(&ns->link_by_index, 32, NULL)) {
		netstate_free(ns);
		return -ENOMEM;
	}
	for (uint32_t g = 0; g <= NET_GROUPS_MAX; g++)
		ns->groups[g].retry = MONO_NEVER;
	ns->groups[NET_ORPHANS].mode = NET_DOWN;
	return 0;
}

void netstate_free(struct netstate *ns)
{
	slab_free_all(&ns->objs);
	slab_free_all(&ns->obs);
	slab_free_all(&ns->links);
	tbl_free(&ns->obj_by_addr);
	tbl_free(&ns->obs_by_addr);
	tbl_free(&ns->link_by_index);
	slab_free_all(&ns->iface_mem);
	slab_free_all(&ns->group_mem);
	*ns = (struct netstate){ 0 };
}

/* ---- declaration ---- */

static struct net_obj *obj_find(const struct netstate *ns, uint16_t iface, const struct addr *a, uint8_t plen)
{
	struct tbl_iter it;
	uint32_t h = tbl_find_first(&ns->obj_by_addr, net_obj_hash(ns, a), &it);
	for (; h; h = tbl_find_next(&ns->obj_by_addr, &it)) {
		struct net_obj *o = net_obj_at(ns, h);
		if (o->iface == iface && o->plen == plen && addr_eq(&o->addr, a))
			return o;
	}
	return NULL;
}

static struct net_obj *obj_make(struct netstate *ns, uint16_t iface, const struct addr *a, uint8_t plen)
{
	uint32_t h = slab_alloc(&ns->objs);
	if (!h || tbl_add(&ns->obj_by_addr, net_obj_hash(ns, a), h)) {
		slab_free(&ns->objs, h);
		ns->count.full++;
		return NULL;
	}
	struct net_obj *o = net_obj_at(ns, h);
	o->handle = h;
	o->iface = iface;
	o->addr = *a;
	o->plen = plen;
	o->all_next = ns->all_objs;
	ns->all_objs = h;
	return o;
}

static bool plen_ok(const struct addr *a, uint8_t plen)
{
	return (a->af == ADDR_V4 || a->af == ADDR_V6) && plen > 0 && plen <= addr_len(a->af) * 8;
}

void netstate_conf_begin(struct netstate *ns)
{
	ns->conf_gen++;
	ns->declaring = true;
	for (uint32_t g = 0; g < ns->n_groups; g++) {
		ns->groups[g].first = ns->groups[g].last = 0;
		ns->groups[g].n_needs = 0;
		ns->groups[g].mode = NET_KEEP;
	}
	ns->groups[NET_ORPHANS].first = ns->groups[NET_ORPHANS].last = 0;
}

int netstate_want_addr(struct netstate *ns, uint16_t group, const char *ifname, const struct addr *addr, uint8_t plen,
		       uint32_t tag)
{
	require(ns->declaring);
	if (group >= NET_GROUPS_MAX || !plen_ok(addr, plen))
		return -EINVAL;
	int iface = net_iface_intern(ns, ifname);
	if (iface < 0)
		return iface;
	struct net_obj *o = obj_find(ns, (uint16_t)iface, addr, plen);
	if (o && o->conf_gen == ns->conf_gen)
		return -EEXIST;
	if (!o)
		o = obj_make(ns, (uint16_t)iface, addr, plen);
	if (!o)
		return -ENOSPC;
	o->conf_gen = ns->conf_gen;
	o->tag = tag;
	net_group_append(ns, group, o);
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
	struct net_group *g = &ns->groups[group];
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
		if (o->conf_gen == ns->conf_gen)
			continue;
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

uint32_t netstate_own_list(const struct netstate *ns, struct own_entry *out, uint32_t cap)
{
	uint32_t n = 0;
	for (uint32_t h = ns->all_objs; h && n < cap; h = net_obj_at(ns, h)->all_next) {
		const struct net_obj *o = net_obj_at(ns, h);
		if (!o->listed)
			continue;
		out[n] = (struct own_entry){ .ifindex = o->place ? o->place : net_iface_index(ns, o),
					     .addr = o->addr,
					     .plen = o->plen };
		memcpy(out[n++].ifname, ns->ifaces[o->iface].name, IFNAMSIZ);
	}
	return n;
}

void netstate_own_load(struct netstate *ns, const struct own_entry *e, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		int iface = net_iface_intern(ns, e[i].ifname);
		if (iface < 0 || !plen_ok(&e[i].addr, e[i].plen))
			continue;
		struct net_obj *o = obj_find(ns, (uint16_t)iface, &e[i].addr, e[i].plen);
		if (!o) {
			o = obj_make(ns, (uint16_t)iface, &e[i].addr, e[i].plen);
			if (!o)
				continue;
			net_group_append(ns, NET_ORPHANS, o);
		}
		o->listed = o->added = true;
		o->place = e[i].ifindex;
		net_own_refresh(ns, o);
		o->place = o->place ? o->place : e[i].ifindex;
	}
}

uint32_t netstate_leftovers(const struct netstate *ns, uint16_t group)
{
	require(group < NET_GROUPS_MAX);
	uint32_t n = 0;
	for (uint32_t h = ns->groups[group].first; h; h = net_obj_at(ns, h)->next)
		n += net_is_ours(ns, net_obj_at(ns, h), net_obj_copy(ns, net_obj_at(ns, h)));
	return n;
}
