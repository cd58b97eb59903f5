/*
 * Purpose: quarantine: IKE (udp 500 and 4500), ESP and AH leave a virtual address only from the node whose it is. PURE.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In:      the local ends of the tunnels.
 * Out:     part of our nftables table, or texts for iptables-restore where the kernel has no nftables.
 * Errors:  a text that does not fit is cut: struct quar_out.len is above its cap then.
 *
 * The rules look at the kernel's own addresses: a packet is dropped while its source is not local. So they are there
 * from the start to the end, lift in the very moment in which the address comes, and close when it goes: a role change
 * has nothing to wait for. Two cases are not seen by that, and are closed and opened by the daemon (QUAR_SHUT): an
 * address that is still there although the role is gone, and one in a VRF, whose local table the match does not ask.
 */
#ifndef KT_QUAR_RULES_H
#define KT_QUAR_RULES_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include "daemon/base/addr.h"

#define QUAR_CHAIN       "keeptrackd"
#define QUAR_CHAIN_VIPS  "keeptrackd-vips"
#define QUAR_SIZE(n)     (1024 + (size_t)(n) * (ADDR_TEXT_MAX + IFNAMSIZ + 96))
#define QUAR_PROGRAM_MAX 128

enum quar_how {
	QUAR_WATCH = 0, /* dropped while the address is not local */
	QUAR_SHUT,      /* dropped */
	QUAR_OPEN,      /* passes: an address in a VRF, while the role is ours */
};

struct quar_vip {
	struct addr addr;
	char dev[IFNAMSIZ]; /* of a link-local address, which is another host's on another link; else empty */
	enum quar_how how;
};

struct quar_out {
	char *buf;
	size_t len, cap; /* len: without the final 0; at cap or above: cut */
};

/* Sets and the chain of the output hook, for the inside of our table. */
void quar_put_nft(struct quar_out *o, const struct quar_vip *v, unsigned n);
/*
 * Everything of one family for `iptables-restore --noflush`: our two chains, emptied and filled. The jump from OUTPUT is
 * not among it: it would be there once more each time. The length, or 0 when cap is too small.
 */
size_t quar_ipt_text(const struct quar_vip *v, unsigned n, uint8_t af, char *buf, size_t cap);
/* The number of addresses of a family that have a rule. */
unsigned quar_count(const struct quar_vip *v, unsigned n, uint8_t af);
/* The words of the jump, behind -C, -I or -D. */
extern const char *const quar_ipt_jump[];
/* Text that removes jump and chains; it fails whole when one is missing. */
extern const char quar_ipt_remove[];

#endif
