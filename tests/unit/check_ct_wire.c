/* ct_wire: bytes, captured messages, every truncation, and the library as the reference. */
#include <arpa/inet.h>
#include <check.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include "daemon/base/err.h"
#include "sync/ct_wire.h"

#define CORPUS SRCDIR "/tests/fuzz/corpus/ct_wire/"

struct blob {
	size_t len;
	uint8_t b[8192] __attribute__((aligned(8)));
};

static void load(const char *name, struct blob *m)
{
	char path[512];
	snprintf(path, sizeof(path), CORPUS "%s", name);
	FILE *f = fopen(path, "rb");
	ck_assert_msg(f != NULL, "cannot open %s", path);
	m->len = fread(m->b, 1, sizeof(m->b), f);
	fclose(f);
	ck_assert_uint_gt(m->len, 0);
}

static enum ct_drop parse(const uint8_t *b, size_t len, struct ct_event *ev)
{
	struct wire_rd r = wire_rd(b, len);
	struct ct_wire_msg m;
	enum ct_drop d = ct_wire_next(&r, &m);
	return d != CT_OK ? d : ct_wire_event(&m, ev);
}

static struct ct_tuple tuple4(uint8_t l4, const char *src, uint16_t sport, const char *dst, uint16_t dport)
{
	struct ct_tuple t = { .l3 = 4, .l4 = l4, .sport = sport, .dport = dport };
	ck_assert_int_eq(inet_pton(AF_INET, src, t.src), 1);
	ck_assert_int_eq(inet_pton(AF_INET, dst, t.dst), 1);
	return t;
}

static struct ct_tuple tuple6(uint8_t l4, const char *src, uint16_t sport, const char *dst, uint16_t dport)
{
	struct ct_tuple t = { .l3 = 6, .l4 = l4, .sport = sport, .dport = dport };
	ck_assert_int_eq(inet_pton(AF_INET6, src, t.src), 1);
	ck_assert_int_eq(inet_pton(AF_INET6, dst, t.dst), 1);
	return t;
}

/* --- captured messages --- */

START_TEST(captured_new_tcp_snat)
{
	struct blob m;
	struct ct_event ev;
	load("new-tcp-snat", &m);
	ck_assert_int_eq(parse(m.b, m.len, &ev), CT_OK);
	ck_assert_int_eq(ev.type, CT_EV_NEW);
	ck_assert_uint_eq(ev.portid, 0x7a34);
	struct ct_tuple o = tuple4(IPPROTO_TCP, "10.1.0.2", 1003, "192.0.2.10", 443);
	struct ct_tuple r = tuple4(IPPROTO_TCP, "192.0.2.10", 443, "198.51.100.1", 40003);
	ck_assert(ct_tuple_equal(&ev.e.orig, &o));
	ck_assert(ct_tuple_equal(&ev.e.reply, &r));
	ck_assert_uint_eq(ev.e.has, CT_HAS_REPLY | CT_HAS_STATUS | CT_HAS_TIMEOUT | CT_HAS_TCP | CT_HAS_TCP_WIN |
					CT_HAS_MARK | CT_HAS_ID);
	ck_assert_uint_eq(ev.e.status, 0x19e);
	ck_assert_uint_eq(ev.e.timeout_s, 300);
	ck_assert_uint_eq(ev.e.tcp_state, CT_TCP_ESTABLISHED);
	ck_assert_uint_eq(ev.e.tcp_flags[0], 0x0a);
	ck_assert_uint_eq(ev.e.mark, 7);
	ck_assert_uint_eq(ev.e.id, 0xdd645aa2);
}
END_TEST

START_TEST(captured_others)
{
	struct blob m;
	struct ct_event ev;
	load("update-tcp", &m);
	ck_assert_int_eq(parse(m.b, m.len, &ev), CT_OK);
	ck_assert_int_eq(ev.type, CT_EV_UPDATE);
	ck_assert_uint_eq(ev.e.mark, 9);

	load("destroy-tcp", &m);
	ck_assert_int_eq(parse(m.b, m.len, &ev), CT_OK);
	ck_assert_int_eq(ev.type, CT_EV_DESTROY);
	/* only the state, and what was left of the timer */
	ck_assert_uint_eq(ev.e.has & (CT_HAS_TCP | CT_HAS_TCP_WIN | CT_HAS_TIMEOUT), CT_HAS_TCP | CT_HAS_TIMEOUT);

	load("new-udp6-zone", &m);
	ck_assert_int_eq(parse(m.b, m.len, &ev), CT_OK);
	struct ct_tuple o = tuple6(IPPROTO_UDP, "2001:db8::2", 5, "2001:db8::10", 53);
	o.zone = 7;
	ck_assert(ct_tuple_equal(&ev.e.orig, &o));
	ck_assert_uint_eq(ev.e.reply.zone, 7);

	load("new-icmp", &m);
	ck_assert_int_eq(parse(m.b, m.len, &ev), CT_OK);
	o = tuple4(IPPROTO_ICMP, "10.1.0.2", 77, "192.0.2.10", 8 << 8);
	struct ct_tuple inv;
	ck_assert(ct_tuple_equal(&ev.e.orig, &o));
	ck_assert(ct_tuple_invert(&o, &inv));
	ck_assert(ct_tuple_equal(&ev.e.reply, &inv));
}
END_TEST

START_TEST(captured_dump_and_error)
{
	struct blob b;
	struct ct_wire_msg m;
	struct ct_event ev;
	load("dump", &b);
	struct wire_rd r = wire_rd(b.b, b.len);
	unsigned n = 0;
	while (wire_left(&r)) {
		ck_assert_int_eq(ct_wire_next(&r, &m), CT_OK);
		ck_assert_int_eq(m.kind, CT_WIRE_ENTRY);
		ck_assert_int_eq(ct_wire_event(&m, &ev), CT_OK);
		ck_assert_int_eq(ev.type, CT_EV_DUMP);
		ck_assert_uint_eq(ev.portid, 0);
		n++;
	}
	ck_assert_uint_eq(n, 2);

	load("dump-done", &b);
	r = wire_rd(b.b, b.len);
	ck_assert_int_eq(ct_wire_next(&r, &m), CT_OK);
	ck_assert_int_eq(m.kind, CT_WIRE_DONE);
	ck_assert_int_eq(m.error, 0);

	load("error", &b);
	r = wire_rd(b.b, b.len);
	ck_assert_int_eq(ct_wire_next(&r, &m), CT_OK);
	ck_assert_int_eq(m.kind, CT_WIRE_RESULT);
	ck_assert_uint_eq(m.seq, 7);
	ck_assert_int_eq(m.error, -22);
	ck_assert_uint_eq(wire_left(&r), 0);
}
END_TEST

/* --- damage --- */

static const char *const entries[] = { "new-tcp-snat", "update-tcp", "destroy-tcp", "new-udp6-zone", "new-icmp" };

START_TEST(truncated_datagram)
{
	struct blob m;
	struct ct_event ev;
	load(entries[_i], &m);
	for (size_t n = 0; n < m.len; n++)
		ck_assert_int_eq(parse(m.b, n, &ev), n < 16 ? CT_DROP_HEADER : CT_DROP_LENGTH);
	ck_assert_int_eq(parse(m.b, m.len, &ev), CT_OK);
}
END_TEST

/* The length field is cut as well: it may be accepted only where an attribute ends and the tuple is in. */
START_TEST(truncated_message)
{
	struct blob m;
	struct ct_event ev;
	load(entries[_i], &m);
	bool end[8192] = { false };
	const struct nlattr *a;
	size_t orig_end = 0;
	mnl_attr_for_each(a, (struct nlmsghdr *)m.b, sizeof(struct nfgenmsg))
	{
		/* with and without the padding behind it */
		size_t at = (size_t)((const uint8_t *)a - m.b);
		for (size_t k = at + a->nla_len; k <= at + MNL_ALIGN(a->nla_len); k++)
			end[k] = true;
		if (mnl_attr_get_type(a) == CTA_TUPLE_ORIG)
			orig_end = at + a->nla_len;
	}
	for (uint32_t n = 16; n < m.len; n++) {
		uint8_t *cut = malloc(n);
		memcpy(cut, m.b, n);
		memcpy(cut, &n, sizeof(n));
		enum ct_drop d = parse(cut, n, &ev);
		ck_assert_msg((d == CT_OK) == (end[n] && n >= orig_end), "cut at %u: %s", n, ct_drop_text(d));
		free(cut);
	}
}
END_TEST

START_TEST(any_byte_changed)
{
	struct blob m;
	struct ct_event ev;
	load(entries[_i], &m);
	unsigned refused = 0;
	for (size_t n = 0; n < m.len; n++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			m.b[n] ^= (uint8_t)(1u << bit);
			enum ct_drop d = parse(m.b, m.len, &ev);
			ck_assert_uint_lt(d, CT_DROP_N);
			refused += d != CT_OK;
			m.b[n] ^= (uint8_t)(1u << bit);
		}
	}
	ck_assert_uint_gt(refused, 0);
}
END_TEST

static size_t message(uint8_t *buf, uint16_t type, uint16_t flags, uint8_t family)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	h->nlmsg_type = type;
	h->nlmsg_flags = flags;
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = family;
	return h->nlmsg_len;
}

static void put_tuple(struct nlmsghdr *h, uint16_t type, bool addr, bool num, bool ports, uint8_t l4)
{
	struct nlattr *o = mnl_attr_nest_start(h, type);
	struct nlattr *in = mnl_attr_nest_start(h, CTA_TUPLE_IP);
	mnl_attr_put_u32(h, CTA_IP_V4_SRC, 1);
	if (addr)
		mnl_attr_put_u32(h, CTA_IP_V4_DST, 2);
	mnl_attr_nest_end(h, in);
	in = mnl_attr_nest_start(h, CTA_TUPLE_PROTO);
	if (num)
		mnl_attr_put_u8(h, CTA_PROTO_NUM, l4);
	if (ports) {
		mnl_attr_put_u16(h, CTA_PROTO_SRC_PORT, 3);
		mnl_attr_put_u16(h, CTA_PROTO_DST_PORT, 4);
	}
	mnl_attr_nest_end(h, in);
	mnl_attr_nest_end(h, o);
}

START_TEST(each_reason)
{
	uint8_t buf[1024] __attribute__((aligned(8)));
	struct nlmsghdr *h = (struct nlmsghdr *)buf;
	struct ct_event ev;
	const uint16_t new_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;
#define REASON(d) ck_assert_int_eq(parse(buf, h->nlmsg_len, &ev), d)
	message(buf, NFNL_SUBSYS_QUEUE << 8, 0, AF_INET);
	REASON(CT_DROP_SUBSYS);
	message(buf, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET_STATS, 0, AF_INET);
	REASON(CT_DROP_TYPE);
	message(buf, new_type, 0, AF_INET);
	h->nlmsg_len = 18;
	REASON(CT_DROP_GENERIC);
	message(buf, new_type, 0, AF_UNIX);
	REASON(CT_DROP_FAMILY);
	message(buf, new_type, 0, AF_INET);
	REASON(CT_DROP_NO_ORIG);
	message(buf, new_type, 0, AF_INET);
	mnl_attr_put_u32(h, CTA_MARK, 0);
	((struct nlattr *)(buf + 20))->nla_len = 9;
	REASON(CT_DROP_ATTR);
	message(buf, new_type, 0, AF_INET);
	mnl_attr_put_u16(h, CTA_MARK, 0);
	REASON(CT_DROP_ATTR_SIZE);
	message(buf, new_type, 0, AF_INET);
	mnl_attr_put_u32(h, CTA_ZONE, 0);
	REASON(CT_DROP_ATTR_SIZE);
	message(buf, new_type, 0, AF_INET);
	put_tuple(h, CTA_TUPLE_ORIG, false, true, true, IPPROTO_TCP);
	REASON(CT_DROP_ADDRESS);
	message(buf, new_type, 0, AF_INET6);
	put_tuple(h, CTA_TUPLE_ORIG, true, true, true, IPPROTO_TCP);
	REASON(CT_DROP_ADDRESS);
	message(buf, new_type, 0, AF_INET);
	put_tuple(h, CTA_TUPLE_ORIG, true, false, true, IPPROTO_TCP);
	REASON(CT_DROP_PROTO);
	message(buf, new_type, 0, AF_INET);
	put_tuple(h, CTA_TUPLE_ORIG, true, true, false, IPPROTO_UDP);
	REASON(CT_DROP_PROTO);
	message(buf, new_type, 0, AF_INET);
	put_tuple(h, CTA_TUPLE_ORIG, true, true, true, IPPROTO_ICMP);
	REASON(CT_DROP_PROTO);
	/* a protocol without ports needs none */
	message(buf, new_type, 0, AF_INET);
	put_tuple(h, CTA_TUPLE_ORIG, true, true, false, IPPROTO_ESP);
	REASON(CT_OK);
	ck_assert_int_eq(ev.type, CT_EV_UPDATE);
	struct nlattr *n1 = mnl_attr_nest_start(h, CTA_PROTOINFO), *n2 = mnl_attr_nest_start(h, CTA_PROTOINFO_TCP);
	mnl_attr_put_u8(h, CTA_PROTOINFO_TCP_STATE, 10);
	mnl_attr_nest_end(h, n2);
	mnl_attr_nest_end(h, n1);
	REASON(CT_DROP_TCP_STATE);
	message(buf, new_type, 0, AF_INET);
	put_tuple(h, CTA_TUPLE_ORIG, true, true, true, IPPROTO_TCP);
	n1 = mnl_attr_nest_start(h, CTA_HELP);
	mnl_attr_put_strz(h, CTA_HELP_NAME, "a-name-of-16-chr");
	mnl_attr_nest_end(h, n1);
	REASON(CT_DROP_HELPER);
	message(buf, NLMSG_ERROR, 0, 0);
	h->nlmsg_len = 18;
	REASON(CT_DROP_ERROR);
	message(buf, NLMSG_NOOP, 0, 0);
	REASON(CT_DROP_TYPE);
#undef REASON
	for (unsigned d = 0; d < CT_DROP_N; d++) {
		ck_assert_uint_gt(strlen(ct_drop_name((enum ct_drop)d)), 0);
		ck_assert_uint_gt(strlen(ct_drop_text((enum ct_drop)d)), 0);
	}
	ck_assert_str_eq(ct_drop_name(CT_DROP_N), "unknown");
}
END_TEST

START_TEST(maxack_never_travels)
{
	struct blob m;
	struct ct_event ev;
	load("new-tcp-snat", &m);
	m.b[0xb8] = 0x3f; /* flags of the original direction: all of them */
	ck_assert_int_eq(parse(m.b, m.len, &ev), CT_OK);
	ck_assert_uint_eq(ev.e.tcp_flags[0], 0x0f);
}
END_TEST

/* --- building --- */

/* All attributes of a message as sorted lines "path=bytes". */
struct flat {
	unsigned n;
	char line[64][160];
};

static void flatten(const void *p, size_t len, const char *path, struct flat *f)
{
	const struct nlattr *a = p;
	int left = (int)len;
	for (; mnl_attr_ok(a, left); left -= MNL_ALIGN(a->nla_len), a = mnl_attr_next(a)) {
		char here[64], *at = f->line[f->n];
		snprintf(here, sizeof(here), "%s.%u", path, mnl_attr_get_type(a));
		if (a->nla_type & NLA_F_NESTED) {
			flatten(mnl_attr_get_payload(a), mnl_attr_get_payload_len(a), here, f);
			continue;
		}
		ck_assert_uint_lt(f->n, 63);
		int n = snprintf(at, 160, "%s=", here);
		const uint8_t *b = mnl_attr_get_payload(a);
		for (unsigned i = 0; i < mnl_attr_get_payload_len(a) && n < 150; i++)
			n += snprintf(at + n, 160 - (size_t)n, "%02x", b[i]);
		f->n++;
	}
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void flatten_msg(const uint8_t *msg, struct flat *f)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)msg;
	memset(f, 0, sizeof(*f));
	flatten(mnl_nlmsg_get_payload_offset(h, sizeof(struct nfgenmsg)),
		mnl_nlmsg_get_payload_len(h) - sizeof(struct nfgenmsg), "", f);
	qsort(f->line, f->n, sizeof(f->line[0]), by_text);
}

enum { SAMPLES = 6 };

/* Entries as a peer sends them; the library gets the same by its own names. */
static struct ct_entry sample(int i)
{
	struct ct_entry e = { .has = CT_HAS_REPLY | CT_HAS_STATUS | CT_HAS_TIMEOUT, .timeout_s = 300 };
	e.status = CT_ST_CONFIRMED | CT_ST_SEEN_REPLY | CT_ST_ASSURED;
	if (i == 0 || i == 5) {
		e.orig = tuple4(IPPROTO_TCP, "10.1.0.2", 1001, "192.0.2.10", 80);
		e.has |= CT_HAS_TCP | CT_HAS_TCP_WIN | CT_HAS_MARK | CT_HAS_HELPER;
		e.tcp_state = CT_TCP_ESTABLISHED;
		e.tcp_flags[0] = 0x0b;
		e.tcp_flags[1] = 0x09;
		e.tcp_wscale[0] = 7;
		e.tcp_wscale[1] = 9;
		e.mark = 0x10203;
		strcpy(e.helper, "ftp");
		e.orig.zone = i == 5 ? 4242 : 0;
	} else if (i == 1 || i == 2) {
		e.orig = tuple4(IPPROTO_UDP, "10.1.0.2", 1002, "192.0.2.10", 53);
		e.has |= i == 2 ? CT_HAS_MASTER : 0;
		e.master = tuple4(IPPROTO_TCP, "10.1.0.9", 9, "192.0.2.9", 21);
	} else if (i == 3) {
		e.orig = tuple6(IPPROTO_TCP, "2001:db8::2", 1003, "2001:db8::10", 80);
	} else {
		e.orig = tuple4(IPPROTO_UDP, "10.1.0.2", 1004, "192.0.2.1", 5000);
	}
	ck_assert(ct_tuple_invert(&e.orig, &e.reply));
	if (i == 1 || i == 4) {
		e.status |= CT_ST_SRC_NAT | CT_ST_SRC_NAT_DONE | CT_ST_DST_NAT_DONE;
		inet_pton(AF_INET, "198.51.100.1", e.reply.dst);
		e.reply.dport = 40001;
	}
	if (i == 4) {
		e.status |= CT_ST_DST_NAT;
		inet_pton(AF_INET, "10.1.0.5", e.reply.src);
		e.reply.sport = 6000;
	}
	return e;
}

static void nfct_tuple(struct nf_conntrack *ct, const struct ct_tuple *t, bool reply)
{
	bool v6 = t->l3 == 6;
	uint32_t s4, d4;
	memcpy(&s4, t->src, 4);
	memcpy(&d4, t->dst, 4);
	nfct_set_attr_u8(ct, reply ? ATTR_REPL_L3PROTO : ATTR_ORIG_L3PROTO, v6 ? AF_INET6 : AF_INET);
	nfct_set_attr_u8(ct, reply ? ATTR_REPL_L4PROTO : ATTR_ORIG_L4PROTO, t->l4);
	if (v6) {
		nfct_set_attr(ct, reply ? ATTR_REPL_IPV6_SRC : ATTR_ORIG_IPV6_SRC, t->src);
		nfct_set_attr(ct, reply ? ATTR_REPL_IPV6_DST : ATTR_ORIG_IPV6_DST, t->dst);
	} else {
		nfct_set_attr_u32(ct, reply ? ATTR_REPL_IPV4_SRC : ATTR_ORIG_IPV4_SRC, s4);
		nfct_set_attr_u32(ct, reply ? ATTR_REPL_IPV4_DST : ATTR_ORIG_IPV4_DST, d4);
	}
	nfct_set_attr_u16(ct, reply ? ATTR_REPL_PORT_SRC : ATTR_ORIG_PORT_SRC, htons(t->sport));
	nfct_set_attr_u16(ct, reply ? ATTR_REPL_PORT_DST : ATTR_ORIG_PORT_DST, htons(t->dport));
}

static void nfct_master(struct nf_conntrack *ct, const struct ct_tuple *t)
{
	uint32_t s4, d4;
	memcpy(&s4, t->src, 4);
	memcpy(&d4, t->dst, 4);
	nfct_set_attr_u8(ct, ATTR_MASTER_L3PROTO, AF_INET);
	nfct_set_attr_u8(ct, ATTR_MASTER_L4PROTO, t->l4);
	nfct_set_attr_u32(ct, ATTR_MASTER_IPV4_SRC, s4);
	nfct_set_attr_u32(ct, ATTR_MASTER_IPV4_DST, d4);
	nfct_set_attr_u16(ct, ATTR_MASTER_PORT_SRC, htons(t->sport));
	nfct_set_attr_u16(ct, ATTR_MASTER_PORT_DST, htons(t->dport));
}

static struct nf_conntrack *to_nfct(const struct ct_entry *e)
{
	struct nf_conntrack *ct = nfct_new();
	struct ct_tuple inv;
	uint32_t a;
	ck_assert_ptr_nonnull(ct);
	ck_assert(ct_tuple_invert(&e->orig, &inv));
	nfct_tuple(ct, &e->orig, false);
	nfct_tuple(ct, &inv, true);
	nfct_set_attr_u32(ct, ATTR_STATUS, e->status & CT_ST_CREATE);
	nfct_set_attr_u32(ct, ATTR_TIMEOUT, e->timeout_s);
	if (e->has & CT_HAS_TCP) {
		nfct_set_attr_u8(ct, ATTR_TCP_STATE, e->tcp_state);
		nfct_set_attr_u8(ct, ATTR_TCP_FLAGS_ORIG, e->tcp_flags[0]);
		nfct_set_attr_u8(ct, ATTR_TCP_FLAGS_REPL, e->tcp_flags[1]);
		nfct_set_attr_u8(ct, ATTR_TCP_MASK_ORIG, 0x0f);
		nfct_set_attr_u8(ct, ATTR_TCP_MASK_REPL, 0x0f);
		nfct_set_attr_u8(ct, ATTR_TCP_WSCALE_ORIG, e->tcp_wscale[0]);
		nfct_set_attr_u8(ct, ATTR_TCP_WSCALE_REPL, e->tcp_wscale[1]);
	}
	if (e->has & CT_HAS_MARK)
		nfct_set_attr_u32(ct, ATTR_MARK, e->mark);
	if (e->has & CT_HAS_HELPER)
		nfct_set_attr(ct, ATTR_HELPER_NAME, e->helper);
	if (e->has & CT_HAS_MASTER)
		nfct_master(ct, &e->master);
	if (e->orig.zone)
		nfct_set_attr_u16(ct, ATTR_ZONE, e->orig.zone);
	if (e->status & (CT_ST_SRC_NAT | CT_ST_DST_NAT)) {
		memcpy(&a, e->reply.dst, 4);
		nfct_set_attr_u32(ct, ATTR_SNAT_IPV4, a);
		nfct_set_attr_u16(ct, ATTR_SNAT_PORT, htons(e->reply.dport));
	}
	if (e->status & CT_ST_DST_NAT) {
		memcpy(&a, e->reply.src, 4);
		nfct_set_attr_u32(ct, ATTR_DNAT_IPV4, a);
		nfct_set_attr_u16(ct, ATTR_DNAT_PORT, htons(e->reply.sport));
	}
	return ct;
}

/* The library leaves out the upper ends, which then equal the lower ones; we write both. */
static void drop_maxima(struct flat *f)
{
	static const char *const max[] = { ".6.2=", ".6.3.2=", ".13.2=", ".13.3.2=" };
	unsigned n = 0;
	for (unsigned i = 0; i < f->n; i++) {
		bool drop = false;
		for (unsigned k = 0; k < sizeof(max) / sizeof(max[0]); k++)
			drop |= !strncmp(f->line[i], max[k], strlen(max[k]));
		if (!drop)
			memmove(f->line[n++], f->line[i], sizeof(f->line[0]));
	}
	memset(f->line[n], 0, sizeof(f->line[0]) * (f->n - n));
	f->n = n;
}

START_TEST(create_as_the_library_builds_it)
{
	struct ct_op op = { .type = CT_OP_CREATE, .e = sample(_i) };
	uint8_t ours[1024] __attribute__((aligned(8))), theirs[4096] __attribute__((aligned(8)));
	struct wire_wr w = wire_wr(ours, sizeof(ours));
	ck_assert_int_eq(ct_wire_build(&w, &op, 99), 0);
	ck_assert_uint_le(wire_len(&w), CT_WIRE_OP_MAX);
	const struct nlmsghdr *oh = (const struct nlmsghdr *)ours;
	ck_assert_uint_eq(oh->nlmsg_len, wire_len(&w));
	ck_assert_uint_eq(oh->nlmsg_seq, 99);
	ck_assert_uint_eq(oh->nlmsg_flags, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL);

	memset(theirs, 0, sizeof(theirs));
	struct nlmsghdr *th = mnl_nlmsg_put_header(theirs);
	th->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(th, sizeof(*g));
	g->nfgen_family = op.e.orig.l3 == 6 ? AF_INET6 : AF_INET;
	g->version = NFNETLINK_V0;
	struct nf_conntrack *ct = to_nfct(&op.e);
	ck_assert_int_eq(nfct_nlmsg_build(th, ct), 0);
	nfct_destroy(ct);
	ck_assert_uint_eq(oh->nlmsg_type, th->nlmsg_type);
	ck_assert_mem_eq(ours + 16, theirs + 16, 4);

	static struct flat a, b;
	flatten_msg(ours, &a);
	flatten_msg(theirs, &b);
	drop_maxima(&a);
	drop_maxima(&b);
	for (unsigned i = 0; i < a.n || i < b.n; i++)
		ck_assert_str_eq(a.line[i], b.line[i]);
}
END_TEST

START_TEST(created_entries_parse_back_by_the_library)
{
	struct ct_op op = { .type = CT_OP_CREATE, .e = sample(_i) };
	uint8_t ours[1024] __attribute__((aligned(8)));
	struct wire_wr w = wire_wr(ours, sizeof(ours));
	ck_assert_int_eq(ct_wire_build(&w, &op, 1), 0);
	struct nf_conntrack *got = nfct_new(), *want = to_nfct(&op.e);
	ck_assert_int_eq(nfct_nlmsg_parse((struct nlmsghdr *)ours, got), 0);
	ck_assert_int_eq(nfct_cmp(got, want, NFCT_CMP_ORIG | NFCT_CMP_REPL | NFCT_CMP_TIMEOUT_EQ), 1);
	ck_assert_uint_eq(nfct_get_attr_u32(got, ATTR_STATUS), CT_ST_CREATE);
	if (op.e.has & CT_HAS_TCP) {
		ck_assert_uint_eq(nfct_get_attr_u8(got, ATTR_TCP_STATE), op.e.tcp_state);
		ck_assert_uint_eq(nfct_get_attr_u8(got, ATTR_TCP_FLAGS_REPL), op.e.tcp_flags[1]);
		ck_assert_uint_eq(nfct_get_attr_u8(got, ATTR_TCP_MASK_REPL), 0x0f);
		ck_assert_uint_eq(nfct_get_attr_u8(got, ATTR_TCP_WSCALE_REPL), op.e.tcp_wscale[1]);
	}
	nfct_destroy(got);
	nfct_destroy(want);
}
END_TEST

/* What the library reads from the captured messages is what we read. */
START_TEST(captured_as_the_library_reads_it)
{
	struct blob m;
	struct ct_event ev;
	load(entries[_i], &m);
	ck_assert_int_eq(parse(m.b, m.len, &ev), CT_OK);
	struct nf_conntrack *ct = nfct_new();
	ck_assert_int_eq(nfct_nlmsg_parse((struct nlmsghdr *)m.b, ct), 0);
	const struct ct_entry *e = &ev.e;
	ck_assert_uint_eq(nfct_get_attr_u8(ct, ATTR_ORIG_L4PROTO), e->orig.l4);
	if (e->orig.l3 == 6) {
		ck_assert_mem_eq(nfct_get_attr(ct, ATTR_ORIG_IPV6_SRC), e->orig.src, 16);
		ck_assert_mem_eq(nfct_get_attr(ct, ATTR_REPL_IPV6_DST), e->reply.dst, 16);
	} else {
		ck_assert_mem_eq(nfct_get_attr(ct, ATTR_ORIG_IPV4_SRC), e->orig.src, 4);
		ck_assert_mem_eq(nfct_get_attr(ct, ATTR_ORIG_IPV4_DST), e->orig.dst, 4);
		ck_assert_mem_eq(nfct_get_attr(ct, ATTR_REPL_IPV4_SRC), e->reply.src, 4);
		ck_assert_mem_eq(nfct_get_attr(ct, ATTR_REPL_IPV4_DST), e->reply.dst, 4);
	}
	if (e->orig.l4 == IPPROTO_ICMP) {
		ck_assert_uint_eq(ntohs(nfct_get_attr_u16(ct, ATTR_ICMP_ID)), e->orig.sport);
		ck_assert_uint_eq(nfct_get_attr_u8(ct, ATTR_ICMP_TYPE), e->orig.dport >> 8);
	} else {
		ck_assert_uint_eq(ntohs(nfct_get_attr_u16(ct, ATTR_ORIG_PORT_SRC)), e->orig.sport);
		ck_assert_uint_eq(ntohs(nfct_get_attr_u16(ct, ATTR_ORIG_PORT_DST)), e->orig.dport);
		ck_assert_uint_eq(ntohs(nfct_get_attr_u16(ct, ATTR_REPL_PORT_DST)), e->reply.dport);
	}
	ck_assert_uint_eq(nfct_get_attr_u32(ct, ATTR_STATUS), e->status);
	ck_assert_uint_eq(nfct_get_attr_u32(ct, ATTR_TIMEOUT), e->timeout_s);
	ck_assert_uint_eq(nfct_get_attr_u32(ct, ATTR_MARK), e->mark);
	ck_assert_uint_eq(nfct_get_attr_u32(ct, ATTR_ID), e->id);
	ck_assert_uint_eq(nfct_get_attr_u8(ct, ATTR_TCP_STATE), e->tcp_state);
	ck_assert_uint_eq(nfct_get_attr_u8(ct, ATTR_TCP_FLAGS_ORIG) & CT_TCP_KEEP, e->tcp_flags[0]);
	ck_assert_uint_eq(nfct_get_attr_u8(ct, ATTR_TCP_WSCALE_REPL), e->tcp_wscale[1]);
	ck_assert_uint_eq(nfct_get_attr_u16(ct, ATTR_ZONE), e->orig.zone);
	nfct_destroy(ct);
}
END_TEST

START_TEST(golden_renew)
{
	static const uint8_t want[] = {
		0x58, 0, 0,  0,    0,    1,    1, 0,    7, 0, 0, 0, 0,   0,  0, 0, /* NEW, REQUEST, sequence 7 */
		2,    0, 0,  0,                                                    /* IPv4 */
		0x34, 0, 1,  0x80, 0x14, 0,    1, 0x80,                            /* original tuple, addresses */
		8,    0, 1,  0,    10,   1,    0, 2,    8, 0, 2, 0, 192, 0,  2, 10,
		0x1c, 0, 2,  0x80, 5,    0,    1, 0,    6, 0, 0, 0,                /* TCP */
		6,    0, 2,  0,    0x03, 0xe9, 0, 0,    6, 0, 3, 0, 0,   80, 0, 0, /* ports */
		6,    0, 18, 0,    0,    5,    0, 0,                               /* zone 5 */
		8,    0, 7,  0,    0,    0,    2, 0x58,                            /* timeout 600 */
	};
	struct ct_op op = { .type = CT_OP_RENEW, .e = sample(0) };
	uint8_t buf[256];
	op.e.orig.zone = 5;
	op.e.timeout_s = 600;
	struct wire_wr w = wire_wr(buf, sizeof(buf));
	ck_assert_int_eq(ct_wire_build(&w, &op, 7), 0);
	ck_assert_uint_eq(wire_len(&w), sizeof(want));
	ck_assert_mem_eq(buf, want, sizeof(want));
}
END_TEST

START_TEST(update_and_delete_carry_no_more)
{
	struct ct_op op = { .type = CT_OP_UPDATE, .e = sample(4) };
	uint8_t buf[1024] __attribute__((aligned(8)));
	struct wire_wr w = wire_wr(buf, sizeof(buf));
	static struct flat f;
	op.e.has |= CT_HAS_MASTER | CT_HAS_HELPER;
	strcpy(op.e.helper, "ftp");
	ck_assert_int_eq(ct_wire_build(&w, &op, 1), 0);
	flatten_msg(buf, &f);
	ck_assert_uint_eq(f.n, 7);                  /* five of the tuple, status, timeout */
	ck_assert_str_eq(f.line[5], ".3=0000000f"); /* the master makes it EXPECTED */

	op.type = CT_OP_DELETE;
	w = wire_wr(buf, sizeof(buf));
	ck_assert_int_eq(ct_wire_build(&w, &op, 1), 0);
	flatten_msg(buf, &f);
	ck_assert_uint_eq(f.n, 5);
	op.e.has |= CT_HAS_ID;
	op.e.id = 0x01020304;
	w = wire_wr(buf, sizeof(buf));
	ck_assert_int_eq(ct_wire_build(&w, &op, 1), 0);
	flatten_msg(buf, &f);
	ck_assert_uint_eq(f.n, 6);
	ck_assert_str_eq(f.line[5], ".12=01020304");
}
END_TEST

START_TEST(nat_from_the_tuples_alone)
{
	struct ct_op op = { .type = CT_OP_CREATE, .e = sample(1) };
	uint8_t a[1024] __attribute__((aligned(8))), b[1024] __attribute__((aligned(8)));
	struct wire_wr w = wire_wr(a, sizeof(a));
	ck_assert_int_eq(ct_wire_build(&w, &op, 1), 0);
	op.e.has &= ~(uint32_t)CT_HAS_STATUS;
	struct wire_wr v = wire_wr(b, sizeof(b));
	ck_assert_int_eq(ct_wire_build(&v, &op, 1), 0);
	ck_assert_uint_eq(wire_len(&w), wire_len(&v));
	static struct flat fa, fb;
	flatten_msg(a, &fa);
	flatten_msg(b, &fb);
	unsigned differ = 0;
	for (unsigned i = 0; i < fa.n; i++)
		differ += !!strcmp(fa.line[i], fb.line[i]);
	ck_assert_uint_eq(differ, 1); /* the status */
}
END_TEST

START_TEST(refused)
{
	struct ct_op op = { .type = CT_OP_CREATE };
	uint8_t buf[1024];
	struct wire_wr w = wire_wr(buf, sizeof(buf));
#define REFUSED(change)                                                     \
	do {                                                                \
		op.e = sample(0);                                           \
		change;                                                     \
		ck_assert_int_eq(ct_wire_build(&w, &op, 1), ERR_MALFORMED); \
		ck_assert_uint_eq(wire_len(&w), 0);                         \
		ck_assert(!w.bad);                                          \
	} while (0)
	REFUSED(op.e.orig.l3 = 5);
	REFUSED(op.e.orig.l4 = 0);
	REFUSED(op.e.orig.l4 = IPPROTO_ICMPV6);
	REFUSED(op.e.has &= ~(uint32_t)CT_HAS_TIMEOUT);
	REFUSED(op.e.tcp_state = 10);
	REFUSED(op.e.orig.l4 = op.e.reply.l4 = IPPROTO_UDP);
	REFUSED(op.e.reply.l4 = IPPROTO_UDP);
	REFUSED(op.e.reply.l3 = 6);
	REFUSED(op.e.helper[0] = 0);
	REFUSED(memset(op.e.helper, 'x', sizeof(op.e.helper)));
	REFUSED(op.e.has |= CT_HAS_MASTER);
	REFUSED(op.e.orig.zone = 1; op.e.reply.zone = 2);
	REFUSED(op.e = sample(1); op.e.orig.l4 = op.e.reply.l4 = IPPROTO_ICMP; op.e.orig.dport = 3 << 8);
	op.type = CT_OP_RENEW;
	REFUSED(op.e.has &= ~(uint32_t)CT_HAS_TIMEOUT);
	op.type = CT_OP_UPDATE;
	REFUSED(op.e.tcp_state = 10);
	op.type = (enum ct_op_type)9;
	REFUSED((void)0);
#undef REFUSED
}
END_TEST

START_TEST(no_room)
{
	uint8_t buf[CT_WIRE_OP_MAX];
	for (int type = CT_OP_CREATE; type <= CT_OP_GET; type++) {
		struct ct_op op = { .type = (enum ct_op_type)type, .e = sample(5) };
		struct wire_wr w = wire_wr(buf, sizeof(buf));
		ck_assert_int_eq(ct_wire_build(&w, &op, 1), 0);
		size_t need = wire_len(&w);
		for (size_t n = 0; n < need; n++) {
			w = wire_wr(buf, n);
			ck_assert_int_eq(ct_wire_build(&w, &op, 1), ERR_FULL);
			ck_assert_uint_eq(wire_len(&w), 0);
		}
	}
	struct wire_wr w = wire_wr(buf, 19);
	ck_assert_int_eq(ct_wire_dump(&w, 0, 1), ERR_FULL);
	w = wire_wr(buf, 20);
	ck_assert_int_eq(ct_wire_dump(&w, 6, 1), 0);
	ck_assert_uint_eq(buf[16], AF_INET6);
}
END_TEST

START_TEST(longest_operation_fits)
{
	struct ct_op op = { .type = CT_OP_CREATE, .e = sample(3) };
	struct ct_entry *e = &op.e;
	e->has |= CT_HAS_TCP | CT_HAS_TCP_WIN | CT_HAS_MARK | CT_HAS_HELPER | CT_HAS_MASTER;
	e->master = e->orig;
	e->status |= CT_ST_SRC_NAT | CT_ST_DST_NAT;
	e->reply.dport++;
	e->reply.sport++;
	strcpy(e->helper, "fifteen-letters");
	e->orig.zone = 3;
	uint8_t buf[CT_WIRE_OP_MAX];
	struct wire_wr w = wire_wr(buf, sizeof(buf));
	ck_assert_int_eq(ct_wire_build(&w, &op, 1), 0);
}
END_TEST

START_TEST(inverse)
{
	static const uint8_t pairs[][3] = { { IPPROTO_ICMP, 8, 0 },       { IPPROTO_ICMP, 13, 14 },
					    { IPPROTO_ICMP, 15, 16 },     { IPPROTO_ICMP, 17, 18 },
					    { IPPROTO_ICMPV6, 128, 129 }, { IPPROTO_ICMPV6, 139, 140 } };
	struct ct_tuple t = tuple4(IPPROTO_TCP, "10.1.0.2", 1, "192.0.2.10", 2), r, back;
	ck_assert(ct_tuple_invert(&t, &r));
	ck_assert_uint_eq(r.sport, 2);
	ck_assert(ct_tuple_invert(&r, &back));
	ck_assert(ct_tuple_equal(&t, &back));
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		t.l4 = pairs[i][0];
		t.dport = (uint16_t)(pairs[i][1] << 8 | 1);
		ck_assert(ct_tuple_invert(&t, &r));
		ck_assert_uint_eq(r.dport, pairs[i][2] << 8 | 1);
		ck_assert(ct_tuple_invert(&r, &back));
		ck_assert(ct_tuple_equal(&t, &back));
	}
	t.l4 = IPPROTO_ICMP;
	t.dport = 3 << 8;
	ck_assert(!ct_tuple_invert(&t, &r));
}
END_TEST

START_TEST(text)
{
	char out[CT_TUPLE_TEXT];
	struct ct_tuple t = tuple4(IPPROTO_TCP, "10.1.0.2", 1001, "192.0.2.10", 80);
	t.zone = 5;
	ck_assert_str_eq(ct_tuple_text(&t, out), "tcp 10.1.0.2:1001 -> 192.0.2.10:80 zone 5");
	t = tuple6(IPPROTO_ICMPV6, "2001:db8::2", 7, "2001:db8::10", 128 << 8);
	ck_assert_str_eq(ct_tuple_text(&t, out), "icmpv6 [2001:db8::2] -> [2001:db8::10] type 128 code 0 id 7");
	t = tuple4(IPPROTO_ESP, "10.1.0.2", 0, "192.0.2.10", 0);
	ck_assert_str_eq(ct_tuple_text(&t, out), "protocol 50 10.1.0.2 -> 192.0.2.10");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ct_wire");
	TCase *c = tcase_create("all");
	const int n = (int)(sizeof(entries) / sizeof(entries[0]));
	suite_add_tcase(s, c);
	tcase_add_test(c, captured_new_tcp_snat);
	tcase_add_test(c, captured_others);
	tcase_add_test(c, captured_dump_and_error);
	tcase_add_loop_test(c, truncated_datagram, 0, n);
	tcase_add_loop_test(c, truncated_message, 0, n);
	tcase_add_loop_test(c, any_byte_changed, 0, n);
	tcase_add_loop_test(c, captured_as_the_library_reads_it, 0, n);
	tcase_add_test(c, each_reason);
	tcase_add_test(c, maxack_never_travels);
	tcase_add_loop_test(c, create_as_the_library_builds_it, 0, SAMPLES);
	tcase_add_loop_test(c, created_entries_parse_back_by_the_library, 0, SAMPLES);
	tcase_add_test(c, golden_renew);
	tcase_add_test(c, update_and_delete_carry_no_more);
	tcase_add_test(c, nat_from_the_tuples_alone);
	tcase_add_test(c, refused);
	tcase_add_test(c, no_room);
	tcase_add_test(c, longest_operation_fits);
	tcase_add_test(c, inverse);
	tcase_add_test(c, text);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
