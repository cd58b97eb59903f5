/*
 * Purpose: builder of rtnetlink messages with nested attributes.
 * Owns:    nothing; the buffer is the caller's.
 * Thread:  any (pure).
 * In/Out:  bytes in host order; no alignment of the buffer is assumed.
 * Errors:  a message that does not fit has length 0 at the end.
 */
#ifndef KT_RTNL_PUT_H
#define KT_RTNL_PUT_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "daemon/base/addr.h"

struct rtnl_msg {
	uint8_t *buf;
	size_t len, cap;
	bool full;
};

static inline void rtnl_put(struct rtnl_msg *m, const void *data, size_t n, size_t padded)
{
	if (m->full || m->cap - m->len < padded) {
		m->full = true;
		return;
	}
	memset(m->buf + m->len, 0, padded);
	if (n)
		memcpy(m->buf + m->len, data, n);
	m->len += padded;
}

static inline void rtnl_put_attr(struct rtnl_msg *m, uint16_t type, const void *data, size_t n)
{
	struct nlattr a = { .nla_len = (uint16_t)(NLA_HDRLEN + n), .nla_type = type };
	rtnl_put(m, &a, sizeof(a), NLA_HDRLEN);
	rtnl_put(m, data, n, NLA_ALIGN(n));
}

static inline void rtnl_put_u32(struct rtnl_msg *m, uint16_t type, uint32_t v)
{
	rtnl_put_attr(m, type, &v, sizeof(v));
}

static inline void rtnl_put_u8(struct rtnl_msg *m, uint16_t type, uint8_t v)
{
	rtnl_put_attr(m, type, &v, sizeof(v));
}

static inline void rtnl_put_addr(struct rtnl_msg *m, uint16_t type, const struct addr *a)
{
	rtnl_put_attr(m, type, a->b, addr_len(a->af));
}

/* Where the nested attributes begin; rtnl_nest_end writes the length of all of them. */
static inline size_t rtnl_nest(struct rtnl_msg *m, uint16_t type)
{
	size_t at = m->len;
	rtnl_put_attr(m, type, NULL, 0);
	return at;
}

static inline void rtnl_nest_end(struct rtnl_msg *m, size_t at)
{
	uint16_t len = (uint16_t)(m->len - at);
	if (!m->full)
		memcpy(m->buf + at, &len,
		       sizeof(len)); /* of struct nlattr and struct rtnexthop it is the first field */
}

static inline void rtnl_begin(struct rtnl_msg *m, uint16_t type, uint16_t flags, uint32_t seq)
{
	struct nlmsghdr h = { .nlmsg_type = type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags), .nlmsg_seq = seq };
	rtnl_put(m, &h, sizeof(h), NLMSG_HDRLEN);
}

static inline size_t rtnl_finish(struct rtnl_msg *m)
{
	uint32_t len = (uint32_t)m->len;
	if (m->full)
		return 0;
	memcpy(m->buf, &len, sizeof(len));
	return m->len;
}

#endif
