/*
 * Purpose: what each difference between two nodes means for a takeover, and what mends it: one table, read by
 *          pair_check and by nobody else.
 * Owns:    nothing; static const data.
 * Thread:  any (pure).
 * In/Out:  rows; the first whose key matches counts, the last matches everything.
 * Errors:  none.
 */
#ifndef KT_PAIR_RULES_H
#define KT_PAIR_RULES_H

#include "daemon/pair_check.h"

enum pair_how {
	PAIR_EQUAL = 0, /* both nodes must have it with the same value */
	PAIR_SYSCTL,    /* the same, but a kernel may lack it */
	PAIR_RATIO,     /* as PAIR_SYSCTL; values less than four times apart are a note only */
	PAIR_UNLIKE,    /* the values should differ */
	PAIR_SHOW,      /* never compared: for people, or for a check of its own */
};

struct pair_rule_row {
	const char *key; /* '*': anything up to a closing bracket; at the end: anything */
	enum pair_how how;
	enum pair_grade grade;
	const char *what, *consequence, *fix;
};

extern const struct pair_rule_row pair_rules[];
extern const unsigned pair_rules_n;

/* Checks that look at more than one fact. */
extern const struct pair_rule_row pair_rule_nat_node, pair_rule_nat_group, pair_rule_room, pair_rule_mark,
    pair_rule_zones, pair_rule_helper, pair_rule_events, pair_rule_path, pair_rule_frames, pair_rule_section,
    pair_rule_clock;

#endif
