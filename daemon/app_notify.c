#include "daemon/app_notify.h"

#include <errno.h>
#include <stdlib.h>
#include "daemon/app.h"
#include "daemon/app_layer.h"
#include "daemon/base/log.h"
#include "daemon/notify_io.h"

#define EVERYBODY (1u << NOTIFY_TO_SCRIPTS | PIPES | 1u << NOTIFY_TO_MAIL)
#define PIPES     (1u << NOTIFY_TO_FIFO | 1u << NOTIFY_TO_VRRP_FIFO)
#define NOTHING   NOTIFY_WHAT_N

/* enum notify_what, NOTHING: nothing yet. By subject: instances, then groups. */
struct last {
	uint8_t told, mailed, priority;
};

struct app_notify {
	struct notify_io *io;
	struct last *last;
	uint32_t n;
	bool stopped;
};

const struct notify_io *app_notify_io(const struct app_notify *n)
{
	return n->io;
}

static uint32_t group_subject(const struct app *a, uint16_t g)
{
	return (uint32_t)a->cfg->n_instances + g;
}

static enum notify_what of_group(const struct app *a, uint16_t g)
{
	switch (a->node.group[g].role.is) {
	case ROLE_INIT:
		return NOTHING;
	case ROLE_BACKUP:
		return NOTIFY_IS_BACKUP;
	case ROLE_MASTER:
		return NOTIFY_IS_MASTER;
	case ROLE_FAULT:
		return NOTIFY_IS_FAULT;
	}
	return NOTHING;
}

/* With fault = "degrade" a member can be in FAULT while its group serves on. */
static enum notify_what of_inst(const struct app *a, uint16_t i)
{
	enum notify_what group = of_group(a, a->cfg->instances[i].group);

	return group != NOTHING && a->node.inst[i].state == VRRP_FAULT ? NOTIFY_IS_FAULT : group;
}

static void tell(struct app *a, uint32_t subject, enum notify_what what, uint8_t priority, struct epoch epoch,
		 unsigned sinks)
{
	struct app_notify *n = a->notify;
	struct last *l = &n->last[subject];

	if (notify_kind_of(what) == NOTIFY_K_STATE) {
		l->told = (uint8_t)what;
		/* Mail says only what is new since the last one (keepalived's rule). */
		if (l->mailed == what)
			sinks &= ~(1u << NOTIFY_TO_MAIL);
		else if (sinks & 1u << NOTIFY_TO_MAIL && (what != NOTIFY_IS_FAULT || a->cfg->notify.mail.faults))
			l->mailed = (uint8_t)what;
	}
	notify_io_tell(n->io, subject, what, priority, epoch, sinks);
}

static void tell_inst(struct app *a, uint16_t i)
{
	enum notify_what what = of_inst(a, i);

	if (what == NOTHING || a->notify->last[i].told == what)
		return;
	a->notify->last[i].priority = a->node.inst[i].priority;
	tell(a, i, what, a->node.inst[i].priority, a->node.group[a->cfg->instances[i].group].role.epoch, EVERYBODY);
}

/* An instance that stands alone has no group to be told of. */
static void tell_group(struct app *a, uint16_t g)
{
	enum notify_what what = of_group(a, g);
	uint32_t subject = group_subject(a, g);

	if (g >= a->cfg->notify.n_groups || what == NOTHING || a->notify->last[subject].told == what)
		return;
	tell(a, subject, what, 0, a->node.group[g].role.epoch, EVERYBODY);
}

/* An address owner is MASTER from the beginning (RFC 9568 section 6.4.1): nobody is told of a BACKUP before it. */
static bool owners_begin(const struct app *a, uint16_t group)
{
	const struct cfg_group *g = &a->cfg->groups[group];

	if (of_group(a, group) != NOTIFY_IS_BACKUP)
		return false;
	for (uint16_t m = 0; m < g->n_members; m++)
		if (a->node.inst[g->members[m]].priority != 255 || a->notify->last[g->members[m]].told != NOTHING)
			return false;
	return true;
}

/* A role that goes on in another process: whoever has to be told was told by that one. */
static bool goes_on(struct app *a, uint16_t group)
{
	if (!a->group[group].resuming)
		return false;
	enum notify_what what = of_group(a, group);
	if (what != NOTHING && what != NOTIFY_IS_BACKUP)
		app_layer_resumed(a, group);
	return true;
}

void app_notify_resumed(struct app *a, uint16_t group)
{
	struct app_notify *n = a->notify;

	if (!n)
		return;
	if (of_group(a, group) != NOTIFY_IS_MASTER) {
		app_notify_role(a, group);
		return;
	}
	for (uint16_t m = 0; m < a->cfg->groups[group].n_members; m++) {
		uint16_t i = a->cfg->groups[group].members[m];
		n->last[i].told = n->last[i].mailed = (uint8_t)of_inst(a, i);
		n->last[i].priority = a->node.inst[i].priority;
	}
	n->last[group_subject(a, group)].told = n->last[group_subject(a, group)].mailed = NOTIFY_IS_MASTER;
}

void app_notify_role(struct app *a, uint16_t group)
{
	if (goes_on(a, group) || !a->notify || owners_begin(a, group))
		return;
	const struct cfg_group *g = &a->cfg->groups[group];
	bool first = a->notify->last[group_subject(a, group)].told == NOTHING && of_group(a, group) == NOTIFY_IS_BACKUP;
	if (first)
		tell_group(a, group);
	/* The members that made it a fault are told before those that follow them. */
	for (uint16_t m = 0; of_group(a, group) == NOTIFY_IS_FAULT && m < g->n_members; m++)
		if (a->node.member[g->members[m]].down)
			tell_inst(a, g->members[m]);
	for (uint16_t m = 0; m < g->n_members; m++)
		tell_inst(a, g->members[m]);
	if (!first)
		tell_group(a, group);
}

void app_notify_inst(struct app *a, uint16_t inst)
{
	uint16_t g = a->cfg->instances[inst].group;

	if (a->group[g].resuming || !a->notify || a->node.group[g].role.state != ROLE_STABLE || owners_begin(a, g))
		return;
	if (g < a->cfg->notify.n_groups && a->notify->last[group_subject(a, g)].told == NOTHING)
		app_notify_role(a, g); /* the start of both */
	else
		tell_inst(a, inst);
}

void app_notify_lower(struct app *a, uint16_t inst)
{
	if (a->notify)
		tell(a, inst, NOTIFY_RX_LOWER, a->node.inst[inst].priority,
		     a->node.group[a->cfg->instances[inst].group].role.epoch, EVERYBODY);
}

void app_notify_priority(struct app *a, uint16_t inst)
{
	struct app_notify *n = a->notify;
	uint8_t priority = a->node.inst[inst].priority;

	/* also before the first state is told: keepalived's lines begin with what a first look has changed */
	if (!n || n->last[inst].priority == priority)
		return;
	n->last[inst].priority = priority;
	if (a->cfg->notify.inst[inst].priority_changes)
		tell(a, inst, a->node.inst[inst].state == VRRP_MASTER ? NOTIFY_MASTER_PRIORITY : NOTIFY_BACKUP_PRIORITY,
		     priority, a->node.group[a->cfg->instances[inst].group].role.epoch, PIPES);
}

void app_notify_stop(struct app *a)
{
	struct app_notify *n = a->notify;

	if (!n || n->stopped)
		return;
	n->stopped = true;
	for (uint16_t i = 0; i < a->cfg->n_instances; i++)
		if (n->last[i].told != NOTHING)
			tell(a, i, NOTIFY_IS_STOP, a->node.inst[i].priority,
			     a->node.group[a->cfg->instances[i].group].role.epoch, EVERYBODY);
	for (uint16_t g = 0; g < a->cfg->notify.n_groups; g++)
		if (n->last[group_subject(a, g)].told != NOTHING)
			tell(a, group_subject(a, g), NOTIFY_IS_STOP, 0, a->node.group[g].role.epoch, EVERYBODY);
}

bool app_notify_idle(const struct app *a)
{
	return !a->notify || notify_io_idle(a->notify->io);
}

bool app_notify_runs_nothing(const struct app *a)
{
	return !a->notify || notify_io_runs_nothing(a->notify->io);
}

/* ---- reload ---- */

void app_notify_deleted(struct app *a, const struct reload_map *map)
{
	for (uint16_t i = 0; a->notify && i < a->cfg->n_instances; i++) {
		if (map->inst_stays[i] || a->notify->last[i].told == NOTHING)
			continue;
		bool word = a->cfg->notify.inst[i].tell_deleted;
		/* keepalived tells its end only where that is news, and runs no program of a fault for it */
		if (!word && a->notify->last[i].told == NOTIFY_IS_FAULT)
			continue;
		tell(a, i, word ? NOTIFY_IS_DELETED : NOTIFY_IS_GONE, a->node.inst[i].priority,
		     a->node.group[a->cfg->instances[i].group].role.epoch, EVERYBODY);
	}
}

static struct last *new_last(uint32_t n)
{
	struct last *l = calloc(n + 1u, sizeof(*l));

	for (uint32_t i = 0; l && i < n; i++)
		l[i] = (struct last){ .told = NOTHING, .mailed = NOTHING };
	return l;
}

/* What was told is taken along; where[old] = new. */
static void carry(const struct cfg *old, const struct cfg *now, const struct reload_map *map, const struct last *was,
		  struct last *is, uint32_t *where)
{
	uint32_t n_old = (uint32_t)old->n_instances + old->n_groups;

	for (uint32_t i = 0; i < n_old; i++)
		where[i] = NOTIFY_NOBODY;
	for (uint16_t i = 0; i < now->n_instances; i++) {
		if (map->inst_from[i] < 0)
			continue;
		is[i] = was[map->inst_from[i]];
		where[map->inst_from[i]] = i;
	}
	for (uint16_t g = 0; g < now->n_groups; g++) {
		if (map->group_from[g] < 0)
			continue;
		is[now->n_instances + g] = was[old->n_instances + (uint32_t)map->group_from[g]];
		where[old->n_instances + (uint32_t)map->group_from[g]] = (uint32_t)now->n_instances + g;
	}
}

/*
 * The same states once more, for readers that begin anew with each reload. Members whose group says it already are not
 * repeated (keepalived's rule).
 */
static void repeat_states(struct app *a)
{
	const struct last *last = a->notify->last;

	for (uint16_t g = 0; g < a->cfg->notify.n_groups; g++)
		if (last[group_subject(a, g)].told != NOTHING)
			tell(a, group_subject(a, g), (enum notify_what)last[group_subject(a, g)].told, 0,
			     a->node.group[g].role.epoch, PIPES);
	for (uint16_t i = 0; i < a->cfg->n_instances; i++) {
		uint16_t g = a->cfg->instances[i].group;
		if (last[i].told == NOTHING ||
		    (g < a->cfg->notify.n_groups && last[group_subject(a, g)].told == last[i].told))
			continue;
		tell(a, i, (enum notify_what)last[i].told, a->node.inst[i].priority, a->node.group[g].role.epoch,
		     PIPES);
	}
}

/* Where nobody was told before, nobody is told now what everything is already. */
static void take_as_told(struct app *a)
{
	for (uint16_t i = 0; i < a->cfg->n_instances; i++)
		a->notify->last[i] = (struct last){ (uint8_t)of_inst(a, i), NOTHING, a->node.inst[i].priority };
	for (uint16_t g = 0; g < a->cfg->n_groups; g++)
		a->notify->last[group_subject(a, g)] = (struct last){ (uint8_t)of_group(a, g), NOTHING, 0 };
}

bool app_notify_reload(struct app *a, struct cfg *old, const struct reload_map *map)
{
	uint32_t n_old = (uint32_t)old->n_instances + old->n_groups;
	uint32_t n_now = (uint32_t)a->cfg->n_instances + a->cfg->n_groups;

	if (!a->notify) {
		if (app_notify_start(a) < 0)
			log_err(LOG_MAIN, "no memory for notifications: nobody is told of anything");
		else if (a->notify)
			take_as_told(a);
		return false;
	}
	struct app_notify *n = a->notify;
	struct last *last = new_last(n_now);
	uint32_t *where = calloc(n_old + 1u, sizeof(*where));
	if (!last || !where) {
		free(last);
		free(where);
		log_err(LOG_MAIN, "no memory for notifications: nobody is told of anything any more");
		app_notify_free(a);
		return false;
	}
	carry(old, a->cfg, map, n->last, last, where);
	free(n->last);
	n->last = last;
	n->n = n_now;
	bool keep = notify_io_conf(n->io, a->cfg, old, where);
	free(where);
	if (a->cfg->notify.states_on_reload)
		repeat_states(a);
	for (uint16_t g = 0; g < a->cfg->n_groups; g++)
		if (map->group_from[g] >= 0)
			app_notify_role(a, g);
	return keep;
}

/* ---- life ---- */

int app_notify_start(struct app *a)
{
	if (!a->cfg->notify.used)
		return 0;
	struct app_notify *n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	n->n = (uint32_t)a->cfg->n_instances + a->cfg->n_groups;
	n->last = new_last(n->n);
	n->io = n->last ? notify_io_new(a->loop) : NULL;
	a->notify = n;
	if (!n->io) {
		app_notify_free(a);
		return -ENOMEM;
	}
	(void)notify_io_conf(n->io, a->cfg, NULL, NULL);
	return 0;
}

void app_notify_free(struct app *a)
{
	if (!a->notify)
		return;
	notify_io_free(a->notify->io);
	free(a->notify->last);
	free(a->notify);
	a->notify = NULL;
}
