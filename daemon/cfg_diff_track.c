/* What a reload has to touch of tracking: a pure comparison. */
#include <string.h>
#include "daemon/cfg.h"

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_argv(const char *const *a, const char *const *b)
{
	for (; *a && *b; a++, b++)
		if (strcmp(*a, *b) != 0)
			return false;
	return *a == *b;
}

static bool same_process(const struct cfg_track_process *a, const struct cfg_track_process *b)
{
	return same_argv(a->argv, b->argv) && a->match == b->match && a->full_command == b->full_command;
}

static bool same_script(const struct cfg_track_script *a, const struct cfg_track_script *b)
{
	return same_argv(a->argv, b->argv) && same_text(a->user, b->user) && same_text(a->group, b->group);
}

bool cfg_track_same(const struct cfg *old, uint16_t old_obj, const struct cfg *now, uint16_t now_obj)
{
	const struct vrrp_track_conf *x = &old->track.objs[old_obj], *y = &now->track.objs[now_obj];
	if (x->kind != y->kind || strcmp(x->name, y->name) != 0)
		return false;
	switch (x->kind) {
	case VRRP_TRACK_INTERFACE:
	case VRRP_TRACK_CONNTRACK:
		return true;
	case VRRP_TRACK_SCRIPT:
		return same_script(&old->track.scripts[x->index], &now->track.scripts[y->index]);
	case VRRP_TRACK_PROCESS:
		return same_process(&old->track.processes[x->index], &now->track.processes[y->index]);
	case VRRP_TRACK_FILE:
		return same_text(old->track.files[x->index].path, now->track.files[y->index].path);
	case VRRP_TRACK_KIND_N:
		break;
	}
	return false;
}

/* What may change of a thing that stays the same. */
static bool settings_equal(const struct cfg_track *a, const struct vrrp_track_conf *x, const struct cfg_track *b,
			   const struct vrrp_track_conf *y)
{
	switch (x->kind) {
	case VRRP_TRACK_INTERFACE:
		return a->ifaces[x->index].down_delay_ns == b->ifaces[y->index].down_delay_ns &&
		       a->ifaces[x->index].up_delay_ns == b->ifaces[y->index].up_delay_ns;
	case VRRP_TRACK_SCRIPT:
		return a->scripts[x->index].interval_ns == b->scripts[y->index].interval_ns &&
		       a->scripts[x->index].timeout_ns == b->scripts[y->index].timeout_ns;
	case VRRP_TRACK_PROCESS: {
		const struct cfg_track_process *p = &a->processes[x->index], *q = &b->processes[y->index];
		return p->quorum == q->quorum && p->quorum_max == q->quorum_max &&
		       p->fork_delay_ns == q->fork_delay_ns && p->terminate_delay_ns == q->terminate_delay_ns;
	}
	case VRRP_TRACK_FILE: {
		const struct cfg_track_file *f = &a->files[x->index], *g = &b->files[y->index];
		return f->missing == g->missing && f->init == g->init && f->has_init == g->has_init &&
		       f->overwrite == g->overwrite;
	}
	case VRRP_TRACK_CONNTRACK: {
		const struct cfg_track_conntrack *c = &a->conntrack[x->index], *d = &b->conntrack[y->index];
		return c->high == d->high && c->low == d->low && c->interval_ns == d->interval_ns;
	}
	case VRRP_TRACK_KIND_N:
		break;
	}
	return false;
}

static bool objs_equal(const struct cfg *old, const struct cfg *now)
{
	if (old->track.n_objs != now->track.n_objs)
		return false;
	for (uint16_t i = 0; i < old->track.n_objs; i++) {
		const struct vrrp_track_conf *x = &old->track.objs[i], *y = &now->track.objs[i];
		if (!cfg_track_same(old, i, now, i) || x->rise != y->rise || x->fall != y->fall ||
		    x->init_fail != y->init_fail || x->used != y->used ||
		    !settings_equal(&old->track, x, &now->track, y))
			return false;
	}
	return true;
}

static bool refs_equal(const struct cfg_group *a, const struct cfg_group *b)
{
	if (a->n_track != b->n_track)
		return false;
	for (uint32_t i = 0; i < a->n_track; i++) {
		const struct vrrp_track_ref *x = &a->track[i], *y = &b->track[i];
		if (x->obj != y->obj || x->inst != y->inst || x->weight != y->weight || x->reverse != y->reverse)
			return false;
	}
	return true;
}

bool cfg_track_equal(const struct cfg *old, const struct cfg *now)
{
	if (!objs_equal(old, now) || old->n_groups != now->n_groups)
		return false;
	for (uint16_t g = 0; g < old->n_groups; g++)
		if (!refs_equal(&old->groups[g], &now->groups[g]))
			return false;
	return true;
}
