/*
 * Tracked interfaces: the link has to be up and to have a carrier, for as long as the configuration wants it to.
 */
#include "daemon/track_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/clock.h"

struct iface {
	struct track_ifaces *all;
	struct loop_timer *timer;
	uint16_t obj;
	bool seen, up; /* as the kernel says */
	mono_t since;  /* of that */
};

struct track_ifaces {
	struct app_track *t;
	struct iface **list; /* by index of the configuration */
	uint16_t n;
};

static const char *why_down(const struct track_ifaces *s, const struct iface *f)
{
	const struct net_link *l =
	    s->t->app->net ? netstate_link_by_name(netapply_state(s->t->app->net), s->t->cfg->track.objs[f->obj].name)
			   : NULL;
	return !l ? "it is absent" : !l->up ? "it is down" : "it has no carrier";
}

static void judge(struct iface *f)
{
	struct app_track *t = f->all->t;
	track_report(t, f->obj, f->up, f->up ? "" : why_down(f->all, f));
}

static void on_timer(void *arg, mono_t deadline)
{
	(void)deadline;
	judge(arg);
}

static void note(struct iface *f, bool up)
{
	const struct app_track *t = f->all->t;
	const struct cfg_track_iface *c = &t->cfg->track.ifaces[t->cfg->track.objs[f->obj].index];
	bool first = !f->seen;
	if (f->seen && f->up == up)
		return;
	f->seen = true;
	f->up = up;
	f->since = clock_mono();
	int64_t wait_ns = up ? c->up_delay_ns : c->down_delay_ns;
	/* Back to what still counts: nothing is waited for. */
	if (first || wait_ns == 0 || t->obj[f->obj].up == up) {
		loop_timer_set(f->timer, MONO_NEVER);
		judge(f);
	} else {
		loop_timer_set(f->timer, mono_add(f->since, wait_ns));
	}
}

static bool link_ok(const struct net_link *l)
{
	return l && !l->gone && l->up && l->carrier;
}

void track_ifaces_all(struct track_ifaces *s)
{
	struct netstate *ns = netapply_state(s->t->app->net);
	for (uint16_t i = 0; i < s->n; i++)
		if (s->list[i]->timer)
			note(s->list[i],
			     link_ok(netstate_link_by_name(ns, s->t->cfg->track.objs[s->list[i]->obj].name)));
}

void track_ifaces_link(struct track_ifaces *s, const struct net_link *l)
{
	/* Whatever it was called before: its former name is looked at as well. */
	struct netstate *ns = netapply_state(s->t->app->net);
	for (uint16_t i = 0; i < s->n; i++) {
		struct iface *f = s->list[i];
		const char *name = s->t->cfg->track.objs[f->obj].name;
		if (!f->seen || !f->timer)
			continue;
		if (strcmp(name, l->name) == 0)
			note(f, link_ok(l));
		else if (f->up)
			note(f, link_ok(netstate_link_by_name(ns, name)));
	}
}

static void iface_free(struct iface *f)
{
	if (!f)
		return;
	loop_timer_free(f->timer);
	free(f);
}

int track_ifaces_set(struct track_ifaces *s, const struct cfg *old)
{
	const struct cfg *now = s->t->cfg;
	struct iface **was = s->list;
	uint16_t n_was = s->n, n = 0;
	int rc = 0;
	for (uint16_t i = 0; i < now->track.n_objs; i++)
		n = (uint16_t)(n + (now->track.objs[i].kind == VRRP_TRACK_INTERFACE));
	s->list = calloc(n + 1u, sizeof(struct iface *));
	s->n = s->list ? n : 0;
	for (uint16_t i = 0; s->list && i < now->track.n_objs; i++) {
		const struct vrrp_track_conf *c = &now->track.objs[i];
		if (c->kind != VRRP_TRACK_INTERFACE)
			continue;
		int o = track_old(old, now, i);
		struct iface **from = o >= 0 ? &was[old->track.objs[o].index] : NULL;
		struct iface *f = from ? *from : calloc(1, sizeof(*f));
		if (from)
			*from = NULL;
		s->list[c->index] = f;
		if (!f) {
			rc = -ENOMEM;
			break;
		}
		f->all = s;
		f->obj = i;
		if (c->used && !f->timer)
			f->timer = loop_timer_new(s->t->app->loop, LOOP_NORMAL, on_timer, f);
		rc = c->used && !f->timer ? -ENOMEM : rc;
	}
	for (uint16_t i = 0; i < n_was; i++)
		iface_free(was[i]);
	free(was);
	return s->list ? rc : -ENOMEM;
}

json_t *track_ifaces_json(const struct track_ifaces *s, uint16_t index)
{
	const struct iface *f = s->list[index];
	bool waits = f->seen && s->t->obj[f->obj].up != f->up;
	char detail[80];
	snprintf(detail, sizeof(detail), "link %s%s",
		 !f->seen ? "unknown"
		 : f->up  ? "up"
			  : "down",
		 waits ? ", not long enough to count" : "");
	return json_pack("{s:b, s:b, s:s}", "link", f->up, "delayed", waits, "detail", detail);
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
	for (uint16_t i = 0; i < s->n; i++)
		iface_free(s->list[i]);
	free(s->list);
	free(s);
}
