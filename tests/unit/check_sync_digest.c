#include <check.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "sync/sync_digest.h"
#include "tests/unit/run.h"
#include "tests/unit/sync_rig.h"

static struct digest_set *a, *b;
static const uint8_t key[16] = { 1, 2, 3 };

static void setup(void)
{
	a = calloc(1, sizeof(*a));
	b = calloc(1, sizeof(*b));
	digest_init(a, key);
	digest_init(b, key);
}

static void teardown(void)
{
	free(a);
	free(b);
}

static struct digest_item item(const struct ct_entry *e)
{
	return digest_entry(key, e);
}

START_TEST(test_order_does_not_matter)
{
	for (uint16_t i = 0; i < 500; i++) {
		struct ct_entry e = rig_flow(i, IPPROTO_TCP, true),
				f = rig_flow((uint16_t)(499 - i), IPPROTO_TCP, true);
		struct digest_item x = item(&e), y = item(&f);
		digest_add(a, &x);
		digest_add(b, &y);
	}
	ck_assert_uint_eq(a->count, 500);
	ck_assert_mem_eq(a, b, sizeof(*a));
	for (uint16_t i = 0; i < 500; i++) {
		struct ct_entry e = rig_flow(i, IPPROTO_TCP, true);
		struct digest_item x = item(&e);
		digest_del(a, &x);
	}
	digest_init(b, key);
	ck_assert_mem_eq(a, b, sizeof(*a));
}
END_TEST

/* What must differ, and what must not: timers, TCP flags, bits of this kernel only. */
START_TEST(test_what_counts)
{
	struct ct_entry base = rig_flow(1, IPPROTO_TCP, true), e;
	uint64_t d = item(&base).digest;

	for (unsigned i = 0; i < 12; i++) {
		e = base;
		e.orig.sport ^= i == 0;
		e.orig.zone ^= i == 1;
		e.reply.dport ^= i == 2;
		e.reply.dst[0] ^= i == 3;
		e.status ^= i == 4 ? CT_ST_SRC_NAT : 0;
		e.status ^= i == 5 ? CT_ST_DST_NAT : 0;
		e.status ^= i == 6 ? CT_ST_ASSURED : 0;
		e.status ^= i == 7 ? CT_ST_SEEN_REPLY : 0;
		e.tcp_state ^= i == 8;
		e.mark ^= i == 9;
		e.mark ^= i == 10 ? 1u << 31 : 0;
		e.orig.l4 ^= i == 11;
		ck_assert_uint_ne(item(&e).digest, d);
	}
	e = base;
	e.timeout_s = 5;
	e.id = 9;
	e.tcp_flags[0] = 0;
	e.tcp_wscale[1] = 3;
	e.status |= CT_ST_SRC_NAT_DONE | CT_ST_CONFIRMED | CT_ST_DYING;
	ck_assert_uint_eq(item(&e).digest, d);
	/* Bucket and check come from the tuple alone. */
	ck_assert_uint_eq(digest_key(key, &base.orig).bucket, item(&base).bucket);
	ck_assert_uint_eq(digest_key(key, &base.orig).check, item(&base).check);
	/* Another key, another everything. */
	ck_assert_uint_ne(digest_entry((const uint8_t[16]){ 9 }, &base).digest, d);
}
END_TEST

START_TEST(test_buckets_name_the_difference)
{
	uint8_t mask[SYNC_BUCKETS / 8] = { 0 };
	struct sync_rec *rec = calloc(1, sizeof(*rec));
	unsigned differ = 0, records = 0;
	struct ct_entry odd = rig_flow(7, IPPROTO_TCP, true);
	struct digest_item o = item(&odd);

	for (uint16_t i = 0; i < 1000; i++) {
		struct ct_entry e = rig_flow(i, IPPROTO_TCP, true);
		struct digest_item x = item(&e);
		digest_add(a, &x);
		if (i != 7)
			digest_add(b, &x);
	}
	for (unsigned next = 0; next < SYNC_BUCKETS; records++) {
		next = digest_buckets(b, next, rec);
		ck_assert_uint_le(rec->n, SYNC_BUCKETS_PER_REC);
		differ += digest_differ(a, rec, mask);
	}
	ck_assert_uint_eq(records, SYNC_BUCKETS / SYNC_BUCKETS_PER_REC);
	ck_assert_uint_eq(differ, 1);
	for (unsigned i = 0; i < SYNC_BUCKETS; i++)
		ck_assert(digest_in_mask(mask, i) == (i == o.bucket));
	/* Numbers from the wire that reach past the end. */
	rec->first = SYNC_BUCKETS - 1;
	rec->n = UINT16_MAX;
	digest_differ(a, rec, mask);
	rec->first = UINT16_MAX;
	ck_assert_uint_eq(digest_differ(a, rec, mask), 0);
	free(rec);
}
END_TEST

START_TEST(test_buckets_are_spread)
{
	for (unsigned i = 0; i < 40960; i++) {
		struct ct_entry e = rig_flow((uint16_t)i, IPPROTO_UDP, false);
		struct digest_item x = item(&e);
		digest_add(a, &x);
	}
	for (unsigned i = 0; i < SYNC_BUCKETS; i++)
		ck_assert_uint_lt(a->b[i].count, 40);
}
END_TEST

static Suite *suite(void)
{
	Suite *su = suite_create("sync_digest");
	TCase *t = tcase_create("digest");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_order_does_not_matter);
	tcase_add_test(t, test_what_counts);
	tcase_add_test(t, test_buckets_name_the_difference);
	tcase_add_test(t, test_buckets_are_spread);
	suite_add_tcase(su, t);
	return su;
}

int main(void)
{
	return unit_run(suite());
}
