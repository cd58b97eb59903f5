/*
 * Purpose: which conntrack entries belong to a tunnel: exact tuples, so that nothing has to be searched for. PURE.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In:      the two ends of a tunnel, or an SA with UDP encapsulation.   Out: tuples.
 * Errors:  none; an end that is not known gives no tuple.
 */
#ifndef KT_SWEEP_CT_H
#define KT_SWEEP_CT_H

#include "daemon/base/addr.h"
#include "sync/ct.h"

#define SWEEP_CT_TUNNEL 8 /* udp 500 and 4500, ESP, AH; each from either end */
#define SWEEP_CT_ENCAP  2

/*
 * Entries of IKE, NAT-T, ESP and AH between vip and peer, of conntrack zone 0. Both directions: which end began is not
 * known, and where an address was translated neither tuple is the other one's inverse. Their number; 0 without peer.
 */
unsigned sweep_ct_tunnel(const struct addr *vip, const struct addr *peer, struct ct_tuple out[SWEEP_CT_TUNNEL]);
/* The same for ESP in UDP between two ports: a peer behind NAT uses any. */
unsigned sweep_ct_encap(const struct addr *src, const struct addr *dst, uint16_t sport, uint16_t dport,
			struct ct_tuple out[SWEEP_CT_ENCAP]);

#endif
