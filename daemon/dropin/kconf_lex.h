/*
 * Purpose: the lexical surface of keepalived.conf: text in, a tree of statements out. It knows no keyword.
 * Owns:    struct kconf owns everything that it hands out, until kconf_free.
 * Thread:  any; nothing is shared.
 * In:      files through kconf_read_file (kconf_file.c); texts through kconf_read_text, which opens nothing.
 * Out:     statements: words, and other statements between braces. Comments, `@id` lines, variables, ~SEQ, ~LST and
 *          includes are worked off; every statement knows the file and the line that made it.
 * Errors:  complaints go into struct cfg_errors as "file:line: text (included by file:line)". What keepalived reports
 *          and survives is a warning; what it would get wrong (a truncated, empty or missing file) is an error.
 *          Limits end the reading with an error that names the limit.
 */
#ifndef KT_KCONF_LEX_H
#define KT_KCONF_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/cfg_tree.h"

/* Whose `include` opened a file, innermost first. */
struct kconf_from {
	struct cfg_pos at;
	const struct kconf_from *up; /* NULL: at is in the main file */
};

/* One line of the file, after everything was put in for variables; a brace ends it wherever it stands. */
struct kconf_stmt {
	struct cfg_pos at;             /* belongs to struct kconf */
	const struct kconf_from *from; /* NULL: the main file */
	/* Split at blanks; "a b" is one word without its quotes, ' and \ are letters: what keepalived does for most words. */
	char **words;
	unsigned n_words; /* at least 1 */
	bool block;       /* braces follow, maybe with nothing in between */
	const char *text; /* as written; NULL: no quote and no backslash in it, so that the words are all there is */
	struct kconf_stmt *subs;
	struct kconf_stmt *next;
};

/* Strictness of `include` (global_defs include_check; includer, includem, ... add to it for one line). */
enum kconf_check {
	KCONF_CHECK_READABLE = 1u << 0,
	KCONF_CHECK_MATCH = 1u << 1,
	KCONF_CHECK_WILDCARD = 1u << 2,
	KCONF_CHECK_BRACE = 1u << 3,
	KCONF_CHECK_ALL = 15
};

struct kconf_opts {
	const char *config_id;  /* for @id and ${_INSTANCE}; NULL: the first part of the host name */
	const char *const *env; /* for ${_ENV NAME}; NULL: nothing is set */
	unsigned include_check; /* enum kconf_check; keepalived's option -e sets all */
	uint64_t random_seed;   /* for ${_RANDOM}; 0: the time. `random_seed` in the file goes before it */
	unsigned max_work;      /* lines, variables put in; 0: ten million, which are seconds */
	/* Words that open a block even where its `{` was forgotten, as in keepalived; ends with NULL. May be NULL. */
	const char *const *blocks;
	bool cluster; /* for the map: another file makes the router part of a cluster */
};

struct kconf {
	bool cluster;
	struct kconf_stmt *subs; /* top level */
	unsigned n_stmts;        /* all of them */
	unsigned n_files;
	const char *const *files; /* that were opened, the main file first */
	struct kconf_arena *mem;
};

/*
 * Reads a file and what it includes. path may be a pattern: all that match are read one after the other. Appends to
 * errs. NULL: nothing there that could be read at all; else a tree, even with complaints: whoever uses it looks at
 * errs first.
 */
struct kconf *kconf_read_file(const char *path, const struct kconf_opts *o, struct cfg_errors *errs);
/* The same for a text that is called `file` in messages; ${_PWD} is `dir`. An include is complained about. */
struct kconf *kconf_read_text(const char *text, size_t len, const char *file, const char *dir,
			      const struct kconf_opts *o, struct cfg_errors *errs);
void kconf_free(struct kconf *k);

/*
 * The words of a statement where keepalived splits like a shell (scripts, passwords, names of files and processes):
 * ' and " quote anywhere in a word, \ escapes (\a \b \E \f \n \r \t \v, \nnn, \xHH, \cC, else the letter itself). The
 * words belong to k. NULL: a quote does not end, or a lone \ ends the line; errs has it.
 */
char **kconf_shell_words(struct kconf *k, const struct kconf_stmt *s, unsigned *n, struct cfg_errors *errs);
/* The first statement below (subs of the file: k->subs) whose first word is name, from s on. NULL: none. */
const struct kconf_stmt *kconf_find(const struct kconf_stmt *s, const char *name);
/* "file:line: text", then "(included by file:line)" for each include. */
void kconf_complain(struct cfg_errors *errs, enum cfg_grade grade, const struct kconf_stmt *s, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
