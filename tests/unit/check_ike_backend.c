/* The table of backends, whack's words, and what lists say. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "ike-hooks/ike_backend.h"

#define MS(n) ((mono_t){ (n)*NS_PER_MS })

static struct ike_watch w;

static const struct ike_backend_info *swan(void)
{
	return ike_backend_info(IKE_BACKEND_LIBRESWAN);
}

START_TEST(table)
{
	static const char *const name[] = { "vici", "libreswan", "exec", "none" };

	for (unsigned b = 0; b < 4; b++) {
		const struct ike_backend_info *i = ike_backend_info((enum ike_backend)b);
		ck_assert_str_eq(i->name, name[b]);
		ck_assert_uint_gt(strlen(i->what), 3);
		for (unsigned v = 0; v < IKE_VERB_N; v++)
			ck_assert(ike_backend_can((enum ike_backend)b, (enum ike_verb)v) == (b != IKE_BACKEND_NONE));
		ck_assert(!ike_backend_can((enum ike_backend)b, IKE_VERB_N));
		if (i->learn == IKE_LEARN_POLL)
			ck_assert(i->poll_ns > 0 && i->retry_ns > 0);
	}
	ck_assert_str_eq(ike_verb_name(IKE_VERB_DROP), "drop_silent");
	ck_assert_str_eq(ike_verb_name(IKE_VERB_N), "?");
}
END_TEST

static void expect_words(enum ike_verb v, bool rekey_child, const char *want)
{
	const char *words[IKE_WHACK_WORDS];
	char text[200] = "";

	ike_whack_words(v, "/w", "/c", "net", rekey_child, words);
	for (unsigned i = 0; words[i]; i++) {
		ck_assert_uint_lt(i, IKE_WHACK_WORDS - 1);
		strcat(text, words[i]);
		strcat(text, " ");
	}
	ck_assert_str_eq(text, want);
}

START_TEST(whack_words)
{
	expect_words(IKE_VERB_PROBE, false, "/w --ctlsocket /c --trafficstatus ");
	expect_words(IKE_VERB_LIST, true, "/w --ctlsocket /c --trafficstatus ");
	expect_words(IKE_VERB_DROP, false, "/w --ctlsocket /c --terminate --name net ");
	expect_words(IKE_VERB_CLOSE, false, "/w --ctlsocket /c --terminate --name net ");
	expect_words(IKE_VERB_INITIATE, false, "/w --ctlsocket /c --listen --initiate --asynchronous --name net ");
	expect_words(IKE_VERB_REKEY, false, "/w --ctlsocket /c --rekey-ipsec --asynchronous --name net ");
	expect_words(IKE_VERB_REKEY, true, "/w --ctlsocket /c --rekey-child --asynchronous --name net ");
}
END_TEST

START_TEST(whack_status)
{
	ck_assert(ike_whack_ok(IKE_VERB_DROP, 0));
	ck_assert(ike_whack_ok(IKE_VERB_DROP, 21));
	ck_assert(ike_whack_ok(IKE_VERB_CLOSE, 21));
	ck_assert(!ike_whack_ok(IKE_VERB_INITIATE, 21));
	ck_assert(!ike_whack_ok(IKE_VERB_DROP, 33));
	ck_assert(!ike_whack_ok(IKE_VERB_LIST, 1));
	ck_assert_uint_eq(ike_whack_major("Libreswan 4.10"), 4);
	ck_assert_uint_eq(ike_whack_major("Libreswan 5.2-2.4"), 5);
	ck_assert_uint_eq(ike_whack_major("Libreswan v12.0"), 12);
	ck_assert_uint_eq(ike_whack_major("Libreswan"), 0);
	ck_assert_uint_eq(ike_whack_major("99999999999999999999"), 0);
	ck_assert_uint_eq(ike_whack_major(""), 0);
}
END_TEST

static enum ike_watch_ev list(bool child, uint32_t id)
{
	struct ike_sample s = { .child = child, .sa_id = id };

	return ike_watch_list(&w, &s);
}

START_TEST(lists_become_events)
{
	ike_watch_init(&w);
	ck_assert_int_eq(list(false, 0), IKE_WATCH_SAME);
	ck_assert_int_eq(list(true, 2), IKE_WATCH_UP);
	ck_assert_int_eq(list(true, 2), IKE_WATCH_SAME);
	ck_assert_int_eq(list(true, 4), IKE_WATCH_REKEY);
	ck_assert_int_eq(list(false, 0), IKE_WATCH_DOWN);
	ck_assert_int_eq(list(false, 0), IKE_WATCH_SAME);
	/* A program that does not number its children. */
	ck_assert_int_eq(list(true, 0), IKE_WATCH_UP);
	ck_assert_int_eq(list(true, 0), IKE_WATCH_SAME);
}
END_TEST

START_TEST(drop_makes_older_lists_void)
{
	ike_watch_init(&w);
	ck_assert(ike_watch_counts(&w, MS(1)));
	ck_assert_int_eq(list(true, 2), IKE_WATCH_UP);
	ike_watch_verb(&w, IKE_VERB_DROP, true, MS(10));
	ck_assert(!ike_watch_counts(&w, MS(9)));
	ck_assert(ike_watch_counts(&w, MS(10)));
	/* It was dropped, so what a list shows now came up again. */
	ck_assert_int_eq(list(true, 2), IKE_WATCH_UP);
	/* It could not be dropped: then it is the old one, which the peer may have forgotten. */
	ike_watch_verb(&w, IKE_VERB_CLOSE, false, MS(20));
	ck_assert(!ike_watch_counts(&w, MS(19)));
	ck_assert_int_eq(list(true, 2), IKE_WATCH_SAME);
	ike_watch_verb(&w, IKE_VERB_LIST, true, MS(30));
	ike_watch_verb(&w, IKE_VERB_PROBE, true, MS(30));
	ike_watch_verb(&w, IKE_VERB_N, true, MS(30));
	ck_assert(ike_watch_counts(&w, MS(20)));
}
END_TEST

static int64_t gap_ms(int64_t took_ms, int64_t now_ms)
{
	return mono_sub(ike_watch_next(&w, swan(), took_ms * NS_PER_MS, MS(now_ms)), MS(now_ms)) / NS_PER_MS;
}

START_TEST(pace_of_lists)
{
	ike_watch_init(&w);
	ck_assert_int_eq(gap_ms(1, 1000), swan()->poll_ns / NS_PER_MS);
	ck_assert_int_eq(gap_ms(3000, 1000), 6000); /* a third of the time at most */
	ike_watch_verb(&w, IKE_VERB_INITIATE, true, MS(1000));
	ck_assert_int_eq(gap_ms(1, 1000), 10);
	ck_assert_int_eq(gap_ms(50, 1000), 100);
	for (w.lists = 0; w.lists < 100; w.lists++)
		ck_assert(gap_ms(1, 1000) >= 10 && gap_ms(1, 1000) <= 200);
	ck_assert_int_eq(gap_ms(1, 1000), 200);
	ck_assert_int_eq(gap_ms(1, 7000), swan()->poll_ns / NS_PER_MS); /* nothing comes any more */
	ike_watch_verb(&w, IKE_VERB_INITIATE, false, MS(8000));
	ck_assert_int_eq(gap_ms(1, 8000), swan()->poll_ns / NS_PER_MS);
	/* Up: nothing is awaited. A rekey is, until there is another child. */
	ike_watch_verb(&w, IKE_VERB_INITIATE, true, MS(9000));
	ck_assert_int_eq(list(true, 2), IKE_WATCH_UP);
	ck_assert_int_eq(gap_ms(1, 9001), swan()->poll_ns / NS_PER_MS);
	ike_watch_verb(&w, IKE_VERB_REKEY, true, MS(9100));
	ck_assert_int_eq(list(true, 2), IKE_WATCH_SAME);
	ck_assert_int_eq(gap_ms(1, 9101), 10);
	ck_assert_int_eq(list(true, 3), IKE_WATCH_REKEY);
	ck_assert_int_eq(gap_ms(1, 9102), swan()->poll_ns / NS_PER_MS);
	ike_watch_verb(&w, IKE_VERB_REKEY, false, MS(9200));
	ck_assert_int_eq(gap_ms(1, 9201), swan()->poll_ns / NS_PER_MS);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike_backend");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, table);
	tcase_add_test(tc, whack_words);
	tcase_add_test(tc, whack_status);
	tcase_add_test(tc, lists_become_events);
	tcase_add_test(tc, drop_makes_older_lists_void);
	tcase_add_test(tc, pace_of_lists);
	suite_add_tcase(s, tc);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
