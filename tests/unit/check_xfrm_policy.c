/* What inbound policies ask for, and what an operator is told when a copy is something else. */
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <stdlib.h>
#include "ike-hooks/xfrm_policy.h"
#include "tests/unit/sa_util.h"

#define INFO_AT NLMSG_HDRLEN
#define ATTR_AT (NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct xfrm_userpolicy_info)))

static uint8_t msg[2048];
static struct xfrm_ask asks[8];

static struct xfrm_user_tmpl tmpl(uint32_t reqid, bool any)
{
	struct xfrm_user_tmpl t = { .family = 2, .id.proto = 50, .reqid = reqid, .mode = 1 };

	if (!any) {
		memcpy(&t.saddr, "\xcb\0\x71\x09", 4);
		memcpy(&t.id.daddr, "\xcb\0\x71\x01", 4);
	}
	return t;
}

static size_t policy(uint8_t dir, uint8_t action, const struct xfrm_user_tmpl *t, unsigned n, uint32_t if_id)
{
	struct xfrm_userpolicy_info info = { .dir = dir, .action = action };
	size_t len = n * sizeof(*t), at = ATTR_AT;
	struct nlattr a = { .nla_len = (uint16_t)(NLA_HDRLEN + len), .nla_type = XFRMA_TMPL };

	memset(msg, 0, sizeof(msg));
	memcpy(msg + INFO_AT, &info, sizeof(info));
	memcpy(msg + at, &a, sizeof(a));
	memcpy(msg + at + NLA_HDRLEN, t, len);
	at += NLA_ALIGN(a.nla_len);
	if (if_id) {
		a = (struct nlattr){ .nla_len = NLA_HDRLEN + 4, .nla_type = XFRMA_IF_ID };
		memcpy(msg + at, &a, sizeof(a));
		memcpy(msg + at + NLA_HDRLEN, &if_id, 4);
		at += NLA_HDRLEN + 4;
	}
	struct nlmsghdr h = { .nlmsg_len = (uint32_t)at, .nlmsg_type = XFRM_MSG_NEWPOLICY };
	memcpy(msg, &h, sizeof(h));
	return at;
}

static struct xfrm_sa copy(uint32_t reqid)
{
	return (struct xfrm_sa){ .src = A("203.0.113.9"), .dst = A("203.0.113.1"), .spi = 0x77, .reqid = reqid };
}

START_TEST(templates)
{
	struct xfrm_user_tmpl t[3] = { tmpl(7, false), tmpl(8, true), tmpl(9, false) };

	t[2].id.proto = 108;
	size_t n = policy(XFRM_POLICY_IN, XFRM_POLICY_ALLOW, t, 3, 42);
	ck_assert_uint_eq(xfrm_policy_asks(msg, n, asks, 8), 2);
	ck_assert(asks[0].reqid == 7 && asks[0].if_id == 42 && !asks[0].forward);
	ck_assert(asks[0].src.b[3] == 9 && asks[0].dst.b[3] == 1);
	ck_assert(asks[1].reqid == 8 && asks[1].src.af == ADDR_NONE && asks[1].dst.af == ADDR_NONE);
	ck_assert_uint_eq(xfrm_policy_asks(msg, n, asks, 1), 1);
	n = policy(XFRM_POLICY_FWD, XFRM_POLICY_ALLOW, t, 1, 0);
	ck_assert(xfrm_policy_asks(msg, n, asks, 8) == 1 && asks[0].forward);
	n = policy(XFRM_POLICY_OUT, XFRM_POLICY_ALLOW, t, 1, 0);
	ck_assert_uint_eq(xfrm_policy_asks(msg, n, asks, 8), 0);
	n = policy(XFRM_POLICY_IN, XFRM_POLICY_BLOCK, t, 1, 0);
	ck_assert_uint_eq(xfrm_policy_asks(msg, n, asks, 8), 0);
	n = policy(XFRM_POLICY_IN, XFRM_POLICY_ALLOW, t, 2, 1);
	for (size_t cut = 0; cut < n; cut++) {
		ck_assert_uint_eq(xfrm_policy_asks(msg, cut, asks, 8), 0);
		struct nlmsghdr h;
		memcpy(&h, msg, sizeof(h));
		h.nlmsg_len = (uint32_t)cut;
		uint8_t shorter[2048];
		memcpy(shorter, msg, n);
		memcpy(shorter, &h, sizeof(h));
		ck_assert_uint_le(xfrm_policy_asks(shorter, cut, asks, 8), 2);
	}
	ck_assert_uint_eq(xfrm_put_policy_dump(msg, 15, 1), 0);
	ck_assert_uint_eq(xfrm_put_policy_dump(msg, 16, 9), 16);
	ck_assert_mem_eq(msg + 4, "\x15\0\x01\x03", 4); /* XFRM_MSG_GETPOLICY, REQUEST | DUMP */
}
END_TEST

START_TEST(judged)
{
	struct xfrm_sa sa = copy(7);
	struct xfrm_ask a[2] = { { .src = sa.src, .dst = sa.dst, .reqid = 7 }, { .reqid = 9 } };

	ck_assert_int_eq(sa_policy_judge(a, 0, &sa), SA_POLICY_NONE);
	ck_assert_int_eq(sa_policy_judge(a, 2, &sa), SA_POLICY_FITS);
	a[0].reqid = 8;
	ck_assert_int_eq(sa_policy_judge(a, 2, &sa), SA_POLICY_OTHER_REQID);
	a[0].reqid = 0; /* asks for none in particular */
	ck_assert_int_eq(sa_policy_judge(a, 2, &sa), SA_POLICY_FITS);
	a[0].spi = 0x78;
	ck_assert_int_eq(sa_policy_judge(a, 1, &sa), SA_POLICY_OTHER_REQID);
	a[0] = (struct xfrm_ask){ .src = sa.dst, .reqid = 7 };
	ck_assert_int_eq(sa_policy_judge(a, 1, &sa), SA_POLICY_NONE);
	a[0] = (struct xfrm_ask){ .reqid = 7, .if_id = 1 };
	ck_assert_int_eq(sa_policy_judge(a, 1, &sa), SA_POLICY_NONE);
	sa.if_id = 1;
	ck_assert_int_eq(sa_policy_judge(a, 1, &sa), SA_POLICY_FITS);
	ck_assert(!sa_policy_advice(SA_POLICY_FITS) && !sa_policy_advice(SA_POLICY_UNKNOWN));
	ck_assert_ptr_nonnull(strstr(sa_policy_advice(SA_POLICY_OTHER_REQID), "same reqid"));
	ck_assert_ptr_nonnull(strstr(sa_policy_advice(SA_POLICY_NONE), "start_action = trap"));
	static const char *const names[] = { "unknown", "fits", "other-reqid", "none" };
	for (unsigned i = 0; i < 4; i++)
		ck_assert_str_eq(sa_policy_name((enum sa_policy)i), names[i]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("xfrm_policy");
	TCase *t = tcase_create("core");

	tcase_add_test(t, templates);
	tcase_add_test(t, judged);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
