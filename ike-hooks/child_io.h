/*
 * Purpose: other programs as children of the daemon: started without waiting, watched, with a time limit, ended by
 *          process group.
 * Owns:    up to CHILD_SLOTS children with their pipes, and one thread that only starts programs (starting one sleeps
 *          until its file is read, and a file may lie on a dead network disk).
 * Thread:  the loop's calls everything here and never waits, except children_free.
 * In:      argv, environment, time limit.
 * Out:     output as it comes, and one result per child.
 * Errors:  child_run: a slot number, or ERR_FULL, or -errno; then nothing was started and nobody is called.
 *
 * A child gets: its own process group, SCHED_OTHER, nice 0, empty signal mask, default signal handlers, stdin /dev/null,
 * no descriptor of ours but one pipe for stdout and stderr, and no environment but what it is given. At the time limit
 * the group gets SIGTERM, the grace later SIGKILL. Output that is already in the pipe at the end counts, what a process
 * in the background writes later does not.
 */
#ifndef KT_CHILD_IO_H
#define KT_CHILD_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/base/loop.h"
#include "ike-hooks/child_user.h"

#define CHILD_SLOTS    16
#define CHILD_GRACE_NS (1 * NS_PER_SEC)

enum child_end {
	CHILD_EXITED = 0,   /* code = exit status */
	CHILD_SIGNALED,     /* code = signal */
	CHILD_TIMED_OUT,    /* code = signal that ended it, 0 if it exited */
	CHILD_START_FAILED, /* code = errno */
};

struct child_result {
	enum child_end end;
	int code;
	int64_t took_ns;
};

typedef void (*child_out_fn)(void *arg, unsigned slot, const char *data, size_t n);
/* The slot is free again: the callback may start the next child, but not free the children. */
typedef void (*child_end_fn)(void *arg, unsigned slot, const struct child_result *r);

struct children;

/* NULL and errno on failure. out and end may be called from the loop only, never inside child_run. */
struct children *children_new(struct loop *l, child_out_fn out, child_end_fn end, void *arg);
/* Kills what runs (at most 100 ms in all); nobody is called any more. */
void children_free(struct children *c);
/* The same, but what runs lives on without us; those with_us get SIGTERM. */
void children_leave(struct children *c);

/* argv and envp end with NULL and are copied; argv[0] is a path. grace_ns: from SIGTERM to SIGKILL. */
int child_run(struct children *c, const char *const *argv, const char *const *envp, int64_t timeout_ns,
	      int64_t grace_ns);

/* Whom a program runs as and what else is different for it. */
struct child_as {
	const char *user, *group; /* ike-hooks/child_user.h */
	bool strict;              /* script security: see child_user_safe */
	bool with_us;             /* gets SIGTERM when this process ends or dies */
	int in_fd;                /* its standard input; -1: /dev/null. Belongs to child_io once this returns >= 0 */
};
/*
 * The same for another user. timeout_ns 0: it may run for ever. What keeps it from running is its output, one line, and
 * CHILD_START_FAILED its end.
 */
int child_run_as(struct children *c, const char *const *argv, const char *const *envp, int64_t timeout_ns,
		 int64_t grace_ns, const struct child_as *as);
/* A signal to its process group. A slot in which nothing runs is left alone. */
void child_end(struct children *c, unsigned slot, int signo);
/* Children that are starting or running. */
unsigned children_running(const struct children *c);
/* How many were started so far. */
uint64_t children_started(const struct children *c);

#endif
