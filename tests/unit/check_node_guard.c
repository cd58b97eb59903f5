/*
 * Two nodes when something is wrong with one: it slept, SYNC hangs, it finds leftovers, an address goes, or both are
 * masters.
 */
#include "tests/unit/node_pair.h"

/* Somebody took an address away: a ready peer gets the role, and nobody else does. */
START_TEST(address_lost)
{
	give(1, (struct node_ev){ .type = NODE_EV_LOST, .group = 0 }); /* a backup has nothing to lose */
	give(0, (struct node_ev){ .type = NODE_EV_LOST, .group = 77 });
	pass(NS_PER_SEC);
	master_is(0);
	give(0, (struct node_ev){ .type = NODE_EV_LOST, .group = 0 });
	master_is(1);
	ck_assert_int_eq(last(0)->kind, ROLE_K_PLANNED);
	ck_assert_int_eq(last(0)->reason, ROLE_R_ADDRESS_LOST);
	ck_assert_str_eq(role_reason_text(ROLE_R_ADDRESS_LOST), "addressLost");
	pass(5 * NS_PER_SEC); /* the higher priority alone does not take it back */
	master_is(1);
	set_channel(false);
	pass(2 * NS_PER_SEC);
	give(1, (struct node_ev){ .type = NODE_EV_LOST, .group = 0 }); /* nobody says that it is ready */
	pass(NS_PER_SEC);
	ck_assert_int_eq(is(1), ROLE_MASTER);
}
END_TEST

START_TEST(stalled_master_listens_first)
{
	box[0].asleep = true;
	if (_i) { /* in the middle of giving the role away */
		box[0].asleep = false;
		lost_msgs = 1u << PEER_TAKE;
		force_from_a();
		box[0].asleep = true;
	}
	pass(5 * NS_PER_SEC);
	master_is(1);
	box[0].asleep = false;
	unsigned sent = box[0].sent[0], before = box[1].sent[0];
	/* What waited in its socket is read before it says anything. */
	struct vrrp_ev adv = { .type = VRRP_EV_ADVERT };
	adv.u.advert = (__typeof__(adv.u.advert)){ .priority = 100, .adv_ns = ADV_NS, .src = box[1].inst[0].src };
	struct node_ev tick = { .type = NODE_EV_TICK };
	feed(0, &tick);
	give(0, (struct node_ev){ .type = NODE_EV_ADVERT, .inst = 0, .advert = &adv });
	ck_assert_uint_eq(box[0].sent[0], sent);
	ck_assert_int_eq(is(0), ROLE_BACKUP);
	ck_assert_uint_ge(box[0].told[NODE_TOLD_STALL], 1);
	ck_assert_uint_eq(box[1].sent[0], before);
}
END_TEST

START_TEST(stalled_master_alone_goes_on)
{
	box[1].alive = false;
	box[0].asleep = true;
	pass(5 * NS_PER_SEC);
	box[0].asleep = false;
	unsigned sent = box[0].sent[0];
	give(0, (struct node_ev){ .type = NODE_EV_TICK });
	ck_assert_uint_eq(box[0].sent[0], sent); /* one silent interval */
	pass(2 * ADV_NS);
	ck_assert_uint_gt(box[0].sent[0], sent);
	master_is(0);
}
END_TEST

START_TEST(late_backup_rearms_once)
{
	box[1].asleep = true;
	pass(NS_PER_SEC);
	box[1].asleep = false;
	box[0].alive = false;
	give(1, (struct node_ev){ .type = NODE_EV_TICK });
	ck_assert_int_eq(is(1), ROLE_BACKUP);
	ck_assert_uint_eq(box[1].told[NODE_TOLD_REARMED], INSTS);
	pass(ADV_NS);
	master_is(1);
}
END_TEST

START_TEST(hung_sync)
{
	box[0].sync_hangs = true;
	pass(2 * NS_PER_SEC);
	ck_assert_uint_eq(box[0].told[NODE_TOLD_SYNC_SILENT], 1);
	master_is(0);
	pass(10 * NS_PER_SEC);
	master_is(1);
	ck_assert(box[0].aborted);
}
END_TEST

START_TEST(hung_sync_alone_keeps_the_role)
{
	box[1].alive = false;
	set_channel(false);
	box[0].sync_hangs = true;
	pass(60 * NS_PER_SEC);
	master_is(0);
	ck_assert(!box[0].aborted);
	box[0].sync_hangs = false;
	pass(NS_PER_SEC);
	ck_assert_uint_eq(box[0].told[NODE_TOLD_SYNC_BACK], 1);
}
END_TEST

START_TEST(hung_sync_takes_a_missing_master)
{
	box[1].sync_hangs = true;
	pass(2 * NS_PER_SEC);
	ck_assert(!node_group_ready(&box[1].node, 0, now));
	box[0].alive = false;
	pass(DOWN_NS);
	master_is(1);
	ck_assert_int_eq(last(1)->outcome, ROLE_RES_DEGRADED);
}
END_TEST

/* ---- start with leftovers ---- */

START_TEST(adopting)
{
	bool other = _i & 1, by_channel = _i & 2;
	world(150, 150, 100, 100);
	if (other) {
		power_on(1, false);
		pass(NS_PER_SEC);
		if (by_channel)
			segment[0] = segment[1] = false;
	}
	power_on(0, true);
	ck_assert_int_eq(box[0].net, NODE_NET_KEEP);
	ck_assert(!box[0].guardian);
	if (by_channel)
		set_channel(true);
	pass(ADV_NS + 10 * NS_PER_MS);
	/* Another master, or only the peer itself: it could serve. */
	ck_assert_int_eq(box[0].net, other || by_channel ? NODE_NET_DOWN : NODE_NET_KEEP);
	if (!other) {
		pass(DOWN_NS);
		ck_assert_int_eq(is(0), ROLE_MASTER);
		ck_assert_int_eq(box[0].net, NODE_NET_UP);
		ck_assert_uint_eq(box[0].net_downs, by_channel ? 1 : 0);
	}
}
END_TEST

/*
 * The process is another one, the role goes on: before anybody's timer ends, with the channel up as well. A master that was
 * heard meanwhile is believed, on the wire as on the channel.
 */
START_TEST(resuming)
{
	bool other = _i & 1, by_channel = _i & 2;
	world(150, 150, 100, 100);
	power_on(1, false);
	pass(other ? NS_PER_SEC : 10 * NS_PER_MS);
	if (other)
		ck_assert_int_eq(is(1), ROLE_MASTER);
	if (by_channel) {
		segment[0] = segment[1] = false;
		set_channel(true);
		pass(NODE_HEARTBEAT_NS + 10 * NS_PER_MS);
	}
	box[0].node.group[0].resuming = true;
	box[0].net_downs = 0;
	power_on(0, false);
	if (other && by_channel) {
		ck_assert_int_eq(box[0].net, NODE_NET_DOWN);
		ck_assert_int_eq(is(0), ROLE_BACKUP);
		return;
	}
	pass(30 * NS_PER_MS);
	ck_assert_int_eq(is(0), ROLE_MASTER);
	ck_assert_int_eq(box[0].net, NODE_NET_UP);
	ck_assert_uint_eq(box[0].net_downs, 0);
	ck_assert(!box[0].node.group[0].resuming);
	if (!other)
		ck_assert_int_eq(is(1), ROLE_BACKUP);
}
END_TEST

START_TEST(resuming_in_maintenance)
{
	world(150, 150, 100, 100);
	box[0].node.maintenance = true;
	box[0].node.group[0].resuming = true;
	power_on(0, true);
	ck_assert_int_eq(box[0].net, NODE_NET_DOWN);
	pass(NS_PER_SEC);
	ck_assert_int_ne(is(0), ROLE_MASTER);
}
END_TEST

/* The channel may be quicker than the interfaces. */
START_TEST(leftovers_and_the_peer_is_there_already)
{
	world(150, 150, 100, 100);
	power_on(1, false);
	set_channel(true);
	power_on(0, true);
	ck_assert_int_eq(box[0].net, NODE_NET_DOWN);
}
END_TEST

/* In maintenance nobody takes over what an earlier process left, so it is not kept. */
START_TEST(leftovers_in_maintenance)
{
	world(150, 150, 100, 100);
	box[0].node.maintenance = true;
	power_on(0, true);
	ck_assert_int_eq(box[0].net, NODE_NET_DOWN);
	pass(5 * NS_PER_SEC);
	ck_assert_int_eq(is(0), ROLE_BACKUP);
	give(0, (struct node_ev){ .type = NODE_EV_MAINTENANCE, .on = false });
	pass(10 * NS_PER_MS);
	ck_assert_int_eq(is(0), ROLE_MASTER);
}
END_TEST

/* ---- a role given away with a lost address ---- */

START_TEST(a_lost_address_comes_back_after_a_while)
{
	pass(NS_PER_SEC);
	struct node_ev lost = {
		.type = NODE_EV_NET, .epoch = box[0].node.group[0].role.epoch, .net = ROLE_NET_PARTIAL, .err = -12
	};
	give(0, lost);
	pass(NS_PER_SEC);
	master_is(1);
	ck_assert_int_eq(last(0)->reason, ROLE_R_TRANSACTION);
	ck_assert_uint_eq(box[0].told[NODE_TOLD_HELD], 1);
	ck_assert(!box[0].node.group[0].given_away);
	pass(NODE_PENALTY_NS - 3 * NS_PER_SEC);
	master_is(1);
	pass(4 * NS_PER_SEC);
	master_is(0);
	ck_assert_int_eq(last(0)->kind, ROLE_K_PLANNED);
	ck_assert_int_eq(last(0)->reason, ROLE_R_PREEMPTED);
}
END_TEST

/* ---- arbitration ---- */

static void cut_segments(void)
{
	for (unsigned i = 0; i < 2; i++)
		box[i].node.group[0].arbitrate = true;
	segment[0] = segment[1] = false;
	pass(5 * NS_PER_SEC);
	master_is(0);
	ck_assert_uint_eq(box[1].told[NODE_TOLD_CUT], 1);
	ck_assert_uint_eq(box[1].told[NODE_TOLD_CUT_ENDED], 0);
	ck_assert_uint_eq(box[1].node.arbitrated, 1);
	ck_assert(!mono_is_never(box[1].node.group[0].cut_since));
}

START_TEST(arbitrating_ends)
{
	cut_segments();
	switch (_i) {
	case 0: /* the channel goes too */
		set_channel(false);
		pass(10 * NS_PER_MS);
		ck_assert_int_eq(is(1), ROLE_MASTER);
		break;
	case 1: /* the master says no more that it is one */
		set_link(0, 0, false);
		pass(10 * NS_PER_MS);
		ck_assert_int_eq(is(0), ROLE_FAULT);
		master_is(1);
		break;
	case 2: /* the channel falls silent without an end */
		channel = false;
		pass(NODE_CHANNEL_NS + NODE_HEARTBEAT_NS + 20 * NS_PER_MS);
		ck_assert_int_eq(is(1), ROLE_MASTER);
		break;
	case 3: /* the segments come back */
		segment[0] = segment[1] = true;
		pass(2 * ADV_NS);
		master_is(0);
		break;
	case 4: /* an orderly stop of the master */
		give(0, (struct node_ev){ .type = NODE_EV_STOP });
		pass(NS_PER_SEC);
		master_is(1);
		break;
	default: /* the process dies */
		box[0].refused_probe = box[1].refused_probe = true;
		box[0].alive = false;
		set_channel(false);
		pass(30 * NS_PER_MS);
		master_is(1);
		break;
	}
	ck_assert_uint_eq(box[1].told[NODE_TOLD_CUT_ENDED], 1);
	ck_assert(mono_is_never(box[1].node.group[0].cut_since));
}
END_TEST

START_TEST(without_arbitrate_a_cut_makes_two_masters)
{
	segment[0] = segment[1] = false;
	pass(NS_PER_SEC);
	ck_assert_int_eq(is(0), ROLE_MASTER);
	ck_assert_int_eq(is(1), ROLE_MASTER);
	/* Both name it by the channel alone, once. */
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(box[i].told[NODE_TOLD_SPLIT], 1);
		ck_assert_uint_eq(box[i].node.splits, 1);
		ck_assert_uint_eq(box[i].node.group[0].split.inst, UINT16_MAX);
		ck_assert_uint_eq(box[i].node.group[0].split.node, 2 - i);
		ck_assert_uint_eq(box[i].node.group[0].split.priority, i ? 150 : 100);
		ck_assert_uint_eq(box[i].told[NODE_TOLD_SPLIT_ENDED], 0);
	}
	segment[0] = segment[1] = true;
	pass(NS_PER_SEC);
	master_is(0);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(box[i].told[NODE_TOLD_SPLIT], 1);
		ck_assert_uint_eq(box[i].told[NODE_TOLD_SPLIT_ENDED], 1);
		ck_assert(mono_is_never(box[i].node.group[0].split.since));
	}
}
END_TEST

/* ---- split brain on the wire ---- */

static void advert_to_a(uint16_t inst, uint8_t priority)
{
	struct vrrp_ev adv = { .type = VRRP_EV_ADVERT };
	adv.u.advert =
	    (__typeof__(adv.u.advert)){ .priority = priority, .adv_ns = ADV_NS, .src = addr_v4(10, 0, 0, 99) };
	give(0, (struct node_ev){ .type = NODE_EV_ADVERT, .inst = inst, .advert = &adv });
}

START_TEST(a_lower_master_is_named)
{
	bool farewell = _i;
	set_channel(false);
	for (unsigned i = 0; i < 10; i++) {
		advert_to_a(1, 90);
		pass(ADV_NS);
	}
	master_is(0);
	const struct node_split *s = &box[0].node.group[0].split;
	ck_assert_uint_eq(box[0].told[NODE_TOLD_SPLIT], 1);
	ck_assert_uint_eq(s->inst, 1);
	ck_assert_uint_eq(s->priority, 90);
	ck_assert_uint_eq(s->node, 0);
	ck_assert(addr_eq(&s->src, &(struct addr){ .af = ADDR_V4, .b = { 10, 0, 0, 99 } }));
	ck_assert(!mono_is_never(box[0].member[1].rival_since) && mono_is_never(box[0].member[0].rival_since));
	ck_assert_uint_eq(box[0].told[NODE_TOLD_SPLIT_ENDED], 0);
	if (farewell)
		advert_to_a(1, 0);
	pass(farewell ? NODE_HEARTBEAT_NS + NS_PER_MS : DOWN_NS + NODE_HEARTBEAT_NS);
	ck_assert_uint_eq(box[0].told[NODE_TOLD_SPLIT_ENDED], 1);
	ck_assert(mono_is_never(box[0].member[1].rival_since));
	master_is(0);
}
END_TEST

/* A better router that preempts is heard once: that is no split brain. One that is endured is. */
START_TEST(a_higher_master_is_named_when_it_is_endured)
{
	set_channel(false);
	if (_i) /* priorities crossed: the first member decides */
		box[0].node.group[0].first_decides_until = mono_add(now, NODE_PENALTY_NS);
	advert_to_a(1, 200);
	pass(ADV_NS);
	advert_to_a(1, 200);
	pass(NS_PER_MS);
	ck_assert_int_eq(is(0), _i ? ROLE_MASTER : ROLE_BACKUP);
	ck_assert_uint_eq(box[0].told[NODE_TOLD_SPLIT], _i ? 1 : 0);
	ck_assert_uint_eq(box[0].node.splits, _i ? 1 : 0);
}
END_TEST

/* Orderly switches, forced ones and deaths are no split brain. */
START_TEST(switches_are_no_split_brain)
{
	for (unsigned k = 0; k < 4; k++) {
		give(k & 1, (struct node_ev){ .type = NODE_EV_FORCE, .group = NODE_ALL_GROUPS });
		pass(2 * NS_PER_SEC);
	}
	set_link(0, 0, false);
	pass(NS_PER_SEC);
	set_link(0, 0, true);
	pass(2 * NS_PER_SEC);
	set_channel(false);
	box[1].alive = false;
	pass(NS_PER_SEC);
	box[1].alive = true;
	set_channel(true);
	pass(2 * NS_PER_SEC);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_uint_eq(box[i].node.splits, 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("two nodes");
	tcase_add_test(tc, address_lost);
	tcase_add_loop_test(tc, stalled_master_listens_first, 0, 2);
	tcase_add_test(tc, stalled_master_alone_goes_on);
	tcase_add_test(tc, late_backup_rearms_once);
	tcase_add_test(tc, hung_sync);
	tcase_add_test(tc, hung_sync_alone_keeps_the_role);
	tcase_add_test(tc, hung_sync_takes_a_missing_master);
	tcase_add_loop_test(tc, adopting, 0, 4);
	tcase_add_loop_test(tc, resuming, 0, 4);
	tcase_add_test(tc, resuming_in_maintenance);
	tcase_add_test(tc, leftovers_and_the_peer_is_there_already);
	tcase_add_test(tc, leftovers_in_maintenance);
	tcase_add_test(tc, a_lost_address_comes_back_after_a_while);
	tcase_add_loop_test(tc, arbitrating_ends, 0, 6);
	tcase_add_test(tc, without_arbitrate_a_cut_makes_two_masters);
	tcase_add_loop_test(tc, a_lower_master_is_named, 0, 2);
	tcase_add_loop_test(tc, a_higher_master_is_named_when_it_is_endured, 0, 2);
	tcase_add_test(tc, switches_are_no_split_brain);
	return pair_run("node_guard", tc);
}
