/* Operations to ctnetlink messages. The rules the kernel imposes stand at each attribute (nf_conntrack_netlink.c). */
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include "daemon/base/err.h"
#include "sync/ct_wire.h"

enum { FAMILY_V4 = 2, FAMILY_V6 = 10, HDR_LEN = 16 };

static void put_host16(struct wire_wr *w, uint16_t v)
{
	wire_put_bytes(w, &v, sizeof(v));
}

static void put_host32(struct wire_wr *w, uint32_t v)
{
	wire_put_bytes(w, &v, sizeof(v));
}

/* An attribute with n bytes of payload, padded; the header is in host order. */
static void put_attr(struct wire_wr *w, uint16_t type, const void *data, size_t n)
{
	static const uint8_t zero[4];
	put_host16(w, (uint16_t)(4 + n));
	put_host16(w, type);
	wire_put_bytes(w, data, n);
	wire_put_bytes(w, zero, (4 - n % 4) % 4);
}

static void attr_u8(struct wire_wr *w, uint16_t type, uint8_t v)
{
	put_attr(w, type, &v, 1);
}

static void attr_be16(struct wire_wr *w, uint16_t type, uint16_t v)
{
	const uint8_t b[2] = { (uint8_t)(v >> 8), (uint8_t)v };
	put_attr(w, type, b, 2);
}

static void attr_be32(struct wire_wr *w, uint16_t type, uint32_t v)
{
	const uint8_t b[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };
	put_attr(w, type, b, 4);
}

static size_t nest_begin(struct wire_wr *w, uint16_t type)
{
	size_t at = wire_len(w);
	put_host16(w, 0);
	put_host16(w, (uint16_t)(type | NLA_F_NESTED));
	return at;
}

static void nest_end(struct wire_wr *w, size_t at)
{
	uint16_t len = (uint16_t)(wire_len(w) - at);
	if (!w->bad)
		memcpy(w->base + at, &len, sizeof(len));
}

static size_t msg_begin(struct wire_wr *w, uint8_t cmd, uint16_t flags, uint32_t seq, uint8_t family)
{
	size_t at = wire_len(w);
	put_host32(w, 0);
	put_host16(w, (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | cmd));
	put_host16(w, (uint16_t)(NLM_F_REQUEST | flags));
	put_host32(w, seq);
	put_host32(w, 0); /* the kernel fills in the port id */
	wire_put_u8(w, family);
	wire_put_u8(w, NFNETLINK_V0);
	wire_put_u16(w, 0);
	return at;
}

static void msg_end(struct wire_wr *w, size_t at)
{
	uint32_t len = (uint32_t)(wire_len(w) - at);
	if (!w->bad)
		memcpy(w->base + at, &len, sizeof(len));
}

static bool is_icmp(uint8_t l4)
{
	return l4 == IPPROTO_ICMP || l4 == IPPROTO_ICMPV6;
}

/* Protocols whose tuple has ports in nf_conntrack (GRE: its keys in their place). */
static bool has_ports(uint8_t l4)
{
	switch (l4) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
	case IPPROTO_GRE:
		return true;
	default:
		return false;
	}
}

static bool tuple_ok(const struct ct_tuple *t)
{
	if (t->l3 == 4)
		return t->l4 && t->l4 != IPPROTO_ICMPV6;
	return t->l3 == 6 && t->l4 && t->l4 != IPPROTO_ICMP;
}

/* own_zone: the zone belongs to this direction alone and goes inside the tuple. */
static void put_tuple(struct wire_wr *w, uint16_t type, const struct ct_tuple *t, bool own_zone)
{
	bool v6 = t->l3 == 6;
	size_t n = v6 ? 16 : 4;
	size_t outer = nest_begin(w, type);
	size_t in = nest_begin(w, CTA_TUPLE_IP);
	put_attr(w, v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, t->src, n);
	put_attr(w, v6 ? CTA_IP_V6_DST : CTA_IP_V4_DST, t->dst, n);
	nest_end(w, in);
	in = nest_begin(w, CTA_TUPLE_PROTO);
	attr_u8(w, CTA_PROTO_NUM, t->l4);
	if (has_ports(t->l4)) {
		attr_be16(w, CTA_PROTO_SRC_PORT, t->sport);
		attr_be16(w, CTA_PROTO_DST_PORT, t->dport);
	} else if (is_icmp(t->l4)) {
		bool six = t->l4 == IPPROTO_ICMPV6;
		attr_be16(w, six ? CTA_PROTO_ICMPV6_ID : CTA_PROTO_ICMP_ID, t->sport);
		attr_u8(w, six ? CTA_PROTO_ICMPV6_TYPE : CTA_PROTO_ICMP_TYPE, (uint8_t)(t->dport >> 8));
		attr_u8(w, six ? CTA_PROTO_ICMPV6_CODE : CTA_PROTO_ICMP_CODE, (uint8_t)t->dport);
	}
	nest_end(w, in);
	if (own_zone && t->zone)
		attr_be16(w, CTA_TUPLE_ZONE, t->zone);
	nest_end(w, outer);
}

/* One address and, if port is not NULL, one port (ICMP: the id): min = max, so that the kernel has no choice. */
static void put_nat(struct wire_wr *w, uint16_t type, uint8_t l3, const uint8_t *addr, const uint16_t *port)
{
	bool v6 = l3 == 6;
	size_t n = v6 ? 16 : 4;
	size_t outer = nest_begin(w, type);
	put_attr(w, v6 ? CTA_NAT_V6_MINIP : CTA_NAT_V4_MINIP, addr, n);
	put_attr(w, v6 ? CTA_NAT_V6_MAXIP : CTA_NAT_V4_MAXIP, addr, n);
	if (port) {
		size_t in = nest_begin(w, CTA_NAT_PROTO);
		attr_be16(w, CTA_PROTONAT_PORT_MIN, *port);
		attr_be16(w, CTA_PROTONAT_PORT_MAX, *port);
		nest_end(w, in);
	}
	nest_end(w, outer);
}

/* The kernel stores the scales only if both directions carry WINDOW_SCALE, hence flags and scales always together. */
static void put_tcp(struct wire_wr *w, const struct ct_entry *e)
{
	size_t outer = nest_begin(w, CTA_PROTOINFO);
	size_t in = nest_begin(w, CTA_PROTOINFO_TCP);
	attr_u8(w, CTA_PROTOINFO_TCP_STATE, e->tcp_state);
	if (e->has & CT_HAS_TCP_WIN) {
		attr_u8(w, CTA_PROTOINFO_TCP_WSCALE_ORIGINAL, e->tcp_wscale[0]);
		attr_u8(w, CTA_PROTOINFO_TCP_WSCALE_REPLY, e->tcp_wscale[1]);
		for (unsigned i = 0; i < 2; i++) {
			/* struct nf_ct_tcp_flags: value, mask */
			const uint8_t f[2] = { e->tcp_flags[i] & CT_TCP_KEEP, CT_TCP_KEEP };
			put_attr(w, (uint16_t)(CTA_PROTOINFO_TCP_FLAGS_ORIGINAL + i), f, 2);
		}
	}
	nest_end(w, in);
	nest_end(w, outer);
}

/* The kernel takes flags without a state, and the mask keeps all others: what it knows better is not touched. */
static void put_liberal(struct wire_wr *w, const struct ct_entry *e)
{
	size_t outer = nest_begin(w, CTA_PROTOINFO);
	size_t in = nest_begin(w, CTA_PROTOINFO_TCP);
	for (unsigned i = 0; i < 2; i++) {
		const uint8_t f[2] = { e->tcp_flags[i] & CT_TCP_BE_LIBERAL, CT_TCP_BE_LIBERAL };
		put_attr(w, (uint16_t)(CTA_PROTOINFO_TCP_FLAGS_ORIGINAL + i), f, 2);
	}
	nest_end(w, in);
	nest_end(w, outer);
}

/* nf_conntrack_proto_sctp.c: all three or EINVAL. */
static void put_sctp(struct wire_wr *w, const struct ct_entry *e)
{
	size_t outer = nest_begin(w, CTA_PROTOINFO);
	size_t in = nest_begin(w, CTA_PROTOINFO_SCTP);
	attr_u8(w, CTA_PROTOINFO_SCTP_STATE, e->sctp_state);
	attr_be32(w, CTA_PROTOINFO_SCTP_VTAG_ORIGINAL, e->sctp_vtag[0]);
	attr_be32(w, CTA_PROTOINFO_SCTP_VTAG_REPLY, e->sctp_vtag[1]);
	nest_end(w, in);
	nest_end(w, outer);
}

/* Both directions or none: the kernel reads each alone, and one without the other would tear the stream. */
static void put_seqadj(struct wire_wr *w, const struct ct_entry *e)
{
	for (unsigned dir = 0; dir < 2; dir++) {
		size_t in = nest_begin(w, dir ? CTA_SEQ_ADJ_REPLY : CTA_SEQ_ADJ_ORIG);
		attr_be32(w, CTA_SEQADJ_CORRECTION_POS, e->seqadj[dir].position);
		attr_be32(w, CTA_SEQADJ_OFFSET_BEFORE, (uint32_t)e->seqadj[dir].before);
		attr_be32(w, CTA_SEQADJ_OFFSET_AFTER, (uint32_t)e->seqadj[dir].after);
		nest_end(w, in);
	}
}

/* What a CREATE and an UPDATE may both carry. */
static void put_state(struct wire_wr *w, const struct ct_entry *e)
{
	if (e->has & CT_HAS_TCP)
		put_tcp(w, e);
	else if (e->has & CT_HAS_TCP_WIN && e->orig.l4 == IPPROTO_TCP)
		put_liberal(w, e);
	else if (e->has & CT_HAS_SCTP)
		put_sctp(w, e);
	if (e->has & CT_HAS_MARK)
		attr_be32(w, CTA_MARK, e->mark);
	if (e->has & CT_HAS_SEQADJ)
		put_seqadj(w, e);
	if (e->has & CT_HAS_SYNPROXY) {
		size_t in = nest_begin(w, CTA_SYNPROXY);
		attr_be32(w, CTA_SYNPROXY_ISN, e->synproxy.isn);
		attr_be32(w, CTA_SYNPROXY_ITS, e->synproxy.its);
		attr_be32(w, CTA_SYNPROXY_TSOFF, e->synproxy.tsoff);
		nest_end(w, in);
	}
	if (e->has & CT_HAS_LABELS)
		put_attr(w, CTA_LABELS, e->labels, sizeof(e->labels));
}

static bool state_ok(const struct ct_entry *e)
{
	if ((e->has & CT_HAS_SCTP) && (e->orig.l4 != IPPROTO_SCTP || e->sctp_state > CT_SCTP_HEARTBEAT_ACKED))
		return false;
	return !(e->has & CT_HAS_TCP) || (e->orig.l4 == IPPROTO_TCP && e->tcp_state <= CT_TCP_SYN_SENT2);
}

/* What a CREATE must add to the original tuple. */
struct nat_plan {
	bool src, dst;
	struct ct_tuple reply; /* the one to hand in */
	bool zones;            /* the directions have different zones */
};

static bool plan_create(const struct ct_entry *e, struct nat_plan *p)
{
	memset(p, 0, sizeof(*p));
	struct ct_tuple inv;
	bool inverts = ct_tuple_invert(&e->orig, &inv);
	const struct ct_tuple *r = &e->reply;
	bool has_reply = e->has & CT_HAS_REPLY;
	if (!has_reply) {
		p->reply = inv;
		return inverts;
	}
	if (!tuple_ok(r) || r->l3 != e->orig.l3 || r->l4 != e->orig.l4)
		return false;
	p->zones = r->zone != e->orig.zone;
	if (p->zones && r->zone && e->orig.zone)
		return false; /* the kernel knows one zone per entry, for one direction or both */
	if (e->has & CT_HAS_STATUS) {
		p->src = e->status & CT_ST_SRC_NAT;
		p->dst = e->status & CT_ST_DST_NAT;
	} else if (inverts) {
		p->src = memcmp(r->dst, inv.dst, sizeof(inv.dst)) ||
			 (is_icmp(r->l4) ? r->sport != inv.sport : r->dport != inv.dport);
		p->dst = memcmp(r->src, inv.src, sizeof(inv.src)) || (!is_icmp(r->l4) && r->sport != inv.sport);
	}
	if (!p->src && !p->dst) {
		p->reply = *r;
		return true;
	}
	p->reply = inv;
	p->reply.zone = r->zone;
	return inverts;
}

static void put_create(struct wire_wr *w, const struct ct_entry *e, const struct nat_plan *p)
{
	const struct ct_tuple *r = &e->reply;
	put_tuple(w, CTA_TUPLE_ORIG, &e->orig, p->zones);
	put_tuple(w, CTA_TUPLE_REPLY, &p->reply, p->zones);
	/* without CONFIRMED, and with EXPECTED or DYING, the answer is EBUSY; the NAT bits follow from CTA_NAT_* */
	uint32_t st = e->has & CT_HAS_STATUS ? e->status & CT_ST_CREATE : 0;
	attr_be32(w, CTA_STATUS, st | CT_ST_CONFIRMED);
	attr_be32(w, CTA_TIMEOUT, e->timeout_s);
	/* a source manipulation always: left out beside CTA_NAT_DST, the kernel moves the port of a reply tuple that is
	 * taken, instead of answering EEXIST. One that changes nothing leaves SRC_NAT unset. */
	if (p->src || p->dst) {
		const uint16_t *port = has_ports(r->l4) ? &r->dport : is_icmp(r->l4) ? &r->sport : NULL;
		put_nat(w, CTA_NAT_SRC, r->l3, r->dst, port);
	}
	if (p->dst)
		put_nat(w, CTA_NAT_DST, r->l3, r->src, has_ports(r->l4) ? &r->sport : NULL);
	put_state(w, e);
	if (e->has & CT_HAS_HELPER) {
		size_t in = nest_begin(w, CTA_HELP);
		put_attr(w, CTA_HELP_NAME, e->helper, strlen(e->helper) + 1);
		nest_end(w, in);
	}
	if (e->has & CT_HAS_MASTER)
		put_tuple(w, CTA_TUPLE_MASTER, &e->master, false);
	if (!p->zones && e->orig.zone)
		attr_be16(w, CTA_ZONE, e->orig.zone);
}

static void put_key(struct wire_wr *w, const struct ct_entry *e)
{
	put_tuple(w, CTA_TUPLE_ORIG, &e->orig, false);
	if (e->orig.zone)
		attr_be16(w, CTA_ZONE, e->orig.zone);
}

static void put_update(struct wire_wr *w, const struct ct_entry *e)
{
	put_key(w, e);
	if (e->has & CT_HAS_STATUS) {
		/* CONFIRMED and EXPECTED must be as they are, or the answer is EBUSY */
		uint32_t st = e->status & (CT_ST_CREATE | CT_ST_EXPECTED);
		if (e->has & CT_HAS_MASTER)
			st |= CT_ST_EXPECTED;
		attr_be32(w, CTA_STATUS, st | CT_ST_CONFIRMED);
	}
	if (e->has & CT_HAS_TIMEOUT)
		attr_be32(w, CTA_TIMEOUT, e->timeout_s);
	put_state(w, e);
}

static bool create_ok(const struct ct_entry *e, struct nat_plan *p)
{
	if (!(e->has & CT_HAS_TIMEOUT) || !state_ok(e))
		return false;
	if ((e->has & CT_HAS_HELPER) && (!e->helper[0] || !memchr(e->helper, 0, sizeof(e->helper))))
		return false;
	if ((e->has & CT_HAS_MASTER) && (!tuple_ok(&e->master) || e->master.l3 != e->orig.l3))
		return false;
	return plan_create(e, p);
}

int ct_wire_build(struct wire_wr *w, const struct ct_op *op, uint32_t seq)
{
	const struct ct_entry *e = &op->e;
	struct wire_wr saved = *w;
	uint8_t family = e->orig.l3 == 6 ? FAMILY_V6 : FAMILY_V4;
	struct nat_plan plan;
	size_t at = 0;
	if (!tuple_ok(&e->orig) || (unsigned)op->type > CT_OP_GET)
		return ERR_MALFORMED;
	switch (op->type) {
	case CT_OP_CREATE:
		if (!create_ok(e, &plan))
			return ERR_MALFORMED;
		at = msg_begin(w, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, seq, family);
		put_create(w, e, &plan);
		break;
	case CT_OP_UPDATE:
		if (!state_ok(e))
			return ERR_MALFORMED;
		at = msg_begin(w, IPCTNL_MSG_CT_NEW, 0, seq, family);
		put_update(w, e);
		break;
	case CT_OP_RENEW:
		if (!(e->has & CT_HAS_TIMEOUT))
			return ERR_MALFORMED;
		at = msg_begin(w, IPCTNL_MSG_CT_NEW, 0, seq, family);
		put_key(w, e);
		attr_be32(w, CTA_TIMEOUT, e->timeout_s);
		break;
	case CT_OP_DELETE:
		at = msg_begin(w, IPCTNL_MSG_CT_DELETE, 0, seq, family);
		put_key(w, e);
		if (e->has & CT_HAS_ID)
			attr_be32(w, CTA_ID, e->id);
		break;
	case CT_OP_GET:
		at = msg_begin(w, IPCTNL_MSG_CT_GET, 0, seq, family);
		put_key(w, e);
		break;
	}
	msg_end(w, at);
	if (w->bad) {
		*w = saved;
		return ERR_FULL;
	}
	return 0;
}

int ct_wire_dump(struct wire_wr *w, uint8_t l3, uint32_t seq)
{
	struct wire_wr saved = *w;
	uint8_t family = l3 == 6 ? FAMILY_V6 : l3 == 4 ? FAMILY_V4 : 0;
	size_t at = msg_begin(w, IPCTNL_MSG_CT_GET, NLM_F_DUMP, seq, family);
	msg_end(w, at);
	if (w->bad) {
		*w = saved;
		return ERR_FULL;
	}
	return 0;
}
