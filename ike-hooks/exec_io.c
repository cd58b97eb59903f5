/*
 * CONTROL never starts a program itself: posix_spawn sleeps until the new program's file is open and mapped, and that
 * file may lie on a disk that does not answer. One thread does nothing else. It is created with SCHED_OTHER and nice 0,
 * so its children do not inherit CONTROL's priority; the watching (pidfd, pipe, timer) is the loop's.
 */
#define _GNU_SOURCE 1 /* pipe2, pthread_timedjoin_np, posix_spawn_file_actions_addclosefrom_np */
#include "ike-hooks/exec_io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/list.h"
#include "daemon/base/ring.h"

#define STACK_BYTES   (256u * 1024u)
#define ENV_N         12 /* PATH, the HA_ variables and NULL */
#define STOP_MS       100
#define READS_MAX     16u
#define DRAINS_AT_END 5u

static const char *const event_name[] = { [HOOK_ROLE] = "role",
					  [HOOK_DPD_DEAD] = "dpd-dead",
					  [HOOK_TUNNEL_UP] = "up",
					  [HOOK_TUNNEL_DOWN] = "down",
					  [HOOK_RESET_FAILED] = "reset-failed",
					  [HOOK_SPI_UNKNOWN] = "spi-unknown" };
static const char *const outcome_name[] = { [EXEC_EXITED] = "exited",
					    [EXEC_SIGNALED] = "killed by signal",
					    [EXEC_TIMED_OUT] = "timed out",
					    [EXEC_START_FAILED] = "could not be started" };

/* One hook to run. Made on CONTROL; while it is being started only the thread touches argv and envp. */
struct entry {
	struct list node;
	char *argv[IKE_ARGV_MAX + 1];
	char *envp[ENV_N];
	char subject[IKE_NAME_MAX];
	enum hook_event event;
	struct epoch epoch;
	int64_t timeout_ns;
	mono_t pushed;
};

/* To the thread. entry NULL: end. */
struct order {
	struct entry *entry;
	int out_fd; /* closed by the thread */
};

struct started {
	pid_t pid;
	int err;
};

/* Lives on the heap by itself: a thread that hangs in the start of a program at exec_free is left behind with it. */
struct spawner {
	pthread_t thread;
	struct ring orders, answers;
};

enum phase { PH_IDLE = 0, PH_STARTING, PH_RUNNING, PH_TERM, PH_KILL };

struct exec {
	struct loop *loop;
	exec_fn fn;
	void *arg;
	struct list queue;
	struct entry *cur;
	enum phase phase;
	struct spawner *sp;
	struct loop_fd *answer_lf, *pipe_lf, *pid_lf;
	struct loop_timer *timer;
	pid_t pid;
	int pipe_fd, pid_fd;
	mono_t began;
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

/* ---- the thread ---- */

static int spawn(const struct entry *e, int out_fd, pid_t *pid)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t at;
	sigset_t none, all;
	struct sched_param sp = { .sched_priority = 0 };

	sigemptyset(&none);
	sigfillset(&all);
	if (posix_spawn_file_actions_init(&fa) != 0)
		return ENOMEM;
	if (posix_spawnattr_init(&at) != 0) {
		posix_spawn_file_actions_destroy(&fa);
		return ENOMEM;
	}
	int rc = posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&fa, out_fd, 1);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&fa, out_fd, 2);
	if (rc == 0)
		rc = posix_spawn_file_actions_addclosefrom_np(&fa, 3);
	posix_spawnattr_setpgroup(&at, 0);
	posix_spawnattr_setsigmask(&at, &none);
	posix_spawnattr_setsigdefault(&at, &all);
	posix_spawnattr_setschedpolicy(&at, SCHED_OTHER);
	posix_spawnattr_setschedparam(&at, &sp);
	posix_spawnattr_setflags(&at, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
					  POSIX_SPAWN_SETSCHEDULER);
	if (rc == 0)
		rc = posix_spawn(pid, e->argv[0], &fa, &at, e->argv, e->envp);
	posix_spawnattr_destroy(&at);
	posix_spawn_file_actions_destroy(&fa);
	return rc;
}

static void *spawner_main(void *arg)
{
	struct spawner *s = arg;

	/* Inherited by the children. Refused only when nice is above 0 and we are not privileged: nothing to do then.
	 */
	(void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 0);
	for (;;) {
		struct pollfd p = { .fd = ring_fd(&s->orders), .events = POLLIN };
		struct order o;

		(void)poll(&p, 1, -1);
		ring_ack(&s->orders);
		while (ring_pop(&s->orders, &o)) {
			struct started a = { .pid = 0 };
			if (!o.entry)
				return NULL;
			a.err = spawn(o.entry, o.out_fd, &a.pid);
			close(o.out_fd);
			ring_push(&s->answers, &a); /* one order at a time: there is room */
		}
	}
}

static int spawner_start(struct spawner *s)
{
	pthread_attr_t at;
	sigset_t all, old;
	struct sched_param sp = { .sched_priority = 0 };
	int rc = pthread_attr_init(&at);

	if (rc)
		return rc;
	pthread_attr_setstacksize(&at, STACK_BYTES);
	pthread_attr_setinheritsched(&at, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&at, SCHED_OTHER);
	pthread_attr_setschedparam(&at, &sp);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&s->thread, &at, spawner_main, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&at);
	return rc;
}

/* ---- entries ---- */

static void entry_free(struct entry *e)
{
	if (!e)
		return;
	for (unsigned i = 0; i < IKE_ARGV_MAX; i++)
		free(e->argv[i]);
	for (unsigned i = 0; i < ENV_N; i++)
		free(e->envp[i]);
	free(e);
}

static char *env_text(const char *key, const char *value)
{
	char *s = NULL;

	return asprintf(&s, "%s=%s", key, value ? value : "") < 0 ? NULL : s;
}

static bool fill_env(struct entry *e, const struct exec_env *v)
{
	char epoch[40];
	unsigned n = 0;

	snprintf(epoch, sizeof(epoch), "%llu.%u", (unsigned long long)v->epoch.counter, v->epoch.node);
	const char *const pair[][2] = { { "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
					{ "HA_EVENT", exec_event_name(e->event) },
					{ "HA_ROLE_OLD", v->role_old },
					{ "HA_ROLE_NEW", v->role_new },
					{ "HA_GROUP", v->group },
					{ "HA_VIP", v->vip },
					{ "HA_TUNNEL", v->tunnel },
					{ "HA_PEER", v->peer },
					{ "HA_REASON", v->reason },
					{ "HA_EPOCH", epoch } };
	for (; n < sizeof(pair) / sizeof(pair[0]); n++) {
		e->envp[n] = env_text(pair[n][0], pair[n][1]);
		if (!e->envp[n])
			return false;
	}
	return true;
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
	if (!e->argv[0] || !fill_env(e, env)) {
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

/* At most READS_MAX pieces; false when nothing more will come now. */
static bool drain(struct exec *x)
{
	char buf[1024];

	for (unsigned i = 0; i < READS_MAX; i++) {
		ssize_t n = read(x->pipe_fd, buf, sizeof(buf));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		if (n == 0) {
			loop_fd_free(x->pipe_lf); /* end of file would wake us for ever */
			x->pipe_lf = NULL;
			return false;
		}
		take_output(x, buf, (size_t)n);
	}
	return true;
}

static void on_pipe(void *arg, int fd, unsigned events)
{
	(void)fd;
	(void)events;
	(void)drain(arg);
}

static void finish(struct exec *x, enum exec_outcome outcome, int code)
{
	struct exec_result *r = &x->result;

	/* A full pipe is 64 KiB. A background process may keep it and write on: what is there counts, the rest does not. */
	for (unsigned i = 0; x->pipe_fd >= 0 && i < DRAINS_AT_END && drain(x); i++)
		;
	take_output(x, "\n", 1);
	if (r->output_bytes)
		r->output_bytes--;
	loop_fd_free(x->pipe_lf);
	loop_fd_free(x->pid_lf);
	x->pipe_lf = x->pid_lf = NULL;
	if (x->pipe_fd >= 0)
		close(x->pipe_fd);
	if (x->pid_fd >= 0)
		close(x->pid_fd);
	x->pipe_fd = x->pid_fd = -1;
	x->pid = 0;
	loop_timer_set(x->timer, MONO_NEVER);
	r->outcome = outcome;
	r->code = code;
	r->took_ns = mono_sub(loop_now(x->loop), x->began);
	r->wall_us = clock_wall_us();
	bool ok = outcome == EXEC_EXITED && code == 0;
	x->n.ok += ok;
	x->n.failed += !ok;
	x->n.timed_out += outcome == EXEC_TIMED_OUT;
	entry_free(x->cur);
	x->cur = NULL;
	x->phase = PH_IDLE;
	x->last = *r;
	x->has_last = true;
	if (x->fn)
		x->fn(x->arg, &x->last);
}

static void start_next(struct exec *x);

static void on_exit_of_child(void *arg, int fd, unsigned events)
{
	struct exec *x = arg;
	siginfo_t si = { .si_pid = 0 };

	(void)fd;
	(void)events;
	/* While the leader is not reaped yet its number still names the group: its children go now. */
	if (x->phase == PH_TERM || x->phase == PH_KILL)
		(void)kill(-x->pid, SIGKILL);
	if (waitid(P_PID, (id_t)x->pid, &si, WEXITED | WNOHANG) != 0) {
		/* Somebody else reaped it: it is gone, its status with it. */
		si.si_pid = x->pid;
		si.si_code = CLD_KILLED;
		si.si_status = 0;
	}
	if (si.si_pid == 0)
		return;
	if (x->phase == PH_TERM || x->phase == PH_KILL)
		finish(x, EXEC_TIMED_OUT, si.si_code == CLD_EXITED ? 0 : si.si_status);
	else
		finish(x, si.si_code == CLD_EXITED ? EXEC_EXITED : EXEC_SIGNALED, si.si_status);
	start_next(x);
}

static void on_timer(void *arg, mono_t deadline)
{
	struct exec *x = arg;

	(void)deadline;
	if (x->phase == PH_RUNNING) {
		x->phase = PH_TERM;
		(void)kill(-x->pid, SIGTERM);
		loop_timer_set(x->timer, mono_add(loop_now(x->loop), EXEC_GRACE_NS));
	} else if (x->phase == PH_TERM) {
		x->phase = PH_KILL;
		(void)kill(-x->pid, SIGKILL);
	}
}

static void on_answer(void *arg, int fd, unsigned events)
{
	struct exec *x = arg;
	struct started a;

	(void)fd;
	(void)events;
	ring_ack(&x->sp->answers);
	if (!ring_pop(&x->sp->answers, &a) || x->phase != PH_STARTING)
		return;
	if (a.err) {
		finish(x, EXEC_START_FAILED, a.err);
		start_next(x);
		return;
	}
	x->phase = PH_RUNNING;
	x->pid = a.pid;
	x->began = loop_now(x->loop);
	x->n.started++;
	x->pid_fd = (int)syscall(SYS_pidfd_open, a.pid, 0);
	int err = x->pid_fd < 0 ? errno : 0;
	if (!err) {
		x->pid_lf = loop_fd_new(x->loop, x->pid_fd, LOOP_READ, LOOP_NORMAL, on_exit_of_child, x);
		x->pipe_lf = loop_fd_new(x->loop, x->pipe_fd, LOOP_READ, LOOP_BULK, on_pipe, x);
		err = x->pid_lf && x->pipe_lf ? 0 : ENOMEM;
	}
	if (err) {
		/* It cannot be watched, so it must not run. */
		(void)kill(-a.pid, SIGKILL);
		(void)waitid(P_PID, (id_t)a.pid, NULL, WEXITED | WNOHANG);
		finish(x, EXEC_START_FAILED, err);
		start_next(x);
		return;
	}
	loop_timer_set(x->timer, mono_add(x->began, x->cur->timeout_ns));
}

static void start_one(struct exec *x)
{
	int p[2];
	struct entry *e = list_entry(x->queue.next, struct entry, node);
	list_del(&e->node);
	x->n.waiting--;
	x->cur = e;
	x->phase = PH_STARTING;
	x->began = loop_now(x->loop);
	x->partial_len = 0;
	x->result = (struct exec_result){ .event = e->event, .epoch = e->epoch };
	x->result.waited_ns = mono_sub(x->began, e->pushed);
	snprintf(x->result.program, sizeof(x->result.program), "%s", e->argv[0]);
	snprintf(x->result.subject, sizeof(x->result.subject), "%s", e->subject);
	if (pipe2(p, O_CLOEXEC) != 0) {
		finish(x, EXEC_START_FAILED, errno);
		return;
	}
	(void)fcntl(p[0], F_SETFL, O_NONBLOCK); /* our end only: the hook gets an ordinary pipe */
	x->pipe_fd = p[0];
	struct order o = { .entry = e, .out_fd = p[1] };
	if (!ring_push(&x->sp->orders, &o)) {
		close(p[1]);
		finish(x, EXEC_START_FAILED, EAGAIN);
	}
}

/* A loop, not a recursion by way of finish: without descriptors every waiting hook fails at once. */
static void start_next(struct exec *x)
{
	if (x->in_start)
		return;
	x->in_start = true;
	while (x->phase == PH_IDLE && !list_empty(&x->queue))
		start_one(x);
	x->in_start = false;
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

int exec_push(struct exec *x, const struct hook_conf *hook, enum hook_event ev, const char *subject,
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
	e->pushed = loop_now(x->loop);
	list_add_tail(&x->queue, &e->node);
	x->n.waiting++;
	start_next(x);
	return 0;
}

unsigned exec_event(struct exec *x, const struct hook_conf *hooks, uint16_t n, enum hook_event ev, const char *subject,
		    const struct exec_env *env)
{
	unsigned queued = 0;

	for (uint16_t i = 0; i < n; i++)
		if (hooks[i].on & 1u << ev)
			queued += exec_push(x, &hooks[i], ev, subject, env) == 0;
	return queued;
}

bool exec_idle(const struct exec *x)
{
	return x->phase == PH_IDLE && list_empty(&x->queue);
}

struct exec_counters exec_counters(const struct exec *x)
{
	struct exec_counters n = x->n;

	n.running = x->phase != PH_IDLE;
	return n;
}

const struct exec_result *exec_last(const struct exec *x)
{
	return x->has_last ? &x->last : NULL;
}

/* ---- life ---- */

static struct spawner *spawner_new(void)
{
	struct spawner *s = calloc(1, sizeof(*s));
	int rc = s ? 0 : -ENOMEM;

	if (!s) {
		errno = ENOMEM;
		return NULL;
	}
	s->orders.wake_fd = s->answers.wake_fd = -1;
	rc = ring_init(&s->orders, sizeof(struct order), 4);
	if (rc == 0)
		rc = ring_init(&s->answers, sizeof(struct started), 4);
	if (rc == 0)
		rc = -spawner_start(s);
	if (rc == 0)
		return s;
	ring_free(&s->orders);
	ring_free(&s->answers);
	free(s);
	errno = -rc;
	return NULL;
}

struct exec *exec_new(struct loop *l, exec_fn fn, void *arg)
{
	struct exec *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->loop = l;
	x->fn = fn;
	x->arg = arg;
	x->pipe_fd = x->pid_fd = -1;
	list_init(&x->queue);
	x->sp = spawner_new();
	x->timer = x->sp ? loop_timer_new(l, LOOP_NORMAL, on_timer, x) : NULL;
	x->answer_lf = x->timer ? loop_fd_new(l, ring_fd(&x->sp->answers), LOOP_READ, LOOP_NORMAL, on_answer, x) : NULL;
	if (x->answer_lf)
		return x;
	int err = errno;
	exec_free(x);
	errno = err;
	return NULL;
}

/* True when the thread has ended; then nothing of it is in use any more. */
static bool spawner_stop(struct spawner *s)
{
	struct order end = { .entry = NULL, .out_fd = -1 };
	struct timespec until;

	ring_push(&s->orders, &end);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += STOP_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	if (pthread_timedjoin_np(s->thread, NULL, &until) == 0)
		return true;
	pthread_detach(s->thread);
	return false;
}

static void kill_running(struct exec *x)
{
	struct pollfd p = { .fd = x->pid_fd, .events = POLLIN };

	(void)kill(-x->pid, SIGKILL);
	(void)poll(&p, 1, STOP_MS);
	(void)waitid(P_PID, (id_t)x->pid, NULL, WEXITED | WNOHANG);
}

void exec_free(struct exec *x)
{
	if (!x)
		return;
	bool ended = !x->sp || spawner_stop(x->sp);
	struct started a;
	if (ended && x->phase == PH_STARTING && ring_pop(&x->sp->answers, &a) && a.err == 0) {
		/* Started in the meantime and not yet taken over. */
		x->pid = a.pid;
		x->pid_fd = (int)syscall(SYS_pidfd_open, a.pid, 0);
	}
	if (x->pid > 0)
		kill_running(x);
	loop_fd_free(x->answer_lf);
	loop_fd_free(x->pipe_lf);
	loop_fd_free(x->pid_lf);
	loop_timer_free(x->timer);
	if (x->pipe_fd >= 0)
		close(x->pipe_fd);
	if (x->pid_fd >= 0)
		close(x->pid_fd);
	list_for_each_safe (node, &x->queue) {
		list_del(node);
		entry_free(list_entry(node, struct entry, node));
	}
	if (ended) {
		entry_free(x->cur);
		if (x->sp) {
			ring_free(&x->sp->orders);
			ring_free(&x->sp->answers);
		}
		free(x->sp);
	}
	free(x);
}
