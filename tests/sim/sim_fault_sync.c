/*
 * What goes wrong between kernels, replication and operators: events and records that are lost, connections that break
 * in the middle, two masters, restarts in a row, machines that stand still, tools, tables that are too small, requests
 * that fail. Everything is put right in the end.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"
#include "tests/sim/sim.h"

#define BACK_NS   (5 * NS_PER_SEC) /* what an operator did is obeyed, or undone, within this */
#define TOOL_PORT 7777

enum what {
	W_KERNEL_WELL = 0, /* node: no more losses and errors, the table is as large as before */
	W_RESET,           /* node, num: the other one; len of what is left in flag and inst */
	W_JOIN,            /* a split ends */
	W_REPIN,           /* everybody's path changes */
	W_UNPIN,
	W_KILL, /* node, num: enum kill */
	W_UP,
	W_THAW,
	W_IF_UP,   /* node, num: segment */
	W_RECORDS, /* node: no more records are lost */
	W_CHECK_BACK,
	W_CHECK_OBEYED,
	W_CHECK_HEARD, /* node: what events did not tell is known by now */
};
enum kill { KILL_PROCESS = 0, KILL_EMPTY, KILL_MACHINE };

static struct sim_item *item(struct sim *w, enum what what, unsigned node, uint32_t num)
{
	struct sim_item *it = sim_item_new(w, IT_SYNC_FAULT, node);
	it->life = 0;
	it->gen = what;
	it->num = num;
	return it;
}

static void later(struct sim *w, enum what what, unsigned node, uint32_t num, int64_t delay_ns)
{
	sim_post(w, item(w, what, node, num), delay_ns);
}

static int64_t ms(struct sim *w, int64_t lo, int64_t hi)
{
	return sim_range(w, lo, hi) * NS_PER_MS;
}

static unsigned other(struct sim *w, unsigned n)
{
	return (n + 1 + (unsigned)sim_below(w, w->n_nodes - 1)) % w->n_nodes;
}

/* ---- the kernel ---- */

static void lose_events(struct sim *w, unsigned n, bool told)
{
	if (!w->box[n].up)
		return;
	struct fake_ct_fault *f = fake_ct_fault(w->box[n].ct);
	TRACE(w, "n%u loses events%s", n + 1, told ? " and hears of it" : "");
	*(told ? &f->lose_told : &f->lose_silent) = 3 + (uint32_t)sim_below(w, 60);
	later(w, W_KERNEL_WELL, n, told, ms(w, 300, 8000));
}

static void fail_requests(struct sim *w, unsigned n)
{
	static const int errs[] = { -ENOMEM, -ENOBUFS, -ENOSPC, -EAGAIN };
	if (!w->box[n].up)
		return;
	struct fake_ct_fault *f = fake_ct_fault(w->box[n].ct);
	f->fail = 10 + (uint32_t)sim_below(w, 80);
	f->fail_every = 1 + (uint32_t)sim_below(w, 3);
	f->fail_err = errs[sim_below(w, 4)];
	TRACE(w, "n%u: the kernel answers %s", n + 1, strerror(-f->fail_err));
	later(w, W_KERNEL_WELL, n, 0, ms(w, 500, 9000));
}

static void crowd(struct sim *w, unsigned n)
{
	if (!w->box[n].up)
		return;
	uint32_t now = fake_ct_count(w->box[n].ct);
	w->count.crowd++;
	uint32_t max = now / 2 + (uint32_t)sim_below(w, now / 2 + 8);
	TRACE(w, "n%u: the table holds %u of %u", n + 1, max, now);
	fake_ct_crowd(w->box[n].ct, max);
	w->box[n].crowd_at = w->now;
	later(w, W_KERNEL_WELL, n, 0, ms(w, 1000, 9000));
}

/* After a loss that it was told of, a node knows within 5 s what its kernel has. */
static void check_heard(struct sim *w, unsigned n, mono_t at)
{
	struct ct_event ev[16];
	uint64_t cursor = 0;
	unsigned k;
	if (w->fault_at.ns != at.ns || !sim_runs(w, n) || mono_before(w->now, w->box[n].p->sync.hung_until))
		return;
	const struct sync *core = w->box[n].p->sync.core;
	/* Without a role it may not listen at all: what is new there is found by the next sweep. */
	int64_t reads = core->owner.auth.any ? NS_PER_SEC : NS_PER_SEC + SYNC_SWEEP_NS;
	while ((k = fake_ct_dump(w->box[n].ct, &cursor, ev, 16)) > 0)
		for (unsigned i = 0; i < k; i++) {
			const struct sim_sess *s = sim_check_session(w, &ev[i].e.orig);
			struct sim_rec rec;
			if (!s || s->by != (int)n || mono_sub(w->now, s->last) < reads)
				continue;
			w->count.heard++;
			bool known = sim_rec_find(core, &s->orig, &rec);
			if (!known || rec.tcp_state != ev[i].e.tcp_state || rec.mark != ev[i].e.mark)
				sim_violation(
				    w,
				    "n%u was told that events are lost, and after %lld s the session of port %u is %s",
				    n + 1, (long long)(BACK_NS / NS_PER_SEC), s->orig.sport,
				    known ? "not known as it is" : "not known");
		}
}

static void kernel_well(struct sim *w, unsigned n)
{
	if (!w->box[n].ct)
		return;
	struct fake_ct_fault *f = fake_ct_fault(w->box[n].ct);
	f->lose_told = f->lose_silent = f->fail = 0;
	fake_ct_crowd(w->box[n].ct, 0);
}

/* The kernel drops what it masqueraded to an interface that goes down; its addresses stay. */
static void if_down(struct sim *w, unsigned n)
{
	unsigned seg = (unsigned)sim_below(w, SIM_SEGS);
	struct sim_box *b = &w->box[n];
	if (!b->up || !b->cable[seg])
		return;
	w->count.if_down++;
	TRACE(w, "n%u sets an interface down", n + 1);
	sim_cable(w, n, seg, false);
	struct addr own = sim_addr(seg == SEG_WAN ? 1 : 0, n);
	fake_ct_addr_lost(b->ct, own.af, own.b);
	for (unsigned k = 0; k < SIM_VIPS; k++)
		fake_ct_addr_lost(b->ct, w->vips[seg][k].addr.af, w->vips[seg][k].addr.b);
	sim_sync_ct(w, n);
	later(w, W_IF_UP, n, seg, ms(w, 50, 7000));
}

/* ---- the channel ---- */

/* The same connection breaks several times in a row: the receiver's handles are forgotten each time. */
static void reset(struct sim *w, unsigned n)
{
	unsigned peer = other(w, n), times = 1 + (unsigned)sim_below(w, 9);
	int64_t at = 0;
	for (unsigned i = 0; i < times; i++) {
		at += sim_chance(w, 0.5) ? ms(w, 1, 60) : ms(w, 60, 700);
		later(w, W_RESET, n, peer, at);
	}
}

static void do_reset(struct sim *w, unsigned n, unsigned peer)
{
	static const unsigned ends[] = { 3, 3, 1, 2 };
	w->count.reset++;
	TRACE(w, "the data connection of n%u and n%u breaks", n + 1, peer + 1);
	sim_conn_reset(w, n, peer, CHAN_DATA, ends[sim_below(w, 4)]);
}

static void lose_records(struct sim *w, unsigned n)
{
	TRACE(w, "n%u loses records", n + 1);
	w->lose_rec[n] = 4 + (uint32_t)sim_below(w, 60);
	later(w, W_RECORDS, n, 0, ms(w, 500, 8000));
}

/* ---- two masters ---- */

static void repin(struct sim *w)
{
	for (unsigned k = 0; k < SIM_SESS; k++)
		if (w->sess[k].state == SESS_OPEN && sim_chance(w, 0.5))
			w->sess[k].pin = (int)sim_below(w, w->n_nodes);
}

/* Nobody hears anybody, and each half of the world has its clients. */
static void split(struct sim *w)
{
	unsigned a = (unsigned)sim_below(w, w->n_nodes), b = other(w, a);
	int64_t stay = 4 * w->adv_ns + ms(w, 500, 12000);
	w->count.split++;
	TRACE(w, "split between n%u and n%u for %lld ms", a + 1, b + 1, (long long)(stay / NS_PER_MS));
	for (unsigned s = 0; s < 3; s++) {
		struct sim_wire *x = s < SIM_SEGS ? &w->seg[s] : &w->chan;
		x->cut[a][b] = x->cut[b][a] = true;
	}
	w->born_at = -2;
	repin(w);
	for (unsigned i = (unsigned)sim_below(w, 4); i > 0; i--)
		later(w, W_REPIN, 0, 0, ms(w, 200, stay / NS_PER_MS));
	later(w, W_JOIN, 0, 0, stay);
	later(w, W_UNPIN, 0, 0, stay + ms(w, 0, 12000));
}

static void join(struct sim *w)
{
	w->count.heal++;
	TRACE(w, "the split ends");
	for (unsigned a = 0; a < w->n_nodes; a++)
		for (unsigned b = 0; b < w->n_nodes; b++)
			w->seg[0].cut[a][b] = w->seg[1].cut[a][b] = w->chan.cut[a][b] = false;
}

static void unpin(struct sim *w)
{
	w->born_at = -1;
	for (unsigned k = 0; k < SIM_SESS; k++)
		w->sess[k].pin = -1;
}

/* ---- processes and machines ---- */

static void storm(struct sim *w, unsigned n)
{
	unsigned times = 3 + (unsigned)sim_below(w, 6), whom = (unsigned)sim_below(w, 3);
	int64_t at = 0;
	w->count.storm++;
	TRACE(w, "restart storm");
	for (unsigned i = 0; i < times; i++) {
		enum kill how = sim_chance(w, 0.7) ? KILL_PROCESS : sim_chance(w, 0.5) ? KILL_EMPTY : KILL_MACHINE;
		for (unsigned k = 0; k < w->n_nodes; k++)
			if (whom == 1 || (whom == 0 && k == n) || (whom == 2 && sim_chance(w, 0.5)))
				later(w, W_KILL, k, how, at + ms(w, 0, 100));
		at += ms(w, 100, 1300);
	}
}

static void do_kill(struct sim *w, unsigned n, enum kill how)
{
	struct sim_box *b = &w->box[n];
	if (!b->p)
		return;
	w->count.storm_kill++;
	w->count.storm_empty += how != KILL_PROCESS;
	sim_proc_end(w, n, how == KILL_MACHINE ? END_MACHINE : END_KILLED);
	if (how == KILL_EMPTY) {
		fake_ct_flush(b->ct, TOOL_PORT);
		for (unsigned k = 0; k < SIM_SESS; k++)
			w->sess[k].flushed = w->now;
	} else if (how == KILL_MACHINE) {
		b->up = false;
		for (unsigned s = 0; s < SIM_SEGS; s++)
			if (w->arp[s] == (int)n)
				w->arp[s] = -1;
		sim_load_forget(w, n);
	}
	later(w, W_UP, n, 0, how == KILL_MACHINE ? ms(w, 300, 1500) : ms(w, 5, 500));
}

/* Flows that begin while nobody listens are mute: their whole life passes without an event. */
static void mute(struct sim *w, unsigned n)
{
	struct sim_box *b = &w->box[n];
	if (!b->p)
		return;
	fake_ct_sysctl_events(b->ct, 2);
	w->born_at = (int)n;
	for (unsigned k = 0; k < SIM_SESS; k++)
		if (w->sess[k].state == SESS_OPEN && sim_chance(w, 0.2))
			w->sess[k].pin = (int)n;
	later(w, W_KILL, n, KILL_PROCESS, 0);
	/* The next one starts after half a second at most; the second death leaves more time. */
	for (unsigned i = 0; i < 6; i++)
		later(w, W_KILL, n, KILL_PROCESS, ms(w, 600, 4000));
	later(w, W_UNPIN, 0, 0, ms(w, 6000, 20000));
}

/* A virtual machine that its host does not run: no packet passes, no timer ends, the clock has jumped afterwards. */
static void freeze(struct sim *w, unsigned n)
{
	struct sim_box *b = &w->box[n];
	if (!b->p || b->frozen_until.ns)
		return;
	int64_t t = sim_chance(w, 0.5) ? ms(w, 20, 1000) : ms(w, 1000, 12000);
	w->count.frozen++;
	TRACE(w, "n%u stands still for %lld ms", n + 1, (long long)(t / NS_PER_MS));
	sim_stop(w, n, t);
	b->frozen_until = mono_add(w->now, t);
	later(w, W_THAW, n, 0, t);
}

static void thaw(struct sim *w, unsigned n)
{
	w->box[n].frozen_until = MONO_ZERO;
}

/* ---- operators ---- */

static bool healthy(struct sim *w, unsigned n)
{
	if (!sim_runs(w, n) || mono_sub(w->now, w->box[n].p->started) < 10 * NS_PER_SEC)
		return false;
	for (unsigned i = 0; i < w->n_nodes; i++)
		if (i != n &&
		    (!sim_check_quiet(w, n, i) || !w->box[i].p->sync.told.equal || fake_ct_fault(w->box[i].ct)->fail))
			return false;
	const struct fake_ct_fault *f = fake_ct_fault(w->box[n].ct);
	return w->box[n].p->sync.told.equal && !f->lose_told && !f->lose_silent && !f->fail && w->born_at == -1 &&
	       w->n_nodes == 2;
}

static void check_later(struct sim *w, enum what what, unsigned n, uint64_t mask)
{
	struct sim_item *it = item(w, what, n, 0);
	it->epoch.counter = (uint64_t)w->now.ns;
	it->bytes = malloc(sizeof(mask));
	require(it->bytes);
	memcpy(it->bytes, &mask, sizeof(mask));
	it->len = sizeof(mask);
	sim_post(w, it, BACK_NS);
}

_Static_assert(SIM_SESS <= 64, "a session is a bit");

/* `conntrack -F`, or -D of some, on any node. Returns the sessions whose replicated entries went, split by owner. */
static void operator_deletes(struct sim *w, unsigned n)
{
	struct sim_box *b = &w->box[n];
	if (!b->up)
		return;
	bool known = healthy(w, n) && !b->p->sync.core->owner.muted;
	bool role = b->p && b->p->sync.core->owner.auth.any;
	double share = sim_chance(w, 0.5) ? 1 : 0.4;
	uint64_t own = 0, copies = 0;
	TRACE(w, "n%u: the operator deletes entries", n + 1);
	if (role)
		w->count.flush_own++;
	else
		w->count.flush_copy++;
	for (unsigned k = 0; k < SIM_SESS; k++) {
		struct sim_sess *s = &w->sess[k];
		struct ct_op op = { .type = CT_OP_DELETE };
		struct sim_rec rec;
		op.e.orig = s->orig;
		if (s->state == SESS_FREE || !sim_chance(w, share) || fake_ct_op(b->ct, TOOL_PORT, &op, NULL) != 0)
			continue;
		s->flushed = w->now;
		w->count.flush++;
		if (!known || s->kind != KIND_THROUGH || !sim_rec_find(b->p->sync.core, &s->orig, &rec) ||
		    !rec.synced || rec.ending)
			continue;
		if (rec.mine && role)
			own |= UINT64_C(1) << k;
		else if (!rec.mine)
			copies |= UINT64_C(1) << k;
	}
	sim_sync_ct(w, n);
	if (own)
		check_later(w, W_CHECK_OBEYED, n, own);
	if (copies)
		check_later(w, W_CHECK_BACK, n, copies);
}

/* A tool writes entries over again as other programs do: with a translated reply tuple and no word about NAT. */
static void operator_inserts(struct sim *w, unsigned n)
{
	struct sim_box *b = &w->box[n];
	if (!b->up)
		return;
	TRACE(w, "n%u: a tool writes entries without NAT", n + 1);
	for (unsigned k = 0; k < SIM_SESS; k++) {
		struct sim_sess *s = &w->sess[k];
		struct ct_op op = { .type = CT_OP_DELETE };
		struct ct_entry e;
		if (s->state != SESS_OPEN || s->kind != KIND_THROUGH || !s->nat || !sim_chance(w, 0.3) ||
		    !fake_ct_find(b->ct, &s->orig, &e))
			continue;
		op.e.orig = s->orig;
		require(fake_ct_op(b->ct, TOOL_PORT, &op, NULL) == 0);
		op.type = CT_OP_CREATE;
		op.e = e;
		op.e.status = (e.status & (CT_ST_SEEN_REPLY | CT_ST_ASSURED)) | CT_ST_CONFIRMED;
		op.e.has &= ~(uint32_t)CT_HAS_ID;
		if (fake_ct_op(b->ct, TOOL_PORT, &op, NULL) == 0)
			w->count.made++;
		s->flushed = w->now;
	}
	sim_sync_ct(w, n);
}

/* What was deleted where the copies are is back, as long as its owner has it. */
static void check_back(struct sim *w, unsigned n, uint64_t mask, mono_t at)
{
	unsigned owner = n == 0 ? 1 : 0;
	if (w->fault_at.ns != at.ns || !sim_runs(w, n) || !sim_runs(w, owner))
		return;
	for (unsigned k = 0; k < SIM_SESS; k++) {
		const struct sim_sess *s = &w->sess[k];
		struct sim_rec rec;
		struct ct_entry e;
		if (!(mask >> k & 1) || s->flushed.ns != at.ns || !fake_ct_find(w->box[owner].ct, &s->orig, &e) ||
		    !sim_rec_find(w->box[owner].p->sync.core, &s->orig, &rec) || !rec.synced || !rec.mine || rec.ending)
			continue;
		if (sim_rec_find(w->box[n].p->sync.core, &s->orig, &rec) && rec.stored)
			continue; /* a warm one keeps it for itself */
		if (!fake_ct_find(w->box[n].ct, &s->orig, &e))
			sim_violation(w, "n%u: the copy of port %u was deleted by hand and is not back after %lld s",
				      n + 1, s->orig.sport, (long long)(BACK_NS / NS_PER_SEC));
		w->count.back++;
	}
}

/* What was deleted where the role is, is gone everywhere, unless its packets went on. */
static void check_obeyed(struct sim *w, unsigned n, uint64_t mask, mono_t at)
{
	unsigned peer = n == 0 ? 1 : 0;
	if (w->fault_at.ns != at.ns || !sim_runs(w, n) || !sim_runs(w, peer))
		return;
	for (unsigned k = 0; k < SIM_SESS; k++) {
		const struct sim_sess *s = &w->sess[k];
		struct ct_entry e;
		if (!(mask >> k & 1) || s->flushed.ns != at.ns || fake_ct_find(w->box[n].ct, &s->orig, &e) ||
		    s->seen[peer].ns >= at.ns || s->seen[n].ns >= at.ns)
			continue;
		if (fake_ct_find(w->box[peer].ct, &s->orig, &e))
			sim_violation(w, "n%u: port %u was deleted by hand, and n%u still has it after %lld s", n + 1,
				      s->orig.sport, peer + 1, (long long)(BACK_NS / NS_PER_SEC));
		w->count.obeyed++;
	}
}

/* ---- episodes ---- */

void sim_fault_sync(struct sim *w, unsigned n)
{
	switch (sim_below(w, 17)) {
	case 0:
		lose_events(w, n, true);
		return;
	case 1:
	case 2:
		lose_events(w, n, false);
		return;
	case 3:
		fail_requests(w, other(w, n));
		return;
	case 4:
		crowd(w, sim_chance(w, 0.8) ? other(w, n) : n);
		return;
	case 5:
		if_down(w, n);
		return;
	case 6:
	case 7:
		reset(w, n);
		return;
	case 8:
		lose_records(w, (unsigned)sim_below(w, w->n_nodes));
		return;
	case 9:
	case 10:
		split(w);
		return;
	case 11:
		storm(w, n);
		return;
	case 12:
		mute(w, n);
		return;
	case 13:
		freeze(w, n);
		return;
	case 14:
		operator_deletes(w, n);
		return;
	case 15:
		operator_deletes(w, other(w, n));
		return;
	default:
		operator_inserts(w, (unsigned)sim_below(w, w->n_nodes));
		if (sim_chance(w, 0.5))
			lose_records(w, (unsigned)sim_below(w, w->n_nodes));
		return;
	}
}

static uint64_t mask_of(const struct sim_item *it)
{
	uint64_t mask;
	memcpy(&mask, it->bytes, sizeof(mask));
	return mask;
}

void sim_fault_sync_item(struct sim *w, struct sim_item *it)
{
	unsigned n = it->node;
	mono_t at = { (int64_t)it->epoch.counter };
	if (w->healing)
		return;
	if (it->gen == W_CHECK_BACK) {
		check_back(w, n, mask_of(it), at);
		return;
	}
	if (it->gen == W_CHECK_OBEYED) {
		check_obeyed(w, n, mask_of(it), at);
		return;
	}
	if (it->gen == W_CHECK_HEARD) {
		check_heard(w, n, at);
		return;
	}
	sim_fault_changed(w);
	switch ((enum what)it->gen) {
	case W_KERNEL_WELL:
		kernel_well(w, n);
		if (it->num && w->box[n].p && mono_sub(w->fault_at, w->box[n].p->started) > NS_PER_SEC)
			check_later(w, W_CHECK_HEARD, n, 0);
		return;
	case W_RESET:
		do_reset(w, n, it->num);
		return;
	case W_JOIN:
		join(w);
		return;
	case W_REPIN:
		repin(w);
		return;
	case W_UNPIN:
		unpin(w);
		return;
	case W_KILL:
		do_kill(w, n, (enum kill)it->num);
		return;
	case W_UP:
		sim_fault_boot(w, n);
		return;
	case W_THAW:
		thaw(w, n);
		return;
	case W_IF_UP:
		sim_cable(w, n, it->num, true);
		return;
	case W_RECORDS:
		w->lose_rec[n] = 0;
		return;
	case W_CHECK_BACK:
	case W_CHECK_OBEYED:
	case W_CHECK_HEARD:
		return;
	}
}

void sim_fault_sync_heal(struct sim *w)
{
	unpin(w);
	for (unsigned n = 0; n < w->n_nodes; n++) {
		kernel_well(w, n);
		thaw(w, n);
		w->lose_rec[n] = 0;
	}
}
