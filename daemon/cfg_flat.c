/*
 * The shared part of a configuration as lines that can be compared key by key: "conf.vrrp.instances[lan].vrid=10". It is
 * made once, when the model is built, because the tree may be large and CONTROL must not walk it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/cfg_tree.h"

enum { FLAT_VALUE_MAX = 300, FLAT_PATH_MAX = 150, FLAT_NAMED_MAX = 256 };

static uint64_t hash(const char *p, size_t n)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a: to tell texts apart, not against anybody */
	for (size_t i = 0; i < n; i++)
		h = (h ^ (uint8_t)p[i]) * UINT64_C(0x100000001b3);
	return h;
}

/* Nobody who may look needs to see these. */
static bool is_secret(const struct cfg_val *v)
{
	return strcmp(cfg_schema_name(v->row), "auth_pass") == 0;
}

static void flat_value(const char *path, const struct cfg_val *v, FILE *out)
{
	char *text = NULL;
	size_t n = 0;
	if (is_secret(v)) {
		fprintf(out, "%s=(not shown)\n", path);
		return;
	}
	FILE *f = open_memstream(&text, &n);
	require(f);
	cfg_val_print(v, f);
	require(fclose(f) == 0 && text);
	if (n > FLAT_VALUE_MAX)
		fprintf(out, "%s=(%u items, hash %016" PRIx64 ")\n", path, v->n, hash(text, n));
	else
		fprintf(out, "%s=%s\n", path, text);
	free(text);
}

static void flat_rec(const char *path, const struct cfg_rec *r, FILE *out);

/* What may stand in brackets of a key. */
static bool is_plain(const char *text)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:/";
	size_t n = strspn(text, good);
	return n > 0 && n < 48 && text[n] == '\0';
}

/* The text that names a record among those of its list: its name, or its first key. NULL: there is none. */
static const char *name_of(const struct cfg_rec *r)
{
	const struct cfg_val *first = NULL;
	for (unsigned i = 0; i < r->n_vals; i++) {
		const struct cfg_val *v = &r->vals[i];
		if (v->text && v->given && (!first || strcmp(cfg_schema_name(v->row), "name") == 0))
			first = v;
	}
	return first && is_plain(first->text) ? first->text : NULL;
}

/* Two of the same name would be one key. */
static bool is_unique(const struct cfg_val *list, unsigned n, const char *name)
{
	for (unsigned i = 0; i < list->n; i++) {
		const char *other = i == n ? NULL : name_of(&list->recs[i]);
		if (other && strcmp(other, name) == 0)
			return false;
	}
	return true;
}

static void flat_records(const char *path, const struct cfg_val *list, FILE *out)
{
	char rec[FLAT_PATH_MAX + 64];
	bool named = cfg_schema_child((int)list->row, "name") >= 0;
	for (unsigned i = 0; i < list->n; i++) {
		const char *name = name_of(&list->recs[i]);
		/* Names are unique by the check; of very long lists looking for twins would take its time. */
		if (name && (named || (list->n <= FLAT_NAMED_MAX && is_unique(list, i, name))))
			snprintf(rec, sizeof(rec), "%s[%s]", path, name);
		else
			snprintf(rec, sizeof(rec), "%s[%u]", path, i);
		flat_rec(rec, &list->recs[i], out);
	}
}

static void flat_val(const char *up, const struct cfg_val *v, FILE *out)
{
	char path[FLAT_PATH_MAX + 64];
	if ((v->key->flags & CFG_F_OPTIONAL) && !v->given)
		return;
	if (strcmp(cfg_schema_name(v->row), "notify") == 0)
		return; /* whom a node tells is its own business */
	snprintf(path, sizeof(path), "%s.%s", up, cfg_schema_name(v->row));
	if (strlen(path) >= FLAT_PATH_MAX) /* names of 31 bytes in two lists stay below */
		snprintf(path, sizeof(path), "conf.long.%016" PRIx64, hash(path, strlen(path)));
	if (v->key->type == CFG_T_BLOCK && v->n)
		flat_rec(path, &v->recs[0], out);
	else if (v->key->type == CFG_T_RECORDS && !v->num)
		flat_records(path, v, out);
	else if (v->key->type != CFG_T_BLOCK)
		flat_value(path, v, out);
}

static void flat_rec(const char *path, const struct cfg_rec *r, FILE *out)
{
	for (unsigned i = 0; i < r->n_vals; i++)
		flat_val(path, &r->vals[i], out);
}

/* Length of the part of a line that names its first record: "conf.vrrp.instances[lan]"; without one the whole key. */
static size_t record_len(const char *line)
{
	size_t key = strcspn(line, "="), rec = strcspn(line, "]");
	return rec < key ? rec + 1 : key;
}

/* One line for each record that stands in a list; lines of the same record follow each other. */
static char *by_record(const char *text, size_t *n)
{
	char *short_text = NULL;
	FILE *f = open_memstream(&short_text, n);
	require(f);
	while (*text) {
		size_t len = record_len(text), end = strcspn(text, "\n") + 1;
		if (text[len] != '=') {
			while (strncmp(text + end, text, len) == 0 && text[end + len] == '.')
				end += strcspn(text + end, "\n") + 1;
			fprintf(f, "%.*s=(hash %016" PRIx64 ")\n", (int)len, text, hash(text, end));
		} else {
			fwrite(text, 1, end, f);
		}
		text += end;
	}
	require(fclose(f) == 0 && short_text);
	return short_text;
}

char *cfg_flat(const struct cfg_tree *t)
{
	static const char *const shared[] = { "cluster", "nodes", "channel", "vrrp", "sync", "ipsec", "hooks" };
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	require(f);
	for (unsigned i = 0; i < sizeof(shared) / sizeof(shared[0]); i++)
		flat_val("conf", cfg_rec_val(&t->root, shared[i]), f);
	require(fclose(f) == 0 && text);
	if (n > CFG_FLAT_MAX) {
		char *short_text = by_record(text, &n);
		free(text);
		text = short_text;
	}
	if (n > CFG_FLAT_MAX) {
		free(text);
		text = strdup("conf.more=1\n");
		require(text);
	}
	return text;
}
