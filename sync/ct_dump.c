/* The walk over the kernel's table, at its pace. What an entry means is decided in ct_wire. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/require.h"
#include "sync/ct_io_int.h"

enum {
	DUMP_READ_PACED = 8192, /* about 30 entries: little waits in the kernel while the pace makes us wait */
	DUMP_TRIES = 3,
	DUMP_TICK_ENTRIES = 512,
};
#define DUMP_TICK_NS  NS_PER_MS
#define DUMP_RETRY_NS NS_PER_MS

static int dump_open(struct ct_io *io)
{
	uint32_t portid;
	struct wire_wr w = wire_wr(io->tx, sizeof(io->tx));
	require(!ct_wire_dump(&w, 0, ++io->seq));
	io->dump_fd = ct_nl_open(&portid);
	if (io->dump_fd < 0)
		return -errno;
	io->dump_filled = clock_mono(); /* the first part is made while it is asked for */
	if (ct_nl_send(io->dump_fd, w.base, wire_len(&w)) < 0) {
		int err = -errno;
		close(io->dump_fd);
		io->dump_fd = -1;
		return err;
	}
	io->dump_gen++;
	io->dump_n = 0;
	io->dump_intr = false;
	return 0;
}

void ct_io_dump_stop(struct ct_io *io)
{
	if (io->dump_fd < 0)
		return;
	/* closing is the only way to end a dump that the kernel has begun */
	close(io->dump_fd);
	io->dump_fd = -1;
	io->dump_gen++;
	loop_timer_set(io->dump_timer, MONO_NEVER);
}

static void dump_flush(struct ct_io *io)
{
	unsigned n = io->dump_n;
	io->dump_n = 0;
	if (!n)
		return;
	io->st.batches++;
	io->cb.events(io->arg, io->dump_batch, n);
}

static void dump_finish(struct ct_io *io, int result)
{
	unsigned gen = io->dump_gen;
	dump_flush(io);
	if (io->dump_gen != gen)
		return; /* the callback stopped it */
	ct_io_dump_stop(io);
	if (!result && io->dump_intr) {
		if (++io->dump_tries < DUMP_TRIES) {
			io->st.dump_restarts++;
			io->cb.dump_restart(io->arg);
			result = dump_open(io);
			if (!result) {
				loop_timer_set(io->dump_timer, clock_mono());
				return;
			}
		} else {
			result = -EINTR;
		}
	}
	io->cb.dump_end(io->arg, result);
}

static void dump_entry(struct ct_io *io, const struct ct_wire_msg *m)
{
	if (io->dump_n == 0)
		io->dump_from = io->dump_of;
	enum ct_drop d = ct_wire_event(m, &io->dump_batch[io->dump_n]);
	io->st.drops[d]++;
	if (d != CT_OK)
		return;
	io->st.events[CT_EV_DUMP]++;
	if (++io->dump_n == CT_IO_BATCH)
		dump_flush(io);
}

/* One answer of the kernel. Returns the entries read, or -1 when this dump is over (finished or stopped). */
static int dump_read(struct ct_io *io)
{
	unsigned gen = io->dump_gen;
	mono_t before = clock_mono();
	ssize_t len = recv(io->dump_fd, io->dump_rx, io->dump_read, MSG_DONTWAIT);
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (len <= 0) {
		dump_finish(io, len < 0 ? -errno : -EPIPE);
		return -1;
	}
	/* Reading one part makes the kernel fill the next one (af_netlink.c, netlink_recvmsg). */
	io->dump_of = io->dump_filled;
	io->dump_filled = before;
	struct wire_rd r = wire_rd(io->dump_rx, (size_t)len);
	int n = 0;
	while (wire_left(&r)) {
		struct ct_wire_msg m;
		enum ct_drop d = ct_wire_next(&r, &m);
		if (d != CT_OK) {
			io->st.drops[d]++;
			continue;
		}
		io->dump_intr |= m.dump_intr;
		if (m.kind == CT_WIRE_DONE || m.kind == CT_WIRE_RESULT) {
			dump_finish(io, m.error);
			return -1;
		}
		if (m.kind == CT_WIRE_SKIP)
			continue;
		n++;
		dump_entry(io, &m);
		if (io->dump_gen != gen)
			return -1;
	}
	return n;
}

static size_t dump_read_size(uint32_t per_s)
{
	return per_s && per_s <= 20000 ? DUMP_READ_PACED : CT_DUMP_MAX;
}

static int64_t least_ns(uint32_t per_s, int n)
{
	return per_s ? n * NS_PER_SEC / per_s : 0;
}

/* How long n entries that took cpu_ns to read keep the walk from reading on. */
static int64_t dump_price(const struct ct_io_pace *p, int n, int64_t cpu_ns)
{
	int64_t least = least_ns(p->most, n), most = p->least < p->most ? least_ns(p->least, n) : least;
	int64_t price = cpu_ns * p->share;
	return price > most ? most : price < least ? least : price;
}

int64_t ct_io_dump_cost(const struct ct_io *io)
{
	return io->dump_spent_ns + (io->dump_in_pass ? clock_thread_cpu_ns() - io->dump_cpu_ns : 0);
}

static void dump_pass(struct ct_io *io)
{
	mono_t now = clock_mono(), until = mono_add(now, DUMP_TICK_NS);
	io->dump_credit_ns += mono_sub(now, io->dump_last);
	io->dump_last = now;
	/* a late loop must not be answered by a burst: no more than one tick's worth is saved */
	if (io->dump_credit_ns > DUMP_TICK_NS)
		io->dump_credit_ns = DUMP_TICK_NS;
	int total = 0, n = 0;
	while ((!io->dump_pace.most || io->dump_credit_ns >= 0) && total < DUMP_TICK_ENTRIES && now.ns < until.ns) {
		int64_t cpu = clock_thread_cpu_ns();
		n = dump_read(io);
		if (n < 0)
			return;
		if (!n)
			break;
		total += n;
		io->dump_credit_ns -= dump_price(&io->dump_pace, n, clock_thread_cpu_ns() - cpu);
		now = clock_mono();
	}
	unsigned gen = io->dump_gen;
	dump_flush(io);
	if (total > 0 && io->cb.pass)
		io->cb.pass(io->arg);
	if (io->dump_gen != gen)
		return;
	mono_t next = now;
	if (io->dump_pace.most && io->dump_credit_ns < 0)
		next = mono_add(now, -io->dump_credit_ns);
	else if (!total && !n)
		next = mono_add(now, DUMP_RETRY_NS);
	loop_timer_set(io->dump_timer, next);
}

static void dump_timer(void *arg, mono_t deadline)
{
	struct ct_io *io = arg;
	(void)deadline;
	int64_t begun = clock_thread_cpu_ns();
	io->dump_cpu_ns = begun;
	io->dump_in_pass = true;
	dump_pass(io); /* may begin the next dump: its time counts from there */
	io->dump_in_pass = false;
	int64_t ended = clock_thread_cpu_ns();
	io->dump_spent_ns += ended - io->dump_cpu_ns;
	io->st.dump_ns += (uint64_t)(ended - begun);
}

static void set_pace(struct ct_io *io, struct ct_io_pace p)
{
	io->dump_pace = p;
	io->dump_credit_ns = 0;
	io->dump_last = clock_mono();
	/* the kernel sizes its answers by the largest read seen: never read with less again */
	if (dump_read_size(p.most) > io->dump_read)
		io->dump_read = dump_read_size(p.most);
	loop_timer_set(io->dump_timer, io->dump_last);
}

void ct_io_dump_pace(struct ct_io *io, struct ct_io_pace p)
{
	if (io->dump_fd < 0)
		return;
	/* A faster walk begins at once. What a slower one owes already stays owed, or asking often would pay it. */
	uint32_t most = io->dump_pace.most, least = io->dump_pace.least;
	bool faster = most != 0 && (p.most == 0 || p.most > 2 * (uint64_t)most || p.least > 2 * (uint64_t)least);
	if (faster)
		set_pace(io, p);
	else
		io->dump_pace = p;
}

int ct_io_dump_start(struct ct_io *io, struct ct_io_pace p)
{
	if (io->dump_fd >= 0)
		return -EBUSY;
	int64_t begun = clock_thread_cpu_ns();
	int rc = dump_open(io); /* makes the first part: of a table with few entries it is the whole walk */
	if (rc < 0)
		return rc;
	io->st.dumps++;
	io->dump_cpu_ns = clock_thread_cpu_ns();
	io->dump_spent_ns = io->dump_cpu_ns - begun;
	if (!io->dump_in_pass)
		io->st.dump_ns += (uint64_t)io->dump_spent_ns;
	io->dump_tries = 0;
	io->dump_read = dump_read_size(p.most);
	set_pace(io, p);
	return 0;
}

mono_t ct_io_dump_from(const struct ct_io *io)
{
	return io->dump_from;
}

bool ct_io_dump_running(const struct ct_io *io)
{
	return io->dump_fd >= 0;
}

struct loop_timer *ct_dump_timer(struct ct_io *io)
{
	return loop_timer_new(io->loop, LOOP_BULK, dump_timer, io);
}
