/* Clients and servers: sessions that are opened, used, forgotten and closed through whoever answers to ARP. */
#include <netinet/in.h>
#include <string.h>
#include "daemon/base/require.h"
#include "sync/ct_wire.h"
#include "tests/sim/sim.h"

#define REST_NS (4 * NS_PER_SEC)

static void again(struct sim *w, unsigned k, int64_t delay_ns)
{
	struct sim_item *it = sim_item_new(w, IT_PACKET, 0);
	it->life = 0;
	it->num = k;
	sim_post(w, it, delay_ns);
}

/* Sessions that must not be told: of this box itself, excluded by the configuration, or worthless on another node. */
static void choose_kind(struct sim *w, struct sim_sess *s)
{
	struct addr src = addr_v4(10, 1, 0, (uint8_t)(150 + sim_below(w, 20))), dst = addr_v4(198, 51, 100, 7);
	s->kind = sim_chance(w, 0.8) ? KIND_THROUGH : (enum sim_kind)(1 + sim_below(w, KINDS - 1));
	w->count.skipped += s->kind != KIND_THROUGH;
	switch (s->kind) {
	case KIND_THROUGH:
		break;
	case KIND_LOCAL_ORIGIN:
		s->home = (int)sim_below(w, w->n_nodes);
		src = sim_addr(1, (unsigned)s->home);
		s->nat = false;
		break;
	case KIND_LOCAL_DEST:
		dst = w->vips[0][0].addr;
		s->nat = false;
		break;
	case KIND_IGNORED:
		dst = addr_v4(198, 51, 100, 70);
		break;
	case KIND_PROTO_OFF:
		s->l4 = IPPROTO_ICMP;
		s->idle = false;
		break;
	case KIND_NODE_ADDR:
		s->nat = true;
		break;
	}
	memcpy(s->orig.src, src.b, 16);
	memcpy(s->orig.dst, dst.b, 16);
}

static void open_session(struct sim *w, struct sim_sess *s)
{
	memset(s, 0, sizeof(*s));
	s->state = SESS_OPEN;
	s->l4 = sim_chance(w, 0.6) ? IPPROTO_TCP : IPPROTO_UDP;
	s->nat = sim_chance(w, 0.6);
	s->idle = s->l4 == IPPROTO_UDP && sim_chance(w, 0.4);
	s->pin = s->by = s->must = s->home = -1;
	s->opened = w->now;
	s->flushed = MONO_ZERO;
	choose_kind(w, s);
	s->orig.l3 = 4;
	s->orig.l4 = s->l4;
	s->orig.sport = (uint16_t)(10000 + w->next_port++ % 40000);
	s->orig.dport = s->l4 == IPPROTO_TCP ? 443 : s->l4 == IPPROTO_UDP ? 4500 : 8 << 8;
	s->mark = s->orig.sport % 4 == 0 ? s->orig.sport : 0;
	w->count.marked += s->mark != 0;
	if (w->born_at != -1 && sim_chance(w, 0.7))
		s->pin = w->born_at >= 0 ? w->born_at : (int)sim_below(w, w->n_nodes);
	w->count.sessions++;
}

static struct fake_ct_nat nat_of(const struct sim *w, const struct sim_sess *s, int by)
{
	struct fake_ct_nat nat = { .snat = s->orig.sport % 3 != 0, .masquerade = s->orig.sport % 3 == 0 };
	struct addr own = sim_addr(1, (unsigned)by);
	memcpy(nat.src, s->kind == KIND_NODE_ADDR ? own.b : w->vips[1][0].addr.b, 16);
	return nat;
}

/* True when the packet got through; *out is how it left. */
static bool forward(struct sim *w, struct sim_sess *s, int by, const struct ct_tuple *t, unsigned flags, bool first,
		    struct ct_tuple *out)
{
	if (by < 0 || !w->box[by].up || w->box[by].frozen_until.ns || !w->box[by].cable[SEG_LAN] ||
	    !w->box[by].cable[SEG_WAN])
		return false;
	struct fake_ct *ct = w->box[by].ct;
	struct fake_ct_nat nat = nat_of(w, s, by);
	fake_ct_run(ct, w->now);
	/* From outside only what belongs to a session gets in. */
	if (!first && fake_ct_left(ct, t) < 0)
		return false;
	w->count.packets++;
	enum fake_ct_verdict v = fake_ct_packet(ct, t, flags, first && s->nat ? &nat : NULL, out);
	if (s->mark && (v == FAKE_CT_FOUND || v == FAKE_CT_NEW))
		fake_ct_mark(ct, t, s->mark);
	sim_sync_ct(w, (unsigned)by);
	if (w->port == s->orig.sport)
		TRACE(w, "n%d packet of %u: %d", by + 1, w->port, (int)v);
	if (v != FAKE_CT_FOUND && v != FAKE_CT_NEW)
		return false;
	s->seen[by] = w->now;
	s->by = by;
	return true;
}

static int way(const struct sim *w, const struct sim_sess *s, enum sim_seg seg)
{
	return s->home >= 0 ? s->home : s->pin >= 0 ? s->pin : w->arp[seg];
}

/* There and, if it arrives as the server knows it, back again. */
static bool round_trip(struct sim *w, struct sim_sess *s, unsigned there, unsigned back)
{
	int lan = way(w, s, SEG_LAN), wan = way(w, s, s->kind == KIND_LOCAL_DEST ? SEG_LAN : SEG_WAN);
	struct ct_tuple out, answer, dummy;
	if (!forward(w, s, lan, &s->orig, there, true, &out))
		return false;
	if (s->step == 0)
		s->out = out;
	else if (!ct_tuple_equal(&out, &s->out))
		return false; /* the server knows nobody by that name */
	if (!back)
		return true;
	require(ct_tuple_invert(&out, &answer));
	return forward(w, s, wan, &answer, back, false, &dummy);
}

static int64_t pause_ns(struct sim *w, const struct sim_sess *s)
{
	if (s->idle)
		return sim_range(w, 5, 40) * NS_PER_SEC;
	return sim_chance(w, 0.7) ? sim_range(w, 100, 3000) * NS_PER_MS : sim_range(w, 3, 20) * NS_PER_SEC;
}

static bool tcp(struct sim *w, struct sim_sess *s)
{
	bool ok;
	if (s->step == 0) {
		ok = round_trip(w, s, FAKE_TCP_SYN, FAKE_TCP_SYN | FAKE_TCP_ACK);
		if (ok) {
			s->step = 1;
			ok = round_trip(w, s, FAKE_TCP_ACK, 0);
		}
	} else if (s->state == SESS_CLOSING) {
		s->state = SESS_ENDED;
		ok = round_trip(w, s, FAKE_TCP_FIN | FAKE_TCP_ACK, FAKE_TCP_FIN | FAKE_TCP_ACK);
		if (ok)
			round_trip(w, s, FAKE_TCP_ACK, 0);
		return ok;
	} else {
		ok = round_trip(w, s, FAKE_TCP_ACK, FAKE_TCP_ACK);
	}
	if (!ok && s->step == 0)
		s->state = SESS_ENDED;
	return ok;
}

static bool udp(struct sim *w, struct sim_sess *s)
{
	if (s->state == SESS_CLOSING) {
		s->state = SESS_ENDED;
		return true;
	}
	bool ok = round_trip(w, s, 1, s->idle && s->orig.sport % 2 ? 0 : 1);
	if (ok || s->step)
		s->step = 1;
	else
		s->state = SESS_ENDED;
	return ok;
}

/* A question to the virtual address itself, and its answer: whoever serves has a session that no other node may get. */
static void local_session(struct sim *w)
{
	int by = w->arp[SEG_LAN];
	struct ct_tuple t = {
		.l3 = 4, .l4 = IPPROTO_UDP, .sport = (uint16_t)(50000 + sim_below(w, 10000)), .dport = 53
	};
	struct ct_tuple out, answer;
	struct addr src = addr_v4(10, 1, 0, (uint8_t)(150 + sim_below(w, 20)));
	if (by < 0 || !w->box[by].up || !w->box[by].cable[SEG_LAN])
		return;
	memcpy(t.src, src.b, 16);
	memcpy(t.dst, w->vips[0][0].addr.b, 16);
	fake_ct_run(w->box[by].ct, w->now);
	if (fake_ct_packet(w->box[by].ct, &t, 1, NULL, &out) != FAKE_CT_NEW)
		return;
	require(ct_tuple_invert(&out, &answer));
	(void)fake_ct_packet(w->box[by].ct, &answer, 1, NULL, &out);
	sim_sync_ct(w, (unsigned)by);
}

/* Long after the last fault a session in use is never lost; and what is not replicated begins anew when it breaks. */
static void after_packet(struct sim *w, struct sim_sess *s, bool ok)
{
	bool rest = w->healing && !mono_is_never(w->one_since) && mono_sub(w->now, w->one_since) > REST_NS &&
		    mono_sub(w->now, w->heal_at) > REST_NS && s->state == SESS_OPEN;
	if (rest && s->safe && !ok && s->kind == KIND_THROUGH && s->l4 == IPPROTO_TCP)
		sim_violation(w,
			      "the session of port %u is lost while nothing happens: its last packet got through "
			      "%.3f s ago",
			      s->orig.sport, (double)mono_sub(w->now, s->last) / 1e9);
	s->safe = rest && ok;
	if (!ok && s->kind != KIND_THROUGH)
		s->state = SESS_ENDED;
}

void sim_packet(struct sim *w, struct sim_item *it)
{
	unsigned k = it->num;
	struct sim_sess *s = &w->sess[k];
	bool quiet = w->healing && mono_sub(w->now, w->heal_at) > 2 * NS_PER_SEC;
	if (s->state == SESS_FREE || s->state == SESS_ENDED) {
		if (!quiet)
			open_session(w, s);
		if (!quiet && sim_chance(w, 0.1))
			local_session(w);
	} else if (s->step && !quiet && mono_sub(w->now, s->opened) > 5 * NS_PER_SEC && sim_chance(w, 0.03)) {
		s->state = SESS_CLOSING;
	}
	if (s->mark && sim_chance(w, 0.02))
		s->mark += 0x10000; /* the rules change their mind */
	if (s->state == SESS_OPEN || s->state == SESS_CLOSING) {
		int by = w->arp[SEG_LAN];
		bool known = by >= 0 && by == s->must && by == w->arp[SEG_WAN] && s->pin < 0 && w->box[by].up &&
			     w->box[by].cable[SEG_LAN] && w->box[by].cable[SEG_WAN];
		bool ok = s->l4 == IPPROTO_TCP ? tcp(w, s) : udp(w, s);
		if (known && !ok)
			sim_violation(
			    w, "n%d does not know the session of port %u, although it had everything when it took over",
			    by + 1, s->orig.sport);
		w->count.kept += known && ok;
		after_packet(w, s, ok);
		s->well = ok;
		s->must = -1;
		s->last = w->now;
	}
	again(w, k, pause_ns(w, s));
}

void sim_load_start(struct sim *w)
{
	for (unsigned k = 0; k < SIM_SESS; k++)
		again(w, k, sim_range(w, 2000, 8000) * NS_PER_MS);
}

void sim_load_forget(struct sim *w, unsigned n)
{
	for (unsigned k = 0; k < SIM_SESS; k++)
		w->sess[k].seen[n] = MONO_ZERO;
}
