/* Routers that find each other on conntrackd's multicast group. */
#include "daemon/dropin/ctd_find.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/log.h"

#define FAST_NS  (200 * NS_PER_MS) /* at first; then SLOW_NS */
#define SLOW_NS  NS_PER_SEC
#define FAST_N   10
#define READ_MAX 32

struct find_link {
	struct ctd_find *f;
	int fd; /* -1: not open */
	struct loop_fd *on_fd;
	bool told; /* that it is not open */
};

struct ctd_find {
	struct loop *loop;
	void (*fn)(void *arg);
	void *arg;
	struct loop_timer *timer;
	struct dconf_proc proc;
	struct dconf_peer self;
	struct find_link link[SYNC_LINKS_MAX];
	struct dconf_found found;
	unsigned sent;
	bool crowd_told;
};

size_t ctd_find_encode(const struct dconf_peer *p, uint16_t port, uint8_t out[CTD_FIND_BYTES])
{
	uint8_t *at = out + 5;

	memcpy(out, "KTF1", 4);
	out[4] = p->n_addrs;
	for (unsigned i = 0; i < p->n_addrs; i++, at += 17) {
		at[0] = p->addrs[i].af;
		memcpy(at + 1, p->addrs[i].b, 16);
	}
	*at++ = (uint8_t)(port >> 8);
	*at++ = (uint8_t)port;
	return (size_t)(at - out);
}

bool ctd_find_decode(const uint8_t *buf, size_t len, struct dconf_peer *p, uint16_t *port)
{
	*p = (struct dconf_peer){ 0 };
	if (len < 5 || memcmp(buf, "KTF1", 4) != 0 || buf[4] < 1 || buf[4] > SYNC_LINKS_MAX ||
	    len != 5 + 17u * buf[4] + 2)
		return false;
	for (unsigned i = 0; i < buf[4]; i++) {
		const uint8_t *at = buf + 5 + 17 * i;
		if (at[0] != ADDR_V4 && at[0] != ADDR_V6)
			return false;
		p->addrs[i] = addr_from_bytes(at[0], at + 1);
	}
	p->n_addrs = buf[4];
	*port = (uint16_t)(buf[len - 2] << 8 | buf[len - 1]);
	return true;
}

/* ---- sockets ---- */

static socklen_t to_sockaddr(const struct addr *a, uint16_t port, unsigned scope, struct sockaddr_storage *ss)
{
	struct sockaddr_in *four = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	if (a->af == ADDR_V4) {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		memcpy(&four->sin_addr, a->b, 4);
		return sizeof(*four);
	}
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(port);
	six->sin6_scope_id = scope;
	memcpy(&six->sin6_addr, a->b, 16);
	return sizeof(*six);
}

static int set_up(int fd, const struct dconf_link *k, unsigned ifindex)
{
	struct sockaddr_storage ss;
	struct group_req join = { .gr_interface = ifindex };
	struct ip_mreqn mreq = { .imr_ifindex = (int)ifindex };
	int one = 1, zero = 0, ttl = 1;
	bool four = k->group.af == ADDR_V4;
	socklen_t len = to_sockaddr(&k->group, (uint16_t)k->port, ifindex, &ss);

	memcpy(&join.gr_group, &ss, sizeof(ss));
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&ss, len) < 0)
		return -errno;
	if (setsockopt(fd, four ? IPPROTO_IP : IPPROTO_IPV6, MCAST_JOIN_GROUP, &join, sizeof(join)) < 0)
		return -errno;
	int rc = four ? setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &mreq, sizeof(mreq)) |
			    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &zero, sizeof(zero)) |
			    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, sizeof(ttl))
		      : setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &ifindex, sizeof(ifindex)) |
			    setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &zero, sizeof(zero));
	return rc < 0 ? -errno : 0;
}

static void link_close(struct find_link *k)
{
	loop_fd_free(k->on_fd);
	k->on_fd = NULL;
	if (k->fd >= 0)
		close(k->fd);
	k->fd = -1;
}

static bool is_known(const struct ctd_find *f, const struct dconf_peer *p)
{
	for (unsigned i = 0; i < f->found.n; i++)
		if (addr_eq(&f->found.peer[i].addrs[0], &p->addrs[0]))
			return true;
	return addr_eq(&f->self.addrs[0], &p->addrs[0]);
}

static void heard(struct ctd_find *f, const struct dconf_peer *p, uint16_t port)
{
	char text[ADDR_TEXT_MAX];

	if (port != f->proc.links[0].port || p->n_addrs != f->self.n_addrs || is_known(f, p))
		return;
	if (f->found.n == SYNC_NODES_MAX - 1) {
		if (!f->crowd_told)
			log_warn(LOG_SYNC, "router %s is the fifth on the multicast group: at most %u work together",
				 addr_text(&p->addrs[0], text), SYNC_NODES_MAX);
		f->crowd_told = true;
		return;
	}
	f->found.peer[f->found.n++] = *p;
	log_notice(LOG_SYNC, "router %s was heard on the multicast group", addr_text(&p->addrs[0], text));
	f->fn(f->arg);
}

static void on_datagram(void *arg, int fd, unsigned events)
{
	struct find_link *k = arg;
	uint8_t buf[CTD_FIND_BYTES + 1];
	struct dconf_peer p;
	uint16_t port;

	(void)events;
	for (unsigned i = 0; i < READ_MAX; i++) {
		ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0)
			return;
		if (ctd_find_decode(buf, (size_t)n, &p, &port))
			heard(k->f, &p, port);
	}
}

/* Again and again, because the interface may come later. */
static void link_open(struct find_link *k, const struct dconf_link *conf)
{
	unsigned ifindex = if_nametoindex(conf->ifname);
	int rc = ifindex ? 0 : -ENODEV;

	if (rc == 0)
		k->fd = socket(conf->group.af == ADDR_V4 ? AF_INET : AF_INET6,
			       SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (rc == 0)
		rc = k->fd < 0 ? -errno : set_up(k->fd, conf, ifindex);
	if (rc == 0)
		k->on_fd = loop_fd_new(k->f->loop, k->fd, LOOP_READ, LOOP_NORMAL, on_datagram, k);
	if (rc == 0 && k->on_fd) {
		k->told = false;
		return;
	}
	link_close(k);
	if (!k->told)
		log_warn(LOG_SYNC, "interface %s: the multicast group cannot be used (%s); it is tried again",
			 conf->ifname, strerror(rc ? -rc : ENOMEM));
	k->told = true;
}

static void speak(struct ctd_find *f)
{
	uint8_t buf[CTD_FIND_BYTES];
	size_t len = ctd_find_encode(&f->self, (uint16_t)f->proc.links[0].port, buf);

	for (unsigned i = 0; i < f->proc.n_links; i++) {
		const struct dconf_link *conf = &f->proc.links[i];
		struct find_link *k = &f->link[i];
		struct sockaddr_storage ss;
		if (k->fd < 0)
			link_open(k, conf);
		if (k->fd < 0)
			continue;
		socklen_t n = to_sockaddr(&conf->group, (uint16_t)conf->port, if_nametoindex(conf->ifname), &ss);
		if (sendto(k->fd, buf, len, MSG_DONTWAIT, (struct sockaddr *)&ss, n) < 0 && errno == ENODEV)
			link_close(k);
	}
}

static void on_timer(void *arg, mono_t deadline)
{
	struct ctd_find *f = arg;

	(void)deadline;
	speak(f);
	loop_timer_set(f->timer, mono_add(clock_mono(), ++f->sent < FAST_N ? FAST_NS : SLOW_NS));
}

/* ---- life ---- */

struct ctd_find *ctd_find_new(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct ctd_find *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->loop = l;
	f->fn = fn;
	f->arg = arg;
	for (unsigned i = 0; i < SYNC_LINKS_MAX; i++)
		f->link[i] = (struct find_link){ .f = f, .fd = -1 };
	f->timer = loop_timer_new(l, LOOP_NORMAL, on_timer, f);
	if (!f->timer) {
		free(f);
		return NULL;
	}
	return f;
}

static bool same_links(const struct dconf_proc *a, const struct dconf_proc *b)
{
	bool same = a->looking == b->looking && a->n_links == b->n_links;

	for (unsigned i = 0; same && i < a->n_links; i++) {
		const struct dconf_link *x = &a->links[i], *y = &b->links[i];
		same = addr_eq(&x->own, &y->own) && addr_eq(&x->group, &y->group) && x->port == y->port &&
		       strcmp(x->ifname, y->ifname) == 0;
	}
	return same;
}

void ctd_find_update(struct ctd_find *f, const struct dconf_proc *p)
{
	static const struct dconf_proc none;

	if (!p || !p->looking)
		p = &none;
	if (same_links(&f->proc, p))
		return;
	for (unsigned i = 0; i < SYNC_LINKS_MAX; i++)
		link_close(&f->link[i]);
	f->proc = *p;
	f->found.n = 0;
	f->self.n_addrs = (uint8_t)p->n_links;
	for (unsigned i = 0; i < p->n_links; i++)
		f->self.addrs[i] = p->links[i].own;
	f->sent = 0;
	loop_timer_set(f->timer, p->looking ? clock_mono() : MONO_NEVER);
}

void ctd_find_know(struct ctd_find *f, const struct dconf_found *found)
{
	if (f->proc.looking)
		f->found = *found;
}

const struct dconf_found *ctd_find_found(const struct ctd_find *f)
{
	return &f->found;
}

void ctd_find_free(struct ctd_find *f)
{
	if (!f)
		return;
	for (unsigned i = 0; i < SYNC_LINKS_MAX; i++)
		link_close(&f->link[i]);
	loop_timer_free(f->timer);
	free(f);
}
