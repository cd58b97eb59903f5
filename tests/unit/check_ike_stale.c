/* A peer that uses an unknown SPI: asked first, reset at once if it is astray, and never more often than allowed. */
#include "tests/unit/ike_util.h"

#define SPI 0xc0ffee01

static void stale(void)
{
	STEP(.kind = IKE_EV_STALE_PEER, .spi = SPI);
}

/* The list's answer; packets that came in so far, and up to two SPIs of the connection. */
static void says(uint64_t in, uint32_t spi_a, uint32_t spi_b)
{
	STEP(.kind = IKE_EV_SA_LIST, .seq = t.req_seq, .epoch = t.req_epoch,
	     .sample = { .present = true,
			 .established = true,
			 .child = true,
			 .sa_id = 7,
			 .in_packets = in,
			 .n_spis = 2,
			 .spi_in = { spi_a, spi_b } });
}

static void to_watched(void)
{
	to_up();
	t.conf.watch_spi = true;
	t.conf.dpd.enabled = false;
	now = mono_add(now, 10 * NS_PER_SEC);
	tick();
	EXPECT(IKE_UP, "L"); /* as every few seconds */
	says(0, 1000, 1001);
	now = mono_add(now, 1 * NS_PER_SEC);
}

START_TEST(astray_on_an_idle_tunnel)
{
	to_watched();
	stale();
	EXPECT(IKE_UP, "L");
	stale(); /* more packets while the list is under way */
	EXPECT(IKE_UP, "");
	says(0, 1000, 1001);
	EXPECT(IKE_PURGING, "hDhT");
	const struct ike_act *hook = find(IKE_ACT_HOOK);
	ck_assert_int_eq(hook->hook, HOOK_SPI_UNKNOWN);
	ck_assert_uint_eq(hook->spi, SPI);
	ck_assert_int_eq(hook->reason, IKE_WHY_SPI);
	ck_assert_uint_eq(t.count.resets, 1);
	ck_assert_uint_eq(t.unknown.heard, 2);
	reply(IKE_REQ_TERMINATE, true);
	EXPECT(IKE_PURGING, "S");
	stale();
	EXPECT(IKE_PURGING, ""); /* what would be done is under way */
}
END_TEST

/* More SPIs than a list's sample holds: this one may be among the others. */
START_TEST(not_every_spi_is_told)
{
	to_watched();
	stale();
	EXPECT(IKE_UP, "L");
	STEP(.kind = IKE_EV_SA_LIST, .seq = t.req_seq, .epoch = t.req_epoch,
	     .sample = { .present = true, .established = true, .child = true, .sa_id = 7, .more_spis = true });
	EXPECT(IKE_UP, "");
	ck_assert_uint_eq(t.count.resets, 0);
}
END_TEST

START_TEST(astray_after_traffic)
{
	to_watched();
	stale();
	says(500, 1000, 1001); /* packets came in since the last look: it may be forged */
	EXPECT(IKE_UP, "");
	ck_assert_uint_eq(t.unknown.alive, 1);
	now = mono_add(now, 5 * MS);
	stale();
	EXPECT(IKE_UP, "L");
	says(500, 1000, 1001); /* and none since then */
	EXPECT(IKE_PURGING, "hDhT");
}
END_TEST

START_TEST(forged_in_the_name_of_a_living_peer)
{
	to_watched();
	for (unsigned i = 1; i <= 1000; i++) {
		now = mono_add(now, 5 * MS);
		stale();
		says(i, 1000, 1001);
		EXPECT(IKE_UP, "");
	}
	ck_assert_uint_eq(t.unknown.alive, 1000);
	ck_assert_uint_eq(t.count.resets, 0);
	ck_assert_uint_eq(t.unknown.told, 0);
}
END_TEST

START_TEST(nothing_to_compare_with)
{
	to_up();
	t.conf.watch_spi = true;
	stale();
	EXPECT(IKE_UP, ""); /* what the peer sent before may still arrive */
	now = mono_add(now, IKE_YOUNG_NS);
	stale();
	EXPECT(IKE_UP, "L");
	says(0, 1000, 1001); /* the first look at this child */
	EXPECT(IKE_UP, "");
	now = mono_add(now, IKE_SILENT_NS - 1);
	stale();
	says(0, 1000, 1001); /* too short a time for silence */
	EXPECT(IKE_UP, "");
	now = mono_add(now, 1);
	stale();
	says(0, 1000, 1001);
	EXPECT(IKE_PURGING, "hDhT");
	ck_assert_uint_eq(t.unknown.alive, 0);
}
END_TEST

START_TEST(counters_of_another_child)
{
	to_watched();
	says(0, 1000, 1001);
	child(true, 8); /* the peer made a new one */
	stale();
	STEP(.kind = IKE_EV_SA_LIST, .seq = t.req_seq, .epoch = t.req_epoch,
	     .sample = { .present = true, .established = true, .child = true, .sa_id = 8 });
	EXPECT(IKE_UP, "");
	ck_assert_uint_eq(t.unknown.sa_id, 8);
}
END_TEST

START_TEST(spi_of_a_child_that_just_came)
{
	to_watched();
	stale();
	says(0, 1000, SPI);
	EXPECT(IKE_UP, "");
	ck_assert_uint_eq(t.unknown.known, 1);
	says(0, 1000, 1001); /* a list of its own accord proves nothing */
	EXPECT(IKE_UP, "");
}
END_TEST

START_TEST(one_reset_in_five_seconds)
{
	unsigned resets = 0;

	to_watched();
	for (unsigned i = 0; i < 20000; i++) {
		now = mono_add(now, 1 * MS);
		stale();
		if (find(IKE_ACT_LIST))
			says(0, 1000, 1001);
		if (!find(IKE_ACT_TERMINATE))
			continue;
		resets++;
		reply(IKE_REQ_TERMINATE, true);
		swept(true);
		if (t.state == IKE_QUEUED)
			STEP(.kind = IKE_EV_GRANT);
		child(true, 7);
		ck_assert_int_eq(t.state, IKE_UP);
	}
	ck_assert_uint_eq(resets, 4);
	ck_assert_uint_eq(t.count.resets, 4);
	ck_assert_uint_eq(t.unknown.told, 4);
	ck_assert_uint_gt(t.count.resets_held, 15000);
}
END_TEST

START_TEST(failed_attempt_is_repeated_at_once)
{
	to_watched();
	t.state = IKE_FAILED;
	t.timer = mono_add(now, 5 * NS_PER_SEC);
	stale();
	EXPECT(IKE_PURGING, "hT");
	ck_assert_uint_eq(t.count.resets, 1);
}
END_TEST

START_TEST(peer_that_cannot_be_initiated_to)
{
	to_watched();
	t.conf.initiate = false;
	stale();
	says(0, 1000, 1001);
	EXPECT(IKE_UP, "h");
	t.state = IKE_WAITING;
	stale();
	EXPECT(IKE_WAITING, ""); /* told a moment ago */
	now = mono_add(now, IKE_WATCH_GAP_NS);
	stale();
	EXPECT(IKE_WAITING, "h");
	ck_assert_uint_eq(t.count.resets, 0);
}
END_TEST

START_TEST(node_has_no_resets_left)
{
	to_watched();
	t.resets_barred = true;
	stale();
	says(0, 1000, 1001);
	EXPECT(IKE_UP, "h");
	ck_assert_uint_eq(t.count.resets_held, 1);
	now = mono_add(now, 1 * NS_PER_SEC);
	t.resets_barred = false;
	stale();
	says(0, 1000, 1001);
	EXPECT(IKE_PURGING, "DhT"); /* the hook was told a second ago */
}
END_TEST

START_TEST(every_other_state_leaves_it)
{
	static const enum ike_state quiet[] = { IKE_ABSENT,     IKE_IDLE,   IKE_PURGING, IKE_CHECKING,
						IKE_INITIATING, IKE_QUEUED, IKE_CLOSING };

	for (unsigned i = 0; i < sizeof(quiet) / sizeof(quiet[0]); i++) {
		to_watched();
		t.state = quiet[i];
		no_turns = true; /* it stays in the queue */
		uint64_t ignored = t.count.ignored;
		stale();
		EXPECT(quiet[i], "");
		ck_assert_uint_eq(t.count.ignored, ignored + 1);
		no_turns = false;
	}
	to_watched();
	t.conf.watch_spi = false;
	stale();
	EXPECT(IKE_UP, "");
	to_watched();
	t.active = false;
	stale();
	EXPECT(IKE_UP, "");
}
END_TEST

START_TEST(busy_with_another_request)
{
	to_watched();
	t.req = IKE_REQ_REKEY;
	stale();
	EXPECT(IKE_UP, "");
	ck_assert(!t.unknown.asked);
	t.req = IKE_REQ_NONE;
	stale();
	EXPECT(IKE_UP, "L");
	/* The IKE daemon is busy with this SA and leaves it out: no verdict. */
	STEP(.kind = IKE_EV_SA_LIST, .seq = t.req_seq, .epoch = t.req_epoch);
	EXPECT(IKE_UP, "");
	ck_assert(!t.unknown.asked);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike_stale");
	TCase *c = tcase_create("all");

	tcase_add_test(c, astray_on_an_idle_tunnel);
	tcase_add_test(c, astray_after_traffic);
	tcase_add_test(c, not_every_spi_is_told);
	tcase_add_test(c, forged_in_the_name_of_a_living_peer);
	tcase_add_test(c, nothing_to_compare_with);
	tcase_add_test(c, counters_of_another_child);
	tcase_add_test(c, spi_of_a_child_that_just_came);
	tcase_add_test(c, one_reset_in_five_seconds);
	tcase_add_test(c, failed_attempt_is_repeated_at_once);
	tcase_add_test(c, peer_that_cannot_be_initiated_to);
	tcase_add_test(c, node_has_no_resets_left);
	tcase_add_test(c, every_other_state_leaves_it);
	tcase_add_test(c, busy_with_another_request);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
