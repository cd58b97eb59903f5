#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "daemon/base/log.h"
#include "daemon/base/loop.h"
#include "daemon/rtnl_io.h"

#define RCVBUF   (4 << 20)   /* a burst of some thousand address events */
#define MSG_ROOM (32 * 1024) /* the kernel fills dump messages up to this size */

/* A dump asks for the links first, for the addresses when those are complete: an address always finds its link. */
enum dump { DUMP_NONE = 0, DUMP_LINKS, DUMP_ADDRS };

struct rtnl_io {
	struct loop *loop;
	struct netstate *ns;
	rtnl_io_fn fn;
	void *arg;
	int fd;
	struct loop_fd *lfd;
	enum dump dump;
	uint32_t dump_seq;
	bool again;  /* something was lost since the running dump began */
	bool failed; /* the request could not be sent: try with the next burst */
	struct rtnl_io_stats stats;
	uint8_t buf[MSG_ROOM];
};

static void request(struct rtnl_io *io, enum dump what)
{
	uint8_t msg[RTNL_MSG_MAX];
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	io->dump = what;
	size_t len = rtnl_wire_dump(msg, sizeof(msg), what == DUMP_ADDRS, ++io->dump_seq);
	ssize_t n = sendto(io->fd, msg, len, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to));
	if (n >= 0)
		return;
	/* EBUSY: the kernel still delivers a former dump of this socket. */
	log_debug(LOG_NET, "route socket: dump request: %s", strerror(errno));
	io->dump = DUMP_NONE;
	io->failed = true;
}

static void dump_begin(struct rtnl_io *io)
{
	io->again = io->failed = false;
	io->stats.dumps++;
	netstate_dump_begin(io->ns);
	request(io, DUMP_LINKS);
}

void rtnl_io_dump(struct rtnl_io *io)
{
	if (io->dump == DUMP_NONE)
		dump_begin(io);
	else
		io->again = true;
}

static void overrun(struct rtnl_io *io)
{
	static struct log_rate rate;
	unsigned held = 0;
	io->stats.overruns++;
	io->ns->routes_wanted = true;
	if (log_rate_ok(&rate, 1, &held))
		log_warn(LOG_NET,
			 "route socket: the kernel dropped events; asking for everything again (%u more times)", held);
	rtnl_io_dump(io);
}

static void dump_done(struct rtnl_io *io, const struct rtnl_event *ev)
{
	if (ev->seq != io->dump_seq || io->dump == DUMP_NONE)
		return;
	if (ev->err < 0) {
		log_warn(LOG_NET, "route socket: the dump ended with %s; asking again", strerror(-ev->err));
		io->again = true;
	}
	if (io->again) {
		dump_begin(io);
	} else if (io->dump == DUMP_LINKS) {
		request(io, DUMP_ADDRS);
	} else {
		io->dump = DUMP_NONE;
		netstate_dump_end(io->ns);
	}
}

static void take(struct rtnl_io *io, const struct rtnl_event *ev)
{
	if (ev->interrupted && ev->seq == io->dump_seq && !io->again) {
		io->stats.interrupted++;
		io->again = true;
	}
	switch (ev->kind) {
	case RTNL_LINK_SET:
		netstate_link_set(io->ns, &ev->link);
		break;
	case RTNL_LINK_GONE:
		netstate_link_gone(io->ns, ev->link.index);
		break;
	case RTNL_ADDR_SET:
		netstate_addr_set(io->ns, &ev->addr);
		break;
	case RTNL_ADDR_GONE:
		netstate_addr_gone(io->ns, &ev->addr);
		break;
	case RTNL_DONE:
	case RTNL_RESULT: /* an error answer to the request */
		dump_done(io, ev);
		break;
	case RTNL_OVERRUN:
		overrun(io);
		break;
	case RTNL_ROUTE_SET:
	case RTNL_ROUTE_GONE:
		netstate_route_seen(io->ns, &ev->route, ev->kind == RTNL_ROUTE_GONE, false);
		break;
	case RTNL_RULE_SET:
	case RTNL_RULE_GONE:
		netstate_rule_seen(io->ns, &ev->rule, ev->kind == RTNL_RULE_GONE, false);
		break;
	case RTNL_OTHER:
		break;
	}
}

static void take_all(struct rtnl_io *io, size_t len)
{
	size_t used;
	for (size_t at = 0; at < len; at += used) {
		struct rtnl_event ev;
		enum rtnl_drop d = rtnl_wire_parse(io->buf + at, len - at, &ev, &used);
		io->stats.messages++;
		io->stats.drops[d]++;
		if (d == RTNL_OK)
			take(io, &ev);
	}
}

/* One datagram; false when there is none left. */
static bool receive(struct rtnl_io *io)
{
	struct sockaddr_nl from = { 0 };
	struct iovec iov = { io->buf, sizeof(io->buf) };
	struct msghdr m = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n = recvmsg(io->fd, &m, MSG_DONTWAIT);
	if (n < 0 && errno == ENOBUFS) {
		overrun(io);
		return true;
	}
	if (n < 0)
		return errno == EINTR;
	if (from.nl_pid != 0)
		return true; /* only the kernel speaks here */
	if (m.msg_flags & MSG_TRUNC)
		overrun(io); /* never with MSG_ROOM; if so, part of the truth is missing */
	take_all(io, (size_t)n);
	return true;
}

static void on_read(void *arg, int fd, unsigned events)
{
	struct rtnl_io *io = arg;
	struct loop_budget b = loop_budget(LOOP_BUDGET_MSGS, LOOP_BUDGET_NS);
	(void)fd;
	(void)events;
	while (receive(io) && !loop_budget_spent(&b))
		;
	if (io->failed)
		dump_begin(io);
	io->stats.bursts++;
	io->fn(io->arg);
}

/*
 * Routes of others must not wake this thread: a routing daemon may flush a hundred thousand of them. The filter runs in
 * whoever changes them. Messages about routes pass when their protocol is ours, all others pass. A message is in host
 * order and classic BPF loads in network order.
 */
static int attach_filter(int fd)
{
	enum {
		TYPE = offsetof(struct nlmsghdr, nlmsg_type),
		PROTO = NLMSG_HDRLEN + offsetof(struct rtmsg, rtm_protocol)
	};
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, TYPE),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWROUTE), 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELROUTE), 0, 2),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, PROTO),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NET_MARK, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(*code), code };
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}

static int open_socket(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (fd < 0)
		return -1;
	int size = RCVBUF;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	struct sockaddr_nl me = { .nl_family = AF_NETLINK,
				  .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
					       RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_RULE |
					       1u << (RTNLGRP_IPV6_RULE - 1) };
	if (attach_filter(fd) == 0 && bind(fd, (struct sockaddr *)&me, sizeof(me)) == 0)
		return fd;
	int err = errno;
	close(fd);
	errno = err;
	return -1;
}

struct rtnl_io *rtnl_io_new(struct loop *l, struct netstate *ns, rtnl_io_fn fn, void *arg)
{
	struct rtnl_io *io = calloc(1, sizeof(*io));
	if (!io)
		return NULL;
	io->loop = l;
	io->ns = ns;
	io->fn = fn;
	io->arg = arg;
	io->fd = open_socket();
	if (io->fd >= 0)
		io->lfd = loop_fd_new(l, io->fd, LOOP_READ, LOOP_NORMAL, on_read, io);
	if (!io->lfd) {
		int err = errno;
		rtnl_io_free(io);
		errno = err;
		return NULL;
	}
	dump_begin(io);
	return io;
}

void rtnl_io_free(struct rtnl_io *io)
{
	if (!io)
		return;
	loop_fd_free(io->lfd);
	if (io->fd >= 0)
		close(io->fd);
	free(io);
}

const struct rtnl_io_stats *rtnl_io_stats(const struct rtnl_io *io)
{
	return &io->stats;
}

bool rtnl_io_marks_supported(void)
{
	struct utsname u;
	unsigned major = 0, minor = 0;
	if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &major, &minor) != 2)
		return false;
	return major > 5 || (major == 5 && minor >= 18);
}
