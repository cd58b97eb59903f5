/*
 * Purpose: what the kernel's IPsec policies ask of an inbound packet (linux/xfrm.h): enough to say whether a copied SA would
 *          be let through. A policy names the reqid that the SA has to have; with another one, or without a policy, the
 *          packet is read and then dropped (XfrmInTmplMismatch, XfrmInNoPols).
 * Owns:    nothing.
 * Thread:  any (pure).
 * In:      messages of a dump of policies.   Out: struct xfrm_ask.
 * Errors:  what is not an inbound policy of ESP in tunnel or transport mode yields nothing; what is cut short is skipped.
 */
#ifndef KT_XFRM_POLICY_H
#define KT_XFRM_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/base/addr.h"
#include "ike-hooks/xfrm_wire.h"

/* One template of an inbound or forward policy. */
struct xfrm_ask {
	struct addr src, dst;       /* af 0: any */
	uint32_t reqid, spi, if_id; /* 0: any */
	bool forward;
};

/* XFRM_MSG_GETPOLICY dump of all policies. Length, or 0. */
size_t xfrm_put_policy_dump(void *buf, size_t cap, uint32_t seq);
/* Templates of one XFRM_MSG_NEWPOLICY with its netlink header: at most cap of them; how many. */
unsigned xfrm_policy_asks(const void *msg, size_t len, struct xfrm_ask *out, unsigned cap);
/* The copy is what this template asks for. */
bool xfrm_ask_fits(const struct xfrm_ask *ask, const struct xfrm_sa *sa);

/* Why packets of a copy would be dropped, and what to change; NULL: they would not. */
enum sa_policy { SA_POLICY_UNKNOWN = 0, SA_POLICY_FITS, SA_POLICY_OTHER_REQID, SA_POLICY_NONE };
enum sa_policy sa_policy_judge(const struct xfrm_ask *asks, unsigned n, const struct xfrm_sa *sa);
const char *sa_policy_advice(enum sa_policy p);
/* One word for listings. */
const char *sa_policy_name(enum sa_policy p);

#endif
