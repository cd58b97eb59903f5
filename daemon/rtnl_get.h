/*
 * Purpose: reader of the attributes of rtnetlink messages.
 * Owns:    nothing; an attribute points into the message it came from.
 * Thread:  any (pure).
 * In/Out:  bytes in host order; no alignment of the buffer is assumed.
 * Errors:  a value of another size than its type has is told by false; the target is unchanged then.
 */
#ifndef KT_RTNL_GET_H
#define KT_RTNL_GET_H

#include <linux/netlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "daemon/base/addr.h"

struct rtnl_attr {
	uint16_t type;
	const uint8_t *data;
	size_t len;
};

/* Next attribute of *p..end. 1: found, 0: end (or the padding of the last one), -1: wrong length. */
static inline int rtnl_attr_next(const uint8_t **p, const uint8_t *end, struct rtnl_attr *a)
{
	struct nlattr h;
	size_t left = (size_t)(end - *p);
	if (left < sizeof(h))
		return 0;
	memcpy(&h, *p, sizeof(h));
	if (h.nla_len < sizeof(h) || h.nla_len > left)
		return -1;
	*a = (struct rtnl_attr){ h.nla_type & NLA_TYPE_MASK, *p + NLA_HDRLEN, h.nla_len - (size_t)NLA_HDRLEN };
	size_t step = NLA_ALIGN((size_t)h.nla_len);
	*p += step < left ? step : left;
	return 1;
}

static inline bool rtnl_get(const struct rtnl_attr *a, void *out, size_t n)
{
	if (a->len != n)
		return false;
	memcpy(out, a->data, n);
	return true;
}

static inline bool rtnl_get_addr(const struct rtnl_attr *a, uint8_t af, struct addr *out)
{
	if (a->len != addr_len(af))
		return false;
	*out = addr_from_bytes(af, a->data);
	return true;
}

/* An interface name: terminated, the rest of out filled with zeros. */
static inline bool rtnl_get_name(const struct rtnl_attr *a, char out[IFNAMSIZ])
{
	size_t n = strnlen((const char *)a->data, a->len);
	if (n == a->len || n >= IFNAMSIZ)
		return false;
	memset(out, 0, IFNAMSIZ);
	memcpy(out, a->data, n);
	return true;
}

#endif
