#include "ike-hooks/xfrm_io.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"

#define RECV_BUF        (64u * 1024u)
#define PASSES_MAX      8
#define SAS_PER_PASS    4096u /* more are found by the next pass: what was deleted is no longer listed */
#define DELETES_AT_ONCE 64u

struct sweep {
	int fd;
	uint32_t seq;
	mono_t until;
	const struct addr *vip, *peer;
	struct xfrm_sa *list;
	uint32_t n, cap;
	bool repeat; /* the table changed during the dump, or the list was full */
	uint8_t *buf;
	struct xfrm_sweep_result *out;
};

static int open_socket(struct sweep *s)
{
	struct sockaddr_nl local = { .nl_family = AF_NETLINK };

	s->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_XFRM);
	if (s->fd < 0)
		return errno == EAFNOSUPPORT ? -EPROTONOSUPPORT : -errno;
	int on = 1;
	/* Acknowledgements without a copy of the request; an old kernel that refuses sends longer ones, no harm. */
	(void)setsockopt(s->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	if (bind(s->fd, (const struct sockaddr *)&local, sizeof(local)) != 0)
		return -errno;
	return 0;
}

static int send_to_kernel(struct sweep *s, const void *msg, size_t len)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	for (;;) {
		ssize_t n = sendto(s->fd, msg, len, 0, (const struct sockaddr *)&kernel, sizeof(kernel));
		if (n == (ssize_t)len)
			return 0;
		if (n >= 0)
			return -EMSGSIZE;
		if (errno != EINTR)
			return -errno;
	}
}

/* One datagram from the kernel, waiting at most until the deadline. Its length, -errno or ERR_TIMEOUT. */
static ssize_t receive(struct sweep *s)
{
	for (;;) {
		int64_t left = mono_sub(s->until, clock_mono());
		if (left <= 0)
			return ERR_TIMEOUT;
		struct timeval tv = { .tv_sec = left / NS_PER_SEC, .tv_usec = left % NS_PER_SEC / NS_PER_US + 1 };
		struct sockaddr_nl from;
		struct iovec iov = { .iov_base = s->buf, .iov_len = RECV_BUF };
		struct msghdr m = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1 };

		if (setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) != 0)
			return -errno;
		ssize_t n = recvmsg(s->fd, &m, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return ERR_TIMEOUT;
		if (n < 0)
			return -errno;
		if (m.msg_flags & MSG_TRUNC)
			return -EMSGSIZE;
		/* Only the kernel has port id 0: another process may write to our port. */
		if (m.msg_namelen == sizeof(from) && from.nl_pid == 0)
			return n;
	}
}

static void keep(struct sweep *s, const struct xfrm_sa *sa)
{
	if (!xfrm_matches(sa, s->vip, s->peer))
		return;
	/* Both ends may be the VIP: the second dump finds it again. */
	for (uint32_t i = s->n; i-- > 0 && addr_eq(&sa->src, &sa->dst);)
		if (s->list[i].spi == sa->spi && s->list[i].proto == sa->proto && addr_eq(&s->list[i].dst, &sa->dst))
			return;
	s->out->found++;
	s->out->larval += sa->larval;
	if (s->n < s->cap)
		s->list[s->n++] = *sa;
	else
		s->repeat = true;
}

static int dump(struct sweep *s, const struct addr *src, const struct addr *dst)
{
	uint8_t msg[XFRM_BUF_LEN];
	uint32_t seq = ++s->seq;
	size_t len = xfrm_put_dump(msg, sizeof(msg), seq, src, dst);
	int rc = len ? send_to_kernel(s, msg, len) : -EINVAL;

	while (rc == 0) {
		ssize_t n = receive(s);
		if (n < 0)
			return (int)n;
		for (size_t at = 0, used; at < (size_t)n; at += used) {
			struct xfrm_msg m;
			xfrm_get(s->buf + at, (size_t)n - at, &m, &used);
			if (used == 0)
				return -EBADMSG;
			if (m.seq != seq)
				continue;
			s->repeat = s->repeat || m.interrupted;
			if (m.kind == XFRM_DONE || m.kind == XFRM_ACK)
				return m.error;
			if (m.kind == XFRM_OK)
				keep(s, &m.sa);
		}
	}
	return rc;
}

static int dump_both(struct sweep *s)
{
	const struct addr none = { .af = ADDR_NONE };
	const struct addr *peer = s->peer && addr_len(s->peer->af) ? s->peer : &none;
	int rc = dump(s, s->vip, peer);

	return rc ? rc : dump(s, peer, s->vip);
}

/* Collects the acknowledgements of the deletes first..last. */
static int collect(struct sweep *s, uint32_t first, uint32_t last)
{
	uint32_t waiting = last - first + 1;

	while (waiting) {
		ssize_t n = receive(s);
		if (n < 0)
			return (int)n;
		for (size_t at = 0, used; at < (size_t)n; at += used) {
			struct xfrm_msg m;
			xfrm_get(s->buf + at, (size_t)n - at, &m, &used);
			if (used == 0)
				return -EBADMSG;
			if (m.kind != XFRM_ACK || m.seq - first > last - first)
				continue;
			waiting--;
			if (m.error == 0) {
				s->out->deleted++;
			} else if (m.error == -ESRCH) {
				s->out->gone++;
			} else {
				s->out->failed++;
				s->out->last_error = m.error;
			}
		}
	}
	return 0;
}

static int delete_listed(struct sweep *s)
{
	for (uint32_t i = 0; i < s->n;) {
		uint8_t batch[DELETES_AT_ONCE * XFRM_BUF_LEN];
		size_t len = 0;
		uint32_t first = s->seq + 1;

		for (unsigned k = 0; k < DELETES_AT_ONCE && i < s->n; k++, i++)
			len += xfrm_put_delete(batch + len, sizeof(batch) - len, ++s->seq, &s->list[i]);
		int rc = send_to_kernel(s, batch, len);
		if (rc == 0)
			rc = collect(s, first, s->seq);
		if (rc)
			return rc;
	}
	return 0;
}

static int run(struct sweep *s, bool dry)
{
	int rc = open_socket(s);

	while (rc == 0 && s->out->passes < PASSES_MAX) {
		s->out->passes++;
		s->repeat = false;
		s->n = 0;
		uint32_t failed = s->out->failed;
		if (dry)
			s->out->found = s->out->larval = 0;
		rc = dump_both(s);
		if (rc == 0 && !dry)
			rc = delete_listed(s);
		/* A pass that could delete nothing would find the same again. */
		if (!s->repeat || (!dry && s->out->failed - failed == s->n))
			break;
		if (dry && s->n == s->cap)
			break;
	}
	if (s->fd >= 0)
		close(s->fd);
	return rc;
}

static int start(const struct addr *vip, const struct addr *peer, struct xfrm_sa *list, uint32_t cap, bool dry,
		 struct xfrm_sweep_result *out)
{
	mono_t begun = clock_mono();
	struct sweep s = { .fd = -1, .until = mono_add(begun, XFRM_SWEEP_NS), .vip = vip, .peer = peer, .cap = cap };
	struct xfrm_sa *own = NULL;

	memset(out, 0, sizeof(*out));
	s.out = out;
	if (!addr_len(vip->af) || (peer && addr_len(peer->af) && peer->af != vip->af))
		return out->last_error = -EINVAL;
	if (!dry) {
		own = malloc(SAS_PER_PASS * sizeof(*own));
		s.cap = own ? SAS_PER_PASS : 0;
	}
	s.list = dry ? list : own;
	s.buf = malloc(RECV_BUF);
	int rc = s.buf && (dry || own) ? run(&s, dry) : -ENOMEM;
	free(s.buf);
	free(own);
	if (rc)
		out->last_error = rc;
	out->took_ns = mono_sub(clock_mono(), begun);
	return rc;
}

int xfrm_sweep(const struct addr *vip, struct xfrm_sweep_result *out)
{
	return start(vip, NULL, NULL, 0, false, out);
}

int xfrm_sweep_pair(const struct addr *vip, const struct addr *peer, struct xfrm_sweep_result *out)
{
	return start(vip, peer, NULL, 0, false, out);
}

int xfrm_list(const struct addr *vip, const struct addr *peer, struct xfrm_sa *list, uint32_t cap,
	      struct xfrm_sweep_result *out)
{
	return start(vip, peer, list, cap, true, out);
}
