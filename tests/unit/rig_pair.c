/* Node A serves, node B stands by. */
#include "tests/unit/rig_pair.h"

struct rig *r;

static void serve(void)
{
	rig_authority(r, A, 5, true);
	rig_up(r);
}

void rig_pair_begin(void)
{
	r = rig_new();
	serve();
}

void rig_pair_begin_fenced(void)
{
	r = rig_new();
	sync_fence(r->n[A].s, (struct epoch){ 5, 1 }, r->now);
	serve();
}

void rig_pair_setup(void)
{
	rig_pair_begin();
	rig_run(r, NS_PER_SEC);
}

void rig_pair_setup_fenced(void)
{
	rig_pair_begin_fenced();
	rig_run(r, 50 * NS_PER_MS);
}

void rig_pair_teardown(void)
{
	rig_check(r->n[A].s);
	rig_check(r->n[B].s);
	rig_free(r);
}

int rig_pair_run(const char *name, TCase *t, void (*setup)(void))
{
	Suite *s = suite_create(name);

	tcase_add_checked_fixture(t, setup, rig_pair_teardown);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return unit_run(s);
}
