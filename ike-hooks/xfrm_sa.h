/*
 * Purpose: whole SAs with their keys <-> the kernel's XFRM_MSG_NEWSA (linux/xfrm.h): what a listing shows, and what
 *          installs a copy. xfrm_wire has the messages without keys.
 * Owns:    nothing; buffers and results hold keys and are the caller's locked memory.
 * Thread:  any (pure).
 * In:      the instant as seconds since 1970: the kernel dates an SA's beginning so.
 * Out:     struct sa_copy; bytes in the kernel's layout.
 * Errors:  reading returns enum sa_drop; writing the length, or 0 when the buffer is too small.
 */
#ifndef KT_XFRM_SA_H
#define KT_XFRM_SA_H

#include <stddef.h>
#include <stdint.h>
#include "ike-hooks/sa_copy.h"

#define XFRM_SA_MSG_MAX 1536 /* every message made here fits */

/* One XFRM_MSG_NEWSA with its netlink header. On a drop out is wiped, but for addresses, SPI and packets where they were
 * read: a listing counts them all the same. */
enum sa_drop xfrm_sa_get(const void *msg, size_t len, int64_t wall_s, struct sa_copy *out);
/*
 * XFRM_MSG_NEWSA, create only, acknowledged. What it sets apart from the copied values: a hard lifetime of at most
 * SA_LIFE_NS and of what is left less the margin; no soft limit, so that no IKE daemon is asked to renew what it does not
 * know; every number up to the last reported one counts as seen (RFC 4303 3.4.3: what was sent twice is dropped).
 */
size_t xfrm_sa_put(void *buf, size_t cap, uint32_t seq, const struct sa_copy *sa);
/* Seconds for which a copy may be installed; 0: not at all. */
uint32_t xfrm_sa_lifetime(const struct sa_copy *sa);

#endif
