/* netstate against the imagined kernel: every way the two can come to differ, and back. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "tests/unit/netstate_world.h"

START_TEST(test_up_and_down)
{
	struct net_op op[NET_CHUNK];
	declare();
	netstate_group_set(&ns, 0, NET_UP);
	ck_assert_uint_eq(netstate_diff(&ns, NET_OP_ADD, now, op), 0); /* nothing before the first dump */
	ck_assert_int_eq(status(0).state, NET_PENDING);
	fake_rtnl_dump(&f, &ns);
	ck_assert_int_eq(status(0).state, NET_PENDING);
	drive();
	ck_assert_int_eq(status(0).state, NET_EQUAL);
	ck_assert_uint_eq(status(0).present, 4);
	ck_assert_uint_eq(sent_add, 4);
	ck_assert(!has(vb, "10.1.0.10"));
	struct net_addr a;
	uint32_t iter = 0;
	unsigned n = 0;
	while (netstate_addr_next(&ns, &iter, &a)) {
		ck_assert_uint_eq(a.proto, NET_MARK);
		ck_assert(a.addr.af == ADDR_V4 || (a.flags & NET_A_NODAD));
		n++;
	}
	ck_assert_uint_eq(n, 4);
	down(0);
	ck_assert_int_eq(status(0).state, NET_EQUAL);
	ck_assert_uint_eq(f.n_addrs, 0);
	ck_assert_uint_eq(sent_add, 4);
	ck_assert_uint_le(sent_del, 4); /* a secondary may have gone with its primary */
	down(0);
	later(60 * NS_PER_SEC);
	ck_assert_uint_le(sent_del, 4);
	ck_assert_uint_eq(ns.count.refused, 0);
}
END_TEST

START_TEST(test_chunks_in_flight)
{
	enum { N = 2 * NET_CHUNK + 20, WORKS = NET_CHUNK + 10 };
	struct net_op op[4][NET_CHUNK];
	netstate_conf_begin(&ns);
	for (unsigned i = 0; i < N; i++) {
		struct addr a = addr_v4(10, 0, 1, (uint8_t)i);
		ck_assert_int_gt(netstate_want_addr(&ns, 3, "va", &a, 32, NULL, i), 0);
	}
	netstate_conf_end(&ns);
	fake_rtnl_dump(&f, &ns);
	netstate_group_set(&ns, 3, NET_UP);
	ck_assert_uint_eq(netstate_diff(&ns, NET_OP_ADD, now, op[0]), NET_CHUNK);
	ck_assert_uint_eq(netstate_diff(&ns, NET_OP_ADD, now, op[1]), NET_CHUNK);
	ck_assert_uint_eq(netstate_diff(&ns, NET_OP_ADD, now, op[2]), 20);
	ck_assert_uint_eq(netstate_diff(&ns, NET_OP_ADD, now, op[3]), 0);
	for (unsigned i = 0; i < N; i++)
		ck_assert_uint_eq(op[i / NET_CHUNK][i % NET_CHUNK].tag, i); /* in the order of declaration */
	netstate_tick(&ns, mono_add(now, 20 * NS_PER_SEC));
	ck_assert_uint_eq(netstate_diff(&ns, NET_OP_ADD, mono_add(now, 20 * NS_PER_SEC), op[3]), 0);
	/* undo while everything is in flight: nothing is deleted before its result is known */
	netstate_group_set(&ns, 3, NET_DOWN);
	ck_assert_uint_eq(netstate_diff(&ns, NET_OP_DEL, now, op[3]), 0);
	ck_assert_int_eq(status(3).state, NET_PENDING);
	for (unsigned i = 0; i < N; i++)
		netstate_done(&ns, &op[i / NET_CHUNK][i % NET_CHUNK],
			      i < WORKS ? fake_rtnl_op(&f, &op[i / NET_CHUNK][i % NET_CHUNK]) : -EPERM, now);
	drive();
	ck_assert_int_eq(status(3).state, NET_EQUAL);
	ck_assert_uint_eq(f.n_addrs, 0);
	ck_assert_uint_eq(sent_del, WORKS);
	/* a result that comes twice changes nothing */
	netstate_done(&ns, &op[0][0], 0, now);
	ck_assert_uint_eq(ns.count.late_results, 1);
}
END_TEST

START_TEST(test_result_and_event_in_any_order)
{
	struct net_op op[NET_CHUNK];
	started();
	netstate_group_set(&ns, 1, NET_UP);
	/* event first */
	ck_assert_uint_eq(netstate_diff(&ns, NET_OP_ADD, now, op), 1);
	int rc = fake_rtnl_op(&f, &op[0]);
	fake_rtnl_feed(&f, &ns);
	netstate_done(&ns, &op[0], rc, now);
	ck_assert_int_eq(status(1).state, NET_EQUAL);
	netstate_group_set(&ns, 1, NET_DOWN);
	/* result first: not sent again while the event is awaited */
	ck_assert_uint_eq(netstate_diff(&ns, NET_OP_DEL, now, op), 1);
	netstate_done(&ns, &op[0], fake_rtnl_op(&f, &op[0]), now);
	ck_assert_uint_eq(netstate_diff(&ns, NET_OP_DEL, now, op), 0);
	ck_assert_int_eq(status(1).state, NET_PENDING);
	fake_rtnl_feed(&f, &ns);
	ck_assert_int_eq(status(1).state, NET_EQUAL);
	/* the event never comes: a dump is asked for, and settles it */
	netstate_group_set(&ns, 1, NET_UP);
	ck_assert_uint_eq(netstate_diff(&ns, NET_OP_ADD, now, op), 1);
	netstate_done(&ns, &op[0], fake_rtnl_op(&f, &op[0]), now);
	f.ev_n = 0;
	ck_assert(!netstate_dump_wanted(&ns));
	now = mono_add(now, NET_ECHO_NS);
	ck_assert(mono_due(netstate_deadline(&ns), now));
	netstate_tick(&ns, now);
	ck_assert_uint_eq(netstate_diff(&ns, NET_OP_ADD, now, op), 0);
	ck_assert(netstate_dump_wanted(&ns));
	ck_assert(!netstate_dump_wanted(&ns));
	fake_rtnl_dump(&f, &ns);
	ck_assert_int_eq(status(1).state, NET_EQUAL);
	/* somebody deleted it between our operation and its result */
	struct net_addr gone = at(vb, "10.1.0.10/24", 0);
	ck_assert_int_eq(fake_rtnl_addr_del(&f, &gone), 0);
	fake_rtnl_feed(&f, &ns);
	ck_assert_uint_eq(netstate_diff(&ns, NET_OP_ADD, now, op), 1);
	rc = fake_rtnl_op(&f, &op[0]);
	ck_assert_int_eq(fake_rtnl_addr_del(&f, &gone), 0);
	fake_rtnl_feed(&f, &ns);
	netstate_done(&ns, &op[0], rc, now);
	drive();
	ck_assert_int_eq(status(1).state, NET_EQUAL);
	ck_assert(has(vb, "10.1.0.10"));
}
END_TEST

START_TEST(test_foreign_is_never_deleted)
{
	struct net_addr own = at(va, "10.0.0.10/24", 0);
	fake_rtnl_addr_add(&f, &own); /* unmarked: an administrator's */
	started();
	up(0);
	struct net_status st = status(0);
	ck_assert_int_eq(st.state, NET_EQUAL);
	ck_assert_uint_eq(st.foreign, 1);
	ck_assert(addr_eq(&st.addr, &own.addr));
	ck_assert_int_eq(st.err, EEXIST);
	ck_assert_str_eq(st.ifname, "va");
	down(0);
	ck_assert(has(va, "10.0.0.10"));
	ck_assert_uint_eq(f.n_addrs, 1);
	ck_assert_int_eq(status(0).state, NET_EQUAL);
	ck_assert_uint_eq(status(0).foreign, 1);
}
END_TEST

/* It appears between our look and our message: EEXIST, and it stays foreign. */
START_TEST(test_foreign_race)
{
	struct net_op op[NET_CHUNK];
	struct net_addr own = at(vb, "10.1.0.10/24", 0);
	started();
	netstate_group_set(&ns, 1, NET_UP);
	ck_assert_uint_eq(netstate_diff(&ns, NET_OP_ADD, now, op), 1);
	ck_assert_int_eq(fake_rtnl_addr_add(&f, &own), 0);
	int rc = fake_rtnl_op(&f, &op[0]);
	ck_assert_int_eq(rc, -EEXIST);
	fake_rtnl_feed(&f, &ns);
	netstate_done(&ns, &op[0], rc, now);
	ck_assert_int_eq(status(1).state, NET_EQUAL);
	ck_assert_uint_eq(status(1).foreign, 1);
	ck_assert_uint_eq(ns.count.foreign_seen, 1);
	/* the same without the event: a dump is asked for */
	down(1);
	ck_assert(has(vb, "10.1.0.10"));
	fake_rtnl_addr_del(&f, &own);
	fake_rtnl_feed(&f, &ns);
	netstate_group_set(&ns, 1, NET_UP);
	ck_assert_uint_eq(netstate_diff(&ns, NET_OP_ADD, now, op), 1);
	fake_rtnl_addr_add(&f, &own);
	f.ev_n = 0;
	netstate_done(&ns, &op[0], fake_rtnl_op(&f, &op[0]), now);
	ck_assert(netstate_dump_wanted(&ns));
	fake_rtnl_dump(&f, &ns);
	ck_assert_int_eq(status(1).state, NET_EQUAL);
	ck_assert_uint_eq(status(1).foreign, 1);
	struct net_owned o;
	ck_assert(!netstate_changed_owned(&ns, &o)); /* never ours: nothing for the guardian */
}
END_TEST

START_TEST(test_ipv6_other_prefix_length)
{
	struct net_addr own = at(va, "2001:db8::10/128", 0);
	fake_rtnl_addr_add(&f, &own);
	started();
	up(0);
	struct net_status st = status(0);
	ck_assert_int_eq(st.state, NET_PARTIAL);
	ck_assert_uint_eq(st.failed, 1);
	ck_assert_int_eq(st.err, EEXIST);
	ck_assert_uint_eq(st.plen, 64);
	uint64_t dumps = ns.count.dumps_wanted;
	later(20 * NS_PER_SEC);
	ck_assert_uint_eq(ns.count.dumps_wanted, dumps); /* the model explains it: no dump after dump */
	fake_rtnl_addr_del(&f, &own);
	later(NET_RETRY_MAX_NS);
	ck_assert_int_eq(status(0).state, NET_EQUAL);
	ck_assert_uint_eq(status(0).foreign, 0);
}
END_TEST

START_TEST(test_mark_lost)
{
	struct net_owned o;
	struct net_addr theirs = at(vb, "10.1.0.10/24", 0);
	started();
	up(1);
	ck_assert(netstate_changed_owned(&ns, &o));
	ck_assert(o.ours);
	ck_assert_int_eq(o.del.kind, NET_OP_DEL);
	ck_assert_int_eq(o.del.ifindex, vb);
	uint32_t obj = o.obj;
	ck_assert(!netstate_changed_owned(&ns, &o));
	fake_rtnl_addr_replace(&f, &theirs);
	drive();
	ck_assert(netstate_changed_owned(&ns, &o));
	ck_assert(!o.ours && o.obj == obj);
	ck_assert_uint_eq(ns.count.mark_lost, 1);
	ck_assert_uint_eq(status(1).foreign, 1);
	down(1);
	ck_assert(has(vb, "10.1.0.10"));
	ck_assert_uint_eq(sent_del, 0);
}
END_TEST

START_TEST(test_one_of_fifty_refused)
{
	netstate_conf_begin(&ns);
	for (unsigned i = 1; i <= 50; i++) {
		struct addr a = addr_v4(10, 2, 0, (uint8_t)i);
		ck_assert_int_gt(netstate_want_addr(&ns, 0, "va", &a, 24, NULL, i), 0);
	}
	netstate_conf_end(&ns);
	fake_rtnl_dump(&f, &ns);
	struct addr bad = ip("10.2.0.50");
	fake_rtnl_refuse(&f, &bad, EPERM, 9);
	up(0);
	struct net_status st = status(0);
	ck_assert_int_eq(st.state, NET_PARTIAL);
	ck_assert_uint_eq(st.failed, 1);
	ck_assert_uint_eq(st.present, 49);
	ck_assert_uint_eq(st.total, 50);
	ck_assert_int_eq(st.err, EPERM);
	ck_assert(addr_eq(&st.addr, &bad));
	/* back-off: 0.1, 0.2, 0.4 .. 5 s, never earlier, and PARTIAL all the while */
	int64_t backoff = NET_RETRY_MIN_NS;
	for (unsigned tries = 1; tries < 9; tries++) {
		unsigned before = sent_add;
		later(backoff - 1);
		ck_assert_uint_eq(sent_add, before);
		ck_assert_int_eq(status(0).state, NET_PARTIAL);
		later(1);
		ck_assert_uint_eq(sent_add, before + 1);
		backoff = backoff * 2 < NET_RETRY_MAX_NS ? backoff * 2 : NET_RETRY_MAX_NS;
	}
	ck_assert_uint_eq(ns.count.refused, 9);
	ck_assert_uint_eq(ns.count.retries, 8);
	later(NET_RETRY_MAX_NS);
	ck_assert_int_eq(status(0).state, NET_EQUAL);
	ck_assert_int_eq(status(0).err, 0);
	/* refused deletions are told and retried, too */
	bad = ip("10.2.0.1"); /* the primary: not taken along by another one */
	fake_rtnl_refuse(&f, &bad, EPERM, 1);
	down(0);
	ck_assert_int_eq(status(0).state, NET_PARTIAL);
	later(NET_RETRY_MIN_NS);
	ck_assert_int_eq(status(0).state, NET_EQUAL);
	ck_assert_uint_eq(f.n_addrs, 0);
}
END_TEST

START_TEST(test_primary_deleted)
{
	struct net_addr primary = at(va, "10.0.0.1/24", 0);
	fake_rtnl_addr_add(&f, &primary);
	started();
	up(0);
	fake_rtnl_addr_del(&f, &primary); /* the VIPs die with it */
	ck_assert(!has(va, "10.0.0.10") && !has(va, "10.0.0.11"));
	fake_rtnl_feed(&f, &ns);
	ck_assert_int_eq(status(0).state, NET_PENDING);
	drive();
	ck_assert_int_eq(status(0).state, NET_EQUAL);
	ck_assert(has(va, "10.0.0.10") && has(va, "10.0.0.11"));
	/* now the VIP is primary; deleting one of ours by hand brings it back as well */
	struct net_addr vip = at(va, "10.0.0.10/24", 0);
	fake_rtnl_addr_del(&f, &vip);
	drive();
	ck_assert_int_eq(status(0).state, NET_EQUAL);
}
END_TEST

START_TEST(test_link_down_and_up)
{
	struct net_op op[NET_CHUNK];
	started();
	up(0);
	fake_rtnl_link_up(&f, va, false);
	drive();
	struct net_status st = status(0);
	ck_assert_int_eq(st.state, NET_LINK_DOWN);
	ck_assert_str_eq(st.ifname, "va");
	ck_assert_uint_eq(st.present, 2); /* IPv4 stays */
	unsigned before = sent_add;
	later(30 * NS_PER_SEC);
	ck_assert_uint_eq(sent_add, before); /* not put on a link that is down */
	fake_rtnl_link_up(&f, va, true);
	drive();
	ck_assert_int_eq(status(0).state, NET_EQUAL);
	ck_assert_uint_eq(sent_add, before + 2);
	/* the cable: addresses stay, the state says so */
	fake_rtnl_cable(&f, va, false);
	drive();
	ck_assert_int_eq(status(0).state, NET_LINK_DOWN);
	ck_assert_uint_eq(status(0).present, 4);
	fake_rtnl_cable(&f, va, true);
	drive();
	ck_assert_int_eq(status(0).state, NET_EQUAL);
	/* the link goes down between our operation and its result */
	down(0);
	netstate_group_set(&ns, 0, NET_UP);
	unsigned n = netstate_diff(&ns, NET_OP_ADD, now, op);
	ck_assert_uint_eq(n, 4);
	int rc[4];
	for (unsigned i = 0; i < 4; i++)
		rc[i] = fake_rtnl_op(&f, &op[i]);
	fake_rtnl_link_up(&f, va, false);
	fake_rtnl_feed(&f, &ns);
	for (unsigned i = 0; i < 4; i++)
		netstate_done(&ns, &op[i], rc[i], now);
	drive();
	ck_assert_int_eq(status(0).state, NET_LINK_DOWN);
	fake_rtnl_link_up(&f, va, true);
	drive();
	ck_assert_int_eq(status(0).state, NET_EQUAL);
	/* in a group that is down, a link that is down is nobody's concern */
	down(0);
	fake_rtnl_link_up(&f, va, false);
	drive();
	ck_assert_int_eq(status(0).state, NET_EQUAL);
}
END_TEST

START_TEST(test_needed_link)
{
	netstate_conf_begin(&ns);
	ck_assert_int_gt(want(2, "va", "10.0.0.10/24"), 0);
	ck_assert_int_eq(netstate_need_link(&ns, 2, "vb"), 0);
	ck_assert_int_eq(netstate_need_link(&ns, 2, "vb"), 0);
	ck_assert_int_eq(netstate_need_link(&ns, 2, ""), -EINVAL);
	ck_assert_int_eq(netstate_need_link(&ns, 2, "a-name-too-long-for-it"), -EINVAL);
	ck_assert_int_eq(netstate_need_link(&ns, NET_GROUPS_MAX, "va"), -EINVAL);
	for (unsigned i = 1; i < NET_NEEDS_MAX; i++) {
		char name[IFNAMSIZ];
		snprintf(name, sizeof(name), "n%u", i);
		ck_assert_int_eq(netstate_need_link(&ns, 5, name), 0);
	}
	ck_assert_int_eq(netstate_need_link(&ns, 5, "vx"), 0);
	ck_assert_int_eq(netstate_need_link(&ns, 5, "vy"), -ENOSPC);
	netstate_conf_end(&ns);
	fake_rtnl_dump(&f, &ns);
	up(2);
	uint16_t g;
	while (netstate_touched_group(&ns, &g))
		;
	ck_assert_int_eq(status(2).state, NET_EQUAL);
	fake_rtnl_link_up(&f, vb, false);
	drive();
	ck_assert(netstate_touched_group(&ns, &g));
	ck_assert_int_eq(status(2).state, NET_LINK_DOWN);
	ck_assert_str_eq(status(2).ifname, "vb");
}
END_TEST

START_TEST(test_interface_away_and_back)
{
	struct net_link l;
	started();
	up(1);
	while (netstate_changed_link(&ns, &l))
		;
	fake_rtnl_link_del(&f, vb);
	drive();
	ck_assert_int_eq(status(1).state, NET_LINK_DOWN);
	ck_assert(netstate_changed_link(&ns, &l));
	ck_assert(l.gone && !l.up && l.index == vb);
	ck_assert(!netstate_changed_link(&ns, &l));
	int back = fake_rtnl_link_add(&f, "vb", 0);
	ck_assert_int_ne(back, vb);
	drive();
	ck_assert_int_eq(status(1).state, NET_LINK_DOWN);
	fake_rtnl_link_up(&f, back, true);
	drive();
	ck_assert_int_eq(status(1).state, NET_EQUAL);
	ck_assert(has(back, "10.1.0.10"));
	/* gone and back before anybody looked: told in this order */
	while (netstate_changed_link(&ns, &l))
		;
	fake_rtnl_link_del(&f, back);
	int again = fake_rtnl_link_add(&f, "vb", 0);
	fake_rtnl_link_up(&f, again, true);
	drive();
	ck_assert(netstate_changed_link(&ns, &l));
	ck_assert(l.gone && l.index == back);
	ck_assert(netstate_changed_link(&ns, &l));
	ck_assert(!l.gone && l.index == again && l.up);
	ck_assert_int_eq(status(1).state, NET_EQUAL);
	/* deletion of an object whose interface vanished in between */
	struct net_op op[NET_CHUNK];
	netstate_group_set(&ns, 1, NET_DOWN);
	ck_assert_uint_eq(netstate_diff(&ns, NET_OP_DEL, now, op), 1);
	fake_rtnl_link_del(&f, again);
	netstate_done(&ns, &op[0], fake_rtnl_op(&f, &op[0]), now);
	drive();
	ck_assert_int_eq(status(1).state, NET_EQUAL);
}
END_TEST

START_TEST(test_rename)
{
	started();
	up(1);
	/* our address stays on the renamed interface, where nobody wants it: it is taken off */
	fake_rtnl_link_rename(&f, vb, "vc");
	drive();
	ck_assert(!has(vb, "10.1.0.10"));
	ck_assert_int_eq(status(1).state, NET_LINK_DOWN);
	ck_assert_str_eq(status(1).ifname, "vb");
	fake_rtnl_link_rename(&f, vb, "vb");
	drive();
	ck_assert(has(vb, "10.1.0.10"));
	ck_assert_int_eq(status(1).state, NET_EQUAL);
	/* two interfaces swap their names: the address moves */
	fake_rtnl_link_rename(&f, vb, "tmp");
	fake_rtnl_link_rename(&f, va, "vb");
	fake_rtnl_link_rename(&f, vb, "va");
	drive();
	ck_assert(!has(vb, "10.1.0.10") && has(va, "10.1.0.10"));
	ck_assert_int_eq(status(1).state, NET_EQUAL);
}
END_TEST

/* What a former process left: listed and marked. */
static void leave(const char *ifname, int link, const char *text, bool listed, bool marked)
{
	struct net_addr a = at(link, text, marked ? NET_MARK : 0);
	struct own_entry e = { .what = OWN_ADDR, .ifindex = link, .addr = a.addr, .plen = a.plen };
	strncpy(e.ifname, ifname, IFNAMSIZ - 1);
	ck_assert_int_eq(fake_rtnl_addr_add(&f, &a), 0);
	if (listed)
		netstate_own_load(&ns, &e, 1);
}

START_TEST(test_leftovers)
{
	leave("va", va, "10.0.0.11/24", true, false); /* listed, but without our mark; primary */
	leave("va", va, "10.0.0.10/24", true, true);
	leave("va", va, "2001:db8::10/64", false, true); /* marked, but not in our list */
	leave("vb", vb, "10.7.0.1/32", true, true);      /* no longer configured */
	leave("vb", vb, "10.7.0.2/32", true, false);
	leave("vb", vb, "10.7.0.3/32", false, true);
	started();
	ck_assert_uint_eq(netstate_leftovers(&ns, 0), 1);
	ck_assert_uint_eq(netstate_leftovers(&ns, 1), 0);
	drive();
	/* kept until somebody decides; what is configured no longer goes at once */
	ck_assert(has(va, "10.0.0.10"));
	ck_assert(!has(vb, "10.7.0.1"));
	ck_assert(has(vb, "10.7.0.2") && has(vb, "10.7.0.3"));
	later(60 * NS_PER_SEC);
	ck_assert(has(va, "10.0.0.10"));
	ck_assert_uint_eq(sent_add, 0);
	struct net_owned o;
	ck_assert(netstate_changed_owned(&ns, &o));
	ck_assert(o.ours && addr_eq(&o.del.addr, &(struct addr){ ADDR_V4, { 10, 0, 0, 10 } }));
	/* adopted: not touched */
	unsigned dels = sent_del;
	up(0);
	ck_assert_int_eq(status(0).state, NET_EQUAL);
	ck_assert_uint_eq(sent_add, 1); /* fe80::10; the unmarked and the unlisted one stand in the way and count */
	ck_assert_uint_eq(status(0).foreign, 2);
	ck_assert_uint_eq(sent_del, dels);
	down(0);
	ck_assert(!has(va, "10.0.0.10") && !has(va, "fe80::10"));
	ck_assert(has(va, "10.0.0.11"));
}
END_TEST

START_TEST(test_leftovers_removed)
{
	leave("va", va, "10.0.0.10/32", true, true);
	leave("va", va, "10.0.0.11/24", true, true);
	started();
	ck_assert_uint_eq(netstate_leftovers(&ns, 0), 1); /* /32 is another address than the configured /24 */
	down(0);
	ck_assert_uint_eq(f.n_addrs, 0);
	ck_assert_int_eq(status(0).state, NET_EQUAL);
}
END_TEST

/* The interface was renamed while no process ran: the index in the file still finds the address. */
START_TEST(test_leftover_on_renamed_interface)
{
	leave("vb", vb, "10.1.0.10/24", true, true);
	fake_rtnl_link_rename(&f, vb, "vz");
	started();
	ck_assert_uint_eq(netstate_leftovers(&ns, 1), 1);
	down(1);
	ck_assert_uint_eq(f.n_addrs, 0);
	/* and the other way round: another index, the same name */
	teardown();
	begin(true);
	leave("vb", vb, "10.1.0.10/24", true, true);
	struct own_entry e = { .what = OWN_ADDR, .ifindex = 77, .ifname = "vb", .addr = ip("10.1.0.10"), .plen = 24 };
	netstate_own_load(&ns, &e, 1);
	started();
	ck_assert_uint_eq(netstate_leftovers(&ns, 1), 1);
	down(1);
	ck_assert_uint_eq(f.n_addrs, 0);
}
END_TEST

START_TEST(test_own_list)
{
	struct own_entry e[16];
	started();
	ck_assert(!netstate_own_dirty(&ns));
	netstate_group_prepare(&ns, 0);
	ck_assert(netstate_own_dirty(&ns));
	ck_assert(!netstate_own_dirty(&ns));
	ck_assert_uint_eq(netstate_own_list(&ns, e, 16), 4);
	ck_assert_str_eq(e[0].ifname, "va");
	ck_assert_int_eq(e[0].ifindex, va);
	/* an aborted promotion leaves the list */
	netstate_group_set(&ns, 0, NET_DOWN);
	drive();
	ck_assert(netstate_own_stale(&ns));
	ck_assert_uint_eq(netstate_own_list(&ns, e, 16), 0);
	/* without preparation the operations themselves put it there, before they go out */
	struct net_op op[NET_CHUNK];
	netstate_group_set(&ns, 1, NET_UP);
	ck_assert_uint_eq(netstate_diff(&ns, NET_OP_ADD, now, op), 1);
	ck_assert(netstate_own_dirty(&ns));
	ck_assert_uint_eq(netstate_own_list(&ns, e, 16), 1);
	netstate_done(&ns, &op[0], fake_rtnl_op(&f, &op[0]), now);
	drive();
	/* off the list only when it is off the kernel */
	netstate_group_set(&ns, 1, NET_DOWN);
	ck_assert_uint_eq(netstate_diff(&ns, NET_OP_DEL, now, op), 1);
	ck_assert_uint_eq(netstate_own_list(&ns, e, 16), 1);
	netstate_done(&ns, &op[0], fake_rtnl_op(&f, &op[0]), now);
	ck_assert_uint_eq(netstate_own_list(&ns, e, 16), 1);
	drive();
	ck_assert_uint_eq(netstate_own_list(&ns, e, 16), 0);
	ck_assert(netstate_own_stale(&ns));
	ck_assert_uint_eq(netstate_own_list(&ns, e, 0), 0);
}
END_TEST

START_TEST(test_kernel_without_marks)
{
	struct net_addr theirs = at(va, "10.0.0.11/24", 0);
	struct own_entry e[16];
	teardown();
	begin(false);
	fake_rtnl_addr_add(&f, &theirs);
	started();
	netstate_group_prepare(&ns, 0);
	ck_assert_uint_eq(netstate_own_list(&ns, e, 16), 3); /* what is there now cannot become ours */
	up(0);
	ck_assert_int_eq(status(0).state, NET_EQUAL);
	ck_assert_uint_eq(status(0).foreign, 1);
	struct net_status st = status(0);
	ck_assert(addr_eq(&st.addr, &theirs.addr));
	down(0);
	ck_assert_uint_eq(f.n_addrs, 1);
	ck_assert(has(va, "10.0.0.11"));
	/* somebody deletes ours and puts his own there: no longer ours */
	up(1);
	struct net_addr vip = at(vb, "10.1.0.10/24", 0);
	fake_rtnl_addr_del(&f, &vip);
	fake_rtnl_addr_add(&f, &vip);
	drive();
	down(1);
	ck_assert(has(vb, "10.1.0.10"));
	/* EEXIST takes it off the list */
	fake_rtnl_addr_del(&f, &vip);
	drive();
	struct net_op op[NET_CHUNK];
	netstate_group_set(&ns, 1, NET_UP);
	ck_assert_uint_eq(netstate_diff(&ns, NET_OP_ADD, now, op), 1);
	fake_rtnl_addr_add(&f, &vip);
	fake_rtnl_feed(&f, &ns);
	netstate_done(&ns, &op[0], fake_rtnl_op(&f, &op[0]), now);
	ck_assert_uint_eq(netstate_own_list(&ns, e, 16), 0);
	/* leftovers by the file alone */
	teardown();
	begin(false);
	leave("vb", vb, "10.1.0.10/24", true, false);
	started();
	ck_assert_uint_eq(netstate_leftovers(&ns, 1), 1);
	down(1);
	ck_assert_uint_eq(f.n_addrs, 0);
}
END_TEST

START_TEST(test_too_many)
{
	netstate_conf_begin(&ns);
	ck_assert_int_eq(netstate_need_link(&ns, NET_GROUPS_MAX, "va"), -EINVAL);
	ck_assert_int_eq(netstate_need_link(&ns, 0, ""), -EINVAL);
	for (unsigned i = 0; i < NET_NEEDS_MAX; i++) {
		char name[16];
		snprintf(name, sizeof(name), "n%u", i);
		ck_assert_int_eq(netstate_need_link(&ns, 0, name), 0);
		ck_assert_int_eq(netstate_need_link(&ns, 0, name), 0); /* twice is once */
	}
	ck_assert_int_eq(netstate_need_link(&ns, 0, "one-more"), -ENOSPC);
	ck_assert_uint_eq(ns.count.full, 1);
	for (unsigned i = 0; i < NET_OBJECTS_MAX; i++) {
		struct addr a = addr_v4(10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i);
		ck_assert_int_gt(netstate_want_addr(&ns, (uint16_t)(i % 8), "va", &a, 32, NULL, i), 0);
	}
	struct addr a = addr_v4(11, 3, 0, 0);
	ck_assert_int_eq(netstate_want_addr(&ns, 0, "va", &a, 32, NULL, 7), -ENOSPC);
	ck_assert_uint_eq(ns.count.full, 2);
	netstate_conf_end(&ns);
	/* None of them is there, and none is wanted any more: the room comes back. */
	netstate_conf_begin(&ns);
	netstate_conf_end(&ns);
	fake_rtnl_dump(&f, &ns);
	drive();
	later(2 * NET_TICK_NS);
	struct net_owned o;
	while (netstate_changed_owned(&ns, &o))
		;
	later(2 * NET_TICK_NS);
	ck_assert_uint_eq(ns.objs.used, 0);
}
END_TEST

/* A file of an earlier life with nonsense in it: what makes sense is taken over. */
START_TEST(test_own_list_with_nonsense)
{
	struct own_entry e[4] = { { .what = OWN_ADDR, .ifindex = va, .ifname = "va", .plen = 24 },
				  { .ifindex = va, .ifname = "", .plen = 24 },
				  { .ifindex = va, .ifname = "va", .plen = 77 },
				  { .ifindex = va, .ifname = "va", .plen = 24 } };
	struct own_entry out[4];

	for (unsigned i = 0; i < 3; i++)
		e[i].addr = ip("10.0.0.99");
	netstate_own_load(&ns, e, 4); /* the last one has no address */
	ck_assert_uint_eq(netstate_own_list(&ns, out, 4), 1);
	ck_assert(addr_eq(&out[0].addr, &e[0].addr));
	ck_assert_str_eq(out[0].ifname, "va");
	ck_assert_uint_eq(netstate_own_list(&ns, out, 0), 0);
}
END_TEST

static void declare_option(const char *label, uint32_t flags)
{
	struct net_addr_opt opt = { .flags = flags };
	struct addr a = ip("10.0.0.10");
	strcpy(opt.label, label);
	netstate_conf_begin(&ns);
	ck_assert_int_gt(netstate_want_addr(&ns, 0, "va", &a, 24, &opt, 0), 0);
	netstate_conf_end(&ns);
}

/* Other options in a new configuration: the address is made again, once. */
START_TEST(test_options_changed)
{
	declare_option("va:1", 0);
	fake_rtnl_dump(&f, &ns);
	f.ev_n = 0;
	up(0);
	ck_assert_str_eq(f.addr[0].opt.label, "va:1");
	declare_option("va:2", 0);
	up(0);
	ck_assert_str_eq(f.addr[0].opt.label, "va:2");
	ck_assert_uint_eq(sent_add, 2);
	ck_assert_uint_eq(sent_del, 1);
	declare_option("va:2", 0);
	up(0);
	later(NET_TICK_NS);
	ck_assert_uint_eq(sent_add, 2);
	/* whatever the kernel makes of them afterwards is no reason to begin again */
	strcpy(f.addr[0].opt.label, "vb");
	fake_rtnl_dump(&f, &ns);
	later(NET_TICK_NS);
	ck_assert_uint_eq(sent_add, 2);
	ck_assert_int_eq(status(0).state, NET_EQUAL);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("diff");
	tcase_add_test(tc, test_up_and_down);
	tcase_add_test(tc, test_chunks_in_flight);
	tcase_add_test(tc, test_result_and_event_in_any_order);
	tcase_add_test(tc, test_foreign_is_never_deleted);
	tcase_add_test(tc, test_foreign_race);
	tcase_add_test(tc, test_ipv6_other_prefix_length);
	tcase_add_test(tc, test_mark_lost);
	tcase_add_test(tc, test_one_of_fifty_refused);
	tcase_add_test(tc, test_primary_deleted);
	tcase_add_test(tc, test_link_down_and_up);
	tcase_add_test(tc, test_needed_link);
	tcase_add_test(tc, test_interface_away_and_back);
	tcase_add_test(tc, test_rename);
	tcase_add_test(tc, test_leftovers);
	tcase_add_test(tc, test_leftovers_removed);
	tcase_add_test(tc, test_leftover_on_renamed_interface);
	tcase_add_test(tc, test_own_list);
	tcase_add_test(tc, test_kernel_without_marks);
	tcase_add_test(tc, test_too_many);
	tcase_add_test(tc, test_own_list_with_nonsense);
	tcase_add_test(tc, test_options_changed);
	return netstate_run("netstate", tc);
}
