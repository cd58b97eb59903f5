/*
 * The node core's arrays from a configuration, and its actions carried to the world.
 */
#include "daemon/app.h"
#include "daemon/app_layer.h"
#include "daemon/app_notify.h"
#include "daemon/app_sa.h"

#include <stdlib.h>
#include <string.h>
#include "daemon/app_quar.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"

static int build_groups(struct app *a, struct node_group *groups)
{
	for (uint16_t g = 0; g < a->cfg->n_groups; g++) {
		const struct cfg_group *cg = &a->cfg->groups[g];
		groups[g].members = cg->members;
		groups[g].n_members = cg->n_members;
		groups[g].fault_degrade = cg->fault == CFG_FAULT_DEGRADE;
		groups[g].preempt = cg->preempt;
		groups[g].arbitrate = cg->arbitrate;
	}
	return 0;
}

static int build_peers(const struct app *a, struct node_peer *peers, uint8_t *n)
{
	*n = 0;
	if (!a->cfg->sync.enabled)
		return 0;
	for (uint8_t i = 0; i < a->cfg->sync.n_nodes; i++) {
		if (a->cfg->sync.nodes[i].id == a->cfg->sync.self)
			continue;
		struct node_peer *p = &peers[(*n)++];
		p->node = a->cfg->sync.nodes[i].id;
		p->groups = calloc(a->cfg->n_groups ? a->cfg->n_groups : 1, sizeof(*p->groups));
		if (!p->groups)
			return -1;
	}
	return 0;
}

static bool shares_peer(const struct cfg *c, uint16_t t)
{
	for (uint16_t i = 0; i < c->n_tunnels; i++)
		if (i != t && addr_eq(&c->tunnels[i].vip, &c->tunnels[t].vip) &&
		    addr_eq(&c->tunnels[i].peer, &c->tunnels[t].peer))
			return true;
	return false;
}

int app_node_build(struct app *a, struct epoch stored)
{
	const struct cfg *c = a->cfg;
	mono_t now = clock_mono();
	struct node_conf nc = { .id = c->node_id, .n_inst = c->n_instances, .n_groups = c->n_groups, .stored = stored };
	nc.maintenance = a->maintenance_kept;
	nc.inst = calloc(c->n_instances + 1u, sizeof(*nc.inst));
	nc.member = calloc(c->n_instances + 1u, sizeof(*nc.member));
	nc.group = calloc(c->n_groups + 1u, sizeof(*nc.group));
	nc.peer = calloc(SYNC_NODES_MAX, sizeof(*nc.peer));
	nc.tunnel = calloc(c->n_tunnels + 1u, sizeof(*nc.tunnel));
	a->inst = calloc(c->n_instances + 1u, sizeof(*a->inst));
	a->group = calloc(c->n_groups + 1u, sizeof(*a->group));
	a->acts.cap = NODE_ACTS_FOR(c->n_instances, c->n_groups) + 32u * c->n_tunnels;
	a->acts.cap_msgs = NODE_MSGS_FOR(c->n_groups);
	a->acts.a = calloc(a->acts.cap, sizeof(*a->acts.a));
	a->acts.msgs = calloc(a->acts.cap_msgs, sizeof(*a->acts.msgs));
	if (!nc.inst || !nc.member || !nc.group || !nc.peer || !nc.tunnel || !a->inst || !a->group || !a->acts.a ||
	    !a->acts.msgs || app_vrrp_links(a, c) < 0 || build_groups(a, nc.group) < 0 ||
	    build_peers(a, nc.peer, &nc.n_peers) < 0)
		return -1;
	a->accept_wanted = a->vmacs = false;
	for (uint16_t i = 0; i < c->n_instances; i++) {
		vrrp_init(&nc.inst[i], &c->instances[i]);
		a->inst[i].announce.conf = &c->instances[i];
		a->accept_wanted |= app_accept_applies(&c->instances[i]);
		a->vmacs |= c->instances[i].vmac != VRRP_VMAC_NONE;
	}
	nc.n_tunnels = c->n_tunnels;
	for (uint16_t t = 0; t < c->n_tunnels; t++)
		ike_init(&nc.tunnel[t], &c->tunnels[t], shares_peer(c, t), now);
	nc.has_sync = c->sync.enabled;
	nc.startup_delay_ns = c->startup_delay_ns;
	nc.sync_gate = c->sync.enabled && c->sync.replicate;
	memcpy(nc.config_digest, c->digest, sizeof(nc.config_digest));
	node_init(&a->node, &nc, now);
	announce_init(&a->announce, &a->inst[0].announce, sizeof(*a->inst), c->n_instances);
	return 0;
}

void app_node_free(struct app *a)
{
	for (uint8_t p = 0; p < a->node.n_peers; p++)
		free(a->node.peer[p].groups);
	free(a->node.inst);
	free(a->node.member);
	free(a->node.group);
	free(a->node.peer);
	free(a->node.tunnel);
	free(a->inst);
	free(a->group);
	free(a->acts.a);
	free(a->acts.msgs);
	memset(&a->node, 0, sizeof(a->node));
}

void app_epoch(struct app *a, struct epoch e)
{
	if (a->sync)
		sync_thread_role_epoch(a->sync, e);
	if (a->peer)
		peer_ctl_epoch(a->peer, a->node.seen);
	app_layer_epoch(a);
	(void)app_stored_settle(a); /* no memory for a job: the next epoch, or the next attempt, writes it */
}

static void act_sync(struct app *a, const struct sync_cmd *cmd)
{
	if (!a->sync)
		return;
	int rc = sync_thread_send(a->sync, cmd);
	if (rc < 0) {
		static struct log_rate rate;
		unsigned held;
		if (log_rate_ok(&rate, 1, &held))
			log_warn(LOG_SYNC, "SYNC takes no commands (mailbox full, %u times before)", held);
	}
}

void app_act(struct app *a, const struct node_act *act)
{
	struct node_ev ev = { .type = NODE_EV_DRAINED };
	bool goes_on;
	switch (act->type) {
	case NODE_ACT_ADVERT:
		app_vrrp_advert(a, act->inst, act->priority);
		return;
	case NODE_ACT_SYNC:
		act_sync(a, &act->cmd);
		return;
	case NODE_ACT_ROLE_EPOCH:
		app_epoch(a, act->epoch);
		return;
	case NODE_ACT_NET:
		app_net_mode(a, act->group, act->net_mode, act->epoch);
		return;
	case NODE_ACT_PEER:
		if (!a->peer)
			return;
		if (act->peer)
			peer_ctl_send(a->peer, act->peer, act->msg);
		else
			peer_ctl_broadcast(a->peer, act->msg);
		return;
	case NODE_ACT_PROBE:
		if (a->peer)
			peer_ctl_probe(a->peer, act->peer);
		return;
	case NODE_ACT_IKE:
		app_ike_act(a, act);
		return;
	case NODE_ACT_SA_IMPORT:
		app_sa_import(a, act->group, act->epoch);
		return;
	case NODE_ACT_SA_REMOVE:
		app_sa_remove(a, act->group);
		return;
	case NODE_ACT_HOOK:
		goes_on = act->hook == HOOK_ROLE && a->group[act->group].resuming &&
			  (act->to == ROLE_BACKUP || act->to == ROLE_MASTER);
		if (act->hook == HOOK_ROLE)
			app_notify_role(a, act->group);
		if (!goes_on)
			app_ike_hook(a, act);
		return;
	case NODE_ACT_JOURNAL:
		app_journal(a, &act->record);
		return;
	case NODE_ACT_PREPARE:
		netapply_prepare(a->net, act->group);
		app_quar(a, act->group);
		app_accept(a);
		return;
	case NODE_ACT_DRAIN:
		app_vrrp_drain(a);
		if (a->peer)
			peer_ctl_drain(a->peer);
		app_feed(a, &ev);
		return;
	case NODE_ACT_ANNOUNCE:
		app_garp_lower(a, act->inst);
		app_notify_lower(a, act->inst);
		return;
	case NODE_ACT_TOLD:
		if (act->what == NODE_TOLD_ROLE) {
			app_quar(a, act->group);
			app_accept(a);
		}
		app_tell(a, act);
		if (act->what == NODE_TOLD_INSTANCE) {
			app_layer_state(a, act->inst);
			app_notify_inst(a, act->inst);
		} else if (act->what == NODE_TOLD_PRIORITY)
			app_notify_priority(a, act->inst);
		return;
	case NODE_ACT_GUARDIAN:
		if (a->guardian)
			guardian_arm(a->guardian, act->on);
		return;
	case NODE_ACT_STOPPED:
		app_rest(a);
		return;
	case NODE_ACT_ABORT:
		app_abort(a, "SYNC has not answered for 10 s; the role was given away");
	}
}
