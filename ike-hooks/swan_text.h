/*
 * Purpose: reads what VICI does not tell out of strongSwan's configuration files: mobike and start_action of connections
 *          (swanctl.conf), and how long charon repeats a request (strongswan.conf).
 * Owns:    nothing; the caller gives room for the facts. Nothing else of the files is kept: they may contain secrets.
 * Thread:  any (pure).
 * In:      the text of a file.   Out: tokens; facts.
 * Errors:  enum swan_drop with the line; facts from before it stay.
 *
 * Syntax as in strongswan.conf(5): NAME [: REFERENCE, ...] { ... }, NAME = VALUE up to the end of the line or a closing
 * brace, "quoted" parts, # comments, include PATTERN.
 */
#ifndef KT_SWAN_TEXT_H
#define KT_SWAN_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ike-hooks/vici_conn.h"

#define SWAN_DEPTH_MAX 16
#define SWAN_NAME_MAX  128
#define SWAN_VALUE_MAX 256

#define SWAN_DROP_TABLE(X)                                              \
	X(SWAN_OK, "well-formed")                                       \
	X(SWAN_DROP_NAME, "a name is missing or longer than 127 bytes") \
	X(SWAN_DROP_FOLLOWS, "neither = nor { follows a name")          \
	X(SWAN_DROP_BALANCE, "a brace too many or too few")             \
	X(SWAN_DROP_DEPTH, "more than 16 sections inside each other")   \
	X(SWAN_DROP_QUOTE, "a quoted text does not end")

enum swan_drop {
#define SWAN_ENUM(name, text) name,
	SWAN_DROP_TABLE(SWAN_ENUM)
#undef SWAN_ENUM
	    SWAN_DROP_N
};
const char *swan_drop_text(enum swan_drop d);

enum swan_tok {
	SWAN_T_END = 0,
	SWAN_T_SECTION, /* name; refs: it takes settings from others */
	SWAN_T_SECTION_END,
	SWAN_T_KEY,     /* name, value (cut to SWAN_VALUE_MAX - 1 bytes) */
	SWAN_T_INCLUDE, /* value: a pattern */
	SWAN_T_BAD,     /* see drop and line */
};

struct swan_rd {
	const char *p, *end;
	unsigned line, depth;
	enum swan_drop drop;
	bool refs;
	char name[SWAN_NAME_MAX], value[SWAN_VALUE_MAX];
};

void swan_begin(struct swan_rd *r, const char *text, size_t len);
enum swan_tok swan_next(struct swan_rd *r);

struct swan_child {
	char name[IKE_NAME_MAX];
	bool refs;
	enum vici_action start; /* UNKNOWN: not set in this section */
};

struct swan_conn {
	char name[IKE_NAME_MAX];
	bool refs, has_mobike, mobike;
	uint8_t n_children;
	struct swan_child child[VICI_CONN_CHILDREN];
};

struct swan_facts {
	struct swan_conn *conn; /* the caller's */
	unsigned n, cap;
	unsigned more; /* connections for which there was no room */
	bool sorted;
	/* charon.retransmit_*; what a file does not set keeps its standard */
	double timeout_s, base, limit_s;
	unsigned tries;
};

/* Standards of charon, no connection. */
void swan_facts_init(struct swan_facts *f, struct swan_conn *room, unsigned cap);
/* Adds what one file says. SWAN_OK, or why reading ended early (*line). */
enum swan_drop swan_read(struct swan_facts *f, const char *text, size_t len, unsigned *line);
/* Pattern number i of the includes outside of sections; false when there is none. */
bool swan_include(const char *text, size_t len, unsigned i, char *buf, size_t size);
/* After the last file: connections are found faster. */
void swan_sort(struct swan_facts *f);
/* Completes what VICI told about a connection. A connection that no file names stays as it is. */
void swan_merge(const struct swan_facts *f, struct vici_conn *c);
/* Whole seconds, rounded up, until charon gives a request up that nobody answers. */
uint32_t swan_retransmit_s(const struct swan_facts *f);

#endif
