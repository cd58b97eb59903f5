/*
 * Purpose: whose a flow is: version algebra, floor, fence, authority, and what a destroy means. Every rule that keeps
 *          two nodes from both deciding over one flow is here, and only here.
 * Owns:    struct sync_owner (values).
 * Thread:  SYNC only; every function is O(1).
 * In:      versions, epochs, authority.
 * Out:     verdicts.
 * Errors:  none; verdicts name the reason.
 */
#ifndef KT_SYNC_SYNC_OWNER_H
#define KT_SYNC_SYNC_OWNER_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/epoch.h"
#include "sync/rec.h"
#include "sync/sync.h"

struct sync_owner {
	uint32_t self;
	struct epoch seen;  /* newest epoch known: goes into every record */
	struct epoch fence; /* records below it are applied create-only */
	struct sync_authority auth;
	struct flow_version floor; /* every flow below it is floor.node's */
	struct flow_version floor_before;
	struct flow_version floor_lost; /* the last one that was ours, until a peer's came over it */
	struct epoch floor_authority;   /* epoch of the authority that raised our floor */
	bool floor_told;                /* a peer has read it: it cannot be taken back */
	bool muted;                     /* from GO or the first step of a demotion until STABLE */
};

void sync_owner_init(struct sync_owner *o, uint32_t self);
void sync_owner_see(struct sync_owner *o, struct epoch e);
void sync_owner_fence(struct sync_owner *o, struct epoch e);
/*
 * Stores the authority; with all groups the floor rises. An epoch below the stored one takes the last command back (an
 * aborted preparation). Returns true when the floor changed.
 */
bool sync_owner_authority(struct sync_owner *o, const struct sync_authority *a);
/* A peer's floor; true when ours rose to it. */
bool sync_owner_floor(struct sync_owner *o, struct flow_version v);

/* What counts for a flow with this stored version. */
struct flow_version sync_owner_effective(const struct sync_owner *o, struct flow_version stored);
bool sync_owner_mine(const struct sync_owner *o, struct flow_version stored);
/* Version of a flow that is born here. */
struct flow_version sync_owner_born(const struct sync_owner *o);
/* Version after traffic of a flow was seen here: higher than any that stood against it; unchanged if it is ours. */
struct flow_version sync_owner_claim(const struct sync_owner *o, struct flow_version stored);

/* May this node tell others that a flow with this stored version ended? */
bool sync_owner_may_end(const struct sync_owner *o, struct flow_version stored);

enum sync_destroy {
	SYNC_DESTROY_FORGET = 0, /* ours, but no authority to say so: drop the record silently */
	SYNC_DESTROY_LOST,       /* somebody else's flow: ask for it again */
	SYNC_DESTROY_DELETE,     /* it ended: tell it at once */
	SYNC_DESTROY_EXPIRE,     /* its timer ran out: tell it as EXPIRED in 2 s, unless something was lost meanwhile */
};
/* The meaning of a destroy event. closing: its TCP state was a closing one. */
enum sync_destroy sync_owner_destroy(const struct sync_owner *o, struct flow_version stored, bool closing,
				     uint32_t portid);

/* Remaining seconds that differ by more than this from what the lease predicts are traffic. */
#define SYNC_EVIDENCE_S 3
bool sync_owner_evidence(uint32_t expected_s, uint32_t seen_s);

enum sync_verdict {
	SYNC_APPLY = 0,
	SYNC_ONLY_CREATE, /* not known here: create it, touch nothing that exists */
	SYNC_OLD_EPOCH,   /* refused: below the fence and known here */
	SYNC_OLD_VERSION, /* refused: below the flow's version */
	SYNC_NOT_SENDERS, /* refused: the version names another node */
};
/* May a record about a flow (SESSION, CLAIM, CURRENT, DELETE, EXPIRED) be applied? stored: NULL if the flow is not
 * known. */
enum sync_verdict sync_owner_judge(const struct sync_owner *o, const struct sync_rec *rec,
				   const struct flow_version *stored);

#endif
