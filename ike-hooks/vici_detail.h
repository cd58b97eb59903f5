/*
 * Purpose: everything that a person wants to know of an SA, out of VICI's list-sa events.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In:      a message.   Out: one row per child SA, or one per IKE SA without children.
 * Errors:  a malformed message ends the rows and sets drop. Texts are cut, unprintable bytes become '?'.
 */
#ifndef KT_VICI_DETAIL_H
#define KT_VICI_DETAIL_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/addr.h"
#include "ike-hooks/ike_conf.h"
#include "ike-hooks/vici_wire.h"

#define VICI_ALG_MAX 64
#define VICI_TS_MAX  160

struct vici_ike_sa {
	char name[IKE_NAME_MAX];
	uint32_t id;
	uint8_t version; /* 1, 2 */
	char state[24];
	struct addr local, remote;
	uint16_t local_port, remote_port;
	char local_id[96], remote_id[96];
	bool initiator;
	bool nat;                      /* somebody between translates, or pretends to */
	char algorithms[VICI_ALG_MAX]; /* "AES_CBC-128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/CURVE_25519" */
	uint64_t established_s, rekey_s, reauth_s;
};

struct vici_child_sa {
	char name[IKE_NAME_MAX];
	uint32_t id, reqid;
	char state[24], mode[16], protocol[8];
	bool encap;
	uint32_t spi_in, spi_out;
	char algorithms[VICI_ALG_MAX];
	uint64_t bytes_in, bytes_out, packets_in, packets_out;
	bool used_in, used_out;       /* the following two are known */
	uint64_t use_in_s, use_out_s; /* since the last packet */
	uint64_t installed_s, rekey_s, life_s;
	char local_ts[VICI_TS_MAX], remote_ts[VICI_TS_MAX];
};

struct vici_detail {
	struct vici_ike_sa ike;
	bool has_child;
	struct vici_child_sa child;
};

struct vici_detail_rd {
	struct vici_rd rd;
	struct vici_detail d;
	bool any_child, in_kids;
	char *list; /* text that items are added to; NULL: none */
};

void vici_detail_begin(struct vici_detail_rd *r, const void *msg, size_t len);
/* Fills *out; false at the end (see r->rd.drop). */
bool vici_detail_next(struct vici_detail_rd *r, struct vici_detail *out);

/*
 * True when the SA proves that MOBIKE is on in our own configuration: as initiator of IKEv2 the daemon went to port 4500
 * although nobody translates addresses, which it does for MOBIKE only.
 */
bool vici_detail_floated(const struct vici_ike_sa *sa);

#endif
