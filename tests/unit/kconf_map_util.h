/*
 * Purpose: small files of keepalived.conf around one line, and values of the tree that they give, for tests.
 * Owns:    struct mapped owns its tree and messages until map_done.
 * Thread:  the test's.
 * In/Out:  texts in, values by their path ("vrrp.instances[0].vrid") out; texts are static storage.
 * Errors:  a text that does not fit fails the test.
 */
#ifndef KT_TEST_KCONF_MAP_UTIL_H
#define KT_TEST_KCONF_MAP_UTIL_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/dropin/kconf_map.h"
#include "daemon/dropin/kconf_words.h"

struct mapped {
	struct cfg_tree *t;
	struct cfg_errors errs;
};

static inline struct mapped map_text(const char *text)
{
	const struct kconf_opts o = { .config_id = "id", .blocks = kword_blocks() };
	struct mapped m = { NULL, { 0 } };

	m.t = kconf_tree_text(text, "t.conf", &o, &m.errs);
	ck_assert_msg(m.t != NULL, "nothing was read of:\n%s", text);
	return m;
}

static inline void map_done(struct mapped *m)
{
	cfg_tree_free(m->t);
	cfg_errors_free(&m->errs);
}

/* Every message, the grave ones first, one to a line. */
static inline const char *map_said(const struct cfg_errors *errs)
{
	static char buf[1 << 14];
	size_t n = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < errs->n && n < sizeof(buf); i++)
		n += (size_t)snprintf(buf + n, sizeof(buf) - n, "E: %s\n", errs->list[i].text);
	for (unsigned i = 0; i < errs->n_warnings && n < sizeof(buf); i++)
		n += (size_t)snprintf(buf + n, sizeof(buf) - n, "W: %s\n", errs->warnings[i].text);
	for (unsigned i = 0; i < errs->n_missing && n < sizeof(buf); i++)
		n += (size_t)snprintf(buf + n, sizeof(buf) - n, "M: %s\n", errs->missing[i].text);
	for (unsigned i = 0; i < errs->n_notes && n < sizeof(buf); i++)
		n += (size_t)snprintf(buf + n, sizeof(buf) - n, "N: %s\n", errs->notes[i].text);
	return buf;
}

/* The value at a path; NULL: a record on the way is not there. */
static inline const struct cfg_val *map_val(const struct cfg_tree *t, const char *path)
{
	const struct cfg_rec *r = &t->root;
	char key[64];

	for (;;) {
		size_t n = strcspn(path, ".[");
		unsigned i = 0;
		snprintf(key, sizeof(key), "%.*s", (int)n, path);
		const struct cfg_val *v = cfg_rec_val(r, key);
		path += n;
		if (!*path)
			return v;
		if (*path == '[') {
			i = (unsigned)strtoul(path + 1, NULL, 10);
			path = strchr(path, ']') + 1;
		}
		if (i >= v->n)
			return NULL;
		r = &v->recs[i];
		path += *path == '.';
	}
}

static inline const char *map_value(const struct cfg_val *v)
{
	static char buf[1024];
	FILE *f = fmemopen(buf, sizeof(buf), "w");

	cfg_val_print(v, f);
	fclose(f);
	return buf;
}

/* The value at a path as it is printed. */
static inline const char *map_at(const struct mapped *m, const char *path)
{
	const struct cfg_val *v = map_val(m->t, path);

	return v ? map_value(v) : "absent";
}

/* `rest` unless it is what the line is about. */
static inline const char *map_unless(const char *word, const char *other, const char *rest)
{
	return strcmp(word, other) == 0 ? "" : rest;
}

/* A file whose line 4 is text, in a block of its kind. */
static inline struct mapped map_line(enum kword_in in, const char *word, const char *text)
{
	static const char *const head[KIN_N] = {
		[KIN_GLOBAL] = "global_defs {\n",       [KIN_INSTANCE] = "vrrp_instance V1 {\n",
		[KIN_AUTH] = "vrrp_instance V1 {\n",    [KIN_GROUP] = "vrrp_sync_group G1 {\n",
		[KIN_SCRIPT] = "vrrp_script S1 {\n",    [KIN_FILE] = "track_file F1 {\n",
		[KIN_GARP] = "garp_group {\n",          [KIN_PROCESS] = "vrrp_track_process P1 {\n",
		[KIN_BFD] = "bfd_instance B1 {\n",      [KIN_HMAC] = "auth_hmac {\n",
		[KIN_TRACKGROUP] = "track_group T1 {\n"
	};
	static char buf[4096];
	bool inst = in == KIN_INSTANCE || in == KIN_AUTH;
	int n = snprintf(buf, sizeof(buf), "!\n!\n%s%s\n", head[in] ? head[in] : "!\n", text);
#define MORE(...) n += snprintf(buf + n, sizeof(buf) - (size_t)n, __VA_ARGS__)
	if (in == KIN_GLOBAL) {
		MORE("%s", map_unless(word, "notification_email", "notification_email { a@b.c }\n"));
		MORE("%s", map_unless(word, "notify_fifo", "notify_fifo /tmp/f1\n"));
		MORE("%s", map_unless(word, "vrrp_notify_fifo", "vrrp_notify_fifo /tmp/f2\n"));
	}
	if (in == KIN_GROUP)
		MORE("%s", map_unless(word, "group", "group {\nV1\n}\n"));
	if (in == KIN_GARP)
		MORE("interface a0\n");
	if (in == KIN_SCRIPT)
		MORE("%s", map_unless(word, "script", "script /bin/true\n"));
	if (in == KIN_FILE)
		MORE("%s", map_unless(word, "file", "file /tmp/f\n"));
	if (in == KIN_PROCESS)
		MORE("%s", map_unless(word, "process", "process x\n"));
	if (head[in] && !inst)
		MORE("}\n");
	if (!inst)
		MORE("vrrp_instance V1 {\n");
	MORE("%s%s%s}\n", map_unless(word, inst ? "interface" : "", "interface a0\n"),
	     map_unless(word, "virtual_router_id", "virtual_router_id 7\n"),
	     map_unless(word, "virtual_ipaddress", "virtual_ipaddress {\n10.0.0.5/24\n}\n"));
	MORE("%s", in == KIN_SCRIPT ? "" : "vrrp_script S1 {\nscript /bin/true\n}\n");
	MORE("%s", in == KIN_FILE ? "" : "track_file F1 {\nfile /tmp/f\n}\n");
	MORE("%s", in == KIN_PROCESS ? "" : "vrrp_track_process P1 {\nprocess x\n}\n");
#undef MORE
	ck_assert_int_lt(n, (int)sizeof(buf));
	return map_text(buf);
}

#endif
