/*
 * Listings, imports and the wake-up against the kernel, in a network namespace of its own. Where the kernel has no ESP no
 * SA with keys can be made: tests/vm has those. Larval ones, made by `ip`, are enough for what is counted and spared.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include "daemon/base/clock.h"
#include "ike-hooks/sa_io.h"
#include "ike-hooks/sa_lock.h"
#include "ike-hooks/xfrm_io.h"
#include "tests/unit/sa_util.h"

#define VIP  "203.0.113.1"
#define PEER "203.0.113.9"

static uint8_t *room;
static struct sa_copy *list;
static struct sa_bridge places[8];
static struct sa_bridges bridges;
static const uint8_t print_key[SA_PRINT_KEY];

static void set_up(void)
{
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	room = sa_lock_alloc(1, SA_ROOM_SIZE);
	list = sa_lock_alloc(8, sizeof(*list));
	ck_assert(room && list);
	bridges = (struct sa_bridges){ .list = places, .cap = 8 };
}

static void tear_down(void)
{
	sa_lock_free(room);
	sa_lock_free(list);
}

static void larval(const char *src, const char *dst, uint32_t spi)
{
	char command[200];

	snprintf(command, sizeof(command),
		 "ip xfrm state allocspi src %s dst %s proto esp mode tunnel min 0x%x max 0x%x >/dev/null", src, dst,
		 spi, spi);
	ck_assert_int_eq(system(command), 0);
}

static int scan(struct sa_scan *s, const struct sa_pair *pairs, unsigned n)
{
	*s = (struct sa_scan){ .pairs = pairs,
			       .n_pairs = n,
			       .bridges = &bridges,
			       .print_key = print_key,
			       .room = room,
			       .list = list,
			       .cap = 8 };
	return sa_scan(s);
}

START_TEST(only_listed_pairs_are_counted)
{
	struct sa_pair pairs[2] = { { .vip = A(VIP), .peer = A(PEER) }, { .vip = A("2001:db8::1") } };
	struct sa_scan s;

	ck_assert_int_lt(sa_pair_cmp(&pairs[0], &pairs[1]), 0);
	ck_assert_int_eq(scan(&s, pairs, 2), 0);
	ck_assert(s.n == 0 && s.drops[SA_DROP_LARVAL] == 0);
	larval(PEER, VIP, 0x1001);
	larval("203.0.113.8", VIP, 0x1002);           /* of no listed tunnel */
	larval(VIP, PEER, 0x1003);                    /* outbound */
	larval(PEER, "203.0.113.2", 0x1004);          /* another address */
	larval("2001:db8::9", "2001:db8::1", 0x1005); /* any peer */
	ck_assert_int_eq(scan(&s, pairs, 2), 0);
	ck_assert(s.n == 0 && s.drops[SA_DROP_LARVAL] == 2 && !s.repeat);
	/* What works with keys leaves nothing behind. */
	for (size_t i = 0; i < SA_ROOM_SIZE; i++)
		ck_assert_uint_eq(room[i], 0);
	static const struct sa_copy none;
	for (unsigned i = 0; i < 8; i++)
		ck_assert_mem_eq(&list[i], &none, sizeof(none));
}
END_TEST

static uint32_t sweep(const char *vip, const struct sa_bridges *spare)
{
	struct xfrm_filter f = { .vip = A(vip) };
	struct xfrm_scan *s = xfrm_scan_new(&f, false, 64);

	xfrm_scan_spare(s, spare);
	ck_assert_int_eq(xfrm_scan_run(s, XFRM_SWEEP_NS), 0);
	uint32_t n = xfrm_scan_result(s)->deleted;
	xfrm_scan_free(s);
	return n;
}

START_TEST(sweeps_spare_bridges)
{
	struct sa_copy mine = sa_gcm(1, 0x2001);
	struct addr vip = A(VIP);

	larval(PEER, VIP, 0x2001);
	larval(PEER, VIP, 0x2002);
	ck_assert(sa_bridge_add(&bridges, &mine, clock_mono()));
	ck_assert_uint_eq(sweep(VIP, &bridges), 1);
	ck_assert_uint_eq(sweep(VIP, &bridges), 0);
	/* It goes when its role does; once more there is nothing to do. */
	ck_assert_int_eq(sa_remove(&bridges, &vip, room), 1);
	ck_assert_uint_eq(bridges.n, 0);
	ck_assert_int_eq(sa_remove(&bridges, &vip, room), 0);
	ck_assert_uint_eq(sweep(VIP, NULL), 0);
}
END_TEST

START_TEST(a_bridge_ends_with_the_listing)
{
	struct sa_pair pair = { .vip = A(VIP), .peer = A(PEER) };
	struct sa_copy old = sa_gcm(1, 0x3001), gone = sa_gcm(2, 0x3002), young = sa_gcm(3, 0x3003);
	struct sa_scan s;

	larval(PEER, VIP, 0x3001);
	larval(PEER, VIP, 0x3003);
	ck_assert(sa_bridge_add(&bridges, &old, mono_add(clock_mono(), -SA_BRIDGE_NS)));
	ck_assert(sa_bridge_add(&bridges, &gone, clock_mono()));
	ck_assert(sa_bridge_add(&bridges, &young, clock_mono()));
	ck_assert_int_eq(scan(&s, &pair, 1), 0);
	ck_assert(s.ended == 2 && bridges.n == 1 && bridges.list[0].sa.spi == 0x3003);
	ck_assert(bridges.count.late == 1 && bridges.count.gone == 1);
	ck_assert_uint_eq(s.drops[SA_DROP_LARVAL], 0); /* bridges are no own SAs */
	ck_assert_uint_eq(sweep(VIP, NULL), 1);
}
END_TEST

/* What the kernel can do decides whether a copy is installed; each one is accounted for. */
START_TEST(imports_are_accounted_for)
{
	struct sa_import im = { .list = list, .n = 3, .bridges = &bridges, .room = room };

	list[0] = sa_gcm(1, 0x4001);
	list[1] = sa_gcm(2, 0x4002);
	list[1].left_s = SA_MARGIN_S; /* over */
	list[2] = sa_gcm(3, 0x4003);
	(void)sa_import(&im);
	ck_assert_uint_eq(im.over, 1);
	ck_assert_uint_eq(im.installed + im.failed + im.clashed, 2);
	ck_assert_uint_eq(bridges.n, im.installed);
	ck_assert(im.failed == 0 || im.last_error < 0);
	/* No room to remember it: then it is not installed. */
	bridges.cap = bridges.n;
	im = (struct sa_import){ .list = list, .n = 1, .bridges = &bridges, .room = room };
	ck_assert_int_eq(sa_import(&im), 0);
	ck_assert(im.over == 1 && im.installed == 0);
}
END_TEST

START_TEST(policies_are_read)
{
	static struct xfrm_ask asks[16];
	struct xfrm_sa sa = { .src = A(PEER), .dst = A(VIP), .spi = 1, .reqid = 7 };
	unsigned n = 0;

	ck_assert_int_eq(sa_policies(asks, 16, &n, room), 0);
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(
	    system("for d in in fwd out; do ip xfrm policy add src 10.2.0.0/16 dst 10.1.0.0/16 dir $d tmpl "
		   "src " PEER " dst " VIP " proto esp mode tunnel reqid 7; done"),
	    0);
	ck_assert_int_eq(sa_policies(asks, 16, &n, room), 0);
	ck_assert_uint_eq(n, 2);
	ck_assert_int_eq(sa_policy_judge(asks, n, &sa), SA_POLICY_FITS);
	sa.reqid = 8;
	ck_assert_int_eq(sa_policy_judge(asks, n, &sa), SA_POLICY_OTHER_REQID);
}
END_TEST

static void changed(void *arg)
{
	++*(unsigned *)arg;
}

START_TEST(a_change_wakes_up)
{
	struct loop *l = loop_new("test");
	unsigned n = 0;
	struct sa_hint *h = sa_hint_new(l, changed, &n);

	ck_assert(l && h);
	loop_once(l, 0);
	ck_assert_uint_eq(n, 0);
	larval(PEER, VIP, 0x5001);
	ck_assert_uint_eq(sweep(VIP, NULL), 1);
	mono_t until = mono_add(clock_mono(), 5 * NS_PER_SEC);
	while (!n && mono_before(clock_mono(), until))
		loop_once(l, 100 * NS_PER_MS);
	ck_assert_uint_ge(n, 1);
	sa_hint_free(h);
	sa_hint_free(NULL);
	loop_free(l);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sa_io");
	TCase *t = tcase_create("kernel");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, only_listed_pairs_are_counted);
	tcase_add_test(t, sweeps_spare_bridges);
	tcase_add_test(t, a_bridge_ends_with_the_listing);
	tcase_add_test(t, imports_are_accounted_for);
	tcase_add_test(t, policies_are_read);
	tcase_add_test(t, a_change_wakes_up);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
