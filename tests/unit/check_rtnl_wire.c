/* rtnetlink codec: messages as the kernel lays them out, round trips, cuts at every byte, wrong lengths. */
#include <check.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/rtnl_wire.h"
#include "tests/unit/run.h"

static _Alignas(4) uint8_t buf[512];
static struct rtnl_event ev;
static size_t used;

static struct net_op op_v4(enum net_op_kind kind)
{
	return (struct net_op){ .kind = kind, .ifindex = 3, .addr = addr_v4(10, 0, 0, 10), .plen = 24 };
}

static struct net_op op_v6(enum net_op_kind kind)
{
	return (struct net_op){ .kind = kind,
				.what = NET_ADDR,
				.ifindex = 3,
				.addr = { ADDR_V6, { 0x20, 1, 0xd, 0xb8, [15] = 1 } },
				.plen = 64,
				.opt.flags = kind == NET_OP_ADD ? NET_A_NODAD : 0 };
}

START_TEST(test_addr_round_trip)
{
	for (unsigned v6 = 0; v6 < 2; v6++)
		for (unsigned kind = 0; kind < 2; kind++)
			for (unsigned mark = 0; mark < 2; mark++) {
				struct net_op op = v6 ? op_v6((enum net_op_kind)kind) : op_v4((enum net_op_kind)kind);
				size_t len = rtnl_wire_addr(buf, sizeof(buf), &op, 77, mark, true);
				ck_assert_uint_gt(len, 0);
				ck_assert_uint_le(len, RTNL_MSG_MAX);
				ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_OK);
				ck_assert_uint_eq(used, len);
				ck_assert_int_eq(ev.kind, kind == NET_OP_ADD ? RTNL_ADDR_SET : RTNL_ADDR_GONE);
				ck_assert_uint_eq(ev.seq, 77);
				ck_assert_int_eq(ev.addr.ifindex, 3);
				ck_assert(addr_eq(&ev.addr.addr, &op.addr));
				ck_assert_uint_eq(ev.addr.plen, op.plen);
				ck_assert_uint_eq(ev.addr.proto, mark && kind == NET_OP_ADD ? NET_MARK : 0);
				ck_assert_uint_eq(ev.addr.flags, v6 && kind == NET_OP_ADD ? NET_A_NODAD : 0);
				for (size_t cap = 0; cap < len; cap++)
					ck_assert_uint_eq(rtnl_wire_addr(buf, cap, &op, 77, mark, true), 0);
			}
}
END_TEST

START_TEST(test_addr_options)
{
	struct net_op op = op_v4(NET_OP_ADD);
	op.opt = (struct net_addr_opt){ .peer = addr_v4(10, 0, 0, 2),
					.broadcast = addr_v4(10, 0, 0, 255),
					.label = "eth0:vip",
					.scope = 253,
					.flags = NET_A_NOPREFIXROUTE | NET_A_AUTOJOIN,
					.limited = true };
	for (unsigned lft = 0; lft < 2; lft++) {
		op.opt.preferred_lft = lft * 77;
		size_t len = rtnl_wire_addr(buf, sizeof(buf), &op, 1, true, true);
		ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_OK);
		const struct net_addr_opt *got = &ev.addr.opt;
		ck_assert(addr_eq(&ev.addr.addr, &op.addr) && addr_eq(&got->peer, &op.opt.peer));
		ck_assert(addr_eq(&got->broadcast, &op.opt.broadcast));
		ck_assert_str_eq(got->label, "eth0:vip");
		ck_assert_uint_eq(got->scope, 253);
		ck_assert_uint_eq(got->flags, op.opt.flags);
		ck_assert(got->limited && got->preferred_lft == lft * 77);
		for (size_t cap = 0; cap < len; cap++)
			ck_assert_uint_eq(rtnl_wire_addr(buf, cap, &op, 1, true, true), 0);
	}
	/* the peer is part of what is deleted, nothing else is */
	op.kind = NET_OP_DEL;
	size_t len = rtnl_wire_addr(buf, sizeof(buf), &op, 1, true, false);
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_OK);
	ck_assert(addr_eq(&ev.addr.opt.peer, &op.opt.peer));
	ck_assert_str_eq(ev.addr.opt.label, "");
	ck_assert_uint_le(len, 96); /* the guardian's room */
}
END_TEST

/* The bytes by hand, as ip-address(8) sends them for the same address, and the mark. */
START_TEST(test_addr_bytes)
{
	static const uint8_t tail[] = { AF_INET, 24, 0, 0, 3,  0, 0, 0,  8, 0, 2,  0, 10, 0, 0, 10,
					8,       0,  1, 0, 10, 0, 0, 10, 5, 0, 11, 0, 18, 0, 0, 0 };
	struct net_op op = op_v4(NET_OP_ADD);
	size_t len = rtnl_wire_addr(buf, sizeof(buf), &op, 1, true, true);
	struct nlmsghdr h;
	memcpy(&h, buf, sizeof(h));
	ck_assert_uint_eq(h.nlmsg_len, len);
	ck_assert_uint_eq(h.nlmsg_type, RTM_NEWADDR);
	ck_assert_uint_eq(h.nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
	ck_assert_uint_eq(len, sizeof(h) + sizeof(tail));
	ck_assert_mem_eq(buf + sizeof(h), tail, sizeof(tail));
	op.kind = NET_OP_DEL;
	rtnl_wire_addr(buf, sizeof(buf), &op, 1, true, false);
	memcpy(&h, buf, sizeof(h));
	ck_assert_uint_eq(h.nlmsg_type, RTM_DELADDR);
	ck_assert_uint_eq(h.nlmsg_flags, NLM_F_REQUEST);
}
END_TEST

/* ---- a builder for what the kernel sends ---- */

static size_t put_header(uint16_t type, const void *body, size_t n)
{
	memset(buf, 0, sizeof(buf));
	struct nlmsghdr h = { .nlmsg_len = (uint32_t)(NLMSG_HDRLEN + NLMSG_ALIGN(n)), .nlmsg_type = type };
	memcpy(buf, &h, sizeof(h));
	memcpy(buf + NLMSG_HDRLEN, body, n);
	return h.nlmsg_len;
}

static size_t put_attr(size_t at, uint16_t type, const void *data, size_t n)
{
	struct nlattr a = { .nla_len = (uint16_t)(NLA_HDRLEN + n), .nla_type = type };
	memcpy(buf + at, &a, sizeof(a));
	memcpy(buf + at + NLA_HDRLEN, data, n);
	uint32_t len = (uint32_t)(at + NLA_HDRLEN + NLA_ALIGN(n));
	memcpy(buf, &len, sizeof(len));
	return len;
}

static size_t link_message(uint16_t type, int index, unsigned flags)
{
	static const uint8_t mac[] = { 2, 0, 0, 0, 0, 9 };
	uint32_t mtu = 1400;
	struct ifinfomsg ifi = { .ifi_type = 1, .ifi_index = index, .ifi_flags = flags };
	size_t len = put_header(type, &ifi, sizeof(ifi));
	len = put_attr(len, IFLA_IFNAME, "eth0", 5);
	len = put_attr(len, IFLA_ADDRESS, mac, sizeof(mac));
	return put_attr(len, IFLA_MTU, &mtu, sizeof(mtu));
}

START_TEST(test_link)
{
	size_t len = link_message(RTM_NEWLINK, 4, 0x1 | 0x10000);
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_OK);
	ck_assert_int_eq(ev.kind, RTNL_LINK_SET);
	ck_assert_int_eq(ev.link.index, 4);
	ck_assert_str_eq(ev.link.name, "eth0");
	ck_assert(ev.link.up && ev.link.carrier);
	ck_assert_uint_eq(ev.link.mtu, 1400);
	ck_assert_uint_eq(ev.link.mac_len, 6);
	ck_assert_uint_eq(ev.link.mac[5], 9);
	len = link_message(RTM_DELLINK, 4, 0);
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_OK);
	ck_assert_int_eq(ev.kind, RTNL_LINK_GONE);
	ck_assert(!ev.link.up && !ev.link.carrier);
	/* every cut is refused */
	len = link_message(RTM_NEWLINK, 4, 1);
	for (size_t i = 0; i < len; i++) {
		enum rtnl_drop d = rtnl_wire_parse(buf, i, &ev, &used);
		ck_assert_int_eq(d, i < sizeof(struct nlmsghdr) ? RTNL_D_SHORT : RTNL_D_LENGTH);
		ck_assert_uint_eq(used, i);
	}
	/* and every length in the header that cuts an attribute or leaves the link without a name */
	for (uint32_t i = sizeof(struct nlmsghdr); i < len; i++) {
		link_message(RTM_NEWLINK, 4, 1);
		memcpy(buf, &i, sizeof(i));
		enum rtnl_drop d = rtnl_wire_parse(buf, len, &ev, &used);
		if (d == RTNL_OK)
			ck_assert_str_eq(ev.link.name, "eth0");
		ck_assert_uint_eq(used, NLMSG_ALIGN(i));
	}
	/* an odd MAC (InfiniBand, tunnels) is no error */
	link_message(RTM_NEWLINK, 4, 1);
	len = put_attr(NLMSG_HDRLEN + sizeof(struct ifinfomsg), IFLA_ADDRESS, "12345678", 8);
	len = put_attr(len, IFLA_IFNAME, "ib0", 4);
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_OK);
	ck_assert_uint_eq(ev.link.mac_len, 0);
}
END_TEST

START_TEST(test_link_refused)
{
	const size_t at = NLMSG_HDRLEN + sizeof(struct ifinfomsg);
	struct ifinfomsg ifi = { .ifi_index = 4 };
	size_t len = put_header(RTM_NEWLINK, &ifi, sizeof(ifi));
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_D_NO_NAME);
	len = put_attr(at, IFLA_IFNAME, "0123456789abcdef", 17);
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_D_ATTR);
	len = put_attr(at, IFLA_IFNAME, "eth0", 4); /* no final zero */
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_D_ATTR);
	len = put_attr(at, IFLA_MTU, "12", 2);
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_D_ATTR);
	len = link_message(RTM_NEWLINK, 0, 0);
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_D_RANGE);
	/* the port of a bridge */
	len = link_message(RTM_DELLINK, 4, 0);
	buf[NLMSG_HDRLEN] = AF_BRIDGE;
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_OK);
	ck_assert_int_eq(ev.kind, RTNL_OTHER);
	/* an attribute shorter than its header */
	len = link_message(RTM_NEWLINK, 4, 0);
	buf[at] = 3;
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_D_ATTR);
}
END_TEST

static size_t addr_message(uint8_t family, uint8_t plen, uint32_t index)
{
	struct ifaddrmsg ifa = { .ifa_family = family, .ifa_prefixlen = plen, .ifa_index = index, .ifa_flags = 0x80 };
	return put_header(RTM_NEWADDR, &ifa, sizeof(ifa));
}

START_TEST(test_addr_from_kernel)
{
	const uint8_t peer[] = { 10, 0, 0, 2 }, own[] = { 10, 0, 0, 1 };
	uint32_t flags = 0x281;
	/* point to point: the own address is IFA_LOCAL, whatever the order */
	size_t len = addr_message(AF_INET, 32, 5);
	len = put_attr(len, IFA_ADDRESS, peer, 4);
	len = put_attr(len, IFA_LOCAL, own, 4);
	len = put_attr(len, IFA_FLAGS, &flags, 4);
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_OK);
	ck_assert_mem_eq(ev.addr.addr.b, own, 4);
	ck_assert_uint_eq(ev.addr.flags, flags);
	len = addr_message(AF_INET, 32, 5);
	len = put_attr(len, IFA_LOCAL, own, 4);
	len = put_attr(len, IFA_ADDRESS, peer, 4);
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_OK);
	ck_assert_mem_eq(ev.addr.addr.b, own, 4);
	ck_assert_uint_eq(ev.addr.flags, 0x80);
	/* refused */
	len = addr_message(AF_INET, 32, 5);
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_D_NO_ADDR);
	len = put_attr(len, IFA_ADDRESS, peer, 3);
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_D_ATTR);
	len = addr_message(AF_INET, 33, 5);
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_D_RANGE);
	len = addr_message(AF_INET6, 129, 5);
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_D_RANGE);
	len = addr_message(AF_INET, 32, 0);
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_D_RANGE);
	len = addr_message(AF_INET, 32, 0x80000000u);
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_D_RANGE);
	len = addr_message(AF_PACKET, 32, 5);
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_D_FAMILY);
	len = put_header(RTM_NEWADDR, "abc", 3);
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_D_SHORT);
	len = put_header(RTM_NEWLINK, "abc", 3);
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_D_SHORT);
	len = addr_message(AF_INET, 32, 5);
	len = put_attr(len, IFA_PROTO, "ab", 2);
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_D_ATTR);
}
END_TEST

START_TEST(test_control_messages)
{
	struct nlmsgerr err = { .error = -17 };
	size_t len = put_header(NLMSG_ERROR, &err, sizeof(err));
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_OK);
	ck_assert_int_eq(ev.kind, RTNL_RESULT);
	ck_assert_int_eq(ev.err, -17);
	int32_t code = 0;
	len = put_header(NLMSG_DONE, &code, sizeof(code));
	buf[6] = NLM_F_DUMP_INTR;
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_OK);
	ck_assert_int_eq(ev.kind, RTNL_DONE);
	ck_assert(ev.interrupted);
	code = 5;
	len = put_header(NLMSG_DONE, &code, sizeof(code));
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_D_RANGE);
	len = put_header(NLMSG_DONE, &code, 0);
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_D_SHORT);
	len = put_header(NLMSG_OVERRUN, &code, 0);
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_OK);
	ck_assert_int_eq(ev.kind, RTNL_OVERRUN);
	len = put_header(RTM_NEWNEIGH, &code, 4);
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_OK);
	ck_assert_int_eq(ev.kind, RTNL_OTHER);
	for (int d = RTNL_OK; d < RTNL_DROP_N; d++)
		ck_assert_uint_gt(strlen(rtnl_drop_text((enum rtnl_drop)d)), 1);
	ck_assert_str_eq(rtnl_drop_text(RTNL_DROP_N), "unknown");
}
END_TEST

START_TEST(test_requests)
{
	struct nlmsghdr h;
	struct ifinfomsg ifi;
	ck_assert_uint_gt(rtnl_wire_dump(buf, sizeof(buf), false, 9), 0);
	memcpy(&h, buf, sizeof(h));
	ck_assert_uint_eq(h.nlmsg_type, RTM_GETLINK);
	ck_assert_uint_eq(h.nlmsg_flags, NLM_F_REQUEST | NLM_F_DUMP);
	ck_assert_uint_gt(rtnl_wire_dump(buf, sizeof(buf), true, 9), 0);
	memcpy(&h, buf, sizeof(h));
	ck_assert_uint_eq(h.nlmsg_type, RTM_GETADDR);
	ck_assert_uint_eq(h.nlmsg_seq, 9);
	ck_assert_uint_eq(rtnl_wire_dump(buf, 10, true, 9), 0);
	for (int up = 0; up < 2; up++) {
		size_t len = rtnl_wire_link_up(buf, sizeof(buf), 6, up, 3, true);
		ck_assert_uint_eq(len, sizeof(h) + sizeof(ifi));
		memcpy(&ifi, buf + sizeof(h), sizeof(ifi));
		ck_assert_uint_eq(ifi.ifi_change, 1);
		ck_assert_uint_eq(ifi.ifi_flags, (unsigned)up);
		ck_assert_int_eq(ifi.ifi_index, 6);
	}
	ck_assert_uint_eq(rtnl_wire_link_up(buf, 20, 6, true, 3, true), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rtnl_wire");
	TCase *t = tcase_create("codec");
	tcase_add_test(t, test_addr_round_trip);
	tcase_add_test(t, test_addr_options);
	tcase_add_test(t, test_addr_bytes);
	tcase_add_test(t, test_link);
	tcase_add_test(t, test_link_refused);
	tcase_add_test(t, test_addr_from_kernel);
	tcase_add_test(t, test_control_messages);
	tcase_add_test(t, test_requests);
	suite_add_tcase(s, t);
	return unit_run(s);
}
