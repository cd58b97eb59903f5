/*
 * Two nodes in one virtual time: every row of the group table and every kind of role change through node_step, messages
 * lost at the worst moment, and input that must change nothing.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/node.h"

#define INSTS     2
#define ADV_NS    (100 * NS_PER_MS)
#define QUEUE_MAX 4096
#define ACTS_CAP  (NODE_ACTS_FOR(INSTS, 1) + 64)
#define DOWN_NS   (400 * NS_PER_MS) /* longer than any master-down time here */

struct box {
	struct node node;
	struct vrrp inst[INSTS];
	struct vrrp_conf conf[INSTS];
	struct vrrp_vip vip[INSTS];
	struct node_member member[INSTS];
	struct node_group group;
	uint16_t members[INSTS];
	struct node_peer peer[1];
	struct ike_tunnel tunnel;
	struct ike_tunnel_conf tunnel_conf;
	struct node_acts acts;
	struct node_act act_mem[ACTS_CAP];
	struct peer_msg msg_mem[NODE_MSGS_FOR(1)];
	bool alive, asleep, sync_hangs, keeps_all, stopped, aborted, guardian, refused_probe;
	bool link[INSTS];
	enum node_net_mode net;
	enum role_net net_result;
	unsigned told[NODE_TOLD_COUNT], sent[INSTS], zero[INSTS], announced[INSTS], hooks, journals, net_downs;
	mono_t master_since;
};

struct item {
	unsigned to;
	struct node_ev ev;
	struct vrrp_ev advert;
	struct sync_report report;
	struct peer_msg msg;
	struct ike_ev ike;
};

static struct box box[2];
static struct item queue[QUEUE_MAX];
static unsigned head, tail;
static mono_t now;
static bool channel;
static bool segment[INSTS]; /* adverts pass between the nodes */
static unsigned lost_msgs;  /* bit per enum peer_msg_type: lost on the way */
static unsigned seen_msgs[16];
static struct {
	enum peer_msg_type on;
	int who; /* this node dies when it sends such a message */
} death;

static void run_queue(void);

static struct item *post(unsigned to, struct node_ev ev)
{
	ck_assert_uint_lt(tail, QUEUE_MAX);
	struct item *it = &queue[tail++];
	*it = (struct item){ .to = to, .ev = ev };
	return it;
}

static void post_report(unsigned to, enum sync_report_type type, const struct sync_cmd *c)
{
	struct item *it = post(to, (struct node_ev){ .type = NODE_EV_SYNC });
	it->report = (struct sync_report){ .type = type, .epoch = c->epoch, .seq = c->seq };
	it->ev.report = &it->report;
}

static void act_sync(unsigned who, const struct sync_cmd *c)
{
	if (box[who].sync_hangs)
		return;
	switch (c->type) {
	case SYNC_CMD_PING:
		post_report(who, SYNC_REP_PONG, c);
		return;
	case SYNC_CMD_FENCE:
		post_report(who, SYNC_REP_FENCED, c);
		return;
	case SYNC_CMD_FLUSH:
		post_report(who, SYNC_REP_FLUSHED, c);
		return;
	case SYNC_CMD_APPLY:
		post_report(who, SYNC_REP_APPLIED, c);
		return;
	case SYNC_CMD_AUTHORITY:
	case SYNC_CMD_JOIN:
	case SYNC_CMD_DEMOTING:
	case SYNC_CMD_STABLE:
	case SYNC_CMD_DELETE_CT:
	case SYNC_CMD_PEER_ALIVE:
	case SYNC_CMD_CLIENT:
	case SYNC_CMD_STALL:
	case SYNC_CMD_CONF:
	case SYNC_CMD_STOP:
		return;
	}
}

static void act_net(unsigned who, const struct node_act *a)
{
	struct box *b = &box[who];
	b->net = a->net_mode;
	b->net_downs += a->net_mode == NODE_NET_DOWN;
	if (a->net_mode == NODE_NET_KEEP)
		return;
	struct node_ev ev = { .group = a->group, .epoch = a->epoch };
	if (a->net_mode == NODE_NET_UP) {
		ev.type = NODE_EV_VIP_UP;
		post(who, ev);
		ev.type = NODE_EV_GARP;
		post(who, ev);
		ev.net = b->net_result;
		ev.err = ev.net == ROLE_NET_EQUAL ? 0 : -12;
	} else {
		ev.net = ROLE_NET_EQUAL;
	}
	ev.type = NODE_EV_NET;
	post(who, ev);
}

static void act_advert(unsigned who, const struct node_act *a)
{
	struct box *b = &box[who];
	b->sent[a->inst]++;
	b->zero[a->inst] += a->priority == 0;
	unsigned to = 1 - who;
	if (!segment[a->inst] || !b->link[a->inst] || !box[to].link[a->inst] || !box[to].alive || box[to].asleep)
		return;
	struct item *it = post(to, (struct node_ev){ .type = NODE_EV_ADVERT, .inst = a->inst });
	it->advert = (struct vrrp_ev){ .type = VRRP_EV_ADVERT };
	it->advert.u.advert.priority = a->priority;
	it->advert.u.advert.adv_ns = b->conf[a->inst].adv_ns;
	it->advert.u.advert.src = b->inst[a->inst].src;
	it->ev.advert = &it->advert;
}

static void act_peer(unsigned who, const struct node_act *a)
{
	unsigned to = 1 - who;
	seen_msgs[a->msg->type]++;
	if (channel && box[to].alive && !box[to].asleep && !(lost_msgs & 1u << a->msg->type)) {
		struct item *it = post(to, (struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = who + 1 });
		it->msg = *a->msg;
		it->ev.msg = &it->msg;
	}
	if (death.on && a->msg->type == death.on && death.who == (int)who)
		box[who].alive = false;
}

static void act_ike(unsigned who, const struct node_act *a)
{
	struct ike_ev ev = { .kind = IKE_EV_REPLY, .epoch = a->ike.epoch, .seq = a->ike.seq, .ok = true };
	bool up = false;
	switch (a->ike.kind) {
	case IKE_ACT_TERMINATE:
		ev.req = IKE_REQ_TERMINATE;
		break;
	case IKE_ACT_INITIATE:
		ev.req = IKE_REQ_INITIATE;
		up = true;
		break;
	case IKE_ACT_REKEY:
		ev.req = IKE_REQ_REKEY;
		break;
	case IKE_ACT_LIST:
		ev.kind = IKE_EV_SA_LIST;
		ev.req = IKE_REQ_LIST;
		ev.sample = (struct ike_sample){ .present = true, .established = true, .child = true, .sa_id = 1 };
		break;
	case IKE_ACT_SWEEP:
		ev.kind = IKE_EV_SWEPT;
		break;
	case IKE_ACT_PURGED:
	case IKE_ACT_UP:
	case IKE_ACT_DOWN:
	case IKE_ACT_DPD_DEAD:
	case IKE_ACT_RESET_FAILED:
	case IKE_ACT_HOOK:
	case IKE_ACT_TRACE:
	case IKE_ACT_N:
		ck_abort_msg("action %d is not the shell's", a->ike.kind);
	}
	struct item *it = post(who, (struct node_ev){ .type = NODE_EV_IKE, .tunnel = a->tunnel });
	it->ike = ev;
	it->ev.ike = &it->ike;
	if (!up)
		return;
	it = post(who, (struct node_ev){ .type = NODE_EV_IKE, .tunnel = a->tunnel });
	it->ike = (struct ike_ev){ .kind = IKE_EV_CHILD_UPDOWN, .up = true, .sa_id = 1 };
	it->ev.ike = &it->ike;
}

static void act(unsigned who, const struct node_act *a)
{
	struct box *b = &box[who];
	if (!b->alive)
		return;
	switch (a->type) {
	case NODE_ACT_ADVERT:
		act_advert(who, a);
		return;
	case NODE_ACT_SYNC:
		act_sync(who, &a->cmd);
		return;
	case NODE_ACT_NET:
		act_net(who, a);
		return;
	case NODE_ACT_PEER:
		act_peer(who, a);
		return;
	case NODE_ACT_PROBE:
		post(who, (struct node_ev){ .type = NODE_EV_PROBE, .peer = a->peer, .refused = b->refused_probe });
		return;
	case NODE_ACT_IKE:
		act_ike(who, a);
		return;
	case NODE_ACT_HOOK:
		b->hooks += a->hook == HOOK_ROLE;
		return;
	case NODE_ACT_JOURNAL:
		b->journals++;
		return;
	case NODE_ACT_DRAIN:
		post(who, (struct node_ev){ .type = NODE_EV_DRAINED });
		return;
	case NODE_ACT_ANNOUNCE:
		ck_assert_int_eq(b->inst[a->inst].state, VRRP_MASTER);
		b->announced[a->inst]++;
		return;
	case NODE_ACT_TOLD:
		b->told[a->what]++;
		return;
	case NODE_ACT_GUARDIAN:
		b->guardian = a->on;
		return;
	case NODE_ACT_STOPPED:
		b->stopped = true;
		return;
	case NODE_ACT_ABORT:
		b->aborted = true;
		return;
	case NODE_ACT_ROLE_EPOCH:
	case NODE_ACT_PREPARE:
		return;
	}
}

static enum role_is is(unsigned who)
{
	return box[who].node.group[0].role.is;
}

static void feed(unsigned who, const struct node_ev *ev)
{
	struct box *b = &box[who];
	if (!b->alive || b->asleep)
		return;
	struct epoch before = b->node.group[0].role.epoch;
	bool was_master = is(who) == ROLE_MASTER;
	node_step(&b->node, ev, now, &b->acts);
	ck_assert_int_ge(epoch_cmp(b->node.group[0].role.epoch, before), 0);
	for (unsigned i = 0; i < b->acts.n; i++)
		act(who, &b->acts.a[i]);
	if (is(who) == ROLE_MASTER && !was_master)
		b->master_since = now;
}

static void give(unsigned who, struct node_ev ev)
{
	feed(who, &ev);
	run_queue();
}

static void run_queue(void)
{
	while (head < tail) {
		struct item *it = &queue[head++];
		feed(it->to, &it->ev);
	}
	head = tail = 0;
}

/* Lets virtual time pass; every deadline is met exactly. */
static void pass(int64_t ns)
{
	mono_t end = mono_add(now, ns);
	for (;;) {
		mono_t next = end;
		for (unsigned i = 0; i < 2; i++)
			if (box[i].alive && !box[i].asleep)
				next = mono_min(next, node_deadline(&box[i].node));
		now = mono_max(now, next);
		if (!mono_before(now, end))
			break;
		for (unsigned i = 0; i < 2; i++)
			if (mono_due(node_deadline(&box[i].node), now))
				give(i, (struct node_ev){ .type = NODE_EV_TICK });
	}
	now = end;
}

static void hello(unsigned to)
{
	struct peer_msg m = { .type = PEER_HELLO };
	m.hello.node = 2 - to;
	m.hello.boot_nonce = 77 + box[1 - to].node.id;
	m.hello.epoch_max = box[1 - to].node.seen;
	memcpy(m.hello.config_digest, box[1 - to].node.config_digest, sizeof(m.hello.config_digest));
	give(to, (struct node_ev){ .type = NODE_EV_PEER_UP, .peer = 2 - to });
	give(to, (struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = 2 - to, .msg = &m });
}

static void set_channel(bool up)
{
	if (channel == up)
		return;
	channel = up;
	for (unsigned i = 0; i < 2; i++) {
		if (up)
			hello(i);
		else
			give(i, (struct node_ev){ .type = NODE_EV_PEER_DOWN, .peer = 2 - i, .lost = true });
	}
}

static void replicated(bool all)
{
	struct sync_report rep = { .type = SYNC_REP_STATE };
	rep.state.peer_has_all = all;
	for (unsigned i = 0; i < 2; i++) {
		rep.state.has_all[0] = all ? 2 - i : 0;
		give(i, (struct node_ev){ .type = NODE_EV_SYNC, .report = &rep });
	}
}

static void set_link(unsigned who, uint16_t inst, bool up)
{
	box[who].link[inst] = up;
	give(who, (struct node_ev){ .type = NODE_EV_LINK, .inst = inst, .up = up, .src = box[who].vip[inst].addr });
}

static void build(unsigned who, uint8_t prio0, uint8_t prio1)
{
	struct box *b = &box[who];
	memset(b, 0, sizeof(*b));
	b->alive = true;
	b->net_result = ROLE_NET_EQUAL;
	b->acts =
	    (struct node_acts){ .a = b->act_mem, .cap = ACTS_CAP, .msgs = b->msg_mem, .cap_msgs = NODE_MSGS_FOR(1) };
	for (uint16_t i = 0; i < INSTS; i++) {
		b->vip[i].addr = (struct addr){ .af = ADDR_V4, .b = { 10, 0, (uint8_t)i, (uint8_t)(who + 2) } };
		b->conf[i] = (struct vrrp_conf){ .vrid = (uint8_t)(10 + i),
						 .af = ADDR_V4,
						 .priority = i ? prio1 : prio0,
						 .adv_ns = ADV_NS,
						 .preempt = true,
						 .garp_repeat = 1,
						 .vips = &b->vip[i],
						 .n_vips = 1,
						 .n_advertised = 1,
						 .down_adverts = 3,
						 .lower_advert = true };
		vrrp_init(&b->inst[i], &b->conf[i]);
		b->members[i] = i;
	}
	b->group = (struct node_group){ .members = b->members, .n_members = INSTS, .preempt = true };
	b->tunnel_conf = (struct ike_tunnel_conf){ .name = "hq", .initiate = true };
	ike_init(&b->tunnel, &b->tunnel_conf, false, now);
	b->peer[0].node = 2 - who;
	b->peer[0].groups = calloc(1, sizeof(*b->peer[0].groups));
	struct node_conf c = { .id = who + 1,
			       .inst = b->inst,
			       .member = b->member,
			       .n_inst = INSTS,
			       .group = &b->group,
			       .n_groups = 1,
			       .peer = b->peer,
			       .n_peers = 1,
			       .tunnel = &b->tunnel,
			       .n_tunnels = 1,
			       .has_sync = true,
			       .sync_gate = true,
			       .config_digest = { 1, 2, 3, 4 } };
	node_init(&b->node, &c, now);
}

static void power_on(unsigned who, bool adopting)
{
	struct ike_ev up = { .kind = IKE_EV_BACKEND_UP };
	give(who, (struct node_ev){ .type = NODE_EV_IKE, .tunnel = 0, .ike = &up });
	for (uint16_t i = 0; i < INSTS; i++)
		set_link(who, i, true);
	give(who, (struct node_ev){ .type = NODE_EV_START, .adopting = adopting });
}

static void world(uint8_t a0, uint8_t a1, uint8_t b0, uint8_t b1)
{
	now = (mono_t){ 1000 * NS_PER_SEC };
	head = tail = 0;
	channel = false;
	lost_msgs = 0;
	memset(seen_msgs, 0, sizeof(seen_msgs));
	death.on = 0;
	segment[0] = segment[1] = true;
	build(0, a0, a1);
	build(1, b0, b1);
}

/* fw-a (0) is MASTER, fw-b (1) a ready BACKUP. */
static void setup(void)
{
	world(150, 150, 100, 100);
	power_on(0, false);
	power_on(1, false);
	set_channel(true);
	replicated(true);
	pass(NS_PER_SEC);
	ck_assert_int_eq(is(0), ROLE_MASTER);
	ck_assert_int_eq(is(1), ROLE_BACKUP);
	ck_assert(node_group_peer_ready(&box[0].node, 0, now));
	memset(seen_msgs, 0, sizeof(seen_msgs));
	for (unsigned i = 0; i < 2; i++)
		memset(box[i].told, 0, sizeof(box[i].told));
}

static void teardown(void)
{
	for (unsigned i = 0; i < 2; i++)
		free(box[i].peer[0].groups);
}

/* One master, whose addresses are up, and nobody else's. Whoever is dead or asleep does not count. */
static void master_is(unsigned who)
{
	const struct box *other = &box[1 - who];
	bool counts = other->alive && !other->asleep;
	ck_assert_msg(is(who) == ROLE_MASTER && (!counts || is(1 - who) != ROLE_MASTER), "fw-a is %s, fw-b is %s",
		      role_is_text((uint8_t)is(0)), role_is_text((uint8_t)is(1)));
	ck_assert_int_eq(box[who].net, NODE_NET_UP);
	ck_assert(!counts || other->net == NODE_NET_DOWN);
	for (unsigned i = 0; i < INSTS; i++)
		ck_assert(!box[who].link[i] || box[who].inst[i].state == VRRP_MASTER);
	ck_assert_int_eq(box[who].node.group[0].role.state, ROLE_STABLE);
}

static const struct role_record *last(unsigned who)
{
	return &box[who].node.group[0].role.rec;
}

/* ---- the rows of the group table ---- */

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
	teardown();
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

/* ---- planned switches, and what may go wrong in them ---- */

static void force_from_a(void)
{
	give(0, (struct node_ev){ .type = NODE_EV_FORCE, .group = 0 });
}

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
	teardown();
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

/* The channel may be quicker than the interfaces. */
START_TEST(leftovers_and_the_peer_is_there_already)
{
	teardown();
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
	teardown();
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
	Suite *s = suite_create("node");
	TCase *tc = tcase_create("two nodes");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 30);
	tcase_add_loop_test(tc, all_expired, 0, 2);
	tcase_add_loop_test(tc, one_member_deaf, 0, 2);
	tcase_add_test(tc, one_member_deaf_and_the_peer_is_no_master);
	tcase_add_test(tc, priority_zero_and_leaving);
	tcase_add_test(tc, leaving_said_while_we_slept);
	tcase_add_test(tc, leaving_was_not_heard);
	tcase_add_test(tc, fault_after_fault_is_no_leaving);
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
	tcase_add_test(tc, force_both_ways);
	tcase_add_test(tc, address_lost);
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
	tcase_add_test(tc, leftovers_in_maintenance);
	tcase_add_test(tc, leftovers_and_the_peer_is_there_already);
	tcase_add_loop_test(tc, a_stop_without_up_says_goodbye, 0, 2);
	tcase_add_test(tc, the_successor_dies_and_the_stop_says_goodbye);
	tcase_add_test(tc, commit_ends_when_the_link_goes);
	tcase_add_test(tc, planned_commit_ends_when_the_link_goes);
	tcase_add_test(tc, a_lost_address_comes_back_after_a_while);
	tcase_add_loop_test(tc, arbitrating_ends, 0, 6);
	tcase_add_test(tc, without_arbitrate_a_cut_makes_two_masters);
	tcase_add_loop_test(tc, a_lower_master_is_named, 0, 2);
	tcase_add_loop_test(tc, a_higher_master_is_named_when_it_is_endured, 0, 2);
	tcase_add_test(tc, switches_are_no_split_brain);
	tcase_add_test(tc, maintenance_stays_out);
	tcase_add_test(tc, maintenance_without_a_peer_goes_on);
	tcase_add_test(tc, maintenance_while_committing);
	tcase_add_loop_test(tc, stalled_master_listens_first, 0, 2);
	tcase_add_test(tc, stalled_master_alone_goes_on);
	tcase_add_test(tc, late_backup_rearms_once);
	tcase_add_test(tc, hung_sync);
	tcase_add_test(tc, hung_sync_alone_keeps_the_role);
	tcase_add_test(tc, hung_sync_takes_a_missing_master);
	tcase_add_loop_test(tc, adopting, 0, 4);
	tcase_add_loop_test(tc, a_member_follows_its_group, 0, 2);
	tcase_add_test(tc, unknown_numbers);
	tcase_add_test(tc, another_vrrp_section_has_no_say);
	tcase_add_test(tc, absurd_epochs_have_no_say);
	tcase_add_test(tc, old_epochs_have_no_say);
	tcase_add_test(tc, force_where_it_makes_no_sense);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
