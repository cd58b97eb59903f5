/*
 * Listings and imports on KERNEL, and when they happen.
 */
#include "daemon/app_sa_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "ike-hooks/sa_lock.h"

#define SCAN_EVERY (1 * NS_PER_SEC)
#define SCAN_SOON  (20 * NS_PER_MS) /* after a change: several come together */
#define SCAN_GAP   (50 * NS_PER_MS) /* at most so often */

/* ---- which tunnels ---- */

static int by_pair(const void *a, const void *b)
{
	return sa_pair_cmp(&((const struct sa_listed *)a)->pair, &((const struct sa_listed *)b)->pair);
}

const struct sa_listed *sa_listed_find(const struct app_sa *s, const struct addr *vip, const struct addr *peer)
{
	struct sa_listed exact = { .pair = { .vip = *vip, .peer = *peer } }, any = { .pair = { .vip = *vip } };
	const struct sa_listed *l = bsearch(&exact, s->listed, s->n_listed, sizeof(exact), by_pair);
	return l ? l : bsearch(&any, s->listed, s->n_listed, sizeof(any), by_pair);
}

static bool wanted(const struct app *a)
{
	for (uint16_t t = 0; t < a->node.n_tunnels; t++)
		if (a->node.tunnel[t].conf.sync_sa == IKE_SYNC_SA_INBOUND)
			return true;
	return false;
}

/* Anew before each use: tunnels come and go with a reload, and as the IKE daemon's connections do. */
static int list_tunnels(struct app_sa *s)
{
	const struct app *a = s->app;
	struct sa_listed *l = calloc(a->node.n_tunnels + 1u, sizeof(*l));
	if (!l)
		return -ENOMEM;
	free(s->listed);
	s->listed = l;
	s->n_listed = 0;
	for (uint16_t t = 0; t < a->node.n_tunnels; t++) {
		const struct ike_tunnel_conf *c = &a->node.tunnel[t].conf;
		if (c->sync_sa == IKE_SYNC_SA_INBOUND)
			l[s->n_listed++] = (struct sa_listed){ .pair = { .vip = c->vip, .peer = c->peer },
							       .group = c->group,
							       .priority = c->priority };
	}
	qsort(l, s->n_listed, sizeof(*l), by_pair);
	return 0;
}

bool sa_serves(const struct app *a, uint16_t group)
{
	const struct role *r = &a->node.group[group].role;
	return r->is == ROLE_MASTER || r->state == ROLE_COMMITTING;
}

void sa_tell_groups(struct app_sa *s)
{
	struct app *a = s->app;
	bool *any = calloc(a->node.n_groups + 1u, sizeof(*any));
	for (uint16_t i = 0; any && i < s->store.n; i++) {
		const struct sa_copy *sa = &sa_store_at(&s->store, i)->sa;
		const struct sa_listed *l = sa_listed_find(s, &sa->dst, &sa->src);
		if (l && l->group < a->node.n_groups)
			any[l->group] = true;
	}
	for (uint16_t g = 0; any && g < a->node.n_groups; g++) {
		if (any[g] == a->node.group[g].sa_copies)
			continue;
		struct node_ev ev = { .type = NODE_EV_SA_COPIES, .group = g, .on = any[g] };
		app_feed(a, &ev);
	}
	free(any);
}

/* ---- listings ---- */

struct scan_job {
	struct app_sa *s;
	struct sa_scan scan;
	struct sa_pair *pairs;
	uint16_t left; /* bridges */
	struct sa_bridges counts;
};

static int scan_run(void *ctx)
{
	struct scan_job *j = ctx;
	int rc = sa_scan(&j->scan);
	j->left = j->s->bridges.n;
	j->counts = j->s->bridges;
	return rc;
}

/* The addresses of a listing, each once. */
static void note_vips(struct app_sa *s, const struct scan_job *j)
{
	struct addr *vips = calloc(j->scan.n_pairs + 1u, sizeof(*vips));
	if (!vips)
		return;
	free(s->vips);
	s->vips = vips;
	s->n_vips = 0;
	for (unsigned i = 0; i < j->scan.n_pairs; i++)
		if (i == 0 || !addr_eq(&j->pairs[i].vip, &j->pairs[i - 1].vip))
			vips[s->n_vips++] = j->pairs[i].vip;
}

static void scan_failed(struct app_sa *s, int rc)
{
	unsigned held;
	s->count.scan_errors++;
	s->last_error = rc;
	if (log_rate_ok(&s->rate, 1, &held))
		log_warn(LOG_IKE, "the kernel's SAs could not be listed: %s; the standby has older copies",
			 err_text(rc));
}

static void scan_done(struct kt_job *job)
{
	struct scan_job *j = job->call.ctx;
	struct app_sa *s = j->s;
	s->scanning = false;
	s->count.scans++;
	s->scan_ns = j->scan.took_ns;
	if (j->scan.ended)
		log_info(LOG_IKE, "%u copied SAs removed from the kernel: their bridge is over", j->scan.ended);
	s->in_kernel = j->left;
	s->bridging = j->left > 0;
	s->ended = j->counts;
	if (job->result < 0) {
		scan_failed(s, job->result);
	} else {
		memcpy(s->out_drops, j->scan.drops, sizeof(s->out_drops));
		sa_send_take(&s->send, j->scan.n);
		note_vips(s, j);
		for (unsigned i = 0; i < s->n_peers; i++) {
			s->peers[i].lists = true;
			s->peers[i].vip = s->peers[i].part = 0;
		}
		if (j->scan.repeat)
			s->next_scan = mono_add(clock_mono(), SCAN_GAP);
		sa_pump(s);
	}
	/* What changed while it ran is for the next one. */
	mono_t now = clock_mono();
	loop_timer_set(s->timer, mono_max(mono_min(s->next_scan, mono_add(now, SCAN_EVERY)), mono_add(now, SCAN_GAP)));
	free(j->pairs);
	free(j);
}

static void scan_drop(struct scan_job *j)
{
	if (j)
		free(j->pairs);
	free(j);
}

static void scan_start(struct app_sa *s)
{
	struct app *a = s->app;
	struct scan_job *j = calloc(1, sizeof(*j));
	if (!j)
		return;
	j->pairs = calloc(s->n_listed + 1u, sizeof(*j->pairs));
	if (!j->pairs) {
		scan_drop(j);
		return;
	}
	unsigned n = 0;
	for (unsigned i = 0; i < s->n_listed; i++)
		if (sa_serves(a, s->listed[i].group))
			j->pairs[n++] = s->listed[i].pair;
	if (n == 0) {
		/* What was said stays said: the others need it when this role has gone over to them. */
		sa_send_clear(&s->send);
		s->n_vips = 0;
		scan_drop(j);
		return;
	}
	j->s = s;
	j->scan = (struct sa_scan){ .pairs = j->pairs,
				    .n_pairs = n,
				    .bridges = &s->bridges,
				    .print_key = s->print_key,
				    .room = s->room,
				    .list = sa_send_room(&s->send),
				    .cap = SA_COPIES_MAX };
	struct kt_job *job = kt_job_new(KT_CALL, KT_LATER, scan_done, a);
	if (job) {
		job->call.fn = scan_run;
		job->call.ctx = j;
		s->scanning = true;
		if (kernel_thread_submit(a->kt, job) == 0)
			return;
		s->scanning = false;
		kt_job_free(job);
	}
	scan_drop(j);
}

/* ---- the beat ---- */

static int begin(struct app_sa *s);

/* A reload may bring nodes; one that went stays in its place, and is not there. */
static void note_peers(struct app_sa *s)
{
	const struct app *a = s->app;
	for (uint8_t i = 0; i < a->node.n_peers && s->n_peers < SA_SEND_PEERS; i++)
		if (!sa_peer_of(s, a->node.peer[i].node))
			s->peers[s->n_peers++] =
			    (struct sa_peer){ .node = a->node.peer[i].node, .up = a->node.peer[i].up };
}

/* Copies of tunnels that are listed no longer. */
static void drop_unlisted(struct app_sa *s)
{
	for (uint16_t i = s->store.n; i-- > 0;) {
		const struct sa_copy *sa = &sa_store_at(&s->store, i)->sa;
		if (!sa_listed_find(s, &sa->dst, &sa->src))
			sa_store_drop(&s->store, i);
	}
}

static void on_timer(void *arg, mono_t deadline)
{
	struct app_sa *s = arg;
	mono_t now = clock_mono();
	(void)deadline;
	if (!s->seal && !s->refused && wanted(s->app))
		s->refused = begin(s);
	if (s->seal && list_tunnels(s) == 0) {
		note_peers(s);
		sa_store_tick(&s->store, now);
		drop_unlisted(s);
		sa_tell_groups(s);
		if (!s->scanning && mono_due(s->next_scan, now)) {
			s->next_scan = mono_add(now, SCAN_EVERY);
			scan_start(s);
		}
		sa_policies_check(s, now);
		for (unsigned i = 0; i < s->n_peers; i++)
			if (s->peers[i].up && !s->peers[i].offered)
				sa_offer(s, &s->peers[i]);
	}
	mono_t next =
	    s->seal && !s->scanning ? mono_min(s->next_scan, mono_add(now, SCAN_EVERY)) : mono_add(now, SCAN_EVERY);
	loop_timer_set(s->timer, mono_max(next, mono_add(now, SCAN_GAP)));
}

static void on_change(void *arg)
{
	struct app_sa *s = arg;
	mono_t soon = mono_add(clock_mono(), SCAN_SOON);
	if (!mono_before(soon, s->next_scan))
		return;
	s->next_scan = soon;
	loop_timer_set(s->timer, soon);
}

static void on_pump(void *arg, mono_t deadline)
{
	(void)deadline;
	sa_pump(arg);
}

/* ---- import ---- */

struct import_job {
	struct app_sa *s;
	struct sa_import im;
	uint16_t group;
	struct epoch epoch;
};

static int import_run(void *ctx)
{
	struct import_job *j = ctx;
	return sa_import(&j->im);
}

static void import_answer(struct app *a, uint16_t group, struct epoch epoch, int err)
{
	struct node_ev ev = { .type = NODE_EV_SA_IMPORTED, .group = group, .epoch = epoch, .err = err };
	app_feed(a, &ev);
}

static void import_done(struct kt_job *job)
{
	struct import_job *j = job->call.ctx;
	struct app_sa *s = j->s;
	const struct sa_import *im = &j->im;
	unsigned missing = (unsigned)im->n - im->installed;
	s->count.installed += im->installed;
	s->count.clashed += im->clashed;
	s->count.over += im->over;
	s->count.failed += im->failed;
	s->import_ns = im->took_ns;
	s->bridging = s->bridging || im->installed;
	s->in_kernel = (uint16_t)(s->in_kernel + im->installed);
	if (missing) {
		s->last_error = im->last_error;
		log_warn(LOG_IKE,
			 "%u of %u copied SAs were not installed: SPI in use %u, lifetime over %u, refused %u (%s)",
			 missing, im->n, im->clashed, im->over, im->failed, err_text(im->last_error));
	}
	log_info(LOG_IKE, "%u copied SAs installed in %lld us", im->installed, (long long)(im->took_ns / NS_PER_US));
	sa_lock_free(im->list);
	import_answer(s->app, j->group, j->epoch, missing || job->result < 0 ? -EIO : 0);
	free(j);
}

struct in_order {
	uint8_t priority;
	uint16_t at;
};

static int by_priority(const void *a, const void *b)
{
	const struct in_order *x = a, *y = b;
	return x->priority != y->priority ? (int)x->priority - y->priority : (int)x->at - y->at;
}

/* The group's copies into a locked list of their own, the most urgent tunnels first; and out of the store. */
static struct sa_copy *collect(struct app_sa *s, uint16_t group, uint16_t *n)
{
	struct in_order *order = calloc(s->store.n + 1u, sizeof(*order));
	mono_t now = clock_mono();
	*n = 0;
	for (uint16_t i = 0; order && i < s->store.n; i++) {
		const struct sa_copy *sa = &sa_store_at(&s->store, i)->sa;
		const struct sa_listed *l = sa_listed_find(s, &sa->dst, &sa->src);
		if (l && l->group == group)
			order[(*n)++] = (struct in_order){ .priority = l->priority, .at = i };
	}
	struct sa_copy *list = *n ? sa_lock_alloc(*n, sizeof(*list)) : NULL;
	if (list) {
		qsort(order, *n, sizeof(*order), by_priority);
		for (uint16_t i = 0; i < *n; i++) {
			const struct sa_held *h = sa_store_at(&s->store, order[i].at);
			list[i] = h->sa;
			list[i].left_s = sa_store_left(h, now);
		}
		for (uint16_t i = s->store.n; i-- > 0;) {
			const struct sa_copy *sa = &sa_store_at(&s->store, i)->sa;
			const struct sa_listed *l = sa_listed_find(s, &sa->dst, &sa->src);
			if (l && l->group == group)
				sa_store_drop(&s->store, i);
		}
	}
	free(order);
	return list;
}

void app_sa_import(struct app *a, uint16_t group, struct epoch epoch)
{
	struct app_sa *s = a->sa;
	struct import_job *j = s && s->seal ? calloc(1, sizeof(*j)) : NULL;
	struct kt_job *job = j ? kt_job_new(KT_CALL, KT_PROMOTE, import_done, a) : NULL;
	uint16_t n = 0;
	struct sa_copy *list = job ? collect(s, group, &n) : NULL;
	if (list) {
		s->count.imports++;
		*j = (struct import_job){ .s = s, .group = group, .epoch = epoch };
		j->im = (struct sa_import){ .list = list, .n = n, .bridges = &s->bridges, .room = s->room };
		job->call.fn = import_run;
		job->call.ctx = j;
		if (kernel_thread_submit(a->kt, job) == 0) {
			sa_tell_groups(s);
			return;
		}
		sa_lock_free(list);
	}
	bool none = job && n == 0;
	if (job)
		kt_job_free(job);
	free(j);
	/* Nothing to install is as good as everything installed. */
	import_answer(a, group, epoch, none ? 0 : -ENOMEM);
}

/* ---- removal ---- */

struct remove_job {
	struct app_sa *s;
	struct addr vip;
	uint16_t left;
};

static int remove_run(void *ctx)
{
	struct remove_job *j = ctx;
	int rc = sa_remove(&j->s->bridges, &j->vip, j->s->room);
	j->left = j->s->bridges.n;
	return rc;
}

static void remove_done(struct kt_job *job)
{
	struct remove_job *j = job->call.ctx;
	j->s->in_kernel = j->left;
	if (job->result > 0)
		log_info(LOG_IKE, "%d copied SAs removed: the role went", job->result);
	else if (job->result < 0)
		log_warn(LOG_IKE, "copied SAs could not be removed (%s): they end by themselves within %d s",
			 err_text(job->result), (int)(SA_LIFE_NS / NS_PER_SEC));
	free(j);
}

/* In the same queue as imports, so that a role that comes back at once keeps what it installs. */
static void remove_vip(struct app_sa *s, const struct addr *vip)
{
	struct remove_job *j = calloc(1, sizeof(*j));
	struct kt_job *job = j ? kt_job_new(KT_CALL, KT_PROMOTE, remove_done, s->app) : NULL;
	if (job) {
		*j = (struct remove_job){ .s = s, .vip = *vip };
		job->call.fn = remove_run;
		job->call.ctx = j;
		if (kernel_thread_submit(s->app->kt, job) == 0)
			return;
		kt_job_free(job);
	}
	free(j);
}

void app_sa_remove(struct app *a, uint16_t group)
{
	struct app_sa *s = a->sa;
	if (!s || !s->seal)
		return;
	/* Every tunnel: a reload may have taken sync_sa away since the import. */
	const struct addr *last = NULL;
	for (uint16_t t = 0; t < a->node.n_tunnels; t++) {
		const struct ike_tunnel_conf *c = &a->node.tunnel[t].conf;
		if (c->group != group || (last && addr_eq(last, &c->vip)))
			continue;
		remove_vip(s, &c->vip);
		last = &c->vip;
	}
}

/* ---- start and stop ---- */

const struct sa_bridges *app_sa_bridges(const struct app *a)
{
	return a->sa && a->sa->seal ? &a->sa->bridges : NULL;
}

static void free_memory(struct app_sa *s)
{
	sa_seal_free(s->seal);
	s->seal = NULL;
	for (unsigned i = 0; i < 2; i++) {
		sa_lock_free(s->send.copies[i]);
		free(s->send.sent[i]);
		s->send.copies[i] = NULL;
		s->send.sent[i] = NULL;
	}
	free(s->send.tops);
	sa_lock_free(s->store.held);
	free(s->store.order);
	free(s->bridges.list);
	sa_lock_free(s->room);
	sa_lock_free(s->plain);
	sa_lock_free(s->scratch);
	s->send.tops = NULL;
	s->store.held = NULL;
	s->store.order = NULL;
	s->bridges.list = NULL;
	s->room = s->plain = NULL;
	s->scratch = NULL;
}

static bool get_memory(struct app_sa *s)
{
	bool ok = true;
	for (unsigned i = 0; i < 2; i++) {
		s->send.copies[i] = sa_lock_alloc(SA_COPIES_MAX, sizeof(struct sa_copy));
		s->send.sent[i] = calloc(SA_COPIES_MAX, sizeof(struct sa_sent));
		ok = ok && s->send.copies[i] && s->send.sent[i];
	}
	s->send.cap = SA_COPIES_MAX;
	s->send.tops = calloc(SA_COPIES_MAX, sizeof(*s->send.tops));
	struct sa_held *held = sa_lock_alloc(SA_COPIES_MAX, sizeof(*held));
	uint16_t *order = calloc(SA_COPIES_MAX, sizeof(*order));
	s->bridges.list = calloc(SA_COPIES_MAX, sizeof(*s->bridges.list));
	s->bridges.cap = SA_COPIES_MAX;
	s->room = sa_lock_alloc(1, SA_ROOM_SIZE);
	s->plain = sa_lock_alloc(1, SA_PLAIN_MAX);
	s->scratch = sa_lock_alloc(1, sizeof(*s->scratch));
	s->store.held = held;
	s->store.order = order;
	if (held && order)
		sa_store_init(&s->store, held, order, SA_COPIES_MAX);
	s->seal = sa_seal_new();
	return ok && s->send.tops && held && order && s->bridges.list && s->room && s->plain && s->scratch && s->seal;
}

/* A tunnel wants copies. 0, or -errno, and then there are none until the next start. */
static int begin(struct app_sa *s)
{
	struct app *a = s->app;
	if (!a->peer)
		return -ENOTCONN;
	if (a->sync_conf.insecure) {
		log_err(LOG_IKE, "sync_sa is refused: %s", sa_drop_text(SA_DROP_INSECURE));
		return -EPERM;
	}
	if (getrandom(s->print_key, sizeof(s->print_key), 0) != sizeof(s->print_key))
		return -EIO;
	if (!get_memory(s)) {
		int err = errno ? errno : ENOMEM;
		free_memory(s);
		log_err(LOG_IKE, "sync_sa is off: memory for keys cannot be locked (%s); raise LimitMEMLOCK",
			err_text(-err));
		return -err;
	}
	s->hint = sa_hint_new(a->loop, on_change, s);
	if (!s->hint) {
		int err = errno;
		free_memory(s);
		log_err(LOG_IKE, "sync_sa is off: no word from the kernel about its SAs (%s)", err_text(-err));
		return -err;
	}
	log_info(LOG_IKE, "inbound SAs are copied between the nodes");
	return 0;
}

int app_sa_start(struct app *a)
{
	struct app_sa *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->app = a;
	a->sa = s;
	s->timer = loop_timer_new(a->loop, LOOP_NORMAL, on_timer, s);
	s->pump = loop_timer_new(a->loop, LOOP_NORMAL, on_pump, s);
	if (!s->timer || !s->pump)
		return -errno;
	loop_timer_set(s->timer, clock_mono());
	return 0;
}

void app_sa_stop(struct app *a)
{
	struct app_sa *s = a->sa;
	if (!s)
		return;
	loop_timer_free(s->timer);
	loop_timer_free(s->pump);
	sa_hint_free(s->hint);
	a->sa = NULL;
	/* A job that never ended still works in that memory. */
	if (s->scanning || s->asking)
		return;
	free_memory(s);
	free(s->listed);
	free(s->vips);
	free(s);
}
