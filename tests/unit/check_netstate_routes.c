/* netstate: routes, rules, sources of addresses, and events that were lost. */
#include <errno.h>
#include "tests/unit/netstate_world.h"

static int want_route(uint16_t group, const char *text)
{
	struct route r;
	char why[ROUTE_ERROR_MAX];
	ck_assert_msg(route_text_route(text, 0, NULL, &r, why), "%s: %s", text, why);
	return netstate_want_route(&ns, group, &r, 3);
}

static int want_rule(uint16_t group, const char *text)
{
	struct rule r;
	char why[ROUTE_ERROR_MAX];
	ck_assert_msg(route_text_rule(text, 0, NULL, &r, why), "%s: %s", text, why);
	return netstate_want_rule(&ns, group, &r, 3);
}

static void declare_routes(const char *first)
{
	netstate_conf_begin(&ns);
	ck_assert_int_gt(want(0, "va", "10.0.0.10/24"), 0);
	ck_assert_int_gt(want_route(0, first), 0);
	ck_assert_int_gt(want_route(0, "10.8.0.0/16 via 10.0.0.254 src 10.0.0.10"), 0);
	ck_assert_int_gt(want_route(0, "blackhole 10.9.0.0/16 table 100"), 0);
	ck_assert_int_gt(want_rule(0, "from 10.7.0.0/16 lookup 100 priority 500"), 0);
	ck_assert_int_gt(want_route(NET_STATIC, "2001:db8:7::/48 via fe80::99 dev vb"), 0);
	netstate_conf_end(&ns);
}

static void routes_started(void)
{
	struct net_addr own = at(va, "10.0.0.1/24", 0); /* without it all IPv4 routes of the link would go with ours */
	ck_assert_int_eq(fake_rtnl_addr_add(&f, &own), 0);
	declare_routes("10.7.0.0/16 via 10.0.0.254");
	fake_rtnl_dump(&f, &ns);
	f.ev_n = 0;
}

static unsigned our_routes(void)
{
	unsigned n = f.n_rules;
	for (unsigned i = 0; i < f.n_routes; i++)
		n += f.route[i].proto == NET_MARK;
	return n;
}

static unsigned lost(void)
{
	struct net_op op;
	unsigned n = 0;
	while (netstate_lost(&ns, &op))
		n++;
	return n;
}

static void tell_owned(void)
{
	struct net_owned o;
	while (netstate_changed_owned(&ns, &o))
		;
}

START_TEST(test_routes_up_and_down)
{
	struct net_op op[NET_CHUNK];
	routes_started();
	netstate_group_set(&ns, 0, NET_UP);
	unsigned n = netstate_diff(&ns, NET_OP_ADD, now, op);
	ck_assert_uint_eq(n, 6);
	/* static first; then by rank: the address before the routes that need it, rules last */
	ck_assert_int_eq(op[0].what, NET_ROUTE);
	ck_assert_int_eq(op[1].what, NET_ADDR);
	for (unsigned i = 2; i < 5; i++)
		ck_assert_int_eq(op[i].what, NET_ROUTE);
	ck_assert_int_eq(op[5].what, NET_RULE);
	for (unsigned i = 0; i < n; i++)
		netstate_done(&ns, &op[i], fake_rtnl_apply(&f, &ns, &op[i]), now);
	drive();
	ck_assert_int_eq(status(0).state, NET_EQUAL);
	ck_assert_uint_eq(our_routes(), 5);
	ck_assert_int_eq(status(NET_STATIC).state, NET_EQUAL);
	struct own_entry e[16];
	ck_assert_uint_eq(netstate_own_list(&ns, e, 16), 6);
	netstate_group_set(&ns, 0, NET_DOWN);
	n = netstate_diff(&ns, NET_OP_DEL, now, op);
	ck_assert_uint_eq(n, 5);
	ck_assert_int_eq(op[0].what, NET_RULE);
	ck_assert_int_eq(op[4].what, NET_ADDR);
	for (unsigned i = 0; i < n; i++)
		netstate_done(&ns, &op[i], fake_rtnl_apply(&f, &ns, &op[i]), now);
	drive();
	ck_assert_uint_eq(our_routes(), 1); /* what is static stays */
	ck_assert_int_eq(status(0).state, NET_EQUAL);
	netstate_end(&ns);
	ck_assert(!netstate_ended(&ns));
	drive();
	ck_assert(netstate_ended(&ns));
	ck_assert_uint_eq(our_routes(), 0);
	ck_assert_uint_eq(netstate_own_list(&ns, e, 16), 0);
}
END_TEST

START_TEST(test_routes_die_silently)
{
	routes_started();
	up(0);
	tell_owned();
	ck_assert_uint_eq(our_routes(), 5);
	fake_rtnl_link_up(&f, va, false);
	drive();
	ck_assert_uint_eq(our_routes(), 3);
	ck_assert_int_eq(status(0).state, NET_LINK_DOWN);
	fake_rtnl_link_up(&f, va, true);
	drive();
	ck_assert_uint_eq(our_routes(), 5);
	ck_assert_int_eq(status(0).state, NET_EQUAL);
	ck_assert_uint_eq(lost(), 0); /* nobody took them */
	fake_rtnl_link_up(&f, vb, false);
	fake_rtnl_link_up(&f, vb, true);
	drive();
	ck_assert_int_eq(status(NET_STATIC).state, NET_EQUAL);
}
END_TEST

START_TEST(test_routes_taken_away)
{
	routes_started();
	up(0);
	tell_owned();
	struct rtnl_route gone = f.route[0];
	ck_assert_int_eq(fake_rtnl_route_del(&f, &gone), 0);
	struct rtnl_rule rule = f.rule[0];
	ck_assert_int_eq(fake_rtnl_rule_del(&f, &rule), 0);
	struct net_addr vip = at(va, "10.0.0.10/24", 0);
	ck_assert_int_eq(fake_rtnl_addr_del(&f, &vip), 0);
	drive();
	ck_assert_uint_eq(our_routes(), 5);
	ck_assert_int_eq(status(0).state, NET_EQUAL);
	ck_assert_uint_eq(lost(), 3); /* the route whose source the address was died by itself */
	ck_assert_uint_eq(ns.count.lost, 3);
	/* somebody else's in its place, and without an event that could be seen: the list tells */
	for (unsigned i = 0; i < f.n_routes; i++)
		if (f.route[i].r.dst.b[1] == 7)
			f.route[i].proto = 99;
	ns.routes_wanted = true;
	drive();
	ck_assert_int_eq(status(0).state, NET_EQUAL);
	ck_assert_uint_eq(status(0).foreign, 1);
	ck_assert_uint_eq(our_routes(), 4);
	down(0);
	ck_assert_uint_eq(f.n_routes, 2); /* static, and theirs */
	up(0);
	ck_assert_uint_eq(status(0).foreign, 1);
	for (unsigned i = 0; i < f.n_routes; i++)
		if (f.route[i].proto == 99) {
			gone = f.route[i];
			ck_assert_int_eq(fake_rtnl_route_del(&f, &gone), 0);
		}
	later(NET_RETRY_MAX_NS);
	ck_assert_uint_eq(status(0).foreign, 0);
	ck_assert_uint_eq(our_routes(), 5);
}
END_TEST

START_TEST(test_route_changed)
{
	routes_started();
	up(0);
	/* another way in the same place: the old one has to go first */
	declare_routes("10.7.0.0/16 via 10.0.0.253");
	netstate_group_set(&ns, 0, NET_UP);
	drive();
	later(NET_RETRY_MIN_NS);
	later(NET_TICK_NS);
	ck_assert_int_eq(status(0).state, NET_EQUAL);
	ck_assert_uint_eq(our_routes(), 5);
	unsigned right = 0;
	for (unsigned i = 0; i < f.n_routes; i++)
		right += f.route[i].r.hop[0].via.b[3] == 253;
	ck_assert_uint_eq(right, 1);
	/* a refusal is kept and tried again */
	declare_routes("10.7.0.0/16 via 10.99.0.1");
	netstate_group_set(&ns, 0, NET_UP);
	drive();
	ck_assert_int_eq(status(0).state, NET_PARTIAL);
	ck_assert_int_eq(status(0).err, ENETUNREACH);
	char text[NET_NAME_MAX];
	ck_assert_str_eq(netstate_obj_name(&ns, status(0).obj, text), "route 10.7.0.0/16 via 10.99.0.1 scope 0");
}
END_TEST

/* A process that was killed: its file names routes and rules, the list says which are still there. */
START_TEST(test_route_leftovers)
{
	struct own_entry e[16];
	routes_started();
	up(0);
	uint32_t n = netstate_own_list(&ns, e, 16);
	netstate_free(&ns);
	ck_assert_int_eq(netstate_init(&ns, true), 0);
	netstate_own_load(&ns, e, n);
	netstate_conf_begin(&ns);
	ck_assert_int_gt(want_route(0, "10.8.0.0/16 via 10.0.0.254 src 10.0.0.10"), 0);
	netstate_conf_end(&ns);
	fake_rtnl_dump(&f, &ns);
	fake_rtnl_list(&f, &ns); /* after the links, by whose numbers routes are told apart */
	f.ev_n = 0;
	ck_assert_uint_eq(netstate_leftovers(&ns, 0), 1);
	drive();
	ck_assert_uint_eq(our_routes(), 0); /* with the source address, that is no longer configured, goes the route */
	up(0);
	ck_assert_int_eq(status(0).state, NET_PARTIAL);
}
END_TEST

START_TEST(test_declare_again)
{
	started();
	up(0);
	up(1);
	netstate_conf_begin(&ns);
	ck_assert_int_gt(want(0, "vb", "10.1.0.10/24"), 0); /* moves to another group number */
	ck_assert_int_gt(want(1, "va", "10.0.0.10/24"), 0);
	netstate_conf_end(&ns);
	netstate_group_set(&ns, 0, NET_UP);
	netstate_group_set(&ns, 1, NET_UP);
	drive();
	ck_assert(has(vb, "10.1.0.10") && has(va, "10.0.0.10"));
	ck_assert_int_eq(status(0).state, NET_EQUAL);
	ck_assert_int_eq(status(1).state, NET_EQUAL);
	ck_assert_uint_eq(f.n_addrs, 2); /* the others are gone */
	later(2 * NET_TICK_NS);
	struct net_owned o;
	while (netstate_changed_owned(&ns, &o))
		;
	later(2 * NET_TICK_NS);
	ck_assert_uint_eq(ns.objs.used, 2); /* and forgotten */
	netstate_conf_begin(&ns);
	ck_assert_int_gt(want(0, "va", "10.0.0.10/24"), 0);
	ck_assert_int_eq(want(0, "", "10.0.0.10/24"), -EINVAL);
	struct addr a = ip("10.0.0.1");
	ck_assert_int_eq(netstate_want_addr(&ns, 0, "va", &a, 33, NULL, 0), -EINVAL);
	ck_assert_int_eq(netstate_want_addr(&ns, 0, "va", &a, 0, NULL, 0), -EINVAL);
	ck_assert_int_eq(netstate_want_addr(&ns, NET_STATIC + 1, "va", &a, 24, NULL, 0), -EINVAL);
	ck_assert_int_eq(netstate_want_addr(&ns, 0, "va", &(struct addr){ 0 }, 24, NULL, 0), -EINVAL);
	netstate_conf_end(&ns);
}
END_TEST

START_TEST(test_source_address)
{
	struct addr src;
	struct net_addr ll = at(va, "fe80::1/64", 0), v4 = at(va, "10.0.0.1/24", 0);
	started();
	up(0);
	ck_assert(!netstate_source(&ns, va, ADDR_V4, &src)); /* only our own VIPs: no */
	ck_assert(!netstate_source(&ns, va, ADDR_V6, &src));
	ck_assert(!netstate_source(&ns, 99, ADDR_V4, &src));
	fake_rtnl_addr_add(&f, &v4); /* after the VIP: secondary, and still the best there is */
	fake_rtnl_addr_add(&f, &ll);
	drive();
	ck_assert(netstate_source(&ns, va, ADDR_V4, &src) && addr_eq(&src, &v4.addr));
	ck_assert(netstate_source(&ns, va, ADDR_V6, &src) && addr_eq(&src, &ll.addr));
	/* tentative or duplicate: not usable */
	ll.flags = NET_A_TENTATIVE;
	netstate_addr_set(&ns, &ll);
	ck_assert(!netstate_source(&ns, va, ADDR_V6, &src));
	ll.flags = NET_A_DADFAILED;
	netstate_addr_set(&ns, &ll);
	ck_assert(!netstate_source(&ns, va, ADDR_V6, &src));
	/* a primary address wins */
	struct net_addr other = at(va, "192.0.2.1/24", 0);
	fake_rtnl_addr_add(&f, &other);
	drive();
	ck_assert(netstate_source(&ns, va, ADDR_V4, &src) && addr_eq(&src, &other.addr));
	struct net_link l;
	while (netstate_changed_link(&ns, &l))
		;
	fake_rtnl_addr_del(&f, &other);
	drive();
	ck_assert(netstate_changed_link(&ns, &l) && l.index == va); /* the source may be another one now */
	down(0);
	ck_assert(!netstate_changed_link(&ns, &l) || l.index == va);
	ck_assert(netstate_is_local(&ns, &v4.addr) == has(va, "10.0.0.1"));
	ck_assert(!netstate_is_local(&ns, &other.addr));
}
END_TEST

/* A source by name, and one that a given router can be reached from. */
START_TEST(test_source_by_choice)
{
	struct net_addr v4 = at(va, "192.0.2.1/24", 0), second = at(va, "198.51.100.1/24", 0);
	struct net_addr ll = at(va, "fe80::1/64", 0), v6 = at(va, "2001:db8:7::1/64", 0);
	struct addr src, near4, near6, far, vip;
	ck_assert(addr_parse("198.51.100.9", &near4) && addr_parse("2001:db8:7::9", &near6));
	ck_assert(addr_parse("203.0.113.200", &far));
	started();
	up(0);
	ck_assert(!netstate_may_send(&ns, va, &v4.addr));
	ck_assert(!netstate_may_send(&ns, 99, &v4.addr));
	ck_assert(!netstate_source_near(&ns, va, &near4, &src));
	ck_assert(!netstate_source_near(&ns, 99, &near4, &src));
	fake_rtnl_addr_add(&f, &v4);
	fake_rtnl_addr_add(&f, &second);
	fake_rtnl_addr_add(&f, &ll);
	fake_rtnl_addr_add(&f, &v6);
	drive();
	ck_assert(netstate_may_send(&ns, va, &v4.addr) && netstate_may_send(&ns, va, &v6.addr));
	ck_assert(!netstate_may_send(&ns, va, &near4));
	/* what is ours moves with the role and is no source */
	unsigned n_own = 0;
	struct net_addr one;
	for (uint32_t it = 0; netstate_addr_next(&ns, &it, &one);) {
		if (one.ifindex != va || one.proto != NET_MARK)
			continue;
		n_own++;
		vip = one.addr;
		ck_assert(!netstate_may_send(&ns, va, &vip));
	}
	ck_assert_uint_gt(n_own, 0);
	ck_assert(netstate_source_near(&ns, va, &near4, &src) && addr_eq(&src, &second.addr));
	ck_assert(netstate_source_near(&ns, va, &near6, &src) && addr_eq(&src, &v6.addr));
	ck_assert(!netstate_source_near(&ns, va, &far, &src));
	v6.flags = NET_A_TENTATIVE;
	netstate_addr_set(&ns, &v6);
	ck_assert(!netstate_may_send(&ns, va, &v6.addr));
	ck_assert(!netstate_source_near(&ns, va, &near6, &src));
	v6.flags = 0;
	netstate_addr_set(&ns, &v6);
	ck_assert(netstate_may_send(&ns, va, &v6.addr));
}
END_TEST

START_TEST(test_overrun)
{
	started();
	up(0);
	f.ev_limit = 1;
	fake_rtnl_link_del(&f, va);
	int back = fake_rtnl_link_add(&f, "va", 0);
	fake_rtnl_link_up(&f, back, true);
	ck_assert(f.lost);
	f.ev_limit = FAKE_EVENTS;
	drive();
	ck_assert_int_eq(status(0).state, NET_EQUAL);
	ck_assert(has(back, "10.0.0.10") && has(back, "2001:db8::10"));
	ck_assert_ptr_null(netstate_link(&ns, va));
	/* an address of a link we never heard of: ask for everything */
	struct net_addr stray = at(4711, "10.9.0.1/24", 0);
	netstate_addr_set(&ns, &stray);
	ck_assert(netstate_dump_wanted(&ns));
	netstate_addr_gone(&ns, &stray);
	netstate_link_gone(&ns, 4711);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("routes");
	tcase_add_test(tc, test_routes_up_and_down);
	tcase_add_test(tc, test_routes_die_silently);
	tcase_add_test(tc, test_routes_taken_away);
	tcase_add_test(tc, test_route_changed);
	tcase_add_test(tc, test_route_leftovers);
	tcase_add_test(tc, test_declare_again);
	tcase_add_test(tc, test_source_address);
	tcase_add_test(tc, test_source_by_choice);
	tcase_add_test(tc, test_overrun);
	return netstate_run("netstate_routes", tc);
}
