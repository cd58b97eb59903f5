/* A node with very many lone groups: what is done in pieces, spread, and said in turn. */
#include "tests/unit/node_many.h"
#include <string.h>

/* Very many lone groups. */
enum { CROWD = 700 };
static struct vrrp crowd_inst[CROWD];
static struct node_member crowd_member[CROWD];
static struct node_group crowd_group[CROWD];
static uint16_t crowd_number[CROWD];
static struct node_act crowd_act[NODE_ACTS_FOR(CROWD, CROWD)];
static struct peer_msg crowd_msg[NODE_MSGS_FOR(CROWD)];
static struct node_peer crowd_peer;
static struct node crowd;
static struct node_acts crowd_out;

static void crowd_give(struct node_ev ev)
{
	node_step(&crowd, &ev, now, &crowd_out);
}

static void crowd_init(bool has_sync)
{
	crowd_out = (struct node_acts){
		.a = crowd_act, .cap = NODE_ACTS_FOR(CROWD, CROWD), .msgs = crowd_msg, .cap_msgs = NODE_MSGS_FOR(CROWD)
	};
	crowd_peer = (struct node_peer){ .node = 2, .groups = calloc(CROWD, sizeof(*crowd_peer.groups)) };
	for (uint16_t g = 0; g < CROWD; g++) {
		crowd_number[g] = g;
		vrrp_init(&crowd_inst[g], &conf[0]);
		crowd_group[g] = (struct node_group){ .members = &crowd_number[g], .n_members = 1 };
	}
	struct node_conf c = { .id = 1,
			       .inst = crowd_inst,
			       .member = crowd_member,
			       .n_inst = CROWD,
			       .group = crowd_group,
			       .n_groups = CROWD,
			       .peer = &crowd_peer,
			       .n_peers = 1,
			       .has_sync = has_sync };
	node_init(&crowd, &c, now);
	for (uint16_t i = 0; i < CROWD; i++)
		crowd_give(
		    (struct node_ev){ .type = NODE_EV_LINK, .inst = i, .up = true, .src = addr_v4(10, 0, 0, 2) });
	crowd_give((struct node_ev){ .type = NODE_EV_START });
}

static unsigned crowd_count(enum node_act_type type, unsigned cmd)
{
	unsigned n = 0;
	for (unsigned i = 0; i < crowd_out.n; i++)
		n += crowd_out.a[i].type == type && (type != NODE_ACT_SYNC || crowd_out.a[i].cmd.type == cmd);
	return n;
}

/* One node, all of whose timers end at the same instant: pieces, each with one fence, none of them late in the end. */
START_TEST(a_crowd_takes_over_in_pieces)
{
	crowd_init(true);
	unsigned steps = 0, fences = 0, adverts = 0;
	mono_t end = mono_add(now, DOWN_NS);
	while (now.ns < end.ns) {
		mono_t at = mono_max(now, node_deadline(&crowd));
		now = mono_min(at, end);
		crowd_give((struct node_ev){ .type = NODE_EV_TICK });
		for (unsigned again = 1; again;) {
			again = crowd_count(NODE_ACT_DRAIN, 0);
			fences += crowd_count(NODE_ACT_SYNC, SYNC_CMD_FENCE);
			adverts += crowd_count(NODE_ACT_ADVERT, 0);
			ck_assert_uint_le(crowd_count(NODE_ACT_ADVERT, 0), NODE_TICK_MAX);
			ck_assert_uint_le(crowd_count(NODE_ACT_SYNC, SYNC_CMD_FENCE), 1);
			struct epoch asked = { 0 };
			for (unsigned i = 0; i < crowd_out.n; i++)
				if (crowd_out.a[i].type == NODE_ACT_SYNC && crowd_out.a[i].cmd.type == SYNC_CMD_FENCE)
					asked = crowd_out.a[i].cmd.epoch;
			if (again)
				crowd_give((struct node_ev){ .type = NODE_EV_DRAINED });
			if (!epoch_is_none(asked)) {
				struct sync_report rep = { .type = SYNC_REP_FENCED, .epoch = asked };
				crowd_give((struct node_ev){ .type = NODE_EV_SYNC, .report = &rep });
				adverts += crowd_count(NODE_ACT_ADVERT, 0);
			}
		}
		ck_assert_uint_lt(++steps, 100000);
	}
	for (unsigned g = 0; g < CROWD; g++)
		ck_assert_int_eq(crowd_inst[g].state, VRRP_MASTER);
	ck_assert_uint_ge(fences, (CROWD + NODE_TICK_MAX - 1) / NODE_TICK_MAX);
	ck_assert_uint_le(fences, 2 * (CROWD / NODE_TICK_MAX + 1));
	ck_assert_uint_ge(adverts, CROWD);
	free(crowd_peer.groups);
}
END_TEST

/* The beats of a crowd are spread over the interval; a group's members share one (see check_node). */
START_TEST(a_crowd_does_not_speak_in_one_burst)
{
	enum { BEATS = (CROWD + NODE_BURST - 1) / NODE_BURST };
	static unsigned at_beat[BEATS];
	crowd_init(false);
	mono_t base = { 0 };
	for (unsigned g = 0; g < CROWD; g++) {
		crowd_give((struct node_ev){ .type = NODE_EV_FORCE, .group = (uint16_t)g });
		ck_assert_int_eq(crowd_inst[g].state, VRRP_MASTER);
		int64_t ahead = mono_sub(crowd_inst[g].advert_at, now);
		ck_assert_int_gt(ahead, 0);
		ck_assert_int_le(ahead, conf[0].adv_ns);
		at_beat[(ahead - 1) * BEATS / conf[0].adv_ns]++;
		base = now;
	}
	ck_assert_int_eq(base.ns, now.ns);
	for (unsigned p = 0; p < BEATS; p++)
		ck_assert_uint_le(at_beat[p], NODE_BURST + 2);
	free(crowd_peer.groups);
}
END_TEST

/* What changed is said at once, the others in turn; silence about a group means "as before". */
START_TEST(a_crowd_says_what_changed)
{
	static unsigned told[CROWD];
	crowd_init(false);
	struct peer_hello h = { .node = 2 };
	struct peer_msg hello = { .type = PEER_HELLO, .hello = h };
	crowd_give((struct node_ev){ .type = NODE_EV_PEER_UP, .peer = 2 });
	for (unsigned i = 0; i < crowd_out.n; i++)
		for (unsigned k = 0; crowd_out.a[i].type == NODE_ACT_PEER && k < crowd_out.a[i].msg->n_groups; k++)
			told[crowd_out.a[i].msg->groups[k].group]++;
	for (unsigned g = 0; g < CROWD; g++)
		ck_assert_uint_eq(told[g], 1); /* everything after a connect */
	crowd_give((struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = 2, .msg = &hello });
	crowd_give((struct node_ev){ .type = NODE_EV_FORCE, .group = 77 });
	struct epoch epoch = crowd_group[77].role.epoch;
	crowd_give((struct node_ev){ .type = NODE_EV_GARP, .group = 77, .epoch = epoch });
	crowd_give((struct node_ev){ .type = NODE_EV_NET, .group = 77, .epoch = epoch, .net = ROLE_NET_EQUAL });
	ck_assert_int_eq(crowd_group[77].role.is, ROLE_MASTER);
	unsigned messages = 0, changed = 0;
	for (unsigned i = 0; i < crowd_out.n; i++) {
		if (crowd_out.a[i].type != NODE_ACT_PEER || crowd_out.a[i].msg->type != PEER_HEARTBEAT)
			continue;
		messages++;
		for (unsigned k = 0; k < crowd_out.a[i].msg->n_groups; k++)
			changed += crowd_out.a[i].msg->groups[k].group == 77;
	}
	ck_assert_uint_ge(changed, 1);
	ck_assert_uint_le(messages, 2);
	/* In turn: all of them within so many heartbeats. */
	memset(told, 0, sizeof(told));
	for (unsigned beat = 0; beat <= CROWD / PEER_GROUPS_MAX + 1; beat++) {
		now = crowd.heartbeat_at;
		crowd_give((struct node_ev){ .type = NODE_EV_TICK });
		for (unsigned i = 0; i < crowd_out.n; i++)
			for (unsigned k = 0; crowd_out.a[i].type == NODE_ACT_PEER && k < crowd_out.a[i].msg->n_groups;
			     k++)
				told[crowd_out.a[i].msg->groups[k].group]++;
	}
	for (unsigned g = 0; g < CROWD; g++)
		ck_assert_uint_ge(told[g], 1);
	free(crowd_peer.groups);
}
END_TEST

/* A router that only replicates has no group to name, and its channel would be taken for dead. */
START_TEST(heartbeats_without_a_group)
{
	static struct node n;
	static struct node_act a[NODE_ACTS_FOR(0, 0)];
	static struct peer_msg msgs[NODE_MSGS_FOR(0)];
	struct node_acts out = { .a = a, .cap = NODE_ACTS_FOR(0, 0), .msgs = msgs, .cap_msgs = NODE_MSGS_FOR(0) };
	struct node_peer other = { .node = 2 };
	struct node_conf c = { .id = 1, .peer = &other, .n_peers = 1, .has_sync = true };
	struct node_ev start = { .type = NODE_EV_START }, up = { .type = NODE_EV_PEER_UP, .peer = 2 };
	struct node_ev tick = { .type = NODE_EV_TICK };
	node_init(&n, &c, now);
	node_step(&n, &start, now, &out);
	node_step(&n, &up, now, &out);
	for (unsigned beat = 0; beat < 3; beat++) {
		unsigned said = 0;
		now = n.heartbeat_at;
		node_step(&n, &tick, now, &out);
		for (unsigned i = 0; i < out.n; i++)
			said += out.a[i].type == NODE_ACT_PEER && out.a[i].msg->type == PEER_HEARTBEAT;
		ck_assert_uint_eq(said, 1);
	}
}
END_TEST

START_TEST(silence_means_as_before)
{
	crowd_init(false);
	struct peer_msg m = { .type = PEER_HELLO, .hello = { .node = 2 } };
	crowd_give((struct node_ev){ .type = NODE_EV_PEER_UP, .peer = 2 });
	crowd_give((struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = 2, .msg = &m });
	m = (struct peer_msg){ .type = PEER_HEARTBEAT, .n_groups = 2 };
	m.groups[0] = (struct peer_group_state){ .group = 5, .role = PEER_ROLE_BACKUP, .ready = true };
	m.groups[1] = (struct peer_group_state){ .group = 6, .role = PEER_ROLE_BACKUP, .ready = false };
	crowd_give((struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = 2, .msg = &m });
	ck_assert(node_group_peer_ready(&crowd, 5, now));
	m.n_groups = 0;
	for (unsigned i = 0; i < 30; i++) {
		now = mono_add(now, NODE_HEARTBEAT_NS);
		crowd_give((struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = 2, .msg = &m });
	}
	ck_assert(node_group_peer_ready(&crowd, 5, now));
	ck_assert(!node_group_peer_ready(&crowd, 6, now));
	ck_assert(!node_group_peer_ready(&crowd, 7, now)); /* never named */
	now = mono_add(now, NODE_READY_NS + 1);
	ck_assert(!node_group_peer_ready(&crowd, 5, now)); /* no heartbeat at all */
	/* A new connection: nothing counts before it is said again. */
	m = (struct peer_msg){ .type = PEER_HELLO, .hello = { .node = 2 } };
	crowd_give((struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = 2, .msg = &m });
	m = (struct peer_msg){ .type = PEER_HEARTBEAT };
	crowd_give((struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = 2, .msg = &m });
	ck_assert(!node_group_peer_ready(&crowd, 5, now));
	free(crowd_peer.groups);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("all");

	tcase_add_test(t, a_crowd_takes_over_in_pieces);
	tcase_add_test(t, a_crowd_does_not_speak_in_one_burst);
	tcase_add_test(t, a_crowd_says_what_changed);
	tcase_add_test(t, heartbeats_without_a_group);
	tcase_add_test(t, silence_means_as_before);
	return node_many_run("node_crowd", t);
}
