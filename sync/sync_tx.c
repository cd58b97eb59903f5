/*
 * Records out. What a record says is made from the flow when it leaves the dirty set: the newest state, under the
 * newest epoch known, by handle when this stream has named the flow before.
 */
#include <errno.h>
#include <string.h>
#include "sync/sync_int.h"

#define DEAD        (SESS_DEAD_DEL | SESS_DEAD_EXP)
#define BULK_BUDGET 1024

static void head(struct sync *s, struct sync_peer *p, struct sync_rec *out, enum sync_rec_type type)
{
	sync_rec_clear(out, type);
	out->type = type;
	out->owner = s->conf->self;
	out->epoch = s->owner.seen;
	out->seq = ++p->tx_seq;
	s->stats.tx_records++;
}

static unsigned told_shift(const struct sync_peer *p)
{
	return 2 * (p->slot - 1);
}

bool flow_told(const struct sync_peer *p, struct flow f)
{
	return (f.x->told >> told_shift(p) & 3) != 0;
}

/*
 * Generations come round: what a stream of long ago was told may bear this one's number until the bulk that a stream
 * begins with has passed by.
 */
static bool knows_handle(const struct sync_peer *p, struct flow f)
{
	const struct sync_bulk_tx *b = &p->bulk;
	bool passed = !b->full || (!b->wanted && (!b->running || sess_walk_passed(&b->walk, f.id)));

	return passed && (f.x->told >> told_shift(p) & 3) == p->gen;
}

static void set_gen(const struct sync_peer *p, struct flow f, unsigned gen)
{
	f.x->told = (uint8_t)((f.x->told & ~(3u << told_shift(p))) | gen << told_shift(p));
}

void flow_rename(const struct sync_peer *p, struct flow f)
{
	if (knows_handle(p, f))
		set_gen(p, f, p->gen % 3 + 1);
}

void flow_set_told(const struct sync_peer *p, struct flow f)
{
	set_gen(p, f, p->gen);
	f.x->flags |= SESS_FOREIGN;
}

static uint32_t left_at_owner(const struct sync *s, struct flow f, const struct ct_entry *e, mono_t now)
{
	uint32_t sec = sync_sec(s, now);

	/* Idle since a takeover: what is left is our lease, not the flow's. In the fast path the timer is artificial. */
	if (f.x->flags & SESS_LEASED || e->status & CT_ST_OFFLOAD)
		return sync_policy_full_timeout(&s->timeouts, e);
	return f.x->expire_s > sec ? f.x->expire_s - sec : 0;
}

static void fill_state(struct sync *s, struct sync_peer *p, struct flow f, struct sync_rec *out, mono_t now)
{
	struct ct_entry e;

	sess_entry(&s->tbl, f.id, &e);
	e.has |= CT_HAS_TIMEOUT;
	e.timeout_s = left_at_owner(s, f, &e, now);
	acct_fill(s, f, &e, now);
	out->handle = f.id;
	out->full = !knows_handle(p, f) || out->type == SYNC_REC_CURRENT || out->type == SYNC_REC_CLAIM;
	out->version = flow_version_of(s, f);
	out->e = e;
	if (out->full)
		return;
	out->check = digest_key(s->sets[s->self_slot - 1].key, &e.orig).check;
	memset(&out->e.orig, 0, sizeof(out->e.orig));
	memset(&out->e.reply, 0, sizeof(out->e.reply));
	memset(&out->e.master, 0, sizeof(out->e.master));
	memset(out->e.helper, 0, sizeof(out->e.helper));
	out->e.has &= ~(uint32_t)(CT_HAS_REPLY | CT_HAS_MASTER | CT_HAS_HELPER);
}

static void fill_key(struct sync *s, struct flow f, struct sync_rec *out)
{
	out->full = true;
	sess_orig(&s->tbl, f.id, &out->e.orig);
	out->version = flow_version_of(s, f);
}

static void tell_end(struct sync *s, struct sync_peer *p, struct flow f, struct sync_rec *out, enum sync_rec_type type)
{
	head(s, p, out, type);
	out->version = flow_version_of(s, f);
	out->handle = f.id;
	out->full = !knows_handle(p, f);
	sess_orig(&s->tbl, f.id, &out->e.orig);
	out->check = digest_key(s->sets[s->self_slot - 1].key, &out->e.orig).check;
	if (!out->full)
		memset(&out->e.orig, 0, sizeof(out->e.orig));
	if (type == SYNC_REC_DELETE)
		s->stats.tx_deleted++;
	else
		s->stats.tx_expired++;
}

static void tell_state(struct sync *s, struct sync_peer *p, struct flow f, struct sync_rec *out, mono_t now)
{
	enum sync_rec_type type = f.x->flags & SESS_CURRENT ? SYNC_REC_CURRENT
				  : f.x->flags & SESS_CLAIM ? SYNC_REC_CLAIM
							    : SYNC_REC_SESSION;

	head(s, p, out, type);
	fill_state(s, p, f, out, now);
	s->stats.tx_currents += type == SYNC_REC_CURRENT;
	s->stats.tx_claims += type == SYNC_REC_CLAIM;
	if (type == SYNC_REC_SESSION && !flow_told(p, f))
		s->stats.tx_created++;
	else if (type == SYNC_REC_SESSION)
		s->stats.tx_updated++;
	/* The peer answers anew when it still cannot keep it. */
	if (flow_mine(s, f) && out->full && f.x->flags & SESS_KERN)
		flow_forget_err(f);
	if (flow_mine(s, f))
		flow_set_told(p, f);
}

/* A flow of ours. False: nothing to say to this peer. */
static bool tell_own(struct sync *s, struct sync_peer *p, struct flow f, struct sync_rec *out, mono_t now)
{
	bool may_end = sync_owner_may_end(&s->owner, sess_version(&s->tbl, f.x));

	if (f.x->flags & DEAD) {
		if (may_end)
			tell_end(s, p, f, out, f.x->flags & SESS_DEAD_DEL ? SYNC_REC_DELETE : SYNC_REC_EXPIRED);
		else
			s->stats.destroy_forgotten++;
		return may_end;
	}
	if (f.x->why == SYNC_WHY_NONE) {
		tell_state(s, p, f, out, now);
		return true;
	}
	/* Replicated once, and not any more (an address or the configuration changed): its copy goes. So does what a peer
	 * has of a flow that ended here while nobody could tell it: it has just told us that state. */
	bool over = f.x->why == SYNC_WHY_CLOSING && f.x->flags & SESS_CURRENT;
	if (!(f.x->flags & SESS_FOREIGN || over) || !may_end)
		return false;
	tell_end(s, p, f, out, SYNC_REC_DELETE);
	f.x->told &= (uint8_t) ~(3u << told_shift(p));
	return true;
}

/* A flow of somebody else: only what its owner must hear. */
static bool tell_foreign(struct sync *s, struct sync_peer *p, struct flow f, struct sync_rec *out, mono_t now)
{
	if (f.x->flags & SESS_TELL) {
		head(s, p, out, SYNC_REC_REFUSED);
		fill_key(s, f, out);
		/* What was removed since, or not, changes nothing for a flow that ends at this box. */
		bool local = f.x->why == SYNC_WHY_LOCAL_ORIGIN || f.x->why == SYNC_WHY_LOCAL_DEST;
		/* What a peer once refused of it, while it was ours, is not this node's answer. */
		out->err = local ? EADDRNOTAVAIL : f.x->flags & SESS_REFUSED ? f.x->err : 0;
		s->stats.tx_refused++;
		return true;
	}
	/* Its owner has forgotten its own number: without the answer each of its records would be refused again. */
	if (f.x->flags & SESS_WANT && !(f.x->flags & SESS_CURRENT)) {
		head(s, p, out, SYNC_REC_WANT);
		fill_key(s, f, out);
		s->stats.tx_wants++;
		return true;
	}
	if (!(f.x->flags & SESS_CURRENT) || f.x->why != SYNC_WHY_NONE)
		return false;
	tell_state(s, p, f, out, now);
	return true;
}

static bool pull_dirty(struct sync *s, struct sync_peer *p, struct sync_rec *out, mono_t now)
{
	unsigned bit = 1u << (p->slot - 1), budget = BULK_BUDGET;

	while (p->cursor != 0 && budget-- > 0) {
		struct flow f = { p->cursor, sess_at(&s->tbl, p->cursor) };
		p->cursor = f.x->q_next;
		if (!(f.x->dirty & bit))
			continue;
		bool mine = flow_mine(s, f);
		bool told = mine ? tell_own(s, p, f, out, now) : tell_foreign(s, p, f, out, now);
		flow_clean(s, f, p->slot);
		if (f.x->list == SESS_LIST_NONE) {
			if (mine && f.x->why != SYNC_WHY_NONE)
				f.x->flags &= ~SESS_FOREIGN;
			f.x->flags &= ~(SESS_CLAIM | SESS_CURRENT | SESS_TELL);
			flow_settle(s, f);
		}
		if (told) {
			sync_lag_sent(&p->lag, out->seq, now);
			return true;
		}
	}
	return false;
}

static bool pull_ack(struct sync *s, struct sync_peer *p, struct sync_rec *out, mono_t now)
{
	sync_settle_peer(s, p, now);
	if (!p->ack_due || mono_before(now, p->ack_at))
		return false;
	head(s, p, out, SYNC_REC_ACK);
	out->ack_seq = p->stored_seq;
	out->refused = p->refused;
	out->digest_seq = p->digest_told;
	out->equal = p->equal;
	p->ack_due = false;
	p->ack_at = mono_add(now, SYNC_ACK_NS);
	return true;
}

static bool pull_floor(struct sync *s, struct sync_peer *p, struct sync_rec *out)
{
	if (!p->floor_due)
		return false;
	head(s, p, out, SYNC_REC_FLOOR);
	out->version = s->owner.floor;
	p->floor_due = false;
	if (s->owner.floor.node == s->conf->self)
		s->owner.floor_told = true;
	return true;
}

/* Somebody waits for it: before the rest. Neither speaks of a flow's order. */
static bool pull_ask(struct sync *s, struct sync_peer *p, struct sync_rec *out)
{
	if (!sync_ask_waits(p))
		return false;
	head(s, p, out, SYNC_REC_ASK);
	sync_ask_fill(p, out);
	return true;
}

static bool pull_unknown(struct sync *s, struct sync_peer *p, struct sync_rec *out)
{
	if (p->n_unknown == 0)
		return false;
	head(s, p, out, SYNC_REC_WANT);
	out->handle = p->unknown[--p->n_unknown];
	s->stats.tx_wants++;
	return true;
}

static bool pull_full(struct sync *s, struct sync_peer *p, struct sync_rec *out)
{
	if (p->n_full == 0)
		return false;
	head(s, p, out, SYNC_REC_REFUSED);
	out->full = true;
	out->e.orig = p->full[--p->n_full];
	out->err = ENFILE;
	s->stats.tx_refused++;
	return true;
}

static bool pull_buckets(struct sync *s, struct sync_peer *p, struct sync_rec *out)
{
	if (p->buckets_next >= SYNC_BUCKETS)
		return false;
	head(s, p, out, SYNC_REC_DIGEST_BUCKETS);
	p->buckets_next = digest_buckets(&s->sets[p->slot - 1], p->buckets_next, out);
	return true;
}

/* Only when everything is told and nothing is in doubt: the digest then describes what was sent before it. */
static bool digest_possible(const struct sync *s, const struct sync_peer *p, mono_t now)
{
	return p->cursor == 0 && !p->bulk.running && !p->bulk.wanted && p->bulk.end_seq != 0 && !s->recounting &&
	       !s->owner.muted && !sync_loss_near(s, now);
}

static bool pull_digest(struct sync *s, struct sync_peer *p, struct sync_rec *out, mono_t now)
{
	const struct digest_set *d = &s->sets[s->self_slot - 1];

	if (!mono_due(p->digest_at, now) || !digest_possible(s, p, now))
		return false;
	head(s, p, out, SYNC_REC_DIGEST);
	out->count = d->count;
	out->digest = d->root;
	p->digest_at = mono_add(now, SYNC_DIGEST_NS);
	sync_lag_digest(&p->lag, out->seq, now);
	return true;
}

static bool pull_counts(struct sync *s, struct sync_peer *p, struct sync_rec *out, mono_t now)
{
	enum sync_rec_type type;

	if (!sync_count_due(s, p, &type))
		return false;
	head(s, p, out, type);
	sync_count_fill(s, p, out, now);
	return true;
}

static bool in_bulk(const struct sync *s, const struct sync_peer *p, struct flow f)
{
	struct ct_tuple orig;

	if (f.x->flags & (SESS_GONE | DEAD) || f.x->why != SYNC_WHY_NONE || !flow_mine(s, f))
		return false;
	if (p->bulk.full)
		return true;
	sess_orig(&s->tbl, f.id, &orig);
	return digest_in_mask(p->bulk.mask, digest_key(s->sets[s->self_slot - 1].key, &orig).bucket);
}

static bool bulk_next(struct sync *s, struct sync_peer *p, struct sync_rec *out, mono_t now)
{
	unsigned budget = BULK_BUDGET;
	struct flow f;

	while ((f.id = sess_walk_next(&s->tbl, &p->bulk.walk, &budget)) != 0) {
		f.x = sess_at(&s->tbl, f.id);
		if (!in_bulk(s, p, f)) {
			if (p->bulk.full)
				flow_rename(p, f); /* if it was told, then under a name of long ago */
			continue;
		}
		tell_state(s, p, f, out, now);
		/* All of it, also what the stream has named before: the peer may have lost what it had. */
		out->full = true;
		if (f.x->flags & SESS_KERN)
			flow_forget_err(f); /* as in tell_state */
		sess_entry(&s->tbl, f.id, &out->e);
		out->e.has |= CT_HAS_TIMEOUT;
		out->e.timeout_s = left_at_owner(s, f, &out->e, now);
		acct_fill(s, f, &out->e, now);
		out->bulk = true;
		s->stats.tx_bulk++;
		return true;
	}
	if (p->bulk.walk.active)
		return false;
	p->bulk.running = false;
	head(s, p, out, SYNC_REC_BULK_END);
	out->forgot = p->forgot;
	if (!sync_loss_near(s, now)) /* until then more may go, and differences may be asked for that are older */
		p->forgot_end = out->seq;
	if (p->bulk.full) {
		/* What was forgotten here with an interface has not ended: its copies are all there is. */
		out->knew = p->met && !s->owner.muted && !sync_loss_near(s, now);
		p->bulk.end_seq = out->seq;
		p->again.n_out++;
	}
	return true;
}

static bool pull_bulk(struct sync *s, struct sync_peer *p, struct sync_rec *out, mono_t now)
{
	if (p->bulk.running)
		return bulk_next(s, p, out, now);
	sync_again_step(p, now);
	/* Before its floor is known we cannot say what is ours; while we hand over, nothing is named missing. */
	if (!p->bulk.wanted || !p->floor_heard || s->recounting || s->owner.muted)
		return false;
	p->bulk.wanted = false;
	p->bulk.running = true;
	if (p->bulk.full)
		memset(p->bulk.mask, 0xff, sizeof(p->bulk.mask));
	sess_walk_start(&p->bulk.walk);
	s->stats.bulks++;
	head(s, p, out, SYNC_REC_BULK_BEGIN);
	memcpy(out->mask, p->bulk.mask, sizeof(out->mask));
	return true;
}

bool sync_pull_rec(struct sync *s, uint32_t node, struct sync_rec *out, mono_t now)
{
	struct sync_peer *p = sync_peer_node(s, node);

	if (!p || !p->up)
		return false;
	sync_lag_pull(s, p, now);
	return pull_floor(s, p, out) || pull_ack(s, p, out, now) || pull_ask(s, p, out) || pull_dirty(s, p, out, now) ||
	       pull_unknown(s, p, out) || pull_full(s, p, out) || pull_buckets(s, p, out) ||
	       pull_digest(s, p, out, now) || pull_counts(s, p, out, now) || pull_bulk(s, p, out, now);
}
