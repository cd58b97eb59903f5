/*
 * Purpose: the kernel's conntrack table through ctnetlink: events in batches, injection in batches, a paced dump.
 * Owns:    struct ct_io with three sockets (events, injector, dump) in the network namespace of the calling thread.
 * Thread:  SYNC; all calls and callbacks on the loop's thread.
 * In:      struct ct_op, readiness, timers.   Out: callbacks with struct ct_event arrays; results per operation.
 * Errors:  constructors NULL with errno; calls return 0 or -errno. Messages that do not parse are counted by reason.
 *
 * Own changes do not come back: a classic BPF filter in the kernel drops events that carry the injector's port id.
 * Delivery is the default mode: a full receive buffer loses events, is reported once by `overrun`, and a dump repairs.
 */
#ifndef KT_SYNC_CT_IO_H
#define KT_SYNC_CT_IO_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/loop.h"
#include "sync/ct.h"
#include "sync/sync_policy.h"
#include "sync/ct_wire.h"

#define CT_IO_BATCH        CT_WIRE_BATCH /* events per callback, operations per inject */
#define CT_IO_RCVBUF       (128u << 20)  /* 1280 bytes per waiting event */
/* The first event of a batch waits: each wake-up costs both nodes as much as some ten events do. */
#define CT_IO_WAIT_NS      (500 * NS_PER_US)
#define CT_IO_WAIT_BUSY_NS (2 * NS_PER_MS)
#define CT_IO_WAIT_FAST_NS (4 * NS_PER_MS)
#define CT_IO_BUDGET       1024            /* events per wake-up ... */
#define CT_IO_BUDGET_NS    (2 * NS_PER_MS) /* ... and time, whichever ends first */

struct ct_io;

struct ct_io_cb {
	/* 1..CT_IO_BATCH entries, in the kernel's order. Types NEW, UPDATE, DESTROY from the event socket, DUMP from
	 * the dump and from CT_OP_GET (then during ct_io_inject). The array is valid during the call only. */
	void (*events)(void *arg, const struct ct_event *ev, unsigned n);
	/* What waited was delivered: the moment to pass things on, in one piece. May be NULL. */
	void (*pass)(void *arg);
	/* Events were lost: the receive buffer was full. Called once per loss, when what was in it has been delivered:
	 * a dump that begins now shows all that was lost. */
	void (*overrun)(void *arg);
	/* The dump ended: 0 complete; -EINTR the table changed its shape each time it was tried; else -errno. A new
	 * dump may be started from here. */
	void (*dump_end)(void *arg, int result);
	/* The dump starts again from the beginning (inconsistent): forget what this dump reported so far. */
	void (*dump_restart)(void *arg);
};

struct ct_io_conf {
	uint32_t rcvbuf;      /* bytes asked for the event socket, 0: CT_IO_RCVBUF */
	int64_t wait_ns;      /* between first readiness and reading, 0: CT_IO_WAIT_NS */
	int64_t wait_busy_ns; /* the same while many come, 0: CT_IO_WAIT_BUSY_NS */
	int64_t wait_fast_ns; /* and while very many come, 0: CT_IO_WAIT_FAST_NS */
};

/* Entries of a dump a second, about. */
struct ct_io_pace {
	uint32_t most;  /* 0: as many as the read budget lets through */
	uint32_t least; /* below most: so many at least, and between the two one share-th of a processor's time */
	uint32_t share;
};

struct ct_io_stats {
	uint64_t events[4];      /* by enum ct_event_type */
	uint64_t reads, batches; /* recvmmsg calls, callbacks */
	uint64_t overruns;
	uint64_t drops[CT_DROP_N];
	uint64_t sends;
	uint64_t ops[5], failed[5]; /* by enum ct_op_type; failed includes ENOENT on DELETE */
	uint64_t stray;             /* answers that match no operation in flight */
	uint64_t dumps, dump_restarts;
	uint64_t dump_ns; /* processor time that dumps have taken, callbacks included */
	uint32_t rcvbuf;  /* bytes the kernel granted (its own doubled value) */
	uint32_t portid;  /* of the injector */
	bool new_update;  /* joined to NEW and UPDATE */
};

/*
 * Opens the event and injector sockets; joins DESTROY, not NEW and UPDATE. conf may be NULL (defaults). cb is copied.
 * NULL with errno (EPERM: CAP_NET_ADMIN is missing; EPROTONOSUPPORT: no ctnetlink in this kernel).
 */
struct ct_io *ct_io_new(struct loop *l, const struct ct_io_conf *conf, const struct ct_io_cb *cb, void *arg);
void ct_io_free(struct ct_io *io);

/* Joins or leaves the groups NEW and UPDATE (DESTROY stays joined). 0 or -errno. Joined already: 0. */
int ct_io_listen(struct ct_io *io, bool new_update);

/*
 * Reads what waits in the event socket now, without the batching delay, for at most max_ns: before a flush the events
 * of the last half millisecond must be in the table. True when the socket was read empty.
 */
bool ct_io_drain(struct ct_io *io, int64_t max_ns);

/*
 * One send of n <= CT_IO_BATCH operations; ctnetlink has processed all of them, in order, when this returns.
 * results[i] becomes 0 or -errno of ops[i] (ERR_MALFORMED: not sent). Answers to CT_OP_GET arrive through cb.events
 * before the return. Returns the number of operations that failed, or -errno if the send itself failed (results are
 * then that errno for all). -ENOBUFS in a result: its answer was lost, the outcome is not known.
 */
int ct_io_inject(struct ct_io *io, const struct ct_op *ops, unsigned n, int *results);

/*
 * Walks the whole table through cb.events (type DUMP) at the given pace, then calls dump_end once. -EBUSY when one is
 * running.
 */
int ct_io_dump_start(struct ct_io *io, struct ct_io_pace pace);
/* Changes the pace of the running dump, and of no other. May be called as often as one likes. */
void ct_io_dump_pace(struct ct_io *io, struct ct_io_pace pace);
/* Ends the running dump without a callback. */
void ct_io_dump_stop(struct ct_io *io);
/* During `events` with entries of the dump: none of them is older than this. */
mono_t ct_io_dump_from(const struct ct_io *io);
bool ct_io_dump_running(const struct ct_io *io);
/* Processor time that the dump has taken since ct_io_dump_start, callbacks included, in nanoseconds. */
int64_t ct_io_dump_cost(const struct ct_io *io);

const struct ct_io_stats *ct_io_stats(const struct ct_io *io);
/* Counters to zero; what is no counter (buffer, port id, groups) stays. */
void ct_io_stats_clear(struct ct_io *io);

/* net.netfilter.nf_conntrack_events = 1 in this namespace (2 leaves flows born unobserved mute for life). *was gets
 * the old value if not NULL. 0 or -errno. */
int ct_io_events_on(int *was);
/*
 * The kernel's own counters of this namespace since boot, over all processors; each turns over at 2^32. Expectations that
 * exist now: created minus deleted. -ENOENT: this kernel has no such file (CONFIG_NF_CONNTRACK_PROCFS).
 */
struct ct_kernel_stats {
	uint32_t invalid, insert_failed, drop, early_drop; /* packets, all protocols together */
	uint32_t expect_created, expect_deleted;
};
int ct_io_kernel_stats(struct ct_kernel_stats *out);
/* Bytes of the event socket's receive buffer in use now; 0 when that cannot be said. */
uint32_t ct_io_rcv_used(const struct ct_io *io);
/* nf_conntrack_max and nf_conntrack_count of this namespace. 0 or -errno. */
int ct_io_table_size(uint32_t *max, uint32_t *count);

/*
 * The kernel's own timers: net.netfilter.nf_conntrack_*_timeout*; a missing file keeps the kernel's default. 0 or -errno
 * of the first file that exists but cannot be read.
 */
int ct_io_timeouts(struct sync_timeouts *t);

#endif
