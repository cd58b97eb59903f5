/* Building ctnetlink: bytes, the library as the reference, what is refused. */
#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdlib.h>
#include "daemon/base/err.h"
#include "tests/unit/ct_wire_util.h"
#include "tests/unit/run.h"

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

/* Without translation an entry that was built reads back as it was, for every protocol and kind of zone. */
static const struct {
	uint8_t l3, l4;
	uint16_t sport, dport, zone, reply_zone;
} plain[] = {
	{ 4, IPPROTO_TCP, 1, 2, 0, 0 },
	{ 6, IPPROTO_TCP, 1, 2, 3, 3 },
	{ 4, IPPROTO_UDP, 1, 2, 3, 0 },
	{ 6, IPPROTO_UDP, 1, 2, 0, 3 },
	{ 4, IPPROTO_UDPLITE, 1, 2, 0, 0 },
	{ 4, IPPROTO_SCTP, 1, 2, 0, 0 },
	{ 6, IPPROTO_DCCP, 1, 2, 0, 0 },
	{ 4, IPPROTO_GRE, 5, 6, 0, 0 },
	{ 4, IPPROTO_ESP, 0, 0, 7, 7 },
	{ 4, IPPROTO_ICMP, 77, 8 << 8, 0, 0 },
	{ 6, IPPROTO_ICMPV6, 78, 128 << 8, 65535, 65535 },
};

START_TEST(round_trip)
{
	const char *src = plain[_i].l3 == 6 ? "2001:db8::2" : "10.1.0.2",
		   *dst = plain[_i].l3 == 6 ? "2001:db8::9" : "10.9.9.9";
	struct ct_op op = { .type = CT_OP_CREATE, .e = sample(3) };
	struct ct_entry *e = &op.e;
	e->orig = plain[_i].l3 == 6 ? tuple6(plain[_i].l4, src, plain[_i].sport, dst, plain[_i].dport)
				    : tuple4(plain[_i].l4, src, plain[_i].sport, dst, plain[_i].dport);
	ck_assert(ct_tuple_invert(&e->orig, &e->reply));
	e->orig.zone = plain[_i].zone;
	e->reply.zone = plain[_i].reply_zone;
	e->has |= CT_HAS_MARK | CT_HAS_MASTER | CT_HAS_HELPER;
	e->mark = 5;
	e->master = e->reply;
	/* the master's tuple is read with the zone of its entry */
	e->master.zone = e->orig.zone;
	strcpy(e->helper, "ftp");
	e->has |= CT_HAS_LABELS | CT_HAS_SEQADJ | CT_HAS_SYNPROXY;
	memset(e->labels, 0xa5, sizeof(e->labels));
	e->seqadj[0] = (struct ct_seqadj){ 1, -2, 3 };
	e->seqadj[1] = (struct ct_seqadj){ UINT32_MAX, INT32_MIN, INT32_MAX };
	e->synproxy = (struct ct_synproxy){ 4, 5, 6 };
	if (plain[_i].l4 == IPPROTO_SCTP) {
		e->has |= CT_HAS_SCTP;
		e->sctp_state = CT_SCTP_SHUTDOWN_ACK_SENT;
		e->sctp_vtag[0] = 0x01020304;
		e->sctp_vtag[1] = 0xfffefdfc;
	}
	if (plain[_i].l4 == IPPROTO_TCP) {
		e->has |= CT_HAS_TCP;
		e->tcp_state = CT_TCP_SYN_SENT2;
	}
	uint8_t buf[CT_WIRE_OP_MAX] __attribute__((aligned(8)));
	struct wire_wr w = wire_wr(buf, sizeof(buf));
	struct ct_event ev;
	ck_assert_int_eq(ct_wire_build(&w, &op, 1), 0);
	ck_assert_int_eq(parse(buf, wire_len(&w), &ev), CT_OK);
	ck_assert_int_eq(ev.type, CT_EV_NEW);
	ck_assert_mem_eq(&ev.e, e, sizeof(*e));
}
END_TEST

/* What the manipulations of a translated entry are. */
static const struct {
	uint8_t l3, l4;
	bool src, dst;
	const char *want[4];
} nats[] = {
	{ 4, IPPROTO_ICMP, true, false, { ".6.1=c6336401", ".6.3.1=0fee" } },
	{ 4, IPPROTO_ESP, true, false, { ".6.1=c6336401" } },
	{ 4, IPPROTO_ESP, false, true, { ".6.1=0a010002", ".13.1=c6336402" } },
	{ 4, IPPROTO_ICMP, false, true, { ".6.1=0a010002", ".6.3.1=004d", ".13.1=c6336402" } },
	{ 6,
	  IPPROTO_UDP,
	  true,
	  true,
	  { ".6.4=20010db8000000000000000000000061", ".6.3.1=9c41", ".13.4=20010db8000000000000000000000062",
	    ".13.3.1=1770" } },
	{ 4, IPPROTO_GRE, true, false, { ".6.1=c6336401", ".6.3.1=9c41" } },
};

START_TEST(nat_attributes)
{
	bool v6 = nats[_i].l3 == 6, icmp = nats[_i].l4 == IPPROTO_ICMP, ports = !icmp && nats[_i].l4 != IPPROTO_ESP;
	struct ct_op op = { .type = CT_OP_CREATE, .e = sample(3) };
	struct ct_entry *e = &op.e;
	e->orig = v6 ? tuple6(nats[_i].l4, "2001:db8::2", 5, "2001:db8::9", 6)
		     : tuple4(nats[_i].l4, "10.1.0.2",
			      icmp    ? 77
			      : ports ? 5
				      : 0,
			      "10.9.9.9",
			      icmp    ? 8 << 8
			      : ports ? 6
				      : 0);
	ck_assert(ct_tuple_invert(&e->orig, &e->reply));
	int af = v6 ? AF_INET6 : AF_INET;
	if (nats[_i].src) {
		inet_pton(af, v6 ? "2001:db8::61" : "198.51.100.1", e->reply.dst);
		e->reply.sport = icmp ? 4078 : e->reply.sport;
		e->reply.dport = ports ? 40001 : e->reply.dport;
	}
	if (nats[_i].dst) {
		inet_pton(af, v6 ? "2001:db8::62" : "198.51.100.2", e->reply.src);
		e->reply.sport = ports ? 6000 : e->reply.sport;
	}
	for (unsigned with_status = 0; with_status < 2; with_status++) {
		uint8_t buf[CT_WIRE_OP_MAX] __attribute__((aligned(8)));
		struct wire_wr w = wire_wr(buf, sizeof(buf));
		static struct flat f;
		e->status |= (nats[_i].src ? CT_ST_SRC_NAT : 0) | (nats[_i].dst ? CT_ST_DST_NAT : 0);
		e->has &= ~(uint32_t)CT_HAS_STATUS;
		e->has |= with_status ? CT_HAS_STATUS : 0;
		ck_assert_int_eq(ct_wire_build(&w, &op, 1), 0);
		flatten_msg(buf, &f);
		drop_maxima(&f);
		unsigned found = 0, want = 0;
		for (unsigned i = 0; i < f.n; i++)
			found += !strncmp(f.line[i], ".6.", 3) || !strncmp(f.line[i], ".13.", 4);
		for (unsigned k = 0; k < 4 && nats[_i].want[k]; k++, want++) {
			bool there = false;
			for (unsigned i = 0; i < f.n; i++)
				there |= !strcmp(f.line[i], nats[_i].want[k]);
			ck_assert_msg(there, "%s is missing", nats[_i].want[k]);
		}
		/* and nothing else; the upper ends of IPv6 addresses are .5 */
		for (unsigned i = 0; i < f.n; i++)
			found -= !strncmp(f.line[i], ".6.5=", 5) || !strncmp(f.line[i], ".13.5=", 6);
		ck_assert_uint_eq(found, want);
		struct ct_event ev;
		ck_assert_int_eq(parse(buf, wire_len(&w), &ev), CT_OK);
		struct ct_tuple inv;
		ck_assert(ct_tuple_invert(&e->orig, &inv));
		ck_assert(ct_tuple_equal(&ev.e.reply, &inv));
	}
}
END_TEST

/* IPVS translates by itself: no NAT bits, and the reply tuple is the translated one. */
START_TEST(translated_without_nat_bits)
{
	struct ct_op op = { .type = CT_OP_CREATE, .e = sample(4) };
	op.e.status = CT_ST_CREATE;
	uint8_t buf[CT_WIRE_OP_MAX] __attribute__((aligned(8)));
	struct wire_wr w = wire_wr(buf, sizeof(buf));
	struct ct_event ev;
	ck_assert_int_eq(ct_wire_build(&w, &op, 1), 0);
	ck_assert_int_eq(parse(buf, wire_len(&w), &ev), CT_OK);
	ck_assert_mem_eq(&ev.e, &op.e, sizeof(ev.e));
	static struct flat f;
	flatten_msg(buf, &f);
	for (unsigned i = 0; i < f.n; i++)
		ck_assert(strncmp(f.line[i], ".6.", 3) && strncmp(f.line[i], ".13.", 4));
}
END_TEST

/* Without a reply tuple the plain inverse is sent; an ICMP error has none. */
START_TEST(reply_made_up)
{
	struct ct_op op = { .type = CT_OP_CREATE, .e = sample(3) };
	struct ct_tuple reply = op.e.reply;
	op.e.has &= ~(uint32_t)CT_HAS_REPLY;
	memset(&op.e.reply, 0, sizeof(op.e.reply));
	uint8_t buf[CT_WIRE_OP_MAX] __attribute__((aligned(8)));
	struct wire_wr w = wire_wr(buf, sizeof(buf));
	struct ct_event ev;
	ck_assert_int_eq(ct_wire_build(&w, &op, 1), 0);
	ck_assert_int_eq(parse(buf, wire_len(&w), &ev), CT_OK);
	ck_assert(ct_tuple_equal(&ev.e.reply, &reply));
	op.e.orig = tuple4(IPPROTO_ICMP, "10.1.0.2", 1, "192.0.2.10", 3 << 8);
	w = wire_wr(buf, sizeof(buf));
	ck_assert_int_eq(ct_wire_build(&w, &op, 1), ERR_MALFORMED);
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
	REFUSED(op.e.has |= CT_HAS_SCTP);
	REFUSED(op.e.has &= ~(uint32_t)(CT_HAS_TCP | CT_HAS_TCP_WIN); op.e.has |= CT_HAS_SCTP;
		op.e.orig.l4 = op.e.reply.l4 = IPPROTO_SCTP; op.e.sctp_state = 10);
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
	e->has |= CT_HAS_LABELS | CT_HAS_SEQADJ | CT_HAS_SYNPROXY;
	memset(e->labels, 0xa5, sizeof(e->labels));
	e->seqadj[0] = (struct ct_seqadj){ 1, -2, 3 };
	e->seqadj[1] = (struct ct_seqadj){ UINT32_MAX, INT32_MIN, INT32_MAX };
	e->synproxy = (struct ct_synproxy){ 4, 5, 6 };
	e->orig.zone = 3;
	uint8_t buf[CT_WIRE_OP_MAX];
	struct wire_wr w = wire_wr(buf, sizeof(buf));
	ck_assert_int_eq(ct_wire_build(&w, &op, 1), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ct_build");
	TCase *c = tcase_create("all");
	suite_add_tcase(s, c);
	tcase_add_loop_test(c, create_as_the_library_builds_it, 0, SAMPLES);
	tcase_add_loop_test(c, created_entries_parse_back_by_the_library, 0, SAMPLES);
	tcase_add_test(c, golden_renew);
	tcase_add_test(c, update_and_delete_carry_no_more);
	tcase_add_loop_test(c, round_trip, 0, (int)(sizeof(plain) / sizeof(plain[0])));
	tcase_add_loop_test(c, nat_attributes, 0, (int)(sizeof(nats) / sizeof(nats[0])));
	tcase_add_test(c, translated_without_nat_bits);
	tcase_add_test(c, reply_made_up);
	tcase_add_test(c, nat_from_the_tuples_alone);
	tcase_add_test(c, refused);
	tcase_add_test(c, no_room);
	tcase_add_test(c, longest_operation_fits);
	return unit_run(s);
}
