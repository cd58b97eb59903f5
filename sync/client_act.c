/*
 * Commands of an operator that act on replication: resets, a restart of the data connections, a full comparison, and
 * counters to zero. Each says in the log who asked, and answers with what it began; `show conntrack-sync status` shows
 * how far it is.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "sync/sync_run.h"

static const char *order_name(enum sync_order order)
{
	static const char *const names[] = { "reset conntrack-sync internal-cache",
					     "reset conntrack-sync external-cache", "force resync" };

	return names[order];
}

static json_t *peers_json(const struct sync_run *r, uint8_t mask)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < SESS_NODES; i++) {
		const struct sync_node_conf *n = sync_conf_node(r->conf, r->core->peers[i].node);
		if (mask >> i & 1)
			json_array_append_new(list, json_string(n ? n->name : "?"));
	}
	return list;
}

json_t *act_json(const struct sync_run *r)
{
	const struct sync_reset *o = r->core ? &r->core->reset : NULL;
	mono_t now = clock_mono();

	if (!o || !o->given)
		return json_null();
	bool running = mono_is_never(o->end);
	return json_pack("{s:s,s:b,s:s,s:I,s:I,s:b,s:o,s:o,s:I,s:I}", "order", order_name(o->order), "running", running,
			 "by", r->order_by, "since_us", (json_int_t)(mono_sub(now, o->begin) / NS_PER_US), "took_us",
			 running ? (json_int_t)0 : (json_int_t)(mono_sub(o->end, o->begin) / NS_PER_US), "kernel_read",
			 r->core->sweeps_done > o->sweeps, "to_send", peers_json(r, o->out), "to_receive",
			 peers_json(r, o->in), "forgotten", (json_int_t)o->forgotten, "judged", (json_int_t)o->judged);
}

void act_pump(struct sync_run *r)
{
	const struct sync_reset *o = &r->core->reset;

	if (!o->given || mono_is_never(o->end) || r->order_told)
		return;
	r->order_told = true;
	log_notice(LOG_SYNC,
		   "%s is done after %" PRId64 " ms: %" PRIu64 " own flows judged, %" PRIu64 " copies forgotten",
		   order_name(o->order), mono_sub(o->end, o->begin) / NS_PER_MS, o->judged, o->forgotten);
}

static void give(struct sync_run *r, const struct sync_cmd *c, enum sync_order order)
{
	int rc = sync_reset_give(r->core, order, clock_mono());

	if (rc != 0) {
		client_refuse(c->fd, c->client_id, "a role change is under way; nothing was done, try again");
		return;
	}
	r->order_told = false;
	snprintf(r->order_by, sizeof(r->order_by), "user %u, process %d", (unsigned)c->uid, (int)c->pid);
	log_notice(LOG_SYNC, "%s by %s", order_name(order), r->order_by);
	client_send(r, c->fd, c->client_id, json_pack("{s:o}", "order", act_json(r)));
	drive_kick(r);
}

static void restart(struct sync_run *r, const struct sync_cmd *c)
{
	char by[64], text[96];
	const struct sync_node_conf *self = sync_conf_node(r->conf, r->conf->self);

	snprintf(by, sizeof(by), "user %u, process %d", (unsigned)c->uid, (int)c->pid);
	snprintf(text, sizeof(text), "restarted by an operator of %s", self ? self->name : "the other node");
	log_notice(LOG_SYNC, "restart conntrack-sync by %s", by);
	unsigned n = data_restart(r, text);
	r->st.restarts++;
	client_send(r, c->fd, c->client_id, json_pack("{s:i}", "connections", (int)n));
	drive_kick(r);
}

void act_new(struct sync_run *r, const struct sync_cmd *c)
{
	switch (c->client) {
	case SYNC_CLIENT_RESET_INTERNAL:
		give(r, c, SYNC_ORDER_INTERNAL);
		break;
	case SYNC_CLIENT_RESET_EXTERNAL:
		give(r, c, SYNC_ORDER_EXTERNAL);
		break;
	case SYNC_CLIENT_RESYNC:
		give(r, c, SYNC_ORDER_RESYNC);
		break;
	case SYNC_CLIENT_RESTART:
		restart(r, c);
		break;
	case SYNC_CLIENT_STATISTICS:
	case SYNC_CLIENT_STATUS:
	case SYNC_CLIENT_SESSIONS:
	case SYNC_CLIENT_TABLE:
	case SYNC_CLIENT_SESSION_STATISTICS:
	case SYNC_CLIENT_POLICY:
	case SYNC_CLIENT_PEERS:
	case SYNC_CLIENT_QUEUE:
	case SYNC_CLIENT_LAG:
	case SYNC_CLIENT_FILTERS:
	case SYNC_CLIENT_EXPLAIN:
		break;
	}
}

bool client_other(struct sync_run *r, const struct sync_cmd *c)
{
	if (c->client < SYNC_CLIENT_EXPLAIN)
		return false;
	if (c->client == SYNC_CLIENT_EXPLAIN) {
		explain_new(r, c);
	} else if (!r->core) {
		client_refuse(c->fd, c->client_id, "session replication is off (sync.replicate = false)");
	} else {
		r->st.clients++;
		act_new(r, c);
	}
	return true;
}

/* Links keep what they are, and count from here on: a dial under way counts as tried. */
static void clear_link(struct data_link *k)
{
	memset(&k->before, 0, sizeof(k->before));
	k->connects = k->conn && k->greeted ? 1 : 0;
	k->attempts = k->conn ? 1 : 0;
	if (k->conn)
		peer_conn_stats_clear(k->conn);
}

void act_clear(struct sync_run *r, const struct sync_cmd *c)
{
	if (r->core)
		sync_counters_clear(r->core);
	r->node_told = 0; /* of those counters */
	memset(&r->st, 0, sizeof(r->st));
	r->flush.full = r->apply.full = 0;
	memset(&r->wire, 0, sizeof(r->wire));
	ct_io_stats_clear(r->ct);
	peer_listen_stats_clear(r->listen);
	for (unsigned i = 0; i < r->n_peers; i++) {
		r->peers[i]->streams = r->peers[i]->active ? 1 : 0;
		for (unsigned k = 0; k < r->peers[i]->n_links; k++)
			clear_link(&r->peers[i]->links[k]);
	}
	log_notice(LOG_SYNC, "counters of replication set to zero by user %u, process %d", (unsigned)c->uid,
		   (int)c->pid);
}
