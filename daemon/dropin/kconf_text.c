/* Rules of keepalived.conf about one line. What keepalived 2.2.7 does was measured with `keepalived -t` and its dump. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/dropin/kconf_lex.h"
#include "daemon/dropin/kconf_text.h"

#define BLANK     " \t"
#define SPACE     " \t\f\n\r\v"
#define NAMES_MAX 64 /* variables of one ~LST */

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool letter(char c)
{
	return isalpha((unsigned char)c) || c == '_';
}

static bool letter_or_digit(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* ctype's isspace depends on the locale; strchr would find the NUL */
static bool space(char c)
{
	return c && strchr(SPACE, c);
}

size_t kconf_decomment(char *s, size_t len, bool *open)
{
	size_t from = strspn(s, BLANK), to = 0;
	bool quote = false, more = false;

	while (from < len) {
		char c = s[from];
		if (c == '"')
			quote = !quote;
		if (c == '\\' && from + 1 >= len) {
			more = true;
			break;
		}
		if (c == '\\') {
			char next = s[from + 1];
			if (quote || (next != '#' && next != '!'))
				s[to++] = c;
			s[to++] = next;
			from += 2;
			continue;
		}
		if (!quote && (c == '#' || c == '!')) {
			/* also a comment may end in the \ that says that the definition goes on */
			more = s[len - 1] == '\\';
			break;
		}
		s[to++] = c;
		from++;
	}
	while (to && blank(s[to - 1]))
		to--;
	if (more)
		s[to++] = '\\';
	s[to] = '\0';
	*open = quote;
	return to;
}

unsigned kconf_split(const char *text, size_t len, char *into, char **words, bool *bad)
{
	const char *p = text, *end = text + len;
	unsigned n = 0;

	*bad = false;
	for (;;) {
		while (p < end && space(*p))
			p++;
		if (p >= end)
			return n;
		const char *from = p;
		bool quoted = *p == '"';
		if (quoted) {
			from = ++p;
			p = memchr(p, '"', (size_t)(end - p));
			if (!p) {
				*bad = true;
				return n;
			}
		} else {
			while (p < end && !space(*p) && *p != '"')
				p++;
		}
		if (words) {
			memcpy(into, from, (size_t)(p - from));
			words[n] = into;
			into += p - from;
			*into++ = '\0';
		}
		n++;
		p += quoted;
	}
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The letter that an escape stands for; *p is behind the \ and moves behind the escape. */
static char escaped(const char **p, const char *end)
{
	static const char from[] = "abEfnrtv", to[] = "\a\b\033\f\n\r\t\v";
	const char *s = *p;
	unsigned v = 0;

	if (*s == 'x' && s + 1 < end && hex_digit(s[1]) >= 0) {
		for (s++; s < end && hex_digit(*s) >= 0; s++)
			v = v << 4 | (unsigned)hex_digit(*s);
	} else if (*s == 'c' && s + 1 < end) {
		v = (unsigned char)s[1] & 0x1f;
		s += 2;
	} else if (*s >= '0' && *s <= '7') {
		for (unsigned i = 0; i < 3 && s < end && *s >= '0' && *s <= '7'; i++)
			v = v << 3 | (unsigned)(*s++ - '0');
	} else {
		const char *known = strchr(from, *s);
		v = (unsigned char)(known && *known ? to[known - from] : *s);
		s++;
	}
	*p = s;
	return (char)(v & 0xff);
}

int kconf_shell_split(const char *text, size_t len, char *into, char **words)
{
	const char *p = text, *end = text + len;
	int n = 0;

	for (;;) {
		char quote = 0;
		while (p < end && space(*p))
			p++;
		if (p >= end)
			return n;
		if (words)
			words[n] = into;
		n++;
		while (p < end && (quote || !space(*p))) {
			char c = *p++;
			if (c == '\\') {
				if (p >= end)
					return -2;
				c = escaped(&p, end);
			} else if (quote ? c == quote : c == '"' || c == '\'') {
				quote = quote ? 0 : c;
				continue;
			}
			/* a NUL ends a word for everybody who reads it */
			if (words && c)
				*into++ = c;
		}
		if (quote)
			return -1;
		if (words)
			*into++ = '\0';
	}
}

bool kconf_ref(const char *s, struct kconf_ref *r)
{
	bool braces = s[1] == '{';
	const char *p = s + 1 + braces;

	*r = (struct kconf_ref){ .name = p };
	if (!letter(*p))
		return false;
	while (letter_or_digit(*p))
		p++;
	r->name_len = (size_t)(p - r->name);
	if (!braces) {
		r->len = (size_t)(p - s);
		return !*p || strchr(" \t,)", *p);
	}
	if (*p == ' ') {
		p += strspn(p, " ");
		r->args = p;
		while (letter_or_digit(*p) || *p == ' ')
			p++;
		r->args_len = (size_t)(p - r->args);
		while (r->args_len && r->args[r->args_len - 1] == ' ')
			r->args_len--;
		if (!r->args_len)
			r->args = NULL;
	}
	r->len = (size_t)(p - s) + 1;
	return *p == '}';
}

const char *kconf_brace(const char *s, bool *var)
{
	struct kconf_ref ref;

	if (*s == '{' || *s == '}')
		return s;
	while ((s = strpbrk(s, "{}\"$"))) {
		if (*s == '{' || *s == '}')
			return s;
		if (*s == '"') {
			s = strchr(s + 1, '"');
			if (!s)
				return NULL;
			s++;
		} else if (s[1] == '{' && kconf_ref(s, &ref)) {
			*var = true;
			s += ref.len;
		} else {
			s++;
		}
	}
	return NULL;
}

const char *kconf_condition(const char *line, const char *id)
{
	bool not = line[1] == '^';
	const char *word = line + 1 + not ;
	size_t len = strcspn(word, BLANK);
	const char *rest = word + len;

	if (!*rest)
		return NULL;
	if ((strlen(id) == len && !memcmp(word, id, len)) == not )
		return NULL;
	return rest + strspn(rest, BLANK);
}

const char *kconf_definition(const char *line, size_t *name_len)
{
	const char *p = line + 1;

	if (*line != '$' || !letter(*p))
		return NULL;
	while (letter_or_digit(*p))
		p++;
	if (*p != '=')
		return NULL;
	*name_len = (size_t)(p - line) - 1;
	p++;
	return p + strspn(p, BLANK);
}

const char *kconf_include(const char *line, unsigned *check)
{
	const char *p = line + 7;

	*check = 0;
	if (strncmp(line, "include", 7))
		return NULL;
	if (!space(*p)) {
		switch (*p) {
		case 'r':
			*check = KCONF_CHECK_READABLE;
			break;
		case 'm':
			*check = KCONF_CHECK_READABLE | KCONF_CHECK_MATCH;
			break;
		case 'w':
			*check = KCONF_CHECK_READABLE | KCONF_CHECK_MATCH | KCONF_CHECK_WILDCARD;
			break;
		case 'b':
			*check = KCONF_CHECK_READABLE | KCONF_CHECK_BRACE;
			break;
		case 'a':
			*check = KCONF_CHECK_ALL;
			break;
		default:
			return NULL;
		}
		p++;
	}
	if (!space(*p))
		return NULL;
	p += strspn(p, SPACE);
	return *p ? p : NULL;
}

/* A number as strtol reads it, and the letter behind it. A missing one is 0, as in keepalived. */
static bool number(const char **p, int64_t *v, char *after)
{
	char *end;

	errno = 0;
	*v = strtoll(*p, &end, 0);
	end += strspn(end, BLANK);
	*after = *end;
	*p = *end ? end + 1 : end;
	return !errno && (!*after || *after == ',');
}

bool kconf_seq(const char *args, bool hex, struct kconf_seq *q)
{
	int64_t v[3];
	unsigned n = 0;
	char after = ',';

	for (; after == ','; n++) {
		if (n == 3 || !number(&args, &v[n], &after))
			return false;
	}
	*q = (struct kconf_seq){ .hex = hex };
	if (n == 1) {
		q->last = v[0];
		q->next = v[0] < 0 ? -1 : 1;
		q->step = v[0] < 1 ? -1 : 1;
	} else if (n == 2) {
		q->next = v[0];
		q->last = v[1];
		q->step = v[0] <= v[1] ? 1 : -1;
	} else {
		q->next = v[0];
		q->step = v[1];
		q->last = v[2];
		if (!q->step || (q->next < q->last && q->step < 0) || (q->next > q->last && q->step > 0))
			return false;
	}
	return !hex || (q->next >= 0 && q->last >= 0);
}

void kconf_lst_free(struct kconf_lst *l)
{
	free(l->mem);
	free(l->names);
	free(l->values);
	*l = (struct kconf_lst){ 0 };
}

/* `a` or `{a, b}` at *p: appends the texts to *to, and their places to list; false: broken, or more than max. */
static bool one_set(const char **p, char **to, char **list, unsigned max, unsigned *n)
{
	const char *s = *p;
	bool braces = *s == '{';

	s += braces;
	for (*n = 0;; s++) {
		s += strspn(s, BLANK);
		size_t len = strcspn(s, " \t,})");
		if (*n == max)
			return false;
		memcpy(*to, s, len);
		list[(*n)++] = *to;
		*to += len;
		*(*to)++ = '\0';
		s += len;
		s += strspn(s, BLANK);
		if (!braces || *s == '}')
			break;
		if (*s != ',')
			return false;
	}
	s += braces;
	*p = s + strspn(s, BLANK);
	return true;
}

const char *kconf_lst(const char *s, struct kconf_lst *l)
{
	size_t len = strlen(s);
	/* each set has a comma before it */
	unsigned max = 2, n;

	for (const char *p = s; *p; p++)
		max += *p == ',';
	*l = (struct kconf_lst){ 0 };
	if (*s++ != '(')
		return NULL;
	l->mem = malloc(2 * len + 2);
	l->names = calloc(NAMES_MAX, sizeof(*l->names));
	require(l->mem && l->names);
	char *to = l->mem;
	s += strspn(s, BLANK);
	if (!one_set(&s, &to, l->names, NAMES_MAX, &l->n_names) || !l->names[0][0] || *s != ',')
		goto broken;
	/* missing values are empty: a set of one text may stand for as many as there are names */
	l->values = calloc((size_t)max * l->n_names, sizeof(*l->values));
	require(l->values);
	while (*s == ',') {
		char **set = l->values + (size_t)l->n_sets * l->n_names;
		s++;
		s += strspn(s, BLANK);
		if (!one_set(&s, &to, set, l->n_names, &n))
			goto broken;
		for (; n < l->n_names; n++)
			set[n] = strchr(set[0], '\0');
		l->n_sets++;
	}
	if (*s != ')')
		goto broken;
	s++;
	return s + strspn(s, BLANK);
broken:
	kconf_lst_free(l);
	return NULL;
}
