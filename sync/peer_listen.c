/*
 * Strangers: a small fixed array. The plaintext first line is only peeked at until it is complete, so that not one byte
 * behind it is taken from the connection that is handed on.
 */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/fd.h"
#include "daemon/base/log.h"
#include "daemon/base/loop.h"
#include "sync/ossl.h"
#include "sync/peer_conn.h"
#include "sync/peer_hello.h"
#include "sync/peer_listen.h"

#define PAUSE_NS (100 * NS_PER_MS) /* when the system has no descriptor left for an accept */

enum { BACKLOG = 16, PREAMBLE_MAX = PEER_IDENTITY_MAX + 24, LOG_BURST = 5 };

struct stranger {
	struct peer_listen *p;
	int fd; /* -1: free */
	unsigned link;
	uint32_t source; /* node that the source address belongs to */
	SSL *ssl;
	struct peer_shake shake;
	struct loop_fd *lfd;
	struct loop_timer *deadline;
	char from[ADDR_TEXT_MAX];
};

struct listener {
	struct peer_listen *p;
	int fd; /* -1: free */
	unsigned link;
	struct loop_fd *lfd;
};

struct peer_listen {
	struct loop *loop;
	struct sync_conf conf;
	const struct peer_tls *tls;
	struct peer_listen_cb cb;
	void *arg;
	struct listener listeners[SYNC_LINKS_MAX];
	struct stranger strangers[PEER_STRANGERS_MAX];
	struct loop_timer *resume;
	struct peer_listen_stats st;
	struct log_rate rate;
};

static void refuse_note(struct peer_listen *p, const char *from, enum peer_why why, const char *text)
{
	unsigned held;
	p->st.refused[why]++;
	if (!log_rate_ok(&p->rate, LOG_BURST, &held))
		return;
	char more[40] = "";
	if (held)
		snprintf(more, sizeof(more), " (%u more not logged)", held);
	log_warn(LOG_SYNC, "connection from %s refused: %s%s%s%s", from, peer_why_text(why), text[0] ? ": " : "", text,
		 more);
}

/* Takes everything but fd and ssl away from the stranger. */
static void stranger_clear(struct stranger *s)
{
	loop_fd_free(s->lfd);
	loop_timer_free(s->deadline);
	s->lfd = NULL;
	s->deadline = NULL;
	s->ssl = NULL;
	s->fd = -1;
	s->p->st.strangers--;
}

static void stranger_refuse(struct stranger *s, enum peer_why why, const char *text)
{
	int fd = s->fd;
	SSL *ssl = s->ssl;
	refuse_note(s->p, s->from, why, text);
	stranger_clear(s);
	SSL_free(ssl);
	close(fd);
}

/* In the clear the reason can be told as a record. */
static void refuse_plain(struct stranger *s, enum peer_why why, const char *text)
{
	struct peer_msg m;
	uint8_t buf[512];
	peer_close_make(&m, why, text);
	int n = sync_msg_write(buf, sizeof(buf), s->p->conf.self, 0, &m);
	if (n > 0 && send(s->fd, buf, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) == n)
		shutdown(s->fd, SHUT_WR);
	char sink[PREAMBLE_MAX];
	while (recv(s->fd, sink, sizeof(sink), MSG_DONTWAIT) == (ssize_t)sizeof(sink))
		continue;
	stranger_refuse(s, why, text);
}

static void stranger_accept(struct stranger *s)
{
	struct peer_listen *p = s->p;
	int fd = s->fd;
	SSL *ssl = s->ssl;
	if (s->shake.node != s->source) {
		char text[96];
		snprintf(text, sizeof(text), "node %" PRIu32 " comes from an address of node %" PRIu32, s->shake.node,
			 s->source);
		if (ssl)
			stranger_refuse(s, PEER_WHY_SOURCE, text);
		else
			refuse_plain(s, PEER_WHY_SOURCE, text);
		return;
	}
	p->st.authenticated++;
	peer_sock_tune(fd, s->shake.data);
	unsigned link = s->link;
	uint32_t node = s->shake.node;
	bool data = s->shake.data;
	stranger_clear(s);
	p->cb.on_peer(p->arg, fd, ssl, node, link, data);
}

static void wake_above(int fd, int n)
{
	int want = n + 1;
	setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &want, sizeof(want));
}

/* First line of a plaintext connection: "ALPN identity\n". */
static void plain_pass(struct stranger *s)
{
	char buf[PREAMBLE_MAX], key_id[9], text[PEER_SHAKE_TEXT];
	ssize_t n = recv(s->fd, buf, sizeof(buf), MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		stranger_refuse(s, n == 0 ? PEER_WHY_EOF : PEER_WHY_LOST, "before the first line");
		return;
	}
	const char *nl = memchr(buf, '\n', (size_t)n);
	if (!nl) {
		if (buf[0] == 22 /* TLS handshake record */ || n == (ssize_t)sizeof(buf))
			refuse_plain(s, buf[0] == 22 ? PEER_WHY_NOT_TLS : PEER_WHY_MALFORMED,
				     "plaintext is configured here (insecure = true)");
		else
			wake_above(s->fd, (int)n); /* what was peeked at must not wake us again and again */
		return;
	}
	size_t line = (size_t)(nl - buf);
	const char *sp = memchr(buf, ' ', line);
	size_t word = sp ? (size_t)(sp - buf) : 0;
	s->shake.data = word == strlen(PEER_ALPN_DATA) && memcmp(buf, PEER_ALPN_DATA, word) == 0;
	if (!s->shake.data && !(word == strlen(PEER_ALPN_CTL) && memcmp(buf, PEER_ALPN_CTL, word) == 0)) {
		refuse_plain(s, buf[0] == 22 ? PEER_WHY_NOT_TLS : PEER_WHY_VERSION,
			     "the first line names no protocol of this version");
		return;
	}
	enum peer_why why =
	    peer_identity_check(&s->p->conf, sp + 1, line - word - 1, &s->shake.node, key_id, text, sizeof(text));
	if (why != PEER_WHY_UP) {
		refuse_plain(s, why, text);
		return;
	}
	if (recv(s->fd, buf, line + 1, MSG_DONTWAIT) != (ssize_t)line + 1) {
		stranger_refuse(s, PEER_WHY_LOST, "the first line vanished");
		return;
	}
	wake_above(s->fd, 0);
	stranger_accept(s);
}

static void tls_pass(struct stranger *s)
{
	enum peer_step step = peer_tls_step(s->ssl, &s->shake);
	switch (step) {
	case PEER_STEP_DONE:
		stranger_accept(s);
		break;
	case PEER_STEP_READ:
		loop_fd_set(s->lfd, LOOP_READ);
		break;
	case PEER_STEP_WRITE:
		loop_fd_set(s->lfd, LOOP_WRITE);
		break;
	case PEER_STEP_FAILED:
		stranger_refuse(s, s->shake.why, s->shake.text);
		break;
	}
}

static void on_stranger(void *arg, int fd, unsigned events)
{
	struct stranger *s = arg;
	(void)fd;
	(void)events;
	if (s->ssl)
		tls_pass(s);
	else
		plain_pass(s);
}

static void on_deadline(void *arg, mono_t deadline)
{
	(void)deadline;
	stranger_refuse(arg, PEER_WHY_TIMEOUT, "not authenticated within 1 s");
}

/* Node that owns this address on this link, 0: none. */
static uint32_t source_node(const struct sync_conf *conf, const struct addr *a, unsigned link)
{
	for (unsigned i = 0; i < conf->n_nodes; i++) {
		const struct sync_node_conf *n = &conf->nodes[i];
		if (n->id != conf->self && link < n->n_addrs && addr_eq(&n->addrs[link], a))
			return n->id;
	}
	return 0;
}

static void stranger_new(struct peer_listen *p, int fd, unsigned link, uint32_t source, const char *from)
{
	struct stranger *s = NULL;
	for (unsigned i = 0; i < PEER_STRANGERS_MAX && !s; i++)
		s = p->strangers[i].fd == -1 ? &p->strangers[i] : NULL;
	if (!s) {
		refuse_note(p, from, PEER_WHY_STRANGERS, "");
		close(fd);
		return;
	}
	*s = (struct stranger){ .p = p, .fd = fd, .link = link, .source = source };
	p->st.strangers++;
	snprintf(s->from, sizeof(s->from), "%s", from);
	peer_sock_tune(fd, false);
	s->lfd = loop_fd_new(p->loop, fd, LOOP_READ, LOOP_NORMAL, on_stranger, s);
	s->deadline = loop_timer_new(p->loop, LOOP_NORMAL, on_deadline, s);
	if (p->tls)
		s->ssl = peer_tls_begin(p->tls, &s->shake, false, fd);
	if (!s->lfd || !s->deadline || (p->tls && !s->ssl)) {
		stranger_refuse(s, PEER_WHY_ERROR, err_text(-ENOMEM));
		return;
	}
	loop_timer_set(s->deadline, mono_add(clock_mono(), PEER_STRANGER_NS));
}

static void on_listen(void *arg, int listen_fd, unsigned events)
{
	struct listener *li = arg;
	struct peer_listen *p = li->p;
	(void)events;
	for (unsigned i = 0; i < BACKLOG; i++) {
		struct sockaddr_storage sa;
		socklen_t n = sizeof(sa);
		struct addr a;
		char from[ADDR_TEXT_MAX];
		int fd = accept4(listen_fd, (struct sockaddr *)&sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd == -1 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
			refuse_note(p, "a peer", PEER_WHY_ERROR, err_text(-errno));
			loop_fd_set(li->lfd, 0);
			loop_timer_set(p->resume, mono_add(clock_mono(), PAUSE_NS));
			return;
		}
		if (fd == -1)
			return; /* EAGAIN, or a connection that ended already */
		p->st.accepted++;
		uint32_t source = peer_sockaddr_addr(&sa, &a) ? source_node(&p->conf, &a, li->link) : 0;
		addr_text(&a, from);
		if (source == 0) {
			refuse_note(p, from, PEER_WHY_SOURCE, "");
			close(fd);
			continue;
		}
		stranger_new(p, fd_raise(fd, FD_CHANNEL), li->link, source, from);
	}
}

static void on_resume(void *arg, mono_t deadline)
{
	struct peer_listen *p = arg;
	(void)deadline;
	for (unsigned i = 0; i < SYNC_LINKS_MAX; i++) {
		if (p->listeners[i].lfd)
			loop_fd_set(p->listeners[i].lfd, LOOP_READ);
	}
}

/* Written before threads exist, used by the first object. */
static int inherited[SYNC_LINKS_MAX];
static unsigned n_inherited;

void peer_listen_inherit(int fd)
{
	if (n_inherited < SYNC_LINKS_MAX)
		inherited[n_inherited++] = fd;
	else
		close(fd);
}

static int inherited_for(const struct sockaddr_storage *want, unsigned len)
{
	for (unsigned i = 0; i < n_inherited; i++) {
		struct sockaddr_storage sa = { 0 };
		socklen_t n = sizeof(sa);
		int fd = inherited[i];
		if (getsockname(fd, (struct sockaddr *)&sa, &n) != 0 || n != len || memcmp(&sa, want, len) != 0)
			continue;
		inherited[i] = inherited[--n_inherited];
		return fd;
	}
	return -1;
}

static int listen_fd(const struct addr *a, uint16_t port)
{
	struct sockaddr_storage sa;
	int one = 1;
	int fd = socket(a->af == ADDR_V6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -errno;
	unsigned n = peer_sockaddr(a, port, &sa);
	int kept = inherited_for(&sa, n);
	if (kept >= 0) {
		close(fd);
		return fd_raise(kept, FD_LISTENER);
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (a->af == ADDR_V6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)&sa, n) != 0 || listen(fd, BACKLOG) != 0) {
		int rc = -errno;
		close(fd);
		return rc;
	}
	return fd_raise(fd, FD_LISTENER);
}

static void listener_close(struct listener *li)
{
	loop_fd_free(li->lfd);
	li->lfd = NULL;
	if (li->fd != -1)
		close(li->fd);
	li->fd = -1;
}

static bool same_link(const struct sync_conf *a, const struct sync_conf *b, unsigned link)
{
	const struct sync_node_conf *x = sync_conf_node(a, a->self), *y = sync_conf_node(b, b->self);
	return x && y && a->port == b->port && link < x->n_addrs && link < y->n_addrs &&
	       addr_eq(&x->addrs[link], &y->addrs[link]);
}

int peer_listen_conf(struct peer_listen *p, const struct sync_conf *conf, const struct peer_tls *tls, char *err,
		     size_t err_len)
{
	struct listener now[SYNC_LINKS_MAX];
	const struct sync_node_conf *self = sync_conf_node(conf, conf->self);
	int rc = self ? 0 : -EINVAL;
	bool kept[SYNC_LINKS_MAX] = { false };
	for (unsigned i = 0; i < SYNC_LINKS_MAX; i++) {
		now[i] = (struct listener){ .p = p, .fd = -1, .link = i };
		kept[i] = p->listeners[i].fd != -1 && same_link(&p->conf, conf, i);
		if (rc != 0 || kept[i] || i >= self->n_addrs)
			continue;
		char text[ADDR_TEXT_MAX];
		now[i].fd = listen_fd(&self->addrs[i], conf->port);
		if (now[i].fd < 0) {
			rc = now[i].fd;
			now[i].fd = -1;
			snprintf(err, err_len, "cannot listen on %s port %u: %s", addr_text(&self->addrs[i], text),
				 conf->port, err_text(rc));
		}
	}
	for (unsigned i = 0; i < SYNC_LINKS_MAX && rc != 0; i++)
		listener_close(&now[i]);
	if (rc != 0)
		return rc;
	for (unsigned i = 0; i < PEER_STRANGERS_MAX; i++) {
		if (p->strangers[i].fd != -1) /* their handshake uses the old keys */
			stranger_refuse(&p->strangers[i], PEER_WHY_LOCAL, "the configuration changed");
	}
	p->conf = *conf;
	p->tls = tls;
	for (unsigned i = 0; i < SYNC_LINKS_MAX; i++) {
		if (kept[i])
			continue;
		listener_close(&p->listeners[i]);
		p->listeners[i] = now[i];
		if (now[i].fd == -1)
			continue;
		struct listener *li = &p->listeners[i];
		li->lfd = loop_fd_new(p->loop, li->fd, LOOP_READ, LOOP_NORMAL, on_listen, li);
		if (!li->lfd)
			listener_close(li);
	}
	return 0;
}

struct peer_listen *peer_listen_new(struct loop *l, const struct sync_conf *conf, const struct peer_tls *tls,
				    const struct peer_listen_cb *cb, void *arg, char *err, size_t err_len)
{
	struct peer_listen *p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->loop = l;
	p->cb = *cb;
	p->arg = arg;
	for (unsigned i = 0; i < SYNC_LINKS_MAX; i++)
		p->listeners[i] = (struct listener){ .p = p, .fd = -1 };
	for (unsigned i = 0; i < PEER_STRANGERS_MAX; i++)
		p->strangers[i].fd = -1;
	p->resume = loop_timer_new(l, LOOP_NORMAL, on_resume, p);
	int rc = p->resume ? peer_listen_conf(p, conf, tls, err, err_len) : -ENOMEM;
	while (n_inherited)
		close(inherited[--n_inherited]);
	if (rc != 0) {
		loop_timer_free(p->resume);
		free(p);
		return NULL;
	}
	return p;
}

int peer_listen_copy(const struct peer_listen *p, unsigned link)
{
	int fd = link < SYNC_LINKS_MAX ? p->listeners[link].fd : -1;
	return fd == -1 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, FD_LISTENER);
}

void peer_listen_free(struct peer_listen *p)
{
	if (!p)
		return;
	for (unsigned i = 0; i < PEER_STRANGERS_MAX; i++) {
		struct stranger *s = &p->strangers[i];
		if (s->fd == -1)
			continue;
		int fd = s->fd;
		SSL *ssl = s->ssl;
		stranger_clear(s);
		SSL_free(ssl);
		close(fd);
	}
	for (unsigned i = 0; i < SYNC_LINKS_MAX; i++)
		listener_close(&p->listeners[i]);
	loop_timer_free(p->resume);
	free(p);
}

const struct peer_listen_stats *peer_listen_stats(const struct peer_listen *p)
{
	return &p->st;
}

void peer_listen_stats_clear(struct peer_listen *p)
{
	p->st = (struct peer_listen_stats){ .strangers = p->st.strangers };
}
