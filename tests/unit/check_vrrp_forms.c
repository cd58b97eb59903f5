/* The state machine: preempt delay, answers to other routers, version 2, and two owners. */
#include "tests/unit/vrrp_one.h"

static struct vrrp_conf other_conf;

/* The same router under another configuration. */
static void reconf(const struct vrrp_conf *c, mono_t now)
{
	step(&(struct vrrp_ev){ .type = VRRP_EV_CONF, .u.conf = c }, now);
}

static void delay(int64_t ns)
{
	bring(IN_BACKUP);
	other_conf = conf;
	other_conf.preempt_delay_ns = ns;
	reconf(&other_conf, T0);
}

START_TEST(preempt_delay_begins_with_the_first_lower_master)
{
	delay(NS_PER_SEC);
	ck_assert_int_eq(vrrp_preempt_left(&v, T0), 0); /* nobody was heard */
	for (int k = 0; k < 10; k++) {
		ck_assert_str_eq(advert(99, 9, ADV, at(HALF + k * ADV)), "M99");
		ck_assert_int_eq(vrrp_deadline(&v).ns, at(HALF + k * ADV + DOWN).ns);
		ck_assert_int_eq(vrrp_preempt_left(&v, at(HALF + k * ADV)), NS_PER_SEC - k * ADV);
	}
	ck_assert_str_eq(advert(99, 9, ADV, at(HALF + NS_PER_SEC - 1)), "M99");
	ck_assert_str_eq(advert(99, 9, ADV, at(HALF + NS_PER_SEC)), "L99");
	/* Another lower router is no new beginning, and it stays said while it is not acted on. */
	ck_assert_str_eq(advert(98, 8, ADV, at(HALF + NS_PER_SEC)), "L98");
	ck_assert_int_eq(vrrp_preempt_left(&v, at(HALF + NS_PER_SEC)), 0);
	ck_assert_uint_eq(v.stats.heard_lower, 2);
}
END_TEST

START_TEST(preempt_delay_begins_anew)
{
	mono_t late = at(2 * NS_PER_SEC);
	/* After a pause of a whole master-down time. */
	delay(NS_PER_SEC);
	advert(99, 9, ADV, T0);
	ck_assert_str_eq(plain(VRRP_EV_TICK, at(DOWN)), "X");
	ck_assert_str_eq(advert(99, 9, ADV, late), "M99");
	ck_assert_int_eq(vrrp_preempt_left(&v, late), NS_PER_SEC);
	/* After a better master. */
	delay(NS_PER_SEC);
	advert(99, 9, ADV, T0);
	ck_assert_str_eq(advert(101, 8, ADV, at(HALF)), "M101");
	ck_assert_int_eq(vrrp_preempt_left(&v, at(HALF)), 0);
	ck_assert_str_eq(advert(99, 9, ADV, at(ADV)), "M99");
	ck_assert_int_eq(vrrp_preempt_left(&v, at(ADV)), NS_PER_SEC);
	/* After a fault. */
	plain(VRRP_EV_FAULT, at(ADV));
	plain(VRRP_EV_FAULT_CLEAR, at(ADV));
	ck_assert_int_eq(vrrp_preempt_left(&v, at(ADV)), 0);
	ck_assert_str_eq(advert(99, 9, ADV, late), "M99");
	ck_assert_int_eq(vrrp_preempt_left(&v, late), NS_PER_SEC);
	/* When our priority falls below and rises again. */
	step(&(struct vrrp_ev){ .type = VRRP_EV_PRIORITY, .u.priority = 50 }, late);
	ck_assert_str_eq(advert(99, 9, ADV, late), "M99");
	step(&(struct vrrp_ev){ .type = VRRP_EV_PRIORITY, .u.priority = 100 }, late);
	late = mono_add(late, ADV);
	ck_assert_str_eq(advert(99, 9, ADV, late), "M99");
	ck_assert_int_eq(vrrp_preempt_left(&v, late), NS_PER_SEC);
}
END_TEST

START_TEST(preempt_delay_does_not_save_a_missing_master)
{
	delay(1000 * NS_PER_SEC);
	advert(99, 9, ADV, T0);
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(DOWN).ns);
	ck_assert_str_eq(plain(VRRP_EV_TICK, at(DOWN)), "X");
	ck_assert_str_eq(take(MONO_ZERO, at(DOWN)), "S100 >MASTER(masterNoResponse)");
	/* One that leaves neither. */
	delay(1000 * NS_PER_SEC);
	advert(99, 9, ADV, T0);
	ck_assert_str_eq(advert(0, 9, ADV, at(HALF)), "Z0");
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(HALF + SKEW).ns);
	ck_assert_str_eq(plain(VRRP_EV_TICK, at(HALF + SKEW)), "X");
}
END_TEST

START_TEST(preempt_delay_can_be_changed_while_it_runs)
{
	delay(NS_PER_SEC);
	advert(99, 9, ADV, T0);
	struct vrrp_conf shorter = other_conf;
	shorter.preempt_delay_ns = ADV;
	reconf(&shorter, at(HALF));
	ck_assert_int_eq(vrrp_preempt_left(&v, at(HALF)), HALF);
	ck_assert_str_eq(advert(99, 9, ADV, at(ADV)), "L99");
}
END_TEST

START_TEST(answers_to_lower_and_higher_routers)
{
	bring(IN_MASTER);
	conf.lower_advert = false; /* RFC 3768 and 5798: discard */
	ck_assert_str_eq(advert(99, 9, ADV, at(HALF)), "R99");
	ck_assert_str_eq(advert(0, 9, ADV, at(HALF)), "S100 Z0"); /* a farewell is answered by all RFCs */
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(ADV).ns);
	conf.higher_advert = true;
	ck_assert_str_eq(advert(101, 9, ADV, at(HALF)), "H101");
	ck_assert_str_eq(yield(false, at(HALF)), "S100 >BACKUP(higher router heard)");
	/* One advertisement: with a farewell there is no other, without a higher router none. */
	bring(IN_MASTER);
	conf.higher_advert = true;
	advert(101, 9, ADV, at(HALF));
	ck_assert_str_eq(yield(true, at(HALF)), "S0 >BACKUP(higher router heard)");
	bring(IN_MASTER);
	conf.higher_advert = true;
	ck_assert_str_eq(yield(false, at(HALF)), ">BACKUP(yielded)");
}
END_TEST

START_TEST(missed_adverts_until_the_master_is_gone)
{
	static const uint8_t row[] = { 1, 2, 5, 100 };
	conf.down_adverts = row[_i];
	vrrp_init(&v, &conf);
	src(addr_v4(10, 0, 0, 5), T0);
	plain(VRRP_EV_LINK_UP, T0);
	plain(VRRP_EV_START, T0);
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(row[_i] * ADV + SKEW).ns);
	advert(200, 9, 2 * ADV, T0);
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(row[_i] * 2 * ADV + 2 * SKEW).ns);
	ck_assert_int_eq(vrrp_down(&v), vrrp_peer_down(&v));
	ck_assert_int_eq(vrrp_own_down(&v), row[_i] * ADV + SKEW);
	take(T0, T0);
	ck_assert(!vrrp_stalled(&v, at((1 + row[_i]) * ADV)));
	ck_assert(vrrp_stalled(&v, at((1 + row[_i]) * ADV + 1)));
}
END_TEST

static const char *advert_v(bool v2, uint8_t priority, uint8_t last_octet, int64_t adv_ns, mono_t now)
{
	struct vrrp_ev ev = { .type = VRRP_EV_ADVERT };
	ev.u.advert.priority = priority;
	ev.u.advert.src = addr_v4(10, 0, 0, last_octet);
	ev.u.advert.adv_ns = adv_ns;
	ev.u.advert.v2 = v2;
	return step(&ev, now);
}

#define SKEW2 (156 * NS_PER_SEC / 256) /* priority 100 in version 2, whatever the interval */

START_TEST(version_2_has_one_interval)
{
	conf.version = VRRP_V2;
	conf.adv_ns = 4 * NS_PER_SEC;
	vrrp_init(&v, &conf);
	src(addr_v4(10, 0, 0, 5), T0);
	plain(VRRP_EV_LINK_UP, T0);
	plain(VRRP_EV_START, T0);
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(12 * NS_PER_SEC + SKEW2).ns);
	ck_assert_str_eq(advert_v(true, 200, 9, 4 * NS_PER_SEC, at(HALF)), "M200");
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(HALF + 12 * NS_PER_SEC + SKEW2).ns);
	ck_assert_str_eq(advert_v(true, 0, 9, 4 * NS_PER_SEC, at(HALF)), "Z0");
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(HALF + SKEW2).ns);
	/* Whatever the field says (it is a rounded one), ours counts. */
	advert_v(true, 200, 9, 5 * NS_PER_SEC, at(HALF));
	ck_assert_int_eq(v.master_adv_ns, 4 * NS_PER_SEC);
	take(MONO_ZERO, at(HALF));
	advert_v(true, 200, 9, 5 * NS_PER_SEC, at(HALF));
	yield(false, at(HALF));
	ck_assert_int_eq(v.master_adv_ns, 4 * NS_PER_SEC);
}
END_TEST

static void both_versions(enum start s)
{
	bring(s);
	other_conf = conf;
	other_conf.version = VRRP_V2_AND_3;
	other_conf.adv_ns = NS_PER_SEC;
	reconf(&other_conf, T0);
}

START_TEST(a_version_2_master_is_learnt_while_both_are_spoken)
{
	both_versions(IN_BACKUP);
	ck_assert_str_eq(advert_v(true, 200, 9, 3 * NS_PER_SEC, T0), "W4 M200");
	ck_assert_int_eq(v.master_adv_ns, 3 * NS_PER_SEC);
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(9 * NS_PER_SEC + SKEW2).ns);
	ck_assert(v.peer.v2);
	/* It is upgraded: skew stays in seconds while version 2 is spoken at all. */
	ck_assert_str_eq(advert_v(false, 200, 9, 3 * NS_PER_SEC, at(ADV)), "W1 M200");
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(ADV + 9 * NS_PER_SEC + SKEW2).ns);
	ck_assert(!v.peer.v2);
}
END_TEST

/* In every state, for every kind of advertisement: the second form of the same says and moves nothing. */
START_TEST(echoes_change_nothing)
{
	static const uint8_t prio[] = { 0, 50, 100, 200, 255 };
	static const enum start state[] = { IN_BACKUP, IN_EXPIRED, IN_MASTER, IN_FAULT };
	for (unsigned s = 0; s < sizeof(state) / sizeof(state[0]); s++)
		for (unsigned p = 0; p < sizeof(prio); p++) {
			both_versions(state[s]);
			advert_v(false, prio[p], 9, NS_PER_SEC, at(HALF));
			struct vrrp before = v;
			ck_assert_str_eq(advert_v(true, prio[p], 9, 2 * NS_PER_SEC, at(HALF + NS_PER_MS)), "");
			ck_assert_uint_eq(v.stats.v2_echoes, 1);
			v.stats.v2_echoes = 0;
			ck_assert_mem_eq(&v, &before, sizeof(v));
		}
	/* Of a router that was not heard in version 3 it is no echo. */
	both_versions(IN_BACKUP);
	advert_v(false, 200, 9, NS_PER_SEC, T0);
	ck_assert_str_eq(advert_v(true, 201, 8, NS_PER_SEC, T0), "M201");
	/* Nor where one version is spoken alone. */
	bring(IN_BACKUP);
	advert_v(false, 200, 9, ADV, T0);
	ck_assert_str_eq(advert_v(true, 200, 9, ADV, T0), "M200");
}
END_TEST

START_TEST(two_routers_with_two_forms_each)
{
	both_versions(IN_MASTER);
	for (int k = 0; k < 3; k++) {
		mono_t t = at(k * NS_PER_SEC);
		ck_assert_str_eq(advert_v(false, 50, 8, NS_PER_SEC, t), "S100 R50");
		ck_assert_str_eq(advert_v(false, 60, 9, NS_PER_SEC, t), "S100 R60");
		ck_assert_str_eq(advert_v(true, 50, 8, NS_PER_SEC, t), "");
		ck_assert_str_eq(advert_v(true, 60, 9, NS_PER_SEC, t), "");
	}
	ck_assert_uint_eq(v.stats.adv_rcvd, 6);
	/* More routers than places: the one heard longest ago is forgotten, the others are not. */
	both_versions(IN_MASTER);
	for (unsigned i = 0; i < VRRP_V3_HEARD + 1; i++)
		advert_v(false, 50, (uint8_t)(10 + i), NS_PER_SEC, at((int64_t)i * NS_PER_MS));
	ck_assert_str_eq(advert_v(true, 50, 11, NS_PER_SEC, at(HALF)), "");
	ck_assert_str_eq(advert_v(true, 50, 10, NS_PER_SEC, at(HALF)), "S100 R50");
}
END_TEST

START_TEST(lost_forms)
{
	/* A farewell heard in version 2 only counts, once. */
	both_versions(IN_BACKUP);
	advert_v(false, 200, 9, NS_PER_SEC, T0);
	ck_assert_str_eq(advert_v(true, 0, 9, NS_PER_SEC, at(HALF)), "Z0");
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(HALF + SKEW2).ns);
	ck_assert_str_eq(advert_v(true, 0, 9, NS_PER_SEC, at(HALF)), "");
	/* One that was heard in version 3 is not counted again, and an answer goes out once. */
	both_versions(IN_MASTER);
	ck_assert_str_eq(advert_v(false, 0, 9, NS_PER_SEC, T0), "S100 Z0");
	ck_assert_str_eq(advert_v(true, 0, 9, NS_PER_SEC, T0), "");
	/* The second missing version 3 form is not waited for. */
	both_versions(IN_BACKUP);
	advert_v(false, 200, 9, NS_PER_SEC, T0);
	ck_assert_str_eq(advert_v(true, 200, 9, NS_PER_SEC, at(NS_PER_SEC)), "");
	ck_assert_str_eq(advert_v(true, 200, 9, NS_PER_SEC, at(2 * NS_PER_SEC)), "M200");
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(5 * NS_PER_SEC + SKEW2).ns);
	/* Another version in the configuration begins anew. */
	both_versions(IN_BACKUP);
	advert_v(false, 200, 9, NS_PER_SEC, T0);
	struct vrrp_conf two = other_conf, both = other_conf;
	two.version = VRRP_V2;
	reconf(&two, T0);
	reconf(&both, T0);
	ck_assert_str_eq(advert_v(true, 200, 9, NS_PER_SEC, T0), "M200");
}
END_TEST

static void owner(enum start s)
{
	bring(s);
	step(&(struct vrrp_ev){ .type = VRRP_EV_PRIORITY, .u.priority = 255 }, T0);
}

#define OWNER_WAIT (2 * ADV + ADV * 12 / 10)

START_TEST(the_owner_with_the_lower_address_yields)
{
	owner(IN_MASTER); /* we are 10.0.0.5 */
	ck_assert_str_eq(advert(255, 6, ADV, at(HALF)), "W2 H255");
	ck_assert_uint_eq(v.priority, 255);
	ck_assert_str_eq(yield(false, at(HALF)), ">BACKUP(higher router heard)");
	ck_assert_str_eq(advert(255, 6, ADV, at(ADV)), "M255"); /* nothing to preempt */
	ck_assert_str_eq(plain(VRRP_EV_TICK, vrrp_deadline(&v)), "X");
	ck_assert_uint_eq(v.priority, 255);
}
END_TEST

START_TEST(an_owner_that_does_not_listen)
{
	owner(IN_MASTER);
	for (int64_t t = 0; t < OWNER_WAIT; t += ADV)
		ck_assert_str_eq(advert(255, 4, ADV, at(t)), t ? "S255 R255" : "W2 S255 R255");
	/* It had two advertisements of ours and 1.2 intervals. */
	ck_assert_str_eq(advert(255, 4, ADV, at(OWNER_WAIT)), "W3 H255");
	ck_assert_uint_eq(v.priority, 254);
	ck_assert_uint_eq(v.wanted, 255);
	ck_assert_str_eq(yield(false, at(OWNER_WAIT)), ">BACKUP(higher router heard)");
	ck_assert_str_eq(advert(255, 4, ADV, at(OWNER_WAIT + ADV)), "M255");
	ck_assert_uint_eq(v.priority, 254);
	/* It is gone: the owner is the owner again. */
	ck_assert_str_eq(plain(VRRP_EV_TICK, vrrp_deadline(&v)), "X");
	ck_assert_uint_eq(v.priority, 255);
	ck_assert_str_eq(take(MONO_ZERO, at(NS_PER_SEC)), "S255 >MASTER(masterNoResponse)");
	/* It comes again: said again. */
	ck_assert_str_eq(advert(255, 4, ADV, at(2 * NS_PER_SEC)), "S255 R255");
	ck_assert_str_eq(advert(255, 4, ADV, at(2 * NS_PER_SEC + ADV)), "S255 R255");
	ck_assert_str_eq(advert(255, 4, ADV, at(2 * NS_PER_SEC + 2 * ADV)), "S255 R255");
	ck_assert_str_eq(advert(255, 4, ADV, at(2 * NS_PER_SEC + 4 * ADV)), "W3 H255");
}
END_TEST

START_TEST(the_wait_of_an_owner_begins_anew_after_a_pause)
{
	owner(IN_MASTER);
	advert(255, 4, ADV, T0);
	mono_t later = at(vrrp_peer_down(&v) + 1);
	ck_assert_str_eq(advert(255, 4, ADV, later), "S255 R255"); /* it was gone meanwhile */
	ck_assert_str_eq(advert(255, 4, ADV, mono_add(later, 2 * ADV)), "S255 R255");
	ck_assert_str_eq(advert(255, 4, ADV, mono_add(later, OWNER_WAIT)), "W3 H255");
	/* A slow one is given the time of its own interval. */
	owner(IN_MASTER);
	advert(255, 4, 10 * ADV, T0);
	ck_assert_str_eq(advert(255, 4, 10 * ADV, at(10 * ADV)), "S255 R255");
	ck_assert_str_eq(advert(255, 4, 10 * ADV, at(14 * ADV)), "W3 H255");
}
END_TEST

/* A lowered owner whose other one leaves by any way. */
START_TEST(a_lowered_owner_rises_again)
{
	for (int way = 0; way < 5; way++) {
		owner(IN_MASTER);
		for (int k = 0; k < 5; k++)
			advert(255, 4, ADV, at(k * ADV));
		ck_assert_uint_eq(v.priority, 254);
		mono_t t = at(4 * ADV);
		switch (way) {
		case 0: /* silent while we are MASTER still: at a beat */
			t = mono_add(t, 4 * ADV + 1);
			ck_assert_str_eq(plain(VRRP_EV_TICK, t), "S255");
			break;
		case 1: /* another router is heard instead, and it is silent */
			yield(false, t);
			t = mono_add(t, 4 * ADV);
			advert(200, 9, ADV, t);
			break;
		case 2: /* it says good-bye */
			yield(false, t);
			advert(0, 4, ADV, t);
			t = vrrp_deadline(&v);
			ck_assert_str_eq(plain(VRRP_EV_TICK, t), "X");
			break;
		case 3: /* it is the owner no longer, but speaks on: after its time */
			yield(false, t);
			advert(100, 4, ADV, mono_add(t, ADV));
			ck_assert_uint_eq(v.priority, 254);
			advert(100, 4, ADV, mono_add(t, 4 * ADV));
			break;
		default: /* we are not to be the owner any more */
			step(&(struct vrrp_ev){ .type = VRRP_EV_PRIORITY, .u.priority = 255 }, t);
			ck_assert_uint_eq(v.priority, 254);
			step(&(struct vrrp_ev){ .type = VRRP_EV_PRIORITY, .u.priority = 120 }, t);
			ck_assert_uint_eq(v.priority, 120);
			step(&(struct vrrp_ev){ .type = VRRP_EV_PRIORITY, .u.priority = 255 }, t);
			break;
		}
		ck_assert_uint_eq(v.priority, 255);
	}
}
END_TEST

START_TEST(a_lower_one_is_no_second_owner)
{
	owner(IN_MASTER);
	for (int k = 0; k < 20; k++)
		ck_assert_str_eq(advert(254, 4, ADV, at(k * ADV)), "S255 R254");
	ck_assert_uint_eq(v.priority, 255);
	/* And 254 by configuration yields to an owner as ever. */
	bring(IN_MASTER);
	step(&(struct vrrp_ev){ .type = VRRP_EV_PRIORITY, .u.priority = 254 }, T0);
	ck_assert_str_eq(advert(255, 4, ADV, T0), "H255");
}
END_TEST

START_TEST(extreme_intervals)
{
	bring(IN_BACKUP);
	/* The longest that version 3 can say, and version 2's. */
	advert(1, 9, 40950 * NS_PER_MS, T0);
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(down(100, 40950 * NS_PER_MS)).ns);
	both_versions(IN_BACKUP);
	advert_v(true, 200, 9, 255 * NS_PER_SEC, T0);
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(765 * NS_PER_SEC + SKEW2).ns);
	/* The master's interval changes while it is master: the next advertisement counts. */
	advert_v(true, 200, 9, NS_PER_SEC, at(HALF));
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(HALF + 3 * NS_PER_SEC + SKEW2).ns);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("all");
	tcase_add_test(tc, preempt_delay_begins_with_the_first_lower_master);
	tcase_add_test(tc, preempt_delay_begins_anew);
	tcase_add_test(tc, preempt_delay_does_not_save_a_missing_master);
	tcase_add_test(tc, preempt_delay_can_be_changed_while_it_runs);
	tcase_add_test(tc, answers_to_lower_and_higher_routers);
	tcase_add_loop_test(tc, missed_adverts_until_the_master_is_gone, 0, 4);
	tcase_add_test(tc, version_2_has_one_interval);
	tcase_add_test(tc, a_version_2_master_is_learnt_while_both_are_spoken);
	tcase_add_test(tc, echoes_change_nothing);
	tcase_add_test(tc, two_routers_with_two_forms_each);
	tcase_add_test(tc, lost_forms);
	tcase_add_test(tc, the_owner_with_the_lower_address_yields);
	tcase_add_test(tc, an_owner_that_does_not_listen);
	tcase_add_test(tc, the_wait_of_an_owner_begins_anew_after_a_pause);
	tcase_add_test(tc, a_lowered_owner_rises_again);
	tcase_add_test(tc, a_lower_one_is_no_second_owner);
	tcase_add_test(tc, extreme_intervals);
	return vrrp_one_run("vrrp_forms", tc);
}
