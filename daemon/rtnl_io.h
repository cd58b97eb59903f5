/*
 * Purpose: keeps the observed model of netstate true: dumps links and addresses, then follows the kernel's events; of
 *          routes only those that bear our mark. Lists of these are KERNEL's to take (route_list.h).
 * Owns:    one non-blocking route socket.
 * Thread:  CONTROL.
 * In:      messages of the kernel.   Out: netstate_* calls; one callback after each burst.
 * Errors:  ENOBUFS or an inconsistent dump: dump again, counted. Messages that cannot be read are counted by reason.
 */
#ifndef KT_RTNL_IO_H
#define KT_RTNL_IO_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/netstate.h"
#include "daemon/rtnl_wire.h"

struct loop;
struct rtnl_io;

struct rtnl_io_stats {
	uint64_t messages, bursts, dumps, overruns, interrupted;
	uint64_t drops[RTNL_DROP_N];
};

/* After each burst; synced turns true with the end of the first dump. Changes are taken from netstate. */
typedef void (*rtnl_io_fn)(void *arg);

/* Opens the socket in the present network namespace and asks for the first dump. NULL with errno on failure. */
struct rtnl_io *rtnl_io_new(struct loop *l, struct netstate *ns, rtnl_io_fn fn, void *arg);
void rtnl_io_free(struct rtnl_io *io);
/* Dumps again (after the running dump, if there is one). */
void rtnl_io_dump(struct rtnl_io *io);
const struct rtnl_io_stats *rtnl_io_stats(const struct rtnl_io *io);
/* True when the running kernel keeps IFA_PROTO (Linux 5.18 and later); reads uname only. */
bool rtnl_io_marks_supported(void);

#endif
