/* What role, operator and watchers want: turns, goodbyes, resets, moved tunnels, split brain, periodic questions. */
#include "tests/unit/ike_util.h"
#include "tests/unit/run.h"

/* ---- turns ---- */

START_TEST(a_turn_ends_by_itself)
{
	to_queued();
	ck_assert_uint_eq(ike_queued(&t), 1);
	ck_assert_uint_eq(ike_flights(&t), 0);
	STEP(.kind = IKE_EV_GRANT);
	ck_assert_uint_eq(ike_queued(&t), 0);
	ck_assert_uint_eq(ike_flights(&t), 1);
	child(true, 3);
	ck_assert_uint_eq(ike_flights(&t), 0);
	/* A peer that is silent for long does not hold the others up. */
	to_queued();
	t.fails = 6;
	STEP(.kind = IKE_EV_GRANT);
	mono_t begun = now;
	tick();
	EXPECT(IKE_INITIATING, "");
	ck_assert_int_eq(mono_sub(now, begun), IKE_FLIGHT_NS);
	ck_assert_uint_eq(ike_flights(&t), 0);
	uint64_t ignored = t.count.ignored;
	STEP(.kind = IKE_EV_GRANT);
	ck_assert_uint_eq(t.count.ignored, ignored + 1);
}
END_TEST

/* ---- goodbye ---- */

START_TEST(goodbye_is_answered)
{
	to_closing();
	reply(IKE_REQ_CLOSE, true);
	EXPECT(IKE_CLOSING, "");
	child(false, 7);
	EXPECT(IKE_CLOSING, "");
	STEP(.kind = IKE_EV_IKE_UPDOWN);
	EXPECT(IKE_CLOSING, "c");
	ck_assert_int_eq(find(IKE_ACT_CLOSED)->epoch.counter, 9);
	ck_assert_int_eq(find(IKE_ACT_CLOSED)->reason, IKE_WHY_CLOSED);
	STEP(.kind = IKE_EV_PURGE, .epoch = E(9));
	EXPECT(IKE_PURGING, "T"); /* it was said already that the tunnel is down */
	/* The role stayed here after all. */
	to_closing();
	STEP(.kind = IKE_EV_IKE_UPDOWN);
	tick();
	EXPECT(IKE_CLOSING, "");
	tick();
	EXPECT(IKE_CHECKING, "L");
}
END_TEST

START_TEST(goodbye_has_its_time)
{
	static const int64_t wait[] = { IKE_CLOSE_NS, IKE_CLOSE_NOW_NS };

	for (unsigned i = 0; i < 2; i++) {
		to_up();
		CLOSE(wait[i]);
		mono_t begun = now;
		tick();
		EXPECT(IKE_CLOSING, "c");
		ck_assert_int_eq(mono_sub(now, begun), wait[i]);
		ck_assert_int_eq(find(IKE_ACT_CLOSED)->reason, IKE_WHY_CLOSE_LATE);
	}
	to_idle();
	CLOSE(IKE_CLOSE_NS);
	EXPECT(IKE_IDLE, "c");
	to_up();
	ck_assert(ike_wants_close(&t, false) && !ike_wants_close(&t, true));
	t.conf.on_demote = IKE_DEMOTE_DELETE;
	ck_assert(ike_wants_close(&t, true));
	STEP(.kind = IKE_EV_BACKEND_DOWN);
	ck_assert(!ike_wants_close(&t, false));
}
END_TEST

/* ---- resets ---- */

START_TEST(reset_has_a_rate)
{
	to_up();
	RESET(.force = false);
	EXPECT(IKE_PURGING, "DhT");
	reply(IKE_REQ_TERMINATE, true);
	swept(true);
	EXPECT(IKE_INITIATING, "I");
	RESET(.force = false);
	EXPECT(IKE_INITIATING, ""); /* it is being done */
	child(true, 8);
	for (unsigned i = 0; i < 100; i++)
		RESET(.force = false);
	EXPECT(IKE_UP, "");
	ck_assert_uint_eq(t.count.resets, 1);
	ck_assert_uint_eq(t.count.resets_held, 100);
	now = mono_add(now, IKE_WATCH_GAP_NS);
	RESET(.force = false);
	EXPECT(IKE_PURGING, "DhT");
	reply(IKE_REQ_TERMINATE, true);
	swept(true);
	child(true, 9);
	RESET(.force = true); /* an operator knows what he does */
	EXPECT(IKE_PURGING, "DhT");
	ck_assert_int_eq(t.why, IKE_WHY_SPI);
}
END_TEST

START_TEST(reset_of_what_is_not_up)
{
	to_initiating();
	tick();
	EXPECT(IKE_FAILED, "");
	RESET(.force = false); /* the peer is alive: no need to wait */
	EXPECT(IKE_PURGING, "T");
	RESET(.force = true);
	EXPECT(IKE_PURGING, "");
	to_idle();
	RESET(.force = false);
	EXPECT(IKE_IDLE, "");
	RESET(.force = true);
	EXPECT(IKE_PURGING, "T");
	to_idle();
	t.conf.initiate = false;
	STEP(.kind = IKE_EV_INITIATE, .epoch = E(6));
	RESET(.force = false);
	EXPECT(IKE_WAITING, "");
	RESET(.force = true);
	EXPECT(IKE_PURGING, "T");
	fresh();
	RESET(.force = true);
	EXPECT(IKE_ABSENT, "");
}
END_TEST

START_TEST(moved_off_the_address)
{
	to_up();
	STEP(.kind = IKE_EV_MOVED);
	EXPECT(IKE_PURGING, "DhT");
	ck_assert_int_eq(t.why, IKE_WHY_MOVED);
	to_idle();
	now = mono_add(now, 2000 * MS);
	STEP(.kind = IKE_EV_MOVED); /* a backup has stolen it */
	EXPECT(IKE_PURGING, "T");
	ck_assert_int_eq(t.why, IKE_WHY_MOVED);
	reply(IKE_REQ_TERMINATE, true);
	swept(true);
	STEP(.kind = IKE_EV_MOVED, .warm = true); /* its own addresses may change */
	EXPECT(IKE_IDLE, "");
	ck_assert_uint_eq(t.count.moved, 1);
}
END_TEST

/* A tunnel whose peer may be anybody must never sweep everybody. */
START_TEST(no_sweep_without_a_peer)
{
	to_up();
	t.conf.peer = (struct addr){ 0 };
	RESET(.force = true);
	reply(IKE_REQ_TERMINATE, true);
	EXPECT(IKE_INITIATING, "I");
}
END_TEST

/* ---- two masters met ---- */

START_TEST(split_brain_is_judged_by_packets)
{
	to_up();
	t.timer = MONO_NEVER; /* only what is asked for this */
	t.conf.dpd.enabled = false;
	STEP(.kind = IKE_EV_VERIFY);
	EXPECT(IKE_UP, "L");
	listed(true, 7, 100, 100);
	mono_t begun = now;
	tick();
	EXPECT(IKE_UP, "L");
	ck_assert_int_eq(mono_sub(now, begun), IKE_VERIFY_NS);
	listed(true, 7, 101, 200);
	EXPECT(IKE_UP, "");
	ck_assert_int_eq(find(IKE_ACT_TRACE)->reason, IKE_WHY_SPLIT_OVER);

	STEP(.kind = IKE_EV_VERIFY);
	listed(true, 7, 101, 200);
	tick();
	listed(true, 7, 101, 300);
	EXPECT(IKE_PURGING, "DhT");
	ck_assert_int_eq(t.why, IKE_WHY_SPLIT);

	/* The first list was never answered: a second look, a second later. */
	to_up();
	t.timer = MONO_NEVER; /* only what is asked for this */
	t.conf.dpd.enabled = false;
	STEP(.kind = IKE_EV_VERIFY);
	reply(IKE_REQ_LIST, false);
	tick();
	EXPECT(IKE_UP, "L");
	listed(true, 7, 5, 5);
	tick();
	EXPECT(IKE_UP, "L");
	listed(true, 7, 5, 5);
	EXPECT(IKE_PURGING, "DhT");

	/* It is the peer's to initiate, or nothing is up. */
	to_up();
	t.conf.initiate = false;
	STEP(.kind = IKE_EV_VERIFY);
	EXPECT(IKE_UP, "");
	to_idle();
	STEP(.kind = IKE_EV_VERIFY);
	EXPECT(IKE_IDLE, "");
}
END_TEST

/* ---- periodic ---- */

START_TEST(periodic_asks_an_idle_peer)
{
	unsigned asked = 0;

	to_up();
	t.conf.dpd.mode = IKE_DPD_PERIODIC;
	mono_t begun = now;
	while (mono_sub(now, begun) < 60 * NS_PER_SEC) {
		tick();
		if (find(IKE_ACT_LIST))
			listed(true, 7 + asked, 0, 0);
		if (find(IKE_ACT_REKEY)) {
			reply(IKE_REQ_REKEY, true);
			asked++;
			STEP(.kind = IKE_EV_CHILD_REKEY, .sa_id = 7 + asked);
		}
		ck_assert_int_eq(t.state, IKE_UP);
	}
	/* Every 3 s and the second until the next list. */
	ck_assert_uint_ge(asked, 13);
	ck_assert_uint_le(asked, 20);
	ck_assert_uint_eq(t.count.dpd_dead, 0);
	/* It dies: 3 s, and three times a second. */
	begun = now;
	while (!find(IKE_ACT_DPD_DEAD) && mono_sub(now, begun) < 20 * NS_PER_SEC) {
		tick();
		if (find(IKE_ACT_LIST))
			listed(true, 7 + asked, 0, 0);
		if (find(IKE_ACT_REKEY))
			reply(IKE_REQ_REKEY, true);
	}
	EXPECT(IKE_PURGING, "XhDhT");
	ck_assert_int_le(mono_sub(now, begun), 8 * NS_PER_SEC);
}
END_TEST

START_TEST(on_demand_asks_no_idle_peer)
{
	to_up();
	mono_t begun = now;
	while (mono_sub(now, begun) < 60 * NS_PER_SEC) {
		tick();
		if (find(IKE_ACT_LIST))
			listed(true, 7, 0, 0);
		ck_assert(!find(IKE_ACT_REKEY));
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike_role");
	TCase *c = tcase_create("all");

	tcase_add_test(c, a_turn_ends_by_itself);
	tcase_add_test(c, goodbye_is_answered);
	tcase_add_test(c, goodbye_has_its_time);
	tcase_add_test(c, reset_has_a_rate);
	tcase_add_test(c, reset_of_what_is_not_up);
	tcase_add_test(c, moved_off_the_address);
	tcase_add_test(c, no_sweep_without_a_peer);
	tcase_add_test(c, split_brain_is_judged_by_packets);
	tcase_add_test(c, periodic_asks_an_idle_peer);
	tcase_add_test(c, on_demand_asks_no_idle_peer);
	suite_add_tcase(s, c);
	return unit_run(s);
}
