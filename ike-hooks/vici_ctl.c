/* What the control connection says: versions, registrations, replies, and the events of lists that were asked for. */
#include "ike-hooks/vici_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "ike-hooks/vici_sa.h"

static void take_version(struct vici *v, const struct vici_packet *p)
{
	char daemon[24], version[24];

	if (vici_find(p->msg, p->msg_len, "daemon", daemon, sizeof(daemon)) &&
	    vici_find(p->msg, p->msg_len, "version", version, sizeof(version)))
		snprintf(v->version, sizeof(v->version), "%s %s", daemon, version);
}

static void tell_reply(struct vici *v, const struct vici_packet *p, const struct vici_req *r)
{
	static const enum ike_req req_of[] = {
		[JOB_TERMINATE] = IKE_REQ_TERMINATE, [JOB_CLOSE] = IKE_REQ_CLOSE, [JOB_INITIATE] = IKE_REQ_INITIATE,
		[JOB_REKEY] = IKE_REQ_REKEY,         [JOB_LIST] = IKE_REQ_LIST,   [JOB_SAS] = IKE_REQ_NONE,
		[JOB_CONNS] = IKE_REQ_NONE
	};
	char success[8], matches[16], errmsg[160];
	bool has_success = vici_find(p->msg, p->msg_len, "success", success, sizeof(success));
	bool has_matches = vici_find(p->msg, p->msg_len, "matches", matches, sizeof(matches));
	struct vici_ev ev = { .kind = r->job == JOB_CONNS ? VICI_EV_CONNS
				      : r->job == JOB_SAS ? VICI_EV_SAS
							  : VICI_EV_REPLY,
			      .tag = r->tag,
			      .req = req_of[r->job],
			      .errmsg = errmsg,
			      .ike = r->ike,
			      .child = r->child,
			      .sample = v->sample };

	vici_find(p->msg, p->msg_len, "errmsg", errmsg, sizeof(errmsg));
	ev.matches = has_matches ? (uint32_t)strtoul(matches, NULL, 10) : 0;
	ev.ok = has_success ? strcmp(success, "yes") == 0 : r->job >= JOB_LIST;
	/* "Nothing to terminate" is what was wanted. */
	if ((r->job == JOB_TERMINATE || r->job == JOB_CLOSE) && has_matches && ev.matches == 0)
		ev.ok = true;
	if (p->type == VICI_CMD_UNKNOWN) {
		ev.ok = false;
		ev.errmsg = "the IKE daemon does not know this command";
	} else if (vici_check(p->msg, p->msg_len) != VICI_OK) {
		v->n.bad_messages++;
		ev.ok = false;
		ev.errmsg = "the reply is malformed";
	}
	vici_emit(v, &ev);
}

static void ctl_answer(struct vici *v, const struct vici_packet *p)
{
	struct vici_req r = v->cur;

	if (!v->busy) {
		v->n.unexpected++;
		return;
	}
	v->busy = false;
	v->ctl_by = MONO_NEVER;
	v->alive_at = v->state == VICI_READY ? mono_add(loop_now(v->loop), VICI_ALIVE_NS) : v->alive_at;
	v->n.replies++;
	switch (r.job) {
	case JOB_VERSION:
		take_version(v, p);
		if (!v->ctl_ready)
			vici_send(v, &(struct vici_req){ .job = JOB_REGISTER });
		break;
	case JOB_REGISTER:
		if (p->type != VICI_EVENT_CONFIRM) {
			v->broken = ERR_VERSION; /* without list-sa events a list says nothing */
			return;
		}
		vici_send(v, &(struct vici_req){ .job = JOB_REGISTER_CONNS });
		return;
	case JOB_REGISTER_CONNS:
		/* A daemon without this event has empty lists of connections; tunnels work all the same. */
		v->ctl_ready = true;
		vici_maybe_ready(v);
		break;
	case JOB_TERMINATE:
	case JOB_CLOSE:
	case JOB_INITIATE:
	case JOB_REKEY:
	case JOB_LIST:
	case JOB_SAS:
	case JOB_CONNS:
		tell_reply(v, p, &r);
		break;
	}
	vici_pump(v);
}

/* A long list is no daemon that hangs, but one without end would be. */
static void list_goes_on(struct vici *v)
{
	v->ctl_by = mono_min(mono_add(loop_now(v->loop), VICI_REPLY_NS), v->list_by);
}

static void list_row(struct vici *v, const struct vici_packet *p)
{
	struct vici_sa_rd rd;
	struct vici_sa_row row;

	if (!v->busy || (v->cur.job != JOB_LIST && v->cur.job != JOB_SAS)) {
		v->n.unexpected++;
		return;
	}
	list_goes_on(v);
	if (v->cur.job == JOB_SAS) {
		if (vici_check(p->msg, p->msg_len) != VICI_OK)
			v->n.bad_messages++;
		else
			vici_emit(v, &(struct vici_ev){
					 .kind = VICI_EV_SA, .tag = v->cur.tag, .msg = p->msg, .msg_len = p->msg_len });
		return;
	}
	vici_sa_begin(&rd, p->msg, p->msg_len);
	while (vici_sa_next(&rd, &row))
		vici_sample_add(&v->sample, &row, v->cur.ike, v->cur.child);
	v->n.bad_messages += rd.rd.drop != VICI_OK;
}

static void list_conn(struct vici *v, const struct vici_packet *p)
{
	struct vici_conn_rd rd;
	struct vici_conn conn;

	if (!v->busy || v->cur.job != JOB_CONNS) {
		v->n.unexpected++;
		return;
	}
	list_goes_on(v);
	vici_conn_begin(&rd, p->msg, p->msg_len);
	while (vici_conn_next(&rd, &conn))
		vici_emit(
		    v, &(struct vici_ev){ .kind = VICI_EV_CONN, .tag = v->cur.tag, .ike = conn.name, .conn = &conn });
	v->n.bad_messages += rd.rd.drop != VICI_OK;
}

/* An event has to be registered before its list is asked for; these two requests have their own answers. */
static bool registering(const struct vici *v)
{
	return v->busy && (v->cur.job == JOB_REGISTER || v->cur.job == JOB_REGISTER_CONNS);
}

void vici_ctl_packet(struct vici *v, const struct vici_packet *p)
{
	switch (p->type) {
	case VICI_EVENT:
		if (strcmp(p->name, "list-sa") == 0)
			list_row(v, p);
		else if (strcmp(p->name, "list-conn") == 0)
			list_conn(v, p);
		else
			v->n.unexpected++;
		return;
	case VICI_CMD_RESPONSE:
	case VICI_CMD_UNKNOWN:
		if (registering(v))
			v->n.unexpected++;
		else
			ctl_answer(v, p);
		return;
	case VICI_EVENT_CONFIRM:
	case VICI_EVENT_UNKNOWN:
		if (registering(v))
			ctl_answer(v, p);
		else
			v->n.unexpected++;
		return;
	case VICI_CMD_REQUEST:
	case VICI_EVENT_REGISTER:
	case VICI_EVENT_UNREGISTER:
	case VICI_TYPE_N:
		v->n.unexpected++;
		return;
	}
}
