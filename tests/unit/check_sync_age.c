/* What time, addresses and the fast path do to a session: least age, strict windows, flowtables, paced re-checks. */
#include "tests/unit/rig_pair.h"

enum { AGE = 5 };

static void ages(uint32_t sec)
{
	for (unsigned p = 0; p < SYNC_PROTO_N; p++)
		r->conf[A].min_age_s[p] = r->conf[B].min_age_s[p] = sec;
}

static bool there(unsigned i, const struct ct_entry *e)
{
	return rig_find(&r->n[i], &e->orig) != NULL;
}

static enum sync_why why(unsigned i, const struct ct_entry *e)
{
	return rig_view(r, i, e).why;
}

/* ---- least age ---- */

START_TEST(test_told_when_old_enough)
{
	struct ct_entry u = rig_flow(30, IPPROTO_UDP, true), t = rig_flow(31, IPPROTO_TCP, false);

	r->conf[A].min_age_s[SYNC_PROTO_UDP] = AGE;
	rig_open(r, A, &u);
	rig_open(r, A, &t);
	rig_run(r, (AGE - 1) * NS_PER_SEC);
	ck_assert_int_eq(why(A, &u), SYNC_WHY_YOUNG);
	ck_assert(!there(B, &u) && there(B, &t));
	ck_assert_uint_eq(r->n[A].sent[SYNC_REC_SESSION], 1);
	/* Changes of a young one do not make it older or younger. */
	u.mark = 9;
	u.has |= CT_HAS_MARK;
	rig_find(&r->n[A], &u.orig)->e = u;
	rig_event(r, A, CT_EV_UPDATE, 0, &u);
	ck_assert_int_eq(why(A, &u), SYNC_WHY_YOUNG);
	rig_run(r, 2 * NS_PER_SEC);
	ck_assert(there(B, &u));
	ck_assert_int_eq(why(A, &u), SYNC_WHY_NONE);
	ck_assert_uint_eq(rig_find(&r->n[B], &u.orig)->e.mark, 9);
	ck_assert_uint_eq(r->n[A].s->stats.grown, 1);
	rig_run(r, 2 * NS_PER_SEC);
	ck_assert(rig_equal(r));
}
END_TEST

START_TEST(test_short_ones_cost_nothing)
{
	struct ct_entry e[50];

	ages(AGE);
	for (uint16_t i = 0; i < 50; i++) {
		e[i] = rig_flow((uint16_t)(100 + i), i % 2 ? IPPROTO_UDP : IPPROTO_TCP, i % 3 == 0);
		rig_open(r, A, &e[i]);
		rig_run(r, 20 * NS_PER_MS);
	}
	/* From the middle, the head and the tail of the lists. */
	for (uint16_t i = 0; i < 50; i++) {
		uint16_t k = (uint16_t)(i * 7 % 50);
		rig_remove(r, A, rig_find(&r->n[A], &e[k].orig), i % 2);
		rig_check(r->n[A].s);
	}
	rig_run(r, 2 * AGE * NS_PER_SEC);
	ck_assert_uint_eq(
	    r->n[A].sent[SYNC_REC_SESSION] + r->n[A].sent[SYNC_REC_DELETE] + r->n[A].sent[SYNC_REC_EXPIRED], 0);
	ck_assert_uint_eq(r->n[A].s->stats.cancelled, 50);
	ck_assert_uint_eq(r->n[A].s->n_young, 0);
}
END_TEST

/* Age counts from the first packet, not from the state that makes it worth a copy. */
START_TEST(test_half_open_grows_too)
{
	struct ct_entry e = rig_flow(40, IPPROTO_TCP, false), slow = rig_flow(41, IPPROTO_TCP, false);

	ages(AGE);
	e.tcp_state = slow.tcp_state = CT_TCP_SYN_RECV;
	rig_open(r, A, &e);
	rig_open(r, A, &slow);
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert_int_eq(why(A, &e), SYNC_WHY_HALF_OPEN);
	e.tcp_state = CT_TCP_ESTABLISHED;
	rig_find(&r->n[A], &e.orig)->e.tcp_state = CT_TCP_ESTABLISHED;
	rig_event(r, A, CT_EV_UPDATE, 0, &e);
	ck_assert_int_eq(why(A, &e), SYNC_WHY_YOUNG);
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert(there(B, &e));
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert_int_eq(why(A, &slow), SYNC_WHY_HALF_OPEN);
	slow.tcp_state = CT_TCP_ESTABLISHED;
	rig_find(&r->n[A], &slow.orig)->e.tcp_state = CT_TCP_ESTABLISHED;
	rig_event(r, A, CT_EV_UPDATE, 0, &slow);
	rig_run(r, 50 * NS_PER_MS);
	ck_assert(there(B, &slow));
}
END_TEST

/* A tuple that ends and begins again is young again; one that the peer has is told at once. */
START_TEST(test_born_again)
{
	struct ct_entry e = rig_flow(42, IPPROTO_UDP, false), old = rig_flow(43, IPPROTO_UDP, false);

	rig_open(r, A, &old);
	rig_run(r, 50 * NS_PER_MS);
	ages(AGE);
	rig_open(r, A, &e);
	rig_run(r, 3 * NS_PER_SEC);
	rig_event(r, A, CT_EV_NEW, 0, &e); /* its end went unseen */
	rig_event(r, A, CT_EV_NEW, 0, &old);
	rig_run(r, 50 * NS_PER_MS);
	ck_assert_int_eq(why(A, &old), SYNC_WHY_NONE);
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert_int_eq(why(A, &e), SYNC_WHY_YOUNG);
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert(there(B, &e));
}
END_TEST

/* Nobody knows how old it is: it counts as old. */
START_TEST(test_found_counts_as_old)
{
	struct ct_entry e = rig_flow(44, IPPROTO_UDP, false);

	ages(3600);
	e.timeout_s = 3600;
	rig_insert(r, A, &e);
	rig_run(r, 21 * NS_PER_SEC);
	ck_assert(there(B, &e));
}
END_TEST

START_TEST(test_planned_switch_tells_the_young)
{
	struct ct_entry e[20];
	uint64_t seq;

	ages(600);
	for (uint16_t i = 0; i < 20; i++) {
		e[i] = rig_flow((uint16_t)(200 + i), i % 2 ? IPPROTO_UDP : IPPROTO_TCP, true);
		rig_open(r, A, &e[i]);
	}
	rig_run(r, NS_PER_SEC);
	ck_assert_uint_eq(r->n[A].s->n_young, 20);
	sync_flush_begin(r->n[A].s, r->now);
	ck_assert(!sync_flushed(r->n[A].s, 2, &seq));
	ck_assert(mono_due(sync_deadline(r->n[A].s, r->now), r->now));
	rig_run(r, 20 * NS_PER_MS);
	ck_assert(sync_flushed(r->n[A].s, 2, &seq));
	rig_run(r, 20 * NS_PER_MS);
	for (uint16_t i = 0; i < 20; i++)
		ck_assert(there(B, &e[i]));
	sync_stable(r->n[A].s, r->now);
}
END_TEST

START_TEST(test_ages_change)
{
	struct ct_entry e = rig_flow(45, IPPROTO_UDP, false);
	struct sync_conf other;

	ages(600);
	rig_open(r, A, &e);
	rig_run(r, 2 * NS_PER_SEC);
	ck_assert(!there(B, &e));
	other = r->conf[A];
	memset(other.min_age_s, 0, sizeof(other.min_age_s));
	ck_assert_int_eq(sync_reconf(r->n[A].s, &other, r->now), 0);
	rig_run(r, 50 * NS_PER_MS);
	ck_assert(there(B, &e));
	ck_assert_int_eq(sync_reconf(r->n[A].s, &r->conf[A], r->now), 0);
}
END_TEST

/* The peer's floor rises over flows that it never heard of: they are nobody's until packets say whose. */
START_TEST(test_floor_over_the_young)
{
	struct ct_entry e = rig_flow(46, IPPROTO_UDP, false);

	ages(AGE);
	rig_open(r, A, &e);
	rig_run(r, NS_PER_SEC);
	rig_authority(r, B, 6, true);
	sync_authority(r->n[A].s, &(struct sync_authority){ { 5, 1 }, false, false }, r->now);
	rig_run(r, 12 * NS_PER_SEC);
	ck_assert_int_eq(why(A, &e), SYNC_WHY_ORPHAN);
	ck_assert(!rig_known(r, B, &e));
	ck_assert(rig_equal(r));
	rig_packet(r, A, &e, 400);
	rig_run(r, 12 * NS_PER_SEC);
	ck_assert(rig_view(r, A, &e).mine);
	ck_assert(there(B, &e));
}
END_TEST

/* ---- after a takeover ---- */

static uint8_t flags_of(unsigned i, const struct ct_entry *e)
{
	const struct rig_entry *k = rig_find(&r->n[i], &e->orig);

	ck_assert_ptr_nonnull(k);
	return k->e.tcp_flags[0] | k->e.tcp_flags[1];
}

static void take_over(uint32_t strict_after_s)
{
	r->conf[B].strict_after_s = strict_after_s;
	rig_run(r, 50 * NS_PER_MS);
	rig_down(r);
	r->n[A].no_sweep = r->n[A].mute_events = true;
	rig_idle(r, 15 * NS_PER_SEC);
	sync_fence(r->n[B].s, (struct epoch){ 6, 2 }, r->now);
	rig_authority(r, B, 6, true);
}

/* Idle flows get what their state gives in the first sweep, not when half of the lease is over. */
START_TEST(test_full_timeout_soon)
{
	struct ct_entry t = rig_flow(50, IPPROTO_TCP, true), u = rig_flow(51, IPPROTO_UDP, true);
	struct ct_entry wait = rig_flow(52, IPPROTO_TCP, true), busy = rig_flow(53, IPPROTO_TCP, true);

	wait.tcp_state = CT_TCP_TIME_WAIT;
	wait.timeout_s = 100;
	rig_open(r, A, &t);
	rig_open(r, A, &u);
	rig_open(r, A, &wait);
	rig_open(r, A, &busy);
	take_over(0);
	uint64_t before = r->n[B].s->stats.op_restored;
	rig_packet(r, B, &busy, 432000);
	rig_idle(r, 12 * NS_PER_SEC);
	ck_assert_uint_gt(rig_left(r, rig_find(&r->n[B], &t.orig)), 431900);
	ck_assert_uint_le(rig_left(r, rig_find(&r->n[B], &u.orig)), 120);
	ck_assert_uint_gt(rig_left(r, rig_find(&r->n[B], &u.orig)), 100);
	ck_assert_uint_lt(rig_left(r, rig_find(&r->n[B], &wait.orig)), 100);
	ck_assert_uint_eq(r->n[B].s->stats.op_restored - before, 2);
	/* Once: the idle UDP flow then ends as it would have. */
	rig_idle(r, 130 * NS_PER_SEC);
	ck_assert(!there(B, &u) && there(B, &t) && there(B, &busy));
	ck_assert_uint_eq(r->n[B].s->stats.op_restored - before, 2);
	/* This node's own timers. */
	ck_assert_uint_gt(rig_left(r, rig_find(&r->n[B], &t.orig)), 431000);
}
END_TEST

START_TEST(test_strict_again)
{
	struct ct_entry busy = rig_flow(54, IPPROTO_TCP, true), idle = rig_flow(55, IPPROTO_TCP, true);
	struct ct_entry fin = rig_flow(56, IPPROTO_TCP, true), own = rig_flow(57, IPPROTO_TCP, true);

	rig_open(r, A, &busy);
	rig_open(r, A, &idle);
	fin.tcp_state = CT_TCP_FIN_WAIT;
	rig_open(r, A, &fin);
	take_over(30);
	own.tcp_flags[0] |= CT_TCP_BE_LIBERAL; /* picked up in the middle by the kernel itself: not ours to decide */
	rig_open(r, B, &own);
	rig_packet(r, B, &busy, 432000);
	rig_packet(r, B, &fin, 120);
	rig_idle(r, 25 * NS_PER_SEC);
	ck_assert(flags_of(B, &busy) & CT_TCP_BE_LIBERAL);
	rig_idle(r, 17 * NS_PER_SEC);
	ck_assert_uint_eq(flags_of(B, &busy), CT_TCP_WINDOW_SCALE | CT_TCP_SACK_PERM);
	ck_assert(flags_of(B, &idle) & CT_TCP_BE_LIBERAL);
	ck_assert(flags_of(B, &fin) & CT_TCP_BE_LIBERAL);
	ck_assert(flags_of(B, &own) & CT_TCP_BE_LIBERAL);
	ck_assert_uint_eq(r->n[B].s->stats.op_strict, 1);
	/* It moves at last. */
	rig_packet(r, B, &idle, 432000);
	rig_idle(r, 25 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].s->stats.op_strict, 2);
	ck_assert(!(flags_of(B, &idle) & CT_TCP_BE_LIBERAL));
	/* Back at A they are copies here, and liberal. */
	r->n[A].no_sweep = r->n[A].mute_events = false;
	rig_up(r);
	rig_run(r, 2 * NS_PER_SEC);
	rig_authority(r, A, 7, true);
	sync_authority(r->n[B].s, &(struct sync_authority){ { 7, 1 }, false, false }, r->now);
	rig_idle(r, 25 * NS_PER_SEC);
	ck_assert(flags_of(B, &busy) & CT_TCP_BE_LIBERAL);
}
END_TEST

START_TEST(test_never_strict)
{
	struct ct_entry e = rig_flow(58, IPPROTO_TCP, true);

	rig_open(r, A, &e);
	take_over(0);
	rig_packet(r, B, &e, 432000);
	rig_idle(r, 300 * NS_PER_SEC);
	ck_assert(flags_of(B, &e) & CT_TCP_BE_LIBERAL);
	ck_assert_uint_eq(r->n[B].s->stats.op_strict, 0);
}
END_TEST

/* ---- the fast path ---- */

/* What the kernel shows of a flow in a flowtable: no timer, no TCP state. */
static void offload(unsigned i, const struct ct_entry *e)
{
	struct rig_entry *k = rig_find(&r->n[i], &e->orig);

	k->e.has &= ~(uint32_t)(CT_HAS_TIMEOUT | CT_HAS_TCP | CT_HAS_TCP_WIN);
	k->e.status |= CT_ST_OFFLOAD | CT_ST_HW_OFFLOAD;
	k->end = mono_add(r->now, 86400 * NS_PER_SEC);
}

static void slow_path(unsigned i, const struct ct_entry *e)
{
	struct rig_entry *k = rig_find(&r->n[i], &e->orig);

	k->e.has = e->has;
	k->e.status = e->status;
}

START_TEST(test_fast_path_keeps_state)
{
	struct ct_entry e = rig_flow(60, IPPROTO_TCP, true);

	rig_open(r, A, &e);
	rig_run(r, 50 * NS_PER_MS);
	unsigned sent = r->n[A].sent[SYNC_REC_SESSION];
	offload(A, &e);
	rig_idle(r, 25 * NS_PER_SEC);
	struct sync_view v = rig_view(r, A, &e);
	ck_assert_int_eq(v.why, SYNC_WHY_NONE);
	ck_assert(v.e.status & CT_ST_OFFLOAD && !(v.e.status & CT_ST_HW_OFFLOAD));
	ck_assert(v.e.has & CT_HAS_TCP && v.e.tcp_state == CT_TCP_ESTABLISHED && v.e.tcp_wscale[0] == 7);
	/* Told once, with a time that makes sense, and not again in every sweep. */
	ck_assert_uint_eq(r->n[A].sent[SYNC_REC_SESSION], sent + 1);
	ck_assert_uint_eq(r->n[A].last[SYNC_REC_SESSION].e.timeout_s, 432000);
	ck_assert(rig_view(r, B, &e).e.status & CT_ST_OFFLOAD);
	const struct rig_entry *k = rig_find(&r->n[B], &e.orig);
	ck_assert_uint_eq(k->e.tcp_state, CT_TCP_ESTABLISHED);
	ck_assert_uint_eq(k->e.tcp_flags[0] & CT_TCP_BE_LIBERAL, CT_TCP_BE_LIBERAL);
	ck_assert(!(k->e.status & CT_ST_OFFLOAD));
	ck_assert(rig_equal(r));
	rig_idle(r, 3600 * NS_PER_SEC);
	ck_assert(there(B, &e));
	ck_assert_uint_eq(r->n[A].sent[SYNC_REC_SESSION], sent + 1);
	slow_path(A, &e);
	rig_idle(r, 12 * NS_PER_SEC);
	ck_assert(!(rig_view(r, B, &e).e.status & CT_ST_OFFLOAD));
	ck_assert(rig_equal(r));
}
END_TEST

/* Found in the fast path after a start: its state was never seen, the copy is established and liberal. */
START_TEST(test_fast_path_found)
{
	struct ct_entry e = rig_flow(61, IPPROTO_TCP, true);

	rig_insert(r, A, &e);
	offload(A, &e);
	rig_find(&r->n[A], &e.orig)->e.status &= ~(uint32_t)CT_ST_ASSURED;
	rig_idle(r, 25 * NS_PER_SEC);
	const struct rig_entry *k = rig_find(&r->n[B], &e.orig);
	ck_assert_ptr_nonnull(k);
	ck_assert(k->e.has & CT_HAS_TCP && k->e.tcp_state == CT_TCP_ESTABLISHED);
	ck_assert(k->e.status & CT_ST_ASSURED && k->e.status & CT_ST_SEEN_REPLY);
	ck_assert_uint_eq(k->e.tcp_flags[0], CT_TCP_BE_LIBERAL);
	ck_assert_uint_ge(rig_left(r, k), 100);
	ck_assert(rig_equal(r));
}
END_TEST

/* A copy in the fast path has packets: it is claimed, and not claimed back while the old path runs out. */
START_TEST(test_fast_path_is_evidence)
{
	struct ct_entry e = rig_flow(62, IPPROTO_TCP, false);

	rig_open(r, A, &e);
	rig_run(r, 50 * NS_PER_MS);
	offload(A, &e);
	rig_idle(r, 25 * NS_PER_SEC);
	offload(B, &e);
	rig_idle(r, 12 * NS_PER_SEC);
	ck_assert(rig_view(r, B, &e).mine && !rig_view(r, A, &e).mine);
	ck_assert_uint_eq(r->n[B].s->stats.claims, 1);
	rig_idle(r, 12 * NS_PER_SEC);
	ck_assert(rig_view(r, B, &e).mine);
	slow_path(A, &e); /* 30 s without a packet */
	rig_find(&r->n[A], &e.orig)->end = mono_add(r->now, 300 * NS_PER_SEC);
	rig_idle(r, 60 * NS_PER_SEC);
	ck_assert(rig_view(r, B, &e).mine && !rig_view(r, A, &e).mine);
	ck_assert_uint_eq(r->n[A].s->stats.claims, 0);
	ck_assert(there(A, &e));
}
END_TEST

/* ---- addresses, networks, rules ---- */

static void own(unsigned i, const uint8_t extra[4])
{
	struct addr a[2] = { addr_v4(10, 0, 0, (uint8_t)(i + 1)) };

	if (extra)
		a[1] = addr_from_bytes(ADDR_V4, (uint8_t[16]){ extra[0], extra[1], extra[2], extra[3] });
	ck_assert_int_eq(sync_local_addrs(r->n[i].s, a, extra ? 2 : 1, r->now), 0);
}

START_TEST(test_address_comes_and_goes)
{
	struct ct_entry e = rig_flow(70, IPPROTO_TCP, true), other = rig_flow(71, IPPROTO_TCP, true);

	other.orig.src[3] = other.reply.dst[3] = 77;
	memcpy(other.reply.dst, (uint8_t[]){ 203, 0, 113, 1 }, 4);
	rig_open(r, A, &e);
	rig_open(r, A, &other);
	rig_run(r, 50 * NS_PER_MS);
	ck_assert(there(B, &e) && there(B, &other));
	uint64_t walks = r->n[A].s->stats.rejudgings;
	own(A, e.orig.src);
	rig_run(r, 50 * NS_PER_MS);
	ck_assert_int_eq(why(A, &e), SYNC_WHY_LOCAL_ORIGIN);
	ck_assert(!there(B, &e) && there(B, &other) && there(A, &e));
	own(A, NULL);
	rig_run(r, 50 * NS_PER_MS);
	ck_assert_int_eq(why(A, &e), SYNC_WHY_NONE);
	ck_assert(there(B, &e));
	ck_assert_uint_eq(r->n[A].s->stats.judged_out, 1);
	ck_assert_uint_eq(r->n[A].s->stats.judged_in, 1);
	ck_assert_uint_eq(r->n[A].s->stats.rejudgings, walks + 2);
	/* A virtual address that moves here changes nothing, and walks over nothing. */
	own(A, (uint8_t[]){ 203, 0, 113, 1 });
	own(A, NULL);
	ck_assert_uint_eq(r->n[A].s->stats.rejudgings, walks + 2);
}
END_TEST

/* An address of the standby is the end of a session: the copy must not let anybody in. */
START_TEST(test_copy_becomes_local)
{
	struct ct_entry e = rig_flow(72, IPPROTO_TCP, false), other = rig_flow(73, IPPROTO_TCP, false);

	memcpy(other.orig.dst, (uint8_t[]){ 198, 51, 100, 8 }, 4);
	memcpy(other.reply.src, other.orig.dst, 4);
	rig_open(r, A, &e);
	rig_open(r, A, &other);
	rig_run(r, 50 * NS_PER_MS);
	own(B, e.orig.dst);
	rig_run(r, 100 * NS_PER_MS);
	ck_assert(!there(B, &e) && there(B, &other) && there(A, &e));
	ck_assert_int_eq(why(A, &e), SYNC_WHY_PEER_LOCAL);
	ck_assert_uint_eq(r->n[B].s->stats.judged_local, 1);
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert(rig_equal(r));
}
END_TEST

START_TEST(test_hits_and_interfaces)
{
	struct sync_conf other = r->conf[A];
	struct ct_entry e[4];
	struct sync_net net = { .net = addr_v4(192, 0, 2, 0), .plen = 24, .ifname = "lan0" };

	other.n_ignore = 3;
	for (unsigned i = 0; i < 3; i++)
		other.ignore[i] =
		    (struct sync_ignore){ .protocols = SYNC_PROTO_ALL, .port_high = UINT16_MAX, .any_zone = true };
	other.ignore[0].protocols = 1u << SYNC_PROTO_ICMP;
	other.ignore[1].port_low = other.ignore[1].port_high = 53;
	strcpy(other.ignore[2].ifname, "lan0");
	ck_assert_int_eq(sync_reconf(r->n[A].s, &other, r->now), 0);
	for (uint16_t i = 0; i < 4; i++) {
		e[i] = rig_flow((uint16_t)(74 + i), IPPROTO_UDP, true);
		if (i < 2)
			e[i].orig.dport = e[i].reply.sport = 53;
		rig_open(r, A, &e[i]);
		rig_event(r, A, CT_EV_UPDATE, 0, &e[i]);
	}
	rig_run(r, 12 * NS_PER_SEC);
	ck_assert_uint_eq(sync_filter_hits(r->n[A].s, 0), 0);
	ck_assert_uint_eq(sync_filter_hits(r->n[A].s, 1), 2);
	ck_assert_uint_eq(sync_filter_hits(r->n[A].s, 2), 0);
	ck_assert_uint_eq(sync_filter_hits(r->n[A].s, SYNC_IGNORE_MAX), 0);
	ck_assert_uint_eq(sync_filter_nets(r->n[A].s, 2), 0);
	ck_assert(there(B, &e[2]) && there(B, &e[3]) && !there(B, &e[0]));
	/* The interface gets its network. */
	uint64_t walks = r->n[A].s->stats.rejudgings;
	ck_assert_int_eq(sync_local_nets(r->n[A].s, &net, 1), 0);
	ck_assert_int_eq(sync_local_nets(r->n[A].s, &net, 1), 0);
	rig_run(r, 50 * NS_PER_MS);
	ck_assert_uint_eq(r->n[A].s->stats.rejudgings, walks + 1);
	ck_assert_uint_eq(sync_filter_nets(r->n[A].s, 2), 1);
	ck_assert_uint_eq(sync_filter_hits(r->n[A].s, 2), 2);
	ck_assert(!there(B, &e[2]) && !there(B, &e[3]));
	ck_assert_int_eq(sync_local_nets(r->n[A].s, NULL, 0), 0);
	rig_run(r, 50 * NS_PER_MS);
	ck_assert(there(B, &e[2]) && there(B, &e[3]));
	/* Other rules, other numbers. */
	ck_assert_int_eq(sync_reconf(r->n[A].s, &r->conf[A], r->now), 0);
	ck_assert_uint_eq(sync_filter_hits(r->n[A].s, 1), 0);
	rig_run(r, 50 * NS_PER_MS);
	ck_assert(there(B, &e[0]));
}
END_TEST

START_TEST(test_node_address)
{
	struct ct_entry e = rig_flow(80, IPPROTO_UDP, true);

	memcpy(e.reply.dst, (uint8_t[]){ 10, 0, 0, 1 }, 4);
	rig_open(r, A, &e);
	rig_event(r, A, CT_EV_UPDATE, 0, &e);
	rig_run(r, 12 * NS_PER_SEC);
	ck_assert_int_eq(why(A, &e), SYNC_WHY_NODE_ADDR);
	ck_assert(!there(B, &e));
	ck_assert_uint_eq(r->n[A].s->stats.node_address, 1);
	struct addr a = addr_v4(10, 0, 0, 1);
	ck_assert(addr_eq(&a, &r->n[A].s->node_address));
	ck_assert_ptr_nonnull(strstr(sync_why_text(SYNC_WHY_NODE_ADDR), "SNAT to a virtual address"));
}
END_TEST

/* ---- accounting ---- */

static void setup_counted(void)
{
	rig_accounting = true;
	rig_pair_setup();
	rig_accounting = false;
}

static void carried(unsigned i, const struct ct_entry *e, uint64_t packets, uint64_t bytes)
{
	struct rig_entry *k = rig_find(&r->n[i], &e->orig);

	ck_assert_ptr_nonnull(k);
	k->e.has |= CT_HAS_COUNTERS;
	k->e.packets = packets;
	k->e.bytes = bytes;
}

static void total(unsigned i, const struct ct_entry *e, uint64_t packets, uint64_t bytes)
{
	struct sync_view v = rig_view(r, i, e);
	uint64_t p, b;

	ck_assert(v.counted);
	sync_view_total(&v, &rig_find(&r->n[i], &e->orig)->e, &p, &b);
	ck_assert_uint_eq(p, packets);
	ck_assert_uint_eq(b, bytes);
}

/* There, over to the other node, and back: nothing is lost, nothing counts twice. */
START_TEST(test_counters_travel)
{
	struct ct_entry e = rig_flow(90, IPPROTO_TCP, true);
	uint64_t big = UINT64_C(1) << 40;

	rig_open(r, A, &e);
	rig_run(r, 50 * NS_PER_MS);
	carried(A, &e, 100, big);
	carried(B, &e, 0, 0);
	rig_idle(r, 8 * NS_PER_SEC);
	rig_packet(r, A, &e, 432000);
	rig_idle(r, 12 * NS_PER_SEC);
	total(A, &e, 100, big);
	total(B, &e, 100, big);
	ck_assert_uint_ge(rig_view(r, B, &e).age_s, 19);
	ck_assert_uint_le(rig_view(r, B, &e).age_s, 22);
	unsigned told = r->n[A].sent[SYNC_REC_SESSION];
	rig_idle(r, 60 * NS_PER_SEC); /* idle: nothing is told */
	ck_assert_uint_eq(r->n[A].sent[SYNC_REC_SESSION], told);
	unsigned updates = r->n[B].ops[CT_OP_UPDATE];

	sync_authority(r->n[A].s, &(struct sync_authority){ { 5, 1 }, false, false }, r->now);
	rig_authority(r, B, 6, true);
	rig_idle(r, 8 * NS_PER_SEC);
	carried(B, &e, 7, 70);
	rig_packet(r, B, &e, 432000);
	rig_idle(r, 25 * NS_PER_SEC);
	total(B, &e, 107, big + 70);
	total(A, &e, 107, big + 70);
	ck_assert_uint_eq(r->n[B].ops[CT_OP_UPDATE], updates); /* no counter is worth a write into the kernel */

	sync_authority(r->n[B].s, &(struct sync_authority){ { 6, 2 }, false, false }, r->now);
	rig_authority(r, A, 7, true);
	rig_idle(r, 8 * NS_PER_SEC);
	carried(A, &e, 105, big + 5);
	rig_packet(r, A, &e, 432000);
	rig_idle(r, 25 * NS_PER_SEC);
	total(A, &e, 112, big + 75);
	total(B, &e, 112, big + 75);
	ck_assert_uint_ge(rig_view(r, B, &e).age_s, 130);
	ck_assert(rig_equal(r));
}
END_TEST

/* Two flows whose totals want the same place, and one whose birth nobody saw. */
START_TEST(test_counters_displaced)
{
	enum { N = SYNC_ACCT_OUT + 40 };
	struct ct_entry e;

	for (uint16_t i = 0; i < N; i++) {
		e = rig_flow((uint16_t)(2000 + i), IPPROTO_UDP, true);
		e.timeout_s = 3000;
		if (i == 0)
			rig_insert(r, A, &e);
		else
			rig_open(r, A, &e);
		carried(A, &e, i + 1u, 10u * (i + 1u));
	}
	for (unsigned k = 0; k < 4; k++) {
		rig_idle(r, 12 * NS_PER_SEC);
		for (uint16_t i = 0; i < N; i++) {
			e = rig_flow((uint16_t)(2000 + i), IPPROTO_UDP, true);
			rig_packet(r, A, &e, 3000);
		}
	}
	rig_idle(r, 12 * NS_PER_SEC);
	unsigned known = 0;
	for (uint16_t i = 0; i < N; i++) {
		e = rig_flow((uint16_t)(2000 + i), IPPROTO_UDP, true);
		struct sync_view v = rig_view(r, B, &e);
		ck_assert(v.bytes == 10 * v.packets && (v.packets == 0 || v.packets == i + 1u));
		known += v.packets != 0;
		ck_assert_uint_eq(v.age_s == CT_AGE_UNKNOWN, i == 0);
	}
	ck_assert_uint_ge(known, SYNC_ACCT_OUT - 40);
}
END_TEST

START_TEST(test_not_counted)
{
	struct ct_entry e = rig_flow(91, IPPROTO_TCP, true);

	rig_open(r, A, &e);
	carried(A, &e, 5, 5);
	rig_idle(r, 8 * NS_PER_SEC);
	rig_packet(r, A, &e, 432000);
	rig_idle(r, 12 * NS_PER_SEC);
	ck_assert(!rig_view(r, A, &e).counted && !rig_view(r, B, &e).counted);
	ck_assert_uint_eq(r->n[A].last[SYNC_REC_SESSION].e.has & CT_HAS_COUNTERS, 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *su = suite_create("sync_age");
	TCase *c = tcase_create("accounting");
	TCase *t = tcase_create("age");

	tcase_add_checked_fixture(t, rig_pair_setup, rig_pair_teardown);
	tcase_add_test(t, test_told_when_old_enough);
	tcase_add_test(t, test_short_ones_cost_nothing);
	tcase_add_test(t, test_half_open_grows_too);
	tcase_add_test(t, test_born_again);
	tcase_add_test(t, test_found_counts_as_old);
	tcase_add_test(t, test_planned_switch_tells_the_young);
	tcase_add_test(t, test_ages_change);
	tcase_add_test(t, test_floor_over_the_young);
	tcase_add_test(t, test_full_timeout_soon);
	tcase_add_test(t, test_strict_again);
	tcase_add_test(t, test_never_strict);
	tcase_add_test(t, test_fast_path_keeps_state);
	tcase_add_test(t, test_fast_path_found);
	tcase_add_test(t, test_fast_path_is_evidence);
	tcase_add_test(t, test_address_comes_and_goes);
	tcase_add_test(t, test_copy_becomes_local);
	tcase_add_test(t, test_hits_and_interfaces);
	tcase_add_test(t, test_node_address);
	tcase_add_test(t, test_not_counted);
	suite_add_tcase(su, t);
	tcase_add_checked_fixture(c, setup_counted, rig_pair_teardown);
	tcase_add_test(c, test_counters_travel);
	tcase_add_test(c, test_counters_displaced);
	suite_add_tcase(su, c);
	return su;
}

int main(void)
{
	return unit_run(suite());
}
