/*
 * What an operator sees of replication as a whole: is it in sync, and if not, why; peers, queues, delays, rules.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include "daemon/base/clock.h"
#include "sync/sync_client.h"

/* --- in sync? --- */

struct gaps {
	json_t *list;
	const char *node;
};

__attribute__((format(printf, 2, 3))) static void gap(struct gaps *g, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_append_new(g->list, json_pack("{s:s,s:s}", "node", g->node, "text", text));
}

static const char *down_text(const struct data_peer *p)
{
	const struct data_link *k = &p->links[0];

	return k->text[0] ? k->text : peer_why_text(k->why);
}

static unsigned long long queued(const struct sync *s)
{
	unsigned long long n = 0;

	for (unsigned q = SESS_QUEUE_LIVE; q < SESS_QUEUES; q++)
		n += s->queues[q].waiting;
	return n;
}

/* Why there is no comparison, or why it says "not equal". */
static void gaps_compare(const struct sync *s, const struct sync_peer *p, struct gaps *g, mono_t now)
{
	if (p->digest_told == 0 && p->equal_at.ns == 0)
		gap(g, "the tables have not been compared yet");
	else if (!p->equal)
		gap(g, "its sessions and our copies differ; it is asked for what differs");
	if (p->lag.judged_at.ns == 0)
		gap(g, "it has not compared its copies with our sessions yet");
	else if (!p->their_equal)
		gap(g, "our sessions and its copies differ; what differs is sent again");
	if (s->owner.muted)
		gap(g, "a role change is under way; tables are compared when it rests");
	else if (s->lost_at.ns != 0 && !mono_due(mono_add(s->lost_at, SYNC_LOSS_NS), now))
		gap(g, "an interface, an address or the role was lost here; tables are compared again in %lld s",
		    (long long)(mono_sub(mono_add(s->lost_at, SYNC_LOSS_NS), now) / NS_PER_SEC) + 1);
}

static void gaps_peer(const struct sync_run *r, const struct data_peer *dp, const struct sync_peer *p, json_t *list,
		      mono_t now)
{
	const struct sync *s = r->core;
	struct gaps g = { list, client_node_name(r, dp->node) };

	if (!p->up) {
		gap(&g, "no data connection: %s", dp->n_links > 0 ? down_text(dp) : "no link is configured");
		return;
	}
	if (!p->has_all)
		gap(&g, "it has not stored all of our sessions yet (%s)",
		    p->bulk.running   ? "they are being sent"
		    : p->bulk.end_seq ? "they are sent"
				      : "they wait to be sent");
	if (!p->have_all)
		gap(&g, "it has not named all of its sessions yet");
	if (p->has_all && p->have_all && !(p->equal && p->their_equal && p->lag.judged_at.ns != 0))
		gaps_compare(s, p, &g, now);
	if (p->refusing > 0)
		gap(&g, "its kernel refuses %" PRIu32 " of our sessions", p->refusing);
	if (p->refused > 0)
		gap(&g, "our kernel refuses %" PRIu32 " of its sessions", p->refused);
}

json_t *client_insync_json(const struct sync_run *r)
{
	const struct sync *s = r->core;
	mono_t now = clock_mono(), as_of = MONO_NEVER;
	json_t *list = json_array();
	bool equal = r->n_peers > 0;
	unsigned up = 0;

	for (unsigned i = 0; i < r->n_peers; i++) {
		const struct sync_peer *p = sync_peer_get(s, r->peers[i]->node);
		if (!p)
			continue;
		gaps_peer(r, r->peers[i], p, list, now);
		up += p->up;
		equal &= p->up && p->has_all && p->have_all && p->equal && p->their_equal && p->lag.judged_at.ns != 0;
		as_of = mono_min(as_of, mono_min(p->equal_at, p->lag.judged_at));
	}
	return json_pack("{s:b,s:o,s:I,s:I,s:o}", "equal", equal, "as_of_us",
			 equal ? client_age(as_of, now) : json_null(), "waiting", client_u(up ? s->n_dirty : 0),
			 "to_write", client_u(queued(s)), "missing", list);
}

/* --- peers --- */

static json_t *peer_row(const struct sync_run *r, const struct data_peer *dp)
{
	const struct sync_peer *p = sync_peer_get(r->core, dp->node);
	json_t *o = client_peer_json(r, dp);
	mono_t now = clock_mono();
	struct peer_conn_stats t = { 0 };
	uint64_t connects = 0;

	for (unsigned j = 0; j < dp->n_links; j++) {
		const struct data_link *k = &dp->links[j];
		const struct peer_conn_stats *st = k->conn ? peer_conn_stats(k->conn) : NULL;
		t.tx_bytes += k->before.tx_bytes + (st ? st->tx_bytes : 0);
		t.rx_bytes += k->before.rx_bytes + (st ? st->rx_bytes : 0);
		connects += k->connects;
		if (st && k == dp->active)
			t.heard = st->heard;
	}
	if (!p || !o)
		return o;
	json_t *more = json_pack("{s:I,s:I,s:I,s:o,s:I,s:I,s:I,s:I,s:I,s:s,s:I}", "bytes_sent", client_u(t.tx_bytes),
				 "bytes_received", client_u(t.rx_bytes), "connects", client_u(connects), "heard_us",
				 client_age(t.heard, now), "records_sent", client_u(p->tx_seq), "records_stored",
				 client_u(p->acked), "records_received", client_u(p->rx_seq), "refused_there",
				 client_u(p->refusing), "refused_here", client_u(p->refused), "bulk",
				 p->bulk.running  ? "sending"
				 : p->bulk.wanted ? "due"
						  : "done",
				 "copies", client_u(r->core->recounting ? 0 : r->core->sets[p->slot - 1].count));
	json_object_update(o, more);
	json_decref(more);
	return o;
}

void client_peers(struct sync_client *c)
{
	const struct sync_run *r = c->run;
	json_t *list = json_array();

	for (unsigned i = 0; i < r->n_peers; i++)
		json_array_append_new(list, peer_row(r, r->peers[i]));
	client_say_data(c, json_pack("{s:s,s:o,s:o}", "node", client_node_name(r, r->conf->self), "sync",
				     client_insync_json(r), "peers", list));
	client_say_end(c);
}

/* --- queues --- */

static void queue_row(json_t *list, const char *name, uint64_t waiting, uint64_t limit, uint64_t full, const char *when)
{
	json_array_append_new(list, json_pack("{s:s,s:I,s:o,s:I,s:s}", "queue", name, "waiting", client_u(waiting),
					      "limit", limit ? json_integer(client_u(limit)) : json_null(), "refused",
					      client_u(full), "when_full", when));
}

static void queue_sessions(json_t *list, const struct sync *s)
{
	static const char *const names[SESS_QUEUES] = { [SESS_QUEUE_NONE] = "",
							[SESS_QUEUE_LIVE] = "injector, live",
							[SESS_QUEUE_BULK] = "injector, bulk",
							[SESS_QUEUE_RENEW] = "injector, renewals" };
	static const char once[] = "never: each session at most once";

	queue_row(list, "changes to send", s->n_dirty, s->tbl.limit, 0, once);
	for (unsigned q = SESS_QUEUE_LIVE; q < SESS_QUEUES; q++)
		queue_row(list, names[q], s->queues[q].waiting, s->tbl.limit, 0, once);
	queue_row(list, "store", sync_stored(s), s->tbl.limit, 0, once);
	queue_row(list, "single deletions", s->n_raw, SYNC_RAW_MAX, 0, "refused and logged");
}

void client_queue(struct sync_client *c)
{
	const struct sync_run *r = c->run;
	const struct sync *s = r->core;
	const struct ct_io_stats *ct = ct_io_stats(r->ct);
	uint32_t max = 0, count = 0;
	unsigned readers = 0;
	mono_t now = clock_mono();
	json_t *list = json_array(), *peers = json_array();

	queue_sessions(list, s);
	queue_row(list, "session table", sess_count(&s->tbl), s->tbl.limit, s->stats.table_full,
		  "new sessions are not tracked");
	if (ct_io_table_size(&max, &count) == 0)
		queue_row(list, "kernel's table", count, max, s->stats.op_full, "copies are refused and tried again");
	queue_row(list, "event buffer (bytes)", ct_io_rcv_used(r->ct), ct->rcvbuf, ct->overruns,
		  "events are lost; a sweep repairs");
	for (unsigned i = 0; i < SYNC_CLIENTS_MAX; i++)
		readers += r->clients[i] != NULL;
	queue_row(list, "session commands", readers, SYNC_CLIENTS_MAX, r->st.clients_refused,
		  "the next one is refused");
	for (unsigned i = 0; i < r->n_peers; i++) {
		const struct sync_peer *p = sync_peer_get(s, r->peers[i]->node);
		if (!p)
			continue;
		json_array_append_new(
		    peers, json_pack("{s:s,s:b,s:I,s:I,s:I}", "node", client_node_name(r, p->node), "connected", p->up,
				     "unsent_us", (json_int_t)(sync_lag_unsent_ns(p, now) / NS_PER_US), "questions",
				     client_u(p->n_unknown), "questions_limit", client_u(SYNC_UNKNOWN_MAX)));
	}
	client_say_data(
	    c, json_pack("{s:o,s:I,s:o}", "queues", list, "bulk_rate", client_u(r->conf->bulk_rate), "peers", peers));
	client_say_end(c);
}

/* --- delays --- */

/* The bound of a class, or the highest sample if that is less. */
static uint64_t within(const struct hist *h, double q)
{
	uint64_t bound = hist_quantile_us(h, q), max = (uint64_t)(h->max_ns / NS_PER_US);

	return bound < max ? bound : max;
}

void client_lag(struct sync_client *c)
{
	const struct sync_run *r = c->run;
	json_t *list = json_array();
	mono_t now = clock_mono();

	for (unsigned i = 0; i < r->n_peers; i++) {
		const struct sync_peer *p = sync_peer_get(r->core, r->peers[i]->node);
		if (!p)
			continue;
		const struct hist *h = &p->lag.stored;
		json_array_append_new(
		    list,
		    json_pack("{s:s,s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o,s:o}", "node", client_node_name(r, p->node),
			      "connected", p->up, "unsent_us", (json_int_t)(sync_lag_unsent_ns(p, now) / NS_PER_US),
			      "unstored_us", (json_int_t)(sync_lag_unstored_ns(p, now) / NS_PER_US), "unstored_records",
			      client_u(p->up ? p->tx_seq - p->acked : 0), "samples", client_u(h->count),
			      "stored_p50_us", client_u(within(h, 0.5)), "stored_p99_us", client_u(within(h, 0.99)),
			      "stored_max_us", (json_int_t)(h->max_ns / NS_PER_US), "ack_gather_us",
			      (json_int_t)(SYNC_ACK_NS / NS_PER_US), "theirs_equal_us", client_age(p->equal_at, now),
			      "ours_equal_us", client_age(p->lag.judged_at, now)));
	}
	client_say_data(c, json_pack("{s:o}", "peers", list));
	client_say_end(c);
}

/* --- rules --- */

static void plus(json_t *list, const char *rule, const char *effect, const char *reason, uint64_t sessions,
		 json_t *hits)
{
	json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:I,s:o}", "rule", rule, "effect", effect, "reason", reason,
					      "sessions", client_u(sessions), "hits", hits));
}

/* A rule that is no entry of sync.ignore: only what it leaves out now is known. */
static void why_row(json_t *list, const struct sync_client *c, const char *rule, const char *effect, enum sync_why why)
{
	plus(list, rule, effect, sync_why_word(why), c->by_why[why], json_null());
}

static void put_protocols(char *buf, size_t size, uint32_t mask)
{
	size_t n = 0;

	buf[0] = '\0';
	if ((mask & SYNC_PROTO_ALL) == SYNC_PROTO_ALL) {
		snprintf(buf, size, "every protocol");
		return;
	}
	for (unsigned p = 0; p < SYNC_PROTO_N && n < size; p++)
		if (mask >> p & 1)
			n += (size_t)snprintf(buf + n, size - n, "%s%s", n ? ", " : "",
					      sync_proto_word((enum sync_proto)p));
}

/* A rule of sync.ignore in words. */
static void ignore_text(const struct sync_ignore *g, char *buf, size_t size)
{
	char protocols[80], net[ADDR_TEXT_MAX];
	size_t n;

	put_protocols(protocols, sizeof(protocols), g->protocols);
	n = (size_t)snprintf(buf, size, "%s", protocols);
	if (g->net.af != ADDR_NONE && n < size)
		n += (size_t)snprintf(buf + n, size - n, ", %s/%u", addr_text(&g->net, net), g->plen);
	if ((g->port_low != 0 || g->port_high != UINT16_MAX) && n < size)
		n += g->port_low == g->port_high
			 ? (size_t)snprintf(buf + n, size - n, ", port %u", g->port_low)
			 : (size_t)snprintf(buf + n, size - n, ", ports %u to %u", g->port_low, g->port_high);
	if (!g->any_zone && n < size)
		n += (size_t)snprintf(buf + n, size - n, ", zone %u", g->zone);
	if (g->ifname[0] && n < size)
		snprintf(buf + n, size - n, ", networks of %s", g->ifname);
}

void client_filter_view(struct sync_client *c, const struct sync_view *v)
{
	const struct sync *s = c->run->core;
	int rule;

	c->by_why[v->why]++;
	if (v->why == SYNC_WHY_PROTO_OFF)
		c->by_proto[sync_proto_of(v->e.orig.l4)]++;
	if (v->why != SYNC_WHY_IGNORED)
		return;
	rule = sync_filter_rule(s->conf, &s->locals, &v->e);
	if (rule >= 0)
		c->by_rule[rule]++;
}

static void ignore_rows(json_t *list, const struct sync_client *c)
{
	const struct sync_conf *conf = c->run->conf;
	char text[200], rule[240];

	for (unsigned i = 0; i < conf->n_ignore; i++) {
		ignore_text(&conf->ignore[i], text, sizeof(text));
		snprintf(rule, sizeof(rule), "ignore %u: %s", i + 1, text);
		plus(list, rule, "skip", sync_why_word(SYNC_WHY_IGNORED), c->by_rule[i],
		     json_integer(client_u(sync_filter_hits(c->run->core, i))));
	}
}

void client_filters(struct sync_client *c)
{
	const struct sync_conf *conf = c->run->conf;
	json_t *list = json_array();
	uint64_t rest = c->by_why[SYNC_WHY_NONE] + c->by_why[SYNC_WHY_WARM];
	char rule[80];

	why_row(list, c, "opened by the box itself", "skip", SYNC_WHY_LOCAL_ORIGIN);
	why_row(list, c, "answered by the box itself, or multicast", "skip", SYNC_WHY_LOCAL_DEST);
	for (unsigned p = 0; p < SYNC_PROTO_N; p++) {
		snprintf(rule, sizeof(rule), "protocols: without %s", sync_proto_word((enum sync_proto)p));
		if (!(conf->protocols >> p & 1))
			plus(list, rule, "skip", sync_why_word(SYNC_WHY_PROTO_OFF), c->by_proto[p], json_null());
	}
	ignore_rows(list, c);
	why_row(list, c, "translated to this node's own address", "skip", SYNC_WHY_NODE_ADDR);
	why_row(list, c, "opened or answered by the peer itself", "skip", SYNC_WHY_PEER_LOCAL);
	if (conf->tcp_states)
		why_row(list, c, "tcp_states: in none of them yet", "wait", SYNC_WHY_STATE);
	why_row(list, c, "TCP before it is established", "wait", SYNC_WHY_HALF_OPEN);
	why_row(list, c, "no answer seen yet", "wait", SYNC_WHY_UNREPLIED);
	why_row(list, c, "younger than min_age", "wait", SYNC_WHY_YOUNG);
	plus(list, "everything else", "replicate", "", rest, json_null());
	client_say_data(c, json_pack("{s:o}", "rules", list));
	client_say_end(c);
}
