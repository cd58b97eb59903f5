/* Journal: codec, corruption at every byte, the file over restarts, writing through the KERNEL thread. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/loop.h"
#include "daemon/journal.h"
#include "daemon/kernel_thread.h"
#include "daemon/ownfile.h"
#include "tests/unit/run.h"

static char dir[64], path[96];

static void setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/check_journal.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/journal", dir);
}

static void teardown(void)
{
	char other[128];
	unlink(path);
	snprintf(other, sizeof(other), "%s/epoch", dir);
	unlink(other);
	ck_assert_int_eq(rmdir(dir), 0);
}

static struct journal_entry entry(uint64_t counter, unsigned phases)
{
	struct journal_entry e = { .epoch = { counter, 7 },
				   .node = 7,
				   .group = "edge",
				   .reason = 3,
				   .kind = 1,
				   .trigger = 2,
				   .from = 1,
				   .to = 2,
				   .outcome = 1,
				   .err = -110,
				   .wall_us = INT64_C(1700000000000000),
				   .detail = "10.0.0.50/24 on eth0: EPERM" };
	for (unsigned i = 0; i < phases; i++)
		ck_assert(journal_phase_add(&e, (uint8_t)i, JOURNAL_P_DEGRADED, (int64_t)i * 1000001));
	return e;
}

static void longest(struct journal_entry *e)
{
	*e = entry(UINT64_MAX, JOURNAL_PHASES_MAX);
	memset(e->group, 'g', sizeof(e->group) - 1);
	memset(e->detail, '~', sizeof(e->detail) - 1);
	e->phases[0].offset_ns = (INT64_C(1) << 40) - 1;
}

static bool same(const struct journal_entry *a, const struct journal_entry *b)
{
	bool eq = epoch_cmp(a->epoch, b->epoch) == 0 && a->node == b->node && strcmp(a->group, b->group) == 0 &&
		  a->reason == b->reason && a->kind == b->kind && a->trigger == b->trigger && a->from == b->from &&
		  a->to == b->to && a->outcome == b->outcome && a->err == b->err && a->wall_us == b->wall_us &&
		  strcmp(a->detail, b->detail) == 0 && a->n_phases == b->n_phases;
	for (unsigned i = 0; eq && i < a->n_phases; i++)
		eq = a->phases[i].id == b->phases[i].id && a->phases[i].flags == b->phases[i].flags &&
		     a->phases[i].offset_ns == b->phases[i].offset_ns;
	return eq;
}

START_TEST(test_entry_round_trip)
{
	uint8_t buf[JOURNAL_ENTRY_MAX];
	struct journal_entry e, back;
	for (unsigned n = 0; n <= JOURNAL_PHASES_MAX; n++) {
		e = entry(n + 1, n);
		size_t len = journal_entry_encode(&e, buf, sizeof(buf));
		ck_assert_uint_gt(len, 0);
		ck_assert_int_eq(journal_entry_decode(buf, len, &back), JOURNAL_OK);
		ck_assert(same(&e, &back));
	}
	longest(&e);
	size_t len = journal_entry_encode(&e, buf, sizeof(buf));
	ck_assert_uint_gt(len, 0);
	ck_assert_uint_le(len, JOURNAL_ENTRY_MAX); /* travels in one message to the peer */
	ck_assert_int_eq(journal_entry_decode(buf, len, &back), JOURNAL_OK);
	ck_assert(same(&e, &back));
	for (size_t i = 0; i < len; i++) {
		ck_assert_int_ne(journal_entry_decode(buf, i, &back), JOURNAL_OK);
		ck_assert_uint_eq(journal_entry_encode(&e, buf, i), 0);
	}
	ck_assert(!journal_phase_add(&e, 1, 0, 0));
	e = entry(1, 0);
	ck_assert(journal_phase_add(&e, 1, 0, -5) && e.phases[0].offset_ns == 0);
	ck_assert(journal_phase_add(&e, 1, 0, INT64_MAX) && e.phases[1].offset_ns == (INT64_C(1) << 40) - 1);
}
END_TEST

START_TEST(test_entry_fields)
{
	uint8_t buf[JOURNAL_ENTRY_MAX + 1] = { 0 };
	struct journal_entry e = entry(5, 2), back;
	size_t len = journal_entry_encode(&e, buf, sizeof(buf));
	/* one byte too many */
	ck_assert_int_eq(journal_entry_decode(buf, len + 1, &back), JOURNAL_FIELD);
	/* version */
	buf[0] = 9;
	ck_assert_int_eq(journal_entry_decode(buf, len, &back), JOURNAL_VERSION);
	buf[0] = 1;
	/* an escape sequence must not reach a terminal */
	uint8_t *g = memchr(buf, 'e', len);
	ck_assert_ptr_nonnull(g);
	*g = 0x1b;
	ck_assert_int_eq(journal_entry_decode(buf, len, &back), JOURNAL_FIELD);
	ck_assert_uint_eq(back.epoch.counter, 0);
	*g = 'e';
	/* length of the name */
	g[-1] = JOURNAL_GROUP_MAX;
	ck_assert_int_eq(journal_entry_decode(buf, len, &back), JOURNAL_FIELD);
	g[-1] = 4;
	/* number of phases */
	buf[len - 15] = JOURNAL_PHASES_MAX + 1;
	ck_assert_int_eq(journal_entry_decode(buf, len, &back), JOURNAL_FIELD);
	buf[len - 15] = 3;
	ck_assert_int_eq(journal_entry_decode(buf, len, &back), JOURNAL_SHORT);
	buf[len - 15] = 2;
	ck_assert_int_eq(journal_entry_decode(buf, len, &back), JOURNAL_OK);
	/* what cannot be written */
	e.n_phases = JOURNAL_PHASES_MAX + 1;
	ck_assert_uint_eq(journal_entry_encode(&e, buf, sizeof(buf)), 0);
	e = entry(5, 1);
	e.phases[0].offset_ns = -1;
	ck_assert_uint_eq(journal_entry_encode(&e, buf, sizeof(buf)), 0);
	e = entry(5, 1);
	memset(e.detail, 'x', sizeof(e.detail));
	ck_assert_uint_eq(journal_entry_encode(&e, buf, sizeof(buf)), 0);
	for (int d = JOURNAL_OK; d < JOURNAL_DROP_N; d++)
		ck_assert_uint_gt(strlen(journal_drop_text((enum journal_drop)d)), 1);
	ck_assert_str_eq(journal_drop_text(JOURNAL_DROP_N), "unknown");
}
END_TEST

START_TEST(test_slot_every_byte)
{
	uint8_t slot[JOURNAL_SLOT_BYTES], zero[JOURNAL_SLOT_BYTES] = { 0 };
	struct journal_entry e, back;
	uint64_t seq;
	longest(&e);
	ck_assert(journal_slot_encode(42, &e, slot));
	ck_assert_int_eq(journal_slot_decode(slot, sizeof(slot), &seq, &back), JOURNAL_OK);
	ck_assert_uint_eq(seq, 42);
	ck_assert(same(&e, &back));
	for (size_t i = 0; i < sizeof(slot); i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			slot[i] ^= (uint8_t)(1u << bit);
			enum journal_drop d = journal_slot_decode(slot, sizeof(slot), &seq, &back);
			ck_assert_int_eq(d, i < 4 ? JOURNAL_MAGIC : JOURNAL_CRC);
			ck_assert_uint_eq(seq, 0);
			slot[i] ^= (uint8_t)(1u << bit);
		}
		ck_assert_int_eq(journal_slot_decode(slot, i, &seq, &back), JOURNAL_SHORT);
	}
	ck_assert_int_eq(journal_slot_decode(zero, sizeof(zero), &seq, &back), JOURNAL_EMPTY);
	e.n_phases = 200;
	ck_assert(!journal_slot_encode(42, &e, slot));
	/* right checksum, wrong length */
	e = entry(1, 1);
	ck_assert(journal_slot_encode(1, &e, slot));
	slot[12] = 1;
	uint32_t crc = crc32_ieee(0, slot, sizeof(slot) - 4);
	for (unsigned i = 0; i < 4; i++)
		slot[sizeof(slot) - 4 + i] = (uint8_t)(crc >> (24 - 8 * i));
	ck_assert_int_eq(journal_slot_decode(slot, sizeof(slot), &seq, &back), JOURNAL_FIELD);
}
END_TEST

static void write_some(uint32_t from, uint32_t to)
{
	struct journal *j = journal_open(path);
	ck_assert_ptr_nonnull(j);
	ck_assert_int_eq(journal_stats(j)->err, 0);
	for (uint32_t i = from; i < to; i++) {
		struct journal_entry e = entry(i, i % JOURNAL_PHASES_MAX);
		journal_add(j, NULL, &e);
	}
	ck_assert_uint_eq(journal_stats(j)->write_errors, 0);
	journal_close(j);
}

static void poke(size_t at, uint8_t value)
{
	int fd = open(path, O_WRONLY);
	ck_assert_int_eq(pwrite(fd, &value, 1, (off_t)at), 1);
	close(fd);
}

START_TEST(test_file_survives)
{
	write_some(1, 6);
	struct journal *j = journal_open(path);
	ck_assert_uint_eq(journal_count(j), 5);
	for (uint32_t i = 0; i < 5; i++) {
		struct journal_entry e = entry(5 - i, (5 - i) % JOURNAL_PHASES_MAX);
		ck_assert(same(journal_get(j, i), &e));
	}
	ck_assert_ptr_null(journal_get(j, 5));
	ck_assert_ptr_nonnull(journal_find(j, (struct epoch){ 3, 7 }, "edge", 7));
	ck_assert_ptr_null(journal_find(j, (struct epoch){ 3, 7 }, "core", 7));
	ck_assert_ptr_null(journal_find(j, (struct epoch){ 3, 7 }, "edge", 8));
	ck_assert_ptr_null(journal_find(j, (struct epoch){ 9, 7 }, "edge", 7));
	journal_close(j);
	/* more than it keeps: the oldest go */
	write_some(6, JOURNAL_KEEP + 11);
	j = journal_open(path);
	ck_assert_uint_eq(journal_count(j), JOURNAL_KEEP);
	ck_assert_uint_eq(journal_get(j, 0)->epoch.counter, JOURNAL_KEEP + 10);
	ck_assert_uint_eq(journal_get(j, JOURNAL_KEEP - 1)->epoch.counter, 11);
	ck_assert_ptr_null(journal_get(j, JOURNAL_KEEP));
	ck_assert_uint_eq(journal_stats(j)->lost_slots, 0);
	journal_close(j);
	struct stat st;
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_size, JOURNAL_KEEP * JOURNAL_SLOT_BYTES);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
}
END_TEST

START_TEST(test_file_damaged)
{
	write_some(1, 11);
	/* entry 4 stands in slot 4: one byte of it changed, the tail cut in the middle of slot 10 */
	poke(4 * JOURNAL_SLOT_BYTES + 30, 0xff);
	ck_assert_int_eq(truncate(path, 10 * JOURNAL_SLOT_BYTES + 100), 0);
	struct journal *j = journal_open(path);
	ck_assert_uint_eq(journal_stats(j)->lost_slots, 2);
	ck_assert_uint_eq(journal_count(j), 8);
	ck_assert_uint_eq(journal_get(j, 0)->epoch.counter, 9);
	ck_assert_uint_eq(journal_get(j, 5)->epoch.counter, 3); /* 9 8 7 6 5 3: four is skipped */
	ck_assert_uint_eq(journal_get(j, 7)->epoch.counter, 1);
	/* it goes on where it was: entry 10 again */
	struct journal_entry e = entry(77, 1);
	journal_add(j, NULL, &e);
	journal_close(j);
	j = journal_open(path);
	ck_assert_uint_eq(journal_stats(j)->lost_slots, 1);
	ck_assert_uint_eq(journal_get(j, 0)->epoch.counter, 77);
	journal_close(j);
	/* a slot in another place is not ours */
	uint8_t slot[JOURNAL_SLOT_BYTES];
	ck_assert(journal_slot_encode(5, &e, slot));
	int fd = open(path, O_WRONLY);
	ck_assert_int_eq(pwrite(fd, slot, sizeof(slot), 20 * JOURNAL_SLOT_BYTES), sizeof(slot));
	close(fd);
	j = journal_open(path);
	ck_assert_uint_eq(journal_stats(j)->lost_slots, 2);
	journal_close(j);
}
END_TEST

START_TEST(test_no_file)
{
	struct journal *j = journal_open("/nonexistent/journal");
	ck_assert_int_eq(journal_stats(j)->err, -ENOENT);
	struct journal_entry e = entry(1, 1);
	journal_add(j, NULL, &e);
	ck_assert_uint_eq(journal_count(j), 1);
	ck_assert(same(journal_get(j, 0), &e));
	journal_close(j);
}
END_TEST

START_TEST(test_through_kernel_thread)
{
	char epoch_path[128];
	struct epoch e = { 99, 3 }, back;
	snprintf(epoch_path, sizeof(epoch_path), "%s/epoch", dir);
	ck_assert_int_eq(epoch_store_read(epoch_path, &back), -ENOENT);
	struct loop *l = loop_new("test");
	struct kernel_thread *kt = kernel_thread_start(l, 0);
	ck_assert_ptr_nonnull(kt);
	struct journal *j = journal_open(path);
	for (unsigned i = 1; i <= 20; i++) {
		struct journal_entry en = entry(i, 3);
		journal_add(j, kt, &en);
	}
	ck_assert_int_eq(epoch_store_write(kt, epoch_path, e, NULL, NULL), 0);
	kernel_thread_stop(kt, 5 * NS_PER_SEC);
	ck_assert_uint_eq(journal_stats(j)->write_errors + journal_stats(j)->not_queued, 0);
	journal_close(j);
	loop_free(l);
	j = journal_open(path);
	ck_assert_uint_eq(journal_count(j), 20);
	journal_close(j);
	ck_assert_int_eq(epoch_store_read(epoch_path, &back), 0);
	ck_assert_int_eq(epoch_cmp(back, e), 0);
	/* every byte of the epoch file */
	uint8_t buf[EPOCH_FILE_BYTES];
	epoch_file_encode(e, buf);
	for (unsigned i = 0; i < sizeof(buf); i++) {
		ck_assert_int_ne(epoch_file_decode(buf, i, &back), JOURNAL_OK);
		buf[i] ^= 0x40;
		ck_assert_int_ne(epoch_file_decode(buf, sizeof(buf), &back), JOURNAL_OK);
		ck_assert(epoch_is_none(back));
		buf[i] ^= 0x40;
	}
	int fd = open(epoch_path, O_WRONLY);
	ck_assert_int_eq(pwrite(fd, "X", 1, 12), 1);
	close(fd);
	ck_assert_int_eq(epoch_store_read(epoch_path, &back), ERR_CHECKSUM);
	ck_assert(epoch_is_none(back));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("journal");
	TCase *t = tcase_create("codec and file");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_entry_round_trip);
	tcase_add_test(t, test_entry_fields);
	tcase_add_test(t, test_slot_every_byte);
	tcase_add_test(t, test_file_survives);
	tcase_add_test(t, test_file_damaged);
	tcase_add_test(t, test_no_file);
	tcase_add_test(t, test_through_kernel_thread);
	suite_add_tcase(s, t);
	return unit_run(s);
}
