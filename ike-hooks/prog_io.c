#include "ike-hooks/prog_io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/err.h"
#include "daemon/base/require.h"
#include "ike-hooks/child_io.h"

#define NOBODY   (-1)
#define ALL      (-2)
#define PAUSE_NS (50 * NS_PER_MS) /* nothing can be started: no descriptors, no memory */

/* A request that did not begin yet. */
struct job {
	bool wanted;
	enum ike_verb verb;
	struct prog_tag tag;
	const char *reason;
	uint64_t order;
};

/* What one list or probe speaks of: all tunnels of libreswan, one of exec. */
struct unit {
	bool up, running;
	bool doubt; /* a list failed: a probe is next */
	mono_t next;
};

struct tunnel {
	const struct ike_tunnel_conf *conf;
	uint16_t index; /* the caller's */
	bool running;   /* a program of this tunnel */
	struct job drop, then;
	bool list_wanted;
	struct prog_tag list_tag;
	mono_t list_asked;
	struct unit unit;
	struct ike_watch watch;
	struct ike_sample sample; /* of the list under way */
	bool said;                /* the list under way says something of this tunnel */
};

/* A program that runs, by its slot. */
struct run {
	bool version; /* whack --version, not a verb */
	enum ike_verb verb;
	int who; /* tunnel, ALL or NOBODY */
	struct prog_tag tag;
	mono_t began;
	size_t bytes;
	struct sa_lines lines;
	char last[PROG_TEXT_MAX];
};

struct prog {
	struct loop *loop;
	enum ike_backend backend;
	const struct ike_backend_info *info;
	prog_fn fn;
	prog_env_fn env;
	void *arg;
	struct children *children;
	struct loop_timer *timer;
	const char *whack, *ctl;
	struct tunnel *t;
	uint16_t *by_name; /* tunnels in the order of their connections */
	uint16_t n;
	struct unit all;
	struct run run[CHILD_SLOTS];
	unsigned lists; /* running */
	uint64_t order;
	bool starting, version_wanted;
	mono_t hold; /* nothing is started before */
	char version[PROG_TEXT_MAX], error[PROG_TEXT_MAX];
	struct prog_counters count;
};

static struct unit *unit_of(struct prog *p, struct tunnel *t)
{
	return p->info->one_list ? &p->all : &t->unit;
}

static struct tunnel *tunnel_at(const struct prog *p, int who)
{
	return who >= 0 && who < p->n ? &p->t[who] : NULL;
}

static void tell(struct prog *p, const struct tunnel *t, struct prog_ev *ev)
{
	ev->tunnel = t->index;
	if (!ev->errmsg)
		ev->errmsg = "";
	p->fn(p->arg, ev);
}

static void kick(struct prog *p);

/* ---- starting ---- */

static int start_exec(struct prog *p, const struct tunnel *t, enum ike_verb v, const struct job *job)
{
	char *envp[HA_ENV_N], vip[ADDR_TEXT_MAX], peer[ADDR_TEXT_MAX];
	struct exec_env env = { .tunnel = t->conf->name,
				.vip = addr_text(&t->conf->vip, vip),
				.peer = addr_text(&t->conf->peer, peer),
				.ike = t->conf->ike,
				.child = t->conf->child };

	if (job) {
		env.reason = job->reason;
		env.epoch = job->tag.epoch;
	}
	p->env(p->arg, t->index, &env);
	if (!ha_env_fill(envp, ike_verb_name(v), &env))
		return -ENOMEM;
	int rc =
	    child_run(p->children, t->conf->exec, (const char *const *)envp, t->conf->exec_timeout_ns, PROG_GRACE_NS);
	ha_env_free(envp);
	return rc;
}

static int start_whack(struct prog *p, const struct tunnel *t, enum ike_verb v)
{
	static const char *const envp[] = { HA_ENV_PATH, NULL };
	const char *words[IKE_WHACK_WORDS];

	ike_whack_words(v, p->whack, p->ctl, t ? t->conf->ike : "", ike_whack_major(p->version) >= 5, words);
	return child_run(p->children, words, envp, p->info->timeout_ns, 0);
}

static int start_version(struct prog *p)
{
	static const char *const envp[] = { HA_ENV_PATH, NULL };
	const char *const words[] = { p->whack, "--version", NULL };

	return child_run(p->children, words, envp, p->info->timeout_ns, 0);
}

/* A slot, or negative: then nothing is started for a while. */
static int begin(struct prog *p, int who, enum ike_verb v, const struct job *job, bool version)
{
	struct tunnel *t = tunnel_at(p, who);
	int slot = version                   ? start_version(p)
		   : t && !p->info->one_list ? start_exec(p, t, v, job)
					     : start_whack(p, t, v);

	if (slot < 0) {
		p->hold = mono_add(loop_now(p->loop), PAUSE_NS);
		snprintf(p->error, sizeof(p->error), "no program can be started: %s", err_text(slot));
		p->count.failed++;
		return slot;
	}
	struct run *r = &p->run[slot];
	*r = (struct run){ .version = version, .verb = v, .who = who, .began = loop_now(p->loop) };
	sa_lines_init(&r->lines);
	if (job)
		r->tag = job->tag;
	p->count.runs++;
	return slot;
}

static bool is_list(enum ike_verb v)
{
	return v == IKE_VERB_LIST || v == IKE_VERB_PROBE;
}

static void begin_list(struct prog *p, int who, struct unit *u)
{
	enum ike_verb v = u->up && !u->doubt ? IKE_VERB_LIST : IKE_VERB_PROBE;

	if (begin(p, who, v, NULL, false) < 0)
		return;
	u->running = true;
	p->lists++;
	p->count.lists += v == IKE_VERB_LIST;
	for (uint16_t i = 0; i < p->n; i++) {
		struct tunnel *t = &p->t[i];
		if (who != ALL && who != (int)i)
			continue;
		t->running = t->running || who != ALL;
		t->sample = (struct ike_sample){ 0 };
		t->said = false;
	}
}

/* The oldest drop or close, else the oldest other request, of a tunnel for which nothing runs. */
static bool next_job(struct prog *p, int *who, struct job **job)
{
	*job = NULL;
	for (unsigned kind = 0; kind < 2 && !*job; kind++) {
		for (uint16_t i = 0; i < p->n; i++) {
			struct tunnel *t = &p->t[i];
			struct job *j = kind == 0 ? &t->drop : &t->then;
			if (t->running || !j->wanted || (kind == 1 && t->drop.wanted) ||
			    (*job && (*job)->order < j->order))
				continue;
			*job = j;
			*who = (int)i;
		}
	}
	return *job;
}

static void begin_jobs(struct prog *p)
{
	struct job *job;
	int who;

	while (children_running(p->children) < CHILD_SLOTS && next_job(p, &who, &job)) {
		if (begin(p, who, job->verb, job, false) < 0)
			return;
		job->wanted = false;
		p->t[who].running = true;
	}
}

static void begin_lists(struct prog *p, mono_t now)
{
	if (p->info->one_list) {
		if (p->n && !p->all.running && mono_due(p->all.next, now))
			begin_list(p, ALL, &p->all);
		return;
	}
	for (uint16_t i = 0; i < p->n && p->lists < PROG_LISTS_MAX; i++) {
		struct tunnel *t = &p->t[i];
		if (!t->running && mono_due(t->unit.next, now) && mono_due(p->hold, now))
			begin_list(p, (int)i, &t->unit);
	}
}

static void arm(struct prog *p, mono_t now)
{
	mono_t next = MONO_NEVER;

	if (!mono_due(p->hold, now)) {
		loop_timer_set(p->timer, p->hold);
		return;
	}
	if (p->info->one_list && p->n && !p->all.running)
		next = p->all.next;
	for (uint16_t i = 0; !p->info->one_list && i < p->n && p->lists < PROG_LISTS_MAX; i++)
		if (!p->t[i].running)
			next = mono_min(next, p->t[i].unit.next);
	loop_timer_set(p->timer, next);
}

/* Starts what is due and has room. */
static void kick(struct prog *p)
{
	mono_t now = loop_now(p->loop);

	if (p->starting)
		return;
	p->starting = true;
	if (mono_due(p->hold, now)) {
		if (p->version_wanted && begin(p, NOBODY, IKE_VERB_N, NULL, true) >= 0)
			p->version_wanted = false;
		begin_jobs(p);
		if (mono_due(p->hold, now))
			begin_lists(p, now);
	}
	p->starting = false;
	arm(p, now);
}

static void on_timer(void *arg, mono_t deadline)
{
	(void)deadline;
	kick(arg);
}

/* ---- output ---- */

static int by_name_cmp(const struct prog *p, uint16_t i, const char *name)
{
	return strcmp(p->t[p->by_name[i]].conf->ike, name);
}

/* Adds a row to all tunnels with this connection. */
static void add_named(struct prog *p, const char *name, const struct sa_text_row *row)
{
	unsigned lo = 0, hi = p->n;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;
		if (by_name_cmp(p, (uint16_t)mid, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < p->n && by_name_cmp(p, (uint16_t)lo, name) == 0; lo++) {
		struct tunnel *t = &p->t[p->by_name[lo]];
		sa_text_add(&t->sample, row);
		t->said = true;
	}
}

static void list_line(struct prog *p, struct run *r)
{
	struct tunnel *t = tunnel_at(p, r->who);
	struct sa_text_row row;
	enum sa_text_drop drop = SA_TEXT_DROP_LONG;

	if (!r->lines.bad)
		drop = p->info->one_list ? sa_text_whack(r->lines.buf, r->lines.len, &row)
					 : sa_text_exec(r->lines.buf, r->lines.len, &row);
	p->count.lines[drop]++;
	if (drop != SA_TEXT_OK)
		return;
	if (!p->info->one_list) {
		if (t) {
			sa_text_add(&t->sample, &row);
			t->said = true;
		}
		return;
	}
	add_named(p, row.name, &row);
	char *slash = strrchr(row.name, '/');
	if (slash) {
		*slash = '\0';
		add_named(p, row.name, &row);
	}
}

static void keep_last(struct run *r)
{
	unsigned n = 0;

	for (; n < r->lines.len && n < sizeof(r->last) - 1; n++)
		r->last[n] = r->lines.buf[n] >= 0x20 && r->lines.buf[n] < 0x7f ? r->lines.buf[n] : '?';
	if (n)
		r->last[n] = '\0';
}

static void take_line(struct prog *p, struct run *r)
{
	keep_last(r);
	if (!r->version && is_list(r->verb))
		list_line(p, r);
}

static void on_output(void *arg, unsigned slot, const char *data, size_t n)
{
	struct prog *p = arg;
	struct run *r = &p->run[slot];

	r->bytes += n;
	if (r->bytes > PROG_OUTPUT_MAX)
		return; /* the program may go on until its time is over; nobody reads it */
	while (n) {
		size_t used;
		if (sa_lines_feed(&r->lines, data, n, &used))
			take_line(p, r);
		data += used;
		n -= used;
	}
}

/* ---- ends ---- */

static void set_up(struct prog *p, struct tunnel *t, bool up)
{
	struct prog_ev ev = { .kind = up ? PROG_EV_UP : PROG_EV_DOWN };

	if (!up) {
		t->drop.wanted = t->then.wanted = t->list_wanted = false;
		ike_watch_init(&t->watch);
	}
	tell(p, t, &ev);
}

/* The daemon behind this unit answers, or does not. */
static void unit_up(struct prog *p, int who, struct unit *u, bool up)
{
	mono_t now = loop_now(p->loop);

	/* After a list that failed where the probe does not: not at once again. */
	u->next = up && !u->doubt ? now : mono_add(now, p->info->retry_ns);
	u->doubt = false;
	if (u->up == up)
		return;
	u->up = up;
	p->version_wanted = p->version_wanted || (up && p->backend == IKE_BACKEND_LIBRESWAN);
	for (uint16_t i = 0; i < p->n; i++)
		if (who == ALL || who == (int)i)
			set_up(p, &p->t[i], up);
}

static void doubt(struct prog *p, struct unit *u)
{
	if (u->up) {
		u->doubt = true;
		u->next = loop_now(p->loop);
	}
}

/* A list is complete: what it says of this tunnel. */
static void list_says(struct prog *p, struct tunnel *t, mono_t began)
{
	if (!ike_watch_counts(&t->watch, began) || t->running)
		return;
	struct ike_sample s = t->sample;
	if (!p->info->one_list && !t->said) {
		/* The program tells nothing: what it was asked to do is done when it says so by its exit status. */
		s.child = t->watch.up || !mono_is_never(t->watch.begun);
		s.present = s.established = s.child;
	}
	enum ike_watch_ev what = ike_watch_list(&t->watch, &s);
	t->watch.lists++;
	if (what == IKE_WATCH_REKEY) {
		/* Before the counters: those of the new child begin again. */
		struct prog_ev ev = { .kind = PROG_EV_CHILD_REKEY, .sa_id = s.sa_id };
		tell(p, t, &ev);
	}
	if (t->list_wanted && !mono_before(began, t->list_asked)) {
		struct prog_ev ev = {
			.kind = PROG_EV_REPLY, .verb = IKE_VERB_LIST, .tag = t->list_tag, .ok = true, .sample = s
		};
		t->list_wanted = false;
		tell(p, t, &ev);
	}
	if (what == IKE_WATCH_UP || what == IKE_WATCH_DOWN) {
		struct prog_ev ev = { .kind = PROG_EV_CHILD_UPDOWN, .up = what == IKE_WATCH_UP, .sa_id = s.sa_id };
		tell(p, t, &ev);
	}
}

static mono_t next_of(const struct prog *p, const struct tunnel *t, int64_t took_ns, mono_t now)
{
	return t->list_wanted && !t->running ? now : ike_watch_next(&t->watch, p->info, took_ns, now);
}

static mono_t next_list(const struct prog *p, int who, int64_t took_ns, mono_t now)
{
	mono_t next = MONO_NEVER;

	for (uint16_t i = 0; i < p->n; i++) {
		const struct tunnel *t = &p->t[i];
		if (who != ALL && who != (int)i)
			continue;
		next = mono_min(next, next_of(p, t, took_ns, now));
	}
	return next;
}

static void list_ended(struct prog *p, const struct run *r, bool ok, int64_t took_ns)
{
	struct tunnel *t = tunnel_at(p, r->who);
	struct unit *u = t ? unit_of(p, t) : &p->all;

	if (!t && r->who != ALL)
		return; /* the tunnel is gone */
	u->running = false;
	if (t)
		t->running = false;
	if (!ok && r->verb == IKE_VERB_LIST) {
		doubt(p, u);
		return;
	}
	if (r->verb == IKE_VERB_PROBE) {
		bool no_list = ok && u->doubt;
		unit_up(p, r->who, u, ok);
		/* It answers, and has no list: then it is one that tells nothing. */
		if (no_list && t)
			list_says(p, t, r->began);
		return;
	}
	for (uint16_t i = 0; i < p->n; i++)
		if (r->who == ALL || r->who == (int)i)
			list_says(p, &p->t[i], r->began);
	u->next = next_list(p, r->who, took_ns, loop_now(p->loop));
}

static void verb_ended(struct prog *p, const struct run *r, const struct child_result *c, bool ok)
{
	struct tunnel *t = tunnel_at(p, r->who);
	mono_t now = loop_now(p->loop);

	if (!t)
		return;
	struct unit *u = unit_of(p, t);
	t->running = false;
	ike_watch_verb(&t->watch, r->verb, ok, now);
	u->next = mono_min(u->next, next_of(p, t, 0, now));
	if (c->end != CHILD_EXITED)
		doubt(p, u);
	struct prog_ev ev = { .kind = PROG_EV_REPLY, .verb = r->verb, .tag = r->tag, .ok = ok, .errmsg = p->error };
	if (ok)
		ev.errmsg = "";
	tell(p, t, &ev);
}

static void note_error(struct prog *p, const struct run *r, const struct child_result *c)
{
	const char *what = r->version ? "--version" : ike_verb_name(r->verb);
	const struct tunnel *t = tunnel_at(p, r->who);
	const char *name = t ? t->conf->name : p->info->name;

	switch (c->end) {
	case CHILD_EXITED:
		if (c->code)
			snprintf(p->error, sizeof(p->error), "%.40s: %s: exit status %d: %.80s", name, what, c->code,
				 r->last);
		else
			snprintf(p->error, sizeof(p->error), "%.40s: %s: more than %u bytes of output", name, what,
				 PROG_OUTPUT_MAX);
		break;
	case CHILD_SIGNALED:
		snprintf(p->error, sizeof(p->error), "%.40s: %s: killed by signal %d", name, what, c->code);
		break;
	case CHILD_TIMED_OUT:
		snprintf(p->error, sizeof(p->error), "%.40s: %s: no end within its time", name, what);
		break;
	case CHILD_START_FAILED:
		snprintf(p->error, sizeof(p->error), "%.40s: %s: cannot be started: %s", name, what,
			 err_text(-c->code));
		break;
	}
	p->count.failed++;
	p->count.timed_out += c->end == CHILD_TIMED_OUT;
}

static bool succeeded(const struct prog *p, const struct run *r, const struct child_result *c)
{
	if (c->end != CHILD_EXITED || r->bytes > PROG_OUTPUT_MAX)
		return false;
	return p->info->one_list && !r->version ? ike_whack_ok(r->verb, c->code) : c->code == 0;
}

static void on_end(void *arg, unsigned slot, const struct child_result *c)
{
	struct prog *p = arg;
	struct run *r = &p->run[slot];

	if (sa_lines_end(&r->lines))
		take_line(p, r);
	struct run done = *r; /* the callback may begin another one here */
	bool ok = succeeded(p, &done, c);
	if (!ok)
		note_error(p, &done, c);
	p->starting = true; /* one look at all, after everybody has asked */
	if (done.version) {
		snprintf(p->version, sizeof(p->version), "%s", ok ? done.last : "");
	} else if (is_list(done.verb)) {
		p->lists--;
		list_ended(p, &done, ok, c->took_ns);
	} else {
		verb_ended(p, &done, c, ok);
	}
	p->starting = false;
	kick(p);
}

/* ---- requests ---- */

static struct tunnel *find(const struct prog *p, uint16_t index)
{
	unsigned lo = 0, hi = p->n;

	while (lo < hi) { /* in the caller's order */
		unsigned mid = (lo + hi) / 2;
		if (p->t[mid].index < index)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < p->n && p->t[lo].index == index ? &p->t[lo] : NULL;
}

int prog_request(struct prog *p, uint16_t tunnel, enum ike_verb v, struct prog_tag tag, const char *reason)
{
	struct tunnel *t = find(p, tunnel);

	if (!t || !unit_of(p, t)->up)
		return ERR_STATE;
	struct job j = { .wanted = true, .verb = v, .tag = tag, .reason = reason, .order = ++p->order };
	switch (v) {
	case IKE_VERB_DROP:
	case IKE_VERB_CLOSE:
		p->count.replaced += (uint64_t)t->drop.wanted + t->then.wanted;
		t->drop = j;
		t->then.wanted = false;
		break;
	case IKE_VERB_INITIATE:
	case IKE_VERB_REKEY:
		p->count.replaced += t->then.wanted;
		t->then = j;
		break;
	case IKE_VERB_LIST:
		p->count.replaced += t->list_wanted;
		t->list_wanted = true;
		t->list_tag = tag;
		t->list_asked = loop_now(p->loop);
		unit_of(p, t)->next = t->list_asked;
		break;
	case IKE_VERB_PROBE:
	case IKE_VERB_N:
		return ERR_STATE;
	}
	kick(p);
	return 0;
}

bool prog_up(const struct prog *p, uint16_t tunnel)
{
	const struct tunnel *t = find(p, tunnel);

	return t && (p->info->one_list ? p->all.up : t->unit.up);
}

const char *prog_version(const struct prog *p)
{
	return p->version;
}

const char *prog_last_error(const struct prog *p)
{
	return p->error;
}

struct prog_counters prog_counters(const struct prog *p)
{
	struct prog_counters c = p->count;

	c.running = children_running(p->children);
	c.waiting = 0;
	for (uint16_t i = 0; i < p->n; i++)
		c.waiting += p->t[i].drop.wanted + p->t[i].then.wanted + p->t[i].list_wanted;
	return c;
}

/* ---- tunnels ---- */

static const struct tunnel *same_tunnel(const struct prog *p, const struct ike_tunnel_conf *c)
{
	for (uint16_t i = 0; i < p->n; i++)
		if (strcmp(p->t[i].conf->name, c->name) == 0 && strcmp(p->t[i].conf->ike, c->ike) == 0)
			return &p->t[i];
	return NULL;
}

/* qsort has no argument for the tunnels. */
struct named {
	const char *name;
	uint16_t i;
};

static int named_cmp(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static bool sort_names(uint16_t *out, const struct tunnel *t, uint16_t n)
{
	struct named *list = calloc(n + 1u, sizeof(*list));

	if (!list)
		return false;
	for (uint16_t i = 0; i < n; i++)
		list[i] = (struct named){ t[i].conf->ike, i };
	qsort(list, n, sizeof(*list), named_cmp);
	for (uint16_t i = 0; i < n; i++)
		out[i] = list[i].i;
	free(list);
	return true;
}

/* Programs that run go on; who they are about is found again, or is nobody. */
static void carry_runs(struct prog *p, const struct tunnel *was, uint16_t n_was, const struct tunnel *is, uint16_t n)
{
	for (unsigned s = 0; s < CHILD_SLOTS; s++) {
		struct run *r = &p->run[s];
		if (r->who < 0)
			continue;
		int found = NOBODY;
		for (uint16_t i = 0; r->who < n_was && i < n && found == NOBODY; i++)
			if (strcmp(was[r->who].conf->name, is[i].conf->name) == 0 &&
			    strcmp(was[r->who].conf->ike, is[i].conf->ike) == 0)
				found = i;
		r->who = found;
	}
}

static void fill(struct prog *p, struct tunnel *t, const struct ike_tunnel_conf *c, uint16_t index)
{
	const struct tunnel *was = same_tunnel(p, c);

	*t = was ? *was : (struct tunnel){ 0 };
	if (!was) {
		ike_watch_init(&t->watch);
		t->unit.next = MONO_ZERO;
	}
	t->conf = c;
	t->index = index;
}

int prog_tunnels(struct prog *p, const struct ike_tunnel_conf *conf, uint16_t n, const char *whack, const char *ctl)
{
	uint16_t mine = 0, k = 0;

	for (uint16_t i = 0; i < n; i++)
		mine = (uint16_t)(mine + (conf[i].backend == p->backend));
	struct tunnel *t = calloc(mine + 1u, sizeof(*t));
	uint16_t *by_name = calloc(mine + 1u, sizeof(*by_name));
	bool ok = t && by_name;
	for (uint16_t i = 0; ok && i < n; i++)
		if (conf[i].backend == p->backend)
			fill(p, &t[k++], &conf[i], i);
	ok = ok && sort_names(by_name, t, k);
	if (!ok) {
		free(t);
		free(by_name);
		t = NULL;
		by_name = NULL;
		k = 0;
	}
	carry_runs(p, p->t, p->n, t, k);
	free(p->t);
	free(p->by_name);
	p->t = t;
	p->by_name = by_name;
	p->n = k;
	if (!p->whack || strcmp(p->whack, whack) != 0 || strcmp(p->ctl, ctl) != 0)
		p->all.next = MONO_ZERO;
	p->whack = whack;
	p->ctl = ctl;
	kick(p);
	return ok ? 0 : -ENOMEM;
}

/* ---- life ---- */

struct prog *prog_new(struct loop *l, enum ike_backend backend, prog_fn fn, prog_env_fn env, void *arg)
{
	struct prog *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	require(backend == IKE_BACKEND_LIBRESWAN || backend == IKE_BACKEND_EXEC);
	p->loop = l;
	p->backend = backend;
	p->info = ike_backend_info(backend);
	p->fn = fn;
	p->env = env;
	p->arg = arg;
	for (unsigned i = 0; i < CHILD_SLOTS; i++)
		p->run[i].who = NOBODY;
	p->timer = loop_timer_new(l, LOOP_NORMAL, on_timer, p);
	p->children = p->timer ? children_new(l, on_output, on_end, p) : NULL;
	if (p->children)
		return p;
	int err = errno;
	prog_free(p);
	errno = err;
	return NULL;
}

void prog_free(struct prog *p)
{
	if (!p)
		return;
	children_free(p->children);
	loop_timer_free(p->timer);
	free(p->t);
	free(p->by_name);
	free(p);
}
