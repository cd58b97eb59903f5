/*
 * Purpose: rtnetlink messages about links and addresses as plain values, and back.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In/Out:  bytes in host order, as the kernel wants them (linux/rtnetlink.h, linux/if_addr.h, linux/if_link.h).
 * Errors:  a named reason per message that cannot be read; encoders return 0 when the buffer is too small.
 */
#ifndef KT_RTNL_WIRE_H
#define KT_RTNL_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/netstate.h"

#define RTNL_MSG_MAX 512 /* longest message the encoders below make */

enum rtnl_event_kind {
	RTNL_LINK_SET = 0, /* link */
	RTNL_LINK_GONE,    /* link.index */
	RTNL_ADDR_SET,     /* addr */
	RTNL_ADDR_GONE,    /* addr */
	RTNL_DONE,         /* end of a dump; err is 0 or what ended it */
	RTNL_RESULT,       /* acknowledgement of message seq; err is 0 or -errno */
	RTNL_OVERRUN,      /* the kernel says that messages were lost */
	RTNL_OTHER,        /* well formed, and about something else */
	RTNL_ROUTE_SET,    /* route: with our mark or not */
	RTNL_ROUTE_GONE,
	RTNL_RULE_SET, /* rule */
	RTNL_RULE_GONE,
};

struct rtnl_event {
	enum rtnl_event_kind kind;
	uint32_t seq;     /* of the request this answers; 0 for notifications */
	bool interrupted; /* NLM_F_DUMP_INTR: the dump is inconsistent, ask again */
	int err;
	union {
		struct net_link link;
		struct net_addr addr;
		struct rtnl_route route;
		struct rtnl_rule rule;
	};
};

#define RTNL_DROP_TABLE(X)                                             \
	X(RTNL_OK, "ok")                                               \
	X(RTNL_D_SHORT, "the message ends before its header")          \
	X(RTNL_D_LENGTH, "the length in the header is wrong")          \
	X(RTNL_D_ATTR, "an attribute has a wrong length")              \
	X(RTNL_D_NO_NAME, "a link without a name")                     \
	X(RTNL_D_NO_ADDR, "an address message without an address")     \
	X(RTNL_D_FAMILY, "an address family other than IPv4 and IPv6") \
	X(RTNL_D_RANGE, "an interface index or prefix length is out of range")

enum rtnl_drop {
#define RTNL_ENUM(name, text) name,
	RTNL_DROP_TABLE(RTNL_ENUM)
#undef RTNL_ENUM
	    RTNL_DROP_N
};

const char *rtnl_drop_text(enum rtnl_drop d);

/*
 * Reads the first message of buf; *used receives the bytes it takes (to be skipped whatever the return value; len when
 * the rest cannot be framed). Links of a bridge (AF_BRIDGE) are RTNL_OTHER.
 */
enum rtnl_drop rtnl_wire_parse(const uint8_t *buf, size_t len, struct rtnl_event *out, size_t *used);

/* RTM_NEWADDR (exclusive) with its options, or RTM_DELADDR; mark: add IFA_PROTO. ack: NLM_F_ACK. Bytes, or 0. */
size_t rtnl_wire_addr(uint8_t *buf, size_t cap, const struct net_op *op, uint32_t seq, bool mark, bool ack);
/* RTM_NEWLINK that sets or clears IFF_UP. */
size_t rtnl_wire_link_up(uint8_t *buf, size_t cap, int ifindex, bool up, uint32_t seq, bool ack);
/* Dump request: of links, or of the addresses of both families. */
size_t rtnl_wire_dump(uint8_t *buf, size_t cap, bool addresses, uint32_t seq);

#endif
