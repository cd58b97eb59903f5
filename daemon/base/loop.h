/*
 * Purpose: the event loop behind a facade: descriptors with a class, timers with absolute deadlines, signals, lateness.
 * Owns:    struct loop and every struct loop_* it returns, until the matching _free.
 * Thread:  a loop belongs to the thread that runs it; only loop_stop may be called from another one.
 * In:      readiness, deadlines, signals.   Out: callbacks.
 * Errors:  constructors return NULL and set errno.
 *
 * Classes are run in order: all ready LATENCY work before NORMAL before BULK. A callback must not work for longer
 * than its budget: loop_budget_spent() says when to return (level-triggered descriptors come back by themselves).
 * The order is strict: a class that is ready all the time starves those below it. Work that must go on under any load
 * belongs to the class of that load.
 */
#ifndef KT_BASE_LOOP_H
#define KT_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/hist.h"
#include "daemon/base/mono.h"

enum loop_class { LOOP_LATENCY = 0, LOOP_NORMAL = 1, LOOP_BULK = 2 };
enum { LOOP_READ = 1, LOOP_WRITE = 2 };

struct loop;
struct loop_fd;
struct loop_timer;
struct loop_signal;
struct event_base;

typedef void (*loop_fd_fn)(void *arg, int fd, unsigned events);
typedef void (*loop_timer_fn)(void *arg, mono_t deadline);
typedef void (*loop_signal_fn)(void *arg, int signo);

struct loop *loop_new(const char *name);
void loop_free(struct loop *l);
/* Runs until loop_stop. */
void loop_run(struct loop *l);
/* One pass; waits at most wait_ns (0: do not wait). */
void loop_once(struct loop *l, int64_t wait_ns);
void loop_stop(struct loop *l);
/* The monotonic clock now. Cheap (no system call), and right inside a library's own callbacks too. */
mono_t loop_now(const struct loop *l);
/* Lateness of timers: instant run minus deadline. */
struct hist *loop_lateness(struct loop *l);
/* For libraries that attach themselves (bufferevent_openssl); nobody else. */
struct event_base *loop_event_base(struct loop *l);

struct loop_fd *loop_fd_new(struct loop *l, int fd, unsigned events, enum loop_class c, loop_fd_fn fn, void *arg);
/* Changes the set of events; 0 pauses the descriptor. */
void loop_fd_set(struct loop_fd *f, unsigned events);
/* Does not close the descriptor. NULL is fine. */
void loop_fd_free(struct loop_fd *f);

struct loop_timer *loop_timer_new(struct loop *l, enum loop_class c, loop_timer_fn fn, void *arg);
/* One shot at the absolute deadline; re-arming replaces; MONO_NEVER cancels. */
void loop_timer_set(struct loop_timer *t, mono_t deadline);
void loop_timer_free(struct loop_timer *t);

/*
 * Catches a signal of the process; one loop of a process at most may have signals. The handler is reset by exec, but
 * not by fork: a child that goes on without exec must set its own dispositions at once.
 */
struct loop_signal *loop_signal_new(struct loop *l, int signo, loop_signal_fn fn, void *arg);
void loop_signal_free(struct loop_signal *s);

/* A read budget: at most n messages and at most max_ns since its start. */
struct loop_budget {
	unsigned left;
	mono_t until;
};
#define LOOP_BUDGET_MSGS 64
#define LOOP_BUDGET_NS   (500 * NS_PER_US)
struct loop_budget loop_budget(unsigned msgs, int64_t max_ns);
/* Counts one message; true when the callback should return. */
bool loop_budget_spent(struct loop_budget *b);

#endif
