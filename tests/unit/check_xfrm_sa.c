/* Whole SAs in the kernel's layout: what a listing shows, what installs a copy, and keys that are not there. */
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <stdlib.h>
#include "ike-hooks/xfrm_sa.h"
#include "ike-hooks/xfrm_wire.h"
#include "tests/unit/sa_util.h"

#define WALL INT64_C(1800000000)

static uint8_t msg[XFRM_SA_MSG_MAX];

static struct xfrm_usersa_info *info(void)
{
	return (struct xfrm_usersa_info *)(void *)(msg + NLMSG_HDRLEN);
}

/* The attribute of this type, or NULL. */
static uint8_t *attr(unsigned type, size_t *len)
{
	struct nlmsghdr h;
	struct nlattr a;

	memcpy(&h, msg, sizeof(h));
	for (size_t at = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct xfrm_usersa_info)); at < h.nlmsg_len;
	     at += NLA_ALIGN((size_t)a.nla_len)) {
		memcpy(&a, msg + at, sizeof(a));
		ck_assert(a.nla_len >= NLA_HDRLEN && at + a.nla_len <= h.nlmsg_len);
		*len = a.nla_len - (size_t)NLA_HDRLEN;
		if (a.nla_type == type)
			return msg + at + NLA_HDRLEN;
	}
	return NULL;
}

static void add_attr(uint16_t type, const void *value, size_t len)
{
	struct nlmsghdr h;
	struct nlattr a = { .nla_len = (uint16_t)(NLA_HDRLEN + len), .nla_type = type };

	memcpy(&h, msg, sizeof(h));
	memset(msg + h.nlmsg_len, 0, NLA_HDRLEN + NLA_ALIGN(len));
	memcpy(msg + h.nlmsg_len, &a, sizeof(a));
	memcpy(msg + h.nlmsg_len + NLA_HDRLEN, value, len);
	h.nlmsg_len += (uint32_t)(NLA_HDRLEN + NLA_ALIGN(len));
	memcpy(msg, &h, sizeof(h));
}

static enum sa_drop reread(struct sa_copy *out)
{
	struct nlmsghdr h;

	memcpy(&h, msg, sizeof(h));
	return xfrm_sa_get(msg, h.nlmsg_len, WALL, out);
}

START_TEST(what_is_installed)
{
	struct sa_copy sa = sa_gcm(1, 0xc0000001);
	struct nlmsghdr h;
	struct xfrm_replay_state replay;
	struct xfrm_algo_aead aead;
	size_t len, n = xfrm_sa_put(msg, sizeof(msg), 5, &sa);

	memcpy(&h, msg, sizeof(h));
	ck_assert(h.nlmsg_len == n && h.nlmsg_type == XFRM_MSG_NEWSA && h.nlmsg_seq == 5);
	/* Create only: an SA that is there already stays as it is. */
	ck_assert_uint_eq(h.nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
	ck_assert_mem_eq(&info()->id.spi, "\xc0\0\0\1", 4);
	ck_assert_mem_eq(&info()->id.daddr, sa.dst.b, 4);
	ck_assert_mem_eq(&info()->saddr, sa.src.b, 4);
	ck_assert(info()->id.proto == 50 && info()->family == 2 && info()->mode == 1 && info()->reqid == 7);
	ck_assert(info()->replay_window == 32 && info()->flags == 0x20);
	/* A bridge of at most two minutes that nobody is asked to renew. */
	ck_assert(info()->lft.hard_add_expires_seconds == 120 && info()->lft.soft_add_expires_seconds == 0);
	ck_assert(info()->lft.hard_byte_limit == XFRM_INF && info()->lft.soft_byte_limit == XFRM_INF);
	ck_assert(info()->lft.soft_packet_limit == XFRM_INF && info()->lft.hard_packet_limit == XFRM_INF);
	/* Every number up to the last known one was seen. */
	memcpy(&replay, attr(XFRMA_REPLAY_VAL, &len), sizeof(replay));
	ck_assert(replay.seq == 0x1234 && replay.bitmap == UINT32_MAX && replay.oseq == 0);
	memcpy(&aead, attr(XFRMA_ALG_AEAD, &len), sizeof(aead));
	ck_assert_uint_eq(len, sizeof(aead) + 20);
	ck_assert(aead.alg_key_len == 160 && aead.alg_icv_len == 128);
	ck_assert_str_eq(aead.alg_name, "rfc4106(gcm(aes))");
	ck_assert_ptr_null(attr(XFRMA_REPLAY_ESN_VAL, &len));
	for (size_t cap = 0; cap < n; cap++) {
		uint8_t small[XFRM_SA_MSG_MAX];
		ck_assert_uint_eq(xfrm_sa_put(small, cap, 5, &sa), 0);
	}
}
END_TEST

START_TEST(lifetimes)
{
	struct sa_copy sa = sa_gcm(1, 1);

	static const uint32_t left[][2] = {
		{ SA_NO_LIMIT, 120 }, { 3600, 120 }, { 125, 120 }, { 124, 119 }, { 6, 1 }, { 5, 0 }, { 0, 0 }
	};
	for (unsigned i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
		sa.left_s = left[i][0];
		ck_assert_uint_eq(xfrm_sa_lifetime(&sa), left[i][1]);
		ck_assert_int_eq(xfrm_sa_put(msg, sizeof(msg), 1, &sa) > 0, left[i][1] > 0);
		if (left[i][1])
			ck_assert_uint_eq(info()->lft.hard_add_expires_seconds, left[i][1]);
	}
	sa = sa_full();
	ck_assert_uint_gt(xfrm_sa_put(msg, sizeof(msg), 1, &sa), 0);
	ck_assert(info()->lft.hard_byte_limit == 1500 && info()->lft.hard_packet_limit == 150);
}
END_TEST

START_TEST(everything_comes_back)
{
	struct sa_copy in = sa_full(), out;
	size_t len;

	ck_assert_uint_gt(xfrm_sa_put(msg, sizeof(msg), 1, &in), 0);
	struct xfrm_replay_state_esn esn;
	uint8_t *window = attr(XFRMA_REPLAY_ESN_VAL, &len);
	memcpy(&esn, window, sizeof(esn));
	ck_assert(esn.bmp_len == 8 && esn.replay_window == 256 && esn.seq == 7 && esn.seq_hi == 5);
	ck_assert_uint_eq(len, sizeof(esn) + 32);
	for (unsigned i = 0; i < 32; i++)
		ck_assert_uint_eq(window[sizeof(esn) + i], 0xff);
	/* The kernel wants no second window beside it. */
	ck_assert_uint_eq(info()->replay_window, 0);
	info()->curlft.add_time = (uint64_t)WALL - 20;
	info()->curlft.packets = 99;
	ck_assert_int_eq(reread(&out), SA_OK);
	ck_assert(out.packets == 99 && out.left_s == 100 && out.left_bytes == 1500);
	ck_assert(sa_same(&in, &out) && sa_cmp(&in, &out) == 0 && out.reqid == 7 && out.if_id == 42);
	ck_assert(out.wide && out.window == 256 && out.top == in.top && out.dir == 1);
	ck_assert(out.has_encap && out.encap_type == 2 && out.encap_sport == 4500 && out.encap_dport == 33333);
	ck_assert(addr_eq(&out.encap_oa, &in.encap_oa));
	ck_assert(out.has_set_mark && out.set_mark == 0x22 && out.set_mark_mask == 0xf0);
	ck_assert(out.has_extra && out.extra_flags == 2 && out.mark == 0x11 && out.mark_mask == 0xff);
	ck_assert(addr_eq(&out.sel.dst, &in.sel.dst) && addr_eq(&out.sel.src, &in.sel.src));
	ck_assert(out.sel.dst_len == 64 && out.sel.src_len == 48 && out.sel.proto == 17);
	ck_assert(out.sel.dport == 53 && out.sel.dport_mask == 0xffff && out.sel.sport_mask == 0xfc00);
	ck_assert_mem_eq(&in.auth, &out.auth, sizeof(in.auth));
	ck_assert_mem_eq(&in.crypt, &out.crypt, sizeof(in.crypt));
}
END_TEST

/* The kernel shows authentication twice; the truncated form is the true one, whichever comes first. */
START_TEST(authentication_shown_twice)
{
	struct sa_copy in = sa_full(), out;
	uint8_t plain[sizeof(struct xfrm_algo) + 32] = "hmac(sha256)";
	uint32_t bits = 256;

	memcpy(plain + offsetof(struct xfrm_algo, alg_key_len), &bits, sizeof(bits));
	memset(plain + offsetof(struct xfrm_algo, alg_key), 0xa1, 32);
	ck_assert_uint_gt(xfrm_sa_put(msg, sizeof(msg), 1, &in), 0);
	add_attr(XFRMA_ALG_AUTH, plain, offsetof(struct xfrm_algo, alg_key) + 32);
	ck_assert_int_eq(reread(&out), SA_OK);
	ck_assert_uint_eq(out.auth.icv_bits, 128);
	/* Only the old form: it is installed in the old form. */
	in.auth.icv_bits = 0;
	size_t len;
	ck_assert_uint_gt(xfrm_sa_put(msg, sizeof(msg), 1, &in), 0);
	ck_assert_ptr_nonnull(attr(XFRMA_ALG_AUTH, &len));
	ck_assert_ptr_null(attr(XFRMA_ALG_AUTH_TRUNC, &len));
	ck_assert_int_eq(reread(&out), SA_OK);
	ck_assert_uint_eq(out.auth.icv_bits, 0);
}
END_TEST

START_TEST(what_cannot_be_copied)
{
	struct sa_copy in = sa_gcm(1, 0x77), out;
	static const struct sa_alg none;
	size_t len;

	ck_assert_uint_gt(xfrm_sa_put(msg, sizeof(msg), 1, &in), 0);
	/* Lockdown: keys read as zero. The SA is counted, its name known, its keys are none. */
	memset(attr(XFRMA_ALG_AEAD, &len) + sizeof(struct xfrm_algo_aead), 0, 20);
	ck_assert_int_eq(reread(&out), SA_DROP_ZERO_KEY);
	ck_assert(out.spi == 0x77 && memcmp(&out.aead, &none, sizeof(none)) == 0);
	ck_assert_uint_gt(xfrm_sa_put(msg, sizeof(msg), 1, &in), 0);
	info()->id.proto = 51;
	ck_assert_int_eq(reread(&out), SA_DROP_PROTO);
	info()->id.proto = 50;
	info()->family = 7;
	ck_assert_int_eq(reread(&out), SA_DROP_FAMILY);
	info()->family = 2;
	info()->sel.ifindex = 3;
	ck_assert_int_eq(reread(&out), SA_DROP_SELECTOR);
	info()->sel.ifindex = 0;
	info()->sel.prefixlen_d = 33;
	ck_assert_int_eq(reread(&out), SA_DROP_SELECTOR);
	info()->sel.prefixlen_d = 0;
	info()->replay_window = 33;
	ck_assert_int_eq(reread(&out), SA_DROP_WINDOW);
	info()->replay_window = 32;
	ck_assert_int_eq(reread(&out), SA_OK);
	uint8_t outward = 2;
	add_attr(33, &outward, 1);
	ck_assert_int_eq(reread(&out), SA_DROP_OUTBOUND);
	/* Larval: an SPI without keys. */
	struct nlmsghdr h;
	ck_assert_uint_gt(xfrm_sa_put(msg, sizeof(msg), 1, &in), 0);
	memcpy(&h, msg, sizeof(h));
	h.nlmsg_len = (uint32_t)(NLMSG_HDRLEN + sizeof(struct xfrm_usersa_info));
	memcpy(msg, &h, sizeof(h));
	ck_assert_int_eq(reread(&out), SA_DROP_LARVAL);
	h.nlmsg_type = XFRM_MSG_DELSA;
	memcpy(msg, &h, sizeof(h));
	ck_assert_int_eq(reread(&out), SA_DROP_SHORT);
}
END_TEST

START_TEST(attributes_that_lie)
{
	struct sa_copy in = sa_full(), out;
	size_t len, n = xfrm_sa_put(msg, sizeof(msg), 1, &in);
	static const struct sa_alg none;
	struct nlmsghdr h;
	uint8_t whole[XFRM_SA_MSG_MAX];

	memcpy(whole, msg, n);
	for (size_t cut = 0; cut < n; cut++) {
		memcpy(msg, whole, n);
		memcpy(&h, msg, sizeof(h));
		h.nlmsg_len = (uint32_t)cut;
		memcpy(msg, &h, sizeof(h));
		enum sa_drop d = xfrm_sa_get(msg, cut, WALL, &out);
		ck_assert(d == SA_OK || memcmp(&out.crypt, &none, sizeof(none)) == 0);
		ck_assert_int_eq(xfrm_sa_get(whole, cut, WALL, &out), SA_DROP_SHORT);
	}
	static const struct {
		unsigned type;
		size_t at;
		uint8_t value;
		enum sa_drop drop;
	} lies[] = {
		{ XFRMA_ALG_CRYPT, 64, 0xf8, SA_DROP_ATTR },      { XFRMA_ALG_CRYPT, 66, 1, SA_DROP_ALG },
		{ XFRMA_ALG_CRYPT, 0, 0, SA_DROP_ALG },           { XFRMA_ALG_AUTH_TRUNC, 70, 1, SA_DROP_ALG },
		{ XFRMA_REPLAY_ESN_VAL, 0, 129, SA_DROP_WINDOW }, { XFRMA_REPLAY_ESN_VAL, 21, 0xff, SA_DROP_WINDOW },
	};
	for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		memcpy(msg, whole, n);
		attr(lies[i].type, &len)[lies[i].at] = lies[i].value;
		ck_assert_int_eq(reread(&out), lies[i].drop);
	}
	static const uint16_t fixed[] = { XFRMA_MARK,  XFRMA_SET_MARK,       XFRMA_SET_MARK_MASK, XFRMA_IF_ID,
					  XFRMA_ENCAP, XFRMA_SA_EXTRA_FLAGS, XFRMA_REPLAY_VAL,    XFRMA_REPLAY_ESN_VAL,
					  33,          XFRMA_ALG_AEAD,       XFRMA_ALG_AUTH,      XFRMA_ALG_CRYPT };
	for (unsigned i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		memcpy(msg, whole, n);
		add_attr(fixed[i], "", fixed[i] == 33 ? 0 : 1);
		ck_assert_int_eq(reread(&out), SA_DROP_ATTR);
	}
	memcpy(msg, whole, n);
	add_attr(999, "unknown", 7);
	ck_assert_int_eq(reread(&out), SA_OK);
}
END_TEST

START_TEST(what_is_left)
{
	struct sa_copy in = sa_gcm(1, 1), out;

	ck_assert_uint_gt(xfrm_sa_put(msg, sizeof(msg), 1, &in), 0);
	info()->lft.hard_add_expires_seconds = 0;
	ck_assert_int_eq(reread(&out), SA_OK);
	ck_assert(out.left_s == SA_NO_LIMIT && out.left_bytes == SA_NO_LIMIT8 && out.left_packets == SA_NO_LIMIT8);
	info()->lft.hard_add_expires_seconds = 100;
	info()->curlft.add_time = (uint64_t)WALL - 101;
	ck_assert_int_eq(reread(&out), SA_OK);
	ck_assert_uint_eq(out.left_s, 0);
	/* The sooner of two ends; before the first packet the second one has not begun. */
	info()->lft.hard_add_expires_seconds = 1000;
	info()->lft.hard_use_expires_seconds = 50;
	ck_assert_int_eq(reread(&out), SA_OK);
	ck_assert_uint_eq(out.left_s, 50);
	info()->curlft.use_time = (uint64_t)WALL - 30;
	ck_assert_int_eq(reread(&out), SA_OK);
	ck_assert_uint_eq(out.left_s, 20);
	info()->lft.hard_use_expires_seconds = UINT64_C(1) << 40;
	info()->lft.hard_add_expires_seconds = 0;
	ck_assert_int_eq(reread(&out), SA_OK);
	ck_assert_uint_eq(out.left_s, SA_NO_LIMIT - 1);
	info()->lft.hard_byte_limit = 10;
	info()->curlft.bytes = 11;
	info()->lft.hard_packet_limit = 10;
	info()->curlft.packets = 4;
	ck_assert_int_eq(reread(&out), SA_OK);
	ck_assert(out.left_bytes == 0 && out.left_packets == 6);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("xfrm_sa");
	TCase *t = tcase_create("core");

	tcase_add_test(t, what_is_installed);
	tcase_add_test(t, lifetimes);
	tcase_add_test(t, everything_comes_back);
	tcase_add_test(t, authentication_shown_twice);
	tcase_add_test(t, what_cannot_be_copied);
	tcase_add_test(t, attributes_that_lie);
	tcase_add_test(t, what_is_left);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
