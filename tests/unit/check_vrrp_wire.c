/* VRRP codec: byte vectors made by another implementation, every drop reason, truncation and bit errors everywhere. */
#include <stdlib.h>
#include <string.h>
#include "daemon/base/err.h"
#include "tests/unit/vrrp_vectors.h"

START_TEST(parses_ipv4_in_both_forms)
{
	struct vrrp_msg m;
	struct vrrp_rx rx = rx4(_i ? v4_plain : v4, sizeof(v4));
	ck_assert_int_eq(vrrp_wire_parse(&rx, &conf4, &own4, &m), VRRP_OK);
	ck_assert_uint_eq(m.vrid, 51);
	ck_assert_uint_eq(m.priority, 100);
	ck_assert_uint_eq(m.n_addrs, 2);
	ck_assert_int_eq(m.adv_ns, NS_PER_SEC);
	ck_assert_int_eq(m.sum, _i ? VRRP_SUM_PLAIN : VRRP_SUM_PSEUDO);
	ck_assert_uint_eq(m.odd, 0);
	ck_assert(addr_eq(&m.src, &rx.src));
	ck_assert_mem_eq(m.addrs, vips4[0].addr.b, 4);
	ck_assert_uint_eq(vrrp_wire_vrid(&rx), 51);
}
END_TEST

START_TEST(parses_ipv6)
{
	struct vrrp_msg m;
	struct vrrp_rx rx = rx6(v6, sizeof(v6));
	ck_assert_int_eq(vrrp_wire_parse(&rx, &conf6, &own6, &m), VRRP_OK);
	ck_assert_uint_eq(m.vrid, 7);
	ck_assert_uint_eq(m.priority, 255);
	ck_assert_int_eq(m.adv_ns, 10 * NS_PER_MS);
	ck_assert_int_eq(m.sum, VRRP_SUM_PSEUDO);
	ck_assert_uint_eq(m.odd, 0);
}
END_TEST

START_TEST(ipv6_needs_the_pseudo_header)
{
	struct vrrp_msg m;
	uint8_t pdu[sizeof(v6)];
	uint32_t sum = 0;
	memcpy(pdu, v6, sizeof(v6));
	pdu[6] = pdu[7] = 0;
	for (size_t i = 0; i < sizeof(pdu); i++)
		sum += (uint32_t)pdu[i] << (i % 2 ? 0 : 8);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	pdu[6] = (uint8_t)(sum >> 8);
	pdu[7] = (uint8_t)sum;
	struct vrrp_rx rx = rx6(pdu, sizeof(pdu));
	ck_assert_int_eq(vrrp_wire_parse(&rx, &conf6, &own6, &m), VRRP_DROP_CHECKSUM);
}
END_TEST

START_TEST(builds_the_vectors)
{
	uint8_t buf[VRRP_MSG_MAX];
	struct addr src = addr_v4(192, 0, 2, 2), src6;
	ck_assert(addr_parse("fe80::2", &src6));
	ck_assert_int_eq(vrrp_wire_build(&conf4, 3, 100, &src, &group4, buf, sizeof(buf)), sizeof(v4));
	ck_assert_mem_eq(buf, v4, sizeof(v4));
	conf4.checksum_rfc9568 = true;
	ck_assert_int_eq(vrrp_wire_build(&conf4, 3, 100, &src, &group4, buf, sizeof(buf)), sizeof(v4));
	ck_assert_mem_eq(buf, v4_plain, sizeof(v4));
	for (int k = 0; k < 2; k++) { /* no pseudo-header in version 2, whatever the knob says */
		conf4.checksum_rfc9568 = k;
		ck_assert_int_eq(vrrp_wire_build(&conf4, 2, 100, &src, &group4, buf, sizeof(buf)), sizeof(v2_none));
		ck_assert_mem_eq(buf, v2_none, sizeof(v2_none));
	}
	conf4.auth = true;
	memcpy(conf4.auth_pass, "secret", 6);
	ck_assert_int_eq(vrrp_wire_build(&conf4, 2, 100, &src, &group4, buf, sizeof(buf)), sizeof(v2_pass));
	ck_assert_mem_eq(buf, v2_pass, sizeof(v2_pass));
	conf6.checksum_rfc9568 = true; /* means IPv4 only */
	ck_assert_int_eq(vrrp_wire_build(&conf6, 3, 255, &src6, &group6, buf, sizeof(buf)), sizeof(v6));
	ck_assert_mem_eq(buf, v6, sizeof(v6));
}
END_TEST

START_TEST(truncated_everywhere)
{
	static const struct {
		const uint8_t *full;
		size_t len;
	} form[] = {
		{ v4, sizeof(v4) }, { v6, sizeof(v6) }, { v2_none, sizeof(v2_none) }, { v2_pass, sizeof(v2_pass) }
	};
	const uint8_t *full = form[_i].full;
	struct vrrp_msg m;
	conf4.version = VRRP_V2_AND_3;
	conf4.auth = full == v2_pass;
	memcpy(conf4.auth_pass, "secret", 6);
	for (size_t cut = 0; cut <= form[_i].len; cut++) {
		/* On the heap, so that sanitizers see a read too far. */
		uint8_t *pdu = malloc(cut + 1);
		memcpy(pdu, full, cut);
		m.vrid = 99;
		struct vrrp_rx rx = full == v6 ? rx6(pdu, cut) : rx4(pdu, cut);
		enum vrrp_drop want = cut < VRRP_HDR_LEN   ? VRRP_DROP_SHORT
				      : cut < form[_i].len ? VRRP_DROP_LENGTH
							   : VRRP_OK;
		ck_assert_int_eq(vrrp_wire_parse(&rx, full == v6 ? &conf6 : &conf4, &own4, &m), want);
		ck_assert_uint_eq(m.vrid, want != VRRP_OK ? 99 : full[1]); /* untouched */
		ck_assert_uint_eq(vrrp_wire_vrid(&rx), cut >= 2 ? full[1] : 0);
		free(pdu);
	}
}
END_TEST

START_TEST(no_bit_error_passes)
{
	static const uint8_t *const full[] = { v4, v4_plain, v6, v2_none, v2_pass };
	static const size_t len[] = { sizeof(v4), sizeof(v4_plain), sizeof(v6), sizeof(v2_none), sizeof(v2_pass) };
	uint8_t pdu[sizeof(v6)];
	struct vrrp_msg m;
	conf4.version = VRRP_V2_AND_3;
	memcpy(conf4.auth_pass, "secret", 6);
	for (int form = 0; form < 5; form++) {
		conf4.auth = form == 4;
		for (size_t bit = 0; bit < len[form] * 8; bit++) {
			memcpy(pdu, full[form], len[form]);
			pdu[bit / 8] ^= (uint8_t)(1 << bit % 8);
			struct vrrp_rx rx = form == 2 ? rx6(pdu, len[form]) : rx4(pdu, len[form]);
			enum vrrp_drop d = vrrp_wire_parse(&rx, form == 2 ? &conf6 : &conf4, NULL, &m);
			ck_assert_msg(d != VRRP_OK, "form %d bit %zu", form, bit);
		}
	}
}
END_TEST

/* One row: what is changed in a good packet, and the reason it must be dropped for. */
enum change {
	TTL_254,
	TTL_UNKNOWN,
	VERSION_2,
	VERSION_4,
	TYPE_2,
	NO_ADDRESS,
	ONE_ADDRESS_TOO_MANY,
	ONE_ADDRESS_TOO_FEW,
	TRAILING_BYTE,
	BAD_SUM,
	OTHER_SOURCE_UNDER_THE_SUM,
	INTERVAL_0,
	RESERVED_BITS_ONLY,
	FROM_MULTICAST,
	FROM_ZERO,
	FROM_BROADCAST,
	TO_UNICAST,
	OWN_SOURCE,
	OTHER_VRID,
	NO_CONF,
	CONF_OF_OTHER_FAMILY,
	NO_FAMILY,
	FROM_ZERO_6,
	VERSION_2_OVER_IPV6,
	CHANGES
};

static const enum vrrp_drop expected[CHANGES] = {
	[TTL_254] = VRRP_DROP_TTL,
	[TTL_UNKNOWN] = VRRP_DROP_TTL,
	[VERSION_2] = VRRP_DROP_IS_V2,
	[VERSION_4] = VRRP_DROP_VERSION,
	[TYPE_2] = VRRP_DROP_TYPE,
	[NO_ADDRESS] = VRRP_DROP_COUNT_ZERO,
	[ONE_ADDRESS_TOO_MANY] = VRRP_DROP_LENGTH,
	[ONE_ADDRESS_TOO_FEW] = VRRP_DROP_TRAILING,
	[TRAILING_BYTE] = VRRP_DROP_TRAILING,
	[BAD_SUM] = VRRP_DROP_CHECKSUM,
	[OTHER_SOURCE_UNDER_THE_SUM] = VRRP_DROP_CHECKSUM,
	[INTERVAL_0] = VRRP_DROP_INTERVAL,
	[RESERVED_BITS_ONLY] = VRRP_DROP_INTERVAL,
	[FROM_MULTICAST] = VRRP_DROP_SOURCE,
	[FROM_ZERO] = VRRP_DROP_SOURCE,
	[FROM_BROADCAST] = VRRP_DROP_SOURCE,
	[TO_UNICAST] = VRRP_DROP_DEST,
	[OWN_SOURCE] = VRRP_DROP_OWN,
	[OTHER_VRID] = VRRP_DROP_VRID,
	[NO_CONF] = VRRP_DROP_VRID,
	[CONF_OF_OTHER_FAMILY] = VRRP_DROP_FAMILY,
	[NO_FAMILY] = VRRP_DROP_FAMILY,
	[FROM_ZERO_6] = VRRP_DROP_SOURCE,
	[VERSION_2_OVER_IPV6] = VRRP_DROP_VERSION,
};

static void apply(enum change c, struct vrrp_rx *rx, uint8_t *pdu, const struct vrrp_conf **conf)
{
	bool resum = true;
	switch (c) {
	case TTL_254:
		rx->ttl = 254;
		break;
	case TTL_UNKNOWN:
		rx->ttl = -1;
		break;
	case VERSION_2:
		pdu[0] = 0x21;
		break;
	case VERSION_4:
		pdu[0] = 0x41;
		break;
	case TYPE_2:
		pdu[0] = 0x32;
		break;
	case NO_ADDRESS:
		pdu[3] = 0;
		break;
	case ONE_ADDRESS_TOO_MANY:
		pdu[3] = 3;
		break;
	case ONE_ADDRESS_TOO_FEW:
		pdu[3] = 1;
		break;
	case TRAILING_BYTE:
		pdu[rx->len++] = 0;
		break;
	case BAD_SUM:
		pdu[6] ^= 0x40;
		resum = false;
		break;
	case OTHER_SOURCE_UNDER_THE_SUM:
		rx->src = addr_v4(192, 0, 2, 77);
		resum = false;
		break;
	case INTERVAL_0:
		pdu[4] = pdu[5] = 0;
		break;
	case RESERVED_BITS_ONLY:
		pdu[4] = 0xf0;
		pdu[5] = 0;
		break;
	case FROM_MULTICAST:
		rx->src = addr_v4(224, 0, 0, 5);
		break;
	case FROM_ZERO:
		rx->src = addr_v4(0, 0, 0, 0);
		break;
	case FROM_BROADCAST:
		rx->src = addr_v4(255, 255, 255, 255);
		break;
	case TO_UNICAST:
		rx->dst = addr_v4(192, 0, 2, 3);
		break;
	case OWN_SOURCE:
		rx->src = own4;
		break;
	case OTHER_VRID:
		pdu[1] = 52;
		break;
	case NO_CONF:
		*conf = NULL;
		break;
	case CONF_OF_OTHER_FAMILY:
		conf6.vrid = 51;
		*conf = &conf6;
		break;
	case NO_FAMILY:
		rx->af = ADDR_NONE;
		break;
	case FROM_ZERO_6:
		*rx = rx6(pdu, rx->len);
		memset(&rx->src.b, 0, sizeof(rx->src.b));
		conf6.vrid = 51;
		*conf = &conf6;
		break;
	case VERSION_2_OVER_IPV6:
		*rx = rx6(pdu, rx->len);
		pdu[0] = 0x21;
		conf6.vrid = 51;
		conf6.version = VRRP_V2_AND_3;
		*conf = &conf6;
		break;
	case CHANGES:
		break;
	}
	if (resum)
		seal(rx, pdu);
}

START_TEST(drops_by_name)
{
	uint8_t pdu[sizeof(v4) + 1];
	const struct vrrp_conf *conf = &conf4;
	struct vrrp_msg m;
	memcpy(pdu, v4, sizeof(v4));
	struct vrrp_rx rx = rx4(pdu, sizeof(v4));
	apply((enum change)_i, &rx, pdu, &conf);
	ck_assert_int_eq(vrrp_wire_parse(&rx, conf, &own4, &m), expected[_i]);
}
END_TEST

START_TEST(reserved_bits_are_ignored)
{
	uint8_t pdu[sizeof(v4)];
	struct vrrp_msg m;
	memcpy(pdu, v4, sizeof(v4));
	pdu[4] |= 0xf0;
	struct vrrp_rx rx = rx4(pdu, sizeof(v4));
	seal(&rx, pdu);
	ck_assert_int_eq(vrrp_wire_parse(&rx, &conf4, &own4, &m), VRRP_OK);
	ck_assert_int_eq(m.adv_ns, NS_PER_SEC);
}
END_TEST

START_TEST(ipv6_source_must_be_link_local)
{
	uint8_t pdu[sizeof(v6)];
	struct vrrp_msg m;
	memcpy(pdu, v6, sizeof(v6));
	struct vrrp_rx rx = rx6(pdu, sizeof(v6));
	ck_assert(addr_parse("2001:db8::2", &rx.src));
	seal(&rx, pdu);
	ck_assert_int_eq(vrrp_wire_parse(&rx, &conf6, &own6, &m), VRRP_DROP_SOURCE);
}
END_TEST

START_TEST(another_list_is_a_remark)
{
	struct vrrp_msg m;
	struct vrrp_rx rx = rx4(v4, sizeof(v4));
	struct vrrp_vip keep = vips4[0];
	vips4[0] = vips4[1];
	vips4[1] = keep;
	ck_assert_int_eq(vrrp_wire_parse(&rx, &conf4, &own4, &m), VRRP_OK);
	ck_assert_uint_eq(m.odd, 0); /* the order means nothing */
	vip(&vips4[1], "192.0.2.9");
	ck_assert_int_eq(vrrp_wire_parse(&rx, &conf4, &own4, &m), VRRP_OK);
	ck_assert_uint_eq(m.odd, VRRP_ODD_VIPS);
	setup();
	conf4.n_vips = conf4.n_advertised = 1;
	ck_assert_int_eq(vrrp_wire_parse(&rx, &conf4, &own4, &m), VRRP_OK);
	ck_assert_uint_eq(m.odd, VRRP_ODD_VIPS);
}
END_TEST

START_TEST(a_doubled_address_does_not_pass_for_two)
{
	uint8_t pdu[sizeof(v4)];
	struct vrrp_msg m;
	memcpy(pdu, v4, sizeof(v4));
	memcpy(pdu + 12, pdu + 8, 4);
	struct vrrp_rx rx = rx4(pdu, sizeof(pdu));
	seal(&rx, pdu);
	ck_assert_int_eq(vrrp_wire_parse(&rx, &conf4, &own4, &m), VRRP_OK);
	ck_assert_uint_eq(m.odd, VRRP_ODD_VIPS);
}
END_TEST

START_TEST(first_ipv6_address_not_link_local)
{
	uint8_t buf[VRRP_MSG_MAX];
	struct vrrp_msg m;
	struct addr src;
	ck_assert(addr_parse("fe80::2", &src));
	conf6.vips = &vips6[1];
	conf6.n_vips = conf6.n_advertised = 1;
	int len = vrrp_wire_build(&conf6, 3, 10, &src, &group6, buf, sizeof(buf));
	struct vrrp_rx rx = rx6(buf, (size_t)len);
	ck_assert_int_eq(vrrp_wire_parse(&rx, &conf6, &own6, &m), VRRP_OK);
	ck_assert_uint_eq(m.odd, VRRP_ODD_NOT_LINK_LOCAL);
}
END_TEST

/* Every number of addresses, priority and interval that matters, out and in again. */
START_TEST(round_trip)
{
	static const int64_t cs[] = { 1, 2, 100, 4095 };
	static const uint8_t prio[] = { 0, 1, 100, 254, 255 };
	uint8_t buf[VRRP_MSG_MAX];
	struct vrrp_conf *c = _i ? &conf6 : &conf4;
	struct vrrp_vip *list = _i ? vips6 : vips4;
	struct vrrp_msg m;
	for (unsigned n = 1; n <= 300; n++) {
		list[n - 1] = list[0];
		list[n - 1].addr.b[_i ? 14 : 2] = (uint8_t)(n >> 8);
		list[n - 1].addr.b[_i ? 15 : 3] = (uint8_t)n;
		c->n_vips = c->n_advertised = (uint16_t)n;
		c->adv_ns = cs[n % 4] * 10 * NS_PER_MS;
		unsigned fits = n < (_i ? 90 : 255) ? n : _i ? 90 : 255;
		struct vrrp_rx rx = _i ? rx6(buf, 0) : rx4(buf, 0);
		rx.len = (size_t)vrrp_wire_build(c, 3, prio[n % 5], &rx.src, &rx.dst, buf, sizeof(buf));
		ck_assert_uint_eq(rx.len, VRRP_HDR_LEN + fits * (_i ? 16 : 4));
		ck_assert_int_eq(vrrp_wire_parse(&rx, c, &own4, &m), VRRP_OK);
		ck_assert_uint_eq(m.n_addrs, fits);
		ck_assert_uint_eq(m.priority, prio[n % 5]);
		ck_assert_int_eq(m.adv_ns, c->adv_ns);
		ck_assert_uint_eq(m.odd, 0);
	}
}
END_TEST

START_TEST(a_small_buffer_is_refused)
{
	uint8_t *buf = malloc((size_t)_i + 1);
	struct addr src = addr_v4(192, 0, 2, 2);
	int want = _i < (int)sizeof(v4) ? ERR_FULL : (int)sizeof(v4);
	int want2 = _i < (int)sizeof(v2_none) ? ERR_FULL : (int)sizeof(v2_none);
	ck_assert_int_eq(vrrp_wire_build(&conf4, 3, 100, &src, &group4, buf, (size_t)_i), want);
	ck_assert_int_eq(vrrp_wire_build(&conf4, 2, 100, &src, &group4, buf, (size_t)_i), want2);
	free(buf);
}
END_TEST

START_TEST(ip_header_with_options_and_padding)
{
	uint8_t pkt[60 + sizeof(v4) + 30] = { 0 };
	struct vrrp_msg m;
	struct vrrp_rx rx = { 0 };
	for (size_t ihl = 5; ihl <= 15; ihl++) {
		size_t total = ihl * 4 + sizeof(v4);
		memcpy(pkt, v4_ip, sizeof(v4_ip));
		memset(pkt + sizeof(v4_ip), 1, ihl * 4 - sizeof(v4_ip));
		memcpy(pkt + ihl * 4, v4, sizeof(v4));
		memset(pkt + total, 0xee, 30); /* Ethernet padding: no part of the packet */
		pkt[0] = (uint8_t)(0x40 | ihl);
		pkt[3] = (uint8_t)total;
		ck_assert_int_eq(vrrp_wire_ip4(pkt, total + 30, &rx), VRRP_OK);
		ck_assert_uint_eq(rx.len, sizeof(v4));
		ck_assert_int_eq(rx.ttl, 255);
		ck_assert_int_eq(vrrp_wire_parse(&rx, &conf4, &own4, &m), VRRP_OK);
	}
}
END_TEST

START_TEST(ip_header_truncated_or_wrong)
{
	uint8_t whole[sizeof(v4_ip) + sizeof(v4)];
	struct vrrp_rx rx;
	memcpy(whole, v4_ip, sizeof(v4_ip));
	memcpy(whole + sizeof(v4_ip), v4, sizeof(v4));
	for (size_t cut = 0; cut < sizeof(whole); cut++) {
		uint8_t *p = malloc(cut + 1);
		memcpy(p, whole, cut);
		ck_assert_int_eq(vrrp_wire_ip4(p, cut, &rx), VRRP_DROP_IP);
		free(p);
	}
	static const struct {
		unsigned at;
		uint8_t value;
	} bad[] = { { 0, 0x65 }, { 0, 0x44 }, { 3, 19 }, { 3, 0x25 }, { 2, 1 }, { 9, 17 } };
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t keep = whole[bad[i].at];
		whole[bad[i].at] = bad[i].value;
		ck_assert_int_eq(vrrp_wire_ip4(whole, sizeof(whole), &rx), VRRP_DROP_IP);
		whole[bad[i].at] = keep;
	}
	ck_assert_int_eq(vrrp_wire_ip4(whole, sizeof(whole), &rx), VRRP_OK);
}
END_TEST

START_TEST(every_reason_has_texts)
{
	for (int d = 0; d < VRRP_DROP_N; d++) {
		ck_assert_uint_gt(strlen(vrrp_drop_text((enum vrrp_drop)d)), 5);
		for (int other = 0; other < d; other++)
			ck_assert_str_ne(vrrp_drop_name((enum vrrp_drop)d), vrrp_drop_name((enum vrrp_drop)other));
	}
	ck_assert_str_eq(vrrp_drop_name(VRRP_DROP_N), "unknown");
	ck_assert_str_eq(vrrp_drop_text(VRRP_DROP_N), "unknown reason");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("version 3");

	tcase_add_loop_test(tc, parses_ipv4_in_both_forms, 0, 2);
	tcase_add_test(tc, parses_ipv6);
	tcase_add_test(tc, ipv6_needs_the_pseudo_header);
	tcase_add_test(tc, builds_the_vectors);
	tcase_add_loop_test(tc, truncated_everywhere, 0, 4);
	tcase_add_test(tc, no_bit_error_passes);
	tcase_add_loop_test(tc, drops_by_name, 0, CHANGES);
	tcase_add_test(tc, reserved_bits_are_ignored);
	tcase_add_test(tc, ipv6_source_must_be_link_local);
	tcase_add_test(tc, another_list_is_a_remark);
	tcase_add_test(tc, a_doubled_address_does_not_pass_for_two);
	tcase_add_test(tc, first_ipv6_address_not_link_local);
	tcase_add_loop_test(tc, round_trip, 0, 2);
	tcase_add_loop_test(tc, a_small_buffer_is_refused, 0, (int)sizeof(v2_none) + 1);
	tcase_add_test(tc, ip_header_with_options_and_padding);
	tcase_add_test(tc, ip_header_truncated_or_wrong);
	tcase_add_test(tc, every_reason_has_texts);
	return vrrp_vectors_run("vrrp_wire", tc);
}
