#include "ike-hooks/sa_text.h"

#include <string.h>

static const char *const drop_text[] = {
#define SA_TEXT_TEXT(name, text) [name] = text,
	SA_TEXT_TABLE(SA_TEXT_TEXT)
#undef SA_TEXT_TEXT
};

const char *sa_text_drop_text(enum sa_text_drop d)
{
	return (unsigned)d < SA_TEXT_N ? drop_text[d] : "?";
}

/* ---- lines ---- */

void sa_lines_init(struct sa_lines *l)
{
	l->len = 0;
	l->bad = l->done = false;
}

bool sa_lines_feed(struct sa_lines *l, const char *data, size_t n, size_t *used)
{
	if (l->done)
		sa_lines_init(l);
	for (size_t i = 0; i < n; i++) {
		if (data[i] == '\n') {
			l->done = true;
			*used = i + 1;
			return true;
		}
		if (data[i] == '\0' || l->len == sizeof(l->buf))
			l->bad = true;
		else
			l->buf[l->len++] = data[i];
	}
	*used = n;
	return false;
}

bool sa_lines_end(struct sa_lines *l)
{
	return !l->done && (l->len > 0 || l->bad);
}

/* ---- words ---- */

struct cursor {
	const char *p, *end;
};

static bool skip(struct cursor *c, const char *text)
{
	size_t n = strlen(text);

	if ((size_t)(c->end - c->p) < n || memcmp(c->p, text, n) != 0)
		return false;
	c->p += n;
	return true;
}

static bool digit(const struct cursor *c)
{
	return c->p < c->end && *c->p >= '0' && *c->p <= '9';
}

/* At least one digit, not above max. */
static bool number(struct cursor *c, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;

	if (!digit(c))
		return false;
	for (; digit(c); c->p++) {
		uint64_t d = (uint64_t)(*c->p - '0');
		if (n > (max - d) / 10)
			return false;
		n = n * 10 + d;
	}
	*out = n;
	return true;
}

static bool find(struct cursor *c, const char *text)
{
	size_t n = strlen(text);

	for (const char *p = c->p; (size_t)(c->end - p) >= n; p++) {
		if (memcmp(p, text, n) == 0) {
			c->p = p + n;
			return true;
		}
	}
	return false;
}

static bool has(struct cursor c, const char *text)
{
	return find(&c, text);
}

/* ---- whack ---- */

/* "NAME", and for a template which of its instances: "NAME"[2] 192.0.2.9. */
static bool connection(struct cursor *c, char *name)
{
	if (!skip(c, "\""))
		return false;
	const char *end = memchr(c->p, '"', (size_t)(c->end - c->p));
	if (!end || end == c->p)
		return false;
	size_t n = (size_t)(end - c->p);
	name[0] = '\0';
	if (n < IKE_NAME_MAX) {
		memcpy(name, c->p, n);
		name[n] = '\0';
	}
	c->p = end + 1;
	return true;
}

/* A counter that is not there counts as 0: pluto leaves it out when the kernel did not answer. */
static bool counter(struct cursor c, const char *key, uint64_t *out)
{
	*out = 0;
	return !find(&c, key) || number(&c, UINT64_MAX, out);
}

enum sa_text_drop sa_text_whack(const char *line, size_t len, struct sa_text_row *row)
{
	struct cursor c = { line, line + len };
	uint64_t code, serial;

	*row = (struct sa_text_row){ .kind = SA_TEXT_CHILD };
	/* Three digits of code, which newer versions leave out. */
	if (digit(&c) && (!number(&c, 999, &code) || !skip(&c, " ")))
		return SA_TEXT_OTHER;
	if (!skip(&c, "#"))
		return SA_TEXT_OTHER;
	if (!number(&c, UINT32_MAX, &serial) || serial == 0 || !skip(&c, ": "))
		return SA_TEXT_DROP_SERIAL;
	row->id = (uint32_t)serial;
	if (!connection(&c, row->name))
		return SA_TEXT_DROP_NAME;
	if (!has(c, ", type="))
		return SA_TEXT_OTHER; /* a state of another list */
	if (!counter(c, ", inBytes=", &row->in) || !counter(c, ", outBytes=", &row->out))
		return SA_TEXT_DROP_COUNTER;
	return SA_TEXT_OK;
}

/* ---- exec ---- */

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool next_word(struct cursor *c, struct cursor *word)
{
	while (c->p < c->end && blank(*c->p))
		c->p++;
	word->p = c->p;
	while (c->p < c->end && !blank(*c->p))
		c->p++;
	word->end = c->p;
	return word->p < word->end;
}

static bool is(struct cursor w, const char *text)
{
	return skip(&w, text) && w.p == w.end;
}

static bool whole_number(struct cursor w, uint64_t max, uint64_t *out)
{
	return number(&w, max, out) && w.p == w.end;
}

static enum sa_text_drop exec_value(struct cursor word, struct sa_text_row *row)
{
	uint64_t id;

	if (skip(&word, "id=")) {
		if (!whole_number(word, UINT32_MAX, &id))
			return SA_TEXT_DROP_SERIAL;
		row->id = (uint32_t)id;
	} else if (skip(&word, "in=")) {
		if (!whole_number(word, UINT64_MAX, &row->in))
			return SA_TEXT_DROP_COUNTER;
	} else if (skip(&word, "out=")) {
		if (!whole_number(word, UINT64_MAX, &row->out))
			return SA_TEXT_DROP_COUNTER;
	}
	return SA_TEXT_OK; /* a word that we do not know is for somebody else */
}

enum sa_text_drop sa_text_exec(const char *line, size_t len, struct sa_text_row *row)
{
	struct cursor c = { line, line + len }, word;

	*row = (struct sa_text_row){ .kind = SA_TEXT_CHILD };
	if (!next_word(&c, &word))
		return SA_TEXT_OTHER;
	if (is(word, "child-down"))
		row->kind = SA_TEXT_NO_CHILD;
	else if (is(word, "ike-up"))
		row->kind = SA_TEXT_IKE;
	else if (!is(word, "child-up"))
		return SA_TEXT_OTHER;
	while (next_word(&c, &word)) {
		enum sa_text_drop drop = exec_value(word, row);
		if (drop != SA_TEXT_OK)
			return drop;
	}
	return SA_TEXT_OK;
}

/* ---- rows ---- */

bool sa_text_names(const struct sa_text_row *row, const char *connection_name)
{
	size_t n = strlen(connection_name);

	if (strncmp(row->name, connection_name, n) != 0)
		return false;
	return row->name[n] == '\0' || (n > 0 && row->name[n] == '/');
}

void sa_text_add(struct ike_sample *s, const struct sa_text_row *row)
{
	switch (row->kind) {
	case SA_TEXT_IKE:
		s->present = s->established = true;
		return;
	case SA_TEXT_CHILD:
		s->present = s->established = true; /* no child without it */
		if (s->child && row->id < s->sa_id)
			return;
		s->child = true;
		s->sa_id = row->id;
		s->in_packets = row->in;
		s->out_packets = row->out;
		return;
	case SA_TEXT_NO_CHILD:
		s->child = false;
		return;
	}
}
