/*
 * Purpose: what a node knows of itself, as text that travels: one "key=value" line per fact, and the same as a sorted
 *          set that can be asked.
 * Owns:    nothing: a writer fills the caller's buffer, a set points into the text that it was read from.
 * Thread:  any (pure).
 * In:      keys and values; or bytes of another node.   Out: text; or struct pair_facts.
 * Errors:  a writer without room sets `cut` and drops the line; a reader returns enum pair_drop and an empty set.
 *
 * The first line is PAIR_HEAD. A key consists of letters, digits and "._-:/[]"; names stand in brackets: vrrp[lan].mtu.
 * PAIR_UNKNOWN as value: this node cannot find out. A set that was cut says so by the fact PAIR_CUT.
 */
#ifndef KT_PAIR_FACTS_H
#define KT_PAIR_FACTS_H

#include <stdbool.h>
#include <stddef.h>

#define PAIR_HEAD      "keeptrackd-facts=1"
#define PAIR_UNKNOWN   "n/a"
#define PAIR_CUT       "cut"
#define PAIR_TEXT_MAX  (64u << 10) /* bytes of a whole text */
#define PAIR_LINES_MAX 2048u
#define PAIR_KEY_MAX   160u /* with its NUL */
#define PAIR_VALUE_MAX 400u

struct pair_text {
	char *buf;
	size_t len, cap;
	bool cut;
};

/* cap at most PAIR_TEXT_MAX; writes the head. */
void pair_text_begin(struct pair_text *t, char *buf, size_t cap);
/* One fact. What may not stand in a key becomes '_', in a value '?'; too long ones are cut. */
void pair_text_put(struct pair_text *t, const char *key, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Lines that are facts already; whole lines as far as there is room. */
void pair_text_lines(struct pair_text *t, const char *lines);
/* Says PAIR_CUT if something had no room. Returns the length. */
size_t pair_text_end(struct pair_text *t);

/* name, text */
#define PAIR_DROP_TABLE(X)                                                \
	X(PAIR_DROP_LENGTH, "the text is longer than 64 KiB")             \
	X(PAIR_DROP_HEAD, "the text is of a form that is not known here") \
	X(PAIR_DROP_LINE, "a line is no key=value")                       \
	X(PAIR_DROP_KEY, "a key is too long or holds bytes it may not")   \
	X(PAIR_DROP_VALUE, "a value is too long or cannot be shown")      \
	X(PAIR_DROP_TWICE, "a key stands twice")                          \
	X(PAIR_DROP_MANY, "there are too many lines")

enum pair_drop {
	PAIR_OK = 0,
#define PAIR_DROP_ENUM(name, text) name,
	PAIR_DROP_TABLE(PAIR_DROP_ENUM)
#undef PAIR_DROP_ENUM
	    PAIR_DROP_N
};
/* Static text; never NULL. */
const char *pair_drop_text(enum pair_drop d);

struct pair_fact {
	const char *key, *value;
};

/* Large: allocate it. */
struct pair_facts {
	struct pair_fact fact[PAIR_LINES_MAX]; /* sorted by key */
	unsigned n;
	bool cut;
};

/* Reads text[len], which becomes strings in place and must outlive the set. */
enum pair_drop pair_facts_read(char *text, size_t len, struct pair_facts *out);
/* The value; NULL: this set does not have the key. */
const char *pair_facts_find(const struct pair_facts *f, const char *key);
/* Index of the first fact whose key begins with this prefix, or f->n. */
unsigned pair_facts_prefix(const struct pair_facts *f, const char *prefix);
/* A whole number: 0 and *out, or -1. */
int pair_number(const char *value, long long *out);

#endif
