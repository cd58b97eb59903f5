/*
 * Purpose: the journal of role transactions: the newest JOURNAL_KEEP entries in memory and in a file of fixed slots.
 * Owns:    the ring and the file descriptor.
 * Thread:  CONTROL; the file is written by KERNEL (KT_SLOT jobs) after journal_open.
 * In:      finished entries, the peer's too.   Out: entries for `show failover`.
 * Errors:  wrong or cut slots lose these entries only and are counted; without a file the ring still works and `err`
 *          says why.
 */
#ifndef KT_JOURNAL_H
#define KT_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/journal_wire.h"
#include "daemon/kernel_thread.h"

#define JOURNAL_KEEP 1000

struct journal;

struct journal_stats {
	uint64_t added, lost_slots, write_errors, not_queued;
	int err; /* 0 or why the file is not written (-errno) */
};

/* Reads the file (blocking: at start only). Never NULL except without memory. */
struct journal *journal_open(const char *path);
/* After kernel_thread_stop: writes under way refer to the journal. */
void journal_close(struct journal *j);
/* Keeps a copy and has it written by kt (NULL: written here and now, for tools). */
void journal_add(struct journal *j, struct kernel_thread *kt, const struct journal_entry *e);
uint32_t journal_count(const struct journal *j);
/* newest = 0 is the last one added; NULL past the oldest. */
const struct journal_entry *journal_get(const struct journal *j, uint32_t newest);
/* The newest entry of that node and epoch for this group; NULL if none. Joins both nodes' timelines. */
const struct journal_entry *journal_find(const struct journal *j, struct epoch epoch, const char *group, uint32_t node);
const struct journal_stats *journal_stats(const struct journal *j);

/* The stored epoch: read at start; written without waiting. 0, or -errno / ERR_CHECKSUM (out is none then). */
int epoch_store_read(const char *path, struct epoch *out);
/* done: as of kt_job_new. */
int epoch_store_write(struct kernel_thread *kt, const char *path, struct epoch e, kt_done_fn done, void *arg);

#endif
