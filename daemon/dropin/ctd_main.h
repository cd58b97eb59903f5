/*
 * Purpose: called conntrackd: its command line, as client and as daemon.
 * Owns:    the lock file of the configuration, while the daemon runs.
 * Thread:  the main thread.
 * In:      argv.   Out: an exit status: 0, or 1 for errors.
 * Errors:  one line on standard error in conntrackd's form.
 */
#ifndef KT_CTD_MAIN_H
#define KT_CTD_MAIN_H

#include <stdbool.h>
#include "daemon/dropin/ctd_client.h"

#define CTD_CONFIG "/etc/conntrackd/conntrackd.conf"

struct ctd_args {
	struct ctd_ask ask;
	const char *config;
	bool background;
	char error[160]; /* BAD: what is wrong */
	bool usage_ok;   /* BAD: conntrackd ends with 0 there */
};

/* The order of options does not matter; the last verb counts, as in conntrackd. */
void ctd_args_parse(struct ctd_args *a, int argc, char **argv);
int ctd_main(int argc, char **argv);
void ctd_say_errors(const struct cfg_errors *errs);

/* ctd_run.c: the daemon, as engine or as layer of another one; argv is for the process to begin anew with. */
int ctd_run(const struct ctd_args *args, char **argv);

#endif
