/*
 * Answers to session commands (docs/control-protocol.md): newline-delimited JSON on a connection that CONTROL has
 * handed over. Walks over the session table are cursors: a few hundred records per pass, and none while the reader is
 * slow. A reader that takes nothing for 10 s is cut.
 */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/base/addr.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "sync/client_store.h"
#include "sync/sync_client.h"

enum { VIEW_PASSES = 8, OUT_ENOUGH = 64 << 10 };

static void client_free(struct sync_client *c)
{
	c->run->clients[c->slot] = NULL;
	loop_fd_free(c->lfd);
	loop_timer_free(c->idle);
	loop_timer_free(c->again);
	close(c->fd);
	free(c->out);
	free(c);
}

void client_free_all(struct sync_run *r)
{
	for (unsigned i = 0; i < SYNC_CLIENTS_MAX; i++) {
		if (r->clients[i])
			client_free(r->clients[i]);
	}
}

static bool out_add(struct sync_client *c, const char *text, size_t n)
{
	if (c->out_off > 0) {
		memmove(c->out, c->out + c->out_off, c->out_len);
		c->out_off = 0;
	}
	if (c->out_len + n > c->out_cap) {
		size_t cap = 2 * (c->out_len + n);
		char *p = realloc(c->out, cap);
		if (!p)
			return false;
		c->out = p;
		c->out_cap = cap;
	}
	memcpy(c->out + c->out_len, text, n);
	c->out_len += n;
	return true;
}

/* Takes the reference of `extra`, whose members join v and id. */
static void say(struct sync_client *c, json_t *extra)
{
	json_t *o = json_pack("{s:i,s:I}", "v", 1, "id", (json_int_t)c->id);
	if (o && extra)
		json_object_update(o, extra);
	char *text = o && extra ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	json_decref(extra);
	if (!text || !out_add(c, text, strlen(text)) || !out_add(c, "\n", 1))
		c->ended = true;
	free(text);
}

void client_say_data(struct sync_client *c, json_t *data)
{
	say(c, json_pack("{s:o}", "data", data));
}

void client_say_end(struct sync_client *c)
{
	say(c, json_pack("{s:b,s:s,s:i}", "end", 1, "status", "ok", "code", 0));
	c->ended = true;
}

static json_t *cache(uint32_t active, uint64_t created, uint64_t cfail, uint64_t updated, uint64_t ufail,
		     uint64_t destroyed, uint64_t dfail)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "active", client_u(active), "created", client_u(created),
			 "created_failed", client_u(cfail), "updated", client_u(updated), "updated_failed",
			 client_u(ufail), "destroyed", client_u(destroyed), "destroyed_failed", client_u(dfail));
}

struct totals {
	uint64_t tx_bytes, rx_bytes, tx_records, rx_records, failed_links;
};

static struct totals channel_totals(const struct sync_run *r)
{
	struct totals t = { .tx_records = r->st.records_sent, .rx_records = r->st.objects };
	for (unsigned i = 0; i < r->n_peers; i++) {
		for (unsigned j = 0; j < r->peers[i]->n_links; j++) {
			const struct data_link *k = &r->peers[i]->links[j];
			const struct peer_conn_stats *st = k->conn ? peer_conn_stats(k->conn) : NULL;
			t.tx_bytes += k->before.tx_bytes + (st ? st->tx_bytes : 0);
			t.rx_bytes += k->before.rx_bytes + (st ? st->rx_bytes : 0);
			t.failed_links += k->attempts - k->connects;
		}
	}
	return t;
}

static uint64_t wire_drops(const struct sync_run *r)
{
	uint64_t n = 0;
	for (unsigned d = SYNC_MORE + 1; d < SYNC_DROP_N; d++)
		n += r->wire.drops[d];
	return n;
}

static void drop_row(json_t *list, const char *reason, uint64_t count)
{
	if (count > 0)
		json_array_append_new(list, json_pack("{s:s,s:I}", "reason", reason, "count", client_u(count)));
}

/* Everything that was not taken in, with its reason: the wire, the kernel's messages, the core, connections. */
static json_t *drops(const struct sync_run *r)
{
	json_t *list = json_array();
	const struct ct_io_stats *ct = ct_io_stats(r->ct);
	const struct peer_listen_stats *li = peer_listen_stats(r->listen);
	for (unsigned d = SYNC_MORE + 1; d < SYNC_DROP_N; d++)
		drop_row(list, sync_drop_text((enum sync_drop)d), r->wire.drops[d]);
	for (unsigned d = CT_OK + 1; d < CT_DROP_N; d++)
		drop_row(list, ct_drop_text((enum ct_drop)d), ct->drops[d]);
	for (unsigned w = PEER_WHY_UP + 1; w < PEER_WHY_N; w++)
		drop_row(list, peer_why_text((enum peer_why)w), li->refused[w]);
	for (unsigned i = 0; r->core && i < SYNC_STATS_N; i++) {
		if (strncmp(sync_stats_name(i), "refused_", 8) == 0)
			drop_row(list, sync_stats_text(i), ((const uint64_t *)&r->core->stats)[i]);
	}
	drop_row(list, "records on a connection that does not carry the stream", r->st.inactive);
	drop_row(list, "reports dropped since the control thread did not take them", r->st.reports_lost);
	drop_row(list, "planned switches that went on without an answer, too many at a time",
		 r->flush.full + r->apply.full);
	return list;
}

/* Every counter of the core under its own name. */
static json_t *core_counters(const struct sync_run *r)
{
	json_t *o = json_object();
	for (unsigned i = 0; i < SYNC_STATS_N; i++)
		json_object_set_new(o, sync_stats_name(i),
				    json_integer(client_u(((const uint64_t *)&r->core->stats)[i])));
	return o;
}

static json_t *io_counters(const struct sync_run *r)
{
	const struct ct_io_stats *ct = ct_io_stats(r->ct);
	const struct sync_run_stats *s = &r->st;
	const struct peer_listen_stats *li = peer_listen_stats(r->listen);
	return json_pack(
	    "{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "flushes",
	    client_u(s->flushes), "injected", client_u(s->injected), "inject_calls", client_u(s->inject_calls),
	    "inject_errors", client_u(s->inject_errors), "fences", client_u(s->fences), "fences_degraded",
	    client_u(s->fences_degraded), "held", client_u(s->held), "stalls", client_u(s->stalls), "address_dumps",
	    client_u(s->addr_dumps), "tlvs_skipped", client_u(r->wire.tlvs_skipped), "event_reads", client_u(ct->reads),
	    "dump_restarts", client_u(ct->dump_restarts), "dump_entries", client_u(ct->events[CT_EV_DUMP]), "dump_us",
	    client_u(ct->dump_ns / NS_PER_US), "accepted", client_u(li->accepted), "authenticated",
	    client_u(li->authenticated), "clients", client_u(s->clients), "clients_cut", client_u(s->clients_cut));
}

static json_t *sessions_by_reason(const struct sync_client *c)
{
	json_t *list = json_array();
	for (unsigned w = 0; w < SYNC_WHY_N; w++) {
		enum sync_disposition d = sync_why_disposition((enum sync_why)w);
		if (c->by_why[w] > 0)
			json_array_append_new(list, json_pack("{s:s,s:s,s:I}", "disposition", sync_disposition_word(d),
							      "reason", w == 0 ? "" : sync_why_word((enum sync_why)w),
							      "count", client_u(c->by_why[w])));
	}
	return list;
}

static json_t *digest_json(const struct sync_state *s, uint64_t differ)
{
	int64_t age = s->equal_at.ns == 0 ? 0 : mono_sub(clock_mono(), s->equal_at) / NS_PER_US;
	return json_pack("{s:b,s:I,s:I}", "equal", s->equal, "age_us", (json_int_t)age, "buckets_differ",
			 client_u(differ));
}

static const char *own_address(const struct sync_run *r, unsigned link, char *buf)
{
	const struct sync_node_conf *self = sync_conf_node(r->conf, r->conf->self);
	return self && link < self->n_addrs ? addr_text(&self->addrs[link], buf) : "";
}

static json_t *ours(struct sync_client *c, const struct sync_state *s)
{
	struct sync_run *r = c->run;
	const struct ct_io_stats *ct = ct_io_stats(r->ct);
	const struct sync_stats *k = &r->core->stats;
	uint64_t seen = ct->events[CT_EV_NEW] + ct->events[CT_EV_UPDATE] + ct->events[CT_EV_DESTROY];
	json_t *o = json_pack(
	    "{s:o,s:{s:I,s:I,s:I},s:I,s:{s:I,s:I,s:I,s:I,s:I},s:I,s:I,s:I,s:I,s:o,s:o,s:o,s:o}", "sessions",
	    sessions_by_reason(c), "table", "entries", client_u(sess_count(&r->core->tbl)), "limit",
	    client_u(r->core->tbl.limit), "used_bytes", client_u(sess_bytes(&r->core->tbl)), "dirty",
	    client_u(s->dirty), "events", "received", client_u(seen), "own", client_u(k->events_own), "overruns",
	    client_u(ct->overruns), "dumps", client_u(ct->dumps), "buffer_bytes", client_u(ct->rcvbuf), "renewals",
	    client_u(k->op_renewed), "expired", client_u(k->rx_expired), "claims", client_u(k->claims), "refused_old",
	    client_u(k->refused_epoch + k->refused_version), "digest", digest_json(s, k->buckets_resent), "drops",
	    drops(r), "counters", core_counters(r), "thread", io_counters(r));
	json_object_set_new(o, "store", client_store_json(r->core));
	json_object_set_new(o, "refusals", client_rejects_json(r->core));
	return o;
}

static void say_statistics(struct sync_client *c)
{
	struct sync_run *r = c->run;
	const struct sync_stats *k = &r->core->stats;
	struct totals t = channel_totals(r);
	struct sync_state s;
	char device[ADDR_TEXT_MAX];
	sync_state_get(r->core, &s);
	unsigned link = r->n_peers > 0 && r->peers[0]->active ? r->peers[0]->active->index : 0;
	json_t *channel =
	    json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I}", "device", own_address(r, link, device), "bytes_sent",
		      client_u(t.tx_bytes), "bytes_received", client_u(t.rx_bytes), "packets_sent",
		      client_u(t.tx_records), "packets_received", client_u(t.rx_records), "errors_sent",
		      client_u(t.failed_links), "errors_received", client_u(wire_drops(r)));
	client_say_data(
	    c,
	    json_pack("{s:o,s:o,s:{s:i,s:i},s:o,s:{s:I,s:I},s:o}", "internal",
		      cache(s.own, k->events_new, k->table_full, k->events_update, 0, k->events_destroy, 0), "external",
		      cache(s.copies, k->op_created, k->op_create_failed, k->op_updated, k->op_update_failed,
			    k->op_deleted, k->op_delete_failed),
		      "traffic", "bytes", 0, "packets", 0, "channel", channel, "messages", "malformed",
		      client_u(wire_drops(r)), "lost", client_u(ct_io_stats(r->ct)->overruns), "ours", ours(c, &s)));
	client_say_end(c);
}

const char *client_node_name(const struct sync_run *r, uint32_t node)
{
	const struct sync_node_conf *n = sync_conf_node(r->conf, node);
	return n ? n->name : "";
}

static json_t *links_json(const struct sync_run *r, const struct data_peer *p)
{
	const struct sync_node_conf *n = sync_conf_node(r->conf, p->node);
	json_t *list = json_array();
	for (unsigned i = 0; n && i < p->n_links; i++) {
		const struct data_link *k = &p->links[i];
		char a[ADDR_TEXT_MAX];
		json_array_append_new(list,
				      json_pack("{s:i,s:s,s:s,s:s,s:s,s:I,s:I,s:I}", "link", (int)i, "address",
						addr_text(&n->addrs[i], a), "state",
						p->active == k ? "active"
						: k->greeted   ? "standby"
							       : "down",
						"reason", peer_why_name(k->why), "error",
						k->why == PEER_WHY_UP ? ""
						: k->text[0]          ? k->text
								      : peer_why_text(k->why),
						"since_us", (json_int_t)(mono_sub(clock_mono(), k->since) / NS_PER_US),
						"attempts", client_u(k->attempts), "connects", client_u(k->connects)));
	}
	return list;
}

json_t *client_peer_json(const struct sync_run *r, const struct data_peer *p)
{
	const struct sync_node_conf *n = sync_conf_node(r->conf, p->node);
	const struct sync_peer *sp = sync_peer_get(r->core, p->node);
	const struct data_link *k = p->active ? p->active : &p->links[0];
	char a[ADDR_TEXT_MAX] = "";
	mono_t now = clock_mono();
	if (n && p->n_links > 0)
		addr_text(&n->addrs[k->index], a);
	json_int_t age = sp && sp->equal_at.ns != 0 ? mono_sub(now, sp->equal_at) / NS_PER_US : 0;
	return json_pack("{s:s,s:I,s:s,s:s,s:I,s:b,s:b,s:b,s:I,s:s,s:o}", "node", client_node_name(r, p->node),
			 "node_id", client_u(p->node), "address", a, "data", p->active ? "up" : "down", "since_us",
			 (json_int_t)(mono_sub(now, k->since) / NS_PER_US), "peer_has_all", sp && sp->has_all,
			 "have_all", sp && sp->have_all, "equal", sp && sp->equal, "equal_us", age, "error",
			 p->active            ? ""
			 : k->text[0] != '\0' ? k->text
					      : peer_why_text(k->why),
			 "links", links_json(r, p));
}

static void say_status(struct sync_client *c)
{
	struct sync_run *r = c->run;
	json_t *protocols = json_array(), *peers = json_array();
	struct sync_state s = { 0 };
	const char *authority = "none";
	for (unsigned p = 0; p < SYNC_PROTO_N; p++)
		if (r->conf->protocols >> p & 1)
			json_array_append_new(protocols, json_string(sync_proto_word((enum sync_proto)p)));
	if (r->core) {
		sync_state_get(r->core, &s);
		authority = r->core->owner.auth.all ? "all" : r->core->owner.auth.any ? "some" : "none";
	}
	for (unsigned i = 0; i < r->n_peers; i++)
		json_array_append_new(peers, client_peer_json(r, r->peers[i]));
	json_t *o = json_pack("{s:b,s:b,s:s,s:b,s:o,s:I,s:s,s:s,s:s,s:I,s:I,s:I,s:o,s:o,s:o*}", "enabled",
			      r->conf->enabled, "replicate", r->conf->replicate, "store",
			      r->conf->store == SYNC_STORE_HOT ? "hot" : "warm", "quick", r->conf->quick, "protocols",
			      protocols, "lease_us", (json_int_t)(r->conf->lease_ns / NS_PER_US), "failover_mechanism",
			      "vrrp", "expectation_sync", "disabled", "authority", authority, "own", client_u(s.own),
			      "copies", client_u(s.copies), "dirty", client_u(s.dirty), "peers", peers, "order",
			      act_json(r), "sync", r->core ? client_insync_json(r) : NULL);
	if (r->core)
		json_object_set_new(o, "kept", client_store_json(r->core));
	client_say_data(c, o);
	client_say_end(c);
}

json_t *client_tuple_json(const struct ct_tuple *t)
{
	char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX];
	struct addr a = addr_from_bytes(t->l3, t->src), b = addr_from_bytes(t->l3, t->dst);
	return json_pack("{s:s,s:s,s:i,s:i}", "source", addr_text(&a, src), "destination", addr_text(&b, dst),
			 "source_port", (int)t->sport, "destination_port", (int)t->dport);
}

static const char *protocol_name(uint8_t l4, char buf[8])
{
	switch (l4) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "icmpv6";
	default:
		snprintf(buf, 8, "%u", l4);
		return buf;
	}
}

json_t *client_version_json(struct flow_version v)
{
	char text[64];
	snprintf(text, sizeof(text), "%" PRIu64 ".%" PRIu32 "/%" PRIu32 ".%" PRIu32, v.epoch.counter, v.epoch.node,
		 v.claim, v.node);
	return json_string(text);
}

json_t *client_carried_json(const struct sync_view *v)
{
	if (!v->counted)
		return json_null();
	return json_pack("{s:I,s:I,s:o}", "packets", client_u(v->packets), "bytes", client_u(v->bytes), "age_us",
			 v->age_s == CT_AGE_UNKNOWN ? json_null() : json_integer((json_int_t)v->age_s * 1000000));
}

static void say_session(struct sync_client *c, const struct sync_view *v)
{
	char l4[8];
	client_say_data(c, json_pack("{s:s,s:i,s:o,s:o,s:s,s:I,s:b,s:o,s:s,s:s,s:s,s:I,s:b,s:I,s:o}", "protocol",
				     protocol_name(v->e.orig.l4, l4), "zone", (int)v->e.orig.zone, "original",
				     client_tuple_json(&v->e.orig), "reply", client_tuple_json(&v->e.reply), "owner",
				     client_node_name(c->run, v->version.node), "owner_id", client_u(v->version.node),
				     "mine", v->mine, "version", client_version_json(v->version), "disposition",
				     sync_disposition_word(v->disp), "reason",
				     v->why == SYNC_WHY_NONE ? "" : sync_why_word(v->why), "error",
				     v->err ? sync_reject_text(v->reject) : "", "timeout_us",
				     (json_int_t)v->remaining_s * 1000000, "in_kernel", v->in_kernel, "peer_id",
				     client_u(v->peer), "carried", client_carried_json(v)));
}

static void take_view(struct sync_client *c, const struct sync_view *v)
{
	if (c->kind == SYNC_CLIENT_SESSIONS)
		say_session(c, v);
	else if (c->kind == SYNC_CLIENT_FILTERS)
		client_filter_view(c, v);
	else
		c->by_why[v->why]++;
}

/* A part of the walk; more follows while c->walking and the reader keeps up. */
static void walk_some(struct sync_client *c)
{
	static struct sync_view view[SYNC_VIEW_CHUNK]; /* SYNC thread only */
	for (unsigned i = 0; i < VIEW_PASSES && c->walking && c->out_len < OUT_ENOUGH; i++) {
		unsigned n = sync_view(c->run->core, &c->walk, view, SYNC_VIEW_CHUNK, clock_mono());
		c->walking = c->walk.active;
		if (c->kind == SYNC_CLIENT_TABLE)
			client_table_views(c, view, n);
		else
			for (unsigned j = 0; j < n; j++)
				take_view(c, &view[j]);
	}
	if (c->walking)
		return;
	if (c->kind == SYNC_CLIENT_STATISTICS)
		say_statistics(c);
	else if (c->kind == SYNC_CLIENT_TABLE)
		client_table_end(c);
	else if (c->kind == SYNC_CLIENT_FILTERS)
		client_filters(c);
	else
		client_say_end(c);
}

static void client_step(struct sync_client *c)
{
	if (!c->ended && c->walking)
		walk_some(c);
	if (!c->ended && c->waiting)
		c->waiting = !client_count_look(c);
	while (c->out_len > 0) {
		ssize_t n = send(c->fd, c->out + c->out_off, c->out_len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			client_free(c);
			return;
		}
		if (n < 0)
			break;
		c->out_off += (size_t)n;
		c->out_len -= (size_t)n;
		loop_timer_set(c->idle, mono_add(clock_mono(), SYNC_CLIENT_IDLE_NS));
	}
	if (c->out_len == 0 && c->ended) {
		client_free(c);
		return;
	}
	loop_fd_set(c->lfd, c->out_len > 0 ? LOOP_WRITE : 0);
	if (c->walking && c->out_len < OUT_ENOUGH)
		loop_timer_set(c->again, clock_mono());
	else if (c->waiting)
		loop_timer_set(c->again, mono_add(clock_mono(), SYNC_CLIENT_LOOK_NS));
}

static void on_writable(void *arg, int fd, unsigned events)
{
	(void)fd;
	(void)events;
	client_step(arg);
}

static void on_again(void *arg, mono_t deadline)
{
	(void)deadline;
	client_step(arg);
}

static void on_idle(void *arg, mono_t deadline)
{
	struct sync_client *c = arg;
	(void)deadline;
	c->run->st.clients_cut++;
	client_free(c);
}

void client_refuse(int fd, uint32_t id, const char *text)
{
	char line[256];
	int n = snprintf(
	    line, sizeof(line),
	    "{\"v\":1,\"id\":%" PRIu32 ",\"end\":true,\"status\":\"error\",\"code\":1,\"message\":\"%s\"}\n", id, text);
	ssize_t sent = send(fd, line, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)sent;
	close(fd);
}

static void begin(struct sync_client *c)
{
	switch (c->kind) {
	case SYNC_CLIENT_STATUS:
		say_status(c);
		break;
	case SYNC_CLIENT_SESSION_STATISTICS:
		client_count_begin(c);
		break;
	case SYNC_CLIENT_POLICY:
		client_policy(c);
		break;
	case SYNC_CLIENT_PEERS:
		client_peers(c);
		break;
	case SYNC_CLIENT_QUEUE:
		client_queue(c);
		break;
	case SYNC_CLIENT_LAG:
		client_lag(c);
		break;
	case SYNC_CLIENT_STATISTICS:
	case SYNC_CLIENT_SESSIONS:
	case SYNC_CLIENT_TABLE:
	case SYNC_CLIENT_FILTERS:
		c->walking = true;
		sess_walk_start(&c->walk);
		break;
	case SYNC_CLIENT_EXPLAIN: /* client_act.c */
	case SYNC_CLIENT_RESET_INTERNAL:
	case SYNC_CLIENT_RESET_EXTERNAL:
	case SYNC_CLIENT_RESTART:
	case SYNC_CLIENT_RESYNC:
		break;
	}
}

void client_new(struct sync_run *r, const struct sync_cmd *cmd)
{
	unsigned slot = 0;
	while (slot < SYNC_CLIENTS_MAX && r->clients[slot])
		slot++;
	struct sync_client *c = slot < SYNC_CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;
	if (!c) {
		r->st.clients_refused++;
		client_refuse(cmd->fd, cmd->client_id, "too many session commands are running; try again");
		return;
	}
	if (!r->core && cmd->client != SYNC_CLIENT_STATUS && cmd->client != SYNC_CLIENT_POLICY) {
		free(c);
		client_refuse(cmd->fd, cmd->client_id, "session replication is off (sync.replicate = false)");
		return;
	}
	*c = (struct sync_client){ .run = r, .slot = slot, .fd = cmd->fd, .kind = cmd->client, .id = cmd->client_id };
	c->query = cmd->query;
	c->began = clock_mono();
	r->clients[slot] = c;
	r->st.clients++;
	c->lfd = loop_fd_new(r->loop, c->fd, 0, LOOP_BULK, on_writable, c);
	c->idle = loop_timer_new(r->loop, LOOP_BULK, on_idle, c);
	c->again = loop_timer_new(r->loop, LOOP_BULK, on_again, c);
	if (!c->lfd || !c->idle || !c->again) {
		client_free(c);
		return;
	}
	loop_timer_set(c->idle, mono_add(clock_mono(), SYNC_CLIENT_IDLE_NS));
	begin(c);
	client_step(c);
}
