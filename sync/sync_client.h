/*
 * Purpose: one reader of a session command's answer, shared by the files that write answers only (sync_client.c,
 *          sync_show.c, sync_show_table.c, sync_show_count.c).
 * Owns:    struct sync_client: the connection, what waits to be sent, the walk.
 * Thread:  SYNC.
 * In:      a connection that CONTROL has handed over.   Out: lines of JSON.
 * Errors:  without memory, or when the reader takes nothing for SYNC_CLIENT_IDLE_NS, the connection is closed.
 */
#ifndef KT_SYNC_SYNC_CLIENT_H
#define KT_SYNC_SYNC_CLIENT_H

#include <jansson.h>
#include "sync/sync_run.h"

enum { SYNC_VIEW_CHUNK = 64 };

struct sync_client {
	struct sync_run *run;
	unsigned slot;
	int fd;
	enum sync_client_kind kind;
	struct sync_query query;
	uint32_t id;
	struct loop_fd *lfd;
	struct loop_timer *idle, *again;
	char *out;
	size_t out_off, out_len, out_cap;
	bool walking, ended;
	bool waiting; /* for figures that come by themselves: looked after every SYNC_CLIENT_LOOK_NS */
	mono_t began;
	struct sess_walk walk;
	uint64_t by_why[SYNC_WHY_N];
	uint64_t by_rule[SYNC_IGNORE_MAX], by_proto[SYNC_PROTO_N];
	/* table */
	bool headed;
	uint64_t shown, recorded;
};

#define SYNC_CLIENT_LOOK_NS (5 * NS_PER_MS)

/* sync_client.c. Each takes the reference. */
void client_say_data(struct sync_client *c, json_t *data);
void client_say_end(struct sync_client *c);
json_t *client_tuple_json(const struct ct_tuple *t);
const char *client_node_name(const struct sync_run *r, uint32_t node);
json_t *client_peer_json(const struct sync_run *r, const struct data_peer *p);
json_t *client_version_json(struct flow_version v);
/* What other nodes have counted of it; null without sync.accounting. */
json_t *client_carried_json(const struct sync_view *v);
static inline json_int_t client_u(uint64_t v)
{
	return (json_int_t)v;
}
/* Age in microseconds; null when it never was. */
static inline json_t *client_age(mono_t at, mono_t now)
{
	return at.ns == 0 ? json_null() : json_integer(mono_sub(now, at) / NS_PER_US);
}

/* sync_show_table.c */
void client_table_views(struct sync_client *c, const struct sync_view *v, unsigned n);
/* The walk is over, or the limit is reached. */
void client_table_end(struct sync_client *c);

/* sync_show_count.c */
void client_count_begin(struct sync_client *c);
/* True when the answer is written. */
bool client_count_look(struct sync_client *c);

/* sync_show.c */
void client_policy(struct sync_client *c);
void client_peers(struct sync_client *c);
void client_queue(struct sync_client *c);
void client_lag(struct sync_client *c);
void client_filter_view(struct sync_client *c, const struct sync_view *v);
void client_filters(struct sync_client *c);
/* For `status`: {"equal", "as_of_us", "missing": [{"node", "text"}]}. */
json_t *client_insync_json(const struct sync_run *r);

#endif
