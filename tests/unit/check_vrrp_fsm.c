/* The state machine: every pair of state and event in one table, then the timers, the tie-break, the learnt interval and
 * what must not happen (drift, bursts, timers moved by the wrong packet). */
#include <string.h>
#include "tests/unit/vrrp_one.h"

enum what {
	START,
	STOP,
	LINK_UP,
	LINK_DOWN,
	ADV_HIGHER,
	ADV_LOWER,
	ADV_TIE_ABOVE,
	ADV_TIE_BELOW,
	ADV_ZERO,
	ADV_OWNER,
	TICK_EARLY,
	TICK_DUE,
	TAKE,
	YIELD,
	YIELD_ZERO,
	FAULT,
	FAULT_CLEAR,
	TRACKED,
	TRACK_CLEAR,
	REARM,
	REARM_LONG,
	PRIORITY,
	CONF,
	SRC_OTHER,
	SRC_GONE,
	WHAT_N
};

static const char *do_what(enum what w, mono_t now)
{
	static struct vrrp_conf faster;
	struct vrrp_ev ev;
	switch (w) {
	case START:
		return plain(VRRP_EV_START, now);
	case STOP:
		return plain(VRRP_EV_STOP, now);
	case LINK_UP:
		return plain(VRRP_EV_LINK_UP, now);
	case LINK_DOWN:
		return plain(VRRP_EV_LINK_DOWN, now);
	case ADV_HIGHER:
		return advert(101, 1, ADV, now);
	case ADV_LOWER:
		return advert(99, 9, ADV, now);
	case ADV_TIE_ABOVE:
		return advert(100, 6, ADV, now);
	case ADV_TIE_BELOW:
		return advert(100, 4, ADV, now);
	case ADV_ZERO:
		return advert(0, 9, ADV, now);
	case ADV_OWNER:
		return advert(255, 9, ADV, now);
	case TICK_EARLY:
		return plain(VRRP_EV_TICK, now);
	case TICK_DUE:
		return plain(VRRP_EV_TICK, mono_is_never(vrrp_deadline(&v)) ? now : vrrp_deadline(&v));
	case TAKE:
		return take(MONO_ZERO, now);
	case YIELD:
		return yield(false, now);
	case YIELD_ZERO:
		return yield(true, now);
	case FAULT:
		return plain(VRRP_EV_FAULT, now);
	case FAULT_CLEAR:
		return plain(VRRP_EV_FAULT_CLEAR, now);
	case TRACKED:
	case TRACK_CLEAR:
		return step(&(struct vrrp_ev){ .type = VRRP_EV_TRACK, .u.track.fault = w == TRACKED }, now);
	case REARM:
		return plain(VRRP_EV_REARM, now);
	case REARM_LONG:
		ev = (struct vrrp_ev){ .type = VRRP_EV_REARM };
		ev.u.rearm.delay_ns = 5 * NS_PER_SEC;
		return step(&ev, now);
	case PRIORITY:
		return step(&(struct vrrp_ev){ .type = VRRP_EV_PRIORITY, .u.priority = 228 }, now);
	case CONF:
		faster = conf;
		faster.adv_ns = ADV / 10;
		return step(&(struct vrrp_ev){ .type = VRRP_EV_CONF, .u.conf = &faster }, now);
	case SRC_OTHER:
		return src(addr_v4(10, 0, 0, 7), now);
	case SRC_GONE:
		return src((struct addr){ 0 }, now);
	case WHAT_N:
		break;
	}
	ck_abort();
}

/* Deadline after the step: the same as before, none, or this long after T0. */
#define KEEP  INT64_C(-1)
#define NEVER INT64_C(-2)

struct row {
	const char *out;
	int64_t deadline;
	unsigned ignored;
};

static const struct row table[STARTS][WHAT_N] = {
	[IN_INIT] = {
		[START] = { ">BACKUP(start)", HALF + DOWN, 0 },
		[STOP] = { "", NEVER, 1 },
		[LINK_UP] = { "", NEVER, 0 },
		[LINK_DOWN] = { "", NEVER, 0 },
		[ADV_HIGHER] = { "", NEVER, 1 },
		[ADV_LOWER] = { "", NEVER, 1 },
		[ADV_TIE_ABOVE] = { "", NEVER, 1 },
		[ADV_TIE_BELOW] = { "", NEVER, 1 },
		[ADV_ZERO] = { "", NEVER, 1 },
		[ADV_OWNER] = { "", NEVER, 1 },
		[TICK_EARLY] = { "", NEVER, 0 },
		[TICK_DUE] = { "", NEVER, 0 },
		[TAKE] = { "", NEVER, 1 },
		[YIELD] = { "", NEVER, 1 },
		[YIELD_ZERO] = { "", NEVER, 1 },
		[FAULT] = { "", NEVER, 0 },
		[FAULT_CLEAR] = { "", NEVER, 0 },
		[TRACKED] = { "", NEVER, 0 },
		[TRACK_CLEAR] = { "", NEVER, 0 },
		[REARM] = { "", NEVER, 1 },
		[REARM_LONG] = { "", NEVER, 1 },
		[PRIORITY] = { "", NEVER, 0 },
		[CONF] = { "", NEVER, 0 },
		[SRC_OTHER] = { "", NEVER, 0 },
		[SRC_GONE] = { "", NEVER, 0 },
	},
	[IN_BACKUP] = {
		[START] = { "", KEEP, 1 },
		[STOP] = { ">INIT(stop)", NEVER, 0 },
		[LINK_UP] = { "", KEEP, 0 },
		[LINK_DOWN] = { ">FAULT(link down)", NEVER, 0 },
		[ADV_HIGHER] = { "M101", HALF + DOWN, 0 },
		[ADV_LOWER] = { "L99", HALF + DOWN, 0 },
		[ADV_TIE_ABOVE] = { "M100", HALF + DOWN, 0 },
		[ADV_TIE_BELOW] = { "M100", HALF + DOWN, 0 },
		[ADV_ZERO] = { "Z0", HALF + SKEW, 0 },
		[ADV_OWNER] = { "M255", HALF + DOWN, 0 },
		[TICK_EARLY] = { "", KEEP, 0 },
		[TICK_DUE] = { "X", NEVER, 0 },
		[TAKE] = { "S100 >MASTER(masterNoResponse)", HALF + ADV, 0 },
		[YIELD] = { "", KEEP, 1 },
		[YIELD_ZERO] = { "", KEEP, 1 },
		[FAULT] = { ">FAULT(fault)", NEVER, 0 },
		[FAULT_CLEAR] = { "", KEEP, 0 },
		[TRACKED] = { ">FAULT(a tracked thing failed)", NEVER, 0 },
		[TRACK_CLEAR] = { "", KEEP, 0 },
		[REARM] = { "", HALF + DOWN, 0 },
		[REARM_LONG] = { "", HALF + 5 * NS_PER_SEC, 0 },
		[PRIORITY] = { "", 3 * ADV + ADV * 28 / 256, 0 },
		[CONF] = { "", HALF + DOWN / 10, 0 },
		[SRC_OTHER] = { "", KEEP, 0 },
		[SRC_GONE] = { ">FAULT(the interface has no address to send from)", NEVER, 0 },
	},
	[IN_EXPIRED] = {
		[START] = { "", NEVER, 1 },
		[STOP] = { ">INIT(stop)", NEVER, 0 },
		[LINK_UP] = { "", NEVER, 0 },
		[LINK_DOWN] = { ">FAULT(link down)", NEVER, 0 },
		[ADV_HIGHER] = { "M101", HALF + DOWN, 0 },
		[ADV_LOWER] = { "L99", HALF + DOWN, 0 },
		[ADV_TIE_ABOVE] = { "M100", HALF + DOWN, 0 },
		[ADV_TIE_BELOW] = { "M100", HALF + DOWN, 0 },
		[ADV_ZERO] = { "Z0", NEVER, 0 },
		[ADV_OWNER] = { "M255", HALF + DOWN, 0 },
		[TICK_EARLY] = { "", NEVER, 0 },
		[TICK_DUE] = { "", NEVER, 0 },
		[TAKE] = { "S100 >MASTER(masterNoResponse)", HALF + ADV, 0 },
		[YIELD] = { "", NEVER, 1 },
		[YIELD_ZERO] = { "", NEVER, 1 },
		[FAULT] = { ">FAULT(fault)", NEVER, 0 },
		[FAULT_CLEAR] = { "", NEVER, 0 },
		[TRACKED] = { ">FAULT(a tracked thing failed)", NEVER, 0 },
		[TRACK_CLEAR] = { "", NEVER, 0 },
		[REARM] = { "", HALF + DOWN, 0 },
		[REARM_LONG] = { "", HALF + 5 * NS_PER_SEC, 0 },
		[PRIORITY] = { "", NEVER, 0 },
		[CONF] = { "", NEVER, 0 },
		[SRC_OTHER] = { "", NEVER, 0 },
		[SRC_GONE] = { ">FAULT(the interface has no address to send from)", NEVER, 0 },
	},
	[IN_MASTER] = {
		[START] = { "", KEEP, 1 },
		[STOP] = { "S0 >INIT(stop)", NEVER, 0 },
		[LINK_UP] = { "", KEEP, 0 },
		[LINK_DOWN] = { ">FAULT(link down)", NEVER, 0 },
		[ADV_HIGHER] = { "H101", KEEP, 0 },
		[ADV_LOWER] = { "S100 R99", KEEP, 0 },
		[ADV_TIE_ABOVE] = { "H100", KEEP, 0 },
		[ADV_TIE_BELOW] = { "S100 R100", KEEP, 0 },
		[ADV_ZERO] = { "S100 Z0", KEEP, 0 },
		[ADV_OWNER] = { "H255", KEEP, 0 },
		[TICK_EARLY] = { "", KEEP, 0 },
		[TICK_DUE] = { "S100", 2 * ADV, 0 },
		[TAKE] = { "S100", HALF + ADV, 0 },
		[YIELD] = { ">BACKUP(yielded)", HALF + DOWN, 0 },
		[YIELD_ZERO] = { "S0 >BACKUP(yielded)", HALF + DOWN, 0 },
		[FAULT] = { "S0 >FAULT(fault)", NEVER, 0 },
		[FAULT_CLEAR] = { "", KEEP, 0 },
		[TRACKED] = { "S0 >FAULT(a tracked thing failed)", NEVER, 0 },
		[TRACK_CLEAR] = { "", KEEP, 0 },
		[REARM] = { "", KEEP, 1 },
		[REARM_LONG] = { "", KEEP, 1 },
		[PRIORITY] = { "", KEEP, 0 },
		[CONF] = { "", HALF + ADV / 10, 0 },
		[SRC_OTHER] = { "", KEEP, 0 },
		[SRC_GONE] = { ">FAULT(the interface has no address to send from)", NEVER, 0 },
	},
	[IN_FAULT] = {
		[START] = { "", NEVER, 1 },
		[STOP] = { ">INIT(stop)", NEVER, 0 },
		[LINK_UP] = { "", NEVER, 0 },
		[LINK_DOWN] = { "", NEVER, 0 },
		[ADV_HIGHER] = { "", NEVER, 0 },
		[ADV_LOWER] = { "", NEVER, 0 },
		[ADV_TIE_ABOVE] = { "", NEVER, 0 },
		[ADV_TIE_BELOW] = { "", NEVER, 0 },
		[ADV_ZERO] = { "", NEVER, 0 },
		[ADV_OWNER] = { "", NEVER, 0 },
		[TICK_EARLY] = { "", NEVER, 0 },
		[TICK_DUE] = { "", NEVER, 0 },
		[TAKE] = { "", NEVER, 1 },
		[YIELD] = { "", NEVER, 1 },
		[YIELD_ZERO] = { "", NEVER, 1 },
		[FAULT] = { "", NEVER, 0 },
		[FAULT_CLEAR] = { ">BACKUP(fault cleared)", HALF + DOWN, 0 },
		[TRACKED] = { "", NEVER, 0 },
		[TRACK_CLEAR] = { "", NEVER, 0 },
		[REARM] = { "", NEVER, 1 },
		[REARM_LONG] = { "", NEVER, 1 },
		[PRIORITY] = { "", NEVER, 0 },
		[CONF] = { "", NEVER, 0 },
		[SRC_OTHER] = { "", NEVER, 0 },
		[SRC_GONE] = { "", NEVER, 0 },
	},
};

START_TEST(every_state_and_event)
{
	enum start s = (enum start)(_i / WHAT_N);
	enum what w = (enum what)(_i % WHAT_N);
	const struct row *r = &table[s][w];
	ck_assert_msg(r->out, "no row for state %d, event %d", (int)s, (int)w);
	bring(s);
	mono_t before = vrrp_deadline(&v);
	const char *out = do_what(w, at(HALF));
	ck_assert_msg(strcmp(out, r->out) == 0, "state %d, event %d: \"%s\", not \"%s\"", (int)s, (int)w, out, r->out);
	mono_t want = r->deadline == KEEP ? before : r->deadline == NEVER ? MONO_NEVER : at(r->deadline);
	ck_assert_msg(vrrp_deadline(&v).ns == want.ns, "state %d, event %d: deadline at %lld, not %lld", (int)s, (int)w,
		      (long long)(vrrp_deadline(&v).ns - T0.ns), (long long)(want.ns - T0.ns));
	ck_assert_uint_eq(v.stats.ignored, r->ignored);
	/* What holds in every state. */
	ck_assert(v.state == VRRP_MASTER || mono_is_never(v.advert_at));
	ck_assert(v.state == VRRP_BACKUP || (mono_is_never(v.master_down_at) && !v.expired));
	ck_assert_int_eq(v.state == VRRP_INIT, !v.started);
}
END_TEST

START_TEST(skew_and_master_down)
{
	static const struct {
		uint8_t priority;
		int64_t adv_ns, skew_ns;
	} row[] = {
		{ 100, NS_PER_SEC, 609375000 },   { 254, NS_PER_SEC, 7812500 },
		{ 255, NS_PER_SEC, 3906250 },     { 1, NS_PER_SEC, 996093750 },
		{ 100, 10 * NS_PER_MS, 6093750 }, { 1, 40950 * NS_PER_MS, INT64_C(40790039062) },
	};
	v.priority = row[_i].priority;
	ck_assert_int_eq(vrrp_skew_of(&v, row[_i].adv_ns), row[_i].skew_ns);
	ck_assert_int_eq(vrrp_down_of(&v, row[_i].adv_ns), 3 * row[_i].adv_ns + row[_i].skew_ns);
	conf.down_adverts = 100;
	ck_assert_int_eq(vrrp_down_of(&v, row[_i].adv_ns), 100 * row[_i].adv_ns + row[_i].skew_ns);
	/* RFC 3768 6.1: seconds, whatever the interval. */
	for (conf.version = VRRP_V2; conf.version <= VRRP_V2_AND_3; conf.version++)
		ck_assert_int_eq(vrrp_skew_of(&v, row[_i].adv_ns), (256 - row[_i].priority) * NS_PER_SEC / 256);
}
END_TEST

START_TEST(waits_for_link_and_source)
{
	vrrp_init(&v, &conf);
	ck_assert_str_eq(plain(VRRP_EV_START, T0), ">FAULT(link down)");
	ck_assert_str_eq(plain(VRRP_EV_LINK_UP, T0), "");
	ck_assert_str_eq(src(addr_v4(10, 0, 0, 5), T0), ">BACKUP(fault cleared)");
	ck_assert_str_eq(plain(VRRP_EV_FAULT, T0), ">FAULT(fault)");
	ck_assert_str_eq(plain(VRRP_EV_LINK_DOWN, T0), "");
	ck_assert_str_eq(plain(VRRP_EV_FAULT_CLEAR, T0), "");
	ck_assert_str_eq(plain(VRRP_EV_LINK_UP, T0), ">BACKUP(fault cleared)");
	ck_assert_str_eq(plain(VRRP_EV_STOP, T0), ">INIT(stop)");
	/* Told before the start, all is there at once. */
	ck_assert_str_eq(plain(VRRP_EV_START, T0), ">BACKUP(start)");
	ck_assert_uint_eq(v.stats.to_fault, 2);
}
END_TEST

START_TEST(an_owner_listens_first)
{
	conf.priority = 255;
	setup();
	vrrp_init(&v, &conf);
	v.priority = v.wanted = conf.priority = 255;
	src(addr_v4(10, 0, 0, 5), T0);
	plain(VRRP_EV_LINK_UP, T0);
	ck_assert_str_eq(plain(VRRP_EV_START, T0), ">BACKUP(start)");
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(vrrp_down(&v)).ns);
	conf.preempt = false; /* an owner preempts all the same (RFC 9568 6.1, Preempt_Mode) */
	ck_assert_str_eq(advert(200, 9, ADV, T0), "L200");
	ck_assert_str_eq(advert(255, 9, ADV, T0), "W2 M255");
	ck_assert_str_eq(advert(255, 9, ADV, T0), "M255");
}
END_TEST

START_TEST(without_preemption_a_lower_master_is_the_master)
{
	bring(IN_BACKUP);
	conf.preempt = false;
	ck_assert_str_eq(advert(1, 9, ADV, at(HALF)), "M1");
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(HALF + DOWN).ns);
}
END_TEST

START_TEST(the_tie_is_decided_by_the_address_as_a_number)
{
	struct vrrp_ev ev = { .type = VRRP_EV_ADVERT };
	bring(IN_MASTER); /* we are 10.0.0.5 */
	ev.u.advert.priority = 100;
	ev.u.advert.adv_ns = ADV;
	ev.u.advert.src = addr_v4(192, 0, 2, 1); /* unsigned: above 10.0.0.5 */
	ck_assert_str_eq(step(&ev, T0), "H100");
	ev.u.advert.src = addr_v4(9, 255, 255, 255);
	ck_assert_str_eq(step(&ev, T0), "S100 R100");
	/* The address may change while it is master. */
	src(addr_v4(9, 0, 0, 1), T0);
	ck_assert_str_eq(step(&ev, T0), "H100");
	/* IPv6 alike. */
	struct addr low, high;
	ck_assert(addr_parse("fe80::9", &low) && addr_parse("fe80::10", &high));
	src(low, T0);
	ev.u.advert.src = high;
	ck_assert_str_eq(step(&ev, T0), "H100");
	src(high, T0);
	ev.u.advert.src = low;
	ck_assert_str_eq(step(&ev, T0), "S100 R100");
	/* Our own address from somebody else: no answer, no yielding. */
	src(low, T0);
	ck_assert_str_eq(step(&ev, T0), "");
	ck_assert_uint_eq(v.stats.ignored, 1);
}
END_TEST

START_TEST(the_interval_is_learnt_from_the_master)
{
	bring(IN_BACKUP);
	ck_assert_str_eq(advert(200, 9, NS_PER_SEC, T0), "W1 M200");
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(down(100, NS_PER_SEC)).ns);
	ck_assert_str_eq(advert(200, 9, NS_PER_SEC, T0), "M200"); /* said once */
	/* Its farewell counts in its interval. */
	ck_assert_str_eq(advert(0, 9, NS_PER_SEC, T0), "Z0");
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(skew(100, NS_PER_SEC)).ns);
	/* As master: ours. */
	take(T0, T0);
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(ADV).ns);
	ck_assert_int_eq(v.master_adv_ns, ADV);
	ck_assert_int_eq(v.master_reason, VRRP_R_PRIORITY);
	/* The better one is back: its interval counts from the moment of yielding on. */
	ck_assert_str_eq(advert(200, 9, 2 * NS_PER_SEC, at(HALF)), "H200");
	ck_assert_str_eq(yield(false, at(HALF)), ">BACKUP(higher router heard)");
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(HALF + down(100, 2 * NS_PER_SEC)).ns);
	/* The warning ends with the difference and can begin again. */
	ck_assert_str_eq(advert(200, 9, ADV, at(HALF)), "M200");
	ck_assert_str_eq(advert(200, 9, NS_PER_SEC, at(HALF)), "W1 M200");
	ck_assert_uint_eq(v.stats.interval_differs, 5);
}
END_TEST

START_TEST(a_forgotten_peer_teaches_nothing)
{
	bring(IN_MASTER);
	advert(99, 9, 2 * NS_PER_SEC, T0);
	mono_t late = at(20 * NS_PER_SEC);
	ck_assert_str_eq(yield(false, late), ">BACKUP(yielded)");
	ck_assert_int_eq(vrrp_deadline(&v).ns, mono_add(late, DOWN).ns);
}
END_TEST

START_TEST(farewells_only_shorten)
{
	bring(IN_BACKUP);
	mono_t near = at(DOWN - NS_PER_MS); /* the timer would run out in 1 ms anyway */
	ck_assert_str_eq(advert(0, 9, ADV, near), "Z0");
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(DOWN).ns);
	bring(IN_BACKUP);
	for (int i = 0; i < 10; i++)
		advert(0, 9, ADV, at(i * NS_PER_MS));
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(SKEW).ns); /* of the first one */
	ck_assert_str_eq(plain(VRRP_EV_TICK, at(SKEW)), "X");
	ck_assert_str_eq(take(MONO_ZERO, at(SKEW)), "S100 >MASTER(priority)");
}
END_TEST

START_TEST(expired_is_said_once_and_ended_by_life)
{
	bring(IN_BACKUP);
	ck_assert_str_eq(plain(VRRP_EV_TICK, at(DOWN - 1)), "");
	ck_assert(!v.expired);
	ck_assert_str_eq(plain(VRRP_EV_TICK, at(DOWN)), "X");
	ck_assert(v.expired);
	ck_assert_str_eq(plain(VRRP_EV_TICK, at(DOWN + ADV)), "");
	ck_assert_str_eq(advert(200, 9, ADV, at(DOWN + ADV)), "M200");
	ck_assert(!v.expired);
	ck_assert_str_eq(plain(VRRP_EV_TICK, at(DOWN + ADV + DOWN)), "X");
	ck_assert_str_eq(plain(VRRP_EV_REARM, at(DOWN + ADV + DOWN)), "");
	ck_assert(!v.expired);
	ck_assert_uint_eq(v.stats.expired, 2);
	ck_assert_uint_eq(v.stats.rearmed, 1);
}
END_TEST

START_TEST(why_it_became_master)
{
	bring(IN_BACKUP);
	advert(99, 9, ADV, T0);
	ck_assert_str_eq(take(MONO_ZERO, T0), "S100 >MASTER(preempted)");
	bring(IN_BACKUP);
	advert(99, 9, ADV, T0);
	plain(VRRP_EV_TICK, at(DOWN));
	ck_assert_str_eq(take(MONO_ZERO, at(DOWN)), "S100 >MASTER(masterNoResponse)");
	ck_assert_int_eq(v.since.ns, at(DOWN).ns);
}
END_TEST

START_TEST(beats_do_not_drift)
{
	bring(IN_MASTER);
	for (int k = 1; k <= 100; k++) {
		ck_assert_int_eq(vrrp_deadline(&v).ns, at(k * ADV).ns);
		/* Up to almost a whole interval late. */
		ck_assert_str_eq(plain(VRRP_EV_TICK, at(k * ADV + k * (ADV - 1) / 100)), "S100");
	}
	ck_assert_uint_eq(v.stats.adv_sent, 100);
	ck_assert_uint_eq(v.stats.adv_skipped, 0);
}
END_TEST

START_TEST(lateness_makes_no_burst)
{
	bring(IN_MASTER);
	mono_t late = at(ADV * 57 / 10); /* beats 1 to 5 were missed */
	ck_assert_str_eq(plain(VRRP_EV_TICK, late), "S100");
	ck_assert_str_eq(plain(VRRP_EV_TICK, late), "");
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(6 * ADV).ns);
	ck_assert_uint_eq(v.stats.adv_skipped, 4);
}
END_TEST

START_TEST(members_taken_together_share_the_beat)
{
	struct vrrp other;
	bring(IN_BACKUP);
	take(at(-30 * NS_PER_MS), T0); /* the group's beat began 30 ms ago */
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(70 * NS_PER_MS).ns);
	other = v;
	bring(IN_BACKUP);
	take(at(-30 * NS_PER_MS), at(NS_PER_MS)); /* the second member, 1 ms later */
	ck_assert_int_eq(vrrp_deadline(&v).ns, vrrp_deadline(&other).ns);
	/* An old base means the next beat of its grid; answers out of turn do not leave the grid. */
	bring(IN_BACKUP);
	take(at(-1030 * NS_PER_MS), T0);
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(70 * NS_PER_MS).ns);
	advert(0, 9, ADV, at(10 * NS_PER_MS));
	advert(1, 9, ADV, at(20 * NS_PER_MS));
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(70 * NS_PER_MS).ns);
	/* A base in the future delays by one interval at most. */
	bring(IN_BACKUP);
	take(at(40 * NS_PER_MS), T0);
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(40 * NS_PER_MS).ns);
	bring(IN_BACKUP);
	take(at(10 * ADV), T0);
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(ADV).ns);
}
END_TEST

START_TEST(ten_millisecond_adverts)
{
	conf.adv_ns = 10 * NS_PER_MS;
	vrrp_init(&v, &conf);
	src(addr_v4(10, 0, 0, 5), T0);
	plain(VRRP_EV_LINK_UP, T0);
	plain(VRRP_EV_START, T0);
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(36093750).ns);
	plain(VRRP_EV_TICK, at(36093750));
	take(MONO_ZERO, at(36093750));
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(46093750).ns);
}
END_TEST

START_TEST(another_configuration_keeps_what_was_learnt)
{
	struct vrrp_conf faster, other, third; /* a configuration never changes: each is one of its own */
	struct vrrp_ev ev = { .type = VRRP_EV_CONF, .u.conf = &faster };
	/* A living master's interval stays, else a faster one of ours would take over from a slow master. */
	bring(IN_BACKUP);
	advert(200, 9, NS_PER_SEC, T0);
	faster = conf;
	faster.adv_ns = 10 * NS_PER_MS;
	ck_assert_str_eq(step(&ev, at(HALF)), "");
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(down(100, NS_PER_SEC)).ns);
	/* Its priority counts at once; a priority set by a tracker survives a change of something else. */
	other = conf;
	other.priority = 228;
	ev.u.conf = &other;
	ck_assert_str_eq(step(&ev, at(HALF)), "");
	ck_assert_uint_eq(v.priority, 228);
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(down(228, NS_PER_SEC)).ns);
	step(&(struct vrrp_ev){ .type = VRRP_EV_PRIORITY, .u.priority = 50 }, at(HALF));
	third = other;
	third.preempt = false;
	ev.u.conf = &third;
	step(&ev, at(HALF));
	ck_assert_uint_eq(v.priority, 50);
	/* A master with a longer interval still sends at the time it promised. */
	bring(IN_MASTER);
	third = conf;
	third.adv_ns = 10 * ADV;
	ev.u.conf = &third;
	step(&ev, at(HALF));
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(ADV).ns);
	ck_assert_str_eq(plain(VRRP_EV_TICK, at(ADV)), "S100");
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(11 * ADV).ns);
}
END_TEST

START_TEST(a_tracked_priority_is_sent)
{
	bring(IN_MASTER);
	step(&(struct vrrp_ev){ .type = VRRP_EV_PRIORITY, .u.priority = 42 }, T0);
	ck_assert_str_eq(plain(VRRP_EV_TICK, at(ADV)), "S42");
	ck_assert_str_eq(advert(50, 1, ADV, at(ADV)), "H50");
}
END_TEST

START_TEST(the_fault_of_a_master)
{
	/* Link gone: nothing can be sent. Source gone: nothing may be sent. Else priority 0. */
	bring(IN_MASTER);
	ck_assert_str_eq(plain(VRRP_EV_LINK_DOWN, T0), ">FAULT(link down)");
	ck_assert_str_eq(plain(VRRP_EV_FAULT, T0), "");
	bring(IN_MASTER);
	ck_assert_str_eq(plain(VRRP_EV_FAULT, T0), "S0 >FAULT(fault)");
	ck_assert_uint_eq(v.stats.zero_sent, 1);
	/* What is tracked is a fault of its own: either keeps it there. */
	bring(IN_MASTER);
	struct vrrp_ev track = { .type = VRRP_EV_TRACK, .u.track.fault = true };
	ck_assert_str_eq(step(&track, T0), "S0 >FAULT(a tracked thing failed)");
	ck_assert_str_eq(plain(VRRP_EV_FAULT, T0), "");
	track.u.track.fault = false;
	ck_assert_str_eq(step(&track, T0), "");
	ck_assert_str_eq(plain(VRRP_EV_FAULT_CLEAR, T0), ">BACKUP(fault cleared)");
	bring(IN_MASTER);
	plain(VRRP_EV_FAULT, T0);
	/* In FAULT it remembers whom it hears. */
	advert(99, 9, ADV, at(HALF));
	ck_assert_uint_eq(v.peer.priority, 99);
	ck_assert_int_eq(v.peer.heard_at.ns, at(HALF).ns);
	ck_assert_uint_eq(v.stats.adv_rcvd, 1);
}
END_TEST

START_TEST(another_list_warns_once)
{
	struct vrrp_ev ev = { .type = VRRP_EV_ADVERT };
	bring(IN_BACKUP);
	ev.u.advert.priority = 200;
	ev.u.advert.src = addr_v4(10, 0, 0, 9);
	ev.u.advert.adv_ns = ADV;
	ev.u.advert.vip_list_differs = true;
	ck_assert_str_eq(step(&ev, T0), "W0 M200");
	ck_assert_str_eq(step(&ev, T0), "M200");
	ck_assert_int_eq(vrrp_deadline(&v).ns, at(DOWN).ns); /* and it counts as the master's life */
	ck_assert_uint_eq(v.stats.vips_differ, 2);
	/* Where lists are compared once, the next one is another router's. */
	conf.lists_once = true;
	step(&ev, T0);
	ck_assert_uint_eq(v.stats.vips_differ, 2);
	ev.u.advert.src = addr_v4(10, 0, 0, 8);
	step(&ev, T0);
	ck_assert_uint_eq(v.stats.vips_differ, 3);
}
END_TEST

START_TEST(stalls)
{
	bring(IN_MASTER);
	ck_assert(!vrrp_stalled(&v, at(ADV)));
	ck_assert(!vrrp_stalled(&v, at(4 * ADV)));
	ck_assert(vrrp_stalled(&v, at(4 * ADV + 1)));
	bring(IN_BACKUP);
	ck_assert(!vrrp_stalled(&v, at(DOWN + ADV)));
	ck_assert(vrrp_stalled(&v, at(DOWN + ADV + 1)));
	plain(VRRP_EV_TICK, at(DOWN));
	ck_assert(!vrrp_stalled(&v, at(100 * ADV))); /* expired: nothing more is awaited */
	bring(IN_FAULT);
	ck_assert(!vrrp_stalled(&v, at(100 * ADV)));
}
END_TEST

/* Random events for a long time: no assertion fails, and what every_state_and_event checks at the end holds always. */
START_TEST(random_walk)
{
	uint64_t rng = 12345 + (uint64_t)_i;
	mono_t now = T0;
	setup();
	for (int n = 0; n < 20000; n++) {
		rng = rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		now = mono_add(now, (int64_t)((rng >> 20) % (uint64_t)(2 * ADV)));
		do_what((enum what)((rng >> 45) % WHAT_N), now);
		bool ok = (v.state == VRRP_MASTER || mono_is_never(v.advert_at)) &&
			  (v.state == VRRP_BACKUP || (mono_is_never(v.master_down_at) && !v.expired)) &&
			  (v.state != VRRP_BACKUP || v.expired == mono_is_never(v.master_down_at)) &&
			  (v.state != VRRP_MASTER || !mono_is_never(v.advert_at)) &&
			  (v.state == VRRP_INIT) == !v.started;
		for (unsigned i = 0; i < acts.n; i++)
			ok = ok && (acts.a[i].type != VRRP_ACT_STATE || acts.a[i].u.state.from != acts.a[i].u.state.to);
		if (!ok)
			ck_abort_msg("step %d", n);
		/* Every walk leaves INIT and FAULT again. */
		if (n % 10 == 0) {
			plain(VRRP_EV_LINK_UP, now);
			plain(VRRP_EV_FAULT_CLEAR, now);
			do_what(TRACK_CLEAR, now);
			src(addr_v4(10, 0, 0, 5), now);
			plain(VRRP_EV_START, now);
		}
	}
	ck_assert_uint_gt(v.stats.to_master, 100);
	ck_assert_uint_gt(v.stats.to_fault, 100);
}
END_TEST

START_TEST(texts)
{
	for (int i = 0; i < VRRP_REASON_N; i++)
		ck_assert_str_ne(vrrp_reason_text((enum vrrp_reason)i), "?");
	for (int i = 0; i < VRRP_WARN_N; i++)
		ck_assert_str_ne(vrrp_warn_text((enum vrrp_warn)i), "?");
	for (int i = 0; i < VRRP_STATE_N; i++)
		ck_assert_str_ne(vrrp_state_text((enum vrrp_state)i), "?");
	ck_assert_str_eq(vrrp_reason_text(VRRP_REASON_N), "?");
	ck_assert_str_eq(vrrp_warn_text(VRRP_WARN_N), "?");
	ck_assert_str_eq(vrrp_state_text(VRRP_STATE_N), "?");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("all");
	tcase_add_loop_test(tc, every_state_and_event, 0, STARTS * WHAT_N);
	tcase_add_loop_test(tc, skew_and_master_down, 0, 6);
	tcase_add_test(tc, waits_for_link_and_source);
	tcase_add_test(tc, an_owner_listens_first);
	tcase_add_test(tc, without_preemption_a_lower_master_is_the_master);
	tcase_add_test(tc, the_tie_is_decided_by_the_address_as_a_number);
	tcase_add_test(tc, the_interval_is_learnt_from_the_master);
	tcase_add_test(tc, a_forgotten_peer_teaches_nothing);
	tcase_add_test(tc, farewells_only_shorten);
	tcase_add_test(tc, expired_is_said_once_and_ended_by_life);
	tcase_add_test(tc, why_it_became_master);
	tcase_add_test(tc, beats_do_not_drift);
	tcase_add_test(tc, lateness_makes_no_burst);
	tcase_add_test(tc, members_taken_together_share_the_beat);
	tcase_add_test(tc, ten_millisecond_adverts);
	tcase_add_test(tc, another_configuration_keeps_what_was_learnt);
	tcase_add_test(tc, a_tracked_priority_is_sent);
	tcase_add_test(tc, the_fault_of_a_master);
	tcase_add_test(tc, another_list_warns_once);
	tcase_add_test(tc, stalls);
	tcase_add_loop_test(tc, random_walk, 0, 5);
	tcase_add_test(tc, texts);
	return vrrp_one_run("vrrp_fsm", tc);
}
