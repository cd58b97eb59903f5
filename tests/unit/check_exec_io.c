/* The hook queue with real programs: order, environment, limits, groups, and what a child inherits. */
#define _GNU_SOURCE 1
#include <check.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "ike-hooks/exec_io.h"

#define SECONDS(n) ((n)*NS_PER_SEC)

static struct loop *loop;
static struct exec *x;
static struct exec_result results[2000];
static unsigned n_results;

static void done(void *arg, const struct exec_result *r)
{
	(void)arg;
	ck_assert_uint_lt(n_results, 2000);
	results[n_results++] = *r;
}

static void set_up(void)
{
	n_results = 0;
	loop = loop_new("test");
	x = exec_new(loop, done, NULL);
	ck_assert_ptr_nonnull(x);
}

static void tear_down(void)
{
	exec_free(x);
	loop_free(loop);
}

static struct hook_conf sh(const char *script)
{
	return (
	    struct hook_conf){ .on = 1u << HOOK_ROLE, .argv = { "/bin/sh", "-c", script }, .timeout_ns = SECONDS(10) };
}

static void push(const char *script, const char *subject)
{
	struct hook_conf h = sh(script);
	struct exec_env env = { .group = subject, .epoch = { 7, 1 } };

	ck_assert_int_eq(exec_push(x, &h, HOOK_ROLE, subject, &env), 0);
}

/* Runs the loop until so many hooks have ended. */
static void until(unsigned n)
{
	mono_t end = mono_add(clock_mono(), SECONDS(20));

	while (n_results < n) {
		ck_assert_msg(mono_before(clock_mono(), end), "%u of %u hooks ended", n_results, n);
		loop_once(loop, 20 * NS_PER_MS);
	}
}

static bool alive(pid_t pid)
{
	char path[40], text[256] = "";

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *f = fopen(path, "r");
	if (!f)
		return false;
	size_t n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	const char *state = strrchr(text, ')');
	return state && state[2] != 'Z';
}

START_TEST(environment_and_last_line)
{
	struct hook_conf h = sh("echo first; echo; printf \"$HA_EVENT|$HA_ROLE_OLD|$HA_ROLE_NEW|$HA_GROUP|$HA_VIP|"
				"$HA_TUNNEL|$HA_PEER|$HA_SPI|$HA_REASON|$HA_EPOCH\"");
	struct exec_env env = { .role_old = "BACKUP",
				.role_new = "MASTER",
				.group = "site",
				.vip = "192.0.2.1",
				.tunnel = "hq",
				.spi = "c0ffee01",
				.reason = "none \"heard\"; $(false)",
				.epoch = { 42, 7 } };

	ck_assert_int_eq(exec_push(x, &h, HOOK_TUNNEL_UP, "hq", &env), 0);
	ck_assert(!exec_idle(x));
	until(1);
	ck_assert_int_eq(results[0].outcome, EXEC_EXITED);
	ck_assert_int_eq(results[0].code, 0);
	ck_assert_str_eq(results[0].line, "up|BACKUP|MASTER|site|192.0.2.1|hq||c0ffee01|none \"heard\"; $(false)|42.7");
	ck_assert_str_eq(results[0].program, "/bin/sh");
	ck_assert_str_eq(results[0].subject, "hq");
	ck_assert_int_ge(results[0].took_ns, 0);
	ck_assert(exec_idle(x));
	ck_assert_str_eq(exec_last(x)->line, results[0].line);
	ck_assert_uint_eq(exec_counters(x).ok, 1);
}
END_TEST

START_TEST(one_after_another_in_order)
{
	char path[] = "/tmp/kt-exec-XXXXXX", script[200], text[64] = "";
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	for (unsigned i = 0; i < 6; i++) {
		/* Earlier ones take longer: without order the later ones would be first. */
		snprintf(script, sizeof(script), "sleep 0.0%u; printf '%u ' >>%s", 6 - i, i, path);
		push(script, i % 2 ? "a" : "b");
	}
	until(6);
	ck_assert_int_gt(read(fd, text, sizeof(text) - 1), 0);
	ck_assert_str_eq(text, "0 1 2 3 4 5 ");
	ck_assert_int_gt(results[5].waited_ns, results[0].waited_ns);
	close(fd);
	unlink(path);
}
END_TEST

START_TEST(exit_code_and_signal)
{
	push("echo 'it broke' >&2; exit 3", "a");
	push("kill -SEGV $$", "a");
	until(2);
	ck_assert_int_eq(results[0].outcome, EXEC_EXITED);
	ck_assert_int_eq(results[0].code, 3);
	ck_assert_str_eq(results[0].line, "it broke");
	ck_assert_int_eq(results[1].outcome, EXEC_SIGNALED);
	ck_assert_int_eq(results[1].code, SIGSEGV);
	ck_assert_uint_eq(exec_counters(x).failed, 2);
}
END_TEST

START_TEST(program_that_cannot_be_started)
{
	struct hook_conf h = { .argv = { "/nonexistent/hook" }, .timeout_ns = SECONDS(1) };
	struct exec_env env = { .group = "g" };

	ck_assert_int_eq(exec_push(x, &h, HOOK_ROLE, "g", &env), 0);
	push("echo after", "g");
	until(2);
	ck_assert_int_eq(results[0].outcome, EXEC_START_FAILED);
	ck_assert_int_eq(results[0].code, ENOENT);
	ck_assert_str_eq(results[1].line, "after");
}
END_TEST

START_TEST(timeout_ends_the_whole_group)
{
	struct hook_conf h = sh("sleep 300 & echo $!; wait");
	struct exec_env env = { .group = "g" };

	h.timeout_ns = 300 * NS_PER_MS;
	mono_t begun = clock_mono();
	ck_assert_int_eq(exec_push(x, &h, HOOK_ROLE, "g", &env), 0);
	until(1);
	ck_assert_int_eq(results[0].outcome, EXEC_TIMED_OUT);
	ck_assert_int_eq(results[0].code, SIGTERM);
	ck_assert_int_lt(mono_sub(clock_mono(), begun), SECONDS(1));
	pid_t grandchild = atoi(results[0].line);
	ck_assert_int_gt(grandchild, 1);
	for (unsigned i = 0; alive(grandchild) && i < 200; i++)
		loop_once(loop, 10 * NS_PER_MS);
	ck_assert(!alive(grandchild));
	ck_assert_uint_eq(exec_counters(x).timed_out, 1);
}
END_TEST

START_TEST(timeout_kills_who_ignores_term)
{
	struct hook_conf h = sh("trap '' TERM; echo $$; while :; do sleep 0.05; done");
	struct exec_env env = { .group = "g" };

	h.timeout_ns = 200 * NS_PER_MS;
	ck_assert_int_eq(exec_push(x, &h, HOOK_ROLE, "g", &env), 0);
	until(1);
	ck_assert_int_eq(results[0].outcome, EXEC_TIMED_OUT);
	ck_assert_int_eq(results[0].code, SIGKILL);
	ck_assert_int_ge(results[0].took_ns, 200 * NS_PER_MS + EXEC_GRACE_NS);
	ck_assert(!alive(atoi(results[0].line)));
}
END_TEST

START_TEST(background_process_does_not_hold_the_queue)
{
	push("sleep 5 & echo begun $!", "a");
	mono_t begun = clock_mono();
	until(1);
	ck_assert_int_lt(mono_sub(clock_mono(), begun), SECONDS(3));
	pid_t pid = 0;
	ck_assert_int_eq(sscanf(results[0].line, "begun %d", &pid), 1);
	ck_assert(alive(pid)); /* it left in order: its own affair */
	kill(pid, SIGKILL);
}
END_TEST

START_TEST(flood_of_output_is_bounded)
{
	push("yes 0123456789abcdef | head -c 5000000; printf '\\001\\351 end %0300d' 1", "a");
	until(1);
	ck_assert_uint_eq(results[0].output_bytes, 5000000 + 2 + 5 + 300);
	ck_assert_uint_eq(strlen(results[0].line), EXEC_LINE_MAX - 1);
}
END_TEST

START_TEST(pressure_keeps_the_last_state)
{
	char script[64], subject[16];

	push("sleep 0.5", "first");
	for (unsigned i = 0; i < EXEC_COALESCE; i++) {
		snprintf(subject, sizeof(subject), "s%u", i);
		push("echo $HA_GROUP", subject);
	}
	ck_assert_uint_eq(exec_counters(x).coalesced, 0);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(script, sizeof(script), "echo $HA_GROUP");
		push(script, "flapping");
	}
	ck_assert_uint_eq(exec_counters(x).coalesced, 999);
	ck_assert_uint_eq(exec_counters(x).waiting, EXEC_COALESCE + 1);
	push("echo $HA_GROUP", "s3"); /* goes to the end */
	until(EXEC_COALESCE + 2);
	ck_assert_str_eq(results[EXEC_COALESCE + 1].line, "s3");
	ck_assert_str_eq(results[EXEC_COALESCE].line, "flapping");
	ck_assert_str_eq(results[1].line, "s0");
	ck_assert(exec_idle(x));
	ck_assert_uint_eq(exec_counters(x).coalesced, 1000);
	ck_assert_uint_eq(exec_counters(x).dropped, 0);
}
END_TEST

START_TEST(full_queue_refuses_and_counts)
{
	struct hook_conf h = sh("exit 0");
	struct exec_env env = { .group = "g" };
	char subject[16];

	push("sleep 5", "first");
	for (unsigned i = 0; i < EXEC_QUEUE_MAX; i++) {
		snprintf(subject, sizeof(subject), "s%u", i);
		ck_assert_int_eq(exec_push(x, &h, HOOK_ROLE, subject, &env), 0);
	}
	ck_assert_int_eq(exec_push(x, &h, HOOK_ROLE, "one more", &env), ERR_FULL);
	ck_assert_uint_eq(exec_counters(x).dropped, 1);
	ck_assert_int_eq(exec_push(x, &h, HOOK_ROLE, "s17", &env), 0); /* known: takes its own place */
	ck_assert_uint_eq(exec_counters(x).coalesced, 1);
}
END_TEST

START_TEST(without_descriptors_every_hook_fails_alone)
{
	struct rlimit old, none;

	push("sleep 0.1", "first");
	for (unsigned i = 0; i < EXEC_COALESCE; i++) {
		char subject[16];
		snprintf(subject, sizeof(subject), "s%u", i);
		push("exit 0", subject);
	}
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	until(0);
	while (!exec_counters(x).started)
		loop_once(loop, NS_PER_MS);
	none = old;
	none.rlim_cur = 3;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	until(1 + EXEC_COALESCE);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	for (unsigned i = 1; i <= EXEC_COALESCE; i++)
		ck_assert_int_eq(results[i].code, EMFILE);
	push("echo again", "a");
	until(2 + EXEC_COALESCE);
	ck_assert_str_eq(results[1 + EXEC_COALESCE].line, "again");
}
END_TEST

START_TEST(child_inherits_nothing_dangerous)
{
	sigset_t all;
	struct sched_param sp = { .sched_priority = 1 };

	/* As in CONTROL: signals blocked and ignored, realtime where allowed, descriptors without CLOEXEC around. */
	tear_down();
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	bool fifo = sched_setscheduler(0, SCHED_FIFO, &sp) == 0;
	int fd = dup(1);
	ck_assert_int_ge(fd, 0);
	set_up();
	push("ls /proc/self/fd | tr '\\n' ' '", "fds");
	push("sed -n 's/^Sig\\(Blk\\|Ign\\):\\t//p' /proc/self/status | tr '\\n' ' '", "signals");
	push("set -- $(cat /proc/self/stat); echo policy ${41} nice ${19}", "scheduling");
	push("cut -d' ' -f5 /proc/$$/stat; echo $$; env | cut -d= -f1 | sort | tr '\\n' ' '", "group");
	until(4);
	if (fifo) {
		sp.sched_priority = 0;
		sched_setscheduler(0, SCHED_OTHER, &sp);
	}
	close(fd);
	ck_assert_str_eq(results[0].line, "0 1 2 3 "); /* 3 is the folder being listed */
	unsigned long long blocked = 1, ignored = 1;
	ck_assert_int_eq(sscanf(results[1].line, "%llx %llx", &blocked, &ignored), 2);
	ck_assert_uint_eq(blocked, 0);
	ck_assert_uint_eq(ignored & ~0x180000000ull, 0); /* 32 and 33 are the C library's own */
	ck_assert_str_eq(results[2].line, "policy 0 nice 0");
	ck_assert_str_eq(
	    results[3].line,
	    "HA_CHILD HA_EPOCH HA_EVENT HA_GROUP HA_IKE HA_PEER HA_REASON HA_ROLE_NEW HA_ROLE_OLD HA_SPI HA_TUNNEL "
	    "HA_VIP PATH PWD ");
}
END_TEST

START_TEST(own_group)
{
	push("[ $(ps -o pgid= -p $$) = $$ ] && echo leader", "g");
	until(1);
	ck_assert_str_eq(results[0].line, "leader");
}
END_TEST

START_TEST(end_kills_what_runs)
{
	struct exec_counters c;

	push("trap '' TERM; exec sleep 300", "g");
	push("echo never", "g");
	do
		loop_once(loop, 5 * NS_PER_MS);
	while (!exec_counters(x).started);
	c = exec_counters(x);
	ck_assert(c.running);
	ck_assert_uint_eq(c.waiting, 1);
	mono_t begun = clock_mono();
	exec_free(x);
	ck_assert_int_lt(mono_sub(clock_mono(), begun), SECONDS(1));
	x = exec_new(loop, done, NULL);
	push("ps -o pid= --ppid $PPID | wc -l", "g"); /* the new shell and its ps remain */
	until(1);
	ck_assert_uint_eq(n_results, 1);
	/* And while one is just being started. */
	push("sleep 300", "g");
	exec_free(x);
	x = exec_new(loop, done, NULL);
}
END_TEST

START_TEST(event_selects_hooks_in_order)
{
	struct hook_conf h[3] = { sh("echo one"), sh("echo two"), sh("echo three") };
	struct exec_env env = { .group = "g" };

	h[1].on = 1u << HOOK_DPD_DEAD;
	h[2].on = 1u << HOOK_DPD_DEAD | 1u << HOOK_ROLE;
	ck_assert_uint_eq(exec_event(x, h, 3, HOOK_ROLE, "g", &env), 2);
	ck_assert_uint_eq(exec_event(x, h, 3, HOOK_TUNNEL_UP, "g", &env), 0);
	until(2);
	ck_assert_str_eq(results[0].line, "one");
	ck_assert_str_eq(results[1].line, "three");
	ck_assert_uint_eq(results[0].hook, 0);
	ck_assert_uint_eq(results[1].hook, 2);
	ck_assert_str_eq(exec_event_name(HOOK_SPI_UNKNOWN), "spi-unknown");
	ck_assert_str_eq(exec_event_name(HOOK_DPD_DEAD), "dpd-dead");
	ck_assert_str_eq(exec_event_name(HOOK_EVENT_N), "?");
	ck_assert_str_eq(exec_outcome_name(EXEC_TIMED_OUT), "timed out");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("exec_io");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, environment_and_last_line);
	tcase_add_test(t, one_after_another_in_order);
	tcase_add_test(t, exit_code_and_signal);
	tcase_add_test(t, program_that_cannot_be_started);
	tcase_add_test(t, timeout_ends_the_whole_group);
	tcase_add_test(t, timeout_kills_who_ignores_term);
	tcase_add_test(t, background_process_does_not_hold_the_queue);
	tcase_add_test(t, flood_of_output_is_bounded);
	tcase_add_test(t, pressure_keeps_the_last_state);
	tcase_add_test(t, full_queue_refuses_and_counts);
	tcase_add_test(t, without_descriptors_every_hook_fails_alone);
	tcase_add_test(t, child_inherits_nothing_dangerous);
	tcase_add_test(t, own_group);
	tcase_add_test(t, end_kills_what_runs);
	tcase_add_test(t, event_selects_hooks_in_order);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
