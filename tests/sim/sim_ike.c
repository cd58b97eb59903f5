/*
 * One IKE daemon per machine, and the far ends: slow, forgetful, sometimes started anew. A far end keeps one IKE SA for
 * the virtual address (INITIAL_CONTACT drops the one before it) and one for each node's own address, and sends to the
 * child that was made last. A daemon that holds an SA which its far end has forgotten answers like one that has it:
 * that is what the tunnel machine has to find out.
 */
#include <stdio.h>
#include <stdlib.h>
#include "daemon/base/require.h"
#include "tests/sim/sim.h"

#define SETTLED_NS (3 * NS_PER_SEC) /* a backup may hold an SA for so long */
#define LOST_MAX   3                /* negotiations in a row that a far end does not answer */

/* Draws of its own, so that what happens to tunnels changes nothing else in the world. */
static uint64_t draw(struct sim *w)
{
	uint64_t x = w->ike.rng ? w->ike.rng : w->seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	w->ike.rng = x;
	return x * UINT64_C(0x2545f4914f6cdd1d);
}

static bool chance(struct sim *w, double p)
{
	return (double)(draw(w) >> 11) < p * 9007199254740992.0;
}

static int64_t range(struct sim *w, int64_t lo, int64_t hi)
{
	return lo + (int64_t)(draw(w) % (uint64_t)(hi - lo + 1));
}

static struct sim_sa *sa_of(struct sim *w, unsigned n, unsigned t, bool warm)
{
	return &w->box[n].sa[t][warm];
}

/* The far end knows this SA. */
static bool is_known(const struct sim *w, unsigned n, unsigned t, bool warm)
{
	uint32_t id = w->box[n].sa[t][warm].id;
	return id && (warm ? w->ike.far[t].own[n] : w->ike.far[t].vip) == id;
}

static bool has_vip(const struct sim *w, unsigned n)
{
	const struct sim_box *b = &w->box[n];
	return fake_rtnl_has(b->rtnl, b->ifindex[SEG_WAN], &w->vips[1][0].addr);
}

static bool reaches(const struct sim *w, unsigned n, bool warm)
{
	return w->box[n].cable[SEG_WAN] && (warm || has_vip(w, n));
}

static struct sim_item *event(struct sim *w, unsigned n, unsigned t, enum ike_ev_kind kind, bool warm)
{
	struct sim_item *it = sim_item_new(w, IT_IKE, n);
	it->inst = (uint16_t)t;
	it->ike = (struct ike_ev){ .kind = kind, .warm = warm };
	return it;
}

static void updown(struct sim *w, unsigned n, unsigned t, bool warm, bool child, bool up, int64_t after_ns)
{
	if (!w->box[n].p)
		return;
	struct sim_item *it = event(w, n, t, child ? IKE_EV_CHILD_UPDOWN : IKE_EV_IKE_UPDOWN, warm);
	it->ike.up = up;
	it->ike.sa_id = child ? w->box[n].sa[t][warm].child : 0;
	sim_post(w, it, after_ns);
}

/* The far end forgets it if it hears of it. */
static void drop(struct sim *w, unsigned n, unsigned t, bool warm, bool tell)
{
	struct sim_sa *sa = sa_of(w, n, t, warm);
	if (tell && is_known(w, n, t, warm) && reaches(w, n, warm)) {
		if (warm)
			w->ike.far[t].own[n] = 0;
		else
			w->ike.far[t].vip = 0;
	}
	*sa = (struct sim_sa){ .id = 0 };
}

/* ---- what is asked ---- */

/* This node has the child that the far end sends to. */
static bool receives(const struct sim *w, unsigned n, unsigned t)
{
	uint32_t child = w->ike.far[t].child;
	const struct sim_sa *sa = w->box[n].sa[t];

	return child && ((is_known(w, n, t, false) && sa[0].child == child) ||
			 (is_known(w, n, t, true) && sa[1].child == child));
}

/* One round trip for a child on an IKE SA that is there, two for both. */
static void negotiate(struct sim *w, unsigned n, unsigned t, const struct ike_act *ia)
{
	struct sim_sa *sa = sa_of(w, n, t, ia->warm);
	struct sim_far *far = &w->ike.far[t];
	int64_t rtt = range(w, 2, 30) * NS_PER_MS;

	/* A MASTER may have lost it, or may have been refused it. */
	if (!ia->warm && !has_vip(w, n) && w->box[n].p->group[0].role.is != ROLE_MASTER)
		sim_violation(w, "n%u initiates tunnel %u, and the address is not there", n + 1, t);
	if (sa->child)
		sim_violation(w, "n%u initiates tunnel %u on top of the child that it has", n + 1, t);
	if (sa->id && !is_known(w, n, t, ia->warm))
		return; /* into the void, until somebody ends it */
	if (!reaches(w, n, ia->warm) || (far->lost < LOST_MAX && chance(w, 0.2))) {
		far->lost++;
		return;
	}
	far->lost = 0;
	if (!sa->id) {
		sa->id = ++w->ike.ids;
		if (ia->warm)
			far->own[n] = sa->id;
		else
			far->vip = sa->id;
		updown(w, n, t, ia->warm, false, true, rtt);
		rtt *= 2;
	}
	if (!ia->child)
		return;
	sa->child = ++w->ike.ids;
	far->child = sa->child;
	updown(w, n, t, ia->warm, true, true, rtt);
}

/* Counters grow while packets go; those that come in are on the child that the far end uses. */
static void sample(struct sim *w, unsigned n, unsigned t, const struct ike_act *ia, struct ike_sample *s)
{
	const struct sim_sa *sa = sa_of(w, n, t, ia->warm);
	bool known = is_known(w, n, t, ia->warm);
	uint64_t ms = (uint64_t)(w->now.ns / NS_PER_MS);

	if (!sa->id || chance(w, 0.05))
		return; /* busy ones are left out */
	*s = (struct ike_sample){ .present = true, .established = true, .child = sa->child != 0, .sa_id = sa->child };
	s->out_packets = ms;
	s->spi_in[s->n_spis++] = sa->child;
	if (known && w->ike.far[t].child == sa->child)
		s->in_packets = ms;
}

static void rekey(struct sim *w, unsigned n, unsigned t, bool warm)
{
	struct sim_sa *sa = sa_of(w, n, t, warm);
	if (!sa->child || !is_known(w, n, t, warm) || !reaches(w, n, warm))
		return;
	sa->child = ++w->ike.ids;
	w->ike.far[t].child = sa->child;
	struct sim_item *it = event(w, n, t, IKE_EV_CHILD_REKEY, warm);
	it->ike.sa_id = sa->child;
	sim_post(w, it, range(w, 2, 30) * NS_PER_MS);
}

static void sweep(struct sim *w, unsigned n, const struct node_act *act)
{
	struct sim_job *j = calloc(1, sizeof(*j));
	require(j);
	j->kind = JOB_SWEEP;
	j->tunnel = act->tunnel;
	j->seq = act->ike.seq;
	j->epoch = act->ike.epoch;
	sim_kt_put(w, n, j);
}

static void carry_out(struct sim *w, unsigned n, unsigned t, const struct ike_act *ia, struct sim_item *answer)
{
	struct sim_sa *sa = sa_of(w, n, t, ia->warm);
	struct ike_ev *ev = &answer->ike;

	switch (ev->req) {
	case IKE_REQ_TERMINATE:
		/* The warm one has a second SA, which may be the one that is not used. */
		if (ia->reason == IKE_WHY_SPI && t != 1 && receives(w, n, t))
			sim_violation(w, "n%u resets tunnel %u, and the far end sends to its child", n + 1, t);
		ev->matches = sa->id != 0;
		if (ia->child)
			sa->child = 0;
		else
			drop(w, n, t, ia->warm, true);
		return;
	case IKE_REQ_CLOSE:
		if (!sa->id || !reaches(w, n, ia->warm) || chance(w, 0.2))
			return;
		drop(w, n, t, ia->warm, true);
		updown(w, n, t, ia->warm, false, false, range(w, 2, 30) * NS_PER_MS);
		return;
	case IKE_REQ_INITIATE:
		negotiate(w, n, t, ia);
		return;
	case IKE_REQ_REKEY:
		rekey(w, n, t, ia->warm);
		return;
	case IKE_REQ_LIST:
		ev->kind = IKE_EV_SA_LIST;
		sample(w, n, t, ia, &ev->sample);
		return;
	case IKE_REQ_NONE:
	case IKE_REQ_N:
		return;
	}
}

void sim_ike_act(struct sim *w, unsigned n, const struct node_act *act)
{
	static const enum ike_req req_of[IKE_ACT_N] = { [IKE_ACT_TERMINATE] = IKE_REQ_TERMINATE,
							[IKE_ACT_INITIATE] = IKE_REQ_INITIATE,
							[IKE_ACT_REKEY] = IKE_REQ_REKEY,
							[IKE_ACT_LIST] = IKE_REQ_LIST,
							[IKE_ACT_CLOSE] = IKE_REQ_CLOSE };
	const struct ike_act *ia = &act->ike;
	struct sim_box *b = &w->box[n];

	if (ia->kind == IKE_ACT_SWEEP) {
		sweep(w, n, act);
		return;
	}
	struct sim_item *it = event(w, n, act->tunnel, IKE_EV_REPLY, ia->warm);
	it->ike.epoch = ia->epoch;
	it->ike.seq = ia->seq;
	it->ike.req = req_of[ia->kind];
	it->ike.ok = b->ike_up;
	if (!b->ike_up) {
		sim_post(w, it, NS_PER_US);
		return;
	}
	carry_out(w, n, act->tunnel, ia, it);
	if (chance(w, 0.05))
		sim_item_free(it); /* lost, or too busy to answer */
	else
		sim_post(w, it, range(w, 200, 4000) * NS_PER_US);
}

/* ---- what happens ---- */

void sim_ike_daemon(struct sim *w, unsigned n, bool up)
{
	struct sim_box *b = &w->box[n];
	if (!b->up || b->ike_up == up)
		return;
	TRACE(w, "n%u IKE daemon %s", n + 1, up ? "starts" : "dies");
	b->ike_up = up;
	for (unsigned t = 0; t < SIM_TUNNELS; t++)
		b->sa[t][0] = b->sa[t][1] = (struct sim_sa){ .id = 0 };
	if (!up && chance(w, 0.5)) {
		w->count.ike_far++;
		TRACE(w, "the far end of every tunnel starts anew");
		for (unsigned t = 0; t < SIM_TUNNELS; t++)
			w->ike.far[t] = (struct sim_far){ .vip = 0 };
	}
	for (unsigned t = 0; t < SIM_TUNNELS && b->p; t++)
		sim_post(w, event(w, n, t, up ? IKE_EV_BACKEND_UP : IKE_EV_BACKEND_DOWN, false),
			 range(w, 100, 2000) * NS_PER_US);
}

/* A new process connects to the IKE daemon. */
void sim_ike_hello(struct sim *w, unsigned n)
{
	int64_t after = range(w, 1, 20) * NS_PER_MS;
	for (unsigned t = 0; t < SIM_TUNNELS && w->box[n].ike_up; t++)
		sim_post(w, event(w, n, t, IKE_EV_BACKEND_UP, false), after);
}

/* The machine starts anew; its far ends do not know. */
void sim_ike_boot(struct sim *w, unsigned n)
{
	for (unsigned t = 0; t < SIM_TUNNELS; t++)
		w->box[n].sa[t][0] = w->box[n].sa[t][1] = (struct sim_sa){ .id = 0 };
	for (unsigned t = 0; t < SIM_TUNNELS; t++)
		w->box[n].ike_held[t] = MONO_NEVER;
	w->box[n].ike_up = true;
}

void sim_ike_conf(struct sim *w, unsigned t, struct ike_tunnel_conf *c)
{
	*c = (struct ike_tunnel_conf){ .vip = w->vips[1][0].addr,
				       .peer = addr_v4(203, 0, 113, (uint8_t)(t + 1)),
				       .priority = (uint8_t)t,
				       .initiate = true,
				       .warm = t == 1,
				       .watch_spi = t == 0, /* the others have to get on without */
				       .on_demote = t == 2 ? IKE_DEMOTE_DELETE : IKE_DEMOTE_SILENT,
				       .dpd = { true, 3 * NS_PER_SEC, NS_PER_SEC, 3, IKE_DPD_RESET,
						t == 2 ? IKE_DPD_PERIODIC : IKE_DPD_ON_DEMAND } };
	snprintf(c->name, sizeof(c->name), "t%u", t);
	snprintf(c->ike, sizeof(c->ike), "t%u", t);
	snprintf(c->child, sizeof(c->child), "c%u", t);
	snprintf(c->warm_ike, sizeof(c->warm_ike), "own%u", t);
	snprintf(c->warm_child, sizeof(c->warm_child), "c%u", t);
}

/* ---- the invariants ---- */

/* Somebody who does not serve, and has had time to notice. */
static void check_backup(struct sim *w, unsigned n)
{
	struct sim_box *b = &w->box[n];
	const struct role *r = &b->p->group[0].role;
	bool rests = r->state == ROLE_STABLE && r->is == ROLE_BACKUP && !b->p->stopped_until.ns && b->ike_up;

	for (unsigned t = 0; t < SIM_TUNNELS; t++) {
		bool holds = b->sa[t][0].id || b->sa[t][1].child;
		if (!rests || !holds)
			b->ike_held[t] = MONO_NEVER;
		else if (mono_is_never(b->ike_held[t]))
			b->ike_held[t] = w->now;
		else if (mono_sub(w->now, b->ike_held[t]) > SETTLED_NS)
			sim_violation(w, "n%u is BACKUP and keeps an SA of tunnel %u", n + 1, t);
	}
}

/* The IKE daemon's own liveness checks, of the IKE SA that nobody sends on. */
static void check_warm(struct sim *w, unsigned n)
{
	for (unsigned t = 0; t < SIM_TUNNELS; t++) {
		struct sim_sa *sa = sa_of(w, n, t, true);
		if (!sa->id || is_known(w, n, t, true) || !chance(w, 0.3))
			continue;
		bool child = sa->child != 0;
		updown(w, n, t, true, false, false, NS_PER_MS);
		if (child)
			updown(w, n, t, true, true, false, NS_PER_MS);
		drop(w, n, t, true, false);
	}
}

/* The watch: packets with an SPI that the kernel does not know. Some are forged, their SPI is nobody's. */
static void check_spis(struct sim *w, unsigned n)
{
	static const int64_t at_ms[] = { 0, 5, 25, 125 };

	for (unsigned t = 0; t < SIM_TUNNELS; t++) {
		uint32_t child = w->ike.far[t].child;
		bool forged = chance(w, 0.1), astray = child && !receives(w, n, t);
		if (!w->box[n].p->tunnel[t].conf.watch_spi || !reaches(w, n, false) || !(forged || astray))
			continue;
		*(astray ? &w->count.ike_astray : &w->count.ike_forged) += 1;
		for (unsigned i = 0; i < sizeof(at_ms) / sizeof(at_ms[0]); i++) {
			struct sim_item *it = event(w, n, t, IKE_EV_STALE_PEER, false);
			it->ike.spi = astray ? child : UINT32_MAX;
			sim_post(w, it, at_ms[i] * NS_PER_MS);
		}
	}
}

static void count_made(struct sim *w, unsigned n)
{
	struct sim_box *b = &w->box[n];
	uint64_t made = b->p->tunnel[1].count.made;
	w->count.ike_made += made > b->ike_made ? made - b->ike_made : 0;
	b->ike_made = made;
}

void sim_ike_second(struct sim *w)
{
	for (unsigned n = 0; n < w->n_nodes; n++) {
		if (!w->box[n].up)
			continue;
		if (w->box[n].ike_up)
			check_warm(w, n);
		if (!w->box[n].p)
			continue;
		check_backup(w, n);
		check_spis(w, n);
		count_made(w, n);
	}
}

static bool check_tunnel(const struct sim *w, unsigned n, unsigned t, char *why, size_t cap)
{
	const struct sim_box *b = &w->box[n];
	const struct ike_tunnel *k = &b->p->tunnel[t];
	bool serves = b->p->group[0].role.is == ROLE_MASTER, warm = t == 1;
	uint32_t child = k->on_warm ? b->sa[t][1].child : b->sa[t][0].child;

	if (serves && (k->state != IKE_UP || !child || w->ike.far[t].child != child)) {
		snprintf(why, cap, "n%u serves, and tunnel %u is %s (far end: child %u, here: %u)", n + 1, t,
			 ike_state_name(k->state), w->ike.far[t].child, child);
		return false;
	}
	if (!serves && warm && (k->keep.state != IKE_KEEP_UP || !is_known(w, n, t, true))) {
		snprintf(why, cap, "n%u is backup, and the warm IKE SA of tunnel %u is %s", n + 1, t,
			 ike_keep_name(k->keep.state));
		return false;
	}
	return true;
}

bool sim_check_ike(const struct sim *w, char *why, size_t cap)
{
	for (unsigned n = 0; n < w->n_nodes; n++)
		for (unsigned t = 0; t < SIM_TUNNELS; t++)
			if (!check_tunnel(w, n, t, why, cap))
				return false;
	return true;
}

/* Every other group has copies, from the beginning on. They are installed in time, late, not all of them, or never. */
void sim_sa_begin(struct sim *w, unsigned n)
{
	for (unsigned g = 0; g < w->n_groups; g++) {
		struct node_ev ev = { .type = NODE_EV_SA_COPIES, .group = (uint16_t)g, .on = (w->seed + n + g) % 2 };
		sim_feed(w, n, &ev);
	}
}

void sim_sa_import(struct sim *w, unsigned n, uint16_t group, struct epoch epoch)
{
	struct sim_item *it = sim_item_new(w, IT_SA, n);
	w->box[n].p->sg[group].copies_in = true;
	w->count.sa_imports++;
	it->inst = group;
	it->epoch = epoch;
	it->flag = sim_chance(w, 0.1);
	sim_post(w, it, sim_chance(w, 0.05) ? NS_PER_SEC : sim_range(w, 100, 9000) * NS_PER_US);
}
