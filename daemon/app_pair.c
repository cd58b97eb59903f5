/*
 * check-pair. A check of one peer needs two texts: ours, gathered here, and the peer's, asked for piece by piece. When
 * both are there they are compared on kt-disk. A peer that asks gets a text made in the same way. One text is gathered
 * at a time. The parts: app_pair_check.c (one check), app_pair_own.c (texts of this node).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/app_pair_int.h"
#include "daemon/show.h"

#define SETTLE_NS (3 * NS_PER_SEC)  /* from the channel's coming up to the first check by itself */
#define KEEP_NS   (20 * NS_PER_SEC) /* a text that nobody asks for any more */

struct pair_peer *app_pair_peer(struct pair *p, uint32_t node)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->peer[i].node == node)
			return &p->peer[i];
	return NULL;
}

void app_pair_slot_clear(struct slot *s)
{
	free(s->text);
	*s = (struct slot){ 0 };
}

void app_pair_both_free(struct pair_both *b)
{
	if (!b)
		return;
	free(b->text[0]);
	free(b->text[1]);
	free(b);
}

static void peer_clear(struct pair_peer *pp)
{
	for (unsigned u = 0; u < USES; u++)
		app_pair_slot_clear(&pp->slot[u]);
	free(pp->rx);
	app_pair_both_free(pp->both);
	*pp = (struct pair_peer){ 0 };
}

/* ---- answers to operators ---- */

static json_t *answer(struct pair *p, bool detail)
{
	struct pair_view view[SYNC_NODES_MAX];
	for (unsigned i = 0; i < p->n; i++)
		view[i] =
		    (struct pair_view){ p->peer[i].node, p->peer[i].both, p->peer[i].error, p->peer[i].both_sessions };
	return show_pair(p->a, view, p->n, detail);
}

static bool busy(const struct pair *p)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->peer[i].state != CHECK_IDLE || p->peer[i].again)
			return true;
	return false;
}

void app_pair_answer(struct pair *p)
{
	if (busy(p))
		return;
	for (unsigned i = 0; i < WAITING_MAX; i++) {
		struct waiting *w = &p->waiting[i];
		if (!w->used)
			continue;
		w->used = false;
		ctl_answer(p->a->ctl, w->token, answer(p, w->detail), CTL_OK, "");
	}
	for (unsigned i = 0; i < p->n; i++) { /* texts and results are large: nobody needs them now */
		app_pair_both_free(p->peer[i].both);
		p->peer[i].both = NULL;
	}
}

/* ---- what comes in ---- */

static void schedule(struct pair *p, struct pair_peer *pp)
{
	pp->next = mono_add(clock_mono(), SETTLE_NS);
	loop_timer_set(p->timer, mono_add(clock_mono(), STEP_NS));
}

void app_pair_msg(struct app *a, uint32_t node, const struct peer_msg *m)
{
	struct pair *p = a->pair;
	struct pair_peer *pp = p && !p->ended ? app_pair_peer(p, node) : NULL;
	if (!pp)
		return;
	if (m->type == PEER_FACTS)
		app_pair_piece(p, pp, m);
	else if (m->type == PEER_FACTS_ASK)
		app_pair_ask(p, pp, &m->facts);
	else if (m->type == PEER_HELLO && pp->up)
		schedule(p, pp);
}

void app_pair_channel(struct app *a, uint32_t node, bool up)
{
	struct pair *p = a->pair;
	struct pair_peer *pp = p && !p->ended ? app_pair_peer(p, node) : NULL;
	if (!pp)
		return;
	pp->up = up;
	if (up) {
		schedule(p, pp);
		return;
	}
	pp->next = MONO_NEVER;
	app_pair_slot_clear(&pp->slot[USE_ANSWER]);
	if (pp->state != CHECK_IDLE)
		app_pair_fail(p, pp, "the connection to the node was lost");
}

/* Deadlines of one peer. Returns when to look again. */
static mono_t look_at(struct pair *p, struct pair_peer *pp, mono_t now)
{
	struct slot *s = &pp->slot[USE_ANSWER];
	if (pp->state == CHECK_FACTS && mono_due(pp->until, now))
		app_pair_fail(p, pp,
			      pp->rx_done ? "this node's own facts could not be gathered in time"
					  : "the node does not answer");
	if (s->ready && mono_due(mono_add(s->used_at, KEEP_NS), now))
		app_pair_slot_clear(s);
	if (pp->state == CHECK_IDLE && mono_due(pp->next, now) && !p->a->stopping)
		app_pair_check(p, pp, false);
	return pp->state != CHECK_IDLE || s->ready || s->wanted ? mono_add(now, STEP_NS) : pp->next;
}

static void on_timer(void *arg, mono_t deadline)
{
	struct pair *p = arg;
	mono_t now = clock_mono();
	mono_t next = MONO_NEVER;
	(void)deadline;
	if (p->ended)
		return;
	for (unsigned i = 0; i < p->n; i++)
		next = mono_min(next, look_at(p, &p->peer[i], now));
	if (p->own && !p->own_read && mono_due(p->sync_until, now))
		app_pair_read(p);
	loop_timer_set(p->timer, p->own ? mono_min(next, mono_add(now, STEP_NS)) : next);
}

int app_pair_show(struct app *a, struct ctl_request *req, json_t **reply)
{
	struct pair *p = a->pair;
	unsigned slot = 0;
	bool detail = json_is_true(json_object_get(req->args, "detail"));
	if (!p || p->n == 0) {
		snprintf(req->message, sizeof(req->message), "this node has no other one (no cluster is configured)");
		return CTL_FAILED;
	}
	while (slot < WAITING_MAX && p->waiting[slot].used)
		slot++;
	if (slot == WAITING_MAX) {
		snprintf(req->message, sizeof(req->message), "other requests wait for the same already; try again");
		return CTL_FAILED;
	}
	for (unsigned i = 0; i < p->n; i++) {
		struct pair_peer *pp = &p->peer[i];
		if (pp->state == CHECK_IDLE)
			app_pair_check(p, pp, true);
		else
			pp->again = true;
	}
	if (!busy(p)) {
		*reply = answer(p, detail);
		return CTL_OK;
	}
	p->waiting[slot] = (struct waiting){ true, detail, req->token };
	return CTL_LATER;
}

/* ---- start and end ---- */

void app_pair_reload(struct app *a)
{
	struct pair *p = a->pair;
	struct pair_peer now[SYNC_NODES_MAX] = { 0 };
	unsigned n = 0;
	if (!p || p->ended)
		return;
	for (unsigned i = 0; i < a->cfg->sync.n_nodes; i++) {
		uint32_t node = a->cfg->sync.nodes[i].id;
		struct pair_peer *was = app_pair_peer(p, node);
		if (node == a->cfg->sync.self)
			continue;
		now[n] = (struct pair_peer){ .node = node, .next = MONO_NEVER };
		if (was) {
			now[n] = *was;
			*was = (struct pair_peer){ 0 };
		}
		n++;
	}
	for (unsigned i = 0; i < p->n; i++)
		peer_clear(&p->peer[i]);
	memcpy(p->peer, now, sizeof(now));
	p->n = n;
	for (unsigned i = 0; i < n; i++)
		if (p->peer[i].up)
			schedule(p, &p->peer[i]);
	app_pair_answer(p);
}

int app_pair_start(struct app *a)
{
	if (!a->cfg->sync.enabled || a->pair)
		return 0;
	struct pair *p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->a = a;
	p->next_id = (uint32_t)a->boot_nonce;
	p->timer = loop_timer_new(a->loop, LOOP_NORMAL, on_timer, p);
	a->pair = p;
	app_pair_reload(a);
	return p->timer ? 0 : -ENOMEM;
}

void app_pair_end(struct app *a)
{
	if (a->pair)
		a->pair->ended = true;
}

void app_pair_free(struct app *a)
{
	struct pair *p = a->pair;
	if (!p)
		return;
	a->pair = NULL;
	loop_timer_free(p->timer);
	for (unsigned i = 0; i < p->n; i++)
		peer_clear(&p->peer[i]);
	if (!p->own_read) /* else it belongs to a job that never ended */
		pair_own_free(p->own);
	free(p);
}
