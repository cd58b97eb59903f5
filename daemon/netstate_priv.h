/*
 * Purpose: records and helpers shared by netstate.c (operations), netstate_conf.c (desired objects) and
 *          netstate_obs.c (observed model).
 * Owns:    nothing beyond struct netstate.
 * Thread:  CONTROL (pure).
 * In/Out:  see netstate.h.
 * Errors:  see netstate.h.
 */
#ifndef KT_NETSTATE_PRIV_H
#define KT_NETSTATE_PRIV_H

#include "daemon/netstate.h"

#define NET_ORPHANS NET_GROUPS_MAX /* index of the group of objects that are configured no longer */

enum net_flight { NET_F_NONE = 0, NET_F_ADD, NET_F_DEL };

struct net_obj {
	uint32_t next;     /* in its group */
	uint32_t all_next; /* of all objects */
	uint32_t chg_next; /* in the list of changes */
	uint32_t handle;
	uint16_t group; /* NET_ORPHANS: configured no longer */
	uint16_t iface;
	struct addr addr;
	uint8_t plen;
	uint8_t flight; /* enum net_flight */
	bool listed;    /* stands in the ownership list */
	bool prepared;  /* listed ahead of a promotion */
	bool added;     /* our own addition succeeded: decides where the kernel keeps no marks */
	bool acked;     /* the operation in flight was acknowledged, its event not seen yet */
	bool seen;      /* an event about the operation in flight was seen */
	bool changed;   /* in the list of changes */
	bool told_ours; /* what the list of changes said last */
	int place;      /* interface index where our copy is, or was put; 0: none */
	int flight_ifindex;
	int err; /* errno of the last refusal, positive; 0 after a success */
	int64_t backoff_ns;
	mono_t next_try, acked_at;
	uint32_t op_seq, tag, conf_gen;
};

struct net_obs {
	uint32_t next, prev; /* of the same link, in the order of appearance */
	uint32_t gen;
	struct net_addr a;
};

struct net_linkrec {
	uint32_t all_next, all_prev, chg_next;
	uint32_t handle, gen;
	uint32_t first, last; /* observed addresses */
	bool changed;
	struct net_link l;
};

/* Observed address on an interface, or NULL. */
struct net_obs *net_obs_find(const struct netstate *ns, int ifindex, const struct addr *a, uint8_t plen);
struct net_linkrec *net_link_find(const struct netstate *ns, int ifindex);
uint64_t net_obj_hash(const struct netstate *ns, const struct addr *a);
/* Name to number, made when new; -ENOSPC or -EINVAL. */
int net_iface_intern(struct netstate *ns, const char *name);

static inline struct net_obj *net_obj_at(const struct netstate *ns, uint32_t h)
{
	return slab_at(&ns->objs, h);
}

/* Index of the interface that bears the object's name now; 0: absent. */
static inline int net_iface_index(const struct netstate *ns, const struct net_obj *o)
{
	return ns->ifaces[o->iface].index;
}

/* Observed address where our copy is or should be; prefers the place it was put. NULL when there is none. */
struct net_obs *net_obj_copy(const struct netstate *ns, const struct net_obj *o);
/* Takes note of where our copy is and tells of a change. */
void net_own_refresh(struct netstate *ns, struct net_obj *o);
/* Adds the object at the end of a group's list. */
void net_group_append(struct netstate *ns, uint32_t group, struct net_obj *o);

/* The rule of ownership: our list and our mark (or, without marks, our own successful addition). */
static inline bool net_is_ours(const struct netstate *ns, const struct net_obj *o, const struct net_obs *b)
{
	return b && o->listed && (ns->marks ? b->a.proto == NET_MARK : o->added);
}

void net_group_dirty(struct netstate *ns, uint32_t group);
/* Something was seen or vanished at this place: settle what was in flight, take note of a change of ownership. */
void net_obj_event(struct netstate *ns, int ifindex, const struct addr *a, uint8_t plen, bool gone);
/* A dump is complete: operations that waited for their event wait no longer. */
void net_obj_dump_end(struct netstate *ns);

#endif
