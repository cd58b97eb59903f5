/* Questions between the nodes about one session. They travel in the data stream, and end with it. */
#include <errno.h>
#include <string.h>
#include "daemon/base/err.h"
#include "sync/sync_int.h"

static struct sync_question *by_id(struct sync_question *q, uint32_t id)
{
	for (unsigned i = 0; i < SYNC_ASKS_MAX; i++)
		if (q[i].state != SYNC_ASK_NONE && q[i].id == id)
			return &q[i];
	return NULL;
}

static struct sync_question *in_state(struct sync_question *q, enum sync_ask_state state)
{
	for (unsigned i = 0; i < SYNC_ASKS_MAX; i++)
		if (q[i].state == state)
			return &q[i];
	return NULL;
}

int sync_ask(struct sync *s, uint32_t node, const struct ct_tuple *tuple, uint32_t *id)
{
	struct sync_peer *p = sync_peer_node(s, node);

	if (!p || !p->up)
		return -ENOTCONN;
	struct sync_question *q = in_state(p->asks.ours, SYNC_ASK_NONE);
	if (!q)
		return ERR_FULL;
	*q = (struct sync_question){ .state = SYNC_ASK_NEW, .id = ++p->asks.last_id, .tuple = *tuple };
	*id = q->id;
	return 0;
}

enum sync_ask_state sync_ask_look(struct sync *s, uint32_t node, uint32_t id, struct sync_facts *facts)
{
	struct sync_peer *p = sync_peer_node(s, node);
	const struct sync_question *q = p ? by_id(p->asks.ours, id) : NULL;

	if (q && q->state == SYNC_ASK_ANSWERED && facts)
		*facts = q->facts;
	return q ? q->state : SYNC_ASK_NONE;
}

void sync_ask_end(struct sync *s, uint32_t node, uint32_t id)
{
	struct sync_peer *p = sync_peer_node(s, node);
	struct sync_question *q = p ? by_id(p->asks.ours, id) : NULL;

	if (q)
		q->state = SYNC_ASK_NONE;
}

bool sync_asked(struct sync *s, uint32_t *node, uint32_t *id, struct ct_tuple *tuple)
{
	for (unsigned i = 0; i < SESS_NODES; i++) {
		const struct sync_question *q = in_state(s->peers[i].asks.theirs, SYNC_ASK_NEW);
		if (!q)
			continue;
		*node = s->peers[i].node;
		*id = q->id;
		*tuple = q->tuple;
		return true;
	}
	return false;
}

void sync_answer(struct sync *s, uint32_t node, uint32_t id, const struct sync_facts *facts)
{
	struct sync_peer *p = sync_peer_node(s, node);
	struct sync_question *q = p ? by_id(p->asks.theirs, id) : NULL;

	if (!q || q->state != SYNC_ASK_NEW)
		return;
	q->state = SYNC_ASK_ANSWERED;
	q->facts = *facts;
}

static void on_question(struct sync *s, struct sync_peer *p, const struct sync_rec *rec, mono_t now)
{
	struct sync_asks *a = &p->asks;
	struct sync_question *q = in_state(a->theirs, SYNC_ASK_NONE);

	s->stats.rx_asks++;
	if (!q || by_id(a->theirs, rec->ask_id) || mono_sub(a->next_at, now) > SYNC_ASK_BURST_NS) {
		s->stats.rx_asks_refused++;
		return;
	}
	a->next_at = mono_add(mono_max(a->next_at, now), SYNC_ASK_NS);
	*q = (struct sync_question){ .state = SYNC_ASK_NEW, .id = rec->ask_id, .tuple = rec->e.orig };
}

void sync_on_ask(struct sync *s, struct sync_peer *p, const struct sync_rec *rec, mono_t now)
{
	if (rec->type == SYNC_REC_ASK) {
		on_question(s, p, rec, now);
		return;
	}
	struct sync_question *q = by_id(p->asks.ours, rec->ask_id);
	if (!q || q->state != SYNC_ASK_SENT) {
		s->stats.rx_answers_late++;
		return;
	}
	q->state = SYNC_ASK_ANSWERED;
	q->facts = rec->facts;
}

bool sync_ask_waits(const struct sync_peer *p)
{
	for (unsigned i = 0; i < SYNC_ASKS_MAX; i++)
		if (p->asks.ours[i].state == SYNC_ASK_NEW || p->asks.theirs[i].state == SYNC_ASK_ANSWERED)
			return true;
	return p->again.in_due;
}

/* One of those that wait, into a record whose head is made. */
void sync_ask_fill(struct sync_peer *p, struct sync_rec *out)
{
	struct sync_question *q = in_state(p->asks.theirs, SYNC_ASK_ANSWERED);

	if (q) {
		out->type = SYNC_REC_ANSWER;
		out->ask_id = q->id;
		out->facts = q->facts;
		q->state = SYNC_ASK_NONE;
		return;
	}
	q = in_state(p->asks.ours, SYNC_ASK_NEW);
	if (q) {
		out->ask_id = q->id;
		out->e.orig = q->tuple;
		q->state = SYNC_ASK_SENT;
		return;
	}
	out->type = SYNC_REC_RESYNC;
	p->again.in_due = false;
}

void sync_asks_down(struct sync_peer *p)
{
	memset(p->asks.ours, 0, sizeof(p->asks.ours));
	memset(p->asks.theirs, 0, sizeof(p->asks.theirs));
}
