/* keeptrackd convert KEEPALIVED.CONF [CONNTRACKD.CONF] */
#include "daemon/dropin/convert.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "daemon/cfg_tree.h"
#include "daemon/dropin/dconf_io.h"

enum { CONVERT_WHOLE = 0, CONVERT_LOSS = 1, CONVERT_FAILED = 2 };

static void usage(FILE *out)
{
	fputs(
	    "Usage: keeptrackd convert [-i ID] KEEPALIVED.CONF [CONNTRACKD.CONF] > keeptrackd.conf\n"
	    "\n"
	    "  -i, --config-id ID  lines that begin with @ID count (default: the host's name)\n"
	    "\n"
	    "It ends with 0: nothing that matters is lost; 1: see the comments at the end; 2: a file cannot be read.\n",
	    out);
}

static void comments(const char *title, const struct cfg_error *list, unsigned n)
{
	if (n)
		printf("\n# %s\n", title);
	for (unsigned i = 0; i < n; i++)
		printf("#   %s\n", list[i].text);
}

/* What could not be said; true when it matters. */
static bool findings(const struct cfg_errors *errs)
{
	comments("Not possible here, and not written above:", errs->list, errs->n);
	comments("Left out or changed, as keepalived and conntrackd do it, or because it is not possible here:",
		 errs->warnings, errs->n_warnings);
	comments("Missing on this machine, and so not written above:", errs->missing, errs->n_missing);
	comments("Without effect here, and not needed:", errs->notes, errs->n_notes);
	if (errs->not_served[0])
		printf("\n# For another program:\n#   %s\n", errs->not_served);
	return errs->n || errs->n_warnings || errs->n_missing || errs->not_served[0];
}

static int convert(const char *keepalived, const char *conntrackd, const char *id)
{
	const struct cfg_how how = { .format = CFG_FORMAT_KEEPALIVED, .config_id = id, .conntrackd = conntrackd };
	struct cfg_errors errs = { 0 };
	struct cfg_tree *t = cfg_tree_read_as(keepalived, &how, &errs);
	struct dconf_proc proc;
	bool loss;

	if (!t) {
		for (unsigned i = 0; i < errs.n; i++)
			fprintf(stderr, "%s\n", errs.list[i].text);
		cfg_errors_free(&errs);
		return CONVERT_FAILED;
	}
	if (conntrackd && access(conntrackd, R_OK) < 0) {
		fprintf(stderr, "%s: %s\n", conntrackd, strerror(errno));
		cfg_errors_free(&errs);
		cfg_tree_free(t);
		return CONVERT_FAILED;
	}
	if (conntrackd)
		cfg_read_conntrackd(t, conntrackd, NULL, &proc, &errs);
	/* What the result itself says is no loss; what cannot be used is. */
	struct cfg_errors meaning = { 0 };
	t->shared = false; /* as the native file is judged */
	if (!errs.n)
		cfg_check(t, &meaning);
	printf("# Made of %s%s%s by keeptrackd convert.\n\n", keepalived, conntrackd ? " and " : "",
	       conntrackd ? conntrackd : "");
	cfg_tree_print_given(t, stdout);
	loss = findings(&errs);
	comments("Contradictions:", meaning.list, meaning.n);
	loss |= meaning.n > 0;
	cfg_errors_free(&meaning);
	cfg_errors_free(&errs);
	cfg_tree_free(t);
	return loss ? CONVERT_LOSS : CONVERT_WHOLE;
}

int convert_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config-id", required_argument, NULL, 'i' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *id = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "i:h", options, NULL)) != -1) {
		if (c != 'i') {
			usage(c == 'h' ? stdout : stderr);
			return c == 'h' ? CONVERT_WHOLE : CONVERT_FAILED;
		}
		id = optarg;
	}
	if (argc - optind < 1 || argc - optind > 2) {
		usage(stderr);
		return CONVERT_FAILED;
	}
	return convert(argv[optind], argc - optind > 1 ? argv[optind + 1] : NULL, id);
}
