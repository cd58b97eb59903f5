/*
 * Tracked interfaces: the link has to be up and to have a carrier, for as long as the configuration wants it to.
 */
#include "daemon/track_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct iface {
	struct track_item head;
	struct track_delay delay;
};

struct track_ifaces {
	struct app_track *t;
	struct track_list list;
};

static const struct net_link *find_link(const struct app_track *t, const char *name)
{
	return t->app->net ? netstate_link_by_name(netapply_state(t->app->net), name) : NULL;
}

static void judge(struct iface *f)
{
	struct app_track *t = f->head.t;
	const struct net_link *l = find_link(t, track_conf(&f->head)->name);
	track_report(t, f->head.obj, f->delay.ok, !l ? "it is absent" : !l->up ? "it is down" : "it has no carrier");
}

static void on_timer(void *arg, mono_t deadline)
{
	(void)deadline;
	judge(arg);
}

static void note(struct iface *f, const struct net_link *l)
{
	const struct app_track *t = f->head.t;
	const struct cfg_track_iface *c = &t->cfg->track.ifaces[track_conf(&f->head)->index];
	bool up = l && !l->gone && l->up && l->carrier;
	if (track_delay_note(&f->delay, &t->obj[f->head.obj], up, up ? c->up_delay_ns : c->down_delay_ns))
		judge(f);
}

void track_ifaces_all(struct track_ifaces *s)
{
	for (uint16_t i = 0; i < s->list.n; i++)
		if (s->list.item[i]->used)
			note((struct iface *)s->list.item[i], find_link(s->t, track_conf(s->list.item[i])->name));
}

void track_ifaces_link(struct track_ifaces *s, const struct net_link *l)
{
	for (uint16_t i = 0; i < s->list.n; i++) {
		struct iface *f = (struct iface *)s->list.item[i];
		const char *name = track_conf(&f->head)->name;
		if (!f->head.used || !f->delay.seen)
			continue;
		if (strcmp(name, l->name) == 0)
			note(f, l);
		else if (f->delay.ok) /* it may have been renamed away */
			note(f, find_link(s->t, name));
	}
}

static void end_all(struct track_list *list)
{
	for (uint16_t i = 0; i < list->n; i++) {
		struct iface *f = (struct iface *)list->item[i];
		if (f)
			loop_timer_free(f->delay.timer);
		free(f);
	}
	free(list->item);
}

int track_ifaces_set(struct track_ifaces *s, const struct cfg *old)
{
	struct track_list gone;
	int rc = track_list_set(s->t, old, VRRP_TRACK_INTERFACE, sizeof(struct iface), &s->list, &gone);
	for (uint16_t i = 0; rc == 0 && i < s->list.n; i++) {
		struct iface *f = (struct iface *)s->list.item[i];
		if (!f->delay.timer)
			f->delay.timer = loop_timer_new(s->t->app->loop, LOOP_NORMAL, on_timer, f);
		rc = f->delay.timer ? 0 : -ENOMEM;
	}
	end_all(&gone);
	return rc;
}

json_t *track_ifaces_json(const struct track_ifaces *s, uint16_t index)
{
	const struct iface *f = (const struct iface *)s->list.item[index];
	bool waits = track_delayed(&f->delay, &s->t->obj[f->head.obj]);
	char detail[80];
	snprintf(detail, sizeof(detail), "link %s%s",
		 !f->delay.seen ? "unknown"
		 : f->delay.ok  ? "up"
				: "down",
		 waits ? ", not long enough to count" : "");
	return json_pack("{s:b, s:b, s:s}", "link", f->delay.ok, "delayed", waits, "detail", detail);
}

struct track_ifaces *track_ifaces_new(struct app_track *t)
{
	struct track_ifaces *s = calloc(1, sizeof(*s));
	if (s)
		s->t = t;
	return s;
}

void track_ifaces_free(struct track_ifaces *s)
{
	if (!s)
		return;
	end_all(&s->list);
	free(s);
}
