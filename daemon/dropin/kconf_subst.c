/* What becomes of a line of keepalived.conf before it is a statement: `@id`, `$NAME=`, ~SEQ, ~LST, $NAME. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/require.h"
#include "daemon/dropin/kconf_int.h"

#define DEF_MAX (16u << 20) /* letters of one variable */

/* Drops the first letters of the line. */
static void cut(struct lex *l, size_t n)
{
	l->len -= n;
	memmove(l->line, l->line + n, l->len + 1);
}

/* xorshift64*: ${_RANDOM} only has to look like chance */
static uint64_t next_random(struct lex *l)
{
	l->random ^= l->random >> 12;
	l->random ^= l->random << 25;
	l->random ^= l->random >> 27;
	return l->random * 0x2545f4914f6cdd1du;
}

static const char *random_text(struct lex *l, const struct kconf_ref *r, char *buf, size_t size)
{
	uint64_t min = 0, max = 32767;
	char *end;

	if (r->args) {
		min = strtoul(r->args, &end, 10);
		if (end < r->args + r->args_len)
			max = strtoul(end, &end, 10);
		if (end != r->args + r->args_len)
			lex_say(l, CFG_WARNING, "${_RANDOM %.*s}: two numbers at most are read, and only digits",
				(int)r->args_len, r->args);
	}
	if (max < min) {
		lex_say(l, CFG_WARNING, "${_RANDOM}: %llu is less than %llu, the lower one is taken",
			(unsigned long long)max, (unsigned long long)min);
		max = min;
	}
	uint64_t range = max - min + 1;
	snprintf(buf, size, "%llu", (unsigned long long)(min + (range ? next_random(l) % range : next_random(l))));
	return buf;
}

static const char *env_text(struct lex *l, const struct kconf_ref *r)
{
	for (const char *const *e = l->o->env; e && *e; e++) {
		if (!strncmp(*e, r->args, r->args_len) && (*e)[r->args_len] == '=')
			return *e + r->args_len + 1;
	}
	lex_say(l, CFG_WARNING, "${_ENV %.*s}: the environment has no such variable; it is empty here",
		(int)r->args_len, r->args);
	return "";
}

static bool is(const struct kconf_ref *r, const char *name)
{
	return strlen(name) == r->name_len && !memcmp(r->name, name, r->name_len);
}

/* The value of what is defined always; NULL: it is not. buf holds it if it has to be made. */
static const char *predefined(struct lex *l, const struct kconf_ref *r, char *buf, size_t size)
{
	if (is(r, "_RANDOM"))
		return random_text(l, r, buf, size);
	if (is(r, "_ENV"))
		return r->args ? env_text(l, r) : NULL;
	if (r->args)
		return NULL;
	if (is(r, "_PWD"))
		return lex_file(l) ? lex_file(l)->name : ".";
	if (is(r, "_INSTANCE"))
		return l->id;
	if (is(r, "_HASH"))
		return "#";
	return is(r, "_BANG") ? "!" : NULL;
}

/* Puts value in for n letters at `at`; false: the line gets too long. */
static bool splice(struct lex *l, size_t at, size_t n, const char *value, size_t len)
{
	if (l->len - n + len > KCONF_LINE_MAX) {
		lex_stop(
		    l, "with its variables put in, the line is longer than %u letters; does a variable contain itself?",
		    KCONF_LINE_MAX);
		return false;
	}
	memmove(l->line + at + len, l->line + at + n, l->len - at - n + 1);
	memcpy(l->line + at, value, len);
	l->len += len - n;
	return true;
}

/* The first line takes the variable's place, the others are read next. */
static bool put_lines(struct lex *l, size_t at, size_t n, const struct kconf_var *v)
{
	const char *nl = memchr(v->value, '\n', v->value_len);
	size_t first = nl ? (size_t)(nl - v->value) : v->value_len;

	if (nl && nl + 1 < v->value + v->value_len) {
		size_t rest = v->value_len - first - 1;
		struct lex_frame f = { .kind = LEX_LINES, .text = malloc(rest + 1) };
		require(f.text);
		memcpy(f.text, nl + 1, rest + 1);
		f.at = f.text;
		f.end = f.text + rest;
		if (!lex_push(l, f))
			return false;
	}
	return splice(l, at, n, v->value, first);
}

static bool starts_sequence(const char *value)
{
	return value[strspn(value, " \t")] == '~';
}

/* Variables from `at` up to l->line + end; true: at least one was put in. What was put in is looked at again. */
static bool substitute(struct lex *l, size_t at)
{
	struct kconf_ref ref;
	char buf[32], *p;
	bool any = false;

	while ((p = strchr(l->line + at, '$'))) {
		at = (size_t)(p - l->line);
		const struct kconf_var *v;
		const char *value = NULL;
		if (!kconf_ref(p, &ref)) {
			at++;
			continue;
		}
		v = kconf_var_get(&l->vars, ref.name, ref.name_len);
		if (v && ref.args)
			v = NULL;
		else if (!v)
			value = predefined(l, &ref, buf, sizeof(buf));
		/* what has several lines must be the last of its own */
		if ((!v && !value) || (v && v->lines && p[ref.len])) {
			at++;
			continue;
		}
		if (!lex_work(l, 1 + (unsigned)(l->len >> 8)))
			return false;
		bool sequence = starts_sequence(v ? v->value : value);
		bool put = !v         ? splice(l, at, ref.len, value, strlen(value))
			   : v->lines ? put_lines(l, at, ref.len, v)
				      : splice(l, at, ref.len, v->value, v->value_len);
		if (!put)
			return false;
		any = true;
		/* its variables get their values when it is repeated */
		if (sequence)
			break;
	}
	return any;
}

/* `$NAME=value`; with a \ at the end the value goes on. */
static void define(struct lex *l, const char *value, size_t name_len)
{
	size_t len = strlen(value);
	bool more = len && value[len - 1] == '\\';
	struct kconf_var *v;

	while (more && --len && (value[len - 1] == ' ' || value[len - 1] == '\t'))
		;
	v = kconf_var_set(&l->vars, l->line + 1, name_len, value, len);
	if (!more)
		return;
	v->lines = true;
	if (len)
		kconf_var_append(v, "\n", 1);
	l->defining = v;
}

/* One more line of the variable that is being defined. */
static void define_more(struct lex *l)
{
	struct kconf_var *v = l->defining;
	size_t len = l->len;
	bool more = len && l->line[len - 1] == '\\';

	while (more && --len && (l->line[len - 1] == ' ' || l->line[len - 1] == '\t'))
		;
	if (!more)
		l->defining = NULL;
	if (v->value_len + len > DEF_MAX) {
		lex_stop(l, "the variable $%s is longer than %u MiB", v->name, DEF_MAX >> 20);
		return;
	}
	kconf_var_append(v, l->line, len);
	if (more && len)
		kconf_var_append(v, "\n", 1);
}

/* `~SEQ(var, ...) text` at l->line; the text is read once for each number. */
static bool sequence(struct lex *l)
{
	bool hex = l->line[4] == 'x';
	const char *p = l->line + 4 + hex;
	struct lex_frame f = { .kind = LEX_SEQ };
	char args[256];

	p += strspn(p, " \t");
	if (*p++ != '(')
		return false;
	p += strspn(p, " \t");
	const char *name = p;
	size_t name_len = strcspn(p, " \t,)");
	p += name_len;
	p += strspn(p, " \t");
	const char *end = strchr(p, ')');
	if (!name_len || *p != ',' || !end)
		return false;
	/* its numbers may be variables; what follows gets its values later */
	p++;
	size_t at = (size_t)(p - l->line), n = (size_t)(end - p);
	struct lex_frame keep = { .text = strdup(end + 1 + strspn(end + 1, " \t")), .name = strndup(name, name_len) };
	require(keep.text && keep.name);
	l->line[at + n] = '\0';
	l->len = at + n;
	while (substitute(l, at))
		;
	n = l->len - at;
	if (l->stopped || n >= sizeof(args)) {
		free(keep.text);
		free(keep.name);
		return l->stopped;
	}
	memcpy(args, l->line + at, n + 1);
	f.text = keep.text;
	f.name = keep.name;
	if (!kconf_seq(args, hex, &f.seq)) {
		free(f.text);
		free(f.name);
		return false;
	}
	lex_push(l, f);
	return true;
}

static bool list(struct lex *l)
{
	struct lex_frame f = { .kind = LEX_LST };
	const char *p = l->line + 4, *rest;

	p += strspn(p, " \t");
	rest = kconf_lst(p, &f.lst);
	if (!rest)
		return false;
	f.text = strdup(rest);
	require(f.text);
	lex_push(l, f);
	return true;
}

bool lex_expand(struct lex *l)
{
	if (l->defining && l->len) {
		define_more(l);
		return false;
	}
	while (l->len && !l->stopped) {
		const char *rest, *value;
		size_t name_len;
		while (l->line[0] == '@') {
			rest = kconf_condition(l->line, l->id);
			if (!rest)
				return false;
			cut(l, (size_t)(rest - l->line));
		}
		value = kconf_definition(l->line, &name_len);
		if (value) {
			define(l, value, name_len);
			return false;
		}
		bool seq = !strncmp(l->line, "~SEQ", 4);
		if (seq || !strncmp(l->line, "~LST", 4)) {
			char said[80];
			snprintf(said, sizeof(said), "%.79s", l->line);
			if (!(seq ? sequence(l) : list(l)))
				lex_say(
				    l, CFG_WARNING, "\"%s\" is not %s; the line is left out", said,
				    seq ? "~SEQ(name, start, step, end) text, with a step that leads from start to end"
					: "~LST(name, value, value) text or ~LST({name, name}, {value, value}) text");
			return false;
		}
		if (l->line[0] == '~' || !substitute(l, 0))
			break;
		size_t lead = strspn(l->line, " \t");
		if (lead)
			cut(l, lead);
		if (!lex_work(l, 1))
			break;
	}
	return l->len && !l->stopped;
}
