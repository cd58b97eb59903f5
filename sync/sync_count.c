/* Sessions by protocol and reason: one walk for whoever looks, the peers' figures, the difference. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "daemon/base/require.h"
#include "sync/sync_int.h"

#define RATE_NS NS_PER_SEC

void sync_count_init(struct sync_count *c, mono_t now)
{
	c->rate_at = now;
}

void sync_count_born(struct sync_count *c, uint8_t l4)
{
	c->born[sync_proto_of(l4)]++;
}

static void begin(struct sync_count *c, mono_t now)
{
	memset(&c->work, 0, sizeof(c->work));
	c->walking = true;
	c->again = false;
	c->began = now;
	sess_walk_start(&c->walk);
}

/* However often peers ask, walks for them take a tenth of the time at most. */
static bool fresh(const struct sync_count *c, mono_t now)
{
	int64_t took = mono_sub(c->last.at, c->last_began) * SYNC_COUNT_SHARE;

	return c->last.at.ns != 0 &&
	       mono_sub(now, c->last_began) < (took > SYNC_COUNT_AGAIN_NS ? took : SYNC_COUNT_AGAIN_NS);
}

void sync_count_want(struct sync *s, mono_t now)
{
	struct sync_count *c = &s->count;

	for (unsigned i = 0; i < SESS_NODES; i++)
		c->peer[i].ask |= s->peers[i].up;
	if (c->walking)
		c->again |= mono_before(c->began, now);
	else
		begin(c, now);
}

bool sync_count_done(const struct sync *s, mono_t since)
{
	const struct sync_count *c = &s->count;

	if (c->last.at.ns == 0 || mono_before(c->last_began, since))
		return false;
	for (unsigned i = 0; i < SESS_NODES; i++)
		if (s->peers[i].up && mono_before(c->peer[i].heard, since))
			return false;
	return true;
}

enum sync_disposition sync_count_disp(unsigned why)
{
	return why == SYNC_COUNT_NO_RECORD ? SYNC_DISP_FAILED : sync_why_disposition((enum sync_why)why);
}

const char *sync_count_word(unsigned why)
{
	return why == SYNC_COUNT_NO_RECORD ? sync_reject_word(SYNC_REJ_PEER_FULL) : sync_why_word((enum sync_why)why);
}

const char *sync_count_text(unsigned why)
{
	return why == SYNC_COUNT_NO_RECORD ? sync_reject_text(SYNC_REJ_PEER_FULL) : sync_why_text((enum sync_why)why);
}

static void count_one(const struct sync *s, struct sync_counts *c, struct flow f)
{
	enum sync_proto p = sync_proto_of(f.x->l4);
	uint32_t peer = 0;
	enum sync_why why = flow_why(s, f, &peer);

	/* A copy in the store is as good as one in the kernel. */
	bool stored = !(f.x->flags & SESS_KERN) && why == SYNC_WHY_WARM;
	if (!(f.x->flags & SESS_KERN) && !stored) {
		c->absent[p][why]++;
		return;
	}
	c->stored += stored;
	unsigned row = why == SYNC_WHY_FAILED && f.x->err == ENFILE ? SYNC_COUNT_NO_RECORD : why;
	/* A change waits; the session itself is known to the peer. */
	if (why == SYNC_WHY_QUEUED && f.x->told != 0)
		row = SYNC_WHY_NONE;
	c->present[p][row]++;
	unsigned owner = flow_owner(s, f);
	if (owner == s->self_slot)
		c->own[p]++;
	else if (owner != 0 && f.x->why == SYNC_WHY_NONE)
		c->copies[p]++;
	if (p != SYNC_PROTO_TCP || !(f.x->flags & SESS_TCP))
		return;
	c->half_open += f.x->tcp_state == CT_TCP_SYN_SENT || f.x->tcp_state == CT_TCP_SYN_RECV ||
			f.x->tcp_state == CT_TCP_SYN_SENT2;
	c->half_close += f.x->tcp_state >= CT_TCP_FIN_WAIT && f.x->tcp_state <= CT_TCP_LAST_ACK;
}

void sync_count_now(const struct sync *s, struct sync_counts *out)
{
	unsigned budget = UINT32_MAX;
	struct sess_walk w;
	struct flow f;

	memset(out, 0, sizeof(*out));
	sess_walk_start(&w);
	while ((f.id = sess_walk_next(&s->tbl, &w, &budget)) != 0) {
		f.x = sess_at(&s->tbl, f.id);
		if (!(f.x->flags & SESS_GONE))
			count_one(s, out, f);
	}
}

static void rate_step(struct sync_count *c, mono_t now)
{
	int64_t ms = mono_sub(now, c->rate_at) / NS_PER_MS;

	if (ms < RATE_NS / NS_PER_MS)
		return;
	for (unsigned p = 0; p < SYNC_PROTO_N; p++) {
		c->rate_milli[p] = (uint32_t)((c->born[p] - c->born_before[p]) * 1000000 / (uint64_t)ms);
		c->born_before[p] = c->born[p];
	}
	c->rate_at = now;
}

void sync_count_step(struct sync *s, unsigned budget, mono_t now)
{
	struct sync_count *c = &s->count;
	struct flow f;

	rate_step(c, now);
	if (!c->walking)
		return;
	while ((f.id = sess_walk_next(&s->tbl, &c->walk, &budget)) != 0) {
		f.x = sess_at(&s->tbl, f.id);
		if (!(f.x->flags & SESS_GONE))
			count_one(s, &c->work, f);
	}
	if (c->walk.active)
		return;
	c->walking = false;
	c->last = c->work;
	c->last.at = now;
	c->last_began = c->began;
	if (c->again)
		begin(c, now);
}

bool sync_count_due(const struct sync *s, const struct sync_peer *p, enum sync_rec_type *type)
{
	const struct sync_count_peer *q = &s->count.peer[p->slot - 1];

	*type = q->ask ? SYNC_REC_COUNTS_ASK : SYNC_REC_COUNTS;
	return q->ask || (q->due && !s->count.walking);
}

/* Rows beyond the last one are gathered there. */
static void put_row(struct sync_count_set *set, unsigned why, uint32_t count, bool absent)
{
	if (count == 0)
		return;
	if (set->n_rows == SYNC_COUNT_ROWS) {
		set->rows[SYNC_COUNT_ROWS - 1].count += count;
		return;
	}
	struct sync_count_row *r = &set->rows[set->n_rows++];
	r->count = count;
	r->disp = (uint8_t)sync_count_disp(why);
	r->absent = absent;
	if (why != SYNC_WHY_NONE)
		snprintf(r->word, sizeof(r->word), "%s", sync_count_word(why));
}

static void fill_set(const struct sync_counts *c, unsigned proto, struct sync_count_set *set)
{
	set->proto = (uint8_t)proto;
	for (unsigned w = 0; w < SYNC_COUNT_N; w++)
		put_row(set, w, c->present[proto][w], false);
	for (unsigned w = 0; w < SYNC_COUNT_N; w++)
		put_row(set, w, c->absent[proto][w], true);
	if (proto != SYNC_PROTO_TCP)
		return;
	set->half_open = c->half_open;
	set->half_close = c->half_close;
}

void sync_count_sets(const struct sync_counts *c, struct sync_peer_counts *out)
{
	memset(out, 0, sizeof(*out));
	for (unsigned p = 0; p < SYNC_PROTO_N; p++)
		fill_set(c, p, &out->set[p]);
}

void sync_count_fill(struct sync *s, struct sync_peer *p, struct sync_rec *rec, mono_t now)
{
	struct sync_count_peer *q = &s->count.peer[p->slot - 1];

	if (rec->type == SYNC_REC_COUNTS_ASK) {
		q->ask = false;
		return;
	}
	require(q->next < SYNC_PROTO_N);
	fill_set(&s->count.last, q->next, &rec->counts);
	rec->counts.age_ms = (uint32_t)(mono_sub(now, s->count.last.at) / NS_PER_MS);
	rec->counts.left = (uint8_t)(SYNC_PROTO_N - 1 - q->next);
	if (++q->next == SYNC_PROTO_N) {
		q->due = false;
		q->next = 0;
	}
}

static void on_ask(struct sync_count *c, struct sync_count_peer *q, mono_t now)
{
	/* However often a peer asks, it is answered once per walk, and walks have a distance. */
	if (q->due)
		return;
	q->due = true;
	q->next = 0;
	if (!c->walking && !fresh(c, now))
		begin(c, now);
}

void sync_count_on(struct sync *s, struct sync_peer *p, const struct sync_rec *rec, mono_t now)
{
	struct sync_count_peer *q = &s->count.peer[p->slot - 1];

	if (rec->type == SYNC_REC_COUNTS_ASK) {
		on_ask(&s->count, q, now);
		return;
	}
	if (rec->counts.proto >= SYNC_PROTO_N) {
		s->stats.refused_range++;
		return;
	}
	q->in.set[rec->counts.proto] = rec->counts;
	if (rec->counts.left > 0)
		return;
	q->got = q->in;
	q->heard = now;
	q->got.at = mono_add(now, -(int64_t)rec->counts.age_ms * NS_PER_MS);
	memset(&q->in, 0, sizeof(q->in));
}

void sync_count_peer_up(struct sync *s, struct sync_peer *p)
{
	struct sync_count_peer *q = &s->count.peer[p->slot - 1];

	q->ask = q->due = false;
	q->next = 0;
	memset(&q->in, 0, sizeof(q->in));
}

/*
 * Does who has a session for this reason say that the other lacks it? A copy that is here and waits for a change is at its
 * owner as well; and whether the other's kernel refuses it, the other knows best: it has a record without an entry.
 */
static bool says_alone(enum sync_disposition d, const char *word)
{
	static const enum sync_why both[] = { SYNC_WHY_INJECTING, SYNC_WHY_LOST, SYNC_WHY_FAILED,
					      SYNC_WHY_STANDBY_FULL };

	for (unsigned i = 0; i < sizeof(both) / sizeof(both[0]); i++)
		if (strcmp(word, sync_why_word(both[i])) == 0)
			return false;
	return d != SYNC_DISP_SYNCED;
}

void sync_count_delta(const struct sync_counts *c, const struct sync_peer_counts *p, unsigned proto,
		      struct sync_count_delta *out)
{
	const struct sync_count_set *set = &p->set[proto];

	*out = (struct sync_count_delta){ 0 };
	/* Who lacks a session for a reason explains that only the other has it. */
	for (unsigned w = 0; w < SYNC_COUNT_N; w++) {
		enum sync_disposition d = sync_count_disp(w);
		out->local += c->present[proto][w];
		out->explained += says_alone(d, sync_count_word(w)) ? c->present[proto][w] : 0;
		out->explained -= d != SYNC_DISP_SYNCED ? c->absent[proto][w] : 0;
	}
	for (unsigned i = 0; i < set->n_rows; i++) {
		const struct sync_count_row *r = &set->rows[i];
		out->peer += r->absent ? 0 : r->count;
		out->explained -= !r->absent && says_alone(r->disp, r->word) ? r->count : 0;
		out->explained += r->absent && r->disp != SYNC_DISP_SYNCED ? r->count : 0;
	}
	out->delta = out->local - out->peer;
	out->unexplained = out->delta - out->explained;
}
