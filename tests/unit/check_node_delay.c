/*
 * One node among routers that are not ours: groups with a preempt delay, the startup delay, owners of their addresses,
 * and members that speak version 2.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/node.h"
#include "tests/unit/run.h"

#define INSTS    3
#define ADV_NS   (100 * NS_PER_MS)
#define ACTS_CAP (NODE_ACTS_FOR(INSTS, 1) + 64)

static struct vrrp_conf conf[INSTS];
static struct vrrp_vip vip[INSTS];
static struct vrrp inst[INSTS];
static struct node_member member[INSTS];
static struct node_group group;
static struct node_peer peer;
static uint16_t members[INSTS] = { 0, 1, 2 };
static struct node node;
static struct node_act act_mem[ACTS_CAP];
static struct peer_msg msg_mem[NODE_MSGS_FOR(1)];
static struct node_acts acts = { .a = act_mem, .cap = ACTS_CAP, .msgs = msg_mem, .cap_msgs = NODE_MSGS_FOR(1) };
static mono_t now;
static unsigned told[NODE_TOLD_COUNT], sent[INSTS];
static enum node_net_mode net;
static unsigned master_prio[INSTS]; /* another router, MASTER on this segment; 0: none */
static mono_t master_at[INSTS];

static void give(struct node_ev ev);

static void act(const struct node_act *a)
{
	struct node_ev ev = { .group = a->group, .epoch = a->epoch, .net = ROLE_NET_EQUAL };
	switch (a->type) {
	case NODE_ACT_ADVERT:
		sent[a->inst]++;
		return;
	case NODE_ACT_TOLD:
		told[a->what]++;
		return;
	case NODE_ACT_DRAIN:
		give((struct node_ev){ .type = NODE_EV_DRAINED });
		return;
	case NODE_ACT_NET:
		net = a->net_mode;
		if (net == NODE_NET_KEEP)
			return;
		if (net == NODE_NET_UP) {
			ev.type = NODE_EV_VIP_UP;
			give(ev);
			ev.type = NODE_EV_GARP;
			give(ev);
		}
		ev.type = NODE_EV_NET;
		give(ev);
		return;
	case NODE_ACT_SYNC:
	case NODE_ACT_ROLE_EPOCH:
	case NODE_ACT_PEER:
	case NODE_ACT_PROBE:
	case NODE_ACT_IKE:
	case NODE_ACT_SA_IMPORT:
	case NODE_ACT_SA_REMOVE:
	case NODE_ACT_HOOK:
	case NODE_ACT_JOURNAL:
	case NODE_ACT_PREPARE:
	case NODE_ACT_ANNOUNCE:
	case NODE_ACT_GUARDIAN:
	case NODE_ACT_STOPPED:
	case NODE_ACT_ABORT:
		return;
	}
}

static void give(struct node_ev ev)
{
	struct node_act copy[ACTS_CAP];
	node_step(&node, &ev, now, &acts);
	unsigned n = acts.n;
	memcpy(copy, acts.a, n * sizeof(copy[0]));
	for (unsigned i = 0; i < n; i++)
		act(&copy[i]);
}

static void hear(uint16_t i, uint8_t priority)
{
	struct vrrp_ev ev = { .type = VRRP_EV_ADVERT };
	ev.u.advert.priority = priority;
	ev.u.advert.adv_ns = conf[i].adv_ns;
	ev.u.advert.src = addr_v4(10, 0, (uint8_t)i, 9);
	ev.u.advert.v2 = conf[i].version == VRRP_V2;
	give((struct node_ev){ .type = NODE_EV_ADVERT, .inst = i, .advert = &ev });
}

/* A router on each segment that is MASTER until it hears a better one. */
static void pass(int64_t ns)
{
	mono_t end = mono_add(now, ns);
	while (mono_before(now, end)) {
		mono_t next = mono_min(end, mono_max(now, node_deadline(&node)));
		for (unsigned i = 0; i < group.n_members; i++)
			if (master_prio[i])
				next = mono_min(next, master_at[i]);
		now = next;
		for (uint16_t i = 0; i < group.n_members; i++) {
			if (!master_prio[i] || !mono_due(master_at[i], now))
				continue;
			master_at[i] = mono_add(now, conf[i].adv_ns);
			hear(i, (uint8_t)master_prio[i]);
			if (inst[i].state == VRRP_MASTER && inst[i].priority > master_prio[i])
				master_prio[i] = 0;
		}
		if (mono_due(node_deadline(&node), now))
			give((struct node_ev){ .type = NODE_EV_TICK });
	}
}

static void others(unsigned priority)
{
	for (unsigned i = 0; i < INSTS; i++) {
		master_prio[i] = priority;
		master_at[i] = mono_add(now, (int64_t)i * 7 * NS_PER_MS);
	}
}

static void build(uint16_t n)
{
	now = (mono_t){ 1000 * NS_PER_SEC };
	memset(told, 0, sizeof(told));
	memset(sent, 0, sizeof(sent));
	memset(master_prio, 0, sizeof(master_prio));
	for (uint16_t i = 0; i < INSTS; i++) {
		vip[i] = (struct vrrp_vip){ .addr = addr_v4(10, 0, (uint8_t)i, 1), .plen = 24 };
		conf[i] = (struct vrrp_conf){ .vrid = (uint8_t)(10 + i),
					      .af = ADDR_V4,
					      .priority = 150,
					      .adv_ns = ADV_NS,
					      .down_adverts = 3,
					      .preempt = true,
					      .lower_advert = true,
					      .vips = &vip[i],
					      .n_vips = 1,
					      .n_advertised = 1 };
	}
	group = (struct node_group){ .members = members, .n_members = n, .preempt = true };
}

static void start(int64_t startup_ns, uint8_t n_peers)
{
	for (uint16_t i = 0; i < group.n_members; i++)
		vrrp_init(&inst[i], &conf[i]);
	free(peer.groups);
	peer = (struct node_peer){ .node = 2, .groups = calloc(1, sizeof(*peer.groups)) };
	struct node_conf c = { .id = 1,
			       .inst = inst,
			       .member = member,
			       .n_inst = group.n_members,
			       .group = &group,
			       .n_groups = 1,
			       .peer = &peer,
			       .n_peers = n_peers,
			       .has_sync = false,
			       .sync_gate = false,
			       .startup_delay_ns = startup_ns };
	node_init(&node, &c, now);
	for (uint16_t i = 0; i < group.n_members; i++)
		give((struct node_ev){
		    .type = NODE_EV_LINK, .inst = i, .up = true, .src = addr_v4(10, 0, (uint8_t)i, 5) });
	give((struct node_ev){ .type = NODE_EV_START });
}

static enum role_is is(void)
{
	return node.group[0].role.is;
}

/* ---- preempt delay ---- */

START_TEST(a_group_waits_for_the_longest_delay)
{
	build(3);
	for (unsigned i = 0; i < 3; i++)
		conf[i].preempt_delay_ns = (int64_t)(i + 1) * NS_PER_SEC;
	others(100);
	start(0, 0);
	pass(2900 * NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_BACKUP);
	ck_assert(member[0].lower && member[1].lower && !member[2].lower);
	pass(300 * NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_MASTER);
	ck_assert_int_eq(node.group[0].role.rec.reason, ROLE_R_PREEMPTED);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(inst[i].state, VRRP_MASTER);
}
END_TEST

START_TEST(a_missing_master_is_not_waited_for)
{
	build(2);
	conf[0].preempt_delay_ns = conf[1].preempt_delay_ns = 1000 * NS_PER_SEC;
	others(100);
	start(0, 0);
	pass(NS_PER_SEC);
	ck_assert_int_eq(is(), ROLE_BACKUP);
	others(0);
	pass(400 * NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_MASTER);
	ck_assert_int_eq(node.group[0].role.rec.reason, ROLE_R_NO_RESPONSE);
}
END_TEST

/* One member's lower master pauses: its delay begins anew, and the whole group waits for it. */
START_TEST(a_pause_on_one_member_begins_its_delay_anew)
{
	build(2);
	conf[0].preempt_delay_ns = conf[1].preempt_delay_ns = NS_PER_SEC;
	others(100);
	start(0, 0);
	pass(800 * NS_PER_MS);
	master_prio[1] = 0;
	pass(500 * NS_PER_MS); /* deaf on one member alone: stays */
	ck_assert_int_eq(is(), ROLE_BACKUP);
	ck_assert(inst[1].expired);
	master_prio[1] = 100;
	master_at[1] = now;
	pass(900 * NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_BACKUP);
	pass(300 * NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_MASTER);
}
END_TEST

START_TEST(a_better_master_on_one_member_ends_the_thought)
{
	build(2);
	others(100);
	conf[0].preempt_delay_ns = conf[1].preempt_delay_ns = NS_PER_SEC;
	start(0, 0);
	pass(500 * NS_PER_MS);
	master_prio[1] = 200;
	pass(5 * NS_PER_SEC);
	ck_assert_int_eq(is(), ROLE_BACKUP);
	ck_assert(member[0].lower && !member[1].lower);
	master_prio[1] = 100;
	pass(900 * NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_BACKUP);
	pass(300 * NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_MASTER);
}
END_TEST

/* ---- startup delay ---- */

START_TEST(no_role_during_the_startup_delay)
{
	build(2);
	start(5 * NS_PER_SEC, 0);
	pass(5 * NS_PER_SEC - NS_PER_MS);
	ck_assert(node_starting(&node));
	ck_assert_int_eq(is(), ROLE_BACKUP);
	ck_assert(inst[0].expired && inst[1].expired); /* nobody is there, and still */
	ck_assert(!node_group_ready(&node, 0, now));
	ck_assert_uint_eq(sent[0] + sent[1], 0);
	ck_assert_uint_eq(told[NODE_TOLD_STARTED], 0);
	pass(2 * NS_PER_MS);
	ck_assert(!node_starting(&node));
	ck_assert_uint_eq(told[NODE_TOLD_STARTED], 1);
	ck_assert(!inst[0].expired && !inst[1].expired); /* the timers begin anew */
	ck_assert_int_eq(is(), ROLE_BACKUP);
	ck_assert(node_group_ready(&node, 0, now));
	pass(300 * NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_BACKUP);
	pass(100 * NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_MASTER);
}
END_TEST

START_TEST(adverts_are_heard_during_the_startup_delay)
{
	build(2);
	others(100); /* lower: would be preempted at once */
	start(3 * NS_PER_SEC, 0);
	pass(2990 * NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_BACKUP);
	ck_assert(member[0].lower && member[1].lower);
	ck_assert_uint_gt(inst[0].stats.adv_rcvd, 25);
	pass(200 * NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_MASTER);
	/* A better one is heard: nothing happens in the end. */
	build(2);
	others(200);
	start(NS_PER_SEC, 0);
	pass(3 * NS_PER_SEC);
	ck_assert_int_eq(is(), ROLE_BACKUP);
	ck_assert_uint_eq(inst[0].stats.expired, 0);
}
END_TEST

START_TEST(a_farewell_during_the_startup_delay)
{
	build(2);
	others(200);
	start(2 * NS_PER_SEC, 0);
	pass(NS_PER_SEC);
	others(0);
	hear(0, 0);
	hear(1, 0);
	pass(900 * NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_BACKUP);
	pass(600 * NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_MASTER);
}
END_TEST

START_TEST(force_and_stop_during_the_startup_delay)
{
	build(1);
	start(100 * NS_PER_SEC, 0);
	pass(NS_PER_SEC);
	give((struct node_ev){ .type = NODE_EV_FORCE, .group = 0 });
	pass(100 * NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_MASTER); /* an operator knows better */
	pass(200 * NS_PER_SEC);
	ck_assert_int_eq(is(), ROLE_MASTER);
	build(1);
	start(100 * NS_PER_SEC, 0);
	pass(NS_PER_SEC);
	give((struct node_ev){ .type = NODE_EV_STOP });
	pass(NS_PER_SEC);
	ck_assert_int_eq(is(), ROLE_INIT);
}
END_TEST

START_TEST(a_fault_during_the_startup_delay)
{
	build(2);
	start(2 * NS_PER_SEC, 0);
	pass(500 * NS_PER_MS);
	give((struct node_ev){ .type = NODE_EV_LINK, .inst = 0, .up = false });
	pass(100 * NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_FAULT);
	give((struct node_ev){ .type = NODE_EV_LINK, .inst = 0, .up = true, .src = addr_v4(10, 0, 0, 5) });
	pass(1300 * NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_BACKUP);
	pass(600 * NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_MASTER);
}
END_TEST

/* ---- owners ---- */

static void owners(uint16_t n)
{
	build(n);
	for (uint16_t i = 0; i < n; i++)
		conf[i].priority = 255;
}

START_TEST(a_lone_owner_does_not_wait)
{
	owners(2);
	start(0, 0);
	pass(NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_MASTER); /* RFC 9568 6.4.1 */
	/* After a fault neither. */
	give((struct node_ev){ .type = NODE_EV_LINK, .inst = 0, .up = false });
	pass(100 * NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_FAULT);
	give((struct node_ev){ .type = NODE_EV_LINK, .inst = 0, .up = true, .src = addr_v4(10, 0, 0, 5) });
	pass(10 * NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_MASTER);
}
END_TEST

START_TEST(owners_that_wait)
{
	/* Sessions may have to be waited for. */
	owners(1);
	start(0, 1);
	pass(290 * NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_BACKUP);
	pass(20 * NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_MASTER);
	/* One member of the group is no owner. */
	owners(2);
	conf[1].priority = 254;
	start(0, 0);
	pass(290 * NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_BACKUP);
	/* The startup delay counts for owners too, and ends without a further wait. */
	owners(2);
	start(NS_PER_SEC, 0);
	pass(990 * NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_BACKUP);
	pass(11 * NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_MASTER);
}
END_TEST

START_TEST(an_owner_preempts_whatever_is_configured)
{
	for (int owner = 0; owner < 2; owner++) {
		build(2);
		for (uint16_t i = 0; i < 2; i++) {
			conf[i].priority = owner ? 255 : 254;
			conf[i].preempt = false;
		}
		group.preempt = false;
		others(100);
		start(0, 1);
		give((struct node_ev){ .type = NODE_EV_PEER_DOWN, .peer = 2 });
		pass(2 * NS_PER_SEC);
		ck_assert_int_eq(is(), owner ? ROLE_MASTER : ROLE_BACKUP);
	}
}
END_TEST

/* The other owner never listens: this one, whose address is higher, leaves with its whole group and comes back. */
START_TEST(an_owner_that_does_not_listen)
{
	owners(2);
	start(0, 0);
	pass(NS_PER_SEC);
	ck_assert_int_eq(is(), ROLE_MASTER);
	for (uint16_t i = 0; i < 2; i++)
		inst[i].src = addr_v4(10, 0, (uint8_t)i, 200); /* above 10.0.x.9 */
	master_prio[1] = 255;
	master_at[1] = now;
	pass(300 * NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_MASTER);
	pass(200 * NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_BACKUP);
	ck_assert_uint_eq(inst[1].priority, 254);
	ck_assert_uint_eq(inst[0].priority, 255);
	ck_assert_uint_eq(told[NODE_TOLD_WARN], 2); /* two owners; and which of them was lowered */
	ck_assert_int_eq(net, NODE_NET_DOWN);
	others(0);
	pass(2 * NS_PER_SEC);
	ck_assert_int_eq(is(), ROLE_MASTER);
	ck_assert_uint_eq(inst[1].priority, 255);
}
END_TEST

/* ---- members of other versions ---- */

START_TEST(a_member_with_version_2)
{
	build(2);
	conf[1].version = VRRP_V2;
	conf[1].adv_ns = NS_PER_SEC;
	others(200);
	start(0, 0);
	pass(5 * NS_PER_SEC);
	ck_assert_int_eq(is(), ROLE_BACKUP);
	/* The slow member still hears the master: the fast one alone does not move the group. */
	master_prio[0] = 0;
	pass(5 * NS_PER_SEC);
	ck_assert_int_eq(is(), ROLE_BACKUP);
	ck_assert_uint_eq(told[NODE_TOLD_DEAF], 1);
	/* Both silent: the group moves when the slow one's time is over: 3 s and (256 - 150) / 256 s. */
	master_prio[1] = 0;
	mono_t last = member[1].heard_at;
	pass(mono_sub(mono_add(last, 3 * NS_PER_SEC + 106 * NS_PER_SEC / 256), now) - NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_BACKUP);
	pass(2 * NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_MASTER);
	/* Each member speaks at its own interval. */
	sent[0] = sent[1] = 0;
	pass(10 * NS_PER_SEC);
	ck_assert_uint_ge(sent[0], 99);
	ck_assert_uint_le(sent[0], 101);
	ck_assert_uint_ge(sent[1], 9);
	ck_assert_uint_le(sent[1], 11);
	/* A better master on the slow member alone moves the whole group. */
	master_prio[1] = 200;
	master_at[1] = now;
	pass(100 * NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_BACKUP);
	ck_assert_int_eq(inst[0].state, VRRP_BACKUP);
}
END_TEST

START_TEST(a_group_of_both_preempts_together)
{
	build(2);
	conf[1].version = VRRP_V2;
	conf[1].adv_ns = NS_PER_SEC;
	conf[0].preempt_delay_ns = conf[1].preempt_delay_ns = 2 * NS_PER_SEC;
	others(100);
	start(0, 0);
	pass(1990 * NS_PER_MS);
	ck_assert_int_eq(is(), ROLE_BACKUP);
	pass(1100 * NS_PER_MS); /* up to one interval of the slow one more */
	ck_assert_int_eq(is(), ROLE_MASTER);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("node_delay");
	TCase *tc = tcase_create("all");
	tcase_add_test(tc, a_group_waits_for_the_longest_delay);
	tcase_add_test(tc, a_missing_master_is_not_waited_for);
	tcase_add_test(tc, a_pause_on_one_member_begins_its_delay_anew);
	tcase_add_test(tc, a_better_master_on_one_member_ends_the_thought);
	tcase_add_test(tc, no_role_during_the_startup_delay);
	tcase_add_test(tc, adverts_are_heard_during_the_startup_delay);
	tcase_add_test(tc, a_farewell_during_the_startup_delay);
	tcase_add_test(tc, force_and_stop_during_the_startup_delay);
	tcase_add_test(tc, a_fault_during_the_startup_delay);
	tcase_add_test(tc, a_lone_owner_does_not_wait);
	tcase_add_test(tc, owners_that_wait);
	tcase_add_test(tc, an_owner_preempts_whatever_is_configured);
	tcase_add_test(tc, an_owner_that_does_not_listen);
	tcase_add_test(tc, a_member_with_version_2);
	tcase_add_test(tc, a_group_of_both_preempts_together);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
