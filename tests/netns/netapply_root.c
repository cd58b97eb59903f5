/*
 * netapply, rtnl_io, netstate and the KERNEL thread together on the real kernel: a thousand addresses, foreign changes,
 * link changes, a restart with leftovers, and overruns of the route socket. Needs root; without it the test fails.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/loop.h"
#include "daemon/kernel_thread.h"
#include "daemon/netapply.h"
#include "tests/netns/rtnl_util.h"

#define N_MANY 1000
#define OWN    "/tmp/netapply_root.own"

static struct loop *loop;
static struct kernel_thread *kt;
static struct netapply *na;
static unsigned failed, acked, acked_ok, synced, told_links;
static struct net_status last[2];
static mono_t first_ack, last_ack;
static int64_t longest_pass_ns;

static bool check(bool ok, const char *what, int line)
{
	if (!ok) {
		fprintf(stderr, "line %d: %s\n", line, what);
		failed++;
	}
	return ok;
}
#define CHECK(c) check((c), #c, __LINE__)

static void on_synced(void *arg)
{
	(void)arg;
	synced++;
}

static void on_link(void *arg, const struct net_link *l)
{
	(void)arg;
	told_links += l->index > 0;
}

static void on_acked(void *arg, const struct net_op *op, int result, mono_t when)
{
	(void)arg;
	if (op->kind != NET_OP_ADD)
		return;
	if (!acked++)
		first_ack = when;
	last_ack = when;
	acked_ok += result == 0;
}

static void on_group(void *arg, uint16_t group, const struct net_status *st)
{
	(void)arg;
	last[group] = *st;
}

static void pass(void)
{
	mono_t t0 = clock_mono();
	loop_once(loop, 0);
	int64_t d = mono_sub(clock_mono(), t0);
	if (d > longest_pass_ns)
		longest_pass_ns = d;
	loop_once(loop, NS_PER_MS);
}

static bool reaches(uint16_t group, enum net_group_state state, uint32_t present)
{
	mono_t deadline = mono_add(clock_mono(), 10 * NS_PER_SEC);
	for (;;) {
		if (last[group].state == state && last[group].present == present)
			return true;
		if (!mono_before(clock_mono(), deadline))
			break;
		pass();
	}
	fprintf(stderr, "group %u: state %d, %u present of %u, %u failed (%s), %u waiting\n", group, last[group].state,
		last[group].present, last[group].total, last[group].failed, strerror(last[group].err),
		last[group].waiting);
	return false;
}

/* The daemon starts: everything but the mode of its groups. */
static void begin(void)
{
	struct netapply_conf c = { .loop = loop, .kt = NULL };
	const char *why = "not set";
	kt = kernel_thread_start(loop, 0);
	CHECK(kt != NULL);
	c.kt = kt;
	strcpy(c.own_path, OWN);
	c.hooks = (struct netapply_hooks){ NULL, on_synced, on_link, on_acked, on_group, NULL };
	synced = acked = acked_ok = 0;
	memset(last, 0xff, sizeof(last));
	na = netapply_new(&c, &why);
	CHECK(na != NULL && why == NULL);
	struct netstate *ns = netapply_state(na);
	netstate_conf_begin(ns);
	for (unsigned i = 1; i <= N_MANY; i++) {
		struct addr a = addr_v4(10, 1, (uint8_t)(i >> 8), (uint8_t)i);
		CHECK(netstate_want_addr(ns, 0, "va", &a, 32, NULL, i) > 0);
	}
	struct addr six = { 0 };
	addr_parse("2001:db8::10", &six);
	CHECK(netstate_want_addr(ns, 1, "va", &six, 64, NULL, 0) > 0);
	addr_parse("2001:db8::11", &six);
	CHECK(netstate_want_addr(ns, 1, "va", &six, 64, NULL, 0) > 0);
	CHECK(netstate_need_link(ns, 1, "vb") == 0);
	netstate_conf_end(ns);
	netapply_kick(na);
	mono_t deadline = mono_add(clock_mono(), 10 * NS_PER_SEC);
	while (!synced && mono_before(clock_mono(), deadline))
		pass();
	CHECK(synced == 1);
}

/* It dies: nothing is undone. */
static void die(void)
{
	kernel_thread_stop(kt, 5 * NS_PER_SEC);
	netapply_free(na);
}

static void test_thousand(void)
{
	begin();
	netapply_prepare(na, 0);
	mono_t t0 = clock_mono();
	netapply_set(na, 0, NET_UP);
	CHECK(reaches(0, NET_EQUAL, N_MANY));
	/* The kernel's events may be here before KERNEL's report of the last batch. */
	for (mono_t until = mono_add(clock_mono(), 10 * NS_PER_SEC);
	     acked < N_MANY && mono_before(clock_mono(), until);)
		pass();
	const struct kt_stats *s = kernel_thread_stats(kt);
	printf(
	    "%d addresses: first chunk acknowledged after %lld us, last after %lld us, observed equal after %lld us; "
	    "longest chunk %lld us, longest pass of the loop %lld us\n",
	    N_MANY, (long long)mono_sub(first_ack, t0) / 1000, (long long)mono_sub(last_ack, t0) / 1000,
	    (long long)mono_sub(clock_mono(), t0) / 1000, (long long)s->run[KT_RTNL].max_ns / 1000,
	    (long long)longest_pass_ns / 1000);
	/* After lost events a dump may be older than an acknowledgement: what it lacks is added once more. */
	bool lost = rtnl_io_stats(netapply_rtnl(na))->overruns > 0;
	CHECK(acked_ok == N_MANY && (lost ? acked >= N_MANY : acked == N_MANY));
	/* The last chunk goes in pieces of 13, 6, 3 and 3. */
	CHECK(lost || s->jobs[KT_RTNL] == N_MANY / NET_CHUNK + 3);
	CHECK(told_links >= 2);
}

static void test_foreign_hands(void)
{
	struct netstate *ns = netapply_state(na);
	int va = netstate_link_by_name(ns, "va")->index;
	struct net_addr a = { .ifindex = va, .addr = addr_v4(10, 1, 0, 7), .plen = 32 };
	unsigned before = acked;
	CHECK(rtnl_util_addr_del(&a) == 0);
	mono_t deadline = mono_add(clock_mono(), 10 * NS_PER_SEC);
	while (acked == before && mono_before(clock_mono(), deadline))
		pass();
	CHECK(acked > before);
	CHECK(reaches(0, NET_EQUAL, N_MANY));
	/* somebody takes one over: it is not ours any more, and stays when the group goes */
	a.addr = addr_v4(10, 1, 0, 8);
	CHECK(rtnl_util_addr_add(&a, NLM_F_REPLACE) == 0);
	while (last[0].foreign != 1 && mono_before(clock_mono(), deadline))
		pass();
	CHECK(last[0].foreign == 1);
	/* IPv6 through a link that goes down and comes back */
	netapply_set(na, 1, NET_UP);
	CHECK(reaches(1, NET_EQUAL, 2));
	CHECK(rtnl_util_link_up("va", false) == 0);
	CHECK(reaches(1, NET_LINK_DOWN, 0));
	CHECK(rtnl_util_link_up("va", true) == 0);
	CHECK(reaches(1, NET_EQUAL, 2));
	CHECK(rtnl_util_link_up("vb", false) == 0);
	CHECK(reaches(1, NET_LINK_DOWN, 2));
	CHECK(rtnl_util_link_up("vb", true) == 0);
	CHECK(reaches(1, NET_EQUAL, 2));
}

static void test_restart(void)
{
	die();
	begin();
	struct netstate *ns = netapply_state(na);
	CHECK(netstate_leftovers(ns, 0) == N_MANY - 1);
	CHECK(netstate_leftovers(ns, 1) == 2);
	netapply_set(na, 0, NET_UP);
	CHECK(reaches(0, NET_EQUAL, N_MANY));
	CHECK(acked == 0); /* adopted, not added again */
	netapply_set(na, 0, NET_DOWN);
	netapply_set(na, 1, NET_DOWN);
	CHECK(reaches(0, NET_EQUAL, 1)); /* the one with lost mark */
	CHECK(reaches(1, NET_EQUAL, 0));
	die();
	begin();
	CHECK(netstate_leftovers(netapply_state(na), 0) == 0);
}

/* A storm of foreign changes without the loop running: events are lost, a dump repairs it. */
static void test_overrun(void)
{
	struct netstate *ns = netapply_state(na);
	int va = netstate_link_by_name(ns, "va")->index;
	netapply_set(na, 1, NET_UP);
	CHECK(reaches(1, NET_EQUAL, 2));
	struct net_addr a = { .ifindex = va, .addr = addr_v4(172, 16, 0, 1), .plen = 32 };
	for (unsigned i = 0; i < 12000; i++) {
		if (rtnl_util_addr_add(&a, NLM_F_EXCL) != 0 || rtnl_util_addr_del(&a) != 0) {
			CHECK(false);
			break;
		}
	}
	struct net_addr six = { .ifindex = va, .plen = 64 };
	addr_parse("2001:db8::10", &six.addr);
	CHECK(rtnl_util_addr_del(&six) == 0);
	mono_t deadline = mono_add(clock_mono(), 20 * NS_PER_SEC);
	unsigned before = acked;
	while (acked == before && mono_before(clock_mono(), deadline))
		pass();
	CHECK(acked > before);
	CHECK(reaches(1, NET_EQUAL, 2));
	CHECK(rtnl_io_stats(netapply_rtnl(na))->overruns > 0);
	CHECK(!netstate_is_local(ns, &a.addr));
	CHECK(netapply_own_err(na) == 0);
	netapply_set(na, 1, NET_DOWN);
	CHECK(reaches(1, NET_EQUAL, 0));
}

int main(void)
{
	struct log_conf lc = { .ident = "netapply_root", .to_stderr = true, .level = LOG_L_WARN };
	log_init(&lc);
	rtnl_util_enter();
	unlink(OWN);
	CHECK(rtnl_util_pair("va", "vb") == 0);
	CHECK(rtnl_util_link_up("va", true) == 0 && rtnl_util_link_up("vb", true) == 0);
	loop = loop_new("test");
	CHECK(loop != NULL);
	test_thousand();
	test_foreign_hands();
	test_restart();
	test_overrun();
	die();
	loop_free(loop);
	unlink(OWN);
	printf("netapply: %u checks failed\n", failed);
	log_done();
	return failed ? 1 : 0;
}
