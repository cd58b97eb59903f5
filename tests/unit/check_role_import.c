/* The role transaction and SA copies: installed beside the fence and the purge, taken back when the role is not taken. */
#include "tests/unit/role_one.h"

static unsigned count(enum role_act_type t)
{
	unsigned n = 0;
	for (unsigned i = 0; i < out.n; i++)
		n += out.a[i].type == t;
	return n;
}

/* No sessions: nothing is waited for but the copies. */
static struct role_ev wish_copies(enum role_is target, enum role_kind kind, enum role_reason reason)
{
	struct role_ev w = wish(target, kind, reason);
	w.has_sync = w.leftovers = false;
	w.copies = true;
	return w;
}

static struct role_ev said(enum role_peer_msg m, struct epoch e)
{
	struct role_ev ev = peer(m, e);
	ev.has_sync = false;
	return ev;
}

static void to_master_with_copies(void)
{
	step(wish_copies(ROLE_MASTER, ROLE_K_CRASH, ROLE_R_NO_RESPONSE));
	ck_assert(has(ROLE_ACT_IMPORT));
	step(answer(ROLE_EV_IMPORTED));
	step(answer(ROLE_EV_GARP));
	struct role_ev ev = answer(ROLE_EV_NET);
	ev.net = ROLE_NET_EQUAL;
	step(ev);
	ck_assert(r.is == ROLE_MASTER && r.state == ROLE_STABLE);
}

static void to_addresses_off(void)
{
	struct role_ev ev = answer(ROLE_EV_NET);
	ev.net = ROLE_NET_EQUAL;
	step(ev);
}

START_TEST(installed_before_the_address)
{
	to_backup();
	step(wish_copies(ROLE_MASTER, ROLE_K_CRASH, ROLE_R_NO_RESPONSE));
	ck_assert(count(ROLE_ACT_IMPORT) == 1 && !has(ROLE_ACT_ADVERT) && !has(ROLE_ACT_NET_UP));
	ck_assert_int_eq(mono_sub(role_deadline(&r), now), ROLE_IMPORT_NS);
	struct role_ev old = answer(ROLE_EV_IMPORTED);
	old.epoch.counter--;
	step(old);
	ck_assert_uint_eq(out.n, 0);
	step(answer(ROLE_EV_IMPORTED));
	ck_assert(has(ROLE_ACT_ADVERT) && has(ROLE_ACT_NET_UP));
	ck_assert_int_eq(r.rec.result[ROLE_PH_IMPORT], ROLE_RES_OK);
	ck_assert_int_eq(r.rec.outcome, ROLE_RES_OK);
	ck_assert_str_eq(role_phase_text(ROLE_PH_IMPORT), "sa-import");
}
END_TEST

START_TEST(beside_fence_and_purge)
{
	to_backup();
	struct role_ev ev = wish_copies(ROLE_MASTER, ROLE_K_CRASH, ROLE_R_NO_RESPONSE);
	ev.has_sync = ev.leftovers = true;
	step(ev);
	ck_assert(has(ROLE_ACT_FENCE) && has(ROLE_ACT_PURGE) && has(ROLE_ACT_IMPORT));
	ck_assert_int_eq(mono_sub(role_deadline(&r), now), ROLE_FENCE_NS);
	step(answer(ROLE_EV_IMPORTED));
	step(answer(ROLE_EV_FENCED));
	ck_assert_int_eq(r.state, ROLE_PREPARING);
	step(answer(ROLE_EV_PURGED));
	ck_assert(r.state == ROLE_COMMITTING && !has(ROLE_ACT_UNIMPORT));
}
END_TEST

START_TEST(nothing_to_install_is_not_waited_for)
{
	to_backup();
	struct role_ev ev = wish_copies(ROLE_MASTER, ROLE_K_CRASH, ROLE_R_NO_RESPONSE);
	ev.copies = false;
	step(ev);
	ck_assert(!has(ROLE_ACT_IMPORT) && r.state == ROLE_COMMITTING && r.rec.at[ROLE_PH_IMPORT].ns == 0);
	step(answer(ROLE_EV_IMPORTED)); /* asked by nobody */
	ck_assert(out.n == 0 && r.rec.at[ROLE_PH_IMPORT].ns == 0);
}
END_TEST

START_TEST(late_or_not_all_is_degraded)
{
	to_backup();
	step(wish_copies(ROLE_MASTER, ROLE_K_CRASH, ROLE_R_NO_RESPONSE));
	tick();
	ck_assert(r.state == ROLE_COMMITTING && r.rec.result[ROLE_PH_IMPORT] == ROLE_RES_TIMEOUT);
	ck_assert_int_eq(r.rec.outcome, ROLE_RES_DEGRADED);
	step(answer(ROLE_EV_IMPORTED));
	ck_assert(out.n == 0 && r.rec.result[ROLE_PH_IMPORT] == ROLE_RES_TIMEOUT);
	setup();
	to_backup();
	step(wish_copies(ROLE_MASTER, ROLE_K_CRASH, ROLE_R_NO_RESPONSE));
	struct role_ev ev = answer(ROLE_EV_IMPORTED);
	ev.degraded = true;
	step(ev);
	ck_assert(r.state == ROLE_COMMITTING && r.rec.result[ROLE_PH_IMPORT] == ROLE_RES_DEGRADED);
	ck_assert_int_eq(r.rec.outcome, ROLE_RES_DEGRADED);
}
END_TEST

START_TEST(planned_installs_before_it_says_prepared)
{
	to_backup();
	struct role_ev ev = wish_copies(ROLE_MASTER, ROLE_K_PLANNED, ROLE_R_PRIORITY);
	ev.leftovers = true;
	step(ev);
	ck_assert(has(ROLE_ACT_IMPORT) && has(ROLE_ACT_PURGE) && !has(ROLE_ACT_PEER_PREPARED));
	step(answer(ROLE_EV_IMPORTED));
	ck_assert(!has(ROLE_ACT_PEER_PREPARED));
	step(answer(ROLE_EV_PURGED));
	ck_assert(has(ROLE_ACT_PEER_PREPARED));
	/* The old master has died meanwhile: what is installed is not installed once more. */
	step(wish_copies(ROLE_MASTER, ROLE_K_CRASH, ROLE_R_NO_RESPONSE));
	ck_assert(!has(ROLE_ACT_IMPORT) && !has(ROLE_ACT_UNIMPORT) && r.state == ROLE_COMMITTING);

	setup();
	to_backup();
	step(wish_copies(ROLE_MASTER, ROLE_K_PLANNED, ROLE_R_PRIORITY));
	tick(); /* late: PREPARED is said all the same */
	ck_assert(has(ROLE_ACT_PEER_PREPARED) && r.rec.result[ROLE_PH_IMPORT] == ROLE_RES_TIMEOUT);
	step(said(ROLE_PEER_GO, r.epoch));
	ck_assert_int_eq(r.state, ROLE_COMMITTING);
}
END_TEST

START_TEST(taken_back_when_the_role_is_not_taken)
{
	to_backup();
	step(wish_copies(ROLE_MASTER, ROLE_K_PLANNED, ROLE_R_PRIORITY));
	step(answer(ROLE_EV_IMPORTED));
	tick(); /* no GO */
	ck_assert(r.is == ROLE_BACKUP && r.state == ROLE_STABLE);
	ck_assert(count(ROLE_ACT_UNIMPORT) == 1);
	/* Abandoned before the answer came. */
	step(wish_copies(ROLE_MASTER, ROLE_K_CRASH, ROLE_R_NO_RESPONSE));
	ck_assert(has(ROLE_ACT_IMPORT));
	step(wish_copies(ROLE_BACKUP, ROLE_K_NONE, ROLE_R_HIGHER));
	ck_assert(r.state == ROLE_STABLE && count(ROLE_ACT_UNIMPORT) == 1);
	step(wish_copies(ROLE_MASTER, ROLE_K_CRASH, ROLE_R_NO_RESPONSE));
	ck_assert_uint_eq(count(ROLE_ACT_IMPORT), 1);
}
END_TEST

START_TEST(taken_back_with_the_role_before_the_sweep)
{
	to_backup();
	to_master_with_copies();
	step(wish_copies(ROLE_BACKUP, ROLE_K_FORCED, ROLE_R_HIGHER));
	ck_assert(!has(ROLE_ACT_UNIMPORT)); /* the address is here still */
	to_addresses_off();
	ck_assert(r.is == ROLE_BACKUP && count(ROLE_ACT_UNIMPORT) == 1);
	unsigned back = 0, purge = 0;
	for (unsigned i = 0; i < out.n; i++) {
		back = out.a[i].type == ROLE_ACT_UNIMPORT ? i : back;
		purge = out.a[i].type == ROLE_ACT_PURGE ? i : purge;
	}
	ck_assert_uint_lt(back, purge);
	/* Nothing was installed: nothing is taken back. */
	step(wish_copies(ROLE_FAULT, ROLE_K_FAULT, ROLE_R_LINK));
	ck_assert(!has(ROLE_ACT_UNIMPORT));
}
END_TEST

/* A role that is given away and kept after all keeps its bridges. */
START_TEST(kept_with_the_role)
{
	to_backup();
	to_master_with_copies();
	struct epoch next = { .counter = r.epoch.counter + 1, .node = 1 };
	step(said(ROLE_PEER_PREPARED, next));
	ck_assert(has(ROLE_ACT_PEER_GO));
	tick(); /* no UP */
	ck_assert(!has(ROLE_ACT_UNIMPORT) && !has(ROLE_ACT_IMPORT));
	ck_assert(r.imported);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("core");

	tcase_add_test(t, installed_before_the_address);
	tcase_add_test(t, beside_fence_and_purge);
	tcase_add_test(t, nothing_to_install_is_not_waited_for);
	tcase_add_test(t, late_or_not_all_is_degraded);
	tcase_add_test(t, planned_installs_before_it_says_prepared);
	tcase_add_test(t, taken_back_when_the_role_is_not_taken);
	tcase_add_test(t, taken_back_with_the_role_before_the_sweep);
	tcase_add_test(t, kept_with_the_role);
	return role_one_run("role_import", t);
}
