/*
 * Purpose: reads the SAs out of VICI messages: list-sa, ike-updown, child-updown, ike-rekey, child-rekey.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In:      a message.   Out: one row per child SA, or one per IKE SA without children.
 * Errors:  a malformed message ends the rows and sets drop.
 */
#ifndef KT_VICI_SA_H
#define KT_VICI_SA_H

#include "ike-hooks/ike_fsm.h"
#include "ike-hooks/vici_wire.h"

struct vici_sa_row {
	char ike[IKE_NAME_MAX]; /* connection name; empty when longer than a configuration may hold */
	uint32_t ike_id;
	bool established; /* IKE state ESTABLISHED or REKEYING */
	bool has_child;
	char child[IKE_NAME_MAX];
	uint32_t child_id;
	bool installed; /* child state INSTALLED, REKEYING, UPDATING: it carries traffic */
	uint64_t in_packets, out_packets;
	uint32_t spi_in; /* host order; 0: not told */
};

struct vici_sa_rd {
	struct vici_rd rd;
	struct vici_sa_row row;
	bool any_child;   /* of the IKE SA under way */
	unsigned in_kids; /* depth of the child-sas section, 0: outside */
	bool replaced;    /* inside an "old" section of a rekey event */
};

void vici_sa_begin(struct vici_sa_rd *r, const void *msg, size_t len);
/* Fills *row; false at the end (see r->rd.drop). */
bool vici_sa_next(struct vici_sa_rd *r, struct vici_sa_row *row);
/* Adds a row of a list to the sample of the tunnel (ike, child); rows of other connections change nothing. */
void vici_sample_add(struct ike_sample *s, const struct vici_sa_row *row, const char *ike, const char *child);

#endif
