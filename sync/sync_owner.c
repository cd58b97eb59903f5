#include <string.h>
#include "daemon/base/mutant.h"
#include "sync/sync_owner.h"

void sync_owner_init(struct sync_owner *o, uint32_t self)
{
	memset(o, 0, sizeof(*o));
	o->self = self;
}

void sync_owner_see(struct sync_owner *o, struct epoch e)
{
	o->seen = epoch_max(o->seen, e);
}

void sync_owner_fence(struct sync_owner *o, struct epoch e)
{
	o->fence = epoch_max(o->fence, e);
	sync_owner_see(o, e);
}

bool sync_owner_authority(struct sync_owner *o, const struct sync_authority *a)
{
	/* Taken back: a floor that no peer has read yet was never there. One that was read stays, evidence settles it.
	 */
	if (epoch_cmp(a->epoch, o->auth.epoch) < 0) {
		bool undo = epoch_cmp(o->floor_authority, o->auth.epoch) == 0 && !o->floor_told;

		o->auth = *a;
		if (undo) {
			o->floor = o->floor_before;
			o->floor_authority = (struct epoch){ 0, 0 };
		}
		return undo;
	}
	o->auth = *a;
	sync_owner_see(o, a->epoch);
	struct flow_version v = { a->epoch, 0, o->self };
	if (!a->all || flow_version_cmp(v, o->floor) <= 0)
		return false;
	o->floor_before = o->floor;
	o->floor = v;
	o->floor_authority = a->epoch;
	o->floor_told = false;
	return true;
}

bool sync_owner_floor(struct sync_owner *o, struct flow_version v)
{
	if (flow_version_cmp(v, o->floor) <= 0)
		return false;
	if (o->floor.node == o->self)
		o->floor_lost = o->floor;
	o->floor = v;
	o->floor_before = v;
	o->floor_authority = (struct epoch){ 0, 0 };
	sync_owner_see(o, v.epoch);
	return true;
}

struct flow_version sync_owner_effective(const struct sync_owner *o, struct flow_version stored)
{
	return flow_version_cmp(stored, o->floor) >= 0 ? stored : o->floor;
}

bool sync_owner_mine(const struct sync_owner *o, struct flow_version stored)
{
	return sync_owner_effective(o, stored).node == o->self;
}

struct flow_version sync_owner_born(const struct sync_owner *o)
{
	struct flow_version v = { o->seen, 0, o->self };

	return flow_version_cmp(v, o->floor) >= 0 ? v : sync_owner_claim(o, o->floor);
}

struct flow_version sync_owner_claim(const struct sync_owner *o, struct flow_version stored)
{
	struct flow_version v = sync_owner_effective(o, stored);

	/* At the end of the count the flow stays where it is until the next role change brings a new epoch. */
	if (v.node == o->self || (v.claim == SYNC_CLAIM_MAX && epoch_cmp(o->seen, v.epoch) <= 0))
		return v;
	if (MUTANT(M_CLAIM_UNCOUNTED))
		return (struct flow_version){ v.epoch, v.claim, o->self };
	return (struct flow_version){ epoch_max(v.epoch, o->seen), v.claim == SYNC_CLAIM_MAX ? 0 : v.claim + 1,
				      o->self };
}

bool sync_owner_may_end(const struct sync_owner *o, struct flow_version stored)
{
	struct flow_version v = sync_owner_effective(o, stored);

	if (MUTANT(M_DELETE_WITHOUT_AUTHORITY))
		return true;
	if (v.node != o->self || o->muted)
		return false;
	/* Without a role only what was born or claimed since it was lost: the rest has a master elsewhere. */
	return o->auth.any || epoch_cmp(v.epoch, o->auth.epoch) >= 0;
}

enum sync_destroy sync_owner_destroy(const struct sync_owner *o, struct flow_version stored, bool closing,
				     uint32_t portid)
{
	struct flow_version v = sync_owner_effective(o, stored);

	if (v.node != 0 && v.node != o->self)
		return SYNC_DESTROY_LOST;
	if (!sync_owner_may_end(o, stored))
		return SYNC_DESTROY_FORGET;
	if (closing || portid != 0 || MUTANT(M_EXPIRY_SENT_AS_DELETE))
		return SYNC_DESTROY_DELETE;
	return SYNC_DESTROY_EXPIRE;
}

bool sync_owner_evidence(uint32_t expected_s, uint32_t seen_s)
{
	uint32_t diff = expected_s > seen_s ? expected_s - seen_s : seen_s - expected_s;

	return diff > SYNC_EVIDENCE_S;
}

enum sync_verdict sync_owner_judge(const struct sync_owner *o, const struct sync_rec *rec,
				   const struct flow_version *stored)
{
	/* CURRENT passes on what its sender knows, also of a third node's flow. */
	if (rec->type != SYNC_REC_CURRENT && rec->version.node != rec->owner)
		return SYNC_NOT_SENDERS;
	if (epoch_cmp(rec->epoch, o->fence) < 0 && !MUTANT(M_OLD_EPOCH_APPLIED))
		return stored ? SYNC_OLD_EPOCH : SYNC_ONLY_CREATE;
	if (!stored)
		return flow_version_cmp(rec->version, o->floor) < 0 ? SYNC_ONLY_CREATE : SYNC_APPLY;
	return flow_version_cmp(rec->version, sync_owner_effective(o, *stored)) < 0 ? SYNC_OLD_VERSION : SYNC_APPLY;
}
