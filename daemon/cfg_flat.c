/*
 * The shared part of a configuration as lines that can be compared key by key: "conf.vrrp.instances[lan].vrid=10". It is
 * made once, when the model is built, because the tree may be large and CONTROL must not walk it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/cfg_tree.h"

enum { FLAT_VALUE_MAX = 300, FLAT_PATH_MAX = 150 };

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

static void flat_rec(const struct cfg_rec *r, FILE *out);

static void flat_val(const struct cfg_rec *r, const struct cfg_val *v, FILE *out)
{
	char path[220], line[240];
	if ((v->key->flags & CFG_F_OPTIONAL) && !v->given)
		return;
	if (v->key->type == CFG_T_BLOCK || v->key->type == CFG_T_RECORDS) {
		for (unsigned i = 0; i < v->n; i++)
			flat_rec(&v->recs[i], out);
		return;
	}
	cfg_val_path(r, cfg_schema_name(v->row), path, sizeof(path));
	if (strlen(path) > FLAT_PATH_MAX) /* names of 31 bytes in two lists stay far below */
		snprintf(path, sizeof(path), "long.%016" PRIx64, hash(path, strlen(path)));
	snprintf(line, sizeof(line), "conf.%s", path);
	flat_value(line, v, out);
}

static void flat_rec(const struct cfg_rec *r, FILE *out)
{
	for (unsigned i = 0; i < r->n_vals; i++)
		flat_val(r, &r->vals[i], out);
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
		flat_val(&t->root, cfg_rec_val(&t->root, shared[i]), f);
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
