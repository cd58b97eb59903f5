/*
 * Purpose: what the parts of labct share: numbered sessions, a ctnetlink socket, messages built and read by hand.
 * Owns:    nothing.
 * Thread:  one.
 * In/Out:  sessions by number; lines of JSON on standard output.
 * Errors:  the program ends with a message.
 *
 * labct is an independent witness: it shares no code with the daemon, so that a mistake of ours is not made twice.
 */
#ifndef KT_LAB_CT_TOOL_H
#define KT_LAB_CT_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CT_BATCH 64

/* How session number n looks. */
struct ct_kind {
	bool snat, v6;
};

struct ct_batch {
	int fd;
	uint32_t seq;
	unsigned n; /* messages in buf */
	size_t len;
	uint64_t sent, errors;
	int last_error;
	uint8_t buf[CT_BATCH * 512];
};

_Noreturn void ct_fail(const char *what);
int64_t ct_now_ns(void);
/* A ctnetlink socket in this network namespace, or in that of a process (pid > 0). */
int ct_open(pid_t pid);

/* Messages about session n; full batches are sent. mark 0: none. */
void ct_create(struct ct_batch *b, struct ct_kind k, uint32_t n, uint32_t mark);
void ct_delete(struct ct_batch *b, struct ct_kind k, uint32_t n);
void ct_send(struct ct_batch *b);

/* ct_compare.c: subcommands; the exit status of the program. */
int ct_cmd_compare(int argc, char **argv);
int ct_cmd_lag(int argc, char **argv);
int ct_cmd_strip(int argc, char **argv);

#endif
