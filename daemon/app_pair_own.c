/* Texts of this node, for its own checks and for peers that ask: one is gathered at a time. */
#include <stdlib.h>
#include <string.h>
#include "daemon/app_pair_int.h"

enum { ASKS_PER_S = 1000 };
#define SYNC_NS (5 * NS_PER_SEC) /* for counting sessions; after that the text goes without */

static void send_piece(struct pair *p, struct pair_peer *pp, uint32_t offset)
{
	struct slot *s = &pp->slot[USE_ANSWER];
	struct peer_msg m = { .type = PEER_FACTS, .epoch = p->a->node.seen };
	if (!s->ready || offset > s->len)
		return;
	size_t n = s->len - offset < PEER_BLOB_MAX ? s->len - offset : PEER_BLOB_MAX;
	m.facts = (struct peer_facts){ .id = s->id, .offset = offset, .total = (uint32_t)s->len };
	m.facts.wall_us = (uint64_t)clock_wall_us();
	memcpy(m.blob, s->text + offset, n);
	m.blob_len = (uint16_t)n;
	s->used_at = clock_mono();
	if (p->a->peer)
		(void)peer_ctl_send(p->a->peer, pp->node, &m); /* lost: the asker sees no progress and ends */
}

static void gathered(struct pair *p, struct pair_own *own)
{
	struct pair_peer *pp = app_pair_peer(p, own->node);
	struct slot *s = pp ? &pp->slot[own->answer ? USE_ANSWER : USE_OWN] : NULL;
	if (s && s->wanted && s->id == own->id) {
		s->text = own->buf;
		s->len = pair_own_end(own, p->a);
		own->buf = NULL;
		s->wanted = false;
		s->ready = true;
		s->used_at = clock_mono();
	} else {
		s = NULL; /* asked anew meanwhile, or for nobody any more */
	}
	pair_own_free(own);
	if (!s)
		return;
	if (s == &pp->slot[USE_OWN])
		app_pair_advance(p, pp);
}

static void own_done(struct kt_job *job)
{
	struct pair_own *own = job->call.ctx;
	struct pair *p = own->app->pair;
	if (!p || p->ended) {
		pair_own_free(own);
		return;
	}
	uint32_t node = own->node;
	bool answers = own->answer;
	p->own = NULL;
	p->own_read = false;
	gathered(p, own);
	struct pair_peer *pp = app_pair_peer(p, node);
	if (answers && pp)
		send_piece(p, pp, 0);
	app_pair_gather(p);
}

void app_pair_read(struct pair *p)
{
	struct pair_own *own = p->own;
	struct kt_job *job = kt_job_new(KT_CALL, KT_LATER, own_done, NULL);
	pair_own_begin(own, p->a);
	if (job) {
		job->call.fn = pair_own_read;
		job->call.ctx = own;
		job->call.disk = true;
		if (kernel_thread_submit(p->a->kt, job) == 0) {
			p->own_read = true;
			return;
		}
	}
	kt_job_free(job);
	struct pair_peer *pp = app_pair_peer(p, own->node);
	bool answers = own->answer;
	p->own = NULL;
	pair_own_free(own);
	if (pp)
		pp->slot[answers ? USE_ANSWER : USE_OWN].wanted = false;
	if (pp && !answers)
		app_pair_fail(p, pp, "the thread that reads files takes no jobs");
}

static void gather_begin(struct pair *p, struct pair_peer *pp, enum use u)
{
	const struct slot *s = &pp->slot[u];
	p->own = pair_own_new(p->a, pp->node, s->id, u == USE_ANSWER, s->config);
	if (!p->own)
		return; /* the asker sees no progress and ends */
	struct sync_cmd cmd = { .type = SYNC_CMD_FACTS, .seq = ++p->seq, .peer_node = pp->node, .walk = s->sessions };
	p->sync_until = mono_add(clock_mono(), SYNC_NS);
	if (!p->a->sync || node_sync_late(&p->a->node, clock_mono()) || sync_thread_send(p->a->sync, &cmd) < 0)
		app_pair_read(p);
}

void app_pair_gather(struct pair *p)
{
	for (unsigned i = 0; i < p->n && !p->own; i++)
		for (unsigned u = 0; u < USES && !p->own; u++)
			if (p->peer[i].slot[u].wanted)
				gather_begin(p, &p->peer[i], (enum use)u);
}

void app_pair_facts(struct app *a, const struct sync_report *rep)
{
	struct pair *p = a->pair;
	if (!p || p->ended || !p->own || p->own_read || rep->seq != p->seq) {
		free(rep->facts);
		return;
	}
	p->own->facts = rep->facts;
	app_pair_read(p);
}

/* At most ASKS_PER_S: what is above that is not answered. */
static bool ask_allowed(struct pair_peer *pp)
{
	mono_t now = clock_mono();
	if (mono_due(pp->asks_until, now)) {
		pp->asks_until = mono_add(now, NS_PER_SEC);
		pp->asks = 0;
	}
	return pp->asks++ < ASKS_PER_S;
}

void app_pair_ask(struct pair *p, struct pair_peer *pp, const struct peer_facts *f)
{
	struct slot *s = &pp->slot[USE_ANSWER];
	if (!ask_allowed(pp))
		return;
	if (s->ready && s->id == f->id) {
		send_piece(p, pp, f->offset);
		return;
	}
	if (f->offset != 0 || (s->wanted && s->id == f->id))
		return;
	app_pair_slot_clear(s);
	s->wanted = true;
	s->id = f->id;
	s->sessions = f->sessions;
	s->config = f->config;
	s->used_at = clock_mono();
	app_pair_gather(p);
	loop_timer_set(p->timer, mono_add(clock_mono(), STEP_NS));
}
