/*
 * Purpose: the text that describes this node: made of what CONTROL, SYNC and the kernel know.
 * Owns:    struct pair_own: the text, the facts of SYNC, the list for kt-disk.
 * Thread:  CONTROL, but pair_own_read on kt-disk; one after the other.
 * In:      struct app.   Out: lines of facts (pair_facts.h).
 * Errors:  NULL without memory.
 */
#ifndef KT_PAIR_OWN_H
#define KT_PAIR_OWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/pair_gather.h"

struct app;
struct sync_self;

struct pair_own {
	struct app *app;
	uint32_t node, id; /* the peer it is for, or is compared with */
	bool answer;       /* it is the peer's question */
	bool config;
	struct sync_self *facts; /* NULL: SYNC has not answered */
	char *buf;
	struct pair_gather gather;
};

struct pair_own *pair_own_new(struct app *a, uint32_t node, uint32_t id, bool answer, bool config);
void pair_own_free(struct pair_own *own);
/* What CONTROL and SYNC know. */
void pair_own_begin(struct pair_own *own, const struct app *a);
/* What the kernel knows; own is the argument. A job of kt-disk. */
int pair_own_read(void *own);
/* The configuration; returns the length of the text. */
size_t pair_own_end(struct pair_own *own, const struct app *a);

#endif
