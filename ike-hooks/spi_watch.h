/*
 * Purpose: finds peers that still send into an SA which this node does not have: reads an ESP header (plain, or in UDP
 *          port 4500), compares it with the SPIs that are in use, and says how often a peer may be asked about.
 * Owns:    struct spi_watch; its arrays belong to whoever called spi_watch_init.
 * Thread:  CONTROL (pure: no I/O, clock, memory).
 * In:      packets, SPIs that the IKE daemon or the kernel named, roles, and the present instant.
 * Out:     one verdict per packet, each with a counter; when the sockets should be open.
 * Errors:  a packet that cannot be read has a verdict of its own. More SPIs than there is room for: the one not
 *          confirmed for the longest gives way, counted in evicted.
 *
 * A packet is a hint and nothing more, because anybody can write a source address (RFC 7296 2.4): SPI_ASK means "find
 * out whether this SPI exists", never "reset". Of one peer it is said at once, then after 3 ms, 20 ms, 100 ms, and
 * from there once per second (the first repetition compares the counters of its tunnels: ike_stale.c); of all peers together
 * SPI_ASK_BURST times, and SPI_ASK_RATE per second later.
 *
 * An SPI counts as known for SPI_KEEP_NS after it was named last: the end of a rekey leaves packets on their way.
 */
#ifndef KT_SPI_WATCH_H
#define KT_SPI_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/base/addr.h"
#include "daemon/base/mono.h"

#define SPI_OPEN_NS   (30 * NS_PER_SEC) /* the sockets stay open after a promotion, a reset, a rise of a counter */
#define SPI_KEEP_NS   (15 * NS_PER_SEC) /* three times the period of the lists that confirm an SPI */
#define SPI_CALM_NS   (10 * NS_PER_SEC) /* no unknown SPI of a peer for so long: its next one is a new story */
#define SPI_ASK_BURST 64
#define SPI_ASK_RATE  32 /* per second */
#define SPI_NAT_PORT  4500
#define SPI_FIRST     256u /* lower ones are reserved (RFC 4303 2.1) */
#define SPI_HEAD_LEN  8u   /* SPI and sequence number */

/* name, text */
#define SPI_VERDICT_TABLE(X)                                                       \
	X(SPI_ASK, "unknown SPI of a configured peer: asked about")                \
	X(SPI_QUIET, "unknown SPI of a peer that was asked about just now")        \
	X(SPI_SPENT, "unknown SPI while too many peers are asked about")           \
	X(SPI_KNOWN, "SPI in use")                                                 \
	X(SPI_STRANGER, "source is no configured peer of this address")            \
	X(SPI_NOT_OURS, "destination is no address that this node serves")         \
	X(SPI_DROP_SHORT, "packet ends before the SPI and sequence number")        \
	X(SPI_DROP_VERSION, "IP version or header length is wrong")                \
	X(SPI_DROP_PROTO, "neither ESP nor UDP")                                   \
	X(SPI_DROP_FRAGMENT, "fragment")                                           \
	X(SPI_DROP_PORT, "UDP to another port")                                    \
	X(SPI_DROP_IKE, "IKE message (zero marker)")                               \
	X(SPI_DROP_KEEPALIVE, "NAT keepalive, or UDP payload too short to be ESP") \
	X(SPI_DROP_RESERVED, "reserved SPI")

enum spi_verdict {
#define SPI_ENUM(name, text) name,
	SPI_VERDICT_TABLE(SPI_ENUM)
#undef SPI_ENUM
	    SPI_VERDICT_N
};

struct spi_pkt {
	struct addr src, dst;
	uint32_t spi; /* host order */
	bool udp;
};

/* One (virtual address, peer): several tunnels may share it. */
struct spi_pair {
	struct addr vip, peer;
	bool active;     /* the address is ours and a tunnel of the pair is wanted */
	uint8_t asks;    /* asked about so often in this story */
	mono_t next_ask; /* not before */
	mono_t last_at;  /* last unknown SPI; MONO_NEVER: none */
	uint32_t last_spi;
	uint64_t unknown, asked;
};

struct spi_known {
	uint32_t spi;
	uint16_t vip; /* index of the first pair with this address */
	mono_t seen;
};

struct spi_watch {
	struct spi_pair *pair; /* ordered by address, then peer */
	uint16_t n, cap;
	struct spi_known *known; /* ordered by SPI, then address */
	uint32_t n_known, cap_known;
	uint32_t generation; /* grows when the active pairs or the known SPIs change: the filter has to follow */
	mono_t open_until;
	int64_t tokens; /* thousandths */
	mono_t refilled;
	mono_t expired; /* known SPIs were looked through last */
	uint64_t openings, evicted;
	uint64_t count[SPI_VERDICT_N];
};

void spi_watch_init(struct spi_watch *w, struct spi_pair *pair, uint16_t cap, struct spi_known *known,
		    uint32_t cap_known, mono_t now);
/* Adds a pair once; before the first packet. False when the array is full or the families differ. */
bool spi_watch_add(struct spi_watch *w, const struct addr *vip, const struct addr *peer);
/* NULL: no such pair. */
struct spi_pair *spi_watch_find(struct spi_watch *w, const struct addr *vip, const struct addr *peer);

/* The role of the address. A pair that is no longer active forgets its story. */
void spi_watch_active(struct spi_watch *w, struct spi_pair *p, bool active);
/* True when some active pair has an address of this family. */
bool spi_watch_any(const struct spi_watch *w, uint8_t af);
/* Promotion, reset, a counter that rose: the sockets should be open for SPI_OPEN_NS from now. */
void spi_watch_open(struct spi_watch *w, mono_t now);
bool spi_watch_wanted(const struct spi_watch *w, mono_t now);

/* This SPI is in use for packets to vip. */
void spi_watch_learn(struct spi_watch *w, const struct addr *vip, uint32_t spi, mono_t now);
/* Every SPI of this address was removed. */
void spi_watch_forget(struct spi_watch *w, const struct addr *vip);
/* SPIs not confirmed for SPI_KEEP_NS go; at most once a second, else it returns at once. */
void spi_watch_expire(struct spi_watch *w, mono_t now);
bool spi_watch_knows(const struct spi_watch *w, const struct addr *vip, uint32_t spi);

/* An IPv4 packet with its header, as a raw socket gets it. SPI_KNOWN: read, out is filled; else why not. */
enum spi_verdict spi_parse_v4(const void *data, size_t len, struct spi_pkt *out);
/* What follows the IPv6 headers; addresses and protocol (IPPROTO_ESP or UDP) are set by the caller in out and udp. */
enum spi_verdict spi_parse_v6(const void *data, size_t len, bool udp, struct spi_pkt *out);
/* Counts it, and says what to do. pair is set for SPI_ASK and SPI_QUIET. */
enum spi_verdict spi_watch_packet(struct spi_watch *w, const struct spi_pkt *pkt, mono_t now, struct spi_pair **pair);
/* Answers SPI_ASK: nobody can look into it before that instant. The question was none. */
void spi_watch_later(struct spi_watch *w, struct spi_pair *p, mono_t at);
/* Counts a packet that could not be read. */
void spi_watch_drop(struct spi_watch *w, enum spi_verdict why);

const char *spi_verdict_text(enum spi_verdict v);

#endif
