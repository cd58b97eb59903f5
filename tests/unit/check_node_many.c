/*
 * One node with two groups, five tunnels and two peers: who is asked, what belongs to which group, and in which order.
 * The rest of the world answers at once.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/node.h"

#define GROUPS   2
#define TUNNELS  5
#define PEERS    2
#define ADV_NS   (100 * NS_PER_MS)
#define DOWN_NS  (400 * NS_PER_MS) /* longer than any master-down time here */
#define ACTS_CAP (NODE_ACTS_FOR(GROUPS, GROUPS) + 128)
#define LOG_MAX  1024

/* Group, priority, initiate, backend. */
static const struct {
	uint16_t group;
	uint8_t priority;
	bool initiate;
	enum ike_backend backend;
} plan[TUNNELS] = {
	{ 0, 20, true, IKE_BACKEND_VICI },  { 0, 10, true, IKE_BACKEND_VICI }, { 1, 5, true, IKE_BACKEND_VICI },
	{ 0, 10, false, IKE_BACKEND_VICI }, { 0, 0, true, IKE_BACKEND_NONE },
};

static struct node node;
static struct vrrp inst[GROUPS];
static struct vrrp_conf conf[GROUPS];
static struct vrrp_vip vip[GROUPS];
static struct node_member member[GROUPS];
static struct node_group group[GROUPS];
static const uint16_t members[GROUPS] = { 0, 1 };
static struct node_peer peer[PEERS];
static struct ike_tunnel tunnel[TUNNELS];
static struct node_act act_mem[ACTS_CAP];
static struct peer_msg msg_mem[NODE_MSGS_FOR(GROUPS)];
static struct node_acts acts = { .a = act_mem, .cap = ACTS_CAP, .msgs = msg_mem, .cap_msgs = NODE_MSGS_FOR(GROUPS) };
static mono_t now;

/* What was done since the log was emptied; messages by value. */
static struct node_act done[LOG_MAX];
static struct peer_msg said[LOG_MAX];
static unsigned n_done;
static bool ike_answers;

static void give(struct node_ev ev);

static void answer_ike(const struct node_act *a)
{
	struct ike_ev ev = { .kind = IKE_EV_REPLY, .epoch = a->ike.epoch, .seq = a->ike.seq, .ok = true };
	if (!ike_answers)
		return;
	if (a->ike.kind == IKE_ACT_TERMINATE)
		ev.req = IKE_REQ_TERMINATE;
	else if (a->ike.kind == IKE_ACT_INITIATE)
		ev.req = IKE_REQ_INITIATE;
	else if (a->ike.kind == IKE_ACT_SWEEP)
		ev.kind = IKE_EV_SWEPT;
	else
		return;
	give((struct node_ev){ .type = NODE_EV_IKE, .tunnel = a->tunnel, .ike = &ev });
}

static void answer_sync(const struct sync_cmd *c)
{
	struct sync_report rep = { .epoch = c->epoch, .seq = c->seq };
	if (c->type == SYNC_CMD_PING)
		rep.type = SYNC_REP_PONG;
	else if (c->type == SYNC_CMD_FENCE)
		rep.type = SYNC_REP_FENCED;
	else if (c->type == SYNC_CMD_FLUSH)
		rep.type = SYNC_REP_FLUSHED;
	else if (c->type == SYNC_CMD_APPLY)
		rep.type = SYNC_REP_APPLIED;
	else
		return;
	give((struct node_ev){ .type = NODE_EV_SYNC, .report = &rep });
}

static void answer(const struct node_act *a)
{
	if (a->type == NODE_ACT_IKE) {
		answer_ike(a);
	} else if (a->type == NODE_ACT_SYNC) {
		answer_sync(&a->cmd);
	} else if (a->type == NODE_ACT_DRAIN) {
		give((struct node_ev){ .type = NODE_EV_DRAINED });
	} else if (a->type == NODE_ACT_NET && a->net_mode != NODE_NET_KEEP) {
		struct node_ev ev = { .type = NODE_EV_GARP, .group = a->group, .epoch = a->epoch };
		if (a->net_mode == NODE_NET_UP)
			give(ev);
		ev.type = NODE_EV_NET;
		ev.net = ROLE_NET_EQUAL;
		give(ev);
	}
}

static void give(struct node_ev ev)
{
	node_step(&node, &ev, now, &acts);
	unsigned from = n_done, n = acts.n;
	ck_assert_uint_le(n_done + n, LOG_MAX);
	for (unsigned i = 0; i < n; i++) {
		done[n_done] = acts.a[i];
		if (acts.a[i].msg) {
			said[n_done] = *acts.a[i].msg;
			done[n_done].msg = &said[n_done];
		}
		n_done++;
	}
	for (unsigned i = 0; i < n; i++)
		answer(&done[from + i]);
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

/* The node's number p, with a group state for each group. */
static void heartbeat(uint32_t from, enum peer_role role0, enum peer_role role1, uint8_t priority, bool ready)
{
	struct peer_msg m = { .type = PEER_HEARTBEAT, .n_groups = GROUPS, .you_have_all = true };
	for (uint16_t g = 0; g < GROUPS; g++)
		m.groups[g] = (struct peer_group_state){
			.group = g, .role = (uint8_t)(g ? role1 : role0), .priority = priority, .ready = ready
		};
	give((struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = from, .msg = &m });
}

static void backup(uint32_t from, uint8_t priority, bool ready)
{
	heartbeat(from, PEER_ROLE_BACKUP, PEER_ROLE_BACKUP, priority, ready);
}

static void connect_peer(uint32_t from)
{
	struct peer_msg m = { .type = PEER_HELLO };
	m.hello.node = from;
	m.hello.boot_nonce = from;
	memcpy(m.hello.config_digest, node.config_digest, sizeof(m.hello.config_digest));
	give((struct node_ev){ .type = NODE_EV_PEER_UP, .peer = from });
	give((struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = from, .msg = &m });
}

static void message(uint32_t from, enum peer_msg_type type, uint16_t g, struct epoch e)
{
	struct peer_msg m = { .type = type, .group = g, .epoch = e };
	give((struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = from, .msg = &m });
}

static void advert_every(uint16_t i, uint8_t priority, int64_t adv_ns)
{
	struct vrrp_ev ev = { .type = VRRP_EV_ADVERT };
	ev.u.advert.priority = priority;
	ev.u.advert.adv_ns = adv_ns;
	ev.u.advert.src = addr_v4(10, 0, (uint8_t)i, 200);
	give((struct node_ev){ .type = NODE_EV_ADVERT, .inst = i, .advert = &ev });
}

static void advert(uint16_t i, uint8_t priority)
{
	advert_every(i, priority, ADV_NS);
}

static void init(void)
{
	now = (mono_t){ 1000 * NS_PER_SEC };
	n_done = 0;
	ike_answers = true;
	memset(group, 0, sizeof(group));
	memset(peer, 0, sizeof(peer));
	for (uint16_t i = 0; i < GROUPS; i++) {
		vip[i].addr = addr_v4(10, 0, (uint8_t)i, 1);
		conf[i] = (struct vrrp_conf){ .vrid = (uint8_t)(10 + i),
					      .af = ADDR_V4,
					      .priority = 150,
					      .adv_ns = ADV_NS,
					      .preempt = true,
					      .garp_repeat = 1,
					      .vips = &vip[i],
					      .n_vips = 1,
					      .n_advertised = 1,
					      .down_adverts = 3,
					      .lower_advert = true };
		vrrp_init(&inst[i], &conf[i]);
		group[i] = (struct node_group){ .members = &members[i], .n_members = 1, .preempt = true };
	}
	for (unsigned t = 0; t < TUNNELS; t++) {
		struct ike_tunnel_conf c = { .name = "t",
					     .group = plan[t].group,
					     .priority = plan[t].priority,
					     .initiate = plan[t].initiate,
					     .backend = plan[t].backend };
		ike_init(&tunnel[t], &c, false, now);
	}
	for (uint8_t p = 0; p < PEERS; p++) {
		peer[p].node = p + 2;
		peer[p].groups = calloc(GROUPS, sizeof(*peer[p].groups));
	}
	struct node_conf c = { .id = 1,
			       .inst = inst,
			       .member = member,
			       .n_inst = GROUPS,
			       .group = group,
			       .n_groups = GROUPS,
			       .peer = peer,
			       .n_peers = PEERS,
			       .tunnel = tunnel,
			       .n_tunnels = TUNNELS,
			       .has_sync = true,
			       .config_digest = { 1, 2, 3, 4 } };
	node_init(&node, &c, now);
	struct ike_ev up = { .kind = IKE_EV_BACKEND_UP };
	for (uint16_t t = 0; t < TUNNELS; t++)
		give((struct node_ev){ .type = NODE_EV_IKE, .tunnel = t, .ike = &up });
	for (uint16_t i = 0; i < GROUPS; i++)
		give((struct node_ev){
		    .type = NODE_EV_LINK, .inst = i, .up = true, .src = addr_v4(10, 0, (uint8_t)i, 2) });
	give((struct node_ev){ .type = NODE_EV_START });
}

static void finish(void)
{
	for (uint8_t p = 0; p < PEERS; p++)
		free(peer[p].groups);
}

/* Only group 0's master fell silent: group 1 has one elsewhere. */
static void take_group_0(void)
{
	for (unsigned i = 0; i < 8; i++) {
		advert(1, 200);
		pass(ADV_NS / 2);
	}
	ck_assert_int_eq(group[0].role.is, ROLE_MASTER);
	ck_assert_int_eq(group[1].role.is, ROLE_BACKUP);
}

static void master_of_both(void)
{
	pass(DOWN_NS);
	ck_assert_int_eq(group[0].role.is, ROLE_MASTER);
	ck_assert_int_eq(group[1].role.is, ROLE_MASTER);
}

/* The nth message of this type that was said; NULL: there is none. */
static const struct node_act *message_said(enum peer_msg_type type, unsigned nth)
{
	for (unsigned i = 0; i < n_done; i++)
		if (done[i].type == NODE_ACT_PEER && done[i].msg->type == type && nth-- == 0)
			return &done[i];
	return NULL;
}

static unsigned ike_count(uint16_t t, enum ike_act_kind kind)
{
	unsigned n = 0;
	for (unsigned i = 0; i < n_done; i++)
		n += done[i].type == NODE_ACT_IKE && done[i].tunnel == t && done[i].ike.kind == kind;
	return n;
}

static struct sync_authority last_authority(void)
{
	for (unsigned i = n_done; i-- > 0;)
		if (done[i].type == NODE_ACT_SYNC && done[i].cmd.type == SYNC_CMD_AUTHORITY)
			return done[i].cmd.authority;
	ck_abort_msg("no authority was told");
	return (struct sync_authority){ 0 };
}

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

/* ---- three nodes: the fittest one follows ---- */

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
	Suite *s = suite_create("node_many");
	TCase *t = tcase_create("all");
	tcase_add_checked_fixture(t, init, finish);
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
	tcase_add_test(t, heartbeats_of_many_groups);
	tcase_add_loop_test(t, a_leaving_master_leaves_to_one, 0, (int)(sizeof(heirs) / sizeof(heirs[0])));
	tcase_add_loop_test(t, a_dead_process_is_followed_by_one, 0, 4);
	tcase_add_loop_test(t, the_ready_one_goes_first, 0, 2);
	tcase_add_test(t, each_peer_hears_what_it_has_itself);
	tcase_add_loop_test(t, who_is_named, 0, 3);
	tcase_add_test(t, a_crowd_takes_over_in_pieces);
	tcase_add_test(t, a_crowd_does_not_speak_in_one_burst);
	tcase_add_test(t, a_crowd_says_what_changed);
	tcase_add_test(t, silence_means_as_before);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
