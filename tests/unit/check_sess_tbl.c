#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "sync/sess_tbl.h"
#include "tests/unit/run.h"

static struct sess_tbl t;

static struct ct_tuple tuple(uint32_t n, bool v6)
{
	struct ct_tuple k;

	memset(&k, 0, sizeof(k));
	k.l3 = v6 ? 6 : 4;
	k.l4 = 6;
	memcpy(k.src, &n, sizeof(n));
	k.src[v6 ? 15 : 3] ^= 0x55;
	k.dst[v6 ? 15 : 3] = 7;
	k.sport = (uint16_t)(n * 7);
	k.dport = 443;
	return k;
}

static void setup(void)
{
	ck_assert_int_eq(sess_tbl_init(&t, 1000, (const uint8_t[16]){ 1 }), 0);
}

static void teardown(void)
{
	sess_tbl_free(&t);
}

START_TEST(test_add_find_delete)
{
	bool v6 = _i;
	uint32_t id[500], got;

	for (uint32_t i = 0; i < 500; i++) {
		struct ct_tuple k = tuple(i, v6), back;
		ck_assert_ptr_null(sess_find(&t, &k, NULL));
		ck_assert_ptr_nonnull(sess_add(&t, &k, &id[i]));
		ck_assert(sess_is_v6(id[i]) == v6);
		sess_orig(&t, id[i], &back);
		ck_assert_mem_eq(&k, &back, sizeof(k));
	}
	ck_assert_uint_eq(sess_count(&t), 500);
	for (uint32_t i = 0; i < 500; i += 2)
		sess_del(&t, id[i]);
	for (uint32_t i = 0; i < 500; i++) {
		struct ct_tuple k = tuple(i, v6);
		struct sess *x = sess_find(&t, &k, &got);
		ck_assert(i % 2 == 0 ? x == NULL : x != NULL && got == id[i]);
		ck_assert((sess_at(&t, id[i]) == NULL) == (i % 2 == 0));
	}
	ck_assert_uint_eq(sess_count(&t), 250);
}
END_TEST

/* Every part of the key tells two flows apart. */
START_TEST(test_key_parts)
{
	struct ct_tuple k = tuple(1, false), o;

	sess_add(&t, &k, NULL);
	for (unsigned i = 0; i < 7; i++) {
		o = k;
		o.src[0] ^= i == 0;
		o.dst[3] ^= i == 1;
		o.sport ^= i == 2;
		o.dport ^= i == 3;
		o.l4 ^= i == 4;
		o.zone ^= i == 5;
		o.l3 = i == 6 ? 6 : 4;
		ck_assert_ptr_null(sess_find(&t, &o, NULL));
	}
	ck_assert_ptr_nonnull(sess_find(&t, &k, NULL));
}
END_TEST

START_TEST(test_any_id_is_safe)
{
	struct ct_tuple k = tuple(1, false);
	uint32_t id;

	sess_add(&t, &k, &id);
	for (uint64_t i = 0; i < UINT64_C(1) << 32; i += 65521)
		if (i != id)
			ck_assert_ptr_null(sess_at(&t, (uint32_t)i));
	ck_assert_ptr_null(sess_at(&t, UINT32_MAX));
	ck_assert_ptr_null(sess_at(&t, 0));
	ck_assert_ptr_null(sess_at(&t, UINT32_C(0x80000000)));
}
END_TEST

START_TEST(test_limit)
{
	for (uint32_t i = 0; i < 1010; i++) {
		struct ct_tuple k = tuple(i, i % 2);
		ck_assert((sess_add(&t, &k, NULL) != NULL) == (i < 1000));
	}
	ck_assert_uint_eq(t.full, 10);
	ck_assert_uint_eq(sess_count(&t), 1000);
}
END_TEST

START_TEST(test_entry_round_trip)
{
	struct ct_entry e;
	struct ct_tuple k = tuple(3, _i);
	uint32_t id;
	struct sess *x = sess_add(&t, &k, &id);

	struct ct_tuple reply = tuple(4, _i);
	ck_assert(sess_set_reply(&t, id, &reply));
	x->status = 0x19e;
	x->mark = 77;
	x->flags |= SESS_TCP | SESS_WIN;
	x->tcp_state = 9;
	x->tcp_flags = 0x73;
	x->tcp_scale = 0xe1;
	sess_entry(&t, id, &e);
	ck_assert_mem_eq(&e.orig, &k, sizeof(k));
	ck_assert_mem_eq(&e.reply, &reply, sizeof(reply));
	ck_assert_uint_eq(e.has, CT_HAS_REPLY | CT_HAS_STATUS | CT_HAS_MARK | CT_HAS_TCP | CT_HAS_TCP_WIN);
	ck_assert_uint_eq(e.status, 0x19e);
	ck_assert_uint_eq(e.mark, 77);
	ck_assert_uint_eq(e.tcp_state, 9);
	ck_assert_uint_eq(e.tcp_flags[0], 3);
	ck_assert_uint_eq(e.tcp_flags[1], 7);
	ck_assert_uint_eq(e.tcp_wscale[0], 1);
	ck_assert_uint_eq(e.tcp_wscale[1], 14);
	ck_assert_ptr_null(sess_side(&t, x));
	/* Rare attributes. */
	bool changed = false;
	ck_assert(sess_set_side(&t, x, &e, &changed));
	ck_assert(!changed);
	e.has |= CT_HAS_RARE;
	strcpy(e.helper, "sip");
	e.master = tuple(5, _i);
	e.sctp_state = CT_SCTP_ESTABLISHED;
	e.sctp_vtag[0] = 0xfeedface;
	e.sctp_vtag[1] = 7;
	e.labels[15] = 0x80;
	e.seqadj[1] = (struct ct_seqadj){ 4000000000u, -3, 12 };
	e.synproxy = (struct ct_synproxy){ 1, 2, 3 };
	ck_assert(sess_set_side(&t, x, &e, &changed));
	struct ct_entry back;
	sess_entry(&t, id, &back);
	ck_assert_str_eq(back.helper, "sip");
	ck_assert(changed);
	ck_assert_mem_eq(&back, &e, sizeof(e));
	changed = false;
	ck_assert(sess_set_side(&t, x, &e, &changed));
	ck_assert(!changed);
	e.labels[0] = 1;
	ck_assert(sess_set_side(&t, x, &e, &changed));
	ck_assert(changed);
	ck_assert_uint_eq(t.side.used, 1);
	sess_del(&t, id);
	ck_assert_uint_eq(t.side.used, 0);
}
END_TEST

START_TEST(test_versions)
{
	struct ct_tuple k = tuple(1, false);
	struct sess *x = sess_add(&t, &k, NULL);
	struct flow_version none = { 0 }, v = { { SYNC_EPOCH_MAX, 20 }, SYNC_CLAIM_MAX, 10 };

	ck_assert_int_eq(flow_version_cmp(sess_version(&t, x), none), 0);
	ck_assert(!sess_set_version(&t, x, v));
	ck_assert_uint_eq(sess_node_add(&t, 10), 1);
	ck_assert_uint_eq(sess_node_add(&t, 20), 2);
	ck_assert_uint_eq(sess_node_add(&t, 10), 1);
	ck_assert_uint_eq(sess_node_add(&t, 0), 0);
	ck_assert(sess_set_version(&t, x, v));
	ck_assert_int_eq(flow_version_cmp(sess_version(&t, x), v), 0);
	for (uint64_t c = 1; c <= SYNC_EPOCH_MAX; c = c * 5 + 3) {
		v.epoch.counter = c;
		v.claim = (uint32_t)c & SYNC_CLAIM_MAX;
		ck_assert(sess_set_version(&t, x, v));
		ck_assert_int_eq(flow_version_cmp(sess_version(&t, x), v), 0);
	}
	struct flow_version bad[] = {
		{ { SYNC_EPOCH_MAX + 1, 20 }, 0, 10 },
		{ { 1, 20 }, SYNC_CLAIM_MAX + 1, 10 },
		{ { 1, 30 }, 0, 10 },
		{ { 1, 20 }, 0, 30 },
	};
	for (unsigned i = 0; i < 4; i++) {
		ck_assert(!sess_set_version(&t, x, bad[i]));
		ck_assert_int_eq(flow_version_cmp(sess_version(&t, x), v), 0);
	}
	ck_assert_uint_eq(sess_node_add(&t, 30), 3);
	ck_assert_uint_eq(sess_node_add(&t, 40), 4);
	ck_assert_uint_eq(sess_node_add(&t, 50), 0);
	ck_assert_uint_eq(sess_node_id(&t, 4), 40);
	ck_assert_uint_eq(sess_node_id(&t, 0), 0);
	ck_assert_uint_eq(sess_node_id(&t, 5), 0);
}
END_TEST

/* A walk in small steps sees each record once that stays; those added or removed meanwhile do not disturb it. */
START_TEST(test_walk)
{
	uint32_t id[300], n = 0, got;
	bool seen[300] = { false };
	struct sess_walk w;

	for (uint32_t i = 0; i < 300; i++) {
		struct ct_tuple k = tuple(i, i % 3 == 0);
		sess_add(&t, &k, &id[i]);
	}
	sess_walk_start(&w);
	for (unsigned step = 0; w.active; step++) {
		unsigned budget = 7;
		ck_assert_uint_lt(step, 1000);
		while ((got = sess_walk_next(&t, &w, &budget)) != 0) {
			ck_assert(sess_walk_passed(&w, got));
			for (uint32_t i = 0; i < 300; i++) {
				if (id[i] != got)
					continue;
				ck_assert(!seen[i]);
				seen[i] = true;
				n++;
			}
		}
		if (step == 3) {
			/* One behind and one before the walk. */
			ck_assert(sess_walk_passed(&w, id[1]) && !sess_walk_passed(&w, id[299]));
			sess_del(&t, id[1]);
			sess_del(&t, id[299]);
			id[299] = 0;
		}
	}
	ck_assert_uint_eq(n, 299);
	ck_assert(sess_walk_passed(&w, id[5]));
	unsigned budget = 10;
	ck_assert_uint_eq(sess_walk_next(&t, &w, &budget), 0);
}
END_TEST

/* Counters stand behind the addresses, belong to one record alone, and are zero in the next tenant. */
START_TEST(test_counters_in_place)
{
	struct sess_tbl a;
	uint32_t id[4];

	ck_assert_int_eq(sess_tbl_init(&a, 1000, NULL), 0);
	struct ct_tuple k = tuple(1, false);
	ck_assert_ptr_nonnull(sess_add(&a, &k, &id[0]));
	ck_assert_ptr_null(sess_acct(&a, id[0]));
	sess_tbl_free(&a);
	ck_assert_int_eq(sess_tbl_init(&a, 1000, NULL), 0);
	sess_tbl_account(&a);
	for (unsigned i = 0; i < 4; i++) {
		struct ct_tuple got;
		k = tuple(i + 1, i % 2);
		ck_assert_ptr_nonnull(sess_add(&a, &k, &id[i]));
		memset(sess_acct(&a, id[i]), 0xff, sizeof(struct sess_acct));
		sess_orig(&a, id[i], &got);
		ck_assert_mem_eq(&got, &k, sizeof(k));
	}
	for (unsigned i = 0; i < 4; i++) {
		static const struct sess_acct none;
		uint32_t again;
		sess_del(&a, id[i]);
		k = tuple(i + 100, i % 2);
		ck_assert_ptr_nonnull(sess_add(&a, &k, &again));
		ck_assert_uint_eq(again, id[i]);
		ck_assert_mem_eq(sess_acct(&a, again), &none, sizeof(none));
	}
	sess_tbl_free(&a);
}
END_TEST

/* The bound that the design names, index included, measured at every size on the way up. */
START_TEST(test_bytes_per_session)
{
	bool v6 = _i & 1, acct = _i & 2;
	size_t most = (v6 ? 150u : 100u) + (acct ? 16u : 0u);
	struct sess_tbl big;

	ck_assert_int_eq(sess_tbl_init(&big, 400000, NULL), 0);
	if (acct)
		sess_tbl_account(&big);
	for (uint32_t i = 1; i <= 200000; i++) {
		struct ct_tuple k = tuple(i, v6);
		if (!sess_add(&big, &k, NULL))
			ck_abort_msg("no memory");
		/* While the index moves to its double both are held; sizes between doublings are what stays. */
		if (i >= 4096 && i % 1024 == 0 && big.idx.old == NULL)
			ck_assert_uint_le(sess_bytes(&big) / i, most);
	}
	sess_tbl_free(&big);
}
END_TEST

static Suite *suite(void)
{
	Suite *su = suite_create("sess_tbl");
	TCase *c = tcase_create("table");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, test_add_find_delete, 0, 2);
	tcase_add_test(c, test_key_parts);
	tcase_add_test(c, test_any_id_is_safe);
	tcase_add_test(c, test_limit);
	tcase_add_loop_test(c, test_entry_round_trip, 0, 2);
	tcase_add_test(c, test_versions);
	tcase_add_test(c, test_counters_in_place);
	tcase_add_test(c, test_walk);
	tcase_add_loop_test(c, test_bytes_per_session, 0, 4);
	suite_add_tcase(su, c);
	return su;
}

int main(void)
{
	return unit_run(suite());
}
