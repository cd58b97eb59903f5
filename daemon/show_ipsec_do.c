/*
 * explain ipsec, ike dpd, reset vpn ipsec, force ike-reset.
 */
#include "daemon/app_ipsec.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/show.h"
#include "ike-hooks/ike_backend.h"
#include "ike-hooks/ike_verdict.h"

/* ---- explain ---- */

__attribute__((format(printf, 3, 4))) static void step(json_t *steps, const char *what, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_append_new(steps, json_pack("{s:s, s:s}", "what", what, "text", text));
}

static void step_config(const struct ike_tunnel_conf *c, const char *group, json_t *steps)
{
	char vip[ADDR_TEXT_MAX], peer[ADDR_TEXT_MAX];

	step(steps, "configuration", "%s to %s, connection %s, child %s, backend %s, group %s, initiate %s%s%s",
	     addr_text(&c->vip, vip), c->peer.af ? addr_text(&c->peer, peer) : "any peer", c->ike, c->child,
	     show_backend_name(c->backend), group, c->initiate ? "auto" : "never", c->warm ? ", warm" : "",
	     c->learnt ? ", learnt from the IKE daemon" : "");
}

static void step_role(const struct app *a, const struct ike_tunnel *t, const char *group, json_t *steps)
{
	const struct role *r = &a->node.group[t->conf.group].role;

	step(steps, "role", "group %s is %s%s, so the tunnel is %s here", group, role_is_text((uint8_t)r->is),
	     r->state == ROLE_STABLE ? "" : " and changing", t->active ? "wanted" : "not wanted");
}

static void step_daemon(const struct app *a, uint16_t i, const struct ike_tunnel *t, json_t *steps)
{
	const struct ike_backend_info *info = ike_backend_info(t->conf.backend);

	if (t->conf.backend != IKE_BACKEND_VICI)
		step(steps, "IKE daemon", "%s (backend %s) %s", info->what, info->name,
		     app_ike_reaches(a, i) ? "answers" : "does not answer");
	else if (!a->vici)
		step(steps, "IKE daemon", "not connected");
	else if (vici_state(a->vici) == VICI_READY)
		step(steps, "IKE daemon", "%s at %s answers", vici_version(a->vici), a->cfg->vici_socket);
	else
		step(steps, "IKE daemon", "%s is %s: %s", a->cfg->vici_socket, vici_state_name(vici_state(a->vici)),
		     vici_last_error(a->vici) ? err_text(vici_last_error(a->vici)) : "no attempt has failed yet");
}

static void step_connection(struct app *a, uint16_t i, struct ike_verdict_in *in, json_t *steps)
{
	const struct ike_tunnel_conf *c = &in->tunnel->conf;
	const struct vici_conn *conn = app_ipsec_conn(a, c->ike);
	struct ike_lint_out lint;
	const char *why;

	if (!app_ipsec_lint(a, i, &lint, &why)) {
		step(steps, "connection", "not known: %s", why);
		return;
	}
	in->listed = true;
	in->has_conn = conn != NULL;
	in->has_child = conn && (vici_conn_child(conn, c->child) || conn->more_children);
	if (!conn)
		step(steps, "connection", "%s is not loaded", c->ike);
	else if (!in->has_child)
		step(steps, "connection", "%s is loaded, without child %s", c->ike, c->child);
	else if (lint.n)
		step(steps, "connection", "%s with child %s is loaded; %u findings, the gravest: %s = %s, %s", c->ike,
		     c->child, lint.n, ike_lint_setting(lint.f[0].what), lint.f[0].value,
		     ike_lint_danger(lint.f[0].what));
	else
		step(steps, "connection", "%s with child %s is loaded, nothing to complain about", c->ike, c->child);
}

static void step_sa(struct app *a, struct ike_verdict_in *in, json_t *steps)
{
	const struct ike_tunnel_conf *c = &in->tunnel->conf;
	struct ipsec_view v = app_ipsec_view(a);
	char local[ADDR_TEXT_MAX], remote[ADDR_TEXT_MAX], used[60];
	unsigned n = 0;

	if (c->backend != IKE_BACKEND_VICI)
		return;
	for (unsigned i = 0; i < v.n_sas; i++) {
		const struct vici_ike_sa *s = &v.sa[i].ike;
		const struct vici_child_sa *k = &v.sa[i].child;
		bool warm = c->warm && strcmp(s->name, c->warm_ike) == 0;
		if (strcmp(s->name, c->ike) != 0 && !warm)
			continue;
		n++;
		if (!warm) {
			in->sa = true;
			in->established |= strcmp(s->state, "ESTABLISHED") == 0;
			in->elsewhere |= s->local.af && !addr_eq(&s->local, &c->vip);
		}
		if (v.sa[i].has_child && k->used_in)
			snprintf(used, sizeof(used), "the last %llu s ago", (unsigned long long)k->use_in_s);
		else
			snprintf(used, sizeof(used), "none yet");
		if (v.sa[i].has_child)
			step(steps, warm ? "warm SA" : "SA",
			     "IKE SA %u %s from %s to %s; child %s %s, SPI in %08x out %08x, %llu packets in (%s), "
			     "%llu out",
			     s->id, s->state, addr_text(&s->local, local), addr_text(&s->remote, remote), k->name,
			     k->state, k->spi_in, k->spi_out, (unsigned long long)k->packets_in, used,
			     (unsigned long long)k->packets_out);
		else
			step(steps, warm ? "warm SA" : "SA", "IKE SA %u %s from %s to %s, without child", s->id,
			     s->state, addr_text(&s->local, local), addr_text(&s->remote, remote));
	}
	if (!n)
		step(steps, "SA", "%s", v.sas_known ? "the IKE daemon has none" : v.sas_error);
}

#define EXPLAIN_EVENTS 5

static void step_events(struct app *a, uint16_t i, json_t *steps)
{
	const struct ipsec_tunnel *m = app_ipsec_tunnel(a, i);
	const struct ike_hist_entry *e;
	mono_t now = clock_mono();

	for (unsigned k = EXPLAIN_EVENTS; k-- > 0;) {
		e = ike_hist_get(&m->hist, k);
		if (!e)
			continue;
		double ago = (double)mono_sub(now, e->at) / 1e9;
		if (e->from == e->to)
			step(steps, "event", "%.3f s ago, %s: %s", ago, ike_state_name((enum ike_state)e->to),
			     ike_reason_text((enum ike_reason)e->why));
		else
			step(steps, "event", "%.3f s ago, %s -> %s: %s", ago, ike_state_name((enum ike_state)e->from),
			     ike_state_name((enum ike_state)e->to), ike_reason_text((enum ike_reason)e->why));
	}
	if (*m->error)
		step(steps, "refusal", "%.3f s ago the IKE daemon said: %s", (double)mono_sub(now, m->error_at) / 1e9,
		     m->error);
}

json_t *show_ipsec_explain(struct app *a, uint16_t i)
{
	const struct ike_tunnel *t = &a->node.tunnel[i];
	const char *group = a->cfg->groups[t->conf.group].name;
	struct ike_verdict_in in = { .tunnel = t,
				     .stopped = a->vici && vici_state(a->vici) == VICI_STOPPED,
				     .group = group,
				     .error = app_ipsec_tunnel(a, i)->error };
	json_t *steps = json_array();
	char why[400], change[400];

	step_config(&t->conf, group, steps);
	step_role(a, t, group, steps);
	step_daemon(a, i, t, steps);
	step_connection(a, i, &in, steps);
	step_sa(a, &in, steps);
	step(steps, "state", "%s for %.3f s: %s", ike_state_name(t->state),
	     (double)mono_sub(clock_mono(), t->since) / 1e9, ike_reason_text(t->why));
	step_events(a, i, steps);
	enum ike_verdict v = ike_verdict(&in);
	return json_pack("{s:s, s:[{s:s, s:o}], s:{s:s, s:s}}", "tunnel", t->conf.name, "nodes", "node",
			 a->cfg->node_name, "steps", steps, "verdict", "text",
			 ike_verdict_why(v, &in, why, sizeof(why)), "change",
			 ike_verdict_change(v, &in, change, sizeof(change)));
}

/* ---- ike dpd: other vendors' words for what the configuration says here ---- */

json_t *show_ike_dpd(struct app *a, const json_t *args)
{
	json_int_t interval = json_integer_value(json_object_get(args, "interval"));
	const json_t *given = json_object_get(args, "retry");
	json_int_t retry = given ? json_integer_value(given) : 5;
	bool periodic = json_is_true(json_object_get(args, "periodic"));
	json_t *tunnels = json_array();
	char line[120];
	json_int_t same = 0;

	for (uint16_t t = 0; t < a->node.n_tunnels; t++) {
		const struct ike_tunnel_conf *c = &a->node.tunnel[t].conf;
		const struct ike_dpd_conf *d = &c->dpd;
		if (c->gone)
			continue;
		bool equal = d->enabled && d->interval_ns == interval * NS_PER_SEC &&
			     d->retry_ns == retry * NS_PER_SEC && d->retries == 3 &&
			     (d->mode == IKE_DPD_PERIODIC) == periodic;
		same += equal;
		json_array_append_new(
		    tunnels, json_pack("{s:s, s:b, s:b, s:I, s:I, s:i, s:b, s:b}", "name", c->name, "learnt", c->learnt,
				       "enabled", d->enabled, "interval_us", (json_int_t)(d->interval_ns / NS_PER_US),
				       "retry_us", (json_int_t)(d->retry_ns / NS_PER_US), "retries", (int)d->retries,
				       "periodic", d->enabled && d->mode == IKE_DPD_PERIODIC, "in_force", equal));
	}
	snprintf(line, sizeof(line), "dpd = { mode = \"%s\"; interval = %lld; retry = %lld; retries = 3; };",
		 periodic ? "periodic" : "on-demand", (long long)interval, (long long)retry);
	return json_pack("{s:s, s:s, s:I, s:I, s:o}", "line", line, "file", a->cfg->file, "in_force", same, "detect_us",
			 (json_int_t)(interval + 3 * retry) * 1000000, "tunnels", tunnels);
}

/* ---- resets ---- */

/* A tunnel's name, its peer's address, or "all". */
static bool chosen(const struct ike_tunnel_conf *c, const char *name)
{
	struct addr peer;

	if (!name || strcmp(name, "all") == 0 || strcmp(c->name, name) == 0)
		return true;
	return addr_parse(name, &peer) && addr_eq(&peer, &c->peer);
}

int app_ipsec_reset(struct app *a, struct ctl_request *req, json_t **reply)
{
	const char *name = json_string_value(json_object_get(req->args, "peer"));
	bool force = req->cmd == CTL_FORCE_IKE_RESET;
	json_t *done = json_array(), *passive = json_array();
	unsigned n = 0;

	for (uint16_t t = 0; t < a->node.n_tunnels; t++) {
		const struct ike_tunnel *x = &a->node.tunnel[t];
		if (x->conf.gone || !chosen(&x->conf, name))
			continue;
		n++;
		if (!x->active && !force) {
			json_array_append_new(passive, json_string(x->conf.name));
			continue;
		}
		log_notice(LOG_IKE, "tunnel %s: reset by the operator", x->conf.name);
		json_array_append_new(done, json_string(x->conf.name));
		struct ike_ev ev = { .kind = IKE_EV_RESET, .why = IKE_WHY_OPERATOR, .force = true };
		app_feed(a, &(struct node_ev){ .type = NODE_EV_IKE, .tunnel = t, .ike = &ev });
	}
	if (!n) {
		json_decref(done);
		json_decref(passive);
		snprintf(req->message, sizeof(req->message),
			 name ? "no tunnel and no peer of a tunnel is called so (see show ipsec)"
			      : "no tunnel is configured");
		return CTL_FAILED;
	}
	*reply = json_pack("{s:o, s:o}", "tunnels", done, "not_wanted", passive);
	return CTL_OK;
}
