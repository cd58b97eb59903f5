/* The configuration as facts for another node: it can be read back, holds no secret and nothing local, and has an end. */
#include "daemon/cfg_tree.h"
#include "daemon/pair_facts.h"
#include "tests/unit/cfg_util.h"
#include "tests/unit/run.h"

static struct pair_facts facts;
static char text[PAIR_TEXT_MAX];

/* As the other node reads it. */
static void told(const struct cfg *c)
{
	struct pair_text t;
	char *flat = cfg_flat(c->tree);

	ck_assert_ptr_nonnull(flat);
	ck_assert_uint_le(strlen(flat), CFG_FLAT_MAX);
	ck_assert_ptr_null(strstr(flat, "hush"));
	/* Where there are no other nodes nobody reads it. */
	ck_assert_int_eq(c->flat != NULL, c->sync.enabled);
	pair_text_begin(&t, text, sizeof(text));
	pair_text_lines(&t, flat);
	free(flat);
	enum pair_drop d = pair_facts_read(text, pair_text_end(&t), &facts);
	ck_assert_msg(d == PAIR_OK, "%s", pair_drop_text(d));
	ck_assert(!facts.cut);
}

START_TEST(keys_and_values)
{
	struct cfg *c = good(PAIR VRRP);

	told(c);
	ck_assert_str_eq(pair_facts_find(&facts, "conf.vrrp.instances[lan].vrid"), "10");
	ck_assert_str_eq(pair_facts_find(&facts, "conf.vrrp.instances[wan].virtual_addresses[192.0.2.1/24].address"),
			 "\"192.0.2.1/24\"");
	ck_assert_str_eq(pair_facts_find(&facts, "conf.cluster"), "\"edge\"");
	ck_assert_str_eq(pair_facts_find(&facts, "conf.nodes[fw-b].addresses"), "( \"10.9.0.2\" )");
	ck_assert_str_eq(pair_facts_find(&facts, "conf.sync.quick"), "false");
	ck_assert_ptr_null(pair_facts_find(&facts, "conf.node.id")); /* local */
	ck_assert_uint_eq(pair_facts_prefix(&facts, "conf.node."), facts.n);
	ck_assert_uint_eq(pair_facts_prefix(&facts, "conf.control"), facts.n);
	cfg_free(c);
}
END_TEST

START_TEST(no_password)
{
	struct cfg *c = good("vrrp = { instances = ( { name = \"a\"; interface = \"e0\"; vrid = 1; version = \"v2\"; "
			     "auth_pass = \"hush1234\"; virtual_addresses = ( \"10.0.0.1/24\" ); } ); };\n");

	told(c);
	ck_assert_str_eq(pair_facts_find(&facts, "conf.vrrp.instances[a].auth_pass"), "(not shown)");
	cfg_free(c);
}
END_TEST

/* n instances with k addresses each. */
static struct cfg *large(unsigned n, unsigned k, unsigned odd)
{
	char *conf = NULL;
	size_t len;
	FILE *f = open_memstream(&conf, &len);

	fprintf(f, "vrrp = { instances = (");
	for (unsigned i = 0; i < n; i++) {
		fprintf(f, "%s{ name = \"i%u\"; interface = \"e%u\"; vrid = %u; virtual_addresses = (", i ? ", " : "",
			i, i / 250, i % 250 + 1);
		for (unsigned j = 0; j < k; j++)
			fprintf(f, "%s\"10.%u.%u.%u/24\"", j ? ", " : "", i / 250, i % 250,
				j + 1 + (i == odd && j == 0) * 100);
		fprintf(f, "); }");
	}
	fprintf(f, "); };\n");
	fclose(f);
	struct cfg *c = good(conf);
	free(conf);
	return c;
}

/* A long value is a hash that tells it from another one. */
START_TEST(long_values)
{
	char *conf = NULL, first[100];
	size_t len;
	for (unsigned turn = 0; turn < 2; turn++) {
		FILE *f = open_memstream(&conf, &len);
		fprintf(f, PAIR VRRP "hooks = ( { on = ( \"role\" ); exec = ( \"/bin/x\"");
		for (unsigned i = 0; i < 15; i++)
			fprintf(f, ", \"an argument of some length, %u\"", i + turn);
		fprintf(f, " ); } );\n");
		fclose(f);
		struct cfg *c = good(conf);
		told(c);
		const char *v = pair_facts_find(&facts, "conf.hooks[0].exec");
		ck_assert_ptr_nonnull(v);
		ck_assert(strncmp(v, "(16 items, hash ", 16) == 0);
		ck_assert(turn == 0 || strcmp(v, first) != 0);
		snprintf(first, sizeof(first), "%s", v);
		cfg_free(c);
		free(conf);
	}
}
END_TEST

/* What has no name of its own goes by its first key, and by its place where two have the same. */
START_TEST(records_without_a_name)
{
	struct cfg *c =
	    good(PAIR VRRP "sync = { ignore = ( { address = \"10.0.0.0/8\"; port = 53; }, "
			   "{ address = \"10.0.0.0/8\"; port = 80; }, { address = \"192.0.2.0/24\"; } ); };\n");

	told(c);
	ck_assert_str_eq(pair_facts_find(&facts, "conf.sync.ignore[0].port"), "53");
	ck_assert_str_eq(pair_facts_find(&facts, "conf.sync.ignore[1].port"), "80");
	ck_assert_ptr_nonnull(pair_facts_find(&facts, "conf.sync.ignore[192.0.2.0/24].address"));
	cfg_free(c);
}
END_TEST

/* Too many keys: a hash for each instance, and the one that differs is found. */
START_TEST(many_records)
{
	struct cfg *a = large(300, 1, UINT32_MAX), *b = large(300, 1, 77);
	char first[100], other[100];

	told(a);
	ck_assert_ptr_null(pair_facts_find(&facts, "conf.vrrp.instances[i77].vrid"));
	snprintf(first, sizeof(first), "%s", pair_facts_find(&facts, "conf.vrrp.instances[i77]"));
	snprintf(other, sizeof(other), "%s", pair_facts_find(&facts, "conf.vrrp.instances[i78]"));
	ck_assert(strncmp(first, "(hash ", 6) == 0);
	told(b);
	ck_assert_str_ne(pair_facts_find(&facts, "conf.vrrp.instances[i77]"), first);
	ck_assert_str_eq(pair_facts_find(&facts, "conf.vrrp.instances[i78]"), other);
	ck_assert_ptr_nonnull(pair_facts_find(&facts, "conf.sync.quick"));
	cfg_free(a);
	cfg_free(b);
}
END_TEST

/* Still too many: only that there is more; the digests of the sections tell the rest. */
START_TEST(too_many_records)
{
	struct cfg *c = large(1500, 1, UINT32_MAX);

	told(c);
	ck_assert_uint_eq(facts.n, 1);
	ck_assert_str_eq(pair_facts_find(&facts, "conf.more"), "1");
	cfg_free(c);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cfg_flat");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, keys_and_values);
	tcase_add_test(t, no_password);
	tcase_add_test(t, long_values);
	tcase_add_test(t, records_without_a_name);
	tcase_add_test(t, many_records);
	tcase_add_test(t, too_many_records);
	suite_add_tcase(s, t);
	return unit_run(s);
}
