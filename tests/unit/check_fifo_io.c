/* Pipes with readers of every kind: quick, slow, none. */
#define _GNU_SOURCE 1
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/fifo_io.h"
#include "tests/unit/run.h"

static struct loop *loop;
static struct fifo_io *f;
static char dir[40], path[64];
static struct fifo_answer last;
static unsigned n_answers;

static void on_answer(void *arg, const struct fifo_answer *a)
{
	(void)arg;
	last = *a;
	n_answers++;
}

static void set_up(void)
{
	snprintf(dir, sizeof(dir), "/tmp/kt-fifo-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/pipe", dir);
	n_answers = 0;
	loop = loop_new("test");
	f = fifo_io_new(loop, on_answer, NULL);
	ck_assert_ptr_nonnull(f);
}

static void tear_down(void)
{
	fifo_io_free(f);
	loop_free(loop);
	(void)unlink(path);
	ck_assert_int_eq(rmdir(dir), 0);
}

/* True when so many answers came in time. */
static bool until(unsigned n, int64_t ms)
{
	mono_t end = mono_add(clock_mono(), ms * NS_PER_MS);

	while (n_answers < n && !mono_due(end, clock_mono()))
		loop_once(loop, 5 * NS_PER_MS);
	return n_answers >= n;
}

static void open_it(void)
{
	struct notify_fifo_conf c = { .path = path };

	ck_assert(fifo_io_open(f, 0, &c, NULL, NULL));
	ck_assert(until(n_answers + 1, 5000));
	ck_assert_int_eq(last.op, FIFO_OPEN);
}

static void line(const char *text, bool at_once)
{
	ck_assert(fifo_io_line(f, 0, text, at_once));
}

START_TEST(a_pipe_is_made_and_removed)
{
	struct stat st;

	open_it();
	ck_assert_int_eq(last.err, 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert(S_ISFIFO(st.st_mode));
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert(fifo_io_close(f, 0));
	ck_assert(until(2, 5000));
	ck_assert_int_eq(last.op, FIFO_CLOSE);
	ck_assert_int_eq(access(path, F_OK), -1);
	line("nobody\n", false);
	ck_assert(until(3, 5000));
	ck_assert_int_eq(last.err, EBADF);
}
END_TEST

START_TEST(a_line_waits_for_the_one_before_to_be_read)
{
	char buf[100];

	open_it();
	int fd = open(path, O_RDONLY | O_NONBLOCK);
	ck_assert_int_ge(fd, 0);
	line("one\n", false); /* nothing is read: it has room all the same */
	ck_assert(until(2, 5000));
	line("two\n", false);
	ck_assert(!until(3, 50));
	ck_assert_int_eq(read(fd, buf, sizeof(buf)), 4);
	ck_assert(until(3, 5000));
	ck_assert_int_eq(last.err, 0);
	ck_assert_int_eq(read(fd, buf, sizeof(buf)), 4);
	ck_assert_int_eq(memcmp(buf, "two\n", 4), 0);
	close(fd);
}
END_TEST

START_TEST(a_reader_that_goes_is_no_error)
{
	char buf[100];

	open_it();
	line("one\n", false);
	ck_assert(until(2, 5000));
	int fd = open(path, O_RDONLY | O_NONBLOCK);
	ck_assert_int_eq(read(fd, buf, sizeof(buf)), 4);
	close(fd);
	line("two\n", false);
	ck_assert(until(3, 5000));
	ck_assert_int_eq(last.err, 0);
	fd = open(path, O_RDONLY | O_NONBLOCK);
	ck_assert_int_eq(read(fd, buf, sizeof(buf)), 4);
	close(fd);
}
END_TEST

START_TEST(at_the_end_everything_is_put_in)
{
	char buf[5000] = "", text[FIFO_LINE_MAX];
	ssize_t n = 0;

	open_it();
	int fd = open(path, O_RDONLY | O_NONBLOCK);
	line("waits not\n", false);
	ck_assert(until(2, 5000));
	line("waits\n", false);
	for (unsigned i = 0; i < 200; i++) {
		snprintf(text, sizeof(text), "line %u\n", i);
		line(text, true);
	}
	ck_assert(until(203, 5000));
	for (ssize_t got = 1; got > 0; n += got > 0 ? got : 0)
		got = read(fd, buf + n, sizeof(buf) - 1 - (size_t)n);
	ck_assert_int_eq(strncmp(buf, "waits not\nwaits\nline 0\nline 1\n", 30), 0);
	ck_assert_str_eq(buf + n - 9, "line 199\n");
	close(fd);
}
END_TEST

START_TEST(what_is_there_is_used_and_left)
{
	ck_assert_int_eq(mkfifo(path, 0640), 0);
	open_it();
	ck_assert_int_eq(last.err, 0);
	fifo_io_free(f);
	f = fifo_io_new(loop, on_answer, NULL);
	struct stat st;
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0640);
}
END_TEST

START_TEST(what_replaced_it_is_left)
{
	open_it();
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	fifo_io_free(f);
	f = fifo_io_new(loop, on_answer, NULL);
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(what_is_no_pipe_is_refused_by_name)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	close(fd);
	open_it();
	ck_assert_int_eq(last.err, ENXIO);
	ck_assert_ptr_nonnull(strstr(last.why, "is no named pipe"));
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(symlink("/etc/passwd", path), 0);
	open_it();
	ck_assert_int_eq(last.err, ELOOP);
	ck_assert_int_eq(unlink(path), 0);
	struct notify_fifo_conf c = { .path = "/nowhere/at/all" };
	ck_assert(fifo_io_open(f, 1, &c, NULL, NULL));
	ck_assert(until(3, 5000));
	ck_assert_uint_eq(last.which, 1);
	ck_assert_int_eq(last.err, ENOENT);
	c = (struct notify_fifo_conf){ .path = path, .user = "no-such-user" };
	ck_assert(fifo_io_open(f, 0, &c, NULL, NULL));
	ck_assert(until(4, 5000));
	ck_assert_ptr_nonnull(strstr(last.why, "no user no-such-user"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fifo_io");
	TCase *tc = tcase_create("pipes");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, a_pipe_is_made_and_removed);
	tcase_add_test(tc, a_line_waits_for_the_one_before_to_be_read);
	tcase_add_test(tc, a_reader_that_goes_is_no_error);
	tcase_add_test(tc, at_the_end_everything_is_put_in);
	tcase_add_test(tc, what_is_there_is_used_and_left);
	tcase_add_test(tc, what_replaced_it_is_left);
	tcase_add_test(tc, what_is_no_pipe_is_refused_by_name);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
