/* keepalived's command line. Expected texts are those of keepalived 2.2.7. */
#include "daemon/dropin/kalive_opts.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "tests/unit/run.h"

#define WORDS_MAX 12

static struct kalive_opts o;
static char buf[WORDS_MAX][80];
static char *argv[WORDS_MAX + 1];

/* The words of a command line, the program's name not among them. */
static void parse(const char *line)
{
	char copy[400];
	int argc = 0;
	snprintf(copy, sizeof(copy), "keepalived %s", line);
	for (char *save = NULL, *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		ck_assert_int_lt(argc, WORDS_MAX);
		snprintf(buf[argc], sizeof(buf[argc]), "%s", w);
		argv[argc] = buf[argc];
		argc++;
	}
	argv[argc] = NULL;
	kalive_opts_parse(&o, argc, argv);
}

START_TEST(defaults)
{
	parse("");
	ck_assert_int_eq(o.what, KALIVE_RUN);
	ck_assert_str_eq(o.config, "/etc/keepalived/keepalived.conf");
	ck_assert_ptr_null(o.pid);
	ck_assert_ptr_null(o.vrrp_pid);
	ck_assert_ptr_null(o.namespace);
	ck_assert_ptr_null(o.config_id);
	ck_assert_ptr_null(o.log_file);
	ck_assert_int_eq(o.facility, 3);
	ck_assert_int_eq(o.umask, -1);
	ck_assert(o.syslog && !o.console && !o.foreground && !o.no_vrrp && !o.keep_vips);
	ck_assert_int_eq(o.first_extra, 1);
}
END_TEST

/* Each with the command line that somebody uses. */
START_TEST(consumers)
{
	parse("-P -f /ha/keepalived.conf -p /ha/r.pid.keepalived -r /ha/r.pid.keepalived-vrrp -D");
	ck_assert_int_eq(o.what, KALIVE_RUN);
	ck_assert_str_eq(o.config, "/ha/keepalived.conf");
	ck_assert_str_eq(o.pid, "/ha/r.pid.keepalived");
	ck_assert_str_eq(o.vrrp_pid, "/ha/r.pid.keepalived-vrrp");
	ck_assert(o.no_checkers && !o.foreground);
	ck_assert_uint_eq(o.detail, 1);
	parse("--log-facility=2 -f /o/octavia.conf -p /o/o.pid -r /o/v.pid -c /o/c.pid");
	ck_assert_int_eq(o.facility, 18);
	ck_assert_str_eq(o.checkers_pid, "/o/c.pid");
	parse("-nld -p /run/keepalived.pid");
	ck_assert(o.foreground && o.console && o.dump);
	ck_assert_str_eq(o.pid, "/run/keepalived.pid");
	parse("-f /etc/keepalived/keepalived.conf --dont-fork --vrrp --log-detail --log-console");
	ck_assert(o.foreground && o.console && o.no_checkers);
	parse("--use-file /run/keepalived/keepalived.conf --pid /run/keepalived/keepalived.pid --dont-fork --snmp");
	ck_assert_str_eq(o.config, "/run/keepalived/keepalived.conf");
	ck_assert_str_eq(o.pid, "/run/keepalived/keepalived.pid");
	ck_assert(o.snmp);
	parse("--config-test -f /tmp/new.conf");
	ck_assert_int_eq(o.what, KALIVE_TEST);
	ck_assert_ptr_null(o.test_log);
	ck_assert_str_eq(o.config, "/tmp/new.conf");
	parse("-l -t -f /tmp/new.conf");
	ck_assert_int_eq(o.what, KALIVE_TEST);
	parse("-f /etc/keepalived/keepalived.conf --config-id=pod-7 --dont-fork --release-vips");
	ck_assert_str_eq(o.config_id, "pod-7");
	parse("--signum=JSON");
	ck_assert_int_eq(o.what, KALIVE_SIGNUM);
	ck_assert_str_eq(o.signum, "JSON");
}
END_TEST

START_TEST(bundles_and_parameters)
{
	parse("-nlDDf/a/b -s net7");
	ck_assert_str_eq(o.config, "/a/b");
	ck_assert_str_eq(o.namespace, "net7");
	ck_assert_uint_eq(o.detail, 2);
	parse("-tlog.txt");
	ck_assert_str_eq(o.test_log, "log.txt");
	parse("-t log.txt"); /* an optional parameter stands in the same word */
	ck_assert_ptr_null(o.test_log);
	ck_assert_int_eq(o.first_extra, 2);
	parse("-t=log.txt");
	ck_assert_str_eq(o.test_log, "=log.txt");
	parse("--config-test=log.txt");
	ck_assert_str_eq(o.test_log, "log.txt");
	parse("-Mcore.%p");
	ck_assert(o.core);
	ck_assert_str_eq(o.core_pattern, "core.%p");
	parse("-M -m");
	ck_assert_str_eq(o.core_pattern, "core");
	parse("-g");
	ck_assert_str_eq(o.log_file, "/tmp/keepalived.log");
	parse("-g/l.log --flush-log-file");
	ck_assert_str_eq(o.log_file, "/l.log");
	ck_assert(o.flush_log);
	parse("--log-fac=local5 -G"); /* abbreviated */
	ck_assert_int_eq(o.facility, 21);
	ck_assert(!o.syslog);
	parse("extra -n more");
	ck_assert(o.foreground);
	ck_assert_int_eq(o.first_extra, 2);
	parse("-n -- -D");
	ck_assert_uint_eq(o.detail, 0);
}
END_TEST

START_TEST(facilities)
{
	static const struct {
		const char *line;
		int code;
	} rows[] = {
		{ "-S 0", 16 },   { "-S7", 23 },      { "-S local7", 23 },
		{ "-S user", 1 }, { "-S daemon", 3 }, { "-S authpriv", 10 },
	};
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		parse(rows[i].line);
		ck_assert_int_eq(o.facility, rows[i].code);
		ck_assert_str_eq(o.error, "");
	}
	parse("-S 8");
	ck_assert_int_eq(o.what, KALIVE_RUN);
	ck_assert_int_eq(o.facility, 3);
	ck_assert_str_eq(o.error, "Invalid log facility '8'");
	parse("-S localx");
	ck_assert_int_eq(o.facility, 3);
}
END_TEST

START_TEST(umasks)
{
	parse("-u 022");
	ck_assert_int_eq(o.umask, 022);
	parse("--umask=0x12");
	ck_assert_int_eq(o.umask, 0x12);
	parse("-u 1000");
	ck_assert_int_eq(o.umask, -1);
	ck_assert_str_eq(o.error, "invalid umask value 1000");
	parse("-u -1");
	ck_assert_int_eq(o.umask, -1);
}
END_TEST

/* All of them are known: none is "unknown", none takes the next word by mistake. */
START_TEST(every_option)
{
	static const char *const plain[] = {
		"-P",
		"-C",
		"-B",
		"--all",
		"-l",
		"-D",
		"-G",
		"--flush-log-file",
		"-X",
		"-V",
		"-I",
		"-R",
		"-n",
		"-d",
		"-a",
		"-x",
		"-m",
		"-e",
		"--no-mem-check",
		"-L",
		"-M",
		"-g",
		"--perf",
		"--perf=all",
		"--debug",
		"--debug=DvEcvNR",
		"--vrrp",
		"--check",
		"--no_bfd",
		"--log-console",
		"--log-detail",
		"--no-syslog",
		"--release-vips",
		"--dont-release-vrrp",
		"--dont-release-ipvs",
		"--dont-respawn",
		"--dont-fork",
		"--dump-conf",
		"--address-monitoring",
		"--snmp",
		"--core-dump",
		"--core-dump-pattern",
		"--all-config",
		"--mem-check-log",
	};
	static const char *const with[] = {
		"-f",
		"-u",
		"-p",
		"-r",
		"-c",
		"-b",
		"-A",
		"-s",
		"-i",
		"-S",
		"--use-file",
		"--umask",
		"--pid",
		"--vrrp_pid",
		"--checkers_pid",
		"--bfd_pid",
		"--snmp-agent-socket",
		"--namespace",
		"--config-id",
		"--log-facility",
		"--config-fd",
	};
	char line[80];
	for (unsigned i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		snprintf(line, sizeof(line), "%s next", plain[i]);
		parse(line);
		ck_assert_msg(o.what == KALIVE_RUN, "%s: %s", plain[i], o.error);
		ck_assert_int_eq(o.first_extra, 2);
	}
	for (unsigned i = 0; i < sizeof(with) / sizeof(with[0]); i++) {
		snprintf(line, sizeof(line), "%s 7", with[i]);
		parse(line);
		ck_assert_msg(o.what == KALIVE_RUN, "%s: %s", with[i], o.error);
		ck_assert_int_eq(o.first_extra, 3);
		parse(with[i]);
		ck_assert_int_eq(o.what, KALIVE_BAD);
	}
}
END_TEST

START_TEST(complaints)
{
	parse("-Q");
	ck_assert_int_eq(o.what, KALIVE_BAD);
	ck_assert_str_eq(o.error, "Unknown option -Q");
	parse("-n --nope");
	ck_assert_str_eq(o.error, "Unknown option --nope");
	parse("-n -f");
	ck_assert_str_eq(o.error, "Missing parameter for option -f");
	parse("--use-file=");
	ck_assert_str_eq(o.error, "Missing parameter for option --use-file=");
	parse("--dont-fork=5");
	ck_assert_int_eq(o.what, KALIVE_BAD);
	parse("-v -Q"); /* it has printed the version before it comes to that */
	ck_assert_int_eq(o.what, KALIVE_VERSION);
	parse("-Q -v");
	ck_assert_int_eq(o.what, KALIVE_BAD);
}
END_TEST

START_TEST(first_of_several_wins)
{
	parse("-v -h");
	ck_assert_int_eq(o.what, KALIVE_VERSION);
	parse("-t -h --signum=STOP");
	ck_assert_int_eq(o.what, KALIVE_HELP);
	ck_assert_ptr_null(o.signum);
	parse("--signum=STOP --signum=JSON");
	ck_assert_str_eq(o.signum, "STOP");
	parse("-T 10.0.0.1");
	ck_assert_int_eq(o.what, KALIVE_GENHASH);
}
END_TEST

START_TEST(signal_numbers)
{
	ck_assert_int_eq(kalive_signum("STOP"), 15);
	ck_assert_int_eq(kalive_signum("RELOAD"), 1);
	ck_assert_int_eq(kalive_signum("DATA"), 10);
	ck_assert_int_eq(kalive_signum("STATS"), 12);
	ck_assert_int_eq(kalive_signum("STATS_CLEAR"), 63);
	ck_assert_int_eq(kalive_signum("JSON"), 36);
	ck_assert_int_eq(kalive_signum("json"), -1);
	ck_assert_int_eq(kalive_signum(""), -1);
	ck_assert_int_eq(kalive_signum("TDATA"), -1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("kalive_opts");
	TCase *t = tcase_create("command line");
	tcase_add_test(t, defaults);
	tcase_add_test(t, consumers);
	tcase_add_test(t, bundles_and_parameters);
	tcase_add_test(t, facilities);
	tcase_add_test(t, umasks);
	tcase_add_test(t, every_option);
	tcase_add_test(t, complaints);
	tcase_add_test(t, first_of_several_wins);
	tcase_add_test(t, signal_numbers);
	suite_add_tcase(s, t);
	return unit_run(s);
}
