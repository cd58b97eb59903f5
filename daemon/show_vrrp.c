/*
 * show vrrp, show interfaces.
 */
#include "daemon/show.h"

#include <stdio.h>
#include <string.h>
#include "daemon/base/clock.h"
#include "daemon/rtnl_link.h"

/* The interface that a virtual address lives on. */
static const char *vip_dev(const struct app *a, uint16_t inst, const struct vrrp_vip *vip)
{
	const struct vrrp_conf *c = a->node.inst[inst].conf;
	return vip->interface[0] ? vip->interface : c->vmac != VRRP_VMAC_NONE ? c->vmac_name : c->interface;
}

static int vip_ifindex(struct app *a, uint16_t inst, const struct vrrp_vip *vip)
{
	const struct net_link *l = netstate_link_by_name(netapply_state(a->net), vip_dev(a, inst, vip));
	return l ? l->index : 0;
}

/* Present on its interface, and by whom. */
static const char *vip_state(struct app *a, uint16_t inst, const struct vrrp_vip *vip)
{
	struct net_addr at;
	uint32_t it = 0;
	int ifindex = vip_ifindex(a, inst, vip);
	bool wanted = a->group[a->node.member[inst].group].mode == NODE_NET_UP;
	while (netstate_addr_next(netapply_state(a->net), &it, &at))
		if (at.ifindex == ifindex && at.plen == vip->plen && addr_eq(&at.addr, &vip->addr))
			return at.proto == NET_MARK ? "up" : "foreign";
	return wanted ? "missing" : "down";
}

static json_t *vip_json(struct app *a, uint16_t inst, const struct vrrp_vip *vip)
{
	char text[ADDR_TEXT_MAX], full[ADDR_TEXT_MAX + 8];
	const struct app_group *g = &a->group[a->node.member[inst].group];
	const char *state = vip_state(a, inst, vip), *error = "";
	snprintf(full, sizeof(full), "%s/%u", addr_text(&vip->addr, text), vip->plen);
	if (strcmp(state, "missing") == 0) {
		if (g->net.state == NET_PARTIAL && addr_eq(&g->net.addr, &vip->addr))
			error = strerror(g->net.err);
		else
			error = g->net.state == NET_LINK_DOWN ? "the link is down" : "not acknowledged by the kernel";
	}
	return json_pack("{s:s, s:s, s:s, s:s}", "address", full, "interface", vip_dev(a, inst, vip), "state", state,
			 "error", error);
}

static json_t *counters_json(struct app *a, uint16_t inst)
{
	const struct vrrp_stats *s = &a->node.inst[inst].stats;
	json_t *drops = json_array();
	for (unsigned d = 1; d < VRRP_DROP_N; d++)
		if (s->drop[d])
			json_array_append_new(drops,
					      json_pack("{s:s, s:I}", "reason", vrrp_drop_name((enum vrrp_drop)d),
							"count", (json_int_t)s->drop[d]));
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "adverts_sent",
			 (json_int_t)s->adv_sent, "adverts_received", (json_int_t)s->adv_rcvd, "priority_zero_sent",
			 (json_int_t)s->zero_sent, "priority_zero_received", (json_int_t)s->zero_rcvd, "became_master",
			 (json_int_t)s->to_master, "became_backup", (json_int_t)s->to_backup, "became_fault",
			 (json_int_t)s->to_fault, "announcements_sent", (json_int_t)a->inst[inst].garps,
			 "other_addresses_heard", (json_int_t)s->vips_differ, "checksums_pseudo_header",
			 (json_int_t)s->sum[VRRP_SUM_PSEUDO], "checksums_rfc9568", (json_int_t)s->sum[VRRP_SUM_PLAIN],
			 "version_2_echoes", (json_int_t)s->v2_echoes, "drops", drops);
}

static json_t *peer_json(const struct vrrp *v, mono_t now)
{
	char text[ADDR_TEXT_MAX];
	if (v->peer.src.af == ADDR_NONE)
		return json_null();
	return json_pack("{s:s, s:i, s:I, s:o}", "address", addr_text(&v->peer.src, text), "priority",
			 (int)v->peer.priority, "advert_interval_us", (json_int_t)(v->peer.adv_ns / NS_PER_US),
			 "heard_us", show_age(v->peer.heard_at, now));
}

/* Where its adverts go. */
static json_t *sends_to_json(const struct vrrp *v)
{
	json_t *list = json_array();
	char text[ADDR_TEXT_MAX];
	struct addr dst;
	for (unsigned at = 0; vrrp_wire_next_dest(v->conf, &v->src, &at, &dst);)
		json_array_append_new(list, json_string(addr_text(&dst, text)));
	return list;
}

/* MASTER in a split brain: the other one on this segment. */
static json_t *rival_json(const struct app *a, uint16_t inst, mono_t now)
{
	const struct node_member *m = &a->node.member[inst];
	const struct vrrp *v = &a->node.inst[inst];
	char text[ADDR_TEXT_MAX];
	if (mono_is_never(m->rival_since))
		return json_null();
	return json_pack("{s:s, s:i, s:o, s:o}", "address", addr_text(&v->peer.src, text), "priority",
			 (int)v->peer.priority, "since_us", show_age(m->rival_since, now), "heard_us",
			 show_age(m->rival_at, now));
}

static const char *vmac_state(struct app *a, uint16_t inst, const struct net_link *l)
{
	if (!l)
		return "absent";
	if (l->index != a->inst[inst].vmac_ifindex)
		return "foreign";
	return l->up ? "up" : "down";
}

/* The interface of the virtual MAC; null when there is none. */
static json_t *vmac_json(struct app *a, uint16_t inst)
{
	const struct vrrp_conf *c = a->node.inst[inst].conf;
	char mac[20] = "";
	if (c->vmac == VRRP_VMAC_NONE)
		return json_null();
	const struct net_link *l = netstate_link_by_name(netapply_state(a->net), c->vmac_name);
	const uint8_t *m = c->vmac == VRRP_VMAC_IPVLAN ? a->inst[inst].mac : c->vmac_mac;
	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "interface", c->vmac_name, "kind",
			 c->vmac == VRRP_VMAC_IPVLAN ? "ipvlan" : "macvlan", "mac", mac, "state",
			 vmac_state(a, inst, l), "adverts_from", app_vrrp_vmac(c) ? "virtual" : "base");
}

static const char *accept_state(const struct app *a, const struct vrrp_conf *c)
{
	if (!c->no_accept || c->priority == 255)
		return "yes";
	return a->accept_failed ? "failed" : "no";
}

static const char *last_reason(const struct app *a, uint16_t inst)
{
	const struct vrrp *v = &a->node.inst[inst];
	if (v->state == VRRP_MASTER)
		return vrrp_reason_text(v->master_reason);
	return role_reason_text(a->node.group[a->node.member[inst].group].role.rec.reason);
}

static const char *version_text(enum vrrp_version version)
{
	switch (version) {
	case VRRP_V3:
		return "v3";
	case VRRP_V2:
		return "v2";
	case VRRP_V2_AND_3:
		return "v2+v3";
	}
	return "";
}

/* Routes and rules of an instance; of what is static everything. */
static json_t *objects_json(struct app *a, uint16_t group, uint32_t tag)
{
	static const char *const kind[] = { "interface", "interface", "address", "route", "rule" };
	struct netstate *ns = netapply_state(a->net);
	bool wanted = group == NET_STATIC || a->group[group].mode == NODE_NET_UP;
	json_t *list = json_array();
	struct net_shown o;
	char text[NET_NAME_MAX];
	for (uint32_t iter = 0; netstate_obj_next(ns, group, &iter, &o);) {
		if (group == NET_STATIC ? o.what < NET_ADDR : o.what < NET_ROUTE || o.tag != tag)
			continue;
		const char *state = o.here ? o.ours ? "up" : "foreign" : wanted ? "missing" : "down";
		const char *error = o.here || !wanted ? "" : o.err ? strerror(o.err) : "its interface is not up";
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:s, s:s}", "kind", kind[o.what], "text",
						netstate_obj_name(ns, o.obj, text), "state", state, "error", error));
	}
	return list;
}

static json_t *instance_json(struct app *a, uint16_t i, mono_t now)
{
	const struct vrrp *v = &a->node.inst[i];
	char src[ADDR_TEXT_MAX] = "";
	json_t *vips = json_array();
	for (uint16_t k = 0; k < v->conf->n_vips; k++)
		json_array_append_new(vips, vip_json(a, i, &v->conf->vips[k]));
	if (v->src.af)
		addr_text(&v->src, src);
	json_int_t age_us = mono_sub(now, v->since) / NS_PER_US;
	json_t *j = json_pack(
	    "{s:s, s:s, s:i, s:s, s:s, s:s, s:s, s:i, s:i, s:b, s:b, s:s}", "name", v->conf->name, "interface",
	    v->conf->interface, "vrid", (int)v->conf->vrid, "family", v->conf->af == ADDR_V4 ? "ipv4" : "ipv6", "group",
	    a->cfg->groups[a->node.member[i].group].name, "state", vrrp_state_text(v->state), "reason",
	    last_reason(a, i), "priority", (int)v->priority, "priority_configured", (int)v->conf->priority, "preempt",
	    v->conf->preempt, "link", !a->node.member[i].down, "source", src);
	json_object_set_new(j, "link_error", json_string(app_vrrp_deaf_text(a->inst[i].deaf)));
	json_object_set_new(j, "sends_to", sends_to_json(v));
	json_object_set_new(j, "advert_interval_us", json_integer(v->conf->adv_ns / NS_PER_US));
	json_object_set_new(j, "master_advert_interval_us", json_integer(v->master_adv_ns / NS_PER_US));
	json_object_set_new(j, "skew_us", json_integer(vrrp_skew(v) / NS_PER_US));
	json_object_set_new(j, "master_down_us", json_integer(vrrp_down(v) / NS_PER_US));
	json_object_set_new(j, "version", json_string(version_text(v->conf->version)));
	json_object_set_new(j, "preempt_delay_left_us", json_integer(vrrp_preempt_left(v, now) / NS_PER_US));
	int64_t start_ns = node_starting(&a->node) ? mono_sub(a->node.startup_until, now) : 0;
	json_object_set_new(j, "startup_delay_left_us", json_integer((start_ns > 0 ? start_ns : 0) / NS_PER_US));
	json_object_set_new(j, "since_us", json_integer(age_us));
	json_object_set_new(j, "transition_wall_us", json_integer(clock_wall_us() - age_us));
	json_object_set_new(j, "virtual_mac", vmac_json(a, i));
	json_object_set_new(j, "accept", json_string(accept_state(a, v->conf)));
	json_object_set_new(j, "peer", peer_json(v, now));
	json_object_set_new(j, "rival", rival_json(a, i, now));
	json_object_set_new(j, "addresses", vips);
	json_object_set_new(j, "routes", objects_json(a, a->node.member[i].group, i));
	json_object_set_new(j, "counters", counters_json(a, i));
	return j;
}

json_t *show_vrrp(struct app *a)
{
	mono_t now = clock_mono();
	json_t *list = json_array();
	for (uint16_t i = 0; i < a->node.n_inst; i++)
		json_array_append_new(list, instance_json(a, i, now));
	return json_pack("{s:s, s:o, s:o}", "node", a->cfg->node_name, "instances", list, "static",
			 objects_json(a, NET_STATIC, CFG_STATIC));
}

/* Packets on an interface that are for none of its virtual routers, by family and reason. */
static json_t *strays_json(struct app *a, int ifindex)
{
	json_t *list = json_array();
	struct vrrp_port *p = NULL;
	while ((p = vrrp_io_next(a->vrrp, p)))
		for (unsigned d = 1; ifindex && p->ifindex == (unsigned)ifindex && d < VRRP_DROP_N; d++)
			if (p->drop[d])
				json_array_append_new(list, json_pack("{s:s, s:s, s:I}", "family",
								      p->af == ADDR_V4 ? "ipv4" : "ipv6", "reason",
								      vrrp_drop_name((enum vrrp_drop)d), "count",
								      (json_int_t)p->drop[d]));
	return list;
}

static json_t *link_json(struct app *a, const char *name)
{
	struct netstate *ns = netapply_state(a->net);
	const struct net_link *l = netstate_link_by_name(ns, name);
	char mac[20] = "", text[ADDR_TEXT_MAX], full[ADDR_TEXT_MAX + 8];
	json_t *addrs = json_array(), *insts = json_array();
	if (l && l->mac_len == 6)
		snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", l->mac[0], l->mac[1], l->mac[2], l->mac[3],
			 l->mac[4], l->mac[5]);
	struct net_addr at;
	uint32_t it = 0;
	while (l && netstate_addr_next(ns, &it, &at)) {
		if (at.ifindex != l->index)
			continue;
		snprintf(full, sizeof(full), "%s/%u", addr_text(&at.addr, text), at.plen);
		json_array_append_new(addrs, json_string(full));
	}
	for (uint16_t i = 0; i < a->cfg->n_instances; i++)
		if (strcmp(a->cfg->instances[i].interface, name) == 0)
			json_array_append_new(insts, json_string(a->cfg->instances[i].name));
	return json_pack("{s:s, s:i, s:b, s:b, s:b, s:s, s:I, s:o, s:o, s:o}", "name", name, "index", l ? l->index : 0,
			 "present", l != NULL, "up", l && l->up, "running", l && l->carrier, "mac", mac, "mtu",
			 (json_int_t)(l ? l->mtu : 0), "addresses", addrs, "instances", insts, "drops",
			 strays_json(a, l ? l->index : 0));
}

json_t *show_interfaces(struct app *a)
{
	json_t *list = json_array();
	for (uint16_t i = 0; i < a->cfg->n_instances; i++) {
		bool seen = false;
		for (uint16_t k = 0; k < i; k++)
			seen |= strcmp(a->cfg->instances[k].interface, a->cfg->instances[i].interface) == 0;
		if (!seen)
			json_array_append_new(list, link_json(a, a->cfg->instances[i].interface));
	}
	return json_pack("{s:o}", "interfaces", list);
}
