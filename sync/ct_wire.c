/* ctnetlink messages to values. Layout of attributes: linux/netfilter/nfnetlink_conntrack.h. */
#include "sync/ct_wire.h"
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include "daemon/base/addr.h"

enum { HDR_LEN = 16, GEN_LEN = 4, ATTR_LEN = 4, FAMILY_V4 = 2, FAMILY_V6 = 10 };

static const struct {
	const char *name, *text;
} drops[] = {
#define CT_DROP_ROW(id, counter, txt) [id] = { counter, txt },
	CT_DROP_TABLE(CT_DROP_ROW)
#undef CT_DROP_ROW
};

const char *ct_drop_name(enum ct_drop d)
{
	return (unsigned)d < CT_DROP_N ? drops[d].name : "unknown";
}

const char *ct_drop_text(enum ct_drop d)
{
	return (unsigned)d < CT_DROP_N ? drops[d].text : "unknown reason";
}

static inline uint16_t host16(const uint8_t *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t host32(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static size_t align4(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

struct attr {
	uint16_t type;
	uint16_t len;
	const uint8_t *p;
};

/* CT_OK with the next attribute, or with a->p NULL at the end of r. */
static enum ct_drop attr_next(struct wire_rd *r, struct attr *a)
{
	size_t left = wire_left(r);
	if (!left) {
		a->p = NULL;
		return CT_OK;
	}
	if (left < ATTR_LEN)
		return CT_DROP_ATTR;
	size_t len = host16(r->p);
	if (len < ATTR_LEN || len > left)
		return CT_DROP_ATTR;
	a->type = host16(r->p + 2) & NLA_TYPE_MASK;
	a->len = (uint16_t)(len - ATTR_LEN);
	a->p = r->p + ATTR_LEN;
	size_t step = align4(len);
	r->p += step < left ? step : left;
	return CT_OK;
}

/* Runs fn over the attributes of a nest until one is dropped. */
typedef enum ct_drop (*attr_fn)(void *out, const struct attr *a);

static enum ct_drop attr_each(const uint8_t *p, size_t len, attr_fn fn, void *out)
{
	struct wire_rd r = wire_rd(p, len);
	struct attr a;
	for (;;) {
		enum ct_drop d = attr_next(&r, &a);
		if (d != CT_OK || !a.p)
			return d;
		d = fn(out, &a);
		if (d != CT_OK)
			return d;
	}
}

/* --- tuples --- */

enum {
	GOT_SRC = 1,
	GOT_DST = 2,
	GOT_NUM = 4,
	GOT_SPORT = 8,
	GOT_DPORT = 16,
	GOT_ID = 32,
	GOT_TYPE = 64,
	GOT_CODE = 128
};

struct tuple_rd {
	struct ct_tuple *t;
	unsigned got;
	bool zone; /* the tuple has a zone of its own */
};

static enum ct_drop read_ip(void *out, const struct attr *a)
{
	struct tuple_rd *rd = out;
	bool v6 = a->type == CTA_IP_V6_SRC || a->type == CTA_IP_V6_DST;
	if (a->type < CTA_IP_V4_SRC || a->type > CTA_IP_V6_DST)
		return CT_OK;
	if (v6 != (rd->t->l3 == 6))
		return CT_DROP_ADDRESS;
	if (a->len != (v6 ? 16 : 4))
		return CT_DROP_ATTR_SIZE;
	bool src = a->type == CTA_IP_V4_SRC || a->type == CTA_IP_V6_SRC;
	memcpy(src ? rd->t->src : rd->t->dst, a->p, a->len);
	rd->got |= src ? GOT_SRC : GOT_DST;
	return CT_OK;
}

static enum ct_drop read_proto(void *out, const struct attr *a)
{
	/* by CTA_PROTO_*: size, what it is */
	static const struct {
		uint8_t size, got;
	} rows[] = {
		[CTA_PROTO_NUM] = { 1, GOT_NUM },          [CTA_PROTO_SRC_PORT] = { 2, GOT_SPORT },
		[CTA_PROTO_DST_PORT] = { 2, GOT_DPORT },   [CTA_PROTO_ICMP_ID] = { 2, GOT_ID },
		[CTA_PROTO_ICMP_TYPE] = { 1, GOT_TYPE },   [CTA_PROTO_ICMP_CODE] = { 1, GOT_CODE },
		[CTA_PROTO_ICMPV6_ID] = { 2, GOT_ID },     [CTA_PROTO_ICMPV6_TYPE] = { 1, GOT_TYPE },
		[CTA_PROTO_ICMPV6_CODE] = { 1, GOT_CODE },
	};
	struct tuple_rd *rd = out;
	struct ct_tuple *t = rd->t;
	if (a->type >= sizeof(rows) / sizeof(rows[0]) || !rows[a->type].size)
		return CT_OK;
	if (a->len != rows[a->type].size)
		return CT_DROP_ATTR_SIZE;
	unsigned got = rows[a->type].got;
	rd->got |= got;
	if (got == GOT_NUM)
		t->l4 = a->p[0];
	else if (got == GOT_SPORT || got == GOT_ID)
		t->sport = be16(a->p);
	else if (got == GOT_DPORT)
		t->dport = be16(a->p);
	else if (got == GOT_TYPE)
		t->dport = (uint16_t)(a->p[0] << 8 | (t->dport & 0xff));
	else
		t->dport = (uint16_t)((t->dport & 0xff00) | a->p[0]);
	return CT_OK;
}

static enum ct_drop read_tuple_part(void *out, const struct attr *a)
{
	struct tuple_rd *rd = out;
	if (a->type == CTA_TUPLE_IP)
		return attr_each(a->p, a->len, read_ip, rd);
	if (a->type == CTA_TUPLE_PROTO)
		return attr_each(a->p, a->len, read_proto, rd);
	if (a->type == CTA_TUPLE_ZONE) {
		if (a->len != 2)
			return CT_DROP_ATTR_SIZE;
		rd->t->zone = be16(a->p);
		rd->zone = true;
	}
	return CT_OK;
}

/* Which of the protocol's fields a complete tuple has. */
static unsigned proto_needs(uint8_t l4)
{
	switch (l4) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		return GOT_NUM | GOT_SPORT | GOT_DPORT;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return GOT_NUM | GOT_ID | GOT_TYPE | GOT_CODE;
	default:
		/* GRE has its keys as ports; UDP-Lite and DCCP have ports where the kernel knows them */
		return GOT_NUM;
	}
}

static enum ct_drop read_tuple(struct ct_tuple *t, uint8_t l3, const struct attr *a, bool *zone)
{
	memset(t, 0, sizeof(*t));
	t->l3 = l3;
	struct tuple_rd rd = { .t = t };
	enum ct_drop d = attr_each(a->p, a->len, read_tuple_part, &rd);
	if (d != CT_OK)
		return d;
	if ((rd.got & (GOT_SRC | GOT_DST)) != (GOT_SRC | GOT_DST))
		return CT_DROP_ADDRESS;
	unsigned need = proto_needs(t->l4);
	if ((rd.got & need) != need)
		return CT_DROP_PROTO;
	*zone = rd.zone;
	return CT_OK;
}

/* --- other attributes --- */

struct tcp_rd {
	struct ct_entry *e;
	unsigned got;
};

static enum ct_drop read_tcp(void *out, const struct attr *a)
{
	struct tcp_rd *rd = out;
	struct ct_entry *e = rd->e;
	if (a->type < CTA_PROTOINFO_TCP_STATE || a->type > CTA_PROTOINFO_TCP_FLAGS_REPLY)
		return CT_OK;
	bool flags = a->type >= CTA_PROTOINFO_TCP_FLAGS_ORIGINAL;
	/* struct nf_ct_tcp_flags is flags, mask */
	if (a->len != (flags ? 2 : 1))
		return CT_DROP_ATTR_SIZE;
	if (a->type == CTA_PROTOINFO_TCP_STATE) {
		if (a->p[0] > CT_TCP_SYN_SENT2)
			return CT_DROP_TCP_STATE;
		e->tcp_state = a->p[0];
	} else if (flags) {
		/* MAXACK_SET and DATA_UNACKNOWLEDGED belong to the kernel that set them */
		e->tcp_flags[a->type - CTA_PROTOINFO_TCP_FLAGS_ORIGINAL] = a->p[0] & CT_TCP_KEEP;
	} else {
		e->tcp_wscale[a->type - CTA_PROTOINFO_TCP_WSCALE_ORIGINAL] = a->p[0];
	}
	rd->got |= 1u << a->type;
	return CT_OK;
}

struct sctp_rd {
	struct ct_entry *e;
	unsigned got;
};

static enum ct_drop read_sctp_part(void *out, const struct attr *a)
{
	struct sctp_rd *rd = out;
	if (a->type < CTA_PROTOINFO_SCTP_STATE || a->type > CTA_PROTOINFO_SCTP_VTAG_REPLY)
		return CT_OK;
	bool state = a->type == CTA_PROTOINFO_SCTP_STATE;
	if (a->len != (state ? 1 : 4))
		return CT_DROP_ATTR_SIZE;
	if (!state)
		rd->e->sctp_vtag[a->type - CTA_PROTOINFO_SCTP_VTAG_ORIGINAL] = be32(a->p);
	else if (a->p[0] > CT_SCTP_HEARTBEAT_ACKED)
		return CT_DROP_SCTP_STATE;
	else
		rd->e->sctp_state = a->p[0];
	rd->got |= 1u << a->type;
	return CT_OK;
}

static enum ct_drop read_sctp(struct ct_entry *e, const struct attr *a)
{
	const unsigned all = 1u << CTA_PROTOINFO_SCTP_STATE | 1u << CTA_PROTOINFO_SCTP_VTAG_ORIGINAL |
			     1u << CTA_PROTOINFO_SCTP_VTAG_REPLY;
	struct sctp_rd rd = { .e = e };
	enum ct_drop d = attr_each(a->p, a->len, read_sctp_part, &rd);
	if (d == CT_OK && (rd.got & all) == all)
		e->has |= CT_HAS_SCTP;
	return d;
}

static enum ct_drop read_protoinfo(void *out, const struct attr *a)
{
	const unsigned state = 1u << CTA_PROTOINFO_TCP_STATE;
	const unsigned win = 1u << CTA_PROTOINFO_TCP_WSCALE_ORIGINAL | 1u << CTA_PROTOINFO_TCP_WSCALE_REPLY |
			     1u << CTA_PROTOINFO_TCP_FLAGS_ORIGINAL | 1u << CTA_PROTOINFO_TCP_FLAGS_REPLY;
	struct ct_entry *e = out;
	if (a->type == CTA_PROTOINFO_SCTP)
		return read_sctp(e, a);
	if (a->type != CTA_PROTOINFO_TCP)
		return CT_OK;
	struct tcp_rd rd = { .e = e };
	enum ct_drop d = attr_each(a->p, a->len, read_tcp, &rd);
	if (d != CT_OK)
		return d;
	if (rd.got & state)
		e->has |= CT_HAS_TCP;
	if ((rd.got & state) && (rd.got & win) == win)
		e->has |= CT_HAS_TCP_WIN;
	return CT_OK;
}

static enum ct_drop read_help(void *out, const struct attr *a)
{
	struct ct_entry *e = out;
	if (a->type != CTA_HELP_NAME)
		return CT_OK;
	const uint8_t *nul = memchr(a->p, 0, a->len);
	size_t n = nul ? (size_t)(nul - a->p) : 0;
	if (!nul || !n || n >= sizeof(e->helper))
		return CT_DROP_HELPER;
	memcpy(e->helper, a->p, n + 1);
	e->has |= CT_HAS_HELPER;
	return CT_OK;
}

/* The kernel shows as many words as it keeps; unused ones are zero, so that values compare. */
static enum ct_drop read_labels(struct ct_entry *e, const struct attr *a)
{
	static const uint8_t none[CT_LABELS_LEN];
	if (!a->len || a->len > CT_LABELS_LEN || a->len % 4)
		return CT_DROP_ATTR_SIZE;
	memcpy(e->labels, a->p, a->len);
	/* no label is set, which is how an entry begins */
	if (memcmp(e->labels, none, sizeof(none)))
		e->has |= CT_HAS_LABELS;
	return CT_OK;
}

static enum ct_drop read_seqadj_part(void *out, const struct attr *a)
{
	struct ct_seqadj *s = out;
	if (a->type < CTA_SEQADJ_CORRECTION_POS || a->type > CTA_SEQADJ_OFFSET_AFTER)
		return CT_OK;
	if (a->len != 4)
		return CT_DROP_ATTR_SIZE;
	uint32_t v = be32(a->p);
	if (a->type == CTA_SEQADJ_CORRECTION_POS)
		s->position = v;
	else if (a->type == CTA_SEQADJ_OFFSET_BEFORE)
		s->before = (int32_t)v;
	else
		s->after = (int32_t)v;
	return CT_OK;
}

static enum ct_drop read_seqadj(struct ct_entry *e, unsigned dir, const struct attr *a)
{
	e->has |= CT_HAS_SEQADJ;
	return attr_each(a->p, a->len, read_seqadj_part, &e->seqadj[dir]);
}

static enum ct_drop read_synproxy_part(void *out, const struct attr *a)
{
	struct ct_synproxy *s = out;
	if (a->type < CTA_SYNPROXY_ISN || a->type > CTA_SYNPROXY_TSOFF)
		return CT_OK;
	if (a->len != 4)
		return CT_DROP_ATTR_SIZE;
	uint32_t v = be32(a->p);
	if (a->type == CTA_SYNPROXY_ISN)
		s->isn = v;
	else if (a->type == CTA_SYNPROXY_ITS)
		s->its = v;
	else
		s->tsoff = v;
	return CT_OK;
}

/* The kernel tells zeros of every entry once a rule uses SYNPROXY. */
static enum ct_drop read_synproxy(struct ct_entry *e, const struct attr *a)
{
	enum ct_drop d = attr_each(a->p, a->len, read_synproxy_part, &e->synproxy);
	if (e->synproxy.isn || e->synproxy.its || e->synproxy.tsoff)
		e->has |= CT_HAS_SYNPROXY;
	return d;
}

struct entry_rd {
	struct ct_entry *e;
	uint8_t l3;
	bool orig, zone, orig_zone, reply_zone;
	uint16_t zone_id;
};

static enum ct_drop read_u32(struct ct_entry *e, const struct attr *a, uint32_t *v, uint32_t has)
{
	if (a->len != 4)
		return CT_DROP_ATTR_SIZE;
	*v = be32(a->p);
	e->has |= has;
	return CT_OK;
}

/* Both directions add up. There with nf_conntrack_acct, in dumps and with the end of an entry. */
static enum ct_drop read_counters(void *out, const struct attr *a)
{
	struct ct_entry *e = out;

	if (a->type != CTA_COUNTERS_PACKETS && a->type != CTA_COUNTERS_BYTES)
		return CT_OK;
	if (a->len != 8)
		return CT_DROP_ATTR_SIZE;
	uint64_t v = (uint64_t)be32(a->p) << 32 | be32(a->p + 4);
	e->has |= CT_HAS_COUNTERS;
	if (a->type == CTA_COUNTERS_PACKETS)
		e->packets += v;
	else
		e->bytes += v;
	return CT_OK;
}

static enum ct_drop read_entry(void *out, const struct attr *a)
{
	struct entry_rd *rd = out;
	struct ct_entry *e = rd->e;
	enum ct_drop d;
	bool own_zone;
	switch (a->type) {
	case CTA_TUPLE_ORIG:
		rd->orig = true;
		return read_tuple(&e->orig, rd->l3, a, &rd->orig_zone);
	case CTA_TUPLE_REPLY:
		e->has |= CT_HAS_REPLY;
		return read_tuple(&e->reply, rd->l3, a, &rd->reply_zone);
	case CTA_TUPLE_MASTER:
		d = read_tuple(&e->master, rd->l3, a, &own_zone);
		e->has |= CT_HAS_MASTER;
		return d;
	case CTA_STATUS:
		return read_u32(e, a, &e->status, CT_HAS_STATUS);
	case CTA_TIMEOUT:
		return read_u32(e, a, &e->timeout_s, CT_HAS_TIMEOUT);
	case CTA_MARK:
		return read_u32(e, a, &e->mark, CT_HAS_MARK);
	case CTA_ID:
		return read_u32(e, a, &e->id, CT_HAS_ID);
	case CTA_PROTOINFO:
		return attr_each(a->p, a->len, read_protoinfo, e);
	case CTA_HELP:
		return attr_each(a->p, a->len, read_help, e);
	case CTA_LABELS:
		return read_labels(e, a);
	case CTA_SEQ_ADJ_ORIG:
	case CTA_SEQ_ADJ_REPLY:
		return read_seqadj(e, a->type == CTA_SEQ_ADJ_REPLY, a);
	case CTA_SYNPROXY:
		return read_synproxy(e, a);
	case CTA_COUNTERS_ORIG:
	case CTA_COUNTERS_REPLY:
		return attr_each(a->p, a->len, read_counters, e);
	case CTA_ZONE:
		if (a->len != 2)
			return CT_DROP_ATTR_SIZE;
		rd->zone_id = be16(a->p);
		rd->zone = true;
		return CT_OK;
	default:
		return CT_OK;
	}
}

enum ct_drop ct_wire_event(const struct ct_wire_msg *m, struct ct_event *ev)
{
	if (m->kind != CT_WIRE_ENTRY)
		return CT_DROP_TYPE;
	if (m->body_len < GEN_LEN)
		return CT_DROP_GENERIC;
	uint8_t family = m->body[0]; /* nfgenmsg: family, version, resource */
	if (family != FAMILY_V4 && family != FAMILY_V6)
		return CT_DROP_FAMILY;
	memset(ev, 0, sizeof(*ev));
	bool del = (m->type & 0xff) == IPCTNL_MSG_CT_DELETE;
	if (m->flags & NLM_F_MULTI)
		ev->type = CT_EV_DUMP;
	else if (del)
		ev->type = CT_EV_DESTROY;
	else
		ev->type = m->flags & NLM_F_CREATE ? CT_EV_NEW : CT_EV_UPDATE;
	/* a dump carries the reader's own port id: nobody caused it */
	ev->portid = ev->type == CT_EV_DUMP ? 0 : m->portid;
	struct entry_rd rd = { .e = &ev->e, .l3 = family == FAMILY_V4 ? 4 : 6 };
	enum ct_drop d = attr_each(m->body + GEN_LEN, m->body_len - GEN_LEN, read_entry, &rd);
	if (d != CT_OK)
		return d;
	if (!rd.orig)
		return CT_DROP_NO_ORIG;
	/* a zone of both directions stands beside the tuples, a zone of one direction inside its tuple */
	if (rd.zone) {
		if (!rd.orig_zone)
			ev->e.orig.zone = rd.zone_id;
		if (!rd.reply_zone && (ev->e.has & CT_HAS_REPLY))
			ev->e.reply.zone = rd.zone_id;
	}
	if (ev->e.has & CT_HAS_MASTER)
		ev->e.master.zone = ev->e.orig.zone;
	return CT_OK;
}

static enum ct_drop read_code(struct ct_wire_msg *m, bool required)
{
	m->error = 0;
	if (m->body_len < 4)
		return required ? CT_DROP_ERROR : CT_OK;
	int32_t code;
	memcpy(&code, m->body, sizeof(code));
	if (code > 0 || code < -4095)
		return CT_DROP_ERROR;
	m->error = code;
	return CT_OK;
}

enum ct_drop ct_wire_next(struct wire_rd *r, struct ct_wire_msg *m)
{
	size_t left = wire_left(r);
	memset(m, 0, sizeof(*m));
	m->kind = CT_WIRE_SKIP;
	if (left < HDR_LEN) {
		r->p = r->end;
		return CT_DROP_HEADER;
	}
	const uint8_t *h = r->p;
	size_t len = host32(h);
	if (len < HDR_LEN || len > left) {
		r->p = r->end;
		return CT_DROP_LENGTH;
	}
	m->type = host16(h + 4);
	m->flags = host16(h + 6);
	m->seq = host32(h + 8);
	m->portid = host32(h + 12);
	m->dump_intr = m->flags & NLM_F_DUMP_INTR;
	m->body = h + HDR_LEN;
	m->body_len = len - HDR_LEN;
	r->p += align4(len) < left ? align4(len) : left;

	if (m->type == NLMSG_ERROR) {
		m->kind = CT_WIRE_RESULT;
		return read_code(m, true);
	}
	if (m->type == NLMSG_DONE) {
		m->kind = CT_WIRE_DONE;
		return read_code(m, false);
	}
	if (m->type < NLMSG_MIN_TYPE)
		return CT_OK;
	if (m->type >> 8 != NFNL_SUBSYS_CTNETLINK)
		return CT_DROP_SUBSYS;
	if ((m->type & 0xff) != IPCTNL_MSG_CT_NEW && (m->type & 0xff) != IPCTNL_MSG_CT_DELETE)
		return CT_DROP_TYPE;
	m->kind = CT_WIRE_ENTRY;
	return CT_OK;
}

/* --- tuples as values --- */

/* nf_conntrack_proto_icmp.c, nf_conntrack_proto_icmpv6.c: which type answers which. -1: none. */
static int icmp_answer(uint8_t l4, uint8_t type)
{
	static const uint8_t v4[][2] = { { 8, 0 }, { 13, 14 }, { 15, 16 }, { 17, 18 } };
	static const uint8_t v6[][2] = { { 128, 129 }, { 139, 140 } };
	const uint8_t(*rows)[2] = l4 == IPPROTO_ICMP ? v4 : v6;
	size_t n = l4 == IPPROTO_ICMP ? sizeof(v4) / sizeof(v4[0]) : sizeof(v6) / sizeof(v6[0]);
	for (size_t i = 0; i < n; i++) {
		if (rows[i][0] == type)
			return rows[i][1];
		if (rows[i][1] == type)
			return rows[i][0];
	}
	return -1;
}

bool ct_tuple_invert(const struct ct_tuple *t, struct ct_tuple *out)
{
	struct ct_tuple r = *t;
	memcpy(r.src, t->dst, sizeof(r.src));
	memcpy(r.dst, t->src, sizeof(r.dst));
	if (t->l4 == IPPROTO_ICMP || t->l4 == IPPROTO_ICMPV6) {
		int type = icmp_answer(t->l4, (uint8_t)(t->dport >> 8));
		if (type < 0)
			return false;
		r.dport = (uint16_t)(type << 8 | (t->dport & 0xff));
	} else {
		r.sport = t->dport;
		r.dport = t->sport;
	}
	*out = r;
	return true;
}

bool ct_tuple_equal(const struct ct_tuple *a, const struct ct_tuple *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static const char *l4_text(uint8_t l4, char buf[16])
{
	switch (l4) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_UDPLITE:
		return "udplite";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "icmpv6";
	case IPPROTO_SCTP:
		return "sctp";
	case IPPROTO_DCCP:
		return "dccp";
	case IPPROTO_GRE:
		return "gre";
	default:
		snprintf(buf, 16, "protocol %u", l4);
		return buf;
	}
}

const char *ct_tuple_text(const struct ct_tuple *t, char out[CT_TUPLE_TEXT])
{
	char s[ADDR_TEXT_MAX], d[ADDR_TEXT_MAX], l4[16], tail[40] = "", sp[8] = "", dp[8] = "";
	struct addr as = addr_from_bytes(t->l3, t->src), ad = addr_from_bytes(t->l3, t->dst);
	const char *fmt = t->l3 == 6 ? "%s [%s]%s -> [%s]%s%s" : "%s %s%s -> %s%s%s";
	if (t->l4 == IPPROTO_ICMP || t->l4 == IPPROTO_ICMPV6) {
		snprintf(tail, sizeof(tail), " type %u code %u id %u", t->dport >> 8, t->dport & 0xff, t->sport);
	} else if (t->sport || t->dport) {
		snprintf(sp, sizeof(sp), ":%u", t->sport);
		snprintf(dp, sizeof(dp), ":%u", t->dport);
	}
	int n =
	    snprintf(out, CT_TUPLE_TEXT, fmt, l4_text(t->l4, l4), addr_text(&as, s), sp, addr_text(&ad, d), dp, tail);
	if (t->zone && n > 0 && n < CT_TUPLE_TEXT)
		snprintf(out + n, CT_TUPLE_TEXT - (size_t)n, " zone %u", t->zone);
	return out;
}
