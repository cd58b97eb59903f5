/*
 * Purpose: what a new configuration has in common with the one in force: which instance, group and tunnel lives on, and
 *          what changed. It needs nothing but the two models, so that it is made where the file is read.
 * Owns:    struct reload_map and its arrays, until reload_map_free.
 * Thread:  any; the models are immutable.
 * In:      two models.   Out: the map.
 * Errors:  NULL without memory.
 */
#ifndef KT_RELOAD_MAP_H
#define KT_RELOAD_MAP_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/cfg.h"

struct reload_map {
	int32_t *inst_from;   /* by new index: the old one; -1: it is new */
	bool *inst_stays;     /* by old index */
	int32_t *group_from;  /* by new index: the old one; -1 */
	bool *group_stays;    /* by old index */
	int32_t *tunnel_from; /* by new index: the old one; -1 */
	struct cfg_change *changes;
	unsigned n_changes;
};

/*
 * The same instance: name, interface, VRID and family. The same group: its name, or, when only the name is new, the one
 * that all its former members come from. The same tunnel: name, connection, child and address.
 */
struct reload_map *reload_map_make(const struct cfg *old, const struct cfg *now);
void reload_map_free(struct reload_map *m);

#endif
