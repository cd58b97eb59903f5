/* Lines of keepalived.conf into statements: what is read next, where braces end a line, who belongs to whom. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "daemon/base/require.h"
#include "daemon/dropin/kconf_int.h"

static void said(struct cfg_errors *errs, enum cfg_grade grade, struct cfg_pos at, const struct kconf_from *from,
		 const char *fmt, va_list ap)
{
	char what[400], by[300] = "";
	size_t n = 0;

	vsnprintf(what, sizeof(what), fmt, ap);
	for (; from && n < sizeof(by); from = from->up)
		n += (size_t)snprintf(by + n, sizeof(by) - n, " (included by %s:%u)", from->at.file, from->at.line);
	cfg_errors_add(errs, grade, "%s:%u: %s%s", at.file ? at.file : "?", at.line, what, by);
}

void kconf_complain(struct cfg_errors *errs, enum cfg_grade grade, const struct kconf_stmt *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	said(errs, grade, s->at, s->from, fmt, ap);
	va_end(ap);
}

const struct lex_frame *lex_file(const struct lex *l)
{
	for (unsigned i = l->n_frames; i--;) {
		if (l->frames[i].kind == LEX_FILE)
			return &l->frames[i];
	}
	return NULL;
}

static void lex_vsay(struct lex *l, enum cfg_grade grade, const char *fmt, va_list ap)
{
	const struct lex_frame *f = lex_file(l);

	if (f)
		said(l->errs, grade, f->pos, f->from, fmt, ap);
}

void lex_say(struct lex *l, enum cfg_grade grade, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	lex_vsay(l, grade, fmt, ap);
	va_end(ap);
}

void lex_stop(struct lex *l, const char *fmt, ...)
{
	va_list ap;

	if (l->stopped)
		return;
	l->stopped = true;
	va_start(ap, fmt);
	lex_vsay(l, CFG_ERROR, fmt, ap);
	va_end(ap);
}

void *lex_alloc(struct lex *l, size_t size)
{
	void *p = kconf_alloc(l->k->mem, size);

	if (!p)
		lex_stop(l, "the statements need more than %u MiB; does a ~SEQ or a variable make more than it should?",
			 KCONF_MEM_MAX >> 20);
	return p;
}

bool lex_work(struct lex *l, unsigned n)
{
	unsigned max = l->o->max_work ? l->o->max_work : KCONF_WORK_MAX;

	if (n > max || l->work > max - n) {
		lex_stop(l, "more than %u lines and variables; does a ~SEQ or a variable make more than it should?",
			 max);
		return false;
	}
	l->work += n;
	return true;
}

static void frame_free(struct lex_frame *f)
{
	free(f->text);
	free(f->name);
	kconf_lst_free(&f->lst);
}

bool lex_push(struct lex *l, struct lex_frame f)
{
	if (l->n_frames == KCONF_DEPTH_MAX) {
		frame_free(&f);
		lex_stop(l, "variables, sequences and files are nested more than %d deep; does one contain itself?",
			 KCONF_DEPTH_MAX);
		return false;
	}
	l->frames[l->n_frames++] = f;
	return true;
}

static void pop(struct lex *l)
{
	struct lex_frame *f = &l->frames[--l->n_frames];

	if (f->kind == LEX_FILE) {
		l->check = f->check;
		/* a definition does not go on in another file */
		l->defining = NULL;
	}
	frame_free(f);
}

void lex_init(struct lex *l, struct kconf *k, const struct kconf_opts *o, struct cfg_errors *errs)
{
	static const struct kconf_opts none;

	*l = (struct lex){ .k = k, .o = o ? o : &none, .errs = errs };
	l->line = malloc(KCONF_LINE_MAX + 1);
	require(l->line);
	l->levels[0].tail = &k->subs;
	l->n_levels = 1;
	l->check = l->o->include_check;
	l->random = l->o->random_seed ? l->o->random_seed : (uint64_t)time(NULL) * 0x9e3779b97f4a7c15u | 1;
	if (l->o->config_id) {
		snprintf(l->id, sizeof(l->id), "%s", l->o->config_id);
	} else if (!gethostname(l->id, sizeof(l->id) - 1)) {
		l->id[strcspn(l->id, ".")] = '\0';
	}
}

void lex_free(struct lex *l)
{
	while (l->n_frames)
		pop(l);
	kconf_vars_free(&l->vars);
	free(l->line);
}

static char *keep(struct lex *l, const char *s, size_t len)
{
	char *p = lex_alloc(l, len + 1);

	if (p)
		memcpy(p, s, len);
	return p;
}

void lex_open(struct lex *l, char *text, size_t len, const char *file, const char *dir, const struct kconf_from *from)
{
	struct lex_frame f = { .kind = LEX_FILE, .text = text, .from = from, .check = l->check };

	f.name = strdup(dir);
	require(f.name);
	f.pos.file = keep(l, file, strlen(file));
	f.at = text;
	f.end = text + len;
	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		f.at += 3;
	lex_push(l, f);
}

/* The next line of a file, without comments and blanks around it. False: there is none. */
static bool file_line(struct lex *l, struct lex_frame *f)
{
	size_t len;
	bool open;

	if (f->at >= f->end)
		return false;
	const char *nl = memchr(f->at, '\n', (size_t)(f->end - f->at));
	len = (size_t)((nl ? nl : f->end) - f->at);
	const char *from = f->at, *nul = memchr(from, '\0', len);
	f->at = nl ? nl + 1 : f->end;
	f->pos.line++;
	if (nul) {
		lex_say(l, CFG_WARNING, "a NUL in the line; what follows it is left out");
		len = (size_t)(nul - from);
	}
	while (len && from[len - 1] == '\r')
		len--;
	if (len > KCONF_LINE_MAX) {
		lex_stop(l, "the line is longer than %u letters", KCONF_LINE_MAX);
		return true;
	}
	/* an empty line ends a definition, a comment or blanks do not */
	if (!len)
		l->defining = NULL;
	memcpy(l->line, from, len);
	l->line[len] = '\0';
	l->len = kconf_decomment(l->line, len, &open);
	if (open)
		lex_say(l, CFG_WARNING, "a \" does not end in this line; comments and braces behind it are text");
	return true;
}

/* The next line of a variable with several, or the rest behind a brace. */
static bool text_line(struct lex *l, struct lex_frame *f)
{
	size_t len;

	if (f->at >= f->end)
		return false;
	const char *nl = f->kind == LEX_LINES ? memchr(f->at, '\n', (size_t)(f->end - f->at)) : NULL;
	len = (size_t)((nl ? nl : f->end) - f->at);
	require(len <= KCONF_LINE_MAX);
	memcpy(l->line, f->at, len);
	l->line[len] = '\0';
	l->len = len;
	f->at = nl ? nl + 1 : f->end;
	return true;
}

static void repeat(struct lex *l, const struct lex_frame *f)
{
	l->len = strlen(f->text);
	require(l->len <= KCONF_LINE_MAX);
	memcpy(l->line, f->text, l->len + 1);
}

static bool seq_line(struct lex *l, struct lex_frame *f)
{
	struct kconf_seq *q = &f->seq;
	char num[24];

	if (q->step > 0 ? q->next > q->last : q->next < q->last)
		return false;
	int n = snprintf(num, sizeof(num), q->hex ? "%llx" : "%lld", (long long)q->next);
	kconf_var_set(&l->vars, f->name, strlen(f->name), num, (size_t)n);
	if (__builtin_add_overflow(q->next, q->step, &q->next)) {
		q->step = 1;
		q->next = 1;
		q->last = 0;
	}
	repeat(l, f);
	return true;
}

static bool lst_line(struct lex *l, struct lex_frame *f)
{
	struct kconf_lst *t = &f->lst;

	if (t->next == t->n_sets)
		return false;
	for (unsigned i = 0; i < t->n_names; i++) {
		const char *v = t->values[(size_t)t->next * t->n_names + i];
		kconf_var_set(&l->vars, t->names[i], strlen(t->names[i]), v, strlen(v));
	}
	t->next++;
	repeat(l, f);
	return true;
}

/* Puts the next line into l->line. False: nothing is left to read. */
static bool next_line(struct lex *l)
{
	while (l->n_frames && !l->stopped) {
		struct lex_frame *f = &l->frames[l->n_frames - 1];
		bool got = false;
		switch (f->kind) {
		case LEX_FILE:
			got = file_line(l, f);
			break;
		case LEX_LINES:
		case LEX_REST:
			got = text_line(l, f);
			break;
		case LEX_SEQ:
			got = seq_line(l, f);
			break;
		case LEX_LST:
			got = lst_line(l, f);
			break;
		case LEX_PATHS:
			if (f->at < f->end) {
				l->path = f->at;
				f->at += strlen(f->at) + 1;
				return false;
			}
			break;
		}
		if (got)
			return lex_work(l, 1) && !l->stopped;
		pop(l);
	}
	return false;
}

static struct lex_level *level(struct lex *l)
{
	return &l->levels[l->n_levels - 1];
}

static void open_block(struct lex *l, struct kconf_stmt *owner)
{
	if (l->n_levels == KCONF_BLOCKS_MAX) {
		lex_stop(l, "blocks are nested more than %d deep", KCONF_BLOCKS_MAX);
		return;
	}
	struct lex_level *in = &l->levels[l->n_levels];
	in->owner = owner;
	in->tail = owner ? &owner->subs : level(l)->tail;
	in->at = lex_file(l)->pos;
	if (owner)
		owner->block = true;
	l->n_levels++;
	l->last = NULL;
}

static void open_brace(struct lex *l)
{
	if (!l->last)
		lex_say(l, CFG_WARNING, "a { without a keyword before it; it is left out, with its }");
	open_block(l, l->last);
}

static void close_brace(struct lex *l)
{
	l->last = NULL;
	if (l->n_levels == 1) {
		lex_say(l, CFG_WARNING, "a } too many; it is left out");
		return;
	}
	l->n_levels--;
	/* statements after a stray brace went to the same list */
	if (!l->levels[l->n_levels].owner)
		level(l)->tail = l->levels[l->n_levels].tail;
}

/* A block whose { was forgotten begins all the same: that is how keepalived reads it. */
static void forgotten_brace(struct lex *l)
{
	if (!l->last || !l->o->blocks)
		return;
	for (const char *const *b = l->o->blocks; *b; b++) {
		if (strcmp(l->last->words[0], *b) != 0)
			continue;
		lex_say(l, CFG_WARNING, "no { after %s; it is taken as if it were there", *b);
		open_block(l, l->last);
		return;
	}
}

/* global_defs include_check: words with + and - change it, without it is set anew. */
static void set_check(struct lex *l, const struct kconf_stmt *s)
{
	static const struct {
		const char *word;
		unsigned bit;
	} known[] = {
		{ "readable", KCONF_CHECK_READABLE },
		{ "read", KCONF_CHECK_READABLE }, /* the word of 2.2.7, whose manual says readable */
		{ "match", KCONF_CHECK_MATCH },
		{ "wildcard_match", KCONF_CHECK_WILDCARD },
		{ "brace_match", KCONF_CHECK_BRACE },
	};
	unsigned check = l->check, i, k;

	if (s->n_words == 1)
		check = KCONF_CHECK_ALL;
	for (i = 1; i < s->n_words; i++) {
		const char *w = s->words[i];
		bool minus = *w == '-', plus = *w == '+';
		for (k = 0; k < sizeof(known) / sizeof(known[0]) && strcmp(known[k].word, w + (minus || plus)) != 0;
		     k++)
			;
		if (k == sizeof(known) / sizeof(known[0])) {
			lex_say(l, CFG_WARNING,
				"include_check %s: there is readable, match, wildcard_match, brace_match", w);
			continue;
		}
		if (i == 1 && !minus && !plus)
			check = KCONF_CHECK_READABLE;
		check = minus ? check & ~known[k].bit : check | known[k].bit;
	}
	l->check = check;
}

/* Statements that decide how the rest of the file is read. */
static void heed(struct lex *l, const struct kconf_stmt *s)
{
	const struct kconf_stmt *in = level(l)->owner;

	if (!in || strcmp(in->words[0], "global_defs") != 0)
		return;
	if (!strcmp(s->words[0], "include_check"))
		set_check(l, s);
	if (!strcmp(s->words[0], "random_seed") && s->n_words > 1)
		l->random = strtoull(s->words[1], NULL, 0) * 0x9e3779b97f4a7c15u | 1;
}

static void statement(struct lex *l, const char *text, size_t len)
{
	const struct lex_frame *f = lex_file(l);
	struct kconf_stmt *s;
	char *into;
	bool bad;
	unsigned n;

	while (len && (text[len - 1] == ' ' || text[len - 1] == '\t'))
		len--;
	if (len && text[len - 1] == '\\' && (len < 2 || text[len - 2] != '\\')) {
		lex_say(l, CFG_WARNING, "a \\ at the end only continues a $NAME= definition; it is left out");
		for (len--; len && (text[len - 1] == ' ' || text[len - 1] == '\t'); len--)
			;
	}
	n = kconf_split(text, len, NULL, NULL, &bad);
	if (bad)
		lex_say(l, CFG_WARNING, "a word begins with a \" that does not end; the rest of the line is left out");
	if (!n)
		return;
	forgotten_brace(l);
	s = lex_alloc(l, sizeof(*s));
	if (s)
		s->words = lex_alloc(l, n * sizeof(*s->words));
	into = s && s->words ? lex_alloc(l, 2 * len + 2) : NULL;
	if (!into)
		return;
	s->n_words = kconf_split(text, len, into, s->words, &bad);
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '"' || text[i] == '\'' || text[i] == '\\') {
			s->text = keep(l, text, len);
			break;
		}
	}
	s->at = f->pos;
	s->from = f->from;
	*level(l)->tail = s;
	level(l)->tail = &s->next;
	l->k->n_stmts++;
	l->last = s;
	heed(l, s);
}

/* One line of text and braces; what follows its first brace is read next. */
static void braces(struct lex *l)
{
	bool var = false;
	const char *b = kconf_brace(l->line, &var), *rest;

	if (var)
		lex_say(l, CFG_WARNING, "a variable in this line has no value; ${...} is left as it is");
	if (b != l->line)
		statement(l, l->line, b ? (size_t)(b - l->line) : l->len);
	if (!b || l->stopped)
		return;
	if (*b == '{') {
		open_brace(l);
	} else {
		forgotten_brace(l);
		close_brace(l);
	}
	rest = b + 1 + strspn(b + 1, " \t");
	if (*rest) {
		struct lex_frame f = { .kind = LEX_REST, .text = strdup(rest) };
		require(f.text);
		f.at = f.text;
		f.end = strchr(f.text, '\0');
		lex_push(l, f);
	}
}

bool lex_run(struct lex *l)
{
	l->pattern = l->path = NULL;
	while (next_line(l)) {
		if (!lex_expand(l))
			continue;
		l->pattern = kconf_include(l->line, &l->pattern_check);
		if (l->pattern)
			return true;
		braces(l);
	}
	return l->path;
}

void lex_finish(struct lex *l, const char *file)
{
	if (l->stopped)
		return;
	for (unsigned i = l->n_levels; i-- > 1;) {
		const struct lex_level *in = &l->levels[i];
		cfg_errors_add(
		    l->errs, CFG_ERROR,
		    "%s:%u: the block %s%sthat begins here does not end: a } is missing, or the file is cut off",
		    in->at.file, in->at.line, in->owner ? in->owner->words[0] : "", in->owner ? " " : "");
	}
	if (!l->k->n_stmts && l->k->n_files)
		cfg_errors_add(l->errs, CFG_ERROR, "%s: there is nothing in it", file);
}
