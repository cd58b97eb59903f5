/* Messages between an engine and its layers. */
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "daemon/dropin/layer.h"
#include "tests/unit/run.h"

START_TEST(round_trips)
{
	for (unsigned t = LAYER_BAD + 1; t < LAYER_MSG_N; t++) {
		struct layer_msg in = { .type = (enum layer_msg_type)t }, out;
		char bytes[LAYER_MSG_MAX];
		bool text = t == LAYER_ATTACH || t == LAYER_NO || t == LAYER_YIELD || t == LAYER_HOLD;
		if (text)
			strcpy(in.text, "/etc/conntrackd/conntrackd.conf with blanks");
		size_t n = layer_encode(&in, bytes);
		ck_assert_int_eq(layer_decode(bytes, n, &out), (int)t);
		ck_assert_str_eq(out.text, in.text);
		for (size_t i = 0; i < n; i++) { /* a text may be shorter, a word not */
			enum layer_msg_type got = layer_decode(bytes, i, &out);
			ck_assert(got == LAYER_BAD || (text && got == in.type && strlen(out.text) < strlen(in.text)));
		}
	}
}
END_TEST

START_TEST(no_messages)
{
	static const char *const bad[] = { "",       "attach", "attach ", "attach\t/x", "reload now", "Reload",
					   "yield ", "hold",   "okay",    "no",         "end\n",      "attachment /x" };
	char much[LAYER_TEXT_MAX + 10] = "attach ";
	struct layer_msg m;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(layer_decode(bad[i], strlen(bad[i]), &m) == LAYER_BAD, "'%s'", bad[i]);
	ck_assert_int_eq(layer_decode("ok\0", 3, &m), LAYER_BAD);
	memset(much + 7, 'x', sizeof(much) - 7);
	ck_assert_int_eq(layer_decode(much, 7 + LAYER_TEXT_MAX - 1, &m), LAYER_ATTACH);
	ck_assert_uint_eq(strlen(m.text), LAYER_TEXT_MAX - 1);
	ck_assert_int_eq(layer_decode(much, 7 + LAYER_TEXT_MAX, &m), LAYER_BAD);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("layer");
	TCase *t = tcase_create("all");

	tcase_add_test(t, round_trips);
	tcase_add_test(t, no_messages);
	suite_add_tcase(s, t);
	return unit_run(s);
}
