/*
 * Purpose: one table of conntrack operations with what must come of them, run against any table: the fake kernel's in
 *          the unit test, the real one and the fake side by side in the namespace test.
 * Owns:    nothing.
 * Thread:  one.
 * In:      backends.   Out: differences as lines of text.
 * Errors:  ct_script_run returns the number of differences.
 */
#ifndef KT_TESTS_CT_SCRIPT_H
#define KT_TESTS_CT_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "sync/ct.h"

/* A conntrack table. The script starts with it empty and nobody listening to NEW and UPDATE, DESTROY joined. */
struct ct_backend {
	const char *name;
	void *self;
	/* One ctnetlink request; the answer to a GET goes into *got. 0 or -errno. */
	int (*msg)(void *self, const void *bytes, size_t len, struct ct_event *got);
	void (*listen)(void *self, bool new_update);
	/* The oldest event not taken yet; false when there is none. */
	bool (*event)(void *self, struct ct_event *ev);
	/* At least so many seconds pass, and half a second more. */
	void (*wait)(void *self, unsigned seconds);
	/* A UDP packet from the first to the second port of 127.0.0.1, through the packet filter. */
	void (*packet)(void *self, uint16_t from, uint16_t to);
};

typedef void (*ct_script_say)(void *arg, const char *line);

/* Runs every step on each backend, checks the result, and compares the backends with the first one. Differences go to
 * say. Returns their number. */
unsigned ct_script_run(const struct ct_backend *const *b, unsigned n, ct_script_say say, void *arg);
/* Steps in the table. */
unsigned ct_script_steps(void);

#endif
