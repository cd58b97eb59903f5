/*
 * Purpose: what the event and injector sockets (ct_io.c) and the walk over the table (ct_dump.c) share; nobody else
 *          includes it.
 * Owns:    struct ct_io.
 * Thread:  that of its loop.
 * In/Out:  descriptors of ctnetlink.
 * Errors:  -1 with errno.
 */
#ifndef KT_SYNC_CT_IO_INT_H
#define KT_SYNC_CT_IO_INT_H

#include <sys/socket.h>
#include <sys/types.h>
#include "sync/ct_io.h"

enum {
	CT_RX_SLOT = 2048,   /* one event or answer: below 700 bytes in practice, a longer one is counted as cut */
	CT_DUMP_MAX = 32768, /* the most the kernel puts into one answer */
};

/* Room for one recvmmsg. */
struct ct_rx {
	struct mmsghdr hdr[CT_IO_BATCH];
	struct iovec iov[CT_IO_BATCH];
	uint8_t slot[CT_IO_BATCH][CT_RX_SLOT];
};

struct ct_io {
	struct loop *loop;
	struct ct_io_cb cb;
	void *arg;
	int64_t wait_ns, wait_busy_ns, wait_fast_ns;
	int64_t wait; /* the one of the three that the last pass has earned */
	struct ct_io_stats st;

	int ev_fd;
	struct loop_fd *ev;
	struct loop_timer *ev_timer;
	mono_t ev_at; /* of the last pass */
	bool reading; /* inside a callback of the event socket */
	bool lost;    /* events, and what came before is not read yet */
	struct ct_rx ev_rx;
	struct ct_event ev_batch[CT_IO_BATCH];

	int in_fd;
	uint32_t seq;
	struct ct_rx in_rx;
	struct ct_event in_batch[CT_IO_BATCH];
	uint8_t tx[CT_IO_BATCH * CT_WIRE_OP_MAX] __attribute__((aligned(8)));

	int dump_fd;       /* -1: no dump runs */
	unsigned dump_gen; /* tells a dump from the next one, which may get the same descriptor */
	struct loop_timer *dump_timer;
	struct ct_io_pace dump_pace;
	int64_t dump_credit_ns; /* time bought by not reading; negative: owed */
	mono_t dump_last;
	int64_t dump_spent_ns, dump_cpu_ns; /* processor time of earlier passes; this thread's when this one began */
	bool dump_in_pass;
	mono_t dump_filled, dump_of, dump_from; /* next part made after; this part; oldest one of the batch */
	unsigned dump_tries;
	bool dump_intr;
	size_t dump_read;
	struct ct_event dump_batch[CT_IO_BATCH];
	unsigned dump_n;
	uint8_t dump_rx[CT_DUMP_MAX] __attribute__((aligned(8)));
};

/* Opens and binds; *portid gets what the kernel assigned. -1 with errno. */
int ct_nl_open(uint32_t *portid);
/* To the kernel; as sendto. */
ssize_t ct_nl_send(int fd, const void *buf, size_t len);

/* ct_dump.c: the timer that reads on; NULL with errno. */
struct loop_timer *ct_dump_timer(struct ct_io *io);

#endif
