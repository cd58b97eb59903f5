/*
 * One node, one group, two hundred tunnels: who negotiates when, who is told that we go, and what comes up ahead of a
 * planned takeover. Requests are collected, and answered when the test says so.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/node.h"
#include "tests/unit/run.h"

#define TUNNELS  200
#define ADV_NS   (100 * NS_PER_MS)
#define DOWN_NS  (400 * NS_PER_MS)
#define ACTS_CAP (NODE_ACTS_FOR(1, 1) + 32 * TUNNELS)
#define ASKS     4096

static struct node node;
static struct vrrp inst;
static struct vrrp_conf conf;
static struct vrrp_vip vip;
static struct node_member member;
static struct node_group group;
static const uint16_t members[1] = { 0 };
static struct node_peer peer;
static struct ike_tunnel tunnel[TUNNELS];
static struct node_act act_mem[ACTS_CAP];
static struct peer_msg msg_mem[NODE_MSGS_FOR(1)];
static struct node_acts acts = { .a = act_mem, .cap = ACTS_CAP, .msgs = msg_mem, .cap_msgs = NODE_MSGS_FOR(1) };
static mono_t now;

static struct node_act asks[ASKS]; /* of the IKE daemon, and sweeps */
static unsigned n_asks;
static bool answers;   /* terminates, lists and sweeps, at once */
static bool closes;    /* and goodbyes */
static unsigned downs; /* addresses taken away */
static mono_t down_at;
static mono_t prepared_at;

static void give(struct node_ev ev);

static void say(uint16_t t, struct ike_ev ike)
{
	give((struct node_ev){ .type = NODE_EV_IKE, .tunnel = t, .ike = &ike });
}

static void child_up(uint16_t t)
{
	say(t, (struct ike_ev){ .kind = IKE_EV_CHILD_UPDOWN, .up = true, .sa_id = 1, .warm = tunnel[t].conf.warm });
}

static void answer_ike(const struct node_act *a)
{
	struct ike_ev ev = { .kind = IKE_EV_REPLY, .epoch = a->ike.epoch, .seq = a->ike.seq, .ok = true };

	ck_assert_uint_lt(n_asks, ASKS);
	asks[n_asks++] = *a;
	if (!answers)
		return;
	if (a->ike.kind == IKE_ACT_TERMINATE) {
		ev.req = IKE_REQ_TERMINATE;
	} else if (a->ike.kind == IKE_ACT_SWEEP) {
		ev.kind = IKE_EV_SWEPT;
	} else if (a->ike.kind == IKE_ACT_LIST) {
		ev.kind = IKE_EV_SA_LIST;
		ev.sample =
		    (struct ike_sample){ .present = true, .established = true, .child = !a->ike.warm, .sa_id = 1 };
	} else {
		if (a->ike.kind == IKE_ACT_CLOSE && closes)
			say(a->tunnel, (struct ike_ev){ .kind = IKE_EV_IKE_UPDOWN });
		return;
	}
	say(a->tunnel, ev);
}

static void answer(const struct node_act *a)
{
	if (a->type == NODE_ACT_IKE) {
		answer_ike(a);
	} else if (a->type == NODE_ACT_DRAIN) {
		give((struct node_ev){ .type = NODE_EV_DRAINED });
	} else if (a->type == NODE_ACT_NET && a->net_mode != NODE_NET_KEEP) {
		struct node_ev ev = { .type = NODE_EV_GARP, .epoch = a->epoch };
		if (a->net_mode == NODE_NET_UP)
			give(ev);
		ev.type = NODE_EV_NET;
		ev.net = ROLE_NET_EQUAL;
		downs += a->net_mode == NODE_NET_DOWN;
		down_at = a->net_mode == NODE_NET_DOWN ? now : down_at;
		give(ev);
	} else if (a->type == NODE_ACT_PEER && a->msg->type == PEER_PREPARED) {
		prepared_at = now;
	}
}

static void give(struct node_ev ev)
{
	static struct node_act copy[ACTS_CAP];
	static unsigned used;

	node_step(&node, &ev, now, &acts);
	unsigned from = used, n = acts.n;
	ck_assert_uint_le(used + n, ACTS_CAP);
	memcpy(&copy[from], acts.a, n * sizeof(copy[0]));
	used += n;
	for (unsigned i = 0; i < n; i++)
		answer(&copy[from + i]);
	used -= n;
}

static void pass(int64_t ns)
{
	mono_t end = mono_add(now, ns);
	for (;;) {
		mono_t next = mono_min(node_deadline(&node), end);
		now = mono_max(now, next);
		if (!mono_before(now, end))
			return;
		give((struct node_ev){ .type = NODE_EV_TICK });
	}
}

static void heartbeat(enum peer_role role, uint8_t priority)
{
	struct peer_msg m = { .type = PEER_HEARTBEAT, .n_groups = 1, .you_have_all = true };
	m.groups[0] = (struct peer_group_state){ .role = (uint8_t)role, .priority = priority, .ready = true };
	give((struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = 2, .msg = &m });
}

static void connect_peer(void)
{
	struct peer_msg m = { .type = PEER_HELLO };
	m.hello.node = 2;
	m.hello.boot_nonce = 2;
	memcpy(m.hello.config_digest, node.config_digest, sizeof(m.hello.config_digest));
	give((struct node_ev){ .type = NODE_EV_PEER_UP, .peer = 2 });
	give((struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = 2, .msg = &m });
}

static void advert(uint8_t priority)
{
	struct vrrp_ev ev = { .type = VRRP_EV_ADVERT };
	ev.u.advert.priority = priority;
	ev.u.advert.adv_ns = ADV_NS;
	ev.u.advert.src = addr_v4(10, 0, 0, 200);
	give((struct node_ev){ .type = NODE_EV_ADVERT, .advert = &ev });
}

/* Tunnel t has priority 250 - t, but never below 100: the last hundred and a half share one. */
static void init(unsigned n_warm)
{
	static struct node_peer none;

	now = (mono_t){ 1000 * NS_PER_SEC };
	n_asks = downs = 0;
	answers = closes = true;
	prepared_at = MONO_NEVER;
	memset(&group, 0, sizeof(group));
	free(peer.groups);
	peer = none;
	vip.addr = addr_v4(10, 0, 0, 1);
	conf = (struct vrrp_conf){ .vrid = 10,
				   .af = ADDR_V4,
				   .priority = 150,
				   .adv_ns = ADV_NS,
				   .preempt = true,
				   .garp_repeat = 1,
				   .vips = &vip,
				   .n_vips = 1,
				   .n_advertised = 1,
				   .down_adverts = 3,
				   .lower_advert = true };
	vrrp_init(&inst, &conf);
	group = (struct node_group){ .members = members, .n_members = 1, .preempt = true };
	for (unsigned t = 0; t < TUNNELS; t++) {
		struct ike_tunnel_conf c = { .name = "t",
					     .priority = (uint8_t)(t < 150 ? 250 - t : 100),
					     .initiate = true,
					     .warm = t < n_warm };
		ike_init(&tunnel[t], &c, false, now);
	}
	peer.node = 2;
	peer.groups = calloc(1, sizeof(*peer.groups));
	struct node_conf c = { .id = 1,
			       .inst = &inst,
			       .member = &member,
			       .n_inst = 1,
			       .group = &group,
			       .n_groups = 1,
			       .peer = &peer,
			       .n_peers = 1,
			       .tunnel = tunnel,
			       .n_tunnels = TUNNELS,
			       .config_digest = { 1, 2, 3, 4 } };
	node_init(&node, &c, now);
	for (uint16_t t = 0; t < TUNNELS; t++)
		say(t, (struct ike_ev){ .kind = IKE_EV_BACKEND_UP });
	give((struct node_ev){ .type = NODE_EV_LINK, .up = true, .src = addr_v4(10, 0, 0, 2) });
	give((struct node_ev){ .type = NODE_EV_START });
}

static void master(void)
{
	pass(DOWN_NS);
	ck_assert_int_eq(group.role.is, ROLE_MASTER);
}

static unsigned asked(enum ike_act_kind kind)
{
	unsigned n = 0;
	for (unsigned i = 0; i < n_asks; i++)
		n += asks[i].ike.kind == kind;
	return n;
}

static unsigned in_state(enum ike_state s)
{
	unsigned n = 0;
	for (unsigned t = 0; t < TUNNELS; t++)
		n += tunnel[t].state == s;
	return n;
}

static void counts_agree(void)
{
	uint32_t flights = node.ike_flights, queued = node.ike_queued;
	node_rebuild(&node);
	ck_assert_uint_eq(flights, node.ike_flights);
	ck_assert_uint_eq(queued, node.ike_queued);
}

START_TEST(thirty_two_at_a_time_in_order)
{
	init(0);
	master();
	ck_assert_uint_eq(asked(IKE_ACT_INITIATE), IKE_FLIGHTS_MAX);
	ck_assert_uint_eq(in_state(IKE_INITIATING), IKE_FLIGHTS_MAX);
	ck_assert_uint_eq(in_state(IKE_QUEUED), TUNNELS - IKE_FLIGHTS_MAX);
	counts_agree();
	unsigned done = 0;
	for (unsigned i = 0; i < n_asks && done < TUNNELS; i++) {
		if (asks[i].ike.kind != IKE_ACT_INITIATE)
			continue;
		child_up(asks[i].tunnel); /* its place goes to the next one */
		done++;
		ck_assert_uint_le(in_state(IKE_INITIATING), IKE_FLIGHTS_MAX);
	}
	ck_assert_uint_eq(done, TUNNELS);
	ck_assert_uint_eq(in_state(IKE_UP), TUNNELS);
	counts_agree();
	int last = -1;
	for (unsigned i = 0; i < n_asks; i++) {
		if (asks[i].ike.kind != IKE_ACT_INITIATE)
			continue;
		ck_assert_int_ge(tunnel[asks[i].tunnel].conf.priority, last);
		last = tunnel[asks[i].tunnel].conf.priority;
	}
	/* The last one up ends the timeline. */
	ck_assert_int_ne(group.role.rec.at[ROLE_PH_IKE_UP].ns, 0);
}
END_TEST

/* Half-open negotiations with this peer: children of one connection share theirs. */
static unsigned half_open(const struct addr *with)
{
	bool seen[TUNNELS] = { false };
	unsigned n = 0;
	for (unsigned t = 0; t < TUNNELS; t++) {
		unsigned sa = (unsigned)atoi(tunnel[t].conf.ike);
		if (tunnel[t].state != IKE_INITIATING || !addr_eq(&tunnel[t].conf.peer, with) || seen[sa])
			continue;
		seen[sa] = true;
		n++;
	}
	return n;
}

START_TEST(a_peer_is_not_crowded)
{
	static const struct {
		unsigned peers, children, flights;
	} t[] = { { 1, 1, IKE_FLIGHTS_PEER },
		  { 1, 3, 3 * IKE_FLIGHTS_PEER },
		  { 5, 1, 5 * IKE_FLIGHTS_PEER },
		  { 20, 1, IKE_FLIGHTS_MAX } };
	unsigned peers = t[_i].peers, begun = 0;

	init(0);
	for (unsigned i = 0; i < TUNNELS; i++) {
		struct ike_tunnel_conf *c = &tunnel[i].conf;
		c->priority = 100;
		c->peer = addr_v4(10, 0, 1, (uint8_t)(i / t[_i].children % peers));
		snprintf(c->ike, sizeof(c->ike), "%u", i / t[_i].children);
	}
	master();
	ck_assert_uint_eq(in_state(IKE_INITIATING), t[_i].flights);
	for (unsigned i = 0; i < n_asks; i++) {
		if (asks[i].ike.kind != IKE_ACT_INITIATE)
			continue;
		begun++;
		child_up(asks[i].tunnel);
		for (unsigned p = 0; p < peers; p++) {
			struct addr with = addr_v4(10, 0, 1, (uint8_t)p);
			ck_assert_uint_le(half_open(&with), IKE_FLIGHTS_PEER);
		}
		counts_agree();
	}
	ck_assert_uint_eq(begun, TUNNELS);
	ck_assert_uint_eq(in_state(IKE_UP), TUNNELS);
}
END_TEST

START_TEST(silent_peers_do_not_hold_the_others_up)
{
	init(0);
	master();
	mono_t begun = now;
	/* The first 64 in order are dead: two rounds of 300 ms, and everybody else is there. */
	while (in_state(IKE_UP) < TUNNELS - 64 && mono_sub(now, begun) < 5 * NS_PER_SEC) {
		for (uint16_t t = 0; t < TUNNELS; t++)
			if (tunnel[t].state == IKE_INITIATING && tunnel[t].conf.priority >= 115)
				child_up(t);
		pass(10 * NS_PER_MS);
	}
	ck_assert_uint_ge(in_state(IKE_UP), TUNNELS - 64);
	ck_assert_int_lt(mono_sub(now, begun), NS_PER_SEC);
	for (unsigned i = 0; i < 600; i++) {
		ck_assert_uint_le(node.ike_flights, IKE_FLIGHTS_MAX);
		pass(100 * NS_PER_MS);
	}
	counts_agree();
}
END_TEST

START_TEST(demotion_forgets_the_turns)
{
	init(0);
	master();
	ck_assert_uint_gt(node.ike_queued, 0);
	advert(200);
	ck_assert_int_eq(group.role.is, ROLE_BACKUP);
	ck_assert_uint_eq(node.ike_queued, 0);
	ck_assert_uint_eq(node.ike_flights, 0);
	ck_assert_uint_eq(in_state(IKE_IDLE), TUNNELS);
	counts_agree();
}
END_TEST

/* ---- goodbye ---- */

static void all_up(void)
{
	master();
	for (unsigned i = 0; i < n_asks; i++)
		if (asks[i].ike.kind == IKE_ACT_INITIATE)
			child_up(asks[i].tunnel);
	ck_assert_uint_eq(in_state(IKE_UP), TUNNELS);
	n_asks = downs = 0;
}

START_TEST(the_last_node_says_goodbye)
{
	for (unsigned answered = 0; answered < 2; answered++) {
		init(0);
		all_up();
		closes = answered;
		mono_t begun = now;
		give((struct node_ev){ .type = NODE_EV_STOP });
		ck_assert_uint_eq(asked(IKE_ACT_CLOSE), TUNNELS);
		ck_assert_uint_eq(downs, answered);
		pass(300 * NS_PER_MS);
		ck_assert_uint_eq(downs, 1);
		ck_assert_int_eq(mono_sub(down_at, begun), answered ? 0 : ROLE_CLOSE_NS);
		ck_assert_int_eq(group.role.is, ROLE_INIT);
	}
}
END_TEST

START_TEST(with_a_ready_peer_only_who_wants_it)
{
	for (unsigned wanted = 0; wanted < 2; wanted++) {
		init(0);
		connect_peer();
		all_up();
		tunnel[7].conf.on_demote = wanted ? IKE_DEMOTE_DELETE : IKE_DEMOTE_SILENT;
		heartbeat(PEER_ROLE_BACKUP, 100);
		closes = false;
		mono_t begun = now;
		give((struct node_ev){ .type = NODE_EV_LINK, .up = false }); /* a fault: the other one takes over */
		ck_assert_uint_eq(asked(IKE_ACT_CLOSE), wanted);
		pass(50 * NS_PER_MS);
		ck_assert_uint_eq(downs, 1);
		ck_assert_int_eq(mono_sub(down_at, begun), wanted ? ROLE_CLOSE_NOW : 0);
	}
}
END_TEST

/* Alive and BACKUP, but not ready: it takes over all the same, and a switch that it asks for is a handover. */
START_TEST(a_successor_that_is_not_ready)
{
	struct peer_msg m = { .type = PEER_HEARTBEAT, .n_groups = 1 };
	m.groups[0] = (struct peer_group_state){ .role = PEER_ROLE_BACKUP, .priority = 200 };
	for (unsigned asks_for_it = 0; asks_for_it < 2; asks_for_it++) {
		init(0);
		connect_peer();
		all_up();
		give((struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = 2, .msg = &m });
		struct peer_msg prepared = { .type = PEER_PREPARED, .epoch = epoch_next(group.role.epoch, 2) };
		if (asks_for_it)
			give((struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = 2, .msg = &prepared });
		else
			give((struct node_ev){ .type = NODE_EV_STOP });
		ck_assert_uint_eq(asked(IKE_ACT_CLOSE), 0);
		ck_assert_int_eq(group.role.state, asks_for_it ? ROLE_DEMOTING : ROLE_STABLE);
		ck_assert_uint_eq(downs, !asks_for_it);
	}
}
END_TEST

START_TEST(a_higher_master_waits_for_no_goodbye)
{
	init(0);
	all_up();
	tunnel[7].conf.on_demote = IKE_DEMOTE_DELETE;
	mono_t begun = now;
	advert(200);
	ck_assert_uint_eq(asked(IKE_ACT_CLOSE), 0);
	ck_assert_uint_eq(downs, 1);
	ck_assert_int_eq(mono_sub(down_at, begun), 0);
}
END_TEST

/* ---- ahead of a planned takeover ---- */

/* BACKUP behind a master with a channel, three tunnels warm. */
static void warm_backup(void)
{
	init(3);
	connect_peer();
	for (unsigned i = 0; i < 20; i++) {
		heartbeat(PEER_ROLE_MASTER, 200);
		advert(200);
		pass(ADV_NS / 2);
	}
	ck_assert_int_eq(group.role.is, ROLE_BACKUP);
	for (unsigned t = 0; t < 3; t++)
		ck_assert(ike_is_warm(&tunnel[t]));
	n_asks = 0;
	give((struct node_ev){ .type = NODE_EV_FORCE, .group = NODE_ALL_GROUPS });
	ck_assert_int_eq(group.role.state, ROLE_PREPARING);
	ck_assert_uint_eq(asked(IKE_ACT_INITIATE), 3);
	ck_assert(mono_is_never(prepared_at));
}

static void accept_initiates(void)
{
	for (uint16_t t = 0; t < 3; t++)
		say(t, (struct ike_ev){ .kind = IKE_EV_REPLY,
					.req = IKE_REQ_INITIATE,
					.seq = tunnel[t].req_seq,
					.epoch = tunnel[t].req_epoch,
					.ok = true });
}

static void peer_says(enum peer_msg_type type)
{
	struct peer_msg m = { .type = type, .epoch = group.role.epoch };
	give((struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = 2, .msg = &m });
}

START_TEST(children_before_the_role)
{
	warm_backup();
	mono_t begun = now;
	accept_initiates();
	now = mono_add(now, 4 * NS_PER_MS);
	child_up(0);
	child_up(1);
	ck_assert(mono_is_never(prepared_at));
	child_up(2);
	ck_assert_int_eq(mono_sub(prepared_at, begun), 4 * NS_PER_MS);
	ck_assert_int_ne(group.role.rec.at[ROLE_PH_MADE].ns, 0);
	peer_says(PEER_GO);
	ck_assert_int_eq(group.role.is, ROLE_MASTER);
	for (uint16_t t = 3; t < TUNNELS; t++)
		if (tunnel[t].state != IKE_UP)
			child_up(t);
	ck_assert_uint_eq(in_state(IKE_UP), TUNNELS);
	ck_assert_int_ne(group.role.rec.at[ROLE_PH_IKE_UP].ns, 0);
	ck_assert_uint_eq(tunnel[0].count.made, 1);
}
END_TEST

START_TEST(a_stopped_ike_daemon_costs_5_ms)
{
	warm_backup();
	mono_t begun = now;
	pass(20 * NS_PER_MS);
	ck_assert_int_eq(mono_sub(prepared_at, begun), IKE_MAKE_ASK_NS);
}
END_TEST

START_TEST(a_far_peer_costs_what_it_takes_up_to_a_limit)
{
	warm_backup();
	mono_t begun = now;
	accept_initiates();
	pass(150 * NS_PER_MS);
	ck_assert_int_eq(mono_sub(prepared_at, begun), IKE_MAKE_NS);
}
END_TEST

START_TEST(a_switch_that_fails_leaves_no_child)
{
	warm_backup();
	accept_initiates();
	for (uint16_t t = 0; t < 3; t++)
		child_up(t);
	ck_assert(!mono_is_never(prepared_at));
	/* GO never comes. */
	for (unsigned i = 0; i < 8; i++) {
		heartbeat(PEER_ROLE_MASTER, 200);
		advert(200);
		pass(ADV_NS / 2);
	}
	ck_assert_int_eq(group.role.is, ROLE_BACKUP);
	ck_assert_int_eq(group.role.state, ROLE_STABLE);
	for (uint16_t t = 0; t < 3; t++) {
		ck_assert_int_eq(tunnel[t].state, IKE_IDLE);
		ck_assert(!tunnel[t].active && !tunnel[t].making);
	}
}
END_TEST

/* ---- resets ---- */

static unsigned resets(void)
{
	unsigned n = 0;
	for (unsigned t = 0; t < TUNNELS; t++)
		n += (unsigned)tunnel[t].count.resets;
	return n;
}

START_TEST(resets_of_all_tunnels_have_a_rate)
{
	struct ike_ev stale = { .kind = IKE_EV_STALE_PEER, .spi = 0xc0ffee01 };
	init(0);
	all_up();
	for (uint16_t t = 0; t < TUNNELS; t++)
		tunnel[t].conf.watch_spi = true;
	for (unsigned i = 0; i < 2; i++) { /* a look at each, and the comparison */
		pass(IKE_YOUNG_NS);
		for (uint16_t t = 0; t < TUNNELS; t++)
			say(t, stale);
	}
	ck_assert_uint_eq(resets(), NODE_RESET_BURST);
	ck_assert_uint_eq(node.resets_barred, TUNNELS - NODE_RESET_BURST);
	for (unsigned i = 0; i < 10; i++) {
		pass(100 * NS_PER_MS);
		for (uint16_t t = 0; t < TUNNELS; t++)
			say(t, stale);
	}
	ck_assert_uint_ge(resets(), NODE_RESET_BURST + NODE_RESET_RATE - 1);
	ck_assert_uint_le(resets(), NODE_RESET_BURST + NODE_RESET_RATE + 1);
	/* The operator's word has no limit. */
	unsigned before = resets();
	for (uint16_t t = 0; t < TUNNELS; t++)
		say(t, (struct ike_ev){ .kind = IKE_EV_RESET, .why = IKE_WHY_OPERATOR, .force = true });
	ck_assert_uint_ge(resets(), before + TUNNELS / 2);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("node_ike");
	TCase *c = tcase_create("all");

	tcase_add_test(c, thirty_two_at_a_time_in_order);
	tcase_add_loop_test(c, a_peer_is_not_crowded, 0, 4);
	tcase_add_test(c, silent_peers_do_not_hold_the_others_up);
	tcase_add_test(c, demotion_forgets_the_turns);
	tcase_add_test(c, the_last_node_says_goodbye);
	tcase_add_test(c, with_a_ready_peer_only_who_wants_it);
	tcase_add_test(c, a_successor_that_is_not_ready);
	tcase_add_test(c, a_higher_master_waits_for_no_goodbye);
	tcase_add_test(c, children_before_the_role);
	tcase_add_test(c, a_stopped_ike_daemon_costs_5_ms);
	tcase_add_test(c, a_far_peer_costs_what_it_takes_up_to_a_limit);
	tcase_add_test(c, a_switch_that_fails_leaves_no_child);
	tcase_add_test(c, resets_of_all_tunnels_have_a_rate);
	suite_add_tcase(s, c);
	return unit_run(s);
}
