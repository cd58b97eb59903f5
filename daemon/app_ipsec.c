/*
 * The IKE daemon's configuration and SAs as ktsh shows them; history of tunnels; findings in the log.
 */
#include "daemon/app_ipsec_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/app_sa.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/ipsec_files.h"

/* ---- memory of tunnels ---- */

static bool fits(const struct app *a)
{
	const struct ipsec *p = a->ipsec;

	if (p->n_tunnels != a->node.n_tunnels)
		return false;
	for (unsigned t = 0; t < p->n_tunnels; t++) {
		if (strcmp(p->tunnel[t].name, a->node.tunnel[t].conf.name) != 0)
			return false;
	}
	return true;
}

/* The node core's tunnels changed: memory follows them by name. */
static void rebuild(struct app *a)
{
	struct ipsec *p = a->ipsec;
	unsigned n = a->node.n_tunnels;

	if (fits(a))
		return;
	struct ipsec_tunnel *now = calloc(n + 1u, sizeof(*now));
	if (!now)
		return; /* what is there stays; nothing but a view is missing */
	for (unsigned t = 0; t < n; t++) {
		for (unsigned o = 0; o < p->n_tunnels; o++) {
			if (strcmp(p->tunnel[o].name, a->node.tunnel[t].conf.name) == 0)
				now[t] = p->tunnel[o];
		}
		if (!now[t].name[0])
			now[t].error_at = now[t].missing_at = MONO_NEVER;
		memcpy(now[t].name, a->node.tunnel[t].conf.name, sizeof(now[t].name));
	}
	free(p->tunnel);
	p->tunnel = now;
	p->n_tunnels = n;
}

struct ipsec_tunnel *app_ipsec_tunnel(struct app *a, uint16_t t)
{
	static struct ipsec_tunnel none; /* only without memory */
	struct ipsec *p = a->ipsec;

	if (t >= p->n_tunnels || strcmp(p->tunnel[t].name, a->node.tunnel[t].conf.name) != 0)
		rebuild(a);
	return t < p->n_tunnels ? &p->tunnel[t] : &none;
}

/* ---- history ---- */

void app_ipsec_trace(struct app *a, uint16_t tunnel, const struct ike_act *act)
{
	if (!a->ipsec)
		return;
	struct ipsec_tunnel *m = app_ipsec_tunnel(a, tunnel);
	struct ike_hist_entry e = { .wall_us = clock_wall_us(),
				    .at = clock_mono(),
				    .epoch = a->node.tunnel[tunnel].epoch,
				    .from = (uint8_t)act->from,
				    .to = (uint8_t)act->to,
				    .why = (uint8_t)act->reason };
	ike_hist_add(&m->hist, &e);
	m->unwanted += act->reason == IKE_WHY_UNWANTED && act->from != act->to;
	if (act->to == IKE_UP && act->from != IKE_UP)
		ipsec_probe_begin(a, tunnel);
}

/* ---- configuration files, on kt-disk ---- */

struct reading {
	struct app *a;
	struct ipsec_files files;
};

static int read_run(void *ctx)
{
	struct reading *r = ctx;

	return ipsec_files_read(&r->files);
}

static void ask_conns(struct app *a);

static void read_done(struct kt_job *job)
{
	struct reading *r = job->call.ctx;
	struct ipsec *p = r->a->ipsec;

	free(p->swan);
	p->swan = r->files.facts.conn;
	p->facts = r->files.facts;
	p->file_known = job->result == 0;
	p->retransmit_s = r->files.repeats ? swan_retransmit_s(&p->facts) : 0;
	memcpy(p->file_error, r->files.error, sizeof(p->file_error));
	free(r);
	if (p->ended)
		p->stage = IPSEC_REST;
	else
		ask_conns(p->a);
}

static bool read_begin(struct app *a)
{
	struct reading *r = calloc(1, sizeof(*r));
	struct swan_conn *room = calloc(IPSEC_CONNS_MAX, sizeof(*room));
	struct kt_job *job = r && room ? kt_job_new(KT_CALL, KT_LATER, read_done, a) : NULL;

	if (job) {
		*r = (struct reading){ .a = a };
		snprintf(r->files.swanctl, sizeof(r->files.swanctl), "%s", a->cfg->swanctl_conf);
		snprintf(r->files.strongswan, sizeof(r->files.strongswan), "%s", a->cfg->strongswan_conf);
		swan_facts_init(&r->files.facts, room, IPSEC_CONNS_MAX);
		job->call.fn = read_run;
		job->call.ctx = r;
		job->call.disk = true;
		if (kernel_thread_submit(a->kt, job) == 0)
			return true;
		kt_job_free(job);
	}
	free(r);
	free(room);
	return false;
}

/* ---- gathering ---- */

static void gathered(struct app *a);

static const char *unasked(const struct app *a)
{
	return a->vici ? "the IKE daemon does not answer"
		       : "no tunnel has backend vici, and only strongSwan tells them";
}

static void ask_sas(struct app *a)
{
	struct ipsec *p = a->ipsec;

	p->stage = IPSEC_SAS;
	p->n_sas = p->more_sas = 0;
	p->sas_known = false;
	snprintf(p->sas_error, sizeof(p->sas_error), "%s", unasked(a));
	if (!a->vici || vici_sas(a->vici, (struct vici_tag){ .tunnel = IPSEC_GATHER_TAG, .seq = p->seq }) < 0)
		gathered(a);
}

static int by_name(const void *a, const void *b)
{
	const struct vici_conn *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* The list takes the place of the former one, or there is none any more. */
static void conns_ended(struct app *a, bool ok, const char *why)
{
	struct ipsec *p = a->ipsec;
	const struct vici_conn **sorted = ok ? calloc(p->n_fresh + 1u, sizeof(*sorted)) : NULL;

	p->conns_known = sorted != NULL;
	snprintf(p->conns_error, sizeof(p->conns_error), "%s", ok ? "no memory" : why);
	if (sorted) {
		struct vici_conn *old = p->conn;
		unsigned cap = p->cap_conns;
		p->conn = p->fresh;
		p->n_conns = p->n_fresh;
		p->cap_conns = p->cap_fresh;
		p->more_conns = p->more_fresh;
		p->fresh = old;
		p->cap_fresh = cap;
		for (unsigned i = 0; i < p->n_conns; i++)
			sorted[i] = &p->conn[i];
		qsort(sorted, p->n_conns, sizeof(*sorted), by_name);
		free(p->by_name);
		p->by_name = sorted;
	}
	ask_sas(a);
}

static void ask_conns(struct app *a)
{
	struct ipsec *p = a->ipsec;

	p->stage = IPSEC_CONNS;
	p->n_fresh = p->more_fresh = 0;
	if (!a->vici || vici_conns(a->vici, (struct vici_tag){ .tunnel = IPSEC_GATHER_TAG, .seq = p->seq }) < 0)
		conns_ended(a, false, unasked(a));
}

void app_ipsec_gather(struct app *a)
{
	struct ipsec *p = a->ipsec;

	if (p->stage != IPSEC_REST || p->ended) {
		p->again = true;
		return;
	}
	p->stage = IPSEC_FILES;
	p->seq++;
	if (!a->vici || !read_begin(a))
		ask_conns(a);
}

/* One more element of an array that grows up to max. NULL: there is no room. */
static void *grow(void **array, unsigned n, unsigned *cap, unsigned max, size_t size)
{
	if (n == *cap && *cap < max) {
		unsigned more = *cap ? *cap * 2 : 64;
		void *now = reallocarray(*array, more, size);
		if (!now)
			return NULL;
		*array = now;
		*cap = more;
	}
	return n < *cap ? (char *)*array + n * size : NULL;
}

static void take_conn(struct ipsec *p, const struct vici_conn *c)
{
	struct vici_conn *to = grow((void **)&p->fresh, p->n_fresh, &p->cap_fresh, IPSEC_CONNS_MAX, sizeof(*to));

	if (!to) {
		p->more_fresh++;
		return;
	}
	*to = *c;
	if (p->file_known)
		swan_merge(&p->facts, to);
	p->n_fresh++;
}

static bool ours(const struct app *a, const char *ike, uint16_t *t)
{
	for (*t = 0; *t < a->node.n_tunnels; ++*t) {
		const struct ike_tunnel_conf *c = &a->node.tunnel[*t].conf;
		if (strcmp(c->ike, ike) == 0 || (c->warm && strcmp(c->warm_ike, ike) == 0))
			return true;
	}
	return false;
}

static void take_sa(struct app *a, const struct vici_ev *v)
{
	struct ipsec *p = a->ipsec;
	struct vici_detail_rd rd;
	struct vici_detail d;
	uint16_t t;

	vici_detail_begin(&rd, v->msg, v->msg_len);
	while (vici_detail_next(&rd, &d)) {
		if (!ours(a, d.ike.name, &t))
			continue;
		if (vici_detail_floated(&d.ike))
			app_ipsec_tunnel(a, t)->floated = true;
		struct vici_detail *to = grow((void **)&p->sa, p->n_sas, &p->cap_sas, IPSEC_SAS_MAX, sizeof(*to));
		if (to) {
			*to = d;
			p->n_sas++;
		} else {
			p->more_sas++;
		}
	}
}

static void moved(struct app *a, const char *ike)
{
	for (uint16_t t = 0; t < a->node.n_tunnels; t++) {
		if (strcmp(a->node.tunnel[t].conf.ike, ike) == 0)
			app_ipsec_tunnel(a, t)->moved++;
	}
}

static void list_ended(struct app *a, const struct vici_ev *v)
{
	struct ipsec *p = a->ipsec;
	bool conns = v->kind == VICI_EV_CONNS;

	if (v->tag.tunnel != IPSEC_GATHER_TAG || v->tag.seq != p->seq || p->stage != (conns ? IPSEC_CONNS : IPSEC_SAS))
		return;
	if (!conns) {
		p->sas_known = v->ok;
		snprintf(p->sas_error, sizeof(p->sas_error), "%s", v->ok ? "" : v->errmsg);
		gathered(a);
		return;
	}
	conns_ended(a, v->ok, v->errmsg);
}

void app_ipsec_vici(struct app *a, const struct vici_ev *v)
{
	struct ipsec *p = a->ipsec;

	if (!p)
		return;
	switch (v->kind) {
	case VICI_EV_UP:
		app_ipsec_gather(a);
		return;
	case VICI_EV_DOWN:
		/* Nothing that was asked comes any more. */
		if (p->stage == IPSEC_CONNS)
			conns_ended(a, false, "the IKE daemon does not answer");
		else if (p->stage == IPSEC_SAS)
			gathered(a);
		return;
	case VICI_EV_REPLY:
		if (v->tag.tunnel >= IPSEC_PROBE_TAG && v->tag.tunnel < IPSEC_GATHER_TAG)
			ipsec_probe_answer(a, v);
		else if (!v->ok && v->tag.tunnel < a->node.n_tunnels && *v->errmsg) {
			struct ipsec_tunnel *m = app_ipsec_tunnel(a, (uint16_t)v->tag.tunnel);
			snprintf(m->error, sizeof(m->error), "%s", v->errmsg);
			m->error_at = clock_mono();
		}
		return;
	case VICI_EV_IKE_UPDATE:
		moved(a, v->ike);
		return;
	case VICI_EV_CONN:
		if (v->tag.tunnel == IPSEC_GATHER_TAG && v->tag.seq == p->seq && p->stage == IPSEC_CONNS)
			take_conn(p, v->conn);
		return;
	case VICI_EV_SA:
		if (v->tag.tunnel == IPSEC_GATHER_TAG && v->tag.seq == p->seq && p->stage == IPSEC_SAS)
			take_sa(a, v);
		return;
	case VICI_EV_ALERT:
		return; /* the log has it */
	case VICI_EV_CONNS:
	case VICI_EV_SAS:
		list_ended(a, v);
		return;
	case VICI_EV_IKE_UPDOWN:
	case VICI_EV_CHILD_UPDOWN:
	case VICI_EV_IKE_REKEY:
	case VICI_EV_CHILD_REKEY:
		return;
	}
}

struct ipsec_view app_ipsec_view(const struct app *a)
{
	const struct ipsec *p = a->ipsec;

	return (struct ipsec_view){ .conn = p->conn,
				    .n_conns = p->n_conns,
				    .more_conns = p->more_conns,
				    .conns_known = p->conns_known,
				    .conns_error = p->conns_known ? "" : p->conns_error,
				    .sa = p->sa,
				    .n_sas = p->n_sas,
				    .more_sas = p->more_sas,
				    .sas_known = p->sas_known,
				    .sas_error = p->sas_known ? "" : p->sas_error,
				    .file = a->cfg->swanctl_conf,
				    .file_error = p->file_error,
				    .file_known = p->file_known,
				    .retransmit_s = p->retransmit_s,
				    .at = p->at };
}

const struct vici_conn *app_ipsec_conn(const struct app *a, const char *name)
{
	const struct ipsec *p = a->ipsec;
	struct vici_conn key = { .name = "" };
	const struct vici_conn *wanted = &key;

	if (!p->conns_known || strlen(name) >= sizeof(key.name))
		return NULL;
	memcpy(key.name, name, strlen(name) + 1);
	const struct vici_conn **at = bsearch(&wanted, p->by_name, p->n_conns, sizeof(*p->by_name), by_name);
	return at ? *at : NULL;
}

/* ---- findings ---- */

/* Why the configuration of such an IKE daemon cannot be looked at; "": it can. */
static const char *unlinted(enum ike_backend b)
{
	switch (b) {
	case IKE_BACKEND_VICI:
		break;
	case IKE_BACKEND_LIBRESWAN:
		return "libreswan does not tell its connections; its conn needs left = the virtual address, auto=add, "
		       "mobike=no, initial-contact=yes and dpdaction=clear";
	case IKE_BACKEND_EXEC:
		return "a program reaches the IKE daemon, and it does not tell its connections; nothing but the role "
		       "may "
		       "start the tunnel, and nothing may move it to another address";
	case IKE_BACKEND_NONE:
		return "no IKE daemon is asked (backend = \"none\")";
	}
	return "";
}

bool app_ipsec_lint(struct app *a, uint16_t t, struct ike_lint_out *out, const char **why)
{
	const struct ipsec *p = a->ipsec;
	const struct ike_tunnel_conf *c = &a->node.tunnel[t].conf;
	const struct ipsec_tunnel *m = app_ipsec_tunnel(a, t);

	*why = unlinted(c->backend);
	if (!**why && !p->conns_known)
		*why = p->conns_error;
	if (**why)
		return false;
	struct ike_lint_in in = { .tunnel = c,
				  .conn = app_ipsec_conn(a, c->ike),
				  .warm = c->warm ? app_ipsec_conn(a, c->warm_ike) : NULL,
				  .retransmit_s = p->retransmit_s,
				  .floated = m->floated,
				  .moved = m->moved,
				  .copies = c->sync_sa ? app_sa_policy(a, &c->vip, &c->peer) : SA_POLICY_UNKNOWN,
				  .unwanted = m->unwanted };
	ike_lint(&in, out);
	return true;
}

/* After its start an IKE daemon has no connections for a moment: only what lasts is told. */
static bool lasts(struct ipsec_tunnel *m, bool missing, mono_t now)
{
	if (!missing)
		m->missing_at = MONO_NEVER;
	else if (mono_is_never(m->missing_at))
		m->missing_at = now;
	return missing && mono_sub(now, m->missing_at) >= IPSEC_LOADED_NS;
}

static void tell_finding(const struct ike_tunnel_conf *c, const struct ike_finding *f)
{
	char fix[400];

	log_warn(LOG_IKE, "tunnel %s, connection %s: %s = %s: %s; %s", c->name, c->ike, ike_lint_setting(f->what),
		 f->value, ike_lint_danger(f->what), ike_lint_fix(f->what, c, fix, sizeof(fix)));
}

/* Each finding is logged once, and again only after it was gone. True: the connection is missing. */
static bool tell_tunnel(struct app *a, uint16_t t)
{
	struct ipsec_tunnel *m = app_ipsec_tunnel(a, t);
	struct ike_lint_out out;
	const char *why;

	if (a->node.tunnel[t].conf.gone || !app_ipsec_lint(a, t, &out, &why))
		return false;
	bool none = out.n && out.f[0].what == IKE_LINT_NO_CONN;
	uint32_t now = none ? m->told : 0; /* the others cannot be judged */
	bool tell = lasts(m, none, clock_mono()) || !none;
	for (unsigned i = 0; i < out.n && tell; i++) {
		uint32_t bit = 1u << out.f[i].what;
		now |= bit;
		if (!(m->told & bit) && ike_lint_grade(out.f[i].what) != IKE_GRADE_NOTE)
			tell_finding(&a->node.tunnel[t].conf, &out.f[i]);
	}
	m->told = now;
	return none;
}

/* Some tunnels in one pass of the loop; then the next ones, or a look at what is missing now. */
static void on_look(void *arg, mono_t deadline)
{
	struct ipsec *p = arg;
	struct app *a = p->a;
	unsigned end = p->tell_at + IPSEC_TELL_PASS;
	mono_t now = clock_mono();

	(void)deadline;
	if (p->ended)
		return;
	if (p->tell_at >= a->node.n_tunnels) {
		app_ipsec_gather(a);
		return;
	}
	for (; p->tell_at < end && p->tell_at < a->node.n_tunnels; p->tell_at++)
		p->missing |= tell_tunnel(a, (uint16_t)p->tell_at);
	if (p->tell_at < a->node.n_tunnels)
		loop_timer_set(p->look_timer, now);
	else
		loop_timer_set(p->look_timer, p->missing ? mono_add(now, IPSEC_LOADED_NS) : MONO_NEVER);
}

static void tell_findings(struct app *a)
{
	struct ipsec *p = a->ipsec;

	p->tell_at = 0;
	p->missing = false;
	loop_timer_set(p->look_timer, a->node.n_tunnels ? clock_mono() : MONO_NEVER);
}

static void gathered(struct app *a)
{
	struct ipsec *p = a->ipsec;

	p->stage = IPSEC_REST;
	p->at = clock_mono();
	if (p->ended)
		return;
	tell_findings(a);
	ipsec_answer_waiting(a);
	if (p->again) {
		p->again = false;
		app_ipsec_gather(a); /* for those who asked meanwhile */
	}
}

int app_ipsec_start(struct app *a)
{
	struct ipsec *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->a = a;
	p->at = MONO_NEVER;
	snprintf(p->conns_error, sizeof(p->conns_error), "the IKE daemon was not reached yet");
	snprintf(p->sas_error, sizeof(p->sas_error), "%s", p->conns_error);
	a->ipsec = p;
	p->look_timer = loop_timer_new(a->loop, LOOP_NORMAL, on_look, p);
	if (!p->look_timer)
		return -ENOMEM;
	rebuild(a);
	return ipsec_probe_start(a);
}

void app_ipsec_end(struct app *a)
{
	if (a->ipsec)
		a->ipsec->ended = true;
}

void app_ipsec_free(struct app *a)
{
	struct ipsec *p = a->ipsec;

	if (!p)
		return;
	loop_timer_free(p->probe_timer);
	loop_timer_free(p->look_timer);
	free(p->by_name);
	free(p->conn);
	free(p->fresh);
	free(p->sa);
	free(p->swan);
	free(p->tunnel);
	free(p);
	a->ipsec = NULL;
}

void app_ipsec_reload(struct app *a)
{
	rebuild(a);
	app_ipsec_gather(a);
}
