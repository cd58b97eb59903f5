/*
 * Purpose: what an operator can set on IPsec tunnels and hooks.
 * Owns:    argv strings belong to the configuration that holds these structs.
 * Thread:  any; immutable once built.
 * In/Out:  plain data. Times in ns.
 * Errors:  none; the configuration reader has checked ranges.
 */
#ifndef KT_IKE_CONF_H
#define KT_IKE_CONF_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/addr.h"

#define IKE_NAME_MAX 64
#define IKE_ARGV_MAX 16

enum ike_backend { IKE_BACKEND_VICI = 0, IKE_BACKEND_NONE = 1 };
enum ike_dpd_action { IKE_DPD_RESET = 0, IKE_DPD_REKEY = 1, IKE_DPD_NOTIFY = 2 };

struct ike_dpd_conf {
	bool enabled;
	int64_t interval_ns; /* silence that raises a doubt */
	int64_t retry_ns;
	uint8_t retries;
	enum ike_dpd_action action;
};

struct ike_tunnel_conf {
	char name[IKE_NAME_MAX];
	struct addr vip; /* local address, one of the VIPs of its group */
	struct addr peer;
	char ike[IKE_NAME_MAX];   /* connection name in the IKE daemon */
	char child[IKE_NAME_MAX]; /* child name */
	enum ike_backend backend;
	uint8_t priority; /* lower first */
	bool initiate;
	struct ike_dpd_conf dpd;
	uint16_t group; /* index of the failover group that owns the VIP */
	unsigned line;
};

enum hook_event {
	HOOK_ROLE = 0, /* a group changed its role */
	HOOK_DPD_DEAD, /* a tunnel's peer was found dead */
	HOOK_TUNNEL_UP,
	HOOK_TUNNEL_DOWN,
	HOOK_RESET_FAILED,
	HOOK_EVENT_N
};

struct hook_conf {
	uint32_t on;                        /* bit set of 1u << enum hook_event */
	const char *argv[IKE_ARGV_MAX + 1]; /* NULL-terminated; argv[0] is an absolute path */
	int64_t timeout_ns;
	unsigned line;
};

#endif
