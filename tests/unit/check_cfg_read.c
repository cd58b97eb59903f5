/* The reader: types, ranges, unknown keys, broken files, includes. Every refusal names file, line, key and value. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/base/log.h"
#include "daemon/base/mono.h"
#include "sync/ct.h"
#include "tests/unit/cfg_util.h"

static char dir[64];

static void make_dir(void)
{
	strcpy(dir, "/tmp/check_cfg.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void remove_dir(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	ck_assert_int_eq(system(cmd), 0);
}

static char *put(const char *name, const char *text)
{
	static char path[128];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	return path;
}

/* Loading `path` fails with exactly one message that contains both words. */
static void load_fails(const char *path, const char *word1, const char *word2)
{
	struct cfg_errors errs = { 0 };

	ck_assert_ptr_null(cfg_load(path, &errs));
	ck_assert_uint_eq(errs.n, 1);
	ck_assert_msg(strstr(errs.list[0].text, word1) != NULL, "'%s' lacks '%s'", errs.list[0].text, word1);
	ck_assert_msg(strstr(errs.list[0].text, word2) != NULL, "'%s' lacks '%s'", errs.list[0].text, word2);
	cfg_errors_free(&errs);
}

START_TEST(defaults)
{
	struct cfg *c = good("vrrp = { instances = ( " LAN " ); };");
	const struct vrrp_conf *v = &c->instances[0];

	ck_assert_uint_eq(c->n_instances, 1);
	ck_assert_str_eq(v->name, "lan");
	ck_assert_str_eq(v->interface, "lan0");
	ck_assert_uint_eq(v->vrid, 10);
	ck_assert_uint_eq(v->af, ADDR_V4);
	ck_assert_uint_eq(v->priority, 100);
	ck_assert_int_eq(v->adv_ns, NS_PER_SEC);
	ck_assert(v->preempt && !v->checksum_rfc9568);
	ck_assert_uint_eq(v->garp_repeat, 5);
	ck_assert_int_eq(v->garp_delay_ns, 5 * NS_PER_SEC);
	ck_assert_uint_eq(v->n_vips, 1);
	ck_assert_uint_eq(v->vips[0].plen, 24);
	ck_assert_str_eq(v->vips[0].interface, "");
	ck_assert_uint_eq(c->n_groups, 1);
	ck_assert_str_eq(c->groups[0].name, "lan");
	ck_assert_uint_eq(c->node_id, 1);
	ck_assert(c->node_name[0] != '\0');
	ck_assert(!c->sync.enabled && c->sync.replicate && c->sync.protocols == SYNC_PROTO_ALL);
	ck_assert_int_eq(c->sync.lease_ns, 400 * NS_PER_SEC);
	ck_assert_uint_eq(c->sync.rcvbuf_bytes, 134217728);
	ck_assert_str_eq(c->run_dir, "/run/keeptrackd");
	ck_assert_str_eq(c->state_dir, "/var/lib/keeptrackd");
	ck_assert_str_eq(c->ctl_socket, "/run/keeptrackd/ctl.sock");
	ck_assert_str_eq(c->view_group, "keeptrackd-view");
	ck_assert_str_eq(c->vici_socket, "/run/charon.vici");
	ck_assert_int_eq(c->log_level, LOG_L_INFO);
	ck_assert(c->log_syslog && !c->log_stderr && c->realtime);
	cfg_free(c);
}
END_TEST

START_TEST(everything)
{
	struct cfg *c = good(
	    "node = { id = 2; priority = 50; run_dir = \"/run/x\"; realtime = false; log = { level = \"debug\"; stderr "
	    "= true; "
	    "syslog = false; }; instances = ( { name = \"wan\"; priority = 70; interface = \"eth9\"; } ); };\n"
	    "cluster = \"edge\"; nodes = ( { id = 1; name = \"a\"; addresses = ( \"10.9.0.1\", \"fd00::1\" ); },\n"
	    "{ id = 2; name = \"b\"; addresses = [ \"10.9.0.2\", \"fd00:0::2\" ]; } );\n"
	    "channel = { port = 5000; insecure = true; };\n"
	    "vrrp = { instances = ( " LAN ", " WAN ", { name = \"v6\"; interface = \"lan0\"; vrid = 10; family = "
	    "\"ipv6\"; advert_interval = 1.0; preempt = false;\n"
	    "garp_repeat = 1; garp_delay = 0; checksum = \"rfc9568\"; virtual_addresses = ( \"fe80::1/64\", { address "
	    "= "
	    "\"2001:db8::1/64\"; interface = \"lan1\"; } ); } );\n"
	    "groups = ( { name = \"edge\"; members = ( \"wan\", \"lan\" ); fault = \"degrade\"; preempt = false; } ); "
	    "};\n"
	    "sync = { store = \"warm\"; quick = true; protocols = ( \"udp\" ); lease = 300.5; replicate = false; };\n"
	    "ipsec = { vici = \"/run/c\"; tunnels = ( { name = \"t\"; vip = \"192.0.2.1\"; peer = \"198.51.100.1\"; "
	    "ike = "
	    "\"hq\"; child = \"net\"; priority = 3; initiate = \"never\"; dpd = { interval = 0.5; action = \"notify\"; "
	    "}; "
	    "}, { name = "
	    "\"n\"; vip = \"10.0.1.1\"; peer = \"10.0.1.2\"; backend = \"none\"; } ); };\n"
	    "hooks = ( { on = ( \"role\", \"down\" ); exec = ( \"/bin/x\", \"a b\", \"\\\"\" ); timeout = 2; } "
	    ");\n"
	    "control = { socket = \"/run/s\"; view_group = \"\"; admin_group = \"adm\"; };\n");

	ck_assert_str_eq(c->node_name, "b");
	ck_assert_uint_eq(c->instances[0].priority, 50);
	ck_assert_uint_eq(c->instances[1].priority, 70);
	ck_assert_str_eq(c->instances[1].interface, "eth9");
	ck_assert_uint_eq(c->instances[2].af, ADDR_V6);
	ck_assert_int_eq(c->instances[2].adv_ns, NS_PER_SEC);
	ck_assert_str_eq(c->instances[2].vips[1].interface, "lan1");
	ck_assert(c->instances[2].checksum_rfc9568 && !c->instances[2].preempt);
	ck_assert_uint_eq(c->n_groups, 2);
	ck_assert_uint_eq(c->groups[0].members[0], 1);
	ck_assert_uint_eq(c->groups[0].members[1], 0);
	ck_assert_int_eq(c->groups[0].fault, CFG_FAULT_DEGRADE);
	ck_assert_str_eq(c->groups[1].name, "v6");
	ck_assert(!c->groups[1].preempt);
	ck_assert_uint_eq(c->instances[2].group, 1);
	ck_assert_uint_eq(c->instances[1].group, 0);
	ck_assert(c->sync.enabled && c->sync.insecure && c->sync.port == 5000 && c->sync.self == 2);
	ck_assert_uint_eq(c->sync.n_nodes, 2);
	ck_assert_uint_eq(c->sync.nodes[1].n_addrs, 2);
	ck_assert_uint_eq(c->sync.n_vips, 4);
	ck_assert(c->sync.store == SYNC_STORE_WARM && c->sync.quick && c->sync.protocols == 1u << SYNC_PROTO_UDP);
	ck_assert_int_eq(c->sync.lease_ns, 300500 * NS_PER_MS);
	ck_assert(!c->sync.replicate);
	ck_assert_uint_eq(c->n_tunnels, 2);
	ck_assert(c->tunnels[0].dpd.enabled && c->tunnels[0].dpd.interval_ns == 500 * NS_PER_MS);
	ck_assert(c->tunnels[0].dpd.retries == 3 && c->tunnels[0].dpd.action == IKE_DPD_NOTIFY);
	ck_assert(!c->tunnels[0].initiate && c->tunnels[0].priority == 3 && c->tunnels[0].group == 0);
	ck_assert(!c->tunnels[1].dpd.enabled && c->tunnels[1].backend == IKE_BACKEND_NONE);
	ck_assert_uint_eq(c->hooks[0].on, 1u << HOOK_ROLE | 1u << HOOK_TUNNEL_DOWN);
	ck_assert_str_eq(c->hooks[0].argv[1], "a b");
	ck_assert_str_eq(c->hooks[0].argv[2], "\"");
	ck_assert_ptr_null(c->hooks[0].argv[3]);
	ck_assert_str_eq(c->ctl_socket, "/run/s");
	ck_assert_str_eq(c->view_group, "");
	ck_assert_str_eq(c->admin_group, "adm");
	cfg_free(c);
}
END_TEST

START_TEST(tunnels_that_are_found)
{
	struct cfg *c =
	    good(VRRP "ipsec = { tunnels = \"auto\"; auto = { priority = 7; initiate = \"never\"; on_demote = "
		      "\"delete\"; watch_spi = false; dpd = { mode = \"periodic\"; }; }; };\n");

	ck_assert(c->tunnels_auto && c->n_tunnels == 0);
	ck_assert(c->auto_conf.learnt && c->auto_conf.priority == 7 && !c->auto_conf.initiate);
	ck_assert(c->auto_conf.on_demote == IKE_DEMOTE_DELETE && !c->auto_conf.watch_spi);
	ck_assert(c->auto_conf.dpd.enabled && c->auto_conf.dpd.mode == IKE_DPD_PERIODIC);
	ck_assert_int_eq(c->auto_conf.dpd.interval_ns, 3 * NS_PER_SEC);
	ck_assert_int_eq(cfg_group_of_vip(c, &c->instances[0].vips[0].addr), c->instances[0].group);
	struct addr other = addr_v4(203, 0, 113, 1);
	ck_assert_int_eq(cfg_group_of_vip(c, &other), -1);
	cfg_free(c);
	c = good(VRRP "ipsec = { tunnels = \"auto\"; };\n");
	ck_assert(c->tunnels_auto && c->auto_conf.initiate && c->auto_conf.priority == 100 &&
		  !c->auto_conf.dpd.enabled);
	ck_assert(c->auto_conf.watch_spi && c->auto_conf.on_demote == IKE_DEMOTE_SILENT);
	cfg_free(c);
	c = good(VRRP "ipsec = { tunnels = ( ); };\n");
	ck_assert(!c->tunnels_auto);
	cfg_free(c);
}
END_TEST

START_TEST(warm_tunnel)
{
	struct cfg *c = good(
	    VRRP
	    "ipsec = { tunnels = ( { name = \"t\"; vip = \"192.0.2.1\"; peer = \"198.51.100.1\"; ike = \"i\"; child "
	    "= \"c\"; warm = true; warm_ike = \"w\"; dpd = { mode = \"off\"; interval = 5; }; } ); };\n");

	ck_assert(c->tunnels[0].warm && c->tunnels[0].initiate);
	ck_assert_str_eq(c->tunnels[0].warm_ike, "w");
	ck_assert_str_eq(c->tunnels[0].warm_child, "c");
	ck_assert(!c->tunnels[0].dpd.enabled && c->tunnels[0].dpd.mode == IKE_DPD_OFF);
	cfg_free(c);
}
END_TEST

START_TEST(policy)
{
	struct cfg *c =
	    good("vrrp = { instances = ( " LAN
		 " ); }; sync = { min_age = 2.5; min_ages = ( { protocols = ( \"udp\", \"icmp\" ); min_age = 7; }, "
		 "{ protocols = ( \"icmp\" ); min_age = 0; } ); tcp_states = ( \"established\", \"syn_sent\" );\n"
		 "strict_window_after = 30; expectations = ( ); ignore = ( { interface = \"lan0\"; port = 53; }, "
		 "\"10.0.0.0/8\" ); };");
	const struct sync_conf *s = &c->sync;

	ck_assert_uint_eq(s->min_age_s[SYNC_PROTO_TCP], 3); /* whole seconds, no less than asked for */
	ck_assert_uint_eq(s->min_age_s[SYNC_PROTO_UDP], 7);
	ck_assert_uint_eq(s->min_age_s[SYNC_PROTO_ICMP], 0);
	ck_assert_uint_eq(s->min_age_s[SYNC_PROTO_OTHER], 3);
	ck_assert_uint_eq(s->tcp_states, 1u << CT_TCP_ESTABLISHED | 1u << CT_TCP_SYN_SENT);
	ck_assert_uint_eq(s->strict_after_s, 30);
	ck_assert_uint_eq(s->n_ignore, 2);
	ck_assert_str_eq(s->ignore[0].ifname, "lan0");
	ck_assert_uint_eq(s->ignore[0].port_low, 53);
	ck_assert_str_eq(s->ignore[1].ifname, "");
	cfg_free(c);
	c = good("vrrp = { instances = ( " LAN " ); }; sync = { quick = true; tcp_states = ( \"syn_sent\" ); };");
	ck_assert(c->sync.quick && c->sync.tcp_states == 1u << CT_TCP_SYN_SENT);
	ck_assert_uint_eq(c->sync.min_age_s[SYNC_PROTO_TCP], 0);
	ck_assert_uint_eq(c->sync.strict_after_s, 0);
	cfg_free(c);
}
END_TEST

START_TEST(one_and_one_point_zero_are_the_same_time)
{
	const char *base = "vrrp = { instances = ( { name = \"l\"; interface = \"e\"; vrid = 1; advert_interval = 1; "
			   "virtual_addresses = ( \"10.0.0.1/8\" ); } ); };";
	struct cfg *a = good(base), *b = good(with(base, "interval = 1;", "interval = 1.0;"));
	struct cfg *d = good(with(base, "interval = 1;", "interval = 1L;"));
	char *x = printed(a), *y = printed(b);

	ck_assert_str_eq(x, y);
	ck_assert_uint_eq(a->digest[1], b->digest[1]);
	ck_assert_uint_eq(a->digest[1], d->digest[1]);
	free(x);
	free(y);
	cfg_free(a);
	cfg_free(b);
	cfg_free(d);
}
END_TEST

START_TEST(wrong_values)
{
	static const struct {
		const char *from, *to, *begin, *word;
	} t[] = {
		{ "vrid = 10", "vird = 10; vrid = 10", "test.conf:2: vrrp.instances[lan].vird = 10: unknown key",
		  "did you mean vrid?" },
		{ "vrid = 10", "color = \"red\"; vrid = 10",
		  "test.conf:2: vrrp.instances[lan].color = \"red\": unknown key",
		  "known here are name, interface, vrid" },
		{ "vrid = 10", "vrid = \"10\"", "test.conf:2: vrrp.instances[lan].vrid = \"10\": wrong type",
		  "1 to 255" },
		{ "vrid = 10", "vrid = 10.0", "test.conf:2: vrrp.instances[lan].vrid = 10.0: wrong type",
		  "whole number" },
		{ "vrid = 10", "vrid = 0", "test.conf:2: vrrp.instances[lan].vrid = 0: out of range", "1 to 255" },
		{ "vrid = 10", "vrid = 256", "test.conf:2: vrrp.instances[lan].vrid = 256: out of range", "1 to 255" },
		/* numbers that would be 10 when cut to 32 bits */
		{ "vrid = 10", "vrid = 4294967306", "test.conf:2: vrrp.instances[lan].vrid = 4294967306: out of",
		  "255" },
		{ "vrid = 10", "vrid = -4294967286", "test.conf:2: vrrp.instances[lan].vrid = -4294967286: out of",
		  "255" },
		{ "vrid = 10", "vrid = 0x10000000a", "test.conf:2: vrrp.instances[lan].vrid = 4294967306: out of",
		  "255" },
		{ "vrid = 10;", "", "test.conf:2: vrrp.instances[lan].vrid: is missing", "1 to 255" },
		{ "interface = \"lan0\";", "", "test.conf:2: vrrp.instances[lan].interface: is missing",
		  "interface name" },
		{ "\"lan0\"", "\"an-interface-0123\"",
		  "test.conf:2: vrrp.instances[lan].interface = \"an-interface-0123\"", "1 to 15 bytes" },
		{ "\"10.0.1.1/24\"", "\"10.0.1.1/40\"",
		  "test.conf:2: vrrp.instances[lan].virtual_addresses[0].address = \"10.0.1.1/40\"", "prefix length" },
		{ "( \"10.0.1.1/24\" )", "( 5 )", "test.conf:2: vrrp.instances[lan].virtual_addresses = 5",
		  "wrong type" },
		{ "( \"10.0.1.1/24\" )", "\"10.0.1.1/24\"", "test.conf:2: vrrp.instances[lan].virtual_addresses = \"10",
		  "list" },
		{ "( \"10.0.1.1/24\" )", "( { interface = \"x\"; } )",
		  "test.conf:2: vrrp.instances[lan].virtual_addresses[0].address: is missing", "address" },
		{ "name = \"lan\";", "name = \"my lan\";", "test.conf:2: vrrp.instances[0].name = \"my lan\"",
		  "without blanks" },
		{ "name = \"lan\";", "", "test.conf:2: vrrp.instances[0].name: is missing", "name" },
		{ "vrid = 10", "vrid = 10; preempt = 1", "test.conf:2: vrrp.instances[lan].preempt = 1: wrong",
		  "true or" },
		{ "vrid = 10", "vrid = 10; family = \"ipv5\"", "test.conf:2: vrrp.instances[lan].family = \"ipv5\"",
		  "did you mean \"ipv4\"" },
		{ "vrid = 10", "vrid = 10; advert_interval = 0.001",
		  "test.conf:2: vrrp.instances[lan].advert_interval = 0.001: out of range", "0.01 to 255" },
		{ "vrid = 10", "vrid = 10; advert_interval = 1e400",
		  "test.conf:2: vrrp.instances[lan].advert_interval = inf: out of range", "0.01 to 255" },
		{ "vrid = 10", "vrid = 10; advert_interval = \"1s\"",
		  "test.conf:2: vrrp.instances[lan].advert_interval = \"1s\": wrong type", "seconds" },
		{ LAN, "7", "test.conf:2: vrrp.instances = 7", "list of records" },
		{ "#end", "vrpp = { };", "test.conf:4: vrpp = { ... }: unknown key", "did you mean vrrp?" },
		{ "#end", "sync = { lease = 299; };", "test.conf:4: sync.lease = 299: out of range", "300 to 600" },
		{ "#end", "sync = { protocols = ( \"tcp\", \"stcp\" ); };", "test.conf:4: sync.protocols = \"stcp\"",
		  "icmp" },
		{ "#end", "sync = { protocols = ( \"tcp\", \"tcp\" ); };", "test.conf:4: sync.protocols = \"tcp\"",
		  "twice" },
		{ "#end", "sync = ( );", "test.conf:4: sync = ( ... ): wrong type", "block" },
		{ "#end", "sync = { ignore = ( \"10.0.0.1/33\" ); };", "test.conf:4: sync.ignore[0].address",
		  "prefix" },
		{ "#end", "sync = { ignore = ( { } ); };", "test.conf:4: sync.ignore[0]", "leave out every session" },
		{ "#end", "sync = { ignore = ( { zone = 1; last_port = 9; } ); };",
		  "test.conf:4: sync.ignore[0].last_port = 9", "needs port" },
		{ "#end", "sync = { ignore = ( { port = 10; last_port = 9; } ); };",
		  "test.conf:4: sync.ignore[0].last_port = 9", "lies before port" },
		{ "#end", "sync = { ignore = ( { interface = \"a/b\"; } ); };",
		  "test.conf:4: sync.ignore[0].interface = \"a/b\"", "interface" },
		{ "#end", "sync = { expectations = ( \"ftp\" ); };", "test.conf:4: sync.expectations",
		  "expect-sync comes in a later version and is refused until then" },
		{ "#end", "sync = { expectations = ( \"all\", \"sip\" ); };", "test.conf:4: sync.expectations",
		  "remove the key" },
		{ "#end", "sync = { failover_mechanism = \"cluster\"; };",
		  "test.conf:4: sync.failover_mechanism = \"cluster\"", "in vrrp.groups" },
		{ "#end", "sync = { min_age = 3601; };", "test.conf:4: sync.min_age = 3601", "0 to 3600" },
		{ "#end", "sync = { min_ages = ( { protocols = ( \"udp\" ); } ); };",
		  "test.conf:4: sync.min_ages[0].min_age: is missing", "seconds" },
		{ "#end", "sync = { min_ages = ( { min_age = 1; } ); };",
		  "test.conf:4: sync.min_ages[0].protocols: is missing", "udplite" },
		{ "#end", "sync = { quick = true; min_age = 5; };", "test.conf:4: sync.min_age = 5",
		  "set one of them" },
		{ "#end", "sync = { quick = true; min_ages = ( { protocols = ( \"udp\" ); min_age = 5; } ); };",
		  "test.conf:4: sync.min_ages[0].min_age = 5", "set one of them" },
		{ "#end", "sync = { quick = true; tcp_states = ( \"established\" ); };", "test.conf:4: sync.tcp_states",
		  "lacks syn_sent" },
		{ "#end", "sync = { tcp_states = ( \"listen\" ); };", "test.conf:4: sync.tcp_states = \"listen\"",
		  "close_wait" },
		{ "#end", "sync = { strict_window_after = -1; };", "test.conf:4: sync.strict_window_after = -1",
		  "0 to 86400" },
		{ "#end", "node = { log = { level = \"warn\"; }; };", "test.conf:4: node.log.level = \"warn\"",
		  "\"warning\"" },
		{ "#end", "node = { run_dir = \"run\"; };", "test.conf:4: node.run_dir = \"run\"", "absolute path" },
		{ "#end", "hooks = ( { on = ( \"role\" ); } );", "test.conf:4: hooks[0].exec: is missing",
		  "absolute path" },
		{ "#end", "hooks = ( { exec = ( \"/x\" ); on = ( ); } );", "test.conf:4: hooks[0].on: 0 entries",
		  "1 to 6" },
		{ "#end", "control = { admin_group = \"a-name-that-is-longer-than-31-bytes\"; };",
		  "test.conf:4: control.admin_group", "0 to 31 bytes" },
	};
	const char *base = "# comment\nvrrp = { instances = ( " LAN ",\n" WAN " ); };\n#end\n";

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		refused(with(base, t[i].from, t[i].to), t[i].begin, t[i].word);
}
END_TEST

START_TEST(syntax)
{
	refused("node = { id = 1 ", "test.conf:1: ", "too early");
	refused("node = {\n id = 1;\n\n", "test.conf:3: ", "too early");
	refused("node = { id = 1; };\nvrrp = \"abc\n", "test.conf:2: ", "too early");
	refused("node = { id == 1; };\nvrrp = { };\n\n", "test.conf:1: ", "syntax error");
	refused("node = { id = 1; id = 2; };\nvrrp = { };\n", "test.conf:1: ", "twice");
	refused("vrrp = { };\nnode = { id = 1; id = 2; };", "test.conf:2: ", "twice");
	refused("", "test.conf:1: the file is empty", "vrrp");
	refused("# only a comment\n", "test.conf:1: the file is empty", "vrrp");
	refused("node = { id = 1; };\n", "test.conf:1: vrrp.instances: is missing", "list of records");
	refused(VRRP "@include\n", "test.conf:2: @include", "file name in quotes");
}
END_TEST

/* Wherever a file is cut, it is refused, unless only white space or whole trailing sections are gone. */
START_TEST(truncated_at_every_byte)
{
	const char *text = PAIR VRRP;
	size_t len = strlen(text);
	char *cut = strdup(text);
	unsigned accepted = 0;

	for (size_t n = len; n-- > 0;) {
		struct cfg_errors errs = { 0 };
		cut[n] = '\0';
		struct cfg *c = cfg_parse(cut, "cut.conf", &errs);
		accepted += c != NULL;
		ck_assert_msg(c || errs.n > 0, "silent at %zu", n);
		ck_assert_msg(c || strncmp(errs.list[0].text, "cut.conf:", 9) == 0, "%s", errs.list[0].text);
		cfg_free(c);
		cfg_errors_free(&errs);
	}
	free(cut);
	ck_assert_uint_le(accepted, 2); /* without the last line feed, and without the last ';' */
}
END_TEST

START_TEST(files)
{
	struct cfg_errors errs = { 0 };

	make_dir();
	struct cfg *c = cfg_load(put("ok.conf", VRRP), &errs);
	ck_assert_ptr_nonnull(c);
	ck_assert_str_eq(c->file, put("ok.conf", VRRP));
	cfg_free(c);
	load_fails("/nonexistent/x.conf", "/nonexistent/x.conf", "No such file");
	load_fails(dir, dir, "not a regular file");
	load_fails("/dev/zero", "/dev/zero", "not a regular file");
	char pipe[300];
	snprintf(pipe, sizeof(pipe), "%s/pipe.conf", dir);
	ck_assert_int_eq(mkfifo(pipe, 0600), 0); /* nobody writes to it: who waited for it would not come back */
	load_fails(pipe, pipe, "not a regular file");
	load_fails(put("empty.conf", ""), "empty.conf:1", "empty");
	FILE *f = fopen(put("nul.conf", ""), "w");
	fwrite("node\0={}", 1, 8, f);
	fclose(f);
	char path[128];
	snprintf(path, sizeof(path), "%s/nul.conf", dir);
	load_fails(path, "nul.conf", "NUL byte");
	snprintf(path, sizeof(path), "%s/big.conf", dir);
	put("big.conf", "#");
	ck_assert_int_eq(truncate(path, 17 << 20), 0);
	load_fails(path, "big.conf", "16 MiB");
	remove_dir();
}
END_TEST

START_TEST(includes)
{
	struct cfg_errors errs = { 0 };
	char sub[160], main_text[400];

	make_dir();
	put("local.conf", "\nnode = { id = 3; };\n");
	struct cfg *c = cfg_load(put("main.conf", "@include \"local.conf\"\n" VRRP), &errs);
	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(c->node_id, 3);
	cfg_free(c);
	snprintf(main_text, sizeof(main_text), "\t@include \"%s/local.conf\" # by absolute path\n" VRRP, dir);
	c = cfg_load(put("main.conf", main_text), &errs);
	ck_assert_ptr_nonnull(c);
	cfg_free(c);

	put("local.conf", "\nnode = { id = \"x\"; };\n");
	snprintf(sub, sizeof(sub), "%s/local.conf:2: node.id = \"x\"", dir);
	load_fails(put("main.conf", "@include \"local.conf\"\n" VRRP), sub, "wrong type");
	/* lines after the include are counted in their own file */
	put("local.conf", "\n\n\n\nnode = { id = 3; };");
	load_fails(put("main.conf", "@include \"local.conf\"\n" VRRP "sync = { lease = 1; };\n"),
		   "main.conf:3: sync.lease", "out of range");
	put("local.conf", "\n\nnode = { id + 3; };");
	load_fails(put("main.conf", "@include \"local.conf\"\n" VRRP), "local.conf:3: syntax error", "missing");

	load_fails(put("main.conf", VRRP "@include \"gone.conf\"\n"), "main.conf:2: @include \"gone.conf\"", "No such");
	load_fails(put("main.conf", VRRP "@include \".\"\n"), "main.conf:2: @include", "not a regular file");
	load_fails(put("main.conf", VRRP "@include \"main.conf\"\n"), "main.conf:2: @include", "include itself");
	/* none of these is an include */
	c = cfg_load(put("main.conf",
			 "/*\n@include \"gone.conf\"\n*/ # @include \"a\"\n//\n" VRRP
			 "hooks = ( { on = ( \"role\" ); exec = ( \"/x\", \"\n@include \\\"y\\\"\n\" ); } );"),
		     &errs);
	ck_assert_ptr_nonnull(c);
	ck_assert_str_eq(c->hooks[0].argv[1], "\n@include \"y\"\n");
	cfg_free(c);
	remove_dir();
}
END_TEST

START_TEST(all_errors_in_one_run)
{
	struct cfg_errors errs = { 0 };
	static const char *const lines[] = { ":1: node.id", ":2: vrrp.instances[lan].vrid", ":3: vrrp.instances[wan]",
					     ":4: sync.lease", ":5: nonsense" };

	ck_assert_ptr_null(
	    cfg_parse("node = { id = true; };\n"
		      "vrrp = { instances = ( { name = \"lan\"; vrid = 999; interface = \"lan0\"; "
		      "virtual_addresses = ( \"10.0.1.1/24\" ); },\n"
		      "{ name = \"wan\"; vrid = 9; interface = \"lan0\"; virtual_addresses = ( \"10.0.1.1/24\" ); } ); "
		      "};\n"
		      "sync = { lease = 0; };\n"
		      "nonsense = 1;\n",
		      "f", &errs));
	ck_assert_uint_eq(errs.n, 5);
	for (unsigned i = 0; i < 5; i++) {
		bool found = false;
		for (unsigned j = 0; j < errs.n; j++)
			found = found || strstr(errs.list[j].text, lines[i]) == errs.list[j].text + 1;
		ck_assert_msg(found, "%s", lines[i]);
	}
	cfg_errors_free(&errs);
}
END_TEST

START_TEST(error_list_is_limited)
{
	struct cfg_errors errs = { 0 };
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	for (int i = 0; i < 3000; i++)
		fprintf(f, "zzzzzzz%d = %d;\n", i, i);
	fclose(f);
	ck_assert_ptr_null(cfg_parse(text, "f", &errs));
	ck_assert_uint_eq(errs.n, 501);
	ck_assert_ptr_nonnull(strstr(errs.list[500].text, "more messages"));
	cfg_errors_free(&errs);
	free(text);
}
END_TEST

START_TEST(shipped_example)
{
	struct cfg_errors errs = { 0 };
	struct cfg *c = cfg_load(SRCDIR "/daemon/dist/keeptrackd.conf.example", &errs);

	for (unsigned i = 0; i < errs.n; i++)
		fprintf(stderr, "%s\n", errs.list[i].text);
	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(errs.n, 0);
	ck_assert_uint_eq(errs.n_warnings, 0);
	ck_assert_uint_eq(c->n_groups, 1);
	ck_assert(c->sync.enabled);
	ck_assert_uint_eq(c->n_tunnels, 1);
	cfg_free(c);
}
END_TEST

/* Several daemons on one machine: each has its directories, unless the file names them. */
START_TEST(place_of_its_own)
{
	struct cfg_errors errs = { 0 };
	const struct cfg_how how = { .place = "router-7" };
	make_dir();
	struct cfg *c = cfg_load_as(put("placed.conf", VRRP), &how, &errs);
	ck_assert_ptr_nonnull(c);
	ck_assert_str_eq(c->run_dir, "/run/keeptrackd/router-7");
	ck_assert_str_eq(c->state_dir, "/var/lib/keeptrackd/router-7");
	ck_assert_str_eq(c->ctl_socket, "/run/keeptrackd/router-7/ctl.sock");
	cfg_free(c);
	c = cfg_load_as(put("given.conf", "node = { run_dir = \"/run/x\"; };\n" VRRP), &how, &errs);
	ck_assert_ptr_nonnull(c);
	ck_assert_str_eq(c->run_dir, "/run/x");
	ck_assert_str_eq(c->state_dir, "/var/lib/keeptrackd/router-7");
	ck_assert_str_eq(c->ctl_socket, "/run/x/ctl.sock");
	cfg_free(c);
	cfg_errors_free(&errs);
	remove_dir();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cfg_read");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 30);
	tcase_add_test(t, defaults);
	tcase_add_test(t, tunnels_that_are_found);
	tcase_add_test(t, warm_tunnel);
	tcase_add_test(t, everything);
	tcase_add_test(t, policy);
	tcase_add_test(t, one_and_one_point_zero_are_the_same_time);
	tcase_add_test(t, wrong_values);
	tcase_add_test(t, syntax);
	tcase_add_test(t, truncated_at_every_byte);
	tcase_add_test(t, files);
	tcase_add_test(t, includes);
	tcase_add_test(t, all_errors_in_one_run);
	tcase_add_test(t, error_list_is_limited);
	tcase_add_test(t, shipped_example);
	tcase_add_test(t, place_of_its_own);
	suite_add_tcase(s, t);
	return unit_run(s);
}
