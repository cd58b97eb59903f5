#include "daemon/route_list.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include "daemon/rtnl_wire.h"

#define MSG_ROOM (32 * 1024)

static int keep(struct route_list *l, const uint8_t *msg, size_t len)
{
	if (l->cap - l->len < len) {
		size_t cap = l->cap ? l->cap * 2 : MSG_ROOM;
		uint8_t *more = cap <= ROUTE_LIST_MAX ? realloc(l->bytes, cap) : NULL;
		if (!more)
			return -ENOBUFS;
		l->bytes = more;
		l->cap = cap;
	}
	memcpy(l->bytes + l->len, msg, len);
	l->len += len;
	return 0;
}

static bool is_ours(const struct rtnl_event *ev)
{
	if (ev->kind == RTNL_ROUTE_SET)
		return ev->route.proto == NET_MARK && !ev->route.cached;
	return ev->kind == RTNL_RULE_SET && ev->rule.proto == NET_MARK;
}

/* One datagram. 1: the dump goes on; 0: it is complete. */
static int take_some(struct route_list *l, const uint8_t *buf, size_t len)
{
	size_t used;
	for (size_t at = 0; at < len; at += used) {
		struct rtnl_event ev;
		enum rtnl_drop d = rtnl_wire_parse(buf + at, len - at, &ev, &used);
		if (d == RTNL_OK && (ev.kind == RTNL_DONE || ev.kind == RTNL_RESULT))
			return ev.err;
		if (d == RTNL_OK && ev.interrupted)
			return -EAGAIN;
		if (d != RTNL_OK || !is_ours(&ev)) {
			l->skipped++;
			continue;
		}
		int rc = keep(l, buf + at, used);
		if (rc < 0)
			return rc;
	}
	return 1;
}

static int dump(int fd, struct route_list *l, uint8_t af, bool rules)
{
	static _Thread_local uint8_t buf[MSG_ROOM];
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	uint8_t msg[RTNL_MSG_MAX];
	size_t len = rtnl_route_dump(msg, sizeof(msg), af, rules, 1);
	if (sendto(fd, msg, len, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	for (;;) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		int rc = take_some(l, buf, (size_t)n);
		if (rc <= 0)
			return rc;
	}
}

int route_list_take(void *ctx)
{
	struct route_list *l = ctx;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), on = 1, rc = 0;
	struct timeval wait = { .tv_sec = 1 };
	if (fd < 0)
		return -errno;
	/* Without it (Linux 4.20) the kernel ignores the protocol and sends all routes: they are skipped here. */
	setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	for (unsigned i = 0; i < 4 && rc == 0; i++) {
		rc = dump(fd, l, i & 1 ? ADDR_V6 : ADDR_V4, i >= 2);
		if ((rc == -EAFNOSUPPORT || rc == -EOPNOTSUPP) && (i & 1 || i >= 2))
			rc = 0; /* a kernel without IPv6 or without policy routing has none of these */
	}
	close(fd);
	return rc;
}

void route_list_free(struct route_list *l)
{
	free(l->bytes);
	*l = (struct route_list){ 0 };
}

void route_list_tell(const struct route_list *l, struct netstate *ns)
{
	size_t used;
	for (size_t at = 0; at < l->len; at += used) {
		struct rtnl_event ev;
		if (rtnl_wire_parse(l->bytes + at, l->len - at, &ev, &used) != RTNL_OK)
			continue;
		if (ev.kind == RTNL_ROUTE_SET)
			netstate_route_seen(ns, &ev.route, false, true);
		else if (ev.kind == RTNL_RULE_SET)
			netstate_rule_seen(ns, &ev.rule, false, true);
	}
}
