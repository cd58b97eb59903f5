/* The mailbox: order, limit, and two threads that never lose a wake-up. */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include "daemon/base/ring.h"
#include "tests/unit/run.h"

/* ck_assert tells the runner about each success: too slow for inner loops. */
#define MUST(cond)                                 \
	do {                                       \
		if (!(cond))                       \
			ck_abort_msg("%s", #cond); \
	} while (0)

struct msg {
	uint32_t n, inverse;
	uint64_t fill[3];
};

static struct msg make(uint32_t n)
{
	return (struct msg){ n, ~n, { n, n, n } };
}

static bool readable(const struct ring *r, int wait_ms)
{
	struct pollfd p = { .fd = ring_fd(r), .events = POLLIN };
	return poll(&p, 1, wait_ms) == 1;
}

START_TEST(keeps_order_and_limit)
{
	struct ring r;
	struct msg m;
	ck_assert_int_eq(ring_init(&r, sizeof(m), 5), 0); /* rounded up to 8 */
	ck_assert(!readable(&r, 0));
	ck_assert(!ring_pop(&r, &m));
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 8; i++) {
			m = make(i);
			ck_assert(ring_push(&r, &m));
		}
		ck_assert(!ring_push(&r, &m));
		ck_assert_uint_eq(ring_waiting(&r), 8);
		ck_assert(readable(&r, 0));
		ring_ack(&r);
		ck_assert(!readable(&r, 0));
		for (uint32_t i = 0; i < 8; i++) {
			ck_assert(ring_pop(&r, &m));
			ck_assert_uint_eq(m.n, i);
		}
		ck_assert(!ring_pop(&r, &m));
	}
	ck_assert_uint_eq(r.pushed, 24);
	ck_assert_uint_eq(r.dropped, 3);
	ring_free(&r);
}
END_TEST

START_TEST(refuses_nonsense)
{
	struct ring r;
	ck_assert_int_eq(ring_init(&r, 0, 4), -EINVAL);
	ck_assert_int_eq(ring_init(&r, 4, 0), -EINVAL);
	ck_assert_int_eq(ring_init(&r, 4, UINT32_MAX), -EINVAL);
}
END_TEST

/* The indices run over 2^32 in a daemon that lives for years. */
START_TEST(survives_index_overflow)
{
	struct ring r;
	uint32_t m, i;
	ck_assert_int_eq(ring_init(&r, sizeof(m), 4), 0);
	r.head = r.tail = UINT32_MAX - 1;
	for (i = 0; i < 4; i++)
		ck_assert(ring_push(&r, &i));
	ck_assert(!ring_push(&r, &i));
	ck_assert_uint_eq(ring_waiting(&r), 4);
	for (i = 0; i < 4; i++) {
		ck_assert(ring_pop(&r, &m));
		ck_assert_uint_eq(m, i);
	}
	ck_assert(!ring_pop(&r, &m));
	ring_free(&r);
}
END_TEST

enum { MSGS = 200000 };

static void *produce(void *arg)
{
	struct ring *r = arg;
	for (uint32_t i = 0; i < MSGS; i++) {
		struct msg m = make(i);
		while (!ring_push(r, &m))
			sched_yield();
	}
	return NULL;
}

START_TEST(two_threads)
{
	struct ring r;
	pthread_t th;
	struct msg m;
	uint32_t want = 0;
	ck_assert_int_eq(ring_init(&r, sizeof(m), 64), 0);
	ck_assert_int_eq(pthread_create(&th, NULL, produce, &r), 0);
	while (want < MSGS) {
		if (!readable(&r, 5000))
			ck_abort_msg("no wake-up after %u messages", want);
		ring_ack(&r);
		while (ring_pop(&r, &m)) {
			MUST(m.n == want);
			MUST(m.inverse == ~want);
			MUST(m.fill[2] == want);
			want++;
		}
	}
	pthread_join(th, NULL);
	ck_assert_uint_eq(r.pushed, MSGS);
	ring_free(&r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base ring");
	TCase *tc = tcase_create("all");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, keeps_order_and_limit);
	tcase_add_test(tc, refuses_nonsense);
	tcase_add_test(tc, survives_index_overflow);
	tcase_add_test(tc, two_threads);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
