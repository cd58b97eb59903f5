/*
 * Purpose: the Ethernet frames that tell neighbours where a virtual address lives now.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In/Out:  an address and a MAC in, a complete frame out, for a packet socket.
 * Errors:  0 when the address is of no family or the buffer is too small.
 */
#ifndef KT_VRRP_GARP_H
#define KT_VRRP_GARP_H

#include <stddef.h>
#include <stdint.h>
#include "daemon/base/addr.h"

enum { GARP_MAC_LEN = 6, GARP_ARP_FRAME = 60, GARP_NA_FRAME = 86, GARP_FRAME_MAX = 86 };

/*
 * IPv4: gratuitous ARP request, sender and target = vip, padded to the smallest Ethernet frame (RFC 9568 6.4.2, 8.1.2).
 * IPv6: unsolicited Neighbor Advertisement with Router and Override flags to ff02::1 (RFC 4861 4.4, 7.2.6).
 * Returns the length of the frame.
 */
size_t garp_build(const struct addr *vip, const uint8_t mac[GARP_MAC_LEN], uint8_t *buf, size_t cap);

#endif
