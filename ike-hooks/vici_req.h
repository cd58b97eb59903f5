/*
 * Purpose: the requests of the VICI client as bytes.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In:      a request.   Out: the packet to send.
 * Errors:  vici_req_encode returns 0 when the buffer is too small.
 */
#ifndef KT_VICI_REQ_H
#define KT_VICI_REQ_H

#include "daemon/base/epoch.h"
#include "daemon/base/list.h"
#include "ike-hooks/ike_conf.h"
#include "ike-hooks/vici_wire.h"

/* Travels with a request and comes back in its reply. */
struct vici_tag {
	uint32_t tunnel;
	uint32_t seq;
	struct epoch epoch;
};

/* What the control connection is asked; from JOB_LIST on an answer may wait for others. */
enum vici_job {
	JOB_TERMINATE = 0, /* the whole IKE SA, or with child only that */
	JOB_CLOSE,
	JOB_INITIATE, /* without child only the IKE SA */
	JOB_REKEY,
	JOB_LIST,
	JOB_SAS,
	JOB_CONNS,
	JOB_VERSION,
	JOB_REGISTER,
	JOB_REGISTER_CONNS
};

struct vici_req {
	struct list node;
	enum vici_job job;
	struct vici_tag tag;
	char ike[IKE_NAME_MAX], child[IKE_NAME_MAX];
};

/* Bytes to send. */
size_t vici_req_encode(const struct vici_req *r, uint8_t *buf, size_t cap);

#endif
