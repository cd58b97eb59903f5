/*
 * show ipsec [brief|detail], show ipsec hooks.
 */
#include "daemon/show.h"

#include "daemon/app_ipsec.h"
#include "daemon/app_quar.h"
#include "daemon/app_sa.h"
#include "daemon/app_sweep.h"
#include "daemon/app_watch.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"

const char *show_backend_name(enum ike_backend b)
{
	return ike_backend_info(b)->name;
}

static const char *dpd_state(const struct ike_tunnel *t)
{
	return t->dpd.told ? "dead" : t->dpd.rekeying ? "rekeying" : t->dpd.doubt ? "doubt" : "idle";
}

json_t *show_dpd(const struct ike_tunnel *t, mono_t now)
{
	static const char *const action[] = { "reset", "rekey", "notify" };
	static const char *const mode[] = { "on-demand", "periodic", "off" };
	const struct ike_dpd_conf *c = &t->conf.dpd;
	if (!c->enabled)
		return json_null();
	int64_t silent = t->dpd.doubt && !mono_is_never(t->dpd.out_at) ? mono_sub(now, t->dpd.out_at) : 0;
	return json_pack("{s:s, s:s, s:I, s:I, s:i, s:I, s:s, s:I}", "mode", mode[c->mode], "action", action[c->action],
			 "interval_us", (json_int_t)(c->interval_ns / NS_PER_US), "retry_us",
			 (json_int_t)(c->retry_ns / NS_PER_US), "retries", (int)c->retries, "detect_us",
			 (json_int_t)((c->interval_ns + c->retries * c->retry_ns) / NS_PER_US), "state", dpd_state(t),
			 "silent_us", (json_int_t)(silent / NS_PER_US));
}

static json_t *events_json(struct app *a, uint16_t t, mono_t now)
{
	const struct ipsec_tunnel *m = app_ipsec_tunnel(a, t);
	const struct ike_hist_entry *e;
	json_t *list = json_array();
	for (unsigned i = 0; (e = ike_hist_get(&m->hist, i)) != NULL; i++)
		json_array_append_new(
		    list, json_pack("{s:I, s:o, s:s, s:s, s:s, s:o}", "wall_us", (json_int_t)e->wall_us, "age_us",
				    show_age(e->at, now), "from", ike_state_name((enum ike_state)e->from), "to",
				    ike_state_name((enum ike_state)e->to), "reason",
				    ike_reason_text((enum ike_reason)e->why), "epoch", show_epoch(e->epoch)));
	return list;
}

static void add_counters(json_t *j, const struct ike_tunnel *t)
{
	json_object_set_new(j, "initiations", json_integer((json_int_t)t->count.initiates));
	json_object_set_new(j, "failures", json_integer(t->fails));
	json_object_set_new(j, "purges", json_integer((json_int_t)t->count.purges));
	json_object_set_new(j, "resets", json_integer((json_int_t)t->count.resets));
	json_object_set_new(j, "resets_held", json_integer((json_int_t)t->count.resets_held));
	json_object_set_new(j, "unknown_spis", json_integer((json_int_t)t->unknown.heard));
	json_object_set_new(j, "dpd_dead", json_integer((json_int_t)t->count.dpd_dead));
}

/* What was configured, and what happened: for detail only. */
static void add_detail(struct app *a, uint16_t i, json_t *j, mono_t now)
{
	const struct ike_tunnel *t = &a->node.tunnel[i];
	const struct ipsec_tunnel *m = app_ipsec_tunnel(a, i);
	struct ike_lint_out lint;
	const char *why;
	bool checked = app_ipsec_lint(a, i, &lint, &why);
	json_object_set_new(j, "initiate", json_string(t->conf.initiate ? "auto" : "never"));
	json_object_set_new(j, "on_demote", json_string(t->conf.on_demote == IKE_DEMOTE_DELETE ? "delete" : "silent"));
	json_object_set_new(j, "watch_spi", json_boolean(t->conf.watch_spi));
	json_object_set_new(j, "sync_sa", json_string(t->conf.sync_sa == IKE_SYNC_SA_INBOUND ? "inbound" : "off"));
	json_object_set_new(j, "warm", json_boolean(t->conf.warm));
	json_object_set_new(j, "warm_ike", json_string(t->conf.warm_ike));
	json_object_set_new(j, "warm_state", json_string(ike_keep_name(t->keep.state)));
	json_object_set_new(j, "on_warm", json_boolean(t->on_warm));
	json_object_set_new(j, "findings", checked ? json_integer(lint.n) : json_null());
	json_object_set_new(j, "error", json_string(m->error));
	json_object_set_new(j, "error_age_us", *m->error ? show_age(m->error_at, now) : json_null());
	json_object_set_new(j, "events", events_json(a, i, now));
}

static json_t *tunnel_json(struct app *a, uint16_t i, bool detail, mono_t now)
{
	const struct ike_tunnel *t = &a->node.tunnel[i];
	char vip[ADDR_TEXT_MAX], peer[ADDR_TEXT_MAX];
	json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:o}", "name", t->conf.name, "vip",
			      addr_text(&t->conf.vip, vip), "peer", addr_text(&t->conf.peer, peer), "ike", t->conf.ike,
			      "child", t->conf.child, "backend", show_backend_name(t->conf.backend), "group",
			      a->cfg->groups[t->conf.group].name, "state", ike_state_name(t->state), "wanted",
			      t->active, "reason", ike_reason_text(t->why), "since_us", show_age(t->since, now));
	json_object_set_new(j, "priority", json_integer(t->conf.priority));
	json_object_set_new(j, "learnt", json_boolean(t->conf.learnt));
	json_object_set_new(j, "epoch", show_epoch(t->epoch));
	json_object_set_new(j, "sa_id", json_integer(t->sa_id));
	json_object_set_new(j, "in_packets", json_integer((json_int_t)t->dpd.in));
	json_object_set_new(j, "out_packets", json_integer((json_int_t)t->dpd.out));
	add_counters(j, t);
	json_object_set_new(j, "last_setup_us", json_integer(t->last_up_ns / NS_PER_US));
	json_object_set_new(j, "dpd", show_dpd(t, now));
	if (detail)
		add_detail(a, i, j, now);
	return j;
}

static json_t *result_json(const struct exec_result *r)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:I, s:I, s:o, s:I}", "event", exec_event_name(r->event),
			 "subject", r->subject, "program", r->program, "outcome", exec_outcome_name(r->outcome), "code",
			 r->code, "line", r->line, "took_us", (json_int_t)(r->took_ns / NS_PER_US), "waited_us",
			 (json_int_t)(r->waited_ns / NS_PER_US), "epoch", show_epoch(r->epoch), "wall_us",
			 (json_int_t)r->wall_us);
}

static json_t *hook_json(const struct hook_conf *h, const struct app_hook *did)
{
	json_t *on = json_array(), *argv = json_array();
	for (unsigned e = 0; e < HOOK_EVENT_N; e++)
		if (h->on & 1u << e)
			json_array_append_new(on, json_string(exec_event_name((enum hook_event)e)));
	for (unsigned k = 0; h->argv[k]; k++)
		json_array_append_new(argv, json_string(h->argv[k]));
	return json_pack("{s:o, s:o, s:I, s:I, s:I, s:o}", "on", on, "exec", argv, "timeout_us",
			 (json_int_t)(h->timeout_ns / NS_PER_US), "runs", (json_int_t)did->runs, "failed",
			 (json_int_t)did->failed, "last", did->runs ? result_json(&did->last) : json_null());
}

json_t *show_ipsec_hooks(struct app *a)
{
	static const struct app_hook none;
	json_t *hooks = json_array();
	for (uint16_t h = 0; h < a->cfg->n_hooks; h++)
		json_array_append_new(hooks, hook_json(&a->cfg->hooks[h], a->hook ? &a->hook[h] : &none));
	struct exec_counters ec = exec_counters(a->exec);
	const struct exec_result *last = exec_last(a->exec);
	json_t *j = json_pack("{s:o, s:I, s:b, s:o}", "hooks", hooks, "hook_queue", (json_int_t)ec.waiting,
			      "hook_running", ec.running, "hook_last", last ? result_json(last) : json_null());
	json_object_set_new(j, "hook_runs", json_integer((json_int_t)ec.started));
	json_object_set_new(j, "hook_failures", json_integer((json_int_t)ec.failed));
	json_object_set_new(j, "hook_timeouts", json_integer((json_int_t)ec.timed_out));
	json_object_set_new(j, "hook_coalesced", json_integer((json_int_t)ec.coalesced));
	json_object_set_new(j, "hook_dropped", json_integer((json_int_t)ec.dropped));
	return j;
}

static json_t *summary_json(const struct app *a)
{
	json_int_t n = 0, up = 0, wanted = 0, failed = 0, dead = 0;
	for (uint16_t i = 0; i < a->node.n_tunnels; i++) {
		const struct ike_tunnel *t = &a->node.tunnel[i];
		if (t->conf.gone)
			continue;
		n++;
		up += t->state == IKE_UP;
		wanted += t->active;
		failed += t->active && (t->state == IKE_FAILED || t->fails);
		dead += t->dpd.told;
	}
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "tunnels", n, "wanted", wanted, "up", up, "failed", failed,
			 "peer_dead", dead);
}

static json_t *backend_json(const struct app *a)
{
	bool up = a->vici && vici_state(a->vici) == VICI_READY;
	int err = a->vici && !up ? vici_last_error(a->vici) : 0;
	return json_pack("{s:s, s:s, s:b, s:s, s:s, s:s}", "name", a->vici ? "vici" : "none", "address",
			 a->vici ? a->cfg->vici_socket : "", "up", up, "state",
			 a->vici ? vici_state_name(vici_state(a->vici)) : "absent", "version",
			 a->vici ? vici_version(a->vici) : "", "error", err ? err_text(err) : "");
}

json_t *show_ipsec(struct app *a, const char *view)
{
	mono_t now = clock_mono();
	bool detail = view[0] == 'd';
	json_t *tunnels = json_array();
	for (uint16_t t = 0; t < a->node.n_tunnels; t++)
		if (!a->node.tunnel[t].conf.gone)
			json_array_append_new(tunnels, tunnel_json(a, t, detail, now));
	json_t *j = json_pack("{s:s, s:o, s:o, s:o}", "view", view, "backend", backend_json(a), "summary",
			      summary_json(a), "tunnels", tunnels);
	json_t *hooks = show_ipsec_hooks(a);
	json_object_update(j, hooks);
	json_decref(hooks);
	json_object_set_new(j, "programs", app_ike_programs_json(a));
	json_object_set_new(j, "sa_copies", app_sa_json(a));
	json_object_set_new(j, "sweep", app_sweep_json(a));
	json_object_set_new(j, "quarantine", app_quar_json(a));
	json_object_set_new(j, "watch", app_watch_json(a));
	return j;
}
