/* The observed half of netstate: links and addresses as the kernel told them. */
#include <errno.h>
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/netstate_priv.h"

struct obs_key {
	uint32_t ifindex;
	uint8_t af, plen;
	uint8_t b[16];
	uint8_t pad[2];
};

static uint64_t obs_hash(const struct netstate *ns, int ifindex, const struct addr *a, uint8_t plen)
{
	struct obs_key k = { .ifindex = (uint32_t)ifindex, .af = a->af, .plen = plen };
	memcpy(k.b, a->b, sizeof(k.b));
	return tbl_hash(&ns->obs_by_addr, &k, sizeof(k));
}

static uint64_t link_hash(const struct netstate *ns, int ifindex)
{
	return tbl_hash(&ns->link_by_index, &ifindex, sizeof(ifindex));
}

static struct net_obs *obs_at(const struct netstate *ns, uint32_t h)
{
	return slab_at(&ns->obs, h);
}

static struct net_linkrec *rec_at(const struct netstate *ns, uint32_t h)
{
	return slab_at(&ns->links, h);
}

static uint32_t obs_lookup(const struct netstate *ns, int ifindex, const struct addr *a, uint8_t plen)
{
	struct tbl_iter it;
	uint32_t h = tbl_find_first(&ns->obs_by_addr, obs_hash(ns, ifindex, a, plen), &it);
	for (; h; h = tbl_find_next(&ns->obs_by_addr, &it)) {
		const struct net_obs *b = obs_at(ns, h);
		if (b->a.ifindex == ifindex && b->a.plen == plen && addr_eq(&b->a.addr, a))
			return h;
	}
	return 0;
}

struct net_obs *net_obs_find(const struct netstate *ns, int ifindex, const struct addr *a, uint8_t plen)
{
	return ifindex > 0 ? obs_at(ns, obs_lookup(ns, ifindex, a, plen)) : NULL;
}

struct net_linkrec *net_link_find(const struct netstate *ns, int ifindex)
{
	if (ifindex <= 0)
		return NULL;
	struct tbl_iter it;
	uint32_t h = tbl_find_first(&ns->link_by_index, link_hash(ns, ifindex), &it);
	for (; h; h = tbl_find_next(&ns->link_by_index, &it))
		if (rec_at(ns, h)->l.index == ifindex)
			return rec_at(ns, h);
	return NULL;
}

static void link_changed(struct netstate *ns, struct net_linkrec *r)
{
	if (r->changed)
		return;
	r->changed = true;
	r->chg_next = 0;
	*(ns->changed_links ? &rec_at(ns, ns->changed_links_last)->chg_next : &ns->changed_links) = r->handle;
	ns->changed_links_last = r->handle;
}

bool netstate_changed_link(struct netstate *ns, struct net_link *out)
{
	struct net_linkrec *r = rec_at(ns, ns->changed_links);
	if (!r)
		return false;
	ns->changed_links = r->chg_next;
	r->changed = false;
	*out = r->l;
	if (r->l.gone)
		slab_free(&ns->links, r->handle);
	return true;
}

static uint64_t name_hash(const struct tbl *t, const char *name)
{
	return tbl_hash(t, name, strlen(name));
}

void net_iface_changed(struct netstate *ns, uint32_t iface)
{
	struct net_iface *f = net_iface_at(ns, iface);
	if (f->changed)
		return;
	f->changed = true;
	f->chg_next = ns->changed_ifaces;
	ns->changed_ifaces = iface + 1;
}

static uint32_t iface_find(const struct netstate *ns, const char *name)
{
	struct tbl_iter it;
	uint32_t n = tbl_find_first(&ns->iface_by_name, name_hash(&ns->iface_by_name, name), &it);
	for (; n; n = tbl_find_next(&ns->iface_by_name, &it))
		if (strcmp(net_iface_at(ns, n - 1)->name, name) == 0)
			return n;
	return 0;
}

/* A name that somebody refers to follows the interface that bears it now; NULL: the interface is gone. */
static void iface_follow(struct netstate *ns, struct net_linkrec *r, const char *name)
{
	uint32_t was = r->iface, is = name ? iface_find(ns, name) : 0;
	r->iface = is;
	if (was && was != is && net_iface_at(ns, was - 1)->index == r->l.index)
		net_iface_at(ns, was - 1)->index = 0;
	if (is)
		net_iface_at(ns, is - 1)->index = r->l.index;
	if (was && was != is) {
		net_iface_changed(ns, was - 1);
		net_link_event(ns, was - 1);
	}
	if (is) {
		net_iface_changed(ns, is - 1);
		net_link_event(ns, is - 1);
	}
}

int net_iface_intern(struct netstate *ns, const char *name)
{
	size_t len = strnlen(name, IFNAMSIZ);
	if (len == 0 || len >= IFNAMSIZ)
		return -EINVAL;
	uint32_t known = iface_find(ns, name);
	if (known)
		return (int)known - 1;
	uint32_t h = slab_alloc(&ns->ifaces); /* none is ever given back: the next one is n_ifaces + 1 */
	if (!h || tbl_add(&ns->iface_by_name, name_hash(&ns->iface_by_name, name), h)) {
		slab_free(&ns->ifaces, h);
		ns->count.full++;
		return -ENOSPC;
	}
	struct net_iface *f = net_iface_at(ns, ns->n_ifaces);
	memcpy(f->name, name, len);
	const struct net_link *l = netstate_link_by_name(ns, name);
	if (l) {
		f->index = l->index;
		net_link_find(ns, l->index)->iface = ns->n_ifaces + 1;
	}
	return (int)ns->n_ifaces++;
}

/* The kernel renames freely: the table of names follows. A name that finds no room there is found by nobody. */
static void link_name(struct netstate *ns, struct net_linkrec *r, const char *name)
{
	if (r->l.name[0])
		tbl_del(&ns->link_by_name, name_hash(&ns->link_by_name, r->l.name), r->handle);
	if (name && tbl_add(&ns->link_by_name, name_hash(&ns->link_by_name, name), r->handle))
		ns->count.full++;
}

static struct net_linkrec *link_make(struct netstate *ns, int ifindex)
{
	uint32_t h = slab_alloc(&ns->links);
	if (!h || tbl_add(&ns->link_by_index, link_hash(ns, ifindex), h)) {
		slab_free(&ns->links, h);
		ns->count.full++;
		return NULL;
	}
	struct net_linkrec *r = rec_at(ns, h);
	r->handle = h;
	r->l.index = ifindex;
	r->all_next = ns->all_links;
	if (r->all_next)
		rec_at(ns, r->all_next)->all_prev = h;
	ns->all_links = h;
	return r;
}

void netstate_link_set(struct netstate *ns, const struct net_link *l)
{
	require(l->index > 0);
	struct net_linkrec *r = net_link_find(ns, l->index);
	bool renamed = !r || strcmp(r->l.name, l->name) != 0;
	if (!r)
		r = link_make(ns, l->index);
	if (!r)
		return;
	r->gen = ns->dump_gen;
	bool moved = r->l.up != l->up || r->l.carrier != l->carrier;
	bool other = r->l.mtu != l->mtu || r->l.type != l->type || r->l.mac_len != l->mac_len || r->l.kind != l->kind ||
		     r->l.base != l->base || r->l.master != l->master || r->l.group != l->group ||
		     memcmp(r->l.mac, l->mac, sizeof(l->mac)) != 0;
	if (renamed)
		link_name(ns, r, l->name);
	if (r->l.up && !l->up)
		net_routes_unsure(ns);
	r->l = *l;
	r->l.gone = false;
	if (renamed || moved || other)
		iface_follow(ns, r, l->name);
	if (renamed || moved || other)
		link_changed(ns, r);
}

static void obs_drop(struct netstate *ns, uint32_t h)
{
	struct net_obs *b = obs_at(ns, h);
	struct net_linkrec *r = net_link_find(ns, b->a.ifindex);
	require(r);
	*(b->prev ? &obs_at(ns, b->prev)->next : &r->first) = b->next;
	*(b->next ? &obs_at(ns, b->next)->prev : &r->last) = b->prev;
	struct net_addr a = b->a;
	tbl_del(&ns->obs_by_addr, obs_hash(ns, a.ifindex, &a.addr, a.plen), h);
	slab_free(&ns->obs, h);
	if (a.proto != NET_MARK)
		link_changed(ns, r);
	net_routes_unsure(ns);
	net_obj_event(ns, a.ifindex, &a.addr, a.plen, true);
}

static void link_drop(struct netstate *ns, struct net_linkrec *r)
{
	while (r->first)
		obs_drop(ns, r->first);
	tbl_del(&ns->link_by_index, link_hash(ns, r->l.index), r->handle);
	if (r->all_next)
		rec_at(ns, r->all_next)->all_prev = r->all_prev;
	*(r->all_prev ? &rec_at(ns, r->all_prev)->all_next : &ns->all_links) = r->all_next;
	net_routes_unsure(ns);
	link_name(ns, r, NULL);
	iface_follow(ns, r, NULL);
	r->l.gone = true;
	r->l.up = r->l.carrier = false;
	link_changed(ns, r);
}

void netstate_link_gone(struct netstate *ns, int ifindex)
{
	struct net_linkrec *r = net_link_find(ns, ifindex);
	if (r)
		link_drop(ns, r);
}

static struct net_obs *obs_make(struct netstate *ns, struct net_linkrec *r, const struct net_addr *a)
{
	uint32_t h = slab_alloc(&ns->obs);
	if (!h || tbl_add(&ns->obs_by_addr, obs_hash(ns, a->ifindex, &a->addr, a->plen), h)) {
		slab_free(&ns->obs, h);
		ns->count.full++;
		return NULL;
	}
	struct net_obs *b = obs_at(ns, h);
	b->prev = r->last;
	*(r->last ? &obs_at(ns, r->last)->next : &r->first) = h;
	r->last = h;
	return b;
}

void netstate_addr_set(struct netstate *ns, const struct net_addr *a)
{
	struct net_linkrec *r = net_link_find(ns, a->ifindex);
	if (!r) {
		/* Its link was missed, unless the table of links is full (counted when that happened). */
		if (ns->links.used < NET_LINKS_MAX)
			ns->dump_wanted = true;
		return;
	}
	struct net_obs *b = net_obs_find(ns, a->ifindex, &a->addr, a->plen);
	bool made = !b;
	if (!b)
		b = obs_make(ns, r, a);
	if (!b)
		return;
	bool same = !made && b->a.proto == a->proto && b->a.flags == a->flags;
	bool lost = !made && b->a.proto == NET_MARK && a->proto != NET_MARK;
	b->a = *a;
	b->gen = ns->dump_gen;
	if (lost && ns->marks)
		ns->count.mark_lost++;
	if (!same && (a->proto != NET_MARK || lost))
		link_changed(ns, r);
	net_obj_event(ns, a->ifindex, &a->addr, a->plen, false);
}

void netstate_addr_gone(struct netstate *ns, const struct net_addr *a)
{
	uint32_t h = obs_lookup(ns, a->ifindex, &a->addr, a->plen);
	if (h)
		obs_drop(ns, h);
	else
		net_obj_event(ns, a->ifindex, &a->addr, a->plen, true);
}

void netstate_dump_begin(struct netstate *ns)
{
	ns->dump_gen++;
}

void netstate_dump_end(struct netstate *ns)
{
	uint32_t next;
	for (uint32_t h = ns->all_links; h; h = next) {
		struct net_linkrec *r = rec_at(ns, h);
		next = r->all_next;
		if (r->gen != ns->dump_gen) {
			link_drop(ns, r);
			continue;
		}
		uint32_t after;
		for (uint32_t b = r->first; b; b = after) {
			after = obs_at(ns, b)->next;
			if (obs_at(ns, b)->gen != ns->dump_gen)
				obs_drop(ns, b);
		}
	}
	ns->synced = true;
	net_obj_dump_end(ns);
}

bool netstate_dump_wanted(struct netstate *ns)
{
	bool wanted = ns->dump_wanted;
	ns->dump_wanted = false;
	ns->count.dumps_wanted += wanted;
	return wanted;
}

const struct net_link *netstate_link(const struct netstate *ns, int ifindex)
{
	const struct net_linkrec *r = net_link_find(ns, ifindex);
	return r ? &r->l : NULL;
}

const struct net_link *netstate_link_by_name(const struct netstate *ns, const char *name)
{
	struct tbl_iter it;
	uint32_t h = tbl_find_first(&ns->link_by_name, name_hash(&ns->link_by_name, name), &it);
	for (; h; h = tbl_find_next(&ns->link_by_name, &it))
		if (strcmp(rec_at(ns, h)->l.name, name) == 0)
			return &rec_at(ns, h)->l;
	return NULL;
}

/* True when one of our objects is this observed address. */
static bool obs_is_own(const struct netstate *ns, const struct net_obs *b)
{
	struct tbl_iter it;
	uint32_t h = tbl_find_first(&ns->obj_by_key, net_addr_hash(ns, &b->a.addr), &it);
	for (; h; h = tbl_find_next(&ns->obj_by_key, &it)) {
		const struct net_obj *o = slab_at(&ns->objs, h);
		if (o->what != NET_ADDR)
			continue;
		bool here = o->place == b->a.ifindex || net_iface_at(ns, o->iface)->index == b->a.ifindex;
		if (here && o->plen == b->a.plen && addr_eq(&o->addr, &b->a.addr) && net_is_ours(ns, o, b))
			return true;
	}
	return false;
}

/* An IPv4 address becomes secondary when one of ours came into its subnet first: still better than none. */
static bool usable_source(const struct net_obs *b, uint8_t af, bool secondary)
{
	if (b->a.addr.af != af)
		return false;
	if (af == ADDR_V4)
		return ((b->a.flags & NET_A_SECONDARY) != 0) == secondary;
	return !secondary && addr_is_link_local(&b->a.addr) && (b->a.flags & (NET_A_TENTATIVE | NET_A_DADFAILED)) == 0;
}

bool netstate_source(const struct netstate *ns, int ifindex, uint8_t af, struct addr *out)
{
	const struct net_linkrec *r = net_link_find(ns, ifindex);
	for (int secondary = 0; r && secondary < 2; secondary++) {
		for (uint32_t h = r->first; h; h = obs_at(ns, h)->next) {
			const struct net_obs *b = obs_at(ns, h);
			if (!usable_source(b, af, secondary != 0) || obs_is_own(ns, b))
				continue;
			*out = b->a.addr;
			return true;
		}
	}
	return false;
}

/* The next address of the interface after h that adverts may come from; 0: no more. */
static uint32_t sender_next(const struct netstate *ns, int ifindex, uint32_t h)
{
	const struct net_linkrec *r = net_link_find(ns, ifindex);
	h = h ? obs_at(ns, h)->next : r ? r->first : 0;
	while (h &&
	       ((obs_at(ns, h)->a.flags & (NET_A_TENTATIVE | NET_A_DADFAILED)) != 0 || obs_is_own(ns, obs_at(ns, h))))
		h = obs_at(ns, h)->next;
	return h;
}

bool netstate_may_send(const struct netstate *ns, int ifindex, const struct addr *a)
{
	uint32_t h = 0;
	while ((h = sender_next(ns, ifindex, h)))
		if (addr_eq(&obs_at(ns, h)->a.addr, a))
			return true;
	return false;
}

bool netstate_source_near(const struct netstate *ns, int ifindex, const struct addr *a, struct addr *out)
{
	uint32_t h = 0;
	while ((h = sender_next(ns, ifindex, h))) {
		const struct net_addr *have = &obs_at(ns, h)->a;
		if (have->addr.af != a->af || !addr_in_prefix(a, &have->addr, have->plen))
			continue;
		*out = have->addr;
		return true;
	}
	return false;
}

bool netstate_addr_next(const struct netstate *ns, uint32_t *iter, struct net_addr *out)
{
	uint32_t link = 0, h = 0;
	if (*iter) {
		const struct net_obs *b = obs_at(ns, *iter);
		h = b->next;
		link = h ? 0 : net_link_find(ns, b->a.ifindex)->all_next;
	} else {
		link = ns->all_links;
	}
	for (; !h && link; link = rec_at(ns, link)->all_next)
		h = rec_at(ns, link)->first;
	if (!h)
		return false;
	*iter = h;
	*out = obs_at(ns, h)->a;
	return true;
}

bool netstate_is_local(const struct netstate *ns, const struct addr *a)
{
	struct net_addr n;
	uint32_t iter = 0;
	while (netstate_addr_next(ns, &iter, &n))
		if (addr_eq(&n.addr, a))
			return true;
	return false;
}

void netstate_link_mark(struct netstate *ns, int ifindex, bool on)
{
	struct net_linkrec *r = net_link_find(ns, ifindex);
	if (r)
		r->marked = on;
}

const struct net_link *netstate_link_marked(const struct netstate *ns, uint32_t *iter)
{
	for (uint32_t h = *iter ? rec_at(ns, *iter)->all_next : ns->all_links; h; h = rec_at(ns, h)->all_next)
		if (rec_at(ns, h)->marked) {
			*iter = h;
			return &rec_at(ns, h)->l;
		}
	return NULL;
}
