/*
 * Purpose: the configuration of what is tracked.
 * Owns:    struct cfg_track owns its arrays; texts live as long as the tree.
 * Thread:  any; immutable once built.
 * In/Out:  plain data. Times in ns.
 * Errors:  none; the checker has judged it.
 */
#ifndef KT_CFG_TRACK_H
#define KT_CFG_TRACK_H

#include <stdbool.h>
#include <stdint.h>
#include "vrrp/vrrp_track.h"

#define CFG_TRACK_MAX        512 /* of each kind */
#define CFG_TRACK_REFS_MAX   64  /* in one list */
#define CFG_TRACK_ARGV_MAX   32
#define CFG_TRACK_FACTOR_MAX 1000000

struct cfg_track_script {
	const char *argv[CFG_TRACK_ARGV_MAX + 1]; /* NULL-terminated */
	const char *user, *group;                 /* NULL: as notify.user and notify.group say */
	int64_t interval_ns, timeout_ns;
};

struct cfg_track_iface {
	int64_t down_delay_ns, up_delay_ns;
};

enum cfg_track_match {
	CFG_TRACK_MATCH_ANY = 0, /* parameters do not count */
	CFG_TRACK_MATCH_EXACT,
	CFG_TRACK_MATCH_INITIAL, /* the last one given may be a beginning */
	CFG_TRACK_MATCH_PARTIAL, /* further ones may follow */
};

struct cfg_track_process {
	const char *argv[CFG_TRACK_ARGV_MAX + 1]; /* name and parameters, NULL-terminated */
	enum cfg_track_match match;
	bool full_command; /* the first word is compared with the command line */
	uint32_t quorum, quorum_max;
	int64_t fork_delay_ns, terminate_delay_ns;
};

struct cfg_track_file {
	const char *path;
	int64_t missing, init;
	bool has_init, overwrite;
};

struct cfg_track_conntrack {
	unsigned high, low; /* percent */
	int64_t interval_ns;
};

struct cfg_track {
	struct vrrp_track_conf *objs; /* all kinds */
	uint16_t n_objs;
	struct cfg_track_script *scripts;
	struct cfg_track_iface *ifaces;
	struct cfg_track_process *processes;
	struct cfg_track_file *files;
	struct cfg_track_conntrack *conntrack;
};

void cfg_track_free(struct cfg_track *t);

struct cfg;
/* Everything about tracking is equal; groups are compared one by one in their order. */
bool cfg_track_equal(const struct cfg *old, const struct cfg *now);
/* The same thing in two configurations: by kind and name, and by what is watched. */
bool cfg_track_same(const struct cfg *old, uint16_t old_obj, const struct cfg *now, uint16_t now_obj);

#endif
