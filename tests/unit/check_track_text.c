/* What files, /proc and the proc connector say of tracked things. */
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <string.h>
#include "daemon/track_text.h"
#include "tests/unit/run.h"

START_TEST(numbers)
{
	static const struct {
		const char *text;
		bool ok;
		int64_t value;
	} t[] = {
		{ "0", true, 0 },
		{ "12\n", true, 12 },
		{ " \t-7 \r\n", true, -7 },
		{ "+3", true, 3 },
		{ "2147483647", true, INT32_MAX },
		{ "-2147483648", true, INT32_MIN },
		{ "2147483648", false, 0 },
		{ "-2147483649", false, 0 },
		{ "99999999999999999999999", false, 0 },
		{ "", false, 0 },
		{ " ", false, 0 },
		{ "-", false, 0 },
		{ "1 2", false, 0 },
		{ "1x", false, 0 },
		{ "x1", false, 0 },
		{ "--1", false, 0 },
	};
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		int64_t v = 0;
		ck_assert_msg(track_number(t[i].text, strlen(t[i].text), &v) == t[i].ok, "'%s'", t[i].text);
		ck_assert_int_eq(v, t[i].value);
	}
	int64_t v;
	ck_assert(!track_number("1\0", 2, &v)); /* a NUL is no blank */
}
END_TEST

START_TEST(stat_lines)
{
	static const struct {
		const char *text, *name;
		bool ok, runs;
	} t[] = {
		{ "12 (nginx) S 1 12", "nginx", true, true },
		{ "12 (a) b) (c) R 1", "a) b) (c", true, true },
		{ "12 () S 1", "", true, true },
		{ "12 (fifteen-letters) D 1", "fifteen-letters", true, true },
		{ "12 (gone) Z 1", "gone", true, false },
		{ "12 (gone) X 1", "gone", true, false },
		{ "12 (sixteen-letters!) D 1", "", false, false },
		{ "12 nginx S", "", false, false },
		{ "12 )x( S", "", false, false },
	};
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		char name[16] = "";
		bool runs = false;
		ck_assert_msg(track_stat(t[i].text, strlen(t[i].text), name, &runs) == t[i].ok, "%s", t[i].text);
		ck_assert_str_eq(name, t[i].name);
		ck_assert_int_eq(runs, t[i].runs);
		/* Cut anywhere: refused or the same name. */
		for (size_t n = 0; n < strlen(t[i].text); n++) {
			char cut[16] = "";
			if (track_stat(t[i].text, n, cut, &runs))
				ck_assert_uint_le(strlen(cut), 15);
		}
	}
}
END_TEST

#define WORDS(text) text, sizeof(text)

START_TEST(matching)
{
	static const struct {
		struct cfg_track_process p;
		const char *name, *cmdline;
		size_t n;
		bool yes;
	} t[] = {
		{ { .argv = { "nginx" } }, "nginx", WORDS("other\0x"), true },
		{ { .argv = { "nginx" } }, "nginx2", WORDS("nginx"), false },
		{ { .argv = { "a-very-long-name-indeed" } }, "a-very-long-nam", WORDS(""), true },
		{ { .argv = { "nginx" }, .match = CFG_TRACK_MATCH_EXACT }, "nginx", WORDS("/sbin/nginx"), true },
		{ { .argv = { "nginx" }, .match = CFG_TRACK_MATCH_EXACT }, "nginx", WORDS("nginx\0-x"), false },
		{ { .argv = { "nginx" }, .match = CFG_TRACK_MATCH_EXACT }, "nginx", "", 0, false },
		{ { .argv = { "s", "1", "22" }, .match = CFG_TRACK_MATCH_EXACT },
		  "s",
		  WORDS("s\0"
			"1\0"
			"22"),
		  true },
		{ { .argv = { "s", "1", "22" }, .match = CFG_TRACK_MATCH_EXACT },
		  "s",
		  WORDS("s\0"
			"1\0"
			"22\0"
			"3"),
		  false },
		{ { .argv = { "s", "1", "22" }, .match = CFG_TRACK_MATCH_EXACT },
		  "s",
		  WORDS("s\0"
			"1"),
		  false },
		{ { .argv = { "s", "1", "22" }, .match = CFG_TRACK_MATCH_EXACT },
		  "s",
		  WORDS("s\0"
			"1\0"
			"223"),
		  false },
		{ { .argv = { "s", "1", "22" }, .match = CFG_TRACK_MATCH_INITIAL },
		  "s",
		  WORDS("s\0"
			"1\0"
			"223"),
		  true },
		{ { .argv = { "s", "1", "22" }, .match = CFG_TRACK_MATCH_INITIAL },
		  "s",
		  WORDS("s\0"
			"12\0"
			"22"),
		  false },
		{ { .argv = { "s", "1", "22" }, .match = CFG_TRACK_MATCH_INITIAL },
		  "s",
		  WORDS("s\0"
			"1\0"
			"22\0"
			"x"),
		  false },
		{ { .argv = { "s", "1", "22" }, .match = CFG_TRACK_MATCH_PARTIAL },
		  "s",
		  WORDS("s\0"
			"1\0"
			"22\0"
			"x"),
		  true },
		{ { .argv = { "s", "1", "22" }, .match = CFG_TRACK_MATCH_PARTIAL },
		  "s",
		  WORDS("s\0"
			"1\0"
			"223\0"
			"x"),
		  false },
		{ { .argv = { "/x/y" }, .full_command = true }, "y", WORDS("/x/y\0a"), true },
		{ { .argv = { "/x/y" }, .full_command = true }, "y", WORDS("/x/z"), false },
		{ { .argv = { "/x/y" }, .full_command = true, .match = CFG_TRACK_MATCH_EXACT },
		  "z",
		  WORDS("/x/y\0a"),
		  false },
	};
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		ck_assert_msg(track_matches(&t[i].p, t[i].name, t[i].cmdline, t[i].n) == t[i].yes, "row %u", i);
	/* A command line that was cut ends in no whole word. */
	ck_assert(!track_matches(&t[6].p, "s", t[6].cmdline, t[6].n - 2));
	ck_assert(!track_needs_cmdline(&t[0].p));
	ck_assert(track_needs_cmdline(&t[3].p));
	ck_assert(track_needs_cmdline(&t[15].p));
}
END_TEST

static uint8_t msg[256];

static size_t message(const struct proc_event *ev)
{
	struct cn_msg cn = { .id = { .idx = CN_IDX_PROC, .val = CN_VAL_PROC }, .len = sizeof(*ev) };
	struct nlmsghdr nh = { .nlmsg_type = NLMSG_DONE, .nlmsg_len = NLMSG_LENGTH(sizeof(cn) + sizeof(*ev)) };
	memcpy(msg, &nh, sizeof(nh));
	memcpy(msg + NLMSG_HDRLEN, &cn, sizeof(cn));
	memcpy(msg + NLMSG_HDRLEN + sizeof(cn), ev, sizeof(*ev));
	return nh.nlmsg_len;
}

START_TEST(events)
{
	struct track_proc_ev e;
	struct proc_event ev = { .what = PROC_EVENT_NONE };
	ev.event_data.ack.err = 1;
	size_t n = message(&ev);
	ck_assert(track_proc_parse(msg, n, &e));
	ck_assert_int_eq(e.what, TRACK_PROC_ACK);
	ck_assert_int_eq(e.err, 1);

	ev = (struct proc_event){ .what = PROC_EVENT_FORK };
	ev.event_data.fork.parent_pid = 11;
	ev.event_data.fork.parent_tgid = 10;
	ev.event_data.fork.child_pid = ev.event_data.fork.child_tgid = 20;
	ck_assert(track_proc_parse(msg, message(&ev), &e));
	ck_assert_int_eq(e.what, TRACK_PROC_FORK);
	ck_assert_int_eq(e.pid, 10);
	ck_assert_int_eq(e.child, 20);
	ev.event_data.fork.child_pid = 21; /* a thread */
	ck_assert(track_proc_parse(msg, message(&ev), &e));
	ck_assert_int_eq(e.what, TRACK_PROC_OTHER);

	ev = (struct proc_event){ .what = PROC_EVENT_EXEC };
	ev.event_data.exec.process_pid = ev.event_data.exec.process_tgid = 30;
	ck_assert(track_proc_parse(msg, message(&ev), &e));
	ck_assert_int_eq(e.what, TRACK_PROC_NAME);
	ck_assert_int_eq(e.pid, 30);

	ev = (struct proc_event){ .what = PROC_EVENT_COMM };
	ev.event_data.comm.process_pid = ev.event_data.comm.process_tgid = 40;
	ck_assert(track_proc_parse(msg, message(&ev), &e));
	ck_assert_int_eq(e.what, TRACK_PROC_NAME);
	ck_assert_int_eq(e.pid, 40);
	ev.event_data.comm.process_pid = 41;
	ck_assert(track_proc_parse(msg, message(&ev), &e));
	ck_assert_int_eq(e.what, TRACK_PROC_OTHER);

	ev = (struct proc_event){ .what = PROC_EVENT_EXIT };
	ev.event_data.exit.process_pid = ev.event_data.exit.process_tgid = 50;
	ck_assert(track_proc_parse(msg, message(&ev), &e));
	ck_assert_int_eq(e.what, TRACK_PROC_EXIT);
	ck_assert_int_eq(e.pid, 50);
	ev.event_data.exit.process_pid = 51;
	ck_assert(track_proc_parse(msg, message(&ev), &e));
	ck_assert_int_eq(e.what, TRACK_PROC_OTHER);

	ev = (struct proc_event){ .what = PROC_EVENT_UID };
	ck_assert(track_proc_parse(msg, message(&ev), &e));
	ck_assert_int_eq(e.what, TRACK_PROC_OTHER);
}
END_TEST

START_TEST(hostile_events)
{
	struct track_proc_ev e;
	struct proc_event ev = { .what = PROC_EVENT_EXEC };
	ev.event_data.exec.process_pid = ev.event_data.exec.process_tgid = 30;
	size_t n = message(&ev);
	for (size_t cut = 0; cut < n; cut++) {
		if (track_proc_parse(msg, cut, &e))
			ck_assert(e.what == TRACK_PROC_NAME || e.what == TRACK_PROC_OTHER);
		ck_assert(cut >= NLMSG_HDRLEN + sizeof(struct cn_msg) || e.what == TRACK_PROC_OTHER);
	}
	msg[4]++; /* another type */
	ck_assert(!track_proc_parse(msg, n, &e));
	message(&ev);
	msg[NLMSG_HDRLEN]++; /* another connector */
	ck_assert(!track_proc_parse(msg, n, &e));
	message(&ev);
	struct cn_msg cn;
	memcpy(&cn, msg + NLMSG_HDRLEN, sizeof(cn));
	cn.len = 4; /* says less than it has */
	memcpy(msg + NLMSG_HDRLEN, &cn, sizeof(cn));
	ck_assert(!track_proc_parse(msg, n, &e));
}
END_TEST

START_TEST(requests)
{
	uint8_t req[TRACK_PROC_REQ_MAX];
	uint32_t op;
	struct nlmsghdr nh;
	for (unsigned on = 0; on < 2; on++) {
		size_t n = track_proc_request(req, on);
		memcpy(&nh, req, sizeof(nh));
		memcpy(&op, req + n - sizeof(op), sizeof(op));
		ck_assert_uint_eq(nh.nlmsg_len, n);
		ck_assert_uint_eq(n, NLMSG_HDRLEN + sizeof(struct cn_msg) + sizeof(op));
		ck_assert_uint_eq(op, on ? PROC_CN_MCAST_LISTEN : PROC_CN_MCAST_IGNORE);
	}
}
END_TEST

START_TEST(levels)
{
	struct cfg_track_conntrack c = { .high = 90, .low = 80 };
	ck_assert_uint_eq(track_percent(0, 0), 0);
	ck_assert_uint_eq(track_percent(5, 0), 0);
	ck_assert_uint_eq(track_percent(899, 1000), 89);
	ck_assert_uint_eq(track_percent(900, 1000), 90);
	ck_assert_uint_eq(track_percent(2000, 1000), 100);
	/* up, over, a little down, down, a little up */
	static const struct {
		unsigned percent;
		bool ok;
	} t[] = { { 0, true },   { 85, true },  { 89, true }, { 90, false }, { 100, false },
		  { 89, false }, { 81, false }, { 80, true }, { 89, true },  { 95, false } };
	bool ok = true;
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		ok = track_level_ok(&c, t[i].percent, ok);
		ck_assert_msg(ok == t[i].ok, "%u", i);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("track_text");
	TCase *t = tcase_create("all");

	tcase_add_test(t, numbers);
	tcase_add_test(t, stat_lines);
	tcase_add_test(t, matching);
	tcase_add_test(t, events);
	tcase_add_test(t, hostile_events);
	tcase_add_test(t, requests);
	tcase_add_test(t, levels);
	suite_add_tcase(s, t);
	return unit_run(s);
}
