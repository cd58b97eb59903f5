/* Whole lines through shell, client and the real control server in another process: output and codes. */
#include <check.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cli/shell.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/ctl.h"
#include "tests/unit/run.h"

static char dir[64], path[96];
static pid_t server;

/* A list in pieces; broken: it ends in the midst of them. */
static void answer_list(int fd, uint32_t id, bool broken)
{
	static const char *const pieces[] = { "{\"node\":\"fw-a\",\"family\":\"ipv4\",\"sessions\":[]}",
					      "{\"sessions\":[{\"id\":1},{\"id\":2}]}", "{\"sessions\":[{\"id\":3}]}",
					      "{\"shown\":3,\"more\":false,\"unrecorded\":null}" };

	for (unsigned i = 0; i < (broken ? 2u : 4u); i++)
		dprintf(fd, "{\"v\":1,\"id\":%u,\"data\":%s}\n", id, pieces[i]);
	if (broken)
		dprintf(fd, "{\"v\":1,\"id\":%u,\"end\":true,\"status\":\"error\",\"code\":1,\"message\":\"no\"}\n",
			id);
	else
		dprintf(fd, "{\"v\":1,\"id\":%u,\"end\":true,\"status\":\"ok\",\"code\":0}\n", id);
	close(fd);
}

/* A session command, answered as SYNC does: on the descriptor, in two pieces, closed afterwards. */
static void answer_session(struct ctl_request *req)
{
	char line[200];
	int fd = ctl_detach(req);
	if (req->cmd == CTL_SHOW_CONNTRACK_IPV4) {
		answer_list(fd, req->id, json_object_get(req->args, "limit") != NULL);
		return;
	}
	int n = snprintf(line, sizeof(line),
			 "{\"v\":1,\"id\":%u,\"data\":{\"enabled\":false}}\n"
			 "{\"v\":1,\"id\":%u,\"end\":true,\"status\":\"ok\",\"code\":0}\n",
			 req->id, req->id);

	(void)!send(fd, line, 20, MSG_NOSIGNAL);
	(void)!send(fd, line + 20, (size_t)n - 20, MSG_NOSIGNAL);
	close(fd);
}

static int handle(void *app, struct ctl_request *req, json_t **reply)
{
	(void)app;
	if (ctl_cmd_def(req->cmd)->thread == CTL_ON_SESSION) {
		answer_session(req);
		return 0;
	}
	if (req->cmd == CTL_SHOW_FAILOVER_STATUS)
		*reply = json_pack("{s:s,s:s,s:b}", "node", "fw-a", "role", "MIXED", "maintenance", 0);
	else if (req->cmd == CTL_FORCE_FAILOVER && json_object_get(req->args, "group"))
		*reply = json_pack("{s:[O]}", "groups", json_object_get(req->args, "group"));
	else if (req->cmd == CTL_FORCE_FAILOVER)
		return ERR_STATE;
	else if (req->cmd == CTL_SHOW_LOG && json_integer_value(json_object_get(req->args, "limit")) == 13)
		_exit(0); /* the daemon dies in the middle of a request */
	else
		*reply = json_pack("{s:s}", "text", "node = { };\n");
	return 0;
}

static void serve(void)
{
	struct ctl_conf conf = { .path = path, .view_gid = (gid_t)-1, .admin_gid = (gid_t)-1, .handle = handle };
	struct loop *l = loop_new("server");

	if (!l || !ctl_new(l, &conf))
		_exit(1);
	loop_run(l);
	_exit(0);
}

/* The socket's name appears before the server listens on it. */
static bool listens(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	bool yes = connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0;
	close(fd);
	return yes;
}

static void setup(void)
{
	strcpy(dir, "/tmp/check_shell.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	server = fork();
	if (server == 0)
		serve();
	mono_t end = mono_add(clock_mono(), 10 * NS_PER_SEC);
	while (!listens()) {
		ck_assert(mono_before(clock_mono(), end));
		usleep(1000);
	}
}

static void teardown(void)
{
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	unlink(path);
	rmdir(dir);
}

/* Runs one line in a shell; its output is in *out (static). */
static int run_in(struct shell *sh, const char *line, const char **out)
{
	static char buf[8192];
	FILE *f = fmemopen(buf, sizeof(buf), "w");

	memset(buf, 0, sizeof(buf));
	sh->out = f;
	int code = shell_line(sh, line);
	fclose(f);
	*out = buf;
	return code;
}

/* A list is printed as its pieces come; as JSON they are one object, whatever happens. */
START_TEST(lists_in_pieces)
{
	struct shell sh;
	const char *out;

	shell_init(&sh, path, NULL);
	ck_assert_int_eq(run_in(&sh, "show conntrack table ipv4 json", &out), CTL_OK);
	json_t *j = json_loads(out, JSON_REJECT_DUPLICATES, NULL);
	ck_assert_msg(j != NULL, "%s", out);
	ck_assert_uint_eq(json_array_size(json_object_get(j, "sessions")), 3);
	ck_assert_str_eq(json_string_value(json_object_get(j, "node")), "fw-a");
	ck_assert_int_eq(json_integer_value(json_object_get(j, "shown")), 3);
	json_decref(j);
	ck_assert_int_eq(run_in(&sh, "show conntrack table ipv4", &out), CTL_OK);
	ck_assert_ptr_nonnull(strstr(out, "TCP state codes: "));
	ck_assert_ptr_nonnull(strstr(out, "\n3 "));
	ck_assert_ptr_nonnull(strstr(out, "\n3 sessions shown\n"));
	/* broken off */
	ck_assert_int_eq(run_in(&sh, "show conntrack table ipv4 limit 2 json", &out), CTL_FAILED);
	j = json_loads(out, JSON_REJECT_DUPLICATES, NULL);
	ck_assert_msg(j != NULL, "%s", out);
	ck_assert_uint_eq(json_array_size(json_object_get(j, "sessions")), 2);
	ck_assert_str_eq(json_string_value(json_object_get(json_object_get(j, "error"), "message")), "no");
	json_decref(j);
	ck_assert_int_eq(run_in(&sh, "show conntrack table ipv4 limit 2", &out), CTL_FAILED);
	ck_assert_ptr_nonnull(strstr(out, "% no\n"));
	shell_end(&sh);
}
END_TEST

START_TEST(lines)
{
	static const struct {
		const char *line;
		int code;
		const char *out; /* whole output */
	} t[] = {
		{ "", CTL_OK, "" },
		{ "! comment", CTL_OK, "" },
		{ "show configuration", CTL_OK, "node = { };\n" },
		{ "sh conf", CTL_OK, "node = { };\n" },
		{ "show configuration json", CTL_OK, "{\n  \"text\": \"node = { };\\n\"\n}\n" },
		{ "force failover group edge", CTL_OK, "Requested for: edge\n" },
		{ "force failover", CTL_FAILED, "% not possible in the present state\n" },
		{ "clear counters", CTL_OK, "" },
		{ "sh v", CTL_AMBIGUOUS, "% Ambiguous command: sh v\n%   vrrp\n%   version\n" },
		{ "show", CTL_INCOMPLETE,
		  "% Command incomplete: show\n"
		  "%   could follow: vrrp, pair, conntrack-sync, conntrack, session, failover, ipsec, notify, "
		  "interfaces,\n%   log, version, configuration\n" },
		{ "show version jsn", CTL_UNKNOWN, "% Unknown command: show version jsn\n%   could follow: json\n" },
		{ "exit now", CTL_UNKNOWN, "% Unknown command: exit now\n%   nothing more can follow\n" },
		{ "bogus line \n", CTL_UNKNOWN, "% Unknown command: bogus line\n%   'list' shows all commands\n" },
		{ "debug sync stall 99", CTL_UNKNOWN,
		  "% Value not valid: debug sync stall 99\n%   seconds must be a whole number from 1 to 60\n" },
		{ "bogus json", CTL_UNKNOWN,
		  "{\n  \"error\": {\n    \"code\": 2,\n    \"message\": \"Unknown command\",\n    \"command\": "
		  "\"bogus json\"\n  }\n}\n" },
		{ "show conntrack-sync status", CTL_OK,
		  "This router stands alone: the configuration names no cluster\n" },
		{ "show conntrack-sync status", CTL_OK,
		  "This router stands alone: the configuration names no cluster\n" },
		{ "maintenance ?", CTL_OK,
		  "  enter  Give all roles away and take none until maintenance leave\n"
		  "  leave  Take part in elections again\n" },
	};
	struct shell sh;

	shell_init(&sh, path, NULL);
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		const char *out;
		ck_assert_msg(run_in(&sh, t[i].line, &out) == t[i].code, "'%s'", t[i].line);
		ck_assert_str_eq(out, t[i].out);
	}
	shell_end(&sh);
}
END_TEST

START_TEST(view_only)
{
	struct shell sh;
	const char *out;

	shell_init(&sh, path, NULL);
	sh.view_only = true;
	ck_assert_int_eq(run_in(&sh, "clear counters", &out), CTL_DENIED);
	ck_assert_ptr_nonnull(strstr(out, "% clear counters is not allowed"));
	ck_assert_int_eq(run_in(&sh, "show configuration", &out), CTL_OK);
	shell_end(&sh);
}
END_TEST

START_TEST(prompt_and_leaving)
{
	struct shell sh;
	const char *out;
	char buf[96];

	shell_init(&sh, path, NULL);
	ck_assert_str_eq(shell_prompt(&sh, buf, sizeof(buf)), "fw-a[MIXED]# ");
	ck_assert_int_eq(run_in(&sh, "exit", &out), CTL_OK);
	ck_assert(sh.leave);
	shell_end(&sh);
}
END_TEST

START_TEST(a_daemon_that_goes_and_comes)
{
	struct shell sh;
	const char *out;
	char buf[96];

	shell_init(&sh, path, NULL);
	ck_assert_int_eq(run_in(&sh, "show configuration", &out), CTL_OK);
	ck_assert_int_eq(run_in(&sh, "show log 13 json", &out), CTL_UNREACHABLE);
	ck_assert_ptr_nonnull(strstr(out, "closed the connection"));
	waitpid(server, NULL, 0);
	ck_assert_int_eq(run_in(&sh, "show configuration", &out), CTL_UNREACHABLE);
	ck_assert_ptr_nonnull(strstr(out, "% keeptrackd is not reachable"));
	ck_assert_str_eq(shell_prompt(&sh, buf, sizeof(buf)), "[?]# ");
	unlink(path);
	server = fork();
	if (server == 0)
		serve();
	for (int i = 0; access(path, W_OK) != 0 && i < 5000; i++)
		usleep(1000);
	ck_assert_int_eq(run_in(&sh, "show configuration", &out), CTL_OK);
	shell_end(&sh);
}
END_TEST

/* A server that says nothing, nonsense, or refuses. */
START_TEST(odd_servers)
{
	static const struct {
		const char *says;
		int code;
		const char *word;
	} t[] = {
		{ "", CTL_UNREACHABLE, "does not answer" },
		{ "hello\n", CTL_UNREACHABLE, "not JSON" },
		{ "{\"v\":1,\"id\":0,\"end\":true,\"status\":\"error\",\"code\":21,\"message\":\"not allowed\"}\n",
		  CTL_DENIED, "not allowed" },
		{ "{\"v\":1,\"id\":77,\"end\":true,\"status\":\"ok\",\"code\":0}\n", CTL_UNREACHABLE,
		  "does not answer" },
	};

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct shell sh;
		const char *out;
		int sv[2];
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
		ck_assert_int_eq(send(sv[1], t[i].says, strlen(t[i].says), 0), (ssize_t)strlen(t[i].says));
		shell_init(&sh, "/nonexistent", NULL);
		sh.client.fd = sv[0];
		sh.client.wait_ms = 50;
		ck_assert_int_eq(run_in(&sh, "show version", &out), t[i].code);
		ck_assert_msg(out[0] == '%' && strstr(out, t[i].word), "'%s'", out);
		shell_end(&sh);
		close(sv[1]);
	}
}
END_TEST

/* Reads from the terminal until word has appeared; what follows it is left for the next call. */
static void await(int fd, const char *word)
{
	static char seen[16384];
	static size_t len;
	char *at;

	while ((at = strstr(seen, word)) == NULL) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		ck_assert_msg(poll(&pfd, 1, 10000) > 0, "no '%s' in '%s'", word, seen);
		ssize_t n = read(fd, seen + len, sizeof(seen) - 1 - len);
		ck_assert_msg(n > 0, "the shell ended before '%s': '%s'", word, seen);
		for (char *p = seen + len; n-- > 0; p++) {
			if (*p) /* padding that slow terminals needed */
				seen[len++] = *p;
		}
		seen[len] = '\0';
	}
	len -= (size_t)(at + strlen(word) - seen);
	memmove(seen, at + strlen(word), len + 1);
}

static void type(int fd, const char *keys)
{
	ck_assert_int_eq(write(fd, keys, strlen(keys)), (ssize_t)strlen(keys));
}

/* The interactive loop on a real terminal: prompt, completion, help, history, interrupt, codes. */
START_TEST(terminal)
{
	int fd, status;
	pid_t pid = forkpty(&fd, NULL, NULL, NULL);

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct shell sh;
		setenv("TERM", "vt100", 1);
		shell_init(&sh, path, stdout);
		exit(repl_run(&sh));
	}
	await(fd, "fw-a[MIXED]# ");
	type(fd, "sh conf\t\r"); /* completes to configuration */
	await(fd, "node = { };");
	await(fd, "# ");
	type(fd, "show v\t"); /* two: lists them */
	await(fd, "Version, uptime, lateness");
	await(fd, "# show v"); /* the line is drawn again */
	type(fd, "\x03");      /* drops the line */
	await(fd, "# ");
	type(fd, "maintenance ?");
	await(fd, "Take part in elections again");
	await(fd, "# maintenance ");
	type(fd, "\x15"); /* kills the line */
	type(fd, "show v\r");
	await(fd, "Ambiguous command: show v");
	await(fd, "# ");
	type(fd, "force failover\r");
	await(fd, "not possible in the present state");
	await(fd, "# ");
	type(fd, "\x10\x10\r"); /* ^P ^P: the line before the last one */
	await(fd, "Ambiguous command: show v");
	await(fd, "# ");
	mono_t end = mono_add(clock_mono(), 10 * NS_PER_SEC);
	char buf[256];
	while (waitpid(pid, &status, WNOHANG) == 0) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		ck_assert(mono_before(clock_mono(), end));
		/*
		 * End of input: the shell ends with the code of the last command. Again and again, because between prompt
		 * and raw mode the terminal itself takes these keys.
		 */
		(void)!write(fd, "\x15\x04", 2);
		if (poll(&pfd, 1, 20) > 0)
			(void)!read(fd, buf, sizeof(buf));
	}
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), CTL_AMBIGUOUS);
	close(fd);
}
END_TEST

START_TEST(piped)
{
	struct shell sh;
	char text[] = "show configuration\n! comment\n\nsh v\nshow configuration\n", buf[1024] = "";
	FILE *in = fmemopen(text, sizeof(text) - 1, "r"), *out = fmemopen(buf, sizeof(buf), "w");

	shell_init(&sh, path, out);
	ck_assert_int_eq(repl_pipe(&sh, in), CTL_AMBIGUOUS);
	fclose(out);
	fclose(in);
	/* ends at the first failure */
	ck_assert_str_eq(buf, "node = { };\n% Ambiguous command: sh v\n%   vrrp\n%   version\n");
	shell_end(&sh);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("shell");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, lines);
	tcase_add_test(t, lists_in_pieces);
	tcase_add_test(t, view_only);
	tcase_add_test(t, prompt_and_leaving);
	tcase_add_test(t, a_daemon_that_goes_and_comes);
	tcase_add_test(t, odd_servers);
	tcase_add_test(t, terminal);
	tcase_add_test(t, piped);
	suite_add_tcase(s, t);
	return unit_run(s);
}
