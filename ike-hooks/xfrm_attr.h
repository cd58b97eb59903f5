/*
 * Purpose: what the XFRM codecs share: byte order, address families, and the walk over a message's attributes.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In:      bytes in the kernel's layout, of any alignment.   Out: attributes, one after another.
 * Errors:  a message whose attributes do not end where it ends sets bad.
 */
#ifndef KT_XFRM_ATTR_H
#define KT_XFRM_ATTR_H

#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "daemon/base/addr.h"

/* AF_INET, AF_INET6 and IPPROTO_* in the kernel's interface; <sys/socket.h> does not belong into pure code. */
enum { XFRM_FAMILY_V4 = 2, XFRM_FAMILY_V6 = 10 };
enum { XFRM_PROTO_ESP = 50, XFRM_PROTO_AH = 51, XFRM_PROTO_COMP = 108 };

/* Host order to network order, and back. */
static inline uint32_t xfrm_net32(uint32_t v)
{
	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? v : __builtin_bswap32(v);
}

static inline uint16_t xfrm_net16(uint16_t v)
{
	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? v : __builtin_bswap16(v);
}

/* ADDR_NONE: another family. */
static inline uint8_t xfrm_af(unsigned family)
{
	return family == XFRM_FAMILY_V4 ? ADDR_V4 : family == XFRM_FAMILY_V6 ? ADDR_V6 : ADDR_NONE;
}

static inline uint16_t xfrm_family(uint8_t af)
{
	return af == ADDR_V4 ? XFRM_FAMILY_V4 : af == ADDR_V6 ? XFRM_FAMILY_V6 : 0;
}

struct xfrm_attrs {
	const uint8_t *p;
	size_t left;
	bool bad; /* one is longer than the message, or something is left behind the last one */
};

struct xfrm_attr {
	unsigned type;
	const uint8_t *value;
	size_t len;
};

/* The next attribute; false at the end, good or bad. */
static inline bool xfrm_attr_next(struct xfrm_attrs *a, struct xfrm_attr *out)
{
	struct nlattr h;

	a->bad = a->left > 0 && a->left < NLA_HDRLEN;
	if (a->left < NLA_HDRLEN)
		return false;
	memcpy(&h, a->p, sizeof(h));
	a->bad = h.nla_len < NLA_HDRLEN || h.nla_len > a->left;
	if (a->bad)
		return false;
	*out = (struct xfrm_attr){ .type = h.nla_type & (unsigned)NLA_TYPE_MASK,
				   .value = a->p + NLA_HDRLEN,
				   .len = h.nla_len - (size_t)NLA_HDRLEN };
	size_t step = NLA_ALIGN((size_t)h.nla_len);
	step = step < a->left ? step : a->left; /* the last one may have no padding */
	a->p += step;
	a->left -= step;
	return true;
}

#endif
