/*
 * Purpose: what files and the kernel say of tracked things, read from bytes. PURE.
 * Owns:    nothing.
 * Thread:  any.
 * In:      bytes of files, of /proc, of the proc connector.   Out: numbers, matches, events.
 * Errors:  false: the bytes are not what they should be.
 */
#ifndef KT_TRACK_TEXT_H
#define KT_TRACK_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "daemon/cfg_track.h"

/* The number of a tracked file: blanks around it count for nothing. False: there is none, or not within 32 bits. */
bool track_number(const char *text, size_t n, int64_t *out);

/* /proc/PID/stat: the name, at most 15 bytes, and whether the process runs (no zombie). */
bool track_stat(const char *text, size_t n, char name[16], bool *runs);

/* Its command line is needed to decide. */
bool track_needs_cmdline(const struct cfg_track_process *p);
/* Is it this process? cmdline: words with a NUL behind each; n 0: it has none (kernel threads). */
bool track_matches(const struct cfg_track_process *p, const char *name, const char *cmdline, size_t n);

enum track_proc_what {
	TRACK_PROC_OTHER = 0,
	TRACK_PROC_ACK,  /* the kernel tells events from now on; err */
	TRACK_PROC_FORK, /* of a process, not of a thread: pid has the new child `child` */
	TRACK_PROC_NAME, /* pid runs another program or has another name */
	TRACK_PROC_EXIT, /* the process, not a thread of it */
};
struct track_proc_ev {
	enum track_proc_what what;
	pid_t pid, child;
	int err;
};
/* One message of the proc connector (linux/cn_proc.h), its netlink header included. */
bool track_proc_parse(const void *msg, size_t n, struct track_proc_ev *out);
/* The request for events. Returns its length. */
#define TRACK_PROC_REQ_MAX 64
size_t track_proc_request(uint8_t out[TRACK_PROC_REQ_MAX], bool on);

/* How full, in percent, rounded down; 0 where there is no table. */
unsigned track_percent(uint64_t entries, uint64_t max);
/* Well or not at this level; between the marks it stays as it was. */
bool track_level_ok(const struct cfg_track_conntrack *c, unsigned percent, bool was_ok);

#endif
