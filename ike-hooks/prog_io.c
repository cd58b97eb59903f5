#include "ike-hooks/prog_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"

#define PAUSE_NS (50 * NS_PER_MS) /* nothing can be started: no descriptors, no memory */

/* ---- starting ---- */

static int start_exec(struct prog *p, const struct prog_tunnel *t, enum ike_verb v, const struct prog_job *job)
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

static int start_whack(struct prog *p, const struct prog_tunnel *t, enum ike_verb v)
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
static int begin(struct prog *p, int who, enum ike_verb v, const struct prog_job *job, bool version)
{
	struct prog_tunnel *t = prog_tunnel_at(p, who);
	int slot = version                   ? start_version(p)
		   : t && !p->info->one_list ? start_exec(p, t, v, job)
					     : start_whack(p, t, v);

	if (slot < 0) {
		p->hold = mono_add(loop_now(p->loop), PAUSE_NS);
		snprintf(p->error, sizeof(p->error), "no program can be started: %s", err_text(slot));
		p->count.failed++;
		return slot;
	}
	struct prog_run *r = &p->run[slot];
	*r = (struct prog_run){ .version = version, .verb = v, .who = who, .began = loop_now(p->loop) };
	sa_lines_init(&r->lines);
	if (job)
		r->tag = job->tag;
	p->count.runs++;
	return slot;
}

static void begin_list(struct prog *p, int who, struct prog_unit *u)
{
	enum ike_verb v = u->up && !u->doubt ? IKE_VERB_LIST : IKE_VERB_PROBE;

	if (begin(p, who, v, NULL, false) < 0)
		return;
	u->running = true;
	p->lists++;
	p->count.lists += v == IKE_VERB_LIST;
	for (uint16_t i = 0; i < p->n; i++) {
		struct prog_tunnel *t = &p->t[i];
		if (who != PROG_ALL && who != (int)i)
			continue;
		t->running = t->running || who != PROG_ALL;
		t->sample = (struct ike_sample){ 0 };
		t->said = false;
	}
}

/* The oldest drop or close, else the oldest other request, of a tunnel for which nothing runs. */
static bool next_job(struct prog *p, int *who, struct prog_job **job)
{
	*job = NULL;
	for (unsigned kind = 0; kind < 2 && !*job; kind++) {
		for (uint16_t i = 0; i < p->n; i++) {
			struct prog_tunnel *t = &p->t[i];
			struct prog_job *j = kind == 0 ? &t->drop : &t->then;
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
	struct prog_job *job;
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
			begin_list(p, PROG_ALL, &p->all);
		return;
	}
	for (uint16_t i = 0; i < p->n && p->lists < PROG_LISTS_MAX; i++) {
		struct prog_tunnel *t = &p->t[i];
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

void prog_kick(struct prog *p)
{
	mono_t now = loop_now(p->loop);

	if (p->starting)
		return;
	p->starting = true;
	if (mono_due(p->hold, now)) {
		if (p->version_wanted && begin(p, PROG_NOBODY, IKE_VERB_N, NULL, true) >= 0)
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
	prog_kick(arg);
}

/* ---- requests ---- */

static struct prog_tunnel *find(const struct prog *p, uint16_t index)
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
	struct prog_tunnel *t = find(p, tunnel);

	if (!t || !prog_unit_of(p, t)->up)
		return ERR_STATE;
	struct prog_job j = { .wanted = true, .verb = v, .tag = tag, .reason = reason, .order = ++p->order };
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
		prog_unit_of(p, t)->next = t->list_asked;
		break;
	case IKE_VERB_PROBE:
	case IKE_VERB_N:
		return ERR_STATE;
	}
	prog_kick(p);
	return 0;
}

bool prog_up(const struct prog *p, uint16_t tunnel)
{
	const struct prog_tunnel *t = find(p, tunnel);

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

static const struct prog_tunnel *same_tunnel(const struct prog *p, const struct ike_tunnel_conf *c)
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

static bool sort_names(uint16_t *out, const struct prog_tunnel *t, uint16_t n)
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
static void carry_runs(struct prog *p, const struct prog_tunnel *was, uint16_t n_was, const struct prog_tunnel *is,
		       uint16_t n)
{
	for (unsigned s = 0; s < CHILD_SLOTS; s++) {
		struct prog_run *r = &p->run[s];
		if (r->who < 0)
			continue;
		int found = PROG_NOBODY;
		for (uint16_t i = 0; r->who < n_was && i < n && found == PROG_NOBODY; i++)
			if (strcmp(was[r->who].conf->name, is[i].conf->name) == 0 &&
			    strcmp(was[r->who].conf->ike, is[i].conf->ike) == 0)
				found = i;
		r->who = found;
	}
}

static void fill(struct prog *p, struct prog_tunnel *t, const struct ike_tunnel_conf *c, uint16_t index)
{
	const struct prog_tunnel *was = same_tunnel(p, c);

	*t = was ? *was : (struct prog_tunnel){ 0 };
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
	struct prog_tunnel *t = calloc(mine + 1u, sizeof(*t));
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
	prog_kick(p);
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
		p->run[i].who = PROG_NOBODY;
	p->timer = loop_timer_new(l, LOOP_NORMAL, on_timer, p);
	p->children = p->timer ? children_new(l, prog_output, prog_ended, p) : NULL;
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
