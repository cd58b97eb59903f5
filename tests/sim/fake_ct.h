/*
 * Purpose: a conntrack table in memory that answers, ages and reports like the kernel's, in virtual time.
 * Owns:    struct fake_ct, its entries and its event queue.
 * Thread:  one.
 * In:      struct ct_op with a port id, packets, the clock, interface events.   Out: 0 or -errno, struct ct_event.
 * Errors:  as ctnetlink's: EEXIST, ENOENT, EBUSY, EINVAL, EOPNOTSUPP, EPERM, ENOMEM.
 *
 * The rules are those of the real kernel; tests/sim/ct_script.c runs the same operations on both.
 */
#ifndef KT_TESTS_FAKE_CT_H
#define KT_TESTS_FAKE_CT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/base/mono.h"
#include "sync/ct.h"

struct fake_ct;

/* max: nf_conntrack_max; queue: events that fit the receive buffer. Time starts at MONO_ZERO; nobody listens. */
struct fake_ct *fake_ct_new(uint32_t max, uint32_t queue);
void fake_ct_free(struct fake_ct *f);

/* Joins groups; own is the port id that the listener's filter hides (0: hides none). Leaving NEW and UPDATE keeps
 * what is queued. */
void fake_ct_listen(struct fake_ct *f, bool new_update, bool destroy, uint32_t own);
/* The daemon's sockets are closed: nothing is joined, the queue is emptied. */
void fake_ct_close(struct fake_ct *f);

/* net.netfilter.nf_conntrack_events: 1 (how it starts) or 2: entries made while nobody listens stay mute for life. */
void fake_ct_sysctl_events(struct fake_ct *f, int mode);

/* What goes wrong on purpose. Numbers count down to zero: nothing. */
struct fake_ct_fault {
	uint32_t lose_told;   /* events that find no room; the listener hears of it */
	uint32_t lose_silent; /* events that never come, and nobody says so */
	uint32_t fail; /* requests of the listener's own port id of which each fail_every-th fails with fail_err */
	uint32_t fail_every;
	int fail_err; /* -ENOBUFS: it was done, only the answer is lost */
};
struct fake_ct_stats {
	uint64_t lost_told, lost_silent, failed, early_dropped, mute;
};
struct fake_ct_fault *fake_ct_fault(struct fake_ct *f);
const struct fake_ct_stats *fake_ct_stats(const struct fake_ct *f);
/* Somebody sets nf_conntrack_max; entries above it stay. 0: as it was. */
void fake_ct_crowd(struct fake_ct *f, uint32_t max);
/* An entry that was dropped early, each once, the last 64 of them. */
bool fake_ct_dropped(struct fake_ct *f, struct ct_tuple *out);

/* Moves the clock; entries that expire on the way go in order of expiry, as DESTROY with port id 0. */
void fake_ct_run(struct fake_ct *f, mono_t now);
/* When the next entry expires; MONO_NEVER if none. */
mono_t fake_ct_next(const struct fake_ct *f);

/* A ctnetlink request as bytes (one message), as a socket with that port id. 0 or -errno; GET fills *got if not NULL.
 */
int fake_ct_msg(struct fake_ct *f, uint32_t portid, const void *msg, size_t len, struct ct_event *got);

/* One operation as a socket with that port id (never 0). Goes through ct_wire_build and fake_ct_msg, so
 * that the codec is part of every simulation. 0 or -errno. */
int fake_ct_op(struct fake_ct *f, uint32_t portid, const struct ct_op *op, struct ct_event *got);

/* Takes up to cap events from the queue, oldest first. *overrun (may be NULL) becomes true if events were lost since
 * the last call: they are gone, those still queued follow. */
unsigned fake_ct_events(struct fake_ct *f, struct ct_event *out, unsigned cap, bool *overrun);
unsigned fake_ct_queued(const struct fake_ct *f);

/* A walk over the table: *cursor starts at 0; returns how many were stored, 0 at the end. Entries made or removed
 * meanwhile may or may not be seen, others exactly once. */
unsigned fake_ct_dump(const struct fake_ct *f, uint64_t *cursor, struct ct_event *out, unsigned cap);
uint32_t fake_ct_count(const struct fake_ct *f);
uint32_t fake_ct_max(const struct fake_ct *f);
/* From now on a new entry in a full table pushes out one that is not assured, as the kernel's early_drop does with those
 * of a few buckets; how often that happened by request, while nobody had made the table smaller. */
void fake_ct_early_drop(struct fake_ct *f);
uint32_t fake_ct_evicted(const struct fake_ct *f);

/* Tools of others: delete all with a port id that is not the daemon's. */
void fake_ct_flush(struct fake_ct *f, uint32_t portid);

/* What the rules of the router do to the first packet of a session. */
struct fake_ct_nat {
	bool snat, dnat, masquerade;
	uint8_t src[16], dst[16]; /* new source, new destination */
	uint16_t sport, dport;    /* 0: keep */
};

enum fake_ct_verdict {
	FAKE_CT_NEW = 0, /* a session was made */
	FAKE_CT_FOUND,   /* belongs to a session, in either direction; its timer was set */
	FAKE_CT_INVALID, /* TCP in the middle of nothing (tcp_loose = 0), or a closing state does not allow it */
	FAKE_CT_FULL,    /* the table is full: dropped */
};

/* TCP flags of a packet. */
enum { FAKE_TCP_SYN = 1, FAKE_TCP_ACK = 2, FAKE_TCP_FIN = 4, FAKE_TCP_RST = 8 };

/*
 * A packet as it arrives (before translation). A session is made when none matches: UDP and ICMP always, TCP for a SYN
 * only. out, if not NULL, gets the tuple as it leaves (translated): what the far end sees.
 */
enum fake_ct_verdict fake_ct_packet(struct fake_ct *f, const struct ct_tuple *t, unsigned tcp_flags,
				    const struct fake_ct_nat *nat, struct ct_tuple *out);

/* A rule sets the mark of the session that this packet belongs to. */
void fake_ct_mark(struct fake_ct *f, const struct ct_tuple *t, uint32_t mark);

/* An interface with this address (4 or 16 bytes by l3) went down or lost it: entries that this kernel masqueraded to it
 * go, with port id 0. Injected copies do not carry the mark and stay. */
void fake_ct_addr_lost(struct fake_ct *f, uint8_t l3, const uint8_t *addr);

/* Remaining seconds of the entry with this tuple in either direction; -1 if there is none. */
int64_t fake_ct_left(const struct fake_ct *f, const struct ct_tuple *t);
/* A copy of the entry with this original tuple, as a dump shows it. */
bool fake_ct_find(const struct fake_ct *f, const struct ct_tuple *orig, struct ct_entry *out);

#endif
