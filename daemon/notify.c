#include "daemon/notify.h"

#include <string.h>
#include "daemon/base/require.h"

#define ITEMS_LEAST 64u
#define ITEMS_MAX   (1u << 17)

/* ---- the queue ---- */

static struct notify_item *item_of(const struct notify *n, uint32_t h)
{
	return slab_at(&n->items, h);
}

void notify_init(struct notify *n, struct notify_subject *subject, uint32_t n_subjects)
{
	memset(n, 0, sizeof(*n));
	slab_init(&n->items, sizeof(struct notify_item), ITEMS_MAX);
	n->subject = subject;
	n->n_subjects = n_subjects;
	for (unsigned s = 0; s < NOTIFY_SINKS; s++)
		list_init(&n->sink[s].queue);
}

void notify_free(struct notify *n)
{
	slab_free_all(&n->items);
}

static struct notify_item *item_at(struct list *node, unsigned sink)
{
	return (struct notify_item *)(void *)((char *)(node - sink) - offsetof(struct notify_item, node));
}

static uint32_t *newest(struct notify *n, const struct notify_item *it, unsigned sink)
{
	if (it->news.subject >= n->n_subjects)
		return NULL;
	return &n->subject[it->news.subject].newest[sink][notify_kind_of(it->news.what)];
}

/* The receiver does not need it any more. */
static void let_go(struct notify *n, struct notify_item *it, unsigned sink)
{
	it->news.sinks &= ~(1u << sink);
	if (!it->news.sinks)
		slab_free(&n->items, it->self);
}

static void unqueue(struct notify *n, struct notify_item *it, unsigned sink)
{
	uint32_t *last = newest(n, it, sink);

	list_del(&it->node[sink]);
	n->sink[sink].n.waiting--;
	if (last && *last == it->self)
		*last = 0;
}

/* Something newer of its kind waits behind it. */
static bool replaced(struct notify *n, const struct notify_item *it, unsigned sink)
{
	const uint32_t *last = newest(n, it, sink);

	return last && *last != it->self;
}

/* Drops history; what is left is at most one piece of news for each subject and kind. */
static void condense(struct notify *n)
{
	for (unsigned s = 0; s < NOTIFY_SINKS; s++) {
		list_for_each_safe (node, &n->sink[s].queue) {
			struct notify_item *it = item_at(node, s);
			if (!replaced(n, it, s))
				continue;
			unqueue(n, it, s);
			n->sink[s].n.superseded++;
			let_go(n, it, s);
		}
	}
}

static void take_next(struct notify *n, unsigned sink, mono_t now, struct notify_acts *out)
{
	while (!n->sink[sink].at && !n->sink[sink].held && !list_empty(&n->sink[sink].queue)) {
		struct notify_item *it = item_at(n->sink[sink].queue.next, sink);
		bool stale = replaced(n, it, sink) && mono_sub(now, it->at) > NOTIFY_STALE_NS;
		unqueue(n, it, sink);
		if (stale) {
			n->sink[sink].n.superseded++;
			let_go(n, it, sink);
			continue;
		}
		n->sink[sink].at = it->self;
		require(out->n < NOTIFY_SINKS);
		out->a[out->n++] = (struct notify_act){ (enum notify_sink)sink, it };
	}
}

static void push(struct notify *n, const struct notify_news *news, mono_t now)
{
	/* Two of each kind for every subject: when there are more, half of them are history. */
	if (n->items.used >= ITEMS_LEAST + 2u * NOTIFY_KINDS * n->n_subjects)
		condense(n);
	uint32_t h = news->sinks ? slab_alloc(&n->items) : 0;
	for (unsigned s = 0; !h && s < NOTIFY_SINKS; s++)
		n->sink[s].n.dropped += news->sinks >> s & 1;
	if (!h)
		return;
	struct notify_item *it = item_of(n, h);
	it->news = *news;
	it->at = now;
	it->self = h;
	for (unsigned s = 0; s < NOTIFY_SINKS; s++) {
		list_init(&it->node[s]);
		if (!(news->sinks >> s & 1))
			continue;
		list_add_tail(&n->sink[s].queue, &it->node[s]);
		n->sink[s].n.waiting++;
		uint32_t *last = newest(n, it, s);
		if (last)
			*last = h;
	}
}

static void done(struct notify *n, unsigned sink, bool ok)
{
	uint32_t h = n->sink[sink].at;

	if (!h)
		return;
	n->sink[sink].at = 0;
	n->sink[sink].n.told++;
	n->sink[sink].n.failed += !ok;
	let_go(n, item_of(n, h), sink);
}

static void closed(struct notify *n, unsigned sink)
{
	while (!list_empty(&n->sink[sink].queue)) {
		struct notify_item *it = item_at(n->sink[sink].queue.next, sink);
		unqueue(n, it, sink);
		n->sink[sink].n.dropped++;
		let_go(n, it, sink);
	}
}

void notify_step(struct notify *n, const struct notify_ev *ev, mono_t now, struct notify_acts *out)
{
	out->n = 0;
	switch (ev->type) {
	case NOTIFY_EV_NEWS:
		push(n, ev->news, now);
		for (unsigned s = 0; s < NOTIFY_SINKS; s++)
			take_next(n, s, now, out);
		return;
	case NOTIFY_EV_DONE:
		done(n, ev->sink, ev->ok);
		break;
	case NOTIFY_EV_HOLD:
		n->sink[ev->sink].held = true;
		break;
	case NOTIFY_EV_FREE:
		n->sink[ev->sink].held = false;
		break;
	case NOTIFY_EV_CLOSED:
		closed(n, ev->sink);
		break;
	}
	take_next(n, ev->sink, now, out);
}

void notify_renumber(struct notify *n, struct notify_subject *subject, uint32_t n_subjects, const uint32_t *map)
{
	uint32_t old_n = n->n_subjects;

	for (uint32_t h = 1; h <= n->items.carved; h++) {
		struct notify_item *it = item_of(n, h);
		if (it && it->news.sinks && it->news.subject < old_n)
			it->news.subject = map[it->news.subject];
	}
	n->subject = subject;
	n->n_subjects = n_subjects;
	for (unsigned s = 0; s < NOTIFY_SINKS; s++) {
		list_for_each (node, &n->sink[s].queue) {
			struct notify_item *it = item_at(node, s);
			uint32_t *last = newest(n, it, s);
			if (last)
				*last = it->self;
		}
	}
}

bool notify_idle(const struct notify *n, enum notify_sink sink)
{
	return !n->sink[sink].at && list_empty(&n->sink[sink].queue);
}

uint32_t notify_generation(const struct notify *n)
{
	uint32_t least = UINT32_MAX;

	for (uint32_t h = 1; n->items.used && h <= n->items.carved; h++) {
		const struct notify_item *it = item_of(n, h);
		if (it && it->news.sinks && it->news.generation < least)
			least = it->news.generation;
	}
	return least;
}

void notify_orphan(struct notify *n)
{
	for (uint32_t h = 1; n->items.used && h <= n->items.carved; h++)
		item_of(n, h)->news.conf = NULL;
}
