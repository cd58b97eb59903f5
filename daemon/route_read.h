/*
 * Purpose: the words of a text about routes or rules, one after the other, shared by both readers.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In/Out:  struct reader over a text of the caller.
 * Errors:  the first complaint stays in why and sets bad; after it nothing more is read.
 */
#ifndef KT_ROUTE_READ_H
#define KT_ROUTE_READ_H

#include "daemon/route_text.h"

#define ROUTE_WORD_MAX 64

struct reader {
	const char *at;
	char word[ROUTE_WORD_MAX]; /* the present one; empty: the end */
	const struct route_names *names;
	char *why;
	bool bad;
	uint64_t seen; /* bit per keyword */
};

struct keyword {
	const char *name;
	int id;
};

void route_complain(struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Checks the length of the text and reads the first word. */
void route_begin(struct reader *r);
void route_next(struct reader *r);
bool route_is(const struct reader *r, const char *text);
/* The id of a word in a list, or -1. */
int route_keyword(const struct keyword *k, unsigned n, const char *word);
#define KEYWORD(list, word) route_keyword(list, sizeof(list) / sizeof((list)[0]), word)
/* A decimal or 0x number; false leaves *out alone. */
bool route_number(const char *text, uint64_t max, uint64_t *out);
/* The value after a keyword; complains when there is none. */
bool route_value(struct reader *r, const char *key);
uint32_t route_value_number(struct reader *r, const char *key, uint64_t min, uint64_t max);
void route_value_dev(struct reader *r, const char *key, char dev[IFNAMSIZ]);
uint32_t route_value_table(struct reader *r, const char *key);
struct addr route_value_addr(struct reader *r, const char *key);
uint8_t route_tos(struct reader *r, const char *key);
/* The present word: an address with a prefix length, or a word for everything. */
bool route_prefix(struct reader *r, uint8_t *af, struct addr *a, uint8_t *plen);
/* True the first time; ids are below 64. */
bool route_once(struct reader *r, int id);
bool route_seen(const struct reader *r, int id);
/* A family's word at the beginning, or 0. */
uint8_t route_family(struct reader *r);
/* All addresses of one text are of one family; *af is it, or 0 so far. */
void route_same_family(struct reader *r, uint8_t *af, uint8_t with, const char *what);

#endif
