/* VRRP codec: version 2, other groups, unicast. */
#include <string.h>
#include "tests/unit/vrrp_vectors.h"

/* ---- version 2 ---- */

static void with_password(void)
{
	conf4.version = VRRP_V2;
	conf4.auth = true;
	memcpy(conf4.auth_pass, "secret\0\0", 8);
}

START_TEST(parses_version_2)
{
	struct vrrp_msg m;
	struct vrrp_rx rx = rx4(_i ? v2_pass : v2_none, sizeof(v2_none));
	conf4.version = VRRP_V2;
	if (_i)
		with_password();
	for (int dual = 0; dual < 2; dual++) {
		ck_assert_int_eq(vrrp_wire_parse(&rx, &conf4, &own4, &m), VRRP_OK);
		ck_assert_uint_eq(m.version, 2);
		ck_assert_uint_eq(m.vrid, 51);
		ck_assert_uint_eq(m.priority, 100);
		ck_assert_uint_eq(m.n_addrs, 2);
		ck_assert_int_eq(m.adv_ns, NS_PER_SEC);
		ck_assert_int_eq(m.sum, VRRP_SUM_PLAIN);
		ck_assert_uint_eq(m.odd, 0);
		conf4.version = VRRP_V2_AND_3;
	}
}
END_TEST

/* Which version is accepted where: rows are what is configured, columns what arrives. */
START_TEST(version_policy)
{
	static const enum vrrp_drop want[][2] = {
		[VRRP_V3] = { VRRP_DROP_IS_V2, VRRP_OK },
		[VRRP_V2] = { VRRP_OK, VRRP_DROP_IS_V3 },
		[VRRP_V2_AND_3] = { VRRP_OK, VRRP_OK },
	};
	struct vrrp_msg m;
	struct vrrp_rx two = rx4(v2_none, sizeof(v2_none)), three = rx4(v4, sizeof(v4));
	conf4.version = (enum vrrp_version)_i;
	ck_assert_int_eq(vrrp_wire_parse(&two, &conf4, &own4, &m), want[_i][0]);
	ck_assert_int_eq(vrrp_wire_parse(&three, &conf4, &own4, &m), want[_i][1]);
	if (want[_i][1] == VRRP_OK)
		ck_assert_uint_eq(m.version, 3);
	/* A password concerns version 2 alone. */
	with_password();
	conf4.version = (enum vrrp_version)_i;
	ck_assert_int_eq(vrrp_wire_parse(&three, &conf4, &own4, &m), want[_i][1]);
}
END_TEST

static enum vrrp_drop parse_v2(const uint8_t *full, unsigned at, uint8_t value, int extra)
{
	uint8_t pdu[sizeof(v2_none) + 4] = { 0 };
	struct vrrp_msg m, untouched;
	memcpy(pdu, full, sizeof(v2_none));
	pdu[at] = value;
	struct vrrp_rx rx = rx4(pdu, (size_t)((int)sizeof(v2_none) + extra));
	seal(&rx, pdu);
	memset(&m, 0x5a, sizeof(m));
	untouched = m;
	enum vrrp_drop d = vrrp_wire_parse(&rx, &conf4, &own4, &m);
	ck_assert(d == VRRP_OK || memcmp(&m, &untouched, sizeof(m)) == 0);
	return d;
}

START_TEST(version_2_drops_by_name)
{
	conf4.version = VRRP_V2;
	ck_assert_int_eq(parse_v2(v2_none, 0, 0x21, 0), VRRP_OK);
	ck_assert_int_eq(parse_v2(v2_none, 0, 0x22, 0), VRRP_DROP_TYPE);
	ck_assert_int_eq(parse_v2(v2_none, 0, 0x11, 0), VRRP_DROP_VERSION);
	ck_assert_int_eq(parse_v2(v2_none, 1, 52, 0), VRRP_DROP_VRID);
	ck_assert_int_eq(parse_v2(v2_none, 3, 0, 0), VRRP_DROP_COUNT_ZERO);
	ck_assert_int_eq(parse_v2(v2_none, 3, 1, 0), VRRP_DROP_TRAILING);
	ck_assert_int_eq(parse_v2(v2_none, 3, 3, 0), VRRP_DROP_LENGTH);
	ck_assert_int_eq(parse_v2(v2_none, 3, 255, 0), VRRP_DROP_LENGTH);
	ck_assert_int_eq(parse_v2(v2_none, 0, 0x21, 4), VRRP_DROP_TRAILING);
	/* Authentication: all 256 types; data without a type means nothing. */
	for (unsigned t = 0; t < 256; t++)
		ck_assert_int_eq(parse_v2(v2_none, 4, (uint8_t)t, 0), t ? VRRP_DROP_AUTH_TYPE : VRRP_OK);
	ck_assert_int_eq(parse_v2(v2_none, 23, 7, 0), VRRP_OK);
	with_password();
	for (unsigned t = 0; t < 256; t++)
		ck_assert_int_eq(parse_v2(v2_pass, 4, (uint8_t)t, 0), t == 1 ? VRRP_OK : VRRP_DROP_AUTH_TYPE);
	for (unsigned at = 16; at < 24; at++)
		ck_assert_int_eq(parse_v2(v2_pass, at, 'x', 0), VRRP_DROP_AUTH_PASS);
	ck_assert_int_eq(parse_v2(v2_none, 0, 0x21, 0), VRRP_DROP_AUTH_TYPE);
	/* A wrong password is told before a wrong interval. */
	ck_assert_int_eq(parse_v2(v2_none, 5, 9, 0), VRRP_DROP_AUTH_TYPE);
}
END_TEST

START_TEST(version_2_interval)
{
	conf4.version = VRRP_V2;
	for (unsigned i = 0; i < 256; i++)
		ck_assert_int_eq(parse_v2(v2_none, 5, (uint8_t)i, 0), i == 0   ? VRRP_DROP_INTERVAL
								      : i == 1 ? VRRP_OK
									       : VRRP_DROP_V2_INTERVAL);
	/* While both versions are spoken, a version 2 master's interval is learnt (RFC 5798 8.4.1). */
	conf4.version = VRRP_V2_AND_3;
	for (unsigned i = 0; i < 256; i++)
		ck_assert_int_eq(parse_v2(v2_none, 5, (uint8_t)i, 0), i == 0 ? VRRP_DROP_INTERVAL : VRRP_OK);
	static const struct {
		int64_t ms;
		uint8_t s;
	} row[] = { { 10, 1 }, { 1000, 1 }, { 1490, 1 }, { 1500, 2 }, { 40950, 41 }, { 255000, 255 }, { 300000, 255 } };
	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		ck_assert_uint_eq(vrrp_wire_v2_seconds(row[i].ms * NS_PER_MS), row[i].s);
}
END_TEST

START_TEST(version_2_round_trip)
{
	uint8_t buf[VRRP_MSG_MAX];
	struct vrrp_msg m;
	conf4.version = VRRP_V2;
	for (unsigned n = 1; n <= 256; n++) {
		vips4[n - 1] = vips4[0];
		vips4[n - 1].addr.b[2] = (uint8_t)(n >> 8);
		vips4[n - 1].addr.b[3] = (uint8_t)n;
		conf4.n_vips = conf4.n_advertised = (uint16_t)n;
		conf4.adv_ns = (1 + n % 255) * NS_PER_SEC;
		conf4.auth = n % 2;
		memset(conf4.auth_pass, (int)n, sizeof(conf4.auth_pass));
		unsigned fits = n < 255 ? n : 255;
		struct vrrp_rx rx = rx4(buf, 0);
		rx.len = (size_t)vrrp_wire_build(&conf4, 2, (uint8_t)n, &rx.src, &rx.dst, buf, sizeof(buf));
		ck_assert_uint_eq(rx.len, VRRP_HDR_LEN + fits * 4 + VRRP_AUTH_LEN);
		ck_assert_int_eq(vrrp_wire_parse(&rx, &conf4, &own4, &m), VRRP_OK);
		ck_assert_uint_eq(m.n_addrs, fits);
		ck_assert_uint_eq(m.priority, (uint8_t)n);
		ck_assert_int_eq(m.adv_ns, conf4.adv_ns);
		ck_assert_uint_eq(m.odd, 0);
	}
}
END_TEST

START_TEST(forms_and_destinations)
{
	static const uint8_t want[][3] = { [VRRP_V3] = { 3 }, [VRRP_V2] = { 2 }, [VRRP_V2_AND_3] = { 3, 2 } };
	for (int v = 0; v < 3; v++) {
		unsigned at = 0, n = 0;
		uint8_t version = 0;
		conf4.version = (enum vrrp_version)v;
		while (vrrp_wire_next_form(&conf4, &at, &version))
			ck_assert_uint_eq(version, want[v][n++]);
		ck_assert_uint_eq(want[v][n], 0);
	}
	struct addr dst = { 0 };
	unsigned at = 0;
	ck_assert(vrrp_wire_next_dest(&conf4, &own4, &at, &dst) && addr_eq(&dst, &group4));
	ck_assert(!vrrp_wire_next_dest(&conf4, &own4, &at, &dst));
	conf4.multicast_group = addr_v4(224, 0, 0, 99);
	at = 0;
	ck_assert(vrrp_wire_next_dest(&conf4, &own4, &at, &dst) && addr_eq(&dst, &conf4.multicast_group));
	ck_assert(!vrrp_wire_next_dest(&conf4, &own4, &at, &dst));
	/* Our own address is skipped. */
	conf4.peers = peers4;
	conf4.n_peers = 3;
	at = 0;
	ck_assert(vrrp_wire_next_dest(&conf4, &own4, &at, &dst) && addr_eq(&dst, &peers4[1].addr));
	ck_assert(vrrp_wire_next_dest(&conf4, &own4, &at, &dst) && addr_eq(&dst, &peers4[2].addr));
	ck_assert(!vrrp_wire_next_dest(&conf4, &own4, &at, &dst));
	at = 0;
	ck_assert(vrrp_wire_next_dest(&conf4, NULL, &at, &dst) && addr_eq(&dst, &own4));
}
END_TEST

START_TEST(another_group)
{
	uint8_t pdu[sizeof(v4)];
	struct vrrp_msg m;
	memcpy(pdu, v4, sizeof(v4));
	struct vrrp_rx rx = rx4(pdu, sizeof(pdu));
	conf4.multicast_group = addr_v4(224, 0, 0, 99);
	ck_assert_int_eq(vrrp_wire_parse(&rx, &conf4, &own4, &m), VRRP_DROP_DEST);
	rx.dst = conf4.multicast_group;
	seal(&rx, pdu);
	ck_assert_int_eq(vrrp_wire_parse(&rx, &conf4, &own4, &m), VRRP_OK);
}
END_TEST

static enum vrrp_drop unicast(const char *src, const char *dst, int ttl, bool any_source, const struct addr *own)
{
	uint8_t pdu[sizeof(v4)];
	struct vrrp_msg m;
	memcpy(pdu, v4, sizeof(v4));
	struct vrrp_rx rx = rx4(pdu, sizeof(pdu));
	ck_assert(addr_parse(src, &rx.src) && addr_parse(dst, &rx.dst));
	rx.ttl = ttl;
	conf4.peers = peers4;
	conf4.n_peers = 3;
	conf4.unicast_any_source = any_source;
	seal(&rx, pdu);
	return vrrp_wire_parse(&rx, &conf4, own, &m);
}

START_TEST(unicast_rules)
{
	const char *me = "192.0.2.3";
	/* A peer without limits: any TTL, also none told. */
	for (int ttl = -1; ttl <= 255; ttl++)
		ck_assert_int_eq(unicast("192.0.2.2", me, ttl, false, &own4), VRRP_OK);
	/* One with limits. */
	for (int ttl = -1; ttl <= 255; ttl++)
		ck_assert_int_eq(unicast("192.0.2.4", me, ttl, false, &own4),
				 ttl >= 60 && ttl <= 64 ? VRRP_OK : VRRP_DROP_PEER_TTL);
	ck_assert_int_eq(unicast("192.0.2.4", me, 59, true, &own4), VRRP_DROP_PEER_TTL); /* it is configured */
	/* A stranger. */
	ck_assert_int_eq(unicast("192.0.2.9", me, 255, false, &own4), VRRP_DROP_NOT_PEER);
	ck_assert_int_eq(unicast("192.0.2.9", me, 1, true, &own4), VRRP_OK);
	/* Ourselves, although we stand in the list. */
	ck_assert_int_eq(unicast(me, me, 255, false, &own4), VRRP_DROP_OWN);
	ck_assert_int_eq(unicast(me, me, 255, true, &own4), VRRP_DROP_OWN);
	/* Destination: ours, and not the group. */
	ck_assert_int_eq(unicast("192.0.2.2", "192.0.2.7", 255, false, &own4), VRRP_DROP_DEST);
	ck_assert_int_eq(unicast("192.0.2.2", "224.0.0.18", 255, false, &own4), VRRP_DROP_DEST);
	ck_assert_int_eq(unicast("192.0.2.2", "224.0.0.18", 255, false, NULL), VRRP_DROP_DEST);
	ck_assert_int_eq(unicast("192.0.2.2", "192.0.2.7", 255, false, NULL), VRRP_OK); /* not known what is ours */
	struct addr none = { 0 };
	ck_assert_int_eq(unicast("192.0.2.2", "192.0.2.7", 255, false, &none), VRRP_OK);
	/* Sources that nobody has. */
	ck_assert_int_eq(unicast("0.0.0.0", me, 255, true, &own4), VRRP_DROP_SOURCE);
	ck_assert_int_eq(unicast("255.255.255.255", me, 255, true, &own4), VRRP_DROP_SOURCE);
	ck_assert_int_eq(unicast("224.0.0.5", me, 255, true, &own4), VRRP_DROP_SOURCE);
}
END_TEST

START_TEST(unicast_ipv6_need_not_be_link_local)
{
	uint8_t pdu[sizeof(v6)];
	struct vrrp_msg m;
	memcpy(pdu, v6, sizeof(v6));
	struct vrrp_rx rx = rx6(pdu, sizeof(pdu));
	struct addr own;
	ck_assert(addr_parse("2001:db8::3", &own));
	conf6.peers = peers6;
	conf6.n_peers = 1;
	rx.src = peers6[0].addr;
	rx.dst = own;
	rx.ttl = 61;
	seal(&rx, pdu);
	ck_assert_int_eq(vrrp_wire_parse(&rx, &conf6, &own, &m), VRRP_OK);
	ck_assert_int_eq(m.sum, VRRP_SUM_PSEUDO);
	/* The checksum covers both addresses, so it is made for one destination. */
	uint8_t buf[VRRP_MSG_MAX];
	int len = vrrp_wire_build(&conf6, 3, 255, &rx.src, &own, buf, sizeof(buf));
	ck_assert_int_eq(len, (int)sizeof(v6));
	ck_assert_mem_eq(buf, pdu, sizeof(v6));
	rx.dst = own6;
	ck_assert_int_eq(vrrp_wire_parse(&rx, &conf6, &own6, &m), VRRP_DROP_CHECKSUM);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("compatible");

	tcase_add_loop_test(tc, parses_version_2, 0, 2);
	tcase_add_loop_test(tc, version_policy, 0, 3);
	tcase_add_test(tc, version_2_drops_by_name);
	tcase_add_test(tc, version_2_interval);
	tcase_add_test(tc, version_2_round_trip);
	tcase_add_test(tc, forms_and_destinations);
	tcase_add_test(tc, another_group);
	tcase_add_test(tc, unicast_rules);
	tcase_add_test(tc, unicast_ipv6_need_not_be_link_local);
	return vrrp_vectors_run("vrrp_compat", tc);
}
