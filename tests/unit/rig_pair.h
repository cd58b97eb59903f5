/*
 * Purpose: how most tests of the replication core begin and end: node A serves, node B stands by, the channel is up.
 * Owns:    r.
 * Thread:  the test's.
 * In/Out:  see sync_rig.h.
 * Errors:  a core whose lists do not agree with its records fails the test that ends.
 */
#ifndef KT_TESTS_RIG_PAIR_H
#define KT_TESTS_RIG_PAIR_H

#include "tests/unit/sync_rig.h"

enum { A = 0, B = 1 };

extern struct rig *r;

/* A is master of everything under epoch 5, and the channel has just come up. */
void rig_pair_begin(void);
/* The same after a fence of A, as a promotion has it. */
void rig_pair_begin_fenced(void);
/* A second, or 50 ms, later: fixtures. */
void rig_pair_setup(void);
void rig_pair_setup_fenced(void);
/* Both cores are looked through. */
void rig_pair_teardown(void);
/* Runs t from setup to rig_pair_teardown; the exit status of the program. */
int rig_pair_run(const char *name, TCase *t, void (*setup)(void));

#endif
