/* explain ipsec: each verdict from the state that leads to it; the ring of events. */
#include <check.h>
#include <string.h>
#include "ike-hooks/ike_hist.h"
#include "ike-hooks/ike_verdict.h"
#include "tests/unit/run.h"

static struct ike_tunnel t;
static struct ike_verdict_in in;

static void setup(void)
{
	memset(&t, 0, sizeof(t));
	strcpy(t.conf.name, "to-hq");
	strcpy(t.conf.ike, "hq");
	strcpy(t.conf.child, "net");
	t.conf.vip = addr_v4(192, 0, 2, 1);
	t.conf.peer = addr_v4(198, 51, 100, 1);
	t.conf.initiate = true;
	t.backend = t.active = true;
	t.state = IKE_UP;
	in = (struct ike_verdict_in){ .tunnel = &t,
				      .listed = true,
				      .has_conn = true,
				      .has_child = true,
				      .sa = true,
				      .established = true,
				      .group = "edge",
				      .error = "" };
}

static void is(enum ike_verdict want)
{
	char why[400], change[400];
	enum ike_verdict v = ike_verdict(&in);

	ck_assert_msg(v == want, "%s", ike_verdict_why(v, &in, why, sizeof(why)));
	ike_verdict_why(v, &in, why, sizeof(why));
	ike_verdict_change(v, &in, change, sizeof(change));
	ck_assert_uint_gt(strlen(why), 5);
	ck_assert_uint_gt(strlen(change), 5);
	ck_assert_ptr_null(strchr(why, '%'));
	ck_assert_ptr_null(strchr(change, '%'));
}

START_TEST(without_daemon)
{
	t.backend = false;
	is(IKE_V_ABSENT);
	in.stopped = true;
	is(IKE_V_STOPPED);
	t.conf.backend = IKE_BACKEND_NONE;
	is(IKE_V_NONE);
}
END_TEST

START_TEST(without_role)
{
	t.active = false;
	t.state = IKE_IDLE;
	is(IKE_V_PASSIVE_SA);
	in.sa = false;
	is(IKE_V_PASSIVE_NOW);
	in.sa = t.conf.warm = true;
	is(IKE_V_PASSIVE_NOW);
}
END_TEST

START_TEST(configuration)
{
	in.has_child = false;
	is(IKE_V_NO_CHILD);
	in.has_conn = false;
	is(IKE_V_NO_CONN);
	in.listed = false; /* nothing is known: the state decides */
	is(IKE_V_UP);
	in.listed = in.has_conn = in.has_child = in.elsewhere = true;
	is(IKE_V_MOVED);
}
END_TEST

START_TEST(states)
{
	is(IKE_V_UP);
	t.dpd.told = true;
	is(IKE_V_DEAD);
	t.dpd.told = in.sa = in.established = false;
	t.state = IKE_PURGING;
	is(IKE_V_PURGING);
	t.fails = 1; /* the purge before another attempt */
	is(IKE_V_NO_ANSWER);
	t.fails = 0;
	t.state = IKE_CHECKING;
	is(IKE_V_CHECKING);
	t.state = IKE_WAITING;
	is(IKE_V_WAITING);
	t.state = IKE_QUEUED;
	is(IKE_V_QUEUED);
	t.state = IKE_CLOSING;
	is(IKE_V_PURGING);
	t.state = IKE_INITIATING;
	is(IKE_V_INITIATING);
	t.fails = 2;
	is(IKE_V_NO_ANSWER);
	t.ike_up = true;
	is(IKE_V_CHILD_FAILS);
	t.ike_up = false;
	t.state = IKE_FAILED;
	t.why = IKE_WHY_DEADLINE;
	is(IKE_V_NO_ANSWER);
	in.established = true;
	is(IKE_V_CHILD_FAILS);
	t.why = IKE_WHY_REFUSED;
	is(IKE_V_CHILD_FAILS); /* nobody said why */
	in.error = "CHILD_SA config 'net' not found";
	is(IKE_V_REFUSED);
	t.state = IKE_IDLE; /* between two steps */
	is(IKE_V_INITIATING);
}
END_TEST

START_TEST(words)
{
	char buf[400];

	ck_assert_str_eq(ike_verdict_change(IKE_V_PASSIVE_NOW, &in, buf, sizeof(buf)),
			 "force failover group edge takes the role, and the tunnel with it");
	ck_assert_str_eq(ike_verdict_change(IKE_V_MOVED, &in, buf, sizeof(buf)),
			 "set connections.hq.mobike = no, swanctl --load-conns, then reset vpn ipsec peer to-hq");
	in.error = "too many";
	ck_assert_str_eq(ike_verdict_why(IKE_V_REFUSED, &in, buf, sizeof(buf)),
			 "the IKE daemon refused to negotiate: too many");
	t.conf.peer.af = 0;
	ck_assert_str_eq(ike_verdict_why(IKE_V_INITIATING, &in, buf, sizeof(buf)),
			 "the negotiation with the peer is under way");
	for (size_t n = 1; n < 60; n++) { /* cut, never beyond the end */
		memset(buf, 'x', sizeof(buf));
		ike_verdict_why(IKE_V_MOVED, &in, buf, n);
		ck_assert_uint_lt(strlen(buf), n);
		ck_assert_int_eq(buf[n], 'x');
	}
}
END_TEST

START_TEST(history)
{
	struct ike_hist h = { .n = 0 };

	ck_assert_ptr_null(ike_hist_get(&h, 0));
	for (unsigned i = 0; i < 3 * IKE_HIST_MAX; i++) {
		struct ike_hist_entry e = { .wall_us = i };
		ike_hist_add(&h, &e);
		for (unsigned k = 0; k <= IKE_HIST_MAX; k++) {
			const struct ike_hist_entry *got = ike_hist_get(&h, k);
			if (k > i || k == IKE_HIST_MAX)
				ck_assert_ptr_null(got);
			else
				ck_assert_int_eq(got->wall_us, i - k);
		}
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike_verdict");
	TCase *c = tcase_create("verdict");

	tcase_add_checked_fixture(c, setup, NULL);
	tcase_add_test(c, without_daemon);
	tcase_add_test(c, without_role);
	tcase_add_test(c, configuration);
	tcase_add_test(c, states);
	tcase_add_test(c, words);
	tcase_add_test(c, history);
	suite_add_tcase(s, c);
	return unit_run(s);
}
