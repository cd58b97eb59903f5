/*
 * Purpose: ctnetlink messages <-> plain values: events, dump entries and errors in; operations and dump requests out.
 * Owns:    nothing; buffers are the caller's.
 * Thread:  any (pure).
 * In:      one datagram of the netlink socket, host byte order headers as the kernel writes them.
 * Out:     struct ct_wire_msg, struct ct_event; bytes ready for sendmsg.
 * Errors:  the parser names why it dropped a message (enum ct_drop); the builder returns ERR_FULL or ERR_MALFORMED and
 *          has then written nothing.
 *
 * Written by hand since the library's parser doubles the cost of an event; libnetfilter_conntrack is the reference the
 * unit test compares with, field by field.
 */
#ifndef KT_SYNC_CT_WIRE_H
#define KT_SYNC_CT_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/base/wire.h"
#include "sync/ct.h"

/* name, counter name, text */
#define CT_DROP_TABLE(X)                                                                          \
	X(CT_OK, "accepted", "accepted")                                                          \
	X(CT_DROP_HEADER, "header", "the datagram ends inside a netlink header")                  \
	X(CT_DROP_LENGTH, "length", "the length field of the message does not fit the datagram")  \
	X(CT_DROP_SUBSYS, "subsystem", "the message is not of the conntrack subsystem")           \
	X(CT_DROP_TYPE, "type", "the conntrack message type is unknown")                          \
	X(CT_DROP_GENERIC, "generic", "the message ends inside the netfilter header")             \
	X(CT_DROP_FAMILY, "family", "the address family is neither IPv4 nor IPv6")                \
	X(CT_DROP_ATTR, "attribute", "an attribute is longer than what holds it")                 \
	X(CT_DROP_ATTR_SIZE, "attribute_size", "an attribute has a size its type does not allow") \
	X(CT_DROP_ADDRESS, "address", "a tuple lacks an address or has one of the other family")  \
	X(CT_DROP_PROTO, "protocol", "a tuple lacks its protocol, ports or ICMP fields")          \
	X(CT_DROP_NO_ORIG, "no_original", "the entry has no original tuple")                      \
	X(CT_DROP_TCP_STATE, "tcp_state", "the TCP state is out of range")                        \
	X(CT_DROP_SCTP_STATE, "sctp_state", "the SCTP state is out of range")                     \
	X(CT_DROP_HELPER, "helper", "the helper name is empty, too long or not terminated")       \
	X(CT_DROP_ERROR, "error", "an error message is too short for its code")

enum ct_drop {
#define CT_DROP_ENUM(name, counter, text) name,
	CT_DROP_TABLE(CT_DROP_ENUM)
#undef CT_DROP_ENUM
	    CT_DROP_N
};

/* Name of the counter ("attribute_size") and the full text; static storage. */
const char *ct_drop_name(enum ct_drop d);
const char *ct_drop_text(enum ct_drop d);

enum ct_wire_kind {
	CT_WIRE_ENTRY = 0, /* event, dump entry or answer to a GET: ct_wire_event reads it */
	CT_WIRE_RESULT,    /* NLMSG_ERROR: m.error is 0 (an ACK) or -errno, m.seq names the request */
	CT_WIRE_DONE,      /* end of a dump; m.error is 0 or -errno */
	CT_WIRE_SKIP,      /* NLMSG_NOOP and the like */
};

/* One netlink message of a datagram; body points into the datagram. */
struct ct_wire_msg {
	enum ct_wire_kind kind;
	uint16_t type, flags; /* as in nlmsghdr */
	uint32_t seq, portid;
	int error;
	bool dump_intr;      /* NLM_F_DUMP_INTR: the dump is not consistent */
	const uint8_t *body; /* after nlmsghdr */
	size_t body_len;
};

/*
 * Takes the next message off the datagram in r. Call while wire_left(r) > 0; after CT_DROP_HEADER and CT_DROP_LENGTH
 * the rest of the datagram cannot be read and r is emptied, after other drops the next message follows.
 */
enum ct_drop ct_wire_next(struct wire_rd *r, struct ct_wire_msg *m);

/*
 * Reads an entry (kind CT_WIRE_ENTRY). ev->type: DUMP for multi-part answers (dump and GET), else NEW, UPDATE, DESTROY
 * from type and flags. Only attributes that were present set a bit in e.has: an UPDATE is a delta. A master's tuple
 * carries no zone of its own and gets the entry's. *ev is undefined unless CT_OK is returned.
 * What the kernel tells (6.18, tests/sim/ct_script.c): a DESTROY has CT_HAS_TIMEOUT with what was left if the entry was
 * removed before its time, whoever removed it (masquerade cleanup and early drop have port id 0 too), and lacks it when
 * it expired; of TCP it has the state alone. An UPDATE never names the master.
 */
enum ct_drop ct_wire_event(const struct ct_wire_msg *m, struct ct_event *ev);

/*
 * The tuple that replies to t when nothing is translated: ends swapped; ICMP echo, timestamp, information, mask and
 * ICMPv6 echo and node queries turned into their answers (nf_conntrack_proto_icmp.c). False for an ICMP type that
 * cannot open a session.
 */
bool ct_tuple_invert(const struct ct_tuple *t, struct ct_tuple *out);
/* Same direction, same zone; tuples are zero-filled, so bytes decide. */
bool ct_tuple_equal(const struct ct_tuple *a, const struct ct_tuple *b);
/* "tcp 10.0.0.1:1234 -> 192.0.2.1:80 zone 5", "icmp 10.0.0.1 -> 192.0.2.1 type 8 code 0 id 7": always terminated. */
#define CT_TUPLE_TEXT 144
const char *ct_tuple_text(const struct ct_tuple *t, char out[CT_TUPLE_TEXT]);

/* Status bits a CREATE may carry; ct_wire_build removes all others (session-sync 3.1: EBUSY or silently ignored). */
#define CT_ST_CREATE   (CT_ST_SEEN_REPLY | CT_ST_ASSURED | CT_ST_CONFIRMED)

/* No single operation is longer than this; CT_WIRE_BATCH of them go into one send. */
#define CT_WIRE_OP_MAX 768
#define CT_WIRE_BATCH  64

/*
 * Appends one operation with sequence number seq. Uses of op->e:
 * CREATE: orig, timeout required. Status is cut to CT_ST_CREATE and gets CONFIRMED. NAT kinds come from the status bits
 *   (without CT_HAS_STATUS: from the difference of the tuples): CTA_NAT_SRC = reply destination, CTA_NAT_DST = reply
 *   source, and the reply tuple sent is the plain inverse of the original, since the kernel computes the translated
 * one. A translated reply without NAT bits (IPVS) is sent as it is. TCP flags are cut to CT_TCP_KEEP; BE_LIBERAL is the
 *   caller's choice. Mark, zone, helper, master, SCTP, labels, sequence adjustment and SYNPROXY as present.
 * UPDATE: orig, and status (EXPECTED kept: clearing it is EBUSY), timeout, TCP, SCTP, mark, labels, sequence adjustment, SYNPROXY as present. Never NAT, master,
 * helper. RENEW:  orig and timeout (required).   DELETE: orig, and the id if CT_HAS_ID is set.   GET: orig. 0;
 * ERR_FULL: no room in w; ERR_MALFORMED: a required part is missing or the tuple is not one of an entry. w is unchanged
 * then.
 */
int ct_wire_build(struct wire_wr *w, const struct ct_op *op, uint32_t seq);

/* Appends a request to dump the table. l3: 4, 6 or 0 for both. 0 or ERR_FULL. */
int ct_wire_dump(struct wire_wr *w, uint8_t l3, uint32_t seq);

#endif
