/*
 * Purpose: the brain of CONTROL: it joins virtual routers, failover groups, role transactions, tunnels and the peers'
 *          messages into one machine. PURE. The daemon and the simulation run exactly this.
 * Owns:    struct node; the arrays in it belong to whoever called node_init.
 * Thread:  CONTROL.
 * In:      struct node_ev and the present instant.
 * Out:     struct node_acts: what the shell has to do, in this order.
 * Errors:  events for unknown members, groups, peers or epochs are counted in stale and change nothing.
 */
#ifndef KT_NODE_H
#define KT_NODE_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/timerq.h"
#include "daemon/group.h"
#include "daemon/role.h"
#include "ike-hooks/ike_fsm.h"
#include "sync/peer_msg.h"
#include "sync/sync.h"
#include "vrrp/vrrp_fsm.h"

#define NODE_HEARTBEAT_NS  (100 * NS_PER_MS)
#define NODE_CHANNEL_NS    (300 * NS_PER_MS)  /* channel up = a record heard within this */
#define NODE_UNHEARD_NS    (2 * NS_PER_SEC)   /* MASTER, and FAULT within this: its LEAVING was missed */
#define NODE_READY_NS      (1000 * NS_PER_MS) /* a ready bit counts for this long */
#define NODE_SYNC_LATE_NS  (1000 * NS_PER_MS) /* SYNC silent: not ready */
#define NODE_SYNC_HUNG_NS  (10 * NS_PER_SEC)  /* SYNC silent on a MASTER: forced switch */
#define NODE_PENALTY_NS    (60 * NS_PER_SEC)  /* crossed priorities, members that the peer does not group */
#define NODE_PROBE_NS      (5 * NS_PER_MS)    /* between two probes of a lost peer */
#define NODE_PROBES        20
#define NODE_PLAN_RETRY_NS (1000 * NS_PER_MS) /* a planned switch that failed is tried again */
#define NODE_TICK_MAX      128                /* due virtual routers in one step; the rest comes with the next one */
#define NODE_WALK          256                /* groups looked at in one piece of the walk over all of them */
#define NODE_BURST         64                 /* groups whose adverts share a beat; more of them: several beats */
#define NODE_NO_GROUP      UINT16_MAX
#define NODE_RESET_BURST   32                 /* tunnels reset at once, whatever the cause; an operator may do more */
#define NODE_RESET_RATE    8                  /* and per second later */
#define NODE_HANDOVER_NS   (1000 * NS_PER_MS) /* a router whose place was taken hears of it within this */

struct node_member {
	uint16_t inst, group;
	bool down;          /* own link down or no address to speak from */
	bool tracked;       /* what it tracks is a fault */
	bool waits;         /* what it tracks could be a fault, and has not reported yet */
	bool lower;         /* the present master has a lower priority than ours */
	bool zero;          /* expired after a priority-0 advert */
	bool rearmed;       /* a late timer was given its one second chance */
	mono_t zero_at;     /* last priority-0 advert */
	mono_t higher_at;   /* MASTER: last advert of a higher master */
	mono_t heard_at;    /* last accepted advert of another router */
	mono_t rival_at;    /* MASTER: last advert of another master, MONO_NEVER once it said good-bye */
	mono_t rival_since; /* MASTER, split brain: the other master is heard on this segment since */
	struct timerq_slot timer;
};

/* Two masters of one group at the same time. */
struct node_split {
	mono_t since;  /* MONO_NEVER: there is none */
	mono_t maybe;  /* the peer says MASTER too; counts when it lasts */
	uint16_t inst; /* where the other one was heard first; UINT16_MAX: only the channel says so */
	struct addr src;
	uint8_t priority;
	uint32_t node; /* of the peer that says so; 0: nobody does */
};

struct node_group {
	const uint16_t *members; /* instance indices */
	uint16_t n_members;
	bool fault_degrade, preempt, arbitrate;
	struct role role;
	bool mine;       /* counts as ours for SYNC's authority */
	bool mutes;      /* from its FLUSH or DEMOTING to its STABLE: SYNC tells no end of a session */
	bool given_away; /* a planned demotion: no preemption until MASTER again */
	bool outbid;     /* the planned demotion under way is for a higher priority: ours may rise again */
	bool adopting;   /* leftovers of an earlier process are still served */
	bool resuming; /* a process that died or gave way a moment ago was MASTER: the role goes on, set before START */
	bool stalled;  /* MASTER that slept: silent until stall_until */
	mono_t stall_until;
	mono_t plan_retry_at;
	mono_t held_until;    /* gave the role away because an address was lost: no preemption until then */
	mono_t expired_since; /* every member is deaf */
	mono_t cut_since;     /* arbitrating: BACKUP although every member is deaf; MONO_NEVER: not */
	struct node_split split;
	mono_t yielded_at; /* last demotion because a higher master was heard */
	mono_t first_decides_until, not_grouped_until;
	mono_t took_on_zero_at;                   /* took the role because of priority 0 without a channel */
	uint16_t tunnels_due;                     /* purge answers awaited */
	uint16_t tunnels_up_due;                  /* child SAs awaited for the timeline */
	uint16_t tunnels_closing, tunnels_making; /* answers awaited to CLOSE and MAKE */
	bool made_ahead;                          /* tunnels were told to come up before the role does */
	bool sa_copies;                           /* copies of the master's inbound SAs are at hand */
	mono_t deaf_since;                        /* a member hears no master while others do; told when it lasts */
	uint32_t partner;                         /* the other node of a planned switch; 0: none yet */
	bool deaf_told;
	bool gate_told;         /* preemption waits for the sessions */
	enum role_is told_role; /* of the last heartbeat */
	bool told_ready;
	bool touched;          /* this step may have changed it */
	uint16_t next_touched; /* list; NODE_NO_GROUP: end */
	bool exposed;          /* serves, and nobody else could */
	bool fence_waits;      /* SYNC was asked for a fence */
	struct timerq_slot timer;
};

struct node_peer {
	uint32_t node;
	bool up;          /* ctl authenticated */
	bool same_config; /* vrrp section of its configuration equals ours: group numbers mean the same */
	mono_t heard_at, up_at, lost_at;
	mono_t beat_at; /* last heartbeat: what it does not name is as it was said before */
	uint64_t boot_nonce;
	bool you_have_all; /* it said so, for this boot of both */
	bool maintenance;  /* it stays out of elections */
	bool dead;         /* process death proven */
	mono_t dead_at;
	bool probing;
	uint8_t probes_left; /* a dying process closes its listener a little after its connections */
	mono_t probe_at;     /* next probe; MONO_NEVER: none */
	struct {
		uint8_t role; /* enum peer_role */
		uint8_t priority;
		bool ready, leaving;
		uint32_t successor; /* leaving: the node that is to take over; 0: whoever can */
		mono_t at;          /* last said */
		struct epoch epoch;
	} * groups; /* n_groups */
};

enum node_ev_type {
	NODE_EV_START = 0,   /* adopting: leftovers exist */
	NODE_EV_STOP,        /* orderly end: NODE_ACT_STOPPED follows */
	NODE_EV_ADVERT,      /* inst, advert */
	NODE_EV_DROPPED,     /* inst: a packet was refused (counts nothing, touches nothing) */
	NODE_EV_LINK,        /* inst, up, src */
	NODE_EV_TRACK,       /* inst, priority, fault, waits: what follows from what is tracked */
	NODE_EV_NET,         /* group, net, err */
	NODE_EV_VIP_UP,      /* group, epoch */
	NODE_EV_GARP,        /* group, epoch */
	NODE_EV_SYNC,        /* report */
	NODE_EV_PEER_UP,     /* peer, hello */
	NODE_EV_PEER_DOWN,   /* peer; lost = not a clean close */
	NODE_EV_PEER_MSG,    /* peer, msg */
	NODE_EV_PROBE,       /* peer, refused */
	NODE_EV_IKE,         /* tunnel, ike */
	NODE_EV_FORCE,       /* operator: group (NODE_ALL_GROUPS), on the master give, elsewhere take */
	NODE_EV_MAINTENANCE, /* on */
	NODE_EV_LOST,        /* group: somebody else removed what its role brings, and address_lost says to yield */
	NODE_EV_SA_COPIES,   /* group, on: copies of the master's inbound SAs are at hand, or no longer */
	NODE_EV_SA_IMPORTED, /* group, epoch, err: they are installed, or not all of them */
	NODE_EV_JOIN,        /* group: new after a reload, or with new members or tunnels */
	NODE_EV_DRAINED,     /* answers NODE_ACT_DRAIN */
	NODE_EV_TICK,
};
#define NODE_ALL_GROUPS UINT16_MAX

struct node_ev {
	enum node_ev_type type;
	uint16_t inst, group, tunnel;
	uint32_t peer;
	struct epoch epoch;
	bool up, lost, refused, on, adopting, fault, waits;
	uint8_t priority; /* TRACK: 1..255 */
	enum role_net net;
	int err;
	struct addr src;
	const struct vrrp_ev *advert;
	const struct sync_report *report;
	const struct peer_msg *msg;
	const struct ike_ev *ike;
};

/* An event that waits, with what it points to: it came up while the actions of another one were being carried out. */
struct node_ev_kept {
	struct node_ev_kept *next;
	struct node_ev ev;
	union {
		struct vrrp_ev advert;
		struct sync_report report;
		struct peer_msg msg;
		struct ike_ev ike;
	} u;
};

enum node_act_type {
	NODE_ACT_ADVERT = 0, /* inst, priority: send now */
	NODE_ACT_SYNC,       /* cmd */
	NODE_ACT_ROLE_EPOCH, /* epoch: SYNC compares it before every send; store it without waiting */
	NODE_ACT_NET,        /* group, net_mode, epoch */
	NODE_ACT_PEER,       /* peer (0: all), msg */
	NODE_ACT_PROBE,      /* peer: reconnect at once, tell whether its kernel refuses */
	NODE_ACT_IKE,        /* tunnel, ike */
	NODE_ACT_SA_IMPORT,  /* group, epoch: the copies into the kernel, then NODE_EV_SA_IMPORTED */
	NODE_ACT_SA_REMOVE,  /* group: out of it again */
	NODE_ACT_HOOK,       /* hook, group or tunnel, from, to, reason */
	NODE_ACT_JOURNAL,    /* record */
	NODE_ACT_PREPARE,    /* group: its addresses go on the ownership list before COMMIT */
	NODE_ACT_DRAIN,      /* read all sockets and the channel dry, then NODE_EV_DRAINED */
	NODE_ACT_ANNOUNCE,   /* inst: a lower router was master: neighbours are told again where the addresses are */
	NODE_ACT_TOLD,       /* what: one log line */
	NODE_ACT_GUARDIAN,   /* on: a healthy backup is known */
	NODE_ACT_STOPPED,    /* every group rests in INIT */
	NODE_ACT_ABORT,      /* SYNC hangs and the role was given away: end with a flight-recorder dump */
};

enum node_net_mode { NODE_NET_DOWN = 0, NODE_NET_UP, NODE_NET_KEEP };

enum node_told {
	NODE_TOLD_ROLE = 0,    /* group, from, to, reason */
	NODE_TOLD_INSTANCE,    /* inst, from, to (enum vrrp_state), reason (enum vrrp_reason) */
	NODE_TOLD_DEAF,        /* group, inst: stays, one member hears no master */
	NODE_TOLD_CROSSED,     /* group */
	NODE_TOLD_NOT_GROUPED, /* group, inst */
	NODE_TOLD_STALL,       /* late_ns */
	NODE_TOLD_REARMED,     /* inst, late_ns */
	NODE_TOLD_PEER_UP,
	NODE_TOLD_PEER_DOWN,
	NODE_TOLD_PEER_DEAD,
	NODE_TOLD_CONFIG_DIFFERS,
	NODE_TOLD_SYNC_SILENT,
	NODE_TOLD_SYNC_BACK,
	NODE_TOLD_TUNNEL,      /* tunnel, ike.from, ike.to, ike.reason */
	NODE_TOLD_WARN,        /* inst, warn (enum vrrp_warn) */
	NODE_TOLD_GATE_CLOSED, /* group: would preempt, the gate is closed */
	NODE_TOLD_SPLIT,       /* group: split brain, see node_group.split */
	NODE_TOLD_SPLIT_ENDED, /* group, late_ns = how long, on = this node stays MASTER */
	NODE_TOLD_CUT,         /* group, peer: every member is deaf, that node serves */
	NODE_TOLD_CUT_ENDED,   /* group, late_ns = how long, on = this node takes over */
	NODE_TOLD_HELD,        /* group: an address was lost, no preemption for NODE_PENALTY_NS */
	NODE_TOLD_STARTED,     /* the startup delay is over */
	NODE_TOLD_PRIORITY,    /* inst, from, to: its priority, moved by tracking */
};

#define NODE_TOLD_COUNT (NODE_TOLD_PRIORITY + 1)

struct node_act {
	enum node_act_type type;
	uint16_t inst, group, tunnel;
	uint8_t priority;
	uint32_t peer;
	struct epoch epoch;
	enum node_net_mode net_mode;
	struct sync_cmd cmd;
	struct peer_msg *msg; /* in node_acts.msgs: valid until the next step */
	struct ike_act ike;
	enum hook_event hook;
	uint8_t from, to, reason;
	struct role_record record;
	enum node_told what;
	int64_t late_ns;
	bool on;
};

struct node_acts {
	struct node_act *a;
	unsigned n, cap; /* cap: NODE_ACTS_FOR(instances, groups) */
	struct peer_msg *msgs;
	unsigned n_msgs, cap_msgs;
};
#define NODE_ACTS_FOR(n_inst, n_groups) (8u * (n_inst) + 40u * (n_groups) + 64u)
#define NODE_MSGS_FOR(n_groups)         (4u * (n_groups) + 32u)

struct node {
	uint32_t id;
	bool running, stopping, maintenance;
	struct vrrp *inst;
	struct node_member *member; /* n_inst, parallel to inst */
	uint16_t n_inst;
	struct node_group *group;
	uint16_t n_groups;
	struct node_peer *peer;
	uint8_t n_peers;
	struct ike_tunnel *tunnel;
	uint16_t n_tunnels;
	int64_t resets_spent; /* thousandths of NODE_RESET_BURST */
	mono_t resets_at;     /* instant of that */
	uint64_t resets_barred;
	uint32_t ike_flights, ike_queued; /* negotiations under way, and waiting for their turn */

	struct epoch seen; /* highest epoch known */
	int64_t startup_delay_ns;
	mono_t startup_until; /* no role is taken before; MONO_NEVER: over, or not begun */
	bool has_sync;        /* a SYNC thread runs */
	bool sync_gate;       /* sessions are replicated: preemption waits for "you have everything" */
	struct sync_state sync;
	mono_t pong_at, ping_at, heartbeat_at;
	mono_t alive_told_at; /* SYNC learnt last that a master's adverts are heard */
	uint64_t ping_seq;
	bool sync_silent_told, aborting, guardian_on, draining;
	struct epoch authority; /* of the last AUTHORITY that SYNC was given */
	bool drained;           /* TICK after a drain: expiries count now */
	bool woke;              /* we slept: what the sockets hold is old, until DRAINED */
	mono_t due_at;          /* when the next TICK was wanted */
	uint64_t stale, stalls, rearms, rivals;
	uint64_t splits, arbitrated; /* times two masters were seen; times a master on the channel outweighed silence */
	uint64_t config_digest[4];
	/* What makes a step cost as much as it changes, and not as much as there is. */
	struct timerq inst_due, group_due;
	uint16_t touched; /* first of the list */
	bool touched_all;
	uint32_t n_exposed, n_mine, n_mutes; /* groups */
	int64_t stall_ns;    /* no master-down time of ours is shorter: so late is a timer of a MASTER that slept */
	mono_t stall_looked; /* when such ones were looked for last */
	mono_t walk_at;      /* next piece of the walk */
	uint16_t walk_next, tell_next, stop_next;
};

struct node_conf {
	uint32_t id;
	struct vrrp *inst; /* vrrp_init done */
	struct node_member *member;
	uint16_t n_inst;
	struct node_group *group; /* members, policies filled in */
	uint16_t n_groups;
	struct node_peer *peer; /* node ids and groups arrays filled in */
	uint8_t n_peers;
	struct ike_tunnel *tunnel; /* ike_init done */
	uint16_t n_tunnels;
	bool has_sync, sync_gate;
	int64_t startup_delay_ns; /* after NODE_EV_START no role is taken for this long, but by an operator's force */
	bool maintenance;         /* as it was left by an earlier run */
	struct epoch stored;      /* highest epoch of an earlier run */
	uint64_t config_digest[4];
};

void node_init(struct node *n, const struct node_conf *c, mono_t now);
/* Copies an event; next is the caller's. */
void node_ev_keep(struct node_ev_kept *k, const struct node_ev *ev);
/* One event; acts is emptied first. Its capacity must be at least NODE_ACTS_FOR / NODE_MSGS_FOR. */
void node_step(struct node *n, const struct node_ev *ev, mono_t now, struct node_acts *acts);
/* After the arrays were written from outside (reload): timers and counts anew. */
void node_rebuild(struct node *n);
/* When NODE_EV_TICK is wanted. */
mono_t node_deadline(const struct node *n);

/* For `show` and the heartbeat. */
bool node_group_ready(const struct node *n, uint16_t group, mono_t now);
bool node_channel_up(const struct node_peer *p, mono_t now);
bool node_gate_open(const struct node *n, mono_t now);
/* The startup delay runs: adverts are heard, no role is taken. */
bool node_starting(const struct node *n);
/* Another node said within the last second that it could take this group. */
bool node_group_peer_ready(const struct node *n, uint16_t group, mono_t now);
bool node_sync_late(const struct node *n, mono_t now);
/* This peer acknowledged everything that we had, for this boot of both. */
bool node_peer_has_all(const struct node *n, uint32_t peer);
/* Lowest effective priority among the members: what counts between nodes. */
uint8_t node_group_priority(const struct node *n, uint16_t group);
/* The ready node with the highest priority, of equal ones that with the lowest id; 0: none. */
uint32_t node_successor(const struct node *n, uint16_t group, mono_t now);

#endif
