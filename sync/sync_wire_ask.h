/*
 * Purpose: the bytes of struct sync_facts, what ANSWER carries.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In/Out:  cursors of daemon/base/wire.h.
 * Errors:  sync_facts_get names what is wrong (enum sync_drop).
 */
#ifndef KT_SYNC_SYNC_WIRE_ASK_H
#define KT_SYNC_SYNC_WIRE_ASK_H

#include "daemon/base/wire.h"
#include "sync/sync_wire.h"

void sync_facts_put(struct wire_wr *w, const struct sync_facts *f);
/* Fills *f, which must be all zero; what later versions append is left unread. */
enum sync_drop sync_facts_get(struct wire_rd *r, struct sync_facts *f);

#endif
