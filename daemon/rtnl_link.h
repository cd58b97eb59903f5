/*
 * Purpose: rtnetlink messages that make and remove the interfaces of virtual MAC addresses, and the attributes of such
 *          interfaces in what the kernel tells.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In/Out:  bytes in host order, as the kernel wants them (linux/if_link.h).
 * Errors:  encoders return 0 when the buffer is too small or the request makes no sense; the reader returns false for an
 *          attribute of a wrong length.
 */
#ifndef KT_RTNL_LINK_H
#define KT_RTNL_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/netstate.h"

#define RTNL_LINK_MSG_MAX 120 /* longest message the encoders below make */

/* What an interface has to be. */
struct rtnl_link {
	enum net_link_kind kind; /* NET_LINK_MACVLAN or NET_LINK_IPVLAN */
	char name[IFNAMSIZ];
	int base;       /* interface index of the base */
	uint8_t mac[6]; /* NET_LINK_MACVLAN only; an ipvlan bears the MAC of its base */
};

/*
 * The virtual router's MAC address: 00-00-5E-00-01-VRID for IPv4, 00-00-5E-00-02-VRID for IPv6 (RFC 9568 section 7.3).
 * af: ADDR_V4 or ADDR_V6.
 */
void rtnl_link_vmac(uint8_t mac[6], uint8_t af, uint8_t vrid);
/*
 * RTM_NEWLINK, exclusive: the interface is made with our mark (group NET_MARK) and stays DOWN. macvlan in bridge mode,
 * ipvlan in mode l2.
 */
size_t rtnl_link_create(uint8_t *buf, size_t cap, const struct rtnl_link *l, uint32_t seq, bool ack);
/* RTM_DELLINK by index. */
size_t rtnl_link_del(uint8_t *buf, size_t cap, int ifindex, uint32_t seq, bool ack);
/* RTM_DELLINK of every interface whose group this is, all in one step. */
size_t rtnl_link_del_group(uint8_t *buf, size_t cap, uint32_t group, uint32_t seq, bool ack);
/* RTM_NEWLINK that sets the MTU of an interface. */
size_t rtnl_link_mtu(uint8_t *buf, size_t cap, int ifindex, uint32_t mtu, uint32_t seq, bool ack);
/* RTM_NEWLINK that makes an interface belong to another one (a VRF); master 0: to none. */
size_t rtnl_link_master(uint8_t *buf, size_t cap, int ifindex, int master, uint32_t seq, bool ack);
/* True when the observed interface is what was asked for; its name is not compared. */
bool rtnl_link_is(const struct net_link *have, const struct rtnl_link *want);
/* One attribute of RTM_NEWLINK: IFLA_LINK, IFLA_GROUP and IFLA_LINKINFO go to l, others are left alone. */
bool rtnl_link_attr(uint16_t type, const uint8_t *data, size_t len, struct net_link *l);

#endif
