/* Copies outside of the kernel: warm store, high-water mark, promotion order, what a kernel refuses. */
#include "tests/unit/rig_pair.h"

static struct sync *s; /* of B, the standby */

static void setup(void)
{
	r = rig_new();
	s = r->n[B].s;
	rig_authority(r, A, 5, true);
}

static void warm(void)
{
	setup();
	r->conf[A].store = r->conf[B].store = SYNC_STORE_WARM;
	rig_up(r);
	rig_run(r, NS_PER_SEC);
}

static void hot(void)
{
	setup();
	r->conf[B].high_water = 50;
	r->n[B].level = true;
	r->n[B].max = 20;
	rig_up(r);
	rig_run(r, NS_PER_SEC);
}

static void settle(void)
{
	rig_run(r, 50 * NS_PER_MS);
}

static struct ct_entry open_flow(uint16_t port, uint8_t l4)
{
	struct ct_entry e = rig_flow(port, l4, false);

	rig_open(r, A, &e);
	settle();
	return e;
}

/* The old master is gone: B fences and takes every group. */
static void take(void)
{
	rig_down(r);
	sync_fence(s, (struct epoch){ 9, 2 }, r->now);
	while (!sync_committed(s)) {
		unsigned before = r->n[B].ops[CT_OP_CREATE];
		rig_ops(r, B);
		sync_tick(s, r->now);
		ck_assert(sync_committed(s) || r->n[B].ops[CT_OP_CREATE] > before);
	}
	rig_authority(r, B, 9, true);
	sync_stable(s, r->now);
}

static unsigned why_is(unsigned node, enum sync_why why)
{
	static struct sync_view v[64];
	struct sess_walk w;
	unsigned n = 0;

	sess_walk_start(&w);
	while (w.active) {
		unsigned k = sync_view(r->n[node].s, &w, v, 64, r->now);
		for (unsigned i = 0; i < k; i++)
			n += v[i].why == why;
	}
	return n;
}

/* ---- warm ---- */

START_TEST(warm_copies_stay_out_of_the_kernel)
{
	struct ct_entry e = open_flow(1, IPPROTO_TCP);

	ck_assert_ptr_null(rig_find(&r->n[B], &e.orig));
	ck_assert_uint_eq(sync_stored(s), 1);
	ck_assert_int_eq(rig_view(r, B, &e).why, SYNC_WHY_WARM);
	ck_assert_int_eq(rig_view(r, B, &e).disp, SYNC_DISP_SYNCED);
	ck_assert(!rig_view(r, B, &e).in_kernel);
	ck_assert_int_eq(rig_view(r, A, &e).disp, SYNC_DISP_SYNCED);
	rig_run(r, 2 * NS_PER_SEC);
	ck_assert(rig_equal(r));
	struct sync_state st;
	sync_state_get(s, &st);
	ck_assert(st.have_all && st.stored == 1 && st.copies == 1 && !st.committing);
	ck_assert(sync_peer_get(r->n[A].s, 2)->has_all);
	/* Hours later it is still there, and nothing was written. */
	rig_idle(r, 3600 * NS_PER_SEC);
	ck_assert_uint_eq(sync_stored(s), 1);
	ck_assert_uint_eq(r->n[B].ops[CT_OP_CREATE], 0);
	ck_assert(rig_equal(r));
}
END_TEST

START_TEST(warm_copies_follow_their_originals)
{
	struct ct_entry e = open_flow(2, IPPROTO_TCP), f = open_flow(3, IPPROTO_UDP);
	struct rig_entry *k = rig_find(&r->n[A], &e.orig);

	e.tcp_state = k->e.tcp_state = CT_TCP_CLOSE_WAIT;
	rig_event(r, A, CT_EV_UPDATE, 0, &e);
	settle();
	ck_assert_uint_eq(rig_view(r, B, &e).e.tcp_state, CT_TCP_CLOSE_WAIT);
	ck_assert_uint_eq(sync_stored(s), 2);
	k->e.tcp_state = CT_TCP_CLOSE;
	rig_remove(r, A, k, 0);
	settle();
	ck_assert(!rig_known(r, B, &e));
	/* What ran out at its owner cannot have been seen here. */
	rig_remove(r, A, rig_find(&r->n[A], &f.orig), 0);
	rig_run(r, 4 * NS_PER_SEC);
	ck_assert(!rig_known(r, B, &f));
	ck_assert_uint_eq(sync_stored(s), 0);
	ck_assert_uint_eq(r->n[B].ops[CT_OP_CREATE], 0);
}
END_TEST

START_TEST(a_takeover_writes_the_store)
{
	struct ct_entry e[4];

	for (unsigned i = 0; i < 4; i++)
		e[i] = open_flow((uint16_t)(10 + i), i % 2 ? IPPROTO_UDP : IPPROTO_TCP);
	take();
	for (unsigned i = 0; i < 4; i++) {
		struct rig_entry *k = rig_find(&r->n[B], &e[i].orig);
		ck_assert_ptr_nonnull(k);
		ck_assert_uint_ge(rig_left(r, k), 298);
		ck_assert(rig_view(r, B, &e[i]).mine && rig_view(r, B, &e[i]).in_kernel);
	}
	ck_assert_uint_eq(sync_stored(s), 0);
	ck_assert_uint_eq(s->stats.store_commits, 1);
	rig_idle(r, 30 * NS_PER_SEC);
	for (unsigned i = 0; i < 4; i++)
		ck_assert(rig_view(r, B, &e[i]).mine);
}
END_TEST

/* A peer that vanished takes no copy with it, and one that never comes back does after a lease. */
START_TEST(the_store_outlives_the_channel_and_not_the_owner)
{
	struct ct_entry e = open_flow(4, IPPROTO_TCP);

	rig_down(r);
	rig_idle(r, 200 * NS_PER_SEC);
	ck_assert_uint_eq(sync_stored(s), 1);
	sync_peer_alive(s, 1, r->now); /* its adverts are heard */
	rig_idle(r, 200 * NS_PER_SEC);
	ck_assert_uint_eq(sync_stored(s), 1);
	rig_idle(r, 200 * NS_PER_SEC);
	ck_assert(!rig_known(r, B, &e));
}
END_TEST

static struct ct_entry helped(uint16_t port, const char *helper)
{
	struct ct_entry e = rig_flow(port, IPPROTO_TCP, false);

	e.has |= CT_HAS_HELPER;
	strcpy(e.helper, helper);
	return e;
}

static void related(struct ct_entry *e, const struct ct_entry *master)
{
	e->has |= CT_HAS_MASTER;
	e->master = master->orig;
}

START_TEST(promotion_order)
{
	struct ct_entry old = rig_flow(20, IPPROTO_TCP, false), half = rig_flow(21, IPPROTO_TCP, false);
	struct ct_entry q931 = helped(22, "Q.931"), h245 = helped(23, "H.245"),
			media = rig_flow(24, IPPROTO_UDP, false);
	struct ct_entry fresh = rig_flow(25, IPPROTO_UDP, false), plain = rig_flow(26, IPPROTO_TCP, false);
	struct ct_entry child = rig_flow(27, IPPROTO_TCP, false);

	half.tcp_state = CT_TCP_FIN_WAIT;
	related(&h245, &q931);
	related(&media, &h245);
	related(&child, &plain); /* a master that shows no helper */
	struct ct_entry *const in[] = { &q931, &old, &h245, &half, &media, &plain, &child, &fresh };
	for (unsigned i = 0; i < 8; i++) {
		rig_open(r, A, in[i]);
		settle();
	}
	ck_assert_uint_eq(sync_stored(s), 8);
	take();
	/* Masters, the newest first; those related themselves; live ones, the newest first; the rest. */
	struct ct_entry *const want[] = { &plain, &q931, &h245, &fresh, &child, &media, &old, &half };
	ck_assert_uint_eq(r->n[B].n_made, 8);
	for (unsigned i = 0; i < 8; i++)
		ck_assert_msg(memcmp(&r->n[B].made[i], &want[i]->orig, sizeof(struct ct_tuple)) == 0,
			      "number %u is port %u, not %u", i, r->n[B].made[i].sport, want[i]->orig.sport);
	ck_assert_uint_eq(s->stats.op_create_failed, 0);
}
END_TEST

/* The preparation is given up: the standby is warm again, and what was written goes back as its lease comes to half. */
START_TEST(an_abort_gives_back)
{
	struct ct_entry e = open_flow(5, IPPROTO_TCP);

	sync_fence(s, (struct epoch){ 9, 2 }, r->now);
	settle();
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
	sync_stable(s, r->now);
	ck_assert(!sync_store_warm(s)); /* another group may still be preparing */
	rig_run(r, 6 * NS_PER_SEC);
	ck_assert(sync_store_warm(s));
	struct ct_entry f = open_flow(6, IPPROTO_TCP);
	ck_assert_ptr_null(rig_find(&r->n[B], &f.orig));
	rig_idle(r, 200 * NS_PER_SEC);
	ck_assert_ptr_null(rig_find(&r->n[B], &e.orig));
	ck_assert_uint_eq(sync_stored(s), 2);
	ck_assert_uint_eq(s->stats.store_back, 1);
	rig_idle(r, 10 * NS_PER_SEC);
	ck_assert(rig_equal(r) && rig_find(&r->n[A], &e.orig));
}
END_TEST

/* After a demotion a node's own flows are copies of the new master's: leased first, then given back. */
START_TEST(a_demotion_gives_back)
{
	struct ct_entry e = open_flow(7, IPPROTO_TCP);

	sync_fence(s, (struct epoch){ 9, 2 }, r->now);
	settle();
	sync_demoting(r->n[A].s, r->now);
	struct sync_authority none = { { 9, 2 }, false, false };
	sync_authority(r->n[A].s, &none, r->now);
	rig_authority(r, B, 9, true);
	sync_stable(s, r->now);
	rig_run(r, NS_PER_SEC);
	sync_stable(r->n[A].s, r->now);
	rig_idle(r, 20 * NS_PER_SEC);
	ck_assert(rig_view(r, B, &e).mine && !rig_view(r, A, &e).mine);
	ck_assert_ptr_nonnull(rig_find(&r->n[A], &e.orig));
	ck_assert_uint_le(rig_left(r, rig_find(&r->n[A], &e.orig)), 300);
	rig_idle(r, 300 * NS_PER_SEC);
	ck_assert_ptr_null(rig_find(&r->n[A], &e.orig));
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
	ck_assert_uint_eq(sync_stored(r->n[A].s), 1);
	ck_assert_int_eq(rig_view(r, A, &e).why, SYNC_WHY_WARM);
	rig_idle(r, 10 * NS_PER_SEC);
	ck_assert(rig_equal(r));
}
END_TEST

/* Packets come here before the role does: the entry that they made is the flow's, whatever waits in the store. */
START_TEST(traffic_overtakes_the_store)
{
	struct ct_entry e = open_flow(8, IPPROTO_UDP);

	rig_open(r, B, &e);
	settle();
	ck_assert_uint_eq(sync_stored(s), 0);
	ck_assert(rig_view(r, B, &e).mine);
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert(rig_equal(r));
}
END_TEST

/* A node with a role writes at once: the flow may be of the group that it serves. */
START_TEST(no_warm_store_beside_a_role)
{
	struct sync_authority some = { { 6, 2 }, true, false };

	sync_authority(s, &some, r->now);
	struct ct_entry e = open_flow(9, IPPROTO_TCP);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
}
END_TEST

/* Two groups move at once, and the fence of the lower number comes second: the store is one for both. */
START_TEST(two_promotions_share_the_store)
{
	struct epoch over = { 0, 0 };
	struct ct_entry e = open_flow(13, IPPROTO_TCP);
	struct ct_op op[4];

	ck_assert(!sync_commit_over(s, &over));
	sync_fence(s, (struct epoch){ 9, 2 }, r->now);
	ck_assert(sync_storing(s));
	ck_assert_uint_eq(sync_pull_ops(s, op, 4, r->now), 1);
	ck_assert_uint_eq(sync_stored(s), 0);
	/* It has left the store, and the kernel has not answered. */
	ck_assert(sync_storing(s));
	sync_fence(s, (struct epoch){ 8, 2 }, r->now);
	ck_assert(sync_storing(s) && !sync_commit_over(s, &over));
	sync_on_op_result(s, op[0].cookie, rig_op(r, B, &op[0]), r->now);
	ck_assert(!sync_storing(s));
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
	/* One answer, to both. */
	ck_assert(sync_commit_over(s, &over));
	ck_assert_uint_eq(over.counter, 9);
	ck_assert(!sync_commit_over(s, &over));
	/* The next one is a promotion of its own, whatever its number. */
	sync_fence(s, (struct epoch){ 7, 2 }, r->now);
	ck_assert(!sync_storing(s) && sync_commit_over(s, &over));
	ck_assert_uint_eq(over.counter, 7);
}
END_TEST

/* A state that ends soon has waited here while its owner's timer went on. */
START_TEST(short_states_get_their_time)
{
	struct ct_entry e = rig_flow(12, IPPROTO_UDP, true);

	e.status &= ~(uint32_t)(CT_ST_SEEN_REPLY | CT_ST_ASSURED);
	e.timeout_s = 30;
	rig_open(r, A, &e);
	settle();
	ck_assert_uint_eq(sync_stored(s), 1);
	for (unsigned i = 0; i < 10; i++) { /* one way only, never an event */
		rig_packet(r, A, &e, 30);
		rig_idle(r, 10 * NS_PER_SEC);
	}
	take();
	struct rig_entry *k = rig_find(&r->n[B], &e.orig);
	ck_assert_ptr_nonnull(k);
	ck_assert_uint_ge(rig_left(r, k), 29);
}
END_TEST

START_TEST(from_hot_to_warm_and_back)
{
	struct ct_entry e = open_flow(13, IPPROTO_TCP);

	r->conf[B].store = SYNC_STORE_HOT;
	rig_run(r, 2 * NS_PER_SEC);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
	r->conf[B].store = SYNC_STORE_WARM;
	rig_idle(r, 200 * NS_PER_SEC);
	ck_assert_ptr_null(rig_find(&r->n[B], &e.orig));
	ck_assert_uint_eq(sync_stored(s), 1);
}
END_TEST

/* ---- the high-water mark ---- */

static void fill(unsigned n)
{
	for (unsigned i = 0; i < n; i++) { /* B's own: it opened them itself */
		struct ct_entry e = rig_flow((uint16_t)(5000 + i), IPPROTO_UDP, false);
		memcpy(e.orig.src, (uint8_t[]){ 10, 0, 0, 2 }, 4);
		memcpy(e.reply.dst, e.orig.src, 4);
		e.timeout_s = 100000;
		rig_open(r, B, &e);
	}
	rig_run(r, 1100 * NS_PER_MS);
}

static void drain(unsigned n)
{
	for (unsigned i = 0; i < RIG_KERN && n > 0; i++)
		if (r->n[B].k[i].used && r->n[B].k[i].e.orig.sport >= 5000) {
			rig_remove(r, B, &r->n[B].k[i], 0);
			n--;
		}
}

START_TEST(copies_stop_at_the_mark)
{
	fill(4);
	for (unsigned i = 0; i < 10; i++)
		open_flow((uint16_t)(30 + i), IPPROTO_TCP);
	ck_assert_uint_eq(r->n[B].n, 10); /* half of 20 */
	ck_assert_uint_eq(sync_stored(s), 4);
	ck_assert_uint_eq(why_is(B, SYNC_WHY_STANDBY_FULL), 4);
	/* Their owner says so, too. */
	ck_assert_uint_eq(why_is(A, SYNC_WHY_STANDBY_FULL), 4);
	ck_assert_uint_eq(r->n[A].s->peer_rejected[SYNC_REJ_STANDBY_FULL], 4);
	ck_assert_uint_eq(s->rejected[SYNC_REJ_STANDBY_FULL], 4);
	ck_assert_uint_eq(sync_peer_get(r->n[A].s, 2)->refusing, 4);
	rig_run(r, 2 * NS_PER_SEC);
	ck_assert(rig_equal(r));
	/* The kernel never had to refuse anything. */
	ck_assert_uint_eq(s->stats.op_create_failed, 0);
	/* Room again: they follow, and nobody is told a second time that they wait. */
	drain(4);
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert_uint_eq(sync_stored(s), 0);
	ck_assert_uint_eq(r->n[B].n, 10);
	ck_assert_uint_eq(why_is(A, SYNC_WHY_STANDBY_FULL), 0);
	ck_assert_uint_eq(why_is(B, SYNC_WHY_STANDBY_FULL), 0);
	ck_assert_uint_eq(s->rejected[SYNC_REJ_STANDBY_FULL], 4);
	ck_assert_uint_eq(why_is(A, SYNC_WHY_NONE), 10);
}
END_TEST

START_TEST(news_of_a_waiting_copy_is_no_news_of_the_mark)
{
	fill(10);
	struct ct_entry e = open_flow(50, IPPROTO_TCP);
	ck_assert_int_eq(rig_view(r, A, &e).why, SYNC_WHY_STANDBY_FULL);
	unsigned told = r->n[B].sent[SYNC_REC_REFUSED];
	for (unsigned i = 0; i < 5; i++) {
		e.mark = rig_find(&r->n[A], &e.orig)->e.mark = i + 1;
		e.has |= CT_HAS_MARK;
		rig_event(r, A, CT_EV_UPDATE, 0, &e);
		settle();
	}
	ck_assert_uint_eq(rig_view(r, B, &e).e.mark, 5);
	ck_assert_uint_eq(r->n[B].sent[SYNC_REC_REFUSED], told);
	ck_assert_uint_eq(sync_stored(s), 1);
	/* After a new connection it is said again: the owner may have been started anew. */
	rig_down(r);
	rig_up(r);
	rig_run(r, NS_PER_SEC);
	ck_assert_int_eq(rig_view(r, A, &e).why, SYNC_WHY_STANDBY_FULL);
	ck_assert_uint_eq(r->n[B].sent[SYNC_REC_REFUSED], told + 1);
}
END_TEST

START_TEST(a_takeover_goes_up_to_the_limit)
{
	fill(12);
	for (unsigned i = 0; i < 10; i++)
		open_flow((uint16_t)(60 + i), IPPROTO_TCP);
	ck_assert_uint_eq(sync_stored(s), 10);
	take();
	ck_assert_uint_eq(r->n[B].n, 20);
	ck_assert_uint_eq(sync_stored(s), 2);
	ck_assert_uint_eq(why_is(B, SYNC_WHY_TABLE_FULL), 2);
	ck_assert_uint_eq(s->stats.op_create_failed, 0);
	/* The newest went first. */
	ck_assert_uint_eq(r->n[B].made[0].sport, 69);
	ck_assert_uint_eq(r->n[B].made[7].sport, 62);
	rig_idle(r, 20 * NS_PER_SEC);
	ck_assert_uint_eq(sync_stored(s), 2);
	drain(3);
	rig_idle(r, 2 * NS_PER_SEC);
	ck_assert_uint_eq(sync_stored(s), 0);
	ck_assert_uint_eq(r->n[B].n, 19);
}
END_TEST

/*
 * A role came and went while the table was full: what it left in the store is this node's, and no other has a timer for
 * it. It is written as soon as there is room, in front of copies that wait for the mark or for a role.
 */
static void own_flows_go_first(enum sync_store store)
{
	struct ct_entry e = rig_flow(60, IPPROTO_TCP, false), copy;

	fill(12);
	for (unsigned i = 0; i < 10; i++)
		open_flow((uint16_t)(60 + i), IPPROTO_TCP);
	take();
	ck_assert_uint_eq(sync_stored(s), 2);
	r->conf[B].store = store;
	sync_demoting(s, r->now);
	sync_authority(s, &(struct sync_authority){ { 9, 2 }, false, false }, r->now);
	sync_stable(s, r->now);
	rig_up(r);
	rig_idle(r, 10 * NS_PER_SEC);
	copy = open_flow(90, IPPROTO_TCP);
	rig_idle(r, 10 * NS_PER_SEC);
	ck_assert(rig_view(r, B, &e).mine && !rig_view(r, B, &e).in_kernel);
	ck_assert(!rig_view(r, B, &copy).mine && !rig_view(r, B, &copy).in_kernel);
	ck_assert_uint_eq(sync_stored(s), 3);
	drain(3);
	rig_idle(r, 3 * NS_PER_SEC);
	ck_assert(rig_view(r, B, &e).in_kernel);
	ck_assert_uint_eq(sync_stored(s), 1);
	ck_assert_uint_eq(s->store.n_own, 0);
	ck_assert(!rig_view(r, B, &copy).in_kernel);
	rig_check(s);
	rig_idle(r, 2 * NS_PER_SEC);
	ck_assert(rig_equal(r));
}

START_TEST(own_flows_do_not_wait_behind_copies)
{
	own_flows_go_first(SYNC_STORE_HOT);
}
END_TEST

START_TEST(own_flows_do_not_wait_for_a_role)
{
	own_flows_go_first(SYNC_STORE_WARM);
}
END_TEST

/* The node's own sessions grow into the last quarter: copies without traffic make room. */
START_TEST(own_sessions_push_copies_out)
{
	for (unsigned i = 0; i < 10; i++)
		open_flow((uint16_t)(80 + i), IPPROTO_TCP);
	ck_assert_uint_eq(r->n[B].n, 10);
	rig_idle(r, 12 * NS_PER_SEC); /* a sweep has passed: what it reads is not fresh any more */
	fill(6);
	rig_idle(r, 10 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].n, 10);
	ck_assert_uint_eq(sync_stored(s), 6);
	ck_assert_uint_eq(why_is(A, SYNC_WHY_STANDBY_FULL), 6);
	for (unsigned i = 0; i < 6; i++) { /* none of them is one of its own */
		struct ct_entry e = rig_flow((uint16_t)(5000 + i), IPPROTO_UDP, false);
		memcpy(e.orig.src, (uint8_t[]){ 10, 0, 0, 2 }, 4);
		ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
	}
	rig_run(r, 2 * NS_PER_SEC);
	ck_assert(rig_equal(r));
	take();
	ck_assert_uint_eq(r->n[B].n, 16);
}
END_TEST

/* The level is known to be wrong when the kernel says so: it is read again, and nothing spins meanwhile. */
START_TEST(full_although_the_level_says_otherwise)
{
	for (unsigned i = 0; i < 3; i++)
		open_flow((uint16_t)(100 + i), IPPROTO_TCP);
	r->n[B].fail = ENOMEM;
	for (unsigned i = 0; i < 3; i++)
		open_flow((uint16_t)(110 + i), IPPROTO_TCP);
	unsigned tries = r->n[B].ops[CT_OP_CREATE];
	rig_run(r, 900 * NS_PER_MS);
	ck_assert_uint_le(r->n[B].ops[CT_OP_CREATE] - tries, 30);
	ck_assert_uint_ge(s->rejected[SYNC_REJ_TABLE_FULL], 1);
	ck_assert_uint_eq(why_is(A, SYNC_WHY_STANDBY_FULL) + why_is(A, SYNC_WHY_FAILED), 3);
	r->n[B].fail = 0;
	rig_idle(r, 70 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].n, 6);
	ck_assert_uint_eq(why_is(A, SYNC_WHY_NONE), 6);
}
END_TEST

/* A tool has written over a copy, and the table was made smaller since it was looked at: the sweep that mends it looks. */
START_TEST(mended_copies_stop_at_the_mark)
{
	struct ct_entry e = rig_flow(40, IPPROTO_UDP, true);

	rig_open(r, A, &e);
	settle();
	rig_run(r, 3 * NS_PER_SEC); /* seen once since it was written */
	r->n[B].no_sweep = true;
	while (s->store.read_at.ns != r->now.ns)
		rig_run(r, 10 * NS_PER_MS);
	rig_find(&r->n[B], &e.orig)->e.status &= ~(uint32_t)(CT_ST_SRC_NAT | CT_ST_DST_NAT);
	r->n[B].max = 1;
	rig_run(r, 200 * NS_PER_MS);
	rig_sweep(r, B);
	settle();
	ck_assert_ptr_null(rig_find(&r->n[B], &e.orig));
	ck_assert_int_eq(rig_view(r, B, &e).why, SYNC_WHY_STANDBY_FULL);
	r->n[B].max = 20;
	r->n[B].no_sweep = false;
	rig_run(r, 2 * NS_PER_SEC);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
}
END_TEST

START_TEST(no_limit_no_mark)
{
	sync_table(s, 0, 500, r->now);
	ck_assert_uint_eq(sync_high_water(s), UINT32_MAX);
	r->n[B].level = false;
	for (unsigned i = 0; i < 15; i++)
		open_flow((uint16_t)(130 + i), IPPROTO_TCP);
	ck_assert_uint_eq(r->n[B].n, 15);
}
END_TEST

/* ---- words ---- */

static const struct {
	int err;
	bool helper;
	uint16_t zone;
	enum sync_reject is;
	bool again;
} words[] = {
	{ ENOMEM, false, 0, SYNC_REJ_TABLE_FULL, true },      { ENOSPC, false, 0, SYNC_REJ_CHAIN, true },
	{ EEXIST, false, 0, SYNC_REJ_COLLISION, true },       { ENOENT, false, 0, SYNC_REJ_MASTER, true },
	{ EOPNOTSUPP, true, 7, SYNC_REJ_HELPER, true },       { EOPNOTSUPP, false, 7, SYNC_REJ_ZONE, true },
	{ EOPNOTSUPP, false, 0, SYNC_REJ_UNSUPPORTED, true }, { EDQUOT, false, 0, SYNC_REJ_STANDBY_FULL, false },
	{ ENFILE, false, 0, SYNC_REJ_PEER_FULL, false },      { EADDRNOTAVAIL, false, 0, SYNC_REJ_LOCAL, false },
	{ ERANGE, false, 0, SYNC_REJ_OTHER, false },          { EINVAL, false, 0, SYNC_REJ_INVALID, false },
};

START_TEST(reasons_have_words)
{
	struct ct_entry e = rig_flow(1, IPPROTO_TCP, false);

	if (words[_i].helper)
		e.has |= CT_HAS_HELPER;
	e.orig.zone = words[_i].zone;
	ck_assert_int_eq(sync_reject_of(words[_i].err, &e), words[_i].is);
	ck_assert_int_eq(sync_reject_of(-words[_i].err, &e), words[_i].is);
	ck_assert(sync_reject_retries(words[_i].err) == words[_i].again);
	ck_assert_uint_gt(strlen(sync_reject_word(words[_i].is)), 2);
	ck_assert_uint_gt(strlen(sync_reject_text(words[_i].is)), 10);
}
END_TEST

int main(void)
{
	Suite *su = suite_create("sync_store");
	TCase *t = tcase_create("warm"), *h = tcase_create("high water"), *w = tcase_create("words");

	tcase_add_checked_fixture(t, warm, rig_pair_teardown);
	tcase_add_test(t, warm_copies_stay_out_of_the_kernel);
	tcase_add_test(t, warm_copies_follow_their_originals);
	tcase_add_test(t, a_takeover_writes_the_store);
	tcase_add_test(t, the_store_outlives_the_channel_and_not_the_owner);
	tcase_add_test(t, promotion_order);
	tcase_add_test(t, an_abort_gives_back);
	tcase_add_test(t, a_demotion_gives_back);
	tcase_add_test(t, traffic_overtakes_the_store);
	tcase_add_test(t, no_warm_store_beside_a_role);
	tcase_add_test(t, two_promotions_share_the_store);
	tcase_add_test(t, short_states_get_their_time);
	tcase_add_test(t, from_hot_to_warm_and_back);
	suite_add_tcase(su, t);
	tcase_add_checked_fixture(h, hot, rig_pair_teardown);
	tcase_add_test(h, copies_stop_at_the_mark);
	tcase_add_test(h, news_of_a_waiting_copy_is_no_news_of_the_mark);
	tcase_add_test(h, a_takeover_goes_up_to_the_limit);
	tcase_add_test(h, own_flows_do_not_wait_behind_copies);
	tcase_add_test(h, own_flows_do_not_wait_for_a_role);
	tcase_add_test(h, own_sessions_push_copies_out);
	tcase_add_test(h, full_although_the_level_says_otherwise);
	tcase_add_test(h, mended_copies_stop_at_the_mark);
	tcase_add_test(h, no_limit_no_mark);
	suite_add_tcase(su, h);
	tcase_add_loop_test(w, reasons_have_words, 0, sizeof(words) / sizeof(words[0]));
	suite_add_tcase(su, w);
	return unit_run(su);
}
