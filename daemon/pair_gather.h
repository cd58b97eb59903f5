/*
 * Purpose: reads from the kernel what pair_check compares: settings, helpers, interfaces.
 * Owns:    nothing; writes into the caller's text.
 * Thread:  kt-disk: it reads files and asks the kernel for links, which may wait.
 * In:      which interfaces and addresses to look at.   Out: lines of facts.
 * Errors:  what cannot be read is the fact PAIR_UNKNOWN, or has no line when this kernel does not have it.
 */
#ifndef KT_PAIR_GATHER_H
#define KT_PAIR_GATHER_H

#include "daemon/base/addr.h"
#include "daemon/pair_facts.h"
#include "sync/sync_conf.h"
#include "vrrp/vrrp_conf.h"

#define PAIR_ROUTERS_MAX 256 /* virtual routers that are compared one by one */

struct pair_gather {
	struct {
		char name[VRRP_NAME_MAX];
		char interface[16];
	} router[PAIR_ROUTERS_MAX];
	unsigned n_routers;
	struct addr channel[SYNC_LINKS_MAX]; /* own addresses on the links */
	unsigned n_channel;
	struct pair_text text;
};

void pair_gather(struct pair_gather *g);
/* Its part about the helper objects of nftables rules. */
void pair_nft_helpers(struct pair_text *t);

#endif
