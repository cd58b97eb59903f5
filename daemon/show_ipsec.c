/*
 * show ipsec.
 */
#include "daemon/show.h"

#include "daemon/app_quar.h"
#include "daemon/app_sweep.h"
#include "daemon/app_sa.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"

static json_t *dpd_json(const struct ike_tunnel *t, mono_t now)
{
	static const char *const action[] = { "reset", "rekey", "notify" };
	const struct ike_dpd_conf *c = &t->conf.dpd;
	if (!c->enabled)
		return json_null();
	const char *state = t->dpd.told ? "dead" : t->dpd.rekeying ? "rekeying" : t->dpd.doubt ? "doubt" : "idle";
	int64_t silent = t->dpd.doubt && !mono_is_never(t->dpd.out_at) ? mono_sub(now, t->dpd.out_at) : 0;
	return json_pack("{s:s, s:I, s:I, s:i, s:s, s:I}", "action", action[c->action], "interval_us",
			 (json_int_t)(c->interval_ns / NS_PER_US), "retry_us", (json_int_t)(c->retry_ns / NS_PER_US),
			 "retries", (int)c->retries, "state", state, "silent_us", (json_int_t)(silent / NS_PER_US));
}

static json_t *tunnel_json(struct app *a, const struct ike_tunnel *t, mono_t now)
{
	char vip[ADDR_TEXT_MAX], peer[ADDR_TEXT_MAX];
	json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:o}", "name", t->conf.name, "vip",
			      addr_text(&t->conf.vip, vip), "peer", addr_text(&t->conf.peer, peer), "ike", t->conf.ike,
			      "child", t->conf.child, "backend", t->conf.backend == IKE_BACKEND_VICI ? "vici" : "none",
			      "group", a->cfg->groups[t->conf.group].name, "state", ike_state_name(t->state), "wanted",
			      t->active, "reason", ike_reason_text(t->why), "since_us", show_age(t->since, now));
	json_object_set_new(j, "sa_id", json_integer(t->sa_id));
	json_object_set_new(j, "in_packets", json_integer((json_int_t)t->dpd.in));
	json_object_set_new(j, "out_packets", json_integer((json_int_t)t->dpd.out));
	json_object_set_new(j, "initiations", json_integer((json_int_t)t->count.initiates));
	json_object_set_new(j, "failures", json_integer(t->fails));
	json_object_set_new(j, "purges", json_integer((json_int_t)t->count.purges));
	json_object_set_new(j, "resets", json_integer((json_int_t)t->count.resets));
	json_object_set_new(j, "dpd_dead", json_integer((json_int_t)t->count.dpd_dead));
	json_object_set_new(j, "last_setup_us", json_integer(t->last_up_ns / NS_PER_US));
	json_object_set_new(j, "dpd", dpd_json(t, now));
	return j;
}

static json_t *hook_json(struct app *a, const struct hook_conf *h)
{
	json_t *on = json_array(), *argv = json_array();
	for (unsigned e = 0; e < HOOK_EVENT_N; e++)
		if (h->on & 1u << e)
			json_array_append_new(on, json_string(exec_event_name((enum hook_event)e)));
	for (unsigned k = 0; h->argv[k]; k++)
		json_array_append_new(argv, json_string(h->argv[k]));
	(void)a;
	return json_pack("{s:o, s:o, s:I}", "on", on, "exec", argv, "timeout_us",
			 (json_int_t)(h->timeout_ns / NS_PER_US));
}

static json_t *last_hook_json(struct app *a)
{
	const struct exec_result *r = exec_last(a->exec);
	if (!r)
		return json_null();
	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:I, s:I}", "event", exec_event_name(r->event), "subject",
			 r->subject, "program", r->program, "outcome", exec_outcome_name(r->outcome), "code", r->code,
			 "line", r->line, "took_us", (json_int_t)(r->took_ns / NS_PER_US), "wall_us",
			 (json_int_t)r->wall_us);
}

json_t *show_ipsec(struct app *a)
{
	mono_t now = clock_mono();
	json_t *tunnels = json_array(), *hooks = json_array();
	for (uint16_t t = 0; t < a->node.n_tunnels; t++)
		json_array_append_new(tunnels, tunnel_json(a, &a->node.tunnel[t], now));
	for (uint16_t h = 0; h < a->cfg->n_hooks; h++)
		json_array_append_new(hooks, hook_json(a, &a->cfg->hooks[h]));
	struct exec_counters ec = exec_counters(a->exec);
	bool up = a->vici && vici_state(a->vici) == VICI_READY;
	int err = a->vici && !up ? vici_last_error(a->vici) : 0;
	json_t *j = json_pack("{s:{s:s, s:s, s:b, s:s, s:s, s:s}, s:o, s:o}", "backend", "name",
			      a->vici ? "vici" : "none", "address", a->vici ? a->cfg->vici_socket : "", "up", up,
			      "state", a->vici ? vici_state_name(vici_state(a->vici)) : "absent", "version",
			      a->vici ? vici_version(a->vici) : "", "error", err ? err_text(err) : "", "tunnels",
			      tunnels, "hooks", hooks);
	json_object_set_new(j, "sa_copies", app_sa_json(a));
	json_object_set_new(j, "hook_queue", json_integer(ec.waiting));
	json_object_set_new(j, "hook_dropped", json_integer((json_int_t)ec.dropped));
	json_object_set_new(j, "hook_runs", json_integer((json_int_t)ec.started));
	json_object_set_new(j, "hook_failures", json_integer((json_int_t)ec.failed));
	json_object_set_new(j, "hook_timeouts", json_integer((json_int_t)ec.timed_out));
	json_object_set_new(j, "hook_running", json_boolean(ec.running));
	json_object_set_new(j, "hook_last", last_hook_json(a));
	json_object_set_new(j, "sweep", app_sweep_json(a));
	json_object_set_new(j, "quarantine", app_quar_json(a));
	return j;
}
