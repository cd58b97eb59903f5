/* netstate: what is told about groups and objects. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/netstate_priv.h"
#include "daemon/rtnl_link.h"

/* True when the interface is usable for a group that is up. */
static bool iface_ready(const struct netstate *ns, uint16_t iface)
{
	const struct net_link *l = netstate_link(ns, net_iface_at(ns, iface)->index);
	return l && l->up && l->carrier;
}

static void status_name(const struct netstate *ns, struct net_status *st, const struct net_obj *o, int err)
{
	st->obj = o->handle;
	st->addr = o->addr;
	st->plen = o->plen;
	st->err = err;
	if (o->iface != NET_NO_IFACE)
		memcpy(st->ifname, net_iface_at(ns, o->iface)->name, IFNAMSIZ);
}

/* Why it is not there: its own refusal, or that of the interface of ours that it needs. */
static int obj_err(const struct netstate *ns, const struct net_obj *o)
{
	const struct net_obj *made = net_link_obj(ns, o->iface);
	return o->err ? o->err : made ? made->err : 0;
}

/* Counts one object; names it when it is the first failed one, or the first foreign one and none failed. */
static void status_obj(const struct netstate *ns, enum net_mode mode, const struct net_obj *o, struct net_status *st)
{
	struct net_sight s = net_sight(ns, o);
	bool want = mode == NET_UP, foreign = s.here && !s.ours_here;
	if (o->what < NET_ROUTE && o->flight == NET_F_ADD)
		foreign = false;
	st->total++;
	st->present += s.here || s.ours_at;
	st->foreign += foreign;
	if (foreign && !st->obj)
		status_name(ns, st, o, EEXIST);
	bool right = want ? s.here && (!s.ours_at || s.ours_here) && o->flight != NET_F_DEL
			  : !s.ours_at && o->flight != NET_F_ADD;
	if (mode == NET_KEEP || right)
		return;
	int err = obj_err(ns, o);
	if (!err) {
		st->waiting++;
		return;
	}
	if (!st->failed++)
		status_name(ns, st, o, err);
}

struct net_status netstate_status(const struct netstate *ns, uint16_t group)
{
	require(group <= NET_STATIC);
	static const struct net_group unsaid; /* NET_KEEP, nothing in it */
	const struct net_group *g = net_group_known(ns, group) ? net_group_at(ns, group) : &unsaid;
	struct net_status st = { .state = NET_EQUAL };
	int down = -1;
	for (unsigned i = 0; i < g->n_needs && down < 0; i++)
		if (!iface_ready(ns, g->needs[i]))
			down = g->needs[i];
	for (unsigned w = 0; w < NET_WHAT_N; w++)
		for (uint32_t h = g->first[w]; h; h = net_obj_at(ns, h)->next) {
			const struct net_obj *o = net_obj_at(ns, h);
			status_obj(ns, g->mode, o, &st);
			/* An interface of ours is an object of its own. */
			if (down < 0 && w == NET_ADDR && !net_link_obj(ns, o->iface) && !iface_ready(ns, o->iface))
				down = o->iface;
		}
	if (st.failed)
		st.state = NET_PARTIAL;
	if (st.waiting || !ns->synced)
		st.state = NET_PENDING;
	if (g->mode == NET_UP && down >= 0 && ns->synced) {
		st.state = NET_LINK_DOWN;
		st.obj = 0;
		st.addr = (struct addr){ 0 };
		st.err = 0;
		memcpy(st.ifname, net_iface_at(ns, down)->name, IFNAMSIZ);
	}
	return st;
}

bool netstate_op_link(const struct netstate *ns, const struct net_op *op, struct rtnl_link *out)
{
	const struct net_obj *o = net_obj_at(ns, op->obj);
	if (op->what == NET_LINK_UP)
		o = net_link_obj(ns, o->iface);
	if (!o || o->what != NET_LINK)
		return false;
	*out = (struct rtnl_link){ .kind = o->link.kind, .base = net_iface_at(ns, o->link.base)->index };
	memcpy(out->name, net_iface_at(ns, o->iface)->name, IFNAMSIZ);
	memcpy(out->mac, o->link.mac, sizeof(out->mac));
	return true;
}

bool netstate_link_ours(const struct netstate *ns, const char *name)
{
	const struct net_link *l = netstate_link_by_name(ns, name);
	const struct net_linkrec *r = l ? net_link_find(ns, l->index) : NULL;
	const struct net_obj *o = r && r->iface ? net_link_obj(ns, (uint16_t)(r->iface - 1)) : NULL;
	return o && o->listed && net_link_is(ns, o, l);
}

uint32_t netstate_links_marked(const struct netstate *ns)
{
	uint32_t n = 0, next;
	for (uint32_t h = ns->all_links; h; h = next) {
		const struct net_linkrec *r = slab_at(&ns->links, h);
		next = r->all_next;
		if (r->l.group != NET_MARK)
			continue;
		if (!netstate_link_ours(ns, r->l.name))
			return 0;
		n++;
	}
	return n;
}

char *netstate_obj_name(const struct netstate *ns, uint32_t obj, char *buf)
{
	const struct net_obj *o = obj && obj <= ns->objs.carved ? net_obj_at(ns, obj) : NULL;
	const char *ifname = o && o->iface != NET_NO_IFACE ? net_iface_at(ns, o->iface)->name : "-";
	char ip[ADDR_TEXT_MAX], text[ROUTE_TEXT_MAX];
	snprintf(buf, NET_NAME_MAX, "-");
	switch (o ? (enum net_what)o->what : NET_RULE) {
	case NET_LINK:
	case NET_LINK_UP:
		snprintf(buf, NET_NAME_MAX, "interface %s", ifname);
		break;
	case NET_ADDR:
		snprintf(buf, NET_NAME_MAX, "%s/%u on %s", addr_text(&o->addr, ip), o->plen, ifname);
		break;
	case NET_ROUTE:
		route_text_print(&net_spec_of(ns, o)->route, text);
		snprintf(buf, NET_NAME_MAX, "route %.80s", text);
		break;
	case NET_RULE:
		if (!o)
			break;
		route_text_print_rule(&net_spec_of(ns, o)->rule, text);
		snprintf(buf, NET_NAME_MAX, "rule %.80s", text);
		break;
	}
	return buf;
}

bool netstate_obj_next(const struct netstate *ns, uint16_t group, uint32_t *iter, struct net_shown *out)
{
	require(group <= NET_STATIC);
	const struct net_obj *at = net_obj_at(ns, *iter);
	uint32_t h = at ? at->next : 0;
	for (unsigned w = at ? at->what + 1u : 0; !h && w < NET_WHAT_N && net_group_known(ns, group); w++)
		h = net_group_at(ns, group)->first[w];
	if (!h)
		return false;
	const struct net_obj *o = net_obj_at(ns, h);
	struct net_sight s = net_sight(ns, o);
	*iter = h;
	*out = (struct net_shown){ .what = (enum net_what)o->what, .obj = h, .tag = o->tag, .err = obj_err(ns, o) };
	out->here = s.here || s.ours_at;
	out->ours = s.ours_at != 0;
	return true;
}
