/*
 * Purpose: the engine's end of layers: who asks for the engine, and whose configuration is part of ours.
 * Owns:    struct app_layer: the listening socket and the connections.
 * Thread:  CONTROL; never blocks.
 * In:      messages (layer.h), results of reloads.   Out: reloads, answers.
 * Errors:  a process that is not trusted, or says what is no message, is closed.
 *
 * At most one conntrackd.conf is attached. It is taken back when its connection ends; that reload is repeated until it
 * succeeds.
 */
#ifndef KT_APP_LAYER_H
#define KT_APP_LAYER_H

#include "daemon/app.h"

/* Listens at opt.rendezvous, which is owned from then on. 0 or -ENOMEM. */
int app_layer_start(struct app *a);
void app_layer_stop(struct app *a);
/* The conntrackd.conf that is read on top; NULL: none. */
const char *app_layer_conntrackd(const struct app *a);
/* A reload is over. why: NULL, or the reason of the refusal. */
void app_layer_judged(struct app *a, const char *why);
/* conntrackd -k. False: this process is no engine of a conntrackd layer. */
bool app_layer_end(struct app *a);

#endif
