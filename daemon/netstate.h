/*
 * Purpose: which links, addresses, routes and rules this node wants in the kernel, which ones are there, and what has to
 *          be sent to make both equal. Level, not edge: the difference is taken again after every batch, event burst and
 *          periodic tick.
 * Owns:    the observed model (links, addresses, routes and rules of ours), the desired objects and the operations in
 *          flight.
 * Thread:  CONTROL (pure; time is an argument).
 * In:      declared objects, group modes, observed links and addresses, results of operations, instants.
 * Out:     operations in chunks of NET_CHUNK, a status per failover group, lists of changes.
 * Errors:  functions that can fail return -errno; what the kernel refused is kept per object and told by the status.
 *
 * An observed object is ours when it bears our mark AND stands in the ownership list. Anything else is foreign: an
 * address, route or rule counts as present for a group that wants it, is named in the status, and is never deleted; an
 * interface is not used. Marks: IFA_PROTO 18 of an address, protocol 18 of a route or rule, and of an interface its
 * group 18 together with kind, base and MAC. The group, because it is the one free word of an interface that is set in
 * the message that creates it: an alias needs a second message, and a process that dies between the two would leave an
 * interface that nobody dares to remove. On a kernel without IFA_PROTO (before 5.18) the list alone decides about
 * addresses, and only for those whose addition succeeded.
 *
 * Order within a group: on the way up interfaces, addresses, routes, rules; on the way down the reverse.
 *
 * Order of use on CONTROL after any input:  netstate_diff(ADD) -> if netstate_own_dirty(): write the ownership file
 * ahead -> send the operations -> netstate_done() per operation. daemon/netapply.h does exactly this.
 */
#ifndef KT_NETSTATE_H
#define KT_NETSTATE_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/addr.h"
#include "daemon/base/mono.h"
#include "daemon/base/slab.h"
#include "daemon/base/tbl.h"
#include "daemon/ownfile.h"
#include "daemon/rtnl_route.h"

#define NET_CHUNK        25     /* operations in one batch; GARPs are released per batch */
#define NET_OBJECTS_MAX  262144 /* desired and owned objects; of this and what follows, memory is taken as needed */
#define NET_OBSERVED_MAX 524288 /* addresses of the whole box */
#define NET_LINKS_MAX    65535
#define NET_GROUPS_MAX   65533
#define NET_MARK         18 /* IFA_PROTO, route protocol, interface group of what is ours (RTPROT_KEEPALIVED) */
#define NET_NO_GROUP     UINT16_MAX
#define NET_STATIC       NET_GROUPS_MAX    /* the group of what stays in every role: always NET_UP until netstate_end */
#define NET_TICK_NS      (10 * NS_PER_SEC) /* every object is looked at again within this time */
#define NET_RETRY_MIN_NS (100 * NS_PER_MS) /* back-off after a refusal, doubled up to the maximum */
#define NET_RETRY_MAX_NS (5 * NS_PER_SEC)
#define NET_ECHO_NS      (200 * NS_PER_MS) /* an acknowledged operation without its event: dump again */

/* Address flags as in linux/if_addr.h; only those that matter here. */
enum {
	NET_A_SECONDARY = 0x01,
	NET_A_NODAD = 0x02,
	NET_A_DADFAILED = 0x08,
	NET_A_HOME = 0x10,
	NET_A_TENTATIVE = 0x40,
	NET_A_MNGTMPADDR = 0x100,
	NET_A_NOPREFIXROUTE = 0x200,
	NET_A_AUTOJOIN = 0x400,
};
#define NET_A_OPTIONS (NET_A_HOME | NET_A_MNGTMPADDR | NET_A_NOPREFIXROUTE | NET_A_AUTOJOIN) /* an operator's choice */

/* What an object is; also its rank: links come first on the way up and last on the way down. */
enum net_what {
	NET_LINK = 0, /* an interface of ours exists; in NET_STATIC, so in every role */
	NET_LINK_UP,  /* it is up; belongs to the group whose addresses live on it */
	NET_ADDR,
	NET_ROUTE,
	NET_RULE,
};
#define NET_WHAT_N 5

/* What an interface is, as far as it matters here. */
enum net_link_kind {
	NET_LINK_PLAIN = 0, /* anything else */
	NET_LINK_MACVLAN,
	NET_LINK_IPVLAN,
	NET_LINK_VRF,
};

struct net_link {
	int index;
	char name[IFNAMSIZ];
	bool up;      /* IFF_UP */
	bool carrier; /* IFF_LOWER_UP */
	bool gone;    /* only in lists of changes: the interface was removed */
	uint8_t mac[6];
	uint8_t mac_len; /* 0 when the interface has none or another size */
	uint16_t type;   /* ARPHRD_* */
	uint32_t mtu;
	enum net_link_kind kind;
	int base;       /* index of the interface that this one stands on; 0: none */
	int master;     /* index of the bridge, bond or VRF that it belongs to; 0: none */
	uint32_t group; /* IFLA_GROUP; NET_MARK on interfaces of ours */
};

/* How an address is to be, beyond itself. */
struct net_addr_opt {
	struct addr peer;       /* other end of a point-to-point address; ADDR_NONE: none */
	struct addr broadcast;  /* ADDR_NONE: none */
	char label[IFNAMSIZ];   /* IPv4; empty: the interface's name */
	uint8_t scope;          /* RT_SCOPE_* */
	uint32_t flags;         /* NET_A_OPTIONS; NET_A_NODAD on the way to the kernel */
	bool limited;           /* preferred for preferred_lft seconds only; else for good */
	uint32_t preferred_lft; /* 0: deprecated at once, never chosen as a source */
};

struct net_addr {
	int ifindex;
	struct addr addr;
	uint8_t plen;
	uint8_t proto;           /* IFA_PROTO; 0 when absent */
	uint32_t flags;          /* NET_A_*, IFA_FLAGS if present */
	struct net_addr_opt opt; /* label: as told, even if it is the interface's name */
};

enum net_mode {
	NET_KEEP = 0, /* neither add nor delete: after a start, until it is known who is master */
	NET_DOWN,     /* none of our addresses */
	NET_UP,       /* all of them */
};

enum net_op_kind { NET_OP_ADD = 0, NET_OP_DEL = 1 };

struct net_op {
	enum net_op_kind kind;
	enum net_what what;
	uint32_t obj;   /* handle of the object, 1..NET_OBJECTS_MAX; also its slot in the guardian */
	uint32_t seq;   /* of this operation; late results of an older one are ignored */
	uint32_t tag;   /* the caller's, as given to netstate_want_* */
	uint16_t group; /* NET_NO_GROUP: no longer configured */
	int ifindex;    /* NET_LINK: of the base to add it on, or of the link to delete; routes and rules: 0 */
	struct addr addr;
	uint8_t plen;
	struct net_addr_opt opt; /* of NET_ADDR */
};

#define NET_NAME_MAX 96 /* of an object, for people */

enum net_group_state {
	NET_EQUAL = 0, /* observed equals desired and, for a group that is up, all its links are up with carrier */
	NET_PENDING,   /* operations are on their way or about to be */
	NET_PARTIAL,   /* everything was tried; `failed` objects were refused and are retried with back-off */
	NET_LINK_DOWN, /* the link `ifname` is absent, down or without carrier */
};

struct net_status {
	enum net_group_state state;
	uint32_t total;   /* objects of the group */
	uint32_t present; /* observed where they are wanted (ours and foreign) */
	uint32_t foreign; /* of these: without our mark or not in our list */
	uint32_t failed, waiting;
	/* the first failed (PARTIAL) or else the first foreign object; for LINK_DOWN only ifname is set */
	uint32_t obj;     /* netstate_obj_name tells what it is; 0: none */
	struct addr addr; /* when it is an address */
	uint8_t plen;
	char ifname[IFNAMSIZ];
	int err; /* errno of the refusal, positive */
};

/* An object whose place in the kernel changed hands: what the guardian may delete. */
struct net_owned {
	uint32_t obj;
	bool ours;         /* present, ours: the guardian may delete it; false: withdraw it */
	struct net_op del; /* when ours: the operation that would delete it */
};

struct net_counters {
	uint64_t adds, dels, refused, foreign_seen, mark_lost, retries, full, late_results, dumps_wanted;
	uint64_t lost; /* objects of groups that are up that somebody else removed */
};

struct net_iface { /* an interface name that somebody refers to */
	char name[IFNAMSIZ];
	int index;         /* 0: absent */
	bool changed;      /* state or index; its objects are to be looked at */
	uint32_t chg_next; /* next changed one: number + 1 */
	uint32_t first;    /* list of objects on it */
	uint32_t link;     /* the NET_LINK object that makes it, if it is declared as ours */
	uint32_t link_up;  /* and the NET_LINK_UP object */
};

#define NET_NEEDS_MAX 16

struct net_group {
	enum net_mode mode;
	uint32_t first[NET_WHAT_N], last[NET_WHAT_N]; /* lists of objects */
	uint32_t cursor[2];                           /* per net_op_kind: the object to go on with; 0: from the start */
	uint8_t cursor_what[2];
	uint32_t claims;               /* list of objects that other groups want too */
	uint16_t needs[NET_NEEDS_MAX]; /* interfaces needed beside those of the addresses */
	uint8_t n_needs;
	uint8_t dirty; /* bit per net_op_kind */
	bool touched;  /* its status may have changed */
	mono_t retry;  /* earliest instant at which one of its objects is to be tried or asked for again */
};

struct netstate {
	bool marks;  /* the kernel keeps IFA_PROTO */
	bool synced; /* at least one dump was complete */
	bool own_dirty, own_stale, dump_wanted, routes_wanted, declaring;
	bool listing; /* a list of routes is compared: what it lacks died by itself */
	uint32_t dump_gen, route_gen, conf_gen, op_seq;
	uint32_t n_routes;  /* routes and rules among the objects */
	uint32_t n_present; /* of these, routes that are in the kernel: they may die without a word */
	uint32_t tick_group, n_groups, n_dirty[2], n_touched, touched_next;
	mono_t next_tick, next_retry;
	struct slab objs, obs, links, specs;
	struct slab claims; /* wishes for objects that several groups want */
	struct slab ifaces; /* struct net_iface, in the order in which their names came up */
	struct slab groups; /* struct net_group: NET_STATIC, NET_ORPHANS, the others */
	struct tbl obj_by_key, obs_by_addr, link_by_index, link_by_name, iface_by_name;
	uint32_t n_ifaces, changed_ifaces;
	uint32_t all_objs, all_links;               /* heads of the lists of everything */
	uint32_t changed_objs;                      /* list of changes, any order */
	uint32_t lost_objs;                         /* list of what somebody else removed */
	uint32_t changed_links, changed_links_last; /* list of changes, oldest first */
	struct net_counters count;
};

/* marks: the kernel keeps IFA_PROTO. All groups begin as NET_KEEP. 0 or -ENOMEM. */
int netstate_init(struct netstate *ns, bool marks);
void netstate_free(struct netstate *ns);

/*
 * Declares the configured objects: begin, then want / need for every group, then end. Objects that are not declared
 * again are deleted if they are ours. Group numbers may change between declarations: set every mode again after it.
 */
void netstate_conf_begin(struct netstate *ns);
/*
 * An interface of ours that exists in every role and is up when its group is NET_UP: the virtual MAC's. Created DOWN on
 * `base`, deleted when it is declared no longer and by netstate_end. mac: of a macvlan; ignored for an ipvlan. Declare
 * it before the addresses on it. tag comes back in operations of NET_LINK and NET_LINK_UP.
 * Handle of the NET_LINK_UP object, or -EEXIST when it is declared already, -ENOSPC at a limit, -EINVAL for a bad name.
 */
int netstate_want_link(struct netstate *ns, uint16_t group, const char *name, const char *base, enum net_link_kind kind,
		       const uint8_t mac[6], uint32_t tag);
/*
 * Handle of the object, or -ENOSPC at a limit, -EINVAL for a bad name or prefix length. tag comes back in operations.
 * group: or NET_STATIC. opt NULL: scope global, no duplicate address detection, nothing else. Where several groups want
 * the same address on the same interface, it is there as long as one of them is NET_UP, with the options that were
 * declared first; it counts for one of them at a time, and operations bear that one's tag.
 */
int netstate_want_addr(struct netstate *ns, uint16_t group, const char *ifname, const struct addr *addr, uint8_t plen,
		       const struct net_addr_opt *opt, uint32_t tag);
/* A route or rule; the same errors, and -EINVAL for an interface name that cannot be. */
int netstate_want_route(struct netstate *ns, uint16_t group, const struct route *r, uint32_t tag);
int netstate_want_rule(struct netstate *ns, uint16_t group, const struct rule *r, uint32_t tag);
/* The group is LINK_DOWN unless this link is up, too. 0 or -errno as above. */
int netstate_need_link(struct netstate *ns, uint16_t group, const char *ifname);
void netstate_conf_end(struct netstate *ns);
/* The process ends: what is static and the interfaces of ours are wanted no longer. */
void netstate_end(struct netstate *ns);
/* True when nothing is in flight and nothing of what is static or configured no longer is left in the kernel. */
bool netstate_ended(const struct netstate *ns);

/* What the NET_LINK or NET_LINK_UP object of an operation has to be; false for other objects. */
struct rtnl_link;
bool netstate_op_link(const struct netstate *ns, const struct net_op *op, struct rtnl_link *out);
/* The route or rule of an operation, interfaces by their present numbers; false for other objects. */
bool netstate_op_route(const struct netstate *ns, const struct net_op *op, struct rtnl_route *out);
bool netstate_op_rule(const struct netstate *ns, const struct net_op *op, struct rule *out);
/* True when the interface is one of ours: declared, listed, marked and as it was made. */
bool netstate_link_ours(const struct netstate *ns, const char *name);
/* Number of interfaces that bear our mark; 0 as well when one of them is not ours all the same. */
uint32_t netstate_links_marked(const struct netstate *ns);
/* Writes what an object is, for people: "10.0.0.1/24 on lan"; returns buf (NET_NAME_MAX bytes). */
char *netstate_obj_name(const struct netstate *ns, uint32_t obj, char *buf);

/* Puts the group's objects on the ownership list, so that the file is written before COMMIT. */
void netstate_group_prepare(struct netstate *ns, uint16_t group);
void netstate_group_set(struct netstate *ns, uint16_t group, enum net_mode mode);
enum net_mode netstate_group_mode(const struct netstate *ns, uint16_t group);
struct net_status netstate_status(const struct netstate *ns, uint16_t group);

/* Observed model. A dump marks everything old at begin and drops at end what was not named in between. */
void netstate_dump_begin(struct netstate *ns);
void netstate_dump_end(struct netstate *ns);
void netstate_link_set(struct netstate *ns, const struct net_link *l);
void netstate_link_gone(struct netstate *ns, int ifindex);
void netstate_addr_set(struct netstate *ns, const struct net_addr *a);
void netstate_addr_gone(struct netstate *ns, const struct net_addr *a);
/*
 * Routes and rules of ours: others are not kept, however many there are. A list of all that bear our mark, taken by
 * KERNEL, stands between begin and end; events may come in between and count more than the list.
 */
void netstate_routes_begin(struct netstate *ns);
void netstate_routes_end(struct netstate *ns);
void netstate_route_seen(struct netstate *ns, const struct rtnl_route *r, bool gone, bool listed);
void netstate_rule_seen(struct netstate *ns, const struct rtnl_rule *r, bool gone, bool listed);
/* True once when such a list is to be taken: routes may have died without an event, or events were lost. */
bool netstate_routes_wanted(struct netstate *ns);
/* True once when the model may have missed something (an acknowledged operation without its event). */
bool netstate_dump_wanted(struct netstate *ns);

/*
 * Next operations of one kind, at most NET_CHUNK; they are in flight from now on and not given again before
 * netstate_done. Call until it returns 0. Nothing is given before the first dump was complete.
 */
unsigned netstate_diff(struct netstate *ns, enum net_op_kind kind, mono_t now, struct net_op out[NET_CHUNK]);
/* Result of one operation: 0 or -errno. */
void netstate_done(struct netstate *ns, const struct net_op *op, int result, mono_t now);
/* Periodic work: retries that are due, and the slow check of everything. Then call netstate_diff. */
void netstate_tick(struct netstate *ns, mono_t now);
/* When netstate_tick has work next. */
mono_t netstate_deadline(const struct netstate *ns);

/* Ownership list. True when the file has to be written before operations go out; the call clears it. */
bool netstate_own_dirty(struct netstate *ns);
/* True when the file names more than it needs to: rewrite it when nothing else is to do; the call clears it. */
bool netstate_own_stale(struct netstate *ns);
/* Fills out[cap] with the objects that may be ours in the kernel; returns their number, at most cap. */
uint32_t netstate_own_list(const struct netstate *ns, struct own_entry *out, uint32_t cap);
/* Entries of a previous process, before the first dump. Undeclared ones are deleted once they are seen marked. */
void netstate_own_load(struct netstate *ns, const struct own_entry *e, uint32_t n);
/* Number of the group's objects that are ours in the kernel now: leftovers right after a start. */
uint32_t netstate_leftovers(const struct netstate *ns, uint16_t group);

/* Links and the local addresses VRRP sends from. */
const struct net_link *netstate_link(const struct netstate *ns, int ifindex);
const struct net_link *netstate_link_by_name(const struct netstate *ns, const char *name);
/* A mark for the caller on a link, forgotten with it, and the marked ones one after the other: *iter starts at 0. */
void netstate_link_mark(struct netstate *ns, int ifindex, bool on);
const struct net_link *netstate_link_marked(const struct netstate *ns, uint32_t *iter);

/* One object of a group as it stands: *iter starts at 0, false at the end. */
struct net_shown {
	enum net_what what;
	uint32_t obj, tag;
	bool here, ours; /* in the kernel; and ours */
	int err;         /* of the last refusal, positive; 0: none */
};
bool netstate_obj_next(const struct netstate *ns, uint16_t group, uint32_t *iter, struct net_shown *out);
/*
 * Source address of adverts: the first IPv4 address that is neither secondary nor ours (RFC 9568 section 5.1.1.1), or
 * the first usable link-local IPv6 address that is not ours (section 5.1.2.1). False when there is none.
 */
bool netstate_source(const struct netstate *ns, int ifindex, uint8_t af, struct addr *out);
/* True when this address is on the interface, usable (not tentative) and not one of ours that move with a role. */
bool netstate_may_send(const struct netstate *ns, int ifindex, const struct addr *a);
/* The first such address in one subnet with a; false when there is none. */
bool netstate_source_near(const struct netstate *ns, int ifindex, const struct addr *a, struct addr *out);
/* True when the address is configured on this box by anybody; walks all addresses. */
bool netstate_is_local(const struct netstate *ns, const struct addr *a);
/* Addresses of the box, one after the other: *iter starts at 0; false at the end. */
bool netstate_addr_next(const struct netstate *ns, uint32_t *iter, struct net_addr *out);

/* Takes the next group whose status may have changed; false when there is none. After netstate_diff. */
bool netstate_touched_group(struct netstate *ns, uint16_t *group);
/* Takes the next changed link (state, name, MAC, MTU, local addresses or gone); false when there is none. */
bool netstate_changed_link(struct netstate *ns, struct net_link *out);
/* Takes the next object of a group that is up which somebody else removed; false when there is none. */
bool netstate_lost(struct netstate *ns, struct net_op *out);
/* Takes the next object that became ours in the kernel, or stopped to be. */
bool netstate_changed_owned(struct netstate *ns, struct net_owned *out);

#endif
