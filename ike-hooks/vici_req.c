#include "ike-hooks/vici_req.h"

size_t vici_req_encode(const struct vici_req *r, uint8_t *buf, size_t cap)
{
	static const char *const command[] = { [JOB_TERMINATE] = "terminate", [JOB_CLOSE] = "terminate",
					       [JOB_INITIATE] = "initiate",   [JOB_REKEY] = "rekey",
					       [JOB_LIST] = "list-sas",       [JOB_SAS] = "list-sas",
					       [JOB_CONNS] = "list-conns",    [JOB_VERSION] = "version",
					       [JOB_REGISTER] = "list-sa",    [JOB_REGISTER_CONNS] = "list-conn" };
	bool registers = r->job == JOB_REGISTER || r->job == JOB_REGISTER_CONNS;
	struct vici_wr w;

	vici_begin(&w, buf, cap, registers ? VICI_EVENT_REGISTER : VICI_CMD_REQUEST, command[r->job]);
	switch (r->job) {
	case JOB_TERMINATE:
		if (r->child[0])
			vici_put_key(&w, "child", r->child);
		vici_put_key(&w, "ike", r->ike);
		vici_put_key(&w, "force", "yes");
		vici_put_key(&w, "timeout", "-1");
		break;
	case JOB_CLOSE:
		/* Without force the SA lives until the peer has answered the DELETE. */
		vici_put_key(&w, "ike", r->ike);
		vici_put_key(&w, "timeout", "-1");
		break;
	case JOB_INITIATE:
		if (r->child[0])
			vici_put_key(&w, "child", r->child);
		vici_put_key(&w, "ike", r->ike);
		vici_put_key(&w, "timeout", "-1");
		break;
	case JOB_REKEY:
		vici_put_key(&w, "child", r->child);
		vici_put_key(&w, "ike", r->ike);
		break;
	case JOB_LIST:
		/* Without noblock the list waits for SAs in use by other threads. */
		vici_put_key(&w, "noblock", "yes");
		vici_put_key(&w, "ike", r->ike);
		break;
	case JOB_SAS:
		vici_put_key(&w, "noblock", "yes");
		break;
	case JOB_CONNS:
	case JOB_VERSION:
	case JOB_REGISTER:
	case JOB_REGISTER_CONNS:
		break;
	}
	return vici_end(&w);
}
