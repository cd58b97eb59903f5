/*
 * Purpose: named deliberate bugs. The simulation builds the cores with KT_MUTANTS and must catch each of them; in every
 *          other build MUTANT(x) is the constant false and leaves no code behind.
 * Owns:    the one switch, set by the simulation before a run.
 * Thread:  the simulation's only thread.
 * In/Out:  MUTANT(M_NAME) is true while that bug is switched on.
 * Errors:  none.
 */
#ifndef KT_BASE_MUTANT_H
#define KT_BASE_MUTANT_H

#define MUTANT_TABLE(X)                                                 \
	X(M_NONE, "none")                                               \
	X(M_VIP_BEFORE_FENCE, "VIP before fence")                       \
	X(M_EPOCH_REUSED, "epoch reused")                               \
	X(M_DELETE_WITHOUT_AUTHORITY, "delete without authority")       \
	X(M_TIMER_TOUCHED_BY_DROP, "timer touched by a dropped packet") \
	X(M_OLD_EPOCH_APPLIED, "old-epoch record applied as update")    \
	X(M_UNDO_FORGETS_ADDRESS, "undo forgets an address")            \
	X(M_EXPIRY_SENT_AS_DELETE, "expiry sent as delete")             \
	X(M_GATE_IGNORED, "gate ignored")                               \
	X(M_STALE_PREPARED_OR_GO, "stale PREPARED or GO accepted")      \
	X(M_GUARD_OFF, "stall guard off")                               \
	X(M_PASSWORD_IGNORED, "wrong password accepted")                \
	X(M_ARBITER_IGNORED, "arbitration ignored")                     \
	X(M_EVERY_NODE_SUCCEEDS, "every node succeeds")                 \
	X(M_PREEMPT_DELAY_IGNORED, "preempt delay ignored")             \
	X(M_STARTUP_DELAY_IGNORED, "startup delay ignored")             \
	X(M_OWNER_STUBBORN, "neither of two owners gives way")          \
	X(M_ECHO_MOVES_TIMER, "version 2 echo moves a timer")           \
	X(M_TRACK_IGNORED, "tracked fault ignored")                     \
	X(M_HIGH_WATER_IGNORED, "high-water mark ignored")              \
	X(M_STORE_ORDER, "store committed in the wrong order")          \
	X(M_VIP_BEFORE_STORE, "VIP before the store")                   \
	X(M_LOCAL_TOLD, "local sessions told")                          \
	X(M_IGNORE_UNHEARD, "ignore rule not applied")                  \
	X(M_PROTOCOL_UNHEARD, "excluded protocol told")                 \
	X(M_NODE_ADDRESS_TOLD, "translation to an own address told")    \
	X(M_DIGEST_WITHOUT_NAT, "digest leaves the NAT bits out")       \
	X(M_DIGEST_WITHOUT_REFUSED, "digest leaves refused copies out") \
	X(M_DIGEST_OF_OLD_OWNER, "digest not moved with a flow")        \
	X(M_BLIND_RENEWAL, "lease renewed over evidence")               \
	X(M_NO_RENEWAL, "lease not renewed")                            \
	X(M_CLAIM_UNCOUNTED, "claim without a higher count")            \
	X(M_CURRENT_UNTOLD, "refusal not answered with CURRENT")        \
	X(M_FLOOR_UNHEARD, "floor of a peer not heard")                 \
	X(M_EXPIRED_UNASKED, "EXPIRED obeyed without a look")           \
	X(M_SWEEP_BLIND, "sweep does not miss anything")                \
	X(M_REPLY_WITHOUT_NAT_BITS, "copy without NAT bits left so")    \
	X(M_IKE_KEPT, "SAs kept at a demotion")                         \
	X(M_IKE_FIRST, "IKE initiate before the address")               \
	X(M_IKE_ONE_TRY, "failed negotiation not repeated")             \
	X(M_IKE_BLIND, "dead peer not noticed")                         \
	X(M_IKE_WARM_LOST, "warm IKE SA not looked for again")          \
	X(M_IKE_MADE_KEPT, "child of a failed switch kept")

enum mutant {
#define MUTANT_ENUM(name, text) name,
	MUTANT_TABLE(MUTANT_ENUM)
#undef MUTANT_ENUM
	    M_N
};

#ifdef KT_MUTANTS
extern enum mutant mutant_on;
#define MUTANT(m) (mutant_on == (m))
#else
#define MUTANT(m) 0
#endif

#endif
