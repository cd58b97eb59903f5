/*
 * Purpose: reads the connections that an IKE daemon has loaded out of VICI's list-conn events.
 * Owns:    nothing.
 * Thread:  any (pure).
 * In:      a message.   Out: one struct vici_conn per connection in it.
 * Errors:  a malformed message ends the connections and sets drop.
 *
 * What charon says (5.9.8, seen on the socket, and its README.md): local_addrs, remote_addrs, version, reauth_time,
 * rekey_time, unique, dpd_delay and dpd_timeout if not 0, sections local-N and remote-N with class and id, children with
 * mode, rekey_time, dpd_action, close_action, local-ts, remote-ts. Not said by any version known: mobike, start_action,
 * encap, childless; has_mobike and has_start are for whoever learns them elsewhere, and for daemons that say more.
 */
#ifndef KT_VICI_CONN_H
#define KT_VICI_CONN_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/base/addr.h"
#include "ike-hooks/ike_conf.h"
#include "ike-hooks/vici_wire.h"

#define VICI_CONN_ADDRS    4
#define VICI_CONN_CHILDREN 16
#define VICI_ID_MAX        96

enum vici_unique { VICI_UNIQUE_UNKNOWN = 0, VICI_UNIQUE_NEVER, VICI_UNIQUE_NO, VICI_UNIQUE_REPLACE, VICI_UNIQUE_KEEP };

/* What start_action, dpd_action and close_action can be. */
enum vici_action { VICI_DO_UNKNOWN = 0, VICI_DO_NOTHING, VICI_DO_TRAP, VICI_DO_START };

struct vici_child_conf {
	char name[IKE_NAME_MAX]; /* empty when longer than a configuration may hold */
	enum vici_action start, dpd, close;
	uint32_t rekey_s;
};

/* Addresses as they were configured; what is no plain address (a name, a prefix, a range) is only counted. */
struct vici_ends {
	struct addr addr[VICI_CONN_ADDRS];
	uint8_t n;     /* in addr */
	uint8_t other; /* names, prefixes, ranges, and addresses for which there was no room */
	bool any;      /* %any, or nothing at all: whatever fits */
};

struct vici_conn {
	char name[IKE_NAME_MAX];
	struct vici_ends local, remote;
	bool v1, v2; /* IKE versions it may speak */
	enum vici_unique unique;
	bool has_mobike, mobike;
	uint32_t dpd_delay_s, dpd_timeout_s; /* 0: off, or not said */
	uint32_t reauth_s, rekey_s;
	char remote_id[VICI_ID_MAX]; /* of the first round; empty: none */
	bool id_wild;                /* no id, or one with a wildcard: INITIAL_CONTACT is not sent */
	uint8_t n_children;          /* in child */
	uint16_t more_children;      /* for which there was no room */
	struct vici_child_conf child[VICI_CONN_CHILDREN];
};

struct vici_conn_rd {
	struct vici_rd rd;
	struct vici_conn c;
	char list[16]; /* list under way */
	bool in_children, in_remote, has_id;
	struct vici_child_conf kid;
};

void vici_conn_begin(struct vici_conn_rd *r, const void *msg, size_t len);
/* Fills *out; false at the end (see r->rd.drop). */
bool vici_conn_next(struct vici_conn_rd *r, struct vici_conn *out);

/* The child of this name, or NULL. */
const struct vici_child_conf *vici_conn_child(const struct vici_conn *c, const char *name);
/* True when the address is one of these ends; not when any address would do. */
bool vici_ends_has(const struct vici_ends *e, const struct addr *a);
/* "never", "trap", ...; "" for unknown. */
const char *vici_unique_name(enum vici_unique u);
const char *vici_action_name(enum vici_action a);
/* Reads one of those words, as charon or a configuration file writes them. */
enum vici_action vici_action_of(const char *text);

#endif
