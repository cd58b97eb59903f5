/*
 * Purpose: what an operator can set on IPsec tunnels and hooks.
 * Owns:    argv strings belong to the configuration that holds these structs.
 * Thread:  any; immutable once built.
 * In/Out:  plain data. Times in ns.
 * Errors:  none; the configuration reader has checked ranges and combinations.
 */
#ifndef KT_IKE_CONF_H
#define KT_IKE_CONF_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/addr.h"

#define IKE_NAME_MAX    64
#define IKE_ARGV_MAX    16
#define IKE_TUNNELS_MAX 4096 /* configured and learnt together */

enum ike_backend { IKE_BACKEND_VICI = 0, IKE_BACKEND_LIBRESWAN = 1, IKE_BACKEND_EXEC = 2, IKE_BACKEND_NONE = 3 };
enum ike_dpd_action { IKE_DPD_RESET = 0, IKE_DPD_REKEY = 1, IKE_DPD_NOTIFY = 2 };
/* On demand: a peer is judged only while packets are sent to it. Periodic: an idle one is asked as well. */
enum ike_dpd_mode { IKE_DPD_ON_DEMAND = 0, IKE_DPD_PERIODIC = 1, IKE_DPD_OFF = 2 };
/* What the peer is told when this node gives the address away. */
enum ike_demote { IKE_DEMOTE_SILENT = 0, IKE_DEMOTE_DELETE = 1 };
enum ike_sync_sa { IKE_SYNC_SA_OFF = 0, IKE_SYNC_SA_INBOUND = 1 };

struct ike_dpd_conf {
	bool enabled;        /* there is a dpd block and its mode is not off */
	int64_t interval_ns; /* silence that raises a doubt */
	int64_t retry_ns;
	uint8_t retries;
	enum ike_dpd_action action;
	enum ike_dpd_mode mode;
};

/* Which of the kernel's SAs are a tunnel's, where an address alone would take in others'. */
struct ike_sa_conf {
	bool has_reqid, has_mark, has_if_id;
	uint32_t reqid, mark, if_id;
};

struct ike_tunnel_conf {
	char name[IKE_NAME_MAX];
	struct addr vip;          /* local address, one of the VIPs of its group */
	struct addr peer;         /* af 0: any; only learnt tunnels */
	char ike[IKE_NAME_MAX];   /* connection name in the IKE daemon */
	char child[IKE_NAME_MAX]; /* child name */
	enum ike_backend backend;
	uint8_t priority; /* lower first */
	bool initiate;
	enum ike_demote on_demote;
	struct ike_dpd_conf dpd;
	bool watch_spi; /* packets of the peer with an SPI that nobody knows reset the tunnel */
	enum ike_sync_sa sync_sa;
	bool warm;                     /* an IKE SA without child is kept while this node is not MASTER */
	char warm_ike[IKE_NAME_MAX];   /* its connection, bound to the node's own address */
	char warm_child[IKE_NAME_MAX]; /* the child of that connection that takes over */
	bool learnt;                   /* tunnels = "auto" found it */
	struct ike_sa_conf sa;
	/* backend exec: the program, NULL-terminated, argv[0] an absolute path; and how long it may run (others: 0) */
	const char *exec[IKE_ARGV_MAX + 1];
	int64_t exec_timeout_ns;
	bool gone;      /* and does not find it any more */
	uint16_t group; /* index of the failover group that owns the VIP */
	unsigned line;
};

enum hook_event {
	HOOK_ROLE = 0, /* a group changed its role */
	HOOK_DPD_DEAD, /* a tunnel's peer was found dead */
	HOOK_TUNNEL_UP,
	HOOK_TUNNEL_DOWN,
	HOOK_RESET_FAILED,
	HOOK_SPI_UNKNOWN, /* the peer uses an SA that this node does not have */
	HOOK_EVENT_N
};

struct hook_conf {
	uint32_t on;                        /* bit set of 1u << enum hook_event */
	const char *argv[IKE_ARGV_MAX + 1]; /* NULL-terminated; argv[0] is an absolute path */
	int64_t timeout_ns;
	unsigned line;
};

#endif
