#include "ike-hooks/exec_io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/list.h"

static const char *const event_name[] = {
	[HOOK_ROLE] = "role",        [HOOK_DPD_DEAD] = "dpd-dead",         [HOOK_TUNNEL_UP] = "up",
	[HOOK_TUNNEL_DOWN] = "down", [HOOK_RESET_FAILED] = "reset-failed", [HOOK_SPI_UNKNOWN] = "spi-unknown"
};
static const char *const outcome_name[] = { [EXEC_EXITED] = "exited",
					    [EXEC_SIGNALED] = "killed by signal",
					    [EXEC_TIMED_OUT] = "timed out",
					    [EXEC_START_FAILED] = "could not be started" };

/* One hook to run. */
struct entry {
	struct list node;
	char *argv[IKE_ARGV_MAX + 1];
	char *envp[HA_ENV_N];
	char subject[IKE_NAME_MAX];
	enum hook_event event;
	uint16_t hook; /* of the configuration */
	struct epoch epoch;
	int64_t timeout_ns;
	mono_t pushed;
};

struct exec {
	struct loop *loop;
	exec_fn fn;
	void *arg;
	struct list queue;
	struct entry *cur; /* the one that runs */
	struct children *children;
	char partial[EXEC_LINE_MAX];
	unsigned partial_len;
	struct exec_result result, last;
	bool has_last, in_start;
	struct exec_counters n;
};

const char *exec_event_name(enum hook_event ev)
{
	return (unsigned)ev < HOOK_EVENT_N ? event_name[ev] : "?";
}

const char *exec_outcome_name(enum exec_outcome o)
{
	return (unsigned)o <= EXEC_START_FAILED ? outcome_name[o] : "?";
}

/* ---- entries ---- */

static void entry_free(struct entry *e)
{
	if (!e)
		return;
	for (unsigned i = 0; i < IKE_ARGV_MAX; i++)
		free(e->argv[i]);
	ha_env_free(e->envp);
	free(e);
}

static struct entry *entry_new(const struct hook_conf *hook, enum hook_event ev, const char *subject,
			       const struct exec_env *env)
{
	struct entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->event = ev;
	e->epoch = env->epoch;
	e->timeout_ns = hook->timeout_ns;
	snprintf(e->subject, sizeof(e->subject), "%s", subject);
	for (unsigned i = 0; i < IKE_ARGV_MAX && hook->argv[i]; i++) {
		e->argv[i] = strdup(hook->argv[i]);
		if (!e->argv[i]) {
			entry_free(e);
			return NULL;
		}
	}
	if (!e->argv[0] || !ha_env_fill(e->envp, exec_event_name(ev), env)) {
		entry_free(e);
		return NULL;
	}
	return e;
}

static bool same_key(const struct entry *a, const struct entry *b)
{
	if (strcmp(a->subject, b->subject) != 0)
		return false;
	for (unsigned i = 0; i < IKE_ARGV_MAX; i++) {
		if (!a->argv[i] || !b->argv[i])
			return a->argv[i] == b->argv[i];
		if (strcmp(a->argv[i], b->argv[i]) != 0)
			return false;
	}
	return true;
}

/* ---- the running hook ---- */

static void take_output(struct exec *x, const char *data, size_t n)
{
	x->result.output_bytes += n;
	for (size_t i = 0; i < n; i++) {
		if (data[i] == '\n') {
			x->partial[x->partial_len] = '\0';
			if (x->partial_len)
				memcpy(x->result.line, x->partial, x->partial_len + 1);
			x->partial_len = 0;
		} else if (x->partial_len < sizeof(x->partial) - 1) {
			x->partial[x->partial_len++] = data[i] >= 0x20 && data[i] < 0x7f ? data[i] : '?';
		}
	}
}

static void on_output(void *arg, unsigned slot, const char *data, size_t n)
{
	(void)slot;
	take_output(arg, data, n);
}

static void finish(struct exec *x, enum exec_outcome outcome, int code, int64_t took_ns)
{
	struct exec_result *r = &x->result;

	take_output(x, "\n", 1);
	if (r->output_bytes)
		r->output_bytes--;
	r->outcome = outcome;
	r->code = code;
	r->took_ns = took_ns;
	r->wall_us = clock_wall_us();
	bool ok = outcome == EXEC_EXITED && code == 0;
	x->n.ok += ok;
	x->n.failed += !ok;
	x->n.timed_out += outcome == EXEC_TIMED_OUT;
	entry_free(x->cur);
	x->cur = NULL;
	x->last = *r;
	x->has_last = true;
	if (x->fn)
		x->fn(x->arg, &x->last);
}

static void start_one(struct exec *x)
{
	struct entry *e = list_entry(x->queue.next, struct entry, node);

	list_del(&e->node);
	x->n.waiting--;
	x->cur = e;
	x->partial_len = 0;
	x->result = (struct exec_result){ .event = e->event, .hook = e->hook, .epoch = e->epoch };
	x->result.waited_ns = mono_sub(loop_now(x->loop), e->pushed);
	snprintf(x->result.program, sizeof(x->result.program), "%s", e->argv[0]);
	snprintf(x->result.subject, sizeof(x->result.subject), "%s", e->subject);
	int rc = child_run(x->children, (const char *const *)e->argv, (const char *const *)e->envp, e->timeout_ns,
			   EXEC_GRACE_NS);
	if (rc < 0)
		finish(x, EXEC_START_FAILED, rc == ERR_FULL ? EAGAIN : -rc, 0);
}

/* A loop, not a recursion by way of finish: without descriptors every waiting hook fails at once. */
static void start_next(struct exec *x)
{
	if (x->in_start)
		return;
	x->in_start = true;
	while (!x->cur && !list_empty(&x->queue))
		start_one(x);
	x->in_start = false;
}

static void on_end(void *arg, unsigned slot, const struct child_result *r)
{
	struct exec *x = arg;

	(void)slot;
	finish(x, (enum exec_outcome)r->end, r->code, r->took_ns);
	start_next(x);
}

/* ---- queue ---- */

/* Under pressure only the newest state of a (hook, subject) is of interest. */
static void coalesce(struct exec *x, const struct entry *with)
{
	list_for_each_safe (node, &x->queue) {
		struct entry *e = list_entry(node, struct entry, node);
		if (!same_key(e, with))
			continue;
		list_del(&e->node);
		entry_free(e);
		x->n.waiting--;
		x->n.coalesced++;
	}
}

static int push(struct exec *x, const struct hook_conf *hook, uint16_t place, enum hook_event ev, const char *subject,
		const struct exec_env *env)
{
	struct entry *e = entry_new(hook, ev, subject, env);

	x->n.pushed++;
	if (e && x->n.waiting >= EXEC_COALESCE)
		coalesce(x, e);
	if (!e || x->n.waiting >= EXEC_QUEUE_MAX) {
		entry_free(e);
		x->n.dropped++;
		return ERR_FULL;
	}
	e->hook = place;
	e->pushed = loop_now(x->loop);
	list_add_tail(&x->queue, &e->node);
	x->n.waiting++;
	start_next(x);
	return 0;
}

int exec_push(struct exec *x, const struct hook_conf *hook, enum hook_event ev, const char *subject,
	      const struct exec_env *env)
{
	return push(x, hook, UINT16_MAX, ev, subject, env);
}

unsigned exec_event(struct exec *x, const struct hook_conf *hooks, uint16_t n, enum hook_event ev, const char *subject,
		    const struct exec_env *env)
{
	unsigned queued = 0;

	for (uint16_t i = 0; i < n; i++)
		if (hooks[i].on & 1u << ev)
			queued += push(x, &hooks[i], i, ev, subject, env) == 0;
	return queued;
}

bool exec_idle(const struct exec *x)
{
	return !x->cur && list_empty(&x->queue);
}

struct exec_counters exec_counters(const struct exec *x)
{
	struct exec_counters n = x->n;

	n.started = children_started(x->children);
	n.running = x->cur != NULL;
	return n;
}

const struct exec_result *exec_last(const struct exec *x)
{
	return x->has_last ? &x->last : NULL;
}

/* ---- life ---- */

struct exec *exec_new(struct loop *l, exec_fn fn, void *arg)
{
	struct exec *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->loop = l;
	x->fn = fn;
	x->arg = arg;
	list_init(&x->queue);
	x->children = children_new(l, on_output, on_end, x);
	if (x->children)
		return x;
	int err = errno;
	exec_free(x);
	errno = err;
	return NULL;
}

void exec_free(struct exec *x)
{
	if (!x)
		return;
	children_free(x->children);
	list_for_each_safe (node, &x->queue) {
		list_del(node);
		entry_free(list_entry(node, struct entry, node));
	}
	entry_free(x->cur);
	free(x);
}
