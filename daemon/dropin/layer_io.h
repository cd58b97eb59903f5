/*
 * Purpose: the meeting point of engine and layers, and the life of a process that is a layer.
 * Owns:    nothing; descriptors are the caller's.
 * Thread:  the main thread, before or instead of the loop: these functions wait.
 * In/Out:  messages (layer.h).
 * Errors:  -errno.
 *
 * Only processes of root or of the own user are believed: anybody may take an abstract name first.
 */
#ifndef KT_LAYER_IO_H
#define KT_LAYER_IO_H

#include <stdbool.h>
#include <stdint.h>
#include "daemon/dropin/layer.h"
#include "daemon/dropin/legacy.h"

/* A listening socket, non-blocking; -EADDRINUSE: there is an engine in this network namespace. */
int layer_bind(void);
/* The same for one that another process has bound: who connects sees our number from now on. */
void layer_listen(int fd);
/* A connection to the engine; -ECONNREFUSED: there is none; -EPERM: somebody else has the name. */
int layer_connect(void);
/* Root or the own user. */
bool layer_trusted(int fd);
/* Of the process at the other end; below 0: it cannot be had, -ESRCH: it has ended. */
int layer_peer_pidfd(int fd);
int layer_send(int fd, enum layer_msg_type type, const char *text);
/* With copies of descriptors. */
int layer_send_fds(int fd, enum layer_msg_type type, const char *text, const int *fds, unsigned n);
/* Waits for a message other than HOLD, of which the descriptors go to l. 0; -ETIMEDOUT; -EPIPE: the other end is gone. */
int layer_receive(int fd, int64_t wait_ns, struct layer_msg *m, struct legacy *l);
/*
 * For who runs virtual routers: the engine's place, from a conntrackd if it has it. place: our run directory, by which one
 * that serves in our stead knows us; what it served is in l then. -EBUSY: another one keeps it.
 */
int layer_take(const char *place, struct legacy *l);

enum layer_end {
	LAYER_ENDED = 0, /* by a signal, or by conntrackd -k */
	LAYER_ALONE,     /* the engine is gone */
	LAYER_REFUSED,   /* why says so */
};

/*
 * Attaches the file over the connection, calls `ready` once it is in force, and stays until something ends it. Signals:
 * TERM and INT end, HUP reloads. The connection is closed. l: what earlier engines left, which is closed once this one
 * serves; what the last one leaves in the end.
 */
enum layer_end layer_stay(int fd, const char *path, struct legacy *l, void (*ready)(void *arg), void *arg, char *why,
			  size_t size);

#endif
