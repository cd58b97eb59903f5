/*
 * Purpose: which sessions are replicated, and why the others are not; how long a state lives in the kernel.
 * Owns:    the sorted set of addresses that count as this box's own, and the networks of interfaces that rules name.
 * Thread:  SYNC only.
 * In:      configuration, own addresses, an entry.   Out: a reason (SYNC_WHY_NONE = replicate), seconds.
 * Errors:  more addresses or networks than fit: ERR_FULL, the old set stays.
 *
 * sync_locals.c: addresses and networks; sync_filter.c: sync.ignore; sync_policy.c: classes and timers.
 */
#ifndef KT_SYNC_SYNC_POLICY_H
#define KT_SYNC_SYNC_POLICY_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/addr.h"
#include "sync/ct.h"
#include "sync/sync_conf.h"

/* Every session has exactly one. */
enum sync_disposition { SYNC_DISP_SYNCED = 0, SYNC_DISP_PENDING, SYNC_DISP_SKIPPED, SYNC_DISP_FAILED };

/* name, disposition, word in `show`, text */
#define SYNC_WHY_TABLE(X)                                                                                            \
	X(SYNC_WHY_NONE, SYNC_DISP_SYNCED, "synced", "the peer has it, or it is a peer's copy here")                 \
	X(SYNC_WHY_LOCAL_ORIGIN, SYNC_DISP_SKIPPED, "local-origin", "this box itself opened it")                     \
	X(SYNC_WHY_LOCAL_DEST, SYNC_DISP_SKIPPED, "local-destination", "this box itself answers it")                 \
	X(SYNC_WHY_PROTO_OFF, SYNC_DISP_SKIPPED, "protocol-off", "the configuration excludes its protocol")          \
	X(SYNC_WHY_IGNORED, SYNC_DISP_SKIPPED, "ignored", "a rule of sync.ignore leaves it out")                     \
	X(SYNC_WHY_NODE_ADDR, SYNC_DISP_SKIPPED, "node-address",                                                     \
	  "translated to this node's own address, which does not move: SNAT to a virtual address instead")           \
	X(SYNC_WHY_OFF, SYNC_DISP_SKIPPED, "replication-off", "replicate = false")                                   \
	X(SYNC_WHY_PEER_LOCAL, SYNC_DISP_SKIPPED, "peer-local", "the peer itself opens or answers it")               \
	X(SYNC_WHY_HALF_OPEN, SYNC_DISP_PENDING, "half-open", "TCP is not established yet")                          \
	X(SYNC_WHY_CLOSING, SYNC_DISP_PENDING, "closing", "TCP was closing when it was first seen")                  \
	X(SYNC_WHY_STATE, SYNC_DISP_PENDING, "state-off", "sync.tcp_states does not name its TCP state")             \
	X(SYNC_WHY_YOUNG, SYNC_DISP_PENDING, "too-young", "younger than sync.min_age")                               \
	X(SYNC_WHY_UNREPLIED, SYNC_DISP_PENDING, "unreplied", "no answer was seen yet")                              \
	X(SYNC_WHY_ORPHAN, SYNC_DISP_PENDING, "unowned", "found in the kernel, nobody has said whose it is")         \
	X(SYNC_WHY_QUEUED, SYNC_DISP_PENDING, "queued", "waits to be sent")                                          \
	X(SYNC_WHY_PEER_DOWN, SYNC_DISP_PENDING, "peer-down", "no peer is connected")                                \
	X(SYNC_WHY_INJECTING, SYNC_DISP_PENDING, "injecting", "waits to be written into the kernel")                 \
	X(SYNC_WHY_LOST, SYNC_DISP_PENDING, "lost", "the copy vanished here and was asked for again")                \
	X(SYNC_WHY_EXPIRING, SYNC_DISP_PENDING, "expiring", "its timer ran out; the peer is asked whether it lives") \
	X(SYNC_WHY_WARM, SYNC_DISP_SYNCED, "warm", "kept in this node's store until it takes over")                  \
	X(SYNC_WHY_STANDBY_FULL, SYNC_DISP_PENDING, "standby-full",                                                  \
	  "kept in the standby's store: its kernel table is filled up to the high-water mark")                       \
	X(SYNC_WHY_TABLE_FULL, SYNC_DISP_PENDING, "table-full",                                                      \
	  "taken over, but this node's kernel table has no room: see nf_conntrack_max")                              \
	X(SYNC_WHY_FAILED, SYNC_DISP_FAILED, "failed", "the kernel refused it")

enum sync_why {
#define SYNC_WHY_ENUM(name, disp, word, text) name,
	SYNC_WHY_TABLE(SYNC_WHY_ENUM)
#undef SYNC_WHY_ENUM
	    SYNC_WHY_N
};

/* Which of the operator's protocols an IP protocol number belongs to, and its name in the configuration. */
enum sync_proto sync_proto_of(uint8_t l4);
const char *sync_proto_word(enum sync_proto p);

enum sync_disposition sync_why_disposition(enum sync_why w);
const char *sync_why_word(enum sync_why w);
const char *sync_why_text(enum sync_why w);
const char *sync_disposition_word(enum sync_disposition d);

#define SYNC_LOCAL_MAX 4096
#define SYNC_NETS_MAX  256

/* A network that an interface named in sync.ignore is connected to. */
struct sync_net {
	struct addr net;
	uint8_t plen;
	char ifname[SYNC_IFNAME_MAX];
};

struct sync_locals {
	struct addr own[SYNC_LOCAL_MAX]; /* interface addresses, sorted */
	uint32_t n_own;
	struct addr before[SYNC_LOCAL_MAX]; /* the set before that */
	uint32_t n_before;
	struct addr vips[SYNC_LOCALS_MAX]; /* sorted */
	uint32_t n_vips;
	struct sync_net nets[SYNC_NETS_MAX];
	uint64_t net_rules[SYNC_NETS_MAX]; /* bit per rule of sync.ignore that names the network's interface */
	uint32_t n_nets;
};

/* n interface addresses of this node (VIPs among them do no harm). 0 or ERR_FULL. */
int sync_locals_set(struct sync_locals *l, const struct addr *addrs, uint32_t n);
/* Did the last sync_locals_set take an address away? */
bool sync_locals_vanished(const struct sync_locals *l);
/* Did it change what counts as own? A virtual address that comes or goes does not. */
bool sync_locals_changed(const struct sync_locals *l);
/* Virtual addresses and rules of a new configuration. */
void sync_locals_conf(struct sync_locals *l, const struct sync_conf *conf);
/*
 * The networks of all interfaces that rules of conf name; others are kept and match nothing. Returns 1 when they differ
 * from what was known, else 0, or ERR_FULL.
 */
int sync_locals_nets(struct sync_locals *l, const struct sync_conf *conf, const struct sync_net *nets, uint32_t n);
bool sync_local_is_vip(const struct sync_locals *l, uint8_t l3, const uint8_t addr[16]);
/* Own, VIP or loopback. */
bool sync_local_is_own(const struct sync_locals *l, uint8_t l3, const uint8_t addr[16]);

/* The first rule of sync.ignore that leaves e out, or -1. */
int sync_filter_rule(const struct sync_conf *conf, const struct sync_locals *l, const struct ct_entry *e);

/* This box itself opens or answers it (LOCAL_ORIGIN, LOCAL_DEST), else SYNC_WHY_NONE. No peer has a say in those. */
enum sync_why sync_policy_local(const struct sync_locals *l, const struct ct_entry *e);
/*
 * SYNC_WHY_NONE: replicate e. before: it was replicated already (then its state does not stop it any more, while the
 * protocol switch and locality still do).
 */
enum sync_why sync_policy_judge(const struct sync_conf *conf, const struct sync_locals *l, const struct ct_entry *e,
				bool before);

/* The kernel's timers in seconds, by state. */
struct sync_timeouts {
	uint32_t tcp[CT_TCP_SYN_SENT2 + 1];         /* by CT_TCP_* */
	uint32_t sctp[CT_SCTP_HEARTBEAT_ACKED + 1]; /* by CT_SCTP_* */
	uint32_t udp, udp_stream, icmp, icmpv6, generic, gre, gre_stream;
};
/* Defaults of the kernel (nf_conntrack_proto_tcp.c and its neighbours). */
void sync_timeouts_default(struct sync_timeouts *t);
/* What an entry of this state gets from its next packet. */
uint32_t sync_policy_full_timeout(const struct sync_timeouts *t, const struct ct_entry *e);
/* The state ends soon by itself: its copy gets the remaining time and no lease. */
bool sync_policy_short(const struct ct_entry *e);

#define SYNC_GRACE_S     2 /* whole seconds: a copy must not end before the original's removal arrives */
#define SYNC_LEASE_MAX_S 600
/* Seconds a copy gets when left_s are left at its owner. lease_s from the configuration. */
uint32_t sync_policy_grant(const struct ct_entry *e, uint32_t left_s, uint32_t lease_s);

#endif
