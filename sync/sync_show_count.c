/*
 * `show session statistics`: what there is here, at each peer, and why the two differ. Local figures and the peers' are
 * made by walks that begin together (sync_count.h); the answer waits for them, at most SYNC_COUNT_WAIT_NS.
 */
#include <string.h>
#include "daemon/base/clock.h"
#include "sync/sync_client.h"

static json_t *rates(const struct sync_count *c)
{
	json_t *list = json_array();
	uint64_t all = 0;

	for (unsigned p = 0; p < SYNC_PROTO_N; p++)
		all += c->rate_milli[p];
	json_array_append_new(list, json_pack("{s:s,s:f}", "protocol", "all", "per_s", (double)all / 1000.0));
	for (unsigned p = 0; p < SYNC_PROTO_N; p++)
		json_array_append_new(list, json_pack("{s:s,s:f}", "protocol", sync_proto_word((enum sync_proto)p),
						      "per_s", (double)c->rate_milli[p] / 1000.0));
	return list;
}

static uint64_t present(const struct sync_counts *c, unsigned proto)
{
	uint64_t n = 0;

	for (unsigned w = 0; w < SYNC_COUNT_N; w++)
		n += c->present[proto][w];
	return n;
}

static json_t *current(const struct sync_counts *c)
{
	json_t *list = json_array();

	for (unsigned p = 0; p < SYNC_PROTO_N; p++)
		json_array_append_new(list,
				      json_pack("{s:s,s:I,s:I,s:I}", "protocol", sync_proto_word((enum sync_proto)p),
						"sessions", client_u(present(c, p)), "own", client_u(c->own[p]),
						"copies", client_u(c->copies[p])));
	return list;
}

static json_t *reason(unsigned proto, const char *disposition, const char *word, const char *text, bool absent,
		      uint32_t count)
{
	return json_pack("{s:s,s:s,s:s,s:s,s:b,s:I}", "protocol", sync_proto_word((enum sync_proto)proto),
			 "disposition", disposition, "reason", word, "text", text, "in_kernel", !absent, "count",
			 client_u(count));
}

static json_t *reasons_here(const struct sync_counts *c)
{
	json_t *list = json_array();

	for (unsigned k = 0; k < 2 * SYNC_PROTO_N; k++) {
		unsigned p = k / 2;
		const uint32_t *n = k % 2 ? c->absent[p] : c->present[p];
		for (unsigned w = SYNC_WHY_NONE + 1; w < SYNC_COUNT_N; w++) {
			if (n[w] > 0 && sync_count_disp(w) != SYNC_DISP_SYNCED)
				json_array_append_new(list,
						      reason(p, sync_disposition_word(sync_count_disp(w)),
							     sync_count_word(w), sync_count_text(w), k % 2 != 0, n[w]));
		}
	}
	return list;
}

/* The peer's words; those that we know too have our text. */
static const char *text_of(const char *word)
{
	for (unsigned w = 0; w < SYNC_COUNT_N; w++)
		if (strcmp(word, sync_count_word(w)) == 0)
			return sync_count_text(w);
	return "";
}

static json_t *reasons_there(const struct sync_peer_counts *c)
{
	json_t *list = json_array();

	for (unsigned p = 0; p < SYNC_PROTO_N; p++) {
		for (unsigned i = 0; i < c->set[p].n_rows; i++) {
			const struct sync_count_row *r = &c->set[p].rows[i];
			if (r->disp != SYNC_DISP_SYNCED)
				json_array_append_new(list,
						      reason(p, sync_disposition_word((enum sync_disposition)r->disp),
							     r->word, text_of(r->word), r->absent, r->count));
		}
	}
	return list;
}

static json_t *delta_row(const char *protocol, const struct sync_count_delta *d)
{
	return json_pack("{s:s,s:I,s:I,s:I,s:I,s:I}", "protocol", protocol, "local", (json_int_t)d->local, "peer",
			 (json_int_t)d->peer, "delta", (json_int_t)d->delta, "explained", (json_int_t)d->explained,
			 "unexplained", (json_int_t)d->unexplained);
}

static json_t *deltas(const struct sync_counts *c, const struct sync_peer_counts *p, int64_t *off)
{
	struct sync_count_delta d, all = { 0 };
	json_t *list = json_array();

	*off = 0;
	for (unsigned i = 0; i < SYNC_PROTO_N; i++) {
		sync_count_delta(c, p, i, &d);
		json_array_append_new(list, delta_row(sync_proto_word((enum sync_proto)i), &d));
		all.local += d.local;
		all.peer += d.peer;
		all.delta += d.delta;
		all.explained += d.explained;
		all.unexplained += d.unexplained;
		*off += d.unexplained < 0 ? -d.unexplained : d.unexplained;
	}
	json_array_append_new(list, delta_row("all", &all));
	return list;
}

static json_t *peer_columns(const struct sync_client *c, const struct data_peer *p, mono_t now)
{
	const struct sync *s = c->run->core;
	const struct sync_peer *sp = sync_peer_get(s, p->node);
	const struct sync_peer_counts *got = sp ? &s->count.peer[sp->slot - 1].got : NULL;
	const char *name = client_node_name(c->run, p->node);
	int64_t off = 0;

	if (!sp || got->at.ns == 0)
		return json_pack("{s:s,s:I,s:b,s:b,s:n,s:[],s:[],s:I}", "node", name, "node_id", client_u(p->node),
				 "connected", sp && sp->up, "fresh", 0, "age_us", "rows", "reasons", "unexplained",
				 (json_int_t)0);
	bool fresh = sp->up && !mono_before(s->count.peer[sp->slot - 1].heard, c->began);
	json_t *rows = deltas(&s->count.last, got, &off);
	return json_pack("{s:s,s:I,s:b,s:b,s:o,s:o,s:o,s:I}", "node", name, "node_id", client_u(p->node), "connected",
			 sp->up, "fresh", fresh, "age_us", client_age(got->at, now), "rows", rows, "reasons",
			 reasons_there(got), "unexplained", (json_int_t)off);
}

static json_t *kernel_json(const struct sync_counts *c)
{
	uint32_t max = 0, entries = 0;
	struct ct_kernel_stats k;
	uint64_t recorded = 0;
	json_t *expect = json_null(), *lost = json_null();

	for (unsigned p = 0; p < SYNC_PROTO_N; p++)
		recorded += present(c, p);
	recorded -= c->stored;
	bool known = ct_io_table_size(&max, &entries) == 0;
	if (ct_io_kernel_stats(&k) == 0) {
		expect = json_integer((uint32_t)(k.expect_created - k.expect_deleted));
		lost = json_pack("{s:I,s:I,s:I,s:I}", "invalid", client_u(k.invalid), "insert_failed",
				 client_u(k.insert_failed), "drop", client_u(k.drop), "early_drop",
				 client_u(k.early_drop));
	}
	return json_pack("{s:o,s:o,s:I,s:I,s:o,s:o,s:o}", "entries", known ? json_integer(entries) : json_null(),
			 "limit", known ? json_integer(max) : json_null(), "recorded", client_u(recorded), "stored",
			 client_u(c->stored), "unrecorded",
			 known ? json_integer(entries > recorded ? client_u(entries - recorded) : 0) : json_null(),
			 "relations", expect, "packets", lost);
}

static void say(struct sync_client *c, mono_t now)
{
	const struct sync_run *r = c->run;
	const struct sync_count *k = &r->core->count;
	json_t *peers = json_array();
	uint64_t all = 0;

	for (unsigned p = 0; p < SYNC_PROTO_N; p++)
		all += present(&k->last, p);
	for (unsigned i = 0; i < r->n_peers; i++)
		json_array_append_new(peers, peer_columns(c, r->peers[i], now));
	client_say_data(c, json_pack("{s:s,s:o,s:I,s:o,s:{s:I,s:I},s:o,s:o,s:o,s:o}", "node",
				     client_node_name(r, r->conf->self), "age_us", client_age(k->last.at, now),
				     "sessions", client_u(all), "current", current(&k->last), "tcp", "half_open",
				     client_u(k->last.half_open), "half_close", client_u(k->last.half_close), "rates",
				     rates(k), "kernel", kernel_json(&k->last), "reasons", reasons_here(&k->last),
				     "peers", peers));
	client_say_end(c);
}

void client_count_begin(struct sync_client *c)
{
	c->waiting = true;
	sync_count_want(c->run->core, c->began);
	drive_kick(c->run);
}

bool client_count_look(struct sync_client *c)
{
	mono_t now = clock_mono();
	const struct sync *s = c->run->core;

	if (!sync_count_done(s, c->began) && mono_sub(now, c->began) < SYNC_COUNT_WAIT_NS)
		return false;
	if (s->count.last.at.ns == 0)
		return false; /* our own walk always ends */
	say(c, now);
	return true;
}
