/*
 * Frames byte by byte.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/err.h"
#include "tests/unit/run.h"
#include "vrrp/vrrp_frame.h"

static const uint8_t msg[] = { 0x31, 9, 100, 1, 0, 100, 0x12, 0x34, 192, 0, 2, 99 };
static const uint8_t vmac[6] = { 0, 0, 0x5e, 0, 1, 9 };

static struct vrrp_frame frame_of(const char *src, const char *dst)
{
	struct vrrp_frame f = { .ip_id = 0x0102 };
	ck_assert(addr_parse(src, &f.src) && addr_parse(dst, &f.dst));
	memcpy(f.mac, vmac, sizeof(vmac));
	return f;
}

START_TEST(ipv4_bytes)
{
	static const uint8_t want[] = {
		0x01, 0,    0x5e, 0,  0,    0x12, 0,    0,    0x5e, 0,   1, 9, 0x08, 0x00, /* Ethernet */
		0x45, 0xc0, 0,    32, 0x01, 0x02, 0x40, 0x00, 255,  112,                   /* IP: DF, TTL 255 */
		0xd7, 0x96, 192,  0,  2,    2,    224,  0,    0,    18, /* the sum of all 16-bit words is ffff */
	};
	struct vrrp_frame f = frame_of("192.0.2.2", "224.0.0.18");
	uint8_t buf[VRRP_FRAME_MAX];
	int n = vrrp_frame_build(&f, msg, sizeof(msg), buf, sizeof(buf));
	ck_assert_int_eq(n, sizeof(want) + sizeof(msg));
	ck_assert_mem_eq(buf, want, sizeof(want));
	ck_assert_mem_eq(buf + sizeof(want), msg, sizeof(msg));
	uint32_t sum = 0;
	for (unsigned i = 14; i < 34; i += 2)
		sum += (uint32_t)(buf[i] << 8 | buf[i + 1]);
	ck_assert_uint_eq((sum & 0xffff) + (sum >> 16), 0xffff);
	struct vrrp_rx rx;
	ck_assert_int_eq(vrrp_wire_ip4(buf + 14, (size_t)n - 14, &rx), VRRP_OK);
	ck_assert(addr_eq(&rx.src, &f.src) && addr_eq(&rx.dst, &f.dst));
	ck_assert_int_eq(rx.ttl, 255);
	ck_assert_uint_eq(rx.len, sizeof(msg));
}
END_TEST

START_TEST(ipv6_bytes)
{
	static const uint8_t want[] = {
		0x33, 0x33, 0, 0, 0, 0x12, 0,   0,   0x5e, 0, 1, 9, 0x86, 0xdd, /* Ethernet */
		0x6c, 0,    0, 0, 0, 12,   112, 255,                            /* traffic class c0, hop limit 255 */
		0xfe, 0x80, 0, 0, 0, 0,    0,   0,   0,    0, 0, 0, 0,    0,    0, 0x0a, /* source */
		0xff, 0x02, 0, 0, 0, 0,    0,   0,   0,    0, 0, 0, 0,    0,    0, 0x12, /* ff02::12 */
	};
	struct vrrp_frame f = frame_of("fe80::a", "ff02::12");
	uint8_t buf[VRRP_FRAME_MAX];
	int n = vrrp_frame_build(&f, msg, sizeof(msg), buf, sizeof(buf));
	ck_assert_int_eq(n, sizeof(want) + sizeof(msg));
	ck_assert_mem_eq(buf, want, sizeof(want));
	ck_assert_mem_eq(buf + sizeof(want), msg, sizeof(msg));
}
END_TEST

START_TEST(group_addresses)
{
	static const struct {
		const char *group;
		uint8_t mac[6];
	} row[] = {
		{ "224.0.0.18", { 0x01, 0, 0x5e, 0, 0, 0x12 } },
		{ "239.255.1.2", { 0x01, 0, 0x5e, 0x7f, 1, 2 } }, /* the upper bit of the second byte is not carried */
		{ "239.127.1.2", { 0x01, 0, 0x5e, 0x7f, 1, 2 } },
		{ "ff02::12", { 0x33, 0x33, 0, 0, 0, 0x12 } },
		{ "ff05::1:2345:6789", { 0x33, 0x33, 0x23, 0x45, 0x67, 0x89 } },
	};
	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct addr g;
		uint8_t mac[6];
		ck_assert(addr_parse(row[i].group, &g));
		vrrp_frame_group_mac(&g, mac);
		ck_assert_mem_eq(mac, row[i].mac, 6);
	}
}
END_TEST

/* Every shorter buffer is refused, and nothing behind it is written. */
START_TEST(too_small)
{
	struct vrrp_frame f = frame_of(_i ? "fe80::a" : "192.0.2.2", _i ? "ff02::12" : "224.0.0.18");
	uint8_t buf[VRRP_FRAME_MAX];
	int n = vrrp_frame_build(&f, msg, sizeof(msg), buf, sizeof(buf));
	ck_assert_int_gt(n, 0);
	for (size_t cap = 0; cap < (size_t)n; cap++) {
		memset(buf, 0xee, sizeof(buf));
		ck_assert_int_eq(vrrp_frame_build(&f, msg, sizeof(msg), buf, cap), ERR_FULL);
		for (size_t i = cap; i < sizeof(buf); i++)
			ck_assert_uint_eq(buf[i], 0xee);
	}
	static uint8_t longest[VRRP_MSG_MAX + 1];
	ck_assert_int_gt(vrrp_frame_build(&f, longest, VRRP_MSG_MAX, buf, sizeof(buf)), VRRP_MSG_MAX);
	ck_assert_int_eq(vrrp_frame_build(&f, longest, VRRP_MSG_MAX + 1, buf, sizeof(buf)), ERR_MALFORMED);
}
END_TEST

START_TEST(addresses_that_do_not_fit)
{
	uint8_t buf[VRRP_FRAME_MAX];
	struct vrrp_frame f = frame_of("192.0.2.2", "192.0.2.3");
	ck_assert_int_eq(vrrp_frame_build(&f, msg, sizeof(msg), buf, sizeof(buf)), ERR_MALFORMED);
	f = frame_of("192.0.2.2", "ff02::12");
	ck_assert_int_eq(vrrp_frame_build(&f, msg, sizeof(msg), buf, sizeof(buf)), ERR_MALFORMED);
	f.src = (struct addr){ 0 };
	f.dst = (struct addr){ 0 };
	ck_assert_int_eq(vrrp_frame_build(&f, msg, sizeof(msg), buf, sizeof(buf)), ERR_MALFORMED);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vrrp frame");
	TCase *tc = tcase_create("all");
	tcase_add_test(tc, ipv4_bytes);
	tcase_add_test(tc, ipv6_bytes);
	tcase_add_test(tc, group_addresses);
	tcase_add_loop_test(tc, too_small, 0, 2);
	tcase_add_test(tc, addresses_that_do_not_fit);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
