/*
 * Lists of tracked things over a reload, and states that have to last.
 */
#include "daemon/track_int.h"

#include <errno.h>
#include <stdlib.h>
#include "daemon/base/clock.h"

int track_old(const struct cfg *old, const struct cfg *now, uint16_t obj)
{
	/* Most stands where it stood. */
	for (unsigned k = 0; old && k < old->track.n_objs; k++) {
		uint16_t i = (uint16_t)((obj + k) % old->track.n_objs);
		if (cfg_track_same(old, i, now, obj))
			return (int)i;
	}
	return -1;
}

int track_list_set(struct app_track *t, const struct cfg *old, enum vrrp_track_kind kind, size_t size,
		   struct track_list *list, struct track_list *gone)
{
	const struct cfg *now = t->cfg;
	uint16_t n = 0;
	*gone = *list;
	for (uint16_t i = 0; i < now->track.n_objs; i++)
		n = (uint16_t)(n + (now->track.objs[i].kind == kind));
	list->item = calloc(n + 1u, sizeof(struct track_item *));
	list->n = list->item ? n : 0;
	for (uint16_t i = 0; i < now->track.n_objs; i++) {
		const struct vrrp_track_conf *c = &now->track.objs[i];
		if (c->kind != kind || !list->item)
			continue;
		int o = gone->n ? track_old(old, now, i) : -1;
		struct track_item **from = o >= 0 ? &gone->item[old->track.objs[o].index] : NULL;
		struct track_item *item = from && *from ? *from : calloc(1, size);
		if (from)
			*from = NULL;
		list->item[c->index] = item;
		if (!item)
			return -ENOMEM;
		item->t = t;
		item->obj = i;
		item->used = c->used;
	}
	return list->item ? 0 : -ENOMEM;
}

bool track_delay_note(struct track_delay *d, const struct vrrp_track_obj *o, bool ok, int64_t wait_ns)
{
	bool first = !d->seen, same = d->ok == ok;
	if (!first && same)
		return false;
	d->seen = true;
	d->ok = ok;
	/* The first one counts at once, and so does the way back to what still counts. */
	if (first || wait_ns == 0 || o->up == ok) {
		loop_timer_set(d->timer, MONO_NEVER);
		return true;
	}
	loop_timer_set(d->timer, mono_add(clock_mono(), wait_ns));
	return false;
}

bool track_delayed(const struct track_delay *d, const struct vrrp_track_obj *o)
{
	return d->seen && o->up != d->ok;
}
