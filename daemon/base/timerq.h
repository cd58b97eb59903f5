/*
 * Purpose: deadlines of many objects, earliest first: a binary heap whose slots live inside the objects themselves, so
 *          that looking, setting and cancelling cost O(log n) and a pass over what is due costs O(due).
 * Owns:    nothing; the slots are the caller's and must neither move nor be written by anybody else.
 * Thread:  one at a time (pure).
 * In/Out:  keys 0 .. cap-1: the objects' indices. Instants are monotonic.
 * Errors:  none; a key outside the range is a mistake of the caller (require).
 */
#ifndef KT_BASE_TIMERQ_H
#define KT_BASE_TIMERQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/base/mono.h"

struct timerq_slot {
	mono_t at;    /* of this object */
	uint32_t pos; /* of this object in the heap, from 1; 0: it has no deadline */
	uint32_t key; /* the object that stands at the place of the heap with this slot's number */
};

struct timerq {
	char *base;
	size_t stride;
	uint32_t cap, n;
};

/* slots: the slot inside the first of cap objects that lie stride bytes apart. All of them begin without deadline. */
void timerq_init(struct timerq *q, struct timerq_slot *slots, size_t stride, uint32_t cap);
/* Sets or moves a deadline; MONO_NEVER cancels. */
void timerq_set(struct timerq *q, uint32_t key, mono_t at);
mono_t timerq_at(const struct timerq *q, uint32_t key);
/* The earliest deadline; MONO_NEVER when there is none. */
mono_t timerq_next(const struct timerq *q);
/* Takes the earliest object out when it is due. */
bool timerq_pop(struct timerq *q, mono_t now, uint32_t *key);
/* Visits what is due, in any order, and takes nothing out: *iter begins with 0; timerq_set and _pop end the walk. */
bool timerq_walk(const struct timerq *q, mono_t now, uint32_t *iter, uint32_t *key);

#endif
