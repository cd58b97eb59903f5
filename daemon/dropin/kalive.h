/*
 * Purpose: being keepalived: its command line, pid files, namespaces, signals, files on a signal, and words in the log.
 * Owns:    struct kalive, one for the process; the dumps under way.
 * Thread:  the main thread before the loop, CONTROL afterwards; files are written by KERNEL.
 * In:      argv; signals; what the node core tells.   Out: an exit status; pid files; data, stats and JSON files; lines.
 * Errors:  keepalived's exit codes.
 */
#ifndef KT_KALIVE_H
#define KT_KALIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "daemon/app.h"
#include "daemon/base/addr.h"
#include "daemon/dropin/kalive_opts.h"
#include "vrrp/vrrp_wire.h"

/* What -v says: the version of keepalived whose words we know, then ours. Known parsers want exactly one more word. */
#define KALIVE_VERSION_TEXT "Keepalived v2.4.3 (keeptrackd-" KT_VERSION ")"

enum kalive_exit {
	KALIVE_EXIT_OK = 0,
	KALIVE_EXIT_FATAL = 1,
	KALIVE_EXIT_CONFIG = 2,
	KALIVE_EXIT_TEST_FAILED = 4, /* -t: it would not run */
	KALIVE_EXIT_TEST_ERRORS = 5, /* -t: it would run, and something is wrong */
	KALIVE_EXIT_NO_CONFIG = 6,
	KALIVE_EXIT_TEST_SECURITY = 6, /* -t: it would run, and scripts are run without enable_script_security */
};

enum kalive_file { KALIVE_DATA = 0, KALIVE_STATS, KALIVE_STATS_CLEAR, KALIVE_JSON };
#define KALIVE_FILE_N 4

/* A file that is being made, some instances at a time. */
struct kalive_dump {
	struct app *app;
	enum kalive_file what;
	const struct cfg *cfg; /* its instances are listed; after a reload it begins anew */
	uint16_t next;
	bool again; /* it was asked for meanwhile */
	FILE *f;    /* NULL: none under way */
	char *text;
	size_t len;
	struct loop_timer *timer;
};

#define KALIVE_PATH_MAX 256

struct kalive {
	struct kalive_opts opts;
	const char *name; /* as it was called */
	char config[KALIVE_PATH_MAX], log_file[KALIVE_PATH_MAX];
	char pid[KALIVE_PATH_MAX], vrrp_pid[KALIVE_PATH_MAX];
	char pid_dir[KALIVE_PATH_MAX]; /* made for them, and removed at the end; empty: none */
	char place[CFG_PLACE_MAX];     /* of run and state directory; empty: the common one */
	int place_fd;                  /* of place_io.h; -1: none */
	char ident[160], ident_router[160];
	const char *tmp_dir;
	struct kalive_dump dump[KALIVE_FILE_N];
	struct loop_signal *sig[KALIVE_FILE_N];
};

/* The whole program. */
int kalive_main(int argc, char **argv);

/* kalive_proc.c: before the loop runs */
/* After the configuration was read, before anything else is done: namespace, names, directories. */
void kalive_prepare(struct kalive *k, struct cfg *c);
/* Its directories are there, and no other one is found: what deleted ones left is removed. */
void kalive_settle(struct kalive *k, const struct cfg *c);
/* Another one runs with the same pid files. */
bool kalive_running(const struct kalive *k);
void kalive_log_open(const struct kalive *k, const struct cfg *c);
/* The second pid file. 0, or -1 with a line in the log. */
int kalive_pid_write(struct kalive *k);
/* Everything runs, and nothing runs any more. */
void kalive_started(struct kalive *k, struct app *a);
void kalive_ended(const struct kalive *k, const struct cfg *c);
/* The path made absolute, since the daemon's directory is / later. */
void kalive_absolute(const char *path, char *out, size_t cap);

/* kalive_test.c: -t */
int kalive_test(const struct kalive *k);

/* kalive_files.c */
int kalive_signals_start(struct kalive *k, struct app *a);
void kalive_signals_stop(struct kalive *k);

/* kalive_text.c, kalive_things.c, kalive_json.c: what stands in the files, for one instance and around all of them */
/* Settings of the whole file: what keepalived's parent process writes, and the first part of the data file. */
void kalive_globals(struct app *a, FILE *f);
void kalive_data_begin(struct app *a, FILE *f);
void kalive_data_instance(struct app *a, uint16_t inst, FILE *f);
void kalive_data_end(struct app *a, FILE *f);
void kalive_stats_instance(struct app *a, uint16_t inst, FILE *f);
void kalive_json_begin(struct app *a, FILE *f);
void kalive_json_instance(struct app *a, uint16_t inst, FILE *f);
void kalive_json_end(struct app *a, FILE *f);
/* The counters of an instance, as keepalived divides them. */
struct kalive_counts {
	uint64_t received, sent, master, released;
	uint64_t length, ttl, type, interval, addresses;
	uint64_t auth_invalid, auth_type, auth_failure;
	uint64_t zero_received, zero_sent;
};
void kalive_counts(const struct app *a, uint16_t inst, struct kalive_counts *n);
/* "192.0.2.1/24 dev lan0 scope global set"; inst CFG_STATIC: one that is there in every role. */
void kalive_vip_text(struct app *a, uint16_t inst, const struct vrrp_vip *vip, char *out, size_t cap);
/* A route, a rule, and no_track where its loss does not count; returns out. */
#define KALIVE_ROUTE_MAX (ROUTE_TEXT_MAX + 16)
char *kalive_route_text(const struct cfg_route *r, char out[KALIVE_ROUTE_MAX]);
char *kalive_rule_text(const struct cfg_rule *r, char out[KALIVE_ROUTE_MAX]);
/* What stands in the list of an instance, or VRRP_TRACK_GROUP: the group's own. */
void kalive_tracked(struct app *a, const struct cfg_group *g, uint16_t inst, FILE *f);
void kalive_notify(FILE *f, const struct notify_conf *n);
/* A tracked process as it is now. */
struct kalive_process {
	const struct cfg_track_process *conf;
	const char *match;
	uint64_t count;
	bool quorum;
	int32_t weight;            /* negative where reverse */
	bool forking, terminating; /* what is seen does not count yet: the delay of either kind runs */
};
void kalive_process(struct app *a, uint16_t obj, struct kalive_process *out);
/* keepalived's word and number for a state. */
const char *kalive_state_text(enum vrrp_state s);
/* Of the present state. */
int64_t kalive_since_wall_us(const struct app *a, uint16_t inst);
/* The state that it would have if nobody held it back. */
enum vrrp_state kalive_wanted(const struct app *a, uint16_t inst);
/* The interface that keepalived names: that of the virtual MAC where there is one. */
const char *kalive_interface(const struct vrrp_conf *c);

/* kalive_log.c: the lines that people look for */
void kalive_tell(struct app *a, const struct node_act *act);
/* A tracked script's result has changed; why: of a failure, NULL or empty where nothing is known. */
void kalive_tell_script(const struct app *a, const char *name, bool ok, const char *why);
void kalive_tell_drop(struct app *a, uint16_t inst, const struct addr *src, enum vrrp_drop drop);

#endif
