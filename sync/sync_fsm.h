/*
 * Purpose: session replication as one pure machine: kernel events, peers' records and commands in; records for the peers
 *          and operations for the kernel out. Every decision of replication is taken here.
 * Owns:    struct sync: session table, dirty set, injector queues, digests, ownership, counters.
 * Thread:  SYNC only (the simulation: its single thread).
 * In:      sync_on_*, commands, time.
 * Out:     sync_pull_rec, sync_pull_ops, sync_deadline, sync_state, counters, a view.
 * Errors:  init and reconf return 0 or negative; everything else that goes wrong is counted (struct sync_stats) and
 *          shown.
 *
 * The driver's loop: feed what arrived; then, per connected peer, sync_pull_rec until false or the socket is full; then
 * sync_pull_ops (at most CT_IO_BATCH), send, and report EVERY operation's result in order before the next pull (entries
 * that a GET returned go to sync_on_ct_event before its result); sync_tick at sync_deadline. When sync_sweep_wanted
 * says so: dump the kernel's table at sync_sweep_rate entries a second between sync_sweep_begin and sync_sweep_end.
 * Backlog: the dirty set holds a session at most once; queues are links inside the records. Nothing here grows with the
 * number of events.
 */
#ifndef KT_SYNC_SYNC_FSM_H
#define KT_SYNC_SYNC_FSM_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/mono.h"
#include "sync/ct.h"
#include "sync/rec.h"
#include "sync/sess_tbl.h"
#include "sync/sync.h"
#include "sync/sync_ask.h"
#include "sync/sync_conf.h"
#include "sync/sync_count.h"
#include "sync/sync_digest.h"
#include "sync/sync_lag.h"
#include "sync/sync_owner.h"
#include "sync/sync_policy.h"
#include "sync/sync_reject.h"
#include "sync/sync_store.h"

#define SYNC_EXPIRE_DELAY_NS (2 * NS_PER_SEC)  /* from a destroy that looks like expiry to EXPIRED */
#define SYNC_DIGEST_NS       NS_PER_SEC        /* between two DIGESTs in a stream */
#define SYNC_ACK_NS          (50 * NS_PER_MS)  /* shortest distance of two ACKs */
#define SYNC_JOIN_NS         (60 * NS_PER_SEC) /* events are listened to for this long after evidence */
#define SYNC_LEAVE_NS        (10 * NS_PER_SEC) /* and this long after a demotion */
#define SYNC_ALIVE_NS        (10 * NS_PER_SEC) /* how long an advert heard speaks for an owner whose channel is cut */
#define SYNC_LOSS_NS         (10 * NS_PER_SEC) /* no digest is told this long after an interface or address was lost */
#define SYNC_SWEEP_NS        (2 * NS_PER_SEC)  /* pause between two sweeps, at least */
#define SYNC_SWEEP_REST_NS   (8 * NS_PER_SEC)  /* at most, where nothing is amiss ... */
#define SYNC_SWEEP_SHARE     400               /* ... and sweeps take one part in so many of a processor's time */
#define SYNC_LEFTOVER_NS     (10 * NS_PER_SEC) /* left-overs of an earlier life are idle for so long at least */
#define SYNC_SWEEP_RATE      2000              /* entries per second, at least */
#define SYNC_WALK_BUDGET     1024              /* records looked at per walk and tick */
#define SYNC_RAW_MAX         64                /* deletions by exact tuple that wait */

/* name, text. Counters only grow. */
#define SYNC_STATS_TABLE(X)                                                                                   \
	X(events_new, "NEW events")                                                                           \
	X(events_update, "UPDATE events")                                                                     \
	X(events_destroy, "DESTROY events")                                                                   \
	X(events_dump, "entries read by GET or by the first dump")                                            \
	X(events_own, "events of our own injector that got through the filter")                               \
	X(overruns, "times that events were lost")                                                            \
	X(table_full, "sessions not tracked: the session table is full")                                      \
	X(tx_created, "sessions told as new")                                                                 \
	X(tx_updated, "session changes told")                                                                 \
	X(tx_deleted, "ends told as DELETE")                                                                  \
	X(tx_expired, "ends told as EXPIRED")                                                                 \
	X(tx_claims, "CLAIMs told")                                                                           \
	X(tx_currents, "CURRENTs told")                                                                       \
	X(tx_wants, "WANTs told")                                                                             \
	X(tx_bulk, "sessions told in bulk")                                                                   \
	X(tx_records, "records handed out")                                                                   \
	X(cancelled, "sessions that began and ended before they were told")                                   \
	X(expire_forgotten, "expiries not told: an interface, an address or the role was lost")               \
	X(destroy_forgotten, "ends not told: no authority")                                                   \
	X(rx_records, "records taken in")                                                                     \
	X(rx_created, "copies made known by a peer")                                                          \
	X(rx_updated, "changes of copies")                                                                    \
	X(rx_deleted, "copies ended by DELETE")                                                               \
	X(rx_expired, "EXPIREDs received")                                                                    \
	X(rx_claims, "flows that a peer claimed")                                                             \
	X(rx_wants, "WANTs received")                                                                         \
	X(rx_unknown, "records about a flow or handle that is not known here")                                \
	X(refused_epoch, "records refused: below the fence")                                                  \
	X(refused_version, "records refused: below the flow's version")                                       \
	X(refused_sender, "records refused: the version names another node")                                  \
	X(refused_range, "records refused: a version or handle out of range")                                 \
	X(refused_full, "records refused: the session table is full")                                         \
	X(tx_refused, "REFUSEDs told")                                                                        \
	X(rx_refused, "sessions of ours that a peer's kernel refused")                                        \
	X(refused_local, "records refused: the flow is local to this box")                                    \
	X(only_create, "records applied create-only")                                                         \
	X(claims, "flows claimed here by evidence")                                                           \
	X(evidence, "traffic found by a timer that moved")                                                    \
	X(op_created, "copies written into the kernel")                                                       \
	X(op_updated, "copies updated in the kernel")                                                         \
	X(op_renewed, "leases renewed")                                                                       \
	X(op_restored, "own flows set to their full timeout after a takeover")                                \
	X(op_strict, "flows taken over that got strict TCP windows again")                                    \
	X(op_strict_failed, "flows whose TCP windows the kernel would not make strict")                       \
	X(op_deleted, "copies deleted from the kernel")                                                       \
	X(op_asked, "entries read from the kernel")                                                           \
	X(op_exist, "creates that found an entry")                                                            \
	X(op_noent, "operations that found no entry")                                                         \
	X(op_create_failed, "creates the kernel refused")                                                     \
	X(op_update_failed, "updates the kernel refused")                                                     \
	X(op_renew_failed, "renewals the kernel refused")                                                     \
	X(op_delete_failed, "deletes the kernel refused")                                                     \
	X(op_full, "creates refused for want of space in the kernel's table")                                 \
	X(op_collision, "creates refused since another flow holds the translated address")                    \
	X(op_retried, "failed copies tried again")                                                            \
	X(op_dropped, "operations dropped: the flow had become ours")                                         \
	X(store_warm, "copies kept in the store by configuration")                                            \
	X(store_full, "copies kept in the store: no room below the high-water mark")                          \
	X(store_out, "flows taken out of the store")                                                          \
	X(store_back, "copies taken back from the kernel into the store")                                     \
	X(store_commits, "commits of a store that held something")                                            \
	X(lost, "copies that vanished here")                                                                  \
	X(vanished, "own entries that vanished unseen")                                                       \
	X(found, "entries of the kernel that no record explained")                                            \
	X(leftovers, "entries of an earlier life of this node, removed: the peers do not know them any more") \
	X(repaired, "copies whose kernel entry was missing or differed and was set right")                    \
	X(offered, "flows told to their owner, who did not know them")                                        \
	X(extra, "copies that their owner did not name")                                                      \
	X(rejudgings, "walks over the sessions after a change of addresses, networks, role or configuration") \
	X(judged_in, "sessions that such a walk took into replication")                                       \
	X(judged_out, "sessions that such a walk took out of replication")                                    \
	X(judged_local, "copies removed: an address of this box has become their end")                        \
	X(node_address, "sessions left out: translated to this node's own address")                           \
	X(grown, "sessions told after their least age")                                                       \
	X(sweeps, "sweeps ended")                                                                             \
	X(digests_equal, "DIGESTs compared equal")                                                            \
	X(digests_differ, "DIGESTs that differed")                                                            \
	X(buckets_early, "requests for buckets that came too soon after the last")                            \
	X(buckets_resent, "buckets sent again after a difference")                                            \
	X(bulks, "bulks begun")                                                                               \
	X(rx_asks, "questions of a peer about a session")                                                     \
	X(rx_asks_refused, "questions of a peer that were too many, not answered")                            \
	X(rx_answers_late, "answers of a peer that nobody waits for any more")                                \
	X(rx_resyncs, "full bulks that a peer asked for")                                                     \
	X(resyncs, "resets and full comparisons begun by an operator")                                        \
	X(reset_forgotten, "copies that a reset forgot: they were not in the kernel")                         \
	X(reset_judged, "own flows judged anew by a reset")

struct sync_stats {
#define SYNC_STATS_FIELD(name, text) uint64_t name;
	SYNC_STATS_TABLE(SYNC_STATS_FIELD)
#undef SYNC_STATS_FIELD
};
#define SYNC_STATS_N (sizeof(struct sync_stats) / sizeof(uint64_t))
/* Name and text of the i-th counter, i < SYNC_STATS_N; its value is ((const uint64_t *)stats)[i]. */
const char *sync_stats_name(unsigned i);
const char *sync_stats_text(unsigned i);

/* Sender-relative handle -> our id: a flat array in pages of 1024, found through two levels of them. */
#define SYNC_HANDLE_TOP 4096
struct sync_handles {
	struct slab pages;
	uint32_t top[SYNC_HANDLE_TOP];
};

#define SYNC_FULL_MAX    16         /* refused for want of room, waiting to be told; more: the digest tells */
#define SYNC_BUCKETS_NS  NS_PER_SEC /* between two repairs that a peer asks for */
#define SYNC_UNKNOWN_MAX 64         /* handles that a peer uses and we do not know, waiting to be asked for */

struct sync_bulk_tx {
	bool wanted, running;
	uint8_t mask[SYNC_BUCKETS / 8];
	struct sess_walk walk;
	uint64_t end_seq;  /* sequence of the last full BULK_END, 0: none yet */
	bool full;         /* all buckets */
	unsigned n_differ; /* buckets found different so far */
};

struct sync_bulk_rx {
	bool open, clean;   /* clean: it began with no SEEN mark of an earlier one left, and no floor rose since */
	struct epoch epoch; /* newest that its sender knew of when it began */
	bool reborn;      /* the first full one of a new boot: what is not named there was forgotten, it did not end */
	bool forgot;      /* its sender has forgotten what did not end */
	bool marks_clean; /* the walk after the last one is done */
	bool walking;
	uint8_t mask[SYNC_BUCKETS / 8];
	struct sess_walk walk;
};

struct sync_peer {
	uint32_t node;
	unsigned slot;
	bool up;
	uint64_t boot_nonce;
	bool reborn; /* a new boot, whose first full bulk is not over */
	bool forget; /* a new boot: what its former life was told counts no more, once the count anew has passed */
	mono_t up_at, down_at, heard_at;
	mono_t acked_at; /* it acknowledged something new */
	uint8_t gen;     /* stream generation 1..3 */
	/* out */
	uint64_t tx_seq;
	uint32_t cursor; /* next record of the dirty list to look at */
	bool floor_due, floor_heard;
	struct sync_bulk_tx bulk;
	bool has_all;      /* everything we had when it joined is acknowledged as stored */
	bool joined;       /* the same, of any connection of its present life */
	bool met;          /* an earlier life of it had everything */
	uint64_t acked;    /* our records that it has stored */
	uint32_t refusing; /* our sessions that its kernel refuses */
	mono_t digest_at;
	bool digest_due, their_equal;
	uint64_t their_seq; /* its record that said so first */
	uint64_t digest_seq_sent;
	/* in */
	uint64_t rx_seq, data_seq; /* last record; last one that wants an ACK */
	uint64_t stored_seq;       /* everything up to here is stored or refused */
	uint64_t barrier_seq, barrier_at[SESS_QUEUES];
	bool barrier, ack_due;
	mono_t ack_at;
	bool have_all; /* its first full bulk is complete */
	bool knew;     /* and it has known an earlier life of this node */
	bool
	    forgot; /* something of ours went that had not ended, and the peer has not been told yet that it may have */
	uint64_t forgot_seq, forgot_end;  /* our last record before it went; the BULK_END that has told it, 0: none */
	bool unproven;                    /* no comparison has shown yet that it knew what our last floor made ours */
	uint64_t unproven_seq;            /* our last record before that floor */
	uint64_t digest_seq, digest_told; /* last compared, last published */
	bool digest_equal; /* the last comparison of its DIGEST, published when what came before it is stored */
	bool equal;
	mono_t equal_at;
	unsigned buckets_next; /* next bucket to report, SYNC_BUCKETS: none */
	int64_t repair_ns;     /* pause after a repair: doubles while repairs do not help */
	mono_t repair_until;   /* a repair was asked for: no second one before */
	uint32_t refused;      /* its sessions that our kernel refuses */
	uint32_t unknown[SYNC_UNKNOWN_MAX];
	unsigned n_unknown;
	struct ct_tuple full[SYNC_FULL_MAX]; /* its sessions that found no room here and it does not know that */
	unsigned n_full;
	mono_t buckets_until; /* a repair was served: no second one before */
	struct sync_bulk_rx rx_bulk;
	struct sync_handles handles;
	struct sync_asks asks;
	struct sync_again again;
	struct sync_lag lag;
};

#define SYNC_ACCT_OUT 256 /* totals that wait to be told, by id */

struct sync_acct_out {
	uint32_t id;
	uint64_t packets, bytes;
};

struct sync_queue {
	uint32_t head, tail;
	uint64_t put, done; /* counts: everything put is done exactly once, in order */
	uint32_t waiting;
};

/* Large (some hundred KiB): allocate it, never on a stack. */
struct sync {
	const struct sync_conf *conf;
	uint64_t boot_nonce;
	mono_t t0;
	uint32_t self_slot;
	uint32_t portid; /* of the own injector, 0: not known */
	struct sess_tbl tbl;
	struct sync_owner owner;
	struct sync_locals locals;
	struct sync_timeouts timeouts;
	struct sync_peer peers[SESS_NODES]; /* by slot - 1; the own one is unused */
	struct digest_set sets[SESS_NODES]; /* by owner's slot - 1 */
	struct sess_walk recount;           /* digests are being counted anew: owners changed without a walk */
	bool recounting;
	bool disowned; /* ... for the floor was ours: packets of that time have moved timers of what are copies now */
	uint32_t own_before, copies_before; /* shown while counting anew */
	uint32_t dirty_head, dirty_tail, n_dirty;
	uint32_t expiry_head, expiry_tail;
	uint32_t young_head[SYNC_PROTO_N], young_tail[SYNC_PROTO_N], n_young;
	struct sync_acct_out acct_out[SYNC_ACCT_OUT];
	uint64_t filter_hits[SYNC_IGNORE_MAX];
	struct addr node_address;              /* the last one that a session was left out for */
	mono_t role_at;                        /* this node took a role, or all roles */
	struct sync_queue queues[SESS_QUEUES]; /* by enum sess_queue */
	struct ct_tuple raw[SYNC_RAW_MAX];
	unsigned n_raw;
	struct sync_store_state store;
	mono_t bulk_at;
	int64_t bulk_credit; /* milli-operations */
	mono_t join_until;
	mono_t lost_at; /* last loss of an interface, an address or the role */
	bool flushing;
	/* walks */
	struct sess_walk policy_walk, retry_walk, missing_walk, former_walk;
	bool policy_walking, retry_walking, missing_walking, former_walking;
	bool former_due; /* copies of an earlier life may be there */
	uint32_t n_failed;
	mono_t retry_at;
	int64_t retry_ns;
	/* sweep */
	bool sweeping, sweep_parity, sweep_hurry, sweep_again;
	bool sweep_marks;  /* marks of this parity are being set since the last complete sweep */
	bool sweep_judges; /* this sweep looks for left-overs; the next one that does so begins at judge_at or later */
	bool sweep_news;   /* it has shown something that the next one has to look at again */
	bool sweep_calm;   /* the last one was complete and set nothing right, and nothing has happened since */
	int64_t sweep_cost;
	mono_t sweep_began;
	uint64_t sweep_finds; /* how much was ever found amiss, when the last one ended */
	mono_t sweep_at, judge_at;
	mono_t read_from, pulled_at; /* what is read is no older than that; the last operations were handed out then */
	uint64_t sweeps_done;        /* complete ones; no counter: nothing sets it to zero */
	struct sync_reset reset;
	struct sync_count count;
	struct sync_stats stats;
	uint64_t rejected[SYNC_REJ_N], peer_rejected[SYNC_REJ_N]; /* copies refused here; sessions of ours, by a peer */
};

/*
 * key: 16 random bytes of this boot: hash of the table and of our own digests (hello.digest_key). conf must outlive s
 * or be replaced. 0, -ENOMEM, or ERR_CONFIG: self is not among conf->nodes.
 */
int sync_init(struct sync *s, const struct sync_conf *conf, uint64_t boot_nonce, const uint8_t key[16], mono_t now);
void sync_free(struct sync *s);
/* New configuration. ERR_STATE: another own node id, or more new node ids than there are slots; nothing is changed. */
int sync_reconf(struct sync *s, const struct sync_conf *conf, mono_t now);
/* Port id of the injector's socket, and the kernel's timers; both may be called at any time. */
void sync_own_portid(struct sync *s, uint32_t portid);
void sync_set_timeouts(struct sync *s, const struct sync_timeouts *t);

/* Kernel side. */
void sync_on_ct_event(struct sync *s, const struct ct_event *ev, mono_t now);
void sync_on_overrun(struct sync *s, mono_t now);
/* cookie of the operation; err is 0 or -errno. */
void sync_on_op_result(struct sync *s, uint32_t cookie, int err, mono_t now);
bool sync_sweep_wanted(const struct sync *s, mono_t now);
/* Entries per second at which the dump should be read; 0: as fast as possible. */
uint32_t sync_sweep_rate(const struct sync *s);
/* At least so many, where reading them takes more than a SYNC_SWEEP_SHARE-th of a processor's time. */
uint32_t sync_sweep_least(const struct sync *s);
/* Begin again after a restart of the dump is allowed. complete = false: the dump failed, what it did not show means
 * nothing. */
void sync_sweep_begin(struct sync *s, mono_t now);
void sync_on_sweep_entry(struct sync *s, const struct ct_entry *e, mono_t now);
/* Entries of a dump and answers to GET that follow show the kernel at some instant from this one on, until it is called
 * again; at first and with MONO_NEVER: at that of their `now`. */
void sync_read_from(struct sync *s, mono_t from);
/* Processor time that the running sweep has taken, told before its end: the dearer, the longer the pause after it. */
void sync_sweep_cost(struct sync *s, int64_t ns);
void sync_sweep_end(struct sync *s, bool complete, mono_t now);
/* Fills at most max operations (cookie set); returns how many. Live before bulk before renewals. */
unsigned sync_pull_ops(struct sync *s, struct ct_op *out, unsigned max, mono_t now);
/* Join the groups NEW and UPDATE (DESTROY always)? */
bool sync_wants_events(const struct sync *s, mono_t now);

/* Peers. digest_key: from its hello. A second up without a down is a reconnect. -ENOENT: not a configured node. */
int sync_peer_up(struct sync *s, uint32_t node, uint64_t boot_nonce, const uint8_t digest_key[16], mono_t now);
void sync_peer_down(struct sync *s, uint32_t node, mono_t now);
/* Its adverts were heard (SYNC_CMD_PEER_ALIVE); node 0: all peers. */
void sync_peer_alive(struct sync *s, uint32_t node, mono_t now);
void sync_on_record(struct sync *s, uint32_t node, const struct sync_rec *rec, mono_t now);
/*
 * The next record for this peer, or false: nothing now. What is handed out counts as sent: after a failed connection
 * call sync_peer_down, everything is told anew then. Order: FLOOR, ACK, live, DIGEST, COUNTS, bulk.
 */
bool sync_pull_rec(struct sync *s, uint32_t node, struct sync_rec *out, mono_t now);

/* Commands (SYNC_CMD_*); each is O(1) in sessions. */
void sync_fence(struct sync *s, struct epoch epoch, mono_t now); /* also joins the event groups */
void sync_join(struct sync *s, mono_t now);
void sync_authority(struct sync *s, const struct sync_authority *a, mono_t now);
/* Planned switch, old master: no destroy is told any more. Then sync_flushed is asked until true. */
void sync_flush_begin(struct sync *s, mono_t now);
/* True when nothing waits for this peer (or it is down); *seq gets the sequence of the last record handed out. */
bool sync_flushed(const struct sync *s, uint32_t node, uint64_t *seq);
/* Planned switch, new master: everything up to seq of this peer is in the kernel, or refused. */
bool sync_applied(struct sync *s, uint32_t node, uint64_t seq, mono_t now);
void sync_demoting(struct sync *s, mono_t now);
void sync_stable(struct sync *s, mono_t now);
/* Delete one entry by exact original tuple, whatever it is. ERR_FULL: SYNC_RAW_MAX wait already. */
int sync_delete_ct(struct sync *s, const struct ct_tuple *orig, mono_t now);
/* This node's interface addresses. 0 or ERR_FULL. A vanished address counts as a loss. */
int sync_local_addrs(struct sync *s, const struct addr *addrs, uint32_t n, mono_t now);
/* The networks of the interfaces that sync.ignore names. 0 or ERR_FULL: the old ones stay. */
int sync_local_nets(struct sync *s, const struct sync_net *nets, uint32_t n);
/* Sessions that a rule of sync.ignore has left out since the rules last changed; each one counts once. */
uint64_t sync_filter_hits(const struct sync *s, unsigned rule);
/* Networks that the interface of a rule stands for at present. */
unsigned sync_filter_nets(const struct sync *s, unsigned rule);
/* An interface or an address was lost: expiries of these seconds may be the kernel's clean-up. */
void sync_net_lost(struct sync *s, mono_t now);

void sync_tick(struct sync *s, mono_t now);
/* The instant of the next tick; <= now: work is waiting. */
mono_t sync_deadline(const struct sync *s, mono_t now);

/* What CONTROL needs to know, over all configured peers. */
void sync_state_get(const struct sync *s, struct sync_state *out);
/* NULL: not a configured node. */
const struct sync_peer *sync_peer_get(const struct sync *s, uint32_t node);

/* Numbers by walking (bounded): for `show`. */
struct sync_view {
	uint32_t id; /* of this node's record */
	struct ct_entry e;
	uint32_t remaining_s; /* as far as known here */
	struct flow_version version;
	bool mine;
	enum sync_disposition disp;
	enum sync_why why;
	int err;                 /* failed, standby-full, table-full: errno ... */
	enum sync_reject reject; /* ... and what it means */
	uint32_t peer;           /* failed, pending: the node concerned, 0: none */
	bool in_kernel;
	bool leased;  /* remaining_s is the lease that this node gave, not what the flow's state would give */
	bool counted; /* with sync.accounting: what other nodes have counted, and the flow's age (or CT_AGE_UNKNOWN) */
	uint64_t packets, bytes;
	uint32_t age_s;
};
/* The flow's counters on all nodes: kernel is its entry here as read, or NULL. */
void sync_view_total(const struct sync_view *v, const struct ct_entry *kernel, uint64_t *packets, uint64_t *bytes);
/* Fills out[max] from the walk on; returns how many; w->active becomes false at the end. Start with sess_walk_start. */
unsigned sync_view(const struct sync *s, struct sess_walk *w, struct sync_view *out, unsigned max, mono_t now);
/* One session by its original tuple; false: not known. */
bool sync_view_one(const struct sync *s, const struct ct_tuple *orig, struct sync_view *out, mono_t now);

#endif
