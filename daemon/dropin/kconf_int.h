/*
 * Purpose: what the parts of the keepalived.conf reader share: memory, variables, and the stack of what is being read.
 * Owns:    struct lex owns its frames, variables and line; what lasts lies in the arena of struct kconf.
 * Thread:  one reader at a time.
 * In/Out:  lex_open gives it texts, lex_run makes statements of them until there is no more or a file is to be included.
 * Errors:  lex_stop ends the reading with an error; everything after it does nothing.
 */
#ifndef KT_KCONF_INT_H
#define KT_KCONF_INT_H

#include "daemon/dropin/kconf_lex.h"
#include "daemon/dropin/kconf_text.h"

#define KCONF_LINE_MAX   (64u << 10)  /* letters of a line, also with its variables put in */
#define KCONF_DEPTH_MAX  128          /* variables, sequences, lists and files within each other */
#define KCONF_BLOCKS_MAX 32           /* blocks within each other */
#define KCONF_FILES_MAX  4096         /* files of one configuration */
#define KCONF_MEM_MAX    (768u << 20) /* all statements */
#define KCONF_WORK_MAX   10000000u    /* lines read or made, and variables put in: seconds at most */

struct kconf_arena;
/* Zeroed memory that lasts as long as the arena; NULL: the limit. */
void *kconf_alloc(struct kconf_arena *a, size_t size);
struct kconf_arena *kconf_arena_new(size_t max);
void kconf_arena_free(struct kconf_arena *a);

struct kconf_var {
	struct kconf_var *next;
	char *value;
	size_t value_len, name_len;
	bool lines; /* ends of lines in it count */
	char name[];
};

struct kconf_vars {
	struct kconf_var *hash[256];
};
/* Sets a variable to len letters of value. */
struct kconf_var *kconf_var_set(struct kconf_vars *v, const char *name, size_t name_len, const char *value, size_t len);
struct kconf_var *kconf_var_get(const struct kconf_vars *v, const char *name, size_t name_len);
void kconf_var_append(struct kconf_var *v, const char *text, size_t len);
void kconf_vars_free(struct kconf_vars *v);

enum lex_frame_kind {
	LEX_FILE = 0,
	LEX_LINES, /* the further lines of a variable */
	LEX_REST,  /* what follows a brace */
	LEX_PATHS, /* files to be read, each name ends with a NUL */
	LEX_SEQ,
	LEX_LST
};

struct lex_frame {
	enum lex_frame_kind kind;
	char *text;                    /* malloc; FILE, LINES and REST read it, the others repeat it */
	const char *at, *end;          /* what is left of it */
	char *name;                    /* malloc; FILE: its directory; SEQ: the variable */
	struct cfg_pos pos;            /* FILE */
	unsigned check;                /* FILE: include_check of the file that it goes back to */
	const struct kconf_from *from; /* FILE, PATHS */
	uint64_t dev, ino;             /* FILE: against one that includes itself */
	struct kconf_seq seq;
	struct kconf_lst lst;
};

struct lex_level {
	struct kconf_stmt *owner; /* NULL: a stray brace, whose statements belong outside */
	struct kconf_stmt **tail; /* where the next statement goes */
	struct cfg_pos at;
};

struct lex {
	struct kconf *k;
	const struct kconf_opts *o;
	struct cfg_errors *errs;
	struct lex_frame frames[KCONF_DEPTH_MAX];
	unsigned n_frames;
	struct lex_level levels[KCONF_BLOCKS_MAX];
	unsigned n_levels;
	struct kconf_stmt *last; /* the statement that a { now would belong to */
	struct kconf_vars vars;
	struct kconf_var *defining; /* its value goes on in the next line */
	char *line;                 /* KCONF_LINE_MAX + 1 */
	size_t len;
	char id[256];
	uint64_t random;
	unsigned check, work;
	bool stopped;
	/* what lex_run wants when it returns true: files that match, or a file */
	const char *pattern, *path;
	unsigned pattern_check;
};

void lex_init(struct lex *l, struct kconf *k, const struct kconf_opts *o, struct cfg_errors *errs);
void lex_free(struct lex *l);
/* Reads text (malloc, passes to l) next; file and dir are copied. from: the include, NULL for the main file. */
void lex_open(struct lex *l, char *text, size_t len, const char *file, const char *dir, const struct kconf_from *from);
/* True: l->pattern is to be looked up, or l->path is to be opened. False: the end. */
bool lex_run(struct lex *l);
/* At the end: blocks that are open, a file without statements. */
void lex_finish(struct lex *l, const char *file);
/* The file that is being read; NULL: none. */
const struct lex_frame *lex_file(const struct lex *l);
void lex_say(struct lex *l, enum cfg_grade grade, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* An error, and nothing more is read. */
void lex_stop(struct lex *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Memory of the arena; NULL: stopped. */
void *lex_alloc(struct lex *l, size_t size);
/* Puts a frame on the stack; false: stopped, and the frame is freed. */
bool lex_push(struct lex *l, struct lex_frame f);
/* Counts n pieces of work; false: stopped. */
bool lex_work(struct lex *l, unsigned n);

/* kconf_subst.c: l->line after conditions, definitions, sequences and variables. False: nothing is left of it. */
bool lex_expand(struct lex *l);

#endif
