/*
 * CONTROL never starts a program itself: that sleeps until the new program's file is open and mapped, and that
 * file may lie on a disk that does not answer. One thread does nothing else. It is created with SCHED_OTHER and nice 0,
 * so its children do not inherit CONTROL's priority; the watching (pidfd, pipe, timer) is the loop's.
 */
#define _GNU_SOURCE 1 /* pipe2, pthread_timedjoin_np, clone */
#include "ike-hooks/child_io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/ring.h"
#include "daemon/base/thread.h"

#define STOP_MS       100
#define READS_MAX     16u
#define DRAINS_AT_END 5u

/* argv and environment in one piece of memory; belongs to the thread from the order to the answer. */
struct words {
	const char **argv, **envp;
};

/* To the thread. words NULL: end. */
struct order {
	struct words *words;
	unsigned slot;
	int in_fd, out_fd; /* closed by the thread; in_fd -1: nothing to read */
	bool as, strict, with_us;
	const char *user, *group; /* among the words */
};

struct started {
	unsigned slot;
	pid_t pid;
	mono_t at; /* before it was started: what CONTROL hears of it comes later than a short program's end */
	int err;
	char why[CHILD_WHY_MAX]; /* empty: err says it all */
};

/* Lives on the heap by itself: a thread that hangs in the start of a program at the end is left behind with it. */
struct spawner {
	pthread_t thread;
	struct ring orders, answers;
	char *stack; /* of a new process, until it runs its program */
};

enum phase { PH_FREE = 0, PH_STARTING, PH_RUNNING, PH_TERM, PH_KILL };

struct child {
	struct children *all;
	unsigned slot;
	enum phase phase;
	struct loop_fd *pipe_lf, *pid_lf;
	struct loop_timer *timer;
	pid_t pid;
	int pipe_fd, pid_fd;
	mono_t began;
	int64_t timeout_ns, grace_ns;
};

struct children {
	struct loop *loop;
	child_out_fn out;
	child_end_fn end;
	void *arg;
	struct spawner *sp;
	struct loop_fd *answer_lf;
	unsigned running;
	pid_t dead[CHILD_SLOTS]; /* killed because they could not be watched, and not gone yet */
	unsigned n_dead;
	uint64_t started;
	struct child slot[CHILD_SLOTS];
};

/* ---- the thread ---- */

#define CHILD_STACK (64u << 10)

#ifdef KT_SANITIZED
/*
 * The thread sanitizer's own clone() takes the child for a copy of the process: it would stop looking at this thread, whose
 * memory the child shares. This name of the C library's is the one that it does not replace.
 */
int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...);
#define clone __clone
#endif

/* What the new process needs to know; it shares our memory until it runs the program. */
struct birth {
	const struct words *words;
	int in_fd, out_fd;
	bool change, with_us;
	struct child_ids ids;
	int err;
};

/*
 * System calls, not the library's functions: those would change the user of every thread of this process. The kernel
 * takes the capabilities away with the user.
 */
static bool become(const struct child_ids *ids)
{
	return syscall(SYS_setgroups, 1, &ids->gid) == 0 && syscall(SYS_setresgid, ids->gid, ids->gid, ids->gid) == 0 &&
	       syscall(SYS_setresuid, ids->uid, ids->uid, ids->uid) == 0;
}

static bool take_fd(int from, int to)
{
	return from == to ? fcntl(to, F_SETFD, 0) == 0 : syscall(SYS_dup3, from, to, 0) == to;
}

/* Ours are closed by exec; what a library left open is not. Kernels before 5.9 cannot tell a range. */
static bool close_rest(void)
{
	return syscall(SYS_close_range, 3, ~0u, 0) == 0 || errno == ENOSYS;
}

/* System calls here too: what the library and its sanitizers remember of signals and descriptors is the parent's. */
__attribute__((no_sanitize("address", "thread"))) static int child_main(void *arg)
{
	static const unsigned long no_action[16]; /* the kernel's struct sigaction of SIG_DFL, and an empty mask */
	struct birth *b = arg;
	struct sched_param sp = { .sched_priority = 0 };

	for (int sig = 1; sig < NSIG; sig++)
		(void)syscall(SYS_rt_sigaction, sig, no_action, NULL, NSIG / 8);
	(void)setpgid(0, 0);
	(void)syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &sp);
	int in = b->in_fd;
	if (in < 0)
		in = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC, 0);
	bool ok = in >= 0 && take_fd(in, 0) && take_fd(b->out_fd, 1) && take_fd(b->out_fd, 2) && close_rest() &&
		  (!b->change || become(&b->ids)) && (!b->with_us || prctl(PR_SET_PDEATHSIG, SIGTERM) == 0);
	if (ok) {
		(void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, no_action, NULL, NSIG / 8);
		/* The prototype's lack of const is history: the words are not written to (POSIX, exec). */
		execve(b->words->argv[0], (char *const *)(uintptr_t)b->words->argv,
		       (char *const *)(uintptr_t)b->words->envp);
	}
	b->err = errno;
	_exit(127);
}

/* Sleeps until the program runs. 0 or errno. */
static int spawn(struct birth *b, char *stack, pid_t *pid)
{
	sigset_t all, old;

	b->err = 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	*pid = clone(child_main, stack + CHILD_STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, b);
	int err = *pid < 0 ? errno : b->err;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (*pid > 0 && err)
		(void)waitpid(*pid, NULL, 0);
	return err;
}

/* Whom it runs as, and whether that is safe. 0 or errno. */
static int find_ids(const struct order *o, struct birth *b, char *why)
{
	if (!o->as)
		return 0;
	int rc = child_user_find(o->user, o->group, o->strict, &b->ids, why);
	if (rc == 0 && o->strict)
		rc = child_user_safe(o->words->argv[0], &b->ids, why);
	b->change = rc == 0 && (b->ids.uid != geteuid() || b->ids.gid != getegid());
	return -rc;
}

static void *spawner_main(void *arg)
{
	struct spawner *s = arg;

	/* Inherited by the children. Refused only when nice is above 0 and we are not privileged: nothing to do then. */
	(void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 0);
	for (;;) {
		struct pollfd p = { .fd = ring_fd(&s->orders), .events = POLLIN };
		struct order o;

		(void)poll(&p, 1, -1);
		ring_ack(&s->orders);
		while (ring_pop(&s->orders, &o)) {
			struct started a = { .slot = o.slot };
			if (!o.words)
				return NULL;
			struct birth b = {
				.words = o.words, .in_fd = o.in_fd, .out_fd = o.out_fd, .with_us = o.with_us
			};
			a.err = find_ids(&o, &b, a.why);
			a.at = clock_mono();
			if (!a.err)
				a.err = spawn(&b, s->stack, &a.pid);
			if (o.in_fd >= 0)
				close(o.in_fd);
			close(o.out_fd);
			free(o.words);
			ring_push(&s->answers, &a); /* one order per slot at a time: there is room */
		}
	}
}

static void spawner_free(struct spawner *s)
{
	ring_free(&s->orders);
	ring_free(&s->answers);
	free(s->stack);
	free(s);
}

static struct spawner *spawner_new(void)
{
	struct spawner *s = calloc(1, sizeof(*s));
	int rc = 0;

	if (!s) {
		errno = ENOMEM;
		return NULL;
	}
	s->stack = malloc(CHILD_STACK);
	if (!s->stack)
		rc = -ENOMEM;
	s->orders.wake_fd = s->answers.wake_fd = -1;
	if (rc == 0)
		rc = ring_init(&s->orders, sizeof(struct order), CHILD_SLOTS + 1);
	if (rc == 0)
		rc = ring_init(&s->answers, sizeof(struct started), CHILD_SLOTS + 1);
	if (rc == 0)
		rc = thread_start(&s->thread, spawner_main, s);
	if (rc == 0)
		return s;
	spawner_free(s);
	errno = -rc;
	return NULL;
}

/* True when the thread has ended; then nothing of it is in use any more. */
static bool spawner_stop(struct spawner *s)
{
	struct order end = { .words = NULL, .out_fd = -1 };
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

/* ---- words ---- */

static unsigned count(const char *const *list, size_t *bytes)
{
	unsigned n = 0;

	for (; list[n]; n++)
		*bytes += strlen(list[n]) + 1;
	return n;
}

static size_t text_size(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

/* user and group: NULL, or what they are; the copies. */
static struct words *words_copy(const char *const *argv, const char *const *envp, const char **user, const char **group)
{
	size_t bytes = text_size(*user) + text_size(*group);
	unsigned na = count(argv, &bytes), ne = count(envp, &bytes);
	size_t head = sizeof(struct words) + (na + ne + 2) * sizeof(char *);
	struct words *w = malloc(head + bytes);

	if (!w)
		return NULL;
	w->argv = (const char **)(w + 1);
	w->envp = w->argv + na + 1;
	char *text = (char *)w + head;
	for (unsigned i = 0; i < na + ne + 2; i++) {
		const char *from = i < na ? argv[i] : i == na || i == na + ne + 1 ? NULL : envp[i - na - 1];
		w->argv[i] = from ? text : NULL;
		if (from)
			text = stpcpy(text, from) + 1;
	}
	const char **const names[] = { user, group };
	for (unsigned i = 0; i < 2; i++) {
		if (!*names[i])
			continue;
		char *end = stpcpy(text, *names[i]) + 1;
		*names[i] = text;
		text = end;
	}
	return w;
}

/* ---- children ---- */

/* At most READS_MAX pieces; false when nothing more will come now. */
static bool drain(struct child *k)
{
	char buf[1024];

	for (unsigned i = 0; i < READS_MAX; i++) {
		ssize_t n = read(k->pipe_fd, buf, sizeof(buf));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		if (n == 0) {
			loop_fd_free(k->pipe_lf); /* end of file would wake us for ever */
			k->pipe_lf = NULL;
			return false;
		}
		k->all->out(k->all->arg, k->slot, buf, (size_t)n);
	}
	return true;
}

static void on_pipe(void *arg, int fd, unsigned events)
{
	(void)fd;
	(void)events;
	(void)drain(arg);
}

static void release(struct child *k)
{
	loop_fd_free(k->pipe_lf);
	loop_fd_free(k->pid_lf);
	k->pipe_lf = k->pid_lf = NULL;
	if (k->pipe_fd >= 0)
		close(k->pipe_fd);
	if (k->pid_fd >= 0)
		close(k->pid_fd);
	k->pipe_fd = k->pid_fd = -1;
	k->pid = 0;
	if (k->timer)
		loop_timer_set(k->timer, MONO_NEVER);
	k->all->running -= k->phase != PH_FREE;
	k->phase = PH_FREE;
}

static void finish(struct child *k, enum child_end end, int code)
{
	struct child_result r = { .end = end, .code = code, .took_ns = mono_sub(clock_mono(), k->began) };

	/* A full pipe is 64 KiB. A background process may keep it and write on: what is there counts, the rest does not. */
	for (unsigned i = 0; end != CHILD_START_FAILED && i < DRAINS_AT_END && drain(k); i++)
		;
	release(k);
	k->all->end(k->all->arg, k->slot, &r);
}

static void on_exit_of_child(void *arg, int fd, unsigned events)
{
	struct child *k = arg;
	siginfo_t si = { .si_pid = 0 };
	bool late = k->phase == PH_TERM || k->phase == PH_KILL;

	(void)fd;
	(void)events;
	/* While the leader is not reaped yet its number still names the group: its children go now. */
	if (late)
		(void)kill(-k->pid, SIGKILL);
	if (waitid(P_PID, (id_t)k->pid, &si, WEXITED | WNOHANG) != 0) {
		/* Somebody else reaped it: it is gone, its status with it. */
		si.si_pid = k->pid;
		si.si_code = CLD_KILLED;
		si.si_status = 0;
	}
	if (si.si_pid == 0)
		return;
	if (late)
		finish(k, CHILD_TIMED_OUT, si.si_code == CLD_EXITED ? 0 : si.si_status);
	else
		finish(k, si.si_code == CLD_EXITED ? CHILD_EXITED : CHILD_SIGNALED, si.si_status);
}

static void on_timer(void *arg, mono_t deadline)
{
	struct child *k = arg;

	(void)deadline;
	if (k->phase == PH_RUNNING && k->grace_ns > 0) {
		k->phase = PH_TERM;
		(void)kill(-k->pid, SIGTERM);
		loop_timer_set(k->timer, mono_add(loop_now(k->all->loop), k->grace_ns));
	} else if (k->phase == PH_RUNNING || k->phase == PH_TERM) {
		k->phase = PH_KILL;
		(void)kill(-k->pid, SIGKILL);
	}
}

static void reap_dead(struct children *c)
{
	for (unsigned i = c->n_dead; i-- > 0;) {
		siginfo_t si = { .si_pid = 0 };
		if (waitid(P_PID, (id_t)c->dead[i], &si, WEXITED | WNOHANG) != 0 || si.si_pid)
			c->dead[i] = c->dead[--c->n_dead];
	}
}

static void take_started(struct child *k, const struct started *a)
{
	struct loop *l = k->all->loop;

	if (a->err) {
		if (a->why[0])
			k->all->out(k->all->arg, k->slot, a->why, strlen(a->why));
		finish(k, CHILD_START_FAILED, a->err);
		return;
	}
	k->phase = PH_RUNNING;
	k->pid = a->pid;
	k->began = a->at;
	k->all->started++;
	k->pid_fd = (int)syscall(SYS_pidfd_open, a->pid, 0);
	int err = k->pid_fd < 0 ? errno : 0;
	if (!err) {
		k->pid_lf = loop_fd_new(l, k->pid_fd, LOOP_READ, LOOP_NORMAL, on_exit_of_child, k);
		k->pipe_lf = loop_fd_new(l, k->pipe_fd, LOOP_READ, LOOP_BULK, on_pipe, k);
		err = k->pid_lf && k->pipe_lf ? 0 : ENOMEM;
	}
	if (err) {
		/* It cannot be watched, so it must not run. */
		(void)kill(-a->pid, SIGKILL);
		k->all->dead[k->all->n_dead++] = a->pid; /* there is room: child_run_as saw to it */
		finish(k, CHILD_START_FAILED, err);
		return;
	}
	if (k->timeout_ns)
		loop_timer_set(k->timer, mono_add(k->began, k->timeout_ns));
}

static void on_answer(void *arg, int fd, unsigned events)
{
	struct children *c = arg;
	struct started a;

	(void)fd;
	(void)events;
	ring_ack(&c->sp->answers);
	for (unsigned i = 0; i < CHILD_SLOTS && ring_pop(&c->sp->answers, &a); i++)
		if (c->slot[a.slot].phase == PH_STARTING)
			take_started(&c->slot[a.slot], &a);
}

int child_run_as(struct children *c, const char *const *argv, const char *const *envp, int64_t timeout_ns,
		 int64_t grace_ns, const struct child_as *as)
{
	struct child *k = NULL;
	int p[2];

	reap_dead(c);
	for (unsigned i = 0; i < CHILD_SLOTS && !k; i++)
		if (c->slot[i].phase == PH_FREE)
			k = &c->slot[i];
	if (!k || c->running + c->n_dead >= CHILD_SLOTS)
		return ERR_FULL;
	const char *user = as ? as->user : NULL, *group = as ? as->group : NULL;
	struct words *w = words_copy(argv, envp, &user, &group);
	if (!w)
		return -ENOMEM;
	if (pipe2(p, O_CLOEXEC) != 0) {
		int err = errno;
		free(w);
		return -err;
	}
	(void)fcntl(p[0], F_SETFL, O_NONBLOCK); /* our end only: the program gets an ordinary pipe */
	struct order o = { .words = w,
			   .slot = k->slot,
			   .in_fd = as ? as->in_fd : -1,
			   .out_fd = p[1],
			   .as = as != NULL,
			   .strict = as && as->strict,
			   .with_us = as && as->with_us,
			   .user = user,
			   .group = group };
	if (!ring_push(&c->sp->orders, &o)) {
		close(p[0]);
		close(p[1]);
		free(w);
		return -EAGAIN;
	}
	k->pipe_fd = p[0];
	k->phase = PH_STARTING;
	k->began = loop_now(c->loop);
	k->timeout_ns = timeout_ns;
	k->grace_ns = grace_ns;
	c->running++;
	return (int)k->slot;
}

int child_run(struct children *c, const char *const *argv, const char *const *envp, int64_t timeout_ns,
	      int64_t grace_ns)
{
	return child_run_as(c, argv, envp, timeout_ns, grace_ns, NULL);
}

void child_end(struct children *c, unsigned slot, int signo)
{
	if (slot < CHILD_SLOTS && c->slot[slot].pid > 0)
		(void)kill(-c->slot[slot].pid, signo);
}

unsigned children_running(const struct children *c)
{
	return c->running;
}

uint64_t children_started(const struct children *c)
{
	return c->started;
}

/* ---- life ---- */

struct children *children_new(struct loop *l, child_out_fn out, child_end_fn end, void *arg)
{
	struct children *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->loop = l;
	c->out = out;
	c->end = end;
	c->arg = arg;
	bool ok = true;
	for (unsigned i = 0; i < CHILD_SLOTS; i++) {
		struct child *k = &c->slot[i];
		k->all = c;
		k->slot = i;
		k->pipe_fd = k->pid_fd = -1;
		k->timer = ok ? loop_timer_new(l, LOOP_NORMAL, on_timer, k) : NULL;
		ok = k->timer;
	}
	c->sp = ok ? spawner_new() : NULL;
	c->answer_lf = c->sp ? loop_fd_new(l, ring_fd(&c->sp->answers), LOOP_READ, LOOP_NORMAL, on_answer, c) : NULL;
	if (c->answer_lf)
		return c;
	int err = errno;
	children_free(c);
	errno = err;
	return NULL;
}

static void kill_all(struct children *c)
{
	mono_t until = mono_add(clock_mono(), STOP_MS * NS_PER_MS);

	for (unsigned i = 0; i < CHILD_SLOTS; i++)
		if (c->slot[i].pid > 0)
			(void)kill(-c->slot[i].pid, SIGKILL);
	for (unsigned i = 0; i < CHILD_SLOTS; i++) {
		struct child *k = &c->slot[i];
		if (k->pid <= 0)
			continue;
		struct pollfd p = { .fd = k->pid_fd, .events = POLLIN };
		int64_t left = mono_sub(until, clock_mono());
		(void)poll(&p, 1, left > 0 ? (int)(left / NS_PER_MS) : 0);
		(void)waitid(P_PID, (id_t)k->pid, NULL, WEXITED | WNOHANG);
	}
}

static void end_all(struct children *c, bool kill_them)
{
	if (!c)
		return;
	bool ended = !c->sp || spawner_stop(c->sp);
	struct started a;
	while (c->sp && ring_pop(&c->sp->answers, &a)) {
		/* Started in the meantime and not yet taken over. */
		struct child *k = &c->slot[a.slot];
		if (a.err || k->phase != PH_STARTING)
			continue;
		k->pid = a.pid;
		k->pid_fd = (int)syscall(SYS_pidfd_open, a.pid, 0);
	}
	if (kill_them)
		kill_all(c);
	loop_fd_free(c->answer_lf);
	for (unsigned i = 0; i < CHILD_SLOTS; i++) {
		release(&c->slot[i]);
		loop_timer_free(c->slot[i].timer);
	}
	if (ended && c->sp)
		spawner_free(c->sp);
	free(c);
}

void children_free(struct children *c)
{
	end_all(c, true);
}

void children_leave(struct children *c)
{
	end_all(c, false);
}
