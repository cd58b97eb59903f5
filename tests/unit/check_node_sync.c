/* The node core and its SYNC: one virtual router, one group, two peers. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/node.h"
#include "tests/unit/run.h"

static struct vrrp_vip vip;
static struct vrrp_conf conf;
static struct vrrp inst;
static struct node_member member;
static struct node_group group;
static struct node_peer peers[2];
static uint16_t members[1];
static struct node n;
static struct node_acts acts;
static mono_t now;

static void setup(void)
{
	vip = (struct vrrp_vip){ .addr = addr_v4(10, 0, 0, 100), .plen = 24 };
	conf = (struct vrrp_conf){ .name = "lan",
				   .interface = "lan0",
				   .vrid = 51,
				   .af = ADDR_V4,
				   .priority = 150,
				   .adv_ns = 100 * NS_PER_MS,
				   .preempt = true,
				   .garp_repeat = 1,
				   .vips = &vip,
				   .n_vips = 1,
				   .n_advertised = 1,
				   .down_adverts = 3,
				   .lower_advert = true };
	memset(&group, 0, sizeof(group));
	memset(peers, 0, sizeof(peers));
	group.members = members;
	group.n_members = 1;
	group.preempt = true;
	vrrp_init(&inst, &conf);
	for (unsigned p = 0; p < 2; p++) {
		peers[p].node = p + 2;
		peers[p].groups = calloc(1, sizeof(*peers[p].groups));
	}
	struct node_conf c = { .id = 1,
			       .inst = &inst,
			       .member = &member,
			       .n_inst = 1,
			       .group = &group,
			       .n_groups = 1,
			       .peer = peers,
			       .n_peers = 2,
			       .has_sync = true,
			       .sync_gate = true };
	acts.cap = NODE_ACTS_FOR(1, 1);
	acts.cap_msgs = NODE_MSGS_FOR(1);
	acts.a = calloc(acts.cap, sizeof(*acts.a));
	acts.msgs = calloc(acts.cap_msgs, sizeof(*acts.msgs));
	now = (mono_t){ 10 * NS_PER_SEC };
	node_init(&n, &c, now);
}

static void teardown(void)
{
	for (unsigned p = 0; p < 2; p++)
		free(peers[p].groups);
	free(acts.a);
	free(acts.msgs);
}

static void step(struct node_ev ev)
{
	node_step(&n, &ev, now, &acts);
}

/* Position of the command among the actions of the last step, -1: not there. */
static int sync_cmd_at(enum sync_cmd_type t)
{
	for (unsigned i = 0; i < acts.n; i++)
		if (acts.a[i].type == NODE_ACT_SYNC && acts.a[i].cmd.type == t)
			return (int)i;
	return -1;
}

static void report(enum sync_report_type t)
{
	struct sync_report rep = { .type = t, .epoch = group.role.epoch };
	step((struct node_ev){ .type = NODE_EV_SYNC, .report = &rep });
}

/* Everything due until then; SYNC answers its pings, or is silent. */
static void run_for(int64_t ns, bool answers)
{
	mono_t end = mono_add(now, ns);
	while (mono_due(node_deadline(&n), end)) {
		now = mono_max(now, node_deadline(&n));
		step((struct node_ev){ .type = NODE_EV_TICK });
		bool ping = sync_cmd_at(SYNC_CMD_PING) >= 0, fence = sync_cmd_at(SYNC_CMD_FENCE) >= 0, drain = false;
		for (unsigned i = 0; i < acts.n; i++)
			drain |= acts.a[i].type == NODE_ACT_DRAIN;
		if (drain) {
			step((struct node_ev){ .type = NODE_EV_DRAINED });
			fence |= sync_cmd_at(SYNC_CMD_FENCE) >= 0;
		}
		if (ping && answers)
			report(SYNC_REP_PONG);
		if (fence && answers)
			report(SYNC_REP_FENCED);
	}
	now = end;
}

static void start(void)
{
	step((struct node_ev){ .type = NODE_EV_LINK, .up = true, .src = addr_v4(10, 0, 0, 1) });
	step((struct node_ev){ .type = NODE_EV_START });
	ck_assert_int_eq(group.role.is, ROLE_BACKUP);
}

static void to_master(void)
{
	start();
	run_for(NS_PER_SEC, true);
	ck_assert_int_eq(group.role.state, ROLE_COMMITTING);
	step((struct node_ev){ .type = NODE_EV_GARP, .epoch = group.role.epoch });
	step((struct node_ev){ .type = NODE_EV_NET, .epoch = group.role.epoch, .net = ROLE_NET_EQUAL });
	ck_assert_int_eq(group.role.is, ROLE_MASTER);
}

START_TEST(sync_that_hung_is_told_again)
{
	to_master();
	run_for(2 * NS_PER_SEC, false);
	ck_assert(node_sync_late(&n, now));
	report(SYNC_REP_PONG);
	ck_assert_int_ge(sync_cmd_at(SYNC_CMD_FENCE), 0);
	ck_assert_int_lt(sync_cmd_at(SYNC_CMD_FENCE), sync_cmd_at(SYNC_CMD_AUTHORITY));
	ck_assert_int_lt(sync_cmd_at(SYNC_CMD_AUTHORITY), sync_cmd_at(SYNC_CMD_STABLE));
	const struct sync_authority *a = &acts.a[sync_cmd_at(SYNC_CMD_AUTHORITY)].cmd.authority;
	ck_assert(a->any && a->all);
	ck_assert_int_eq(epoch_cmp(a->epoch, group.role.epoch), 0);
	report(SYNC_REP_PONG);
	ck_assert_int_eq(sync_cmd_at(SYNC_CMD_AUTHORITY), -1);
}
END_TEST

START_TEST(takeover_with_a_hung_sync_tells_it)
{
	start();
	/* The master is heard until SYNC counts as silent. */
	struct vrrp_ev adv = { .type = VRRP_EV_ADVERT };
	adv.u.advert.priority = 200;
	adv.u.advert.adv_ns = conf.adv_ns;
	adv.u.advert.src = addr_v4(10, 0, 0, 2);
	for (unsigned i = 0; i < 20; i++) {
		step((struct node_ev){ .type = NODE_EV_ADVERT, .advert = &adv });
		run_for(100 * NS_PER_MS, false);
	}
	ck_assert(node_sync_late(&n, now));
	bool told = false;
	for (unsigned i = 0; i < 100 && group.role.state != ROLE_COMMITTING; i++) {
		now = mono_max(now, node_deadline(&n));
		step((struct node_ev){ .type = NODE_EV_TICK });
		told |= sync_cmd_at(SYNC_CMD_AUTHORITY) >= 0;
		step((struct node_ev){ .type = NODE_EV_DRAINED });
		told |= sync_cmd_at(SYNC_CMD_AUTHORITY) >= 0;
	}
	ck_assert_int_eq(group.role.state, ROLE_COMMITTING);
	ck_assert(told);
}
END_TEST

/* A peer that has nothing of its own says "you have everything" at once; the master among them counts as well. */
START_TEST(gate_waits_for_every_peer_that_is_there)
{
	start();
	ck_assert(!node_gate_open(&n, now));
	for (unsigned p = 0; p < 2; p++) {
		peers[p].up = true;
		peers[p].heard_at = now;
	}
	peers[0].you_have_all = true;
	ck_assert(!node_gate_open(&n, now));
	peers[1].you_have_all = true;
	ck_assert(node_gate_open(&n, now));
	peers[1].up = peers[1].you_have_all = false;
	ck_assert(node_gate_open(&n, now));
}
END_TEST

START_TEST(dropped_packets_touch_no_timer)
{
	to_master();
	mono_t before = vrrp_deadline(&inst);
	now = mono_add(now, 30 * NS_PER_MS);
	step((struct node_ev){ .type = NODE_EV_DROPPED });
	ck_assert_int_eq(vrrp_deadline(&inst).ns, before.ns);
}
END_TEST

static Suite *suite(void)
{
	Suite *su = suite_create("node_sync");
	TCase *t = tcase_create("one group");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, sync_that_hung_is_told_again);
	tcase_add_test(t, takeover_with_a_hung_sync_tells_it);
	tcase_add_test(t, gate_waits_for_every_peer_that_is_there);
	tcase_add_test(t, dropped_packets_touch_no_timer);
	suite_add_tcase(su, t);
	return su;
}

int main(void)
{
	return unit_run(suite());
}
