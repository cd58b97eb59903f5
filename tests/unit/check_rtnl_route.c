/* Messages about routes and rules: what is written is read as the same, and nothing is read behind the end. */
#include <check.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/rtnl_wire.h"
#include "tests/unit/run.h"

static uint8_t buf[RTNL_MSG_MAX];

static const char *const routes[] = {
	"default via 10.0.0.254 dev e0 src 10.0.0.10 metric 5",
	"10.1.0.0/16 via 10.0.0.1 dev e0 onlink table 70000 mtu lock 1400 advmss 1300 window 5 initcwnd 3 realms 1/2",
	"blackhole 10.2.0.0/16 table 100",
	"10.3.0.0/16 via inet6 fe80::1 dev e0",
	"10.4.0.0/16 nexthop via 10.0.0.1 weight 3 nexthop via 10.0.0.2 nexthop via inet6 fe80::2 dev e0",
	"2001:db8::/32 via fe80::1 dev e0",
	"::/0 nexthop via 2001:db8:1:2:3:4:5:1 dev a nexthop via 2001:db8:1:2:3:4:5:2 dev b",
};

static const char *const rules[] = {
	"from 10.0.0.0/8 to 10.1.0.0/16 iif e0 oif e1 fwmark 5/7 tos 16 ipproto 6 sport 1-2 dport 3 uidrange 4-5 pref "
	"6 "
	"lookup 70000 suppress_prefixlength 0 suppress_ifgroup 2",
	"not from 2001:db8:1:2:3:4:5:6/128 to 2001:db8:1:2:3:4:5:7/128 iif interface-15chr oif interface-16chr fwmark "
	"1 "
	"pref 9 goto 10",
	"inet6 priority 1000 l3mdev",
	"priority 3 prohibit",
};

#define N(a) (sizeof(a) / sizeof(*(a)))

static struct rtnl_route route_of(const char *text)
{
	struct rtnl_route r = { .proto = NET_MARK };
	char why[ROUTE_ERROR_MAX] = "";
	ck_assert_msg(route_text_route(text, 0, NULL, &r.r, why), "%s: %s", text, why);
	for (unsigned i = 0; i < r.r.n_hops; i++)
		r.oif[i] = r.r.hop[i].dev[0] ? 40 + (int)i : 0;
	return r;
}

static void each_prefix_refused(const uint8_t *msg, size_t len)
{
	for (size_t n = 0; n < len; n++) {
		struct rtnl_event ev;
		uint8_t *copy = malloc(n + 1);
		size_t used;
		ck_assert(copy != NULL);
		memcpy(copy, msg, n);
		if (n >= sizeof(struct nlmsghdr)) {
			uint32_t cut = (uint32_t)n;
			memcpy(copy, &cut, sizeof(cut));
		}
		rtnl_wire_parse(copy, n, &ev, &used);
		ck_assert_uint_le(used, n);
		free(copy);
	}
}

START_TEST(test_routes)
{
	for (unsigned i = 0; i < N(routes); i++) {
		struct rtnl_route r = route_of(routes[i]);
		struct rtnl_event ev;
		size_t used, len = rtnl_route_create(buf, sizeof(buf), &r, 9, true);
		ck_assert_uint_gt(len, 0);
		ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_OK);
		ck_assert_int_eq(ev.kind, RTNL_ROUTE_SET);
		ck_assert_uint_eq(ev.seq, 9);
		const struct route *got = &ev.route.r;
		ck_assert_uint_eq(ev.route.proto, NET_MARK);
		ck_assert(addr_eq(&got->dst, &r.r.dst) && got->plen == r.r.plen && got->table == r.r.table);
		ck_assert(got->metric == r.r.metric && got->type == r.r.type && addr_eq(&got->src, &r.r.src));
		ck_assert_uint_eq(got->n_hops, r.r.n_hops);
		for (unsigned k = 0; k < got->n_hops; k++) {
			ck_assert(addr_eq(&got->hop[k].via, &r.r.hop[k].via));
			ck_assert_int_eq(ev.route.oif[k], r.oif[k]);
			ck_assert_uint_eq(got->hop[k].weight, r.r.hop[k].weight);
			ck_assert_int_eq(got->hop[k].onlink, r.r.hop[k].onlink);
		}
		for (size_t cap = 0; cap < len; cap++)
			ck_assert_uint_eq(rtnl_route_create(buf, cap, &r, 9, true), 0);
		len = rtnl_route_create(buf, sizeof(buf), &r, 9, true);
		each_prefix_refused(buf, len);
		/* a deletion names the mark and fits the guardian's room */
		len = rtnl_route_del(buf, sizeof(buf), &r, 9, false);
		ck_assert_uint_le(len, 128);
		ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_OK);
		ck_assert_int_eq(ev.kind, RTNL_ROUTE_GONE);
		ck_assert_uint_eq(ev.route.proto, NET_MARK);
	}
}
END_TEST

START_TEST(test_rules)
{
	for (unsigned i = 0; i < N(rules); i++) {
		struct rule r;
		struct rtnl_event ev;
		char why[ROUTE_ERROR_MAX] = "", want[ROUTE_TEXT_MAX], got[ROUTE_TEXT_MAX];
		ck_assert_msg(route_text_rule(rules[i], 0, NULL, &r, why), "%s: %s", rules[i], why);
		size_t used, len = rtnl_rule_create(buf, sizeof(buf), &r, 9, true);
		ck_assert_uint_gt(len, 0);
		ck_assert_uint_le(len, 256); /* the guardian's room */
		ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_OK);
		ck_assert_int_eq(ev.kind, RTNL_RULE_SET);
		ck_assert_uint_eq(ev.rule.proto, NET_MARK);
		ck_assert_str_eq(route_text_print_rule(&ev.rule.r, got), route_text_print_rule(&r, want));
		for (size_t cap = 0; cap < len; cap++)
			ck_assert_uint_eq(rtnl_rule_create(buf, cap, &r, 9, true), 0);
		len = rtnl_rule_create(buf, sizeof(buf), &r, 9, true);
		each_prefix_refused(buf, len);
		len = rtnl_rule_del(buf, sizeof(buf), &r, 9, false);
		ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_OK);
		ck_assert_int_eq(ev.kind, RTNL_RULE_GONE);
	}
}
END_TEST

START_TEST(test_others)
{
	struct rtnl_event ev;
	size_t used;
	struct rtnl_route r = route_of(routes[0]);
	size_t len = rtnl_route_create(buf, sizeof(buf), &r, 9, true);
	buf[NLMSG_HDRLEN] = 28; /* AF_MPLS: nothing of ours */
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_OK);
	ck_assert_int_eq(ev.kind, RTNL_OTHER);
	len = rtnl_route_create(buf, sizeof(buf), &r, 9, true);
	buf[NLMSG_HDRLEN + 1] = 33; /* prefix length */
	ck_assert_int_eq(rtnl_wire_parse(buf, len, &ev, &used), RTNL_D_ATTR);
	len = rtnl_route_dump(buf, sizeof(buf), ADDR_V4, false, 3);
	struct rtmsg h;
	memcpy(&h, buf + NLMSG_HDRLEN, sizeof(h));
	ck_assert_uint_eq(h.rtm_protocol, NET_MARK);
	ck_assert_uint_eq(len, NLMSG_HDRLEN + sizeof(h));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rtnl_route");
	TCase *t = tcase_create("codec");
	tcase_add_test(t, test_routes);
	tcase_add_test(t, test_rules);
	tcase_add_test(t, test_others);
	suite_add_tcase(s, t);
	return unit_run(s);
}
