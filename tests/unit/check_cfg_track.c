/* vrrp.track and its references: what is refused, what it becomes, what a reload sees. */
#include "daemon/base/mono.h"
#include "tests/unit/cfg_util.h"

#define DEFS                                                                                                 \
	"track = { scripts = ( { name = \"web\"; exec = ( \"/bin/true\", \"-x\" ); },\n"                     \
	" { name = \"db\"; shell = \"true | true\"; weight = -20; rise = 2; fall = 3; timeout = 0.5; } );\n" \
	" processes = ( { name = \"p\"; process = ( \"nginx\" ); } );\n"                                     \
	" files = ( { name = \"f\"; file = \"/tmp/f\"; } );\n"                                               \
	" conntrack = ( { name = \"ct\"; high = 90; low = 80; weight = -10; } );\n"                          \
	" interfaces = ( { interface = \"up0\"; up_delay = 2; } ); };"
#define TWO                                                                                                            \
	"vrrp = { instances = ( { name = \"a\"; interface = \"e0\"; vrid = 1; virtual_addresses = ( "                  \
	"\"10.0.0.1/24\" );\n track = ( \"web\", { script = \"db\"; }, { interface = \"up0\"; weight = 5; } /*a*/ ); " \
	"},"                                                                                                           \
	"\n { name = \"b\"; interface = \"e1\"; vrid = 2; virtual_addresses = ( \"10.0.1.1/24\" ); track = ( \"db\" "  \
	"/*b*/ );"                                                                                                     \
	" } );\n groups = ( { name = \"g\"; members = ( \"a\", \"b\" ); track = ( { file = \"f\"; }, { process = "     \
	"\"p\"; reverse = true; }, { conntrack = \"ct\"; } ); /*g*/ } );\n" DEFS " };\n"

static const struct vrrp_track_conf *obj_of(const struct cfg *c, const struct vrrp_track_ref *ref)
{
	return &c->track.objs[ref->obj];
}

START_TEST(is_built)
{
	struct cfg *c = good(TWO);
	const struct cfg_group *g = &c->groups[0];

	ck_assert_uint_eq(g->n_track, 7);
	static const struct {
		const char *name;
		enum vrrp_track_kind kind;
		uint16_t inst;
		int32_t weight;
		bool reverse, repeated;
	} want[] = {
		{ "f", VRRP_TRACK_FILE, VRRP_TRACK_GROUP, 1, false, false },
		{ "p", VRRP_TRACK_PROCESS, VRRP_TRACK_GROUP, 0, true, false },
		{ "ct", VRRP_TRACK_CONNTRACK, VRRP_TRACK_GROUP, -10, false, false },
		{ "web", VRRP_TRACK_SCRIPT, 0, 0, false, false },
		{ "db", VRRP_TRACK_SCRIPT, 0, -20, false, false },
		{ "up0", VRRP_TRACK_INTERFACE, 0, 5, false, false },
		{ "db", VRRP_TRACK_SCRIPT, 1, -20, false, true },
	};
	for (unsigned i = 0; i < 7; i++) {
		const struct vrrp_track_ref *r = &g->track[i];
		ck_assert_str_eq(obj_of(c, r)->name, want[i].name);
		ck_assert_int_eq(obj_of(c, r)->kind, want[i].kind);
		ck_assert(obj_of(c, r)->used);
		ck_assert_uint_eq(r->inst, want[i].inst);
		ck_assert_int_eq(r->weight, want[i].weight);
		ck_assert_int_eq(r->reverse, want[i].reverse);
		ck_assert_int_eq(r->repeated, want[i].repeated);
	}
	const struct cfg_track_script *web = &c->track.scripts[0], *db = &c->track.scripts[1];
	ck_assert_str_eq(web->argv[1], "-x");
	ck_assert_ptr_null(web->argv[2]);
	ck_assert_int_eq(web->timeout_ns, NS_PER_SEC); /* the interval */
	ck_assert_str_eq(db->argv[0], "/bin/sh");
	ck_assert_str_eq(db->argv[2], "true | true");
	ck_assert_int_eq(db->timeout_ns, NS_PER_SEC / 2);
	ck_assert_uint_eq(obj_of(c, &g->track[4])->rise, 2);
	ck_assert_uint_eq(obj_of(c, &g->track[4])->fall, 3);
	ck_assert_int_eq(c->track.ifaces[0].up_delay_ns, 2 * NS_PER_SEC);
	ck_assert_uint_eq(c->track.processes[0].quorum, 1);
	ck_assert_uint_eq(c->track.processes[0].quorum_max, UINT32_MAX);
	ck_assert_uint_eq(c->track.conntrack[0].low, 80);
	cfg_free(c);
}
END_TEST

START_TEST(details)
{
	struct cfg *c = good(with(TWO, "exec = ( \"/bin/true\", \"-x\" )",
				  "exec = ( \"/bin/true\" ); user = \"nobody\"; group = \"root\""));
	ck_assert_str_eq(c->track.scripts[0].user, "nobody");
	ck_assert_str_eq(c->track.scripts[0].group, "root");
	ck_assert_ptr_null(c->track.scripts[1].user);
	cfg_free(c);

	static const struct {
		const char *process;
		enum cfg_track_match match;
		bool full;
		uint32_t low, high;
	} t[] = {
		{ "( \"x\" )", CFG_TRACK_MATCH_ANY, false, 1, UINT32_MAX },
		{ "( \"x\" ); match = \"exact\"", CFG_TRACK_MATCH_EXACT, false, 1, UINT32_MAX },
		{ "( \"x\", \"y\" )", CFG_TRACK_MATCH_EXACT, false, 1, UINT32_MAX },
		{ "( \"x\", \"y\" ); match = \"initial\"", CFG_TRACK_MATCH_INITIAL, false, 1, UINT32_MAX },
		{ "( \"x\", \"y\" ); match = \"partial\"", CFG_TRACK_MATCH_PARTIAL, false, 1, UINT32_MAX },
		{ "( \"/x\" ); quorum_max = 0", CFG_TRACK_MATCH_ANY, true, 0, 0 },
		{ "( \"x\" ); full_command = true; quorum = 2; quorum_max = 3", CFG_TRACK_MATCH_ANY, true, 2, 3 },
	};
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		c = good(with(TWO, "( \"nginx\" )", t[i].process));
		const struct cfg_track_process *p = &c->track.processes[0];
		ck_assert_int_eq(p->match, t[i].match);
		ck_assert_int_eq(p->full_command, t[i].full);
		ck_assert_uint_eq(p->quorum, t[i].low);
		ck_assert_uint_eq(p->quorum_max, t[i].high);
		cfg_free(c);
	}

	/* What members track with a weight is left out where it must not move priorities. */
	struct cfg_errors errs = { 0 };
	c = cfg_parse(with(TWO, "/*g*/", "member_weights = false;"), "test.conf", &errs);
	ck_assert(c != NULL);
	ck_assert_uint_eq(errs.n_warnings, 2); /* db, twice; what is left out of web and up0 is nothing */
	ck_assert_ptr_nonnull(strstr(errs.warnings[0].text, "vrrp.instances[a].track[1].script = \"db\""));
	ck_assert_ptr_nonnull(strstr(errs.warnings[1].text, "sync_group_tracking_weight"));
	cfg_errors_free(&errs);
	ck_assert_uint_eq(c->groups[0].n_track, 5);
	ck_assert_int_eq(c->groups[0].track[2].weight, -10);
	ck_assert_str_eq(obj_of(c, &c->groups[0].track[3])->name, "web");
	ck_assert_str_eq(obj_of(c, &c->groups[0].track[4])->name, "up0");
	ck_assert_int_eq(c->groups[0].track[4].weight, 5);
	cfg_free(c);

	/* Nothing moves the priority of an owner: a file that no weight is written for is a fault for it. */
	char *owner = strdup(with(TWO, "vrid = 2;", "vrid = 2; priority = 255;"));
	c = good(with(owner, "/*b*/", ", { file = \"f\"; }, { file = \"f\"; weight = 2; }"));
	free(owner);
	ck_assert_int_eq(c->groups[0].track[6].weight, -20);
	ck_assert_int_eq(c->groups[0].track[7].weight, 0);
	ck_assert_int_eq(c->groups[0].track[8].weight, 2);
	cfg_free(c);

	/* One interface, however often it is named, is one thing. */
	char *once = strdup(with(TWO, "/*a*/", ", { interface = \"x9\"; }"));
	c = good(with(once, "/*b*/", ", { interface = \"x9\"; }"));
	free(once);
	ck_assert_uint_eq(c->groups[0].n_track, 9);
	ck_assert_uint_eq(c->groups[0].track[6].obj, c->groups[0].track[8].obj);
	ck_assert_uint_eq(obj_of(c, &c->groups[0].track[8])->index, 1);
	ck_assert_int_eq(c->track.ifaces[1].up_delay_ns, 0);
	cfg_free(c);
}
END_TEST

START_TEST(is_refused)
{
	static const struct {
		const char *from, *to, *begin, *word;
	} t[] = {
		{ "/*a*/", ", { weight = 3; }", "test.conf:2: vrrp.instances[a].track[3].script", "one thing" },
		{ "/*a*/", ", { script = \"web\"; file = \"f\"; }", "test.conf:2: vrrp.instances[a].track[3].script",
		  "one thing" },
		{ "/*a*/", ", \"wob\"", "test.conf:2: vrrp.instances[a].track[3].script = \"wob\"",
		  "not defined in vrrp.track.scripts" },
		{ "/*a*/", ", { script = \"web\"; weight = 300; }",
		  "test.conf:2: vrrp.instances[a].track[3].weight = 300", "from -254" },
		{ "exec = ( \"/bin/true\", \"-x\" ); ", "", "test.conf:5: vrrp.track.scripts[web].exec: is missing",
		  "needs a program" },
		{ "\"/bin/true\"", "\"true\"", "test.conf:5: vrrp.track.scripts[web].exec = \"true\"", "absolute" },
		{ "exec = (", "shell = \"x\"; exec = (", "test.conf:5: vrrp.track.scripts[web].shell = \"x\"",
		  "keep one" },
		{ "exec = (", "group = \"root\"; exec = (", "test.conf:5: vrrp.track.scripts[web].group = \"root\"",
		  "needs a user" },
		{ "timeout = 0.5; }", "timeout = 0.5; }, { name = \"web\"; shell = \"x\"; }",
		  "test.conf:6: vrrp.track.scripts[web].name", "line 5" },
		{ "( \"nginx\" )", "( \"nginx\" ); quorum = 3; quorum_max = 2",
		  "test.conf:7: vrrp.track.processes[p].quorum_max = 2", "below quorum" },
		{ "( \"nginx\" )", "( \"\" )", "test.conf:7: vrrp.track.processes[p].process", "empty" },
		{ "file = \"/tmp/f\"", "file = \"/tmp/f\"; overwrite = true",
		  "test.conf:8: vrrp.track.files[f].overwrite = true", "needs init" },
		{ "low = 80", "low = 90", "test.conf:9: vrrp.track.conntrack[ct].low = 90", "below high" },
		{ "{ interface = \"up0\"; up_delay = 2; }", "{ interface = \"up0\"; }, { interface = \"up0\"; }",
		  "test.conf:10: vrrp.track.interfaces", "line 10" },
	};
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		refused(with(TWO, t[i].from, t[i].to), t[i].begin, t[i].word);
}
END_TEST

START_TEST(is_warned_of)
{
	static const struct {
		const char *from, *to, *word;
	} t[] = {
		{ "/*a*/", ", { interface = \"e0\"; }", "is the instance's own" },
		{ "files = (", "files = ( { name = \"idle\"; file = \"/x\"; },", "nothing tracks it" },
	};
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct cfg_errors errs = { 0 };
		struct cfg *c = cfg_parse(with(TWO, t[i].from, t[i].to), "test.conf", &errs);
		ck_assert_ptr_nonnull(c);
		ck_assert_uint_eq(errs.n_warnings, 1);
		ck_assert_ptr_nonnull(strstr(errs.warnings[0].text, t[i].word));
		cfg_errors_free(&errs);
		cfg_free(c);
	}
}
END_TEST

START_TEST(a_reload_sees)
{
	static const struct {
		const char *from, *to;
		bool changed;
	} t[] = {
		{ "\"web\"; exec", "\"web\"; interval = 1; exec", false },
		{ "\"web\"; exec", "\"web\"; interval = 2; exec", true },
		{ "\"-x\"", "\"-y\"", true },
		{ ", \"-x\"", "", true },
		{ "timeout = 0.5", "timeout = 0.6", true },
		{ "rise = 2", "rise = 3", true },
		{ "fall = 3", "fall = 4", true },
		{ "weight = -20", "weight = -21", true },
		{ "\"web\"; exec", "\"web\"; init_fail = true; exec", true },
		{ "\"web\"; exec", "\"web\"; user = \"nobody\"; exec", true },
		{ "( \"nginx\" )", "( \"nginx\" ); quorum = 2", true },
		{ "( \"nginx\" )", "( \"nginx\" ); fork_delay = 2", true },
		{ "( \"nginx\" )", "( \"apache\" )", true },
		{ "\"/tmp/f\"", "\"/tmp/g\"", true },
		{ "\"/tmp/f\"", "\"/tmp/f\"; missing = 7", true },
		{ "low = 80", "low = 79", true },
		{ "up_delay = 2", "up_delay = 3", true },
		{ "{ interface = \"up0\"; weight = 5; }", "{ interface = \"up0\"; weight = 5; reverse = false; }",
		  false },
		{ "{ interface = \"up0\"; weight = 5; }", "{ interface = \"up0\"; weight = 5; reverse = true; }",
		  true },
		{ "/*b*/", ", { interface = \"z\"; }", true },
		{ "/*g*/", "member_weights = true;", false },
		{ "/*g*/", "member_weights = false;", true },
	};
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct cfg *a = good(TWO), *b = good(with(TWO, t[i].from, t[i].to));
		struct cfg_change ch[4];
		unsigned n = cfg_diff(a, b, ch, 4);
		ck_assert_msg(n == t[i].changed, "%s: %u changes", t[i].to, n);
		if (n)
			ck_assert_int_eq(ch[0].kind, CFG_TRACK_CHANGED);
		cfg_free(a);
		cfg_free(b);
	}
}
END_TEST

START_TEST(own_link)
{
	struct cfg *a = good(TWO), *b = good(with(TWO, "vrid = 1;", "vrid = 1; track_link = false;"));
	struct cfg_change ch[4];
	ck_assert(!a->instances[0].any_link && b->instances[0].any_link);
	ck_assert_uint_eq(cfg_diff(a, b, ch, 4), 1);
	ck_assert_int_eq(ch[0].kind, CFG_INSTANCE_CHANGED);
	cfg_free(a);
	cfg_free(b);
}
END_TEST

START_TEST(is_the_same_thing)
{
	struct cfg *a = good(TWO),
		   *b = good(with(TWO, "timeout = 0.5", "timeout = 0.6; interval = 9; init_fail = true"));
	for (uint16_t i = 0; i < a->track.n_objs; i++)
		for (uint16_t k = 0; k < b->track.n_objs; k++)
			ck_assert_int_eq(cfg_track_same(a, i, b, k), i == k);
	cfg_free(b);
	b = good(with(TWO, "true | true", "false"));
	unsigned same = 0;
	for (uint16_t i = 0; i < a->track.n_objs; i++)
		same += cfg_track_same(a, i, b, i);
	ck_assert_uint_eq(same, a->track.n_objs - 1u);
	cfg_free(a);
	cfg_free(b);
}
END_TEST

START_TEST(round_trip)
{
	struct cfg *a = good(TWO);
	char *x = printed(a), *y;
	struct cfg *b = good(x);
	struct cfg_change ch[4];

	y = printed(b);
	ck_assert_str_eq(x, y);
	ck_assert_uint_eq(cfg_diff(a, b, ch, 4), 0);
	ck_assert_ptr_nonnull(strstr(x, "\"web\",\n"));
	free(x);
	free(y);
	cfg_free(a);
	cfg_free(b);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("all");
	Suite *s = suite_create("cfg_track");

	tcase_add_test(tc, is_built);
	tcase_add_test(tc, details);
	tcase_add_test(tc, is_refused);
	tcase_add_test(tc, is_warned_of);
	tcase_add_test(tc, a_reload_sees);
	tcase_add_test(tc, own_link);
	tcase_add_test(tc, is_the_same_thing);
	tcase_add_test(tc, round_trip);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
