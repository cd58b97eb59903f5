/*
 * Purpose: what the files of daemon/notify_io share among themselves; nobody else includes it.
 * Owns:    nothing.
 * Thread:  CONTROL.
 * In/Out:  see notify_io.h.
 * Errors:  see notify_io.h.
 */
#ifndef KT_NOTIFY_INT_H
#define KT_NOTIFY_INT_H

#include "daemon/notify_io.h"

#define NOTIFY_KEPT_MAX 64

enum use { USE_NONE = 0, USE_SCRIPT, USE_MAIL, USE_READER /* + NOTIFY_FIFO_* */ };

/* What runs for a receiver that is told by programs. */
struct running {
	const struct notify_item *item; /* NULL: nothing */
	unsigned step;                  /* 0: its own program, 1: the one for everything */
	bool well;
	int64_t waited_ns;
	char program[128];
};

struct notify_io {
	struct loop *loop;
	const struct cfg *cfg;
	uint32_t generation;
	struct notify queue;
	struct notify_subject *subject;
	struct children *children;
	struct fifo_io *fifo;
	struct notify_pipe pipe[NOTIFY_FIFOS];
	struct running script, mail;
	enum use use[CHILD_SLOTS];
	char line[CHILD_SLOTS][160];
	unsigned line_len[CHILD_SLOTS];
	struct notify_result result[NOTIFY_RESULTS];
	unsigned n_results;
	char host[64];
	struct {
		struct cfg *cfg;
		uint32_t generation;
	} kept[NOTIFY_KEPT_MAX];
	unsigned n_kept;
};

/* notify_run.c */
/* Starts a program that is told this; its slot, or as child_run. */
int notify_run(struct notify_io *n, const char *const *argv, const struct notify_news *news, int64_t timeout_ns,
	       enum use use, const struct child_as *as);
/* Whom it runs as. */
struct child_as notify_as(const struct notify_io *n, const struct notify_script *s);
/* The program of this step; NULL: there is none. */
const struct notify_script *notify_program(const struct notify_item *it, unsigned step);
/* The rest of what this piece of news is told to. True: one runs. */
bool notify_run_rest(struct notify_io *n);
/* False: nothing to wait for. */
bool notify_begin_script(struct notify_io *n, const struct notify_item *it);
bool notify_begin_mail(struct notify_io *n, const struct notify_item *it);
/* For show, and a log line. */
void notify_result(struct notify_io *n, enum notify_sink sink, const struct running *r, const struct child_result *c,
		   const char *line);

#endif
