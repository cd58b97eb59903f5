/* keepalived.conf from files: patterns, includes, how strict they are, and files that must not be read. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/dropin/kconf_lex.h"
#include "tests/unit/kconf_util.h"
#include "tests/unit/run.h"

static char dir[64];

static void setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/check_kconf.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
}

static void teardown(void)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(name, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

/* Reads k.conf; the statements and the messages are as given, `@` in the messages stands for the directory. */
static void reads_with(unsigned check, const char *out, const char *said)
{
	struct kconf_opts o = { .config_id = "id", .include_check = check };
	struct cfg_errors errs = { 0 };
	char path[100], want[4000];
	size_t n = 0;
	snprintf(path, sizeof(path), "%s/k.conf", dir);
	struct kconf *k = kconf_read_file(path, &o, &errs);

	for (; *said; said++)
		n += (size_t)snprintf(want + n, sizeof(want) - n, *said == '@' ? "%s" : "%.1s",
				      *said == '@' ? dir : said);
	want[n] = '\0';
	ck_assert_str_eq(messages(&errs), want);
	ck_assert_str_eq(shown(k), out);
	kconf_free(k);
	cfg_errors_free(&errs);
}

static void reads(const char *out, const char *said)
{
	reads_with(0, out, said);
}

START_TEST(in_order)
{
	mkdir("sub", 0755);
	put("k.conf", "a {\ninclude sub/*.conf\n}\ninclude x.conf\nz ${_PWD}\n");
	put("sub/1.conf", "b1 ${_PWD}\ninclude ../y.conf\n$V=7\n");
	put("sub/2.conf", "b2 $V {");
	put("sub/3.other", "no\n");
	put("y.conf", "y }\n");
	put("x.conf", "x }\n");
	char out[300];
	snprintf(out, sizeof(out), "[a{[b1|%s/sub][y]}][b2|7{}][x][z|%s]", dir, dir);
	reads(out, "W: @/x.conf:1: a } too many; it is left out (included by @/k.conf:4)\n");
}
END_TEST

START_TEST(nested_places)
{
	struct cfg_errors errs = { 0 };
	put("k.conf", "a\n\ninclude 1.conf\n");
	put("1.conf", "\ninclude 2.conf\nb\n");
	put("2.conf", "c\n");
	struct kconf *k = kconf_read_file("k.conf", NULL, &errs);

	ck_assert_str_eq(shown(k), "[a][c][b]");
	ck_assert_uint_eq(k->n_files, 3);
	const struct kconf_stmt *c = k->subs->next;
	ck_assert_uint_eq(c->from->at.line, 2);
	ck_assert_uint_eq(c->from->up->at.line, 3);
	ck_assert_str_eq(c->from->up->at.file, "k.conf");
	ck_assert_ptr_null(c->from->up->up);
	kconf_complain(&errs, CFG_ERROR, c, "bad");
	ck_assert_ptr_nonnull(strstr(messages(&errs), "/2.conf:1: bad (included by "));
	ck_assert_ptr_nonnull(strstr(messages(&errs), "/1.conf:2) (included by k.conf:3)\n"));
	kconf_free(k);
	cfg_errors_free(&errs);
}
END_TEST

START_TEST(missing_include)
{
	put("k.conf", "a\ninclude no.conf\n");
	reads("[a]", "W: @/k.conf:2: include no.conf: no such file; it is left out\n");
	reads_with(KCONF_CHECK_MATCH, "[a]", "E: @/k.conf:2: include no.conf: no such file (include_check match)\n");
	put("k.conf", "a\nincludem no.conf\nincluder no.conf\n");
	reads("[a]", "E: @/k.conf:2: include no.conf: no such file (include_check match)\n"
		     "W: @/k.conf:3: include no.conf: no such file; it is left out\n");
	put("k.conf", "a\ninclude no*.conf\n");
	reads("[a]", "");
	put("k.conf", "a\nincludew no*.conf\nincludem no*.conf\n");
	reads("[a]", "E: @/k.conf:2: include no*.conf: no such file (include_check wildcard_match)\n");
	put("yes.conf", "y\n");
	put("k.conf", "a\ninclude {yes,no}.conf\n");
	reads("[a][y]", "W: @/k.conf:2: include no.conf: no such file; it is left out\n");
	put("k.conf", "a\nincludeb {yes,no}.conf\n");
	reads("[a][y]", "E: @/k.conf:2: include no.conf: no such file (include_check brace_match)\n");
}
END_TEST

START_TEST(level_in_the_file)
{
	put("k.conf", "global_defs {\ninclude_check match\n}\ninclude 1.conf\ninclude no.conf\n");
	put("1.conf", "global_defs {\ninclude_check -match\n}\ninclude no.conf\n");
	reads("[global_defs{[include_check|match]}][global_defs{[include_check|-match]}]",
	      "E: @/k.conf:5: include no.conf: no such file (include_check match)\n"
	      "W: @/1.conf:4: include no.conf: no such file; it is left out (included by @/k.conf:4)\n");
	put("k.conf", "global_defs {\ninclude_check\ninclude_check +no -wildcard_match\n}\ninclude *.no\ninclude no\n");
	reads("[global_defs{[include_check][include_check|+no|-wildcard_match]}]",
	      "E: @/k.conf:6: include no: no such file (include_check match)\n"
	      "W: @/k.conf:3: include_check +no: there is readable, match, wildcard_match, brace_match\n");
}
END_TEST

START_TEST(unfit_files)
{
	mkdir("d", 0755);
	put("x.conf", "x\n");
	chmod("x.conf", 0755);
	ck_assert_int_eq(mkfifo("f", 0600), 0);
	put("k.conf", "a\ninclude d\ninclude x.conf\ninclude f\nincluder d\n");
	reads("[a]",
	      "E: @/k.conf:5: include @/d/: it is a directory\n"
	      "W: @/k.conf:2: include @/d/: it is a directory\n"
	      "W: @/k.conf:3: include @/x.conf: it is executable, and keepalived reads no such file; chmod a-x makes "
	      "it one\n"
	      "W: @/k.conf:4: include @/f: it is not a regular file\n");
	chmod("k.conf", 0755);
	reads("", "E: @/k.conf: it is executable, and keepalived reads no such file; chmod a-x makes it one\n");
}
END_TEST

START_TEST(braces_in_names)
{
	mkdir("foo", 0755);
	mkdir("foo/cat", 0755);
	mkdir("bar", 0755);
	put("foo/a", "1\n");
	put("foo/cat/a", "2\n");
	put("bar/a", "3\n");
	put("k.conf", "include {foo/{,cat/},bar/}a\ninclude \"foo/a\"\ninclude {bar/a\n");
	reads("[1][2][3][1]", "W: @/k.conf:3: include {bar/a: no such file; it is left out\n");
	put("k.conf", "a\ninclude {1,2,3,4,5,6,7,8,9}{1,2,3,4,5,6,7,8,9}{1,2,3,4}\n");
	struct cfg_errors errs = { 0 };
	kconf_free(kconf_read_file("k.conf", NULL, &errs));
	ck_assert_ptr_nonnull(strstr(messages(&errs), "the braces stand for more than 256 names"));
	cfg_errors_free(&errs);
}
END_TEST

START_TEST(loops)
{
	put("k.conf", "a\ninclude 1.conf\n");
	put("1.conf", "b\ninclude k.conf\nc\n");
	reads("[a][b][c]", "E: @/1.conf:2: include @/k.conf: it includes itself (included by @/k.conf:2)\n");
	put("k.conf", "a\ninclude *.conf\n");
	put("1.conf", "b\n");
	reads("[a][b]", "E: @/k.conf:2: include @/k.conf: it includes itself\n");
	/* twice is no loop */
	put("k.conf", "include 1.conf\ninclude 1.conf\n");
	reads("[b][b]", "");
}
END_TEST

START_TEST(conditional_include)
{
	put("k.conf", "$F=1.conf\n@id include $F\n@no include 2.conf\n");
	put("1.conf", "b\n");
	reads("[b]", "");
}
END_TEST

START_TEST(definition_ends_with_its_file)
{
	put("k.conf", "include 1.conf\na\n$V\n");
	put("1.conf", "$V=x \\\n");
	reads("[a][x]", "");
}
END_TEST

START_TEST(main_file)
{
	struct cfg_errors errs = { 0 };
	ck_assert_ptr_null(kconf_read_file("no.conf", NULL, &errs));
	ck_assert_str_eq(messages(&errs), "E: no.conf: no such file\n");
	cfg_errors_free(&errs);
	put("k.conf", "");
	reads("", "E: @/k.conf: there is nothing in it\n");
	put("k.conf", "# only a comment\n");
	reads("", "E: @/k.conf: there is nothing in it\n");
	put("k.conf", "vrrp_instance V {\n interface e");
	reads("[vrrp_instance|V{[interface|e]}]",
	      "E: @/k.conf:1: the block vrrp_instance that begins here does not end: "
	      "a } is missing, or the file is cut off\n");
	/* a pattern is several files */
	put("1.conf", "a {\n");
	put("2.conf", "b }\n");
	struct kconf *k = kconf_read_file("[12].conf", NULL, &errs);
	ck_assert_str_eq(shown(k), "[a{[b]}]");
	ck_assert_str_eq(messages(&errs), "");
	kconf_free(k);
	/* but not if it is a name */
	put("[12].conf", "c\n");
	k = kconf_read_file("[12].conf", NULL, &errs);
	ck_assert_str_eq(shown(k), "[c]");
	kconf_free(k);
	cfg_errors_free(&errs);
}
END_TEST

START_TEST(host_name)
{
	struct cfg_errors errs = { 0 };
	char host[256] = "", want[300];
	gethostname(host, sizeof(host) - 1);
	host[strcspn(host, ".")] = '\0';
	put("k.conf", "a ${_INSTANCE}\n");
	struct kconf *k = kconf_read_file("k.conf", NULL, &errs);
	snprintf(want, sizeof(want), "[a|%s]", host);
	ck_assert_str_eq(shown(k), want);
	kconf_free(k);
	cfg_errors_free(&errs);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("kconf_file");
	TCase *t = tcase_create("files");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, in_order);
	tcase_add_test(t, nested_places);
	tcase_add_test(t, missing_include);
	tcase_add_test(t, level_in_the_file);
	tcase_add_test(t, unfit_files);
	tcase_add_test(t, braces_in_names);
	tcase_add_test(t, loops);
	tcase_add_test(t, conditional_include);
	tcase_add_test(t, definition_ends_with_its_file);
	tcase_add_test(t, main_file);
	tcase_add_test(t, host_name);
	suite_add_tcase(s, t);
	return unit_run(s);
}
