/* Two cores after restarts, lost copies and late news of a role: nothing that lives is dropped, nothing is asked for ever. */
#include "tests/unit/rig_pair.h"

static void open_some(struct ct_entry *e, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		e[i] = rig_flow((uint16_t)(5000 + i), IPPROTO_TCP, true);
		rig_open(r, A, &e[i]);
	}
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].n, n);
}

/* The machine is new: process and kernel know nothing. */
static void reboot(unsigned i)
{
	rig_down(r);
	memset(r->n[i].k, 0, sizeof(r->n[i].k));
	r->n[i].n = 0;
	rig_boot(r, i);
	rig_run(r, 100 * NS_PER_MS);
}

START_TEST(test_owner_reboots_and_learns_its_flows_again)
{
	struct ct_entry e[20];

	open_some(e, 20);
	reboot(A);
	rig_up(r);
	rig_run(r, 5 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].n, 20);
	ck_assert_uint_eq(r->n[A].n, 20);
	ck_assert_uint_eq(r->n[B].s->stats.offered, 20);
	ck_assert(rig_equal(r));
}
END_TEST

/* It takes the role before anybody could tell it what there is: its floor makes it the owner of what it does not know. */
START_TEST(test_empty_master_ends_nothing)
{
	struct ct_entry e[20];

	open_some(e, 20);
	reboot(A);
	sync_fence(r->n[A].s, (struct epoch){ 9, 1 }, r->now);
	rig_authority(r, A, 9, true);
	rig_up(r);
	rig_run(r, 5 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].n, 20);
	ck_assert_uint_eq(r->n[A].n, 20);
	ck_assert(rig_view(r, A, &e[0]).mine);
	ck_assert(rig_equal(r));
}
END_TEST

START_TEST(test_master_claims_what_the_owner_forgot)
{
	struct ct_entry e[20];

	open_some(e, 20);
	rig_down(r);
	reboot(A);
	/* One of two groups: no floor, the flows stay the old owner's by their number. */
	struct sync_authority one = { { 6, 2 }, true, false };
	sync_authority(r->n[B].s, &one, r->now);
	rig_up(r);
	rig_run(r, 5 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].n, 20);
	ck_assert_uint_eq(r->n[A].n, 20);
	ck_assert(rig_view(r, B, &e[0]).mine);
	ck_assert(rig_equal(r));
}
END_TEST

/*
 * Both served while nothing went between them. The flow closed at B, which had never seen it before and told nobody; A goes
 * on to believe in it, and would for the days of an established flow.
 */
START_TEST(test_closed_where_nobody_could_be_told)
{
	struct ct_entry e = rig_flow(5900, IPPROTO_TCP, false), closed = e;
	struct sync_authority one = { { 7, 2 }, true, false };

	rig_down(r);
	rig_open(r, A, &e);
	sync_authority(r->n[B].s, &one, r->now);
	closed.tcp_state = CT_TCP_TIME_WAIT;
	rig_open(r, B, &closed);
	rig_run(r, NS_PER_SEC);
	ck_assert_int_eq(rig_view(r, B, &e).why, SYNC_WHY_CLOSING);
	rig_up(r);
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert_ptr_null(rig_find(&r->n[A], &e.orig));
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
	ck_assert(rig_equal(r));
}
END_TEST

/* Claimed, ended and found alive before the claim could be told: it is told after all. */
START_TEST(test_claim_outlives_an_end_that_was_none)
{
	struct ct_entry e[1];
	struct sync_authority one = { { 6, 2 }, true, false };

	open_some(e, 1);
	sync_authority(r->n[B].s, &one, r->now);
	r->n[B].cut = true;
	rig_event(r, B, CT_EV_UPDATE, 0, &e[0]);
	ck_assert(rig_view(r, B, &e[0]).mine && rig_view(r, A, &e[0]).mine);
	struct ct_entry end = e[0];
	end.has &= ~(uint32_t)(CT_HAS_TCP_WIN | CT_HAS_TIMEOUT);
	rig_event(r, B, CT_EV_DESTROY, 0, &end);
	rig_sweep(r, B);
	r->n[B].cut = false;
	rig_run(r, 500 * NS_PER_MS);
	ck_assert(rig_view(r, B, &e[0]).mine && !rig_view(r, A, &e[0]).mine);
	rig_run(r, 5 * NS_PER_SEC);
	ck_assert(rig_equal(r));
}
END_TEST

/* The copy is lost, and the flow becomes ours before its owner could send it again. */
START_TEST(test_lost_copy_of_a_flow_that_became_ours)
{
	struct ct_entry e[1];

	open_some(e, 1);
	r->n[A].cut = true;
	rig_remove(r, B, rig_find(&r->n[B], &e[0].orig), TOOL_PORT);
	rig_run(r, 20 * NS_PER_MS);
	ck_assert_ptr_null(rig_find(&r->n[B], &e[0].orig));
	sync_fence(r->n[B].s, (struct epoch){ 6, 2 }, r->now);
	rig_authority(r, B, 6, true);
	rig_run(r, 25 * NS_PER_SEC);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e[0].orig));
	ck_assert(rig_view(r, B, &e[0]).mine);
}
END_TEST

/* B knows a higher number of A's flow than A itself does, and has lost its copy. */
START_TEST(test_forgotten_number_is_answered_once)
{
	struct ct_entry e[1];
	uint32_t id;

	open_some(e, 1);
	struct sess *x = sess_find(&r->n[B].s->tbl, &e[0].orig, &id);
	struct flow f = { id, x };
	struct flow_version v = sess_version(&r->n[B].s->tbl, x);
	v.claim = 3;
	flow_uncount(r->n[B].s, f);
	ck_assert(sess_set_version(&r->n[B].s->tbl, x, v));
	flow_count(r->n[B].s, f);
	unsigned before = r->n[B].sent[SYNC_REC_WANT];
	rig_remove(r, B, rig_find(&r->n[B], &e[0].orig), TOOL_PORT);
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert_uint_le(r->n[B].sent[SYNC_REC_WANT] - before, 2);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e[0].orig));
	ck_assert_uint_eq(rig_view(r, A, &e[0]).version.claim, 3);
	ck_assert(rig_equal(r));
}
END_TEST

/*
 * A's process begins anew and finds its entry before B tells it whose it is. Then B takes over, and the flow ends: B
 * has named it in this stream, and tells the end by its handle.
 */
START_TEST(test_handle_of_an_offer_is_learnt)
{
	struct ct_entry e[1];

	open_some(e, 1);
	rig_down(r);
	rig_boot(r, A);
	rig_run(r, 100 * NS_PER_MS);
	ck_assert_int_eq(rig_view(r, A, &e[0]).why, SYNC_WHY_ORPHAN);
	r->n[A].no_sweep = true;
	rig_up(r);
	rig_run(r, 100 * NS_PER_MS);
	ck_assert_uint_eq(r->n[B].sent[SYNC_REC_CURRENT], 1);
	ck_assert(rig_view(r, A, &e[0]).mine);
	sync_fence(r->n[B].s, (struct epoch){ 6, 2 }, r->now);
	rig_authority(r, B, 6, true);
	rig_run(r, 100 * NS_PER_MS);
	ck_assert(!rig_view(r, A, &e[0]).mine);
	struct rig_entry *k = rig_find(&r->n[B], &e[0].orig);
	k->e.tcp_state = CT_TCP_CLOSE;
	rig_remove(r, B, k, 0);
	rig_run(r, 50 * NS_PER_MS);
	ck_assert(!r->n[B].last[SYNC_REC_DELETE].full);
	ck_assert_uint_eq(r->n[A].s->stats.rx_unknown, 0);
	ck_assert_uint_eq(r->n[A].s->stats.rx_deleted, 1);
	ck_assert_ptr_null(rig_find(&r->n[A], &e[0].orig));
	ck_assert(!rig_known(r, A, &e[0]));
}
END_TEST

/* Packets passed A in the seconds before it gave the flow away; B's copy then runs out. */
START_TEST(test_traffic_before_a_switch_is_remembered)
{
	struct ct_entry e = rig_flow(21, IPPROTO_UDP, true);

	rig_open(r, A, &e);
	rig_run(r, 12 * NS_PER_SEC);
	rig_packet(r, A, &e, 120);
	sync_fence(r->n[B].s, (struct epoch){ 6, 2 }, r->now);
	rig_authority(r, B, 6, true);
	rig_authority(r, A, 6, false);
	rig_run(r, 15 * NS_PER_SEC);
	ck_assert(!rig_view(r, A, &e).mine);
	rig_remove(r, B, rig_find(&r->n[B], &e.orig), 0);
	rig_run(r, 5 * NS_PER_SEC);
	ck_assert_ptr_nonnull(rig_find(&r->n[A], &e.orig));
	ck_assert(rig_view(r, A, &e).mine);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
}
END_TEST

/*
 * B serves for less than a sweep, and packets pass there: the timers that they moved are no reason to claim what has gone
 * back to A. Packets after that are one.
 */
START_TEST(test_packets_from_before_the_floor_claim_nothing)
{
	struct ct_entry e[20], udp = rig_flow(6000, IPPROTO_UDP, true);

	rig_open(r, A, &udp);
	for (unsigned i = 0; i < 20; i++) {
		e[i] = rig_flow((uint16_t)(5000 + i), IPPROTO_TCP, true);
		rig_open(r, A, &e[i]);
	}
	rig_run(r, 5 * NS_PER_SEC);
	r->n[B].no_sweep = true;
	sync_fence(r->n[B].s, (struct epoch){ 6, 2 }, r->now);
	rig_authority(r, B, 6, true);
	rig_authority(r, A, 6, false);
	rig_run(r, NS_PER_SEC);
	ck_assert(rig_view(r, B, &e[0]).mine && rig_view(r, B, &udp).mine);
	for (unsigned i = 0; i < 10; i++)
		rig_packet(r, B, &e[i], 432000);
	rig_packet(r, B, &udp, 120);
	sync_fence(r->n[A].s, (struct epoch){ 7, 1 }, r->now);
	rig_authority(r, A, 7, true);
	rig_authority(r, B, 7, false);
	rig_step(r);
	r->n[B].no_sweep = false;
	rig_run(r, 10 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].s->stats.claims, 0);
	ck_assert_uint_eq(r->n[A].s->stats.claims, 0);
	ck_assert(rig_view(r, A, &e[0]).mine && rig_view(r, A, &udp).mine);
	/* Its lease is as long as any: the copy does not live for days on what a packet gave it. */
	ck_assert_uint_le(rig_left(r, rig_find(&r->n[B], &e[0].orig)), 300);
	ck_assert(rig_view(r, B, &e[0]).leased && rig_view(r, B, &e[15]).leased);
	rig_packet(r, B, &e[0], 432000);
	rig_packet(r, B, &e[15], 432000);
	rig_packet(r, B, &udp, 120);
	rig_run(r, 5 * NS_PER_SEC);
	ck_assert(rig_view(r, B, &e[0]).mine && rig_view(r, B, &e[15]).mine && rig_view(r, B, &udp).mine);
	ck_assert_uint_eq(r->n[B].s->stats.claims, 3);
	ck_assert(rig_equal(r));
}
END_TEST

/* A packet came right after the copy got its lease: the first sweep cannot tell, and must not wipe the trace away. */
START_TEST(test_fresh_lease_keeps_its_trace)
{
	struct ct_entry e = rig_flow(31, IPPROTO_TCP, true);

	r->n[B].no_sweep = true;
	rig_open(r, A, &e);
	rig_run(r, 100 * NS_PER_MS);
	sync_fence(r->n[B].s, (struct epoch){ 6, 2 }, r->now);
	rig_authority(r, B, 6, true);
	rig_authority(r, A, 6, false);
	rig_packet(r, B, &e, 432000);
	r->n[B].no_sweep = false;
	rig_run(r, 15 * NS_PER_SEC);
	ck_assert(rig_view(r, B, &e).mine);
	sync_fence(r->n[A].s, (struct epoch){ 7, 1 }, r->now);
	rig_authority(r, A, 7, true);
	rig_authority(r, B, 7, false);
	rig_run(r, 100 * NS_PER_MS);
	rig_remove(r, A, rig_find(&r->n[A], &e.orig), 0);
	rig_run(r, 5 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].s->stats.rx_expired, 1);
	ck_assert_uint_eq(r->n[B].s->stats.claims, 1);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
	ck_assert_ptr_nonnull(rig_find(&r->n[A], &e.orig));
}
END_TEST

/*
 * A loses the role, and with it the entry, before it hears of B's floor. B cannot tell it what there is: something was
 * lost there as well. Then the role comes back, and A does not name the flow.
 */
static void there_and_back(const struct ct_entry *e)
{
	rig_open(r, A, e);
	rig_run(r, 100 * NS_PER_MS);
	r->n[B].cut = true;
	rig_authority(r, A, 6, false);
	rig_remove(r, A, rig_find(&r->n[A], &e->orig), 0);
	ck_assert(!rig_known(r, A, e));
	sync_fence(r->n[B].s, (struct epoch){ 6, 2 }, r->now);
	rig_authority(r, B, 6, true);
	r->n[B].cut = false;
	for (unsigned i = 0; i < 12; i++) {
		sync_net_lost(r->n[B].s, r->now);
		rig_run(r, NS_PER_SEC);
	}
	ck_assert(rig_view(r, B, e).mine && !rig_known(r, A, e));
	sync_fence(r->n[A].s, (struct epoch){ 7, 1 }, r->now);
	rig_authority(r, A, 7, true);
	rig_authority(r, B, 7, false);
	rig_run(r, 100 * NS_PER_MS);
	ck_assert(!rig_view(r, B, e).mine);
	rig_run(r, 15 * NS_PER_SEC);
}

/* No packet came: the flow was B's by the floor, A could not end it. It is given back, whatever the evidence. */
START_TEST(test_what_a_floor_gave_is_given_back)
{
	struct ct_entry e = rig_flow(32, IPPROTO_TCP, true);

	there_and_back(&e);
	ck_assert_uint_eq(r->n[B].s->stats.offered, 1);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
	ck_assert_ptr_nonnull(rig_find(&r->n[A], &e.orig));
	ck_assert(rig_view(r, A, &e).mine);
	ck_assert(rig_equal(r));
}
END_TEST

/* Once both had it after that, A's silence means the end again: also one that nobody told. */
START_TEST(test_end_after_a_comparison_counts)
{
	struct ct_entry e = rig_flow(33, IPPROTO_TCP, true), f = rig_flow(34, IPPROTO_TCP, true);

	rig_open(r, A, &f);
	there_and_back(&e);
	ck_assert(rig_equal(r) && rig_known(r, A, &f));
	uint64_t offered = r->n[B].s->stats.offered;
	for (unsigned i = 0; i < 2; i++) {
		rig_down(r);
		struct rig_entry *k = rig_find(&r->n[A], i ? &e.orig : &f.orig);
		k->e.tcp_state = CT_TCP_CLOSE;
		rig_remove(r, A, k, 0);
		rig_run(r, 100 * NS_PER_MS);
		rig_up(r);
		rig_run(r, 5 * NS_PER_SEC);
		ck_assert_uint_eq(r->n[A].n, 1 - i);
		ck_assert_uint_eq(r->n[B].n, 1 - i);
	}
	ck_assert_uint_eq(r->n[B].s->stats.offered, offered);
}
END_TEST

/*
 * A gets it all by a floor and loses a role in the same breath, and with its addresses the entry. No floor follows, since
 * each node serves a part from then on: the flow is A's by its number, A does not name it, and B forwards it.
 */
static void regained_and_lost(const struct ct_entry *e)
{
	rig_open(r, A, e);
	rig_run(r, 100 * NS_PER_MS);
	rig_authority(r, A, 6, false);
	rig_authority(r, B, 6, true);
	rig_run(r, 15 * NS_PER_SEC);
	ck_assert(rig_equal(r) && rig_view(r, B, e).mine);
	rig_authority(r, B, 7, false);
	rig_authority(r, A, 7, true);
	rig_run(r, 100 * NS_PER_MS);
	ck_assert(rig_view(r, A, e).mine);
	sync_demoting(r->n[A].s, r->now);
	rig_remove(r, A, rig_find(&r->n[A], &e->orig), 0);
	sync_authority(r->n[A].s, &(struct sync_authority){ { 7, 1 }, true, false }, r->now);
	sync_stable(r->n[A].s, r->now);
	ck_assert(!rig_known(r, A, e));
	sync_fence(r->n[B].s, (struct epoch){ 8, 2 }, r->now);
	sync_authority(r->n[B].s, &(struct sync_authority){ { 8, 2 }, true, false }, r->now);
}

START_TEST(test_what_went_with_a_role_has_not_ended)
{
	struct ct_entry e = rig_flow(35, IPPROTO_TCP, true), f = rig_flow(36, IPPROTO_TCP, true);

	regained_and_lost(&e);
	rig_open(r, A, &f);
	rig_run(r, 30 * NS_PER_SEC);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
	ck_assert_ptr_nonnull(rig_find(&r->n[A], &e.orig));
	ck_assert(rig_view(r, B, &e).mine);
	ck_assert(rig_equal(r));
	/* That was said once: what A does not name later has ended. */
	ck_assert(!r->n[A].s->peers[1].forgot);
	rig_down(r);
	rig_find(&r->n[A], &f.orig)->e.tcp_state = CT_TCP_CLOSE;
	rig_remove(r, A, rig_find(&r->n[A], &f.orig), 0);
	rig_run(r, 100 * NS_PER_MS);
	rig_up(r);
	rig_run(r, 5 * NS_PER_SEC);
	ck_assert(!rig_known(r, B, &f));
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
}
END_TEST

/* While the loss is near, a bulk says so and nothing is taken back: more may go. */
START_TEST(test_a_bulk_says_that_something_went)
{
	struct ct_entry e = rig_flow(37, IPPROTO_TCP, true);

	regained_and_lost(&e);
	ck_assert(r->n[A].s->peers[1].forgot);
	rig_down(r);
	rig_up(r);
	rig_run(r, 2 * NS_PER_SEC);
	ck_assert(r->n[A].last[SYNC_REC_BULK_END].forgot && !r->n[A].last[SYNC_REC_BULK_END].knew);
	ck_assert(r->n[A].s->peers[1].forgot);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
	ck_assert(rig_view(r, B, &e).mine);
	rig_run(r, 30 * NS_PER_SEC);
	ck_assert(rig_equal(r) && !r->n[A].s->peers[1].forgot);
}
END_TEST

/* Told before a fence, it may be created only. Found to be there already, it is a copy like any other from then on. */
START_TEST(test_create_only_ends_with_the_first_attempt)
{
	struct ct_entry e = rig_flow(41, IPPROTO_UDP, false), tool = e;

	r->n[B].no_ops = true;
	sync_fence(r->n[B].s, (struct epoch){ 6, 2 }, r->now);
	r->n[B].cut = true; /* A does not know of the fence */
	rig_open(r, A, &e);
	rig_run(r, 50 * NS_PER_MS);
	ck_assert_uint_eq(r->n[B].s->stats.only_create, 1);
	tool.status = CT_ST_CONFIRMED | CT_ST_SEEN_REPLY;
	rig_insert(r, B, &tool);
	rig_event(r, B, CT_EV_NEW, TOOL_PORT, &tool);
	r->n[B].no_ops = r->n[B].cut = false;
	rig_run(r, 50 * NS_PER_MS);
	ck_assert_uint_eq(r->n[B].s->stats.op_dropped, 1);
	struct rig_entry *k = rig_find(&r->n[A], &e.orig);
	k->e.has |= CT_HAS_MARK;
	k->e.mark = 7;
	rig_event(r, A, CT_EV_UPDATE, 0, &k->e);
	rig_run(r, 50 * NS_PER_MS);
	ck_assert_uint_eq(rig_find(&r->n[B], &e.orig)->e.mark, 7);
	ck_assert_uint_eq(rig_find(&r->n[B], &e.orig)->e.status & CT_ST_ASSURED, CT_ST_ASSURED);
}
END_TEST

/* A new life under an old tuple begins below the number of the former one. What B refuses of it, it has not taken in. */
START_TEST(test_what_was_refused_is_told_whole)
{
	struct ct_entry e = rig_flow(42, IPPROTO_UDP, false), again = rig_flow(42, IPPROTO_UDP, true);

	rig_open(r, A, &e);
	rig_run(r, 8 * NS_PER_SEC);
	rig_packet(r, B, &e, 120);
	rig_run(r, 8 * NS_PER_SEC);
	ck_assert(rig_view(r, B, &e).mine);
	rig_packet(r, A, &e, 120);
	rig_run(r, 8 * NS_PER_SEC);
	ck_assert_uint_eq(rig_view(r, A, &e).version.claim, 2);
	rig_remove(r, A, rig_find(&r->n[A], &e.orig), 0);
	rig_run(r, NS_PER_SEC);
	uint64_t repaired = r->n[B].s->stats.repaired;
	rig_open(r, A, &again);
	rig_run(r, 100 * NS_PER_MS);
	ck_assert_uint_eq(r->n[B].sent[SYNC_REC_CURRENT], 1);
	struct rig_entry *k = rig_find(&r->n[B], &e.orig);
	ck_assert_mem_eq(&k->e.reply, &again.reply, sizeof(again.reply));
	ck_assert_uint_ne(k->e.status & CT_ST_SRC_NAT, 0);
	rig_run(r, 5 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].s->stats.repaired, repaired);
	ck_assert(rig_equal(r));
}
END_TEST

/* B found an entry that nobody had told it of, and the first it hears is that it ran out: the question has to end. */
START_TEST(test_end_of_what_was_found)
{
	struct ct_entry e = rig_flow(43, IPPROTO_UDP, false);
	struct sync_rec rec = { .type = SYNC_REC_EXPIRED,
				.owner = 1,
				.epoch = { 5, 1 },
				.seq = sync_peer_get(r->n[B].s, 1)->rx_seq,
				.version = { { 5, 1 }, 0, 1 },
				.full = true };

	rec.e.orig = e.orig;
	rig_insert(r, B, &e);
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert_int_eq(rig_view(r, B, &e).why, SYNC_WHY_ORPHAN);
	sync_on_record(r->n[B].s, 1, &rec, r->now);
	rig_run(r, 100 * NS_PER_MS);
	ck_assert_ptr_null(rig_find(&r->n[B], &e.orig));
	ck_assert(!rig_known(r, B, &e));
}
END_TEST

/* It ran out while it was B's, with a change of A's still to be written, and is A's again before that is told. */
START_TEST(test_end_that_became_a_loss)
{
	struct ct_entry e = rig_flow(44, IPPROTO_UDP, false), f = rig_flow(45, IPPROTO_UDP, false);

	rig_open(r, A, &e);
	rig_run(r, 100 * NS_PER_MS);
	r->n[B].no_ops = true;
	struct rig_entry *k = rig_find(&r->n[A], &e.orig);
	k->e.has |= CT_HAS_MARK;
	k->e.mark = 7;
	rig_event(r, A, CT_EV_UPDATE, 0, &k->e);
	rig_run(r, 50 * NS_PER_MS);
	rig_authority(r, B, 6, true);
	rig_authority(r, A, 6, false);
	rig_run(r, 50 * NS_PER_MS);
	rig_remove(r, B, rig_find(&r->n[B], &e.orig), 0);
	ck_assert_int_eq(rig_view(r, B, &e).why, SYNC_WHY_EXPIRING);
	rig_authority(r, A, 7, true);
	rig_authority(r, B, 7, false);
	r->n[B].no_ops = false;
	rig_run(r, 5 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].s->stats.lost, 1);
	ck_assert_int_eq(rig_view(r, B, &e).why, SYNC_WHY_NONE);
	ck_assert_uint_eq(rig_find(&r->n[B], &e.orig)->e.mark, 7);
	/* Nothing is stuck where ends wait. */
	rig_open(r, A, &f);
	rig_run(r, 100 * NS_PER_MS);
	rig_remove(r, A, rig_find(&r->n[A], &f.orig), 0);
	rig_run(r, 4 * NS_PER_SEC);
	ck_assert(!rig_known(r, A, &f) && !rig_known(r, B, &f));
	ck_assert_uint_eq(r->n[A].s->expiry_head | r->n[B].s->expiry_head, 0);
}
END_TEST

/* B's bulk began before B had the role, and is worked in after the floor that makes the flow B's. */
START_TEST(test_bulk_from_before_a_floor)
{
	struct ct_entry e = rig_flow(46, IPPROTO_TCP, true);
	struct sync_rec rec = { .type = SYNC_REC_BULK_BEGIN, .owner = 2, .epoch = { 5, 1 } };

	rig_open(r, A, &e);
	rig_run(r, 100 * NS_PER_MS);
	rec.seq = sync_peer_get(r->n[A].s, 2)->rx_seq;
	memset(rec.mask, 0xff, sizeof(rec.mask));
	sync_on_record(r->n[A].s, 2, &rec, r->now);
	rec.type = SYNC_REC_BULK_END;
	sync_on_record(r->n[A].s, 2, &rec, r->now);
	rig_authority(r, B, 6, true);
	rig_deliver(r, B);
	rig_authority(r, A, 6, false);
	ck_assert(!rig_view(r, A, &e).mine);
	rig_run(r, NS_PER_SEC);
	ck_assert_uint_eq(r->n[A].s->stats.extra, 0);
	ck_assert_ptr_nonnull(rig_find(&r->n[A], &e.orig));
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("two cores");

	tcase_add_test(t, test_owner_reboots_and_learns_its_flows_again);
	tcase_add_test(t, test_empty_master_ends_nothing);
	tcase_add_test(t, test_master_claims_what_the_owner_forgot);
	tcase_add_test(t, test_closed_where_nobody_could_be_told);
	tcase_add_test(t, test_claim_outlives_an_end_that_was_none);
	tcase_add_test(t, test_lost_copy_of_a_flow_that_became_ours);
	tcase_add_test(t, test_forgotten_number_is_answered_once);
	tcase_add_test(t, test_handle_of_an_offer_is_learnt);
	tcase_add_test(t, test_packets_from_before_the_floor_claim_nothing);
	tcase_add_test(t, test_traffic_before_a_switch_is_remembered);
	tcase_add_test(t, test_fresh_lease_keeps_its_trace);
	tcase_add_test(t, test_what_a_floor_gave_is_given_back);
	tcase_add_test(t, test_end_after_a_comparison_counts);
	tcase_add_test(t, test_what_went_with_a_role_has_not_ended);
	tcase_add_test(t, test_a_bulk_says_that_something_went);
	tcase_add_test(t, test_create_only_ends_with_the_first_attempt);
	tcase_add_test(t, test_what_was_refused_is_told_whole);
	tcase_add_test(t, test_end_of_what_was_found);
	tcase_add_test(t, test_end_that_became_a_loss);
	tcase_add_test(t, test_bulk_from_before_a_floor);
	return rig_pair_run("sync_heal", t, rig_pair_setup_fenced);
}
