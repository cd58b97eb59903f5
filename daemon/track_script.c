/*
 * Tracked scripts: a run each interval, never two of one script at a time. What a run says of itself: its exit status.
 *
 * Sixteen scripts share one starter of child_io, so that a slot is always free for each of them, and a program whose
 * file hangs keeps few others waiting.
 */
#include "daemon/track_int.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "ike-hooks/ha_env.h"

#define GRACE_NS  (2 * NS_PER_SEC)        /* from SIGTERM to SIGKILL */
#define LATE_NS   (GRACE_NS + NS_PER_SEC) /* behind the timeout: it neither ends nor begins */
#define OUT_MAX   160
#define POOLS_MAX ((CFG_TRACK_MAX + CHILD_SLOTS - 1) / CHILD_SLOTS)

struct script;

struct pool {
	struct track_scripts *all;
	struct children *children;
	struct script *slot[CHILD_SLOTS]; /* whose run is in a slot; NULL: of a script that is gone */
	unsigned scripts;                 /* that use it */
};

struct script {
	struct track_item head;
	struct track_scripts *all;
	struct pool *pool;
	const struct cfg_track_script *conf;
	struct loop_timer *timer;
	mono_t next_at, limit_at; /* MONO_NEVER: nothing runs */
	mono_t began;
	int slot; /* of the run; -1: none */
	bool has_last;
	struct child_result last;
	mono_t ended;
	char out[OUT_MAX + 1], last_out[OUT_MAX + 1]; /* the begin of what it wrote */
	unsigned out_len;
	uint64_t runs, failed, timeouts, skipped;
};

struct track_scripts {
	struct app_track *t;
	struct track_list list;
	struct pool *pool[POOLS_MAX];
};

/* ---- one run ---- */

static void set_timer(struct script *s)
{
	loop_timer_set(s->timer, mono_min(s->next_at, s->limit_at));
}

/* How the last run ended, in words. */
static void end_text(const struct script *s, char *out, size_t cap)
{
	const char *said = s->last_out[0] ? ": " : "";
	switch (s->last.end) {
	case CHILD_EXITED:
		snprintf(out, cap, "exit status %d%s%s", s->last.code, said, s->last_out);
		return;
	case CHILD_SIGNALED:
		snprintf(out, cap, "killed by signal %d%s%s", s->last.code, said, s->last_out);
		return;
	case CHILD_TIMED_OUT:
		snprintf(out, cap, "no end within %.3g s%s%s", (double)s->conf->timeout_ns / 1e9, said, s->last_out);
		return;
	case CHILD_START_FAILED:
		snprintf(out, cap, "cannot be started: %s", s->last_out[0] ? s->last_out : strerror(s->last.code));
		return;
	}
}

static void take_result(struct script *s, const struct child_result *r)
{
	char why[OUT_MAX + 80] = "";
	bool ok = r->end == CHILD_EXITED && r->code == 0;
	s->last = *r;
	s->has_last = true;
	s->ended = clock_mono();
	memcpy(s->last_out, s->out, sizeof(s->last_out));
	s->failed += !ok;
	s->timeouts += r->end == CHILD_TIMED_OUT;
	end_text(s, why, sizeof(why));
	track_report(s->all->t, s->head.obj, ok, why);
}

static void start(struct script *s)
{
	static const char *const envp[] = { HA_ENV_PATH, NULL };
	const struct notify_cfg *n = &s->all->t->cfg->notify;
	bool own = s->conf->user != NULL;
	struct child_as as = { .user = own ? s->conf->user : n->user,
			       .group = own ? s->conf->group : n->group,
			       .strict = n->security,
			       .with_us = true,
			       .in_fd = -1 };
	s->out_len = 0;
	s->out[0] = '\0';
	s->began = clock_mono();
	s->runs++;
	int rc = child_run_as(s->pool->children, s->conf->argv, envp, s->conf->timeout_ns, GRACE_NS, &as);
	if (rc == ERR_FULL) { /* runs of scripts that are gone still end: the next interval will do */
		s->runs--;
		s->skipped++;
		return;
	}
	if (rc < 0) {
		struct child_result r = { .end = CHILD_START_FAILED, .code = -rc };
		take_result(s, &r);
		return;
	}
	s->slot = rc;
	s->pool->slot[rc] = s;
	s->limit_at = mono_add(s->began, s->conf->timeout_ns + LATE_NS);
}

/* Neither its end nor its begin was heard of: its file, or what it waits for in the kernel, does not answer. */
static void on_limit(struct script *s)
{
	struct child_result r = { .end = CHILD_TIMED_OUT, .took_ns = mono_sub(clock_mono(), s->began) };
	s->limit_at = mono_add(clock_mono(), s->conf->interval_ns);
	take_result(s, &r);
}

static void on_timer(void *arg, mono_t deadline)
{
	struct script *s = arg;
	mono_t now = clock_mono();
	(void)deadline;
	if (mono_due(s->limit_at, now))
		on_limit(s);
	if (mono_due(s->next_at, now)) {
		if (s->slot < 0)
			start(s);
		else
			s->skipped++;
		/* On the grid of the interval; what was missed is not made up for. */
		int64_t late = mono_sub(now, s->next_at) / s->conf->interval_ns;
		s->next_at = mono_add(s->next_at, (late + 1) * s->conf->interval_ns);
	}
	set_timer(s);
}

static void on_out(void *arg, unsigned slot, const char *data, size_t n)
{
	struct pool *p = arg;
	struct script *s = p->slot[slot];
	for (size_t i = 0; s && i < n && s->out_len < OUT_MAX; i++) {
		unsigned char c = (unsigned char)data[i];
		bool blank = c <= ' ' || c == 0x7f;
		/* One line of it; a byte that is no text stands for itself as a question mark. */
		if (blank && (!s->out_len || s->out[s->out_len - 1] == ' '))
			continue;
		s->out[s->out_len++] = blank ? ' ' : c < 0x80 ? (char)c : '?';
		s->out[s->out_len] = '\0';
	}
}

static void on_end(void *arg, unsigned slot, const struct child_result *r)
{
	struct pool *p = arg;
	struct script *s = p->slot[slot];
	p->slot[slot] = NULL;
	if (!s)
		return;
	s->slot = -1;
	s->limit_at = MONO_NEVER;
	if (s->out_len && s->out[s->out_len - 1] == ' ')
		s->out[s->out_len - 1] = '\0';
	take_result(s, r);
	set_timer(s);
}

/* ---- configuration ---- */

static struct pool *find_pool(struct track_scripts *all)
{
	for (unsigned i = 0; i < POOLS_MAX; i++) {
		struct pool *p = all->pool[i];
		if (p && p->scripts < CHILD_SLOTS)
			return p;
		if (p)
			continue;
		p = calloc(1, sizeof(*p));
		if (!p)
			return NULL;
		p->all = all;
		p->children = children_new(all->t->app->loop, on_out, on_end, p);
		if (!p->children) {
			free(p);
			return NULL;
		}
		all->pool[i] = p;
		return p;
	}
	return NULL;
}

static void script_free(struct script *s)
{
	if (!s)
		return;
	if (s->all && s->slot >= 0) {
		s->pool->slot[s->slot] = NULL;
		child_end(s->pool->children, (unsigned)s->slot, SIGKILL);
	}
	if (s->pool)
		s->pool->scripts--;
	loop_timer_free(s->timer);
	free(s);
}

/* It begins to run, or rests because nothing refers to it. */
static int script_use(struct script *s, bool used)
{
	if (!used) {
		s->next_at = MONO_NEVER;
		if (s->timer)
			set_timer(s);
		return 0;
	}
	if (!s->pool) {
		s->pool = find_pool(s->all);
		if (!s->pool)
			return -ENOMEM;
		s->pool->scripts++;
	}
	if (!s->timer)
		s->timer = loop_timer_new(s->all->t->app->loop, LOOP_NORMAL, on_timer, s);
	if (!s->timer)
		return -ENOMEM;
	if (mono_is_never(s->next_at))
		s->next_at = clock_mono();
	s->next_at = mono_min(s->next_at, mono_add(clock_mono(), s->conf->interval_ns));
	set_timer(s);
	return 0;
}

static void end_all(struct track_list *list)
{
	for (uint16_t i = 0; i < list->n; i++)
		script_free((struct script *)list->item[i]);
	free(list->item);
}

int track_scripts_set(struct track_scripts *all, const struct cfg *old)
{
	struct track_list gone;
	int rc = track_list_set(all->t, old, VRRP_TRACK_SCRIPT, sizeof(struct script), &all->list, &gone);
	/* Those that are gone leave their slots before new ones need them. */
	end_all(&gone);
	for (uint16_t i = 0; rc == 0 && i < all->list.n; i++) {
		struct script *s = (struct script *)all->list.item[i];
		if (!s->all) {
			s->all = all;
			s->slot = -1;
			s->next_at = s->limit_at = MONO_NEVER;
		}
		s->conf = &all->t->cfg->track.scripts[i];
		if (script_use(s, s->head.used) < 0) {
			log_err(LOG_VRRP, "script %s cannot be run: no memory, or no thread",
				track_conf(&s->head)->name);
			track_report(all->t, s->head.obj, false, "it cannot be run");
		}
	}
	return rc;
}

struct track_scripts *track_scripts_new(struct app_track *t)
{
	struct track_scripts *s = calloc(1, sizeof(*s));
	if (s)
		s->t = t;
	return s;
}

void track_scripts_free(struct track_scripts *all)
{
	if (!all)
		return;
	end_all(&all->list);
	for (unsigned i = 0; i < POOLS_MAX; i++) {
		if (!all->pool[i])
			continue;
		children_free(all->pool[i]->children);
		free(all->pool[i]);
	}
	free(all);
}

/* ---- show ---- */

void track_scripts_clear(struct track_scripts *all)
{
	for (uint16_t i = 0; i < all->list.n; i++) {
		struct script *s = (struct script *)all->list.item[i];
		s->runs = s->failed = s->timeouts = s->skipped = 0;
	}
}

json_t *track_scripts_json(const struct track_scripts *all, uint16_t index)
{
	const struct script *s = (const struct script *)all->list.item[index];
	char why[OUT_MAX + 80] = "";
	if (s->has_last)
		end_text(s, why, sizeof(why));
	mono_t now = clock_mono();
	json_t *j = json_pack("{s:s, s:I, s:I, s:b, s:I, s:I, s:I, s:I}", "program", s->conf->argv[0], "interval_us",
			      (json_int_t)(s->conf->interval_ns / NS_PER_US), "timeout_us",
			      (json_int_t)(s->conf->timeout_ns / NS_PER_US), "running", s->slot >= 0, "runs",
			      (json_int_t)s->runs, "failed", (json_int_t)s->failed, "timeouts", (json_int_t)s->timeouts,
			      "skipped", (json_int_t)s->skipped);
	json_object_set_new(j, "last", json_string(why));
	json_object_set_new(j, "last_output", json_string(s->last_out));
	json_object_set_new(j, "last_status",
			    s->has_last && s->last.end == CHILD_EXITED ? json_integer(s->last.code) : json_null());
	json_object_set_new(j, "last_took_us", s->has_last ? json_integer(s->last.took_ns / NS_PER_US) : json_null());
	json_object_set_new(j, "last_ended_us",
			    s->has_last ? json_integer(mono_sub(now, s->ended) / NS_PER_US) : json_null());
	return j;
}

bool track_scripts_running(const struct track_scripts *all, uint16_t index)
{
	return ((const struct script *)all->list.item[index])->slot >= 0;
}
