/*
 * Purpose: what only SYNC knows of this node when it is compared with another one: translated addresses, zones and
 *          helpers that sessions use, what the kernel can store, and what the data connections have seen of their path.
 * Owns:    nothing; a struct sync_self is allocated on SYNC and passes to CONTROL with its report.
 * Thread:  made on SYNC, read on CONTROL.
 * In:      SYNC_CMD_FACTS.   Out: SYNC_REP_FACTS.
 * Errors:  lists that are full count the rest; what cannot be known is SYNC_FACTS_UNKNOWN.
 */
#ifndef KT_SYNC_SYNC_FACTS_H
#define KT_SYNC_SYNC_FACTS_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/addr.h"
#include "sync/sync_conf.h"
#include "sync/sync_fsm.h"

#define SYNC_FACTS_ADDRS   32
#define SYNC_FACTS_ZONES   16
#define SYNC_FACTS_HELPERS 16
#define SYNC_FACTS_UNKNOWN (-1)

/* An address that sessions of this node are translated to. */
struct sync_facts_nat {
	struct addr addr;
	uint32_t sessions;
	bool node; /* the box's own, no virtual one: such sessions are not replicated */
};

/* One data connection, from this end. Bytes. */
struct sync_facts_link {
	bool up;
	uint32_t path_mtu, send_segment, received_segment;
	uint32_t repeated; /* segments sent more than once since it was made */
};

struct sync_self {
	int zones;          /* 1: the kernel has conntrack zones, 0: not */
	uint32_t table_max; /* of the kernel; 0: not known */
	uint32_t table_count;
	bool counted; /* the rest comes from a walk over all sessions */
	uint64_t sessions;
	struct sync_facts_nat nat[SYNC_FACTS_ADDRS];
	unsigned n_nat;
	uint64_t nat_more; /* sessions translated to further addresses */
	struct {
		uint16_t zone;
		uint32_t sessions;
	} zone[SYNC_FACTS_ZONES];
	unsigned n_zones;
	struct {
		char name[16];
		uint32_t sessions;
	} helper[SYNC_FACTS_HELPERS];
	unsigned n_helpers;
	struct sync_facts_link link[SYNC_LINKS_MAX];
	unsigned n_links;
};

/* One session of the walk. */
void sync_facts_add(struct sync_self *f, const struct sync_view *v);

#endif
