/* The schema table: its own consistency, lookups, values. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/mono.h"
#include "daemon/cfg_schema.h"
#include "tests/unit/run.h"

static const struct cfg_key *key(const char *path)
{
	int r = cfg_schema_find(path);

	ck_assert_msg(r >= 0, "%s", path);
	return cfg_schema_row((unsigned)r);
}

START_TEST(every_row_is_complete)
{
	for (unsigned r = 0; r < cfg_schema_rows(); r++) {
		const struct cfg_key *k = cfg_schema_row(r);
		char want[200];
		int64_t num;
		ck_assert_msg(k->help && strlen(k->help) > 10, "%s", k->path);
		ck_assert_msg(k->help[strlen(k->help) - 1] != '.', "%s", k->path);
		ck_assert_int_eq(cfg_schema_find(k->path), (int)r);
		ck_assert_uint_gt(strlen(cfg_schema_want(k, want, sizeof(want))), 5);
		ck_assert_uint_lt(strlen(want), sizeof(want) - 1);
		ck_assert_msg((k->type == CFG_T_WORD || k->type == CFG_T_WORDS) == (k->words != NULL), "%s", k->path);
		/* a scalar is required, optional, or has a default that is valid */
		bool scalar = k->type >= CFG_T_BOOL && k->type <= CFG_T_PREFIX;
		if (scalar && !(k->flags & (CFG_F_REQUIRED | CFG_F_OPTIONAL)))
			ck_assert_msg(k->def && cfg_schema_text_ok(k, k->def), "%s", k->path);
		if (k->def && (k->type == CFG_T_INT || k->type == CFG_T_TIME))
			ck_assert(cfg_schema_num(k, k->def, &num) && num >= k->min && num <= k->max);
		ck_assert_msg((k->flags & (CFG_F_REQUIRED | CFG_F_OPTIONAL)) != (CFG_F_REQUIRED | CFG_F_OPTIONAL), "%s",
			      k->path);
	}
}
END_TEST

static unsigned count_below(int section)
{
	unsigned n = 0;

	for (int r = cfg_schema_child_next(section, -1); r >= 0; r = cfg_schema_child_next(section, r)) {
		enum cfg_type t = cfg_schema_row((unsigned)r)->type;
		n += 1 + (t == CFG_T_BLOCK || t == CFG_T_RECORDS ? count_below(r) : 0);
		if (t == CFG_T_BLOCK || t == CFG_T_RECORDS)
			ck_assert_int_ge(cfg_schema_child_next(r, -1), 0);
	}
	return n;
}

START_TEST(the_tree_reaches_every_row)
{
	ck_assert_uint_eq(count_below(-1), cfg_schema_rows());
}
END_TEST

START_TEST(lookups)
{
	int instances = cfg_schema_find("vrrp.instances"), dpd = cfg_schema_find("ipsec.tunnels[].dpd");

	ck_assert_int_eq(cfg_schema_child(instances, "vrid"), cfg_schema_find("vrrp.instances[].vrid"));
	ck_assert_int_eq(cfg_schema_child(dpd, "retry"), cfg_schema_find("ipsec.tunnels[].dpd.retry"));
	ck_assert_int_eq(cfg_schema_child(-1, "nodes"), cfg_schema_find("nodes"));
	ck_assert_int_eq(cfg_schema_child(-1, "vrid"), -1);
	ck_assert_int_eq(cfg_schema_child(instances, "id"), -1);
	ck_assert_int_eq(cfg_schema_find("vrrp.instances[].nothing"), -1);
	ck_assert_str_eq(cfg_schema_name((unsigned)dpd), "dpd");
	ck_assert_int_eq(cfg_schema_scope((unsigned)cfg_schema_find("node.log.level")), CFG_SCOPE_LOCAL);
	ck_assert_int_eq(cfg_schema_scope((unsigned)cfg_schema_find("node")), CFG_SCOPE_LOCAL);
	ck_assert_int_eq(cfg_schema_scope((unsigned)cfg_schema_find("nodes")), CFG_SCOPE_SHARED);
	ck_assert_int_eq(cfg_schema_scope((unsigned)cfg_schema_find("nodes[].id")), CFG_SCOPE_SHARED);
}
END_TEST

START_TEST(nearest)
{
	int inst = cfg_schema_find("vrrp.instances");
	static const char *const pairs[][2] = { { "prioritty", "priority" },
						{ "priotiry", "priority" },
						{ "vird", "vrid" },
						{ "advert_int", "advert_interval" },
						{ "virtual_address", "virtual_addresses" },
						{ "nmae", "name" } };

	for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		int r = cfg_schema_nearest(inst, pairs[i][0]);
		if (i == 3) { /* five letters away from a short word: no guess */
			ck_assert_int_eq(r, -1);
			continue;
		}
		ck_assert_msg(r >= 0, "%s", pairs[i][0]);
		ck_assert_str_eq(cfg_schema_name((unsigned)r), pairs[i][1]);
	}
	ck_assert_int_eq(cfg_schema_nearest(inst, "zzzzzzz"), -1);
	ck_assert_int_eq(cfg_schema_nearest(-1, "a_word_that_is_very_much_longer_than_any_key_of_ours"), -1);
	ck_assert_str_eq(cfg_schema_word_nearest(key("vrrp.groups[].fault"), "yeild"), "yield");
	ck_assert_ptr_null(cfg_schema_word_nearest(key("vrrp.groups[].fault"), "purple"));
}
END_TEST

START_TEST(times)
{
	static const struct {
		int64_t ns;
		const char *text;
	} t[] = { { 0, "0" },
		  { NS_PER_SEC, "1" },
		  { 100 * NS_PER_MS, "0.1" },
		  { 40950 * NS_PER_MS, "40.95" },
		  { 10 * NS_PER_MS, "0.01" },
		  { 1, "0.000000001" },
		  { 400 * NS_PER_SEC, "400" } };
	const struct cfg_key *k = key("vrrp.instances[].advert_interval");
	char buf[40];
	int64_t ns;

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		ck_assert_str_eq(cfg_time_text(t[i].ns, buf, sizeof(buf)), t[i].text);
		ck_assert(cfg_schema_num(k, t[i].text, &ns));
		ck_assert_int_eq(ns, t[i].ns);
	}
	ck_assert(!cfg_schema_num(k, "", &ns));
	ck_assert(!cfg_schema_num(k, "1s", &ns));
	ck_assert(!cfg_schema_num(k, "0.0000000001", &ns));
	ck_assert(!cfg_schema_num(k, "-1", &ns));
}
END_TEST

START_TEST(values)
{
	static const struct {
		const char *path, *text;
		bool ok;
	} t[] = {
		{ "vrrp.instances[].interface", "eth0", true },
		{ "vrrp.instances[].interface", "fifteen-bytes-x", true },
		{ "vrrp.instances[].interface", "sixteen-bytes-xx", false },
		{ "vrrp.instances[].interface", "a/b", false },
		{ "vrrp.instances[].interface", "a b", false },
		{ "vrrp.instances[].interface", "..", false },
		{ "vrrp.instances[].interface", "", false },
		{ "vrrp.instances[].name", "lan-1.a_B", true },
		{ "vrrp.instances[].name", "lan 1", false },
		{ "vrrp.instances[].name", "l\xc3\xa4n", false },
		{ "vrrp.instances[].name", "", false },
		{ "vrrp.instances[].name", "a123456789b123456789c123456789d", true },
		{ "vrrp.instances[].name", "a123456789b123456789c123456789d123456789e123456789f123456789012", true },
		{ "vrrp.instances[].name", "a123456789b123456789c123456789d123456789e123456789f1234567890123", false },
		{ "vrrp.instances[].virtual_addresses[].address", "10.0.0.1/24", true },
		{ "vrrp.instances[].virtual_addresses[].address", "10.0.0.1/0", false },
		{ "vrrp.instances[].virtual_addresses[].address", "10.0.0.1/33", false },
		{ "vrrp.instances[].virtual_addresses[].address", "fe80::1/64", true },
		{ "vrrp.instances[].virtual_addresses[].address", "fe80::1/129", false },
		{ "ipsec.tunnels[].vip", "10.0.0.1/24", false },
		{ "ipsec.tunnels[].vip", "10.0.0.1", true },
		{ "node.run_dir", "run", false },
		{ "node.run_dir", "/run", true },
		{ "node.run_dir", "/ru\nn", false },
		{ "sync.store", "hot", true },
		{ "sync.store", "cold", false },
		{ "vrrp.instances[].vrid", "0", false },
		{ "vrrp.instances[].vrid", "255", true },
		{ "vrrp.instances[].vrid", "256", false },
		{ "vrrp", "x", false },
	};

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		ck_assert_msg(cfg_schema_text_ok(key(t[i].path), t[i].text) == t[i].ok, "%s %s", t[i].path, t[i].text);
	int64_t bits;
	ck_assert(cfg_schema_num(key("sync.protocols"), "tcp icmp", &bits));
	ck_assert_int_eq(bits, 5);
	ck_assert(!cfg_schema_num(key("sync.protocols"), "tcp stcp", &bits));
	ck_assert(!cfg_schema_num(key("node.run_dir"), "5", &bits));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cfg_schema");
	TCase *t = tcase_create("all");

	tcase_add_test(t, every_row_is_complete);
	tcase_add_test(t, the_tree_reaches_every_row);
	tcase_add_test(t, lookups);
	tcase_add_test(t, nearest);
	tcase_add_test(t, times);
	tcase_add_test(t, values);
	suite_add_tcase(s, t);
	return unit_run(s);
}
