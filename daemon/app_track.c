/*
 * Tracking: from what is watched to the node core.
 */
#include "daemon/track_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/app_notify.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/dropin/kalive.h"
#include "daemon/base/require.h"
#include "daemon/show.h"

#define LINES_PER_S 10

/* ---- what follows ---- */

static bool same_as_told(const struct app *a, const struct node_ev *ev)
{
	const struct node_member *m = &a->node.member[ev->inst];
	return a->node.inst[ev->inst].wanted == ev->priority && m->tracked == ev->fault && m->waits == ev->waits;
}

static void judge(struct app_track *t, uint16_t group)
{
	struct app *a = t->app;
	const struct cfg_group *g = &t->cfg->groups[group];
	if (t->cfg != a->cfg) /* a reload is under way: everything is judged at its end */
		return;
	struct vrrp_track_verdict v = vrrp_track_judge(g->track, g->n_track, t->obj);
	for (uint16_t m = 0; m < g->n_members; m++)
		t->marks[g->members[m]] = 0;
	vrrp_track_mark(g->track, g->n_track, t->obj, t->marks);
	for (uint16_t m = 0; m < g->n_members; m++) {
		uint16_t inst = g->members[m];
		struct node_ev ev = { .type = NODE_EV_TRACK, .inst = inst };
		ev.priority = vrrp_track_priority(t->cfg->instances[inst].priority, v.points);
		ev.fault = v.fault || t->marks[inst] & VRRP_TRACK_M_FAULT;
		ev.waits = v.waits || t->marks[inst] & VRRP_TRACK_M_WAITS;
		if (!same_as_told(a, &ev))
			app_feed(a, &ev);
	}
}

static void judge_users(struct app_track *t, uint16_t obj)
{
	for (uint32_t k = t->user_at[obj]; k < t->user_at[obj + 1u]; k++)
		judge(t, t->user[k]);
}

static void tell_change(struct app_track *t, uint16_t obj, bool was_known, const char *why)
{
	const struct vrrp_track_obj *o = &t->obj[obj];
	char number[32] = "";
	unsigned held;
	if (!log_rate_ok(&t->rate, LINES_PER_S, &held))
		return;
	if (o->conf->kind == VRRP_TRACK_FILE)
		snprintf(number, sizeof(number), "%lld", (long long)o->value);
	log_notice(LOG_VRRP, "%s %s %s%s%s%s", vrrp_track_kind_text(o->conf->kind), o->conf->name,
		   *number     ? "says "
		   : !o->up    ? "failed"
		   : was_known ? "is well again"
			       : "is well",
		   number, why && *why ? ": " : "", why && *why ? why : "");
	if (o->conf->kind == VRRP_TRACK_SCRIPT)
		kalive_tell_script(t->app, o->conf->name, o->up, why);
}

void track_report(struct app_track *t, uint16_t obj, bool ok, const char *why)
{
	bool was_known = t->obj[obj].known;
	if (!vrrp_track_result(&t->obj[obj], ok, clock_mono()))
		return;
	tell_change(t, obj, was_known, ok ? "" : why);
	judge_users(t, obj);
}

void track_report_value(struct app_track *t, uint16_t obj, int64_t value, const char *why)
{
	bool was_known = t->obj[obj].known;
	if (!vrrp_track_value(&t->obj[obj], value, clock_mono()))
		return;
	tell_change(t, obj, was_known, why);
	judge_users(t, obj);
}

void app_track_tell(struct app *a, uint16_t inst, uint8_t from, uint8_t to)
{
	struct app_track *t = a->track;
	const struct cfg_group *g = &a->cfg->groups[a->node.member[inst].group];
	char why[240] = "", more[40] = "";
	size_t n = 0;
	unsigned held;
	app_notify_priority(a, inst);
	if (!log_rate_ok(&t->moves, LINES_PER_S, &held))
		return;
	for (uint32_t i = 0; i < g->n_track && n < sizeof(why); i++) {
		int32_t points = g->track[i].repeated ? 0 : vrrp_track_points(&g->track[i], t->obj);
		const struct vrrp_track_conf *c = t->obj[g->track[i].obj].conf;
		if (points)
			n += (size_t)snprintf(why + n, sizeof(why) - n, "%s%s %s %+d", n ? ", " : " (",
					      vrrp_track_kind_text(c->kind), c->name, points);
	}
	if (held)
		snprintf(more, sizeof(more), "; %u more not told", held);
	log_notice(LOG_VRRP, "%s: priority %u -> %u%s%s%s", a->cfg->instances[inst].name, from, to, why, n ? ")" : "",
		   more);
}

/* ---- configuration ---- */

/* Each group once for each thing: a group names a thing several times, but one after the other. */
static int build_users(struct app_track *t)
{
	const struct cfg *c = t->cfg;
	uint32_t refs = 0;
	for (uint16_t g = 0; g < c->n_groups; g++)
		refs += c->groups[g].n_track;
	free(t->user_at);
	free(t->user);
	t->user_at = calloc(c->track.n_objs + 2u, sizeof(*t->user_at));
	t->user = calloc(refs + 1u, sizeof(*t->user));
	uint32_t *last = calloc(c->track.n_objs + 1u, sizeof(*last)); /* group + 1 that was entered last */
	if (!t->user_at || !t->user || !last) {
		free(last);
		return -ENOMEM;
	}
	/* Counted into the place behind, summed up, filled in: then user_at[i] is where the part of i begins. */
	for (unsigned pass = 0; pass < 2; pass++) {
		memset(last, 0, (c->track.n_objs + 1u) * sizeof(*last));
		for (uint16_t g = 0; g < c->n_groups; g++)
			for (uint32_t i = 0; i < c->groups[g].n_track; i++) {
				uint16_t obj = c->groups[g].track[i].obj;
				if (last[obj] == g + 1u)
					continue;
				last[obj] = g + 1u;
				if (pass == 0)
					t->user_at[obj + 2u]++;
				else
					t->user[t->user_at[obj + 1u]++] = g;
			}
		for (unsigned i = 1; pass == 0 && i < c->track.n_objs + 2u; i++)
			t->user_at[i] += t->user_at[i - 1];
	}
	free(last);
	return 0;
}

/* The things of a configuration; those of the one before live on. */
static int set_conf(struct app_track *t, const struct cfg *now, const struct cfg *old)
{
	struct vrrp_track_obj *was = t->obj;
	mono_t at = clock_mono();
	t->cfg = now;
	t->obj = calloc(now->track.n_objs + 1u, sizeof(*t->obj));
	free(t->marks);
	t->marks = calloc(now->n_instances + 1u, sizeof(*t->marks));
	int rc = t->obj && t->marks ? build_users(t) : -ENOMEM;
	for (uint16_t i = 0; rc == 0 && i < now->track.n_objs; i++) {
		vrrp_track_obj_init(&t->obj[i], &now->track.objs[i], at);
		int o = was ? track_old(old, now, i) : -1;
		if (o >= 0)
			vrrp_track_obj_carry(&t->obj[i], &was[o]);
	}
	free(was);
	rc = rc ? rc : track_ifaces_set(t->ifaces, old);
	rc = rc ? rc : track_processes_set(t->processes, old);
	rc = rc ? rc : track_files_set(t->files, old);
	rc = rc ? rc : track_tables_set(t->tables, old);
	return rc ? rc : track_scripts_set(t->scripts, old);
}

static void judge_all(struct app_track *t)
{
	for (uint16_t g = 0; g < t->cfg->n_groups; g++)
		judge(t, g);
}

void app_track_links(struct app *a)
{
	track_ifaces_all(a->track->ifaces);
}

void app_track_link(struct app *a, const struct net_link *l)
{
	if (a->track)
		track_ifaces_link(a->track->ifaces, l);
}

void app_track_reload(struct app *a, const struct cfg *old)
{
	struct app_track *t = a->track;
	/* Half of it would be worse than none: without memory for a few lists nothing else would go on either. */
	require(set_conf(t, a->cfg, old) == 0);
	track_ifaces_all(t->ifaces);
	judge_all(t);
}

int app_track_start(struct app *a)
{
	struct app_track *t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	a->track = t;
	t->app = a;
	t->ifaces = track_ifaces_new(t);
	t->scripts = track_scripts_new(t);
	t->processes = track_processes_new(t);
	t->files = track_files_new(t);
	t->tables = track_tables_new(t);
	if (!t->ifaces || !t->scripts || !t->processes || !t->files || !t->tables)
		return -ENOMEM;
	int rc = set_conf(t, a->cfg, NULL);
	if (rc == 0)
		judge_all(t);
	return rc;
}

void app_track_stop(struct app *a)
{
	struct app_track *t = a->track;
	if (!t)
		return;
	track_scripts_free(t->scripts);
	track_ifaces_free(t->ifaces);
	track_processes_free(t->processes);
	track_files_free(t->files);
	track_tables_free(t->tables);
	free(t->obj);
	free(t->user_at);
	free(t->user);
	free(t->marks);
	free(t);
	a->track = NULL;
}

/* ---- show ---- */

static const char *state_text(const struct vrrp_track_obj *o)
{
	return !o->conf->used ? "unused" : !o->known ? "unknown" : o->up ? "up" : "down";
}

static json_t *kind_json(const struct app_track *t, const struct vrrp_track_conf *c)
{
	switch (c->kind) {
	case VRRP_TRACK_INTERFACE:
		return track_ifaces_json(t->ifaces, c->index);
	case VRRP_TRACK_SCRIPT:
		return track_scripts_json(t->scripts, c->index);
	case VRRP_TRACK_PROCESS:
		return track_processes_json(t->processes, c->index);
	case VRRP_TRACK_FILE:
		return track_files_json(t->files, c->index);
	case VRRP_TRACK_CONNTRACK:
		return track_tables_json(t->tables, c->index);
	case VRRP_TRACK_KIND_N:
		break;
	}
	return json_object();
}

static json_t *thing_json(const struct app_track *t, uint16_t obj, mono_t now)
{
	const struct vrrp_track_obj *o = &t->obj[obj];
	json_t *groups = json_array(), *j = kind_json(t, o->conf);
	for (uint32_t k = t->user_at[obj]; k < t->user_at[obj + 1u]; k++)
		json_array_append_new(groups, json_string(t->cfg->groups[t->user[k]].name));
	json_object_set_new(j, "kind", json_string(vrrp_track_kind_text(o->conf->kind)));
	json_object_set_new(j, "name", json_string(o->conf->name));
	json_object_set_new(j, "state", json_string(state_text(o)));
	json_object_set_new(j, "since_us", show_age(o->since, now));
	json_object_set_new(j, "changes", json_integer((json_int_t)o->changes));
	json_object_set_new(j, "groups", groups);
	return j;
}

/* Whose list a reference stands in: the group's, the instance's own, or another member's. */
static const char *list_text(const struct app_track *t, const struct vrrp_track_ref *ref, uint16_t inst)
{
	return ref->inst == VRRP_TRACK_GROUP ? "group" : ref->inst == inst ? "own" : t->cfg->instances[ref->inst].name;
}

static json_t *causes_json(const struct app_track *t, uint16_t inst, const struct cfg_group *g, mono_t now)
{
	json_t *list = json_array();
	for (uint32_t i = 0; i < g->n_track; i++) {
		const struct vrrp_track_ref *ref = &g->track[i];
		const struct vrrp_track_obj *o = &t->obj[ref->obj];
		bool concerns = ref->inst == VRRP_TRACK_GROUP || ref->inst == inst;
		int32_t points = ref->repeated ? 0 : vrrp_track_points(ref, t->obj);
		if (!concerns && !points)
			continue;
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:i, s:b, s:i, s:b, s:b, s:o}", "kind",
						      vrrp_track_kind_text(o->conf->kind), "name", o->conf->name,
						      "list", list_text(t, ref, inst), "state", state_text(o), "weight",
						      (int)ref->weight, "reverse", ref->reverse, "points", (int)points,
						      "fault", concerns && vrrp_track_is_fault(ref, t->obj), "waits",
						      concerns && vrrp_track_waits(ref, t->obj), "since_us",
						      show_age(o->since, now)));
	}
	return list;
}

json_t *app_track_json(struct app *a)
{
	const struct app_track *t = a->track;
	mono_t now = clock_mono();
	json_t *things = json_array(), *insts = json_array();
	for (uint16_t i = 0; i < t->cfg->track.n_objs; i++)
		json_array_append_new(things, thing_json(t, i, now));
	for (uint16_t i = 0; i < a->node.n_inst; i++) {
		const struct node_member *m = &a->node.member[i];
		const struct cfg_group *g = &t->cfg->groups[m->group];
		if (!g->n_track)
			continue;
		struct vrrp_track_verdict v = vrrp_track_judge(g->track, g->n_track, t->obj);
		json_array_append_new(
		    insts, json_pack("{s:s, s:s, s:i, s:i, s:i, s:b, s:b, s:o}", "name", t->cfg->instances[i].name,
				     "group", g->name, "priority", (int)a->node.inst[i].priority, "priority_configured",
				     (int)t->cfg->instances[i].priority, "points", (int)v.points, "fault", m->tracked,
				     "waits", m->waits, "tracked", causes_json(t, i, g, now)));
	}
	return json_pack("{s:o, s:o}", "things", things, "instances", insts);
}

void app_track_clear(struct app *a)
{
	track_scripts_clear(a->track->scripts);
	for (uint16_t i = 0; i < a->track->cfg->track.n_objs; i++)
		a->track->obj[i].changes = 0;
}

const struct vrrp_track_obj *app_track_all(const struct app *a)
{
	return a->track->obj;
}

const struct vrrp_track_obj *app_track_obj(const struct app *a, uint16_t obj, bool *running)
{
	const struct vrrp_track_conf *c = &a->track->cfg->track.objs[obj];
	*running = c->kind == VRRP_TRACK_SCRIPT    ? track_scripts_running(a->track->scripts, c->index)
		   : c->kind == VRRP_TRACK_PROCESS ? track_processes_delayed(a->track->processes, c->index)
						   : false;
	return &a->track->obj[obj];
}
