/*
 * The desired half of netstate: declared objects, their ownership, and the operations that make the kernel follow.
 *
 * An object has at most one operation in flight. It is settled by its result and its event together: whichever comes
 * second. Should the event never come, a dump settles it (NET_ECHO_NS).
 */
#include <errno.h>
#include <string.h>
#include "daemon/base/mutant.h"
#include "daemon/base/require.h"
#include "daemon/netstate_priv.h"

#define TICK_SLICES 16

uint64_t net_obj_hash(const struct netstate *ns, const struct addr *a)
{
	uint8_t k[17] = { a->af };
	memcpy(k + 1, a->b, sizeof(a->b));
	return tbl_hash(&ns->obj_by_addr, k, sizeof(k));
}

void net_group_dirty(struct netstate *ns, uint32_t group)
{
	struct net_group *g = &ns->groups[group];
	ns->n_touched += !g->touched;
	g->touched = true;
	for (unsigned kind = 0; kind < 2; kind++) {
		if (g->dirty & 1u << kind)
			continue;
		g->dirty |= (uint8_t)(1u << kind);
		ns->n_dirty[kind]++;
	}
}

bool netstate_touched_group(struct netstate *ns, uint16_t *group)
{
	for (uint32_t i = 0; i <= NET_GROUPS_MAX && ns->n_touched; i++) {
		if (!ns->groups[i].touched)
			continue;
		ns->groups[i].touched = false;
		ns->n_touched--;
		if (i == NET_ORPHANS)
			continue;
		*group = (uint16_t)i;
		return true;
	}
	return false;
}

static void group_clean(struct netstate *ns, uint32_t group, enum net_op_kind kind)
{
	struct net_group *g = &ns->groups[group];
	if (!(g->dirty & 1u << kind))
		return;
	g->dirty &= (uint8_t) ~(1u << kind);
	ns->n_dirty[kind]--;
}

void net_group_append(struct netstate *ns, uint32_t group, struct net_obj *o)
{
	struct net_group *g = &ns->groups[group];
	o->group = (uint16_t)group;
	o->next = 0;
	*(g->last ? &net_obj_at(ns, g->last)->next : &g->first) = o->handle;
	g->last = o->handle;
	if (group != NET_ORPHANS && group >= ns->n_groups)
		ns->n_groups = group + 1;
	net_group_dirty(ns, group);
}

/* ---- role ---- */

/* Without marks the list alone decides, so an address that somebody else has there now must not get on it. */
static void list_obj(struct netstate *ns, struct net_obj *o)
{
	if (o->listed || (!ns->marks && net_obj_copy(ns, o)))
		return;
	o->listed = true;
	ns->own_dirty = true;
}

void netstate_group_prepare(struct netstate *ns, uint16_t group)
{
	require(group < NET_GROUPS_MAX);
	for (uint32_t h = ns->groups[group].first; h; h = net_obj_at(ns, h)->next) {
		net_obj_at(ns, h)->prepared = true;
		list_obj(ns, net_obj_at(ns, h));
	}
}

void netstate_group_set(struct netstate *ns, uint16_t group, enum net_mode mode)
{
	require(group < NET_GROUPS_MAX);
	struct net_group *g = &ns->groups[group];
	for (uint32_t h = g->first; h && mode != NET_KEEP; h = net_obj_at(ns, h)->next) {
		struct net_obj *o = net_obj_at(ns, h);
		o->prepared = false;
		if (mode == g->mode)
			continue;
		o->err = 0; /* another wish: what was refused before says nothing about it */
		o->backoff_ns = 0;
		o->next_try = MONO_ZERO;
	}
	g->mode = mode;
	net_group_dirty(ns, group);
}

enum net_mode netstate_group_mode(const struct netstate *ns, uint16_t group)
{
	require(group < NET_GROUPS_MAX);
	return ns->groups[group].mode;
}

/* ---- ownership ---- */

/* Observed address where our copy is or should be; prefers the place it was put. */
struct net_obs *net_obj_copy(const struct netstate *ns, const struct net_obj *o)
{
	struct net_obs *b = net_obs_find(ns, o->place, &o->addr, o->plen);
	return net_is_ours(ns, o, b) ? b : net_obs_find(ns, net_iface_index(ns, o), &o->addr, o->plen);
}

/* Takes note of where our copy is and tells of a change. */
void net_own_refresh(struct netstate *ns, struct net_obj *o)
{
	const struct net_obs *b = net_obj_copy(ns, o);
	bool ours = net_is_ours(ns, o, b);
	o->place = ours ? b->a.ifindex : o->flight ? o->place : 0;
	if (ours == o->told_ours || o->changed)
		return;
	o->changed = true;
	o->chg_next = ns->changed_objs;
	ns->changed_objs = o->handle;
}

static struct net_op make_op(const struct net_obj *o, enum net_op_kind kind, int ifindex)
{
	return (struct net_op){ .kind = kind,
				.obj = o->handle,
				.seq = o->op_seq,
				.tag = o->tag,
				.group = o->group == NET_ORPHANS ? NET_NO_GROUP : o->group,
				.ifindex = ifindex,
				.addr = o->addr,
				.plen = o->plen };
}

bool netstate_changed_owned(struct netstate *ns, struct net_owned *out)
{
	while (ns->changed_objs) {
		struct net_obj *o = net_obj_at(ns, ns->changed_objs);
		ns->changed_objs = o->chg_next;
		o->changed = false;
		const struct net_obs *b = net_obj_copy(ns, o);
		bool ours = net_is_ours(ns, o, b);
		if (ours == o->told_ours)
			continue; /* changed back meanwhile */
		o->told_ours = ours;
		*out = (struct net_owned){ .obj = o->handle, .ours = ours };
		out->del = make_op(o, NET_OP_DEL, ours ? b->a.ifindex : 0);
		return true;
	}
	return false;
}

/* ---- the difference ---- */

static void retry_at(struct netstate *ns, struct net_obj *o, mono_t at)
{
	struct net_group *g = &ns->groups[o->group];
	g->retry = mono_min(g->retry, at);
	ns->next_retry = mono_min(ns->next_retry, at);
}

static void needs_settle(struct netstate *ns)
{
	for (uint32_t g = 0; g < ns->n_groups; g++)
		for (unsigned i = 0; i < ns->groups[g].n_needs; i++)
			if (ns->ifaces[ns->groups[g].needs[i]].changed)
				net_group_dirty(ns, g);
}

/* A link that changed makes old refusals worthless: its objects are tried at once. */
static void ifaces_settle(struct netstate *ns)
{
	if (!ns->ifaces_changed)
		return;
	ns->ifaces_changed = false;
	for (uint32_t h = ns->all_objs; h; h = net_obj_at(ns, h)->all_next) {
		struct net_obj *o = net_obj_at(ns, h);
		if (!ns->ifaces[o->iface].changed)
			continue;
		o->err = 0;
		o->backoff_ns = 0;
		o->next_try = MONO_ZERO;
		net_own_refresh(ns, o);
		net_group_dirty(ns, o->group);
	}
	needs_settle(ns);
	for (uint32_t i = 0; i < ns->n_ifaces; i++)
		ns->ifaces[i].changed = false;
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

enum decision { D_NOTHING = 0, D_ADD, D_DEL, D_WAIT };

static enum decision decide_up(struct netstate *ns, struct net_obj *o, int *ifindex)
{
	int want = net_iface_index(ns, o);
	const struct net_obs *at = net_obs_find(ns, o->place, &o->addr, o->plen);
	if (o->place != want && net_is_ours(ns, o, at)) {
		*ifindex = o->place; /* its interface bears another name now */
		return D_DEL;
	}
	const struct net_link *l = netstate_link(ns, want);
	if (!l)
		return D_NOTHING;
	if (net_obs_find(ns, want, &o->addr, o->plen))
		return D_NOTHING; /* ours or foreign: it is there */
	/* A link that is down would drop IPv6 addresses at once; its next event brings us here again. */
	if (!l->up)
		return D_NOTHING;
	*ifindex = want;
	return D_ADD;
}

static enum decision decide_down(struct netstate *ns, struct net_obj *o, int *ifindex)
{
	const struct net_obs *b = net_obj_copy(ns, o);
	if (!net_is_ours(ns, o, b)) {
		unlist(ns, o);
		return D_NOTHING;
	}
	if (MUTANT(M_UNDO_FORGETS_ADDRESS) && !o->next)
		return D_NOTHING;
	*ifindex = b->a.ifindex;
	return D_DEL;
}

static enum decision decide(struct netstate *ns, struct net_obj *o, mono_t now, int *ifindex)
{
	enum decision d = D_NOTHING;
	if (o->flight) {
		if (!o->acked)
			return D_NOTHING;
		if (mono_due(mono_add(o->acked_at, NET_ECHO_NS), now)) {
			ns->dump_wanted = true;
			o->acked_at = now;
		}
		retry_at(ns, o, mono_add(o->acked_at, NET_ECHO_NS));
		return D_NOTHING;
	}
	switch (ns->groups[o->group].mode) {
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
		retry_at(ns, o, o->next_try);
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
		list_obj(ns, o);
	} else {
		ns->count.dels++;
	}
	*out = make_op(o, kind, ifindex);
}

unsigned netstate_diff(struct netstate *ns, enum net_op_kind kind, mono_t now, struct net_op out[NET_CHUNK])
{
	require(!ns->declaring);
	if (!ns->synced)
		return 0;
	ifaces_settle(ns);
	unsigned n = 0;
	for (uint32_t i = 0; i <= ns->n_groups && ns->n_dirty[kind]; i++) {
		uint32_t g = i == ns->n_groups ? NET_ORPHANS : i;
		if (!(ns->groups[g].dirty & 1u << kind))
			continue;
		for (uint32_t h = ns->groups[g].first; h; h = net_obj_at(ns, h)->next) {
			int ifindex = 0;
			enum decision d = decide(ns, net_obj_at(ns, h), now, &ifindex);
			if (d != (kind == NET_OP_ADD ? D_ADD : D_DEL))
				continue;
			launch(ns, net_obj_at(ns, h), kind, ifindex, &out[n++]);
			if (n == NET_CHUNK)
				return n;
		}
		group_clean(ns, g, kind);
	}
	return n;
}

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
		retry_at(ns, o, mono_add(now, NET_ECHO_NS));
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

static void done_add(struct netstate *ns, struct net_obj *o, int result, mono_t now)
{
	bool present = net_obs_find(ns, o->flight_ifindex, &o->addr, o->plen) != NULL;
	if (result == 0) {
		o->added = true;
		o->place = o->flight_ifindex;
		granted(ns, o, true, now);
		return;
	}
	if (result == -EEXIST && present) {
		/* It came there between our look and our message; whose it is, its mark says. */
		bool foreign = !net_is_ours(ns, o, net_obs_find(ns, o->flight_ifindex, &o->addr, o->plen));
		ns->count.foreign_seen += foreign;
		if (foreign && !ns->marks) {
			o->listed = false;
			ns->own_stale = true;
		}
		granted(ns, o, false, now);
		return;
	}
	if (result == -EEXIST && !other_prefix(ns, o))
		ns->dump_wanted = true; /* the model lacks it */
	refused(ns, o, -result, now);
}

static void done_del(struct netstate *ns, struct net_obj *o, int result, mono_t now)
{
	bool gone = result == -EADDRNOTAVAIL || result == -ENODEV || result == -ENOENT;
	bool present = net_obs_find(ns, o->flight_ifindex, &o->addr, o->plen) != NULL;
	if (result == 0 || gone) {
		granted(ns, o, present, now);
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

static void obj_event(struct netstate *ns, struct net_obj *o, int ifindex, bool gone)
{
	if (gone && !o->flight && o->place == ifindex)
		o->added = false;
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
	uint32_t h = tbl_find_first(&ns->obj_by_addr, net_obj_hash(ns, a), &it);
	for (; h; h = tbl_find_next(&ns->obj_by_addr, &it)) {
		struct net_obj *o = net_obj_at(ns, h);
		if (o->plen != plen || !addr_eq(&o->addr, a))
			continue;
		if (o->place == ifindex || net_iface_index(ns, o) == ifindex || o->flight_ifindex == ifindex)
			obj_event(ns, o, ifindex, gone);
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

/* Objects that nobody wants and nothing of which is left in the kernel. */
static void orphans_sweep(struct netstate *ns)
{
	uint32_t *link = &ns->all_objs;
	struct net_group *g = &ns->groups[NET_ORPHANS];
	g->first = g->last = 0;
	while (*link) {
		struct net_obj *o = net_obj_at(ns, *link);
		bool orphan = o->group == NET_ORPHANS;
		if (orphan && !o->listed && !o->flight && !o->changed && !o->told_ours) {
			*link = o->all_next;
			tbl_del(&ns->obj_by_addr, net_obj_hash(ns, &o->addr), o->handle);
			slab_free(&ns->objs, o->handle);
			continue;
		}
		if (orphan)
			net_group_append(ns, NET_ORPHANS, o);
		link = &o->all_next;
	}
}

static void retries_due(struct netstate *ns, mono_t now)
{
	ns->next_retry = MONO_NEVER;
	for (uint32_t i = 0; i <= ns->n_groups; i++) {
		uint32_t g = i == ns->n_groups ? NET_ORPHANS : i;
		if (mono_due(ns->groups[g].retry, now)) {
			ns->groups[g].retry = MONO_NEVER; /* the coming difference sets it anew */
			net_group_dirty(ns, g);
		}
		ns->next_retry = mono_min(ns->next_retry, ns->groups[g].retry);
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
	if (ns->groups[NET_ORPHANS].first && ns->synced)
		orphans_sweep(ns);
}

mono_t netstate_deadline(const struct netstate *ns)
{
	return mono_min(ns->next_tick, ns->next_retry);
}

/* ---- status ---- */

/* True when the interface is usable for a group that is up. */
static bool iface_ready(const struct netstate *ns, uint16_t iface)
{
	const struct net_link *l = netstate_link(ns, ns->ifaces[iface].index);
	return l && l->up && l->carrier;
}

static void status_name(const struct netstate *ns, struct net_status *st, const struct net_obj *o, int err)
{
	st->addr = o->addr;
	st->plen = o->plen;
	st->err = err;
	memcpy(st->ifname, ns->ifaces[o->iface].name, IFNAMSIZ);
}

/* Counts one object; names it when it is the first failed one, or the first foreign one and none failed. */
static void status_obj(const struct netstate *ns, enum net_mode mode, const struct net_obj *o, struct net_status *st)
{
	const struct net_obs *here = net_obs_find(ns, net_iface_index(ns, o), &o->addr, o->plen);
	const struct net_obs *copy = net_obj_copy(ns, o);
	bool ours = net_is_ours(ns, o, copy), want = mode == NET_UP;
	bool foreign = here && !net_is_ours(ns, o, here) && o->flight != NET_F_ADD;
	st->total++;
	st->present += here || ours;
	st->foreign += foreign;
	if (foreign && !st->addr.af)
		status_name(ns, st, o, EEXIST);
	bool right = want ? here && (!ours || copy == here) && o->flight != NET_F_DEL : !ours && o->flight != NET_F_ADD;
	if (mode == NET_KEEP || right)
		return;
	if (!o->err) {
		st->waiting++;
		return;
	}
	if (!st->failed++)
		status_name(ns, st, o, o->err);
}

struct net_status netstate_status(const struct netstate *ns, uint16_t group)
{
	require(group < NET_GROUPS_MAX);
	const struct net_group *g = &ns->groups[group];
	struct net_status st = { .state = NET_EQUAL };
	int down = -1;
	for (unsigned i = 0; i < g->n_needs && down < 0; i++)
		if (!iface_ready(ns, g->needs[i]))
			down = g->needs[i];
	for (uint32_t h = g->first; h; h = net_obj_at(ns, h)->next) {
		const struct net_obj *o = net_obj_at(ns, h);
		status_obj(ns, g->mode, o, &st);
		if (down < 0 && !iface_ready(ns, o->iface))
			down = o->iface;
	}
	if (st.failed)
		st.state = NET_PARTIAL;
	if (st.waiting || !ns->synced)
		st.state = NET_PENDING;
	if (g->mode == NET_UP && down >= 0 && ns->synced) {
		st.state = NET_LINK_DOWN;
		st.addr = (struct addr){ 0 };
		st.err = 0;
		memcpy(st.ifname, ns->ifaces[down].name, IFNAMSIZ);
	}
	return st;
}
