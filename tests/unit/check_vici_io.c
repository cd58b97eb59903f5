/*
 * The VICI client against a small server in the same loop: answers, events, silence, nonsense, cuts. One thread serves both
 * ends, so a client that waited for anything would never see it.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "ike-hooks/vici_io.h"
#include "ike-hooks/vici_wire.h"

/* What the server does with a command. */
enum mode {
	M_GOOD = 0,
	M_PIECES,       /* answers in pieces of 7 bytes */
	M_SILENT,       /* reads, never answers */
	M_NO_ACCEPT,    /* listens only: a stopped daemon */
	M_HUGE,         /* a segment longer than allowed */
	M_BAD_TYPE,     /* an unknown packet type */
	M_BAD_MESSAGE,  /* a reply that is not well-formed */
	M_CUT,          /* closes in the middle of a reply */
	M_UNKNOWN,      /* knows no command */
	M_REFUSES_LIST, /* does not know the list-sa event */
	M_CHATTY,       /* unexpected packets before each reply */
};

#define CONNS 16
struct peer {
	int fd;
	struct loop_fd *lf;
	struct vici_framer f;
	uint8_t store[4096];
	bool events; /* has registered child-updown */
};

static struct loop *loop;
static struct vici *client;
static struct {
	enum mode mode;
	char path[108];
	int fd;
	struct loop_fd *lf;
	struct peer peer[CONNS];
	unsigned accepted, commands;
	char last[64];    /* newest command */
	char log[16][96]; /* of initiate, terminate, rekey, list-sas: "command ike child timeout" */
	unsigned logged;
	unsigned list_children;
	bool hold; /* commands are read, answered later by release() */
	int held_fd;
	char held[64];
} srv;

static struct {
	struct vici_ev ev[64];
	char ike[64][64], child[64][64], errmsg[64][96];
	unsigned n, ups, downs;
} got;

static void on_event(void *arg, const struct vici_ev *ev)
{
	(void)arg;
	got.ups += ev->kind == VICI_EV_UP;
	got.downs += ev->kind == VICI_EV_DOWN;
	if (got.n == 64)
		return;
	got.ev[got.n] = *ev;
	snprintf(got.ike[got.n], 64, "%s", ev->ike);
	snprintf(got.child[got.n], 64, "%s", ev->child);
	snprintf(got.errmsg[got.n], 96, "%s", ev->errmsg);
	got.n++;
}

/* ---- the server ---- */

static void put(int fd, const void *data, size_t n)
{
	const uint8_t *p = data;

	ck_assert_uint_gt(n, 0);
	for (size_t at = 0, step; at < n; at += step) {
		step = srv.mode == M_PIECES && n - at > 7 ? 7 : n - at;
		ck_assert_int_eq(send(fd, p + at, step, MSG_NOSIGNAL | MSG_DONTWAIT), (ssize_t)step);
	}
}

static void put_plain(int fd, enum vici_type type)
{
	uint8_t buf[8];
	struct vici_wr w;

	vici_begin(&w, buf, sizeof(buf), type, NULL);
	put(fd, buf, vici_end(&w));
}

static void put_child(struct vici_wr *w, const char *name, unsigned id)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", id);
	vici_put_section(w, name);
	vici_put_key(w, "name", name);
	vici_put_key(w, "uniqueid", text);
	vici_put_key(w, "state", "INSTALLED");
	vici_put_key(w, "packets-in", "100");
	vici_put_key(w, "packets-out", "200");
	vici_put_key(w, "spi-in", "c0ffee01");
	vici_put_section_end(w);
}

static void put_sa(int fd, const char *event, bool up, unsigned children)
{
	uint8_t buf[4096];
	struct vici_wr w;

	vici_begin(&w, buf, sizeof(buf), VICI_EVENT, event);
	if (up)
		vici_put_key(&w, "up", "yes");
	vici_put_section(&w, "hq");
	vici_put_key(&w, "uniqueid", "3");
	vici_put_key(&w, "state", "ESTABLISHED");
	vici_put_section(&w, "child-sas");
	for (unsigned i = 0; i < children; i++)
		put_child(&w, i ? "dmz" : "net", 5 + i);
	vici_put_section_end(&w);
	vici_put_section_end(&w);
	put(fd, buf, vici_end(&w));
}

static void emit(const char *event, bool up, unsigned children)
{
	for (unsigned i = 0; i < CONNS; i++)
		if (srv.peer[i].fd >= 0 && srv.peer[i].events)
			put_sa(srv.peer[i].fd, event, up, children);
}

static void good_answer(int fd, const char *command)
{
	uint8_t buf[512];
	struct vici_wr w;

	if (strcmp(command, "list-sas") == 0 && srv.list_children)
		put_sa(fd, "list-sa", false, srv.list_children);
	vici_begin(&w, buf, sizeof(buf), VICI_CMD_RESPONSE, NULL);
	if (strcmp(command, "version") == 0) {
		vici_put_key(&w, "daemon", "charon");
		vici_put_key(&w, "version", "5.9.8");
	} else if (strcmp(command, "terminate") == 0) {
		vici_put_key(&w, "success", "no");
		vici_put_key(&w, "matches", "0");
		vici_put_key(&w, "errmsg", "no matching SAs to terminate found");
	} else if (strcmp(command, "rekey") == 0) {
		vici_put_key(&w, "success", "no");
		vici_put_key(&w, "errmsg", "not found");
	} else if (strcmp(command, "initiate") == 0) {
		vici_put_key(&w, "success", "yes");
	}
	put(fd, buf, vici_end(&w));
}

static bool bad_answer(struct peer *p, const char *command)
{
	static const uint8_t huge[] = { 0xff, 0, 0, 0, 1 }, type[] = { 0, 0, 0, 1, 99 },
			     message[] = { 0, 0, 0, 3, 1, 3, 9 };

	switch (srv.mode) {
	case M_HUGE:
		put(p->fd, huge, sizeof(huge));
		return true;
	case M_BAD_TYPE:
		put(p->fd, type, sizeof(type));
		return true;
	case M_BAD_MESSAGE:
		if (strcmp(command, "version") == 0)
			return false;
		put(p->fd, message, sizeof(message));
		return true;
	case M_CUT:
		if (strcmp(command, "version") == 0)
			return false;
		put(p->fd, message, 5);
		loop_fd_free(p->lf);
		close(p->fd);
		p->fd = -1;
		return true;
	case M_UNKNOWN:
		if (strcmp(command, "version") == 0)
			return false;
		put_plain(p->fd, VICI_CMD_UNKNOWN);
		return true;
	case M_CHATTY:
		put_plain(p->fd, VICI_EVENT_CONFIRM);
		put_sa(p->fd, "log", false, 1);
		return false;
	case M_SILENT:
		return true;
	case M_GOOD:
	case M_PIECES:
	case M_NO_ACCEPT:
	case M_REFUSES_LIST:
		return false;
	}
	return false;
}

static void note(const struct vici_packet *pk)
{
	char ike[20], child[20], timeout[20];

	if (strcmp(pk->name, "version") == 0 || srv.logged == 16)
		return;
	vici_find(pk->msg, pk->msg_len, "ike", ike, sizeof(ike));
	vici_find(pk->msg, pk->msg_len, "child", child, sizeof(child));
	if (!vici_find(pk->msg, pk->msg_len, "timeout", timeout, sizeof(timeout)))
		vici_find(pk->msg, pk->msg_len, "noblock", timeout, sizeof(timeout));
	snprintf(srv.log[srv.logged++], 96, "%.12s %s %s %s", pk->name, ike, child, timeout);
}

static void serve_packet(struct peer *p, const struct vici_packet *pk)
{
	if (pk->type == VICI_EVENT_REGISTER) {
		if (srv.mode == M_SILENT)
			return;
		p->events = p->events || strcmp(pk->name, "child-updown") == 0;
		bool known = strcmp(pk->name, "ike-update") != 0 &&
			     !(srv.mode == M_REFUSES_LIST && strcmp(pk->name, "list-sa") == 0);
		put_plain(p->fd, known ? VICI_EVENT_CONFIRM : VICI_EVENT_UNKNOWN);
		return;
	}
	ck_assert_int_eq(pk->type, VICI_CMD_REQUEST);
	srv.commands++;
	snprintf(srv.last, sizeof(srv.last), "%.60s", pk->name);
	note(pk);
	if (srv.hold) {
		ck_assert_int_eq(srv.held_fd, -1); /* a second request before the first was answered */
		srv.held_fd = p->fd;
		snprintf(srv.held, sizeof(srv.held), "%.60s", pk->name);
		return;
	}
	if (!bad_answer(p, pk->name))
		good_answer(p->fd, pk->name);
}

static void release(void)
{
	int fd = srv.held_fd;

	ck_assert_int_ge(fd, 0);
	srv.held_fd = -1;
	good_answer(fd, srv.held);
}

static void on_peer(void *arg, int fd, unsigned events)
{
	struct peer *p = arg;
	uint8_t buf[1024];

	(void)events;
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (n <= 0) {
		loop_fd_free(p->lf);
		close(fd);
		p->fd = -1;
		return;
	}
	for (size_t at = 0, used; at < (size_t)n && p->fd >= 0; at += used) {
		struct vici_packet pk;
		enum vici_drop d = vici_feed(&p->f, buf + at, (size_t)n - at, &used, &pk);
		if (d == VICI_OK)
			serve_packet(p, &pk);
		else
			ck_assert_int_eq(d, VICI_MORE);
	}
}

static void on_listen(void *arg, int fd, unsigned events)
{
	(void)arg;
	(void)events;
	int c = accept(fd, NULL, NULL);
	ck_assert_int_ge(c, 0);
	srv.accepted++;
	for (unsigned i = 0; i < CONNS; i++) {
		struct peer *p = &srv.peer[i];
		if (p->fd >= 0)
			continue;
		p->fd = c;
		p->events = false;
		vici_framer_init(&p->f, p->store, sizeof(p->store));
		p->lf = loop_fd_new(loop, c, LOOP_READ, LOOP_NORMAL, on_peer, p);
		return;
	}
	ck_abort_msg("too many connections at once");
}

static void server_start(enum mode mode)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	srv.mode = mode;
	unlink(srv.path);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", srv.path);
	srv.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(srv.fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	ck_assert_int_eq(listen(srv.fd, mode == M_NO_ACCEPT ? 1 : 16), 0);
	srv.lf = mode == M_NO_ACCEPT ? NULL : loop_fd_new(loop, srv.fd, LOOP_READ, LOOP_NORMAL, on_listen, NULL);
}

static void server_stop(void)
{
	for (unsigned i = 0; i < CONNS; i++) {
		if (srv.peer[i].fd < 0)
			continue;
		loop_fd_free(srv.peer[i].lf);
		close(srv.peer[i].fd);
		srv.peer[i].fd = -1;
	}
	loop_fd_free(srv.lf);
	srv.lf = NULL;
	if (srv.fd >= 0)
		close(srv.fd);
	srv.fd = srv.held_fd = -1;
	unlink(srv.path);
}

/* ---- fixture ---- */

static void set_up(void)
{
	char dir[] = "/tmp/kt-vici-XXXXXX";

	memset(&srv, 0, sizeof(srv));
	memset(&got, 0, sizeof(got));
	srv.fd = srv.held_fd = -1;
	for (unsigned i = 0; i < CONNS; i++)
		srv.peer[i].fd = -1;
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(srv.path, sizeof(srv.path), "%s/vici", dir);
	loop = loop_new("test");
	client = vici_new(loop, srv.path, on_event, NULL);
	ck_assert_ptr_nonnull(client);
}

static void tear_down(void)
{
	vici_free(client);
	server_stop();
	loop_free(loop);
	*strrchr(srv.path, '/') = '\0';
	rmdir(srv.path);
}

#define UNTIL(cond)                                                                         \
	do {                                                                                \
		mono_t end_ = mono_add(clock_mono(), 10 * NS_PER_SEC);                      \
		while (!(cond)) {                                                           \
			ck_assert_msg(mono_before(clock_mono(), end_), "never: %s", #cond); \
			loop_once(loop, 5 * NS_PER_MS);                                     \
		}                                                                           \
	} while (0)

static void run(int64_t ms)
{
	mono_t end = mono_add(clock_mono(), ms * NS_PER_MS);

	while (mono_before(clock_mono(), end))
		loop_once(loop, 5 * NS_PER_MS);
}

static struct vici_tag tag(uint32_t seq)
{
	return (struct vici_tag){ .tunnel = 4, .seq = seq, .epoch = { 9, 1 } };
}

static void to_ready(enum mode mode)
{
	server_start(mode);
	UNTIL(vici_state(client) == VICI_READY);
	ck_assert_uint_eq(got.ups, 1);
	got.n = 0;
}

/* ---- tests ---- */

START_TEST(connects_and_names_the_daemon)
{
	to_ready(M_GOOD);
	ck_assert_str_eq(vici_version(client), "charon 5.9.8");
	ck_assert_uint_eq(srv.accepted, 2);
	ck_assert_int_eq(vici_last_error(client), 0);
	ck_assert_str_eq(vici_state_name(vici_state(client)), "ready");
}
END_TEST

START_TEST(requests_and_replies)
{
	to_ready(_i ? M_PIECES : M_GOOD);
	srv.list_children = 2;
	ck_assert_int_eq(vici_terminate(client, "hq", tag(1)), 0);
	ck_assert_int_eq(vici_initiate(client, "hq", "net", tag(2)), 0);
	ck_assert_int_eq(vici_rekey(client, "hq", "net", tag(3)), 0);
	ck_assert_int_eq(vici_list(client, "hq", "net", tag(4)), 0);
	UNTIL(got.n == 4);
	static const enum ike_req req[] = { IKE_REQ_TERMINATE, IKE_REQ_INITIATE, IKE_REQ_REKEY, IKE_REQ_LIST };
	static const bool ok[] = { true, true, false, true };
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_int_eq(got.ev[i].kind, VICI_EV_REPLY);
		ck_assert_int_eq(got.ev[i].req, req[i]);
		ck_assert_uint_eq(got.ev[i].tag.seq, i + 1);
		ck_assert_uint_eq(got.ev[i].tag.tunnel, 4);
		ck_assert_uint_eq(got.ev[i].tag.epoch.counter, 9);
		ck_assert(got.ev[i].ok == ok[i]);
	}
	ck_assert_str_eq(got.errmsg[2], "not found");
	ck_assert(got.ev[3].sample.present && got.ev[3].sample.child);
	ck_assert_uint_eq(got.ev[3].sample.sa_id, 5);
	ck_assert_uint_eq(got.ev[3].sample.out_packets, 200);
	ck_assert_str_eq(srv.log[0], "terminate hq  -1");
	ck_assert_str_eq(srv.log[1], "initiate hq net -1");
	ck_assert_str_eq(srv.log[2], "rekey hq net ");
	ck_assert_str_eq(srv.log[3], "list-sas hq  yes");
	srv.list_children = 0;
	ck_assert_int_eq(vici_list(client, "hq", "net", tag(5)), 0);
	UNTIL(got.n == 5);
	ck_assert(got.ev[4].ok && !got.ev[4].sample.present);
}
END_TEST

START_TEST(one_outstanding_and_lists_wait)
{
	to_ready(M_GOOD);
	srv.hold = true;
	ck_assert_int_eq(vici_list(client, "hq", "a", tag(1)), 0);
	ck_assert_int_eq(vici_list(client, "hq", "b", tag(2)), 0);
	ck_assert_int_eq(vici_terminate(client, "hq", tag(3)), 0);
	ck_assert_int_eq(vici_initiate(client, "hq", "net", tag(4)), 0);
	static const uint32_t order[] = { 1, 3, 4, 2 };
	for (unsigned i = 0; i < 4; i++) {
		UNTIL(srv.held_fd >= 0);
		run(20); /* a second one would trip the server's check */
		release();
		UNTIL(got.n == i + 1);
		ck_assert_uint_eq(got.ev[i].tag.seq, order[i]);
	}
}
END_TEST

START_TEST(events)
{
	to_ready(_i ? M_PIECES : M_GOOD);
	emit("ike-updown", true, 0);
	UNTIL(vici_counters(client)->events == 1);
	emit("child-updown", true, 2);
	UNTIL(vici_counters(client)->events == 2);
	emit("child-updown", false, 1);
	UNTIL(vici_counters(client)->events == 3);
	emit("child-rekey", false, 1);
	UNTIL(vici_counters(client)->events == 4);
	emit("ike-rekey", false, 0);
	UNTIL(vici_counters(client)->events == 5);
	emit("ike-update", false, 0);
	UNTIL(vici_counters(client)->events == 6);
	emit("ike-updown", false, 2);
	UNTIL(vici_counters(client)->events == 7);
	ck_assert_uint_eq(got.n, 8);
	static const enum vici_ev_kind kind[] = { VICI_EV_IKE_UPDOWN,   VICI_EV_CHILD_UPDOWN, VICI_EV_CHILD_UPDOWN,
						  VICI_EV_CHILD_UPDOWN, VICI_EV_CHILD_REKEY,  VICI_EV_IKE_REKEY,
						  VICI_EV_IKE_UPDATE,   VICI_EV_IKE_UPDOWN };
	static const char *const child[] = { "", "net", "dmz", "net", "net", "", "", "" };
	static const uint32_t id[] = { 0, 5, 6, 5, 5, 0, 0, 0 };
	for (unsigned i = 0; i < 8; i++) {
		ck_assert_int_eq(got.ev[i].kind, kind[i]);
		ck_assert_str_eq(got.ike[i], "hq");
		ck_assert_str_eq(got.child[i], child[i]);
		ck_assert_uint_eq(got.ev[i].sa_id, id[i]);
		ck_assert_uint_eq(got.ev[i].spi_in, id[i] ? 0xc0ffee01 : 0);
		ck_assert(got.ev[i].up == (i < 3));
	}
}
END_TEST

START_TEST(absent_then_there)
{
	run(150);
	ck_assert_int_eq(vici_state(client), VICI_ABSENT);
	ck_assert_int_eq(vici_last_error(client), -ENOENT);
	ck_assert_int_eq(vici_terminate(client, "hq", tag(1)), ERR_STATE);
	ck_assert_uint_eq(got.n, 0);
	to_ready(M_GOOD);
}
END_TEST

START_TEST(restart_is_seen_and_answered_by_down)
{
	to_ready(M_GOOD);
	srv.hold = true;
	ck_assert_int_eq(vici_terminate(client, "hq", tag(1)), 0);
	ck_assert_int_eq(vici_initiate(client, "hq", "net", tag(2)), 0);
	UNTIL(srv.held_fd >= 0);
	server_stop();
	UNTIL(got.downs == 1);
	ck_assert_uint_eq(got.n, 1); /* no replies for what was queued: DOWN answers them */
	ck_assert_int_eq(vici_last_error(client), ERR_GONE);
	srv.hold = false;
	server_start(M_GOOD);
	UNTIL(got.ups == 2);
}
END_TEST

START_TEST(silence_while_connecting_is_shown_as_stopped)
{
	server_start(M_SILENT);
	UNTIL(vici_state(client) == VICI_STOPPED);
	ck_assert_int_eq(vici_last_error(client), ERR_TIMEOUT);
	UNTIL(srv.accepted >= 4); /* tries again, and stays "stopped" meanwhile */
	ck_assert_int_eq(vici_state(client), VICI_STOPPED);
	ck_assert_uint_eq(got.n, 0);
	srv.mode = M_GOOD;
	UNTIL(vici_state(client) == VICI_READY);
}
END_TEST

START_TEST(silence_to_a_request_ends_the_connection)
{
	to_ready(M_GOOD);
	srv.mode = M_SILENT;
	mono_t begun = clock_mono();
	ck_assert_int_eq(vici_initiate(client, "hq", "net", tag(1)), 0);
	UNTIL(got.downs == 1);
	ck_assert_int_ge(mono_sub(clock_mono(), begun), VICI_REPLY_NS);
	ck_assert_int_eq(vici_state(client), VICI_STOPPED);
	ck_assert_uint_eq(vici_counters(client)->timeouts, 1);
	srv.mode = M_GOOD;
	UNTIL(got.ups == 2);
}
END_TEST

START_TEST(full_backlog_does_not_block)
{
	server_start(M_NO_ACCEPT);
	run(1500);
	ck_assert_int_eq(vici_state(client), VICI_STOPPED);
	ck_assert_int_lt(atomic_load(&loop_lateness(loop)->max_ns), 400 * NS_PER_MS);
}
END_TEST

START_TEST(nonsense_while_connecting)
{
	static const enum mode mode[] = { M_HUGE, M_BAD_TYPE, M_REFUSES_LIST };

	server_start(mode[_i]);
	UNTIL(srv.accepted >= 4);
	ck_assert_uint_eq(got.n, 0);
	ck_assert_int_ne(vici_state(client), VICI_READY);
	ck_assert(vici_counters(client)->bad_frames > 0 || mode[_i] == M_REFUSES_LIST);
	srv.mode = M_GOOD;
	UNTIL(vici_state(client) == VICI_READY);
}
END_TEST

START_TEST(nonsense_in_a_reply)
{
	to_ready(M_GOOD);
	srv.mode = _i ? M_UNKNOWN : M_BAD_MESSAGE;
	ck_assert_int_eq(vici_terminate(client, "hq", tag(1)), 0);
	UNTIL(got.n == 1);
	ck_assert(!got.ev[0].ok);
	ck_assert_uint_eq(vici_counters(client)->bad_messages, _i ? 0 : 1);
	ck_assert_uint_gt(strlen(got.errmsg[0]), 5);
	ck_assert_int_eq(vici_state(client), VICI_READY); /* the frames are in order */
}
END_TEST

START_TEST(cut_in_the_middle_of_a_reply)
{
	to_ready(M_GOOD);
	srv.mode = M_CUT;
	ck_assert_int_eq(vici_terminate(client, "hq", tag(1)), 0);
	UNTIL(got.downs == 1);
	ck_assert_uint_eq(got.n, 1);
	srv.mode = M_GOOD;
	UNTIL(got.ups == 2);
}
END_TEST

START_TEST(unexpected_packets_are_counted)
{
	to_ready(M_GOOD);
	srv.mode = M_CHATTY;
	ck_assert_int_eq(vici_initiate(client, "hq", "net", tag(1)), 0);
	UNTIL(got.n == 1);
	ck_assert(got.ev[0].ok);
	ck_assert_uint_eq(vici_counters(client)->unexpected, 2);
	emit("alert", false, 1); /* one of a kind that has no name here */
	UNTIL(vici_counters(client)->alerts[VICI_ALERT_OTHER] == 1);
	emit("control-log", false, 1);
	UNTIL(vici_counters(client)->unexpected == 3);
}
END_TEST

START_TEST(queue_is_bounded)
{
	to_ready(M_GOOD);
	srv.hold = true;
	ck_assert_int_eq(vici_list(client, "hq", "net", tag(0)), 0); /* goes out */
	for (unsigned i = 0; i < VICI_QUEUE_MAX; i++)
		ck_assert_int_eq(vici_list(client, "hq", "net", tag(i)), 0);
	ck_assert_int_eq(vici_list(client, "hq", "net", tag(0)), ERR_FULL);
	ck_assert_int_eq(vici_terminate(client, "hq", tag(0)), ERR_FULL);
	ck_assert_uint_eq(vici_counters(client)->refused, 2);
}
END_TEST

START_TEST(keep_alive_finds_a_stopped_daemon)
{
	to_ready(M_GOOD);
	unsigned before = srv.commands;
	mono_t begun = clock_mono();
	UNTIL(srv.commands > before);
	ck_assert_str_eq(srv.last, "version");
	ck_assert_int_ge(mono_sub(clock_mono(), begun), VICI_ALIVE_NS - 100 * NS_PER_MS);
	ck_assert_int_eq(vici_state(client), VICI_READY);
	srv.mode = M_SILENT;
	UNTIL(got.downs == 1);
}
END_TEST

/* A reply larger than the first buffer. */
START_TEST(large_list)
{
	to_ready(M_GOOD);
	srv.list_children = 30;
	ck_assert_int_eq(vici_list(client, "hq", "net", tag(1)), 0);
	UNTIL(got.n == 1);
	ck_assert(got.ev[0].sample.child);
	ck_assert_uint_eq(got.ev[0].sample.sa_id, 5);
	ck_assert_uint_gt(vici_counters(client)->rx_bytes, 2500);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vici_io");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 40);
	tcase_add_test(t, connects_and_names_the_daemon);
	tcase_add_loop_test(t, requests_and_replies, 0, 2);
	tcase_add_test(t, one_outstanding_and_lists_wait);
	tcase_add_loop_test(t, events, 0, 2);
	tcase_add_test(t, absent_then_there);
	tcase_add_test(t, restart_is_seen_and_answered_by_down);
	tcase_add_test(t, silence_while_connecting_is_shown_as_stopped);
	tcase_add_test(t, silence_to_a_request_ends_the_connection);
	tcase_add_test(t, full_backlog_does_not_block);
	tcase_add_loop_test(t, nonsense_while_connecting, 0, 3);
	tcase_add_loop_test(t, nonsense_in_a_reply, 0, 2);
	tcase_add_test(t, cut_in_the_middle_of_a_reply);
	tcase_add_test(t, unexpected_packets_are_counted);
	tcase_add_test(t, queue_is_bounded);
	tcase_add_test(t, keep_alive_finds_a_stopped_daemon);
	tcase_add_test(t, large_list);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
