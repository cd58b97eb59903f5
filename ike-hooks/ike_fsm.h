/*
 * Purpose: one IPsec tunnel of a virtual address: what the IKE daemon has to be asked, and when. Desired state (passive
 *          or active, set by the role) and observed state (replies, events, lists) are kept; the machine closes the gap.
 *          Its parts: ike_fsm.c, ike_dpd.c (is the peer alive), ike_warm.c (the IKE SA that a backup keeps).
 * Owns:    struct ike_tunnel holds everything by value.
 * Thread:  CONTROL (pure: no I/O, clock, memory).
 * In:      struct ike_ev and the present instant.
 * Out:     struct ike_acts, executed in order by the shell.
 * Errors:  events that do not fit are counted (late, stale, ignored) and change nothing.
 *
 * How the role uses it. Demotion and start: PURGE, after the VIP is gone, so that the DELETE cannot leave the host;
 * CLOSE before that where the peer is to be told, answered by CLOSED. Promotion: PURGE in PREPARE only if
 * ike_needs_purge(); a planned one says MAKE, which brings the child of a warm IKE SA up early and is answered by MADE.
 * After "VIP acknowledged, announcement sent": INITIATE. The tunnel is QUEUED then, until the node has room for one more
 * negotiation and says GRANT, in order of conf.priority. PURGED answers a PURGE, UP ends the timeline. Nothing here ever
 * makes the role wait: each step has its own deadline, and each question of the role one of at most 5 ms unless nobody
 * is there to take over.
 *
 * A tunnel may have two connections: that of the VIP, and with conf.warm one of the node's own address. `warm` in events
 * and actions says which is meant.
 */
#ifndef KT_IKE_FSM_H
#define KT_IKE_FSM_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/addr.h"
#include "daemon/base/epoch.h"
#include "daemon/base/mono.h"
#include "ike-hooks/ike_conf.h"

#define IKE_SOFT_NS      (300 * NS_PER_MS) /* first attempt: initiate to child up; doubles per failed attempt */
#define IKE_SOFT_MAX_NS  (5 * NS_PER_SEC)  /* and ends here: a far peer needs two round trips and a key exchange */
#define IKE_PURGE_NS     (1 * NS_PER_SEC)  /* a purge step without any answer is given up */
#define IKE_SETTLE_NS    (100 * NS_PER_MS) /* child lost while active: reauthentication may be bringing it back */
#define IKE_REKEY_NS     (1 * NS_PER_SEC)  /* DPD: a rekey must be confirmed within this */
#define IKE_PROVED_NS    (60 * NS_PER_SEC) /* DPD: an answered rekey proves the peer alive for so long */
#define IKE_RESET_GAP_NS (10 * NS_PER_SEC) /* DPD: at most one reset per tunnel in this time */
#define IKE_BARRED_NS    (1 * NS_PER_SEC) /* and of a node as many as it allows: then the next try is this much later */
#define IKE_REPURGE_NS   (1 * NS_PER_SEC) /* passive: an SA that came up by itself is purged at most this often */
#define IKE_LIST_GAP_NS  (5 * NS_PER_SEC) /* active without DPD: how often the lists are read */
#define IKE_MISSING_MAX  3                /* noblock lists leave out busy SAs: so many misses count as gone */
#define IKE_FAILS_TOLD   3                /* failed attempts in a row before RESET_FAILED is reported, once */
#define IKE_WATCH_GAP_NS (5 * NS_PER_SEC) /* RESET from outside: at most one per tunnel in this time, unless forced */
#define IKE_YOUNG_NS     (100 * NS_PER_MS) /* of a tunnel: what the peer sent before may still be on its way */
#define IKE_SILENT_NS    (3 * NS_PER_MS)   /* no packet for so long, and an unknown SPI: the peer is astray */
#define IKE_VERIFY_NS    (1 * NS_PER_SEC)  /* after a split brain: so long without a packet from the peer is too long */
#define IKE_FLIGHTS_MAX  32                /* negotiations of all tunnels of a node that are under way */
#define IKE_FLIGHTS_PEER 4                 /* of them IKE SAs with one peer: strongSwan refuses more half-open ones */
#define IKE_FLIGHT_NS    (1 * NS_PER_SEC)  /* one that takes longer does not hold the others up */
#define IKE_CLOSE_NS     (200 * NS_PER_MS) /* CLOSE: the peer's answer is waited for, if nobody takes over */
#define IKE_CLOSE_NOW_NS (5 * NS_PER_MS)   /* the same, if somebody does */
#define IKE_MAKE_ASK_NS  (5 * NS_PER_MS)   /* MAKE: the IKE daemon has to answer within this */
#define IKE_MAKE_NS      (90 * NS_PER_MS)  /* and the peer within this; meanwhile the old master serves */
#define IKE_WARM_LOOK_NS (5 * NS_PER_SEC)  /* how often the warm IKE SA is looked at */

/* name, text */
#define IKE_STATE_TABLE(X)                                                    \
	X(IKE_ABSENT, "absent")         /* IKE daemon not reachable */        \
	X(IKE_IDLE, "idle")             /* passive, purged */                 \
	X(IKE_PURGING, "purging")       /* terminate or sweep under way */    \
	X(IKE_CHECKING, "checking")     /* active, asking what exists */      \
	X(IKE_INITIATING, "initiating") /* initiate sent, child not up yet */ \
	X(IKE_UP, "up")                                                       \
	X(IKE_FAILED, "failed")   /* waiting for the next attempt */          \
	X(IKE_WAITING, "waiting") /* active, but the peer initiates */        \
	X(IKE_QUEUED, "queued")   /* active, waits for its turn */            \
	X(IKE_CLOSING, "closing") /* the peer is told that this node goes */

enum ike_state {
#define IKE_ENUM(name, text) name,
	IKE_STATE_TABLE(IKE_ENUM)
#undef IKE_ENUM
	    IKE_STATE_N
};

enum ike_ev_kind {
	IKE_EV_PURGE = 0,    /* epoch: become passive and forget */
	IKE_EV_INITIATE,     /* epoch: become active; the VIP answers already */
	IKE_EV_BACKEND_UP,   /* control and event connection work, events are registered */
	IKE_EV_BACKEND_DOWN, /* connection lost, refused, or no reply in time */
	IKE_EV_REPLY,        /* req, epoch, seq, ok, matches */
	IKE_EV_SWEPT,        /* epoch, seq, ok, matches = SAs removed */
	IKE_EV_CHILD_UPDOWN, /* up, sa_id */
	IKE_EV_IKE_UPDOWN,   /* up */
	IKE_EV_CHILD_REKEY,  /* sa_id = the new child */
	IKE_EV_SA_LIST,      /* epoch, seq, sample */
	IKE_EV_TICK,         /* the instant ike_deadline() named was reached */
	IKE_EV_GRANT,        /* there is room for one more negotiation */
	IKE_EV_RESET,        /* why, force: forget and begin anew, if active */
	IKE_EV_MOVED,        /* the IKE daemon moves this IKE SA to an address that is not the VIP */
	IKE_EV_VERIFY,       /* another master was there: is this SA still the peer's? */
	IKE_EV_CLOSE,        /* epoch, wait_ns: tell the peer; the VIP is still ours */
	IKE_EV_MAKE,         /* epoch: a planned takeover is being prepared */
	IKE_EV_STALE_PEER,   /* spi: the peer uses one that neither the kernel nor any list named */
	IKE_EV_N
};

enum ike_req {
	IKE_REQ_NONE = 0,
	IKE_REQ_TERMINATE,
	IKE_REQ_INITIATE,
	IKE_REQ_REKEY,
	IKE_REQ_LIST,
	IKE_REQ_CLOSE,
	IKE_REQ_N
};

#define IKE_SAMPLE_SPIS 16

/* What a list of the IKE daemon said about this tunnel. */
struct ike_sample {
	bool present;                     /* an IKE SA of this connection exists */
	bool established;                 /* and it is ESTABLISHED */
	bool child;                       /* a child of this name is INSTALLED */
	uint32_t sa_id;                   /* unique id of the newest such child */
	uint64_t in_packets, out_packets; /* of all such children */
	uint8_t n_spis;
	bool more_spis;                   /* there was no room for all of them */
	uint32_t spi_in[IKE_SAMPLE_SPIS]; /* for packets to us, of every child of the connection in any state */
};

/* name, text */
#define IKE_REASON_TABLE(X)                                                          \
	X(IKE_WHY_NONE, "none")                                                      \
	X(IKE_WHY_ROLE, "role change")                                               \
	X(IKE_WHY_BACKEND_LOST, "the IKE daemon is not reachable")                   \
	X(IKE_WHY_BACKEND_BACK, "the IKE daemon is back")                            \
	X(IKE_WHY_CHILD_UP, "child SA installed")                                    \
	X(IKE_WHY_CHILD_FOUND, "child SA found installed")                           \
	X(IKE_WHY_CHILD_DOWN, "child SA went down")                                  \
	X(IKE_WHY_CHILD_GONE, "child SA is no longer listed")                        \
	X(IKE_WHY_UNWANTED, "SA came up while passive")                              \
	X(IKE_WHY_REFUSED, "the IKE daemon refused the request")                     \
	X(IKE_WHY_DEADLINE, "no child SA before the deadline")                       \
	X(IKE_WHY_RETRY, "next attempt")                                             \
	X(IKE_WHY_PURGED, "purged")                                                  \
	X(IKE_WHY_PURGE_LATE, "no answer to the purge")                              \
	X(IKE_WHY_DPD_DOUBT, "packets go out, none come in")                         \
	X(IKE_WHY_DPD_SILENT, "peer silent, rekey not answered")                     \
	X(IKE_WHY_DPD_EVENT, "peer silent and its SA went down")                     \
	X(IKE_WHY_DPD_OVER, "packets come in again")                                 \
	X(IKE_WHY_REKEYED, "rekey answered")                                         \
	X(IKE_WHY_RESET_LIMIT, "reset postponed: one per 10 s")                      \
	X(IKE_WHY_LEFTOVERS, "leftovers are purged before the initiate")             \
	X(IKE_WHY_TURN, "its turn")                                                  \
	X(IKE_WHY_OPERATOR, "operator")                                              \
	X(IKE_WHY_SPI, "the peer uses an SA that this node does not have")           \
	X(IKE_WHY_MOVED, "the IKE daemon moved it off the virtual address (MOBIKE)") \
	X(IKE_WHY_SPLIT, "two masters met, and the peer has sent nothing since")     \
	X(IKE_WHY_SPLIT_OVER, "two masters met, and the peer sends on this SA")      \
	X(IKE_WHY_CLOSED, "the peer was told")                                       \
	X(IKE_WHY_CLOSE_LATE, "the peer did not answer the goodbye")                 \
	X(IKE_WHY_MAKE, "planned takeover: child on the warm IKE SA first")          \
	X(IKE_WHY_UNLOADED, "the IKE daemon has no such connection any more")        \
	X(IKE_WHY_WARM_UP, "warm IKE SA is up")                                      \
	X(IKE_WHY_WARM_LOST, "warm IKE SA is gone")                                  \
	X(IKE_WHY_WARM_LATE, "the peer does not answer the warm IKE SA")

enum ike_reason {
#define IKE_ENUM(name, text) name,
	IKE_REASON_TABLE(IKE_ENUM)
#undef IKE_ENUM
	    IKE_REASON_N
};

struct ike_ev {
	enum ike_ev_kind kind;
	struct epoch epoch;
	uint32_t seq;     /* REPLY, SWEPT, SA_LIST: copied from the action */
	enum ike_req req; /* REPLY */
	bool ok;
	uint32_t matches;
	bool up;
	uint32_t sa_id; /* 0: not known */
	struct ike_sample sample;
	bool warm; /* CHILD_UPDOWN, IKE_UPDOWN, CHILD_REKEY, MOVED: it is about conf.warm_ike */
	bool force;
	enum ike_reason why;
	int64_t wait_ns;
	uint32_t spi;
};

enum ike_act_kind {
	IKE_ACT_TERMINATE = 0, /* ike (child: only the child), force=yes, timeout=-1; answer with REPLY */
	IKE_ACT_INITIATE,      /* ike (child: and child), timeout=-1; answer with REPLY */
	IKE_ACT_REKEY,         /* ike + child; answer with REPLY */
	IKE_ACT_LIST,          /* list-sas noblock of this ike; answer with SA_LIST, or REPLY when it failed */
	IKE_ACT_SWEEP,         /* XFRM sweep of vip (with peer if peer.af is set); answer with SWEPT */
	IKE_ACT_PURGED,        /* answers IKE_EV_PURGE: epoch, leftovers */
	IKE_ACT_UP,            /* epoch; took_ns since the initiate (0: found) */
	IKE_ACT_DOWN,          /* reason */
	IKE_ACT_DPD_DEAD,      /* reason */
	IKE_ACT_RESET_FAILED,  /* reason */
	IKE_ACT_HOOK,          /* hook, reason */
	IKE_ACT_TRACE,         /* from, to, reason: one line of log */
	IKE_ACT_CLOSE,         /* ike, force=no, timeout=-1: the peer is told; answer with REPLY */
	IKE_ACT_CLOSED,        /* answers IKE_EV_CLOSE: epoch, reason */
	IKE_ACT_MADE,          /* answers IKE_EV_MAKE: epoch, reason */
	IKE_ACT_N
};

struct ike_act {
	enum ike_act_kind kind;
	struct epoch epoch;
	uint32_t seq;
	struct addr vip, peer; /* SWEEP; peer.af 0: every peer */
	bool leftovers;
	int64_t took_ns;
	enum hook_event hook;
	enum ike_reason reason;
	enum ike_state from, to;
	bool warm;    /* TERMINATE, INITIATE, REKEY, LIST, CLOSE: of conf.warm_ike and conf.warm_child */
	bool child;   /* TERMINATE: nothing but the child; INITIATE: with the child */
	uint32_t spi; /* HOOK of an unknown SPI */
};

#define IKE_ACTS_MAX 16
struct ike_acts {
	unsigned n;
	struct ike_act a[IKE_ACTS_MAX];
};

enum ike_sweep_scope { IKE_SWEEP_NONE = 0, IKE_SWEEP_PAIR, IKE_SWEEP_VIP };

struct ike_dpd {
	bool valid;         /* counters below were read once */
	bool doubt;         /* out grew, in did not, for conf.interval */
	bool rekeying;      /* a rekey is the last chance before the verdict */
	bool told;          /* this silence was reported already */
	uint32_t sa_id;     /* child the counters belong to */
	uint64_t in, out;   /* newest counters */
	uint64_t out_at_in; /* out when in grew last */
	mono_t in_at;       /* when in grew last */
	mono_t out_at;      /* first growth of out since then; NEVER: none */
	mono_t rekey_by;
	mono_t proved_until; /* a rekey was answered: one-way traffic, no further doubt before this */
};

/* The IKE SA that a node which is not MASTER keeps with conf.warm. */
enum ike_keep_state {
	IKE_KEEP_OFF = 0, /* not wanted: active, or not purged yet, or the IKE daemon is away */
	IKE_KEEP_ASK,     /* what is there? */
	IKE_KEEP_WANT,    /* waits for its turn */
	IKE_KEEP_TRY,     /* initiate sent */
	IKE_KEEP_UP,
	IKE_KEEP_PAUSE, /* until the next attempt */
	IKE_KEEP_N
};

struct ike_keep {
	enum ike_keep_state state;
	enum ike_req req; /* outstanding, with seq */
	uint32_t seq;
	mono_t timer, req_by, flight_by;
	uint32_t fails;
	bool flying;
	uint64_t ups, losts;
};

/* Is the peer astray? See ike_stale.c. */
struct ike_stale {
	bool asked;     /* the list under way answers that */
	uint32_t spi;   /* what it sent last */
	uint32_t sa_id; /* the child that was listed last, with the packets that had come in by then */
	uint64_t in;
	mono_t at;
	mono_t told_at; /* newest hook; NEVER: none */
	uint64_t heard, told, known, alive;
};

struct ike_tunnel {
	struct ike_tunnel_conf conf;
	bool shares_peer; /* another tunnel has the same VIP and peer: then a reset must not sweep the pair */
	bool on_warm;     /* the connection in use: conf.warm_ike instead of conf.ike */
	enum ike_state state;
	mono_t since; /* of the state */
	enum ike_reason why;
	struct epoch epoch;
	bool backend;     /* reachable */
	bool active;      /* desired: tunnel up (true) or nothing (false) */
	bool left_ike;    /* the IKE daemon may still hold something */
	bool left_kernel; /* the kernel may still hold something */
	bool left_warm;   /* the warm connection may have a child */
	bool purge_asked; /* a PURGED is owed */
	bool
	    unpurged; /* a purge that the IKE daemon has not confirmed: what it says is up may have no SA in the kernel */
	bool unwanted; /* passive, and an SA was seen: purge at timer */
	bool ike_up;   /* INITIATING: the IKE SA is there already */
	bool sweeping;
	enum ike_sweep_scope scope; /* of the purge under way */
	bool purge_warm;            /* it goes on with the warm connection */
	bool purge_whole;           /* of which not even the IKE SA is kept */
	bool flying;                /* one of the IKE_FLIGHTS_MAX */
	bool making, make_asked;    /* active ahead of the role; MADE is owed */
	bool close_asked;           /* CLOSED is owed */
	bool verifying, verify_seen;
	uint64_t verify_in;
	mono_t flight_by, make_by, close_by, verify_by;
	struct ike_keep keep;
	uint32_t seq;     /* last number given to a request; never used twice */
	enum ike_req req; /* outstanding, with req_seq */
	uint32_t req_seq, sweep_seq;
	struct epoch req_epoch, sweep_epoch, purge_epoch, close_epoch;
	mono_t timer, req_by, sweep_by;
	mono_t initiated, purged_at, reset_at; /* NEVER: not yet */
	uint32_t fails;                        /* attempts in a row without child */
	uint32_t sa_id;
	uint32_t missing;
	int64_t last_up_ns; /* initiate to child up, last success */
	struct ike_dpd dpd;
	struct ike_stale unknown;
	bool resets_barred; /* the node had too many: none in this step, unless forced */
	struct {
		uint64_t purges, initiates, ups, downs, dpd_dead, resets, rekeys, late, stale, ignored, resets_held,
		    closes, made, moved;
	} count;
};

/* Passive, backend unknown, leftovers assumed (the state may be older than this process). */
void ike_init(struct ike_tunnel *t, const struct ike_tunnel_conf *conf, bool shares_peer, mono_t now);

/* One event. Overwrites out. */
void ike_step(struct ike_tunnel *t, const struct ike_ev *ev, mono_t now, struct ike_acts *out);

/* When IKE_EV_TICK is due; MONO_NEVER: not at all. */
mono_t ike_deadline(const struct ike_tunnel *t);

/* True when a promotion has to purge first: something may be left in the IKE daemon or the kernel. */
bool ike_needs_purge(const struct ike_tunnel *t);

/* The child SA of a planned takeover could come up ahead of the address: the warm IKE SA is there. */
static inline bool ike_is_warm(const struct ike_tunnel *t)
{
	return t->conf.warm && t->state == IKE_IDLE && t->keep.state == IKE_KEEP_UP;
}
/* Before the address goes the peer should be told. others: another node is ready to take over. */
static inline bool ike_wants_close(const struct ike_tunnel *t, bool others)
{
	return t->state == IKE_UP && t->backend && (!others || t->conf.on_demote == IKE_DEMOTE_DELETE);
}
/* An unknown SPI of the peer would be looked into: nothing is under way that repairs it anyway. */
static inline bool ike_heeds_spi(const struct ike_tunnel *t, mono_t now)
{
	return t->conf.watch_spi && (t->state == IKE_FAILED || t->state == IKE_WAITING ||
				     (t->state == IKE_UP && mono_due(mono_add(t->since, IKE_YOUNG_NS), now)));
}
/* Its next attempt is one on the warm connection: with two of them they take turns. */
static inline bool ike_next_warm(const struct ike_tunnel *t)
{
	return t->conf.warm && t->fails % 2 == 0;
}
/* Negotiations under way, and those that wait for their turn: what the node counts. */
static inline unsigned ike_flights(const struct ike_tunnel *t)
{
	return (unsigned)t->flying + (unsigned)t->keep.flying;
}
static inline unsigned ike_queued(const struct ike_tunnel *t)
{
	return (unsigned)(t->state == IKE_QUEUED) + (unsigned)(t->keep.state == IKE_KEEP_WANT);
}

/* Static texts. */
const char *ike_state_name(enum ike_state s);
const char *ike_reason_text(enum ike_reason r);
const char *ike_req_name(enum ike_req r);
const char *ike_keep_name(enum ike_keep_state s);

#endif
