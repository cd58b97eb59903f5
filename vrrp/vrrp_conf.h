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

#define VRRP_NAME_MAX 32

struct vrrp_vip {
	struct addr addr;
	uint8_t plen;
	char interface[IFNAMSIZ]; /* empty: the instance's own interface */
	unsigned line;            /* of the configuration, for messages */
};

struct vrrp_conf {
	char name[VRRP_NAME_MAX];
	char interface[IFNAMSIZ];
	uint8_t vrid;     /* 1..255 */
	uint8_t af;       /* ADDR_V4 or ADDR_V6: one virtual router each (RFC 9568 section 1.3) */
	uint8_t priority; /* 1..254; 255 = address owner */
	int64_t adv_ns;   /* 10 ms .. 40.95 s, a multiple of 10 ms */
	bool preempt;
	bool checksum_rfc9568; /* send the IPv4 checksum without pseudo-header (RFC 9568 5.2.8); both are accepted */
	uint8_t garp_repeat;   /* announcements per address after a takeover, at least 1 */
	int64_t garp_delay_ns; /* second round after this; 0: none */
	const struct vrrp_vip *vips;
	uint16_t n_vips;
	uint16_t group; /* index of its failover group in the configuration */
	unsigned line;
};

#endif
