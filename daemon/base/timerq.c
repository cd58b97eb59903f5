#include "daemon/base/timerq.h"

#include "daemon/base/require.h"

static struct timerq_slot *slot(const struct timerq *q, uint32_t key)
{
	return (struct timerq_slot *)(void *)(q->base + (size_t)key * q->stride);
}

/* The object at a place of the heap, counted from 1. */
static uint32_t at_pos(const struct timerq *q, uint32_t pos)
{
	return slot(q, pos - 1)->key;
}

static void put(struct timerq *q, uint32_t pos, uint32_t key)
{
	slot(q, pos - 1)->key = key;
	slot(q, key)->pos = pos;
}

static bool earlier(const struct timerq *q, uint32_t a, uint32_t b)
{
	return slot(q, a)->at.ns < slot(q, b)->at.ns;
}

static uint32_t rise(struct timerq *q, uint32_t pos, uint32_t key)
{
	for (; pos > 1 && earlier(q, key, at_pos(q, pos / 2)); pos /= 2)
		put(q, pos, at_pos(q, pos / 2));
	return pos;
}

static uint32_t sink(struct timerq *q, uint32_t pos, uint32_t key)
{
	for (uint32_t child; (child = 2 * pos) <= q->n; pos = child) {
		if (child < q->n && earlier(q, at_pos(q, child + 1), at_pos(q, child)))
			child++;
		if (!earlier(q, at_pos(q, child), key))
			break;
		put(q, pos, at_pos(q, child));
	}
	return pos;
}

void timerq_init(struct timerq *q, struct timerq_slot *slots, size_t stride, uint32_t cap)
{
	*q = (struct timerq){ .base = (char *)slots, .stride = stride, .cap = cap };
	for (uint32_t k = 0; k < cap; k++)
		*slot(q, k) = (struct timerq_slot){ .at = MONO_NEVER };
}

static void cancel(struct timerq *q, struct timerq_slot *s)
{
	uint32_t pos = s->pos, last = at_pos(q, q->n);
	s->at = MONO_NEVER;
	s->pos = 0;
	q->n--;
	if (pos > q->n)
		return;
	/* The last one fills the gap: it may belong higher up or further down. */
	put(q, rise(q, pos, last), last);
	put(q, sink(q, slot(q, last)->pos, last), last);
}

void timerq_set(struct timerq *q, uint32_t key, mono_t at)
{
	require(key < q->cap);
	struct timerq_slot *s = slot(q, key);
	if (s->at.ns == at.ns)
		return;
	if (mono_is_never(at)) {
		cancel(q, s);
		return;
	}
	if (!s->pos)
		s->pos = ++q->n;
	s->at = at;
	put(q, rise(q, s->pos, key), key);
	put(q, sink(q, s->pos, key), key);
}

mono_t timerq_at(const struct timerq *q, uint32_t key)
{
	require(key < q->cap);
	return slot(q, key)->at;
}

mono_t timerq_next(const struct timerq *q)
{
	return q->n ? slot(q, at_pos(q, 1))->at : MONO_NEVER;
}

bool timerq_pop(struct timerq *q, mono_t now, uint32_t *key)
{
	if (!q->n || !mono_due(timerq_next(q), now))
		return false;
	*key = at_pos(q, 1);
	cancel(q, slot(q, *key));
	return true;
}

/* In depth first order of the tree: below an object that is not due nothing is. */
bool timerq_walk(const struct timerq *q, mono_t now, uint32_t *iter, uint32_t *key)
{
	uint32_t pos = *iter ? 2 * *iter : 1;
	for (;;) {
		if (pos <= q->n && mono_due(slot(q, at_pos(q, pos))->at, now)) {
			*iter = pos;
			*key = at_pos(q, pos);
			return true;
		}
		for (; pos & 1; pos /= 2)
			if (pos == 1)
				return false;
		pos++;
	}
}
