/* Virtual MACs and accept = false: names that clash, combinations that make no sense. */
#include "tests/unit/cfg_util.h"

#define A(more)   "{ name = \"a\"; interface = \"lan0\"; vrid = 10; virtual_addresses = ( \"10.0.1.1/24\" ); " more "}"
#define B(more)   "{ name = \"b\"; interface = \"wan0\"; vrid = 10; virtual_addresses = ( \"192.0.2.1/24\" ); " more "}"
#define TWO(a, b) "vrrp = { instances = ( " A(a) ",\n" B(b) " ); };\n"
#define VMAC      "virtual_mac = { }; "

START_TEST(names)
{
	refused(TWO(VMAC, VMAC), "test.conf:2: vrrp.instances[b].virtual_mac.interface",
		"vrrp.10 is the virtual MAC's interface of a (line 1)");
	refused(TWO(VMAC, "virtual_mac = { interface = \"vrrp.10\"; }; "),
		"test.conf:2: vrrp.instances[b].virtual_mac.interface", "another name");
	refused(TWO("virtual_mac = { interface = \"wan0\"; }; ", ""),
		"test.conf:1: vrrp.instances[a].virtual_mac.interface", "the interface of b (line 2) itself");
	refused(TWO("virtual_mac = { interface = \"lan0\"; }; ", ""),
		"test.conf:1: vrrp.instances[a].virtual_mac.interface", "one of its own");
	/* this node's name of an interface counts */
	refused(TWO("virtual_mac = { interface = \"eth7\"; }; ",
		    "") "node = { instances = ( { name = \"b\"; interface = \"eth7\"; } ); };\n",
		"test.conf:1: vrrp.instances[a].virtual_mac.interface", "interface of b");
	cfg_free(good(TWO(VMAC, "virtual_mac = { interface = \"vmac-wan\"; }; ")));
	/* two families of one VRID, on one base */
	struct cfg *c =
	    good("vrrp = { instances = ( " A(VMAC) ", { name = \"a6\"; interface = \"lan0\"; vrid = 10; "
						   "family = \"ipv6\"; virtual_addresses = ( \"fe80::1/64\" ); " VMAC
						   "} ); };");
	ck_assert_str_eq(c->instances[0].vmac_name, "vrrp.10");
	ck_assert_str_eq(c->instances[1].vmac_name, "vrrp6.10");
	cfg_free(c);
}
END_TEST

START_TEST(contradictions)
{
	refused(TWO("virtual_mac = { kind = \"ipvlan\"; source = \"virtual\"; }; ", ""),
		"test.conf:1: vrrp.instances[a].virtual_mac.source = \"virtual\"", "remove source");
	refused(TWO("virtual_mac = { source = \"virtual\"; }; unicast_peers = ( \"10.0.1.3\" ); ", ""),
		"test.conf:1: vrrp.instances[a].virtual_mac.source = \"virtual\"", "unicast_peers");
	refused(TWO("virtual_mac = { kind = \"ipvlan\"; address = \"02:00:00:00:00:01\"; }; ", ""),
		"test.conf:1: vrrp.instances[a].virtual_mac.address = \"02:00:00:00:00:01\"", "remove address");
	static const char *const wrong[] = { "03:00:00:00:00:01", "02:00:00:00:00:0g",  "02-00-00-00-00-01",
					     "2:00:00:00:00:1:1", "02:00:00:00:00:01:", "02:00:00:00:0:001" };
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char text[600];
		snprintf(text, sizeof(text), TWO("virtual_mac = { address = \"%s\"; }; ", ""), wrong[i]);
		refused(text, "test.conf:1: vrrp.instances[a].virtual_mac.address", "");
	}
	struct cfg *c = good(
	    TWO("virtual_mac = { address = \"02:00:00:0a:Bc:ff\"; }; ", "virtual_mac = { interface = \"vb\"; }; "));
	ck_assert_mem_eq(c->instances[0].vmac_mac, "\x02\0\0\x0a\xbc\xff", 6);
	ck_assert_mem_eq(c->instances[1].vmac_mac, "\0\0\x5e\0\1", 5);
	ck_assert_uint_eq(c->instances[1].vmac_mac[5], c->instances[1].vrid);
	cfg_free(c);
	cfg_free(good(TWO("virtual_mac = { source = \"base\"; }; unicast_peers = ( \"10.0.1.3\" ); ", "")));
	cfg_free(good(TWO("virtual_mac = { kind = \"ipvlan\"; source = \"base\"; }; accept = false; ", "")));
}
END_TEST

#define TUNNEL                                                                                                       \
	"ipsec = { tunnels = ( { name = \"hq\"; vip = \"192.0.2.1\"; peer = \"198.51.100.1\"; ike = \"i\"; child = " \
	"\"c\"; } ); };\n"

START_TEST(tunnel_behind_a_closed_address)
{
	refused(TWO("", "accept = false; ") TUNNEL, "test.conf:2: vrrp.instances[b].accept = false",
		"tunnel hq (line 3)");
	cfg_free(good(TWO("accept = false; ", "") TUNNEL));
	cfg_free(good(TWO("", "accept = true; ") TUNNEL));
}
END_TEST

static void warned(const char *text, const char *word)
{
	struct cfg_errors errs = { 0 };
	struct cfg *c = cfg_parse(text, "test.conf", &errs);
	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(errs.n, 0);
	ck_assert_uint_eq(errs.n_warnings, 1);
	ck_assert_ptr_nonnull(strstr(errs.warnings[0].text, word));
	cfg_errors_free(&errs);
	cfg_free(c);
}

START_TEST(warnings)
{
	warned(TWO("garp_extra_interval = 5; ", ""), "virtual_mac");
	warned(TWO("virtual_mac = { kind = \"ipvlan\"; }; garp_extra_interval = 5; ", ""), "ipvlan");
	cfg_free(good(TWO("virtual_mac = { }; garp_extra_interval = 5; ", "")));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cfg_vmac");
	TCase *t = tcase_create("all");
	tcase_add_test(t, names);
	tcase_add_test(t, contradictions);
	tcase_add_test(t, tunnel_behind_a_closed_address);
	tcase_add_test(t, warnings);
	suite_add_tcase(s, t);
	return unit_run(s);
}
