/*
 * Purpose: codec of the journal: one entry per role transaction, its slot in the file, and the stored epoch.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In/Out:  struct journal_entry <-> bytes, big endian. An encoded entry also travels to the peer (PEER_JOURNAL).
 * Errors:  a named reason; a wrong slot loses this entry only.
 */
#ifndef KT_JOURNAL_WIRE_H
#define KT_JOURNAL_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/base/epoch.h"

#define JOURNAL_PHASES_MAX 24
#define JOURNAL_GROUP_MAX  32 /* with NUL */
#define JOURNAL_DETAIL_MAX 48 /* with NUL */
#define JOURNAL_ENTRY_MAX  285
#define JOURNAL_SLOT_BYTES 304
#define EPOCH_FILE_BYTES   24

enum journal_phase_flag {
	JOURNAL_P_DEGRADED = 1, /* the step failed or timed out and the transaction went on */
	JOURNAL_P_FAILED = 2,   /* the step ended the transaction */
	JOURNAL_P_SKIPPED = 4,  /* nothing to do */
};

struct journal_phase {
	uint8_t id;        /* the role transaction's number of the step */
	uint8_t flags;     /* enum journal_phase_flag */
	int64_t offset_ns; /* since the transaction began; 0 .. 2^40 - 1 */
};

/* Numbers whose words live in daemon/role.h: reason, kind, trigger, from, to, outcome. */
struct journal_entry {
	struct epoch epoch;
	uint32_t node; /* whose entry this is */
	char group[JOURNAL_GROUP_MAX];
	uint8_t reason, kind, trigger, from, to, outcome;
	int32_t err;                     /* 0 or the code that decided the outcome */
	int64_t wall_us;                 /* begin, since 1970, for display only */
	char detail[JOURNAL_DETAIL_MAX]; /* e.g. the object that failed; printable text */
	uint8_t n_phases;
	struct journal_phase phases[JOURNAL_PHASES_MAX];
};

#define JOURNAL_DROP_TABLE(X)                                                 \
	X(JOURNAL_OK, "ok")                                                   \
	X(JOURNAL_EMPTY, "an unused slot")                                    \
	X(JOURNAL_SHORT, "the entry ends before its last field")              \
	X(JOURNAL_MAGIC, "this is not a journal slot")                        \
	X(JOURNAL_VERSION, "the entry was written by an unknown version")     \
	X(JOURNAL_CRC, "the checksum is wrong: the entry was changed or cut") \
	X(JOURNAL_FIELD, "a field is out of range")

enum journal_drop {
#define JOURNAL_ENUM(name, text) name,
	JOURNAL_DROP_TABLE(JOURNAL_ENUM)
#undef JOURNAL_ENUM
	    JOURNAL_DROP_N
};

const char *journal_drop_text(enum journal_drop d);

/* Adds a phase; offsets are cut to 0 .. 2^40 - 1. False (and nothing changes) when all phases are in use. */
bool journal_phase_add(struct journal_entry *e, uint8_t id, uint8_t flags, int64_t offset_ns);

/* Bytes written (at most JOURNAL_ENTRY_MAX), or 0 when cap is too small or a field is out of range. */
size_t journal_entry_encode(const struct journal_entry *e, uint8_t *buf, size_t cap);
enum journal_drop journal_entry_decode(const uint8_t *buf, size_t len, struct journal_entry *out);

/* A slot of the file: magic, sequence number, length, entry, padding, CRC-32 over all of it. */
bool journal_slot_encode(uint64_t seq, const struct journal_entry *e, uint8_t slot[JOURNAL_SLOT_BYTES]);
enum journal_drop journal_slot_decode(const uint8_t *slot, size_t len, uint64_t *seq, struct journal_entry *out);

/* The highest epoch ever seen, as a tiny file. */
void epoch_file_encode(struct epoch e, uint8_t buf[EPOCH_FILE_BYTES]);
enum journal_drop epoch_file_decode(const uint8_t *buf, size_t len, struct epoch *out);

#endif
