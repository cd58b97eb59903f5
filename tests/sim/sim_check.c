/* The invariants. Each one reads what the world saw; none asks a core whether it thinks that it is right. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include "sync/sync_int.h"
#include "tests/sim/sim.h"

#define COMMIT_NS  (1200 * NS_PER_MS) /* COMMITTING runs to its bounded end, then the node yields */
#define STRAY_NS   (1500 * NS_PER_MS) /* addresses after a demotion: its own bound and one retry */
#define TRAFFIC_NS (20 * NS_PER_SEC)  /* younger than the shortest timer of a session in use */
#define FLUSHED_NS (60 * NS_PER_SEC)

static const struct node_group *group_of(const struct sim *w, unsigned n, unsigned g)
{
	return &w->box[n].p->group[g];
}

/* ---- around each step of a node core ---- */

void sim_check_before(struct sim *w, unsigned n, const struct node_ev *ev)
{
	struct sim_proc *p = w->box[n].p;
	p->seen = p->node.seen;
	sim_vrrp_before(w, n, ev);
	if (ev->type == NODE_EV_DROPPED)
		p->timer_before = vrrp_deadline(&p->inst[ev->inst]);
	if (ev->type != NODE_EV_SYNC)
		return;
	for (unsigned g = 0; ev->report->type == SYNC_REP_COMMITTED && g < w->n_groups; g++) {
		if (epoch_cmp(p->group[g].role.epoch, ev->report->epoch) <= 0)
			p->sg[g].stored = p->group[g].role.epoch;
		w->count.commit += g == 0 && p->group[g].role.state == ROLE_PREPARING;
	}
	bool fenced = ev->report->type == SYNC_REP_FENCED || ev->report->type == SYNC_REP_APPLIED;
	for (unsigned g = 0; fenced && g < w->n_groups; g++) { /* a fence holds for every lower epoch as well */
		int cmp = epoch_cmp(p->group[g].role.epoch, ev->report->epoch);
		bool asked = cmp == 0 || p->group[g].fence_waits;
		if (ev->report->type == SYNC_REP_FENCED ? cmp <= 0 : cmp == 0)
			p->sg[g].fenced = p->group[g].role.epoch;
		if (!asked || epoch_cmp(p->sg[g].fenced, p->group[g].role.epoch) != 0)
			continue;
		/* Another group's fence may have begun what this one finds done: sim_store_fenced has looked. */
		if (!ev->report->storing) {
			p->sg[g].stored = p->group[g].role.epoch;
		} else if (epoch_cmp(p->sg[g].storing, p->group[g].role.epoch) != 0) {
			p->sg[g].storing = p->group[g].role.epoch;
			p->sg[g].storing_at = w->now;
		}
	}
}

/* The point of no return: under a number that nobody has used, and after the old master let go or is gone. */
static void check_commit(struct sim *w, unsigned n, unsigned g)
{
	struct sim_box *b = &w->box[n];
	const struct role *r = &b->p->group[g].role;
	if (r->epoch.node != sim_node_id(n))
		sim_violation(w, "n%u commits group %u under epoch %llu.%u, which is not its own", n + 1, g,
			      (unsigned long long)r->epoch.counter, r->epoch.node);
	for (unsigned i = 0; i < w->n_epochs; i++)
		if (epoch_cmp(w->epochs[i].e, r->epoch) == 0 && !b->disk_lied)
			sim_violation(w, "epoch %llu.%u is used for two promotions",
				      (unsigned long long)r->epoch.counter, r->epoch.node);
	if (w->n_epochs < SIM_EPOCHS)
		w->epochs[w->n_epochs++] = (struct sim_epoch){ r->epoch, sim_node_id(n), b->p->life, (uint16_t)g };
	sim_vrrp_commits(w, n, g);
	sim_group_commits(w, n, g);
	if (!r->rec.at[ROLE_PH_GO].ns)
		return;
	bool said = false;
	for (unsigned i = 0; i < 64; i++)
		said |= w->gos[i].used && epoch_cmp(w->gos[i].e, r->epoch) == 0;
	if (!said)
		sim_violation(w, "n%u commits group %u on a GO that nobody said for epoch %llu.%u", n + 1, g,
			      (unsigned long long)r->epoch.counter, r->epoch.node);
}

/* After a quiet time with everything replicated a switch loses nothing that was established before the fault. */
static void demand(struct sim *w, unsigned n)
{
	const struct sim_proc *p = w->box[n].p;
	bool calm = mono_sub(w->fault_at, w->fault_before) > 15 * NS_PER_SEC &&
		    mono_sub(w->now, w->fault_at) < 4 * NS_PER_SEC &&
		    mono_sub(w->fault_at, p->started) > 15 * NS_PER_SEC;
	if (!calm || w->n_nodes != 2 || w->n_groups != 1 || !p->sync.told.have_all || !p->sync.told.equal)
		return;
	for (unsigned k = 0; k < SIM_SESS; k++) {
		struct sim_sess *s = &w->sess[k];
		bool short_lived = s->l4 == IPPROTO_UDP && s->idle;
		if (s->state != SESS_OPEN || s->kind != KIND_THROUGH || !s->step || short_lived || !s->well ||
		    s->by == (int)n || s->by < 0 || s->flushed.ns)
			continue;
		if (mono_sub(w->fault_at, s->opened) > 2 * NS_PER_SEC &&
		    mono_sub(w->fault_at, s->last) < 20 * NS_PER_SEC &&
		    mono_sub(w->fault_at, s->seen[s->by]) < 20 * NS_PER_SEC && mono_before(s->last, w->fault_at))
			s->must = (int)n;
	}
}

static void check_group(struct sim *w, unsigned n, unsigned g)
{
	struct sim_proc *p = w->box[n].p;
	struct sim_group *sg = &p->sg[g];
	const struct role *r = &p->group[g].role;
	bool begun = sg->state == ROLE_STABLE && (r->state == ROLE_PREPARING || r->state == ROLE_COMMITTING) &&
		     r->target == ROLE_MASTER;
	if (epoch_cmp(r->epoch, sg->highest) < 0)
		sim_violation(w, "n%u: the epoch of group %u goes back from %llu.%u to %llu.%u", n + 1, g,
			      (unsigned long long)sg->highest.counter, sg->highest.node,
			      (unsigned long long)r->epoch.counter, r->epoch.node);
	sg->highest = epoch_max(sg->highest, r->epoch);
	if (begun && r->rec.reason == ROLE_R_PREEMPTED && !node_gate_open(&p->node, w->now))
		sim_violation(w, "n%u preempts group %u although nobody said that it has everything", n + 1, g);
	if (begun)
		sim_vrrp_begins(w, n, g);
	if (begun && r->rec.reason == ROLE_R_PREEMPTED)
		sim_vrrp_preempts(w, n, g);
	if (r->state == ROLE_COMMITTING && sg->state != ROLE_COMMITTING)
		check_commit(w, n, g);
	if (sg->state == ROLE_COMMITTING && r->state != ROLE_COMMITTING && r->is == ROLE_MASTER) {
		w->count.takeover += r->kind != ROLE_K_PLANNED;
		w->count.planned += r->kind == ROLE_K_PLANNED;
		demand(w, n);
	}
	sg->served = sg->state == ROLE_STABLE && sg->is == ROLE_MASTER;
	sg->state = r->state;
	sg->is = r->is;
}

void sim_check_after(struct sim *w, unsigned n, const struct node_ev *ev)
{
	struct sim_proc *p = w->box[n].p;
	if (ev->type == NODE_EV_DROPPED && vrrp_deadline(&p->inst[ev->inst]).ns != p->timer_before.ns)
		sim_violation(w, "n%u: a packet that was dropped moved a timer", n + 1);
	sim_vrrp_after(w, n, ev);
	if (epoch_cmp(p->node.seen, p->seen) < 0)
		sim_violation(w, "n%u: the highest epoch known goes back", n + 1);
	for (unsigned g = 0; g < w->n_groups; g++)
		check_group(w, n, g);
	sim_track_check(w, n);
}

static void check_net_up(struct sim *w, unsigned n, const struct node_act *act)
{
	struct sim_proc *p = w->box[n].p;
	const struct role *r = &p->group[act->group].role;
	struct sim_group *sg = &p->sg[act->group];
	if (sg->served || (r->state == ROLE_STABLE && r->is == ROLE_MASTER))
		return; /* the rest of what could not be set; the role may have begun to end in the same step */
	for (const struct node_act *a = act + 1; a < p->acts.a + p->acts.n; a++)
		if (a->type == NODE_ACT_NET && a->group == act->group && a->net_mode == NODE_NET_DOWN)
			return; /* the same, and the role ended in the same step */
	if (r->state != ROLE_COMMITTING) {
		sim_violation(w, "n%u sets addresses of group %u before it commits", n + 1, act->group);
		return;
	}
	bool stores = epoch_cmp(sg->storing, r->epoch) == 0 && epoch_cmp(sg->stored, r->epoch) != 0;
	if (stores && !r->sync_late && mono_sub(w->now, sg->storing_at) < ROLE_STORE_NS)
		sim_violation(w, "n%u sets addresses of group %u before its store is in the kernel", n + 1, act->group);
	if (!r->has_sync || r->sync_late || epoch_cmp(sg->fenced, r->epoch) == 0)
		return;
	/* Without an answer only after the time of the step. */
	int64_t waited = mono_sub(w->now, sg->fence_at);
	if (epoch_cmp(sg->fence_asked, r->epoch) != 0 || waited < ROLE_FENCE_NS)
		sim_violation(w, "n%u sets addresses of group %u before SYNC has fenced", n + 1, act->group);
}

void sim_check_act(struct sim *w, unsigned n, const struct node_act *act)
{
	struct sim_proc *p = w->box[n].p;
	if (act->type == NODE_ACT_ADVERT && act->priority > 0 && p->must_drain & 1u << p->member[act->inst].group)
		sim_violation(w, "n%u slept longer than its neighbours wait and speaks as MASTER before it listens",
			      n + 1);
	if (act->type == NODE_ACT_NET && act->net_mode == NODE_NET_UP)
		check_net_up(w, n, act);
	if (act->type == NODE_ACT_ROLE_EPOCH && act->epoch.node == sim_node_id(n)) {
		if (epoch_cmp(act->epoch, p->seen) <= 0)
			sim_violation(w, "n%u draws epoch %llu.%u although it knows %llu.%u", n + 1,
				      (unsigned long long)act->epoch.counter, act->epoch.node,
				      (unsigned long long)p->seen.counter, p->seen.node);
		p->seen = epoch_max(p->seen, act->epoch);
	}
	if (act->type == NODE_ACT_SYNC && (act->cmd.type == SYNC_CMD_FENCE || act->cmd.type == SYNC_CMD_APPLY))
		for (unsigned g = 0; g < w->n_groups; g++) {
			struct epoch own = p->group[g].role.epoch;
			int cmp = epoch_cmp(own, act->cmd.epoch);
			bool shared = act->cmd.type == SYNC_CMD_FENCE && cmp < 0 && p->group[g].fence_waits;
			if (cmp != 0 && (!shared || epoch_cmp(p->sg[g].fence_asked, own) == 0))
				continue;
			p->sg[g].fence_asked = own;
			p->sg[g].fence_at = w->now;
		}
}

/* ---- who else is master ---- */

static bool better(const struct sim *w, unsigned a, unsigned b, unsigned inst)
{
	const struct vrrp *x = &w->box[a].p->inst[inst], *y = &w->box[b].p->inst[inst];
	return x->priority != y->priority ? x->priority > y->priority : addr_cmp(&x->src, &y->src) > 0;
}

static bool two_masters(const struct sim *w, unsigned a, unsigned b, unsigned inst)
{
	if (!sim_runs(w, a) || !sim_runs(w, b))
		return false;
	return w->box[a].p->inst[inst].state == VRRP_MASTER && w->box[b].p->inst[inst].state == VRRP_MASTER;
}

/* `to` has accepted an advert of `from`. */
void sim_check_heard(struct sim *w, unsigned from, unsigned to, uint16_t inst)
{
	if (from >= w->n_nodes || !two_masters(w, from, to, inst) || !better(w, from, to, inst))
		return;
	if (mono_is_never(w->both_heard[from][to][inst]))
		w->both_heard[from][to][inst] = w->now;
}

static void check_pair(struct sim *w, unsigned a, unsigned b, unsigned inst)
{
	if (!two_masters(w, a, b, inst)) {
		w->both_heard[a][b][inst] = MONO_NEVER;
		return;
	}
	const struct node_group *g = group_of(w, b, w->conf[b][inst].group);
	if (!mono_is_never(g->first_decides_until) && mono_before(w->now, g->first_decides_until)) {
		w->both_heard[a][b][inst] = MONO_NEVER; /* afterwards it counts from the next one on */
		return;
	}
	if (!mono_is_never(w->both_heard[a][b][inst]) && mono_sub(w->now, w->both_heard[a][b][inst]) > COMMIT_NS)
		sim_violation(w, "n%u and n%u are both MASTER of vrid %u, %.0f ms after n%u has heard the better one",
			      a + 1, b + 1, w->conf[0][inst].vrid,
			      (double)mono_sub(w->now, w->both_heard[a][b][inst]) / 1e6, b + 1);
}

/* ---- addresses ---- */

static void check_addrs(struct sim *w, unsigned n, unsigned g)
{
	struct sim_proc *p = w->box[n].p;
	const struct node_group *grp = &p->group[g];
	if (p->sg[g].copies_in && grp->role.state == ROLE_STABLE && grp->role.is != ROLE_MASTER)
		sim_violation(w, "n%u holds installed SA copies of group %u although it is %s", n + 1, g,
			      role_is_text((uint8_t)grp->role.is));
	bool may = grp->role.state == ROLE_COMMITTING || grp->role.state == ROLE_DEMOTING ||
		   grp->role.is == ROLE_MASTER || grp->adopting || !p->node.running;
	if (may || !sim_runs(w, n) || sim_vips_here(w, n, (uint16_t)g) == 0) {
		p->sg[g].stray_since = MONO_NEVER;
		return;
	}
	if (mono_is_never(p->sg[g].stray_since))
		p->sg[g].stray_since = w->now;
	else if (mono_sub(w->now, p->sg[g].stray_since) > STRAY_NS)
		sim_violation(w, "n%u bears addresses of group %u although it is %s", n + 1, g,
			      role_is_text((uint8_t)grp->role.is));
}

/* ---- sessions ---- */

const struct sim_sess *sim_check_session(const struct sim *w, const struct ct_tuple *orig)
{
	for (unsigned k = 0; k < SIM_SESS; k++)
		if (w->sess[k].state != SESS_FREE && memcmp(&w->sess[k].orig, orig, sizeof(*orig)) == 0)
			return &w->sess[k];
	return NULL;
}

/*
 * The last packet gave the timer what the lease had left just then, and the timer has run on untouched: no node can see
 * that a packet came.
 */
static bool is_hidden(struct sim *w, unsigned n, const struct sim_sess *s, const struct sess *x)
{
	const struct sync *core = w->box[n].p->sync.core;
	struct ct_entry e;
	if (!fake_ct_find(w->box[n].ct, &s->orig, &e))
		return false;
	int64_t full = sync_policy_full_timeout(&core->timeouts, &e), shown = e.timeout_s;
	int64_t gone = mono_sub(w->now, s->seen[n]) / NS_PER_SEC, lease = (int64_t)x->expire_s - sync_sec(core, w->now);
	return !sync_owner_evidence((uint32_t)(lease < 0 ? 0 : lease), e.timeout_s) && shown + gone <= full &&
	       shown + gone >= full - 1;
}

/* An entry that carries traffic here is not deleted because a timer ran out elsewhere. */
void sim_check_op(struct sim *w, unsigned n, const struct ct_op *op)
{
	if (op->type == CT_OP_CREATE) { /* what was seen before is not known to the new entry */
		struct sim_sess *made = (struct sim_sess *)(uintptr_t)sim_check_session(w, &op->e.orig);
		if (made && !fake_ct_find(w->box[n].ct, &op->e.orig, &(struct ct_entry){ 0 }))
			made->seen[n] = MONO_ZERO;
		return;
	}
	sim_check_touched(w, n, op);
	sim_check_dropped(w);
	if (op->type != CT_OP_DELETE || !op->cookie)
		return;
	const struct sess *x = sess_at(&w->box[n].p->sync.core->tbl, op->cookie);
	/* A peer's copy goes back into the store. */
	if (x && !(x->flags & SESS_GONE) && x->want != SESS_OP_PUT)
		return;
	const struct sim_sess *s = sim_check_session(w, &op->e.orig);
	if (!s || !x || x->want == SESS_OP_PUT || s->state != SESS_OPEN || s->by != (int)n)
		return;
	if (!s->seen[n].ns || mono_sub(w->now, s->seen[n]) > TRAFFIC_NS)
		return;
	/* A process that was started since has nothing but the kernel's timer to go by. */
	if (mono_before(s->seen[n], w->box[n].p->started))
		return;
	if (s->flushed.ns && mono_sub(w->now, s->flushed) < FLUSHED_NS)
		return;
	/* Its owner, asked for all it has, does not have it, and here is no role: no timer that ran out elsewhere. */
	const struct sync *core = w->box[n].p->sync.core;
	if (!core->owner.auth.any && (!s->ended[n].ns || mono_sub(w->now, s->ended[n]) > 5 * NS_PER_SEC)) {
		w->count.unnamed++;
		return;
	}
	struct flow_version v = sess_version(&w->box[n].p->sync.core->tbl, x);
	/* A copy that lives by what is left at its owner: a packet right after it was written moves its timer too little. */
	if (s->l4 == IPPROTO_UDP && s->idle && s->orig.sport % 2)
		return;
	/* Nobody's, and without a role here: a left-over that stands in the way of a living flow's copy. */
	if (v.node == 0)
		return;
	if (is_hidden(w, n, s, x)) {
		w->count.hidden++;
		return;
	}
	sim_violation(
	    w, "n%u deletes a session (port %u, version %llu.%u/%u of n%u, flags %#x) that it forwarded %.3f s ago",
	    n + 1, s->orig.sport, (unsigned long long)v.epoch.counter, v.epoch.node, v.claim, v.node, x->flags,
	    (double)mono_sub(w->now, s->seen[n]) / 1e9);
}

bool sim_check_quiet(const struct sim *w, unsigned a, unsigned b)
{
	const struct sim_proc *p = w->box[a].p, *q = w->box[b].p;
	if (!sim_runs(w, a) || !sim_runs(w, b) || !sim_path(w, a, b))
		return false;
	const struct sim_conn *k = a < b ? &w->conn[a][b][CHAN_DATA] : &w->conn[b][a][CHAN_DATA];
	const struct sync_peer *x = sync_peer_get(p->sync.core, sim_node_id(b));
	const struct sync_peer *y = sync_peer_get(q->sync.core, sim_node_id(a));
	return k->end[0] && k->end[1] && !k->n[0] && !k->n[1] && x->up && y->up && x->has_all && y->has_all &&
	       !p->sync.core->n_dirty && !q->sync.core->n_dirty && !p->sync.rx.n && !q->sync.rx.n &&
	       mono_due(p->sync.hung_until, w->now) && mono_due(q->sync.hung_until, w->now) &&
	       !p->sync.core->owner.muted && !q->sync.core->owner.muted;
}

static bool rec_of(const struct sync *s, uint32_t id, struct sim_rec *out)
{
	const struct sess *x = sess_at(&s->tbl, id);
	if (!x || x->flags & SESS_GONE)
		return false;
	sess_orig(&s->tbl, id, &out->orig);
	sess_reply(&s->tbl, id, &out->reply);
	out->version = sync_owner_effective(&s->owner, sess_version(&s->tbl, x));
	out->mine = out->version.node == s->conf->self;
	out->why = x->why;
	out->err = x->err;
	out->flags = x->flags;
	out->stored = x->list == SESS_LIST_STORE;
	out->mark = x->mark;
	out->tcp_state = x->flags & SESS_TCP ? x->tcp_state : 0;
	out->ending = x->flags & (SESS_DEAD_DEL | SESS_DEAD_EXP | SESS_ASK) || x->list == SESS_LIST_EXPIRY;
	out->synced = x->why == SYNC_WHY_NONE && out->version.node != 0;
	return true;
}

bool sim_rec_find(const struct sync *s, const struct ct_tuple *orig, struct sim_rec *out)
{
	uint32_t id;
	return sess_find(&s->tbl, orig, &id) && rec_of(s, id, out);
}

static bool rec_next(const struct sync *s, struct sess_walk *k, struct sim_rec *out)
{
	unsigned budget = UINT32_MAX;
	uint32_t id;
	while ((id = sess_walk_next(&s->tbl, k, &budget)) != 0)
		if (rec_of(s, id, out))
			return true;
	return false;
}

static bool owners(struct sim *w, unsigned a, unsigned b, char *why, size_t cap)
{
	const struct sync *s = w->box[a].p->sync.core, *t = w->box[b].p->sync.core;
	struct sess_walk k;
	struct sim_rec x, y;
	sess_walk_start(&k);
	while (rec_next(s, &k, &x)) {
		if (!x.synced || !x.mine || x.ending || !sim_rec_find(t, &x.orig, &y) || !y.synced || !y.mine ||
		    y.ending)
			continue;
		snprintf(why, cap, "n%u and n%u both own the session of port %u (%llu.%u/%u and %llu.%u/%u)", a + 1,
			 b + 1, x.orig.sport, (unsigned long long)x.version.epoch.counter, x.version.epoch.node,
			 x.version.claim, (unsigned long long)y.version.epoch.counter, y.version.epoch.node,
			 y.version.claim);
		return false;
	}
	return true;
}

static void check_owners(struct sim *w)
{
	char why[256];
	for (unsigned a = 0; a < w->n_nodes; a++)
		for (unsigned b = a + 1; b < w->n_nodes; b++)
			if (sim_check_quiet(w, a, b) && !owners(w, a, b, why, sizeof(why)))
				sim_violation(w, "%s", why);
}

void sim_check_end(struct sim *w, unsigned n, const struct ct_tuple *orig)
{
	struct sim_sess *s = (struct sim_sess *)(uintptr_t)sim_check_session(w, orig);
	if (s)
		s->ended[n] = w->now;
}

void sim_check_tick(struct sim *w)
{
	sim_group_tick(w);
	sim_check_sync_tick(w);
	for (unsigned a = 0; a < w->n_nodes; a++) {
		for (unsigned b = 0; b < w->n_nodes; b++)
			for (unsigned i = 0; a != b && i < w->n_inst; i++)
				check_pair(w, a, b, i);
		for (unsigned g = 0; w->box[a].p && g < w->n_groups; g++)
			check_addrs(w, a, g);
	}
	if (w->now.ns / NS_PER_SEC == (w->now.ns - 10 * NS_PER_MS) / NS_PER_SEC)
		return;
	check_owners(w);
	sim_check_sync_second(w);
	sim_ike_second(w);
}

/* ---- after everything was put right ---- */

bool sim_check_one_master(struct sim *w, char *why, size_t cap)
{
	for (unsigned g = 0; g < w->n_groups; g++) {
		unsigned masters = 0;
		for (unsigned n = 0; n < w->n_nodes; n++) {
			if (!sim_runs(w, n) || !w->box[n].p->node.running) {
				snprintf(why, cap, "n%u does not run", n + 1);
				return false;
			}
			const struct role *r = &group_of(w, n, g)->role;
			bool master = r->is == ROLE_MASTER && r->state == ROLE_STABLE;
			unsigned want = 0;
			for (unsigned i = 0; i < w->n_inst; i++) {
				if (w->conf[n][i].group != g)
					continue;
				want += master ? SIM_VIPS : 0;
				if ((w->box[n].p->inst[i].state == VRRP_MASTER) != master) {
					snprintf(why, cap, "n%u group %u is %s but vrid %u is %s", n + 1, g,
						 role_is_text((uint8_t)r->is), w->conf[n][i].vrid,
						 vrrp_state_text(w->box[n].p->inst[i].state));
					return false;
				}
			}
			unsigned here = sim_vips_here(w, n, (uint16_t)g);
			if (here != want) {
				snprintf(why, cap, "n%u (%s) bears %u addresses of group %u instead of %u", n + 1,
					 role_is_text((uint8_t)r->is), here, g, want);
				return false;
			}
			masters += master;
		}
		if (masters != 1) {
			snprintf(why, cap, "group %u has %u masters", g, masters);
			return false;
		}
	}
	return true;
}

static const char *differs(const struct sim *w, unsigned a, unsigned b, const struct sim_rec *x, struct sim_rec *y)
{
	struct ct_entry e, f;
	if (!sim_rec_find(w->box[b].p->sync.core, &x->orig, y))
		return "is not known there";
	if (!y->synced)
		return "is not replicated there";
	if (y->ending)
		return "is about to end there";
	if (flow_version_cmp(x->version, y->version) != 0)
		return "has another version there";
	bool kept = w->full_tables || (w->sync_conf[a].store == SYNC_STORE_WARM && !x->mine);
	if (x->stored && kept && memcmp(&x->reply, &y->reply, sizeof(x->reply)) == 0)
		return NULL; /* taken over, and its kernel has no room */
	if (!fake_ct_find(w->box[a].ct, &x->orig, &e))
		return "is not in its kernel";
	if (y->stored && (w->full_tables || w->sync_conf[b].store == SYNC_STORE_WARM))
		return memcmp(&e.reply, &y->reply, sizeof(e.reply)) != 0 ? "is translated otherwise in the store there"
									 : NULL;
	if (!fake_ct_find(w->box[b].ct, &x->orig, &f))
		return "is not in the kernel there";
	if (memcmp(&e.reply, &f.reply, sizeof(e.reply)) != 0 || (e.status ^ f.status) & (CT_ST_SRC_NAT | CT_ST_DST_NAT))
		return "is translated otherwise there";
	if ((e.status ^ f.status) & SYNC_STATUS_STABLE)
		return "has another status there";
	if (e.mark != f.mark)
		return "has another mark there";
	return e.tcp_state != f.tcp_state ? "has another TCP state there" : NULL;
}

/* Everything that `a` replicates is the same at `b`, in the records and in the kernels. */
static bool same(struct sim *w, unsigned a, unsigned b, char *why, size_t cap)
{
	const struct sync *s = w->box[a].p->sync.core;
	struct sess_walk k;
	struct sim_rec x, y = { 0 };
	sess_walk_start(&k);
	while (rec_next(s, &k, &x)) {
		const char *what = x.synced && !x.ending ? differs(w, a, b, &x, &y) : NULL;
		if (!what)
			continue;
		snprintf(why, cap,
			 "n%u's session of port %u (%u, version %llu.%u/%u of n%u, flags %#x) %s (n%u, %llu.%u/%u of "
			 "n%u, %s, "
			 "flags %#x, errno %u)",
			 a + 1, x.orig.sport, x.orig.l4, (unsigned long long)x.version.epoch.counter,
			 x.version.epoch.node, x.version.claim, x.version.node, x.flags, what, b + 1,
			 (unsigned long long)y.version.epoch.counter, y.version.epoch.node, y.version.claim,
			 y.version.node, sync_why_word(y.why), y.flags, y.err);
		return false;
	}
	return true;
}

/* What `show session statistics` says of the two: no session that nobody explains. */
static bool explained(struct sim *w, unsigned a, unsigned b, char *why, size_t cap)
{
	static struct sync_counts here, there;
	static struct sync_peer_counts told;
	struct sync_count_delta d;
	sync_count_now(w->box[a].p->sync.core, &here);
	sync_count_now(w->box[b].p->sync.core, &there);
	sync_count_sets(&there, &told);
	for (unsigned p = 0; p < SYNC_PROTO_N; p++) {
		sync_count_delta(&here, &told, p, &d);
		if (d.unexplained == 0)
			continue;
		snprintf(why, cap, "n%u has %lld sessions of %s, n%u %lld; %lld are explained", a + 1,
			 (long long)d.local, sync_proto_word((enum sync_proto)p), b + 1, (long long)d.peer,
			 (long long)d.explained);
		return false;
	}
	return true;
}

bool sim_check_tables(struct sim *w, char *why, size_t cap)
{
	for (unsigned a = 0; a < w->n_nodes; a++)
		for (unsigned b = 0; b < w->n_nodes; b++) {
			if (a == b)
				continue;
			if (!sim_check_quiet(w, a, b)) {
				const struct sim_proc *p = w->box[a].p, *q = w->box[b].p;
				const struct sync_peer *x = sync_peer_get(p->sync.core, sim_node_id(b));
				snprintf(why, cap,
					 "the channel between n%u and n%u does not come to rest (up %d, has all %d, "
					 "dirty %u %u, "
					 "muted %d %d)",
					 a + 1, b + 1, x->up, x->has_all, p->sync.core->n_dirty, q->sync.core->n_dirty,
					 p->sync.core->owner.muted, q->sync.core->owner.muted);
				return false;
			}
			if (!same(w, a, b, why, cap) || !owners(w, a, b, why, cap) || !explained(w, a, b, why, cap))
				return false;
			const struct sync_peer *p = sync_peer_get(w->box[a].p->sync.core, sim_node_id(b));
			if (!p->equal) {
				snprintf(why, cap, "n%u does not say that its copies of n%u's sessions are all there",
					 a + 1, b + 1);
				return false;
			}
		}
	return sim_check_kernels(w, why, cap);
}
