/*
 * Purpose: a conntrack entry as a plain value: what ctnetlink reports and accepts, what travels, what the table keeps.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In/Out:  host order except addresses (network order, IPv4 in the first four bytes).
 * Errors:  none.
 */
#ifndef KT_SYNC_CT_H
#define KT_SYNC_CT_H

#include <stdbool.h>
#include <stdint.h>

/* One direction. For ICMP: sport = id, dport = type << 8 | code. Zero-filled, so that tuples compare with memcmp. */
struct ct_tuple {
	uint8_t src[16], dst[16];
	uint16_t sport, dport;
	uint8_t l3; /* 4 or 6 */
	uint8_t l4; /* IPPROTO_* */
	uint16_t zone;
};

/* Which optional parts of an entry are present. */
enum {
	CT_HAS_REPLY = 1 << 0,
	CT_HAS_STATUS = 1 << 1,
	CT_HAS_TIMEOUT = 1 << 2,
	CT_HAS_TCP = 1 << 3, /* tcp_state; flags and scales too if CT_HAS_TCP_WIN */
	CT_HAS_TCP_WIN = 1 << 4,
	CT_HAS_MARK = 1 << 5,
	CT_HAS_ID = 1 << 6,
	CT_HAS_MASTER = 1 << 7, /* a related entry: its master's original tuple follows */
	CT_HAS_HELPER = 1 << 8,
	CT_HAS_SCTP = 1 << 9,      /* sctp_state and both verification tags */
	CT_HAS_LABELS = 1 << 10,   /* connlabels that rules have set */
	CT_HAS_SEQADJ = 1 << 11,   /* a helper has changed the length of what a TCP stream carries */
	CT_HAS_SYNPROXY = 1 << 12, /* the handshake was made by SYNPROXY */
	CT_HAS_COUNTERS = 1 << 20, /* packets, bytes; age_s only between nodes */
	/* parts that few entries have */
	CT_HAS_RARE = CT_HAS_MASTER | CT_HAS_HELPER | CT_HAS_SCTP | CT_HAS_LABELS | CT_HAS_SEQADJ | CT_HAS_SYNPROXY,
};

/* Status bits of linux/netfilter/nf_conntrack_common.h under our own names, values equal to the kernel's. */
enum {
	CT_ST_EXPECTED = 1 << 0,
	CT_ST_SEEN_REPLY = 1 << 1,
	CT_ST_ASSURED = 1 << 2,
	CT_ST_CONFIRMED = 1 << 3,
	CT_ST_SRC_NAT = 1 << 4,
	CT_ST_DST_NAT = 1 << 5,
	CT_ST_SEQ_ADJUST = 1 << 6,
	CT_ST_SRC_NAT_DONE = 1 << 7,
	CT_ST_DST_NAT_DONE = 1 << 8,
	CT_ST_DYING = 1 << 9,
	CT_ST_FIXED_TIMEOUT = 1 << 10,
	CT_ST_OFFLOAD = 1 << 14,    /* in a flowtable: no event, no TCP state, an artificial timer */
	CT_ST_HW_OFFLOAD = 1 << 15, /* and in the network card besides */
};

/* TCP flag bits that may travel (nf_conntrack_tcp.h): never 0x10 or 0x20. */
enum {
	CT_TCP_WINDOW_SCALE = 1,
	CT_TCP_SACK_PERM = 2,
	CT_TCP_CLOSE_INIT = 4,
	CT_TCP_BE_LIBERAL = 8,
	CT_TCP_KEEP = 0x0f
};

/* TCP states of linux/netfilter/nf_conntrack_tcp.h. */
enum {
	CT_TCP_NONE = 0,
	CT_TCP_SYN_SENT = 1,
	CT_TCP_SYN_RECV = 2,
	CT_TCP_ESTABLISHED = 3,
	CT_TCP_FIN_WAIT = 4,
	CT_TCP_CLOSE_WAIT = 5,
	CT_TCP_LAST_ACK = 6,
	CT_TCP_TIME_WAIT = 7,
	CT_TCP_CLOSE = 8,
	CT_TCP_SYN_SENT2 = 9,
};

/* SCTP states of linux/netfilter/nf_conntrack_sctp.h. */
enum {
	CT_SCTP_NONE = 0,
	CT_SCTP_CLOSED = 1,
	CT_SCTP_COOKIE_WAIT = 2,
	CT_SCTP_COOKIE_ECHOED = 3,
	CT_SCTP_ESTABLISHED = 4,
	CT_SCTP_SHUTDOWN_SENT = 5,
	CT_SCTP_SHUTDOWN_RECD = 6,
	CT_SCTP_SHUTDOWN_ACK_SENT = 7,
	CT_SCTP_HEARTBEAT_SENT = 8,
	CT_SCTP_HEARTBEAT_ACKED = 9, /* no longer used by newer kernels */
};

#define CT_LABELS_LEN 16

/* By how much sequence numbers of one direction are moved, before and after a position (nf_conntrack_seqadj.h). */
struct ct_seqadj {
	uint32_t position;
	int32_t before, after;
};

struct ct_synproxy {
	uint32_t isn, its, tsoff;
};

struct ct_entry {
	struct ct_tuple orig, reply; /* reply as the kernel shows it: translated */
	uint32_t has;
	uint32_t status;
	uint32_t timeout_s; /* remaining */
	uint32_t mark;
	uint32_t id;
	uint8_t tcp_state;
	uint8_t tcp_flags[2]; /* original, reply */
	uint8_t tcp_wscale[2];
	uint8_t sctp_state;
	uint32_t sctp_vtag[2]; /* original, reply */
	char helper[16];
	struct ct_tuple master;
	uint8_t labels[CT_LABELS_LEN];
	struct ct_seqadj seqadj[2]; /* original, reply */
	struct ct_synproxy synproxy;
	uint64_t packets, bytes; /* of both directions */
	uint32_t age_s;
};

#define CT_AGE_UNKNOWN UINT32_MAX

enum ct_event_type { CT_EV_NEW = 0, CT_EV_UPDATE, CT_EV_DESTROY, CT_EV_DUMP };

struct ct_event {
	enum ct_event_type type;
	uint32_t portid; /* who caused it: 0 = packets or timers, else a netlink socket */
	struct ct_entry e;
};

/* What the injector is asked to write. */
enum ct_op_type {
	CT_OP_CREATE = 0, /* NLM_F_CREATE | NLM_F_EXCL */
	CT_OP_UPDATE,     /* state of an entry that exists; TCP_WIN without TCP: its BE_LIBERAL bits, nothing else */
	CT_OP_RENEW,      /* original tuple and timeout only */
	CT_OP_DELETE,     /* by original tuple */
	CT_OP_GET,        /* ask for one entry: answered by a CT_EV_DUMP event or by -ENOENT */
};

struct ct_op {
	enum ct_op_type type;
	uint32_t cookie; /* comes back with the result */
	struct ct_entry e;
};

#endif
