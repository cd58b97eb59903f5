/* Interfaces of virtual MACs: bytes as ip-link(8) sends them, what the kernel tells about them, cuts at every byte. */
#include <check.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/rtnl_link.h"
#include "daemon/rtnl_wire.h"
#include "tests/unit/run.h"

static _Alignas(4) uint8_t buf[256];

static struct rtnl_link macvlan(void)
{
	struct rtnl_link l = { .kind = NET_LINK_MACVLAN, .name = "vrrp.10", .base = 4 };
	rtnl_link_vmac(l.mac, ADDR_V4, 10);
	return l;
}

/* RFC 9568 section 7.3 */
START_TEST(test_vmac)
{
	static const uint8_t v4[] = { 0, 0, 0x5e, 0, 1, 10 }, v6[] = { 0, 0, 0x5e, 0, 2, 255 };
	uint8_t mac[6];
	rtnl_link_vmac(mac, ADDR_V4, 10);
	ck_assert_mem_eq(mac, v4, 6);
	rtnl_link_vmac(mac, ADDR_V6, 255);
	ck_assert_mem_eq(mac, v6, 6);
}
END_TEST

START_TEST(test_add_bytes)
{
	static const uint8_t tail[] = {
		12, 0, 3,  0, 'v', 'r', 'r',  'p', '.', '1', '0', 0, /* IFLA_IFNAME */
		8,  0, 5,  0, 4,   0,   0,    0,                     /* IFLA_LINK */
		8,  0, 27, 0, 18,  0,   0,    0,                     /* IFLA_GROUP, our mark */
		10, 0, 1,  0, 0,   0,   0x5e, 0,   1,   10,  0,   0, /* IFLA_ADDRESS */
		28, 0, 18, 0,                                        /* IFLA_LINKINFO */
		12, 0, 1,  0, 'm', 'a', 'c',  'v', 'l', 'a', 'n', 0, /* IFLA_INFO_KIND */
		12, 0, 2,  0, 8,   0,   1,    0,   4,   0,   0,   0, /* IFLA_INFO_DATA, bridge */
	};
	struct rtnl_link l = macvlan();
	size_t len = rtnl_link_create(buf, sizeof(buf), &l, 7, true), head = NLMSG_HDRLEN + sizeof(struct ifinfomsg);
	struct nlmsghdr h;
	struct ifinfomsg ifi;
	memcpy(&h, buf, sizeof(h));
	memcpy(&ifi, buf + NLMSG_HDRLEN, sizeof(ifi));
	ck_assert_uint_eq(len, head + sizeof(tail));
	ck_assert_uint_eq(h.nlmsg_len, len);
	ck_assert_uint_eq(h.nlmsg_type, RTM_NEWLINK);
	ck_assert_uint_eq(h.nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
	ck_assert_uint_eq(h.nlmsg_seq, 7);
	ck_assert_uint_eq(ifi.ifi_flags, 0);
	ck_assert_uint_eq(ifi.ifi_change, 0); /* it is made DOWN */
	ck_assert_mem_eq(buf + head, tail, sizeof(tail));
}
END_TEST

START_TEST(test_ipvlan_bytes)
{
	static const uint8_t tail[] = { 24, 0, 18, 0, 11, 0, 1, 0, 'i', 'p', 'v', 'l', 'a', 'n',
					0,  0, 12, 0, 2,  0, 6, 0, 1,   0,   0,   0,   0,   0 };
	struct rtnl_link l = { .kind = NET_LINK_IPVLAN, .name = "vrrp.10", .base = 4 };
	size_t len = rtnl_link_create(buf, sizeof(buf), &l, 7, false);
	ck_assert_uint_gt(len, sizeof(tail));
	/* IFLA_LINKINFO is 4 + 12 + 12 long: lengths of inner attributes are padded in it */
	ck_assert_uint_eq(buf[len - 28], 28);
	ck_assert_mem_eq(buf + len - 27, tail + 1, 27);
	struct nlmsghdr h;
	memcpy(&h, buf, sizeof(h));
	ck_assert_uint_eq(h.nlmsg_flags, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL);
}
END_TEST

START_TEST(test_round_trip)
{
	for (unsigned kind = NET_LINK_MACVLAN; kind <= NET_LINK_IPVLAN; kind++) {
		struct rtnl_link l = macvlan();
		struct rtnl_event ev;
		size_t used;
		l.kind = (enum net_link_kind)kind;
		memset(l.name, 'x', sizeof(l.name) - 1); /* the longest name */
		size_t len = rtnl_link_create(buf, sizeof(buf), &l, 7, true);
		ck_assert_uint_gt(len, 0);
		ck_assert_uint_le(len, RTNL_LINK_MSG_MAX);
		for (size_t cap = 0; cap < len; cap++)
			ck_assert_uint_eq(rtnl_link_create(buf, cap, &l, 7, true), 0);
		rtnl_link_create(buf, sizeof(buf), &l, 7, true);
		struct ifinfomsg ifi = { .ifi_index = 9 }; /* the kernel's copy has an index */
		memcpy(buf + NLMSG_HDRLEN, &ifi, sizeof(ifi));
		ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_OK);
		ck_assert_int_eq(ev.link.kind, l.kind);
		ck_assert_int_eq(ev.link.base, 4);
		ck_assert_str_eq(ev.link.name, l.name);
		ck_assert(rtnl_link_is(&ev.link, &l));
		struct rtnl_link other = l;
		other.base = 5;
		ck_assert(!rtnl_link_is(&ev.link, &other));
		other = l;
		other.kind = kind == NET_LINK_MACVLAN ? NET_LINK_IPVLAN : NET_LINK_MACVLAN;
		ck_assert(!rtnl_link_is(&ev.link, &other));
		other = l;
		other.mac[5]++;
		ck_assert_int_eq(rtnl_link_is(&ev.link, &other), kind == NET_LINK_IPVLAN);
		ev.link.mac_len = 0;
		ck_assert_int_eq(rtnl_link_is(&ev.link, &l), kind == NET_LINK_IPVLAN);
	}
}
END_TEST

START_TEST(test_refused)
{
	struct rtnl_link l = macvlan();
	l.base = 0;
	ck_assert_uint_eq(rtnl_link_create(buf, sizeof(buf), &l, 1, true), 0);
	l = macvlan();
	l.name[0] = '\0';
	ck_assert_uint_eq(rtnl_link_create(buf, sizeof(buf), &l, 1, true), 0);
	memset(l.name, 'x', sizeof(l.name));
	ck_assert_uint_eq(rtnl_link_create(buf, sizeof(buf), &l, 1, true), 0);
	l = macvlan();
	l.kind = NET_LINK_VRF;
	ck_assert_uint_eq(rtnl_link_create(buf, sizeof(buf), &l, 1, true), 0);
	l.kind = NET_LINK_PLAIN;
	ck_assert_uint_eq(rtnl_link_create(buf, sizeof(buf), &l, 1, true), 0);
	ck_assert_uint_eq(rtnl_link_del(buf, sizeof(buf), 0, 1, true), 0);
}
END_TEST

START_TEST(test_del)
{
	size_t len = rtnl_link_del(buf, sizeof(buf), 9, 3, true);
	struct nlmsghdr h;
	struct ifinfomsg ifi;
	memcpy(&h, buf, sizeof(h));
	memcpy(&ifi, buf + NLMSG_HDRLEN, sizeof(ifi));
	ck_assert_uint_eq(len, 32);
	ck_assert_uint_eq(h.nlmsg_type, RTM_DELLINK);
	ck_assert_uint_eq(h.nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK);
	ck_assert_int_eq(ifi.ifi_index, 9);
	for (size_t cap = 0; cap < len; cap++)
		ck_assert_uint_eq(rtnl_link_del(buf, cap, 9, 3, true), 0);
}
END_TEST

START_TEST(test_del_group)
{
	static const uint8_t tail[] = { 8, 0, 27, 0, 18, 0, 0, 0 };
	size_t len = rtnl_link_del_group(buf, sizeof(buf), 18, 3, true);
	struct nlmsghdr h;
	memcpy(&h, buf, sizeof(h));
	ck_assert_uint_eq(len, 40);
	ck_assert_uint_eq(h.nlmsg_type, RTM_DELLINK);
	ck_assert_mem_eq(buf + 32, tail, sizeof(tail));
	for (size_t cap = 0; cap < len; cap++)
		ck_assert_uint_eq(rtnl_link_del_group(buf, cap, 18, 3, true), 0);
	ck_assert_uint_eq(rtnl_link_del_group(buf, sizeof(buf), 0, 3, true), 0);
}
END_TEST

START_TEST(test_mtu)
{
	static const uint8_t tail[] = { 8, 0, 4, 0, 0x78, 5, 0, 0 };
	size_t len = rtnl_link_mtu(buf, sizeof(buf), 9, 1400, 3, false);
	struct ifinfomsg ifi;
	memcpy(&ifi, buf + NLMSG_HDRLEN, sizeof(ifi));
	ck_assert_uint_eq(len, 40);
	ck_assert_int_eq(ifi.ifi_index, 9);
	ck_assert_mem_eq(buf + 32, tail, sizeof(tail));
	for (size_t cap = 0; cap < len; cap++)
		ck_assert_uint_eq(rtnl_link_mtu(buf, cap, 9, 1400, 3, false), 0);
	ck_assert_uint_eq(rtnl_link_mtu(buf, sizeof(buf), 0, 1400, 3, false), 0);
	static const uint8_t vrf[] = { 8, 0, 10, 0, 7, 0, 0, 0 };
	ck_assert_uint_eq(rtnl_link_master(buf, sizeof(buf), 9, 7, 3, false), 40);
	ck_assert_mem_eq(buf + 32, vrf, sizeof(vrf));
}
END_TEST

/* Each cut of the nested attributes, in a buffer of exactly that size (the sanitizer sees a byte too many). */
START_TEST(test_info_cuts)
{
	static const uint8_t info[] = { 12, 0, 1, 0, 'm', 'a', 'c', 'v', 'l', 'a', 'n', 0,
					12, 0, 2, 0, 8,   0,   1,   0,   1,   0,   0,   0 };
	for (size_t n = 0; n <= sizeof(info); n++) {
		struct net_link l = { .kind = NET_LINK_PLAIN };
		uint8_t *cut = malloc(n ? n : 1);
		memcpy(cut, info, n);
		bool whole = n < 4 || (n >= 12 && n < 16) || n == sizeof(info); /* fewer than a header: padding */
		ck_assert_int_eq(rtnl_link_attr(IFLA_LINKINFO, cut, n, &l), whole);
		ck_assert_int_eq(l.kind, n >= 12 ? NET_LINK_MACVLAN : NET_LINK_PLAIN);
		free(cut);
	}
}
END_TEST

START_TEST(test_attr_values)
{
	static const uint8_t veth[] = { 9, 0, 1, 0, 'v', 'e', 't', 'h', 0 };
	static const uint8_t no_nul[] = { 11, 0, 1, 0, 'm', 'a', 'c', 'v', 'l', 'a', 'n' };
	static const uint8_t longer[] = { 13, 0, 1, 0, 'm', 'a', 'c', 'v', 'l', 'a', 'n', 'x', 0 };
	static const uint8_t far[] = { 0xff, 0xff, 0xff, 0xff }, three[] = { 1, 0, 0 };
	struct net_link l = { .kind = NET_LINK_IPVLAN, .base = 3 };
	ck_assert(rtnl_link_attr(IFLA_LINKINFO, veth, sizeof(veth), &l));
	ck_assert_int_eq(l.kind, NET_LINK_PLAIN);
	ck_assert(rtnl_link_attr(IFLA_LINKINFO, no_nul, sizeof(no_nul), &l));
	ck_assert_int_eq(l.kind, NET_LINK_MACVLAN);
	ck_assert(rtnl_link_attr(IFLA_LINKINFO, longer, sizeof(longer), &l));
	ck_assert_int_eq(l.kind, NET_LINK_PLAIN);
	static const uint8_t vrf[] = { 8, 0, 1, 0, 'v', 'r', 'f', 0 }, seven[] = { 7, 0, 0, 0 };
	ck_assert(rtnl_link_attr(IFLA_LINKINFO, vrf, sizeof(vrf), &l));
	ck_assert_int_eq(l.kind, NET_LINK_VRF);
	ck_assert(rtnl_link_attr(IFLA_MASTER, seven, sizeof(seven), &l));
	ck_assert_int_eq(l.master, 7);
	ck_assert_int_eq(l.base, 3);
	ck_assert(!rtnl_link_attr(IFLA_MASTER, three, sizeof(three), &l));
	ck_assert(!rtnl_link_attr(IFLA_LINK, three, sizeof(three), &l));
	ck_assert_int_eq(l.base, 3);
	ck_assert(rtnl_link_attr(IFLA_LINK, far, sizeof(far), &l)); /* of another namespace */
	ck_assert_int_eq(l.base, 0);
	ck_assert(rtnl_link_attr(IFLA_MTU, three, sizeof(three), &l)); /* not ours to judge */
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rtnl_link");
	TCase *t = tcase_create("all");
	tcase_add_test(t, test_vmac);
	tcase_add_test(t, test_add_bytes);
	tcase_add_test(t, test_ipvlan_bytes);
	tcase_add_test(t, test_round_trip);
	tcase_add_test(t, test_refused);
	tcase_add_test(t, test_del);
	tcase_add_test(t, test_del_group);
	tcase_add_test(t, test_mtu);
	tcase_add_test(t, test_info_cuts);
	tcase_add_test(t, test_attr_values);
	suite_add_tcase(s, t);
	return unit_run(s);
}
