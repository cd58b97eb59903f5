/*
 * Capabilities, limits, locked memory and scheduling, read back from the kernel; the KERNEL thread's priority while it
 * holds a role job. Needs root; without it the test fails.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/loop.h"
#include "daemon/kernel_thread.h"
#include "daemon/sandbox.h"

static unsigned failed;

static bool check(bool ok, const char *what, int line)
{
	if (!ok) {
		fprintf(stderr, "line %d: %s\n", line, what);
		failed++;
	}
	return ok;
}
#define CHECK(c) check((c), #c, __LINE__)

static unsigned long long status_hex(const char *key)
{
	char line[256];
	unsigned long long v = 0;
	FILE *f = fopen("/proc/self/status", "r");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0)
			v = strtoull(line + strlen(key) + 1, NULL, 16);
	if (f)
		fclose(f);
	return v;
}

/* Runs fn in a child, so that what it gives up is given up there only. */
static void apart(void (*fn)(void))
{
	int st = 0;
	pid_t pid = fork();
	if (pid == 0) {
		failed = 0;
		fn();
		_exit(failed ? 1 : 0);
	}
	CHECK(waitpid(pid, &st, 0) == pid);
	CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 0);
}

static void test_caps(void)
{
	unsigned long long bounding = status_hex("CapBnd:");
	CHECK(sandbox_caps() == 0);
	/* chown 0, kill 5, net_bind_service 10, net_admin 12, net_raw 13, ipc_lock 14, sys_nice 23 */
	CHECK(status_hex("CapEff:") ==
	      (1u << 0 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 10 | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 23));
	CHECK(status_hex("CapPrm:") == status_hex("CapEff:"));
	CHECK(status_hex("CapBnd:") == bounding); /* the operator's hooks run as he expects */
}

static void test_caps_guardian(void)
{
	CHECK(sandbox_caps_guardian() == 0);
	CHECK(status_hex("CapEff:") == (1u << 12 | 1u << 13));
	CHECK(sandbox_caps() < 0); /* what is gone cannot be kept: said so */
}

static void test_limits(void)
{
	struct rlimit r;
	CHECK(sandbox_rlimits(1000) == 0);
	CHECK(getrlimit(RLIMIT_RTTIME, &r) == 0 && r.rlim_cur == 1200000 && r.rlim_max == 2400000);
	CHECK(sandbox_rlimits(0) == 0);
	CHECK(getrlimit(RLIMIT_RTTIME, &r) == 0 && r.rlim_cur == 1000000 && r.rlim_max == 2000000);
	CHECK(getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur == r.rlim_max);
	CHECK(sandbox_memory() == 0);
	CHECK(sandbox_realtime(SANDBOX_RT_PRIO) == 0);
	CHECK(sched_getscheduler(0) == (SCHED_FIFO | SCHED_RESET_ON_FORK));
	pid_t pid = fork();
	if (pid == 0)
		_exit(sched_getscheduler(0) == SCHED_OTHER ? 0 : 1);
	int st = 1;
	CHECK(waitpid(pid, &st, 0) == pid && st == 0);
}

/* ---- scheduling of kt-kernel ---- */

struct seen {
	int policy, prio;
};

static unsigned n_done;

static int look(void *ctx)
{
	struct seen *s = ctx;
	struct sched_param sp;
	s->policy = sched_getscheduler(0);
	sched_getparam(0, &sp);
	s->prio = sp.sched_priority;
	return 0;
}

static void on_done(struct kt_job *job)
{
	n_done += job->result == 0;
}

static void submit(struct kernel_thread *kt, struct loop *l, enum kt_prio prio, struct seen *s)
{
	struct kt_job *job = kt_job_new(KT_CALL, prio, on_done, NULL);
	mono_t deadline = mono_add(clock_mono(), 10 * NS_PER_SEC);
	unsigned before = n_done;
	job->call.fn = look;
	job->call.ctx = s;
	CHECK(kernel_thread_submit(kt, job) == 0);
	while (n_done == before && mono_before(clock_mono(), deadline))
		loop_once(l, NS_PER_MS);
	CHECK(n_done == before + 1);
}

static void test_kernel_thread(void)
{
	struct loop *l = loop_new("test");
	struct kernel_thread *kt = kernel_thread_start(l, SANDBOX_RT_PRIO);
	struct seen s = { 0 };
	CHECK(kt != NULL);
	for (unsigned i = 0; i < 50; i++) {
		submit(kt, l, KT_LATER, &s);
		CHECK(s.policy == SCHED_OTHER && s.prio == 0);
		submit(kt, l, i % 2 ? KT_PROMOTE : KT_DEMOTE, &s);
		CHECK(s.policy == SCHED_FIFO && s.prio == SANDBOX_RT_PRIO - 1);
	}
	kernel_thread_stop(kt, NS_PER_SEC);
	kt = kernel_thread_start(l, 0);
	submit(kt, l, KT_PROMOTE, &s);
	CHECK(s.policy == SCHED_OTHER);
	kernel_thread_stop(kt, NS_PER_SEC);
	loop_free(l);
}

int main(void)
{
	CHECK(getuid() == 0);
	apart(test_caps);
	apart(test_caps_guardian);
	apart(test_limits);
	apart(test_kernel_thread);
	printf("sandbox: %u checks failed\n", failed);
	return failed ? 1 : 0;
}
