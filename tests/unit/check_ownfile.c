/* Ownership file: round trips, bytes by hand, and corruption at every byte. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/ownfile.h"
#include "tests/unit/run.h"

static const struct own_entry some[] = {
	{ OWN_ADDR, 2, "eth0", .addr = { ADDR_V4, { 10, 0, 0, 10 } }, .plen = 24 },
	{ OWN_ADDR, 0, "vlan-with-15chr", .addr = { ADDR_V4, { 192, 0, 2, 1 } }, .plen = 32,
	  .peer = { ADDR_V4, { 192, 0, 2, 2 } } },
	{ OWN_ADDR, INT32_MAX, "a", .addr = { ADDR_V6, { 0xfe, 0x80, [15] = 1 } }, .plen = 64 },
	{ OWN_LINK, 7, "vrrp.1", .link_kind = 1, .mac = { 0, 0, 0x5e, 0, 1, 1 }, .base = "eth0" },
	{ OWN_ROUTE, 0, "", .text = "default via 10.0.0.1 dev eth0" },
	{ OWN_RULE, 0, "", .text = "from 10.0.0.0/8 lookup 100 priority 50" },
};
#define N_SOME 6

static uint8_t buf[4096];
static struct own_entry out[16];

static bool same(const struct own_entry *a, const struct own_entry *b)
{
	return a->what == b->what && a->ifindex == b->ifindex && strcmp(a->ifname, b->ifname) == 0 &&
	       addr_eq(&a->addr, &b->addr) && a->plen == b->plen && addr_eq(&a->peer, &b->peer) &&
	       a->link_kind == b->link_kind && memcmp(a->mac, b->mac, 6) == 0 && strcmp(a->base, b->base) == 0 &&
	       strcmp(a->text, b->text) == 0;
}

START_TEST(test_round_trip)
{
	for (uint32_t n = 0; n <= N_SOME; n++) {
		uint32_t got = 99;
		size_t len = ownfile_encode(some, n, buf, sizeof(buf));
		ck_assert_uint_eq(len, ownfile_size(some, n));
		ck_assert_int_eq(ownfile_decode(buf, len, out, 16, &got), OWNFILE_OK);
		ck_assert_uint_eq(got, n);
		for (uint32_t i = 0; i < n; i++)
			ck_assert(same(&out[i], &some[i]));
		ck_assert_uint_eq(ownfile_encode(some, n, buf, len - 1), 0);
	}
}
END_TEST

START_TEST(test_bytes)
{
	static const uint8_t want[] = { 'K', 'T', 'O', 'W', 0,   2,   0,   0, 0,  0,  0, 1, 2,  0, 0,
					0,   2,   4,   'e', 't', 'h', '0', 4, 24, 10, 0, 0, 10, 0 };
	size_t len = ownfile_encode(some, 1, buf, sizeof(buf));
	ck_assert_uint_eq(len, sizeof(want) + 4);
	ck_assert_mem_eq(buf, want, sizeof(want));
	ck_assert_uint_eq(crc32_ieee(0, "123456789", 9), 0xcbf43926); /* the checksum's published test value */
	ck_assert_uint_eq(crc32_ieee(crc32_ieee(0, "1234", 4), "56789", 5), 0xcbf43926);
	ck_assert_uint_eq(crc32_ieee(0, "", 0), 0);
}
END_TEST

START_TEST(test_every_byte_changed_or_cut)
{
	uint32_t n;
	size_t len = ownfile_encode(some, N_SOME, buf, sizeof(buf));
	for (size_t i = 0; i < len; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			buf[i] ^= (uint8_t)(1u << bit);
			enum ownfile_drop d = ownfile_decode(buf, len, out, 16, &n);
			ck_assert_int_ne(d, OWNFILE_OK);
			ck_assert_uint_eq(n, 0);
			ck_assert_int_eq(d, i < 4 ? OWNFILE_MAGIC : i < 6 ? OWNFILE_VERSION : OWNFILE_CRC);
			buf[i] ^= (uint8_t)(1u << bit);
		}
		ck_assert_int_ne(ownfile_decode(buf, i, out, 16, &n), OWNFILE_OK);
		ck_assert_uint_eq(n, 0);
	}
	ck_assert_int_eq(ownfile_decode(buf, len, out, N_SOME - 1, &n), OWNFILE_COUNT);
	ck_assert_int_eq(ownfile_decode(buf, len, out, N_SOME, &n), OWNFILE_OK);
}
END_TEST

static void seal(size_t len)
{
	uint32_t crc = crc32_ieee(0, buf, len - 4);
	for (unsigned i = 0; i < 4; i++)
		buf[len - 4 + i] = (uint8_t)(crc >> (24 - 8 * i));
}

/* Right checksum, wrong content: written by a broken or hostile program. */
START_TEST(test_wrong_fields)
{
	static const struct {
		size_t at;
		uint8_t value;
		enum ownfile_drop want;
	} row[] = {
		{ 11, 2, OWNFILE_SHORT },                                /* one entry more than there is */
		{ 11, 0, OWNFILE_COUNT },                                /* one entry less */
		{ 8, 0xff, OWNFILE_COUNT },                              /* more than anybody has */
		{ 12, 1, OWNFILE_ENTRY },                                /* no such kind of object */
		{ 12, 9, OWNFILE_ENTRY },   { 13, 0x80, OWNFILE_ENTRY }, /* negative index */
		{ 17, 0, OWNFILE_ENTRY },                                /* no name */
		{ 17, 16, OWNFILE_ENTRY },                               /* name too long */
		{ 19, 0, OWNFILE_ENTRY },                                /* name with a zero inside */
		{ 22, 5, OWNFILE_ENTRY },                                /* neither IPv4 nor IPv6 */
		{ 22, 6, OWNFILE_SHORT },                                /* IPv6 with 4 bytes */
		{ 23, 0, OWNFILE_ENTRY },                                /* prefix length */
		{ 23, 33, OWNFILE_ENTRY },  { 28, 6, OWNFILE_SHORT },    /* a peer of the other family, and too short */
	};
	uint32_t n;
	for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
		size_t len = ownfile_encode(some, 1, buf, sizeof(buf));
		buf[row[i].at] = row[i].value;
		seal(len);
		enum ownfile_drop d = ownfile_decode(buf, len, out, 16, &n);
		ck_assert_msg(d == row[i].want, "row %zu: %s", i, ownfile_text(d));
		ck_assert_uint_eq(n, 0);
	}
	/* flags are for later versions: kept out of the way */
	size_t len = ownfile_encode(some, 1, buf, sizeof(buf));
	buf[7] = 1;
	seal(len);
	ck_assert_int_eq(ownfile_decode(buf, len, out, 16, &n), OWNFILE_OK);
}
END_TEST

START_TEST(test_encode_refuses)
{
	struct own_entry e = some[0];
	e.plen = 33;
	ck_assert_uint_eq(ownfile_encode(&e, 1, buf, sizeof(buf)), 0);
	e = some[0];
	e.ifname[0] = '\0';
	ck_assert_uint_eq(ownfile_encode(&e, 1, buf, sizeof(buf)), 0);
	e = some[0];
	memset(e.ifname, 'x', sizeof(e.ifname));
	ck_assert_uint_eq(ownfile_encode(&e, 1, buf, sizeof(buf)), 0);
	e = some[0];
	e.addr.af = ADDR_NONE;
	ck_assert_uint_eq(ownfile_encode(&e, 1, buf, sizeof(buf)), 0);
	e = some[1];
	e.peer.af = ADDR_V6;
	ck_assert_uint_eq(ownfile_encode(&e, 1, buf, sizeof(buf)), 0);
	e = some[3];
	e.base[0] = '\0';
	ck_assert_uint_eq(ownfile_encode(&e, 1, buf, sizeof(buf)), 0);
	e = some[4];
	memset(e.text, 'x', sizeof(e.text));
	ck_assert_uint_eq(ownfile_encode(&e, 1, buf, sizeof(buf)), 0);
	e = some[4];
	e.text[0] = '\0';
	ck_assert_uint_eq(ownfile_encode(&e, 1, buf, sizeof(buf)), 0);
	e = some[4];
	e.ifname[0] = 'x';
	ck_assert_uint_eq(ownfile_encode(&e, 1, buf, sizeof(buf)), 0);
	e = some[0];
	e.ifindex = -1;
	ck_assert_uint_eq(ownfile_encode(&e, 1, buf, sizeof(buf)), 0);
	ck_assert_uint_eq(ownfile_encode(&e, OWNFILE_ENTRIES_MAX + 1, buf, sizeof(buf)), 0);
	for (int d = OWNFILE_OK; d <= OWNFILE_COUNT; d++)
		ck_assert_uint_gt(strlen(ownfile_text((enum ownfile_drop)d)), 1);
	ck_assert_str_eq(ownfile_text((enum ownfile_drop)77), "unknown");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ownfile");
	TCase *t = tcase_create("codec");
	tcase_add_test(t, test_round_trip);
	tcase_add_test(t, test_bytes);
	tcase_add_test(t, test_every_byte_changed_or_cut);
	tcase_add_test(t, test_wrong_fields);
	tcase_add_test(t, test_encode_refuses);
	suite_add_tcase(s, t);
	return unit_run(s);
}
