/*
 * What time does to a session of ours: it is told when it is old enough, and a flow that was taken over gets strict
 * windows again. A young flow stands in the list of its class in the order of birth; until it leaves, evidence_s is the
 * second of its birth: nobody else has a copy that evidence could be weighed against.
 */
#include "daemon/base/require.h"
#include "sync/sync_int.h"

static uint32_t min_age(const struct sync *s, struct flow f)
{
	return s->conf->min_age_s[sync_proto_of(f.x->l4)];
}

void flow_traffic(const struct sync *s, struct flow f, mono_t now)
{
	if (f.x->list != SESS_LIST_YOUNG)
		f.x->evidence_s = sync_sec(s, now);
}

void flow_young(struct sync *s, struct flow f)
{
	/* A birth that nobody saw may be long ago; what a peer has or had is told at once. */
	if (min_age(s, f) == 0 || s->owner.muted || f.x->list != SESS_LIST_NONE || f.x->evidence_s == 0 ||
	    f.x->why == SYNC_WHY_ORPHAN || f.x->told != 0 || f.x->flags & SESS_FOREIGN)
		return;
	flow_append(s, f, SESS_LIST_YOUNG);
}

/* Old enough. A peer's floor that rose meanwhile does not make it a copy of that peer's, who never heard of it. */
static void grown(struct sync *s, struct flow f)
{
	flow_unlist(s, f);
	s->stats.grown++;
	if (!flow_mine(s, f))
		require(sess_set_version(&s->tbl, f.x, (struct flow_version){ 0 }));
	flow_judge(s, f);
	if (f.x->why == SYNC_WHY_NONE && flow_mine(s, f))
		flow_dirty(s, f, ALL_PEERS);
}

/* While the role leaves, nothing waits any more: what the new master shall have is told now. */
static bool is_due(const struct sync *s, unsigned proto, const struct sess *x, uint32_t sec)
{
	return s->owner.muted || sec - x->evidence_s >= s->conf->min_age_s[proto];
}

void sync_young_step(struct sync *s, unsigned budget, mono_t now)
{
	uint32_t sec = sync_sec(s, now);

	for (unsigned p = 0; p < SYNC_PROTO_N; p++) {
		while (s->young_head[p] != 0 && budget > 0) {
			struct flow f = { s->young_head[p], sess_at(&s->tbl, s->young_head[p]) };
			if (!is_due(s, p, f.x, sec))
				break;
			budget--;
			grown(s, f);
		}
	}
}

mono_t sync_young_deadline(const struct sync *s, mono_t now)
{
	mono_t t = MONO_NEVER;

	for (unsigned p = 0; p < SYNC_PROTO_N; p++) {
		if (s->young_head[p] == 0)
			continue;
		if (s->owner.muted)
			return now;
		const struct sess *x = sess_at(&s->tbl, s->young_head[p]);
		t = mono_min(t, sync_sec_at(s, x->evidence_s + s->conf->min_age_s[p]));
	}
	return t;
}

/*
 * The kernel learns the windows of an injected flow anew from its first packets; until then only BE_LIBERAL lets it
 * pass. A flow that was a copy, has moved since it is ours, and is established, can do without.
 */
bool sync_strict_due(const struct sync *s, struct flow f, const struct ct_entry *e, mono_t now)
{
	struct flow_version v = sess_version(&s->tbl, f.x);
	bool copied = v.node != s->conf->self || v.claim > 0;

	if (s->conf->strict_after_s == 0 || !(e->has & CT_HAS_TCP_WIN) || e->tcp_state != CT_TCP_ESTABLISHED ||
	    !((e->tcp_flags[0] | e->tcp_flags[1]) & CT_TCP_BE_LIBERAL) || !copied)
		return false;
	if (f.x->flags & (SESS_LEASED | SESS_FRESH) || f.x->evidence_s == 0 ||
	    mono_before(sync_sec_at(s, f.x->evidence_s + 1), s->role_at))
		return false;
	return mono_due(mono_add(s->role_at, (int64_t)s->conf->strict_after_s * NS_PER_SEC), now);
}
