/*
 * Purpose: the sockets of VRRP: raw IP protocol 112 per (interface, family), one packet socket for announcements.
 * Owns:    struct vrrp_io and its descriptors.
 * Thread:  CONTROL; nothing here blocks.
 * In:      packets from the network, frames and messages from the caller.   Out: the receive callback.
 * Errors:  -errno. A full or missing interface is counted and returned, and the socket stays: VRRP sends again soon.
 *
 * A socket is bound to an interface index. When the interface is deleted and made anew, its index changes: close the
 * old one, open the new one. Link down and up needs nothing.
 */
#ifndef KT_VRRP_IO_H
#define KT_VRRP_IO_H

#include <stddef.h>
#include <stdint.h>
#include "daemon/base/addr.h"
#include "daemon/base/loop.h"
#include "vrrp/vrrp_wire.h"

struct vrrp_io;

/* rx is valid during the call only. The callback may open, close and send. */
typedef void (*vrrp_io_rx_fn)(void *arg, unsigned ifindex, const struct vrrp_rx *rx);

struct vrrp_io_stats {
	uint64_t rx, rx_bad_ip, rx_error;
	uint64_t tx, tx_again, tx_nobufs, tx_no_device, tx_error;
	uint64_t ann, ann_again, ann_error;
};

/* NULL and errno: no memory. The packet socket is opened by the first announcement. */
struct vrrp_io *vrrp_io_new(struct loop *l, vrrp_io_rx_fn fn, void *arg);
void vrrp_io_free(struct vrrp_io *io);

/*
 * Opens the receive and send socket of (ifindex, af), joined to the VRRP group; a second open counts a reference.
 * ifname is for messages. -errno: EPERM without CAP_NET_RAW, ENODEV without the interface; after any error the caller
 * tries again when the interface changes.
 */
int vrrp_io_open(struct vrrp_io *io, unsigned ifindex, const char *ifname, uint8_t af);
/* Gives one reference back; nothing happens when there is none. */
void vrrp_io_close(struct vrrp_io *io, unsigned ifindex, uint8_t af);

/* Sends a VRRP message from src to the group. 0, or -errno: -ENOENT when not open, -EAGAIN and -ENOBUFS when full. */
int vrrp_io_send(struct vrrp_io *io, unsigned ifindex, uint8_t af, const struct addr *src, const void *buf, size_t len);

/* One gratuitous ARP or unsolicited NA for vip, with mac as its home. 0 or -errno. */
int vrrp_io_announce(struct vrrp_io *io, unsigned ifindex, const uint8_t mac[6], const struct addr *vip);

/*
 * Reads what waits now (at most max messages) on the sockets of ifindex, or on all for 0, and calls back for each.
 * Returns how many were read.
 */
unsigned vrrp_io_drain(struct vrrp_io *io, unsigned ifindex, unsigned max);

const struct vrrp_io_stats *vrrp_io_stats(const struct vrrp_io *io);

#endif
