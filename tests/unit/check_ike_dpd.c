/* The tunnel machine's dead peer detection: counters, doubt, rekey, reset, and what must not be taken for a death. */
#include "tests/unit/ike_util.h"

/* Runs the machine for ms with lists answered; per second out grows by out_rate, in by in_rate. */
static uint64_t in_packets, out_packets;
static uint32_t listed_child = 7;

static bool run_until(enum ike_act_kind what, int64_t ms, unsigned in_rate, unsigned out_rate)
{
	mono_t end = mono_add(now, ms * MS), last = now;

	while (mono_before(ike_deadline(&t), end)) {
		tick();
		if (find(what))
			return true;
		if (!find(IKE_ACT_LIST))
			continue;
		int64_t s = mono_sub(now, last) / NS_PER_SEC;
		last = mono_add(last, s * NS_PER_SEC);
		in_packets += (uint64_t)s * in_rate;
		out_packets += (uint64_t)s * out_rate;
		listed(true, listed_child, in_packets, out_packets);
		if (find(what))
			return true;
	}
	now = end;
	return false;
}

static void to_traffic(void)
{
	to_up();
	in_packets = out_packets = 0;
	listed_child = 7;
	ck_assert(!run_until(IKE_ACT_REKEY, 5500, 10, 10));
	ck_assert(!t.dpd.doubt);
}

START_TEST(dpd_silence_rekey_reset)
{
	to_traffic();
	mono_t begun = now;
	ck_assert(run_until(IKE_ACT_REKEY, 20000, 0, 10));
	/* 3 s of silence and 3 retries of 1 s, seen by samples 1 s apart. */
	ck_assert_int_ge(mono_sub(now, begun), 6000 * MS);
	ck_assert_int_le(mono_sub(now, begun), 8000 * MS);
	reply(IKE_REQ_REKEY, true);
	EXPECT(IKE_UP, "");
	begun = now;
	ck_assert(run_until(IKE_ACT_DPD_DEAD, 5000, 0, 10));
	ck_assert_int_eq(mono_sub(now, begun), IKE_REKEY_NS);
	EXPECT(IKE_PURGING, "XhDhT");
	ck_assert_int_eq(find(IKE_ACT_HOOK)->hook, HOOK_DPD_DEAD);
	child(false, 7); /* our own doing */
	reply(IKE_REQ_TERMINATE, true);
	EXPECT(IKE_PURGING, "S");
	ck_assert_int_eq(find(IKE_ACT_SWEEP)->peer.af, ADDR_V4);
	swept(true);
	EXPECT(IKE_INITIATING, "I");
	child(true, 8);
	EXPECT(IKE_UP, "Uh");
	ck_assert_uint_eq(t.count.dpd_dead, 1);
	ck_assert_uint_eq(t.count.resets, 1);
}
END_TEST

START_TEST(dpd_reset_spares_a_sibling_of_the_same_peer)
{
	to_traffic();
	t.shares_peer = true;
	ck_assert(run_until(IKE_ACT_DPD_DEAD, 20000, 0, 10));
	reply(IKE_REQ_TERMINATE, true);
	EXPECT(IKE_INITIATING, "I");
}
END_TEST

START_TEST(dpd_one_reset_in_ten_seconds)
{
	to_traffic();
	t.conf.dpd.interval_ns = 200 * MS;
	t.conf.dpd.retry_ns = 1000 * MS;
	t.conf.dpd.retries = 1;
	ck_assert(run_until(IKE_ACT_DPD_DEAD, 20000, 0, 10));
	mono_t first = now;
	reply(IKE_REQ_TERMINATE, true);
	swept(true);
	listed_child = 8;
	child(true, 8);
	EXPECT(IKE_UP, "Uh");
	ck_assert(run_until(IKE_ACT_DPD_DEAD, 20000, 0, 10));
	EXPECT(IKE_UP, "Xh"); /* told, but not reset yet */
	ck_assert_int_lt(mono_sub(now, first), IKE_RESET_GAP_NS);
	ck_assert_uint_eq(t.count.resets_held, 1);
	ck_assert(run_until(IKE_ACT_TERMINATE, 20000, 0, 10));
	ck_assert_int_eq(mono_sub(now, first), IKE_RESET_GAP_NS);
	ck_assert_uint_eq(t.count.resets, 2);
	ck_assert_uint_eq(t.count.dpd_dead, 2);
}
END_TEST

START_TEST(dpd_answered_rekey_proves_a_one_way_tunnel)
{
	to_traffic();
	ck_assert(run_until(IKE_ACT_REKEY, 20000, 0, 10));
	STEP(.kind = IKE_EV_CHILD_REKEY, .sa_id = 8);
	EXPECT(IKE_UP, "");
	ck_assert(!t.dpd.rekeying && !t.dpd.doubt);
	listed_child = 8;
	mono_t proved = now;
	ck_assert(run_until(IKE_ACT_REKEY, 200000, 0, 10));
	ck_assert_int_ge(mono_sub(now, proved), IKE_PROVED_NS);
	ck_assert_uint_eq(t.count.dpd_dead, 0);
}
END_TEST

START_TEST(dpd_rekey_seen_only_in_the_list)
{
	to_traffic();
	ck_assert(run_until(IKE_ACT_REKEY, 20000, 0, 10));
	reply(IKE_REQ_REKEY, true);
	STEP(.kind = IKE_EV_TICK);
	listed_child = 9;
	t.timer = now; /* the next list comes before the rekey's limit */
	ck_assert(!run_until(IKE_ACT_DPD_DEAD, 3000, 0, 10));
	ck_assert_uint_eq(t.sa_id, 9);
	ck_assert(!t.dpd.rekeying);
}
END_TEST

START_TEST(dpd_traffic_ends_the_doubt)
{
	to_traffic();
	ck_assert(!run_until(IKE_ACT_REKEY, 5200, 0, 10));
	ck_assert(t.dpd.doubt);
	ck_assert(!run_until(IKE_ACT_REKEY, 20000, 1, 10));
	ck_assert(!t.dpd.doubt);
	ck_assert(run_until(IKE_ACT_REKEY, 20000, 0, 10));
	ck_assert(!run_until(IKE_ACT_DPD_DEAD, 990, 0, 10));
	t.req = IKE_REQ_NONE;
	t.timer = now;
	tick();
	listed(true, 7, in_packets + 1, out_packets);
	ck_assert(!t.dpd.rekeying);
	ck_assert(!run_until(IKE_ACT_DPD_DEAD, 3000, 10, 10));
}
END_TEST

START_TEST(dpd_idle_tunnel_is_not_dead)
{
	to_traffic();
	ck_assert(!run_until(IKE_ACT_REKEY, 600000, 0, 0));
	ck_assert(!run_until(IKE_ACT_REKEY, 600000, 10, 0));
	out_packets++; /* one packet without an answer is no doubt yet */
	ck_assert(!run_until(IKE_ACT_REKEY, 600000, 0, 0));
}
END_TEST

START_TEST(dpd_counters_that_start_anew_are_a_new_base)
{
	to_traffic();
	in_packets = out_packets = 1;
	ck_assert(!run_until(IKE_ACT_REKEY, 3000, 0, 0));
	ck_assert_uint_eq(t.dpd.out, 1);
	ck_assert(mono_is_never(t.dpd.out_at));
}
END_TEST

START_TEST(dpd_notify_only_tells_once_per_silence)
{
	to_traffic();
	t.conf.dpd.action = IKE_DPD_NOTIFY;
	ck_assert(run_until(IKE_ACT_DPD_DEAD, 20000, 0, 10));
	EXPECT(IKE_UP, "Xh");
	ck_assert(!run_until(IKE_ACT_DPD_DEAD, 60000, 0, 10));
	ck_assert(!run_until(IKE_ACT_DPD_DEAD, 3000, 10, 10));
	ck_assert(run_until(IKE_ACT_DPD_DEAD, 20000, 0, 10));
	ck_assert_uint_eq(t.count.rekeys, 0);
}
END_TEST

START_TEST(dpd_rekey_does_not_reset)
{
	to_traffic();
	t.conf.dpd.action = IKE_DPD_REKEY;
	ck_assert(run_until(IKE_ACT_REKEY, 20000, 0, 10));
	reply(IKE_REQ_REKEY, true);
	ck_assert(run_until(IKE_ACT_DPD_DEAD, 3000, 0, 10));
	EXPECT(IKE_UP, "Xh");
	ck_assert(!run_until(IKE_ACT_TERMINATE, 60000, 0, 10));
	ck_assert_uint_eq(t.count.dpd_dead, 1);
}
END_TEST

START_TEST(dpd_child_down_in_doubt_is_the_verdict)
{
	to_traffic();
	ck_assert(!run_until(IKE_ACT_REKEY, 5200, 0, 10));
	ck_assert(t.dpd.doubt);
	child(false, 7);
	EXPECT(IKE_PURGING, "XhDhT");
	ck_assert_int_eq(find(IKE_ACT_DPD_DEAD)->reason, IKE_WHY_DPD_EVENT);

	to_traffic();
	t.conf.dpd.action = IKE_DPD_NOTIFY;
	ck_assert(!run_until(IKE_ACT_DPD_DEAD, 5200, 0, 10));
	child(false, 7);
	EXPECT(IKE_CHECKING, "XhDh");
}
END_TEST

START_TEST(dpd_off_never_asks)
{
	to_traffic();
	t.conf.dpd.enabled = false;
	ck_assert(!run_until(IKE_ACT_REKEY, 600000, 0, 10));
	child(false, 7);
	EXPECT(IKE_CHECKING, "Dh");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike_dpd");
	TCase *c = tcase_create("all");

	tcase_add_test(c, dpd_silence_rekey_reset);
	tcase_add_test(c, dpd_reset_spares_a_sibling_of_the_same_peer);
	tcase_add_test(c, dpd_one_reset_in_ten_seconds);
	tcase_add_test(c, dpd_answered_rekey_proves_a_one_way_tunnel);
	tcase_add_test(c, dpd_rekey_seen_only_in_the_list);
	tcase_add_test(c, dpd_traffic_ends_the_doubt);
	tcase_add_test(c, dpd_idle_tunnel_is_not_dead);
	tcase_add_test(c, dpd_counters_that_start_anew_are_a_new_base);
	tcase_add_test(c, dpd_notify_only_tells_once_per_silence);
	tcase_add_test(c, dpd_rekey_does_not_reset);
	tcase_add_test(c, dpd_child_down_in_doubt_is_the_verdict);
	tcase_add_test(c, dpd_off_never_asks);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
