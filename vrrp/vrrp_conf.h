/*
 * Purpose: what an operator can set on one virtual router.
 * Owns:    the VIP array belongs to the configuration that holds this struct.
 * Thread:  any; immutable once built.
 * In/Out:  plain data. Times in ns.
 * Errors:  none; the configuration reader has checked ranges.
 */
#ifndef KT_VRRP_CONF_H
#define KT_VRRP_CONF_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/addr.h"

#define VRRP_NAME_MAX 64

/* Options of an address, as `ip address add` has them. */
enum {
	VRRP_VIP_NOPREFIXROUTE = 1 << 0,
	VRRP_VIP_HOME = 1 << 1,
	VRRP_VIP_MNGTMPADDR = 1 << 2,
	VRRP_VIP_AUTOJOIN = 1 << 3,
	VRRP_VIP_DAD = 1 << 4, /* IPv6: detect duplicates; without it the address is usable at once (NODAD) */
};

struct vrrp_vip {
	struct addr addr;
	uint8_t plen;
	char interface[IFNAMSIZ]; /* empty: the instance's own interface, or its virtual MAC's */
	char label[IFNAMSIZ];     /* IPv4; empty: none */
	struct addr peer;         /* other end of a point-to-point address; ADDR_NONE: none */
	struct addr broadcast;    /* ADDR_NONE: none, or the subnet's */
	bool broadcast_auto;      /* IPv4: the subnet's highest address */
	uint8_t scope;            /* RT_SCOPE_*: 0 global, 253 link, 254 host */
	uint8_t flags;            /* VRRP_VIP_* */
	uint32_t preferred_lft;   /* seconds; UINT32_MAX: forever; 0: deprecated at once, never chosen as source */
	bool no_track;            /* its loss never costs the role */
	unsigned line;            /* of the configuration, for messages */
};

/* What is sent; what else is accepted follows from it. */
enum vrrp_version {
	VRRP_V3 = 0,   /* RFC 9568 */
	VRRP_V2,       /* RFC 3768, IPv4 only */
	VRRP_V2_AND_3, /* each advertisement in both forms while routers are being upgraded (RFC 5798 8.4) */
};

struct vrrp_unicast_peer {
	struct addr addr;
	uint8_t ttl_min, ttl_max; /* accepted TTL or hop limit; 0 and 255: any */
};

enum vrrp_vmac_kind {
	VRRP_VMAC_NONE = 0,
	VRRP_VMAC_MACVLAN, /* 00-00-5E-00-01-VRID or 00-00-5E-00-02-VRID (RFC 9568 7.3) */
	VRRP_VMAC_IPVLAN,  /* an own interface with the MAC of the base */
};

/* When somebody else removes an address or a route that moves with the role. */
enum vrrp_lost { VRRP_LOST_RESTORE = 0, VRRP_LOST_YIELD };

struct vrrp_conf {
	char name[VRRP_NAME_MAX];
	char interface[IFNAMSIZ];
	uint8_t vrid;     /* 1..255 */
	uint8_t af;       /* ADDR_V4 or ADDR_V6: one virtual router each (RFC 9568 section 1.3) */
	uint8_t priority; /* 1..254; 255 = address owner */
	enum vrrp_version version;
	bool auth;            /* version 2 only: simple text password (RFC 2338 5.3.6) */
	uint8_t auth_pass[8]; /* padded with zeros */
	int64_t adv_ns;       /* 10 ms .. 40.95 s, a multiple of 10 ms; whole seconds 1..255 s with version 2 */
	uint8_t down_adverts; /* missed intervals until the master counts as gone; 3 by the RFC */
	bool preempt;
	int64_t preempt_delay_ns; /* a lower master is endured this long after it was first heard */
	bool checksum_rfc9568;    /* send the IPv4 checksum without pseudo-header (RFC 9568 5.2.8); both are accepted */
	bool lower_advert;        /* MASTER answers a lower router's advertisement at once (RFC 9568 6.4.3) */
	bool higher_advert;       /* MASTER that yields to a higher router sends one more advertisement first */
	struct addr multicast_group;           /* ADDR_NONE: 224.0.0.18 or ff02::12 */
	struct addr source;                    /* of advertisements; ADDR_NONE: the interface's own address */
	const struct vrrp_unicast_peer *peers; /* none: multicast */
	uint16_t n_peers;
	uint8_t unicast_ttl;
	bool unicast_any_source; /* accept advertisements from addresses that are no configured peer */
	enum vrrp_vmac_kind vmac;
	char vmac_name[IFNAMSIZ]; /* never empty when there is one */
	uint8_t vmac_mac[6];      /* of a macvlan */
	bool vmac_base_source;    /* advertisements bear the MAC of the base interface all the same */
	bool no_accept;  /* packets to a virtual address are dropped, unless this node owns it (RFC 9568 6.1) */
	bool any_link;   /* its interface's link may be down: only the absence of the interface is a fault */
	bool lists_once; /* lists of addresses are compared when another router is heard, not in each advert */
	bool strict;     /* a keepalived.conf said so: shown, and nothing else */
	enum vrrp_lost address_lost;
	uint8_t garp_repeat;         /* announcements per address after a takeover, at least 1 */
	int64_t garp_delay_ns;       /* second round after this; 0: none */
	int64_t garp_refresh_ns;     /* while MASTER, a round each time this has passed; 0: none */
	uint8_t garp_refresh_repeat; /* announcements per address in such a round */
	int64_t garp_lower_delay_ns; /* after a lower router was heard: a second round after this */
	uint8_t garp_lower_repeat;   /* announcements per address then; 0: none */
	int64_t garp_interval_ns;    /* between two announcements on one interface; 0: only the pace of the daemon */
	int64_t na_interval_ns;      /* the same for neighbour advertisements */
	int64_t garp_extra_ns;       /* on the base of a virtual MAC as well, each time this has passed; 0: never */
	const struct vrrp_vip *vips; /* the advertised ones first */
	uint16_t n_vips;             /* all */
	uint16_t n_advertised;       /* those in advertisements; the rest only moves with the role */
	uint16_t group;              /* index of its failover group in the configuration */
	unsigned line;
};

#endif
