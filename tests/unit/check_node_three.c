/* Three nodes: the fittest one follows. */
#include "tests/unit/node_many.h"

/* Node 2 is master of both groups; node 3 is a backup. Both are heard. */
static void two_is_master(uint8_t priority_of_3, bool ready_3)
{
	connect_peer(2);
	connect_peer(3);
	for (unsigned i = 0; i < 4; i++) {
		heartbeat(2, PEER_ROLE_MASTER, PEER_ROLE_MASTER, 200, true);
		backup(3, priority_of_3, ready_3);
		advert(0, 200);
		advert(1, 200);
		pass(ADV_NS / 2);
	}
	ck_assert_int_eq(group[0].role.is, ROLE_BACKUP);
	n_done = 0;
}

static void leaving(uint32_t from, uint32_t successor)
{
	struct peer_msg m = { .type = PEER_LEAVING, .group = 0, .successor = successor };
	give((struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = from, .msg = &m });
}

static const struct {
	uint32_t named;
	uint8_t priority_of_3;
	bool ready_3, ours;
} heirs[] = {
	{ 1, 200, true, true },  /* named is named */
	{ 3, 50, true, false },  /* also when a fitter one is not */
	{ 0, 200, true, false }, /* nobody is named: the higher priority */
	{ 0, 100, true, true },  /* ours is the higher one */
	{ 0, 150, true, true },  /* equal: the lower id */
	{ 0, 200, false, true }, /* higher, and not ready */
};

START_TEST(a_leaving_master_leaves_to_one)
{
	two_is_master(heirs[_i].priority_of_3, heirs[_i].ready_3);
	leaving(2, heirs[_i].named);
	ck_assert_int_eq(group[0].role.is, heirs[_i].ours ? ROLE_MASTER : ROLE_BACKUP);
	if (heirs[_i].ours)
		ck_assert_int_eq(group[0].role.rec.reason, ROLE_R_PEER_LEAVING);
	ck_assert_int_eq(group[1].role.is, ROLE_BACKUP);
	/* Whoever was to follow and does not is not waited for beyond the protocol's own time. */
	pass(DOWN_NS);
	ck_assert_int_eq(group[0].role.is, ROLE_MASTER);
}
END_TEST

START_TEST(a_dead_process_is_followed_by_one)
{
	bool ours = _i == 0;
	two_is_master(ours ? 100 : 180, true);
	for (uint16_t i = 0; i < GROUPS; i++) /* the protocol's own time plays no part */
		advert_every(i, 200, 40 * NS_PER_SEC);
	give((struct node_ev){ .type = NODE_EV_PEER_DOWN, .peer = 2, .lost = true });
	give((struct node_ev){ .type = NODE_EV_PROBE, .peer = 2, .refused = true });
	ck_assert_int_eq(group[0].role.is, ours ? ROLE_MASTER : ROLE_BACKUP);
	if (_i == 1) { /* the fitter one goes too: ours at once */
		give((struct node_ev){ .type = NODE_EV_PEER_DOWN, .peer = 3, .lost = true });
		ck_assert_int_eq(group[0].role.is, ROLE_MASTER);
	} else if (_i == 2) { /* it says nothing of it: for a moment it is waited for */
		for (unsigned i = 0; i < 9; i++) {
			backup(3, 180, true);
			pass(NODE_CHANNEL_NS / 6);
		}
		ck_assert_int_eq(group[0].role.is, ROLE_MASTER);
	} else if (_i == 3) { /* it serves */
		for (unsigned i = 0; i < 20; i++) {
			heartbeat(3, PEER_ROLE_MASTER, PEER_ROLE_MASTER, 180, true);
			advert(0, 180);
			advert(1, 180);
			pass(ADV_NS / 2);
		}
		ck_assert_int_eq(group[0].role.is, ROLE_BACKUP);
		return;
	}
	ck_assert_int_eq(group[0].role.rec.reason, ROLE_R_PROCESS_DEATH);
}
END_TEST

/* A node without the sessions lets one that has them go first, and takes over when that one does not. */
START_TEST(the_ready_one_goes_first)
{
	node.sync_gate = true;
	two_is_master(100, true);
	struct peer_msg m = { .type = PEER_HEARTBEAT, .n_groups = GROUPS }; /* node 3 has sessions that we have not */
	for (uint16_t g = 0; g < GROUPS; g++)
		m.groups[g] = (struct peer_group_state){
			.group = g, .role = PEER_ROLE_BACKUP, .priority = 100, .ready = _i == 0
		};
	give((struct node_ev){ .type = NODE_EV_PEER_DOWN, .peer = 2, .lost = false });
	mono_t silent = now;
	while (group[0].role.is != ROLE_MASTER && mono_sub(now, silent) < 2 * DOWN_NS) {
		give((struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = 3, .msg = &m });
		pass(5 * NS_PER_MS);
	}
	ck_assert_int_eq(group[0].role.is, ROLE_MASTER);
	ck_assert(!node_group_ready(&node, 1, now) || group[1].role.is == ROLE_MASTER);
	int64_t own = vrrp_down(&inst[0]);
	int64_t took = mono_sub(now, silent);
	/* the last advert was heard half an interval before */
	if (_i == 0)
		ck_assert_int_ge(took, own + ADV_NS / 2 - 5 * NS_PER_MS);
	else
		ck_assert_int_le(took, own - ADV_NS / 2 + 10 * NS_PER_MS);
	ck_assert_int_le(took, own + 2 * NODE_HEARTBEAT_NS + ADV_NS);
}
END_TEST

/* What a peer has of our sessions is between the two. */
START_TEST(each_peer_hears_what_it_has_itself)
{
	connect_peer(2);
	connect_peer(3);
	struct sync_report rep = { .type = SYNC_REP_STATE, .state.has_all = { 3 } };
	give((struct node_ev){ .type = NODE_EV_SYNC, .report = &rep });
	n_done = 0;
	pass(NODE_HEARTBEAT_NS + NS_PER_MS);
	unsigned to[4] = { 0 };
	for (unsigned i = 0; i < n_done; i++) {
		if (done[i].type != NODE_ACT_PEER || done[i].msg->type != PEER_HEARTBEAT)
			continue;
		ck_assert_uint_ge(done[i].peer, 2);
		ck_assert_uint_le(done[i].peer, 3);
		ck_assert(done[i].msg->you_have_all == (done[i].peer == 3));
		ck_assert(!done[i].msg->maintenance);
		ck_assert_uint_eq(done[i].msg->n_groups, GROUPS);
		to[done[i].peer]++;
	}
	ck_assert_uint_ge(to[2], 1);
	ck_assert_uint_eq(to[2], to[3]);
	give((struct node_ev){ .type = NODE_EV_MAINTENANCE, .on = true });
	n_done = 0;
	pass(NODE_HEARTBEAT_NS + NS_PER_MS);
	ck_assert_ptr_nonnull(message_said(PEER_HEARTBEAT, 0));
	ck_assert(message_said(PEER_HEARTBEAT, 0)->msg->maintenance);
}
END_TEST

/* A fault names the fittest ready node; an orderly end that nobody answered names none. */
START_TEST(who_is_named)
{
	connect_peer(2);
	connect_peer(3);
	master_of_both();
	backup(2, 90, _i != 1);
	backup(3, 120, _i != 1);
	n_done = 0;
	if (_i < 2)
		give((struct node_ev){ .type = NODE_EV_LINK, .inst = 0, .up = false });
	else
		give((struct node_ev){ .type = NODE_EV_STOP });
	for (unsigned i = 0; i < 10; i++) {
		backup(2, 90, true);
		backup(3, 120, true);
		pass(NODE_HEARTBEAT_NS);
	}
	const struct node_act *a = message_said(PEER_LEAVING, 0);
	ck_assert_ptr_nonnull(a);
	ck_assert_uint_eq(a->peer, 0); /* everybody hears it */
	ck_assert_uint_eq(a->msg->successor, _i == 0 ? 3 : 0);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("all");

	tcase_add_loop_test(t, a_leaving_master_leaves_to_one, 0, (int)(sizeof(heirs) / sizeof(heirs[0])));
	tcase_add_loop_test(t, a_dead_process_is_followed_by_one, 0, 4);
	tcase_add_loop_test(t, the_ready_one_goes_first, 0, 2);
	tcase_add_test(t, each_peer_hears_what_it_has_itself);
	tcase_add_loop_test(t, who_is_named, 0, 3);
	return node_many_run("node_three", t);
}
