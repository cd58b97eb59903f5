/* What a reload has to touch. */
#include "tests/unit/cfg_util.h"

#define REST                                                                                                        \
	"ipsec = { tunnels = ( { name = \"t\"; vip = \"192.0.2.1\"; peer = \"198.51.100.1\"; ike = \"i\"; child = " \
	"\"c\"; dpd = { }; } ); };\nhooks = ( { on = ( \"role\" ); exec = ( \"/x\", \"y\" ); timeout = 3; } );\n"
#define BASE PAIR "vrrp = { instances = ( " LAN ",\n" WAN " );\n#g\n};\n" REST "#end\n"

START_TEST(each_change_is_named)
{
	static const struct {
		const char *from, *to;
		int kind; /* -1: none */
	} t[] = {
		{ "#end", "\n\n# comments and lines count for nothing\n", -1 },
		{ "vrid = 10", "priority = 100; vrid = 10", -1 },
		{ "vrid = 10", "priority = 101; vrid = 10", CFG_INSTANCE_CHANGED },
		{ "vrid = 10", "advert_interval = 0.1; vrid = 10", CFG_INSTANCE_CHANGED },
		{ "vrid = 10", "preempt = false; vrid = 10", -2 }, /* the lone group's gate moves with it */
		{ "vrid = 10", "checksum = \"rfc9568\"; vrid = 10", CFG_INSTANCE_CHANGED },
		{ "vrid = 10", "garp_repeat = 1; vrid = 10", CFG_INSTANCE_CHANGED },
		{ "vrid = 10", "garp_delay = 1; vrid = 10", CFG_INSTANCE_CHANGED },
		{ "10.0.1.1/24", "10.0.1.1/25", -2 }, /* the VIP list is part of replication too: see below */
		{ "vrid = 10", "vrid = 11", CFG_INSTANCE_REPLACED },
		{ "lan0", "lan1", CFG_INSTANCE_REPLACED },
		{ "node = { id = 1; };",
		  "node = { id = 1; priority = 9; instances = ( { name = \"wan\"; priority = 100; } ); };",
		  CFG_INSTANCE_CHANGED },
		{ "#g", "groups = ( { name = \"g\"; members = ( \"lan\", \"wan\" ); } );", -2 },
		{ "#g", "groups = ( { name = \"lan\"; members = ( \"lan\" ); } );", -1 },
		{ "#g", "groups = ( { name = \"lan\"; members = ( \"lan\" ); fault = \"degrade\"; } );",
		  CFG_GROUPS_CHANGED },
		{ "vrid = 10", "vrid = 10; routes = ( \"default dev e\" )", CFG_OBJECTS_CHANGED },
		{ "vrid = 10", "vrid = 10; rules = ( \"lookup 5 pref 5\" )", CFG_OBJECTS_CHANGED },
		{ "#g", "static = { addresses = ( { address = \"10.3.3.3/24\"; interface = \"e\"; } ); };",
		  CFG_OBJECTS_CHANGED },
		{ "#g", "promote_secondaries = false;", CFG_OBJECTS_CHANGED },
		{ "#g", "promote_secondaries = true;", -1 },
		{ "cluster = \"edge\"", "cluster = \"x\"", CFG_CHANNEL_CHANGED },
		{ "10.9.0.2", "10.9.0.3", CFG_CHANNEL_CHANGED },
		{ "cluster.key", "other.key", CFG_CHANNEL_CHANGED },
		{ "#end", "sync = { quick = true; };", CFG_SYNC_CHANGED },
		{ "#end", "sync = { lease = 301; };", CFG_SYNC_CHANGED },
		{ "#end", "sync = { lease = 400.0; };", -1 },
		{ "#end", "sync = { min_age = 0; tcp_states = ( ); };", -1 },
		{ "#end", "sync = { accounting = true; };", CFG_SYNC_CHANGED },
		{ "#end", "sync = { min_age = 1; };", CFG_SYNC_CHANGED },
		{ "#end", "sync = { min_ages = ( { protocols = ( \"gre\" ); min_age = 1; } ); };", CFG_SYNC_CHANGED },
		{ "#end", "sync = { tcp_states = ( \"close\" ); };", CFG_SYNC_CHANGED },
		{ "#end", "sync = { strict_window_after = 9; };", CFG_SYNC_CHANGED },
		{ "#end", "sync = { ignore = ( { interface = \"x\"; } ); };", CFG_SYNC_CHANGED },
		{ "198.51.100.1", "198.51.100.2", CFG_TUNNELS_CHANGED },
		{ "dpd = { };", "", CFG_TUNNELS_CHANGED },
		{ "dpd = { };", "dpd = { retries = 3; };", -1 },
		{ "dpd = { };", "dpd = { retries = 4; };", CFG_TUNNELS_CHANGED },
		{ "\"y\"", "\"z\"", CFG_HOOKS_CHANGED },
		{ ", \"y\"", "", CFG_HOOKS_CHANGED },
		{ "timeout = 3", "timeout = 4", CFG_HOOKS_CHANGED },
		{ "node = { id = 1; };", "node = { id = 1; run_dir = \"/r\"; };", CFG_PROCESS_CHANGED },
		{ "node = { id = 1; };", "node = { id = 1; realtime = false; };", CFG_PROCESS_CHANGED },
		{ "node = { id = 1; };", "node = { id = 2; };", CFG_PROCESS_CHANGED },
		{ "node = { id = 1; };", "node = { id = 1; log = { level = \"debug\"; }; };", CFG_LOG_CHANGED },
		{ "#end", "control = { view_group = \"\"; };", CFG_CONTROL_CHANGED },
		{ "#end", "control = { admin_group = \"\"; };", CFG_CONTROL_CHANGED },
		{ "#end", "control = { socket = \"/s\"; };", CFG_PROCESS_CHANGED },
		{ "node = { id = 1; };", "node = { id = 1; state_dir = \"/r\"; };", CFG_PROCESS_CHANGED },
		{ "node = { id = 1; };", "node = { id = 1; log = { syslog = false; }; };", CFG_LOG_CHANGED },
		{ "node = { id = 1; };", "node = { id = 1; log = { stderr = true; }; };", CFG_LOG_CHANGED },
		{ "\"10.0.1.1/24\"", "{ address = \"10.0.1.1/24\"; interface = \"x\"; }", CFG_INSTANCE_CHANGED },
		{ "#g", "groups = ( { name = \"lan\"; members = ( \"lan\" ); preempt = false; } );",
		  CFG_GROUPS_CHANGED },
		{ "channel = { ", "channel = { port = 1; ", CFG_CHANNEL_CHANGED },
		{ "channel = { ", "channel = { insecure = true; ", CFG_CHANNEL_CHANGED },
		{ "id = 2; name", "id = 3; name", CFG_CHANNEL_CHANGED },
		{ "fw-b", "fw-c", CFG_CHANNEL_CHANGED },
		{ " );\nchannel", ", { id = 3; name = \"c\"; addresses = ( \"10.9.0.3\" ); } );\nchannel",
		  CFG_CHANNEL_CHANGED },
		{ "#end", "sync = { replicate = false; };", CFG_SYNC_CHANGED },
		{ "#end", "sync = { store = \"warm\"; };", CFG_SYNC_CHANGED },
		{ "#end", "sync = { protocols = ( \"udp\", \"icmp\" ); };", CFG_SYNC_CHANGED },
		{ "#end", "sync = { protocols = ( \"tcp\", \"icmp\" ); };", CFG_SYNC_CHANGED },
		{ "#end", "sync = { protocols = ( \"tcp\", \"udp\" ); };", CFG_SYNC_CHANGED },
		{ "#end", "sync = { sessions_max = 1000; };", CFG_SYNC_CHANGED },
		{ "#end", "sync = { receive_buffer = 65536; };", CFG_SYNC_CHANGED },
		{ "#end", "sync = { bulk_rate = 1000; };", CFG_SYNC_CHANGED },
		{ "#end", "sync = { high_water = 84; };", CFG_SYNC_CHANGED },
		{ "#end", "sync = { high_water = 85; };", -1 },
		{ "#end", "sync = { peer_sessions_max = 1000; };", CFG_SYNC_CHANGED },
		{ "#end", "sync = { peer_rate = 1000; };", CFG_SYNC_CHANGED },
		{ "#end", "sync = { store = \"warm\"; };", CFG_SYNC_CHANGED },
		{ "ipsec = { ", "ipsec = { vici = \"/v\"; ", CFG_TUNNELS_CHANGED },
		{ "name = \"t\"", "name = \"u\"", CFG_TUNNELS_CHANGED },
		{ "vip = \"192.0.2.1\"", "vip = \"10.0.1.1\"", CFG_TUNNELS_CHANGED },
		{ "ike = \"i\"", "ike = \"j\"", CFG_TUNNELS_CHANGED },
		{ "child = \"c\"", "child = \"d\"", CFG_TUNNELS_CHANGED },
		{ "child = \"c\"", "child = \"c\"; backend = \"exec\"; exec = ( \"/x\" )", CFG_TUNNELS_CHANGED },
		{ "ipsec = { ", "ipsec = { whack = \"/w\"; ", CFG_TUNNELS_CHANGED },
		{ "ipsec = { ", "ipsec = { pluto = \"/p\"; ", CFG_TUNNELS_CHANGED },
		{ "ipsec = { ", "ipsec = { pluto = \"/run/pluto/pluto.ctl\"; ", -1 },
		{ "child = \"c\"", "child = \"c\"; priority = 3", CFG_TUNNELS_CHANGED },
		{ "child = \"c\"", "child = \"c\"; initiate = \"never\"", CFG_TUNNELS_CHANGED },
		{ "child = \"c\"", "child = \"c\"; initiate = \"auto\"", -1 },
		{ "child = \"c\"", "child = \"c\"; on_demote = \"delete\"", CFG_TUNNELS_CHANGED },
		{ "child = \"c\"", "child = \"c\"; watch_spi = false", CFG_TUNNELS_CHANGED },
		{ "child = \"c\"", "child = \"c\"; warm = true; warm_ike = \"w\"", CFG_TUNNELS_CHANGED },
		{ "child = \"c\"", "child = \"c\"; reqid = 7", CFG_TUNNELS_CHANGED },
		{ "child = \"c\"", "child = \"c\"; mark = 0", CFG_TUNNELS_CHANGED },
		{ "child = \"c\"", "child = \"c\"; if_id = 7", CFG_TUNNELS_CHANGED },
		{ "dpd = { };", "dpd = { mode = \"periodic\"; };", CFG_TUNNELS_CHANGED },
		{ "dpd = { };", "dpd = { mode = \"on-demand\"; };", -1 },
		{ "dpd = { };", "dpd = { interval = 4; };", CFG_TUNNELS_CHANGED },
		{ "dpd = { };", "dpd = { retry = 2; };", CFG_TUNNELS_CHANGED },
		{ "dpd = { };", "dpd = { action = \"notify\"; };", CFG_TUNNELS_CHANGED },
		{ "on = ( \"role\" )", "on = ( \"dpd-dead\" )", CFG_HOOKS_CHANGED },
		{ "hooks = (", "hooks = ( { on = ( \"role\" ); exec = ( \"/z\" ); },", CFG_HOOKS_CHANGED },
	};
	struct cfg *a = good(BASE);

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct cfg *b = good(with(BASE, t[i].from, t[i].to));
		struct cfg_change ch[8];
		unsigned n = cfg_diff(a, b, ch, 8);
		if (t[i].kind == -2)
			ck_assert_msg(n >= 1, "row %u", i);
		else
			ck_assert_msg(n == (t[i].kind >= 0), "row %u: %u changes", i, n);
		if (t[i].kind >= 0)
			ck_assert_msg((int)ch[0].kind == t[i].kind, "row %u: kind %d", i, ch[0].kind);
		cfg_free(b);
	}
	cfg_free(a);
}
END_TEST

/* A router that is alone has a number that nobody knows: it may become part of a cluster, and be alone again. */
START_TEST(a_cluster_comes_and_goes)
{
	struct cfg *lone = good(VRRP), *pair = good(PAIR VRRP),
		   *other = good(with(PAIR VRRP, "node = { id = 1; }", "node = { id = 2; }"));
	struct cfg_change ch[8];
	unsigned n = cfg_diff(lone, other, ch, 8);

	ck_assert_uint_ge(n, 1);
	for (unsigned i = 0; i < n; i++)
		ck_assert_int_ne(ch[i].kind, CFG_PROCESS_CHANGED);
	n = cfg_diff(other, lone, ch, 8);
	for (unsigned i = 0; i < n; i++)
		ck_assert_int_ne(ch[i].kind, CFG_PROCESS_CHANGED);
	ck_assert_uint_eq(cfg_diff(pair, other, ch, 8), 1);
	ck_assert_int_eq(ch[0].kind, CFG_PROCESS_CHANGED);
	cfg_free(lone);
	cfg_free(pair);
	cfg_free(other);
}
END_TEST

START_TEST(instances_by_name)
{
	/* lan goes, wan stays at another index, dmz comes */
	struct cfg *a = good("vrrp = { instances = ( " LAN ", " WAN " ); };");
	struct cfg *b = good("vrrp = { instances = ( " WAN ", { name = \"dmz\"; interface = \"d\"; vrid = 3; "
			     "virtual_addresses = ( \"10.3.0.1/24\" ); } ); };");
	struct cfg_change ch[8];

	ck_assert_uint_eq(cfg_diff(a, b, ch, 8), 3);
	ck_assert_int_eq(ch[0].kind, CFG_INSTANCE_REMOVED);
	ck_assert_uint_eq(ch[0].old_index, 0);
	ck_assert_int_eq(ch[1].kind, CFG_INSTANCE_ADDED);
	ck_assert_uint_eq(ch[1].new_index, 1);
	ck_assert_int_eq(ch[2].kind, CFG_GROUPS_CHANGED);
	/* a short array is not overrun, the count is still true */
	ck_assert_uint_eq(cfg_diff(a, b, ch, 1), 3);
	ck_assert_uint_eq(cfg_diff(a, b, NULL, 0), 3);
	cfg_free(a);
	cfg_free(b);
}
END_TEST

START_TEST(vips)
{
	struct cfg *a = good(BASE), *b = good(with(BASE, "10.0.1.1/24", "10.0.1.2/24"));
	struct cfg *c = good(with(BASE, "10.0.1.1/24", "10.0.1.1/25")), *d = good(VRRP);
	struct cfg_change ch[8];

	ck_assert_uint_eq(cfg_diff(a, b, ch, 8), 2); /* the address also counts as own in replication */
	ck_assert_int_eq(ch[0].kind, CFG_INSTANCE_CHANGED);
	ck_assert_int_eq(ch[1].kind, CFG_SYNC_CHANGED);
	ck_assert_uint_eq(cfg_diff(a, c, ch, 8), 1);
	ck_assert_int_eq(ch[0].kind, CFG_INSTANCE_CHANGED);
	ck_assert_uint_ge(cfg_diff(a, d, ch, 8), 3); /* a lone router: channel, replication, tunnels, hooks */
	cfg_free(a);
	cfg_free(b);
	cfg_free(c);
	cfg_free(d);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cfg_diff");
	TCase *t = tcase_create("all");

	tcase_add_test(t, each_change_is_named);
	tcase_add_test(t, a_cluster_comes_and_goes);
	tcase_add_test(t, instances_by_name);
	tcase_add_test(t, vips);
	suite_add_tcase(s, t);
	return unit_run(s);
}
