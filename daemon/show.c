/*
 * The handler of the control socket: one case per command.
 */
#include "daemon/show.h"

#include "daemon/app_ctd.h"
#include "daemon/app_ipsec.h"
#include "daemon/app_layer.h"
#include "daemon/app_notify.h"
#include "daemon/app_pair.h"
#include "daemon/app_sweep.h"
#include "daemon/app_track.h"

#include <errno.h>
#include <event2/event.h>
#include <openssl/opensslv.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"

json_t *show_epoch(struct epoch e)
{
	char text[40] = "";
	if (!epoch_is_none(e))
		snprintf(text, sizeof(text), "%llu.%u", (unsigned long long)e.counter, e.node);
	return json_string(text);
}

json_t *show_age(mono_t at, mono_t now)
{
	return mono_is_never(at) ? json_null() : json_integer(mono_sub(now, at) / NS_PER_US);
}

const char *show_node_name(const struct app *a, uint32_t id)
{
	if (id == a->cfg->node_id)
		return a->cfg->node_name;
	for (uint8_t i = 0; i < a->cfg->sync.n_nodes; i++)
		if (a->cfg->sync.nodes[i].id == id)
			return a->cfg->sync.nodes[i].name;
	return "";
}

/* The files that the configuration is made of, and whose process each belongs to. */
static json_t *show_files(const struct app *a)
{
	json_t *files = json_array();
	const char *layer = app_layer_conntrackd(a), *own = a->opt.how.conntrackd;
	if (a->opt.config)
		json_array_append_new(files, json_pack("{s:s, s:b}", "file", a->opt.config, "layer", 0));
	if (layer || own)
		json_array_append_new(files,
				      json_pack("{s:s, s:b}", "file", layer ? layer : own, "layer", layer != NULL));
	return files;
}

static json_t *show_version(struct app *a)
{
	struct hist *late = loop_lateness(a->loop);
	mono_t now = clock_mono();
	json_t *j =
	    json_pack("{s:s, s:s, s:i, s:s, s:I, s:i, s:I, s:b, s:I, s:I, s:I, s:[{s:s, s:s}, {s:s, s:s}, {s:s, s:s}]}",
		      "name", "keeptrackd", "version", KT_VERSION, "protocol", CTL_VERSION, "node", a->cfg->node_name,
		      "node_id", (json_int_t)a->cfg->node_id, "pid", (int)getpid(), "uptime_us",
		      (json_int_t)(mono_sub(now, a->started) / NS_PER_US), "realtime",
		      (sched_getscheduler(0) & ~SCHED_RESET_ON_FORK) == SCHED_FIFO, "late_p50_us",
		      (json_int_t)hist_quantile_us(late, 0.5), "late_p99_us", (json_int_t)hist_quantile_us(late, 0.99),
		      "late_max_us", (json_int_t)(late->max_ns / NS_PER_US), "libraries", "name", "libevent", "version",
		      event_get_version(), "name", "openssl", "version", OPENSSL_VERSION_STR, "name", "jansson",
		      "version", JANSSON_VERSION);
	json_object_set_new(j, "configuration", show_files(a));
	json_object_set_new(j, "heir_of", json_string(app_layer_heir_of(a)));
	return j;
}

static void add_line(void *arg, const struct log_line *l)
{
	static const char *const level[] = { [LOG_L_ERR] = "error",
					     [LOG_L_WARN] = "warning",
					     [LOG_L_NOTICE] = "notice",
					     [LOG_L_INFO] = "info",
					     [LOG_L_DEBUG] = "debug" };
	json_array_append_new(arg, json_pack("{s:I, s:s, s:s, s:s%}", "wall_us", (json_int_t)l->wall_us, "level",
					     level[l->level], "subsystem", log_sub_name(l->sub), "text", l->text,
					     strnlen(l->text, sizeof(l->text))));
}

static json_t *show_log(unsigned newest)
{
	json_t *lines = json_array();
	log_recall(newest, add_line, lines);
	return json_pack("{s:o, s:I}", "lines", lines, "dropped", (json_int_t)log_dropped());
}

static json_t *show_configuration(struct app *a)
{
	static const char *const section[] = { "channel", "vrrp", "sync", "ipsec" };
	char *text = NULL, hex[20];
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	if (!f)
		return NULL;
	cfg_print(a->cfg, f);
	fclose(f);
	json_t *digests = json_array();
	for (unsigned i = 0; i < 4; i++) {
		snprintf(hex, sizeof(hex), "%016llx", (unsigned long long)a->cfg->digest[i]);
		json_array_append_new(digests, json_pack("{s:s, s:s}", "section", section[i], "digest", hex));
	}
	json_t *j = json_pack("{s:s, s:s, s:o}", "file", a->cfg->file, "text", text, "digests", digests);
	free(text);
	return j;
}

static int fail(struct ctl_request *req, int code, const char *message)
{
	snprintf(req->message, sizeof(req->message), "%s", message);
	return code;
}

static int force_failover(struct app *a, struct ctl_request *req, json_t **reply)
{
	const char *name = json_string_value(json_object_get(req->args, "group"));
	struct node_ev ev = { .type = NODE_EV_FORCE, .group = NODE_ALL_GROUPS };
	json_t *groups = json_array();
	for (uint16_t g = 0; g < a->node.n_groups; g++) {
		if (name && strcmp(a->cfg->groups[g].name, name) != 0)
			continue;
		if (name)
			ev.group = g;
		const struct role *r = &a->node.group[g].role;
		const char *why = NULL;
		if (a->node.maintenance && r->is != ROLE_MASTER)
			why = "this node is in maintenance: leave it first with 'maintenance leave'";
		else if (r->state != ROLE_STABLE)
			why = "a role change of this group is under way";
		else if (r->is == ROLE_MASTER && !node_group_peer_ready(&a->node, g, clock_mono()))
			why = "no other node is ready to take the group over (see show failover status)";
		else if (r->is == ROLE_FAULT || r->is == ROLE_INIT)
			why = "this node cannot take the group (see show failover status)";
		if (why) {
			json_decref(groups);
			return fail(req, CTL_FAILED, why);
		}
		json_array_append_new(groups, json_string(a->cfg->groups[g].name));
	}
	if (!json_array_size(groups)) {
		json_decref(groups);
		return fail(req, CTL_FAILED,
			    a->node.n_groups ? "there is no group of this name (see show failover status)"
					     : "no virtual router is configured: there is no role to move");
	}
	app_feed(a, &ev);
	*reply = json_pack("{s:o}", "groups", groups);
	return CTL_OK;
}

static int maintenance(struct app *a, bool on, struct ctl_request *req, json_t **reply)
{
	bool kept = json_is_true(json_object_get(req->args, "persistent"));
	bool force = json_is_true(json_object_get(req->args, "force"));
	if (app_maintenance(a, on, kept, force, req->message, sizeof(req->message)) < 0)
		return CTL_FAILED;
	*reply = json_pack("{s:b, s:b}", "maintenance", on, "persistent", a->maintenance_kept);
	return CTL_OK;
}

static int clear_counters(struct app *a, const struct ctl_request *req, json_t **reply)
{
	for (uint16_t i = 0; i < a->node.n_inst; i++) {
		memset(&a->node.inst[i].stats, 0, sizeof(a->node.inst[i].stats));
		a->inst[i].garps = 0;
	}
	struct vrrp_port *port = NULL;
	while ((port = vrrp_io_next(a->vrrp, port))) {
		port->rx = 0;
		memset(port->drop, 0, sizeof(port->drop));
	}
	a->unknown_vrid = 0;
	for (uint16_t t = 0; t < a->node.n_tunnels; t++) {
		struct ipsec_tunnel *m = app_ipsec_tunnel(a, t);
		memset(&a->node.tunnel[t].count, 0, sizeof(a->node.tunnel[t].count));
		struct ike_stale *s = &a->node.tunnel[t].unknown;
		s->heard = s->told = s->known = s->alive = 0;
		m->moved = m->unwanted = 0;
		m->floated = false;
	}
	app_sweep_clear(a);
	app_track_clear(a);
	hist_clear(loop_lateness(a->loop));
	a->node.stale = a->node.stalls = a->node.rearms = a->node.rivals = 0;
	a->node.splits = a->node.arbitrated = 0;
	*reply = show_cleared(a, req);
	return CTL_OK;
}

static int debug(enum log_sub sub, bool on, json_t **reply)
{
	log_debug_set(sub, on);
	*reply = json_pack("{s:s, s:b}", "subsystem", log_sub_name(sub), "on", on);
	return CTL_OK;
}

static int stall(struct app *a, struct ctl_request *req, json_t **reply)
{
	json_int_t seconds = json_integer_value(json_object_get(req->args, "seconds"));
	struct sync_cmd cmd = { .type = SYNC_CMD_STALL, .stall_ns = seconds * NS_PER_SEC };
	if (!a->sync)
		return fail(req, CTL_FAILED, "this node has no replication thread (no cluster is configured)");
	if (sync_thread_send(a->sync, &cmd) < 0)
		return fail(req, CTL_FAILED, "the replication thread takes no commands");
	*reply = json_pack("{s:I}", "stalled_us", seconds * 1000000);
	return CTL_OK;
}

/* The connection passes to SYNC, which answers and closes it. */
static int session(struct app *a, struct ctl_request *req, enum sync_client_kind kind, json_t **reply)
{
	struct sync_query query = { 0 };
	if (kind == SYNC_CLIENT_TABLE &&
	    show_query(req->cmd, req->args, &query, req->message, sizeof(req->message)) < 0)
		return CTL_FAILED;
	if (!a->sync) {
		if (kind != SYNC_CLIENT_STATUS)
			return fail(req, CTL_FAILED, "this node replicates nothing (no cluster is configured)");
		*reply = json_pack("{s:b}", "enabled", false);
		return CTL_OK;
	}
	if (node_sync_late(&a->node, clock_mono()))
		return fail(req, CTL_FAILED, "the replication thread does not answer");
	uint32_t id = req->id;
	int fd = ctl_detach(req);
	if (fd < 0)
		return CTL_FAILED;
	struct sync_cmd cmd = { .type = SYNC_CMD_CLIENT, .fd = fd, .client = kind, .client_id = id, .query = query };
	if (sync_thread_send(a->sync, &cmd) < 0)
		ctl_refuse(fd, id, CTL_FAILED, "the replication thread takes no commands");
	return CTL_OK;
}

static unsigned limit_of(const struct ctl_request *req, unsigned standard)
{
	const json_t *v = json_object_get(req->args, "limit");
	return v ? (unsigned)json_integer_value(v) : standard;
}

static int timeline(struct app *a, struct ctl_request *req, json_t **reply)
{
	const char *why = NULL;
	*reply = show_failover_timeline(a, json_string_value(json_object_get(req->args, "epoch")), &why);
	return *reply ? CTL_OK : fail(req, CTL_FAILED, why);
}

int app_ctl(void *app, struct ctl_request *req, json_t **reply)
{
	struct app *a = app;
	switch (req->cmd) {
	case CTL_SHOW_VRRP:
		*reply = show_vrrp(a);
		return CTL_OK;
	case CTL_SHOW_PAIR:
		return app_pair_show(a, req, reply);
	case CTL_SHOW_VRRP_PEER:
		*reply = show_vrrp_peer(a);
		return CTL_OK;
	case CTL_SHOW_VRRP_TRACK:
		*reply = app_track_json(a);
		return CTL_OK;
	case CTL_SHOW_SYNC_STATISTICS:
		return session(a, req, SYNC_CLIENT_STATISTICS, reply);
	case CTL_SHOW_SYNC_STATUS:
		return session(a, req, SYNC_CLIENT_STATUS, reply);
	case CTL_SHOW_SYNC_PEERS:
		return session(a, req, SYNC_CLIENT_PEERS, reply);
	case CTL_SHOW_SYNC_QUEUE:
		return session(a, req, SYNC_CLIENT_QUEUE, reply);
	case CTL_SHOW_SYNC_LAG:
		return session(a, req, SYNC_CLIENT_LAG, reply);
	case CTL_SHOW_SYNC_FILTERS:
		return session(a, req, SYNC_CLIENT_FILTERS, reply);
	case CTL_SHOW_SYNC_INTERNAL:
	case CTL_SHOW_SYNC_EXTERNAL:
	case CTL_SHOW_CONNTRACK_IPV4:
	case CTL_SHOW_CONNTRACK_IPV6:
		return session(a, req, SYNC_CLIENT_TABLE, reply);
	case CTL_SHOW_SESSION_STATISTICS:
		return session(a, req, SYNC_CLIENT_SESSION_STATISTICS, reply);
	case CTL_SHOW_SESSION_POLICY:
		return session(a, req, SYNC_CLIENT_POLICY, reply);
	case CTL_SHOW_FAILOVER_HISTORY:
		*reply = show_failover_history(a, limit_of(req, 20));
		return CTL_OK;
	case CTL_SHOW_FAILOVER_TIMELINE:
		return timeline(a, req, reply);
	case CTL_SHOW_FAILOVER_STATUS:
		*reply = show_failover_status(a);
		return CTL_OK;
	case CTL_SHOW_IPSEC:
	case CTL_SHOW_IPSEC_SA:
	case CTL_SHOW_IPSEC_PEER:
	case CTL_SHOW_IPSEC_DPD:
	case CTL_SHOW_IPSEC_HOOKS:
	case CTL_SHOW_IPSEC_CHECK:
	case CTL_SHOW_IPSEC_STATISTICS:
	case CTL_EXPLAIN_IPSEC:
	case CTL_IKE_DPD:
	case CTL_RESET_VPN_PEER:
	case CTL_RESET_VPN_ALL:
	case CTL_FORCE_IKE_RESET:
		return app_ipsec_ctl(a, req, reply);
	case CTL_SHOW_IPSEC_SWEEP:
		return app_sweep_show(a, req, reply);
	case CTL_SHOW_NOTIFY:
		*reply = show_notify(a);
		return CTL_OK;
	case CTL_SHOW_INTERFACES:
		*reply = show_interfaces(a);
		return CTL_OK;
	case CTL_SHOW_LOG:
		*reply = show_log(limit_of(req, 50));
		return CTL_OK;
	case CTL_SHOW_VERSION:
		*reply = show_version(a);
		return CTL_OK;
	case CTL_SHOW_CONFIGURATION:
		*reply = show_configuration(a);
		return CTL_OK;
	case CTL_FORCE_FAILOVER:
		return force_failover(a, req, reply);
	case CTL_MAINTENANCE_ENTER:
		return maintenance(a, true, req, reply);
	case CTL_MAINTENANCE_LEAVE:
		return maintenance(a, false, req, reply);
	case CTL_CLEAR_COUNTERS:
		return clear_counters(a, req, reply);
	case CTL_EXPLAIN_SESSION:
		return show_explain(a, req);
	case CTL_RESET_SYNC_INTERNAL:
		return show_act(a, req, SYNC_CLIENT_RESET_INTERNAL);
	case CTL_RESET_SYNC_EXTERNAL:
		return show_act(a, req, SYNC_CLIENT_RESET_EXTERNAL);
	case CTL_CONNTRACKD:
		return app_ctd_verb(a, req, reply);
	case CTL_RESTART_SYNC:
		return show_act(a, req, SYNC_CLIENT_RESTART);
	case CTL_FORCE_RESYNC:
		return show_act(a, req, SYNC_CLIENT_RESYNC);
	case CTL_DEBUG_VRRP:
		return debug(LOG_VRRP, true, reply);
	case CTL_DEBUG_SYNC:
		return debug(LOG_SYNC, true, reply);
	case CTL_DEBUG_IKE:
		return debug(LOG_IKE, true, reply);
	case CTL_DEBUG_ROLE:
		return debug(LOG_ROLE, true, reply);
	case CTL_DEBUG_NET:
		return debug(LOG_NET, true, reply);
	case CTL_NO_DEBUG_VRRP:
		return debug(LOG_VRRP, false, reply);
	case CTL_NO_DEBUG_SYNC:
		return debug(LOG_SYNC, false, reply);
	case CTL_NO_DEBUG_IKE:
		return debug(LOG_IKE, false, reply);
	case CTL_NO_DEBUG_ROLE:
		return debug(LOG_ROLE, false, reply);
	case CTL_NO_DEBUG_NET:
		return debug(LOG_NET, false, reply);
	case CTL_DEBUG_SYNC_STALL:
		return stall(a, req, reply);
	case CTL_LIST:
	case CTL_HELP:
	case CTL_EXIT:
	case CTL_CMD_N:
		return CTL_UNKNOWN;
	}
	return CTL_UNKNOWN;
}
