/* What goes wrong, when, and for how long. Everything is put right in the end. */
#include <errno.h>
#include <stdlib.h>
#include "daemon/base/require.h"
#include "tests/sim/sim.h"

enum fault {
	F_NEXT = 0, /* choose the next episode */
	F_HEAL,
	F_BOOT,    /* node: machine, process */
	F_RESTART, /* node: process */
	F_UNCUT,   /* num: bit set of wires */
	F_CABLE,   /* node, inst = segment, flag */
	F_CALM,    /* loss and delay back to normal */
	F_BAD,     /* node: one more bad advert, num left */
	F_UNPIN,   /* everybody's path follows ARP again */
	F_IKE,     /* node: the IKE daemon comes back */
	F_FORCE,   /* node: operator */
	F_MAINT,   /* node, flag */
	F_TRACK,   /* node, inst; num left: it fails and comes back again */
	F_WELL,    /* node, inst; num left */
	F_DEAF,    /* inst: one more advert of an owner that listens to nobody, num left */
};

static void later(struct sim *w, enum fault f, unsigned node, unsigned inst, bool flag, uint32_t left, int64_t delay_ns)
{
	struct sim_item *it = sim_item_new(w, IT_FAULT, node);
	it->life = 0;
	it->gen = f;
	it->inst = (uint16_t)inst;
	it->flag = flag;
	it->num = left;
	sim_post(w, it, delay_ns);
}

static int64_t ms(struct sim *w, int64_t lo, int64_t hi)
{
	return sim_range(w, lo, hi) * NS_PER_MS;
}

static int64_t down_ns(const struct sim *w)
{
	return 4 * w->adv_ns;
}

/* A node, mostly the one that matters. */
static unsigned victim(struct sim *w)
{
	if (sim_chance(w, 0.6))
		for (unsigned n = 0; n < w->n_nodes; n++)
			if (w->box[n].p && w->box[n].p->group[0].role.is == ROLE_MASTER)
				return n;
	return (unsigned)sim_below(w, w->n_nodes);
}

static void oper(struct sim *w, unsigned n, enum sim_oper what, bool flag)
{
	if (!w->box[n].p)
		return;
	struct sim_item *it = sim_item_new(w, IT_OPER, n);
	it->num = what;
	it->flag = flag;
	it->inst = NODE_ALL_GROUPS;
	sim_give(w, it);
}

/* ---- episodes ---- */

static void crash(struct sim *w, unsigned n)
{
	struct sim_box *b = &w->box[n];
	if (!b->up)
		return;
	w->count.crash++;
	sim_proc_end(w, n, END_MACHINE);
	b->up = false;
	for (unsigned s = 0; s < SIM_SEGS; s++)
		if (w->arp[s] == (int)n)
			w->arp[s] = -1;
	sim_load_forget(w, n);
	if (sim_chance(w, 0.5)) {
		w->count.disk_loss++;
		TRACE(w, "n%u loses its disk", n + 1);
		b->disk = b->told_max = (struct epoch){ 0, 0 };
		b->disk_lied = true;
	}
	later(w, F_BOOT, n, 0, false, 0, ms(w, 300, 8000));
}

static void killed(struct sim *w, unsigned n)
{
	if (!w->box[n].p)
		return;
	w->count.process_death++;
	sim_proc_end(w, n, END_KILLED);
	later(w, F_RESTART, n, 0, false, 0, ms(w, 20, 4000));
}

static void partition(struct sim *w)
{
	unsigned a = (unsigned)sim_below(w, w->n_nodes),
		 b = (a + 1 + (unsigned)sim_below(w, w->n_nodes - 1)) % w->n_nodes;
	unsigned which = 1 + (unsigned)sim_below(w, 7);
	bool one_way = sim_chance(w, w->unicast ? 0.6 : 0.3);
	int64_t stay = ms(w, 200, 9000);
	if (sim_chance(w, 0.3))
		which = 3; /* both segments, and the channel lives */
	w->count.partition++;
	w->count.one_way += one_way;
	TRACE(w, "partition %u between n%u and n%u%s for %lld ms", which, a + 1, b + 1, one_way ? ", one way" : "",
	      (long long)(stay / NS_PER_MS));
	for (unsigned s = 0; s < 3; s++) {
		struct sim_wire *x = s < SIM_SEGS ? &w->seg[s] : &w->chan;
		if (!(which & 1u << s))
			continue;
		x->cut[a][b] = true;
		x->cut[b][a] |= !one_way;
	}
	later(w, F_UNCUT, 0, 0, false, which, stay);
	if (sim_chance(w, 0.15))
		later(w, F_UNCUT, 0, 0, false, which, stay / 3);
}

static void stall(struct sim *w, unsigned n)
{
	if (!w->box[n].p)
		return;
	w->count.stall++;
	int64_t t = sim_chance(w, 0.3)   ? ms(w, 10, 200)
		    : sim_chance(w, 0.7) ? sim_range(w, down_ns(w) / 2, 4 * down_ns(w))
					 : ms(w, 1000, 6000);
	sim_stop(w, n, t);
}

static void sync_stall(struct sim *w, unsigned n)
{
	struct sim_proc *p = w->box[n].p;
	if (!p)
		return;
	int64_t t = sim_chance(w, 0.7) ? ms(w, 20, 2500) : sim_chance(w, 0.7) ? ms(w, 2500, 6000) : ms(w, 10500, 13000);
	w->count.sync_stall++;
	TRACE(w, "n%u SYNC hangs for %lld ms", n + 1, (long long)(t / NS_PER_MS));
	p->sync.hung_until = mono_max(p->sync.hung_until, mono_add(w->now, t));
}

static void refuse(struct sim *w, unsigned n)
{
	struct sim_box *b = &w->box[n];
	if (!b->up)
		return;
	unsigned inst = (unsigned)sim_below(w, w->n_inst);
	const struct addr *a = &w->vips[inst][sim_below(w, SIM_VIPS)].addr;
	if (fake_rtnl_has(b->rtnl, b->ifindex[inst == 1 ? SEG_WAN : SEG_LAN], a))
		return; /* there: only additions are refused */
	w->count.refusal++;
	TRACE(w, "n%u will refuse an address", n + 1);
	fake_rtnl_refuse(b->rtnl, a, sim_chance(w, 0.5) ? ENOBUFS : EPERM, 1 + (unsigned)sim_below(w, 6));
	later(w, F_FORCE, n, 0, false, 0, ms(w, 50, 500));
}

static void cable(struct sim *w, unsigned n)
{
	unsigned seg = (unsigned)sim_below(w, SIM_SEGS);
	if (!w->box[n].up || !w->box[n].cable[seg])
		return;
	w->count.link_down++;
	sim_cable(w, n, seg, false);
	later(w, F_CABLE, n, seg, true, 0, ms(w, 50, 6000));
}

static void asym(struct sim *w)
{
	unsigned n = (unsigned)sim_below(w, w->n_nodes);
	w->count.asym++;
	TRACE(w, "some sessions go through n%u", n + 1);
	for (unsigned k = 0; k < SIM_SESS; k++)
		if (w->sess[k].state == SESS_OPEN && w->sess[k].step && sim_chance(w, w->sess[k].idle ? 0.8 : 0.2))
			w->sess[k].pin = (int)n;
	later(w, F_UNPIN, 0, 0, false, 0, ms(w, 15000, 40000));
}

static void tool(struct sim *w, unsigned n)
{
	struct sim_box *b = &w->box[n];
	if (!b->up)
		return;
	for (unsigned k = 0; k < SIM_SESS; k++) {
		if (!sim_chance(w, 0.2) || w->sess[k].state == SESS_FREE)
			continue;
		struct ct_op op = { .type = CT_OP_DELETE };
		op.e.orig = w->sess[k].orig;
		if (fake_ct_op(b->ct, 7777, &op, NULL) == 0) {
			w->sess[k].flushed = w->now;
			w->count.flush++;
		}
	}
	sim_sync_ct(w, n);
}

static void slow(struct sim *w)
{
	w->count.slow++;
	w->chan.delay_ns = ms(w, 60, 350);
	w->chan.jitter_ns = w->chan.delay_ns;
	TRACE(w, "the channel takes %lld ms and more", (long long)(w->chan.delay_ns / NS_PER_MS));
	int64_t stay = ms(w, 3000, 7000);
	for (unsigned i = 0; i < 4; i++)
		later(w, F_FORCE, victim(w), 0, false, 0, ms(w, 10, stay / NS_PER_MS));
	later(w, F_CALM, 0, 0, false, 0, stay);
}

static void lossy(struct sim *w)
{
	for (unsigned s = 0; s < SIM_SEGS; s++)
		w->seg[s].loss = 0.05 + (double)sim_below(w, 30) / 100;
	w->chan.loss = 0.2;
	TRACE(w, "packets are lost");
	later(w, F_CALM, 0, 0, false, 0, ms(w, 2000, 8000));
}

static void calm(struct sim *w)
{
	for (unsigned s = 0; s < SIM_SEGS; s++)
		w->seg[s].loss = 0;
	w->chan.loss = 0;
	w->chan.delay_ns = w->chan.jitter_ns = 200 * NS_PER_US;
}

static void maintenance(struct sim *w, unsigned n)
{
	w->count.maintenance++;
	oper(w, n, OPER_MAINTENANCE, true);
	later(w, F_MAINT, n, 0, false, 0, ms(w, 500, 6000));
}

static void orderly(struct sim *w, unsigned n)
{
	w->count.restart++;
	oper(w, n, OPER_STOP, false);
	later(w, F_RESTART, n, 0, false, 0, ms(w, 2100, 6000));
}

/* A new fault: what was demanded of sessions before it is demanded no more. */
void sim_fault_changed(struct sim *w)
{
	w->fault_before = w->fault_at;
	w->fault_at = w->now;
	w->pause.on = false;
	for (unsigned k = 0; k < SIM_SESS; k++)
		w->sess[k].must = -1;
}

static void episode(struct sim *w)
{
	unsigned n = victim(w);
	if (sim_chance(w, 0.4)) {
		sim_fault_sync(w, n);
		return;
	}
	if (sim_track_wanted(w) && sim_chance(w, 0.4)) {
		uint32_t turns = sim_chance(w, 0.3) ? (uint32_t)sim_range(w, 3, 20) : 0;
		later(w, F_TRACK, n, (unsigned)sim_below(w, w->n_inst), false, turns, 0);
		return;
	}
	switch (sim_below(w, 26)) {
	case 0:
	case 1:
	case 2:
		crash(w, n);
		return;
	case 3:
		killed(w, n);
		return;
	case 4:
	case 5:
	case 6:
		partition(w);
		return;
	case 7:
	case 8:
		stall(w, n);
		return;
	case 9:
	case 10:
	case 11:
		oper(w, n, OPER_FORCE, false);
		if (sim_chance(w, 0.5))
			later(w, F_FORCE, victim(w), 0, false, 0, ms(w, 1, 3000));
		return;
	case 12:
		maintenance(w, n);
		return;
	case 13:
		cable(w, n);
		return;
	case 14:
		sync_stall(w, n);
		return;
	case 15:
		refuse(w, n);
		return;
	case 16:
		orderly(w, n);
		return;
	case 17:
		w->count.ike_death++;
		sim_ike_daemon(w, n, false);
		later(w, F_IKE, n, 0, false, 0, ms(w, 100, 5000));
		return;
	case 18:
		asym(w);
		return;
	case 19:
		tool(w, n);
		if (sim_chance(w, 0.5))
			oper(w, n, OPER_FORCE, false);
		return;
	case 20:
		if (sim_chance(w, 0.5))
			slow(w);
		else
			lossy(w);
		return;
	case 21:
	case 22:
	case 23:
		sim_vrrp_pause(w);
		return;
	case 24:
		if (w->unicast) {
			sim_vrrp_pause(w);
			return;
		}
		w->count.deaf_owner++;
		later(w, F_DEAF, 0, (unsigned)sim_below(w, w->n_inst), false, (uint32_t)sim_range(w, 6, 40), 0);
		return;
	default:
		later(w, F_BAD, n, (unsigned)sim_below(w, w->n_inst), false, 30, 0);
		return;
	}
}

/* ---- and all is well again ---- */

void sim_fault_boot(struct sim *w, unsigned n)
{
	if (!w->box[n].up)
		sim_boot(w, n);
	if (!w->box[n].p)
		sim_proc_start(w, n);
}

void sim_fault_revive(struct sim *w)
{
	for (unsigned n = 0; n < w->n_nodes; n++)
		sim_fault_boot(w, n);
}

static void heal(struct sim *w)
{
	w->count.heal++;
	sim_fault_changed(w);
	w->healing = true;
	w->heal_at = w->check_at = w->now;
	TRACE(w, "everything is put right");
	calm(w);
	for (unsigned a = 0; a < w->n_nodes; a++)
		for (unsigned b = 0; b < w->n_nodes; b++)
			w->seg[0].cut[a][b] = w->seg[1].cut[a][b] = w->chan.cut[a][b] = false;
	for (unsigned k = 0; k < SIM_SESS; k++)
		w->sess[k].pin = -1;
	sim_fault_sync_heal(w);
	for (unsigned n = 0; n < w->n_nodes; n++) {
		struct sim_box *b = &w->box[n];
		sim_fault_boot(w, n);
		b->rtnl->refuse_n = 0;
		sim_ike_daemon(w, n, true);
		for (unsigned s = 0; s < SIM_SEGS; s++)
			sim_cable(w, n, s, true);
		if (b->p->stopped_until.ns)
			b->p->stopped_until = w->now;
		b->p->sync.hung_until = mono_min(b->p->sync.hung_until, w->now);
		oper(w, n, OPER_MAINTENANCE, false);
		sim_track_calm(w, n);
	}
}

void sim_fault(struct sim *w, struct sim_item *it)
{
	unsigned n = it->node;
	if (w->healing)
		return;
	if (it->gen != F_NEXT || w->episodes)
		sim_fault_changed(w);
	switch ((enum fault)it->gen) {
	case F_NEXT:
		if (w->episodes == 0) {
			later(w, F_HEAL, 0, 0, false, 0, ms(w, 1000, 9000));
			return;
		}
		w->episodes--;
		episode(w);
		later(w, F_NEXT, 0, 0, false, 0,
		      sim_chance(w, 0.3)   ? ms(w, 1, 400)
		      : sim_chance(w, 0.2) ? ms(w, 20000, 26000)
					   : ms(w, 500, 7000));
		return;
	case F_HEAL:
		heal(w);
		return;
	case F_BOOT:
	case F_RESTART:
		sim_fault_boot(w, n);
		return;
	case F_UNCUT:
		w->count.heal++;
		TRACE(w, "partition %u ends", it->num);
		for (unsigned a = 0; a < w->n_nodes; a++)
			for (unsigned b = 0; b < w->n_nodes; b++)
				for (unsigned s = 0; s < 3; s++)
					if (it->num & 1u << s)
						(s < SIM_SEGS ? &w->seg[s] : &w->chan)->cut[a][b] = false;
		return;
	case F_CABLE:
		sim_cable(w, n, it->inst, it->flag);
		return;
	case F_CALM:
		calm(w);
		return;
	case F_BAD:
		if (w->box[n].p)
			sim_bad_advert(w, n, it->inst);
		if (it->num)
			later(w, F_BAD, n, it->inst, false, it->num - 1, w->adv_ns / 3);
		return;
	case F_DEAF:
		w->deaf_left = it->num;
		sim_vrrp_deaf(w, it->inst);
		if (it->num)
			later(w, F_DEAF, 0, it->inst, false, it->num - 1, w->adv_ns);
		return;
	case F_TRACK:
		sim_track_fail(w, n, it->inst);
		later(w, F_WELL, n, it->inst, false, it->num, it->num ? ms(w, 1, 400) : ms(w, 200, 8000));
		return;
	case F_WELL:
		sim_track_calm(w, n);
		if (it->num)
			later(w, F_TRACK, n, it->inst, false, it->num - 1, ms(w, 1, 400));
		return;
	case F_UNPIN:
		for (unsigned k = 0; k < SIM_SESS; k++)
			w->sess[k].pin = -1;
		return;
	case F_IKE:
		sim_ike_daemon(w, n, true);
		return;
	case F_FORCE:
		oper(w, n, OPER_FORCE, false);
		return;
	case F_MAINT:
		oper(w, n, OPER_MAINTENANCE, it->flag);
		return;
	}
}

void sim_fault_start(struct sim *w)
{
	w->episodes = 8 + (unsigned)sim_below(w, 13);
	later(w, F_NEXT, 0, 0, false, 0, sim_chance(w, 0.7) ? ms(w, 6000, 12000) : ms(w, 20000, 26000));
}
