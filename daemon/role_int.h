/*
 * Purpose: the inside of the role transaction: what a stage does (role_stage.c) and what ends it (role.c).
 * Owns:    nothing.
 * Thread:  CONTROL (pure).
 * In:      struct role, time.   Out: struct role_acts.
 * Errors:  none; the step policy is in role.c.
 */
#ifndef KT_DAEMON_ROLE_INT_H
#define KT_DAEMON_ROLE_INT_H

#include "daemon/role.h"

/* Which answers the present stage lacks (role->waiting). */
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
	WAIT_IMPORT = 1 << 11,
	WAIT_CLOSE = 1 << 12,    /* then the addresses go */
	WAIT_CLOSE_GO = 1 << 13, /* then GO is said */
	WAIT_MADE = 1 << 14,
};

/* The next action, with this change's epoch and group. */
struct role_act *role_emit(struct role *r, struct role_acts *out, enum role_act_type type);
/* A phase of the journal is over, at this instant. */
void role_mark(struct role *r, enum role_phase ph, mono_t now, enum role_result res);
void role_emit_journal(struct role *r, struct role_acts *out);
/* Opens a transaction. Promotions and planned demotions of this node's own making draw a new epoch. */
void role_begin(struct role *r, const struct role_ev *wish, bool new_epoch, mono_t now, struct role_acts *out);
/* The transaction is over: STABLE in this role. The wish that waited begins. */
void role_finish(struct role *r, enum role_is is, mono_t now, struct role_acts *out);
/* Begins the wish that waited, if one did. */
void role_take_next(struct role *r, mono_t now, struct role_acts *out);
/* Point of no return: from here on the others hear us as master. */
void role_commit(struct role *r, mono_t now, struct role_acts *out);
/* What the store holds has its own time, after the fence. */
void role_wait_store(struct role *r, mono_t now);
/* What a planned promotion does before it says PREPARED. */
#define WAIT_INVISIBLE (WAIT_PURGE | WAIT_IMPORT | WAIT_MADE)
/* SA copies out of the kernel again: this node does not serve their address. */
void role_unimport(struct role *r, struct role_acts *out);
/* Everything that may run in parallel before the role is taken from nobody. */
void role_prepare_crash(struct role *r, bool leftovers, mono_t now, struct role_acts *out);
/* New side of a planned switch: from here GO is awaited. */
void role_say_prepared(struct role *r, mono_t now, struct role_acts *out);
/* Back to the role it had; nothing was visible outside. */
void role_abandon(struct role *r, enum role_reason why, mono_t now, struct role_acts *out);
/* Addresses, routes and rules go; what was given back is awaited. */
void role_addresses_off(struct role *r, mono_t now, struct role_acts *out);
/* The peers of the tunnels are told first, if that is wanted; then role_demote_now. */
void role_demote(struct role *r, bool zero, bool leaving, bool planned, bool close, mono_t now, struct role_acts *out);
/* VIPs first, then everything else: nobody must meet two owners. */
void role_demote_now(struct role *r, bool zero, bool leaving, bool planned, mono_t now, struct role_acts *out);
/* Old side of a planned switch: what is dirty goes to the peer before authority does. */
void role_demote_planned(struct role *r, struct epoch epoch, bool close, mono_t now, struct role_acts *out);
/* FLUSHED and CLOSED: with the last of them GO follows, or the addresses go. */
void role_flushed(struct role *r, uint64_t seq, mono_t now, struct role_acts *out);
void role_closed(struct role *r, mono_t now, struct role_acts *out);
/* Old side of a planned switch: authority is given up, and the peer may begin. seq: the last record sent. */
void role_say_go(struct role *r, uint64_t seq, enum role_result res, mono_t now, struct role_acts *out);
/* Everything is off: purge, and the end. */
void role_demoted(struct role *r, enum role_result res, mono_t now, struct role_acts *out);
/* Stop and maintenance go on without the peer; force and preempt keep the role. */
bool role_goes_on_alone(const struct role *r);
/* Stages by kind of wish, from STABLE. */
void role_wish_master(struct role *r, const struct role_ev *wish, mono_t now, struct role_acts *out);
/* Nothing if the role is held already. */
void role_start_wish(struct role *r, const struct role_ev *wish, mono_t now, struct role_acts *out);

#endif
