/*
 * Purpose: the store: copies that are known here and not in the kernel, in the order in which a takeover writes them.
 * Owns:    struct sync_store_state inside struct sync: one list per class, the fill level of the kernel's table.
 * Thread:  SYNC only.
 * In:      copies that settled, the size of the kernel's table, the commit of a promotion.
 * Out:     flows put into the injector's queue, in promotion order, as far as there is room.
 * Errors:  none; what finds no room waits, is counted and shown ("standby-full", "table-full").
 *
 * A copy waits here in two cases: sync.store = "warm" on a node that is MASTER nowhere, and a kernel table that is filled
 * up to sync.high_water. Copies must never fill the table: at its limit the kernel drops sessions that have no traffic
 * in both directions yet (early_drop in nf_conntrack_core.c), and those would be the node's own.
 *
 * This node's own flows wait here too, when the table was full as they came with the role. They are written whenever
 * there is room, role or not: nobody else has a timer for them, and they would never end. Their owner may change without
 * a walk; the one that counts anew puts them right.
 *
 * Membership is a list link of the record (SESS_LIST_STORE); which list stands in the bits that are the peers' mask while
 * the record is dirty. Nothing here walks: a promotion takes from the heads.
 */
#ifndef KT_SYNC_SYNC_STORE_H
#define KT_SYNC_SYNC_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/epoch.h"
#include "daemon/base/mono.h"

struct sync;

/* Promotion order: flows that others are related to; those of them that are related themselves (H.245 is related to
 * Q.931, and media to H.245); flows with traffic both ways; the rest. Within a class the newest news first. */
enum sync_class { SYNC_CLASS_MASTER = 0, SYNC_CLASS_MIDDLE, SYNC_CLASS_LIVE, SYNC_CLASS_REST, SYNC_CLASS_N };

#define SYNC_TABLE_NS    (100 * NS_PER_MS) /* the fill level is read this often while something is written ... */
#define SYNC_TABLE_CLOSE 1024              /* ... and before every batch when there is room for less than this */
#define SYNC_COMMIT_NS   (5 * NS_PER_SEC) /* a flow that comes to rest this long after a commit began is written, too */

/* Of each class what is this node's own, then the copies. */
#define SYNC_STORE_LISTS (2 * SYNC_CLASS_N)

struct sync_store_state {
	uint32_t head[SYNC_STORE_LISTS], tail[SYNC_STORE_LISTS];
	uint32_t n, n_own;  /* flows in all lists, in those of our own */
	bool committing;    /* a promotion: everything goes into the kernel, up to its limit */
	bool promised;      /* sync_commit_over has to say once that it is over ... */
	struct epoch epoch; /* ... to all up to this one: the highest of the fences since it last did */
	bool stuck;         /* the commit met the limit of the kernel's table */
	bool marked;        /* all is in the queue; its end is commit_mark */
	uint64_t commit_mark;
	uint64_t out_mark; /* end of the last flow that left for the live queue */
	mono_t commit_at;
	bool above; /* the level is above the high-water mark: what waits goes on waiting */
	bool shed;  /* copies are taken out of the kernel again */
	/* the kernel's table: nf_conntrack_max (0: not known or no limit), entries as read, and by our own count since */
	uint32_t max, level;
	bool moved; /* we have changed it since it was read */
	mono_t read_at;
};

/* Is the level wanted now? Then read it and call sync_table. */
bool sync_table_wanted(const struct sync *s, mono_t now);
/* nf_conntrack_max and nf_conntrack_count of this namespace. */
void sync_table(struct sync *s, uint32_t max, uint32_t count, mono_t now);
/* Entries up to which copies are written while no promotion needs them; UINT32_MAX: no limit. */
uint32_t sync_high_water(const struct sync *s);

/* Everything that waited when the last fence was set is in the kernel, or finds no room there. */
bool sync_committed(const struct sync *s);
/* A fence has just been set: not everything that waits, or has left since it waited, is in the kernel. It does not
 * matter for which promotion it left: groups share the store. */
bool sync_storing(const struct sync *s);
/*
 * The commit is over: true once. *epoch: for this promotion and every lower one. Groups move at the same time and need
 * not set their fences in the order of their numbers: a lower one must not take the answer of a higher one.
 */
bool sync_commit_over(struct sync *s, struct epoch *epoch);
/* Flows that wait in the store. */
uint32_t sync_stored(const struct sync *s);
/* Copies are kept out of the kernel by configuration just now. */
bool sync_store_warm(const struct sync *s);

#endif
