#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/rtnl_wire.h"
#include "tests/netns/rtnl_util.h"

static int nl_fd = -1;

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s (this test needs root)\n", what, strerror(errno));
	exit(1);
}

static void sysctl_write(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);
	need(fd >= 0 && write(fd, value, strlen(value)) > 0, path);
	close(fd);
}

void rtnl_util_enter(void)
{
	need(unshare(CLONE_NEWNET) == 0, "a network namespace of its own");
	nl_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	need(nl_fd >= 0, "a route socket");
	sysctl_write("/proc/sys/net/ipv6/conf/default/addr_gen_mode", "1");
	sysctl_write("/proc/sys/net/ipv4/conf/all/promote_secondaries", "0");
	sysctl_write("/proc/sys/net/ipv4/conf/default/promote_secondaries", "0");
	need(rtnl_util_link_up("lo", true) == 0, "lo up");
}

int rtnl_util_request(const uint8_t *msg, size_t len)
{
	uint8_t buf[8192];
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	need(sendto(nl_fd, msg, len, 0, (struct sockaddr *)&to, sizeof(to)) == (ssize_t)len, "send to the kernel");
	for (;;) {
		ssize_t n = recv(nl_fd, buf, sizeof(buf), 0);
		need(n > 0, "answer of the kernel");
		struct rtnl_event ev;
		size_t used;
		if (rtnl_wire_parse(buf, (size_t)n, &ev, &used) == RTNL_OK && ev.kind == RTNL_RESULT)
			return ev.err;
	}
}

struct builder {
	_Alignas(4) uint8_t buf[512];
	size_t len;
};

static struct nlmsghdr *begin(struct builder *b, uint16_t type, uint16_t flags)
{
	memset(b, 0, sizeof(*b));
	struct nlmsghdr *h = (struct nlmsghdr *)(void *)b->buf;
	h->nlmsg_type = type;
	h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	b->len = NLMSG_HDRLEN;
	return h;
}

static size_t attr(struct builder *b, uint16_t type, const void *data, size_t n)
{
	size_t at = b->len;
	struct nlattr *a = (struct nlattr *)(void *)(b->buf + at);
	a->nla_type = type;
	a->nla_len = (uint16_t)(NLA_HDRLEN + n);
	if (n)
		memcpy(b->buf + at + NLA_HDRLEN, data, n);
	b->len += NLA_HDRLEN + NLA_ALIGN(n);
	return at;
}

static void nest_end(struct builder *b, size_t at)
{
	struct nlattr *a = (struct nlattr *)(void *)(b->buf + at);
	a->nla_len = (uint16_t)(b->len - at);
}

static int finish(struct builder *b)
{
	struct nlmsghdr *h = (struct nlmsghdr *)(void *)b->buf;
	h->nlmsg_len = (uint32_t)b->len;
	return rtnl_util_request(b->buf, b->len);
}

static void link_header(struct builder *b, uint16_t type, uint16_t flags, int index, bool set_up, bool up)
{
	begin(b, type, flags);
	struct ifinfomsg ifi = { .ifi_index = index, .ifi_flags = up ? 1 : 0, .ifi_change = set_up ? 1 : 0 };
	memcpy(b->buf + b->len, &ifi, sizeof(ifi));
	b->len += NLMSG_ALIGN(sizeof(ifi));
}

int rtnl_util_pair(const char *a, const char *peer)
{
	struct builder b;
	struct ifinfomsg ifi = { 0 };
	link_header(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, false, false);
	attr(&b, IFLA_IFNAME, a, strlen(a) + 1);
	size_t info = attr(&b, IFLA_LINKINFO, NULL, 0);
	attr(&b, IFLA_INFO_KIND, "veth", 4);
	size_t data = attr(&b, IFLA_INFO_DATA, NULL, 0);
	size_t inner = attr(&b, VETH_INFO_PEER, &ifi, sizeof(ifi));
	attr(&b, IFLA_IFNAME, peer, strlen(peer) + 1);
	nest_end(&b, inner);
	nest_end(&b, data);
	nest_end(&b, info);
	return finish(&b);
}

int rtnl_util_link_del(const char *name)
{
	struct builder b;
	link_header(&b, RTM_DELLINK, 0, 0, false, false);
	attr(&b, IFLA_IFNAME, name, strlen(name) + 1);
	return finish(&b);
}

int rtnl_util_link_up(const char *name, bool up)
{
	struct builder b;
	link_header(&b, RTM_NEWLINK, 0, 0, true, up);
	attr(&b, IFLA_IFNAME, name, strlen(name) + 1);
	return finish(&b);
}

int rtnl_util_rename(const char *name, const char *to)
{
	struct netstate ns;
	struct builder b;
	need(netstate_init(&ns, true) == 0, "memory");
	rtnl_util_dump(&ns);
	const struct net_link *l = netstate_link_by_name(&ns, name);
	int index = l ? l->index : 0;
	netstate_free(&ns);
	if (!index)
		return -ENODEV;
	link_header(&b, RTM_NEWLINK, 0, index, false, false);
	attr(&b, IFLA_IFNAME, to, strlen(to) + 1);
	return finish(&b);
}

static int addr_request(const struct net_addr *a, uint16_t type, uint16_t flags)
{
	struct builder b;
	begin(&b, type, flags);
	bool v6 = a->addr.af == ADDR_V6;
	struct ifaddrmsg ifa = { .ifa_family = v6 ? AF_INET6 : AF_INET,
				 .ifa_prefixlen = a->plen,
				 .ifa_flags = (uint8_t)a->flags,
				 .ifa_index = (uint32_t)a->ifindex };
	memcpy(b.buf + b.len, &ifa, sizeof(ifa));
	b.len += NLMSG_ALIGN(sizeof(ifa));
	attr(&b, IFA_LOCAL, a->addr.b, addr_len(a->addr.af));
	attr(&b, IFA_ADDRESS, a->addr.b, addr_len(a->addr.af));
	if (a->proto)
		attr(&b, IFA_PROTO, &a->proto, 1);
	return finish(&b);
}

int rtnl_util_addr_add(const struct net_addr *a, uint16_t flags)
{
	return addr_request(a, RTM_NEWADDR, (uint16_t)(NLM_F_CREATE | flags));
}

int rtnl_util_addr_del(const struct net_addr *a)
{
	return addr_request(a, RTM_DELADDR, 0);
}

static void dump_half(struct netstate *ns, bool addresses)
{
	static uint8_t buf[65536];
	uint8_t msg[RTNL_MSG_MAX];
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	size_t len = rtnl_wire_dump(msg, sizeof(msg), addresses, 77);
	need(sendto(nl_fd, msg, len, 0, (struct sockaddr *)&to, sizeof(to)) == (ssize_t)len, "dump request");
	for (;;) {
		ssize_t n = recv(nl_fd, buf, sizeof(buf), 0);
		need(n > 0, "dump");
		size_t used;
		for (size_t at = 0; at < (size_t)n; at += used) {
			struct rtnl_event ev;
			need(rtnl_wire_parse(buf + at, (size_t)n - at, &ev, &used) == RTNL_OK,
			     "a message of the kernel");
			if (ev.kind == RTNL_DONE)
				return;
			if (ev.kind == RTNL_LINK_SET)
				netstate_link_set(ns, &ev.link);
			else if (ev.kind == RTNL_ADDR_SET)
				netstate_addr_set(ns, &ev.addr);
		}
	}
}

void rtnl_util_dump(struct netstate *ns)
{
	netstate_dump_begin(ns);
	dump_half(ns, false);
	dump_half(ns, true);
	netstate_dump_end(ns);
}
