/* The jobs that write kernel settings, over a directory that stands for /proc/sys. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/loop.h"
#include "daemon/sysctl_io.h"
#include "tests/unit/run.h"

static struct loop *loop;
static struct kernel_thread *kt;
static char root[64], record[96];
static const char *why;

static const char *path_of(const char *item)
{
	static char path[256];
	snprintf(path, sizeof(path), "%s/%s", root, item);
	return path;
}

static void put(const char *item, int value)
{
	FILE *f = fopen(path_of(item), "w");
	ck_assert_ptr_nonnull(f);
	fprintf(f, "%d\n", value);
	fclose(f);
}

static int get(const char *item)
{
	int value = -1;
	FILE *f = fopen(path_of(item), "r");
	if (!f)
		return -1;
	if (fscanf(f, "%d", &value) != 1)
		value = -2;
	fclose(f);
	return value;
}

static void interface(const char *name)
{
	static const char *const v4[] = { "arp_ignore", "arp_announce", "arp_filter", "rp_filter", "forwarding" };
	char path[160];
	static const char *const parts[] = { "net", "net/ipv4", "net/ipv4/conf" };
	for (unsigned i = 0; i < 3; i++)
		ck_assert(mkdir(path_of(parts[i]), 0755) == 0 || errno == EEXIST);
	snprintf(path, sizeof(path), "net/ipv4/conf/%s", name);
	ck_assert_int_eq(mkdir(path_of(path), 0755), 0);
	for (unsigned i = 0; i < 5; i++) {
		snprintf(path, sizeof(path), "net/ipv4/conf/%s/%s", name, v4[i]);
		put(path, 0);
	}
}

static void setup(void)
{
	snprintf(root, sizeof(root), "/tmp/kt-sysctl-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	snprintf(record, sizeof(record), "%s/record", root);
	interface("all");
	interface("lan0");
	interface("vrrp.10");
	loop = loop_new("test");
	kt = kernel_thread_start(loop, 0);
	ck_assert_ptr_nonnull(kt);
}

static void teardown(void)
{
	char cmd[96];
	kernel_thread_stop(kt, NS_PER_SEC);
	loop_free(loop);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", root);
	ck_assert_int_eq(system(cmd), 0);
}

/* Until no job is on its way. */
static void settle(void)
{
	mono_t end = mono_add(clock_mono(), 5 * NS_PER_SEC);
	while (kernel_thread_stats(kt)->outstanding && mono_before(clock_mono(), end))
		loop_once(loop, 10 * NS_PER_MS);
	ck_assert_uint_eq(kernel_thread_stats(kt)->outstanding, 0);
}

START_TEST(test_base)
{
	struct sysctl_io *s = sysctl_io_new(kt, root, record, &why);
	put("net/ipv4/conf/lan0/arp_announce", 1);
	sysctl_plan_want(sysctl_io_plan(s), 4, "lan0");
	sysctl_io_kick(s);
	sysctl_io_kick(s); /* one job at a time */
	ck_assert_uint_eq(kernel_thread_stats(kt)->outstanding, 1);
	settle();
	ck_assert_int_eq(get("net/ipv4/conf/lan0/arp_ignore"), 1);
	ck_assert_int_eq(get("net/ipv4/conf/lan0/arp_announce"), 2);
	ck_assert_int_eq(access(record, F_OK), 0);
	/* somebody else takes one of both over: that one stays */
	put("net/ipv4/conf/lan0/arp_ignore", 2);
	sysctl_plan_begin(sysctl_io_plan(s));
	sysctl_io_kick(s);
	settle();
	ck_assert_int_eq(get("net/ipv4/conf/lan0/arp_ignore"), 2);
	ck_assert_int_eq(get("net/ipv4/conf/lan0/arp_announce"), 1);
	ck_assert_uint_eq(sysctl_io_plan(s)->n, 0);
	sysctl_io_free(s);
}
END_TEST

/* The daemon was killed: the next one knows the old values, whether the new ones were set or not. */
START_TEST(test_next_process)
{
	for (unsigned again = 0; again < 2; again++) {
		struct sysctl_io *s = sysctl_io_new(kt, root, record, &why);
		ck_assert_ptr_null(why);
		sysctl_plan_want(sysctl_io_plan(s), 4, "lan0");
		sysctl_io_kick(s);
		settle();
		ck_assert_int_eq(get("net/ipv4/conf/lan0/arp_ignore"), 1);
		sysctl_io_free(s);
		/* killed between the record and the settings */
		put("net/ipv4/conf/lan0/arp_ignore", again ? 1 : 0);
	}
	struct sysctl_io *s = sysctl_io_new(kt, root, record, &why);
	ck_assert_uint_eq(sysctl_io_plan(s)->n, 1);
	sysctl_plan_begin(sysctl_io_plan(s)); /* the configuration wants it no longer */
	sysctl_io_kick(s);
	settle();
	ck_assert_int_eq(get("net/ipv4/conf/lan0/arp_ignore"), 0);
	ck_assert_int_eq(get("net/ipv4/conf/lan0/arp_announce"), 0);
	sysctl_io_free(s);
	s = sysctl_io_new(kt, root, record, &why);
	ck_assert_uint_eq(sysctl_io_plan(s)->n, 0);
	ck_assert_ptr_null(why);
	sysctl_io_free(s);
}
END_TEST

START_TEST(test_record_errors)
{
	FILE *f = fopen(record, "w");
	fputs("something else that is long enough", f);
	fclose(f);
	struct sysctl_io *s = sysctl_io_new(kt, root, record, &why);
	ck_assert_str_eq(why, sysctl_record_text(SYSCTL_RECORD_MAGIC));
	sysctl_io_free(s);
	/* no room for the record: the settings are made all the same, and it is said */
	s = sysctl_io_new(kt, root, "/nonexistent/record", &why);
	ck_assert_ptr_null(why);
	sysctl_plan_want(sysctl_io_plan(s), 4, "lan0");
	sysctl_io_kick(s);
	settle();
	ck_assert_int_eq(sysctl_io_stats(s)->record_err, -ENOENT);
	ck_assert_int_eq(get("net/ipv4/conf/lan0/arp_ignore"), 1);
	sysctl_io_free(s);
}
END_TEST

START_TEST(test_vmac)
{
	struct sysctl_io *s = sysctl_io_new(kt, root, record, &why);
	struct sysctl_vmac v = { .name = "vrrp.10", .base = "lan0" };
	put("net/ipv4/conf/all/rp_filter", 1);
	put("net/ipv4/conf/lan0/forwarding", 1);
	put("net/ipv4/conf/vrrp.10/arp_filter", 1);
	sysctl_io_vmac(s, &v);
	settle();
	ck_assert_int_eq(get("net/ipv4/conf/vrrp.10/arp_ignore"), 1);
	ck_assert_int_eq(get("net/ipv4/conf/vrrp.10/arp_announce"), 2);
	ck_assert_int_eq(get("net/ipv4/conf/vrrp.10/arp_filter"), 0);
	ck_assert_int_eq(get("net/ipv4/conf/vrrp.10/rp_filter"), 2);
	ck_assert_int_eq(get("net/ipv4/conf/vrrp.10/forwarding"), 1);
	ck_assert_uint_eq(sysctl_io_stats(s)->refused, 0); /* there is no IPv6 here, and no complaint about it */
	ck_assert_uint_eq(sysctl_io_stats(s)->written, 5);
	/* something that cannot be read */
	ck_assert_int_eq(unlink(path_of("net/ipv4/conf/vrrp.10/arp_ignore")), 0);
	ck_assert_int_eq(mkdir(path_of("net/ipv4/conf/vrrp.10/arp_ignore"), 0755), 0);
	sysctl_io_vmac(s, &v);
	settle();
	ck_assert_uint_eq(sysctl_io_stats(s)->refused, 1);
	sysctl_io_free(s);
}
END_TEST

/* At start all of them come at once: few jobs, and none is forgotten. */
START_TEST(test_many_vmacs)
{
	enum { N = 130 };
	struct sysctl_io *s = sysctl_io_new(kt, root, record, &why);
	char name[IFNAMSIZ];
	for (unsigned i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "v%u", i);
		interface(name);
		struct sysctl_vmac v = { .base = "lan0" };
		memcpy(v.name, name, sizeof(name));
		sysctl_io_vmac(s, &v);
	}
	ck_assert_uint_eq(kernel_thread_stats(kt)->outstanding, 1);
	settle();
	ck_assert_int_eq(get("net/ipv4/conf/v0/arp_ignore"), 1);
	ck_assert_int_eq(get("net/ipv4/conf/v129/arp_announce"), 2);
	ck_assert_uint_eq(sysctl_io_stats(s)->written, 2 * N);
	sysctl_io_free(s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sysctl_io");
	TCase *t = tcase_create("all");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_base);
	tcase_add_test(t, test_next_process);
	tcase_add_test(t, test_record_errors);
	tcase_add_test(t, test_vmac);
	tcase_add_test(t, test_many_vmacs);
	tcase_set_timeout(t, 60); /* thousands of small files */
	suite_add_tcase(s, t);
	return unit_run(s);
}
