/* One link of the ctl channel: dialled or accepted, its hello, its records, its end and the next attempt. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "sync/peer_io_int.h"

bool peer_any_link_up(const struct peer *pe)
{
	for (unsigned i = 0; i < pe->n_links; i++) {
		if (pe->links[i].up)
			return true;
	}
	return false;
}

void peer_set_up(struct peer *pe, bool up, uint8_t link, enum peer_why why, const char *text)
{
	if (pe->up == up)
		return;
	pe->up = up;
	char line[PEER_SHAKE_TEXT + 96];
	snprintf(line, sizeof(line), "%s%s%s", peer_why_text(why), text[0] ? ": " : "", text);
	struct peer_ctl_state s = { .up = up, .why = why, .link = link, .text = line };
	pe->p->cb.on_state(pe->p->arg, pe->node, &s);
}

static void peer_heard(struct peer *pe, uint8_t link)
{
	pe->heard = clock_mono();
	if (!pe->up && peer_any_link_up(pe)) {
		loop_timer_set(pe->silence, mono_add(pe->heard, PEER_SILENCE_NS));
		peer_set_up(pe, true, link, PEER_WHY_UP, "");
	}
}

static void link_note(struct link *k, enum peer_why why, const char *text)
{
	bool news = k->why != why || strcmp(k->text, text) != 0;
	k->why = why;
	k->since = clock_mono();
	snprintf(k->text, sizeof(k->text), "%s", text);
	if (news && why != PEER_WHY_UP)
		log_warn(LOG_SYNC, "ctl connection to node %" PRIu32 " on link %u: %s: %s", k->peer->node, k->index,
			 peer_why_text(why), text);
}

void link_drop_conn(struct link *k)
{
	if (!k->conn)
		return;
	const struct peer_conn_stats *st = peer_conn_stats(k->conn);
	k->before.rx_bytes += st->rx_bytes;
	k->before.tx_bytes += st->tx_bytes;
	k->before.rx_records += st->rx_records;
	peer_conn_free(k->conn);
	k->conn = NULL;
	k->up = false;
}

static void link_retry(struct link *k)
{
	if (k->dials)
		loop_timer_set(k->retry_timer, mono_add(clock_mono(), peer_retry_next(&k->retry)));
}

static void link_down(struct link *k, enum peer_why why, const char *text)
{
	struct peer *pe = k->peer;
	char copy[PEER_SHAKE_TEXT];
	snprintf(copy, sizeof(copy), "%s", text); /* text may lie inside the connection */
	bool was_up = k->up;
	link_drop_conn(k);
	link_note(k, why, copy);
	if (why == PEER_WHY_KEY_ID)
		k->retry.key ^= 1;
	link_retry(k);
	if (was_up && !peer_any_link_up(pe))
		peer_set_up(pe, false, k->index, why, copy);
}

static void on_down(void *arg, enum peer_why why, const char *text)
{
	link_down(arg, why, text);
}

int link_write(struct link *k, uint64_t seq, const struct peer_msg *m)
{
	int n = sync_msg_write(k->p->buf, sizeof(k->p->buf), k->p->self.node, seq, m);
	if (n < 0)
		return n;
	int rc = peer_conn_send(k->conn, k->p->buf, (size_t)n);
	if (rc == 0)
		k->tx_records++;
	return rc;
}

static void link_refuse(struct link *k, enum peer_why why, const char *text)
{
	struct peer_msg m;
	peer_close_make(&m, why, text);
	(void)link_write(k, 0, &m);
	link_down(k, why, text);
}

void link_send_hello(struct link *k)
{
	struct peer_msg m;
	peer_hello_make(&k->p->self, k->p->conf, false, &m);
	(void)link_write(k, 0, &m);
}

static void on_open(void *arg)
{
	link_send_hello(arg);
}

static void link_hello(struct link *k, const struct peer_msg *m)
{
	struct peer *pe = k->peer;
	char text[PEER_TEXT_MAX];
	enum peer_why why = peer_hello_check(&m->hello, k->p->conf, pe->node, false, text, sizeof(text));
	if (why != PEER_WHY_UP) {
		link_refuse(k, why, text);
		return;
	}
	if (k->up && k->boot_nonce != m->hello.boot_nonce) {
		link_refuse(k, PEER_WHY_MALFORMED, "a hello of another boot on the same connection");
		return;
	}
	if (!pe->has_hello || pe->hello.boot_nonce != m->hello.boot_nonce) {
		/* The peer's process is a new one: its numbering begins anew, other links are of the old one. */
		pe->window = (struct peer_window){ 0 };
		for (unsigned i = 0; i < pe->n_links; i++) {
			struct link *o = &pe->links[i];
			if (o != k && o->up && o->boot_nonce != m->hello.boot_nonce)
				link_down(o, PEER_WHY_REPLACED, "the peer was started anew");
		}
	}
	pe->hello = m->hello;
	pe->has_hello = true;
	k->boot_nonce = m->hello.boot_nonce;
	if (!k->up) { /* a later one brings new digests after a reload */
		k->up = true;
		k->connects++;
		k->retry.delay_ns = 0;
		link_note(k, PEER_WHY_UP, "");
	}
	peer_heard(pe, k->index);
	k->p->cb.on_msg(k->p->arg, pe->node, m);
}

static void link_object(struct link *k, const struct sync_env *env)
{
	struct peer *pe = k->peer;
	const uint8_t *bytes = NULL;
	size_t len = 0;
	enum sync_drop d = env->owner == pe->node && k->up ? sync_obj_read(env, &bytes, &len) : SYNC_DROP_OWNER;
	sync_wire_count(&k->p->stats, d);
	if (d != SYNC_OK)
		return;
	peer_heard(pe, k->index);
	if (peer_window_new(&pe->window, env->seq) && k->p->cb.on_object)
		k->p->cb.on_object(k->p->arg, pe->node, (enum sync_obj)env->type, bytes, len);
}

static void on_record(void *arg, const struct sync_env *env)
{
	struct link *k = arg;
	struct peer *pe = k->peer;
	struct peer_msg m;
	if (env->type == SYNC_OBJ_SA) {
		link_object(k, env);
		return;
	}
	enum sync_drop d = env->owner == pe->node ? sync_msg_read(env, &m, &k->p->stats) : SYNC_DROP_OWNER;
	sync_wire_count(&k->p->stats, d);
	if (d != SYNC_OK) {
		if ((env->flags & SYNC_FLAG_CRITICAL) != 0)
			link_refuse(k, PEER_WHY_MALFORMED, sync_drop_text(d));
		return;
	}
	if (m.type == PEER_CLOSE) {
		link_down(k, peer_close_why(&m), m.text);
		return;
	}
	if (m.type == PEER_HELLO) {
		link_hello(k, &m);
		return;
	}
	if (!k->up) {
		link_refuse(k, PEER_WHY_MALFORMED, "the first record was no hello");
		return;
	}
	peer_heard(pe, k->index);
	if (peer_window_new(&pe->window, env->seq))
		k->p->cb.on_msg(k->p->arg, pe->node, &m);
}

static const struct peer_conn_cb conn_cb = { .on_open = on_open, .on_record = on_record, .on_down = on_down };

static struct peer_conn_conf conn_conf(struct peer_ctl *p)
{
	return (struct peer_conn_conf){ .conf = p->conf, .tls = p->tls, .cls = LOOP_LATENCY, .stats = &p->stats };
}

void link_dial(struct link *k)
{
	struct peer_conn_conf pc = conn_conf(k->p);
	k->attempts++;
	k->conn = peer_conn_dial(k->p->loop, &pc, k->peer->node, k->index, k->retry.key, &conn_cb, k);
	if (!k->conn) {
		int err = errno;
		link_note(k, peer_connect_why(err), err_text(-err));
		link_retry(k);
	}
}

void link_on_retry(void *arg, mono_t deadline)
{
	struct link *k = arg;
	(void)deadline;
	if (!k->conn)
		link_dial(k);
}

void link_restart(struct link *k)
{
	if (k->conn && !peer_conn_is_open(k->conn)) {
		link_drop_conn(k);
		link_retry(k);
	}
}

int link_adopt(struct link *k, int fd, struct ssl_st *ssl)
{
	struct peer_conn_conf pc = conn_conf(k->p);
	k->attempts++;
	link_drop_conn(k); /* the old one is dead, or the peer would not have come anew */
	k->conn = peer_conn_take(k->p->loop, &pc, fd, ssl, &conn_cb, k);
	if (!k->conn)
		return -ENOMEM;
	link_send_hello(k);
	return 0;
}
