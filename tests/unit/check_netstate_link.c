/* netstate and the interfaces of virtual MACs: when they are made, up, down, made anew; whatever is done to their bases. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/netstate.h"
#include "daemon/rtnl_link.h"
#include "tests/unit/run.h"

enum { BASE = 4, VMAC = 9, OTHER = 5 };

static struct netstate ns;
static mono_t now;
static struct net_op op[NET_CHUNK];

static struct net_link base(int index, const char *name)
{
	struct net_link l = { .index = index, .up = true, .carrier = true, .type = 1, .mtu = 1500, .mac_len = 6 };
	strcpy(l.name, name);
	l.mac[0] = 2;
	l.mac[5] = (uint8_t)index;
	return l;
}

/* As the kernel shows what rtnl_link_create made. */
static struct net_link vmac(int index, int on, bool up)
{
	struct net_link l = base(index, "vrrp.10");
	l.kind = NET_LINK_MACVLAN;
	l.base = on;
	l.group = NET_MARK;
	l.up = l.carrier = up;
	rtnl_link_vmac(l.mac, ADDR_V4, 10);
	return l;
}

static void see(struct net_link l)
{
	netstate_link_set(&ns, &l);
}

static void declare(bool with_link)
{
	struct addr vip = addr_v4(10, 0, 1, 1);
	uint8_t mac[6];
	rtnl_link_vmac(mac, ADDR_V4, 10);
	netstate_conf_begin(&ns);
	ck_assert_int_eq(netstate_need_link(&ns, 0, "lan0"), 0);
	if (with_link) {
		ck_assert_int_gt(netstate_want_link(&ns, 0, "vrrp.10", "lan0", NET_LINK_MACVLAN, mac, 7), 0);
		ck_assert_int_eq(netstate_want_link(&ns, 0, "vrrp.10", "lan0", NET_LINK_MACVLAN, mac, 7), -EEXIST);
		ck_assert_int_gt(netstate_want_addr(&ns, 0, "vrrp.10", &vip, 24, NULL, 7), 0);
	}
	netstate_conf_end(&ns);
}

static void setup(void)
{
	now = (mono_t){ 1000 * NS_PER_SEC };
	ck_assert_int_eq(netstate_init(&ns, true), 0);
	declare(true);
	netstate_group_set(&ns, 0, NET_DOWN);
	netstate_dump_begin(&ns);
	see(base(BASE, "lan0"));
	netstate_dump_end(&ns);
}

static void teardown(void)
{
	netstate_free(&ns);
}

static unsigned diff(enum net_op_kind kind)
{
	netstate_tick(&ns, now);
	return netstate_diff(&ns, kind, now, op);
}

static void quiet(void)
{
	ck_assert_uint_eq(diff(NET_OP_ADD), 0);
	ck_assert_uint_eq(diff(NET_OP_DEL), 0);
}

/* The interface is there, DOWN, and known. */
static void made(void)
{
	ck_assert_uint_eq(diff(NET_OP_ADD), 1);
	ck_assert_int_eq(op[0].what, NET_LINK);
	struct net_op o = op[0];
	netstate_done(&ns, &o, 0, now);
	see(vmac(VMAC, BASE, false));
	quiet();
}

static void promoted(void)
{
	netstate_group_set(&ns, 0, NET_UP);
	ck_assert_uint_eq(diff(NET_OP_ADD), 2);
	struct net_op up = op[0], addr = op[1];
	netstate_done(&ns, &up, 0, now);
	see(vmac(VMAC, BASE, true));
	netstate_done(&ns, &addr, 0, now);
	struct net_addr a = { .ifindex = VMAC, .addr = addr_v4(10, 0, 1, 1), .plen = 24, .proto = NET_MARK };
	netstate_addr_set(&ns, &a);
	quiet();
	ck_assert_int_eq(netstate_status(&ns, 0).state, NET_EQUAL);
}

START_TEST(test_made_down_from_the_start)
{
	ck_assert_uint_eq(diff(NET_OP_ADD), 1);
	ck_assert_int_eq(op[0].what, NET_LINK);
	ck_assert_int_eq(op[0].ifindex, BASE);
	struct rtnl_link l;
	ck_assert(netstate_op_link(&ns, &op[0], &l));
	ck_assert_str_eq(l.name, "vrrp.10");
	ck_assert_int_eq(l.base, BASE);
	ck_assert_int_eq(l.kind, NET_LINK_MACVLAN);
	ck_assert_uint_eq(l.mac[5], 10);
	ck_assert(netstate_own_dirty(&ns)); /* on the list before it is made */
}
END_TEST

/* Up before the addresses, in one batch; on the way down the addresses first. */
START_TEST(test_order)
{
	made();
	netstate_group_set(&ns, 0, NET_UP);
	ck_assert_uint_eq(diff(NET_OP_ADD), 2);
	ck_assert_int_eq(op[0].what, NET_LINK_UP);
	ck_assert_int_eq(op[0].ifindex, VMAC);
	ck_assert_int_eq(op[1].what, NET_ADDR);
	ck_assert_int_eq(op[1].ifindex, VMAC);
	teardown();
	setup();
	made();
	promoted();
	netstate_group_set(&ns, 0, NET_DOWN);
	ck_assert_uint_eq(diff(NET_OP_DEL), 2);
	ck_assert_int_eq(op[0].what, NET_ADDR);
	ck_assert_int_eq(op[1].what, NET_LINK_UP);
	ck_assert_int_eq(op[1].ifindex, VMAC);
}
END_TEST

START_TEST(test_up_on_a_backup_goes_down)
{
	made();
	see(vmac(VMAC, BASE, true));
	ck_assert_uint_eq(diff(NET_OP_DEL), 1);
	ck_assert_int_eq(op[0].what, NET_LINK_UP);
}
END_TEST

START_TEST(test_deleted_by_somebody)
{
	made();
	promoted();
	/* The kernel tells first that it is down: taking it up again meets its deletion. */
	see(vmac(VMAC, BASE, false));
	ck_assert_uint_eq(diff(NET_OP_ADD), 1);
	ck_assert_int_eq(op[0].what, NET_LINK_UP);
	struct net_op up = op[0];
	netstate_done(&ns, &up, -ENODEV, now);
	ck_assert_int_ne(netstate_status(&ns, 0).state,
			 NET_PARTIAL); /* nothing was refused: the role is not at stake */
	netstate_link_gone(&ns, VMAC);
	ck_assert_uint_eq(diff(NET_OP_ADD), 1);
	ck_assert_int_eq(op[0].what, NET_LINK);
	struct net_op o = op[0];
	netstate_done(&ns, &o, 0, now);
	see(vmac(VMAC + 1, BASE, false));
	ck_assert_uint_eq(diff(NET_OP_ADD), 2);
	ck_assert_int_eq(op[0].ifindex, VMAC + 1);
	ck_assert_int_eq(op[1].ifindex, VMAC + 1);
}
END_TEST

/* No event follows: it is asked for again, and not in a hurry. */
START_TEST(test_device_missing_without_an_event)
{
	made();
	netstate_group_set(&ns, 0, NET_UP);
	ck_assert_uint_eq(diff(NET_OP_ADD), 2);
	for (unsigned round = 0; round < 2; round++) {
		struct net_op a = op[0], b = op[1];
		netstate_done(&ns, &a, -ENODEV, now);
		netstate_done(&ns, &b, -ENODEV, now);
		ck_assert_int_eq(netstate_dump_wanted(&ns), round > 0);
		ck_assert_uint_eq(diff(NET_OP_ADD), 0);
		now = mono_add(now, NET_RETRY_MIN_NS);
		ck_assert_uint_eq(diff(NET_OP_ADD), 2);
	}
}
END_TEST

START_TEST(test_base_away_and_back)
{
	made();
	promoted();
	netstate_link_gone(&ns, VMAC);
	netstate_link_gone(&ns, BASE);
	quiet();
	ck_assert_int_eq(netstate_status(&ns, 0).state, NET_LINK_DOWN);
	see(base(BASE + 20, "lan0"));
	ck_assert_uint_eq(diff(NET_OP_ADD), 1);
	ck_assert_int_eq(op[0].what, NET_LINK);
	ck_assert_int_eq(op[0].ifindex, BASE + 20);
}
END_TEST

/* The base's name goes to another interface: ours stands on the wrong one, goes, and is made anew. */
START_TEST(test_base_renamed)
{
	made();
	see(base(BASE, "old0"));
	ck_assert_uint_eq(diff(NET_OP_ADD), 0);
	ck_assert_uint_eq(diff(NET_OP_DEL), 1);
	ck_assert_int_eq(op[0].what, NET_LINK);
	ck_assert_int_eq(op[0].ifindex, VMAC);
	struct net_op o = op[0];
	see(base(OTHER, "lan0"));
	netstate_done(&ns, &o, 0, now);
	netstate_link_gone(&ns, VMAC);
	ck_assert_uint_eq(diff(NET_OP_ADD), 1);
	ck_assert_int_eq(op[0].ifindex, OTHER);
}
END_TEST

/* An interface of that name which we did not make: never touched, and no address is put on it. */
START_TEST(test_foreign_name)
{
	struct net_link f = vmac(VMAC, BASE, true);
	f.group = 0;
	see(f);
	ck_assert_uint_eq(diff(NET_OP_DEL), 0);
	ck_assert_uint_eq(diff(NET_OP_ADD), 1);
	struct net_op o = op[0];
	netstate_done(&ns, &o, -EEXIST, now);
	ck_assert_int_eq(netstate_status(&ns, NET_STATIC).state, NET_PARTIAL);
	ck_assert(!netstate_link_ours(&ns, "vrrp.10"));
	netstate_group_set(&ns, 0, NET_UP);
	quiet();
	netstate_end(&ns);
	ck_assert_uint_eq(diff(NET_OP_DEL), 0);
	ck_assert(netstate_ended(&ns));
}
END_TEST

START_TEST(test_declared_no_longer)
{
	made();
	ck_assert(netstate_link_ours(&ns, "vrrp.10"));
	declare(false);
	ck_assert_uint_eq(diff(NET_OP_DEL), 1);
	ck_assert_int_eq(op[0].what, NET_LINK);
}
END_TEST

START_TEST(test_marked_by_somebody_else)
{
	ck_assert_uint_eq(netstate_links_marked(&ns), 0);
	made();
	ck_assert_uint_eq(netstate_links_marked(&ns), 1);
	struct net_link other = base(OTHER, "other0");
	other.group = NET_MARK;
	see(other);
	ck_assert_uint_eq(netstate_links_marked(&ns), 0); /* not to be deleted by the mark alone */
	netstate_link_gone(&ns, OTHER);
	ck_assert_uint_eq(netstate_links_marked(&ns), 1);
}
END_TEST

START_TEST(test_end)
{
	made();
	netstate_end(&ns);
	ck_assert(!netstate_ended(&ns));
	ck_assert_uint_eq(diff(NET_OP_DEL), 1);
	struct net_op o = op[0];
	netstate_done(&ns, &o, 0, now);
	ck_assert(!netstate_ended(&ns));
	netstate_link_gone(&ns, VMAC);
	quiet();
	ck_assert(netstate_ended(&ns));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("netstate_link");
	TCase *t = tcase_create("all");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_made_down_from_the_start);
	tcase_add_test(t, test_order);
	tcase_add_test(t, test_up_on_a_backup_goes_down);
	tcase_add_test(t, test_deleted_by_somebody);
	tcase_add_test(t, test_device_missing_without_an_event);
	tcase_add_test(t, test_base_away_and_back);
	tcase_add_test(t, test_base_renamed);
	tcase_add_test(t, test_foreign_name);
	tcase_add_test(t, test_declared_no_longer);
	tcase_add_test(t, test_marked_by_somebody_else);
	tcase_add_test(t, test_end);
	suite_add_tcase(s, t);
	return unit_run(s);
}
