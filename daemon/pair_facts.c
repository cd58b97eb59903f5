/* Facts as text and as a sorted set. */
#include "daemon/pair_facts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"

/* Room for the line that says that there was none. */
static const char cut_line[] = PAIR_CUT "=1\n";

static bool key_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("._-:/[]", c) != NULL);
}

static bool value_byte(char c)
{
	return (unsigned char)c >= 0x20 && c != 0x7f;
}

/* ---- writing ---- */

void pair_text_begin(struct pair_text *t, char *buf, size_t cap)
{
	require(cap > sizeof(PAIR_HEAD) + sizeof(cut_line) && cap <= PAIR_TEXT_MAX);
	*t = (struct pair_text){ .buf = buf, .cap = cap };
	memcpy(buf, PAIR_HEAD "\n", sizeof(PAIR_HEAD));
	t->len = sizeof(PAIR_HEAD);
}

static void add(struct pair_text *t, const char *line, size_t n)
{
	if (t->len + n + sizeof(cut_line) > t->cap) {
		t->cut = true;
		return;
	}
	memcpy(t->buf + t->len, line, n);
	t->len += n;
}

void pair_text_put(struct pair_text *t, const char *key, const char *fmt, ...)
{
	char line[PAIR_KEY_MAX + PAIR_VALUE_MAX + 2];
	va_list ap;
	size_t n = strnlen(key, PAIR_KEY_MAX - 1), v;
	for (size_t i = 0; i < n; i++)
		line[i] = key_byte(key[i]) ? key[i] : '_';
	line[n++] = '=';
	va_start(ap, fmt);
	vsnprintf(line + n, PAIR_VALUE_MAX, fmt, ap);
	va_end(ap);
	v = strlen(line + n);
	for (size_t i = 0; i < v; i++)
		line[n + i] = value_byte(line[n + i]) ? line[n + i] : '?';
	line[n + v] = '\n';
	add(t, line, n + v + 1);
}

void pair_text_lines(struct pair_text *t, const char *lines)
{
	while (*lines) {
		size_t n = strcspn(lines, "\n");
		if (lines[n] != '\n')
			return;
		add(t, lines, n + 1);
		lines += n + 1;
	}
}

size_t pair_text_end(struct pair_text *t)
{
	if (t->cut) {
		memcpy(t->buf + t->len, cut_line, sizeof(cut_line) - 1);
		t->len += sizeof(cut_line) - 1;
	}
	return t->len;
}

/* ---- reading ---- */

static const char *const drop_texts[PAIR_DROP_N] = { [PAIR_OK] = "accepted",
#define PAIR_DROP_TEXT(name, text) [name] = text,
						     PAIR_DROP_TABLE(PAIR_DROP_TEXT)
#undef PAIR_DROP_TEXT
};

const char *pair_drop_text(enum pair_drop d)
{
	return d < PAIR_DROP_N ? drop_texts[d] : "unknown";
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct pair_fact *)a)->key, ((const struct pair_fact *)b)->key);
}

/* One line without its line feed, which is a NUL already. */
static enum pair_drop read_line(char *line, size_t n, struct pair_fact *out)
{
	char *eq = memchr(line, '=', n);
	if (!eq)
		return PAIR_DROP_LINE;
	size_t k = (size_t)(eq - line), v = n - k - 1;
	if (k == 0 || k >= PAIR_KEY_MAX)
		return PAIR_DROP_KEY;
	for (size_t i = 0; i < k; i++)
		if (!key_byte(line[i]))
			return PAIR_DROP_KEY;
	if (v >= PAIR_VALUE_MAX)
		return PAIR_DROP_VALUE;
	for (size_t i = 0; i < v; i++)
		if (!value_byte(eq[1 + i]))
			return PAIR_DROP_VALUE;
	*eq = '\0';
	*out = (struct pair_fact){ line, eq + 1 };
	return PAIR_OK;
}

static enum pair_drop read_all(char *text, size_t len, struct pair_facts *out)
{
	if (len > PAIR_TEXT_MAX)
		return PAIR_DROP_LENGTH;
	if (len < sizeof(PAIR_HEAD) || memcmp(text, PAIR_HEAD "\n", sizeof(PAIR_HEAD)) != 0)
		return PAIR_DROP_HEAD;
	char *p = text + sizeof(PAIR_HEAD), *end = text + len;
	while (p < end) {
		char *nl = memchr(p, '\n', (size_t)(end - p));
		if (!nl)
			return PAIR_DROP_LINE;
		if (out->n == PAIR_LINES_MAX)
			return PAIR_DROP_MANY;
		*nl = '\0';
		enum pair_drop d = read_line(p, (size_t)(nl - p), &out->fact[out->n]);
		if (d != PAIR_OK)
			return d;
		out->n++;
		p = nl + 1;
	}
	qsort(out->fact, out->n, sizeof(out->fact[0]), by_key);
	for (unsigned i = 1; i < out->n; i++)
		if (strcmp(out->fact[i - 1].key, out->fact[i].key) == 0)
			return PAIR_DROP_TWICE;
	out->cut = pair_facts_find(out, PAIR_CUT) != NULL;
	return PAIR_OK;
}

enum pair_drop pair_facts_read(char *text, size_t len, struct pair_facts *out)
{
	out->n = 0;
	out->cut = false;
	enum pair_drop d = read_all(text, len, out);
	if (d != PAIR_OK)
		out->n = 0;
	return d;
}

const char *pair_facts_find(const struct pair_facts *f, const char *key)
{
	struct pair_fact want = { .key = key };
	const struct pair_fact *got = f->n ? bsearch(&want, f->fact, f->n, sizeof(want), by_key) : NULL;
	return got ? got->value : NULL;
}

unsigned pair_facts_prefix(const struct pair_facts *f, const char *prefix)
{
	unsigned low = 0, high = f->n;
	while (low < high) {
		unsigned mid = low + (high - low) / 2;
		if (strcmp(f->fact[mid].key, prefix) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < f->n && strncmp(f->fact[low].key, prefix, strlen(prefix)) == 0 ? low : f->n;
}

int pair_number(const char *value, long long *out)
{
	char *end;
	if (!value || *value == '\0')
		return -1;
	*out = strtoll(value, &end, 10);
	return *end == '\0' ? 0 : -1;
}
