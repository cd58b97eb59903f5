/* netstate: what several groups want is there as long as one of them is up. */
#include "tests/unit/netstate_world.h"

#define VIP "10.0.0.10"

static int want_tagged(uint16_t group, const char *text, uint32_t tag)
{
	struct net_addr a = at(1, text, 0);
	return netstate_want_addr(&ns, group, "va", &a.addr, a.plen, NULL, tag);
}

static int want_route(uint16_t group, const char *text)
{
	struct route r;
	char why[ROUTE_ERROR_MAX];
	ck_assert_msg(route_text_route(text, 0, NULL, &r, why), "%s: %s", text, why);
	return netstate_want_route(&ns, group, &r, group);
}

static int want_rule(uint16_t group, const char *text)
{
	struct rule r;
	char why[ROUTE_ERROR_MAX];
	ck_assert_msg(route_text_rule(text, 0, NULL, &r, why), "%s: %s", text, why);
	return netstate_want_rule(&ns, group, &r, group);
}

/* Three groups that share an address; 1 and 2 have one of their own as well. The router's own one keeps the subnet. */
static void declare_shared(void)
{
	netstate_conf_begin(&ns);
	int first = want_tagged(0, VIP "/24", 100);
	ck_assert_int_gt(first, 0);
	ck_assert_int_gt(want_tagged(1, "10.0.0.11/24", 101), 0);
	ck_assert_int_eq(want_tagged(1, VIP "/24", 101), first);
	ck_assert_int_eq(want_tagged(2, VIP "/24", 102), first);
	ck_assert_int_eq(want_tagged(2, VIP "/24", 103), first); /* the same group again says nothing new */
	ck_assert_int_eq(want_tagged(0, VIP "/24", 104), first);
	ck_assert_int_gt(want_tagged(2, "10.0.0.12/24", 102), 0);
	netstate_conf_end(&ns);
}

static void shared(void)
{
	struct net_addr own = at(va, "10.0.0.1/24", 0);
	ck_assert_int_eq(fake_rtnl_addr_add(&f, &own), 0);
	declare_shared();
	fake_rtnl_dump(&f, &ns);
	f.ev_n = 0;
	for (uint16_t g = 0; g < 3; g++)
		down(g);
	sent_add = sent_del = 0;
}

START_TEST(there_while_one_is_up)
{
	shared();
	up(0);
	ck_assert(has(va, VIP));
	up(1);
	ck_assert_uint_eq(sent_add, 2); /* it was there */
	down(0);
	ck_assert(has(va, VIP));
	ck_assert_uint_eq(sent_del, 0);
	ck_assert_int_eq(status(0).state, NET_EQUAL);
	ck_assert_int_eq(status(1).state, NET_EQUAL);
	ck_assert_uint_eq(status(1).total, 2);
	up(2);
	down(1);
	ck_assert(has(va, VIP) && !has(va, "10.0.0.11") && has(va, "10.0.0.12"));
	up(0);
	down(2);
	ck_assert(has(va, VIP));
	down(0);
	ck_assert(!has(va, VIP));
	for (uint16_t g = 0; g < 3; g++)
		ck_assert_int_eq(status(g).state, NET_EQUAL);
	struct own_entry e[8];
	ck_assert_uint_eq(netstate_own_list(&ns, e, 8), 0);
}
END_TEST

/* Every order of ups and downs ends where the groups say. */
START_TEST(every_order)
{
	shared();
	unsigned is = 0;
	for (unsigned i = 0; i < 64; i++) {
		unsigned want = i ^ i >> 1; /* one bit at a time */
		for (uint16_t g = 0; g < 3; g++)
			if ((is ^ want) >> g & 1)
				(want >> g & 1) ? up(g) : down(g);
		is = want & 7;
		ck_assert_msg(has(va, VIP) == (is != 0), "groups %x", is);
		ck_assert(has(va, "10.0.0.11") == (is >> 1 & 1) && has(va, "10.0.0.12") == (is >> 2 & 1));
	}
}
END_TEST

START_TEST(whose_operation_it_is)
{
	struct net_op op[NET_CHUNK];
	shared();
	netstate_group_set(&ns, 2, NET_UP);
	unsigned n = netstate_diff(&ns, NET_OP_ADD, now, op);
	ck_assert_uint_eq(n, 2);
	for (unsigned i = 0; i < n; i++) {
		ck_assert_uint_eq(op[i].group, 2);
		ck_assert_uint_eq(op[i].tag, 102);
	}
	/* the role goes on before the kernel has answered */
	netstate_group_set(&ns, 2, NET_DOWN);
	netstate_group_set(&ns, 1, NET_UP);
	for (unsigned i = 0; i < n; i++)
		netstate_done(&ns, &op[i], fake_rtnl_apply(&f, &ns, &op[i]), now);
	drive();
	ck_assert(has(va, VIP) && has(va, "10.0.0.11") && !has(va, "10.0.0.12"));
	struct net_addr vip = at(va, VIP "/24", 0);
	struct net_owned o;
	while (netstate_changed_owned(&ns, &o))
		;
	ck_assert_int_eq(fake_rtnl_addr_del(&f, &vip), 0);
	fake_rtnl_feed(&f, &ns);
	ck_assert(netstate_lost(&ns, &op[0]));
	ck_assert_uint_eq(op[0].tag, 101);
	drive();
	ck_assert(has(va, VIP));
}
END_TEST

/* After a restart nobody knows yet who is master: it stays until all have said that they do not want it. */
START_TEST(kept_until_all_have_spoken)
{
	shared();
	up(0);
	struct own_entry e[8];
	uint32_t n = netstate_own_list(&ns, e, 8);
	ck_assert_uint_eq(n, 1);
	netstate_free(&ns);
	ck_assert_int_eq(netstate_init(&ns, true), 0);
	netstate_own_load(&ns, e, n);
	netstate_conf_begin(&ns);
	for (uint16_t g = 0; g < 3; g++)
		ck_assert_int_gt(want_tagged(g, VIP "/24", g), 0);
	netstate_conf_end(&ns);
	fake_rtnl_dump(&f, &ns);
	down(0);
	down(2);
	ck_assert(has(va, VIP));
	down(1);
	ck_assert(!has(va, VIP));
}
END_TEST

START_TEST(static_and_of_a_group)
{
	netstate_conf_begin(&ns);
	ck_assert_int_gt(want_tagged(0, VIP "/24", 0), 0);
	ck_assert_int_gt(want_tagged(NET_STATIC, VIP "/24", 9), 0);
	netstate_conf_end(&ns);
	fake_rtnl_dump(&f, &ns);
	drive();
	ck_assert(has(va, VIP));
	up(0);
	down(0);
	ck_assert(has(va, VIP));
	netstate_end(&ns);
	drive();
	ck_assert(netstate_ended(&ns) && !has(va, VIP));
}
END_TEST

START_TEST(routes_and_rules)
{
	struct net_addr own = at(va, "10.0.0.1/24", 0);
	ck_assert_int_eq(fake_rtnl_addr_add(&f, &own), 0);
	netstate_conf_begin(&ns);
	for (uint16_t g = 0; g < 2; g++) {
		ck_assert_int_gt(want_route(g, "10.7.0.0/16 via 10.0.0.254"), 0);
		ck_assert_int_gt(want_rule(g, "from 10.7.0.0/16 lookup 100 priority 500"), 0);
	}
	netstate_conf_end(&ns);
	ck_assert_uint_eq(ns.objs.used, 2);
	ck_assert_uint_eq(ns.specs.used, 2); /* the second description is given back */
	fake_rtnl_dump(&f, &ns);
	down(0);
	up(1);
	up(0);
	ck_assert_uint_eq(sent_add, 2);
	ck_assert_uint_eq(f.n_rules, 1);
	down(1);
	ck_assert_uint_eq(f.n_rules, 1);
	ck_assert_uint_eq(sent_del, 0);
	down(0);
	ck_assert_uint_eq(f.n_rules, 0);
	ck_assert_uint_eq(sent_del, 2);
}
END_TEST

/* A reload that ends the sharing leaves it to who still wants it. */
START_TEST(declared_anew)
{
	shared();
	up(1);
	netstate_conf_begin(&ns);
	ck_assert_int_gt(want_tagged(2, VIP "/24", 0), 0);
	netstate_conf_end(&ns);
	ck_assert_uint_eq(ns.claims.used, 0);
	down(1);
	ck_assert(has(va, VIP) && !has(va, "10.0.0.11")); /* nobody has said yet that 2 is not master */
	down(2);
	ck_assert(!has(va, VIP));
	declare_shared();
	ck_assert_uint_eq(ns.claims.used, 3);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("share");
	tcase_add_test(tc, there_while_one_is_up);
	tcase_add_test(tc, every_order);
	tcase_add_test(tc, whose_operation_it_is);
	tcase_add_test(tc, kept_until_all_have_spoken);
	tcase_add_test(tc, static_and_of_a_group);
	tcase_add_test(tc, routes_and_rules);
	tcase_add_test(tc, declared_anew);
	return netstate_run("netstate_share", tc);
}
