/*
 * Purpose: records and helpers shared by netstate.c (the difference), netstate_done.c (results, events, time),
 *          netstate_conf.c (desired objects), netstate_obs.c (observed model) and netstate_show.c (status).
 * Owns:    nothing beyond struct netstate.
 * Thread:  CONTROL (pure).
 * In/Out:  see netstate.h.
 * Errors:  see netstate.h.
 */
#ifndef KT_NETSTATE_PRIV_H
#define KT_NETSTATE_PRIV_H

#include "daemon/netstate.h"

#define NET_ORPHANS (NET_STATIC + 1) /* index of the group of objects that are configured no longer */

enum net_flight { NET_F_NONE = 0, NET_F_ADD, NET_F_DEL };

struct net_obj {
	uint32_t next;     /* in its group, of its kind */
	uint32_t all_next; /* of all objects */
	uint32_t if_next;  /* of the same interface */
	uint32_t chg_next; /* in the list of changes */
	uint32_t lost_next;
	uint32_t handle;
	uint32_t claims; /* of all groups that want it, where there are several (netstate_share.c) */
	uint16_t group;  /* NET_ORPHANS: configured no longer */
	uint16_t iface;  /* of addresses and links; routes and rules: NET_NO_IFACE */
	uint8_t what;    /* enum net_what */
	struct addr addr;
	uint8_t plen;
	union {
		struct net_addr_opt opt; /* NET_ADDR */
		struct {
			enum net_link_kind kind;
			uint16_t base; /* interface */
			uint8_t mac[6];
		} link; /* NET_LINK */
		struct {
			uint32_t spec;      /* struct net_spec */
			uint32_t gen, gone; /* lists that named it, and the one during which an event said it is gone */
			bool present;       /* in the kernel with our mark */
			bool foreign;       /* somebody else's is in its place */
		} route;                    /* NET_ROUTE, NET_RULE */
	};
	uint8_t flight; /* enum net_flight */
	bool listed;    /* stands in the ownership list */
	bool prepared;  /* listed ahead of a promotion */
	bool added;     /* our own addition succeeded: decides where the kernel keeps no marks */
	bool acked;     /* the operation in flight was acknowledged, its event not seen yet */
	bool seen;      /* an event about the operation in flight was seen */
	bool changed;   /* in the list of changes */
	bool told_ours; /* what the list of changes said last */
	bool lost;      /* in the list of what somebody else removed */
	bool compare;   /* our copy may have been made with other options: look once */
	int place;      /* interface index where our copy is, or was put; 0: none */
	int flight_ifindex;
	int err; /* errno of the last refusal, positive; 0 after a success */
	int64_t backoff_ns;
	mono_t next_try, acked_at;
	uint32_t op_seq, tag, conf_gen;
};

#define NET_NO_IFACE UINT16_MAX

/* What a route or rule is to be. */
struct net_spec {
	union {
		struct route route;
		struct rule rule;
	};
	uint16_t iface[ROUTE_HOPS_MAX]; /* of each hop; NET_NO_IFACE: it names none */
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
	uint32_t iface;       /* number + 1 of the name that it bears, if somebody refers to it */
	bool changed;
	bool marked; /* by the caller */
	struct net_link l;
};

/* How an object stands in the kernel. */
struct net_sight {
	bool here;      /* what is wanted is where it is wanted: ours or foreign */
	bool ours_here; /* and it is ours */
	int ours_at;    /* where our copy is: interface index, 1 for routes and rules; 0: nowhere */
};

/* Observed address on an interface, or NULL. */
struct net_obs *net_obs_find(const struct netstate *ns, int ifindex, const struct addr *a, uint8_t plen);
struct net_linkrec *net_link_find(const struct netstate *ns, int ifindex);
uint64_t net_addr_hash(const struct netstate *ns, const struct addr *a);
uint64_t net_obj_hash(const struct netstate *ns, const struct net_obj *o);
/* Name to number, made when new; -ENOSPC or -EINVAL. */
int net_iface_intern(struct netstate *ns, const char *name);
/* The interface changed: its objects are looked at with the next difference. */
void net_iface_changed(struct netstate *ns, uint32_t iface);

static inline struct net_obj *net_obj_at(const struct netstate *ns, uint32_t h)
{
	return slab_at(&ns->objs, h);
}

static inline struct net_iface *net_iface_at(const struct netstate *ns, uint32_t iface)
{
	return slab_at(&ns->ifaces, iface + 1);
}

/* What is static and what is left over come first; a group's record is made when something is said of it. */
static inline uint32_t net_group_handle(uint32_t group)
{
	return group == NET_STATIC ? 1 : group == NET_ORPHANS ? 2 : group + 3;
}

static inline bool net_group_known(const struct netstate *ns, uint32_t group)
{
	return net_group_handle(group) <= ns->groups.carved;
}

static inline struct net_group *net_group_at(const struct netstate *ns, uint32_t group)
{
	return slab_at(&ns->groups, net_group_handle(group));
}

/* The same, made if need be; NULL without memory. */
struct net_group *net_group_make(struct netstate *ns, uint32_t group);

/* Index of the interface that bears the object's name now; 0: absent. */
static inline int net_iface_index(const struct netstate *ns, const struct net_obj *o)
{
	return o->iface == NET_NO_IFACE ? 0 : net_iface_at(ns, o->iface)->index;
}

/* The rule of ownership of an address: our list and our mark (or, without marks, our own successful addition). */
static inline bool net_is_ours(const struct netstate *ns, const struct net_obj *o, const struct net_obs *b)
{
	return b && o->listed && (ns->marks ? b->a.proto == NET_MARK : o->added);
}

/* Groups in the order in which they are looked at: what is static, the configured ones, what is left over. */
static inline uint32_t net_group_nth(const struct netstate *ns, uint32_t i)
{
	return i == 0 ? NET_STATIC : i <= ns->n_groups ? i - 1 : NET_ORPHANS;
}

static inline uint32_t net_groups_all(const struct netstate *ns)
{
	return ns->n_groups + 2;
}

struct net_sight net_sight(const struct netstate *ns, const struct net_obj *o);
/* True when this link is what the NET_LINK object makes, and marked as ours. The name is not compared. */
bool net_link_is(const struct netstate *ns, const struct net_obj *o, const struct net_link *l);
/* The NET_LINK object that declares or declared this interface as ours; NULL: none. */
struct net_obj *net_link_obj(const struct netstate *ns, uint16_t iface);
/* Takes note of where our copy is and tells of a change. */
void net_own_refresh(struct netstate *ns, struct net_obj *o);
/* Adds the object at the end of a group's list. */
void net_group_append(struct netstate *ns, uint32_t group, struct net_obj *o);
/* Takes it out of its group's list. */
void net_group_remove(struct netstate *ns, struct net_obj *o);
void net_group_dirty(struct netstate *ns, uint32_t group);
/* netstate_share.c: objects that several groups want. */
void net_claims_init(struct netstate *ns);
void net_claims_free(struct netstate *ns);
/* Another group wants this object too. 0 or -ENOSPC. */
int net_claim_add(struct netstate *ns, struct net_obj *o, uint16_t group, uint32_t tag);
/* The object goes to the group that wants it most, if that is another one. */
void net_claims_settle(struct netstate *ns, struct net_obj *o);
/* The same for all that this group shares, after its mode changed. */
void net_claims_moved(struct netstate *ns, const struct net_group *g);
void net_list_obj(struct netstate *ns, struct net_obj *o);
/* The object's group is looked at again at this instant. */
void net_retry_at(struct netstate *ns, struct net_obj *o, mono_t at);
void net_orphans_sweep(struct netstate *ns);
/* Something was seen or vanished at this place: settle what was in flight, take note of a change of ownership. */
void net_obj_event(struct netstate *ns, int ifindex, const struct addr *a, uint8_t plen, bool gone);
/* The same for one object. */
void net_obj_seen(struct netstate *ns, struct net_obj *o, int ifindex, bool gone);
static inline struct net_spec *net_spec_of(const struct netstate *ns, const struct net_obj *o)
{
	return slab_at(&ns->specs, o->route.spec);
}
bool net_spec_same(const struct netstate *ns, const struct net_obj *a, const struct net_obj *b);
uint64_t net_spec_hash(const struct netstate *ns, const struct net_obj *o);
struct net_sight net_sight_route(const struct netstate *ns, const struct net_obj *o);
/* True when the interfaces of all hops can carry it now. */
bool net_route_can_add(const struct netstate *ns, const struct net_obj *o);
/* True when the interface is up, or one of ours that comes up just now. */
bool net_carries(const struct netstate *ns, uint16_t iface);
/* A link went down or an address left: routes may have died with it. */
void net_routes_unsure(struct netstate *ns);
/* True when one of its hops goes over an interface that changed. */
bool net_route_changed(const struct netstate *ns, const struct net_obj *o);
struct net_obj *net_declare(struct netstate *ns, uint16_t group, const struct net_obj *like, uint32_t tag, int *err);
/* Makes the spec of an entry of the ownership file; false when its text makes no sense. */
bool net_route_like(struct netstate *ns, uint8_t what, const char *text, struct net_obj *like);
/* The same for the links of ours that bear this name. */
void net_link_event(struct netstate *ns, uint32_t iface);
/* A dump is complete: operations that waited for their event wait no longer. */
void net_obj_dump_end(struct netstate *ns);

#endif
