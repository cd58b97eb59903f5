/*
 * Purpose: what partial failure means: the group table of the design as one PURE function.
 * Owns:    nothing.
 * Thread:  CONTROL (called by node).
 * In:      struct group_view: what the members, the channel and the peer say now.
 * Out:     struct group_decision: stay, take, yield, give away, fault; with the reason and the member that decided.
 * Errors:  none; every view has a decision.
 */
#ifndef KT_GROUP_H
#define KT_GROUP_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/role.h"

/* What the peers last said of this group on the channel (counts for 300 ms); of several the one that serves counts most,
 * then the one that is leaving and leaves the group to us. A peer that leaves it to another node is NOT_MASTER. */
enum group_peer { GROUP_PEER_UNKNOWN = 0, GROUP_PEER_NOT_MASTER, GROUP_PEER_LEAVING, GROUP_PEER_MASTER };

struct group_view {
	enum role_is is;
	uint16_t n;         /* members */
	uint16_t n_down;    /* own link down or no address to speak from, or a fault by tracking */
	uint16_t n_expired; /* master-down timer ran out, and no master heard since */
	uint16_t n_zero;    /* of the expired ones: after a priority-0 advert */
	uint16_t n_higher;  /* MASTER: members that heard a higher master */
	uint16_t n_lower;   /* BACKUP: members whose present master has a lower priority than ours */
	uint16_t n_hearing; /* a master's advert within its master-down time */
	uint16_t first_down, first_deaf, first_higher; /* instance indices; valid when the count is not 0 */
	bool down_tracked;                             /* of first_down: by tracking */
	bool first_member_higher;                      /* MASTER: member 0 itself heard a higher master */
	bool first_member_expired;
	bool channel_up;
	enum group_peer peer;
	bool peer_ready;
	bool peer_dead; /* process death proven: reconnect refused, no advert since */
	bool gate_open;
	bool preempt; /* configured, and not given away by an operator */
	bool fault_degrade;
	bool maintenance;   /* this node stays out until `maintenance leave` */
	bool first_decides; /* priorities crossed: for 60 s the first member alone decides */
	bool not_grouped;   /* the peer does not group these members: no retry for 60 s */
	bool holding;       /* FAULT(transaction) or start delay: not now */
	bool arbitrate;     /* configured: a master on the channel outweighs silence on every member */
	bool better_ready;  /* we are not ready, another node is: for one interval it goes first */
};

enum group_verdict {
	GROUP_STAY = 0,
	GROUP_TAKE,
	GROUP_TAKE_PLANNED,
	GROUP_YIELD,
	GROUP_GIVE,
	GROUP_FAULT,
	GROUP_CLEAR
};

struct group_decision {
	enum group_verdict verdict;
	enum role_reason reason;
	bool deaf;       /* STAY although a member is deaf: name it */
	bool cut;        /* STAY although every member is deaf: the master is well, the segments are cut */
	uint16_t member; /* instance that decided or is deaf */
};

struct group_decision group_decide(const struct group_view *v);

#endif
