/* The rules of keepalived.conf about one line, each by itself. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/dropin/kconf_lex.h"
#include "daemon/dropin/kconf_text.h"
#include "tests/unit/run.h"

struct pair {
	const char *in, *out;
};

#define N(list) (int)(sizeof(list) / sizeof((list)[0]))

static const struct pair comments[] = {
	{ "", "" },
	{ "  a b  ", "a b" },
	{ "a # b", "a" },
	{ "a ! b", "a" },
	{ "# b", "" },
	{ "!", "" },
	{ "a#b", "a" },
	{ "\"a # b\" c # d", "\"a # b\" c" },
	{ "'a # b'", "'a" },
	{ "a \\# b \\! c", "a # b ! c" },
	{ "\"a \\# b\"", "\"a \\# b\"" },
	{ "a \\\" # b \" c", "a \\\"" },
	{ "a  \\", "a\\" },
	{ "a # b \\", "a\\" },
	{ "# b \\", "\\" },
	{ "a \\\\ b", "a \\\\ b" },
	{ "\\", "\\" },
};

START_TEST(comment)
{
	char buf[64];
	bool open;

	snprintf(buf, sizeof(buf), "%s", comments[_i].in);
	size_t n = kconf_decomment(buf, strlen(buf), &open);
	ck_assert_str_eq(buf, comments[_i].out);
	ck_assert_uint_eq(n, strlen(buf));
	ck_assert(!open);
}
END_TEST

START_TEST(open_quote)
{
	char one[] = "a \"b # c", two[] = "a # \"b";
	bool open;

	kconf_decomment(one, strlen(one), &open);
	ck_assert(open);
	ck_assert_str_eq(one, "a \"b # c");
	kconf_decomment(two, strlen(two), &open);
	ck_assert(!open);
}
END_TEST

/* Words joined with |; NULL: it says that something is wrong */
static const struct pair plain[] = {
	{ "", "" },          { " a  b\tc\rd", "a|b|c|d" }, { "\"a b\" c", "a b|c" }, { "a\"b c\"d", "a|b c|d" },
	{ "\"\"", "" },      { "x \"\" y", "x||y" },       { "\"a\"\"b\"", "a|b" },  { "'a b' \\x", "'a|b'|\\x" },
	{ "a \"b c", NULL },
};

static const char *joined(char **words, unsigned n)
{
	static char buf[256];
	size_t at = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < n; i++)
		at += (size_t)snprintf(buf + at, sizeof(buf) - at, "%s%s", i ? "|" : "", words[i]);
	return buf;
}

START_TEST(words)
{
	const char *in = plain[_i].in;
	char into[128], *list[32];
	bool bad;
	unsigned n = kconf_split(in, strlen(in), NULL, NULL, &bad);

	ck_assert(bad == !plain[_i].out);
	ck_assert_uint_eq(kconf_split(in, strlen(in), into, list, &bad), n);
	if (!bad)
		ck_assert_str_eq(joined(list, n), plain[_i].out);
	else
		ck_assert_str_eq(joined(list, n), "a");
}
END_TEST

static const struct pair shell[] = {
	{ "", "" },
	{ " a  b ", "a|b" },
	{ "abcd\" efg h jkl \"mnop", "abcd efg h jkl mnop" },
	{ "abcd \"efg h jkl\" mnop", "abcd|efg h jkl|mnop" },
	{ "'a \"b\" c'", "a \"b\" c" },
	{ "\"a 'b' c\"", "a 'b' c" },
	{ "\"\" ''", "|" },
	{ "a\\ b", "a b" },
	{ "\\\"a\\\" \\\\", "\"a\"|\\" },
	{ "\\x41\\x4 \\x4a1 \\101\\60 \\1011", "A\x04|\xa1|A0|A1" },
	{ "\\xg \\8", "xg|8" },
	{ "\\ca\\cZ", "\x01\x1a" },
	{ "\\a\\b\\E\\f\\n\\r\\t\\v", "\a\b\033\f\n\r\t\v" },
	{ "'\\'a'", "'a" },
	{ "\\0a", "a" },
	{ "a 'b", NULL },
	{ "a \"b", NULL },
	{ "a\\", NULL },
	{ "\"a\\", NULL },
};

START_TEST(shell_words)
{
	const char *in = shell[_i].in;
	char into[128], *list[32];
	int n = kconf_shell_split(in, strlen(in), NULL, NULL);

	ck_assert_int_eq(kconf_shell_split(in, strlen(in), into, list), n);
	if (shell[_i].out)
		ck_assert_str_eq(joined(list, (unsigned)n), shell[_i].out);
	else
		ck_assert_int_eq(n, in[strlen(in) - 1] == '\\' ? -2 : -1);
}
END_TEST

/* What is before the first brace */
static const struct pair brace_at[] = {
	{ "a {", "a " },
	{ "{ a", "" },
	{ "}", "" },
	{ "a } b", "a " },
	{ "\"a { b\" c{d", "\"a { b\" c" },
	{ "'a { b'", "'a " },
	{ "a", NULL },
	{ "\"a { b", NULL },
	{ "a ${X} b", NULL },
	{ "a ${X 1 2} {", "a ${X 1 2} " },
	{ "a ${1} b", "a $" },
	{ "$ {", "$ " },
};

START_TEST(brace)
{
	const char *in = brace_at[_i].in, *out = brace_at[_i].out;
	bool var = false;
	const char *p = kconf_brace(in, &var);

	ck_assert(!p == !out);
	if (p)
		ck_assert_int_eq(p - in, (int)strlen(out));
	ck_assert(var == (strstr(in, "${X") != NULL));
}
END_TEST

static const struct pair conditions[] = {
	{ "@me a b", "a b" },       { "@me\t a", "a" }, { "@you a", NULL }, { "@^me a", NULL },
	{ "@^you a", "a" },         { "@me", NULL },    { "@ a", NULL },    { "@^ a", "a" },
	{ "@mee a", NULL },         { "@m a", NULL },   { "@^mee a", "a" }, { "@^you", NULL },
	{ "@me @you a", "@you a" },
};

START_TEST(condition)
{
	const char *got = kconf_condition(conditions[_i].in, "me");

	if (conditions[_i].out)
		ck_assert_str_eq(got, conditions[_i].out);
	else
		ck_assert_ptr_null(got);
}
END_TEST

static const struct pair definitions[] = {
	{ "$A=b", "b" },  { "$A=", "" },     { "$_a1= b c", "b c" }, { "$A =b", NULL },
	{ "$1=b", NULL }, { "$A", NULL },    { "$A-b=c", NULL },     { "A=b", NULL },
	{ "$=b", NULL },  { "$A==b", "=b" }, { "$ A=b", NULL },
};

START_TEST(definition)
{
	size_t n = 99;
	const char *got = kconf_definition(definitions[_i].in, &n);

	if (!definitions[_i].out) {
		ck_assert_ptr_null(got);
		return;
	}
	ck_assert_str_eq(got, definitions[_i].out);
	ck_assert_uint_eq(n, strcspn(definitions[_i].in + 1, "="));
}
END_TEST

static const struct {
	const char *in, *out;
	unsigned check;
} includes[] = {
	{ "include a.conf", "a.conf", 0 },
	{ "include  \t{a,b}/*.conf", "{a,b}/*.conf", 0 },
	{ "includer a", "a", KCONF_CHECK_READABLE },
	{ "includem a", "a", KCONF_CHECK_READABLE | KCONF_CHECK_MATCH },
	{ "includew a", "a", KCONF_CHECK_READABLE | KCONF_CHECK_MATCH | KCONF_CHECK_WILDCARD },
	{ "includeb a", "a", KCONF_CHECK_READABLE | KCONF_CHECK_BRACE },
	{ "includea a", "a", KCONF_CHECK_ALL },
	{ "includex a", NULL, 0 },
	{ "include", NULL, 0 },
	{ "include ", NULL, 0 },
	{ "include_check match", NULL, 0 },
	{ "includer", NULL, 0 },
	{ " include a", NULL, 0 },
};

START_TEST(include)
{
	unsigned check = 77;
	const char *got = kconf_include(includes[_i].in, &check);

	if (includes[_i].out) {
		ck_assert_str_eq(got, includes[_i].out);
		ck_assert_uint_eq(check, includes[_i].check);
	} else {
		ck_assert_ptr_null(got);
	}
}
END_TEST

static const struct {
	const char *in, *name, *args;
	size_t len;
} refs[] = {
	{ "$A", "A", NULL, 2 },
	{ "$A b", "A", NULL, 2 },
	{ "$A,", "A", NULL, 2 },
	{ "$A)", "A", NULL, 2 },
	{ "$A\tb", "A", NULL, 2 },
	{ "$A.b", NULL, NULL, 0 },
	{ "$A\"", NULL, NULL, 0 },
	{ "$", NULL, NULL, 0 },
	{ "$1", NULL, NULL, 0 },
	{ "${A}b", "A", NULL, 4 },
	{ "${_R 1 20}", "_R", "1 20", 10 },
	{ "${_E HOME }", "_E", "HOME", 11 },
	{ "${A }", "A", NULL, 5 },
	{ "${A", NULL, NULL, 0 },
	{ "${A-b}", NULL, NULL, 0 },
	{ "${}", NULL, NULL, 0 },
};

START_TEST(reference)
{
	struct kconf_ref r;
	bool ok = kconf_ref(refs[_i].in, &r);

	ck_assert(ok == (refs[_i].name != NULL));
	if (!ok)
		return;
	ck_assert_uint_eq(r.name_len, strlen(refs[_i].name));
	ck_assert_mem_eq(r.name, refs[_i].name, r.name_len);
	ck_assert_uint_eq(r.len, refs[_i].len);
	ck_assert(!r.args == !refs[_i].args);
	if (r.args) {
		ck_assert_uint_eq(r.args_len, strlen(refs[_i].args));
		ck_assert_mem_eq(r.args, refs[_i].args, r.args_len);
	}
}
END_TEST

static const struct {
	const char *in;
	bool hex, ok;
	int64_t next, last, step;
} seqs[] = {
	{ "3", false, true, 1, 3, 1 },
	{ " 3 ", false, true, 1, 3, 1 },
	{ "0", false, true, 1, 0, -1 },
	{ "-3", false, true, -1, -3, -1 },
	{ "1,3", false, true, 1, 3, 1 },
	{ "3,1", false, true, 3, 1, -1 },
	{ "2 , 2", false, true, 2, 2, 1 },
	{ "1,2,9", false, true, 1, 9, 2 },
	{ "9,-2,1", false, true, 9, 1, -2 },
	{ "0x90,0x10,0xc0", true, true, 144, 192, 16 },
	{ "010", false, true, 1, 8, 1 },
	{ "", false, true, 1, 0, -1 },
	{ "1,0,3", false, false, 0, 0, 0 },
	{ "1,-1,3", false, false, 0, 0, 0 },
	{ "3,1,1", false, false, 0, 0, 0 },
	{ "1,2,3,4", false, false, 0, 0, 0 },
	{ "a", false, false, 0, 0, 0 },
	{ "1 2", false, false, 0, 0, 0 },
	{ "-1", true, false, 0, 0, 0 },
	{ "1,-1", true, false, 0, 0, 0 },
	{ "9999999999999999999", false, false, 0, 0, 0 },
};

START_TEST(seq)
{
	struct kconf_seq q;

	ck_assert(kconf_seq(seqs[_i].in, seqs[_i].hex, &q) == seqs[_i].ok);
	if (!seqs[_i].ok)
		return;
	ck_assert_int_eq(q.next, seqs[_i].next);
	ck_assert_int_eq(q.last, seqs[_i].last);
	ck_assert_int_eq(q.step, seqs[_i].step);
}
END_TEST

/* names; one set after the other; what follows */
static const struct pair lists[] = {
	{ "(A, 1, 2,3) x y", "A;1;2;3;x y" },
	{ "( A ,1) x", "A;1;x" },
	{ "({A, B}, {1,2}, { 3 , 4 }) x", "A,B;1,2;3,4;x" },
	{ "({A,B}, {1}, 2)", "A,B;1,;2,;" },
	{ "({A},{1},{2})x", "A;1;2;x" },
	{ "(A,)", "A;;" },
	{ "(A,$B,c-d)", "A;$B;c-d;" },
	{ "(A)", NULL },
	{ "A,1)", NULL },
	{ "(A,1", NULL },
	{ "(A,1 2)", NULL },
	{ "(,1)", NULL },
	{ "({A,B},{1,2,3})", NULL },
	{ "({A,B},{1,2)", NULL },
	{ "({A B},{1,2})", NULL },
	{ "(A,{1,2})", NULL },
	{ "", NULL },
};

START_TEST(lst)
{
	struct kconf_lst l;
	const char *rest = kconf_lst(lists[_i].in, &l);
	char buf[200] = "";
	size_t n = 0;

	ck_assert(!rest == !lists[_i].out);
	if (!rest) {
		ck_assert_ptr_null(l.mem);
		return;
	}
	for (unsigned i = 0; i < l.n_names; i++)
		n += (size_t)snprintf(buf + n, sizeof(buf) - n, "%s%s", i ? "," : "", l.names[i]);
	for (unsigned i = 0; i < l.n_sets * l.n_names; i++)
		n += (size_t)snprintf(buf + n, sizeof(buf) - n, "%s%s", i % l.n_names ? "," : ";", l.values[i]);
	snprintf(buf + n, sizeof(buf) - n, ";%s", rest);
	ck_assert_str_eq(buf, lists[_i].out);
	kconf_lst_free(&l);
}
END_TEST

/* Everything at once may be cut off anywhere. */
START_TEST(cut_off)
{
	static const char *const texts[] = { "({A, B}, {1,2}, { 3 , 4 }) x", "0x90, 0x10,0xc0",
					     "a \"b\\x41 'c'\" \\# d" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		for (size_t n = 0; n <= strlen(texts[i]); n++) {
			char *s = strndup(texts[i], n), into[128], *list[64];
			struct kconf_lst l;
			struct kconf_seq q;
			struct kconf_ref r;
			bool bad;
			if (kconf_lst(s, &l))
				kconf_lst_free(&l);
			kconf_seq(s, false, &q);
			kconf_ref(s, &r);
			kconf_split(s, n, into, list, &bad);
			ck_assert_int_lt(kconf_shell_split(s, n, into, list), 64);
			ck_assert_uint_le(kconf_decomment(s, n, &bad), n);
			free(s);
		}
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("kconf_text");
	TCase *t = tcase_create("lines");

	tcase_add_loop_test(t, comment, 0, N(comments));
	tcase_add_test(t, open_quote);
	tcase_add_loop_test(t, words, 0, N(plain));
	tcase_add_loop_test(t, shell_words, 0, N(shell));
	tcase_add_loop_test(t, brace, 0, N(brace_at));
	tcase_add_loop_test(t, condition, 0, N(conditions));
	tcase_add_loop_test(t, definition, 0, N(definitions));
	tcase_add_loop_test(t, include, 0, N(includes));
	tcase_add_loop_test(t, reference, 0, N(refs));
	tcase_add_loop_test(t, seq, 0, N(seqs));
	tcase_add_loop_test(t, lst, 0, N(lists));
	tcase_add_test(t, cut_off);
	suite_add_tcase(s, t);
	return unit_run(s);
}
