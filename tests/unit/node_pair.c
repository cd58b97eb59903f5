/* Two nodes in one virtual time: what carries out their actions. */
#include "tests/unit/node_pair.h"
#include "tests/unit/run.h"

#define QUEUE_MAX 4096

struct item {
	unsigned to;
	struct node_ev ev;
	struct vrrp_ev advert;
	struct sync_report report;
	struct peer_msg msg;
	struct ike_ev ike;
};

struct box box[2];
static struct item queue[QUEUE_MAX];
static unsigned head, tail;
mono_t now;
bool channel;
bool segment[INSTS];
unsigned lost_msgs;
unsigned seen_msgs[16];
struct node_death death;

void run_queue(void);

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
	case SYNC_CMD_FACTS:
	case SYNC_CMD_LISTENERS:
	case SYNC_CMD_STOP:
	case SYNC_CMD_CLEAR:
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
	bool up = false, closed = false;
	switch (a->ike.kind) {
	case IKE_ACT_CLOSE:
		ev.req = IKE_REQ_CLOSE;
		closed = true;
		break;
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
	case IKE_ACT_CLOSED:
	case IKE_ACT_MADE:
	case IKE_ACT_N:
		ck_abort_msg("action %d is not the shell's", a->ike.kind);
	}
	struct item *it = post(who, (struct node_ev){ .type = NODE_EV_IKE, .tunnel = a->tunnel });
	it->ike = ev;
	it->ev.ike = &it->ike;
	if (!up && !closed)
		return;
	it = post(who, (struct node_ev){ .type = NODE_EV_IKE, .tunnel = a->tunnel });
	it->ike = (struct ike_ev){ .kind = up ? IKE_EV_CHILD_UPDOWN : IKE_EV_IKE_UPDOWN, .up = up, .sa_id = up };
	it->ev.ike = &it->ike;
}

void act(unsigned who, const struct node_act *a)
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
	case NODE_ACT_SA_IMPORT:
		b->imports++;
		ck_assert_int_ne(b->net, NODE_NET_UP); /* before the address answers */
		if (!b->import_hangs)
			post(who,
			     (struct node_ev){ .type = NODE_EV_SA_IMPORTED, .group = a->group, .epoch = a->epoch });
		return;
	case NODE_ACT_SA_REMOVE:
		b->removals++;
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

enum role_is is(unsigned who)
{
	return box[who].node.group[0].role.is;
}

void feed(unsigned who, const struct node_ev *ev)
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

void give(unsigned who, struct node_ev ev)
{
	feed(who, &ev);
	run_queue();
}

void run_queue(void)
{
	while (head < tail) {
		struct item *it = &queue[head++];
		feed(it->to, &it->ev);
	}
	head = tail = 0;
}

/* Lets virtual time pass; every deadline is met exactly. */
void pass(int64_t ns)
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

void set_channel(bool up)
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

void replicated(bool all)
{
	struct sync_report rep = { .type = SYNC_REP_STATE };
	rep.state.peer_has_all = all;
	for (unsigned i = 0; i < 2; i++) {
		rep.state.has_all[0] = all ? 2 - i : 0;
		give(i, (struct node_ev){ .type = NODE_EV_SYNC, .report = &rep });
	}
}

void set_link(unsigned who, uint16_t inst, bool up)
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

void power_on(unsigned who, bool adopting)
{
	struct ike_ev up = { .kind = IKE_EV_BACKEND_UP };
	give(who, (struct node_ev){ .type = NODE_EV_IKE, .tunnel = 0, .ike = &up });
	for (uint16_t i = 0; i < INSTS; i++)
		set_link(who, i, true);
	give(who, (struct node_ev){ .type = NODE_EV_START, .adopting = adopting });
}

static void teardown(void)
{
	for (unsigned i = 0; i < 2; i++) {
		free(box[i].peer[0].groups);
		box[i].peer[0].groups = NULL;
	}
}

void world(uint8_t a0, uint8_t a1, uint8_t b0, uint8_t b1)
{
	teardown();
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

/* One master, whose addresses are up, and nobody else's. Whoever is dead or asleep does not count. */
void master_is(unsigned who)
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

const struct role_record *last(unsigned who)
{
	return &box[who].node.group[0].role.rec;
}

/* ---- the rows of the group table ---- */

void force_from_a(void)
{
	give(0, (struct node_ev){ .type = NODE_EV_FORCE, .group = 0 });
}

int pair_run(const char *name, TCase *tc)
{
	Suite *s = suite_create(name);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 30);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
