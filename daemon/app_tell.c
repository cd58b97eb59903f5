/*
 * What the node core has to say: one log line each, and the journal.
 */
#include "daemon/app.h"

#include <stdio.h>
#include <string.h>
#include "daemon/app_ipsec.h"
#include "daemon/app_track.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/dropin/kalive.h"
#include "daemon/show.h"

#define MS(ns) ((double)(ns) / 1e6)

static void tell_instance(struct app *a, const struct node_act *act)
{
	const struct vrrp_conf *c = a->node.inst[act->inst].conf;
	log_info(LOG_VRRP, "%s: vrid %u on %s: %s -> %s (%s)", c->name, c->vrid, c->interface,
		 vrrp_state_text((enum vrrp_state)act->from), vrrp_state_text((enum vrrp_state)act->to),
		 vrrp_reason_text((enum vrrp_reason)act->reason));
	app_vrrp_guardian(a, act->inst);
}

static void tell_split(struct app *a, const struct node_act *act)
{
	const struct node_split *s = &a->node.group[act->group].split;
	char src[ADDR_TEXT_MAX], who[SYNC_NAME_MAX + 40] = "";
	if (s->node)
		snprintf(who, sizeof(who), " (node %u, %s, says so on the channel)", s->node,
			 show_node_name(a, s->node));
	if (s->inst == UINT16_MAX) {
		log_err(LOG_ROLE,
			"group %s: split brain: node %u (%s), priority %u, says that it is MASTER too, and none of our "
			"segments hears it: they are cut between the two",
			a->cfg->groups[act->group].name, s->node, show_node_name(a, s->node), s->priority);
		return;
	}
	const struct vrrp_conf *c = a->node.inst[s->inst].conf;
	log_err(LOG_ROLE, "group %s: split brain: %s with priority %u is master of %s (vrid %u) on %s too%s",
		a->cfg->groups[act->group].name, addr_text(&s->src, src), s->priority, c->name, c->vrid, c->interface,
		who);
}

/* The members of a group that hear no master, with their segments. */
static void deaf_members(const struct app *a, uint16_t group, char *out, size_t cap)
{
	const struct node_group *grp = &a->node.group[group];
	size_t n = 0;
	out[0] = '\0';
	for (uint16_t i = 0; i < grp->n_members && n < cap; i++) {
		const struct vrrp *v = &a->node.inst[grp->members[i]];
		if (v->expired)
			n += (size_t)snprintf(out + n, cap - n, "%s%s (%s)", n ? ", " : "", v->conf->name,
					      v->conf->interface);
	}
}

static void tell_cut(struct app *a, const struct node_act *act)
{
	char segments[200];
	deaf_members(a, act->group, segments, sizeof(segments));
	log_warn(LOG_ROLE,
		 "group %s stays BACKUP: %s hear no master, but node %u (%s) says on the channel that it serves: these "
		 "segments are cut between the two routers",
		 a->cfg->groups[act->group].name, segments, act->peer, show_node_name(a, act->peer));
}

/* What concerns one failover group. */
static void tell_group(struct app *a, const struct node_act *act)
{
	const struct cfg *c = a->cfg;
	const char *name = c->groups[act->group].name;
	switch (act->what) {
	case NODE_TOLD_ROLE:
		log_notice(LOG_ROLE, "group %s: %s -> %s (%s), epoch %llu.%u", name, role_is_text(act->from),
			   role_is_text(act->to), role_reason_text(act->reason), (unsigned long long)act->epoch.counter,
			   act->epoch.node);
		return;
	case NODE_TOLD_DEAF:
		log_warn(LOG_ROLE, "group %s stays: %s hears no master on %s while the others do; look at that segment",
			 name, c->instances[act->inst].name, c->instances[act->inst].interface);
		return;
	case NODE_TOLD_CROSSED:
		log_warn(
		    LOG_ROLE,
		    "group %s: both routers yielded to each other: the priorities of its members are crossed; for 60 s "
		    "its first member alone decides. Give every member the higher priority on the same router",
		    name);
		return;
	case NODE_TOLD_NOT_GROUPED:
		log_warn(LOG_ROLE,
			 "group %s: the peer does not move %s together with the others; no further attempt for 60 s",
			 name, c->instances[act->inst].name);
		return;
	case NODE_TOLD_STALL:
		log_warn(LOG_ROLE,
			 "group %s: this process did not run for %.0f ms, longer than its neighbours wait: it listens "
			 "before it speaks",
			 name, MS(act->late_ns));
		return;
	case NODE_TOLD_SPLIT:
		tell_split(a, act);
		return;
	case NODE_TOLD_SPLIT_ENDED:
		log_notice(LOG_ROLE, "group %s: split brain ended after %.1f s: %s", name, MS(act->late_ns) / 1e3,
			   act->on ? "the other router is master no more" : "this router is master no more");
		return;
	case NODE_TOLD_CUT:
		tell_cut(a, act);
		return;
	case NODE_TOLD_CUT_ENDED:
		log_notice(LOG_ROLE, "group %s: arbitration ended after %.1f s: %s", name, MS(act->late_ns) / 1e3,
			   act->on ? "nobody says on the channel any more that it serves" : "a master is heard again");
		return;
	case NODE_TOLD_HELD:
		log_warn(LOG_ROLE,
			 "group %s was given away because an address could not be kept: its priority does not preempt "
			 "for 60 s (force failover takes it back at once)",
			 name);
		return;
	case NODE_TOLD_GATE_CLOSED:
		log_notice(LOG_ROLE, "group %s: a higher priority does not preempt before the peer's sessions are here",
			   name);
		return;
	case NODE_TOLD_INSTANCE:
	case NODE_TOLD_REARMED:
	case NODE_TOLD_PEER_UP:
	case NODE_TOLD_PEER_DOWN:
	case NODE_TOLD_PEER_DEAD:
	case NODE_TOLD_CONFIG_DIFFERS:
	case NODE_TOLD_SYNC_SILENT:
	case NODE_TOLD_SYNC_BACK:
	case NODE_TOLD_TUNNEL:
	case NODE_TOLD_WARN:
	case NODE_TOLD_STARTED:
	case NODE_TOLD_PRIORITY:
		return; /* app_tell has said it */
	}
}

void app_tell(struct app *a, const struct node_act *act)
{
	const struct cfg *c = a->cfg;
	kalive_tell(a, act);
	switch (act->what) {
	case NODE_TOLD_INSTANCE:
		tell_instance(a, act);
		return;
	case NODE_TOLD_REARMED:
		log_warn(LOG_VRRP, "%s: the master-down timer was %.0f ms late: one more skew time",
			 c->instances[act->inst].name, MS(act->late_ns));
		return;
	case NODE_TOLD_PEER_UP:
	case NODE_TOLD_PEER_DOWN:
		return; /* the channel has said it, with its reason */
	case NODE_TOLD_PEER_DEAD:
		log_warn(LOG_ROLE,
			 "the process of node %u is dead: its kernel refuses the channel and no advert came since",
			 act->peer);
		return;
	case NODE_TOLD_CONFIG_DIFFERS:
		log_warn(
		    LOG_ROLE,
		    "the vrrp section of node %u differs from ours: groups cannot be moved together until both files "
		    "agree (everything outside node { } must be equal)",
		    act->peer);
		return;
	case NODE_TOLD_SYNC_SILENT:
		log_err(LOG_SYNC, "the replication thread has not answered for 1 s: this node is not ready");
		return;
	case NODE_TOLD_SYNC_BACK:
		log_notice(LOG_SYNC, "the replication thread answers again");
		return;
	case NODE_TOLD_TUNNEL:
		app_ipsec_trace(a, act->tunnel, &act->ike);
		log_info(LOG_IKE, "tunnel %s: %s -> %s (%s)", a->node.tunnel[act->tunnel].conf.name,
			 ike_state_name(act->ike.from), ike_state_name(act->ike.to), ike_reason_text(act->ike.reason));
		return;
	case NODE_TOLD_WARN:
		log_warn(LOG_VRRP, "%s: %s", c->instances[act->inst].name, vrrp_warn_text((enum vrrp_warn)act->reason));
		return;
	case NODE_TOLD_STARTED:
		log_notice(LOG_ROLE, "the startup delay is over: roles are taken from now on");
		return;
	case NODE_TOLD_PRIORITY:
		app_track_tell(a, act->inst, act->from, act->to);
		return;
	case NODE_TOLD_ROLE:
	case NODE_TOLD_DEAF:
	case NODE_TOLD_CROSSED:
	case NODE_TOLD_NOT_GROUPED:
	case NODE_TOLD_STALL:
	case NODE_TOLD_SPLIT:
	case NODE_TOLD_SPLIT_ENDED:
	case NODE_TOLD_CUT:
	case NODE_TOLD_CUT_ENDED:
	case NODE_TOLD_HELD:
	case NODE_TOLD_GATE_CLOSED:
		tell_group(a, act);
		return;
	}
}

static uint8_t phase_flags(uint8_t result)
{
	switch ((enum role_result)result) {
	case ROLE_RES_OK:
		return 0;
	case ROLE_RES_DEGRADED:
	case ROLE_RES_TIMEOUT:
		return JOURNAL_P_DEGRADED;
	case ROLE_RES_ERROR:
		return JOURNAL_P_FAILED;
	}
	return 0;
}

void app_journal(struct app *a, const struct role_record *rec)
{
	struct journal_entry e = {
		.epoch = rec->epoch,
		.node = a->node.id,
		.reason = rec->reason,
		.kind = rec->kind,
		.from = rec->from,
		.to = rec->to,
		.outcome = rec->outcome,
		.err = rec->err,
	};
	snprintf(e.group, sizeof(e.group), "%.*s", (int)sizeof(e.group) - 1, a->cfg->groups[rec->group].name);
	/* Offsets count from the cause: the last sign of the old master, or the decision. */
	mono_t base = rec->at[ROLE_PH_DETECT].ns ? rec->at[ROLE_PH_DETECT] : rec->at[ROLE_PH_DECIDE];
	e.wall_us = clock_wall_us() - mono_sub(clock_mono(), base) / NS_PER_US;
	if (a->group[rec->group].net.state == NET_PARTIAL) {
		char text[NET_NAME_MAX];
		snprintf(e.detail, sizeof(e.detail), "%.40s: %d",
			 netstate_obj_name(netapply_state(a->net), a->group[rec->group].net.obj, text),
			 a->group[rec->group].net.err);
	}
	for (unsigned ph = 0; ph < ROLE_PH_N; ph++)
		if (rec->at[ph].ns)
			journal_phase_add(&e, (uint8_t)ph, phase_flags(rec->result[ph]), mono_sub(rec->at[ph], base));
	journal_add(a->journal, a->kt, &e);
	if (!a->peer)
		return;
	struct peer_msg m = { .type = PEER_JOURNAL, .group = rec->group, .epoch = rec->epoch };
	m.blob_len = (uint16_t)journal_entry_encode(&e, m.blob, sizeof(m.blob));
	if (m.blob_len)
		peer_ctl_broadcast(a->peer, &m);
}
