/* A process: the node core with the shell around it, as daemon/app*.c has it, over imagined sockets and threads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"
#include "sync/sync_wire.h"
#include "tests/sim/sim.h"

#define SILENCE_NS (300 * NS_PER_MS)

uint32_t sim_node_id(unsigned n)
{
	return n + 1;
}

int sim_node_of(uint32_t id)
{
	return (int)id - 1;
}

bool sim_runs(const struct sim *w, unsigned n)
{
	const struct sim_proc *p = w->box[n].p;
	return p && !p->stopped_until.ns && !p->ending;
}

/* ---- events to the core ---- */

static void feed_later(struct sim_proc *p, const struct node_ev *ev)
{
	struct node_ev_kept *f = calloc(1, sizeof(*f));
	require(f);
	node_ev_keep(f, ev);
	*p->fed_last = f;
	p->fed_last = &f->next;
}

static void act_epoch(struct sim *w, unsigned n, struct epoch e)
{
	struct sim_box *b = &w->box[n];
	struct sim_proc *p = b->p;
	p->role_epoch = e;
	if (epoch_cmp(p->node.seen, b->told_max) <= 0)
		return;
	b->told_max = p->node.seen;
	struct sim_item *it = sim_item_new(w, IT_DISK, n);
	it->epoch = p->node.seen;
	sim_post(w, it, sim_range(w, 200, 8000) * NS_PER_US);
}

/* Reads every socket until it is empty, as app_vrrp_drain and peer_ctl_drain do. */
static void drain(struct sim *w, unsigned n)
{
	struct sim_proc *p = w->box[n].p;
	struct sim_list rest;
	struct sim_item *it;
	sim_list_init(&rest);
	while ((it = sim_list_take(&p->inbox)) != NULL) {
		if (it->what == IT_ADVERT || it->what == IT_CTL || it->what == IT_CTL_UP || it->what == IT_CTL_DOWN) {
			sim_control(w, it);
			sim_item_free(it);
		} else {
			sim_list_add(&rest, it);
		}
	}
	while ((it = sim_list_take(&rest)) != NULL)
		sim_list_add(&p->inbox, it);
	p->must_drain = 0;
	struct node_ev ev = { .type = NODE_EV_DRAINED };
	sim_feed(w, n, &ev);
}

static void told(struct sim *w, unsigned n, const struct node_act *act)
{
	w->count.guard += act->what == NODE_TOLD_STALL || act->what == NODE_TOLD_REARMED;
	w->count.gate_closed += act->what == NODE_TOLD_GATE_CLOSED;
	w->count.cut_stays += act->what == NODE_TOLD_CUT;
	if (act->what == NODE_TOLD_ROLE)
		TRACE(w, "n%u group %u: %s -> %s (%s) epoch %llu.%u", n + 1, act->group, role_is_text(act->from),
		      role_is_text(act->to), role_reason_text(act->reason), (unsigned long long)act->epoch.counter,
		      act->epoch.node);
	else if (act->what == NODE_TOLD_INSTANCE)
		TRACE(w, "n%u inst %u: %s -> %s (%s)", n + 1, act->inst, vrrp_state_text((enum vrrp_state)act->from),
		      vrrp_state_text((enum vrrp_state)act->to), vrrp_reason_text((enum vrrp_reason)act->reason));
	else if (act->what == NODE_TOLD_TUNNEL)
		TRACE(w, "n%u tunnel %u: %s -> %s (%s)", n + 1, act->tunnel, ike_state_name(act->ike.from),
		      ike_state_name(act->ike.to), ike_reason_text(act->ike.reason));
	else
		TRACE(w, "n%u told %d group %u inst %u", n + 1, (int)act->what, act->group, act->inst);
}

static void act(struct sim *w, unsigned n, const struct node_act *a)
{
	struct sim_proc *p = w->box[n].p;
	sim_check_act(w, n, a);
	switch (a->type) {
	case NODE_ACT_ADVERT:
		sim_advert(w, n, a->inst, a->priority);
		return;
	case NODE_ACT_SYNC:
		sim_sync_cmd(w, n, &a->cmd);
		return;
	case NODE_ACT_ROLE_EPOCH:
		act_epoch(w, n, a->epoch);
		return;
	case NODE_ACT_NET:
		sim_net_mode(w, n, a->group, a->net_mode, a->epoch);
		return;
	case NODE_ACT_PEER:
		sim_ctl_send(w, n, a->peer, a->msg);
		return;
	case NODE_ACT_PROBE:
		sim_probe(w, n, a->peer);
		return;
	case NODE_ACT_IKE:
		sim_ike_act(w, n, a);
		return;
	case NODE_ACT_SA_IMPORT:
		sim_sa_import(w, n, a->group, a->epoch);
		return;
	case NODE_ACT_SA_REMOVE:
		p->sg[a->group].copies_in = false;
		return;
	case NODE_ACT_HOOK:
		return;
	case NODE_ACT_JOURNAL:
		w->count.journal++;
		TRACE(w, "n%u journal: %s %s -> %s (%s) epoch %llu.%u outcome %u err %d", n + 1,
		      role_kind_text(a->record.kind), role_is_text(a->record.from), role_is_text(a->record.to),
		      role_reason_text(a->record.reason), (unsigned long long)a->record.epoch.counter,
		      a->record.epoch.node, a->record.outcome, a->record.err);
		return;
	case NODE_ACT_PREPARE:
		sim_net_prepare(w, n, a->group);
		return;
	case NODE_ACT_DRAIN:
		drain(w, n);
		return;
	case NODE_ACT_ANNOUNCE: /* once, if nothing is announced anyway */
		if (mono_is_never(p->si[a->inst].garp_at)) {
			p->si[a->inst].garp_left = 1;
			p->si[a->inst].garp_at = w->now;
		}
		return;
	case NODE_ACT_TOLD:
		told(w, n, a);
		return;
	case NODE_ACT_GUARDIAN:
		p->guardian = a->on;
		return;
	case NODE_ACT_STOPPED:
		p->ending = true;
		return;
	case NODE_ACT_ABORT:
		p->ending = p->aborting = true;
		return;
	}
}

static void feed_now(struct sim *w, unsigned n, const struct node_ev *ev)
{
	struct sim_proc *p = w->box[n].p;
	sim_check_before(w, n, ev);
	node_step(&p->node, ev, w->now, &p->acts);
	sim_check_after(w, n, ev);
	for (unsigned i = 0; i < p->acts.n; i++)
		act(w, n, &p->acts.a[i]);
}

void sim_feed(struct sim *w, unsigned n, const struct node_ev *ev)
{
	struct sim_proc *p = w->box[n].p;
	if (!p || p->ending)
		return;
	if (p->depth) {
		feed_later(p, ev);
		return;
	}
	p->depth = 1;
	feed_now(w, n, ev);
	while (p->fed_first) {
		struct node_ev_kept *f = p->fed_first;
		p->fed_first = f->next;
		if (!p->fed_first)
			p->fed_last = &p->fed_first;
		if (!p->ending)
			feed_now(w, n, &f->ev);
		free(f);
	}
	p->depth = 0;
}

/* ---- what arrives ---- */

static void on_advert(struct sim *w, struct sim_item *it)
{
	unsigned n = it->node;
	struct sim_proc *p = w->box[n].p;
	struct vrrp *v = &p->inst[it->inst];
	if (!p->si[it->inst].open)
		return;
	struct vrrp_rx rx = { .af = v->conf->af, .at = w->now };
	rx.dst = v->conf->n_peers ? sim_addr(it->inst, n) : vrrp_wire_conf_group(v->conf);
	rx.ttl = (int)it->num;
	rx.src = sim_addr(it->inst, it->from);
	rx.pdu = it->bytes;
	rx.len = it->len;
	struct vrrp_msg msg;
	enum vrrp_drop drop = vrrp_wire_parse(&rx, v->conf, &v->src, &msg);
	struct node_ev ev = { .type = NODE_EV_DROPPED, .inst = it->inst };
	struct vrrp_ev adv = { .type = VRRP_EV_ADVERT };
	if (drop != VRRP_OK) {
		v->stats.drop[drop]++;
		sim_feed(w, n, &ev);
		return;
	}
	adv.u.advert.priority = msg.priority;
	adv.u.advert.adv_ns = msg.adv_ns;
	adv.u.advert.src = msg.src;
	adv.u.advert.v2 = msg.version == 2;
	adv.u.advert.vip_list_differs = msg.odd & VRRP_ODD_VIPS;
	ev.type = NODE_EV_ADVERT;
	ev.advert = &adv;
	if (it->flag)
		sim_violation(w, "n%u accepts a packet that it must refuse", n + 1);
	if (msg.priority)
		sim_check_heard(w, it->from, n, it->inst);
	sim_feed(w, n, &ev);
}

static void ctl_heard(struct sim *w, unsigned n, unsigned from)
{
	struct sim_ctl *c = &w->box[n].p->ctl[from];
	c->heard_at = w->now;
	if (c->up || !c->hello)
		return;
	c->up = true;
	TRACE(w, "n%u channel to n%u up", n + 1, from + 1);
	struct node_ev ev = { .type = NODE_EV_PEER_UP, .peer = sim_node_id(from) };
	sim_feed(w, n, &ev);
}

static void ctl_lost(struct sim *w, unsigned n, unsigned from, bool clean)
{
	struct sim_ctl *c = &w->box[n].p->ctl[from];
	if (!c->up)
		return;
	c->up = false;
	TRACE(w, "n%u channel to n%u down%s", n + 1, from + 1, clean ? " (closed)" : "");
	struct node_ev ev = { .type = NODE_EV_PEER_DOWN, .peer = sim_node_id(from), .lost = !clean };
	sim_feed(w, n, &ev);
}

static void on_ctl(struct sim *w, struct sim_item *it)
{
	unsigned n = it->node;
	struct sim_ctl *c = &w->box[n].p->ctl[it->from];
	struct sync_env env;
	struct peer_msg m;
	size_t used;
	if (!c->open)
		return;
	require(sync_env_read(it->bytes, it->len, SYNC_CTL_MAX, SYNC_CHAN_CTL, &env, &used) == SYNC_OK);
	require(used == it->len && sync_msg_read(&env, &m, NULL) == SYNC_OK);
	if (m.type == PEER_HELLO)
		c->hello = true;
	require(c->hello);
	ctl_heard(w, n, it->from);
	struct node_ev ev = { .type = NODE_EV_PEER_MSG, .peer = sim_node_id(it->from), .msg = &m };
	sim_feed(w, n, &ev);
}

static void send_hello(struct sim *w, unsigned n, unsigned to)
{
	struct sim_proc *p = w->box[n].p;
	struct peer_msg m = { .type = PEER_HELLO, .epoch = p->node.seen };
	m.hello = (struct peer_hello){ .version_min = SYNC_WIRE_VERSION,
				       .version_max = SYNC_WIRE_VERSION,
				       .features = 1,
				       .node = sim_node_id(n),
				       .boot_nonce = p->nonce,
				       .cluster = "sim",
				       .record_max = SYNC_CTL_MAX,
				       .epoch_max = p->node.seen };
	uint8_t buf[SYNC_CTL_MAX];
	int len = sync_msg_write(buf, sizeof(buf), sim_node_id(n), 0, &m);
	require(len > 0);
	sim_conn_send(w, n, to, CHAN_CTL, buf, (size_t)len);
}

static void on_oper(struct sim *w, struct sim_item *it)
{
	struct node_ev ev = { .type = NODE_EV_FORCE, .group = it->inst };
	switch ((enum sim_oper)it->num) {
	case OPER_FORCE:
		TRACE(w, "n%u operator: force", it->node + 1);
		break;
	case OPER_MAINTENANCE:
		TRACE(w, "n%u operator: maintenance %s", it->node + 1, it->flag ? "enter" : "leave");
		ev.type = NODE_EV_MAINTENANCE;
		ev.on = it->flag;
		break;
	case OPER_TRACK:
		ev = (struct node_ev){
			.type = NODE_EV_TRACK, .inst = it->inst, .priority = (uint8_t)it->gen, .fault = it->flag
		};
		break;
	case OPER_STOP:
		TRACE(w, "n%u operator: stop", it->node + 1);
		ev.type = NODE_EV_STOP;
		break;
	}
	sim_feed(w, it->node, &ev);
}

void sim_control(struct sim *w, struct sim_item *it)
{
	unsigned n = it->node;
	struct sim_proc *p = w->box[n].p;
	struct node_ev ev = { .type = NODE_EV_PROBE, .peer = sim_node_id(it->from), .refused = it->flag };
	switch (it->what) {
	case IT_ADVERT:
		on_advert(w, it);
		return;
	case IT_CTL:
		on_ctl(w, it);
		return;
	case IT_CTL_UP:
		if (it->gen != sim_conn_of(w, n, it->from, CHAN_CTL)->gen)
			return; /* over before it began */
		p->ctl[it->from].open = true;
		p->ctl[it->from].hello = false;
		send_hello(w, n, it->from);
		return;
	case IT_CTL_DOWN:
		p->ctl[it->from].open = p->ctl[it->from].hello = false;
		ctl_lost(w, n, it->from, it->flag);
		return;
	case IT_PROBE:
		sim_feed(w, n, &ev);
		return;
	case IT_REPORT:
		ev.type = NODE_EV_SYNC;
		ev.report = &it->report;
		sim_feed(w, n, &ev);
		return;
	case IT_KT:
		sim_kt_result(w, it);
		return;
	case IT_RTNL:
		sim_net_events(w, n);
		return;
	case IT_IKE:
		ev.type = NODE_EV_IKE;
		ev.tunnel = it->inst;
		ev.ike = &it->ike;
		sim_feed(w, n, &ev);
		return;
	case IT_SA:
		ev.type = NODE_EV_SA_IMPORTED;
		ev.group = it->inst;
		ev.epoch = it->epoch;
		ev.err = it->flag ? -17 : 0;
		sim_feed(w, n, &ev);
		return;
	case IT_OPER:
		on_oper(w, it);
		return;
	case IT_LATE:
	case IT_SYNC_FAULT:
	case IT_PUMP:
	case IT_DISK:
	case IT_JOB:
	case IT_FAULT:
	case IT_PACKET:
		break;
	}
	require(!"an item that is not for CONTROL");
}

void sim_control_due(struct sim *w, unsigned n)
{
	struct sim_proc *p = w->box[n].p;
	for (unsigned i = 0; i < w->n_nodes; i++)
		if (p->ctl[i].up && mono_due(mono_add(p->ctl[i].heard_at, SILENCE_NS), w->now)) {
			/* What lies in the socket was heard in time, it was only not read yet. */
			bool waits = false;
			for (struct sim_item *it = p->inbox.first; it; it = it->next)
				waits |= it->what == IT_CTL && it->from == i;
			if (waits)
				p->ctl[i].heard_at = w->now;
			else
				ctl_lost(w, n, i, false);
		}
	if (mono_due(node_deadline(&p->node), w->now)) {
		struct node_ev ev = { .type = NODE_EV_TICK };
		sim_feed(w, n, &ev);
	}
	if (mono_due(p->net_at, w->now))
		sim_net_run(w, n);
	if (mono_due(sim_garp_at(w, n), w->now))
		sim_garps(w, n);
}

/* ---- SIGSTOP and SIGCONT ---- */

void sim_stop(struct sim *w, unsigned n, int64_t ns)
{
	struct sim_proc *p = w->box[n].p;
	if (!p)
		return;
	TRACE(w, "n%u stopped for %lld ms", n + 1, (long long)(ns / NS_PER_MS));
	if (!p->stopped_until.ns)
		p->stopped_at = w->now;
	p->stopped_until = mono_max(p->stopped_until, mono_add(w->now, ns));
}

void sim_resume(struct sim *w, unsigned n)
{
	struct sim_proc *p = w->box[n].p;
	struct sim_item *it;
	TRACE(w, "n%u runs again", n + 1);
	p->stopped_until = MONO_ZERO;
	sim_vrrp_resumes(w, n);
	for (unsigned g = 0; g < w->n_groups; g++) {
		const struct vrrp *v = &p->inst[p->group[g].members[0]];
		if (p->group[g].role.is == ROLE_MASTER && p->group[g].role.state == ROLE_STABLE &&
		    v->state == VRRP_MASTER && !p->group[g].stalled &&
		    mono_sub(w->now, v->advert_at) > vrrp_own_down(v))
			p->must_drain |= 1u << g;
	}
	if (sim_chance(w, 0.5))
		sim_control_due(w, n);
	while (!p->ending && !p->stopped_until.ns && (it = sim_list_take(&p->inbox)) != NULL) {
		sim_control(w, it);
		sim_item_free(it);
	}
	p->must_drain = 0;
}

/* ---- life ---- */

static void make_node(struct sim *w, unsigned n)
{
	struct sim_proc *p = w->box[n].p;
	struct node_conf nc = { .id = sim_node_id(n),
				.inst = p->inst,
				.member = p->member,
				.n_inst = (uint16_t)w->n_inst,
				.group = p->group,
				.n_groups = (uint16_t)w->n_groups,
				.peer = p->peer,
				.tunnel = p->tunnel,
				.n_tunnels = SIM_TUNNELS,
				.has_sync = true,
				.sync_gate = true,
				.startup_delay_ns = w->startup_ns,
				.stored = w->box[n].disk };
	for (unsigned i = 0; i < w->n_inst; i++) {
		vrrp_init(&p->inst[i], &w->conf[n][i]);
		p->si[i].garp_at = p->si[i].tracked_at = MONO_NEVER;
		struct node_group *g = &p->group[w->conf[n][i].group];
		p->members[w->conf[n][i].group][g->n_members++] = (uint16_t)i;
	}
	for (unsigned g = 0; g < w->n_groups; g++) {
		p->group[g].members = p->members[g];
		p->group[g].fault_degrade = w->degrade;
		p->group[g].preempt = w->preempt;
		p->group[g].arbitrate = w->arbitrate;
		p->sg[g].stray_since = MONO_NEVER;
	}
	for (unsigned i = 0; i < w->n_nodes; i++) {
		if (i == n)
			continue;
		struct node_peer *peer = &p->peer[nc.n_peers++];
		peer->node = sim_node_id(i);
		peer->groups = calloc(w->n_groups, sizeof(*peer->groups));
		require(peer->groups);
	}
	for (unsigned t = 0; t < SIM_TUNNELS; t++) {
		struct ike_tunnel_conf tc;
		sim_ike_conf(w, t, &tc);
		ike_init(&p->tunnel[t], &tc, false, w->now);
	}
	p->acts.cap = NODE_ACTS_FOR(w->n_inst, w->n_groups) + 32u * SIM_TUNNELS;
	p->acts.cap_msgs = NODE_MSGS_FOR(w->n_groups);
	p->acts.a = calloc(p->acts.cap, sizeof(*p->acts.a));
	p->acts.msgs = calloc(p->acts.cap_msgs, sizeof(*p->acts.msgs));
	require(p->acts.a && p->acts.msgs);
	node_init(&p->node, &nc, w->now);
	p->seen = p->node.seen;
}

void sim_proc_start(struct sim *w, unsigned n)
{
	struct sim_box *b = &w->box[n];
	require(b->up && !b->p);
	struct sim_proc *p = calloc(1, sizeof(*p));
	require(p);
	b->p = p;
	p->life = ++w->lives;
	p->nonce = sim_rand(w);
	sim_vrrp_forget(w, n);
	p->started = w->now;
	p->fed_last = &p->fed_first;
	p->job_last = &p->job_first;
	p->net_at = MONO_NEVER;
	sim_list_init(&p->inbox);
	TRACE(w, "n%u starts, stored epoch %llu.%u, %u addresses owned", n + 1, (unsigned long long)b->disk.counter,
	      b->disk.node, b->n_own);
	make_node(w, n);
	p->role_epoch = p->node.seen;
	sim_sync_start(w, n);
	sim_net_start(w, n);
	sim_ike_hello(w, n);
	for (unsigned i = 0; i < w->n_nodes; i++)
		for (unsigned c = 0; i != n && c < SIM_CHANS; c++) {
			struct sim_conn *k = sim_conn_of(w, n, i, (enum sim_chan)c);
			k->retry_ns = 0;
			k->retry_at = mono_add(w->now, sim_range(w, 1, 100) * NS_PER_MS);
		}
}

/* What the guardian does when the process dies without a goodbye while a ready backup is known. */
static void guardian(struct sim *w, unsigned n)
{
	struct sim_box *b = &w->box[n];
	struct sim_proc *p = b->p;
	for (unsigned i = b->rtnl->n_addrs; i-- > 0;) {
		struct net_addr a = b->rtnl->addr[i];
		if (a.proto != NET_MARK)
			continue;
		fake_rtnl_addr_del(b->rtnl, &a);
		fake_ct_addr_lost(b->ct, a.addr.af, a.addr.b);
	}
	sim_sync_addr_lost(w, n);
	for (unsigned i = 0; i < w->n_inst; i++)
		if (p->inst[i].state == VRRP_MASTER)
			sim_advert(w, n, (uint16_t)i, 0);
}

static void proc_free(struct sim *w, unsigned n)
{
	struct sim_proc *p = w->box[n].p;
	struct sim_item *it;
	while ((it = sim_list_take(&p->inbox)) != NULL)
		sim_item_free(it);
	for (struct node_ev_kept *f = p->fed_first, *next; f; f = next) {
		next = f->next;
		free(f);
	}
	for (struct sim_job *j = p->job_first, *next; j; j = next) {
		next = j->next;
		free(j);
	}
	for (unsigned i = 0; i < SIM_NODES; i++)
		free(p->peer[i].groups);
	free(p->acts.a);
	free(p->acts.msgs);
	netstate_free(&p->ns);
	free(p);
	w->box[n].p = NULL;
	w->box[n].rtnl_due = false;
}

void sim_proc_end(struct sim *w, unsigned n, enum sim_end how)
{
	static const char *const text[] = { "ends", "is killed", "loses its machine" };
	struct sim_box *b = &w->box[n];
	struct sim_proc *p = b->p;
	if (!p)
		return;
	TRACE(w, "n%u %s", n + 1, text[how]);
	/* A write that has not reached the disk is lost with the process. */
	if (epoch_cmp(b->disk, b->told_max) < 0) {
		b->disk_lied = true;
		b->told_max = b->disk;
	}
	if (how == END_KILLED && p->guardian)
		guardian(w, n);
	sim_sync_end(w, n);
	fake_ct_close(b->ct);
	proc_free(w, n);
	sim_conn_ended(w, n, how);
}
