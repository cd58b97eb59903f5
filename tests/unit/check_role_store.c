/* The role transaction and the store: copies that PREPARE commits, in time and late. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/role.h"

static struct role r;
static struct role_acts out;
static mono_t now;

static void setup(void)
{
	role_init(&r, 0, 2);
	now = (mono_t){ NS_PER_SEC };
	memset(&out, 0, sizeof(out));
}

static bool has(enum role_act_type t)
{
	for (unsigned i = 0; i < out.n; i++)
		if (out.a[i].type == t)
			return true;
	return false;
}

static void step(struct role_ev ev)
{
	role_step(&r, &ev, now, &out);
}

static struct role_ev wish(enum role_is target, enum role_kind kind, enum role_reason reason)
{
	return (struct role_ev){ .type = ROLE_EV_WISH,
				 .target = target,
				 .kind = kind,
				 .reason = reason,
				 .detect = now,
				 .has_sync = true,
				 .has_channel = true,
				 .leftovers = true,
				 .peer_ready = true,
				 .seen = r.epoch };
}

static struct role_ev answer(enum role_ev_type t)
{
	return (struct role_ev){ .type = t, .epoch = r.epoch };
}

static struct role_ev peer(enum role_peer_msg m, struct epoch e)
{
	return (struct role_ev){ .type = ROLE_EV_PEER, .peer = m, .epoch = e, .has_sync = true, .has_channel = true };
}

static struct role_ev net(enum role_net state, int err)
{
	return (struct role_ev){ .type = ROLE_EV_NET, .epoch = r.epoch, .net = state, .err = err };
}

static void tick(void)
{
	now = mono_max(now, role_deadline(&r));
	step((struct role_ev){ .type = ROLE_EV_TICK });
}

static void to_backup(void)
{
	step(wish(ROLE_BACKUP, ROLE_K_NONE, ROLE_R_START));
	ck_assert_int_eq(r.is, ROLE_BACKUP);
}

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
	Suite *s = suite_create("role_store");
	TCase *tc = tcase_create("store");
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, store_is_committed_before_the_role);
	tcase_add_test(tc, store_late_is_degraded_until_it_is_done);
	tcase_add_test(tc, store_after_a_late_fence);
	tcase_add_test(tc, store_in_a_planned_switch);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	int bad = srunner_ntests_failed(sr);
	srunner_free(sr);
	return bad != 0;
}
