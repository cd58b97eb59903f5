/* A check of one peer: its text is asked for piece by piece, ours is gathered meanwhile, kt-disk compares. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/app_pair_int.h"
#include "sync/peer_hello.h"

#define PERIOD_NS   (60 * NS_PER_SEC) /* between checks by itself */
#define PROGRESS_NS (8 * NS_PER_SEC)  /* the peer has said nothing for so long: the check ends */

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

static void check_end(struct pair *p, struct pair_peer *pp)
{
	pp->state = CHECK_IDLE;
	free(pp->rx);
	pp->rx = NULL;
	app_pair_slot_clear(&pp->slot[USE_OWN]);
	if (!pp->up)
		pp->next = MONO_NEVER;
	else if (!pp->sessions || mono_is_never(pp->next)) /* an operator's question does not put off our own */
		pp->next = mono_add(clock_mono(), PERIOD_NS);
	if (pp->again) {
		pp->again = false;
		app_pair_check(p, pp, true);
		return;
	}
	app_pair_answer(p);
}

void app_pair_fail(struct pair *p, struct pair_peer *pp, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(pp->error, sizeof(pp->error), fmt, ap);
	va_end(ap);
	app_pair_both_free(pp->both);
	pp->both = NULL;
	log_debug(LOG_SYNC, "node %u is not compared: %s", pp->node, pp->error);
	check_end(p, pp);
}

static void compared(struct kt_job *job)
{
	struct compare *c = job->call.ctx;
	struct pair *p = c->a->pair;
	struct pair_peer *pp = p && !p->ended ? app_pair_peer(p, c->node) : NULL;
	struct pair_both *b = c->b;
	bool mine = pp && pp->state == CHECK_COMPARING && pp->id == c->id, sessions = c->sessions;
	free(c);
	if (!mine) {
		app_pair_both_free(b);
	} else if (b->drop[0] != PAIR_OK || b->drop[1] != PAIR_OK) {
		bool theirs = b->drop[1] != PAIR_OK;
		const char *why = pair_drop_text(b->drop[theirs]);
		app_pair_both_free(b);
		app_pair_fail(p, pp, "the facts of %s cannot be read: %s", theirs ? "the other node" : "this node",
			      why);
	} else {
		app_pair_both_free(pp->both);
		pp->both = b;
		pp->both_sessions = pair_facts_find(&b->facts[0], "sessions.counted") &&
				    pair_facts_find(&b->facts[1], "sessions.counted");
		pp->error[0] = '\0';
		if (!sessions)
			pair_tell(p->a, pp->node, &pp->told, &b->result);
		check_end(p, pp);
	}
}

void app_pair_advance(struct pair *p, struct pair_peer *pp)
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
	app_pair_fail(p, pp, "no memory, or the thread that compares takes no jobs");
}

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

void app_pair_check(struct pair *p, struct pair_peer *pp, bool sessions)
{
	const struct peer_hello *h = p->a->peer ? peer_ctl_hello(p->a->peer, pp->node) : NULL;
	pp->sessions = sessions;
	if (!pp->up || !h) {
		struct peer_link_info link[SYNC_LINKS_MAX];
		unsigned n = p->a->peer ? peer_ctl_links(p->a->peer, pp->node, link, SYNC_LINKS_MAX) : 0;
		app_pair_fail(p, pp, "the node is not connected: %s%s%.90s", n ? peer_why_text(link[0].why) : "no link",
			      n && link[0].text[0] ? ": " : "", n ? link[0].text : "");
		return;
	}
	if ((h->features & PEER_FEATURE_FACTS) == 0) {
		app_pair_fail(p, pp, "the node runs a version of keeptrackd that cannot be compared");
		return;
	}
	app_pair_slot_clear(&pp->slot[USE_OWN]);
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
		app_pair_fail(p, pp, "the node is not connected");
		return;
	}
	app_pair_gather(p);
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

void app_pair_piece(struct pair *p, struct pair_peer *pp, const struct peer_msg *m)
{
	const struct peer_facts *f = &m->facts;
	if (pp->state != CHECK_FACTS || pp->rx_done || f->id != pp->id || f->offset != pp->rx_len)
		return; /* of an earlier check */
	if (f->total == 0 || f->total > PAIR_TEXT_MAX || (pp->rx && f->total != pp->rx_total) || m->blob_len == 0 ||
	    m->blob_len > f->total - f->offset) {
		app_pair_fail(p, pp, "the node says nonsense about the size of its facts");
		return;
	}
	if (!pp->rx) {
		pp->rx = malloc(f->total);
		pp->rx_total = f->total;
	}
	if (!pp->rx) {
		app_pair_fail(p, pp, "no memory");
		return;
	}
	clock_sample(pp, f->wall_us);
	memcpy(pp->rx + pp->rx_len, m->blob, m->blob_len);
	pp->rx_len += m->blob_len;
	pp->until = mono_add(clock_mono(), PROGRESS_NS);
	pp->rx_done = pp->rx_len == pp->rx_total;
	if (pp->rx_done)
		app_pair_advance(p, pp);
	else if (!send_ask(p, pp))
		app_pair_fail(p, pp, "the connection to the node was lost");
}
