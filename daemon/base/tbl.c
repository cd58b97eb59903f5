/*
 * Linear probing. A slot's home is its tag's low bits, so a slot can be moved to a larger array without its record.
 *
 * Growing: the full array becomes `old`, a new one takes all additions, and each later tbl_add or tbl_del moves
 * MOVE_SLOTS slots over. A moved slot stays behind as a tombstone, so that chains in `old` keep leading on. Two bounds
 * make the move end before the new array can fill: it has room for all live entries twice, and old is at most as large
 * as the new one, hence done after size / MOVE_SLOTS operations.
 */
#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/base/tbl.h"

enum { MOVE_SLOTS = 16, MIN_SLOTS = 64 };
#define H_DELETED UINT32_MAX

static uint32_t size_of(uint32_t mask)
{
	return mask + 1;
}

/* Live slots may fill three quarters. */
static uint64_t fill_limit(uint32_t mask)
{
	return (uint64_t)size_of(mask) * 3 / 4;
}

/* Smallest size that is at most three eighths full with n entries: they may double before the next growth. */
static uint32_t size_for(uint64_t n)
{
	uint64_t size = MIN_SLOTS;
	while (size * 3 / 8 < n)
		size *= 2;
	return size > UINT32_C(1) << 31 ? 0 : (uint32_t)size;
}

int tbl_init(struct tbl *t, uint32_t expected, const uint8_t *key)
{
	*t = (struct tbl){ 0 };
	_Static_assert(sizeof(t->key) == crypto_shorthash_KEYBYTES, "SipHash takes a key of 16 bytes");
	if (key) {
		memcpy(t->key, key, sizeof(t->key));
	} else {
		if (sodium_init() < 0)
			return -EIO;
		randombytes_buf(t->key, sizeof(t->key));
	}
	/* Ready for `expected` without a growth, not for the double of it. */
	uint32_t size = size_for((expected + UINT64_C(1)) / 2);
	t->slots = size ? calloc(size, sizeof(*t->slots)) : NULL;
	if (!t->slots)
		return -ENOMEM;
	t->mask = size - 1;
	return 0;
}

void tbl_free(struct tbl *t)
{
	free(t->slots);
	free(t->old);
	*t = (struct tbl){ 0 };
}

uint64_t tbl_hash(const struct tbl *t, const void *data, size_t len)
{
	uint64_t h;
	_Static_assert(sizeof(h) == crypto_shorthash_BYTES, "SipHash yields 64 bits");
	crypto_shorthash((unsigned char *)&h, data, len, t->key);
	return h;
}

static uint32_t tag_of(uint64_t hash)
{
	return (uint32_t)(hash >> 32) ^ (uint32_t)hash;
}

static void iter_at(const struct tbl *t, struct tbl_iter *it, bool in_old)
{
	uint32_t mask = in_old ? t->old_mask : t->mask;
	it->in_old = in_old;
	it->pos = it->tag & mask;
	it->left = size_of(mask);
}

uint32_t tbl_find_first(const struct tbl *t, uint64_t hash, struct tbl_iter *it)
{
	it->tag = tag_of(hash);
	iter_at(t, it, t->old != NULL);
	return tbl_find_next(t, it);
}

uint32_t tbl_find_next(const struct tbl *t, struct tbl_iter *it)
{
	for (;;) {
		const struct tbl_slot *slots = it->in_old ? t->old : t->slots;
		uint32_t mask = it->in_old ? t->old_mask : t->mask;
		while (it->left > 0 && slots[it->pos].handle != 0) {
			const struct tbl_slot *s = &slots[it->pos];
			it->pos = (it->pos + 1) & mask;
			it->left--;
			if (s->tag == it->tag && s->handle != H_DELETED)
				return s->handle;
		}
		if (!it->in_old)
			break;
		iter_at(t, it, false);
	}
	it->left = 0;
	return 0;
}

/* Into the first free place of the new array; there is always one (see the top). */
static void place(struct tbl *t, uint32_t tag, uint32_t handle)
{
	uint32_t pos = tag & t->mask;
	while (t->slots[pos].handle != 0)
		pos = (pos + 1) & t->mask;
	t->slots[pos] = (struct tbl_slot){ tag, handle };
}

static void move_some(struct tbl *t, unsigned slots)
{
	if (!t->old)
		return;
	for (unsigned i = 0; i < slots && t->moved < size_of(t->old_mask); i++) {
		struct tbl_slot *s = &t->old[t->moved++];
		if (s->handle == 0 || s->handle == H_DELETED)
			continue;
		place(t, s->tag, s->handle);
		s->handle = H_DELETED;
	}
	if (t->moved == size_of(t->old_mask)) {
		free(t->old);
		t->old = NULL;
	}
}

bool tbl_settle(struct tbl *t, unsigned slots)
{
	move_some(t, slots);
	return t->old == NULL;
}

static int grow(struct tbl *t)
{
	require(!t->old);
	uint32_t size = size_for(t->live);
	/* Never smaller: the move has to end before the new array fills. */
	if (size != 0 && size < size_of(t->mask))
		size = size_of(t->mask);
	struct tbl_slot *slots = size ? calloc(size, sizeof(*slots)) : NULL;
	if (!slots)
		return -ENOMEM;
	t->old = t->slots;
	t->old_mask = t->mask;
	t->moved = 0;
	t->slots = slots;
	t->mask = size - 1;
	return 0;
}

int tbl_add(struct tbl *t, uint64_t hash, uint32_t handle)
{
	require(handle != 0 && handle != H_DELETED);
	move_some(t, MOVE_SLOTS);
	if (t->live >= fill_limit(t->mask)) {
		int rc = grow(t);
		if (rc)
			return rc;
	}
	place(t, tag_of(hash), handle);
	t->live++;
	return 0;
}

static struct tbl_slot *find_slot(struct tbl_slot *slots, uint32_t mask, uint32_t tag, uint32_t handle)
{
	uint32_t pos = tag & mask;
	for (uint32_t left = size_of(mask); left > 0 && slots[pos].handle != 0; left--) {
		if (slots[pos].handle == handle && slots[pos].tag == tag)
			return &slots[pos];
		pos = (pos + 1) & mask;
	}
	return NULL;
}

/*
 * Empties a slot of the new array, and lets what stands behind it move up as far as its home allows: a table whose
 * entries come and go keeps short chains, and never has to be made anew for the deleted ones in it.
 */
static void close_gap(struct tbl *t, struct tbl_slot *s)
{
	uint32_t gap = (uint32_t)(s - t->slots), pos = gap;
	for (;;) {
		pos = (pos + 1) & t->mask;
		if (t->slots[pos].handle == 0)
			break;
		uint32_t way = (pos - t->slots[pos].tag) & t->mask; /* from its home */
		if (way < ((pos - gap) & t->mask))
			continue;
		t->slots[gap] = t->slots[pos];
		gap = pos;
	}
	t->slots[gap].handle = 0;
}

int tbl_del(struct tbl *t, uint64_t hash, uint32_t handle)
{
	struct tbl_slot *s = find_slot(t->slots, t->mask, tag_of(hash), handle);
	if (s) {
		close_gap(t, s);
	} else {
		s = t->old ? find_slot(t->old, t->old_mask, tag_of(hash), handle) : NULL;
		if (!s)
			return -ENOENT;
		s->handle = H_DELETED;
	}
	t->live--;
	move_some(t, MOVE_SLOTS);
	return 0;
}

size_t tbl_bytes(const struct tbl *t)
{
	size_t n = t->slots ? (size_t)size_of(t->mask) : 0;
	if (t->old)
		n += size_of(t->old_mask);
	return n * sizeof(struct tbl_slot);
}
