/* What a thread of ours begins with. */
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include "daemon/base/thread.h"
#include "tests/unit/run.h"

struct seen {
	size_t stack;
	int policy;
	bool blocked;
};

static void *look(void *arg)
{
	struct seen *s = arg;
	struct sched_param sp;
	pthread_attr_t attr;
	sigset_t now;

	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstacksize(&attr, &s->stack);
	pthread_attr_destroy(&attr);
	pthread_getschedparam(pthread_self(), &s->policy, &sp);
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	s->blocked = sigismember(&now, SIGTERM) && sigismember(&now, SIGHUP) && sigismember(&now, SIGCHLD);
	return s;
}

START_TEST(a_thread_begins_small_and_deaf)
{
	struct seen s = { .policy = -1 };
	sigset_t before, after;
	pthread_t t;
	void *got = NULL;

	pthread_sigmask(SIG_SETMASK, NULL, &before);
	ck_assert_int_eq(thread_start(&t, look, &s), 0);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	ck_assert_int_eq(pthread_join(t, &got), 0);
	ck_assert_ptr_eq(got, &s);
	ck_assert_uint_ge(s.stack, THREAD_STACK_BYTES);
	ck_assert_uint_le(s.stack, 16 * THREAD_STACK_BYTES);
	ck_assert_int_eq(s.policy, SCHED_OTHER);
	ck_assert(s.blocked);
	ck_assert_int_eq(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base_thread");
	TCase *t = tcase_create("all");

	tcase_add_test(t, a_thread_begins_small_and_deaf);
	suite_add_tcase(s, t);
	return unit_run(s);
}
