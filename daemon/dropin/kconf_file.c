/* Files of keepalived.conf: patterns, includes, and what must not be read. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/base/require.h"
#include "daemon/dropin/kconf_int.h"

#define FILE_MAX     (64u << 20) /* bytes of all files together */
#define PATTERNS_MAX 256         /* alternatives of one pattern with braces */

struct reader {
	struct lex lex;
	size_t bytes;
	const char *files[KCONF_FILES_MAX];
};

/* About a file: at the include that names it, or without a place if it is the main file. */
static void about(struct reader *r, enum cfg_grade grade, const char *path, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void about(struct reader *r, enum cfg_grade grade, const char *path, const char *fmt, ...)
{
	char what[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (lex_file(&r->lex))
		lex_say(&r->lex, grade, "include %s: %s", path, what);
	else
		cfg_errors_add(r->lex.errs, grade, "%s: %s", path, what);
}

static char *add(const char *a, size_t a_len, const char *b, size_t b_len, const char *c)
{
	size_t c_len = strlen(c);
	char *p = malloc(a_len + b_len + c_len + 1);

	require(p);
	memcpy(p, a, a_len);
	memcpy(p + a_len, b, b_len);
	memcpy(p + a_len + b_len, c, c_len + 1);
	return p;
}

/* The } that belongs to the { at p; NULL: none. */
static const char *brace_end(const char *p)
{
	unsigned depth = 0;

	for (; *p; p++) {
		if (*p == '\\' && p[1])
			p++;
		else if (*p == '{')
			depth++;
		else if (*p == '}' && !--depth)
			return p;
	}
	return NULL;
}

/* Alternatives of {a,b}, as csh makes them: appended to list. False: too many. */
static bool alternatives(const char *pattern, char **list, unsigned *n)
{
	const char *open = pattern;

	while (*open && (*open != '{' || !brace_end(open)))
		open += *open == '\\' && open[1] ? 2 : 1;
	if (!*open) {
		if (*n == PATTERNS_MAX)
			return false;
		list[*n] = strdup(pattern);
		require(list[*n]);
		++*n;
		return true;
	}
	const char *close = brace_end(open), *from = open + 1;
	for (const char *p = from; p <= close; p++) {
		if (*p == '{') {
			p = brace_end(p);
		} else if (*p == '\\' && p[1]) {
			p++;
		} else if (*p == ',' || p == close) {
			char *one = add(pattern, (size_t)(open - pattern), from, (size_t)(p - from), close + 1);
			bool ok = alternatives(one, list, n);
			free(one);
			if (!ok)
				return false;
			from = p + 1;
		}
	}
	return true;
}

static bool wild(const char *s)
{
	for (; *s; s++) {
		if (*s == '\\' && s[1])
			s++;
		else if (strchr("*?[", *s))
			return true;
	}
	return false;
}

/* A pattern that is looked up from dir, in whose name no letter is special. */
static char *from_dir(const char *dir, const char *pattern)
{
	char *p, *to;

	if (*pattern == '/' || !dir)
		return add("", 0, "", 0, pattern);
	p = to = malloc(2 * strlen(dir) + strlen(pattern) + 2);
	require(p);
	for (; *dir; dir++) {
		if (strchr("*?[\\", *dir))
			*to++ = '\\';
		*to++ = *dir;
	}
	*to++ = '/';
	memcpy(to, pattern, strlen(pattern) + 1);
	return p;
}

/* Appends what matches; the number of it, or -1 after a complaint. */
static int matches(struct reader *r, const char *pattern, struct lex_frame *f)
{
	const struct lex_frame *in = lex_file(&r->lex);
	char *full = from_dir(in ? in->name : NULL, pattern);
	glob_t g = { 0 };
	int rc = glob(full, GLOB_MARK, NULL, &g), n = (int)g.gl_pathc;

	free(full);
	if (rc && rc != GLOB_NOMATCH) {
		about(r, CFG_WARNING, pattern, "the directory cannot be searched");
		n = -1;
	}
	for (int i = 0; i < n; i++) {
		size_t len = strlen(g.gl_pathv[i]) + 1, have = (size_t)(f->end - f->text);
		char *text = realloc(f->text, have + len);
		require(text);
		memcpy(text + have, g.gl_pathv[i], len);
		f->text = text;
		f->end = text + have + len;
	}
	globfree(&g);
	return n;
}

/* No file for a pattern: keepalived says so; an error only where the level asks for it. */
static void no_match(struct reader *r, const char *whole, const char *one, unsigned check)
{
	bool braces = strchr(whole, '{');
	enum kconf_check bit = wild(one) ? KCONF_CHECK_WILDCARD : braces ? KCONF_CHECK_BRACE : KCONF_CHECK_MATCH;
	const char *name = wild(one) ? "wildcard_match" : braces ? "brace_match" : "match";

	if (!lex_file(&r->lex))
		about(r, CFG_ERROR, one, "no such file");
	else if (check & bit)
		about(r, CFG_ERROR, one, "no such file (include_check %s)", name);
	else if (!wild(one))
		about(r, CFG_WARNING, one, "no such file; it is left out");
}

static void include(struct reader *r, const char *pattern, unsigned check)
{
	struct lex_frame f = { .kind = LEX_PATHS };
	char *list[PATTERNS_MAX], *bare = strdup(pattern);
	const struct lex_frame *in = lex_file(&r->lex);
	size_t len = strlen(pattern);
	unsigned n = 0;

	require(bare);
	if (len > 2 && bare[0] == '"' && bare[len - 1] == '"') {
		memmove(bare, bare + 1, len - 2);
		bare[len - 2] = '\0';
	}
	if (!alternatives(bare, list, &n))
		about(r, CFG_ERROR, bare, "the braces stand for more than %d names", PATTERNS_MAX);
	for (unsigned i = 0; i < n; i++) {
		if (!matches(r, list[i], &f))
			no_match(r, bare, list[i], check);
		free(list[i]);
	}
	free(bare);
	f.at = f.text;
	if (in && f.text) {
		struct kconf_from *from = lex_alloc(&r->lex, sizeof(*from));
		if (from)
			*from = (struct kconf_from){ in->pos, in->from };
		f.from = from;
	}
	f.check = check;
	if (f.text)
		lex_push(&r->lex, f);
}

static char *contents(struct reader *r, int fd, size_t size, size_t *len)
{
	char *text = malloc(size + 1);
	ssize_t n = 1;

	require(text);
	/* it may grow or shrink while it is read: what is there now counts, up to the size it had */
	for (*len = 0; *len < size && n > 0; *len += n > 0 ? (size_t)n : 0) {
		n = read(fd, text + *len, size - *len);
		if (n < 0 && errno == EINTR)
			n = 0;
	}
	r->bytes += *len;
	return text;
}

/* Why a file must not be read; NULL: it may. */
static const char *unfit(struct reader *r, const struct stat *st)
{
	if (S_ISDIR(st->st_mode))
		return "it is a directory";
	if (!S_ISREG(st->st_mode))
		return "it is not a regular file";
	if (st->st_mode & (S_IXUSR | S_IXGRP | S_IXOTH))
		return "it is executable, and keepalived reads no such file; chmod a-x makes it one";
	if ((size_t)st->st_size > FILE_MAX - r->bytes)
		return "the files together are larger than 64 MiB";
	for (unsigned i = 0; i < r->lex.n_frames; i++) {
		const struct lex_frame *f = &r->lex.frames[i];
		if (f->kind == LEX_FILE && f->dev == st->st_dev && f->ino == st->st_ino)
			return "it includes itself";
	}
	return r->lex.k->n_files == KCONF_FILES_MAX ? "there are more than 4096 files" : NULL;
}

static char *directory(const char *path)
{
	char *copy = strdup(path), *dir;

	require(copy);
	dir = realpath(dirname(copy), NULL);
	if (!dir)
		dir = strdup(".");
	require(dir);
	free(copy);
	return dir;
}

static void open_file(struct reader *r, const char *path)
{
	const struct lex_frame *paths = &r->lex.frames[r->lex.n_frames - 1];
	bool main_file = !lex_file(&r->lex);
	enum cfg_grade grade = main_file || (paths->check & KCONF_CHECK_READABLE) ? CFG_ERROR : CFG_WARNING;
	const struct kconf_from *from = paths->from;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		about(r, grade, path, "%s", strerror(errno));
	} else if (unfit(r, &st)) {
		/* a loop or a limit is a mistake, whatever the level */
		const char *why = unfit(r, &st);
		bool mode = !S_ISREG(st.st_mode) || (st.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH));
		about(r, mode ? grade : CFG_ERROR, path, "%s", why);
	} else {
		size_t len;
		char *text = contents(r, fd, (size_t)st.st_size, &len), *dir = directory(path);
		lex_open(&r->lex, text, len, path, dir, from);
		free(dir);
		if (!r->lex.stopped) {
			struct lex_frame *f = &r->lex.frames[r->lex.n_frames - 1];
			f->dev = st.st_dev;
			f->ino = st.st_ino;
			r->files[r->lex.k->n_files++] = f->pos.file;
		}
	}
	if (fd >= 0)
		close(fd);
}

static struct kconf *begin(struct reader **r, const struct kconf_opts *o, struct cfg_errors *errs)
{
	struct kconf *k = calloc(1, sizeof(*k));

	*r = calloc(1, sizeof(**r));
	require(k && *r);
	k->mem = kconf_arena_new(KCONF_MEM_MAX);
	lex_init(&(*r)->lex, k, o, errs);
	return k;
}

static struct kconf *end(struct reader *r, const char *file)
{
	struct kconf *k = r->lex.k;
	const char **files = kconf_alloc(k->mem, (k->n_files + 1) * sizeof(*files));

	lex_finish(&r->lex, file);
	if (files)
		memcpy(files, r->files, k->n_files * sizeof(*files));
	k->files = files;
	if (!files || !k->n_files) {
		kconf_free(k);
		k = NULL;
	}
	lex_free(&r->lex);
	free(r);
	return k;
}

struct kconf *kconf_read_file(const char *path, const struct kconf_opts *o, struct cfg_errors *errs)
{
	struct reader *r;
	struct lex_frame f = { .kind = LEX_PATHS };

	begin(&r, o, errs);
	if (!access(path, F_OK)) {
		/* a name that exists is no pattern */
		f.text = strdup(path);
		require(f.text);
		f.at = f.text;
		f.end = f.text + strlen(path) + 1;
		lex_push(&r->lex, f);
	} else {
		include(r, path, KCONF_CHECK_ALL);
	}
	while (!r->lex.stopped && lex_run(&r->lex)) {
		if (r->lex.path)
			open_file(r, r->lex.path);
		else
			include(r, r->lex.pattern, r->lex.pattern_check | r->lex.check);
	}
	return end(r, path);
}

struct kconf *kconf_read_text(const char *text, size_t len, const char *file, const char *dir,
			      const struct kconf_opts *o, struct cfg_errors *errs)
{
	char *copy = malloc(len + 1);
	struct reader *r;

	begin(&r, o, errs);
	require(copy);
	memcpy(copy, text, len);
	copy[len] = '\0';
	lex_open(&r->lex, copy, len, file, dir, NULL);
	r->files[r->lex.k->n_files++] = r->lex.frames[0].pos.file;
	while (!r->lex.stopped && lex_run(&r->lex))
		lex_say(&r->lex, CFG_ERROR, "include %s: there are no files beside this text", r->lex.pattern);
	return end(r, file);
}

void kconf_free(struct kconf *k)
{
	if (!k)
		return;
	kconf_arena_free(k->mem);
	free(k);
}

char **kconf_shell_words(struct kconf *k, const struct kconf_stmt *s, unsigned *n, struct cfg_errors *errs)
{
	*n = s->n_words;
	if (!s->text)
		return s->words;
	size_t len = strlen(s->text);
	int words = kconf_shell_split(s->text, len, NULL, NULL);
	if (words < 0) {
		kconf_complain(errs, CFG_ERROR, s, "%s: %s", s->words[0],
			       words == -1 ? "a quote does not end" : "a \\ with nothing behind it");
		return NULL;
	}
	char **list = kconf_alloc(k->mem, ((size_t)words + 1) * sizeof(*list));
	char *into = list ? kconf_alloc(k->mem, 2 * len + 2) : NULL;
	if (!into) {
		kconf_complain(errs, CFG_ERROR, s, "%s: there is no memory left for its words", s->words[0]);
		return NULL;
	}
	kconf_shell_split(s->text, len, into, list);
	*n = (unsigned)words;
	return list;
}

const struct kconf_stmt *kconf_find(const struct kconf_stmt *s, const char *name)
{
	while (s && strcmp(s->words[0], name) != 0)
		s = s->next;
	return s;
}
