/*
 * Purpose: a VRRP message as a whole Ethernet frame, for adverts that bear the virtual MAC address as their source (RFC
 *          9568 7.2: switches learn from them where the virtual router lives).
 * Owns:    nothing.
 * Thread:  any (pure).
 * In:      addresses and a message with its checksum.   Out: the bytes of a frame.
 * Errors:  ERR_FULL when the buffer is too small, ERR_MALFORMED for addresses that do not fit together.
 */
#ifndef KT_VRRP_FRAME_H
#define KT_VRRP_FRAME_H

#include <stddef.h>
#include <stdint.h>
#include "daemon/base/addr.h"
#include "vrrp/vrrp_wire.h"

enum { VRRP_MAC_LEN = 6, VRRP_FRAME_HDR_MAX = 14 + 40 };
#define VRRP_FRAME_MAX (VRRP_FRAME_HDR_MAX + VRRP_MSG_MAX)

struct vrrp_frame {
	uint8_t mac[VRRP_MAC_LEN]; /* source */
	struct addr src, dst;      /* of one family; dst is a multicast group */
	uint16_t ip_id;            /* IPv4 identification: the caller counts */
};

/* The Ethernet address of a group (RFC 1112 6.4, RFC 2464 7). */
void vrrp_frame_group_mac(const struct addr *group, uint8_t mac[VRRP_MAC_LEN]);
/*
 * Ethernet and IP header before the message: TTL or hop limit 255 (RFC 9568 5.1.1.3, 5.1.2.3), precedence "internetwork
 * control", not to be fragmented. The length of the frame (VRRP_FRAME_MAX always suffices), or an error.
 */
int vrrp_frame_build(const struct vrrp_frame *f, const uint8_t *msg, size_t len, uint8_t *buf, size_t cap);

#endif
