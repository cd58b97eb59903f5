/*
 * show ipsec sa, peer, dpd, check, statistics; explain ipsec.
 */
#include "daemon/app_ipsec.h"

#include <stdio.h>
#include <string.h>
#include "daemon/app_quar.h"
#include "daemon/app_sa.h"
#include "daemon/app_sweep.h"
#include "daemon/app_watch.h"
#include "daemon/base/clock.h"
#include "daemon/show.h"
#include "ike-hooks/ike_verdict.h"

static int tunnel_of_ike(const struct app *a, const char *ike, const char *child)
{
	int found = -1;

	for (uint16_t t = 0; t < a->node.n_tunnels; t++) {
		const struct ike_tunnel_conf *c = &a->node.tunnel[t].conf;
		bool warm = c->warm && strcmp(c->warm_ike, ike) == 0;
		if (c->gone || (strcmp(c->ike, ike) != 0 && !warm))
			continue;
		found = t;
		if (warm || strcmp(c->child, child) == 0)
			break;
	}
	return found;
}

/* ---- sa ---- */

static json_t *child_json(const struct vici_child_sa *c)
{
	char in[12], out[12];

	snprintf(in, sizeof(in), "%08x", c->spi_in);
	snprintf(out, sizeof(out), "%08x", c->spi_out);
	json_t *j = json_pack("{s:s, s:I, s:I, s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:s, s:s}", "name", c->name, "id",
			      (json_int_t)c->id, "reqid", (json_int_t)c->reqid, "state", c->state, "mode", c->mode,
			      "protocol", c->protocol, "udp_encap", c->encap, "spi_in", in, "spi_out", out,
			      "algorithms", c->algorithms, "local_ts", c->local_ts, "remote_ts", c->remote_ts);
	json_object_set_new(j, "in_packets", json_integer((json_int_t)c->packets_in));
	json_object_set_new(j, "out_packets", json_integer((json_int_t)c->packets_out));
	json_object_set_new(j, "in_bytes", json_integer((json_int_t)c->bytes_in));
	json_object_set_new(j, "out_bytes", json_integer((json_int_t)c->bytes_out));
	json_object_set_new(j, "last_in_us",
			    c->used_in ? json_integer((json_int_t)c->use_in_s * 1000000) : json_null());
	json_object_set_new(j, "last_out_us",
			    c->used_out ? json_integer((json_int_t)c->use_out_s * 1000000) : json_null());
	json_object_set_new(j, "age_us", json_integer((json_int_t)c->installed_s * 1000000));
	json_object_set_new(j, "rekey_in_us", json_integer((json_int_t)c->rekey_s * 1000000));
	json_object_set_new(j, "ends_in_us", json_integer((json_int_t)c->life_s * 1000000));
	return j;
}

static json_t *sa_json(struct app *a, const struct vici_detail *d)
{
	const struct vici_ike_sa *s = &d->ike;
	char local[ADDR_TEXT_MAX], remote[ADDR_TEXT_MAX];
	int t = tunnel_of_ike(a, s->name, d->has_child ? d->child.name : "");
	const struct ike_tunnel_conf *c = t < 0 ? NULL : &a->node.tunnel[t].conf;
	bool warm = c && c->warm && strcmp(c->warm_ike, s->name) == 0;
	json_t *j = json_pack("{s:s, s:s, s:I, s:i, s:s, s:s, s:i, s:s, s:i, s:s, s:s}", "tunnel", c ? c->name : "",
			      "ike", s->name, "id", (json_int_t)s->id, "version", (int)s->version, "state", s->state,
			      "local", addr_text(&s->local, local), "local_port", (int)s->local_port, "remote",
			      addr_text(&s->remote, remote), "remote_port", (int)s->remote_port, "local_id",
			      s->local_id, "remote_id", s->remote_id);
	json_object_set_new(j, "at_vip", json_boolean(c && addr_eq(&c->vip, &s->local)));
	json_object_set_new(j, "warm", json_boolean(warm));
	json_object_set_new(j, "initiator", json_boolean(s->initiator));
	json_object_set_new(j, "nat", json_boolean(s->nat));
	json_object_set_new(j, "algorithms", json_string(s->algorithms));
	json_object_set_new(j, "established_us", json_integer((json_int_t)s->established_s * 1000000));
	json_object_set_new(j, "rekey_in_us", json_integer((json_int_t)s->rekey_s * 1000000));
	json_object_set_new(j, "child", d->has_child ? child_json(&d->child) : json_null());
	return j;
}

/* What an IKE daemon other than strongSwan says of its SAs, and where the rest is. NULL: it says everything. */
static const char *untold(enum ike_backend b)
{
	switch (b) {
	case IKE_BACKEND_VICI:
		break;
	case IKE_BACKEND_LIBRESWAN:
		return "libreswan tells number and bytes of its child SAs only; ipsec status and ip xfrm state have "
		       "the rest";
	case IKE_BACKEND_EXEC:
		return "the program that reaches the IKE daemon tells no more; ip xfrm state has the SAs of the kernel";
	case IKE_BACKEND_NONE:
		return "no IKE daemon is asked (backend = \"none\"); ip xfrm state has the SAs of the kernel";
	}
	return NULL;
}

static json_t *untold_json(const struct ike_tunnel *t)
{
	return json_pack("{s:s, s:s, s:s, s:o, s:s}", "tunnel", t->conf.name, "backend",
			 show_backend_name(t->conf.backend), "state", ike_state_name(t->state), "id",
			 t->sa_id ? json_integer((json_int_t)t->sa_id) : json_null(), "why", untold(t->conf.backend));
}

json_t *show_ipsec_sa(struct app *a, const char *tunnel)
{
	struct ipsec_view v = app_ipsec_view(a);
	json_t *list = json_array(), *others = json_array();
	bool asked = false;

	for (uint16_t i = 0; i < a->node.n_tunnels; i++) {
		const struct ike_tunnel *t = &a->node.tunnel[i];
		if (t->conf.gone || (*tunnel && strcmp(t->conf.name, tunnel) != 0))
			continue;
		asked |= !untold(t->conf.backend);
		if (untold(t->conf.backend))
			json_array_append_new(others, untold_json(t));
	}

	for (unsigned i = 0; i < v.n_sas; i++) {
		const struct vici_detail *d = &v.sa[i];
		int t = tunnel_of_ike(a, d->ike.name, d->has_child ? d->child.name : "");
		if (*tunnel && (t < 0 || strcmp(a->node.tunnel[t].conf.name, tunnel) != 0))
			continue;
		json_array_append_new(list, sa_json(a, d));
	}
	/* Where nobody speaks VICI nothing is missing. */
	return json_pack("{s:b, s:s, s:o, s:o, s:I}", "known", v.sas_known || !asked, "error", asked ? v.sas_error : "",
			 "sas", list, "not_told", others, "more", (json_int_t)v.more_sas);
}

/* ---- peer ---- */

static bool first_of_peer(const struct app *a, uint16_t t)
{
	for (uint16_t k = 0; k < t; k++) {
		if (!a->node.tunnel[k].conf.gone && addr_eq(&a->node.tunnel[k].conf.peer, &a->node.tunnel[t].conf.peer))
			return false;
	}
	return true;
}

static json_t *peer_json(const struct app *a, uint16_t first, mono_t now)
{
	char peer[ADDR_TEXT_MAX], vip[ADDR_TEXT_MAX];
	const struct addr *of = &a->node.tunnel[first].conf.peer;
	json_t *tunnels = json_array(), *vips = json_array();
	json_int_t up = 0, wanted = 0, resets = 0, dead = 0, silent = 0;
	mono_t last = MONO_NEVER;

	for (uint16_t t = first; t < a->node.n_tunnels; t++) {
		const struct ike_tunnel *x = &a->node.tunnel[t];
		bool seen = false;
		if (x->conf.gone || !addr_eq(&x->conf.peer, of))
			continue;
		json_array_append_new(tunnels, json_string(x->conf.name));
		addr_text(&x->conf.vip, vip);
		for (size_t k = 0; k < json_array_size(vips); k++)
			seen |= strcmp(json_string_value(json_array_get(vips, k)), vip) == 0;
		if (!seen)
			json_array_append_new(vips, json_string(vip));
		up += x->state == IKE_UP;
		wanted += x->active;
		resets += (json_int_t)x->count.resets;
		dead += (json_int_t)x->count.dpd_dead;
		silent += x->dpd.told;
		if (!mono_is_never(x->reset_at) && (mono_is_never(last) || mono_before(last, x->reset_at)))
			last = x->reset_at;
	}
	return json_pack("{s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:o}", "peer", addr_text(of, peer), "vips", vips,
			 "tunnels", tunnels, "wanted", wanted, "up", up, "silent", silent, "resets", resets, "dpd_dead",
			 dead, "last_reset_us", show_age(last, now));
}

/* What the watch for unknown SPIs saw of this peer. */
static json_int_t unknown_of(const json_t *watch, const char *peer)
{
	json_int_t n = 0;
	size_t i;
	json_t *p;

	json_array_foreach(json_object_get(watch, "pairs"), i, p)
	{
		if (strcmp(json_string_value(json_object_get(p, "peer")), peer) == 0)
			n += json_integer_value(json_object_get(p, "unknown"));
	}
	return n;
}

json_t *show_ipsec_peer(struct app *a)
{
	mono_t now = clock_mono();
	json_t *list = json_array(), *watch = app_watch_json(a);

	for (uint16_t t = 0; t < a->node.n_tunnels; t++) {
		if (a->node.tunnel[t].conf.gone || !first_of_peer(a, t))
			continue;
		json_t *j = peer_json(a, t, now);
		json_int_t unknown = unknown_of(watch, json_string_value(json_object_get(j, "peer")));
		json_object_set_new(j, "unknown_spi_packets", json_integer(unknown));
		json_array_append_new(list, j);
	}
	json_decref(watch);
	return json_pack("{s:o}", "peers", list);
}

/* ---- dpd ---- */

json_t *show_ipsec_dpd(struct app *a)
{
	mono_t now = clock_mono();
	json_t *list = json_array();

	for (uint16_t i = 0; i < a->node.n_tunnels; i++) {
		const struct ike_tunnel *t = &a->node.tunnel[i];
		struct ike_lint_out lint;
		const char *why;
		char peer[ADDR_TEXT_MAX];
		if (t->conf.gone)
			continue;
		bool known = app_ipsec_lint(a, i, &lint, &why) && app_ipsec_conn(a, t->conf.ike);
		json_t *d =
		    json_pack("{s:s, s:s, s:s, s:o}", "name", t->conf.name, "peer", addr_text(&t->conf.peer, peer),
			      "state", ike_state_name(t->state), "dpd", show_dpd(t, now));
		json_object_set_new(d, "in_packets", json_integer((json_int_t)t->dpd.in));
		json_object_set_new(d, "out_packets", json_integer((json_int_t)t->dpd.out));
		json_object_set_new(d, "rekeys", json_integer((json_int_t)t->count.rekeys));
		json_object_set_new(d, "dead", json_integer((json_int_t)t->count.dpd_dead));
		json_object_set_new(d, "resets", json_integer((json_int_t)t->count.resets));
		json_object_set_new(d, "resets_held", json_integer((json_int_t)t->count.resets_held));
		/* null: not known; 0: never */
		json_object_set_new(d, "ike_detect_us",
				    known ? json_integer((json_int_t)lint.detect_s * 1000000) : json_null());
		json_array_append_new(list, d);
	}
	return json_pack("{s:o}", "tunnels", list);
}

/* ---- check ---- */

static json_t *findings_json(const struct ike_tunnel_conf *c, const struct ike_lint_out *out)
{
	json_t *list = json_array();
	char fix[400];

	for (unsigned i = 0; i < out->n; i++) {
		enum ike_lint what = out->f[i].what;
		json_array_append_new(
		    list, json_pack("{s:s, s:s, s:s, s:s, s:s}", "severity", ike_grade_name(ike_lint_grade(what)),
				    "setting", ike_lint_setting(what), "value", out->f[i].value, "danger",
				    ike_lint_danger(what), "fix", ike_lint_fix(what, c, fix, sizeof(fix))));
	}
	return list;
}

json_t *show_ipsec_check(struct app *a)
{
	struct ipsec_view v = app_ipsec_view(a);
	json_t *list = json_array();
	json_int_t count[3] = { 0 };
	bool all = true;

	for (uint16_t t = 0; t < a->node.n_tunnels; t++) {
		const struct ike_tunnel_conf *c = &a->node.tunnel[t].conf;
		struct ike_lint_out out = { 0 };
		const char *why;
		if (c->gone)
			continue;
		json_t *unknown = json_array();
		bool checked = app_ipsec_lint(a, t, &out, &why);
		all &= checked;
		if (out.mobike_unknown)
			json_array_append_new(unknown, json_string("mobike"));
		if (out.start_unknown)
			json_array_append_new(unknown, json_string("start_action"));
		for (unsigned i = 0; i < out.n; i++)
			count[ike_lint_grade(out.f[i].what)]++;
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:s, s:b, s:s, s:o, s:o}", "tunnel", c->name, "ike", c->ike,
						"child", c->child, "checked", checked, "not_checked_because", why,
						"findings", findings_json(c, &out), "not_known", unknown));
	}
	const char *verdict = count[IKE_GRADE_DANGER]    ? "danger"
			      : count[IKE_GRADE_WARNING] ? "warning"
			      : all                      ? "good"
							 : "not checked";
	return json_pack("{s:s, s:I, s:I, s:I, s:o, s:{s:s, s:b, s:s}}", "verdict", verdict, "dangers",
			 count[IKE_GRADE_DANGER], "warnings", count[IKE_GRADE_WARNING], "notes", count[IKE_GRADE_NOTE],
			 "tunnels", list, "file", "path", v.file, "read", v.file_known, "error", v.file_error);
}

/* ---- statistics ---- */

static json_t *vici_json(const struct app *a)
{
	if (!a->vici)
		return json_null();
	const struct vici_counters *c = vici_counters(a->vici);
	json_t *j = json_object();
	const struct {
		const char *key;
		uint64_t n;
	} t[] = { { "connects", c->connects },     { "losts", c->losts },           { "requests", c->requests },
		  { "replies", c->replies },       { "events", c->events },         { "timeouts", c->timeouts },
		  { "refused", c->refused },       { "bad_frames", c->bad_frames }, { "bad_messages", c->bad_messages },
		  { "unexpected", c->unexpected }, { "rx_bytes", c->rx_bytes },     { "tx_bytes", c->tx_bytes } };

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		json_object_set_new(j, t[i].key, json_integer((json_int_t)t[i].n));
	return j;
}

json_t *show_ipsec_statistics(struct app *a)
{
	json_t *list = json_array();

	for (uint16_t i = 0; i < a->node.n_tunnels; i++) {
		const struct ike_tunnel *x = &a->node.tunnel[i];
		const struct ipsec_tunnel *m = app_ipsec_tunnel(a, i);
		const struct {
			const char *key;
			uint64_t n;
		} t[] = { { "purges", x->count.purges },
			  { "initiations", x->count.initiates },
			  { "ups", x->count.ups },
			  { "downs", x->count.downs },
			  { "dpd_dead", x->count.dpd_dead },
			  { "rekeys", x->count.rekeys },
			  { "resets", x->count.resets },
			  { "resets_held", x->count.resets_held },
			  { "unknown_spi_heard", x->unknown.heard },
			  { "unknown_spi_told", x->unknown.told },
			  { "unwanted", m->unwanted },
			  { "moved", m->moved },
			  { "goodbyes", x->count.closes },
			  { "made_before_break", x->count.made },
			  { "warm_ups", x->keep.ups },
			  { "warm_losts", x->keep.losts },
			  { "answers_late", x->count.late },
			  { "events_stale", x->count.stale },
			  { "events_ignored", x->count.ignored } };
		if (x->conf.gone)
			continue;
		json_t *j = json_pack("{s:s}", "name", x->conf.name);
		for (size_t k = 0; k < sizeof(t) / sizeof(t[0]); k++)
			json_object_set_new(j, t[k].key, json_integer((json_int_t)t[k].n));
		json_object_set_new(j, "last_setup_us", json_integer(x->last_up_ns / NS_PER_US));
		json_array_append_new(list, j);
	}
	json_t *j = show_ipsec_hooks(a);
	json_object_del(j, "hooks");
	json_object_set_new(j, "vici", vici_json(a));
	json_object_set_new(j, "tunnels", list);
	json_object_set_new(j, "programs", app_ike_programs_json(a));
	json_object_set_new(j, "watch", app_watch_json(a));
	json_object_set_new(j, "sa_copies", app_sa_json(a));
	json_object_set_new(j, "sweep", app_sweep_json(a));
	json_object_set_new(j, "quarantine", app_quar_json(a));
	return j;
}
