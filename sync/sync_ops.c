/*
 * The injector's side. A record says what is wanted (want), what is in flight (fly) and in which queue it stands; the
 * operation itself is made from the record when it is pulled, so that only the newest state is written. At most one
 * operation of a session is in flight. A chain (create, EEXIST, update) keeps its place at the head of its queue and
 * counts as done only at its end: what is acknowledged as stored is stored.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include "sync/sync_int.h"

#define NAT_BITS       (CT_ST_SRC_NAT | CT_ST_DST_NAT)
#define COST           1000 /* of one copy written in bulk, in credit; with NAT it takes the kernel half as long again */
#define COST_NAT       1500
#define BULK_RATE      200000
#define BULK_BURST     256
#define OP_LATE_NS     NS_PER_SEC
#define RETRY_FIRST_NS NS_PER_SEC
#define RETRY_MAX_NS   (60 * NS_PER_SEC)

static void enqueue(struct sync *s, struct flow f, enum sess_queue which, bool front)
{
	struct sync_queue *q = &s->queues[which];

	f.x->queue = which & 3;
	f.x->op_next = front ? q->head : 0;
	if (q->head == 0)
		q->head = q->tail = f.id;
	else if (front)
		q->head = f.id;
	else
		sess_at(&s->tbl, q->tail)->op_next = f.id;
	if (!front)
		q->tail = f.id;
	q->waiting++;
	q->put += !front;
}

static struct flow dequeue(struct sync *s, enum sess_queue which)
{
	struct sync_queue *q = &s->queues[which];
	struct flow f = { q->head, sess_at(&s->tbl, q->head) };

	q->head = f.x->op_next;
	if (q->head == 0)
		q->tail = 0;
	f.x->op_next = 0;
	q->waiting--;
	return f;
}

void flow_want(struct sync *s, struct flow f, enum sess_op op, enum sess_queue q)
{
	/* A reading or a renewal does not displace what is to be written. */
	if (op > f.x->want || op == SESS_OP_PUT)
		f.x->want = op & 7;
	if (f.x->queue == SESS_QUEUE_NONE)
		enqueue(s, f, q, false);
}

/*
 * One step is done, or there was nothing to do. What is wanted by now is the next step of the same chain: at the head,
 * not counted again.
 */
static void done(struct sync *s, struct flow f)
{
	enum sess_queue q = f.x->queue;

	if (f.x->want != SESS_OP_NONE) {
		enqueue(s, f, q, true);
		return;
	}
	f.x->queue = SESS_QUEUE_NONE;
	s->queues[q].done++;
	if (f.x->flags & SESS_GONE)
		sess_del(&s->tbl, f.id);
	else
		flow_settle(s, f);
}

static void chain(struct sync *s, struct flow f, enum sess_op op)
{
	f.x->want = op & 7;
	done(s, f);
}

static void copy_entry(const struct sync *s, struct flow f, struct ct_entry *e, bool update)
{
	sess_entry(&s->tbl, f.id, e);
	/* In its owner's fast path: only an established flow gets there, whatever state was last shown. */
	if (e->status & CT_ST_OFFLOAD) {
		e->status |= CT_ST_SEEN_REPLY | CT_ST_ASSURED;
		if (e->orig.l4 == IPPROTO_TCP) {
			e->has |= CT_HAS_TCP;
			e->tcp_state = CT_TCP_ESTABLISHED;
		}
	}
	e->status = (e->status & SYNC_STATUS_STABLE) | CT_ST_CONFIRMED;
	/* Clearing EXPECTED is refused, setting it on a create too (the kernel sets it for a master). */
	if (update && e->has & CT_HAS_MASTER)
		e->status |= CT_ST_EXPECTED;
	if (update)
		e->has |= CT_HAS_MARK;
	for (unsigned d = 0; d < 2 && e->has & CT_HAS_TCP_WIN; d++)
		e->tcp_flags[d] = (uint8_t)((e->tcp_flags[d] & CT_TCP_KEEP) | CT_TCP_BE_LIBERAL);
	/* State without flags would stall the flow after a takeover: liberal at least. */
	if ((e->has & (CT_HAS_TCP | CT_HAS_TCP_WIN)) == CT_HAS_TCP) {
		e->has |= CT_HAS_TCP_WIN;
		e->tcp_flags[0] = e->tcp_flags[1] = CT_TCP_BE_LIBERAL;
	}
}

static void grant(struct sync *s, struct flow f, struct ct_entry *e, uint32_t seconds, mono_t now)
{
	/* That list is in the order of ends: one of the future would hold up the rest. */
	if (f.x->list == SESS_LIST_EXPIRY)
		flow_unlist(s, f);
	e->has |= CT_HAS_TIMEOUT;
	e->timeout_s = seconds;
	f.x->expire_s = sync_sec(s, now) + seconds;
}

/* It waited to be written, and has its end at this box since: the walk over the sessions has yet to come by. */
static void become_local(struct sync *s, struct flow f)
{
	bool was = f.x->why == SYNC_WHY_NONE;

	if (!flow_mine(s, f)) {
		flow_drop_local(s, f);
		return;
	}
	flow_judge(s, f);
	if (was && f.x->why != SYNC_WHY_NONE) {
		s->stats.judged_out++;
		flow_dirty(s, f, ALL_PEERS);
	}
}

static bool make_put(struct sync *s, struct flow f, struct ct_op *op, mono_t now)
{
	bool mine = flow_mine(s, f), kern = f.x->flags & SESS_KERN;
	uint32_t sec = sync_sec(s, now), left = f.x->expire_s > sec ? f.x->expire_s - sec : 0;

	if (kern && (mine || f.x->flags & SESS_ONLY_NEW)) {
		/* It became ours, or may only be created: what the kernel has is newer than what we were told. */
		s->stats.op_dropped++;
		f.x->flags &= ~SESS_ONLY_NEW;
		if (mine)
			flow_refused(s, f, 0); /* it was a copy's update that the kernel refused */
		return false;
	}
	if (kern && f.x->flags & SESS_REPLACE) {
		op->type = CT_OP_DELETE;
		sess_orig(&s->tbl, f.id, &op->e.orig);
		f.x->want = SESS_OP_PUT;
		f.x->fly = SESS_OP_DELETE;
		return true;
	}
	if (!kern && store_holds(s, f))
		return false;
	op->type = kern ? CT_OP_UPDATE : CT_OP_CREATE;
	copy_entry(s, f, &op->e, kern);
	if (sync_policy_local(&s->locals, &op->e) != SYNC_WHY_NONE) {
		become_local(s, f);
		return false;
	}
	if (!kern)
		store_entries(s, 1);
	/* It waited here while its owner's timer went on: what its state would give is a better guess than nothing. */
	if (!kern && left == 0 && s->store.committing && sync_policy_short(&op->e))
		left = sync_policy_full_timeout(&s->timeouts, &op->e);
	grant(s, f, &op->e, sync_policy_grant(&op->e, left, sync_lease_s(s)), now);
	f.x->flags &= ~SESS_REPLACE;
	f.x->fly = SESS_OP_PUT;
	return true;
}

/* True: op is filled, f.x->fly says what it is. False: nothing to do. */
static bool make_op(struct sync *s, struct flow f, struct ct_op *op, mono_t now)
{
	enum sess_op want = f.x->want;

	memset(op, 0, sizeof(*op));
	op->cookie = f.id;
	f.x->want = SESS_OP_NONE;
	switch (want) {
	case SESS_OP_NONE:
		return false;
	case SESS_OP_PUT:
		return make_put(s, f, op, now);
	case SESS_OP_DELETE:
		if (!(f.x->flags & SESS_KERN))
			return false;
		op->type = CT_OP_DELETE;
		break;
	case SESS_OP_RENEW:
		if (!(f.x->flags & SESS_KERN))
			return false;
		op->type = CT_OP_RENEW;
		break;
	case SESS_OP_STRICT:
		if (!(f.x->flags & SESS_KERN) || !flow_mine(s, f))
			return false;
		op->type = CT_OP_UPDATE;
		break;
	case SESS_OP_GET:
		op->type = CT_OP_GET;
		break;
	}
	f.x->fly = want & 7;
	sess_entry(&s->tbl, f.id, &op->e);
	/* After a takeover an idle flow gets what its state would get from a packet; a copy gets its lease. */
	if (want == SESS_OP_RENEW && flow_mine(s, f))
		grant(s, f, &op->e, sync_policy_full_timeout(&s->timeouts, &op->e), now);
	else if (want == SESS_OP_RENEW)
		grant(s, f, &op->e, sync_lease_s(s), now);
	op->e.has = want == SESS_OP_RENEW ? CT_HAS_TIMEOUT : want == SESS_OP_STRICT ? CT_HAS_TCP_WIN : 0;
	if (want == SESS_OP_STRICT)
		op->e.tcp_flags[0] = op->e.tcp_flags[1] = 0;
	return true;
}

/* Credit for writing in bulk; true when at least one operation may go. */
static bool refill(struct sync *s, mono_t now)
{
	int64_t rate = s->conf->bulk_rate ? s->conf->bulk_rate : BULK_RATE;
	int64_t burst = rate / 100 > BULK_BURST ? rate / 100 : BULK_BURST;
	int64_t passed = mono_sub(now, s->bulk_at);

	if (passed < 0)
		passed = 0;
	s->bulk_at = now;
	if (passed > NS_PER_SEC)
		passed = NS_PER_SEC;
	s->bulk_credit += passed / NS_PER_US * rate / 1000;
	if (s->bulk_credit > burst * COST)
		s->bulk_credit = burst * COST;
	return s->bulk_credit > 0;
}

static unsigned pull_queue(struct sync *s, enum sess_queue which, struct ct_op *out, unsigned max, mono_t now)
{
	unsigned n = 0;

	while (n < max && s->queues[which].head != 0 && (which != SESS_QUEUE_BULK || s->bulk_credit > 0)) {
		struct flow f = dequeue(s, which);
		if (!make_op(s, f, &out[n], now)) {
			done(s, f);
			continue;
		}
		if (which == SESS_QUEUE_BULK)
			s->bulk_credit -= f.x->status & NAT_BITS ? COST_NAT : COST;
		n++;
	}
	return n;
}

static unsigned pull_raw(struct sync *s, struct ct_op *out, unsigned max, mono_t now)
{
	unsigned n = 0;

	for (; n < max && n < s->n_raw; n++) {
		memset(&out[n], 0, sizeof(out[n]));
		out[n].type = CT_OP_DELETE;
		out[n].e.orig = s->raw[n];
		/* Our own delete brings no event back: the record goes now. */
		struct flow f = flow_find(s, &s->raw[n]);
		if (f.x && flow_mine(s, f) && f.x->why == SYNC_WHY_NONE)
			flow_kernel_end(s, f, true, 0, now);
		else if (f.x)
			flow_drop(s, f, false);
	}
	memmove(s->raw, s->raw + n, (s->n_raw - n) * sizeof(s->raw[0]));
	s->n_raw -= n;
	return n;
}

unsigned sync_pull_ops(struct sync *s, struct ct_op *out, unsigned max, mono_t now)
{
	unsigned n = pull_raw(s, out, max, now);

	s->pulled_at = now;

	n += pull_queue(s, SESS_QUEUE_LIVE, out + n, max - n, now);
	if (n < max && s->store.n > 0) {
		store_release(s, max - n);
		n += pull_queue(s, SESS_QUEUE_LIVE, out + n, max - n, now);
	}
	/* Renewals are few and cheap; behind a long bulk they would come too late. */
	n += pull_queue(s, SESS_QUEUE_RENEW, out + n, max - n, now);
	if (s->queues[SESS_QUEUE_BULK].head != 0 && refill(s, now))
		n += pull_queue(s, SESS_QUEUE_BULK, out + n, max - n, now);
	return n;
}

static void failed(struct sync *s, struct flow f, int err, mono_t now)
{
	struct ct_entry e;

	sess_entry(&s->tbl, f.id, &e);
	s->rejected[sync_reject_of(err, &e)]++;
	s->stats.op_full += err == -ENOMEM || err == -ENOSPC;
	flow_refused(s, f, err);
	if (!s->retry_walking && mono_is_never(s->retry_at)) {
		s->retry_ns = RETRY_FIRST_NS;
		s->retry_at = mono_add(now, s->retry_ns);
	}
	done(s, f);
}

/*
 * This thread stood still between making an operation and its answer: when the kernel's timer began to run is not known
 * to the second, and a false one would look like traffic. The lease is given once more.
 */
static void if_late(struct sync *s, struct flow f, mono_t now)
{
	if (mono_sub(now, s->pulled_at) > OP_LATE_NS && f.x->want == SESS_OP_NONE && !(f.x->flags & SESS_GONE) &&
	    !flow_mine(s, f) && !flow_is_short(s, f))
		f.x->want = SESS_OP_RENEW;
}

static void put_ok(struct sync *s, struct flow f, bool created, mono_t now)
{
	if (created)
		s->stats.op_created++;
	else
		s->stats.op_updated++;
	flow_in_kernel(s, f);
	f.x->flags &= ~(SESS_FLIP | SESS_ONLY_NEW | SESS_OLD);
	f.x->flags |= SESS_LEASED | SESS_FRESH;
	if (!(f.x->flags & SESS_GONE))
		flow_refused(s, f, 0);
	if_late(s, f, now);
	done(s, f);
}

/* An entry with this tuple, or another flow with the translated one, is there already. */
static void create_exist(struct sync *s, struct flow f, mono_t now)
{
	s->stats.op_exist++;
	if (f.x->flags & SESS_ONLY_NEW || flow_mine(s, f) || f.x->flags & SESS_GONE) {
		f.x->flags &= ~SESS_ONLY_NEW;
		flow_in_kernel(s, f);
		done(s, f);
	} else if (f.x->flags & SESS_FLIP) {
		f.x->flags &= ~SESS_FLIP;
		s->stats.op_collision++;
		failed(s, f, -EEXIST, now);
	} else {
		f.x->flags |= SESS_FLIP | SESS_KERN;
		chain(s, f, SESS_OP_PUT);
	}
}

static void put_result(struct sync *s, struct flow f, int err, mono_t now)
{
	bool created = !(f.x->flags & SESS_KERN);

	if (created && err != 0)
		store_entries(s, -1);
	/* The level that we knew of is not true any more. */
	if (err == -ENOMEM && s->store.level < s->store.max)
		s->store.level = s->store.max;
	/* What comes next is decided already; only the kernel's state matters. */
	if (f.x->want == SESS_OP_DELETE || f.x->want == SESS_OP_PUT) {
		if (err == 0 || (created && err == -EEXIST))
			flow_in_kernel(s, f);
		else if (err == -ENOENT)
			f.x->flags &= ~SESS_KERN;
		done(s, f);
	} else if (err == 0) {
		put_ok(s, f, created, now);
	} else if (created && err == -EEXIST) {
		create_exist(s, f, now);
	} else if (!created && err == -ENOENT) {
		s->stats.op_noent++;
		f.x->flags &= ~SESS_KERN;
		if (f.x->flags & SESS_GONE)
			done(s, f);
		else
			chain(s, f, SESS_OP_PUT);
	} else if (!created && err == -EBUSY && !(f.x->flags & (SESS_GONE | SESS_REPLACE))) {
		/* The entry has bits that only packets set and nobody can take away: a new one in its place. The timer, which
		 * would tell when they passed here, was overwritten before they were looked at
		 * (ctnetlink_change_conntrack). */
		if (!flow_mine(s, f))
			f.x->evidence_s = sync_sec(s, now);
		f.x->flags |= SESS_REPLACE;
		chain(s, f, SESS_OP_PUT);
	} else {
		if (created)
			s->stats.op_create_failed++;
		else
			s->stats.op_update_failed++;
		f.x->flags &= ~SESS_FLIP;
		failed(s, f, err, now);
	}
}

static void renew_result(struct sync *s, struct flow f, int err, mono_t now)
{
	bool mine = flow_mine(s, f);

	if (err == 0 && mine) {
		s->stats.op_restored++;
		f.x->flags &= ~(SESS_LEASED | SESS_FRESH);
	} else if (err == 0) {
		s->stats.op_renewed++;
		flow_forget_err(f); /* what a peer had refused while it was ours */
		f.x->flags &= ~SESS_OLD;
		f.x->flags |= SESS_LEASED | SESS_FRESH;
		if_late(s, f, now);
	} else if (err == -ENOENT) {
		s->stats.op_noent++;
	} else {
		s->stats.op_renew_failed++;
	}
	done(s, f);
	f = flow_at(s, f.id);
	if (err == -ENOENT && f.x && f.x->fly == SESS_OP_NONE)
		flow_kernel_end(s, f, flow_closing(f, NULL), 0, now);
}

static void strict_result(struct sync *s, struct flow f, int err)
{
	/* An entry that is gone is told by its event, or missed by the sweep. */
	s->stats.op_strict += err == 0;
	s->stats.op_strict_failed += err != 0 && err != -ENOENT;
	done(s, f);
}

static void get_result(struct sync *s, struct flow f, int err, mono_t now)
{
	/* The kernel finds an entry by either of its tuples: what was read was another flow's, if this one stays unseen. */
	if (err == 0 && !(f.x->flags & SESS_GONE) && (f.x->flags & SESS_SWEPT) != (s->sweep_parity ? SESS_SWEPT : 0u))
		err = -ENOENT;
	bool gone = err == -ENOENT && f.x->want != SESS_OP_PUT && !(f.x->flags & SESS_GONE);
	bool was = f.x->flags & SESS_KERN, asked = f.x->flags & SESS_ASK;

	s->stats.op_asked++;
	done(s, f);
	f = flow_at(s, f.id);
	if (!gone || !f.x || f.x->fly != SESS_OP_NONE || !(was || asked) || f.x->list == SESS_LIST_EXPIRY)
		return;
	bool mine = flow_mine(s, f);
	if (mine) {
		s->stats.vanished += f.x->why != SYNC_WHY_ORPHAN;
		f.x->flags &= ~SESS_ASK;
		/* When is not known: it may well have been the kernel's clean-up after that loss. */
		if (sync_loss_near(s, now)) {
			s->stats.expire_forgotten++;
			flow_drop(s, f, false);
			return;
		}
	}
	flow_kernel_end(s, f, flow_closing(f, NULL), 0, now);
	/* It ended some time ago: the loss that would explain it is known by now. */
	f = flow_at(s, f.id);
	if (mine && f.x && f.x->list == SESS_LIST_EXPIRY)
		f.x->expire_s -= 2;
}

static void delete_result(struct sync *s, struct flow f, int err)
{
	if (err == 0) {
		s->stats.op_deleted++;
		store_entries(s, -1);
		flow_forget_err(f);
	} else if (err == -ENOENT) {
		/* It ran out by itself before: what was wanted is so. */
		s->stats.op_noent++;
	} else {
		s->stats.op_delete_failed++;
		/* The answer was lost, or there was no memory for it: once more. */
		if (f.x->err == 0 && err > -256 && sync_reject_retries((uint8_t)-err)) {
			f.x->err = (uint8_t)-err;
			if (f.x->want == SESS_OP_NONE)
				f.x->want = SESS_OP_DELETE;
			done(s, f);
			return;
		}
	}
	f.x->flags &= ~(SESS_KERN | SESS_LEASED | SESS_FRESH | SESS_REPLACE);
	store_taken_back(s, f);
	done(s, f);
}

void sync_on_op_result(struct sync *s, uint32_t cookie, int err, mono_t now)
{
	struct flow f = { cookie, cookie ? sess_at(&s->tbl, cookie) : NULL };

	if (!f.x || f.x->fly == SESS_OP_NONE) {
		s->stats.op_deleted += cookie == 0 && err == 0;
		s->stats.op_noent += cookie == 0 && err == -ENOENT;
		s->stats.op_delete_failed += cookie == 0 && err != 0 && err != -ENOENT;
		return;
	}
	enum sess_op fly = f.x->fly;
	f.x->fly = SESS_OP_NONE;
	switch (fly) {
	case SESS_OP_NONE:
		break;
	case SESS_OP_PUT:
		put_result(s, f, err, now);
		break;
	case SESS_OP_RENEW:
		renew_result(s, f, err, now);
		break;
	case SESS_OP_STRICT:
		strict_result(s, f, err);
		break;
	case SESS_OP_GET:
		get_result(s, f, err, now);
		break;
	case SESS_OP_DELETE:
		delete_result(s, f, err);
		break;
	}
}

/* Tries again what the kernel refused: one walk per back-off time, which doubles while anything is still refused. */
void sync_retry_step(struct sync *s, unsigned budget, mono_t now)
{
	struct sess_walk *w = &s->retry_walk;
	struct flow f;

	if (!s->retry_walking) {
		if (!mono_due(s->retry_at, now))
			return;
		s->retry_walking = true;
		sess_walk_start(w);
	}
	while ((f.id = sess_walk_next(&s->tbl, w, &budget)) != 0) {
		f.x = sess_at(&s->tbl, f.id);
		if (!(f.x->flags & SESS_REFUSED) || f.x->queue != SESS_QUEUE_NONE || !sync_reject_retries(f.x->err))
			continue;
		s->stats.op_retried++;
		flow_want(s, f, SESS_OP_PUT, SESS_QUEUE_BULK);
	}
	if (w->active)
		return;
	s->retry_walking = false;
	s->retry_ns = s->n_failed == 0                 ? RETRY_FIRST_NS
		      : s->retry_ns * 2 > RETRY_MAX_NS ? RETRY_MAX_NS
						       : s->retry_ns * 2;
	s->retry_at = s->n_failed == 0 ? MONO_NEVER : mono_add(now, s->retry_ns);
}
