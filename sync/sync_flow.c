/*
 * One flow's life. A record is ours or a copy by its effective version; whether it counts in a digest follows from that
 * and its flags (sync_recount.c), so every change of content or owner stands between flow_uncount and flow_count.
 */
#include <errno.h>
#include <string.h>
#include "daemon/base/err.h"
#include "daemon/base/mutant.h"
#include "daemon/base/require.h"
#include "sync/sync_int.h"

#define FIRST_SEC 10
#define DEAD      (SESS_DEAD_DEL | SESS_DEAD_EXP)

uint32_t sync_sec(const struct sync *s, mono_t now)
{
	return (uint32_t)((now.ns - s->t0.ns) / NS_PER_SEC) + FIRST_SEC;
}

mono_t sync_sec_at(const struct sync *s, uint32_t sec)
{
	return mono_add(s->t0, ((int64_t)sec - FIRST_SEC) * NS_PER_SEC);
}

uint32_t sync_lease_s(const struct sync *s)
{
	int64_t sec = s->conf->lease_ns / NS_PER_SEC;

	return sec < 10 ? 10 : (uint32_t)sec;
}

struct flow flow_at(const struct sync *s, uint32_t id)
{
	struct sess *x = sess_at(&s->tbl, id);

	return (struct flow){ id, x && !(x->flags & SESS_GONE) ? x : NULL };
}

struct flow flow_find(const struct sync *s, const struct ct_tuple *orig)
{
	struct flow f = { 0 };

	f.x = sess_find(&s->tbl, orig, &f.id);
	if (f.x && f.x->flags & SESS_GONE)
		f.x = NULL;
	return f;
}

struct flow flow_new(struct sync *s, const struct ct_tuple *orig, struct flow found)
{
	struct flow f = { found.id, found.id ? sess_at(&s->tbl, found.id) : NULL };

	if (!f.x) {
		f.x = sess_add(&s->tbl, orig, &f.id);
		if (!f.x)
			s->stats.table_full++;
		return f;
	}
	require(f.x->flags & SESS_GONE);
	/* The injector holds it: what is in the kernel stays known, all else begins anew. */
	f.x->flags &= SESS_USED | SESS_KERN | SESS_SWEPT;
	f.x->want = SESS_OP_NONE;
	f.x->mark = 0;
	f.x->evidence_s = 0;
	f.x->told = 0;
	f.x->why = SYNC_WHY_NONE;
	f.x->found = 0;
	f.x->err = 0;
	require(sess_set_version(&s->tbl, f.x, (struct flow_version){ 0 }));
	return f;
}

struct flow_version flow_version_of(const struct sync *s, struct flow f)
{
	return sync_owner_effective(&s->owner, sess_version(&s->tbl, f.x));
}

/* Whichever of the two counts, the flow's number or the floor: most often both name the same node. */
bool flow_mine(const struct sync *s, struct flow f)
{
	uint32_t node = sess_node_id(&s->tbl, f.x->node);

	if (node != s->owner.floor.node)
		node = flow_version_of(s, f).node;
	return node == s->conf->self;
}

unsigned flow_owner(const struct sync *s, struct flow f)
{
	if (sess_node_id(&s->tbl, f.x->node) == s->owner.floor.node)
		return f.x->node;
	return sess_node_slot(&s->tbl, flow_version_of(s, f).node);
}

struct sync_peer *sync_peer_slot(struct sync *s, unsigned slot)
{
	if (slot == 0 || slot == s->self_slot || s->peers[slot - 1].node == 0)
		return NULL;
	return &s->peers[slot - 1];
}

struct sync_peer *sync_peer_node(struct sync *s, uint32_t node)
{
	return sync_peer_slot(s, sess_node_slot(&s->tbl, node));
}

bool sync_owner_lives(const struct sync *s, unsigned slot, mono_t now)
{
	if (slot == 0 || slot == s->self_slot)
		return false;
	const struct sync_peer *p = &s->peers[slot - 1];
	return p->up || mono_before(now, mono_add(p->heard_at, SYNC_ALIVE_NS));
}

static bool merge_tcp(struct sess *x, const struct ct_entry *e)
{
	bool changed = false;

	if (e->has & CT_HAS_TCP) {
		changed = !(x->flags & SESS_TCP) || x->tcp_state != e->tcp_state;
		x->flags |= SESS_TCP;
		x->tcp_state = e->tcp_state & 0xf;
	}
	if (e->has & CT_HAS_TCP_WIN) {
		uint8_t flags = (uint8_t)((e->tcp_flags[0] & CT_TCP_KEEP) | (e->tcp_flags[1] & CT_TCP_KEEP) << 4);
		uint8_t scale = (uint8_t)((e->tcp_wscale[0] & 0xf) | (e->tcp_wscale[1] & 0xf) << 4);
		/* BE_LIBERAL is ours on copies and says nothing about the flow. */
		uint8_t ours = (uint8_t)(CT_TCP_BE_LIBERAL | CT_TCP_BE_LIBERAL << 4);
		flags &= (uint8_t)~ours;
		changed |= !(x->flags & SESS_WIN) || x->tcp_flags != flags || x->tcp_scale != scale;
		x->flags |= SESS_WIN;
		x->tcp_flags = flags;
		x->tcp_scale = scale;
	}
	return changed;
}

/* Status bits that are kept: what a copy may carry or must show. */
#define STATUS_KEEP (SYNC_STATUS_STABLE | CT_ST_CONFIRMED | CT_ST_OFFLOAD)

/* Addresses and ports; the rest of a reply tuple follows from the original one. */
static bool same_ends(const struct ct_tuple *a, const struct ct_tuple *b)
{
	return a->sport == b->sport && a->dport == b->dport && memcmp(a->src, b->src, sizeof(a->src)) == 0 &&
	       memcmp(a->dst, b->dst, sizeof(a->dst)) == 0;
}

bool flow_merge(struct sync *s, struct flow f, const struct ct_entry *e, bool delta)
{
	struct ct_tuple reply;
	bool changed = false;

	flow_uncount(s, f);
	sess_reply(&s->tbl, f.id, &reply);
	if (e->has & CT_HAS_REPLY && !same_ends(&reply, &e->reply)) {
		if (!sess_set_reply(&s->tbl, f.id, &e->reply))
			s->stats.table_full++;
		f.x->told = 0;
		changed = true;
	}
	if (!delta) {
		changed |= (f.x->flags & SESS_WIN) && !(e->has & CT_HAS_TCP_WIN);
		f.x->flags &= ~(SESS_TCP | SESS_WIN);
	}
	if (e->has & CT_HAS_STATUS) {
		uint16_t status = e->status & STATUS_KEEP;
		if (e->status & CT_ST_HW_OFFLOAD)
			status |= CT_ST_OFFLOAD;
		changed |= f.x->status != status;
		f.x->status = status;
		/* A mark that is not zero comes with every message. */
		uint32_t mark = e->has & CT_HAS_MARK ? e->mark : 0;
		changed |= f.x->mark != mark;
		f.x->mark = mark;
	}
	uint8_t state = f.x->tcp_state, flags = f.x->tcp_flags, scale = f.x->tcp_scale;
	bool tcp = merge_tcp(f.x, e);
	changed |= delta ? tcp : state != f.x->tcp_state || flags != f.x->tcp_flags || scale != f.x->tcp_scale;
	if (!sess_set_side(&s->tbl, f.x, e, &changed))
		s->stats.table_full++;
	flow_count(s, f);
	return changed;
}

bool flow_same_nat(const struct sync *s, struct flow f, const struct ct_entry *e)
{
	struct ct_tuple reply;
	uint32_t nat = CT_ST_SRC_NAT | CT_ST_DST_NAT;

	sess_reply(&s->tbl, f.id, &reply);
	if (e->has & CT_HAS_REPLY && !same_ends(&reply, &e->reply))
		return false;
	return !(e->has & CT_HAS_STATUS) || MUTANT(M_REPLY_WITHOUT_NAT_BITS) ||
	       (f.x->status & nat) == (e->status & nat);
}

/* A session that is left out anew. */
static void count_why(struct sync *s, enum sync_why why, const struct ct_entry *e)
{
	if (why == SYNC_WHY_IGNORED) {
		s->filter_hits[sync_filter_rule(s->conf, &s->locals, e)]++;
	} else if (why == SYNC_WHY_NODE_ADDR) {
		s->stats.node_address++;
		s->node_address = addr_from_bytes(e->reply.l3, e->reply.dst);
	}
}

void flow_judge(struct sync *s, struct flow f)
{
	struct ct_entry e;

	enum sync_why was = f.x->why;
	bool before = was == SYNC_WHY_NONE && (f.x->told != 0 || f.x->flags & SESS_FOREIGN);
	if (was == SYNC_WHY_PEER_LOCAL)
		return;
	sess_entry(&s->tbl, f.id, &e);
	enum sync_why why = sync_policy_judge(s->conf, &s->locals, &e, before);
	if (why == SYNC_WHY_NONE && f.x->list == SESS_LIST_YOUNG)
		why = SYNC_WHY_YOUNG;
	if (why != was)
		count_why(s, why, &e);
	/* Found, not told: a peer's floor does not make it that peer's copy. */
	if (why == SYNC_WHY_NONE && f.x->node == 0 && !flow_mine(s, f))
		why = SYNC_WHY_ORPHAN;
	/* Counting costs two hashes: not for a verdict that stays. */
	if (why != was)
		flow_uncount(s, f);
	f.x->why = (uint8_t)why;
	flow_count(s, f);
}

bool flow_is_short(const struct sync *s, struct flow f)
{
	struct ct_entry e;

	sess_entry(&s->tbl, f.id, &e);
	return sync_policy_short(&e);
}

bool flow_closing(struct flow f, const struct ct_entry *e)
{
	uint8_t state = e && e->has & CT_HAS_TCP ? e->tcp_state : f.x->tcp_state;

	return f.x->l4 == 6 && (f.x->flags & SESS_TCP || (e && e->has & CT_HAS_TCP)) && state >= CT_TCP_LAST_ACK &&
	       state <= CT_TCP_CLOSE;
}

void flow_in_kernel(struct sync *s, struct flow f)
{
	/* Refused as a copy, and made by packets since. */
	if (!(f.x->flags & (SESS_KERN | SESS_GONE)) && f.x->flags & SESS_REFUSED)
		flow_refused(s, f, 0);
	f.x->flags |= SESS_KERN;
	if (f.x->list == SESS_LIST_STORE)
		store_remove(s, f);
	f.x->flags &= ~SESS_WANT; /* not lost any more, whoever brought it back */
	if (s->sweep_parity)
		f.x->flags |= SESS_SWEPT;
	else
		f.x->flags &= ~SESS_SWEPT;
}

void flow_born(struct sync *s, struct flow f)
{
	flow_uncount(s, f);
	if (!sess_set_version(&s->tbl, f.x, sync_owner_born(&s->owner)))
		s->stats.refused_range++;
	f.x->flags &= ~(SESS_LEASED | SESS_FRESH | SESS_WANT | SESS_ASK | SESS_ONLY_NEW);
	flow_young(s, f);
	flow_judge(s, f);
	if (f.x->why == SYNC_WHY_NONE)
		flow_dirty(s, f, ALL_PEERS);
}

bool flow_claim(struct sync *s, struct flow f, mono_t now)
{
	flow_traffic(s, f, now);
	if (flow_mine(s, f))
		return true;
	if (s->owner.muted)
		return false;
	struct flow_version v = sync_owner_claim(&s->owner, sess_version(&s->tbl, f.x));
	if (!MUTANT(M_DIGEST_OF_OLD_OWNER))
		flow_uncount(s, f);
	flow_refused(s, f, 0);
	flow_unlist(s, f);
	if (!sess_set_version(&s->tbl, f.x, v) || !flow_mine(s, f)) {
		s->stats.refused_range++;
		flow_count(s, f);
		return false;
	}
	s->stats.claims++;
	f.x->flags &=
	    ~(SESS_LEASED | SESS_FRESH | SESS_WANT | SESS_ASK | SESS_CURRENT | SESS_REPLACE | SESS_TELL | DEAD);
	f.x->want = SESS_OP_NONE;
	f.x->told = 0;
	f.x->flags |= SESS_CLAIM;
	s->join_until = mono_max(s->join_until, mono_add(now, SYNC_JOIN_NS));
	flow_judge(s, f);
	if (f.x->why == SYNC_WHY_HALF_OPEN || f.x->why == SYNC_WHY_CLOSING || f.x->why == SYNC_WHY_UNREPLIED ||
	    f.x->why == SYNC_WHY_STATE)
		f.x->why = SYNC_WHY_NONE; /* it was replicated already */
	flow_count(s, f);
	flow_dirty(s, f, ALL_PEERS);
	return true;
}

/* Nobody but this node has heard of it. */
static bool untold(struct flow f)
{
	return f.x->told == 0 && !(f.x->flags & SESS_FOREIGN);
}

void flow_end(struct sync *s, struct flow f, uint32_t flag)
{
	if (untold(f)) {
		s->stats.cancelled += f.x->why == SYNC_WHY_NONE || f.x->why == SYNC_WHY_YOUNG;
		flow_drop(s, f, false);
		return;
	}
	flow_uncount(s, f);
	f.x->flags &= ~(SESS_CLAIM | SESS_CURRENT | DEAD | SESS_LEASED);
	f.x->flags |= flag & DEAD;
	f.x->want = SESS_OP_NONE;
	flow_dirty(s, f, ALL_PEERS);
	if (f.x->list != SESS_LIST_DIRTY)
		flow_drop(s, f, false);
}

void flow_drop(struct sync *s, struct flow f, bool kernel)
{
	flow_uncount(s, f);
	f.x->flags |= SESS_GONE;
	flow_refused(s, f, 0);
	flow_unlist(s, f);
	f.x->flags &= SESS_USED | SESS_KERN | SESS_SWEPT | SESS_GONE;
	f.x->want = SESS_OP_NONE;
	/* Until the first sweep is through, the kernel may hold a copy of an earlier life that no record knows of yet, and
	 * the sweep passes by records on their way out. */
	if (kernel && s->sweeps_done == 0)
		f.x->flags |= SESS_KERN;
	if (kernel && (f.x->flags & SESS_KERN || f.x->fly == SESS_OP_PUT))
		flow_want(s, f, SESS_OP_DELETE, SESS_QUEUE_LIVE);
	if (f.x->queue == SESS_QUEUE_NONE)
		sess_del(&s->tbl, f.id);
}

void flow_settle(struct sync *s, struct flow f)
{
	if (f.x->list != SESS_LIST_NONE)
		return;
	if (f.x->flags & DEAD) {
		flow_drop(s, f, false);
		return;
	}
	if (f.x->flags & SESS_KERN || f.x->want != SESS_OP_NONE || f.x->fly != SESS_OP_NONE)
		return;
	if (store_keep(s, f))
		return;
	/* Not in our kernel and nothing to be done: a refused copy stays, its owner counts it; so does one asked for.
	 */
	unsigned owner = flow_owner(s, f);
	if (owner != 0 && owner != s->self_slot && s->peers[owner - 1].up && f.x->why == SYNC_WHY_NONE)
		return;
	flow_drop(s, f, false);
}

static void lost(struct sync *s, struct flow f)
{
	unsigned owner = flow_owner(s, f);

	if (f.x->flags & SESS_ASK) {
		flow_drop(s, f, false);
		return;
	}
	/* About to be written anyway. */
	if (f.x->want == SESS_OP_PUT || f.x->fly == SESS_OP_PUT)
		return;
	f.x->want = SESS_OP_NONE;
	/* What its owner told of it is all that is needed. */
	if (f.x->why == SYNC_WHY_NONE && sync_store_warm(s)) {
		flow_settle(s, f);
		return;
	}
	if (f.x->why != SYNC_WHY_NONE || !s->peers[owner - 1].up) {
		flow_drop(s, f, false);
		return;
	}
	s->stats.lost++;
	f.x->flags |= SESS_WANT;
	flow_dirty(s, f, 1u << (owner - 1));
}

void flow_kernel_end(struct sync *s, struct flow f, bool closing, uint32_t portid, mono_t now)
{
	bool told = f.x->why == SYNC_WHY_NONE;

	f.x->flags &= ~(SESS_KERN | SESS_LEASED | SESS_FRESH);
	switch (sync_owner_destroy(&s->owner, sess_version(&s->tbl, f.x), closing, portid)) {
	case SYNC_DESTROY_FORGET:
		s->stats.destroy_forgotten += told;
		if (told)
			sync_forgot(s);
		flow_drop(s, f, false);
		break;
	case SYNC_DESTROY_LOST:
		lost(s, f);
		break;
	case SYNC_DESTROY_DELETE:
		flow_end(s, f, SESS_DEAD_DEL);
		break;
	case SYNC_DESTROY_EXPIRE:
		if (untold(f))
			flow_end(s, f, SESS_DEAD_EXP);
		else
			flow_to_expiry(s, f, now);
		break;
	}
}

/* err 0: not refused any more. The owner is told either way, once. */
void flow_refused(struct sync *s, struct flow f, int err)
{
	unsigned owner = flow_owner(s, f);
	bool was = f.x->flags & SESS_REFUSED, is = err != 0, told = f.x->err != 0;
	int num = err < 0 ? -err : err;

	f.x->err = (uint8_t)(num > 0 && num < 256 ? num : is ? EINVAL : 0);
	/* News of the flow make it worth an attempt; the owner, who was told, still has to hear how it went. */
	if (was == is && (is || !told))
		return;
	if (was != is)
		s->n_failed += is ? 1 : UINT32_MAX;
	if (is)
		f.x->flags |= SESS_REFUSED;
	else
		f.x->flags &= ~SESS_REFUSED;
	if (owner == 0 || owner == s->self_slot)
		return;
	if (was != is && flow_in_set(s, f.id))
		s->peers[owner - 1].refused += is ? 1 : UINT32_MAX;
	if (f.x->flags & SESS_GONE)
		return;
	f.x->flags |= SESS_TELL;
	flow_dirty(s, f, 1u << (owner - 1));
}
