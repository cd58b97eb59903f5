/* The table of configuration keys and questions about it. */
#include <net/if.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/addr.h"
#include "daemon/base/mono.h"
#include "daemon/base/require.h"
#include "daemon/cfg.h"
#include "daemon/cfg_rows.h"
#include "daemon/cfg_schema.h"

#define ROWS_MAX 512

/*
 * What follows from the paths, found once: a file of many thousand virtual routers asks for it millions of times. 0: not
 * asked for yet. Any thread may fill in a word, and all find the same.
 */
static _Atomic uint16_t name_at[ROWS_MAX];         /* offset of a row's name + 1 */
static _Atomic uint16_t first_child[ROWS_MAX + 1]; /* of section + 1 (-1: the file): row + 2; 1: there is none */
static _Atomic uint16_t next_child[ROWS_MAX];      /* the row after it in the same section, likewise */

unsigned cfg_schema_rows(void)
{
	return cfg_rows_n;
}

const struct cfg_key *cfg_schema_row(unsigned r)
{
	return &cfg_rows[r];
}

const char *cfg_schema_name(unsigned r)
{
	uint16_t at = atomic_load_explicit(&name_at[r], memory_order_relaxed);

	if (at == 0) {
		const char *dot = strrchr(cfg_rows[r].path, '.');
		at = (uint16_t)(dot ? dot + 2 - cfg_rows[r].path : 1);
		atomic_store_explicit(&name_at[r], at, memory_order_relaxed);
	}
	return cfg_rows[r].path + at - 1;
}

enum cfg_scope cfg_schema_scope(unsigned r)
{
	return strncmp(cfg_rows[r].path, "node", 4) == 0 && (cfg_rows[r].path[4] == '\0' || cfg_rows[r].path[4] == '.')
		   ? CFG_SCOPE_LOCAL
		   : CFG_SCOPE_SHARED;
}

/* Length of the prefix that the children of a section share, its '.' included. */
static size_t child_prefix(int section, char *buf, size_t size)
{
	if (section < 0) {
		buf[0] = '\0';
		return 0;
	}
	return (size_t)snprintf(buf, size, "%s%s.", cfg_rows[section].path,
				cfg_rows[section].type == CFG_T_RECORDS ? "[]" : "");
}

static int find_child(int section, int prev)
{
	char prefix[96];
	size_t len = child_prefix(section, prefix, sizeof(prefix));

	require(cfg_rows_n <= ROWS_MAX);
	for (int r = prev < 0 ? section + 1 : prev + 1; r < (int)cfg_rows_n; r++) {
		if (strncmp(cfg_rows[r].path, prefix, len) != 0)
			return -1;
		if (!strpbrk(cfg_rows[r].path + len, ".["))
			return r;
	}
	return -1;
}

int cfg_schema_child_next(int section, int prev)
{
	_Atomic uint16_t *at = prev < 0 ? &first_child[section + 1] : &next_child[prev];
	uint16_t row = atomic_load_explicit(at, memory_order_relaxed);

	if (row == 0) {
		row = (uint16_t)(find_child(section, prev) + 2);
		atomic_store_explicit(at, row, memory_order_relaxed);
	}
	return (int)row - 2;
}

int cfg_schema_child(int section, const char *name)
{
	for (int r = cfg_schema_child_next(section, -1); r >= 0; r = cfg_schema_child_next(section, r)) {
		if (strcmp(cfg_schema_name((unsigned)r), name) == 0)
			return r;
	}
	return -1;
}

int cfg_schema_find(const char *path)
{
	for (unsigned r = 0; r < cfg_rows_n; r++) {
		if (strcmp(cfg_rows[r].path, path) == 0)
			return (int)r;
	}
	return -1;
}

/* Edit distance where a swap of two neighbours counts once; words longer than the row are far from everything. */
static unsigned distance(const char *a, const char *b)
{
	enum { W = 40 };
	unsigned row[3][W + 1];
	size_t la = strlen(a), lb = strlen(b);

	if (la > W || lb > W)
		return W;
	for (size_t j = 0; j <= lb; j++)
		row[0][j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		unsigned *now = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];
		now[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned best = up[j - 1] + (a[i - 1] != b[j - 1]);
			if (up[j] + 1 < best)
				best = up[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && up2[j - 2] + 1 < best)
				best = up2[j - 2] + 1;
			now[j] = best;
		}
	}
	return row[la % 3][lb];
}

int cfg_schema_nearest(int section, const char *name)
{
	unsigned limit = 1 + (unsigned)strlen(name) / 3, best = limit + 1;
	int found = -1;

	for (int r = cfg_schema_child_next(section, -1); r >= 0; r = cfg_schema_child_next(section, r)) {
		unsigned d = distance(name, cfg_schema_name((unsigned)r));
		if (d < best) {
			best = d;
			found = r;
		}
	}
	return found;
}

int cfg_schema_word(const struct cfg_key *k, const char *text)
{
	for (int i = 0; k->words && k->words[i]; i++) {
		if (strcmp(k->words[i], text) == 0)
			return i;
	}
	return -1;
}

const char *cfg_schema_word_nearest(const struct cfg_key *k, const char *text)
{
	unsigned best = 2 + (unsigned)strlen(text) / 3;
	const char *found = NULL;

	for (int i = 0; k->words && k->words[i]; i++) {
		unsigned d = distance(text, k->words[i]);
		if (d < best) {
			best = d;
			found = k->words[i];
		}
	}
	return found;
}

char *cfg_time_text(int64_t ns, char *buf, size_t size)
{
	long long whole = ns / NS_PER_SEC, frac = ns % NS_PER_SEC;

	if (!frac) {
		snprintf(buf, size, "%lld", whole);
		return buf;
	}
	int n = snprintf(buf, size, "%lld.%09lld", whole, frac);
	while (n > 0 && (size_t)n < size && buf[n - 1] == '0')
		buf[--n] = '\0';
	return buf;
}

static char *want_words(const struct cfg_key *k, const char *lead, char *buf, size_t size)
{
	size_t at = (size_t)snprintf(buf, size, "%s", lead);

	for (int i = 0; k->words[i] && at < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s\"%s\"", i ? ", " : " ", k->words[i]);
	return buf;
}

static char *want_number(const struct cfg_key *k, char *buf, size_t size)
{
	char lo[32], hi[32];

	if (k->type == CFG_T_TIME)
		snprintf(buf, size, "a time in seconds from %s to %s", cfg_time_text(k->min, lo, sizeof(lo)),
			 cfg_time_text(k->max, hi, sizeof(hi)));
	else
		snprintf(buf, size, "a whole number from %lld to %lld%s%s", (long long)k->min, (long long)k->max,
			 k->unit ? " " : "", k->unit ? k->unit : "");
	return buf;
}

char *cfg_schema_want(const struct cfg_key *k, char *buf, size_t size)
{
	switch (k->type) {
	case CFG_T_BLOCK:
		snprintf(buf, size, "a block: { key = value; ... }");
		return buf;
	case CFG_T_RECORDS:
		snprintf(buf, size, "a list of records: ( { key = value; ... }, ... )%s",
			 k->flags & CFG_F_SHORT  ? " or of texts: ( \"...\", ... )"
			 : k->flags & CFG_F_AUTO ? " or the word \"auto\""
						 : "");
		return buf;
	case CFG_T_BOOL:
		snprintf(buf, size, "true or false");
		return buf;
	case CFG_T_INT:
	case CFG_T_TIME:
		return want_number(k, buf, size);
	case CFG_T_WORD:
		return want_words(k, "one of", buf, size);
	case CFG_T_WORDS:
		return want_words(k, "a list of some of", buf, size);
	case CFG_T_NAME:
		snprintf(buf, size,
			 k->flags & CFG_F_WIDE
			     ? "a name in quotes: 1 to %lld bytes without blanks, quotes and backslashes"
			     : "a name in quotes: 1 to %lld letters, digits, '.', '_' or '-'",
			 (long long)k->max);
		return buf;
	case CFG_T_IFNAME:
		snprintf(buf, size, "an interface name in quotes, 1 to %d bytes without blanks and '/'", IFNAMSIZ - 1);
		return buf;
	case CFG_T_TEXT:
		snprintf(buf, size, "a text in quotes of %lld to %lld bytes without control characters",
			 (long long)k->min, (long long)k->max);
		return buf;
	case CFG_T_PATH:
		snprintf(buf, size, "an absolute path in quotes, at most %lld bytes", (long long)k->max);
		return buf;
	case CFG_T_ADDR:
		snprintf(buf, size, "an IPv4 or IPv6 address in quotes");
		return buf;
	case CFG_T_PREFIX:
		snprintf(buf, size, "an address with prefix length in quotes, like \"10.0.1.1/24\" or \"fe80::1/64\"");
		return buf;
	case CFG_T_NAMES:
		snprintf(buf, size, "a list of names: ( \"a\", \"b\" )");
		return buf;
	case CFG_T_ADDRS:
		snprintf(buf, size, "a list of 1 to %lld addresses: ( \"10.9.0.1\" )", (long long)k->max);
		return buf;
	case CFG_T_ARGV:
		snprintf(buf, size, "a list of a program's absolute path and at most %lld arguments, in quotes",
			 (long long)k->max - 1);
		return buf;
	}
	return buf;
}

static bool only_name_chars(const char *s)
{
	for (; *s; s++) {
		bool alnum = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9');
		if (!alnum && *s != '.' && *s != '_' && *s != '-')
			return false;
	}
	return true;
}

/* Names that other programs chose. */
static bool only_visible_chars(const char *s)
{
	for (; *s; s++)
		if ((signed char)*s <= ' ' || *s == 0x7f || *s == '"' || *s == '\\')
			return false;
	return true;
}

static bool no_control_chars(const char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	}
	return true;
}

static bool prefix_ok(const char *text)
{
	struct addr a;
	uint8_t plen;

	return addr_parse_prefix(text, &a, &plen) && plen > 0;
}

/* The kernel's dev_valid_name(): no '/', no ':', no white space, not "." or "..". */
static bool ifname_ok(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len < IFNAMSIZ && !strpbrk(text, "/: ") && no_control_chars(text) && strcmp(text, ".") &&
	       strcmp(text, "..");
}

bool cfg_schema_text_ok(const struct cfg_key *k, const char *text)
{
	size_t len = strlen(text);
	struct addr a;
	int64_t num;

	switch (k->type) {
	case CFG_T_BLOCK:
	case CFG_T_RECORDS:
		return false;
	case CFG_T_BOOL:
	case CFG_T_INT:
	case CFG_T_TIME:
		return cfg_schema_num(k, text, &num) && num >= k->min && num <= k->max;
	case CFG_T_WORD:
	case CFG_T_WORDS:
		return cfg_schema_word(k, text) >= 0;
	case CFG_T_NAME:
		return len >= 1 && len <= (size_t)k->max &&
		       (k->flags & CFG_F_WIDE ? only_visible_chars(text) : only_name_chars(text));
	case CFG_T_NAMES:
		return len >= 1 && len < VRRP_NAME_MAX && only_visible_chars(text);
	case CFG_T_IFNAME:
		return ifname_ok(text);
	case CFG_T_TEXT:
		return len >= (size_t)k->min && len <= (size_t)k->max && no_control_chars(text);
	case CFG_T_PATH:
		return text[0] == '/' && len <= (size_t)k->max && no_control_chars(text);
	case CFG_T_ADDR:
	case CFG_T_ADDRS:
		return addr_parse(text, &a);
	case CFG_T_PREFIX:
		return prefix_ok(text);
	case CFG_T_ARGV:
		return true;
	}
	return false;
}

/* "12", "0.1" in seconds to ns; at most nine decimals. */
static bool time_num(const char *text, int64_t *out)
{
	char *end;
	long long whole = strtoll(text, &end, 10);
	int64_t frac = 0, unit = NS_PER_SEC;

	if (end == text || whole < 0 || whole > INT64_MAX / NS_PER_SEC - 1)
		return false;
	if (*end == '.') {
		for (end++; *end >= '0' && *end <= '9' && unit > 1; end++) {
			unit /= 10;
			frac += (*end - '0') * unit;
		}
	}
	*out = whole * NS_PER_SEC + frac;
	return *end == '\0';
}

static bool words_num(const struct cfg_key *k, const char *text, int64_t *out)
{
	char word[32];

	*out = 0;
	while (*text) {
		size_t len = strcspn(text, " ");
		if (len >= sizeof(word))
			return false;
		memcpy(word, text, len);
		word[len] = '\0';
		int w = cfg_schema_word(k, word);
		if (w < 0)
			return false;
		*out |= INT64_C(1) << w;
		text += len + strspn(text + len, " ");
	}
	return true;
}

bool cfg_schema_num(const struct cfg_key *k, const char *text, int64_t *out)
{
	char *end;

	switch (k->type) {
	case CFG_T_BOOL:
		*out = strcmp(text, "true") == 0;
		return *out || strcmp(text, "false") == 0;
	case CFG_T_INT:
		*out = strtoll(text, &end, 10);
		return end != text && *end == '\0';
	case CFG_T_TIME:
		return time_num(text, out);
	case CFG_T_WORD:
		*out = cfg_schema_word(k, text);
		return *out >= 0;
	case CFG_T_WORDS:
		return words_num(k, text, out);
	case CFG_T_BLOCK:
	case CFG_T_RECORDS:
	case CFG_T_NAME:
	case CFG_T_IFNAME:
	case CFG_T_TEXT:
	case CFG_T_PATH:
	case CFG_T_ADDR:
	case CFG_T_PREFIX:
	case CFG_T_NAMES:
	case CFG_T_ADDRS:
	case CFG_T_ARGV:
		break;
	}
	return false;
}
