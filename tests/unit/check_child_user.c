/* Whom programs run as, which files are safe for root, and a program that really runs as somebody else. */
#define _GNU_SOURCE 1
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "ike-hooks/child_io.h"
#include "ike-hooks/ha_env.h"
#include "tests/unit/run.h"

static char dir[64], why[CHILD_WHY_MAX];
static const struct child_ids root, other = { 65534, 65534 };

static void set_up(void)
{
	snprintf(dir, sizeof(dir), "/var/lib/kt-user-XXXXXX");
	if (geteuid() != 0 || !mkdtemp(dir))
		snprintf(dir, sizeof(dir), "%s", "");
	why[0] = '\0';
}

static void tear_down(void)
{
	char cmd[100];
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	if (dir[0])
		ck_assert_int_eq(system(cmd), 0);
}

static const char *in_dir(const char *name)
{
	static char path[128];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void script(const char *name, mode_t mode)
{
	FILE *f = fopen(in_dir(name), "w");
	ck_assert_ptr_nonnull(f);
	fputs("#!/bin/sh\nexit 0\n", f);
	fclose(f);
	ck_assert_int_eq(chmod(in_dir(name), mode), 0);
}

START_TEST(names_and_numbers_are_found)
{
	struct child_ids ids;

	ck_assert_int_eq(child_user_find("root", NULL, true, &ids, why), 0);
	ck_assert_uint_eq(ids.uid, 0);
	ck_assert_int_eq(child_user_find("nobody", NULL, false, &ids, why), 0);
	ck_assert_uint_eq(ids.uid, 65534);
	ck_assert_int_eq(child_user_find("65534", "0", false, &ids, why), 0);
	ck_assert_uint_eq(ids.gid, 0);
	ck_assert_int_eq(child_user_find("12345678", NULL, false, &ids, why), 0);
	ck_assert_uint_eq(ids.gid, 12345678);
	ck_assert_int_eq(child_user_find("no-such-user", NULL, false, &ids, why), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why, "no user no-such-user"));
	ck_assert_int_eq(child_user_find("root", "no-such-group", false, &ids, why), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why, "no group no-such-group"));
	/* Nobody is named: this process's user, but not where security is asked for. */
	if (child_user_find(CHILD_USER_DEFAULT, NULL, false, &ids, why) < 0) {
		ck_assert_int_eq(child_user_find(NULL, NULL, false, &ids, why), 0);
		ck_assert_uint_eq(ids.uid, geteuid());
		ck_assert_int_eq(child_user_find(NULL, NULL, true, &ids, why), -EPERM);
		ck_assert_ptr_nonnull(strstr(why, CHILD_USER_DEFAULT));
	}
}
END_TEST

START_TEST(the_unsafe_part_is_named)
{
	if (!dir[0])
		return; /* files of root are needed */
	script("good", 0755);
	ck_assert_int_eq(chmod(dir, 0755), 0);
	ck_assert_int_eq(child_user_safe(in_dir("good"), &root, why), 0);
	script("world", 0757);
	ck_assert_int_eq(child_user_safe(in_dir("world"), &root, why), -EPERM);
	ck_assert_ptr_nonnull(strstr(why, "world can be written by everybody"));
	ck_assert_int_eq(child_user_safe(in_dir("world"), &other, why), 0);
	script("group", 0775);
	ck_assert_int_eq(child_user_safe(in_dir("group"), &root, why), 0);
	ck_assert_int_eq(chown(in_dir("group"), 0, 65534), 0);
	ck_assert_int_eq(child_user_safe(in_dir("group"), &root, why), -EPERM);
	ck_assert_ptr_nonnull(strstr(why, "by its group"));
	script("owned", 0755);
	ck_assert_int_eq(chown(in_dir("owned"), 65534, 0), 0);
	ck_assert_int_eq(child_user_safe(in_dir("owned"), &root, why), -EPERM);
	ck_assert_ptr_nonnull(strstr(why, "owned belongs to a user other than root"));
	ck_assert_int_eq(child_user_safe(in_dir("owned"), &other, why), 0);
	/* The directory, not the file. */
	ck_assert_int_eq(chmod(dir, 0777), 0);
	ck_assert_int_eq(child_user_safe(in_dir("good"), &root, why), -EPERM);
	ck_assert_int_eq(strncmp(why, dir, strlen(dir)), 0);
	ck_assert_int_eq(why[strlen(dir)], ' ');
	ck_assert_int_eq(chmod(dir, 01777), 0); /* in a sticky one nobody else can replace it */
	ck_assert_int_eq(child_user_safe(in_dir("good"), &root, why), 0);
	ck_assert_int_eq(chmod(in_dir("good"), 0644), 0);
	ck_assert_int_eq(child_user_safe(in_dir("good"), &root, why), -EACCES);
	ck_assert_int_eq(child_user_safe(in_dir("absent"), &root, why), -ENOENT);
}
END_TEST

START_TEST(where_a_link_leads_counts)
{
	char to[128];

	if (!dir[0])
		return;
	ck_assert_int_eq(chmod(dir, 0755), 0);
	ck_assert_int_eq(mkdir(in_dir("open"), 0777), 0);
	ck_assert_int_eq(chmod(in_dir("open"), 0777), 0);
	script("open/s", 0755);
	snprintf(to, sizeof(to), "%s", in_dir("open/s"));
	ck_assert_int_eq(symlink(to, in_dir("link")), 0);
	ck_assert_int_eq(child_user_safe(in_dir("link"), &root, why), -EPERM);
	ck_assert_ptr_nonnull(strstr(why, "/open can be written"));
}
END_TEST

static char output[400];
static struct child_result result;
static bool ended;

static void on_out(void *arg, unsigned slot, const char *data, size_t n)
{
	(void)arg;
	(void)slot;
	strncat(output, data, n < sizeof(output) - strlen(output) - 1 ? n : 0);
}

static void on_end(void *arg, unsigned slot, const struct child_result *r)
{
	(void)arg;
	(void)slot;
	result = *r;
	ended = true;
}

static void run_as(const char *const *argv, const struct child_as *as)
{
	static const char *const envp[] = { HA_ENV_PATH, NULL };
	struct loop *l = loop_new("test");
	struct children *c = children_new(l, on_out, on_end, NULL);
	mono_t until = mono_add(clock_mono(), 10 * NS_PER_SEC);

	output[0] = '\0';
	ended = false;
	ck_assert_int_ge(child_run_as(c, argv, envp, 5 * NS_PER_SEC, 0, as), 0);
	while (!ended && !mono_due(until, clock_mono()))
		loop_once(l, 10 * NS_PER_MS);
	ck_assert(ended);
	children_free(c);
	loop_free(l);
}

START_TEST(a_program_runs_as_somebody_else)
{
	static const char *const id[] = { "/bin/sh", "-c", "echo $(id -u) $(id -g) $(id -G); ls /proc/self/fd | wc -w",
					  NULL };
	struct child_as as = { .user = "nobody", .in_fd = -1 };

	if (geteuid() != 0)
		return;
	run_as(id, &as);
	ck_assert_int_eq(result.end, CHILD_EXITED);
	ck_assert_str_eq(output, "65534 65534 65534\n4\n"); /* 0, 1, 2, and the directory itself */
	as.user = "no-such-user";
	run_as(id, &as);
	ck_assert_int_eq(result.end, CHILD_START_FAILED);
	ck_assert_ptr_nonnull(strstr(output, "no user no-such-user"));
}
END_TEST

START_TEST(an_unsafe_program_does_not_run_as_root)
{
	struct child_as as = { .user = "root", .strict = true, .in_fd = -1 };

	if (!dir[0])
		return;
	ck_assert_int_eq(chmod(dir, 0755), 0);
	script("w", 0777);
	const char *const argv[] = { in_dir("w"), NULL };
	run_as(argv, &as);
	ck_assert_int_eq(result.end, CHILD_START_FAILED);
	ck_assert_int_eq(result.code, EPERM);
	ck_assert_ptr_nonnull(strstr(output, "/w can be written by everybody"));
	as.strict = false;
	run_as(argv, &as);
	ck_assert_int_eq(result.end, CHILD_EXITED);
}
END_TEST

START_TEST(it_reads_what_it_is_given)
{
	static const char *const cat[] = { "/bin/cat", NULL };
	struct child_as as = { .in_fd = memfd_create("text", MFD_CLOEXEC) };

	ck_assert_int_eq(write(as.in_fd, "Subject: x\n", 11), 11);
	ck_assert_int_eq(lseek(as.in_fd, 0, SEEK_SET), 0);
	run_as(cat, &as);
	ck_assert_str_eq(output, "Subject: x\n");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("child_user");
	TCase *tc = tcase_create("user");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, names_and_numbers_are_found);
	tcase_add_test(tc, the_unsafe_part_is_named);
	tcase_add_test(tc, where_a_link_leads_counts);
	tcase_add_test(tc, a_program_runs_as_somebody_else);
	tcase_add_test(tc, an_unsafe_program_does_not_run_as_root);
	tcase_add_test(tc, it_reads_what_it_is_given);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
