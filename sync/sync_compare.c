/* Tables compared: bulks and what they do not name, digests, and the buckets that a peer sees otherwise. */
#include <string.h>
#include "sync/sync_int.h"

#define REPAIR_NS     (2 * NS_PER_SEC)
#define REPAIR_MAX_NS (64 * NS_PER_SEC)

static bool full_mask(const uint8_t mask[SYNC_BUCKETS / 8])
{
	for (unsigned i = 0; i < SYNC_BUCKETS / 8; i++)
		if (mask[i] != 0xff)
			return false;
	return true;
}

void sync_on_bulk(struct sync *s, struct sync_peer *p, const struct sync_rec *rec)
{
	struct sync_bulk_rx *b = &p->rx_bulk;

	if (rec->type == SYNC_REC_BULK_BEGIN) {
		/* Marks of a bulk that was cut off, or whose walk is not done: this one cannot name the missing. */
		b->clean = !b->open && !b->walking && b->marks_clean;
		b->epoch = rec->epoch;
		b->reborn = p->reborn;
		b->walking = false;
		b->marks_clean = false;
		b->open = true;
		memcpy(b->mask, rec->mask, sizeof(b->mask));
	} else if (b->open) {
		b->open = false;
		b->walking = true;
		b->forgot = rec->forgot;
		sess_walk_start(&b->walk);
		sync_sweep_soon(s, SYNC_SWEEP_NS, p->heard_at);
		p->have_all |= full_mask(b->mask);
		if (full_mask(b->mask)) {
			p->reborn = false;
			p->knew = rec->knew;
			p->again.n_in++;
		}
	}
}

/*
 * Has this peer, in its present life, ever had the flow? It told it itself, or was told. What it had before a floor gave
 * the flow to us may have gone with its role then, and was ours to give back: that counts again once both have compared
 * equal. So may what it got back by a floor of its own, when its role went at once: that is what it says with its bulk.
 */
static bool knew(const struct sync *s, const struct sync_peer *p, struct flow f)
{
	struct flow_version v = sess_version(&s->tbl, f.x);
	bool was_ours = flow_version_cmp(v, s->owner.floor_lost) < 0;

	return (flow_told(p, f) || (v.node == p->node && !(p->unproven && was_ours))) &&
	       !(p->rx_bulk.forgot && was_ours);
}

/*
 * By its number the flow is the peer's, but the peer has never heard of it, or has forgotten it in a restart: it did not
 * end there. Where a role is, the flow is taken over; elsewhere the peer is told what it owns.
 */
static void offer(struct sync *s, struct sync_peer *p, struct flow f, mono_t now)
{
	if (s->owner.auth.any && flow_claim(s, f, now)) {
		/* It may not have been written yet: the claim took that back. */
		if (!(f.x->flags & SESS_KERN) && f.x->fly != SESS_OP_PUT)
			flow_want(s, f, SESS_OP_PUT, SESS_QUEUE_BULK);
		return;
	}
	s->stats.offered++;
	flow_set_told(p, f);
	f.x->flags |= SESS_CURRENT;
	flow_dirty(s, f, 1u << (p->slot - 1));
}

void sync_extra_step(struct sync *s, struct sync_peer *p, unsigned budget, mono_t now)
{
	struct sync_bulk_rx *b = &p->rx_bulk;
	struct ct_tuple orig;
	struct flow f;

	/* After a peer's restart the count anew also clears what its former life was told. */
	if (!b->walking || s->recounting)
		return;
	while ((f.id = sess_walk_next(&s->tbl, &b->walk, &budget)) != 0) {
		f.x = sess_at(&s->tbl, f.id);
		if (f.x->flags & SESS_GONE || flow_owner(s, f) != p->slot)
			continue;
		bool seen = f.x->flags & SESS_SEEN;
		f.x->flags &= ~SESS_SEEN;
		if (seen || !b->clean || f.x->why != SYNC_WHY_NONE || f.x->flags & SESS_ASK)
			continue;
		/* It did not know yet that the flow is its own. */
		if (epoch_cmp(flow_version_of(s, f).epoch, b->epoch) > 0)
			continue;
		sess_orig(&s->tbl, f.id, &orig);
		if (!digest_in_mask(b->mask, digest_key(s->sets[p->slot - 1].key, &orig).bucket))
			continue;
		s->stats.extra++;
		/* With every group here the peer has a number, but no say: what serves on is not ended by its silence. */
		if (b->reborn || s->owner.auth.all || !knew(s, p, f)) {
			offer(s, p, f, now);
			continue;
		}
		/* What was seen here before the nodes lost sight of each other, the owner has judged already. */
		if (sync_sec_at(s, f.x->evidence_s + 1).ns < p->down_at.ns)
			f.x->evidence_s = 0;
		flow_ask(s, f);
	}
	if (!b->walk.active) {
		b->walking = false;
		b->marks_clean = true;
	}
}

void sync_on_digest(struct sync *s, struct sync_peer *p, const struct sync_rec *rec, mono_t now)
{
	const struct digest_set *d = &s->sets[p->slot - 1];

	/* Nothing to compare while counting or while the last repair is being worked in. */
	if (s->recounting || p->rx_bulk.open || p->rx_bulk.walking)
		return;
	p->digest_seq = rec->seq;
	p->digest_equal = d->count == rec->count && d->root == rec->digest;
	if (p->digest_equal) {
		s->stats.digests_equal++;
		p->unproven &= s->owner.floor.node != p->node;
		p->repair_ns = REPAIR_NS;
		return;
	}
	s->stats.digests_differ++;
	p->equal = false;
	if (mono_before(now, p->repair_until))
		return;
	/* What a repair cannot mend (our table is full) is not asked for without end. */
	p->repair_until = mono_add(now, p->repair_ns);
	p->repair_ns = p->repair_ns * 2 > REPAIR_MAX_NS ? REPAIR_MAX_NS : p->repair_ns * 2;
	p->buckets_next = 0;
}

void sync_on_buckets(struct sync *s, struct sync_peer *p, const struct sync_rec *rec, mono_t now)
{
	struct sync_bulk_tx *b = &p->bulk;

	/* Whoever asks for repairs without end gets one a second. */
	if (mono_before(now, p->buckets_until)) {
		s->stats.buckets_early++;
		return;
	}
	if (b->running || (b->wanted && b->full) || s->recounting)
		return;
	if (rec->first == 0)
		memset(b->mask, 0, sizeof(b->mask));
	b->n_differ = (rec->first == 0 ? 0 : b->n_differ) + digest_differ(&s->sets[s->self_slot - 1], rec, b->mask);
	if (rec->first + rec->n < SYNC_BUCKETS || b->n_differ == 0)
		return;
	p->buckets_until = mono_add(now, SYNC_BUCKETS_NS);
	s->stats.buckets_resent += b->n_differ;
	b->wanted = true;
	b->full = false;
}
