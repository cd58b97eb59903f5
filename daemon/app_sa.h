/*
 * Purpose: copies of inbound SAs between the nodes (sync_sa = "inbound"): what this node serves is told to the others, what
 *          they serve is held here, and a promotion installs it before the address answers.
 * Owns:    struct app_sa: all locked memory of it, timers, the wake-up socket. Bridges belong to the KERNEL thread.
 * Thread:  CONTROL; listings, imports and removals run as jobs on KERNEL.
 * In:      tunnels, roles, records of the ctl channel.   Out: records, NODE_EV_SA_COPIES, NODE_EV_SA_IMPORTED.
 * Errors:  whatever fails leaves a tunnel without copy: it comes up by negotiation then. All is counted by reason.
 *
 * Once a second, and soon after any change, the kernel's SAs of the addresses that are served here are listed on KERNEL.
 * What is new goes to every node that has shown a key (OFFER); then a LIST says, per address, all that there is and how
 * far each replay window came. Keys are readable in locked memory only, on both sides: see ike-hooks/sa_seal.h.
 */
#ifndef KT_APP_SA_H
#define KT_APP_SA_H

#include <jansson.h>
#include "daemon/app.h"
#include "ike-hooks/sa_bridge.h"
#include "ike-hooks/xfrm_policy.h"

#define SA_COPIES_MAX 2048 /* of each kind: sent, held, installed */

/* Nothing happens before a tunnel asks for it. 0 or -errno. */
int app_sa_start(struct app *a);
/* After the KERNEL thread has ended. */
void app_sa_stop(struct app *a);
void app_sa_channel(struct app *a, uint32_t node, bool up);
void app_sa_object(struct app *a, uint32_t node, const uint8_t *bytes, size_t len);
/* NODE_ACT_SA_IMPORT, NODE_ACT_SA_REMOVE. */
void app_sa_import(struct app *a, uint16_t group, struct epoch epoch);
void app_sa_remove(struct app *a, uint16_t group);
/* What sweeps leave alone; NULL: nothing. Read on KERNEL only. */
const struct sa_bridges *app_sa_bridges(const struct app *a);
/* What the policies here would do with packets of the copies held for these two addresses: the worst, as of the last look. */
enum sa_policy app_sa_policy(const struct app *a, const struct addr *vip, const struct addr *peer);
/* For show ipsec; never a key. */
json_t *app_sa_json(const struct app *a);

#endif
