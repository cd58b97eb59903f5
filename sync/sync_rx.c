/* Records in. Whether a record about a flow may be applied is sync_owner_judge's decision alone. */
#include <errno.h>
#include <string.h>
#include "daemon/base/mutant.h"
#include "sync/sync_int.h"

static bool valid_tuple(const struct ct_tuple *t)
{
	return t->l3 == 4 || t->l3 == 6;
}

/* The flow a record means. False: the record cannot be used (counted). f->x NULL: not known here. */
static bool resolve(struct sync *s, struct sync_peer *p, const struct sync_rec *rec, struct flow *f)
{
	struct ct_tuple orig;

	if (rec->full) {
		if (!valid_tuple(&rec->e.orig)) {
			s->stats.refused_range++;
			return false;
		}
		*f = flow_find(s, &rec->e.orig);
		return true;
	}
	*f = flow_at(s, handle_get(&p->handles, rec->handle));
	if (f->x) {
		/* The record's place may have another tenant since. */
		sess_orig(&s->tbl, f->id, &orig);
		if (digest_key(s->sets[p->slot - 1].key, &orig).check == rec->check)
			return true;
	}
	s->stats.rx_unknown++;
	bool end = rec->type == SYNC_REC_DELETE || rec->type == SYNC_REC_EXPIRED;
	if (!end && p->n_unknown < SYNC_UNKNOWN_MAX)
		p->unknown[p->n_unknown++] = rec->handle;
	return false;
}

static void refuse(struct sync *s, struct sync_peer *p, struct flow f, enum sync_verdict v)
{
	if (v == SYNC_NOT_SENDERS) {
		s->stats.refused_sender++;
		return;
	}
	s->stats.refused_epoch += v == SYNC_OLD_EPOCH;
	s->stats.refused_version += v == SYNC_OLD_VERSION;
	/* About to be told as expired: that is the current state. */
	if (f.x->list == SESS_LIST_EXPIRY || MUTANT(M_CURRENT_UNTOLD))
		return;
	f.x->flags |= SESS_CURRENT;
	flow_dirty(s, f, 1u << (p->slot - 1));
}

/* The flow begins or ends at this very box: a peer has no say in it. The peer is told, and stops. */
static bool refuse_local(struct sync *s, struct sync_peer *p, struct flow f, const struct sync_rec *rec)
{
	bool known = f.x != NULL;
	/* One that waits to be written goes; what is in the kernel already leads elsewhere, and stays until its end. */
	bool copy = known && f.x->why == SYNC_WHY_NONE && !flow_mine(s, f) && !(f.x->flags & SESS_KERN) &&
		    f.x->fly == SESS_OP_NONE;

	/* Also what was an ordinary flow until now, and by this record would be answered here. */
	if ((!known || (f.x->why != SYNC_WHY_LOCAL_ORIGIN && f.x->why != SYNC_WHY_LOCAL_DEST)) &&
	    (!rec->full || sync_policy_local(&s->locals, &rec->e) == SYNC_WHY_NONE))
		return false;
	struct flow_version stored = copy ? sess_version(&s->tbl, f.x) : (struct flow_version){ 0 };
	/* Only the owner's word changes what is here already. */
	if (copy && sync_owner_judge(&s->owner, rec, &stored) != SYNC_APPLY)
		return false;
	s->stats.refused_local++;
	s->rejected[SYNC_REJ_LOCAL]++;
	if (known && f.x->why == SYNC_WHY_NONE && flow_mine(s, f))
		return true;
	if (copy) {
		flow_uncount(s, f);
		flow_refused(s, f, 0);
		s->stats.refused_range += !sess_set_version(&s->tbl, f.x, rec->version);
		flow_merge(s, f, &rec->e, false);
		flow_count(s, f);
		flow_drop_local(s, f);
		return true;
	}
	if (!known) {
		/* The answer waits in a record until the peer reads it: not more of them than of copies. */
		if (limit_copy(s, p))
			f = flow_new(s, &rec->e.orig, f);
		if (!f.x) {
			limit_refused(s, p, &rec->e.orig);
			return true;
		}
		flow_merge(s, f, &rec->e, false);
		flow_judge(s, f);
	}
	f.x->flags |= SESS_TELL;
	f.x->err = EADDRNOTAVAIL;
	flow_dirty(s, f, 1u << (p->slot - 1));
	return true;
}

/* Named in the running bulk, or after its end while the walk for the missing has yet to come by. */
static void mark_seen(const struct sync_peer *p, struct flow f)
{
	const struct sync_bulk_rx *b = &p->rx_bulk;

	if (b->open || (b->walking && !sess_walk_passed(&b->walk, f.id)))
		f.x->flags |= SESS_SEEN;
}

static void copy_new(struct sync *s, struct sync_peer *p, const struct sync_rec *rec, struct flow found, bool only_new,
		     mono_t now)
{
	struct flow f = { 0 };

	if (limit_copy(s, p))
		f = flow_new(s, &rec->e.orig, found);
	if (!f.x) {
		limit_refused(s, p, &rec->e.orig);
		return;
	}
	if (!sess_set_version(&s->tbl, f.x, rec->version)) {
		s->stats.refused_range++;
		flow_drop(s, f, false);
		return;
	}
	f.x->flags |= SESS_FOREIGN;
	if (only_new) {
		s->stats.only_create++;
		f.x->flags |= SESS_ONLY_NEW;
	}
	if (f.x->flags & SESS_KERN && !flow_same_nat(s, f, &rec->e))
		f.x->flags |= SESS_REPLACE;
	flow_merge(s, f, &rec->e, false);
	acct_born(s, f, false, now);
	acct_heard(s, f, &rec->e, now);
	f.x->expire_s = sync_sec(s, now) + rec->e.timeout_s;
	mark_seen(p, f);
	flow_count(s, f);
	s->stats.rx_created++;
	if (!handle_set(&p->handles, rec->handle, f.id))
		s->stats.refused_full++;
	bool mine = flow_mine(s, f);
	/* A copy that is neither written nor kept is given up in there, and its record with it. */
	store_put(s, f, rec->bulk ? SESS_QUEUE_BULK : SESS_QUEUE_LIVE);
	/* A flow of ours that we had forgotten: who gives it back learns our handle of it, and the others hear whose it is. */
	if (mine)
		flow_dirty(s, f, ALL_PEERS);
}

/* Applies a peer's state to a flow that is known here; the version is at least ours. */
static void copy_update(struct sync *s, struct sync_peer *p, const struct sync_rec *rec, struct flow f, mono_t now)
{
	bool was_mine = flow_mine(s, f), kern = f.x->flags & SESS_KERN;
	bool nat = rec->full && !flow_same_nat(s, f, &rec->e);
	uint32_t sec = sync_sec(s, now), left = f.x->expire_s > sec ? f.x->expire_s - sec : 0;

	/* Found in our kernel after a restart, with more time left than its owner knows of: packets came here last. */
	if (f.x->why == SYNC_WHY_ORPHAN) {
		/* A lease of an earlier life says nothing. */
		if (kern && !(f.x->flags & SESS_LEASED) && left > rec->e.timeout_s + SYNC_EVIDENCE_S)
			f.x->evidence_s = sec;
		f.x->flags &= ~SESS_LEASED;
		f.x->found = 0;
	}

	/* It may stand in our fast path for a while yet; that says nothing new (sync_kern.c). */
	if (was_mine && kern && f.x->status & CT_ST_OFFLOAD)
		f.x->evidence_s = sec;
	uint8_t err = was_mine ? 0 : f.x->err;
	/* A whole record: its sender may not remember that this one waits here. */
	if (rec->full && err == EDQUOT)
		err = 0;
	s->stats.repaired += !kern && f.x->flags & SESS_WANT ? 1 : 0;
	flow_uncount(s, f);
	flow_refused(s, f, 0);
	flow_unlist(s, f);
	if (!sess_set_version(&s->tbl, f.x, rec->version)) {
		s->stats.refused_range++;
		flow_count(s, f);
		return;
	}
	f.x->err = err; /* told to the owner, who hears of the success as well */
	f.x->flags &= ~(SESS_DEAD_DEL | SESS_DEAD_EXP | SESS_CLAIM | SESS_CURRENT | SESS_WANT | SESS_ASK | SESS_TELL |
			SESS_ONLY_NEW);
	f.x->flags |= SESS_FOREIGN;
	mark_seen(p, f);
	if (kern && nat)
		f.x->flags |= SESS_REPLACE;
	f.x->why = SYNC_WHY_NONE;
	acct_heard(s, f, &rec->e, now);
	bool changed = flow_merge(s, f, &rec->e, !rec->full);
	flow_count(s, f);
	if (was_mine)
		f.x->told = 0;
	s->stats.rx_updated++;
	if (kern && !changed && !was_mine && err == 0 && f.x->flags & SESS_LEASED)
		return;
	f.x->expire_s = sync_sec(s, now) + rec->e.timeout_s;
	store_put(s, f, rec->bulk ? SESS_QUEUE_BULK : SESS_QUEUE_LIVE);
}

/* The answer to something of ours that was refused. */
static bool on_current(struct sync *s, struct sync_peer *p, const struct sync_rec *rec, struct flow f)
{
	if (rec->type != SYNC_REC_CURRENT || !f.x)
		return false;
	int c = flow_version_cmp(rec->version, flow_version_of(s, f));
	if (rec->version.node == s->conf->self && c > 0) {
		/* Ours, in a version we have forgotten: the state is ours, the number is theirs. */
		flow_uncount(s, f);
		if (!sess_set_version(&s->tbl, f.x, rec->version))
			s->stats.refused_range++;
		flow_judge(s, f);
		flow_count(s, f);
		/* The number is news to every other peer as well. */
		if (f.x->why == SYNC_WHY_NONE)
			flow_dirty(s, f, ALL_PEERS);
	} else if (c > 0 || (c == 0 && rec->version.node == p->node)) {
		return false;
	}
	/* Refused for its epoch only; by now we know the new one. What was refused was not taken in: all of it once more. */
	if (flow_mine(s, f) && f.x->why == SYNC_WHY_NONE) {
		f.x->told &= (uint8_t) ~(3u << (2 * (p->slot - 1)));
		flow_dirty(s, f, 1u << (p->slot - 1));
	}
	return true;
}

static void on_session(struct sync *s, struct sync_peer *p, const struct sync_rec *rec, mono_t now)
{
	struct flow f;

	if (!limit_whole(s, rec) || !resolve(s, p, rec, &f))
		return;
	/* Whatever becomes of the record: its sender counts its handle as known from now on, and may end the flow by it. */
	if (rec->full && f.x && !handle_set(&p->handles, rec->handle, f.id))
		s->stats.refused_full++;
	/* And it may have forgotten and found the flow since it was told of it: it does not know our name for it then. */
	if (rec->full && f.x)
		flow_rename(p, f);
	if (on_current(s, p, rec, f))
		return;
	if (refuse_local(s, p, f, rec))
		return;
	struct flow_version stored = f.x ? sess_version(&s->tbl, f.x) : (struct flow_version){ 0 };
	enum sync_verdict v = sync_owner_judge(&s->owner, rec, f.x ? &stored : NULL);
	switch (v) {
	case SYNC_APPLY:
	case SYNC_ONLY_CREATE:
		s->stats.rx_claims += rec->type == SYNC_REC_CLAIM;
		if (f.x)
			copy_update(s, p, rec, f, now);
		else
			copy_new(s, p, rec, f, v == SYNC_ONLY_CREATE, now);
		break;
	case SYNC_OLD_EPOCH:
	case SYNC_OLD_VERSION:
	case SYNC_NOT_SENDERS:
		if (f.x)
			mark_seen(p, f); /* named all the same */
		refuse(s, p, f, v);
		break;
	}
}

void flow_ask(struct sync *s, struct flow f)
{
	flow_uncount(s, f);
	flow_unlist(s, f);
	f.x->flags &= ~(SESS_WANT | SESS_CURRENT | SESS_CLAIM);
	if (!(f.x->flags & SESS_KERN) && f.x->fly != SESS_OP_PUT) {
		flow_drop(s, f, false);
		return;
	}
	f.x->flags |= SESS_ASK;
	f.x->want = SESS_OP_NONE;
	flow_want(s, f, SESS_OP_GET, SESS_QUEUE_LIVE);
}

static void on_end(struct sync *s, struct sync_peer *p, const struct sync_rec *rec)
{
	struct flow f;

	if (!resolve(s, p, rec, &f))
		return;
	if (!f.x || f.x->why == SYNC_WHY_LOCAL_ORIGIN || f.x->why == SYNC_WHY_LOCAL_DEST) {
		s->stats.rx_unknown++;
		return;
	}
	struct flow_version stored = sess_version(&s->tbl, f.x);
	enum sync_verdict v = sync_owner_judge(&s->owner, rec, &stored);
	if (v != SYNC_APPLY) {
		refuse(s, p, f, v);
		return;
	}
	flow_uncount(s, f);
	if (!sess_set_version(&s->tbl, f.x, rec->version)) {
		s->stats.refused_range++;
		flow_count(s, f);
		return;
	}
	if (rec->type == SYNC_REC_DELETE || MUTANT(M_EXPIRED_UNASKED)) {
		s->stats.rx_deleted++;
		flow_drop(s, f, true);
	} else {
		s->stats.rx_expired++;
		flow_count(s, f);
		flow_ask(s, f);
	}
}

static void on_want(struct sync *s, struct sync_peer *p, const struct sync_rec *rec)
{
	struct flow f = rec->full ? flow_find(s, &rec->e.orig) : flow_at(s, rec->handle);

	s->stats.rx_wants++;
	if (!f.x || !flow_mine(s, f) || f.x->why != SYNC_WHY_NONE || f.x->flags & (SESS_DEAD_DEL | SESS_DEAD_EXP)) {
		s->stats.rx_unknown++;
		return;
	}
	f.x->told &= (uint8_t) ~(3u << (2 * (p->slot - 1)));
	/* It waits for its EXPIRED: the peer has no copy that could know better. */
	if (f.x->list == SESS_LIST_EXPIRY)
		return;
	/* A short timer is not known to us after packets without an event: read it before telling. */
	if (flow_is_short(s, f) && f.x->flags & SESS_KERN) {
		f.x->flags |= SESS_ASK;
		flow_want(s, f, SESS_OP_GET, SESS_QUEUE_LIVE);
		return;
	}
	flow_dirty(s, f, 1u << (p->slot - 1));
}

static void on_refused(struct sync *s, const struct sync_rec *rec)
{
	struct flow f = flow_find(s, &rec->e.orig);

	if (!f.x || !flow_mine(s, f) || f.x->why != SYNC_WHY_NONE)
		return;
	if (rec->err != 0) {
		struct ct_entry e;
		sess_entry(&s->tbl, f.id, &e);
		s->stats.rx_refused++;
		s->peer_rejected[sync_reject_of(rec->err, &e)]++;
	}
	if (rec->err != EADDRNOTAVAIL) {
		/* Its own kernel's refusal, of the time when it was a copy, stays to be tried again. */
		if (!(f.x->flags & SESS_REFUSED))
			f.x->err = rec->err;
		return;
	}
	flow_uncount(s, f);
	flow_unlist(s, f);
	f.x->why = SYNC_WHY_PEER_LOCAL;
	f.x->flags &= ~SESS_FOREIGN;
	f.x->told = 0;
}

static void on_ack(struct sync_peer *p, const struct sync_rec *rec, mono_t now)
{
	if (rec->ack_seq > p->acked && rec->ack_seq <= p->tx_seq) {
		p->acked = rec->ack_seq;
		p->acked_at = now;
		sync_lag_acked(&p->lag, p->acked, now);
	}
	if (p->bulk.end_seq != 0 && p->acked >= p->bulk.end_seq)
		p->has_all = p->joined = true;
	p->forgot &= p->forgot_end == 0 || p->acked < p->forgot_end;
	p->refusing = rec->refused;
	if (rec->digest_seq != 0) {
		if (rec->equal && !p->their_equal)
			p->their_seq = rec->seq;
		p->their_equal = rec->equal;
		p->unproven &= !rec->equal || rec->digest_seq <= p->unproven_seq;
		p->forgot &= !rec->equal || rec->digest_seq <= p->forgot_seq;
	}
	sync_lag_judged(&p->lag, rec->digest_seq);
}

static void on_floor(struct sync *s, struct sync_peer *p, const struct sync_rec *rec)
{
	p->floor_heard = true;
	if (rec->version.node == 0 || MUTANT(M_FLOOR_UNHEARD))
		return;
	if (sess_node_slot(&s->tbl, rec->version.node) == 0 || sess_node_slot(&s->tbl, rec->version.epoch.node) == 0 ||
	    rec->version.epoch.counter > SYNC_EPOCH_MAX || rec->version.claim > SYNC_CLAIM_MAX) {
		s->stats.refused_range++;
		return;
	}
	/* A bulk that began before does not name what its sender owns from now on. */
	for (unsigned i = 0; i < SESS_NODES; i++)
		s->peers[i].rx_bulk.clean &= s->peers[i].node != rec->version.node;
	bool ours = s->owner.floor.node == s->conf->self;
	if (!sync_owner_floor(&s->owner, rec->version))
		return;
	s->disowned |= ours;
	sync_recount(s);
	/* With three nodes not everybody hears it from its owner, who may have been started anew since. */
	for (unsigned i = 0; i < SESS_NODES; i++)
		s->peers[i].floor_due |= &s->peers[i] != p;
	/* What was ours is a copy now, and its entry has to become one (BE_LIBERAL, lease) before the role comes back. */
	s->sweep_hurry = true;
	s->sweep_again = s->sweeping;
	s->sweep_at = (mono_t){ 0 };
}

void sync_on_record(struct sync *s, uint32_t node, const struct sync_rec *rec, mono_t now)
{
	struct sync_peer *p = sync_peer_node(s, node);

	if (!p || !p->up)
		return;
	s->stats.rx_records++;
	p->heard_at = now;
	p->rx_seq = rec->seq;
	if (rec->epoch.counter <= SYNC_EPOCH_MAX && sess_node_slot(&s->tbl, rec->epoch.node) != 0)
		sync_owner_see(&s->owner, rec->epoch);
	if (rec->type != SYNC_REC_ACK)
		p->data_seq = rec->seq;
	switch (rec->type) {
	case SYNC_REC_SESSION:
	case SYNC_REC_CLAIM:
	case SYNC_REC_CURRENT:
		on_session(s, p, rec, now);
		break;
	case SYNC_REC_DELETE:
	case SYNC_REC_EXPIRED:
		on_end(s, p, rec);
		break;
	case SYNC_REC_WANT:
		on_want(s, p, rec);
		break;
	case SYNC_REC_BULK_BEGIN:
	case SYNC_REC_BULK_END:
		sync_on_bulk(s, p, rec);
		break;
	case SYNC_REC_DIGEST:
		sync_on_digest(s, p, rec, now);
		break;
	case SYNC_REC_DIGEST_BUCKETS:
		sync_on_buckets(s, p, rec, now);
		break;
	case SYNC_REC_ACK:
		on_ack(p, rec, now);
		break;
	case SYNC_REC_FLOOR:
		on_floor(s, p, rec);
		break;
	case SYNC_REC_REFUSED:
		on_refused(s, rec);
		break;
	case SYNC_REC_ASK:
	case SYNC_REC_ANSWER:
		sync_on_ask(s, p, rec, now);
		break;
	case SYNC_REC_RESYNC:
		sync_on_resync(s, p, now);
		break;
	case SYNC_REC_COUNTS_ASK:
	case SYNC_REC_COUNTS:
		sync_count_on(s, p, rec, now);
		break;
	}
	sync_settle_peer(s, p, now);
}

/* The injector keeps order within a queue: everything a record asked for is done when what was put until then is done.
 */
void sync_settle_peer(struct sync *s, struct sync_peer *p, mono_t now)
{
	bool reached = true;

	for (unsigned q = SESS_QUEUE_LIVE; q < SESS_QUEUES; q++)
		reached &= s->queues[q].done >= p->barrier_at[q];
	if (p->barrier && reached) {
		p->barrier = false;
		p->stored_seq = p->barrier_seq;
		p->ack_due = true;
	}
	if (!p->barrier && p->stored_seq < p->data_seq) {
		bool idle = true;
		for (unsigned q = SESS_QUEUE_LIVE; q < SESS_QUEUES; q++) {
			p->barrier_at[q] = s->queues[q].put;
			idle &= s->queues[q].done == s->queues[q].put;
		}
		p->barrier_seq = p->rx_seq;
		p->barrier = !idle;
		if (idle) {
			p->stored_seq = p->rx_seq;
			p->ack_due = true;
		}
	}
	/* ACKs ask for nothing. */
	if (!p->barrier && p->stored_seq >= p->data_seq)
		p->stored_seq = p->rx_seq;
	if (p->digest_seq != 0 && p->digest_seq <= p->stored_seq && p->digest_seq != p->digest_told) {
		p->digest_told = p->digest_seq;
		p->equal = p->digest_equal;
		p->equal_at = now;
		p->ack_due = true;
	}
}
