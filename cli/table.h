/*
 * Purpose: a table of texts with column widths that fit, for the shell.
 * Owns:    its cells until table_end.
 * Thread:  the shell's only one.
 * In:      column heads, rows.   Out: text.
 * Errors:  without memory the process ends.
 */
#ifndef KT_CLI_TABLE_H
#define KT_CLI_TABLE_H

#include <stdio.h>

#define TABLE_COLS_MAX 12

struct table {
	unsigned n_cols, n_rows;
	const char *head[TABLE_COLS_MAX]; /* a leading '>' aligns the column to the right */
	char *(*rows)[TABLE_COLS_MAX];
	unsigned at; /* next column of the last row */
};

#define TABLE_HEADS(...) ((const char *const[]){ __VA_ARGS__, NULL })
/* Heads of static storage, made with TABLE_HEADS. */
void table_begin(struct table *t, const char *const *heads);
/* Adds a cell; a full row begins the next one. */
void table_cell(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Prints heads, a rule and the rows, and frees the cells. */
void table_end(struct table *t, FILE *out);

#endif
