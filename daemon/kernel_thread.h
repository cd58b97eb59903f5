/*
 * Purpose: the KERNEL thread: runs prepared jobs that may wait for locks of the kernel or for files, one after the
 *          other, by priority, and hands the results back to CONTROL's loop.
 * Owns:    two threads ("kt-kernel", and "kt-disk" for files on disks, so that a stuck disk holds up no address), their
 *          queues, and every job from submission until after its done callback.
 * Thread:  every function is called on CONTROL; fn of a KT_CALL job runs on KERNEL.
 * In:      struct kt_job.   Out: job->done(job) on CONTROL, results filled in.
 * Errors:  kernel_thread_submit returns ERR_FULL when KT_OUTSTANDING_MAX jobs are on their way: the job stays the
 *          caller's and the refusal is counted.
 *
 * Jobs of one priority and one thread run in the order of submission: an ownership file submitted before a batch of
 * the same priority is written before it. While it holds a role job (KT_PROMOTE, KT_DEMOTE) kt-kernel runs SCHED_FIFO
 * one step below CONTROL, if that was allowed; else SCHED_OTHER.
 */
#ifndef KT_KERNEL_THREAD_H
#define KT_KERNEL_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "daemon/base/hist.h"
#include "daemon/base/mono.h"
#include "daemon/netstate.h"
#include "daemon/rtnl_wire.h"

#define KT_OUTSTANDING_MAX 4096

struct loop;
struct kernel_thread;
struct kt_job;

enum kt_prio {
	KT_PROMOTE = 0, /* a promotion waits for it: overtakes everything else */
	KT_DEMOTE,      /* undo, demotion */
	KT_LATER,       /* files, sweeps, anything outside a transaction */
};
#define KT_PRIO_N 3

enum kt_kind {
	KT_RTNL = 0, /* send rtnl->bytes, collect a result per message */
	KT_FILE,     /* replace file.path by file.data atomically (temporary file, rename); runs on kt-kernel */
	KT_DISK,     /* the same for files that live on a disk: runs on kt-disk */
	KT_SLOT,     /* pwrite slot.data to slot.fd at slot.offset; runs on kt-disk */
	KT_SYSCTL,   /* write sysctl.value to /proc/sys/<sysctl.path>, path with slashes */
	KT_CALL,     /* result = call.fn(call.ctx) */
};
#define KT_KIND_N 6

/* A batch of at most NET_CHUNK rtnetlink messages. */
struct kt_rtnl {
	unsigned n;
	size_t len;
	struct net_op op[NET_CHUNK];
	int result[NET_CHUNK]; /* 0 or -errno of each message */
	uint8_t bytes[NET_CHUNK * RTNL_MSG_MAX];
};

typedef void (*kt_done_fn)(struct kt_job *job);

struct kt_job {
	enum kt_kind kind;
	enum kt_prio prio;
	kt_done_fn done; /* may be NULL */
	void *arg;       /* for done */
	uint64_t cookie; /* for done */
	union {
		struct kt_rtnl *rtnl; /* malloc, freed with the job */
		struct {
			char path[256];
			uint8_t *data; /* malloc, freed with the job */
			size_t len;
			mode_t mode;
		} file;
		struct {
			int fd; /* stays open */
			off_t offset;
			uint8_t *data; /* malloc, freed with the job */
			size_t len;
		} slot;
		struct {
			char path[200];
			char value[64];
		} sysctl;
		struct {
			int (*fn)(void *ctx);
			void *ctx; /* the caller's; free it in done */
			bool disk; /* on kt-disk: it may take long, and no address waits for it */
		} call;
	};
	/* filled in by KERNEL */
	int result; /* 0 or -errno; KT_RTNL: the first message's refusal or a failure of the whole send */
	mono_t queued, begun, ended;
	struct kt_job *next; /* private */
};

struct kt_stats {
	struct hist wait[KT_PRIO_N]; /* submission to begin */
	struct hist run[KT_KIND_N];  /* begin to end */
	_Atomic uint64_t jobs[KT_KIND_N], failed[KT_KIND_N];
	uint64_t refused; /* the queue was full */
	uint32_t outstanding, outstanding_max;
};

/*
 * Starts the threads in the present network namespace. rt_prio: CONTROL's SCHED_FIFO priority (kt-kernel uses one
 * less), 0: none. NULL with errno on failure.
 */
struct kernel_thread *kernel_thread_start(struct loop *l, int rt_prio);
/* Runs what is queued, at most wait_ns long, calls the done callbacks, ends the threads, frees. */
void kernel_thread_stop(struct kernel_thread *kt, int64_t wait_ns);

/* Zeroed job of this kind (KT_RTNL with its batch); free with kt_job_free unless it was submitted. NULL: no memory. */
struct kt_job *kt_job_new(enum kt_kind kind, enum kt_prio prio, kt_done_fn done, void *arg);
void kt_job_free(struct kt_job *job);
/* Adds one operation and its message to the batch. 0, or -ENOSPC when it holds NET_CHUNK messages. */
int kt_job_add(struct kt_job *job, const struct net_op *op, const uint8_t *msg, size_t len);
/* The same for an operation on an address, whose message is made here. */
int kt_job_add_addr(struct kt_job *job, const struct net_op *op, bool mark);
/* 0: the job is the thread's now and done will be called. ERR_FULL: it is still the caller's. */
int kernel_thread_submit(struct kernel_thread *kt, struct kt_job *job);
const struct kt_stats *kernel_thread_stats(const struct kernel_thread *kt);
const char *kt_kind_name(enum kt_kind k);

#endif
