/* The command line: options in, one of the small commands or the daemon. The only object outside a library. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/app.h"
#include "daemon/cfg.h"
#include "sync/key_file.h"

#define DEFAULT_CONFIG SYSCONFDIR "/keeptrackd/keeptrackd.conf"

static void usage(FILE *out)
{
	fprintf(out,
		"Usage: keeptrackd [-n] [-l] [-f FILE] [-p FILE]\n"
		"       keeptrackd -t | -T [-f FILE]\n"
		"       keeptrackd --genkey FILE\n"
		"\n"
		"  -f, --config FILE   configuration (default %s)\n"
		"  -n, --dont-fork     stay in the foreground\n"
		"  -l, --log-console   log to stderr as well\n"
		"  -p, --pid FILE      pid file (default: keeptrackd.pid in the run directory)\n"
		"  -t, --config-test   check the configuration, say what is wrong, and end\n"
		"  -T, --print-config  print the configuration in canonical form, and end\n"
		"      --genkey FILE   make a new key file for the channel, and end\n"
		"  -v, --version       print the version, and end\n"
		"  -h, --help          print this text, and end\n",
		DEFAULT_CONFIG);
}

static int check_config(const char *path, bool print)
{
	struct cfg_errors errs = { 0 };
	struct cfg *c = cfg_load(path, &errs);
	for (unsigned i = 0; i < errs.n; i++)
		fprintf(stderr, "%s\n", errs.list[i].text);
	if (!c) {
		cfg_errors_free(&errs);
		return 2;
	}
	if (print)
		cfg_print(c, stdout);
	else
		fprintf(stderr, "%s: the configuration is valid\n", path);
	cfg_errors_free(&errs);
	cfg_free(c);
	return 0;
}

static int generate_key(const char *path)
{
	char err[256] = "";
	if (key_file_generate(path, err, sizeof(err)) < 0) {
		fprintf(stderr, "keeptrackd: %s\n", err);
		return 1;
	}
	fprintf(stderr, "%s: new key written; copy this file to the other nodes\n", path);
	return 0;
}

int main(int argc, char **argv)
{
	enum { OPT_GENKEY = 256 };
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'f' },
		{ "dont-fork", no_argument, NULL, 'n' },
		{ "log-console", no_argument, NULL, 'l' },
		{ "pid", required_argument, NULL, 'p' },
		{ "config-test", no_argument, NULL, 't' },
		{ "print-config", no_argument, NULL, 'T' },
		{ "genkey", required_argument, NULL, OPT_GENKEY },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct app_options opt = { .config = DEFAULT_CONFIG };
	bool test = false, print = false;
	int c;
	while ((c = getopt_long(argc, argv, "f:nlp:tTvh", options, NULL)) != -1) {
		switch (c) {
		case 'f':
			opt.config = optarg;
			break;
		case 'n':
			opt.foreground = true;
			break;
		case 'l':
			opt.log_console = true;
			break;
		case 'p':
			opt.pid_file = optarg;
			break;
		case 't':
			test = true;
			break;
		case 'T':
			print = true;
			break;
		case OPT_GENKEY:
			return generate_key(optarg);
		case 'v':
			fprintf(stderr, "keeptrackd v%s\n", KT_VERSION);
			return 0;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 1;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "keeptrackd: unexpected argument '%s'\n", argv[optind]);
		usage(stderr);
		return 1;
	}
	if (test || print)
		return check_config(opt.config, print);
	return app_run(&opt);
}
