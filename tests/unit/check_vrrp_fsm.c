/*
 * The state machine: every pair of state and event in one table, then the timers, the tie-break, the learnt interval and
 * what must not happen (drift, bursts, timers moved by the wrong packet).
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vrrp/vrrp_fsm.h"

#define ADV  (100 * NS_PER_MS)
#define SKEW INT64_C(60937500) /* 156/256 of 100 ms */
#define DOWN (3 * ADV + SKEW)
#define T0   ((mono_t){ 10 * NS_PER_SEC })

/* RFC 9568 6.1, once more. */
static int64_t skew(int priority, int64_t adv_ns)
{
	return (256 - priority) * adv_ns / 256;
}

static int64_t down(int priority, int64_t adv_ns)
{
	return 3 * adv_ns + skew(priority, adv_ns);
}

static struct vrrp_conf conf;
static struct vrrp v;
static struct vrrp_acts acts;
static char text[160];

/* The actions of the last step in one line: S100 = send priority 100, X = expired, Z H L M R = heard zero, higher, lower,
 * master, rival, W0 = warning 0, >MASTER(reason). */
static const char *render(void)
{
	size_t n = 0;
	text[0] = '\0';
	for (unsigned i = 0; i < acts.n; i++) {
		const struct vrrp_act *a = &acts.a[i];
		char one[64] = "";
		switch (a->type) {
		case VRRP_ACT_SEND:
			snprintf(one, sizeof(one), "S%u", a->u.priority);
			break;
		case VRRP_ACT_EXPIRED:
			snprintf(one, sizeof(one), "X");
			break;
		case VRRP_ACT_HEARD_ZERO:
		case VRRP_ACT_HEARD_HIGHER:
		case VRRP_ACT_HEARD_LOWER:
		case VRRP_ACT_HEARD_MASTER:
		case VRRP_ACT_HEARD_RIVAL:
			snprintf(one, sizeof(one), "%c%u", "ZHLMR"[a->type - VRRP_ACT_HEARD_ZERO],
				 a -> u.heard.priority);
			break;
		case VRRP_ACT_STATE:
			ck_assert_int_ne(a->u.state.from, a->u.state.to);
			snprintf(one, sizeof(one), ">%s(%s)", vrrp_state_text(a->u.state.to),
				 vrrp_reason_text(a->u.state.reason));
			break;
		case VRRP_ACT_WARN:
			snprintf(one, sizeof(one), "W%d", (int)a->u.warn);
			break;
		}
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n ? " " : "", one);
	}
	return text;
}

static const char *step(const struct vrrp_ev *ev, mono_t now)
{
	vrrp_step(&v, ev, now, &acts);
	return render();
}

static const char *plain(enum vrrp_ev_type type, mono_t now)
{
	return step(&(struct vrrp_ev){ .type = type }, now);
}

static const char *advert(uint8_t priority, uint8_t last_octet, int64_t adv_ns, mono_t now)
{
	struct vrrp_ev ev = { .type = VRRP_EV_ADVERT };
	ev.u.advert.priority = priority;
	ev.u.advert.src = addr_v4(10, 0, 0, last_octet);
	ev.u.advert.adv_ns = adv_ns;
	return step(&ev, now);
}

static const char *take(mono_t base, mono_t now)
{
	struct vrrp_ev ev = { .type = VRRP_EV_TAKE };
	ev.u.take.advert_base = base;
	return step(&ev, now);
}

static const char *yield(bool zero, mono_t now)
{
	struct vrrp_ev ev = { .type = VRRP_EV_YIELD };
	ev.u.yield.send_zero = zero;
	return step(&ev, now);
}

static const char *src(struct addr a, mono_t now)
{
	return step(&(struct vrrp_ev){ .type = VRRP_EV_SRC, .u.src = a }, now);
}

static mono_t at(int64_t d_ns)
{
	return mono_add(T0, d_ns);
}

static void setup(void)
{
	conf = (struct vrrp_conf){ .name = "one",
				   .vrid = 51,
				   .af = ADDR_V4,
				   .priority = 100,
				   .adv_ns = ADV,
				   .down_adverts = 3,
				   .preempt = true,
				   .lower_advert = true };
	vrrp_init(&v, &conf);
	ck_assert_str_eq(src(addr_v4(10, 0, 0, 5), T0), "");
	ck_assert_str_eq(plain(VRRP_EV_LINK_UP, T0), "");
}

enum start { IN_INIT = 0, IN_BACKUP, IN_EXPIRED, IN_MASTER, IN_FAULT, STARTS };

/* Brings the machine to a state; all timers began at T0. */
static void bring(enum start s)
{
	setup();
	if (s == IN_INIT)
		return;
	ck_assert_str_eq(plain(VRRP_EV_START, T0), ">BACKUP(start)");
	if (s == IN_EXPIRED) {
		v.master_down_at = T0;
		ck_assert_str_eq(plain(VRRP_EV_TICK, T0), "X");
	} else if (s == IN_MASTER) {
		ck_assert_str_eq(take(T0, T0), "S100 >MASTER(masterNoResponse)");
	} else if (s == IN_FAULT) {
		ck_assert_str_eq(plain(VRRP_EV_FAULT, T0), ">FAULT(fault)");
	}
	memset(&v.stats, 0, sizeof(v.stats));
}

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
#define HALF  (50 * NS_PER_MS) /* every event but TICK_DUE comes this long after T0: nothing is due then */

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
			src(addr_v4(10, 0, 0, 5), now);
			plain(VRRP_EV_START, now);
		}
	}
	ck_assert_uint_gt(v.stats.to_master, 100);
	ck_assert_uint_gt(v.stats.to_fault, 100);
}
END_TEST

/* ---- preemption ---- */

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

/* ---- answers ---- */

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

/* ---- version 2 ---- */

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

/* ---- two owners ---- */

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
	Suite *s = suite_create("vrrp fsm");
	TCase *tc = tcase_create("all");
	tcase_add_checked_fixture(tc, setup, NULL);
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
	tcase_add_test(tc, texts);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
