/*
 * Purpose: what the files of the VICI client share among themselves; nobody else includes it. vici_io has the connections
 *          and the queue of requests, vici_ctl what the control connection says, vici_evt what the event connection says.
 * Owns:    nothing of its own.
 * Thread:  CONTROL.
 * In/Out:  struct vici.
 * Errors:  v->broken, set inside a callback: the connection is dropped after it.
 */
#ifndef KT_VICI_INT_H
#define KT_VICI_INT_H

#include <stddef.h>
#include <sys/un.h>
#include "daemon/base/list.h"
#include "ike-hooks/vici_io.h"
#include "ike-hooks/vici_wire.h"

#define VICI_TX_MAX 1024u
#define VICI_EVENTS 6u /* kinds of events that are registered */

enum vici_conn_id { CONN_CTL = 0, CONN_EVT, CONN_N };

struct vici_conn_io {
	struct vici *v;
	enum vici_conn_id id;
	int fd;
	struct loop_fd *lf;
	struct vici_framer framer;
	uint8_t *rx;
	uint8_t tx[VICI_TX_MAX];
	size_t tx_len, tx_off;
};

struct vici {
	struct loop *loop;
	struct loop_timer *timer;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	vici_fn fn;
	void *arg;
	enum vici_state state;
	struct vici_conn_io conn[CONN_N];
	struct list urgent, normal; /* of struct vici_req */
	unsigned queued;
	struct vici_req cur; /* outstanding on CTL */
	bool busy;
	struct ike_sample sample; /* being collected for cur */
	unsigned registered;      /* events confirmed on EVT */
	bool ctl_ready;
	mono_t connect_at, ctl_by, evt_by, alive_at;
	mono_t list_by; /* whatever comes, a list has ended by then */
	int64_t backoff_ns;
	int broken; /* set inside a callback; the connection is dropped after it */
	int last_err;
	bool hung; /* the last loss was a missing reply */
	char version[64];
	struct vici_counters n;
};

/* vici_io.c */
void vici_emit(struct vici *v, const struct vici_ev *in);
/* Sends what is left of c->tx: 0, or why the connection cannot go on. */
int vici_flush(struct vici_conn_io *c);
/* The control connection is free: this request has it now. */
void vici_send(struct vici *v, const struct vici_req *r);
/* The next one that waits, if the connection is free. */
void vici_pump(struct vici *v);
/* READY, when both connections have answered all that is asked at the beginning. */
void vici_maybe_ready(struct vici *v);

/* vici_ctl.c, vici_evt.c: a whole packet has arrived */
void vici_ctl_packet(struct vici *v, const struct vici_packet *p);
void vici_evt_packet(struct vici *v, const struct vici_packet *p);
/* Asks for the next kind of event. */
void vici_register_next(struct vici *v);

#endif
