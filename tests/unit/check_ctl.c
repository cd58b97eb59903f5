/* The control socket: requests over a socketpair and over a real path; limits, credentials, hand-over. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/ctl.h"
#include "tests/unit/run.h"

#define DEADLINE_NS (5 * NS_PER_SEC)

/* What the handler saw last, and what it shall do. */
static struct {
	unsigned calls;
	enum ctl_cmd cmd;
	uint32_t id;
	bool admin;
	int64_t limit;
	int result;
	size_t blob; /* bytes of a text in the reply */
	uint64_t token;
	int fd;
	const char *message;
} seen;

static int handle(void *app, struct ctl_request *req, json_t **reply)
{
	ck_assert_ptr_eq(app, &seen);
	seen.calls++;
	seen.cmd = req->cmd;
	seen.id = req->id;
	seen.admin = req->admin;
	seen.token = req->token;
	seen.limit = json_integer_value(json_object_get(req->args, "limit"));
	if (ctl_cmd_def(req->cmd)->thread == CTL_ON_SESSION) {
		seen.fd = ctl_detach(req);
		ck_assert_int_ge(seen.fd, 0);
		ck_assert_int_eq(ctl_detach(req), -1);
		return 0;
	}
	if (seen.message)
		snprintf(req->message, sizeof(req->message), "%s", seen.message);
	if (seen.result == 0 && seen.blob) {
		char *text = malloc(seen.blob);
		memset(text, 'x', seen.blob);
		*reply = json_pack("{s:s#}", "text", text, (int)seen.blob);
		free(text);
	} else if (seen.result == 0) {
		*reply = json_pack("{s:s}", "node", "fw-a");
	}
	return seen.result;
}

struct rig {
	struct loop *loop;
	struct ctl *ctl;
	int fd; /* the client's end */
	char buf[1 << 16];
	size_t len;
};

static void connect_rig(struct rig *r)
{
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
	ck_assert_int_eq(ctl_add_client(r->ctl, sv[0]), 0);
	r->fd = sv[1];
	r->len = 0;
}

static void setup(struct rig *r)
{
	struct ctl_conf conf = { .view_gid = (gid_t)-1,
				 .admin_gid = (gid_t)-1,
				 .handle = handle,
				 .app = &seen,
				 .stall_ns = 300 * NS_PER_MS };

	memset(&seen, 0, sizeof(seen));
	r->loop = loop_new("test");
	r->ctl = ctl_new(r->loop, &conf);
	ck_assert_ptr_nonnull(r->ctl);
	connect_rig(r);
}

static void teardown(struct rig *r)
{
	if (r->fd >= 0)
		close(r->fd);
	ctl_free(r->ctl);
	loop_free(r->loop);
}

static void put(struct rig *r, const char *text)
{
	ck_assert_int_eq(send(r->fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Runs the loop until one whole line has come. NULL at the end of the stream. */
static json_t *get(struct rig *r)
{
	mono_t end = mono_add(clock_mono(), DEADLINE_NS);

	for (;;) {
		char *nl = memchr(r->buf, '\n', r->len);
		if (nl) {
			json_error_t err;
			json_t *j = json_loadb(r->buf, (size_t)(nl - r->buf), 0, &err);
			ck_assert_msg(j != NULL, "%s in %.*s", err.text, (int)(nl - r->buf), r->buf);
			r->len -= (size_t)(nl + 1 - r->buf);
			memmove(r->buf, nl + 1, r->len);
			return j;
		}
		ssize_t n = recv(r->fd, r->buf + r->len, sizeof(r->buf) - r->len, MSG_DONTWAIT);
		if (n == 0)
			return NULL;
		if (n > 0)
			r->len += (size_t)n;
		else
			loop_once(r->loop, NS_PER_MS);
		ck_assert_msg(mono_before(clock_mono(), end), "no answer");
	}
}

/* The next line is an end record with this id and code; message must contain word. */
static void expect_end(struct rig *r, uint32_t id, int code, const char *word)
{
	json_t *j = get(r);

	ck_assert_ptr_nonnull(j);
	ck_assert(json_is_true(json_object_get(j, "end")));
	ck_assert_int_eq(json_integer_value(json_object_get(j, "v")), 1);
	ck_assert_int_eq(json_integer_value(json_object_get(j, "id")), id);
	ck_assert_int_eq(json_integer_value(json_object_get(j, "code")), code);
	ck_assert_str_eq(json_string_value(json_object_get(j, "status")), code ? "error" : "ok");
	if (code) {
		const char *message = json_string_value(json_object_get(j, "message"));
		ck_assert_msg(message && strstr(message, word), "'%s' lacks '%s'", message, word);
	} else {
		ck_assert_ptr_null(json_object_get(j, "message"));
	}
	json_decref(j);
}

static void expect_data(struct rig *r, uint32_t id)
{
	json_t *j = get(r);

	ck_assert_ptr_nonnull(j);
	ck_assert_int_eq(json_integer_value(json_object_get(j, "id")), id);
	ck_assert_ptr_null(json_object_get(j, "end"));
	ck_assert_str_eq(json_string_value(json_object_get(json_object_get(j, "data"), "node")), "fw-a");
	json_decref(j);
}

START_TEST(request_and_answer)
{
	struct rig r;

	setup(&r);
	put(&r, "{\"v\":1,\"id\":7,\"cmd\":\"show vrrp\",\"args\":{\"detail\":true}}\n");
	expect_data(&r, 7);
	expect_end(&r, 7, CTL_OK, "");
	ck_assert_uint_eq(seen.calls, 1);
	ck_assert_int_eq(seen.cmd, CTL_SHOW_VRRP);
	ck_assert(seen.admin);
	/* without args, and two in one piece: answered in turn */
	put(&r, "{\"v\":1,\"id\":8,\"cmd\":\"show version\"}\n{\"v\":1,\"id\":9,\"cmd\":\"show "
		"log\",\"args\":{\"limit\":5}}\n");
	expect_data(&r, 8);
	expect_end(&r, 8, CTL_OK, "");
	expect_data(&r, 9);
	expect_end(&r, 9, CTL_OK, "");
	ck_assert_int_eq(seen.limit, 5);
	ck_assert_uint_eq(ctl_stats(r.ctl)->requests, 3);
	teardown(&r);
}
END_TEST

START_TEST(many_in_one_piece)
{
	struct rig r;
	char text[4096] = "";

	setup(&r);
	for (int i = 0; i < 40; i++)
		sprintf(text + strlen(text), "{\"v\":1,\"id\":%d,\"cmd\":\"show version\"}\n", i);
	put(&r, text);
	for (uint32_t i = 0; i < 40; i++) {
		expect_data(&r, i);
		expect_end(&r, i, CTL_OK, "");
	}
	teardown(&r);
}
END_TEST

START_TEST(byte_by_byte)
{
	struct rig r;
	const char *text = "{\"v\":1,\"id\":7,\"cmd\":\"show version\"}\n";

	setup(&r);
	for (const char *p = text; *p; p++) {
		ck_assert_int_eq(send(r.fd, p, 1, 0), 1);
		ck_assert_uint_eq(seen.calls, 0);
		loop_once(r.loop, 0);
	}
	expect_data(&r, 7);
	expect_end(&r, 7, CTL_OK, "");
	teardown(&r);
}
END_TEST

START_TEST(bad_requests)
{
	static const struct {
		const char *line;
		uint32_t id;
		int code;
		const char *word;
	} t[] = {
		{ "", 0, CTL_FAILED, "not JSON" },
		{ "hello", 0, CTL_FAILED, "not JSON" },
		{ "{\"v\":1", 0, CTL_FAILED, "not JSON" },
		{ "{\"v\":1,\"v\":1}", 0, CTL_FAILED, "duplicate" },
		{ "[1]", 0, CTL_FAILED, "object" },
		{ "{}", 0, CTL_FAILED, "\"id\"" },
		{ "{\"id\":-1}", 0, CTL_FAILED, "\"id\"" },
		{ "{\"id\":4294967296}", 0, CTL_FAILED, "\"id\"" },
		{ "{\"id\":3}", 3, CTL_FAILED, "\"v\"" },
		{ "{\"id\":3,\"v\":2}", 3, CTL_FAILED, "\"v\"" },
		{ "{\"id\":3,\"v\":1}", 3, CTL_FAILED, "\"cmd\"" },
		{ "{\"id\":3,\"v\":1,\"cmd\":5}", 3, CTL_FAILED, "\"cmd\"" },
		{ "{\"id\":3,\"v\":1,\"cmd\":\"show\"}", 3, CTL_UNKNOWN, "unknown command: show" },
		{ "{\"id\":3,\"v\":1,\"cmd\":\"list\"}", 3, CTL_UNKNOWN, "unknown command" },
		{ "{\"id\":3,\"v\":1,\"cmd\":\"show vrrp\",\"args\":[]}", 3, CTL_FAILED, "\"args\"" },
		{ "{\"id\":3,\"v\":1,\"cmd\":\"show vrrp\",\"args\":{\"x\":1}}", 3, CTL_FAILED, "no argument x" },
		{ "{\"id\":3,\"v\":1,\"cmd\":\"show vrrp\",\"args\":{\"detail\":1}}", 3, CTL_FAILED, "must be true" },
		{ "{\"id\":3,\"v\":1,\"cmd\":\"show log\",\"args\":{\"limit\":0}}", 3, CTL_FAILED, "from 1 to 4096" },
		{ "{\"id\":3,\"v\":1,\"cmd\":\"show log\",\"args\":{\"limit\":\"5\"}}", 3, CTL_FAILED, "whole number" },
		{ "{\"id\":3,\"v\":1,\"cmd\":\"debug sync stall\"}", 3, CTL_INCOMPLETE, "seconds" },
		{ "{\"id\":3,\"v\":1,\"cmd\":\"force failover\",\"args\":{\"group\":\"a b\"}}", 3, CTL_FAILED, "name" },
		{ "{\"id\":3,\"v\":1,\"cmd\":\"show failover timeline\",\"args\":{\"epoch\":\"12\"}}", 3, CTL_FAILED,
		  "epoch" },
	};
	struct rig r;

	setup(&r);
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		put(&r, t[i].line);
		put(&r, "\n");
		expect_end(&r, t[i].id, t[i].code, t[i].word);
	}
	ck_assert_uint_eq(seen.calls, 0);
	ck_assert_uint_eq(ctl_stats(r.ctl)->bad_requests, sizeof(t) / sizeof(t[0]));
	/* the connection lives */
	put(&r, "{\"v\":1,\"id\":8,\"cmd\":\"show version\"}\n");
	expect_data(&r, 8);
	expect_end(&r, 8, CTL_OK, "");
	teardown(&r);
}
END_TEST

START_TEST(handler_results)
{
	struct rig r;

	setup(&r);
	seen.result = ERR_STATE;
	put(&r, "{\"v\":1,\"id\":1,\"cmd\":\"force failover\"}\n");
	expect_end(&r, 1, CTL_FAILED, err_text(ERR_STATE));
	seen.message = "group edge is moving already";
	put(&r, "{\"v\":1,\"id\":2,\"cmd\":\"force failover\"}\n");
	expect_end(&r, 2, CTL_FAILED, "moving already");
	seen.result = CTL_CONFIG;
	put(&r, "{\"v\":1,\"id\":3,\"cmd\":\"force failover\"}\n");
	expect_end(&r, 3, CTL_CONFIG, "moving already");
	seen.result = CTL_FAILED;
	seen.message = NULL;
	put(&r, "{\"v\":1,\"id\":4,\"cmd\":\"force failover\"}\n");
	expect_end(&r, 4, CTL_FAILED, "failed");
	teardown(&r);
}
END_TEST

START_TEST(answered_later)
{
	struct rig r;

	setup(&r);
	seen.result = CTL_LATER;
	put(&r, "{\"v\":1,\"id\":1,\"cmd\":\"force failover\"}\n{\"v\":1,\"id\":2,\"cmd\":\"show version\"}\n");
	mono_t end = mono_add(clock_mono(), DEADLINE_NS);
	while (!seen.calls && mono_before(clock_mono(), end))
		loop_once(r.loop, NS_PER_MS);
	ck_assert_uint_eq(seen.calls, 1);
	uint64_t token = seen.token;
	seen.result = 0;
	for (int i = 0; i < 5; i++)
		loop_once(r.loop, 0);
	ck_assert_uint_eq(seen.calls, 1);                     /* the second one waits its turn */
	ctl_answer(r.ctl, token + 1, json_object(), 0, NULL); /* nobody's */
	ctl_answer(r.ctl, token, json_pack("{s:s}", "node", "fw-a"), 0, NULL);
	ctl_answer(r.ctl, token, json_object(), 0, NULL); /* answered already */
	expect_data(&r, 1);
	expect_end(&r, 1, CTL_OK, "");
	expect_data(&r, 2);
	expect_end(&r, 2, CTL_OK, "");
	/* the client goes away while it waits */
	seen.result = CTL_LATER;
	put(&r, "{\"v\":1,\"id\":3,\"cmd\":\"force failover\"}\n");
	while (seen.calls < 3 && mono_before(clock_mono(), end))
		loop_once(r.loop, NS_PER_MS);
	close(r.fd);
	r.fd = -1;
	ctl_answer(r.ctl, seen.token, json_object(), 0, NULL);
	ck_assert_uint_eq(ctl_stats(r.ctl)->clients, 0);
	teardown(&r);
}
END_TEST

START_TEST(line_too_long)
{
	struct rig r;
	char chunk[4096];

	setup(&r);
	memset(chunk, ' ', sizeof(chunk));
	for (size_t sent = 0; sent < CTL_LINE_MAX;) {
		ssize_t n = send(r.fd, chunk, sizeof(chunk), MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0)
			sent += (size_t)n;
		loop_once(r.loop, 0);
	}
	expect_end(&r, 0, CTL_FAILED, "64 KiB");
	ck_assert_ptr_null(get(&r));
	ck_assert_uint_eq(ctl_stats(r.ctl)->cut_line, 1);
	ck_assert_uint_eq(ctl_stats(r.ctl)->clients, 0);
	teardown(&r);
}
END_TEST

START_TEST(longest_line_is_served)
{
	struct rig r;
	static char line[CTL_LINE_MAX + 1];

	setup(&r);
	int n = sprintf(line, "{\"v\":1,\"id\":7,\"cmd\":\"show version\"}");
	memset(line + n, ' ', CTL_LINE_MAX - 1 - (size_t)n);
	line[CTL_LINE_MAX - 1] = '\n';
	for (size_t sent = 0; sent < CTL_LINE_MAX;) {
		ssize_t k = send(r.fd, line + sent, CTL_LINE_MAX - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (k > 0)
			sent += (size_t)k;
		loop_once(r.loop, 0);
	}
	expect_data(&r, 7);
	expect_end(&r, 7, CTL_OK, "");
	teardown(&r);
}
END_TEST

START_TEST(large_answers)
{
	struct rig r;
	size_t total = 0;

	setup(&r);
	seen.blob = 8 << 20;
	put(&r, "{\"v\":1,\"id\":1,\"cmd\":\"show log\"}\n");
	mono_t end = mono_add(clock_mono(), DEADLINE_NS);
	while (total < seen.blob && mono_before(clock_mono(), end)) {
		ssize_t n = recv(r.fd, r.buf, sizeof(r.buf), MSG_DONTWAIT);
		if (n > 0)
			total += (size_t)n;
		else
			loop_once(r.loop, NS_PER_MS);
	}
	ck_assert_uint_ge(total, seen.blob);
	close(r.fd);
	connect_rig(&r);
	seen.blob = 17 << 20;
	put(&r, "{\"v\":1,\"id\":2,\"cmd\":\"show log\"}\n");
	expect_end(&r, 2, CTL_FAILED, "16 MiB");
	teardown(&r);
}
END_TEST

START_TEST(slow_reader_is_cut)
{
	struct rig r;

	setup(&r);
	seen.blob = 8 << 20;
	put(&r, "{\"v\":1,\"id\":1,\"cmd\":\"show log\"}\n");
	mono_t end = mono_add(clock_mono(), DEADLINE_NS);
	while (!ctl_stats(r.ctl)->cut_slow && mono_before(clock_mono(), end))
		loop_once(r.loop, 10 * NS_PER_MS);
	ck_assert_uint_eq(ctl_stats(r.ctl)->cut_slow, 1);
	ck_assert_uint_eq(ctl_stats(r.ctl)->clients, 0);
	teardown(&r);
}
END_TEST

START_TEST(too_many_clients)
{
	struct rig r;
	int fds[CTL_CLIENTS_MAX], sv[2];

	setup(&r);
	for (unsigned i = 1; i < CTL_CLIENTS_MAX; i++) {
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
		ck_assert_int_eq(ctl_add_client(r.ctl, sv[0]), 0);
		fds[i] = sv[1];
	}
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	ck_assert_int_eq(ctl_add_client(r.ctl, sv[0]), ERR_FULL);
	char buf[256];
	ssize_t n = recv(sv[1], buf, sizeof(buf) - 1, 0);
	ck_assert_int_gt(n, 0);
	buf[n] = '\0';
	ck_assert_ptr_nonnull(strstr(buf, "too many clients"));
	ck_assert_int_eq(recv(sv[1], buf, sizeof(buf), 0), 0);
	close(sv[1]);
	ck_assert_uint_eq(ctl_stats(r.ctl)->refused_full, 1);
	/* one leaves: there is room again */
	close(fds[1]);
	mono_t end = mono_add(clock_mono(), DEADLINE_NS);
	while (ctl_stats(r.ctl)->clients == CTL_CLIENTS_MAX && mono_before(clock_mono(), end))
		loop_once(r.loop, NS_PER_MS);
	ck_assert_uint_eq(ctl_stats(r.ctl)->clients, CTL_CLIENTS_MAX - 1);
	for (unsigned i = 2; i < CTL_CLIENTS_MAX; i++)
		close(fds[i]);
	teardown(&r);
}
END_TEST

START_TEST(session_takes_the_connection)
{
	struct rig r;

	setup(&r);
	put(&r, "{\"v\":1,\"id\":5,\"cmd\":\"show conntrack-sync status\"}\n");
	mono_t end = mono_add(clock_mono(), DEADLINE_NS);
	while (!seen.calls && mono_before(clock_mono(), end))
		loop_once(r.loop, NS_PER_MS);
	ck_assert_uint_eq(ctl_stats(r.ctl)->clients, 0);
	ck_assert_uint_eq(ctl_stats(r.ctl)->detached, 1);
	/* the descriptor lives and belongs to the handler now */
	ctl_refuse(seen.fd, 5, CTL_FAILED, "SYNC does not answer");
	expect_end(&r, 5, CTL_FAILED, "SYNC does not answer");
	ck_assert_ptr_null(get(&r));
	teardown(&r);
}
END_TEST

START_TEST(grades)
{
	struct ctl_conf conf = { .view_gid = 10, .admin_gid = 20 };
	gid_t none[] = { 1, 2 }, view[] = { 1, 10 }, admin[] = { 20, 10 };
	uid_t other = geteuid() + 1000;

	ck_assert_int_eq(ctl_grade(0, none, 2, &conf), CTL_GRADE_ADMIN);
	ck_assert_int_eq(ctl_grade(geteuid(), none, 2, &conf), CTL_GRADE_ADMIN);
	ck_assert_int_eq(ctl_grade(other, none, 2, &conf), CTL_GRADE_NONE);
	ck_assert_int_eq(ctl_grade(other, view, 2, &conf), CTL_GRADE_VIEW);
	ck_assert_int_eq(ctl_grade(other, admin, 2, &conf), CTL_GRADE_ADMIN);
	/* no such groups: (gid_t)-1 must not match anybody */
	gid_t odd[] = { (gid_t)-1 };
	conf.view_gid = conf.admin_gid = (gid_t)-1;
	ck_assert_int_eq(ctl_grade(other, odd, 1, &conf), CTL_GRADE_NONE);
	ck_assert_int_eq(ctl_group_id("root"), 0);
	ck_assert_uint_eq(ctl_group_id("no-such-group-here"), (gid_t)-1);
	ck_assert_uint_eq(ctl_group_id(""), (gid_t)-1);
}
END_TEST

/* As another user: connects, sends an admin command and a view command, writes the codes it got as exit status. */
static int ask_as(const char *path, uid_t uid, gid_t gid)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char buf[4096] = "";
	size_t len = 0;
	const char *text =
	    "{\"v\":1,\"id\":1,\"cmd\":\"clear counters\"}\n{\"v\":1,\"id\":2,\"cmd\":\"show version\"}\n";

	if (setgroups(1, &gid) < 0 || setgid(1) < 0 || setuid(uid) < 0)
		return 99;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	strcpy(sa.sun_path, path);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return 98;
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
	for (ssize_t n; (n = recv(fd, buf + len, sizeof(buf) - 1 - len, 0)) > 0;)
		len += (size_t)n;
	buf[len] = '\0';
	return (strstr(buf, "\"id\":1,\"end\":true,\"status\":\"ok\"") != NULL) |
	       (strstr(buf, "\"id\":2,\"end\":true,\"status\":\"ok\"") != NULL) << 1 |
	       (strstr(buf, "\"id\":1,\"end\":true,\"status\":\"error\",\"code\":21") != NULL) << 2 |
	       (strstr(buf, "\"id\":0,\"end\":true,\"status\":\"error\",\"code\":21") != NULL) << 3;
}

START_TEST(credentials_on_a_real_path)
{
	static const struct {
		gid_t gid;
		int want;
	} t[] = { { 5001, 2 | 4 }, { 5002, 1 | 2 }, { 5003, 8 } };
	char path[] = "/tmp/check_ctl.XXXXXX", sock[64];
	struct ctl_conf conf = { .view_gid = 5001, .admin_gid = 5002, .handle = handle, .app = &seen, .path = sock };

	memset(&seen, 0, sizeof(seen));
	ck_assert_ptr_nonnull(mkdtemp(path));
	ck_assert_int_eq(chmod(path, 0755), 0);
	snprintf(sock, sizeof(sock), "%s/s", path);
	struct loop *l = loop_new("test");
	struct ctl *c = ctl_new(l, &conf);
	ck_assert_ptr_nonnull(c);
	errno = 0;
	ck_assert_ptr_null(ctl_new(l, &conf)); /* in use */
	ck_assert_int_eq(errno, EADDRINUSE);
	/* only root can become somebody else */
	for (unsigned i = 0; geteuid() == 0 && i < sizeof(t) / sizeof(t[0]); i++) {
		int status;
		pid_t pid = fork();
		if (pid == 0)
			_exit(ask_as(sock, 4321, t[i].gid));
		mono_t end = mono_add(clock_mono(), DEADLINE_NS);
		while (waitpid(pid, &status, WNOHANG) == 0) {
			loop_once(l, NS_PER_MS);
			ck_assert(mono_before(clock_mono(), end));
		}
		ck_assert(WIFEXITED(status));
		ck_assert_msg(WEXITSTATUS(status) == t[i].want, "gid %u: %d", (unsigned)t[i].gid, WEXITSTATUS(status));
	}
	ctl_free(c);
	ck_assert_int_eq(access(sock, F_OK), -1);
	/* a socket file left by a dead process is replaced, another file is not */
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	strcpy(sa.sun_path, sock);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	c = ctl_new(l, &conf);
	ck_assert_ptr_nonnull(c);
	ctl_free(c);
	fd = open(sock, O_CREAT | O_WRONLY, 0600);
	close(fd);
	ck_assert_ptr_null(ctl_new(l, &conf));
	ck_assert_int_eq(errno, EEXIST);
	unlink(sock);
	rmdir(path);
	conf.path = "/nonexistent-directory/ctl.sock";
	ck_assert_ptr_null(ctl_new(l, &conf));
	ck_assert_int_eq(errno, ENOENT);
	loop_free(l);
}
END_TEST

START_TEST(end_of_input_after_a_request)
{
	struct rig r;

	setup(&r);
	put(&r, "{\"v\":1,\"id\":7,\"cmd\":\"show version\"}\n{\"v\":1");
	shutdown(r.fd, SHUT_WR);
	expect_data(&r, 7);
	expect_end(&r, 7, CTL_OK, "");
	ck_assert_ptr_null(get(&r)); /* half a request is dropped with the connection */
	ck_assert_uint_eq(ctl_stats(r.ctl)->clients, 0);
	teardown(&r);
}
END_TEST

START_TEST(table)
{
	for (int i = 0; i < CTL_CMD_N; i++) {
		const struct ctl_cmd_def *d = ctl_cmd_def((enum ctl_cmd)i);
		ck_assert_int_eq((int)d->id, i);
		ck_assert_int_eq(ctl_cmd_find(d->path), i);
		/* verbs by impact: what only shows must be open to viewers, what changes must not */
		ck_assert_msg((d->impact == CTL_IMPACT_NONE) == (d->class == CTL_VIEW), "%s", d->path);
		ck_assert_msg(!ctl_cmd_is_show(d->id) || d->class == CTL_VIEW, "%s", d->path);
		for (unsigned n = 0; ctl_cmd_arg(d->id, n); n++)
			ck_assert_int_eq((int)ctl_cmd_arg(d->id, n)->cmd, i);
	}
	int64_t num;
	const struct ctl_arg_def *limit = ctl_cmd_arg(CTL_SHOW_LOG, 0),
				 *epoch = ctl_cmd_arg(CTL_SHOW_FAILOVER_TIMELINE, 0);
	ck_assert(ctl_arg_parse(limit, "4096", &num) == 0 && num == 4096);
	ck_assert(ctl_arg_parse(limit, "4097", &num) < 0 && ctl_arg_parse(limit, "99999999999999999999", &num) < 0);
	ck_assert(ctl_arg_parse(limit, "", &num) < 0 && ctl_arg_parse(limit, "1x", &num) < 0);
	ck_assert(ctl_arg_parse(epoch, "12.1", &num) == 0 && ctl_arg_parse(epoch, "12.", &num) < 0);
	ck_assert(ctl_arg_parse(epoch, ".1", &num) < 0 && ctl_arg_parse(epoch, "12.4294967296", &num) < 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ctl");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 30);
	tcase_add_test(t, request_and_answer);
	tcase_add_test(t, many_in_one_piece);
	tcase_add_test(t, byte_by_byte);
	tcase_add_test(t, bad_requests);
	tcase_add_test(t, handler_results);
	tcase_add_test(t, answered_later);
	tcase_add_test(t, line_too_long);
	tcase_add_test(t, longest_line_is_served);
	tcase_add_test(t, large_answers);
	tcase_add_test(t, slow_reader_is_cut);
	tcase_add_test(t, too_many_clients);
	tcase_add_test(t, session_takes_the_connection);
	tcase_add_test(t, grades);
	tcase_add_test(t, credentials_on_a_real_path);
	tcase_add_test(t, end_of_input_after_a_request);
	tcase_add_test(t, table);
	suite_add_tcase(s, t);
	return unit_run(s);
}
