/* strongSwan's configuration files: syntax, facts, and what they add to a connection. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "ike-hooks/swan_text.h"
#include "tests/unit/run.h"

static struct swan_conn room[4];
static struct swan_facts facts;

static enum swan_drop add(const char *text)
{
	unsigned line;

	return swan_read(&facts, text, strlen(text), &line);
}

static enum swan_drop fresh(const char *text)
{
	swan_facts_init(&facts, room, 4);
	return add(text);
}

static const char usual[] = "# the usual one\n"
			    "connections {\n"
			    "  hq {\n"
			    "    version = 2   # comment\n"
			    "    mobike = no\n"
			    "    local-1 { auth = psk\n id = \"a } b\" }\n"
			    "    children {\n"
			    "      net { local_ts = 10.1.0.0/16\n start_action = trap }\n"
			    "      net6 { mode = tunnel }\n"
			    "    }\n"
			    "  }\n"
			    "  branch { children { net { start_action = start } } }\n"
			    "}\n"
			    "secrets { ike-hq { secret = \"mobike = yes\" } }\n"
			    "include conf.d/*.conf\n";

START_TEST(the_usual_file)
{
	ck_assert_int_eq(fresh(usual), SWAN_OK);
	ck_assert_uint_eq(facts.n, 2);
	ck_assert_str_eq(facts.conn[0].name, "hq");
	ck_assert(facts.conn[0].has_mobike && !facts.conn[0].mobike);
	ck_assert_uint_eq(facts.conn[0].n_children, 2);
	ck_assert_int_eq(facts.conn[0].child[0].start, VICI_DO_TRAP);
	ck_assert_int_eq(facts.conn[0].child[1].start, VICI_DO_UNKNOWN);
	ck_assert_str_eq(facts.conn[1].name, "branch");
	ck_assert(!facts.conn[1].has_mobike);
	ck_assert_int_eq(facts.conn[1].child[0].start, VICI_DO_START);
	char pattern[64];
	ck_assert(swan_include(usual, strlen(usual), 0, pattern, sizeof(pattern)));
	ck_assert_str_eq(pattern, "conf.d/*.conf");
	ck_assert(!swan_include(usual, strlen(usual), 1, pattern, sizeof(pattern)));
	ck_assert(!swan_include(usual, strlen(usual), 0, pattern, 5));
}
END_TEST

START_TEST(on_one_line)
{
	ck_assert_int_eq(fresh("connections{a{mobike=no}b{mobike=yes}c{children{k{start_action=none}}}}"), SWAN_OK);
	ck_assert_uint_eq(facts.n, 3);
	ck_assert(facts.conn[0].has_mobike && !facts.conn[0].mobike);
	ck_assert(facts.conn[1].mobike);
	ck_assert_int_eq(facts.conn[2].child[0].start, VICI_DO_NOTHING);
}
END_TEST

/* Several files, and sections that go on later, say one thing together; for more than there is room is counted. */
START_TEST(in_parts)
{
	ck_assert_int_eq(fresh("connections { a { children { k { } } } }"), SWAN_OK);
	ck_assert_int_eq(add("connections { a { mobike = 0\n children { k { start_action = start } } } }"), SWAN_OK);
	ck_assert_uint_eq(facts.n, 1);
	ck_assert(facts.conn[0].has_mobike && !facts.conn[0].mobike);
	ck_assert_uint_eq(facts.conn[0].n_children, 1);
	ck_assert_int_eq(facts.conn[0].child[0].start, VICI_DO_START);
	ck_assert_int_eq(add("connections { b {} c {} d {} e {} f {} }"), SWAN_OK);
	ck_assert_uint_eq(facts.n, 4);
	ck_assert_uint_eq(facts.more, 2);
}
END_TEST

static struct vici_conn loaded(void)
{
	struct vici_conn c = { .name = "hq", .n_children = 2, .child = { { .name = "net" }, { .name = "net6" } } };

	return c;
}

START_TEST(merged)
{
	struct vici_conn c = loaded();

	fresh(usual);
	swan_merge(&facts, &c);
	ck_assert(c.has_mobike && !c.mobike);
	ck_assert_int_eq(c.child[0].start, VICI_DO_TRAP);
	ck_assert_int_eq(c.child[1].start, VICI_DO_NOTHING);
	c = loaded();
	fresh("connections { zz { mobike = yes } hq { mobike = no } a { } }");
	swan_sort(&facts);
	ck_assert_str_eq(facts.conn[0].name, "a");
	swan_merge(&facts, &c);
	ck_assert(c.has_mobike && !c.mobike);
	strcpy(c.name, "b");
	c.has_mobike = false;
	swan_merge(&facts, &c);
	ck_assert(!c.has_mobike);
	c = loaded();
	/* What is not set is on. */
	c = loaded();
	fresh("connections { hq { children { net { } } } }");
	swan_merge(&facts, &c);
	ck_assert(c.has_mobike && c.mobike);
	ck_assert_int_eq(c.child[0].start, VICI_DO_NOTHING);
	ck_assert_int_eq(c.child[1].start, VICI_DO_UNKNOWN); /* no file has it */
	/* A template may set it. */
	c = loaded();
	fresh("connections { hq : defaults, more { children { net : kids { } net6 { start_action = none } } } }");
	swan_merge(&facts, &c);
	ck_assert(!c.has_mobike);
	ck_assert_int_eq(c.child[0].start, VICI_DO_UNKNOWN);
	ck_assert_int_eq(c.child[1].start, VICI_DO_NOTHING);
	/* Another connection, and a daemon that tells it itself. */
	c = loaded();
	fresh("connections { other { mobike = no } }");
	swan_merge(&facts, &c);
	ck_assert(!c.has_mobike);
	c.has_mobike = c.mobike = true;
	c.child[0].start = VICI_DO_START;
	fresh(usual);
	swan_merge(&facts, &c);
	ck_assert(c.mobike);
	ck_assert_int_eq(c.child[0].start, VICI_DO_START);
}
END_TEST

START_TEST(repetitions)
{
	fresh("");
	ck_assert_uint_eq(swan_retransmit_s(&facts), 166); /* 4 + 7.2 + 12.96 + 23.328 + 41.9904 + 75.58272 = 165.06 */
	fresh("charon { retransmit_timeout = 1.0\n retransmit_base = 1\n retransmit_tries = 2\n }");
	ck_assert_uint_eq(swan_retransmit_s(&facts), 3);
	fresh("charon { retransmit_limit = 5 }");
	ck_assert_uint_eq(swan_retransmit_s(&facts), 29);
	/* Nonsense keeps the standards. */
	fresh("charon { retransmit_timeout = -1\n retransmit_base = nan\n retransmit_tries = 1e9\n retransmit_limit = "
	      "x }");
	ck_assert_uint_eq(swan_retransmit_s(&facts), 166);
	fresh("charon { plugins { x { retransmit_timeout = 1 } } }");
	ck_assert_uint_eq(swan_retransmit_s(&facts), 166);
}
END_TEST

START_TEST(wrong)
{
	static const struct {
		const char *text;
		enum swan_drop drop;
		unsigned line;
	} t[] = {
		{ "a {", SWAN_DROP_BALANCE, 1 },
		{ "a {\n}\n}", SWAN_DROP_BALANCE, 3 },
		{ "\n\nname name", SWAN_DROP_FOLLOWS, 3 },
		{ "a = \"no end", SWAN_DROP_QUOTE, 1 },
		{ "= x", SWAN_DROP_NAME, 1 },
		{ "a : { }", SWAN_OK, 1 },
		{ "a : = { }", SWAN_DROP_NAME, 1 },
		{ "a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{", SWAN_DROP_DEPTH, 1 },
		{ "\"x", SWAN_DROP_QUOTE, 1 },
		{ "\"\" = x", SWAN_DROP_NAME, 1 },
		{ "include = yes", SWAN_OK, 1 },
		{ "include { a = b }", SWAN_OK, 1 },
		{ "\"quoted name\" = \"quo\\\"ted\" more # comment", SWAN_OK, 1 },
	};
	char longname[300];

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		unsigned line = 0;
		swan_facts_init(&facts, room, 4);
		enum swan_drop d = swan_read(&facts, t[i].text, strlen(t[i].text), &line);
		ck_assert_msg(d == t[i].drop && line == t[i].line, "%zu: %s in line %u", i, swan_drop_text(d), line);
	}
	memset(longname, 'n', sizeof(longname) - 1);
	longname[sizeof(longname) - 1] = '\0';
	ck_assert_int_eq(fresh(longname), SWAN_DROP_NAME);
	for (int d = 0; d < SWAN_DROP_N; d++)
		ck_assert_uint_gt(strlen(swan_drop_text((enum swan_drop)d)), 5);
	ck_assert_str_eq(swan_drop_text(SWAN_DROP_N), "unknown reason");
}
END_TEST

/* Cut anywhere: no read behind the end (the copy is exact, the sanitizer watches), and the same reason twice. */
START_TEST(cut_at_every_byte)
{
	for (size_t n = 0; n <= strlen(usual); n++) {
		char *copy = malloc(n + 1);
		unsigned line, again;
		memcpy(copy, usual, n);
		swan_facts_init(&facts, room, 4);
		enum swan_drop d = swan_read(&facts, copy, n, &line);
		swan_facts_init(&facts, room, 4);
		ck_assert_int_eq(d, swan_read(&facts, copy, n, &again));
		ck_assert_uint_eq(line, again);
		free(copy);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("swan_text");
	TCase *t = tcase_create("text");

	tcase_add_test(t, the_usual_file);
	tcase_add_test(t, on_one_line);
	tcase_add_test(t, in_parts);
	tcase_add_test(t, merged);
	tcase_add_test(t, repetitions);
	tcase_add_test(t, wrong);
	tcase_add_test(t, cut_at_every_byte);
	suite_add_tcase(s, t);
	return unit_run(s);
}
