/*
 * The first packet that comes in through a tunnel after a takeover: one tunnel of each group is asked for it, often at
 * first. For the timeline only: nothing depends on it.
 */
#include <errno.h>
#include "daemon/app_ipsec_int.h"
#include "daemon/base/clock.h"

#define PROBE_NS      (10 * NS_PER_MS)
#define PROBE_LATE_NS (200 * NS_PER_MS) /* once PROBE_SOON_NS are over */
#define PROBE_SOON_NS (1 * NS_PER_SEC)
#define PROBE_MAX_NS  (20 * NS_PER_SEC)

static void probe_arm(struct ipsec *p)
{
	mono_t now = loop_now(p->a->loop), next = MONO_NEVER;

	for (unsigned i = 0; i < IPSEC_PROBES; i++) {
		const struct ipsec_probe *b = &p->probe[i];
		bool soon = b->on && mono_sub(now, b->begun) < PROBE_SOON_NS;
		if (b->on)
			next = mono_min(next, mono_add(now, soon ? PROBE_NS : PROBE_LATE_NS));
	}
	loop_timer_set(p->probe_timer, next);
}

static void on_probe(void *arg, mono_t deadline)
{
	struct ipsec *p = arg;
	struct app *a = p->a;
	mono_t now = loop_now(a->loop);

	(void)deadline;
	for (unsigned i = 0; i < IPSEC_PROBES; i++) {
		struct ipsec_probe *b = &p->probe[i];
		if (!b->on)
			continue;
		const struct ike_tunnel *t = b->tunnel < a->node.n_tunnels ? &a->node.tunnel[b->tunnel] : NULL;
		struct vici_tag tag = { .tunnel = b->tunnel + IPSEC_PROBE_TAG, .epoch = b->epoch };
		b->on = t && !p->ended && t->state == IKE_UP && epoch_cmp(t->epoch, b->epoch) == 0 &&
			mono_sub(now, b->begun) < PROBE_MAX_NS && a->vici &&
			vici_list(a->vici, t->conf.ike, t->conf.child, tag) == 0;
	}
	probe_arm(p);
}

/* The first tunnel of a group that comes up after a change of role. */
void ipsec_probe_begin(struct app *a, uint16_t tunnel)
{
	struct ipsec *p = a->ipsec;
	const struct ike_tunnel *t = &a->node.tunnel[tunnel];
	const struct role *r = &a->node.group[t->conf.group].role;
	struct ipsec_probe *to = NULL;

	if (t->conf.backend != IKE_BACKEND_VICI || epoch_cmp(t->epoch, r->epoch) != 0 || r->rec.at[ROLE_PH_PACKET].ns)
		return;
	for (unsigned i = 0; i < IPSEC_PROBES; i++) {
		struct ipsec_probe *b = &p->probe[i];
		if (b->on && b->tunnel < a->node.n_tunnels && a->node.tunnel[b->tunnel].conf.group == t->conf.group &&
		    epoch_cmp(b->epoch, t->epoch) == 0)
			return;
		to = b->on ? to : b;
	}
	if (!to)
		return; /* the ordinary lists will show it, later */
	*to = (struct ipsec_probe){ .on = true, .tunnel = tunnel, .epoch = t->epoch, .begun = loop_now(a->loop) };
	probe_arm(p);
}

void ipsec_probe_answer(struct app *a, const struct vici_ev *v)
{
	struct ipsec *p = a->ipsec;

	for (unsigned i = 0; i < IPSEC_PROBES; i++) {
		struct ipsec_probe *b = &p->probe[i];
		if (!b->on || b->tunnel + IPSEC_PROBE_TAG != v->tag.tunnel || epoch_cmp(b->epoch, v->tag.epoch) != 0 ||
		    !v->ok || !v->sample.in_packets || b->tunnel >= a->node.n_tunnels)
			continue;
		b->on = false;
		struct ike_ev ev = { .kind = IKE_EV_SA_LIST, .epoch = b->epoch, .sample = v->sample };
		app_feed(a, &(struct node_ev){ .type = NODE_EV_IKE, .tunnel = b->tunnel, .ike = &ev });
	}
}

int ipsec_probe_start(struct app *a)
{
	a->ipsec->probe_timer = loop_timer_new(a->loop, LOOP_NORMAL, on_probe, a->ipsec);
	return a->ipsec->probe_timer ? 0 : -ENOMEM;
}
