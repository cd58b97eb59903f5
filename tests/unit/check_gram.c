/* The shell's grammar: splitting, abbreviations, errors, completion, and the man page that lists it. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/gram.h"
#include "tests/unit/run.h"

static void split(const char *text, struct gram_line *line)
{
	ck_assert_msg(gram_split(text, strlen(text), line), "%s", text);
}

static struct gram_match parse(const char *text)
{
	struct gram_line line;
	struct gram_match m;

	split(text, &line);
	gram_parse(&line, &m);
	return m;
}

START_TEST(splitting)
{
	struct gram_line l;

	split("  show\tvrrp  ", &l);
	ck_assert_uint_eq(l.n, 2);
	ck_assert_str_eq(l.word[0], "show");
	ck_assert_str_eq(l.word[1], "vrrp");
	ck_assert(l.open_end);
	split("show vr", &l);
	ck_assert(!l.open_end);
	split("", &l);
	ck_assert(l.n == 0 && l.open_end);
	split("a \"b c\" d\\ e \"\" \"x", &l);
	ck_assert_uint_eq(l.n, 5);
	ck_assert_str_eq(l.word[1], "b c");
	ck_assert_str_eq(l.word[2], "d e");
	ck_assert_str_eq(l.word[3], "");
	ck_assert_str_eq(l.word[4], "x");
	split("! show vrrp", &l);
	ck_assert_uint_eq(l.n, 0);
	split("# comment", &l);
	ck_assert_uint_eq(l.n, 0);
	char word[300], words[300] = "";
	memset(word, 'a', sizeof(word));
	ck_assert(!gram_split(word, GRAM_WORD_MAX, &l));
	ck_assert(gram_split(word, GRAM_WORD_MAX - 1, &l));
	for (int i = 0; i < GRAM_WORDS_MAX; i++)
		strcat(words, "a ");
	ck_assert(gram_split(words, strlen(words), &l));
	strcat(words, "a");
	ck_assert(!gram_split(words, strlen(words), &l));
}
END_TEST

START_TEST(whole_commands)
{
	for (int c = 0; c < CTL_CMD_N; c++) {
		const struct ctl_cmd_def *d = ctl_cmd_def((enum ctl_cmd)c);
		char text[200];
		snprintf(text, sizeof(text), "%s%s", d->path,
			 c == CTL_DEBUG_SYNC_STALL                           ? " 2"
			 : c == CTL_CONNTRACKD                               ? " purge"
			 : c == CTL_EXPLAIN_SESSION                          ? " a b tcp"
			 : c == CTL_EXPLAIN_IPSEC || c == CTL_RESET_VPN_PEER ? " hq"
			 : c == CTL_IKE_DPD                                  ? " interval 3 retry 3 periodic"
									     : "");
		struct gram_match m = parse(text);
		ck_assert_msg(m.status == GRAM_OK && (int)m.cmd == c, "%s", text);
		ck_assert(!m.json);
		strcat(text, " json");
		m = parse(text);
		ck_assert_msg((m.status == GRAM_OK && m.json) == ctl_cmd_takes_json((enum ctl_cmd)c), "%s", text);
	}
}
END_TEST

START_TEST(lines)
{
	static const struct {
		const char *text;
		enum gram_status status;
		int cmd;    /* if OK */
		unsigned n; /* arguments if OK, candidates if ambiguous */
		bool json;
		unsigned at; /* if not OK */
	} t[] = {
		{ "", GRAM_EMPTY, 0, 0, false, 0 },
		{ "   ", GRAM_EMPTY, 0, 0, false, 0 },
		{ "sh vr", GRAM_OK, CTL_SHOW_VRRP, 0, false, 0 },
		{ "sh vr det", GRAM_OK, CTL_SHOW_VRRP, 1, false, 0 },
		{ "sh vr d j", GRAM_OK, CTL_SHOW_VRRP, 1, true, 0 },
		{ "sh vr json detail", GRAM_OK, CTL_SHOW_VRRP, 1, true, 0 },
		{ "sh conntrack-s statis", GRAM_OK, CTL_SHOW_SYNC_STATISTICS, 0, false, 0 },
		{ "sh f h 5", GRAM_OK, CTL_SHOW_FAILOVER_HISTORY, 1, false, 0 },
		{ "sh f h json 5", GRAM_OK, CTL_SHOW_FAILOVER_HISTORY, 1, true, 0 },
		{ "sh fail time 12.1", GRAM_OK, CTL_SHOW_FAILOVER_TIMELINE, 1, false, 0 },
		{ "sh l", GRAM_OK, CTL_SHOW_LOG, 0, false, 0 },
		{ "force failover", GRAM_OK, CTL_FORCE_FAILOVER, 0, false, 0 },
		{ "fo fa gr edge", GRAM_OK, CTL_FORCE_FAILOVER, 1, false, 0 },
		{ "m e", GRAM_OK, CTL_MAINTENANCE_ENTER, 0, false, 0 },
		{ "deb sy", GRAM_OK, CTL_DEBUG_SYNC, 0, false, 0 },
		{ "deb sy st 2", GRAM_OK, CTL_DEBUG_SYNC_STALL, 1, false, 0 },
		{ "no deb ike", GRAM_OK, CTL_NO_DEBUG_IKE, 0, false, 0 },
		{ "exit", GRAM_OK, CTL_EXIT, 0, false, 0 },
		{ "exi", GRAM_OK, CTL_EXIT, 0, false, 0 },
		{ "exp s 10.0.0.1:80 10.0.0.2:90 tcp", GRAM_OK, CTL_EXPLAIN_SESSION, 3, false, 0 },
		{ "explain session [2001:db8::1]:80 [::2]:9 udp zone 5 json", GRAM_OK, CTL_EXPLAIN_SESSION, 4, true,
		  0 },
		{ "reset conn int", GRAM_OK, CTL_RESET_SYNC_INTERNAL, 0, false, 0 },
		{ "rest conn", GRAM_OK, CTL_RESTART_SYNC, 0, false, 0 },
		{ "force res", GRAM_OK, CTL_FORCE_RESYNC, 0, false, 0 },
		{ "e", GRAM_AMBIGUOUS, 0, 2, false, 0 },
		{ "res", GRAM_AMBIGUOUS, 0, 2, false, 0 },
		{ "explain session 10.0.0.1:80 10.0.0.2:90", GRAM_INCOMPLETE, 0, 0, false, 4 },
		{ "explain session a b tcp zone", GRAM_INCOMPLETE, 0, 0, false, 6 },
		{ "explain session a b tcp zone 65536", GRAM_UNKNOWN, 0, 0, false, 6 },
		{ "reset conntrack-sync", GRAM_INCOMPLETE, 0, 0, false, 2 },
		/* ambiguous: vrrp and version; statistics and status; history and ... */
		{ "sh v", GRAM_AMBIGUOUS, 0, 2, false, 1 },
		{ "show conntrack-sync stat", GRAM_AMBIGUOUS, 0, 2, false, 2 },
		{ "show c", GRAM_AMBIGUOUS, 0, 3, false, 1 },
		{ "show i", GRAM_AMBIGUOUS, 0, 2, false, 1 },
		/* later words decide, or do not */
		{ "show conn table ipv4 json", GRAM_OK, CTL_SHOW_CONNTRACK_IPV4, 0, true, 0 },
		{ "sh c ca e", GRAM_OK, CTL_SHOW_SYNC_EXTERNAL, 0, false, 0 },
		{ "sh v p", GRAM_OK, CTL_SHOW_VRRP_PEER, 0, false, 0 },
		{ "sh v json", GRAM_AMBIGUOUS, 0, 2, false, 1 },
		{ "sh v bogus", GRAM_AMBIGUOUS, 0, 2, false, 1 },
		{ "r c", GRAM_AMBIGUOUS, 0, 2, false, 0 },
		{ "r c ext", GRAM_OK, CTL_RESET_SYNC_EXTERNAL, 0, false, 0 },
		/* incomplete */
		{ "show", GRAM_INCOMPLETE, 0, 0, false, 1 },
		{ "sh fail", GRAM_INCOMPLETE, 0, 0, false, 2 },
		{ "no", GRAM_INCOMPLETE, 0, 0, false, 1 },
		{ "debug sync stall", GRAM_INCOMPLETE, 0, 0, false, 3 },
		{ "force failover group", GRAM_INCOMPLETE, 0, 0, false, 3 },
		/* unknown */
		{ "foo", GRAM_UNKNOWN, 0, 0, false, 0 },
		{ "show foo", GRAM_UNKNOWN, 0, 0, false, 1 },
		{ "show vrrp foo", GRAM_UNKNOWN, 0, 0, false, 2 },
		{ "show vrrp detail detail", GRAM_UNKNOWN, 0, 0, false, 3 },
		{ "show vrrp json json", GRAM_UNKNOWN, 0, 0, false, 3 },
		{ "show failover history 0", GRAM_UNKNOWN, 0, 0, false, 3 },
		{ "show failover history 1001", GRAM_UNKNOWN, 0, 0, false, 3 },
		{ "show failover history 5 6", GRAM_UNKNOWN, 0, 0, false, 4 },
		{ "show failover timeline x", GRAM_UNKNOWN, 0, 0, false, 3 },
		{ "debug sync stall 61", GRAM_UNKNOWN, 0, 0, false, 3 },
		{ "force failover json", GRAM_UNKNOWN, 0, 0, false, 2 },
		{ "force failover group \"a b\"", GRAM_UNKNOWN, 0, 0, false, 3 },
		{ "clear counters now", GRAM_UNKNOWN, 0, 0, false, 2 },
		{ "SHOW VRRP", GRAM_UNKNOWN, 0, 0, false, 0 },
	};

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct gram_match m = parse(t[i].text);
		ck_assert_msg(m.status == t[i].status, "'%s': status %d", t[i].text, (int)m.status);
		if (m.status == GRAM_OK)
			ck_assert_msg((int)m.cmd == t[i].cmd && m.n_args == t[i].n && m.json == t[i].json, "'%s'",
				      t[i].text);
		else if (m.status != GRAM_EMPTY)
			ck_assert_msg(m.at == t[i].at, "'%s': at %u", t[i].text, m.at);
		if (m.status == GRAM_AMBIGUOUS)
			ck_assert_msg(m.cands.n == t[i].n, "'%s': %u candidates", t[i].text, m.cands.n);
	}
}
END_TEST

START_TEST(arguments)
{
	struct gram_match m = parse("show failover history 25");

	ck_assert_int_eq(gram_arg(&m, "limit")->num, 25);
	ck_assert_ptr_null(gram_arg(&m, "epoch"));
	m = parse("force failover group edge");
	ck_assert_str_eq(gram_arg(&m, "group")->text, "edge");
	m = parse("show failover timeline 12.1");
	ck_assert_str_eq(gram_arg(&m, "epoch")->text, "12.1");
	m = parse("show log 0");
	ck_assert_str_eq(m.why, "limit must be a whole number from 1 to 4096");
}
END_TEST

/* The words offered, "<cr>" if the line could end. */
static const char *offered(const char *text)
{
	static char buf[600];
	struct gram_line line;
	struct gram_cands c;

	split(text, &line);
	gram_complete(&line, &c);
	buf[0] = '\0';
	for (unsigned i = 0; i < c.n; i++) {
		snprintf(buf + strlen(buf), sizeof(buf) - strlen(buf), "%s%s", i ? " " : "", c.c[i].word);
		ck_assert_msg(c.c[i].help && *c.c[i].help, "no help for %s after '%s'", c.c[i].word, text);
	}
	if (c.complete)
		strcat(buf, *buf ? " <cr>" : "<cr>");
	return buf;
}

START_TEST(completion)
{
	static const char *const t[][2] = {
		{ "", "show explain ike reset restart force maintenance clear debug no list help exit" },
		{ "s", "show" },
		{ "show", "show" },
		{ "show ", "vrrp pair conntrack-sync conntrack session failover ipsec notify interfaces log version "
			   "configuration" },
		{ "show v", "vrrp version" },
		{ "sh fail ", "history timeline status" },
		{ "sh vrrp ", "peer track detail json <cr>" },
		{ "sh vrrp d", "detail" },
		{ "sh vrrp detail ", "json <cr>" },
		{ "sh vrrp detail json ", "<cr>" },
		{ "show failover history ", "LIMIT json <cr>" },
		{ "show failover history j", "json" },
		{ "show failover history 5", "LIMIT" },
		{ "show failover history 5 ", "json <cr>" },
		{ "force failover ", "group <cr>" },
		{ "force failover group ", "GROUP" },
		{ "force failover group edge ", "<cr>" },
		{ "debug ", "vrrp sync ike role net" },
		{ "debug sync ", "stall <cr>" },
		{ "debug sync stall ", "SECONDS" },
		{ "no ", "debug" },
		{ "foo ", "" },
		{ "sh v ", "" },
		{ "show conntrack table ipv4 source 10.0.0.0/8 ", "destination port protocol zone mark state limit "
								  "synced unsynced json <cr>" },
		{ "show conntrack-sync cache ", "internal external" },
		{ "maintenance ", "enter leave" },
		{ "explain session 1.1.1.1 ", "DESTINATION" },
		{ "explain session 1.1.1.1 zone 5 2.2.2.2 ", "PROTOCOL" },
		{ "explain session 1.1.1.1 2.2.2.2 esp ", "zone json <cr>" },
		{ "reset conntrack-sync ", "internal-cache external-cache" },
		{ "reset vpn ipsec ", "peer all" },
		{ "reset vpn ipsec peer ", "PEER" },
		{ "show ipsec ", "sweep sa peer dpd hooks check statistics brief detail json <cr>" },
		{ "show ipsec sa ", "TUNNEL json <cr>" },
		{ "show ipsec sa j", "json" },
		{ "explain ipsec ", "TUNNEL" },
		{ "ike dpd ", "interval retry periodic on-demand json" },
		{ "ike dpd interval 3 ", "retry periodic on-demand json <cr>" },
	};

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		const char *got = offered(t[i][0]);
		ck_assert_msg(strcmp(got, t[i][1]) == 0, "'%s' offers '%s'", t[i][0], got);
	}
}
END_TEST

/* Whatever is offered can be typed: each candidate, whole, leads to a line that is no unknown one. */
static void explore(const char *text, unsigned depth)
{
	struct gram_line line;
	struct gram_cands c;
	char next[300];

	split(text, &line);
	gram_complete(&line, &c);
	for (unsigned i = 0; i < c.n && depth < 8; i++) {
		const char *word = !c.c[i].value ? c.c[i].word : strcmp(c.c[i].word, "EPOCH") == 0 ? "1.1" : "2";
		snprintf(next, sizeof(next), "%s%s ", text, word);
		struct gram_match m = parse(next);
		ck_assert_msg(m.status == GRAM_OK || m.status == GRAM_INCOMPLETE, "'%s'", next);
		explore(next, depth + 1);
	}
	if (c.complete)
		ck_assert_int_eq(parse(text).status, GRAM_OK);
}

START_TEST(all_offers_can_be_typed)
{
	explore("", 0);
}
END_TEST

START_TEST(common)
{
	struct gram_line line;
	struct gram_cands c;
	char buf[64];

	split("show v", &line);
	gram_complete(&line, &c);
	ck_assert_uint_eq(gram_common(&c, buf, sizeof(buf)), 1);
	ck_assert_str_eq(buf, "v");
	split("show conntrack-s s", &line);
	gram_complete(&line, &c);
	gram_common(&c, buf, sizeof(buf));
	ck_assert_str_eq(buf, "stat");
	split("force failover group ", &line);
	gram_complete(&line, &c);
	ck_assert_uint_eq(gram_common(&c, buf, sizeof(buf)), 0);
}
END_TEST

static char *slurp(const char *path)
{
	FILE *f = fopen(path, "r");
	static char buf[65536];

	ck_assert_msg(f != NULL, "%s", path);
	buf[fread(buf, 1, sizeof(buf) - 1, f)] = '\0';
	fclose(f);
	return buf;
}

START_TEST(man_page_lists_every_command)
{
	const char *man = slurp(SRCDIR "/cli/ktsh.1");
	char syntax[400], item[600];
	unsigned items = 0;

	for (int c = 0; c < CTL_CMD_N; c++) {
		gram_syntax((enum ctl_cmd)c, syntax, sizeof(syntax));
		snprintf(item, sizeof(item), ".It Ic %s\n%s.\n", syntax, ctl_cmd_def((enum ctl_cmd)c)->help);
		ck_assert_msg(strstr(man, item) != NULL, "ktsh.1 lacks:\n%s", item);
	}
	for (const char *p = man; (p = strstr(p, "\n.It Ic ")) != NULL; p++)
		items++;
	ck_assert_uint_eq(items, CTL_CMD_N);
}
END_TEST

START_TEST(protocol_page_names_every_command)
{
	const char *doc = slurp(SRCDIR "/docs/control-protocol.md");

	for (int c = 0; c < CTL_CMD_N; c++) {
		const struct ctl_cmd_def *d = ctl_cmd_def((enum ctl_cmd)c);
		if (ctl_cmd_takes_json(d->id))
			ck_assert_msg(strstr(doc, d->path) != NULL, "%s", d->path);
		for (unsigned i = 0; ctl_cmd_arg(d->id, i); i++)
			ck_assert_msg(strstr(doc, ctl_cmd_arg(d->id, i)->key) != NULL, "%s",
				      ctl_cmd_arg(d->id, i)->key);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gram");
	TCase *t = tcase_create("all");

	tcase_add_test(t, splitting);
	tcase_add_test(t, whole_commands);
	tcase_add_test(t, lines);
	tcase_add_test(t, arguments);
	tcase_add_test(t, completion);
	tcase_add_test(t, all_offers_can_be_typed);
	tcase_add_test(t, common);
	tcase_add_test(t, man_page_lists_every_command);
	tcase_add_test(t, protocol_page_names_every_command);
	suite_add_tcase(s, t);
	return unit_run(s);
}
