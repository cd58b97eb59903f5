/* The kernel's table in memory: storage, what is reported, time. Rules: nf_conntrack_core.c, nf_conntrack_netlink.c. */
#include "tests/sim/fake_ct_int.h"
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"
#include "sync/ct_wire.h"

/* --- storage --- */

static uint32_t hash(const struct ct_tuple *t)
{
	const uint8_t *p = (const uint8_t *)t;
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < sizeof(*t); i++)
		h = (h ^ p[i]) * 16777619u;
	return h % FAKE_CT_BUCKETS;
}

static struct ent *find_in(const struct fake_ct *f, const struct ct_tuple *t, int dir)
{
	for (struct ent *e = f->bucket[dir][hash(t)]; e; e = e->next[dir]) {
		if (ct_tuple_equal(&e->tuple[dir], t))
			return e;
	}
	return NULL;
}

struct ent *fct_find(const struct fake_ct *f, const struct ct_tuple *t, int *dir)
{
	int d = ORIG;
	struct ent *e = find_in(f, t, ORIG);
	if (!e) {
		d = REPLY;
		e = find_in(f, t, REPLY);
	}
	if (dir)
		*dir = d;
	return e;
}

void fct_expire_at(struct fake_ct *f, struct ent *e, uint32_t seconds)
{
	e->expires = mono_add(f->now, (int64_t)seconds * NS_PER_SEC);
	f->next = mono_min(f->next, e->expires);
}

void fct_link(struct fake_ct *f, struct ent *e)
{
	for (int d = ORIG; d <= REPLY; d++) {
		struct ent **head = &f->bucket[d][hash(&e->tuple[d])];
		e->next[d] = *head;
		*head = e;
	}
	if (f->n_slots == f->cap_slots) {
		f->cap_slots = f->cap_slots ? 2 * f->cap_slots : 256;
		f->slots = realloc(f->slots, f->cap_slots * sizeof(*f->slots));
		require(f->slots);
	}
	/* a slot is never moved, so that a walk sees an entry that stays exactly once */
	uint32_t s = f->free_slot;
	while (s < f->n_slots && f->slots[s])
		s++;
	if (s == f->n_slots)
		f->n_slots++;
	f->free_slot = s + 1;
	f->slots[s] = e;
	e->slot = s;
	f->count++;
}

static void unlink_ent(struct fake_ct *f, struct ent *e)
{
	for (int d = ORIG; d <= REPLY; d++) {
		struct ent **at = &f->bucket[d][hash(&e->tuple[d])];
		while (*at != e)
			at = &(*at)->next[d];
		*at = e->next[d];
	}
	f->slots[e->slot] = NULL;
	if (e->slot < f->free_slot)
		f->free_slot = e->slot;
	f->count--;
}

struct ent *fct_new(struct fake_ct *f)
{
	struct ent *e = calloc(1, sizeof(*e));
	require(e);
	e->id = ++f->next_id * 2654435761u;
	e->born = ++f->births;
	e->stream = f->now;
	e->mute = f->events_mode == 2 && !f->new_update && !f->destroy;
	f->stats.mute += e->mute;
	return e;
}

/* --- what is reported --- */

static uint32_t left_s(const struct fake_ct *f, const struct ent *e)
{
	int64_t left = mono_sub(e->expires, f->now);
	return left > 0 ? (uint32_t)(left / NS_PER_SEC) : 0;
}

void fct_describe(const struct fake_ct *f, const struct ent *e, enum ct_event_type type, bool protoinfo, bool marked,
		  struct ct_entry *out)
{
	memset(out, 0, sizeof(*out));
	out->orig = e->tuple[ORIG];
	out->reply = e->tuple[REPLY];
	out->has = CT_HAS_REPLY | CT_HAS_STATUS | CT_HAS_ID;
	out->status = e->status;
	out->id = e->id;
	if (e->mark || marked) {
		out->has |= CT_HAS_MARK;
		out->mark = e->mark;
	}
	bool tcp = e->tuple[ORIG].l4 == IPPROTO_TCP;
	if (tcp && protoinfo) {
		out->has |= CT_HAS_TCP;
		out->tcp_state = e->tcp_state;
	}
	/* a removal tells the time that was left, if any: an expiry has none */
	out->timeout_s = left_s(f, e);
	if (out->timeout_s || type != CT_EV_DESTROY)
		out->has |= CT_HAS_TIMEOUT;
	if (type == CT_EV_DESTROY)
		return;
	if (tcp && protoinfo) {
		out->has |= CT_HAS_TCP_WIN;
		for (int d = ORIG; d <= REPLY; d++) {
			out->tcp_flags[d] = e->tcp_flags[d];
			out->tcp_wscale[d] = e->tcp_wscale[d];
		}
	}
	if (e->helper[0]) {
		out->has |= CT_HAS_HELPER;
		memcpy(out->helper, e->helper, sizeof(out->helper));
	}
	if (e->has_master && type != CT_EV_UPDATE) {
		out->has |= CT_HAS_MASTER;
		out->master = e->master;
		out->master.zone = e->tuple[ORIG].zone;
	}
}

void fct_emit(struct fake_ct *f, const struct ent *e, enum ct_event_type type, uint32_t portid, bool protoinfo)
{
	bool joined = type == CT_EV_DESTROY ? f->destroy : f->new_update;
	if (!joined || e->mute || (f->own && portid == f->own))
		return;
	if (f->fault.lose_silent) {
		f->fault.lose_silent--;
		f->stats.lost_silent++;
		return;
	}
	if (f->fault.lose_told || f->q_n == f->q_cap) {
		f->fault.lose_told -= f->fault.lose_told > 0;
		f->stats.lost_told++;
		f->overrun = true;
		return;
	}
	struct ct_event *ev = &f->queue[(f->q_head + f->q_n++) % f->q_cap];
	ev->type = type;
	ev->portid = portid;
	fct_describe(f, e, type, protoinfo, portid && type != CT_EV_DESTROY, &ev->e);
}

void fct_destroy(struct fake_ct *f, struct ent *e, uint32_t portid)
{
	e->status |= CT_ST_DYING;
	fct_emit(f, e, CT_EV_DESTROY, portid, true);
	unlink_ent(f, e);
	free(e);
}

uint32_t fake_ct_max(const struct fake_ct *f)
{
	return f->crowd ? f->crowd : f->max;
}

bool fct_make_room(struct fake_ct *f, const struct ct_tuple *t, bool request)
{
	if (f->count < fake_ct_max(f))
		return true;
	uint32_t from = f->n_slots ? hash(t) % f->n_slots : 0;
	for (uint32_t i = 0; f->early_drop && i < f->n_slots; i++) {
		struct ent *e = f->slots[(from + i) % f->n_slots];
		if (!e || e->status & (CT_ST_ASSURED | CT_ST_OFFLOAD))
			continue;
		f->stats.early_dropped++;
		f->evicted += request && !f->crowd;
		f->dropped[f->n_dropped++ % 64] = e->tuple[ORIG];
		fct_destroy(f, e, 0);
		return f->count < fake_ct_max(f);
	}
	return false;
}

/* --- time --- */

void fake_ct_run(struct fake_ct *f, mono_t now)
{
	while (mono_due(f->next, now)) {
		struct ent *first = NULL;
		mono_t after = MONO_NEVER;
		for (uint32_t s = 0; s < f->n_slots; s++) {
			struct ent *e = f->slots[s];
			if (!e)
				continue;
			bool sooner = first && (e->expires.ns < first->expires.ns ||
						(e->expires.ns == first->expires.ns && e->born < first->born));
			if (!first || sooner) {
				if (first)
					after = mono_min(after, first->expires);
				first = e;
			} else {
				after = mono_min(after, e->expires);
			}
		}
		if (!first || !mono_due(first->expires, now)) {
			f->next = first ? first->expires : MONO_NEVER;
			break;
		}
		f->now = mono_max(f->now, first->expires);
		f->next = after;
		fct_destroy(f, first, 0);
	}
	f->now = mono_max(f->now, now);
}

mono_t fake_ct_next(const struct fake_ct *f)
{
	mono_t t = MONO_NEVER;
	for (uint32_t s = 0; s < f->n_slots; s++) {
		if (f->slots[s])
			t = mono_min(t, f->slots[s]->expires);
	}
	return t;
}

/* --- reading --- */

unsigned fake_ct_events(struct fake_ct *f, struct ct_event *out, unsigned cap, bool *overrun)
{
	unsigned n = 0;
	if (overrun)
		*overrun = f->overrun;
	f->overrun = overrun ? false : f->overrun;
	while (n < cap && f->q_n) {
		out[n++] = f->queue[f->q_head];
		f->q_head = (f->q_head + 1) % f->q_cap;
		f->q_n--;
	}
	return n;
}

unsigned fake_ct_queued(const struct fake_ct *f)
{
	return f->q_n;
}

unsigned fake_ct_dump(const struct fake_ct *f, uint64_t *cursor, struct ct_event *out, unsigned cap)
{
	unsigned n = 0;
	while (n < cap && *cursor < f->n_slots) {
		const struct ent *e = f->slots[(*cursor)++];
		if (!e)
			continue;
		out[n].type = CT_EV_DUMP;
		out[n].portid = 0;
		fct_describe(f, e, CT_EV_DUMP, true, true, &out[n++].e);
	}
	return n;
}

uint32_t fake_ct_count(const struct fake_ct *f)
{
	return f->count;
}

void fake_ct_early_drop(struct fake_ct *f)
{
	f->early_drop = true;
}

uint32_t fake_ct_evicted(const struct fake_ct *f)
{
	return f->evicted;
}

int64_t fake_ct_left(const struct fake_ct *f, const struct ct_tuple *t)
{
	const struct ent *e = fct_find(f, t, NULL);
	return e ? (int64_t)left_s(f, e) : -1;
}

bool fake_ct_find(const struct fake_ct *f, const struct ct_tuple *orig, struct ct_entry *out)
{
	const struct ent *e = find_in(f, orig, ORIG);
	if (e)
		fct_describe(f, e, CT_EV_DUMP, true, true, out);
	return e;
}

/* --- life --- */

void fake_ct_listen(struct fake_ct *f, bool new_update, bool destroy_too, uint32_t own)
{
	f->new_update = new_update;
	f->destroy = destroy_too;
	f->own = own;
}

void fake_ct_sysctl_events(struct fake_ct *f, int mode)
{
	require(mode == 1 || mode == 2);
	f->events_mode = mode;
}

struct fake_ct_fault *fake_ct_fault(struct fake_ct *f)
{
	return &f->fault;
}

const struct fake_ct_stats *fake_ct_stats(const struct fake_ct *f)
{
	return &f->stats;
}

void fake_ct_crowd(struct fake_ct *f, uint32_t max)
{
	f->crowd = max;
}

bool fake_ct_dropped(struct fake_ct *f, struct ct_tuple *out)
{
	if (f->n_dropped > 64)
		f->n_dropped = 64;
	if (!f->n_dropped)
		return false;
	*out = f->dropped[--f->n_dropped];
	return true;
}

void fake_ct_close(struct fake_ct *f)
{
	fake_ct_listen(f, false, false, 0);
	f->q_n = 0;
	f->overrun = false;
}

struct fake_ct *fake_ct_new(uint32_t max, uint32_t queue)
{
	struct fake_ct *f = calloc(1, sizeof(*f));
	require(f && queue);
	f->max = max;
	f->q_cap = queue;
	f->queue = calloc(queue, sizeof(*f->queue));
	require(f->queue);
	f->next = MONO_NEVER;
	f->events_mode = 1;
	return f;
}

void fake_ct_free(struct fake_ct *f)
{
	if (!f)
		return;
	for (uint32_t s = 0; s < f->n_slots; s++)
		free(f->slots[s]);
	free(f->slots);
	free(f->queue);
	free(f);
}
