/* The kernel's table in memory. Rules: nf_conntrack_core.c, nf_conntrack_netlink.c, nf_nat_core.c. */
#include "tests/sim/fake_ct.h"
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"
#include "sync/ct_wire.h"
#include "tests/sim/fake_ct_req.h"

enum { BUCKETS = 4096, ORIG = 0, REPLY = 1 };

/* IPS_UNCHANGEABLE_MASK: bits that a request cannot set or clear. */
#define UNCHANGEABLE                                                                                                  \
	(CT_ST_SRC_NAT | CT_ST_DST_NAT | CT_ST_SRC_NAT_DONE | CT_ST_DST_NAT_DONE | CT_ST_EXPECTED | CT_ST_CONFIRMED | \
	 CT_ST_DYING | CT_ST_SEQ_ADJUST | 1u << 11 | 1u << 12 | 1u << 13 | CT_ST_OFFLOAD | 1u << 15)

/* IPS_HELPER: the helper was named, not guessed. */
#define ST_HELPER (1u << 13)

/* Kernel defaults in seconds. */
enum {
	T_UDP = 30,
	T_UDP_STREAM = 120,
	T_ICMP = 30,
	T_GENERIC = 600,
	STREAM_AFTER = 2, /* a UDP flow that lives on after this many seconds is a stream */
};

struct ent {
	struct ent *next[2]; /* chains of the two tuples */
	struct ct_tuple tuple[2];
	struct ct_tuple master;
	uint32_t slot, id, status, mark;
	uint8_t tcp_state, tcp_flags[2], tcp_wscale[2];
	bool has_master, mute, masquerade, injected, fin[2];
	uint8_t masq_addr[16];
	char helper[16];
	mono_t expires, stream;
	uint64_t born; /* order of creation */
};

struct fake_ct {
	uint32_t max, crowd, count, next_id, n_slots, cap_slots, free_slot;
	struct ent **slots;
	struct ent *bucket[2][BUCKETS];
	mono_t now, next;
	uint64_t births;
	bool early_drop;
	uint32_t evicted;
	/* the one listener */
	bool new_update, destroy, overrun;
	uint32_t own;
	int events_mode;
	struct ct_event *queue;
	uint32_t q_cap, q_head, q_n;
	struct fake_ct_fault fault;
	struct fake_ct_stats stats;
	struct ct_tuple dropped[64];
	unsigned n_dropped;
};

/* --- storage --- */

static uint32_t hash(const struct ct_tuple *t)
{
	const uint8_t *p = (const uint8_t *)t;
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < sizeof(*t); i++)
		h = (h ^ p[i]) * 16777619u;
	return h % BUCKETS;
}

static struct ent *find_in(const struct fake_ct *f, const struct ct_tuple *t, int dir)
{
	for (struct ent *e = f->bucket[dir][hash(t)]; e; e = e->next[dir]) {
		if (ct_tuple_equal(&e->tuple[dir], t))
			return e;
	}
	return NULL;
}

/* As the kernel: one hash for both directions, so a tuple finds the entry whichever direction it is of. */
static struct ent *find(const struct fake_ct *f, const struct ct_tuple *t, int *dir)
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

static void expire_at(struct fake_ct *f, struct ent *e, uint32_t seconds)
{
	e->expires = mono_add(f->now, (int64_t)seconds * NS_PER_SEC);
	f->next = mono_min(f->next, e->expires);
}

static void link_ent(struct fake_ct *f, struct ent *e)
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

/* --- what is reported --- */

static uint32_t left_s(const struct fake_ct *f, const struct ent *e)
{
	int64_t left = mono_sub(e->expires, f->now);
	return left > 0 ? (uint32_t)(left / NS_PER_SEC) : 0;
}

/* marked: the mark is told even if it is 0 (dumps, and changes by request). */
static void describe(const struct fake_ct *f, const struct ent *e, enum ct_event_type type, bool protoinfo, bool marked,
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

static void emit(struct fake_ct *f, const struct ent *e, enum ct_event_type type, uint32_t portid, bool protoinfo)
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
	describe(f, e, type, protoinfo, portid && type != CT_EV_DESTROY, &ev->e);
}

static void destroy(struct fake_ct *f, struct ent *e, uint32_t portid)
{
	e->status |= CT_ST_DYING;
	emit(f, e, CT_EV_DESTROY, portid, true);
	unlink_ent(f, e);
	free(e);
}

uint32_t fake_ct_max(const struct fake_ct *f)
{
	return f->crowd ? f->crowd : f->max;
}

/* Room for one more: early_drop() of nf_conntrack_core.c, with the worst luck: it always finds a victim. */
static bool make_room(struct fake_ct *f, const struct ct_tuple *t, bool request)
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
		destroy(f, e, 0);
		return f->count < fake_ct_max(f);
	}
	return false;
}

/* --- requests --- */

/* nf_nat_setup_info: changes the source or the destination of what leaves, and with it the reply tuple. Nothing to
 * change: only the DONE bit. */
static void nat_setup(struct ent *e, const struct fake_ct_manip *m, bool src)
{
	struct ct_tuple cur, want;
	require(ct_tuple_invert(&e->tuple[REPLY], &cur));
	want = cur;
	bool icmp = cur.l4 == IPPROTO_ICMP || cur.l4 == IPPROTO_ICMPV6;
	if (m->given) {
		memcpy(src ? want.src : want.dst, m->addr, sizeof(want.src));
		if (m->has_port && (src || icmp))
			want.sport = m->port;
		else if (m->has_port)
			want.dport = m->port;
	}
	if (!ct_tuple_equal(&want, &cur)) {
		require(ct_tuple_invert(&want, &e->tuple[REPLY]));
		e->status |= src ? CT_ST_SRC_NAT : CT_ST_DST_NAT;
	}
	e->status |= src ? CT_ST_SRC_NAT_DONE : CT_ST_DST_NAT_DONE;
}

/* No CTA_NAT_SRC beside a CTA_NAT_DST: the kernel may move the source port away from a reply tuple that is taken. */
static void nat_free_choice(struct fake_ct *f, struct ent *e)
{
	struct ct_tuple plain = e->tuple[REPLY];
	struct fake_ct_manip m = { .given = false };
	for (unsigned i = 1; i < 64 && find(f, &e->tuple[REPLY], NULL); i++) {
		m.given = m.has_port = true;
		memcpy(m.addr, plain.dst, sizeof(m.addr));
		m.port = (uint16_t)(plain.dport + i);
		e->tuple[REPLY] = plain;
		nat_setup(e, &m, true);
	}
	e->status |= CT_ST_SRC_NAT_DONE;
}

static int change_status(struct ent *e, uint32_t want)
{
	uint32_t d = e->status ^ want;
	if (d & (CT_ST_EXPECTED | CT_ST_CONFIRMED | CT_ST_DYING))
		return -EBUSY;
	if (d & ~want & (CT_ST_SEEN_REPLY | CT_ST_ASSURED))
		return -EBUSY;
	e->status |= want & ~(uint32_t)UNCHANGEABLE;
	return 0;
}

static void change_tcp(struct ent *e, const struct fake_ct_req *q)
{
	if (e->tuple[ORIG].l4 != IPPROTO_TCP)
		return;
	if (q->has_tcp_state)
		e->tcp_state = q->tcp_state;
	for (int d = ORIG; d <= REPLY; d++) {
		if (q->has_flags[d])
			e->tcp_flags[d] =
			    (uint8_t)((e->tcp_flags[d] & ~q->flags_mask[d]) | (q->flags[d] & q->flags_mask[d]));
	}
	/* a scale without the flag in both directions is not stored */
	if (q->has_wscale[ORIG] && q->has_wscale[REPLY] &&
	    (e->tcp_flags[ORIG] & e->tcp_flags[REPLY] & CT_TCP_WINDOW_SCALE)) {
		e->tcp_wscale[ORIG] = q->wscale[ORIG];
		e->tcp_wscale[REPLY] = q->wscale[REPLY];
	}
}

static bool helper_known(const char *name)
{
	static const char *const known[] = { "ftp",  "tftp", "sip",        "irc", "amanda", "pptp",
					     "snmp", "sane", "netbios-ns", "RAS", "Q.931",  "H.245" };
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!strcmp(known[i], name))
			return true;
	}
	return false;
}

/* The order of the checks is that of ctnetlink_create_conntrack. */
static int fill_new(struct fake_ct *f, struct ent *e, const struct fake_ct_req *q)
{
	e->tuple[ORIG] = q->orig;
	e->tuple[REPLY] = q->reply;
	if (!make_room(f, &q->orig, true))
		return -ENOMEM;
	if (!q->has_timeout)
		return -EINVAL;
	if (q->has_helper) {
		if (!helper_known(q->helper))
			return -EOPNOTSUPP;
		memcpy(e->helper, q->helper, sizeof(e->helper));
		e->status |= ST_HELPER;
	}
	if (q->nat_src.given || q->nat_dst.given) {
		nat_setup(e, &q->nat_dst, false);
		if (q->nat_src.given)
			nat_setup(e, &q->nat_src, true);
		else
			nat_free_choice(f, e);
	}
	e->status |= CT_ST_CONFIRMED;
	int rc =
	    q->has_status ? change_status(e, q->status | (e->status & UNCHANGEABLE & ~(uint32_t)CT_ST_CONFIRMED)) : 0;
	if (rc)
		return rc;
	change_tcp(e, q);
	e->mark = q->has_mark ? q->mark : 0;
	if (q->has_master) {
		if (!find(f, &q->master, NULL))
			return -ENOENT;
		e->status |= CT_ST_EXPECTED;
		e->master = q->master;
		e->has_master = true;
	}
	return find(f, &e->tuple[ORIG], NULL) || find(f, &e->tuple[REPLY], NULL) ? -EEXIST : 0;
}

static struct ent *new_ent(struct fake_ct *f)
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

static int create(struct fake_ct *f, uint32_t portid, const struct fake_ct_req *q)
{
	if (!q->has_orig || !q->has_reply || q->orig.l4 != q->reply.l4)
		return -EINVAL;
	struct ent *e = new_ent(f);
	e->injected = true;
	e->stream = (mono_t){ -1 }; /* a copy has no start: the next packet finds a stream */
	int rc = fill_new(f, e, q);
	if (rc) {
		free(e);
		return rc;
	}
	expire_at(f, e, q->timeout_s);
	link_ent(f, e);
	emit(f, e, CT_EV_NEW, portid, true);
	return 0;
}

/* What came before the failing attribute has been changed, as in the kernel. */
static int change(struct fake_ct *f, uint32_t portid, struct ent *e, const struct fake_ct_req *q)
{
	if (q->nat_src.given || q->nat_dst.given || q->has_master)
		return -EOPNOTSUPP;
	if (q->has_helper) {
		if (e->has_master)
			return strcmp(e->helper, q->helper) ? -EBUSY : 0;
		if (!helper_known(q->helper))
			return -EOPNOTSUPP;
		if (strcmp(e->helper, q->helper))
			return e->helper[0] ? -EBUSY : -EOPNOTSUPP;
	}
	if (q->has_timeout) {
		if (e->status & CT_ST_FIXED_TIMEOUT)
			return -EPERM;
		expire_at(f, e, q->timeout_s);
	}
	int rc = q->has_status ? change_status(e, q->status) : 0;
	if (rc)
		return rc;
	change_tcp(e, q);
	if (q->has_mark)
		e->mark = q->mark;
	emit(f, e, CT_EV_UPDATE, portid, true);
	return 0;
}

int fake_ct_msg(struct fake_ct *f, uint32_t portid, const void *msg, size_t len, struct ct_event *got)
{
	struct fake_ct_req q;
	require(portid);
	int rc = fake_ct_req_read(msg, len, &q);
	if (rc)
		return rc;
	struct ent *e = q.has_orig ? find(f, &q.orig, NULL) : q.has_reply ? find(f, &q.reply, NULL) : NULL;
	switch (q.cmd) {
	case FAKE_CMD_NEW:
		if (!e)
			return q.create ? create(f, portid, &q) : -ENOENT;
		return q.excl ? -EEXIST : change(f, portid, e, &q);
	case FAKE_CMD_DELETE:
		if (!e || (q.has_id && q.id != e->id))
			return -ENOENT;
		destroy(f, e, portid);
		return 0;
	case FAKE_CMD_GET:
		if (!e)
			return -ENOENT;
		if (got) {
			got->type = CT_EV_DUMP;
			got->portid = 0;
			describe(f, e, CT_EV_DUMP, true, true, &got->e);
		}
		return 0;
	}
	return -EINVAL;
}

int fake_ct_op(struct fake_ct *f, uint32_t portid, const struct ct_op *op, struct ct_event *got)
{
	uint8_t buf[CT_WIRE_OP_MAX] __attribute__((aligned(8)));
	struct wire_wr w = wire_wr(buf, sizeof(buf));
	int rc = ct_wire_build(&w, op, 1);
	if (rc)
		return rc;
	bool fails = f->fault.fail && portid == f->own && f->fault.fail-- % f->fault.fail_every == 0;
	f->stats.failed += fails;
	if (fails && f->fault.fail_err != -ENOBUFS)
		return f->fault.fail_err;
	rc = fake_ct_msg(f, portid, buf, wire_len(&w), got);
	return fails ? f->fault.fail_err : rc;
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
		destroy(f, first, 0);
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

/* --- packets --- */

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
	expire_at(f, e, tcp_seconds(state));
	if (dir == REPLY)
		e->status |= CT_ST_SEEN_REPLY;
	if (state == CT_TCP_ESTABLISHED && moved)
		e->status |= CT_ST_ASSURED;
	if (moved || status != e->status)
		emit(f, e, CT_EV_UPDATE, 0, moved);
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
	expire_at(f, e, t);
	if (dir == REPLY)
		e->status |= CT_ST_SEEN_REPLY;
	if (status != e->status)
		emit(f, e, CT_EV_UPDATE, 0, false);
}

static void touch_other(struct fake_ct *f, struct ent *e, int dir)
{
	uint8_t l4 = e->tuple[ORIG].l4;
	uint32_t status = e->status;
	expire_at(f, e, l4 == IPPROTO_ICMP || l4 == IPPROTO_ICMPV6 ? T_ICMP : T_GENERIC);
	if (dir == REPLY)
		e->status |= CT_ST_SEEN_REPLY;
	if (status != e->status)
		emit(f, e, CT_EV_UPDATE, 0, false);
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
	nat_setup(e, &dst, false);
	struct ct_tuple before = e->tuple[REPLY];
	uint16_t port = src.has_port ? src.port : e->tuple[ORIG].sport;
	for (unsigned i = 0; i < 64; i++) {
		e->tuple[REPLY] = before;
		nat_setup(e, &src, true);
		if (!find(f, &e->tuple[REPLY], NULL))
			break;
		src.has_port = true;
		src.port = (uint16_t)(port + i + 1);
	}
	if (nat->masquerade) {
		e->masquerade = true;
		memcpy(e->masq_addr, nat->src, sizeof(e->masq_addr));
	}
	return !find(f, &e->tuple[REPLY], NULL);
}

static enum fake_ct_verdict first_packet(struct fake_ct *f, const struct ct_tuple *t, unsigned fl,
					 const struct fake_ct_nat *nat, struct ent **out)
{
	struct ct_tuple inv;
	bool tcp = t->l4 == IPPROTO_TCP;
	if ((tcp && (fl & (FAKE_TCP_SYN | FAKE_TCP_ACK | FAKE_TCP_RST)) != FAKE_TCP_SYN) || !ct_tuple_invert(t, &inv))
		return FAKE_CT_INVALID;
	if (!make_room(f, t, false))
		return FAKE_CT_FULL;
	struct ent *e = new_ent(f);
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
	expire_at(f, e, seconds);
	link_ent(f, e);
	emit(f, e, CT_EV_NEW, 0, true);
	*out = e;
	return FAKE_CT_NEW;
}

enum fake_ct_verdict fake_ct_packet(struct fake_ct *f, const struct ct_tuple *t, unsigned tcp_flags,
				    const struct fake_ct_nat *nat, struct ct_tuple *out)
{
	int dir = ORIG;
	enum fake_ct_verdict v = FAKE_CT_FOUND;
	struct ent *e = find(f, t, &dir);
	bool syn = (tcp_flags & (FAKE_TCP_SYN | FAKE_TCP_ACK)) == FAKE_TCP_SYN;
	if (e && t->l4 == IPPROTO_TCP && syn && (e->tcp_state == CT_TCP_TIME_WAIT || e->tcp_state == CT_TCP_CLOSE)) {
		destroy(f, e, 0); /* the port is used again */
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
	struct ent *e = find(f, t, NULL);
	if (!e || e->mark == mark)
		return;
	e->mark = mark;
	emit(f, e, CT_EV_UPDATE, 0, false);
}

void fake_ct_addr_lost(struct fake_ct *f, uint8_t l3, const uint8_t *addr)
{
	for (uint32_t s = 0; s < f->n_slots; s++) {
		struct ent *e = f->slots[s];
		if (e && e->masquerade && e->tuple[ORIG].l3 == l3 && !memcmp(e->masq_addr, addr, l3 == 6 ? 16 : 4))
			destroy(f, e, 0);
	}
}

void fake_ct_flush(struct fake_ct *f, uint32_t portid)
{
	for (uint32_t s = 0; s < f->n_slots; s++) {
		if (f->slots[s])
			destroy(f, f->slots[s], portid);
	}
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
		describe(f, e, CT_EV_DUMP, true, true, &out[n++].e);
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
	const struct ent *e = find(f, t, NULL);
	return e ? (int64_t)left_s(f, e) : -1;
}

bool fake_ct_find(const struct fake_ct *f, const struct ct_tuple *orig, struct ct_entry *out)
{
	const struct ent *e = find_in(f, orig, ORIG);
	if (e)
		describe(f, e, CT_EV_DUMP, true, true, out);
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
