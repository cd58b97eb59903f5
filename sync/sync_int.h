/*
 * Purpose: what the parts of the replication machine share; nobody else includes it.
 * Owns:    nothing.
 * Thread:  SYNC only.
 * In/Out:  struct sync, record ids with their records.
 * Errors:  none.
 *
 * sync_flow.c: one flow's life (content, ownership, its end); sync_list.c: its lists; sync_recount.c: its part of a digest;
 * sync_age.c: what time does to it; sync_kern.c: the kernel's side in; sync_sweep.c: when it is walked; sync_ops.c:
 * operations out and their results; sync_rx.c, sync_tx.c: records in and out; sync_compare.c: bulks and digests;
 * sync_store.c: copies outside of the kernel; sync_fsm.c: commands, peers, time; sync_former.c: copies of an earlier life;
 * sync_view.c: for `show`.
 */
#ifndef KT_SYNC_SYNC_INT_H
#define KT_SYNC_SYNC_INT_H

#include "sync/sync_fsm.h"

/* A flow in hand: both change together. */
struct flow {
	uint32_t id;
	struct sess *x; /* NULL: none */
};

/* Seconds of the table's clock; starts above 0 so that 0 can mean "never". */
uint32_t sync_sec(const struct sync *s, mono_t now);
mono_t sync_sec_at(const struct sync *s, uint32_t sec);
uint32_t sync_lease_s(const struct sync *s);

/* NULL x: not known, or only held by the injector any more. */
struct flow flow_find(const struct sync *s, const struct ct_tuple *orig);
struct flow flow_at(const struct sync *s, uint32_t id);
/*
 * A new record, or one that the injector still holds, made new. found: what flow_find said of this tuple, with x NULL.
 * NULL x: the table is full (counted).
 */
struct flow flow_new(struct sync *s, const struct ct_tuple *orig, struct flow found);
struct flow_version flow_version_of(const struct sync *s, struct flow f);
bool flow_mine(const struct sync *s, struct flow f);
/* Slot of its owner, 0: nobody's. */
unsigned flow_owner(const struct sync *s, struct flow f);
struct sync_peer *sync_peer_slot(struct sync *s, unsigned slot);
struct sync_peer *sync_peer_node(struct sync *s, uint32_t node);
bool sync_any_up(const struct sync *s);
/* The copies of this owner are to be kept: channel up, or its adverts heard. */
bool sync_owner_lives(const struct sync *s, unsigned slot, mono_t now);

/* Digest bookkeeping: out before a change of content or owner, in after it. */
void flow_uncount(struct sync *s, struct flow f);
void flow_count(struct sync *s, struct flow f);
/* While counting anew, only what the walk has passed is part of a set. */
bool flow_in_set(const struct sync *s, uint32_t id);
void sync_recount(struct sync *s);
void sync_recount_step(struct sync *s, unsigned budget);
/*
 * The lease was given before a floor took the flow away from us: packets that moved the timer may have come while it was
 * ours. They are remembered, and claim nothing.
 */
bool sync_lease_is_old(const struct sync *s, struct flow f);

/* Takes over content; delta: absent parts keep their value. True when something that travels changed. */
bool flow_merge(struct sync *s, struct flow f, const struct ct_entry *e, bool delta);
bool flow_same_nat(const struct sync *s, struct flow f, const struct ct_entry *e);
void flow_judge(struct sync *s, struct flow f);
bool flow_is_short(const struct sync *s, struct flow f);
bool flow_closing(struct flow f, const struct ct_entry *e);

/* Dirty set: mask = bits of slots, cut to connected peers. */
void flow_dirty(struct sync *s, struct flow f, unsigned mask);
#define ALL_PEERS 0xfu
void flow_clean(struct sync *s, struct flow f, unsigned slot);
void flow_unlist(struct sync *s, struct flow f);
void flow_to_expiry(struct sync *s, struct flow f, mono_t now);

/* With sync.accounting, else nothing: a flow begins (seen: by its first packet); its entry was read; records. */
void acct_born(struct sync *s, struct flow f, bool seen, mono_t now);
bool acct_read_own(struct sync *s, struct flow f, const struct ct_entry *e); /* true: worth telling */
void acct_read_copy(struct sync *s, struct flow f, const struct ct_entry *e);
void acct_fill(const struct sync *s, struct flow f, struct ct_entry *e, mono_t now);
void acct_heard(struct sync *s, struct flow f, const struct ct_entry *e, mono_t now);
void acct_view(const struct sync *s, uint32_t id, struct sync_view *v, mono_t now);

/* At the end of a list; the flow is in none. */
void flow_append(struct sync *s, struct flow f, enum sess_list which);

/* Traffic of an own flow was seen. */
void flow_traffic(const struct sync *s, struct flow f, mono_t now);
/* A flow begins here: it waits for its age, if its class has one. */
void flow_young(struct sync *s, struct flow f);
void sync_young_step(struct sync *s, unsigned budget, mono_t now);
mono_t sync_young_deadline(const struct sync *s, mono_t now);
/* e: what the kernel shows. True: BE_LIBERAL is to be taken off. */
bool sync_strict_due(const struct sync *s, struct flow f, const struct ct_entry *e, mono_t now);

/* Traffic was seen: the flow becomes ours (unless muted: then it is remembered only). True when it is ours now. */
bool flow_claim(struct sync *s, struct flow f, mono_t now);
/* The end of an own flow is told (flag SESS_DEAD_DEL or _EXP), or, if nobody knows it, forgotten. */
void flow_end(struct sync *s, struct flow f, uint32_t flag);
/* The flow is gone here; kernel: and shall be gone in the kernel too. */
void flow_drop(struct sync *s, struct flow f, bool kernel);
/* Has this node, in its present life as far as known, been told of the flow? And: it is being told now. */
bool flow_told(const struct sync_peer *p, struct flow f);
void flow_set_told(const struct sync_peer *p, struct flow f);
/* It has been told, but does not know our handle: the next record names the flow in full. */
void flow_rename(const struct sync_peer *p, struct flow f);
/* Called when nothing is left to be told: frees what has no other reason to stay. */
void flow_settle(struct sync *s, struct flow f);
/* Our entry ended in the kernel, whoever told us. */
void flow_kernel_end(struct sync *s, struct flow f, bool closing, uint32_t portid, mono_t now);
void flow_refused(struct sync *s, struct flow f, int err);
/* What a peer refused of an own flow is forgotten. Its own kernel's refusal, of the time when it was a copy, stays: only
 * one with its reason is tried again. */
static inline void flow_forget_err(struct flow f)
{
	if (!(f.x->flags & SESS_REFUSED))
		f.x->err = 0;
}
/* A copy whose end is this very box now: it goes, also from the kernel, and its owner is told. No effect on others. */
void flow_drop_local(struct sync *s, struct flow f);
/* An interface, an address or the role was lost so lately that ends without a reason may follow from it. */
bool sync_loss_near(const struct sync *s, mono_t now);
/* A flow of ours is dropped that has not ended: the next bulks say that what they do not name may live. */
void sync_forgot(struct sync *s);
/* Sets it in the kernel, with the current parity of the sweep. */
void flow_in_kernel(struct sync *s, struct flow f);

/* Its one reason, NONE: replicated. *peer (may stay as it is): the node concerned. */
enum sync_why flow_why(const struct sync *s, struct flow f, uint32_t *peer);

/* Asks the injector; q is the queue if it is in none yet. */
void flow_want(struct sync *s, struct flow f, enum sess_op op, enum sess_queue q);

/* The store (sync_store.c). A flow is at rest, outside of the kernel: does it wait in the store, or go on to it? */
bool store_keep(struct sync *s, struct flow f);
void store_remove(struct sync *s, struct flow f);
/* Whose it is may have changed: the list that it waits in follows. */
void store_owner(struct sync *s, struct flow f);
/* It is about to be created: true when it has to wait instead (it is marked then). */
bool store_holds(struct sync *s, struct flow f);
/* A peer's news of a copy that is not in the kernel, or shall be set right there. */
void store_put(struct sync *s, struct flow f, enum sess_queue q);
bool store_has_room(const struct sync *s, struct flow f);
/* Our own change of the number of entries. */
void store_entries(struct sync *s, int change);
/* Puts up to max flows into the live queue, the best first. */
void store_release(struct sync *s, unsigned max);
void store_commit(struct sync *s, struct epoch epoch, mono_t now);
/* The role is given up: the commit ends. */
void store_rest(struct sync *s);
void store_step(struct sync *s, mono_t now);
mono_t store_deadline(const struct sync *s, mono_t now);
bool store_outlived(const struct sync *s, struct flow f, mono_t now);
bool store_takes_back(const struct sync *s, struct flow f, bool renew_due);
void store_taken_back(struct sync *s, struct flow f);
enum sync_class sync_class_of(const struct ct_entry *e, bool is_master);

/* The owner says that its timer ran out: our own copy is read, the answer decides (sync_kern.c). */
void flow_ask(struct sync *s, struct flow f);

/* Comparisons (sync_compare.c). */
void sync_on_bulk(struct sync *s, struct sync_peer *p, const struct sync_rec *rec);
/* After a bulk: copies that their owner did not name ended there unseen; they get the same question as EXPIRED. */
void sync_extra_step(struct sync *s, struct sync_peer *p, unsigned budget, mono_t now);
void sync_on_digest(struct sync *s, struct sync_peer *p, const struct sync_rec *rec, mono_t now);
/* How the peer sees our sessions: what differs is told again. */
void sync_on_buckets(struct sync *s, struct sync_peer *p, const struct sync_rec *rec, mono_t now);

/* Limits on what a peer sends (sync_limit.c). */
/* Is there room for one more copy of this peer? */
bool limit_copy(const struct sync *s, const struct sync_peer *p);
/* There was none: its owner is told, as far as it waits to be told. */
void limit_refused(struct sync *s, struct sync_peer *p, const struct ct_tuple *orig);
/* A record that names a flow for the first time says all that makes it one. False: refused, counted. */
bool limit_whole(struct sync *s, const struct sync_rec *rec);
/* Pages that the handles of one peer may take. */
uint32_t limit_handle_pages(const struct sync_conf *conf);

/* Handles of a peer (sync_handles.c). */
uint32_t handle_get(const struct sync_handles *h, uint32_t handle);
bool handle_set(struct sync_handles *h, uint32_t handle, uint32_t id);
void handles_free(struct sync_handles *h);

/* Everything the peer sent up to some point is in the kernel: moves stored_seq. */
void sync_settle_peer(struct sync *s, struct sync_peer *p, mono_t now);
/* Walks in sync_tick. */
void sync_policy_step(struct sync *s, unsigned budget);
void sync_retry_step(struct sync *s, unsigned budget, mono_t now);
/* What changed makes the next sweep worth while. */
void sync_sweep_soon(struct sync *s, int64_t in_ns, mono_t now);
void sync_missing_step(struct sync *s, unsigned budget, mono_t now);
void sync_expiry_step(struct sync *s, unsigned budget, mono_t now);
void sync_purge_step(struct sync *s, struct sync_peer *p, unsigned budget);

/* Copies of an earlier life of this process (sync_former.c). Can the timer only be a lease that it gave? */
bool former_lease(const struct sync *s, const struct ct_entry *e);
/* A sweep found an entry that nobody owns. */
void former_found(struct sync *s, struct flow f, const struct ct_entry *e);
/* Such an entry is not adopted: the peers are about to say what became of it. */
bool former_waits(const struct sync *s, struct flow f);
/* It was read: true when it has ended and is dropped here. */
bool former_read(struct sync *s, struct flow f, const struct ct_entry *e, bool traffic, bool sweep);
/* The first sweep and the comparison are over, and there is something to look at. */
bool former_ready(const struct sync *s);
void sync_former_step(struct sync *s, unsigned budget);

/* Questions about sessions (sync_ask.c). */
bool sync_ask_waits(const struct sync_peer *p);
void sync_ask_fill(struct sync_peer *p, struct sync_rec *out);
void sync_on_ask(struct sync *s, struct sync_peer *p, const struct sync_rec *rec, mono_t now);
void sync_asks_down(struct sync_peer *p);
/* Resets and full comparisons (sync_reset.c). */
void sync_on_resync(struct sync *s, struct sync_peer *p, mono_t now);
void sync_again_step(struct sync_peer *p, mono_t now);
void sync_reset_step(struct sync *s, unsigned budget, mono_t now);

/* A reply to a NEW or unexplained entry: whose is it? */
void flow_born(struct sync *s, struct flow f);

#endif
