/* Machines, addresses and the KERNEL thread: netstate driven as daemon/netapply.c and app_net.c drive it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"
#include "tests/sim/sim.h"

#define GARP_GAP_NS (20 * NS_PER_MS)

static const char *const ifnames[SIM_SEGS] = { "lan0", "wan0" };

static unsigned seg_of(const struct sim *w, uint16_t inst)
{
	return w->conf[0][inst].interface[0] == 'l' ? SEG_LAN : SEG_WAN;
}

/* ---- machines ---- */

void sim_ct_end(struct sim *w, unsigned n)
{
	struct sim_box *b = &w->box[n];
	if (!b->ct)
		return;
	const struct fake_ct_stats *st = fake_ct_stats(b->ct);
	w->count.lost_told += st->lost_told;
	w->count.lost_silent += st->lost_silent;
	w->count.kern_error += st->failed;
	w->count.early += st->early_dropped;
	w->count.mute += st->mute;
	fake_ct_free(b->ct);
	b->ct = NULL;
}

void sim_boot(struct sim *w, unsigned n)
{
	struct sim_box *b = &w->box[n];
	if (!b->rtnl)
		b->rtnl = malloc(sizeof(*b->rtnl));
	require(b->rtnl);
	fake_rtnl_init(b->rtnl);
	sim_ct_end(w, n);
	b->ct = sim_store_table(w, n);
	/* What begins before the daemon listens is mute for life, unless the machine's start says otherwise. */
	fake_ct_sysctl_events(b->ct, sim_chance(w, 0.5) ? 2 : 1);
	b->frozen_until = MONO_ZERO;
	b->n_own = 0;
	sim_ike_boot(w, n);
	for (unsigned s = 0; s < SIM_SEGS; s++) {
		b->ifindex[s] = fake_rtnl_link_add(b->rtnl, ifnames[s], 0);
		fake_rtnl_cable(b->rtnl, b->ifindex[s], true);
		fake_rtnl_link_up(b->rtnl, b->ifindex[s], true);
		b->cable[s] = true;
		struct net_addr a = { .ifindex = b->ifindex[s], .plen = 24 };
		a.addr = s == SEG_LAN ? addr_v4(10, 1, 0, (uint8_t)(n + 1)) : addr_v4(192, 0, 2, (uint8_t)(n + 1));
		require(fake_rtnl_addr_add(b->rtnl, &a) == 0);
	}
	b->up = true;
}

void sim_cable(struct sim *w, unsigned n, unsigned seg, bool in)
{
	struct sim_box *b = &w->box[n];
	if (!b->up || b->cable[seg] == in)
		return;
	TRACE(w, "n%u %s cable %s", n + 1, ifnames[seg], in ? "in" : "out");
	b->cable[seg] = in;
	fake_rtnl_cable(b->rtnl, b->ifindex[seg], in);
	if (!in)
		sim_sync_addr_lost(w, n);
	sim_net_soon(w, n);
}

void sim_net_soon(struct sim *w, unsigned n)
{
	struct sim_box *b = &w->box[n];
	if (!b->p || b->rtnl_due)
		return;
	b->rtnl_due = true;
	sim_post(w, sim_item_new(w, IT_RTNL, n), sim_range(w, 20, 300) * NS_PER_US);
}

unsigned sim_vips_here(const struct sim *w, unsigned n, uint16_t group)
{
	const struct sim_box *b = &w->box[n];
	unsigned here = 0;
	for (unsigned i = 0; i < w->n_inst; i++)
		for (unsigned k = 0; w->conf[n][i].group == group && k < SIM_VIPS; k++)
			here += fake_rtnl_has(b->rtnl, b->ifindex[seg_of(w, (uint16_t)i)], &w->vips[i][k].addr);
	return here;
}

/* ---- KERNEL ---- */

static void job_next(struct sim *w, unsigned n)
{
	if (!w->box[n].p->job_first)
		return;
	/* Mostly fast; now and then somebody else holds the lock. */
	int64_t us = sim_chance(w, 0.03) ? sim_range(w, 1000, 12000) : sim_range(w, 30, 400);
	sim_post(w, sim_item_new(w, IT_JOB, n), us * NS_PER_US);
}

void sim_kt_put(struct sim *w, unsigned n, struct sim_job *j)
{
	struct sim_proc *p = w->box[n].p;
	bool idle = !p->job_first;
	j->next = NULL;
	*p->job_last = j;
	p->job_last = &j->next;
	if (idle)
		job_next(w, n);
}

static struct sim_job *job_new(enum sim_job_kind kind)
{
	struct sim_job *j = calloc(1, sizeof(*j));
	require(j);
	j->kind = kind;
	return j;
}

static void job_ops(struct sim *w, unsigned n, struct sim_job *j)
{
	struct sim_box *b = &w->box[n];
	for (unsigned i = 0; i < j->n; i++) {
		j->result[i] = fake_rtnl_op(b->rtnl, &j->op[i]);
		if (j->result[i] && j->result[i] != -EADDRNOTAVAIL)
			TRACE(w, "n%u kernel refuses an address: %s", n + 1, strerror(-j->result[i]));
		if (j->kind == JOB_DEL && j->result[i] == 0)
			fake_ct_addr_lost(b->ct, j->op[i].addr.af, j->op[i].addr.b);
	}
	if (j->kind == JOB_DEL)
		sim_sync_addr_lost(w, n);
	sim_net_soon(w, n);
}

/* The present job is done: its outcome goes to CONTROL, the next one begins. Takes the item. */
void sim_kt_done(struct sim *w, struct sim_item *it)
{
	unsigned n = it->node;
	struct sim_box *b = &w->box[n];
	struct sim_proc *p = b->p;
	if (p->stopped_until.ns) { /* the thread sleeps as well */
		sim_post(w, it, mono_sub(mono_max(p->stopped_until, w->now), w->now) + 1);
		return;
	}
	struct sim_job *j = p->job_first;
	require(j);
	p->job_first = j->next;
	if (!p->job_first)
		p->job_last = &p->job_first;
	switch (j->kind) {
	case JOB_ADD:
	case JOB_DEL:
		job_ops(w, n, j);
		break;
	case JOB_OWN:
		memcpy(b->own, j->own, sizeof(b->own));
		b->n_own = j->n;
		break;
	case JOB_SWEEP: /* the IKE daemons here have their SAs to themselves */
		break;
	}
	job_next(w, n);
	it->what = IT_KT;
	it->job = j;
	sim_post(w, it, sim_range(w, 5, 50) * NS_PER_US);
}

static void tell_acked(struct sim *w, unsigned n, const struct net_op *op, int result);

void sim_kt_result(struct sim *w, struct sim_item *it)
{
	unsigned n = it->node;
	struct sim_proc *p = w->box[n].p;
	struct sim_job *j = it->job;
	struct ike_ev swept = { .kind = IKE_EV_SWEPT, .epoch = j->epoch, .seq = j->seq, .ok = true };
	struct node_ev ev = { .type = NODE_EV_IKE, .tunnel = j->tunnel, .ike = &swept };
	switch (j->kind) {
	case JOB_OWN:
		return;
	case JOB_SWEEP:
		sim_feed(w, n, &ev);
		return;
	case JOB_ADD:
	case JOB_DEL:
		break;
	}
	p->batches--;
	for (unsigned i = 0; i < j->n; i++) {
		netstate_done(&p->ns, &j->op[i], j->result[i], w->now);
		tell_acked(w, n, &j->op[i], j->result[i]);
	}
	p->net_at = w->now;
}

/* ---- netapply ---- */

static void own_write(struct sim *w, unsigned n)
{
	struct sim_job *j = job_new(JOB_OWN);
	j->n = netstate_own_list(&w->box[n].p->ns, j->own, SIM_OWN);
	sim_kt_put(w, n, j);
}

static void send_kind(struct sim *w, unsigned n, enum net_op_kind kind)
{
	struct sim_proc *p = w->box[n].p;
	struct net_op op[NET_CHUNK];
	unsigned k;
	while ((k = netstate_diff(&p->ns, kind, w->now, op)) > 0) {
		if (netstate_own_dirty(&p->ns))
			own_write(w, n);
		struct sim_job *j = job_new(kind == NET_OP_ADD ? JOB_ADD : JOB_DEL);
		j->n = k;
		memcpy(j->op, op, k * sizeof(*op));
		p->batches++;
		sim_kt_put(w, n, j);
	}
}

static void inst_link(struct sim *w, unsigned n, uint16_t inst, const struct net_link *l)
{
	struct sim_proc *p = w->box[n].p;
	struct sim_inst *si = &p->si[inst];
	const struct vrrp_conf *c = &w->conf[n][inst];
	int index = l->gone ? 0 : l->index;
	struct addr src = { 0 };
	bool has_src = index && netstate_source(&p->ns, index, c->af, &src);
	bool up = index && l->up && l->carrier && has_src;
	si->ifindex = index;
	if (!index)
		si->open = false;
	else if (up)
		si->open = true;
	struct node_ev ev = { .type = NODE_EV_LINK, .inst = inst, .up = up, .src = src };
	sim_feed(w, n, &ev);
}

static void tell_links(struct sim *w, unsigned n)
{
	struct sim_proc *p = w->box[n].p;
	struct net_link l;
	while (netstate_changed_link(&p->ns, &l))
		for (unsigned i = 0; i < w->n_inst; i++)
			if (strcmp(w->conf[n][i].interface, l.name) == 0)
				inst_link(w, n, (uint16_t)i, &l);
}

static void feed_group(struct sim *w, unsigned n, uint16_t group, enum node_ev_type type, enum role_net net, int err)
{
	struct node_ev ev = {
		.type = type, .group = group, .epoch = w->box[n].p->sg[group].epoch, .net = net, .err = err
	};
	sim_feed(w, n, &ev);
}

static void first_signs(struct sim *w, unsigned n, uint16_t group)
{
	struct sim_group *g = &w->box[n].p->sg[group];
	if (!g->vip_told) {
		g->vip_told = true;
		feed_group(w, n, group, NODE_EV_VIP_UP, ROLE_NET_PENDING, 0);
	}
	if (!g->garp_told) {
		g->garp_told = true;
		feed_group(w, n, group, NODE_EV_GARP, ROLE_NET_PENDING, 0);
	}
}

static void on_group(struct sim *w, unsigned n, uint16_t group, const struct net_status *st)
{
	struct sim_group *g = &w->box[n].p->sg[group];
	g->net = *st;
	switch (st->state) {
	case NET_EQUAL:
		if (g->mode == NODE_NET_UP)
			first_signs(w, n, group);
		feed_group(w, n, group, NODE_EV_NET, ROLE_NET_EQUAL, 0);
		return;
	case NET_PARTIAL:
		feed_group(w, n, group, NODE_EV_NET, ROLE_NET_PARTIAL, -st->err);
		return;
	case NET_PENDING:
		return;
	case NET_LINK_DOWN:
		if (g->mode == NODE_NET_DOWN)
			feed_group(w, n, group, NODE_EV_NET, ROLE_NET_EQUAL, 0);
		return;
	}
}

static bool status_eq(const struct net_status *a, const struct net_status *b)
{
	return a->state == b->state && a->total == b->total && a->present == b->present && a->foreign == b->foreign &&
	       a->failed == b->failed && a->waiting == b->waiting && a->err == b->err && addr_eq(&a->addr, &b->addr) &&
	       strcmp(a->ifname, b->ifname) == 0;
}

static void tell_groups(struct sim *w, unsigned n)
{
	struct sim_proc *p = w->box[n].p;
	uint16_t g;
	while (netstate_touched_group(&p->ns, &g)) {
		if (g == NET_STATIC)
			continue; /* these nodes have nothing of the kind */
		struct net_status st = netstate_status(&p->ns, g);
		if (status_eq(&st, &p->sg[g].last))
			continue;
		p->sg[g].last = st;
		on_group(w, n, g, &st);
	}
}

/* The first dump is complete: links and leftovers are known, the node core starts. */
static void synced(struct sim *w, unsigned n)
{
	struct sim_proc *p = w->box[n].p;
	uint32_t leftovers = 0;
	p->synced = true;
	for (unsigned g = 0; g < w->n_groups; g++)
		leftovers += netstate_leftovers(&p->ns, (uint16_t)g);
	w->count.adoption += leftovers > 0;
	for (unsigned i = 0; i < w->n_inst; i++) {
		const struct net_link *l = netstate_link_by_name(&p->ns, w->conf[n][i].interface);
		if (l)
			inst_link(w, n, (uint16_t)i, l);
	}
	TRACE(w, "n%u knows its addresses, %u left over", n + 1, leftovers);
	struct node_ev ev = { .type = NODE_EV_START, .adopting = leftovers > 0 };
	sim_feed(w, n, &ev);
	sim_sa_begin(w, n);
}

static void pass(struct sim *w, unsigned n)
{
	struct sim_proc *p = w->box[n].p;
	struct net_owned o;
	netstate_tick(&p->ns, w->now);
	if (p->ns.synced && !p->synced) {
		tell_links(w, n);
		synced(w, n);
	}
	tell_links(w, n);
	send_kind(w, n, NET_OP_ADD);
	send_kind(w, n, NET_OP_DEL);
	while (netstate_changed_owned(&p->ns, &o))
		continue;
	if (netstate_own_dirty(&p->ns) || (p->batches == 0 && p->ns.synced && netstate_own_stale(&p->ns)))
		own_write(w, n);
	tell_groups(w, n);
	if (netstate_dump_wanted(&p->ns))
		fake_rtnl_dump(w->box[n].rtnl, &p->ns);
}

void sim_net_run(struct sim *w, unsigned n)
{
	struct sim_proc *p = w->box[n].p;
	if (p->ns.declaring)
		return;
	if (p->net_running) {
		p->net_again = true;
		return;
	}
	p->net_running = true;
	for (unsigned i = 0; i < 2; i++) {
		p->net_again = false;
		pass(w, n);
		if (!p->net_again)
			break;
	}
	p->net_running = false;
	p->net_at = p->net_again ? w->now : mono_max(netstate_deadline(&p->ns), mono_add(w->now, 1));
}

void sim_net_events(struct sim *w, unsigned n)
{
	struct sim_box *b = &w->box[n];
	b->rtnl_due = false;
	if (b->p->ns.synced)
		fake_rtnl_feed(b->rtnl, &b->p->ns);
	else {
		b->rtnl->ev_n = 0;
		b->rtnl->lost = false;
		fake_rtnl_dump(b->rtnl, &b->p->ns);
	}
	b->p->net_at = w->now;
}

void sim_net_start(struct sim *w, unsigned n)
{
	struct sim_box *b = &w->box[n];
	struct sim_proc *p = b->p;
	require(netstate_init(&p->ns, true) == 0);
	netstate_own_load(&p->ns, b->own, b->n_own);
	netstate_conf_begin(&p->ns);
	for (unsigned i = 0; i < w->n_inst; i++) {
		const struct vrrp_conf *c = &w->conf[n][i];
		netstate_need_link(&p->ns, c->group, c->interface);
		for (unsigned k = 0; k < c->n_vips; k++)
			require(netstate_want_addr(&p->ns, c->group, c->interface, &c->vips[k].addr, c->vips[k].plen,
						   NULL, i) > 0);
	}
	netstate_conf_end(&p->ns);
	b->rtnl_due = true;
	sim_post(w, sim_item_new(w, IT_RTNL, n), sim_range(w, 500, 5000) * NS_PER_US);
}

void sim_net_prepare(struct sim *w, unsigned n, uint16_t group)
{
	netstate_group_prepare(&w->box[n].p->ns, group);
	if (netstate_own_dirty(&w->box[n].p->ns))
		own_write(w, n);
}

void sim_net_mode(struct sim *w, unsigned n, uint16_t group, enum node_net_mode mode, struct epoch epoch)
{
	static const enum net_mode map[] = {
		[NODE_NET_DOWN] = NET_DOWN, [NODE_NET_UP] = NET_UP, [NODE_NET_KEEP] = NET_KEEP
	};
	struct sim_proc *p = w->box[n].p;
	struct sim_group *g = &p->sg[group];
	bool again = g->mode == mode && mode == NODE_NET_UP && epoch_cmp(g->epoch, epoch) == 0;
	g->epoch = epoch;
	g->mode = mode;
	if (!again)
		g->vip_told = g->garp_told = false;
	netstate_group_set(&p->ns, group, map[mode]);
	sim_net_run(w, n);
	struct net_status st = netstate_status(&p->ns, group);
	if (mode == NODE_NET_UP && st.state == NET_EQUAL && !g->garp_told)
		for (unsigned i = 0; i < w->n_inst; i++)
			if (w->conf[n][i].group == group) {
				p->si[i].garp_at = w->now;
				p->si[i].garp_left = 4;
			}
	if (st.state != NET_PENDING && mode != NODE_NET_KEEP)
		on_group(w, n, group, &st);
}

/* ---- announcements: who the neighbours send to ---- */

static void announce(struct sim *w, unsigned n, uint16_t inst)
{
	unsigned seg = seg_of(w, inst);
	if (w->box[n].cable[seg] && w->conf[n][inst].group == 0)
		w->arp[seg] = (int)n;
}

static void tell_acked(struct sim *w, unsigned n, const struct net_op *op, int result)
{
	struct sim_proc *p = w->box[n].p;
	if (op->kind != NET_OP_ADD || op->group >= w->n_groups)
		return;
	struct sim_group *g = &p->sg[op->group];
	if (g->mode != NODE_NET_UP || (result != 0 && result != -EEXIST) || op->tag >= w->n_inst)
		return;
	announce(w, n, (uint16_t)op->tag);
	if (mono_is_never(p->si[op->tag].garp_at)) {
		p->si[op->tag].garp_left = 3;
		p->si[op->tag].garp_at = mono_add(w->now, GARP_GAP_NS);
	}
	first_signs(w, n, op->group);
}

mono_t sim_garp_at(const struct sim *w, unsigned n)
{
	mono_t t = MONO_NEVER;
	for (unsigned i = 0; i < w->n_inst; i++)
		t = mono_min(t, w->box[n].p->si[i].garp_at);
	return t;
}

void sim_garps(struct sim *w, unsigned n)
{
	struct sim_proc *p = w->box[n].p;
	for (unsigned i = 0; i < w->n_inst; i++) {
		struct sim_inst *si = &p->si[i];
		if (p->inst[i].state != VRRP_MASTER)
			si->garp_at = MONO_NEVER;
		if (!mono_due(si->garp_at, w->now))
			continue;
		announce(w, n, (uint16_t)i);
		si->garp_left--;
		int64_t gap = si->garp_left == 2 ? w->conf[n][i].garp_delay_ns : GARP_GAP_NS;
		si->garp_at = si->garp_left ? mono_add(w->now, gap) : MONO_NEVER;
	}
}
