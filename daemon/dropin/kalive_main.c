/*
 * The program when it is called keepalived.
 */
#include "daemon/dropin/kalive.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include "daemon/base/log.h"

/* Line 1 is what others read; the words of the configuration line are looked for too. */
static int version(void)
{
	struct utsname u;
	fprintf(stderr, "%s\n\n", KALIVE_VERSION_TEXT);
	fprintf(stderr, "keeptrackd %s, which knows the configuration and the command line of keepalived 2.4.3\n",
		KT_VERSION);
	if (uname(&u) == 0)
		fprintf(stderr, "Running on %s %s %s\n", u.sysname, u.release, u.version);
	fprintf(stderr, "\nconfigure options: --enable-json --enable-sha1 --enable-regex --with-init=systemd\n\n");
	fprintf(stderr, "Config options:  NFTABLES VRRP VRRP_AUTH VRRP_VMAC JSON OLD_CHKSUM_COMPAT INIT=systemd\n");
	return KALIVE_EXIT_OK;
}

static int help(const char *name)
{
	fprintf(
	    stderr,
	    "Usage: %s [OPTION...]\n"
	    "  -f, --use-file=FILE          configuration (default " KALIVE_CONFIG ")\n"
	    "  -n, --dont-fork              stay in the foreground\n"
	    "  -l, --log-console            in the foreground, log to standard error too\n"
	    "  -D, --log-detail             accepted: lines are detailed anyway\n"
	    "  -S, --log-facility=NAME      facility of log lines: 0-7, local0-7, user, daemon (default)\n"
	    "  -g, --log-file[=FILE]        log to a file (default /tmp/keepalived.log)\n"
	    "  -G, --no-syslog              do not log to syslog\n"
	    "  -p, --pid=FILE               pid file; several daemons of one machine need one each\n"
	    "  -r, --vrrp_pid=FILE          second pid file, with the same number\n"
	    "  -c, -b                       other pid files: accepted, these processes do not exist\n"
	    "  -s, --namespace=NAME         serve this network namespace\n"
	    "  -i, --config-id=ID           lines that begin with @ID count (default: the host's name)\n"
	    "  -e, --all-config             a missing include is an error\n"
	    "  -P, --vrrp                   VRRP only, as always here\n"
	    "  -V, --dont-release-vrrp      addresses, routes and rules stay when the daemon ends\n"
	    "  -u, --umask=MASK             taken from the mode 0666 of the files that signals have written\n"
	    "  -m, --core-dump              no limit for core files\n"
	    "  -d, --dump-conf              log the data file at the start\n"
	    "      --signum=NAME            number of the signal: STOP, RELOAD, DATA, STATS, STATS_CLEAR, JSON\n"
	    "  -t, --config-test[=FILE]     check the configuration; findings go to standard error or FILE\n"
	    "  -v, --version                print the version\n"
	    "  -h, --help                   print this text\n"
	    "Accepted without effect: -a -B -I -R -X -x -A -M --all --flush-log-file --perf --debug --no-mem-check.\n"
	    "Not served: LVS (-C), genhash (-T). See keeptrackd(8).\n",
	    name);
	return KALIVE_EXIT_OK;
}

static int signum(const char *name)
{
	int n = kalive_signum(name);
	if (n < 0) {
		fprintf(stderr, "Unknown sigfunc %s\n", name);
		return KALIVE_EXIT_FATAL;
	}
	printf("%d\n", n);
	return KALIVE_EXIT_OK;
}

/* What a monitor sends before the loop listens must not end the process. */
static void ignore_early(void)
{
	static const char *const names[] = { "RELOAD", "DATA", "STATS", "STATS_CLEAR", "JSON" };
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		signal(kalive_signum(names[i]), SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
}

static void log_start(const struct kalive *k, int argc, char **argv)
{
	char line[400];
	size_t n = 0;
	for (int i = 0; i < argc && n < sizeof(line); i++)
		n += (size_t)snprintf(line + n, sizeof(line) - n, "%s'%s'", i ? " " : "", argv[i]);
	log_notice(LOG_MAIN, "Starting " KALIVE_VERSION_TEXT);
	log_info(LOG_MAIN, "Command line: %s", line);
	if (k->opts.snmp)
		log_warn(LOG_MAIN, "SNMP is not served: the control socket and the files tell the same");
	if (k->opts.core_pattern)
		log_warn(LOG_MAIN, "-M: /proc/sys/kernel/core_pattern belongs to all programs and stays as it is");
}

static int run(struct kalive *k, int argc, char **argv)
{
	struct stat st;
	snprintf(k->ident, sizeof(k->ident), "Keepalived");
	snprintf(k->ident_router, sizeof(k->ident_router), "Keepalived_vrrp");
	if (k->opts.log_file)
		kalive_absolute(k->opts.log_file, k->log_file, sizeof(k->log_file));
	k->tmp_dir = getenv("TMPDIR");
	if (!k->tmp_dir || k->tmp_dir[0] != '/')
		k->tmp_dir = "/tmp";
	ignore_early();
	kalive_log_open(k, NULL);
	log_start(k, argc, argv);
	int rc = KALIVE_EXIT_OK;
	if (k->opts.no_vrrp) {
		log_err(LOG_MAIN,
			"-C: health checking of real servers is not served here: the original keepalived -C does "
			"that, on the same file and beside this program");
		rc = KALIVE_EXIT_FATAL;
	} else if (stat(k->config, &st) < 0) {
		log_err(LOG_MAIN, "Config files missing '%s'.", k->opts.config);
		rc = KALIVE_EXIT_NO_CONFIG;
	}
	if (rc == KALIVE_EXIT_OK) {
		struct app_options opt = { .config = k->config,
					   .how = { .format = CFG_FORMAT_KEEPALIVED,
						    .config_id = k->opts.config_id,
						    .namespace = k->opts.namespace,
						    .all_includes = k->opts.all_config },
					   .foreground = k->opts.foreground,
					   .keep_at_stop = k->opts.keep_vips,
					   .kalive = k };
		rc = app_run(&opt);
	}
	log_done();
	return rc;
}

int kalive_main(int argc, char **argv)
{
	static struct kalive k;
	const char *slash = strrchr(argv[0], '/');
	k.name = slash ? slash + 1 : argv[0];
	kalive_opts_parse(&k.opts, argc, argv);
	if (k.opts.error[0])
		fprintf(stderr, "%s\n", k.opts.error);
	if (k.opts.what == KALIVE_RUN || k.opts.what == KALIVE_TEST) {
		if (k.opts.first_extra < argc) {
			printf("Unexpected argument(s): ");
			for (int i = k.opts.first_extra; i < argc; i++)
				printf("%s ", argv[i]);
			printf("\n");
			fflush(stdout);
		}
		kalive_absolute(k.opts.config, k.config, sizeof(k.config));
	}
	switch (k.opts.what) {
	case KALIVE_RUN:
		return run(&k, argc, argv);
	case KALIVE_TEST:
		return kalive_test(&k);
	case KALIVE_VERSION:
		return version();
	case KALIVE_HELP:
		return help(argv[0]);
	case KALIVE_SIGNUM:
		return signum(k.opts.signum);
	case KALIVE_GENHASH:
		fprintf(stderr, "genhash belongs to the health checkers, which are not served here\n");
		return KALIVE_EXIT_FATAL;
	case KALIVE_BAD:
		return KALIVE_EXIT_FATAL;
	}
	return KALIVE_EXIT_FATAL;
}
