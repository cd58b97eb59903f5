/*
 * Purpose: what in the configuration of the IKE daemon fights a virtual address, by connection: danger and remedy.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In:      a tunnel, its connection as the IKE daemon has it, and what was seen to happen.
 * Out:     findings, the gravest first.
 * Errors:  none; what the IKE daemon does not tell is named as not known, never guessed.
 */
#ifndef KT_IKE_LINT_H
#define KT_IKE_LINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ike-hooks/ike_conf.h"
#include "ike-hooks/vici_conn.h"
#include "ike-hooks/xfrm_policy.h"

#define IKE_DETECT_MAX_S     30  /* a dead peer should be found within this */
#define IKE_RETRANSMIT_STD_S 165 /* charon's standard: 4 s, each 1.8 times the one before, 5 repetitions */

enum ike_grade { IKE_GRADE_DANGER = 0, IKE_GRADE_WARNING, IKE_GRADE_NOTE };

/* Where the setting is, for the remedy. */
enum ike_scope { IKE_IN_NOTHING = 0, IKE_IN_CONN, IKE_IN_CHILD, IKE_IN_REMOTE, IKE_IN_WARM };

/* name, grade, scope, setting, value that is right ("" = depends), danger; and the remedy where no setting is one */
#define IKE_LINT_TABLE(X)                                                                                              \
	X(IKE_LINT_NO_CONN, IKE_GRADE_DANGER, IKE_IN_NOTHING, "ike", "",                                               \
	  "the IKE daemon has no connection of this name: the tunnel cannot come up here",                             \
	  "load the connection on this node (swanctl --load-conns), or correct ike of the tunnel")                     \
	X(IKE_LINT_NO_CHILD, IKE_GRADE_DANGER, IKE_IN_NOTHING, "child", "",                                            \
	  "the connection has no child of this name: the tunnel cannot come up here",                                  \
	  "load the child on this node (swanctl --load-conns), or correct child of the tunnel")                        \
	X(IKE_LINT_MOBIKE, IKE_GRADE_DANGER, IKE_IN_CONN, "mobike", "no",                                              \
	  "after a switch the old master moves the tunnel to its own address and keeps it", "")                        \
	X(IKE_LINT_MOVED, IKE_GRADE_DANGER, IKE_IN_CONN, "mobike", "no",                                               \
	  "the IKE daemon was seen to move this connection to another address", "")                                    \
	X(IKE_LINT_LOCAL_OTHER, IKE_GRADE_DANGER, IKE_IN_CONN, "local_addrs", "VIP",                                   \
	  "the tunnel does not end at the virtual address, so it does not follow the role", "")                        \
	X(IKE_LINT_REMOTE_OTHER, IKE_GRADE_DANGER, IKE_IN_CONN, "remote_addrs", "PEER",                                \
	  "the connection goes to another peer than the tunnel names: resets and sweeps miss it", "")                  \
	X(IKE_LINT_START, IKE_GRADE_DANGER, IKE_IN_CHILD, "start_action", "none",                                      \
	  "the backup negotiates as well, and the last one to do so has the tunnel", "")                               \
	X(IKE_LINT_CLOSE, IKE_GRADE_DANGER, IKE_IN_CHILD, "close_action", "none",                                      \
	  "a node that lost the role negotiates anew when the peer closes its tunnel", "")                             \
	X(IKE_LINT_UNIQUE_NEVER, IKE_GRADE_DANGER, IKE_IN_CONN, "unique", "replace",                                   \
	  "INITIAL_CONTACT is not sent: the peer keeps the tunnel of the old master beside the new one", "")           \
	X(IKE_LINT_ID_WILD, IKE_GRADE_DANGER, IKE_IN_REMOTE, "id", "",                                                 \
	  "without one identity of the peer INITIAL_CONTACT is not sent: it keeps the tunnel of the old master", "")   \
	X(IKE_LINT_REMOTE_ANY, IKE_GRADE_DANGER, IKE_IN_CONN, "remote_addrs", "PEER",                                  \
	  "without the peer's address a new master cannot negotiate: it has to wait for the peer", "")                 \
	X(IKE_LINT_WARM_LOCAL, IKE_GRADE_DANGER, IKE_IN_WARM, "local_addrs", "",                                       \
	  "the warm connection uses the virtual address, which a backup does not have", "")                            \
	X(IKE_LINT_COPY_NONE, IKE_GRADE_WARNING, IKE_IN_NOTHING, "sync_sa", "",                                        \
	  "no inbound policy is here, so packets of the copied SAs would be dropped after a takeover",                 \
	  "set start_action = trap and a reqid for this child, the same on both nodes")                                \
	X(IKE_LINT_COPY_REQID, IKE_GRADE_WARNING, IKE_IN_NOTHING, "sync_sa", "",                                       \
	  "the policies here ask for another reqid, so packets of the copied SAs would be dropped after a takeover",   \
	  "set the same reqid for this child on both nodes")                                                           \
	X(IKE_LINT_NO_WARM, IKE_GRADE_WARNING, IKE_IN_NOTHING, "warm_ike", "",                                         \
	  "the IKE daemon has no connection of this name with such a child: a takeover negotiates from the beginning", \
	  "load the connection with the child warm_child on this node, or correct warm_ike of the tunnel")             \
	X(IKE_LINT_WARM_V1, IKE_GRADE_WARNING, IKE_IN_WARM, "version", "2",                                            \
	  "an IKE SA without child exists in IKEv2 only: a takeover negotiates from the beginning", "")                \
	X(IKE_LINT_LOCAL_ANY, IKE_GRADE_WARNING, IKE_IN_CONN, "local_addrs", "VIP",                                    \
	  "the route decides which address negotiates: it may be the node's own one", "")                              \
	X(IKE_LINT_UNWANTED, IKE_GRADE_WARNING, IKE_IN_NOTHING, "tunnel", "",                                          \
	  "the tunnel came up here while this node had no role; it was taken down again",                              \
	  "start_action, close_action and dpd_action of the child must not start it, and the peer must negotiate "     \
	  "with the virtual address only")                                                                             \
	X(IKE_LINT_DPD_ACTION, IKE_GRADE_WARNING, IKE_IN_CHILD, "dpd_action", "clear",                                 \
	  "the IKE daemon negotiates by itself when the peer is dead, beside the resets made here", "")                \
	X(IKE_LINT_DPD_OFF, IKE_GRADE_WARNING, IKE_IN_CONN, "dpd_delay", "10s",                                        \
	  "neither the IKE daemon nor this tunnel's dpd finds a dead peer", "")                                        \
	X(IKE_LINT_DPD_SLOW, IKE_GRADE_WARNING, IKE_IN_NOTHING, "dpd_delay", "", "a dead peer is found late",          \
	  "smaller dpd_delay, and in strongswan.conf charon.retransmit_timeout and retransmit_tries (IKEv1: "          \
	  "dpd_timeout); or dpd of the tunnel here")                                                                   \
	X(IKE_LINT_UNIQUE_NO, IKE_GRADE_WARNING, IKE_IN_CONN, "unique", "replace",                                     \
	  "a peer that negotiates anew without INITIAL_CONTACT leaves its old tunnel here beside the new one", "")     \
	X(IKE_LINT_DPD_OURS, IKE_GRADE_NOTE, IKE_IN_CONN, "dpd_delay", "10s",                                          \
	  "only this tunnel's dpd finds a dead peer, and only while packets are sent to it", "")                       \
	X(IKE_LINT_REAUTH, IKE_GRADE_NOTE, IKE_IN_CONN, "reauth_time", "0",                                            \
	  "a reauthentication takes the tunnel down for a moment", "")

enum ike_lint {
#define IKE_ENUM(name, grade, scope, setting, value, danger, fix) name,
	IKE_LINT_TABLE(IKE_ENUM)
#undef IKE_ENUM
	    IKE_LINT_N
};

/* What there is to know about one tunnel. */
struct ike_lint_in {
	const struct ike_tunnel_conf *tunnel;
	const struct vici_conn *conn; /* NULL: not loaded */
	const struct vici_conn *warm; /* that of conf.warm_ike; NULL: not loaded, or not wanted */
	uint32_t retransmit_s;        /* until charon gives an unanswered request up; 0: not known, its standard */
	bool floated;                 /* an SA proved that MOBIKE is on (vici_detail_floated) */
	uint64_t moved;               /* ike-update events of this connection */
	enum sa_policy copies;        /* the worst of what the policies here say to the copies held for it */
	uint64_t unwanted;            /* how often an SA came up while passive */
};

struct ike_finding {
	enum ike_lint what;
	char value[128]; /* what was found: "yes", "192.0.2.7", "195 s" */
};

struct ike_lint_out {
	unsigned n;
	struct ike_finding f[IKE_LINT_N];
	bool mobike_unknown, start_unknown; /* the IKE daemon does not tell, and nobody else did */
	uint32_t detect_s;                  /* until the IKE daemon finds a dead peer; 0: never */
};

/* Overwrites out. */
void ike_lint(const struct ike_lint_in *in, struct ike_lint_out *out);

enum ike_grade ike_lint_grade(enum ike_lint what);
const char *ike_grade_name(enum ike_grade g);
/* Stable words for programs: "mobike", "local_addrs", ... */
const char *ike_lint_setting(enum ike_lint what);
const char *ike_lint_danger(enum ike_lint what);
/* "set connections.hq.mobike = no and run swanctl --load-conns"; at least 320 bytes. Returns buf. */
char *ike_lint_fix(enum ike_lint what, const struct ike_tunnel_conf *t, char *buf, size_t size);

#endif
