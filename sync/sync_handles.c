/* The numbers that a peer gives its sessions: a tree of three levels, whose pages come as they are needed. */
#include <string.h>
#include "sync/sync_int.h"

#define PAGE_BITS 10
#define PAGE      (1u << PAGE_BITS)

static uint32_t *page_at(const struct sync_handles *h, uint32_t page)
{
	return slab_at(&h->pages, page);
}

uint32_t handle_get(const struct sync_handles *h, uint32_t handle)
{
	uint32_t mid = h->top[handle >> (2 * PAGE_BITS)];
	uint32_t leaf = mid ? page_at(h, mid)[handle >> PAGE_BITS & (PAGE - 1)] : 0;

	return leaf ? page_at(h, leaf)[handle & (PAGE - 1)] : 0;
}

bool handle_set(struct sync_handles *h, uint32_t handle, uint32_t id)
{
	uint32_t *mid = &h->top[handle >> (2 * PAGE_BITS)];

	if (*mid == 0)
		*mid = slab_alloc(&h->pages);
	if (*mid == 0)
		return false;
	uint32_t *leaf = &page_at(h, *mid)[handle >> PAGE_BITS & (PAGE - 1)];
	if (*leaf == 0)
		*leaf = slab_alloc(&h->pages);
	if (*leaf == 0)
		return false;
	page_at(h, *leaf)[handle & (PAGE - 1)] = id;
	return true;
}

void handles_free(struct sync_handles *h)
{
	slab_free_all(&h->pages);
	memset(h->top, 0, sizeof(h->top));
}
