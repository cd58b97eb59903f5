/*
 * Adverts: sockets, received packets to the virtual router they are for, what the routers send.
 */
#include "daemon/app.h"

#include <errno.h>
#include <string.h>
#include "daemon/base/clock.h"
#include "daemon/base/log.h"

/* ---- receive ---- */

static void on_packet(void *arg, unsigned ifindex, const struct vrrp_rx *rx)
{
	struct app *a = arg;
	uint8_t vrid = vrrp_wire_vrid(rx);
	for (uint16_t i = 0; i < a->node.n_inst; i++) {
		struct vrrp *v = &a->node.inst[i];
		if ((unsigned)a->inst[i].ifindex != ifindex || v->conf->vrid != vrid || v->conf->af != rx->af)
			continue;
		struct vrrp_msg msg;
		enum vrrp_drop drop = vrrp_wire_parse(rx, v->conf, &v->src, &msg);
		if (drop != VRRP_OK) {
			v->stats.drop[drop]++;
			unsigned held;
			if (log_rate_ok(&a->inst[i].drop_rate, 1, &held)) {
				char text[ADDR_TEXT_MAX];
				log_warn(LOG_VRRP, "%s: packet from %s refused: %s (%u more not told)", v->conf->name,
					 addr_text(&rx->src, text), vrrp_drop_text(drop), held);
			}
			struct node_ev ev = { .type = NODE_EV_DROPPED, .inst = i };
			app_feed(a, &ev);
			return;
		}
		v->stats.sum[msg.sum]++;
		struct vrrp_ev adv = { .type = VRRP_EV_ADVERT };
		adv.u.advert.priority = msg.priority;
		adv.u.advert.adv_ns = msg.adv_ns;
		adv.u.advert.src = msg.src;
		adv.u.advert.vip_list_differs = msg.odd & VRRP_ODD_VIPS;
		struct node_ev ev = { .type = NODE_EV_ADVERT, .inst = i, .advert = &adv };
		app_feed(a, &ev);
		return;
	}
	a->unknown_vrid++;
}

void app_vrrp_drain(struct app *a)
{
	vrrp_io_drain(a->vrrp, 0, 4096);
}

/* ---- send ---- */

void app_vrrp_advert(struct app *a, uint16_t inst, uint8_t priority)
{
	struct app_inst *ai = &a->inst[inst];
	struct vrrp *v = &a->node.inst[inst];
	uint8_t buf[VRRP_MSG_MAX];
	if (!ai->ifindex || !ai->open)
		return;
	struct addr group = vrrp_wire_group(v->conf->af);
	int rc = 0;
	uint8_t version;
	for (unsigned at = 0; rc >= 0 && vrrp_wire_next_form(v->conf, &at, &version);) {
		int len = vrrp_wire_build(v->conf, version, priority, &v->src, &group, buf, sizeof(buf));
		rc = len < 0 ? len
			     : vrrp_io_send(a->vrrp, (unsigned)ai->ifindex, v->conf->af, &v->src, buf, (size_t)len);
	}
	unsigned held;
	if (rc < 0 && log_rate_ok(&ai->send_rate, 1, &held))
		log_warn(LOG_VRRP, "%s: an advertisement could not be sent on %s: %s (%u more not told)", v->conf->name,
			 v->conf->interface, strerror(-rc), held);
}

/* The guardian's farewell: a priority-0 advert, ready to be sent, while this instance is MASTER. */
void app_vrrp_guardian(struct app *a, uint16_t inst)
{
	struct vrrp *v = &a->node.inst[inst];
	if (!a->guardian || inst >= GUARDIAN_ADVERTS)
		return;
	if (v->state != VRRP_MASTER || !a->inst[inst].ifindex) {
		guardian_advert_set(a->guardian, inst, NULL);
		return;
	}
	struct guardian_advert ga = { .ifindex = a->inst[inst].ifindex,
				      .src = v->src,
				      .dst = vrrp_wire_group(v->conf->af) };
	uint8_t version = v->conf->version == VRRP_V2 ? 2 : 3;
	int len = vrrp_wire_build(v->conf, version, 0, &v->src, &ga.dst, ga.bytes, sizeof(ga.bytes));
	if (len > 0) {
		ga.len = (uint16_t)len;
		guardian_advert_set(a->guardian, inst, &ga);
	}
}

/* ---- links and sockets ---- */

static void inst_link(struct app *a, uint16_t inst, const struct net_link *l)
{
	struct app_inst *ai = &a->inst[inst];
	const struct vrrp_conf *c = a->node.inst[inst].conf;
	int index = l->gone ? 0 : l->index;
	if (ai->ifindex != index && ai->open) {
		vrrp_io_close(a->vrrp, (unsigned)ai->ifindex, c->af);
		ai->open = false;
	}
	ai->ifindex = index;
	memcpy(ai->mac, l->mac, sizeof(ai->mac));
	struct addr src = { 0 };
	bool has_src = index && netstate_source(netapply_state(a->net), index, c->af, &src);
	bool up = index && l->up && l->carrier && has_src;
	if (up && !ai->open) {
		int rc = vrrp_io_open(a->vrrp, (unsigned)index, c->interface, c->af);
		ai->open = rc == 0;
		if (rc < 0) {
			log_warn(LOG_VRRP, "%s: cannot listen on %s: %s; tried again when the interface changes",
				 c->name, c->interface, strerror(-rc));
			up = false;
		}
	}
	ai->src = src;
	struct node_ev ev = { .type = NODE_EV_LINK, .inst = inst, .up = up, .src = src };
	app_feed(a, &ev);
	app_vrrp_guardian(a, inst);
}

void app_vrrp_link(struct app *a, const struct net_link *l)
{
	for (uint16_t i = 0; i < a->node.n_inst; i++) {
		bool named = strcmp(a->node.inst[i].conf->interface, l->name) == 0;
		if (named)
			inst_link(a, i, l);
		else if (a->inst[i].ifindex == l->index && l->index) { /* renamed away */
			struct net_link away = *l;
			away.gone = true;
			inst_link(a, i, &away);
		}
	}
}

void app_vrrp_relink(struct app *a)
{
	struct netstate *ns = netapply_state(a->net);
	for (uint16_t i = 0; i < a->node.n_inst; i++) {
		const struct net_link *l = netstate_link_by_name(ns, a->node.inst[i].conf->interface);
		if (l)
			inst_link(a, i, l);
		else
			log_warn(LOG_NET, "%s: interface %s is absent; it is watched for", a->node.inst[i].conf->name,
				 a->node.inst[i].conf->interface);
	}
}

int app_vrrp_start(struct app *a)
{
	a->vrrp = vrrp_io_new(a->loop, on_packet, a);
	return a->vrrp ? 0 : -errno;
}
