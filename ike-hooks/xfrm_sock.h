/*
 * Purpose: a blocking XFRM netlink socket with a deadline: what the sweep (xfrm_io) and the copies (sa_io) have in common.
 * Owns:    the socket; the buffer is the caller's (locked memory, where keys come in).
 * Thread:  KERNEL (bounded waits); never CONTROL.
 * In:      prepared messages.   Out: datagrams of the kernel, and nobody else's, in the buffer.
 * Errors:  0, -errno, or ERR_TIMEOUT when the deadline passed. -EPROTONOSUPPORT: this kernel has no XFRM.
 */
#ifndef KT_XFRM_SOCK_H
#define KT_XFRM_SOCK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "daemon/base/mono.h"

struct xfrm_sock {
	int fd; /* -1: closed */
	uint32_t seq;
	mono_t until;
	uint8_t *buf;
	size_t cap;
};

int xfrm_sock_open(struct xfrm_sock *s, uint8_t *buf, size_t cap, mono_t until);
void xfrm_sock_close(struct xfrm_sock *s);
int xfrm_sock_send(struct xfrm_sock *s, const void *msg, size_t len);
/* One datagram into the buffer. Its length, or as above. */
ssize_t xfrm_sock_receive(struct xfrm_sock *s);
/* Waits for the acknowledgements of the requests first..last; result[i] is what the kernel said to first + i. */
int xfrm_sock_acks(struct xfrm_sock *s, uint32_t first, uint32_t last, int *result);

#endif
