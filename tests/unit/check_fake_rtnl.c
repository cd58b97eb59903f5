/* The fake kernel passes the script that the real one passes (tests/netns/rtnl_script_real.c), and its own extras. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include "tests/sim/fake_rtnl.h"
#include "tests/sim/rtnl_script.h"
#include "tests/unit/run.h"

static struct fake_rtnl f;

static int run_step(void *arg, const struct netstate *model, const struct script_step *s, int index,
		    const struct net_addr *parsed)
{
	struct rtnl_route r;
	struct rtnl_rule l;
	struct net_addr a = *parsed;
	(void)arg;
	switch (s->kind) {
	case STEP_PAIR: {
		int peer = fake_rtnl_link_add(&f, s->arg, 0);
		int rc = fake_rtnl_link_add(&f, s->link, peer);
		return rc < 0 ? rc : 0;
	}
	case STEP_LINK_DEL:
		return fake_rtnl_link_del(&f, index);
	case STEP_UP:
	case STEP_DOWN:
		return fake_rtnl_link_up(&f, index, s->kind == STEP_UP);
	case STEP_RENAME:
		return fake_rtnl_link_rename(&f, index, s->arg);
	case STEP_ADD:
	case STEP_DEL: {
		struct net_op op = { .kind = s->kind == STEP_ADD ? NET_OP_ADD : NET_OP_DEL,
				     .ifindex = index,
				     .addr = a.addr,
				     .plen = a.plen };
		return fake_rtnl_op(&f, &op);
	}
	case STEP_FOREIGN:
		return fake_rtnl_addr_add(&f, &a);
	case STEP_REPLACE:
		return fake_rtnl_addr_replace(&f, &a);
	case STEP_ROUTE_ADD:
	case STEP_ROUTE_FOREIGN:
		return script_route(s, model, &r) ? fake_rtnl_route_add(&f, &r) : -EINVAL;
	case STEP_ROUTE_DEL:
	case STEP_ROUTE_FOREIGN_DEL:
		return script_route(s, model, &r) ? fake_rtnl_route_del(&f, &r) : -EINVAL;
	case STEP_RULE_ADD:
		return script_rule(s, &l) ? fake_rtnl_rule_add(&f, &l) : -EINVAL;
	case STEP_RULE_DEL:
		return script_rule(s, &l) ? fake_rtnl_rule_del(&f, &l) : -EINVAL;
	}
	return -EINVAL;
}

static void feed(void *arg, struct netstate *ns)
{
	(void)arg;
	fake_rtnl_feed(&f, ns);
	if (netstate_routes_wanted(ns))
		fake_rtnl_list(&f, ns);
}

START_TEST(test_script)
{
	struct netstate ns;
	struct script_backend b = { .run = run_step, .feed = feed };
	ck_assert_int_eq(netstate_init(&ns, true), 0);
	fake_rtnl_init(&f);
	fake_rtnl_dump(&f, &ns);
	ck_assert_uint_ge(script_len, 40);
	ck_assert_uint_eq(script_run(&b, &ns), 0);
	netstate_free(&ns);
}
END_TEST

/* The script must be able to fail: a kernel that promotes secondaries differs from it. */
START_TEST(test_script_tells_differences)
{
	struct netstate ns;
	struct script_backend b = { .run = run_step, .feed = feed };
	ck_assert_int_eq(netstate_init(&ns, true), 0);
	fake_rtnl_init(&f);
	f.promote_secondaries = true;
	fake_rtnl_dump(&f, &ns);
	ck_assert_uint_gt(script_run(&b, &ns), 0);
	netstate_free(&ns);
}
END_TEST

START_TEST(test_overrun_and_refusal)
{
	struct netstate ns;
	struct net_addr a = { .plen = 24, .addr = addr_v4(10, 0, 0, 1) };
	ck_assert_int_eq(netstate_init(&ns, true), 0);
	fake_rtnl_init(&f);
	f.ev_limit = 2;
	a.ifindex = fake_rtnl_link_add(&f, "va", 0);
	fake_rtnl_refuse(&f, &a.addr, EPERM, 1);
	ck_assert_int_eq(fake_rtnl_addr_add(&f, &a), -EPERM);
	ck_assert_int_eq(fake_rtnl_addr_add(&f, &a), 0);
	ck_assert_int_eq(fake_rtnl_link_up(&f, a.ifindex, true), 0);
	ck_assert(f.lost);
	fake_rtnl_feed(&f, &ns);
	ck_assert(ns.synced); /* by the dump that the overrun caused */
	ck_assert(netstate_link(&ns, a.ifindex)->up);
	ck_assert(netstate_is_local(&ns, &a.addr));
	netstate_free(&ns);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fake_rtnl");
	TCase *t = tcase_create("script");
	tcase_add_test(t, test_script);
	tcase_add_test(t, test_script_tells_differences);
	tcase_add_test(t, test_overrun_and_refusal);
	suite_add_tcase(s, t);
	return unit_run(s);
}
