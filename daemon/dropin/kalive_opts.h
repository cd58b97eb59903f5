/*
 * Purpose: keepalived's command line: every option of keepalived 2.4, short, bundled, long, and abbreviated.
 * Owns:    nothing; texts point into argv.
 * Thread:  the main thread, before any other: getopt_long keeps its place in globals.
 * In:      argv.   Out: struct kalive_opts.
 * Errors:  KALIVE_BAD with the line that keepalived prints, in error.
 */
#ifndef KT_KALIVE_OPTS_H
#define KT_KALIVE_OPTS_H

#include <stdbool.h>
#include <stddef.h>

/* What is asked for. */
enum kalive_do { KALIVE_RUN = 0, KALIVE_TEST, KALIVE_VERSION, KALIVE_HELP, KALIVE_SIGNUM, KALIVE_GENHASH, KALIVE_BAD };

#define KALIVE_CONFIG "/etc/keepalived/keepalived.conf"

struct kalive_opts {
	enum kalive_do what;
	const char *config;
	const char *test_log; /* -t: where the findings go; NULL: standard error */
	const char *signum;   /* name of a signal */
	const char *pid, *vrrp_pid, *checkers_pid, *bfd_pid;
	const char *namespace, *config_id;
	const char *log_file; /* NULL: none */
	int facility;         /* code of syslog(3), not shifted: 3 is daemon */
	int umask;            /* -1: not given */
	unsigned detail;      /* -D, once or twice */
	bool console, syslog, flush_log;
	bool foreground, dump, snmp;
	bool all_config;          /* a missing include is an error */
	bool no_vrrp;             /* -C: health checkers only */
	bool no_checkers;         /* -P */
	bool keep_vips;           /* -V: addresses and routes stay when the daemon stops */
	bool monitor;             /* -a: log address changes */
	bool core;                /* -m */
	const char *core_pattern; /* -M; NULL: left alone */
	int first_extra;          /* index of the first argument that is no option; argc: there is none */
	char error[200];
};

/* Fills o; the order of argv may change (arguments that are no options go last). */
void kalive_opts_parse(struct kalive_opts *o, int argc, char **argv);
/* The number of a signal by keepalived's name for its purpose (STOP, RELOAD, DATA, STATS, STATS_CLEAR, JSON); -1. */
int kalive_signum(const char *name);

#endif
