/*
 * Purpose: what a role change leaves in the kernel of a tunnel goes: SAs, in slices of the KERNEL thread, and conntrack
 *          entries of IKE and ESP, by SYNC. And the list of what would go, for the shell.
 * Owns:    struct sweeps: the sweeps that wait and the one that runs, requests of the shell that wait for an answer.
 * Thread:  CONTROL.
 * In:      IKE_ACT_SWEEP, the first address of a promotion, `show ipsec sweep dry-run`.
 * Out:     IKE_EV_SWEPT to the node core, SYNC_CMD_DELETE_CT, an answer on the control socket.
 * Errors:  a sweep that cannot begin is answered with ok = false, like one that failed; both are counted.
 *
 * One sweep runs at a time, in slices, so that the KERNEL thread sets addresses in between. Tunnels of one address that
 * wait share a sweep: what two hundred of them leave behind is listed once.
 */
#ifndef KT_APP_SWEEP_H
#define KT_APP_SWEEP_H

#include <jansson.h>
#include "daemon/app.h"

int app_sweep_start(struct app *a);
/* After the KERNEL thread has ended. */
void app_sweep_stop(struct app *a);
/* Answers with IKE_EV_SWEPT. Of a whole address (no peer in act) outside of a promotion the conntrack entries go, too. */
void app_sweep(struct app *a, uint16_t tunnel, const struct ike_act *act);
/* The first address of the group is in the kernel: old conntrack entries of its tunnels go, before anything is initiated. */
void app_sweep_promoted(struct app *a, uint16_t group);
/* show ipsec sweep dry-run: CTL_LATER, or CTL_FAILED with a message. */
int app_sweep_show(struct app *a, struct ctl_request *req, json_t **reply);
/* Counters of sweeps and of conntrack entries, for show ipsec. */
json_t *app_sweep_json(const struct app *a);
/* clear counters. */
void app_sweep_clear(struct app *a);

#endif
