/*
 * Purpose: security associations out of the text that a program prints: libreswan's whack, and the programs of the exec
 *          backend.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In:      output in pieces of any size, cut into lines here; then one line at a time.
 * Out:     one row for each line that names an SA.
 * Errors:  enum sa_text_drop; a line that is refused changes nothing, others still count.
 *
 * Of whack the traffic status is read (libreswan 4.10 and 5, programs/pluto): one line for each child SA that is up.
 *   006 #2: "net", type=ESP, add_time=1700000000, inBytes=84, outBytes=168, id='192.0.2.2'
 * A program of the exec backend says one word, and what it knows behind it:
 *   child-up id=17 in=1200 out=1100
 *   child-down
 *   ike-up
 */
#ifndef KT_SA_TEXT_H
#define KT_SA_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ike-hooks/ike_fsm.h"

#define SA_TEXT_LINE_MAX 1024 /* of which a longer line is cut and refused */

#define SA_TEXT_TABLE(X)                                                        \
	X(SA_TEXT_OK, "an SA")                                                  \
	X(SA_TEXT_OTHER, "a line about something else")                         \
	X(SA_TEXT_DROP_LONG, "line too long, or with a NUL")                    \
	X(SA_TEXT_DROP_SERIAL, "number of the SA missing or too large")         \
	X(SA_TEXT_DROP_NAME, "name of the connection missing or not in quotes") \
	X(SA_TEXT_DROP_COUNTER, "counter is not a number")

enum sa_text_drop {
#define SA_TEXT_ENUM(name, text) name,
	SA_TEXT_TABLE(SA_TEXT_ENUM)
#undef SA_TEXT_ENUM
	    SA_TEXT_N
};

const char *sa_text_drop_text(enum sa_text_drop d);

/* Cuts a stream into lines. */
struct sa_lines {
	char buf[SA_TEXT_LINE_MAX];
	unsigned len;
	bool bad;  /* the line is too long, or has a NUL */
	bool done; /* it is complete: the next byte begins another */
};

void sa_lines_init(struct sa_lines *l);
/*
 * Takes bytes up to the end of a line; *used says how many. True when a line is complete: it is buf[0..len) without its
 * line end, or bad; it is gone with the next call.
 */
bool sa_lines_feed(struct sa_lines *l, const char *data, size_t n, size_t *used);
/* The output has ended: true when a last line without a line end is there. */
bool sa_lines_end(struct sa_lines *l);

enum sa_text_kind {
	SA_TEXT_CHILD = 0, /* a child SA is installed */
	SA_TEXT_NO_CHILD,  /* exec: there is none */
	SA_TEXT_IKE,       /* exec: an IKE SA is established */
};

struct sa_text_row {
	enum sa_text_kind kind;
	char name[IKE_NAME_MAX]; /* connection; empty: longer than a configuration may hold. exec: always empty */
	uint32_t id;             /* 0: not told */
	uint64_t in, out;        /* CHILD; whack counts bytes */
};

enum sa_text_drop sa_text_whack(const char *line, size_t len, struct sa_text_row *row);
enum sa_text_drop sa_text_exec(const char *line, size_t len, struct sa_text_row *row);

/* Is this row about the connection? Libreswan makes NAME/1x2 of one with several networks. */
bool sa_text_names(const struct sa_text_row *row, const char *connection);
/* Adds a row of a list to the sample of a tunnel: the newest child counts. */
void sa_text_add(struct ike_sample *s, const struct sa_text_row *row);

#endif
