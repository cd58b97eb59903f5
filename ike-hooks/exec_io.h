/*
 * Purpose: the one ordered queue of operator hooks (role and tunnel events): started one after another, with a time
 *          limit.
 * Owns:    the queue, the running child with its output (ike-hooks/child_io.h), and the thread that starts it.
 * Thread:  CONTROL calls everything here and never waits.
 * In:      hook, event, subject, environment.
 * Out:     results, for show and log.
 * Errors:  exec_push: 0 or ERR_FULL.
 *
 * Order: first in, first run, one at a time, over all events and hooks. From EXEC_COALESCE waiting entries on, an entry
 * replaces a waiting one of the same hook and subject, in that one's place taken out and added at the end: the last
 * state always arrives, the replaced ones are counted (coalesced). EXEC_QUEUE_MAX different (hook, subject) pairs
 * waiting: the newest is refused and counted (dropped). What a child
 * gets: ike-hooks/child_io.h and ike-hooks/ha_env.h. At the time limit its group gets SIGTERM, EXEC_GRACE_NS later
 * SIGKILL.
 */
#ifndef KT_EXEC_IO_H
#define KT_EXEC_IO_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/epoch.h"
#include "daemon/base/loop.h"
#include "ike-hooks/child_io.h"
#include "ike-hooks/ha_env.h"
#include "ike-hooks/ike_conf.h"

#define EXEC_COALESCE  64
#define EXEC_QUEUE_MAX 8192
#define EXEC_GRACE_NS  (1 * NS_PER_SEC)
#define EXEC_LINE_MAX  160

enum exec_outcome {
	EXEC_EXITED = CHILD_EXITED,             /* code = exit status */
	EXEC_SIGNALED = CHILD_SIGNALED,         /* code = signal */
	EXEC_TIMED_OUT = CHILD_TIMED_OUT,       /* code = signal that ended it */
	EXEC_START_FAILED = CHILD_START_FAILED, /* code = errno */
};

struct exec_result {
	enum exec_outcome outcome;
	int code;
	enum hook_event event;
	uint16_t hook; /* its place in the list of exec_event; UINT16_MAX: exec_push queued it */
	char program[128];
	char subject[IKE_NAME_MAX];
	char line[EXEC_LINE_MAX]; /* last line of its output, unprintable bytes as '?' */
	uint64_t output_bytes;
	int64_t waited_ns, took_ns;
	struct epoch epoch;
	int64_t wall_us; /* when it ended */
};

struct exec_counters {
	uint64_t pushed, started, ok, failed, timed_out, coalesced, dropped;
	uint32_t waiting;
	bool running;
};

struct exec;

/* Called after each hook; NULL is fine. The result is valid during the call only. */
typedef void (*exec_fn)(void *arg, const struct exec_result *r);

/* NULL and errno on failure. */
struct exec *exec_new(struct loop *l, exec_fn fn, void *arg);
/* Kills what runs (at most 100 ms), forgets what waits. */
void exec_free(struct exec *x);

/* Queues one hook. subject: the group's or tunnel's name. The hook's argv is copied. */
int exec_push(struct exec *x, const struct hook_conf *hook, enum hook_event ev, const char *subject,
	      const struct exec_env *env);
/* Queues, in order of the list, every hook that wants this event; returns how many were queued. */
unsigned exec_event(struct exec *x, const struct hook_conf *hooks, uint16_t n, enum hook_event ev, const char *subject,
		    const struct exec_env *env);

/* Nothing runs and nothing waits. */
bool exec_idle(const struct exec *x);
struct exec_counters exec_counters(const struct exec *x);
/* The newest finished hook, or NULL. */
const struct exec_result *exec_last(const struct exec *x);
/* "role", "dpd-dead", ...: HA_EVENT, and the names of the configuration. */
const char *exec_event_name(enum hook_event ev);
const char *exec_outcome_name(enum exec_outcome o);

#endif
