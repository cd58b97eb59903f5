/*
 * Purpose: the role transaction of one failover group: the only place that moves a role. PURE.
 * Owns:    struct role; the phases of the running transaction's journal entry.
 * Thread:  CONTROL (called by node).
 * In:      struct role_ev (wishes, answers of the steps, the peer's messages, time).
 * Out:     struct role_acts: what the node has to do, in this order.
 * Errors:  a step that fails or is late is handled by the step policy (role_policy[]); the transaction says degraded.
 *
 * STABLE -> PREPARING -> COMMITTING -> STABLE is a promotion, STABLE -> DEMOTING -> STABLE a demotion. PREPARING aborts
 * at once, COMMITTING runs to its bounded end, DEMOTING always finishes. One transaction at a time, one "next wish"
 * slot.
 */
#ifndef KT_ROLE_H
#define KT_ROLE_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/epoch.h"
#include "daemon/base/mono.h"

/* Why a role changed. The first four carry RFC 6527's NewMasterReason words; the number travels in messages and
 * journals. */
#define ROLE_REASON_TABLE(X)                           \
	X(ROLE_R_NONE, 0, "none")                      \
	X(ROLE_R_PRIORITY, 1, "priority")              \
	X(ROLE_R_PREEMPTED, 2, "preempted")            \
	X(ROLE_R_NO_RESPONSE, 3, "masterNoResponse")   \
	X(ROLE_R_START, 4, "start")                    \
	X(ROLE_R_PRIORITY_ZERO, 5, "masterLeft")       \
	X(ROLE_R_PEER_LEAVING, 6, "peerLeaving")       \
	X(ROLE_R_PEER_NOT_MASTER, 7, "peerNotMaster")  \
	X(ROLE_R_PROCESS_DEATH, 8, "peerProcessDied")  \
	X(ROLE_R_OPERATOR, 9, "operator")              \
	X(ROLE_R_STOP, 10, "stop")                     \
	X(ROLE_R_MAINTENANCE, 11, "maintenance")       \
	X(ROLE_R_HIGHER, 12, "higherPriorityHeard")    \
	X(ROLE_R_LINK, 13, "linkDown")                 \
	X(ROLE_R_TRANSACTION, 14, "transactionFailed") \
	X(ROLE_R_STALL, 15, "stalled")                 \
	X(ROLE_R_SYNC_HANG, 16, "syncHang")            \
	X(ROLE_R_CROSSED, 17, "prioritiesCrossed")     \
	X(ROLE_R_NOT_GROUPED, 18, "peerDoesNotGroup")  \
	X(ROLE_R_CONFIG, 19, "configuration")          \
	X(ROLE_R_ADOPTED, 20, "adopted")               \
	X(ROLE_R_PEER_ABORTED, 21, "peerDidNotFollow") \
	X(ROLE_R_ADDRESS_LOST, 22, "addressLost")      \
	X(ROLE_R_RECOVERED, 23, "recovered")           \
	X(ROLE_R_TRACKED, 24, "trackedFault")

enum role_reason {
#define ROLE_REASON_ENUM(name, num, text) name = num,
	ROLE_REASON_TABLE(ROLE_REASON_ENUM)
#undef ROLE_REASON_ENUM
};
const char *role_reason_text(uint8_t reason);

/* How a role changes; decides the sequence. */
enum role_kind {
	ROLE_K_NONE = 0,
	ROLE_K_CRASH,   /* the old master is gone: fence and take */
	ROLE_K_PLANNED, /* both sides work together: PREPARED, GO, UP */
	ROLE_K_FORCED,  /* a higher master was heard: VIPs down first */
	ROLE_K_FAULT,   /* own failure: LEAVING, priority 0, VIPs down */
	ROLE_K_STOP,    /* the daemon ends */
};
const char *role_kind_text(uint8_t kind);

enum role_is { ROLE_INIT = 0, ROLE_BACKUP, ROLE_MASTER, ROLE_FAULT };
const char *role_is_text(uint8_t is);

enum role_state { ROLE_STABLE = 0, ROLE_PREPARING, ROLE_COMMITTING, ROLE_DEMOTING };

/* Phases of a transaction, in the journal with their instants. The numbers are on disk and on the wire: append only. */
#define ROLE_PHASE_TABLE(X)                                                                                  \
	X(ROLE_PH_DETECT, 0, "detect") /* the event that led here (last sign of the old master) */           \
	X(ROLE_PH_DECIDE, 1, "decide")                                                                       \
	X(ROLE_PH_FENCE, 2, "fence")                                                                         \
	X(ROLE_PH_PURGE, 3, "ipsec-purge")                                                                   \
	X(ROLE_PH_PREPARED, 4, "prepared") /* PREPARED sent (new) or heard (old) */                          \
	X(ROLE_PH_FLUSH, 5, "flush")                                                                         \
	X(ROLE_PH_GO, 6, "go")                                                                               \
	X(ROLE_PH_APPLY, 7, "apply")                                                                         \
	X(ROLE_PH_AUTHORITY, 8, "authority")                                                                 \
	X(ROLE_PH_ADVERT, 9, "advert") /* first advert, the point of no return */                            \
	X(ROLE_PH_VIP, 10, "vip-up")   /* kernel acknowledged the first chunk of addresses */                \
	X(ROLE_PH_GARP, 11, "garp")    /* first announcement sent */                                         \
	X(ROLE_PH_NET, 12, "network")  /* observed equals desired */                                         \
	X(ROLE_PH_INITIATE, 13, "ike-initiate")                                                              \
	X(ROLE_PH_IKE_UP, 14, "ike-up")                                                                      \
	X(ROLE_PH_UP, 15, "up") /* UP sent or heard */                                                       \
	X(ROLE_PH_VIP_DOWN, 16, "vip-down")                                                                  \
	X(ROLE_PH_DONE, 17, "done")                                                                          \
	X(ROLE_PH_ABORT, 18, "abort")                                                                        \
	X(ROLE_PH_STORE, 19, "store-commit")  /* copies of the store are in the kernel */                    \
	X(ROLE_PH_IMPORT, 20, "sa-import")    /* copies of the old master's inbound SAs are in the kernel */ \
	X(ROLE_PH_SWEEP, 21, "ipsec-sweep")   /* first sweep of kernel SAs answered */                       \
	X(ROLE_PH_IKE_AUTH, 22, "ike-auth")   /* first IKE SA established */                                 \
	X(ROLE_PH_PACKET, 23, "ipsec-packet") /* first packet seen to come in through a tunnel */            \
	X(ROLE_PH_CLOSE, 24, "ipsec-close")   /* the peers were told that their tunnels end */               \
	X(ROLE_PH_MADE, 25, "ipsec-made")     /* children on warm IKE SAs are up, ahead of the role */

enum role_phase {
#define ROLE_PHASE_ENUM(name, num, text) name = num,
	ROLE_PHASE_TABLE(ROLE_PHASE_ENUM)
#undef ROLE_PHASE_ENUM
	    ROLE_PH_N = 26
};
const char *role_phase_text(uint8_t phase);

enum role_result { ROLE_RES_OK = 0, ROLE_RES_DEGRADED, ROLE_RES_TIMEOUT, ROLE_RES_ERROR };

/* One transaction as it will stand in the journal; instants are monotonic, 0 where a phase did not happen. */
struct role_record {
	struct epoch epoch;
	uint16_t group;
	uint8_t kind, reason, from, to; /* role_kind, role_reason, role_is */
	uint8_t outcome;                /* enum role_result */
	int32_t err;                    /* first error, negative errno, 0 if none */
	mono_t at[ROLE_PH_N];
	uint8_t result[ROLE_PH_N]; /* enum role_result */
};

enum role_ev_type {
	ROLE_EV_WISH = 0,  /* target, kind, reason; detect = instant of the cause */
	ROLE_EV_FENCED,    /* epoch, degraded, storing */
	ROLE_EV_PURGED,    /* epoch */
	ROLE_EV_AUTHORITY, /* epoch: stored by SYNC */
	ROLE_EV_FLUSHED,   /* epoch, seq */
	ROLE_EV_APPLIED,   /* epoch, degraded, storing */
	ROLE_EV_STORED,    /* epoch, degraded: the store is committed */
	ROLE_EV_IMPORTED,  /* epoch, degraded: the SA copies are installed, or not all of them */
	ROLE_EV_VIP_UP,    /* epoch: first chunk acknowledged by the kernel */
	ROLE_EV_GARP,      /* epoch: first announcement sent */
	ROLE_EV_NET,       /* net, err: state of the desired set */
	ROLE_EV_CLOSED,    /* epoch: the peers of the tunnels were told, or had their time */
	ROLE_EV_MADE,      /* epoch: what could come up ahead of the role did */
	ROLE_EV_IKE_UP,    /* epoch: last initiated tunnel of the group is up */
	ROLE_EV_IKE_MARK,  /* epoch, phase: SWEEP, IKE_AUTH or PACKET; the first one counts */
	ROLE_EV_PEER,      /* peer: PEER_PREPARED, PEER_GO, PEER_UP of sync/peer_msg.h; epoch, seq */
	ROLE_EV_RIVAL,     /* an advert of another master was heard */
	ROLE_EV_TICK,
};

enum role_net { ROLE_NET_PENDING = 0, ROLE_NET_EQUAL, ROLE_NET_PARTIAL };
enum role_peer_msg { ROLE_PEER_PREPARED = 0, ROLE_PEER_GO, ROLE_PEER_UP };

struct role_ev {
	enum role_ev_type type;
	struct epoch epoch;
	/* WISH */
	enum role_is target;
	enum role_kind kind;
	enum role_reason reason;
	mono_t detect;
	bool peer_ready;   /* WISH, NET: a peer's heartbeat of the last second said ready */
	bool has_sync;     /* WISH: a SYNC thread answers; without it its steps are skipped */
	bool sync_late;    /* WISH: SYNC is silent; it is told, its steps count as timed out at once (degraded) */
	bool stored;       /* WISH: SYNC has copies that are not in the kernel yet */
	bool leftovers;    /* WISH: IPsec leftovers are known, so promotion purges first */
	bool copies;       /* WISH: copies of the master's inbound SAs are at hand */
	bool close;        /* WISH, PEER: tunnels are to be closed politely before the addresses go */
	bool warm;         /* WISH: tunnels can come up ahead of a planned takeover */
	bool has_channel;  /* WISH: the peer can be told */
	struct epoch seen; /* highest epoch seen anywhere */
	/* answers */
	bool degraded;
	bool storing; /* STORED follows */
	uint64_t seq;
	enum role_net net;
	int err;
	enum role_peer_msg peer;
	enum role_phase phase; /* IKE_MARK */
};

enum role_act_type {
	ROLE_ACT_EPOCH = 0, /* a new epoch is in force: remember, store without waiting */
	ROLE_ACT_FENCE,     /* to SYNC */
	ROLE_ACT_JOIN,      /* to SYNC */
	ROLE_ACT_APPLY,     /* to SYNC: seq */
	ROLE_ACT_FLUSH,     /* to SYNC */
	ROLE_ACT_AUTHORITY, /* to SYNC: mine = this group counts as ours */
	ROLE_ACT_SYNC_DEMOTING,
	ROLE_ACT_SYNC_STABLE,
	ROLE_ACT_PURGE,    /* IKE: drop silently, sweep */
	ROLE_ACT_IMPORT,   /* SA copies of this group into the kernel */
	ROLE_ACT_UNIMPORT, /* and out of it again */
	ROLE_ACT_CLOSE,    /* IKE: tell the peers, answered by CLOSED */
	ROLE_ACT_MAKE,     /* IKE: bring up what is warm, answered by MADE */
	ROLE_ACT_ADVERT,   /* every member: first advert, MASTER */
	ROLE_ACT_NET_UP,   /* desired set on */
	ROLE_ACT_NET_DOWN, /* desired set off */
	ROLE_ACT_YIELD,    /* every member leaves MASTER; zero = with a priority-0 advert; planned = UP follows */
	ROLE_ACT_FAULT,    /* every member to FAULT (hold_ns 0) or for a while */
	ROLE_ACT_INITIATE, /* IKE: start negotiation */
	ROLE_ACT_PEER_TAKE,
	ROLE_ACT_PEER_PREPARED,
	ROLE_ACT_PEER_GO, /* seq */
	ROLE_ACT_PEER_UP,
	ROLE_ACT_PEER_LEAVING, /* planned = orderly */
	ROLE_ACT_FAREWELL,     /* every member: priority 0, although it is silent already */
	ROLE_ACT_BEGIN,        /* a transaction starts: journal entry opened */
	ROLE_ACT_CHANGED,      /* the role is now `is`: log, hooks */
	ROLE_ACT_JOURNAL,      /* a finished record, out->rec[record]; comes again when IKE_UP arrives later */
};

struct role_act {
	enum role_act_type type;
	struct epoch epoch;
	uint64_t seq;
	bool mine, zero, planned;
	int64_t hold_ns;
	enum role_is is;
	unsigned record;
};

#define ROLE_ACTS_MAX    28
#define ROLE_RECORDS_MAX 4
struct role_acts {
	struct role_act a[ROLE_ACTS_MAX];
	unsigned n;
	struct role_record rec[ROLE_RECORDS_MAX]; /* copies: the next transaction may begin in the same step */
	unsigned n_rec;
};

struct role_wish {
	bool set;
	struct role_ev ev;
};

struct role {
	uint16_t group;
	uint32_t node;
	enum role_is is; /* the role of the last finished transaction */
	enum role_state state;
	enum role_is target; /* while not STABLE */
	enum role_kind kind;
	unsigned waiting; /* steps of the present stage not yet answered: bit set of ROLE_WAIT_* */
	mono_t deadline;  /* of the present stage */
	mono_t retry_at;  /* rest of the desired set, when not all of it could be made */
	unsigned retries;
	struct epoch epoch; /* of the running or last transaction */
	struct role_record rec;
	struct role_wish next;
	struct epoch seen; /* highest epoch that any event knew of */
	bool has_sync, has_channel, peer_ready;
	bool sync_late;              /* SYNC is silent: it is told everything, and nothing is waited for */
	bool stored;                 /* copies wait for this promotion */
	bool copies;                 /* SA copies wait for this promotion */
	bool imported;               /* they were asked to be installed, and nothing has taken them back yet */
	bool storing;                /* their commit took too long and goes on behind the role */
	bool net_up;                 /* desired set is on */
	bool zero, leaving, planned; /* DEMOTING, while CLOSED is awaited: how it goes on */
	uint64_t flush_seq;          /* the same: the last record that was sent */
	bool wants_close;            /* of the wish */
	bool partial;                /* MASTER with part of the desired set missing */
	bool whole;                  /* nothing was missing when this promotion ended, or at some time since then */
	unsigned failed;             /* promotions in a row that failed with a ready peer */
	mono_t hold_until;           /* FAULT(transaction) ends */
	bool leaving_heard;          /* the peer said LEAVING: a missing GO does not abort */
	bool rival_heard; /* while waiting for UP: the new master speaks, so it is past its point of no return */
};

void role_init(struct role *r, uint16_t group, uint32_t node);
/* One step; out is emptied first. */
void role_step(struct role *r, const struct role_ev *ev, mono_t now, struct role_acts *out);
/* When ROLE_EV_TICK is wanted next; MONO_NEVER if not at all. */
mono_t role_deadline(const struct role *r);

/* Step policy (design: "Step policy"): how long a step may take and what its failure means. */
#define ROLE_FENCE_NS  (20 * NS_PER_MS)
#define ROLE_PURGE_NS  (5 * NS_PER_MS)
#define ROLE_IMPORT_NS (5 * NS_PER_MS)
#define ROLE_MAKE_NS   (100 * NS_PER_MS) /* children on warm IKE SAs; the old master serves meanwhile */
#define ROLE_CLOSE_NOW (5 * NS_PER_MS)   /* goodbye to the peers of tunnels, if another node is ready */
#define ROLE_CLOSE_NS  (200 * NS_PER_MS) /* the same, if nobody is */
#define ROLE_STORE_NS  (50 * NS_PER_MS)  /* commit of a store, after the fence */
#define ROLE_APPLY_NS  (20 * NS_PER_MS)
#define ROLE_GO_NS     (200 * NS_PER_MS) /* waiting for GO */
#define ROLE_UP_NS     (200 * NS_PER_MS) /* waiting for UP */
#define ROLE_COMMIT_NS (1000 * NS_PER_MS)
#define ROLE_DEMOTE_NS (500 * NS_PER_MS)

#endif
