/*
 * The kernel's side: events, answers to GET, and the sweep that compares table and kernel. A copy's timer that is not
 * where its lease would be is evidence of traffic; it is read in the same pass that renews, since a renewal erases it.
 */
#include <string.h>
#include "daemon/base/mutant.h"
#include "sync/sync_int.h"

static uint32_t left_of(const struct sync *s, struct flow f, mono_t now)
{
	uint32_t sec = sync_sec(s, now);

	return f.x->expire_s > sec ? f.x->expire_s - sec : 0;
}

static void set_timer(struct sync *s, struct flow f, const struct ct_entry *e, mono_t now)
{
	if (e->has & CT_HAS_TIMEOUT)
		f.x->expire_s = sync_sec(s, now) + e->timeout_s;
}

static bool all_heard(const struct sync *s)
{
	for (unsigned i = 0; i < SESS_NODES; i++)
		if (s->peers[i].up && !s->peers[i].have_all)
			return false;
	return true;
}

/* An entry nobody has claimed becomes ours if we have a role and every peer that could know better has spoken. */
static bool may_adopt(const struct sync *s)
{
	return s->owner.auth.any && !s->owner.muted && all_heard(s);
}

/* TCP without flags and scales would be useless as a copy: ask for the whole entry. */
static void ask_if_partial(struct sync *s, struct flow f)
{
	if (f.x->l4 == 6 && !(f.x->flags & SESS_WIN))
		flow_want(s, f, SESS_OP_GET, SESS_QUEUE_LIVE);
}

static struct flow begin(struct sync *s, const struct ct_entry *e, struct flow found, mono_t now)
{
	struct flow f = flow_new(s, &e->orig, found);

	if (!f.x)
		return f;
	f.x->why = SYNC_WHY_UNREPLIED; /* not counted before it is judged */
	flow_in_kernel(s, f);
	flow_merge(s, f, e, false);
	set_timer(s, f, e, now);
	return f;
}

/* A sweep may see an entry before its event is read: that is no find. */
static void explained(struct flow f)
{
	if (f.x)
		f.x->found = 0;
}

static void on_new(struct sync *s, const struct ct_event *ev, mono_t now)
{
	struct flow f = flow_find(s, &ev->e.orig);

	s->stats.events_new++;
	sync_count_born(&s->count, ev->e.orig.l4);
	explained(f);
	if (!f.x) {
		f = begin(s, &ev->e, f, now);
		if (!f.x)
			return;
		f.x->evidence_s = sync_sec(s, now);
		acct_born(s, f, true, now);
		flow_born(s, f);
		return;
	}
	flow_in_kernel(s, f);
	if (f.x->list == SESS_LIST_YOUNG || f.x->list == SESS_LIST_EXPIRY)
		flow_unlist(s, f); /* it is born again */
	if (flow_mine(s, f) || f.x->why != SYNC_WHY_NONE || ev->portid == 0) {
		bool mine = flow_mine(s, f) || f.x->why != SYNC_WHY_NONE;
		/* The end of its predecessor went unseen. */
		if (!mine && s->owner.muted) {
			flow_claim(s, f, now);
			return;
		}
		flow_uncount(s, f);
		f.x->flags &= ~(SESS_DEAD_DEL | SESS_DEAD_EXP | SESS_ASK | SESS_LEASED);
		f.x->want = SESS_OP_NONE;
		f.x->told = 0;
		flow_merge(s, f, &ev->e, false);
		set_timer(s, f, &ev->e, now);
		f.x->evidence_s = sync_sec(s, now);
		acct_born(s, f, true, now);
		if (mine)
			flow_born(s, f);
		else
			flow_claim(s, f, now);
		return;
	}
	/* A tool made an entry where our copy should be: the copy's state is set right. */
	flow_want(s, f, SESS_OP_PUT, SESS_QUEUE_LIVE);
}

static void update_own(struct sync *s, struct flow f, const struct ct_event *ev, mono_t now)
{
	bool was = f.x->why == SYNC_WHY_NONE;
	/* It ended for us, and lives: the end is not told. */
	bool revived = f.x->flags & (SESS_DEAD_DEL | SESS_DEAD_EXP) || f.x->list == SESS_LIST_EXPIRY;

	f.x->flags &= ~(SESS_DEAD_DEL | SESS_DEAD_EXP);
	if (f.x->list == SESS_LIST_EXPIRY)
		flow_unlist(s, f);
	flow_in_kernel(s, f);
	if (ev->portid == 0) {
		f.x->flags &= ~(SESS_LEASED | SESS_FRESH);
		flow_traffic(s, f, now);
	}
	bool changed = flow_merge(s, f, &ev->e, true);
	set_timer(s, f, &ev->e, now);
	flow_judge(s, f);
	if (f.x->why == SYNC_WHY_NONE && (changed || !was || revived))
		flow_dirty(s, f, ALL_PEERS);
	else if (was && f.x->why != SYNC_WHY_NONE && f.x->told)
		flow_dirty(s, f, ALL_PEERS);
	ask_if_partial(s, f);
}

static void on_update(struct sync *s, const struct ct_event *ev, mono_t now)
{
	struct flow f = flow_find(s, &ev->e.orig);

	s->stats.events_update++;
	explained(f);
	if (!f.x) {
		f = begin(s, &ev->e, f, now);
		if (!f.x)
			return;
		f.x->evidence_s = sync_sec(s, now);
		flow_born(s, f);
		ask_if_partial(s, f);
	} else if (flow_mine(s, f)) {
		update_own(s, f, ev, now);
	} else if (f.x->why != SYNC_WHY_NONE) {
		/* Never replicated: not a copy, whoever the floor gives it to. */
		flow_in_kernel(s, f);
		flow_merge(s, f, &ev->e, true);
		set_timer(s, f, &ev->e, now);
		flow_traffic(s, f, now);
		flow_born(s, f);
	} else if (ev->portid == 0) {
		flow_in_kernel(s, f);
		if (s->owner.muted) {
			flow_claim(s, f, now);
			return;
		}
		flow_merge(s, f, &ev->e, true);
		set_timer(s, f, &ev->e, now);
		flow_claim(s, f, now);
	}
}

static void on_destroy(struct sync *s, const struct ct_event *ev, mono_t now)
{
	struct ct_entry e = ev->e;
	uint32_t id;
	struct sess *x = sess_find(&s->tbl, &e.orig, &id);

	s->stats.events_destroy++;
	if (!x)
		return;
	if (x->flags & SESS_GONE) {
		x->flags &= ~SESS_KERN;
		return;
	}
	struct flow f = { id, x };
	explained(f);
	if (!(x->flags & SESS_KERN) && (x->list == SESS_LIST_EXPIRY || x->flags & (SESS_DEAD_DEL | SESS_DEAD_EXP)))
		return;
	flow_kernel_end(s, f, flow_closing(f, &e), ev->portid, now);
}

static bool sctp_differs(const struct sync *s, struct flow f, const struct ct_entry *e)
{
	const struct sess_side *sd = e->has & CT_HAS_SCTP ? sess_side(&s->tbl, f.x) : NULL;

	return sd && sd->has & CT_HAS_SCTP && sd->sctp_state != e->sctp_state;
}

/*
 * In the fast path: packets pass here, or did a moment ago. The kernel shows no timer then and no TCP state; the entry
 * stays there for up to 30 s after the last packet (nf_flow_table_core.c), also when the flow has moved to another node;
 * the last look at it while it was ours may be a sweep older.
 */
#define OFFLOAD_IDLE_S 45

static bool offloaded(const struct ct_entry *e)
{
	return e->has & CT_HAS_STATUS && e->status & (CT_ST_OFFLOAD | CT_ST_HW_OFFLOAD);
}

/* What a copy's kernel entry lacks, or has otherwise. Bits that only traffic sets may be more than we know of. */
static bool differs(const struct sync *s, struct flow f, const struct ct_entry *e)
{
	uint32_t both = CT_ST_SEEN_REPLY | CT_ST_ASSURED;

	if (!flow_same_nat(s, f, e))
		return true;
	return (f.x->status & both & ~e->status) != 0 || f.x->mark != (e->has & CT_HAS_MARK ? e->mark : 0) ||
	       (e->has & CT_HAS_TCP && f.x->flags & SESS_TCP && e->tcp_state != f.x->tcp_state) ||
	       sctp_differs(s, f, e);
}

/*
 * Our own kernel followed this TCP flow until its traffic went through another node: its windows are of that time, and
 * it would call every packet invalid when the flow comes back (nf_conntrack_proto_tcp.c, tcp_in_window).
 */
static bool strict_tcp(const struct ct_entry *e)
{
	return e->has & CT_HAS_TCP_WIN && !(e->tcp_flags[0] & e->tcp_flags[1] & CT_TCP_BE_LIBERAL);
}

static bool renew_due(const struct sync *s, struct flow f, uint32_t left)
{
	uint32_t lease = sync_lease_s(s), jitter = (f.id * UINT32_C(2654435761) >> 24) * (lease / 8) / 256;

	return left <= lease / 2 + jitter && !MUTANT(M_NO_RENEWAL);
}

/*
 * Has the timer moved by itself? A part of a dump may be read long after the kernel made it (this thread stood still):
 * whatever the lease would have shown at any instant since then is no evidence.
 */
static bool has_evidence(const struct sync *s, struct flow f, const struct ct_entry *e, mono_t now)
{
	uint32_t last = left_of(s, f, now), first = left_of(s, f, mono_min(s->read_from, now));

	if (offloaded(e))
		return f.x->evidence_s == 0 || sync_sec(s, now) - f.x->evidence_s > OFFLOAD_IDLE_S;
	if (!(e->has & CT_HAS_TIMEOUT) || (e->timeout_s >= last && e->timeout_s <= first))
		return false;
	return sync_owner_evidence(e->timeout_s > first ? first : last, e->timeout_s);
}

/* In the fast path the kernel shows no TCP state: what was known stands, and nothing is invented. */
static bool merge_read(struct sync *s, struct flow f, const struct ct_entry *e)
{
	return flow_merge(s, f, e, offloaded(e) && !(e->has & CT_HAS_TCP));
}

/* What events would have told, had all of them come. */
static bool unlike(struct flow f, const struct ct_entry *e)
{
	return (e->has & CT_HAS_STATUS && (f.x->status ^ e->status) & SYNC_STATUS_STABLE) ||
	       f.x->mark != (e->has & CT_HAS_MARK ? e->mark : 0) ||
	       (e->has & CT_HAS_TCP && f.x->flags & SESS_TCP && e->tcp_state != f.x->tcp_state);
}

static void read_own(struct sync *s, struct flow f, const struct ct_entry *e, bool sweep, mono_t now)
{
	uint32_t sec = sync_sec(s, now);
	bool fast = offloaded(e), traffic = fast || has_evidence(s, f, e, now), asked = f.x->flags & SESS_ASK;

	/* Its end was seen, and here it is: what waited to be told before, a claim even, is told now. */
	bool revived = f.x->list == SESS_LIST_EXPIRY;

	if (f.x->flags & (SESS_DEAD_DEL | SESS_DEAD_EXP))
		return;
	if (revived)
		flow_unlist(s, f);
	if (f.x->flags & SESS_LEASED && traffic && f.x->flags & SESS_FRESH && !fast) {
		f.x->flags &= ~SESS_FRESH;
	} else if (traffic) {
		f.x->flags &= ~(SESS_LEASED | SESS_FRESH);
		flow_traffic(s, f, now);
	}
	if (f.x->flags & SESS_LEASED) {
		/* Taken over and idle since: once, at the pace of the sweep, it gets what its state gives. What may be
		 * traffic is looked at once more before: a renewal erases it. */
		if (!traffic && !flow_is_short(s, f))
			flow_want(s, f, SESS_OP_RENEW, SESS_QUEUE_RENEW);
	} else {
		/* Small moves add up: a sweep that comes often would never see traffic else. */
		if (traffic)
			set_timer(s, f, e, now);
		if (sync_strict_due(s, f, e, now))
			flow_want(s, f, SESS_OP_STRICT, SESS_QUEUE_RENEW);
	}
	/* A dump read ahead is older than the events of the last seconds: what it shows otherwise is asked for. */
	bool current = asked || traffic || !sweep || f.x->evidence_s + 2 < sec;
	bool changed = current ? merge_read(s, f, e) : false;
	if (!current && unlike(f, e))
		flow_want(s, f, SESS_OP_GET, SESS_QUEUE_RENEW);
	bool was = f.x->why == SYNC_WHY_NONE;
	f.x->flags &= ~SESS_ASK;
	flow_judge(s, f);
	bool counted = traffic && acct_read_own(s, f, e);
	if (changed || asked || revived || counted || was != (f.x->why == SYNC_WHY_NONE))
		flow_dirty(s, f, ALL_PEERS);
}

/*
 * A left-over of an earlier life of this node: it goes through a virtual address that a peer holds now, and that peer has
 * named all it has. Its traffic cannot come here, but its translated tuple would keep out the copy of a living flow.
 */
static bool is_leftover(const struct sync *s, struct flow f)
{
	struct ct_tuple orig, reply;

	if (s->owner.auth.any || s->owner.muted || !sync_any_up(s) || !all_heard(s) ||
	    !(f.x->status & (CT_ST_SRC_NAT | CT_ST_DST_NAT)))
		return false;
	sess_orig(&s->tbl, f.id, &orig);
	sess_reply(&s->tbl, f.id, &reply);
	return sync_local_is_vip(&s->locals, orig.l3, orig.dst) || sync_local_is_vip(&s->locals, orig.l3, reply.dst);
}

/* An entry without owner: ours when traffic is seen or nobody can know better. True: it is somebody's copy after all. */
static bool read_orphan(struct sync *s, struct flow f, const struct ct_entry *e, bool sweep, mono_t now)
{
	bool traffic = has_evidence(s, f, e, now);

	merge_read(s, f, e);
	set_timer(s, f, e, now);
	if (traffic)
		flow_traffic(s, f, now);
	flow_judge(s, f);
	if (f.x->why == SYNC_WHY_NONE && !flow_mine(s, f))
		return true;
	if (f.x->why == SYNC_WHY_NONE)
		flow_born(s, f);
	if (former_read(s, f, e, traffic, sweep) || f.x->why != SYNC_WHY_ORPHAN)
		return false;
	s->sweep_news = true;
	if (traffic)
		s->join_until = mono_max(s->join_until, mono_add(now, SYNC_JOIN_NS));
	if ((traffic && !s->owner.muted) || (may_adopt(s) && !former_waits(s, f))) {
		flow_born(s, f);
	} else if (sweep && s->sweep_judges && !traffic && f.x->evidence_s == 0 && is_leftover(s, f)) {
		/* Twice, and SYNC_LEFTOVER_NS between the two. */
		if (f.x->flags & SESS_FRESH) {
			s->stats.leftovers++;
			flow_drop(s, f, true);
			return false;
		}
		f.x->flags |= SESS_FRESH;
	}
	return false;
}

/* The owner says that it ended. What we saw decides: evidence now, or remembered and younger than the state's timer. */
static void answer(struct sync *s, struct flow f, const struct ct_entry *e, mono_t now)
{
	struct ct_entry full;
	uint32_t sec = sync_sec(s, now);
	/* A timer of our lease, or one that our own packets set and that was read when the flow was ours. */
	bool traffic = has_evidence(s, f, e, now);

	if (s->owner.muted)
		return;
	sess_entry(&s->tbl, f.id, &full);
	if (traffic ||
	    (f.x->evidence_s != 0 && sec - f.x->evidence_s < sync_policy_full_timeout(&s->timeouts, &full))) {
		merge_read(s, f, e);
		set_timer(s, f, e, now);
		uint32_t evidence = f.x->evidence_s;
		if (flow_claim(s, f, now)) {
			f.x->evidence_s = traffic ? sec : evidence;
			return;
		}
	}
	flow_drop(s, f, true);
}

static void claim_read(struct sync *s, struct flow f, const struct ct_entry *e, mono_t now)
{
	s->stats.evidence++;
	s->join_until = mono_max(s->join_until, mono_add(now, SYNC_JOIN_NS));
	if (s->owner.muted) {
		flow_claim(s, f, now);
		return;
	}
	merge_read(s, f, e);
	set_timer(s, f, e, now);
	flow_claim(s, f, now);
}

/* Of the time when it was ours: for the day its new owner gives it up. From now on a timer that moves is news. */
static void old_evidence(struct sync *s, struct flow f, const struct ct_entry *e, mono_t now)
{
	f.x->flags &= ~SESS_OLD;
	f.x->evidence_s = sync_sec(s, now);
	set_timer(s, f, e, now);
	if (!flow_is_short(s, f))
		flow_want(s, f, SESS_OP_RENEW, SESS_QUEUE_RENEW);
}

static void read_copy(struct sync *s, struct flow f, const struct ct_entry *e, bool sweep, mono_t now)
{
	unsigned owner = flow_owner(s, f);

	acct_read_copy(s, f, e);
	if (f.x->flags & SESS_ASK) {
		answer(s, f, e, now);
		return;
	}
	/* What is about to be written says nothing yet; what was asked for does. */
	if (f.x->want == SESS_OP_PUT || (f.x->fly != SESS_OP_NONE && f.x->fly != SESS_OP_GET))
		return;
	/* What sets the timer when it leaves the fast path is no packet: then it has to become a leased copy anew. */
	if (offloaded(e)) {
		if (has_evidence(s, f, e, now))
			claim_read(s, f, e, now);
		else
			f.x->flags &= ~(SESS_LEASED | SESS_FRESH);
		return;
	}
	/* Ours until a moment ago, or found: its timer was never set by us. It becomes a leased copy first. */
	if (!(f.x->flags & SESS_LEASED)) {
		/* Packets since it was last read, while it was ours: remembered for the day its new owner gives it up. */
		if (has_evidence(s, f, e, now)) {
			f.x->evidence_s = sync_sec(s, now);
			set_timer(s, f, e, now);
		}
		if (!sync_owner_lives(s, owner, now))
			return;
		if (differs(s, f, e) || strict_tcp(e)) {
			if (!flow_same_nat(s, f, e))
				f.x->flags |= SESS_REPLACE;
			f.x->expire_s = sync_sec(s, now) + e->timeout_s;
			s->stats.repaired++;
			flow_want(s, f, SESS_OP_PUT, SESS_QUEUE_RENEW);
		} else if (!flow_is_short(s, f)) {
			flow_want(s, f, SESS_OP_RENEW, SESS_QUEUE_RENEW);
		}
		return;
	}
	bool traffic = has_evidence(s, f, e, now), fresh = f.x->flags & SESS_FRESH;
	f.x->flags &= ~SESS_FRESH;
	if (traffic && MUTANT(M_BLIND_RENEWAL)) {
		flow_want(s, f, SESS_OP_RENEW, SESS_QUEUE_RENEW);
		return;
	}
	if (traffic && !(fresh && sweep)) {
		if (sync_lease_is_old(s, f))
			old_evidence(s, f, e, now);
		else
			claim_read(s, f, e, now);
		return;
	}
	if (traffic)
		return;
	f.x->flags &= ~SESS_OLD;
	if (store_takes_back(s, f, renew_due(s, f, e->timeout_s))) {
		flow_want(s, f, SESS_OP_DELETE, SESS_QUEUE_RENEW);
		return;
	}
	/* It may have been written after the kernel made this part of the dump. */
	if (fresh && sweep && differs(s, f, e)) {
		flow_want(s, f, SESS_OP_GET, SESS_QUEUE_RENEW);
		return;
	}
	if (differs(s, f, e)) {
		if (!flow_same_nat(s, f, e))
			f.x->flags |= SESS_REPLACE;
		f.x->expire_s = sync_sec(s, now) + e->timeout_s;
		s->stats.repaired++;
		flow_want(s, f, SESS_OP_PUT, SESS_QUEUE_RENEW);
		return;
	}
	if (!flow_is_short(s, f) && renew_due(s, f, e->timeout_s) && sync_owner_lives(s, owner, now))
		flow_want(s, f, SESS_OP_RENEW, SESS_QUEUE_RENEW);
}

/*
 * A dump is read ahead: what it shows may have ended since, and nobody would hear of that again. Only the first one,
 * read in a quiet kernel, is believed at once.
 */
static bool may_be_gone(const struct sync *s, bool sweep)
{
	return sweep && (s->sweeps_done > 0 || s->stats.events_destroy > 0);
}

static void read_unknown(struct sync *s, const struct ct_entry *e, struct flow found, bool sweep, mono_t now)
{
	/* On its way out. */
	if (found.id != 0)
		return;
	struct flow f = begin(s, e, found, now);
	if (!f.x)
		return;
	flow_judge(s, f);
	/* Local, excluded or not yet worth it: nothing to explain. */
	if (f.x->why != SYNC_WHY_ORPHAN && f.x->why != SYNC_WHY_NONE)
		return;
	f.x->found = 1;
	s->join_until = mono_max(s->join_until, mono_add(now, SYNC_JOIN_NS));
	if (f.x->why == SYNC_WHY_ORPHAN)
		former_found(s, f, e);
	if (may_be_gone(s, sweep)) {
		flow_uncount(s, f);
		f.x->why = SYNC_WHY_ORPHAN;
		flow_want(s, f, SESS_OP_GET, SESS_QUEUE_RENEW);
		return;
	}
	if (f.x->why == SYNC_WHY_NONE || (may_adopt(s) && !former_waits(s, f)))
		flow_born(s, f);
}

static void read_entry(struct sync *s, const struct ct_entry *e, bool sweep, mono_t now)
{
	struct flow f = flow_find(s, &e->orig);

	if (!f.x) {
		read_unknown(s, e, f, sweep, now);
		return;
	}
	/* Another sweep sees it, seconds later, and nothing was heard of it. */
	if (sweep && f.x->found && (f.x->flags & SESS_SWEPT) != (s->sweep_parity ? SESS_SWEPT : 0u)) {
		f.x->found = 0;
		s->stats.found++;
	}
	flow_in_kernel(s, f);
	unsigned owner = flow_owner(s, f);
	if (owner == s->self_slot && f.x->why != SYNC_WHY_ORPHAN) {
		read_own(s, f, e, sweep, now);
		return;
	}
	/* It was about to be told as expired, and is another node's by now. */
	if (f.x->list == SESS_LIST_EXPIRY)
		flow_unlist(s, f);
	if ((owner != 0 && f.x->why == SYNC_WHY_NONE) || read_orphan(s, f, e, sweep, now))
		read_copy(s, f, e, sweep, now);
}

void sync_on_ct_event(struct sync *s, const struct ct_event *ev, mono_t now)
{
	if (ev->portid != 0 && ev->portid == s->portid && ev->type != CT_EV_DUMP) {
		s->stats.events_own++;
		return;
	}
	switch (ev->type) {
	case CT_EV_NEW:
		on_new(s, ev, now);
		break;
	case CT_EV_UPDATE:
		on_update(s, ev, now);
		break;
	case CT_EV_DESTROY:
		on_destroy(s, ev, now);
		break;
	case CT_EV_DUMP:
		s->stats.events_dump++;
		read_entry(s, &ev->e, false, now);
		break;
	}
}

void sync_read_from(struct sync *s, mono_t from)
{
	s->read_from = from;
}

void sync_on_sweep_entry(struct sync *s, const struct ct_entry *e, mono_t now)
{
	read_entry(s, e, true, now);
}

bool sync_wants_events(const struct sync *s, mono_t now)
{
	uint64_t own = s->recounting ? s->own_before : s->sets[s->self_slot - 1].count;

	return s->owner.auth.any || own > 0 || mono_before(now, s->join_until);
}
