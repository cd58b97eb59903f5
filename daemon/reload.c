/*
 * SIGHUP: parse, check, compare, apply; or nothing at all.
 *
 * What has the same identity in both configurations keeps its state: an instance by name, interface, VRID and family; a
 * group by name; a tunnel by name, connection and child. A group whose name stays keeps its role; an instance that
 * joins a MASTER group is taken at once, one that leaves says priority 0.
 */
#include "daemon/app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/sdnotify.h"

#define STABLE_WAIT_NS (1 * NS_PER_SEC)
#define RETRY_NS       (20 * NS_PER_MS)
#define CHANGES_MAX    64

/* The arrays of one configuration, while two exist. */
struct shape {
	struct cfg *cfg;
	struct node node;
	struct app_inst *inst;
	struct app_group *group;
	struct node_acts acts;
};

static void save_shape(struct app *a, struct shape *s)
{
	s->cfg = a->cfg;
	s->node = a->node;
	s->inst = a->inst;
	s->group = a->group;
	s->acts = a->acts;
}

static void load_shape(struct app *a, const struct shape *s)
{
	a->cfg = s->cfg;
	a->node = s->node;
	a->inst = s->inst;
	a->group = s->group;
	a->acts = s->acts;
}

static void refuse(struct app *a, const char *why)
{
	a->reloads_refused++;
	snprintf(a->reload_error, sizeof(a->reload_error), "%.399s", why);
	log_err(LOG_CFG, "the configuration was not reloaded, nothing has changed: %s", why);
}

static bool resting(const struct app *a)
{
	for (uint16_t g = 0; g < a->node.n_groups; g++)
		if (a->node.group[g].role.state != ROLE_STABLE)
			return false;
	return true;
}

static int same_inst(const struct shape *old, const struct vrrp_conf *c)
{
	for (uint16_t i = 0; i < old->cfg->n_instances; i++) {
		const struct vrrp_conf *o = &old->cfg->instances[i];
		if (strcmp(o->name, c->name) == 0 && strcmp(o->interface, c->interface) == 0 && o->vrid == c->vrid &&
		    o->af == c->af)
			return i;
	}
	return -1;
}

static int same_group(const struct shape *old, const char *name)
{
	for (uint16_t g = 0; g < old->cfg->n_groups; g++)
		if (strcmp(old->cfg->groups[g].name, name) == 0)
			return g;
	return -1;
}

static int same_tunnel(const struct shape *old, const struct ike_tunnel_conf *c)
{
	for (uint16_t t = 0; t < old->cfg->n_tunnels; t++) {
		const struct ike_tunnel_conf *o = &old->cfg->tunnels[t];
		if (strcmp(o->name, c->name) == 0 && strcmp(o->ike, c->ike) == 0 && strcmp(o->child, c->child) == 0 &&
		    addr_eq(&o->vip, &c->vip))
			return t;
	}
	return -1;
}

/* Instances that end: a MASTER says priority 0, its socket closes. Runs while the old shape is in force. */
static void end_removed(struct app *a, const struct cfg *now)
{
	struct shape fresh = { .cfg = (struct cfg *)now };
	for (uint16_t i = 0; i < a->cfg->n_instances; i++) {
		if (same_inst(&fresh, &a->cfg->instances[i]) >= 0)
			continue;
		log_notice(LOG_CFG, "instance %s ends", a->cfg->instances[i].name);
		if (a->node.inst[i].state == VRRP_MASTER)
			app_net_advert(a, i, 0);
		if (a->guardian && i < GUARDIAN_ADVERTS)
			guardian_advert_set(a->guardian, i, NULL);
		if (a->inst[i].open)
			vrrp_io_close(a->vrrp, (unsigned)a->inst[i].ifindex, a->cfg->instances[i].af);
	}
}

static void carry_groups(struct app *a, const struct shape *old)
{
	for (uint16_t g = 0; g < a->cfg->n_groups; g++) {
		int o = same_group(old, a->cfg->groups[g].name);
		if (o < 0)
			continue;
		struct node_group was = old->node.group[o];
		struct node_group *is = &a->node.group[g];
		was.members = is->members;
		was.n_members = is->n_members;
		was.fault_degrade = is->fault_degrade;
		was.preempt = is->preempt;
		*is = was;
		is->role.group = g;
		is->role.rec.group = g;
		a->group[g] = old->group[o];
	}
	for (uint8_t p = 0; p < a->node.n_peers; p++) {
		struct node_peer *is = &a->node.peer[p];
		for (uint8_t q = 0; q < old->node.n_peers; q++) {
			if (old->node.peer[q].node != is->node)
				continue;
			struct node_peer was = old->node.peer[q];
			was.groups = is->groups;
			*is = was;
			/* Group numbers mean the same again once the peer says so with its next hello. */
			is->same_config =
			    memcmp(old->cfg->digest, a->cfg->digest, sizeof(a->cfg->digest)) == 0 && was.same_config;
			/* Until its next heartbeat a living master would count as silent. */
			for (uint16_t g = 0; is->same_config && g < a->cfg->n_groups; g++)
				is->groups[g] = old->node.peer[q].groups[g];
		}
	}
}

static void carry_instances(struct app *a, const struct shape *old)
{
	for (uint16_t i = 0; i < a->cfg->n_instances; i++) {
		int o = same_inst(old, &a->cfg->instances[i]);
		if (o < 0)
			continue;
		uint16_t group = a->node.member[i].group;
		a->node.inst[i] = old->node.inst[o];
		a->node.member[i] = old->node.member[o];
		a->node.member[i].inst = i;
		a->node.member[i].group = group;
		a->inst[i] = old->inst[o];
		struct vrrp_ev ev = { .type = VRRP_EV_CONF, .u.conf = &a->cfg->instances[i] };
		struct vrrp_acts acts;
		vrrp_step(&a->node.inst[i], &ev, clock_mono(), &acts);
	}
	for (uint16_t t = 0; t < a->cfg->n_tunnels; t++) {
		int o = same_tunnel(old, &a->cfg->tunnels[t]);
		if (o < 0)
			continue;
		struct ike_tunnel_conf conf = a->node.tunnel[t].conf;
		a->node.tunnel[t] = old->node.tunnel[o];
		a->node.tunnel[t].conf = conf;
	}
}

static void carry_node(struct app *a, const struct shape *old)
{
	struct node *n = &a->node;
	const struct node *o = &old->node;
	n->running = o->running;
	n->maintenance = o->maintenance;
	n->seen = o->seen;
	n->sync = o->sync;
	n->pong_at = o->pong_at;
	n->ping_at = o->ping_at;
	n->heartbeat_at = o->heartbeat_at;
	n->ping_seq = o->ping_seq;
	n->guardian_on = o->guardian_on;
}

/* New groups start, new members of a MASTER group are taken, new tunnels of it are initiated. */
static void begin_added(struct app *a, const struct shape *old)
{
	for (uint16_t g = 0; g < a->cfg->n_groups; g++) {
		bool fresh = same_group(old, a->cfg->groups[g].name) < 0;
		struct node_ev ev = { .type = NODE_EV_JOIN, .group = g };
		if (fresh)
			a->node.group[g].role.is = ROLE_INIT;
		app_feed(a, &ev);
	}
	for (uint16_t g = 0; g < a->node.n_groups; g++)
		app_net_mode(a, g, a->node.group[g].role.is == ROLE_MASTER ? NODE_NET_UP : NODE_NET_DOWN,
			     a->node.group[g].role.epoch);
}

static int apply_channel(struct app *a, char *why, size_t cap)
{
	if (!a->peer)
		return 0;
	struct sync_conf *conf = malloc(sizeof(*conf));
	if (!conf)
		return -1;
	*conf = a->cfg->sync;
	int rc = peer_ctl_conf(a->peer, &a->cfg->sync, a->cfg->digest, why, cap);
	struct sync_cmd cmd = { .type = SYNC_CMD_CONF, .conf = conf };
	if (rc < 0 || sync_thread_send(a->sync, &cmd) < 0) {
		free(conf);
		return -1;
	}
	return 0;
}

static bool needs_restart(const struct cfg_change *ch, unsigned n)
{
	for (unsigned i = 0; i < n && i < CHANGES_MAX; i++)
		if (ch[i].kind == CFG_PROCESS_CHANGED)
			return true;
	return false;
}

static void apply(struct app *a, struct cfg *now)
{
	struct shape old;
	char why[256] = "";
	save_shape(a, &old);
	end_removed(a, now);
	a->cfg = now;
	memset(&a->node, 0, sizeof(a->node));
	a->acts = (struct node_acts){ 0 };
	if (app_node_build(a, old.node.seen) < 0) {
		app_node_free(a);
		load_shape(a, &old);
		cfg_free(now);
		refuse(a, "not enough memory");
		return;
	}
	carry_node(a, &old);
	carry_groups(a, &old);
	carry_instances(a, &old);
	app_net_declare(a);
	if (apply_channel(a, why, sizeof(why)) < 0)
		log_err(LOG_CFG, "the channel keeps its former configuration: %s", why);
	/* Links first, for all of them: one new member whose link is not known yet would look like a failed one. */
	a->node.running = false;
	app_net_relink(a);
	a->node.running = old.node.running;
	begin_added(a, &old);
	struct shape gone;
	save_shape(a, &gone);
	load_shape(a, &old);
	app_node_free(a);
	struct cfg *old_cfg = a->cfg;
	load_shape(a, &gone);
	cfg_free(old_cfg);
	struct node_ev tick = { .type = NODE_EV_TICK };
	app_feed(a, &tick);
}

/* One attempt; false while a role change is under way and there is still time. */
static bool try_reload(struct app *a)
{
	if (!resting(a) && mono_before(clock_mono(), a->reload_until))
		return false;
	struct cfg_errors errs = { 0 };
	struct cfg_change changes[CHANGES_MAX];
	struct cfg *now = cfg_load(a->opt.config, &errs);
	for (unsigned i = 0; i < errs.n; i++)
		log_err(LOG_CFG, "%s", errs.list[i].text);
	if (!now) {
		refuse(a, errs.n ? errs.list[0].text : "the file could not be read");
		cfg_errors_free(&errs);
		return true;
	}
	cfg_errors_free(&errs);
	unsigned n = cfg_diff(a->cfg, now, changes, CHANGES_MAX);
	if (needs_restart(changes, n) || now->sync.enabled != a->cfg->sync.enabled ||
	    now->sync.replicate != a->cfg->sync.replicate) {
		cfg_free(now);
		refuse(a, "node id and name, run_dir, state_dir, control socket, realtime, sync.replicate and the "
			  "existence of a "
			  "cluster need a restart");
	} else if (!resting(a)) {
		cfg_free(now);
		refuse(a, "a role change is under way; try again");
	} else {
		a->reloads++;
		a->reload_error[0] = '\0';
		apply(a, now);
		log_notice(LOG_CFG, "configuration reloaded: %u change%s", n, n == 1 ? "" : "s");
	}
	return true;
}

static void on_retry(void *arg, mono_t deadline)
{
	struct app *a = arg;
	if (try_reload(a))
		sdnotify_ready();
	else
		loop_timer_set(a->reload_timer, mono_add(deadline, RETRY_NS));
}

void app_reload(struct app *a)
{
	if (a->stopping || !a->running)
		return;
	if (!a->reload_timer)
		a->reload_timer = loop_timer_new(a->loop, LOOP_NORMAL, on_retry, a);
	sdnotify_reloading();
	a->reload_until = mono_add(clock_mono(), STABLE_WAIT_NS);
	on_retry(a, clock_mono());
}
