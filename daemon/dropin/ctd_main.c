/* conntrackd's command line. */
#include "daemon/dropin/ctd_main.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/dropin/dconf_io.h"

static void usage(const char *name, FILE *out)
{
	fprintf(out,
		"Connection tracking userspace daemon v1.4.7\n"
		"Usage: %s [commands] [options]\n\n"
		"General commands:\n"
		"  -d, run in daemon mode\n"
		"  -C [configfile], configuration file path\n"
		"  -v, display conntrackd version\n"
		"  -h, display this help information\n\n"
		"Client mode commands:\n"
		"  -c [ct|expect], nothing to do: takeovers commit by themselves\n"
		"  -f [internal|external], make what a cache concludes anew\n"
		"  -F [ct|expect], refused: the kernel's table is not emptied here\n"
		"  -i [ct|expect], list the sessions of this router\n"
		"  -e [ct|expect], list the copies of other routers' sessions\n"
		"  -k, end conntrackd\n"
		"  -s [network|cache|runtime|link|rsqueue|queue|ct|expect], statistics\n"
		"  -R [ct|expect], compare all sessions with the kernel\n"
		"  -n, compare all sessions with the other routers\n"
		"  -B, the same as -n\n"
		"  -x, XML (with -i or -e)\n"
		"  -t, nothing to do: copies end with their sessions\n\n",
		name);
}

/* ---- options ---- */

static void bad(struct ctd_args *a, bool usage_ok, const char *fmt, const char *word, char option)
{
	if (a->ask.verb == CTD_BAD)
		return;
	a->ask.verb = CTD_BAD;
	a->usage_ok = usage_ok;
	snprintf(a->error, sizeof(a->error), "%s", fmt);
	if (word)
		snprintf(a->error, sizeof(a->error), "%s `%.60s' for option `-%c'", fmt, word, option);
}

/* A word behind a verb: "ct" or the beginning of "expect". */
static void table_word(struct ctd_args *a, const char *word, char option)
{
	a->ask.expect = false;
	if (!word || strncmp(word, "ct", strlen(word)) == 0)
		return;
	if (*word && strncmp("expect", word, strlen(word)) == 0)
		a->ask.expect = true;
	else
		bad(a, false, "unknown parameter", word, option);
}

static void flush_word(struct ctd_args *a, const char *word)
{
	a->ask.internal = a->ask.external = false;
	if (!word)
		return;
	a->ask.internal = strncmp("internal", word, strlen(word)) == 0;
	a->ask.external = strncmp("external", word, strlen(word)) == 0;
	if (a->ask.internal == a->ask.external)
		bad(a, false, "unknown parameter", word, 'f');
}

/* The letter's verb; word: what stands behind it, NULL if nothing does. True: the word belongs to it. */
static bool take(struct ctd_args *a, char letter, const char *word)
{
	static const struct {
		char letter;
		enum ctd_verb verb;
		bool table; /* ct or expect may follow */
	} verbs[] = {
		{ 'c', CTD_COMMIT, true },   { 'F', CTD_FLUSH_KERNEL, true }, { 'R', CTD_RESYNC_KERNEL, true },
		{ 'i', CTD_INTERNAL, true }, { 'e', CTD_EXTERNAL, true },     { 'B', CTD_BULK, false },
		{ 'n', CTD_RESYNC, false },  { 't', CTD_PURGE, false },       { 'k', CTD_KILL, false },
		{ 'v', CTD_VERSION, false }, { 'h', CTD_HELP, false },
	};
	for (unsigned i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (verbs[i].letter != letter)
			continue;
		a->ask.verb = verbs[i].verb;
		if (verbs[i].table)
			table_word(a, word, letter);
		return verbs[i].table && word;
	}
	if (letter == 'f') {
		a->ask.verb = CTD_FLUSH;
		flush_word(a, word);
		return word != NULL;
	}
	a->ask.verb = CTD_STATS; /* s */
	if (!ctd_view_find(word, &a->ask.view))
		bad(a, false, "unknown parameter", word, 's');
	return word != NULL;
}

void ctd_args_parse(struct ctd_args *a, int argc, char **argv)
{
	*a = (struct ctd_args){ .config = CTD_CONFIG };
	for (int i = 1; i < argc && a->ask.verb != CTD_BAD; i++) {
		const char *arg = argv[i], *word = i + 1 < argc && argv[i + 1][0] != '-' ? argv[i + 1] : NULL;
		char letter = arg[0] == '-' && arg[1] && !arg[2] ? arg[1] : '\0';
		if (letter == 'd') {
			a->background = true;
		} else if (letter == 'x') {
			a->ask.xml = true;
		} else if (letter == 'C') {
			if (!word)
				bad(a, false, "Missing config filename", NULL, 'C');
			a->config = word;
			i++;
		} else if (letter && strchr("cFRieBntkvhfs", letter)) {
			i += take(a, letter, word);
		} else {
			bad(a, true, "Unknown option: ", NULL, 0);
			snprintf(a->error, sizeof(a->error), "Unknown option: %.100s", arg);
		}
	}
	bool lists = a->ask.verb == CTD_INTERNAL || a->ask.verb == CTD_EXTERNAL;
	if ((a->background && a->ask.verb != CTD_RUN) || (a->ask.xml && !lists))
		bad(a, false, "Invalid parameters", NULL, 0);
}

/* ---- clients ---- */

void ctd_say_errors(const struct cfg_errors *errs)
{
	for (unsigned i = 0; i < errs->n_warnings; i++)
		ctd_say("warning", "%s", errs->warnings[i].text);
	for (unsigned i = 0; i < errs->n; i++)
		ctd_say("ERROR", "%s", errs->list[i].text);
}

static int client(const struct ctd_args *args)
{
	struct cfg_errors errs = { 0 };
	struct cfg_tree *t = cfg_tree_new(args->config);
	struct dconf_proc proc;
	int rc = 1;

	if (access(args->config, R_OK) < 0) {
		ctd_say("ERROR", "can't open config file `%s'", args->config);
	} else if (!cfg_read_conntrackd(t, args->config, NULL, &proc, &errs)) {
		ctd_say_errors(&errs);
	} else {
		rc = ctd_client(&args->ask, proc.socket, &proc.links[0], stdout);
	}
	cfg_errors_free(&errs);
	cfg_tree_free(t);
	return rc;
}

int ctd_main(int argc, char **argv)
{
	struct ctd_args args;

	ctd_args_parse(&args, argc, argv);
	switch (args.ask.verb) {
	case CTD_RUN:
		return ctd_run(&args, argv);
	case CTD_BAD:
		ctd_say("ERROR", "%s", args.error);
		if (args.usage_ok || strcmp(args.error, "Invalid parameters") == 0)
			usage(argv[0], stdout);
		return args.usage_ok ? 0 : 1;
	case CTD_HELP:
		usage(argv[0], stdout);
		return 0;
	case CTD_VERSION:
		printf("Connection tracking userspace daemon v1.4.7. Licensed under GPLv2.\n"
		       "(this is keeptrackd v%s in its place)\n",
		       KT_VERSION);
		return 0;
	case CTD_COMMIT:
	case CTD_FLUSH:
	case CTD_FLUSH_KERNEL:
	case CTD_RESYNC_KERNEL:
	case CTD_BULK:
	case CTD_RESYNC:
	case CTD_PURGE:
	case CTD_KILL:
	case CTD_STATS:
	case CTD_INTERNAL:
	case CTD_EXTERNAL:
		return client(&args);
	}
	return 1;
}
