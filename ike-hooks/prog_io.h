/*
 * Purpose: IKE daemons that are reached by running programs: libreswan through its whack, and whatever a program of the
 *          operator reaches (backend exec). Requests become programs, lists that are read again and again become events.
 * Owns:    the children (ike-hooks/child_io.h), a timer, what is known of each tunnel.
 * Thread:  CONTROL; every call returns at once, whatever the programs do (absent, hanging, flooding, lying).
 * In:      tunnels, requests with a tag.
 * Out:     struct prog_ev to the callback; pointers in it are valid during the call only.
 * Errors:  prog_request: 0, or ERR_STATE (the IKE daemon does not answer, or no such tunnel). A request that was accepted
 *          gets exactly one PROG_EV_REPLY, except when a newer one takes its place before it began (counted), or the
 *          IKE daemon is lost first: then PROG_EV_DOWN answers.
 *
 * Of one tunnel one program runs at a time, in the order asked; a drop or close overtakes what did not begin yet. At most
 * CHILD_SLOTS programs run at once, PROG_LISTS_MAX of them lists or probes. Each has its time limit, then its process
 * group is killed. Of output, PROG_OUTPUT_MAX bytes are read; a list that is longer counts as failed. A list that fails
 * makes a probe follow; when that fails too, the IKE daemon is lost (PROG_EV_DOWN) until a probe works again.
 */
#ifndef KT_PROG_IO_H
#define KT_PROG_IO_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/epoch.h"
#include "daemon/base/loop.h"
#include "ike-hooks/ha_env.h"
#include "ike-hooks/ike_backend.h"
#include "ike-hooks/sa_text.h"

#define PROG_LISTS_MAX  4
#define PROG_OUTPUT_MAX (2u * 1024u * 1024u)
#define PROG_GRACE_NS   (200 * NS_PER_MS) /* exec: from SIGTERM to SIGKILL */
#define PROG_TEXT_MAX   160

struct prog_tag {
	uint32_t seq;
	struct epoch epoch;
};

enum prog_ev_kind {
	PROG_EV_UP = 0,       /* the IKE daemon of this tunnel answers */
	PROG_EV_DOWN,         /* it does not; what was asked is forgotten */
	PROG_EV_REPLY,        /* verb, tag, ok, errmsg; for LIST also sample (ok) */
	PROG_EV_CHILD_UPDOWN, /* up, sa_id */
	PROG_EV_CHILD_REKEY,  /* sa_id = the new child */
};

struct prog_ev {
	enum prog_ev_kind kind;
	uint16_t tunnel;
	enum ike_verb verb;
	struct prog_tag tag;
	bool ok, up;
	uint32_t sa_id;
	struct ike_sample sample;
	const char *errmsg; /* never NULL */
};

struct prog_counters {
	uint64_t runs, failed, timed_out, lists, replaced;
	uint64_t lines[SA_TEXT_N]; /* of lists, by what they were */
	unsigned running, waiting;
};

typedef void (*prog_fn)(void *arg, const struct prog_ev *ev);
/* Adds what the environment of a program shall hold beyond tunnel, peer, vip, ike, child, reason, epoch. */
typedef void (*prog_env_fn)(void *arg, uint16_t tunnel, struct exec_env *env);

struct prog;

/* backend: IKE_BACKEND_LIBRESWAN or IKE_BACKEND_EXEC. Asks nobody before prog_tunnels. NULL and errno on failure. */
struct prog *prog_new(struct loop *l, enum ike_backend backend, prog_fn fn, prog_env_fn env, void *arg);
void prog_free(struct prog *p);
/*
 * The tunnels from now on: those of this backend in conf[n], known by their index there. conf, whack and ctl must stay
 * valid until the next call. What is known of a tunnel with the same name and connection stays known. 0 or -ENOMEM:
 * then no tunnel is left.
 */
int prog_tunnels(struct prog *p, const struct ike_tunnel_conf *conf, uint16_t n, const char *whack, const char *ctl);

/* reason: a static text for HA_REASON. */
int prog_request(struct prog *p, uint16_t tunnel, enum ike_verb v, struct prog_tag tag, const char *reason);

/* Does the IKE daemon of this tunnel answer? */
bool prog_up(const struct prog *p, uint16_t tunnel);
/* "Libreswan 4.10"; empty when not known, or there is nothing to know. */
const char *prog_version(const struct prog *p);
/* What went wrong last, for people; empty: nothing yet. */
const char *prog_last_error(const struct prog *p);
struct prog_counters prog_counters(const struct prog *p);

#endif
