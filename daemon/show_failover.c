/*
 * show failover status, history, timeline.
 */
#include "daemon/show.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/app_layer.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"

/* ---- status ---- */

static json_t *why_not_ready(struct app *a, uint16_t g, mono_t now)
{
	json_t *why = json_array();
	const struct node_group *grp = &a->node.group[g];
	char text[160];
	for (uint16_t m = 0; m < grp->n_members; m++) {
		if (!a->node.member[grp->members[m]].down)
			continue;
		const struct vrrp_conf *c = a->node.inst[grp->members[m]].conf;
		snprintf(text, sizeof(text), "%s: interface %s is down or has no address to send from", c->name,
			 c->interface);
		json_array_append_new(why, json_string(text));
	}
	if (a->node.maintenance)
		json_array_append_new(why, json_string("maintenance: leave it with 'maintenance leave'"));
	if (a->stopping)
		json_array_append_new(why, json_string("the daemon is stopping"));
	if (node_sync_late(&a->node, now))
		json_array_append_new(why, json_string("the replication thread does not answer"));
	if (grp->role.is == ROLE_BACKUP && !node_gate_open(&a->node, now))
		json_array_append_new(why, json_string("the peer has not yet said that all its sessions are here"));
	if (!mono_is_never(grp->role.hold_until))
		json_array_append_new(why, json_string("promotions failed before; the next one waits"));
	if (grp->role.partial)
		json_array_append_new(why, json_string("some addresses, links or routes could not be set"));
	return why;
}

static const char *state_text(enum role_state s)
{
	static const char *const text[] = { "stable", "preparing", "committing", "demoting" };
	return text[s];
}

/* Two masters: since when, with whom, on which segments. */
static json_t *split_json(struct app *a, uint16_t g, mono_t now)
{
	const struct node_group *grp = &a->node.group[g];
	const struct node_split *s = &grp->split;
	char text[ADDR_TEXT_MAX] = "";
	if (mono_is_never(s->since))
		return json_null();
	json_t *segments = json_array();
	for (uint16_t i = 0; i < grp->n_members; i++) {
		const struct node_member *m = &a->node.member[grp->members[i]];
		const struct vrrp *v = &a->node.inst[grp->members[i]];
		if (mono_is_never(m->rival_since))
			continue;
		json_array_append_new(
		    segments, json_pack("{s:s, s:s, s:s, s:i, s:o, s:o}", "instance", v->conf->name, "interface",
					v->conf->interface, "address", addr_text(&v->peer.src, text), "priority",
					(int)v->peer.priority, "since_us", show_age(m->rival_since, now), "heard_us",
					show_age(m->rival_at, now)));
	}
	return json_pack("{s:o, s:s, s:i, s:s, s:I, s:o}", "since_us", show_age(s->since, now), "address",
			 s->src.af ? addr_text(&s->src, text) : "", "priority", (int)s->priority, "node",
			 s->node ? show_node_name(a, s->node) : "", "node_id", (json_int_t)s->node, "segments",
			 segments);
}

/* Members of a BACKUP that hear no master. */
static json_t *deaf_json(struct app *a, uint16_t g, mono_t now)
{
	const struct node_group *grp = &a->node.group[g];
	json_t *list = json_array();
	for (uint16_t i = 0; i < grp->n_members; i++) {
		const struct vrrp *v = &a->node.inst[grp->members[i]];
		if (v->state != VRRP_BACKUP || !v->expired)
			continue;
		json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "instance", v->conf->name, "interface",
						      v->conf->interface, "heard_us",
						      show_age(a->node.member[grp->members[i]].heard_at, now)));
	}
	return list;
}

/* What somebody else removed from under the role; null: never. */
static json_t *lost_json(const struct app_group *g, mono_t now)
{
	if (!g->lost)
		return json_null();
	return json_pack("{s:I, s:s, s:o, s:b}", "count", (json_int_t)g->lost, "last", g->last_lost, "since_us",
			 show_age(g->lost_at, now), "gave_role_away", g->lost_yielded);
}

static json_t *group_json(struct app *a, uint16_t g, mono_t now)
{
	const struct node_group *grp = &a->node.group[g];
	const struct net_status *st = &a->group[g].net;
	char detail[160] = "", text[NET_NAME_MAX];
	json_t *members = json_array();
	for (uint16_t m = 0; m < grp->n_members; m++)
		json_array_append_new(members, json_string(a->node.inst[grp->members[m]].conf->name));
	if (grp->role.partial && st->state == NET_PARTIAL)
		snprintf(detail, sizeof(detail), "%u of %u objects are missing, first %s: %s", st->failed, st->total,
			 netstate_obj_name(netapply_state(a->net), st->obj, text), strerror(st->err));
	else if (grp->role.partial && st->state == NET_LINK_DOWN)
		snprintf(detail, sizeof(detail), "addresses on %s are missing: the interface is absent or down",
			 st->ifname);
	else if (grp->role.storing)
		snprintf(detail, sizeof(detail),
			 "%" PRIu32 " sessions of the store are still to be written into the kernel",
			 a->node.sync.stored);
	mono_t since = grp->role.rec.at[ROLE_PH_DONE];
	if (!since.ns) /* under way, or given up */
		since = grp->role.rec.at[ROLE_PH_DECIDE];
	json_t *j = json_pack(
	    "{s:s, s:s, s:s, s:o, s:o, s:s, s:o, s:b, s:o, s:s, s:b, s:s}", "name", a->cfg->groups[g].name, "role",
	    role_is_text((uint8_t)grp->role.is), "state", state_text(grp->role.state), "members", members, "epoch",
	    show_epoch(grp->role.epoch), "reason", role_reason_text(grp->role.rec.reason), "since_us",
	    since.ns ? show_age(since, now) : json_integer(0), "ready", node_group_ready(&a->node, g, now),
	    "not_ready_because", why_not_ready(a, g, now), "gate", node_gate_open(&a->node, now) ? "open" : "closed",
	    "degraded", grp->role.partial || grp->role.storing, "detail", detail);
	json_object_set_new(j, "split_brain", split_json(a, g, now));
	json_object_set_new(j, "deaf", deaf_json(a, g, now));
	json_object_set_new(j, "arbitrate", json_boolean(grp->arbitrate));
	json_object_set_new(j, "arbitrating_us", show_age(grp->cut_since, now));
	json_object_set_new(j, "given_away", json_boolean(grp->given_away));
	json_object_set_new(j, "lost", lost_json(&a->group[g], now));
	json_object_set_new(j, "preempt_held_us",
			    mono_is_never(grp->held_until) || mono_due(grp->held_until, now)
				? json_null()
				: json_integer(mono_sub(grp->held_until, now) / NS_PER_US));
	return j;
}

/* One sentence: would a switch now lose anything? */
static void verdict(struct app *a, mono_t now, char *out, size_t cap)
{
	bool master = false, ready = true;
	for (uint16_t g = 0; g < a->node.n_groups; g++) {
		bool mine = a->node.group[g].role.is == ROLE_MASTER;
		master |= mine;
		ready &= mine ? node_group_peer_ready(&a->node, g, now) : node_group_ready(&a->node, g, now);
	}
	bool everything = true;
	for (uint8_t p = 0; p < a->node.n_peers; p++)
		everything &= node_peer_has_all(&a->node, a->node.peer[p].node);
	if (!a->node.n_peers)
		snprintf(out, cap, "there is no other node in the configuration: sessions are not replicated");
	else if (!a->node.n_groups)
		snprintf(out, cap, "no virtual router is configured, this daemon moves no role; %s",
			 everything ? "every session is at the other node" : "not every session is at the other node");
	else if (!ready)
		snprintf(out, cap,
			 master ? "a switch now would interrupt: the other node is not ready"
				: "a switch now would interrupt: this node is not ready");
	else if (!a->cfg->sync.replicate)
		snprintf(out, cap, "a switch now loses every session: replication is switched off");
	else if (a->node.sync.dirty)
		snprintf(out, cap, "a planned switch now loses nothing; %u changes are on their way to the other node",
			 a->node.sync.dirty);
	else
		snprintf(out, cap, "a switch now loses nothing");
}

static json_t *node_counters_json(const struct app *a)
{
	const struct node *n = &a->node;
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "split_brains", (json_int_t)n->splits,
			 "arbitrations", (json_int_t)n->arbitrated, "stalls", (json_int_t)n->stalls, "late_timers",
			 (json_int_t)n->rearms, "lower_masters_heard", (json_int_t)n->rivals, "events_out_of_place",
			 (json_int_t)n->stale, "packets_unknown_vrid", (json_int_t)a->unknown_vrid, "packets_dropped",
			 (json_int_t)a->fed_dropped, "reloads", (json_int_t)a->reloads, "reloads_refused",
			 (json_int_t)a->reloads_refused);
}

/* What the next start would not know; null: all is on the disk. */
static json_t *not_stored(const struct app *a)
{
	int journal = journal_stats(a->journal)->err;
	if (a->stored.err)
		return json_sprintf("%s: %s", a->stored.path, err_text(a->stored.err));
	if (journal)
		return json_sprintf("%s/journal: %s", a->cfg->state_dir, err_text(journal));
	return json_null();
}

json_t *show_failover_status(struct app *a)
{
	mono_t now = clock_mono();
	json_t *groups = json_array(), *peers = json_array(), *rep = json_null();
	const char *role = a->node.n_groups ? role_is_text((uint8_t)a->node.group[0].role.is) : "INIT";
	char text[200];
	for (uint16_t g = 0; g < a->node.n_groups; g++) {
		json_array_append_new(groups, group_json(a, g, now));
		if (a->node.group[g].role.is != a->node.group[0].role.is)
			role = "MIXED";
	}
	for (uint8_t p = 0; a->peer && p < a->node.n_peers; p++)
		json_array_append_new(peers, show_peer(a, &a->node.peer[p], now));
	if (a->sync)
		rep = json_pack("{s:b, s:b, s:b, s:I, s:I, s:I}", "enabled", a->cfg->sync.replicate, "answers",
				!node_sync_late(&a->node, now), "equal", a->node.sync.equal, "own",
				(json_int_t)a->node.sync.own, "copies", (json_int_t)a->node.sync.copies, "dirty",
				(json_int_t)a->node.sync.dirty);
	verdict(a, now, text, sizeof(text));
	json_t *j =
	    json_pack("{s:s, s:I, s:s, s:b, s:o, s:o, s:o, s:o, s:s}", "node", a->cfg->node_name, "node_id",
		      (json_int_t)a->cfg->node_id, "role", role, "maintenance", a->node.maintenance, "epoch",
		      show_epoch(a->node.seen), "groups", groups, "peers", peers, "replication", rep, "verdict", text);
	json_object_set_new(j, "maintenance_persistent", json_boolean(a->maintenance_kept));
	json_object_set_new(j, "reload_error", json_string(a->reload_error));
	json_object_set_new(j, "not_stored", not_stored(a));
	json_object_set_new(j, "guardian", json_boolean(a->guardian && !a->guardian_lost));
	json_object_set_new(j, "heir_of", json_string(app_layer_heir_of(a)));
	json_object_set_new(j, "not_served", json_string(a->cfg->not_served));
	json_object_set_new(j, "counters", node_counters_json(a));
	return j;
}

/* ---- journal ---- */

static json_t *entry_json(struct app *a, const struct journal_entry *e)
{
	static const char *const outcome[] = { "ok", "degraded", "timeout", "error" };
	int64_t longest = 0;
	for (uint8_t i = 0; i < e->n_phases; i++)
		if (e->phases[i].offset_ns > longest && e->phases[i].id != ROLE_PH_IKE_UP &&
		    e->phases[i].id < ROLE_PH_SWEEP)
			longest = e->phases[i].offset_ns;
	return json_pack("{s:o, s:s, s:I, s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "epoch",
			 show_epoch(e->epoch), "node", show_node_name(a, e->node), "node_id", (json_int_t)e->node,
			 "group", e->group, "wall_us", (json_int_t)e->wall_us, "kind", role_kind_text(e->kind),
			 "reason", role_reason_text(e->reason), "from", role_is_text(e->from), "to",
			 role_is_text(e->to), "outcome", e->outcome < 4 ? outcome[e->outcome] : "?", "error",
			 e->err ? err_text(e->err) : "", "detail", e->detail, "duration_us",
			 (json_int_t)(longest / NS_PER_US));
}

/* A transaction whose tunnel came up later stands in the journal twice: the newer entry counts. */
static bool superseded(struct app *a, const struct journal_entry *e, uint32_t at)
{
	for (uint32_t k = 0; k < at; k++) {
		const struct journal_entry *n = journal_get(a->journal, k);
		if (n && n->node == e->node && epoch_cmp(n->epoch, e->epoch) == 0 && n->from == e->from &&
		    n->to == e->to && strcmp(n->group, e->group) == 0 && llabs(n->wall_us - e->wall_us) < 2000)
			return true;
	}
	return false;
}

json_t *show_failover_history(struct app *a, unsigned limit)
{
	json_t *list = json_array();
	const struct journal_entry *e;
	for (uint32_t k = 0; json_array_size(list) < limit && (e = journal_get(a->journal, k)) != NULL; k++)
		if (!superseded(a, e, k))
			json_array_append_new(list, entry_json(a, e));
	return json_pack("{s:o}", "entries", list);
}

static json_t *phases_json(const struct journal_entry *e)
{
	json_t *list = json_array();
	bool used[JOURNAL_PHASES_MAX] = { false };
	for (uint8_t round = 0; round < e->n_phases; round++) {
		unsigned next = JOURNAL_PHASES_MAX;
		for (unsigned i = 0; i < e->n_phases; i++)
			if (!used[i] &&
			    (next == JOURNAL_PHASES_MAX || e->phases[i].offset_ns < e->phases[next].offset_ns))
				next = i;
		if (next == JOURNAL_PHASES_MAX)
			break;
		const struct journal_phase *p = &e->phases[next];
		used[next] = true;
		json_array_append_new(list, json_pack("{s:s, s:I, s:s}", "phase", role_phase_text(p->id), "offset_us",
						      (json_int_t)(p->offset_ns / NS_PER_US), "result",
						      p->flags & JOURNAL_P_FAILED     ? "failed"
						      : p->flags & JOURNAL_P_DEGRADED ? "degraded"
						      : p->flags & JOURNAL_P_SKIPPED  ? "skipped"
										      : "ok"));
	}
	return list;
}

json_t *show_failover_timeline(struct app *a, const char *text, const char **why)
{
	struct epoch want = { 0 };
	const struct journal_entry *e;
	if (text) {
		char *end;
		want.counter = strtoull(text, &end, 10);
		want.node = *end == '.' ? (uint32_t)strtoul(end + 1, NULL, 10) : 0;
	} else {
		/* The newest change of a role: starts and aborts bear no epoch of their own. */
		for (uint32_t k = 0; epoch_is_none(want) && (e = journal_get(a->journal, k)) != NULL; k++)
			if (e->from != e->to)
				want = e->epoch;
	}
	json_t *list = json_array();
	for (uint32_t k = 0; (e = journal_get(a->journal, k)) != NULL; k++) {
		if (epoch_cmp(e->epoch, want) != 0 || epoch_is_none(want) || superseded(a, e, k))
			continue;
		json_t *j = entry_json(a, e);
		json_object_set_new(j, "phases", phases_json(e));
		json_array_insert_new(list, 0, j);
	}
	if (!json_array_size(list)) {
		json_decref(list);
		*why = text ? "the journal has no change of this epoch (see show failover history)"
			    : "no role has changed yet";
		return NULL;
	}
	return json_pack("{s:o, s:o}", "epoch", show_epoch(want), "transactions", list);
}
