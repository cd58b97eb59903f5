/* `notify`: what is refused, what the model has, what a reload sees of it, and what the nodes do not compare. */
#include "daemon/base/mono.h"
#include "daemon/cfg_tree.h"
#include "tests/unit/cfg_util.h"

#define TOLD                                                                                          \
	"vrrp = { instances = ( { name = \"lan\"; interface = \"lan0\"; vrid = 10;\n"                 \
	"virtual_addresses = ( \"10.0.1.1/24\" );\n"                                                  \
	"notify = { master = { exec = ( \"/m\", \"a b\" ); user = \"u\"; group = \"g\"; };\n"         \
	"all = { exec = ( \"/x\" ); }; mail = true; priority_changes = true; }; }, " WAN " );\n"      \
	"groups = ( { name = \"edge\"; members = ( \"lan\", \"wan\" ); notify = { stop = { exec = ( " \
	"\"/s\" ); }; tell_deleted = true; }; } ); };\n"                                              \
	"notify = { user = \"who\"; script_security = true; timeout = 5; states_on_reload = true;\n"  \
	"fifo = { path = \"/run/f\"; user = \"fu\"; reader = { exec = ( \"/r\", \"1\" ); }; };\n"     \
	"vrrp_fifo = { path = \"/run/v\"; };\n"                                                       \
	"mail = { to = ( \"a@b\", \"c@d\" ); from = \"f@g\"; router = \"R\"; faults = false; }; };\n"

START_TEST(the_model_has_what_was_written)
{
	struct cfg *c = good(TOLD);
	const struct notify_cfg *n = &c->notify;
	const struct notify_script *m = &n->inst[0].script[NOTIFY_MASTER];

	ck_assert(n->used);
	ck_assert_uint_eq(m->argc, 2);
	ck_assert_str_eq(m->argv[0], "/m");
	ck_assert_str_eq(m->argv[1], "a b");
	ck_assert_ptr_null(m->argv[2]);
	ck_assert_str_eq(m->user, "u");
	ck_assert_str_eq(m->group, "g");
	ck_assert_str_eq(n->inst[0].script[NOTIFY_ALL].argv[0], "/x");
	ck_assert_ptr_null(n->inst[0].script[NOTIFY_FAULT].argv);
	ck_assert(n->inst[0].mail && n->inst[0].priority_changes && !n->inst[0].tell_deleted);
	ck_assert(!n->inst[1].script && !n->inst[1].mail && !n->inst[1].priority_changes);
	ck_assert_uint_eq(n->n_groups, 1);
	ck_assert_str_eq(n->group_of[0].script[NOTIFY_STOP].argv[0], "/s");
	ck_assert(n->group_of[0].tell_deleted && !n->group_of[0].mail);
	ck_assert_str_eq(n->user, "who");
	ck_assert_ptr_null(n->group);
	ck_assert(n->security && n->states_on_reload);
	ck_assert_int_eq(n->timeout_ns, 5 * NS_PER_SEC);
	ck_assert_str_eq(n->fifo[NOTIFY_FIFO_ALL].path, "/run/f");
	ck_assert_str_eq(n->fifo[NOTIFY_FIFO_ALL].user, "fu");
	ck_assert_str_eq(n->fifo[NOTIFY_FIFO_ALL].reader.argv[1], "1");
	ck_assert_str_eq(n->fifo[NOTIFY_FIFO_VRRP].path, "/run/v");
	ck_assert_ptr_null(n->fifo[NOTIFY_FIFO_VRRP].reader.argv);
	ck_assert_uint_eq(n->mail.n_to, 2);
	ck_assert_str_eq(n->mail.to[1], "c@d");
	ck_assert_str_eq(n->mail.sendmail, "/usr/sbin/sendmail");
	ck_assert(!n->mail.faults);
	cfg_free(c);
	/* always counts for whoever does not say otherwise */
	c = good(
	    with(TOLD, "mail = true; priority_changes = true; }; }, " WAN " );\n", "mail = false; }; }, " WAN " );\n"));
	ck_assert(!c->notify.inst[0].mail);
	cfg_free(c);
	c = good(with(TOLD, "router = ", "always = true; router = "));
	ck_assert(c->notify.inst[0].mail && c->notify.inst[1].mail && c->notify.group_of[0].mail);
	cfg_free(c);
	/* a program for the deletion is the word for it */
	c = good(with(TOLD, "all = {", "deleted = { exec = ( \"/d\" ); }; all = {"));
	ck_assert(c->notify.inst[0].tell_deleted);
	cfg_free(c);
	c = good(VRRP);
	ck_assert(!c->notify.used);
	ck_assert_int_eq(c->notify.timeout_ns, 60 * NS_PER_SEC);
	cfg_free(c);
}
END_TEST

START_TEST(one_mistake_one_message)
{
	static const struct {
		const char *from, *to, *begin, *word;
	} t[] = {
		{ "\"/x\"", "\"x\"", "test.conf:4: vrrp.instances[lan].notify.all.exec = \"x\"", "absolute path" },
		{ "user = \"u\"; ", "", "test.conf:3: vrrp.instances[lan].notify.master.group = \"g\"",
		  "needs a user" },
		{ "\"/s\"", "\"s\"", "test.conf:5: vrrp.groups[edge].notify.stop.exec = \"s\"", "absolute path" },
		{ "stop = {", "lower_priority = {", "test.conf:5: vrrp.groups[edge].notify.lower_priority", "" },
		{ "\"/run/v\"", "\"/run/f\"", "test.conf:8: notify.vrrp_fifo.path = \"/run/f\"", "twice" },
		{ "user = \"fu\";", "group = \"fu\";", "test.conf:7: notify.fifo.group = \"fu\"", "needs a user" },
		{ "user = \"who\";", "group = \"who\";", "test.conf:6: notify.group = \"who\"", "needs notify.user" },
		{ "\"/r\", ", "", "test.conf:7: notify.fifo.reader.exec = \"1\"", "absolute path" },
		{ "exec = ( \"/m\", \"a b\" ); ", "", "test.conf:3: vrrp.instances[lan].notify.master", "exec" },
		{ "path = \"/run/v\";", "", "test.conf:8: notify.vrrp_fifo", "path" },
		{ "to = ( \"a@b\", \"c@d\" );", "", "test.conf:9: notify.mail", "to" },
		{ "timeout = 5", "timeout = 0", "test.conf:6: notify.timeout = 0", "0.1 to 3600" },
	};

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		refused(with(TOLD, t[i].from, t[i].to), t[i].begin, t[i].word);
}
END_TEST

START_TEST(mail_for_nobody_is_said)
{
	struct cfg_errors errs = { 0 };
	struct cfg *c = cfg_parse("vrrp = { instances = ( { name = \"lan\"; interface = \"lan0\"; vrid = 10; "
				  "virtual_addresses = ( \"10.0.1.1/24\" ); notify = { mail = true; }; } ); };",
				  "test.conf", &errs);

	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(errs.n_warnings, 1);
	ck_assert_ptr_nonnull(
	    strstr(errs.warnings[0].text, "vrrp.instances[lan].notify.mail = true: nobody gets mail"));
	cfg_free(c);
	cfg_errors_free(&errs);
}
END_TEST

START_TEST(a_reload_sees_each_change)
{
	static const char *const t[][2] = {
		{ "\"a b\"", "\"a\"" },
		{ "\"/x\"", "\"/y\"" },
		{ "user = \"u\"; group = \"g\";", "user = \"u\";" },
		{ "user = \"u\"; group = \"g\";", "" },
		{ "mail = true;", "" },
		{ "priority_changes = true;", "" },
		{ "tell_deleted = true;", "" },
		{ "\"/s\"", "\"/t\"" },
		{ "all = { exec = ( \"/x\" ); };", "" },
		{ "user = \"who\"", "user = \"whom\"" },
		{ "script_security = true", "script_security = false" },
		{ "timeout = 5", "timeout = 6" },
		{ "states_on_reload = true", "states_on_reload = false" },
		{ "\"/run/f\"", "\"/run/g\"" },
		{ "user = \"fu\";", "" },
		{ "\"/r\"", "\"/q\"" },
		{ "vrrp_fifo = { path = \"/run/v\"; };", "" },
		{ "\"c@d\"", "\"c@e\"" },
		{ ", \"c@d\"", "" },
		{ "f@g", "f@h" },
		{ "router = \"R\";", "" },
		{ "faults = false", "sendmail = \"/s\"; faults = false" },
		{ "faults = false", "faults = true" },
	};
	struct cfg *a = good(TOLD);

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct cfg *b = good(with(TOLD, t[i][0], t[i][1]));
		struct cfg_change ch[4];
		ck_assert_msg(cfg_diff(a, b, ch, 4) == 1 && ch[0].kind == CFG_NOTIFY_CHANGED, "row %u", i);
		/* Whom a node tells is its own business: nodes need not agree. */
		ck_assert_msg(memcmp(a->digest, b->digest, sizeof(a->digest)) == 0, "row %u", i);
		char *flat_a = cfg_flat(a->tree), *flat_b = cfg_flat(b->tree);
		ck_assert_str_eq(flat_a, flat_b);
		free(flat_a);
		free(flat_b);
		cfg_free(b);
	}
	cfg_free(a);
}
END_TEST

START_TEST(the_canonical_form_reads_back)
{
	struct cfg *a = good(TOLD);
	char *text = printed(a);
	struct cfg *b = good(text);
	struct cfg_change ch[4];

	ck_assert_uint_eq(cfg_diff(a, b, ch, 4), 0);
	free(text);
	cfg_free(a);
	cfg_free(b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cfg_notify");
	TCase *tc = tcase_create("notify");

	tcase_add_test(tc, the_model_has_what_was_written);
	tcase_add_test(tc, one_mistake_one_message);
	tcase_add_test(tc, mail_for_nobody_is_said);
	tcase_add_test(tc, a_reload_sees_each_change);
	tcase_add_test(tc, the_canonical_form_reads_back);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
