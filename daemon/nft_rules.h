/*
 * Purpose: our nftables table: rules that keep packets to a virtual address out while accept = false (RFC 9568 section
 *          6.1, Accept_Mode), and those of the quarantine (daemon/quar_rules.h). PURE.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In:      the addresses of the virtual routers that are master and do not own them; the local ends of tunnels.
 * Out:     one text for libnftables that makes our table exactly so, in one transaction.
 * Errors:  nft_rules_build returns 0 when the buffer is too small (NFT_RULES_SIZE bytes always suffice).
 */
#ifndef KT_NFT_RULES_H
#define KT_NFT_RULES_H

#include <net/if.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/base/addr.h"
#include "daemon/quar_rules.h"

#define NFT_RULES_TABLE   "keeptrackd"
#define NFT_RULES_SIZE(n) (1024 + (size_t)(n) * (2 * (ADDR_TEXT_MAX + IFNAMSIZ + 8)))

struct nft_vip {
	struct addr addr;
	/* A link-local address is dropped on these two only: it may exist on other links as well. */
	char base[IFNAMSIZ], interface[IFNAMSIZ];
};

/*
 * The table has the flag owner: it survives `flush ruleset` of others and vanishes with the socket of this process.
 * Neighbour discovery and packets of this host itself pass. With n = 0 the table is removed. Bytes without the final 0.
 */
size_t nft_rules_build(const struct nft_vip *vip, unsigned n, char *buf, size_t cap);
/* The same with the quarantine; NFT_RULES_SIZE(n) + QUAR_SIZE(n_quar) bytes suffice. */
size_t nft_rules_table(const struct nft_vip *vip, unsigned n, const struct quar_vip *quar, unsigned n_quar, char *buf,
		       size_t cap);

#endif
