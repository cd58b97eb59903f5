/*
 * A sorted list of indices over places that never move: inserting moves two bytes for each entry behind, not a record.
 */
#include "ike-hooks/sa_store.h"

#include <string.h>
#include "daemon/base/require.h"

void sa_store_init(struct sa_store *s, struct sa_held *held, uint16_t *order, uint16_t cap)
{
	memset(s, 0, sizeof(*s));
	s->held = held;
	s->order = order;
	s->cap = cap;
	for (uint16_t i = 0; i < cap; i++)
		order[i] = i;
}

const struct sa_held *sa_store_at(const struct sa_store *s, uint16_t at)
{
	return at < s->n ? &s->held[s->order[at]] : NULL;
}

static struct sa_held *held_at(const struct sa_store *s, uint16_t at)
{
	return &s->held[s->order[at]];
}

/* The first entry that is not before (node, id). */
static uint16_t place(const struct sa_store *s, uint32_t node, uint32_t id)
{
	uint16_t lo = 0, hi = s->n;

	while (lo < hi) {
		uint16_t mid = (uint16_t)((lo + hi) / 2);
		const struct sa_held *h = held_at(s, mid);
		if (h->node < node || (h->node == node && h->sa.id < id))
			lo = (uint16_t)(mid + 1);
		else
			hi = mid;
	}
	return lo;
}

static void let_go(struct sa_store *s, uint16_t at)
{
	uint16_t slot = s->order[at];

	require(at < s->n);
	sa_wipe(&s->held[slot].sa);
	memset(&s->held[slot], 0, sizeof(s->held[slot]));
	s->n--;
	memmove(&s->order[at], &s->order[at + 1], (size_t)(s->n - at) * sizeof(*s->order));
	s->order[s->n] = slot;
}

/* The same SA under another id, or told by another node: the newer word counts. */
static void let_go_same(struct sa_store *s, const struct sa_copy *sa)
{
	for (uint16_t i = 0; i < s->n; i++)
		if (sa_same(&held_at(s, i)->sa, sa)) {
			let_go(s, i);
			s->count.replaced++;
			return;
		}
}

static mono_t end_of(const struct sa_copy *sa, mono_t now)
{
	if (sa->left_s == SA_NO_LIMIT)
		return MONO_NEVER;
	return mono_add(now, (int64_t)sa->left_s * NS_PER_SEC);
}

enum sa_drop sa_store_put(struct sa_store *s, uint32_t node, const struct sa_copy *sa, mono_t now)
{
	if (sa->left_s <= SA_MARGIN_S)
		return SA_DROP_LIFE;
	let_go_same(s, sa);
	uint16_t at = place(s, node, sa->id);
	if (at < s->n && held_at(s, at)->node == node && held_at(s, at)->sa.id == sa->id) {
		let_go(s, at);
		s->count.replaced++;
	}
	if (s->n == s->cap)
		return SA_DROP_FULL;
	uint16_t slot = s->order[s->n];
	memmove(&s->order[at + 1], &s->order[at], (size_t)(s->n - at) * sizeof(*s->order));
	s->order[at] = slot;
	s->n++;
	struct sa_held *h = &s->held[slot];
	h->node = node;
	h->told = now;
	h->expires = end_of(sa, now);
	h->sa = *sa;
	s->count.put++;
	return SA_OK;
}

static void want_one(struct sa_want *want, uint32_t id)
{
	if (want->n < SA_WANT_IDS)
		want->ids[want->n++] = id;
}

void sa_store_list(struct sa_store *s, uint32_t node, const struct sa_list *list, mono_t now, struct sa_want *want)
{
	uint16_t at = place(s, node, list->first), k = 0;

	want->n = 0;
	s->count.listed++;
	while (at < s->n && held_at(s, at)->node == node && held_at(s, at)->sa.id <= list->last) {
		struct sa_held *h = held_at(s, at);
		if (!addr_eq(&h->sa.dst, &list->vip)) {
			at++;
			continue;
		}
		while (k < list->n && list->tops[k].id < h->sa.id)
			want_one(want, list->tops[k++].id);
		if (k == list->n || list->tops[k].id != h->sa.id) {
			let_go(s, at);
			s->count.unlisted++;
			continue;
		}
		/* Never back: what was seen once stays seen. */
		if (list->tops[k].top > h->sa.top)
			h->sa.top = list->tops[k].top;
		h->told = now;
		k++;
		at++;
	}
	while (k < list->n)
		want_one(want, list->tops[k++].id);
}

uint32_t sa_store_left(const struct sa_held *h, mono_t now)
{
	if (mono_is_never(h->expires))
		return SA_NO_LIMIT;
	int64_t left = mono_sub(h->expires, now) / NS_PER_SEC;
	return left > 0 ? (uint32_t)left : 0;
}

void sa_store_tick(struct sa_store *s, mono_t now)
{
	for (uint16_t i = s->n; i-- > 0;) {
		const struct sa_held *h = held_at(s, i);
		if (sa_store_left(h, now) <= SA_MARGIN_S) {
			let_go(s, i);
			s->count.expired++;
		} else if (mono_sub(now, h->told) >= SA_STALE_NS) {
			let_go(s, i);
			s->count.stale++;
		}
	}
}

void sa_store_forget(struct sa_store *s, uint32_t node)
{
	for (uint16_t i = s->n; i-- > 0;)
		if (node == 0 || held_at(s, i)->node == node)
			let_go(s, i);
}

void sa_store_forget_vip(struct sa_store *s, const struct addr *vip)
{
	for (uint16_t i = s->n; i-- > 0;)
		if (addr_eq(&held_at(s, i)->sa.dst, vip))
			let_go(s, i);
}

void sa_store_drop(struct sa_store *s, uint16_t at)
{
	let_go(s, at);
}

void sa_store_policy(struct sa_store *s, uint32_t node, uint32_t id, uint8_t policy)
{
	uint16_t at = place(s, node, id);

	if (at < s->n && held_at(s, at)->node == node && held_at(s, at)->sa.id == id)
		held_at(s, at)->policy = policy;
}
