/*
 * check-pair. A check of one peer needs two texts: ours, gathered here, and the peer's, asked for piece by piece. When
 * both are there they are compared on kt-disk. A peer that asks gets a text made in the same way. One text is gathered
 * at a time.
 */
#include "daemon/app_pair.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/app.h"
#include "daemon/base/clock.h"
#include "daemon/pair_own.h"
#include "daemon/show.h"
#include "sync/peer_hello.h"

enum { WAITING_MAX = 8, ASKS_PER_S = 1000 };
#define SETTLE_NS   (3 * NS_PER_SEC)  /* from the channel's coming up to the first check by itself */
#define PERIOD_NS   (60 * NS_PER_SEC) /* between checks by itself */
#define PROGRESS_NS (8 * NS_PER_SEC)  /* the peer has said nothing for so long: the check ends */
#define SYNC_NS     (5 * NS_PER_SEC)  /* for counting sessions; after that the text goes without */
#define KEEP_NS     (20 * NS_PER_SEC) /* a text that nobody asks for any more */
#define STEP_NS     (200 * NS_PER_MS) /* deadlines are looked at */

enum use { USE_OWN = 0, USE_ANSWER, USES };

/* A text of this node for one purpose. */
struct slot {
	bool wanted, ready, sessions, config;
	uint32_t id;
	char *text;
	size_t len;
	mono_t used_at;
};

enum check_state { CHECK_IDLE = 0, CHECK_FACTS, CHECK_COMPARING };

struct pair_peer {
	uint32_t node;
	bool up;
	struct slot slot[USES];
	enum check_state state;
	bool sessions, again; /* what the check counts; once more, with sessions, when it has ended */
	uint32_t id;
	char *rx;
	uint32_t rx_len, rx_total;
	bool rx_done;
	mono_t until, sent_at;
	int64_t sent_wall_us;
	struct pair_clock clock;
	struct pair_both *both;
	bool both_sessions;
	char error[160];
	mono_t next; /* the next check by itself; MONO_NEVER: none */
	unsigned asks;
	mono_t asks_until;
	struct pair_told told;
};

struct waiting {
	bool used, detail;
	uint64_t token;
};

struct pair {
	struct app *a;
	bool ended;
	struct loop_timer *timer;
	struct pair_peer peer[SYNC_NODES_MAX];
	unsigned n;
	struct pair_own *own; /* being gathered */
	bool own_read;        /* it is with kt-disk */
	uint64_t seq;
	mono_t sync_until;
	uint32_t next_id;
	struct waiting waiting[WAITING_MAX];
};

static struct pair_peer *peer_of(struct pair *p, uint32_t node)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->peer[i].node == node)
			return &p->peer[i];
	return NULL;
}

static void slot_clear(struct slot *s)
{
	free(s->text);
	*s = (struct slot){ 0 };
}

static void both_free(struct pair_both *b)
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
		slot_clear(&pp->slot[u]);
	free(pp->rx);
	both_free(pp->both);
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

static void answer_all(struct pair *p)
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
		both_free(p->peer[i].both);
		p->peer[i].both = NULL;
	}
}

/* ---- a check ---- */

static void check_begin(struct pair *p, struct pair_peer *pp, bool sessions);
static void gather_next(struct pair *p);

static void check_end(struct pair *p, struct pair_peer *pp)
{
	pp->state = CHECK_IDLE;
	free(pp->rx);
	pp->rx = NULL;
	slot_clear(&pp->slot[USE_OWN]);
	if (!pp->up)
		pp->next = MONO_NEVER;
	else if (!pp->sessions || mono_is_never(pp->next)) /* an operator's question does not put off our own */
		pp->next = mono_add(clock_mono(), PERIOD_NS);
	if (pp->again) {
		pp->again = false;
		check_begin(p, pp, true);
		return;
	}
	answer_all(p);
}

static void __attribute__((format(printf, 3, 4))) check_fail(struct pair *p, struct pair_peer *pp, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(pp->error, sizeof(pp->error), fmt, ap);
	va_end(ap);
	both_free(pp->both);
	pp->both = NULL;
	log_debug(LOG_SYNC, "node %u is not compared: %s", pp->node, pp->error);
	check_end(p, pp);
}

struct compare {
	struct app *a;
	uint32_t node, id;
	bool sessions;
	struct pair_both *b;
};

static int compare(void *ctx)
{
	struct compare *c = ctx;
	struct pair_both *b = c->b;
	for (unsigned i = 0; i < 2; i++)
		b->drop[i] = pair_facts_read(b->text[i], b->len[i], &b->facts[i]);
	if (b->drop[0] == PAIR_OK && b->drop[1] == PAIR_OK)
		pair_check(&b->facts[0], &b->facts[1], &b->clock, &b->result);
	return 0;
}

static void compared(struct kt_job *job)
{
	struct compare *c = job->call.ctx;
	struct pair *p = c->a->pair;
	struct pair_peer *pp = p && !p->ended ? peer_of(p, c->node) : NULL;
	struct pair_both *b = c->b;
	bool mine = pp && pp->state == CHECK_COMPARING && pp->id == c->id, sessions = c->sessions;
	free(c);
	if (!mine) {
		both_free(b);
	} else if (b->drop[0] != PAIR_OK || b->drop[1] != PAIR_OK) {
		bool theirs = b->drop[1] != PAIR_OK;
		const char *why = pair_drop_text(b->drop[theirs]);
		both_free(b);
		check_fail(p, pp, "the facts of %s cannot be read: %s", theirs ? "the other node" : "this node", why);
	} else {
		both_free(pp->both);
		pp->both = b;
		pp->both_sessions = pair_facts_find(&b->facts[0], "sessions.counted") &&
				    pair_facts_find(&b->facts[1], "sessions.counted");
		pp->error[0] = '\0';
		if (!sessions)
			pair_tell(p->a, pp->node, &pp->told, &b->result);
		check_end(p, pp);
	}
}

static void check_advance(struct pair *p, struct pair_peer *pp)
{
	struct slot *s = &pp->slot[USE_OWN];
	if (pp->state != CHECK_FACTS || !s->ready || !pp->rx_done)
		return;
	struct kt_job *job = kt_job_new(KT_CALL, KT_LATER, compared, NULL);
	struct compare *c = calloc(1, sizeof(*c));
	struct pair_both *b = calloc(1, sizeof(*b));
	if (job && c && b) {
		b->text[0] = s->text;
		b->len[0] = s->len;
		b->text[1] = pp->rx;
		b->len[1] = pp->rx_len;
		b->clock = pp->clock;
		c->a = p->a;
		c->node = pp->node;
		c->id = pp->id;
		c->sessions = pp->sessions;
		c->b = b;
		job->call.fn = compare;
		job->call.ctx = c;
		job->call.disk = true;
		if (kernel_thread_submit(p->a->kt, job) == 0) {
			s->text = NULL;
			pp->rx = NULL;
			pp->state = CHECK_COMPARING;
			return;
		}
	}
	kt_job_free(job);
	free(c);
	free(b);
	check_fail(p, pp, "no memory, or the thread that compares takes no jobs");
}

/* ---- texts of this node ---- */

static void gathered(struct pair *p, struct pair_own *own)
{
	struct pair_peer *pp = peer_of(p, own->node);
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
		check_advance(p, pp);
}

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
	(void)peer_ctl_send(p->a->peer, pp->node, &m); /* lost: the asker sees no progress and ends */
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
	struct pair_peer *pp = peer_of(p, node);
	if (answers && pp)
		send_piece(p, pp, 0);
	gather_next(p);
}

/* SYNC has answered, or will not: the kernel's side is next. */
static void gather_read(struct pair *p)
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
	struct pair_peer *pp = peer_of(p, own->node);
	bool answers = own->answer;
	p->own = NULL;
	pair_own_free(own);
	if (pp)
		pp->slot[answers ? USE_ANSWER : USE_OWN].wanted = false;
	if (pp && !answers)
		check_fail(p, pp, "the thread that reads files takes no jobs");
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
		gather_read(p);
}

static void gather_next(struct pair *p)
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
	gather_read(p);
}

/* ---- texts of the peers ---- */

static bool send_ask(struct pair *p, struct pair_peer *pp)
{
	struct peer_msg m = { .type = PEER_FACTS_ASK, .epoch = p->a->node.seen };
	m.facts = (struct peer_facts){ .id = pp->id, .offset = pp->rx_len };
	m.facts.sessions = pp->sessions;
	m.facts.config = pp->slot[USE_OWN].config;
	pp->sent_at = clock_mono();
	pp->sent_wall_us = clock_wall_us();
	return peer_ctl_send(p->a->peer, pp->node, &m) == 0;
}

/* Sections that are equal by their digests need no exchange. */
static bool config_differs(const struct app *a, const struct peer_hello *h)
{
	return memcmp(h->config_digest, a->cfg->digest, sizeof(h->config_digest)) != 0;
}

static void check_begin(struct pair *p, struct pair_peer *pp, bool sessions)
{
	const struct peer_hello *h = p->a->peer ? peer_ctl_hello(p->a->peer, pp->node) : NULL;
	pp->sessions = sessions;
	if (!pp->up || !h) {
		struct peer_link_info link[SYNC_LINKS_MAX];
		unsigned n = p->a->peer ? peer_ctl_links(p->a->peer, pp->node, link, SYNC_LINKS_MAX) : 0;
		check_fail(p, pp, "the node is not connected: %s%s%.90s", n ? peer_why_text(link[0].why) : "no link",
			   n && link[0].text[0] ? ": " : "", n ? link[0].text : "");
		return;
	}
	if ((h->features & PEER_FEATURE_FACTS) == 0) {
		check_fail(p, pp, "the node runs a version of keeptrackd that cannot be compared");
		return;
	}
	slot_clear(&pp->slot[USE_OWN]);
	pp->state = CHECK_FACTS;
	pp->id = ++p->next_id;
	pp->rx_len = pp->rx_total = 0;
	pp->rx_done = false;
	pp->clock = (struct pair_clock){ 0 };
	pp->until = mono_add(clock_mono(), PROGRESS_NS);
	pp->slot[USE_OWN].wanted = true;
	pp->slot[USE_OWN].sessions = sessions;
	pp->slot[USE_OWN].config = config_differs(p->a, h);
	pp->slot[USE_OWN].id = pp->id;
	if (!send_ask(p, pp)) {
		check_fail(p, pp, "the node is not connected");
		return;
	}
	gather_next(p);
	loop_timer_set(p->timer, mono_add(clock_mono(), STEP_NS));
}

/* The answer with the shortest way there and back tells the clocks apart best. */
static void clock_sample(struct pair_peer *pp, uint64_t wall_us)
{
	int64_t trip = mono_sub(clock_mono(), pp->sent_at) / NS_PER_US;
	if (wall_us == 0 || wall_us > INT64_MAX / 2 || (pp->clock.known && pp->clock.error_us <= trip / 2))
		return;
	pp->clock = (struct pair_clock){ true, (int64_t)wall_us - (pp->sent_wall_us + trip / 2), trip / 2 };
}

static void on_piece(struct pair *p, struct pair_peer *pp, const struct peer_msg *m)
{
	const struct peer_facts *f = &m->facts;
	if (pp->state != CHECK_FACTS || pp->rx_done || f->id != pp->id || f->offset != pp->rx_len)
		return; /* of an earlier check */
	if (f->total == 0 || f->total > PAIR_TEXT_MAX || (pp->rx && f->total != pp->rx_total) || m->blob_len == 0 ||
	    m->blob_len > f->total - f->offset) {
		check_fail(p, pp, "the node says nonsense about the size of its facts");
		return;
	}
	if (!pp->rx) {
		pp->rx = malloc(f->total);
		pp->rx_total = f->total;
	}
	if (!pp->rx) {
		check_fail(p, pp, "no memory");
		return;
	}
	clock_sample(pp, f->wall_us);
	memcpy(pp->rx + pp->rx_len, m->blob, m->blob_len);
	pp->rx_len += m->blob_len;
	pp->until = mono_add(clock_mono(), PROGRESS_NS);
	pp->rx_done = pp->rx_len == pp->rx_total;
	if (pp->rx_done)
		check_advance(p, pp);
	else if (!send_ask(p, pp))
		check_fail(p, pp, "the connection to the node was lost");
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

static void on_ask(struct pair *p, struct pair_peer *pp, const struct peer_facts *f)
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
	slot_clear(s);
	s->wanted = true;
	s->id = f->id;
	s->sessions = f->sessions;
	s->config = f->config;
	s->used_at = clock_mono();
	gather_next(p);
	loop_timer_set(p->timer, mono_add(clock_mono(), STEP_NS));
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
	struct pair_peer *pp = p && !p->ended ? peer_of(p, node) : NULL;
	if (!pp)
		return;
	if (m->type == PEER_FACTS)
		on_piece(p, pp, m);
	else if (m->type == PEER_FACTS_ASK)
		on_ask(p, pp, &m->facts);
	else if (m->type == PEER_HELLO && pp->up)
		schedule(p, pp);
}

void app_pair_channel(struct app *a, uint32_t node, bool up)
{
	struct pair *p = a->pair;
	struct pair_peer *pp = p && !p->ended ? peer_of(p, node) : NULL;
	if (!pp)
		return;
	pp->up = up;
	if (up) {
		schedule(p, pp);
		return;
	}
	pp->next = MONO_NEVER;
	slot_clear(&pp->slot[USE_ANSWER]);
	if (pp->state != CHECK_IDLE)
		check_fail(p, pp, "the connection to the node was lost");
}

/* Deadlines of one peer. Returns when to look again. */
static mono_t look_at(struct pair *p, struct pair_peer *pp, mono_t now)
{
	struct slot *s = &pp->slot[USE_ANSWER];
	if (pp->state == CHECK_FACTS && mono_due(pp->until, now))
		check_fail(p, pp,
			   pp->rx_done ? "this node's own facts could not be gathered in time"
				       : "the node does not answer");
	if (s->ready && mono_due(mono_add(s->used_at, KEEP_NS), now))
		slot_clear(s);
	if (pp->state == CHECK_IDLE && mono_due(pp->next, now) && !p->a->stopping)
		check_begin(p, pp, false);
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
		gather_read(p);
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
			check_begin(p, pp, true);
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
		struct pair_peer *was = peer_of(p, node);
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
	answer_all(p);
}

int app_pair_start(struct app *a)
{
	if (!a->cfg->sync.enabled)
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
