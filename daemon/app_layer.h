/*
 * Purpose: the engine's end of layers: who asks for the engine, whose configuration is part of ours, and what a layer needs
 *          to go on in our stead when we die.
 * Owns:    struct app_layer: the listening socket, the connections, the legacy (legacy.h), ours and the one that we had.
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
#include "daemon/dropin/dconf_io.h"

/* Before anything is made: the engine's place, and what the one before has left. */
void app_layer_inherit(struct app *a);
/* Listens at opt.rendezvous, which is owned from then on. 0 or -ENOMEM. */
int app_layer_start(struct app *a);
void app_layer_stop(struct app *a);
/* The conntrackd.conf that is read on top; NULL: none. */
const char *app_layer_conntrackd(const struct app *a);
/* A reload is over. why: NULL, or the reason of the refusal. */
void app_layer_judged(struct app *a, const char *why);
/* There was an engine before, whose place this one took. */
bool app_layer_inherited(const struct app *a);
/* Other routers of conntrackd's multicast group, as the engine before knew them; NULL: nothing is known. */
const struct dconf_found *app_layer_found(const struct app *a);
/*
 * Groups that the engine before served until a moment ago, so that nobody can have taken over yet: marked, in the node core
 * and in the shell. Before NODE_EV_START.
 */
void app_layer_resume(struct app *a);
/* Everything of ours is known: guardians of earlier engines end and touch nothing. */
void app_layer_settled(struct app *a);
/* A group was told to begin and is what it is by now: who was not told yet is told. */
void app_layer_resumed(struct app *a, uint16_t group);
/* For our own heir: an advert went out; an instance's state changed; the listening socket of a link (owned; -1: none). */
void app_layer_spoke(struct app *a, uint16_t inst);
void app_layer_state(struct app *a, uint16_t inst);
void app_layer_listener(struct app *a, unsigned link, int fd);
/* The highest epoch known has risen. */
void app_layer_epoch(struct app *a);
/* An orderly end has begun: there is no heir. */
void app_layer_ending(struct app *a);
/* This process crashes: an heir acts now and not after the core dump. False: there is none. */
bool app_layer_crash(struct app *a);
/* The file of a program that has died, whose virtual routers this process serves; "": there is none. */
const char *app_layer_heir_of(const struct app *a);
/* conntrackd -k. False: this process is no engine of a conntrackd layer. */
bool app_layer_end(struct app *a);

#endif
