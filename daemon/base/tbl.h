/*
 * Purpose: open-addressing index from a keyed hash to a 32-bit handle. The caller compares keys; the table stores a
 *          32-bit tag per slot, so that growing reads no record; growing moves a bounded number of slots per operation.
 * Owns:    its slot arrays.
 * Thread:  one at a time.
 * In/Out:  hash = tbl_hash(key bytes); walk candidates with tbl_find_first / tbl_find_next.
 * Errors:  tbl_add returns -ENOMEM without memory; the table is unchanged then.
 */
#ifndef KT_BASE_TBL_H
#define KT_BASE_TBL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tbl_slot {
	uint32_t tag, handle; /* handle 0: empty; UINT32_MAX, in old only: deleted */
};

struct tbl {
	uint8_t key[16]; /* secret of this table's hash: keys come from packets */
	struct tbl_slot *slots, *old;
	uint32_t mask, old_mask;
	uint32_t moved; /* slots of old already moved */
	uint32_t live;  /* entries, in slots and old together */
};

struct tbl_iter {
	uint32_t tag, pos, left;
	int in_old;
};

/* A random key is drawn unless key (16 bytes) is given; expected = number of entries to be ready for. */
int tbl_init(struct tbl *t, uint32_t expected, const uint8_t *key);
void tbl_free(struct tbl *t);
/* SipHash-2-4 of len bytes under the table's key. */
uint64_t tbl_hash(const struct tbl *t, const void *data, size_t len);
/* The next handle whose tag equals the hash's, or 0 when there is no further one. A tbl_add or tbl_del ends the walk.
 */
uint32_t tbl_find_first(const struct tbl *t, uint64_t hash, struct tbl_iter *it);
uint32_t tbl_find_next(const struct tbl *t, struct tbl_iter *it);
/* Adds without looking for duplicates. 0 or -ENOMEM. */
int tbl_add(struct tbl *t, uint64_t hash, uint32_t handle);
/* Removes this handle from under this hash; 0 or -ENOENT. */
int tbl_del(struct tbl *t, uint64_t hash, uint32_t handle);
/*
 * After a growth the former array stays until additions and removals have moved its slots. This moves some more, so that
 * a table at rest does not keep both. True when there is nothing left to move.
 */
bool tbl_settle(struct tbl *t, unsigned slots);
static inline bool tbl_is_settled(const struct tbl *t)
{
	return t->old == NULL;
}
size_t tbl_bytes(const struct tbl *t);

#endif
