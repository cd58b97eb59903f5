/*
 * The ctl channel on CONTROL. Liveness is kept per peer over all links: a link is up when its hello was accepted, the
 * channel is up while a link is up and something was heard in the last 300 ms.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/require.h"
#include "sync/ossl.h"
#include "sync/peer_io_int.h"
#include "sync/peer_link.h"

#define DRAIN_NS (5 * NS_PER_MS)

static struct peer *peer_find(const struct peer_ctl *p, uint32_t node)
{
	for (unsigned i = 0; i < p->n_peers; i++) {
		if (p->peers[i]->node == node)
			return p->peers[i];
	}
	return NULL;
}

/* One timer per peer that follows the newest record. */
static void on_silence(void *arg, mono_t deadline)
{
	struct peer *pe = arg;
	(void)deadline;
	if (!pe->up)
		return;
	/* What lies in the sockets was heard in time, it was only not read yet. */
	for (unsigned i = 0; i < pe->n_links; i++) {
		if (pe->links[i].up)
			peer_conn_drain(pe->links[i].conn, mono_add(clock_mono(), DRAIN_NS));
	}
	if (!pe->up)
		return;
	mono_t due = mono_add(pe->heard, PEER_SILENCE_NS);
	if (mono_due(due, clock_mono()))
		peer_set_up(pe, false, 0, PEER_WHY_SILENT, "");
	else
		loop_timer_set(pe->silence, due);
}

int peer_ctl_adopt(struct peer_ctl *p, int fd, struct ssl_st *ssl, uint32_t node)
{
	struct peer *pe = peer_find(p, node);
	int index = peer_link_of(p->conf, fd);
	if (!pe || index < 0 || index >= pe->n_links || pe->links[index].dials) {
		SSL_free(ssl);
		close(fd);
		return -EINVAL;
	}
	return link_adopt(&pe->links[index], fd, ssl);
}

static void probe_close(struct peer *pe)
{
	for (unsigned i = 0; i < SYNC_LINKS_MAX; i++) {
		struct probe *b = &pe->probes[i];
		loop_fd_free(b->lfd);
		b->lfd = NULL;
		if (b->fd != -1)
			close(b->fd);
		b->fd = -1;
	}
}

static void on_probe_time(void *arg, mono_t deadline)
{
	struct peer *pe = arg;
	(void)deadline;
	if (!pe->probing)
		return;
	pe->probing = false;
	probe_close(pe);
	pe->p->cb.on_probe(pe->p->arg, pe->node, pe->probe_result);
}

static void on_probe_fd(void *arg, int fd, unsigned events)
{
	struct probe *b = arg;
	struct peer *pe = b->peer;
	int err = 0;
	socklen_t n = sizeof(err);
	(void)events;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n) != 0)
		err = errno;
	loop_fd_free(b->lfd);
	b->lfd = NULL;
	close(b->fd);
	b->fd = -1;
	if (err == 0)
		pe->probe_result = PEER_PROBE_ANSWERED;
	else if (peer_connect_why(err) == PEER_WHY_REFUSED)
		pe->probe_result = PEER_PROBE_REFUSED;
	else
		return; /* this link is mute; another one or the timer decides */
	on_probe_time(pe, clock_mono());
}

int peer_ctl_probe(struct peer_ctl *p, uint32_t node)
{
	struct peer *pe = peer_find(p, node);
	const struct sync_node_conf *self = sync_conf_node(p->conf, p->conf->self);
	const struct sync_node_conf *to = sync_conf_node(p->conf, node);
	if (!pe || !self || !to)
		return -ENOENT;
	if (pe->probing)
		return -EALREADY;
	pe->probing = true;
	pe->probe_result = PEER_PROBE_SILENT;
	mono_t until = mono_add(clock_mono(), PEER_PROBE_NS);
	for (unsigned i = 0; i < pe->n_links; i++) {
		struct probe *b = &pe->probes[i];
		int fd = peer_sock_connect(&self->addrs[i], &to->addrs[i], p->conf->port, false);
		if (fd >= 0) {
			b->fd = fd;
			b->lfd = loop_fd_new(p->loop, fd, LOOP_WRITE, LOOP_LATENCY, on_probe_fd, b);
		} else if (peer_connect_why(-fd) == PEER_WHY_REFUSED) {
			pe->probe_result = PEER_PROBE_REFUSED;
			until = clock_mono();
		}
	}
	loop_timer_set(pe->probe_timer, until);
	return 0;
}

static void peer_free(struct peer *pe)
{
	if (!pe)
		return;
	probe_close(pe);
	loop_timer_free(pe->silence);
	loop_timer_free(pe->probe_timer);
	for (unsigned i = 0; i < pe->n_links; i++) {
		link_drop_conn(&pe->links[i]);
		loop_timer_free(pe->links[i].retry_timer);
	}
	free(pe);
}

static struct peer *peer_new(struct peer_ctl *p, const struct sync_conf *conf, const struct sync_node_conf *n)
{
	const struct sync_node_conf *self = sync_conf_node(conf, conf->self);
	struct peer *pe = calloc(1, sizeof(*pe));
	if (!pe)
		return NULL;
	pe->p = p;
	pe->node = n->id;
	/* A reload may make a peer anew in the same process: the other end still knows the numbers of the former one, and
	 * takes what is not above them for repeated. Less than one message leaves in a nanosecond. */
	pe->tx_seq = (uint64_t)clock_mono().ns;
	pe->silence = loop_timer_new(p->loop, LOOP_LATENCY, on_silence, pe);
	pe->probe_timer = loop_timer_new(p->loop, LOOP_LATENCY, on_probe_time, pe);
	pe->n_links = n->n_addrs < self->n_addrs ? n->n_addrs : self->n_addrs;
	bool ok = pe->silence && pe->probe_timer;
	for (unsigned i = 0; i < SYNC_LINKS_MAX; i++)
		pe->probes[i] = (struct probe){ .peer = pe, .fd = -1 };
	for (unsigned i = 0; i < pe->n_links; i++) {
		struct link *k = &pe->links[i];
		*k = (struct link){ .p = p, .peer = pe, .index = (uint8_t)i, .dials = conf->self < n->id };
		k->since = clock_mono();
		k->retry_timer = loop_timer_new(p->loop, LOOP_NORMAL, link_on_retry, k);
		ok = ok && k->retry_timer;
	}
	if (!ok) {
		peer_free(pe);
		return NULL;
	}
	return pe;
}

static bool node_same(const struct sync_conf *a, const struct sync_conf *b, uint32_t id)
{
	const struct sync_node_conf *x = sync_conf_node(a, id), *y = sync_conf_node(b, id);
	if (!x || !y || x->n_addrs != y->n_addrs)
		return false;
	for (unsigned i = 0; i < x->n_addrs; i++) {
		if (!addr_eq(&x->addrs[i], &y->addrs[i]))
			return false;
	}
	return true;
}

/* What all connections depend on. */
static bool base_same(const struct sync_conf *a, const struct sync_conf *b)
{
	return a->self == b->self && a->port == b->port && a->insecure == b->insecure &&
	       strcmp(a->cluster, b->cluster) == 0 && node_same(a, b, a->self);
}

int peer_ctl_conf(struct peer_ctl *p, const struct sync_conf *conf, const uint64_t config_digest[4], char *err,
		  size_t err_len)
{
	struct peer_tls *tls;
	struct peer *now[SYNC_NODES_MAX] = { NULL };
	bool old[SYNC_NODES_MAX] = { false };
	unsigned n = 0;
	if (!sync_conf_node(conf, conf->self)) {
		snprintf(err, err_len, "this node's id %" PRIu32 " is not in the list of nodes", conf->self);
		return ERR_CONFIG;
	}
	int rc = peer_tls_new(conf, &tls, err, err_len);
	for (unsigned i = 0; rc == 0 && i < conf->n_nodes; i++) {
		uint32_t id = conf->nodes[i].id;
		if (id == conf->self)
			continue;
		bool keep = p->conf && base_same(p->conf, conf) && node_same(p->conf, conf, id);
		now[n] = keep ? peer_find(p, id) : NULL;
		old[n] = now[n] != NULL;
		if (!now[n])
			now[n] = peer_new(p, conf, &conf->nodes[i]);
		if (!now[n])
			rc = -ENOMEM;
		n++;
	}
	if (rc != 0) {
		for (unsigned i = 0; i < n; i++) {
			if (!old[i])
				peer_free(now[i]);
		}
		peer_tls_free(tls);
		return rc;
	}
	for (unsigned i = 0; i < p->n_peers; i++) {
		bool keep = false;
		for (unsigned j = 0; j < n; j++)
			keep = keep || now[j] == p->peers[i];
		if (!keep) {
			peer_set_up(p->peers[i], false, 0, PEER_WHY_LOCAL, "the configuration changed");
			peer_free(p->peers[i]);
		}
	}
	for (unsigned i = 0; i < n; i++) {
		for (unsigned j = 0; old[i] && j < now[i]->n_links; j++)
			link_restart(&now[i]->links[j]);
	}
	peer_tls_free(p->tls);
	p->tls = tls;
	p->own = *conf;
	p->conf = &p->own;
	bool news = memcmp(p->self.config_digest, config_digest, sizeof(p->self.config_digest)) != 0;
	memcpy(p->self.config_digest, config_digest, sizeof(p->self.config_digest));
	memcpy(p->peers, now, sizeof(now));
	p->n_peers = (uint8_t)n;
	for (unsigned i = 0; i < n; i++) {
		for (unsigned j = 0; !old[i] && j < now[i]->n_links; j++) {
			if (now[i]->links[j].dials)
				link_dial(&now[i]->links[j]);
		}
	}
	if (news)
		loop_timer_set(p->retell, clock_mono());
	return 0;
}

/* Digests have changed: the peers get a new hello, and their own are judged again here. */
static void on_retell(void *arg, mono_t deadline)
{
	struct peer_ctl *p = arg;
	(void)deadline;
	for (unsigned i = 0; i < p->n_peers; i++) {
		struct peer *pe = p->peers[i];
		for (unsigned j = 0; j < pe->n_links; j++) {
			if (pe->links[j].up)
				link_send_hello(&pe->links[j]);
		}
		if (pe->up) {
			struct peer_msg m = { .type = PEER_HELLO, .epoch = pe->hello.epoch_max, .hello = pe->hello };
			p->cb.on_msg(p->arg, pe->node, &m);
		}
	}
}

struct peer_ctl *peer_ctl_new(struct loop *l, const struct sync_conf *conf, uint64_t boot_nonce,
			      const uint64_t config_digest[4], const struct peer_ctl_cb *cb, void *arg, char *err,
			      size_t err_len)
{
	struct peer_ctl *p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->loop = l;
	p->cb = *cb;
	p->arg = arg;
	p->self.node = conf->self;
	p->self.boot_nonce = boot_nonce;
	p->retell = loop_timer_new(l, LOOP_NORMAL, on_retell, p);
	if (!p->retell || peer_ctl_conf(p, conf, config_digest, err, err_len) != 0) {
		loop_timer_free(p->retell);
		free(p);
		return NULL;
	}
	return p;
}

void peer_ctl_free(struct peer_ctl *p, const char *text)
{
	if (!p)
		return;
	if (text) {
		struct peer_msg m;
		peer_close_make(&m, PEER_WHY_CLOSED, text);
		peer_ctl_broadcast(p, &m);
	}
	for (unsigned i = 0; i < p->n_peers; i++)
		peer_free(p->peers[i]);
	peer_tls_free(p->tls);
	loop_timer_free(p->retell);
	free(p);
}

void peer_ctl_epoch(struct peer_ctl *p, struct epoch e)
{
	p->self.epoch_max = epoch_max(p->self.epoch_max, e);
}

static int peer_write(struct peer *pe, const struct peer_msg *m)
{
	int rc = -ENOTCONN;
	uint64_t seq = ++pe->tx_seq;
	for (unsigned i = 0; i < pe->n_links; i++) {
		struct link *k = &pe->links[i];
		if (!k->up)
			continue;
		int one = link_write(k, seq, m);
		if (rc != 0)
			rc = one;
	}
	return rc;
}

int peer_ctl_send(struct peer_ctl *p, uint32_t node, const struct peer_msg *m)
{
	struct peer *pe = peer_find(p, node);
	return pe ? peer_write(pe, m) : -ENOENT;
}

int peer_ctl_send_object(struct peer_ctl *p, uint32_t node, enum sync_obj type, const uint8_t *bytes, size_t len)
{
	struct peer *pe = peer_find(p, node);
	if (!pe || !peer_any_link_up(pe))
		return -ENOTCONN;
	if (!(pe->hello.features & PEER_FEATURE_SA))
		return -ENOTSUP;
	for (unsigned i = 0; i < pe->n_links; i++) {
		if (pe->links[i].up && !peer_conn_tx_empty(pe->links[i].conn))
			return -EAGAIN;
	}
	int n = sync_obj_write(p->buf, sizeof(p->buf), type, p->self.node, pe->tx_seq + 1, bytes, len);
	if (n < 0)
		return n;
	int rc = -ENOTCONN;
	pe->tx_seq++;
	for (unsigned i = 0; i < pe->n_links; i++) {
		struct link *k = &pe->links[i];
		int one = k->up ? peer_conn_send(k->conn, p->buf, (size_t)n) : -ENOTCONN;
		k->tx_records += one == 0;
		if (rc != 0)
			rc = one;
	}
	return rc;
}

unsigned peer_ctl_broadcast(struct peer_ctl *p, const struct peer_msg *m)
{
	unsigned n = 0;
	for (unsigned i = 0; i < p->n_peers; i++)
		n += peer_write(p->peers[i], m) == 0;
	return n;
}

void peer_ctl_drain(struct peer_ctl *p)
{
	mono_t until = mono_add(clock_mono(), DRAIN_NS);
	for (unsigned i = 0; i < p->n_peers; i++) {
		for (unsigned j = 0; j < p->peers[i]->n_links; j++) {
			if (p->peers[i]->links[j].conn)
				peer_conn_drain(p->peers[i]->links[j].conn, until);
		}
	}
}

bool peer_ctl_up(const struct peer_ctl *p, uint32_t node)
{
	const struct peer *pe = peer_find(p, node);
	return pe && pe->up;
}

mono_t peer_ctl_last_heard(const struct peer_ctl *p, uint32_t node)
{
	const struct peer *pe = peer_find(p, node);
	return pe ? pe->heard : MONO_ZERO;
}

const struct peer_hello *peer_ctl_hello(const struct peer_ctl *p, uint32_t node)
{
	const struct peer *pe = peer_find(p, node);
	return pe && pe->has_hello ? &pe->hello : NULL;
}

unsigned peer_ctl_links(const struct peer_ctl *p, uint32_t node, struct peer_link_info *out, unsigned cap)
{
	const struct peer *pe = peer_find(p, node);
	for (unsigned i = 0; pe && i < pe->n_links && i < cap; i++) {
		const struct link *k = &pe->links[i];
		static const struct peer_conn_stats none;
		const struct peer_conn_stats *st = k->conn ? peer_conn_stats(k->conn) : &none;
		out[i] = (struct peer_link_info){
			.link = k->index,
			.up = k->up,
			.dials = k->dials,
			.why = k->why,
			.since = k->since,
			.attempts = k->attempts,
			.connects = k->connects,
			.tx_records = k->tx_records,
			.rx_records = k->before.rx_records + st->rx_records,
			.rx_bytes = k->before.rx_bytes + st->rx_bytes,
			.tx_bytes = k->before.tx_bytes + st->tx_bytes,
		};
		snprintf(out[i].text, sizeof(out[i].text), "%s", k->text);
	}
	return pe ? pe->n_links : 0;
}

const struct sync_wire_stats *peer_ctl_stats(const struct peer_ctl *p)
{
	return &p->stats;
}
