/* conntrackd.conf: every word of its table, what it becomes, and what is said about the rest. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/base/mono.h"
#include "daemon/dropin/dconf_io.h"
#include "tests/unit/run.h"

#define LINK                                                               \
	"UDP { IPv4_address 10.9.0.1\nIPv4_Destination_Address 10.9.0.2\n" \
	"Port 3781\nInterface lk\n}\n"
#define MCAST "Multicast { IPv4_address 225.0.0.50\nGroup 3780\nIPv4_interface 10.9.0.1\nInterface lk\n}\n"
#define KEY   "KeeptrackdKey /etc/keeptrackd/c.key\n"

static const struct dconf_iface ifaces[] = {
	{ "lk", { ADDR_V4, { 10, 9, 1, 1 } }, 24 },
	{ "lk", { ADDR_V4, { 10, 9, 0, 7 } }, 24 },
};

struct got {
	struct cfg_tree *t;
	struct cfg_errors errs;
	struct dconf_proc proc;
	bool ok;
};

static struct got got_env(const char *text, const struct dconf_env *env)
{
	struct got g = { .t = cfg_tree_new("c.conf") };
	struct dconf d;

	g.ok = dconf_read(&d, text, "c.conf", &g.errs) && dconf_map(&d, g.t, env, &g.proc, &g.errs);
	dconf_free(&d);
	return g;
}

static struct got got(const char *text)
{
	static const struct dconf_env env = { .ifaces = ifaces, .n_ifaces = 2 };

	return got_env(text, &env);
}

static void done(struct got *g)
{
	cfg_tree_free(g->t);
	cfg_errors_free(&g->errs);
}

static void show_errors(const struct got *g)
{
	for (unsigned i = 0; i < g->errs.n; i++)
		fprintf(stderr, "%s\n", g->errs.list[i].text);
}

static struct got good(const char *text)
{
	struct got g = got(text);

	show_errors(&g);
	ck_assert_msg(g.ok && g.errs.n == 0, "refused:\n%s", text);
	ck_assert_uint_eq(cfg_check(g.t, &g.errs), 0);
	return g;
}

/* Exactly one error, which begins so and contains the word. */
static void refused(const char *text, const char *begin, const char *word)
{
	struct got g = got(text);

	show_errors(&g);
	ck_assert_msg(!g.ok, "accepted:\n%s", text);
	ck_assert_uint_eq(g.errs.n, 1);
	ck_assert_msg(strncmp(g.errs.list[0].text, begin, strlen(begin)) == 0, "%s", g.errs.list[0].text);
	ck_assert_msg(strstr(g.errs.list[0].text, word) != NULL, "'%s' lacks '%s'", g.errs.list[0].text, word);
	done(&g);
}

static const struct cfg_val *val(const struct got *g, const char *section, const char *key)
{
	return cfg_section_val(g->t, section, key);
}

START_TEST(a_pair_over_udp)
{
	struct got g = good("Sync {\nMode FTFW {\n}\n" LINK KEY "}\n");
	const struct cfg_val *nodes = cfg_rec_val(&g.t->root, "nodes");

	ck_assert_uint_eq(nodes->n, 2);
	ck_assert_str_eq(cfg_rec_text(&nodes->recs[0], "name"), "10.9.0.1");
	ck_assert_str_eq(cfg_rec_val(&nodes->recs[1], "addresses")->items[0].text, "10.9.0.2");
	ck_assert_int_eq(cfg_rec_val(&nodes->recs[1], "id")->num, 0x0a090002);
	ck_assert_int_eq(val(&g, "node", "id")->num, 0x0a090001);
	ck_assert_int_eq(val(&g, "channel", "port")->num, 3781);
	ck_assert_str_eq(val(&g, "channel", "key_file")->text, "/etc/keeptrackd/c.key");
	ck_assert_str_eq(cfg_rec_text(&g.t->root, "cluster"), "conntrackd-3781");
	ck_assert_str_eq(g.proc.lock_file, "/var/lock/conntrack.lock");
	ck_assert_str_eq(g.proc.socket, "/var/run/conntrackd.ctl");
	ck_assert(!g.proc.looking);
	done(&g);
}
END_TEST

/* Both routers' files make one list of nodes, in one order. */
START_TEST(both_ends_agree)
{
	struct got a = good("Sync { " LINK KEY " }");
	struct got b =
	    good("Sync { UDP { IPv4_address 10.9.0.2 IPv4_Destination_Address 10.9.0.1 Port 3781 } " KEY " }");
	char *one = NULL, *two = NULL;
	size_t n;
	FILE *f = open_memstream(&one, &n);
	cfg_tree_print(a.t, "nodes", f);
	fclose(f);
	f = open_memstream(&two, &n);
	cfg_tree_print(b.t, "nodes", f);
	fclose(f);

	ck_assert_str_eq(one, two);
	ck_assert_int_ne(val(&a, "node", "id")->num, val(&b, "node", "id")->num);
	free(one);
	free(two);
	done(&a);
	done(&b);
}
END_TEST

START_TEST(own_address_of_the_interface)
{
	struct got g = good("Sync { UDP { IPv4_Destination_Address 10.9.0.2 Interface lk } " KEY " }");

	ck_assert_int_eq(val(&g, "node", "id")->num, 0x0a090007); /* the one in the other's network */
	ck_assert_int_eq(val(&g, "channel", "port")->num, 3780);
	done(&g);
	refused("Sync { UDP { IPv4_Destination_Address 10.9.0.2\nInterface none0 } " KEY " }",
		"c.conf:1: UDP: interface", "IPv4_address ADDRESS");
	refused("Sync { UDP { IPv6_address fe80::1 IPv6_Destination_Address fe80::2 Interface lk } " KEY " }",
		"c.conf:1: UDP: link-local", "fd00::/8");
	refused("Sync { UDP { IPv4_address 10.9.0.1 } " KEY " }", "c.conf:1: UDP:", "IPv4_Destination_Address");
}
END_TEST

START_TEST(multicast_looks_for_others)
{
	static const struct dconf_peer found[] = { { { { ADDR_V4, { 10, 9, 0, 2 } } }, 1 } };
	static const struct dconf_env env = { .found = found, .n_found = 1, .insecure = true };
	struct got g = good("Sync { " MCAST KEY " }");

	ck_assert(g.proc.looking);
	ck_assert_uint_eq(cfg_rec_val(&g.t->root, "nodes")->n, 1); /* itself */
	done(&g);
	g = got_env("Sync { " MCAST " }", &env);
	ck_assert(g.ok && g.proc.looking);
	ck_assert_uint_eq(cfg_rec_val(&g.t->root, "nodes")->n, 2);
	ck_assert_int_eq(val(&g, "channel", "insecure")->num, 1);
	done(&g);
	g = good("Sync { Multicast { IPv4_address 225.0.0.50 IPv4_interface 10.9.0.1 KeeptrackdPeer 10.9.0.2 "
		 "KeeptrackdPeer 10.9.0.3 } " KEY "}");
	ck_assert_uint_eq(cfg_rec_val(&g.t->root, "nodes")->n, 3);
	ck_assert(!g.proc.looking);
	done(&g);
}
END_TEST

START_TEST(default_link_is_first)
{
	struct got g = good("Sync { UDP { IPv4_address 10.8.0.1 IPv4_Destination_Address 10.8.0.2 }\n"
			    "UDP Default { IPv4_address 10.9.0.1 IPv4_Destination_Address 10.9.0.2 } " KEY "}");
	const struct cfg_val *nodes = cfg_rec_val(&g.t->root, "nodes");

	ck_assert_str_eq(cfg_rec_val(&nodes->recs[0], "addresses")->items[0].text, "10.9.0.1");
	ck_assert_str_eq(cfg_rec_val(&nodes->recs[0], "addresses")->items[1].text, "10.8.0.1");
	done(&g);
	refused("Sync { " LINK MCAST KEY "}", "c.conf:6: Multicast: all links are of one kind", "UDP (line 1)");
	refused("Sync { " LINK LINK LINK LINK LINK KEY "}", "c.conf:21: UDP: more than 4 links", "conntrackd");
}
END_TEST

START_TEST(no_key)
{
	struct got g;

	refused("\nSync { " LINK " }", "c.conf:2: Sync: the channel", "KeeptrackdKey insecure");
	refused("\nSync { " MCAST " }", "c.conf:2: Sync: the channel", "--genkey");
	refused("Sync { " LINK "KeeptrackdKey x.key }", "c.conf:6: KeeptrackdKey x.key", "absolute");
	g = good("Sync { " LINK "KeeptrackdKey insecure\n }");
	ck_assert_int_eq(val(&g, "channel", "insecure")->num, 1);
	done(&g);
}
END_TEST

START_TEST(filters)
{
	struct got g = good("Sync { " LINK KEY "}\nGeneral { Filter From Userspace {\n"
			    "Protocol Accept { TCP SCTP IPv6-ICMP }\n"
			    "Address Ignore { IPv4_address 127.0.0.1 # loopback\n IPv4_address 192.168.0.0/16\n"
			    "IPv6_address ::1 IPv4_address 10.9.0.1 IPv4_address 10.5.0.1 IPv4_address 10.5.0.1 }\n"
			    "State Accept { ESTABLISHED CLOSED TIME_WAIT LISTEN for TCP }\n} }");
	const struct cfg_val *ignore = val(&g, "sync", "ignore");

	ck_assert_int_eq(val(&g, "sync", "protocols")->num,
			 1 << SYNC_PROTO_TCP | 1 << SYNC_PROTO_SCTP | 1 << SYNC_PROTO_ICMP);
	ck_assert_uint_eq(ignore->n, 2);
	ck_assert_str_eq(cfg_rec_text(&ignore->recs[0], "address"), "10.5.0.1/32");
	ck_assert_str_eq(cfg_rec_text(&ignore->recs[1], "address"), "192.168.0.0/16");
	ck_assert_uint_eq(ignore->recs[1].at.line, 11);
	ck_assert_int_eq(val(&g, "sync", "tcp_states")->num, 1 << 2 | 1 << 7 | 1 << 6);
	done(&g);
	g = good("Sync { " LINK KEY "}\nGeneral { Filter { Protocol Ignore { UDP } State Ignore { SYN_SENT } } }");
	ck_assert_int_eq(val(&g, "sync", "protocols")->num, SYNC_PROTO_ALL & ~(1 << SYNC_PROTO_UDP));
	ck_assert_int_eq(val(&g, "sync", "tcp_states")->num, 0xfe);
	done(&g);
	refused("Sync { " LINK KEY "}\nGeneral { Filter { Address Accept { IPv4_address 10.0.0.1 } } }",
		"c.conf:8: Address Accept: refused", "Address Ignore");
	refused("Sync { " LINK KEY "}\nGeneral { Filter { Address Ignore { IPv4_address 10.0.0.0/33 } } }",
		"c.conf:8: IPv4_address 10.0.0.0/33", "ADDRESS/LENGTH");
	refused("Sync { " LINK KEY "}\nGeneral { Filter { Protocol Some { TCP } } }", "c.conf:8: Protocol:", "Accept");
	refused("Sync { " LINK KEY "}\nGeneral { Filter { Protocol Accept { } } }", "c.conf:8: Protocol: nothing", "");
}
END_TEST

START_TEST(sizes_and_process)
{
	struct got g = good("Sync { " LINK KEY "Options { TCPWindowTracking on } }\nGeneral { HashLimit 131072\n"
			    "Syslog no LockFile /run/l UNIX { Path /run/c.ctl }\n"
			    "NetlinkBufferSizeMaxGrowth 655355 }");

	ck_assert_int_eq(val(&g, "sync", "sessions_max")->num, 262144);
	ck_assert(!val(&g, "sync", "receive_buffer")->given); /* ours is larger */
	ck_assert_int_eq(val(&g, "sync", "strict_window_after")->num, 10 * NS_PER_SEC);
	ck_assert_str_eq(g.proc.lock_file, "/run/l");
	ck_assert_str_eq(g.proc.socket, "/run/c.ctl");
	const struct cfg_val *log = val(&g, "node", "log");
	ck_assert_int_eq(cfg_rec_val(&log->recs[0], "syslog")->num, 0);
	done(&g);
	g = good("Sync { " LINK KEY "}\nGeneral { SocketBufferSizeMaxGrown 268435456 HashLimit 1 }");
	ck_assert_int_eq(val(&g, "sync", "receive_buffer")->num, 268435456);
	ck_assert_int_eq(val(&g, "sync", "sessions_max")->num, 1000);
	done(&g);
}
END_TEST

/* What has no counterpart is said, and once. */
START_TEST(said_once)
{
	struct got g =
	    good("Sync { Mode FTFW { PurgeTimeout 60 }\n"
		 "UDP { IPv4_address 10.9.0.1 IPv4_Destination_Address 10.9.0.2 SndSocketBuffer 1 }\n"
		 "UDP { IPv4_address 10.8.0.1 IPv4_Destination_Address 10.8.0.2 SndSocketBuffer 1 }\n" KEY "}\n"
		 "Helper { Type rpc inet tcp { QueueNum 3 Policy rpc { ExpectMax 1 } } }\n");
	unsigned buffers = 0;

	for (unsigned i = 0; i < g.errs.n_warnings; i++)
		buffers += strstr(g.errs.warnings[i].text, "SndSocketBuffer") != NULL;
	ck_assert_uint_eq(buffers, 1);
	ck_assert_msg(strstr(g.errs.warnings[0].text, "c.conf:1: PurgeTimeout: has no effect"), "%s",
		      g.errs.warnings[0].text);
	ck_assert_msg(strstr(g.errs.warnings[2].text, "c.conf:6: Helper: has no effect"), "%s",
		      g.errs.warnings[2].text);
	done(&g);
}
END_TEST

/* Each word of the table stands in a file that is accepted, or refused by name. */
START_TEST(every_word)
{
	static const char *const heads[] = {
		[DCONF_W_TOP] = "%s",
		[DCONF_W_SYNC] = "Sync { %s }",
		[DCONF_W_MODE] = "Sync { Mode FTFW { %s } }",
		[DCONF_W_LINK] = "Sync { UDP { %s } }",
		[DCONF_W_OPTIONS] = "Sync { Options { %s } }",
		[DCONF_W_GENERAL] = "General { %s }",
		[DCONF_W_UNIX] = "General { UNIX { %s } }",
		[DCONF_W_FILTER] = "General { Filter { %s } }",
		[DCONF_W_SCHEDULER] = "General { Scheduler { %s } }",
	};
	static const char *const values[] = {
		[DCONF_K_BLOCK] = "{ }",         [DCONF_K_YESNO] = "yes",           [DCONF_K_NUMBER] = "7",
		[DCONF_K_PATH] = "/x",           [DCONF_K_ADDR] = "10.0.0.1",       [DCONF_K_NAME] = "insecure",
		[DCONF_K_YESNO_TEXT] = "local0", [DCONF_K_YESNO_BLOCK] = "{ ftp }",
	};
	for (unsigned i = 0; dconf_word_row(i); i++) {
		const struct dconf_word *w = dconf_word_row(i);
		struct cfg_errors errs = { 0 };
		struct dconf d;
		char one[100], text[300], whole[600];
		const char *mid = w->where == DCONF_W_FILTER ? "Accept " : w->id == DCONF_MODE ? "ALARM " : "";
		snprintf(one, sizeof(one), "%s %s%s", w->name, mid, values[w->kind]);
		snprintf(text, sizeof(text), heads[w->where], one); /* NOLINT: the formats are above */
		snprintf(whole, sizeof(whole), "%s\n%s", text, strstr(text, "Sync") ? "" : "Sync { }");
		bool ok = dconf_read(&d, whole, "c.conf", &errs);
		ck_assert_msg(ok == (w->verdict != DCONF_REFUSED), "%s: %s", whole, errs.n ? errs.list[0].text : "");
		ck_assert_uint_ne(d.val[w->id].line, 0);
		if (w->verdict == DCONF_NO_EFFECT)
			ck_assert_msg(errs.n_warnings == 1 && strstr(errs.warnings[0].text, w->why), "%s", w->name);
		dconf_free(&d);
		cfg_errors_free(&errs);
	}
}
END_TEST

/* The table as docs/conntrackd-words.md has it. malloc. */
static char *words_page(void)
{
	static const char *const wheres[] = {
		[DCONF_W_TOP] = "",
		[DCONF_W_SYNC] = "Sync",
		[DCONF_W_MODE] = "Sync, Mode",
		[DCONF_W_LINK] = "Sync, a link",
		[DCONF_W_OPTIONS] = "Sync, Options",
		[DCONF_W_GENERAL] = "General",
		[DCONF_W_UNIX] = "General, UNIX",
		[DCONF_W_FILTER] = "General, Filter",
		[DCONF_W_SCHEDULER] = "General, Scheduler",
	};
	static const char *const verdicts[] = { "honoured", "no effect", "refused" };
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	ck_assert_ptr_nonnull(f);
	fprintf(
	    f,
	    "# Words of conntrackd.conf\n\nMade of the table that reads them: `KT_GOLDEN=write ./check_dconf` writes "
	    "this file. What it is all about: [conntrackd.md](conntrackd.md).\n\n"
	    "| in | word | | what it becomes, or what stands in its place |\n|---|---|---|---|\n");
	for (unsigned i = 0; dconf_word_row(i); i++) {
		const struct dconf_word *w = dconf_word_row(i);
		fprintf(f, "| %s | `%s` | %s | %s |\n", wheres[w->where], w->name, verdicts[w->verdict], w->why);
	}
	fclose(f);
	return text;
}

START_TEST(page_of_words)
{
	const char *golden = getenv("KT_GOLDEN"), *path = SRCDIR "/docs/conntrackd-words.md";
	char *text = words_page(), have[32768] = "";
	FILE *f;

	for (unsigned i = 0; dconf_word_row(i); i++)
		ck_assert_ptr_nonnull(dconf_word_row(i)->why);
	if (golden && strcmp(golden, "write") == 0) {
		f = fopen(path, "w");
		ck_assert_ptr_nonnull(f);
		fputs(text, f);
		fclose(f);
	}
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	have[fread(have, 1, sizeof(have) - 1, f)] = '\0';
	fclose(f);
	ck_assert_msg(strcmp(have, text) == 0, "docs/conntrackd-words.md is not what the table says: run "
					       "KT_GOLDEN=write ./check_dconf");
	free(text);
}
END_TEST

START_TEST(broken_files)
{
	refused("", "c.conf:1: there is no Sync", "");
	refused("Sync {\n Mode FTFW {\n", "c.conf:3: the file ends inside the block that begins at line 2", "cut off");
	refused("Sync { " LINK KEY "} }", "c.conf:7: a '}' too many", "");
	refused("Sync { " LINK KEY "}\n{ x }", "c.conf:8: a '{'", "");
	refused("Sync { " LINK KEY "}\nGenerals { HashSize 1 }", "c.conf:8: Generals: not known",
		"did you mean General?");
	refused("Sync { Mode FTFW { AckWindow 3\n }\n" LINK KEY "}", "c.conf:1: AckWindow: not known in Mode",
		"ACKWindowSize");
	refused("Sync { Mode FTFX { }\n" LINK KEY "}", "c.conf:1: Mode FTFX", "ALARM");
	refused("Sync { Mode FTFW { PurgeTimeout x }\n" LINK KEY "}", "c.conf:1: PurgeTimeout x", "whole number");
	refused("Sync { " LINK KEY "}\nGeneral { LockFile lock }", "c.conf:8: LockFile lock", "absolute path");
	refused("Sync { " LINK KEY "}\nGeneral { UNIX { Path } }", "c.conf:8: Path: its value is missing", "");
	refused("Sync { " LINK KEY "}\nSync { }", "c.conf:8: Sync: it stands at line 1 already", "");
	refused("Stats { Syslog on }\nSync { }", "c.conf:1: Stats: refused", "real conntrackd");
	refused("Sync { UDP { Port 70000\n IPv4_address 10.9.0.1 IPv4_Destination_Address 10.9.0.2 } " KEY "}",
		"c.conf:1: Port 70000", "65535");
}
END_TEST

/* A prefix of a file never crashes the reader, and says why it is no file. */
START_TEST(every_prefix)
{
	static const char whole[] =
	    "Sync { Mode FTFW { PurgeTimeout 60 }\n" LINK KEY "Options { ExpectationSync { ftp sip } } }\n"
	    "General { Filter From Userspace { Address Ignore { IPv4_address 10.0.0.0/8 } } }";
	char part[sizeof(whole)];

	for (size_t n = 0; n < sizeof(whole) - 1; n++) {
		struct cfg_errors errs = { 0 };
		struct dconf d;
		memcpy(part, whole, n);
		part[n] = '\0';
		if (!dconf_read(&d, part, "c.conf", &errs))
			ck_assert_uint_gt(errs.n, 0);
		dconf_free(&d);
		cfg_errors_free(&errs);
	}
}
END_TEST

/* Two files that set the same: both places are named. */
START_TEST(conflict)
{
	struct got g = { .t = cfg_tree_new("k.conf") };
	struct cfg_rec *sync = cfg_rec_val(&g.t->root, "sync")->recs;
	struct cfg_val *v = cfg_rec_val(sync, "sessions_max");
	const struct dconf_env env = { 0 };
	struct dconf d;

	v->given = true;
	v->at = (struct cfg_pos){ cfg_tree_file(g.t, "/etc/k.conf"), 12 };
	ck_assert(dconf_read(&d, "Sync { " LINK KEY "}\nGeneral { HashLimit 5000 }", "c.conf", &g.errs));
	ck_assert(!dconf_map(&d, g.t, &env, &g.proc, &g.errs));
	ck_assert_uint_eq(g.errs.n, 1);
	ck_assert_str_eq(g.errs.list[0].text,
			 "c.conf:8: sync.sessions_max is set at /etc/k.conf:12 already; keep one of the two");
	dconf_free(&d);
	done(&g);
}
END_TEST

/* The key beside the file, the word in it, and files that are none. */
START_TEST(from_disk)
{
	char dir[] = "/tmp/check_dconf.XXXXXX", path[64], key[64], cmd[100];
	struct got g = { .t = cfg_tree_new("x") };

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/c.conf", dir);
	snprintf(key, sizeof(key), "%s/c.key", dir);
	FILE *f = fopen(path, "w");
	fputs("Sync { " LINK " }", f);
	fclose(f);
	f = fopen(key, "w");
	fputs("insecure\n", f);
	fclose(f);
	ck_assert(cfg_read_conntrackd(g.t, path, NULL, &g.proc, &g.errs));
	ck_assert_int_eq(val(&g, "channel", "insecure")->num, 1);
	cfg_tree_free(g.t);
	g.t = cfg_tree_new("x");
	f = fopen(key, "w");
	fputs("keeptrackd-key 1 ...\n", f);
	fclose(f);
	ck_assert(cfg_read_conntrackd(g.t, path, NULL, &g.proc, &g.errs));
	ck_assert_str_eq(val(&g, "channel", "key_file")->text, key);
	ck_assert(!cfg_read_conntrackd(g.t, dir, NULL, &g.proc, &g.errs));
	ck_assert_ptr_nonnull(strstr(g.errs.list[0].text, "no regular file"));
	ck_assert(!cfg_read_conntrackd(g.t, "/nonexistent", NULL, &g.proc, &g.errs));
	ck_assert_ptr_nonnull(strstr(g.errs.list[1].text, "cannot be read"));
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	ck_assert_int_eq(system(cmd), 0);
	done(&g);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dconf");
	TCase *t = tcase_create("all");

	tcase_add_test(t, a_pair_over_udp);
	tcase_add_test(t, both_ends_agree);
	tcase_add_test(t, own_address_of_the_interface);
	tcase_add_test(t, multicast_looks_for_others);
	tcase_add_test(t, default_link_is_first);
	tcase_add_test(t, no_key);
	tcase_add_test(t, filters);
	tcase_add_test(t, sizes_and_process);
	tcase_add_test(t, said_once);
	tcase_add_test(t, every_word);
	tcase_add_test(t, page_of_words);
	tcase_add_test(t, broken_files);
	tcase_add_test(t, every_prefix);
	tcase_add_test(t, conflict);
	tcase_add_test(t, from_disk);
	suite_add_tcase(s, t);
	return unit_run(s);
}
