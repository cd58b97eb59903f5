/*
 * Purpose: tracking: from the results of what is watched to the priority and the faults of virtual routers. PURE.
 * Owns:    the arrays of struct vrrp_track; names and lists of references stay the configuration's.
 * Thread:  CONTROL.
 * In:      results of scripts, states of links, counts of processes, numbers in files, time.
 * Out:     whether anything changed; points, faults and waiting of each group and member.
 * Errors:  none; a result that changes nothing is counted and no more.
 *
 * Semantics are keepalived's:
 * - weight above 0 is added while the thing is well, below 0 is taken away while it fails; `reverse` turns the sign.
 *   Weight 0 makes a failure a fault (with `reverse`: being well is one).
 * - Of a file the number times the weight is added; weight 0: any number but 0 is a fault, and so is a product of -254 or
 *   less.
 * - The first result of a script decides alone; then it takes `rise` successes or `fall` failures in a row. With
 *   init_fail it begins as failed. Before its first result it changes no priority, and where its failure would be a fault,
 *   the instance waits for it.
 * - Priorities stay within 1..254, and 255 (the owner of the addresses) is not touched.
 *
 * Beyond keepalived: the members of a group move together, so weights are the group's: the sum of what its list and the
 * lists of its members name, each thing once, is added to every member.
 */
#ifndef KT_VRRP_TRACK_H
#define KT_VRRP_TRACK_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/mono.h"

#define VRRP_TRACK_NAME_MAX   64
#define VRRP_TRACK_POINTS_MAX 253
#define VRRP_TRACK_GROUP      UINT16_MAX /* vrrp_track_ref.inst: the list of the group itself */

enum vrrp_track_kind {
	VRRP_TRACK_INTERFACE = 0,
	VRRP_TRACK_SCRIPT,
	VRRP_TRACK_PROCESS,
	VRRP_TRACK_FILE,
	VRRP_TRACK_CONNTRACK,
	VRRP_TRACK_KIND_N
};
const char *vrrp_track_kind_text(enum vrrp_track_kind k);

/* One thing that is watched; part of the configuration. */
struct vrrp_track_conf {
	char name[VRRP_TRACK_NAME_MAX];
	enum vrrp_track_kind kind;
	uint16_t index;      /* in the configuration's list of its kind */
	uint16_t rise, fall; /* at least 1 */
	bool init_fail;
	int32_t weight; /* of references that name none; shown, and nothing else */
	bool reverse;
	bool used; /* some list names it */
};

/* One reference; part of the configuration. Those of one group stand together: the group's own, then its members'. */
struct vrrp_track_ref {
	uint16_t obj;
	uint16_t inst; /* whose list; VRRP_TRACK_GROUP */
	int32_t weight;
	bool reverse;
	bool repeated; /* the same weight of the same thing stands before it: its points count once */
};

/* What is known of one thing. */
struct vrrp_track_obj {
	const struct vrrp_track_conf *conf;
	bool known; /* there was a result, or init_fail stands for one */
	bool up;
	uint16_t run;    /* results in a row that contradict `up` */
	int64_t value;   /* file: the number; process: how many; conntrack: percent */
	mono_t since;    /* in this state, or with this number */
	mono_t first_at; /* first result; MONO_NEVER: none yet */
	uint64_t changes;
};

/* What follows for one group. */
struct vrrp_track_verdict {
	int32_t points;     /* added to every member's priority; not clamped */
	bool fault;         /* of the group's own list: all members */
	bool waits;         /* the same: a first result is missing */
	uint16_t fault_obj; /* the first that is a fault, whosever; valid if `faults` */
	uint16_t faults;    /* references that are faults, members' included */
};

void vrrp_track_obj_init(struct vrrp_track_obj *o, const struct vrrp_track_conf *conf, mono_t now);
/* After a reload: what was known counts on under the new numbers. */
void vrrp_track_obj_carry(struct vrrp_track_obj *o, const struct vrrp_track_obj *old);
/* One result. True: what follows from it may have changed. */
bool vrrp_track_result(struct vrrp_track_obj *o, bool ok, mono_t now);
/* The number in a file. True as above. */
bool vrrp_track_value(struct vrrp_track_obj *o, int64_t value, mono_t now);
/* A number that only explains a result (processes, percent). */
void vrrp_track_note(struct vrrp_track_obj *o, int64_t value);

/* Points of one reference now, -253..253. */
int32_t vrrp_track_points(const struct vrrp_track_ref *ref, const struct vrrp_track_obj *objs);
/* It is a fault now. */
bool vrrp_track_is_fault(const struct vrrp_track_ref *ref, const struct vrrp_track_obj *objs);
/* Its first result is missing, and could be a fault. */
bool vrrp_track_waits(const struct vrrp_track_ref *ref, const struct vrrp_track_obj *objs);

/* The group whose references these are. */
struct vrrp_track_verdict vrrp_track_judge(const struct vrrp_track_ref *refs, uint32_t n,
					   const struct vrrp_track_obj *objs);
/* What its members' own lists add, by instance: VRRP_TRACK_M_* are or-ed to marks[]. */
enum { VRRP_TRACK_M_FAULT = 1, VRRP_TRACK_M_WAITS = 2 };
void vrrp_track_mark(const struct vrrp_track_ref *refs, uint32_t n, const struct vrrp_track_obj *objs, uint8_t *marks);
/* Priority with points: 255 stays, everything else within 1..254. */
uint8_t vrrp_track_priority(uint8_t base, int32_t points);

#endif
