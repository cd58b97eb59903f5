/*
 * Purpose: the checksum of an advert by its plain definition, which is not the codec's way.
 * Owns:    nothing.
 * Thread:  the test's.
 * In/Out:  see below.
 * Errors:  none.
 */
#ifndef KT_TESTS_VRRP_SEAL_H
#define KT_TESTS_VRRP_SEAL_H

#include "vrrp/vrrp_wire.h"

/* Sets the checksum (version 3: with pseudo-header) of a changed message of at least VRRP_HDR_LEN bytes. */
static inline void seal(const struct vrrp_rx *rx, uint8_t *pdu)
{
	bool pseudo = pdu[0] >> 4 != 2;
	uint32_t sum = pseudo ? VRRP_PROTO + (uint32_t)rx->len : 0;

	pdu[6] = pdu[7] = 0;
	for (size_t i = 0; pseudo && i < addr_len(rx->af); i++)
		sum += (uint32_t)(rx->src.b[i] + rx->dst.b[i]) << (i % 2 ? 0 : 8);
	for (size_t i = 0; i < rx->len; i++)
		sum += (uint32_t)pdu[i] << (i % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	pdu[6] = (uint8_t)(~sum >> 8);
	pdu[7] = (uint8_t)~sum;
}

#endif
