/* Sockets of ctnetlink on a loop. What a message means is decided in ct_wire, what to do about it by the caller. */
#include "sync/ct_io.h"
#include <errno.h>
#include <linux/filter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_compat.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/require.h"
#include "sync/ct_io_int.h"

enum {
	INJECT_RCVBUF = 1 << 20,
	EV_STREAM = 4,   /* events in one pass from which on the socket is looked at again without being asked */
	EV_BUSY = 15000, /* events a second from which on the wait is the longer one ... */
	EV_FAST = 30000, /* ... and the longest */
};

/* --- sockets --- */

static void rx_init(struct ct_rx *rx)
{
	for (unsigned i = 0; i < CT_IO_BATCH; i++) {
		rx->iov[i] = (struct iovec){ rx->slot[i], CT_RX_SLOT };
		rx->hdr[i].msg_hdr = (struct msghdr){ .msg_iov = &rx->iov[i], .msg_iovlen = 1 };
	}
}

int ct_nl_open(uint32_t *portid)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
	if (fd < 0)
		return -1;
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK };
	socklen_t len = sizeof(sa);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || getsockname(fd, (struct sockaddr *)&sa, &len) < 0) {
		int err = errno;
		close(fd);
		errno = err;
		return -1;
	}
	*portid = sa.nl_pid;
	return fd;
}

/* Past rmem_max where allowed, else up to it: the granted size is shown in the statistics. */
static uint32_t set_rcvbuf(int fd, uint32_t bytes)
{
	int want = bytes > INT32_MAX / 2 ? INT32_MAX / 2 : (int)bytes;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &want, sizeof(want)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &want, sizeof(want));
	int got = 0;
	socklen_t len = sizeof(got);
	return getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &got, &len) < 0 ? 0 : (uint32_t)got;
}

/* Events caused by portid never enter the receive buffer. nlmsg_pid stands at offset 12, in host order. */
static int set_filter(int fd, uint32_t portid)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(portid), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog prog = { .len = sizeof(code) / sizeof(code[0]), .filter = code };
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}

static int membership(int fd, int group, bool join)
{
	int opt = join ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP;
	return setsockopt(fd, SOL_NETLINK, opt, &group, sizeof(group)) < 0 ? -errno : 0;
}

ssize_t ct_nl_send(int fd, const void *buf, size_t len)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	ssize_t n;
	do {
		n = sendto(fd, buf, len, 0, (const struct sockaddr *)&kernel, sizeof(kernel));
	} while (n < 0 && errno == EINTR);
	return n;
}

/* --- events --- */

static void ev_deliver(struct ct_io *io, unsigned n)
{
	if (!n)
		return;
	io->st.batches++;
	io->reading = true;
	io->cb.events(io->arg, io->ev_batch, n);
	io->reading = false;
}

/* Entries of one datagram into batch from n on; the new n. An event datagram holds one message. */
static unsigned read_slot(struct ct_io *io, const struct mmsghdr *h, const uint8_t *slot, struct ct_event *batch,
			  unsigned n)
{
	if (h->msg_hdr.msg_flags & MSG_TRUNC) {
		io->st.drops[CT_DROP_LENGTH]++;
		return n;
	}
	struct wire_rd r = wire_rd(slot, h->msg_len);
	while (wire_left(&r) && n < CT_IO_BATCH) {
		struct ct_wire_msg m;
		enum ct_drop d = ct_wire_next(&r, &m);
		if (d == CT_OK && m.kind != CT_WIRE_ENTRY)
			continue;
		if (d == CT_OK)
			d = ct_wire_event(&m, &batch[n]);
		io->st.drops[d]++;
		if (d == CT_OK)
			io->st.events[batch[n++].type]++;
	}
	return n;
}

/*
 * After a loss the kernel drops whatever comes until the buffer is empty (af_netlink.c, NETLINK_S_CONGESTED), and what
 * still lies there is older: a dump that began before it was read would be taken for newer than it is.
 */
static void tell_lost(struct ct_io *io)
{
	if (!io->lost)
		return;
	io->lost = false;
	io->cb.overrun(io->arg);
}

enum ev_read { EV_EMPTY = 0, EV_MORE };

/* One recvmmsg and its callback. */
static enum ev_read ev_read(struct ct_io *io, unsigned *got)
{
	*got = 0;
	int n = recvmmsg(io->ev_fd, io->ev_rx.hdr, CT_IO_BATCH, MSG_DONTWAIT, NULL);
	if (n < 0 && errno == ENOBUFS) {
		io->st.overruns++;
		io->lost = true;
		return EV_MORE;
	}
	if (n < 0 && errno == EINTR)
		return EV_MORE;
	if (n > 0) {
		io->st.reads++;
		unsigned k = 0;
		for (int i = 0; i < n; i++)
			k = read_slot(io, &io->ev_rx.hdr[i], io->ev_rx.slot[i], io->ev_batch, k);
		*got = (unsigned)n;
		ev_deliver(io, k);
	}
	if (n == CT_IO_BATCH)
		return EV_MORE;
	tell_lost(io);
	return EV_EMPTY;
}

/* True when the socket was read empty, false when the budget ended first. */
static bool ev_read_all(struct ct_io *io, unsigned msgs, int64_t max_ns, unsigned *total)
{
	mono_t until = mono_add(clock_mono(), max_ns);
	enum ev_read more;
	unsigned got;
	*total = 0;
	do {
		more = ev_read(io, &got);
		*total += got;
		if (more == EV_MORE && (*total >= msgs || mono_due(until, clock_mono())))
			return false;
	} while (more == EV_MORE);
	return true;
}

/* The wait after a pass that brought n events; ns is the time since the one before. */
static int64_t wait_for(const struct ct_io *io, unsigned n, int64_t ns)
{
	if (n < EV_STREAM || ns >= NS_PER_SEC)
		return io->wait_ns;
	int64_t rate = (int64_t)n * NS_PER_SEC / (ns > 0 ? ns : 1);
	return rate < EV_BUSY ? io->wait_ns : rate < EV_FAST ? io->wait_busy_ns : io->wait_fast_ns;
}

static void ev_timer(void *arg, mono_t deadline)
{
	struct ct_io *io = arg;
	unsigned n;
	(void)deadline;
	bool empty = ev_read_all(io, CT_IO_BUDGET, CT_IO_BUDGET_NS, &n);
	mono_t now = clock_mono();
	io->wait = wait_for(io, n, mono_sub(now, io->ev_at));
	io->ev_at = now;
	/* A stream of events is read by the clock: that saves a wake-up and two calls on the descriptor each time. */
	if (empty && n >= EV_STREAM)
		loop_timer_set(io->ev_timer, mono_add(now, io->wait));
	else if (empty)
		loop_fd_set(io->ev, LOOP_READ);
	else
		loop_timer_set(io->ev_timer, loop_now(io->loop)); /* others first, then on */
	if (n > 0 && io->cb.pass)
		io->cb.pass(io->arg);
}

/* The first event of a batch waits a little, so that one wake-up serves many (sync-prototype 1). */
static void ev_ready(void *arg, int fd, unsigned events)
{
	struct ct_io *io = arg;
	(void)fd;
	(void)events;
	loop_fd_set(io->ev, 0);
	loop_timer_set(io->ev_timer, mono_add(clock_mono(), io->wait));
}

bool ct_io_drain(struct ct_io *io, int64_t max_ns)
{
	if (io->reading)
		return false; /* the caller is itself serving a batch: what follows has not been read */
	unsigned n;
	return ev_read_all(io, UINT32_MAX, max_ns, &n);
}

int ct_io_listen(struct ct_io *io, bool new_update)
{
	if (io->st.new_update == new_update)
		return 0;
	int rc = membership(io->ev_fd, NFNLGRP_CONNTRACK_NEW, new_update);
	if (!rc)
		rc = membership(io->ev_fd, NFNLGRP_CONNTRACK_UPDATE, new_update);
	if (rc < 0) {
		(void)membership(io->ev_fd, NFNLGRP_CONNTRACK_NEW, io->st.new_update);
		return rc;
	}
	io->st.new_update = new_update;
	return 0;
}

/* --- injection --- */

/* Which operations of the batch in flight were answered, and their results. */
struct answers {
	uint32_t base;
	unsigned n;
	uint64_t seen;
	int *results;
};

static void take_answer(struct ct_io *io, const struct ct_wire_msg *m, struct answers *a, unsigned *entries)
{
	uint32_t i = m->seq - a->base;
	if (i >= a->n || (m->kind != CT_WIRE_RESULT && m->kind != CT_WIRE_ENTRY)) {
		io->st.stray++;
		return;
	}
	a->seen |= UINT64_C(1) << i;
	if (m->kind == CT_WIRE_RESULT) {
		a->results[i] = m->error;
		return;
	}
	enum ct_drop d = ct_wire_event(m, &io->in_batch[*entries]);
	io->st.drops[d]++;
	if (d != CT_OK) {
		a->results[i] = -EPROTO;
		return;
	}
	/* the answer to a GET is a single message, yet the same kind of news as a dump entry */
	struct ct_event *ev = &io->in_batch[(*entries)++];
	ev->type = CT_EV_DUMP;
	ev->portid = 0;
	io->st.events[CT_EV_DUMP]++;
}

/* Reads every answer. ctnetlink works inside sendmsg, so all of them wait already. */
static unsigned read_answers(struct ct_io *io, struct answers *a)
{
	unsigned entries = 0;
	for (;;) {
		int n = recvmmsg(io->in_fd, io->in_rx.hdr, CT_IO_BATCH, MSG_DONTWAIT, NULL);
		if (n < 0 && errno == ENOBUFS) {
			for (unsigned i = 0; i < a->n; i++) {
				if (!(a->seen & UINT64_C(1) << i) && !a->results[i])
					a->results[i] = -ENOBUFS;
			}
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return entries;
		for (int k = 0; k < n; k++) {
			struct wire_rd r = wire_rd(io->in_rx.slot[k], io->in_rx.hdr[k].msg_len);
			while (wire_left(&r) && entries < CT_IO_BATCH) {
				struct ct_wire_msg m;
				enum ct_drop d = ct_wire_next(&r, &m);
				if (d == CT_OK)
					take_answer(io, &m, a, &entries);
				else
					io->st.drops[d]++;
			}
		}
	}
}

int ct_io_inject(struct ct_io *io, const struct ct_op *ops, unsigned n, int *results)
{
	require(n <= CT_IO_BATCH);
	struct wire_wr w = wire_wr(io->tx, sizeof(io->tx));
	struct answers a = { .base = io->seq, .n = n, .results = results };
	for (unsigned i = 0; i < n; i++)
		results[i] = ct_wire_build(&w, &ops[i], a.base + i);
	io->seq += n;
	unsigned entries = 0;
	int rc = 0;
	if (wire_len(&w)) {
		if (ct_nl_send(io->in_fd, w.base, wire_len(&w)) < 0) {
			rc = -errno;
			for (unsigned i = 0; i < n; i++)
				results[i] = results[i] ? results[i] : rc;
		}
		io->st.sends++;
		entries = read_answers(io, &a);
	}
	unsigned failed = 0;
	for (unsigned i = 0; i < n; i++) {
		io->st.ops[ops[i].type]++;
		if (results[i]) {
			io->st.failed[ops[i].type]++;
			failed++;
		}
	}
	if (entries) {
		io->st.batches++;
		io->cb.events(io->arg, io->in_batch, entries);
	}
	return rc < 0 ? rc : (int)failed;
}

/* --- life --- */

const struct ct_io_stats *ct_io_stats(const struct ct_io *io)
{
	return &io->st;
}

void ct_io_stats_clear(struct ct_io *io)
{
	io->st =
	    (struct ct_io_stats){ .rcvbuf = io->st.rcvbuf, .portid = io->st.portid, .new_update = io->st.new_update };
}

uint32_t ct_io_rcv_used(const struct ct_io *io)
{
	uint32_t mem[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(mem);
	if (getsockopt(io->ev_fd, SOL_SOCKET, SO_MEMINFO, mem, &len) < 0)
		return 0;
	return mem[SK_MEMINFO_RMEM_ALLOC];
}

void ct_io_free(struct ct_io *io)
{
	if (!io)
		return;
	if (io->dump_fd >= 0)
		close(io->dump_fd);
	loop_timer_free(io->dump_timer);
	loop_timer_free(io->ev_timer);
	loop_fd_free(io->ev);
	if (io->ev_fd >= 0)
		close(io->ev_fd);
	if (io->in_fd >= 0)
		close(io->in_fd);
	free(io);
}

static bool io_open(struct ct_io *io, uint32_t rcvbuf)
{
	const int on = 1;
	uint32_t portid;
	io->in_fd = ct_nl_open(&io->st.portid);
	if (io->in_fd < 0)
		return false;
	/* errors carry the header of the failed message only */
	if (setsockopt(io->in_fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on)) < 0)
		return false;
	set_rcvbuf(io->in_fd, INJECT_RCVBUF);
	io->ev_fd = ct_nl_open(&portid);
	if (io->ev_fd < 0)
		return false;
	io->st.rcvbuf = set_rcvbuf(io->ev_fd, rcvbuf ? rcvbuf : CT_IO_RCVBUF);
	if (set_filter(io->ev_fd, io->st.portid) < 0)
		return false;
	int rc = membership(io->ev_fd, NFNLGRP_CONNTRACK_DESTROY, true);
	if (rc < 0)
		errno = -rc;
	return !rc;
}

struct ct_io *ct_io_new(struct loop *l, const struct ct_io_conf *conf, const struct ct_io_cb *cb, void *arg)
{
	static const struct ct_io_conf defaults;
	if (!conf)
		conf = &defaults;
	struct ct_io *io = calloc(1, sizeof(*io));
	if (!io)
		return NULL;
	io->loop = l;
	io->cb = *cb;
	io->arg = arg;
	io->wait_ns = conf->wait_ns ? conf->wait_ns : CT_IO_WAIT_NS;
	io->wait_busy_ns = conf->wait_busy_ns ? conf->wait_busy_ns : CT_IO_WAIT_BUSY_NS;
	io->wait_fast_ns = conf->wait_fast_ns ? conf->wait_fast_ns : CT_IO_WAIT_FAST_NS;
	io->wait = io->wait_ns;
	io->ev_fd = io->in_fd = io->dump_fd = -1;
	io->seq = 1;
	rx_init(&io->ev_rx);
	rx_init(&io->in_rx);
	if (!io_open(io, conf->rcvbuf))
		goto fail;
	io->ev_timer = loop_timer_new(l, LOOP_NORMAL, ev_timer, io);
	io->dump_timer = ct_dump_timer(io);
	io->ev = loop_fd_new(l, io->ev_fd, LOOP_READ, LOOP_NORMAL, ev_ready, io);
	if (io->ev_timer && io->dump_timer && io->ev)
		return io;
fail:;
	int err = errno;
	ct_io_free(io);
	errno = err;
	return NULL;
}
