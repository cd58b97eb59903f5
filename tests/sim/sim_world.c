/* Time, chance and the loop: what is next happens next, until the seed is done or an invariant breaks. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"
#include "tests/sim/sim.h"

#define TICK_NS    (10 * NS_PER_MS)
#define STEPS_MAX  UINT64_C(4000000)
#define REACH_NS   (2 * NS_PER_SEC)   /* after the last fault: one master by then */
#define TABLES_NS  (120 * NS_PER_SEC) /* and equal tables by then */
#define ONE_FOR_NS (3 * NS_PER_SEC)
#define WATCH_NS   (22 * NS_PER_SEC) /* two sweeps of the kernel's table */
#define WATCHED    0.25              /* of all seeds */

/* ---- chance: xoshiro256** seeded by splitmix64 ---- */

static uint64_t rotl(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

uint64_t sim_rand(struct sim *w)
{
	uint64_t *s = w->rng, r = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return r;
}

static void seed_rng(struct sim *w, uint64_t seed)
{
	for (unsigned i = 0; i < 4; i++) {
		uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);
		z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
		w->rng[i] = z ^ z >> 31;
	}
}

uint64_t sim_below(struct sim *w, uint64_t n)
{
	return n ? sim_rand(w) % n : 0;
}

bool sim_chance(struct sim *w, double p)
{
	return (double)(sim_rand(w) >> 11) < p * 9007199254740992.0;
}

int64_t sim_range(struct sim *w, int64_t lo, int64_t hi)
{
	return lo + (int64_t)sim_below(w, (uint64_t)(hi - lo + 1));
}

/* ---- lists and the heap ---- */

void sim_list_init(struct sim_list *l)
{
	l->first = NULL;
	l->last = &l->first;
	l->n = 0;
}

void sim_list_add(struct sim_list *l, struct sim_item *it)
{
	it->next = NULL;
	*l->last = it;
	l->last = &it->next;
	l->n++;
}

struct sim_item *sim_list_take(struct sim_list *l)
{
	struct sim_item *it = l->first;
	if (!it)
		return NULL;
	l->first = it->next;
	if (!l->first)
		l->last = &l->first;
	l->n--;
	return it;
}

static bool sooner(const struct sim_item *a, const struct sim_item *b)
{
	return a->at.ns != b->at.ns ? a->at.ns < b->at.ns : a->order < b->order;
}

static void heap_put(struct sim *w, struct sim_item *it)
{
	if (w->n_heap == w->cap_heap) {
		w->cap_heap = w->cap_heap ? 2 * w->cap_heap : 256;
		w->heap = realloc(w->heap, w->cap_heap * sizeof(*w->heap));
		require(w->heap);
	}
	size_t i = w->n_heap++;
	for (; i > 0 && sooner(it, w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = it;
}

static struct sim_item *heap_take(struct sim *w)
{
	struct sim_item *top = w->heap[0], *last = w->heap[--w->n_heap];
	size_t i = 0;
	for (;;) {
		size_t k = 2 * i + 1;
		if (k >= w->n_heap)
			break;
		if (k + 1 < w->n_heap && sooner(w->heap[k + 1], w->heap[k]))
			k++;
		if (!sooner(w->heap[k], last))
			break;
		w->heap[i] = w->heap[k];
		i = k;
	}
	if (w->n_heap > 0)
		w->heap[i] = last;
	return top;
}

struct sim_item *sim_item_new(struct sim *w, enum sim_what what, unsigned node)
{
	struct sim_item *it = calloc(1, sizeof(*it));
	require(it);
	it->what = what;
	it->node = (uint8_t)node;
	it->life = node < SIM_NODES && w->box[node].p ? w->box[node].p->life : 0;
	return it;
}

void sim_item_free(struct sim_item *it)
{
	free(it->bytes);
	free(it->job);
	free(it);
}

void sim_post(struct sim *w, struct sim_item *it, int64_t delay_ns)
{
	it->at = mono_add(w->now, delay_ns);
	it->order = ++w->order;
	heap_put(w, it);
}

/* ---- what is found ---- */

void sim_violation(struct sim *w, const char *fmt, ...)
{
	if (w->failed)
		return;
	w->failed = true;
	int n = snprintf(w->why, sizeof(w->why), "at %.6f s: ", (double)w->now.ns / 1e9);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(w->why + n, sizeof(w->why) - (size_t)n, fmt, ap);
	va_end(ap);
	TRACE(w, "VIOLATION %s", w->why);
}

void sim_trace(struct sim *w, const char *fmt, ...)
{
	printf("%12.6f ", (double)w->now.ns / 1e9);
	va_list ap;
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

const char *sim_count_text(unsigned i)
{
	static const char *const text[] = {
#define SIM_COUNT_TEXT(name, what) what,
		SIM_COUNT_TABLE(SIM_COUNT_TEXT)
#undef SIM_COUNT_TEXT
	};
	return text[i];
}

/* ---- the loop ---- */

static bool to_control(enum sim_what what)
{
	return what <= IT_LAST_CONTROL;
}

/* True when the item is stale: its process has ended since. */
static bool stale(const struct sim *w, const struct sim_item *it)
{
	const struct sim_proc *p = w->box[it->node].p;
	return it->life && (!p || p->life != it->life);
}

void sim_give(struct sim *w, struct sim_item *it)
{
	struct sim_proc *p = w->box[it->node].p;
	if (!p || stale(w, it)) {
		sim_item_free(it);
		return;
	}
	if (p->stopped_until.ns) {
		sim_list_add(&p->inbox, it);
		return;
	}
	sim_control(w, it);
	sim_item_free(it);
}

static void happen(struct sim *w, struct sim_item *it)
{
	if (to_control(it->what)) {
		sim_give(w, it);
		return;
	}
	switch (it->what) {
	case IT_PUMP:
		sim_conn_pump(w, it);
		break;
	case IT_DISK:
		if (!stale(w, it))
			w->box[it->node].disk = epoch_max(w->box[it->node].disk, it->epoch);
		break;
	case IT_JOB:
		if (!stale(w, it)) {
			sim_kt_done(w, it);
			return;
		}
		break;
	case IT_FAULT:
		sim_fault(w, it);
		break;
	case IT_SYNC_FAULT:
		sim_fault_sync_item(w, it);
		break;
	case IT_LATE:
		sim_sync_data(w, it);
		return;
	case IT_PACKET:
		sim_packet(w, it);
		break;
	case IT_ADVERT:
	case IT_CTL:
	case IT_CTL_UP:
	case IT_CTL_DOWN:
	case IT_PROBE:
	case IT_REPORT:
	case IT_KT:
	case IT_RTNL:
	case IT_IKE:
	case IT_SA:
	case IT_OPER:
		break;
	}
	sim_item_free(it);
}

/* Nodes that agreed to end do so between two events. */
static void reap(struct sim *w)
{
	for (unsigned n = 0; n < w->n_nodes; n++) {
		struct sim_proc *p = w->box[n].p;
		if (p && p->ending)
			sim_proc_end(w, n, p->aborting ? END_KILLED : END_CLEAN);
	}
}

enum due { DUE_HEAP = 0, DUE_TICK, DUE_CONTROL, DUE_SYNC, DUE_RESUME };

static mono_t control_due(const struct sim *w, unsigned n)
{
	const struct sim_proc *p = w->box[n].p;
	mono_t t = mono_min(node_deadline(&p->node), p->net_at);
	t = mono_min(t, sim_garp_at(w, n));
	for (unsigned i = 0; i < w->n_nodes; i++)
		if (p->ctl[i].up)
			t = mono_min(t, mono_add(p->ctl[i].heard_at, 300 * NS_PER_MS));
	return mono_max(t, w->now);
}

static mono_t next_due(const struct sim *w, enum due *what, unsigned *node)
{
	mono_t t = w->tick_at;
	*what = DUE_TICK;
	*node = 0;
	if (w->n_heap && w->heap[0]->at.ns <= t.ns) {
		t = w->heap[0]->at;
		*what = DUE_HEAP;
	}
	for (unsigned n = 0; n < w->n_nodes; n++) {
		const struct sim_proc *p = w->box[n].p;
		if (!p)
			continue;
		if (p->stopped_until.ns) {
			if (p->stopped_until.ns < t.ns) {
				t = p->stopped_until;
				*what = DUE_RESUME;
				*node = n;
			}
			continue;
		}
		mono_t c = control_due(w, n);
		if (c.ns < t.ns) {
			t = c;
			*what = DUE_CONTROL;
			*node = n;
		}
		mono_t s = mono_max(p->sync.wake_at, p->sync.hung_until);
		if (s.ns < t.ns) {
			t = s;
			*what = DUE_SYNC;
			*node = n;
		}
	}
	return mono_max(t, w->now);
}

static void tick(struct sim *w)
{
	w->tick_at = mono_add(w->now, TICK_NS);
	for (unsigned n = 0; n < w->n_nodes; n++) {
		if (!w->box[n].up || w->box[n].frozen_until.ns)
			continue;
		fake_ct_run(w->box[n].ct, w->now);
		sim_sync_ct(w, n);
	}
	sim_conns(w);
	sim_check_tick(w);
}

/* After the last fault: who serves, and whether all know the same. */
static void healed(struct sim *w)
{
	char why[256] = "";
	sim_fault_revive(w); /* a stop that a stopped process had in its queue */
	if (mono_before(w->now, mono_add(w->heal_at, REACH_NS)))
		return;
	bool one = sim_check_one_master(w, why, sizeof(why));
	if (!one)
		w->one_since = MONO_NEVER;
	else if (mono_is_never(w->one_since))
		w->one_since = w->now;
	bool settled = one && mono_sub(w->now, w->one_since) >= ONE_FOR_NS;
	if (!mono_is_never(w->watch_until) && mono_before(w->now, w->watch_until))
		return;
	if (settled && sim_check_tables(w, why, sizeof(why)) && sim_check_ike(w, why, sizeof(why))) {
		if (mono_is_never(w->watch_until) && sim_chance(w, WATCHED) && w->seed % 3 != 0) { /* no orders there */
			w->watch_until = mono_add(w->now, WATCH_NS);
			sim_check_watch(w);
			return;
		}
		if (!mono_is_never(w->watch_until))
			sim_check_watched(w);
		w->done = true;
		return;
	}
	TRACE(w, "not yet: %s", why);
	if (mono_before(w->now, mono_add(w->heal_at, TABLES_NS)))
		return;
	sim_violation(w, "%.0f s after the last fault: %s", (double)(TABLES_NS / NS_PER_SEC), why);
}

static void once(struct sim *w)
{
	enum due what;
	unsigned n;
	w->now = next_due(w, &what, &n);
	w->count.steps++;
	if (w->trace && w->count.steps > STEPS_MAX - 60)
		sim_trace(w, "step %d node %u item %d", (int)what, n, what == DUE_HEAP ? (int)w->heap[0]->what : -1);
	switch (what) {
	case DUE_HEAP:
		happen(w, heap_take(w));
		break;
	case DUE_TICK:
		tick(w);
		break;
	case DUE_CONTROL:
		sim_control_due(w, n);
		break;
	case DUE_SYNC:
		sim_sync_wake(w, n);
		break;
	case DUE_RESUME:
		sim_resume(w, n);
		break;
	}
	reap(w);
	if (w->healing && mono_due(w->check_at, w->now)) {
		w->check_at = mono_add(w->now, sim_range(w, 600, 1400) * NS_PER_MS);
		healed(w);
	}
}

/* ---- the world of a seed ---- */

static void make_inst(struct sim *w, unsigned i, unsigned seg, uint16_t group)
{
	static const char *const names[] = { "lan", "wan", "lan2" };
	for (unsigned k = 0; k < SIM_VIPS; k++)
		w->vips[i][k] =
		    (struct vrrp_vip){ .addr = seg == SEG_LAN ? addr_v4(10, 1, 0, (uint8_t)(100 + 10 * i + k))
							      : addr_v4(192, 0, 2, (uint8_t)(100 + k)),
				       .plen = 24 };
	for (unsigned n = 0; n < w->n_nodes; n++) {
		struct vrrp_conf *c = &w->conf[n][i];
		snprintf(c->name, sizeof(c->name), "%s", names[i]);
		snprintf(c->interface, sizeof(c->interface), "%s0", seg == SEG_LAN ? "lan" : "wan");
		c->vrid = (uint8_t)(51 + i);
		c->af = ADDR_V4;
		c->priority = (uint8_t)(200 - 50 * n);
		c->adv_ns = w->adv_ns;
		c->preempt = w->preempt;
		c->garp_repeat = 2;
		c->garp_delay_ns = NS_PER_SEC;
		c->vips = w->vips[i];
		c->n_vips = c->n_advertised = SIM_VIPS;
		c->down_adverts = 3;
		c->lower_advert = true;
		c->group = group;
	}
}

static void make_sync(struct sim *w, unsigned n)
{
	struct sync_conf *c = &w->sync_conf[n];
	c->enabled = c->replicate = true;
	snprintf(c->cluster, sizeof(c->cluster), "sim");
	c->self = sim_node_id(n);
	c->n_nodes = (uint8_t)w->n_nodes;
	for (unsigned i = 0; i < w->n_nodes; i++) {
		c->nodes[i].id = sim_node_id(i);
		snprintf(c->nodes[i].name, sizeof(c->nodes[i].name), "n%u", i + 1);
		c->nodes[i].n_addrs = 1;
		c->nodes[i].addrs[0] = addr_v4(10, 9, 0, (uint8_t)(i + 1));
	}
	c->protocols = SYNC_PROTO_ALL & ~(1u << SYNC_PROTO_ICMP);
	c->ignore[c->n_ignore++] = (struct sync_ignore){ .net = addr_v4(198, 51, 100, 64),
							 .plen = 26,
							 .protocols = SYNC_PROTO_ALL,
							 .port_high = UINT16_MAX,
							 .any_zone = true };
	c->lease_ns = w->lease_ns;
	c->entries_max = 1024;
	c->bulk_rate = 20000;
	for (unsigned i = 0; i < w->n_inst; i++)
		for (unsigned k = 0; k < SIM_VIPS; k++)
			c->vips[c->n_vips++] = w->vips[i][k].addr;
}

static void make_world(struct sim *w)
{
	static const int64_t intervals[] = { 50, 100, 100, 200, 500 };
	w->n_nodes = sim_chance(w, 0.2) ? 3 : 2;
	w->n_groups = sim_chance(w, 0.3) ? 2 : 1;
	w->n_inst = w->n_groups + 1;
	w->adv_ns = intervals[sim_below(w, 5)] * NS_PER_MS;
	w->preempt = sim_chance(w, 0.7);
	w->degrade = sim_chance(w, 0.2);
	make_inst(w, 0, SEG_LAN, 0);
	make_inst(w, 1, SEG_WAN, 0);
	if (w->n_groups > 1)
		make_inst(w, 2, SEG_LAN, 1);
	sim_vrrp_kinds(w);
	/* Shorter ones than an operator may set: renewals are many then. */
	w->lease_ns = (sim_chance(w, 0.4) ? 300 : sim_range(w, 180, 300)) * NS_PER_SEC;
	for (unsigned n = 0; n < w->n_nodes; n++)
		make_sync(w, n);
	sim_store_kinds(w);
	for (unsigned s = 0; s <= SIM_SEGS; s++) {
		struct sim_wire *x = s < SIM_SEGS ? &w->seg[s] : &w->chan;
		x->delay_ns = sim_range(w, 30, 500) * NS_PER_US;
		x->jitter_ns = x->delay_ns / 2;
	}
	for (unsigned s = 0; s < SIM_SEGS; s++) {
		w->seg[s].loss = sim_chance(w, 0.3) ? 0.01 : 0;
		w->seg[s].dup = sim_chance(w, 0.3) ? 0.05 : 0;
		w->arp[s] = -1;
	}
}

static void free_world(struct sim *w)
{
	for (unsigned n = 0; n < w->n_nodes; n++) {
		if (w->box[n].p)
			sim_proc_end(w, n, END_MACHINE);
		sim_ct_end(w, n);
		free(w->box[n].rtnl);
	}
	for (unsigned a = 0; a < SIM_NODES; a++)
		for (unsigned b = 0; b < SIM_NODES; b++)
			for (unsigned c = 0; c < SIM_CHANS; c++)
				for (unsigned d = 0; d < 2; d++)
					for (struct sim_msg *m = w->conn[a][b][c].first[d], *next; m; m = next) {
						next = m->next;
						free(m->bytes);
						free(m);
					}
	while (w->n_heap)
		sim_item_free(heap_take(w));
	free(w->heap);
}

bool sim_run(struct sim *w, uint64_t seed, bool trace, uint16_t port)
{
	memset(w, 0, sizeof(*w));
	w->seed = seed;
	w->trace = trace;
	w->port = port;
	seed_rng(w, seed);
	w->now = w->tick_at = (mono_t){ 1000 * NS_PER_SEC };
	w->heal_at = w->check_at = w->one_since = w->watch_until = MONO_NEVER;
	w->born_at = -1;
	make_world(w);
	for (unsigned a = 0; a < SIM_NODES; a++) {
		for (unsigned b = 0; b < SIM_NODES; b++) {
			for (unsigned i = 0; i < SIM_INSTS; i++)
				w->both_since[a][b][i] = w->both_heard[a][b][i] = MONO_NEVER;
			for (unsigned c = 0; c < SIM_CHANS; c++) {
				struct sim_conn *k = &w->conn[a][b][c];
				k->bad_since = MONO_NEVER;
				k->last[0] = &k->first[0];
				k->last[1] = &k->first[1];
			}
		}
	}
	TRACE(w, "seed %llu: %u nodes, %u groups, adverts every %lld ms, %spreempt", (unsigned long long)seed,
	      w->n_nodes, w->n_groups, (long long)(w->adv_ns / NS_PER_MS), w->preempt ? "" : "no");
	for (unsigned n = 0; n < w->n_nodes; n++) {
		sim_boot(w, n);
		sim_proc_start(w, n);
	}
	sim_load_start(w);
	sim_fault_start(w);
	while (!w->failed && !w->done) {
		once(w);
		if (w->count.steps > STEPS_MAX)
			sim_violation(w, "more than %llu steps: it never comes to rest", (unsigned long long)STEPS_MAX);
	}
	free_world(w);
	return !w->failed;
}
