/* Facts as text: round trips, every reason to refuse one, truncation at every byte, a writer without room. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/pair_facts.h"
#include "tests/unit/run.h"

static struct pair_facts facts;
static char buf[PAIR_TEXT_MAX + 64];

static enum pair_drop reads(const char *text)
{
	size_t n = strlen(text);
	memcpy(buf, text, n);
	return pair_facts_read(buf, n, &facts);
}

START_TEST(written_and_read)
{
	struct pair_text t;
	pair_text_begin(&t, buf, PAIR_TEXT_MAX);
	pair_text_put(&t, "vrrp[lan].mtu", "%d", 1500);
	pair_text_put(&t, "a.b", "%s", "x = y; z");
	pair_text_put(&t, "bad key\n", "%s", "line\nfeed");
	pair_text_put(&t, "empty", "%s", "");
	pair_text_lines(&t, "conf.x=1\nconf.y=2\nno line feed");
	size_t n = pair_text_end(&t);
	ck_assert_uint_eq(n, t.len);
	ck_assert_int_eq(pair_facts_read(buf, n, &facts), PAIR_OK);
	ck_assert_uint_eq(facts.n, 6);
	ck_assert(!facts.cut);
	ck_assert_str_eq(pair_facts_find(&facts, "vrrp[lan].mtu"), "1500");
	ck_assert_str_eq(pair_facts_find(&facts, "a.b"), "x = y; z");
	ck_assert_str_eq(pair_facts_find(&facts, "bad_key_"), "line?feed");
	ck_assert_str_eq(pair_facts_find(&facts, "empty"), "");
	ck_assert_str_eq(pair_facts_find(&facts, "conf.y"), "2");
	ck_assert_ptr_null(pair_facts_find(&facts, "conf"));
	unsigned i = pair_facts_prefix(&facts, "conf.");
	ck_assert_str_eq(facts.fact[i].key, "conf.x");
	ck_assert_uint_eq(pair_facts_prefix(&facts, "conf.z"), facts.n);
	ck_assert_uint_eq(pair_facts_prefix(&facts, "zzz"), facts.n);
}
END_TEST

/* Keys and values of any length fit the limits that the reader sets. */
START_TEST(long_ones_are_cut)
{
	struct pair_text t;
	char key[300], value[900];
	memset(key, 'k', sizeof(key) - 1);
	memset(value, 'v', sizeof(value) - 1);
	key[sizeof(key) - 1] = value[sizeof(value) - 1] = '\0';
	pair_text_begin(&t, buf, PAIR_TEXT_MAX);
	pair_text_put(&t, key, "%s", value);
	ck_assert_int_eq(pair_facts_read(buf, pair_text_end(&t), &facts), PAIR_OK);
	ck_assert_uint_eq(facts.n, 1);
	ck_assert_uint_eq(strlen(facts.fact[0].key), PAIR_KEY_MAX - 1);
	ck_assert_uint_eq(strlen(facts.fact[0].value), PAIR_VALUE_MAX - 1);
}
END_TEST

START_TEST(no_room)
{
	struct pair_text t;
	char key[32];
	pair_text_begin(&t, buf, 200);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "key.%u", i);
		pair_text_put(&t, key, "%u", i);
	}
	ck_assert(t.cut);
	size_t n = pair_text_end(&t);
	ck_assert_uint_le(n, 200);
	ck_assert_int_eq(pair_facts_read(buf, n, &facts), PAIR_OK);
	ck_assert(facts.cut && facts.n > 5 && facts.n < 100);
	ck_assert_str_eq(pair_facts_find(&facts, "key.0"), "0");
}
END_TEST

#define H PAIR_HEAD "\n"

static const struct {
	const char *text;
	enum pair_drop want;
} texts[] = {
	{ H, PAIR_OK },
	{ H "a=1\n", PAIR_OK },
	{ H "a=\n", PAIR_OK },
	{ H "a==\n", PAIR_OK },
	{ "", PAIR_DROP_HEAD },
	{ "a=1\n", PAIR_DROP_HEAD },
	{ PAIR_HEAD, PAIR_DROP_HEAD },
	{ "keeptrackd-facts=2\na=1\n", PAIR_DROP_HEAD },
	{ H "a=1", PAIR_DROP_LINE },
	{ H "a\n", PAIR_DROP_LINE },
	{ H "\n", PAIR_DROP_LINE },
	{ H "=1\n", PAIR_DROP_KEY },
	{ H "a b=1\n", PAIR_DROP_KEY },
	{ H "a\tb=1\n", PAIR_DROP_KEY },
	{ H "a=\001\n", PAIR_DROP_VALUE },
	{ H "a=\177\n", PAIR_DROP_VALUE },
	{ H "a=1\nb=2\na=3\n", PAIR_DROP_TWICE },
};

START_TEST(refused)
{
	ck_assert_int_eq(reads(texts[_i].text), texts[_i].want);
	if (texts[_i].want != PAIR_OK)
		ck_assert_uint_eq(facts.n, 0);
	ck_assert_uint_gt(strlen(pair_drop_text(texts[_i].want)), 0);
}
END_TEST

START_TEST(limits)
{
	static char big[PAIR_TEXT_MAX + 64];
	size_t n = (size_t)sprintf(big, H);
	ck_assert_int_eq(pair_facts_read(big, PAIR_TEXT_MAX + 1, &facts), PAIR_DROP_LENGTH);
	for (unsigned i = 0; i < PAIR_LINES_MAX; i++)
		n += (size_t)sprintf(big + n, "k%u=1\n", i);
	memcpy(buf, big, n);
	ck_assert_int_eq(pair_facts_read(buf, n, &facts), PAIR_OK);
	ck_assert_uint_eq(facts.n, PAIR_LINES_MAX);
	n += (size_t)sprintf(big + n, "one.more=1\n");
	ck_assert_int_eq(pair_facts_read(big, n, &facts), PAIR_DROP_MANY);
	n = (size_t)sprintf(big, H);
	memset(big + n, 'k', PAIR_KEY_MAX);
	memcpy(big + n + PAIR_KEY_MAX, "=1\n", 4);
	ck_assert_int_eq(reads(big), PAIR_DROP_KEY);
	n = (size_t)sprintf(big, H "a=");
	memset(big + n, 'v', PAIR_VALUE_MAX);
	memcpy(big + n + PAIR_VALUE_MAX, "\n", 2);
	ck_assert_int_eq(reads(big), PAIR_DROP_VALUE);
	ck_assert_str_eq(pair_drop_text(PAIR_DROP_N), "unknown");
}
END_TEST

/* Cut at every byte: whole lines are read, half ones refuse all. */
START_TEST(cut_anywhere)
{
	static const char text[] = H "a=1\nvrrp[lan].mtu=1500\nz=\n";
	for (size_t n = 0; n < sizeof(text); n++) {
		memcpy(buf, text, n);
		enum pair_drop d = pair_facts_read(buf, n, &facts);
		bool whole = n >= sizeof(H) - 1 && n > 0 && text[n - 1] == '\n';
		ck_assert_msg((d == PAIR_OK) == whole, "%zu: %s", n, pair_drop_text(d));
	}
}
END_TEST

START_TEST(numbers)
{
	long long v = 7;
	ck_assert_int_eq(pair_number("12", &v), 0);
	ck_assert_int_eq((int)v, 12);
	ck_assert_int_eq(pair_number("-3", &v), 0);
	ck_assert_int_eq((int)v, -3);
	ck_assert_int_eq(pair_number(NULL, &v), -1);
	ck_assert_int_eq(pair_number("", &v), -1);
	ck_assert_int_eq(pair_number("12a", &v), -1);
	ck_assert_int_eq(pair_number(PAIR_UNKNOWN, &v), -1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pair_facts");
	TCase *t = tcase_create("all");

	tcase_add_test(t, written_and_read);
	tcase_add_test(t, long_ones_are_cut);
	tcase_add_test(t, no_room);
	tcase_add_loop_test(t, refused, 0, (int)(sizeof(texts) / sizeof(texts[0])));
	tcase_add_test(t, limits);
	tcase_add_test(t, cut_anywhere);
	tcase_add_test(t, numbers);
	suite_add_tcase(s, t);
	return unit_run(s);
}
