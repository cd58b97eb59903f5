/*
 * Purpose: keeps the quarantine of the tunnels' local ends (daemon/quar_rules.h) as roles and addresses ask for it: in our
 *          nftables table, or by iptables where the kernel has no nftables.
 * Owns:    struct quar.
 * Thread:  CONTROL.
 * In:      roles, the state of a group's addresses, results of the rules' jobs.   Out: rules.
 * Errors:  without nftables and iptables there is no quarantine: said once, and shown.
 */
#ifndef KT_APP_QUAR_H
#define KT_APP_QUAR_H

#include <jansson.h>
#include "daemon/app.h"
#include "daemon/quar_rules.h"

int app_quar_start(struct app *a);
/* Before the KERNEL thread ends: rules of iptables go. Those of nftables vanish with us. */
void app_quar_end(struct app *a);
/* After the KERNEL thread has ended. */
void app_quar_stop(struct app *a);
/* Tunnels or addresses of the configuration are others now. */
void app_quar_reload(struct app *a);
/* The role of this group, or what of it is in the kernel, has changed. Before app_accept, which sends the rules. */
void app_quar(struct app *a, uint16_t group);

/* A link changed: it may belong to a VRF now. */
void app_quar_link(struct app *a, const struct net_link *l);

/* For app_accept: what our nftables table has to hold of it. n = 0: nothing. */
const struct quar_vip *app_quar_nft(const struct app *a, unsigned *n);
/* The list is another one since the last app_quar_taken. */
bool app_quar_changed(const struct app *a);
void app_quar_taken(struct app *a);
/* The rules with this list were applied or refused. True: the next text has to do without. */
bool app_quar_applied(struct app *a, bool ok, const char *error);

/* For show ipsec. */
json_t *app_quar_json(const struct app *a);

#endif
