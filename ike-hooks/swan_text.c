#include "ike-hooks/swan_text.h"

#include <stdlib.h>
#include <string.h>

static const char *const drop_text[] = {
#define SWAN_TEXT(name, text) [name] = text,
	SWAN_DROP_TABLE(SWAN_TEXT)
#undef SWAN_TEXT
};

const char *swan_drop_text(enum swan_drop d)
{
	return (unsigned)d < SWAN_DROP_N ? drop_text[d] : "unknown reason";
}

void swan_begin(struct swan_rd *r, const char *text, size_t len)
{
	memset(r, 0, sizeof(*r));
	r->p = text;
	r->end = text + len;
	r->line = 1;
}

static enum swan_tok bad(struct swan_rd *r, enum swan_drop why)
{
	r->drop = why;
	r->p = r->end;
	return SWAN_T_BAD;
}

static bool at(const struct swan_rd *r, char c)
{
	return r->p < r->end && *r->p == c;
}

static void skip_comment(struct swan_rd *r)
{
	while (r->p < r->end && *r->p != '\n')
		r->p++;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Blanks, and with lines also line feeds and comments. */
static void skip(struct swan_rd *r, bool lines)
{
	for (; r->p < r->end; r->p++) {
		if (lines && *r->p == '#') {
			skip_comment(r);
			if (r->p == r->end)
				return;
		}
		if (*r->p == '\n' && lines)
			r->line++;
		else if (!blank(*r->p))
			return;
	}
}

/* What stands in quotes; r->p is behind the first one. False: it does not end. */
static bool quoted(struct swan_rd *r, char *out, size_t *n, size_t cap)
{
	for (; r->p < r->end; r->p++) {
		char c = *r->p;
		if (c == '"') {
			r->p++;
			return true;
		}
		r->line += c == '\n';
		if (c == '\\' && r->p + 1 < r->end)
			c = *++r->p;
		if (*n + 1 < cap)
			out[(*n)++] = c;
	}
	return false;
}

static enum swan_drop take_name(struct swan_rd *r)
{
	size_t n = 0;
	bool any = false;

	memset(r->name, 0, sizeof(r->name));
	if (at(r, '"')) {
		r->p++;
		if (!quoted(r, r->name, &n, sizeof(r->name)))
			return SWAN_DROP_QUOTE;
		return n && n + 1 < sizeof(r->name) ? SWAN_OK : SWAN_DROP_NAME;
	}
	while (r->p < r->end && !blank(*r->p) && !strchr("\n#{}=:,\"", *r->p)) {
		if (n + 1 == sizeof(r->name))
			return SWAN_DROP_NAME;
		r->name[n++] = *r->p++;
		any = true;
	}
	return any && !memchr(r->name, 0, n) ? SWAN_OK : SWAN_DROP_NAME;
}

/* Up to the end of the line, a comment or a closing brace. */
static enum swan_drop take_value(struct swan_rd *r)
{
	size_t n = 0;

	memset(r->value, 0, sizeof(r->value));
	skip(r, false);
	while (r->p < r->end && *r->p != '\n' && *r->p != '#' && *r->p != '}') {
		if (*r->p == '"') {
			r->p++;
			if (!quoted(r, r->value, &n, sizeof(r->value)))
				return SWAN_DROP_QUOTE;
			continue;
		}
		if (n + 1 < sizeof(r->value))
			r->value[n++] = *r->p;
		r->p++;
	}
	while (n && blank(r->value[n - 1]))
		r->value[--n] = '\0';
	return SWAN_OK;
}

static enum swan_tok section(struct swan_rd *r)
{
	char name[SWAN_NAME_MAX];

	memcpy(name, r->name, sizeof(name));
	r->refs = false;
	while (at(r, ':') || at(r, ',')) {
		r->p++;
		skip(r, true);
		if (at(r, '{'))
			break;
		enum swan_drop d = take_name(r);
		if (d != SWAN_OK)
			return bad(r, d);
		r->refs = true;
		skip(r, true);
	}
	memcpy(r->name, name, sizeof(name));
	if (!at(r, '{'))
		return bad(r, SWAN_DROP_FOLLOWS);
	r->p++;
	if (r->depth == SWAN_DEPTH_MAX)
		return bad(r, SWAN_DROP_DEPTH);
	r->depth++;
	return SWAN_T_SECTION;
}

enum swan_tok swan_next(struct swan_rd *r)
{
	enum swan_drop d;

	if (r->drop != SWAN_OK)
		return SWAN_T_BAD;
	skip(r, true);
	if (r->p == r->end)
		return r->depth ? bad(r, SWAN_DROP_BALANCE) : SWAN_T_END;
	if (at(r, '}')) {
		if (!r->depth)
			return bad(r, SWAN_DROP_BALANCE);
		r->p++;
		r->depth--;
		return SWAN_T_SECTION_END;
	}
	d = take_name(r);
	if (d != SWAN_OK)
		return bad(r, d);
	if (strcmp(r->name, "include") == 0 && r->p < r->end && blank(*r->p)) {
		skip(r, false);
		if (!at(r, '=') && !at(r, '{')) {
			d = take_value(r);
			return d == SWAN_OK ? SWAN_T_INCLUDE : bad(r, d);
		}
	}
	skip(r, true);
	if (at(r, '=')) {
		r->p++;
		d = take_value(r);
		return d == SWAN_OK ? SWAN_T_KEY : bad(r, d);
	}
	return section(r);
}

/* ---- facts ---- */

void swan_facts_init(struct swan_facts *f, struct swan_conn *room, unsigned cap)
{
	*f = (struct swan_facts){ .conn = room, .cap = cap, .timeout_s = 4.0, .base = 1.8, .limit_s = 0, .tries = 5 };
}

static bool is_yes(const char *v)
{
	return strcmp(v, "yes") == 0 || strcmp(v, "true") == 0 || strcmp(v, "enabled") == 0 || strcmp(v, "1") == 0;
}

/* The connection under way; NULL: its name cannot be one of ours, or there is no room. */
static struct swan_conn *conn_at(struct swan_facts *f, const struct swan_rd *r)
{
	size_t len = strlen(r->name);
	struct swan_conn *c = NULL;

	if (len >= IKE_NAME_MAX)
		return NULL;
	for (unsigned i = 0; i < f->n && !c; i++) {
		if (strcmp(f->conn[i].name, r->name) == 0)
			c = &f->conn[i];
	}
	if (!c && f->n == f->cap) {
		f->more++;
		return NULL;
	}
	if (!c) {
		c = &f->conn[f->n++];
		memset(c, 0, sizeof(*c));
		memcpy(c->name, r->name, len + 1);
	}
	c->refs |= r->refs;
	return c;
}

static struct swan_child *child_at(struct swan_conn *c, const struct swan_rd *r)
{
	size_t len = strlen(r->name);

	if (!c || len >= IKE_NAME_MAX)
		return NULL;
	for (uint8_t i = 0; i < c->n_children; i++) {
		if (strcmp(c->child[i].name, r->name) == 0)
			return &c->child[i];
	}
	if (c->n_children == VICI_CONN_CHILDREN)
		return NULL;
	struct swan_child *k = &c->child[c->n_children++];
	memset(k, 0, sizeof(*k));
	memcpy(k->name, r->name, len + 1);
	k->refs = r->refs;
	return k;
}

/* "1.5": digits, and perhaps a point and more of them; whatever the locale. */
static bool decimal(const char *text, double *out)
{
	double unit = 1;

	*out = 0;
	if (*text < '0' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9' && *out < 1e9; text++)
		*out = *out * 10 + (*text - '0');
	if (*text == '.') {
		for (text++; *text >= '0' && *text <= '9'; text++)
			*out += (*text - '0') * (unit /= 10);
	}
	return *text == '\0';
}

static void charon_key(struct swan_facts *f, const struct swan_rd *r)
{
	double v;

	if (!decimal(r->value, &v) || v > 86400)
		return;
	if (strcmp(r->name, "retransmit_timeout") == 0 && v > 0)
		f->timeout_s = v;
	else if (strcmp(r->name, "retransmit_base") == 0 && v >= 1)
		f->base = v;
	else if (strcmp(r->name, "retransmit_limit") == 0)
		f->limit_s = v;
	else if (strcmp(r->name, "retransmit_tries") == 0)
		f->tries = (unsigned)v;
}

enum swan_drop swan_read(struct swan_facts *f, const char *text, size_t len, unsigned *line)
{
	enum { NOWHERE, CONNS, CHARON } top = NOWHERE;
	struct swan_rd r;
	struct swan_conn *conn = NULL;
	struct swan_child *child = NULL;
	bool in_children = false;

	swan_begin(&r, text, len);
	for (enum swan_tok t = swan_next(&r); t != SWAN_T_END && t != SWAN_T_BAD; t = swan_next(&r)) {
		if (t == SWAN_T_SECTION && r.depth == 1) {
			top = strcmp(r.name, "connections") == 0 ? CONNS
			      : strcmp(r.name, "charon") == 0    ? CHARON
								 : NOWHERE;
		} else if (t == SWAN_T_SECTION && top == CONNS && r.depth == 2) {
			conn = conn_at(f, &r);
		} else if (t == SWAN_T_SECTION && top == CONNS && r.depth == 3) {
			in_children = strcmp(r.name, "children") == 0;
		} else if (t == SWAN_T_SECTION && top == CONNS && r.depth == 4 && in_children) {
			child = child_at(conn, &r);
		} else if (t == SWAN_T_KEY && top == CHARON && r.depth == 1) {
			charon_key(f, &r);
		} else if (t == SWAN_T_KEY && top == CONNS && r.depth == 2 && conn && strcmp(r.name, "mobike") == 0) {
			conn->has_mobike = true;
			conn->mobike = is_yes(r.value);
		} else if (t == SWAN_T_KEY && top == CONNS && r.depth == 4 && in_children && child &&
			   strcmp(r.name, "start_action") == 0) {
			child->start = vici_action_of(r.value);
		}
		if (t == SWAN_T_SECTION_END && r.depth == 1)
			conn = NULL;
		if (t == SWAN_T_SECTION_END && r.depth == 2)
			in_children = false;
		if (t == SWAN_T_SECTION_END && r.depth == 3)
			child = NULL;
	}
	enum swan_drop d = r.drop;
	*line = r.line;
	explicit_bzero(&r, sizeof(r)); /* the last value may have been a secret */
	return d;
}

bool swan_include(const char *text, size_t len, unsigned i, char *buf, size_t size)
{
	struct swan_rd r;
	bool found = false;

	swan_begin(&r, text, len);
	for (enum swan_tok t = swan_next(&r); t != SWAN_T_END && t != SWAN_T_BAD; t = swan_next(&r)) {
		if (t != SWAN_T_INCLUDE || r.depth || i--)
			continue;
		size_t n = strlen(r.value);
		found = n < size;
		if (found)
			memcpy(buf, r.value, n + 1);
		break;
	}
	explicit_bzero(&r, sizeof(r));
	return found;
}

static int by_name(const void *a, const void *b)
{
	const struct swan_conn *x = a, *y = b;

	return strcmp(x->name, y->name);
}

void swan_sort(struct swan_facts *f)
{
	qsort(f->conn, f->n, sizeof(*f->conn), by_name);
	f->sorted = true;
}

static const struct swan_conn *swan_find(const struct swan_facts *f, const char *name)
{
	struct swan_conn key = { .name = "" };

	if (f->sorted && strlen(name) < sizeof(key.name)) {
		memcpy(key.name, name, strlen(name) + 1);
		return bsearch(&key, f->conn, f->n, sizeof(key), by_name);
	}
	for (unsigned i = 0; i < f->n; i++) {
		if (strcmp(f->conn[i].name, name) == 0)
			return &f->conn[i];
	}
	return NULL;
}

void swan_merge(const struct swan_facts *f, struct vici_conn *c)
{
	const struct swan_conn *s = swan_find(f, c->name);

	if (!s)
		return;
	/* Unset is yes, and none; unless another section is referred to, which may set it. */
	if (!c->has_mobike && (s->has_mobike || !s->refs)) {
		c->has_mobike = true;
		c->mobike = !s->has_mobike || s->mobike;
	}
	for (uint8_t k = 0; k < s->n_children; k++) {
		for (uint8_t m = 0; m < c->n_children; m++) {
			struct vici_child_conf *kid = &c->child[m];
			if (kid->start != VICI_DO_UNKNOWN || strcmp(kid->name, s->child[k].name) != 0)
				continue;
			if (s->child[k].start != VICI_DO_UNKNOWN)
				kid->start = s->child[k].start;
			else if (!s->child[k].refs && !s->refs)
				kid->start = VICI_DO_NOTHING;
		}
	}
}

uint32_t swan_retransmit_s(const struct swan_facts *f)
{
	double sum = 0, step = f->timeout_s;

	for (unsigned i = 0; i <= f->tries && sum < 1e6; i++, step *= f->base)
		sum += f->limit_s > 0 && step > f->limit_s ? f->limit_s : step;
	uint32_t whole = (uint32_t)sum;
	return whole < sum ? whole + 1 : whole;
}
