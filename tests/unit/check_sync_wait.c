/* Planned switches that wait for SYNC: several at a time, in order, each until its own transaction is over. */
#include "sync/sync_wait.h"
#include "tests/unit/run.h"

static struct sync_waits q;

static void add(uint64_t counter, uint64_t seq, int64_t until_ns)
{
	struct sync_wait w = { .epoch = { counter, 1 }, .node = 2, .seq = seq, .until = { until_ns } };

	sync_wait_add(&q, &w);
}

START_TEST(each_has_its_own)
{
	ck_assert(mono_is_never(sync_wait_until(&q)));
	add(5, 50, 300);
	add(4, 40, 100);
	add(6, 60, 200);
	ck_assert_uint_eq(q.n, 3);
	ck_assert_int_eq(sync_wait_until(&q).ns, 100);
	/* One of them is over, answered or not: the others wait on, in their order. */
	sync_wait_end(&q, (struct epoch){ 4, 1 });
	ck_assert_uint_eq(q.n, 2);
	ck_assert_int_eq(sync_wait_until(&q).ns, 200);
	sync_wait_end(&q, (struct epoch){ 4, 1 });
	sync_wait_end(&q, (struct epoch){ 5, 2 }); /* another node's number */
	ck_assert_uint_eq(q.n, 2);
	struct sync_wait w = sync_wait_take(&q, 0);
	ck_assert(w.epoch.counter == 5 && w.seq == 50 && w.node == 2);
	w = sync_wait_take(&q, 0);
	ck_assert(w.epoch.counter == 6 && w.until.ns == 200);
	ck_assert_uint_eq(q.n, 0);
	ck_assert(mono_is_never(sync_wait_until(&q)));
}
END_TEST

START_TEST(asked_again)
{
	add(5, 50, 300);
	add(6, 60, 200);
	add(5, 51, 400);
	ck_assert_uint_eq(q.n, 2);
	ck_assert_uint_eq(q.w[0].seq, 60);
	ck_assert_uint_eq(q.w[1].seq, 51);
}
END_TEST

START_TEST(one_too_many)
{
	for (uint64_t i = 1; i <= SYNC_WAITS_MAX + 3; i++)
		add(i, i, (int64_t)i);
	ck_assert_uint_eq(q.n, SYNC_WAITS_MAX);
	ck_assert_uint_eq(q.full, 3);
	ck_assert_uint_eq(q.w[0].seq, 1);
	ck_assert_uint_eq(q.w[SYNC_WAITS_MAX - 1].seq, SYNC_WAITS_MAX);
	/* The same one again needs no room. */
	add(1, 70, 1);
	ck_assert_uint_eq(q.full, 3);
	ck_assert_uint_eq(q.w[SYNC_WAITS_MAX - 1].seq, 70);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sync_wait");
	TCase *t = tcase_create("waits");

	tcase_add_test(t, each_has_its_own);
	tcase_add_test(t, asked_again);
	tcase_add_test(t, one_too_many);
	suite_add_tcase(s, t);
	return unit_run(s);
}
