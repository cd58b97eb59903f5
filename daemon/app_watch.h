/*
 * Purpose: the watch for unknown SPIs in the running daemon: which pairs are watched, which SPIs are in use, and what
 *          happens when a peer uses another one.
 * Owns:    struct app_watch with its sockets and its timer.
 * Thread:  CONTROL; dumps of the kernel's SAs run on KERNEL.
 * In:      tunnels, events of the IKE daemon, packets.   Out: IKE_EV_STALE_PEER to the tunnels of a pair.
 * Errors:  without memory or sockets there is no watch; the log says so, and tunnels work without it.
 */
#ifndef KT_APP_WATCH_H
#define KT_APP_WATCH_H

#include <jansson.h>
#include "daemon/app.h"
#include "ike-hooks/spi_io.h"

struct app_watch;

/* After the tunnels were made or changed (start, reload, tunnels that were learnt): what is known of pairs that stay is
 * kept. */
void app_watch_rebuild(struct app *a);
void app_watch_free(struct app *a);
/* Terminate or initiate was asked: a promotion, a reset, or a demotion. */
void app_watch_act(struct app *a, uint16_t tunnel);
/* Replies and events name SPIs in use. */
void app_watch_vici(struct app *a, const struct vici_ev *v);
/* Some signal says that a peer may be astray, but not which: the sockets open. */
void app_watch_open(struct app *a, const char *why);
/* For show: null without tunnels that are watched. */
json_t *app_watch_json(struct app *a);

#endif
