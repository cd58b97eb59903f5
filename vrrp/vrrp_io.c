/*
 * One raw socket per (interface, family), bound to the interface by index: what arrives elsewhere is never seen, and a
 * rename changes nothing. The kernel has cut Ethernet padding and, for IPv4, hands over the IP header as well.
 *
 * Sockets are closed lazily: the receive callback may close any of them, also the one being read, so a socket closed
 * while a callback runs is freed when the outermost one returns.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/list.h"
#include "daemon/base/log.h"
#include "vrrp/garp.h"
#include "vrrp/vrrp_io.h"

enum { TOS_CONTROL = 0xc0, PRIO_CONTROL = 7 /* TC_PRIO_CONTROL */, PACKET_MAX = 60 + VRRP_MSG_MAX + 64 };

struct sock {
	struct list node;
	struct vrrp_io *io;
	struct loop_fd *f;
	int fd;
	unsigned ifindex, refs;
	uint8_t af;
};

struct vrrp_io {
	struct loop *loop;
	vrrp_io_rx_fn fn;
	void *arg;
	struct list socks, closed;
	unsigned depth; /* receive callbacks under way */
	int ann_fd;
	struct vrrp_io_stats stats;
};

struct vrrp_io *vrrp_io_new(struct loop *l, vrrp_io_rx_fn fn, void *arg)
{
	struct vrrp_io *io = calloc(1, sizeof(*io));
	if (!io)
		return NULL;
	io->loop = l;
	io->fn = fn;
	io->arg = arg;
	io->ann_fd = -1;
	list_init(&io->socks);
	list_init(&io->closed);
	return io;
}

static void sock_close(struct sock *s)
{
	loop_fd_free(s->f);
	s->f = NULL;
	if (s->fd != -1)
		close(s->fd);
	s->fd = -1;
	list_del(&s->node);
	list_add_tail(&s->io->closed, &s->node);
}

static void bury(struct vrrp_io *io)
{
	if (io->depth > 0)
		return;
	list_for_each_safe (node, &io->closed) {
		list_del(node);
		free(list_entry(node, struct sock, node));
	}
}

void vrrp_io_free(struct vrrp_io *io)
{
	if (!io)
		return;
	list_for_each_safe (node, &io->socks)
		sock_close(list_entry(node, struct sock, node));
	bury(io);
	if (io->ann_fd != -1)
		close(io->ann_fd);
	free(io);
}

static struct sock *find(const struct vrrp_io *io, unsigned ifindex, uint8_t af)
{
	list_for_each (node, &io->socks) {
		struct sock *s = list_entry(node, struct sock, node);
		if (s->ifindex == ifindex && s->af == af)
			return s;
	}
	return NULL;
}

struct option_row {
	int level, name, value;
};

static int set_options(int fd, const struct option_row *row, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (setsockopt(fd, row[i].level, row[i].name, &row[i].value, sizeof(row[i].value)) != 0)
			return -errno;
	return 0;
}

static int setup_v4(int fd, unsigned ifindex)
{
	static const struct option_row row[] = {
		{ IPPROTO_IP, IP_MULTICAST_TTL, VRRP_TTL }, { IPPROTO_IP, IP_MULTICAST_LOOP, 0 },
		{ IPPROTO_IP, IP_MULTICAST_ALL, 0 },        { IPPROTO_IP, IP_TOS, TOS_CONTROL },
		{ SOL_SOCKET, SO_PRIORITY, PRIO_CONTROL }, /* after IP_TOS, which sets a priority of its own */
	};
	struct addr group = vrrp_wire_group(ADDR_V4);
	struct ip_mreqn m = { .imr_ifindex = (int)ifindex };
	memcpy(&m.imr_multiaddr, group.b, 4);
	int rc = set_options(fd, row, sizeof(row) / sizeof(row[0]));
	if (rc)
		return rc;
	/* The membership first: it is the one that says ENODEV for a missing interface. */
	if (setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)) != 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &m, sizeof(m)) != 0)
		return -errno;
	return 0;
}

static int setup_v6(int fd, unsigned ifindex)
{
	const struct option_row row[] = {
		{ IPPROTO_IPV6, IPV6_MULTICAST_HOPS, VRRP_TTL },
		{ IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0 },
		{ IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0 },
		{ IPPROTO_IPV6, IPV6_TCLASS, TOS_CONTROL },
		{ IPPROTO_IPV6, IPV6_RECVPKTINFO, 1 },
		{ IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1 },
		{ IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)ifindex },
		{ SOL_SOCKET, SO_PRIORITY, PRIO_CONTROL },
	};
	struct addr group = vrrp_wire_group(ADDR_V6);
	struct ipv6_mreq m = { .ipv6mr_interface = ifindex };
	memcpy(&m.ipv6mr_multiaddr, group.b, 16);
	int rc = set_options(fd, row, sizeof(row) / sizeof(row[0]));
	if (rc)
		return rc;
	return setsockopt(fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &m, sizeof(m)) != 0 ? -errno : 0;
}

static void on_readable(void *arg, int fd, unsigned events);

static int sock_open(struct sock *s)
{
	int rc, index = (int)s->ifindex;
	s->fd = socket(s->af == ADDR_V4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, VRRP_PROTO);
	if (s->fd == -1)
		return -errno;
	if (setsockopt(s->fd, SOL_SOCKET, SO_BINDTOIFINDEX, &index, sizeof(index)) != 0)
		return -errno;
	rc = s->af == ADDR_V4 ? setup_v4(s->fd, s->ifindex) : setup_v6(s->fd, s->ifindex);
	if (rc)
		return rc;
	s->f = loop_fd_new(s->io->loop, s->fd, LOOP_READ, LOOP_LATENCY, on_readable, s);
	return s->f ? 0 : -errno;
}

int vrrp_io_open(struct vrrp_io *io, unsigned ifindex, const char *ifname, uint8_t af)
{
	struct sock *s = find(io, ifindex, af);
	if (af != ADDR_V4 && af != ADDR_V6)
		return -EAFNOSUPPORT;
	if (ifindex == 0)
		return -ENODEV;
	if (s) {
		s->refs++;
		return 0;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	*s = (struct sock){ .io = io, .fd = -1, .ifindex = ifindex, .af = af, .refs = 1 };
	list_add_tail(&io->socks, &s->node);
	int rc = sock_open(s);
	if (rc) {
		log_warn(LOG_VRRP, "%s: IPv%u socket for VRRP cannot be opened: %s", ifname, af, strerrordesc_np(-rc));
		sock_close(s);
		bury(io);
	}
	return rc;
}

void vrrp_io_close(struct vrrp_io *io, unsigned ifindex, uint8_t af)
{
	struct sock *s = find(io, ifindex, af);
	if (!s || --s->refs > 0)
		return;
	sock_close(s);
	bury(io);
}

/* Destination and hop limit of an IPv6 packet stand in the control messages. */
static void read_control(struct msghdr *mh, struct vrrp_rx *rx)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		if (c->cmsg_level != IPPROTO_IPV6)
			continue;
		if (c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			rx->dst = addr_from_bytes(ADDR_V6, &info.ipi6_addr);
		} else if (c->cmsg_type == IPV6_HOPLIMIT) {
			memcpy(&rx->ttl, CMSG_DATA(c), sizeof(rx->ttl));
		}
	}
}

/* Reads one packet and calls back. False when nothing waits (or the socket was closed by the callback). */
static bool read_one(struct sock *s)
{
	uint8_t buf[PACKET_MAX], control[256];
	union {
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} from;
	struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };
	struct msghdr mh = { .msg_name = &from,
			     .msg_namelen = sizeof(from),
			     .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control) };
	struct vrrp_io *io = s->io;
	struct vrrp_rx rx = { .af = s->af, .ttl = -1 };
	ssize_t n = recvmsg(s->fd, &mh, MSG_DONTWAIT);
	if (n < 0) {
		/* ENETDOWN and the like are reported once; the socket works on when the link is back. */
		io->stats.rx_error += errno != EAGAIN && errno != EINTR;
		return false;
	}
	rx.at = clock_mono();
	io->stats.rx++;
	if (s->af == ADDR_V6) {
		rx.src = addr_from_bytes(ADDR_V6, &from.v6.sin6_addr);
		rx.pdu = buf;
		rx.len = (size_t)n;
		read_control(&mh, &rx);
	}
	if ((mh.msg_flags & MSG_TRUNC) != 0 || (s->af == ADDR_V4 && vrrp_wire_ip4(buf, (size_t)n, &rx) != VRRP_OK)) {
		io->stats.rx_bad_ip++;
		return true;
	}
	io->depth++;
	io->fn(io->arg, s->ifindex, &rx);
	io->depth--;
	return s->fd != -1;
}

static void on_readable(void *arg, int fd, unsigned events)
{
	struct sock *s = arg;
	struct vrrp_io *io = s->io;
	struct loop_budget b = loop_budget(LOOP_BUDGET_MSGS, LOOP_BUDGET_NS);
	(void)fd;
	(void)events;
	io->depth++;
	while (read_one(s) && !loop_budget_spent(&b))
		;
	io->depth--;
	bury(io);
}

unsigned vrrp_io_drain(struct vrrp_io *io, unsigned ifindex, unsigned max)
{
	unsigned n = 0;
	struct list *node = io->socks.next, *next;
	io->depth++;
	for (; node != &io->socks && n < max; node = next) {
		struct sock *s = list_entry(node, struct sock, node);
		uint64_t before = io->stats.rx;
		while ((ifindex == 0 || s->ifindex == ifindex) && n < max && read_one(s))
			n++;
		/* The packet whose callback closed the socket counts as well. */
		n += s->fd == -1 && io->stats.rx > before;
		/* A socket closed meanwhile has left the list: begin again, what was read is empty now. */
		next = s->fd == -1 ? io->socks.next : s->node.next;
	}
	io->depth--;
	bury(io);
	return n;
}

static int send_result(struct vrrp_io *io, ssize_t n)
{
	if (n >= 0) {
		io->stats.tx++;
		return 0;
	}
	int err = errno;
	if (err == EAGAIN)
		io->stats.tx_again++;
	else if (err == ENOBUFS)
		io->stats.tx_nobufs++;
	else if (err == ENODEV || err == ENXIO || err == ENETDOWN || err == ENETUNREACH)
		io->stats.tx_no_device++;
	else
		io->stats.tx_error++;
	return -err;
}

int vrrp_io_send(struct vrrp_io *io, unsigned ifindex, uint8_t af, const struct addr *src, const void *buf, size_t len)
{
	struct sock *s = find(io, ifindex, af);
	struct addr group = vrrp_wire_group(af);
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control = { 0 };
	struct sockaddr_in to4 = { .sin_family = AF_INET };
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6, .sin6_scope_id = ifindex };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)buf, .iov_len = len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control };
	struct cmsghdr *c = &control.align;
	if (!s)
		return -ENOENT;
	if (af == ADDR_V4) {
		struct in_pktinfo info = { .ipi_ifindex = (int)ifindex };
		memcpy(&info.ipi_spec_dst, src->b, 4);
		memcpy(&to4.sin_addr, group.b, 4);
		*c = (struct cmsghdr){ CMSG_LEN(sizeof(info)), IPPROTO_IP, IP_PKTINFO };
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		mh.msg_controllen = CMSG_SPACE(sizeof(info));
		mh.msg_name = &to4;
		mh.msg_namelen = sizeof(to4);
	} else {
		struct in6_pktinfo info = { .ipi6_ifindex = ifindex };
		memcpy(&info.ipi6_addr, src->b, 16);
		memcpy(&to6.sin6_addr, group.b, 16);
		*c = (struct cmsghdr){ CMSG_LEN(sizeof(info)), IPPROTO_IPV6, IPV6_PKTINFO };
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		mh.msg_controllen = CMSG_SPACE(sizeof(info));
		mh.msg_name = &to6;
		mh.msg_namelen = sizeof(to6);
	}
	return send_result(io, sendmsg(s->fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL));
}

/* Protocol 0: this socket only sends, the kernel queues nothing on it. */
static int open_packet(struct vrrp_io *io)
{
	int prio = PRIO_CONTROL;
	if (io->ann_fd != -1)
		return 0;
	io->ann_fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (io->ann_fd == -1)
		return -errno;
	/* Without the right to set it frames go out all the same. */
	(void)setsockopt(io->ann_fd, SOL_SOCKET, SO_PRIORITY, &prio, sizeof(prio));
	return 0;
}

int vrrp_io_announce(struct vrrp_io *io, unsigned ifindex, const uint8_t mac[6], const struct addr *vip)
{
	uint8_t frame[GARP_FRAME_MAX];
	size_t len = garp_build(vip, mac, frame, sizeof(frame));
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)ifindex, .sll_halen = GARP_MAC_LEN };
	int rc = len > 0 ? open_packet(io) : -EAFNOSUPPORT;
	if (rc == 0) {
		memcpy(to.sll_addr, frame, GARP_MAC_LEN);
		if (sendto(io->ann_fd, frame, len, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&to, sizeof(to)) ==
		    (ssize_t)len) {
			io->stats.ann++;
			return 0;
		}
		rc = -errno;
	}
	if (rc == -EAGAIN || rc == -ENOBUFS)
		io->stats.ann_again++;
	else
		io->stats.ann_error++;
	return rc;
}

const struct vrrp_io_stats *vrrp_io_stats(const struct vrrp_io *io)
{
	return &io->stats;
}
