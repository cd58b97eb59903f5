/*
 * Purpose: removes exactly the kernel's IPsec SAs of one virtual address, larval ones too; nothing else. Policies, traps
 *          and SAs of other addresses are never touched, and no flush message is ever sent.
 * Owns:    struct xfrm_scan: a netlink socket, and the list of what was found.
 * Thread:  KERNEL (blocking netlink with bounded waits); never CONTROL.
 * In:      address(es), and reqid, mark or interface id where a tunnel has them.
 * Out:     counts, and the list of what was or would be deleted.
 * Errors:  0, -errno, or ERR_TIMEOUT when the kernel did not finish within XFRM_SWEEP_NS. What was deleted until then is
 *          counted. -EPROTONOSUPPORT: this kernel has no XFRM, so there is nothing to sweep.
 */
#ifndef KT_XFRM_IO_H
#define KT_XFRM_IO_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/addr.h"
#include "daemon/base/mono.h"
#include "ike-hooks/sa_bridge.h"
#include "ike-hooks/xfrm_wire.h"

#define XFRM_SWEEP_NS (500 * NS_PER_MS) /* whole call */

struct xfrm_sweep_result {
	uint32_t found;   /* SAs from or to the address */
	uint32_t deleted; /* of them, by us */
	uint32_t gone;    /* expired or deleted by somebody else meanwhile */
	uint32_t failed;  /* refused by the kernel; last_error says why */
	uint32_t larval;  /* of found: without keys */
	uint32_t other;   /* of the address, but not for this filter, or to be spared: kept */
	uint32_t unread;  /* messages of the kernel that could not be read; what they describe is kept */
	uint32_t passes;  /* dumps repeated because the table changed during one */
	int last_error;
	int64_t took_ns;
};

/*
 * One sweep, or one look at what it would delete (dry), in slices: the thread that does it has addresses to set between
 * them. At most cap SAs are listed (a sweep finds the rest in its next pass). NULL: no memory, or a filter without
 * address.
 */
struct xfrm_scan *xfrm_scan_new(const struct xfrm_filter *f, bool dry, uint32_t cap);
/* SAs that stay: copies that a promotion has installed. Read during the slices, on KERNEL; NULL: none. */
void xfrm_scan_spare(struct xfrm_scan *s, const struct sa_bridges *spare);
/* Works for about slice_ns; the time limit of the whole begins with the first call. 1: not done yet; else as above. */
int xfrm_scan_run(struct xfrm_scan *s, int64_t slice_ns);
const struct xfrm_sweep_result *xfrm_scan_result(const struct xfrm_scan *s);
/* What the last pass found, its number in n. */
const struct xfrm_sa *xfrm_scan_list(const struct xfrm_scan *s, uint32_t *n);
void xfrm_scan_free(struct xfrm_scan *s);

/* In one go. Deletes every SA whose source or destination is vip. out is always filled. */
int xfrm_sweep(const struct addr *vip, struct xfrm_sweep_result *out);
/* The same, limited to SAs whose other end is peer. */
int xfrm_sweep_pair(const struct addr *vip, const struct addr *peer, struct xfrm_sweep_result *out);
/* Dry run: fills list[cap] with what xfrm_sweep would delete; out->found may exceed cap. */
int xfrm_list(const struct addr *vip, const struct addr *peer, struct xfrm_sa *list, uint32_t cap,
	      struct xfrm_sweep_result *out);

#endif
