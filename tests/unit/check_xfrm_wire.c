/* XFRM codec: layouts of linux/xfrm.h byte by byte, truncation at every byte, attributes that lie. */
#include <check.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <stdlib.h>
#include <string.h>
#include "ike-hooks/xfrm_wire.h"
#include "tests/unit/run.h"

static struct addr A(const char *text) {
	struct addr a;

	ck_assert(addr_parse(text, &a));
	return a;
}

START_TEST(dump_of_one_source)
{
	uint8_t buf[XFRM_BUF_LEN];
	struct addr vip = A("192.0.2.1"), none = { .af = 0 };
	struct nlmsghdr h;
	struct xfrm_address_filter f;

	size_t n = xfrm_put_dump(buf, sizeof(buf), 77, &vip, &none);
	ck_assert_uint_eq(n, 16 + 4 + sizeof(f));
	memcpy(&h, buf, sizeof(h));
	ck_assert_uint_eq(h.nlmsg_len, n);
	ck_assert_uint_eq(h.nlmsg_type, XFRM_MSG_GETSA);
	ck_assert_uint_eq(h.nlmsg_flags, NLM_F_REQUEST | NLM_F_DUMP);
	ck_assert_uint_eq(h.nlmsg_seq, 77);
	memcpy(&f, buf + 20, sizeof(f));
	ck_assert_uint_eq(f.family, 2);
	ck_assert_uint_eq(f.splen, 32);
	ck_assert_uint_eq(f.dplen, 0);
	ck_assert_mem_eq(&f.saddr, vip.b, 4);

	struct addr v6 = A("2001:db8::1"), peer = A("2001:db8::2");
	ck_assert_uint_ne(xfrm_put_dump(buf, sizeof(buf), 1, &peer, &v6), 0);
	memcpy(&f, buf + 20, sizeof(f));
	ck_assert_uint_eq(f.family, 10);
	ck_assert_uint_eq(f.splen, 128);
	ck_assert_uint_eq(f.dplen, 128);
	ck_assert_mem_eq(&f.daddr, v6.b, 16);

	/* An empty filter would list everything: refused. */
	ck_assert_uint_eq(xfrm_put_dump(buf, sizeof(buf), 1, &none, &none), 0);
	ck_assert_uint_eq(xfrm_put_dump(buf, sizeof(buf), 1, &vip, &v6), 0);
	for (size_t cap = 0; cap < n; cap++)
		ck_assert_uint_eq(xfrm_put_dump(buf, cap, 1, &vip, &none), 0);
}
END_TEST

START_TEST(delete_names_exactly_one)
{
	uint8_t buf[XFRM_BUF_LEN];
	struct xfrm_sa sa = { .src = A("192.0.2.1"), .dst = A("192.0.2.2"), .spi = 0xc1234567, .proto = 50 };
	struct nlmsghdr h;
	struct xfrm_usersa_id id;

	size_t n = xfrm_put_delete(buf, sizeof(buf), 5, &sa);
	ck_assert_uint_eq(n, 16 + sizeof(id));
	memcpy(&h, buf, sizeof(h));
	ck_assert_uint_eq(h.nlmsg_type, XFRM_MSG_DELSA);
	ck_assert_uint_eq(h.nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK);
	memcpy(&id, buf + 16, sizeof(id));
	ck_assert_mem_eq(&id.spi, "\xc1\x23\x45\x67", 4);
	ck_assert_mem_eq(&id.daddr, sa.dst.b, 4);
	ck_assert_uint_eq(id.family, 2);
	ck_assert_uint_eq(id.proto, 50);

	sa.has_mark = true;
	sa.mark = 7;
	sa.mark_mask = 0xff;
	size_t with_mark = xfrm_put_delete(buf, sizeof(buf), 5, &sa);
	ck_assert_uint_eq(with_mark, n + 4 + sizeof(struct xfrm_mark));
	struct xfrm_mark m;
	memcpy(&m, buf + n + 4, sizeof(m));
	ck_assert_uint_eq(m.v, 7);
	ck_assert_uint_eq(m.m, 0xff);
	sa.dst.af = 0;
	ck_assert_uint_eq(xfrm_put_delete(buf, sizeof(buf), 5, &sa), 0);
}
END_TEST

static size_t add_attr(uint8_t *buf, size_t at, uint16_t type, const void *value, size_t len)
{
	struct nlattr a = { .nla_len = (uint16_t)(NLA_HDRLEN + len), .nla_type = type };

	memcpy(buf + at, &a, sizeof(a));
	memcpy(buf + at + NLA_HDRLEN, value, len);
	return at + NLA_HDRLEN + NLA_ALIGN(len);
}

/* A message as the kernel sends it. */
static size_t make_sa(uint8_t *buf, uint16_t family, bool keys, bool mark)
{
	struct xfrm_usersa_info info;
	struct nlmsghdr h = { .nlmsg_type = XFRM_MSG_NEWSA, .nlmsg_flags = NLM_F_MULTI, .nlmsg_seq = 9 };

	memset(&info, 0, sizeof(info));
	struct addr src = A(family == 2 ? "192.0.2.1" : "2001:db8::1"),
		    dst = A(family == 2 ? "192.0.2.2" : "2001:db8::2");
	memcpy(&info.saddr, src.b, 16);
	memcpy(&info.id.daddr, dst.b, 16);
	memcpy(&info.id.spi, "\0\0\1\2", 4);
	info.id.proto = 50;
	info.family = family;
	info.reqid = 11;
	info.mode = XFRM_MODE_TUNNEL;
	memcpy(buf + 16, &info, sizeof(info));
	size_t n = 16 + NLMSG_ALIGN(sizeof(info));
	if (keys) {
		struct xfrm_algo alg;
		memset(&alg, 0, sizeof(alg));
		n = add_attr(buf, n, XFRMA_ALG_CRYPT, &alg, sizeof(alg));
	}
	if (mark) {
		struct xfrm_mark m = { 3, 0xf };
		n = add_attr(buf, n, XFRMA_MARK, &m, sizeof(m));
	}
	uint32_t if_id = 21;
	n = add_attr(buf, n, XFRMA_IF_ID, &if_id, sizeof(if_id));
	if (keys) {
		struct xfrm_encap_tmpl encap;
		memset(&encap, 0, sizeof(encap));
		memcpy(&encap.encap_sport, "\x11\x94", 2);
		memcpy(&encap.encap_dport, "\x12\x34", 2);
		n = add_attr(buf, n, XFRMA_ENCAP, &encap, sizeof(encap));
	}
	n = add_attr(buf, n, 4000, "later", 5);
	h.nlmsg_len = (uint32_t)n;
	memcpy(buf, &h, sizeof(h));
	return n;
}

START_TEST(reads_an_sa)
{
	uint8_t buf[1024] = { 0 };
	struct xfrm_msg m;
	size_t used, n = make_sa(buf, 2, true, true);

	xfrm_get(buf, n, &m, &used);
	ck_assert_int_eq(m.kind, XFRM_OK);
	ck_assert_uint_eq(used, n);
	ck_assert_uint_eq(m.seq, 9);
	ck_assert_uint_eq(m.sa.spi, 0x102);
	ck_assert_uint_eq(m.sa.reqid, 11);
	ck_assert_uint_eq(m.sa.if_id, 21);
	ck_assert_uint_eq(m.sa.mode, XFRM_MODE_TUNNEL);
	ck_assert(m.sa.has_mark && m.sa.mark == 3 && m.sa.mark_mask == 0xf);
	ck_assert(!m.sa.larval);
	ck_assert_uint_eq(m.sa.encap_sport, 4500);
	ck_assert_uint_eq(m.sa.encap_dport, 0x1234);
	struct addr src = A("192.0.2.1"), dst = A("192.0.2.2");
	ck_assert(addr_eq(&m.sa.src, &src) && addr_eq(&m.sa.dst, &dst));

	n = make_sa(buf, 10, false, false);
	xfrm_get(buf, n, &m, &used);
	ck_assert_int_eq(m.kind, XFRM_OK);
	ck_assert(m.sa.larval && !m.sa.has_mark && !m.sa.encap_sport && !m.sa.encap_dport);
	ck_assert_uint_eq(m.sa.dst.af, ADDR_V6);
}
END_TEST

START_TEST(truncation_at_every_byte)
{
	uint8_t buf[1024] = { 0 };
	size_t n = make_sa(buf, 2, true, true);

	for (size_t len = 0; len < n; len++) {
		struct xfrm_msg m;
		size_t used;
		uint8_t *exact = malloc(len ? len : 1);
		memcpy(exact, buf, len);
		xfrm_get(exact, len, &m, &used);
		ck_assert_int_eq(m.kind, XFRM_DROP_SHORT);
		ck_assert_uint_eq(used, 0);
		/* The same cut with a header that agrees. */
		if (len >= 16) {
			struct nlmsghdr h;
			memcpy(&h, exact, sizeof(h));
			h.nlmsg_len = (uint32_t)len;
			memcpy(exact, &h, sizeof(h));
			xfrm_get(exact, len, &m, &used);
			ck_assert_uint_eq(used, len);
			ck_assert_int_ne(m.kind, XFRM_DONE);
		}
		free(exact);
	}
}
END_TEST

START_TEST(bad_fields)
{
	uint8_t buf[1024] = { 0 };
	struct xfrm_msg m;
	size_t used, n = make_sa(buf, 7, false, false);

	xfrm_get(buf, n, &m, &used);
	ck_assert_int_eq(m.kind, XFRM_DROP_FAMILY);
	ck_assert_uint_eq(used, n);

	size_t first = 16 + NLMSG_ALIGN(sizeof(struct xfrm_usersa_info));
	static const struct {
		uint16_t len, type;
		enum xfrm_drop want;
	} row[] = { { 0, 1, XFRM_DROP_ATTR },
		    { 3, 1, XFRM_DROP_ATTR },
		    { 60000, 1, XFRM_DROP_ATTR },
		    { 4, XFRMA_MARK, XFRM_DROP_ATTR_SIZE },
		    { 8, XFRMA_MARK, XFRM_DROP_ATTR_SIZE },
		    { 6, XFRMA_IF_ID, XFRM_DROP_ATTR_SIZE },
		    { 20, XFRMA_ENCAP, XFRM_DROP_ATTR_SIZE } };
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		n = make_sa(buf, 2, false, false);
		struct nlattr a = { .nla_len = row[i].len, .nla_type = row[i].type };
		memcpy(buf + first, &a, sizeof(a));
		xfrm_get(buf, n, &m, &used);
		ck_assert_msg(m.kind == row[i].want, "row %zu: %s", i, xfrm_drop_text(m.kind));
	}
	struct nlmsghdr h = { .nlmsg_len = 16, .nlmsg_type = XFRM_MSG_EXPIRE };
	memcpy(buf, &h, sizeof(h));
	xfrm_get(buf, 100, &m, &used);
	ck_assert_int_eq(m.kind, XFRM_DROP_TYPE);
	ck_assert_uint_eq(used, 16);
	h.nlmsg_len = 15;
	memcpy(buf, &h, sizeof(h));
	xfrm_get(buf, 100, &m, &used);
	ck_assert_uint_eq(used, 0);
}
END_TEST

static void answer(uint16_t type, int32_t code, size_t body, struct xfrm_msg *m)
{
	uint8_t buf[64] = { 0 };
	struct nlmsghdr h = { .nlmsg_len = (uint32_t)(16 + body), .nlmsg_type = type, .nlmsg_flags = NLM_F_DUMP_INTR };
	size_t used;

	memcpy(buf, &h, sizeof(h));
	memcpy(buf + 16, &code, sizeof(code));
	xfrm_get(buf, 16 + body, m, &used);
}

START_TEST(answers)
{
	struct xfrm_msg m;

	answer(NLMSG_ERROR, -ESRCH, sizeof(struct nlmsgerr), &m);
	ck_assert_int_eq(m.kind, XFRM_ACK);
	ck_assert_int_eq(m.error, -ESRCH);
	answer(NLMSG_ERROR, 0, sizeof(struct nlmsgerr), &m);
	ck_assert_int_eq(m.error, 0);
	answer(NLMSG_ERROR, 0, 4, &m);
	ck_assert_int_eq(m.kind, XFRM_DROP_SHORT);
	answer(NLMSG_ERROR, 5, sizeof(struct nlmsgerr), &m);
	ck_assert_int_eq(m.error, -EPROTO);
	answer(NLMSG_ERROR, INT32_MIN, sizeof(struct nlmsgerr), &m);
	ck_assert_int_eq(m.error, -EPROTO);
	answer(NLMSG_DONE, 0, 4, &m);
	ck_assert_int_eq(m.kind, XFRM_DONE);
	ck_assert(m.interrupted);
	answer(NLMSG_DONE, -EINVAL, 4, &m);
	ck_assert_int_eq(m.error, -EINVAL);
	answer(NLMSG_DONE, -EINVAL, 0, &m);
	ck_assert_int_eq(m.error, 0);
}
END_TEST

START_TEST(matches_by_address_only)
{
	struct addr vip = A("192.0.2.1"), other = A("192.0.2.3"), peer = A("192.0.2.2"), none = { .af = 0 };
	struct xfrm_sa out = { .src = vip, .dst = peer }, in = { .src = peer, .dst = vip },
		       far = { .src = other, .dst = peer };

	ck_assert(xfrm_matches(&out, &vip, NULL) && xfrm_matches(&in, &vip, NULL));
	ck_assert(xfrm_matches(&out, &vip, &none));
	ck_assert(xfrm_matches(&out, &vip, &peer) && xfrm_matches(&in, &vip, &peer));
	ck_assert(!xfrm_matches(&out, &vip, &other) && !xfrm_matches(&in, &vip, &other));
	ck_assert(!xfrm_matches(&far, &vip, NULL));
	ck_assert_str_ne(xfrm_drop_text(XFRM_DROP_N), xfrm_drop_text(XFRM_OK));
}
END_TEST

/* By address, and by each of the three numbers where it is given. */
START_TEST(selection)
{
	struct xfrm_sa sa = {
		.src = A("192.0.2.1"), .dst = A("192.0.2.9"), .spi = 1, .proto = 50, .reqid = 7, .if_id = 3
	};
	struct xfrm_filter f = { .vip = A("192.0.2.1") };

	static const struct {
		uint8_t proto;
		bool want;
	} row[] = {
		{ 50, true }, { 51, true }, { 108, true }, { 4, false }, { 41, false }, { 43, false }, { 60, false }
	};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		sa.proto = row[i].proto;
		ck_assert_int_eq(xfrm_selected(&sa, &f), row[i].want);
	}
	sa.proto = 51;
	f.vip = A("192.0.2.9");
	ck_assert(xfrm_selected(&sa, &f));
	f.vip = A("192.0.2.2");
	ck_assert(!xfrm_selected(&sa, &f));
	f.vip = sa.src;
	f.peer = A("192.0.2.8");
	ck_assert(!xfrm_selected(&sa, &f));
	f.peer = sa.dst;
	ck_assert(xfrm_selected(&sa, &f));

	f.has_reqid = true;
	ck_assert(!xfrm_selected(&sa, &f));
	f.reqid = 7;
	ck_assert(xfrm_selected(&sa, &f));
	f.has_if_id = true;
	ck_assert(!xfrm_selected(&sa, &f));
	f.if_id = 3;
	ck_assert(xfrm_selected(&sa, &f));
	f.has_mark = true; /* 0: those without a mark */
	ck_assert(xfrm_selected(&sa, &f));
	f.mark = 5;
	ck_assert(!xfrm_selected(&sa, &f));
	sa.has_mark = true;
	sa.mark = 5;
	ck_assert(xfrm_selected(&sa, &f));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("xfrm_wire");
	TCase *t = tcase_create("all");

	tcase_add_test(t, dump_of_one_source);
	tcase_add_test(t, delete_names_exactly_one);
	tcase_add_test(t, reads_an_sa);
	tcase_add_test(t, truncation_at_every_byte);
	tcase_add_test(t, bad_fields);
	tcase_add_test(t, answers);
	tcase_add_test(t, matches_by_address_only);
	tcase_add_test(t, selection);
	suite_add_tcase(s, t);
	return unit_run(s);
}
