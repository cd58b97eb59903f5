/*
 * Addresses: between netapply and the node core.
 */
#include "daemon/app.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "daemon/app_layer.h"
#include "daemon/app_quar.h"
#include "daemon/app_sweep.h"
#include "daemon/app_track.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/rtnl_link.h"

/* ---- netapply ---- */

static void feed_group(struct app *a, uint16_t group, enum node_ev_type type, enum role_net net, int err)
{
	struct node_ev ev = { .type = type, .group = group, .epoch = a->group[group].epoch, .net = net, .err = err };
	app_feed(a, &ev);
}

static void first_signs(struct app *a, uint16_t group)
{
	struct app_group *g = &a->group[group];
	if (!g->vip_told) {
		g->vip_told = true;
		app_sweep_promoted(a, group);
		feed_group(a, group, NODE_EV_VIP_UP, ROLE_NET_PENDING, 0);
	}
	if (!g->garp_told) {
		g->garp_told = true;
		feed_group(a, group, NODE_EV_GARP, ROLE_NET_PENDING, 0);
	}
}

static void on_acked(void *arg, const struct net_op *op, int result, mono_t when)
{
	struct app *a = arg;
	(void)when;
	if (op->kind != NET_OP_ADD || op->group >= a->node.n_groups)
		return;
	struct app_group *g = &a->group[op->group];
	if (op->what != NET_ADDR || g->mode != NODE_NET_UP || (result != 0 && result != -EEXIST) ||
	    op->tag >= a->node.n_inst)
		return;
	app_garp_acked(a, (uint16_t)op->tag, op->ifindex, &op->addr);
	first_signs(a, op->group);
}

static const char *group_name(const struct app *a, uint16_t group)
{
	return group < a->node.n_groups ? a->cfg->groups[group].name : "static";
}

/* A member's machine hears of its link; of an interface that only carries addresses nobody else does. */
static bool members_link(const struct app *a, uint16_t group, const char *ifname)
{
	for (uint16_t m = 0; m < a->node.group[group].n_members; m++)
		if (!strcmp(a->cfg->instances[a->node.group[group].members[m]].interface, ifname))
			return true;
	return false;
}

static void tell_status(struct app *a, uint16_t group, struct net_status *was, const struct net_status *st)
{
	char text[NET_NAME_MAX];
	netstate_obj_name(netapply_state(a->net), st->obj, text);
	if (st->state == NET_PARTIAL && (was->state != NET_PARTIAL || st->failed != was->failed))
		log_err(LOG_NET, "group %s: %u of %u objects could not be set, first %s: %s", group_name(a, group),
			st->failed, st->total, text, strerror(st->err));
	if (group != NET_STATIC && st->state == NET_LINK_DOWN && was->state != NET_LINK_DOWN &&
	    !members_link(a, group, st->ifname))
		log_err(LOG_NET, "group %s: addresses on %s are missing: the interface is absent or down",
			group_name(a, group), st->ifname);
	if (st->foreign && st->foreign != was->foreign)
		log_warn(LOG_NET,
			 "group %s: %u of %u objects were set by somebody else (first %s); they are used and never "
			 "deleted by this node",
			 group_name(a, group), st->foreign, st->total, text);
	*was = *st;
}

/*
 * Everything is there before the first answer of KERNEL: adopted, the role came back, or the kernel's events were
 * faster. The neighbours are told first, because the IKE initiate follows.
 */
static void announce_first(struct app *a, uint16_t group)
{
	/* A role that goes on has its addresses where they were. */
	for (uint16_t m = 0;
	     !a->group[group].garp_told && !a->group[group].resuming && m < a->node.group[group].n_members; m++)
		app_garp_all(a, a->node.group[group].members[m]);
	first_signs(a, group);
}

static void on_group(void *arg, uint16_t group, const struct net_status *st)
{
	struct app *a = arg;
	if (group == NET_STATIC)
		tell_status(a, group, &a->static_net, st);
	if (group >= a->node.n_groups)
		return;
	tell_status(a, group, &a->group[group].net, st);
	app_quar(a, group);
	app_accept(a);
	switch (st->state) {
	case NET_EQUAL:
		if (a->group[group].mode == NODE_NET_UP)
			announce_first(a, group);
		feed_group(a, group, NODE_EV_NET, ROLE_NET_EQUAL, 0);
		return;
	case NET_PARTIAL:
		feed_group(a, group, NODE_EV_NET, ROLE_NET_PARTIAL, -st->err);
		return;
	case NET_PENDING:
		return;
	case NET_LINK_DOWN:
		/* A link that is down holds no address of ours back on the way down; on the way up the members say so.
		 */
		if (a->group[group].mode == NODE_NET_DOWN)
			feed_group(a, group, NODE_EV_NET, ROLE_NET_EQUAL, 0);
		else if (!members_link(a, group, st->ifname))
			feed_group(a, group, NODE_EV_NET, ROLE_NET_PARTIAL, -ENETDOWN);
		return;
	}
}

void app_net_mode(struct app *a, uint16_t group, enum node_net_mode mode, struct epoch epoch)
{
	struct app_group *g = &a->group[group];
	static const enum net_mode map[] = {
		[NODE_NET_DOWN] = NET_DOWN, [NODE_NET_UP] = NET_UP, [NODE_NET_KEEP] = NET_KEEP
	};
	bool again = g->mode == mode && mode == NODE_NET_UP && epoch_cmp(g->epoch, epoch) == 0;
	g->epoch = epoch;
	g->mode = mode;
	if (!again)
		g->vip_told = g->garp_told = false;
	app_quar(a, group);
	app_accept(a); /* its job is done before those of the addresses */
	if (a->opt.keep_at_stop && a->stopping && mode == NODE_NET_DOWN) {
		netapply_set(a->net, group, NET_KEEP);
		feed_group(a, group, NODE_EV_NET, ROLE_NET_EQUAL, 0);
		return;
	}
	netapply_set(a->net, group, map[mode]);
	struct net_status st = netapply_status(a->net, group);
	if (st.state != NET_PENDING && mode != NODE_NET_KEEP)
		on_group(a, group, &st);
}

/* True when address_lost = "yield" counts for this object. */
static bool loss_counts(const struct app *a, const struct net_op *op)
{
	if (op->tag >= a->cfg->n_instances || a->cfg->instances[op->tag].address_lost != VRRP_LOST_YIELD)
		return false;
	const struct vrrp_conf *c = &a->cfg->instances[op->tag];
	struct rtnl_route route;
	struct rule rule;
	char x[ROUTE_TEXT_MAX], y[ROUTE_TEXT_MAX];
	for (uint16_t k = 0; op->what == NET_ADDR && k < c->n_vips; k++)
		if (addr_eq(&c->vips[k].addr, &op->addr) && c->vips[k].plen == op->plen)
			return !c->vips[k].no_track;
	if (netstate_op_route(netapply_state(a->net), op, &route))
		for (uint32_t k = 0; k < a->cfg->n_routes; k++)
			if (!strcmp(route_text_print(&route.r, x), route_text_print(&a->cfg->routes[k].route, y)))
				return a->cfg->routes[k].track;
	if (netstate_op_rule(netapply_state(a->net), op, &rule))
		for (uint32_t k = 0; k < a->cfg->n_rules; k++)
			if (!strcmp(route_text_print_rule(&rule, x), route_text_print_rule(&a->cfg->rules[k].rule, y)))
				return a->cfg->rules[k].track;
	return false;
}

static bool link_up(struct app *a, int ifindex)
{
	const struct net_link *l = netstate_link(netapply_state(a->net), ifindex);
	return l && l->up;
}

/* What went with its interface is no loss of this kind: the members hear of the interface. */
static bool link_is_why(struct app *a, const struct net_op *op)
{
	struct rtnl_route route;
	if (op->what == NET_ADDR)
		return !link_up(a, op->ifindex);
	bool down = false;
	if (netstate_op_route(netapply_state(a->net), op, &route))
		for (unsigned i = 0; i < route.r.n_hops; i++)
			down |= route.r.hop[i].dev[0] && !link_up(a, route.oif[i]);
	return down;
}

static void on_lost(void *arg, const struct net_op *op)
{
	struct app *a = arg;
	char text[NET_NAME_MAX];
	unsigned held;
	if (link_is_why(a, op))
		return;
	netstate_obj_name(netapply_state(a->net), op->obj, text);
	if (op->group >= a->node.n_groups) {
		log_warn(LOG_NET, "%s was removed by somebody else: put back", text);
		return;
	}
	struct app_group *g = &a->group[op->group];
	bool wish = loss_counts(a, op);
	bool yield = wish && node_group_peer_ready(&a->node, op->group, clock_mono());
	g->lost++;
	memcpy(g->last_lost, text, sizeof(text));
	g->lost_at = clock_mono();
	g->lost_yielded = yield;
	if (log_rate_ok(&g->lost_rate, 1, &held) || yield)
		log_warn(LOG_NET, "group %s: %s was removed by somebody else: %s (%u more not told)",
			 group_name(a, op->group), text,
			 yield  ? "the role goes to the peer (address_lost = \"yield\")"
			 : wish ? "put back, as no peer is ready to take the role"
				: "put back",
			 held);
	if (yield)
		feed_group(a, op->group, NODE_EV_LOST, ROLE_NET_PENDING, 0);
}

static void on_link(void *arg, const struct net_link *l)
{
	app_vmac_link(arg, l); /* before app_vrrp_link, which forgets an interface that is gone */
	app_quar_link(arg, l);
	app_vrrp_link(arg, l);
	app_track_link(arg, l);
}

static void on_synced(void *arg)
{
	struct app *a = arg;
	struct netstate *ns = netapply_state(a->net);
	uint32_t leftovers = 0;
	for (uint16_t g = 0; g < a->node.n_groups; g++)
		leftovers += netstate_leftovers(ns, g);
	if (leftovers)
		log_notice(LOG_NET,
			   "%u objects of an earlier process are still here: served until it is clear who is master",
			   leftovers);
	app_vrrp_relink(a);
	app_track_links(a);
	app_layer_resume(a);
	struct node_ev ev = { .type = NODE_EV_START, .adopting = leftovers > 0 };
	a->running = true;
	app_feed(a, &ev);
	app_layer_settled(a);
	if (a->stop_early)
		app_begin_stop(a);
	else if (a->reload_early)
		app_reload(a);
}

/* The options of an address as the kernel wants them. */
static struct net_addr_opt vip_options(const struct vrrp_vip *v)
{
	struct net_addr_opt o = {
		.peer = v->peer, .broadcast = v->broadcast, .scope = v->scope, .preferred_lft = v->preferred_lft
	};
	o.flags = (v->flags & VRRP_VIP_NOPREFIXROUTE ? (uint32_t)NET_A_NOPREFIXROUTE : 0u) |
		  (v->flags & VRRP_VIP_HOME ? (uint32_t)NET_A_HOME : 0u) |
		  (v->flags & VRRP_VIP_MNGTMPADDR ? (uint32_t)NET_A_MNGTMPADDR : 0u) |
		  (v->flags & VRRP_VIP_AUTOJOIN ? (uint32_t)NET_A_AUTOJOIN : 0u);
	if (v->addr.af == ADDR_V6 && !(v->flags & VRRP_VIP_DAD))
		o.flags |= NET_A_NODAD;
	o.limited = v->preferred_lft != UINT32_MAX;
	o.preferred_lft = o.limited ? v->preferred_lft : 0;
	memcpy(o.label, v->label, sizeof(o.label));
	/* a subnet of one or two addresses has none (RFC 3021) */
	if (v->broadcast_auto && v->addr.af == ADDR_V4 && v->plen < 31) {
		o.broadcast = v->peer.af ? v->peer : v->addr;
		for (unsigned bit = v->plen; bit < 32; bit++)
			o.broadcast.b[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
	}
	return o;
}

/* Where the addresses of an instance live that name no interface. */
static const char *home_link(const struct vrrp_conf *c)
{
	return c->vmac == VRRP_VMAC_NONE ? c->interface : c->vmac_name;
}

static void declare_addr(struct app *a, uint16_t group, const char *owner, const char *dev, const struct vrrp_vip *v,
			 uint32_t tag)
{
	struct net_addr_opt opt = vip_options(v);
	char text[ADDR_TEXT_MAX];
	int rc = netstate_want_addr(netapply_state(a->net), group, dev, &v->addr, v->plen, &opt, tag);
	if (rc < 0)
		log_err(LOG_NET, "%s: address %s on %s cannot be managed: %s", owner, addr_text(&v->addr, text), dev,
			strerror(-rc));
}

static void declare_link(struct app *a, const struct vrrp_conf *c, uint16_t inst)
{
	enum net_link_kind kind = c->vmac == VRRP_VMAC_IPVLAN ? NET_LINK_IPVLAN : NET_LINK_MACVLAN;
	int rc =
	    netstate_want_link(netapply_state(a->net), c->group, c->vmac_name, c->interface, kind, c->vmac_mac, inst);
	if (rc < 0)
		log_err(LOG_NET, "%s: interface %s on %s cannot be managed: %s", c->name, c->vmac_name, c->interface,
			strerror(-rc));
}

static uint16_t group_of(const struct app *a, uint16_t inst)
{
	return inst == CFG_STATIC ? NET_STATIC : a->cfg->instances[inst].group;
}

static const char *owner_of(const struct app *a, uint16_t inst)
{
	return inst == CFG_STATIC ? "static" : a->cfg->instances[inst].name;
}

static void declare_routes(struct app *a)
{
	struct netstate *ns = netapply_state(a->net);
	char text[ROUTE_TEXT_MAX];
	for (uint32_t k = 0; k < a->cfg->n_routes; k++) {
		const struct cfg_route *r = &a->cfg->routes[k];
		int rc = netstate_want_route(ns, group_of(a, r->inst), &r->route, r->inst);
		if (rc < 0)
			log_err(LOG_NET, "%s: route %s cannot be managed: %s", owner_of(a, r->inst),
				route_text_print(&r->route, text), strerror(-rc));
	}
	for (uint32_t k = 0; k < a->cfg->n_rules; k++) {
		const struct cfg_rule *r = &a->cfg->rules[k];
		int rc = netstate_want_rule(ns, group_of(a, r->inst), &r->rule, r->inst);
		if (rc < 0)
			log_err(LOG_NET, "%s: rule %s cannot be managed: %s", owner_of(a, r->inst),
				route_text_print_rule(&r->rule, text), strerror(-rc));
	}
}

void app_net_declare(struct app *a)
{
	struct netstate *ns = netapply_state(a->net);
	netapply_promote(a->net, a->cfg->promote_secondaries);
	netstate_conf_begin(ns);
	for (uint16_t i = 0; i < a->cfg->n_instances; i++) {
		const struct vrrp_conf *c = &a->cfg->instances[i];
		netstate_need_link(ns, c->group, c->interface);
		if (c->vmac != VRRP_VMAC_NONE)
			declare_link(a, c, i);
		for (uint16_t k = 0; k < c->n_vips; k++)
			declare_addr(a, c->group, c->name,
				     c->vips[k].interface[0] ? c->vips[k].interface : home_link(c), &c->vips[k], i);
	}
	for (uint16_t k = 0; k < a->cfg->n_static_addrs; k++)
		declare_addr(a, NET_STATIC, "static", a->cfg->static_addrs[k].interface, &a->cfg->static_addrs[k],
			     UINT32_MAX);
	declare_routes(a);
	netstate_conf_end(ns);
	app_vmac_declare(a);
	netapply_kick(a->net);
}

int app_net_start(struct app *a)
{
	struct netapply_conf nc = { .loop = a->loop, .kt = a->kt, .guardian = a->guardian };
	snprintf(nc.own_path, sizeof(nc.own_path), "%s/owned", a->cfg->run_dir);
	nc.hooks.arg = a;
	nc.hooks.synced = on_synced;
	nc.hooks.link = on_link;
	nc.hooks.acked = on_acked;
	nc.hooks.group = on_group;
	nc.hooks.lost = on_lost;
	nc.promote_secondaries = a->cfg->promote_secondaries;
	const char *why = NULL;
	a->net = netapply_new(&nc, &why);
	if (!a->net)
		return -errno;
	if (why)
		log_warn(LOG_NET, "%s: %s; addresses of an earlier process are not recognised", nc.own_path, why);
	app_net_declare(a);
	return 0;
}
