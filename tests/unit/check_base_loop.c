/* The loop: timers in order and never early, classes in order, stop from another thread, signals, budgets. */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/loop.h"
#include "tests/unit/run.h"

static struct loop *l;
static char trace[64];
static unsigned n_trace;

static void note(char c)
{
	ck_assert_uint_lt(n_trace, sizeof(trace) - 1);
	trace[n_trace++] = c;
	trace[n_trace] = '\0';
}

static void setup(void)
{
	l = loop_new("check");
	ck_assert_ptr_nonnull(l);
}

static void teardown(void)
{
	loop_free(l);
}

/* Runs passes until n callbacks were noted, for at most 5 s. */
static void run_until(unsigned n)
{
	mono_t end = mono_add(clock_mono(), 5 * NS_PER_SEC);
	while (n_trace < n && mono_before(clock_mono(), end))
		loop_once(l, 50 * NS_PER_MS);
	ck_assert_uint_eq(n_trace, n);
}

static void on_timer(void *arg, mono_t deadline)
{
	ck_assert(mono_due(deadline, clock_mono()));
	note(*(const char *)arg);
}

START_TEST(timers_run_in_order_of_deadline)
{
	struct loop_timer *t[4];
	mono_t now = clock_mono();
	for (int i = 0; i < 4; i++)
		t[i] = loop_timer_new(l, LOOP_NORMAL, on_timer, &"abcd"[i]);
	loop_timer_set(t[3], mono_add(now, 8 * NS_PER_MS));
	loop_timer_set(t[1], mono_add(now, 4 * NS_PER_MS));
	loop_timer_set(t[0], mono_add(now, 2 * NS_PER_MS));
	loop_timer_set(t[2], mono_add(now, 6 * NS_PER_MS));
	run_until(4);
	ck_assert_str_eq(trace, "abcd");
	ck_assert_uint_eq(loop_lateness(l)->count, 4);
	for (int i = 0; i < 4; i++)
		loop_timer_free(t[i]);
}
END_TEST

START_TEST(timers_can_be_moved_and_cancelled)
{
	struct loop_timer *a = loop_timer_new(l, LOOP_NORMAL, on_timer, "a"),
			  *b = loop_timer_new(l, LOOP_NORMAL, on_timer, "b"),
			  *c = loop_timer_new(l, LOOP_NORMAL, on_timer, "c");
	mono_t now = clock_mono();
	loop_timer_set(a, mono_add(now, NS_PER_MS));
	loop_timer_set(b, mono_add(now, 2 * NS_PER_MS));
	loop_timer_set(c, mono_add(now, 3 * NS_PER_MS));
	loop_timer_set(a, mono_add(now, 6 * NS_PER_MS));
	loop_timer_set(b, MONO_NEVER);
	run_until(2);
	ck_assert_str_eq(trace, "ca");
	loop_timer_set(b, MONO_ZERO); /* long past: at once */
	run_until(3);
	/* It fired, so the same deadline may be set again. */
	loop_timer_set(b, MONO_ZERO);
	run_until(4);
	loop_timer_free(a);
	loop_timer_free(b);
	loop_timer_free(c);
}
END_TEST

static void on_free_self(void *arg, mono_t deadline)
{
	struct loop_timer **t = arg;
	(void)deadline;
	loop_timer_free(*t);
	*t = NULL;
	note('f');
}

START_TEST(a_timer_may_free_itself)
{
	struct loop_timer *t = loop_timer_new(l, LOOP_LATENCY, on_free_self, &t);
	loop_timer_set(t, clock_mono());
	run_until(1);
	ck_assert_ptr_null(t);
}
END_TEST

struct beat {
	struct loop_timer *t;
	unsigned n;
	mono_t first;
};

static void on_beat(void *arg, mono_t deadline)
{
	struct beat *b = arg;
	b->n++;
	ck_assert_int_eq(mono_sub(deadline, b->first), (b->n - 1) * 2 * NS_PER_MS);
	if (b->n < 20)
		loop_timer_set(b->t, mono_add(deadline, 2 * NS_PER_MS));
	else
		loop_stop(l);
}

START_TEST(absolute_deadlines_do_not_drift)
{
	struct beat b = { .first = mono_add(clock_mono(), NS_PER_MS) };
	b.t = loop_timer_new(l, LOOP_LATENCY, on_beat, &b);
	loop_timer_set(b.t, b.first);
	loop_run(l);
	ck_assert_uint_eq(b.n, 20);
	ck_assert_int_ge(mono_sub(clock_mono(), b.first), 19 * 2 * NS_PER_MS);
	ck_assert_uint_eq(loop_lateness(l)->count, 20);
	loop_timer_free(b.t);
}
END_TEST

struct source {
	struct loop_fd *f;
	int fd;
	char name;
	int wakes; /* another source to make ready from inside the callback, or -1 */
};

static void on_ready(void *arg, int fd, unsigned events)
{
	struct source *s = arg;
	uint64_t n;
	ck_assert_uint_eq(events, LOOP_READ);
	ck_assert_int_eq(read(fd, &n, sizeof(n)), sizeof(n));
	note(s->name);
	if (s->wakes != -1) {
		n = 1;
		ck_assert_int_eq(write(s->wakes, &n, sizeof(n)), sizeof(n));
		s->wakes = -1;
	}
}

static void source(struct source *s, char name, enum loop_class c, bool ready)
{
	*s = (struct source){ .name = name, .wakes = -1, .fd = eventfd(ready ? 1 : 0, EFD_NONBLOCK) };
	s->f = loop_fd_new(l, s->fd, LOOP_READ, c, on_ready, s);
	ck_assert_ptr_nonnull(s->f);
}

static void source_free(struct source *s)
{
	loop_fd_free(s->f);
	close(s->fd);
}

START_TEST(classes_run_in_order)
{
	struct source s[6];
	source(&s[0], 'B', LOOP_BULK, true);
	source(&s[1], 'N', LOOP_NORMAL, true);
	source(&s[2], 'L', LOOP_LATENCY, true);
	source(&s[3], 'B', LOOP_BULK, true);
	source(&s[4], 'L', LOOP_LATENCY, true);
	source(&s[5], 'N', LOOP_NORMAL, true);
	run_until(6);
	ck_assert_str_eq(trace, "LLNNBB");
	for (int i = 0; i < 6; i++)
		source_free(&s[i]);
}
END_TEST

START_TEST(latency_overtakes_a_train_of_bulk)
{
	struct source b[3], urgent;
	for (int i = 0; i < 3; i++)
		source(&b[i], 'B', LOOP_BULK, true);
	source(&urgent, 'L', LOOP_LATENCY, false);
	b[0].wakes = b[1].wakes = b[2].wakes = urgent.fd;
	run_until(5);
	ck_assert_str_eq(trace, "BLBLB");
	run_until(6);
	for (int i = 0; i < 3; i++)
		source_free(&b[i]);
	source_free(&urgent);
}
END_TEST

START_TEST(a_latency_timer_overtakes_bulk)
{
	struct source b[2];
	source(&b[0], 'B', LOOP_BULK, true);
	source(&b[1], 'B', LOOP_BULK, true);
	struct loop_timer *t = loop_timer_new(l, LOOP_LATENCY, on_timer, "t");
	loop_timer_set(t, clock_mono());
	run_until(3);
	ck_assert_str_eq(trace, "tBB");
	loop_timer_free(t);
	source_free(&b[0]);
	source_free(&b[1]);
}
END_TEST

static void on_write(void *arg, int fd, unsigned events)
{
	(void)arg;
	(void)fd;
	note((events & LOOP_WRITE) != 0 ? 'w' : 'r');
	if (n_trace == 2)
		loop_stop(l);
}

START_TEST(events_can_be_paused_and_changed)
{
	int p[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
	struct loop_fd *f = loop_fd_new(l, p[0], 0, LOOP_NORMAL, on_write, NULL);
	ck_assert_int_eq(write(p[1], "x", 1), 1);
	loop_once(l, 2 * NS_PER_MS);
	ck_assert_uint_eq(n_trace, 0); /* paused */
	loop_fd_set(f, LOOP_WRITE);
	loop_once(l, 0);
	ck_assert_str_eq(trace, "w");
	loop_fd_set(f, LOOP_READ);
	loop_run(l);
	ck_assert_str_eq(trace, "wr");
	loop_fd_set(f, 0);
	loop_once(l, 2 * NS_PER_MS);
	ck_assert_str_eq(trace, "wr");
	loop_fd_free(f);
	loop_fd_free(NULL);
	loop_timer_free(NULL);
	loop_signal_free(NULL);
	close(p[0]);
	close(p[1]);
}
END_TEST

START_TEST(once_waits_no_longer_than_told)
{
	mono_t began = clock_mono();
	loop_once(l, 0);
	loop_once(l, 20 * NS_PER_MS);
	int64_t took = mono_sub(clock_mono(), began);
	ck_assert_int_ge(took, 20 * NS_PER_MS);
	ck_assert_int_lt(took, 2 * NS_PER_SEC);
	ck_assert_int_ge(mono_sub(loop_now(l), began), took);
}
END_TEST

static void *stop_it(void *arg)
{
	loop_stop(arg);
	return NULL;
}

START_TEST(another_thread_can_stop_it)
{
	pthread_t th;
	ck_assert_int_eq(pthread_create(&th, NULL, stop_it, l), 0);
	loop_run(l); /* also when the stop came first */
	pthread_join(th, NULL);
}
END_TEST

static void on_signal(void *arg, int signo)
{
	ck_assert_int_eq(signo, SIGUSR1);
	note(*(const char *)arg);
}

START_TEST(signals_arrive)
{
	struct loop_signal *s = loop_signal_new(l, SIGUSR1, on_signal, "s");
	ck_assert_ptr_nonnull(s);
	ck_assert_int_eq(kill(getpid(), SIGUSR1), 0);
	run_until(1);
	loop_signal_free(s);
}
END_TEST

START_TEST(budgets_end_by_count_and_by_time)
{
	struct loop_budget b = loop_budget(3, NS_PER_SEC);
	ck_assert(!loop_budget_spent(&b));
	ck_assert(!loop_budget_spent(&b));
	ck_assert(loop_budget_spent(&b));
	ck_assert(loop_budget_spent(&b));
	b = loop_budget(UINT32_MAX, 0);
	ck_assert(loop_budget_spent(&b));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base loop");
	TCase *tc = tcase_create("all");
	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, timers_run_in_order_of_deadline);
	tcase_add_test(tc, timers_can_be_moved_and_cancelled);
	tcase_add_test(tc, a_timer_may_free_itself);
	tcase_add_test(tc, absolute_deadlines_do_not_drift);
	tcase_add_test(tc, classes_run_in_order);
	tcase_add_test(tc, latency_overtakes_a_train_of_bulk);
	tcase_add_test(tc, a_latency_timer_overtakes_bulk);
	tcase_add_test(tc, events_can_be_paused_and_changed);
	tcase_add_test(tc, once_waits_no_longer_than_told);
	tcase_add_test(tc, another_thread_can_stop_it);
	tcase_add_test(tc, signals_arrive);
	tcase_add_test(tc, budgets_end_by_count_and_by_time);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
