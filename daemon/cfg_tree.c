/* Configuration trees and the messages about them. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/mono.h"
#include "daemon/base/require.h"
#include "daemon/cfg_tree.h"

#define ERRORS_MAX 500 /* the rest of a hopeless file is summed up in one line */

static void *grow(void *old, size_t n, size_t size)
{
	void *p = realloc(old, n * size);

	require(p);
	return p;
}

static char *copy(const char *s)
{
	char *p = strdup(s);

	require(p);
	return p;
}

static void rec_init(struct cfg_rec *r, int section, const struct cfg_rec *up, struct cfg_pos at);

static void val_init(struct cfg_val *v, unsigned row, const struct cfg_rec *up)
{
	*v = (struct cfg_val){ .key = cfg_schema_row(row), .row = row };
	if (v->key->type == CFG_T_BLOCK && !(v->key->flags & CFG_F_OPTIONAL)) {
		cfg_val_make(v, up, 1, (struct cfg_pos){ NULL, 0 });
	} else if (v->key->def && !cfg_schema_num(v->key, v->key->def, &v->num)) {
		v->text = copy(v->key->def);
	}
}

static void rec_init(struct cfg_rec *r, int section, const struct cfg_rec *up, struct cfg_pos at)
{
	unsigned n = 0;

	for (int row = cfg_schema_child_next(section, -1); row >= 0; row = cfg_schema_child_next(section, row))
		n++;
	*r = (struct cfg_rec){ .section = section, .at = at, .n_vals = n, .up = up };
	r->vals = grow(NULL, n, sizeof(*r->vals));
	n = 0;
	for (int row = cfg_schema_child_next(section, -1); row >= 0; row = cfg_schema_child_next(section, row))
		val_init(&r->vals[n++], (unsigned)row, r);
}

static void rec_free(struct cfg_rec *r)
{
	for (unsigned i = 0; i < r->n_vals; i++) {
		struct cfg_val *v = &r->vals[i];
		for (unsigned j = 0; v->items && j < v->n; j++)
			free(v->items[j].text);
		for (unsigned j = 0; v->recs && j < v->n; j++)
			rec_free(&v->recs[j]);
		free(v->items);
		free(v->recs);
		free(v->text);
	}
	free(r->vals);
}

struct cfg_tree *cfg_tree_new(const char *file)
{
	struct cfg_tree *t = grow(NULL, 1, sizeof(*t));

	*t = (struct cfg_tree){ .file = copy(file) };
	rec_init(&t->root, -1, NULL, (struct cfg_pos){ t->file, 1 });
	return t;
}

void cfg_tree_free(struct cfg_tree *t)
{
	if (!t)
		return;
	rec_free(&t->root);
	for (unsigned i = 0; i < t->n_files; i++)
		free(t->files[i]);
	free(t->files);
	free(t->file);
	free(t);
}

const char *cfg_tree_file(struct cfg_tree *t, const char *name)
{
	if (!name || strcmp(name, t->file) == 0)
		return t->file;
	for (unsigned i = 0; i < t->n_files; i++) {
		if (strcmp(t->files[i], name) == 0)
			return t->files[i];
	}
	t->files = grow(t->files, t->n_files + 1, sizeof(*t->files));
	t->files[t->n_files] = copy(name);
	return t->files[t->n_files++];
}

struct cfg_val *cfg_rec_val(const struct cfg_rec *r, const char *name)
{
	for (unsigned i = 0; i < r->n_vals; i++) {
		const char *is = cfg_schema_name(r->vals[i].row);
		if (is[0] == name[0] && strcmp(is, name) == 0)
			return &r->vals[i];
	}
	require(!"a key that the section does not have");
	return NULL;
}

const char *cfg_rec_text(const struct cfg_rec *r, const char *name)
{
	const struct cfg_val *v = cfg_rec_val(r, name);

	return v->bad ? NULL : v->text;
}

const struct cfg_val *cfg_section_val(const struct cfg_tree *t, const char *section, const char *name)
{
	const struct cfg_val *s = cfg_rec_val(&t->root, section);

	return s->n ? cfg_rec_val(&s->recs[0], name) : NULL;
}

void cfg_val_make(struct cfg_val *v, const struct cfg_rec *up, unsigned n, struct cfg_pos at)
{
	for (unsigned i = 0; i < v->n; i++)
		rec_free(&v->recs[i]);
	free(v->recs);
	v->recs = n ? grow(NULL, n, sizeof(*v->recs)) : NULL;
	v->n = n;
	for (unsigned i = 0; i < n; i++)
		rec_init(&v->recs[i], (int)v->row, up, at);
}

/* Records below a record point up to it, so they follow when it moves. */
static void rec_moved(struct cfg_rec *r)
{
	for (unsigned i = 0; i < r->n_vals; i++)
		for (unsigned j = 0; r->vals[i].recs && j < r->vals[i].n; j++)
			r->vals[i].recs[j].up = r;
}

struct cfg_rec *cfg_val_push(struct cfg_val *v, const struct cfg_rec *up, struct cfg_pos at)
{
	if ((v->n & (v->n - 1)) == 0) { /* room doubles at each power of two */
		v->recs = grow(v->recs, v->n ? 2 * (size_t)v->n : 1, sizeof(*v->recs));
		for (unsigned i = 0; i < v->n; i++)
			rec_moved(&v->recs[i]);
	}
	rec_init(&v->recs[v->n], (int)v->row, up, at);
	return &v->recs[v->n++];
}

void cfg_val_pop(struct cfg_val *v)
{
	rec_free(&v->recs[--v->n]);
}

void cfg_val_add_item(struct cfg_val *v, const char *text, struct cfg_pos at)
{
	v->items = grow(v->items, v->n + 1, sizeof(*v->items));
	v->items[v->n++] = (struct cfg_item){ .at = at, .text = copy(text) };
}

void cfg_val_set_text(struct cfg_val *v, const char *text)
{
	char *p = copy(text);

	free(v->text);
	v->text = p;
}

/* ---- names ---- */

struct named {
	const char *name;
	unsigned at;
};

struct cfg_names {
	unsigned n;
	struct named e[];
};

static int named_cmp(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int d = strcmp(x->name, y->name);

	return d ? d : x->at < y->at ? -1 : x->at > y->at;
}

struct cfg_names *cfg_names_new(const struct cfg_val *list)
{
	unsigned all = list ? list->n : 0;
	struct cfg_names *n = grow(NULL, 1, sizeof(*n) + all * sizeof(n->e[0]));

	n->n = 0;
	for (unsigned i = 0; i < all; i++) {
		const char *name = cfg_rec_text(&list->recs[i], "name");
		if (name)
			n->e[n->n++] = (struct named){ name, i };
	}
	qsort(n->e, n->n, sizeof(n->e[0]), named_cmp);
	return n;
}

int cfg_names_find(const struct cfg_names *n, const char *name)
{
	unsigned low = 0, high = n->n;

	while (low < high) {
		unsigned mid = (low + high) / 2;
		if (strcmp(n->e[mid].name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < n->n && strcmp(n->e[low].name, name) == 0 ? (int)n->e[low].at : -1;
}

void cfg_names_free(struct cfg_names *n)
{
	free(n);
}

/* ---- messages ---- */

/* "[lan]" or "[2]" behind the name of the list that holds r. */
static void rec_index(const struct cfg_rec *r, char *buf, size_t size)
{
	const struct cfg_val *first = NULL;
	const struct cfg_val *list = cfg_rec_val(r->up, cfg_schema_name((unsigned)r->section));

	for (unsigned i = 0; i < r->n_vals; i++) {
		if (strcmp(cfg_schema_name(r->vals[i].row), "name") == 0)
			first = &r->vals[i];
	}
	if (first && first->text && first->given)
		snprintf(buf, size, "[%s]", first->text);
	else
		snprintf(buf, size, "[%u]", (unsigned)(r - list->recs));
}

char *cfg_val_path(const struct cfg_rec *r, const char *name, char *buf, size_t size)
{
	char up[200], index[72] = "";

	if (r->section < 0) {
		snprintf(buf, size, "%s", name ? name : "");
		return buf;
	}
	cfg_val_path(r->up, cfg_schema_name((unsigned)r->section), up, sizeof(up));
	if (cfg_schema_row((unsigned)r->section)->type == CFG_T_RECORDS)
		rec_index(r, index, sizeof(index));
	snprintf(buf, size, "%s%s%s%s", up, index, name ? "." : "", name ? name : "");
	return buf;
}

static void errors_put(struct cfg_errors *errs, enum cfg_grade grade, const char *text)
{
	struct cfg_error **const lists[] = { &errs->list, &errs->warnings, &errs->missing, &errs->notes };
	unsigned *const counts[] = { &errs->n, &errs->n_warnings, &errs->n_missing, &errs->n_notes };
	struct cfg_error **list = lists[grade];
	unsigned *n = counts[grade];

	if (*n > ERRORS_MAX)
		return;
	*list = grow(*list, *n + 1, sizeof(**list));
	snprintf((*list)[*n].text, sizeof((*list)[*n].text), "%s",
		 *n == ERRORS_MAX ? "there are more messages; these must be dealt with first" : text);
	(*n)++;
}

void cfg_errors_add(struct cfg_errors *errs, enum cfg_grade grade, const char *fmt, ...)
{
	char text[sizeof(((struct cfg_error *)NULL)->text)];
	va_list ap;

	if (!errs)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	errors_put(errs, grade, text);
}

void cfg_errors_free(struct cfg_errors *errs)
{
	free(errs->list);
	free(errs->warnings);
	free(errs->missing);
	free(errs->notes);
	*errs = (struct cfg_errors){ 0 };
}

/* " = value" for messages, or nothing for what was not written. */
static void value_text(const struct cfg_val *v, char *buf, size_t size)
{
	char num[40];

	buf[0] = '\0';
	if (!v->given || v->recs || v->items)
		return;
	switch (v->key->type) {
	case CFG_T_BOOL:
		snprintf(buf, size, " = %s", v->num ? "true" : "false");
		return;
	case CFG_T_INT:
		snprintf(buf, size, " = %lld", (long long)v->num);
		return;
	case CFG_T_TIME:
		snprintf(buf, size, " = %s", cfg_time_text(v->num, num, sizeof(num)));
		return;
	case CFG_T_WORD:
		snprintf(buf, size, " = \"%s\"", v->key->words[v->num]);
		return;
	case CFG_T_NAME:
	case CFG_T_IFNAME:
	case CFG_T_TEXT:
	case CFG_T_PATH:
	case CFG_T_ADDR:
	case CFG_T_PREFIX:
		snprintf(buf, size, " = \"%.100s\"", v->text ? v->text : "");
		return;
	case CFG_T_BLOCK:
	case CFG_T_RECORDS:
	case CFG_T_NAMES:
	case CFG_T_ADDRS:
	case CFG_T_WORDS:
	case CFG_T_ARGV:
		return;
	}
}

void cfg_complain(struct cfg_errors *errs, enum cfg_grade grade, const struct cfg_tree *t, const struct cfg_rec *r,
		  const char *name, const char *fmt, ...)
{
	char path[220], value[140] = "", what[300];
	struct cfg_pos at = r->at;
	va_list ap;

	if (name) {
		const struct cfg_val *v = cfg_rec_val(r, name);
		if (v->given)
			at = v->at;
		value_text(v, value, sizeof(value));
	}
	for (const struct cfg_rec *up = r->up; !at.line && up; up = up->up)
		at = up->at;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	cfg_errors_add(errs, grade, "%s:%u: %s%s: %s", at.file ? at.file : t->file, at.line,
		       cfg_val_path(r, name, path, sizeof(path)), value, what);
}

void cfg_complain_item(struct cfg_errors *errs, const struct cfg_rec *r, const char *name, unsigned i, const char *fmt,
		       ...)
{
	const struct cfg_item *item = &cfg_rec_val(r, name)->items[i];
	char path[220], what[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	cfg_errors_add(errs, CFG_ERROR, "%s:%u: %s = \"%.100s\": %s", item->at.file, item->at.line,
		       cfg_val_path(r, name, path, sizeof(path)), item->text, what);
}
