/* Shared by the configuration tests: texts, loading them, and looking for messages. */
#ifndef KT_TEST_CFG_UTIL_H
#define KT_TEST_CFG_UTIL_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/cfg.h"
#include "tests/unit/run.h"

#define LAN  "{ name = \"lan\"; interface = \"lan0\"; vrid = 10; virtual_addresses = ( \"10.0.1.1/24\" ); }"
#define WAN  "{ name = \"wan\"; interface = \"wan0\"; vrid = 20; virtual_addresses = ( \"192.0.2.1/24\" ); }"
#define VRRP "vrrp = { instances = ( " LAN ", " WAN " ); };\n"
#define PAIR                                                                        \
	"node = { id = 1; };\ncluster = \"edge\";\n"                                \
	"nodes = ( { id = 1; name = \"fw-a\"; addresses = ( \"10.9.0.1\" ); },\n"   \
	"          { id = 2; name = \"fw-b\"; addresses = ( \"10.9.0.2\" ); } );\n" \
	"channel = { key_file = \"/etc/keeptrackd/cluster.key\"; };\n"

/* The model of a text that must be valid; warnings are ignored. */
static inline struct cfg *good(const char *text)
{
	struct cfg_errors errs = { 0 };
	struct cfg *c = cfg_parse(text, "test.conf", &errs);

	for (unsigned i = 0; i < errs.n; i++)
		fprintf(stderr, "%s\n", errs.list[i].text);
	ck_assert_msg(c != NULL, "refused:\n%s", text);
	ck_assert_uint_eq(errs.n, 0);
	cfg_errors_free(&errs);
	return c;
}

static inline char *printed(const struct cfg *c)
{
	char *buf = NULL;
	size_t len;
	FILE *f = open_memstream(&buf, &len);

	cfg_print(c, f);
	fclose(f);
	return buf;
}

/* Text with one place of it replaced. Static storage. */
static inline const char *with(const char *text, const char *from, const char *to)
{
	static char buf[8192];
	const char *at = strstr(text, from);

	ck_assert_msg(at != NULL, "no '%s' in the text", from);
	snprintf(buf, sizeof(buf), "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	return buf;
}

/* Exactly one error whose text begins with `begin` and contains `word`. */
static inline void refused(const char *text, const char *begin, const char *word)
{
	struct cfg_errors errs = { 0 };
	struct cfg *c = cfg_parse(text, "test.conf", &errs);
	char all[4096] = "";

	for (unsigned i = 0; i < errs.n; i++)
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s\n", errs.list[i].text);
	ck_assert_msg(c == NULL, "accepted:\n%s", text);
	ck_assert_msg(errs.n == 1, "%u errors instead of one for\n%s\n%s", errs.n, text, all);
	ck_assert_msg(strncmp(errs.list[0].text, begin, strlen(begin)) == 0, "'%s' does not begin with '%s'",
		      errs.list[0].text, begin);
	ck_assert_msg(strstr(errs.list[0].text, word) != NULL, "'%s' does not contain '%s'", errs.list[0].text, word);
	cfg_errors_free(&errs);
}

#endif
