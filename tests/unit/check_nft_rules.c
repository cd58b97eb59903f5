/* The text of our nftables table: what is in it for each kind of address, and that it always fits. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/nft_rules.h"
#include "tests/unit/run.h"

static char buf[1 << 20];

static struct nft_vip vip(const char *text)
{
	struct nft_vip v = { .base = "lan0", .interface = "vrrp6.10" };
	ck_assert(addr_parse(text, &v.addr));
	return v;
}

START_TEST(test_none)
{
	size_t len = nft_rules_build(NULL, 0, buf, sizeof(buf));
	ck_assert_str_eq(buf, "add table inet keeptrackd { flags owner; }\ndelete table inet keeptrackd\n");
	ck_assert_uint_eq(len, strlen(buf));
}
END_TEST

START_TEST(test_kinds)
{
	struct nft_vip v[] = { vip("10.0.1.1"), vip("2001:db8::1"), vip("fe80::1"), vip("10.0.1.2"), vip("fe80::2") };
	memcpy(v[4].interface, "lan0", 5);
	size_t len = nft_rules_build(v, 5, buf, sizeof(buf));
	ck_assert_uint_eq(len, strlen(buf));
	ck_assert_ptr_nonnull(strstr(buf, "set vip4 { type ipv4_addr; elements = { 10.0.1.1,10.0.1.2, }; }\n"));
	ck_assert_ptr_nonnull(strstr(buf, "set vip6 { type ipv6_addr; elements = { 2001:db8::1, }; }\n"));
	ck_assert_ptr_nonnull(strstr(buf, "\"lan0\" . fe80::1,\"vrrp6.10\" . fe80::1,\"lan0\" . fe80::2, }; }\n"));
	ck_assert_ptr_nonnull(strstr(buf, "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept; "
					  "ip daddr @vip4 counter drop; ip6 daddr @vip6 counter drop; "
					  "iifname . ip6 daddr @vip6_link counter drop; }"));
	memcpy(v[4].base, "lan*", 5); /* a name that nft would read as a pattern: dropped everywhere */
	nft_rules_build(v + 4, 1, buf, sizeof(buf));
	ck_assert_ptr_nonnull(strstr(buf, "set vip6 { type ipv6_addr; elements = { fe80::2, }; }\n"));
	/* no set, no rule about it */
	nft_rules_build(v, 1, buf, sizeof(buf));
	ck_assert_ptr_nonnull(strstr(buf, "@vip4"));
	ck_assert_ptr_null(strstr(buf, "vip6"));
}
END_TEST

START_TEST(test_size)
{
	enum { N = 300 };
	static struct nft_vip v[N];
	for (unsigned i = 0; i < N; i++) {
		v[i] = vip("fe80:1111:2222:3333:4444:5555:6666:7777");
		memset(v[i].base, 'b', IFNAMSIZ - 1);
		memset(v[i].interface, 'i', IFNAMSIZ - 1);
	}
	for (unsigned n = 0; n < 4; n++) {
		size_t len = nft_rules_build(v, n, buf, NFT_RULES_SIZE(n));
		ck_assert_uint_gt(len, 0);
		for (size_t cap = 0; cap <= len; cap++)
			ck_assert_uint_eq(nft_rules_build(v, n, buf, cap), 0);
		ck_assert_uint_eq(nft_rules_build(v, n, buf, len + 1), len);
	}
	ck_assert_uint_gt(nft_rules_build(v, N, buf, NFT_RULES_SIZE(N)), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("nft_rules");
	TCase *t = tcase_create("all");
	tcase_add_test(t, test_none);
	tcase_add_test(t, test_kinds);
	tcase_add_test(t, test_size);
	suite_add_tcase(s, t);
	return unit_run(s);
}
