/* The command line: options in, one of the small commands or the daemon. The only object outside a library. */
#include <errno.h>
#include <getopt.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/app.h"
#include "daemon/cfg.h"
#include "daemon/cfg_say.h"
#include "daemon/dropin/convert.h"
#include "daemon/dropin/ctd_main.h"
#include "daemon/dropin/kalive.h"
#include "daemon/dropin/persona.h"
#include "sync/key_file.h"

#define DEFAULT_CONFIG SYSCONFDIR "/keeptrackd/keeptrackd.conf"

static void usage(FILE *out)
{
	fprintf(
	    out,
	    "Usage: keeptrackd [-n] [-l] [-f FILE] [-p FILE]\n"
	    "       keeptrackd -t | -T [-f FILE]\n"
	    "       keeptrackd --genkey FILE\n"
	    "       keeptrackd check-pair [--json] [--detail] [--socket PATH]\n"
	    "       keeptrackd convert KEEPALIVED.CONF [CONNTRACKD.CONF]\n"
	    "\n"
	    "  -f, --config FILE   configuration (default %s)\n"
	    "  -n, --dont-fork     stay in the foreground\n"
	    "  -l, --log-console   log to stderr as well\n"
	    "  -p, --pid FILE      pid file (default: keeptrackd.pid in the run directory)\n"
	    "  -t, --config-test   check the configuration, say what is wrong, and end\n"
	    "  -T, --print-config  print the configuration in canonical form, and end\n"
	    "      --genkey FILE   make a new key file for the channel, and end\n"
	    "  -v, --version       print the version, and end\n"
	    "  -h, --help          print this text, and end\n"
	    "\n"
	    "check-pair asks the running daemon what differs between the nodes and what that means for a takeover.\n"
	    "It ends with 0: nothing that matters; 1: differences; 2: not compared.\n"
	    "convert prints the configuration of these programs as ours, and at its end what has no counterpart.\n",
	    DEFAULT_CONFIG);
}

static int check_config(const char *path, bool print)
{
	struct cfg_errors errs = { 0 };
	struct cfg *c = cfg_load(path, &errs);
	bool usable = c && (print || app_peer_key(c, &errs));
	cfg_say(&errs, true, stderr);
	if (!usable) {
		cfg_errors_free(&errs);
		cfg_free(c);
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

/* ktsh beside this program, else where it is installed. */
static void find_shell(char *out, size_t cap)
{
	ssize_t n = readlink("/proc/self/exe", out, cap - sizeof("/ktsh"));
	char *slash = NULL;
	if (n > 0) {
		out[n] = '\0';
		slash = strrchr(out, '/');
	}
	if (slash) {
		memcpy(slash, "/ktsh", sizeof("/ktsh"));
		if (access(out, X_OK) == 0)
			return;
	}
	snprintf(out, cap, "%s/ktsh", BINDIR);
}

/* The shell does the work; its many codes become three. */
static int run_shell(char *const args[])
{
	enum { EQUAL = 0, DIFFERENT = 1, NOT_COMPARED = 2 };
	pid_t pid;
	int status = 0, rc = posix_spawn(&pid, args[0], NULL, NULL, args, environ);
	if (rc != 0) {
		fprintf(stderr, "keeptrackd: %s: %s\n", args[0], strerror(rc));
		return NOT_COMPARED;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status))
		return NOT_COMPARED;
	return WEXITSTATUS(status) == CTL_OK ? EQUAL : WEXITSTATUS(status) == CTL_DIFFERS ? DIFFERENT : NOT_COMPARED;
}

static int check_pair(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "detail", no_argument, NULL, 'd' },
		{ "socket", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	char shell[4096], dash_s[] = "-s", show[] = "show", pair[] = "pair", detail[] = "detail", json[] = "json";
	char *args[8] = { shell };
	unsigned n = 1;
	bool want_json = false, want_detail = false;
	int c;
	while ((c = getopt_long(argc, argv, "jds:h", options, NULL)) != -1) {
		if (c == 's' && n == 1) {
			args[n++] = dash_s;
			args[n++] = optarg;
		} else if (c == 'j') {
			want_json = true;
		} else if (c == 'd') {
			want_detail = true;
		} else {
			usage(c == 'h' ? stdout : stderr);
			return c == 'h' ? 0 : 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "keeptrackd: unexpected argument '%s'\n", argv[optind]);
		return 2;
	}
	args[n++] = show;
	args[n++] = pair;
	if (want_detail)
		args[n++] = detail;
	if (want_json)
		args[n++] = json;
	find_shell(shell, sizeof(shell));
	return run_shell(args);
}

static int keeptrackd(int argc, char **argv)
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
	if (argc > 1 && strcmp(argv[1], "check-pair") == 0)
		return check_pair(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "convert") == 0)
		return convert_main(argc - 1, argv + 1);
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

int main(int argc, char **argv)
{
	switch (persona_of(argv[0])) {
	case PERSONA_KEEPALIVED:
		return kalive_main(argc, argv);
	case PERSONA_CONNTRACKD:
		return ctd_main(argc, argv);
	case PERSONA_KEEPTRACKD:
		break;
	}
	return keeptrackd(argc, argv);
}
