/* How far a peer is behind. */
#include "sync/sync_int.h"

void sync_lag_up(struct sync_lag *l, mono_t now)
{
	l->mark = 0;
	l->mark_at = l->clear_at = now;
	l->first = l->n = 0;
	l->digest_seq = 0;
	l->judged_at = MONO_ZERO;
}

void sync_lag_pull(const struct sync *s, struct sync_peer *p, mono_t now)
{
	struct sync_lag *l = &p->lag;

	if (p->cursor == 0) {
		l->mark = 0;
		l->mark_at = l->clear_at = now;
		return;
	}
	if (l->mark != 0)
		return;
	l->clear_at = l->mark_at;
	l->mark = s->dirty_tail;
	l->mark_at = now;
}

/* What stood before it is now the newest that is older than the mark. */
void sync_lag_unlist(struct sync *s, uint32_t id, uint32_t prev)
{
	for (unsigned i = 0; i < SESS_NODES; i++)
		if (s->peers[i].lag.mark == id)
			s->peers[i].lag.mark = prev;
}

void sync_lag_sent(struct sync_lag *l, uint64_t seq, mono_t now)
{
	if (l->n == SYNC_LAG_RING)
		return;
	if (l->n > 0 && mono_sub(now, l->ring[(l->first + l->n - 1) % SYNC_LAG_RING].at) < SYNC_LAG_STEP_NS)
		return;
	unsigned at = (l->first + l->n++) % SYNC_LAG_RING;

	l->ring[at].seq = seq;
	l->ring[at].at = now;
}

void sync_lag_acked(struct sync_lag *l, uint64_t seq, mono_t now)
{
	while (l->n > 0 && l->ring[l->first].seq <= seq) {
		hist_add(&l->stored, mono_sub(now, l->ring[l->first].at));
		l->first = (l->first + 1) % SYNC_LAG_RING;
		l->n--;
	}
}

void sync_lag_digest(struct sync_lag *l, uint64_t seq, mono_t now)
{
	l->digest_seq = seq;
	l->digest_at = now;
}

void sync_lag_judged(struct sync_lag *l, uint64_t digest_seq)
{
	if (digest_seq != 0 && digest_seq == l->digest_seq)
		l->judged_at = l->digest_at;
}

int64_t sync_lag_unsent_ns(const struct sync_peer *p, mono_t now)
{
	return p->up && p->cursor != 0 ? mono_sub(now, p->lag.clear_at) : 0;
}

int64_t sync_lag_unstored_ns(const struct sync_peer *p, mono_t now)
{
	return p->up && p->lag.n > 0 ? mono_sub(now, p->lag.ring[p->lag.first].at) : 0;
}
