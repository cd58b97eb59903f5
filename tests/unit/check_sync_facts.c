/* What SYNC counts of sessions for the comparison of two nodes. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "sync/sync_facts.h"
#include "tests/unit/run.h"

static struct sync_self f;

static struct sync_view session(bool mine, enum sync_why why, uint8_t last)
{
	struct sync_view v = { .mine = mine, .why = why };

	v.e.orig = (struct ct_tuple){ .src = { 10, 0, 0, 9 }, .dst = { 198, 51, 100, 7 }, .l3 = 4, .l4 = 6 };
	v.e.reply = (struct ct_tuple){ .src = { 198, 51, 100, 7 }, .dst = { 192, 0, 2, last }, .l3 = 4, .l4 = 6 };
	v.e.has = CT_HAS_REPLY;
	v.e.status = CT_ST_SRC_NAT;
	return v;
}

static void add(struct sync_view v)
{
	sync_facts_add(&f, &v);
}

START_TEST(translated_addresses)
{
	memset(&f, 0, sizeof(f));
	add(session(true, SYNC_WHY_NONE, 1));
	add(session(true, SYNC_WHY_NONE, 1));
	add(session(true, SYNC_WHY_NODE_ADDR, 2));
	add(session(false, SYNC_WHY_NODE_ADDR, 2)); /* nobody's yet, and here */
	add(session(false, SYNC_WHY_NONE, 3));      /* a peer's copy */
	add(session(true, SYNC_WHY_LOCAL_ORIGIN, 4));
	add(session(true, SYNC_WHY_LOCAL_DEST, 4));
	struct sync_view v = session(true, SYNC_WHY_NONE, 5);
	v.e.status = CT_ST_DST_NAT;
	add(v);
	v = session(true, SYNC_WHY_NONE, 6);
	v.e.has = 0;
	add(v);
	ck_assert_uint_eq(f.sessions, 9);
	ck_assert_uint_eq(f.n_nat, 2);
	ck_assert_uint_eq(f.nat[0].sessions, 2);
	ck_assert_uint_eq(f.nat[0].addr.b[3], 1);
	ck_assert(!f.nat[0].node);
	ck_assert_uint_eq(f.nat[1].sessions, 2);
	ck_assert(f.nat[1].node);
}
END_TEST

START_TEST(more_than_fit)
{
	memset(&f, 0, sizeof(f));
	for (unsigned i = 0; i < SYNC_FACTS_ADDRS + 5; i++) {
		struct sync_view v = session(true, SYNC_WHY_NONE, (uint8_t)i);
		v.e.orig.zone = (uint16_t)(i + 1);
		v.e.has |= CT_HAS_HELPER;
		v.e.helper[0] = (char)('A' + i);
		add(v);
		add(v);
	}
	ck_assert_uint_eq(f.n_nat, SYNC_FACTS_ADDRS);
	ck_assert_uint_eq(f.nat_more, 10);
	ck_assert_uint_eq(f.n_zones, SYNC_FACTS_ZONES);
	ck_assert_uint_eq(f.n_helpers, SYNC_FACTS_HELPERS);
	ck_assert_uint_eq(f.zone[3].zone, 4);
	ck_assert_uint_eq(f.zone[3].sessions, 2);
	ck_assert_str_eq(f.helper[2].name, "C");
	ck_assert_uint_eq(f.helper[2].sessions, 2);
}
END_TEST

START_TEST(zones_of_all_helpers_of_own)
{
	memset(&f, 0, sizeof(f));
	struct sync_view v = session(false, SYNC_WHY_NONE, 1);
	v.e.orig.zone = 7;
	v.e.has |= CT_HAS_HELPER;
	strcpy(v.e.helper, "netbios-ns");
	add(v);
	ck_assert_uint_eq(f.n_zones, 1);
	ck_assert_uint_eq(f.n_helpers, 0);
	v.mine = true;
	add(v);
	memset(v.e.helper, 'x', sizeof(v.e.helper)); /* without an end */
	add(v);
	ck_assert_uint_eq(f.n_helpers, 2);
	ck_assert_str_eq(f.helper[0].name, "netbios-ns");
	ck_assert_uint_eq(strlen(f.helper[1].name), sizeof(f.helper[1].name) - 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sync_facts");
	TCase *t = tcase_create("all");

	tcase_add_test(t, translated_addresses);
	tcase_add_test(t, more_than_fit);
	tcase_add_test(t, zones_of_all_helpers_of_own);
	suite_add_tcase(s, t);
	return unit_run(s);
}
