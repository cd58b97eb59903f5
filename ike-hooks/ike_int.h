/*
 * Purpose: what the parts of the tunnel machine share; nobody else includes it.
 * Owns:    nothing.
 * Thread:  CONTROL (pure).
 * In/Out:  see ike_fsm.h.
 * Errors:  see ike_fsm.h.
 */
#ifndef KT_IKE_INT_H
#define KT_IKE_INT_H

#include "ike-hooks/ike_fsm.h"

/* ike_fsm.c */
struct ike_act *ike_emit(struct ike_tunnel *t, struct ike_acts *o, enum ike_act_kind kind, enum ike_reason why);
/* A line of log without a change of state. */
void ike_note(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why);
void ike_hook(struct ike_tunnel *t, struct ike_acts *o, enum hook_event ev, enum ike_reason why);
void ike_change(struct ike_tunnel *t, struct ike_acts *o, enum ike_state to, enum ike_reason why, mono_t now);
/* Sends a request about the connection in use; its answer is matched by its number. */
struct ike_act *ike_request(struct ike_tunnel *t, struct ike_acts *o, enum ike_act_kind kind, enum ike_req req,
			    mono_t now);
/* Active, nothing left: waits for its turn. */
void ike_want_initiate(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why, mono_t now);
/* IKE daemon first, sweep second. whole: the warm connection goes with its IKE SA, not only with its child. */
void ike_begin_purge(struct ike_tunnel *t, struct ike_acts *o, enum ike_sweep_scope scope, bool whole,
		     enum ike_reason why, mono_t now);
/* Asks what exists, after delay_ns. */
void ike_check_after(struct ike_tunnel *t, struct ike_acts *o, int64_t delay_ns, enum ike_reason why, mono_t now);
/* The tunnel is no longer up; what follows is the caller's. */
void ike_went_down(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why);
/* Purge and initiate, unless the last reset is younger than gap_ns: then false, and nothing happened. */
bool ike_reset(struct ike_tunnel *t, struct ike_acts *o, int64_t gap_ns, enum ike_reason why, mono_t now);
/* Something came up although the role wants nothing. */
void ike_unwanted(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why, mono_t now);
/* First attempt IKE_SOFT_NS, doubled by each failure, up to IKE_SOFT_MAX_NS. */
int64_t ike_soft_ns(uint32_t fails);
/* Pause after so many failed attempts in a row. */
int64_t ike_backoff_ns(uint32_t fails);

/* QUEUED, and it is its turn. */
void ike_send_initiate(struct ike_tunnel *t, struct ike_acts *o, mono_t now);
/* The child is lost, for a reason that nobody here gave: perhaps it is coming back by itself. */
void ike_child_lost(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why, mono_t now);
/* t->on_warm says on which connection. */
void ike_became_up(struct ike_tunnel *t, struct ike_acts *o, uint32_t sa_id, enum ike_reason why, mono_t now);
void ike_attempt_failed(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why, mono_t now);
/* The steps of a purge: a terminate was answered (PURGED) or not; the kernel's turn; the end. */
void ike_purge_answered(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why, mono_t now);
void ike_purge_kernel(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why, mono_t now);
void ike_purge_done(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why, mono_t now);

/* ike_role.c: what the role and the operator want */
void ike_ev_purge(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *o);
void ike_ev_initiate(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *o);
void ike_ev_close(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *o);
void ike_ev_make(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *o);
void ike_ev_reset(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *o);
void ike_ev_moved(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *o);
/* Answers that the role waits for, if it still does. */
void ike_say_closed(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why);
void ike_say_made(struct ike_tunnel *t, struct ike_acts *o, enum ike_reason why);

/* ike_dpd.c */
void ike_dpd_clear(struct ike_tunnel *t);
/* How often the lists are read while the tunnel is up. */
int64_t ike_dpd_period(const struct ike_tunnel *t);
void ike_dpd_sample(struct ike_tunnel *t, struct ike_acts *o, const struct ike_sample *s, mono_t now);
/* New keys: the peer answered, or asked. */
void ike_dpd_rekeyed(struct ike_tunnel *t, struct ike_acts *o, uint32_t sa_id, mono_t now);
/* The rekey had its time. */
void ike_dpd_late(struct ike_tunnel *t, struct ike_acts *o, mono_t now);
/* The SA went down while the peer was in doubt. True: it was reset for that. */
bool ike_dpd_down(struct ike_tunnel *t, struct ike_acts *o, mono_t now);
/* Two masters met: does the peer still send on this SA? */
void ike_verify(struct ike_tunnel *t, struct ike_acts *o, mono_t now);
void ike_verify_sample(struct ike_tunnel *t, struct ike_acts *o, const struct ike_sample *s, mono_t now);
void ike_verify_late(struct ike_tunnel *t, struct ike_acts *o, mono_t now);

/* ike_stale.c */
void ike_stale(struct ike_tunnel *t, struct ike_acts *o, const struct ike_ev *ev, mono_t now);
/* True: the tunnel was reset. */
bool ike_stale_sample(struct ike_tunnel *t, struct ike_acts *o, const struct ike_sample *s, mono_t now);

/* ike_warm.c */
/* Passive, purged, and the IKE daemon answers: the warm IKE SA is wanted, if one is configured. */
void ike_keep_start(struct ike_tunnel *t, struct ike_acts *o, mono_t now);
void ike_keep_stop(struct ike_tunnel *t);
void ike_keep_grant(struct ike_tunnel *t, struct ike_acts *o, mono_t now);
void ike_keep_reply(struct ike_tunnel *t, struct ike_acts *o, const struct ike_ev *ev, mono_t now);
void ike_keep_list(struct ike_tunnel *t, struct ike_acts *o, const struct ike_sample *s, mono_t now);
void ike_keep_updown(struct ike_tunnel *t, struct ike_acts *o, bool up, mono_t now);
/* True: the timer was one of its own. */
bool ike_keep_tick(struct ike_tunnel *t, struct ike_acts *o, mono_t now);
mono_t ike_keep_deadline(const struct ike_tunnel *t);

#endif
