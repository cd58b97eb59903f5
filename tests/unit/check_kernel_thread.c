/* The KERNEL thread: order, priorities, every kind of job, limits, the stop. Needs no rights. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/loop.h"
#include "daemon/file_io.h"
#include "daemon/kernel_thread.h"
#include "tests/unit/run.h"

static struct loop *loop;
static struct kernel_thread *kt;
static char dir[64];

static unsigned done_order[KT_OUTSTANDING_MAX + 1], n_done;
static int done_result;

static void setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/check_kt.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	loop = loop_new("test");
	kt = kernel_thread_start(loop, 0);
	ck_assert_ptr_nonnull(kt);
	n_done = 0;
}

static void teardown(void)
{
	kernel_thread_stop(kt, 5 * NS_PER_SEC);
	loop_free(loop);
	ck_assert_int_eq(rmdir(dir), 0);
}

static void on_done(struct kt_job *job)
{
	done_order[n_done++] = (unsigned)job->cookie;
	done_result = job->result;
	ck_assert(!mono_before(job->begun, job->queued));
	ck_assert(!mono_before(job->ended, job->begun));
}

static void wait_done(unsigned n)
{
	mono_t deadline = mono_add(clock_mono(), 20 * NS_PER_SEC);
	while (n_done < n && mono_before(clock_mono(), deadline))
		loop_once(loop, 10 * NS_PER_MS);
	ck_assert_uint_eq(n_done, n);
}

/* A job that holds the thread until it is let go. */
static int gate[2];

static atomic_bool held;

static int hold(void *ctx)
{
	char byte;
	(void)ctx;
	held = true;
	return read(gate[0], &byte, 1) == 1 ? 0 : -EIO;
}

static int answer(void *ctx)
{
	return *(int *)ctx;
}

static struct kt_job *call_job(enum kt_prio prio, unsigned cookie, int (*fn)(void *), void *ctx)
{
	struct kt_job *job = kt_job_new(KT_CALL, prio, on_done, NULL);
	job->cookie = cookie;
	job->call.fn = fn;
	job->call.ctx = ctx;
	return job;
}

static void hold_kernel(unsigned cookie)
{
	mono_t deadline = mono_add(clock_mono(), 20 * NS_PER_SEC);
	held = false;
	ck_assert_int_eq(pipe(gate), 0);
	ck_assert_int_eq(kernel_thread_submit(kt, call_job(KT_LATER, cookie, hold, NULL)), 0);
	while (!held && mono_before(clock_mono(), deadline))
		sched_yield();
	ck_assert(held);
}

static struct kt_job *file_job(enum kt_kind kind, const char *name, const char *text)
{
	struct kt_job *job = kt_job_new(kind, KT_LATER, on_done, NULL);
	snprintf(job->file.path, sizeof(job->file.path), "%s/%s", dir, name);
	job->file.data = (uint8_t *)strdup(text);
	job->file.len = strlen(text);
	job->file.mode = 0640;
	return job;
}

START_TEST(test_priorities)
{
	int zero = 0;
	hold_kernel(0);
	ck_assert_int_eq(kernel_thread_submit(kt, call_job(KT_LATER, 5, answer, &zero)), 0);
	ck_assert_int_eq(kernel_thread_submit(kt, call_job(KT_DEMOTE, 3, answer, &zero)), 0);
	ck_assert_int_eq(kernel_thread_submit(kt, call_job(KT_LATER, 6, answer, &zero)), 0);
	ck_assert_int_eq(kernel_thread_submit(kt, call_job(KT_PROMOTE, 1, answer, &zero)), 0);
	ck_assert_int_eq(kernel_thread_submit(kt, call_job(KT_DEMOTE, 4, answer, &zero)), 0);
	ck_assert_int_eq(kernel_thread_submit(kt, call_job(KT_PROMOTE, 2, answer, &zero)), 0);
	ck_assert_int_eq(write(gate[1], "x", 1), 1);
	wait_done(7);
	for (unsigned i = 0; i < 7; i++)
		ck_assert_uint_eq(done_order[i], i);
	const struct kt_stats *s = kernel_thread_stats(kt);
	ck_assert_uint_eq(s->outstanding, 0);
	ck_assert_uint_eq(s->outstanding_max, 7);
	ck_assert_uint_eq(s->jobs[KT_CALL], 7);
	ck_assert_uint_eq(s->wait[KT_PROMOTE].count, 2);
	ck_assert_uint_eq(s->run[KT_CALL].count, 7);
	close(gate[0]);
	close(gate[1]);
}
END_TEST

START_TEST(test_results)
{
	int code = -EBUSY;
	ck_assert_int_eq(kernel_thread_submit(kt, call_job(KT_LATER, 0, answer, &code)), 0);
	wait_done(1);
	ck_assert_int_eq(done_result, -EBUSY);
	ck_assert_uint_eq(kernel_thread_stats(kt)->failed[KT_CALL], 1);
	struct kt_job *job = kt_job_new(KT_SYSCTL, KT_LATER, on_done, NULL);
	strcpy(job->sysctl.path, "net/ipv4/conf/no-such-interface/forwarding");
	strcpy(job->sysctl.value, "1");
	ck_assert_int_eq(kernel_thread_submit(kt, job), 0);
	wait_done(2);
	ck_assert_int_eq(done_result, -ENOENT);
	job = kt_job_new(KT_SYSCTL, KT_LATER, on_done, NULL);
	strcpy(job->sysctl.path, "../../etc/motd");
	ck_assert_int_eq(kernel_thread_submit(kt, job), 0);
	wait_done(3);
	ck_assert_int_eq(done_result, -EINVAL);
	for (int k = 0; k < KT_KIND_N; k++)
		ck_assert_str_ne(kt_kind_name((enum kt_kind)k), "unknown");
	ck_assert_str_eq(kt_kind_name((enum kt_kind)99), "unknown");
}
END_TEST

START_TEST(test_files)
{
	char path[128];
	uint8_t *data;
	size_t len;
	struct stat st;
	snprintf(path, sizeof(path), "%s/a", dir);
	ck_assert_int_eq(kernel_thread_submit(kt, file_job(KT_FILE, "a", "first")), 0);
	ck_assert_int_eq(kernel_thread_submit(kt, file_job(KT_FILE, "a", "second")), 0);
	wait_done(2);
	ck_assert_int_eq(done_result, 0);
	ck_assert_int_eq(file_io_read(path, 100, &data, &len), 0);
	ck_assert_uint_eq(len, 6);
	ck_assert_mem_eq(data, "second", 6);
	free(data);
	ck_assert_int_eq(file_io_read(path, 5, &data, &len), -EFBIG);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777 & ~0640u, 0);
	/* a link under the temporary name is not followed */
	char tmp[160], victim[128];
	snprintf(tmp, sizeof(tmp), "%s.new", path);
	snprintf(victim, sizeof(victim), "%s/victim", dir);
	ck_assert_int_eq(symlink(victim, tmp), 0);
	ck_assert_int_eq(kernel_thread_submit(kt, file_job(KT_DISK, "a", "third")), 0);
	wait_done(3);
	ck_assert_int_eq(done_result, 0);
	ck_assert_int_eq(access(victim, F_OK), -1);
	ck_assert_int_eq(access(tmp, F_OK), -1);
	/* a folder that does not exist */
	ck_assert_int_eq(kernel_thread_submit(kt, file_job(KT_FILE, "no/such", "x")), 0);
	wait_done(4);
	ck_assert_int_eq(done_result, -ENOENT);
	/* a slot of a file */
	int fd = open(path, O_RDWR);
	struct kt_job *job = kt_job_new(KT_SLOT, KT_LATER, on_done, NULL);
	job->slot.fd = fd;
	job->slot.offset = 1;
	job->slot.data = (uint8_t *)strdup("HIR");
	job->slot.len = 3;
	ck_assert_int_eq(kernel_thread_submit(kt, job), 0);
	wait_done(5);
	ck_assert_int_eq(file_io_read(path, 100, &data, &len), 0);
	ck_assert_mem_eq(data, "tHIRd", 5);
	free(data);
	close(fd);
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

/* Files on disks have a thread of their own: neither side waits for the other. */
START_TEST(test_disk_apart)
{
	hold_kernel(7);
	ck_assert_int_eq(kernel_thread_submit(kt, file_job(KT_DISK, "a", "text")), 0);
	wait_done(1);
	ck_assert_uint_eq(done_order[0], 0);
	ck_assert_uint_eq(kernel_thread_stats(kt)->outstanding, 1);
	ck_assert_int_eq(write(gate[1], "x", 1), 1);
	wait_done(2);
	ck_assert_uint_eq(done_order[1], 7);
	close(gate[0]);
	close(gate[1]);
	char path[128];
	snprintf(path, sizeof(path), "%s/a", dir);
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(test_queue_limit)
{
	int zero = 0;
	hold_kernel(0);
	for (unsigned i = 1; i < KT_OUTSTANDING_MAX; i++)
		ck_assert_int_eq(kernel_thread_submit(kt, call_job(KT_LATER, i, answer, &zero)), 0);
	struct kt_job *job = call_job(KT_PROMOTE, 0, answer, &zero);
	ck_assert_int_eq(kernel_thread_submit(kt, job), ERR_FULL);
	kt_job_free(job);
	ck_assert_uint_eq(kernel_thread_stats(kt)->refused, 1);
	ck_assert_int_eq(write(gate[1], "x", 1), 1);
	wait_done(KT_OUTSTANDING_MAX);
	for (unsigned i = 0; i < KT_OUTSTANDING_MAX; i++)
		ck_assert_uint_eq(done_order[i], i);
	close(gate[0]);
	close(gate[1]);
}
END_TEST

START_TEST(test_stop_runs_what_is_queued)
{
	int zero = 0;
	for (unsigned i = 0; i < 100; i++)
		ck_assert_int_eq(kernel_thread_submit(kt, call_job(KT_LATER, i, answer, &zero)), 0);
	kernel_thread_stop(kt, 10 * NS_PER_SEC);
	ck_assert_uint_eq(n_done, 100);
	kt = kernel_thread_start(loop, 0);
	ck_assert_ptr_nonnull(kt);
}
END_TEST

/* Without rights, or for links that do not exist, every message has its own answer. */
START_TEST(test_batch_refused)
{
	struct kt_job *job = kt_job_new(KT_RTNL, KT_PROMOTE, NULL, NULL);
	struct net_op op = { .kind = NET_OP_DEL, .ifindex = INT32_MAX, .addr = addr_v4(203, 0, 113, 77), .plen = 32 };
	for (unsigned i = 0; i < NET_CHUNK; i++)
		ck_assert_int_eq(kt_job_add_addr(job, &op, true), 0);
	ck_assert_int_eq(kt_job_add_addr(job, &op, true), -ENOSPC);
	ck_assert_uint_eq(job->rtnl->n, NET_CHUNK);
	job->done = on_done;
	ck_assert_int_eq(kernel_thread_submit(kt, job), 0);
	wait_done(1);
	ck_assert(done_result == -ENODEV || done_result == -EPERM);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("kernel_thread");
	TCase *t = tcase_create("jobs");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_priorities);
	tcase_add_test(t, test_results);
	tcase_add_test(t, test_files);
	tcase_add_test(t, test_disk_apart);
	tcase_add_test(t, test_queue_limit);
	tcase_add_test(t, test_stop_runs_what_is_queued);
	tcase_add_test(t, test_batch_refused);
	suite_add_tcase(s, t);
	return unit_run(s);
}
