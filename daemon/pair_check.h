/*
 * Purpose: compares what two nodes know of themselves and names every difference with its consequence for a takeover
 *          and what mends it.
 * Owns:    nothing; a result points into the two sets of facts and must not outlive them.
 * Thread:  any (pure).
 * In:      two struct pair_facts.   Out: struct pair_result.
 * Errors:  none; more findings than fit are counted in `more`.
 *
 * What a difference means stands in one table (rules); a fact that no rule knows is a note when it differs.
 */
#ifndef KT_PAIR_CHECK_H
#define KT_PAIR_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/pair_facts.h"

enum pair_grade {
	PAIR_NOTE = 0, /* good to know */
	PAIR_WARNING,  /* a takeover changes how something behaves */
	PAIR_DANGER,   /* a takeover breaks sessions or serves nobody */
};
/* "note", "warning", "danger". */
const char *pair_grade_word(enum pair_grade g);

struct pair_finding {
	enum pair_grade grade;
	char key[PAIR_KEY_MAX];
	const char *ours, *theirs; /* "" on the side that has no such fact */
	const char *what, *consequence, *fix;
};

#define PAIR_FINDINGS_MAX 128u
#define PAIR_UNSURE_MAX   64u

/* A fact that could not be compared: one side does not have it, or cannot find out. */
struct pair_unsure {
	const char *key;
	const char *ours, *theirs; /* NULL: this side does not have it */
};

/* The clocks of the two nodes, if they could be compared. */
struct pair_clock {
	bool known;
	int64_t offset_us, error_us; /* theirs minus ours, and by how much that may be wrong */
};

/* Large: allocate it. The gravest findings stand first. */
struct pair_result {
	struct pair_finding finding[PAIR_FINDINGS_MAX];
	unsigned n, more;
	struct pair_unsure unsure[PAIR_UNSURE_MAX];
	unsigned n_unsure;
	unsigned compared; /* facts that both sides have */
	unsigned grades[PAIR_DANGER + 1];
	struct pair_clock clock;
};

#define PAIR_CLOCK_US 1000000 /* a difference that is worth a note */

void pair_check(const struct pair_facts *ours, const struct pair_facts *theirs, const struct pair_clock *clock,
		struct pair_result *out);
/* True when something was found that is more than a note. */
bool pair_differs(const struct pair_result *r);

#endif
