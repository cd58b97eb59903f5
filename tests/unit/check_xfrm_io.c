/*
 * The sweep against the kernel, in a network namespace of its own. Larval SAs are real ones: ALLOCSPI makes them without
 * the ESP module, they are listed, filtered and deleted like any other.
 */
#define _GNU_SOURCE 1
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/base/err.h"
#include "ike-hooks/xfrm_io.h"
#include "tests/unit/run.h"

static struct addr A(const char *text) {
	struct addr a;

	ck_assert(addr_parse(text, &a));
	return a;
}

/* One message to XFRM; its error code. */
static int
ask(const void *msg, size_t len)
{
	uint8_t buf[8192];
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_XFRM);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(send(fd, msg, len, 0), (ssize_t)len);
	ssize_t n = recv(fd, buf, sizeof(buf), 0);
	ck_assert_int_gt(n, 0);
	close(fd);
	struct xfrm_msg m;
	size_t used;
	xfrm_get(buf, (size_t)n, &m, &used);
	return m.kind == XFRM_ACK ? m.error : 0;
}

/* A larval SA from src to dst; mark 0: none. */
static void larval_of(const char *src, const char *dst, uint32_t spi, uint32_t mark, uint8_t proto, uint32_t reqid)
{
	struct {
		struct nlmsghdr h;
		struct xfrm_userspi_info info;
		struct nlattr a;
		struct xfrm_mark mark;
	} m;
	struct addr s = A(src), d = A(dst);

	memset(&m, 0, sizeof(m));
	m.h.nlmsg_len = mark ? sizeof(m) : offsetof(__typeof__(m), a);
	m.h.nlmsg_type = XFRM_MSG_ALLOCSPI;
	m.h.nlmsg_flags = NLM_F_REQUEST;
	memcpy(&m.info.info.saddr, s.b, 16);
	memcpy(&m.info.info.id.daddr, d.b, 16);
	m.info.info.id.proto = proto;
	m.info.info.reqid = reqid;
	m.info.info.family = s.af == ADDR_V4 ? AF_INET : AF_INET6;
	m.info.info.mode = XFRM_MODE_TUNNEL;
	m.info.min = m.info.max = spi;
	m.a.nla_len = NLA_HDRLEN + sizeof(m.mark);
	m.a.nla_type = XFRMA_MARK;
	m.mark.v = mark;
	m.mark.m = 0xffffffff;
	ck_assert_msg(ask(&m, m.h.nlmsg_len) == 0, "ALLOCSPI %s > %s: %s", src, dst, strerror(errno));
}

static void larval(const char *src, const char *dst, uint32_t spi, uint32_t mark)
{
	larval_of(src, dst, spi, mark, IPPROTO_ESP, 0);
}

/* A policy towards dst, as the IKE daemon's trap. */
static void policy(const char *dst)
{
	struct {
		struct nlmsghdr h;
		struct xfrm_userpolicy_info info;
	} m;
	struct addr d = A(dst);

	memset(&m, 0, sizeof(m));
	m.h.nlmsg_len = sizeof(m);
	m.h.nlmsg_type = XFRM_MSG_NEWPOLICY;
	m.h.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
	memcpy(&m.info.sel.daddr, d.b, 16);
	m.info.sel.family = AF_INET;
	m.info.sel.prefixlen_d = 32;
	m.info.lft.soft_byte_limit = m.info.lft.hard_byte_limit = XFRM_INF;
	m.info.lft.soft_packet_limit = m.info.lft.hard_packet_limit = XFRM_INF;
	m.info.dir = XFRM_POLICY_OUT;
	m.info.action = XFRM_POLICY_BLOCK;
	ck_assert_int_eq(ask(&m, sizeof(m)), 0);
}

/* 0: that policy exists. */
static int policy_there(const char *dst)
{
	struct {
		struct nlmsghdr h;
		struct xfrm_userpolicy_id id;
	} m;
	struct addr d = A(dst);

	memset(&m, 0, sizeof(m));
	m.h.nlmsg_len = sizeof(m);
	m.h.nlmsg_type = XFRM_MSG_GETPOLICY;
	m.h.nlmsg_flags = NLM_F_REQUEST;
	memcpy(&m.id.sel.daddr, d.b, 16);
	m.id.sel.family = AF_INET;
	m.id.sel.prefixlen_d = 32;
	m.id.dir = XFRM_POLICY_OUT;
	return ask(&m, sizeof(m));
}

static uint32_t count(const char *vip)
{
	struct xfrm_sweep_result r;
	struct addr a = A(vip);

	ck_assert_int_eq(xfrm_list(&a, NULL, NULL, 0, &r), 0);
	return r.found;
}

static void set_up(void)
{
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
}

START_TEST(nothing_there)
{
	struct xfrm_sweep_result r;
	struct addr vip = A("192.0.2.1");

	ck_assert_int_eq(xfrm_sweep(&vip, &r), 0);
	ck_assert_uint_eq(r.found, 0);
	ck_assert_uint_eq(r.deleted, 0);
	ck_assert_int_gt(r.took_ns, 0);
}
END_TEST

START_TEST(exactly_the_address)
{
	struct xfrm_sweep_result r;
	struct xfrm_sa list[8];
	struct addr vip = A("192.0.2.1"), vip6 = A("2001:db8::1");

	larval("192.0.2.1", "192.0.2.9", 0x1001, 0);
	larval("192.0.2.9", "192.0.2.1", 0x1002, 0);
	larval("192.0.2.9", "192.0.2.1", 0x1003, 5); /* the same pair, with a mark */
	larval("192.0.2.2", "192.0.2.9", 0x1004, 0); /* the node's own address */
	larval("192.0.2.9", "192.0.2.2", 0x1005, 0);
	larval("192.0.2.9", "192.0.2.11", 0x1006, 0);
	larval("2001:db8::1", "2001:db8::9", 0x2001, 0);
	larval("2001:db8::9", "2001:db8::1", 0x2002, 0);
	larval("2001:db8::9", "2001:db8::11", 0x2003, 0);
	policy("198.51.100.7");

	ck_assert_int_eq(xfrm_list(&vip, NULL, list, 8, &r), 0);
	ck_assert_uint_eq(r.found, 3);
	ck_assert_uint_eq(r.larval, 3);
	ck_assert_uint_eq(r.deleted, 0);
	ck_assert_uint_eq(list[0].spi, 0x1001);
	ck_assert_uint_eq(list[0].proto, IPPROTO_ESP);

	ck_assert_int_eq(xfrm_sweep(&vip, &r), 0);
	ck_assert_uint_eq(r.found, 3);
	ck_assert_uint_eq(r.deleted, 3);
	ck_assert_uint_eq(r.failed, 0);
	ck_assert_uint_eq(count("192.0.2.1"), 0);
	ck_assert_uint_eq(count("192.0.2.2"), 2);
	ck_assert_uint_eq(count("192.0.2.11"), 1);
	ck_assert_uint_eq(count("2001:db8::1"), 2);

	ck_assert_int_eq(xfrm_sweep(&vip6, &r), 0);
	ck_assert_uint_eq(r.deleted, 2);
	ck_assert_uint_eq(count("2001:db8::11"), 1);
	ck_assert_uint_eq(count("192.0.2.2"), 2);
	ck_assert_int_eq(policy_there("198.51.100.7"), 0);
	ck_assert_int_ne(policy_there("198.51.100.8"), 0); /* the question can tell */
}
END_TEST

START_TEST(one_peer_only)
{
	struct xfrm_sweep_result r;
	struct addr vip = A("192.0.2.1"), peer = A("192.0.2.9"), v6 = A("2001:db8::1");

	larval("192.0.2.1", "192.0.2.9", 0x1001, 0);
	larval("192.0.2.9", "192.0.2.1", 0x1002, 0);
	larval("192.0.2.1", "192.0.2.10", 0x1003, 0);
	larval("192.0.2.10", "192.0.2.1", 0x1004, 0);
	ck_assert_int_eq(xfrm_sweep_pair(&vip, &peer, &r), 0);
	ck_assert_uint_eq(r.deleted, 2);
	ck_assert_uint_eq(count("192.0.2.1"), 2);
	ck_assert_uint_eq(count("192.0.2.10"), 2);
	ck_assert_int_eq(xfrm_sweep_pair(&vip, &v6, &r), -EINVAL);
	v6.af = ADDR_NONE;
	ck_assert_int_eq(xfrm_sweep(&v6, &r), -EINVAL);
	ck_assert_uint_eq(count("192.0.2.1"), 2);
}
END_TEST

START_TEST(both_ends_are_the_address)
{
	struct xfrm_sweep_result r;
	struct addr vip = A("192.0.2.1");

	larval("192.0.2.1", "192.0.2.1", 0x1001, 0);
	ck_assert_int_eq(xfrm_sweep(&vip, &r), 0);
	ck_assert_uint_eq(r.found, 1);
	ck_assert_uint_eq(r.deleted, 1);
	ck_assert_uint_eq(r.gone, 0);
}
END_TEST

START_TEST(many_in_several_batches)
{
	struct xfrm_sweep_result r;
	struct xfrm_sa few[3];
	struct addr vip = A("192.0.2.1");
	char peer[32];

	for (unsigned i = 0; i < 5000; i++) {
		snprintf(peer, sizeof(peer), "10.0.%u.%u", i / 200, i % 200 + 1);
		larval("192.0.2.1", peer, 0x10000 + i, 0);
	}
	ck_assert_int_eq(xfrm_list(&vip, NULL, few, 3, &r), 0);
	ck_assert_uint_eq(r.found, 5000);
	ck_assert_int_eq(xfrm_sweep(&vip, &r), 0);
	ck_assert_uint_eq(r.deleted, 5000);
	ck_assert_uint_eq(r.found, 5000);
	ck_assert_uint_eq(r.larval, 5000);
	ck_assert_uint_ge(r.passes, 2);
	ck_assert_uint_eq(count("192.0.2.1"), 0);
	printf("5000 SAs swept in %.1f ms\n", (double)r.took_ns / 1e6);
}
END_TEST

/* AH and IPComp as well; of reqid and mark only what was given. */
START_TEST(protocols_and_numbers)
{
	struct addr vip = A("192.0.2.1");
	struct xfrm_filter f = { .vip = vip, .has_reqid = true, .reqid = 7 };
	uint32_t n;

	larval_of("192.0.2.1", "192.0.2.9", 0x1001, 0, IPPROTO_AH, 7);
	larval_of("192.0.2.9", "192.0.2.1", 0x1002, 0, IPPROTO_COMP, 8);
	larval_of("192.0.2.9", "192.0.2.1", 0x1003, 5, IPPROTO_ESP, 7);
	larval_of("192.0.2.9", "192.0.2.2", 0x1004, 5, IPPROTO_ESP, 7);
	struct xfrm_scan *s = xfrm_scan_new(&f, true, 8);
	ck_assert_ptr_nonnull(s);
	ck_assert_int_eq(xfrm_scan_run(s, NS_PER_SEC), 0);
	ck_assert_uint_eq(xfrm_scan_result(s)->found, 2);
	ck_assert_uint_eq(xfrm_scan_result(s)->other, 1);
	ck_assert_uint_eq(xfrm_scan_result(s)->deleted, 0);
	xfrm_scan_list(s, &n);
	ck_assert_uint_eq(n, 2);
	xfrm_scan_free(s);

	f.has_mark = true;
	f.mark = 5;
	s = xfrm_scan_new(&f, false, 8);
	ck_assert_int_eq(xfrm_scan_run(s, NS_PER_SEC), 0);
	ck_assert_uint_eq(xfrm_scan_result(s)->deleted, 1);
	xfrm_scan_free(s);
	ck_assert_uint_eq(count("192.0.2.1"), 2);

	struct xfrm_sweep_result r;
	ck_assert_int_eq(xfrm_sweep(&vip, &r), 0);
	ck_assert_uint_eq(r.deleted, 2);
	ck_assert_uint_eq(r.failed, 0);
	ck_assert_uint_eq(count("192.0.2.1"), 0);
	ck_assert_uint_eq(count("192.0.2.2"), 1);
}
END_TEST

/* The same work in pieces: whoever runs them has time for other things in between. */
START_TEST(in_slices)
{
	struct xfrm_filter f = { .vip = A("192.0.2.1") };
	char peer[32];
	unsigned slices = 0;
	int rc;

	for (unsigned i = 0; i < 2000; i++) {
		snprintf(peer, sizeof(peer), "10.0.%u.%u", i / 200, i % 200 + 1);
		larval("192.0.2.1", peer, 0x10000 + i, 0);
	}
	struct xfrm_scan *s = xfrm_scan_new(&f, false, 4096);
	ck_assert_ptr_nonnull(s);
	while ((rc = xfrm_scan_run(s, 0)) == 1)
		slices++;
	ck_assert_int_eq(rc, 0);
	ck_assert_uint_ge(slices, 20);
	ck_assert_uint_eq(xfrm_scan_result(s)->deleted, 2000);
	ck_assert_int_eq(xfrm_scan_run(s, 0), 0); /* done is done */
	xfrm_scan_free(s);
	ck_assert_uint_eq(count("192.0.2.1"), 0);

	larval("192.0.2.1", "192.0.2.9", 0x1001, 0);
	s = xfrm_scan_new(&f, false, 4);
	ck_assert_int_eq(xfrm_scan_run(s, 0), 1);
	xfrm_scan_free(s); /* given up in the middle */
	ck_assert_uint_eq(count("192.0.2.1"), 1);
	f.vip.af = ADDR_NONE;
	ck_assert_ptr_null(xfrm_scan_new(&f, false, 4));
	f = (struct xfrm_filter){ .vip = A("192.0.2.1"), .peer = A("2001:db8::1") };
	ck_assert_ptr_null(xfrm_scan_new(&f, false, 4));
}
END_TEST

int main(void)
{
	/* Without the right to make a namespace there is nothing to test here. */
	if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
		printf("check_xfrm_io: skipped, no right to create a network namespace: %s\n", strerror(errno));
		return 77;
	}
	Suite *s = suite_create("xfrm_io");
	TCase *t = tcase_create("kernel");

	tcase_add_checked_fixture(t, set_up, NULL);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, nothing_there);
	tcase_add_test(t, exactly_the_address);
	tcase_add_test(t, one_peer_only);
	tcase_add_test(t, both_ends_are_the_address);
	tcase_add_test(t, many_in_several_batches);
	tcase_add_test(t, protocols_and_numbers);
	tcase_add_test(t, in_slices);
	suite_add_tcase(s, t);
	return unit_run(s);
}
