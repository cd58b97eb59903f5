/*
 * Purpose: an inbound IPsec SA with its keys as a plain value, and why one is refused.
 * Owns:    nothing. Values of this type hold keys: they live in locked memory only (ike-hooks/sa_lock.h) and are wiped.
 * Thread:  any (pure).
 * In/Out:  plain data, host order. Times are what is left, in seconds.
 * Errors:  enum sa_drop: one counter and one text each.
 *
 * What a copy is for: the active router tells a standby the SAs on which its peers send to a virtual address. The standby
 * installs them in its promotion, so that what the peers send meanwhile can be read until the new negotiation is done.
 * Nothing is ever sent with a copied key, hence no initialization vector is used twice (RFC 4106 section 3).
 */
#ifndef KT_SA_COPY_H
#define KT_SA_COPY_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/addr.h"

#define SA_NAME_MAX  40                          /* of an algorithm, with NUL; the kernel's are shorter than 30 */
#define SA_KEY_MAX   96                          /* bytes; the longest in use is 64 (hmac(sha512)) */
#define SA_LIFE_NS   (INT64_C(120) * 1000000000) /* a copy is a bridge: it lives no longer than this */
#define SA_MARGIN_S  5                           /* before its end a copy counts as over */
#define SA_NO_LIMIT  UINT32_MAX
#define SA_NO_LIMIT8 UINT64_MAX

#define SA_DROP_TABLE(X)                                                                                    \
	X(SA_DROP_SHORT, "it ends before its last field")                                                   \
	X(SA_DROP_ATTR, "an attribute is longer than the message, or has the wrong size")                   \
	X(SA_DROP_FAMILY, "address family is neither IPv4 nor IPv6")                                        \
	X(SA_DROP_PROTO, "it is no ESP")                                                                    \
	X(SA_DROP_LARVAL, "it has no keys yet")                                                             \
	X(SA_DROP_ZERO_KEY, "the kernel does not show its keys (lockdown): they read as zero")              \
	X(SA_DROP_ALG, "an algorithm's name or key is longer than any known")                               \
	X(SA_DROP_SELECTOR, "its selector names an interface, which means nothing on another node")         \
	X(SA_DROP_WINDOW, "its replay window is larger than any known")                                     \
	X(SA_DROP_OUTBOUND, "it is marked as outbound")                                                     \
	X(SA_DROP_LIFE, "its lifetime is nearly over")                                                      \
	X(SA_DROP_VERSION, "the record is of an unknown version")                                           \
	X(SA_DROP_KIND, "the record is of an unknown kind; it was skipped")                                 \
	X(SA_DROP_VALUE, "a field of the record is out of range")                                           \
	X(SA_DROP_SENDER, "the record names another sender than the channel does")                          \
	X(SA_DROP_SEAL, "the record was sealed for another key")                                            \
	X(SA_DROP_INSECURE, "the channel is neither authenticated nor encrypted (insecure = true)")         \
	X(SA_DROP_UNLISTED, "no tunnel of this node with sync_sa = \"inbound\" has this pair of addresses") \
	X(SA_DROP_SERVING, "this node serves the address itself")                                           \
	X(SA_DROP_FULL, "there is no room for more copies")

enum sa_drop {
	SA_OK = 0,
#define SA_ENUM(name, text) name,
	SA_DROP_TABLE(SA_ENUM)
#undef SA_ENUM
	    SA_DROP_N
};
const char *sa_drop_text(enum sa_drop d);

struct sa_alg {
	char name[SA_NAME_MAX]; /* empty: none */
	uint16_t key_bits, icv_bits;
	uint8_t key[SA_KEY_MAX];
};

struct sa_selector {
	struct addr dst, src; /* af 0: anything */
	uint8_t dst_len, src_len, proto;
	uint16_t dport, dport_mask, sport, sport_mask;
};

struct sa_copy {
	uint32_t id; /* given by the sender; 0: none yet */
	struct addr src, dst;
	uint32_t spi;
	uint8_t proto, mode, flags, dir;
	uint32_t reqid, if_id, extra_flags;
	bool has_mark, has_set_mark, has_encap, has_extra, wide; /* wide: window and counters as XFRMA_REPLAY_ESN_VAL */
	uint32_t mark, mark_mask, set_mark, set_mark_mask;
	uint16_t encap_type, encap_sport, encap_dport;
	struct addr encap_oa;
	uint32_t window;                   /* packets */
	uint64_t top;                      /* highest number that was accepted; RFC 4303 section 3.4.3 */
	uint32_t left_s;                   /* SA_NO_LIMIT: none */
	uint64_t left_bytes, left_packets; /* SA_NO_LIMIT8: none */
	struct sa_selector sel;
	struct sa_alg auth, crypt, aead;
	/* of a listing, never sent */
	uint64_t packets;
	uint64_t fingerprint; /* of everything but id, top and what is left */
	bool bridge;          /* installed by us */
};

/* Overwrites keys and everything else; the compiler keeps it. */
void sa_wipe(struct sa_copy *sa);
/* The same SA as the kernel tells them apart: destination, protocol, SPI, mark. */
bool sa_same(const struct sa_copy *a, const struct sa_copy *b);
/* By destination, source, SPI, protocol, mark: how listings are sorted. <0, 0, >0 */
int sa_cmp(const struct sa_copy *a, const struct sa_copy *b);
/* At least one key, and none of them all zero (ESP-NULL's own is empty and does not count). */
bool sa_has_keys(const struct sa_copy *sa);

#endif
