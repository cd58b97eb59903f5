/*
 * Purpose: the state machine of one virtual router (RFC 9568 section 6, RFC 3768 section 6). It keeps the timers and says what it heard; it
 *          never takes the role by itself: that is the group's and the role transaction's to decide.
 * Owns:    nothing; conf stays the configuration's and must outlive the machine or be replaced by VRRP_EV_CONF.
 * Thread:  CONTROL (pure).
 * In:      struct vrrp_ev.   Out: struct vrrp_acts.
 * Errors:  an event that makes no sense in the present state changes nothing and is counted in stats.ignored.
 *
 * Rules beyond the RFC:
 * - BACKUP whose master-down timer ran out sets `expired` and says EXPIRED once. It stays BACKUP until TAKE; an
 *   accepted advertisement or REARM ends `expired`.
 * - MASTER that hears a better router says HEARD_HIGHER and stays MASTER until YIELD.
 * - BACKUP below whom a lower master lives restarts its timer as if preemption were off and says HEARD_LOWER on each
 *   advertisement; whoever wants to preempt answers with TAKE.
 * - A planned switch to a lower router: YIELD the moment GO is given (a MASTER answers lower advertisements at once,
 * which would pull the role back), then REARM for as long as UP may take.
 * - With a preempt delay HEARD_LOWER begins only when lower masters were heard for that long without a pause of a whole
 *   master-down time; before, they are the master. A master that is missing is not waited for any longer than without.
 * - An address owner (priority 255) listens at its start like everybody, because it may have to wait for the sessions;
 *   whoever knows that it need not answers with REARM. It preempts whatever is configured.
 * - Two owners: the one with the lower address yields. If the lower one does not (it need not listen by RFC 9568), the
 *   higher one, after two advertisements and 1.2 intervals more, goes down to 254 until the other is gone.
 * - While both versions are spoken, version 2 forms of a router that is heard in version 3 are its echo: they change
 *   nothing, but for a farewell whose version 3 form was lost (RFC 5798 8.4.1).
 * - Where version 2 is spoken, skew counts in seconds, not in intervals, also for version 3 masters: the backups of one
 *   virtual router must move in the order of their priorities.
 * - Answers out of turn (to a lower router, to priority 0) leave the advertisement timer alone: members of a group keep
 *   their common beat.
 */
#ifndef KT_VRRP_FSM_H
#define KT_VRRP_FSM_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/addr.h"
#include "daemon/base/mono.h"
#include "vrrp/vrrp_conf.h"
#include "vrrp/vrrp_wire.h"

enum vrrp_state { VRRP_INIT = 0, VRRP_BACKUP, VRRP_MASTER, VRRP_FAULT, VRRP_STATE_N };

/* name, text. The first three are the words of RFC 6527 for a new master. */
#define VRRP_REASON_TABLE(X)                                             \
	X(VRRP_R_NO_RESPONSE, "masterNoResponse")                        \
	X(VRRP_R_PREEMPTED, "preempted")                                 \
	X(VRRP_R_PRIORITY, "priority")                                   \
	X(VRRP_R_START, "start")                                         \
	X(VRRP_R_STOP, "stop")                                           \
	X(VRRP_R_YIELD, "yielded")                                       \
	X(VRRP_R_HIGHER, "higher router heard")                          \
	X(VRRP_R_LINK_DOWN, "link down")                                 \
	X(VRRP_R_NO_SOURCE, "the interface has no address to send from") \
	X(VRRP_R_FAULT, "fault")                                         \
	X(VRRP_R_TRACKED, "a tracked thing failed")                      \
	X(VRRP_R_RECOVERED, "fault cleared")

enum vrrp_reason {
#define VRRP_REASON_ENUM(name, text) name,
	VRRP_REASON_TABLE(VRRP_REASON_ENUM)
#undef VRRP_REASON_ENUM
	    VRRP_REASON_N
};

/* Said once when the condition begins, and again only after it was gone. */
#define VRRP_WARN_TABLE(X)                                                                                  \
	X(VRRP_W_VIPS, "the other router advertises other addresses than configured here")                  \
	X(VRRP_W_INTERVAL,                                                                                  \
	  "the master's advertisement interval differs from ours; ours adapts to it while it is master")    \
	X(VRRP_W_TWO_OWNERS, "two routers of priority 255: both claim to own the addresses")                \
	X(VRRP_W_OWNER_LOWERED,                                                                             \
	  "the other router of priority 255 does not give way: priority 254 is used here until it is gone") \
	X(VRRP_W_V2_INTERVAL,                                                                               \
	  "a version 2 router advertises at another interval: it refuses our advertisements; set the same there")

enum vrrp_warn {
#define VRRP_WARN_ENUM(name, text) name,
	VRRP_WARN_TABLE(VRRP_WARN_ENUM)
#undef VRRP_WARN_ENUM
	    VRRP_WARN_N
};

/* Static texts; never NULL. */
const char *vrrp_state_text(enum vrrp_state s);
const char *vrrp_reason_text(enum vrrp_reason r);
const char *vrrp_warn_text(enum vrrp_warn w);

enum vrrp_ev_type {
	VRRP_EV_START = 0, /* INIT -> BACKUP, or FAULT while link or source is missing (tell those before) */
	VRRP_EV_STOP,      /* any -> INIT; a MASTER sends priority 0 first */
	VRRP_EV_LINK_UP,
	VRRP_EV_LINK_DOWN,
	VRRP_EV_ADVERT, /* an accepted advertisement: u.advert */
	VRRP_EV_TICK,   /* vrrp_deadline() was reached */
	VRRP_EV_TAKE,   /* the role is ours: u.take; BACKUP -> MASTER and the first advertisement now */
	VRRP_EV_YIELD,  /* MASTER -> BACKUP: u.yield */
	VRRP_EV_FAULT,  /* from outside (a tracker, a failed transaction) */
	VRRP_EV_FAULT_CLEAR,
	VRRP_EV_REARM,    /* restart the master-down timer: u.rearm */
	VRRP_EV_PRIORITY, /* effective priority: u.priority */
	VRRP_EV_CONF,     /* new configuration of the same virtual router: u.conf */
	VRRP_EV_TRACK,    /* what this router tracks is a fault, or no longer: u.track */
	VRRP_EV_SRC,      /* our address on the interface, ADDR_NONE when it is gone: u.src */
	VRRP_EV_N
};

struct vrrp_ev {
	enum vrrp_ev_type type;
	union {
		struct {
			uint8_t priority;
			int64_t adv_ns;
			struct addr src;
			bool vip_list_differs;
			bool v2; /* the version 2 form */
		} advert;
		struct {
			mono_t
			    advert_base; /* beat of the group: advertisements at base + k * interval; MONO_ZERO: now */
		} take;
		struct {
			bool send_zero; /* priority 0 makes the backup move after its skew time */
		} yield;
		struct {
			int64_t delay_ns; /* 0: one whole master-down time */
		} rearm;
		uint8_t priority; /* 1..255 */
		struct {
			bool fault;
		} track;
		const struct vrrp_conf *conf;
		struct addr src;
	} u;
};

enum vrrp_act_type {
	VRRP_ACT_SEND = 0,     /* u.priority */
	VRRP_ACT_EXPIRED,      /* BACKUP: the master is silent */
	VRRP_ACT_HEARD_ZERO,   /* a router left: u.heard */
	VRRP_ACT_HEARD_HIGHER, /* MASTER: a better master: u.heard */
	VRRP_ACT_HEARD_LOWER,  /* BACKUP: a lower master, and preemption is configured: u.heard */
	VRRP_ACT_HEARD_MASTER, /* BACKUP: the master is well: u.heard */
	VRRP_ACT_HEARD_RIVAL,  /* MASTER: a lower router believes to be master as well: u.heard */
	VRRP_ACT_STATE,        /* u.state */
	VRRP_ACT_WARN,         /* u.warn */
};

struct vrrp_act {
	enum vrrp_act_type type;
	union {
		uint8_t priority;
		struct {
			uint8_t priority;
			struct addr src;
		} heard;
		struct {
			enum vrrp_state from, to;
			enum vrrp_reason reason;
		} state;
		enum vrrp_warn warn;
	} u;
};

#define VRRP_ACTS_MAX 8
struct vrrp_acts {
	unsigned n;
	struct vrrp_act a[VRRP_ACTS_MAX];
};

struct vrrp_stats {
	uint64_t adv_sent, adv_rcvd, zero_sent, zero_rcvd;
	uint64_t to_master, to_backup, to_fault;
	uint64_t expired, rearmed, heard_higher, heard_lower;
	uint64_t vips_differ, interval_differs;
	uint64_t v2_echoes;   /* version 2 forms of a router that is heard in version 3 */
	uint64_t adv_skipped; /* beats missed because the timer ran late; never made up in a burst */
	uint64_t ignored;     /* events that made no sense in the state */
	uint64_t drop[VRRP_DROP_N];
	uint64_t sum[2]; /* accepted, by enum vrrp_sum */
};

/* The last router heard. */
struct vrrp_peer {
	struct addr src; /* ADDR_NONE: nobody yet */
	uint8_t priority;
	bool v2;
	int64_t adv_ns;
	mono_t heard_at;
};

/* Routers heard in version 3 while both versions are spoken; of more, the one heard longest ago is forgotten. */
enum { VRRP_V3_HEARD = 4 };
struct vrrp_v3_heard {
	struct addr src;
	uint8_t priority;
	mono_t until; /* of two forms in a row that are missing the second is not waited for */
};

struct vrrp {
	const struct vrrp_conf *conf;
	enum vrrp_state state;
	uint8_t priority; /* effective: what is advertised and compared */
	uint8_t wanted;   /* set from outside; `priority` differs while another owner does not give way */
	bool started, link_up, faulted, tracked; /* tracked: by VRRP_EV_TRACK */
	bool expired;
	struct addr src;                /* ours */
	int64_t master_adv_ns;          /* learnt from the master; ours when nobody was heard (RFC 9568 6.1) */
	mono_t master_down_at;          /* BACKUP; MONO_NEVER when expired */
	mono_t advert_at;               /* MASTER */
	mono_t lower_since;             /* BACKUP: lower masters are heard since then; MONO_NEVER: none */
	mono_t owner_since;             /* MASTER of 255: another owner is heard since then; MONO_NEVER: none */
	mono_t owner_heard_at;          /* last advertisement of another owner */
	unsigned warned;                /* bit per enum vrrp_warn */
	enum vrrp_reason take_reason;   /* what a TAKE now is called, by what was heard last */
	enum vrrp_reason master_reason; /* of the last time it became MASTER */
	mono_t since;                   /* in this state */
	struct vrrp_peer peer;
	struct vrrp_v3_heard v3[VRRP_V3_HEARD];
	struct vrrp_stats stats;
};

/* State INIT, link down, no source. */
void vrrp_init(struct vrrp *v, const struct vrrp_conf *conf);

/* One event. out is emptied first. */
void vrrp_step(struct vrrp *v, const struct vrrp_ev *ev, mono_t now, struct vrrp_acts *out);

/* When to send VRRP_EV_TICK; MONO_NEVER when no timer runs. */
mono_t vrrp_deadline(const struct vrrp *v);

/*
 * Skew_Time and Active_Down_Interval of this router when its master advertises every adv_ns. Version 3 alone:
 * (256 - priority) * interval / 256 (RFC 9568 6.1); with version 2: (256 - priority) / 256 s (RFC 3768 6.1). The down
 * interval is down_adverts (3 by the RFCs) intervals and the skew.
 */
int64_t vrrp_skew_of(const struct vrrp *v, int64_t adv_ns);
int64_t vrrp_down_of(const struct vrrp *v, int64_t adv_ns);

/* The same for the interval that was learnt from the present master. */
int64_t vrrp_skew(const struct vrrp *v);
int64_t vrrp_down(const struct vrrp *v);

/* How long the router that was heard last counts as alive. */
int64_t vrrp_peer_down(const struct vrrp *v);

/* How long backups configured as this router wait for it while it is MASTER. */
int64_t vrrp_own_down(const struct vrrp *v);

/* What is left of the preempt delay; 0: none runs. */
int64_t vrrp_preempt_left(const struct vrrp *v, mono_t now);

/*
 * True when this node itself was late beyond what its neighbours can have waited for: a MASTER by more than
 * down_adverts of its intervals, a BACKUP by more than one of its master's. Whoever acts on timers must then listen
 * before it acts.
 */
bool vrrp_stalled(const struct vrrp *v, mono_t now);

#endif
