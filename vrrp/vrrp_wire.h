/*
 * Purpose: VRRP advertisements to and from bytes: version 3, IPv4 and IPv6 (RFC 9568 section 5), and version 2 (RFC 3768
 *          section 5; the simple text password of RFC 2338 5.3.6).
 * Owns:    nothing; a parsed message points into the packet it came from.
 * Thread:  any (pure).
 * In:      one received packet and the virtual router it is for.   Out: a message, or a named reason to drop it.
 * Errors:  every drop reason is one value of enum vrrp_drop: one counter and one text each.
 *
 * A packet that is dropped must not touch any state or timer of the virtual router.
 */
#ifndef KT_VRRP_WIRE_H
#define KT_VRRP_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/base/addr.h"
#include "daemon/base/mono.h"
#include "vrrp/vrrp_conf.h"

enum { VRRP_PROTO = 112, VRRP_HDR_LEN = 8, VRRP_TTL = 255, VRRP_ADDRS_MAX = 255 };
enum { VRRP_AUTH_LEN = 8 }; /* version 2: after the addresses, also when nothing is authenticated */
#define VRRP_MSG_MAX (VRRP_HDR_LEN + VRRP_ADDRS_MAX * 16)

/* name, short name for counters, text */
#define VRRP_DROP_TABLE(X)                                                                                           \
	X(VRRP_OK, "ok", "accepted")                                                                                 \
	X(VRRP_DROP_IP, "ip_header", "the IP header is cut or does not match the packet's length")                   \
	X(VRRP_DROP_TTL, "ttl", "the TTL or hop limit is not 255: the packet was forwarded or forged")               \
	X(VRRP_DROP_SHORT, "too_short", "the packet is shorter than the VRRP header")                                \
	X(VRRP_DROP_VERSION, "version", "there is no such version of VRRP: IPv4 has 2 and 3, IPv6 has 3")            \
	X(VRRP_DROP_TYPE, "type", "the packet is not an advertisement (type 1)")                                     \
	X(VRRP_DROP_COUNT_ZERO, "no_address", "the packet advertises no address")                                    \
	X(VRRP_DROP_LENGTH, "length", "the packet is too short for its number of addresses")                         \
	X(VRRP_DROP_CHECKSUM, "checksum", "the checksum is wrong")                                                   \
	X(VRRP_DROP_INTERVAL, "interval", "the advertisement interval is zero")                                      \
	X(VRRP_DROP_SOURCE, "source", "the source is not a unicast address (IPv6 multicast: not link-local)")        \
	X(VRRP_DROP_DEST, "destination",                                                                             \
	  "the packet was sent neither to the multicast group nor, with unicast_peers, to the address we send from") \
	X(VRRP_DROP_OWN, "own_source", "the packet bears our own address: a loop, or a duplicate address")           \
	X(VRRP_DROP_VRID, "unknown_vrid", "no virtual router with this VRID is configured on the interface")         \
	X(VRRP_DROP_FAMILY, "family", "the virtual router is of the other address family")                           \
	X(VRRP_DROP_IS_V2, "version_2",                                                                              \
	  "the other router speaks version 2 and this one version 3; set version 3 there, or version = \"v2+v3\" "   \
	  "here")                                                                                                    \
	X(VRRP_DROP_IS_V3, "version_3",                                                                              \
	  "the other router speaks version 3 and this one version 2; set version = \"v3\" or \"v2+v3\" here")        \
	X(VRRP_DROP_AUTH_TYPE, "auth_type",                                                                          \
	  "the authentication type differs: either both routers have a version 2 password or none")                  \
	X(VRRP_DROP_AUTH_PASS, "password", "the version 2 password is not the one in auth_pass")                     \
	X(VRRP_DROP_V2_INTERVAL, "interval_differs",                                                                 \
	  "the advertisement interval differs; with version 2 it has to be the same on all routers")                 \
	X(VRRP_DROP_NOT_PEER, "not_a_peer",                                                                          \
	  "the source is none of unicast_peers; add it there, or set unicast_any_source = true")                     \
	X(VRRP_DROP_PEER_TTL, "ttl_of_peer",                                                                         \
	  "the TTL or hop limit is outside min_ttl and max_ttl of this unicast peer")                                \
	X(VRRP_DROP_TRAILING, "trailing_bytes",                                                                      \
	  "there are bytes after the message; if the other router adds authentication (auth_hmac), turn it off there")

enum vrrp_drop {
#define VRRP_DROP_ENUM(name, id, text) name,
	VRRP_DROP_TABLE(VRRP_DROP_ENUM)
#undef VRRP_DROP_ENUM
	    VRRP_DROP_N
};

/* Static texts; never NULL. */
const char *vrrp_drop_text(enum vrrp_drop d);
const char *vrrp_drop_name(enum vrrp_drop d);

/* One packet as the socket gave it. */
struct vrrp_rx {
	uint8_t af;
	struct addr src, dst;
	int ttl; /* TTL or hop limit; -1 when the socket did not tell */
	mono_t at;
	const uint8_t *pdu; /* VRRP message: no IP header, no Ethernet padding */
	size_t len;
};

/* How the sender computed its IPv4 checksum; IPv6 is always VRRP_SUM_PSEUDO, version 2 always VRRP_SUM_PLAIN. */
enum vrrp_sum { VRRP_SUM_PSEUDO = 0, VRRP_SUM_PLAIN };

/* Odd, but accepted. */
enum { VRRP_ODD_VIPS = 1, VRRP_ODD_NOT_LINK_LOCAL = 2 };

struct vrrp_msg {
	uint8_t version; /* 2 or 3 */
	uint8_t vrid, priority, n_addrs;
	enum vrrp_sum sum;
	unsigned
	    odd; /* VRRP_ODD_VIPS: other addresses than ours; VRRP_ODD_NOT_LINK_LOCAL: RFC 9568 5.2.9, first IPv6 one */
	int64_t adv_ns; /* the sender's interval */
	struct addr src;
	const uint8_t *addrs; /* n_addrs times 4 or 16 bytes, inside the packet */
};

/* 224.0.0.18 or ff02::12 (RFC 9568 5.1.1.2, 5.1.2.2). */
struct addr vrrp_wire_group(uint8_t af);
/* The group of this virtual router: its own, or the one of the RFC. */
struct addr vrrp_wire_conf_group(const struct vrrp_conf *conf);

/*
 * Where an advertisement goes, one after the other: the group; or each unicast peer but ourselves (own: our address).
 * *at begins at 0. False: no more, *dst is untouched. For each of them every form that vrrp_wire_next_form gives.
 */
bool vrrp_wire_next_dest(const struct vrrp_conf *conf, const struct addr *own, unsigned *at, struct addr *dst);

/*
 * The versions an advertisement is sent in: 3, 2, or first 3 and then 2 (RFC 5798 8.4.1), so that whoever understands
 * both hears the exact one first. *at begins at 0. False: no more, *version is untouched.
 */
bool vrrp_wire_next_form(const struct vrrp_conf *conf, unsigned *at, uint8_t *version);

/*
 * Splits an IPv4 packet (a raw socket delivers the header too) into rx: af, src, dst, ttl, pdu, len. The length is the
 * header's total length, so that Ethernet padding is cut off. rx->at is left alone. VRRP_OK or VRRP_DROP_IP.
 */
enum vrrp_drop vrrp_wire_ip4(const uint8_t *pkt, size_t len, struct vrrp_rx *rx);

/* VRID of a message, to find the virtual router before parsing; 0 when it is too short to have one. */
uint8_t vrrp_wire_vrid(const struct vrrp_rx *rx);

/*
 * Checks and reads one message (RFC 9568 7.1, RFC 3768 7.1). conf is the virtual router with this VRID on the receiving
 * interface, or NULL when there is none; own is our address there (ADDR_NONE or NULL: not known). conf->version says
 * which versions are accepted. Both IPv4 checksum forms of version 3 are. Our own list of addresses counts: another one
 * is a remark in msg->odd. Fills *msg on VRRP_OK only.
 *
 * With unicast peers the source has to be one of them (unless conf->unicast_any_source), its TTL within the peer's
 * limits, and the destination our own address; without, TTL 255 and the group are demanded.
 *
 * One rule of 7.1 is left out on purpose: an address owner does listen, because an owner that came back does not
 * preempt before it has the sessions and must then know that the other one lives.
 *
 * Where version 2 alone is spoken, another interval is a reason to drop (RFC 3768 7.1). While both versions are, the
 * interval of a version 2 master is accepted and learnt like any other (RFC 5798 8.4.1).
 */
enum vrrp_drop vrrp_wire_parse(const struct vrrp_rx *rx, const struct vrrp_conf *conf, const struct addr *own,
			       struct vrrp_msg *msg);

/* How many of the virtual router's addresses an advertisement bears: those that fit the count field and 1500 bytes. */
unsigned vrrp_wire_advertised(const struct vrrp_conf *conf);

/* Interval as version 2 can say it: the nearest whole second of 1..255 (RFC 3768 5.3.7). */
uint8_t vrrp_wire_v2_seconds(int64_t adv_ns);

/*
 * Writes an advertisement from src to dst (their addresses go into the checksum) in version 2 or 3 into buf;
 * VRRP_MSG_MAX bytes always suffice. Its length, or ERR_FULL.
 */
int vrrp_wire_build(const struct vrrp_conf *conf, uint8_t version, uint8_t priority, const struct addr *src,
		    const struct addr *dst, uint8_t *buf, size_t cap);

#endif
