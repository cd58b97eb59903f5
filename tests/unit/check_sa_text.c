/* Lines of libreswan's whack and of programs of the exec backend. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ike-hooks/sa_text.h"

static enum sa_text_drop whack(const char *line, struct sa_text_row *row)
{
	return sa_text_whack(line, strlen(line), row);
}

static enum sa_text_drop program(const char *line, struct sa_text_row *row)
{
	return sa_text_exec(line, strlen(line), row);
}

#define UP "006 #2: \"net\", type=ESP, add_time=1700000000, inBytes=84, outBytes=168, maxBytes=2^63B, id='192.0.2.2'"

START_TEST(whack_child)
{
	struct sa_text_row row;

	ck_assert_int_eq(whack(UP, &row), SA_TEXT_OK);
	ck_assert_int_eq(row.kind, SA_TEXT_CHILD);
	ck_assert_str_eq(row.name, "net");
	ck_assert_uint_eq(row.id, 2);
	ck_assert_uint_eq(row.in, 84);
	ck_assert_uint_eq(row.out, 168);
	/* Without a code, an instance of a template, a user, AH, counters that the kernel did not tell. */
	ck_assert_int_eq(whack("#4294967295: \"a b\"[3] 192.0.2.9, username=x, type=AH, add_time=1, inBytes=7", &row),
			 SA_TEXT_OK);
	ck_assert_str_eq(row.name, "a b");
	ck_assert_uint_eq(row.id, UINT32_MAX);
	ck_assert_uint_eq(row.in, 7);
	ck_assert_uint_eq(row.out, 0);
	ck_assert_int_eq(whack("006 #1: \"n/1x2\", type=ESP, inBytes=18446744073709551615", &row), SA_TEXT_OK);
	ck_assert_uint_eq(row.in, UINT64_MAX);
}
END_TEST

START_TEST(whack_other_lines)
{
	static const char *const line[] = {
		"",
		"0",
		"000",
		"000 ",
		"000  ",
		"000 Total IPsec connections: loaded 1, active 1",
		"021 no connection named \"net\"",
		"whack: is Pluto running?  connect() for \"/run/pluto/pluto.ctl\" failed (2 No such file or directory)",
		"000 #1: \"net\":500 STATE_V2_ESTABLISHED_IKE_SA (established IKE SA); REKEY in 27s; newest; idle;",
		"000 #2: \"net\" esp.5d1a2b3c@192.0.2.2 esp.aa11bb22@192.0.2.1 Traffic: ESPin=84B ESPout=84B",
		"1234 #2: \"net\", type=ESP",
		"12#2: \"net\", type=ESP",
	};
	struct sa_text_row row;

	for (unsigned i = 0; i < sizeof(line) / sizeof(line[0]); i++)
		ck_assert_msg(whack(line[i], &row) == SA_TEXT_OTHER, "%s", line[i]);
}
END_TEST

START_TEST(whack_refused)
{
	static const struct {
		const char *line;
		enum sa_text_drop drop;
	} t[] = {
		{ "006 #: \"net\", type=ESP", SA_TEXT_DROP_SERIAL },
		{ "006 #0: \"net\", type=ESP", SA_TEXT_DROP_SERIAL },
		{ "006 #x: \"net\", type=ESP", SA_TEXT_DROP_SERIAL },
		{ "006 #4294967296: \"net\", type=ESP", SA_TEXT_DROP_SERIAL },
		{ "006 #99999999999999999999999: \"net\", type=ESP", SA_TEXT_DROP_SERIAL },
		{ "006 #2 \"net\", type=ESP", SA_TEXT_DROP_SERIAL },
		{ "006 #2: net, type=ESP", SA_TEXT_DROP_NAME },
		{ "006 #2: \"\", type=ESP", SA_TEXT_DROP_NAME },
		{ "006 #2: \"net, type=ESP", SA_TEXT_DROP_NAME },
		{ "006 #2: \"net\", type=ESP, inBytes=", SA_TEXT_DROP_COUNTER },
		{ "006 #2: \"net\", type=ESP, inBytes=-1", SA_TEXT_DROP_COUNTER },
		{ "006 #2: \"net\", type=ESP, inBytes=1, outBytes=18446744073709551616", SA_TEXT_DROP_COUNTER },
	};
	struct sa_text_row row;

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		ck_assert_msg(whack(t[i].line, &row) == t[i].drop, "%s", t[i].line);
}
END_TEST

START_TEST(whack_cut_at_every_byte)
{
	struct sa_text_row row;
	unsigned ok = 0;

	for (size_t n = 0; n <= strlen(UP); n++) {
		char *exact = malloc(n ? n : 1); /* a read behind the end is seen by the sanitizer */
		ck_assert_ptr_nonnull(exact);
		memcpy(exact, UP, n);
		ok += sa_text_whack(exact, n, &row) == SA_TEXT_OK;
		free(exact);
	}
	ck_assert_uint_gt(ok, 10);
}
END_TEST

START_TEST(long_name_is_nobody)
{
	char line[200], name[80];
	struct sa_text_row row;

	memset(name, 'n', sizeof(name));
	name[IKE_NAME_MAX - 1] = '\0';
	snprintf(line, sizeof(line), "006 #2: \"%s\", type=ESP", name);
	ck_assert_int_eq(whack(line, &row), SA_TEXT_OK);
	ck_assert_str_eq(row.name, name);
	snprintf(line, sizeof(line), "006 #2: \"%sn\", type=ESP", name);
	ck_assert_int_eq(whack(line, &row), SA_TEXT_OK);
	ck_assert_str_eq(row.name, "");
}
END_TEST

START_TEST(exec_lines)
{
	struct sa_text_row row;

	ck_assert_int_eq(program("child-up", &row), SA_TEXT_OK);
	ck_assert_int_eq(row.kind, SA_TEXT_CHILD);
	ck_assert_uint_eq(row.id, 0);
	ck_assert_int_eq(program("\t child-up  out=5 colour=red id=17 in=18446744073709551615\r", &row), SA_TEXT_OK);
	ck_assert_uint_eq(row.id, 17);
	ck_assert_uint_eq(row.in, UINT64_MAX);
	ck_assert_uint_eq(row.out, 5);
	ck_assert_int_eq(program("child-down", &row), SA_TEXT_OK);
	ck_assert_int_eq(row.kind, SA_TEXT_NO_CHILD);
	ck_assert_int_eq(program("ike-up", &row), SA_TEXT_OK);
	ck_assert_int_eq(row.kind, SA_TEXT_IKE);
	ck_assert_int_eq(program("", &row), SA_TEXT_OTHER);
	ck_assert_int_eq(program("  ", &row), SA_TEXT_OTHER);
	ck_assert_int_eq(program("child-upx", &row), SA_TEXT_OTHER);
	ck_assert_int_eq(program("child", &row), SA_TEXT_OTHER);
	ck_assert_int_eq(program("the tunnel: child-up", &row), SA_TEXT_OTHER);
	ck_assert_int_eq(program("child-up id=", &row), SA_TEXT_DROP_SERIAL);
	ck_assert_int_eq(program("child-up id=1x", &row), SA_TEXT_DROP_SERIAL);
	ck_assert_int_eq(program("child-up id=4294967296", &row), SA_TEXT_DROP_SERIAL);
	ck_assert_int_eq(program("child-up in=a", &row), SA_TEXT_DROP_COUNTER);
	ck_assert_int_eq(program("child-up out=", &row), SA_TEXT_DROP_COUNTER);
}
END_TEST

/* The same text in pieces of every size gives the same lines. */
START_TEST(lines_in_pieces)
{
	static const char text[] = "one\n\ntwo words\nlast";

	for (size_t piece = 1; piece <= sizeof(text); piece++) {
		struct sa_lines l;
		char seen[80] = "";

		sa_lines_init(&l);
		for (size_t at = 0; at < sizeof(text) - 1;) {
			size_t n = sizeof(text) - 1 - at, used = 0;
			n = n < piece ? n : piece;
			if (sa_lines_feed(&l, text + at, n, &used)) {
				strncat(seen, l.buf, l.len);
				strcat(seen, "|");
				ck_assert(!l.bad);
				ck_assert(!sa_lines_end(&l));
			}
			ck_assert_uint_gt(used, 0);
			at += used;
		}
		ck_assert(sa_lines_end(&l));
		strncat(seen, l.buf, l.len);
		ck_assert_str_eq(seen, "one||two words|last");
	}
}
END_TEST

START_TEST(bad_lines_end_with_themselves)
{
	struct sa_lines l;
	char text[SA_TEXT_LINE_MAX + 8];
	size_t used;

	sa_lines_init(&l);
	ck_assert(!sa_lines_end(&l));
	memset(text, 'x', sizeof(text));
	ck_assert(!sa_lines_feed(&l, text, SA_TEXT_LINE_MAX, &used));
	ck_assert(!l.bad);
	ck_assert(sa_lines_end(&l));
	ck_assert(!sa_lines_feed(&l, text, 1, &used));
	ck_assert(l.bad);
	ck_assert(sa_lines_feed(&l, "\n", 1, &used));
	ck_assert(l.bad);
	ck_assert_uint_eq(l.len, SA_TEXT_LINE_MAX);
	ck_assert(!sa_lines_feed(&l, "", 0, &used));
	ck_assert(!l.bad && !sa_lines_end(&l));
	ck_assert(sa_lines_feed(&l, "a\0b\n", 4, &used));
	ck_assert(l.bad);
	ck_assert(!sa_lines_feed(&l, "\0", 1, &used));
	ck_assert(sa_lines_end(&l));
}
END_TEST

START_TEST(names)
{
	struct sa_text_row row = { .name = "net" };

	ck_assert(sa_text_names(&row, "net"));
	ck_assert(!sa_text_names(&row, "ne"));
	ck_assert(!sa_text_names(&row, "nets"));
	strcpy(row.name, "net/1x2");
	ck_assert(sa_text_names(&row, "net"));
	ck_assert(sa_text_names(&row, "net/1x2"));
	ck_assert(!sa_text_names(&row, "net/1"));
	row.name[0] = '\0';
	ck_assert(!sa_text_names(&row, "net"));
}
END_TEST

START_TEST(sample_of_rows)
{
	struct ike_sample s = { 0 };
	struct sa_text_row row = { .kind = SA_TEXT_IKE };

	sa_text_add(&s, &row);
	ck_assert(s.present && s.established && !s.child);
	row = (struct sa_text_row){ .kind = SA_TEXT_CHILD, .id = 5, .in = 50, .out = 51 };
	sa_text_add(&s, &row);
	row = (struct sa_text_row){ .kind = SA_TEXT_CHILD, .id = 4, .in = 40, .out = 41 };
	sa_text_add(&s, &row);
	ck_assert(s.child);
	ck_assert_uint_eq(s.sa_id, 5);
	ck_assert_uint_eq(s.in_packets, 50);
	ck_assert_uint_eq(s.out_packets, 51);
	row = (struct sa_text_row){ .kind = SA_TEXT_CHILD, .id = 6, .in = 1 };
	sa_text_add(&s, &row);
	ck_assert_uint_eq(s.sa_id, 6);
	row = (struct sa_text_row){ .kind = SA_TEXT_NO_CHILD };
	sa_text_add(&s, &row);
	ck_assert(!s.child);
}
END_TEST

START_TEST(texts)
{
	for (int i = 0; i < SA_TEXT_N; i++)
		ck_assert_uint_gt(strlen(sa_text_drop_text((enum sa_text_drop)i)), 3);
	ck_assert_str_eq(sa_text_drop_text(SA_TEXT_N), "?");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sa_text");
	TCase *tc = tcase_create("lines");

	tcase_add_test(tc, whack_child);
	tcase_add_test(tc, whack_other_lines);
	tcase_add_test(tc, whack_refused);
	tcase_add_test(tc, whack_cut_at_every_byte);
	tcase_add_test(tc, long_name_is_nobody);
	tcase_add_test(tc, exec_lines);
	tcase_add_test(tc, lines_in_pieces);
	tcase_add_test(tc, bad_lines_end_with_themselves);
	tcase_add_test(tc, names);
	tcase_add_test(tc, sample_of_rows);
	tcase_add_test(tc, texts);
	suite_add_tcase(s, tc);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
