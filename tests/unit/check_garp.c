/* Announcement frames against vectors made by another implementation. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "vrrp/garp.h"
#include "tests/unit/run.h"

static const uint8_t mac4[6] = { 0x00, 0x00, 0x5e, 0x00, 0x01, 0x33 };
static const uint8_t mac6[6] = { 0x00, 0x00, 0x5e, 0x00, 0x02, 0x07 };
static const uint8_t arp[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x5e, 0x00, 0x01, 0x33, 0x08, 0x06,
			       0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01, 0x00, 0x00, 0x5e, 0x00, 0x01, 0x33,
			       0xc0, 0x00, 0x02, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc0, 0x00, 0x02, 0x01 };
static const uint8_t na[] = { 0x33, 0x33, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x5e, 0x00, 0x02, 0x07, 0x86, 0xdd, 0x60,
			      0x00, 0x00, 0x00, 0x00, 0x20, 0x3a, 0xff, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
			      0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0xff, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00,
			      0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x88, 0x00, 0x1b, 0x24, 0xa0, 0x00,
			      0x00, 0x00, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
			      0x00, 0x00, 0x01, 0x02, 0x01, 0x00, 0x00, 0x5e, 0x00, 0x02, 0x07 };

START_TEST(ipv4_frame)
{
	static const uint8_t zero[GARP_ARP_FRAME - sizeof(arp)];
	uint8_t buf[GARP_FRAME_MAX];
	struct addr vip = addr_v4(192, 0, 2, 1);
	ck_assert_uint_eq(garp_build(&vip, mac4, buf, sizeof(buf)), GARP_ARP_FRAME);
	ck_assert_mem_eq(buf, arp, sizeof(arp));
	ck_assert_mem_eq(buf + sizeof(arp), zero, sizeof(zero)); /* no memory of ours in the padding */
}
END_TEST

START_TEST(ipv6_frame)
{
	uint8_t buf[GARP_FRAME_MAX];
	struct addr vip;
	ck_assert(addr_parse("2001:db8::1", &vip));
	ck_assert_uint_eq(garp_build(&vip, mac6, buf, sizeof(buf)), GARP_NA_FRAME);
	ck_assert_mem_eq(buf, na, sizeof(na));
}
END_TEST

/* Many addresses: the ICMPv6 checksum (with its pseudo-header) always sums up to all ones. */
START_TEST(ipv6_checksum)
{
	uint8_t buf[GARP_FRAME_MAX];
	struct addr vip;
	ck_assert(addr_parse("fe80::", &vip));
	for (unsigned i = 0; i < 4096; i++) {
		vip.b[14] = (uint8_t)(i * 37);
		vip.b[15] = (uint8_t)i;
		ck_assert_uint_eq(garp_build(&vip, mac6, buf, sizeof(buf)), GARP_NA_FRAME);
		uint32_t sum = 58 + 32;
		for (size_t at = 14 + 8; at < sizeof(buf); at += 2)
			sum += (uint32_t)buf[at] << 8 | buf[at + 1];
		while (sum >> 16)
			sum = (sum & 0xffff) + (sum >> 16);
		if (sum != 0xffff)
			ck_abort_msg("sum %x for address %u", sum, i);
	}
}
END_TEST

START_TEST(refusals)
{
	struct addr vip = addr_v4(192, 0, 2, 1), none = { 0 }, six;
	uint8_t *buf = malloc((size_t)_i + 1);
	ck_assert(addr_parse("fe80::1", &six));
	ck_assert_uint_eq(garp_build(&none, mac4, buf, (size_t)_i), 0);
	ck_assert_uint_eq(garp_build(&vip, mac4, buf, (size_t)_i), _i < GARP_ARP_FRAME ? 0 : GARP_ARP_FRAME);
	ck_assert_uint_eq(garp_build(&six, mac4, buf, (size_t)_i), _i < GARP_NA_FRAME ? 0 : GARP_NA_FRAME);
	free(buf);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("garp");
	TCase *tc = tcase_create("all");
	tcase_add_test(tc, ipv4_frame);
	tcase_add_test(tc, ipv6_frame);
	tcase_add_test(tc, ipv6_checksum);
	tcase_add_loop_test(tc, refusals, 0, GARP_FRAME_MAX + 1);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
