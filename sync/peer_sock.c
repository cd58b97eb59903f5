/*
 * Socket options and addresses of the channel: parts of peer_conn.h that know the system's structures.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/base/fd.h"
#include "sync/peer_conn.h"
#include "sync/peer_link.h"

enum {
	USER_TIMEOUT_CTL_MS = 1000,
	USER_TIMEOUT_DATA_MS = 3000,
	DATA_SNDBUF = 128 << 10,       /* at most this much history waits in TCP ... */
	DATA_NOTSENT_LOWAT = 32 << 10, /* ... of which this much was not even sent */
};

unsigned peer_sockaddr(const struct addr *a, uint16_t port, void *out)
{
	memset(out, 0, sizeof(struct sockaddr_storage));
	if (a->af == ADDR_V6) {
		struct sockaddr_in6 *s6 = out;
		s6->sin6_family = AF_INET6;
		s6->sin6_port = htons(port);
		memcpy(&s6->sin6_addr, a->b, 16);
		return sizeof(*s6);
	}
	struct sockaddr_in *s4 = out;
	s4->sin_family = AF_INET;
	s4->sin_port = htons(port);
	memcpy(&s4->sin_addr, a->b, 4);
	return sizeof(*s4);
}

bool peer_sockaddr_addr(const void *sa, struct addr *out)
{
	const struct sockaddr *s = sa;
	if (s->sa_family == AF_INET)
		*out = addr_from_bytes(ADDR_V4, &((const struct sockaddr_in *)sa)->sin_addr);
	else if (s->sa_family == AF_INET6)
		*out = addr_from_bytes(ADDR_V6, &((const struct sockaddr_in6 *)sa)->sin6_addr);
	else
		return false;
	return true;
}

static void set_int(int fd, int level, int option, int value)
{
	/* An option that this kernel lacks costs latency or detection time, not correctness. */
	(void)setsockopt(fd, level, option, &value, sizeof(value));
}

void peer_sock_tune(int fd, bool data)
{
	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, data ? USER_TIMEOUT_DATA_MS : USER_TIMEOUT_CTL_MS);
	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, 1);
	set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, 1);
	set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
	set_int(fd, IPPROTO_IP, IP_TOS, 0xc0); /* CS6: network control */
	set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, 0xc0);
	if (data) {
		set_int(fd, SOL_SOCKET, SO_SNDBUF, DATA_SNDBUF);
		set_int(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, DATA_NOTSENT_LOWAT);
	}
}

int peer_sock_connect(const struct addr *from, const struct addr *to, uint16_t port, bool data)
{
	struct sockaddr_storage sa;
	int fd = socket(to->af == ADDR_V6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	fd = fd_raise(fd, FD_CHANNEL);
	if (fd == -1)
		return -errno;
	peer_sock_tune(fd, data);
	set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	unsigned n = peer_sockaddr(from, 0, &sa);
	int rc = bind(fd, (const struct sockaddr *)&sa, n);
	if (rc == 0) {
		n = peer_sockaddr(to, port, &sa);
		rc = connect(fd, (const struct sockaddr *)&sa, n);
	}
	if (rc == 0 || errno == EINPROGRESS)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

enum peer_why peer_connect_why(int err)
{
	switch (err) {
	case 0:
		return PEER_WHY_UP;
	case ECONNREFUSED:
	case ECONNRESET:
		return PEER_WHY_REFUSED;
	case ETIMEDOUT:
		return PEER_WHY_TIMEOUT;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EADDRNOTAVAIL:
	case ENETDOWN:
	case EHOSTDOWN:
	case EACCES:
		return PEER_WHY_UNREACHABLE;
	default:
		return PEER_WHY_ERROR;
	}
}

const struct sync_node_conf *sync_conf_node(const struct sync_conf *c, uint32_t id)
{
	for (unsigned i = 0; i < c->n_nodes; i++) {
		if (c->nodes[i].id == id)
			return &c->nodes[i];
	}
	return NULL;
}

int peer_link_of(const struct sync_conf *conf, int fd)
{
	struct sockaddr_storage sa;
	socklen_t n = sizeof(sa);
	struct addr own;
	const struct sync_node_conf *self = sync_conf_node(conf, conf->self);
	if (!self || getsockname(fd, (struct sockaddr *)&sa, &n) != 0 || !peer_sockaddr_addr(&sa, &own))
		return -ENOENT;
	for (int i = 0; i < self->n_addrs; i++) {
		if (addr_eq(&self->addrs[i], &own))
			return i;
	}
	return -ENOENT;
}
