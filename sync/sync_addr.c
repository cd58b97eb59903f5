/*
 * This node's addresses, for "local" decisions, and the networks of interfaces that sync.ignore names: rtnetlink dump and events, non-blocking. An event starts a dump a few
 * milliseconds later, so that a burst (a role change moves many addresses) costs one walk. Losses are told at once: the
 * kernel removes masqueraded entries with the address or the link, and their ends must not be taken for expiry.
 */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "sync/sync_run.h"

enum { READ_BYTES = 32 << 10, RCVBUF = 1 << 20, LINKS_DOWN = 64 };
#define SETTLE_NS (5 * NS_PER_MS)
#define RETRY_NS  NS_PER_SEC

struct addr_watch {
	struct sync_run *run;
	int ev_fd, dump_fd;
	struct loop_fd *ev, *dump;
	struct loop_timer *timer;
	bool dumping, dirty, broken;
	uint32_t seq, n, n_nets;
	int down[LINKS_DOWN]; /* links that do not work, as far as they were seen: coming back they are no loss */
	unsigned n_down;
	struct addr addrs[SYNC_LOCAL_MAX];
	unsigned rule_index[SYNC_IGNORE_MAX]; /* interfaces of rules as the dump began; 0: none, or not there */
	bool nets_full;
	uint64_t idle_rules; /* rules whose interface has no network: said once */
	struct sync_net nets[SYNC_NETS_MAX];
	char buf[READ_BYTES] __attribute__((aligned(8)));
};

static void dump_later(struct addr_watch *w, int64_t ns)
{
	w->dirty = true;
	if (!w->dumping)
		loop_timer_set(w->timer, mono_add(clock_mono(), ns));
}

static void find_interfaces(struct addr_watch *w)
{
	const struct sync_conf *c = w->run->conf;
	w->n_nets = 0;
	w->nets_full = false;
	for (unsigned i = 0; i < SYNC_IGNORE_MAX; i++)
		w->rule_index[i] = i < c->n_ignore && c->ignore[i].ifname[0] ? if_nametoindex(c->ignore[i].ifname) : 0;
}

static void dump_start(struct addr_watch *w)
{
	struct {
		struct nlmsghdr h;
		struct ifaddrmsg a;
	} req = {
		.h = { .nlmsg_len = sizeof(req), .nlmsg_type = RTM_GETADDR, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP }
	};
	req.h.nlmsg_seq = ++w->seq;
	w->dirty = false;
	w->n = 0;
	w->broken = false;
	find_interfaces(w);
	if (send(w->dump_fd, &req, sizeof(req), MSG_DONTWAIT) == (ssize_t)sizeof(req)) {
		w->dumping = true;
		w->run->st.addr_dumps++;
	} else {
		dump_later(w, RETRY_NS);
	}
}

static void on_timer(void *arg, mono_t deadline)
{
	struct addr_watch *w = arg;
	(void)deadline;
	if (!w->dumping && w->dirty)
		dump_start(w);
}

/* A rule whose interface has no network matches nothing: that is said when it begins. */
static void warn_idle(struct addr_watch *w)
{
	const struct sync_conf *c = w->run->conf;
	uint64_t idle = 0;
	for (unsigned i = 0; i < c->n_ignore; i++) {
		uint64_t bit = UINT64_C(1) << i;
		if (c->ignore[i].ifname[0] == '\0' || sync_filter_nets(w->run->core, i) > 0)
			continue;
		idle |= bit;
		if (!(w->idle_rules & bit))
			log_notice(LOG_SYNC, "interface %s has no address: rule %u of sync.ignore matches nothing",
				   c->ignore[i].ifname, i + 1);
	}
	w->idle_rules = idle;
}

static void dump_end(struct addr_watch *w, bool good)
{
	w->dumping = false;
	if (!good) {
		dump_later(w, RETRY_NS);
		return;
	}
	int rc = sync_local_addrs(w->run->core, w->addrs, w->n, clock_mono());
	if (rc != 0)
		log_warn(LOG_SYNC, "own addresses are not taken over: %s", err_text(rc));
	rc = w->nets_full ? ERR_FULL : sync_local_nets(w->run->core, w->nets, w->n_nets);
	if (rc != 0)
		log_warn(LOG_SYNC, "networks of interfaces in sync.ignore are not taken over, %d are possible: %s",
			 SYNC_NETS_MAX, err_text(rc));
	warn_idle(w);
	drive_kick(w->run);
	if (w->dirty)
		dump_later(w, SETTLE_NS);
}

/* IFA_ADDRESS is the other end of a point-to-point address: that is what the interface leads to. */
static void take_net(struct addr_watch *w, unsigned index, const struct addr *a, uint8_t plen)
{
	const struct sync_conf *c = w->run->conf;
	if (addr_is_link_local(a) && a->af == ADDR_V6) /* of every interface, and never forwarded */
		return;
	for (unsigned i = 0; i < c->n_ignore; i++) {
		struct sync_net net = { .net = *a, .plen = plen };
		bool known = w->rule_index[i] != index || index == 0;
		memcpy(net.ifname, c->ignore[i].ifname, sizeof(net.ifname));
		for (uint32_t k = 0; !known && k < w->n_nets; k++)
			known = w->nets[k].plen == plen && addr_in_prefix(a, &w->nets[k].net, plen) &&
				strcmp(w->nets[k].ifname, net.ifname) == 0;
		if (known)
			continue;
		if (w->n_nets < SYNC_NETS_MAX)
			w->nets[w->n_nets++] = net;
		else
			w->nets_full = true;
	}
}

/* IFA_LOCAL is the own end of a point-to-point address; IPv6 has IFA_ADDRESS only. */
static void take_addr(struct addr_watch *w, const struct nlmsghdr *h)
{
	const struct ifaddrmsg *a = NLMSG_DATA(h);
	int left = (int)h->nlmsg_len - (int)NLMSG_LENGTH(sizeof(*a));
	const void *addr = NULL, *local = NULL;
	if (left < 0 || (a->ifa_family != AF_INET && a->ifa_family != AF_INET6))
		return;
	uint8_t af = a->ifa_family == AF_INET ? ADDR_V4 : ADDR_V6;
	for (const struct rtattr *t = IFA_RTA(a); RTA_OK(t, left); t = RTA_NEXT(t, left)) {
		if (RTA_PAYLOAD(t) < addr_len(af))
			continue;
		if (t->rta_type == IFA_LOCAL)
			local = RTA_DATA(t);
		else if (t->rta_type == IFA_ADDRESS)
			addr = RTA_DATA(t);
	}
	if (addr) {
		struct addr to = addr_from_bytes(af, addr);
		take_net(w, a->ifa_index, &to, a->ifa_prefixlen);
	}
	const void *own = local ? local : addr;
	if (own && w->n < SYNC_LOCAL_MAX)
		w->addrs[w->n++] = addr_from_bytes(af, own);
}

/* The next message of a datagram, NULL at its end. */
static const struct nlmsghdr *next_msg(const char **p, size_t *left)
{
	const struct nlmsghdr *h = (const void *)*p;
	if (*left < sizeof(*h) || h->nlmsg_len < sizeof(*h) || h->nlmsg_len > *left)
		return NULL;
	size_t step = NLMSG_ALIGN(h->nlmsg_len);
	step = step < *left ? step : *left;
	*p += step;
	*left -= step;
	return h;
}

static void on_dump(void *arg, int fd, unsigned events)
{
	struct addr_watch *w = arg;
	(void)events;
	for (unsigned i = 0; i < 8; i++) {
		ssize_t n = recv(fd, w->buf, sizeof(w->buf), MSG_DONTWAIT);
		if (n <= 0) {
			if (n < 0 && errno != EAGAIN && errno != EINTR && w->dumping)
				dump_end(w, false);
			return;
		}
		const char *at = w->buf;
		const struct nlmsghdr *h;
		size_t left = (size_t)n;
		while ((h = next_msg(&at, &left)) != NULL) {
			if (h->nlmsg_seq != w->seq || !w->dumping)
				continue;
			w->broken = w->broken || (h->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
			if (h->nlmsg_type == RTM_NEWADDR)
				take_addr(w, h);
			else if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
				dump_end(w, h->nlmsg_type == NLMSG_DONE && !w->broken);
		}
	}
}

/* A link says how it is; true when it works no more. Of more than LINKS_DOWN each word of a broken one counts. */
static bool link_lost(struct addr_watch *w, const struct ifinfomsg *link, bool gone)
{
	bool works = gone || (link->ifi_flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING);
	unsigned i = 0;

	while (i < w->n_down && w->down[i] != link->ifi_index)
		i++;
	bool was_down = i < w->n_down;
	if (works && was_down)
		w->down[i] = w->down[--w->n_down];
	else if (!works && !was_down && w->n_down < LINKS_DOWN)
		w->down[w->n_down++] = link->ifi_index;
	return gone || (!works && !was_down);
}

static void on_event(void *arg, int fd, unsigned events)
{
	struct addr_watch *w = arg;
	bool lost = false;
	(void)events;
	for (unsigned i = 0; i < 8; i++) {
		ssize_t n = recv(fd, w->buf, sizeof(w->buf), MSG_DONTWAIT);
		if (n < 0 && errno == ENOBUFS) { /* what was missed may have been a loss; the dump tells the rest */
			lost = true;
			continue;
		}
		if (n <= 0)
			break;
		const char *at = w->buf;
		const struct nlmsghdr *h;
		size_t left = (size_t)n;
		while ((h = next_msg(&at, &left)) != NULL) {
			const struct ifinfomsg *link = NLMSG_DATA(h);
			bool gone = h->nlmsg_type == RTM_DELLINK;
			if (h->nlmsg_type == RTM_DELADDR)
				lost = true;
			else if ((gone || h->nlmsg_type == RTM_NEWLINK) && h->nlmsg_len >= NLMSG_LENGTH(sizeof(*link)))
				lost |= link_lost(w, link, gone);
		}
	}
	if (lost)
		sync_net_lost(w->run->core, clock_mono());
	dump_later(w, SETTLE_NS);
}

static int open_route(unsigned groups)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK, .nl_groups = groups };
	int size = RCVBUF;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (fd == -1)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	close(fd);
	return -1;
}

struct addr_watch *addr_watch_new(struct sync_run *r)
{
	struct addr_watch *w = calloc(1, sizeof(*w));
	if (!w) {
		errno = ENOMEM;
		return NULL;
	}
	w->run = r;
	w->ev_fd = open_route(RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_LINK);
	w->dump_fd = open_route(0);
	if (w->ev_fd != -1 && w->dump_fd != -1) {
		w->ev = loop_fd_new(r->loop, w->ev_fd, LOOP_READ, LOOP_LATENCY, on_event, w);
		w->dump = loop_fd_new(r->loop, w->dump_fd, LOOP_READ, LOOP_NORMAL, on_dump, w);
		w->timer = loop_timer_new(r->loop, LOOP_NORMAL, on_timer, w);
	}
	if (!w->ev || !w->dump || !w->timer) {
		int err = errno ? errno : ENOMEM;
		addr_watch_free(w);
		errno = err;
		return NULL;
	}
	dump_start(w);
	return w;
}

void addr_watch_again(struct addr_watch *w)
{
	if (w)
		dump_later(w, 0);
}

void addr_watch_free(struct addr_watch *w)
{
	if (!w)
		return;
	loop_fd_free(w->ev);
	loop_fd_free(w->dump);
	loop_timer_free(w->timer);
	if (w->ev_fd != -1)
		close(w->ev_fd);
	if (w->dump_fd != -1)
		close(w->dump_fd);
	free(w);
}
