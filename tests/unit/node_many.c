/* One node with two groups, five tunnels and two peers, driven by hand. */
#include "tests/unit/node_many.h"
#include <string.h>

#define ACTS_CAP (NODE_ACTS_FOR(GROUPS, GROUPS) + 128)

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

struct node node;
struct vrrp inst[GROUPS];
struct vrrp_conf conf[GROUPS];
static struct vrrp_vip vip[GROUPS];
static struct node_member member[GROUPS];
struct node_group group[GROUPS];
static const uint16_t members[GROUPS] = { 0, 1 };
struct node_peer peer[PEERS];
struct ike_tunnel tunnel[TUNNELS];
static struct node_act act_mem[ACTS_CAP];
static struct peer_msg msg_mem[NODE_MSGS_FOR(GROUPS)];
static struct node_acts acts = { .a = act_mem, .cap = ACTS_CAP, .msgs = msg_mem, .cap_msgs = NODE_MSGS_FOR(GROUPS) };
mono_t now;

struct node_act done[LOG_MAX];
static struct peer_msg said[LOG_MAX];
unsigned n_done;
bool ike_answers;

void answer_ike(const struct node_act *a)
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

void give(struct node_ev ev)
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

void pass(int64_t ns)
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
void heartbeat(uint32_t from, enum peer_role role0, enum peer_role role1, uint8_t priority, bool ready)
{
	struct peer_msg m = { .type = PEER_HEARTBEAT, .n_groups = GROUPS, .you_have_all = true };
	for (uint16_t g = 0; g < GROUPS; g++)
		m.groups[g] = (struct peer_group_state){
			.group = g, .role = (uint8_t)(g ? role1 : role0), .priority = priority, .ready = ready
		};
	give((struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = from, .msg = &m });
}

void backup(uint32_t from, uint8_t priority, bool ready)
{
	heartbeat(from, PEER_ROLE_BACKUP, PEER_ROLE_BACKUP, priority, ready);
}

void connect_peer(uint32_t from)
{
	struct peer_msg m = { .type = PEER_HELLO };
	m.hello.node = from;
	m.hello.boot_nonce = from;
	memcpy(m.hello.config_digest, node.config_digest, sizeof(m.hello.config_digest));
	give((struct node_ev){ .type = NODE_EV_PEER_UP, .peer = from });
	give((struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = from, .msg = &m });
}

void message(uint32_t from, enum peer_msg_type type, uint16_t g, struct epoch e)
{
	struct peer_msg m = { .type = type, .group = g, .epoch = e };
	give((struct node_ev){ .type = NODE_EV_PEER_MSG, .peer = from, .msg = &m });
}

void advert_every(uint16_t i, uint8_t priority, int64_t adv_ns)
{
	struct vrrp_ev ev = { .type = VRRP_EV_ADVERT };
	ev.u.advert.priority = priority;
	ev.u.advert.adv_ns = adv_ns;
	ev.u.advert.src = addr_v4(10, 0, (uint8_t)i, 200);
	give((struct node_ev){ .type = NODE_EV_ADVERT, .inst = i, .advert = &ev });
}

void advert(uint16_t i, uint8_t priority)
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

void take_group_0(void)
{
	for (unsigned i = 0; i < 8; i++) {
		advert(1, 200);
		pass(ADV_NS / 2);
	}
	ck_assert_int_eq(group[0].role.is, ROLE_MASTER);
	ck_assert_int_eq(group[1].role.is, ROLE_BACKUP);
}

void master_of_both(void)
{
	pass(DOWN_NS);
	ck_assert_int_eq(group[0].role.is, ROLE_MASTER);
	ck_assert_int_eq(group[1].role.is, ROLE_MASTER);
}

const struct node_act *message_said(enum peer_msg_type type, unsigned nth)
{
	for (unsigned i = 0; i < n_done; i++)
		if (done[i].type == NODE_ACT_PEER && done[i].msg->type == type && nth-- == 0)
			return &done[i];
	return NULL;
}

unsigned ike_count(uint16_t t, enum ike_act_kind kind)
{
	unsigned n = 0;
	for (unsigned i = 0; i < n_done; i++)
		n += done[i].type == NODE_ACT_IKE && done[i].tunnel == t && done[i].ike.kind == kind;
	return n;
}

struct sync_authority last_authority(void)
{
	for (unsigned i = n_done; i-- > 0;)
		if (done[i].type == NODE_ACT_SYNC && done[i].cmd.type == SYNC_CMD_AUTHORITY)
			return done[i].cmd.authority;
	ck_abort_msg("no authority was told");
	return (struct sync_authority){ 0 };
}

int node_many_run(const char *name, TCase *t)
{
	Suite *s = suite_create(name);

	tcase_add_checked_fixture(t, init, finish);
	suite_add_tcase(s, t);
	return unit_run(s);
}
