/*
 * Two nodes change places: by force, for a stop or for maintenance, with messages lost at the worst moment.
 */
#include "tests/unit/node_pair.h"

/* ---- planned switches, and what may go wrong in them ---- */

START_TEST(force_both_ways)
{
	force_from_a();
	master_is(1);
	pass(NS_PER_SEC);
	ck_assert_int_eq(epoch_cmp(last(0)->epoch, last(1)->epoch), 0);
	give(0, (struct node_ev){ .type = NODE_EV_FORCE, .group = NODE_ALL_GROUPS }); /* a backup takes */
	master_is(0);
	ck_assert_int_eq(last(0)->kind, ROLE_K_PLANNED);
}
END_TEST

static void has_copies(unsigned who, bool on)
{
	give(who, (struct node_ev){ .type = NODE_EV_SA_COPIES, .on = on });
}

/* Copies of SAs follow the role: in before the address, out with it; and a hung import does not hold it up. */
START_TEST(sa_copies_come_and_go)
{
	has_copies(1, true);
	force_from_a();
	master_is(1);
	ck_assert(box[1].imports == 1 && box[1].removals == 0 && box[0].imports == 0);
	ck_assert_int_eq(last(1)->result[ROLE_PH_IMPORT], ROLE_RES_OK);
	pass(NS_PER_SEC);
	has_copies(1, false);
	has_copies(0, true);
	box[0].import_hangs = true;
	give(0, (struct node_ev){ .type = NODE_EV_FORCE, .group = NODE_ALL_GROUPS });
	pass(50 * NS_PER_MS);
	master_is(0);
	ck_assert(box[0].imports == 1 && box[1].removals == 1 && box[0].removals == 0);
	ck_assert_int_eq(last(0)->result[ROLE_PH_IMPORT], ROLE_RES_TIMEOUT);
	give(0, (struct node_ev){ .type = NODE_EV_SA_COPIES, .group = 77, .on = true });
	ck_assert_uint_eq(box[0].node.stale, 1);
}
END_TEST

START_TEST(one_message_lost)
{
	static const enum peer_msg_type type[] = { PEER_TAKE, PEER_PREPARED, PEER_GO, PEER_UP };
	lost_msgs = 1u << type[_i];
	unsigned hooks = box[0].hooks;
	force_from_a();
	pass(NS_PER_SEC);
	lost_msgs = 0;
	pass(5 * NS_PER_SEC);
	if (type[_i] == PEER_UP) {
		master_is(1); /* its adverts say what UP would have said */
	} else {
		master_is(0);
		ck_assert_uint_eq(box[0].hooks, hooks); /* it never was anything else */
	}
}
END_TEST

START_TEST(up_and_adverts_lost)
{
	lost_msgs = 1u << PEER_UP;
	segment[0] = segment[1] = false;
	force_from_a();
	pass(300 * NS_PER_MS);
	ck_assert_int_eq(is(0), ROLE_MASTER); /* takes it back: for all it can know nobody serves */
	ck_assert_int_eq(last(0)->reason, ROLE_R_PEER_ABORTED);
	lost_msgs = 0;
	segment[0] = segment[1] = true;
	pass(2 * NS_PER_SEC);
	master_is(0);
}
END_TEST

/* The operator is impatient while SYNC is slow: whoever ends as MASTER speaks on every segment. */
START_TEST(force_while_the_role_is_taken_back)
{
	const struct role *r = &box[0].node.group[0].role;
	lost_msgs = 1u << PEER_UP;
	segment[0] = segment[1] = false;
	force_from_a();
	box[0].sync_hangs = true;
	for (int i = 0; i < 400 && !(r->state == ROLE_PREPARING && r->target == ROLE_MASTER); i++)
		pass(NS_PER_MS);
	ck_assert_int_eq(r->state, ROLE_PREPARING);
	ck_assert_int_eq(r->is, ROLE_MASTER);
	if (_i)
		give(0, (struct node_ev){ .type = NODE_EV_STOP });
	else
		force_from_a();
	ck_assert_int_eq(r->target, ROLE_MASTER); /* first it is taken back */
	lost_msgs = 0;
	segment[0] = segment[1] = true;
	box[0].sync_hangs = false;
	pass(2 * NS_PER_SEC);
	ck_assert(_i ? box[0].stopped : is(0) != is(1));
	for (unsigned who = 0; who < 2; who++)
		for (unsigned m = 0; m < INSTS; m++)
			ck_assert_int_eq(box[who].inst[m].state == VRRP_MASTER, is(who) == ROLE_MASTER);
}
END_TEST

START_TEST(either_side_dies_in_the_middle)
{
	static const struct {
		enum peer_msg_type on;
		int who;
	} at[] = { { PEER_TAKE, 0 }, { PEER_PREPARED, 1 }, { PEER_GO, 0 }, { PEER_UP, 1 } };
	death.on = at[_i].on;
	death.who = at[_i].who;
	force_from_a();
	ck_assert(!box[at[_i].who].alive);
	pass(NS_PER_SEC);
	master_is(1u - (unsigned)at[_i].who);
}
END_TEST

START_TEST(prepared_crosses_take)
{
	/* fw-b is the master of lower priority; its operator gives while fw-a preempts. */
	force_from_a();
	pass(NS_PER_SEC);
	box[0].node.group[0].given_away = false;
	struct node_ev give_it = { .type = NODE_EV_FORCE, .group = 0 }, tick = { .type = NODE_EV_TICK };
	feed(1, &give_it); /* TAKE is on its way .. */
	feed(0, &tick);
	node_step(&box[0].node, &give_it, now, &box[0].acts); /* .. while PREPARED comes the other way */
	for (unsigned i = 0; i < box[0].acts.n; i++)
		act(0, &box[0].acts.a[i]);
	run_queue();
	pass(NS_PER_SEC);
	master_is(0);
}
END_TEST

START_TEST(link_fails_while_up_is_awaited)
{
	lost_msgs = 1u << PEER_UP | 1u << PEER_GO;
	force_from_a();
	ck_assert_int_eq(box[0].node.group[0].role.state, ROLE_DEMOTING);
	set_link(0, 0, false);
	lost_msgs = 0;
	pass(300 * NS_PER_MS);
	ck_assert_int_eq(is(0), ROLE_FAULT);
	pass(NS_PER_SEC);
	master_is(1);
}
END_TEST

START_TEST(stop_while_up_is_awaited)
{
	lost_msgs = 1u << PEER_UP | 1u << PEER_GO;
	force_from_a();
	give(0, (struct node_ev){ .type = NODE_EV_STOP });
	lost_msgs = 0;
	pass(NS_PER_SEC);
	ck_assert(box[0].stopped);
	box[0].alive = false;
	pass(NS_PER_SEC);
	master_is(1);
}
END_TEST

START_TEST(master_heard_while_preparing)
{
	box[1].sync_hangs = true; /* the fence takes its whole time */
	segment[0] = segment[1] = false;
	while (box[1].node.group[0].role.state == ROLE_STABLE)
		pass(NS_PER_MS);
	ck_assert_int_eq(box[1].node.group[0].role.state, ROLE_PREPARING);
	segment[0] = segment[1] = true;
	box[1].sync_hangs = false;
	struct vrrp_ev adv = { .type = VRRP_EV_ADVERT };
	adv.u.advert = (__typeof__(adv.u.advert)){ .priority = 150, .adv_ns = ADV_NS, .src = box[0].inst[0].src };
	give(1, (struct node_ev){ .type = NODE_EV_ADVERT, .inst = 0, .advert = &adv });
	ck_assert_int_eq(box[1].node.group[0].role.state, ROLE_STABLE);
	ck_assert_uint_eq(box[1].sent[0], 0);
	pass(NS_PER_SEC);
	master_is(0);
}
END_TEST

/* ---- stop, maintenance, stall, hang ---- */

START_TEST(stop_with_a_peer)
{
	give(0, (struct node_ev){ .type = NODE_EV_STOP });
	ck_assert(box[0].stopped);
	ck_assert_int_eq(is(1), ROLE_MASTER);
	ck_assert_int_eq(last(1)->kind, ROLE_K_PLANNED);
	ck_assert_int_eq(box[0].net, NODE_NET_DOWN);
}
END_TEST

START_TEST(both_stop_at_once)
{
	struct node_ev stop = { .type = NODE_EV_STOP };
	feed((unsigned)_i, &stop);
	feed(1u - (unsigned)_i, &stop);
	run_queue();
	pass(900 * NS_PER_MS);
	ck_assert(box[0].stopped && box[1].stopped);
	ck_assert(box[0].net == NODE_NET_DOWN && box[1].net == NODE_NET_DOWN);
}
END_TEST

START_TEST(stop_in_fault)
{
	set_link(0, 0, false);
	give(0, (struct node_ev){ .type = NODE_EV_STOP });
	pass(NS_PER_MS);
	ck_assert(box[0].stopped);
	ck_assert_int_eq(is(0), ROLE_INIT);
}
END_TEST

START_TEST(maintenance_stays_out)
{
	give(0, (struct node_ev){ .type = NODE_EV_MAINTENANCE, .on = true });
	pass(NS_PER_SEC);
	master_is(1);
	box[1].alive = false;
	set_channel(false);
	pass(5 * NS_PER_SEC);
	ck_assert_int_eq(is(0), ROLE_BACKUP);
	give(0, (struct node_ev){ .type = NODE_EV_MAINTENANCE, .on = false });
	pass(NS_PER_MS);
	master_is(0);
}
END_TEST

START_TEST(maintenance_without_a_peer_goes_on)
{
	box[1].alive = false;
	set_channel(false);
	pass(NS_PER_SEC);
	give(0, (struct node_ev){ .type = NODE_EV_MAINTENANCE, .on = true });
	pass(NS_PER_SEC);
	ck_assert_int_eq(is(0), ROLE_BACKUP);
	ck_assert_int_eq(box[0].net, NODE_NET_DOWN);
}
END_TEST

START_TEST(maintenance_while_committing)
{
	box[1].net_result = ROLE_NET_PENDING; /* the kernel takes its time */
	box[0].alive = false;
	pass(DOWN_NS);
	ck_assert_int_eq(box[1].node.group[0].role.state, ROLE_COMMITTING);
	give(1, (struct node_ev){ .type = NODE_EV_MAINTENANCE, .on = true });
	pass(3 * NS_PER_SEC);
	ck_assert_int_eq(is(1), ROLE_BACKUP);
	ck_assert_int_eq(box[1].net, NODE_NET_DOWN);
}
END_TEST

/* ---- a planned stop whose other side falls silent ---- */

START_TEST(a_stop_without_up_says_goodbye)
{
	lost_msgs = 1u << PEER_UP;
	if (_i == 0) /* nothing is heard of the new master at all */
		segment[0] = segment[1] = false;
	unsigned zero = box[0].zero[0] + box[0].zero[1], leaving = seen_msgs[PEER_LEAVING];
	give(0, (struct node_ev){ .type = NODE_EV_STOP });
	pass(NS_PER_SEC);
	ck_assert(box[0].stopped);
	ck_assert_int_eq(is(0), ROLE_INIT);
	ck_assert_int_eq(is(1), ROLE_MASTER);
	/* Silence is answered with a good-bye; a new master that is heard needs none. */
	ck_assert_uint_eq(box[0].zero[0] + box[0].zero[1] - zero, _i ? 0 : 2);
	ck_assert_uint_eq(seen_msgs[PEER_LEAVING] - leaving, _i ? 0 : 1);
}
END_TEST

/* The new master dies after GO: whoever is left has to hear of it from the one that stops. */
START_TEST(the_successor_dies_and_the_stop_says_goodbye)
{
	death.on = PEER_UP;
	death.who = 1;
	segment[0] = segment[1] = false;
	lost_msgs = 1u << PEER_UP;
	give(0, (struct node_ev){ .type = NODE_EV_STOP });
	pass(NS_PER_SEC);
	ck_assert_uint_eq(box[0].zero[0], 1);
	ck_assert_uint_eq(box[0].zero[1], 1);
	ck_assert_uint_eq(seen_msgs[PEER_LEAVING], 1);
}
END_TEST

/* ---- a promotion on a link that is gone ---- */

START_TEST(commit_ends_when_the_link_goes)
{
	box[1].net_result = ROLE_NET_PENDING; /* the kernel takes its time */
	box[0].alive = false;
	pass(DOWN_NS);
	ck_assert_int_eq(box[1].node.group[0].role.state, ROLE_COMMITTING);
	unsigned zero = box[1].zero[1];
	set_link(1, 0, false);
	ck_assert_int_eq(is(1), ROLE_FAULT);
	ck_assert_int_eq(box[1].node.group[0].role.state, ROLE_STABLE);
	ck_assert_int_eq(box[1].net, NODE_NET_DOWN);
	ck_assert_uint_eq(box[1].zero[1], zero + 1);
	ck_assert_uint_eq(seen_msgs[PEER_LEAVING], 1);
	ck_assert_int_eq(box[1].node.group[0].role.failed, 0);
	ck_assert(mono_is_never(box[1].node.group[0].role.hold_until));
	set_link(1, 0, true);
	box[1].net_result = ROLE_NET_EQUAL;
	pass(DOWN_NS);
	ck_assert_int_eq(is(1), ROLE_MASTER);
}
END_TEST

/* The old master, asked in an orderly way, keeps what the new one cannot take. */
START_TEST(planned_commit_ends_when_the_link_goes)
{
	box[1].net_result = ROLE_NET_PENDING;
	give(0, (struct node_ev){ .type = NODE_EV_FORCE, .group = NODE_ALL_GROUPS });
	pass(NS_PER_MS);
	ck_assert_int_eq(box[1].node.group[0].role.state, ROLE_COMMITTING);
	set_link(1, 0, false);
	ck_assert_int_eq(is(1), ROLE_FAULT);
	ck_assert_uint_eq(seen_msgs[PEER_UP], 0);
	pass(NS_PER_SEC);
	ck_assert_int_eq(is(0), ROLE_MASTER);
	ck_assert_int_eq(box[0].net, NODE_NET_UP);
}
END_TEST

START_TEST(force_where_it_makes_no_sense)
{
	set_link(1, 0, false);
	pass(NS_PER_SEC);
	ck_assert_int_eq(is(1), ROLE_FAULT);
	give(1, (struct node_ev){ .type = NODE_EV_FORCE, .group = 0 });
	pass(NS_PER_SEC);
	ck_assert_int_eq(is(1), ROLE_FAULT);
	master_is(0);
	force_from_a(); /* and nobody is ready to take it */
	pass(NS_PER_SEC);
	master_is(0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("two nodes");
	tcase_add_test(tc, force_both_ways);
	tcase_add_test(tc, sa_copies_come_and_go);
	tcase_add_loop_test(tc, one_message_lost, 0, 4);
	tcase_add_test(tc, up_and_adverts_lost);
	tcase_add_loop_test(tc, force_while_the_role_is_taken_back, 0, 2);
	tcase_add_loop_test(tc, either_side_dies_in_the_middle, 0, 4);
	tcase_add_test(tc, prepared_crosses_take);
	tcase_add_test(tc, link_fails_while_up_is_awaited);
	tcase_add_test(tc, stop_while_up_is_awaited);
	tcase_add_test(tc, master_heard_while_preparing);
	tcase_add_test(tc, stop_with_a_peer);
	tcase_add_loop_test(tc, both_stop_at_once, 0, 2);
	tcase_add_test(tc, stop_in_fault);
	tcase_add_test(tc, maintenance_stays_out);
	tcase_add_test(tc, maintenance_without_a_peer_goes_on);
	tcase_add_test(tc, maintenance_while_committing);
	tcase_add_loop_test(tc, a_stop_without_up_says_goodbye, 0, 2);
	tcase_add_test(tc, the_successor_dies_and_the_stop_says_goodbye);
	tcase_add_test(tc, commit_ends_when_the_link_goes);
	tcase_add_test(tc, planned_commit_ends_when_the_link_goes);
	tcase_add_test(tc, force_where_it_makes_no_sense);
	return pair_run("node_switch", tc);
}
