/* What `show` prints: names of counters, and the one disposition of each session. */
#include <errno.h>
#include <string.h>
#include "sync/sync_int.h"

static const struct {
	const char *name, *text;
} stats_table[] = {
#define SYNC_STATS_ROW(name, text) { #name, text },
	SYNC_STATS_TABLE(SYNC_STATS_ROW)
#undef SYNC_STATS_ROW
};

_Static_assert(sizeof(stats_table) / sizeof(stats_table[0]) == SYNC_STATS_N, "one row per counter");

const char *sync_stats_name(unsigned i)
{
	return i < SYNC_STATS_N ? stats_table[i].name : "";
}

const char *sync_stats_text(unsigned i)
{
	return i < SYNC_STATS_N ? stats_table[i].text : "";
}

/* Of the connected peers the first one that this flow was not told to in the present stream; 0: all have it. */
static uint32_t not_told(const struct sync *s, struct flow f)
{
	/* Taken over by a floor: a peer may know it from its owner before; nothing waits to be sent but the bulk. */
	bool floor = flow_version_cmp(sess_version(&s->tbl, f.x), flow_version_of(s, f)) != 0;

	for (unsigned i = 0; i < SESS_NODES; i++) {
		bool bulk = s->peers[i].bulk.wanted || s->peers[i].bulk.running;
		bool old = (!floor || bulk) && (f.x->told >> (2 * i) & 3) != s->peers[i].gen;
		if (s->peers[i].up && (old || f.x->dirty & 1u << i))
			return s->peers[i].node;
	}
	return 0;
}

static enum sync_why why_own(const struct sync *s, struct flow f, uint32_t *peer)
{
	if (f.x->list == SESS_LIST_EXPIRY || f.x->flags & (SESS_DEAD_DEL | SESS_DEAD_EXP))
		return SYNC_WHY_EXPIRING;
	if (f.x->list == SESS_LIST_STORE)
		return f.x->flags & SESS_REFUSED ? SYNC_WHY_TABLE_FULL : SYNC_WHY_INJECTING;
	if (!sync_any_up(s))
		return SYNC_WHY_PEER_DOWN;
	*peer = not_told(s, f);
	if (*peer != 0)
		return SYNC_WHY_QUEUED;
	if (f.x->err == 0)
		return SYNC_WHY_NONE;
	for (unsigned i = 0; i < SESS_NODES && *peer == 0; i++)
		if (s->peers[i].up)
			*peer = s->peers[i].node;
	return f.x->err == EDQUOT ? SYNC_WHY_STANDBY_FULL : SYNC_WHY_FAILED;
}

static enum sync_why why_copy(struct flow f)
{
	if (f.x->flags & SESS_REFUSED && f.x->err == EDQUOT)
		return SYNC_WHY_STANDBY_FULL;
	if (f.x->list == SESS_LIST_STORE)
		return SYNC_WHY_WARM;
	if (f.x->flags & SESS_REFUSED)
		return SYNC_WHY_FAILED;
	if (f.x->flags & SESS_WANT)
		return SYNC_WHY_LOST;
	if (f.x->flags & SESS_ASK)
		return SYNC_WHY_EXPIRING;
	if (!(f.x->flags & SESS_KERN) || f.x->want == SESS_OP_PUT || f.x->fly == SESS_OP_PUT)
		return SYNC_WHY_INJECTING;
	return SYNC_WHY_NONE;
}

enum sync_why flow_why(const struct sync *s, struct flow f, uint32_t *peer)
{
	if (f.x->why != SYNC_WHY_NONE)
		return f.x->why;
	if (flow_mine(s, f))
		return why_own(s, f, peer);
	enum sync_why why = why_copy(f);
	*peer = why == SYNC_WHY_NONE ? 0 : flow_version_of(s, f).node;
	return why;
}

static void view(const struct sync *s, struct flow f, struct sync_view *out, mono_t now)
{
	uint32_t sec = sync_sec(s, now);

	memset(out, 0, sizeof(*out));
	out->id = f.id;
	out->leased = f.x->flags & SESS_LEASED;
	sess_entry(&s->tbl, f.id, &out->e);
	out->version = flow_version_of(s, f);
	out->mine = flow_mine(s, f);
	out->in_kernel = f.x->flags & SESS_KERN;
	out->remaining_s = f.x->list != SESS_LIST_EXPIRY && f.x->expire_s > sec ? f.x->expire_s - sec : 0;
	out->why = flow_why(s, f, &out->peer);
	acct_view(s, f.id, out, now);
	out->disp = sync_why_disposition(out->why);
	if (out->disp != SYNC_DISP_FAILED && out->why != SYNC_WHY_STANDBY_FULL && out->why != SYNC_WHY_TABLE_FULL)
		return;
	out->err = f.x->err;
	out->reject = sync_reject_of(f.x->err, &out->e);
}

unsigned sync_view(const struct sync *s, struct sess_walk *w, struct sync_view *out, unsigned max, mono_t now)
{
	unsigned n = 0, budget = SYNC_WALK_BUDGET;
	struct flow f;

	while (n < max && (f.id = sess_walk_next(&s->tbl, w, &budget)) != 0) {
		f = flow_at(s, f.id);
		if (f.x)
			view(s, f, &out[n++], now);
	}
	return n;
}

bool sync_view_one(const struct sync *s, const struct ct_tuple *orig, struct sync_view *out, mono_t now)
{
	struct flow f = flow_find(s, orig);

	if (f.x)
		view(s, f, out, now);
	return f.x != NULL;
}
