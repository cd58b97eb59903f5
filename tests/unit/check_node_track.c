/* Tracking in the node core, with two nodes: priorities that move, faults, and first results that are waited for. */
#include "tests/unit/node_pair.h"

static void track(unsigned who, uint16_t inst, uint8_t priority, bool fault, bool waits)
{
	give(who, (struct node_ev){
		      .type = NODE_EV_TRACK, .inst = inst, .priority = priority, .fault = fault, .waits = waits });
}

static void both(unsigned who, uint8_t priority)
{
	for (uint16_t i = 0; i < INSTS; i++)
		track(who, i, priority, false, false);
}

START_TEST(a_lower_priority_is_outbid_and_bids_again)
{
	both(0, 90);
	ck_assert_uint_eq(box[0].told[NODE_TOLD_PRIORITY], INSTS);
	ck_assert_int_eq(is(0), ROLE_MASTER); /* the next advertisement says so */
	pass(NS_PER_SEC);
	master_is(1);
	ck_assert_int_eq(last(1)->reason, ROLE_R_PREEMPTED);
	ck_assert_int_eq(last(1)->kind, ROLE_K_PLANNED);
	ck_assert(!box[0].node.group[0].given_away);
	both(0, 90); /* nothing new */
	ck_assert_uint_eq(box[0].told[NODE_TOLD_PRIORITY], INSTS);
	both(0, 150);
	pass(NS_PER_SEC);
	master_is(0);
	ck_assert_int_eq(last(0)->reason, ROLE_R_PREEMPTED);
}
END_TEST

START_TEST(a_higher_priority_of_the_backup_takes)
{
	both(1, 160);
	pass(NS_PER_SEC);
	master_is(1);
	both(1, 100);
	pass(NS_PER_SEC);
	master_is(0);
}
END_TEST

/* The old master says in a heartbeat that it is moving, and only then GO. */
START_TEST(the_partner_of_a_switch_stays)
{
	lost_msgs = 1u << PEER_GO;
	both(1, 160);
	const struct role *r = &box[1].node.group[0].role;
	for (unsigned i = 0; i < 30 && r->state != ROLE_PREPARING; i++)
		pass(10 * NS_PER_MS);
	ck_assert_int_eq(r->state, ROLE_PREPARING);
	unsigned beats = seen_msgs[PEER_HEARTBEAT];
	pass(150 * NS_PER_MS);
	ck_assert_uint_gt(seen_msgs[PEER_HEARTBEAT], beats);
	ck_assert_int_eq(r->state, ROLE_PREPARING);
	ck_assert_uint_eq(box[1].node.group[0].partner, box[0].node.id);
	lost_msgs = 0;
	pass(3 * NS_PER_SEC);
	master_is(1);
}
END_TEST

/* What an operator moved stays moved, whatever the priorities were. */
START_TEST(an_operators_word_stands)
{
	force_from_a();
	master_is(1);
	ck_assert(box[0].node.group[0].given_away);
	both(0, 90);
	both(0, 150);
	pass(2 * NS_PER_SEC);
	master_is(1);
}
END_TEST

START_TEST(one_member_alone_moves_nothing)
{
	track(0, 1, 90, false, false);
	pass(2 * NS_PER_SEC);
	master_is(0);
}
END_TEST

/* A wish that came from a priority which is no more. */
START_TEST(what_was_concluded_is_forgotten)
{
	replicated(false); /* the gate is closed: the higher priority has to wait */
	pass(NS_PER_SEC);
	both(1, 160);
	pass(NS_PER_SEC);
	ck_assert_int_eq(is(0), ROLE_MASTER);
	ck_assert(box[1].node.member[0].lower);
	both(1, 100);
	ck_assert(!box[1].node.member[0].lower && !box[1].node.member[1].lower);
	replicated(true);
	pass(NS_PER_SEC);
	master_is(0);
}
END_TEST

START_TEST(a_fault_leaves_in_order)
{
	track(0, _i, 150, true, false);
	ck_assert_int_eq(is(1), ROLE_MASTER); /* LEAVING was enough: nobody waited for a timer */
	ck_assert_int_eq(last(1)->reason, ROLE_R_PEER_LEAVING);
	pass(NS_PER_SEC);
	ck_assert_int_eq(is(0), ROLE_FAULT);
	ck_assert_int_eq(last(0)->reason, ROLE_R_TRACKED);
	ck_assert_int_eq(last(0)->kind, ROLE_K_FAULT);
	ck_assert_uint_gt(box[0].zero[0] + box[0].zero[1], 0);
	for (uint16_t i = 0; i < INSTS; i++)
		ck_assert_int_eq(box[0].inst[i].state, VRRP_FAULT);
	ck_assert(!node_group_ready(&box[0].node, 0, now));
	/* The link has its own word in it. */
	set_link(0, 0, false);
	track(0, _i, 150, false, false);
	pass(NS_PER_SEC);
	ck_assert_int_eq(is(0), ROLE_FAULT);
	set_link(0, 0, true);
	pass(2 * NS_PER_SEC);
	master_is(0);
	for (uint16_t i = 0; i < INSTS; i++)
		ck_assert(!box[0].inst[i].tracked && !box[0].inst[i].faulted);
}
END_TEST

START_TEST(alone_it_is_a_fault_too)
{
	set_channel(false);
	pass(NS_PER_SEC);
	track(0, 0, 150, true, false);
	pass(2 * NS_PER_SEC);
	master_is(1); /* priority 0 was heard */
	track(0, 0, 150, false, false);
	pass(2 * NS_PER_SEC);
	ck_assert_int_ne(is(0), ROLE_FAULT);
}
END_TEST

/* fault = degrade, and nobody else is there: the other members go on. */
START_TEST(degraded_it_serves_on)
{
	set_channel(false);
	segment[0] = segment[1] = false;
	box[0].alive = true;
	box[1].alive = false;
	box[0].node.group[0].fault_degrade = true;
	pass(3 * NS_PER_SEC);
	unsigned zero = box[0].zero[0];
	track(0, 0, 150, true, false);
	pass(NS_PER_SEC);
	ck_assert_int_eq(is(0), ROLE_MASTER);
	ck_assert_int_eq(box[0].inst[0].state, VRRP_FAULT);
	ck_assert_int_eq(box[0].inst[1].state, VRRP_MASTER);
	ck_assert_uint_eq(box[0].zero[0], zero + 1);
	track(0, 0, 150, false, false);
	pass(NS_PER_SEC);
	ck_assert_int_eq(box[0].inst[0].state, VRRP_MASTER);
	track(0, 0, 150, true, false);
	track(0, 1, 150, true, false);
	pass(NS_PER_SEC);
	ck_assert_int_eq(is(0), ROLE_FAULT);
}
END_TEST

/* Before the first result of what could be a fault the group is nothing; then it is what it can be, at once. */
START_TEST(first_results)
{
	world(150, 150, 100, 100);
	track(0, 1, 150, false, true);
	power_on(0, false);
	pass(5 * NS_PER_SEC);
	ck_assert_int_eq(is(0), ROLE_INIT);
	ck_assert_int_eq(box[0].inst[0].state, VRRP_INIT);
	ck_assert_uint_eq(box[0].hooks, 0);
	track(0, 0, 150, false, false);
	ck_assert_int_eq(is(0), ROLE_INIT);
	track(0, 1, 150, _i, false);
	pass(NS_PER_SEC);
	if (_i) {
		ck_assert_int_eq(is(0), ROLE_FAULT);
		ck_assert_int_eq(last(0)->from, ROLE_INIT);
		ck_assert_int_eq(last(0)->reason, ROLE_R_TRACKED);
		ck_assert_uint_eq(box[0].hooks, 1); /* INIT -> FAULT, and nothing between */
		track(0, 1, 150, false, false);
		pass(NS_PER_SEC);
	}
	ck_assert_int_eq(is(0), ROLE_MASTER);
	/* While it runs, a new thing without a result changes nothing. */
	track(0, 0, 150, false, true);
	pass(NS_PER_SEC);
	ck_assert_int_eq(is(0), ROLE_MASTER);
}
END_TEST

START_TEST(a_fault_from_the_start)
{
	world(150, 150, 100, 100);
	if (_i == 0)
		track(0, 0, 150, true, false);
	struct ike_ev up = { .kind = IKE_EV_BACKEND_UP };
	give(0, (struct node_ev){ .type = NODE_EV_IKE, .tunnel = 0, .ike = &up });
	set_link(0, 0, true);
	set_link(0, 1, _i == 0);
	give(0, (struct node_ev){ .type = NODE_EV_START });
	ck_assert_int_eq(is(0), ROLE_FAULT);
	ck_assert_uint_eq(box[0].hooks, 1);
	ck_assert_int_eq(last(0)->reason, _i == 0 ? ROLE_R_TRACKED : ROLE_R_LINK);
	if (_i == 0)
		track(0, 0, 150, false, false);
	else
		set_link(0, 1, true);
	pass(2 * NS_PER_SEC);
	ck_assert_int_eq(is(0), ROLE_MASTER);
}
END_TEST

START_TEST(stopping_while_it_waits)
{
	world(150, 150, 100, 100);
	track(0, 1, 150, false, true);
	power_on(0, false);
	give(0, (struct node_ev){ .type = NODE_EV_STOP });
	pass(NS_PER_SEC);
	ck_assert(box[0].stopped);
	track(0, 1, 150, false, false);
	ck_assert_int_eq(is(0), ROLE_INIT);
}
END_TEST

START_TEST(nonsense_is_counted)
{
	uint64_t stale = box[0].node.stale;
	track(0, 77, 150, true, true);
	track(0, 0, 0, true, true);
	ck_assert_uint_eq(box[0].node.stale, stale + 2);
	ck_assert(!box[0].node.member[0].tracked && !box[0].node.member[0].waits);
}
END_TEST

/* However often it fails and comes back in between, the last word counts. */
START_TEST(flapping)
{
	for (unsigned i = 0; i < 40; i++) {
		track(0, (uint16_t)(i % INSTS), 150, i & 2, false);
		pass((int64_t)(i % 7) * 23 * NS_PER_MS);
	}
	for (uint16_t i = 0; i < INSTS; i++)
		track(0, i, 150, false, false);
	pass(3 * NS_PER_SEC);
	master_is(0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, a_lower_priority_is_outbid_and_bids_again);
	tcase_add_test(tc, a_higher_priority_of_the_backup_takes);
	tcase_add_test(tc, the_partner_of_a_switch_stays);
	tcase_add_test(tc, an_operators_word_stands);
	tcase_add_test(tc, one_member_alone_moves_nothing);
	tcase_add_test(tc, what_was_concluded_is_forgotten);
	tcase_add_loop_test(tc, a_fault_leaves_in_order, 0, INSTS);
	tcase_add_test(tc, alone_it_is_a_fault_too);
	tcase_add_test(tc, degraded_it_serves_on);
	tcase_add_loop_test(tc, first_results, 0, 2);
	tcase_add_loop_test(tc, a_fault_from_the_start, 0, 2);
	tcase_add_test(tc, stopping_while_it_waits);
	tcase_add_test(tc, nonsense_is_counted);
	tcase_add_test(tc, flapping);
	return pair_run("node_track", tc);
}
