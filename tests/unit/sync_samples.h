/*
 * Purpose: what the channel carries, for tests of its codec: records of every kind, and golden files of their bytes.
 * Owns:    nothing.
 * Thread:  the test's.
 * In/Out:  see below.
 * Errors:  other bytes than the golden file's fail the running test; KT_GOLDEN=write makes the files.
 */
#ifndef KT_TESTS_SYNC_SAMPLES_H
#define KT_TESTS_SYNC_SAMPLES_H

#include "sync/ct_wire.h"
#include "sync/sync_wire.h"
#include "tests/unit/run.h"

extern const struct flow_version version;

struct ct_entry entry(unsigned l3, unsigned l4, bool nat);
/* Adds what few entries have. */
void rare(struct ct_entry *e);
void facts(struct sync_facts *f);
/* A stream with every record type and every shape of entry; how many there are. */
unsigned samples(struct sync_rec *r);
/* The bytes are those of tests/unit/golden/NAME.bin. */
void golden(const char *name, const uint8_t *buf, size_t len);
/* Reads a buffer of envelopes; how many records there were. */
unsigned unpack(const uint8_t *buf, size_t len, struct sync_rec *out, struct sync_wire_stats *st);

#endif
