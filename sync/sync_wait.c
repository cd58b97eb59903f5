/* Planned switches that wait for SYNC: see sync_wait.h. */
#include "sync/sync_wait.h"

#include <string.h>
#include "daemon/base/require.h"

static unsigned find(const struct sync_waits *q, struct epoch epoch)
{
	unsigned i = 0;

	while (i < q->n && epoch_cmp(q->w[i].epoch, epoch) != 0)
		i++;
	return i;
}

void sync_wait_add(struct sync_waits *q, const struct sync_wait *w)
{
	sync_wait_end(q, w->epoch);
	if (q->n == SYNC_WAITS_MAX) {
		q->full++;
		return;
	}
	q->w[q->n++] = *w;
}

struct sync_wait sync_wait_take(struct sync_waits *q, unsigned i)
{
	require(i < q->n);
	struct sync_wait w = q->w[i];

	q->n--;
	memmove(&q->w[i], &q->w[i + 1], (q->n - i) * sizeof(q->w[0]));
	return w;
}

void sync_wait_end(struct sync_waits *q, struct epoch epoch)
{
	unsigned i = find(q, epoch);

	if (i < q->n)
		(void)sync_wait_take(q, i);
}

mono_t sync_wait_until(const struct sync_waits *q)
{
	mono_t t = MONO_NEVER;

	for (unsigned i = 0; i < q->n; i++)
		t = mono_min(t, q->w[i].until);
	return t;
}
