/*
 * Two nodes in one virtual time: every row of the group table, and input that must change nothing.
 */
#include "tests/unit/node_pair.h"

START_TEST(all_expired)
{
	box[0].alive = false;
	if (_i)
		set_channel(false);
	pass(DOWN_NS);
	master_is(1);
	ck_assert_int_eq(last(1)->kind, ROLE_K_CRASH);
	ck_assert_int_eq(last(1)->reason, ROLE_R_NO_RESPONSE);
}
END_TEST

START_TEST(one_member_deaf)
{
	if (_i)
		set_channel(false);
	segment[1] = false;
	pass(2 * NS_PER_SEC);
	master_is(0);
	ck_assert_uint_eq(box[1].told[NODE_TOLD_DEAF], 1);
	segment[0] = false; /* now all of them */
	pass(DOWN_NS);
	ck_assert_int_eq(is(1), ROLE_MASTER);
}
END_TEST

START_TEST(one_member_deaf_and_the_peer_is_no_master)
{
	segment[1] = false;
	pass(NS_PER_SEC);
	struct peer_msg m = { .type = PEER_HEARTBEAT, .n_groups = 1, .you_have_all = true };
	m.groups[0].role = PEER_ROLE_BACKUP;
	box[0].alive = false;
	give(1, (struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = 1, .msg = &m });
	pass(10 * NS_PER_MS);
	ck_assert_int_eq(is(1), ROLE_MASTER);
	ck_assert_int_eq(last(1)->reason, ROLE_R_PEER_NOT_MASTER);
}
END_TEST

static void zero_from_a(uint16_t inst)
{
	struct vrrp_ev adv = { .type = VRRP_EV_ADVERT };
	adv.u.advert.adv_ns = ADV_NS;
	adv.u.advert.src = box[0].inst[inst].src;
	give(1, (struct node_ev){ .type = NODE_EV_ADVERT, .inst = inst, .advert = &adv });
}

START_TEST(priority_zero_and_leaving)
{
	struct peer_msg m = { .type = PEER_LEAVING };
	box[0].alive = false;
	zero_from_a(0);
	give(1, (struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = 1, .msg = &m });
	pass(NS_PER_MS);
	ck_assert_int_eq(is(1), ROLE_MASTER);
	ck_assert_int_eq(last(1)->reason, ROLE_R_PEER_LEAVING);
}
END_TEST

/* The word was not heard, but what the peer says of itself shows that it has left. */
START_TEST(leaving_was_not_heard)
{
	struct peer_msg m = { .type = PEER_HEARTBEAT, .n_groups = 1, .groups[0].role = PEER_ROLE_FAULT };
	box[0].alive = false;
	pass(NS_PER_MS);
	give(1, (struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = 1, .msg = &m });
	pass(NS_PER_MS);
	ck_assert_int_eq(is(1), ROLE_MASTER);
	ck_assert_int_eq(last(1)->reason, ROLE_R_PEER_LEAVING);
}
END_TEST

/* A peer that was in FAULT all the time has no role to give. */
START_TEST(fault_after_fault_is_no_leaving)
{
	struct peer_msg m = { .type = PEER_HEARTBEAT, .n_groups = 1, .groups[0].role = PEER_ROLE_FAULT };
	struct node_peer *p = &box[1].node.peer[0];
	p->groups[0].role = PEER_ROLE_FAULT;
	give(1, (struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = 1, .msg = &m });
	ck_assert_int_eq(is(1), ROLE_BACKUP);
	p->groups[0].role = PEER_ROLE_MASTER; /* said long ago: another one may have followed */
	p->groups[0].at = mono_add(now, -3 * NS_PER_SEC);
	give(1, (struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = 1, .msg = &m });
	ck_assert_int_eq(is(1), ROLE_BACKUP);
}
END_TEST

/* The same word, but it lay in the socket while we slept: somebody else may have followed long ago. */
START_TEST(leaving_said_while_we_slept)
{
	struct peer_msg m = { .type = PEER_LEAVING };
	now = mono_add(now, 2 * NS_PER_SEC);
	give(1, (struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = 1, .msg = &m });
	ck_assert_int_eq(is(1), ROLE_BACKUP);
	ck_assert(!box[1].node.woke);
	pass(NS_PER_SEC);
	master_is(0);
}
END_TEST

START_TEST(priority_zero_on_one_member_only)
{
	/* The other router is no keeptrackd: it moves one instance and keeps the other. */
	set_channel(false);
	segment[0] = false;
	zero_from_a(0);
	pass(DOWN_NS);
	ck_assert_int_eq(is(1), ROLE_BACKUP);
	ck_assert_uint_eq(box[1].told[NODE_TOLD_NOT_GROUPED], 1);
	unsigned sent = box[1].sent[0];
	for (int i = 0; i < 10; i++) { /* no further attempt for a minute */
		zero_from_a(0);
		pass(5 * NS_PER_SEC);
	}
	ck_assert_uint_eq(box[1].sent[0], sent);
	master_is(0);
}
END_TEST

START_TEST(only_the_channel_is_lost)
{
	set_channel(false);
	pass(5 * NS_PER_SEC);
	master_is(0);
	ck_assert(!node_group_ready(&box[1].node, 0, now));
	ck_assert(!box[0].guardian);
	set_channel(true);
	pass(NS_PER_SEC);
	ck_assert(node_group_ready(&box[1].node, 0, now));
	ck_assert(box[0].guardian);
}
END_TEST

START_TEST(own_link_down_with_a_ready_peer)
{
	set_link(0, (uint16_t)_i, false);
	pass(NS_PER_MS);
	master_is(1);
	ck_assert_int_eq(is(0), ROLE_FAULT);
	ck_assert_uint_eq(seen_msgs[PEER_LEAVING], 1);
	ck_assert_uint_eq(box[0].zero[1 - _i], 1);
	set_link(0, (uint16_t)_i, true);
	pass(2 * NS_PER_SEC);
	master_is(0);
	ck_assert_int_eq(last(0)->kind, ROLE_K_PLANNED);
}
END_TEST

START_TEST(own_link_down_alone)
{
	set_channel(false);
	set_link(0, 0, false);
	pass(NS_PER_MS);
	ck_assert_int_eq(is(0), ROLE_FAULT);
	ck_assert_uint_eq(box[0].zero[1], 1);
	pass(DOWN_NS);
	master_is(1);
}
END_TEST

START_TEST(degrade_serves_on_the_rest)
{
	box[1].alive = false;
	set_channel(false);
	box[0].node.group[0].fault_degrade = true;
	pass(NS_PER_SEC);
	set_link(0, 0, false);
	pass(NS_PER_SEC);
	ck_assert_int_eq(is(0), ROLE_MASTER);
	ck_assert_int_eq(box[0].inst[1].state, VRRP_MASTER);
	set_link(0, 0, true); /* the member must speak again, on the beat of the others */
	ck_assert_int_eq(box[0].inst[0].state, VRRP_MASTER);
	pass(NS_PER_SEC);
	ck_assert_int_eq(box[0].inst[0].advert_at.ns, box[0].inst[1].advert_at.ns);
	ck_assert_int_eq(is(0), ROLE_MASTER);
}
END_TEST

START_TEST(degrade_gives_way_to_a_ready_peer)
{
	box[0].node.group[0].fault_degrade = true;
	set_link(0, 0, false);
	pass(10 * NS_PER_MS);
	ck_assert_int_eq(is(0), ROLE_FAULT);
	master_is(1);
}
END_TEST

START_TEST(higher_master_on_one_member)
{
	struct vrrp_ev adv = { .type = VRRP_EV_ADVERT };
	adv.u.advert = (__typeof__(adv.u.advert)){ .priority = 200, .adv_ns = ADV_NS, .src = box[1].inst[1].src };
	give(0, (struct node_ev){ .type = NODE_EV_ADVERT, .inst = 1, .advert = &adv });
	pass(NS_PER_MS);
	ck_assert_int_eq(is(0), ROLE_BACKUP);
	ck_assert_int_eq(last(0)->kind, ROLE_K_FORCED);
}
END_TEST

START_TEST(crossed_priorities)
{
	world(150, 100, 100, 150);
	power_on(0, false);
	power_on(1, false);
	if (_i) {
		set_channel(true);
		replicated(true);
	}
	pass(10 * NS_PER_SEC);
	master_is(0); /* the first member decides */
	unsigned hooks = box[0].hooks + box[1].hooks;
	pass(20 * NS_PER_SEC);
	master_is(0);
	ck_assert_uint_eq(box[0].hooks + box[1].hooks, hooks);
}
END_TEST

START_TEST(lower_master_on_every_member)
{
	give(0, (struct node_ev){ .type = NODE_EV_FORCE, .group = 0 });
	pass(NS_PER_SEC);
	master_is(1);
	pass(5 * NS_PER_SEC); /* given away by hand: priority alone does not take it back */
	master_is(1);
	replicated(false);
	pass(NS_PER_SEC);
	box[0].node.group[0].given_away = false;
	pass(2 * NS_PER_SEC);
	master_is(1); /* the gate is closed */
	ck_assert_uint_eq(box[0].told[NODE_TOLD_GATE_CLOSED], 1);
	replicated(true);
	pass(NS_PER_SEC);
	master_is(0);
	ck_assert_int_eq(last(0)->kind, ROLE_K_PLANNED);
	ck_assert_int_eq(last(0)->reason, ROLE_R_PREEMPTED);
	ck_assert_int_eq(last(0)->outcome, ROLE_RES_OK);
}
END_TEST

/* Whoever survives a split brain tells the neighbours again: what the other one announced may have come last. */
START_TEST(survivor_announces_again)
{
	bool silent = _i & 1, cut_channel = _i & 2;
	segment[0] = segment[1] = false;
	set_channel(false);
	pass(DOWN_NS);
	ck_assert_int_eq(is(0), ROLE_MASTER);
	ck_assert_int_eq(is(1), ROLE_MASTER);
	memset(box[0].announced, 0, sizeof(box[0].announced));
	if (silent) { /* the lower one hears first and yields: only the channel can tell */
		for (uint16_t i = 0; i < INSTS; i++) {
			struct vrrp_ev adv = { .type = VRRP_EV_ADVERT };
			adv.u.advert =
			    (__typeof__(adv.u.advert)){ .priority = 150, .adv_ns = ADV_NS, .src = box[0].inst[i].src };
			give(1, (struct node_ev){ .type = NODE_EV_ADVERT, .inst = i, .advert = &adv });
		}
		run_queue();
		ck_assert_int_ne(is(1), ROLE_MASTER);
	} else {
		struct vrrp_ev adv = { .type = VRRP_EV_ADVERT };
		adv.u.advert =
		    (__typeof__(adv.u.advert)){ .priority = 100, .adv_ns = ADV_NS, .src = box[1].inst[0].src };
		give(0, (struct node_ev){ .type = NODE_EV_ADVERT, .inst = 0, .advert = &adv });
		ck_assert_uint_eq(box[0].announced[0], 1);
		ck_assert_uint_eq(box[0].announced[1], 0);
	}
	segment[0] = segment[1] = true;
	if (!cut_channel) {
		set_channel(true);
		pass(NS_PER_SEC);
		for (unsigned i = 0; i < INSTS; i++)
			ck_assert_uint_ge(box[0].announced[i], 1);
	}
	replicated(true);
	pass(NS_PER_SEC);
	master_is(0);
	/* An orderly switch is no split brain. */
	set_channel(true);
	replicated(true);
	pass(NS_PER_SEC);
	memset(box[0].announced, 0, sizeof(box[0].announced));
	memset(box[1].announced, 0, sizeof(box[1].announced));
	give(0, (struct node_ev){ .type = NODE_EV_FORCE, .group = 0 });
	pass(2 * NS_PER_SEC);
	master_is(1);
	for (unsigned i = 0; i < INSTS; i++)
		ck_assert_uint_eq(box[0].announced[i] + box[1].announced[i], 0);
}
END_TEST

/* ---- process death ---- */

START_TEST(process_death_needs_all_three_signs)
{
	/* lost, refused, silent: bit by bit */
	box[1].refused_probe = _i & 1;
	bool speaks = _i & 2;
	box[0].alive = speaks;
	channel = false;
	give(1, (struct node_ev){ .type = NODE_EV_PEER_DOWN, .peer = 1, .lost = _i & 4 });
	if (speaks)
		give(0, (struct node_ev){ .type = NODE_EV_PEER_DOWN, .peer = 2, .lost = true });
	pass(speaks ? 5 * NS_PER_SEC : 5 * NS_PER_MS);
	bool proven = (_i & 1) && (_i & 4) && !speaks;
	if (proven) {
		master_is(1);
		ck_assert_int_eq(last(1)->reason, ROLE_R_PROCESS_DEATH);
	} else if (speaks && (_i & 1) && (_i & 4)) {
		/* The proof was wrong: adverts bring the order back. */
		ck_assert_int_eq((is(0) == ROLE_MASTER) + (is(1) == ROLE_MASTER), 1);
	} else {
		ck_assert_int_eq(is(1), ROLE_BACKUP);
	}
}
END_TEST

START_TEST(a_dead_peer_with_another_configuration_proves_nothing)
{
	box[1].peer[0].same_config = false;
	box[1].refused_probe = true;
	box[0].alive = false;
	channel = false;
	give(1, (struct node_ev){ .type = NODE_EV_PEER_DOWN, .peer = 1, .lost = true });
	pass(5 * NS_PER_MS);
	ck_assert_int_eq(is(1), ROLE_BACKUP);
	pass(DOWN_NS);
	master_is(1);
}
END_TEST

/* ---- members that a reload moved ---- */

START_TEST(a_member_follows_its_group)
{
	struct vrrp_acts out;
	struct box *b = &box[_i];
	/* as if it had come from a group of the other role */
	struct vrrp_ev ev = { .type = _i ? VRRP_EV_TAKE : VRRP_EV_YIELD };
	vrrp_step(&b->inst[1], &ev, now, &out);
	ck_assert_int_eq(b->inst[1].state, _i ? VRRP_MASTER : VRRP_BACKUP);
	give((unsigned)_i, (struct node_ev){ .type = NODE_EV_JOIN, .group = 0 });
	ck_assert_int_eq(b->inst[1].state, _i ? VRRP_BACKUP : VRRP_MASTER);
	pass(NS_PER_SEC);
	master_is(0);
}
END_TEST

/* ---- input that must change nothing ---- */

static void no_change(struct node_ev ev)
{
	struct role before = box[0].node.group[0].role;
	uint64_t stale = box[0].node.stale;
	unsigned downs = box[0].net_downs;
	give(0, ev);
	ck_assert_int_eq(box[0].node.group[0].role.state, before.state);
	ck_assert_int_eq(is(0), before.is);
	ck_assert_uint_eq(box[0].net_downs, downs);
	ck_assert_uint_eq(box[0].node.stale, stale + 1);
}

START_TEST(unknown_numbers)
{
	struct vrrp_ev adv = { .type = VRRP_EV_ADVERT };
	adv.u.advert = (__typeof__(adv.u.advert)){ .priority = 255, .adv_ns = ADV_NS };
	struct peer_msg m = { .type = PEER_PREPARED, .group = 9, .epoch = { 99, 2 } };
	struct ike_ev ike = { .kind = IKE_EV_TICK };
	no_change((struct node_ev){ .type = NODE_EV_ADVERT, .inst = INSTS, .advert = &adv });
	no_change((struct node_ev){ .type = NODE_EV_ADVERT, .inst = 0 });
	no_change((struct node_ev){ .type = NODE_EV_LINK, .inst = INSTS, .up = false });
	no_change((struct node_ev){ .type = NODE_EV_NET, .group = 1, .net = ROLE_NET_PARTIAL });
	no_change((struct node_ev){ .type = NODE_EV_GARP, .group = 1 });
	no_change((struct node_ev){ .type = NODE_EV_JOIN, .group = 1 });
	no_change((struct node_ev){ .type = NODE_EV_IKE, .tunnel = 1, .ike = &ike });
	no_change((struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = 7, .msg = &m });
	no_change((struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = 2, .msg = &m });
	no_change((struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = 2 });
	no_change((struct node_ev){ .type = NODE_EV_PEER_UP, .peer = 7 });
	no_change((struct node_ev){ .type = NODE_EV_PEER_DOWN, .peer = 7 });
	no_change((struct node_ev){ .type = NODE_EV_PROBE, .peer = 2, .refused = true });
	give(0, (struct node_ev){ .type = NODE_EV_FORCE, .group = 5 });
	master_is(0);
}
END_TEST

START_TEST(another_vrrp_section_has_no_say)
{
	struct peer_msg m = { .type = PEER_HELLO };
	m.hello.node = 2;
	m.hello.config_digest[0] = 1; /* the vrrp section, [1], is another one */
	give(0, (struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = 2, .msg = &m });
	ck_assert_uint_eq(box[0].told[NODE_TOLD_CONFIG_DIFFERS], 1);
	static const enum peer_msg_type type[] = { PEER_TAKE, PEER_PREPARED, PEER_GO, PEER_UP, PEER_LEAVING };
	for (unsigned i = 0; i < sizeof(type) / sizeof(type[0]); i++) {
		m = (struct peer_msg){ .type = type[i], .epoch = epoch_next(box[0].node.seen, 2) };
		no_change((struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = 2, .msg = &m });
	}
	ck_assert(!node_group_peer_ready(&box[0].node, 0, now));
}
END_TEST

START_TEST(absurd_epochs_have_no_say)
{
	struct epoch before = box[0].node.seen;
	static const enum peer_msg_type type[] = { PEER_HEARTBEAT, PEER_TAKE, PEER_PREPARED };
	for (unsigned i = 0; i < sizeof(type) / sizeof(type[0]); i++) {
		struct peer_msg m = { .type = type[i], .epoch = { UINT64_MAX, 2 } };
		no_change((struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = 2, .msg = &m });
	}
	struct peer_msg m = { .type = PEER_HEARTBEAT, .n_groups = 1, .groups[0].epoch = { UINT64_MAX, 2 } };
	no_change((struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = 2, .msg = &m });
	ck_assert_int_eq(epoch_cmp(box[0].node.seen, before), 0);
}
END_TEST

START_TEST(old_epochs_have_no_say)
{
	struct epoch old = box[0].node.group[0].role.epoch;
	static const enum peer_msg_type type[] = { PEER_PREPARED, PEER_GO, PEER_UP };
	for (unsigned i = 0; i < sizeof(type) / sizeof(type[0]); i++) {
		struct peer_msg m = { .type = type[i], .epoch = old };
		give(0, (struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = 2, .msg = &m });
		ck_assert_int_eq(box[0].node.group[0].role.state, ROLE_STABLE);
	}
	struct sync_report rep = { .type = SYNC_REP_FENCED, .epoch = { 1, 9 } };
	give(0, (struct node_ev){ .type = NODE_EV_SYNC, .report = &rep });
	pass(NS_PER_SEC);
	master_is(0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("two nodes");
	tcase_add_loop_test(tc, all_expired, 0, 2);
	tcase_add_loop_test(tc, one_member_deaf, 0, 2);
	tcase_add_test(tc, one_member_deaf_and_the_peer_is_no_master);
	tcase_add_test(tc, priority_zero_and_leaving);
	tcase_add_test(tc, leaving_was_not_heard);
	tcase_add_test(tc, fault_after_fault_is_no_leaving);
	tcase_add_test(tc, leaving_said_while_we_slept);
	tcase_add_test(tc, priority_zero_on_one_member_only);
	tcase_add_test(tc, only_the_channel_is_lost);
	tcase_add_loop_test(tc, own_link_down_with_a_ready_peer, 0, INSTS);
	tcase_add_test(tc, own_link_down_alone);
	tcase_add_test(tc, degrade_serves_on_the_rest);
	tcase_add_test(tc, degrade_gives_way_to_a_ready_peer);
	tcase_add_test(tc, higher_master_on_one_member);
	tcase_add_loop_test(tc, crossed_priorities, 0, 2);
	tcase_add_test(tc, lower_master_on_every_member);
	tcase_add_loop_test(tc, survivor_announces_again, 0, 4);
	tcase_add_loop_test(tc, process_death_needs_all_three_signs, 0, 8);
	tcase_add_test(tc, a_dead_peer_with_another_configuration_proves_nothing);
	tcase_add_loop_test(tc, a_member_follows_its_group, 0, 2);
	tcase_add_test(tc, unknown_numbers);
	tcase_add_test(tc, another_vrrp_section_has_no_say);
	tcase_add_test(tc, absurd_epochs_have_no_say);
	tcase_add_test(tc, old_epochs_have_no_say);
	return pair_run("node", tc);
}
