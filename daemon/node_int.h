/*
 * Purpose: what the files of the node core share among themselves; nobody else includes it.
 * Owns:    nothing.
 * Thread:  CONTROL (pure).
 * In/Out:  see node.h.
 * Errors:  see node.h.
 */
#ifndef KT_NODE_INT_H
#define KT_NODE_INT_H

#include "daemon/node.h"

/* One step in progress: where actions go and what time it is. */
struct node_run {
	struct node *n;
	struct node_acts *out;
	mono_t now;
	struct node_act *fence; /* of this step; NULL: none yet */
};

/* This step may have changed the group: its timers, its readiness and who depends on it are looked at in the end. */
static inline void node_touch(struct node *n, uint16_t group)
{
	if (n->group[group].touched)
		return;
	n->group[group].touched = true;
	n->group[group].next_touched = n->touched;
	n->touched = group;
}

/* node.c */
struct node_act *node_emit(struct node_run *r, enum node_act_type type);
struct node_act *node_tell(struct node_run *r, enum node_told what);
/* Brings a member in line with its group: after its link or what it tracks came back, or after a reload. */
void node_settle_member(struct node_run *r, uint16_t inst);
/* Steps one virtual router and carries out what it says. */
void node_vrrp(struct node_run *r, uint16_t inst, const struct vrrp_ev *ev);

/* node_track.c */
/* Some member waits for a first result of what it tracks. */
bool node_group_waits(const struct node *n, uint16_t group);
void node_on_track(struct node_run *r, const struct node_ev *ev);

/* node_start.c */
/* The group leaves INIT, unless it waits: BACKUP, or FAULT where a fault is known already; its members begin. */
void node_begin(struct node_run *r, uint16_t group, enum role_reason reason);
/* Every member has priority 255: the addresses are this node's own. */
bool node_owns(const struct node *n, uint16_t group);
/*
 * A member begins to listen. The owner of the addresses need not (RFC 9568 6.4.1), where no sessions are to be waited
 * for: what lies in the socket is read, and then it is MASTER.
 */
void node_listens(struct node_run *r, uint16_t inst);
/* Some group goes on with the role of a process before: this is no start of the router. */
bool node_resumes(const struct node *n);
/* After node_begin: a group whose role goes on takes it at once, by the usual transaction. */
void node_resume(struct node_run *r, uint16_t group);
/* The startup delay has passed: the timers begin anew, so that nobody is missed who spoke only a moment ago. */
void node_startup_over(struct node_run *r);

/* node_role.c */
/* Gives the event to the group's transaction, and carries out what it answers. */
void node_role(struct node_run *r, uint16_t group, const struct role_ev *ev);

/* node_group.c */
/* Members whose master-down timers run on the same interval: the slowest decides how long we may wait for news. */
int64_t node_group_down_ns(const struct node *n, uint16_t group);
void node_wish(struct node_run *r, uint16_t group, enum role_is target, enum role_kind kind, enum role_reason reason,
	       mono_t detect);
/* A group that rests in INIT would have to be in FAULT at once; reason: why. */
bool node_group_faulty(const struct node *n, uint16_t group, mono_t now, enum role_reason *reason);
/* Looks at the group table and wishes accordingly. */
void node_evaluate(struct node_run *r, uint16_t group);
void node_evaluate_all(struct node_run *r);
/* Another master's advert was accepted on a member of this group. */
void node_master_heard(struct node_run *r, uint16_t group);
/* Instant of the last sign of the present master on this group; now if there is none. */
mono_t node_last_sign(const struct node *n, uint16_t group, mono_t now);

/* The operator takes this node out of elections, or lets it in again. */
void node_maintenance(struct node_run *r, bool on);

/* node_timer.c */
/* The due timers of the virtual routers and of the groups, some of them in one step: packets and other work come in
 * between. */
void node_vrrp_timers(struct node_run *r);
void node_group_timers(struct node_run *r);
/* Level, not edge: whatever a decision had to wait for is looked at again, each group once between two heartbeats. */
void node_walk(struct node_run *r);
/* The end of a step: what it changed is carried into timers, counts and the heartbeat. */
void node_settle(struct node_run *r);

/* node_sync.c */
/* The group is ours from this epoch on, or no longer. */
void node_authority(struct node_run *r, uint16_t group, struct epoch epoch, bool mine);
/* One of the transaction's actions that SYNC carries out. */
void node_sync_act(struct node_run *r, uint16_t group, const struct role_act *act);
void node_on_sync(struct node_run *r, const struct sync_report *rep);
/* SYNC hangs: not ready at once; after ten seconds a MASTER with a ready peer gives its groups away and ends. */
void node_sync_watch(struct node_run *r);

/* node_peer.c */
bool node_any_peer_up(const struct node *n);
/* Says how every group is (of very many: those that changed, and the next few). */
void node_heartbeat(struct node_run *r);
/* Says all of it, however many there are. */
void node_heartbeat_all(struct node_run *r);
/* to 0: every peer. */
void node_say(struct node_run *r, enum peer_msg_type type, uint32_t to, uint16_t group, struct epoch epoch,
	      uint64_t seq, uint8_t reason, bool planned);
/* Another node is fitter to take this group over: ready before not ready, then priority, then the lower id. */
bool node_outranked(const struct node *n, uint16_t group, mono_t now);
/* We are not ready for this group and a node that is could take it. */
bool node_better_ready(const struct node *n, uint16_t group, mono_t now);
/* Removes what an earlier process left: somebody else is there. */
void node_unadopt(struct node_run *r, uint16_t group);
/* The node that says on the channel that it is MASTER; 0: none. */
uint32_t node_master_peer(const struct node *n, uint16_t group, mono_t now);
void node_on_peer_up(struct node_run *r, const struct node_ev *ev);
void node_on_peer_down(struct node_run *r, const struct node_ev *ev);
void node_on_peer_msg(struct node_run *r, const struct node_ev *ev);
/* Asks the kernel of a lost peer whether its process still listens. */
void node_probe(struct node_run *r, struct node_peer *p);
void node_on_probe(struct node_run *r, const struct node_ev *ev);
/* A peer that is alive and ready for this group within the last second; NULL if there is none. */
const struct node_peer *node_ready_peer(const struct node *n, uint16_t group, mono_t now);
struct node_peer *node_peer_of(struct node *n, uint32_t id);
/* When the peer said last how this group is; a heartbeat that does not name it says "as before". */
static inline mono_t node_said_at(const struct node_peer *p, uint16_t group)
{
	mono_t at = p->groups[group].at;
	return mono_is_never(at) || mono_is_never(p->beat_at) ? at : mono_max(at, p->beat_at);
}

/* node_wake.c */
/* After a sleep the sockets are read dry; what the channel says meanwhile is history. */
void node_wake_check(struct node_run *r);
/* A MASTER that slept past its own master-down time listens before it speaks. */
void node_stall_check(struct node_run *r);
/* Somebody else is master while we slept. */
void node_stalled_heard(struct node_run *r, uint16_t group);

/* node_split.c */
/* MASTER: another master's advert was accepted; higher: it is the better one. */
void node_rival(struct node_run *r, uint16_t inst, bool higher);
/* Begins, ends and names split brain as the peers' words and the rivals' adverts have it now. */
void node_split_watch(struct node_run *r, uint16_t group);

/* node_ike.c */
void node_ike(struct node_run *r, uint16_t tunnel, const struct ike_ev *ev);
void node_ike_purge(struct node_run *r, uint16_t group, struct epoch epoch);
void node_ike_initiate(struct node_run *r, uint16_t group, struct epoch epoch);
/* SA copies into the kernel, or out of it. */
void node_ike_copies(struct node_run *r, uint16_t group, bool import, struct epoch epoch);
void node_on_copies(struct node_run *r, const struct node_ev *ev);
bool node_ike_leftovers(const struct node *n, uint16_t group);
/* Before the addresses go: ROLE_EV_CLOSED answers, at latest after IKE_CLOSE_NOW_NS, or IKE_CLOSE_NS if we are alone.
 * planned: another node has said that it takes over now. */
bool node_ike_wants_close(const struct node *n, uint16_t group, bool planned, mono_t now);
void node_ike_close(struct node_run *r, uint16_t group, bool planned, struct epoch epoch);
/* Planned takeover: what is warm comes up ahead of the addresses. ROLE_EV_MADE answers. */
bool node_ike_warm(const struct node *n, uint16_t group);
void node_ike_make(struct node_run *r, uint16_t group, struct epoch epoch);
void node_ike_unmake(struct node_run *r, uint16_t group);
/* Another master was there: whose SAs does the peer use? */
void node_ike_verify(struct node_run *r, uint16_t group);
/* After the tunnels were written from outside. */
void node_ike_recount(struct node *n);

#endif
