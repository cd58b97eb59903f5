#include "daemon/dropin/kalive_opts.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Values of long options that have no letter. */
enum { OPT_FLUSH = 256, OPT_ALL, OPT_SIGNUM, OPT_PERF, OPT_DEBUG, OPT_NO_MEM_CHECK, OPT_CONFIG_FD };

static const struct option long_options[] = {
	{ "use-file", required_argument, NULL, 'f' },
	{ "vrrp", no_argument, NULL, 'P' },
	{ "check", no_argument, NULL, 'C' },
	{ "no_bfd", no_argument, NULL, 'B' },
	{ "all", no_argument, NULL, OPT_ALL },
	{ "log-console", no_argument, NULL, 'l' },
	{ "log-detail", no_argument, NULL, 'D' },
	{ "log-facility", required_argument, NULL, 'S' },
	{ "log-file", optional_argument, NULL, 'g' },
	{ "flush-log-file", no_argument, NULL, OPT_FLUSH },
	{ "no-syslog", no_argument, NULL, 'G' },
	{ "umask", required_argument, NULL, 'u' },
	{ "release-vips", no_argument, NULL, 'X' },
	{ "dont-release-vrrp", no_argument, NULL, 'V' },
	{ "dont-release-ipvs", no_argument, NULL, 'I' },
	{ "dont-respawn", no_argument, NULL, 'R' },
	{ "dont-fork", no_argument, NULL, 'n' },
	{ "dump-conf", no_argument, NULL, 'd' },
	{ "pid", required_argument, NULL, 'p' },
	{ "vrrp_pid", required_argument, NULL, 'r' },
	{ "genhash", no_argument, NULL, 'T' },
	{ "checkers_pid", required_argument, NULL, 'c' },
	{ "address-monitoring", no_argument, NULL, 'a' },
	{ "bfd_pid", required_argument, NULL, 'b' },
	{ "snmp", no_argument, NULL, 'x' },
	{ "snmp-agent-socket", required_argument, NULL, 'A' },
	{ "core-dump", no_argument, NULL, 'm' },
	{ "core-dump-pattern", optional_argument, NULL, 'M' },
	{ "no-mem-check", no_argument, NULL, OPT_NO_MEM_CHECK },
	{ "mem-check-log", no_argument, NULL, 'L' },
	{ "namespace", required_argument, NULL, 's' },
	{ "all-config", no_argument, NULL, 'e' },
	{ "config-id", required_argument, NULL, 'i' },
	{ "signum", required_argument, NULL, OPT_SIGNUM },
	{ "config-test", optional_argument, NULL, 't' },
	{ "config-fd", required_argument, NULL, OPT_CONFIG_FD },
	{ "perf", optional_argument, NULL, OPT_PERF },
	{ "debug", optional_argument, NULL, OPT_DEBUG },
	{ "version", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static const char short_options[] = ":vhlndu:DRS:f:p:i:es:mM::g::Gt::PCr:VXac:ITBb:xA:L";

int kalive_signum(const char *name)
{
	static const struct {
		const char *name;
		int offset; /* from SIGRTMIN, or from SIGRTMAX where it is negative */
		int number; /* 0: of real time */
	} signals[] = {
		{ "STOP", 0, SIGTERM },  { "RELOAD", 0, SIGHUP },  { "DATA", 0, SIGUSR1 },
		{ "STATS", 0, SIGUSR2 }, { "STATS_CLEAR", -1, 0 }, { "JSON", 2, 0 },
	};
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		if (strcmp(name, signals[i].name) != 0)
			continue;
		if (signals[i].number)
			return signals[i].number;
		return signals[i].offset < 0 ? SIGRTMAX + signals[i].offset : SIGRTMIN + signals[i].offset;
	}
	return -1;
}

static bool small_number(const char *text, unsigned max, int *out)
{
	char *end;
	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	unsigned long n = strtoul(text, &end, 0);
	if (errno || *end || n > max)
		return false;
	*out = (int)n;
	return true;
}

/* 0 to 7 and local0 to local7, or the name of another one. What is none is said and has no effect. */
static bool facility_of(const char *text, int *code)
{
	enum { LOCAL0 = 16 };
	static const struct {
		const char *name;
		int code;
	} names[] = {
		{ "kern", 0 },      { "user", 1 }, { "mail", 2 },     { "daemon", 3 }, { "auth", 4 },
		{ "syslog", 5 },    { "lpr", 6 },  { "news", 7 },     { "uucp", 8 },   { "cron", 9 },
		{ "authpriv", 10 }, { "ftp", 11 }, { "security", 4 },
	};
	int n;
	if (small_number(strncmp(text, "local", 5) == 0 ? text + 5 : text, 7, &n)) {
		*code = LOCAL0 + n;
		return true;
	}
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i].name) == 0) {
			*code = names[i].code;
			return true;
		}
	}
	return false;
}

static void complain(struct kalive_opts *o, const char *what, const char *word)
{
	if (o->what != KALIVE_RUN && o->what != KALIVE_TEST)
		return; /* the first one is told, and what is done instead of running is done before this is seen */
	o->what = KALIVE_BAD;
	snprintf(o->error, sizeof(o->error), "%s %.120s", what, word);
}

/* An option whose letter or name is not known, or that lacks its parameter. word: the argument that it stands in. */
static void complain_option(struct kalive_opts *o, const char *what, const char *word)
{
	char letter[3] = { '-', (char)optopt, '\0' };
	bool is_short = word[0] == '-' && word[1] != '-';
	complain(o, what, is_short && optopt > 0 && optopt < 128 ? letter : word);
}

/* What a program does instead of running. The first one counts, as it ends keepalived at once. */
static void instead(struct kalive_opts *o, enum kalive_do what)
{
	if (o->what == KALIVE_RUN || o->what == KALIVE_TEST)
		o->what = what;
}

static const char *text_or_null(const char *text)
{
	return text && text[0] ? text : NULL;
}

/* What is logged and how it runs. False: none of these. */
static bool take_switch(struct kalive_opts *o, int c)
{
	switch (c) {
	case 'l':
		o->console = true;
		return true;
	case 'D':
		o->detail++;
		return true;
	case 'G':
		o->syslog = false;
		return true;
	case OPT_FLUSH:
		o->flush_log = true;
		return true;
	case 'n':
		o->foreground = true;
		return true;
	case 'd':
		o->dump = true;
		return true;
	case 'e':
		o->all_config = true;
		return true;
	case 'P':
		o->no_checkers = true;
		return true;
	case 'C':
		o->no_vrrp = true;
		return true;
	case OPT_ALL:
		o->no_vrrp = o->no_checkers = false;
		return true;
	case 'V':
		o->keep_vips = true;
		return true;
	case 'a':
		o->monitor = true;
		return true;
	case 'm':
		o->core = true;
		return true;
	case 'x':
		o->snmp = true;
		return true;
	/* No effect: there are no BFD and checker processes to start or respawn, no debugging allocator, and
	 * addresses are always released as a transaction. */
	case 'B':
	case 'I':
	case 'R':
	case 'X':
	case 'L':
	case OPT_NO_MEM_CHECK:
		return true;
	}
	return false;
}

/* Those with a parameter. */
static void take_value(struct kalive_opts *o, int c)
{
	switch (c) {
	case 'f':
		o->config = optarg;
		return;
	case 'p':
		o->pid = optarg;
		return;
	case 'r':
		o->vrrp_pid = optarg;
		return;
	case 'c':
		o->checkers_pid = optarg;
		return;
	case 'b':
		o->bfd_pid = optarg;
		return;
	case 's':
		o->namespace = optarg;
		return;
	case 'i':
		o->config_id = optarg;
		return;
	case 'g':
		o->log_file = text_or_null(optarg) ? optarg : "/tmp/keepalived.log";
		return;
	case 'M':
		o->core = true;
		o->core_pattern = text_or_null(optarg) ? optarg : "core";
		return;
	case 'S':
		if (!facility_of(optarg, &o->facility))
			snprintf(o->error, sizeof(o->error), "Invalid log facility '%.120s'", optarg);
		return;
	case 'u':
		if (!small_number(optarg, 0777, &o->umask))
			snprintf(o->error, sizeof(o->error), "invalid umask value %.120s", optarg);
		return;
	}
	/* A, --perf, --debug, --config-fd: no effect */
}

static void take(struct kalive_opts *o, int c)
{
	switch (c) {
	case 'v':
		instead(o, KALIVE_VERSION);
		return;
	case 'h':
		instead(o, KALIVE_HELP);
		return;
	case 'T':
		instead(o, KALIVE_GENHASH);
		return;
	case OPT_SIGNUM:
		if (o->what == KALIVE_RUN || o->what == KALIVE_TEST)
			o->signum = optarg;
		instead(o, KALIVE_SIGNUM);
		return;
	case 't':
		if (o->what == KALIVE_RUN)
			o->what = KALIVE_TEST;
		o->test_log = text_or_null(optarg);
		return;
	}
	if (!take_switch(o, c))
		take_value(o, c);
}

void kalive_opts_parse(struct kalive_opts *o, int argc, char **argv)
{
	*o = (struct kalive_opts){ .config = KALIVE_CONFIG, .facility = 3, .umask = -1, .syslog = true };
	optind = 0; /* begins anew, also where it was used before */
	opterr = 0;
	int c, at = 1, index = -1;
	while ((c = getopt_long(argc, argv, short_options, long_options, &index)) != -1) {
		const char *word = at < argc ? argv[at] : "";
		bool empty = index >= 0 && long_options[index].has_arg == required_argument && optarg && !optarg[0];
		if (c == '?')
			complain_option(o, "Unknown option", word);
		else if (c == ':' || empty)
			complain_option(o, "Missing parameter for option", word);
		else
			take(o, c);
		at = optind;
		index = -1;
	}
	o->first_extra = optind;
}
