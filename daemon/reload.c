/*
 * SIGHUP: parse, check, compare, apply; or nothing at all.
 *
 * What has the same identity in both configurations keeps its state: an instance by name, interface, VRID and family; a
 * group by name, or by its members when only the name is new; a tunnel by name, connection, child and address. A group
 * that stays keeps its role; an instance that joins a MASTER group is taken at once, one that leaves says priority 0.
 */
#include "daemon/app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/app_ctd.h"
#include "daemon/app_ipsec.h"
#include "daemon/app_layer.h"
#include "daemon/app_notify.h"
#include "daemon/app_pair.h"
#include "daemon/app_quar.h"
#include "daemon/app_track.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/cfg_say.h"
#include "daemon/reload_map.h"
#include "daemon/sdnotify.h"

#define STABLE_WAIT_NS (1 * NS_PER_SEC)
#define RETRY_NS       (20 * NS_PER_MS)
#define READ_ROOM      (8u << 20)
#define READ_LATE_NS   (10 * NS_PER_SEC) /* reading takes longer: somebody should know */
#define CFG_FILE_MAX   4096

/* The arrays of one configuration, while two exist. */
struct shape {
	struct cfg *cfg;
	struct node node;
	struct app_inst *inst;
	struct app_group *group;
	struct announce announce;
	struct node_acts acts;
};

static void save_shape(struct app *a, struct shape *s)
{
	s->cfg = a->cfg;
	s->node = a->node;
	s->inst = a->inst;
	s->group = a->group;
	s->announce = a->announce;
	s->acts = a->acts;
}

static void load_shape(struct app *a, const struct shape *s)
{
	a->cfg = s->cfg;
	a->node = s->node;
	a->inst = s->inst;
	a->group = s->group;
	a->announce = s->announce;
	a->acts = s->acts;
}

static void refuse(struct app *a, const char *why)
{
	a->reloads_refused++;
	snprintf(a->reload_error, sizeof(a->reload_error), "%.399s", why);
	log_err(LOG_CFG, "the configuration was not reloaded, nothing has changed: %s", why);
	app_layer_judged(a, a->reload_error);
}

static bool resting(const struct app *a)
{
	for (uint16_t g = 0; g < a->node.n_groups; g++)
		if (a->node.group[g].role.state != ROLE_STABLE)
			return false;
	return true;
}

/* Instances that end: a MASTER says priority 0, its socket closes. Runs while the old shape is in force. */
static void end_instances(struct app *a, const struct reload_map *map)
{
	for (uint16_t i = 0; i < a->cfg->n_instances; i++) {
		if (map->inst_stays[i])
			continue;
		log_notice(LOG_CFG, "instance %s ends", a->cfg->instances[i].name);
		if (a->node.inst[i].state == VRRP_MASTER)
			app_vrrp_advert(a, i, 0);
		app_vrrp_close(a, i);
	}
}

static void end_groups(struct app *a, const struct reload_map *map)
{
	for (uint16_t o = 0; o < a->cfg->n_groups; o++) {
		if (map->group_stays[o])
			continue;
		const struct role *role = &a->node.group[o].role;
		log_notice(LOG_CFG, "group %s ends as %s", a->cfg->groups[o].name, role_is_text((uint8_t)role->is));
		struct node_act hook = { .type = NODE_ACT_HOOK,
					 .hook = HOOK_ROLE,
					 .group = o,
					 .from = (uint8_t)role->is,
					 .to = ROLE_INIT,
					 .reason = ROLE_R_CONFIG,
					 .epoch = role->epoch };
		app_ike_hook(a, &hook);
	}
}

/* A program of the operator knows a tunnel by our name for it. */
static bool same_connection(const struct ike_tunnel_conf *x, const struct ike_tunnel_conf *y)
{
	return x->backend == y->backend && strcmp(x->ike, y->ike) == 0 &&
	       (x->backend != IKE_BACKEND_EXEC || strcmp(x->name, y->name) == 0);
}

/* The new configuration has something to do with this tunnel's connection. */
static bool is_used(const struct cfg *now, const struct ike_tunnel_conf *c)
{
	if (c->learnt && now->tunnels_auto && cfg_group_of_vip(now, &c->vip) >= 0)
		return true;
	for (uint16_t k = 0; k < now->n_tunnels; k++)
		if (same_connection(&now->tunnels[k], c))
			return true;
	return false;
}

static bool is_warm(const struct cfg *now, const char *warm_ike)
{
	for (uint16_t k = 0; k < now->n_tunnels; k++)
		if (now->tunnels[k].warm && strcmp(now->tunnels[k].warm_ike, warm_ike) == 0)
			return true;
	return false;
}

/* Those that the IKE daemon told of as well. */
static void end_tunnels(struct app *a, const struct shape *now)
{
	for (uint16_t t = 0; t < a->node.n_tunnels; t++) {
		const struct ike_tunnel_conf *c = &a->node.tunnel[t].conf;
		if (!app_ike_reaches(a, t))
			continue;
		if (c->warm && !is_warm(now->cfg, c->warm_ike))
			vici_terminate(a->vici, c->warm_ike, (struct vici_tag){ .tunnel = UINT32_MAX });
		if (is_used(now->cfg, c))
			continue;
		log_notice(LOG_CFG, "tunnel %s ends", c->name);
		app_ike_forget(a, t);
	}
}

static void carry_groups(struct app *a, const struct shape *old, const struct reload_map *map)
{
	for (uint16_t g = 0; g < a->cfg->n_groups; g++) {
		int32_t o = map->group_from[g];
		if (o < 0)
			continue;
		struct node_group was = old->node.group[o];
		struct node_group *is = &a->node.group[g];
		was.members = is->members;
		was.n_members = is->n_members;
		was.fault_degrade = is->fault_degrade;
		was.preempt = is->preempt;
		was.arbitrate = is->arbitrate;
		*is = was;
		is->role.group = g;
		is->role.node = a->node.id;
		is->role.rec.group = g;
		a->group[g] = old->group[o];
	}
}

static void carry_peers(struct app *a, const struct shape *old)
{
	bool same = old->cfg->digest[CFG_DIGEST_VRRP] == a->cfg->digest[CFG_DIGEST_VRRP];
	for (uint8_t p = 0; p < a->node.n_peers; p++) {
		struct node_peer *is = &a->node.peer[p];
		for (uint8_t q = 0; q < old->node.n_peers; q++) {
			const struct node_peer *was = &old->node.peer[q];
			if (was->node != is->node)
				continue;
			void *groups = is->groups;
			*is = *was;
			is->groups = groups;
			/* Group numbers mean the same again once the peer says so with its next hello. */
			is->same_config = same && was->same_config;
			if (is->same_config)
				memcpy(groups, was->groups, a->node.n_groups * sizeof(*was->groups));
		}
	}
}

static void carry_instances(struct app *a, const struct shape *old, const struct reload_map *map)
{
	for (uint16_t i = 0; i < a->cfg->n_instances; i++) {
		int32_t o = map->inst_from[i];
		if (o < 0)
			continue;
		uint16_t group = a->node.member[i].group;
		a->node.inst[i] = old->node.inst[o];
		a->node.member[i] = old->node.member[o];
		a->node.member[i].inst = i;
		a->node.member[i].group = group;
		uint16_t same_link = a->inst[i].same_link, next_link = a->inst[i].next_link; /* of the new order */
		a->inst[i] = old->inst[o];
		a->inst[i].same_link = same_link;
		a->inst[i].next_link = next_link;
		struct vrrp_ev ev = { .type = VRRP_EV_CONF, .u.conf = &a->cfg->instances[i] };
		struct vrrp_acts acts;
		vrrp_step(&a->node.inst[i], &ev, clock_mono(), &acts);
	}
	for (uint16_t t = 0; t < a->cfg->n_tunnels; t++) {
		int32_t o = map->tunnel_from[t];
		if (o < 0)
			continue;
		struct ike_tunnel_conf conf = a->node.tunnel[t].conf;
		bool shares_peer = a->node.tunnel[t].shares_peer;
		a->node.tunnel[t] = old->node.tunnel[o];
		a->node.tunnel[t].conf = conf;
		a->node.tunnel[t].shares_peer = shares_peer;
	}
}

static void carry_node(struct app *a, const struct shape *old)
{
	struct node *n = &a->node;
	const struct node *o = &old->node;
	n->maintenance = o->maintenance;
	n->seen = o->seen;
	n->sync = o->sync;
	n->pong_at = o->pong_at;
	n->ping_at = o->ping_at;
	n->heartbeat_at = o->heartbeat_at;
	n->ping_seq = o->ping_seq;
	n->alive_told_at = o->alive_told_at;
	n->authority = o->authority;
	n->aborting = o->aborting;
	n->guardian_on = o->guardian_on;
	n->sync_silent_told = o->sync_silent_told;
	n->stale = o->stale;
	n->stalls = o->stalls;
	n->rearms = o->rearms;
	n->rivals = o->rivals;
	n->splits = o->splits;
	n->arbitrated = o->arbitrated;
}

/* Numbers of changes bear the number of their node: peers refuse those of a node that they do not know. */
static void renumber(struct epoch *e, uint32_t from, uint32_t to)
{
	if (e->node == from)
		e->node = to;
}

static void renumber_epochs(struct app *a, uint32_t from)
{
	struct node *n = &a->node;
	if (from == n->id)
		return;
	renumber(&n->seen, from, n->id);
	renumber(&n->authority, from, n->id);
	renumber(&a->epoch_stored, from, n->id);
	for (uint16_t g = 0; g < n->n_groups; g++) {
		renumber(&n->group[g].role.epoch, from, n->id);
		renumber(&n->group[g].role.seen, from, n->id);
		renumber(&n->group[g].role.rec.epoch, from, n->id);
		renumber(&a->group[g].epoch, from, n->id);
	}
}

/* A lone router becomes part of a cluster, or is alone again: nothing that was known of replication counts. */
static void carry_replication(struct app *a, const struct shape *old)
{
	struct node *n = &a->node;
	if (n->has_sync == old->node.has_sync)
		return;
	mono_t now = clock_mono();
	n->sync = (struct sync_state){ 0 };
	n->sync_silent_told = n->aborting = false;
	n->pong_at = now;
	n->ping_at = n->has_sync ? now : MONO_NEVER;
	for (uint16_t g = 0; g < n->n_groups; g++)
		n->group[g].mine = n->has_sync && n->group[g].role.is == ROLE_MASTER;
}

/* What each group wants of the kernel, under its new number. */
static void set_modes(struct app *a)
{
	for (uint16_t g = 0; g < a->node.n_groups; g++) {
		const struct node_group *grp = &a->node.group[g];
		app_net_mode(a, g,
			     grp->adopting                 ? NODE_NET_KEEP
			     : grp->role.is == ROLE_MASTER ? NODE_NET_UP
							   : NODE_NET_DOWN,
			     grp->role.epoch);
	}
}

/* Without groups somebody else moves the roles, and both nodes may serve. */
static bool serves(const struct node *n)
{
	bool any = n->n_groups == 0;
	for (uint16_t g = 0; g < n->n_groups; g++)
		any |= n->group[g].mine;
	return any;
}

/* Whether this node serves anything may have changed with the groups. The floor never rises by a reload. */
static void tell_authority(struct app *a, const struct shape *old)
{
	bool fresh = a->node.has_sync && !old->node.has_sync;
	bool before = serves(&old->node), any = serves(&a->node);
	if (!a->sync || (before == any && !fresh))
		return;
	struct sync_cmd cmd = { .type = SYNC_CMD_AUTHORITY,
				.epoch = a->node.seen,
				.authority = { .epoch = a->node.seen, .any = any } };
	a->node.authority = a->node.seen;
	if (sync_thread_send(a->sync, &cmd) < 0)
		log_warn(LOG_SYNC, "SYNC takes no commands: it learns the new groups with the next role change");
}

/*
 * New groups start, new members of a MASTER group are taken, new tunnels of it are initiated. A tunnel learns first that
 * it is wanted, and then that the IKE daemon answers: else it would purge the address, which others use.
 */
static void begin_added(struct app *a)
{
	struct ike_ev up = { .kind = IKE_EV_BACKEND_UP };
	for (uint16_t g = 0; g < a->node.n_groups; g++) {
		struct node_ev ev = { .type = NODE_EV_JOIN, .group = g };
		app_feed(a, &ev);
	}
	for (uint16_t t = 0; t < a->node.n_tunnels; t++) {
		const struct ike_tunnel *tunnel = &a->node.tunnel[t];
		struct node_ev ev = { .type = NODE_EV_IKE, .tunnel = t, .ike = &up };
		if (!tunnel->backend && app_ike_reaches(a, t))
			app_feed(a, &ev);
	}
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

/* What cannot be changed under a running daemon, in words; NULL if there is nothing. */
static const char *needs_restart(const struct app *a, const struct cfg *old, const struct cfg *now,
				 const struct cfg_change *ch, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (ch[i].kind == CFG_PROCESS_CHANGED)
			return "node id and name, run_dir, state_dir, the control socket, realtime, the namespace and "
			       "the "
			       "instance's name need a restart";
	if (now->sync.enabled && !old->sync.enabled && a->sync_ending)
		return "replication is still ending; try again";
	if (now->sync.enabled && now->sync.replicate != old->sync.replicate)
		return "sync.replicate needs a restart";
	return NULL;
}

/* What belongs to the process and not to the node core. */
static void apply_process(struct app *a, const struct cfg *old)
{
	const struct cfg *c = a->cfg;
	log_level_set((enum log_level)c->log_level);
	if (c->log_syslog != old->log_syslog || c->log_stderr != old->log_stderr)
		log_warn(LOG_CFG, "node.log: where lines go to changes with the next start; the level changes now");
	if (a->ctl)
		ctl_set_groups(a->ctl, c->view_group[0] ? ctl_group_id(c->view_group) : (gid_t)-1,
			       c->admin_group[0] ? ctl_group_id(c->admin_group) : (gid_t)-1);
}

static void begin_replication(struct app *a)
{
	int rc = app_pair_start(a);
	if (rc == 0)
		rc = app_peer_start(a);
	if (rc < 0)
		log_err(LOG_SYNC, "replication could not begin: %s", strerror(-rc));
}

/* Everything that is told to the outside under the new numbers. The node core decides nothing until all of it is known:
 * the links of new members would look down. */
static void put_in_force(struct app *a, const struct shape *old)
{
	char why[256] = "";
	bool running = old->node.running;
	a->node.running = false;
	netapply_hold(a->net, true);
	app_net_declare(a);
	app_quar_reload(a);
	set_modes(a);
	if (a->peer && !a->cfg->sync.enabled)
		app_peer_end(a, &old->cfg->sync);
	else if (!a->peer && a->cfg->sync.enabled)
		begin_replication(a);
	else if (apply_channel(a, why, sizeof(why)) < 0)
		log_err(LOG_CFG, "the channel keeps its former configuration: %s", why);
	if (app_ike_reload(a, old->cfg) < 0)
		log_err(LOG_CFG, "no memory to connect to the IKE daemon: tunnels stay as they are");
	app_ipsec_reload(a);
	app_vrrp_relink(a);
	app_track_reload(a, old->cfg);
	tell_authority(a, old);
	a->node.running = running;
	begin_added(a);
	netapply_hold(a->net, false);
}

/* Of very many instances there is much to free. */
static int free_old(void *ctx)
{
	cfg_free(ctx);
	return 0;
}

static void let_go(struct app *a, struct cfg *old)
{
	struct kt_job *job = kt_job_new(KT_CALL, KT_LATER, NULL, NULL);
	if (job) {
		job->call.fn = free_old;
		job->call.ctx = old;
		job->call.disk = true;
	}
	if (job && kernel_thread_submit(a->kt, job) == 0)
		return;
	kt_job_free(job);
	cfg_free(old);
}

/* False: refused, and all is as it was. now belongs to it either way. */
static bool apply(struct app *a, struct cfg *now, const struct reload_map *map)
{
	struct shape old, fresh;
	save_shape(a, &old);
	a->cfg = now;
	memset(&a->node, 0, sizeof(a->node));
	a->acts = (struct node_acts){ 0 };
	if (app_node_build(a, old.node.seen) < 0) {
		app_node_free(a);
		load_shape(a, &old);
		cfg_free(now);
		refuse(a, "not enough memory");
		return false;
	}
	save_shape(a, &fresh);
	load_shape(a, &old);
	app_notify_deleted(a, map);
	end_instances(a, map);
	end_groups(a, map);
	end_tunnels(a, &fresh);
	load_shape(a, &fresh);
	carry_node(a, &old);
	carry_groups(a, &old, map);
	carry_peers(a, &old);
	carry_instances(a, &old, map);
	carry_replication(a, &old);
	renumber_epochs(a, old.node.id);
	if (app_learn_carry(a, &old.node) < 0)
		log_err(LOG_CFG, "no memory for the tunnels that the IKE daemon told of: they are looked for again");
	node_rebuild(&a->node);
	app_garp_rebuild(a);
	apply_process(a, old.cfg);
	bool kept = app_notify_reload(a, old.cfg, map); /* before anything can be told under the new numbers */
	put_in_force(a, &old);
	save_shape(a, &fresh);
	load_shape(a, &old);
	app_node_free(a);
	load_shape(a, &fresh);
	app_pair_reload(a);
	if (app_ctd_update(a) < 0)
		log_err(LOG_CTL, "no memory: conntrackd's client commands cannot connect");
	if (!kept)
		let_go(a, old.cfg);
	struct node_ev tick = { .type = NODE_EV_TICK };
	app_feed(a, &tick);
	return true;
}

/*
 * Reading, checking and comparing may take long: that is done beside the helper thread's files, and CONTROL only applies.
 * The model in force is read there as well; nobody replaces it meanwhile, because there is one reading at a time.
 */
struct reload_reading {
	char path[CFG_FILE_MAX], conntrackd[CFG_FILE_MAX];
	struct cfg_how how;
	struct dconf_found found;
	const struct cfg *old;
	struct cfg *now; /* NULL: errs says why */
	struct cfg_errors errs;
	struct reload_map *map;
};

static void reading_free(struct reload_reading *rd)
{
	if (!rd)
		return;
	cfg_free(rd->now);
	cfg_errors_free(&rd->errs);
	reload_map_free(rd->map);
	free(rd);
}

/*
 * The readers end the process when they find no memory, which at the start is right. A router that runs refuses
 * instead, as long as there is too little for an ordinary file.
 */
static bool has_room(void)
{
	void *probe = malloc(READ_ROOM);
	free(probe);
	return probe != NULL;
}

static int read_file(void *ctx)
{
	struct reload_reading *rd = ctx;
	if (!has_room())
		return 0;
	rd->now = cfg_load_as(rd->path[0] ? rd->path : NULL, &rd->how, &rd->errs);
	if (rd->now && !app_peer_key(rd->now, &rd->errs)) {
		cfg_free(rd->now);
		rd->now = NULL;
	}
	if (rd->now)
		rd->map = reload_map_make(rd->old, rd->now);
	return 0;
}

/* A configuration that reads well: in force, or refused with the reason. */
static void take(struct app *a, struct reload_reading *rd)
{
	const struct reload_map *map = rd->map;
	const char *why = map ? needs_restart(a, a->cfg, rd->now, map->changes, map->n_changes) : "not enough memory";
	/* A file that was cut short behind the blocks of LVS looks like this; who means it stops the service. */
	if (!why && rd->path[0] && rd->old->n_instances && !rd->now->n_instances)
		why = "there is no vrrp_instance in the file any more; stop the service if that is meant";
	if (!why && !resting(a))
		why = "a role change is under way; try again";
	if (why) {
		refuse(a, why);
		return;
	}
	struct cfg *now = rd->now;
	rd->now = NULL;
	if (!apply(a, now, map))
		return;
	a->reloads++;
	a->reload_error[0] = '\0';
	log_notice(LOG_CFG, "configuration reloaded: %u change%s", map->n_changes, map->n_changes == 1 ? "" : "s");
	app_layer_judged(a, NULL);
}

static void judge(struct app *a)
{
	struct reload_reading *rd = a->reading;
	a->reading = NULL;
	cfg_say_log(&rd->errs);
	if (!rd->now)
		refuse(a, rd->errs.n ? rd->errs.list[0].text : "not enough memory to read the file");
	else
		take(a, rd);
	reading_free(rd);
	sdnotify_ready();
}

/* Waits for a role change that is under way, but not for long. */
static void on_retry(void *arg, mono_t deadline)
{
	struct app *a = arg;
	if (a->stopping)
		return;
	if (a->reload_reads) {
		log_warn(LOG_CFG,
			 "the configuration is still being read, nothing has changed: does the disk of %s answer?",
			 a->opt.config ? a->opt.config : "its file");
		loop_timer_set(a->reload_timer, mono_add(deadline, READ_LATE_NS));
		return;
	}
	if (!a->reading)
		return;
	if (!a->reading->now || resting(a) || mono_due(a->reload_until, clock_mono()))
		judge(a);
	else
		loop_timer_set(a->reload_timer, mono_add(deadline, RETRY_NS));
}

static void begin_reading(struct app *a);

static void on_read(struct kt_job *job)
{
	struct app *a = job->arg;
	struct reload_reading *rd = job->call.ctx;
	a->reload_reads = false;
	if (a->stopping || a->reload_again) { /* another SIGHUP came: the file may have changed since */
		reading_free(rd);
		if (!a->stopping)
			begin_reading(a);
		return;
	}
	a->reading = rd;
	a->reload_until = mono_add(clock_mono(), STABLE_WAIT_NS);
	on_retry(a, clock_mono());
}

static void begin_reading(struct app *a)
{
	struct kt_job *job = kt_job_new(KT_CALL, KT_LATER, on_read, a);
	struct reload_reading *rd = calloc(1, sizeof(*rd));
	a->reload_again = false;
	if (job && rd) {
		snprintf(rd->path, sizeof(rd->path), "%s", a->opt.config ? a->opt.config : "");
		rd->how = a->opt.how;
		if (app_ctd_found(a))
			rd->found = *app_ctd_found(a);
		else if (app_layer_found(a))
			rd->found = *app_layer_found(a);
		rd->how.found = &rd->found;
		if (app_layer_conntrackd(a)) {
			snprintf(rd->conntrackd, sizeof(rd->conntrackd), "%s", app_layer_conntrackd(a));
			rd->how.conntrackd = rd->conntrackd;
		}
		rd->old = a->cfg;
		job->call.fn = read_file;
		job->call.ctx = rd;
		job->call.disk = true;
		if (kernel_thread_submit(a->kt, job) == 0) {
			a->reload_reads = true;
			loop_timer_set(a->reload_timer, mono_add(clock_mono(), READ_LATE_NS));
			return;
		}
	}
	kt_job_free(job);
	free(rd);
	refuse(a, "the thread that reads it takes no jobs; try again");
	sdnotify_ready();
}

void app_reload(struct app *a)
{
	if (a->stopping)
		return;
	if (!a->running) { /* the kernel's addresses are still being read: on_synced comes back to it */
		a->reload_early = true;
		return;
	}
	if (!a->reload_timer)
		a->reload_timer = loop_timer_new(a->loop, LOOP_NORMAL, on_retry, a);
	sdnotify_reloading();
	if (a->reload_reads) {
		a->reload_again = true;
		return;
	}
	reading_free(a->reading); /* it waited for a role change: the newer file counts */
	a->reading = NULL;
	begin_reading(a);
}

void app_reload_stop(struct app *a)
{
	reading_free(a->reading);
	a->reading = NULL;
}
