/*
 * What a flow adds to its owner's digest, and the count anew after owners have changed without a walk. Whether it counts
 * follows from its owner and its flags in one place, counts().
 */
#include <string.h>
#include "daemon/base/mutant.h"
#include "sync/sync_int.h"

#define DEAD (SESS_DEAD_DEL | SESS_DEAD_EXP)

/* What its owner told, or is about to tell, its peers. A flow that the owner ended does not count at a copy's holder.
 */
static bool counts(const struct sync *s, struct flow f)
{
	unsigned owner = flow_owner(s, f);

	if (f.x->why != SYNC_WHY_NONE || f.x->flags & (DEAD | SESS_GONE) || owner == 0)
		return false;
	if (MUTANT(M_DIGEST_WITHOUT_REFUSED) && f.x->flags & SESS_REFUSED)
		return false;
	return owner == s->self_slot || !(f.x->flags & SESS_ASK);
}

static void count_item(struct sync *s, struct flow f, bool in)
{
	struct digest_set *d = &s->sets[flow_owner(s, f) - 1];
	struct ct_entry e;

	sess_entry(&s->tbl, f.id, &e);
	struct digest_item it = digest_entry(d->key, &e);
	if (in)
		digest_add(d, &it);
	else
		digest_del(d, &it);
}

bool flow_in_set(const struct sync *s, uint32_t id)
{
	return !s->recounting || sess_walk_passed(&s->recount, id);
}

void flow_uncount(struct sync *s, struct flow f)
{
	if (!(f.x->flags & SESS_COUNTED))
		return;
	if (flow_in_set(s, f.id))
		count_item(s, f, false);
	f.x->flags &= ~SESS_COUNTED;
}

void flow_count(struct sync *s, struct flow f)
{
	if (f.x->flags & SESS_COUNTED || !counts(s, f))
		return;
	if (flow_in_set(s, f.id))
		count_item(s, f, true);
	f.x->flags |= SESS_COUNTED;
}

void sync_recount(struct sync *s)
{
	if (!s->recounting) {
		s->own_before = (uint32_t)s->sets[s->self_slot - 1].count;
		s->copies_before = 0;
		for (unsigned i = 0; i < SESS_NODES; i++)
			if (i + 1 != s->self_slot)
				s->copies_before += (uint32_t)s->sets[i].count;
	}
	for (unsigned i = 0; i < SESS_NODES; i++) {
		uint8_t key[16];
		s->peers[i].refused = 0;
		memcpy(key, s->sets[i].key, sizeof(key));
		digest_init(&s->sets[i], key);
	}
	s->recounting = true;
	sess_walk_start(&s->recount);
}

bool sync_lease_is_old(const struct sync *s, struct flow f)
{
	return f.x->flags & SESS_OLD || (s->disowned && !flow_in_set(s, f.id));
}

/* Owners may have changed without a walk: a new one hears what is refused here, and forgets what the old one was told. */
static void recount_refused(struct sync *s, struct flow f)
{
	unsigned owner = flow_owner(s, f);

	/* An update that was refused: the entry is ours now, and newer than what we were told. */
	if (owner == s->self_slot && f.x->flags & SESS_KERN && f.x->flags & SESS_REFUSED)
		flow_refused(s, f, 0);
	if (!(f.x->flags & SESS_REFUSED)) {
		if (owner == s->self_slot)
			f.x->err = 0;
		return;
	}
	if (owner == 0)
		return;
	s->peers[owner - 1].refused++;
	if (owner == s->self_slot || f.x->flags & SESS_GONE ||
	    (f.x->list != SESS_LIST_NONE && f.x->list != SESS_LIST_DIRTY))
		return;
	f.x->flags |= SESS_TELL;
	flow_dirty(s, f, 1u << (owner - 1));
}

void sync_recount_step(struct sync *s, unsigned budget)
{
	struct flow f;

	while (s->recounting && (f.id = sess_walk_next(&s->tbl, &s->recount, &budget)) != 0) {
		f.x = sess_at(&s->tbl, f.id);
		f.x->flags &= ~SESS_COUNTED;
		flow_count(s, f);
		for (unsigned i = 0; i < SESS_NODES; i++)
			if (s->peers[i].forget)
				f.x->told &= (uint8_t) ~(3u << (2 * i));
		recount_refused(s, f);
		store_owner(s, f);
		if (s->disowned && f.x->flags & SESS_LEASED && flow_owner(s, f) != s->self_slot)
			f.x->flags |= SESS_OLD;
	}
	if (s->recount.active || !s->recounting)
		return;
	s->recounting = s->disowned = false;
	for (unsigned i = 0; i < SESS_NODES; i++)
		s->peers[i].forget = false;
}
