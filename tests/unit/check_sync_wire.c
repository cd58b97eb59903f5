/* The stream of records: round trips, golden bytes, every room and every truncation. */
#include <string.h>
#include "daemon/base/err.h"
#include "tests/unit/sync_samples.h"

START_TEST(records_round_trip)
{
	uint8_t buf[SYNC_DATA_MAX];
	struct sync_rec in[32], out[33];
	struct sync_wire_stats st = { 0 };
	struct sync_pack p;
	unsigned n = samples(in);
	sync_pack_begin(&p, buf, sizeof(buf));
	for (unsigned i = 0; i < n; i++)
		ck_assert_int_eq(sync_pack_add(&p, &in[i]), 0);
	size_t len = sync_pack_end(&p);
	ck_assert_uint_eq(unpack(buf, len, out, &st), n);
	for (unsigned i = 0; i < n; i++)
		ck_assert_msg(memcmp(&in[i], &out[i], sizeof(in[i])) == 0, "record %u (type %d) differs", i,
			      in[i].type);
	golden("data_stream", buf, len);
}
END_TEST

/* Counters go with whole records and short ones alike, of all types that carry an entry, and with no other. */
START_TEST(counters_round_trip)
{
	uint8_t buf[SYNC_DATA_MAX];
	struct sync_rec in[32], out[33];
	struct sync_wire_stats st = { 0 };
	struct sync_pack p;
	unsigned n = samples(in), with = 0;
	sync_pack_begin(&p, buf, sizeof(buf));
	for (unsigned i = 0; i < n; i++) {
		bool entry =
		    in[i].type == SYNC_REC_SESSION || in[i].type == SYNC_REC_CLAIM || in[i].type == SYNC_REC_CURRENT;
		if (entry) {
			in[i].e.has |= CT_HAS_COUNTERS;
			in[i].e.packets = UINT64_MAX - i;
			in[i].e.bytes = i;
			in[i].e.age_s = i % 2 ? CT_AGE_UNKNOWN : i;
			with++;
		}
		ck_assert_int_eq(sync_pack_add(&p, &in[i]), 0);
	}
	size_t len = sync_pack_end(&p);
	ck_assert_uint_ge(with, 3);
	ck_assert_uint_eq(unpack(buf, len, out, &st), n);
	for (unsigned i = 0; i < n; i++)
		ck_assert_msg(memcmp(&in[i], &out[i], sizeof(in[i])) == 0, "record %u (type %d) differs", i,
			      in[i].type);
}
END_TEST

/* At any room: a record fits whole or is not there, and what was packed before stays readable. */
START_TEST(pack_at_every_room)
{
	uint8_t buf[SYNC_DATA_MAX];
	struct sync_rec in[32], out[33];
	unsigned n = samples(in);
	for (size_t cap = 0; cap < 2600; cap++) {
		struct sync_wire_stats st = { 0 };
		struct sync_pack p;
		unsigned put = 0;
		sync_pack_begin(&p, buf, cap);
		while (put < n && sync_pack_add(&p, &in[put]) == 0)
			put++;
		size_t len = sync_pack_end(&p);
		ck_assert_uint_le(len, cap);
		ck_assert_uint_eq(unpack(buf, len, out, &st), put);
		for (unsigned i = 0; i < put; i++)
			ck_assert_mem_eq(&in[i], &out[i], sizeof(in[i]));
	}
}
END_TEST

START_TEST(largest_object_fits)
{
	uint8_t buf[SYNC_ENV_LEN + SYNC_PACK_OBJ_MAX];
	struct sync_rec r = { .type = SYNC_REC_SESSION, .version = version, .full = true, .owner = 1, .seq = 1 };
	r.e = entry(6, 6, true);
	rare(&r.e);
	r.e.has |= CT_HAS_HELPER | CT_HAS_MASTER | CT_HAS_SCTP;
	memset(r.e.helper, 'h', sizeof(r.e.helper) - 1);
	r.e.master = r.e.orig;
	struct sync_rec begin = { .type = SYNC_REC_BULK_BEGIN }, buckets = { .type = SYNC_REC_DIGEST_BUCKETS, .n = 32 };
	const struct sync_rec *all[] = { &r, &begin, &buckets };
	for (unsigned i = 0; i < 3; i++) {
		struct sync_pack p;
		sync_pack_begin(&p, buf, sizeof(buf));
		ck_assert_int_eq(sync_pack_add(&p, all[i]), 0);
	}
}
END_TEST

/* Every truncation of every object, with matching lengths, is a named drop; the objects behind it are still read. */
START_TEST(objects_cut)
{
	struct sync_rec in[32], out;
	unsigned n = samples(in);
	unsigned named = 0;
	for (unsigned i = 0; i < n; i++) {
		uint8_t buf[SYNC_DATA_MAX], two[SYNC_DATA_MAX];
		struct sync_pack p;
		sync_pack_begin(&p, buf, sizeof(buf));
		ck_assert_int_eq(sync_pack_add(&p, &in[i]), 0);
		size_t len = sync_pack_end(&p) - SYNC_ENV_LEN - 4;
		const uint8_t *value = buf + SYNC_ENV_LEN + 4;
		for (size_t cut = 0; cut < len; cut++) {
			struct wire_wr w = wire_wr(two, sizeof(two));
			struct sync_unpack u;
			struct sync_env env = { .type = buf[0] << 8 | buf[1], .owner = 1, .seq = 5, .body = two };
			wire_put_u16(&w, (uint16_t)in[i].type);
			wire_put_u16(&w, (uint16_t)cut);
			wire_put_bytes(&w, value, cut);
			wire_put_u16(&w, (uint16_t)in[i].type);
			wire_put_u16(&w, (uint16_t)len);
			wire_put_bytes(&w, value, len);
			env.len = (uint32_t)wire_len(&w);
			sync_unpack_begin(&u, &env);
			enum sync_drop d = sync_unpack_next(&u, &out, NULL);
			ck_assert(d != SYNC_MORE && d < SYNC_DROP_N);
			named += d != SYNC_OK;
			d = sync_unpack_next(&u, &out, NULL);
			bool same_version = in[i].type == SYNC_REC_WANT;
			ck_assert_msg(d == SYNC_OK || (same_version && d == SYNC_DROP_TLV_MISSING),
				      "type %d cut at %zu: %s", in[i].type, cut, sync_drop_name(d));
			ck_assert_uint_eq(out.seq, 6);
			ck_assert_int_eq(sync_unpack_next(&u, &out, NULL), SYNC_MORE);
		}
	}
	ck_assert_uint_gt(named, 400);
}
END_TEST

/* An object that is refused before its version was read must not lend an older version to the next one. */
START_TEST(lost_version_is_not_borrowed)
{
	uint8_t buf[SYNC_DATA_MAX];
	struct sync_rec in[3], out;
	struct sync_pack p;
	struct sync_unpack u;
	struct sync_env env;
	size_t used;
	for (unsigned i = 0; i < 3; i++) {
		in[i] = (struct sync_rec){ .type = SYNC_REC_DELETE, .owner = 1, .seq = i + 1, .handle = i };
		in[i].version = version;
		in[i].version.claim = i == 0 ? 1 : 2;
	}
	sync_pack_begin(&p, buf, sizeof(buf));
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(sync_pack_add(&p, &in[i]), 0);
	size_t len = sync_pack_end(&p);
	size_t second = SYNC_ENV_LEN + 4 + 1 + 8 + 20 + 2;
	ck_assert_uint_eq(buf[second + 1], SYNC_REC_DELETE);
	buf[second + 4] = 0xf0; /* flags of the second object: unknown ones */
	ck_assert_int_eq(sync_env_read(buf, len, SYNC_DATA_MAX, SYNC_CHAN_DATA, &env, &used), SYNC_OK);
	sync_unpack_begin(&u, &env);
	ck_assert_int_eq(sync_unpack_next(&u, &out, NULL), SYNC_OK);
	ck_assert_int_eq(sync_unpack_next(&u, &out, NULL), SYNC_DROP_TLV_VALUE);
	ck_assert_int_eq(sync_unpack_next(&u, &out, NULL), SYNC_DROP_TLV_MISSING);
}
END_TEST

START_TEST(activate)
{
	uint8_t buf[64];
	struct sync_env env;
	size_t used;
	int n = sync_activate_write(buf, sizeof(buf), 1);
	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(sync_env_read(buf, (size_t)n, SYNC_DATA_MAX, SYNC_CHAN_DATA, &env, &used), SYNC_OK);
	ck_assert(sync_activate_is(&env));
	golden("data_activate", buf, (size_t)n);
	ck_assert_int_eq(sync_activate_write(buf, 10, 1), ERR_FULL);
	/* Nothing else activates: another object, an empty body, another type of envelope. */
	env.len = 0;
	ck_assert(!sync_activate_is(&env));
	env.len = 3;
	ck_assert(!sync_activate_is(&env));
	env.len = 4;
	ck_assert(sync_activate_is(&env));
	env.type = SYNC_OBJ_SESSION;
	ck_assert(!sync_activate_is(&env));
	buf[SYNC_ENV_LEN + 1]++;
	env.type = SYNC_OBJ_STREAM;
	ck_assert(!sync_activate_is(&env));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sync_wire");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, counters_round_trip);
	tcase_add_test(t, records_round_trip);
	tcase_add_test(t, pack_at_every_room);
	tcase_add_test(t, largest_object_fits);
	tcase_add_test(t, objects_cut);
	tcase_add_test(t, lost_version_is_not_borrowed);
	tcase_add_test(t, activate);
	suite_add_tcase(s, t);
	return unit_run(s);
}
