/*
 * Two workers with the same loop. Jobs travel as pointers through SPSC mailboxes; a worker empties its mailbox into one
 * FIFO per priority before every job, so that a promotion overtakes whatever waits, but never what runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/loop.h"
#include "daemon/base/require.h"
#include "daemon/base/ring.h"
#include "daemon/base/thread.h"
#include "daemon/file_io.h"
#include "daemon/kernel_thread.h"

/* A chunk's acknowledgements must fit the socket: each one takes below 2 KiB of it. */
#define ACK_RCVBUF (NET_CHUNK * 4096)

struct worker {
	struct kernel_thread *kt;
	const char *name;
	pthread_t thread;
	bool started;
	_Atomic int tid;
	_Atomic bool quit;
	_Atomic bool ended; /* says to the thread sanitizer what pthread_clockjoin_np does not: all of it came before */
	struct ring in, out;
	struct loop_fd *out_fd;
	/* the thread's own */
	struct kt_job *head[KT_PRIO_N], *tail[KT_PRIO_N];
	int nl_fd;
	uint32_t seq;
	bool fifo; /* runs SCHED_FIFO now */
};

struct kernel_thread {
	struct loop *loop;
	int rt_prio; /* of kt-kernel while it holds a role job; 0: never */
	struct worker kernel, disk;
	struct kt_stats stats;
};

const char *kt_kind_name(enum kt_kind k)
{
	static const char *const name[] = { "rtnetlink", "file", "disk", "slot", "sysctl", "call" };
	return (unsigned)k < KT_KIND_N ? name[k] : "unknown";
}

/* ---- jobs ---- */

struct kt_job *kt_job_new(enum kt_kind kind, enum kt_prio prio, kt_done_fn done, void *arg)
{
	struct kt_job *job = calloc(1, sizeof(*job));
	if (!job)
		return NULL;
	job->kind = kind;
	job->prio = prio;
	job->done = done;
	job->arg = arg;
	if (kind == KT_RTNL) {
		job->rtnl = calloc(1, sizeof(*job->rtnl));
		if (!job->rtnl) {
			free(job);
			return NULL;
		}
	}
	return job;
}

void kt_job_free(struct kt_job *job)
{
	if (!job)
		return;
	switch (job->kind) {
	case KT_RTNL:
		free(job->rtnl);
		break;
	case KT_FILE:
	case KT_DISK:
		free(job->file.data);
		break;
	case KT_SLOT:
		free(job->slot.data);
		break;
	case KT_SYSCTL:
	case KT_CALL:
		break;
	}
	free(job);
}

int kt_job_add(struct kt_job *job, const struct net_op *op, const uint8_t *msg, size_t len)
{
	struct kt_rtnl *b = job->rtnl;
	require(job->kind == KT_RTNL && len > 0 && len <= RTNL_MSG_MAX);
	if (b->n == NET_CHUNK)
		return -ENOSPC;
	memcpy(b->bytes + b->len, msg, len);
	b->op[b->n++] = *op;
	b->len += len;
	return 0;
}

int kt_job_add_addr(struct kt_job *job, const struct net_op *op, bool mark)
{
	uint8_t msg[RTNL_MSG_MAX];
	size_t len = rtnl_wire_addr(msg, sizeof(msg), op, 0, mark, true); /* the thread numbers the messages */
	return kt_job_add(job, op, msg, len);
}

/* ---- the work ---- */

static void number_messages(struct kt_rtnl *b, uint32_t base)
{
	size_t at = 0;
	for (unsigned i = 0; i < b->n && at + sizeof(struct nlmsghdr) <= b->len; i++) {
		struct nlmsghdr h;
		memcpy(&h, b->bytes + at, sizeof(h));
		h.nlmsg_seq = base + i;
		memcpy(b->bytes + at, &h, sizeof(h));
		at += NLMSG_ALIGN(h.nlmsg_len);
	}
}

/* The kernel has worked through the batch when sendmsg returns, so its answers are all there. */
static void read_acks(int fd, struct kt_rtnl *b, uint32_t base, unsigned missing)
{
	uint8_t buf[8192];
	while (missing) {
		ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == ENOBUFS))
			continue;
		if (n <= 0)
			return; /* the rest keeps -ENOBUFS */
		size_t used, at = 0;
		for (; at < (size_t)n && missing; at += used) {
			struct rtnl_event ev;
			enum rtnl_drop d = rtnl_wire_parse(buf + at, (size_t)n - at, &ev, &used);
			uint32_t i = ev.seq - base;
			if (d != RTNL_OK || ev.kind != RTNL_RESULT || i >= b->n)
				continue;
			b->result[i] = ev.err;
			missing--;
		}
	}
}

static int run_rtnl(struct worker *w, struct kt_rtnl *b)
{
	for (unsigned i = 0; i < b->n; i++)
		b->result[i] = -ENOBUFS; /* what an answer that was lost means: ask the kernel (netstate dumps) */
	uint32_t base = w->seq;
	w->seq += NET_CHUNK;
	number_messages(b, base);
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	ssize_t n;
	do {
		n = sendto(w->nl_fd, b->bytes, b->len, 0, (struct sockaddr *)&to, sizeof(to));
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		int err = -errno;
		for (unsigned i = 0; i < b->n; i++)
			b->result[i] = err;
		return err;
	}
	read_acks(w->nl_fd, b, base, b->n);
	for (unsigned i = 0; i < b->n; i++)
		if (b->result[i])
			return b->result[i];
	return 0;
}

static int run_sysctl(const char *path, const char *value)
{
	char full[256];
	int n = snprintf(full, sizeof(full), "/proc/sys/%s", path);
	if (n < 0 || (size_t)n >= sizeof(full) || strstr(path, ".."))
		return -EINVAL;
	int fd = open(full, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t put = write(fd, value, strlen(value));
	int rc = put < 0 ? -errno : 0;
	close(fd);
	return rc;
}

static int run_job(struct worker *w, struct kt_job *job)
{
	switch (job->kind) {
	case KT_RTNL:
		return run_rtnl(w, job->rtnl);
	case KT_FILE:
	case KT_DISK:
		return file_io_replace(job->file.path, job->file.data, job->file.len, job->file.mode);
	case KT_SLOT: {
		ssize_t n = pwrite(job->slot.fd, job->slot.data, job->slot.len, job->slot.offset);
		return n < 0 ? -errno : (size_t)n < job->slot.len ? -ENOSPC : 0;
	}
	case KT_SYSCTL:
		return run_sysctl(job->sysctl.path, job->sysctl.value);
	case KT_CALL:
		return job->call.fn(job->call.ctx);
	}
	return -EINVAL;
}

/* ---- scheduling ---- */

/* By thread id: unlike pthread_setschedparam this takes no lock that the other thread might hold. */
static void set_sched(int tid, int prio)
{
	struct sched_param sp = { .sched_priority = prio };
	syscall(SYS_sched_setscheduler, tid, prio ? SCHED_FIFO : SCHED_OTHER, &sp);
}

static bool holds_role_job(const struct worker *w)
{
	return w->head[KT_PROMOTE] || w->head[KT_DEMOTE];
}

static void fetch(struct worker *w)
{
	struct kt_job *job;
	while (ring_pop(&w->in, &job)) {
		job->next = NULL;
		*(w->head[job->prio] ? &w->tail[job->prio]->next : &w->head[job->prio]) = job;
		w->tail[job->prio] = job;
	}
}

static struct kt_job *take(struct worker *w)
{
	for (unsigned p = 0; p < KT_PRIO_N; p++) {
		struct kt_job *job = w->head[p];
		if (!job)
			continue;
		w->head[p] = job->next;
		return job;
	}
	return NULL;
}

/* CONTROL raises the thread when it submits a role job; the thread lowers itself when the last one is done. */
static void adjust_sched(struct worker *w, enum kt_prio running)
{
	bool want = w->kt->rt_prio > 0 && w == &w->kt->kernel && (running != KT_LATER || holds_role_job(w));
	if (!want && !w->fifo)
		return;
	if (want != w->fifo)
		set_sched(0, want ? w->kt->rt_prio : 0);
	w->fifo = want;
}

static void wait_for_jobs(struct worker *w)
{
	struct pollfd p = { .fd = ring_fd(&w->in), .events = POLLIN };
	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
	ring_ack(&w->in);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	prctl(PR_SET_NAME, w->name);
	w->tid = (int)syscall(SYS_gettid);
	for (;;) {
		fetch(w);
		struct kt_job *job = take(w);
		if (!job) {
			adjust_sched(w, KT_LATER);
			if (w->quit) {
				w->ended = true;
				return NULL;
			}
			/* A job that came meanwhile has left the mailbox readable. */
			wait_for_jobs(w);
			fetch(w);
			/* CONTROL may have raised us for a role job: own up to it. */
			w->fifo |= holds_role_job(w) && w->kt->rt_prio > 0;
			continue;
		}
		adjust_sched(w, job->prio);
		job->begun = clock_mono();
		job->result = run_job(w, job);
		job->ended = clock_mono();
		/* Never full: CONTROL lets at most KT_OUTSTANDING_MAX jobs be on their way. */
		require(ring_push(&w->out, &job));
	}
}

/* ---- CONTROL's side ---- */

static void finish(struct kernel_thread *kt, struct kt_job *job)
{
	struct kt_stats *s = &kt->stats;
	hist_add(&s->wait[job->prio], mono_sub(job->begun, job->queued));
	hist_add(&s->run[job->kind], mono_sub(job->ended, job->begun));
	s->jobs[job->kind]++;
	s->failed[job->kind] += job->result != 0;
	s->outstanding--;
	if (job->done)
		job->done(job);
	kt_job_free(job);
}

static void wake(int event_fd)
{
	uint64_t one = 1;
	ssize_t n = write(event_fd, &one, sizeof(one));
	(void)n; /* EAGAIN: it is readable already */
}

/* Takes completions; the ones beyond the budget come with the next pass, so that nothing else waits for long. */
static void on_out(void *arg, int fd, unsigned events)
{
	struct worker *w = arg;
	struct loop_budget budget = loop_budget(LOOP_BUDGET_MSGS, LOOP_BUDGET_NS);
	struct kt_job *job;
	(void)events;
	ring_ack(&w->out);
	while (ring_pop(&w->out, &job)) {
		finish(w->kt, job);
		if (loop_budget_spent(&budget)) {
			wake(fd);
			return;
		}
	}
}

static int worker_start(struct worker *w, struct kernel_thread *kt, const char *name, bool netlink)
{
	w->kt = kt;
	w->name = name;
	w->nl_fd = -1;
	w->seq = 1;
	int rc = ring_init(&w->in, sizeof(struct kt_job *), KT_OUTSTANDING_MAX);
	if (rc == 0)
		rc = ring_init(&w->out, sizeof(struct kt_job *), KT_OUTSTANDING_MAX);
	if (rc < 0)
		return rc;
	if (netlink) {
		w->nl_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
		if (w->nl_fd < 0)
			return -errno;
		int on = 1, size = ACK_RCVBUF;
		setsockopt(w->nl_fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
		if (setsockopt(w->nl_fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
			setsockopt(w->nl_fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	}
	w->out_fd = loop_fd_new(kt->loop, ring_fd(&w->out), LOOP_READ, LOOP_LATENCY, on_out, w);
	if (!w->out_fd)
		return -errno;
	rc = thread_start(&w->thread, worker_main, w);
	w->started = rc == 0;
	return rc;
}

static void worker_end(struct worker *w)
{
	loop_fd_free(w->out_fd);
	if (w->nl_fd >= 0)
		close(w->nl_fd);
	ring_free(&w->in);
	ring_free(&w->out);
}

/* Asks the thread to end; false when it did not until the deadline (a file system that hangs). */
static bool worker_join(struct worker *w, mono_t deadline)
{
	if (!w->started)
		return true;
	w->quit = true;
	wake(ring_fd(&w->in));
	struct timespec ts = { .tv_sec = deadline.ns / NS_PER_SEC, .tv_nsec = deadline.ns % NS_PER_SEC };
	return pthread_clockjoin_np(w->thread, NULL, CLOCK_MONOTONIC, &ts) == 0 && w->ended;
}

struct kernel_thread *kernel_thread_start(struct loop *l, int rt_prio)
{
	struct kernel_thread *kt = NULL;
	/* struct ring asks for cache lines of its own */
	if (posix_memalign((void **)&kt, 64, sizeof(*kt)) != 0) {
		errno = ENOMEM;
		return NULL;
	}
	memset(kt, 0, sizeof(*kt));
	kt->loop = l;
	kt->rt_prio = rt_prio > 1 ? rt_prio - 1 : 0;
	kt->kernel.in.wake_fd = kt->kernel.out.wake_fd = kt->disk.in.wake_fd = kt->disk.out.wake_fd = -1;
	kt->kernel.nl_fd = kt->disk.nl_fd = -1;
	int rc = worker_start(&kt->kernel, kt, "kt-kernel", true);
	if (rc == 0)
		rc = worker_start(&kt->disk, kt, "kt-disk", false);
	if (rc < 0) {
		kernel_thread_stop(kt, NS_PER_SEC);
		errno = -rc;
		return NULL;
	}
	return kt;
}

static void drain(struct kernel_thread *kt, mono_t deadline)
{
	while (kt->stats.outstanding) {
		int64_t left = mono_sub(deadline, clock_mono());
		struct pollfd p[2] = { { .fd = ring_fd(&kt->kernel.out), .events = POLLIN },
				       { .fd = ring_fd(&kt->disk.out), .events = POLLIN } };
		if (left <= 0)
			return;
		if (poll(p, 2, (int)(left / NS_PER_MS) + 1) < 0 && errno != EINTR)
			return;
		on_out(&kt->kernel, p[0].fd, LOOP_READ);
		on_out(&kt->disk, p[1].fd, LOOP_READ);
	}
}

void kernel_thread_stop(struct kernel_thread *kt, int64_t wait_ns)
{
	if (!kt)
		return;
	mono_t deadline = mono_add(clock_mono(), wait_ns);
	drain(kt, deadline);
	bool a = worker_join(&kt->kernel, deadline), b = worker_join(&kt->disk, deadline);
	if (!a || !b) {
		/* The thread still uses its queues: freeing them would be worse than keeping them until the exit. */
		log_warn(LOG_NET, "%s did not end in time: %u jobs are left", a ? "kt-disk" : "kt-kernel",
			 kt->stats.outstanding);
		loop_fd_free(kt->kernel.out_fd);
		loop_fd_free(kt->disk.out_fd);
		return;
	}
	worker_end(&kt->kernel);
	worker_end(&kt->disk);
	free(kt);
}

int kernel_thread_submit(struct kernel_thread *kt, struct kt_job *job)
{
	struct kt_stats *s = &kt->stats;
	bool disk = job->kind == KT_DISK || job->kind == KT_SLOT || (job->kind == KT_CALL && job->call.disk);
	struct worker *w = disk ? &kt->disk : &kt->kernel;
	if (s->outstanding >= KT_OUTSTANDING_MAX) {
		s->refused++;
		return ERR_FULL;
	}
	job->queued = clock_mono();
	if (!disk && job->prio != KT_LATER && kt->rt_prio > 0 && w->tid)
		set_sched(w->tid, kt->rt_prio);
	require(ring_push(&w->in, &job)); /* each mailbox holds KT_OUTSTANDING_MAX */
	if (++s->outstanding > s->outstanding_max)
		s->outstanding_max = s->outstanding;
	return 0;
}

const struct kt_stats *kernel_thread_stats(const struct kernel_thread *kt)
{
	return &kt->stats;
}
