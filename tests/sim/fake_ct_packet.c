/* Packets and the kernel's table in memory. Rules: nf_conntrack_proto_*.c, nf_nat_core.c. */
#include "tests/sim/fake_ct_int.h"
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "sync/ct_wire.h"

/* Kernel defaults in seconds. */
enum {
	T_UDP = 30,
	T_UDP_STREAM = 120,
	T_ICMP = 30,
	T_GENERIC = 600,
	STREAM_AFTER = 2, /* a UDP flow that lives on after this many seconds is a stream */
};

static uint32_t tcp_seconds(uint8_t state)
{
	static const uint32_t s[] = { [CT_TCP_SYN_SENT] = 120,  [CT_TCP_SYN_RECV] = 60,   [CT_TCP_ESTABLISHED] = 432000,
				      [CT_TCP_FIN_WAIT] = 120,  [CT_TCP_CLOSE_WAIT] = 60, [CT_TCP_LAST_ACK] = 30,
				      [CT_TCP_TIME_WAIT] = 120, [CT_TCP_CLOSE] = 10,      [CT_TCP_SYN_SENT2] = 120 };
	return s[state];
}

/* The part of the kernel's state table that ordinary connections use. */
static uint8_t tcp_next(const struct ent *e, int dir, unsigned fl)
{
	uint8_t s = e->tcp_state;
	if (fl & FAKE_TCP_RST)
		return CT_TCP_CLOSE;
	if ((fl & FAKE_TCP_SYN) && (fl & FAKE_TCP_ACK))
		return dir == REPLY && s == CT_TCP_SYN_SENT ? CT_TCP_SYN_RECV : s;
	if (fl & FAKE_TCP_SYN)
		return s;
	if (fl & FAKE_TCP_FIN) {
		if (s == CT_TCP_FIN_WAIT || s == CT_TCP_CLOSE_WAIT)
			return e->fin[!dir] ? CT_TCP_LAST_ACK : s;
		return s == CT_TCP_ESTABLISHED || s == CT_TCP_SYN_RECV ? CT_TCP_FIN_WAIT : s;
	}
	if (s == CT_TCP_SYN_RECV && dir == ORIG)
		return CT_TCP_ESTABLISHED;
	if (s == CT_TCP_FIN_WAIT && e->fin[!dir])
		return CT_TCP_CLOSE_WAIT;
	return s == CT_TCP_LAST_ACK && e->fin[!dir] ? CT_TCP_TIME_WAIT : s;
}

/* A copy that knows neither the scales nor to be lenient judges windows by what it never saw: the flow stalls
 * (session-sync 3.4). Entries that packets made have learnt both. */
static bool tcp_blind(const struct ent *e)
{
	unsigned both = e->tcp_flags[ORIG] & e->tcp_flags[REPLY];
	return e->injected && e->tcp_state == CT_TCP_ESTABLISHED && !(both & (CT_TCP_BE_LIBERAL | CT_TCP_WINDOW_SCALE));
}

/* Bits and state that change make an UPDATE; a timer that is set does not. False: invalid. */
static bool touch_tcp(struct fake_ct *f, struct ent *e, int dir, unsigned fl)
{
	if (tcp_blind(e))
		return false;
	uint32_t status = e->status;
	uint8_t state = tcp_next(e, dir, fl);
	bool moved = state != e->tcp_state;
	e->tcp_state = state;
	e->fin[dir] |= !!(fl & FAKE_TCP_FIN);
	fct_expire_at(f, e, tcp_seconds(state));
	if (dir == REPLY)
		e->status |= CT_ST_SEEN_REPLY;
	if (state == CT_TCP_ESTABLISHED && moved)
		e->status |= CT_ST_ASSURED;
	if (moved || status != e->status)
		fct_emit(f, e, CT_EV_UPDATE, 0, moved);
	return true;
}

static void touch_udp(struct fake_ct *f, struct ent *e, int dir)
{
	uint32_t status = e->status, t = T_UDP;
	if (e->status & CT_ST_SEEN_REPLY) {
		bool stream = f->now.ns > e->stream.ns;
		t = stream ? T_UDP_STREAM : T_UDP;
		if (stream)
			e->status |= CT_ST_ASSURED;
	}
	fct_expire_at(f, e, t);
	if (dir == REPLY)
		e->status |= CT_ST_SEEN_REPLY;
	if (status != e->status)
		fct_emit(f, e, CT_EV_UPDATE, 0, false);
}

static void touch_other(struct fake_ct *f, struct ent *e, int dir)
{
	uint8_t l4 = e->tuple[ORIG].l4;
	uint32_t status = e->status;
	fct_expire_at(f, e, l4 == IPPROTO_ICMP || l4 == IPPROTO_ICMPV6 ? T_ICMP : T_GENERIC);
	if (dir == REPLY)
		e->status |= CT_ST_SEEN_REPLY;
	if (status != e->status)
		fct_emit(f, e, CT_EV_UPDATE, 0, false);
}

/* Translation of a first packet; a port that is taken is moved on, as the kernel does for rules (not for requests). */
static bool packet_nat(struct fake_ct *f, struct ent *e, const struct fake_ct_nat *nat)
{
	struct fake_ct_manip dst = { .given = nat->dnat, .has_port = nat->dport, .port = nat->dport };
	struct fake_ct_manip src = { .given = nat->snat || nat->masquerade,
				     .has_port = nat->sport,
				     .port = nat->sport };
	memcpy(dst.addr, nat->dst, sizeof(dst.addr));
	memcpy(src.addr, nat->src, sizeof(src.addr));
	fct_nat_setup(e, &dst, false);
	struct ct_tuple before = e->tuple[REPLY];
	uint16_t port = src.has_port ? src.port : e->tuple[ORIG].sport;
	for (unsigned i = 0; i < 64; i++) {
		e->tuple[REPLY] = before;
		fct_nat_setup(e, &src, true);
		if (!fct_find(f, &e->tuple[REPLY], NULL))
			break;
		src.has_port = true;
		src.port = (uint16_t)(port + i + 1);
	}
	if (nat->masquerade) {
		e->masquerade = true;
		memcpy(e->masq_addr, nat->src, sizeof(e->masq_addr));
	}
	return !fct_find(f, &e->tuple[REPLY], NULL);
}

static enum fake_ct_verdict first_packet(struct fake_ct *f, const struct ct_tuple *t, unsigned fl,
					 const struct fake_ct_nat *nat, struct ent **out)
{
	struct ct_tuple inv;
	bool tcp = t->l4 == IPPROTO_TCP;
	if ((tcp && (fl & (FAKE_TCP_SYN | FAKE_TCP_ACK | FAKE_TCP_RST)) != FAKE_TCP_SYN) || !ct_tuple_invert(t, &inv))
		return FAKE_CT_INVALID;
	if (!fct_make_room(f, t, false))
		return FAKE_CT_FULL;
	struct ent *e = fct_new(f);
	e->tuple[ORIG] = *t;
	e->tuple[REPLY] = inv;
	e->stream = mono_add(f->now, STREAM_AFTER * NS_PER_SEC);
	e->status = CT_ST_CONFIRMED;
	if (nat && !packet_nat(f, e, nat)) {
		free(e);
		return FAKE_CT_INVALID;
	}
	uint32_t seconds = T_GENERIC;
	if (tcp) {
		e->tcp_state = CT_TCP_SYN_SENT;
		e->tcp_flags[ORIG] = e->tcp_flags[REPLY] = CT_TCP_WINDOW_SCALE | CT_TCP_SACK_PERM;
		e->tcp_wscale[ORIG] = e->tcp_wscale[REPLY] = 7;
		seconds = tcp_seconds(CT_TCP_SYN_SENT);
	} else if (t->l4 == IPPROTO_UDP) {
		seconds = T_UDP;
	} else if (t->l4 == IPPROTO_ICMP || t->l4 == IPPROTO_ICMPV6) {
		seconds = T_ICMP;
	}
	fct_expire_at(f, e, seconds);
	fct_link(f, e);
	fct_emit(f, e, CT_EV_NEW, 0, true);
	*out = e;
	return FAKE_CT_NEW;
}

enum fake_ct_verdict fake_ct_packet(struct fake_ct *f, const struct ct_tuple *t, unsigned tcp_flags,
				    const struct fake_ct_nat *nat, struct ct_tuple *out)
{
	int dir = ORIG;
	enum fake_ct_verdict v = FAKE_CT_FOUND;
	struct ent *e = fct_find(f, t, &dir);
	bool syn = (tcp_flags & (FAKE_TCP_SYN | FAKE_TCP_ACK)) == FAKE_TCP_SYN;
	if (e && t->l4 == IPPROTO_TCP && syn && (e->tcp_state == CT_TCP_TIME_WAIT || e->tcp_state == CT_TCP_CLOSE)) {
		fct_destroy(f, e, 0); /* the port is used again */
		e = NULL;
	}
	if (!e) {
		dir = ORIG;
		v = first_packet(f, t, tcp_flags, nat, &e);
		if (v != FAKE_CT_NEW)
			return v;
	} else if (t->l4 == IPPROTO_TCP) {
		if (!touch_tcp(f, e, dir, tcp_flags))
			return FAKE_CT_INVALID;
	} else if (t->l4 == IPPROTO_UDP) {
		touch_udp(f, e, dir);
	} else {
		touch_other(f, e, dir);
	}
	/* translated only if the kernel thinks so: a copy without the NAT bits lets packets out as they are */
	if (out) {
		bool nat_on = e->status & (CT_ST_SRC_NAT | CT_ST_DST_NAT);
		if (!nat_on || !ct_tuple_invert(&e->tuple[!dir], out))
			*out = *t;
	}
	return v;
}

void fake_ct_mark(struct fake_ct *f, const struct ct_tuple *t, uint32_t mark)
{
	struct ent *e = fct_find(f, t, NULL);
	if (!e || e->mark == mark)
		return;
	e->mark = mark;
	fct_emit(f, e, CT_EV_UPDATE, 0, false);
}

void fake_ct_addr_lost(struct fake_ct *f, uint8_t l3, const uint8_t *addr)
{
	for (uint32_t s = 0; s < f->n_slots; s++) {
		struct ent *e = f->slots[s];
		if (e && e->masquerade && e->tuple[ORIG].l3 == l3 && !memcmp(e->masq_addr, addr, l3 == 6 ? 16 : 4))
			fct_destroy(f, e, 0);
	}
}

void fake_ct_flush(struct fake_ct *f, uint32_t portid)
{
	for (uint32_t s = 0; s < f->n_slots; s++) {
		if (f->slots[s])
			fct_destroy(f, f->slots[s], portid);
	}
}
