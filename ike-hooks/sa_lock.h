/*
 * Purpose: memory for keys: locked (never swapped), left out of core dumps, between pages that fault, wiped when freed.
 * Owns:    nothing.
 * Thread:  any; a block belongs to whoever allocated it.
 * In/Out:  bytes, zeroed.
 * Errors:  NULL with errno; EPERM or ENOMEM when the kernel does not lock it: then nothing secret may be stored.
 */
#ifndef KT_SA_LOCK_H
#define KT_SA_LOCK_H

#include <stddef.h>

void *sa_lock_alloc(size_t n, size_t size);
/* Wipes; NULL is fine. */
void sa_lock_free(void *p);

#endif
