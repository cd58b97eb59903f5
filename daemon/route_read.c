/* A text is cut into words at blanks; each keyword may stand once. */
#include "daemon/route_read.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MAX      255
#define TABLE_DEFAULT 253

void route_complain(struct reader *r, const char *fmt, ...)
{
	va_list ap;
	if (r->bad)
		return;
	r->bad = true;
	va_start(ap, fmt);
	vsnprintf(r->why, ROUTE_ERROR_MAX, fmt, ap);
	va_end(ap);
}

void route_next(struct reader *r)
{
	r->at += strspn(r->at, " \t\r\n");
	size_t n = strcspn(r->at, " \t\r\n");
	if (n >= ROUTE_WORD_MAX) {
		route_complain(r, "the word '%.20s...' is too long", r->at);
		n = 0;
	}
	memcpy(r->word, r->at, n);
	r->word[n] = '\0';
	r->at += n;
}

void route_begin(struct reader *r)
{
	if (strlen(r->at) > TEXT_MAX)
		route_complain(r, "the text is longer than %d letters", TEXT_MAX);
	else
		route_next(r);
}

bool route_is(const struct reader *r, const char *text)
{
	return strcmp(r->word, text) == 0;
}

int route_keyword(const struct keyword *k, unsigned n, const char *word)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(k[i].name, word) == 0)
			return k[i].id;
	return -1;
}

/* A decimal or 0x number; false leaves *out alone. */
bool route_number(const char *text, uint64_t max, uint64_t *out)
{
	unsigned base = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
	const char *p = base == 16 ? text + 2 : text;
	uint64_t v = 0;
	if (!*p)
		return false;
	for (; *p; p++) {
		unsigned d = *p >= '0' && *p <= '9'   ? (unsigned)(*p - '0')
			     : *p >= 'a' && *p <= 'f' ? (unsigned)(*p - 'a' + 10)
			     : *p >= 'A' && *p <= 'F' ? (unsigned)(*p - 'A' + 10)
						      : 99;
		if (d >= base || v > (max - d) / base)
			return false;
		v = v * base + d;
	}
	*out = v;
	return true;
}

/* The value after a keyword; complains when there is none. */
bool route_value(struct reader *r, const char *key)
{
	route_next(r);
	if (!r->word[0])
		route_complain(r, "a value is missing after '%s'", key);
	return !r->bad;
}

uint32_t route_value_number(struct reader *r, const char *key, uint64_t min, uint64_t max)
{
	uint64_t v = min;
	if (route_value(r, key) && (!route_number(r->word, max, &v) || v < min))
		route_complain(r, "'%s' after '%s' is no number from %llu to %llu", r->word, key,
			       (unsigned long long)min, (unsigned long long)max);
	return (uint32_t)v;
}

void route_value_dev(struct reader *r, const char *key, char dev[IFNAMSIZ])
{
	if (!route_value(r, key))
		return;
	size_t n = strlen(r->word);
	if (n >= IFNAMSIZ) {
		route_complain(r, "'%s' after '%s' is too long for an interface name (at most %d letters)", r->word,
			       key, IFNAMSIZ - 1);
		return;
	}
	memset(dev, 0, IFNAMSIZ);
	memcpy(dev, r->word, n);
}

static const struct keyword table_words[] = { { "default", TABLE_DEFAULT },
					      { "main", ROUTE_TABLE_MAIN },
					      { "local", ROUTE_TABLE_LOCAL } };

uint32_t route_value_table(struct reader *r, const char *key)
{
	uint64_t v = 0;
	if (!route_value(r, key))
		return 0;
	int known = KEYWORD(table_words, r->word);
	if (known >= 0)
		return (uint32_t)known;
	for (unsigned i = 0; r->names && i < r->names->n; i++)
		if (strcmp(r->names->table[i].name, r->word) == 0)
			return r->names->table[i].id;
	if (!route_number(r->word, UINT32_MAX, &v) || v == 0)
		route_complain(
		    r,
		    "'%s' after '%s' is no routing table: a number from 1, main, local, default, or a name from "
		    "/etc/iproute2/rt_tables",
		    r->word, key);
	return (uint32_t)v;
}

struct addr route_value_addr(struct reader *r, const char *key)
{
	struct addr a = { 0 };
	if (route_value(r, key) && !addr_parse(r->word, &a))
		route_complain(r, "'%s' after '%s' is no IP address", r->word, key);
	return a;
}

/* An address with a prefix length, or a family's word for everything. */
bool route_prefix(struct reader *r, uint8_t *af, struct addr *a, uint8_t *plen)
{
	static const struct keyword all[] = { { "default", 0 }, { "any", 0 }, { "all", 0 } };
	*a = (struct addr){ 0 };
	*plen = 0;
	if (KEYWORD(all, r->word) >= 0)
		return true;
	if (!addr_parse_prefix(r->word, a, plen)) {
		route_complain(r, "'%s' is neither ADDRESS/LENGTH nor default", r->word);
		return false;
	}
	struct addr masked = *a;
	for (unsigned bit = *plen; bit < addr_len(a->af) * 8; bit++)
		masked.b[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
	if (!addr_eq(&masked, a)) {
		char text[ADDR_TEXT_MAX];
		route_complain(r, "'%s' has bits behind its prefix length: is it %s/%u?", r->word,
			       addr_text(&masked, text), *plen);
		return false;
	}
	*af = a->af;
	return true;
}

/* True the first time; keywords are below 64. */
bool route_once(struct reader *r, int id)
{
	if (r->seen & UINT64_C(1) << id) {
		route_complain(r, "'%s' is given twice", r->word);
		return false;
	}
	r->seen |= UINT64_C(1) << id;
	return true;
}

bool route_seen(const struct reader *r, int id)
{
	return (r->seen & UINT64_C(1) << id) != 0;
}

/* A family's word at the beginning. */
uint8_t route_family(struct reader *r)
{
	static const struct keyword words[] = {
		{ "inet", ADDR_V4 }, { "-4", ADDR_V4 }, { "inet6", ADDR_V6 }, { "-6", ADDR_V6 }
	};
	int af = KEYWORD(words, r->word);
	if (af < 0)
		return 0;
	route_next(r);
	return (uint8_t)af;
}

/* All addresses of one text are of one family; *af is it, or 0 so far. */
void route_same_family(struct reader *r, uint8_t *af, uint8_t with, const char *what)
{
	if (!with || r->bad)
		return;
	if (*af && *af != with)
		route_complain(r, "'%s': the address of '%s' is of the other family", r->word, what);
	*af = with;
}

uint8_t route_tos(struct reader *r, const char *key)
{
	uint64_t v = 0;
	if (route_value(r, key) && (!route_number(r->word, 0xff, &v) || v & 3))
		route_complain(r, "'%s' after '%s' is no type of service: a multiple of 4 up to 0xfc", r->word, key);
	return (uint8_t)v;
}
