/*
 * Purpose: says in one line why a tunnel is as it is, and what would change that.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In:      the tunnel machine, the role, what the IKE daemon said.
 * Out:     a verdict with two texts.
 * Errors:  none; the first row of the table that fits is the verdict.
 */
#ifndef KT_IKE_VERDICT_H
#define KT_IKE_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include "ike-hooks/ike_fsm.h"

/*
 * name, why, what to do. %P peer, %V virtual address, %C connection, %K child, %T tunnel, %G group, %E the IKE daemon's last
 * error. In order of precedence.
 */
#define IKE_VERDICT_TABLE(X)                                                                                         \
	X(IKE_V_NONE, "no IKE daemon is asked for this tunnel: only what is left of it in the kernel is swept",      \
	  "backend = \"vici\" in the configuration of the tunnel")                                                   \
	X(IKE_V_STOPPED, "the IKE daemon accepts connections but does not answer",                                   \
	  "look at it, and restart it if it hangs: systemctl restart strongswan")                                    \
	X(IKE_V_ABSENT, "the IKE daemon is not reachable", "start it: systemctl start strongswan")                   \
	X(IKE_V_PASSIVE_NOW, "this node does not have the role of group %G: the tunnel belongs to the master",       \
	  "force failover group %G takes the role, and the tunnel with it")                                          \
	X(IKE_V_PASSIVE_SA,                                                                                          \
	  "this node does not have the role of group %G, yet the IKE daemon has an SA of this "                      \
	  "tunnel, which is being removed",                                                                          \
	  "show ipsec check says who starts it")                                                                     \
	X(IKE_V_NO_CONN, "the IKE daemon has no connection %C",                                                      \
	  "load it (swanctl --load-conns), or correct ike of tunnel %T")                                             \
	X(IKE_V_NO_CHILD, "connection %C has no child %K",                                                           \
	  "load it (swanctl --load-conns), or correct child of tunnel %T")                                           \
	X(IKE_V_MOVED, "the tunnel is up at another local address than %V: it was moved",                            \
	  "set connections.%C.mobike = no, swanctl --load-conns, then reset vpn ipsec peer %T")                      \
	X(IKE_V_DEAD, "the tunnel is installed, but its peer is silent",                                             \
	  "reset vpn ipsec peer %T negotiates anew; see whether %P is reachable")                                    \
	X(IKE_V_UP, "the tunnel is up", "nothing; reset vpn ipsec peer %T would negotiate it anew")                  \
	X(IKE_V_PURGING, "what is left of an earlier negotiation is being removed", "nothing; it goes on by itself") \
	X(IKE_V_CHECKING, "the IKE daemon is being asked what it has", "nothing; it goes on by itself")              \
	X(IKE_V_WAITING, "initiate = \"never\": the tunnel comes up when %P negotiates",                             \
	  "initiate = \"auto\" in the configuration of tunnel %T, or start it at the peer")                          \
	X(IKE_V_REFUSED, "the IKE daemon refused to negotiate: %E",                                                  \
	  "correct connection %C; the next try is by itself")                                                        \
	X(IKE_V_CHILD_FAILS, "%P authenticates, but does not agree to child %K",                                     \
	  "compare proposals and traffic selectors of child %K with the peer's; its log has the reason")             \
	X(IKE_V_NO_ANSWER, "%P does not answer, or refuses the proposal or the authentication",                      \
	  "see whether udp 500 and 4500 reach %P, and what the log of either IKE daemon says")                       \
	X(IKE_V_QUEUED, "it waits for its turn: a node has 32 negotiations under way at most",                       \
	  "nothing; a lower priority in the configuration of tunnel %T would bring it forward")                      \
	X(IKE_V_INITIATING, "the negotiation with %P is under way", "nothing; it goes on by itself")

enum ike_verdict {
#define IKE_ENUM(name, why, change) name,
	IKE_VERDICT_TABLE(IKE_ENUM)
#undef IKE_ENUM
	    IKE_VERDICT_N
};

struct ike_verdict_in {
	const struct ike_tunnel *tunnel;
	bool stopped; /* the IKE daemon accepts connections only */
	bool listed;  /* connections are known, so the next two say something */
	bool has_conn, has_child;
	bool sa;          /* the IKE daemon has an SA of the connection */
	bool elsewhere;   /* its local address is not the VIP */
	bool established; /* its IKE SA is established */
	const char *group;
	const char *error; /* last errmsg, may be empty */
};

enum ike_verdict ike_verdict(const struct ike_verdict_in *in);
/* The two texts; at least 240 bytes each. Return buf. */
char *ike_verdict_why(enum ike_verdict v, const struct ike_verdict_in *in, char *buf, size_t size);
char *ike_verdict_change(enum ike_verdict v, const struct ike_verdict_in *in, char *buf, size_t size);

#endif
