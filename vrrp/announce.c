#include "vrrp/announce.h"

#include "daemon/base/require.h"

static struct announce_inst *at(const struct announce *a, uint16_t inst)
{
	require(inst < a->n);
	return (struct announce_inst *)(void *)(a->base + (size_t)inst * a->stride);
}

/* When this instance has something to do. */
static mono_t wanted(const struct announce_inst *i)
{
	if (!i->on)
		return MONO_NEVER;
	if (i->rounds)
		return i->round_at;
	mono_t t = mono_min(mono_min(i->second_at, i->settle_at), mono_min(i->lower_at, i->refresh_at));
	return mono_min(t, i->extra_at);
}

static void retime(struct announce *a, uint16_t inst)
{
	timerq_set(&a->due, inst, wanted(at(a, inst)));
}

static void rest(struct announce_inst *i)
{
	i->on = i->extra = false;
	i->rounds = i->next_vip = 0;
	i->round_at = i->second_at = i->settle_at = i->lower_at = i->refresh_at = i->extra_at = MONO_NEVER;
	i->lower_quiet = i->covered_until = MONO_ZERO;
}

static void queue(struct announce *a, struct announce_inst *first, size_t stride, uint16_t n)
{
	a->base = (char *)first;
	a->stride = stride;
	a->n = n;
	timerq_init(&a->due, n ? &first->timer : NULL, stride, n);
}

void announce_init(struct announce *a, struct announce_inst *first, size_t stride, uint16_t n)
{
	*a = (struct announce){ 0 };
	queue(a, first, stride, n);
	for (uint16_t i = 0; i < n; i++)
		rest(at(a, i));
}

static mono_t after(int64_t ns, mono_t now)
{
	return ns > 0 ? mono_add(now, ns) : MONO_NEVER;
}

/* A period that was changed counts from now on. */
static mono_t period(mono_t running, int64_t ns, mono_t now)
{
	mono_t next = after(ns, now);
	return mono_is_never(running) || mono_is_never(next) ? next : mono_min(running, next);
}

void announce_rebuild(struct announce *a, struct announce_inst *first, size_t stride, uint16_t n, mono_t now)
{
	queue(a, first, stride, n);
	for (uint16_t k = 0; k < n; k++) {
		struct announce_inst *i = at(a, k);
		const struct vrrp_conf *c = i->conf;
		if (!i->on) {
			rest(i);
			continue;
		}
		if (i->next_vip >= c->n_vips)
			i->next_vip = 0;
		if (!c->n_vips)
			i->rounds = 0;
		i->refresh_at = period(i->refresh_at, c->garp_refresh_ns, now);
		i->extra_at = period(i->extra_at, c->vmac == VRRP_VMAC_NONE ? 0 : c->garp_extra_ns, now);
		retime(a, k);
	}
}

/* More rounds than are left begin with the next address; a round under way is finished. */
static void burst(struct announce *a, struct announce_inst *i, unsigned rounds, enum announce_why why, mono_t now)
{
	if (!rounds || !i->conf->n_vips)
		return;
	a->bursts[why]++;
	if (!i->rounds || i->extra) {
		i->extra = false;
		i->next_vip = 0;
		i->round_at = now;
		i->rounds = 0;
	}
	if (i->rounds < rounds)
		i->rounds = (uint16_t)rounds;
}

static void take(struct announce *a, struct announce_inst *i, unsigned rounds, mono_t first_at, mono_t now)
{
	const struct vrrp_conf *c = i->conf;
	i->on = true;
	burst(a, i, rounds, ANNOUNCE_TAKEN, now);
	if (rounds)
		i->round_at = first_at;
	i->second_at = after(c->garp_delay_ns, now);
	i->refresh_at = after(c->garp_refresh_ns, now);
	i->extra_at = after(c->vmac == VRRP_VMAC_NONE ? 0 : c->garp_extra_ns, now);
}

/* Whoever sets a pace has switches that lose bursts: then the first round keeps to it as well. */
static bool paced(const struct vrrp_conf *c)
{
	return (c->af == ADDR_V6 ? c->na_interval_ns : c->garp_interval_ns) > 0;
}

bool announce_added(struct announce *a, uint16_t inst, mono_t now)
{
	struct announce_inst *i = at(a, inst);
	if (i->on && mono_before(now, i->covered_until))
		return false;
	if (paced(i->conf)) { /* one burst for all addresses, of which this is the first */
		if (!i->on || (!i->rounds && mono_is_never(i->second_at)))
			take(a, i, i->conf->garp_repeat, now, now);
		retime(a, inst);
		return false;
	}
	unsigned more = i->conf->garp_repeat - 1u;
	mono_t next = mono_add(now, ANNOUNCE_GAP_NS);
	bool idle = !i->rounds && mono_is_never(i->second_at);
	if (!i->on || idle)
		take(a, i, more, next, now);
	else if (i->rounds == more && !i->next_vip && !i->extra)
		i->round_at = next; /* the kernel is not done: the second round follows the whole first one */
	retime(a, inst);
	return true;
}

void announce_all(struct announce *a, uint16_t inst, mono_t now)
{
	take(a, at(a, inst), at(a, inst)->conf->garp_repeat, now, now);
	at(a, inst)->covered_until = mono_add(now, ANNOUNCE_GAP_NS);
	retime(a, inst);
}

void announce_lower(struct announce *a, uint16_t inst, mono_t now)
{
	struct announce_inst *i = at(a, inst);
	const struct vrrp_conf *c = i->conf;
	if (!i->on || !c->garp_lower_repeat)
		return;
	i->settle_at = mono_add(now, 3 * c->adv_ns);
	i->lower_at = after(c->garp_lower_delay_ns, now);
	if (mono_due(i->lower_quiet, now)) {
		i->lower_quiet = mono_add(now, ANNOUNCE_LOWER_NS);
		burst(a, i, c->garp_lower_repeat, ANNOUNCE_LOWER, now);
	}
	retime(a, inst);
}

void announce_end(struct announce *a, uint16_t inst)
{
	rest(at(a, inst));
	retime(a, inst);
}

/* Starts what is due. */
static void begin(struct announce *a, struct announce_inst *i, mono_t now)
{
	const struct vrrp_conf *c = i->conf;
	if (mono_due(i->second_at, now)) {
		i->second_at = MONO_NEVER;
		burst(a, i, c->garp_repeat, ANNOUNCE_SECOND, now);
	}
	if (mono_due(i->settle_at, now)) {
		i->settle_at = MONO_NEVER;
		burst(a, i, c->garp_lower_repeat, ANNOUNCE_LOWER, now);
	}
	if (mono_due(i->lower_at, now)) {
		i->lower_at = MONO_NEVER;
		burst(a, i, c->garp_lower_repeat, ANNOUNCE_LOWER, now);
	}
	if (mono_due(i->refresh_at, now)) {
		i->refresh_at = after(c->garp_refresh_ns, now);
		burst(a, i, c->garp_refresh_repeat, ANNOUNCE_REFRESH, now);
	}
	if (mono_due(i->extra_at, now) && !i->rounds) {
		i->extra_at = after(c->garp_extra_ns, now);
		burst(a, i, 1, ANNOUNCE_EXTRA, now);
		i->extra = i->rounds > 0;
	}
}

bool announce_next(struct announce *a, mono_t now, struct announce_item *out)
{
	uint32_t key;
	while (timerq_pop(&a->due, now, &key)) {
		uint16_t inst = (uint16_t)key;
		struct announce_inst *i = at(a, inst);
		if (!i->rounds)
			begin(a, i, now);
		if (!i->rounds) { /* nothing to say: no addresses, or a round of none */
			retime(a, inst);
			continue;
		}
		*out = (struct announce_item){ .inst = inst, .vip = i->next_vip++, .extra = i->extra };
		if (i->next_vip == i->conf->n_vips) {
			i->next_vip = 0;
			i->round_at = mono_add(now, ANNOUNCE_GAP_NS);
			i->rounds--;
			i->extra = i->extra && i->rounds;
		} else {
			i->round_at = now; /* behind everybody else who is due */
		}
		retime(a, inst);
		return true;
	}
	return false;
}

void announce_again(struct announce *a, const struct announce_item *it, mono_t again_at)
{
	struct announce_inst *i = at(a, it->inst);
	if (!i->on)
		return;
	if (!i->next_vip) { /* it was the last one of a round */
		i->rounds++;
		i->extra = it->extra;
	}
	i->next_vip = it->vip;
	i->round_at = again_at;
	retime(a, it->inst);
}

mono_t announce_pace(const struct announce *a, int ifindex, uint8_t af)
{
	unsigned place = (unsigned)ifindex % ANNOUNCE_PACES;
	return af == ADDR_V6 ? a->pace[place].na : a->pace[place].arp;
}

void announce_sent(struct announce *a, int ifindex, uint8_t af, int64_t gap_ns, mono_t now)
{
	unsigned place = (unsigned)ifindex % ANNOUNCE_PACES;
	if (gap_ns > 0)
		*(af == ADDR_V6 ? &a->pace[place].na : &a->pace[place].arp) = mono_add(now, gap_ns);
}

mono_t announce_deadline(const struct announce *a)
{
	return timerq_next(&a->due);
}
