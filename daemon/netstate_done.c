/* netstate: results of operations, events about objects, and what follows from time alone. */
#include <errno.h>
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/netstate_priv.h"

#define TICK_SLICES 16

/* ---- results ---- */

static void settle(struct netstate *ns, struct net_obj *o)
{
	o->flight = NET_F_NONE;
	o->acked = o->seen = false;
	net_own_refresh(ns, o);
	net_group_dirty(ns, o->group);
}

static void refused(struct netstate *ns, struct net_obj *o, int err, mono_t now)
{
	ns->count.refused++;
	o->err = err;
	o->backoff_ns = o->backoff_ns ? o->backoff_ns * 2 : NET_RETRY_MIN_NS;
	if (o->backoff_ns > NET_RETRY_MAX_NS)
		o->backoff_ns = NET_RETRY_MAX_NS;
	o->next_try = mono_add(now, o->backoff_ns);
	settle(ns, o);
}

static void granted(struct netstate *ns, struct net_obj *o, bool event_expected, mono_t now)
{
	o->err = 0;
	o->backoff_ns = 0;
	o->next_try = MONO_ZERO;
	if (event_expected && !o->seen) {
		o->acked = true;
		o->acked_at = now;
		net_retry_at(ns, o, mono_add(now, NET_ECHO_NS));
		return;
	}
	settle(ns, o);
}

/* IPv6 refuses a second prefix length of the same address on an interface. */
static bool other_prefix(const struct netstate *ns, const struct net_obj *o)
{
	if (o->addr.af != ADDR_V6)
		return false;
	for (unsigned plen = 1; plen <= 128; plen++)
		if (net_obs_find(ns, o->flight_ifindex, &o->addr, (uint8_t)plen))
			return true;
	return false;
}

/* What the operation in flight is about, as far as it can be seen. */
static bool flight_visible(const struct netstate *ns, const struct net_obj *o)
{
	const struct net_link *l;
	switch ((enum net_what)o->what) {
	case NET_LINK:
		return o->flight == NET_F_ADD ? net_sight(ns, o).here : netstate_link(ns, o->flight_ifindex) != NULL;
	case NET_LINK_UP:
		l = netstate_link(ns, o->flight_ifindex);
		return l && l->up;
	case NET_ADDR:
		return net_obs_find(ns, o->flight_ifindex, &o->addr, o->plen) != NULL;
	case NET_ROUTE:
	case NET_RULE:
		return o->route.present;
	}
	return false;
}

/*
 * The interface went away while the message was on its way: no refusal, so the group is not short of anything that it
 * could have. The event about it follows and changes the wish; should it be lost, a dump tells.
 */
static void interface_gone(struct netstate *ns, struct net_obj *o, mono_t now)
{
	ns->dump_wanted |= o->backoff_ns != 0;
	o->backoff_ns = NET_RETRY_MIN_NS;
	o->next_try = mono_add(now, o->backoff_ns);
	settle(ns, o);
}

/* True when another object of ours is in the same place: it is about to be deleted. */
static bool own_in_the_way(const struct netstate *ns, const struct net_obj *o)
{
	struct tbl_iter it;
	uint32_t h = tbl_find_first(&ns->obj_by_key, net_obj_hash(ns, o), &it);
	for (; h; h = tbl_find_next(&ns->obj_by_key, &it)) {
		const struct net_obj *other = net_obj_at(ns, h);
		if (other != o && other->what == o->what && (other->route.present || other->flight))
			return true;
	}
	return false;
}

/* A route or rule in the place of ours that is not ours: it is used, and asked about now and then. */
static bool in_the_way(struct netstate *ns, struct net_obj *o, mono_t now)
{
	if (own_in_the_way(ns, o))
		return false;
	ns->count.foreign_seen += !o->route.foreign;
	o->route.foreign = true;
	o->err = 0;
	o->next_try = mono_add(now, NET_RETRY_MAX_NS);
	settle(ns, o);
	return true;
}

static void done_add(struct netstate *ns, struct net_obj *o, int result, mono_t now)
{
	if (result == 0) {
		o->added = true;
		if (o->what >= NET_ROUTE)
			o->route.foreign = false;
		if (o->what == NET_ADDR)
			o->place = o->flight_ifindex;
		granted(ns, o, true, now);
		return;
	}
	if (result == -EEXIST && flight_visible(ns, o)) {
		/* It came there between our look and our message; whose it is, its mark says. */
		bool foreign = !net_sight(ns, o).ours_here;
		ns->count.foreign_seen += foreign;
		if (foreign && o->what == NET_ADDR && !ns->marks) {
			o->listed = false;
			ns->own_stale = true;
		}
		granted(ns, o, false, now);
		return;
	}
	if (result == -EEXIST && o->what >= NET_ROUTE && in_the_way(ns, o, now))
		return;
	if (result == -EEXIST && !(o->what == NET_ADDR && other_prefix(ns, o)))
		ns->dump_wanted = true; /* the model lacks it */
	if (result == -ENODEV || (o->what == NET_ROUTE && result == -ENETDOWN)) {
		interface_gone(ns, o, now);
		return;
	}
	refused(ns, o, -result, now);
}

static void done_del(struct netstate *ns, struct net_obj *o, int result, mono_t now)
{
	bool gone = result == -EADDRNOTAVAIL || result == -ENODEV || result == -ENOENT || result == -ESRCH;
	if (result == 0 || gone) {
		granted(ns, o, flight_visible(ns, o), now);
		return;
	}
	refused(ns, o, -result, now);
}

void netstate_done(struct netstate *ns, const struct net_op *op, int result, mono_t now)
{
	struct net_obj *o = op->obj && op->obj <= ns->objs.carved ? net_obj_at(ns, op->obj) : NULL;
	if (!o || o->op_seq != op->seq || o->flight == NET_F_NONE || o->acked) {
		ns->count.late_results++;
		return;
	}
	require(result <= 0);
	if (op->kind == NET_OP_ADD)
		done_add(ns, o, result, now);
	else
		done_del(ns, o, result, now);
}

/* Somebody else took it away while it was wanted. */
static void lost(struct netstate *ns, struct net_obj *o)
{
	if (o->lost || ns->listing || o->what < NET_ADDR || o->group == NET_ORPHANS ||
	    net_group_at(ns, o->group)->mode != NET_UP)
		return;
	o->lost = true;
	o->lost_next = ns->lost_objs;
	ns->lost_objs = o->handle;
}

void net_obj_seen(struct netstate *ns, struct net_obj *o, int ifindex, bool gone)
{
	if (gone && !o->flight && o->place == ifindex) {
		if (o->told_ours)
			lost(ns, o);
		o->added = false;
	}
	if (o->flight && o->flight_ifindex == ifindex && gone == (o->flight == NET_F_DEL)) {
		o->seen = true;
		if (o->acked) {
			settle(ns, o);
			return;
		}
	}
	net_own_refresh(ns, o);
	net_group_dirty(ns, o->group);
}

void net_obj_event(struct netstate *ns, int ifindex, const struct addr *a, uint8_t plen, bool gone)
{
	struct tbl_iter it;
	uint32_t h = tbl_find_first(&ns->obj_by_key, net_addr_hash(ns, a), &it);
	for (; h; h = tbl_find_next(&ns->obj_by_key, &it)) {
		struct net_obj *o = net_obj_at(ns, h);
		if (o->what != NET_ADDR || o->plen != plen || !addr_eq(&o->addr, a))
			continue;
		if (o->place == ifindex || net_iface_index(ns, o) == ifindex || o->flight_ifindex == ifindex)
			net_obj_seen(ns, o, ifindex, gone);
	}
}

void net_link_event(struct netstate *ns, uint32_t iface)
{
	for (uint32_t h = net_iface_at(ns, iface)->first; h; h = net_obj_at(ns, h)->if_next) {
		struct net_obj *o = net_obj_at(ns, h);
		if (o->what > NET_LINK_UP)
			continue;
		bool there = o->flight ? flight_visible(ns, o) : net_sight(ns, o).here;
		net_obj_seen(ns, o, o->flight ? o->flight_ifindex : o->place, !there);
	}
}

void net_obj_dump_end(struct netstate *ns)
{
	for (uint32_t h = ns->all_objs; h; h = net_obj_at(ns, h)->all_next) {
		struct net_obj *o = net_obj_at(ns, h);
		if (o->acked)
			settle(ns, o);
		net_own_refresh(ns, o);
		net_group_dirty(ns, o->group);
	}
}

/* ---- time ---- */

static void retries_due(struct netstate *ns, mono_t now)
{
	ns->next_retry = MONO_NEVER;
	for (uint32_t i = 0; i < net_groups_all(ns); i++) {
		uint32_t g = net_group_nth(ns, i);
		if (mono_due(net_group_at(ns, g)->retry, now)) {
			net_group_at(ns, g)->retry = MONO_NEVER; /* the coming difference sets it anew */
			net_group_dirty(ns, g);
		}
		ns->next_retry = mono_min(ns->next_retry, net_group_at(ns, g)->retry);
	}
}

void netstate_tick(struct netstate *ns, mono_t now)
{
	if (mono_due(ns->next_retry, now))
		retries_due(ns, now);
	if (!mono_due(ns->next_tick, now) || ns->declaring)
		return;
	ns->next_tick = mono_add(now, NET_TICK_NS / TICK_SLICES);
	uint32_t n = ns->n_groups / TICK_SLICES + 1;
	for (uint32_t i = 0; i < n && ns->n_groups; i++) {
		ns->tick_group = (ns->tick_group + 1) % ns->n_groups;
		net_group_dirty(ns, ns->tick_group);
	}
	if (ns->tick_group == 0)
		net_group_dirty(ns, NET_STATIC);
	if (ns->synced)
		net_orphans_sweep(ns);
}

mono_t netstate_deadline(const struct netstate *ns)
{
	return mono_min(ns->next_tick, ns->next_retry);
}
