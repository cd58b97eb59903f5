/* The stages of a role change: what is begun in each, and how it ends. role.c has the table of stages. */
#include "daemon/role_int.h"

#include <string.h>
#include "daemon/base/mutant.h"
#include "daemon/base/require.h"

struct role_act *role_emit(struct role *r, struct role_acts *out, enum role_act_type type)
{
	require(out->n < ROLE_ACTS_MAX);
	struct role_act *a = &out->a[out->n++];
	*a = (struct role_act){ .type = type, .epoch = r->epoch };
	return a;
}

void role_mark(struct role *r, enum role_phase ph, mono_t now, enum role_result res)
{
	r->rec.at[ph] = now;
	r->rec.result[ph] = (uint8_t)res;
	if (res != ROLE_RES_OK && r->rec.outcome == ROLE_RES_OK)
		r->rec.outcome = ROLE_RES_DEGRADED;
}

void role_emit_journal(struct role *r, struct role_acts *out)
{
	require(out->n_rec < ROLE_RECORDS_MAX);
	out->rec[out->n_rec] = r->rec;
	role_emit(r, out, ROLE_ACT_JOURNAL)->record = out->n_rec++;
}

void role_begin(struct role *r, const struct role_ev *wish, bool new_epoch, mono_t now, struct role_acts *out)
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
	r->copies = wish->copies;
	r->storing = false;
	r->has_channel = wish->has_channel;
	r->peer_ready = wish->peer_ready;
	r->wants_close = wish->close;
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
	role_mark(r, ROLE_PH_DECIDE, now, ROLE_RES_OK);
	if (new_epoch)
		role_emit(r, out, ROLE_ACT_EPOCH);
	role_emit(r, out, ROLE_ACT_BEGIN)->is = r->target;
	if (wish->has_sync && wish->sync_late)
		role_mark(r, ROLE_PH_FENCE, now, ROLE_RES_TIMEOUT);
}

void role_finish(struct role *r, enum role_is is, mono_t now, struct role_acts *out)
{
	r->state = ROLE_STABLE;
	r->is = is;
	r->waiting = 0;
	r->deadline = MONO_NEVER;
	r->leaving_heard = false;
	role_mark(r, ROLE_PH_DONE, now, ROLE_RES_OK);
	if (r->has_sync)
		role_emit(r, out, ROLE_ACT_SYNC_STABLE);
	role_emit(r, out, ROLE_ACT_CHANGED)->is = is;
	role_emit_journal(r, out);
}

void role_take_next(struct role *r, mono_t now, struct role_acts *out)
{
	if (!r->next.set || r->state != ROLE_STABLE)
		return;
	r->next.set = false;
	struct role_ev wish = r->next.ev;
	wish.seen = epoch_max(wish.seen, r->epoch);
	role_start_wish(r, &wish, now, out);
}

void role_commit(struct role *r, mono_t now, struct role_acts *out)
{
	if (r->has_sync)
		role_emit(r, out, ROLE_ACT_AUTHORITY)->mine = true;
	role_mark(r, ROLE_PH_AUTHORITY, now, ROLE_RES_OK);
	r->state = ROLE_COMMITTING;
	r->waiting = WAIT_NET | WAIT_GARP;
	r->deadline = mono_add(now, ROLE_COMMIT_NS);
	r->net_up = true;
	role_emit(r, out, ROLE_ACT_ADVERT);
	role_mark(r, ROLE_PH_ADVERT, now, ROLE_RES_OK);
	role_emit(r, out, ROLE_ACT_NET_UP);
	if (MUTANT(M_IKE_FIRST))
		role_emit(r, out, ROLE_ACT_INITIATE);
}

void role_wait_store(struct role *r, mono_t now)
{
	if (MUTANT(M_VIP_BEFORE_STORE))
		return;
	r->waiting |= WAIT_STORE;
	r->deadline = mono_add(now, ROLE_STORE_NS);
}

/* Beside the purge: what it sweeps is not what is being installed. */
static void begin_import(struct role *r, mono_t now, struct role_acts *out)
{
	if (!r->copies || r->imported)
		return;
	r->imported = true;
	role_emit(r, out, ROLE_ACT_IMPORT);
	r->waiting |= WAIT_IMPORT;
	r->deadline = mono_max(r->deadline, mono_add(now, ROLE_IMPORT_NS));
}

void role_unimport(struct role *r, struct role_acts *out)
{
	if (r->imported)
		role_emit(r, out, ROLE_ACT_UNIMPORT);
	r->imported = false;
}

void role_prepare_crash(struct role *r, bool leftovers, mono_t now, struct role_acts *out)
{
	r->state = ROLE_PREPARING;
	r->waiting = 0;
	r->deadline = now;
	if (MUTANT(M_VIP_BEFORE_FENCE))
		role_emit(r, out, ROLE_ACT_NET_UP);
	if (r->has_sync)
		role_emit(r, out, ROLE_ACT_FENCE);
	if (r->has_sync && !r->sync_late) {
		r->waiting |= WAIT_FENCE;
		r->deadline = mono_add(now, ROLE_FENCE_NS);
	}
	if (leftovers) {
		role_emit(r, out, ROLE_ACT_PURGE);
		r->waiting |= WAIT_PURGE;
		r->deadline = mono_max(r->deadline, mono_add(now, ROLE_PURGE_NS));
	}
	begin_import(r, now, out);
	if (!r->waiting)
		role_commit(r, now, out);
}

void role_say_prepared(struct role *r, mono_t now, struct role_acts *out)
{
	role_emit(r, out, ROLE_ACT_PEER_PREPARED);
	role_mark(r, ROLE_PH_PREPARED, now, ROLE_RES_OK);
	r->waiting = WAIT_GO;
	r->deadline = mono_add(now, ROLE_GO_NS);
}

static void prepare_planned(struct role *r, bool leftovers, bool warm, mono_t now, struct role_acts *out)
{
	r->state = ROLE_PREPARING;
	r->waiting = 0;
	if (r->has_sync)
		role_emit(r, out, ROLE_ACT_JOIN);
	r->deadline = now;
	if (leftovers) {
		role_emit(r, out, ROLE_ACT_PURGE);
		r->waiting = WAIT_PURGE;
		r->deadline = mono_add(now, ROLE_PURGE_NS);
	} else if (warm) {
		r->waiting = WAIT_MADE;
		r->deadline = mono_add(now, ROLE_MAKE_NS);
		role_emit(r, out, ROLE_ACT_MAKE);
	}
	begin_import(r, now, out);
	if (!r->waiting)
		role_say_prepared(r, now, out);
}

void role_abandon(struct role *r, enum role_reason why, mono_t now, struct role_acts *out)
{
	role_mark(r, ROLE_PH_ABORT, now, ROLE_RES_ERROR);
	r->rec.to = r->rec.from;
	r->rec.outcome = ROLE_RES_ERROR;
	if (why != ROLE_R_NONE)
		r->rec.reason = (uint8_t)why;
	r->state = ROLE_STABLE;
	r->waiting = 0;
	r->deadline = MONO_NEVER;
	r->leaving_heard = false;
	if (r->is != ROLE_MASTER)
		role_unimport(r, out);
	if (r->has_sync)
		role_emit(r, out, ROLE_ACT_SYNC_STABLE);
	role_emit_journal(r, out);
}

void role_addresses_off(struct role *r, mono_t now, struct role_acts *out)
{
	role_emit(r, out, ROLE_ACT_NET_DOWN);
	r->net_up = false;
	r->partial = false;
	r->retry_at = MONO_NEVER;
	r->waiting = WAIT_NET_DOWN;
	r->deadline = mono_add(now, ROLE_DEMOTE_NS);
}

void role_demote_now(struct role *r, bool zero, bool leaving, bool planned, mono_t now, struct role_acts *out)
{
	r->state = ROLE_DEMOTING;
	if (leaving && r->has_channel)
		role_emit(r, out, ROLE_ACT_PEER_LEAVING)->planned = planned;
	role_emit(r, out, ROLE_ACT_YIELD)->zero = zero;
	role_addresses_off(r, now, out);
	if (r->has_sync) {
		role_emit(r, out, ROLE_ACT_SYNC_DEMOTING);
		role_emit(r, out, ROLE_ACT_AUTHORITY)->mine = false;
	}
	role_mark(r, ROLE_PH_AUTHORITY, now, ROLE_RES_OK);
}

void role_demote(struct role *r, bool zero, bool leaving, bool planned, bool close, mono_t now, struct role_acts *out)
{
	if (!close) {
		role_demote_now(r, zero, leaving, planned, now, out);
		return;
	}
	r->state = ROLE_DEMOTING;
	r->zero = zero;
	r->leaving = leaving;
	r->planned = planned;
	r->waiting = WAIT_CLOSE;
	r->deadline = mono_add(now, r->peer_ready ? ROLE_CLOSE_NOW : ROLE_CLOSE_NS);
	role_emit(r, out, ROLE_ACT_CLOSE);
}

void role_flushed(struct role *r, uint64_t seq, mono_t now, struct role_acts *out)
{
	r->waiting &= ~(unsigned)WAIT_FLUSH;
	r->flush_seq = seq;
	if (!r->waiting)
		role_say_go(r, seq, ROLE_RES_OK, now, out);
	else
		role_mark(r, ROLE_PH_FLUSH, now, ROLE_RES_OK);
}

void role_closed(struct role *r, mono_t now, struct role_acts *out)
{
	bool at_once = r->waiting & WAIT_CLOSE;
	role_mark(r, ROLE_PH_CLOSE, now, ROLE_RES_OK);
	r->waiting &= ~(unsigned)(WAIT_CLOSE | WAIT_CLOSE_GO);
	if (at_once)
		role_demote_now(r, r->zero, r->leaving, r->planned, now, out);
	else if (!r->waiting)
		role_say_go(r, r->flush_seq, r->has_sync && r->sync_late ? ROLE_RES_TIMEOUT : ROLE_RES_OK, now, out);
}

void role_demote_planned(struct role *r, struct epoch epoch, bool close, mono_t now, struct role_acts *out)
{
	r->epoch = epoch;
	r->rec.epoch = epoch;
	r->state = ROLE_DEMOTING;
	r->waiting = 0;
	role_mark(r, ROLE_PH_PREPARED, now, ROLE_RES_OK);
	role_emit(r, out, ROLE_ACT_EPOCH);
	if (r->has_sync)
		role_emit(r, out, ROLE_ACT_FLUSH);
	if (r->has_sync && !r->sync_late) {
		r->waiting = WAIT_FLUSH;
		r->deadline = mono_add(now, ROLE_FENCE_NS);
	}
	r->flush_seq = 0;
	if (!close)
		return;
	if (!r->waiting)
		r->deadline = mono_add(now, ROLE_CLOSE_NOW); /* the partner of a planned switch is ready */
	r->waiting |= WAIT_CLOSE_GO;
	role_emit(r, out, ROLE_ACT_CLOSE)->planned = true;
}

void role_say_go(struct role *r, uint64_t seq, enum role_result res, mono_t now, struct role_acts *out)
{
	role_mark(r, ROLE_PH_FLUSH, now, res);
	if (r->has_sync)
		role_emit(r, out, ROLE_ACT_AUTHORITY)->mine = false;
	role_mark(r, ROLE_PH_AUTHORITY, now, ROLE_RES_OK);
	role_emit(r, out, ROLE_ACT_YIELD)->planned = true;
	role_emit(r, out, ROLE_ACT_PEER_GO)->seq = seq;
	role_mark(r, ROLE_PH_GO, now, ROLE_RES_OK);
	r->waiting = WAIT_UP;
	r->deadline = mono_add(now, ROLE_UP_NS);
}

void role_demoted(struct role *r, enum role_result res, mono_t now, struct role_acts *out)
{
	role_mark(r, ROLE_PH_VIP_DOWN, now, res);
	role_unimport(r, out);
	/* The VIP is gone, so the IKE daemon cannot tell the remote side: the SAs go silently. */
	role_emit(r, out, ROLE_ACT_PURGE);
	role_mark(r, ROLE_PH_PURGE, now, ROLE_RES_OK);
	role_finish(r, r->target, now, out);
	if (r->target == ROLE_FAULT && !mono_is_never(r->hold_until))
		role_emit(r, out, ROLE_ACT_FAULT)->hold_ns = mono_sub(r->hold_until, now);
}

bool role_goes_on_alone(const struct role *r)
{
	return r->kind == ROLE_K_STOP || r->rec.reason == ROLE_R_MAINTENANCE || r->rec.reason == ROLE_R_SYNC_HANG;
}

void role_wish_master(struct role *r, const struct role_ev *wish, mono_t now, struct role_acts *out)
{
	role_begin(r, wish, true, now, out);
	r->whole = false;
	if (wish->kind == ROLE_K_PLANNED && wish->has_channel)
		prepare_planned(r, wish->leftovers, wish->warm, now, out);
	else
		role_prepare_crash(r, wish->leftovers, now, out);
}

static void wish_leave(struct role *r, const struct role_ev *wish, mono_t now, struct role_acts *out)
{
	if (r->is != ROLE_MASTER) { /* nothing to take away: only the name of the role changes */
		role_begin(r, wish, false, now, out);
		if (r->is == ROLE_INIT || r->net_up) {
			role_emit(r, out, ROLE_ACT_PURGE);
			role_mark(r, ROLE_PH_PURGE, now, ROLE_RES_OK);
		}
		role_finish(r, wish->target, now, out);
		return;
	}
	bool ask = (wish->kind == ROLE_K_PLANNED || wish->kind == ROLE_K_STOP) && wish->has_channel && wish->peer_ready;
	role_begin(r, wish, false, now, out);
	if (ask) {
		role_emit(r, out, ROLE_ACT_PEER_TAKE);
		r->state = ROLE_PREPARING;
		r->waiting = WAIT_PREPARED;
		r->deadline = mono_add(now, ROLE_GO_NS);
		return;
	}
	if (wish->kind == ROLE_K_PLANNED && !role_goes_on_alone(r)) {
		role_abandon(r, ROLE_R_PEER_ABORTED, now, out);
		return;
	}
	bool others_live = wish->kind == ROLE_K_FORCED;
	role_demote(r, !others_live, !others_live, wish->kind != ROLE_K_FAULT, wish->close && !others_live, now, out);
}

void role_start_wish(struct role *r, const struct role_ev *wish, mono_t now, struct role_acts *out)
{
	if (wish->target == r->is)
		return;
	if (wish->target == ROLE_MASTER)
		role_wish_master(r, wish, now, out);
	else
		wish_leave(r, wish, now, out);
}
