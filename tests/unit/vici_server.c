#include "tests/unit/vici_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct vici_server srv;

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

void vici_server_emit(const char *event, bool up, unsigned children)
{
	for (unsigned i = 0; i < VICI_SERVER_CONNS; i++)
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

static bool bad_answer(struct vici_client *p, const char *command)
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

static void serve_packet(struct vici_client *p, const struct vici_packet *pk)
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

void vici_server_release(void)
{
	int fd = srv.held_fd;

	ck_assert_int_ge(fd, 0);
	srv.held_fd = -1;
	good_answer(fd, srv.held);
}

static void on_peer(void *arg, int fd, unsigned events)
{
	struct vici_client *p = arg;
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
	for (unsigned i = 0; i < VICI_SERVER_CONNS; i++) {
		struct vici_client *p = &srv.peer[i];
		if (p->fd >= 0)
			continue;
		p->fd = c;
		p->events = false;
		vici_framer_init(&p->f, p->store, sizeof(p->store));
		p->lf = loop_fd_new(srv.loop, c, LOOP_READ, LOOP_NORMAL, on_peer, p);
		return;
	}
	ck_abort_msg("too many connections at once");
}

void vici_server_start(enum vici_mode mode)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	srv.mode = mode;
	unlink(srv.path);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", srv.path);
	srv.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(srv.fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	ck_assert_int_eq(listen(srv.fd, mode == M_NO_ACCEPT ? 1 : 16), 0);
	srv.lf = mode == M_NO_ACCEPT ? NULL : loop_fd_new(srv.loop, srv.fd, LOOP_READ, LOOP_NORMAL, on_listen, NULL);
}

void vici_server_stop(void)
{
	for (unsigned i = 0; i < VICI_SERVER_CONNS; i++) {
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

void vici_server_init(struct loop *loop)
{
	char dir[] = "/tmp/kt-vici-XXXXXX";

	memset(&srv, 0, sizeof(srv));
	srv.loop = loop;
	srv.fd = srv.held_fd = -1;
	for (unsigned i = 0; i < VICI_SERVER_CONNS; i++)
		srv.peer[i].fd = -1;
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(srv.path, sizeof(srv.path), "%s/vici", dir);
}

void vici_server_free(void)
{
	vici_server_stop();
	*strrchr(srv.path, '/') = '\0';
	rmdir(srv.path);
}
