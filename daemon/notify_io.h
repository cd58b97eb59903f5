/*
 * Purpose: tells what has happened: runs programs one after another, writes lines into named pipes, hands messages to
 *          sendmail, keeps the readers of pipes running.
 * Owns:    the queue (daemon/notify.h), the children, the pipes, and old configurations that waiting news refer to.
 * Thread:  CONTROL calls everything here and never waits, except notify_io_free.
 * In:      news, results of children, answers of pipes.
 * Out:     log lines; results and counters for show.
 * Errors:  nothing here can hold up a role: what fails is counted and said.
 *
 * A program is killed with its process group when the time of the configuration is over: the next one waits for it.
 * Those that still run when the daemon ends live on, readers of pipes get SIGTERM.
 */
#ifndef KT_NOTIFY_IO_H
#define KT_NOTIFY_IO_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/loop.h"
#include "daemon/cfg.h"
#include "daemon/notify.h"
#include "ike-hooks/child_io.h"

#define NOTIFY_RESULTS  16
#define NOTIFY_GRACE_NS (1 * NS_PER_SEC)

struct notify_result {
	enum notify_sink sink;
	enum child_end end;
	int code; /* of child_io.h */
	bool group;
	enum notify_what what;
	char name[VRRP_NAME_MAX], program[128], line[160];
	int64_t waited_ns, took_ns, wall_us;
};

enum notify_pipe_state { NOTIFY_PIPE_NONE = 0, NOTIFY_PIPE_OPENING, NOTIFY_PIPE_OPEN, NOTIFY_PIPE_FAILED };

struct notify_pipe {
	enum notify_pipe_state state;
	char path[CFG_PATH_MAX], why[CHILD_WHY_MAX];
	int reader; /* slot of its program; -1: none runs */
	uint64_t reader_starts;
	int64_t reader_wait_ns; /* until the next start, if it ends by itself */
	struct loop_timer *timer;
};

struct notify_io;

/* NULL and errno on failure. Nothing is opened or started before notify_io_conf. */
struct notify_io *notify_io_new(struct loop *l);
/* Lines that wait are written as far as there is room; pipes are removed. Waits for at most 200 ms. */
void notify_io_free(struct notify_io *n);
/*
 * Another configuration. map: as in notify_renumber, of the subjects of before; NULL at the start. What waits still
 * refers to the old one: then true is returned, and the old one belongs to this, which frees it in time.
 */
bool notify_io_conf(struct notify_io *n, const struct cfg *now, struct cfg *old, const uint32_t *map);
/* Instance i is subject i, group g is subject n_instances + g. Fills in what belongs to the configuration, and queues. */
void notify_io_tell(struct notify_io *n, uint32_t subject, enum notify_what what, uint8_t priority, struct epoch epoch,
		    unsigned sinks);
/* Nothing waits and nothing is being told. */
bool notify_io_idle(const struct notify_io *n);
/* The same but for pipes, whose readers may never come. */
bool notify_io_runs_nothing(const struct notify_io *n);

/* For show. */
const struct notify *notify_io_queue(const struct notify_io *n);
const struct notify_pipe *notify_io_pipe(const struct notify_io *n, unsigned which);
/* The i-th newest result, or NULL. */
const struct notify_result *notify_io_result(const struct notify_io *n, unsigned i);

#endif
