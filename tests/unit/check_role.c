/* The role transaction: sequences of each kind, and the step policy. */
#include "tests/unit/role_one.h"

START_TEST(crash_in_order)
{
	to_backup();
	step(wish(ROLE_MASTER, ROLE_K_CRASH, ROLE_R_NO_RESPONSE));
	ck_assert(has(ROLE_ACT_EPOCH) && has(ROLE_ACT_FENCE) && has(ROLE_ACT_PURGE));
	ck_assert(!has(ROLE_ACT_ADVERT) && !has(ROLE_ACT_NET_UP) && !has(ROLE_ACT_AUTHORITY));
	step(answer(ROLE_EV_PURGED));
	ck_assert_uint_eq(out.n, 0);
	step(answer(ROLE_EV_FENCED));
	ck_assert_int_lt(at(ROLE_ACT_AUTHORITY), at(ROLE_ACT_ADVERT));
	ck_assert_int_lt(at(ROLE_ACT_ADVERT), at(ROLE_ACT_NET_UP));
	ck_assert_int_eq(r.state, ROLE_COMMITTING);
	step(net(ROLE_NET_EQUAL, 0));
	ck_assert(!has(ROLE_ACT_INITIATE)); /* the announcement comes before the first IKE packet */
	step(answer(ROLE_EV_GARP));
	ck_assert(has(ROLE_ACT_INITIATE) && has(ROLE_ACT_CHANGED) && has(ROLE_ACT_JOURNAL));
	ck_assert_int_eq(out.rec[0].outcome, ROLE_RES_OK);
	ck_assert_int_eq(r.is, ROLE_MASTER);
}
END_TEST

START_TEST(fence_late_is_degraded_not_fatal)
{
	to_backup();
	step(wish(ROLE_MASTER, ROLE_K_CRASH, ROLE_R_NO_RESPONSE));
	ck_assert_int_eq(mono_sub(role_deadline(&r), now), ROLE_FENCE_NS);
	tick();
	ck_assert_int_eq(r.state, ROLE_COMMITTING);
	ck_assert(has(ROLE_ACT_ADVERT));
	ck_assert_int_eq(r.rec.result[ROLE_PH_FENCE], ROLE_RES_TIMEOUT);
	ck_assert_int_eq(r.rec.outcome, ROLE_RES_DEGRADED);
}
END_TEST

START_TEST(silent_sync_is_told_but_not_waited_for)
{
	to_backup();
	struct role_ev w = wish(ROLE_MASTER, ROLE_K_CRASH, ROLE_R_NO_RESPONSE);
	w.sync_late = true;
	w.leftovers = false;
	step(w);
	ck_assert(has(ROLE_ACT_FENCE) && has(ROLE_ACT_AUTHORITY) && has(ROLE_ACT_ADVERT));
	ck_assert_int_lt(at(ROLE_ACT_FENCE), at(ROLE_ACT_AUTHORITY));
	ck_assert_int_eq(r.rec.result[ROLE_PH_FENCE], ROLE_RES_TIMEOUT);
}
END_TEST

START_TEST(silent_sync_holds_up_no_planned_switch)
{
	to_master();
	struct epoch e = { r.epoch.counter + 1, 9 };
	struct role_ev p = peer(ROLE_PEER_PREPARED, e);
	p.sync_late = true;
	step(p);
	ck_assert(has(ROLE_ACT_FLUSH) && has(ROLE_ACT_AUTHORITY) && has(ROLE_ACT_PEER_GO));
	ck_assert_int_eq(r.state, ROLE_DEMOTING);
}
END_TEST

/* Another group, or the peer, has drawn higher numbers since this transaction began. */
START_TEST(a_role_taken_back_is_numbered_above_all_seen)
{
	to_master();
	struct epoch e = { r.epoch.counter + 1, 9 };
	step(peer(ROLE_PEER_PREPARED, e));
	step(answer(ROLE_EV_FLUSHED));
	ck_assert(has(ROLE_ACT_PEER_GO));
	now = mono_max(now, role_deadline(&r));
	step((struct role_ev){ .type = ROLE_EV_TICK, .seen = { e.counter + 7, 9 } });
	ck_assert(has(ROLE_ACT_EPOCH));
	ck_assert_uint_eq(r.epoch.counter, e.counter + 8);
	ck_assert_uint_eq(r.epoch.node, 2);
}
END_TEST

START_TEST(late_answers_of_an_old_epoch_are_dropped)
{
	to_backup();
	step(wish(ROLE_MASTER, ROLE_K_CRASH, ROLE_R_NO_RESPONSE));
	struct role_ev old = answer(ROLE_EV_FENCED);
	old.epoch.counter--;
	step(old);
	ck_assert_uint_eq(out.n, 0);
	ck_assert_int_eq(r.state, ROLE_PREPARING);
}
END_TEST

START_TEST(planned_new_side)
{
	to_backup();
	step(wish(ROLE_MASTER, ROLE_K_PLANNED, ROLE_R_PREEMPTED));
	ck_assert(has(ROLE_ACT_JOIN) && has(ROLE_ACT_PURGE) && !has(ROLE_ACT_FENCE) && !has(ROLE_ACT_PEER_PREPARED));
	step(answer(ROLE_EV_PURGED));
	ck_assert(has(ROLE_ACT_PEER_PREPARED));
	struct role_ev go = peer(ROLE_PEER_GO, r.epoch);
	go.seq = 77;
	step(go);
	ck_assert_int_eq(at(ROLE_ACT_APPLY), 0);
	ck_assert_uint_eq(out.a[0].seq, 77);
	ck_assert(!has(ROLE_ACT_ADVERT));
	step(answer(ROLE_EV_APPLIED));
	ck_assert(has(ROLE_ACT_AUTHORITY) && has(ROLE_ACT_ADVERT));
	step(answer(ROLE_EV_GARP));
	step(net(ROLE_NET_EQUAL, 0));
	ck_assert(has(ROLE_ACT_PEER_UP));
	ck_assert_int_eq(r.is, ROLE_MASTER);
}
END_TEST

START_TEST(planned_without_go_aborts)
{
	to_backup();
	struct role_ev w = wish(ROLE_MASTER, ROLE_K_PLANNED, ROLE_R_PREEMPTED);
	w.leftovers = false;
	step(w);
	ck_assert(has(ROLE_ACT_PEER_PREPARED));
	tick();
	ck_assert_int_eq(r.state, ROLE_STABLE);
	ck_assert_int_eq(r.is, ROLE_BACKUP);
	ck_assert(!has(ROLE_ACT_ADVERT) && has(ROLE_ACT_JOURNAL));
	ck_assert_int_eq(out.rec[0].outcome, ROLE_RES_ERROR);
	/* a GO of the attempt that is over moves nothing */
	step(peer(ROLE_PEER_GO, r.epoch));
	ck_assert_uint_eq(out.n, 0);
}
END_TEST

START_TEST(planned_without_go_goes_on_when_the_old_one_leaves)
{
	to_backup();
	struct role_ev w = wish(ROLE_MASTER, ROLE_K_PLANNED, ROLE_R_STOP);
	w.leftovers = false;
	step(w);
	r.leaving_heard = true;
	tick();
	ck_assert(has(ROLE_ACT_FENCE));
}
END_TEST

START_TEST(planned_old_side)
{
	to_master();
	struct epoch e = epoch_next(r.epoch, 1);
	step(peer(ROLE_PEER_PREPARED, e));
	ck_assert(has(ROLE_ACT_FLUSH) && !has(ROLE_ACT_NET_DOWN) && !has(ROLE_ACT_AUTHORITY));
	struct role_ev fl = answer(ROLE_EV_FLUSHED);
	fl.seq = 9;
	step(fl);
	ck_assert_int_lt(at(ROLE_ACT_AUTHORITY), at(ROLE_ACT_PEER_GO));
	ck_assert_int_lt(at(ROLE_ACT_YIELD), at(ROLE_ACT_PEER_GO));
	ck_assert_uint_eq(out.a[at(ROLE_ACT_PEER_GO)].seq, 9);
	ck_assert(!has(ROLE_ACT_NET_DOWN)); /* addresses stay until the new one is up */
	step(peer(ROLE_PEER_UP, e));
	ck_assert(has(ROLE_ACT_NET_DOWN) && !has(ROLE_ACT_PURGE));
	step(net(ROLE_NET_EQUAL, 0));
	ck_assert(has(ROLE_ACT_PURGE));
	ck_assert_int_eq(r.is, ROLE_BACKUP);
}
END_TEST

START_TEST(stale_prepared_is_refused)
{
	to_master();
	step(peer(ROLE_PEER_PREPARED, r.epoch));
	ck_assert_uint_eq(out.n, 0);
	struct epoch older = r.epoch;
	older.counter--;
	step(peer(ROLE_PEER_PREPARED, older));
	ck_assert_uint_eq(out.n, 0);
	ck_assert_int_eq(r.is, ROLE_MASTER);
}
END_TEST

START_TEST(no_up_takes_the_role_back_under_a_new_epoch)
{
	to_master();
	struct epoch e = epoch_next(r.epoch, 1);
	step(peer(ROLE_PEER_PREPARED, e));
	step(answer(ROLE_EV_FLUSHED));
	tick();
	ck_assert(has(ROLE_ACT_FENCE) && !has(ROLE_ACT_NET_DOWN));
	ck_assert_int_gt(epoch_cmp(r.epoch, e), 0);
	step(answer(ROLE_EV_FENCED));
	step(answer(ROLE_EV_GARP));
	step(net(ROLE_NET_EQUAL, 0));
	ck_assert_int_eq(r.is, ROLE_MASTER);
}
END_TEST

static void until_up_is_awaited(void)
{
	to_master();
	step(peer(ROLE_PEER_PREPARED, epoch_next(r.epoch, 1)));
	step(answer(ROLE_EV_FLUSHED));
	ck_assert(has(ROLE_ACT_PEER_GO));
}

START_TEST(taking_back_never_says_backup)
{
	until_up_is_awaited();
	tick();
	ck_assert(!has(ROLE_ACT_CHANGED));
	ck_assert_int_eq(r.is, ROLE_MASTER);
	step(wish(ROLE_FAULT, ROLE_K_FAULT, ROLE_R_LINK)); /* and may be interrupted */
	ck_assert(has(ROLE_ACT_NET_DOWN));
	step(net(ROLE_NET_EQUAL, 0));
	ck_assert_int_eq(r.is, ROLE_FAULT);
}
END_TEST

START_TEST(no_up_but_the_new_master_is_heard)
{
	until_up_is_awaited();
	step((struct role_ev){ .type = ROLE_EV_RIVAL });
	tick();
	ck_assert(has(ROLE_ACT_NET_DOWN) && !has(ROLE_ACT_FENCE));
	step(net(ROLE_NET_EQUAL, 0));
	ck_assert_int_eq(r.is, ROLE_BACKUP);
}
END_TEST

START_TEST(no_up_and_another_reason_to_leave)
{
	static const enum role_is target[] = { ROLE_FAULT, ROLE_INIT };
	until_up_is_awaited();
	step(wish(target[_i], target[_i] == ROLE_FAULT ? ROLE_K_FAULT : ROLE_K_STOP, ROLE_R_LINK));
	ck_assert_uint_eq(out.n, 0);
	tick();
	ck_assert(has(ROLE_ACT_NET_DOWN) && !has(ROLE_ACT_FENCE));
	step(net(ROLE_NET_EQUAL, 0));
	ck_assert_int_eq(r.state, ROLE_STABLE);
	ck_assert_int_eq(r.is, target[_i]);
}
END_TEST

START_TEST(stop_goes_on_without_the_peer)
{
	to_master();
	step(wish(ROLE_INIT, ROLE_K_STOP, ROLE_R_STOP));
	ck_assert(has(ROLE_ACT_PEER_TAKE) && !has(ROLE_ACT_NET_DOWN));
	tick();
	ck_assert(has(ROLE_ACT_PEER_LEAVING) && has(ROLE_ACT_NET_DOWN));
	ck_assert(out.a[at(ROLE_ACT_YIELD)].zero);
	step(net(ROLE_NET_EQUAL, 0));
	ck_assert_int_eq(r.is, ROLE_INIT);
}
END_TEST

START_TEST(force_without_a_peer_changes_nothing)
{
	to_master();
	struct role_ev w = wish(ROLE_BACKUP, ROLE_K_PLANNED, ROLE_R_OPERATOR);
	w.peer_ready = false;
	step(w);
	ck_assert(!has(ROLE_ACT_NET_DOWN) && !has(ROLE_ACT_YIELD));
	ck_assert_int_eq(r.is, ROLE_MASTER);
	ck_assert_int_eq(out.rec[0].outcome, ROLE_RES_ERROR);
}
END_TEST

START_TEST(forced_takes_addresses_first)
{
	to_master();
	step(wish(ROLE_BACKUP, ROLE_K_FORCED, ROLE_R_HIGHER));
	ck_assert(!out.a[at(ROLE_ACT_YIELD)].zero);
	ck_assert(!has(ROLE_ACT_PEER_LEAVING));
	ck_assert_int_lt(at(ROLE_ACT_NET_DOWN), at(ROLE_ACT_AUTHORITY));
	step(net(ROLE_NET_EQUAL, 0));
	ck_assert(has(ROLE_ACT_PURGE));
	ck_assert_int_eq(r.is, ROLE_BACKUP);
}
END_TEST

START_TEST(fault_says_leaving_first)
{
	to_master();
	step(wish(ROLE_FAULT, ROLE_K_FAULT, ROLE_R_LINK));
	ck_assert_int_lt(at(ROLE_ACT_PEER_LEAVING), at(ROLE_ACT_NET_DOWN));
	ck_assert(out.a[at(ROLE_ACT_YIELD)].zero);
	tick(); /* addresses that cannot be removed do not stop a demotion */
	ck_assert_int_eq(r.is, ROLE_FAULT);
	ck_assert_int_eq(r.state, ROLE_STABLE);
}
END_TEST

static void fail_promotion(void)
{
	struct role_ev w = wish(ROLE_MASTER, ROLE_K_CRASH, ROLE_R_PREEMPTED);
	w.leftovers = false;
	step(w);
	step(answer(ROLE_EV_FENCED));
	step(answer(ROLE_EV_GARP));
	struct role_ev part = net(ROLE_NET_PARTIAL, -1);
	part.peer_ready = true;
	step(part);
	ck_assert(has(ROLE_ACT_PEER_LEAVING) && has(ROLE_ACT_NET_DOWN));
	step(net(ROLE_NET_EQUAL, 0));
}

START_TEST(failed_promotions_hold_longer_and_longer)
{
	to_backup();
	fail_promotion();
	ck_assert_int_eq(r.is, ROLE_BACKUP);
	static const int hold_s[] = { 1, 2, 4, 8, 16, 32, 60, 60 };
	for (unsigned i = 0; i < sizeof(hold_s) / sizeof(hold_s[0]); i++) {
		fail_promotion();
		ck_assert_int_eq(r.is, ROLE_FAULT);
		ck_assert_int_eq(mono_sub(r.hold_until, now) / NS_PER_SEC, hold_s[i]);
		tick();
		ck_assert_int_eq(r.is, ROLE_BACKUP);
	}
}
END_TEST

/* Nobody else could serve: the role comes with the addresses that work. */
static void master_of_a_part(void)
{
	to_backup();
	struct role_ev w = wish(ROLE_MASTER, ROLE_K_CRASH, ROLE_R_NO_RESPONSE);
	w.peer_ready = false;
	step(w);
	step(answer(ROLE_EV_FENCED));
	step(answer(ROLE_EV_PURGED));
	step(answer(ROLE_EV_GARP));
	step(net(ROLE_NET_PARTIAL, -12));
	ck_assert_int_eq(r.is, ROLE_MASTER);
}

START_TEST(alone_serves_what_it_can_and_retries)
{
	master_of_a_part();
	ck_assert(r.partial);
	tick();
	ck_assert(has(ROLE_ACT_NET_UP));
	step(net(ROLE_NET_EQUAL, 0));
	ck_assert(!r.partial);
	ck_assert(mono_is_never(r.retry_at));
}
END_TEST

START_TEST(what_a_master_loses_moves_the_role_to_a_ready_peer)
{
	to_master();
	struct role_ev part = net(ROLE_NET_PARTIAL, -13);
	step(part); /* nobody else could serve */
	ck_assert(r.partial && r.state == ROLE_STABLE && !has(ROLE_ACT_PEER_TAKE));
	part.peer_ready = true;
	step(part);
	ck_assert(has(ROLE_ACT_PEER_TAKE));
	ck_assert(!has(ROLE_ACT_NET_DOWN)); /* it serves until the peer is up */
	ck_assert_int_eq(r.is, ROLE_MASTER);
	tick(); /* the peer does not answer */
	ck_assert_int_eq(r.is, ROLE_MASTER);
	ck_assert_int_eq(r.state, ROLE_STABLE);
	step(part);
	ck_assert(has(ROLE_ACT_PEER_TAKE)); /* asked again */
}
END_TEST

START_TEST(what_a_master_never_had_moves_no_role)
{
	master_of_a_part();
	struct role_ev part = net(ROLE_NET_PARTIAL, -12);
	part.peer_ready = true;
	step(part);
	ck_assert(r.partial && r.state == ROLE_STABLE && !has(ROLE_ACT_PEER_TAKE));
}
END_TEST

START_TEST(wish_during_commit_waits_its_turn)
{
	to_backup();
	step(wish(ROLE_MASTER, ROLE_K_CRASH, ROLE_R_NO_RESPONSE));
	step(answer(ROLE_EV_FENCED));
	step(answer(ROLE_EV_PURGED));
	step(wish(ROLE_BACKUP, ROLE_K_FORCED, ROLE_R_HIGHER));
	ck_assert_uint_eq(out.n, 0);
	step(answer(ROLE_EV_GARP));
	step(net(ROLE_NET_EQUAL, 0));
	ck_assert_int_eq(r.state, ROLE_DEMOTING);
	ck_assert(has(ROLE_ACT_NET_DOWN));
}
END_TEST

START_TEST(wish_during_prepare_aborts_at_once)
{
	to_backup();
	step(wish(ROLE_MASTER, ROLE_K_CRASH, ROLE_R_NO_RESPONSE));
	step(wish(ROLE_FAULT, ROLE_K_FAULT, ROLE_R_LINK));
	ck_assert(!has(ROLE_ACT_ADVERT));
	ck_assert_int_eq(r.is, ROLE_FAULT);
}
END_TEST

/* Steps of the tunnels, for the timeline: the first of each counts, nothing waits for them. */
START_TEST(steps_of_ipsec_are_marked_once)
{
	to_master();
	struct role_ev mark = answer(ROLE_EV_IKE_MARK);
	for (mark.phase = ROLE_PH_SWEEP; mark.phase <= ROLE_PH_PACKET; mark.phase++) {
		step(mark);
		ck_assert(has(ROLE_ACT_JOURNAL));
		ck_assert_int_eq(r.rec.at[mark.phase].ns, now.ns);
		mono_t first = now;
		now = mono_add(now, NS_PER_MS);
		step(mark);
		ck_assert_uint_eq(out.n, 0);
		ck_assert_int_eq(r.rec.at[mark.phase].ns, first.ns);
	}
	ck_assert_int_eq(r.is, ROLE_MASTER);
	/* Of another change: nothing. Before the negotiation began: only the sweep. */
	setup();
	to_backup();
	mark = answer(ROLE_EV_IKE_MARK);
	mark.phase = ROLE_PH_IKE_AUTH;
	step(mark);
	ck_assert_int_eq(r.rec.at[ROLE_PH_IKE_AUTH].ns, 0);
	mark.phase = ROLE_PH_SWEEP;
	mark.epoch.counter++;
	step(mark);
	ck_assert_int_eq(r.rec.at[ROLE_PH_SWEEP].ns, 0);
	mark.epoch.counter--;
	step(mark);
	ck_assert_int_ne(r.rec.at[ROLE_PH_SWEEP].ns, 0);
}
END_TEST

START_TEST(texts_are_complete)
{
	for (uint8_t i = 0; i < ROLE_PH_N; i++)
		ck_assert_str_ne(role_phase_text(i), "unknown");
	for (uint8_t i = 0; i <= ROLE_R_PEER_ABORTED; i++)
		ck_assert_str_ne(role_reason_text(i), "unknown");
	ck_assert_str_eq(role_reason_text(200), "unknown");
	ck_assert_str_eq(role_phase_text(200), "unknown");
	ck_assert_str_eq(role_kind_text(200), "unknown");
	ck_assert_str_eq(role_is_text(200), "?");
	ck_assert_str_eq(role_kind_text(ROLE_K_PLANNED), "planned");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("transaction");

	tcase_add_test(tc, crash_in_order);
	tcase_add_test(tc, fence_late_is_degraded_not_fatal);
	tcase_add_test(tc, silent_sync_is_told_but_not_waited_for);
	tcase_add_test(tc, silent_sync_holds_up_no_planned_switch);
	tcase_add_test(tc, a_role_taken_back_is_numbered_above_all_seen);
	tcase_add_test(tc, late_answers_of_an_old_epoch_are_dropped);
	tcase_add_test(tc, planned_new_side);
	tcase_add_test(tc, planned_without_go_aborts);
	tcase_add_test(tc, planned_without_go_goes_on_when_the_old_one_leaves);
	tcase_add_test(tc, planned_old_side);
	tcase_add_test(tc, stale_prepared_is_refused);
	tcase_add_test(tc, no_up_takes_the_role_back_under_a_new_epoch);
	tcase_add_test(tc, taking_back_never_says_backup);
	tcase_add_test(tc, no_up_but_the_new_master_is_heard);
	tcase_add_loop_test(tc, no_up_and_another_reason_to_leave, 0, 2);
	tcase_add_test(tc, stop_goes_on_without_the_peer);
	tcase_add_test(tc, force_without_a_peer_changes_nothing);
	tcase_add_test(tc, forced_takes_addresses_first);
	tcase_add_test(tc, fault_says_leaving_first);
	tcase_add_test(tc, failed_promotions_hold_longer_and_longer);
	tcase_add_test(tc, alone_serves_what_it_can_and_retries);
	tcase_add_test(tc, what_a_master_loses_moves_the_role_to_a_ready_peer);
	tcase_add_test(tc, what_a_master_never_had_moves_no_role);
	tcase_add_test(tc, wish_during_commit_waits_its_turn);
	tcase_add_test(tc, wish_during_prepare_aborts_at_once);
	tcase_add_test(tc, steps_of_ipsec_are_marked_once);
	tcase_add_test(tc, texts_are_complete);
	return role_one_run("role", tc);
}
