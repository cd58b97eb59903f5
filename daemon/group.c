#include "daemon/group.h"

#include "daemon/base/mutant.h"

static struct group_decision decide(enum group_verdict verdict, enum role_reason reason, uint16_t member)
{
	return (struct group_decision){ .verdict = verdict, .reason = reason, .member = member };
}

static const struct group_decision stay = { .verdict = GROUP_STAY };

/* Own links: row "own member link down". */
static bool must_fault(const struct group_view *v)
{
	if (!v->n_down)
		return false;
	if (v->n_down == v->n)
		return true;
	if (!v->fault_degrade)
		return true;
	/* degrade keeps serving on the rest only when nobody else can do better */
	return v->channel_up && v->peer_ready;
}

static struct group_decision decide_master(const struct group_view *v)
{
	if (must_fault(v))
		return decide(GROUP_FAULT, v->down_tracked ? ROLE_R_TRACKED : ROLE_R_LINK, v->first_down);
	if (v->first_decides ? v->first_member_higher : v->n_higher > 0)
		return decide(GROUP_YIELD, ROLE_R_HIGHER, v->first_higher);
	if (v->maintenance)
		return decide(GROUP_GIVE, ROLE_R_MAINTENANCE, 0);
	return stay;
}

/* Some members are deaf, the others still hear the master: the channel decides. */
static struct group_decision some_expired(const struct group_view *v)
{
	struct group_decision d = stay;
	d.deaf = true;
	d.member = v->first_deaf;
	if (v->n_zero && !v->not_grouped) {
		/* The master said good-bye on one member. On the channel it is believed at once; without one the
		   skew has passed now, since the member is expired. */
		if (!v->channel_up || v->peer != GROUP_PEER_MASTER)
			return decide(GROUP_TAKE, ROLE_R_PRIORITY_ZERO, v->first_deaf);
	}
	if (v->channel_up && v->peer != GROUP_PEER_MASTER && v->peer != GROUP_PEER_UNKNOWN)
		return decide(GROUP_TAKE, v->peer == GROUP_PEER_LEAVING ? ROLE_R_PEER_LEAVING : ROLE_R_PEER_NOT_MASTER,
			      v->first_deaf);
	return d;
}

/* Every member is deaf, and so the master is gone: unless it says on the channel that it serves (option arbitrate). */
static struct group_decision all_expired(const struct group_view *v)
{
	struct group_decision d = stay;
	if (v->arbitrate && v->channel_up && v->peer == GROUP_PEER_MASTER && !MUTANT(M_ARBITER_IGNORED)) {
		d.cut = true;
		d.member = v->first_deaf;
		return d;
	}
	if (v->better_ready)
		return stay;
	return decide(GROUP_TAKE, v->n_zero ? ROLE_R_PRIORITY_ZERO : ROLE_R_NO_RESPONSE, v->first_deaf);
}

/* Row "BACKUP hears a lower master": only if higher on every member, and never past a living peer that has not spoken of
 * this group yet: it could still hand the role over in an orderly way. */
static bool may_preempt(const struct group_view *v, uint16_t up)
{
	bool gate = v->gate_open || MUTANT(M_GATE_IGNORED);
	bool mute = v->channel_up && v->peer == GROUP_PEER_UNKNOWN;
	return v->preempt && gate && !mute && v->n_lower > 0 && v->n_lower >= up && !v->not_grouped;
}

static struct group_decision decide_backup(const struct group_view *v)
{
	if (must_fault(v))
		return decide(GROUP_FAULT, v->down_tracked ? ROLE_R_TRACKED : ROLE_R_LINK, v->first_down);
	if (v->maintenance || v->holding)
		return stay;
	uint16_t up = (uint16_t)(v->n - v->n_down);
	if (v->peer_dead &&
	    !(v->channel_up && v->peer == GROUP_PEER_MASTER)) /* of three nodes another one serves already */
		return decide(GROUP_TAKE, ROLE_R_PROCESS_DEATH, 0);
	if (v->channel_up && v->peer == GROUP_PEER_LEAVING)
		return decide(GROUP_TAKE, ROLE_R_PEER_LEAVING, 0);
	if (v->n_expired >= up || (v->first_decides && v->first_member_expired))
		return all_expired(v);
	if (v->n_expired)
		return some_expired(v);
	if (may_preempt(v, up))
		return decide(v->channel_up && v->peer == GROUP_PEER_MASTER ? GROUP_TAKE_PLANNED : GROUP_TAKE,
			      ROLE_R_PREEMPTED, 0);
	return stay;
}

struct group_decision group_decide(const struct group_view *v)
{
	switch (v->is) {
	case ROLE_INIT:
		return stay;
	case ROLE_MASTER:
		return decide_master(v);
	case ROLE_BACKUP:
		return decide_backup(v);
	case ROLE_FAULT:
		if (must_fault(v) || v->holding)
			return stay;
		return decide(GROUP_CLEAR, ROLE_R_RECOVERED, 0);
	}
	return stay;
}
