/*
 * Replies as text, compared with the files in tests/unit/fmt: NAME.json in, NAME.txt out. KT_GOLDEN=write writes the
 * .txt files anew, to be read before they are committed.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "cli/fmt_text.h"
#include "tests/unit/run.h"

#define DIR SRCDIR "/tests/unit/fmt/"

static const struct {
	const char *name;
	enum ctl_cmd cmd;
	bool detail;
} cases[] = {
	{ "vrrp", CTL_SHOW_VRRP, false },
	{ "vrrp-detail", CTL_SHOW_VRRP, true },
	{ "vrrp-peer", CTL_SHOW_VRRP_PEER, false },
	{ "vrrp-track", CTL_SHOW_VRRP_TRACK, false },
	{ "vrrp-track-none", CTL_SHOW_VRRP_TRACK, false },
	{ "pair", CTL_SHOW_PAIR, false },
	{ "pair-detail", CTL_SHOW_PAIR, true },
	{ "failover-status", CTL_SHOW_FAILOVER_STATUS, false },
	{ "failover-history", CTL_SHOW_FAILOVER_HISTORY, false },
	{ "failover-timeline", CTL_SHOW_FAILOVER_TIMELINE, false },
	{ "ipsec", CTL_SHOW_IPSEC, false },
	{ "ipsec-sweep", CTL_SHOW_IPSEC_SWEEP, false },
	{ "ipsec-sweep-empty", CTL_SHOW_IPSEC_SWEEP, false },
	{ "ipsec-brief", CTL_SHOW_IPSEC, false },
	{ "ipsec-detail", CTL_SHOW_IPSEC, true },
	{ "ipsec-sa", CTL_SHOW_IPSEC_SA, false },
	{ "ipsec-sa-none", CTL_SHOW_IPSEC_SA, false },
	{ "ipsec-peer", CTL_SHOW_IPSEC_PEER, false },
	{ "ipsec-dpd", CTL_SHOW_IPSEC_DPD, false },
	{ "ipsec-hooks", CTL_SHOW_IPSEC_HOOKS, false },
	{ "ipsec-check", CTL_SHOW_IPSEC_CHECK, false },
	{ "ipsec-check-good", CTL_SHOW_IPSEC_CHECK, false },
	{ "ipsec-statistics", CTL_SHOW_IPSEC_STATISTICS, false },
	{ "explain-ipsec", CTL_EXPLAIN_IPSEC, false },
	{ "ike-dpd", CTL_IKE_DPD, false },
	{ "reset-vpn", CTL_RESET_VPN_PEER, false },
	{ "notify", CTL_SHOW_NOTIFY, false },
	{ "notify-none", CTL_SHOW_NOTIFY, false },
	{ "interfaces", CTL_SHOW_INTERFACES, false },
	{ "log", CTL_SHOW_LOG, false },
	{ "version", CTL_SHOW_VERSION, false },
	{ "configuration", CTL_SHOW_CONFIGURATION, false },
	{ "sync-statistics", CTL_SHOW_SYNC_STATISTICS, false },
	{ "sync-status", CTL_SHOW_SYNC_STATUS, false },
	{ "conntrack-table", CTL_SHOW_CONNTRACK_IPV4, false },
	{ "conntrack-table6", CTL_SHOW_CONNTRACK_IPV6, false },
	{ "sync-cache-empty", CTL_SHOW_SYNC_EXTERNAL, false },
	{ "session-statistics", CTL_SHOW_SESSION_STATISTICS, false },
	{ "session-statistics-na", CTL_SHOW_SESSION_STATISTICS, false },
	{ "session-policy", CTL_SHOW_SESSION_POLICY, false },
	{ "sync-peers", CTL_SHOW_SYNC_PEERS, false },
	{ "sync-queue", CTL_SHOW_SYNC_QUEUE, false },
	{ "sync-lag", CTL_SHOW_SYNC_LAG, false },
	{ "sync-filters", CTL_SHOW_SYNC_FILTERS, false },
	{ "explain", CTL_EXPLAIN_SESSION, false },
	{ "resync", CTL_FORCE_RESYNC, false },
	{ "reset", CTL_RESET_SYNC_EXTERNAL, false },
	{ "restart", CTL_RESTART_SYNC, false },
	{ "cleared", CTL_CLEAR_COUNTERS, false },
	{ "force", CTL_FORCE_FAILOVER, false },
	{ "maintenance", CTL_MAINTENANCE_ENTER, false },
	{ "debug", CTL_NO_DEBUG_VRRP, false },
	{ "stall", CTL_DEBUG_SYNC_STALL, false },
};
#define N_CASES (sizeof(cases) / sizeof(cases[0]))

static char *text_of(enum ctl_cmd cmd, const json_t *data, bool detail)
{
	char *buf = NULL;
	size_t len;
	FILE *f = open_memstream(&buf, &len);

	ck_assert_ptr_nonnull(f);
	fmt_text(cmd, data, detail, f);
	ck_assert_int_eq(fclose(f), 0);
	return buf;
}

static char *slurp(const char *path)
{
	static char buf[65536];
	FILE *f = fopen(path, "r");

	ck_assert_msg(f != NULL, "%s", path);
	buf[fread(buf, 1, sizeof(buf) - 1, f)] = '\0';
	fclose(f);
	return buf;
}

START_TEST(golden)
{
	char path[400];
	json_error_t err;
	const char *mode = getenv("KT_GOLDEN");

	snprintf(path, sizeof(path), DIR "%s.json", cases[_i].name);
	json_t *data = json_load_file(path, JSON_REJECT_DUPLICATES, &err);
	ck_assert_msg(data != NULL, "%s: %s", path, err.text);
	char *got = text_of(cases[_i].cmd, data, cases[_i].detail);
	snprintf(path, sizeof(path), DIR "%s.txt", cases[_i].name);
	if (mode && strcmp(mode, "write") == 0) {
		FILE *f = fopen(path, "w");
		ck_assert_ptr_nonnull(f);
		fputs(got, f);
		fclose(f);
	}
	ck_assert_str_eq(got, slurp(path));
	free(got);
	json_decref(data);
}
END_TEST

/* A daemon of another version may leave out what we know: nothing breaks. */
START_TEST(empty_objects)
{
	json_t *empty = json_object();

	for (int c = 0; c < CTL_CMD_N; c++) {
		free(text_of((enum ctl_cmd)c, empty, false));
		free(text_of((enum ctl_cmd)c, empty, true));
		free(text_of((enum ctl_cmd)c, NULL, false));
	}
	json_decref(empty);
}
END_TEST

START_TEST(durations)
{
	static const struct {
		json_int_t us;
		const char *text;
	} t[] = { { 0, "0.000 ms" },           { 8200, "8.200 ms" },          { 999999, "999.999 ms" },
		  { 1000000, "1.000 s" },      { 59999999, "59.999 s" },      { 60000000, "00:01:00" },
		  { 86399000000, "23:59:59" }, { 266400000000, "3d02:00:00" } };
	char buf[40];

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		ck_assert_str_eq(fmt_us(t[i].us, buf, sizeof(buf)), t[i].text);
	ck_assert_str_eq(fmt_wall(0, buf, sizeof(buf)), "-");
	ck_assert_str_eq(fmt_wall(1700000000123456, buf, sizeof(buf)), "2023-11-14 22:13:20.123");
}
END_TEST

/* Programs that read conntrackd's statistics find the same lines: words, tabs and widths. */
START_TEST(statistics_have_the_known_form)
{
	const char *text = slurp(DIR "sync-statistics.txt");
	static const char *const lines[] = {
		"\ncache internal:\n",
		"\ncurrent active connections:\t          10\n",
		"\nconnections created:\t\t        8517\tfailed:\t           0\n",
		"\ncache external:\n",
		"\ntraffic processed:\n                   0 Bytes                         0 Pckts\n",
		"              868780 Bytes sent               224136 Bytes recv\n",
		"               20595 Pckts sent                14034 Pckts recv\n",
		"                   0 Error send                    0 Error recv\n",
		"\nmessage tracking:\n                   0 Malformed msgs                    0 Lost msgs\n",
	};

	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		ck_assert_msg(strstr(text, lines[i]) != NULL, "lacks '%s'", lines[i]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fmt");
	TCase *t = tcase_create("all");

	setenv("TZ", "UTC", 1);
	tzset();
	tcase_add_loop_test(t, golden, 0, (int)N_CASES);
	tcase_add_test(t, empty_objects);
	tcase_add_test(t, durations);
	tcase_add_test(t, statistics_have_the_known_form);
	suite_add_tcase(s, t);
	return unit_run(s);
}
