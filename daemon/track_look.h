/*
 * Purpose: one look into /proc for tracked processes, as a job.
 * Owns:    struct track_look and all it holds, copies of what is looked for included.
 * Thread:  track_look_run on kt-disk, the rest on CONTROL.
 * In:      the configuration's processes, pids or all of them.   Out: which process is which.
 * Errors:  what cannot be read does not run; cut: there was no memory for all that was found.
 */
#ifndef KT_TRACK_LOOK_H
#define KT_TRACK_LOOK_H

#include "daemon/cfg.h"

struct track_processes;

struct track_look {
	struct track_processes *owner; /* NULL: nobody waits for it any more */
	uint32_t generation;
	bool all, cut;
	unsigned n_pids; /* without all */
	pid_t pid[256];
	struct track_hit {
		pid_t pid;
		uint16_t index; /* of the configuration's process */
	} * hit;
	uint32_t n_hits, cap;
	struct cfg_track_process *conf; /* n_conf; words are copies */
	uint16_t n_conf;
	char *words;
};

/* n: processes in the configuration. NULL: no memory. */
struct track_look *track_look_new(const struct cfg *c, uint16_t n);
void track_look_free(struct track_look *l);
/* fn of a job; ctx: the look. */
int track_look_run(void *ctx);

#endif
