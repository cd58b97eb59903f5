/* The VICI client against a small server in the same loop: answers, events, silence, nonsense, cuts. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "ike-hooks/vici_io.h"
#include "tests/unit/run.h"
#include "tests/unit/vici_server.h"

static struct loop *loop;
static struct vici *client;
static struct {
	struct vici_ev ev[64];
	char ike[64][64], child[64][64], errmsg[64][96];
	unsigned n, ups, downs;
} got;

static void on_event(void *arg, const struct vici_ev *ev)
{
	(void)arg;
	got.ups += ev->kind == VICI_EV_UP;
	got.downs += ev->kind == VICI_EV_DOWN;
	if (got.n == 64)
		return;
	got.ev[got.n] = *ev;
	snprintf(got.ike[got.n], 64, "%s", ev->ike);
	snprintf(got.child[got.n], 64, "%s", ev->child);
	snprintf(got.errmsg[got.n], 96, "%s", ev->errmsg);
	got.n++;
}

/* ---- fixture ---- */

static void set_up(void)
{
	memset(&got, 0, sizeof(got));
	loop = loop_new("test");
	vici_server_init(loop);
	client = vici_new(loop, srv.path, on_event, NULL);
	ck_assert_ptr_nonnull(client);
}

static void tear_down(void)
{
	vici_free(client);
	vici_server_free();
	loop_free(loop);
}

#define UNTIL(cond)                                                                         \
	do {                                                                                \
		mono_t end_ = mono_add(clock_mono(), 10 * NS_PER_SEC);                      \
		while (!(cond)) {                                                           \
			ck_assert_msg(mono_before(clock_mono(), end_), "never: %s", #cond); \
			loop_once(loop, 5 * NS_PER_MS);                                     \
		}                                                                           \
	} while (0)

static void run(int64_t ms)
{
	mono_t end = mono_add(clock_mono(), ms * NS_PER_MS);

	while (mono_before(clock_mono(), end))
		loop_once(loop, 5 * NS_PER_MS);
}

static struct vici_tag tag(uint32_t seq)
{
	return (struct vici_tag){ .tunnel = 4, .seq = seq, .epoch = { 9, 1 } };
}

static void to_ready(enum vici_mode mode)
{
	vici_server_start(mode);
	UNTIL(vici_state(client) == VICI_READY);
	ck_assert_uint_eq(got.ups, 1);
	got.n = 0;
}

/* ---- tests ---- */

START_TEST(connects_and_names_the_daemon)
{
	to_ready(M_GOOD);
	ck_assert_str_eq(vici_version(client), "charon 5.9.8");
	ck_assert_uint_eq(srv.accepted, 2);
	ck_assert_int_eq(vici_last_error(client), 0);
	ck_assert_str_eq(vici_state_name(vici_state(client)), "ready");
}
END_TEST

START_TEST(requests_and_replies)
{
	to_ready(_i ? M_PIECES : M_GOOD);
	srv.list_children = 2;
	ck_assert_int_eq(vici_terminate(client, "hq", tag(1)), 0);
	ck_assert_int_eq(vici_initiate(client, "hq", "net", tag(2)), 0);
	ck_assert_int_eq(vici_rekey(client, "hq", "net", tag(3)), 0);
	ck_assert_int_eq(vici_list(client, "hq", "net", tag(4)), 0);
	UNTIL(got.n == 4);
	static const enum ike_req req[] = { IKE_REQ_TERMINATE, IKE_REQ_INITIATE, IKE_REQ_REKEY, IKE_REQ_LIST };
	static const bool ok[] = { true, true, false, true };
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_int_eq(got.ev[i].kind, VICI_EV_REPLY);
		ck_assert_int_eq(got.ev[i].req, req[i]);
		ck_assert_uint_eq(got.ev[i].tag.seq, i + 1);
		ck_assert_uint_eq(got.ev[i].tag.tunnel, 4);
		ck_assert_uint_eq(got.ev[i].tag.epoch.counter, 9);
		ck_assert(got.ev[i].ok == ok[i]);
	}
	ck_assert_str_eq(got.errmsg[2], "not found");
	ck_assert(got.ev[3].sample.present && got.ev[3].sample.child);
	ck_assert_uint_eq(got.ev[3].sample.sa_id, 5);
	ck_assert_uint_eq(got.ev[3].sample.out_packets, 200);
	ck_assert_str_eq(srv.log[0], "terminate hq  -1");
	ck_assert_str_eq(srv.log[1], "initiate hq net -1");
	ck_assert_str_eq(srv.log[2], "rekey hq net ");
	ck_assert_str_eq(srv.log[3], "list-sas hq  yes");
	srv.list_children = 0;
	ck_assert_int_eq(vici_list(client, "hq", "net", tag(5)), 0);
	UNTIL(got.n == 5);
	ck_assert(got.ev[4].ok && !got.ev[4].sample.present);
}
END_TEST

START_TEST(one_outstanding_and_lists_wait)
{
	to_ready(M_GOOD);
	srv.hold = true;
	ck_assert_int_eq(vici_list(client, "hq", "a", tag(1)), 0);
	ck_assert_int_eq(vici_list(client, "hq", "b", tag(2)), 0);
	ck_assert_int_eq(vici_terminate(client, "hq", tag(3)), 0);
	ck_assert_int_eq(vici_initiate(client, "hq", "net", tag(4)), 0);
	static const uint32_t order[] = { 1, 3, 4, 2 };
	for (unsigned i = 0; i < 4; i++) {
		UNTIL(srv.held_fd >= 0);
		run(20); /* a second one would trip the server's check */
		vici_server_release();
		UNTIL(got.n == i + 1);
		ck_assert_uint_eq(got.ev[i].tag.seq, order[i]);
	}
}
END_TEST

START_TEST(events)
{
	to_ready(_i ? M_PIECES : M_GOOD);
	vici_server_emit("ike-updown", true, 0);
	UNTIL(vici_counters(client)->events == 1);
	vici_server_emit("child-updown", true, 2);
	UNTIL(vici_counters(client)->events == 2);
	vici_server_emit("child-updown", false, 1);
	UNTIL(vici_counters(client)->events == 3);
	vici_server_emit("child-rekey", false, 1);
	UNTIL(vici_counters(client)->events == 4);
	vici_server_emit("ike-rekey", false, 0);
	UNTIL(vici_counters(client)->events == 5);
	vici_server_emit("ike-update", false, 0);
	UNTIL(vici_counters(client)->events == 6);
	vici_server_emit("ike-updown", false, 2);
	UNTIL(vici_counters(client)->events == 7);
	ck_assert_uint_eq(got.n, 8);
	static const enum vici_ev_kind kind[] = { VICI_EV_IKE_UPDOWN,   VICI_EV_CHILD_UPDOWN, VICI_EV_CHILD_UPDOWN,
						  VICI_EV_CHILD_UPDOWN, VICI_EV_CHILD_REKEY,  VICI_EV_IKE_REKEY,
						  VICI_EV_IKE_UPDATE,   VICI_EV_IKE_UPDOWN };
	static const char *const child[] = { "", "net", "dmz", "net", "net", "", "", "" };
	static const uint32_t id[] = { 0, 5, 6, 5, 5, 0, 0, 0 };
	for (unsigned i = 0; i < 8; i++) {
		ck_assert_int_eq(got.ev[i].kind, kind[i]);
		ck_assert_str_eq(got.ike[i], "hq");
		ck_assert_str_eq(got.child[i], child[i]);
		ck_assert_uint_eq(got.ev[i].sa_id, id[i]);
		ck_assert_uint_eq(got.ev[i].spi_in, id[i] ? 0xc0ffee01 : 0);
		ck_assert(got.ev[i].up == (i < 3));
	}
}
END_TEST

START_TEST(absent_then_there)
{
	run(150);
	ck_assert_int_eq(vici_state(client), VICI_ABSENT);
	ck_assert_int_eq(vici_last_error(client), -ENOENT);
	ck_assert_int_eq(vici_terminate(client, "hq", tag(1)), ERR_STATE);
	ck_assert_uint_eq(got.n, 0);
	to_ready(M_GOOD);
}
END_TEST

START_TEST(restart_is_seen_and_answered_by_down)
{
	to_ready(M_GOOD);
	srv.hold = true;
	ck_assert_int_eq(vici_terminate(client, "hq", tag(1)), 0);
	ck_assert_int_eq(vici_initiate(client, "hq", "net", tag(2)), 0);
	UNTIL(srv.held_fd >= 0);
	vici_server_stop();
	UNTIL(got.downs == 1);
	ck_assert_uint_eq(got.n, 1); /* no replies for what was queued: DOWN answers them */
	ck_assert_int_eq(vici_last_error(client), ERR_GONE);
	srv.hold = false;
	vici_server_start(M_GOOD);
	UNTIL(got.ups == 2);
}
END_TEST

START_TEST(silence_while_connecting_is_shown_as_stopped)
{
	vici_server_start(M_SILENT);
	UNTIL(vici_state(client) == VICI_STOPPED);
	ck_assert_int_eq(vici_last_error(client), ERR_TIMEOUT);
	UNTIL(srv.accepted >= 4); /* tries again, and stays "stopped" meanwhile */
	ck_assert_int_eq(vici_state(client), VICI_STOPPED);
	ck_assert_uint_eq(got.n, 0);
	srv.mode = M_GOOD;
	UNTIL(vici_state(client) == VICI_READY);
}
END_TEST

START_TEST(silence_to_a_request_ends_the_connection)
{
	to_ready(M_GOOD);
	srv.mode = M_SILENT;
	mono_t begun = clock_mono();
	ck_assert_int_eq(vici_initiate(client, "hq", "net", tag(1)), 0);
	UNTIL(got.downs == 1);
	ck_assert_int_ge(mono_sub(clock_mono(), begun), VICI_REPLY_NS);
	ck_assert_int_eq(vici_state(client), VICI_STOPPED);
	ck_assert_uint_eq(vici_counters(client)->timeouts, 1);
	srv.mode = M_GOOD;
	UNTIL(got.ups == 2);
}
END_TEST

START_TEST(full_backlog_does_not_block)
{
	vici_server_start(M_NO_ACCEPT);
	run(1500);
	ck_assert_int_eq(vici_state(client), VICI_STOPPED);
	ck_assert_int_lt(atomic_load(&loop_lateness(loop)->max_ns), 400 * NS_PER_MS);
}
END_TEST

START_TEST(nonsense_while_connecting)
{
	static const enum vici_mode mode[] = { M_HUGE, M_BAD_TYPE, M_REFUSES_LIST };

	vici_server_start(mode[_i]);
	UNTIL(srv.accepted >= 4);
	ck_assert_uint_eq(got.n, 0);
	ck_assert_int_ne(vici_state(client), VICI_READY);
	ck_assert(vici_counters(client)->bad_frames > 0 || mode[_i] == M_REFUSES_LIST);
	srv.mode = M_GOOD;
	UNTIL(vici_state(client) == VICI_READY);
}
END_TEST

START_TEST(nonsense_in_a_reply)
{
	to_ready(M_GOOD);
	srv.mode = _i ? M_UNKNOWN : M_BAD_MESSAGE;
	ck_assert_int_eq(vici_terminate(client, "hq", tag(1)), 0);
	UNTIL(got.n == 1);
	ck_assert(!got.ev[0].ok);
	ck_assert_uint_eq(vici_counters(client)->bad_messages, _i ? 0 : 1);
	ck_assert_uint_gt(strlen(got.errmsg[0]), 5);
	ck_assert_int_eq(vici_state(client), VICI_READY); /* the frames are in order */
}
END_TEST

START_TEST(cut_in_the_middle_of_a_reply)
{
	to_ready(M_GOOD);
	srv.mode = M_CUT;
	ck_assert_int_eq(vici_terminate(client, "hq", tag(1)), 0);
	UNTIL(got.downs == 1);
	ck_assert_uint_eq(got.n, 1);
	srv.mode = M_GOOD;
	UNTIL(got.ups == 2);
}
END_TEST

START_TEST(unexpected_packets_are_counted)
{
	to_ready(M_GOOD);
	srv.mode = M_CHATTY;
	ck_assert_int_eq(vici_initiate(client, "hq", "net", tag(1)), 0);
	UNTIL(got.n == 1);
	ck_assert(got.ev[0].ok);
	ck_assert_uint_eq(vici_counters(client)->unexpected, 2);
	vici_server_emit("alert", false, 1); /* one of a kind that has no name here */
	UNTIL(vici_counters(client)->alerts[VICI_ALERT_OTHER] == 1);
	vici_server_emit("control-log", false, 1);
	UNTIL(vici_counters(client)->unexpected == 3);
}
END_TEST

START_TEST(queue_is_bounded)
{
	to_ready(M_GOOD);
	srv.hold = true;
	ck_assert_int_eq(vici_list(client, "hq", "net", tag(0)), 0); /* goes out */
	for (unsigned i = 0; i < VICI_QUEUE_MAX; i++)
		ck_assert_int_eq(vici_list(client, "hq", "net", tag(i)), 0);
	ck_assert_int_eq(vici_list(client, "hq", "net", tag(0)), ERR_FULL);
	ck_assert_int_eq(vici_terminate(client, "hq", tag(0)), ERR_FULL);
	ck_assert_uint_eq(vici_counters(client)->refused, 2);
}
END_TEST

START_TEST(keep_alive_finds_a_stopped_daemon)
{
	to_ready(M_GOOD);
	unsigned before = srv.commands;
	mono_t begun = clock_mono();
	UNTIL(srv.commands > before);
	ck_assert_str_eq(srv.last, "version");
	ck_assert_int_ge(mono_sub(clock_mono(), begun), VICI_ALIVE_NS - 100 * NS_PER_MS);
	ck_assert_int_eq(vici_state(client), VICI_READY);
	srv.mode = M_SILENT;
	UNTIL(got.downs == 1);
}
END_TEST

/* A reply larger than the first buffer. */
START_TEST(large_list)
{
	to_ready(M_GOOD);
	srv.list_children = 30;
	ck_assert_int_eq(vici_list(client, "hq", "net", tag(1)), 0);
	UNTIL(got.n == 1);
	ck_assert(got.ev[0].sample.child);
	ck_assert_uint_eq(got.ev[0].sample.sa_id, 5);
	ck_assert_uint_gt(vici_counters(client)->rx_bytes, 2500);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vici_io");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 40);
	tcase_add_test(t, connects_and_names_the_daemon);
	tcase_add_loop_test(t, requests_and_replies, 0, 2);
	tcase_add_test(t, one_outstanding_and_lists_wait);
	tcase_add_loop_test(t, events, 0, 2);
	tcase_add_test(t, absent_then_there);
	tcase_add_test(t, restart_is_seen_and_answered_by_down);
	tcase_add_test(t, silence_while_connecting_is_shown_as_stopped);
	tcase_add_test(t, silence_to_a_request_ends_the_connection);
	tcase_add_test(t, full_backlog_does_not_block);
	tcase_add_loop_test(t, nonsense_while_connecting, 0, 3);
	tcase_add_loop_test(t, nonsense_in_a_reply, 0, 2);
	tcase_add_test(t, cut_in_the_middle_of_a_reply);
	tcase_add_test(t, unexpected_packets_are_counted);
	tcase_add_test(t, queue_is_bounded);
	tcase_add_test(t, keep_alive_finds_a_stopped_daemon);
	tcase_add_test(t, large_list);
	suite_add_tcase(s, t);
	return unit_run(s);
}
