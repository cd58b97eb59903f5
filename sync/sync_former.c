/*
 * Copies of an earlier life of this process. Its kernel kept them, nobody says whose they are, and what ended while the
 * process was away is named by no peer. A digest does not show them: nobody's entries count at nobody.
 *
 * Such a copy is known by its timer: a lease that packets cannot give. It goes when every peer has known that earlier
 * life, all tables compare equal in both directions, and the kernel shows that the lease has run on untouched. Everything
 * else that nobody owns stays: a peer that was itself started anew may have forgotten what lives on here only.
 */
#include <netinet/in.h>
#include "sync/sync_int.h"

/*
 * A packet gives a timer what its state has (sync_policy_full_timeout): more than that is a lease. TCP's own timer is
 * far longer than any lease: less than that, and windows as only a copy has them. What has been idle for so long without
 * having been a copy had been told to the peers before.
 */
bool former_lease(const struct sync *s, const struct ct_entry *e)
{
	uint32_t full = sync_policy_full_timeout(&s->timeouts, e);

	if (!(e->has & CT_HAS_TIMEOUT) || !(e->has & CT_HAS_STATUS) || e->status & (CT_ST_OFFLOAD | CT_ST_HW_OFFLOAD) ||
	    sync_policy_short(e) || e->timeout_s > SYNC_LEASE_MAX_S)
		return false;
	if (e->timeout_s > full)
		return true;
	return e->orig.l4 == IPPROTO_TCP && full >= 2 * SYNC_LEASE_MAX_S && e->has & CT_HAS_TCP_WIN &&
	       e->tcp_flags[0] & e->tcp_flags[1] & CT_TCP_BE_LIBERAL;
}

/* Every peer there is has known an earlier life of this node, and can say what became of its copies. */
static bool all_knew(const struct sync *s)
{
	unsigned n = 0;

	/* With every group here it is this node that says what lives. */
	if (s->owner.auth.all || s->owner.muted)
		return false;
	for (unsigned i = 0; i < SESS_NODES; i++) {
		if (s->peers[i].node == 0)
			continue;
		if (!s->peers[i].up || !s->peers[i].knew)
			return false;
		n++;
	}
	return n > 0;
}

bool former_waits(const struct sync *s, struct flow f)
{
	return f.x->flags & SESS_LEASED && all_knew(s);
}

/*
 * Its DIGEST was found equal after it had found ours so: what it gave back to us, or claimed, on hearing what we have,
 * went ahead of that DIGEST in its stream.
 */
static bool all_equal(const struct sync *s)
{
	if (s->recounting || !all_knew(s))
		return false;
	for (unsigned i = 0; i < SESS_NODES; i++) {
		const struct sync_peer *p = &s->peers[i];
		if (p->node != 0 && !(p->equal && p->their_equal && p->digest_told > p->their_seq))
			return false;
	}
	return true;
}

void former_found(struct sync *s, struct flow f, const struct ct_entry *e)
{
	if (s->sweeps_done > 0 || !former_lease(s, e))
		return;
	f.x->flags |= SESS_LEASED;
	s->former_due = true;
}

bool former_read(struct sync *s, struct flow f, const struct ct_entry *e, bool traffic, bool sweep)
{
	/* A dump is read ahead: what it shows may be another entry by now. */
	bool asked = f.x->flags & SESS_ASK && !sweep;

	if (asked)
		f.x->flags &= ~SESS_ASK;
	if (traffic || !former_lease(s, e))
		f.x->flags &= ~SESS_LEASED;
	if (!asked || !(f.x->flags & SESS_LEASED) || f.x->why != SYNC_WHY_ORPHAN)
		return false;
	if (!all_equal(s)) {
		s->former_due = true;
		return false;
	}
	s->stats.leftovers++;
	flow_drop(s, f, true);
	return true;
}

bool former_ready(const struct sync *s)
{
	return s->former_due && s->sweeps_done > 0 && all_equal(s);
}

/* Each of them is read once more, and that decides (former_read). */
void sync_former_step(struct sync *s, unsigned budget)
{
	struct flow f;

	if (!former_ready(s)) {
		s->former_walking = false;
		return;
	}
	if (!s->former_walking)
		sess_walk_start(&s->former_walk);
	while ((f.id = sess_walk_next(&s->tbl, &s->former_walk, &budget)) != 0) {
		f.x = sess_at(&s->tbl, f.id);
		uint32_t is = SESS_LEASED | SESS_KERN;
		if (f.x->why != SYNC_WHY_ORPHAN || f.x->node != 0 || (f.x->flags & is) != is ||
		    f.x->flags & SESS_GONE || f.x->queue != SESS_QUEUE_NONE || flow_mine(s, f))
			continue;
		f.x->flags |= SESS_ASK;
		flow_want(s, f, SESS_OP_GET, SESS_QUEUE_RENEW);
	}
	s->former_walking = s->former_walk.active;
	s->former_due = s->former_walking;
}
