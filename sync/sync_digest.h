/*
 * Purpose: anti-entropy: per owner 4096 buckets of (count, 64-bit digest) over identity and stable state, kept up to
 *          date with every change; comparing and naming the buckets that differ.
 * Owns:    struct digest_set.
 * Thread:  SYNC only.
 * In/Out:  struct digest_item for a session, bucket numbers, masks.
 * Errors:  none.
 *
 * The key is the owner's (hello), so that both sides compute the same and packets cannot aim at a bucket.
 */
#ifndef KT_SYNC_SYNC_DIGEST_H
#define KT_SYNC_SYNC_DIGEST_H

#include <stdbool.h>
#include <stdint.h>
#include "sync/ct.h"
#include "sync/rec.h"

struct digest_set {
	uint8_t key[16];
	uint64_t count, root;
	struct sync_bucket b[SYNC_BUCKETS];
};

struct digest_item {
	uint16_t bucket;
	uint32_t check; /* names the tuple in records that carry only a handle */
	uint64_t digest;
};

/* Status bits that both nodes must agree on. */
#define SYNC_STATUS_STABLE (CT_ST_SEEN_REPLY | CT_ST_ASSURED | CT_ST_SRC_NAT | CT_ST_DST_NAT)

void digest_init(struct digest_set *d, const uint8_t key[16]);
/* Bucket and check value of a tuple; digest is 0. */
struct digest_item digest_key(const uint8_t key[16], const struct ct_tuple *orig);
/* All of an entry: both tuples, status bits above, TCP state, mark. */
struct digest_item digest_entry(const uint8_t key[16], const struct ct_entry *e);
void digest_add(struct digest_set *d, const struct digest_item *it);
void digest_del(struct digest_set *d, const struct digest_item *it);
/* Fills a DIGEST_BUCKETS record's first, n and buckets from bucket `first` on; returns the next first. */
unsigned digest_buckets(const struct digest_set *d, unsigned first, struct sync_rec *rec);
/* Sets a bit in mask for each bucket of rec that differs from d; returns how many. */
unsigned digest_differ(const struct digest_set *d, const struct sync_rec *rec, uint8_t mask[SYNC_BUCKETS / 8]);
static inline bool digest_in_mask(const uint8_t mask[SYNC_BUCKETS / 8], unsigned bucket)
{
	return mask[bucket / 8] >> (bucket % 8) & 1;
}

#endif
