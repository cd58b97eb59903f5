/*
 * Purpose: a pool of equal-sized objects addressed by a 32-bit handle; grows in chunks up to a limit, never moves an
 *          object.
 * Owns:    its chunks; freed by slab_free_all.
 * Thread:  one at a time.
 * In/Out:  handles are 1..limit; 0 is "none".
 * Errors:  slab_alloc returns 0 at the limit or without memory, and counts it in full.
 */
#ifndef KT_BASE_SLAB_H
#define KT_BASE_SLAB_H

#include <stddef.h>
#include <stdint.h>
#include "daemon/base/require.h"

/* A power of two, so that a handle splits into chunk and place by shift and mask. */
enum { SLAB_CHUNK_BITS = 10, SLAB_CHUNK_OBJS = 1 << SLAB_CHUNK_BITS };

struct slab {
	size_t obj_size;
	uint32_t limit, used, carved;
	uint32_t free_head; /* handle of the first free object, linked through its first 4 bytes */
	uint32_t n_chunks;
	uint8_t **chunks;
	uint64_t full; /* refused allocations */
};

/* obj_size in bytes (at least 4); limit in objects. Allocates nothing yet. */
void slab_init(struct slab *s, size_t obj_size, uint32_t limit);
/* Zeroed object; its handle, or 0. */
uint32_t slab_alloc(struct slab *s);
void slab_free(struct slab *s, uint32_t h);
/* The object of a live handle; NULL for 0. */
static inline void *slab_at(const struct slab *s, uint32_t h)
{
	if (h == 0)
		return NULL;
	require(h <= s->carved);
	uint32_t i = h - 1;
	return s->chunks[i >> SLAB_CHUNK_BITS] + (size_t)(i & (SLAB_CHUNK_OBJS - 1)) * s->obj_size;
}
void slab_free_all(struct slab *s);
/* Bytes held. */
size_t slab_bytes(const struct slab *s);

#endif
