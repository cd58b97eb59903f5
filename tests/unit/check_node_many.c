/* One node with two groups, five tunnels and two peers: who is asked, what belongs to which group, and in which order. */
#include "tests/unit/node_many.h"

START_TEST(tunnels_start_in_order)
{
	uint16_t order[TUNNELS];
	unsigned n = 0;
	take_group_0();
	for (unsigned i = 0; i < n_done; i++)
		if (done[i].type == NODE_ACT_IKE && done[i].ike.kind == IKE_ACT_INITIATE && n < TUNNELS)
			order[n++] = done[i].tunnel;
	/* Lower numbers first; not the one whose peer starts, not the one without a daemon, not the other group's. */
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(order[0], 1);
	ck_assert_uint_eq(order[1], 0);
	ck_assert_uint_eq(ike_count(4, IKE_ACT_TERMINATE), 0);
	ck_assert_uint_gt(ike_count(4, IKE_ACT_SWEEP), 0);
}
END_TEST

START_TEST(ike_up_is_the_last_tunnel)
{
	struct ike_ev up = { .kind = IKE_EV_CHILD_UPDOWN, .up = true, .sa_id = 1 };
	take_group_0();
	ck_assert_int_eq(group[0].role.rec.at[ROLE_PH_IKE_UP].ns, 0);
	give((struct node_ev){ .type = NODE_EV_IKE, .tunnel = 0, .ike = &up });
	ck_assert_int_eq(group[0].role.rec.at[ROLE_PH_IKE_UP].ns, 0);
	pass(10 * NS_PER_MS);
	n_done = 0;
	mono_t at = now;
	give((struct node_ev){ .type = NODE_EV_IKE, .tunnel = 1, .ike = &up });
	ck_assert_int_eq(group[0].role.rec.at[ROLE_PH_IKE_UP].ns, at.ns);
	/* The journal's entry is written again, with the time; the other group's is not touched. */
	unsigned journals = 0;
	for (unsigned i = 0; i < n_done; i++)
		journals += done[i].type == NODE_ACT_JOURNAL && done[i].record.group == 0;
	ck_assert_uint_eq(journals, 1);
	ck_assert_int_eq(group[1].role.rec.at[ROLE_PH_IKE_UP].ns, 0);
	/* Down and up again: a tunnel's business, not the transaction's. */
	up.sa_id = 2;
	give((struct node_ev){ .type = NODE_EV_IKE, .tunnel = 1, .ike = &up });
	ck_assert_int_eq(group[0].role.rec.at[ROLE_PH_IKE_UP].ns, at.ns);
}
END_TEST

START_TEST(a_tunnel_up_for_an_older_change_says_nothing)
{
	take_group_0();
	struct epoch first = group[0].role.epoch;
	advert(0, 200); /* a better one: the group yields, then takes again */
	ck_assert_int_eq(group[0].role.is, ROLE_BACKUP);
	take_group_0();
	ck_assert_int_gt(epoch_cmp(group[0].role.epoch, first), 0);
	tunnel[0].epoch = tunnel[1].epoch = first; /* what the tunnel's machine says is of its own epoch */
	struct ike_ev up = { .kind = IKE_EV_CHILD_UPDOWN, .up = true, .sa_id = 1 };
	for (uint16_t t = 0; t < 2; t++)
		give((struct node_ev){ .type = NODE_EV_IKE, .tunnel = t, .ike = &up });
	ck_assert_int_eq(group[0].role.rec.at[ROLE_PH_IKE_UP].ns, 0);
}
END_TEST

/* Leftovers are known: the promotion purges first, and goes on with the last answer of its own tunnels. */
START_TEST(the_purge_ends_with_its_last_answer)
{
	take_group_0();
	advert(0, 200);
	ck_assert_int_eq(group[0].role.is, ROLE_BACKUP);
	tunnel[0].left_ike = tunnel[1].left_ike = true;
	ike_answers = false;
	n_done = 0;
	advert(1, 200);
	give((struct node_ev){ .type = NODE_EV_FORCE, .group = 0 });
	ck_assert_int_eq(group[0].role.state, ROLE_PREPARING);
	ck_assert_uint_eq(ike_count(0, IKE_ACT_TERMINATE), 1);
	ck_assert_uint_eq(ike_count(1, IKE_ACT_TERMINATE), 1);
	ck_assert_uint_eq(ike_count(2, IKE_ACT_TERMINATE) + ike_count(2, IKE_ACT_SWEEP), 0);
	/* All answers but one: still preparing. */
	unsigned before = n_done;
	ike_answers = true;
	for (unsigned i = 0; i < before; i++)
		if (done[i].type == NODE_ACT_IKE && done[i].tunnel != 1)
			answer_ike(&done[i]);
	ck_assert_int_eq(group[0].role.state, ROLE_PREPARING);
	for (unsigned i = 0; i < before; i++)
		if (done[i].type == NODE_ACT_IKE && done[i].tunnel == 1)
			answer_ike(&done[i]);
	ck_assert_int_eq(group[0].role.is, ROLE_MASTER);
	ck_assert_int_eq(group[0].role.rec.result[ROLE_PH_PURGE], ROLE_RES_OK);
	/* The same answers once more belong to nothing. */
	struct role was = group[0].role;
	for (unsigned i = 0; i < before; i++)
		if (done[i].type == NODE_ACT_IKE)
			answer_ike(&done[i]);
	ck_assert_mem_eq(&was.rec, &group[0].role.rec, sizeof(was.rec));
}
END_TEST

START_TEST(authority_over_some_and_over_all)
{
	take_group_0();
	ck_assert(last_authority().any && !last_authority().all);
	pass(DOWN_NS);
	ck_assert_int_eq(group[1].role.is, ROLE_MASTER);
	ck_assert(last_authority().any && last_authority().all);
	advert(0, 200);
	ck_assert(last_authority().any && !last_authority().all);
	advert(1, 200);
	ck_assert(!last_authority().any && !last_authority().all);
	/* One counter for the cluster: each change had a higher one. */
	ck_assert_int_gt(epoch_cmp(group[1].role.epoch, group[0].role.epoch), 0);
}
END_TEST

/* Node 3 is better than node 2; then it is not ready, not heard for a second, or has other groups. */
START_TEST(the_best_ready_node_is_asked)
{
	static const uint32_t asked[] = { 3, 2, 2, 2, 0 };
	connect_peer(2);
	connect_peer(3);
	master_of_both();
	backup(3, 120, _i != 1);
	if (_i == 2)
		pass(NODE_READY_NS + NS_PER_MS);
	if (_i == 3) {
		struct peer_msg m = { .type = PEER_HELLO, .hello.node = 3, .hello.boot_nonce = 3 };
		give((struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = 3, .msg = &m });
		backup(3, 120, true);
	}
	backup(2, 90, _i != 4);
	if (_i == 4)
		backup(3, 120, false);
	n_done = 0;
	give((struct node_ev){ .type = NODE_EV_FORCE, .group = 0 });
	const struct node_act *take = message_said(PEER_TAKE, 0);
	ck_assert_uint_eq(take ? take->peer : 0, asked[_i]);
	ck_assert(!message_said(PEER_TAKE, 1));
	ck_assert_int_eq(group[0].role.is, ROLE_MASTER);
	ck_assert_int_eq(group[0].role.state, asked[_i] ? ROLE_PREPARING : ROLE_STABLE);
}
END_TEST

START_TEST(only_the_partner_has_a_say)
{
	connect_peer(2);
	connect_peer(3);
	master_of_both();
	backup(2, 90, true);
	backup(3, 120, true);
	give((struct node_ev){ .type = NODE_EV_FORCE, .group = 0 });
	ck_assert_uint_eq(group[0].partner, 3);
	struct epoch e = { node.seen.counter + 1, 2 };
	uint64_t stale = node.stale;
	message(2, PEER_PREPARED, 0, e);
	ck_assert_int_eq(group[0].role.state, ROLE_PREPARING);
	ck_assert_uint_eq(node.stale, stale + 1);
	e = (struct epoch){ node.seen.counter + 1, 3 };
	n_done = 0;
	message(3, PEER_PREPARED, 0, e);
	ck_assert_int_eq(group[0].role.state, ROLE_DEMOTING);
	ck_assert_ptr_nonnull(message_said(PEER_GO, 0));
	ck_assert_uint_eq(message_said(PEER_GO, 0)->peer, 3);
	message(2, PEER_UP, 0, e); /* not from whom it is awaited */
	ck_assert_int_eq(group[0].role.state, ROLE_DEMOTING);
	message(3, PEER_UP, 1, e); /* not the group */
	ck_assert_int_eq(group[0].role.state, ROLE_DEMOTING);
	message(3, PEER_UP, 0, e);
	ck_assert_int_eq(group[0].role.state, ROLE_STABLE);
	ck_assert_int_eq(group[0].role.is, ROLE_BACKUP);
	ck_assert_int_eq(group[1].role.is, ROLE_MASTER);
}
END_TEST

/* Losing a backup proves nothing and is not looked into; of two lost nodes the master is asked. */
START_TEST(only_a_lost_master_is_probed)
{
	connect_peer(2);
	connect_peer(3);
	for (unsigned i = 0; i < 4; i++) {
		heartbeat(2, PEER_ROLE_MASTER, PEER_ROLE_BACKUP, 200, true);
		backup(3, 90, true);
		advert(0, 200);
		advert(1, 200);
		pass(ADV_NS / 2);
	}
	n_done = 0;
	give((struct node_ev){ .type = NODE_EV_PEER_DOWN, .peer = 3, .lost = true });
	give((struct node_ev){ .type = NODE_EV_PEER_DOWN, .peer = 2, .lost = true });
	unsigned probes = 0;
	for (unsigned i = 0; i < n_done; i++)
		if (done[i].type == NODE_ACT_PROBE) {
			ck_assert_uint_eq(done[i].peer, 2);
			probes++;
		}
	ck_assert_uint_eq(probes, 1);
	uint64_t stale = node.stale;
	give((struct node_ev){ .type = NODE_EV_PROBE, .peer = 3, .refused = true }); /* was not asked */
	ck_assert_uint_eq(node.stale, stale + 1);
	ck_assert_int_eq(group[0].role.state, ROLE_STABLE);
	give((struct node_ev){ .type = NODE_EV_PROBE, .peer = 2, .refused = true });
	/* Dead: the group that it was master of moves, the other one waits for its own timer. */
	ck_assert_int_eq(group[0].role.is, ROLE_MASTER);
	ck_assert_int_eq(group[0].role.rec.reason, ROLE_R_PROCESS_DEATH);
	ck_assert_int_eq(group[1].role.is, ROLE_BACKUP);
}
END_TEST

/* A kernel that does not refuse at once is asked again, for a while, and proves nothing in the end. */
START_TEST(probes_end)
{
	connect_peer(2);
	for (unsigned i = 0; i < 4; i++) {
		heartbeat(2, PEER_ROLE_MASTER, PEER_ROLE_MASTER, 200, true);
		advert(0, 200);
		advert(1, 200);
		pass(ADV_NS / 2);
	}
	give((struct node_ev){ .type = NODE_EV_PEER_DOWN, .peer = 2, .lost = true });
	unsigned probes = 0;
	while (peer[0].probing) {
		ck_assert_uint_le(++probes, NODE_PROBES);
		give((struct node_ev){ .type = NODE_EV_PROBE, .peer = 2, .refused = false });
		if (!mono_is_never(peer[0].probe_at)) {
			now = peer[0].probe_at;
			advert(0, 200);
			advert(1, 200);
			give((struct node_ev){ .type = NODE_EV_TICK });
		}
	}
	ck_assert_uint_eq(probes, NODE_PROBES);
	ck_assert(!peer[0].dead);
	ck_assert_int_eq(group[0].role.is, ROLE_BACKUP);
}
END_TEST

START_TEST(the_gate_needs_every_peer)
{
	node.sync_gate = true;
	ck_assert(!node_gate_open(&node, now)); /* nobody there */
	connect_peer(2);
	ck_assert(!node_gate_open(&node, now));
	backup(2, 90, true);
	ck_assert(node_gate_open(&node, now));
	connect_peer(3); /* has sessions of its own, and has not said that we have them */
	ck_assert(!node_gate_open(&node, now));
	backup(3, 90, true);
	ck_assert(node_gate_open(&node, now));
	/* Another boot: what was said of the old one does not count. */
	struct peer_msg m = { .type = PEER_HELLO, .hello.node = 3, .hello.boot_nonce = 99 };
	memcpy(m.hello.config_digest, node.config_digest, sizeof(m.hello.config_digest));
	give((struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = 3, .msg = &m });
	ck_assert(!node_gate_open(&node, now));
	give((struct node_ev){ .type = NODE_EV_PEER_DOWN, .peer = 3 });
	ck_assert(node_gate_open(&node, now));
	now = mono_add(now, NODE_CHANNEL_NS + 1); /* and a silent one is not there either */
	ck_assert(!node_gate_open(&node, now));
}
END_TEST

/* A stalled master learns on the channel that another one serves. */
START_TEST(stalled_and_the_peer_is_master)
{
	connect_peer(2);
	master_of_both();
	now = mono_add(now, 5 * NS_PER_SEC);
	heartbeat(2, PEER_ROLE_MASTER, PEER_ROLE_BACKUP, 200, true);
	ck_assert_int_eq(group[0].role.is, ROLE_BACKUP);
	ck_assert_int_eq(group[0].role.rec.reason, ROLE_R_STALL);
	/* The other group has no other master: silent for one interval, then on. */
	ck_assert(group[1].stalled);
	pass(2 * ADV_NS);
	ck_assert(!group[1].stalled);
	ck_assert_int_eq(group[1].role.is, ROLE_MASTER);
}
END_TEST

START_TEST(force_moves_the_named_group_only)
{
	connect_peer(2);
	master_of_both();
	backup(2, 90, true);
	give((struct node_ev){ .type = NODE_EV_FORCE, .group = 7 }); /* there is none */
	ck_assert_int_eq(group[0].role.state, ROLE_STABLE);
	ck_assert_int_eq(group[1].role.state, ROLE_STABLE);
	give((struct node_ev){ .type = NODE_EV_FORCE, .group = 1 });
	ck_assert_int_eq(group[0].role.state, ROLE_STABLE);
	ck_assert_int_eq(group[1].role.state, ROLE_PREPARING);
	give((struct node_ev){ .type = NODE_EV_FORCE, .group = NODE_ALL_GROUPS });
	ck_assert_int_eq(group[0].role.state, ROLE_PREPARING);
}
END_TEST

START_TEST(the_end_waits_for_every_group)
{
	connect_peer(2);
	master_of_both();
	backup(2, 90, true);
	n_done = 0;
	give((struct node_ev){ .type = NODE_EV_STOP });
	give((struct node_ev){ .type = NODE_EV_STOP }); /* once is enough */
	ck_assert(!message_said(PEER_TAKE, GROUPS));
	ck_assert_ptr_nonnull(message_said(PEER_TAKE, GROUPS - 1));
	/* Group 0's successor answers, group 1's does not. */
	struct epoch e = { node.seen.counter + 1, 2 };
	message(2, PEER_PREPARED, 0, e);
	message(2, PEER_UP, 0, e);
	ck_assert_int_eq(group[0].role.is, ROLE_INIT);
	ck_assert(node.running);
	pass(ROLE_GO_NS + NS_PER_MS);
	ck_assert_int_eq(group[1].role.is, ROLE_INIT);
	ck_assert(!node.running);
	unsigned ends = 0;
	for (unsigned i = 0; i < n_done; i++)
		ends += done[i].type == NODE_ACT_STOPPED;
	ck_assert_uint_eq(ends, 1);
	ck_assert(mono_is_never(node_deadline(&node)));
}
END_TEST

/* The last STABLE that SYNC was told: of which transaction, and does every group rest? */
static const struct sync_cmd *last_stable(void)
{
	for (unsigned i = n_done; i-- > 0;)
		if (done[i].type == NODE_ACT_SYNC && done[i].cmd.type == SYNC_CMD_STABLE)
			return &done[i].cmd;
	ck_abort_msg("nothing rests");
	return NULL;
}

/* Two groups are given up at the same time: SYNC tells no end of a session before the second one rests, too. */
START_TEST(ends_wait_for_every_group)
{
	connect_peer(2);
	master_of_both();
	backup(2, 90, true);
	ck_assert(last_stable()->rest); /* promotions hold nothing back */
	give((struct node_ev){ .type = NODE_EV_FORCE, .group = NODE_ALL_GROUPS });
	struct epoch e[GROUPS] = { { node.seen.counter + 2, 2 }, { node.seen.counter + 1, 2 } };
	for (uint16_t g = 0; g < GROUPS; g++)
		message(2, PEER_PREPARED, g, e[g]);
	n_done = 0;
	message(2, PEER_UP, 0, e[0]);
	ck_assert_int_eq(group[0].role.is, ROLE_BACKUP);
	ck_assert(epoch_cmp(last_stable()->epoch, e[0]) == 0);
	ck_assert(!last_stable()->rest);
	node_rebuild(&node); /* as a reload does: what is counted is counted anew */
	message(2, PEER_UP, 1, e[1]);
	ck_assert_int_eq(group[1].role.is, ROLE_BACKUP);
	ck_assert(epoch_cmp(last_stable()->epoch, e[1]) == 0);
	ck_assert(last_stable()->rest);
	ck_assert_uint_eq(node.n_mutes, 0);
}
END_TEST

/* More groups than one message holds. */
START_TEST(heartbeats_of_many_groups)
{
	enum { MANY = 2 * PEER_GROUPS_MAX + 3 };
	static struct vrrp many_inst[MANY];
	static struct node_member many_member[MANY];
	static struct node_group many[MANY];
	static uint16_t numbers[MANY];
	static struct node_act mem[NODE_ACTS_FOR(MANY, MANY)];
	static struct peer_msg msgs[NODE_MSGS_FOR(MANY)];
	struct node_acts out = { .a = mem, .cap = NODE_ACTS_FOR(MANY, MANY), .msgs = msgs };
	struct node_peer one = { .node = 2, .groups = calloc(MANY, sizeof(*one.groups)) };
	unsigned told[MANY] = { 0 }, messages = 0;
	struct node n;
	out.cap_msgs = NODE_MSGS_FOR(MANY);
	for (uint16_t g = 0; g < MANY; g++) {
		numbers[g] = g;
		vrrp_init(&many_inst[g], &conf[0]);
		many[g] = (struct node_group){ .members = &numbers[g], .n_members = 1 };
	}
	struct node_conf c = { .id = 1,
			       .inst = many_inst,
			       .member = many_member,
			       .n_inst = MANY,
			       .group = many,
			       .n_groups = MANY,
			       .peer = &one,
			       .n_peers = 1 };
	node_init(&n, &c, now);
	struct node_ev ev = { .type = NODE_EV_START };
	node_step(&n, &ev, now, &out);
	ev = (struct node_ev){ .type = NODE_EV_PEER_UP, .peer = 2 };
	node_step(&n, &ev, now, &out);
	now = n.heartbeat_at;
	ev.type = NODE_EV_TICK;
	node_step(&n, &ev, now, &out);
	for (unsigned i = 0; i < out.n; i++) {
		if (out.a[i].type != NODE_ACT_PEER)
			continue;
		messages++;
		ck_assert_uint_eq(out.a[i].peer, 2); /* to each its own */
		for (unsigned k = 0; k < out.a[i].msg->n_groups; k++)
			told[out.a[i].msg->groups[k].group]++;
	}
	ck_assert_uint_eq(messages, 3);
	for (unsigned g = 0; g < MANY; g++)
		ck_assert_uint_eq(told[g], 1);
	free(one.groups);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("all");

	tcase_add_test(t, tunnels_start_in_order);
	tcase_add_test(t, ike_up_is_the_last_tunnel);
	tcase_add_test(t, a_tunnel_up_for_an_older_change_says_nothing);
	tcase_add_test(t, the_purge_ends_with_its_last_answer);
	tcase_add_test(t, authority_over_some_and_over_all);
	tcase_add_loop_test(t, the_best_ready_node_is_asked, 0, 5);
	tcase_add_test(t, only_the_partner_has_a_say);
	tcase_add_test(t, only_a_lost_master_is_probed);
	tcase_add_test(t, probes_end);
	tcase_add_test(t, the_gate_needs_every_peer);
	tcase_add_test(t, stalled_and_the_peer_is_master);
	tcase_add_test(t, force_moves_the_named_group_only);
	tcase_add_test(t, the_end_waits_for_every_group);
	tcase_add_test(t, ends_wait_for_every_group);
	tcase_add_test(t, heartbeats_of_many_groups);
	return node_many_run("node_many", t);
}
