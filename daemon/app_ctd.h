/*
 * Purpose: what a running daemon does because a conntrackd.conf is part of its configuration: the socket at which
 *          conntrackd's clients look, the answers to its verbs, and the search for other routers on its multicast group.
 * Owns:    struct app_ctd and what is in it.
 * Thread:  CONTROL; never blocks.
 * In:      the configuration, clients, datagrams.   Out: clients of the control socket, reloads.
 * Errors:  a socket that cannot be opened is said once, and tried again at the next reload.
 */
#ifndef KT_APP_CTD_H
#define KT_APP_CTD_H

#include "daemon/app.h"
#include "daemon/dropin/dconf_io.h"

/* After the control socket, and after every reload. 0 or -ENOMEM. */
int app_ctd_update(struct app *a);
void app_ctd_stop(struct app *a);
/* Routers that were heard; NULL: none ever. */
const struct dconf_found *app_ctd_found(const struct app *a);
/* The command "force conntrackd VERB". */
int app_ctd_verb(struct app *a, struct ctl_request *req, json_t **reply);

#endif
