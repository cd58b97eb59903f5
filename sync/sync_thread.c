/*
 * The thread itself: start and stop on CONTROL, mailboxes, commands.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/thread.h"
#include "sync/ossl.h"
#include "sync/sync_run.h"

enum { CMD_SLOTS = 256, REP_SLOTS = 256 };
#define STALL_SLICE_NS (10 * NS_PER_MS)
#define STOP_SLICE_NS  NS_PER_MS

void sync_run_report(struct sync_run *r, const struct sync_report *rep)
{
	if (ring_push(&r->t->reps, rep))
		return;
	/* CONTROL hangs. Levels are told again; an answer that is lost meets the deadline of its transaction. */
	r->st.reports_lost++;
	if (rep->type == SYNC_REP_STATE)
		r->state_unsent = true;
	if (rep->type == SYNC_REP_CTL_CONN) {
		SSL_free(rep->ssl);
		close(rep->fd);
	}
	if (rep->type == SYNC_REP_LISTENER && rep->fd >= 0)
		close(rep->fd);
	free(rep->facts);
}

struct epoch sync_run_role_epoch(const struct sync_run *r)
{
	struct sync_thread *t = r->t;
	for (;;) {
		uint32_t before = atomic_load_explicit(&t->epoch_seq, memory_order_acquire);
		struct epoch e = { atomic_load_explicit(&t->epoch_counter, memory_order_relaxed),
				   atomic_load_explicit(&t->epoch_node, memory_order_relaxed) };
		atomic_thread_fence(memory_order_acquire);
		if ((before & 1) == 0 && before == atomic_load_explicit(&t->epoch_seq, memory_order_relaxed))
			return e;
	}
}

void sync_thread_role_epoch(struct sync_thread *t, struct epoch e)
{
	uint32_t seq = atomic_load_explicit(&t->epoch_seq, memory_order_relaxed);
	atomic_store_explicit(&t->epoch_seq, seq + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&t->epoch_counter, e.counter, memory_order_relaxed);
	atomic_store_explicit(&t->epoch_node, e.node, memory_order_relaxed);
	atomic_store_explicit(&t->epoch_seq, seq + 2, memory_order_release);
}

/* Hangs on purpose, as the command says; only the end of the thread breaks it. */
static void stall(struct sync_run *r, int64_t ns)
{
	log_notice(LOG_SYNC, "the SYNC thread stalls for %" PRId64 " ms by command", ns / NS_PER_MS);
	r->st.stalls++;
	mono_t until = mono_add(clock_mono(), ns);
	while (!mono_due(until, clock_mono()) && !atomic_load(&r->t->stopping)) {
		struct timespec slice = { .tv_nsec = STALL_SLICE_NS };
		nanosleep(&slice, NULL);
	}
}

static void on_peer(void *arg, int fd, struct ssl_st *ssl, uint32_t node, unsigned link, bool data)
{
	struct sync_run *r = arg;
	if (data) {
		data_adopt(r, fd, ssl, node, link);
		return;
	}
	struct sync_report rep = { .type = SYNC_REP_CTL_CONN, .fd = fd, .ssl = ssl, .peer_node = node };
	sync_run_report(r, &rep);
}

static const struct peer_listen_cb listen_cb = { .on_peer = on_peer };

/* At the start, and when they may have changed. */
static void tell_listeners(struct sync_run *r)
{
	for (unsigned i = 0; i < SYNC_LINKS_MAX; i++) {
		struct sync_report rep = { .type = SYNC_REP_LISTENER, .seq = i, .fd = peer_listen_copy(r->listen, i) };
		sync_run_report(r, &rep);
	}
}

/* A configuration is taken whole or not at all. Turning replication on or off needs a new thread. */
static void take_conf(struct sync_run *r, const struct sync_conf *conf)
{
	char err[256] = "";
	struct peer_tls *tls = NULL;
	const struct sync_conf *old = r->conf;
	int rc = conf->replicate == old->replicate && conf->self == old->self ? 0 : ERR_STATE;
	if (rc == 0)
		rc = peer_tls_new(conf, &tls, err, sizeof(err));
	if (rc == 0 && r->core)
		rc = sync_reconf(r->core, conf, clock_mono());
	if (rc == 0) {
		rc = peer_listen_conf(r->listen, conf, tls, err, sizeof(err));
		if (rc != 0 && r->core)
			(void)sync_reconf(r->core, old, clock_mono());
	}
	if (rc != 0) {
		log_err(LOG_SYNC, "the new channel configuration is refused, the old one stays: %s",
			err[0] ? err : err_text(rc));
		peer_tls_free(tls);
		free((void *)(uintptr_t)conf);
		return;
	}
	struct peer_tls *old_tls = r->tls;
	struct sync_conf *old_owned = r->owned_conf;
	r->conf = conf;
	r->owned_conf = (struct sync_conf *)(uintptr_t)conf;
	r->tls = tls;
	if (data_conf(r, old, true) != 0)
		log_err(LOG_SYNC, "no memory for a connection of the new configuration");
	peer_tls_free(old_tls);
	free(old_owned);
	addr_watch_again(r->addrs);
	if (r->tells_listeners)
		tell_listeners(r);
	drive_kick(r);
}

static void wait_for(struct sync_run *r, struct sync_waits *q, const struct sync_cmd *c, enum sync_report_type type)
{
	if (!r->core) {
		struct sync_report rep = { .type = type, .epoch = c->epoch, .seq = c->seq, .peer_node = c->peer_node };
		sync_run_report(r, &rep);
		return;
	}
	struct sync_wait w = { .epoch = c->epoch, .node = c->peer_node, .seq = c->seq };
	w.until = mono_add(clock_mono(), type == SYNC_REP_APPLIED ? SYNC_APPLY_NS : SYNC_FLUSH_READ_NS);
	sync_wait_add(q, &w);
	drive_pump(r);
	drive_kick(r); /* pump does nothing when it is what led here */
}

static void command_role(struct sync_run *r, const struct sync_cmd *c)
{
	mono_t now = clock_mono();
	if (c->type == SYNC_CMD_AUTHORITY) {
		struct sync_report rep = { .type = SYNC_REP_AUTHORITY, .epoch = c->authority.epoch };
		if (r->core)
			sync_authority(r->core, &c->authority, now);
		sync_run_report(r, &rep);
	} else if (c->type == SYNC_CMD_FLUSH) {
		if (r->core)
			sync_flush_begin(r->core, now);
		wait_for(r, &r->flush, c, SYNC_REP_FLUSHED);
	} else if (c->type == SYNC_CMD_APPLY) {
		if (r->core && drive_late(c->at))
			sync_fence(r->core, c->epoch, now);
		(void)data_drain(r, mono_add(now, SYNC_FENCE_READ_NS));
		wait_for(r, &r->apply, c, SYNC_REP_APPLIED);
	} else if (r->core && c->type == SYNC_CMD_JOIN) {
		sync_join(r->core, now);
	} else if (r->core && c->type == SYNC_CMD_DEMOTING) {
		sync_demoting(r->core, now);
	} else if (r->core && c->type == SYNC_CMD_STABLE) {
		sync_wait_end(&r->flush, c->epoch); /* a commit goes on, and is told when it is over */
		sync_wait_end(&r->apply, c->epoch);
		if (c->rest)
			sync_stable(r->core, now);
	} else if (r->core && c->type == SYNC_CMD_PEER_ALIVE) {
		sync_peer_alive(r->core, c->peer_node, now);
	}
	drive_kick(r);
}

static void command(struct sync_run *r, const struct sync_cmd *c)
{
	struct sync_report rep = { .type = SYNC_REP_PONG, .seq = c->seq };
	switch (c->type) {
	case SYNC_CMD_PING:
		sync_run_report(r, &rep);
		break;
	case SYNC_CMD_FENCE:
		drive_fence(r, c->epoch, c->at);
		break;
	case SYNC_CMD_AUTHORITY:
	case SYNC_CMD_JOIN:
	case SYNC_CMD_FLUSH:
	case SYNC_CMD_APPLY:
	case SYNC_CMD_DEMOTING:
	case SYNC_CMD_STABLE:
	case SYNC_CMD_PEER_ALIVE:
		command_role(r, c);
		break;
	case SYNC_CMD_DELETE_CT:
		delete_begin(r, &c->tuple, c->list);
		break;
	case SYNC_CMD_CLIENT:
		if (!client_other(r, c))
			client_new(r, c);
		break;
	case SYNC_CMD_CLEAR:
		act_clear(r, c);
		break;
	case SYNC_CMD_STALL:
		stall(r, c->stall_ns);
		break;
	case SYNC_CMD_CONF:
		take_conf(r, c->conf);
		break;
	case SYNC_CMD_FACTS:
		tell_begin(r, c);
		break;
	case SYNC_CMD_LISTENERS:
		r->tells_listeners = true;
		tell_listeners(r);
		break;
	case SYNC_CMD_STOP:
		loop_stop(r->loop);
		break;
	}
}

static void run_commands(struct sync_run *r)
{
	struct sync_cmd c;
	while (ring_pop(&r->t->cmds, &c))
		command(r, &c);
}

static void on_cmd(void *arg, int fd, unsigned events)
{
	struct sync_run *r = arg;
	(void)fd;
	(void)events;
	ring_ack(&r->t->cmds);
	run_commands(r);
}

static void run_free(struct sync_run *r)
{
	if (!r)
		return;
	client_free_all(r);
	explain_free_all(r);
	tell_free(r);
	data_done(r, "the node stops replication");
	peer_listen_free(r->listen);
	addr_watch_free(r->addrs);
	drive_done(r);
	peer_tls_free(r->tls);
	loop_fd_free(r->cmd_fd);
	loop_free(r->loop);
	OPENSSL_cleanse(&r->self, sizeof(r->self));
	free(r->owned_conf);
	free(r);
}

static int run_new(struct sync_thread *t, const struct sync_conf *conf, uint64_t boot_nonce, const uint64_t digest[4])
{
	char err[256] = "";
	uint8_t key[16];
	struct sync_run *r = calloc(1, sizeof(*r));
	if (!r || RAND_bytes(key, sizeof(key)) != 1) {
		free(r);
		return -ENOMEM;
	}
	t->run = r;
	r->t = t;
	r->conf = conf;
	r->self.node = conf->self;
	r->self.boot_nonce = boot_nonce;
	memcpy(r->self.config_digest, digest, sizeof(r->self.config_digest));
	memcpy(r->self.digest_key, key, sizeof(key));
	r->loop = loop_new("sync");
	if (!r->loop)
		return -ENOMEM;
	r->cmd_fd = loop_fd_new(r->loop, ring_fd(&t->cmds), LOOP_READ, LOOP_LATENCY, on_cmd, r);
	if (!r->cmd_fd)
		return -ENOMEM;
	int rc = peer_tls_new(conf, &r->tls, err, sizeof(err));
	if (rc == 0)
		rc = drive_init(r, key);
	if (rc == 0 && r->core) {
		r->addrs = addr_watch_new(r);
		if (!r->addrs)
			rc = -errno;
	}
	if (rc == 0) {
		r->listen = peer_listen_new(r->loop, conf, r->tls, &listen_cb, r, err, sizeof(err));
		rc = r->listen ? data_conf(r, NULL, false) : -EADDRNOTAVAIL;
	}
	if (rc != 0)
		log_err(LOG_SYNC, "the SYNC thread cannot start: %s", err[0] ? err : err_text(rc));
	drive_kick(r);
	return rc;
}

static void *thread_main(void *arg)
{
	struct sync_thread *t = arg;
	pthread_setname_np(pthread_self(), "kt-sync");
	loop_run(t->run->loop);
	struct sync_report rep = { .type = SYNC_REP_STOPPED };
	sync_run_report(t->run, &rep);
	atomic_store(&t->ended, true);
	return NULL;
}

static void on_reports(void *arg, int fd, unsigned events)
{
	struct sync_thread *t = arg;
	struct sync_report rep;
	(void)fd;
	(void)events;
	ring_ack(&t->reps);
	while (ring_pop(&t->reps, &rep))
		t->fn(t->arg, &rep);
}

static int thread_create(struct sync_thread *t)
{
	int rc = thread_start(&t->thread, thread_main, t);
	t->running = rc == 0;
	return rc;
}

static void thread_free(struct sync_thread *t)
{
	struct sync_cmd c;
	struct sync_report rep;
	loop_fd_free(t->rep_fd);
	run_free(t->run);
	while (t->cmds.slots && ring_pop(&t->cmds, &c)) {
		if (c.type == SYNC_CMD_CLIENT)
			close(c.fd);
		else if (c.type == SYNC_CMD_CONF)
			free((void *)(uintptr_t)c.conf);
		else if (c.type == SYNC_CMD_DELETE_CT)
			free(c.list);
	}
	while (t->reps.slots && ring_pop(&t->reps, &rep)) {
		if (rep.type == SYNC_REP_CTL_CONN) {
			SSL_free(rep.ssl);
			close(rep.fd);
		}
		if (rep.type == SYNC_REP_LISTENER && rep.fd >= 0)
			close(rep.fd);
		free(rep.facts);
	}
	if (t->cmds.slots)
		ring_free(&t->cmds);
	if (t->reps.slots)
		ring_free(&t->reps);
	free(t);
}

struct sync_thread *sync_thread_start(struct loop *l, const struct sync_conf *conf, uint64_t boot_nonce,
				      const uint64_t config_digest[4], sync_report_fn fn, void *arg)
{
	struct sync_thread *t = calloc(1, sizeof(*t));
	if (!t) {
		errno = ENOMEM;
		return NULL;
	}
	t->control = l;
	t->fn = fn;
	t->arg = arg;
	int rc = ring_init(&t->cmds, sizeof(struct sync_cmd), CMD_SLOTS);
	if (rc == 0)
		rc = ring_init(&t->reps, sizeof(struct sync_report), REP_SLOTS);
	if (rc == 0)
		rc = run_new(t, conf, boot_nonce, config_digest);
	if (rc == 0) {
		t->rep_fd = loop_fd_new(l, ring_fd(&t->reps), LOOP_READ, LOOP_LATENCY, on_reports, t);
		rc = t->rep_fd ? thread_create(t) : -ENOMEM;
	}
	if (rc != 0) {
		thread_free(t);
		errno = rc > -1000 ? -rc : EINVAL;
		return NULL;
	}
	return t;
}

void sync_thread_ask_stop(struct sync_thread *t)
{
	atomic_store(&t->stopping, true);
	loop_stop(t->run->loop);
}

bool sync_thread_ended(const struct sync_thread *t)
{
	return atomic_load(&t->ended);
}

int sync_thread_stop(struct sync_thread *t, int64_t wait_ns)
{
	if (!t)
		return 0;
	mono_t until = mono_add(clock_mono(), wait_ns);
	if (!atomic_load(&t->ended))
		sync_thread_ask_stop(t);
	while (!atomic_load(&t->ended) && !mono_due(until, clock_mono())) {
		struct timespec slice = { .tv_nsec = STOP_SLICE_NS };
		nanosleep(&slice, NULL);
	}
	if (!atomic_load(&t->ended)) {
		/* It hangs in the kernel: its memory must outlive it. */
		log_err(LOG_SYNC, "the SYNC thread did not end in %" PRId64 " ms and is left behind",
			wait_ns / NS_PER_MS);
		loop_fd_free(t->rep_fd);
		t->rep_fd = NULL;
		pthread_detach(t->thread);
		return -ETIMEDOUT;
	}
	pthread_join(t->thread, NULL);
	thread_free(t);
	return 0;
}

void sync_thread_ct_counts(const struct sync_thread *t, struct sync_ct_counts *out)
{
	*out = (struct sync_ct_counts){ t->ct_deleted, t->ct_absent, t->ct_failed, t->ct_late };
}

int sync_thread_send(struct sync_thread *t, const struct sync_cmd *cmd)
{
	struct sync_cmd c = *cmd;
	c.at = clock_mono();
	return ring_push(&t->cmds, &c) ? 0 : -EAGAIN;
}
