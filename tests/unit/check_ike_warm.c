/* The IKE SA that a backup keeps warm, the child that comes up ahead of a planned takeover, and two connections. */
#include "tests/unit/ike_util.h"
#include "tests/unit/run.h"

static void warm_fresh(void)
{
	fresh();
	t.conf.warm = true;
	snprintf(t.conf.warm_ike, sizeof(t.conf.warm_ike), "hq-own");
	snprintf(t.conf.warm_child, sizeof(t.conf.warm_child), "net");
	struct ike_tunnel_conf c = t.conf;
	ike_init(&t, &c, false, now);
}

static void keep_reply(enum ike_req req, bool ok)
{
	ck_assert_int_eq(t.keep.req, req);
	STEP(.kind = IKE_EV_REPLY, .req = req, .seq = t.keep.seq, .ok = ok);
}

static void keep_listed(bool present, bool established, uint32_t child_id)
{
	ck_assert_int_eq(t.keep.req, IKE_REQ_LIST);
	STEP(.kind = IKE_EV_SA_LIST, .seq = t.keep.seq,
	     .sample = { .present = present, .established = established, .child = child_id != 0, .sa_id = child_id });
}

static void warm_updown(bool up)
{
	STEP(.kind = IKE_EV_IKE_UPDOWN, .up = up, .warm = true);
}

/* Purged, and looking for the warm IKE SA. */
static void to_ask(void)
{
	warm_fresh();
	STEP(.kind = IKE_EV_BACKEND_UP);
	EXPECT(IKE_PURGING, "T");
	ck_assert(!find(IKE_ACT_TERMINATE)->warm);
	reply(IKE_REQ_TERMINATE, true);
	/* Of the warm connection only a child has to go. */
	EXPECT(IKE_PURGING, "T");
	ck_assert(find(IKE_ACT_TERMINATE)->warm && find(IKE_ACT_TERMINATE)->child);
	reply(IKE_REQ_TERMINATE, true);
	EXPECT(IKE_PURGING, "S");
	swept(true);
	EXPECT(IKE_IDLE, "L");
	ck_assert(find(IKE_ACT_LIST)->warm);
	ck_assert_int_eq(t.keep.state, IKE_KEEP_ASK);
	ck_assert(!ike_needs_purge(&t));
}

static void to_warm(void)
{
	to_ask();
	keep_listed(true, true, 0);
	ck_assert_int_eq(t.keep.state, IKE_KEEP_UP);
	ck_assert(ike_is_warm(&t));
}

START_TEST(kept_by_looking_and_initiating)
{
	to_ask();
	keep_listed(false, false, 0);
	EXPECT(IKE_IDLE, "I");
	const struct ike_act *a = find(IKE_ACT_INITIATE);
	ck_assert(a->warm && !a->child);
	ck_assert_int_eq(t.keep.state, IKE_KEEP_TRY);
	ck_assert_uint_eq(ike_flights(&t), 1);
	keep_reply(IKE_REQ_INITIATE, true);
	ck_assert_int_eq(t.keep.state, IKE_KEEP_TRY);
	warm_updown(true);
	ck_assert_int_eq(t.keep.state, IKE_KEEP_UP);
	ck_assert_uint_eq(ike_flights(&t), 0);
	ck_assert_int_eq(find(IKE_ACT_TRACE)->reason, IKE_WHY_WARM_UP);
	/* Looked at every 5 s. */
	ck_assert_int_eq(mono_sub(ike_deadline(&t), now), IKE_WARM_LOOK_NS);
	tick();
	EXPECT(IKE_IDLE, "L");
	keep_listed(true, true, 0);
	EXPECT(IKE_IDLE, "");
	/* Gone without a word: looked for again, at once. */
	tick();
	keep_listed(false, false, 0);
	EXPECT(IKE_IDLE, "I");
	ck_assert_uint_eq(t.keep.losts, 1);
}
END_TEST

START_TEST(loss_is_an_event)
{
	to_warm();
	warm_updown(false);
	EXPECT(IKE_IDLE, "L"); /* it may be an older one that was replaced */
	keep_listed(true, true, 0);
	ck_assert_int_eq(t.keep.state, IKE_KEEP_UP);
	warm_updown(false);
	warm_updown(false); /* asked already */
	EXPECT(IKE_IDLE, "");
	keep_listed(false, false, 0);
	EXPECT(IKE_IDLE, "I");
}
END_TEST

START_TEST(silent_peer_is_asked_less_and_less)
{
	static const int64_t pause[] = { 500, 1000, 2000, 5000, 5000 };

	to_ask();
	for (unsigned i = 0; i < 5; i++) {
		keep_listed(false, false, 0);
		EXPECT(IKE_IDLE, "I");
		keep_reply(IKE_REQ_INITIATE, true);
		tick();
		EXPECT(IKE_IDLE, ""); /* from here on it does not hold the others up */
		ck_assert_uint_eq(ike_flights(&t), 0);
		tick();
		/* The IKE daemon would go on for minutes. */
		EXPECT(IKE_IDLE, "T");
		ck_assert(find(IKE_ACT_TERMINATE)->warm && !find(IKE_ACT_TERMINATE)->child);
		ck_assert_int_eq(t.keep.state, IKE_KEEP_PAUSE);
		mono_t begun = now;
		keep_reply(IKE_REQ_TERMINATE, true);
		tick();
		ck_assert_int_eq(mono_sub(now, begun), pause[i] * MS);
		EXPECT(IKE_IDLE, "L");
	}
	ck_assert(!ike_is_warm(&t));
}
END_TEST

START_TEST(requests_without_answer)
{
	to_ask();
	tick(); /* the list */
	ck_assert_int_eq(t.keep.state, IKE_KEEP_PAUSE);
	tick();
	EXPECT(IKE_IDLE, "L");
	keep_reply(IKE_REQ_LIST, false);
	ck_assert_int_eq(t.keep.state, IKE_KEEP_PAUSE);
	tick();
	keep_listed(false, false, 0);
	keep_reply(IKE_REQ_INITIATE, false);
	ck_assert_int_eq(t.keep.state, IKE_KEEP_PAUSE);
	/* An answer to a question of before changes nothing. */
	uint64_t late = t.count.late;
	STEP(.kind = IKE_EV_REPLY, .req = IKE_REQ_LIST, .seq = t.keep.seq, .ok = true);
	ck_assert_uint_eq(t.count.late, late + 1);
	/* Half made, or half dead: away with it. */
	tick();
	keep_listed(true, false, 0);
	EXPECT(IKE_IDLE, "T");
	ck_assert_int_eq(t.keep.state, IKE_KEEP_PAUSE);
}
END_TEST

START_TEST(child_on_the_warm_sa_is_unwanted)
{
	to_warm();
	now = mono_add(now, 2000 * MS);
	STEP(.kind = IKE_EV_CHILD_UPDOWN, .up = true, .sa_id = 4, .warm = true);
	EXPECT(IKE_PURGING, "T");
	ck_assert(t.left_warm);
	ck_assert_int_eq(t.keep.state, IKE_KEEP_OFF);
	reply(IKE_REQ_TERMINATE, true);
	ck_assert(find(IKE_ACT_TERMINATE)->child); /* the IKE SA stays */
	reply(IKE_REQ_TERMINATE, true);
	swept(true);
	EXPECT(IKE_IDLE, "L");
	keep_listed(true, true, 0);
	ck_assert(ike_is_warm(&t));
	/* A list tells it as well. */
	now = mono_add(now, 5000 * MS);
	tick();
	keep_listed(true, true, 5);
	EXPECT(IKE_PURGING, "T");
}
END_TEST

START_TEST(takeover_uses_the_warm_connection)
{
	to_warm();
	STEP(.kind = IKE_EV_INITIATE, .epoch = E(6));
	EXPECT(IKE_INITIATING, "I");
	ck_assert(find(IKE_ACT_INITIATE)->warm && find(IKE_ACT_INITIATE)->child);
	ck_assert_int_eq(t.keep.state, IKE_KEEP_OFF);
	STEP(.kind = IKE_EV_CHILD_UPDOWN, .up = true, .sa_id = 7, .warm = true);
	EXPECT(IKE_UP, "Uh");
	ck_assert(t.on_warm);
	/* What is asked from here on is about this connection. */
	tick();
	ck_assert(find(IKE_ACT_LIST)->warm);
	listed(true, 7, 1, 1);
	/* A child of the other connection going away is none of our business. */
	STEP(.kind = IKE_EV_CHILD_UPDOWN, .sa_id = 7);
	EXPECT(IKE_UP, "");
	STEP(.kind = IKE_EV_CHILD_REKEY, .sa_id = 8);
	ck_assert_uint_eq(t.sa_id, 7);
	STEP(.kind = IKE_EV_CHILD_REKEY, .sa_id = 8, .warm = true);
	ck_assert_uint_eq(t.sa_id, 8);
	/* Demotion: the child goes, the IKE SA is kept. */
	STEP(.kind = IKE_EV_PURGE, .epoch = E(7));
	EXPECT(IKE_PURGING, "DhT");
	reply(IKE_REQ_TERMINATE, true);
	ck_assert(find(IKE_ACT_TERMINATE)->warm && find(IKE_ACT_TERMINATE)->child);
	reply(IKE_REQ_TERMINATE, true);
	swept(true);
	EXPECT(IKE_IDLE, "PL");
}
END_TEST

START_TEST(both_connections_are_purged_without_answers)
{
	to_warm();
	STEP(.kind = IKE_EV_INITIATE, .epoch = E(6));
	STEP(.kind = IKE_EV_CHILD_UPDOWN, .up = true, .sa_id = 7, .warm = true);
	STEP(.kind = IKE_EV_PURGE, .epoch = E(7));
	tick();
	EXPECT(IKE_PURGING, "T");
	ck_assert(find(IKE_ACT_TERMINATE)->warm);
	tick();
	EXPECT(IKE_PURGING, "S");
	swept(true);
	EXPECT(IKE_IDLE, "P");
	ck_assert(find(IKE_ACT_PURGED)->leftovers);
}
END_TEST

START_TEST(attempts_take_turns_between_the_connections)
{
	to_warm();
	STEP(.kind = IKE_EV_INITIATE, .epoch = E(6));
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_int_eq(find(IKE_ACT_INITIATE)->warm, i % 2 == 0);
		tick();
		while (t.state == IKE_INITIATING)
			tick();
		EXPECT(IKE_FAILED, i == 2 ? "Fh" : "");
		tick();
		EXPECT(IKE_PURGING, "T");
		reply(IKE_REQ_TERMINATE, true);
		ck_assert(!find(IKE_ACT_TERMINATE)->child); /* a dead IKE SA is of no use */
		reply(IKE_REQ_TERMINATE, true);
		EXPECT(IKE_INITIATING, "I");
	}
	/* The peer came to the VIP itself. */
	child(true, 3);
	EXPECT(IKE_UP, "Uh");
	ck_assert(!t.on_warm);
}
END_TEST

START_TEST(both_connections_are_looked_at)
{
	to_warm();
	STEP(.kind = IKE_EV_INITIATE, .epoch = E(6));
	STEP(.kind = IKE_EV_CHILD_UPDOWN, .up = true, .sa_id = 7, .warm = true);
	STEP(.kind = IKE_EV_BACKEND_DOWN);
	STEP(.kind = IKE_EV_BACKEND_UP);
	for (unsigned i = 0; i < 4; i++) {
		if (i)
			tick();
		EXPECT(IKE_CHECKING, "L");
		ck_assert_int_eq(find(IKE_ACT_LIST)->warm, i % 2 == 0);
		listed(false, 0, 0, 0);
	}
	EXPECT(IKE_PURGING, "T");
}
END_TEST

/* ---- ahead of a planned takeover ---- */

START_TEST(made_ahead_of_the_role)
{
	to_warm();
	STEP(.kind = IKE_EV_MAKE, .epoch = E(6));
	EXPECT(IKE_INITIATING, "I");
	ck_assert(find(IKE_ACT_INITIATE)->warm);
	reply(IKE_REQ_INITIATE, true);
	EXPECT(IKE_INITIATING, "");
	now = mono_add(now, 4 * MS);
	STEP(.kind = IKE_EV_CHILD_UPDOWN, .up = true, .sa_id = 7, .warm = true);
	EXPECT(IKE_UP, "Uhm");
	ck_assert_int_eq(find(IKE_ACT_MADE)->epoch.counter, 6);
	/* Then the role comes: it is up already. */
	STEP(.kind = IKE_EV_INITIATE, .epoch = E(6));
	EXPECT(IKE_UP, "U");
	ck_assert_uint_eq(t.count.made, 1);
	STEP(.kind = IKE_EV_INITIATE, .epoch = E(6));
	EXPECT(IKE_UP, "");
}
END_TEST

START_TEST(make_waits_for_nobody_for_long)
{
	/* The IKE daemon is stopped: 5 ms. */
	to_warm();
	mono_t begun = now;
	STEP(.kind = IKE_EV_MAKE, .epoch = E(6));
	tick();
	EXPECT(IKE_INITIATING, "m");
	ck_assert_int_eq(mono_sub(now, begun), IKE_MAKE_ASK_NS);
	/* The role comes meanwhile: the attempt goes on. */
	STEP(.kind = IKE_EV_INITIATE, .epoch = E(6));
	EXPECT(IKE_INITIATING, "");
	STEP(.kind = IKE_EV_CHILD_UPDOWN, .up = true, .sa_id = 7, .warm = true);
	EXPECT(IKE_UP, "Uh");

	/* The peer is far away: 90 ms. */
	to_warm();
	STEP(.kind = IKE_EV_MAKE, .epoch = E(6));
	begun = now;
	reply(IKE_REQ_INITIATE, true);
	tick();
	EXPECT(IKE_INITIATING, "m");
	ck_assert_int_eq(mono_sub(now, begun), IKE_MAKE_NS);

	/* Refused, and the IKE daemon lost: at once. */
	to_warm();
	STEP(.kind = IKE_EV_MAKE, .epoch = E(6));
	reply(IKE_REQ_INITIATE, false);
	EXPECT(IKE_FAILED, "m");
	to_warm();
	STEP(.kind = IKE_EV_MAKE, .epoch = E(6));
	STEP(.kind = IKE_EV_BACKEND_DOWN);
	EXPECT(IKE_ABSENT, "m");
}
END_TEST

START_TEST(nothing_to_make)
{
	to_ask(); /* not warm yet */
	STEP(.kind = IKE_EV_MAKE, .epoch = E(6));
	EXPECT(IKE_IDLE, "m");
	ck_assert(!t.active);
	to_idle(); /* not configured */
	STEP(.kind = IKE_EV_MAKE, .epoch = E(6));
	EXPECT(IKE_IDLE, "m");
	to_warm(); /* of a transaction of before */
	t.epoch = E(6);
	STEP(.kind = IKE_EV_MAKE, .epoch = E(6));
	EXPECT(IKE_IDLE, "m");
}
END_TEST

START_TEST(takeover_that_does_not_happen)
{
	to_warm();
	STEP(.kind = IKE_EV_MAKE, .epoch = E(6));
	STEP(.kind = IKE_EV_CHILD_UPDOWN, .up = true, .sa_id = 7, .warm = true);
	STEP(.kind = IKE_EV_PURGE, .epoch = E(6));
	EXPECT(IKE_PURGING, "DhT");
	ck_assert(!t.active && !t.making);
	/* An attempt that failed is not begun anew while the address is not ours. */
	to_warm();
	STEP(.kind = IKE_EV_MAKE, .epoch = E(6));
	reply(IKE_REQ_INITIATE, false);
	for (unsigned i = 0; i < 5; i++) {
		tick();
		EXPECT(IKE_FAILED, "");
	}
	STEP(.kind = IKE_EV_INITIATE, .epoch = E(6));
	EXPECT(IKE_FAILED, "");
	tick();
	EXPECT(IKE_PURGING, "T");
}
END_TEST

START_TEST(names)
{
	for (enum ike_keep_state s = IKE_KEEP_OFF; s < IKE_KEEP_N; s++)
		ck_assert_uint_gt(strlen(ike_keep_name(s)), 1);
	ck_assert_str_eq(ike_keep_name(IKE_KEEP_N), "?");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike_warm");
	TCase *c = tcase_create("all");

	tcase_add_test(c, kept_by_looking_and_initiating);
	tcase_add_test(c, loss_is_an_event);
	tcase_add_test(c, silent_peer_is_asked_less_and_less);
	tcase_add_test(c, requests_without_answer);
	tcase_add_test(c, child_on_the_warm_sa_is_unwanted);
	tcase_add_test(c, takeover_uses_the_warm_connection);
	tcase_add_test(c, both_connections_are_purged_without_answers);
	tcase_add_test(c, attempts_take_turns_between_the_connections);
	tcase_add_test(c, both_connections_are_looked_at);
	tcase_add_test(c, made_ahead_of_the_role);
	tcase_add_test(c, make_waits_for_nobody_for_long);
	tcase_add_test(c, nothing_to_make);
	tcase_add_test(c, takeover_that_does_not_happen);
	tcase_add_test(c, names);
	suite_add_tcase(s, c);
	return unit_run(s);
}
