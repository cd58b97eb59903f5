/*
 * Purpose: the shell around netstate: follows the kernel, writes the ownership file ahead, sends the difference through
 *          KERNEL in chunks, keeps the guardian's list, and tells role and VRRP what came of it.
 * Owns:    netstate, rtnl_io and the periodic timer. kernel_thread and guardian stay the caller's and must outlive it.
 * Thread:  CONTROL.
 * In:      declared objects and group modes.   Out: callbacks below.
 * Errors:  refused operations are in the group's status; a failed ownership write is told by `own_err` and retried.
 */
#ifndef KT_NETAPPLY_H
#define KT_NETAPPLY_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/netstate.h"
#include "daemon/rtnl_io.h"

struct loop;
struct kernel_thread;
struct guardian;
struct netapply;

/* All run on CONTROL; any may be NULL; they may call every function below except netapply_free. */
struct netapply_hooks {
	void *arg;
	/* the first dump is complete: links and leftovers are known (once) */
	void (*synced)(void *arg);
	/* state, name, MAC, MTU or local addresses of a link changed, or it is gone */
	void (*link)(void *arg, const struct net_link *l);
	/* the kernel answered an operation; result is 0 or -errno. After an ADD with 0 (or -EEXIST: it is there) this
	   address's announcements may go out */
	void (*acked)(void *arg, const struct net_op *op, int result, mono_t when);
	/* the status of a group changed */
	void (*group)(void *arg, uint16_t group, const struct net_status *st);
	/* somebody else removed this object of a group that is up; it is put back unless the group's mode changes */
	void (*lost)(void *arg, const struct net_op *op);
};

struct netapply_conf {
	struct loop *loop;
	struct kernel_thread *kt;
	struct guardian *guardian; /* NULL: none */
	char own_path[256];        /* ownership file, in the run directory */
	bool promote_secondaries;  /* see netapply_promote */
	struct netapply_hooks hooks;
};

/*
 * Reads the ownership file of a former process (blocking: at start only), opens the route socket, asks for the dump.
 * *why receives a static text when the file could not be used (NULL otherwise). NULL with errno on failure.
 */
struct netapply *netapply_new(const struct netapply_conf *c, const char **why);
/* Forgets everything; changes nothing in the kernel. Jobs under way must have ended (kernel_thread_stop first). */
void netapply_free(struct netapply *na);

/* Declare the configuration on this (netstate_conf_begin ... _end), then call netapply_kick. */
struct netstate *netapply_state(struct netapply *na);
void netapply_prepare(struct netapply *na, uint16_t group);
/* Sets the mode and sends the difference at once. */
void netapply_set(struct netapply *na, uint16_t group, enum net_mode mode);
struct net_status netapply_status(const struct netapply *na, uint16_t group);
/* While held, differences are not sent; what was asked for meanwhile is done in one go when the last hold ends. */
void netapply_hold(struct netapply *na, bool on);
/*
 * Whether the sysctl promote_secondaries is set on interfaces that get IPv4 addresses of ours: without it the kernel
 * deletes a subnet's later addresses together with its first one. What was changed is put back by netapply_end.
 */
void netapply_promote(struct netapply *na, bool on);
/* Takes the difference again and sends it. */
void netapply_kick(struct netapply *na);
/* The process ends: removes what is static and the interfaces of ours. netapply_ended tells when that is done. */
void netapply_end(struct netapply *na);
bool netapply_ended(const struct netapply *na);
struct rtnl_io *netapply_rtnl(struct netapply *na);
/* 0 or the error of the last write of the ownership file: clean-up after a crash is not possible then. */
int netapply_own_err(const struct netapply *na);

#endif
