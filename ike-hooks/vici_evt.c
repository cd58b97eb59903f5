/* What the event connection says: what happened to SAs, told as it happens. */
#include "ike-hooks/vici_int.h"

#include <string.h>
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "ike-hooks/vici_sa.h"

static const char *const event_names[VICI_EVENTS] = { "ike-updown",  "child-updown", "ike-rekey",
						      "child-rekey", "ike-update",   "alert" };

void vici_register_next(struct vici *v)
{
	struct vici_conn_io *c = &v->conn[CONN_EVT];
	struct vici_wr w;

	vici_begin(&w, c->tx, sizeof(c->tx), VICI_EVENT_REGISTER, event_names[v->registered]);
	c->tx_off = 0;
	c->tx_len = vici_end(&w);
	v->evt_by = mono_add(loop_now(v->loop), VICI_REPLY_NS);
	int rc = vici_flush(c);
	if (rc)
		v->broken = rc;
}

static void evt_event(struct vici *v, const struct vici_packet *p)
{
	static const enum vici_ev_kind kind_of[VICI_EVENTS] = { VICI_EV_IKE_UPDOWN, VICI_EV_CHILD_UPDOWN,
								VICI_EV_IKE_REKEY,  VICI_EV_CHILD_REKEY,
								VICI_EV_IKE_UPDATE, VICI_EV_ALERT };
	struct vici_sa_rd rd;
	struct vici_sa_row row;
	unsigned i = 0;
	char up[8], local[ADDR_TEXT_MAX], told[IKE_NAME_MAX] = "";

	while (i < VICI_EVENTS && strcmp(event_names[i], p->name) != 0)
		i++;
	if (i == VICI_EVENTS || v->state != VICI_READY) {
		v->n.unexpected++;
		return;
	}
	v->n.events++;
	if (vici_check(p->msg, p->msg_len) != VICI_OK) {
		v->n.bad_messages++;
		return;
	}
	bool is_up = vici_find(p->msg, p->msg_len, "up", up, sizeof(up)) && strcmp(up, "yes") == 0;
	bool of_child = kind_of[i] == VICI_EV_CHILD_UPDOWN || kind_of[i] == VICI_EV_CHILD_REKEY;
	vici_find(p->msg, p->msg_len, "local-host", local, sizeof(local));
	if (kind_of[i] == VICI_EV_ALERT) {
		enum vici_alert alert = vici_alert_read(p->msg, p->msg_len);
		v->n.alerts[alert]++;
		vici_emit(v, &(struct vici_ev){ .kind = VICI_EV_ALERT, .alert = alert });
		return;
	}
	vici_sa_begin(&rd, p->msg, p->msg_len);
	while (vici_sa_next(&rd, &row)) {
		/* An IKE SA that has no configuration yet is called "(unnamed)"; a peer just knocked. */
		if (!row.ike[0] || row.ike[0] == '(' || of_child != (of_child && row.has_child) ||
		    (!of_child && strcmp(told, row.ike) == 0))
			continue;
		memcpy(told, row.ike, sizeof(told));
		vici_emit(v, &(struct vici_ev){ .kind = kind_of[i],
						.ike = row.ike,
						.child = of_child ? row.child : "",
						.ike_id = row.ike_id,
						.sa_id = of_child ? row.child_id : 0,
						.spi_in = of_child ? row.spi_in : 0,
						.local = local,
						.up = is_up });
	}
}

void vici_evt_packet(struct vici *v, const struct vici_packet *p)
{
	switch (p->type) {
	case VICI_EVENT:
		evt_event(v, p);
		return;
	case VICI_EVENT_CONFIRM:
	case VICI_EVENT_UNKNOWN:
		if (v->registered == VICI_EVENTS) {
			v->n.unexpected++;
			return;
		}
		if (p->type == VICI_EVENT_UNKNOWN && strcmp(event_names[v->registered], "alert") == 0)
			log_debug(LOG_IKE, "the IKE daemon tells no alerts, they came with strongSwan 6.0.3");
		else if (p->type == VICI_EVENT_UNKNOWN)
			log_warn(LOG_IKE, "the IKE daemon has no event %s: tunnels are watched by lists instead",
				 event_names[v->registered]);
		v->evt_by = MONO_NEVER;
		if (++v->registered < VICI_EVENTS)
			vici_register_next(v);
		else
			vici_maybe_ready(v);
		return;
	case VICI_CMD_RESPONSE:
	case VICI_CMD_UNKNOWN:
	case VICI_CMD_REQUEST:
	case VICI_EVENT_REGISTER:
	case VICI_EVENT_UNREGISTER:
	case VICI_TYPE_N:
		v->n.unexpected++;
		return;
	}
}
