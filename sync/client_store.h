/*
 * Purpose: the store, the level of the kernel's table and what kernels refused, as JSON for `show conntrack-sync`.
 * Owns:    nothing.
 * Thread:  SYNC.
 * In:      the core.   Out: new references.
 * Errors:  NULL without memory, as jansson's.
 */
#ifndef KT_SYNC_CLIENT_STORE_H
#define KT_SYNC_CLIENT_STORE_H

#include <jansson.h>

struct sync;

json_t *client_store_json(const struct sync *s);
/* One row per reason that was ever met, here or at a peer. */
json_t *client_rejects_json(const struct sync *s);

#endif
