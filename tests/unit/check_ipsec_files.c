/* Reading strongSwan's files: what they include, what is missing, what is no file. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/ipsec_files.h"
#include "tests/unit/run.h"

static char dir[64];
static struct ipsec_files f;
static struct swan_conn room[8];

static void put(const char *name, const char *text)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *out = fopen(path, "w");
	ck_assert_ptr_nonnull(out);
	fputs(text, out);
	fclose(out);
}

static void setup(void)
{
	char path[200];

	strcpy(dir, "/tmp/ipsec-files-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/conf.d", dir);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	memset(&f, 0, sizeof(f));
	snprintf(f.swanctl, sizeof(f.swanctl), "%s/swanctl.conf", dir);
	snprintf(f.strongswan, sizeof(f.strongswan), "%s/strongswan.conf", dir);
	swan_facts_init(&f.facts, room, 8);
}

static void teardown(void)
{
	static const char *const names[] = {
		"swanctl.conf", "strongswan.conf", "conf.d/a.conf", "conf.d/b.conf", "other", "conf.d", ""
	};
	char path[200];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)remove(path);
	}
}

START_TEST(with_includes)
{
	char text[200];

	put("conf.d/a.conf", "connections { a { mobike = no } }\ninclude b.conf\n"); /* includes are followed once */
	put("other", "connections { c { mobike = no } }");
	snprintf(text, sizeof(text), "connections { b { } }\ninclude conf.d/*.conf\ninclude %s/other\ninclude none/*\n",
		 dir);
	put("swanctl.conf", text);
	put("strongswan.conf", "charon { retransmit_timeout = 1\n retransmit_tries = 0 }");
	ck_assert_int_eq(ipsec_files_read(&f), 0);
	ck_assert_str_eq(f.error, "");
	ck_assert_uint_eq(f.facts.n, 3);
	ck_assert_str_eq(f.facts.conn[0].name, "a");
	ck_assert_str_eq(f.facts.conn[1].name, "b");
	ck_assert_str_eq(f.facts.conn[2].name, "c");
	ck_assert(f.repeats);
	ck_assert_uint_eq(swan_retransmit_s(&f.facts), 1);
}
END_TEST

START_TEST(missing)
{
	ck_assert_int_lt(ipsec_files_read(&f), 0);
	ck_assert_ptr_nonnull(strstr(f.error, "swanctl.conf: "));
	ck_assert(!f.repeats);
	ck_assert_uint_eq(f.facts.n, 0);
}
END_TEST

START_TEST(one_bad_file)
{
	put("conf.d/a.conf", "connections {\n x y\n }");
	put("conf.d/b.conf", "connections { b { mobike = no } }");
	put("swanctl.conf", "include conf.d/*.conf\n");
	ck_assert_int_eq(ipsec_files_read(&f), 0);
	ck_assert_ptr_nonnull(strstr(f.error, "conf.d/a.conf:2: "));
	ck_assert_uint_eq(f.facts.n, 1);
	ck_assert_str_eq(f.facts.conn[0].name, "b");
}
END_TEST

START_TEST(no_file)
{
	snprintf(f.swanctl, sizeof(f.swanctl), "%s/conf.d", dir);
	ck_assert_int_lt(ipsec_files_read(&f), 0);
	ck_assert_ptr_nonnull(strstr(f.error, "conf.d: "));
	snprintf(f.swanctl, sizeof(f.swanctl), "%s/swanctl.conf", dir);
	put("swanctl.conf", "");
	char path[200];
	snprintf(path, sizeof(path), "%s/swanctl.conf", dir);
	ck_assert_int_eq(truncate(path, (off_t)IPSEC_FILE_BYTES + 1), 0);
	ck_assert_int_lt(ipsec_files_read(&f), 0);
	ck_assert_int_eq(truncate(path, 0), 0);
	ck_assert_int_eq(ipsec_files_read(&f), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ipsec_files");
	TCase *t = tcase_create("files");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, with_includes);
	tcase_add_test(t, missing);
	tcase_add_test(t, one_bad_file);
	tcase_add_test(t, no_file);
	suite_add_tcase(s, t);
	return unit_run(s);
}
