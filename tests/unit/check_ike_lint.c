/* Lint of the IKE configuration: every finding alone, none without a cause, order, and the remedy's words. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include "ike-hooks/ike_lint.h"
#include "tests/unit/run.h"

static struct ike_tunnel_conf tunnel;
static struct vici_conn conn, own; /* of the VIP, of the node's own address */
static struct ike_lint_in in;
static struct ike_lint_out out;

static void setup(void)
{
	tunnel = (struct ike_tunnel_conf){ .name = "to-hq",
					   .ike = "hq",
					   .child = "net",
					   .initiate = true,
					   .vip = addr_v4(192, 0, 2, 1),
					   .peer = addr_v4(198, 51, 100, 1) };
	conn = (struct vici_conn){ .name = "hq",
				   .v2 = true,
				   .unique = VICI_UNIQUE_REPLACE,
				   .has_mobike = true,
				   .dpd_delay_s = 10,
				   .remote_id = "hq.example.net",
				   .n_children = 1,
				   .child = { { .name = "net",
						.start = VICI_DO_NOTHING,
						.dpd = VICI_DO_NOTHING,
						.close = VICI_DO_NOTHING } } };
	conn.local = (struct vici_ends){ .addr = { tunnel.vip }, .n = 1 };
	conn.remote = (struct vici_ends){ .addr = { tunnel.peer }, .n = 1 };
	own = (struct vici_conn){ .name = "hq-warm", .v2 = true, .n_children = 1, .child = { { .name = "net" } } };
	own.local = (struct vici_ends){ .addr = { addr_v4(192, 0, 2, 11) }, .n = 1 };
	strcpy(tunnel.warm_ike, "hq-warm");
	strcpy(tunnel.warm_child, "net");
	in = (struct ike_lint_in){ .tunnel = &tunnel, .conn = &conn, .retransmit_s = 15 };
}

static void only(enum ike_lint what, const char *value)
{
	ike_lint(&in, &out);
	ck_assert_msg(out.n == 1, "%u findings, the first %s", out.n, out.n ? ike_lint_setting(out.f[0].what) : "-");
	ck_assert_int_eq(out.f[0].what, what);
	ck_assert_str_eq(out.f[0].value, value);
}

static void nothing(void)
{
	ike_lint(&in, &out);
	ck_assert_msg(out.n == 0, "%s = %s", ike_lint_setting(out.f[0].what), out.f[0].value);
}

START_TEST(good_configuration)
{
	nothing();
	ck_assert_uint_eq(out.detect_s, 25);
	ck_assert(!out.mobike_unknown && !out.start_unknown);
	conn.child[0].start = VICI_DO_TRAP; /* traps keep traffic from leaving in clear */
	conn.unique = VICI_UNIQUE_KEEP;
	nothing();
}
END_TEST

START_TEST(missing)
{
	in.conn = NULL;
	only(IKE_LINT_NO_CONN, "hq");
	setup();
	strcpy(conn.child[0].name, "other");
	only(IKE_LINT_NO_CHILD, "net");
	conn.more_children = 1; /* it may be among those for which there was no room */
	nothing();
}
END_TEST

START_TEST(mobike)
{
	conn.mobike = true;
	only(IKE_LINT_MOBIKE, "yes");
	conn.v2 = false; /* MOBIKE is of IKEv2 */
	conn.v1 = true;
	nothing();
	setup();
	conn.has_mobike = false;
	nothing();
	ck_assert(out.mobike_unknown);
	in.floated = true;
	only(IKE_LINT_MOBIKE, "yes (port 4500 is used where nobody translates addresses)");
	ck_assert(!out.mobike_unknown);
	in.moved = 2;
	only(IKE_LINT_MOVED, "2 times");
	conn.has_mobike = true; /* it was put right since */
	nothing();
}
END_TEST

START_TEST(ends)
{
	conn.local.addr[0] = addr_v4(192, 0, 2, 11);
	only(IKE_LINT_LOCAL_OTHER, "192.0.2.11");
	conn.local.other = 1; /* a name or a range may contain the address */
	nothing();
	conn.local = (struct vici_ends){ .any = true };
	only(IKE_LINT_LOCAL_ANY, "%any");
	setup();
	conn.remote.addr[0] = addr_v4(198, 51, 100, 7);
	only(IKE_LINT_REMOTE_OTHER, "198.51.100.7");
	conn.remote.addr[conn.remote.n++] = tunnel.peer;
	nothing();
	conn.remote = (struct vici_ends){ .any = true };
	only(IKE_LINT_REMOTE_ANY, "%any");
	tunnel.initiate = false; /* then the peer comes to us */
	nothing();
	setup();
	tunnel.peer.af = 0; /* a learnt tunnel with any peer */
	nothing();
}
END_TEST

START_TEST(actions)
{
	conn.child[0].start = VICI_DO_START;
	only(IKE_LINT_START, "start");
	setup();
	conn.child[0].start = VICI_DO_UNKNOWN;
	nothing();
	ck_assert(out.start_unknown);
	in.unwanted = 3;
	only(IKE_LINT_UNWANTED, "3 times");
	setup();
	conn.child[0].close = VICI_DO_START;
	only(IKE_LINT_CLOSE, "start");
	setup();
	conn.child[0].dpd = VICI_DO_START;
	only(IKE_LINT_DPD_ACTION, "start");
	conn.child[0].dpd = VICI_DO_TRAP;
	nothing();
}
END_TEST

START_TEST(unique_and_identity)
{
	conn.unique = VICI_UNIQUE_NEVER;
	only(IKE_LINT_UNIQUE_NEVER, "never");
	tunnel.warm = true; /* the warm SA lives beside the other one */
	in.warm = &own;
	nothing();
	setup();
	conn.unique = VICI_UNIQUE_NO;
	only(IKE_LINT_UNIQUE_NO, "no");
	setup();
	conn.id_wild = true;
	strcpy(conn.remote_id, "*@example.net");
	only(IKE_LINT_ID_WILD, "*@example.net");
	conn.remote_id[0] = '\0';
	only(IKE_LINT_ID_WILD, "none");
	tunnel.initiate = false;
	nothing();
	setup();
	conn.reauth_s = 3600;
	only(IKE_LINT_REAUTH, "3600 s");
}
END_TEST

START_TEST(warm)
{
	in.warm = &own;
	nothing(); /* not wanted: not looked at */
	tunnel.warm = true;
	nothing();
	in.warm = NULL;
	only(IKE_LINT_NO_WARM, "hq-warm");
	in.warm = &own;
	strcpy(own.child[0].name, "other");
	only(IKE_LINT_NO_WARM, "hq-warm");
	strcpy(own.child[0].name, "net");
	own.v2 = false;
	only(IKE_LINT_WARM_V1, "1");
	own.v2 = true;
	own.local.addr[0] = tunnel.vip;
	only(IKE_LINT_WARM_LOCAL, "192.0.2.1");
	char fix[400];
	ck_assert_str_eq(ike_lint_fix(IKE_LINT_WARM_V1, &tunnel, fix, sizeof(fix)),
			 "set connections.hq-warm.version = 2 and run swanctl --load-conns");
	ck_assert_str_eq(ike_lint_fix(IKE_LINT_WARM_LOCAL, &tunnel, fix, sizeof(fix)),
			 "set connections.hq-warm.local_addrs to this node's own address and run swanctl --load-conns");
}
END_TEST

START_TEST(detection)
{
	conn.dpd_delay_s = 0;
	only(IKE_LINT_DPD_OFF, "0");
	ck_assert_uint_eq(out.detect_s, 0);
	tunnel.dpd.enabled = true;
	only(IKE_LINT_DPD_OURS, "0");
	setup();
	conn.dpd_delay_s = 15;
	nothing(); /* 30 s are not too many */
	conn.dpd_delay_s = 16;
	only(IKE_LINT_DPD_SLOW, "31 s: dpd_delay 16 s and 15 s of repetitions");
	in.retransmit_s = 0;
	only(IKE_LINT_DPD_SLOW, "181 s: dpd_delay 16 s and 165 s of repetitions (charon's standard)");
	conn.dpd_timeout_s = 9; /* of IKEv1 */
	only(IKE_LINT_DPD_SLOW, "181 s: dpd_delay 16 s and 165 s of repetitions (charon's standard)");
	conn.v1 = true;
	conn.v2 = false;
	nothing();
	conn.dpd_timeout_s = 60;
	only(IKE_LINT_DPD_SLOW, "76 s: dpd_delay 16 s and 60 s of dpd_timeout");
	tunnel.dpd.enabled = true; /* ours is quicker */
	nothing();
}
END_TEST

/* All that can be wrong at once: there is room for it, and the gravest comes first. */
START_TEST(everything)
{
	conn.mobike = true;
	conn.local.addr[0] = addr_v4(192, 0, 2, 11);
	conn.remote.addr[0] = addr_v4(198, 51, 100, 7);
	conn.unique = VICI_UNIQUE_NEVER;
	conn.id_wild = true;
	conn.dpd_delay_s = 0;
	conn.reauth_s = 1;
	in.unwanted = 1;
	conn.child[0].start = conn.child[0].dpd = conn.child[0].close = VICI_DO_START;
	ike_lint(&in, &out);
	ck_assert_uint_eq(out.n, 10);
	for (unsigned i = 1; i < out.n; i++)
		ck_assert_int_le(ike_lint_grade(out.f[i - 1].what), ike_lint_grade(out.f[i].what));
	ck_assert_int_eq(ike_lint_grade(out.f[0].what), IKE_GRADE_DANGER);
	ck_assert_int_eq(ike_lint_grade(out.f[out.n - 1].what), IKE_GRADE_NOTE);
}
END_TEST

START_TEST(words)
{
	char fix[400];

	for (int i = 0; i < IKE_LINT_N; i++) {
		enum ike_lint what = (enum ike_lint)i;
		ike_lint_fix(what, &tunnel, fix, sizeof(fix));
		ck_assert_uint_gt(strlen(fix), 10);
		ck_assert_uint_gt(strlen(ike_lint_danger(what)), 10);
		ck_assert_uint_gt(strlen(ike_lint_setting(what)), 1);
		ck_assert_uint_gt(strlen(ike_grade_name(ike_lint_grade(what))), 1);
	}
	ck_assert_str_eq(ike_lint_fix(IKE_LINT_MOBIKE, &tunnel, fix, sizeof(fix)),
			 "set connections.hq.mobike = no and run swanctl --load-conns");
	ck_assert_str_eq(ike_lint_fix(IKE_LINT_START, &tunnel, fix, sizeof(fix)),
			 "set connections.hq.children.net.start_action = none and run swanctl --load-conns");
	ck_assert_str_eq(ike_lint_fix(IKE_LINT_LOCAL_ANY, &tunnel, fix, sizeof(fix)),
			 "set connections.hq.local_addrs = 192.0.2.1 and run swanctl --load-conns");
	ck_assert_str_eq(ike_lint_fix(IKE_LINT_REMOTE_ANY, &tunnel, fix, sizeof(fix)),
			 "set connections.hq.remote_addrs = 198.51.100.1 and run swanctl --load-conns");
	ck_assert_ptr_nonnull(
	    strstr(ike_lint_fix(IKE_LINT_ID_WILD, &tunnel, fix, sizeof(fix)), "connections.hq.remote.id"));
}
END_TEST

START_TEST(copies_that_would_be_dropped)
{
	in.copies = SA_POLICY_FITS;
	nothing();
	in.copies = SA_POLICY_NONE;
	only(IKE_LINT_COPY_NONE, "inbound");
	in.copies = SA_POLICY_OTHER_REQID;
	only(IKE_LINT_COPY_REQID, "inbound");
	in.conn = NULL; /* without the connection nothing is up that could be copied */
	only(IKE_LINT_NO_CONN, "hq");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike_lint");
	TCase *t = tcase_create("lint");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, good_configuration);
	tcase_add_test(t, missing);
	tcase_add_test(t, mobike);
	tcase_add_test(t, ends);
	tcase_add_test(t, actions);
	tcase_add_test(t, unique_and_identity);
	tcase_add_test(t, warm);
	tcase_add_test(t, detection);
	tcase_add_test(t, copies_that_would_be_dropped);
	tcase_add_test(t, everything);
	tcase_add_test(t, words);
	suite_add_tcase(s, t);
	return unit_run(s);
}
