/*
 * Purpose: links and addresses of an imagined kernel: what rtnetlink answers, and which events it sends.
 * Owns:    everything inside struct fake_rtnl; no allocation.
 * Thread:  one at a time.
 * In:      operations.   Out: 0 or -errno as Linux answers, and a queue of events.
 * Errors:  a full event queue drops the rest and yields one RTNL_OVERRUN, as ENOBUFS does.
 *
 * It passes the same address script (tests/sim/rtnl_script.h) as the real kernel.
 */
#ifndef KT_TESTS_FAKE_RTNL_H
#define KT_TESTS_FAKE_RTNL_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/netstate.h"
#include "daemon/rtnl_wire.h"

#define FAKE_LINKS  32
#define FAKE_ADDRS  2048
#define FAKE_EVENTS 8192
#define FAKE_ROUTES 64
#define FAKE_RULES  16

struct fake_link {
	bool used, up;
	bool cable; /* what the other end gives: carrier = up && cable (&& peer up) */
	int index, peer;
	char name[IFNAMSIZ];
};

struct fake_rtnl {
	struct fake_link link[FAKE_LINKS];
	struct net_addr addr[FAKE_ADDRS]; /* in the kernel's order: of a link, IPv4 primaries before secondaries */
	unsigned n_addrs;
	struct rtnl_route route[FAKE_ROUTES];
	unsigned n_routes;
	struct rtnl_rule rule[FAKE_RULES];
	unsigned n_rules;
	int next_index;
	bool promote_secondaries;
	bool marks; /* keeps IFA_PROTO */
	struct rtnl_event event[FAKE_EVENTS];
	unsigned ev_head, ev_n, ev_limit;
	bool lost;
	/* refusal of operations on one address */
	struct addr refuse;
	int refuse_err;
	unsigned refuse_n;
};

void fake_rtnl_init(struct fake_rtnl *f);
/* Index of the new link (down), or -errno. peer: index of the other end of a pair made before, 0: none. */
int fake_rtnl_link_add(struct fake_rtnl *f, const char *name, int peer);
int fake_rtnl_link_del(struct fake_rtnl *f, int index); /* a pair goes as a whole */
int fake_rtnl_link_up(struct fake_rtnl *f, int index, bool up);
int fake_rtnl_link_rename(struct fake_rtnl *f, int index, const char *name);
int fake_rtnl_cable(struct fake_rtnl *f, int index, bool in);
int fake_rtnl_index(const struct fake_rtnl *f, const char *name); /* 0: none */

int fake_rtnl_addr_add(struct fake_rtnl *f, const struct net_addr *a);
int fake_rtnl_addr_replace(struct fake_rtnl *f, const struct net_addr *a);
int fake_rtnl_addr_del(struct fake_rtnl *f, const struct net_addr *a);
/* An operation of ours: additions bear the mark. */
int fake_rtnl_op(struct fake_rtnl *f, const struct net_op *op);
/* The same for any object of a model, whose routes and rules it looks up there. */
int fake_rtnl_apply(struct fake_rtnl *f, const struct netstate *ns, const struct net_op *op);
/* fake_route.c: proto says whose it is; interfaces by number, 0 where the gateway tells. */
int fake_rtnl_route_add(struct fake_rtnl *f, const struct rtnl_route *r);
int fake_rtnl_route_del(struct fake_rtnl *f, const struct rtnl_route *r);
int fake_rtnl_rule_add(struct fake_rtnl *f, const struct rtnl_rule *r);
int fake_rtnl_rule_del(struct fake_rtnl *f, const struct rtnl_rule *r);
/* Routes over a link that goes down or away, and IPv4 routes with a source that leaves: IPv4 without a word. */
void fake_rtnl_routes_die(struct fake_rtnl *f, int ifindex, uint8_t af, const struct addr *src);
/* The list that route_list takes of the real kernel. */
void fake_rtnl_list(const struct fake_rtnl *f, struct netstate *ns);
struct rtnl_event *fake_rtnl_tell(struct fake_rtnl *f, enum rtnl_event_kind kind);
/* The next n operations on this address are refused with err (positive). */
void fake_rtnl_refuse(struct fake_rtnl *f, const struct addr *a, int err, unsigned n);
bool fake_rtnl_has(const struct fake_rtnl *f, int index, const struct addr *a);

bool fake_rtnl_event(struct fake_rtnl *f, struct rtnl_event *out);
/* Events into the model; dumps when some were lost. */
void fake_rtnl_feed(struct fake_rtnl *f, struct netstate *ns);
void fake_rtnl_dump(const struct fake_rtnl *f, struct netstate *ns);

#endif
