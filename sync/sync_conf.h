/*
 * Purpose: what an operator can set on replication and on the channel between the nodes.
 * Owns:    nothing; part of the immutable configuration.
 * Thread:  any; immutable once built.
 * In/Out:  plain data. Times in ns.
 * Errors:  none; the configuration reader has checked ranges.
 */
#ifndef KT_SYNC_CONF_H
#define KT_SYNC_CONF_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/addr.h"

#define SYNC_NODES_MAX  4
#define SYNC_LINKS_MAX  4
#define SYNC_NAME_MAX   32
#define SYNC_PATH_MAX   108
#define SYNC_LOCALS_MAX 8192
#define SYNC_IFNAME_MAX 16

enum sync_store { SYNC_STORE_HOT = 0, SYNC_STORE_WARM = 1 };

/* Protocols as an operator chooses them; ICMP stands for both versions. */
enum sync_proto {
	SYNC_PROTO_TCP = 0,
	SYNC_PROTO_UDP,
	SYNC_PROTO_ICMP,
	SYNC_PROTO_UDPLITE,
	SYNC_PROTO_SCTP,
	SYNC_PROTO_DCCP,
	SYNC_PROTO_GRE,
	SYNC_PROTO_OTHER, /* whatever else has sessions: ESP, AH, OSPF through the router, ... */
	SYNC_PROTO_N
};
#define SYNC_PROTO_ALL  ((1u << SYNC_PROTO_N) - 1)

#define SYNC_IGNORE_MAX 64

/* Sessions that are left out: every part that is given must hold. */
struct sync_ignore {
	struct addr net; /* ADDR_NONE: any; else one end of the session, translated or not, lies in net/plen */
	uint8_t plen;
	uint32_t protocols;           /* bit per enum sync_proto */
	uint16_t port_low, port_high; /* destination of the original direction; 0 and 65535: any */
	bool any_zone;
	uint16_t zone;
	/* Not empty: one end lies in a network that this interface is connected to (an entry names no interface). */
	char ifname[SYNC_IFNAME_MAX];
};

/* One member of the cluster; addrs[i] is its address on channel link i (all nodes list links in the same order). */
struct sync_node_conf {
	uint32_t id; /* 1..2^31-1 */
	char name[SYNC_NAME_MAX];
	struct addr addrs[SYNC_LINKS_MAX];
	uint8_t n_addrs;
};

struct sync_conf {
	bool enabled; /* false: a lone router, no channel, no SYNC thread */
	char cluster[SYNC_NAME_MAX];
	uint32_t self; /* own node id */
	struct sync_node_conf nodes[SYNC_NODES_MAX];
	uint8_t n_nodes;
	uint16_t port;                /* TCP, ctl and data */
	char key_file[SYNC_PATH_MAX]; /* made by --genkey; empty only with insecure */
	bool insecure;                /* plaintext channel, said loudly */

	bool replicate; /* false: ctl channel only */
	enum sync_store store;
	bool quick; /* replicate from the first packet on */
	struct sync_ignore ignore[SYNC_IGNORE_MAX];
	uint8_t n_ignore;
	uint16_t tcp_states; /* bit per CT_TCP_*: a TCP session is told first in one of these, translated or
					     not; 0: in established, fin_wait, close_wait, or at once as its class asks */
	uint32_t min_age_s[SYNC_PROTO_N]; /* seconds from first sight until a session is told; 0: none */
	bool accounting;         /* counters and ages travel; 16 bytes a session; taken when the core is made */
	uint32_t strict_after_s; /* strict TCP windows for flows taken over, this long after it; 0: never */
	uint32_t protocols;      /* bit per enum sync_proto: what is replicated */
	int64_t lease_ns;        /* life of a copy between renewals, 300..600 s */
	uint32_t entries_max;    /* sessions kept in our table */
	uint32_t peer_max;       /* of them copies of one peer; 0: no limit of its own */
	uint32_t high_water;     /* percent of nf_conntrack_max up to which copies are written; 0: no mark */
	uint32_t peer_rate;      /* records per second read from one peer; 0: no limit */
	uint32_t rcvbuf_bytes;   /* of the event socket, SO_RCVBUFFORCE */
	uint32_t bulk_rate;      /* copies per second written in bulk */
	/* Virtual addresses of every instance: count as own on every node (local sessions are never sent). */
	struct addr vips[SYNC_LOCALS_MAX];
	uint16_t n_vips;
};

#endif
