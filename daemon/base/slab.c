#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/base/slab.h"

/* Objects in chunk i: the last chunk before the limit may be shorter. */
static uint32_t chunk_objs(const struct slab *s, uint32_t i)
{
	uint32_t before = i << SLAB_CHUNK_BITS;
	return s->limit - before < SLAB_CHUNK_OBJS ? s->limit - before : SLAB_CHUNK_OBJS;
}

void slab_init(struct slab *s, size_t obj_size, uint32_t limit)
{
	require(obj_size >= sizeof(uint32_t));
	require(limit < UINT32_MAX - SLAB_CHUNK_OBJS);
	*s = (struct slab){ .obj_size = obj_size, .limit = limit };
}

static int grow(struct slab *s)
{
	uint8_t *chunk = malloc(chunk_objs(s, s->n_chunks) * s->obj_size);
	if (!chunk)
		return -1;
	uint8_t **chunks = realloc(s->chunks, (s->n_chunks + 1) * sizeof(*chunks));
	if (!chunks) {
		free(chunk);
		return -1;
	}
	s->chunks = chunks;
	s->chunks[s->n_chunks++] = chunk;
	return 0;
}

uint32_t slab_alloc(struct slab *s)
{
	uint32_t h = s->free_head;
	if (h == 0) {
		if (s->carved == s->limit || (s->carved == s->n_chunks << SLAB_CHUNK_BITS && grow(s) != 0)) {
			s->full++;
			return 0;
		}
		h = ++s->carved;
	} else {
		memcpy(&s->free_head, slab_at(s, h), sizeof(s->free_head));
	}
	memset(slab_at(s, h), 0, s->obj_size);
	s->used++;
	return h;
}

void slab_free(struct slab *s, uint32_t h)
{
	if (h == 0)
		return;
	require(s->used > 0);
	memcpy(slab_at(s, h), &s->free_head, sizeof(s->free_head));
	s->free_head = h;
	s->used--;
}

void slab_free_all(struct slab *s)
{
	for (uint32_t i = 0; i < s->n_chunks; i++)
		free(s->chunks[i]);
	free(s->chunks);
	*s = (struct slab){ .obj_size = s->obj_size, .limit = s->limit, .full = s->full };
}

size_t slab_bytes(const struct slab *s)
{
	size_t n = s->n_chunks * sizeof(*s->chunks);
	for (uint32_t i = 0; i < s->n_chunks; i++)
		n += chunk_objs(s, i) * s->obj_size;
	return n;
}
