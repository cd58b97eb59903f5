/* Sweeps of the kernel's SAs and of conntrack entries. */
#include "daemon/app_sweep_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/app_sa.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/sweep_ct.h"

#define SLICE_NS        (1 * NS_PER_MS)
#define SWEEP_LIST_MAX  4096
#define CT_PROMOTED_MAX 128               /* tunnels of one promotion: more would take longer than may pass */
#define CT_PROMOTED_NS  (2 * NS_PER_MS)   /* later an entry is one of the new negotiation */
#define CT_DEMOTED_NS   (500 * NS_PER_MS) /* the role may be back */

/* ---- conntrack ---- */

static void send_tuples(struct app *a, struct sync_ct_list *l, int64_t limit_ns)
{
	struct sweeps *s = a->sweeps;
	if (!l || !l->n) {
		free(l);
		return;
	}
	l->until = mono_add(clock_mono(), limit_ns);
	struct sync_cmd cmd = { .type = SYNC_CMD_DELETE_CT, .list = l };
	uint32_t n = l->n;
	if (!a->sync) {
		s->count.ct_no_sync += n;
		free(l);
	} else if (sync_thread_send(a->sync, &cmd) < 0) {
		s->count.ct_refused += n;
		free(l);
	} else {
		s->count.ct_asked += n;
	}
}

static struct sync_ct_list *new_tuples(size_t n)
{
	return calloc(1, sizeof(struct sync_ct_list) + n * sizeof(struct ct_tuple));
}

void app_sweep_promoted(struct app *a, uint16_t group)
{
	struct sync_ct_list *l = NULL;
	unsigned tunnels = 0;
	for (uint16_t t = 0; t < a->node.n_tunnels; t++) {
		const struct ike_tunnel_conf *c = &a->node.tunnel[t].conf;
		if (c->group != group)
			continue;
		if (!l)
			l = new_tuples((size_t)CT_PROMOTED_MAX * SWEEP_CT_TUNNEL);
		if (!l || tunnels == CT_PROMOTED_MAX) {
			a->sweeps->count.ct_skipped++;
			continue;
		}
		tunnels++;
		l->n += sweep_ct_tunnel(&c->vip, &c->peer, l->tuple + l->n);
	}
	send_tuples(a, l, CT_PROMOTED_NS);
}

/* The role is gone: nothing of the tunnel lives here that could be hit by mistake. */
static bool at_rest(const struct app *a, uint16_t group)
{
	const struct role *r = &a->node.group[group].role;
	return r->is != ROLE_MASTER && r->state != ROLE_PREPARING && r->state != ROLE_COMMITTING;
}

static bool still_there(const struct app *a, const struct waiter *w)
{
	return w->tunnel < a->node.n_tunnels && strcmp(a->node.tunnel[w->tunnel].conf.name, w->name) == 0;
}

static void forget_conntrack(struct app *a, const struct sweep *s)
{
	uint32_t n_sa = 0;
	const struct xfrm_sa *sa = s->scan ? xfrm_scan_list(s->scan, &n_sa) : NULL;
	struct sync_ct_list *l = new_tuples((size_t)s->n * SWEEP_CT_TUNNEL + (size_t)n_sa * SWEEP_CT_ENCAP);
	bool any = false;
	if (s->filter.peer.af || !l) {
		free(l);
		return;
	}
	for (unsigned i = 0; i < s->n; i++) {
		if (!still_there(a, &s->waiter[i]))
			continue;
		const struct ike_tunnel_conf *c = &a->node.tunnel[s->waiter[i].tunnel].conf;
		if (!at_rest(a, c->group))
			continue;
		any = true;
		l->n += sweep_ct_tunnel(&c->vip, &c->peer, l->tuple + l->n);
	}
	for (uint32_t i = 0; any && i < n_sa; i++)
		if (sa[i].encap_sport && sa[i].encap_dport)
			l->n += sweep_ct_encap(&sa[i].src, &sa[i].dst, sa[i].encap_sport, sa[i].encap_dport,
					       l->tuple + l->n);
	send_tuples(a, l, CT_DEMOTED_NS);
}

/* ---- the queue ---- */

static void sweep_free(struct sweep *s)
{
	if (!s)
		return;
	xfrm_scan_free(s->scan);
	free(s->waiter);
	free(s);
}

static void count(struct sweeps *q, const struct sweep *s, int rc)
{
	static const struct xfrm_sweep_result nothing;
	const struct xfrm_sweep_result *r = s->scan ? xfrm_scan_result(s->scan) : &nothing;
	q->count.sweeps++;
	q->count.found += r->found;
	q->count.larval += r->larval;
	q->count.deleted += r->deleted;
	q->count.gone += r->gone;
	q->count.failed += r->failed;
	q->count.unread += r->unread;
	if (rc < 0 && rc != -EPROTONOSUPPORT) {
		q->count.errors++;
		q->last_error = rc;
	} else if (r->failed) {
		q->last_error = r->last_error;
	}
	q->took_ns = r->took_ns;
	q->max_ns = r->took_ns > q->max_ns ? r->took_ns : q->max_ns;
}

static void answer(struct app *a, const struct sweep *s, int rc)
{
	const struct xfrm_sweep_result *r = s->scan ? xfrm_scan_result(s->scan) : NULL;
	char vip[ADDR_TEXT_MAX];
	if (r && r->deleted)
		log_info(LOG_IKE, "%u SAs of %s removed from the kernel (%u larval)", r->deleted,
			 addr_text(&s->filter.vip, vip), r->larval);
	if (r && (r->failed || r->unread))
		log_warn(LOG_IKE, "%u SAs of %s could not be removed (%s), %u not be read", r->failed,
			 addr_text(&s->filter.vip, vip), err_text(r->last_error), r->unread);
	struct ike_ev ev = { .kind = IKE_EV_SWEPT, .ok = rc == 0 || rc == -EPROTONOSUPPORT };
	ev.matches = r ? r->deleted : 0;
	for (unsigned i = 0; i < s->n; i++) {
		const struct waiter *w = &s->waiter[i];
		struct node_ev ne = { .type = NODE_EV_IKE, .tunnel = w->tunnel, .ike = &ev };
		ev.epoch = w->epoch;
		ev.seq = w->seq;
		if (still_there(a, w))
			app_feed(a, &ne);
	}
}

static void finished(struct app *a, struct sweep *s, int rc)
{
	a->sweeps->running = NULL;
	if (s->dry) {
		sweep_dry_part(a, s, rc);
	} else {
		count(a->sweeps, s, rc);
		forget_conntrack(a, s);
		answer(a, s, rc);
	}
	sweep_free(s);
}

static int run_slice(void *ctx)
{
	struct sweep *s = ctx;
	int rc = xfrm_scan_run(s->scan, SLICE_NS);
	s->more = rc == 1;
	return rc < 0 ? rc : 0;
}

static void slice_done(struct kt_job *job);

static int submit(struct app *a, struct sweep *s)
{
	struct kt_job *job = kt_job_new(KT_CALL, s->dry ? KT_LATER : KT_DEMOTE, slice_done, a);
	if (!job)
		return -ENOMEM;
	job->call.fn = run_slice;
	job->call.ctx = s;
	int rc = kernel_thread_submit(a->kt, job);
	if (rc < 0)
		kt_job_free(job);
	return rc;
}

static void slice_done(struct kt_job *job)
{
	struct app *a = job->arg;
	struct sweep *s = job->call.ctx;
	int rc = job->result;
	a->sweeps->count.slices++;
	if (rc == 0 && s->more) {
		rc = submit(a, s);
		if (rc == 0)
			return;
	}
	finished(a, s, rc);
	sweep_run_next(a);
}

void sweep_run_next(struct app *a)
{
	struct sweeps *q = a->sweeps;
	while (!list_empty(&q->waiting)) {
		struct sweep *s = list_entry(q->waiting.next, struct sweep, node);
		if (q->running)
			return;
		list_del(&s->node);
		s->scan = xfrm_scan_new(&s->filter, s->dry != NULL, s->dry ? DRY_LIST_MAX : SWEEP_LIST_MAX);
		q->running = s;
		if (s->scan)
			xfrm_scan_spare(s->scan, app_sa_bridges(a));
		int rc = s->scan ? submit(a, s) : -ENOMEM;
		if (rc < 0)
			finished(a, s, rc);
	}
}

static bool same_filter(const struct xfrm_filter *x, const struct xfrm_filter *y)
{
	return addr_eq(&x->vip, &y->vip) && x->peer.af == y->peer.af && (!x->peer.af || addr_eq(&x->peer, &y->peer)) &&
	       x->has_reqid == y->has_reqid && x->has_mark == y->has_mark && x->has_if_id == y->has_if_id &&
	       x->reqid == y->reqid && x->mark == y->mark && x->if_id == y->if_id;
}

struct sweep *sweep_new(struct app *a, const struct xfrm_filter *f)
{
	struct sweep *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->filter = *f;
	list_add_tail(&a->sweeps->waiting, &s->node);
	return s;
}

static struct sweep *sweep_for(struct app *a, const struct xfrm_filter *f)
{
	list_for_each (node, &a->sweeps->waiting) {
		struct sweep *s = list_entry(node, struct sweep, node);
		if (!s->dry && same_filter(&s->filter, f)) {
			a->sweeps->count.shared++;
			return s;
		}
	}
	return sweep_new(a, f);
}

static bool join(struct sweep *s, const struct waiter *w)
{
	if (s->n == s->cap) {
		unsigned cap = s->cap ? 2 * s->cap : 4;
		struct waiter *more = realloc(s->waiter, cap * sizeof(*more));
		if (!more)
			return false;
		s->waiter = more;
		s->cap = cap;
	}
	s->waiter[s->n++] = *w;
	return true;
}

struct xfrm_filter sweep_filter(const struct ike_tunnel_conf *c)
{
	return (struct xfrm_filter){ .vip = c->vip,
				     .has_reqid = c->sa.has_reqid,
				     .has_mark = c->sa.has_mark,
				     .has_if_id = c->sa.has_if_id,
				     .reqid = c->sa.reqid,
				     .mark = c->sa.mark,
				     .if_id = c->sa.if_id };
}

static void answer_at_once(struct app *a, uint16_t tunnel, const struct ike_act *act, bool ok)
{
	struct ike_ev ev = { .kind = IKE_EV_SWEPT, .epoch = act->epoch, .seq = act->seq, .ok = ok };
	struct node_ev ne = { .type = NODE_EV_IKE, .tunnel = tunnel, .ike = &ev };
	app_feed(a, &ne);
}

void app_sweep(struct app *a, uint16_t tunnel, const struct ike_act *act)
{
	const struct ike_tunnel_conf *c = &a->node.tunnel[tunnel].conf;
	struct waiter w = { .tunnel = tunnel, .epoch = act->epoch, .seq = act->seq };
	struct xfrm_filter f = sweep_filter(c);
	/* Of a tunnel that serves, only what it has with its peer: where that one is unknown there is nothing exact. */
	if (a->node.tunnel[tunnel].active && !act->peer.af) {
		answer_at_once(a, tunnel, act, true);
		return;
	}
	memcpy(w.name, c->name, sizeof(w.name));
	f.vip = act->vip;
	f.peer = act->peer;
	struct sweep *s = sweep_for(a, &f);
	if (s && join(s, &w)) {
		sweep_run_next(a);
		return;
	}
	a->sweeps->count.errors++;
	a->sweeps->last_error = -ENOMEM;
	answer_at_once(a, tunnel, act, false);
}

/* ---- counters ---- */

/* Since they were cleared. */
static struct sync_ct_counts ct_counts(const struct app *a)
{
	const struct sync_ct_counts *b = &a->sweeps->ct_before;
	struct sync_ct_counts n = { 0 };
	if (!a->sync)
		return n;
	sync_thread_ct_counts(a->sync, &n);
	return (struct sync_ct_counts){ n.deleted - b->deleted, n.absent - b->absent, n.failed - b->failed,
					n.late - b->late };
}

void app_sweep_clear(struct app *a)
{
	struct sweeps *s = a->sweeps;
	memset(&s->count, 0, sizeof(s->count));
	s->last_error = 0;
	s->max_ns = 0;
	if (a->sync)
		sync_thread_ct_counts(a->sync, &s->ct_before);
}

json_t *app_sweep_json(const struct app *a)
{
	const struct sweeps *s = a->sweeps;
	struct sync_ct_counts ct = ct_counts(a);
	json_t *j = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:I, s:I}", "sweeps",
			      (json_int_t)s->count.sweeps, "shared", (json_int_t)s->count.shared, "slices",
			      (json_int_t)s->count.slices, "found", (json_int_t)s->count.found, "larval",
			      (json_int_t)s->count.larval, "deleted", (json_int_t)s->count.deleted, "gone",
			      (json_int_t)s->count.gone, "failed", (json_int_t)s->count.failed, "unread",
			      (json_int_t)s->count.unread, "errors", (json_int_t)s->count.errors, "error",
			      s->last_error ? err_text(s->last_error) : "", "last_us",
			      (json_int_t)(s->took_ns / NS_PER_US), "max_us", (json_int_t)(s->max_ns / NS_PER_US));
	json_t *c =
	    json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "asked", (json_int_t)s->count.ct_asked, "refused",
		      (json_int_t)s->count.ct_refused, "without_sync", (json_int_t)s->count.ct_no_sync, "skipped",
		      (json_int_t)s->count.ct_skipped, "deleted", (json_int_t)ct.deleted, "absent",
		      (json_int_t)ct.absent, "failed", (json_int_t)ct.failed, "late", (json_int_t)ct.late);
	json_object_set_new(j, "conntrack", c);
	return j;
}

int app_sweep_start(struct app *a)
{
	a->sweeps = calloc(1, sizeof(*a->sweeps));
	if (!a->sweeps)
		return -ENOMEM;
	list_init(&a->sweeps->waiting);
	return 0;
}

void app_sweep_stop(struct app *a)
{
	struct sweeps *s = a->sweeps;
	if (!s)
		return;
	list_for_each_safe (node, &s->waiting)
		sweep_free(list_entry(node, struct sweep, node));
	for (unsigned i = 0; i < DRY_WAITING_MAX; i++) {
		json_decref(s->dry[i].rows);
		free(s->dry[i].vip);
	}
	/* A slice that never ended is still the thread's. */
	if (!s->running)
		free(s);
	a->sweeps = NULL;
}
