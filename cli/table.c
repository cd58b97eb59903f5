/* Tables of text. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "cli/table.h"

static void *must(void *p)
{
	if (!p) {
		fputs("% out of memory\n", stderr);
		exit(1);
	}
	return p;
}

void table_begin(struct table *t, const char *const *heads)
{
	*t = (struct table){ 0 };
	for (; *heads && t->n_cols < TABLE_COLS_MAX; heads++)
		t->head[t->n_cols++] = *heads;
	t->at = t->n_cols;
}

void table_cell(struct table *t, const char *fmt, ...)
{
	va_list ap;
	char *text = NULL;

	if (t->at == t->n_cols) {
		t->rows = must(realloc(t->rows, (t->n_rows + 1) * sizeof(*t->rows)));
		memset(t->rows[t->n_rows++], 0, sizeof(*t->rows));
		t->at = 0;
	}
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	t->rows[t->n_rows - 1][t->at++] = must(text);
}

/* Columns on a screen: bytes that begin a UTF-8 character. */
static size_t width(const char *s)
{
	size_t n = 0;

	for (; s && *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static void print_row(const struct table *t, const size_t *w, const char *const *cells, FILE *out)
{
	for (unsigned i = 0; i < t->n_cols; i++) {
		const char *s = cells[i] ? cells[i] : "";
		int pad = (int)(w[i] - width(s));
		if (t->head[i][0] == '>')
			fprintf(out, "%*s%s", pad, "", s);
		else
			fprintf(out, "%s%*s", s, i + 1 < t->n_cols ? pad : 0, "");
		fputs(i + 1 < t->n_cols ? "  " : "\n", out);
	}
}

void table_end(struct table *t, FILE *out)
{
	size_t w[TABLE_COLS_MAX];
	const char *heads[TABLE_COLS_MAX];

	for (unsigned i = 0; i < t->n_cols; i++) {
		heads[i] = t->head[i] + (t->head[i][0] == '>');
		w[i] = width(heads[i]);
		for (unsigned r = 0; r < t->n_rows; r++)
			w[i] = width(t->rows[r][i]) > w[i] ? width(t->rows[r][i]) : w[i];
	}
	print_row(t, w, heads, out);
	for (unsigned i = 0; i < t->n_cols; i++) {
		for (size_t k = 0; k < w[i]; k++)
			fputc('-', out);
		fputs(i + 1 < t->n_cols ? "  " : "\n", out);
	}
	for (unsigned r = 0; r < t->n_rows; r++) {
		print_row(t, w, (const char *const *)t->rows[r], out);
		for (unsigned i = 0; i < t->n_cols; i++)
			free(t->rows[r][i]);
	}
	free(t->rows);
	*t = (struct table){ 0 };
}
