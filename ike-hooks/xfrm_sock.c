#include "ike-hooks/xfrm_sock.h"

#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "ike-hooks/xfrm_wire.h"

int xfrm_sock_open(struct xfrm_sock *s, uint8_t *buf, size_t cap, mono_t until)
{
	struct sockaddr_nl local = { .nl_family = AF_NETLINK };
	int on = 1;

	*s = (struct xfrm_sock){ .buf = buf, .cap = cap, .until = until };
	s->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_XFRM);
	if (s->fd < 0)
		return errno == EAFNOSUPPORT ? -EPROTONOSUPPORT : -errno;
	/* Acknowledgements without the request, whose keys nobody needs to see again. A kernel before 4.3 refuses and sends
	 * longer ones, no harm: the buffer is wiped by whoever puts keys into it. */
	(void)setsockopt(s->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	if (bind(s->fd, (const struct sockaddr *)&local, sizeof(local)) != 0) {
		int err = errno;
		xfrm_sock_close(s);
		return -err;
	}
	return 0;
}

void xfrm_sock_close(struct xfrm_sock *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

int xfrm_sock_send(struct xfrm_sock *s, const void *msg, size_t len)
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

ssize_t xfrm_sock_receive(struct xfrm_sock *s)
{
	for (;;) {
		int64_t left = mono_sub(s->until, clock_mono());
		if (left <= 0)
			return ERR_TIMEOUT;
		struct timeval tv = { .tv_sec = left / NS_PER_SEC, .tv_usec = left % NS_PER_SEC / NS_PER_US + 1 };
		struct sockaddr_nl from;
		struct iovec iov = { .iov_base = s->buf, .iov_len = s->cap };
		struct msghdr m = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1 };

		if (setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) != 0)
			return -errno;
		ssize_t n = recvmsg(s->fd, &m, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK ? ERR_TIMEOUT : -errno;
		if (m.msg_flags & MSG_TRUNC)
			return -EMSGSIZE;
		/* Only the kernel has port id 0: another process may write to our port. */
		if (m.msg_namelen == sizeof(from) && from.nl_pid == 0)
			return n;
	}
}

int xfrm_sock_acks(struct xfrm_sock *s, uint32_t first, uint32_t last, int *result)
{
	uint32_t waiting = last - first + 1;

	while (waiting) {
		ssize_t n = xfrm_sock_receive(s);
		if (n < 0)
			return (int)n;
		for (size_t at = 0, used; at < (size_t)n; at += used) {
			struct xfrm_msg m;
			xfrm_get(s->buf + at, (size_t)n - at, &m, &used);
			if (used == 0)
				return -EBADMSG;
			if (m.kind != XFRM_ACK || m.seq - first > last - first)
				continue;
			result[m.seq - first] = m.error;
			waiting--;
		}
	}
	return 0;
}
