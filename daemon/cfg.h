/*
 * Purpose: the one immutable configuration model and the functions that make, print, compare and free it.
 * Owns:    struct cfg owns everything it points to; cfg_free releases it.
 * Thread:  built on CONTROL; the finished model may be read by any thread.
 * In:      a libconfig file (or text).   Out: a model, or a list of errors.
 * Errors:  cfg_load returns NULL and fills struct cfg_errors: every meaning error of the file in one run, each with
 *          file, line, the value and what would be right.
 */
#ifndef KT_CFG_H
#define KT_CFG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "daemon/cfg_track.h"
#include "daemon/notify_conf.h"
#include "daemon/route_text.h"
#include "vrrp/vrrp_conf.h"
#include "sync/sync_conf.h"
#include "ike-hooks/ike_conf.h"

#define CFG_PATH_MAX   108
#define CFG_GROUPS_MAX 65500 /* virtual routers, and groups: numbered by 16 bits, below the marks at their end */
#define CFG_LIST_MAX   16384 /* addresses, routes, rules of one of them, or static ones */

enum cfg_fault_policy { CFG_FAULT_YIELD = 0, CFG_FAULT_DEGRADE = 1 };

/* A failover group: a VRRP sync group, or a lone instance (then it bears the instance's name). */
struct cfg_group {
	char name[VRRP_NAME_MAX];
	const uint16_t *members; /* indices into instances[] */
	uint16_t n_members;
	enum cfg_fault_policy fault;
	bool preempt;
	bool arbitrate;                     /* a healthy master on the channel keeps a deaf node BACKUP */
	const struct vrrp_track_ref *track; /* its own and its members' references, see vrrp_track.h */
	uint32_t n_track;
	unsigned line;
};

struct cfg_tree;
struct dconf_proc;
struct dconf_found;

/* Sections of the configuration that are compared with the peer's. */
enum cfg_digest { CFG_DIGEST_CHANNEL = 0, CFG_DIGEST_VRRP, CFG_DIGEST_SYNC, CFG_DIGEST_IPSEC, CFG_DIGESTS };

#define CFG_STATIC    UINT16_MAX

#define CFG_PLACE_MAX 64 /* names of a namespace and of an instance */

/* How the daemon appears as keepalived. */
struct cfg_keepalived {
	char instance[CFG_PLACE_MAX]; /* empty: none */
	bool use_pid_dir, data_use_instance;
	uint8_t json_version;
	char data_file[CFG_PATH_MAX], stats_file[CFG_PATH_MAX], json_file[CFG_PATH_MAX]; /* empty: by default */
	int umask;                                                                       /* -1: not given */
};

struct cfg_route {
	struct route route;
	uint16_t inst; /* whose role it follows; CFG_STATIC: it is there in every role */
	bool track;    /* its loss counts (address_lost) */
};

struct cfg_rule {
	struct rule rule;
	uint16_t inst;
	bool track;
};

struct cfg {
	char file[256];
	struct cfg_tree *tree; /* what was read; the canonical form is printed from it */
	char not_served[400];  /* what the file says for another program (LVS); empty: nothing */
	/* node */
	char node_name[SYNC_NAME_MAX];
	uint32_t node_id;
	/* vrrp */
	struct vrrp_conf *instances;
	uint16_t n_instances;
	struct cfg_group *groups;
	uint16_t n_groups;
	int64_t startup_delay_ns;
	bool promote_secondaries;
	struct vrrp_vip *static_addrs; /* in every role; each names its interface */
	uint16_t n_static_addrs;
	struct cfg_route *routes; /* of the instances in their order, then the static ones */
	struct cfg_rule *rules;
	uint32_t n_routes, n_rules;
	struct cfg_track track;
	/* channel and replication */
	struct sync_conf sync;
	/* ipsec */
	char vici_socket[CFG_PATH_MAX], whack[CFG_PATH_MAX], pluto[CFG_PATH_MAX];
	char swanctl_conf[CFG_PATH_MAX], strongswan_conf[CFG_PATH_MAX]; /* read for show ipsec check */
	struct ike_tunnel_conf *tunnels;
	uint16_t n_tunnels;
	bool tunnels_auto;                /* further ones are learnt from the IKE daemon */
	struct ike_tunnel_conf auto_conf; /* their settings; names and addresses are empty */
	struct hook_conf *hooks;
	uint16_t n_hooks;
	struct notify_cfg notify;
	/* process */
	char run_dir[CFG_PATH_MAX];   /* pid file, ownership file, control socket */
	char state_dir[CFG_PATH_MAX]; /* journal and stored epoch: survive a reboot */
	char ctl_socket[CFG_PATH_MAX];
	char view_group[32], admin_group[32]; /* empty: root only */
	char namespace[CFG_PLACE_MAX];        /* empty: the present one */
	struct cfg_keepalived keepalived;
	bool realtime; /* SCHED_FIFO and mlockall for CONTROL where allowed */
	int log_level; /* enum log_level */
	bool log_syslog, log_stderr;
	/* SHA-256 of the canonical shared part, cut to 8 bytes, by section: channel, vrrp, sync, ipsec */
	uint64_t digest[CFG_DIGESTS];
	char *
	    flat; /* the same sections as facts for the other nodes (pair_facts.h), without secrets; NULL: there is none */
	/* what a conntrackd.conf says of its process; NULL: none was read */
	struct dconf_proc *conntrackd;
};

struct cfg_error {
	char text[400]; /* "file:line: key = value: what is wrong; what would be right" */
};

struct cfg_errors {
	struct cfg_error *list;
	unsigned n;
	/* Said, but no reason to refuse the file; filled on success too. */
	struct cfg_error *warnings;
	unsigned n_warnings;
	unsigned
	    n_read; /* the first of the warnings: what the reader of the file found, before it was checked as a whole */
	/* What the file is right about and this machine lacks, as programs. Other machines may have it. */
	struct cfg_error *missing;
	unsigned n_missing;
	/* What a file says in vain, but rightly: words of other programs that have no counterpart here. */
	struct cfg_error *notes;
	unsigned n_notes;
	char not_served[400]; /* the line about what stands in the file for another program (LVS); empty: nothing */
};

/* What the command line says about the reading of a file. Zeroed: nothing. */
enum cfg_format { CFG_FORMAT_BY_FILE = 0, CFG_FORMAT_NATIVE, CFG_FORMAT_KEEPALIVED };
struct cfg_how {
	enum cfg_format format;          /* BY_FILE: by its name or its contents */
	const char *config_id;           /* of keepalived.conf's @id lines; NULL: the host's name */
	bool all_includes;               /* a missing include is an error */
	const char *namespace;           /* goes before the file's; NULL: the file's */
	const char *place;               /* below the default run and state directories; NULL: these themselves */
	const char *conntrackd;          /* a conntrackd.conf that is read on top, or alone; NULL: none */
	const struct dconf_found *found; /* routers that were heard on its multicast group; NULL: none */
};

/* Reads, checks and builds. errs must be zeroed; it may hold warnings on success. NULL and errs->n > 0 on failure. */
struct cfg *cfg_load(const char *path, struct cfg_errors *errs);
/* The same, with what the command line says. path is NULL where a conntrackd.conf is all there is. */
struct cfg *cfg_load_as(const char *path, const struct cfg_how *how, struct cfg_errors *errs);
/* Of several daemons on one machine each has run and state directories of its own, unless the file names them. */
void cfg_put_aside(struct cfg *c, const char *place);
/* The same for a text; file is the name used in messages. @include is looked up beside it. */
struct cfg *cfg_parse(const char *text, const char *file, struct cfg_errors *errs);
void cfg_free(struct cfg *c);
void cfg_errors_free(struct cfg_errors *errs);
/* Canonical form; parsing it again gives an equal model. */
void cfg_print(const struct cfg *c, FILE *out);
/* The defaults-filled man page part and the ktsh help come from the same table. */
void cfg_schema_print_mdoc(FILE *out);

/* What a reload has to touch. */
struct cfg_change {
	enum {
		CFG_INSTANCE_ADDED,
		CFG_INSTANCE_REMOVED,
		CFG_INSTANCE_CHANGED,  /* timers, priority or VIP list; the instance keeps its state */
		CFG_INSTANCE_REPLACED, /* interface, VRID or family: ended and begun anew */
		CFG_GROUPS_CHANGED,
		CFG_TRACK_CHANGED,   /* what is tracked, and who tracks it */
		CFG_OBJECTS_CHANGED, /* routes, rules, what is static, promote_secondaries */
		CFG_CHANNEL_CHANGED,
		CFG_SYNC_CHANGED,
		CFG_TUNNELS_CHANGED,
		CFG_HOOKS_CHANGED,
		CFG_NOTIFY_CHANGED, /* who is told, and how */
		CFG_PROCESS_CHANGED, /* needs a restart: run_dir, state_dir, control socket, realtime, node id and name */
		CFG_LOG_CHANGED,     /* level and targets */
		CFG_CONTROL_CHANGED, /* view and admin group */
	} kind;
	uint16_t old_index, new_index; /* of instances, where it applies */
};

/* Fills out[cap]; returns how many changes there are (may exceed cap). */
unsigned cfg_diff(const struct cfg *old, const struct cfg *now, struct cfg_change *out, unsigned cap);

/* The group that owns a virtual address, or -1. */
int cfg_group_of_vip(const struct cfg *c, const struct addr *vip);

#endif
