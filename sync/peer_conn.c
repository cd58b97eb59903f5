/*
 * A bare non-blocking SSL object on loop_fd. `busy` counts frames of this object on the stack: peer_conn_free inside a
 * callback closes at once and leaves the memory to the outermost frame.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/require.h"
#include "sync/ossl.h"
#include "sync/peer_conn.h"

enum state { ST_CONNECTING = 0, ST_SHAKING, ST_OPEN, ST_DOWN };

enum {
	RX_CTL = 2 * SYNC_CTL_MAX,
	RX_DATA = 8 * SYNC_DATA_MAX,
	TX_CTL = 16 * SYNC_CTL_MAX,
	TX_DATA = 4 * SYNC_DATA_MAX,
	PASS_RECORDS = 256,
};
#define PASS_NS (500 * NS_PER_US)

struct peer_conn {
	struct loop *loop;
	enum state state;
	bool data, doomed, again_armed, want_room, paused, draining;
	unsigned busy;
	int fd;
	SSL *ssl;
	struct peer_shake shake;
	struct loop_fd *lfd;
	struct loop_timer *deadline; /* of connect and handshake */
	struct loop_timer *again;    /* zero delay: the budget ended, or a send failed */
	struct peer_conn_cb cb;
	void *arg;
	struct sync_wire_stats *wire;
	struct peer_conn_stats st;
	enum peer_why fail; /* of a send; reported from the loop */
	char fail_text[PEER_SHAKE_TEXT];
	uint8_t *rx, *tx;
	size_t rx_cap, rx_off, rx_len, tx_cap, tx_off, tx_len;
	char preamble[PEER_IDENTITY_MAX + 24]; /* plaintext dialler */
};

static void conn_release(struct peer_conn *c)
{
	if (c->busy > 0)
		return;
	free(c->rx);
	free(c->tx);
	free(c);
}

static void conn_close(struct peer_conn *c)
{
	loop_fd_free(c->lfd);
	loop_timer_free(c->deadline);
	loop_timer_free(c->again);
	c->lfd = NULL;
	c->deadline = c->again = NULL;
	if (c->ssl) {
		if (c->state == ST_OPEN && c->fail == PEER_WHY_NONE) {
			ERR_clear_error();
			SSL_shutdown(c->ssl);
			ERR_clear_error();
		}
		SSL_free(c->ssl);
		c->ssl = NULL;
	}
	if (c->fd != -1) {
		/* Unread bytes would turn the FIN into a RST, which can overtake a last CLOSE message. */
		char sink[4096];
		shutdown(c->fd, SHUT_WR);
		for (unsigned i = 0; i < 16 && recv(c->fd, sink, sizeof(sink), MSG_DONTWAIT) > 0; i++)
			continue;
		close(c->fd);
		c->fd = -1;
	}
	c->state = ST_DOWN;
}

void peer_conn_free(struct peer_conn *c)
{
	if (!c || c->doomed)
		return;
	c->doomed = true;
	conn_close(c);
	conn_release(c);
}

static void conn_down(struct peer_conn *c, enum peer_why why, const char *text)
{
	if (c->state == ST_DOWN)
		return;
	c->fail = why;
	conn_close(c);
	c->cb.on_down(c->arg, why, text);
}

static void arm(struct peer_conn *c)
{
	if (c->state == ST_OPEN)
		loop_fd_set(c->lfd, (c->paused ? 0 : LOOP_READ) | (c->tx_len > 0 || c->want_room ? LOOP_WRITE : 0));
}

static void run_again(struct peer_conn *c)
{
	if (c->again && (!c->again_armed || c->paused)) {
		c->again_armed = true;
		loop_timer_set(c->again, clock_mono());
	}
}

void peer_conn_pause(struct peer_conn *c, mono_t until)
{
	if (c->state != ST_OPEN || !c->again)
		return;
	c->paused = c->again_armed = true;
	loop_timer_set(c->again, until);
	arm(c);
}

/* Bytes read, 0 for "nothing now", -1 when the connection ended (reported). */
static ssize_t raw_read(struct peer_conn *c, void *buf, size_t len)
{
	char text[PEER_SHAKE_TEXT];
	if (c->ssl) {
		ERR_clear_error();
		errno = 0;
		int n = SSL_read(c->ssl, buf, (int)len);
		int sys_errno = errno;
		if (n > 0)
			return n;
		int e = SSL_get_error(c->ssl, n);
		if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
			return 0;
		enum peer_why why = peer_tls_reason(e, sys_errno, text, sizeof(text));
		conn_down(c, why, text);
		return -1;
	}
	ssize_t n = recv(c->fd, buf, len, MSG_DONTWAIT);
	if (n > 0)
		return n;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n == 0)
		conn_down(c, PEER_WHY_EOF, "the other end closed the connection");
	else
		conn_down(c, PEER_WHY_LOST, err_text(-errno));
	return -1;
}

/* Bytes taken by the socket, 0 for "full", -1 with c->fail set. */
static ssize_t raw_write(struct peer_conn *c, const void *buf, size_t len)
{
	if (c->ssl) {
		ERR_clear_error();
		errno = 0;
		int n = SSL_write(c->ssl, buf, (int)len);
		int sys_errno = errno;
		if (n > 0)
			return n;
		int e = SSL_get_error(c->ssl, n);
		if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
			return 0;
		c->fail = peer_tls_reason(e, sys_errno, c->fail_text, sizeof(c->fail_text));
		return -1;
	}
	ssize_t n = send(c->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n >= 0)
		return n;
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	c->fail = PEER_WHY_LOST;
	snprintf(c->fail_text, sizeof(c->fail_text), "%s", err_text(-errno));
	return -1;
}

/* Delivers complete records of the buffer. False when the connection is gone. */
static bool deliver(struct peer_conn *c, unsigned *left)
{
	uint32_t max = c->data ? SYNC_DATA_MAX : SYNC_CTL_MAX;
	while (c->state == ST_OPEN && *left > 0 && (!c->paused || c->draining)) {
		struct sync_env env;
		size_t used;
		enum sync_drop d = sync_env_read(c->rx + c->rx_off, c->rx_len, max,
						 c->data ? SYNC_CHAN_DATA : SYNC_CHAN_CTL, &env, &used);
		if (d == SYNC_MORE)
			break;
		if (d != SYNC_OK)
			sync_wire_count(c->wire, d);
		if (d == SYNC_DROP_LENGTH || d == SYNC_DROP_FLAGS || d == SYNC_DROP_TYPE_CRITICAL) {
			conn_down(c, PEER_WHY_MALFORMED, sync_drop_text(d));
			return false;
		}
		c->rx_off += used;
		c->rx_len -= used;
		(*left)--;
		c->st.rx_records++;
		c->st.rx_skipped += d == SYNC_DROP_TYPE;
		c->st.heard = clock_mono();
		if (d == SYNC_OK)
			c->cb.on_record(c->arg, &env);
	}
	if (c->state != ST_OPEN)
		return false;
	if (c->rx_len == 0) {
		c->rx_off = 0;
	} else if (c->rx_off > c->rx_cap / 2) {
		memmove(c->rx, c->rx + c->rx_off, c->rx_len);
		c->rx_off = 0;
	}
	return true;
}

/* Reads until nothing is left, `records` were delivered or `until` passed. */
static enum peer_drain pump(struct peer_conn *c, unsigned records, mono_t until)
{
	for (;;) {
		if (!deliver(c, &records))
			return PEER_DRAIN_DOWN;
		if (records == 0 || mono_due(until, clock_mono()) || (c->paused && !c->draining))
			return PEER_DRAIN_TIME;
		if (c->rx_off + c->rx_len == c->rx_cap && c->rx_off > 0) {
			memmove(c->rx, c->rx + c->rx_off, c->rx_len);
			c->rx_off = 0;
		}
		size_t at = c->rx_off + c->rx_len;
		require(at < c->rx_cap); /* a whole record fits twice, so a full buffer holds one to deliver */
		ssize_t n = raw_read(c, c->rx + at, c->rx_cap - at);
		if (n < 0)
			return PEER_DRAIN_DOWN;
		if (n == 0)
			return PEER_DRAIN_EMPTY;
		c->rx_len += (size_t)n;
		c->st.rx_bytes += (uint64_t)n;
	}
}

static void read_pass(struct peer_conn *c)
{
	if (c->paused)
		return;
	enum peer_drain d = pump(c, PASS_RECORDS, mono_add(clock_mono(), PASS_NS));
	if (d == PEER_DRAIN_TIME && !c->paused)
		run_again(c);
	if (c->state == ST_OPEN && c->cb.on_pass)
		c->cb.on_pass(c->arg);
}

enum peer_drain peer_conn_drain(struct peer_conn *c, mono_t until)
{
	if (c->state != ST_OPEN)
		return PEER_DRAIN_DOWN;
	c->busy++;
	c->draining = true;
	enum peer_drain d = pump(c, UINT32_MAX, until);
	c->draining = false;
	c->busy--;
	if (d == PEER_DRAIN_TIME && c->state == ST_OPEN && !c->paused)
		run_again(c);
	if (c->doomed)
		conn_release(c);
	return d;
}

static void write_pass(struct peer_conn *c)
{
	while (c->tx_len > 0) {
		ssize_t n = raw_write(c, c->tx + c->tx_off, c->tx_len);
		if (n < 0) {
			conn_down(c, c->fail, c->fail_text);
			return;
		}
		if (n == 0)
			break;
		c->tx_off += (size_t)n;
		c->tx_len -= (size_t)n;
		c->st.tx_bytes += (uint64_t)n;
	}
	if (c->tx_len > 0)
		return;
	c->tx_off = 0;
	if (c->want_room) {
		c->want_room = false;
		if (c->cb.on_room)
			c->cb.on_room(c->arg);
	}
}

static void opened(struct peer_conn *c)
{
	c->state = ST_OPEN;
	loop_timer_free(c->deadline);
	c->deadline = NULL;
	c->st.heard = clock_mono();
	if (!c->ssl) {
		int rc = peer_conn_send(c, c->preamble, strlen(c->preamble));
		if (rc != 0)
			return;
	}
	c->cb.on_open(c->arg);
}

static void shake_pass(struct peer_conn *c)
{
	enum peer_step step = peer_tls_step(c->ssl, &c->shake);
	switch (step) {
	case PEER_STEP_DONE:
		opened(c);
		break;
	case PEER_STEP_READ:
		loop_fd_set(c->lfd, LOOP_READ);
		break;
	case PEER_STEP_WRITE:
		loop_fd_set(c->lfd, LOOP_WRITE);
		break;
	case PEER_STEP_FAILED:
		conn_down(c, c->shake.why, c->shake.text);
		break;
	}
}

static void connect_pass(struct peer_conn *c)
{
	int err = 0;
	socklen_t n = sizeof(err);
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &n) != 0)
		err = errno;
	if (err != 0) {
		conn_down(c, peer_connect_why(err), err_text(-err));
		return;
	}
	if (!c->shake.tls) {
		opened(c);
		return;
	}
	c->ssl = peer_tls_begin(c->shake.tls, &c->shake, true, c->fd);
	if (!c->ssl) {
		conn_down(c, PEER_WHY_ERROR, err_text(-ENOMEM));
		return;
	}
	c->state = ST_SHAKING;
	shake_pass(c);
}

static void on_fd(void *arg, int fd, unsigned events)
{
	struct peer_conn *c = arg;
	(void)fd;
	c->busy++;
	if (c->state == ST_CONNECTING)
		connect_pass(c);
	else if (c->state == ST_SHAKING)
		shake_pass(c);
	else if (c->state == ST_OPEN) {
		if ((events & LOOP_WRITE) != 0)
			write_pass(c);
		if (c->state == ST_OPEN && (events & LOOP_READ) != 0)
			read_pass(c);
	}
	arm(c);
	c->busy--;
	if (c->doomed)
		conn_release(c);
}

static void on_again(void *arg, mono_t deadline)
{
	struct peer_conn *c = arg;
	(void)deadline;
	c->again_armed = c->paused = false;
	c->busy++;
	if (c->fail != PEER_WHY_NONE)
		conn_down(c, c->fail, c->fail_text);
	else if (c->state == ST_OPEN)
		read_pass(c);
	arm(c);
	c->busy--;
	if (c->doomed)
		conn_release(c);
}

static void on_deadline(void *arg, mono_t deadline)
{
	struct peer_conn *c = arg;
	(void)deadline;
	c->busy++;
	conn_down(c, PEER_WHY_TIMEOUT,
		  c->state == ST_CONNECTING ? "no answer to the TCP connect within 1 s"
					    : "the TLS handshake did not end within 1 s");
	c->busy--;
	if (c->doomed)
		conn_release(c);
}

static struct peer_conn *conn_new(struct loop *l, const struct peer_conn_conf *pc, int fd, unsigned events,
				  const struct peer_conn_cb *cb, void *arg)
{
	struct peer_conn *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	*c = (struct peer_conn){ .loop = l, .fd = -1, .data = pc->data, .cb = *cb, .arg = arg, .wire = pc->stats };
	c->rx_cap = pc->data ? RX_DATA : RX_CTL;
	c->tx_cap = pc->data ? TX_DATA : TX_CTL;
	c->rx = malloc(c->rx_cap);
	c->tx = malloc(c->tx_cap);
	c->lfd = loop_fd_new(l, fd, events, pc->cls, on_fd, c);
	c->again = loop_timer_new(l, pc->cls, on_again, c);
	if (!c->rx || !c->tx || !c->lfd || !c->again) {
		peer_conn_free(c);
		errno = ENOMEM;
		return NULL;
	}
	c->fd = fd;
	return c;
}

struct peer_conn *peer_conn_dial(struct loop *l, const struct peer_conn_conf *pc, uint32_t node, unsigned link,
				 unsigned key, const struct peer_conn_cb *cb, void *arg)
{
	const struct sync_node_conf *self = sync_conf_node(pc->conf, pc->conf->self);
	const struct sync_node_conf *peer = sync_conf_node(pc->conf, node);
	require(self && peer && link < peer->n_addrs && link < self->n_addrs);
	int fd = peer_sock_connect(&self->addrs[link], &peer->addrs[link], pc->conf->port, pc->data);
	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	struct peer_conn *c = conn_new(l, pc, fd, LOOP_WRITE, cb, arg);
	if (!c) {
		close(fd);
		errno = ENOMEM;
		return NULL;
	}
	c->shake = (struct peer_shake){ .tls = pc->tls, .dials = true, .data = pc->data, .node = node, .key = key };
	if (!pc->tls) {
		char id[PEER_IDENTITY_MAX];
		peer_identity_write(pc->conf, node, "-", id);
		snprintf(c->preamble, sizeof(c->preamble), "%s %s\n", pc->data ? PEER_ALPN_DATA : PEER_ALPN_CTL, id);
	}
	c->deadline = loop_timer_new(l, pc->cls, on_deadline, c);
	if (!c->deadline) {
		peer_conn_free(c);
		errno = ENOMEM;
		return NULL;
	}
	loop_timer_set(c->deadline, mono_add(clock_mono(), PEER_CONNECT_NS));
	return c;
}

struct peer_conn *peer_conn_take(struct loop *l, const struct peer_conn_conf *pc, int fd, struct ssl_st *ssl,
				 const struct peer_conn_cb *cb, void *arg)
{
	struct peer_conn *c = conn_new(l, pc, fd, LOOP_READ, cb, arg);
	if (!c) {
		SSL_free(ssl);
		close(fd);
		errno = ENOMEM;
		return NULL;
	}
	c->ssl = ssl;
	c->state = ST_OPEN;
	c->st.heard = clock_mono();
	run_again(c); /* bytes may wait inside the SSL object */
	return c;
}

bool peer_conn_is_open(const struct peer_conn *c)
{
	return c && c->state == ST_OPEN && c->fail == PEER_WHY_NONE;
}

int peer_conn_fd(const struct peer_conn *c)
{
	return c->fd;
}

bool peer_conn_tx_empty(const struct peer_conn *c)
{
	return c->tx_len == 0;
}

void peer_conn_want_room(struct peer_conn *c)
{
	c->want_room = true;
	arm(c);
}

const struct peer_conn_stats *peer_conn_stats(const struct peer_conn *c)
{
	return &c->st;
}

void peer_conn_stats_clear(struct peer_conn *c)
{
	c->st = (struct peer_conn_stats){ .heard = c->st.heard, .rx_skipped = c->st.rx_skipped };
}

static int queue(struct peer_conn *c, const uint8_t *p, size_t len)
{
	if (c->tx_off > 0) {
		memmove(c->tx, c->tx + c->tx_off, c->tx_len);
		c->tx_off = 0;
	}
	if (c->tx_cap - c->tx_len < len)
		return ERR_FULL;
	memcpy(c->tx + c->tx_len, p, len);
	c->tx_len += len;
	arm(c);
	return 0;
}

int peer_conn_send(struct peer_conn *c, const void *buf, size_t len)
{
	if (!peer_conn_is_open(c))
		return -ENOTCONN;
	const uint8_t *p = buf;
	if (c->tx_cap - c->tx_len < len) {
		if (!c->data) { /* 64 KiB of ctl records unread: that peer is of no use */
			c->fail = PEER_WHY_FULL;
			snprintf(c->fail_text, sizeof(c->fail_text), "%zu bytes wait", c->tx_len);
			run_again(c);
		}
		return ERR_FULL;
	}
	c->st.tx_sends++;
	if (c->tx_len == 0) {
		ssize_t n = raw_write(c, p, len);
		if (n < 0) {
			run_again(c); /* on_down comes from the loop */
			return -ENOTCONN;
		}
		c->st.tx_bytes += (uint64_t)n;
		p += n;
		len -= (size_t)n;
	}
	return len > 0 ? queue(c, p, len) : 0;
}
