/* netstate against the imagined kernel: every way the two can drift apart, and a seeded random walk over all of them. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/sim/fake_rtnl.h"

static struct netstate ns;
static struct fake_rtnl f;
static mono_t now;
static int va, vb;
static unsigned sent_add, sent_del;

static struct addr ip(const char *text)
{
	struct addr a;
	ck_assert(addr_parse(text, &a));
	return a;
}

static struct net_addr at(int ifindex, const char *text, uint8_t proto)
{
	struct net_addr a = { .ifindex = ifindex, .proto = proto };
	ck_assert(addr_parse_prefix(text, &a.addr, &a.plen));
	return a;
}

static void begin(bool marks)
{
	now = (mono_t){ 1000 * NS_PER_SEC };
	sent_add = sent_del = 0;
	ck_assert_int_eq(netstate_init(&ns, marks), 0);
	fake_rtnl_init(&f);
	f.marks = marks;
	va = fake_rtnl_link_add(&f, "va", 0);
	vb = fake_rtnl_link_add(&f, "vb", 0);
	fake_rtnl_link_up(&f, va, true);
	fake_rtnl_link_up(&f, vb, true);
}

static void setup(void)
{
	begin(true);
}

static void teardown(void)
{
	netstate_free(&ns);
}

static int want(uint16_t group, const char *ifname, const char *text)
{
	struct net_addr a = at(1, text, 0);
	return netstate_want_addr(&ns, group, ifname, &a.addr, a.plen, NULL, 7);
}

/* Two groups: 0 with two IPv4 and two IPv6 addresses on va, 1 with one address on vb. */
static void declare(void)
{
	netstate_conf_begin(&ns);
	ck_assert_int_gt(want(0, "va", "10.0.0.10/24"), 0);
	ck_assert_int_gt(want(0, "va", "10.0.0.11/24"), 0);
	ck_assert_int_gt(want(0, "va", "2001:db8::10/64"), 0);
	ck_assert_int_gt(want(0, "va", "fe80::10/64"), 0);
	ck_assert_int_gt(want(1, "vb", "10.1.0.10/24"), 0);
	netstate_conf_end(&ns);
}

static unsigned send_once(enum net_op_kind kind)
{
	struct net_op op[NET_CHUNK];
	unsigned n = netstate_diff(&ns, kind, now, op);
	for (unsigned i = 0; i < n; i++) {
		ck_assert_int_eq(op[i].kind, kind);
		int rc = fake_rtnl_apply(&f, &ns, &op[i]);
		netstate_done(&ns, &op[i], rc, now);
	}
	*(kind == NET_OP_ADD ? &sent_add : &sent_del) += n;
	return n;
}

/* Until nothing is to be done: operations, results, events. */
static void drive(void)
{
	for (unsigned i = 0; i < 100; i++) {
		fake_rtnl_feed(&f, &ns);
		netstate_tick(&ns, now);
		unsigned n = send_once(NET_OP_ADD);
		n += send_once(NET_OP_DEL);
		if (netstate_dump_wanted(&ns))
			fake_rtnl_dump(&f, &ns);
		bool list = netstate_routes_wanted(&ns);
		if (list)
			fake_rtnl_list(&f, &ns);
		if (n == 0 && !list && f.ev_n == 0)
			return;
	}
	ck_abort_msg("it never comes to rest");
}

static void later(int64_t ns_later)
{
	now = mono_add(now, ns_later);
	drive();
}

static void started(void)
{
	declare();
	fake_rtnl_dump(&f, &ns);
	f.ev_n = 0;
}

static struct net_status status(uint16_t group)
{
	return netstate_status(&ns, group);
}

static void up(uint16_t group)
{
	netstate_group_set(&ns, group, NET_UP);
	drive();
}

static void down(uint16_t group)
{
	netstate_group_set(&ns, group, NET_DOWN);
	drive();
}

static bool has(int link, const char *text)
{
	struct addr a = ip(text);
	return fake_rtnl_has(&f, link, &a);
}

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
		ck_assert_int_eq(netstate_want_addr(&ns, 4, "va", &a, 32, NULL, i), -EEXIST);
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
		struct addr a = addr_v4(10, 2, (uint8_t)(i >> 8), (uint8_t)i);
		ck_assert_int_gt(netstate_want_addr(&ns, (uint16_t)(i % 8), "va", &a, 32, NULL, i), 0);
	}
	struct addr a = addr_v4(10, 3, 0, 0);
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

/* ---- routes and rules ---- */

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
	ck_assert_int_eq(want(1, "va", "10.0.0.10/24"), -EEXIST);
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

/* ---- random walk ---- */

static uint32_t rnd_state;

static unsigned rnd(unsigned n)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 17;
	rnd_state ^= rnd_state << 5;
	return rnd_state % n;
}

static const char *const pool[] = { "10.0.0.10/24", "10.0.0.11/24", "2001:db8::10/64", "fe80::10/64",
				    "10.1.0.10/24", "10.0.0.1/24",  "10.1.0.1/24" };

#define FLIGHTS 8
static struct {
	struct net_op op[NET_CHUNK];
	int result[NET_CHUNK];
	unsigned n;
	bool done;
} flight[FLIGHTS];

static int link_of(unsigned i)
{
	int index = fake_rtnl_index(&f, i ? "vb" : "va");
	return index ? index : 1;
}

static void step_foreign(void)
{
	struct net_addr a = at(link_of(rnd(2)), pool[rnd(7)], 0);
	switch (rnd(3)) {
	case 0:
		fake_rtnl_addr_add(&f, &a);
		break;
	case 1:
		fake_rtnl_addr_del(&f, &a);
		break;
	default:
		fake_rtnl_addr_replace(&f, &a);
	}
}

static void step_link(void)
{
	int index = link_of(rnd(2));
	switch (rnd(5)) {
	case 0:
	case 1:
		fake_rtnl_link_up(&f, index, rnd(2));
		break;
	case 2:
		fake_rtnl_cable(&f, index, rnd(2));
		break;
	case 3:
		fake_rtnl_link_del(&f, index);
		break;
	default:
		if (!fake_rtnl_index(&f, "va"))
			fake_rtnl_link_add(&f, "va", 0);
		if (!fake_rtnl_index(&f, "vb"))
			fake_rtnl_link_add(&f, "vb", 0);
	}
}

static bool model_marked(const struct net_op *op)
{
	struct net_addr a;
	uint32_t iter = 0;
	while (netstate_addr_next(&ns, &iter, &a))
		if (a.ifindex == op->ifindex && a.plen == op->plen && addr_eq(&a.addr, &op->addr))
			return a.proto == NET_MARK;
	return false;
}

/* A batch takes its way: given out, worked on by the kernel, its results back; events come whenever. */
static void step_flight(void)
{
	unsigned i = rnd(FLIGHTS);
	if (flight[i].n == 0) {
		flight[i].n = netstate_diff(&ns, rnd(2) ? NET_OP_ADD : NET_OP_DEL, now, flight[i].op);
		flight[i].done = false;
		for (unsigned k = 0; k < flight[i].n; k++)
			if (flight[i].op[k].kind == NET_OP_DEL)
				ck_assert_msg(model_marked(&flight[i].op[k]), "a foreign address is to be deleted");
		return;
	}
	for (unsigned k = 0; k < flight[i].n; k++) {
		const struct net_op *op = &flight[i].op[k];
		if (flight[i].done) {
			netstate_done(&ns, op, flight[i].result[k], now);
			continue;
		}
		flight[i].result[k] = fake_rtnl_op(&f, op);
	}
	if (flight[i].done)
		flight[i].n = 0;
	flight[i].done = true;
}

static void rest(void)
{
	for (unsigned pass = 0; pass < 2 * FLIGHTS * 20; pass++)
		step_flight();
	for (unsigned i = 0; i < FLIGHTS; i++)
		while (flight[i].n) {
			unsigned keep = i;
			for (unsigned k = 0; k < flight[keep].n; k++)
				netstate_done(&ns, &flight[keep].op[k],
					      flight[keep].done ? flight[keep].result[k]
								: fake_rtnl_op(&f, &flight[keep].op[k]),
					      now);
			flight[keep].n = 0;
		}
	for (unsigned i = 0; i < 8; i++)
		later(NET_RETRY_MAX_NS);
}

static void check_model(void)
{
	struct net_addr a;
	uint32_t iter = 0;
	unsigned n = 0;
	while (netstate_addr_next(&ns, &iter, &a)) {
		ck_assert(fake_rtnl_has(&f, a.ifindex, &a.addr));
		n++;
	}
	ck_assert_uint_eq(n, f.n_addrs);
}

static void walk(uint32_t seed)
{
	rnd_state = seed * 2654435761u + 1;
	memset(flight, 0, sizeof(flight));
	started();
	for (unsigned i = 0; i < 400; i++) {
		switch (rnd(8)) {
		case 0:
			step_foreign();
			break;
		case 1:
			step_link();
			break;
		case 2:
			netstate_group_set(&ns, (uint16_t)rnd(2), rnd(2) ? NET_UP : NET_DOWN);
			break;
		case 3:
			fake_rtnl_feed(&f, &ns);
			break;
		case 4:
			now = mono_add(now, rnd(300) * NS_PER_MS);
			netstate_tick(&ns, now);
			if (rnd(20) == 0)
				f.ev_limit = f.ev_n; /* the queue is full: what comes is lost */
			break;
		default:
			step_flight();
		}
		if (f.lost || netstate_dump_wanted(&ns)) {
			f.ev_limit = FAKE_EVENTS;
			fake_rtnl_feed(&f, &ns);
			fake_rtnl_dump(&f, &ns);
		}
	}
	f.ev_limit = FAKE_EVENTS;
	for (unsigned i = 0; i < 2; i++) {
		if (!fake_rtnl_index(&f, i ? "vb" : "va"))
			fake_rtnl_link_add(&f, i ? "vb" : "va", 0);
		fake_rtnl_cable(&f, link_of(i), true);
		fake_rtnl_link_up(&f, link_of(i), true);
	}
	netstate_group_set(&ns, 0, NET_UP);
	netstate_group_set(&ns, 1, NET_UP);
	rest();
	check_model();
	ck_assert_int_eq(status(0).state, NET_EQUAL);
	ck_assert_int_eq(status(1).state, NET_EQUAL);
	ck_assert(has(link_of(0), "10.0.0.10") && has(link_of(0), "fe80::10") && has(link_of(1), "10.1.0.10"));
	netstate_group_set(&ns, 0, NET_DOWN);
	netstate_group_set(&ns, 1, NET_DOWN);
	rest();
	check_model();
	for (unsigned i = 0; i < f.n_addrs; i++)
		ck_assert_msg(f.addr[i].proto != NET_MARK, "an address of ours is left");
	ck_assert_int_eq(status(0).state, NET_EQUAL);
	struct own_entry e[16];
	ck_assert_uint_eq(netstate_own_list(&ns, e, 16), 0);
}

START_TEST(test_random_walk)
{
	for (uint32_t seed = 1; seed <= 150; seed++) {
		teardown();
		begin(true);
		walk((uint32_t)_i * 1000 + seed);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("netstate");
	TCase *t = tcase_create("diff");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_up_and_down);
	tcase_add_test(t, test_chunks_in_flight);
	tcase_add_test(t, test_result_and_event_in_any_order);
	tcase_add_test(t, test_foreign_is_never_deleted);
	tcase_add_test(t, test_foreign_race);
	tcase_add_test(t, test_ipv6_other_prefix_length);
	tcase_add_test(t, test_mark_lost);
	tcase_add_test(t, test_one_of_fifty_refused);
	tcase_add_test(t, test_primary_deleted);
	tcase_add_test(t, test_link_down_and_up);
	tcase_add_test(t, test_needed_link);
	tcase_add_test(t, test_interface_away_and_back);
	tcase_add_test(t, test_rename);
	tcase_add_test(t, test_leftovers);
	tcase_add_test(t, test_leftovers_removed);
	tcase_add_test(t, test_leftover_on_renamed_interface);
	tcase_add_test(t, test_own_list);
	tcase_add_test(t, test_kernel_without_marks);
	tcase_add_test(t, test_too_many);
	tcase_add_test(t, test_own_list_with_nonsense);
	tcase_add_test(t, test_options_changed);
	tcase_add_test(t, test_routes_up_and_down);
	tcase_add_test(t, test_routes_die_silently);
	tcase_add_test(t, test_routes_taken_away);
	tcase_add_test(t, test_route_changed);
	tcase_add_test(t, test_route_leftovers);
	tcase_add_test(t, test_declare_again);
	tcase_add_test(t, test_source_address);
	tcase_add_test(t, test_source_by_choice);
	tcase_add_test(t, test_overrun);
	tcase_add_loop_test(t, test_random_walk, 0, 4);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int bad = srunner_ntests_failed(r);
	srunner_free(r);
	return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
