/*
 * Purpose: the simulation: two or three nodes (node core, replication core, netstate, imagined kernels), their segments
 *          and channel, one IKE daemon each, clients and faults, in one thread under a virtual clock.
 * Owns:    struct sim: everything of one seed.
 * Thread:  one.
 * In:      a seed, a mutant.   Out: counters, and the first violation of an invariant as text.
 * Errors:  a violation stops the seed; a require() in a core ends the process, which the parent reports with the seed.
 *
 * Nothing in here reads a clock, and no core could: time is an argument everywhere, so CLOCK_REALTIME may jump at will.
 */
#ifndef KT_TESTS_SIM_H
#define KT_TESTS_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/base/mutant.h"
#include "daemon/netstate.h"
#include "daemon/node.h"
#include "sync/sync_fsm.h"
#include "sync/sync_wait.h"
#include "tests/sim/fake_ct.h"
#include "tests/sim/fake_rtnl.h"

enum {
	SIM_NODES = 3,
	SIM_SEGS = 2, /* LAN, WAN */
	SIM_INSTS = 3,
	SIM_GROUPS = 2,
	SIM_VIPS = 2, /* per instance */
	SIM_SESS = 64,
	SIM_TUNNELS = 3, /* cold, warm, one that says goodbye and is asked periodically */
	SIM_OWN = 32,
	SIM_OPS = 64,
	SIM_EPOCHS = 512,
	SIM_INFLIGHT = 4,  /* writes of a data connection that are not read yet */
	SIM_DEAF = 255,    /* an owner that listens to nobody; it has the lowest address */
	SIM_STRANGER = 76, /* a router that is not ours: its "node" in addresses */
};
enum sim_seg { SEG_LAN = 0, SEG_WAN = 1 };
enum sim_chan { CHAN_CTL = 0, CHAN_DATA = 1, SIM_CHANS = 2 };

/* ---- counters, summed over all seeds ---- */

#define SIM_COUNT_TABLE(X)                                                 \
	X(takeover, "takeovers")                                           \
	X(planned, "planned switches")                                     \
	X(partition, "partitions")                                         \
	X(crash, "crashes")                                                \
	X(stall, "stalls")                                                 \
	X(disk_loss, "disk losses")                                        \
	X(heal, "heals")                                                   \
	X(process_death, "process deaths")                                 \
	X(adoption, "adoptions")                                           \
	X(sync_stall, "SYNC stalls")                                       \
	X(link_down, "links down")                                         \
	X(refusal, "address refusals")                                     \
	X(maintenance, "maintenances")                                     \
	X(restart, "restarts")                                             \
	X(ike_death, "IKE daemon deaths")                                  \
	X(ike_far, "far ends of tunnels started anew")                     \
	X(ike_made, "children ahead of a planned takeover")                \
	X(ike_astray, "seconds of a far end on an SA that is not there")   \
	X(ike_forged, "forged packets with an unknown SPI")                \
	X(asym, "sessions on another path")                                \
	X(flush, "entries deleted by tools")                               \
	X(slow, "slow channels")                                           \
	X(bad_adverts, "bad adverts")                                      \
	X(one_way, "cuts of one direction")                                \
	X(pause, "pauses")                                                 \
	X(pause_calm, "pauses while all was well")                         \
	X(pause_taken, "of a master, with a takeover")                     \
	X(track_fault, "tracked faults")                                   \
	X(track_points, "priorities moved by tracking")                    \
	X(deaf_owner, "owners that listen to nobody")                      \
	X(unicast, "seeds with unicast")                                   \
	X(sa_imports, "promotions with copies of SAs")                     \
	X(mixed, "seeds with version 2")                                   \
	X(owners, "seeds with two owners")                                 \
	X(echo, "version 2 echoes")                                        \
	X(preempt_delayed, "preemptions after a delay")                    \
	X(cut_stays, "times arbitration kept a deaf node BACKUP")          \
	X(three, "successions among three")                                \
	X(advert, "adverts sent")                                          \
	X(advert_lost, "adverts lost")                                     \
	X(journal, "journal entries")                                      \
	X(sessions, "sessions")                                            \
	X(packets, "packets")                                              \
	X(records, "records")                                              \
	X(claims, "claims")                                                \
	X(old_epoch, "records refused: old epoch")                         \
	X(old_version, "records refused: old version")                     \
	X(expired, "expiries told")                                        \
	X(orders, "resets and full comparisons")                           \
	X(unnamed, "sessions dropped since their owner did not name them") \
	X(hidden, "packets that no timer shows")                           \
	X(followed, "masters followed at once")                            \
	X(guard, "stall guards")                                           \
	X(gate_closed, "preemptions held by the gate")                     \
	X(warm, "seeds with a warm store")                                 \
	X(full, "seeds with full tables")                                  \
	X(stored, "sessions written out of a store")                       \
	X(commit, "stores committed in time")                              \
	X(kept, "sessions alive after a takeover with a ready standby")    \
	X(lost_told, "events lost, and told so")                           \
	X(lost_silent, "events lost silently")                             \
	X(mute, "sessions born mute")                                      \
	X(reset, "data connections reset")                                 \
	X(late, "late frames of an old stream")                            \
	X(rec_lost, "records lost by their receiver")                      \
	X(split, "splits")                                                 \
	X(both, "times with two masters")                                  \
	X(storm, "restart storms")                                         \
	X(storm_kill, "restarts in them")                                  \
	X(storm_empty, "of these with an empty table")                     \
	X(frozen, "machines frozen")                                       \
	X(flush_own, "flushes where the role is")                          \
	X(flush_copy, "flushes where the copies are")                      \
	X(heard, "entries known 5 s after a loss")                         \
	X(obeyed, "sessions ended by hand, gone on the peer in 5 s")       \
	X(back, "copies deleted by hand, back in 5 s")                     \
	X(made, "entries put in by tools without their NAT bits")          \
	X(crowd, "tables made too small")                                  \
	X(early, "entries dropped early")                                  \
	X(kern_error, "kernel errors")                                     \
	X(if_down, "interfaces set down")                                  \
	X(skipped, "sessions that must not be told")                       \
	X(marked, "sessions with a mark")                                  \
	X(recounts, "digests counted anew and compared")                   \
	X(healed_told, "buckets that differed")                            \
	X(watched, "quiet times watched")                                  \
	X(steps, "steps")

struct sim_count {
#define SIM_COUNT_FIELD(name, text) uint64_t name;
	SIM_COUNT_TABLE(SIM_COUNT_FIELD)
#undef SIM_COUNT_FIELD
};
#define SIM_COUNT_N (sizeof(struct sim_count) / sizeof(uint64_t))
const char *sim_count_text(unsigned i);

/* ---- what is on its way ---- */

enum sim_what {
	/* to CONTROL of a process: waits while the process is stopped */
	IT_ADVERT = 0, /* from, inst, bytes */
	IT_CTL,        /* from, bytes */
	IT_CTL_UP,     /* from: the connection opened */
	IT_CTL_DOWN,   /* from: the connection ended */
	IT_PROBE,      /* from, flag = refused */
	IT_REPORT,     /* report */
	IT_KT,         /* job of KERNEL done: ops, results */
	IT_RTNL,       /* events of the route socket wait */
	IT_IKE,        /* tunnel, ike */
	IT_SA,         /* SA copies of a group are installed: inst = group, epoch, flag = not all of them */
	IT_OPER,       /* operator: num = enum sim_oper, flag, inst = group */
	/* to the world */
	IT_LATE,       /* data of a connection that is over: from -> node, gen, bytes */
	IT_SYNC_FAULT, /* gen = what, num */
	IT_PUMP,       /* head of a connection's queue: num = channel, from -> node */
	IT_DISK,       /* epoch reaches the disk */
	IT_JOB,        /* KERNEL has done its present job */
	IT_FAULT,
	IT_PACKET, /* num = session */
};
#define IT_LAST_CONTROL IT_OPER

enum sim_oper { OPER_FORCE = 0, OPER_MAINTENANCE, OPER_STOP, OPER_TRACK /* inst, flag = fault, gen = priority */ };

struct sim_item {
	struct sim_item *next; /* in a list; the heap does not use it */
	mono_t at;
	uint64_t order;
	enum sim_what what;
	uint8_t node, from;
	uint16_t inst;
	uint32_t life; /* of the process it is for, 0: any */
	uint32_t gen;  /* of the connection */
	uint32_t num;
	bool flag;
	struct epoch epoch;
	struct sync_report report;
	struct ike_ev ike;
	struct sim_job *job;
	uint8_t *bytes;
	size_t len;
};

struct sim_list {
	struct sim_item *first, **last;
	unsigned n;
};
void sim_list_init(struct sim_list *l);
void sim_list_add(struct sim_list *l, struct sim_item *it);
struct sim_item *sim_list_take(struct sim_list *l);

/* A job of the KERNEL thread. */
enum sim_job_kind { JOB_ADD = 0, JOB_DEL, JOB_OWN, JOB_SWEEP };
struct sim_job {
	struct sim_job *next;
	enum sim_job_kind kind;
	unsigned n;
	struct net_op op[SIM_OPS];
	int result[SIM_OPS];
	struct own_entry own[SIM_OWN];
	uint16_t tunnel;
	uint32_t seq;
	struct epoch epoch;
};

/* ---- a process ---- */

struct sim_inst {
	int ifindex;
	bool open;
	mono_t garp_at;
	uint8_t garp_left;
	mono_t tracked_at; /* its tracked fault is known since; MONO_NEVER: there is none */
};

struct sim_group {
	struct epoch epoch;
	enum node_net_mode mode;
	bool vip_told, garp_told;
	struct net_status net, last;
	/* what the invariants remember */
	enum role_state state;
	enum role_is is;
	bool served; /* before the last step */
	struct epoch fence_asked, fenced, storing, stored;
	mono_t storing_at;
	mono_t fence_at;
	mono_t stray_since; /* addresses without a role */
	struct epoch highest;
	mono_t serves_since, ready_since;
	bool copies_in; /* copies of SAs are in the kernel */
};

/* One peer as the ctl channel of a process sees it. */
struct sim_ctl {
	bool open, hello, up;
	mono_t heard_at;
};

struct sim_sync_cmd {
	struct sim_sync_cmd *next;
	struct sync_cmd cmd;
};

/* The SYNC thread of a process. */
struct sim_sync {
	struct sync *core;
	uint8_t key[16];
	uint32_t portid;
	struct sim_sync_cmd *cmd_first, **cmd_last;
	struct sim_list rx; /* data that arrived: bytes; len 0 = stream begins; flag = stream ends */
	bool active[SIM_NODES];
	uint32_t active_gen[SIM_NODES];
	mono_t wake_at, hung_until;
	struct sync_waits flush, apply;
	uint64_t released; /* end of what has left the store for the live queue */
	struct sync_state told;
	mono_t counts_at;
	bool lost; /* an address or a link went: the route socket says so */
	bool dumping;
	uint64_t cursor;
	struct ct_event ahead[16]; /* read, not yet looked at */
	unsigned n_ahead;
	mono_t dump_at;
	mono_t order_at; /* the next reset or full comparison */
	uint64_t orders;
	/* what the invariants remember */
	struct epoch fence;
	bool muted;
};

struct sim_proc {
	uint32_t life;
	uint64_t nonce;
	mono_t started;
	bool ending, aborting; /* ends when the present event is done */
	bool synced;
	mono_t stopped_until; /* SIGSTOP: MONO_ZERO = runs */
	mono_t stopped_at;
	struct sim_list inbox;

	struct node node;
	struct vrrp inst[SIM_INSTS];
	struct node_member member[SIM_INSTS];
	struct node_group group[SIM_GROUPS];
	struct node_peer peer[SIM_NODES];
	uint16_t members[SIM_GROUPS][SIM_INSTS];
	struct ike_tunnel tunnel[SIM_TUNNELS];
	struct node_acts acts;
	unsigned depth;
	struct node_ev_kept *fed_first, **fed_last;

	struct netstate ns;
	bool net_running, net_again, net_soon;
	struct sim_job *job_first, **job_last;
	unsigned batches;
	mono_t net_at;
	struct sim_inst si[SIM_INSTS];
	struct sim_group sg[SIM_GROUPS];
	struct sim_ctl ctl[SIM_NODES];
	bool guardian;
	struct epoch role_epoch;

	struct sim_sync sync;

	/* what the invariants remember */
	struct epoch seen;
	unsigned must_drain; /* groups that slept as MASTER: silence until everything was read */
	mono_t timer_before; /* of the virtual router that a dropped packet was for */
};

/* A machine: what survives its process. */
struct sim_box {
	bool up;
	struct fake_rtnl *rtnl;
	struct fake_ct *ct;
	int ifindex[SIM_SEGS];
	struct own_entry own[SIM_OWN]; /* run directory: gone with the machine */
	uint32_t n_own;
	struct epoch disk;     /* state directory */
	struct epoch told_max; /* highest epoch this disk should know of */
	bool disk_lied;        /* a write was lost, or the disk: epochs may come again */
	bool cable[SIM_SEGS];
	bool rtnl_due;
	mono_t crowd_at; /* its table was made too small */
	/* IKE daemon */
	mono_t frozen_until; /* MONO_ZERO: it runs */
	bool ike_up;
	struct sim_sa {
		uint32_t id, child; /* 0: none */
	} sa[SIM_TUNNELS][2];       /* of the virtual address, and of the node's own */
	uint64_t ike_made;
	mono_t ike_held[SIM_TUNNELS]; /* a backup has something since; MONO_NEVER: it has not */
	struct sim_proc *p;
	bool down_on_purpose; /* the fault that ended it will start it again */
};

/* ---- the wires ---- */

struct sim_msg {
	struct sim_msg *next;
	mono_t at;
	uint8_t *bytes;
	size_t len;
};

struct sim_conn {
	bool end[2]; /* of the lower, of the higher node: it believes that it is connected */
	uint32_t gen;
	mono_t retry_at;
	int64_t retry_ns;
	mono_t bad_since; /* MONO_NEVER: the path is well */
	struct sim_msg *first[2], **last[2];
	unsigned n[2]; /* on their way or not read yet */
	mono_t last_at[2];
};

struct sim_wire {
	bool cut[SIM_NODES][SIM_NODES]; /* from, to */
	double loss;
	int64_t delay_ns, jitter_ns;
	double dup;
};

/* ---- load ---- */

/* What the policy makes of it; everything but the first must never be told. */
enum sim_kind {
	KIND_THROUGH = 0,
	KIND_LOCAL_ORIGIN,
	KIND_LOCAL_DEST,
	KIND_IGNORED,
	KIND_PROTO_OFF,
	KIND_NODE_ADDR,
};
#define KINDS (KIND_NODE_ADDR + 1)

enum sim_sess_state { SESS_FREE = 0, SESS_OPEN, SESS_CLOSING, SESS_ENDED };
struct sim_sess {
	enum sim_sess_state state;
	enum sim_kind kind;
	int home;      /* the node whose own session it is; -1: none */
	uint32_t mark; /* what the rules set with each packet */
	bool safe;     /* its last packet and answer got through after the world came to rest */
	uint8_t l4;
	bool nat, idle, well;      /* well: the last packet and its answer got through */
	struct ct_tuple orig, out; /* as the client sends it, as the server saw the first packet */
	uint8_t step;
	mono_t last, opened;
	int pin;                 /* node that forwards it whatever ARP says; -1: none */
	mono_t flushed;          /* somebody's tool deleted it */
	int must;                /* node that has to know it: taken over with everything replicated; -1: none */
	int by;                  /* node that forwarded last */
	mono_t ended[SIM_NODES]; /* this node heard its owner say that it ended */
	mono_t seen[SIM_NODES];  /* last packet forwarded by this node's kernel, in its session */
};

/* ---- everything ---- */

/* What a node said last on the channel of a group. */
struct sim_said {
	mono_t at; /* MONO_NEVER: nothing, or the channel is down since */
	uint8_t role, priority;
	bool ready, maintenance, leaving;
	uint32_t successor;
};

/* Something that is heard again and again. */
struct sim_span {
	mono_t since, last;
};

struct sim_epoch {
	struct epoch e;
	uint32_t node, life;
	uint16_t group;
};

struct sim {
	uint64_t seed, rng[4];
	struct {
		uint64_t rng;
		uint32_t ids; /* given out */
		struct sim_far {
			uint32_t vip, own[SIM_NODES], child; /* IKE SAs, and the child that it sends to */
			unsigned lost;
		} far[SIM_TUNNELS];
	} ike;
	mono_t now;
	uint64_t order;
	struct sim_item **heap;
	size_t n_heap, cap_heap;

	unsigned n_nodes, n_groups, n_inst;
	int64_t adv_ns, lease_ns;
	struct vrrp_conf conf[SIM_NODES][SIM_INSTS];
	struct vrrp_vip vips[SIM_INSTS][SIM_VIPS];
	struct sync_conf sync_conf[SIM_NODES];
	bool preempt, degrade;
	bool full_tables;
	mono_t met[SIM_NODES][SIM_NODES]; /* both say that their channel is up since */
	struct sim_followed {
		mono_t at;
		unsigned node;
		bool was_ready;
	} followed[SIM_GROUPS]; /* who followed a departing master last */
	int64_t startup_ns;
	bool unicast, owners, arbitrate;
	struct sim_said said[SIM_NODES][SIM_NODES][SIM_GROUPS]; /* to, from */
	struct vrrp_unicast_peer upeer[SIM_INSTS][SIM_NODES];
	/* what the invariants of the election remember */
	struct sim_span deaf[SIM_NODES][SIM_INSTS];  /* MASTER beside an owner that listens to nobody */
	struct sim_span lower[SIM_NODES][SIM_INSTS]; /* lower masters */
	unsigned deaf_left;                          /* advertisements that it still sends */
	struct {
		bool on, master; /* of a MASTER, while all else was well */
		unsigned node;
		mono_t at, until;
	} pause;
	struct {
		uint64_t echoes;
		enum vrrp_state state;
		mono_t deadline;
	} before;

	struct sim_box box[SIM_NODES];
	uint32_t lives;
	struct sim_wire seg[SIM_SEGS], chan;
	int arp[SIM_SEGS];                                     /* node that announced last, -1: none */
	struct sim_conn conn[SIM_NODES][SIM_NODES][SIM_CHANS]; /* [lower][higher] */
	struct sim_sess sess[SIM_SESS];
	uint32_t next_port;
	mono_t tick_at, check_at;
	mono_t both_since[SIM_NODES][SIM_NODES][SIM_INSTS]; /* two masters that can hear each other */
	mono_t both_heard[SIM_NODES][SIM_NODES][SIM_INSTS];
	mono_t fault_at, fault_before; /* the last change of a fault, and the one before */

	int born_at;                  /* node that new sessions go through whatever ARP says; -1: none, -2: any */
	uint32_t lose_rec[SIM_NODES]; /* records of sessions that this node's SYNC loses, each second one */
	bool both_now, watch_claims;
	mono_t watch_until; /* MONO_NEVER: not yet */
	struct sync_stats watch[SIM_NODES];
	struct epoch watch_epoch;

	unsigned episodes;
	bool healing, done;
	mono_t heal_at, one_since;
	struct sim_epoch epochs[SIM_EPOCHS];
	unsigned n_epochs;
	struct {
		struct epoch e;
		bool used;
	} gos[64];
	unsigned n_gos;

	bool trace, failed;
	uint16_t port; /* --port: this session is followed through events, records and operations */
	char why[512];
	struct sim_count count;
};

/* sim_world.c */
uint64_t sim_rand(struct sim *w);
uint64_t sim_below(struct sim *w, uint64_t n);
bool sim_chance(struct sim *w, double p);
int64_t sim_range(struct sim *w, int64_t lo, int64_t hi);
struct sim_item *sim_item_new(struct sim *w, enum sim_what what, unsigned node);
void sim_item_free(struct sim_item *it);
void sim_post(struct sim *w, struct sim_item *it, int64_t delay_ns);
/* Hands it to the node's CONTROL: now, or after it wakes. */
void sim_give(struct sim *w, struct sim_item *it);
void sim_violation(struct sim *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sim_trace(struct sim *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define TRACE(w, ...)                                \
	do {                                         \
		if ((w)->trace)                      \
			sim_trace((w), __VA_ARGS__); \
	} while (0)
/* Runs one seed; false: a violation, told in w->why. */
bool sim_run(struct sim *w, uint64_t seed, bool trace, uint16_t port);

/* sim_node.c */
void sim_proc_start(struct sim *w, unsigned n);
enum sim_end { END_CLEAN = 0, END_KILLED, END_MACHINE };
void sim_proc_end(struct sim *w, unsigned n, enum sim_end how);
void sim_feed(struct sim *w, unsigned n, const struct node_ev *ev);
void sim_control(struct sim *w, struct sim_item *it);
void sim_control_due(struct sim *w, unsigned n);
void sim_stop(struct sim *w, unsigned n, int64_t ns);
void sim_resume(struct sim *w, unsigned n);
bool sim_runs(const struct sim *w, unsigned n); /* a process, and not stopped */
uint32_t sim_node_id(unsigned n);
int sim_node_of(uint32_t id);

/* sim_kern.c */
void sim_boot(struct sim *w, unsigned n);
void sim_ct_end(struct sim *w, unsigned n); /* the conntrack table goes, what it counted stays */
void sim_net_start(struct sim *w, unsigned n);
void sim_net_mode(struct sim *w, unsigned n, uint16_t group, enum node_net_mode mode, struct epoch epoch);
void sim_net_prepare(struct sim *w, unsigned n, uint16_t group);
void sim_net_run(struct sim *w, unsigned n);
void sim_net_events(struct sim *w, unsigned n);
void sim_net_soon(struct sim *w, unsigned n); /* the route socket has something */
void sim_kt_done(struct sim *w, struct sim_item *it);
void sim_kt_result(struct sim *w, struct sim_item *it);
void sim_kt_put(struct sim *w, unsigned n, struct sim_job *j);
void sim_garps(struct sim *w, unsigned n);
mono_t sim_garp_at(const struct sim *w, unsigned n);
void sim_cable(struct sim *w, unsigned n, unsigned seg, bool in);
unsigned sim_vips_here(const struct sim *w, unsigned n, uint16_t group);

/* sim_wire.c */
struct addr sim_addr(uint16_t inst, unsigned n);
void sim_advert(struct sim *w, unsigned n, uint16_t inst, uint8_t priority);
/* refuse: it has to be dropped. */
void sim_advert_to(struct sim *w, unsigned from, unsigned to, uint16_t inst, const uint8_t *bytes, size_t len, int ttl,
		   bool refuse);
void sim_bad_advert(struct sim *w, unsigned to, uint16_t inst);
void sim_ctl_send(struct sim *w, unsigned n, uint32_t peer, const struct peer_msg *m);
bool sim_path(const struct sim *w, unsigned a, unsigned b); /* both directions, both machines up */
void sim_conns(struct sim *w);
void sim_conn_ended(struct sim *w, unsigned n, enum sim_end how);
void sim_conn_pump(struct sim *w, struct sim_item *it);
struct sim_conn *sim_conn_of(struct sim *w, unsigned a, unsigned b, enum sim_chan c);
/* False: too much on its way. bytes pass. */
bool sim_conn_room(struct sim *w, unsigned from, unsigned to, enum sim_chan c);
void sim_conn_send(struct sim *w, unsigned from, unsigned to, enum sim_chan c, const void *bytes, size_t len);
void sim_probe(struct sim *w, unsigned n, uint32_t peer);
/* The connection ends at once: ends is a bit set, 1 = the lower node learns of it, 2 = the higher one. */
void sim_conn_reset(struct sim *w, unsigned a, unsigned b, enum sim_chan c, unsigned ends);
int64_t sim_delay(struct sim *w, const struct sim_wire *x);

/* sim_sync.c */
void sim_sync_start(struct sim *w, unsigned n);
void sim_sync_end(struct sim *w, unsigned n);
void sim_sync_cmd(struct sim *w, unsigned n, const struct sync_cmd *cmd);
void sim_sync_data(struct sim *w, struct sim_item *it);
void sim_sync_wake(struct sim *w, unsigned n);
void sim_sync_kick(struct sim *w, unsigned n, int64_t delay_ns);
void sim_sync_ct(struct sim *w, unsigned n); /* the conntrack socket may have something */
void sim_sync_addr_lost(struct sim *w, unsigned n);

/* sim_ike.c */
void sim_ike_act(struct sim *w, unsigned n, const struct node_act *act);
void sim_sa_begin(struct sim *w, unsigned n);
void sim_sa_import(struct sim *w, unsigned n, uint16_t group, struct epoch epoch);
void sim_ike_daemon(struct sim *w, unsigned n, bool up);
void sim_ike_hello(struct sim *w, unsigned n);
void sim_ike_boot(struct sim *w, unsigned n);
void sim_ike_conf(struct sim *w, unsigned t, struct ike_tunnel_conf *c);
void sim_ike_second(struct sim *w); /* each second */
/* After the last fault: who serves has every tunnel, who does not keeps the warm one. */
bool sim_check_ike(const struct sim *w, char *why, size_t cap);

/* sim_load.c */
void sim_load_start(struct sim *w);
void sim_packet(struct sim *w, struct sim_item *it);
void sim_load_forget(struct sim *w, unsigned n); /* the machine's table is gone */

/* sim_fault.c */
void sim_fault_start(struct sim *w);
void sim_fault(struct sim *w, struct sim_item *it);
void sim_fault_revive(struct sim *w); /* whoever stopped in order is started again */
void sim_fault_boot(struct sim *w, unsigned n);
void sim_fault_changed(struct sim *w); /* a new fault, or the end of one */

/* sim_fault_sync.c */
void sim_fault_sync(struct sim *w, unsigned n); /* one episode; n: mostly the node that matters */
void sim_fault_sync_item(struct sim *w, struct sim_item *it);
void sim_fault_sync_heal(struct sim *w);

/* sim_group.c */
void sim_group_tick(struct sim *w);
void sim_group_commits(struct sim *w, unsigned n, unsigned g);

/* sim_vrrp.c */
void sim_vrrp_kinds(struct sim *w);
void sim_vrrp_forget(struct sim *w, unsigned n);
void sim_vrrp_before(struct sim *w, unsigned n, const struct node_ev *ev);
void sim_vrrp_after(struct sim *w, unsigned n, const struct node_ev *ev);
/* On the channel; NULL: it went down. */
void sim_vrrp_said(struct sim *w, unsigned n, unsigned from, const struct peer_msg *m);
/* A group begins to prepare for a promotion. */
void sim_vrrp_begins(struct sim *w, unsigned n, unsigned g);
void sim_vrrp_preempts(struct sim *w, unsigned n, unsigned g);
void sim_vrrp_commits(struct sim *w, unsigned n, unsigned g);
void sim_vrrp_deaf(struct sim *w, uint16_t inst);

/* sim_track.c: what is tracked */
/* Does it fail in this world? */
bool sim_track_wanted(const struct sim *w);
/* What this instance tracks becomes a fault, or moves the priorities of its group. */
void sim_track_fail(struct sim *w, unsigned n, unsigned inst);
/* All is well with everything that the node tracks. */
void sim_track_calm(struct sim *w, unsigned n);
/* After each step of its core. */
void sim_track_check(struct sim *w, unsigned n);
void sim_vrrp_pause(struct sim *w);
void sim_vrrp_resumes(struct sim *w, unsigned n);

/* sim_check.c */
void sim_check_before(struct sim *w, unsigned n, const struct node_ev *ev);
void sim_check_act(struct sim *w, unsigned n, const struct node_act *act);
void sim_check_after(struct sim *w, unsigned n, const struct node_ev *ev);
void sim_check_op(struct sim *w, unsigned n, const struct ct_op *op);
/* SYNC of n hears that this flow ended, or ran out, at its owner. */
void sim_check_end(struct sim *w, unsigned n, const struct ct_tuple *orig);
void sim_check_tick(struct sim *w);
void sim_check_heard(struct sim *w, unsigned from, unsigned to, uint16_t inst);
bool sim_check_one_master(struct sim *w, char *why, size_t cap);
bool sim_check_tables(struct sim *w, char *why, size_t cap);
/* Nothing is on its way between two SYNC threads that run and hear each other. */
bool sim_check_quiet(const struct sim *w, unsigned a, unsigned b);
const struct sim_sess *sim_check_session(const struct sim *w, const struct ct_tuple *orig);

/* A record as it stands: what `show` makes of it is another matter. */
struct sim_rec {
	struct ct_tuple orig, reply;
	struct flow_version version;
	bool synced, mine, ending, stored;
	uint8_t why, err, tcp_state;
	uint32_t flags, mark;
};
bool sim_rec_find(const struct sync *s, const struct ct_tuple *orig, struct sim_rec *out);

/* sim_check_sync.c */
void sim_check_sync_tick(struct sim *w); /* each 10 ms */
void sim_check_dropped(struct sim *w);
void sim_check_sync_second(struct sim *w); /* each second */
/* Something else than a session that is to be replicated is told, or written. */
void sim_check_told(struct sim *w, unsigned n, const struct sync_rec *rec);
void sim_check_touched(struct sim *w, unsigned n, const struct ct_op *op);
/* Both kernels, entry by entry; dispositions; digests; sessions in use. */
bool sim_check_kernels(struct sim *w, char *why, size_t cap);
/* The world is at rest for a second time: what was repaired meanwhile had no cause. */
void sim_check_watch(struct sim *w);
void sim_check_watched(struct sim *w);

/* sim_store.c */
void sim_store_kinds(struct sim *w);
struct fake_ct *sim_store_table(struct sim *w, unsigned n);
void sim_store_level(struct sim *w, unsigned n);
void sim_store_check(struct sim *w, unsigned n, const struct ct_op *ops, unsigned k, bool from_store);
void sim_store_fenced(struct sim *w, unsigned n, bool storing);
void sim_store_after(struct sim *w, unsigned n);

#endif
