/*
 * The lines of keepalived that people and programs look for, beside ours. All are of level info, as there.
 */
#include "daemon/dropin/kalive.h"

#include "daemon/base/log.h"

/* Why it became MASTER. */
static void tell_cause_up(const struct vrrp *v, const char *name, enum vrrp_reason why)
{
	char text[ADDR_TEXT_MAX];
	switch (why) {
	case VRRP_R_PRIORITY:
		if (v->stats.zero_rcvd)
			log_info(LOG_VRRP, "(%s) Backup received priority 0 advertisement", name);
		return;
	case VRRP_R_NO_RESPONSE:
		log_info(LOG_VRRP, "(%s) Receive advertisement timeout", name);
		return;
	case VRRP_R_PREEMPTED:
		log_info(LOG_VRRP, "(%s) received lower priority (%u) advert from %s - discarding", name,
			 v->peer.priority, addr_text(&v->peer.src, text));
		return;
	case VRRP_R_START:
	case VRRP_R_STOP:
	case VRRP_R_YIELD:
	case VRRP_R_HIGHER:
	case VRRP_R_LINK_DOWN:
	case VRRP_R_NO_SOURCE:
	case VRRP_R_FAULT:
	case VRRP_R_TRACKED:
	case VRRP_R_RECOVERED:
	case VRRP_REASON_N:
		return;
	}
}

/* Between MASTER and FAULT or INIT a group is BACKUP for a moment, of which keepalived knows nothing. */
static bool passing(const struct app *a, uint16_t inst)
{
	const struct role *r = &a->node.group[a->node.member[inst].group].role;
	return a->stopping || (r->state != ROLE_STABLE && (r->target == ROLE_FAULT || r->target == ROLE_INIT));
}

static void tell_state(struct app *a, const struct node_act *act)
{
	const struct vrrp *v = &a->node.inst[act->inst];
	const char *name = v->conf->name;
	enum vrrp_state from = (enum vrrp_state)act->from, to = (enum vrrp_state)act->to;
	char text[ADDR_TEXT_MAX];
	if (from == VRRP_MASTER)
		a->inst[act->inst].released++;
	if (!a->opt.kalive)
		return;
	switch (to) {
	case VRRP_BACKUP:
		if (from == VRRP_MASTER && passing(a, act->inst)) {
			log_info(LOG_VRRP, "(%s) sent 0 priority", name);
			break;
		}
		if (from == VRRP_MASTER && act->reason == VRRP_R_HIGHER)
			log_info(LOG_VRRP, "(%s) Master received advert from %s with higher priority %u, ours %u", name,
				 addr_text(&v->peer.src, text), v->peer.priority, v->priority);
		log_info(LOG_VRRP, "(%s) Entering BACKUP STATE%s", name, from == VRRP_INIT ? " (init)" : "");
		break;
	case VRRP_MASTER:
		tell_cause_up(v, name, (enum vrrp_reason)act->reason);
		log_info(LOG_VRRP, "(%s) Entering MASTER STATE", name);
		log_info(LOG_VRRP, "(%s) setting VIPs.", name);
		return;
	case VRRP_FAULT:
		if (act->reason == VRRP_R_LINK_DOWN)
			log_info(LOG_VRRP, "Netlink reports %s down", v->conf->interface);
		log_info(LOG_VRRP, "(%s) Entering FAULT STATE", name);
		break;
	case VRRP_INIT:
		if (from == VRRP_MASTER)
			log_info(LOG_VRRP, "(%s) sent 0 priority", name);
		break;
	case VRRP_STATE_N:
		return;
	}
	if (from == VRRP_MASTER)
		log_info(LOG_VRRP, "(%s) removing VIPs.", name);
}

static void tell_group(const struct app *a, const struct node_act *act)
{
	const struct cfg_group *g = &a->cfg->groups[act->group];
	if (g->n_members < 2)
		return;
	switch ((enum role_is)act->to) {
	case ROLE_MASTER:
	case ROLE_BACKUP:
	case ROLE_FAULT:
		log_info(LOG_VRRP, "VRRP_Group(%s) Syncing instances to %s state", g->name, role_is_text(act->to));
		return;
	case ROLE_INIT:
		return;
	}
}

void kalive_tell(struct app *a, const struct node_act *act)
{
	if (act->what == NODE_TOLD_INSTANCE)
		tell_state(a, act);
	else if (act->what == NODE_TOLD_ROLE && a->opt.kalive)
		tell_group(a, act);
}

void kalive_tell_script(const struct app *a, const char *name, bool ok, const char *why)
{
	int status;
	if (!a->opt.kalive)
		return;
	if (ok)
		log_info(LOG_VRRP, "VRRP_Script(%s) succeeded", name);
	else if (why && sscanf(why, "exit status %d", &status) == 1)
		log_info(LOG_VRRP, "VRRP_Script(%s) failed (exited with status %d)", name, status);
	else
		log_info(LOG_VRRP, "VRRP_Script(%s) failed (%s)", name, why && *why ? why : "no result");
}

void kalive_tell_drop(struct app *a, uint16_t inst, const struct addr *src, enum vrrp_drop drop)
{
	const char *name = a->node.inst[inst].conf->name;
	char text[ADDR_TEXT_MAX];
	if (!a->opt.kalive)
		return;
	if (drop == VRRP_DROP_AUTH_PASS)
		log_info(LOG_VRRP, "(%s) received an invalid passwd!", name);
	else if (drop == VRRP_DROP_AUTH_TYPE)
		log_info(LOG_VRRP, "(%s) received an invalid auth type from %s", name, addr_text(src, text));
	else if (drop == VRRP_DROP_V2_INTERVAL)
		log_info(LOG_VRRP, "(%s) advertisement interval mismatch with %s", name, addr_text(src, text));
	else if (drop == VRRP_DROP_TTL || drop == VRRP_DROP_PEER_TTL)
		log_info(LOG_VRRP, "(%s) invalid TTL/HL. Received from %s", name, addr_text(src, text));
}
