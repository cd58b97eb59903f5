/* The tunnel machine: the stories behind its rules. (check_ike_matrix has every state with every event.) */
#include "tests/unit/ike_util.h"

START_TEST(promotion_without_leftovers_initiates_at_once)
{
	to_initiating();
	ck_assert_int_eq(find(IKE_ACT_INITIATE)->epoch.counter, 6);
	ck_assert(t.left_ike && t.left_kernel); /* from now on a purge is needed */
	child(true, 7);
	ck_assert_int_eq(find(IKE_ACT_UP)->epoch.counter, 6);
	ck_assert_int_eq(find(IKE_ACT_HOOK)->hook, HOOK_TUNNEL_UP);
}
END_TEST

START_TEST(up_tells_the_time_since_initiate)
{
	to_up();
	ck_assert_int_eq(find(IKE_ACT_UP)->took_ns, 8 * MS);
	ck_assert_int_eq(t.last_up_ns, 8 * MS);
}
END_TEST

START_TEST(initiate_with_leftovers_purges_first)
{
	fresh();
	STEP(.kind = IKE_EV_BACKEND_UP);
	reply(IKE_REQ_TERMINATE, false);
	swept(true);
	EXPECT(IKE_IDLE, "");
	ck_assert(ike_needs_purge(&t));
	STEP(.kind = IKE_EV_INITIATE, .epoch = E(6));
	EXPECT(IKE_PURGING, "T");
	reply(IKE_REQ_TERMINATE, true);
	EXPECT(IKE_PURGING, "S");
	/* The VIP is ours by now: only this peer's SAs may go. */
	ck_assert(addr_eq(&find(IKE_ACT_SWEEP)->peer, &t.conf.peer));
	swept(true);
	EXPECT(IKE_INITIATING, "I");
}
END_TEST

START_TEST(demotion_sweeps_the_whole_address)
{
	to_up();
	STEP(.kind = IKE_EV_PURGE, .epoch = E(7));
	ck_assert_int_eq(find(IKE_ACT_HOOK)->hook, HOOK_TUNNEL_DOWN);
	reply(IKE_REQ_TERMINATE, true);
	ck_assert(addr_eq(&find(IKE_ACT_SWEEP)->vip, &t.conf.vip));
	ck_assert_int_eq(find(IKE_ACT_SWEEP)->peer.af, ADDR_NONE);
	swept(true);
	ck_assert(!find(IKE_ACT_PURGED)->leftovers);
	ck_assert_int_eq(find(IKE_ACT_PURGED)->epoch.counter, 7);
}
END_TEST

START_TEST(failed_purge_is_known_and_repeated)
{
	to_up();
	STEP(.kind = IKE_EV_PURGE, .epoch = E(7));
	reply(IKE_REQ_TERMINATE, false);
	swept(true);
	EXPECT(IKE_IDLE, "P");
	ck_assert(find(IKE_ACT_PURGED)->leftovers && ike_needs_purge(&t));
	tick();
	EXPECT(IKE_PURGING, "T");
	reply(IKE_REQ_TERMINATE, true);
	swept(true);
	EXPECT(IKE_IDLE, "");
	ck_assert(!ike_needs_purge(&t));
	ck_assert(mono_is_never(ike_deadline(&t)));
}
END_TEST

START_TEST(failed_sweep_is_known)
{
	to_up();
	STEP(.kind = IKE_EV_PURGE, .epoch = E(7));
	reply(IKE_REQ_TERMINATE, true);
	swept(false);
	EXPECT(IKE_IDLE, "P");
	ck_assert(find(IKE_ACT_PURGED)->leftovers && ike_needs_purge(&t));
}
END_TEST

START_TEST(silent_purge_ends_by_itself)
{
	to_up();
	STEP(.kind = IKE_EV_PURGE, .epoch = E(7));
	mono_t begun = now;
	tick();
	EXPECT(IKE_PURGING, "S");
	tick();
	EXPECT(IKE_IDLE, "P");
	ck_assert_int_eq(mono_sub(now, begun), 2 * IKE_PURGE_NS);
	ck_assert(find(IKE_ACT_PURGED)->leftovers);
	/* The answers come after all: counted, without effect. */
	uint64_t late = t.count.late;
	STEP(.kind = IKE_EV_REPLY, .req = IKE_REQ_TERMINATE, .seq = 1, .epoch = E(7), .ok = true);
	STEP(.kind = IKE_EV_SWEPT, .seq = t.sweep_seq, .epoch = E(7), .ok = true);
	ck_assert_uint_eq(t.count.late, late + 2);
	EXPECT(IKE_IDLE, "");
}
END_TEST

START_TEST(answers_of_an_old_epoch_are_dropped)
{
	to_initiating();
	uint32_t old_seq = t.req_seq;
	STEP(.kind = IKE_EV_PURGE, .epoch = E(8));
	uint64_t late = t.count.late;
	STEP(.kind = IKE_EV_REPLY, .req = IKE_REQ_INITIATE, .seq = old_seq, .epoch = E(6), .ok = true);
	STEP(.kind = IKE_EV_REPLY, .req = IKE_REQ_TERMINATE, .seq = t.req_seq, .epoch = E(6), .ok = true);
	STEP(.kind = IKE_EV_SA_LIST, .seq = t.req_seq, .epoch = E(8));
	ck_assert_uint_eq(t.count.late, late + 3);
	EXPECT(IKE_PURGING, "");
	STEP(.kind = IKE_EV_INITIATE, .epoch = E(7));
	STEP(.kind = IKE_EV_PURGE, .epoch = E(7));
	ck_assert_uint_eq(t.count.stale, 2);
	ck_assert(!t.active);
}
END_TEST

START_TEST(attempts_back_off_and_their_time_grows)
{
	static const int64_t soft[] = { 300, 600, 1200, 2400, 4800, 5000, 5000 };
	static const int64_t pause[] = { 500, 1000, 2000, 5000, 5000, 5000, 5000 };

	to_initiating();
	for (unsigned i = 0; i < 7; i++) {
		reply(IKE_REQ_INITIATE, true);
		mono_t begun = now;
		tick();
		if (t.state == IKE_INITIATING)
			tick(); /* after a second it held up nobody else any longer */
		EXPECT(IKE_FAILED, i == 2 ? "Fh" : "");
		ck_assert_int_eq(mono_sub(now, begun), soft[i] * MS);
		if (i == 2)
			ck_assert_int_eq(find(IKE_ACT_HOOK)->hook, HOOK_RESET_FAILED);
		begun = now;
		tick();
		ck_assert_int_eq(mono_sub(now, begun), pause[i] * MS);
		EXPECT(IKE_PURGING, "T"); /* what the last attempt left must go first */
		reply(IKE_REQ_TERMINATE, true);
		EXPECT(IKE_INITIATING, "I");
	}
	child(true, 9);
	EXPECT(IKE_UP, "Uh");
	ck_assert_uint_eq(t.fails, 0);
}
END_TEST

START_TEST(slow_peer_counts_during_the_pause)
{
	to_initiating();
	tick();
	EXPECT(IKE_FAILED, "");
	now = mono_add(now, 100 * MS);
	child(true, 7);
	EXPECT(IKE_UP, "Uh");
	ck_assert_int_eq(find(IKE_ACT_UP)->took_ns, 400 * MS);
}
END_TEST

START_TEST(ike_sa_up_gives_the_child_more_time)
{
	to_initiating();
	now = mono_add(now, 290 * MS);
	STEP(.kind = IKE_EV_IKE_UPDOWN, .up = true);
	ck_assert_int_eq(mono_sub(ike_deadline(&t), now), 300 * MS);
	mono_t until = ike_deadline(&t);
	now = mono_add(now, 100 * MS);
	STEP(.kind = IKE_EV_IKE_UPDOWN, .up = true); /* once only */
	ck_assert_int_eq(ike_deadline(&t).ns, until.ns);
}
END_TEST

START_TEST(refused_initiate_fails_at_once)
{
	to_initiating();
	reply(IKE_REQ_INITIATE, false);
	EXPECT(IKE_FAILED, "");
	ck_assert_int_eq(t.why, IKE_WHY_REFUSED);
	/* A new role change does not wait for the pause. */
	STEP(.kind = IKE_EV_INITIATE, .epoch = E(7));
	EXPECT(IKE_PURGING, "T");
}
END_TEST

START_TEST(sa_that_comes_up_while_passive_is_purged_once_a_second)
{
	to_idle();
	now = mono_add(now, 400 * MS);
	child(true, 3);
	EXPECT(IKE_IDLE, "");
	ck_assert(ike_needs_purge(&t));
	ck_assert_int_eq(mono_sub(ike_deadline(&t), now), 600 * MS);
	tick();
	EXPECT(IKE_PURGING, "T");
	STEP(.kind = IKE_EV_IKE_UPDOWN, .up = true); /* and another one meanwhile */
	reply(IKE_REQ_TERMINATE, true);
	swept(true);
	EXPECT(IKE_IDLE, "");
	ck_assert_int_eq(mono_sub(ike_deadline(&t), now), 1000 * MS);
	tick();
	EXPECT(IKE_PURGING, "T");
	reply(IKE_REQ_TERMINATE, true);
	swept(true);
	now = mono_add(now, 5000 * MS);
	STEP(.kind = IKE_EV_IKE_UPDOWN, .up = true);
	EXPECT(IKE_PURGING, "T"); /* long ago: at once */
}
END_TEST

START_TEST(backend_back_while_active_asks_then_initiates)
{
	to_up();
	STEP(.kind = IKE_EV_BACKEND_DOWN);
	EXPECT(IKE_ABSENT, "Dh");
	STEP(.kind = IKE_EV_BACKEND_UP);
	EXPECT(IKE_CHECKING, "L");
	listed(false, 0, 0, 0);
	EXPECT(IKE_CHECKING, "");
	tick();
	EXPECT(IKE_CHECKING, "L"); /* noblock leaves out busy SAs: asked twice */
	listed(false, 0, 0, 0);
	EXPECT(IKE_PURGING, "T");
	reply(IKE_REQ_TERMINATE, true);
	EXPECT(IKE_INITIATING, "I"); /* nothing is swept: the VIP serves other tunnels */
}
END_TEST

START_TEST(check_finds_child_or_only_the_ike_sa)
{
	to_up();
	child(false, 7);
	EXPECT(IKE_CHECKING, "Dh");
	tick();
	listed(true, 8, 0, 0);
	EXPECT(IKE_UP, "Uh");
	ck_assert_int_eq(find(IKE_ACT_UP)->took_ns, 0);

	child(false, 8);
	for (unsigned i = 0; i < 2; i++) {
		tick();
		EXPECT(IKE_CHECKING, "L");
		listed(true, 0, 0, 0);
	}
	EXPECT(IKE_INITIATING, "I"); /* an established IKE SA needs only the child */

	to_up();
	child(false, 7);
	tick();
	reply(IKE_REQ_LIST, false);
	tick();
	tick(); /* no answer at all */
	EXPECT(IKE_PURGING, "T");
}
END_TEST

START_TEST(checking_without_initiate_waits)
{
	to_up();
	t.conf.initiate = false;
	child(false, 7);
	tick();
	listed(false, 0, 0, 0);
	tick();
	listed(false, 0, 0, 0);
	EXPECT(IKE_WAITING, "");
	child(true, 9);
	EXPECT(IKE_UP, "Uh");
}
END_TEST

START_TEST(older_child_going_away_is_ignored)
{
	to_up();
	child(false, 5);
	EXPECT(IKE_UP, "");
	child(true, 8); /* a second one takes over */
	child(false, 7);
	EXPECT(IKE_UP, "");
	child(false, 8);
	EXPECT(IKE_CHECKING, "Dh");
	to_up();
	child(false, 0); /* unknown: taken seriously */
	EXPECT(IKE_CHECKING, "Dh");
}
END_TEST

START_TEST(child_missing_in_three_lists_is_gone)
{
	to_up();
	for (unsigned i = 0; i < 3; i++) {
		EXPECT(IKE_UP, i ? "" : "Uh");
		tick();
		EXPECT(IKE_UP, "L");
		listed(true, 0, 0, 0);
	}
	EXPECT(IKE_CHECKING, "Dh");
	ck_assert_int_eq(t.why, IKE_WHY_CHILD_GONE);
}
END_TEST

START_TEST(list_period)
{
	to_up();
	ck_assert_int_eq(mono_sub(ike_deadline(&t), now), 1000 * MS);
	t.conf.dpd.enabled = false;
	tick();
	ck_assert_int_eq(mono_sub(t.timer, now), IKE_LIST_GAP_NS);
	t.conf.dpd = (struct ike_dpd_conf){ true, 1, 1, 1, IKE_DPD_RESET, IKE_DPD_ON_DEMAND };
	listed(true, 7, 0, 0);
	tick();
	ck_assert_int_eq(mono_sub(t.timer, now), 50 * MS);
}
END_TEST

START_TEST(backend_none_only_sweeps)
{
	fresh();
	t.conf.backend = IKE_BACKEND_NONE;
	ike_init(&t, &t.conf, false, now);
	STEP(.kind = IKE_EV_BACKEND_UP);
	EXPECT(IKE_ABSENT, "");
	STEP(.kind = IKE_EV_PURGE, .epoch = E(1));
	EXPECT(IKE_ABSENT, "S");
	swept(true);
	EXPECT(IKE_ABSENT, "P");
	ck_assert(!find(IKE_ACT_PURGED)->leftovers && !ike_needs_purge(&t));
	STEP(.kind = IKE_EV_INITIATE, .epoch = E(2));
	EXPECT(IKE_ABSENT, "");
	ck_assert(ike_needs_purge(&t));
}
END_TEST

START_TEST(purge_while_the_backend_dies)
{
	to_up();
	STEP(.kind = IKE_EV_PURGE, .epoch = E(7));
	STEP(.kind = IKE_EV_BACKEND_DOWN);
	EXPECT(IKE_ABSENT, "S");
	/* It comes back before the sweep is done: the purge begins anew, and is answered once. */
	STEP(.kind = IKE_EV_BACKEND_UP);
	EXPECT(IKE_PURGING, "T");
	reply(IKE_REQ_TERMINATE, true);
	swept(true);
	EXPECT(IKE_IDLE, "P");
}
END_TEST

START_TEST(backend_back_while_sweeping_for_an_active_tunnel)
{
	fresh();
	STEP(.kind = IKE_EV_PURGE, .epoch = E(3));
	STEP(.kind = IKE_EV_INITIATE, .epoch = E(3));
	STEP(.kind = IKE_EV_BACKEND_UP);
	EXPECT(IKE_PURGING, "T"); /* whatever it holds is older than the purge that it did not hear of */
	swept(true);
	EXPECT(IKE_PURGING, "");
	reply(IKE_REQ_TERMINATE, true);
	EXPECT(IKE_PURGING, "S");
	swept(true);
	EXPECT(IKE_INITIATING, "PI");
}
END_TEST

/* The IKE daemon is stopped while the role goes, and goes on when it is back: its child has no SA in the kernel. */
START_TEST(stopped_while_the_role_went_and_came)
{
	to_up();
	STEP(.kind = IKE_EV_PURGE, .epoch = E(7));
	STEP(.kind = IKE_EV_BACKEND_DOWN);
	swept(true);
	STEP(.kind = IKE_EV_INITIATE, .epoch = E(8));
	EXPECT(IKE_ABSENT, "");
	STEP(.kind = IKE_EV_BACKEND_UP);
	EXPECT(IKE_PURGING, "T");
	reply(IKE_REQ_TERMINATE, true);
	swept(true);
	EXPECT(IKE_INITIATING, "I");
}
END_TEST

/* One that only lost the connection has what it says. */
START_TEST(stopped_while_the_role_stayed)
{
	to_up();
	STEP(.kind = IKE_EV_BACKEND_DOWN);
	STEP(.kind = IKE_EV_BACKEND_UP);
	EXPECT(IKE_CHECKING, "L");
	listed(true, 4, 0, 0);
	EXPECT(IKE_UP, "Uh");
}
END_TEST

START_TEST(texts)
{
	for (enum ike_reason r = IKE_WHY_NONE; r < IKE_REASON_N; r++)
		ck_assert_uint_gt(strlen(ike_reason_text(r)), 3);
	ck_assert_str_eq(ike_state_name(IKE_UP), "up");
	ck_assert_str_eq(ike_state_name(IKE_STATE_N), "?");
	ck_assert_str_eq(ike_reason_text(IKE_REASON_N), "?");
	ck_assert_str_eq(ike_req_name(IKE_REQ_LIST), "list");
	ck_assert_str_eq(ike_req_name(IKE_REQ_N), "?");
}
END_TEST

/* A long random walk: actions stay within their array, requests are answered or abandoned, epochs never go back. */
START_TEST(random_walk)
{
	uint32_t seed = (uint32_t)_i * 2654435761u + 1;
	uint64_t newest = 0, purged = 0;

	fresh();
	for (unsigned i = 0; i < 20000; i++) {
		seed = seed * 1664525u + 1013904223u;
		uint32_t r = seed >> 8;
		struct ike_ev ev = { .kind = (enum ike_ev_kind)(r % IKE_EV_N),
				     .ok = r >> 5 & 1,
				     .up = r >> 6 & 1,
				     .sa_id = r >> 7 & 3,
				     .req = t.req,
				     .epoch = t.req_epoch,
				     .seq = t.req_seq };
		now = mono_add(now, (int64_t)(r >> 9 & 0xff) * 3 * MS);
		ev.sample = (struct ike_sample){ .present = ev.ok,
						 .established = ev.up,
						 .child = r >> 10 & 1,
						 .sa_id = r >> 11 & 3,
						 .out_packets = i };
		if (ev.kind == IKE_EV_SWEPT) {
			ev.seq = t.sweep_seq;
			ev.epoch = t.sweep_epoch;
		} else if (ev.kind <= IKE_EV_INITIATE) {
			if (r >> 12 & 7)
				continue;
			ev.epoch = E(t.epoch.counter + (r >> 15 & 3) - (t.epoch.counter ? 1 : 0));
		}
		step(&ev);
		ck_assert_uint_ge(t.epoch.counter, newest);
		newest = t.epoch.counter;
		const struct ike_act *p = find(IKE_ACT_PURGED);
		if (p) {
			ck_assert_uint_ge(p->epoch.counter, purged);
			purged = p->epoch.counter;
		}
		/* Whoever is in a passing state has an end in sight. */
		if (t.state == IKE_PURGING || t.state == IKE_CHECKING || t.state == IKE_INITIATING ||
		    t.state == IKE_FAILED || t.purge_asked)
			ck_assert_msg(mono_sub(ike_deadline(&t), now) <= 15 * NS_PER_SEC, "event %u (%d): %s", i,
				      (int)ev.kind, ike_state_name(t.state));
		if (t.state == IKE_UP)
			ck_assert(t.active && t.backend && ike_needs_purge(&t));
		if (find(IKE_ACT_INITIATE))
			ck_assert(t.active && t.backend);
	}
	ck_assert_uint_gt(t.count.initiates, 10);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike_fsm");
	TCase *c = tcase_create("all");

	tcase_add_test(c, promotion_without_leftovers_initiates_at_once);
	tcase_add_test(c, up_tells_the_time_since_initiate);
	tcase_add_test(c, initiate_with_leftovers_purges_first);
	tcase_add_test(c, demotion_sweeps_the_whole_address);
	tcase_add_test(c, failed_purge_is_known_and_repeated);
	tcase_add_test(c, failed_sweep_is_known);
	tcase_add_test(c, silent_purge_ends_by_itself);
	tcase_add_test(c, answers_of_an_old_epoch_are_dropped);
	tcase_add_test(c, attempts_back_off_and_their_time_grows);
	tcase_add_test(c, slow_peer_counts_during_the_pause);
	tcase_add_test(c, ike_sa_up_gives_the_child_more_time);
	tcase_add_test(c, refused_initiate_fails_at_once);
	tcase_add_test(c, sa_that_comes_up_while_passive_is_purged_once_a_second);
	tcase_add_test(c, backend_back_while_active_asks_then_initiates);
	tcase_add_test(c, check_finds_child_or_only_the_ike_sa);
	tcase_add_test(c, checking_without_initiate_waits);
	tcase_add_test(c, older_child_going_away_is_ignored);
	tcase_add_test(c, child_missing_in_three_lists_is_gone);
	tcase_add_test(c, list_period);
	tcase_add_test(c, backend_none_only_sweeps);
	tcase_add_test(c, purge_while_the_backend_dies);
	tcase_add_test(c, backend_back_while_sweeping_for_an_active_tunnel);
	tcase_add_test(c, stopped_while_the_role_went_and_came);
	tcase_add_test(c, stopped_while_the_role_stayed);
	tcase_add_test(c, texts);
	tcase_add_loop_test(c, random_walk, 0, 20);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
