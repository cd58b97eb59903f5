/* Reading ctnetlink: captured messages, every truncation, every reason, and the library as the reference. */
#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdlib.h>
#include "tests/unit/ct_wire_util.h"
#include "tests/unit/run.h"

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

static void put_counters(struct nlmsghdr *h, uint16_t type, uint64_t packets, uint64_t bytes)
{
	struct nlattr *nest = mnl_attr_nest_start(h, type);
	mnl_attr_put_u64(h, CTA_COUNTERS_PACKETS, htobe64(packets));
	mnl_attr_put_u64(h, CTA_COUNTERS_BYTES, htobe64(bytes));
	mnl_attr_nest_end(h, nest);
}

/* Both directions add up; an entry without them says so. */
START_TEST(counters)
{
	uint8_t buf[1024] __attribute__((aligned(8)));
	struct nlmsghdr *h = (struct nlmsghdr *)buf;
	struct ct_event ev;
	const uint16_t new_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;
	message(buf, new_type, 0, AF_INET);
	put_tuple(h, CTA_TUPLE_ORIG, true, true, true, IPPROTO_TCP);
	ck_assert_int_eq(parse(buf, h->nlmsg_len, &ev), CT_OK);
	ck_assert_uint_eq(ev.e.has & CT_HAS_COUNTERS, 0);
	put_counters(h, CTA_COUNTERS_ORIG, UINT64_C(1) << 33, 100);
	put_counters(h, CTA_COUNTERS_REPLY, 2, UINT64_C(7) << 40);
	ck_assert_int_eq(parse(buf, h->nlmsg_len, &ev), CT_OK);
	ck_assert_uint_ne(ev.e.has & CT_HAS_COUNTERS, 0);
	ck_assert_uint_eq(ev.e.packets, (UINT64_C(1) << 33) + 2);
	ck_assert_uint_eq(ev.e.bytes, (UINT64_C(7) << 40) + 100);
	struct nlattr *nest = mnl_attr_nest_start(h, CTA_COUNTERS_ORIG);
	mnl_attr_put_u32(h, CTA_COUNTERS_BYTES, 1);
	mnl_attr_nest_end(h, nest);
	ck_assert_int_eq(parse(buf, h->nlmsg_len, &ev), CT_DROP_ATTR_SIZE);
}
END_TEST

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
	message(buf, NLMSG_ERROR, 0, 0);
	memcpy(buf + 16, &(int32_t){ 5 }, 4);
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
	static const struct {
		uint8_t l4;
		const char *name;
	} names[] = { { IPPROTO_UDP, "udp" },
		      { IPPROTO_UDPLITE, "udplite" },
		      { IPPROTO_SCTP, "sctp" },
		      { IPPROTO_DCCP, "dccp" },
		      { IPPROTO_GRE, "gre" } };
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char want[CT_TUPLE_TEXT];
		t = tuple4(names[i].l4, "10.1.0.2", 5, "192.0.2.10", 6);
		snprintf(want, sizeof(want), "%s 10.1.0.2:5 -> 192.0.2.10:6", names[i].name);
		ck_assert_str_eq(ct_tuple_text(&t, out), want);
	}
	t = tuple4(IPPROTO_ICMP, "10.1.0.2", 7, "192.0.2.10", 8 << 8);
	ck_assert_str_eq(ct_tuple_text(&t, out), "icmp 10.1.0.2 -> 192.0.2.10 type 8 code 0 id 7");
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
	tcase_add_test(c, counters);
	tcase_add_test(c, each_reason);
	tcase_add_test(c, maxack_never_travels);
	tcase_add_test(c, inverse);
	tcase_add_test(c, text);
	return unit_run(s);
}
