/*
 * What concerns the election alone: kinds of virtual routers (versions, unicast, owners, delays), a router that listens
 * to nobody, pauses, and the invariants of all that.
 */
#include <string.h>
#include "daemon/base/require.h"
#include "tests/sim/sim.h"

#define YIELD_NS   (1200 * NS_PER_MS) /* as in sim_check.c: COMMITTING runs to its bounded end first */
#define PREPARE_NS (200 * NS_PER_MS)  /* longest PREPARE of a crash, and some more */

/* ---- the kinds of a seed ---- */

/* While routers are upgraded each speaks version 2 or both; whole seconds, as version 2 wants them. */
static void choose_versions(struct sim *w)
{
	bool two = sim_chance(w, 0.1), mixed = !two && sim_chance(w, 0.12), auth = sim_chance(w, 0.6);
	if (!two && !mixed)
		return;
	w->adv_ns = NS_PER_SEC;
	for (unsigned n = 0; n < w->n_nodes; n++) {
		enum vrrp_version v = two || sim_chance(w, 0.4) ? VRRP_V2 : VRRP_V2_AND_3;
		for (unsigned i = 0; i < w->n_inst; i++) {
			struct vrrp_conf *c = &w->conf[n][i];
			c->version = v;
			c->adv_ns = NS_PER_SEC;
			c->auth = auth;
			memcpy(c->auth_pass, auth ? "secret\0\0" : "\0\0\0\0\0\0\0\0", sizeof(c->auth_pass));
		}
	}
}

/* One list for all nodes: each finds itself in it. */
static void choose_unicast(struct sim *w)
{
	w->unicast = sim_chance(w, 0.2);
	for (unsigned i = 0; w->unicast && i < w->n_inst; i++)
		for (unsigned n = 0; n < w->n_nodes; n++) {
			w->upeer[i][n] = (struct vrrp_unicast_peer){ .addr = sim_addr((uint16_t)i, n),
								     .ttl_min = n % 2 ? 200 : 0,
								     .ttl_max = 255 };
			w->conf[n][i].peers = w->upeer[i];
			w->conf[n][i].n_peers = (uint16_t)w->n_nodes;
			w->conf[n][i].unicast_ttl = 255;
		}
}

void sim_vrrp_kinds(struct sim *w)
{
	choose_versions(w);
	choose_unicast(w);
	w->owners = sim_chance(w, 0.08);
	w->arbitrate = sim_chance(w, 0.15);
	int64_t delay_ns = w->preempt && sim_chance(w, 0.3) ? sim_range(w, 300, 4000) * NS_PER_MS : 0;
	w->startup_ns = sim_chance(w, 0.2) ? sim_range(w, 200, 5000) * NS_PER_MS : 0;
	bool lower = sim_chance(w, 0.7), higher = sim_chance(w, 0.3);
	uint8_t down = sim_chance(w, 0.8) ? 3 : (uint8_t)sim_range(w, 2, 6);
	for (unsigned n = 0; n < w->n_nodes; n++)
		for (unsigned i = 0; i < w->n_inst; i++) {
			struct vrrp_conf *c = &w->conf[n][i];
			if (w->owners)
				c->priority = 255;
			c->preempt_delay_ns = delay_ns ? delay_ns + (int64_t)i * 100 * NS_PER_MS : 0;
			c->lower_advert = lower;
			c->higher_advert = higher;
			c->down_adverts = down;
		}
	w->count.unicast += w->unicast;
	w->count.mixed += w->conf[0][0].version != VRRP_V3;
	w->count.owners += w->owners;
	TRACE(w, "kinds: version %d and %d%s%s%s, preempt delay %lld ms, startup delay %lld ms, %u adverts",
	      (int)w->conf[0][0].version, (int)w->conf[1][0].version, w->conf[0][0].auth ? " with a password" : "",
	      w->unicast ? ", unicast" : "", w->owners ? ", owners" : "", (long long)(delay_ns / NS_PER_MS),
	      (long long)(w->startup_ns / NS_PER_MS), down);
}

void sim_vrrp_forget(struct sim *w, unsigned n)
{
	for (unsigned i = 0; i < SIM_INSTS; i++) {
		w->deaf[n][i] = (struct sim_span){ MONO_NEVER, MONO_NEVER };
		w->lower[n][i] = (struct sim_span){ MONO_NEVER, MONO_NEVER };
	}
	for (unsigned o = 0; o < SIM_NODES; o++)
		sim_vrrp_said(w, n, o, NULL);
	w->pause.on = false;
}

/* ---- what a node has heard ---- */

static int64_t gap_ns(const struct sim *w, unsigned n, unsigned i)
{
	return 2 * vrrp_own_down(&w->box[n].p->inst[i]);
}

static void span(struct sim_span *s, mono_t now, int64_t max_gap_ns)
{
	if (mono_is_never(s->since) || mono_sub(now, s->last) > max_gap_ns)
		s->since = now;
	s->last = now;
}

/* An owner that does not listen is endured by nobody who hears it. */
static void check_deaf(struct sim *w, unsigned n, uint16_t i, const struct node_group *g)
{
	const struct vrrp *v = &w->box[n].p->inst[i];
	struct sim_span *s = &w->deaf[n][i];
	bool first = !mono_is_never(g->first_decides_until) && mono_before(w->now, g->first_decides_until);
	if (v->state != VRRP_MASTER || first) {
		s->since = MONO_NEVER;
		return;
	}
	span(s, w->now, 3 * w->adv_ns);
	if (mono_sub(w->now, s->since) > 5 * w->adv_ns + YIELD_NS)
		sim_violation(w, "n%u is MASTER of vrid %u for %.0f ms beside an owner that does not listen", n + 1,
			      v->conf->vrid, (double)mono_sub(w->now, s->since) / 1e6);
}

/* ---- around each step of a node core ---- */

/* An advertisement that was accepted reaches the core. */
static void heard(struct sim *w, unsigned n, uint16_t i, const struct vrrp_ev *ev)
{
	const struct vrrp *v = &w->box[n].p->inst[i];
	struct addr deaf = sim_addr(i, SIM_DEAF);
	uint8_t priority = ev->u.advert.priority;
	if (addr_eq(&ev->u.advert.src, &deaf))
		check_deaf(w, n, i, &w->box[n].p->group[v->conf->group]);
	if (priority && priority < v->priority)
		span(&w->lower[n][i], w->now, gap_ns(w, n, i));
	else if (priority)
		w->lower[n][i].since = MONO_NEVER;
}

void sim_vrrp_before(struct sim *w, unsigned n, const struct node_ev *ev)
{
	const struct sim_proc *p = w->box[n].p;
	if (ev->type == NODE_EV_PEER_MSG || ev->type == NODE_EV_PEER_DOWN)
		sim_vrrp_said(w, n, (unsigned)sim_node_of(ev->peer), ev->msg);
	if (ev->type != NODE_EV_ADVERT)
		return;
	heard(w, n, ev->inst, ev->advert);
	w->before.echoes = p->inst[ev->inst].stats.v2_echoes;
	w->before.state = p->inst[ev->inst].state;
	w->before.deadline = vrrp_deadline(&p->inst[ev->inst]);
}

void sim_vrrp_after(struct sim *w, unsigned n, const struct node_ev *ev)
{
	const struct vrrp *v = &w->box[n].p->inst[ev->inst];
	for (unsigned i = 0; i < w->n_inst; i++)
		if (w->box[n].p->inst[i].state != VRRP_MASTER)
			w->deaf[n][i].since = MONO_NEVER;
	if (ev->type != NODE_EV_ADVERT || v->stats.v2_echoes == w->before.echoes)
		return;
	w->count.echo++;
	if (v->state == w->before.state && vrrp_deadline(v).ns != w->before.deadline.ns)
		sim_violation(w, "n%u: the version 2 form of a router that is heard in version 3 moved a timer", n + 1);
}

/* ---- what is said on the channel ---- */

void sim_vrrp_said(struct sim *w, unsigned n, unsigned from, const struct peer_msg *m)
{
	struct sim_said *s = w->said[n][from];
	for (unsigned g = 0; !m && g < SIM_GROUPS; g++)
		s[g] = (struct sim_said){ .at = MONO_NEVER };
	if (!m)
		return;
	if (m->type == PEER_LEAVING && m->group < w->n_groups) {
		s[m->group].leaving = true;
		s[m->group].ready = false;
		s[m->group].successor = m->successor;
	}
	for (unsigned i = 0; m->type == PEER_HEARTBEAT && i < m->n_groups; i++) {
		const struct peer_group_state *x = &m->groups[i];
		if (x->group >= w->n_groups)
			continue;
		bool serves = x->role == PEER_ROLE_MASTER || x->role == PEER_ROLE_MOVING;
		s[x->group] = (struct sim_said){ w->now,
						 x->role,
						 x->priority,
						 x->ready,
						 m->maintenance,
						 s[x->group].leaving && serves,
						 s[x->group].successor };
	}
}

static bool fresh(const struct sim *w, const struct sim_said *s)
{
	return !mono_is_never(s->at) && mono_sub(w->now, s->at) <= NODE_CHANNEL_NS;
}

/* A node on the channel that is no master, and goes before n: ready first, then the priority, then the lower number. */
static bool outranked(const struct sim *w, unsigned n, unsigned g)
{
	const struct node *me = &w->box[n].p->node;
	bool ready = node_group_ready(me, (uint16_t)g, w->now);
	uint8_t priority = 255;
	for (unsigned i = 0; i < w->n_inst; i++)
		if (w->conf[n][i].group == g && w->box[n].p->inst[i].priority < priority)
			priority = w->box[n].p->inst[i].priority;
	for (unsigned o = 0; o < w->n_nodes; o++) {
		const struct sim_said *s = &w->said[n][o][g];
		if (o == n || !fresh(w, s) || s->role != PEER_ROLE_BACKUP || s->maintenance || s->leaving)
			continue;
		if (s->ready != ready ? s->ready : s->priority != priority ? s->priority > priority : o < n)
			return true;
	}
	return false;
}

void sim_vrrp_begins(struct sim *w, unsigned n, unsigned g)
{
	const struct role *r = &w->box[n].p->group[g].role;
	bool heir = false, death = r->rec.reason == ROLE_R_PROCESS_DEATH, leaves = r->rec.reason == ROLE_R_PEER_LEAVING;
	for (unsigned o = 0; o < w->n_nodes; o++) {
		const struct sim_said *s = &w->said[n][o][g];
		bool serves = s->role == PEER_ROLE_MASTER || s->role == PEER_ROLE_MOVING;
		if (o == n)
			continue;
		if (w->arbitrate && r->rec.reason == ROLE_R_NO_RESPONSE && fresh(w, s) && serves && !s->leaving)
			sim_violation(w, "n%u takes group %u although n%u says on the channel that it serves", n + 1, g,
				      o + 1);
		heir |= s->leaving && s->successor == sim_node_id(n);
	}
	if (w->n_nodes < 3 || (!death && !leaves))
		return;
	/* Of whoever dies the next one takes the place when the better one has not done so for a while. */
	for (unsigned i = 0; death && i < w->box[n].p->node.n_peers; i++) {
		const struct node_peer *p = &w->box[n].p->node.peer[i];
		heir |= p->dead && mono_sub(w->now, p->dead_at) > NODE_CHANNEL_NS;
	}
	w->count.three++;
	if (!heir && outranked(w, n, g))
		sim_violation(w, "n%u succeeds in group %u (%s) before a fitter node", n + 1, g,
			      role_reason_text((uint8_t)r->rec.reason));
}

/* A group begins to prepare for a preemption. */
void sim_vrrp_preempts(struct sim *w, unsigned n, unsigned g)
{
	bool delayed = false;
	for (unsigned i = 0; i < w->n_inst; i++) {
		const struct vrrp *v = &w->box[n].p->inst[i];
		const struct sim_span *s = &w->lower[n][i];
		if (v->conf->group != g || v->state != VRRP_BACKUP || !v->conf->preempt_delay_ns)
			continue;
		delayed = true;
		if (mono_is_never(s->since) || mono_sub(w->now, s->since) < v->conf->preempt_delay_ns)
			sim_violation(w, "n%u preempts group %u before the preempt delay of vrid %u is over", n + 1, g,
				      v->conf->vrid);
	}
	w->count.preempt_delayed += delayed;
}

/* A group commits to a promotion. */
void sim_vrrp_commits(struct sim *w, unsigned n, unsigned g)
{
	const struct sim_proc *p = w->box[n].p;
	const struct role *r = &p->group[g].role;
	bool early = mono_before(w->now, mono_add(p->started, w->startup_ns));
	if (early && r->is != ROLE_MASTER && r->rec.reason != ROLE_R_OPERATOR) /* taking back is no taking */
		sim_violation(w, "n%u takes group %u during the startup delay", n + 1, g);
	if (!w->pause.on || r->rec.reason != ROLE_R_NO_RESPONSE)
		return;
	if (!w->pause.master && n == w->pause.node && mono_before(w->now, mono_add(w->pause.until, 2 * w->adv_ns)))
		sim_violation(w, "n%u takes group %u over from a master that is well, since it slept itself", n + 1, g);
	if (w->pause.master && n != w->pause.node &&
	    mono_before(w->now, mono_add(w->pause.at, (w->conf[n][0].down_adverts - 1) * w->adv_ns)))
		sim_violation(w, "n%u takes group %u over %.0f ms after the master fell asleep", n + 1, g,
			      (double)mono_sub(w->now, w->pause.at) / 1e6);
}

/* ---- a router that listens to nobody ---- */

/* An owner as RFC 9568 7.1 allows it, with the lowest address of the segment. */
void sim_vrrp_deaf(struct sim *w, uint16_t inst)
{
	struct addr src = sim_addr(inst, SIM_DEAF);
	for (unsigned to = 0; to < w->n_nodes; to++) {
		const struct vrrp_conf *c = &w->conf[to][inst];
		struct addr dst = vrrp_wire_conf_group(c);
		uint8_t buf[VRRP_MSG_MAX], version;
		for (unsigned at = 0; vrrp_wire_next_form(c, &at, &version);) {
			int len = vrrp_wire_build(c, version, 255, &src, &dst, buf, sizeof(buf));
			require(len > 0);
			sim_advert_to(w, SIM_DEAF, to, inst, buf, (size_t)len, VRRP_TTL, false);
		}
	}
}

/* ---- pauses ---- */

/* Nothing else is wrong: every node has a role, and adverts pass. */
static bool calm(const struct sim *w, unsigned *master)
{
	*master = SIM_NODES;
	if (mono_sub(w->now, w->fault_before) < 3 * NS_PER_SEC || w->n_groups != 1 || w->deaf_left)
		return false;
	for (unsigned s = 0; s < SIM_SEGS; s++)
		if (w->seg[s].loss > 0)
			return false;
	for (unsigned n = 0; n < w->n_nodes; n++) {
		const struct sim_proc *p = w->box[n].p;
		if (!sim_runs(w, n) || !p->node.running || p->node.maintenance || node_starting(&p->node) ||
		    mono_sub(w->now, p->started) < 6 * NS_PER_SEC || w->box[n].rtnl->refuse_n ||
		    mono_before(w->now, p->sync.hung_until))
			return false;
		const struct node_group *g = &p->group[0];
		if (g->role.state != ROLE_STABLE || (g->role.is != ROLE_BACKUP && g->role.is != ROLE_MASTER) ||
		    !mono_is_never(g->role.hold_until) || g->arbitrate)
			return false;
		for (unsigned s = 0; s < SIM_SEGS; s++)
			if (!w->box[n].cable[s])
				return false;
		for (unsigned o = 0; o < w->n_nodes; o++)
			if (w->seg[0].cut[n][o] || w->seg[1].cut[n][o] || w->chan.cut[n][o])
				return false;
		for (unsigned i = 0; i < w->n_inst; i++)
			if (p->inst[i].expired)
				return false;
		if (g->role.is == ROLE_MASTER && *master != SIM_NODES)
			return false;
		if (g->role.is == ROLE_MASTER)
			*master = n;
	}
	return *master != SIM_NODES;
}

void sim_vrrp_pause(struct sim *w)
{
	unsigned master = 0;
	bool well = calm(w, &master), of_master = sim_chance(w, 0.5);
	unsigned n = (unsigned)sim_below(w, w->n_nodes);
	if (well) {
		while ((n == master) != of_master)
			n = (n + 1) % w->n_nodes;
		w->pause.on = true;
		w->pause.master = of_master;
		w->pause.node = n;
		w->pause.at = w->now;
	}
	int64_t ns = sim_range(w, w->adv_ns / 2, 6 * w->adv_ns);
	w->pause.until = mono_add(w->now, ns);
	w->count.pause++;
	w->count.pause_calm += well;
	sim_stop(w, n, ns);
}

/* A master that slept for longer than anybody waits has a successor by then. */
void sim_vrrp_resumes(struct sim *w, unsigned n)
{
	bool taken = false;
	int64_t longest_ns = 0;
	for (unsigned i = 0; i < w->n_inst; i++) { /* what lay in the socket is heard now */
		w->deaf[n][i].since = MONO_NEVER;
		w->lower[n][i].last = w->now;
	}
	if (!w->pause.on || !w->pause.master || w->pause.node != n)
		return;
	for (unsigned o = 0; o < w->n_nodes; o++) {
		if (o == n || !w->box[o].p)
			continue;
		const struct role *r = &w->box[o].p->group[0].role;
		taken |= r->is == ROLE_MASTER || r->target == ROLE_MASTER;
		for (unsigned i = 0; i < w->n_inst; i++) {
			int64_t down_ns = vrrp_down(&w->box[o].p->inst[i]);
			longest_ns = down_ns > longest_ns ? down_ns : longest_ns;
		}
	}
	/* One node that lacks the sessions lets another go first, for one interval. */
	if (!taken && mono_sub(w->now, w->pause.at) > longest_ns + w->adv_ns + PREPARE_NS)
		sim_violation(w, "n%u slept for %.0f ms as MASTER, and nobody took over", n + 1,
			      (double)mono_sub(w->now, w->pause.at) / 1e6);
	w->count.pause_taken += taken;
}
