/*
 * The role transaction. Stages of a promotion:
 *
 *   crash    PREPARING: fence, purge (parallel), store -> authority -> COMMITTING: advert, addresses, announcements -> STABLE
 *   planned  PREPARING: join, purge -> PREPARED .. GO -> apply (and fence) -> authority -> COMMITTING -> UP -> STABLE
 *
 * and of a demotion:
 *
 *   planned  (PREPARING: TAKE ..) PREPARED -> DEMOTING: flush -> authority given up, silence, GO .. UP -> addresses off
 * -> purge -> STABLE forced   DEMOTING: addresses off, authority given up, silence -> purge -> STABLE
 *
 * role->waiting says which answers the present stage lacks; role->deadline ends the stage without them (step policy).
 */
#include "daemon/role.h"

#include <string.h>
#include "daemon/base/mutant.h"
#include "daemon/base/require.h"

enum {
	WAIT_FENCE = 1 << 0,
	WAIT_PURGE = 1 << 1,
	WAIT_PREPARED = 1 << 2,
	WAIT_GO = 1 << 3,
	WAIT_APPLY = 1 << 4,
	WAIT_NET = 1 << 5,
	WAIT_GARP = 1 << 6,
	WAIT_FLUSH = 1 << 7,
	WAIT_UP = 1 << 8,
	WAIT_NET_DOWN = 1 << 9,
	WAIT_STORE = 1 << 10,
};

#define RETRY_MIN_NS (100 * NS_PER_MS)
#define RETRY_MAX_NS (5 * NS_PER_SEC)
#define HOLD_MAX_S   60

static const char *const reason_text[] = {
#define ROLE_REASON_TEXT(name, num, text) [num] = text,
	ROLE_REASON_TABLE(ROLE_REASON_TEXT)
#undef ROLE_REASON_TEXT
};

static const char *const phase_text[] = {
#define ROLE_PHASE_TEXT(name, num, text) [num] = text,
	ROLE_PHASE_TABLE(ROLE_PHASE_TEXT)
#undef ROLE_PHASE_TEXT
};

const char *role_reason_text(uint8_t reason)
{
	return reason < sizeof(reason_text) / sizeof(reason_text[0]) ? reason_text[reason] : "unknown";
}

const char *role_phase_text(uint8_t phase)
{
	return phase < ROLE_PH_N ? phase_text[phase] : "unknown";
}

const char *role_kind_text(uint8_t kind)
{
	static const char *const text[] = { "none", "crash", "planned", "forced", "fault", "stop" };
	return kind < sizeof(text) / sizeof(text[0]) ? text[kind] : "unknown";
}

const char *role_is_text(uint8_t is)
{
	static const char *const text[] = { "INIT", "BACKUP", "MASTER", "FAULT" };
	return is < sizeof(text) / sizeof(text[0]) ? text[is] : "?";
}

void role_init(struct role *r, uint16_t group, uint32_t node)
{
	memset(r, 0, sizeof(*r));
	r->group = group;
	r->node = node;
	r->deadline = r->retry_at = r->hold_until = MONO_NEVER;
}

static struct role_act *emit(struct role *r, struct role_acts *out, enum role_act_type type)
{
	require(out->n < ROLE_ACTS_MAX);
	struct role_act *a = &out->a[out->n++];
	*a = (struct role_act){ .type = type, .epoch = r->epoch };
	return a;
}

static void mark(struct role *r, enum role_phase ph, mono_t now, enum role_result res)
{
	r->rec.at[ph] = now;
	r->rec.result[ph] = (uint8_t)res;
	if (res != ROLE_RES_OK && r->rec.outcome == ROLE_RES_OK)
		r->rec.outcome = ROLE_RES_DEGRADED;
}

static void emit_journal(struct role *r, struct role_acts *out)
{
	require(out->n_rec < ROLE_RECORDS_MAX);
	out->rec[out->n_rec] = r->rec;
	emit(r, out, ROLE_ACT_JOURNAL)->record = out->n_rec++;
}

/* Opens a transaction. Promotions and planned demotions of this node's own making draw a new epoch. */
static void begin(struct role *r, const struct role_ev *wish, bool new_epoch, mono_t now, struct role_acts *out)
{
	r->seen = epoch_max(r->seen, wish->seen);
	if (new_epoch)
		r->epoch = MUTANT(M_EPOCH_REUSED) ? epoch_max(r->seen, r->epoch)
						  : epoch_next(epoch_max(r->seen, r->epoch), r->node);
	r->target = wish->target;
	r->kind = wish->kind;
	r->waiting = 0;
	r->deadline = r->retry_at = MONO_NEVER;
	r->retries = 0;
	r->has_sync = wish->has_sync;
	r->sync_late = wish->sync_late;
	r->stored = wish->stored;
	r->storing = false;
	r->has_channel = wish->has_channel;
	r->peer_ready = wish->peer_ready;
	r->rival_heard = false;
	r->rec = (struct role_record){
		.epoch = r->epoch,
		.group = r->group,
		.kind = (uint8_t)wish->kind,
		.reason = (uint8_t)wish->reason,
		.from = (uint8_t)r->is,
		.to = (uint8_t)wish->target,
	};
	r->rec.at[ROLE_PH_DETECT] = wish->detect;
	mark(r, ROLE_PH_DECIDE, now, ROLE_RES_OK);
	if (new_epoch)
		emit(r, out, ROLE_ACT_EPOCH);
	emit(r, out, ROLE_ACT_BEGIN)->is = r->target;
	if (wish->has_sync && wish->sync_late)
		mark(r, ROLE_PH_FENCE, now, ROLE_RES_TIMEOUT);
}

static void finish(struct role *r, enum role_is is, mono_t now, struct role_acts *out)
{
	r->state = ROLE_STABLE;
	r->is = is;
	r->waiting = 0;
	r->deadline = MONO_NEVER;
	r->leaving_heard = false;
	mark(r, ROLE_PH_DONE, now, ROLE_RES_OK);
	if (r->has_sync)
		emit(r, out, ROLE_ACT_SYNC_STABLE);
	emit(r, out, ROLE_ACT_CHANGED)->is = is;
	emit_journal(r, out);
}

static void start_wish(struct role *r, const struct role_ev *wish, mono_t now, struct role_acts *out);

static void take_next(struct role *r, mono_t now, struct role_acts *out)
{
	if (!r->next.set || r->state != ROLE_STABLE)
		return;
	r->next.set = false;
	struct role_ev wish = r->next.ev;
	wish.seen = epoch_max(wish.seen, r->epoch);
	start_wish(r, &wish, now, out);
}

/* Point of no return: from here on the others hear us as master. */
static void commit(struct role *r, mono_t now, struct role_acts *out)
{
	if (r->has_sync)
		emit(r, out, ROLE_ACT_AUTHORITY)->mine = true;
	mark(r, ROLE_PH_AUTHORITY, now, ROLE_RES_OK);
	r->state = ROLE_COMMITTING;
	r->waiting = WAIT_NET | WAIT_GARP;
	r->deadline = mono_add(now, ROLE_COMMIT_NS);
	r->net_up = true;
	emit(r, out, ROLE_ACT_ADVERT);
	mark(r, ROLE_PH_ADVERT, now, ROLE_RES_OK);
	emit(r, out, ROLE_ACT_NET_UP);
}

/* What the store holds has its own time, after the fence. */
static void wait_store(struct role *r, mono_t now)
{
	if (MUTANT(M_VIP_BEFORE_STORE))
		return;
	r->waiting |= WAIT_STORE;
	r->deadline = mono_add(now, ROLE_STORE_NS);
}

static void prepare_crash(struct role *r, bool leftovers, mono_t now, struct role_acts *out)
{
	r->state = ROLE_PREPARING;
	r->waiting = 0;
	r->deadline = now;
	if (MUTANT(M_VIP_BEFORE_FENCE))
		emit(r, out, ROLE_ACT_NET_UP);
	if (r->has_sync)
		emit(r, out, ROLE_ACT_FENCE);
	if (r->has_sync && !r->sync_late) {
		r->waiting |= WAIT_FENCE;
		r->deadline = mono_add(now, ROLE_FENCE_NS);
	}
	if (leftovers) {
		emit(r, out, ROLE_ACT_PURGE);
		r->waiting |= WAIT_PURGE;
		r->deadline = mono_max(r->deadline, mono_add(now, ROLE_PURGE_NS));
	}
	if (!r->waiting)
		commit(r, now, out);
}

static void say_prepared(struct role *r, mono_t now, struct role_acts *out)
{
	emit(r, out, ROLE_ACT_PEER_PREPARED);
	mark(r, ROLE_PH_PREPARED, now, ROLE_RES_OK);
	r->waiting = WAIT_GO;
	r->deadline = mono_add(now, ROLE_GO_NS);
}

static void prepare_planned(struct role *r, bool leftovers, mono_t now, struct role_acts *out)
{
	r->state = ROLE_PREPARING;
	r->waiting = 0;
	if (r->has_sync)
		emit(r, out, ROLE_ACT_JOIN);
	if (leftovers) {
		emit(r, out, ROLE_ACT_PURGE);
		r->waiting = WAIT_PURGE;
		r->deadline = mono_add(now, ROLE_PURGE_NS);
	} else {
		say_prepared(r, now, out);
	}
}

static void abandon(struct role *r, enum role_reason why, mono_t now, struct role_acts *out)
{
	mark(r, ROLE_PH_ABORT, now, ROLE_RES_ERROR);
	r->rec.to = r->rec.from;
	r->rec.outcome = ROLE_RES_ERROR;
	if (why != ROLE_R_NONE)
		r->rec.reason = (uint8_t)why;
	r->state = ROLE_STABLE;
	r->waiting = 0;
	r->deadline = MONO_NEVER;
	r->leaving_heard = false;
	if (r->has_sync)
		emit(r, out, ROLE_ACT_SYNC_STABLE);
	emit_journal(r, out);
}

static void addresses_off(struct role *r, mono_t now, struct role_acts *out)
{
	emit(r, out, ROLE_ACT_NET_DOWN);
	r->net_up = false;
	r->partial = false;
	r->retry_at = MONO_NEVER;
	r->waiting = WAIT_NET_DOWN;
	r->deadline = mono_add(now, ROLE_DEMOTE_NS);
}

/* VIPs first, then everything else: nobody must meet two owners. */
static void demote_now(struct role *r, bool zero, bool leaving, bool planned, mono_t now, struct role_acts *out)
{
	r->state = ROLE_DEMOTING;
	if (leaving && r->has_channel)
		emit(r, out, ROLE_ACT_PEER_LEAVING)->planned = planned;
	emit(r, out, ROLE_ACT_YIELD)->zero = zero;
	addresses_off(r, now, out);
	if (r->has_sync) {
		emit(r, out, ROLE_ACT_SYNC_DEMOTING);
		emit(r, out, ROLE_ACT_AUTHORITY)->mine = false;
	}
	mark(r, ROLE_PH_AUTHORITY, now, ROLE_RES_OK);
}

/* Old side of a planned switch: what is dirty goes to the peer before authority does. */
static void demote_planned(struct role *r, struct epoch epoch, mono_t now, struct role_acts *out)
{
	r->epoch = epoch;
	r->rec.epoch = epoch;
	r->state = ROLE_DEMOTING;
	mark(r, ROLE_PH_PREPARED, now, ROLE_RES_OK);
	emit(r, out, ROLE_ACT_EPOCH);
	if (r->has_sync)
		emit(r, out, ROLE_ACT_FLUSH);
	if (r->has_sync && !r->sync_late) {
		r->waiting = WAIT_FLUSH;
		r->deadline = mono_add(now, ROLE_FENCE_NS);
	}
}

static void say_go(struct role *r, uint64_t seq, enum role_result res, mono_t now, struct role_acts *out)
{
	mark(r, ROLE_PH_FLUSH, now, res);
	if (r->has_sync)
		emit(r, out, ROLE_ACT_AUTHORITY)->mine = false;
	mark(r, ROLE_PH_AUTHORITY, now, ROLE_RES_OK);
	emit(r, out, ROLE_ACT_YIELD)->planned = true;
	emit(r, out, ROLE_ACT_PEER_GO)->seq = seq;
	mark(r, ROLE_PH_GO, now, ROLE_RES_OK);
	r->waiting = WAIT_UP;
	r->deadline = mono_add(now, ROLE_UP_NS);
}

static void demoted(struct role *r, enum role_result res, mono_t now, struct role_acts *out)
{
	mark(r, ROLE_PH_VIP_DOWN, now, res);
	/* The VIP is gone, so the IKE daemon cannot tell the remote side: the SAs go silently. */
	emit(r, out, ROLE_ACT_PURGE);
	mark(r, ROLE_PH_PURGE, now, ROLE_RES_OK);
	finish(r, r->target, now, out);
	if (r->target == ROLE_FAULT && !mono_is_never(r->hold_until))
		emit(r, out, ROLE_ACT_FAULT)->hold_ns = mono_sub(r->hold_until, now);
}

/* Stop and maintenance go on without the peer; force and preempt keep the role. */
static bool goes_on_alone(const struct role *r)
{
	return r->kind == ROLE_K_STOP || r->rec.reason == ROLE_R_MAINTENANCE || r->rec.reason == ROLE_R_SYNC_HANG;
}

static void wish_master(struct role *r, const struct role_ev *wish, mono_t now, struct role_acts *out)
{
	begin(r, wish, true, now, out);
	r->whole = false;
	if (wish->kind == ROLE_K_PLANNED && wish->has_channel)
		prepare_planned(r, wish->leftovers, now, out);
	else
		prepare_crash(r, wish->leftovers, now, out);
}

static void wish_leave(struct role *r, const struct role_ev *wish, mono_t now, struct role_acts *out)
{
	if (r->is != ROLE_MASTER) { /* nothing to take away: only the name of the role changes */
		begin(r, wish, false, now, out);
		if (r->is == ROLE_INIT || r->net_up) {
			emit(r, out, ROLE_ACT_PURGE);
			mark(r, ROLE_PH_PURGE, now, ROLE_RES_OK);
		}
		finish(r, wish->target, now, out);
		return;
	}
	bool ask = (wish->kind == ROLE_K_PLANNED || wish->kind == ROLE_K_STOP) && wish->has_channel && wish->peer_ready;
	begin(r, wish, false, now, out);
	if (ask) {
		emit(r, out, ROLE_ACT_PEER_TAKE);
		r->state = ROLE_PREPARING;
		r->waiting = WAIT_PREPARED;
		r->deadline = mono_add(now, ROLE_GO_NS);
		return;
	}
	if (wish->kind == ROLE_K_PLANNED && !goes_on_alone(r)) {
		abandon(r, ROLE_R_PEER_ABORTED, now, out);
		return;
	}
	bool others_live = wish->kind == ROLE_K_FORCED;
	demote_now(r, !others_live, !others_live, wish->kind != ROLE_K_FAULT, now, out);
}

static void start_wish(struct role *r, const struct role_ev *wish, mono_t now, struct role_acts *out)
{
	if (wish->target == r->is)
		return;
	if (wish->target == ROLE_MASTER)
		wish_master(r, wish, now, out);
	else
		wish_leave(r, wish, now, out);
}

/* Kept for when this transaction is over. */
static void wish_later(struct role *r, const struct role_ev *wish)
{
	if (r->next.set && r->next.ev.target == ROLE_INIT)
		return; /* a stop is the last wish */
	if (wish->target == r->target)
		r->next.set = false;
	else
		r->next = (struct role_wish){ .set = true, .ev = *wish };
}

/*
 * The link that this promotion is for is gone: what is still awaited on it will not come. Neither UP nor IKE follow: the
 * old master, if it waits, is better off taking its role back.
 */
static void cut_short(struct role *r, const struct role_ev *wish, mono_t now, struct role_acts *out)
{
	struct role_ev then = *wish;
	r->partial = true;
	r->rec.err = -100; /* ENETDOWN */
	mark(r, ROLE_PH_NET, now, ROLE_RES_DEGRADED);
	finish(r, ROLE_MASTER, now, out);
	if (r->next.set && r->next.ev.target == ROLE_INIT)
		then = r->next.ev;
	r->next.set = false;
	then.seen = epoch_max(then.seen, r->epoch);
	start_wish(r, &then, now, out);
}

static void on_wish(struct role *r, const struct role_ev *wish, mono_t now, struct role_acts *out)
{
	switch (r->state) {
	case ROLE_STABLE:
		start_wish(r, wish, now, out);
		return;
	case ROLE_PREPARING:
		if (r->target == ROLE_MASTER && wish->target == ROLE_MASTER) {
			/* The old master died while we waited for its GO: no reason to wait any longer. */
			if (r->kind == ROLE_K_PLANNED && wish->kind == ROLE_K_CRASH) {
				r->kind = ROLE_K_CRASH;
				r->rec.kind = ROLE_K_CRASH;
				prepare_crash(r, false, now, out);
			}
			return;
		}
		if (r->target == wish->target && wish->kind == r->kind)
			return;
		/* A role that is being taken back is without a voice: it has to speak again before it can be given away. */
		if (r->is == ROLE_MASTER && r->target == ROLE_MASTER &&
		    (wish->kind == ROLE_K_PLANNED || wish->kind == ROLE_K_STOP)) {
			wish_later(r, wish);
			return;
		}
		abandon(r, ROLE_R_NONE, now, out);
		start_wish(r, wish, now, out);
		return;
	case ROLE_COMMITTING:
		if (wish->kind == ROLE_K_FAULT) {
			cut_short(r, wish, now, out);
			return;
		}
		wish_later(r, wish);
		return;
	case ROLE_DEMOTING:
		wish_later(r, wish);
		return;
	}
}
/* A promotion failed although somebody else could serve. */
static void give_way(struct role *r, int err, mono_t now, struct role_acts *out)
{
	r->failed++;
	r->rec.err = err;
	r->rec.outcome = ROLE_RES_ERROR;
	mark(r, ROLE_PH_NET, now, ROLE_RES_ERROR);
	r->is = ROLE_MASTER;
	finish(r, ROLE_MASTER, now, out);
	if (r->next.set && r->next.ev.target != ROLE_INIT && r->next.ev.target != ROLE_FAULT)
		r->next.set = false;
	r->hold_until = MONO_NEVER;
	struct role_ev wish = { .type = ROLE_EV_WISH,
				.target = ROLE_BACKUP,
				.kind = ROLE_K_FAULT,
				.reason = ROLE_R_TRANSACTION,
				.detect = now,
				.peer_ready = true,
				.has_sync = r->has_sync,
				.sync_late = r->sync_late,
				.has_channel = r->has_channel,
				.seen = r->epoch };
	if (r->failed >= 2) {
		unsigned exp = r->failed - 2 < 6 ? r->failed - 2 : 6;
		unsigned hold_s = 1u << exp < HOLD_MAX_S ? 1u << exp : HOLD_MAX_S;
		wish.target = ROLE_FAULT;
		r->hold_until = mono_add(now, (int64_t)hold_s * NS_PER_SEC);
	}
	start_wish(r, &wish, now, out);
}

static void committed(struct role *r, enum role_net net, int err, mono_t now, struct role_acts *out)
{
	bool ok = net == ROLE_NET_EQUAL;
	if (!ok && r->peer_ready) {
		give_way(r, err, now, out);
		return;
	}
	r->partial = !ok;
	r->whole = ok;
	r->rec.err = ok ? 0 : err;
	mark(r, ROLE_PH_NET, now, ok ? ROLE_RES_OK : ROLE_RES_DEGRADED);
	if (ok)
		r->failed = 0;
	else
		r->retry_at = mono_add(now, RETRY_MIN_NS);
	emit(r, out, ROLE_ACT_INITIATE);
	mark(r, ROLE_PH_INITIATE, now, ROLE_RES_OK);
	if (r->kind == ROLE_K_PLANNED) {
		emit(r, out, ROLE_ACT_PEER_UP);
		mark(r, ROLE_PH_UP, now, ROLE_RES_OK);
	}
	finish(r, ROLE_MASTER, now, out);
	take_next(r, now, out);
}

static void retry_later(struct role *r, mono_t now)
{
	int64_t wait = RETRY_MIN_NS << (r->retries < 6 ? r->retries : 6);
	r->retries++;
	r->retry_at = mono_add(now, wait < RETRY_MAX_NS ? wait : RETRY_MAX_NS);
}

/*
 * A MASTER lost something that it had and cannot have back: a ready peer does better. Only what was once whole moves, so
 * that two routers with the same fault do not hand the role to each other for ever.
 */
static void lost_part(struct role *r, bool peer_ready, mono_t now, struct role_acts *out)
{
	r->partial = true;
	if (mono_is_never(r->retry_at))
		retry_later(r, now);
	if (!r->whole || !peer_ready)
		return;
	struct role_ev wish = { .type = ROLE_EV_WISH,
				.target = ROLE_BACKUP,
				.kind = ROLE_K_PLANNED,
				.reason = ROLE_R_TRANSACTION,
				.detect = now,
				.peer_ready = true,
				.has_sync = r->has_sync,
				.sync_late = r->sync_late,
				.has_channel = true, /* who else said that it is ready */
				.seen = r->epoch };
	start_wish(r, &wish, now, out);
}

static void on_net(struct role *r, const struct role_ev *ev, mono_t now, struct role_acts *out)
{
	r->peer_ready = ev->peer_ready;
	if (ev->net == ROLE_NET_PENDING)
		return;
	switch (r->state) {
	case ROLE_COMMITTING:
		if (ev->net == ROLE_NET_EQUAL)
			r->waiting &= ~(unsigned)WAIT_NET;
		if (ev->net == ROLE_NET_PARTIAL || !r->waiting)
			committed(r, ev->net, ev->err, now, out);
		return;
	case ROLE_DEMOTING:
		if (r->waiting & WAIT_NET_DOWN) {
			r->rec.err = ev->net == ROLE_NET_EQUAL ? r->rec.err : ev->err;
			demoted(r, ev->net == ROLE_NET_EQUAL ? ROLE_RES_OK : ROLE_RES_ERROR, now, out);
			take_next(r, now, out);
		}
		return;
	case ROLE_STABLE:
		if (r->is != ROLE_MASTER)
			return;
		if (ev->net == ROLE_NET_EQUAL) {
			r->partial = false;
			r->whole = true;
			r->failed = 0;
			r->retries = 0;
			r->retry_at = MONO_NEVER;
		} else {
			lost_part(r, ev->peer_ready, now, out);
		}
		return;
	case ROLE_PREPARING:
		return;
	}
}

/* An answer of a PREPARE step; with the last one the next stage begins. */
static void prepared_step(struct role *r, unsigned step, enum role_phase ph, const struct role_ev *ev, mono_t now,
			  struct role_acts *out)
{
	if (r->state != ROLE_PREPARING || !(r->waiting & step))
		return;
	r->waiting &= ~step;
	mark(r, ph, now, ev->degraded ? ROLE_RES_DEGRADED : ROLE_RES_OK);
	if (ev->storing)
		wait_store(r, now);
	if (r->waiting || r->target != ROLE_MASTER)
		return;
	if (r->kind == ROLE_K_PLANNED && step == WAIT_PURGE)
		say_prepared(r, now, out);
	else
		commit(r, now, out);
}

/* In time, or behind a role that could not wait for it: then the journal hears of it again. */
static void on_stored(struct role *r, const struct role_ev *ev, mono_t now, struct role_acts *out)
{
	prepared_step(r, WAIT_STORE, ROLE_PH_STORE, ev, now, out);
	if (!r->storing)
		return;
	r->storing = false;
	mark(r, ROLE_PH_STORE, now, ROLE_RES_DEGRADED);
	if (r->state == ROLE_STABLE && r->is == ROLE_MASTER)
		emit_journal(r, out);
}

static void on_peer(struct role *r, const struct role_ev *ev, mono_t now, struct role_acts *out)
{
	switch (ev->peer) {
	case ROLE_PEER_PREPARED:
		/* Newer than our last change, or it is an echo of an attempt that is over. */
		if (epoch_cmp(ev->epoch, r->epoch) <= 0 && !MUTANT(M_STALE_PREPARED_OR_GO))
			return;
		if (r->is != ROLE_MASTER)
			return;
		if (r->state == ROLE_PREPARING && r->waiting == WAIT_PREPARED) {
			demote_planned(r, ev->epoch, now, out);
		} else if (r->state == ROLE_STABLE) {
			struct role_ev wish = *ev;
			wish.target = ROLE_BACKUP;
			wish.kind = ROLE_K_PLANNED;
			wish.reason = ROLE_R_PREEMPTED;
			wish.detect = now;
			begin(r, &wish, false, now, out);
			demote_planned(r, ev->epoch, now, out);
		} else {
			return;
		}
		if (!(r->waiting & WAIT_FLUSH))
			say_go(r, 0, r->has_sync ? ROLE_RES_TIMEOUT : ROLE_RES_OK, now, out);
		return;
	case ROLE_PEER_GO:
		if (r->state != ROLE_PREPARING || !(r->waiting & WAIT_GO))
			return;
		if (epoch_cmp(ev->epoch, r->epoch) != 0 && !MUTANT(M_STALE_PREPARED_OR_GO))
			return;
		mark(r, ROLE_PH_GO, now, ROLE_RES_OK);
		if (r->has_sync && r->sync_late)
			emit(r, out, ROLE_ACT_FENCE);
		if (!r->has_sync || r->sync_late) {
			commit(r, now, out);
			return;
		}
		emit(r, out, ROLE_ACT_APPLY)->seq = ev->seq;
		r->waiting = WAIT_APPLY;
		r->deadline = mono_add(now, ROLE_APPLY_NS);
		return;
	case ROLE_PEER_UP:
		if (r->state != ROLE_DEMOTING || !(r->waiting & WAIT_UP) || epoch_cmp(ev->epoch, r->epoch) != 0)
			return;
		mark(r, ROLE_PH_UP, now, ROLE_RES_OK);
		addresses_off(r, now, out);
		return;
	}
}

static void say_farewell(struct role *r, struct role_acts *out)
{
	if (r->has_channel)
		emit(r, out, ROLE_ACT_PEER_LEAVING)->planned = true;
	emit(r, out, ROLE_ACT_FAREWELL);
}

/* No UP in time. Whoever has to leave in any case, or hears the new master's adverts, goes on; else the role stays. */
static void up_missing(struct role *r, mono_t now, struct role_acts *out)
{
	mark(r, ROLE_PH_UP, now, ROLE_RES_TIMEOUT);
	if (goes_on_alone(r) || r->rival_heard || (r->next.set && r->next.ev.target != ROLE_MASTER)) {
		/* Perhaps nobody serves: who hears this takes over at once, and who does already is not moved by it. */
		if (!r->rival_heard)
			say_farewell(r, out);
		addresses_off(r, now, out);
		return;
	}
	abandon(r, ROLE_R_PEER_ABORTED, now, out);
	r->next.set = false;
	/* Addresses and role were never lost, but authority was: it comes back under a new epoch. */
	struct role_ev wish = { .type = ROLE_EV_WISH,
				.target = ROLE_MASTER,
				.kind = ROLE_K_CRASH,
				.reason = ROLE_R_PEER_ABORTED,
				.detect = now,
				.has_sync = r->has_sync,
				.sync_late = r->sync_late,
				.has_channel = r->has_channel,
				.seen = r->epoch };
	wish_master(r, &wish, now, out);
}

/* The stage ran out of time: the step policy decides. */
static void on_deadline(struct role *r, mono_t now, struct role_acts *out)
{
	r->deadline = MONO_NEVER;
	switch (r->state) {
	case ROLE_STABLE:
		return;
	case ROLE_PREPARING:
		if (r->waiting & WAIT_PREPARED) {
			if (!goes_on_alone(r)) {
				abandon(r, ROLE_R_PEER_ABORTED, now, out);
				return;
			}
			demote_now(r, true, true, true, now, out);
			return;
		}
		if (r->waiting & WAIT_GO) {
			if (r->leaving_heard)
				prepare_crash(r, false, now, out);
			else
				abandon(r, ROLE_R_PEER_ABORTED, now, out);
			return;
		}
		if (r->waiting & WAIT_FENCE)
			mark(r, ROLE_PH_FENCE, now, ROLE_RES_TIMEOUT);
		if (r->waiting & WAIT_APPLY)
			mark(r, ROLE_PH_APPLY, now, ROLE_RES_TIMEOUT);
		if (r->waiting & WAIT_PURGE)
			mark(r, ROLE_PH_PURGE, now, ROLE_RES_TIMEOUT);
		if (r->waiting & (WAIT_FENCE | WAIT_APPLY) && r->stored) {
			r->waiting = 0;
			wait_store(r, now);
			if (r->waiting)
				return;
		}
		if (r->waiting & WAIT_STORE) {
			r->storing = true;
			mark(r, ROLE_PH_STORE, now, ROLE_RES_TIMEOUT);
		}
		if (r->kind == ROLE_K_PLANNED && r->waiting == WAIT_PURGE)
			say_prepared(r, now, out);
		else
			commit(r, now, out);
		return;
	case ROLE_COMMITTING:
		mark(r, ROLE_PH_NET, now, ROLE_RES_TIMEOUT);
		committed(r, r->waiting & WAIT_NET ? ROLE_NET_PARTIAL : ROLE_NET_EQUAL, -110 /* ETIMEDOUT */, now, out);
		return;
	case ROLE_DEMOTING:
		if (r->waiting & WAIT_FLUSH) {
			say_go(r, 0, ROLE_RES_TIMEOUT, now, out);
		} else if (r->waiting & WAIT_UP) {
			up_missing(r, now, out);
		} else {
			demoted(r, ROLE_RES_TIMEOUT, now, out);
			take_next(r, now, out);
		}
		return;
	}
}

static void on_tick(struct role *r, mono_t now, struct role_acts *out)
{
	if (mono_due(r->deadline, now)) {
		on_deadline(r, now, out);
		return;
	}
	if (mono_due(r->retry_at, now) && r->state == ROLE_STABLE && r->is == ROLE_MASTER) {
		retry_later(r, now);
		emit(r, out, ROLE_ACT_NET_UP);
	}
	if (mono_due(r->hold_until, now)) {
		r->hold_until = MONO_NEVER;
		if (r->state == ROLE_STABLE && r->is == ROLE_FAULT) {
			struct role_ev wish = { .type = ROLE_EV_WISH,
						.target = ROLE_BACKUP,
						.reason = ROLE_R_TRANSACTION,
						.detect = now,
						.seen = r->epoch };
			start_wish(r, &wish, now, out);
		}
	}
}

void role_step(struct role *r, const struct role_ev *ev, mono_t now, struct role_acts *out)
{
	out->n = 0;
	out->n_rec = 0;
	r->seen = epoch_max(r->seen, ev->seen);
	bool mine = epoch_cmp(ev->epoch, r->epoch) == 0; /* late answers of an old epoch are dropped */
	switch (ev->type) {
	case ROLE_EV_WISH:
		on_wish(r, ev, now, out);
		return;
	case ROLE_EV_FENCED:
		if (mine)
			prepared_step(r, WAIT_FENCE, ROLE_PH_FENCE, ev, now, out);
		return;
	case ROLE_EV_PURGED:
		if (mine)
			prepared_step(r, WAIT_PURGE, ROLE_PH_PURGE, ev, now, out);
		return;
	case ROLE_EV_APPLIED:
		if (mine)
			prepared_step(r, WAIT_APPLY, ROLE_PH_APPLY, ev, now, out);
		return;
	case ROLE_EV_STORED:
		if (mine)
			on_stored(r, ev, now, out);
		return;
	case ROLE_EV_AUTHORITY:
		return;
	case ROLE_EV_FLUSHED:
		if (mine && r->state == ROLE_DEMOTING && (r->waiting & WAIT_FLUSH))
			say_go(r, ev->seq, ROLE_RES_OK, now, out);
		return;
	case ROLE_EV_VIP_UP:
		if (mine && r->state == ROLE_COMMITTING && !r->rec.at[ROLE_PH_VIP].ns)
			mark(r, ROLE_PH_VIP, now, ROLE_RES_OK);
		return;
	case ROLE_EV_GARP:
		if (!mine || r->state != ROLE_COMMITTING)
			return;
		if (!r->rec.at[ROLE_PH_GARP].ns)
			mark(r, ROLE_PH_GARP, now, ROLE_RES_OK);
		r->waiting &= ~(unsigned)WAIT_GARP;
		if (!r->waiting)
			committed(r, ROLE_NET_EQUAL, 0, now, out);
		return;
	case ROLE_EV_NET:
		on_net(r, ev, now, out);
		return;
	case ROLE_EV_IKE_UP:
		if (mine && r->is == ROLE_MASTER && r->rec.at[ROLE_PH_INITIATE].ns && !r->rec.at[ROLE_PH_IKE_UP].ns) {
			mark(r, ROLE_PH_IKE_UP, now, ROLE_RES_OK);
			emit_journal(r, out);
		}
		return;
	case ROLE_EV_PEER:
		on_peer(r, ev, now, out);
		return;
	case ROLE_EV_RIVAL:
		r->rival_heard |= r->state == ROLE_DEMOTING && (r->waiting & WAIT_UP);
		return;
	case ROLE_EV_TICK:
		on_tick(r, now, out);
		return;
	}
}

mono_t role_deadline(const struct role *r)
{
	mono_t t = mono_min(r->deadline, r->hold_until);
	return r->state == ROLE_STABLE ? mono_min(t, r->retry_at) : t;
}
