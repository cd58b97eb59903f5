/* Meaning: what single values cannot show. One mistake, one message, with line and remedy. */
#include "daemon/base/mono.h"
#include "tests/unit/cfg_util.h"

#define TUNNEL                                                                                                      \
	"ipsec = { tunnels = ( { name = \"t\"; vip = \"192.0.2.1\"; peer = \"198.51.100.1\"; ike = \"i\"; child = " \
	"\"c\"; } ); };\n"

START_TEST(vrrp)
{
	static const struct {
		const char *from, *to, *begin, *word;
	} t[] = {
		/* routes and rules: the word that is wrong, and what would be right */
		{ "vrid = 20", "vrid = 20; routes = ( \"10.0.0.1/24 dev wan0\" )",
		  "test.conf:2: vrrp.instances[wan].routes[0].route = \"10.0.0.1/24 dev wan0\"", "is it 10.0.0.0/24?" },
		{ "vrid = 20", "vrid = 20; rules = ( { rule = \"from 10.0.0.0/8 lookup main\"; } )",
		  "test.conf:2: vrrp.instances[wan].rules[0].rule", "'priority' is missing" },
		{ "vrid = 20", "vrid = 20; routes = ( \"10.0.0.0/24 dev a\", \"10.0.0.0/24 dev b\" )",
		  "test.conf:2: vrrp.instances[wan].routes[1].route", "give it another metric" },
		{ "vrid = 20", "vrid = 20; rules = ( \"pref 5 lookup main\", \"lookup 254 pref 5\" )",
		  "test.conf:2: vrrp.instances[wan].rules[1].rule", "stands on line 2 already" },
		{ "#g", "static = { routes = ( \"default via nowhere\" ); };",
		  "test.conf:3: vrrp.static.routes[0].route = \"default via nowhere\"", "is no IP address" },
		/* the same VRID on one interface and family */
		{ "interface = \"wan0\"; vrid = 20", "interface = \"lan0\"; vrid = 10",
		  "test.conf:2: vrrp.instances[wan].vrid = 10: the VRID is used on lan0 by lan (line 1)",
		  "one per interface" },
		{ "name = \"wan\"", "name = \"lan\"", "test.conf:2: vrrp.instances[lan].name = \"lan\"", "line 1" },
		{ "192.0.2.1/24", "10.0.1.1/8",
		  "test.conf:2: vrrp.instances[wan].virtual_addresses[0].address = \"10.0.1.1/8\"", "of lan (line 1)" },
		{ "( \"192.0.2.1/24\" )", "( \"192.0.2.1/24\", \"192.0.2.1/25\" )",
		  "test.conf:2: vrrp.instances[wan].virtual_addresses[1].address", "one place" },
		{ "( \"192.0.2.1/24\" )", "( \"192.0.2.1/24\", \"fe80::1/64\" )",
		  "test.conf:2: vrrp.instances[wan].virtual_addresses[1].address = \"fe80::1/64\": an IPv6 address",
		  "family" },
		{ "192.0.2.1/24", "224.0.0.1/24", "test.conf:2: vrrp.instances[wan].virtual_addresses[0]", "unicast" },
		{ "192.0.2.1/24", "0.0.0.0/24", "test.conf:2: vrrp.instances[wan].virtual_addresses[0]", "unicast" },
		{ "vrid = 20", "vrid = 20; advert_interval = 0.015",
		  "test.conf:2: vrrp.instances[wan].advert_interval = 0.015", "multiple of 0.01" },
		{ "#g", "groups = ( { name = \"g\"; members = ( \"lan\", \"wam\" ); } );",
		  "test.conf:3: vrrp.groups[g].members = \"wam\"", "known are lan, wan" },
		{ "#g", "groups = ( { name = \"g\"; members = ( \"lan\", \"lan\" ); } );",
		  "test.conf:3: vrrp.groups[g].members = \"lan\"", "twice" },
		{ "#g",
		  "groups = ( { name = \"g\"; members = ( \"lan\" ); }, { name = \"h\"; members = ( \"lan\" ); } );",
		  "test.conf:3: vrrp.groups[h].members = \"lan\": is a member of g", "one group" },
		{ "#g",
		  "groups = ( { name = \"g\"; members = ( \"lan\" ); }, { name = \"g\"; members = ( \"wan\" ); } );",
		  "test.conf:3: vrrp.groups[g].name = \"g\"", "line 3" },
		{ "#g", "groups = ( { name = \"wan\"; members = ( \"lan\" ); } );",
		  "test.conf:3: vrrp.groups[wan].name = \"wan\"", "instance wan (line 2)" },
		{ "#g", "groups = ( { name = \"g\"; members = ( ); } );",
		  "test.conf:3: vrrp.groups[g].members: 0 entries", "1 to" },
		{ "#n", "node = { instances = ( { name = \"lam\"; priority = 3; } ); };",
		  "test.conf:5: node.instances[lam].name = \"lam\": there is no such instance", "known are lan, wan" },
		{ "#n", "node = { instances = ( { name = \"lan\"; }, { name = \"lan\"; } ); };",
		  "test.conf:5: node.instances[lan].name = \"lan\"", "line 5" },
		/* an override that puts two equal VRIDs on one interface */
		{ "vrid = 20", "vrid = 10", "test.conf:2: vrrp.instances[wan].vrid = 10", "on lan0" },
	};
	const char *base = "vrrp = { instances = ( " LAN ",\n" WAN " );\n#g\n};\n#n\n";

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		char *text = strdup(with(base, t[i].from, t[i].to));
		if (i == sizeof(t) / sizeof(t[0]) - 1)
			refused(
			    with(text, "#n", "node = { instances = ( { name = \"wan\"; interface = \"lan0\"; } ); };"),
			    t[i].begin, t[i].word);
		else
			refused(text, t[i].begin, t[i].word);
		free(text);
	}
}
END_TEST

START_TEST(vrids_that_do_not_clash)
{
	const char *base = "vrrp = { instances = ( " LAN ",\n" WAN " ); };\n";

	cfg_free(good(with(base, "vrid = 20", "vrid = 10"))); /* another interface */
	/* another family on the same interface */
	cfg_free(good(with(base, WAN,
			   "{ name = \"v6\"; interface = \"lan0\"; vrid = 10; family = \"ipv6\"; "
			   "virtual_addresses = ( \"fe80::1/64\" ); }")));
	/* the same link-local address on two links */
	cfg_free(
	    good("vrrp = { instances = ( { name = \"a\"; interface = \"a0\"; vrid = 1; family = \"ipv6\"; "
		 "virtual_addresses = ( \"fe80::1/64\" ); }, { name = \"b\"; interface = \"b0\"; vrid = 1; family = "
		 "\"ipv6\"; virtual_addresses = ( \"fe80::1/64\" ); } ); };"));
	refused("vrrp = { instances = ( { name = \"a\"; interface = \"a0\"; vrid = 1; family = \"ipv6\"; "
		"virtual_addresses = ( \"fe80::1/64\" ); }, { name = \"b\"; interface = \"a0\"; vrid = 2; family = "
		"\"ipv6\"; virtual_addresses = ( \"fe80::1/64\" ); } ); };",
		"test.conf:1: vrrp.instances[b].virtual_addresses[0].address", "of a (line 1)");
}
END_TEST

START_TEST(three_in_one_place)
{
	struct cfg_errors errs = { 0 };

	ck_assert_ptr_null(
	    cfg_parse("vrrp = { instances = ( { name = \"a\"; interface = \"a0\"; vrid = 1; virtual_addresses = "
		      "( \"10.0.0.1/24\", \"10.0.0.1/24\", \"10.0.0.1/24\" ); } ); };",
		      "f", &errs));
	ck_assert_uint_eq(errs.n, 2);
	cfg_errors_free(&errs);
}
END_TEST

START_TEST(cluster)
{
	static const struct {
		const char *from, *to, *begin, *word;
	} t[] = {
		{ "node = { id = 1; };", "", "test.conf:1: node.id: is missing", "id of this node" },
		{ "node = { id = 1; };", "node = { id = 9; };", "test.conf:1: node.id = 9: is not in nodes",
		  "one of them" },
		{ "cluster = \"edge\";", "", "test.conf:3: nodes: cluster", "lone router" },
		{ "id = 2; name", "id = 1; name", "test.conf:4: nodes[fw-b].id = 1", "line 3" },
		{ "fw-b", "fw-a", "test.conf:4: nodes[fw-a].name = \"fw-a\"", "line 3" },
		{ "10.9.0.2", "10.9.0.1", "test.conf:4: nodes[fw-b].addresses = \"10.9.0.1\"", "another node" },
		{ "10.9.0.2", "fd00::2", "test.conf:4: nodes[fw-b].addresses = \"fd00::2\"", "family" },
		{ "\"10.9.0.2\"", "\"10.9.0.2\", \"10.9.1.2\"", "test.conf:4: nodes[fw-b].addresses: 2 links",
		  "lists 1" },
		{ "\"10.9.0.2\"", "", "test.conf:4: nodes[fw-b].addresses: 0 entries", "1 to 4" },
		{ ",\n          { id = 2; name = \"fw-b\"; addresses = ( \"10.9.0.2\" ); }", "",
		  "test.conf:3: nodes: 1 entries", "2 to 4" },
		{ "channel = { key_file = \"/etc/keeptrackd/cluster.key\"; };", "", "test.conf:3: nodes: channel",
		  "--genkey" },
		{ "key_file = \"/etc/keeptrackd/cluster.key\"; ", "", "test.conf:5: channel.key_file: is missing",
		  "insecure = true" },
		{ "/etc/keeptrackd/cluster.key", "cluster.key", "test.conf:5: channel.key_file = \"cluster.key\"",
		  "absolute path" },
	};

	cfg_free(good(PAIR VRRP));
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		refused(with(PAIR VRRP, t[i].from, t[i].to), t[i].begin, t[i].word);
	refused("cluster = \"x\"; channel = { insecure = true; };" VRRP, "test.conf:1: channel: nodes", "lone router");
}
END_TEST

START_TEST(tunnels_and_hooks)
{
	static const struct {
		const char *from, *to, *begin, *word;
	} t[] = {
		{ "vip = \"192.0.2.1\"", "vip = \"192.0.2.2\"",
		  "test.conf:2: ipsec.tunnels[t].vip = \"192.0.2.2\": is no virtual", "virtual_addresses" },
		{ "198.51.100.1", "2001:db8::1", "test.conf:2: ipsec.tunnels[t].peer", "same family" },
		{ "198.51.100.1", "192.0.2.1", "test.conf:2: ipsec.tunnels[t].peer", "remote end" },
		{ "ike = \"i\"; ", "", "test.conf:2: ipsec.tunnels[t].ike: is missing", "swanctl" },
		{ "child = \"c\"; ", "", "test.conf:2: ipsec.tunnels[t].child: is missing", "swanctl" },
		{ "exec = ( \"/x\" )", "exec = ( \"x\" )", "test.conf:3: hooks[0].exec = \"x\"", "absolute path" },
		{ "ike = \"i\"; child = \"c\"; ", "backend = \"none\"; dpd = { }; ",
		  "test.conf:2: ipsec.tunnels[t].dpd: needs an IKE daemon", "another backend" },
		{ "ike = \"i\"; child = \"c\"; ", "backend = \"none\"; on_demote = \"delete\"; ",
		  "test.conf:2: ipsec.tunnels[t].on_demote = \"delete\": needs an IKE daemon", "another backend" },
		{ "ike = \"i\"; ", "ike = \"i\"; backend = \"exec\"; ",
		  "test.conf:2: ipsec.tunnels[t].exec: is missing; backend = \"exec\" needs the program",
		  "ike-tunnel" },
		{ "ike = \"i\"; ", "ike = \"i\"; exec = ( \"/x\" ); ",
		  "test.conf:2: ipsec.tunnels[t].exec: is not used, because backend is not \"exec\"", "remove it" },
		{ "ike = \"i\"; ", "ike = \"i\"; backend = \"exec\"; exec = ( \"x\", \"/y\" ); ",
		  "test.conf:2: ipsec.tunnels[t].exec = \"x\"", "must be an absolute path" },
		{ "ike = \"i\"; child = \"c\"; ", "backend = \"libreswan\"; ",
		  "test.conf:2: ipsec.tunnels[t].ike: is missing", "ipsec.conf" },
		{ "child = \"c\"; ", "child = \"c\"; backend = \"libreswan\"; ",
		  "test.conf:2: ipsec.tunnels[t].child = \"c\": means nothing", "remove it" },
		{ "child = \"c\"; ", "child = \"c\"; warm = true; ",
		  "test.conf:2: ipsec.tunnels[t].warm_ike: is missing", "own address" },
		{ "child = \"c\"; ", "child = \"c\"; warm = true; warm_ike = \"i\"; ",
		  "test.conf:2: ipsec.tunnels[t].warm_ike = \"i\": is the connection of the vip", "local_addrs" },
		{ "child = \"c\"; ", "child = \"c\"; warm_ike = \"w\"; ",
		  "test.conf:2: ipsec.tunnels[t].warm_ike = \"w\": is not used", "warm = true" },
		{ "child = \"c\"; ", "child = \"c\"; warm_child = \"w\"; ",
		  "test.conf:2: ipsec.tunnels[t].warm_child = \"w\": is not used", "warm = true" },
		{ "child = \"c\"; ", "child = \"c\"; warm = true; warm_ike = \"w\"; initiate = \"never\"; ",
		  "test.conf:2: ipsec.tunnels[t].warm = true: prepares an initiation", "remove one" },
		{ "ike = \"i\"; child = \"c\"; ",
		  "ike = \"i\"; backend = \"libreswan\"; warm = true; warm_ike = \"w\"; ",
		  "test.conf:2: ipsec.tunnels[t].warm = true: only backend", "remove warm" },
		{ "child = \"c\"; ", "child = \"c\"; sync_sa = \"inbound\"; ",
		  "test.conf:2: ipsec.tunnels[t].sync_sa = \"inbound\": sends keys", "cluster" },
		{ "} ); };\nhooks",
		  "}, { name = \"u\"; vip = \"192.0.2.1\"; peer = \"198.51.100.1\"; ike = \"i\"; child = \"c\"; } ); "
		  "};\nhooks",
		  "test.conf:2: ipsec.tunnels[u].child = \"c\": belongs to tunnel t (line 2)", "its own" },
		{ "} ); };\nhooks",
		  "}, { name = \"u\"; vip = \"10.0.1.1\"; peer = \"198.51.100.1\"; ike = \"i\"; child = \"d\"; } ); "
		  "};\nhooks",
		  "test.conf:2: ipsec.tunnels[u].vip = \"10.0.1.1\": one connection", "192.0.2.1" },
		{ "} ); };\nhooks",
		  "}, { name = \"u\"; vip = \"192.0.2.1\"; peer = \"198.51.100.2\"; ike = \"i\"; child = \"d\"; } ); "
		  "};\nhooks",
		  "test.conf:2: ipsec.tunnels[u].peer = \"198.51.100.2\": one connection", "198.51.100.1" },
		{ "} ); };\nhooks", "} ); auto = { }; };\nhooks", "test.conf:2: ipsec.auto: is for tunnels = \"auto\"",
		  "themselves" },
		{ "child = \"c\"; ", "child = \"c\"; initiate = \"later\"; ", "test.conf:2: ipsec.tunnels[t].initiate",
		  "\"auto\"" },
	};
	const char *base = VRRP TUNNEL "hooks = ( { on = ( \"role\" ); exec = ( \"/x\" ); } );\n";

	cfg_free(good(base));
	cfg_free(good(with(base, "ike = \"i\"; child = \"c\"; ", "backend = \"none\"; ")));
	struct cfg *c = good(with(base, "ike = \"i\"; child = \"c\"; ",
				  "backend = \"exec\"; exec = ( \"/x\", \"y\" ); exec_timeout = 0.5; "));
	ck_assert_int_eq(c->tunnels[0].backend, IKE_BACKEND_EXEC);
	ck_assert_str_eq(c->tunnels[0].exec[0], "/x");
	ck_assert_str_eq(c->tunnels[0].exec[1], "y");
	ck_assert_ptr_null(c->tunnels[0].exec[2]);
	ck_assert(c->tunnels[0].exec_timeout_ns == 500 * NS_PER_MS);
	ck_assert_str_eq(c->whack, "/usr/libexec/ipsec/whack");
	cfg_free(c);
	cfg_free(good(with(base, "child = \"c\"; ", "child = \"c\"; warm = true; warm_ike = \"w\"; ")));
	cfg_free(good(with(base, "} ); };\nhooks",
			   "}, { name = \"u\"; vip = \"192.0.2.1\"; peer = \"198.51.100.1\"; ike = \"i\"; child = "
			   "\"d\"; } ); };\nhooks")));
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		refused(with(base, t[i].from, t[i].to), t[i].begin, t[i].word);
}
END_TEST

/* Keys leave this node sealed and over an encrypted channel, or not at all. */
START_TEST(keys_need_a_channel_that_hides_them)
{
	const char *text =
	    PAIR VRRP "ipsec = { tunnels = ( { name = \"t\"; vip = \"192.0.2.1\"; peer = \"198.51.100.1\"; "
		      "ike = \"i\"; child = \"c\"; sync_sa = \"inbound\"; } ); };\n";

	struct cfg *c = good(text);
	ck_assert_int_eq(c->tunnels[0].sync_sa, IKE_SYNC_SA_INBOUND);
	cfg_free(c);
	refused(with(text, "key_file = \"/etc/keeptrackd/cluster.key\"", "insecure = true"),
		"test.conf:7: ipsec.tunnels[t].sync_sa = \"inbound\": would send keys", "insecure = true");
}
END_TEST

static void warns(const char *text, const char *begin, const char *word)
{
	struct cfg_errors errs = { 0 };
	struct cfg *c = cfg_parse(text, "test.conf", &errs);

	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(errs.n, 0);
	ck_assert_uint_eq(errs.n_warnings, 1);
	ck_assert_msg(strncmp(errs.warnings[0].text, begin, strlen(begin)) == 0, "%s", errs.warnings[0].text);
	ck_assert_ptr_nonnull(strstr(errs.warnings[0].text, word));
	cfg_free(c);
	cfg_errors_free(&errs);
}

START_TEST(warnings)
{
	warns("vrrp = { instances = ( { name = \"v6\"; interface = \"lan0\"; vrid = 1; family = \"ipv6\"; "
	      "virtual_addresses "
	      "= ( \"2001:db8::1/64\" ); } ); };",
	      "test.conf:1: vrrp.instances[v6].virtual_addresses[0].address = \"2001:db8::1/64\"", "link-local");
	warns(with(PAIR VRRP, "key_file = \"/etc/keeptrackd/cluster.key\"", "insecure = true"),
	      "test.conf:5: channel.insecure = true", "neither encrypted");
	warns("vrrp = { instances = ( " LAN ", { name = \"w\"; interface = \"w0\"; vrid = 1; advert_interval = 0.5; "
	      "virtual_addresses = ( \"10.9.9.9/24\" ); } ); groups = ( { name = \"g\"; members = ( \"lan\", \"w\" ); "
	      "} ); };",
	      "test.conf:1: vrrp.instances[w].advert_interval = 0.5", "group g");
}
END_TEST

START_TEST(too_many_addresses_for_a_cluster)
{
	struct cfg_errors errs = { 0 };
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	fprintf(f, PAIR "vrrp = { instances = (");
	for (int i = 0; i <= SYNC_LOCALS_MAX; i++) { /* spread over instances, none of which has too many by itself */
		if (i % 200 == 0)
			fprintf(f, "%s { name = \"l%d\"; interface = \"l\"; vrid = %d; virtual_addresses = (",
				i ? ") ; }," : "", i, 1 + i / 200);
		fprintf(f, "%s \"10.0.%d.%d/24\"", i % 200 ? "," : "", i / 250, 1 + i % 250);
	}
	fprintf(f, ") ; } ); };\n");
	fclose(f);
	ck_assert_ptr_null(cfg_parse(text, "f", &errs));
	ck_assert_uint_eq(errs.n, 1);
	ck_assert_ptr_nonnull(strstr(errs.list[0].text, "at most"));
	cfg_errors_free(&errs);
	free(text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cfg_check");
	TCase *t = tcase_create("all");

	tcase_add_test(t, vrrp);
	tcase_add_test(t, vrids_that_do_not_clash);
	tcase_add_test(t, three_in_one_place);
	tcase_add_test(t, cluster);
	tcase_add_test(t, tunnels_and_hooks);
	tcase_add_test(t, keys_need_a_channel_that_hides_them);
	tcase_add_test(t, warnings);
	tcase_add_test(t, too_many_addresses_for_a_cluster);
	suite_add_tcase(s, t);
	return unit_run(s);
}
