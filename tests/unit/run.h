/*
 * Purpose: how every program of unit tests ends.
 * Owns:    nothing.
 * Thread:  the test's.
 * In:      a suite.   Out: its results on stdout.
 * Errors:  the exit status.
 */
#ifndef KT_TESTS_RUN_H
#define KT_TESTS_RUN_H

#include <check.h>
#include <stdlib.h>

/* Runs the suite and frees it; the exit status of the program. */
static inline int unit_run(Suite *s)
{
	SRunner *sr = srunner_create(s);

	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
