/* The canonical form parses to an equal model; digests tell shared from local; the man page part is complete. */
#include "daemon/cfg_schema.h"
#include "tests/unit/cfg_util.h"

static uint64_t rng;

static unsigned rnd(unsigned n)
{
	rng = rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(rng >> 33) % n;
}

static const char *flip(void)
{
	return rnd(2) ? "true" : "false";
}

static void random_instance(FILE *f, unsigned i)
{
	bool v6 = i % 3 == 2;

	fprintf(f, "%s{ name = \"i%u\"; interface = \"eth%u\"; vrid = %u; family = \"%s\"; ", i ? ",\n" : "", i, rnd(4),
		i + 1, v6 ? "ipv6" : "ipv4");
	if (rnd(2))
		fprintf(f, "priority = %u; preempt = %s; ", 1 + rnd(255), flip());
	if (rnd(2))
		fprintf(f, "advert_interval = %u.%02u; ", rnd(40), 1 + rnd(94));
	if (rnd(2))
		fprintf(f, "garp_repeat = %u; garp_delay = %u.%u; ", 1 + rnd(255), rnd(3600), rnd(1000));
	if (rnd(2))
		fprintf(f, "checksum = \"%s\"; ", rnd(2) ? "keepalived" : "rfc9568");
	fprintf(f, "virtual_addresses = ( ");
	for (unsigned j = 0, n = 1 + rnd(4); j < n; j++) {
		char a[80];
		if (v6)
			snprintf(a, sizeof(a), "2001:db8:%x:0::%x/%u", i, j + 1, 1 + rnd(128));
		else
			snprintf(a, sizeof(a), "10.%u.0.%u/%u", i, j + 1, 1 + rnd(32));
		if (rnd(3))
			fprintf(f, "%s\"%s\"", j ? ", " : "", a);
		else
			fprintf(f, "%s{ address = \"%s\"; interface = \"vl.%u\"; }", j ? ", " : "", a, rnd(99));
	}
	fprintf(f, " ); }");
}

static void random_groups(FILE *f, unsigned n)
{
	fprintf(f, "groups = ( ");
	for (unsigned i = 0, g = 0; i + 1 < n; g++) {
		fprintf(f, "%s{ name = \"g%u\"; members = ( \"i%u\"", g ? ",\n" : "", g, i);
		for (i++; i < n && rnd(2); i++)
			fprintf(f, ", \"i%u\"", i);
		fprintf(f, " ); fault = \"%s\"; preempt = %s; }", rnd(2) ? "yield" : "degrade", flip());
		i += rnd(2);
	}
	fprintf(f, " ); ");
}

static void random_rest(FILE *f)
{
	if (rnd(2))
		fprintf(f,
			"sync = { replicate = %s; store = \"%s\"; quick = %s; lease = %u.%u; sessions_max = %u; };\n",
			flip(), rnd(2) ? "hot" : "warm", flip(), 300 + rnd(299), rnd(1000), 1000 + rnd(1000000));
	if (rnd(2))
		fprintf(f,
			"ipsec = { tunnels = ( { name = \"t\"; vip = \"10.0.0.1\"; peer = \"198.51.100.%u\"; ike = \"a "
			"\\\\ \\\" b\"; "
			"child = \"c%u\"; initiate = \"%s\"; %s } ); };\n",
			rnd(256), rnd(9), rnd(2) ? "auto" : "never",
			rnd(2) ? "dpd = { interval = 0.5; retries = 7; action = \"rekey\"; };" : "");
	if (rnd(2))
		fprintf(f,
			"hooks = ( { on = ( \"dpd-dead\", \"role\" ); exec = ( \"/x\", \"\", \"tab\\there\", \"\\x01\" "
			"); timeout = "
			"%u; } );\n",
			1 + rnd(299));
	if (rnd(2))
		fprintf(f, "control = { view_group = \"\"; %s };\n", rnd(2) ? "socket = \"/run/a\";" : "");
}

static char *random_config(unsigned seed)
{
	char *buf = NULL;
	size_t len;
	FILE *f = open_memstream(&buf, &len);
	unsigned n = 1 + rnd(8);
	bool pair = rnd(2);

	rng = seed;
	fprintf(f, "node = { id = %u; %s %s };\n", 1 + rnd(2), rnd(2) ? "priority = 33;" : "",
		rnd(2) ? "instances = ( { name = \"i0\"; priority = 44; interface = \"other\"; } );" : "");
	if (pair)
		fprintf(f,
			"cluster = \"c\"; nodes = ( { id = 1; name = \"a\"; addresses = ( \"10.9.0.1\" ); }, { id = 2; "
			"name = "
			"\"b\"; addresses = ( \"10.9.0.2\" ); } );\nchannel = { %s port = %u; };\n",
			rnd(2) ? "insecure = true;" : "key_file = \"/k\";", 1 + rnd(65535));
	fprintf(f, "vrrp = { instances = ( ");
	for (unsigned i = 0; i < n; i++)
		random_instance(f, i);
	fprintf(f, " ); ");
	if (rnd(2))
		random_groups(f, n);
	fprintf(f, "};\n");
	random_rest(f);
	fclose(f);
	return buf;
}

/* Equal in every way that can be asked: no change to apply, same digests, same canonical text. */
static void assert_equal(const struct cfg *a, const struct cfg *b)
{
	struct cfg_change ch[4];
	char *x = printed(a), *y = printed(b);

	ck_assert_uint_eq(cfg_diff(a, b, ch, 4), 0);
	ck_assert_mem_eq(a->digest, b->digest, sizeof(a->digest));
	ck_assert_str_eq(x, y);
	ck_assert_uint_eq(a->n_instances, b->n_instances);
	for (unsigned i = 0; i < a->n_instances; i++)
		ck_assert_uint_eq(a->instances[i].group, b->instances[i].group);
	free(x);
	free(y);
}

START_TEST(random_configs_round_trip)
{
	char *text = random_config((unsigned)_i);
	struct cfg *a = good(text);
	char *canonical = printed(a);
	struct cfg *b = good(canonical);

	assert_equal(a, b);
	free(text);
	free(canonical);
	cfg_free(a);
	cfg_free(b);
}
END_TEST

START_TEST(example_round_trips)
{
	struct cfg_errors errs = { 0 };
	struct cfg *a = cfg_load(SRCDIR "/daemon/dist/keeptrackd.conf.example", &errs);

	ck_assert_ptr_nonnull(a);
	char *canonical = printed(a);
	struct cfg *b = good(canonical);
	assert_equal(a, b);
	free(canonical);
	cfg_free(a);
	cfg_free(b);
}
END_TEST

START_TEST(digests)
{
	static const struct {
		const char *from, *to;
		int section; /* of the digest that changes; -1: none, it is local or only another spelling */
	} t[] = {
		{ "node = { id = 1; };", "node = { id = 2; priority = 7; realtime = false; };", -1 },
		{ "node = { id = 1; };", "node = { id = 1; instances = ( { name = \"lan\"; priority = 9; } ); };", -1 },
		{ "vrid = 10", "vrid =  0xa; priority = 100", -1 },
		{ "cluster = \"edge\"", "cluster = \"wedge\"", 0 },
		{ "10.9.0.2", "10.9.0.3", 0 },
		{ "vrid = 10", "vrid = 11", 1 },
		{ "vrid = 10", "vrid = 10; priority = 101", 1 },
		{ "#end", "sync = { quick = true; };", 2 },
		{ "#end", "ipsec = { vici = \"/x\"; };", 3 },
		{ "#end", "hooks = ( { on = ( \"role\" ); exec = ( \"/x\" ); } );", 3 },
		{ "#end", "control = { view_group = \"x\"; };", -1 },
	};
	const char *base = PAIR VRRP "#end\n";
	struct cfg *a = good(base);

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct cfg *b = good(with(base, t[i].from, t[i].to));
		for (int d = 0; d < 4; d++)
			ck_assert_msg((a->digest[d] != b->digest[d]) == (d == t[i].section), "row %u digest %d", i, d);
		cfg_free(b);
	}
	cfg_free(a);
}
END_TEST

START_TEST(man_page_part)
{
	char *buf = NULL, item[128];
	size_t len;
	FILE *f = open_memstream(&buf, &len);

	cfg_schema_print_mdoc(f);
	fclose(f);
	for (unsigned r = 0; r < cfg_schema_rows(); r++) {
		snprintf(item, sizeof(item), ".It Ic %s\n", cfg_schema_row(r)->path);
		ck_assert_msg(strstr(buf, item) != NULL, "%s", item);
	}
	ck_assert_ptr_nonnull(strstr(buf, ".Sh LOCAL OPTIONS"));
	ck_assert_ptr_nonnull(strstr(buf, "Default: 400 seconds."));
	for (const char *p = buf; (p = strchr(p, '\n')) != NULL && p[1];) {
		p++;
		/* a text line must not be taken for a request */
		ck_assert_msg(*p != '\'' && (*p != '.' || strchr("SBIE", p[1])), "%.40s", p);
	}
	free(buf);
}
END_TEST

/* The options part of the shipped page is what the schema says. KT_GOLDEN=write brings it up to date. */
START_TEST(shipped_man_page_is_up_to_date)
{
	static const char path[] = SRCDIR "/daemon/dist/keeptrackd.conf.5";
	static const char begin[] = ".\\\" options: made from the schema\n", end[] = ".\\\" end of options\n";
	const char *mode = getenv("KT_GOLDEN");
	static char page[1 << 17];
	char *part = NULL;
	size_t len;
	FILE *f = open_memstream(&part, &len);

	cfg_schema_print_mdoc(f);
	fclose(f);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	page[fread(page, 1, sizeof(page) - 1, f)] = '\0';
	fclose(f);
	char *from = strstr(page, begin), *to = strstr(page, end);
	ck_assert(from != NULL && to != NULL && from < to);
	from += strlen(begin);
	if (mode && strcmp(mode, "write") == 0) {
		f = fopen(path, "w");
		ck_assert_ptr_nonnull(f);
		fprintf(f, "%.*s%s%s", (int)(from - page), page, part, to);
		fclose(f);
	} else {
		ck_assert_uint_eq((size_t)(to - from), len);
		ck_assert_mem_eq(from, part, len);
	}
	free(part);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cfg_print");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, random_configs_round_trip, 1, 200);
	tcase_add_test(t, example_round_trips);
	tcase_add_test(t, digests);
	tcase_add_test(t, man_page_part);
	tcase_add_test(t, shipped_man_page_is_up_to_date);
	suite_add_tcase(s, t);
	return unit_run(s);
}
