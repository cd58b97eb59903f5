/* Reading configuration files and their includes. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/base/require.h"
#include "daemon/cfg_text.h"
#include "daemon/cfg_tree.h"

/* Where the scanner stands between two characters: an @include inside a comment or a string is none. */
enum scan { SCAN_PLAIN = 0, SCAN_STRING, SCAN_BLOCK };

static void *grow(void *old, size_t size)
{
	void *p = realloc(old, size);

	require(p);
	return p;
}

static unsigned add_file(struct cfg_text *t, const char *name)
{
	t->files = grow(t->files, (t->n_files + 1) * sizeof(*t->files));
	t->files[t->n_files] = strdup(name);
	require(t->files[t->n_files]);
	return t->n_files++;
}

static void reserve(struct cfg_text *t, size_t len)
{
	if (t->len + len > t->room) {
		t->room = 2 * (t->len + len);
		t->text = grow(t->text, t->room);
	}
}

static void end_line(struct cfg_text *t, unsigned file, unsigned line)
{
	reserve(t, 2);
	t->text[t->len++] = '\n';
	t->text[t->len] = '\0';
	if ((t->n_lines & (t->n_lines + 1)) == 0) /* 2^n - 1 in use: double */
		t->lines = grow(t->lines, 2 * (size_t)(t->n_lines + 1) * sizeof(*t->lines));
	t->lines[t->n_lines++] = (struct cfg_text_line){ file, line };
}

static bool word_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' ||
	       c == '-';
}

/*
 * libconfig cuts numbers silently to 32 bits unless they end in L. A number at p that may not fit gets one in out; the
 * schema's range check then sees the true value. Returns the bytes taken from p and writes *n bytes.
 */
static size_t copy_word(const char *p, const char *end, char *out, size_t *n)
{
	size_t len = 0, sign = *p == '-' ? 1 : 0;
	const char *first = p + sign;
	bool hex = end - first > 2 && first[0] == '0' && (first[1] == 'x' || first[1] == 'X');
	size_t digits = hex ? 2 + strspn(first + 2, "0123456789abcdefABCDEF") : strspn(first, "0123456789");

	while (p + len < end && word_char(p[len]))
		len++;
	memcpy(out, p, len);
	*n = len;
	if (sign + digits == len && digits > 9)
		out[(*n)++] = 'L';
	return len;
}

/* Copies one line and follows comments and strings through it. */
static enum scan copy_line(struct cfg_text *t, enum scan s, const char *p, const char *end)
{
	reserve(t, 2 * (size_t)(end - p) + 2);
	while (p < end) {
		bool two = p + 1 < end;
		size_t take = 1, put = 1;
		if (s == SCAN_PLAIN && (*p == '#' || (*p == '/' && two && p[1] == '/')))
			break;
		if (s == SCAN_STRING && *p == '\\' && two) {
			take = 2;
		} else if (s == SCAN_STRING || (s == SCAN_PLAIN && *p == '"')) {
			if (*p == '"')
				s = s == SCAN_STRING ? SCAN_PLAIN : SCAN_STRING;
		} else if (two && *p == (s == SCAN_BLOCK ? '*' : '/') && p[1] == (s == SCAN_BLOCK ? '/' : '*')) {
			s = s == SCAN_BLOCK ? SCAN_PLAIN : SCAN_BLOCK;
			take = 2;
		}
		if (s == SCAN_PLAIN && word_char(*p)) {
			take = copy_word(p, end, t->text + t->len, &put);
		} else {
			memcpy(t->text + t->len, p, take);
			put = take;
		}
		t->len += put;
		p += take;
	}
	return s;
}

/* The whole regular file, NUL-terminated; NULL with *why set to an English reason. */
static char *slurp(const char *path, size_t *len, const char **why)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *buf = NULL;

	*why = NULL;
	if (fd < 0 || fstat(fd, &st) < 0)
		*why = strerror(errno);
	else if (!S_ISREG(st.st_mode))
		*why = "it is not a regular file";
	else if (st.st_size > (off_t)CFG_TEXT_MAX)
		*why = "it is larger than 16 MiB";
	if (!*why) {
		buf = grow(NULL, (size_t)st.st_size + 1);
		ssize_t n = 0;
		for (*len = 0; *len < (size_t)st.st_size; *len += (size_t)n) {
			n = read(fd, buf + *len, (size_t)st.st_size - *len);
			if (n <= 0)
				break;
		}
		buf[*len] = '\0';
		if (n < 0)
			*why = strerror(errno);
		else if (memchr(buf, '\0', *len))
			*why = "it contains a NUL byte";
	}
	if (fd >= 0)
		close(fd);
	if (*why) {
		free(buf);
		return NULL;
	}
	return buf;
}

/* The file name of an @include line, in *name (freed by the caller). False when the line is none. */
static bool include_name(const char *p, const char *end, char **name)
{
	static const char word[] = "@include";

	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	if ((size_t)(end - p) < sizeof(word) - 1 || strncmp(p, word, sizeof(word) - 1) != 0)
		return false;
	p += sizeof(word) - 1;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	const char *close = *p == '"' ? memchr(p + 1, '"', (size_t)(end - p - 1)) : NULL;
	*name = close ? strndup(p + 1, (size_t)(close - p - 1)) : strdup("");
	require(*name);
	return true;
}

static bool expand(struct cfg_text *t, const char *text, unsigned file, unsigned depth, enum scan *s,
		   struct cfg_errors *errs);

/* Path of an include as it is opened. */
static char *beside_main(const struct cfg_text *t, const char *name)
{
	const char *slash = strrchr(t->files[0], '/');
	size_t dir = name[0] == '/' || !slash ? 0 : (size_t)(slash - t->files[0]) + 1;
	char *path = grow(NULL, dir + strlen(name) + 1);

	memcpy(path, t->files[0], dir);
	strcpy(path + dir, name);
	return path;
}

static bool include(struct cfg_text *t, const char *name, unsigned file, unsigned line, unsigned depth, enum scan *s,
		    struct cfg_errors *errs)
{
	const char *why = NULL;
	size_t len = 0;
	char *path = beside_main(t, name), *text = NULL;
	bool ok = false;

	if (!*name)
		why = "a file name in quotes is needed";
	else if (depth >= CFG_INCLUDE_DEEP)
		why = "includes are nested more than 10 deep; does the file include itself?";
	else
		text = slurp(path, &len, &why);
	if (text && t->len + len > CFG_TEXT_MAX)
		why = "all files together are larger than 16 MiB";
	if (why)
		cfg_errors_add(errs, CFG_ERROR, "%s:%u: @include \"%s\": cannot be read (%s): %s", t->files[file], line,
			       name, path, why);
	else
		ok = expand(t, text, add_file(t, path), depth + 1, s, errs);
	free(text);
	free(path);
	return ok;
}

static bool expand(struct cfg_text *t, const char *text, unsigned file, unsigned depth, enum scan *s,
		   struct cfg_errors *errs)
{
	unsigned line = 1;
	bool ok = true;

	for (const char *p = text; *p && ok; line++) {
		const char *end = strchrnul(p, '\n');
		char *name = NULL;
		if (*s == SCAN_PLAIN && include_name(p, end, &name)) {
			ok = include(t, name, file, line, depth, s, errs);
			free(name);
		} else {
			*s = copy_line(t, *s, p, end);
			end_line(t, file, line);
		}
		p = *end ? end + 1 : end;
	}
	return ok;
}

bool cfg_text_string(struct cfg_text *t, const char *text, const char *name, struct cfg_errors *errs)
{
	enum scan s = SCAN_PLAIN;

	*t = (struct cfg_text){ 0 };
	add_file(t, name);
	if (strlen(text) > CFG_TEXT_MAX) {
		cfg_errors_add(errs, CFG_ERROR, "%s: larger than 16 MiB", name);
		return false;
	}
	return expand(t, text, 0, 0, &s, errs);
}

bool cfg_text_file(struct cfg_text *t, const char *path, struct cfg_errors *errs)
{
	const char *why;
	size_t len;
	char *text = slurp(path, &len, &why);
	bool ok = false;

	*t = (struct cfg_text){ 0 };
	if (text)
		ok = cfg_text_string(t, text, path, errs);
	else
		cfg_errors_add(errs, CFG_ERROR, "%s: cannot be read: %s", path, why);
	free(text);
	return ok;
}

void cfg_text_free(struct cfg_text *t)
{
	for (unsigned i = 0; i < t->n_files; i++)
		free(t->files[i]);
	free(t->files);
	free(t->lines);
	free(t->text);
	*t = (struct cfg_text){ 0 };
}

const char *cfg_text_where(const struct cfg_text *t, unsigned n, unsigned *line)
{
	if (!t->n_lines) {
		*line = 1;
		return t->files[0];
	}
	unsigned i = n < 1 ? 0 : n > t->n_lines ? t->n_lines - 1 : n - 1;
	*line = t->lines[i].line;
	return t->files[t->lines[i].file];
}
