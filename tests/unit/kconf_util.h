/*
 * Purpose: a tree of keepalived.conf statements as one line of text, for the tests of its reader.
 * Owns:    nothing.
 * Thread:  the test's.
 * In/Out:  "[a|b]" is a statement, "[a{[c]}]" one with a block; shown() is static storage.
 * Errors:  a text that does not fit fails the test.
 */
#ifndef KT_TEST_KCONF_UTIL_H
#define KT_TEST_KCONF_UTIL_H

#include <check.h>
#include <stdio.h>
#include <string.h>
#include "daemon/dropin/kconf_lex.h"

static inline void show_stmts(const struct kconf_stmt *s, char *buf, size_t size)
{
	for (; s; s = s->next) {
		size_t n = strlen(buf);
		for (unsigned i = 0; i < s->n_words; i++) {
			n += (size_t)snprintf(buf + n, size - n, "%s%s", i ? "|" : "[", s->words[i]);
			ck_assert_uint_lt(n, size);
		}
		if (s->block) {
			snprintf(buf + n, size - n, "{");
			show_stmts(s->subs, buf, size);
			n = strlen(buf);
			snprintf(buf + n, size - n, "}");
		}
		n = strlen(buf);
		ck_assert_uint_lt(n + 2, size);
		snprintf(buf + n, size - n, "]");
	}
}

static inline const char *shown(const struct kconf *k)
{
	static char buf[1 << 16];

	buf[0] = '\0';
	if (k)
		show_stmts(k->subs, buf, sizeof(buf));
	return buf;
}

/* All messages, errors first: "E: ...\n" and "W: ...\n". Static storage. */
static inline const char *messages(const struct cfg_errors *errs)
{
	static char buf[1 << 15];
	size_t n = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < errs->n && n < sizeof(buf); i++)
		n += (size_t)snprintf(buf + n, sizeof(buf) - n, "E: %s\n", errs->list[i].text);
	for (unsigned i = 0; i < errs->n_warnings && n < sizeof(buf); i++)
		n += (size_t)snprintf(buf + n, sizeof(buf) - n, "W: %s\n", errs->warnings[i].text);
	return buf;
}

#endif
