/* Conntrack entries of a tunnel: each kind from either end, nothing else. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/sweep_ct.h"
#include "tests/unit/run.h"

static struct addr A(const char *text) {
	struct addr a;

	ck_assert(addr_parse(text, &a));
	return a;
}

static unsigned
has(const struct ct_tuple *t, unsigned n, const struct addr *src, const struct addr *dst, uint8_t l4, uint16_t sport,
    uint16_t dport)
{
	struct ct_tuple want;
	unsigned found = 0;

	memset(&want, 0, sizeof(want));
	memcpy(want.src, src->b, addr_len(src->af));
	memcpy(want.dst, dst->b, addr_len(dst->af));
	want.l3 = src->af;
	want.l4 = l4;
	want.sport = sport;
	want.dport = dport;
	for (unsigned i = 0; i < n; i++)
		found += memcmp(&t[i], &want, sizeof(want)) == 0;
	return found;
}

START_TEST(tunnel)
{
	static const char *const ends[][2] = { { "192.0.2.1", "198.51.100.9" }, { "2001:db8::1", "2001:db8::9" } };
	struct ct_tuple t[SWEEP_CT_TUNNEL];

	for (unsigned k = 0; k < 2; k++) {
		struct addr vip = A(ends[k][0]), peer = A(ends[k][1]);
		memset(t, 0xff, sizeof(t));
		ck_assert_uint_eq(sweep_ct_tunnel(&vip, &peer, t), SWEEP_CT_TUNNEL);
		for (unsigned i = 0; i < 2; i++) {
			const struct addr *a = i ? &peer : &vip, *b = i ? &vip : &peer;
			ck_assert_uint_eq(has(t, SWEEP_CT_TUNNEL, a, b, 17, 500, 500), 1);
			ck_assert_uint_eq(has(t, SWEEP_CT_TUNNEL, a, b, 17, 4500, 4500), 1);
			ck_assert_uint_eq(has(t, SWEEP_CT_TUNNEL, a, b, 50, 0, 0), 1);
			ck_assert_uint_eq(has(t, SWEEP_CT_TUNNEL, a, b, 51, 0, 0), 1);
		}
	}
}
END_TEST

START_TEST(nobody)
{
	struct ct_tuple t[SWEEP_CT_TUNNEL];
	struct addr vip = A("192.0.2.1"), none = { .af = ADDR_NONE }, six = A("2001:db8::1");

	ck_assert_uint_eq(sweep_ct_tunnel(&vip, &none, t), 0);
	ck_assert_uint_eq(sweep_ct_tunnel(&none, &none, t), 0);
	ck_assert_uint_eq(sweep_ct_tunnel(&vip, &six, t), 0);
}
END_TEST

START_TEST(encapsulated)
{
	struct ct_tuple t[SWEEP_CT_ENCAP];
	struct addr vip = A("192.0.2.1"), peer = A("198.51.100.9");

	ck_assert_uint_eq(sweep_ct_encap(&vip, &peer, 4500, 31000, t), SWEEP_CT_ENCAP);
	ck_assert_uint_eq(has(t, SWEEP_CT_ENCAP, &vip, &peer, 17, 4500, 31000), 1);
	ck_assert_uint_eq(has(t, SWEEP_CT_ENCAP, &peer, &vip, 17, 31000, 4500), 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sweep_ct");
	TCase *t = tcase_create("all");
	tcase_add_test(t, tunnel);
	tcase_add_test(t, nobody);
	tcase_add_test(t, encapsulated);
	suite_add_tcase(s, t);
	return unit_run(s);
}
