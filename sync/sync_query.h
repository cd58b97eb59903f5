/*
 * Purpose: which sessions somebody wants to see, and the words and codes of TCP states.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In:      struct sync_query, an entry with its disposition.   Out: yes or no.
 * Errors:  parsers return false for text that means nothing.
 */
#ifndef KT_SYNC_SYNC_QUERY_H
#define KT_SYNC_SYNC_QUERY_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/addr.h"
#include "sync/ct.h"
#include "sync/sync_policy.h"

enum sync_query_side { SYNC_QUERY_ALL = 0, SYNC_QUERY_SYNCED, SYNC_QUERY_UNSYNCED };
enum sync_query_owner { SYNC_QUERY_ANYBODY = 0, SYNC_QUERY_OWN, SYNC_QUERY_COPIES };

/* Every part that is given must hold. All zero: every session. */
struct sync_query {
	uint8_t l3;           /* 4, 6, 0: both */
	struct addr src, dst; /* of the original direction; ADDR_NONE: any */
	uint8_t src_len, dst_len;
	bool has_port, has_protocol, has_zone, has_mark, has_state;
	uint8_t protocol; /* IP protocol; that of ICMP stands for both versions */
	uint8_t state;    /* CT_TCP_* */
	uint16_t port;    /* of one of the four ends */
	uint16_t zone;
	uint32_t mark;
	uint32_t limit; /* 0: none */
	enum sync_query_side side;
	enum sync_query_owner owner; /* copies: sessions of peers that are replicated to here */
};

bool sync_query_match(const struct sync_query *q, const struct ct_entry *e, enum sync_disposition d, bool mine);

/* "192.0.2.0/24" or "192.0.2.1" for src or dst. */
bool sync_query_prefix(const char *text, struct addr *net, uint8_t *len);
/* "tcp" .. "ospf", or a number up to 255. */
bool sync_query_protocol(const char *text, uint8_t *l4);
/* Name of an IP protocol; "" when it has none here. */
const char *sync_protocol_name(uint8_t l4);
/* "established" or its code, "es"; case does not matter. */
bool sync_query_state(const char *text, uint8_t *state);
/* "ESTABLISHED" and "ES"; "" for a number that is no state. */
const char *sync_tcp_state_name(uint8_t state);
const char *sync_tcp_state_code(uint8_t state);

#endif
