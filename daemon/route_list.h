/*
 * Purpose: the list of all routes and rules that bear our mark, asked from the kernel without keeping any other.
 * Owns:    struct route_list and its bytes.
 * Thread:  route_list_take on KERNEL (it may walk a large table); the rest on CONTROL.
 * In:      the present network namespace.   Out: calls of netstate_route_seen and netstate_rule_seen.
 * Errors:  -errno of route_list_take; then nothing is to be concluded from what the list lacks.
 */
#ifndef KT_ROUTE_LIST_H
#define KT_ROUTE_LIST_H

#include <stddef.h>
#include <stdint.h>
#include "daemon/netstate.h"

#define ROUTE_LIST_MAX (16u << 20) /* bytes; more than NET_OBJECTS_MAX routes need */

struct route_list {
	uint8_t *bytes; /* whole messages */
	size_t len, cap;
	uint64_t skipped; /* messages about others */
};

/* Asks for both families. 0 or -errno. ctx: struct route_list, empty. */
int route_list_take(void *ctx);
void route_list_free(struct route_list *l);
/* Between netstate_routes_begin and netstate_routes_end. */
void route_list_tell(const struct route_list *l, struct netstate *ns);

#endif
