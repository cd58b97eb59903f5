/* Deadlines of many objects against a plain array that is searched from end to end. */
#include <check.h>
#include <stdlib.h>
#include "daemon/base/timerq.h"
#include "tests/unit/run.h"

#define N 257

struct object {
	int before;
	struct timerq_slot slot;
	char after[3];
};

static struct object obj[N];
static struct timerq q;
static mono_t model[N];

static void init(void)
{
	timerq_init(&q, &obj[0].slot, sizeof(obj[0]), N);
	for (unsigned i = 0; i < N; i++)
		model[i] = MONO_NEVER;
}

static mono_t at(int64_t ns)
{
	return (mono_t){ ns };
}

static mono_t model_next(void)
{
	mono_t t = MONO_NEVER;
	for (unsigned i = 0; i < N; i++)
		t = mono_min(t, model[i]);
	return t;
}

static void check_walk(mono_t now)
{
	static unsigned seen[N];
	uint32_t iter = 0, key;
	unsigned n = 0;
	for (unsigned i = 0; i < N; i++)
		seen[i] = 0;
	while (timerq_walk(&q, now, &iter, &key)) {
		seen[key]++;
		n++;
		ck_assert_uint_le(n, N);
	}
	for (unsigned i = 0; i < N; i++)
		ck_assert_uint_eq(seen[i], !mono_is_never(model[i]) && model[i].ns <= now.ns);
}

START_TEST(empty)
{
	uint32_t key, iter = 0;
	ck_assert(mono_is_never(timerq_next(&q)));
	ck_assert(!timerq_pop(&q, at(1000), &key));
	ck_assert(!timerq_walk(&q, at(1000), &iter, &key));
	timerq_set(&q, 5, MONO_NEVER); /* nothing to cancel */
	ck_assert(mono_is_never(timerq_at(&q, 5)));
}
END_TEST

START_TEST(earliest_first)
{
	static const int64_t t[] = { 50, 20, 40, 10, 30, 20 };
	static const int64_t sorted[] = { 10, 20, 20, 30, 40, 50 };
	for (uint32_t i = 0; i < 6; i++)
		timerq_set(&q, i * 7, at(t[i]));
	for (unsigned i = 0; i < 6; i++) {
		uint32_t key = N;
		ck_assert_int_eq(timerq_next(&q).ns, sorted[i]);
		ck_assert(!timerq_pop(&q, at(sorted[i] - 1), &key));
		ck_assert(timerq_pop(&q, at(sorted[i]), &key));
		ck_assert_int_eq(t[key / 7], sorted[i]);
		ck_assert(mono_is_never(timerq_at(&q, key)));
	}
	ck_assert(mono_is_never(timerq_next(&q)));
}
END_TEST

START_TEST(moved_and_cancelled)
{
	timerq_set(&q, 0, at(10));
	timerq_set(&q, 1, at(20));
	timerq_set(&q, 2, at(30));
	timerq_set(&q, 0, at(40));
	ck_assert_int_eq(timerq_next(&q).ns, 20);
	timerq_set(&q, 2, at(5));
	ck_assert_int_eq(timerq_next(&q).ns, 5);
	timerq_set(&q, 2, MONO_NEVER);
	ck_assert_int_eq(timerq_next(&q).ns, 20);
	timerq_set(&q, 1, MONO_NEVER);
	ck_assert_int_eq(timerq_next(&q).ns, 40);
	timerq_set(&q, 0, MONO_NEVER);
	ck_assert(mono_is_never(timerq_next(&q)));
}
END_TEST

/* A long life: set, move, cancel, pop; after each step the earliest and all that is due are the model's. */
START_TEST(like_a_plain_array)
{
	unsigned seed = 7;
	for (unsigned step = 0; step < 20000; step++) {
		seed = seed * 1103515245u + 12345u;
		uint32_t key = (seed >> 8) % N;
		int64_t t = (seed >> 16) % 1000;
		uint32_t got = N;
		switch (seed >> 4 & 3) {
		case 0:
		case 1:
			timerq_set(&q, key, at(t));
			model[key] = at(t);
			break;
		case 2:
			timerq_set(&q, key, MONO_NEVER);
			model[key] = MONO_NEVER;
			break;
		case 3:
			if (timerq_pop(&q, at(t), &got)) {
				ck_assert_int_eq(model[got].ns, model_next().ns);
				ck_assert_int_le(model[got].ns, t);
				model[got] = MONO_NEVER;
			} else {
				ck_assert(mono_is_never(model_next()) || model_next().ns > t);
			}
			break;
		}
		ck_assert_int_eq(timerq_next(&q).ns, model_next().ns);
		if (step % 16 == 0)
			check_walk(at(t));
	}
	for (unsigned i = 0; i < N; i++)
		ck_assert_int_eq(timerq_at(&q, i).ns, model[i].ns);
	ck_assert_int_eq(obj[3].before, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base_timerq");
	TCase *t = tcase_create("all");
	tcase_add_checked_fixture(t, init, NULL);
	tcase_add_test(t, empty);
	tcase_add_test(t, earliest_first);
	tcase_add_test(t, moved_and_cancelled);
	tcase_add_test(t, like_a_plain_array);
	suite_add_tcase(s, t);
	return unit_run(s);
}
