/*
 * Purpose: a network namespace of a test's own, and blocking rtnetlink requests in it.
 * Owns:    one route socket, opened at the first request.
 * Thread:  one at a time.
 * In/Out:  requests, 0 or -errno as the kernel answered.
 * Errors:  a test that cannot have its namespace ends with a message and status 1: it never counts as passed.
 */
#ifndef KT_TESTS_RTNL_UTIL_H
#define KT_TESTS_RTNL_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/netstate.h"

/* New network namespace with lo up and no automatic link-local addresses. Ends the program when not permitted. */
void rtnl_util_enter(void);
/* One request with NLM_F_ACK set by the caller. 0 or -errno. */
int rtnl_util_request(const uint8_t *msg, size_t len);
int rtnl_util_pair(const char *a, const char *b);
int rtnl_util_link_del(const char *name);
int rtnl_util_link_up(const char *name, bool up);
int rtnl_util_rename(const char *name, const char *to);
/* flags: 0 or NLM_F_EXCL / NLM_F_REPLACE; proto 0: no mark */
int rtnl_util_addr_add(const struct net_addr *a, uint16_t flags);
int rtnl_util_addr_del(const struct net_addr *a);
/* A complete dump into the model. */
void rtnl_util_dump(struct netstate *ns);

#endif
