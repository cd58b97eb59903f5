#define _GNU_SOURCE 1   /* recvmmsg, in6_pktinfo */
#include <netinet/in.h> /* before the kernel's own headers, which give way to it */

#include "ike-hooks/spi_io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <linux/xfrm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/require.h"

#define RECEIVE_BUF (64 * 1024) /* the kernel doubles it; about 60 packets of full size */
#define STAT_PATH   "/proc/net/xfrm_stat"

static const char *const sock_name[] = { "esp4", "esp6", "udp4", "udp6" };
static const char *const size_name[] = { "addresses and SPIs", "addresses, sampled", "own addresses, sampled" };

struct sock {
	struct spi_io *io;
	enum spi_sock kind;
	int fd;
	struct loop_fd *lf;
	mono_t rest_until; /* MONO_NEVER: does not rest */
	uint32_t generation;
	uint32_t drops; /* of this socket, as the kernel counts */
};

struct slot {
	uint8_t data[SPI_BPF_SNAP];
	struct sockaddr_in6 from;
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

struct spi_io {
	struct loop *loop;
	struct spi_watch *w;
	spi_io_fn fn;
	void *arg;
	struct sock sock[SPI_SOCK_N];
	struct loop_timer *timer;
	int stat_fd;
	bool reading;
	struct log_rate stranger_rate, err_rate;
	struct spi_io_stats stats;
	uint64_t closed_drops;
	struct mmsghdr msg[SPI_BATCH];
	struct iovec iov[SPI_BATCH];
	struct slot slot[SPI_BATCH];
	struct sock_filter prog[SPI_BPF_MAX];
};

const char *spi_sock_name(enum spi_sock kind)
{
	return (unsigned)kind < SPI_SOCK_N ? sock_name[kind] : "?";
}

const char *spi_bpf_size_name(enum spi_bpf_size size)
{
	return (unsigned)size < SPI_BPF_SIZE_N ? size_name[size] : "?";
}

static bool is_v6(enum spi_sock kind)
{
	return kind == SPI_ESP6 || kind == SPI_UDP6;
}

static bool is_udp(enum spi_sock kind)
{
	return kind == SPI_UDP4 || kind == SPI_UDP6;
}

/* ---- filters ---- */

static int attach(struct spi_io *io, const struct sock *s, uint16_t n)
{
	struct sock_fprog prog = { .len = n, .filter = io->prog };

	if (setsockopt(s->fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) == 0)
		return 0;
	if (errno != ENOMEM)
		return -errno;
	/* The old and the new one together exceed net.core.optmem_max. What comes in between is judged all the same. */
	const int unused = 0;
	(void)setsockopt(s->fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
	return setsockopt(s->fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) == 0 ? 0 : -errno;
}

static int renew_filter(struct spi_io *io, struct sock *s)
{
	struct spi_io_sock_stats *st = &io->stats.sock[s->kind];
	int rc = -E2BIG;

	for (unsigned size = SPI_BPF_FULL; size < SPI_BPF_SIZE_N && rc < 0; size++) {
		uint16_t n = spi_bpf_build(io->w, s->kind, (enum spi_bpf_size)size, io->prog);
		rc = n ? attach(io, s, n) : -E2BIG;
		st->filter = (enum spi_bpf_size)size;
		st->filter_len = n;
	}
	io->stats.filters += rc == 0;
	s->generation = io->w->generation;
	return rc;
}

/* ---- packets ---- */

static const struct in6_pktinfo *pktinfo(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO &&
		    c->cmsg_len >= CMSG_LEN(sizeof(struct in6_pktinfo)))
			return (const struct in6_pktinfo *)(const void *)CMSG_DATA(c);
	return NULL;
}

static enum spi_verdict parse(const struct sock *s, struct msghdr *m, size_t len, struct spi_pkt *pkt)
{
	const void *data = m->msg_iov->iov_base;

	if (!is_v6(s->kind))
		return spi_parse_v4(data, len, pkt);
	const struct in6_pktinfo *to = pktinfo(m);
	const struct sockaddr_in6 *from = m->msg_name;
	if (!to || m->msg_namelen < sizeof(*from))
		return SPI_DROP_SHORT;
	pkt->src = addr_from_bytes(ADDR_V6, &from->sin6_addr);
	pkt->dst = addr_from_bytes(ADDR_V6, &to->ipi6_addr);
	return spi_parse_v6(data, len, is_udp(s->kind), pkt);
}

static void tell_stranger(struct spi_io *io, const struct spi_pkt *pkt)
{
	char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX];
	unsigned suppressed;

	if (log_rate_ok(&io->stranger_rate, 1, &suppressed))
		log_info(LOG_IKE, "ESP from %s to %s with SPI %08x: no peer of a tunnel there, ignored (and %u before)",
			 addr_text(&pkt->src, src), addr_text(&pkt->dst, dst), pkt->spi, suppressed);
}

static void take(struct sock *s, struct msghdr *m, size_t len, mono_t now)
{
	struct spi_io *io = s->io;
	struct spi_pkt pkt;
	struct spi_pair *pair;

	io->stats.packets++;
	enum spi_verdict v = parse(s, m, len, &pkt);
	if (v != SPI_KNOWN) {
		spi_watch_drop(io->w, v);
		return;
	}
	v = spi_watch_packet(io->w, &pkt, now, &pair);
	if (v == SPI_ASK)
		io->fn(io->arg, pair, pkt.spi);
	else if (v == SPI_STRANGER)
		tell_stranger(io, &pkt);
}

static void rest(struct sock *s, int64_t ns)
{
	struct spi_io *io = s->io;
	mono_t next = MONO_NEVER;

	s->rest_until = mono_add(clock_mono(), ns);
	io->stats.rests++;
	loop_fd_set(s->lf, 0);
	for (unsigned i = 0; i < SPI_SOCK_N; i++)
		next = mono_min(next, io->sock[i].rest_until);
	loop_timer_set(io->timer, next);
}

static void on_rested(void *arg, mono_t deadline)
{
	struct spi_io *io = arg;
	mono_t now = clock_mono(), next = MONO_NEVER;

	(void)deadline;
	for (unsigned i = 0; i < SPI_SOCK_N; i++) {
		struct sock *s = &io->sock[i];
		if (s->lf && mono_due(s->rest_until, now)) {
			s->rest_until = MONO_NEVER;
			loop_fd_set(s->lf, LOOP_READ);
		}
		next = mono_min(next, s->rest_until);
	}
	loop_timer_set(io->timer, next);
}

static void prepare(struct spi_io *io)
{
	for (unsigned i = 0; i < SPI_BATCH; i++) {
		struct slot *k = &io->slot[i];
		io->iov[i] = (struct iovec){ .iov_base = k->data, .iov_len = sizeof(k->data) };
		io->msg[i].msg_hdr = (struct msghdr){ .msg_name = &k->from,
						      .msg_namelen = sizeof(k->from),
						      .msg_iov = &io->iov[i],
						      .msg_iovlen = 1,
						      .msg_control = k->control,
						      .msg_controllen = sizeof(k->control) };
	}
}

static void on_readable(void *arg, int fd, unsigned events)
{
	struct sock *s = arg;
	struct spi_io *io = s->io;

	(void)events;
	prepare(io);
	int n = recvmmsg(fd, io->msg, SPI_BATCH, MSG_DONTWAIT, NULL);
	if (n <= 0)
		return;
	io->stats.reads++;
	mono_t now = clock_mono();
	uint64_t asked = io->w->count[SPI_ASK];
	io->reading = true;
	for (int i = 0; i < n; i++)
		take(s, &io->msg[i].msg_hdr, io->msg[i].msg_len, now);
	io->reading = false;
	/* After a question the next packet is of interest, else nothing that came is. */
	rest(s, n < SPI_BATCH && io->w->count[SPI_ASK] != asked ? SPI_REST_NS : SPI_REST_LONG_NS);
}

/* ---- sockets ---- */

/* The kernel asks its policies about what a raw socket gets, too: a tunnel between the two hosts themselves would keep
 * from us what it should have protected. Without IPsec in the kernel there is nothing to ask for. */
static void bypass(int fd, bool v6)
{
	struct xfrm_userpolicy_info p = { .action = XFRM_POLICY_ALLOW,
					  .dir = XFRM_POLICY_IN,
					  .sel.family = v6 ? AF_INET6 : AF_INET };

	(void)setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_XFRM_POLICY : IP_XFRM_POLICY, &p, sizeof(p));
}

static uint32_t socket_drops(const struct sock *s)
{
	uint32_t mem[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(mem);

	return getsockopt(s->fd, SOL_SOCKET, SO_MEMINFO, mem, &len) == 0 ? mem[SK_MEMINFO_DROPS] : 0;
}

static void sock_close(struct sock *s)
{
	if (s->fd >= 0) {
		s->io->closed_drops += socket_drops(s);
		loop_fd_free(s->lf);
		close(s->fd);
	}
	s->fd = -1;
	s->lf = NULL;
	s->rest_until = MONO_NEVER;
	s->io->stats.sock[s->kind].open = false;
}

static int sock_open(struct spi_io *io, struct sock *s)
{
	bool v6 = is_v6(s->kind);
	int size = RECEIVE_BUF, on = 1;

	s->fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
		       is_udp(s->kind) ? IPPROTO_UDP : IPPROTO_ESP);
	if (s->fd < 0)
		return -errno;
	/* Filtered first: a host with much traffic must not fill the queue before. */
	int rc = renew_filter(io, s);
	if (rc < 0)
		return rc;
	if (setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) != 0)
		return -errno;
	if (v6 && setsockopt(s->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) != 0)
		return -errno;
	bypass(s->fd, v6);
	s->lf = loop_fd_new(io->loop, s->fd, LOOP_READ, LOOP_NORMAL, on_readable, s);
	return s->lf ? 0 : -ENOMEM;
}

static void update(struct spi_io *io, struct sock *s, bool wanted)
{
	struct spi_io_sock_stats *st = &io->stats.sock[s->kind];
	unsigned suppressed;
	int rc = 0;

	if (!wanted) {
		sock_close(s);
		return;
	}
	if (s->fd < 0) {
		rc = sock_open(io, s);
		io->stats.opened += rc == 0;
	} else if (s->generation != io->w->generation) {
		rc = renew_filter(io, s);
	}
	st->err = rc;
	st->open = rc == 0;
	if (rc == 0)
		return;
	io->stats.failed++;
	if (log_rate_ok(&io->err_rate, 1, &suppressed))
		log_warn(LOG_IKE, "packets with unknown SPIs cannot be watched (%s): %s", sock_name[s->kind],
			 strerror(-rc));
	sock_close(s);
}

void spi_io_update(struct spi_io *io, mono_t now)
{
	bool wanted = spi_watch_wanted(io->w, now);

	require(!io->reading);
	for (unsigned i = 0; i < SPI_SOCK_N; i++) {
		struct sock *s = &io->sock[i];
		update(io, s, wanted && spi_watch_any(io->w, is_v6(s->kind) ? ADDR_V6 : ADDR_V4));
	}
}

int64_t spi_io_no_states(struct spi_io *io)
{
	char text[4096];

	if (io->stat_fd < 0)
		return -1;
	ssize_t n = pread(io->stat_fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	const char *at = strstr(text, "XfrmInNoStates");
	return at ? strtoll(at + strlen("XfrmInNoStates"), NULL, 10) : -1;
}

const struct spi_io_stats *spi_io_stats(struct spi_io *io)
{
	io->stats.overflows = io->closed_drops;
	for (unsigned i = 0; i < SPI_SOCK_N; i++)
		if (io->sock[i].fd >= 0)
			io->stats.overflows += socket_drops(&io->sock[i]);
	return &io->stats;
}

struct spi_io *spi_io_new(struct loop *l, struct spi_watch *w, spi_io_fn fn, void *arg)
{
	struct spi_io *io = calloc(1, sizeof(*io));

	if (!io)
		return NULL;
	io->loop = l;
	io->w = w;
	io->fn = fn;
	io->arg = arg;
	for (unsigned i = 0; i < SPI_SOCK_N; i++)
		io->sock[i] = (struct sock){ .io = io, .kind = (enum spi_sock)i, .fd = -1, .rest_until = MONO_NEVER };
	io->stat_fd = open(STAT_PATH, O_RDONLY | O_CLOEXEC);
	io->timer = loop_timer_new(l, LOOP_NORMAL, on_rested, io);
	if (!io->timer) {
		spi_io_free(io);
		return NULL;
	}
	return io;
}

void spi_io_free(struct spi_io *io)
{
	if (!io)
		return;
	for (unsigned i = 0; i < SPI_SOCK_N; i++)
		sock_close(&io->sock[i]);
	if (io->stat_fd >= 0)
		close(io->stat_fd);
	loop_timer_free(io->timer);
	free(io);
}
