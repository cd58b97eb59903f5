/*
 * Purpose: named pipes that lines are written to, for readers that nobody can trust to read.
 * Owns:    the pipes, and one thread: a write into a pipe waits for a lock that the reader holds while it reads.
 * Thread:  the loop's calls everything here and never waits, except fifo_io_free.
 * In:      what pipes there are; lines.
 * Out:     for each order one answer: done, or why not.
 * Errors:  a pipe that cannot be opened is said once; lines to it are refused.
 *
 * A line is written when the reader has taken everything before it: the pipe holds one page, and is writable only when
 * that is empty. What has to wait waits in the daemon, where newer news can replace it. Each pipe is opened for reading
 * too, so that one without reader is no error.
 */
#ifndef KT_FIFO_IO_H
#define KT_FIFO_IO_H

#include <stdbool.h>
#include <stddef.h>
#include "daemon/base/loop.h"
#include "daemon/notify_conf.h"
#include "ike-hooks/child_user.h"

#define FIFO_LINE_MAX 128

enum fifo_op { FIFO_OPEN = 0, FIFO_LINE, FIFO_CLOSE };

struct fifo_answer {
	enum fifo_op op;
	unsigned which;
	int err;                 /* 0 or errno */
	char why[CHILD_WHY_MAX]; /* in words; may be empty */
};

typedef void (*fifo_fn)(void *arg, const struct fifo_answer *a);

struct fifo_io;

/* NULL and errno on failure. */
struct fifo_io *fifo_io_new(struct loop *l, fifo_fn fn, void *arg);
/* Closes what is open, removes what it made, and ends the thread, waiting for it for at most 100 ms. */
void fifo_io_free(struct fifo_io *f);
/*
 * Makes the pipe if it is not there (mode 0600, as keepalived 2.2 does; owner by user and group of the configuration, else by
 * those given), and opens it. false: no room for the order.
 */
bool fifo_io_open(struct fifo_io *f, unsigned which, const struct notify_fifo_conf *conf, const char *user,
		  const char *group);
/* A line of at most FIFO_LINE_MAX - 1 bytes. at_once: not to wait for the reader, at the end of the daemon. */
bool fifo_io_line(struct fifo_io *f, unsigned which, const char *line, bool at_once);
/* Removes it if this made it. A line that waits for the reader is written as far as there is room. */
bool fifo_io_close(struct fifo_io *f, unsigned which);

#endif
