/*
 * A configuration, addresses and an entry out of bytes; the judgement has to keep its promises: what is local, excluded or
 * off is never told, what was told once stays told unless one of these holds, and times lie where a copy needs them.
 */
#include <string.h>
#include "daemon/base/require.h"
#include "sync/sync_policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bytes {
	const uint8_t *p;
	size_t left;
};

/* Zeros at the end, so that every prefix means something. */
static uint8_t u8(struct bytes *b)
{
	if (b->left == 0)
		return 0;
	b->left--;
	return *b->p++;
}

static uint16_t u16(struct bytes *b)
{
	uint16_t hi = u8(b);

	return (uint16_t)(hi << 8 | u8(b));
}

/* Few bits, so that addresses meet. */
static void some_addr(struct bytes *b, uint8_t l3, uint8_t out[16])
{
	uint8_t v = u8(b);

	memset(out, 0, 16);
	out[0] = l3 == 4 ? (v & 0x80 ? 10 : v & 0x40 ? 127 : 203) : v & 0x80 ? 0x20 : v & 0x40 ? 0xff : 0;
	out[l3 == 4 ? 3 : 15] = v & 0xf;
	out[1] = v >> 4 & 3;
}

static struct addr addr_of(struct bytes *b)
{
	uint8_t l3 = u8(b) & 1 ? 6 : 4, raw[16];

	some_addr(b, l3, raw);
	return addr_from_bytes(l3, raw);
}

static void name(struct bytes *b, char out[SYNC_IFNAME_MAX])
{
	uint8_t v = u8(b) & 3;

	memset(out, 0, SYNC_IFNAME_MAX);
	if (v)
		out[0] = (char)('a' + v);
}

static void make_conf(struct bytes *b, struct sync_conf *c, struct sync_locals *l)
{
	struct addr own[4];
	struct sync_net nets[3];
	uint8_t bits = u8(b);

	memset(c, 0, sizeof(*c));
	c->replicate = !(bits & 1);
	c->quick = bits & 2;
	c->protocols = bits & 4 ? u8(b) : SYNC_PROTO_ALL;
	c->tcp_states = bits & 8 ? u16(b) & 0x3fe : 0;
	c->n_vips = bits >> 4 & 3;
	for (unsigned i = 0; i < c->n_vips; i++)
		c->vips[i] = addr_of(b);
	c->n_ignore = u8(b) & 3;
	for (unsigned i = 0; i < c->n_ignore; i++) {
		struct sync_ignore *g = &c->ignore[i];
		uint8_t parts = u8(b);
		if (parts & 1)
			g->net = addr_of(b);
		g->plen = parts & 1 ? u8(b) & (g->net.af == ADDR_V4 ? 31 : 127) : 0;
		g->protocols = parts & 2 ? u8(b) : SYNC_PROTO_ALL;
		g->port_low = parts & 4 ? u16(b) : 0;
		g->port_high = parts & 4 ? u16(b) : UINT16_MAX;
		g->any_zone = !(parts & 8);
		g->zone = parts & 8 ? u8(b) & 3 : 0;
		if (parts & 16)
			name(b, g->ifname);
	}
	unsigned n = u8(b) & 3, n_nets = u8(b) & 3;
	for (unsigned i = 0; i < n; i++)
		own[i] = addr_of(b);
	memset(nets, 0, sizeof(nets));
	for (unsigned i = 0; i < n_nets; i++) {
		nets[i].net = addr_of(b);
		nets[i].plen = u8(b) & (nets[i].net.af == ADDR_V4 ? 31 : 127);
		name(b, nets[i].ifname);
	}
	memset(l, 0, sizeof(*l));
	sync_locals_conf(l, c);
	require(sync_locals_set(l, own, n) == 0);
	require(sync_locals_nets(l, c, nets, n_nets) >= 0);
}

static void make_entry(struct bytes *b, struct ct_entry *e)
{
	static const uint8_t protos[] = { 6, 17, 1, 58, 132, 33, 47, 136, 50, 89 };
	uint8_t form = u8(b);

	memset(e, 0, sizeof(*e));
	e->orig.l3 = e->reply.l3 = form & 1 ? 6 : 4;
	e->orig.l4 = e->reply.l4 = form & 2 ? u8(b) : protos[u8(b) % sizeof(protos)];
	some_addr(b, e->orig.l3, e->orig.src);
	some_addr(b, e->orig.l3, e->orig.dst);
	some_addr(b, e->orig.l3, e->reply.src);
	some_addr(b, e->orig.l3, e->reply.dst);
	e->orig.dport = u16(b);
	e->orig.zone = u8(b) & 3;
	e->has = u16(b);
	e->status = u16(b);
	e->tcp_state = u8(b) % 10;
	e->sctp_state = u8(b) % 10;
}

/* Reasons that hold for what was told already. */
static bool lasting(enum sync_why w)
{
	return w == SYNC_WHY_NONE || w == SYNC_WHY_OFF || w == SYNC_WHY_LOCAL_ORIGIN || w == SYNC_WHY_LOCAL_DEST ||
	       w == SYNC_WHY_PROTO_OFF || w == SYNC_WHY_IGNORED || w == SYNC_WHY_NODE_ADDR;
}

static void check_judgement(struct sync_conf *c, const struct sync_locals *l, const struct ct_entry *e)
{
	enum sync_why w = sync_policy_judge(c, l, e, false), before = sync_policy_judge(c, l, e, true);
	int rule = sync_filter_rule(c, l, e);
	bool on = c->protocols >> sync_proto_of(e->orig.l4) & 1;
	bool reply = e->has & CT_HAS_REPLY, local = sync_local_is_own(l, e->orig.l3, e->orig.src);

	require(w < SYNC_WHY_N && lasting(before));
	/* A state stops nothing that was told, and nothing else changes with that. */
	require(before == w || (before == SYNC_WHY_NONE && sync_why_disposition(w) == SYNC_DISP_PENDING));
	require((w == SYNC_WHY_OFF) == !c->replicate);
	local |= reply && sync_local_is_own(l, e->orig.l3, e->reply.src);
	require(!local || w == SYNC_WHY_OFF || w == SYNC_WHY_LOCAL_ORIGIN || w == SYNC_WHY_LOCAL_DEST);
	require(before != SYNC_WHY_NONE || (on && rule < 0 && !local));
	require(w != SYNC_WHY_IGNORED || rule >= 0);
	require(rule < (int)c->n_ignore);
	require(w != SYNC_WHY_NODE_ADDR || (e->status & CT_ST_SRC_NAT && reply));
	require(w != SYNC_WHY_STATE || c->tcp_states != 0);
	if (rule < 0)
		return;
	/* The first one that matches: without it and those before it, none of these does. */
	uint32_t kept[SYNC_IGNORE_MAX];
	for (int i = 0; i <= rule; i++) {
		kept[i] = c->ignore[i].protocols;
		c->ignore[i].protocols = 0;
	}
	int next = sync_filter_rule(c, l, e);
	require(next < 0 || next > rule);
	for (int i = 0; i <= rule; i++)
		c->ignore[i].protocols = kept[i];
}

static void check_times(const struct ct_entry *e, uint32_t left)
{
	struct sync_timeouts t;

	sync_timeouts_default(&t);
	require(sync_policy_full_timeout(&t, e) >= 3);
	uint32_t grant = sync_policy_grant(e, left, 300);
	if (sync_policy_short(e)) {
		require(!(e->status & CT_ST_OFFLOAD) && grant == left + SYNC_GRACE_S);
		return;
	}
	require(grant >= 300 && grant <= SYNC_LEASE_MAX_S);
	require(grant >= left + SYNC_GRACE_S || left + SYNC_GRACE_S > SYNC_LEASE_MAX_S);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sync_conf conf;
	static struct sync_locals locals;
	struct bytes b = { data, size };
	struct ct_entry e;

	make_conf(&b, &conf, &locals);
	for (unsigned i = 0; i < 4; i++) {
		make_entry(&b, &e);
		check_judgement(&conf, &locals, &e);
		check_times(&e, u16(&b));
	}
	return 0;
}
