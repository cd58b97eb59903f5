/*
 * Announcements: what the scheduler (vrrp/announce.h) says is due goes out in small passes between which adverts,
 * packets and the answers of KERNEL have their turn.
 */
#include "daemon/app.h"

#include <errno.h>
#include "daemon/base/clock.h"
#include "daemon/base/log.h"

#define PASS_FRAMES 64                /* of one pass, and at most as long as this: */
#define PASS_NS     (300 * NS_PER_US) /* so that adverts never wait */
#define AGAIN_NS    (1 * NS_PER_MS)   /* after the interface took no more frames */

/* Where an address of this instance lives; 0: the interface is absent. */
static int vip_ifindex(struct app *a, uint16_t inst, const struct vrrp_vip *vip)
{
	const struct vrrp_conf *c = a->node.inst[inst].conf;
	const char *name = vip->interface[0] ? vip->interface : c->vmac != VRRP_VMAC_NONE ? c->vmac_name : NULL;
	if (!name)
		return a->inst[inst].ifindex;
	const struct net_link *l = netstate_link_by_name(netapply_state(a->net), name);
	return l ? l->index : 0;
}

/* 0, or -EAGAIN when the interface takes no more now. Any other refusal counts as sent: the next round comes. */
static int send_one(struct app *a, uint16_t inst, int ifindex, const uint8_t *mac, const struct addr *vip, mono_t now)
{
	const struct vrrp_conf *c = a->node.inst[inst].conf;
	int rc = vrrp_io_announce(a->vrrp, (unsigned)ifindex, mac, vip);
	if (rc == -EAGAIN || rc == -ENOBUFS)
		return -EAGAIN;
	a->inst[inst].garps += rc == 0;
	announce_sent(&a->announce, ifindex, vip->af, vip->af == ADDR_V6 ? c->na_interval_ns : c->garp_interval_ns,
		      now);
	return 0;
}

/* One item; it is given back when its interface wants a pause. */
static void carry_out(struct app *a, const struct announce_item *it, mono_t now)
{
	const struct vrrp_vip *vip = &a->node.inst[it->inst].conf->vips[it->vip];
	int home = vip_ifindex(a, it->inst, vip);
	int out = it->extra ? a->inst[it->inst].ifindex : home;
	const struct net_link *l = netstate_link(netapply_state(a->net), home);
	if (!out || !l || l->mac_len != 6)
		return;
	mono_t free_at = announce_pace(&a->announce, out, vip->addr.af);
	if (!mono_due(free_at, now))
		announce_again(&a->announce, it, free_at);
	else if (send_one(a, it->inst, out, l->mac, &vip->addr, now) < 0)
		announce_again(&a->announce, it, mono_add(now, AGAIN_NS));
}

static void run(struct app *a)
{
	mono_t now = clock_mono();
	struct loop_budget budget = loop_budget(PASS_FRAMES, PASS_NS);
	struct announce_item it;
	while (announce_next(&a->announce, now, &it)) {
		if (a->node.inst[it.inst].state != VRRP_MASTER)
			announce_end(&a->announce, it.inst);
		else
			carry_out(a, &it, now);
		if (loop_budget_spent(&budget))
			break;
	}
	loop_timer_set(a->garp_timer, announce_deadline(&a->announce));
}

static void on_timer(void *arg, mono_t deadline)
{
	(void)deadline;
	run(arg);
}

static void rearm(struct app *a)
{
	loop_timer_set(a->garp_timer, announce_deadline(&a->announce));
}

void app_garp_acked(struct app *a, uint16_t inst, int ifindex, const struct addr *vip)
{
	const struct net_link *l = netstate_link(netapply_state(a->net), ifindex);
	mono_t now = clock_mono();
	/* The first one does not wait: it ends the interruption. With a pace it is part of a round. */
	if (announce_added(&a->announce, inst, now) && l && l->mac_len == 6)
		send_one(a, inst, ifindex, l->mac, vip, now);
	rearm(a);
}

void app_garp_all(struct app *a, uint16_t inst)
{
	announce_all(&a->announce, inst, clock_mono());
	run(a);
}

void app_garp_lower(struct app *a, uint16_t inst)
{
	announce_lower(&a->announce, inst, clock_mono());
	rearm(a);
}

void app_garp_rebuild(struct app *a)
{
	for (uint16_t i = 0; i < a->node.n_inst; i++)
		a->inst[i].announce.conf = a->node.inst[i].conf;
	announce_rebuild(&a->announce, a->node.n_inst ? &a->inst[0].announce : NULL, sizeof(*a->inst), a->node.n_inst,
			 clock_mono());
	if (a->garp_timer)
		rearm(a);
}

int app_garp_start(struct app *a)
{
	a->garp_timer = loop_timer_new(a->loop, LOOP_NORMAL, on_timer, a);
	return a->garp_timer ? 0 : -errno;
}
