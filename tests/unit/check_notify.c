/* The queue of notifications: order, receivers that are slow, what newer news replace; and the texts. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include "daemon/notify.h"
#include "tests/unit/run.h"

#define SUBJECTS 4
#define ALL      (1u << NOTIFY_TO_SCRIPTS | 1u << NOTIFY_TO_FIFO)

static struct notify n;
static struct notify_subject subject[SUBJECTS];
static mono_t now;
static char told[NOTIFY_SINKS][4000]; /* what each receiver took, in order: "0M 0B " */
static bool busy[NOTIFY_SINKS];

static void set_up(void)
{
	memset(subject, 0, sizeof(subject));
	memset(told, 0, sizeof(told));
	memset(busy, 0, sizeof(busy));
	now = mono_add(MONO_ZERO, NS_PER_SEC);
	notify_init(&n, subject, SUBJECTS);
}

static void tear_down(void)
{
	notify_free(&n);
}

static void step(const struct notify_ev *ev)
{
	static const char letter[] = "MBFSDGlmb";
	struct notify_acts acts;

	notify_step(&n, ev, now, &acts);
	for (unsigned i = 0; i < acts.n; i++) {
		char *t = told[acts.a[i].sink];
		const struct notify_news *news = &acts.a[i].item->news;
		ck_assert(!busy[acts.a[i].sink]);
		busy[acts.a[i].sink] = true;
		snprintf(t + strlen(t), sizeof(told[0]) - strlen(t), "%s%c ", news->name, letter[news->what]);
	}
}

static void news(uint32_t who, enum notify_what what, unsigned sinks)
{
	struct notify_news x = { .what = what, .subject = who, .sinks = sinks, .priority = 100 };

	snprintf(x.name, sizeof(x.name), "%u", who == NOTIFY_NOBODY ? 9 : who);
	step(&(struct notify_ev){ .type = NOTIFY_EV_NEWS, .news = &x });
}

static void done(enum notify_sink sink)
{
	busy[sink] = false;
	step(&(struct notify_ev){ .type = NOTIFY_EV_DONE, .sink = sink, .ok = true });
}

/* The receiver takes all there is. */
static void finish(enum notify_sink sink)
{
	while (busy[sink])
		done(sink);
}

static void later(int64_t ms)
{
	now = mono_add(now, ms * NS_PER_MS);
}

START_TEST(each_receiver_has_its_own_pace_and_the_same_order)
{
	news(0, NOTIFY_IS_BACKUP, ALL);
	news(1, NOTIFY_IS_BACKUP, ALL);
	done(NOTIFY_TO_FIFO);
	news(0, NOTIFY_IS_MASTER, ALL);
	news(1, NOTIFY_IS_FAULT, 1u << NOTIFY_TO_FIFO);
	ck_assert_str_eq(told[NOTIFY_TO_SCRIPTS], "0B ");
	ck_assert_str_eq(told[NOTIFY_TO_FIFO], "0B 1B ");
	finish(NOTIFY_TO_FIFO);
	ck_assert_str_eq(told[NOTIFY_TO_FIFO], "0B 1B 0M 1F ");
	ck_assert(notify_idle(&n, NOTIFY_TO_FIFO));
	ck_assert(!notify_idle(&n, NOTIFY_TO_SCRIPTS));
	finish(NOTIFY_TO_SCRIPTS);
	ck_assert_str_eq(told[NOTIFY_TO_SCRIPTS], "0B 1B 0M ");
	ck_assert_uint_eq(n.items.used, 0);
	ck_assert_uint_eq(n.sink[NOTIFY_TO_FIFO].n.told, 4);
	ck_assert_str_eq(told[NOTIFY_TO_MAIL], "");
}
END_TEST

START_TEST(a_fast_receiver_is_told_everything)
{
	for (unsigned i = 0; i < 100; i++) {
		news(0, i & 1 ? NOTIFY_IS_MASTER : NOTIFY_IS_BACKUP, ALL);
		later(500);
		done(NOTIFY_TO_SCRIPTS);
		done(NOTIFY_TO_FIFO);
	}
	ck_assert_uint_eq(n.sink[NOTIFY_TO_SCRIPTS].n.told, 100);
	ck_assert_uint_eq(n.sink[NOTIFY_TO_SCRIPTS].n.superseded, 0);
}
END_TEST

START_TEST(a_slow_receiver_is_told_the_last_state_and_no_history)
{
	for (unsigned i = 0; i < 20; i++) {
		news(0, i & 1 ? NOTIFY_IS_MASTER : NOTIFY_IS_BACKUP, ALL);
		news(1, i & 1 ? NOTIFY_IS_MASTER : NOTIFY_IS_BACKUP, ALL);
		finish(NOTIFY_TO_FIFO);
		later(500);
	}
	ck_assert_str_eq(told[NOTIFY_TO_SCRIPTS], "0B ");
	later(5000);
	finish(NOTIFY_TO_SCRIPTS);
	ck_assert_str_eq(told[NOTIFY_TO_SCRIPTS], "0B 0M 1M ");
	ck_assert_uint_eq(n.sink[NOTIFY_TO_SCRIPTS].n.superseded, 37);
	ck_assert_uint_eq(n.sink[NOTIFY_TO_SCRIPTS].n.dropped, 0);
	ck_assert_uint_eq(n.sink[NOTIFY_TO_FIFO].n.told, 40);
	ck_assert_uint_eq(n.items.used, 0);
}
END_TEST

START_TEST(news_of_one_kind_do_not_replace_another)
{
	news(0, NOTIFY_IS_MASTER, ALL);
	news(0, NOTIFY_IS_FAULT, ALL);
	news(0, NOTIFY_RX_LOWER, ALL);
	news(0, NOTIFY_MASTER_PRIORITY, ALL);
	news(1, NOTIFY_IS_STOP, ALL);
	news(NOTIFY_NOBODY, NOTIFY_IS_DELETED, ALL);
	news(NOTIFY_NOBODY, NOTIFY_IS_DELETED, ALL);
	later(60000);
	finish(NOTIFY_TO_SCRIPTS);
	ck_assert_str_eq(told[NOTIFY_TO_SCRIPTS], "0M 0F 0l 0m 1S 9D 9D ");
	ck_assert_uint_eq(n.sink[NOTIFY_TO_SCRIPTS].n.superseded, 0);
}
END_TEST

START_TEST(a_receiver_can_be_held_and_closed)
{
	step(&(struct notify_ev){ .type = NOTIFY_EV_HOLD, .sink = NOTIFY_TO_FIFO });
	news(0, NOTIFY_IS_BACKUP, ALL);
	news(0, NOTIFY_IS_MASTER, ALL);
	ck_assert_str_eq(told[NOTIFY_TO_FIFO], "");
	step(&(struct notify_ev){ .type = NOTIFY_EV_FREE, .sink = NOTIFY_TO_FIFO });
	ck_assert_str_eq(told[NOTIFY_TO_FIFO], "0B ");
	step(&(struct notify_ev){ .type = NOTIFY_EV_CLOSED, .sink = NOTIFY_TO_FIFO });
	ck_assert_uint_eq(n.sink[NOTIFY_TO_FIFO].n.dropped, 1);
	done(NOTIFY_TO_FIFO);
	done(NOTIFY_TO_FIFO); /* one too many is nothing */
	ck_assert_str_eq(told[NOTIFY_TO_FIFO], "0B ");
	ck_assert_uint_eq(n.sink[NOTIFY_TO_FIFO].n.told, 1);
	finish(NOTIFY_TO_SCRIPTS);
	ck_assert_uint_eq(n.items.used, 0);
}
END_TEST

START_TEST(the_queue_stays_short)
{
	for (unsigned i = 0; i < 100000; i++) {
		news(i % SUBJECTS, i & 4 ? NOTIFY_IS_MASTER : NOTIFY_IS_BACKUP, ALL);
		ck_assert_uint_le(n.items.used, 64 + 2 * NOTIFY_KINDS * SUBJECTS);
	}
	later(1);
	finish(NOTIFY_TO_SCRIPTS);
	finish(NOTIFY_TO_FIFO);
	/* 100000 is a multiple of 8: the last round was MASTER for all. */
	const char *end = told[NOTIFY_TO_SCRIPTS] + strlen(told[NOTIFY_TO_SCRIPTS]) - 12;
	ck_assert_str_eq(end, "0M 1M 2M 3M ");
	struct notify_count *c = &n.sink[NOTIFY_TO_SCRIPTS].n;
	ck_assert_uint_eq(c->told + c->superseded, 100000);
	ck_assert_uint_eq(c->dropped, 0);
}
END_TEST

START_TEST(a_reload_gives_subjects_new_numbers)
{
	static struct notify_subject fresh[2];
	static const uint32_t map[SUBJECTS] = { 1, NOTIFY_NOBODY, 0, NOTIFY_NOBODY };
	static const struct notify_conf conf;

	memset(fresh, 0, sizeof(fresh));
	for (unsigned i = 0; i < SUBJECTS; i++)
		news(i, NOTIFY_IS_BACKUP, 1u << NOTIFY_TO_SCRIPTS);
	struct notify_news old = { .what = NOTIFY_IS_BACKUP, .subject = 0, .sinks = 1, .conf = &conf, .generation = 3 };
	step(&(struct notify_ev){ .type = NOTIFY_EV_NEWS, .news = &old });
	ck_assert_uint_eq(notify_generation(&n), 0);
	notify_orphan(&n);
	notify_renumber(&n, fresh, 2, map);
	news(0, NOTIFY_IS_MASTER, 1u << NOTIFY_TO_SCRIPTS); /* 2 of before */
	later(2000);
	finish(NOTIFY_TO_SCRIPTS);
	ck_assert_str_eq(told[NOTIFY_TO_SCRIPTS], "0B 1B 3B B 0M ");
	ck_assert_uint_eq(notify_generation(&n), UINT32_MAX);
	ck_assert_uint_eq(n.sink[NOTIFY_TO_SCRIPTS].n.superseded, 1);
}
END_TEST

START_TEST(lines_and_words_are_those_of_keepalived)
{
	struct notify_news x = { .name = "VI_1", .what = NOTIFY_IS_MASTER, .priority = 100 };
	struct notify_words w;
	char line[NOTIFY_LINE_MAX];
	static const char *const words[NOTIFY_WHAT_N] = {
		"MASTER",          "BACKUP",         "FAULT", "STOP", "DELETED", "FAULT", "MASTER_RX_LOWER_PRI",
		"MASTER_PRIORITY", "BACKUP_PRIORITY"
	};

	for (unsigned i = 0; i < NOTIFY_WHAT_N; i++)
		ck_assert_str_eq(notify_what_text((enum notify_what)i), words[i]);
	ck_assert_uint_eq(notify_line(&x, line), 27);
	ck_assert_str_eq(line, "INSTANCE \"VI_1\" MASTER 100\n");
	notify_words(&x, &w);
	ck_assert_str_eq(w.word[0], "INSTANCE");
	ck_assert_str_eq(w.word[1], "VI_1");
	ck_assert_str_eq(w.word[2], "MASTER");
	ck_assert_str_eq(w.word[3], "100");
	x.group = true;
	x.priority = 0;
	x.what = NOTIFY_IS_FAULT;
	notify_line(&x, line);
	ck_assert_str_eq(line, "GROUP \"VI_1\" FAULT 0\n");
	memset(x.name, 'n', sizeof(x.name) - 1);
	x.what = NOTIFY_RX_LOWER;
	x.priority = 255;
	ck_assert_uint_lt(notify_line(&x, line), NOTIFY_LINE_MAX);
}
END_TEST

START_TEST(messages_have_the_subjects_people_filter_on)
{
	static const char *const to[] = { "a@example.net", "b@example.net" };
	struct notify_mail_conf mail = { .to = to, .n_to = 2, .from = "ka@example.net", .router = "LVS_DEVEL" };
	struct notify_news x = { .name = "VI_1", .what = NOTIFY_IS_MASTER };
	char out[2000];

	ck_assert_uint_gt(notify_message(&x, &mail, "host", "now", out, sizeof(out)), 0);
	ck_assert_str_eq(out, "Date: now\nFrom: ka@example.net\n"
			      "Subject: [LVS_DEVEL] VRRP Instance VI_1 - Entering MASTER state\n"
			      "X-Mailer: Keepalived\nTo: a@example.net,\n\tb@example.net\n\n"
			      "=> VRRP Instance is now owning VRRP VIPs <=\n");
	mail = (struct notify_mail_conf){ .to = to, .n_to = 1 };
	x.group = true;
	x.what = NOTIFY_IS_STOP;
	size_t all = notify_message(&x, &mail, "host", "", out, sizeof(out));
	ck_assert_str_eq(out, "From: keepalived@host\nSubject: [host] VRRP Group VI_1 - Stopping\n"
			      "X-Mailer: Keepalived\nTo: a@example.net\n\n"
			      "=> All VRRP group instances are now stopping <=\n");
	for (size_t cap = 0; cap <= all; cap++)
		ck_assert_uint_eq(notify_message(&x, &mail, "host", "", out, cap), 0);
	static const char *const subjects[] = {
		"Entering MASTER state", "Entering BACKUP state", "Entering FAULT state", "Stopping", "Deleted",
		"Entering FAULT state"
	};
	for (unsigned w = 0; w < NOTIFY_WHAT_N; w++) {
		x.what = (enum notify_what)w;
		for (unsigned g = 0; g < 2; g++) {
			x.group = g;
			size_t len = notify_message(&x, &mail, "host", "", out, sizeof(out));
			ck_assert_int_eq(len > 0, w <= NOTIFY_IS_GONE);
			if (len)
				ck_assert_ptr_nonnull(strstr(out, subjects[w]));
		}
	}
	mail.n_to = 0;
	x.what = NOTIFY_IS_MASTER;
	ck_assert_uint_eq(notify_message(&x, &mail, "host", "", out, sizeof(out)), 0);
}
END_TEST

START_TEST(each_state_has_its_program)
{
	static const enum notify_which which[NOTIFY_WHAT_N] = { NOTIFY_MASTER, NOTIFY_BACKUP,  NOTIFY_FAULT,
								NOTIFY_STOP,   NOTIFY_DELETED, NOTIFY_WHICH_N,
								NOTIFY_LOWER,  NOTIFY_WHICH_N, NOTIFY_WHICH_N };

	for (unsigned w = 0; w < NOTIFY_WHAT_N; w++)
		ck_assert_int_eq(notify_which_of((enum notify_what)w), which[w]);
	ck_assert_int_eq(notify_which_of(NOTIFY_WHAT_N), NOTIFY_WHICH_N);
	ck_assert_int_eq(notify_kind_of(NOTIFY_WHAT_N), NOTIFY_K_STATE);
	ck_assert_str_eq(notify_sink_text(NOTIFY_TO_MAIL), "mail");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("notify");
	TCase *tc = tcase_create("queue");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, each_receiver_has_its_own_pace_and_the_same_order);
	tcase_add_test(tc, a_fast_receiver_is_told_everything);
	tcase_add_test(tc, a_slow_receiver_is_told_the_last_state_and_no_history);
	tcase_add_test(tc, news_of_one_kind_do_not_replace_another);
	tcase_add_test(tc, a_receiver_can_be_held_and_closed);
	tcase_add_test(tc, the_queue_stays_short);
	tcase_add_test(tc, a_reload_gives_subjects_new_numbers);
	tcase_add_test(tc, lines_and_words_are_those_of_keepalived);
	tcase_add_test(tc, messages_have_the_subjects_people_filter_on);
	tcase_add_test(tc, each_state_has_its_program);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
