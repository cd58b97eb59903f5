/*
 * One raw socket per (interface, family), bound to the interface by index: what arrives elsewhere is never seen, and a
 * rename changes nothing. The kernel has cut Ethernet padding and, for IPv4, hands over the IP header as well. Which
 * virtual router a packet is for is looked up in a table of 256 in the port itself, however many there are.
 *
 * An interface in a VRF: the kernel shows such packets to sockets as received on the VRF device, with the interface as
 * second index, and matches a bound socket and its memberships with either; a route is looked up in the VRF's table
 * because the packet's outgoing interface is enslaved to it (net/ipv4/raw.c raw_v4_match, net/ipv4/igmp.c
 * ip_mc_sf_allow, net/l3mdev/l3mdev.c l3mdev_update_flow, and their IPv6 counterparts). So the binding to the interface
 * itself is right there too, net.ipv4.raw_l3mdev_accept is of no concern, and nothing here knows of VRFs.
 *
 * Sockets are closed lazily: the receive callback may close any of them, also the one being read, so a socket closed
 * while a callback runs is freed when the outermost one returns.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/list.h"
#include "daemon/base/log.h"
#include "vrrp/garp.h"
#include "vrrp/vrrp_frame.h"
#include "vrrp/vrrp_io.h"

enum { TOS_CONTROL = 0xc0, PRIO_CONTROL = 7 /* TC_PRIO_CONTROL */, PACKET_MAX = 60 + VRRP_MSG_MAX + 64 };

struct membership {
	struct list node;
	struct addr group;
	unsigned refs;
};

struct sock {
	struct vrrp_port port;
	struct list node;
	struct vrrp_io *io;
	struct loop_fd *f;
	int fd;
	unsigned refs;
	bool resting;
	struct list groups;
	uint16_t inst[256]; /* by VRID */
};

struct vrrp_io {
	struct loop *loop;
	vrrp_io_rx_fn fn;
	void *arg;
	struct list socks, closed;
	unsigned depth; /* receive callbacks under way */
	struct loop_timer *pause_timer;
	int64_t pause_ns;
	bool resting; /* some port does */
	int packet_fd;
	uint16_t ip_id; /* of the next IPv4 frame */
	struct vrrp_io_stats stats;
};

static struct sock *sock_of(const struct vrrp_port *port)
{
	return list_entry((void *)(uintptr_t)port, struct sock, port);
}

static void on_rested(void *arg, mono_t deadline);

struct vrrp_io *vrrp_io_new(struct loop *l, vrrp_io_rx_fn fn, void *arg)
{
	struct vrrp_io *io = calloc(1, sizeof(*io));
	if (!io)
		return NULL;
	io->loop = l;
	io->fn = fn;
	io->arg = arg;
	io->packet_fd = -1;
	io->pause_timer = loop_timer_new(l, LOOP_LATENCY, on_rested, io);
	if (!io->pause_timer) {
		free(io);
		return NULL;
	}
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
	list_for_each_safe (node, &s->groups) {
		list_del(node);
		free(list_entry(node, struct membership, node));
	}
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
	if (io->packet_fd != -1)
		close(io->packet_fd);
	loop_timer_free(io->pause_timer);
	free(io);
}

static struct sock *find(const struct vrrp_io *io, unsigned ifindex, uint8_t af)
{
	list_for_each (node, &io->socks) {
		struct sock *s = list_entry(node, struct sock, node);
		if (s->port.ifindex == ifindex && s->port.af == af)
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
		{ IPPROTO_IP, IP_MULTICAST_LOOP, 0 },
		{ IPPROTO_IP, IP_MULTICAST_ALL, 0 },
		{ IPPROTO_IP, IP_TOS, TOS_CONTROL },
		{ SOL_SOCKET, SO_PRIORITY, PRIO_CONTROL }, /* after IP_TOS, which sets a priority of its own */
	};
	struct ip_mreqn m = { .imr_ifindex = (int)ifindex };
	int rc = set_options(fd, row, sizeof(row) / sizeof(row[0]));
	if (rc)
		return rc;
	return setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &m, sizeof(m)) != 0 ? -errno : 0;
}

static int setup_v6(int fd, unsigned ifindex)
{
	const struct option_row row[] = {
		{ IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0 },   { IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0 },
		{ IPPROTO_IPV6, IPV6_TCLASS, TOS_CONTROL }, { IPPROTO_IPV6, IPV6_RECVPKTINFO, 1 },
		{ IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1 },     { IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)ifindex },
		{ SOL_SOCKET, SO_PRIORITY, PRIO_CONTROL },
	};
	return set_options(fd, row, sizeof(row) / sizeof(row[0]));
}

static void on_readable(void *arg, int fd, unsigned events);

static int sock_open(struct sock *s)
{
	int rc, index = (int)s->port.ifindex;
	bool v4 = s->port.af == ADDR_V4;
	s->fd = socket(v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, VRRP_PROTO);
	if (s->fd == -1)
		return -errno;
	if (setsockopt(s->fd, SOL_SOCKET, SO_BINDTOIFINDEX, &index, sizeof(index)) != 0)
		return -errno;
	rc = v4 ? setup_v4(s->fd, s->port.ifindex) : setup_v6(s->fd, s->port.ifindex);
	if (rc)
		return rc == -EADDRNOTAVAIL ? -ENODEV : rc;
	s->f = loop_fd_new(s->io->loop, s->fd, LOOP_READ, LOOP_LATENCY, on_readable, s);
	return s->f ? 0 : -errno;
}

int vrrp_io_open(struct vrrp_io *io, unsigned ifindex, const char *ifname, uint8_t af, struct vrrp_port **out)
{
	struct sock *s = find(io, ifindex, af);
	*out = NULL;
	if (af != ADDR_V4 && af != ADDR_V6)
		return -EAFNOSUPPORT;
	if (ifindex == 0)
		return -ENODEV;
	if (s) {
		s->refs++;
		*out = &s->port;
		return 0;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->io = io;
	s->fd = -1;
	s->refs = 1;
	s->port.ifindex = ifindex;
	s->port.af = af;
	snprintf(s->port.ifname, sizeof(s->port.ifname), "%s", ifname);
	memset(s->inst, 0xff, sizeof(s->inst)); /* nobody */
	list_init(&s->groups);
	list_add_tail(&io->socks, &s->node);
	int rc = sock_open(s);
	if (rc) {
		sock_close(s);
		bury(io);
		return rc;
	}
	*out = &s->port;
	return 0;
}

void vrrp_io_close(struct vrrp_port *port)
{
	struct sock *s = sock_of(port);
	if (--s->refs > 0)
		return;
	sock_close(s);
	bury(s->io);
}

struct vrrp_port *vrrp_io_next(struct vrrp_io *io, const struct vrrp_port *after)
{
	struct list *next = after ? sock_of(after)->node.next : io->socks.next;
	return next == &io->socks ? NULL : &list_entry(next, struct sock, node)->port;
}

void vrrp_io_assign(struct vrrp_port *port, uint8_t vrid, uint16_t inst)
{
	sock_of(port)->inst[vrid] = inst;
}

static int membership(const struct sock *s, const struct addr *group, bool join)
{
	struct ip_mreqn m4 = { .imr_ifindex = (int)s->port.ifindex };
	struct ipv6_mreq m6 = { .ipv6mr_interface = s->port.ifindex };
	int rc;
	if (s->port.af == ADDR_V4) {
		memcpy(&m4.imr_multiaddr, group->b, 4);
		rc = setsockopt(s->fd, IPPROTO_IP, join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, &m4, sizeof(m4));
	} else {
		memcpy(&m6.ipv6mr_multiaddr, group->b, 16);
		rc =
		    setsockopt(s->fd, IPPROTO_IPV6, join ? IPV6_ADD_MEMBERSHIP : IPV6_DROP_MEMBERSHIP, &m6, sizeof(m6));
	}
	return rc != 0 ? -errno : 0;
}

static struct membership *find_group(struct sock *s, const struct addr *group)
{
	list_for_each (node, &s->groups) {
		struct membership *m = list_entry(node, struct membership, node);
		if (addr_eq(&m->group, group))
			return m;
	}
	return NULL;
}

int vrrp_io_join(struct vrrp_port *port, const struct addr *group)
{
	struct sock *s = sock_of(port);
	struct membership *m = find_group(s, group);
	if (group->af != port->af || !addr_is_multicast(group))
		return -EINVAL;
	if (m) {
		m->refs++;
		return 0;
	}
	m = calloc(1, sizeof(*m));
	int rc = m ? membership(s, group, true) : -ENOMEM;
	if (rc) {
		free(m);
		return rc;
	}
	m->group = *group;
	m->refs = 1;
	list_add_tail(&s->groups, &m->node);
	return 0;
}

void vrrp_io_leave(struct vrrp_port *port, const struct addr *group)
{
	struct sock *s = sock_of(port);
	struct membership *m = find_group(s, group);
	if (!m || --m->refs > 0)
		return;
	(void)membership(s, group, false); /* fails only when the interface is gone, and the membership with it */
	list_del(&m->node);
	free(m);
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
	struct vrrp_io_packet p = { .port = &s->port, .rx = { .af = s->port.af, .ttl = -1 } };
	ssize_t n = recvmsg(s->fd, &mh, MSG_DONTWAIT);
	if (n < 0) {
		/* ENETDOWN and the like are reported once; the socket works on when the link is back. */
		io->stats.rx_error += errno != EAGAIN && errno != EINTR;
		return false;
	}
	p.rx.at = clock_mono();
	io->stats.rx++;
	s->port.rx++;
	if (s->port.af == ADDR_V6) {
		p.rx.src = addr_from_bytes(ADDR_V6, &from.v6.sin6_addr);
		p.rx.pdu = buf;
		p.rx.len = (size_t)n;
		read_control(&mh, &p.rx);
	} else {
		p.rx.src = addr_from_bytes(ADDR_V4, &from.v4.sin_addr);
		p.drop = vrrp_wire_ip4(buf, (size_t)n, &p.rx);
	}
	if ((mh.msg_flags & MSG_TRUNC) != 0)
		p.drop = VRRP_DROP_IP;
	io->stats.rx_bad_ip += p.drop != VRRP_OK;
	p.inst = p.drop == VRRP_OK ? s->inst[vrrp_wire_vrid(&p.rx)] : VRRP_IO_NOBODY;
	io->depth++;
	io->fn(io->arg, &p);
	io->depth--;
	return s->fd != -1;
}

/* Back to work, all together. */
static void on_rested(void *arg, mono_t deadline)
{
	struct vrrp_io *io = arg;
	(void)deadline;
	io->resting = false;
	list_for_each (node, &io->socks) {
		struct sock *s = list_entry(node, struct sock, node);
		if (s->resting)
			loop_fd_set(s->f, LOOP_READ);
		s->resting = false;
	}
}

/* It was read empty; the rest of the burst is read in one go. Whoever drains reads it meanwhile as well. */
static void rest(struct sock *s)
{
	struct vrrp_io *io = s->io;
	if (!io->pause_ns || s->refs < VRRP_IO_CROWD || s->fd == -1)
		return;
	io->stats.pauses++;
	s->resting = true;
	loop_fd_set(s->f, 0);
	if (!io->resting)
		loop_timer_set(io->pause_timer, mono_add(clock_mono(), io->pause_ns));
	io->resting = true;
}

void vrrp_io_pause(struct vrrp_io *io, int64_t ns)
{
	io->pause_ns = ns;
}

static void on_readable(void *arg, int fd, unsigned events)
{
	struct sock *s = arg;
	struct vrrp_io *io = s->io;
	struct loop_budget b = loop_budget(LOOP_BUDGET_MSGS, LOOP_BUDGET_NS);
	(void)fd;
	(void)events;
	io->depth++;
	bool more = true;
	while (more && read_one(s))
		more = !loop_budget_spent(&b);
	if (more)
		rest(s);
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
		while ((ifindex == 0 || s->port.ifindex == ifindex) && n < max && read_one(s))
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

/* Destination, outgoing interface and source; TTL and hop limit differ by message, because ports are shared. */
union send_control {
	struct cmsghdr align;
	uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int))];
};

static void put_control(struct msghdr *mh, int level, int type, const void *data, size_t len)
{
	struct cmsghdr *c = (struct cmsghdr *)(void *)((uint8_t *)mh->msg_control + mh->msg_controllen);
	c->cmsg_len = CMSG_LEN(len);
	c->cmsg_level = level;
	c->cmsg_type = type;
	memcpy(CMSG_DATA(c), data, len);
	mh->msg_controllen += CMSG_SPACE(len);
}

int vrrp_io_send(struct vrrp_port *port, const struct addr *src, const struct addr *dst, uint8_t ttl, const void *buf,
		 size_t len)
{
	struct sock *s = sock_of(port);
	union send_control control = { 0 };
	struct sockaddr_in to4 = { .sin_family = AF_INET };
	/* The scope counts for link-local addresses and groups; with others the kernel leaves it aside. */
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6, .sin6_scope_id = port->ifindex };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)buf, .iov_len = len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control };
	int hops = ttl;
	if (port->af == ADDR_V4) {
		struct in_pktinfo info = { .ipi_ifindex = (int)port->ifindex };
		memcpy(&info.ipi_spec_dst, src->b, 4);
		memcpy(&to4.sin_addr, dst->b, 4);
		put_control(&mh, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
		put_control(&mh, IPPROTO_IP, IP_TTL, &hops, sizeof(hops));
		mh.msg_name = &to4;
		mh.msg_namelen = sizeof(to4);
	} else {
		struct in6_pktinfo info = { .ipi6_ifindex = port->ifindex };
		memcpy(&info.ipi6_addr, src->b, 16);
		memcpy(&to6.sin6_addr, dst->b, 16);
		put_control(&mh, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
		put_control(&mh, IPPROTO_IPV6, IPV6_HOPLIMIT, &hops, sizeof(hops));
		mh.msg_name = &to6;
		mh.msg_namelen = sizeof(to6);
	}
	return send_result(s->io, sendmsg(s->fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL));
}

/* Protocol 0: this socket only sends, the kernel queues nothing on it. */
static int open_packet(struct vrrp_io *io)
{
	int prio = PRIO_CONTROL;
	if (io->packet_fd != -1)
		return 0;
	io->packet_fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (io->packet_fd == -1)
		return -errno;
	/* Without the right to set it frames go out all the same. */
	(void)setsockopt(io->packet_fd, SOL_SOCKET, SO_PRIORITY, &prio, sizeof(prio));
	return 0;
}

/* A frame begins with the address it goes to. Bytes sent, or -1 and errno. */
static ssize_t send_frame(struct vrrp_io *io, unsigned ifindex, const uint8_t *frame, size_t len)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)ifindex, .sll_halen = VRRP_MAC_LEN };
	int rc = open_packet(io);
	if (rc) {
		errno = -rc;
		return -1;
	}
	memcpy(to.sll_addr, frame, VRRP_MAC_LEN);
	return sendto(io->packet_fd, frame, len, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&to, sizeof(to));
}

int vrrp_io_send_as(struct vrrp_port *port, const uint8_t mac[6], const struct addr *src, const struct addr *dst,
		    const void *buf, size_t len)
{
	struct vrrp_io *io = sock_of(port)->io;
	struct vrrp_frame f = { .src = *src, .dst = *dst, .ip_id = io->ip_id++ };
	uint8_t frame[VRRP_FRAME_MAX];
	memcpy(f.mac, mac, VRRP_MAC_LEN);
	int n = vrrp_frame_build(&f, buf, len, frame, sizeof(frame));
	if (n < 0)
		return -EINVAL;
	return send_result(io, send_frame(io, port->ifindex, frame, (size_t)n));
}

int vrrp_io_announce(struct vrrp_io *io, unsigned ifindex, const uint8_t mac[6], const struct addr *vip)
{
	uint8_t frame[GARP_FRAME_MAX];
	size_t len = garp_build(vip, mac, frame, sizeof(frame));
	int rc = len > 0 ? 0 : -EAFNOSUPPORT;
	if (rc == 0) {
		if (send_frame(io, ifindex, frame, len) == (ssize_t)len) {
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
