/* Records of other domains: bytes that the channel carries and does not read. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/err.h"
#include "sync/sync_wire.h"

static uint8_t buf[SYNC_CTL_MAX + 100], bytes[SYNC_CTL_MAX];

START_TEST(golden)
{
	static const uint8_t expected[] = {
		1,    2,  0, 0, 0,   0,   0,   3,             /* type SA, no flags, owner */
		0,    0,  0, 0, 0,   0,   0,   0, 0, 0, 0, 0, /* no epoch */
		0,    0,  0, 0, 0,   0,   0,   9,             /* sequence */
		0,    0,  0, 7,                               /* length */
		0x80, 18, 0, 3, 'a', 'b', 'c',                /* one critical TLV */
	};
	int n = sync_obj_write(buf, sizeof(buf), SYNC_OBJ_SA, 3, 9, (const uint8_t *)"abc", 3);
	ck_assert_int_eq(n, (int)sizeof(expected));
	ck_assert_mem_eq(buf, expected, sizeof(expected));
}
END_TEST

START_TEST(round_trip_and_limits)
{
	struct sync_env env;
	const uint8_t *p;
	size_t used, len;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7);
	static const size_t sizes[] = { 0, 1, 100, SYNC_OBJ_BYTES_MAX };
	for (unsigned i = 0; i < 4; i++) {
		int n = sync_obj_write(buf, sizeof(buf), SYNC_OBJ_SA, 3, 9, bytes, sizes[i]);
		ck_assert_int_gt(n, 0);
		ck_assert_int_eq(sync_env_read(buf, (size_t)n, SYNC_CTL_MAX, SYNC_CHAN_CTL, &env, &used), SYNC_OK);
		ck_assert(used == (size_t)n && env.type == SYNC_OBJ_SA && env.seq == 9);
		ck_assert_int_eq(sync_obj_read(&env, &p, &len), SYNC_OK);
		ck_assert_uint_eq(len, sizes[i]);
		ck_assert_int_eq(memcmp(p, bytes, len), 0);
		/* It does not belong on a data connection. */
		ck_assert_int_eq(sync_env_read(buf, (size_t)n, SYNC_DATA_MAX, SYNC_CHAN_DATA, &env, &used),
				 SYNC_DROP_CHANNEL);
	}
	ck_assert_int_eq(sync_obj_write(buf, sizeof(buf), SYNC_OBJ_SA, 3, 9, bytes, SYNC_OBJ_BYTES_MAX + 1), ERR_FULL);
	ck_assert_int_eq(sync_obj_write(buf, 10, SYNC_OBJ_SA, 3, 9, bytes, 1), ERR_FULL);
}
END_TEST

START_TEST(bodies_that_lie)
{
	const uint8_t *p;
	size_t len;
	uint8_t body[32] = { 0x80, 18, 0, 3, 'a', 'b', 'c' };
	struct sync_env env = { .type = SYNC_OBJ_SA, .body = body };

	for (env.len = 1; env.len < 7; env.len++)
		ck_assert_int_eq(sync_obj_read(&env, &p, &len), SYNC_DROP_TLV_CUT);
	env.len = 0;
	ck_assert_int_eq(sync_obj_read(&env, &p, &len), SYNC_DROP_TLV_MISSING);
	memcpy(body + 7, body, 7);
	env.len = 14;
	ck_assert_int_eq(sync_obj_read(&env, &p, &len), SYNC_DROP_TLV_TWICE);
	body[8] = 99;
	ck_assert_int_eq(sync_obj_read(&env, &p, &len), SYNC_DROP_TLV_CRITICAL);
	body[7] = 0; /* unknown, and may be skipped */
	ck_assert_int_eq(sync_obj_read(&env, &p, &len), SYNC_OK);
	ck_assert(len == 3 && p == body + 4);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sync_obj");
	TCase *t = tcase_create("core");

	tcase_add_test(t, golden);
	tcase_add_test(t, round_trip_and_limits);
	tcase_add_test(t, bodies_that_lie);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
