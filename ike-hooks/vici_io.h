/*
 * Purpose: asynchronous client of one strongSwan charon: a control and an event connection to its VICI socket.
 * Owns:    both sockets, their timers and a bounded queue of requests.
 * Thread:  CONTROL; every call returns at once, whatever charon does (absent, dead, stopped, talking nonsense).
 * In:      requests with a tag.   Out: struct vici_ev to the callback; pointers in it are valid during the call only.
 * Errors:  requests: 0, ERR_STATE (not connected) or ERR_FULL. A request that was accepted gets exactly one
 *          VICI_EV_REPLY, except when the connection is lost first: then VICI_EV_DOWN answers all of them.
 *
 * One request is outstanding; its reply has 500 ms, then both connections are closed and opened anew (back-off 100 ms
 * to 1 s; a stopped charon accepts connections, so it is shown as VICI_STOPPED until it answers again). Terminate,
 * initiate and rekey overtake lists. The callback may issue requests, but not free the client.
 */
#ifndef KT_VICI_IO_H
#define KT_VICI_IO_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/loop.h"
#include "ike-hooks/ike_fsm.h"
#include "ike-hooks/vici_alert.h"
#include "ike-hooks/vici_conn.h"
#include "ike-hooks/vici_req.h"

#define VICI_QUEUE_MAX 1024 /* waiting requests; more are refused with ERR_FULL and counted */
#define VICI_REPLY_NS  (500 * NS_PER_MS)
#define VICI_LIST_NS   (5 * NS_PER_SEC) /* the whole of a list; each of its events has VICI_REPLY_NS */
#define VICI_ALIVE_NS  (5 * NS_PER_SEC)

enum vici_state {
	VICI_ABSENT = 0, /* no socket, or connection refused */
	VICI_CONNECTING, /* connected, version and event registrations not answered yet */
	VICI_READY,
	VICI_STOPPED, /* accepts connections, does not answer */
};

enum vici_ev_kind {
	VICI_EV_UP = 0,       /* both connections answer and the events are registered */
	VICI_EV_DOWN,         /* lost: whatever was queued is gone */
	VICI_EV_REPLY,        /* tag, req, ok, matches, errmsg; for LIST also sample (ok) */
	VICI_EV_IKE_UPDOWN,   /* ike, ike_id, up */
	VICI_EV_CHILD_UPDOWN, /* ike, child, sa_id, up; one call per child named in the event */
	VICI_EV_IKE_REKEY,    /* ike */
	VICI_EV_CHILD_REKEY,  /* ike, child, sa_id = new child */
	VICI_EV_IKE_UPDATE,   /* ike, local: its addresses are about to change (MOBIKE moves a tunnel off the VIP) */
	VICI_EV_ALERT,        /* alert; strongSwan 6.0.3 and later */
	VICI_EV_CONN,         /* conn: one connection of a list that vici_conns asked for */
	VICI_EV_CONNS,        /* tag, ok, errmsg: the list is complete; answers vici_conns as REPLY does others */
	VICI_EV_SA,           /* tag, msg: one IKE SA of a list that vici_sas asked for */
	VICI_EV_SAS,          /* tag, ok, errmsg: that list is complete */
};

struct vici_ev {
	enum vici_ev_kind kind;
	struct vici_tag tag;
	enum ike_req req;
	bool ok, up;
	uint32_t matches;
	const char *errmsg; /* never NULL */
	const char *ike, *child;
	uint32_t ike_id, sa_id;
	uint32_t spi_in;   /* CHILD_UPDOWN, CHILD_REKEY: of packets to us; 0: not told */
	const char *local; /* IKE_UPDATE: new local address, empty: not told */
	enum vici_alert alert;
	struct ike_sample sample;
	const struct vici_conn *conn; /* CONN */
	const uint8_t *msg;           /* SA: the message of the list-sa event, for a reader of the caller's choice */
	size_t msg_len;
};

struct vici_counters {
	uint64_t connects, losts, requests, replies, events, timeouts, refused, bad_frames, bad_messages, unexpected;
	uint64_t alerts[VICI_ALERT_N];
	uint64_t rx_bytes, tx_bytes;
};

typedef void (*vici_fn)(void *arg, const struct vici_ev *ev);

struct vici;

/* Begins to connect at the next pass of the loop. NULL without memory. The path is copied (cut at 107 bytes). */
struct vici *vici_new(struct loop *l, const char *socket_path, vici_fn fn, void *arg);
void vici_free(struct vici *v);

/* ike: connection name. Ends its IKE SAs without waiting (force, timeout -1). "Nothing to terminate" is ok, matches 0.
 */
int vici_terminate(struct vici *v, const char *ike, struct vici_tag tag);
/* The same for one child; its IKE SA stays. */
int vici_terminate_child(struct vici *v, const char *ike, const char *child, struct vici_tag tag);
/* The peer is told and asked to answer (no force); the reply says that this began, VICI_EV_IKE_UPDOWN when it did. */
int vici_close(struct vici *v, const char *ike, struct vici_tag tag);
/*
 * Starts a negotiation; the reply says only that it was queued, VICI_EV_CHILD_UPDOWN tells the result. child "": an IKE
 * SA without one.
 */
int vici_initiate(struct vici *v, const char *ike, const char *child, struct vici_tag tag);
int vici_rekey(struct vici *v, const char *ike, const char *child, struct vici_tag tag);
/* What exists of this child; the reply carries a sample. */
int vici_list(struct vici *v, const char *ike, const char *child, struct vici_tag tag);
/* All connections that are loaded: VICI_EV_CONN each, then VICI_EV_CONNS. */
int vici_conns(struct vici *v, struct vici_tag tag);
/* All SAs, those in use by other threads of charon left out: VICI_EV_SA each, then VICI_EV_SAS. */
int vici_sas(struct vici *v, struct vici_tag tag);

enum vici_state vici_state(const struct vici *v);
const char *vici_state_name(enum vici_state s);
/* "charon 5.9.8", empty before the first answer. */
const char *vici_version(const struct vici *v);
/* Why the connection was lost last: an err.h or -errno code; 0: never. */
int vici_last_error(const struct vici *v);
const struct vici_counters *vici_counters(const struct vici *v);

#endif
