/* Whose a flow is and when it ends: expiry, claims, leases, fence, floor, partition. */
#include "tests/unit/rig_pair.h"

/* ---- expiry and claim ---- */

START_TEST(test_expiry_is_told_late)
{
	struct ct_entry e = rig_flow(20, IPPROTO_UDP, false);
	struct rig_entry *k = rig_open(r, A, &e);

	rig_run(r, 50 * NS_PER_MS);
	rig_remove(r, A, k, 0);
	ck_assert_int_eq(rig_view(r, A, &e).why, SYNC_WHY_EXPIRING);
	rig_run(r, 1900 * NS_PER_MS);
	ck_assert_uint_eq(r->n[A].sent[SYNC_REC_EXPIRED], 0);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
	rig_run(r, 1200 * NS_PER_MS);
	ck_assert_uint_eq(r->n[A].sent[SYNC_REC_EXPIRED], 1);
	ck_assert_uint_eq(r->n[A].sent[SYNC_REC_DELETE], 0);
	ck_assert_ptr_null(rig_find(&r->n[B], &e.orig));
	ck_assert(!rig_known(r, A, &e) && !rig_known(r, B, &e));
	rig_run(r, 2 * NS_PER_SEC);
	ck_assert(rig_equal(r));
}
END_TEST

/* The flow moved to B without a role change (asymmetric path): B's copy has traffic, the flow is B's. */
START_TEST(test_expiry_claimed_by_evidence)
{
	struct ct_entry e = rig_flow(21, IPPROTO_UDP, false);
	struct rig_entry *k = rig_open(r, A, &e);

	rig_run(r, 50 * NS_PER_MS);
	r->n[B].no_sweep = true;
	rig_run(r, 20 * NS_PER_SEC);
	rig_packet(r, B, &e, 120);
	rig_remove(r, A, k, 0);
	rig_run(r, 4 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[A].sent[SYNC_REC_EXPIRED], 1);
	ck_assert_uint_eq(r->n[B].sent[SYNC_REC_CLAIM], 1);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
	ck_assert(rig_view(r, B, &e).mine);
	/* The old owner has a copy again. */
	ck_assert_ptr_nonnull(rig_find(&r->n[A], &e.orig));
	ck_assert(!rig_view(r, A, &e).mine);
	struct flow_version v = rig_view(r, B, &e).version;
	ck_assert_uint_eq(v.node, 2);
	ck_assert_uint_eq(v.claim, 1);
	rig_run(r, 2 * NS_PER_SEC);
	ck_assert(rig_equal(r));
}
END_TEST

START_TEST(test_expiry_forgotten_when_something_was_lost)
{
	struct ct_entry e = rig_flow(22, IPPROTO_UDP, true);
	struct rig_entry *k = rig_open(r, A, &e);

	rig_run(r, 50 * NS_PER_MS);
	rig_remove(r, A, k, 0);
	rig_run(r, NS_PER_SEC);
	sync_net_lost(r->n[A].s, r->now);
	rig_run(r, 5 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[A].sent[SYNC_REC_EXPIRED], 0);
	ck_assert_uint_eq(r->n[A].s->stats.expire_forgotten, 1);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
}
END_TEST

START_TEST(test_address_gone_is_a_loss)
{
	struct ct_entry e = rig_flow(23, IPPROTO_UDP, true);
	struct rig_entry *k = rig_open(r, A, &e);

	rig_run(r, 50 * NS_PER_MS);
	sync_local_addrs(r->n[A].s, NULL, 0, r->now);
	rig_remove(r, A, k, 0);
	rig_run(r, 5 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[A].sent[SYNC_REC_EXPIRED], 0);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
}
END_TEST

START_TEST(test_expired_but_alive_again)
{
	struct ct_entry e = rig_flow(24, IPPROTO_UDP, false);
	struct rig_entry *k = rig_open(r, A, &e);

	rig_run(r, 50 * NS_PER_MS);
	rig_remove(r, A, k, 0);
	rig_run(r, 500 * NS_PER_MS);
	rig_open(r, A, &e);
	rig_run(r, 5 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[A].sent[SYNC_REC_EXPIRED], 0);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
	ck_assert(rig_equal(r));
}
END_TEST

/* The standby's copy vanishes (a flush there): no end is told, the owner is asked for it. */
START_TEST(test_lost_copy_is_asked_for)
{
	struct ct_entry e = rig_flow(25, IPPROTO_TCP, true);

	rig_open(r, A, &e);
	rig_run(r, 50 * NS_PER_MS);
	rig_remove(r, B, rig_find(&r->n[B], &e.orig), TOOL_PORT);
	ck_assert_int_eq(rig_view(r, B, &e).why, SYNC_WHY_LOST);
	rig_run(r, 100 * NS_PER_MS);
	ck_assert_uint_eq(r->n[B].sent[SYNC_REC_DELETE] + r->n[B].sent[SYNC_REC_EXPIRED], 0);
	ck_assert_uint_eq(r->n[B].sent[SYNC_REC_WANT], 1);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
	ck_assert_ptr_nonnull(rig_find(&r->n[A], &e.orig));
	ck_assert(!rig_view(r, B, &e).mine);
}
END_TEST

/* One-way UDP: packets refresh the owner's timer without an event, the copy runs out and is made again. */
START_TEST(test_short_copy_survives_on_demand)
{
	struct ct_entry e = rig_flow(26, IPPROTO_UDP, true);

	e.status &= ~(uint32_t)(CT_ST_SEEN_REPLY | CT_ST_ASSURED);
	e.timeout_s = 30;
	rig_open(r, A, &e);
	for (unsigned i = 0; i < 12; i++) {
		rig_idle(r, 10 * NS_PER_SEC);
		rig_packet(r, A, &e, 30);
	}
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
	ck_assert_uint_eq(r->n[A].sent[SYNC_REC_EXPIRED] + r->n[A].sent[SYNC_REC_DELETE], 0);
	rig_idle(r, 80 * NS_PER_SEC);
	ck_assert_ptr_null(rig_find(&r->n[B], &e.orig));
	ck_assert_ptr_null(rig_find(&r->n[A], &e.orig));
	ck_assert(!rig_known(r, B, &e));
}
END_TEST

START_TEST(test_sweep_evidence_claims)
{
	struct ct_entry e = rig_flow(27, IPPROTO_UDP, false);

	rig_open(r, A, &e);
	rig_run(r, 12 * NS_PER_SEC);
	/* The first sweep after a grant believes nothing, the next one does. */
	for (unsigned i = 0; i < 6; i++) {
		rig_packet(r, B, &e, 120);
		rig_run(r, 5 * NS_PER_SEC);
	}
	ck_assert(rig_view(r, B, &e).mine);
	ck_assert(!rig_view(r, A, &e).mine);
	ck_assert_uint_ge(r->n[B].s->stats.evidence, 1);
	ck_assert(sync_wants_events(r->n[B].s, r->now));
}
END_TEST

/* ---- leases ---- */

START_TEST(test_idle_copies_are_renewed)
{
	struct ct_entry e = rig_flow(30, IPPROTO_TCP, true);

	rig_open(r, A, &e);
	rig_idle(r, 2000 * NS_PER_SEC);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
	ck_assert_uint_ge(r->n[B].s->stats.op_renewed, 10);
	ck_assert_uint_le(r->n[B].s->stats.op_renewed, 20);
	ck_assert_uint_eq(r->n[B].s->stats.claims, 0);
	ck_assert_uint_eq(r->n[A].sent[SYNC_REC_SESSION], 1);
	ck_assert(rig_equal(r));
}
END_TEST

/* The owner is gone for good and nobody takes over: copies end with their lease. */
START_TEST(test_copies_end_without_owner)
{
	struct ct_entry e = rig_flow(31, IPPROTO_TCP, false);

	rig_open(r, A, &e);
	rig_run(r, 50 * NS_PER_MS);
	rig_down(r);
	rig_idle(r, 340 * NS_PER_SEC);
	ck_assert_ptr_null(rig_find(&r->n[B], &e.orig));
	ck_assert(!rig_known(r, B, &e));
}
END_TEST

START_TEST(test_adverts_keep_copies)
{
	struct ct_entry e = rig_flow(32, IPPROTO_TCP, false);

	rig_open(r, A, &e);
	rig_run(r, 50 * NS_PER_MS);
	rig_down(r);
	for (unsigned i = 0; i < 120; i++) {
		sync_peer_alive(r->n[B].s, 1, r->now);
		rig_idle(r, 5 * NS_PER_SEC);
	}
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
}
END_TEST

START_TEST(test_takeover_keeps_idle_connections)
{
	struct ct_entry e[200];

	for (uint16_t i = 0; i < 200; i++) {
		e[i] = rig_flow((uint16_t)(1000 + i), IPPROTO_TCP, true);
		rig_open(r, A, &e[i]);
	}
	rig_idle(r, 130 * NS_PER_SEC);
	rig_down(r);
	r->n[A].no_sweep = r->n[A].mute_events = true;
	sync_fence(r->n[B].s, (struct epoch){ 6, 2 }, r->now);
	ck_assert(sync_wants_events(r->n[B].s, r->now));
	rig_authority(r, B, 6, true);
	rig_idle(r, 3600 * NS_PER_SEC);
	for (uint16_t i = 0; i < 200; i++) {
		struct rig_entry *k = rig_find(&r->n[B], &e[i].orig);
		ck_assert_ptr_nonnull(k);
		ck_assert_uint_gt(rig_left(r, k), 400000);
		ck_assert(rig_view(r, B, &e[i]).mine);
	}
	ck_assert_uint_eq(r->n[B].s->stats.op_restored, 200);
}
END_TEST

/* ---- fence, floor, versions ---- */

START_TEST(test_floor_is_one_store)
{
	struct sync_state st;

	for (uint16_t i = 0; i < 50; i++) {
		struct ct_entry e = rig_flow((uint16_t)(2000 + i), IPPROTO_TCP, true);
		rig_open(r, A, &e);
	}
	rig_run(r, NS_PER_SEC);
	rig_authority(r, B, 6, true);
	struct ct_entry e = rig_flow(2000, IPPROTO_TCP, true);
	ck_assert(rig_view(r, B, &e).mine);
	ck_assert_uint_eq(rig_view(r, B, &e).version.epoch.counter, 6);
	rig_authority(r, A, 6, false);
	rig_run(r, 2 * NS_PER_SEC);
	ck_assert(!rig_view(r, A, &e).mine);
	sync_state_get(r->n[B].s, &st);
	ck_assert_uint_eq(st.own, 50);
	ck_assert_uint_eq(st.copies, 0);
	sync_state_get(r->n[A].s, &st);
	ck_assert_uint_eq(st.own, 0);
	ck_assert_uint_eq(st.copies, 50);
	ck_assert_uint_eq(r->n[A].sent[SYNC_REC_CLAIM] + r->n[B].sent[SYNC_REC_CLAIM], 0);
	rig_run(r, 15 * NS_PER_SEC);
	ck_assert(rig_equal(r));
	ck_assert_uint_eq(r->n[A].n, 50);
	ck_assert_uint_eq(r->n[A].s->stats.claims, 0);
}
END_TEST

START_TEST(test_fence_only_creates)
{
	struct ct_entry known = rig_flow(40, IPPROTO_TCP, true), fresh = rig_flow(41, IPPROTO_TCP, true);
	struct rig_entry *k = rig_open(r, A, &known);

	rig_run(r, 50 * NS_PER_MS);
	/* A does not know of B's epoch yet: its records are below the fence. */
	r->n[B].cut = true;
	sync_fence(r->n[B].s, (struct epoch){ 6, 2 }, r->now);
	k->e.tcp_state = known.tcp_state = CT_TCP_FIN_WAIT;
	rig_event(r, A, CT_EV_UPDATE, 0, &known);
	rig_open(r, A, &fresh);
	rig_run(r, 50 * NS_PER_MS);
	ck_assert_uint_eq(rig_find(&r->n[B], &known.orig)->e.tcp_state, CT_TCP_ESTABLISHED);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &fresh.orig));
	ck_assert_uint_eq(r->n[B].s->stats.refused_epoch, 1);
	ck_assert_uint_eq(r->n[B].s->stats.only_create, 1);
	/* Deletes too. */
	k->e.tcp_state = CT_TCP_CLOSE;
	rig_remove(r, A, k, 0);
	rig_run(r, 50 * NS_PER_MS);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &known.orig));
	ck_assert_uint_eq(r->n[B].s->stats.refused_epoch, 2);
	/* B takes over and says what is current. */
	rig_authority(r, B, 6, true);
	r->n[B].cut = false;
	rig_run(r, 100 * NS_PER_MS);
	ck_assert_uint_ge(r->n[B].sent[SYNC_REC_CURRENT], 1);
	ck_assert_ptr_nonnull(rig_find(&r->n[A], &known.orig));
	ck_assert(!rig_view(r, A, &known).mine);
}
END_TEST

/* Create-only in the kernel as well: an entry that is there is not touched. */
START_TEST(test_only_create_leaves_an_entry)
{
	struct ct_entry e = rig_flow(42, IPPROTO_TCP, true), here = e;

	here.tcp_state = CT_TCP_CLOSE_WAIT;
	rig_insert(r, B, &here);
	r->n[B].no_sweep = true;
	r->n[B].cut = true;
	sync_fence(r->n[B].s, (struct epoch){ 6, 2 }, r->now);
	rig_open(r, A, &e);
	rig_run(r, 50 * NS_PER_MS);
	ck_assert_uint_eq(rig_find(&r->n[B], &e.orig)->e.tcp_state, CT_TCP_CLOSE_WAIT);
	ck_assert_uint_eq(r->n[B].ops[CT_OP_UPDATE], 0);
	ck_assert_uint_eq(r->n[B].s->stats.op_exist, 1);
}
END_TEST

/* The fence of a transaction that was aborted: the owner learns the epoch from the answer and tells again. */
START_TEST(test_fence_without_takeover_heals)
{
	struct ct_entry e = rig_flow(43, IPPROTO_TCP, true);

	struct rig_entry *k = rig_open(r, A, &e);
	rig_run(r, 50 * NS_PER_MS);
	sync_fence(r->n[B].s, (struct epoch){ 6, 2 }, r->now);
	e.tcp_state = k->e.tcp_state = CT_TCP_FIN_WAIT;
	rig_event(r, A, CT_EV_UPDATE, 0, &e);
	rig_run(r, 100 * NS_PER_MS);
	ck_assert_uint_eq(rig_find(&r->n[B], &e.orig)->e.tcp_state, CT_TCP_FIN_WAIT);
	ck_assert(rig_view(r, A, &e).mine);
	ck_assert_uint_eq(r->n[A].s->owner.seen.counter, 6);
	rig_run(r, 2 * NS_PER_SEC);
	ck_assert(rig_equal(r));
}
END_TEST

START_TEST(test_abort_takes_the_floor_back)
{
	struct ct_entry e = rig_flow(44, IPPROTO_TCP, true);
	struct sync_authority back = { { 0, 0 }, false, false };

	rig_open(r, A, &e);
	rig_run(r, 50 * NS_PER_MS);
	rig_authority(r, B, 6, true);
	ck_assert(rig_view(r, B, &e).mine);
	sync_authority(r->n[B].s, &back, r->now);
	ck_assert(!rig_view(r, B, &e).mine);
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert(rig_view(r, A, &e).mine);
	ck_assert(rig_equal(r));
}
END_TEST

START_TEST(test_no_end_without_authority)
{
	struct ct_entry e = rig_flow(45, IPPROTO_TCP, true);
	struct rig_entry *k = rig_open(r, A, &e);

	rig_run(r, 50 * NS_PER_MS);
	r->n[B].cut = true;
	rig_authority(r, B, 6, true);
	rig_authority(r, A, 6, false);
	k->e.tcp_state = CT_TCP_CLOSE;
	rig_remove(r, A, k, 0);
	rig_run(r, 5 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[A].sent[SYNC_REC_DELETE] + r->n[A].sent[SYNC_REC_EXPIRED], 0);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
}
END_TEST

START_TEST(test_no_end_while_handing_over)
{
	struct ct_entry e[3];
	struct rig_entry *k[3];
	uint64_t seq;

	for (uint16_t i = 0; i < 3; i++) {
		e[i] = rig_flow((uint16_t)(50 + i), IPPROTO_TCP, true);
		k[i] = rig_open(r, A, &e[i]);
		k[i]->e.tcp_state = CT_TCP_CLOSE;
	}
	rig_run(r, 50 * NS_PER_MS);
	/* Before: waits in the dirty set. During: comes after the first step. */
	r->n[A].cut = true;
	rig_remove(r, A, k[0], 0);
	sync_flush_begin(r->n[A].s, r->now);
	ck_assert(!sync_flushed(r->n[A].s, 2, &seq));
	rig_remove(r, A, k[1], TOOL_PORT);
	r->n[A].cut = false;
	rig_run(r, 100 * NS_PER_MS);
	ck_assert(sync_flushed(r->n[A].s, 2, &seq));
	ck_assert_uint_eq(r->n[A].sent[SYNC_REC_DELETE], 0);
	ck_assert_uint_ge(seq, 3);
	sync_demoting(r->n[A].s, r->now);
	rig_remove(r, A, k[2], 0);
	rig_run(r, 5 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[A].sent[SYNC_REC_DELETE] + r->n[A].sent[SYNC_REC_EXPIRED], 0);
	ck_assert_uint_eq(r->n[B].n, 3);
	sync_stable(r->n[A].s, r->now);
	ck_assert(!r->n[A].s->owner.muted);
}
END_TEST

START_TEST(test_go_sequence_is_applied)
{
	uint64_t seq;

	r->n[B].no_ops = true;
	for (uint16_t i = 0; i < 20; i++) {
		struct ct_entry e = rig_flow((uint16_t)(60 + i), IPPROTO_TCP, true);
		rig_open(r, A, &e);
	}
	rig_run(r, 50 * NS_PER_MS);
	sync_flush_begin(r->n[A].s, r->now);
	ck_assert(sync_flushed(r->n[A].s, 2, &seq));
	ck_assert(!sync_applied(r->n[B].s, 1, seq, r->now));
	r->n[B].no_ops = false;
	rig_run(r, 20 * NS_PER_MS);
	ck_assert(sync_applied(r->n[B].s, 1, seq, r->now));
	ck_assert_uint_eq(r->n[B].n, 20);
}
END_TEST

/* A whole planned switch: nothing is lost, nothing is claimed, tables are equal, the direction has turned. */
START_TEST(test_planned_switch)
{
	struct ct_entry e[100];
	uint64_t seq;

	for (uint16_t i = 0; i < 100; i++) {
		e[i] = rig_flow((uint16_t)(3000 + i), IPPROTO_TCP, true);
		rig_open(r, A, &e[i]);
	}
	rig_run(r, NS_PER_SEC);
	sync_join(r->n[B].s, r->now);
	sync_flush_begin(r->n[A].s, r->now);
	rig_run(r, 10 * NS_PER_MS);
	ck_assert(sync_flushed(r->n[A].s, 2, &seq));
	ck_assert(sync_applied(r->n[B].s, 1, seq, r->now));
	sync_fence(r->n[B].s, (struct epoch){ 6, 2 }, r->now);
	rig_authority(r, B, 6, true);
	rig_run(r, 50 * NS_PER_MS);
	rig_authority(r, A, 6, false);
	sync_demoting(r->n[A].s, r->now);
	rig_run(r, 50 * NS_PER_MS);
	sync_stable(r->n[A].s, r->now);
	e[0].tcp_state = rig_find(&r->n[B], &e[0].orig)->e.tcp_state = CT_TCP_FIN_WAIT;
	rig_event(r, B, CT_EV_UPDATE, 0, &e[0]);
	rig_idle(r, 60 * NS_PER_SEC);
	ck_assert_uint_eq(rig_find(&r->n[A], &e[0].orig)->e.tcp_state, CT_TCP_FIN_WAIT);
	ck_assert_uint_eq(r->n[A].n, 100);
	ck_assert_uint_eq(r->n[B].n, 100);
	/* The windows A's kernel knows are of the past: its copies must be liberal before the role comes back. */
	for (uint16_t i = 0; i < 100; i++)
		ck_assert(rig_find(&r->n[A], &e[i].orig)->e.tcp_flags[0] & CT_TCP_BE_LIBERAL);
	ck_assert(rig_equal(r));
	ck_assert_uint_eq(r->n[A].s->stats.claims, 0);
	ck_assert(!sync_wants_events(r->n[A].s, mono_add(r->now, 60 * NS_PER_SEC)));
	ck_assert(sync_wants_events(r->n[B].s, r->now));
}
END_TEST

/* Stragglers on the old master between the floor and STABLE do not take flows back. */
START_TEST(test_no_claim_while_muted)
{
	struct ct_entry e = rig_flow(46, IPPROTO_TCP, true);

	rig_open(r, A, &e);
	rig_run(r, 50 * NS_PER_MS);
	sync_flush_begin(r->n[A].s, r->now);
	rig_authority(r, B, 6, true);
	rig_run(r, 50 * NS_PER_MS);
	e.mark = 5;
	e.has |= CT_HAS_MARK;
	rig_event(r, A, CT_EV_UPDATE, 0, &e);
	rig_run(r, 50 * NS_PER_MS);
	ck_assert(!rig_view(r, A, &e).mine);
	ck_assert_uint_eq(r->n[A].s->stats.claims, 0);
}
END_TEST

START_TEST(test_old_version_is_answered)
{
	struct ct_entry e = rig_flow(47, IPPROTO_TCP, true);

	rig_open(r, A, &e);
	rig_run(r, 50 * NS_PER_MS);
	struct sync_rec rec = r->n[A].last[SYNC_REC_SESSION];
	/* B owns it by evidence. */
	struct ct_entry u = e;
	u.mark = 3;
	u.has |= CT_HAS_MARK;
	rig_event(r, B, CT_EV_UPDATE, 0, &u);
	rig_run(r, 50 * NS_PER_MS);
	ck_assert(rig_view(r, B, &e).mine);
	ck_assert_uint_eq(rig_find(&r->n[A], &e.orig)->e.mark, 3);
	/* The old owner's word comes late. */
	rec.seq = sync_peer_get(r->n[B].s, 1)->rx_seq;
	rec.e.mark = 4;
	sync_on_record(r->n[B].s, 1, &rec, r->now);
	ck_assert_uint_eq(r->n[B].s->stats.refused_version, 1);
	rig_run(r, 50 * NS_PER_MS);
	ck_assert_uint_eq(r->n[B].sent[SYNC_REC_CURRENT], 1);
	ck_assert_uint_eq(rig_view(r, B, &e).e.mark, 3);
}
END_TEST

START_TEST(test_third_node_refused)
{
	struct ct_entry e = rig_flow(48, IPPROTO_TCP, true);

	rig_open(r, A, &e);
	rig_run(r, 50 * NS_PER_MS);
	struct sync_rec rec = r->n[A].last[SYNC_REC_SESSION];
	rec.version.node = 2;
	sync_on_record(r->n[B].s, 1, &rec, r->now);
	ck_assert_uint_eq(r->n[B].s->stats.refused_sender, 1);
	rec.version = (struct flow_version){ { UINT64_MAX, 1 }, 0, 1 };
	sync_on_record(r->n[B].s, 1, &rec, r->now);
	rec.version = (struct flow_version){ { 7, 1 }, UINT32_MAX, 1 };
	sync_on_record(r->n[B].s, 1, &rec, r->now);
	rec.version = (struct flow_version){ { 7, 9 }, 0, 1 };
	sync_on_record(r->n[B].s, 1, &rec, r->now);
	ck_assert_uint_eq(r->n[B].s->stats.refused_range, 3);
	ck_assert_uint_eq(rig_view(r, B, &e).version.epoch.counter, 5);
	rec.e.orig.l3 = 5;
	sync_on_record(r->n[B].s, 1, &rec, r->now);
	ck_assert_uint_eq(r->n[B].s->stats.refused_range, 4);
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert(rig_equal(r));
}
END_TEST

/* ---- partition ---- */

/* Both masters for a while; after the heal the higher version wins everywhere and the tables are equal. */
static void partition(bool a_stays)
{
	struct ct_entry common[20], only_a[20], only_b[20], idle_a = rig_flow(7900, IPPROTO_TCP, true);

	for (uint16_t i = 0; i < 20; i++) {
		common[i] = rig_flow((uint16_t)(7000 + i), IPPROTO_TCP, true);
		only_a[i] = rig_flow((uint16_t)(7100 + i), IPPROTO_TCP, true);
		only_b[i] = rig_flow((uint16_t)(7200 + i), IPPROTO_TCP, true);
		rig_open(r, A, &common[i]);
	}
	rig_open(r, A, &idle_a);
	/* What was seen within a second of the last record counts as seen after it. */
	rig_run(r, 3 * NS_PER_SEC);
	rig_down(r);
	sync_fence(r->n[B].s, (struct epoch){ 6, 2 }, r->now);
	rig_authority(r, B, 6, true);
	for (uint16_t i = 0; i < 20; i++) {
		rig_open(r, A, &only_a[i]);
		rig_open(r, B, &only_b[i]);
	}
	/* B ends one, A has seen nothing of it since. */
	rig_find(&r->n[B], &idle_a.orig)->e.tcp_state = CT_TCP_CLOSE;
	rig_remove(r, B, rig_find(&r->n[B], &idle_a.orig), 0);
	rig_idle(r, 30 * NS_PER_SEC);
	rig_up(r);
	if (a_stays) {
		rig_run(r, 50 * NS_PER_MS);
		rig_authority(r, B, 7, false);
	} else {
		rig_authority(r, A, 6, false);
	}
	rig_idle(r, 20 * NS_PER_SEC);
	ck_assert(rig_equal(r));
	for (uint16_t i = 0; i < 20; i++) {
		ck_assert_uint_ge(rig_view(r, A, &common[i]).version.epoch.counter, 6);
		ck_assert_ptr_nonnull(rig_find(&r->n[A], &common[i].orig));
		ck_assert_ptr_nonnull(rig_find(&r->n[B], &common[i].orig));
		ck_assert_ptr_nonnull(rig_find(&r->n[B], &only_a[i].orig));
		ck_assert_ptr_nonnull(rig_find(&r->n[A], &only_b[i].orig));
		ck_assert(rig_view(r, A, &common[i]).mine != rig_view(r, B, &common[i]).mine);
		ck_assert(rig_view(r, A, &only_a[i]).mine != rig_view(r, B, &only_a[i]).mine);
	}
	/* Where A has every role, B's silence about it ends nothing. */
	unsigned kept = a_stays ? 1 : 0;
	ck_assert_uint_eq(rig_known(r, B, &idle_a), kept);
	ck_assert_uint_eq(rig_known(r, A, &idle_a), kept);
	ck_assert_uint_eq(r->n[A].n, 60 + kept);
	ck_assert_uint_eq(r->n[B].n, 60 + kept);
}

START_TEST(test_partition_b_stays)
{
	partition(false);
}
END_TEST

START_TEST(test_partition_a_stays)
{
	partition(true);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("two cores");

	tcase_add_test(t, test_expiry_is_told_late);
	tcase_add_test(t, test_expiry_claimed_by_evidence);
	tcase_add_test(t, test_expiry_forgotten_when_something_was_lost);
	tcase_add_test(t, test_address_gone_is_a_loss);
	tcase_add_test(t, test_expired_but_alive_again);
	tcase_add_test(t, test_lost_copy_is_asked_for);
	tcase_add_test(t, test_short_copy_survives_on_demand);
	tcase_add_test(t, test_sweep_evidence_claims);
	tcase_add_test(t, test_idle_copies_are_renewed);
	tcase_add_test(t, test_copies_end_without_owner);
	tcase_add_test(t, test_adverts_keep_copies);
	tcase_add_test(t, test_takeover_keeps_idle_connections);
	tcase_add_test(t, test_floor_is_one_store);
	tcase_add_test(t, test_fence_only_creates);
	tcase_add_test(t, test_only_create_leaves_an_entry);
	tcase_add_test(t, test_fence_without_takeover_heals);
	tcase_add_test(t, test_abort_takes_the_floor_back);
	tcase_add_test(t, test_no_end_without_authority);
	tcase_add_test(t, test_no_end_while_handing_over);
	tcase_add_test(t, test_go_sequence_is_applied);
	tcase_add_test(t, test_planned_switch);
	tcase_add_test(t, test_no_claim_while_muted);
	tcase_add_test(t, test_old_version_is_answered);
	tcase_add_test(t, test_third_node_refused);
	tcase_add_test(t, test_partition_b_stays);
	tcase_add_test(t, test_partition_a_stays);
	return rig_pair_run("sync_life", t, rig_pair_setup);
}
