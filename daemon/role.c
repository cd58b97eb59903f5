/*
 * The role transaction: which event ends which stage. Stages of a promotion:
 *
 *   crash    PREPARING: fence, purge, import (parallel), store; authority
 *            COMMITTING: advert, addresses, announcements; STABLE
 *   planned  PREPARING: join, purge or warm tunnels up, import; PREPARED .. GO; apply (and fence); authority
 *            COMMITTING: as above, then UP; STABLE
 *
 * and of a demotion:
 *
 *   planned  (PREPARING: TAKE ..) PREPARED
 *            DEMOTING: flush, tunnels closed; authority given up, silence; GO .. UP; addresses off; purge; STABLE
 *   fault    DEMOTING: tunnels closed; addresses off, authority given up, silence; purge; STABLE
 *   forced   the same without the first: somebody else serves already
 *
 * role->waiting says which answers the present stage lacks; role->deadline ends the stage without them (step policy).
 */
#include "daemon/role_int.h"

#include <string.h>
#include "daemon/base/mutant.h"
#include "daemon/base/require.h"

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
	role_mark(r, ROLE_PH_NET, now, ROLE_RES_DEGRADED);
	role_finish(r, ROLE_MASTER, now, out);
	if (r->next.set && r->next.ev.target == ROLE_INIT)
		then = r->next.ev;
	r->next.set = false;
	then.seen = epoch_max(then.seen, r->epoch);
	role_start_wish(r, &then, now, out);
}

static void on_wish(struct role *r, const struct role_ev *wish, mono_t now, struct role_acts *out)
{
	switch (r->state) {
	case ROLE_STABLE:
		role_start_wish(r, wish, now, out);
		return;
	case ROLE_PREPARING:
		if (r->target == ROLE_MASTER && wish->target == ROLE_MASTER) {
			/* The old master died while we waited for its GO: no reason to wait any longer. */
			if (r->kind == ROLE_K_PLANNED && wish->kind == ROLE_K_CRASH) {
				r->kind = ROLE_K_CRASH;
				r->rec.kind = ROLE_K_CRASH;
				role_prepare_crash(r, false, now, out);
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
		role_abandon(r, ROLE_R_NONE, now, out);
		role_start_wish(r, wish, now, out);
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
	role_mark(r, ROLE_PH_NET, now, ROLE_RES_ERROR);
	r->is = ROLE_MASTER;
	role_finish(r, ROLE_MASTER, now, out);
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
	role_start_wish(r, &wish, now, out);
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
	role_mark(r, ROLE_PH_NET, now, ok ? ROLE_RES_OK : ROLE_RES_DEGRADED);
	if (ok)
		r->failed = 0;
	else
		r->retry_at = mono_add(now, RETRY_MIN_NS);
	role_emit(r, out, ROLE_ACT_INITIATE);
	role_mark(r, ROLE_PH_INITIATE, now, ROLE_RES_OK);
	if (r->kind == ROLE_K_PLANNED) {
		role_emit(r, out, ROLE_ACT_PEER_UP);
		role_mark(r, ROLE_PH_UP, now, ROLE_RES_OK);
	}
	role_finish(r, ROLE_MASTER, now, out);
	role_take_next(r, now, out);
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
	role_start_wish(r, &wish, now, out);
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
			role_demoted(r, ev->net == ROLE_NET_EQUAL ? ROLE_RES_OK : ROLE_RES_ERROR, now, out);
			role_take_next(r, now, out);
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
	role_mark(r, ph, now, ev->degraded ? ROLE_RES_DEGRADED : ROLE_RES_OK);
	if (ev->storing)
		role_wait_store(r, now);
	else if (step & (WAIT_FENCE | WAIT_APPLY) && r->stored) /* written within this step */
		role_mark(r, ROLE_PH_STORE, now, ROLE_RES_OK);
	if (r->waiting || r->target != ROLE_MASTER)
		return;
	if (r->kind == ROLE_K_PLANNED && step & WAIT_INVISIBLE)
		role_say_prepared(r, now, out);
	else
		role_commit(r, now, out);
}

/* In time, or behind a role that could not wait for it: then the journal hears of it again. */
static void on_stored(struct role *r, const struct role_ev *ev, mono_t now, struct role_acts *out)
{
	prepared_step(r, WAIT_STORE, ROLE_PH_STORE, ev, now, out);
	if (!r->storing)
		return;
	r->storing = false;
	role_mark(r, ROLE_PH_STORE, now, ROLE_RES_DEGRADED);
	if (r->state == ROLE_STABLE && r->is == ROLE_MASTER)
		role_emit_journal(r, out);
}

/* Tunnels follow the role at their own pace: nothing waits for them, the timeline shows when they got where. */
static void on_ike_mark(struct role *r, enum role_phase ph, mono_t now, struct role_acts *out)
{
	if (r->rec.at[ph].ns || (ph != ROLE_PH_SWEEP && !r->rec.at[ROLE_PH_INITIATE].ns))
		return;
	role_mark(r, ph, now, ROLE_RES_OK);
	if (r->state == ROLE_STABLE)
		role_emit_journal(r, out);
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
			role_demote_planned(r, ev->epoch, ev->close, now, out);
		} else if (r->state == ROLE_STABLE) {
			struct role_ev wish = *ev;
			wish.target = ROLE_BACKUP;
			wish.kind = ROLE_K_PLANNED;
			wish.reason = ROLE_R_PREEMPTED;
			wish.detect = now;
			role_begin(r, &wish, false, now, out);
			role_demote_planned(r, ev->epoch, ev->close, now, out);
		} else {
			return;
		}
		if (!r->waiting)
			role_say_go(r, 0, r->has_sync ? ROLE_RES_TIMEOUT : ROLE_RES_OK, now, out);
		return;
	case ROLE_PEER_GO:
		if (r->state != ROLE_PREPARING || !(r->waiting & WAIT_GO))
			return;
		if (epoch_cmp(ev->epoch, r->epoch) != 0 && !MUTANT(M_STALE_PREPARED_OR_GO))
			return;
		role_mark(r, ROLE_PH_GO, now, ROLE_RES_OK);
		if (r->has_sync && r->sync_late)
			role_emit(r, out, ROLE_ACT_FENCE);
		if (!r->has_sync || r->sync_late) {
			role_commit(r, now, out);
			return;
		}
		role_emit(r, out, ROLE_ACT_APPLY)->seq = ev->seq;
		r->waiting = WAIT_APPLY;
		r->deadline = mono_add(now, ROLE_APPLY_NS);
		return;
	case ROLE_PEER_UP:
		if (r->state != ROLE_DEMOTING || !(r->waiting & WAIT_UP) || epoch_cmp(ev->epoch, r->epoch) != 0)
			return;
		role_mark(r, ROLE_PH_UP, now, ROLE_RES_OK);
		role_addresses_off(r, now, out);
		return;
	}
}

static void say_farewell(struct role *r, struct role_acts *out)
{
	if (r->has_channel)
		role_emit(r, out, ROLE_ACT_PEER_LEAVING)->planned = true;
	role_emit(r, out, ROLE_ACT_FAREWELL);
}

/* No UP in time. Whoever has to leave in any case, or hears the new master's adverts, goes on; else the role stays. */
static void up_missing(struct role *r, mono_t now, struct role_acts *out)
{
	role_mark(r, ROLE_PH_UP, now, ROLE_RES_TIMEOUT);
	if (role_goes_on_alone(r) || r->rival_heard || (r->next.set && r->next.ev.target != ROLE_MASTER)) {
		/* Perhaps nobody serves: who hears this takes over at once, and who does already is not moved by it. */
		if (!r->rival_heard)
			say_farewell(r, out);
		role_addresses_off(r, now, out);
		return;
	}
	role_abandon(r, ROLE_R_PEER_ABORTED, now, out);
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
	role_wish_master(r, &wish, now, out);
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
			if (!role_goes_on_alone(r)) {
				role_abandon(r, ROLE_R_PEER_ABORTED, now, out);
				return;
			}
			role_demote(r, true, true, true, r->wants_close, now, out);
			return;
		}
		if (r->waiting & WAIT_GO) {
			if (r->leaving_heard)
				role_prepare_crash(r, false, now, out);
			else
				role_abandon(r, ROLE_R_PEER_ABORTED, now, out);
			return;
		}
		if (r->waiting & WAIT_FENCE)
			role_mark(r, ROLE_PH_FENCE, now, ROLE_RES_TIMEOUT);
		if (r->waiting & WAIT_APPLY)
			role_mark(r, ROLE_PH_APPLY, now, ROLE_RES_TIMEOUT);
		if (r->waiting & WAIT_PURGE)
			role_mark(r, ROLE_PH_PURGE, now, ROLE_RES_TIMEOUT);
		if (r->waiting & WAIT_IMPORT)
			role_mark(r, ROLE_PH_IMPORT, now, ROLE_RES_TIMEOUT);
		if (r->waiting & (WAIT_FENCE | WAIT_APPLY) && r->stored) {
			r->waiting = 0;
			role_wait_store(r, now);
			if (r->waiting)
				return;
		}
		if (r->waiting & WAIT_STORE) {
			r->storing = true;
			role_mark(r, ROLE_PH_STORE, now, ROLE_RES_TIMEOUT);
		}
		if (r->waiting & WAIT_MADE)
			role_mark(r, ROLE_PH_MADE, now, ROLE_RES_TIMEOUT);
		if (r->kind == ROLE_K_PLANNED && r->waiting && !(r->waiting & ~(unsigned)WAIT_INVISIBLE))
			role_say_prepared(r, now, out);
		else
			role_commit(r, now, out);
		return;
	case ROLE_COMMITTING:
		role_mark(r, ROLE_PH_NET, now, ROLE_RES_TIMEOUT);
		committed(r, r->waiting & WAIT_NET ? ROLE_NET_PARTIAL : ROLE_NET_EQUAL, -110 /* ETIMEDOUT */, now, out);
		return;
	case ROLE_DEMOTING:
		if (r->waiting & (WAIT_CLOSE | WAIT_CLOSE_GO))
			role_mark(r, ROLE_PH_CLOSE, now, ROLE_RES_TIMEOUT);
		if (r->waiting & WAIT_CLOSE) {
			role_demote_now(r, r->zero, r->leaving, r->planned, now, out);
		} else if (r->waiting & (WAIT_FLUSH | WAIT_CLOSE_GO)) {
			bool late = r->waiting & WAIT_FLUSH || (r->has_sync && r->sync_late);
			role_say_go(r, r->flush_seq, late ? ROLE_RES_TIMEOUT : ROLE_RES_OK, now, out);
		} else if (r->waiting & WAIT_UP) {
			up_missing(r, now, out);
		} else {
			role_demoted(r, ROLE_RES_TIMEOUT, now, out);
			role_take_next(r, now, out);
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
		role_emit(r, out, ROLE_ACT_NET_UP);
	}
	if (mono_due(r->hold_until, now)) {
		r->hold_until = MONO_NEVER;
		if (r->state == ROLE_STABLE && r->is == ROLE_FAULT) {
			struct role_ev wish = { .type = ROLE_EV_WISH,
						.target = ROLE_BACKUP,
						.reason = ROLE_R_TRANSACTION,
						.detect = now,
						.seen = r->epoch };
			role_start_wish(r, &wish, now, out);
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
	case ROLE_EV_IMPORTED:
		if (mine)
			prepared_step(r, WAIT_IMPORT, ROLE_PH_IMPORT, ev, now, out);
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
			role_flushed(r, ev->seq, now, out);
		return;
	case ROLE_EV_CLOSED:
		if (mine && r->state == ROLE_DEMOTING && (r->waiting & (WAIT_CLOSE | WAIT_CLOSE_GO)))
			role_closed(r, now, out);
		return;
	case ROLE_EV_MADE:
		if (mine)
			prepared_step(r, WAIT_MADE, ROLE_PH_MADE, ev, now, out);
		return;
	case ROLE_EV_VIP_UP:
		if (mine && r->state == ROLE_COMMITTING && !r->rec.at[ROLE_PH_VIP].ns)
			role_mark(r, ROLE_PH_VIP, now, ROLE_RES_OK);
		return;
	case ROLE_EV_GARP:
		if (!mine || r->state != ROLE_COMMITTING)
			return;
		if (!r->rec.at[ROLE_PH_GARP].ns)
			role_mark(r, ROLE_PH_GARP, now, ROLE_RES_OK);
		r->waiting &= ~(unsigned)WAIT_GARP;
		if (!r->waiting)
			committed(r, ROLE_NET_EQUAL, 0, now, out);
		return;
	case ROLE_EV_NET:
		on_net(r, ev, now, out);
		return;
	case ROLE_EV_IKE_UP:
		if (mine && r->is == ROLE_MASTER && r->rec.at[ROLE_PH_INITIATE].ns && !r->rec.at[ROLE_PH_IKE_UP].ns) {
			role_mark(r, ROLE_PH_IKE_UP, now, ROLE_RES_OK);
			role_emit_journal(r, out);
		}
		return;
	case ROLE_EV_IKE_MARK:
		if (mine)
			on_ike_mark(r, ev->phase, now, out);
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
