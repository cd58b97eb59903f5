/* Plain values: addresses, errors, epochs, instants, histogram, list. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include "daemon/base/addr.h"
#include "daemon/base/epoch.h"
#include "daemon/base/err.h"
#include "daemon/base/hist.h"
#include "daemon/base/list.h"
#include "daemon/base/mono.h"
#include "daemon/base/require.h"
#include "tests/unit/run.h"

static struct addr parsed(const char *text)
{
	struct addr a = { 0 };
	ck_assert_msg(addr_parse(text, &a), "%s", text);
	return a;
}

START_TEST(addr_round_trip)
{
	static const char *const text[] = { "192.0.2.1", "0.0.0.0", "255.255.255.255", "2001:db8::1", "::", "fe80::1" };
	char buf[ADDR_TEXT_MAX];
	struct addr a = parsed(text[_i]);
	ck_assert_str_eq(addr_text(&a, buf), text[_i]);
	struct addr b = addr_from_bytes(a.af, a.b);
	ck_assert(addr_eq(&a, &b));
	ck_assert_int_eq(addr_cmp(&a, &b), 0);
}
END_TEST

START_TEST(addr_refuses)
{
	static const char *const text[] = { "",    "192.0.2",    "192.0.2.256", "192.0.2.1/24", "fe80::1%eth0",
					    ":::", "192.0.2.1 ", "host",        "1.2.3.4.5" };
	struct addr a = addr_v4(9, 9, 9, 9), before = a;
	ck_assert_msg(!addr_parse(text[_i], &a), "%s", text[_i]);
	ck_assert(addr_eq(&a, &before));
}
END_TEST

START_TEST(addr_prefixes)
{
	static const struct {
		const char *text;
		bool ok;
		uint8_t plen;
	} row[] = {
		{ "192.0.2.1/24", true, 24 },
		{ "192.0.2.1", true, 32 },
		{ "192.0.2.1/0", true, 0 },
		{ "192.0.2.1/33", false, 0 },
		{ "192.0.2.1/", false, 0 },
		{ "192.0.2.1/-1", false, 0 },
		{ "192.0.2.1/ 8", false, 0 },
		{ "192.0.2.1/8x", false, 0 },
		{ "2001:db8::1/64", true, 64 },
		{ "2001:db8::1", true, 128 },
		{ "2001:db8::/129", false, 0 },
		{ "/24", false, 0 },
		{ "192.0.2.1/+24", false, 0 },
		{ "1.1.1.1/99999999999999999999", false, 0 },
		{ "11111111111111111111111111111111111111111111111111111111/8", false, 0 },
	};
	struct addr a;
	uint8_t plen = 77;
	ck_assert_msg(addr_parse_prefix(row[_i].text, &a, &plen) == row[_i].ok, "%s", row[_i].text);
	ck_assert_uint_eq(plen, row[_i].ok ? row[_i].plen : 77);
}
END_TEST

START_TEST(addr_order_and_kind)
{
	struct addr low = parsed("10.0.0.2"), high = parsed("10.0.0.10"), six = parsed("::1"), none = { 0 };
	char buf[ADDR_TEXT_MAX];
	ck_assert_int_lt(addr_cmp(&low, &high), 0);
	ck_assert_int_gt(addr_cmp(&high, &low), 0);
	ck_assert_int_lt(addr_cmp(&high, &six), 0);
	/* An unsigned comparison: 192 is above 10. */
	struct addr top = addr_v4(192, 0, 2, 1);
	ck_assert_int_gt(addr_cmp(&top, &high), 0);
	ck_assert(!addr_eq(&low, &six));
	ck_assert_str_eq(addr_text(&none, buf), "-");
	struct addr ll4 = parsed("169.254.3.4"), ll6 = parsed("febf::1"), mc4 = parsed("224.0.0.18"),
		    mc6 = parsed("ff02::12"), near = parsed("fec0::1");
	ck_assert(addr_is_link_local(&ll4) && addr_is_link_local(&ll6));
	ck_assert(!addr_is_link_local(&low) && !addr_is_link_local(&near) && !addr_is_link_local(&none));
	ck_assert(addr_is_multicast(&mc4) && addr_is_multicast(&mc6));
	ck_assert(!addr_is_multicast(&low) && !addr_is_multicast(&six) && !addr_is_multicast(&none));
}
END_TEST

START_TEST(addr_in_prefixes)
{
	struct addr net = parsed("10.1.2.0"), in = parsed("10.1.3.255"), six = parsed("2001:db8:0:8::1"),
		    net6 = parsed("2001:db8::");
	ck_assert(addr_in_prefix(&in, &net, 23));
	ck_assert(!addr_in_prefix(&in, &net, 24));
	ck_assert(addr_in_prefix(&in, &net, 0));
	ck_assert(addr_in_prefix(&net, &net, 32));
	ck_assert(!addr_in_prefix(&net, &net, 33));
	ck_assert(!addr_in_prefix(&six, &net, 0));
	ck_assert(addr_in_prefix(&six, &net6, 60));
	ck_assert(!addr_in_prefix(&six, &net6, 61));
}
END_TEST

START_TEST(err_texts)
{
	ck_assert_str_eq(err_text(0), "success");
	ck_assert_str_eq(err_name(0), "OK");
	ck_assert_str_eq(err_name(-EPERM), "EPERM");
	ck_assert_str_eq(err_text(-ENOENT), "No such file or directory");
	ck_assert_str_eq(err_name(ERR_CHECKSUM), "ERR_CHECKSUM");
	ck_assert_str_eq(err_text(ERR_FULL), "the queue or table is at its limit");
#define ERR_CHECK(name, num, text)             \
	ck_assert_int_eq(name, num);           \
	ck_assert_str_eq(err_text(num), text); \
	ck_assert_str_eq(err_name(num), #name);
	ERR_TABLE(ERR_CHECK)
#undef ERR_CHECK
	ck_assert_str_eq(err_text(-999), "unknown error");
	ck_assert_str_eq(err_text(5), "unknown error");
	ck_assert_str_eq(err_name(7), "EUNKNOWN");
}
END_TEST

START_TEST(epoch_order)
{
	struct epoch none = { 0 }, a = { 5, 1 }, b = { 5, 2 }, c = { 6, 1 };
	ck_assert(epoch_is_none(none) && !epoch_is_none(a));
	ck_assert_int_lt(epoch_cmp(none, a), 0);
	ck_assert_int_gt(epoch_cmp(a, none), 0);
	ck_assert_int_gt(epoch_cmp(b, a), 0);
	ck_assert_int_eq(epoch_cmp(epoch_max(a, b), b), 0);
	ck_assert_int_lt(epoch_cmp(a, b), 0);
	ck_assert_int_lt(epoch_cmp(b, c), 0);
	ck_assert_int_eq(epoch_cmp(c, c), 0);
	struct epoch next = epoch_next(epoch_max(b, a), 1);
	ck_assert_int_gt(epoch_cmp(next, b), 0);
}
END_TEST

START_TEST(mono_arithmetic)
{
	mono_t t = { 100 };
	ck_assert(mono_is_never(mono_add(MONO_NEVER, -5)));
	ck_assert_int_eq(mono_add(t, 7).ns, 107);
	ck_assert_int_eq(mono_sub(MONO_NEVER, t), INT64_MAX);
	ck_assert_int_eq(mono_sub(t, (mono_t){ 40 }), 60);
	ck_assert(mono_due(t, t) && mono_due(t, (mono_t){ 101 }) && !mono_due(t, (mono_t){ 99 }));
	ck_assert(!mono_due(MONO_NEVER, t));
	ck_assert_int_eq(mono_min(t, MONO_NEVER).ns, 100);
	ck_assert(mono_is_never(mono_max(t, MONO_NEVER)));
}
END_TEST

START_TEST(hist_quantiles)
{
	struct hist h = { 0 };
	ck_assert_uint_eq(hist_quantile_us(&h, 0.5), 0);
	for (int i = 0; i < 99; i++)
		hist_add(&h, 3 * NS_PER_US); /* below 4 us */
	hist_add(&h, 900 * NS_PER_US);       /* below 1024 us */
	ck_assert_uint_eq(hist_quantile_us(&h, 0.5), 4);
	ck_assert_uint_eq(hist_quantile_us(&h, 0.99), 4);
	ck_assert_uint_eq(hist_quantile_us(&h, 1.0), 1024);
	ck_assert_uint_eq(h.count, 100);
	ck_assert_int_eq(h.max_ns, 900 * NS_PER_US);
	hist_add(&h, -5);
	hist_add(&h, 999);
	ck_assert_uint_eq(h.bucket[0], 2);
	hist_add(&h, INT64_MAX);
	ck_assert_uint_eq(h.bucket[HIST_BUCKETS - 1], 1);
	hist_clear(&h);
	ck_assert_uint_eq(h.count, 0);
	ck_assert_uint_eq(hist_quantile_us(&h, 1.0), 0);
}
END_TEST

START_TEST(list_keeps_order)
{
	struct item {
		int n;
		struct list node;
	} it[5];
	struct list head;
	int want = 0;
	list_init(&head);
	ck_assert(list_empty(&head));
	for (int i = 0; i < 5; i++) {
		it[i].n = i;
		list_add_tail(&head, &it[i].node);
	}
	list_for_each_safe (node, &head) {
		struct item *x = list_entry(node, struct item, node);
		ck_assert_int_eq(x->n, want++);
		if (x->n % 2 == 0)
			list_del(node);
	}
	list_del(&it[0].node); /* a second removal does no harm */
	want = 1;
	list_for_each (node, &head) {
		ck_assert_int_eq(list_entry(node, struct item, node)->n, want);
		want += 2;
	}
	ck_assert_int_eq(want, 5);
}
END_TEST

START_TEST(require_aborts)
{
	require(_i == -1);
}
END_TEST

static void hook(const char *expr, const char *file, int line)
{
	(void)file;
	if (line > 0 && expr[0] == '_')
		exit(42);
}

START_TEST(require_runs_the_hook)
{
	require_on_fail(hook);
	require(_i == -1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base values");
	TCase *tc = tcase_create("all");
	tcase_add_loop_test(tc, addr_round_trip, 0, 6);
	tcase_add_loop_test(tc, addr_refuses, 0, 9);
	tcase_add_loop_test(tc, addr_prefixes, 0, 15);
	tcase_add_test(tc, addr_order_and_kind);
	tcase_add_test(tc, addr_in_prefixes);
	tcase_add_test(tc, err_texts);
	tcase_add_test(tc, epoch_order);
	tcase_add_test(tc, mono_arithmetic);
	tcase_add_test(tc, hist_quantiles);
	tcase_add_test(tc, list_keeps_order);
	tcase_add_test_raise_signal(tc, require_aborts, 6);
	tcase_add_exit_test(tc, require_runs_the_hook, 42);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
