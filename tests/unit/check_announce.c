/* Every rule of the announcement scheduler on a virtual clock. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "vrrp/announce.h"
#include "tests/unit/run.h"

enum { INSTS = 4, MANY = 4096 };
#define MS(n)  ((n)*NS_PER_MS)
#define SEC(n) ((n)*NS_PER_SEC)

struct holder {
	char before[3];
	struct announce_inst inst;
};

static struct vrrp_vip vips[MANY];
static struct vrrp_conf conf[INSTS];
static struct holder holder[INSTS];
static struct announce a;
static mono_t now;

/* What was announced: by instance and address, with the instants of the first ones. */
static unsigned count[INSTS][MANY], total[INSTS], extras[INSTS];
static mono_t when[4096];
static unsigned n_when;

static void forget(void)
{
	memset(count, 0, sizeof(count));
	memset(total, 0, sizeof(total));
	memset(extras, 0, sizeof(extras));
	n_when = 0;
}

static void init(void)
{
	now = (mono_t){ SEC(1000) };
	memset(holder, 0, sizeof(holder));
	for (unsigned k = 0; k < MANY; k++)
		vips[k] = (struct vrrp_vip){ .addr = addr_v4(10, 1, (uint8_t)(k >> 8), (uint8_t)k), .plen = 16 };
	for (unsigned i = 0; i < INSTS; i++) {
		conf[i] = (struct vrrp_conf){ .vips = vips,
					      .n_vips = 3,
					      .adv_ns = MS(100),
					      .garp_repeat = 5,
					      .garp_delay_ns = SEC(5),
					      .garp_refresh_repeat = 1,
					      .garp_lower_repeat = 2,
					      .garp_lower_delay_ns = SEC(4) };
		holder[i].inst.conf = &conf[i];
	}
	announce_init(&a, &holder[0].inst, sizeof(holder[0]), INSTS);
	forget();
}

static void take_note(const struct announce_item *it)
{
	count[it->inst][it->vip]++;
	total[it->inst]++;
	extras[it->inst] += it->extra;
	if (n_when < sizeof(when) / sizeof(when[0]))
		when[n_when++] = now;
}

/* Lets time pass; every announcement goes out when it is due. */
static void pass(int64_t ns)
{
	mono_t end = mono_add(now, ns);
	for (unsigned turns = 0;; turns++) {
		struct announce_item it;
		ck_assert_uint_lt(turns, 100000);
		now = mono_max(now, mono_min(announce_deadline(&a), end));
		while (announce_next(&a, now, &it))
			take_note(&it);
		if (mono_before(end, announce_deadline(&a)))
			break;
	}
	now = end;
}

static void added(uint16_t inst, unsigned n)
{
	for (unsigned k = 0; k < n; k++)
		ck_assert(announce_added(&a, inst, now));
}

START_TEST(takeover)
{
	added(0, 3);
	pass(MS(15));
	ck_assert_uint_eq(total[0], 0); /* the first round went out with the acknowledgements */
	pass(SEC(1));
	for (unsigned k = 0; k < 3; k++)
		ck_assert_uint_eq(count[0][k], 4);
	ck_assert_int_eq(mono_sub(when[0], now), MS(20) - MS(1015));
	ck_assert_int_eq(mono_sub(when[3], when[0]), ANNOUNCE_GAP_NS);
	pass(SEC(3));
	ck_assert_uint_eq(total[0], 12);
	pass(SEC(2));
	for (unsigned k = 0; k < 3; k++)
		ck_assert_uint_eq(count[0][k], 9);
	pass(SEC(3600));
	ck_assert_uint_eq(total[0], 27);
	ck_assert(mono_is_never(announce_deadline(&a)));
	ck_assert_uint_eq(total[1], 0);
}
END_TEST

START_TEST(no_second_round)
{
	conf[0].garp_delay_ns = 0;
	added(0, 3);
	pass(SEC(100));
	ck_assert_uint_eq(total[0], 12);
}
END_TEST

START_TEST(one_announcement_is_enough)
{
	conf[0].garp_repeat = 1;
	conf[0].garp_delay_ns = 0;
	added(0, 3);
	pass(SEC(100));
	ck_assert_uint_eq(total[0], 0);
	conf[1].garp_repeat = 1;
	added(1, 3);
	pass(SEC(100));
	ck_assert_uint_eq(total[1], 3); /* the second burst */
}
END_TEST

/* The kernel takes its time: the second round follows the last acknowledgement of the first. */
START_TEST(slow_kernel)
{
	for (unsigned k = 0; k < 3; k++) {
		added(0, 1);
		pass(MS(15));
	}
	ck_assert_uint_eq(total[0], 0);
	pass(MS(6));
	ck_assert_uint_eq(total[0], 3);
}
END_TEST

START_TEST(restored_later)
{
	added(0, 3);
	pass(SEC(60));
	forget();
	added(0, 1); /* somebody deleted it, we put it back */
	pass(SEC(60));
	for (unsigned k = 0; k < 3; k++)
		ck_assert_uint_eq(count[0][k], 9);
}
END_TEST

START_TEST(adopted)
{
	announce_all(&a, 0, now);
	pass(0);
	ck_assert_uint_eq(total[0], 3); /* at once, nothing was acknowledged */
	pass(SEC(60));
	ck_assert_uint_eq(total[0], 30);
}
END_TEST

/* The kernel's events were faster than its answers: no address is announced once more than configured. */
START_TEST(acknowledged_after_all)
{
	announce_all(&a, 0, now);
	pass(MS(2));
	for (unsigned k = 0; k < 3; k++)
		ck_assert(!announce_added(&a, 0, now));
	pass(SEC(1));
	ck_assert_uint_eq(total[0], 15);
	ck_assert(announce_added(&a, 0, now)); /* restored by us: that is another matter */
	announce_end(&a, 0);
	ck_assert(announce_added(&a, 0, now));
}
END_TEST

START_TEST(refresh)
{
	conf[0].garp_refresh_ns = SEC(10);
	conf[0].garp_refresh_repeat = 2;
	added(0, 3);
	pass(SEC(9));
	forget();
	pass(SEC(2));
	ck_assert_uint_eq(total[0], 6);
	pass(SEC(10));
	ck_assert_uint_eq(total[0], 12);
	announce_end(&a, 0);
	pass(SEC(100));
	ck_assert_uint_eq(total[0], 12);
}
END_TEST

/* Once for a lower router, again when it is silent, and after the delay. */
START_TEST(lower_router)
{
	added(0, 3);
	pass(SEC(60));
	forget();
	announce_lower(&a, 0, now);
	pass(MS(50));
	ck_assert_uint_eq(total[0], 6);
	pass(MS(300));
	ck_assert_uint_eq(total[0], 12);
	pass(SEC(3));
	ck_assert_uint_eq(total[0], 12);
	pass(SEC(1));
	ck_assert_uint_eq(total[0], 18);
	pass(SEC(100));
	ck_assert_uint_eq(total[0], 18);
}
END_TEST

/* It speaks for two seconds, each 100 ms: at most one burst a second meanwhile, the others when it is silent. */
START_TEST(lower_router_keeps_talking)
{
	added(0, 3);
	pass(SEC(60));
	forget();
	for (unsigned k = 0; k < 20; k++) {
		announce_lower(&a, 0, now);
		pass(MS(100));
	}
	ck_assert_uint_eq(total[0], 12);
	forget();
	pass(MS(400));
	ck_assert_uint_eq(total[0], 6);
	pass(SEC(10));
	ck_assert_uint_eq(total[0], 12);
}
END_TEST

START_TEST(lower_router_does_not_matter)
{
	announce_lower(&a, 0, now); /* not MASTER */
	pass(SEC(10));
	ck_assert_uint_eq(total[0], 0);
	conf[0].garp_lower_repeat = 0;
	added(0, 3);
	pass(SEC(60));
	forget();
	announce_lower(&a, 0, now);
	pass(SEC(60));
	ck_assert_uint_eq(total[0], 0);
	conf[0].garp_lower_repeat = 1;
	conf[0].garp_lower_delay_ns = 0;
	announce_lower(&a, 0, now);
	pass(SEC(60));
	ck_assert_uint_eq(total[0], 6); /* now, and after its silence */
}
END_TEST

START_TEST(on_the_base)
{
	conf[0].garp_extra_ns = SEC(30);
	added(0, 3);
	pass(SEC(100));
	ck_assert_uint_eq(extras[0], 0); /* no virtual MAC */
	conf[1].garp_extra_ns = SEC(30);
	conf[1].vmac = VRRP_VMAC_MACVLAN;
	added(1, 3);
	pass(SEC(29));
	ck_assert_uint_eq(extras[1], 0);
	unsigned before = total[1];
	pass(SEC(2));
	ck_assert_uint_eq(extras[1], 3);
	ck_assert_uint_eq(total[1], before + 3);
	pass(SEC(30));
	ck_assert_uint_eq(extras[1], 6);
}
END_TEST

/* A burst that comes while the round on the base runs is not lost, nor marked as one. */
START_TEST(a_burst_during_the_extra_round)
{
	struct announce_item it;
	conf[0].garp_extra_ns = SEC(30);
	conf[0].vmac = VRRP_VMAC_MACVLAN;
	added(0, 3);
	pass(SEC(30) - 1);
	forget();
	now = announce_deadline(&a);
	ck_assert(announce_next(&a, now, &it));
	ck_assert(it.extra);
	announce_lower(&a, 0, now);
	pass(MS(100));
	ck_assert_uint_eq(extras[0], 0);
	for (unsigned k = 0; k < 3; k++)
		ck_assert_uint_eq(count[0][k], 2);
}
END_TEST

START_TEST(end_is_end)
{
	added(0, 3);
	announce_end(&a, 0);
	pass(SEC(60));
	ck_assert_uint_eq(total[0], 0);
	ck_assert(mono_is_never(announce_deadline(&a)));
	announce_end(&a, 0);
	added(0, 3);
	pass(SEC(60));
	ck_assert_uint_eq(total[0], 27);
}
END_TEST

START_TEST(given_back)
{
	struct announce_item it;
	added(0, 3);
	now = announce_deadline(&a);
	for (unsigned k = 0; k < 3; k++) { /* each in turn, also the last one of a round */
		ck_assert(announce_next(&a, now, &it));
		ck_assert_uint_eq(it.vip, k);
		announce_again(&a, &it, mono_add(now, MS(1)));
		ck_assert(!announce_next(&a, now, &it));
		now = mono_add(now, MS(1));
		ck_assert(announce_next(&a, now, &it));
		ck_assert_uint_eq(it.vip, k);
		take_note(&it);
	}
	pass(SEC(60));
	for (unsigned k = 0; k < 3; k++)
		ck_assert_uint_eq(count[0][k], 9);
	/* After the end there is nothing to give back to. */
	added(0, 3);
	now = announce_deadline(&a);
	ck_assert(announce_next(&a, now, &it));
	announce_end(&a, 0);
	announce_again(&a, &it, now);
	ck_assert(mono_is_never(announce_deadline(&a)));
}
END_TEST

/* Thousands of addresses of one instance do not hold up the three of another. */
START_TEST(turns)
{
	struct announce_item it;
	conf[0].n_vips = MANY;
	announce_all(&a, 0, now);
	for (unsigned k = 0; k < 100; k++)
		ck_assert(announce_next(&a, now, &it));
	now = mono_add(now, 1);
	announce_all(&a, 1, now);
	unsigned other = 0;
	for (unsigned k = 0; k < 8; k++) {
		ck_assert(announce_next(&a, now, &it));
		other += it.inst == 1;
	}
	ck_assert_uint_ge(other, 3);
}
END_TEST

/* With a pace the kernel's first answer begins one burst for all addresses, and the others add nothing to it. */
START_TEST(paced_first_round)
{
	struct announce_item it;

	conf[0].garp_interval_ns = MS(5);
	ck_assert(!announce_added(&a, 0, now));
	ck_assert(announce_next(&a, now, &it));
	ck_assert_uint_eq(it.vip, 0);
	ck_assert(!announce_added(&a, 0, now));
	ck_assert(announce_next(&a, now, &it));
	ck_assert_uint_eq(it.vip, 1);
}
END_TEST

START_TEST(pace)
{
	ck_assert_int_le(announce_pace(&a, 7, ADDR_V4).ns, now.ns);
	announce_sent(&a, 7, ADDR_V4, MS(2), now);
	ck_assert_int_eq(announce_pace(&a, 7, ADDR_V4).ns, mono_add(now, MS(2)).ns);
	ck_assert_int_le(announce_pace(&a, 7, ADDR_V6).ns, now.ns);
	ck_assert_int_le(announce_pace(&a, 8, ADDR_V4).ns, now.ns);
	announce_sent(&a, 7, ADDR_V6, MS(3), now);
	ck_assert_int_eq(announce_pace(&a, 7, ADDR_V6).ns, mono_add(now, MS(3)).ns);
	announce_sent(&a, 8, ADDR_V4, 0, now); /* no pace */
	ck_assert_int_le(announce_pace(&a, 8, ADDR_V4).ns, now.ns);
}
END_TEST

START_TEST(no_addresses)
{
	conf[0].n_vips = 0;
	announce_all(&a, 0, now);
	announce_lower(&a, 0, now);
	pass(SEC(60));
	ck_assert_uint_eq(total[0], 0);
}
END_TEST

/* A reload: another array, fewer addresses, another refresh; what runs goes on. */
START_TEST(rebuild)
{
	static struct holder other[INSTS];
	static struct vrrp_conf changed;
	struct announce_item it;
	added(0, 3);
	now = announce_deadline(&a);
	ck_assert(announce_next(&a, now, &it));
	ck_assert(announce_next(&a, now, &it));
	changed = conf[0];
	changed.n_vips = 1;
	changed.garp_refresh_ns = SEC(10);
	memset(other, 0, sizeof(other));
	other[2].inst = holder[0].inst;
	for (unsigned i = 0; i < INSTS; i++)
		other[i].inst.conf = i == 2 ? &changed : &conf[i];
	announce_rebuild(&a, &other[0].inst, sizeof(other[0]), INSTS, now);
	pass(SEC(1));
	ck_assert_uint_eq(count[2][0], 4);
	ck_assert_uint_eq(total[2], 4);
	pass(SEC(8));
	ck_assert_uint_eq(total[2], 9);
	pass(SEC(2));
	ck_assert_uint_eq(total[2], 10);
	/* Without addresses there is nothing left to say. */
	changed.n_vips = 0;
	changed.garp_refresh_ns = 0;
	announce_lower(&a, 2, now);
	announce_rebuild(&a, &other[0].inst, sizeof(other[0]), INSTS, now);
	pass(SEC(100));
	ck_assert_uint_eq(total[2], 10);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("announce");
	TCase *t = tcase_create("all");
	tcase_add_checked_fixture(t, init, NULL);
	tcase_add_test(t, takeover);
	tcase_add_test(t, no_second_round);
	tcase_add_test(t, one_announcement_is_enough);
	tcase_add_test(t, slow_kernel);
	tcase_add_test(t, restored_later);
	tcase_add_test(t, adopted);
	tcase_add_test(t, acknowledged_after_all);
	tcase_add_test(t, refresh);
	tcase_add_test(t, lower_router);
	tcase_add_test(t, lower_router_keeps_talking);
	tcase_add_test(t, lower_router_does_not_matter);
	tcase_add_test(t, on_the_base);
	tcase_add_test(t, a_burst_during_the_extra_round);
	tcase_add_test(t, end_is_end);
	tcase_add_test(t, given_back);
	tcase_add_test(t, turns);
	tcase_add_test(t, paced_first_round);
	tcase_add_test(t, pace);
	tcase_add_test(t, no_addresses);
	tcase_add_test(t, rebuild);
	suite_add_tcase(s, t);
	return unit_run(s);
}
