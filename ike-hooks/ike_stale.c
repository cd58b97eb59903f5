/*
 * The peer sends on an SPI that nobody here knows: it uses an SA of the former master, or of an earlier life of this one.
 *
 * Such a packet proves nothing, because its source can be forged, so while the tunnel is up the lists are asked first: is
 * the SPI one of this connection's after all, and did packets come in on the SA that we know? Who forges packets in the
 * name of a peer that is alive gets nothing but a question; a peer that really went astray sends nothing on our SA, and is
 * reset at once. On a tunnel without traffic the two look alike: then one reset per IKE_WATCH_GAP_NS is the limit.
 */
#include "ike-hooks/ike_int.h"

static void tell(struct ike_tunnel *t, struct ike_acts *o, mono_t now)
{
	struct ike_stale *s = &t->unknown;

	if (!mono_is_never(s->told_at) && mono_before(now, mono_add(s->told_at, IKE_WATCH_GAP_NS)))
		return;
	s->told_at = now;
	s->told++;
	struct ike_act *a = ike_emit(t, o, IKE_ACT_HOOK, IKE_WHY_SPI);
	a->hook = HOOK_SPI_UNKNOWN;
	a->spi = s->spi;
}

static bool too_early(const struct ike_tunnel *t, mono_t now)
{
	return !mono_is_never(t->reset_at) && mono_before(now, mono_add(t->reset_at, IKE_WATCH_GAP_NS));
}

void ike_stale(struct ike_tunnel *t, struct ike_acts *o, const struct ike_ev *ev, mono_t now)
{
	t->unknown.heard++;
	if (!t->active || !t->conf.watch_spi) {
		t->count.ignored++;
		return;
	}
	t->unknown.spi = ev->spi;
	switch (t->state) {
	case IKE_UP:
		if (mono_before(now, mono_add(t->since, IKE_YOUNG_NS))) {
			t->count.ignored++;
		} else if (too_early(t, now)) {
			t->count.resets_held++;
		} else if (t->req == IKE_REQ_NONE) {
			t->unknown.asked = true;
			ike_request(t, o, IKE_ACT_LIST, IKE_REQ_LIST, now);
		} else {
			t->unknown.asked = t->req == IKE_REQ_LIST; /* else the next packet asks */
		}
		return;
	case IKE_FAILED: /* the peer is alive, whatever made the last attempt fail: the next one does not wait */
		tell(t, o, now);
		ike_reset(t, o, IKE_WATCH_GAP_NS, IKE_WHY_SPI, now);
		return;
	case IKE_WAITING:
		tell(t, o, now); /* only the peer can begin */
		return;
	case IKE_ABSENT:
	case IKE_IDLE:
	case IKE_PURGING:
	case IKE_CHECKING:
	case IKE_INITIATING:
	case IKE_QUEUED:
	case IKE_CLOSING:
	case IKE_STATE_N:
		t->count.ignored++; /* what would be done is under way */
		return;
	}
}

/* Packets that came in since the last look: a later one, on the same child. */
static bool compares(const struct ike_stale *st, const struct ike_sample *s, mono_t now)
{
	return st->sa_id == s->sa_id && s->in_packets >= st->in && mono_sub(now, st->at) >= IKE_SILENT_NS;
}

bool ike_stale_sample(struct ike_tunnel *t, struct ike_acts *o, const struct ike_sample *s, mono_t now)
{
	struct ike_stale *st = &t->unknown;
	bool asked = st->asked, fair = compares(st, s, now), moved = s->in_packets != st->in;

	st->asked = false;
	if (!s->child)
		return false; /* gone, or in use by another thread of the IKE daemon: the machine counts these */
	if (fair || st->sa_id != s->sa_id || moved) {
		st->sa_id = s->sa_id;
		st->in = s->in_packets;
		st->at = now;
	}
	if (!asked)
		return false;
	bool known = s->more_spis; /* it may be one of those that are not told */
	for (unsigned i = 0; i < s->n_spis && !known; i++)
		known = s->spi_in[i] == st->spi;
	if (known) {
		st->known++;
		return false;
	}
	if (!fair || moved) {
		st->alive += moved;
		return false; /* the next packet asks again, and then there is something to compare with */
	}
	tell(t, o, now);
	return t->conf.initiate && ike_reset(t, o, IKE_WATCH_GAP_NS, IKE_WHY_SPI, now);
}
