/*
 * The watch looks around four times a second: roles, the kernel's counter, SPIs that were not named for long. While it is
 * open the kernel's SAs of our addresses are read every five seconds, and at once when a peer uses an unknown SPI: an SA
 * can be younger than what the IKE daemon told, and it may belong to a connection that is not listed here.
 */
#include "daemon/app_watch.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "ike-hooks/xfrm_io.h"

#define LOOK_NS   (250 * NS_PER_MS)
#define SOON_NS   (5 * NS_PER_MS)  /* sockets and filters are made behind what is urgent in a promotion */
#define LATER_NS  (25 * NS_PER_MS) /* a tunnel that is being made is up soon */
#define DUMP_NS   (5 * NS_PER_SEC)
#define DUMP_SAS  2048 /* of one address; of more the IKE daemon has to tell */
#define SPIS_EACH 4    /* per tunnel: two while a rekey hands over, and as many that just ended */
#define SPIS_MIN  64
#define JOBS_MAX  16

struct app_watch {
	struct spi_watch w;
	struct spi_io *io;
	struct loop_timer *timer;
	mono_t due; /* of the timer */
	mono_t next_dump;
	bool no_kernel;    /* this kernel has no XFRM: there is nothing to read */
	unsigned jobs;     /* dumps under way */
	int64_t no_states; /* last value of the counter; -1: there is none */
	uint64_t no_state_rises, dumps, dumps_failed, dumps_refused;
	uint64_t late;     /* unknown SPIs that a dump explained */
	uint64_t reported; /* told to the tunnels */
	struct log_rate rise_rate;
};

static void due_by(struct app_watch *wa, mono_t at)
{
	if (!mono_before(at, wa->due))
		return;
	wa->due = at;
	loop_timer_set(wa->timer, at);
}

/* ---- SAs of the kernel ---- */

struct dump {
	struct app *app;
	struct addr vip, peer;
	uint32_t spi; /* 0: nobody asks, the list is read because it is time */
	struct xfrm_sweep_result result;
	uint32_t n;
	struct xfrm_sa sa[DUMP_SAS];
};

static int dump_run(void *ctx)
{
	struct dump *d = ctx;
	int rc = xfrm_list(&d->vip, NULL, d->sa, DUMP_SAS, &d->result);
	d->n = d->result.found < DUMP_SAS ? d->result.found : DUMP_SAS;
	return rc;
}

static void report(struct app *a, const struct addr *vip, const struct addr *peer, uint32_t spi)
{
	struct ike_ev ike = { .kind = IKE_EV_STALE_PEER, .spi = spi };
	a->watch->reported++;
	for (uint16_t t = 0; t < a->node.n_tunnels; t++) {
		const struct ike_tunnel_conf *c = &a->node.tunnel[t].conf;
		if (!c->watch_spi || !addr_eq(&c->vip, vip) || !addr_eq(&c->peer, peer))
			continue;
		struct node_ev ev = { .type = NODE_EV_IKE, .tunnel = t, .ike = &ike };
		app_feed(a, &ev);
	}
}

static void dump_done(struct kt_job *job)
{
	struct dump *d = job->call.ctx;
	struct app *a = d->app;
	struct app_watch *wa = a->watch;
	mono_t now = clock_mono();
	if (!wa) { /* the watch ended meanwhile */
		free(d);
		return;
	}
	wa->jobs -= wa->jobs > 0;
	wa->dumps++;
	wa->dumps_failed += job->result < 0;
	wa->no_kernel = job->result == -EPROTONOSUPPORT;
	for (uint32_t i = 0; i < d->n; i++)
		if (d->sa[i].proto == IPPROTO_ESP && addr_eq(&d->sa[i].dst, &d->vip))
			spi_watch_learn(&wa->w, &d->vip, d->sa[i].spi, now);
	struct spi_pair *p = d->spi ? spi_watch_find(&wa->w, &d->vip, &d->peer) : NULL;
	if (p && p->active && spi_watch_knows(&wa->w, &d->vip, d->spi))
		wa->late++;
	else if (p && p->active)
		report(a, &d->vip, &d->peer, d->spi);
	due_by(wa, mono_add(now, SOON_NS));
	free(d);
}

static bool dump(struct app *a, const struct addr *vip, const struct addr *peer, uint32_t spi)
{
	struct app_watch *wa = a->watch;
	struct dump *d = wa->jobs < JOBS_MAX ? malloc(sizeof(*d)) : NULL;
	struct kt_job *job = d ? kt_job_new(KT_CALL, spi ? KT_DEMOTE : KT_LATER, dump_done, a) : NULL;
	if (job) {
		d->app = a;
		d->vip = *vip;
		d->peer = peer ? *peer : (struct addr){ .af = ADDR_NONE };
		d->spi = spi;
		d->n = 0;
		job->call.fn = dump_run;
		job->call.ctx = d;
		if (kernel_thread_submit(a->kt, job) == 0) {
			wa->jobs++;
			return true;
		}
		kt_job_free(job);
	}
	wa->dumps_refused++;
	free(d);
	return false;
}

static bool is_heeded(const struct app *a, const struct addr *vip, const struct addr *peer, mono_t now)
{
	for (uint16_t t = 0; t < a->node.n_tunnels; t++) {
		const struct ike_tunnel *k = &a->node.tunnel[t];
		if (ike_heeds_spi(k, now) && addr_eq(&k->conf.vip, vip) && addr_eq(&k->conf.peer, peer))
			return true;
	}
	return false;
}

/* From the sockets. */
static void on_unknown(void *arg, struct spi_pair *pair, uint32_t spi)
{
	struct app *a = arg;
	struct addr vip = pair->vip, peer = pair->peer;
	mono_t now = clock_mono();
	if (!is_heeded(a, &vip, &peer, now)) {
		spi_watch_later(&a->watch->w, pair, mono_add(now, LATER_NS));
		return;
	}
	log_debug(LOG_IKE, "unknown SPI %08x", spi);
	if (a->watch->no_kernel || !dump(a, &vip, &peer, spi))
		report(a, &vip, &peer, spi);
}

/* ---- looking around ---- */

static void set_active(struct app_watch *wa, struct spi_pair *p, bool active, mono_t now)
{
	if (p->active == active)
		return;
	spi_watch_active(&wa->w, p, active);
	if (active)
		spi_watch_open(&wa->w, now);
	else
		spi_watch_forget(&wa->w, &p->vip);
	due_by(wa, mono_add(now, SOON_NS));
}

static void look_at(struct app_watch *wa, const struct ike_tunnel *t, mono_t now)
{
	struct spi_pair *p = t->conf.watch_spi ? spi_watch_find(&wa->w, &t->conf.vip, &t->conf.peer) : NULL;
	if (p)
		set_active(wa, p, t->active, now);
}

static void look_at_counter(struct app_watch *wa, mono_t now)
{
	int64_t n = spi_io_no_states(wa->io);
	unsigned suppressed;
	if (n > wa->no_states && wa->no_states >= 0) {
		wa->no_state_rises++;
		if (!spi_watch_wanted(&wa->w, now) && log_rate_ok(&wa->rise_rate, 1, &suppressed))
			log_info(LOG_IKE, "the kernel got %lld ESP packets without an SA: their senders are looked at",
				 (long long)(n - wa->no_states));
		spi_watch_open(&wa->w, now);
	}
	wa->no_states = n;
}

static void dump_all(struct app *a, mono_t now)
{
	struct spi_watch *w = &a->watch->w;
	a->watch->next_dump = mono_add(now, DUMP_NS);
	for (uint16_t i = 0; i < w->n; i++)
		if (w->pair[i].active && (i == 0 || !addr_eq(&w->pair[i].vip, &w->pair[i - 1].vip)))
			dump(a, &w->pair[i].vip, NULL, 0);
}

static void on_look(void *arg, mono_t deadline)
{
	struct app *a = arg;
	struct app_watch *wa = a->watch;
	mono_t now = clock_mono();
	(void)deadline;
	wa->due = MONO_NEVER;
	for (uint16_t t = 0; t < a->node.n_tunnels; t++)
		look_at(wa, &a->node.tunnel[t], now);
	bool any = spi_watch_any(&wa->w, ADDR_V4) || spi_watch_any(&wa->w, ADDR_V6);
	if (any)
		look_at_counter(wa, now);
	else
		wa->no_states = -1; /* what comes while others serve is not ours to look at */
	spi_watch_expire(&wa->w, now);
	if (any && spi_watch_wanted(&wa->w, now)) {
		if (mono_due(wa->next_dump, now))
			dump_all(a, now);
	} else {
		wa->next_dump = MONO_ZERO;
		wa->no_kernel = false; /* a module may come */
	}
	spi_io_update(wa->io, now);
	due_by(wa, mono_add(now, LOOK_NS));
}

void app_watch_act(struct app *a, uint16_t tunnel)
{
	struct app_watch *wa = a->watch;
	mono_t now = clock_mono();
	if (!wa)
		return;
	const struct ike_tunnel *t = &a->node.tunnel[tunnel];
	look_at(wa, t, now);
	if (t->active && t->conf.watch_spi)
		app_watch_open(a, NULL);
}

void app_watch_open(struct app *a, const char *why)
{
	struct app_watch *wa = a->watch;
	mono_t now = clock_mono();
	if (!wa)
		return;
	if (why && !spi_watch_wanted(&wa->w, now))
		log_info(LOG_IKE, "%s: packets with unknown SPIs are looked for", why);
	spi_watch_open(&wa->w, now);
	due_by(wa, mono_add(now, SOON_NS));
}

static void learn_named(struct app *a, const struct vici_ev *v)
{
	for (uint16_t t = 0; t < a->node.n_tunnels; t++) {
		const struct ike_tunnel_conf *c = &a->node.tunnel[t].conf;
		if (strcmp(c->ike, v->ike) == 0 || (c->warm && strcmp(c->warm_ike, v->ike) == 0))
			spi_watch_learn(&a->watch->w, &c->vip, v->spi_in, clock_mono());
	}
}

void app_watch_vici(struct app *a, const struct vici_ev *v)
{
	struct app_watch *wa = a->watch;
	if (!wa)
		return;
	uint32_t generation = wa->w.generation;
	if (v->kind == VICI_EV_ALERT && v->alert == VICI_ALERT_IKE_SPI) {
		app_watch_open(a, vici_alert_text(v->alert));
	} else if (v->kind == VICI_EV_REPLY && v->req == IKE_REQ_LIST && v->ok && v->tag.tunnel < a->node.n_tunnels) {
		for (unsigned i = 0; i < v->sample.n_spis; i++)
			spi_watch_learn(&wa->w, &a->node.tunnel[v->tag.tunnel].conf.vip, v->sample.spi_in[i],
					clock_mono());
	} else if (v->spi_in && ((v->kind == VICI_EV_CHILD_UPDOWN && v->up) || v->kind == VICI_EV_CHILD_REKEY)) {
		learn_named(a, v);
	}
	if (generation != wa->w.generation)
		due_by(wa, mono_add(clock_mono(), SOON_NS));
}

/* ---- start, reload, stop ---- */

static void free_arrays(struct spi_watch *w)
{
	free(w->pair);
	free(w->known);
	w->pair = NULL;
	w->known = NULL;
}

static bool build(const struct app *a, struct spi_watch *w)
{
	uint16_t n = a->node.n_tunnels;
	uint32_t spis = n * SPIS_EACH > SPIS_MIN ? n * SPIS_EACH : SPIS_MIN;
	struct spi_pair *pair = calloc(n + 1u, sizeof(*pair));
	struct spi_known *known = calloc(spis, sizeof(*known));
	if (!pair || !known) {
		free(pair);
		free(known);
		return false;
	}
	spi_watch_init(w, pair, n, known, spis, clock_mono());
	for (uint16_t t = 0; t < n; t++) {
		const struct ike_tunnel_conf *c = &a->node.tunnel[t].conf;
		if (c->watch_spi && c->peer.af)
			spi_watch_add(w, &c->vip, &c->peer);
	}
	return true;
}

static void carry(struct spi_watch *to, const struct spi_watch *from)
{
	for (uint32_t i = 0; i < from->n_known; i++)
		spi_watch_learn(to, &from->pair[from->known[i].vip].vip, from->known[i].spi, from->known[i].seen);
	for (uint16_t i = 0; i < from->n; i++) {
		struct spi_pair *p = spi_watch_find(to, &from->pair[i].vip, &from->pair[i].peer);
		if (p)
			*p = from->pair[i];
	}
	memcpy(to->count, from->count, sizeof(to->count));
	to->generation = from->generation + 1;
	to->open_until = from->open_until;
	to->tokens = from->tokens;
	to->openings = from->openings;
	to->evicted = from->evicted;
}

static struct app_watch *watch_new(struct app *a)
{
	struct app_watch *wa = calloc(1, sizeof(*wa));
	if (!wa)
		return NULL;
	wa->due = MONO_NEVER;
	wa->no_states = -1;
	wa->timer = loop_timer_new(a->loop, LOOP_NORMAL, on_look, a);
	wa->io = wa->timer ? spi_io_new(a->loop, &wa->w, on_unknown, a) : NULL;
	if (wa->io)
		return wa;
	loop_timer_free(wa->timer);
	free(wa);
	return NULL;
}

void app_watch_rebuild(struct app *a)
{
	struct spi_watch fresh;
	bool any = false;
	for (uint16_t t = 0; t < a->node.n_tunnels; t++)
		any |= a->node.tunnel[t].conf.watch_spi && a->node.tunnel[t].conf.peer.af;
	if (!any) {
		app_watch_free(a);
		return;
	}
	if (!a->watch)
		a->watch = watch_new(a);
	if (!a->watch || !build(a, &fresh)) {
		log_err(LOG_IKE,
			"no memory for the watch for unknown SPIs: peers that use an SA of the former master are "
			"found by dead peer detection only");
		return;
	}
	carry(&fresh, &a->watch->w);
	free_arrays(&a->watch->w);
	a->watch->w = fresh;
	due_by(a->watch, clock_mono());
}

void app_watch_free(struct app *a)
{
	struct app_watch *wa = a->watch;
	if (!wa)
		return;
	spi_io_free(wa->io);
	loop_timer_free(wa->timer);
	free_arrays(&wa->w);
	free(wa);
	a->watch = NULL;
}

/* ---- show ---- */

static json_t *pairs_json(const struct spi_watch *w, mono_t now)
{
	json_t *list = json_array();
	for (uint16_t i = 0; i < w->n; i++) {
		const struct spi_pair *p = &w->pair[i];
		char vip[ADDR_TEXT_MAX], peer[ADDR_TEXT_MAX], spi[12];
		snprintf(spi, sizeof(spi), "%08x", p->last_spi);
		json_t *j = json_pack("{s:s, s:s, s:b, s:I, s:I}", "vip", addr_text(&p->vip, vip), "peer",
				      addr_text(&p->peer, peer), "active", p->active, "unknown", (json_int_t)p->unknown,
				      "asked", (json_int_t)p->asked);
		bool any = !mono_is_never(p->last_at);
		json_object_set_new(j, "last_spi", any ? json_string(spi) : json_null());
		json_object_set_new(j, "last_us",
				    any ? json_integer((json_int_t)(mono_sub(now, p->last_at) / NS_PER_US))
					: json_null());
		json_array_append_new(list, j);
	}
	return list;
}

static json_t *sockets_json(const struct spi_io_stats *st)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < SPI_SOCK_N; i++) {
		const struct spi_io_sock_stats *s = &st->sock[i];
		json_array_append_new(
		    list, json_pack("{s:s, s:b, s:s, s:i, s:s}", "name", spi_sock_name((enum spi_sock)i), "open",
				    s->open, "filter", s->open ? spi_bpf_size_name(s->filter) : "", "instructions",
				    (int)(s->open ? s->filter_len : 0), "error", s->err ? strerror(-s->err) : ""));
	}
	return list;
}

json_t *app_watch_json(struct app *a)
{
	struct app_watch *wa = a->watch;
	mono_t now = clock_mono();
	if (!wa)
		return json_null();
	const struct spi_watch *w = &wa->w;
	const struct spi_io_stats *st = spi_io_stats(wa->io);
	bool open = spi_watch_wanted(w, now);
	json_t *verdicts = json_array();
	for (unsigned v = 0; v < SPI_VERDICT_N; v++)
		json_array_append_new(verdicts,
				      json_pack("{s:s, s:I}", "verdict", spi_verdict_text((enum spi_verdict)v),
						"packets", (json_int_t)w->count[v]));
	json_t *j = json_pack("{s:b, s:I, s:I, s:i, s:o, s:o, s:o}", "open", open, "open_for_us",
			      (json_int_t)(open ? mono_sub(w->open_until, now) / NS_PER_US : 0), "openings",
			      (json_int_t)w->openings, "known_spis", (int)w->n_known, "pairs", pairs_json(w, now),
			      "verdicts", verdicts, "sockets", sockets_json(st));
	json_object_set_new(j, "no_states", wa->no_states < 0 ? json_null() : json_integer((json_int_t)wa->no_states));
	const struct {
		const char *key;
		uint64_t value;
	} count[] = { { "no_state_rises", wa->no_state_rises },
		      { "kernel_lists", wa->dumps },
		      { "kernel_lists_failed", wa->dumps_failed },
		      { "kernel_lists_refused", wa->dumps_refused },
		      { "explained", wa->late },
		      { "reported", wa->reported },
		      { "evicted", w->evicted },
		      { "packets_read", st->packets },
		      { "reads", st->reads },
		      { "filters", st->filters },
		      { "queue_overflows", st->overflows },
		      { "socket_failures", st->failed } };
	for (unsigned i = 0; i < sizeof(count) / sizeof(count[0]); i++)
		json_object_set_new(j, count[i].key, json_integer((json_int_t)count[i].value));
	return j;
}
