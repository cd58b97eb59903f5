/*
 * Purpose: the sockets of VRRP: raw IP protocol 112 per (interface, family), never per virtual router, and one packet
 *          socket for whole frames.
 * Owns:    struct vrrp_io, its ports and their descriptors.
 * Thread:  CONTROL; nothing here blocks.
 * In:      packets from the network, frames and messages from the caller.   Out: the receive callback.
 * Errors:  -errno. A full or missing interface is counted and returned, and the socket stays: VRRP sends again soon.
 *
 * A port is bound to an interface index. When the interface is deleted and made anew, its index changes: close the old
 * port, open the new one. Link down and up needs nothing.
 */
#ifndef KT_VRRP_IO_H
#define KT_VRRP_IO_H

#include <net/if.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/base/addr.h"
#include "daemon/base/log.h"
#include "daemon/base/loop.h"
#include "vrrp/vrrp_wire.h"

struct vrrp_io;

#define VRRP_IO_NOBODY UINT16_MAX

/* One (interface, family). The counters are the caller's to raise, for packets that belong to no virtual router. */
struct vrrp_port {
	unsigned ifindex;
	uint8_t af;
	char ifname[IFNAMSIZ];
	uint64_t rx, drop[VRRP_DROP_N];
	struct log_rate drop_rate;
	mono_t vrid_told; /* when an unknown VRID was last told of; MONO_ZERO: never */
};

struct vrrp_io_packet {
	struct vrrp_port *port;
	uint16_t inst;       /* whom its VRID was assigned to; VRRP_IO_NOBODY */
	enum vrrp_drop drop; /* VRRP_DROP_IP: its IP header is bad; VRRP_OK: to be parsed */
	struct vrrp_rx rx;
};

/* p is valid during the call only. The callback may open, close and send. */
typedef void (*vrrp_io_rx_fn)(void *arg, const struct vrrp_io_packet *p);

struct vrrp_io_stats {
	uint64_t rx, rx_bad_ip, rx_error;
	uint64_t tx, tx_again, tx_nobufs, tx_no_device, tx_error;
	uint64_t ann, ann_again, ann_error;
	uint64_t pauses;
};

#define VRRP_IO_CROWD 32 /* virtual routers on one port from which on it pauses */

/* NULL and errno: no memory. The packet socket is opened by the first frame. */
struct vrrp_io *vrrp_io_new(struct loop *l, vrrp_io_rx_fn fn, void *arg);
void vrrp_io_free(struct vrrp_io *io);
/*
 * How long a port of many virtual routers rests after it was read empty: their adverts come in bursts, and a wake-up for
 * each costs more than the packet. 0: not at all. Far below the shortest interval, or it would be missed.
 */
void vrrp_io_pause(struct vrrp_io *io, int64_t ns);

/*
 * The port of (ifindex, af) into *out; a second open counts a reference. ifname is for messages. -errno: EPERM without
 * CAP_NET_RAW, ENODEV without the interface; after any error the caller tries again when the interface changes.
 */
int vrrp_io_open(struct vrrp_io *io, unsigned ifindex, const char *ifname, uint8_t af, struct vrrp_port **out);
/* Gives one reference back. */
void vrrp_io_close(struct vrrp_port *port);
/* All open ports, one after the other: begin with NULL; NULL at the end. */
struct vrrp_port *vrrp_io_next(struct vrrp_io *io, const struct vrrp_port *after);

/* Packets of this VRID are inst's from now on, or nobody's. */
void vrrp_io_assign(struct vrrp_port *port, uint8_t vrid, uint16_t inst);

/*
 * Joins a multicast group; each join counts a reference. -errno: ENOBUFS beyond net.ipv4.igmp_max_memberships different
 * IPv4 groups on one interface (20 by default; without own groups one is all there ever is).
 */
int vrrp_io_join(struct vrrp_port *port, const struct addr *group);
/* Gives one reference back; nothing happens when there is none. */
void vrrp_io_leave(struct vrrp_port *port, const struct addr *group);

/*
 * Sends a VRRP message from src to dst, a group or a router, with this TTL or hop limit. 0, or -errno: -EAGAIN and
 * -ENOBUFS when full.
 */
int vrrp_io_send(struct vrrp_port *port, const struct addr *src, const struct addr *dst, uint8_t ttl, const void *buf,
		 size_t len);
/*
 * The same to a group, as a frame with mac as its source, from the interface of the port: the base of a virtual MAC. The
 * stack of this machine never hears it back: the kernel offers macvlan interfaces what arrives on their base, not what
 * leaves it.
 */
int vrrp_io_send_as(struct vrrp_port *port, const uint8_t mac[6], const struct addr *src, const struct addr *dst,
		    const void *buf, size_t len);

/* One gratuitous ARP or unsolicited NA for vip, with mac as its home. 0 or -errno. */
int vrrp_io_announce(struct vrrp_io *io, unsigned ifindex, const uint8_t mac[6], const struct addr *vip);

/*
 * Reads what waits now (at most max messages) on the ports of ifindex, or on all for 0, and calls back for each.
 * Returns how many were read.
 */
unsigned vrrp_io_drain(struct vrrp_io *io, unsigned ifindex, unsigned max);

const struct vrrp_io_stats *vrrp_io_stats(const struct vrrp_io *io);

#endif
