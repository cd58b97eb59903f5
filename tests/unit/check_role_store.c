/* The role transaction and the store: copies that PREPARE commits, in time and late. */
#include "tests/unit/role_one.h"

/* The copies of a store are waited for after the fence, and for 50 ms more. */
START_TEST(store_is_committed_before_the_role)
{
	to_backup();
	step(wish(ROLE_MASTER, ROLE_K_CRASH, ROLE_R_NO_RESPONSE));
	step(answer(ROLE_EV_PURGED));
	struct role_ev fenced = answer(ROLE_EV_FENCED);
	fenced.storing = true;
	step(fenced);
	ck_assert_uint_eq(out.n, 0);
	ck_assert_int_eq(r.state, ROLE_PREPARING);
	ck_assert_int_eq(mono_sub(role_deadline(&r), now), ROLE_STORE_NS);
	struct role_ev old = answer(ROLE_EV_STORED);
	old.epoch.counter--;
	step(old);
	ck_assert_uint_eq(out.n, 0);
	step(answer(ROLE_EV_STORED));
	ck_assert(has(ROLE_ACT_ADVERT) && has(ROLE_ACT_NET_UP));
	ck_assert_int_eq(r.rec.result[ROLE_PH_STORE], ROLE_RES_OK);
	ck_assert_int_eq(r.rec.outcome, ROLE_RES_OK);
	ck_assert(!r.storing);
	step(answer(ROLE_EV_STORED)); /* once more says nothing */
	ck_assert_uint_eq(out.n, 0);
}
END_TEST

/* Nothing is left to wait for when SYNC answers: it was written within the fence, and the timeline shows that it was. */
START_TEST(store_is_committed_within_the_fence)
{
	for (unsigned had = 0; had < 2; had++) {
		setup();
		to_backup();
		struct role_ev w = wish(ROLE_MASTER, ROLE_K_CRASH, ROLE_R_NO_RESPONSE);
		w.stored = had != 0;
		w.leftovers = false;
		step(w);
		step(answer(ROLE_EV_FENCED));
		ck_assert_int_eq(r.state, ROLE_COMMITTING);
		ck_assert_int_eq(r.rec.at[ROLE_PH_STORE].ns, had ? now.ns : 0);
		ck_assert_int_eq(r.rec.outcome, ROLE_RES_OK);
	}
}
END_TEST

/* Too slow: the role comes degraded, the rest is written behind it, and then nothing is degraded any more. */
START_TEST(store_late_is_degraded_until_it_is_done)
{
	to_backup();
	step(wish(ROLE_MASTER, ROLE_K_CRASH, ROLE_R_NO_RESPONSE));
	step(answer(ROLE_EV_PURGED));
	struct role_ev fenced = answer(ROLE_EV_FENCED);
	fenced.storing = true;
	step(fenced);
	tick();
	ck_assert_int_eq(r.state, ROLE_COMMITTING);
	ck_assert(has(ROLE_ACT_ADVERT) && r.storing);
	ck_assert_int_eq(r.rec.result[ROLE_PH_STORE], ROLE_RES_TIMEOUT);
	step(answer(ROLE_EV_GARP));
	step(net(ROLE_NET_EQUAL, 0));
	ck_assert_int_eq(out.rec[0].outcome, ROLE_RES_DEGRADED);
	ck_assert(r.storing);
	now = mono_add(now, 300 * NS_PER_MS);
	step(answer(ROLE_EV_STORED));
	ck_assert(!r.storing && has(ROLE_ACT_JOURNAL));
	ck_assert_int_eq(mono_sub(out.rec[0].at[ROLE_PH_STORE], now), 0);
}
END_TEST

/* A fence that does not answer takes 20 ms; copies that are known to wait get their 50 ms all the same: 70 in all. */
START_TEST(store_after_a_late_fence)
{
	to_backup();
	struct role_ev w = wish(ROLE_MASTER, ROLE_K_CRASH, ROLE_R_NO_RESPONSE);
	w.stored = true;
	w.leftovers = false;
	mono_t begin = now;
	step(w);
	tick();
	ck_assert_int_eq(r.state, ROLE_PREPARING);
	ck_assert_uint_eq(out.n, 0);
	tick();
	ck_assert_int_eq(r.state, ROLE_COMMITTING);
	ck_assert_int_eq(mono_sub(now, begin), ROLE_FENCE_NS + ROLE_STORE_NS);
	ck_assert_int_eq(r.rec.result[ROLE_PH_FENCE], ROLE_RES_TIMEOUT);
	ck_assert_int_eq(r.rec.result[ROLE_PH_STORE], ROLE_RES_TIMEOUT);
}
END_TEST

/* A planned switch: the old master speaks on until the store is in the kernel. */
START_TEST(store_in_a_planned_switch)
{
	to_backup();
	struct role_ev w = wish(ROLE_MASTER, ROLE_K_PLANNED, ROLE_R_OPERATOR);
	w.leftovers = false;
	step(w);
	struct role_ev go = peer(ROLE_PEER_GO, r.epoch);
	go.seq = 9;
	step(go);
	struct role_ev applied = answer(ROLE_EV_APPLIED);
	applied.storing = true;
	step(applied);
	ck_assert_uint_eq(out.n, 0);
	step(answer(ROLE_EV_STORED));
	ck_assert(has(ROLE_ACT_ADVERT));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("store");

	tcase_add_test(tc, store_is_committed_before_the_role);
	tcase_add_test(tc, store_is_committed_within_the_fence);
	tcase_add_test(tc, store_late_is_degraded_until_it_is_done);
	tcase_add_test(tc, store_after_a_late_fence);
	tcase_add_test(tc, store_in_a_planned_switch);
	return role_one_run("role_store", tc);
}
