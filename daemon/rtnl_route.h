/*
 * Purpose: rtnetlink messages about routes and routing rules as plain values, and back.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In/Out:  bytes in host order, as the kernel wants them (linux/rtnetlink.h, linux/fib_rules.h).
 * Errors:  encoders return 0 when the buffer is too small; readers a named reason (rtnl_wire.h).
 *
 * Everything made here bears protocol 18. Deletions of routes name it too: the kernel then leaves a route alone that
 * somebody else put in the same place (net/ipv4/fib_trie.c, net/ipv6/route.c).
 */
#ifndef KT_RTNL_ROUTE_H
#define KT_RTNL_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/route_text.h"

/* A route as the kernel has it: interfaces by number. */
struct rtnl_route {
	struct route r;          /* names of interfaces are empty when it comes from the kernel */
	int oif[ROUTE_HOPS_MAX]; /* 0: none */
	uint8_t proto;
	bool cached; /* an exception or a clone, not an entry of the table */
};

struct rtnl_rule {
	struct rule r;
	uint8_t proto;
};

/* RTM_NEWROUTE (exclusive) or RTM_DELROUTE. */
size_t rtnl_route_create(uint8_t *buf, size_t cap, const struct rtnl_route *r, uint32_t seq, bool ack);
size_t rtnl_route_del(uint8_t *buf, size_t cap, const struct rtnl_route *r, uint32_t seq, bool ack);
/* RTM_NEWRULE (exclusive) or RTM_DELRULE. */
size_t rtnl_rule_create(uint8_t *buf, size_t cap, const struct rule *r, uint32_t seq, bool ack);
size_t rtnl_rule_del(uint8_t *buf, size_t cap, const struct rule *r, uint32_t seq, bool ack);
/* Dump of one family: of routes with protocol 18 (kernels before 4.20 ignore that and send all), or of all rules. */
size_t rtnl_route_dump(uint8_t *buf, size_t cap, uint8_t af, bool rules, uint32_t seq);

/* The payload of a message behind its header. 0: read; 1: an attribute or field is wrong; 2: of another family. */
int rtnl_route_read(const uint8_t *p, size_t len, struct rtnl_route *out);
int rtnl_rule_read(const uint8_t *p, size_t len, struct rtnl_rule *out);

#endif
