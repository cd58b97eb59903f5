/* The byte cursors: values, the sticky error, truncation at every byte. */
#include <check.h>
#include <stdlib.h>
#include "daemon/base/wire.h"
#include "tests/unit/run.h"

static const uint8_t bytes[] = { 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a,
				 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0xaa, 0xbb, 0xcc, 0xdd };

START_TEST(reads_big_endian)
{
	struct wire_rd r = wire_rd(bytes, sizeof(bytes));
	uint8_t rest[4];
	ck_assert_uint_eq(wire_u8(&r), 0x01);
	ck_assert_uint_eq(wire_u16(&r), 0x0203);
	ck_assert_uint_eq(wire_u32(&r), 0x04050607);
	ck_assert_uint_eq(wire_u64(&r), UINT64_C(0x08090a0b0c0d0e0f));
	wire_bytes(&r, rest, sizeof(rest));
	ck_assert_mem_eq(rest, bytes + 15, 4);
	ck_assert(!r.bad);
	ck_assert_uint_eq(wire_left(&r), 0);
}
END_TEST

/* Cut after _i bytes: each field either reads as in the whole message or is 0 and the cursor is bad from then on. */
START_TEST(truncated_everywhere)
{
	uint8_t *cut = malloc((size_t)_i + 1); /* on the heap, so that sanitizers see a read too far */
	memcpy(cut, bytes, (size_t)_i);
	struct wire_rd r = wire_rd(cut, (size_t)_i);
	uint8_t rest[4];
	ck_assert_uint_eq(wire_u8(&r), _i >= 1 ? 0x01 : 0);
	ck_assert_uint_eq(wire_u16(&r), _i >= 3 ? 0x0203 : 0);
	ck_assert_uint_eq(wire_u32(&r), _i >= 7 ? 0x04050607 : 0);
	ck_assert_uint_eq(wire_u64(&r), _i >= 15 ? UINT64_C(0x08090a0b0c0d0e0f) : 0);
	wire_bytes(&r, rest, sizeof(rest));
	ck_assert_uint_eq(rest[3], _i >= 19 ? 0xdd : 0);
	ck_assert_int_eq(r.bad, _i < 19);
	free(cut);
}
END_TEST

START_TEST(error_is_sticky)
{
	struct wire_rd r = wire_rd(bytes, 3);
	ck_assert_uint_eq(wire_u32(&r), 0);
	ck_assert_uint_eq(wire_u8(&r), 0); /* three bytes are there, but what they mean is lost */
	ck_assert(r.bad);
	ck_assert_ptr_null(wire_take(&r, 0));
}
END_TEST

START_TEST(sub_cursor)
{
	struct wire_rd r = wire_rd(bytes, 6);
	struct wire_rd sub = wire_sub(&r, 2);
	ck_assert_uint_eq(wire_u16(&sub), 0x0102);
	ck_assert_uint_eq(wire_u8(&sub), 0);
	ck_assert(sub.bad && !r.bad);
	ck_assert_uint_eq(wire_u8(&r), 0x03);
	sub = wire_sub(&r, 4);
	ck_assert(sub.bad && r.bad);
}
END_TEST

START_TEST(writes_what_it_reads)
{
	uint8_t buf[19];
	struct wire_wr w = wire_wr(buf, sizeof(buf));
	wire_put_u8(&w, 0x01);
	wire_put_u16(&w, 0);
	wire_put_u32(&w, 0x04050607);
	wire_put_u64(&w, UINT64_C(0x08090a0b0c0d0e0f));
	wire_put_bytes(&w, bytes + 15, 4);
	wire_patch_u16(&w, 1, 0x0203);
	ck_assert(!w.bad);
	ck_assert_uint_eq(wire_len(&w), sizeof(bytes));
	ck_assert_mem_eq(buf, bytes, sizeof(bytes));
	wire_put_u8(&w, 0xff);
	ck_assert(w.bad);
	ck_assert_uint_eq(wire_len(&w), sizeof(bytes));
}
END_TEST

/* Room for _i bytes only: nothing is written behind them, and bad tells. */
START_TEST(full_everywhere)
{
	uint8_t *buf = malloc((size_t)_i + 1);
	struct wire_wr w = wire_wr(buf, (size_t)_i);
	wire_put_u16(&w, 0x0102);
	wire_put_bytes(&w, bytes + 2, 5);
	wire_put_u32(&w, 0x08090a0b);
	ck_assert_int_eq(w.bad, _i < 11);
	ck_assert_uint_le(wire_len(&w), (size_t)_i);
	ck_assert_mem_eq(buf, bytes, wire_len(&w));
	free(buf);
}
END_TEST

START_TEST(patch_behind_the_end)
{
	uint8_t buf[4] = { 0 };
	struct wire_wr w = wire_wr(buf, sizeof(buf));
	wire_put_u16(&w, 1);
	wire_patch_u16(&w, 1, 0xffff);
	ck_assert(w.bad);
	ck_assert_uint_eq(buf[1], 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base wire");
	TCase *tc = tcase_create("all");
	tcase_add_test(tc, reads_big_endian);
	tcase_add_loop_test(tc, truncated_everywhere, 0, 20);
	tcase_add_test(tc, error_is_sticky);
	tcase_add_test(tc, sub_cursor);
	tcase_add_test(tc, writes_what_it_reads);
	tcase_add_loop_test(tc, full_everywhere, 0, 13);
	tcase_add_test(tc, patch_behind_the_end);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
