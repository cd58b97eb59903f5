/* The log: a reader that stopped, one that is absent, a full pipe, and a recorder under many writers. */
#define _GNU_SOURCE 1
#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/require.h"
#include "tests/unit/run.h"

static char dir[] = "/tmp/check_log_XXXXXX";
static char path[64];

static int reader_socket(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void start(bool to_stderr, bool to_syslog, enum log_level level)
{
	struct log_conf c = {
		.ident = "check", .dev = path, .to_stderr = to_stderr, .to_syslog = to_syslog, .level = level
	};
	log_init(&c);
}

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/log", dir);
}

static void teardown(void)
{
	log_done();
	unlink(path);
	rmdir(dir);
}

START_TEST(a_stopped_reader_never_blocks)
{
	char got[1024];
	int fd = reader_socket();
	start(false, true, LOG_L_INFO);
	mono_t began = clock_mono();
	for (int i = 0; i < 5000; i++)
		log_info(LOG_VRRP, "line %d", i);
	ck_assert_int_lt(mono_sub(clock_mono(), began), NS_PER_SEC);
	uint64_t dropped = log_dropped();
	ck_assert_uint_gt(dropped, 0);
	ck_assert_uint_lt(dropped, 5000);
	/* What fitted is there, in order and in the syslog form; the rest was counted. */
	unsigned n = 0;
	for (ssize_t len; (len = recv(fd, got, sizeof(got) - 1, 0)) > 0; n++) {
		char want[64];
		got[len] = '\0';
		ck_assert_int_eq(strncmp(got, "<30>", 4), 0); /* daemon.info */
		snprintf(want, sizeof(want), " check[%d]: vrrp: line %u", (int)getpid(), n);
		ck_assert_str_eq(got + 4 + 15, want);
	}
	ck_assert_uint_eq(n + dropped, 5000);
	/* It reads again: lines go through again. */
	log_warn(LOG_SYNC, "after");
	ck_assert_int_gt(recv(fd, got, sizeof(got), 0), 0);
	ck_assert_int_eq(strncmp(got, "<28>", 4), 0);
	ck_assert_uint_eq(log_dropped(), dropped);
	close(fd);
}
END_TEST

START_TEST(an_absent_reader_is_counted_and_found_when_it_comes)
{
	char got[1024];
	start(false, true, LOG_L_INFO);
	log_info(LOG_MAIN, "lost");
	ck_assert_uint_eq(log_dropped(), 1);
	int fd = reader_socket();
	log_info(LOG_MAIN, "heard");
	ck_assert_int_gt(recv(fd, got, sizeof(got), 0), 0);
	ck_assert_uint_eq(log_dropped(), 1);
	close(fd);
}
END_TEST

/* The form of another program: two tags, another facility, bare lines, the date on every other output. */
START_TEST(another_form)
{
	char got[1024], want[64], file[80], weekday[4], month[4];
	unsigned day, hour, min, sec, year;
	int at = 0;
	int fd = reader_socket();
	snprintf(file, sizeof(file), "%s/file", dir);
	struct log_conf c = { .ident = "Parent",
			      .ident_router = "Child",
			      .dev = path,
			      .to_syslog = true,
			      .file = file,
			      .facility = 19 << 3,
			      .bare = true,
			      .level = LOG_L_INFO };
	time_t before = time(NULL);
	log_init(&c);
	log_info(LOG_VRRP, "(VI_1) Entering MASTER STATE");
	log_notice(LOG_CFG, "read");
	ssize_t len = recv(fd, got, sizeof(got) - 1, 0);
	ck_assert_int_gt(len, 0);
	got[len] = '\0';
	ck_assert_int_eq(strncmp(got, "<158>", 5), 0); /* local3.info */
	snprintf(want, sizeof(want), " Child[%d]: (VI_1) Entering MASTER STATE", (int)getpid());
	ck_assert_str_eq(got + 5 + 15, want);
	len = recv(fd, got, sizeof(got) - 1, 0);
	ck_assert_int_gt(len, 0);
	got[len] = '\0';
	ck_assert_int_eq(strncmp(got, "<157>", 5), 0);
	snprintf(want, sizeof(want), " Parent[%d]: read", (int)getpid());
	ck_assert_str_eq(got + 5 + 15, want);
	log_done();
	FILE *f = fopen(file, "r");
	ck_assert_ptr_nonnull(fgets(got, sizeof(got), f));
	fclose(f);
	unlink(file);
	close(fd);
	ck_assert_int_eq(
	    sscanf(got, "%3s %3s %u %u:%u:%u %u: (VI_1)%n", weekday, month, &day, &hour, &min, &sec, &year, &at), 7);
	ck_assert_int_gt(at, 0);
	/* The C library agrees on the date. */
	char lib[40];
	bool agrees = false;
	struct tm tm;
	for (time_t t = before; t <= time(NULL); t++)
		agrees |= localtime_r(&t, &tm) && strftime(lib, sizeof(lib), "%a %b %e %H:%M:%S %Y: ", &tm) &&
			  !strncmp(got, lib, strlen(lib));
	ck_assert_msg(agrees, "%s", got);
}
END_TEST

START_TEST(a_full_stderr_pipe_never_blocks)
{
	int p[2];
	char got[256];
	ck_assert_int_eq(pipe(p), 0);
	int keep = dup(STDERR_FILENO);
	dup2(p[1], STDERR_FILENO);
	start(true, false, LOG_L_INFO);
	for (int i = 0; i < 20000; i++)
		log_info(LOG_NET, "line %d", i);
	/* The flags of the shared descriptor are as they were. */
	int flags = fcntl(p[1], F_GETFL);
	dup2(keep, STDERR_FILENO);
	ck_assert_int_eq(flags & O_NONBLOCK, 0);
	ck_assert_uint_gt(log_dropped(), 0);
	ck_assert_int_gt(read(p[0], got, sizeof(got)), 12);
	ck_assert_int_eq(strncmp(got, "net: line 0\n", 12), 0);
}
END_TEST

START_TEST(a_full_stderr_socket_never_blocks)
{
	int p[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
	int keep = dup(STDERR_FILENO);
	dup2(p[1], STDERR_FILENO);
	start(true, false, LOG_L_INFO);
	for (int i = 0; i < 20000; i++)
		log_info(LOG_NET, "line %d", i);
	dup2(keep, STDERR_FILENO);
	ck_assert_uint_gt(log_dropped(), 0);
}
END_TEST

struct seen {
	unsigned n;
	char last[LOG_LINE_MAX];
};

static void on_line(void *arg, const struct log_line *line)
{
	struct seen *s = arg;
	s->n++;
	snprintf(s->last, sizeof(s->last), "%s", line->text);
}

START_TEST(levels_and_switches)
{
	char got[1024];
	struct seen s = { 0 };
	int fd = reader_socket();
	start(false, true, LOG_L_NOTICE);
	log_info(LOG_IKE, "below the level: only remembered");
	ck_assert_int_eq(recv(fd, got, sizeof(got), 0), -1);
	log_recall(10, on_line, &s);
	ck_assert_uint_eq(s.n, 1);
	log_debug(LOG_IKE, "off");
	log_recall(10, on_line, &s);
	ck_assert_uint_eq(s.n, 2);
	ck_assert(!log_debug_on(LOG_IKE));
	log_debug_set(LOG_IKE, true);
	ck_assert(log_debug_on(LOG_IKE) && !log_debug_on(LOG_CTL));
	log_debug(LOG_IKE, "on");
	ck_assert_int_gt(recv(fd, got, sizeof(got), 0), 0);
	ck_assert_str_eq(log_sub_name(LOG_CTL), "ctl");
	ck_assert_uint_eq(log_dropped(), 0);
	close(fd);
}
END_TEST

START_TEST(recorder_keeps_the_newest)
{
	struct seen s = { 0 };
	char longest[LOG_LINE_MAX + 100];
	for (int i = 0; i < LOG_RECORDS + 10; i++)
		log_info(LOG_MAIN, "n %d", i);
	log_recall(3, on_line, &s);
	ck_assert_uint_eq(s.n, 3);
	ck_assert_str_eq(s.last, "n 4105");
	s.n = 0;
	log_recall(UINT32_MAX, on_line, &s);
	ck_assert_uint_eq(s.n, LOG_RECORDS);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	log_info(LOG_MAIN, "%s", longest);
	log_recall(1, on_line, &s);
	ck_assert_uint_eq(strlen(s.last), LOG_LINE_MAX - 1);
}
END_TEST

static _Atomic bool writers_done;

static void *write_lines(void *arg)
{
	char c = *(const char *)arg, text[201];
	memset(text, c, 200);
	text[200] = '\0';
	for (int i = 0; i < 20000; i++)
		log_info(LOG_MAIN, "%s", text);
	return NULL;
}

static void on_whole_line(void *arg, const struct log_line *line)
{
	unsigned *n = arg;
	for (int i = 0; i < 200; i++)
		if (line->text[i] != line->text[0])
			ck_abort_msg("torn line: %s", line->text);
	if (line->text[200] != '\0')
		ck_abort_msg("too long a line: %s", line->text);
	(*n)++;
}

static void *run_writers(void *arg)
{
	static const char name[] = "abcd";
	pthread_t th[4];
	(void)arg;
	for (int i = 0; i < 4; i++)
		pthread_create(&th[i], NULL, write_lines, (void *)&name[i]);
	for (int i = 0; i < 4; i++)
		pthread_join(th[i], NULL);
	writers_done = true;
	return NULL;
}

START_TEST(recorder_lines_are_never_torn)
{
	pthread_t th;
	unsigned n = 0;
	ck_assert_int_eq(pthread_create(&th, NULL, run_writers, NULL), 0);
	while (!writers_done)
		log_recall(LOG_RECORDS, on_whole_line, &n);
	pthread_join(th, NULL);
	n = 0;
	log_recall(LOG_RECORDS, on_whole_line, &n);
	ck_assert_uint_ge(n + log_dropped(), LOG_RECORDS);
}
END_TEST

START_TEST(dump_writes_every_line)
{
	char got[512] = "";
	int p[2];
	ck_assert_int_eq(pipe(p), 0);
	log_warn(LOG_CFG, "first");
	log_err(LOG_ROLE, "second");
	log_dump(p[1]);
	ck_assert_int_gt(read(p[0], got, sizeof(got) - 1), 0);
	ck_assert_ptr_nonnull(strstr(got, " <4> cfg: first\n"));
	ck_assert_ptr_nonnull(strstr(got, " <3> role: second\n"));
}
END_TEST

START_TEST(require_reports_and_dumps)
{
	int p[2];
	char got[2048] = "";
	ck_assert_int_eq(pipe(p), 0);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(p[1], STDERR_FILENO);
		start(false, false, LOG_L_INFO);
		log_info(LOG_MAIN, "before the end");
		require(pid != 0);
	}
	close(p[1]);
	size_t have = 0;
	for (ssize_t n; (n = read(p[0], got + have, sizeof(got) - 1 - have)) > 0;)
		have += (size_t)n;
	ck_assert_ptr_nonnull(strstr(got, "main: before the end\n"));
	ck_assert_ptr_nonnull(strstr(got, "\"pid != 0\" does not hold at "));
}
END_TEST

START_TEST(rate_limit_counts_what_it_holds_back)
{
	struct log_rate r = { 0 };
	unsigned held;
	for (int i = 0; i < 3; i++)
		ck_assert(log_rate_ok(&r, 3, &held) && held == 0);
	for (int i = 0; i < 5; i++)
		ck_assert(!log_rate_ok(&r, 3, &held));
	r.window_ns -= 2 * NS_PER_SEC; /* two seconds pass */
	ck_assert(log_rate_ok(&r, 3, &held));
	ck_assert_uint_eq(held, 5);
	ck_assert(log_rate_ok(&r, 3, &held) && held == 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base log");
	TCase *tc = tcase_create("all");
	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_stopped_reader_never_blocks);
	tcase_add_test(tc, an_absent_reader_is_counted_and_found_when_it_comes);
	tcase_add_test(tc, another_form);
	tcase_add_test(tc, a_full_stderr_pipe_never_blocks);
	tcase_add_test(tc, a_full_stderr_socket_never_blocks);
	tcase_add_test(tc, levels_and_switches);
	tcase_add_test(tc, recorder_keeps_the_newest);
	tcase_add_test(tc, recorder_lines_are_never_torn);
	tcase_add_test(tc, dump_writes_every_line);
	tcase_add_test(tc, require_reports_and_dumps);
	tcase_add_test(tc, rate_limit_counts_what_it_holds_back);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
