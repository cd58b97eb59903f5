/* One virtual router, driven by hand. */
#include <stdio.h>
#include <string.h>
#include "tests/unit/vrrp_one.h"
#include "tests/unit/run.h"

/* RFC 9568 6.1, once more. */
int64_t skew(int priority, int64_t adv_ns)
{
	return (256 - priority) * adv_ns / 256;
}

int64_t down(int priority, int64_t adv_ns)
{
	return 3 * adv_ns + skew(priority, adv_ns);
}

struct vrrp_conf conf;
struct vrrp v;
struct vrrp_acts acts;
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

const char *step(const struct vrrp_ev *ev, mono_t now)
{
	vrrp_step(&v, ev, now, &acts);
	return render();
}

const char *plain(enum vrrp_ev_type type, mono_t now)
{
	return step(&(struct vrrp_ev){ .type = type }, now);
}

const char *advert(uint8_t priority, uint8_t last_octet, int64_t adv_ns, mono_t now)
{
	struct vrrp_ev ev = { .type = VRRP_EV_ADVERT };
	ev.u.advert.priority = priority;
	ev.u.advert.src = addr_v4(10, 0, 0, last_octet);
	ev.u.advert.adv_ns = adv_ns;
	return step(&ev, now);
}

const char *take(mono_t base, mono_t now)
{
	struct vrrp_ev ev = { .type = VRRP_EV_TAKE };
	ev.u.take.advert_base = base;
	return step(&ev, now);
}

const char *yield(bool zero, mono_t now)
{
	struct vrrp_ev ev = { .type = VRRP_EV_YIELD };
	ev.u.yield.send_zero = zero;
	return step(&ev, now);
}

const char *src(struct addr a, mono_t now)
{
	return step(&(struct vrrp_ev){ .type = VRRP_EV_SRC, .u.src = a }, now);
}

mono_t at(int64_t d_ns)
{
	return mono_add(T0, d_ns);
}

void setup(void)
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

/* Brings the machine to a state; all timers began at T0. */
void bring(enum start s)
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

int vrrp_one_run(const char *name, TCase *tc)
{
	Suite *s = suite_create(name);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
