/* Adverts byte by byte. */
#include "tests/unit/vrrp_vectors.h"

/* 192.0.2.2 -> 224.0.0.18, VRID 51, priority 100, 100 cs, 192.0.2.1 and 198.51.100.1; checksum with pseudo-header. */
const uint8_t v4[] = { 0x31, 0x33, 0x64, 0x02, 0x00, 0x64, 0xdb, 0x99, 0xc0, 0x00, 0x02, 0x01, 0xc6, 0x33, 0x64, 0x01 };
/* The same as RFC 9568 5.2.8 wants it. */
const uint8_t v4_plain[] = { 0x31, 0x33, 0x64, 0x02, 0x00, 0x64, 0x7e, 0x2f,
			     0xc0, 0x00, 0x02, 0x01, 0xc6, 0x33, 0x64, 0x01 };
const uint8_t v4_ip[] = { 0x45, 0x00, 0x00, 0x24, 0x00, 0x01, 0x00, 0x00, 0xff, 0x70,
			  0x19, 0x54, 0xc0, 0x00, 0x02, 0x02, 0xe0, 0x00, 0x00, 0x12 };
/* fe80::2 -> ff02::12, VRID 7, priority 255, 1 cs, fe80::1:1 and 2001:db8::1. */
const uint8_t v6[] = { 0x31, 0x07, 0xff, 0x02, 0x00, 0x01, 0xa5, 0x87, 0xfe, 0x80, 0x00, 0x00, 0x00, 0x00,
		       0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x01, 0x20, 0x01, 0x0d, 0xb8,
		       0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01 };

/* The same in version 2 (RFC 3768 5.1): no authentication, and the simple text "secret". */
const uint8_t v2_none[] = { 0x21, 0x33, 0x64, 0x02, 0x00, 0x01, 0x8e, 0x92, 0xc0, 0x00, 0x02, 0x01,
			    0xc6, 0x33, 0x64, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00 };
const uint8_t v2_pass[] = { 0x21, 0x33, 0x64, 0x02, 0x01, 0x01, 0x51, 0x46, 0xc0, 0x00, 0x02, 0x01,
			    0xc6, 0x33, 0x64, 0x01, 0x73, 0x65, 0x63, 0x72, 0x65, 0x74, 0x00, 0x00 };

struct vrrp_vip vips4[300], vips6[300];
struct vrrp_conf conf4, conf6;
struct addr own4, own6, group4, group6;
struct vrrp_unicast_peer peers4[3], peers6[1];

void vip(struct vrrp_vip *v, const char *text)
{
	*v = (struct vrrp_vip){ .plen = 24 };
	ck_assert(addr_parse(text, &v->addr));
}

void setup(void)
{
	vip(&vips4[0], "192.0.2.1");
	vip(&vips4[1], "198.51.100.1");
	vip(&vips6[0], "fe80::1:1");
	vip(&vips6[1], "2001:db8::1");
	conf4 = (struct vrrp_conf){ .name = "four",
				    .vrid = 51,
				    .af = ADDR_V4,
				    .priority = 100,
				    .vips = vips4,
				    .n_vips = 2,
				    .n_advertised = 2,
				    .down_adverts = 3,
				    .adv_ns = NS_PER_SEC };
	conf6 = (struct vrrp_conf){ .name = "six",
				    .vrid = 7,
				    .af = ADDR_V6,
				    .priority = 255,
				    .vips = vips6,
				    .n_vips = 2,
				    .n_advertised = 2,
				    .down_adverts = 3,
				    .adv_ns = 10 * NS_PER_MS };
	ck_assert(addr_parse("192.0.2.3", &own4) && addr_parse("fe80::3", &own6));
	group4 = vrrp_wire_group(ADDR_V4);
	group6 = vrrp_wire_group(ADDR_V6);
	/* Our own address may stand in the list: one list serves all nodes. */
	peers4[0] = (struct vrrp_unicast_peer){ .addr = own4, .ttl_max = 255 };
	peers4[1] = (struct vrrp_unicast_peer){ .addr = addr_v4(192, 0, 2, 2), .ttl_max = 255 };
	peers4[2] = (struct vrrp_unicast_peer){ .addr = addr_v4(192, 0, 2, 4), .ttl_min = 60, .ttl_max = 64 };
	peers6[0] = (struct vrrp_unicast_peer){ .ttl_max = 255 };
	ck_assert(addr_parse("2001:db8::2", &peers6[0].addr));
}

struct vrrp_rx rx4(const uint8_t *pdu, size_t len)
{
	return (struct vrrp_rx){ .af = ADDR_V4,
				 .src = addr_v4(192, 0, 2, 2),
				 .dst = vrrp_wire_group(ADDR_V4),
				 .ttl = 255,
				 .pdu = pdu,
				 .len = len };
}

struct vrrp_rx rx6(const uint8_t *pdu, size_t len)
{
	struct vrrp_rx rx = { .af = ADDR_V6, .dst = vrrp_wire_group(ADDR_V6), .ttl = 255, .pdu = pdu, .len = len };
	ck_assert(addr_parse("fe80::2", &rx.src));
	return rx;
}

int vrrp_vectors_run(const char *name, TCase *tc)
{
	Suite *s = suite_create(name);

	tcase_add_checked_fixture(tc, setup, NULL);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
