/*
 * libevent 2.1 behind the facade.
 *
 * - PRECISE_TIMER: timerfd and the fine clock; the default clock is late by milliseconds. NO_CACHE_TIME: libevent turns
 *   a relative timeout into a deadline by its own idea of "now", which must not be that of the last wake-up.
 * - Deadlines are kept here; a timer that comes early by rounding is armed again, so a callback never runs early.
 * - max_dispatch: below LATENCY the kernel is asked again after each callback, so that a train of ready BULK work never
 *   holds up LATENCY work for more than one callback.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/loop.h"
#include "daemon/base/require.h"

struct loop {
	struct event_base *base;
	struct event *stop_ev, *wait_ev;
	int stop_fd;
	const char *name;
	struct hist lateness;
};

struct loop_fd {
	struct loop *loop;
	struct event *ev;
	enum loop_class cls;
	unsigned events;
	loop_fd_fn fn;
	void *arg;
};

struct loop_timer {
	struct loop *loop;
	struct event *ev;
	mono_t deadline;
	loop_timer_fn fn;
	void *arg;
};

struct loop_signal {
	struct event *ev;
	loop_signal_fn fn;
	void *arg;
};

enum { CLASSES = LOOP_BULK + 1 };

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;
	uint64_t n;
	ssize_t got = read(fd, &n, sizeof(n));
	(void)got;
	(void)what;
	event_base_loopbreak(l->base);
}

static void on_wait(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg; /* its only effect is that the pass ends */
}

static struct event_base *new_base(void)
{
	struct event_config *cfg = event_config_new();
	if (!cfg)
		return NULL;
	event_config_set_flag(cfg,
			      EVENT_BASE_FLAG_PRECISE_TIMER | EVENT_BASE_FLAG_NO_CACHE_TIME | EVENT_BASE_FLAG_NOLOCK);
	event_config_set_max_dispatch_interval(cfg, NULL, 1, LOOP_NORMAL);
	struct event_base *base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	if (base && event_base_priority_init(base, CLASSES) != 0) {
		event_base_free(base);
		base = NULL;
	}
	return base;
}

struct loop *loop_new(const char *name)
{
	struct loop *l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->name = name;
	l->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	l->base = new_base();
	if (l->base && l->stop_fd != -1) {
		l->stop_ev = event_new(l->base, l->stop_fd, EV_READ | EV_PERSIST, on_stop, l);
		l->wait_ev = event_new(l->base, -1, 0, on_wait, l);
	}
	if (!l->stop_ev || !l->wait_ev || event_priority_set(l->stop_ev, LOOP_LATENCY) != 0 ||
	    event_priority_set(l->wait_ev, LOOP_BULK) != 0 || event_add(l->stop_ev, NULL) != 0) {
		loop_free(l);
		errno = ENOMEM;
		return NULL;
	}
	return l;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	if (l->stop_ev)
		event_free(l->stop_ev);
	if (l->wait_ev)
		event_free(l->wait_ev);
	if (l->base)
		event_base_free(l->base);
	if (l->stop_fd != -1)
		close(l->stop_fd);
	free(l);
}

void loop_run(struct loop *l)
{
	event_base_loop(l->base, EVLOOP_NO_EXIT_ON_EMPTY);
}

/* Rounded up, so that a timer is not early by a fraction. */
static struct timeval tv_of(int64_t d_ns)
{
	int64_t us = d_ns <= 0 ? 0 : (d_ns + NS_PER_US - 1) / NS_PER_US;
	return (struct timeval){ .tv_sec = us / 1000000, .tv_usec = us % 1000000 };
}

void loop_once(struct loop *l, int64_t wait_ns)
{
	if (wait_ns <= 0) {
		event_base_loop(l->base, EVLOOP_NONBLOCK | EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY);
		return;
	}
	struct timeval tv = tv_of(wait_ns);
	event_add(l->wait_ev, &tv);
	event_base_loop(l->base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY);
	event_del(l->wait_ev);
}

void loop_stop(struct loop *l)
{
	uint64_t one = 1;
	ssize_t n = write(l->stop_fd, &one, sizeof(one));
	(void)n; /* EAGAIN: a stop is waiting already */
}

mono_t loop_now(const struct loop *l)
{
	(void)l;
	return clock_mono();
}

struct hist *loop_lateness(struct loop *l)
{
	return &l->lateness;
}

struct event_base *loop_event_base(struct loop *l)
{
	return l->base;
}

static void on_fd(evutil_socket_t fd, short what, void *arg)
{
	struct loop_fd *f = arg;
	unsigned events = ((what & EV_READ) != 0 ? LOOP_READ : 0) | ((what & EV_WRITE) != 0 ? LOOP_WRITE : 0);
	f->fn(f->arg, fd, events); /* may free f */
}

static short ev_of(unsigned events)
{
	return (short)(((events & LOOP_READ) != 0 ? EV_READ : 0) | ((events & LOOP_WRITE) != 0 ? EV_WRITE : 0) |
		       EV_PERSIST);
}

struct loop_fd *loop_fd_new(struct loop *l, int fd, unsigned events, enum loop_class c, loop_fd_fn fn, void *arg)
{
	struct loop_fd *f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	*f = (struct loop_fd){ .loop = l, .cls = c, .events = events, .fn = fn, .arg = arg };
	f->ev = event_new(l->base, fd, ev_of(events), on_fd, f);
	if (!f->ev || event_priority_set(f->ev, (int)c) != 0 || (events != 0 && event_add(f->ev, NULL) != 0)) {
		int err = errno ? errno : ENOMEM;
		loop_fd_free(f);
		errno = err;
		return NULL;
	}
	return f;
}

void loop_fd_set(struct loop_fd *f, unsigned events)
{
	if (events == f->events)
		return;
	event_del(f->ev);
	f->events = events;
	if (events == 0)
		return;
	/* Cannot fail for lack of memory in a way that leaves less than before: the slot of this fd exists already. */
	event_assign(f->ev, f->loop->base, event_get_fd(f->ev), ev_of(events), on_fd, f);
	event_priority_set(f->ev, (int)f->cls);
	require(event_add(f->ev, NULL) == 0);
}

void loop_fd_free(struct loop_fd *f)
{
	if (!f)
		return;
	if (f->ev)
		event_free(f->ev);
	free(f);
}

static void arm(struct loop_timer *t, mono_t now)
{
	struct timeval tv = tv_of(mono_sub(t->deadline, now));
	require(event_add(t->ev, &tv) == 0);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct loop_timer *t = arg;
	mono_t now = clock_mono(), deadline = t->deadline;
	(void)fd;
	(void)what;
	if (!mono_due(deadline, now)) {
		arm(t, now);
		return;
	}
	t->deadline = MONO_NEVER;
	hist_add(&t->loop->lateness, mono_sub(now, deadline));
	t->fn(t->arg, deadline); /* may free t */
}

struct loop_timer *loop_timer_new(struct loop *l, enum loop_class c, loop_timer_fn fn, void *arg)
{
	struct loop_timer *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	*t = (struct loop_timer){ .loop = l, .deadline = MONO_NEVER, .fn = fn, .arg = arg };
	t->ev = event_new(l->base, -1, 0, on_timer, t);
	if (!t->ev || event_priority_set(t->ev, (int)c) != 0) {
		loop_timer_free(t);
		errno = ENOMEM;
		return NULL;
	}
	return t;
}

void loop_timer_set(struct loop_timer *t, mono_t deadline)
{
	if (deadline.ns == t->deadline.ns)
		return;
	t->deadline = deadline;
	if (mono_is_never(deadline))
		event_del(t->ev);
	else
		arm(t, clock_mono());
}

void loop_timer_free(struct loop_timer *t)
{
	if (!t)
		return;
	if (t->ev)
		event_free(t->ev);
	free(t);
}

static void on_signal(evutil_socket_t signo, short what, void *arg)
{
	struct loop_signal *s = arg;
	(void)what;
	s->fn(s->arg, (int)signo); /* may free s */
}

struct loop_signal *loop_signal_new(struct loop *l, int signo, loop_signal_fn fn, void *arg)
{
	struct loop_signal *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	*s = (struct loop_signal){ .fn = fn, .arg = arg };
	s->ev = evsignal_new(l->base, signo, on_signal, s);
	if (!s->ev || event_priority_set(s->ev, LOOP_NORMAL) != 0 || event_add(s->ev, NULL) != 0) {
		loop_signal_free(s);
		errno = EINVAL;
		return NULL;
	}
	return s;
}

void loop_signal_free(struct loop_signal *s)
{
	if (!s)
		return;
	if (s->ev)
		event_free(s->ev);
	free(s);
}

struct loop_budget loop_budget(unsigned msgs, int64_t max_ns)
{
	return (struct loop_budget){ .left = msgs, .until = mono_add(clock_mono(), max_ns) };
}

bool loop_budget_spent(struct loop_budget *b)
{
	if (b->left > 0)
		b->left--;
	return b->left == 0 || mono_due(b->until, clock_mono());
}
