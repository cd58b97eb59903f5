/* keepalived.conf: what keepalived derives, drops and clamps, what is refused here, and the blocks of our own. */
#include "tests/unit/kconf_map_util.h"
#include "tests/unit/run.h"

#define VIP  "virtual_ipaddress {\n10.0.0.5/24\n}\n"
#define VIP6 "virtual_ipaddress {\nfe80::5/64\n}\n"

/* One instance with these lines, which begin on line 2. */
static struct mapped inst(const char *lines)
{
	static char buf[4096];

	snprintf(buf, sizeof(buf), "vrrp_instance V1 { \n%s\ninterface a0\nvirtual_router_id 7\n}\n", lines);
	return map_text(buf);
}

static void expect(struct mapped *m, const char *path, const char *value)
{
	ck_assert_msg(strcmp(map_at(m, path), value) == 0, "%s is %s, not %s\n%s", path, map_at(m, path), value,
		      map_said(&m->errs));
}

static void says(struct mapped *m, const char *text)
{
	ck_assert_msg(strstr(map_said(&m->errs), text) != NULL, "'%s' is not in:\n%s", text, map_said(&m->errs));
}

/* A line, what one key is then, and what is said; NULL: nothing is. */
static const struct quirk {
	const char *lines, *path, *value, *said;
} quirks[] = {
	/* state and priority */
	{ VIP, "priority", "100", NULL },
	{ "state MASTER\n" VIP, "priority", "255", NULL },
	{ "state BACKUP\n" VIP, "priority", "100", NULL },
	{ "state MASTER\nstate BACKUP\n" VIP, "priority", "255", "W: t.conf:3: (V1) state BACKUP is ignored" },
	{ "state SLAVE\n" VIP, "priority", "100", "W: t.conf:2: (V1) unknown state 'SLAVE'" },
	{ "priority 300\n" VIP, "priority", "100", "W: t.conf:2: priority '300' is ignored" },
	{ "priority -5\n" VIP, "priority", "100", "W: t.conf:2:" },
	{ "nopreempt\nstate MASTER\npriority 90\n" VIP, "preempt", "true", "W: t.conf:2: (V1) nopreempt is ignored" },
	{ "nopreempt\npriority 255\n" VIP, "preempt", "true", "W: t.conf:2: (V1) nopreempt is ignored" },
	{ "preempt_delay 5\nnopreempt\n" VIP, "preempt_delay", "0", "W: t.conf:2: (V1) preempt_delay is ignored" },
	{ "preempt_delay 5\nstate MASTER\npriority 90\n" VIP, "preempt_delay", "0", "W: t.conf:2: (V1) preempt_delay" },
	{ "preempt_delay 1001\n" VIP, "preempt_delay", "0", "W: t.conf:2: preempt_delay '1001' is ignored" },
	/* version, family, interval */
	{ VIP, "version", "\"v2\"", NULL },
	{ VIP6, "version", "\"v3\"", NULL },
	{ VIP6, "family", "\"ipv6\"", NULL },
	{ "version 2\n" VIP6, "version", "\"v3\"", "W: t.conf:2: (V1) IPv6 is version 3" },
	{ "native_ipv6\n", "family", "\"ipv6\"", NULL },
	{ VIP "native_ipv6\n", "family", "\"ipv4\"", "W: t.conf:5: (V1) native_ipv6 is ignored" },
	{ "mcast_src_ip fe80::9\n", "family", "\"ipv6\"", NULL },
	{ "advert_int 0.5\n" VIP, "advert_interval", "1", "W: t.conf:2: (V1) advert_int 0.5 becomes 1 in version 2" },
	{ "advert_int 0.2\n" VIP, "advert_interval", "1", "becomes 1" },
	{ "advert_int 1.5\n" VIP, "advert_interval", "2", "becomes 2" },
	{ "advert_int 200\n" VIP, "advert_interval", "200", NULL },
	{ "advert_int 0.5\nversion 3\n" VIP, "advert_interval", "0.5", NULL },
	{ "advert_int 0.123\nversion 3\n" VIP, "advert_interval", "0.12", "becomes 0.12 in version 3" },
	{ "advert_int 0.001\nversion 3\n" VIP, "advert_interval", "0.01", "becomes 0.01" },
	{ "advert_int 60\nversion 3\n" VIP, "advert_interval", "40.95", "becomes 40.95" },
	{ "advert_int x\n" VIP, "advert_interval", "1", "W: t.conf:2: advert_int 'x' is ignored" },
	/* authentication */
	{ "authentication {\nauth_type PASS\nauth_pass 123456789\n}\n" VIP, "auth_pass", "\"12345678\"",
	  "W: t.conf:4: (V1) auth_pass is cut to its first 8 bytes" },
	{ "version 3\nauthentication {\nauth_type PASS\nauth_pass 1234\n}\n" VIP, "version", "\"v3\"",
	  "W: t.conf:5: (V1) version 3 has no authentication" },
	{ "authentication {\nauth_type PASS\nauth_pass 1234\n}\nstrict_mode\n" VIP, "version", "\"v2\"",
	  "(V1) strict mode has no authentication" },
	{ "authentication {\nauth_type AH\nauth_pass 1234\n}\n" VIP, "version", "\"v2\"",
	  "E: t.conf:3: (V1) auth_type AH is not supported" },
	{ "auth_hmac {\nkey 1 hex:00\n}\n" VIP, "version", "\"v2\"", "E: t.conf:2: auth_hmac: keyed adverts" },
	{ "track_bfd {\nB\n}\n" VIP, "version", "\"v2\"", "E: t.conf:2: track_bfd: BFD is not supported" },
	/* unicast */
	{ "unicast_peer {\n10.0.0.8\n}\n" VIP, "unicast_any_source", "true", NULL },
	{ "unicast_peer {\n10.0.0.8 min_ttl 250\n}\n" VIP, "unicast_any_source", "false", NULL },
	{ "unicast_peer {\n10.0.0.8\n}\ncheck_unicast_src\n" VIP, "unicast_any_source", "false", NULL },
	{ "unicast_peer {\n10.0.0.8\n}\nunicast_ttl 0\n" VIP, "unicast_ttl", "1", "unicast_ttl 0 becomes 1" },
	{ "unicast_peer {\n10.0.0.8\n10.0.0.8.1\n}\n" VIP, "unicast_peers[0].address", "\"10.0.0.8\"",
	  "W: t.conf:4: (V1) unicast peer '10.0.0.8.1'" },
	{ "unicast_src_ip 10.0.0.1\n" VIP, "unicast_any_source", "false", "there is no unicast peer" },
	{ "unicast_fault_no_peer\n" VIP, "version", "\"v2\"", "E: t.conf:2: (V1) there is no unicast peer" },
	{ "mcast_src_ip fe80::1\n" VIP, "family", "\"ipv6\"", "W: t.conf:4: (V1) 10.0.0.5/24 is not of the family" },
	{ VIP "mcast_src_ip fe80::1\n", "family", "\"ipv4\"", "W: t.conf:5: (V1) mcast_src_ip is not of the family" },
	/* strict mode */
	{ "strict_mode\n" VIP, "accept", "false", NULL },
	{ "strict_mode\naccept\n" VIP, "accept", "false", "accept is ignored in strict mode with version 2" },
	{ "strict_mode\nversion 3\naccept\n" VIP, "accept", "true", NULL },
	{ "strict_mode\naccept\npriority 255\n" VIP, "accept", "true", NULL },
	{ "strict_mode\npriority 255\n" VIP, "accept", "true", NULL },
	{ "strict_mode\n" VIP, "lower_priority_advert", "false", NULL },
	{ "strict_mode\n" VIP, "garp_lower_repeat", "0", NULL },
	{ "strict_mode\n" VIP, "garp_lower_delay", "0", NULL },
	{ "strict_mode\n" VIP, "strict_mode", "true", NULL },
	{ "strict_mode\nunicast_peer {\n10.0.0.8\n}\n" VIP, "unicast_peers[0].address", "\"10.0.0.8\"",
	  "N: t.conf:3: (V1) strict mode: VRRP has no unicast" },
	{ "strict_mode off\n" VIP, "accept", "true", NULL },
	{ "strict_mode maybe\n" VIP, "accept", "true", "W: t.conf:2: strict_mode 'maybe' is ignored" },
	/* announcements */
	{ "garp_master_repeat 3\n" VIP, "garp_lower_repeat", "3", NULL },
	{ "garp_master_delay 3\n" VIP, "garp_lower_delay", "3", NULL },
	{ "garp_master_repeat 0\n" VIP, "garp_repeat", "1", "garp_master_repeat 0 becomes 1" },
	{ "garp_master_repeat 1000\n" VIP, "garp_repeat", "255", "garp_master_repeat 1000 becomes 255" },
	{ "garp_extra_if 100\nuse_vmac\n" VIP, "garp_extra_interval", "100", NULL },
	{ "garp_extra_if all 50\nuse_vmac\n" VIP, "garp_extra_interval", "50", NULL },
	{ "vmac_garp_intvl 50\nuse_vmac\n" VIP, "garp_extra_interval", "50", NULL },
	{ "garp_extra_if 100\n" VIP, "garp_extra_interval", "0", NULL },
	/* virtual MAC */
	{ "use_vmac\n" VIP, "virtual_mac[0].source", "\"virtual\"", NULL },
	{ "use_vmac vm0 00:00:5e:00:01\nvmac_xmit_base\n" VIP, "virtual_mac[0].source", "\"base\"", NULL },
	{ "use_vmac vm0 02:00:5E:00:99\n" VIP, "virtual_mac[0].address", "\"02:00:5e:00:99:07\"", NULL },
	{ "use_vmac 02:00:5e:00:99:ff\n" VIP, "virtual_mac[0].address", "\"02:00:5e:00:99:ff\"", NULL },
	{ "use_vmac 03:00:5e:00:99:ff\n" VIP, "virtual_mac[0].address", "absent", "is no MAC address of one station" },
	{ "use_vmac\n" VIP, "virtual_mac[0].interface", "absent", NULL },
	{ "use_vmac\nvirtual_ipaddress {\n10.0.0.6 dev a0\n}\n", "virtual_addresses[0].interface", "absent", NULL },
	{ "use_vmac\nvirtual_ipaddress {\n10.0.0.6 dev b0\n}\n", "virtual_addresses[0].interface", "\"b0\"", NULL },
	{ "use_vmac\n" VIP "virtual_ipaddress_excluded {\n2001:db8::7\n}\n", "excluded_addresses[0].interface",
	  "\"a0\"", NULL },
	{ "use_vmac\nunicast_peer {\n10.0.0.8\n}\n" VIP, "virtual_mac[0].source", "\"base\"", NULL },
	{ "use_ipvlan iv0 10.0.0.3 vepa\n" VIP, "virtual_mac[0].interface", "\"iv0\"", "mode vepa is not possible" },
	{ "use_vmac a-name-that-is-long\n" VIP, "virtual_mac[0].kind", "\"macvlan\"", "too long for an interface" },
	/* addresses */
	{ "virtual_ipaddress {\n10.0.0.300\n10.0.0.6\n}\n", "virtual_addresses[0].address", "\"10.0.0.6/32\"",
	  "W: t.conf:3: (V1) '10.0.0.300' is no address" },
	{ "virtual_ipaddress {\n10.0.0.6\n2001:db8::1\n}\n", "virtual_addresses[1].address", "absent",
	  "W: t.conf:4: (V1) 2001:db8::1 is not of the family" },
	{ "virtual_ipaddress {\n10.0.0.6\n10.0.0.6 label a0:1\n}\n", "virtual_addresses[1].address", "absent",
	  "N: t.conf:4: (V1) 10.0.0.6 stands there twice" },
	{ VIP "virtual_ipaddress_excluded {\n10.0.0.7\n10.0.0.7\n}\n", "excluded_addresses[1].address", "absent",
	  "N: t.conf:7: (V1) 10.0.0.7 stands there twice" },
	{ VIP "virtual_ipaddress_excluded {\n10.0.0.5\n}\n", "excluded_addresses[0].address", "absent",
	  "stands there twice" },
	{ "virtual_ipaddress {\n10.0.0.6/24 brd +\n}\n", "virtual_addresses[0].broadcast", "\"auto\"", NULL },
	{ "virtual_ipaddress {\n10.0.0.6/24 brd -\n}\n", "virtual_addresses[0].broadcast", "\"10.0.0.0\"", NULL },
	{ "virtual_ipaddress {\n10.0.0.6/24 broadcast 10.0.0.99\n}\n", "virtual_addresses[0].broadcast",
	  "\"10.0.0.99\"", NULL },
	{ "virtual_ipaddress {\n10.0.0.6 peer 10.0.0.7/31\n}\n", "virtual_addresses[0].address", "\"10.0.0.6/31\"",
	  NULL },
	{ "virtual_ipaddress {\n10.0.0.6 peer 10.0.0.7\n}\n", "virtual_addresses[0].peer", "\"10.0.0.7\"", NULL },
	{ "virtual_ipaddress {\n10.0.0.6 dev b0 scope 253 label b0:1\n}\n", "virtual_addresses[0].scope", "\"link\"",
	  NULL },
	{ "virtual_ipaddress {\n10.0.0.6 scope nowhere\n}\n", "virtual_addresses[0].scope", "\"global\"",
	  "scope 'nowhere'" },
	{ "virtual_ipaddress {\n10.0.0.6 home -nodad\n}\n", "virtual_addresses[0].flags", "( )", "is for IPv6" },
	{ "virtual_ipaddress {\nfe80::6 home -nodad noprefixroute\n}\n", "virtual_addresses[0].flags",
	  "( \"noprefixroute\", \"home\", \"dad\" )", NULL },
	{ "virtual_ipaddress {\n10.0.0.6 foo dev b0\n}\n", "virtual_addresses[0].interface", "\"b0\"",
	  "unknown word 'foo'" },
	{ "virtual_ipaddress {\nfe80::6/128 preferred_lft forever\n}\n", "virtual_addresses[0].preferred_lifetime",
	  "4294967295", NULL },
	{ "virtual_ipaddress {\n10.0.0.6 no_track\n}\n", "virtual_addresses[0].track", "false", NULL },
	/* routes and rules */
	{ VIP "virtual_routes {\nblackhole 10.1.0.0/16\n}\n", "routes[0].route", "\"blackhole 10.1.0.0/16\"", NULL },
	{ VIP "virtual_routes {\n10.1.0.0/16 via 10.0.0.9 rto_min 3 proto bird append\n}\n", "routes[0].route",
	  "\"10.1.0.0/16 via 10.0.0.9\"", "W: t.conf:6: 'rto_min' of a route is not set" },
	{ VIP "virtual_routes {\n10.1.0.1/16 via 10.0.0.9\n}\n", "routes[0].route", "absent", "the route is left out" },
	{ VIP "virtual_routes {\n10.1.0.0/16 encap mpls 5 via 10.0.0.9\n}\n", "routes[0].route", "absent",
	  "E: t.conf:6: 'encap' of a route is not supported" },
	{ VIP "virtual_routes {\n10.1.0.0/16 table 9 nexthop gw 10.0.0.9 weight 2 nexthop via 10.0.0.8\n}\n",
	  "routes[0].route", "\"10.1.0.0/16 table 9 nexthop via 10.0.0.9 weight 2 nexthop via 10.0.0.8\"", NULL },
	{ VIP6 "virtual_routes {\ndefault via fe80::9 dev a0\n}\n", "routes[0].route", "\"default via fe80::9 dev a0\"",
	  "" },
	{ VIP "virtual_rules {\nto 10.0.0./24 table 2\n}\n", "rules[0].rule", "absent", "the rule is left out" },
	{ VIP "virtual_rules {\nfrom 10.0.0.0/24 table 2\n}\n", "rules[0].rule",
	  "\"from 10.0.0.0/24 table 2 priority 16384\"", "it gets 16384" },
	/* interfaces that count because something is on them */
	{ VIP "virtual_rules {\nfrom 10.0.0.0/24 iif b0 oif b1 table 2 priority 9\n}\n", "track[1].interface", "\"b1\"",
	  NULL },
	{ VIP "virtual_rules {\nfrom 10.0.0.0/24 iif b0 table 2 priority 9 no_track\n}\n", "track[0].interface",
	  "absent", NULL },
	{ VIP "dont_track_primary\nvirtual_rules {\niif a0 table 2 priority 9\n}\n", "track_link", "true",
	  "a0 counts in spite of dont_track_primary, for a rule on it" },
	{ VIP "dont_track_primary\nvirtual_rules {\niif a0 table 2 priority 9 no_track\n}\n", "track_link", "false",
	  "" },
	{ VIP "virtual_routes {\n10.1.0.0/16 dev b0\n}\n", "track[0].interface", "\"b0\"", NULL },
	{ VIP "track_interface {\nb0 weight 15 reverse\n}\nvirtual_ipaddress_excluded {\n10.0.0.7 dev b0\n}\n",
	  "track[0].weight", "0", "the weight of b0 is ignored, because a virtual address is on it" },
	{ VIP "track_interface {\nb0 weight 15 reverse\n}\nvirtual_routes {\n10.1.0.0/16 dev b0\n}\n",
	  "track[0].reverse", "false", "because a route is on it" },
	{ VIP "track_interface {\nb0 weight 15\n}\nvirtual_ipaddress_excluded {\n10.0.0.7 dev b0 no_track\n}\n",
	  "track[0].weight", "15", NULL },
	/* scripts */
	{ VIP "notify /no/such/program\n", "notify[0].all", "absent",
	  "M: t.conf:5: notify: /no/such/program cannot be run" },
	{ VIP "notify no-such-program-here\n", "version", "\"v2\"",
	  "there is no program 'no-such-program-here' in PATH" },
	{ VIP "track_script {\nnone\n}\n", "version", "\"v2\"", "W: t.conf:6: track_script: none is not defined" },
	/* words */
	{ VIP "no_such_word 5\n", "version", "\"v2\"", "W: t.conf:5: unknown word 'no_such_word' in vrrp_instance" },
	{ VIP "debug 3\ndebug 4\n", "version", "\"v2\"", "N: t.conf:5: debug has no effect here" },
	{ "no_virtual_ipaddress\n", "family", "\"ipv4\"", NULL },
};

START_TEST(each_quirk)
{
	const struct quirk *q = &quirks[_i];
	struct mapped m = inst(q->lines);
	char path[128];

	snprintf(path, sizeof(path), "vrrp.instances[0].%s", q->path);
	const struct cfg_val *v = map_val(m.t, path);
	if (strcmp(q->value, "absent") == 0)
		ck_assert_msg(!v || (!v->n && !v->text), "%s: %s is there", q->lines, path);
	else
		expect(&m, path, q->value);
	if (q->said)
		says(&m, q->said);
	else
		ck_assert_msg(!m.errs.n && !m.errs.n_warnings, "%s\n%s", q->lines, map_said(&m.errs));
	map_done(&m);
}
END_TEST

/* Files that cannot serve: what is said, and that it is an error. */
static const struct {
	const char *text, *said;
} refusals[] = {
	{ "vrrp_instance V {\ninterface a0\n}\n", "E: t.conf:1: (V) virtual_router_id is missing" },
	{ "vrrp_instance V {\nvirtual_router_id 3\n}\n", "E: t.conf:1: (V) the interface is missing" },
	{ "vrrp_instance V {\ninterface a0\nvirtual_router_id 256\n}\n",
	  "E: t.conf:1: (V) virtual_router_id is missing" },
	{ "vrrp_instance V {\nvirtual_router_id 3\nunicast_src_ip 192.0.2.77\nunicast_peer {\n192.0.2.78\n}\n}\n",
	  "E: t.conf:1: (V) the interface is missing, and none of this machine" },
	{ "global_defs {\n}\n", "E: t.conf:1: there is no vrrp_instance in the file" },
	{ "bfd_instance B {\nneighbor_ip 10.0.0.1\n}\n", "E: t.conf:1: bfd_instance: BFD is not supported" },
	{ "vrrp_instance V\"1 {\n}\n", "E: t.conf" },
	{ "conntrack_sync {\nstoer warm\n}\n", "E: t.conf:2: unknown word 'stoer'; did you mean store?" },
	{ "conntrack_sync {\nstore cold\n}\n", "E: t.conf:2: store 'cold': it must be" },
	{ "ipsec_failover {\ntunnel T {\n}\n}\nvrrp_instance V {\ninterface a0\nvirtual_router_id 1\n}\n",
	  "E: t.conf:2: ipsec.tunnels[T].vip: is missing" },
	{ "conntrack_sync {\nnode 1 a 109.0.1\n}\n", "E: t.conf:2: node: '109.0.1' must be an address" },
	{ "conntrack_sync {\nnode 1 a\n}\n", "E: t.conf:2: node: it must be node ID NAME ADDRESS" },
	{ "", "E: " },
};

START_TEST(each_refusal)
{
	struct mapped m = { NULL, { 0 } };
	const struct kconf_opts o = { .blocks = kword_blocks() };

	m.t = kconf_tree_text(refusals[_i].text, "t.conf", &o, &m.errs);
	ck_assert_uint_gt(m.errs.n, 0);
	says(&m, refusals[_i].said);
	map_done(&m);
}
END_TEST

START_TEST(groups)
{
	struct mapped m = map_text("vrrp_instance A {\ninterface a0\nvirtual_router_id 1\n}\n"
				   "vrrp_instance B {\ninterface a0\nvirtual_router_id 2\n}\n"
				   "vrrp_instance A {\ninterface a0\nvirtual_router_id 3\n}\n"
				   "vrrp_sync_group G1 {\ngroup {\nA\nB\nC\n}\n}\n"
				   "vrrp_sync_group G2 {\ngroup {\nB\n}\n}\n"
				   "vrrp_sync_group G1 {\ngroup {\nB\n}\n}\n"
				   "vrrp_sync_group {\n}\n");

	expect(&m, "vrrp.groups[0].members", "( \"A\", \"B\" )");
	expect(&m, "vrrp.groups[0].member_weights", "false");
	expect(&m, "vrrp.instances[0].vrid", "1");
	ck_assert_uint_eq(map_val(m.t, "vrrp.instances")->n, 2);
	ck_assert_uint_eq(map_val(m.t, "vrrp.groups")->n, 1);
	says(&m, "W: t.conf:9: vrrp_instance A is defined already");
	says(&m, "W: t.conf:17: vrrp_sync_group G1: there is no vrrp_instance C");
	says(&m, "W: t.conf:20: vrrp_sync_group G2 has no members");
	says(&m, "W: t.conf:25: vrrp_sync_group G1 is defined already");
	says(&m, "W: t.conf:30: vrrp_sync_group must have a name");
	map_done(&m);
}
END_TEST

/* Defaults of global_defs reach the instances that say nothing themselves, wherever the block stands. */
START_TEST(defaults)
{
	struct mapped m = map_text("vrrp_instance A {\ninterface a0\nvirtual_router_id 1\ngarp_master_delay 3\n}\n"
				   "vrrp_instance B {\ninterface a0\nvirtual_router_id 2\n" VIP6 "}\n"
				   "global_defs {\nvrrp_garp_master_delay 9\nvrrp_version 3\nvrrp_strict off\n"
				   "vrrp_mcast_group6 ff02::77\ndefault_interface c0\nvmac_prefix vv\n"
				   "vrrp_check_unicast_src\nvrrp_skip_check_adv_addr\nvrrp_garp_extra_if "
				   "30\nvrrp_rt_priority 4\nvrrp_rt_priority 5\n}\n"
				   "static_ipaddress {\n10.0.0.9/24\n}\n"
				   "vrrp_instance C {\ninterface a0\nvirtual_router_id 3\nuse_vmac\nstrict_mode no\n"
				   "unicast_peer {\n10.0.0.2\n}\n}\n");

	expect(&m, "vrrp.instances[0].garp_delay", "3");
	expect(&m, "vrrp.instances[1].garp_delay", "9");
	expect(&m, "vrrp.instances[0].version", "\"v3\"");
	expect(&m, "vrrp.instances[0].accept", "false");
	expect(&m, "vrrp.instances[2].accept", "true");
	expect(&m, "vrrp.instances[1].multicast_group", "\"ff02::77\"");
	expect(&m, "vrrp.instances[2].unicast_any_source", "false");
	expect(&m, "vrrp.instances[0].address_lists_once", "true");
	expect(&m, "vrrp.instances[2].virtual_mac[0].interface", "\"vv.3\"");
	expect(&m, "vrrp.instances[2].garp_extra_interval", "30");
	expect(&m, "vrrp.static.addresses[0].interface", "\"c0\"");
	ck_assert_uint_eq(m.errs.n, 0);
	ck_assert_uint_eq(m.errs.n_notes, 2); /* vrrp_rt_priority once, not twice */
	says(&m, "N: t.conf:23: vrrp_rt_priority has no effect here");
	says(&m, "N: t.conf:16: vrrp_strict takes no value: it is on");
	map_done(&m);
}
END_TEST

/* The same VRID on several interfaces, or for both families: each virtual MAC has a name of its own, as keepalived's. */
START_TEST(names_of_virtual_macs)
{
	char text[2000];
	static const struct {
		const char *vips, *word, *name;
	} t[] = {
		{ VIP, "use_vmac", NULL },
		{ VIP6, "use_vmac", "\"vrrp6.7\"" },
		{ VIP, "use_vmac", "\"vrrp1.7\"" },
		{ VIP6, "use_vmac", "\"vrrp2.7\"" },
		{ VIP, "use_vmac mine", "\"mine\"" },
		{ VIP, "use_vmac vrrp.8", "\"vrrp.8\"" },
		{ VIP6, "virtual_router_id 8\nuse_vmac", "\"vrrp6.8\"" },
		{ VIP6, "virtual_router_id 9\nuse_vmac", "\"vrrp.9\"" },
		{ VIP, "use_vmac", "\"vrrp3.7\"" },
	};
	size_t n = 0;

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "vrrp_instance I%u {\ninterface a%u\n%s%s\n%s}\n", i,
				      i, strstr(t[i].word, "router_id") ? "" : "virtual_router_id 7\n", t[i].word,
				      t[i].vips);
	struct mapped m = map_text(text);
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		char path[80];
		snprintf(path, sizeof(path), "vrrp.instances[%u].virtual_mac[0].interface", i);
		if (t[i].name)
			expect(&m, path, t[i].name);
		else
			ck_assert_ptr_null(map_val(m.t, path)->text);
	}
	ck_assert_uint_eq(m.errs.n, 0);
	map_done(&m);
}
END_TEST

#define OBJECTS(routes)                                                        \
	"virtual_ipaddress {\n10.0.0.5/24\n}\nvirtual_routes {\n" routes "}\n" \
	"virtual_rules {\nfrom 10.8.0.0/24 table 77 priority 1000\n}\n}\n"
#define ROUTE "10.9.0.0/24 via 10.0.0.9\n"

/* keepalived takes what stands in several virtual routers; so do we, and say where. Our own file is strict. */
START_TEST(shared)
{
	struct mapped m = map_text("vrrp_instance A {\ninterface a0\nvirtual_router_id 1\n" OBJECTS(
	    ROUTE) "vrrp_instance B {\ninterface b0\nvirtual_router_id 1\n" OBJECTS(ROUTE));

	cfg_check(m.t, &m.errs);
	ck_assert_msg(!m.errs.n && !m.errs.n_warnings, "%s", map_said(&m.errs));
	says(&m, "N: t.conf:18: vrrp.instances[B].virtual_addresses[0].address = \"10.0.0.5/24\": is a virtual address "
		 "of A (t.conf:5) too: it is there as long as one of them is MASTER");
	says(&m, "N: t.conf:21: vrrp.instances[B].routes[0].route = \"10.9.0.0/24 via 10.0.0.9\": has the place of the "
		 "one at t.conf:8");
	says(&m, "N: t.conf:24: vrrp.instances[B].rules[0].rule");
	m.t->shared = false;
	ck_assert_uint_eq(cfg_check(m.t, &m.errs), 3);
	says(&m, "E: t.conf:18: vrrp.instances[B].virtual_addresses[0].address = \"10.0.0.5/24\": is a virtual address "
		 "of A (line 5) already");
	map_done(&m);
	/* Within one virtual router the second one says nothing new; a VRID twice is more than keepalived takes too. */
	m = map_text("vrrp_instance A {\ninterface a0\nvirtual_router_id 1\n" OBJECTS(
	    ROUTE ROUTE) "vrrp_instance B {\ninterface a0\nvirtual_router_id 1\n}\n");
	ck_assert_uint_eq(cfg_check(m.t, &m.errs), 1);
	says(&m, "N: t.conf:9: vrrp.instances[A].routes[1].route = \"10.9.0.0/24 via 10.0.0.9\": stands at t.conf:8 as "
		 "well; once is enough");
	says(&m, "E: t.conf:17: vrrp.instances[B].vrid = 1: the VRID is used on a0 by A (line 1) already");
	map_done(&m);
}
END_TEST

/* LVS: VRRP is served, and the one line says that LVS is not. */
START_TEST(lvs)
{
	struct mapped m = map_text("vrrp_instance A {\ninterface a0\nvirtual_router_id 1\n" VIP "}\n"
				   "virtual_server 10.0.0.5 80 {\nreal_server 10.1.0.1 80 {\nweight 1\n}\n}\n"
				   "virtual_server 10.0.0.5 81 {\n}\n");

	ck_assert_uint_eq(m.errs.n, 0);
	ck_assert_uint_eq(m.errs.n_warnings, 0);
	ck_assert_uint_eq(m.errs.n_notes, 1);
	ck_assert_str_eq(m.errs.not_served,
			 "t.conf:8: virtual_server: LVS is not served by this daemon, only VRRP is; run the real "
			 "keepalived with -C (checkers only) on this file beside it");
	map_done(&m);
}
END_TEST

/* Files without a virtual router with which keepalived rests: so do we. */
START_TEST(nothing_to_elect)
{
	static const char *const files[] = {
		"virtual_server 10.0.0.5 80 {\nreal_server 10.1.0.1 80 {\nweight 1\n}\n}\n",
		"static_ipaddress {\n10.0.0.9/24 dev c0\n}\n",
		"static_routes {\n10.9.0.0/24 via 10.0.0.9 dev c0\n}\n",
	};
	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct mapped m = map_text(files[i]);
		ck_assert_msg(!m.errs.n && !m.errs.n_warnings, "%s", map_said(&m.errs));
		ck_assert_uint_eq(cfg_check(m.t, &m.errs), 0);
		ck_assert_int_eq(m.errs.not_served[0] != '\0', i == 0);
		struct cfg *c = cfg_build(m.t);
		ck_assert_uint_eq(c->n_instances + c->n_groups, 0);
		ck_assert_uint_eq(c->n_static_addrs + c->n_routes, i > 0);
		cfg_free(c);
		cfg_errors_free(&m.errs);
	}
}
END_TEST

/* With a cluster, what differs between the nodes is the node's own; the rest can be compared. */
START_TEST(cluster)
{
	struct mapped m = map_text(
	    "conntrack_sync {\ncluster edge\nself 2\nnode 1 fw-a 10.9.0.1 10.9.1.1\nnode 2 fw-b 10.9.0.2 10.9.1.2\n"
	    "key_file /etc/keeptrackd/key\nport 5000\nstate_dir /var/lib/x\nprotocols tcp udp\nlease 500\n"
	    "ignore 10.0.0.0/8\nignore {\nport 53\nprotocols udp\n}\n}\n"
	    "ipsec_failover {\nvici /run/v\ntunnel T1 {\nvip 10.0.0.5\npeer 10.7.0.1\nike c\nchild d\n"
	    "dpd {\ninterval 2\nmode periodic\n}\n}\n}\n"
	    "vrrp_instance A {\ninterface a0\nvirtual_router_id 1\npriority 150\nunicast_src_ip 10.0.0.1\n"
	    "unicast_peer {\n10.0.0.2\n}\n" VIP "}\n");

	ck_assert_msg(!m.errs.n && !m.errs.n_warnings, "%s", map_said(&m.errs));
	expect(&m, "cluster", "\"edge\"");
	expect(&m, "node.id", "2");
	expect(&m, "node.state_dir", "\"/var/lib/x\"");
	expect(&m, "nodes[1].addresses", "( \"10.9.0.2\", \"10.9.1.2\" )");
	expect(&m, "channel[0].key_file", "\"/etc/keeptrackd/key\"");
	expect(&m, "channel[0].port", "5000");
	expect(&m, "sync.protocols", "( \"tcp\", \"udp\" )");
	expect(&m, "sync.lease", "500");
	expect(&m, "sync.ignore[0].address", "\"10.0.0.0/8\"");
	expect(&m, "sync.ignore[1].port", "53");
	expect(&m, "ipsec.tunnels[0].name", "\"T1\"");
	expect(&m, "ipsec.tunnels[0].dpd[0].mode", "\"periodic\"");
	expect(&m, "vrrp.instances[0].priority", "100");
	expect(&m, "node.instances[0].priority", "150");
	expect(&m, "node.instances[0].source", "\"10.0.0.1\"");
	cfg_check(m.t, &m.errs);
	ck_assert_msg(!m.errs.n, "%s", map_said(&m.errs));
	map_done(&m);
}
END_TEST

/* The native text of a mapped file reads as the same model. */
START_TEST(native_again)
{
	struct mapped m = map_text("global_defs {\nnotify_fifo /tmp/f\nvrrp_version 3\n}\n"
				   "vrrp_script S {\nscript /bin/true\nweight -5\n}\n"
				   "vrrp_instance A {\ninterface a0\nvirtual_router_id 1\nadvert_int 0.1\n" VIP
				   "track_script {\nS\n}\nnotify \"/bin/true 'a b'\"\n"
				   "virtual_routes {\ndefault via 10.0.0.9\n}\n}\n"
				   "vrrp_sync_group G {\ngroup {\nA\n}\n}\n");
	struct cfg_errors errs = { 0 };
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	cfg_tree_print_given(m.t, f);
	fclose(f);
	ck_assert_uint_eq(cfg_check(m.t, &m.errs), 0);
	struct cfg *a = cfg_build(m.t), *b = cfg_parse(text, "native", &errs);
	ck_assert_msg(b != NULL, "%s\n%s", text, errs.n ? errs.list[0].text : "");
	ck_assert_uint_eq(cfg_diff(a, b, &(struct cfg_change){ .old_index = 0 }, 1), 0);
	cfg_free(a);
	cfg_free(b);
	cfg_errors_free(&errs);
	cfg_errors_free(&m.errs);
	free(text);
}
END_TEST

/* With unicast the interface is the one that has the source. */
START_TEST(interface_by_source)
{
	struct mapped m = map_text("vrrp_instance V {\nvirtual_router_id 3\nunicast_src_ip 127.0.0.1\nunicast_peer {\n"
				   "127.0.0.2\n}\n}\n");

	ck_assert_msg(!m.errs.n, "%s", map_said(&m.errs));
	expect(&m, "vrrp.instances[0].interface", "\"lo\"");
	map_done(&m);
}
END_TEST

START_TEST(formats)
{
	ck_assert(kconf_looks_like("! comment\nglobal_defs {\n}\n"));
	ck_assert(kconf_looks_like("# c\n\nvrrp_instance A {\n"));
	ck_assert(kconf_looks_like("@one net_namespace x\n"));
	ck_assert(kconf_looks_like("$A=5\n"));
	ck_assert(kconf_looks_like("include /etc/x/*.conf\n"));
	ck_assert(!kconf_looks_like("# c\n// d\n/* e */ vrrp = { };"));
	ck_assert(!kconf_looks_like("vrrp : { };"));
	ck_assert(!kconf_looks_like("@include \"x\"\n"));
	ck_assert(!kconf_looks_like(""));
	ck_assert(!kconf_looks_like("/* open"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("kconf_quirk");
	TCase *tc = tcase_create("all");

	tcase_add_loop_test(tc, each_quirk, 0, (int)(sizeof(quirks) / sizeof(quirks[0])));
	tcase_add_loop_test(tc, each_refusal, 0, (int)(sizeof(refusals) / sizeof(refusals[0])));
	tcase_add_test(tc, groups);
	tcase_add_test(tc, defaults);
	tcase_add_test(tc, names_of_virtual_macs);
	tcase_add_test(tc, shared);
	tcase_add_test(tc, lvs);
	tcase_add_test(tc, nothing_to_elect);
	tcase_add_test(tc, cluster);
	tcase_add_test(tc, native_again);
	tcase_add_test(tc, interface_by_source);
	tcase_add_test(tc, formats);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
