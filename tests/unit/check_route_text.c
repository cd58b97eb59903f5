/* Routes and rules as text: what is read, what is refused and with which words, and that the print reads the same. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/route_text.h"
#include "tests/unit/run.h"

static const struct route_name some_names[] = { { "isp", 100 }, { "lab", 70000 } };
static const struct route_names names = { some_names, 2 };

/* Text, and its canonical form; NULL: it is that already. */
static const char *const routes[][2] = {
	{ "default via 10.0.0.254", "default via 10.0.0.254 scope 0" },
	{ "0.0.0.0/0 via 10.0.0.254 dev eth0 scope 0", "default via 10.0.0.254 dev eth0 scope 0" },
	{ "unicast 10.1.0.0/16 dev eth0", "10.1.0.0/16 dev eth0 scope 253" },
	{ "to 10.1.0.0/16 dev eth0 scope link", "10.1.0.0/16 dev eth0 scope 253" },
	{ "10.1.0.0/16 gw 10.0.0.1 table isp metric 5 src 10.0.0.10",
	  "10.1.0.0/16 via 10.0.0.1 table 100 metric 5 src 10.0.0.10 scope 0" },
	{ "10.1.2.3 via 10.0.0.1 tos 0x10 onlink dev e0", "10.1.2.3/32 via 10.0.0.1 dev e0 onlink tos 0x10 scope 0" },
	{ "blackhole 10.2.0.0/16", "blackhole 10.2.0.0/16 scope 0" },
	{ "prohibit default table 5 metric 7", "prohibit default table 5 metric 7 scope 0" },
	{ "throw 10.2.0.0/16 table lab", "throw 10.2.0.0/16 table 70000 scope 0" },
	{ "unreachable 2001:db8::/32", NULL },
	{ "local 10.3.0.1/32 dev lo", "local 10.3.0.1/32 dev lo table 255 scope 254" },
	{ "10.4.0.0/16 via 10.0.0.1 mtu lock 1400 advmss 1360 window 9000 initcwnd 20 initrwnd 30 hoplimit 9 realms "
	  "3/4",
	  "10.4.0.0/16 via 10.0.0.1 scope 0 mtu lock 1400 advmss 1360 window 9000 initcwnd 20 initrwnd 30 hoplimit 9 "
	  "realms 3/4" },
	{ "10.5.0.0/16 nexthop via 10.0.0.1 weight 2 nexthop via 10.0.0.2 dev e1 onlink",
	  "10.5.0.0/16 scope 0 nexthop via 10.0.0.1 weight 2 nexthop via 10.0.0.2 dev e1 onlink" },
	{ "10.5.0.0/16 metric 3 nexthop via 10.0.0.1 weight 9", "10.5.0.0/16 via 10.0.0.1 metric 3 scope 0" },
	{ "10.6.0.0/16 via inet6 fe80::1 dev e0", "10.6.0.0/16 via inet6 fe80::1 dev e0 scope 0" },
	{ "2001:db8:1::/48 via fe80::1 dev e0 metric 1024", "2001:db8:1::/48 via fe80::1 dev e0" },
	{ "default via fe80::1 dev e0", "::/0 via fe80::1 dev e0" },
	{ "inet6 default dev e0 metric 5", "::/0 dev e0 metric 5" },
	{ "-4 default dev e0", "default dev e0 scope 253" },
};

static const char *const rules[][2] = {
	{ "from 10.0.0.0/8 lookup isp priority 100", "from 10.0.0.0/8 priority 100 lookup 100" },
	{ "pref 7 table main", "priority 7 lookup 254" },
	{ "not to 10.0.0.1 iif e0 oif e1 fwmark 0x10/0xf0 tos 0x10 prohibit order 3",
	  "not to 10.0.0.1/32 iif e0 oif e1 fwmark 0x10/0xf0 tos 0x10 priority 3 prohibit" },
	{ "fwmark 5 blackhole pref 1", "fwmark 0x5/0xffffffff priority 1 blackhole" },
	{ "from all ipproto tcp sport 1-1023 dport 80 uidrange 5-5 lookup 9 pref 1",
	  "ipproto 6 sport 1-1023 dport 80 uidrange 5 priority 1 lookup 9" },
	{ "from 2001:db8::/32 lookup main suppress_prefixlength 0 suppress_ifgroup 3 priority 9",
	  "inet6 from 2001:db8::/32 priority 9 lookup 254 suppress_prefixlength 0 suppress_ifgroup 3" },
	{ "inet6 l3mdev pref 1000", "inet6 priority 1000 l3mdev" },
	{ "goto 200 pref 100", "priority 100 goto 200" },
	{ "type unreachable dev e0 pref 4", "iif e0 priority 4 unreachable" },
};

static const char *const bad_routes[][2] = {
	{ "", "a destination is missing" },
	{ "blackhole", "a destination is missing" },
	{ "10.0.0.0/33 dev e", "'10.0.0.0/33' is neither" },
	{ "10.0.0.1/24 dev e", "is it 10.0.0.0/24?" },
	{ "10.0.0.0/24", "leads nowhere" },
	{ "blackhole 10.0.0.0/24 dev e", "neither via, dev nor nexthop" },
	{ "10.0.0.0/24 via", "a value is missing after 'via'" },
	{ "10.0.0.0/24 via 10.0", "'10.0' after 'via' is no IP address" },
	{ "10.0.0.0/24 via inet6 10.0.0.1", "of the other family" },
	{ "2001:db8::/32 via 10.0.0.1", "cannot go via an IPv4 address" },
	{ "2001:db8::/32 dev e src 10.0.0.1", "of the other family" },
	{ "2001:db8::/32 dev e tos 0x10", "for IPv4 routes only" },
	{ "2001:db8::/32 dev e scope link", "for IPv4 routes only" },
	{ "inet6 10.0.0.0/8 dev e", "of the other family" },
	{ "10.0.0.0/24 dev interface-with-17c", "too long for an interface name" },
	{ "10.0.0.0/24 dev e dev f", "'dev' is given twice" },
	{ "10.0.0.0/24 dev e proto 5", "bear protocol 18" },
	{ "10.0.0.0/24 dev e metric x", "'x' after 'metric' is no number from 0" },
	{ "10.0.0.0/24 dev e metric 4294967296", "is no number" },
	{ "10.0.0.0/24 dev e metric 0x", "is no number" },
	{ "10.0.0.0/24 dev e table nowhere", "'nowhere' after 'table' is no routing table" },
	{ "10.0.0.0/24 dev e table 0", "is no routing table" },
	{ "10.0.0.0/24 dev e scope nowhere", "none of global, site, link, host" },
	{ "10.0.0.0/24 dev e mtu 5", "is no number from 68" },
	{ "10.0.0.0/24 dev e mtu lock", "a value is missing after 'mtu'" },
	{ "10.0.0.0/24 dev e tos 3", "multiple of 4" },
	{ "10.0.0.0/24 dev e realms 0", "is no realm" },
	{ "10.0.0.0/24 dev e realms 5/x", "is no realm" },
	{ "10.0.0.0/24 dev e onlink", "'onlink' needs via and dev" },
	{ "10.0.0.0/24 dev e weight 2", "'weight' belongs to a nexthop" },
	{ "10.0.0.0/24 dev e encap mpls", "'encap' is no word of a route" },
	{ "10.0.0.0/24 dev e nexthop via 10.0.0.1", "give every way as a nexthop" },
	{ "10.0.0.0/24 nexthop weight 3", "needs via or dev" },
	{ "10.0.0.0/24 nexthop via 10.0.0.1 metric 3", "words about the whole route come first" },
	{ "10.0.0.0/24 nexthop via 10.0.0.1 nonsense", "is no word of a nexthop" },
	{ "10.0.0.0/24 nexthop via 10.0.0.1 via 10.0.0.2", "given twice" },
	{ "10.0.0.0/24 nexthop dev e weight 257", "is no number from 1 to 256" },
	{ "10.0.0.0/24 nexthop dev a nexthop dev b nexthop dev c nexthop dev d nexthop dev e nexthop dev f nexthop dev "
	  "g "
	  "nexthop dev h nexthop dev i",
	  "more than 8 next hops" },
	{ "10.0.0.0/24 dev e aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "is too long" },
};

static const char *const bad_rules[][2] = {
	{ "", "the rule does nothing" },
	{ "from 10.0.0.0/8 pref 1", "the rule does nothing" },
	{ "from 10.0.0.0/8 lookup main", "'priority' is missing" },
	{ "from 10.0.0.0/8 lookup main pref 0", "is no number from 1" },
	{ "lookup main prohibit pref 1", "two actions" },
	{ "lookup main l3mdev pref 1", "two actions" },
	{ "goto 5 pref 5", "'goto' leads back" },
	{ "from 10.0.0.1/8 lookup main pref 1", "is it 10.0.0.0/8?" },
	{ "from 10.0.0.0/8 to 2001:db8::/32 lookup main pref 1", "of the other family" },
	{ "fwmark 1/0 lookup main pref 1", "fits every packet" },
	{ "fwmark x lookup main pref 1", "no MARK or MARK/MASK" },
	{ "sport 5-4 ipproto tcp lookup main pref 1", "the value of 'sport'" },
	{ "sport 0 lookup main pref 1", "the value of 'sport'" },
	{ "sport 5 ipproto icmp lookup main pref 1", "need an ipproto with ports" },
	{ "ipproto nothing lookup main pref 1", "'nothing' after 'ipproto'" },
	{ "ipproto 0 lookup main pref 1", "'0' after 'ipproto'" },
	{ "suppress_prefixlength 0 prohibit pref 1", "need lookup TABLE" },
	{ "type nat pref 1", "'nat' after 'type'" },
	{ "protocol 5 lookup main pref 1", "bear protocol 18" },
	{ "not not lookup main pref 1", "given twice" },
	{ "tun_id 5 lookup main pref 1", "'tun_id' is no word of a rule" },
	{ "uidrange 5-x lookup main pref 1", "the value of 'uidrange'" },
	{ "lookup", "a value is missing after 'table'" },
};

#define N(a) (sizeof(a) / sizeof(*(a)))

START_TEST(test_routes)
{
	for (unsigned i = 0; i < N(routes); i++) {
		struct route r, again;
		char why[ROUTE_ERROR_MAX] = "", text[ROUTE_TEXT_MAX], twice[ROUTE_TEXT_MAX];
		ck_assert_msg(route_text_route(routes[i][0], 0, &names, &r, why), "%s: %s", routes[i][0], why);
		ck_assert_str_eq(route_text_print(&r, text), routes[i][1] ? routes[i][1] : routes[i][0]);
		ck_assert_msg(route_text_route(text, 0, NULL, &again, why), "%s: %s", text, why);
		ck_assert_str_eq(route_text_print(&again, twice), text);
	}
}
END_TEST

START_TEST(test_rules)
{
	for (unsigned i = 0; i < N(rules); i++) {
		struct rule r, again;
		char why[ROUTE_ERROR_MAX] = "", text[ROUTE_TEXT_MAX], twice[ROUTE_TEXT_MAX];
		ck_assert_msg(route_text_rule(rules[i][0], 0, &names, &r, why), "%s: %s", rules[i][0], why);
		ck_assert_str_eq(route_text_print_rule(&r, text), rules[i][1] ? rules[i][1] : rules[i][0]);
		ck_assert_msg(route_text_rule(text, 0, NULL, &again, why), "%s: %s", text, why);
		ck_assert_str_eq(route_text_print_rule(&again, twice), text);
	}
}
END_TEST

START_TEST(test_refused)
{
	for (unsigned i = 0; i < N(bad_routes); i++) {
		struct route r;
		char why[ROUTE_ERROR_MAX] = "";
		ck_assert_msg(!route_text_route(bad_routes[i][0], 0, &names, &r, why), "%s", bad_routes[i][0]);
		ck_assert_msg(strstr(why, bad_routes[i][1]) != NULL, "%s: %s", bad_routes[i][0], why);
	}
	for (unsigned i = 0; i < N(bad_rules); i++) {
		struct rule r;
		char why[ROUTE_ERROR_MAX] = "";
		ck_assert_msg(!route_text_rule(bad_rules[i][0], 0, &names, &r, why), "%s", bad_rules[i][0]);
		ck_assert_msg(strstr(why, bad_rules[i][1]) != NULL, "%s: %s", bad_rules[i][0], why);
	}
}
END_TEST

/* Every beginning of every text is read or refused, never more than that. */
START_TEST(test_cut)
{
	char why[ROUTE_ERROR_MAX], text[512];
	for (unsigned i = 0; i < N(routes) + N(rules); i++) {
		const char *whole = i < N(routes) ? routes[i][0] : rules[i - N(routes)][0];
		for (size_t n = 0; n <= strlen(whole); n++) {
			struct route r;
			struct rule l;
			memcpy(text, whole, n);
			text[n] = '\0';
			why[0] = '\0';
			if (!route_text_route(text, ADDR_V4, &names, &r, why))
				ck_assert_uint_gt(strlen(why), 5);
			why[0] = '\0';
			if (!route_text_rule(text, ADDR_V6, &names, &l, why))
				ck_assert_uint_gt(strlen(why), 5);
		}
	}
	memset(text, ' ', 300);
	text[300] = '\0';
	struct route r;
	ck_assert(!route_text_route(text, 0, NULL, &r, why));
	ck_assert(strstr(why, "longer than") != NULL);
}
END_TEST

START_TEST(test_family)
{
	struct route r;
	struct rule l;
	char why[ROUTE_ERROR_MAX];
	ck_assert(route_text_route("default dev e", ADDR_V6, NULL, &r, why));
	ck_assert_uint_eq(r.af, ADDR_V6);
	ck_assert_uint_eq(r.metric, ROUTE_METRIC_DEFAULT);
	ck_assert(route_text_route("default via 10.0.0.1", ADDR_V6, NULL, &r, why));
	ck_assert_uint_eq(r.af, ADDR_V4);
	ck_assert(route_text_rule("lookup main pref 1", ADDR_V6, NULL, &l, why));
	ck_assert_uint_eq(l.af, ADDR_V6);
	ck_assert(route_text_rule("from 10.0.0.0/8 lookup main pref 1", ADDR_V6, NULL, &l, why));
	ck_assert_uint_eq(l.af, ADDR_V4);
}
END_TEST

START_TEST(test_table_lines)
{
	struct route_name n;
	ck_assert(route_text_table_line("100 isp", &n));
	ck_assert_uint_eq(n.id, 100);
	ck_assert_str_eq(n.name, "isp");
	ck_assert(route_text_table_line("  0x64\tisp # comment\n", &n));
	ck_assert_uint_eq(n.id, 100);
	static const char *const no[] = { "",
					  "\n",
					  "# 5 x",
					  "x 5",
					  "5",
					  "5 # x",
					  "0 unspec",
					  "4294967296 x",
					  "5 a-name-that-is-longer-than-anybody-would-ever-use" };
	for (unsigned i = 0; i < N(no); i++)
		ck_assert_msg(!route_text_table_line(no[i], &n), "%s", no[i]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("route_text");
	TCase *t = tcase_create("text");
	tcase_add_test(t, test_routes);
	tcase_add_test(t, test_rules);
	tcase_add_test(t, test_refused);
	tcase_add_test(t, test_cut);
	tcase_add_test(t, test_family);
	tcase_add_test(t, test_table_lines);
	suite_add_tcase(s, t);
	return unit_run(s);
}
