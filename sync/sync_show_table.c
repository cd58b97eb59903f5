/*
 * `show conntrack table` and `show conntrack-sync cache`: sessions in pieces. The first piece has the head, each further
 * one up to SYNC_VIEW_CHUNK sessions, the last one what was counted on the way.
 */
#include <inttypes.h>
#include <stdio.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "sync/sync_client.h"

static json_t *protocol_json(const struct ct_entry *e)
{
	const char *name = sync_protocol_name(e->orig.l4);

	return json_string(*name ? name : "unknown");
}

static json_t *tcp_json(const struct ct_entry *e)
{
	if (!(e->has & CT_HAS_TCP))
		return json_null();
	return json_pack("{s:s,s:s}", "state", sync_tcp_state_name(e->tcp_state), "code",
			 sync_tcp_state_code(e->tcp_state));
}

static json_t *why_json(const struct sync_view *v)
{
	return json_string(v->why == SYNC_WHY_NONE ? "" : sync_why_word(v->why));
}

static json_t *row(const struct sync_run *r, const struct sync_view *v)
{
	const struct ct_entry *e = &v->e;

	return json_pack(
	    "{s:I,s:o,s:i,s:o,s:i,s:o,s:o,s:b,s:I,s:I,s:b,s:b,s:s,s:o,s:s,s:s,s:s,s:s,s:b,s:o,s:o,s:b,s:b}", "id",
	    client_u(v->id), "protocol", protocol_json(e), "protocol_number", (int)e->orig.l4, "tcp", tcp_json(e),
	    "zone", (int)e->orig.zone, "original", client_tuple_json(&e->orig), "reply", client_tuple_json(&e->reply),
	    "nat", (e->status & (CT_ST_SRC_NAT | CT_ST_DST_NAT)) != 0, "mark",
	    client_u(e->has & CT_HAS_MARK ? e->mark : 0), "timeout_us", (json_int_t)v->remaining_s * 1000000, "lease",
	    v->leased, "in_kernel", v->in_kernel, "disposition", sync_disposition_word(v->disp), "reason", why_json(v),
	    "error", v->err ? sync_reject_text(v->reject) : "", "refusal", v->err ? sync_reject_word(v->reject) : "",
	    "peer", v->peer ? client_node_name(r, v->peer) : "", "owner", client_node_name(r, v->version.node), "mine",
	    v->mine, "version", client_version_json(v->version), "carried", client_carried_json(v), "seen_reply",
	    (e->status & CT_ST_SEEN_REPLY) != 0, "assured", (e->status & CT_ST_ASSURED) != 0);
}

static void head(struct sync_client *c)
{
	const struct sync_run *r = c->run;
	const char *family = c->query.l3 == 4 ? "ipv4" : c->query.l3 == 6 ? "ipv6" : "";

	c->headed = true;
	client_say_data(
	    c, json_pack("{s:s,s:s,s:[]}", "node", client_node_name(r, r->conf->self), "family", family, "sessions"));
}

void client_table_views(struct sync_client *c, const struct sync_view *v, unsigned n)
{
	json_t *rows = json_array();

	if (!c->headed)
		head(c);
	for (unsigned i = 0; i < n; i++) {
		c->recorded += v[i].in_kernel;
		if (!sync_query_match(&c->query, &v[i].e, v[i].disp, v[i].mine))
			continue;
		/* One more than wanted: now it is known that there are more. */
		if (c->query.limit != 0 && c->shown == c->query.limit) {
			c->walking = false;
			c->walk.active = true;
			break;
		}
		c->shown++;
		json_array_append_new(rows, row(c->run, &v[i]));
	}
	if (json_array_size(rows) > 0)
		client_say_data(c, json_pack("{s:o}", "sessions", rows));
	else
		json_decref(rows);
}

void client_table_end(struct sync_client *c)
{
	uint32_t max = 0, count = 0;
	bool whole = !c->walk.active, known = ct_io_table_size(&max, &count) == 0;
	json_t *unrecorded = json_null(), *recorded = json_null();

	if (!c->headed)
		head(c);
	if (whole)
		recorded = json_integer(client_u(c->recorded));
	if (whole && known)
		unrecorded = json_integer(count > c->recorded ? client_u(count - c->recorded) : 0);
	client_say_data(c, json_pack("{s:I,s:b,s:o,s:o,s:o}", "shown", client_u(c->shown), "more", !whole,
				     "kernel_entries", known ? json_integer(count) : json_null(), "recorded", recorded,
				     "unrecorded", unrecorded));
	client_say_end(c);
}
