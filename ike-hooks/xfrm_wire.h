/*
 * Purpose: the few XFRM netlink messages a sweep needs (linux/xfrm.h): dump with address filter, SA, exact delete.
 * Owns:    nothing; buffers are the caller's.
 * Thread:  any (pure).
 * In/Out:  struct xfrm_sa <-> bytes in the kernel's layout.
 * Errors:  parsing returns an enum xfrm_drop; encoders return the length, or 0 when the buffer is too small.
 */
#ifndef KT_XFRM_WIRE_H
#define KT_XFRM_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/base/addr.h"

/* What identifies an SA for deletion, and what a listing shows. */
struct xfrm_sa {
	struct addr src, dst;
	uint32_t spi;  /* host order */
	uint8_t proto; /* IPPROTO_ESP, AH, COMP */
	uint8_t mode;  /* XFRM_MODE_* */
	bool has_mark;
	bool larval; /* no key material: waiting for the IKE daemon, or an allocated SPI */
	uint32_t mark, mark_mask;
	uint32_t reqid, if_id;
	uint16_t encap_sport, encap_dport; /* ESP in UDP; 0: none */
};

/* Which SAs a sweep is about: by address, and narrower where more is given. */
struct xfrm_filter {
	struct addr vip;
	struct addr peer; /* af 0: every peer */
	bool has_reqid, has_mark, has_if_id;
	uint32_t reqid, mark, if_id;
};

#define XFRM_DROP_TABLE(X)                                             \
	X(XFRM_OK, "an SA")                                            \
	X(XFRM_DONE, "end of the dump")                                \
	X(XFRM_ACK, "acknowledgement or error code")                   \
	X(XFRM_DROP_SHORT, "message shorter than its header says")     \
	X(XFRM_DROP_TYPE, "message of another type")                   \
	X(XFRM_DROP_FAMILY, "address family is neither IPv4 nor IPv6") \
	X(XFRM_DROP_ATTR, "attribute longer than the message")         \
	X(XFRM_DROP_ATTR_SIZE, "attribute of an unexpected size")

enum xfrm_drop {
#define XFRM_ENUM(name, text) name,
	XFRM_DROP_TABLE(XFRM_ENUM)
#undef XFRM_ENUM
	    XFRM_DROP_N
};

/* One netlink message of a buffer. */
struct xfrm_msg {
	enum xfrm_drop kind;
	uint32_t seq;
	bool interrupted; /* NLM_F_DUMP_INTR: the table changed, the dump may have holes */
	int error;        /* XFRM_ACK, XFRM_DONE: 0 or -errno */
	struct xfrm_sa sa;
};

#define XFRM_BUF_LEN 256 /* every message made here fits */

/* XFRM_MSG_GETSA dump of SAs with this source and destination; an address with af 0 matches all. One must be set. */
size_t xfrm_put_dump(void *buf, size_t cap, uint32_t seq, const struct addr *src, const struct addr *dst);
/* XFRM_MSG_DELSA of exactly this SA, acknowledged. */
size_t xfrm_put_delete(void *buf, size_t cap, uint32_t seq, const struct xfrm_sa *sa);
/* The message at buf; *used is its aligned length (0: the buffer is unusable from here on). */
void xfrm_get(const void *buf, size_t len, struct xfrm_msg *out, size_t *used);
/* True when the SA goes from or to vip (and its other end is peer, if peer is given and set). */
bool xfrm_matches(const struct xfrm_sa *sa, const struct addr *vip, const struct addr *peer);
/*
 * True when a sweep with this filter is to delete the SA. ESP, AH and IPComp only: what else the kernel lists is its own
 * (IPIP below an IPComp SA goes with that one, and cannot be deleted alone: xfrm_del_sa, xfrm_state_kern).
 */
bool xfrm_selected(const struct xfrm_sa *sa, const struct xfrm_filter *f);
const char *xfrm_drop_text(enum xfrm_drop d);

#endif
