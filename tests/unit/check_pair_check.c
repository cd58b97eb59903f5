/* The comparison of two nodes: every rule, every check of more than one fact, and equal nodes. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/pair_check.h"
#include "daemon/pair_rules.h"
#include "tests/unit/run.h"

static struct pair_facts ours, theirs;
static struct pair_result r;
static char text[2][PAIR_TEXT_MAX];
static const struct pair_clock no_clock;

static void read_into(unsigned side, struct pair_facts *f, const char *lines)
{
	int n = snprintf(text[side], sizeof(text[side]), "%s\n%s", PAIR_HEAD, lines);
	enum pair_drop d = pair_facts_read(text[side], (size_t)n, f);
	ck_assert_msg(d == PAIR_OK, "%s: %s", lines, pair_drop_text(d));
}

static void check(const char *a, const char *b)
{
	read_into(0, &ours, a);
	read_into(1, &theirs, b);
	pair_check(&ours, &theirs, &no_clock, &r);
}

/* A key that this row is the first to match. */
static void sample(const struct pair_rule_row *row, char *out, size_t cap)
{
	size_t n = 0;
	for (const char *p = row->key; *p && n + 8 < cap; p++) {
		if (*p == '*')
			n += (size_t)snprintf(out + n, cap - n, "%s", p[1] ? "x" : "zz");
		else
			out[n++] = *p;
	}
	out[n] = '\0';
	/* These stand for a pattern whose plain sample an earlier row takes. */
	if (strcmp(row->key, "sysctl.nf_conntrack_*timeout*") == 0)
		snprintf(out, cap, "sysctl.nf_conntrack_tcp_timeout_established");
	else if (strcmp(row->key, "channel[*]*") == 0)
		snprintf(out, cap, "channel[0].interface");
}

/* Each row: what differs is found with the row's own words and grade; what is equal is not. */
START_TEST(every_rule)
{
	const struct pair_rule_row *row = &pair_rules[_i];
	char key[PAIR_KEY_MAX], a[300], b[300];
	sample(row, key, sizeof(key));
	snprintf(a, sizeof(a), "%s=100\n", key);
	snprintf(b, sizeof(b), "%s=900\n", key);
	check(a, b);
	if (row->how == PAIR_SHOW || row->how == PAIR_UNLIKE) {
		ck_assert_uint_eq(r.n, 0);
	} else {
		ck_assert_msg(r.n == 1, "%s: %u findings", key, r.n);
		ck_assert_msg(r.finding[0].what == row->what, "%s: %s", key, r.finding[0].what);
		ck_assert_int_eq(r.finding[0].grade, row->grade);
		ck_assert_str_eq(r.finding[0].ours, "100");
		ck_assert_str_eq(r.finding[0].theirs, "900");
		ck_assert_str_eq(r.finding[0].key, key);
		ck_assert(*row->what && *row->consequence && *row->fix);
		ck_assert_uint_eq(r.compared, 1);
		ck_assert_uint_eq(r.grades[row->grade], 1);
		ck_assert_int_eq(pair_differs(&r), row->grade != PAIR_NOTE);
	}
	check(a, a);
	ck_assert_uint_eq(r.n, row->how == PAIR_UNLIKE);
	/* on one side only */
	for (unsigned side = 0; side < 2; side++) {
		check(side ? "" : a, side ? a : "");
		bool rules =
		    strncmp(key, "helper_rule[", 12) == 0; /* the other node has not said that it listed them */
		ck_assert_uint_eq(r.n, row->how == PAIR_EQUAL && strncmp(key, "channel[", 8) != 0 && !rules);
		ck_assert_uint_eq(r.n_unsure, row->how == PAIR_SYSCTL || row->how == PAIR_RATIO || rules);
	}
	/* one node cannot find out */
	snprintf(b, sizeof(b), "%s=" PAIR_UNKNOWN "\n", key);
	check(a, b);
	ck_assert_uint_eq(r.n, 0);
	ck_assert_uint_eq(r.n_unsure, row->how != PAIR_SHOW);
}
END_TEST

START_TEST(ratios)
{
	check("sysctl.nf_conntrack_buckets=65536\n", "sysctl.nf_conntrack_buckets=131072\n");
	ck_assert_uint_eq(r.grades[PAIR_NOTE], 1);
	ck_assert(!pair_differs(&r));
	check("sysctl.nf_conntrack_buckets=1048576\n", "sysctl.nf_conntrack_buckets=65536\n");
	ck_assert_uint_eq(r.grades[PAIR_WARNING], 1);
	check("sysctl.nf_conntrack_buckets=much\n", "sysctl.nf_conntrack_buckets=65536\n");
	ck_assert_uint_eq(r.grades[PAIR_WARNING], 1);
}
END_TEST

static const struct pair_finding *finding(const char *key)
{
	for (unsigned i = 0; i < r.n; i++)
		if (strcmp(r.finding[i].key, key) == 0)
			return &r.finding[i];
	return NULL;
}

/* A virtual router of one node is one finding, whatever is known of it. */
START_TEST(whole_records)
{
	static const char two[] = "vrrp[lan].vrid=10\nvrrp[lan].mtu=1500\nvrrp[wan].vrid=20\nvrrp[wan].mtu=1500\n"
				  "conf.vrrp.instances[lan].vrid=10\nconf.vrrp.instances[wan].vrid=20\n"
				  "conf.vrrp.instances[wan].virtual_addresses=( \"192.0.2.1/24\" )\n";
	static const char one[] = "vrrp[lan].vrid=10\nvrrp[lan].mtu=1500\nconf.vrrp.instances[lan].vrid=10\n";
	check(two, one);
	ck_assert_uint_eq(r.n, 1);
	const struct pair_finding *f = finding("vrrp[wan]");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(f->grade, PAIR_DANGER);
	ck_assert_str_eq(f->ours, "present");
	ck_assert_str_eq(f->theirs, "absent");
	check(one, two);
	ck_assert_uint_eq(r.n, 1);
	ck_assert_str_eq(finding("vrrp[wan]")->ours, "absent");
	/* one more tunnel, and a key of a record that both have */
	check("conf.ipsec.tunnels[a].ike=x\nconf.ipsec.tunnels[a].dpd.retry=1\n", "conf.ipsec.tunnels[a].ike=x\n"
										  "conf.ipsec.tunnels[b].ike=y\n"
										  "conf.ipsec.tunnels[b].child=y\n");
	ck_assert_uint_eq(r.n, 2);
	ck_assert_ptr_nonnull(finding("conf.ipsec.tunnels[b]"));
	ck_assert_str_eq(finding("conf.ipsec.tunnels[a].dpd.retry")->theirs, "");
}
END_TEST

/* What a cut text does not say is not missing. */
START_TEST(cut_texts)
{
	check("vrrp[lan].vrid=10\nvrrp[wan].vrid=20\n", "vrrp[lan].vrid=11\ncut=1\n");
	ck_assert_uint_eq(r.n, 1);
	ck_assert_ptr_nonnull(finding("vrrp[lan].vrid"));
	ck_assert_uint_eq(r.n_unsure, 1);
	ck_assert_str_eq(r.unsure[0].key, "vrrp[wan].vrid");
	ck_assert_ptr_null(r.unsure[0].theirs);
	/* two that were too large each say so */
	check("conf.more=1\nconfig.vrrp=1\n", "conf.more=1\nconfig.vrrp=2\n");
	ck_assert_uint_eq(r.n, 1);
	ck_assert_ptr_nonnull(finding("config.vrrp"));
	check("conf.more=1\nconfig.vrrp=1\n", "conf.vrrp.startup_delay=1\nconfig.vrrp=2\n");
	ck_assert_uint_eq(r.n, 1);
	ck_assert_ptr_nonnull(finding("config.vrrp"));
}
END_TEST

static const struct {
	const char *lines, *other; /* of one node, and of the other one */
	const char *key;           /* NULL: nothing is found */
	enum pair_grade grade;
} cases[] = {
	/* SNAT */
	{ "nat[192.0.2.10]=5 sessions, node\n", "", "nat[192.0.2.10]", PAIR_WARNING },
	{ "nat[192.0.2.1]=5 sessions, virtual, group node, MASTER\n", "", NULL, PAIR_NOTE },
	{ "nat[192.0.2.1]=5 sessions, virtual, group node, BACKUP\n", "", "nat[192.0.2.1]", PAIR_DANGER },
	{ "nat[2001:db8::1]=5 sessions, virtual, group edge, FAULT\n", "", "nat[2001:db8::1]", PAIR_DANGER },
	{ "nat[192.0.2.99]=5 sessions, other\n", "", NULL, PAIR_NOTE },
	/* room for copies */
	{ "table.count=1000\n", "sysctl.nf_conntrack_max=1000\n", NULL, PAIR_NOTE },
	{ "table.count=1001\n", "sysctl.nf_conntrack_max=1000\n", "table.count", PAIR_DANGER },
	{ "table.count=850\n", "sysctl.nf_conntrack_max=1000\ntable.high_water=85\n", NULL, PAIR_NOTE },
	{ "table.count=851\n", "sysctl.nf_conntrack_max=1000\ntable.high_water=85\n", "table.count", PAIR_WARNING },
	{ "table.count=851\n", "sysctl.nf_conntrack_max=1000\ntable.high_water=0\n", NULL, PAIR_NOTE },
	{ "table.count=851\n", "sysctl.nf_conntrack_max=" PAIR_UNKNOWN "\n", NULL, PAIR_NOTE },
	/* zones and helpers in use */
	{ "zones.used=7 9\n", "zones.support=no\n", "zones.used", PAIR_DANGER },
	{ "zones.used=7 9\nzones.support=yes\n", "zones.support=yes\n", NULL, PAIR_NOTE },
	{ "helper_used[ftp]=3 sessions\nhelper[ftp]=absent\n", "helper[ftp]=absent\n", "helper_used[ftp]",
	  PAIR_DANGER },
	{ "helper_used[ftp]=3 sessions\nhelper[ftp]=loaded\n", "helper[ftp]=loaded\n", NULL, PAIR_NOTE },
	{ "helper_used[own]=3 sessions\n", "helper[ftp]=absent\n", NULL, PAIR_NOTE },
	{ "helper_rule[ip:t:f]=ftp protocol 6\nhelper_rules=listed\n", "helper_rules=listed\n", "helper_rule[ip:t:f]",
	  PAIR_WARNING },
	{ "helper_rule[ip:t:f]=ftp protocol 6\nhelper_rules=listed\n", "helper_rules=" PAIR_UNKNOWN "\n", NULL,
	  PAIR_NOTE },
	/* events */
	{ "sysctl.nf_conntrack_events=0\n", "sysctl.nf_conntrack_events=0\n", "sysctl.nf_conntrack_events",
	  PAIR_DANGER },
	{ "sysctl.nf_conntrack_events=1\n", "sysctl.nf_conntrack_events=1\n", NULL, PAIR_NOTE },
	/* the channel's path */
	{ "channel[0].mtu=1500\nchannel[0].path_mtu=1500\n", "channel[0].mtu=1500\n", NULL, PAIR_NOTE },
	{ "channel[0].mtu=1500\nchannel[0].path_mtu=1400\n", "channel[0].mtu=1500\n", "channel[0].path_mtu",
	  PAIR_WARNING },
	{ "channel[0].path_mtu=1400\n", "", NULL, PAIR_NOTE },
	{ "channel[0].send_segment=1448\nchannel[0].repeated_segments=3\n", "channel[0].received_segment=536\n",
	  "channel[0].send_segment", PAIR_WARNING },
	{ "channel[0].send_segment=1448\nchannel[0].repeated_segments=2\n", "channel[0].received_segment=536\n", NULL,
	  PAIR_NOTE },
	{ "channel[0].send_segment=1448\nchannel[0].repeated_segments=9\n", "channel[0].received_segment=1448\n", NULL,
	  PAIR_NOTE },
	/* secrets */
	{ "config.vrrp=1\nconf.vrrp.x=1\n", "config.vrrp=2\nconf.vrrp.x=1\n", "config.vrrp", PAIR_WARNING },
	{ "config.ipsec=1\n", "config.ipsec=1\n", NULL, PAIR_NOTE },
};

START_TEST(more_than_one_fact)
{
	for (unsigned turn = 0; turn < 2; turn++) {
		if (turn)
			check(cases[_i].other, cases[_i].lines);
		else
			check(cases[_i].lines, cases[_i].other);
		const struct pair_finding *f = NULL;
		for (unsigned i = 0; i < r.n && cases[_i].key; i++)
			if (strcmp(r.finding[i].key, cases[_i].key) == 0 && r.finding[i].grade == cases[_i].grade)
				f = &r.finding[i];
		/* facts of one side that a rule of its own judges are not the matter here */
		unsigned grave = r.grades[PAIR_WARNING] + r.grades[PAIR_DANGER];
		for (unsigned i = 0; i < r.n; i++)
			if (strncmp(r.finding[i].key, "helper[", 7) == 0 ||
			    strncmp(r.finding[i].key, "zones.support", 13) == 0)
				grave--;
		if (!cases[_i].key) {
			ck_assert_uint_eq(grave, 0);
			continue;
		}
		ck_assert_msg(f != NULL, "%s is not found", cases[_i].key);
		ck_assert(*f->what && *f->consequence && *f->fix);
	}
}
END_TEST

START_TEST(a_section_told_by_key_is_not_told_again)
{
	check("config.sync=1\nconf.sync.quick=true\n", "config.sync=2\nconf.sync.quick=false\n");
	ck_assert_uint_eq(r.n, 1);
	ck_assert_ptr_nonnull(finding("conf.sync.quick"));
}
END_TEST

START_TEST(clocks)
{
	static const struct {
		struct pair_clock c;
		bool told;
	} t[] = {
		{ { false, 9000000, 0 }, false }, { { true, 900000, 10 }, false },      { { true, 1100000, 10 }, true },
		{ { true, -1100000, 10 }, true }, { { true, 1100000, 200000 }, false },
	};
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		read_into(0, &ours, "");
		read_into(1, &theirs, "");
		pair_check(&ours, &theirs, &t[i].c, &r);
		ck_assert_int_eq(finding("clock") != NULL, t[i].told);
		ck_assert(!pair_differs(&r));
	}
}
END_TEST

/* The gravest first, and what has no room is counted. */
START_TEST(order_and_limit)
{
	static char a[40000], b[40000];
	size_t n = 0, m = 0;
	for (unsigned i = 0; i < 200; i++) {
		n += (size_t)snprintf(a + n, sizeof(a) - n, "vrrp[i%u].mtu=1500\n", i);
		m += (size_t)snprintf(b + m, sizeof(b) - m, "vrrp[i%u].mtu=9000\n", i);
	}
	check(a, b);
	ck_assert_uint_eq(r.n, PAIR_FINDINGS_MAX);
	ck_assert_uint_eq(r.more, 200 - PAIR_FINDINGS_MAX);
	ck_assert_uint_eq(r.grades[PAIR_WARNING], 200);
	check("node.kernel=6\nsysctl.ip_forward=1\nvrrp[a].mtu=1\n",
	      "node.kernel=5\nsysctl.ip_forward=0\nvrrp[a].mtu=2\n");
	ck_assert_uint_eq(r.n, 3);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(r.finding[i].grade, PAIR_DANGER - i);
	ck_assert_str_eq(pair_grade_word(PAIR_NOTE), "note");
	ck_assert_str_eq(pair_grade_word(PAIR_DANGER), "danger");
	n = 0;
	for (unsigned i = 0; i < 100; i++)
		n += (size_t)snprintf(a + n, sizeof(a) - n, "sysctl.x%u=" PAIR_UNKNOWN "\n", i);
	check(a, a);
	ck_assert_uint_eq(r.n_unsure, PAIR_UNSURE_MAX);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pair_check");
	TCase *t = tcase_create("all");

	tcase_add_loop_test(t, every_rule, 0, (int)pair_rules_n);
	tcase_add_test(t, ratios);
	tcase_add_test(t, whole_records);
	tcase_add_test(t, cut_texts);
	tcase_add_loop_test(t, more_than_one_fact, 0, (int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_test(t, a_section_told_by_key_is_not_told_again);
	tcase_add_test(t, clocks);
	tcase_add_test(t, order_and_limit);
	suite_add_tcase(s, t);
	return unit_run(s);
}
