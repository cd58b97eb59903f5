/*
 * Virtual MACs: the kernel settings of their interfaces and of the bases below. The interfaces themselves are objects of
 * netstate: they exist from the declaration on, and are up while their group is.
 */
#include "daemon/app.h"

#include <errno.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include "daemon/base/log.h"
#include "daemon/rtnl_link.h"

/* Which kinds of addresses live on the interface of the virtual MAC. */
struct lives {
	bool v4, v6, link_local, dad;
};

static struct lives lives_on(const struct vrrp_conf *c)
{
	struct lives l = { 0 };
	for (uint16_t k = 0; k < c->n_vips; k++) {
		const struct vrrp_vip *v = &c->vips[k];
		if (v->interface[0] && strcmp(v->interface, c->vmac_name) != 0)
			continue;
		l.v4 |= v->addr.af == ADDR_V4;
		l.v6 |= v->addr.af == ADDR_V6;
		l.link_local |= addr_is_link_local(&v->addr);
		l.dad |= (v->flags & VRRP_VIP_DAD) != 0;
	}
	return l;
}

static void settings(struct app *a, const struct vrrp_conf *c)
{
	struct lives l = lives_on(c);
	struct sysctl_vmac v = { .link_local = l.v6 && !l.link_local, .dad = l.dad };
	memcpy(v.name, c->vmac_name, sizeof(v.name));
	memcpy(v.base, c->interface, sizeof(v.base));
	sysctl_io_vmac(a->sysctl, &v);
}

static void change_done(struct kt_job *job)
{
	if (job->result < 0 && job->result != -ENODEV)
		log_notice(LOG_NET, "the %s of a virtual MAC's interface does not follow its base: %s",
			   (const char *)job->arg, strerror(-job->result));
}

static void change(struct app *a, enum kt_prio prio, int ifindex, const uint8_t *msg, size_t len, const char *what)
{
	struct net_op op = { .kind = NET_OP_ADD, .group = NET_NO_GROUP, .ifindex = ifindex };
	struct kt_job *job = kt_job_new(KT_RTNL, prio, change_done, (void *)(uintptr_t)what);
	if (!job || kt_job_add(job, &op, msg, len) < 0 || kernel_thread_submit(a->kt, job) < 0)
		kt_job_free(job);
}

/* Where the base belongs to a VRF, the virtual addresses do as well: before the interface comes up. */
static void vrf_follow(struct app *a, uint16_t inst)
{
	struct netstate *ns = netapply_state(a->net);
	struct app_inst *ai = &a->inst[inst];
	const struct net_link *l = netstate_link(ns, ai->vmac_ifindex);
	const struct net_link *b = netstate_link_by_name(ns, a->node.inst[inst].conf->interface);
	const struct net_link *m = b ? netstate_link(ns, b->master) : NULL;
	int vrf = m && m->kind == NET_LINK_VRF ? m->index : 0;
	if (l && l->master == vrf)
		ai->vmac_vrf = vrf;
	if (!l || !b || ai->vmac_vrf == vrf)
		return;
	uint8_t msg[RTNL_LINK_MSG_MAX];
	size_t len = rtnl_link_master(msg, sizeof(msg), l->index, vrf, 0, true);
	ai->vmac_vrf = vrf;
	change(a, KT_PROMOTE, l->index, msg, len, "VRF");
}

/*
 * The interface of an instance's virtual MAC was made, or made anew: its settings are written before it comes up, as the
 * job is submitted before netstate sends the next difference.
 */
static void vmac_seen(struct app *a, uint16_t inst, const struct net_link *l)
{
	const struct vrrp_conf *c = a->node.inst[inst].conf;
	bool ours = !l->gone && netstate_link_ours(netapply_state(a->net), c->vmac_name);
	int index = ours ? l->index : 0;
	if (a->inst[inst].vmac_ifindex != index) {
		a->inst[inst].vmac_vrf = 0; /* a new one belongs to none */
		if (index)
			settings(a, c);
	}
	a->inst[inst].vmac_ifindex = index;
	vrf_follow(a, inst);
}

/* A base answers for its own addresses only, while a virtual MAC with IPv4 addresses stands on it. */
static void wish(struct app *a)
{
	struct sysctl_plan *p = sysctl_io_plan(a->sysctl);
	sysctl_plan_begin(p);
	for (uint16_t i = 0; i < a->node.n_inst && !a->vmac_ended; i++) {
		const struct vrrp_conf *c = a->node.inst[i].conf;
		/* The answer to an ARP request that names an ipvlan's address goes to the ipvlan: the base needs its own. */
		if (c->vmac == VRRP_VMAC_NONE || !lives_on(c).v4)
			continue;
		const struct net_link *l = netstate_link_by_name(netapply_state(a->net), c->interface);
		if (l)
			sysctl_plan_want(p, l->index, l->name);
	}
	sysctl_io_kick(a->sysctl);
}

static void check_base(struct app *a, uint16_t inst, const struct net_link *l)
{
	const struct vrrp_conf *c = a->node.inst[inst].conf;
	bool wrong = !l->gone && l->type != ARPHRD_ETHER;
	if (wrong && a->inst[inst].vmac_refused != l->index)
		log_err(LOG_NET, "%s: a virtual MAC needs Ethernet, and %s is something else; remove virtual_mac",
			c->name, l->name);
	a->inst[inst].vmac_refused = wrong ? l->index : 0;
}

/* The kernel lowers the MTU of a macvlan with that of its base, and never raises it again. */
static void mtu_follow(struct app *a, uint16_t inst, const struct net_link *base)
{
	struct app_inst *ai = &a->inst[inst];
	const struct net_link *l = netstate_link(netapply_state(a->net), ai->vmac_ifindex);
	bool changed = ai->base_mtu && ai->base_mtu != base->mtu;
	ai->base_mtu = base->gone ? 0 : base->mtu;
	if (!changed || base->gone || !l || l->mtu >= base->mtu)
		return;
	uint8_t msg[RTNL_LINK_MSG_MAX];
	size_t len = rtnl_link_mtu(msg, sizeof(msg), l->index, base->mtu, 0, true);
	change(a, KT_LATER, l->index, msg, len, "MTU");
}

void app_vmac_link(struct app *a, const struct net_link *l)
{
	bool base = false;
	if (l->gone)
		sysctl_plan_gone(sysctl_io_plan(a->sysctl), l->index);
	else
		sysctl_plan_named(sysctl_io_plan(a->sysctl), l->index, l->name);
	for (uint16_t i = 0; i < a->node.n_inst && a->vmacs; i++) {
		const struct vrrp_conf *c = a->node.inst[i].conf;
		if (c->vmac == VRRP_VMAC_NONE)
			continue;
		if (strcmp(c->vmac_name, l->name) == 0)
			vmac_seen(a, i, l);
		else if (a->inst[i].vmac_ifindex == l->index)
			a->inst[i].vmac_ifindex = 0; /* renamed away */
		if (strcmp(c->interface, l->name) == 0) {
			base = true;
			check_base(a, i, l);
			mtu_follow(a, i, l);
			vrf_follow(a, i);
		}
		base |= a->inst[i].ifindex == l->index;
	}
	if (base)
		wish(a);
}

void app_vmac_declare(struct app *a)
{
	wish(a);
}

void app_vmac_end(struct app *a)
{
	a->vmac_ended = true;
	if (a->sysctl && a->net)
		wish(a);
}

int app_vmac_start(struct app *a)
{
	char record[160];
	const char *why = NULL;
	snprintf(record, sizeof(record), "%s/sysctl", a->cfg->run_dir);
	a->sysctl = sysctl_io_new(a->kt, "/proc/sys", record, &why);
	if (!a->sysctl)
		return -ENOMEM;
	if (why)
		log_warn(LOG_NET, "%s: %s; settings that an earlier process made on base interfaces stay", record, why);
	return 0;
}
