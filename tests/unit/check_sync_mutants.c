/*
 * Deliberate bugs (daemon/base/mutant.h) that a simulated day shows only when chance wants it: for each of them a story in
 * which it cannot stay hidden, and which ends well without it. A build for coverage has no such bugs; there only the good
 * ends are looked at.
 */
#include "daemon/base/mutant.h"
#include "tests/unit/rig_pair.h"

#ifdef KT_MUTANTS
enum mutant mutant_on;
#define WITH_BUGS 1
#else
static enum mutant mutant_on;
#define WITH_BUGS 0
#endif

/* An idle flow has a copy without a gap, for as long as its owner lives. */
static bool copy_outlives_its_lease(void)
{
	struct ct_entry e = rig_flow(1, IPPROTO_TCP, true);

	rig_open(r, A, &e);
	rig_idle(r, 1000 * NS_PER_SEC);
	return rig_find(&r->n[B], &e.orig) && r->n[B].s->stats.lost == 0;
}

/* A copy that finds no room is known to both: nothing is missing that a comparison would have to show. */
static bool refused_copy_is_compared(void)
{
	struct ct_entry e = rig_flow(2, IPPROTO_UDP, false);

	r->n[B].fail = ENOMEM;
	rig_open(r, A, &e);
	rig_run(r, NS_PER_SEC);
	rig_authority(r, A, 6, true); /* all is counted anew */
	rig_run(r, 5 * NS_PER_SEC);
	ck_assert_ptr_null(rig_find(&r->n[B], &e.orig));
	return rig_equal(r) && r->n[B].s->stats.digests_differ == 0;
}

/* The flow's packets pass through B by now; that its timer ran out at A says nothing. */
static bool used_copy_outlives_its_owner(void)
{
	struct ct_entry e = rig_flow(3, IPPROTO_UDP, false);
	struct rig_entry *k = rig_open(r, A, &e);

	rig_run(r, 50 * NS_PER_MS);
	r->n[B].no_sweep = true; /* that would find the packets before */
	rig_run(r, 20 * NS_PER_SEC);
	rig_packet(r, B, &e, 120);
	rig_remove(r, A, k, 0);
	rig_run(r, 4 * NS_PER_SEC);
	ck_assert_uint_eq(r->n[A].sent[SYNC_REC_EXPIRED], 1);
	return rig_find(&r->n[B], &e.orig) != NULL;
}

static const struct story {
	enum mutant bug;
	bool (*ends_well)(void);
} stories[] = {
	{ M_NO_RENEWAL, copy_outlives_its_lease },
	{ M_DIGEST_WITHOUT_REFUSED, refused_copy_is_compared },
	{ M_EXPIRED_UNASKED, used_copy_outlives_its_owner },
};
#define STORIES (int)(sizeof(stories) / sizeof(stories[0]))

static bool told(const struct story *s, enum mutant bug)
{
	mutant_on = bug;
	rig_pair_begin();
	rig_run(r, NS_PER_SEC);
	bool well = s->ends_well();
	mutant_on = M_NONE;
	rig_free(r);
	return well;
}

START_TEST(test_ends_well)
{
	ck_assert(told(&stories[_i], M_NONE));
}
END_TEST

START_TEST(test_bug_is_seen)
{
	ck_assert(!told(&stories[_i], stories[_i].bug));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sync_mutants");
	TCase *t = tcase_create("stories");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_ends_well, 0, STORIES);
	if (WITH_BUGS)
		tcase_add_loop_test(t, test_bug_is_seen, 0, STORIES);
	suite_add_tcase(s, t);
	return unit_run(s);
}
