/*
 * Purpose: answers of the control socket, filled in from the running objects; docs/control-protocol.md names each key.
 * Owns:    nothing; every function returns a new JSON value that passes to the caller.
 * Thread:  CONTROL.
 * In:      struct app.   Out: jansson values.
 * Errors:  NULL only without memory.
 */
#ifndef KT_SHOW_H
#define KT_SHOW_H

#include <jansson.h>
#include "daemon/app.h"

json_t *show_vrrp(struct app *a);
json_t *show_vrrp_peer(struct app *a);
/* One peer as show vrrp peer and show failover status have it. */
json_t *show_peer(struct app *a, const struct node_peer *p, mono_t now);
json_t *show_interfaces(struct app *a);
json_t *show_failover_status(struct app *a);
json_t *show_failover_history(struct app *a, unsigned limit);
/* text: "COUNTER.NODE", or NULL for the last change. NULL with *why when there is no such entry. */
json_t *show_failover_timeline(struct app *a, const char *text, const char **why);
/* Arguments of a command that lists sessions. 0, or -1 with what is wrong in message. */
int show_query(enum ctl_cmd cmd, const json_t *args, struct sync_query *q, char *message, size_t size);

/* Commands that SYNC answers (the connection passes), and its part of clear counters. 0 or a code of enum ctl_code. */
int show_explain(struct app *a, struct ctl_request *req);
int show_act(struct app *a, struct ctl_request *req, enum sync_client_kind kind);
json_t *show_cleared(struct app *a, const struct ctl_request *req);

/* Small helpers the files share. */
json_t *show_epoch(struct epoch e);
/* Age of an instant in microseconds; null for MONO_NEVER. */
json_t *show_age(mono_t at, mono_t now);
const char *show_node_name(const struct app *a, uint32_t id);

#endif
