/*
 * Data connections: one per peer and link. Exactly one of them carries the stream in both directions: the dialler (the
 * lower id) chooses it with ACTIVATE, the acceptor answers with the same. The others stand by, authenticated. A lost
 * connection ends the stream; the next ACTIVATE begins a new one, in which everything is told anew.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "sync/ossl.h"
#include "sync/sync_run.h"

static void link_dial(struct data_link *k);

struct data_peer *data_peer_find(struct sync_run *r, uint32_t node)
{
	for (unsigned i = 0; i < r->n_peers; i++) {
		if (r->peers[i]->node == node)
			return r->peers[i];
	}
	return NULL;
}

static void stream_begin(struct data_link *k)
{
	struct data_peer *p = k->peer;
	struct sync_run *r = k->run;
	if (p->active)
		sync_peer_down(r->core, p->node, clock_mono());
	p->active = k;
	p->next_seq = 1;
	k->skipped = peer_conn_stats(k->conn)->rx_skipped;
	p->streams++;
	int rc = sync_peer_up(r->core, p->node, k->boot_nonce, k->digest_key, clock_mono());
	if (rc != 0)
		log_err(LOG_SYNC, "stream with node %" PRIu32 " refused by the core: %s", p->node, err_text(rc));
	log_notice(LOG_SYNC, "data stream with node %" PRIu32 " begins on link %u", p->node, k->index);
	drive_kick(r);
}

static int link_write_msg(struct data_link *k, const struct peer_msg *m)
{
	uint8_t buf[1024];
	int n = sync_msg_write(buf, sizeof(buf), k->run->self.node, 0, m);
	return n < 0 ? n : peer_conn_send(k->conn, buf, (size_t)n);
}

/* The dialler gives the stream to the first link that is ready. */
static void choose(struct data_peer *p)
{
	if (p->active || !p->links[0].dials)
		return;
	for (unsigned i = 0; i < p->n_links; i++) {
		if (p->links[i].asked)
			return;
	}
	for (unsigned i = 0; i < p->n_links; i++) {
		struct data_link *k = &p->links[i];
		uint8_t buf[64];
		if (!k->greeted || (k->features & PEER_FEATURE_SESSIONS) == 0)
			continue;
		int n = sync_activate_write(buf, sizeof(buf), k->run->self.node);
		if (n > 0 && peer_conn_send(k->conn, buf, (size_t)n) == 0) {
			k->asked = true;
			return;
		}
	}
}

static void link_drop_conn(struct data_link *k)
{
	if (!k->conn)
		return;
	const struct peer_conn_stats *st = peer_conn_stats(k->conn);
	k->before.rx_bytes += st->rx_bytes;
	k->before.tx_bytes += st->tx_bytes;
	k->before.rx_records += st->rx_records;
	k->before.tx_sends += st->tx_sends;
	peer_conn_free(k->conn);
	k->conn = NULL;
	k->greeted = k->asked = false;
}

static void link_retry(struct data_link *k)
{
	if (k->dials && k->retry_timer)
		loop_timer_set(k->retry_timer,
			       mono_max(mono_add(clock_mono(), peer_retry_next(&k->retry)), k->peer->shut_until));
}

static void link_down(struct data_link *k, enum peer_why why, const char *text)
{
	struct data_peer *p = k->peer;
	char copy[PEER_SHAKE_TEXT];
	snprintf(copy, sizeof(copy), "%s", text); /* text may lie inside the connection */
	bool news = k->why != why || strcmp(k->text, copy) != 0;
	link_drop_conn(k);
	k->why = why;
	k->since = clock_mono();
	memcpy(k->text, copy, sizeof(k->text));
	if (news)
		log_warn(LOG_SYNC, "data connection to node %" PRIu32 " on link %u: %s: %s", p->node, k->index,
			 peer_why_text(why), copy);
	if (why == PEER_WHY_KEY_ID)
		k->retry.key ^= 1;
	link_retry(k);
	if (p->active == k) {
		p->active = NULL;
		sync_peer_down(k->run->core, p->node, clock_mono());
		drive_kick(k->run);
	}
	choose(p);
}

/* What came cannot be from a peer of this version: it is left alone for a while, longer each time. */
static void peer_shut(struct data_peer *p)
{
	mono_t now = clock_mono();
	bool long_ago = mono_due(mono_add(p->shut_until, SYNC_SHUT_MAX_NS), now);
	p->shut_ns = long_ago || p->shut_ns == 0         ? SYNC_SHUT_MIN_NS
		     : p->shut_ns * 2 > SYNC_SHUT_MAX_NS ? SYNC_SHUT_MAX_NS
							 : p->shut_ns * 2;
	p->shut_until = mono_add(now, p->shut_ns);
	p->refused++;
}

static void on_down(void *arg, enum peer_why why, const char *text)
{
	struct data_link *k = arg;
	if (why == PEER_WHY_MALFORMED)
		peer_shut(k->peer);
	link_down(arg, why, text);
}

static void link_refuse(struct data_link *k, enum peer_why why, const char *text)
{
	struct peer_msg m;
	peer_close_make(&m, why, text);
	(void)link_write_msg(k, &m);
	link_down(k, why, text);
}

static void link_shut(struct data_link *k, const char *text)
{
	peer_shut(k->peer);
	link_refuse(k, PEER_WHY_MALFORMED, text);
}

static void link_send_hello(struct data_link *k)
{
	struct peer_msg m;
	k->run->self.epoch_max = epoch_max(k->run->self.epoch_max, sync_run_role_epoch(k->run));
	peer_hello_make(&k->run->self, k->run->conf, true, &m);
	(void)link_write_msg(k, &m);
}

static void on_open(void *arg)
{
	link_send_hello(arg);
}

static void link_hello(struct data_link *k, const struct peer_msg *m)
{
	struct data_peer *p = k->peer;
	char text[PEER_TEXT_MAX];
	enum peer_why why = peer_hello_check(&m->hello, k->run->conf, p->node, true, text, sizeof(text));
	if (why != PEER_WHY_UP) {
		link_refuse(k, why, text);
		return;
	}
	k->greeted = true;
	k->boot_nonce = m->hello.boot_nonce;
	k->features = m->hello.features;
	memcpy(k->digest_key, m->hello.digest_key, sizeof(k->digest_key));
	k->connects++;
	k->why = PEER_WHY_UP;
	k->text[0] = '\0';
	k->since = clock_mono();
	k->retry.delay_ns = 0;
	choose(p);
}

static void on_activate(struct data_link *k)
{
	uint8_t buf[64];
	if (k->dials) {
		if (k->asked) {
			k->asked = false;
			stream_begin(k);
		} else {
			k->run->st.inactive++;
		}
		return;
	}
	if (k->peer->active == k) { /* each stream costs a whole bulk */
		link_shut(k, "a second stream was begun on one connection");
		return;
	}
	int n = sync_activate_write(buf, sizeof(buf), k->run->self.node);
	if (n > 0 && peer_conn_send(k->conn, buf, (size_t)n) == 0)
		stream_begin(k);
}

/* Objects beyond the peer's rate are not dropped: nothing more is read until they are paid for. */
static void charge(struct data_link *k, uint64_t objects)
{
	struct data_peer *p = k->peer;
	int64_t rate = k->run->conf->peer_rate;
	mono_t now = clock_mono();
	int64_t passed = mono_sub(now, p->credit_at);
	if (rate == 0)
		return;
	passed = passed < 0 ? 0 : passed > NS_PER_SEC ? NS_PER_SEC : passed;
	p->credit_at = now;
	p->credit += passed / NS_PER_US * rate / 1000;
	if (p->credit > rate * 1000)
		p->credit = rate * 1000;
	p->credit -= (int64_t)objects * 1000;
	if (p->credit >= 0 || !k->conn)
		return;
	p->slowed++;
	peer_conn_pause(k->conn, mono_add(now, -p->credit * NS_PER_MS / rate + NS_PER_MS));
}

/* Refused in the middle of a stream: what a later version says differently is skipped, anything else ends it. */
static bool fatal(enum sync_drop d)
{
	return d != SYNC_DROP_TLV_CRITICAL && d != SYNC_DROP_TYPE;
}

static void read_objects(struct data_link *k, const struct sync_env *env)
{
	struct sync_run *r = k->run;
	struct sync_unpack u;
	struct sync_rec rec;
	if (k->peer->active != k) {
		r->st.inactive++;
		return;
	}
	struct data_peer *p = k->peer;
	/* A later version may send what was skipped before it came here; its numbers are missing then. */
	uint64_t skipped = peer_conn_stats(k->conn)->rx_skipped;
	bool gap = env->seq > p->next_seq && skipped != k->skipped;
	if (env->seq != p->next_seq && !gap) {
		sync_wire_count(&r->wire, SYNC_DROP_SEQ);
		link_shut(k, sync_drop_text(SYNC_DROP_SEQ));
		return;
	}
	k->skipped = skipped;
	mono_t now = clock_mono();
	sync_unpack_begin(&u, env);
	for (;;) {
		enum sync_drop d = sync_unpack_next(&u, &rec, &r->wire);
		if (d == SYNC_MORE)
			break;
		if (d != SYNC_OK) {
			sync_wire_count(&r->wire, d);
			if (!fatal(d))
				continue;
			link_shut(k, sync_drop_text(d));
			return;
		}
		r->st.objects++;
		sync_on_record(r->core, p->node, &rec, now);
	}
	sync_wire_count(&r->wire, SYNC_OK);
	p->next_seq = u.seq;
	charge(k, 1 + u.seq - env->seq);
}

static void read_msg(struct data_link *k, const struct sync_env *env)
{
	struct peer_msg m;
	enum sync_drop d = sync_msg_read(env, &m, &k->run->wire);
	sync_wire_count(&k->run->wire, d);
	if (d != SYNC_OK)
		link_refuse(k, PEER_WHY_MALFORMED, sync_drop_text(d));
	else if (m.type == PEER_CLOSE)
		link_down(k, peer_close_why(&m), m.text);
	else if (k->greeted)
		link_refuse(k, PEER_WHY_MALFORMED, "a second hello on one connection");
	else
		link_hello(k, &m);
}

static void on_record(void *arg, const struct sync_env *env)
{
	struct data_link *k = arg;
	k->run->st.records_read++;
	if (env->owner != k->peer->node) {
		sync_wire_count(&k->run->wire, SYNC_DROP_OWNER);
		link_shut(k, sync_drop_text(SYNC_DROP_OWNER));
	} else if (env->type == PEER_HELLO || env->type == PEER_CLOSE) {
		read_msg(k, env);
	} else if (!k->greeted) {
		link_shut(k, "the first record was no hello");
	} else if (sync_activate_is(env)) {
		on_activate(k);
	} else {
		read_objects(k, env);
	}
}

static void on_pass(void *arg)
{
	struct data_link *k = arg;
	drive_pump(k->run);
}

static void on_room(void *arg)
{
	struct data_link *k = arg;
	drive_pump(k->run);
}

static const struct peer_conn_cb conn_cb = {
	.on_open = on_open, .on_record = on_record, .on_pass = on_pass, .on_room = on_room, .on_down = on_down
};

static struct peer_conn_conf conn_conf(struct sync_run *r)
{
	return (struct peer_conn_conf){
		.conf = r->conf, .tls = r->tls, .data = true, .cls = LOOP_NORMAL, .stats = &r->wire
	};
}

static void link_dial(struct data_link *k)
{
	struct peer_conn_conf pc = conn_conf(k->run);
	k->attempts++;
	k->conn = peer_conn_dial(k->run->loop, &pc, k->peer->node, k->index, k->retry.key, &conn_cb, k);
	if (!k->conn) {
		int err = errno;
		link_down(k, peer_connect_why(err), err_text(-err));
	}
}

static void on_retry(void *arg, mono_t deadline)
{
	struct data_link *k = arg;
	(void)deadline;
	if (!k->conn)
		link_dial(k);
}

/* Plain refusal of a connection that has no link to belong to. */
static void refuse_fd(struct sync_run *r, int fd, SSL *ssl, const char *text)
{
	struct peer_msg m;
	uint8_t buf[512];
	peer_close_make(&m, PEER_WHY_CLOSED, text);
	int n = sync_msg_write(buf, sizeof(buf), r->self.node, 0, &m);
	if (n > 0 && ssl) {
		ERR_clear_error();
		(void)SSL_write(ssl, buf, n);
		ERR_clear_error();
	} else if (n > 0) {
		ssize_t sent = write(fd, buf, (size_t)n);
		(void)sent;
	}
	SSL_free(ssl);
	close(fd);
}

void data_adopt(struct sync_run *r, int fd, struct ssl_st *ssl, uint32_t node, unsigned link)
{
	struct data_peer *p = data_peer_find(r, node);
	if (!p || link >= p->n_links || p->links[link].dials) {
		refuse_fd(r, fd, ssl, r->core ? "this node dials this connection itself" : "replication is off here");
		return;
	}
	struct data_link *k = &p->links[link];
	struct peer_conn_conf pc = conn_conf(r);
	k->attempts++;
	if (mono_before(clock_mono(), p->shut_until)) {
		refuse_fd(r, fd, ssl, "what came on the last connection could not be understood; wait before the next");
		return;
	}
	if (k->conn)
		link_down(k, PEER_WHY_REPLACED, "");
	k->conn = peer_conn_take(r->loop, &pc, fd, ssl, &conn_cb, k);
	if (k->conn)
		link_send_hello(k);
}

/* A stale sender must not speak: the role may have moved while this thread slept. Commands that wait come first. */
static bool epoch_current(struct sync_run *r)
{
	struct epoch role = sync_run_role_epoch(r);
	if (epoch_cmp(role, r->core->owner.seen) <= 0)
		return true;
	r->st.held++;
	if (ring_waiting(&r->t->cmds) > 0)
		return false;
	sync_owner_see(&r->core->owner, role);
	return true;
}

void data_flush(struct sync_run *r, struct data_peer *p)
{
	/* One write per flush; what the socket does not take stays in the dirty set, not in a buffer. */
	for (unsigned i = 0; i < 4; i++) {
		struct data_link *k = p->active;
		struct sync_pack pack;
		struct sync_rec rec;
		unsigned n = 0;
		if (!k || !peer_conn_is_open(k->conn))
			return;
		if (!peer_conn_tx_empty(k->conn) || !epoch_current(r)) {
			peer_conn_want_room(k->conn);
			return;
		}
		mono_t now = clock_mono();
		sync_pack_begin(&pack, r->buf, sizeof(r->buf));
		while (wire_room(&pack.w) >= SYNC_ENV_LEN + SYNC_PACK_OBJ_MAX &&
		       sync_pull_rec(r->core, p->node, &rec, now)) {
			if (sync_pack_add(&pack, &rec) != 0) {
				link_refuse(k, PEER_WHY_ERROR, "a record does not fit its limit");
				return;
			}
			n++;
		}
		size_t len = sync_pack_end(&pack);
		if (len == 0)
			return;
		r->st.flushes++;
		r->st.records_sent += n;
		int rc = peer_conn_send(k->conn, r->buf, len);
		if (rc != 0)
			return; /* on_down follows and ends the stream */
		if (wire_room(&pack.w) >= SYNC_ENV_LEN + SYNC_PACK_OBJ_MAX)
			return; /* nothing was left */
	}
	if (p->active)
		peer_conn_want_room(p->active->conn);
}

bool data_drain(struct sync_run *r, mono_t until)
{
	bool all = true;
	for (unsigned i = 0; i < r->n_peers; i++) {
		struct data_link *k = r->peers[i]->active;
		if (k && peer_conn_drain(k->conn, until) == PEER_DRAIN_TIME)
			all = false;
	}
	return all;
}

unsigned data_restart(struct sync_run *r, const char *text)
{
	struct peer_msg m;
	unsigned n = 0;
	peer_close_make(&m, PEER_WHY_CLOSED, text);
	for (unsigned i = 0; i < r->n_peers; i++) {
		struct data_peer *p = r->peers[i];
		for (unsigned j = 0; j < p->n_links; j++) {
			struct data_link *k = &p->links[j];
			if (k->greeted)
				(void)link_write_msg(k, &m);
			k->retry.delay_ns = 0;
			if (k->conn) {
				n++;
				link_down(k, PEER_WHY_LOCAL, "restarted by an operator of this node");
			}
			if (k->dials)
				loop_timer_set(k->retry_timer, clock_mono());
		}
	}
	return n;
}

static void peer_free(struct data_peer *p)
{
	if (!p)
		return;
	for (unsigned i = 0; i < p->n_links; i++) {
		link_drop_conn(&p->links[i]);
		loop_timer_free(p->links[i].retry_timer);
	}
	free(p);
}

static struct data_peer *peer_new(struct sync_run *r, const struct sync_node_conf *n)
{
	const struct sync_node_conf *self = sync_conf_node(r->conf, r->conf->self);
	struct data_peer *p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->run = r;
	p->node = n->id;
	p->n_links = n->n_addrs < self->n_addrs ? n->n_addrs : self->n_addrs;
	for (unsigned i = 0; i < p->n_links; i++) {
		struct data_link *k = &p->links[i];
		*k = (struct data_link){ .run = r, .peer = p, .index = (uint8_t)i, .dials = r->conf->self < n->id };
		k->since = clock_mono();
		k->retry_timer = loop_timer_new(r->loop, LOOP_NORMAL, on_retry, k);
		if (!k->retry_timer) {
			peer_free(p);
			return NULL;
		}
	}
	return p;
}

static bool node_same(const struct sync_conf *a, const struct sync_conf *b, uint32_t id)
{
	const struct sync_node_conf *x = sync_conf_node(a, id), *y = sync_conf_node(b, id);
	bool same = x && y && x->n_addrs == y->n_addrs;
	for (unsigned i = 0; same && i < x->n_addrs; i++)
		same = addr_eq(&x->addrs[i], &y->addrs[i]);
	return same;
}

/* Connections whose ends did not change stay. */
static bool peer_stays(const struct sync_conf *old, const struct sync_conf *now, uint32_t node)
{
	return old && old->port == now->port && old->insecure == now->insecure &&
	       strcmp(old->cluster, now->cluster) == 0 && node_same(old, now, now->self) && node_same(old, now, node);
}

int data_conf(struct sync_run *r, const struct sync_conf *old, bool tls_changed)
{
	struct data_peer *now[SYNC_NODES_MAX] = { NULL };
	unsigned n = 0;
	int rc = 0;
	for (unsigned i = 0; r->core && i < r->conf->n_nodes; i++) {
		uint32_t id = r->conf->nodes[i].id;
		if (id == r->conf->self)
			continue;
		struct data_peer *p = data_peer_find(r, id);
		if (p && !peer_stays(old, r->conf, id))
			p = NULL;
		now[n] = p ? p : peer_new(r, &r->conf->nodes[i]);
		if (now[n])
			n++;
		else
			rc = -ENOMEM;
	}
	for (unsigned i = 0; i < r->n_peers; i++) {
		struct data_peer *p = r->peers[i];
		bool keep = false;
		for (unsigned j = 0; j < n; j++)
			keep = keep || now[j] == p;
		if (keep)
			continue;
		if (p->active)
			sync_peer_down(r->core, p->node, clock_mono());
		p->active = NULL;
		peer_free(p);
	}
	memcpy(r->peers, now, sizeof(now));
	r->n_peers = (uint8_t)n;
	for (unsigned i = 0; i < n; i++) {
		for (unsigned j = 0; j < now[i]->n_links; j++) {
			struct data_link *k = &now[i]->links[j];
			if (tls_changed && k->conn && !peer_conn_is_open(k->conn))
				link_drop_conn(k); /* its handshake uses the old keys */
			if (k->dials && !k->conn)
				loop_timer_set(k->retry_timer, clock_mono());
		}
	}
	return rc;
}

void data_done(struct sync_run *r, const char *text)
{
	struct peer_msg m;
	peer_close_make(&m, PEER_WHY_CLOSED, text);
	for (unsigned i = 0; i < r->n_peers; i++) {
		struct data_peer *p = r->peers[i];
		for (unsigned j = 0; j < p->n_links; j++) {
			if (p->links[j].greeted)
				(void)link_write_msg(&p->links[j], &m);
		}
		peer_free(p);
	}
	r->n_peers = 0;
}
