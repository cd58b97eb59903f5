/* What lives on when a configuration is replaced. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/reload_map.h"
#include "tests/unit/run.h"

enum { MANY = 3000 };

static struct cfg *models[2];
static struct reload_map *m;

static struct cfg *parse(const char *body)
{
	struct cfg_errors errs = { 0 };
	size_t cap = strlen(body) + 200;
	char *text = malloc(cap);
	snprintf(text, cap, "node = { id = 1; run_dir = \"/run/x\"; state_dir = \"/tmp\"; };\nvrrp = { %s };\n", body);
	struct cfg *c = cfg_parse(text, "test", &errs);
	ck_assert_msg(c != NULL, "%s", errs.n ? errs.list[0].text : "no reason");
	cfg_errors_free(&errs);
	free(text);
	return c;
}

#define INST(name, vrid)                                                                                     \
	"{ name = \"" name "\"; interface = \"eth0\"; vrid = " vrid "; virtual_addresses = ( \"10.0.0." vrid \
	"/24\" ); }"

static void make(const char *old, const char *now)
{
	models[0] = parse(old);
	models[1] = parse(now);
	m = reload_map_make(models[0], models[1]);
	ck_assert_ptr_nonnull(m);
}

static void finish(void)
{
	reload_map_free(m);
	cfg_free(models[0]);
	cfg_free(models[1]);
	reload_map_free(NULL);
}

START_TEST(instances)
{
	make("instances = (" INST("a", "1") "," INST("b", "2") "," INST("c", "3") ");",
	     "instances = (" INST("c", "3") "," INST("new", "9") "," INST("a", "1") "," INST("b", "4") ");");
	ck_assert_int_eq(m->inst_from[0], 2);
	ck_assert_int_eq(m->inst_from[1], -1);
	ck_assert_int_eq(m->inst_from[2], 0);
	ck_assert_int_eq(m->inst_from[3], -1); /* another VRID is another virtual router */
	ck_assert(m->inst_stays[0] && !m->inst_stays[1] && m->inst_stays[2]);
	/* Lone instances are groups of their own, known by name. */
	ck_assert_int_eq(m->group_from[0], 2);
	ck_assert_int_eq(m->group_from[1], -1);
	ck_assert_int_eq(m->group_from[2], 0);
	ck_assert_int_eq(m->group_from[3], 1);
	ck_assert_uint_ge(m->n_changes, 2);
}
END_TEST

#define TWO "instances = (" INST("a", "1") "," INST("b", "2") ");"

START_TEST(groups)
{
	make(TWO "groups = ( { name = \"g\"; members = ( \"a\", \"b\" ); } );",
	     TWO "groups = ( { name = \"h\"; members = ( \"a\", \"b\" ); } );");
	ck_assert_int_eq(m->group_from[0], 0); /* a new name only */
	ck_assert(m->group_stays[0]);
}
END_TEST

START_TEST(split_group)
{
	make(TWO "groups = ( { name = \"g\"; members = ( \"a\", \"b\" ); } );", TWO);
	ck_assert_int_eq(m->group_from[0], 0); /* the first part keeps the role */
	ck_assert_int_eq(m->group_from[1], -1);
}
END_TEST

START_TEST(joined_groups)
{
	make(TWO, TWO "groups = ( { name = \"g\"; members = ( \"a\", \"b\" ); } );");
	ck_assert_int_eq(m->group_from[0], -1); /* its members come from two */
	ck_assert(!m->group_stays[0] && !m->group_stays[1]);
	ck_assert(m->inst_stays[0] && m->inst_stays[1]);
}
END_TEST

static char *many(unsigned first)
{
	char *body = malloc(MANY * 160u + 100u);
	size_t at = (size_t)sprintf(body, "instances = (");
	for (unsigned i = 0; i < MANY; i++) {
		unsigned k = (first + i) % MANY;
		at += (size_t)sprintf(body + at,
				      "%s{ name = \"i%u\"; interface = \"eth%u\"; vrid = %u; virtual_addresses = ( "
				      "\"10.%u.%u.1/24\" ); }",
				      i ? "," : "", k, k / 255, k % 255 + 1, k / 255, k % 255);
	}
	sprintf(body + at, ");");
	return body;
}

START_TEST(very_many)
{
	char *old = many(0), *now = many((unsigned)_i);
	make(old, now);
	for (unsigned i = 0; i < MANY; i++) {
		ck_assert_int_eq(m->inst_from[i], (int)((i + (unsigned)_i) % MANY));
		ck_assert(m->inst_stays[i] && m->group_stays[i]);
	}
	free(old);
	free(now);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("reload_map");
	TCase *t = tcase_create("all");
	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, NULL, finish);
	tcase_add_test(t, instances);
	tcase_add_test(t, groups);
	tcase_add_test(t, split_group);
	tcase_add_test(t, joined_groups);
	tcase_add_loop_test(t, very_many, 0, 2);
	suite_add_tcase(s, t);
	return unit_run(s);
}
