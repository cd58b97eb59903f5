/* The sweep while the table moves under it: what it read too early proves nothing, what events did not tell is found. */
#include "tests/unit/rig_pair.h"

static void setup(void)
{
	rig_pair_begin_fenced();
	rig_run(r, 3 * NS_PER_SEC);
}

static void rest_until_no_sweep(unsigned i)
{
	rig_run(r, 50 * NS_PER_MS);
	r->n[i].no_sweep = true;
}

START_TEST(test_overrun_behind_a_running_sweep)
{
	struct ct_entry e = rig_flow(200, IPPROTO_TCP, true);

	rest_until_no_sweep(A);
	sync_sweep_begin(r->n[A].s, r->now);
	r->n[A].mute_events = true;
	rig_open(r, A, &e);
	r->n[A].mute_events = false;
	sync_on_overrun(r->n[A].s, r->now);
	ck_assert(!sync_sweep_wanted(r->n[A].s, r->now));
	sync_sweep_end(r->n[A].s, true, r->now);          /* it had passed that place */
	ck_assert(!sync_sweep_wanted(r->n[A].s, r->now)); /* first what it did not see is asked for */
	sync_missing_step(r->n[A].s, UINT32_MAX, r->now);
	ck_assert(sync_sweep_wanted(r->n[A].s, r->now));
	ck_assert_uint_ge(sync_sweep_rate(r->n[A].s), 100000);
	r->n[A].no_sweep = false;
	rig_run(r, NS_PER_SEC);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
	ck_assert_uint_lt(sync_sweep_rate(r->n[A].s), 100000);
}
END_TEST

/* When the next sweep of A is due after one that took ms of processor time. */
static int64_t pause_ms(int64_t ms)
{
	sync_sweep_begin(r->n[A].s, r->now);
	sync_sweep_cost(r->n[A].s, ms * NS_PER_MS);
	sync_sweep_end(r->n[A].s, true, r->now);
	sync_missing_step(r->n[A].s, UINT32_MAX, r->now);
	return mono_sub(r->n[A].s->sweep_at, r->now) / NS_PER_MS;
}

static void see_all(unsigned i)
{
	rig_run(r, 10 * NS_PER_SEC);
	rest_until_no_sweep(i);
}

START_TEST(test_pause_after_a_sweep_with_nothing_amiss)
{
	see_all(A);
	ck_assert_int_eq(pause_ms(1), 2000);
	ck_assert_int_eq(pause_ms(10), 10 * SYNC_SWEEP_SHARE);
	ck_assert_int_eq(pause_ms(1000), SYNC_SWEEP_REST_NS / NS_PER_MS);
	ck_assert_uint_eq(sync_sweep_least(r->n[A].s), 1);
	ck_assert_uint_ge(sync_sweep_rate(r->n[A].s), 1000);
}
END_TEST

/* The time that a sweep itself takes is part of the quarter of a lease. */
START_TEST(test_pause_after_a_long_sweep)
{
	see_all(A);
	int64_t quarter_ms = sync_lease_s(r->n[A].s) * INT64_C(1000) / 4;
	for (int over = 0; over < 2; over++) {
		sync_sweep_begin(r->n[A].s, mono_add(r->now, -(quarter_ms - 3000 + over * 3000) * NS_PER_MS));
		sync_sweep_cost(r->n[A].s, NS_PER_SEC);
		sync_sweep_end(r->n[A].s, true, r->now);
		sync_missing_step(r->n[A].s, UINT32_MAX, r->now);
		ck_assert_int_eq(mono_sub(r->n[A].s->sweep_at, r->now), over ? SYNC_SWEEP_NS : 3 * NS_PER_SEC);
	}
}
END_TEST

/* What one sweep has found, and what may have changed the answer, makes the next one come soon. */
START_TEST(test_pause_is_short_where_something_is_amiss)
{
	see_all(A);
	ck_assert_int_gt(pause_ms(10), 2000);
	r->n[A].s->stats.repaired++;
	ck_assert_int_eq(pause_ms(10), 2000);
	ck_assert_int_gt(pause_ms(11), 2000);
	sync_on_overrun(r->n[A].s, r->now);
	ck_assert(sync_sweep_wanted(r->n[A].s, r->now));
	ck_assert_int_eq(pause_ms(10), 2000);
	ck_assert_int_gt(pause_ms(11), 2000);
	sync_peer_down(r->n[A].s, r->n[B].id, r->now);
	ck_assert_int_le(mono_sub(r->n[A].s->sweep_at, r->now), SYNC_SWEEP_NS);
	ck_assert_uint_eq(sync_sweep_least(r->n[A].s), sync_sweep_rate(r->n[A].s));
	ck_assert_int_gt(pause_ms(11), 2000);
	r->n[A].s->stats.evidence++;
	ck_assert_uint_eq(sync_sweep_least(r->n[A].s), sync_sweep_rate(r->n[A].s));
	ck_assert_int_eq(pause_ms(11), 2000);
	ck_assert_int_gt(pause_ms(11), 2000);
	struct sync_authority none = { .epoch = r->n[A].s->owner.seen };
	sync_authority(r->n[A].s, &none, r->now);
	ck_assert_int_le(mono_sub(r->n[A].s->sweep_at, r->now), SYNC_SWEEP_NS);
}
END_TEST

/* Its end was among the lost events, and the sweep that was running did not see it: the one that follows is no excuse. */
START_TEST(test_end_lost_between_two_sweeps)
{
	struct ct_entry e = rig_flow(207, IPPROTO_TCP, true);

	rig_open(r, A, &e);
	rig_run(r, 5 * NS_PER_SEC); /* told, and seen by sweeps */
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
	rest_until_no_sweep(A);
	sync_sweep_begin(r->n[A].s, r->now);
	r->n[A].mute_events = true;
	rig_remove(r, A, rig_find(&r->n[A], &e.orig), 0);
	r->n[A].mute_events = false;
	sync_on_overrun(r->n[A].s, r->now);
	sync_sweep_end(r->n[A].s, true, r->now);
	r->n[A].no_sweep = false;
	rig_run(r, NS_PER_SEC);
	ck_assert_uint_eq(r->n[A].s->stats.vanished, 1);
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert_ptr_null(rig_find(&r->n[B], &e.orig));
}
END_TEST

START_TEST(test_dump_of_what_has_ended)
{
	struct ct_entry e = rig_flow(201, IPPROTO_TCP, true);
	unsigned told = r->n[A].sent[SYNC_REC_SESSION];

	rest_until_no_sweep(A);
	sync_sweep_begin(r->n[A].s, r->now);
	sync_on_sweep_entry(r->n[A].s, &e, r->now); /* its DESTROY was read before */
	sync_sweep_end(r->n[A].s, true, r->now);
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[A].sent[SYNC_REC_SESSION], told);
	ck_assert(!rig_known(r, A, &e));
	ck_assert_uint_eq(r->n[B].n, 0);
	ck_assert_uint_eq(r->n[A].s->stats.vanished, 0);
	rig_check(r->n[A].s);
}
END_TEST

/* The same on a standby, whose peer owns all it does not know. */
START_TEST(test_dump_of_what_has_ended_on_a_standby)
{
	struct ct_entry e = rig_flow(202, IPPROTO_TCP, true);

	rest_until_no_sweep(B);
	sync_sweep_begin(r->n[B].s, r->now);
	sync_on_sweep_entry(r->n[B].s, &e, r->now);
	sync_sweep_end(r->n[B].s, true, r->now);
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert(!rig_known(r, B, &e));
	ck_assert_uint_eq(r->n[B].sent[SYNC_REC_WANT], 0);
	rig_check(r->n[B].s);
}
END_TEST

START_TEST(test_found_and_alive)
{
	struct ct_entry e = rig_flow(203, IPPROTO_TCP, true);

	r->n[A].mute_events = true;
	rig_open(r, A, &e);
	r->n[A].mute_events = false;
	rig_run(r, 4 * NS_PER_SEC);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
	ck_assert(rig_view(r, A, &e).mine);
	ck_assert_uint_eq(r->n[A].s->stats.found, 1);
	rig_check(r->n[A].s);
}
END_TEST

/* The sweep is quicker than the event: nothing was lost, nothing is found. */
START_TEST(test_event_behind_the_sweep)
{
	struct ct_entry e = rig_flow(208, IPPROTO_TCP, true);

	rest_until_no_sweep(A);
	rig_insert(r, A, &e);
	rig_sweep(r, A);
	rig_run(r, 100 * NS_PER_MS); /* read once more, and taken for ours */
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
	rig_event(r, A, CT_EV_NEW, 0, &e);
	r->n[A].no_sweep = false;
	rig_run(r, 8 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[A].s->stats.found, 0);
	ck_assert(rig_view(r, A, &e).mine);
	ck_assert(rig_equal(r));
}
END_TEST

/* A dump of a table that moves shows an entry twice. */
START_TEST(test_found_by_the_next_sweep_only)
{
	struct ct_entry e = rig_flow(209, IPPROTO_UDP, true), gone = rig_flow(210, IPPROTO_UDP, true);

	rest_until_no_sweep(A);
	rig_insert(r, A, &e);
	rig_insert(r, A, &gone);
	sync_sweep_begin(r->n[A].s, r->now);
	for (unsigned i = 0; i < 2; i++) {
		sync_on_sweep_entry(r->n[A].s, &e, r->now);
		sync_on_sweep_entry(r->n[A].s, &gone, r->now);
	}
	sync_sweep_end(r->n[A].s, true, r->now);
	rig_run(r, 100 * NS_PER_MS);
	ck_assert_uint_eq(r->n[A].s->stats.found, 0);
	rig_remove(r, A, rig_find(&r->n[A], &gone.orig), 0);
	for (unsigned i = 0; i < 3; i++) {
		rig_sweep(r, A);
		rig_step(r);
		ck_assert_uint_eq(r->n[A].s->stats.found, 1);
	}
}
END_TEST

START_TEST(test_dump_older_than_a_copy)
{
	struct ct_entry e = rig_flow(204, IPPROTO_TCP, true), old = e;

	rest_until_no_sweep(B);
	rig_open(r, A, &e);
	rig_run(r, 20 * NS_PER_MS);
	ck_assert_ptr_nonnull(rig_find(&r->n[B], &e.orig));
	unsigned updates = r->n[B].ops[CT_OP_UPDATE], gets = r->n[B].ops[CT_OP_GET];
	old.mark = 7;
	old.has |= CT_HAS_MARK;
	old.timeout_s = 300;
	sync_sweep_begin(r->n[B].s, r->now);
	sync_on_sweep_entry(r->n[B].s, &old, r->now);
	sync_sweep_end(r->n[B].s, true, r->now);
	rig_run(r, 100 * NS_PER_MS);
	ck_assert_uint_eq(r->n[B].ops[CT_OP_UPDATE], updates);
	ck_assert_uint_eq(r->n[B].ops[CT_OP_GET], gets + 1);
	ck_assert_uint_eq(r->n[B].s->stats.repaired, 0);
	/* When it is so, the reading shows it. */
	rig_find(&r->n[B], &e.orig)->e.mark = 7;
	rig_find(&r->n[B], &e.orig)->e.has |= CT_HAS_MARK;
	r->n[B].no_sweep = false;
	rig_run(r, 3 * NS_PER_SEC);
	ck_assert_uint_eq(rig_find(&r->n[B], &e.orig)->e.mark, 0);
	ck_assert_uint_eq(r->n[B].s->stats.repaired, 1);
}
END_TEST

/* The change comes within seconds of the birth, and its event is lost: the timer does not show it. */
START_TEST(test_lost_update_soon_after_birth)
{
	struct ct_entry e = rig_flow(205, IPPROTO_UDP, true);

	rest_until_no_sweep(A);
	e.status &= ~(uint32_t)(CT_ST_SEEN_REPLY | CT_ST_ASSURED);
	e.timeout_s = 30;
	struct rig_entry *k = rig_open(r, A, &e);
	rig_run(r, 100 * NS_PER_MS);
	k->e.status |= CT_ST_SEEN_REPLY;
	r->n[A].no_sweep = false;
	sync_on_overrun(r->n[A].s, r->now);
	rig_run(r, 100 * NS_PER_MS);
	ck_assert(rig_find(&r->n[B], &e.orig)->e.status & CT_ST_SEEN_REPLY);
	ck_assert(rig_equal(r));
}
END_TEST

START_TEST(test_repairs_are_counted_once)
{
	struct ct_entry e[10];

	for (uint16_t i = 0; i < 10; i++) {
		e[i] = rig_flow((uint16_t)(300 + i), IPPROTO_TCP, i % 2 == 0);
		rig_open(r, A, &e[i]);
	}
	rig_run(r, NS_PER_SEC);
	for (unsigned i = 0; i < 10; i += 3)
		rig_remove(r, B, rig_find(&r->n[B], &e[i].orig), TOOL_PORT);
	rig_run(r, 10 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].n, 10);
	ck_assert_uint_eq(r->n[B].s->stats.repaired, 4);
	ck_assert_uint_eq(r->n[B].s->stats.lost, 4);
}
END_TEST

/* This node stood still while a part of the dump lay in its socket. */
START_TEST(test_dump_read_late_is_no_traffic)
{
	struct ct_entry e = rig_flow(206, IPPROTO_TCP, true), shown = e;

	rig_open(r, A, &e);
	rig_run(r, 4 * NS_PER_SEC); /* a sweep has passed: the lease is not fresh any more */
	rest_until_no_sweep(B);
	mono_t made = r->now;
	shown.timeout_s = rig_left(r, rig_find(&r->n[B], &e.orig));
	rig_run(r, 8 * NS_PER_SEC);
	sync_sweep_begin(r->n[B].s, r->now);
	sync_read_from(r->n[B].s, made);
	sync_on_sweep_entry(r->n[B].s, &shown, r->now);
	sync_on_sweep_entry(r->n[B].s, &shown, r->now);
	ck_assert_uint_eq(r->n[B].s->stats.claims, 0);
	sync_read_from(r->n[B].s, MONO_NEVER);
	sync_on_sweep_entry(r->n[B].s, &shown, r->now);
	ck_assert_uint_eq(r->n[B].s->stats.claims, 1);
}
END_TEST

/* The answer to a write came late: when the lease began is not known, so it is given again. */
START_TEST(test_lease_given_late_is_given_again)
{
	struct ct_entry e = rig_flow(207, IPPROTO_TCP, true);
	struct ct_op op[4];

	r->n[B].no_ops = true;
	rig_open(r, A, &e);
	rig_run(r, 50 * NS_PER_MS);
	ck_assert_uint_eq(sync_pull_ops(r->n[B].s, op, 4, r->now), 1);
	r->now = mono_add(r->now, 5 * NS_PER_SEC);
	int rc = rig_op(r, B, &op[0]);
	sync_on_op_result(r->n[B].s, op[0].cookie, rc, r->now);
	ck_assert_uint_eq(sync_pull_ops(r->n[B].s, op, 4, r->now), 1);
	ck_assert_int_eq(op[0].type, CT_OP_RENEW);
	rc = rig_op(r, B, &op[0]);
	sync_on_op_result(r->n[B].s, op[0].cookie, rc, r->now);
	r->n[B].no_ops = false;
	rig_run(r, 10 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[B].s->stats.claims, 0);
	ck_assert_uint_eq(r->n[B].ops[CT_OP_RENEW], 1);
}
END_TEST

/* The first sweep after a copy was written does not believe what it sees: it asks, and the answer counts. */
START_TEST(test_fresh_copy_is_mended_at_once)
{
	struct ct_entry e = rig_flow(60, IPPROTO_UDP, false);

	rig_open(r, A, &e);
	r->n[B].no_sweep = true;
	rig_run(r, 100 * NS_PER_MS);
	rig_find(&r->n[B], &e.orig)->e.status &= ~(uint32_t)CT_ST_ASSURED;
	rig_sweep(r, B);
	rig_run(r, 100 * NS_PER_MS);
	ck_assert_uint_ne(rig_find(&r->n[B], &e.orig)->e.status & CT_ST_ASSURED, 0);
	ck_assert_uint_eq(r->n[B].s->stats.repaired, 1);
	ck_assert_uint_eq(r->n[B].s->stats.claims, 0);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("two cores");

	tcase_add_test(t, test_overrun_behind_a_running_sweep);
	tcase_add_test(t, test_end_lost_between_two_sweeps);
	tcase_add_test(t, test_pause_after_a_sweep_with_nothing_amiss);
	tcase_add_test(t, test_pause_after_a_long_sweep);
	tcase_add_test(t, test_pause_is_short_where_something_is_amiss);
	tcase_add_test(t, test_dump_of_what_has_ended);
	tcase_add_test(t, test_dump_of_what_has_ended_on_a_standby);
	tcase_add_test(t, test_found_and_alive);
	tcase_add_test(t, test_event_behind_the_sweep);
	tcase_add_test(t, test_found_by_the_next_sweep_only);
	tcase_add_test(t, test_dump_older_than_a_copy);
	tcase_add_test(t, test_lost_update_soon_after_birth);
	tcase_add_test(t, test_repairs_are_counted_once);
	tcase_add_test(t, test_dump_read_late_is_no_traffic);
	tcase_add_test(t, test_lease_given_late_is_given_again);
	tcase_add_test(t, test_fresh_copy_is_mended_at_once);
	return rig_pair_run("sync_sweep", t, setup);
}
