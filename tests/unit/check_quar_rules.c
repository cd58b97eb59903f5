/* Texts of the quarantine: what is in them for each kind of address, and that they always fit. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/nft_rules.h"
#include "tests/unit/run.h"

static char buf[1 << 20];

static struct quar_vip vip(const char *text, enum quar_how how)
{
	struct quar_vip v = { .how = how };

	ck_assert(addr_parse(text, &v.addr));
	return v;
}

static bool in(const char *words)
{
	return strstr(buf, words) != NULL;
}

START_TEST(nft)
{
	struct quar_vip v[] = { vip("192.0.2.1", QUAR_WATCH), vip("2001:db8::1", QUAR_WATCH),
				vip("192.0.2.2", QUAR_WATCH), vip("192.0.2.3", QUAR_OPEN) };
	size_t len = nft_rules_table(NULL, 0, v, 4, buf, sizeof(buf));

	ck_assert_uint_eq(len, strlen(buf));
	ck_assert(
	    in("add table inet keeptrackd { flags owner; }\ndelete table inet keeptrackd\ntable inet keeptrackd {\n"
	       "flags owner\n"));
	ck_assert(in("set away4 { type ipv4_addr; elements = { 192.0.2.1,192.0.2.2, }; }\n"));
	ck_assert(in("set away6 { type ipv6_addr; elements = { 2001:db8::1, }; }\n"));
	ck_assert(in("hook output"));
	ck_assert(in("ip saddr @away4 fib saddr type != local counter drop; "));
	ck_assert(in("ip6 saddr @away6 fib saddr type != local counter drop; "));
	ck_assert(!in("shut4") && !in("shut6") && !in("192.0.2.3") && !in("hook input"));

	v[0].how = v[1].how = QUAR_SHUT;
	nft_rules_table(NULL, 0, v, 4, buf, sizeof(buf));
	ck_assert(in("set shut4 { type ipv4_addr; elements = { 192.0.2.1, }; }\n"));
	ck_assert(in("ip saddr @shut4 counter drop; "));
	ck_assert(in("ip6 saddr @shut6 counter drop; "));
	ck_assert(in("elements = { 192.0.2.2, }") && !in("away6"));
}
END_TEST

/* Beside the rules of accept = false, and alone with nothing to say. */
START_TEST(nft_beside)
{
	struct nft_vip in_vip = { .base = "lan0", .interface = "lan0" };
	struct quar_vip v = vip("192.0.2.1", QUAR_WATCH);

	ck_assert(addr_parse("192.0.2.1", &in_vip.addr));
	nft_rules_table(&in_vip, 1, &v, 1, buf, sizeof(buf));
	ck_assert(in("hook input") && in("hook output") && in("@vip4") && in("@away4"));
	v.how = QUAR_OPEN;
	nft_rules_table(&in_vip, 1, &v, 1, buf, sizeof(buf));
	ck_assert(in("hook input") && !in("hook output"));
	nft_rules_table(NULL, 0, &v, 1, buf, sizeof(buf));
	ck_assert_str_eq(buf, "add table inet keeptrackd { flags owner; }\ndelete table inet keeptrackd\n");
}
END_TEST

START_TEST(iptables)
{
	struct quar_vip v[] = { vip("192.0.2.1", QUAR_WATCH), vip("2001:db8::1", QUAR_SHUT),
				vip("192.0.2.2", QUAR_SHUT), vip("192.0.2.3", QUAR_OPEN) };
	size_t len = quar_ipt_text(v, 4, ADDR_V4, buf, sizeof(buf));

	ck_assert_uint_eq(len, strlen(buf));
	ck_assert_str_eq(buf,
			 "*filter\n:keeptrackd-vips -\n:keeptrackd -\n"
			 "-A keeptrackd-vips -s 192.0.2.1 -m addrtype ! --src-type LOCAL -j DROP\n"
			 "-A keeptrackd-vips -s 192.0.2.2 -j DROP\n"
			 "-A keeptrackd -p udp -m multiport --ports 500,4500 -j keeptrackd-vips\n"
			 "-A keeptrackd -p 50 -j keeptrackd-vips\n-A keeptrackd -p 51 -j keeptrackd-vips\nCOMMIT\n");
	ck_assert_uint_gt(quar_ipt_text(v, 4, ADDR_V6, buf, sizeof(buf)), 0);
	ck_assert(in("-A keeptrackd-vips -s 2001:db8::1 -j DROP\n") && !in("192.0.2"));
	ck_assert(in("-A keeptrackd -m ah -j keeptrackd-vips\n") && !in("-p 51"));
	ck_assert_uint_eq(quar_count(v, 4, ADDR_V4), 2);
	ck_assert_uint_eq(quar_count(v, 4, ADDR_V6), 1);
	/* The removal has to fit a pipe that nobody reads yet. */
	ck_assert_uint_lt(strlen(quar_ipt_remove), 4096);
}
END_TEST

/* The same address may be another host's on another link: rules name the interface, and ask whether it is local there. */
START_TEST(link_local)
{
	struct quar_vip v[] = { vip("fe80::2:1", QUAR_WATCH), vip("fe80::2:2", QUAR_SHUT),
				vip("fe80::2:3", QUAR_OPEN) };

	for (unsigned i = 0; i < 3; i++)
		strcpy(v[i].dev, "wan0");
	nft_rules_table(NULL, 0, v, 3, buf, sizeof(buf));
	ck_assert(in("hook output") && !in("set "));
	ck_assert(in("oifname \"wan0\" ip6 saddr fe80::2:1 fib saddr . oif type != local counter drop; "));
	ck_assert(in("oifname \"wan0\" ip6 saddr fe80::2:2 counter drop; ") && !in("fe80::2:3"));
	ck_assert_uint_gt(quar_ipt_text(v, 3, ADDR_V6, buf, sizeof(buf)), 0);
	ck_assert(in("-o wan0 -s fe80::2:1 -m addrtype ! --src-type LOCAL --limit-iface-out -j DROP\n"));
	ck_assert(in("-o wan0 -s fe80::2:2 -j DROP\n") && !in("fe80::2:3"));
	ck_assert_uint_eq(quar_count(v, 3, ADDR_V6), 2);
	nft_rules_table(NULL, 0, &v[2], 1, buf, sizeof(buf));
	ck_assert(!in("hook output"));
}
END_TEST

START_TEST(sizes)
{
	enum { N = 300 };
	static struct quar_vip v[N];

	for (unsigned i = 0; i < N; i++)
		v[i] = vip("fe80:1111:2222:3333:4444:5555:6666:7777", i % 2 ? QUAR_WATCH : QUAR_SHUT);
	for (unsigned i = 0; i < N; i++)
		strcpy(v[i].dev, i % 3 ? "fifteen-letters" : "");
	for (unsigned n = 0; n < 4; n++) {
		size_t len = quar_ipt_text(v, n, ADDR_V6, buf, QUAR_SIZE(n));
		ck_assert_uint_gt(len, 0);
		for (size_t cap = 0; cap <= len; cap++)
			ck_assert_uint_eq(quar_ipt_text(v, n, ADDR_V6, buf, cap), 0);
		ck_assert_uint_eq(quar_ipt_text(v, n, ADDR_V6, buf, len + 1), len);
		len = nft_rules_table(NULL, 0, v, n, buf, NFT_RULES_SIZE(0) + QUAR_SIZE(n));
		ck_assert_uint_gt(len, 0);
		for (size_t cap = 0; cap <= len; cap++)
			ck_assert_uint_eq(nft_rules_table(NULL, 0, v, n, buf, cap), 0);
	}
	ck_assert_uint_gt(quar_ipt_text(v, N, ADDR_V6, buf, QUAR_SIZE(N)), 0);
	ck_assert_uint_gt(nft_rules_table(NULL, 0, v, N, buf, NFT_RULES_SIZE(0) + QUAR_SIZE(N)), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("quar_rules");
	TCase *t = tcase_create("all");
	tcase_add_test(t, nft);
	tcase_add_test(t, nft_beside);
	tcase_add_test(t, iptables);
	tcase_add_test(t, link_local);
	tcase_add_test(t, sizes);
	suite_add_tcase(s, t);
	return unit_run(s);
}
