/*
 * Purpose: the one listener per link address on SYNC: accepts strangers, authenticates them, hands them on.
 * Owns:    struct peer_listen: listening sockets, strangers until they are authenticated.
 * Thread:  SYNC (the thread of its loop).
 * In:      connections.   Out: struct peer_listen_cb: fd and SSL object of an authenticated peer, nothing of the
 *          application read.
 * Errors:  a text; refusals are counted by enum peer_why and logged at a limited rate.
 *
 * Only configured source addresses are let in, at most PEER_STRANGERS_MAX at a time, each for PEER_STRANGER_NS.
 */
#ifndef KT_SYNC_PEER_LISTEN_H
#define KT_SYNC_PEER_LISTEN_H

#include <stddef.h>
#include <stdint.h>
#include "daemon/base/mono.h"
#include "sync/peer_tls.h"
#include "sync/peer_why.h"
#include "sync/sync_conf.h"

#define PEER_STRANGERS_MAX 10
#define PEER_STRANGER_NS   NS_PER_SEC

struct loop;
struct peer_listen;
struct ssl_st;

struct peer_listen_cb {
	/* fd and ssl pass to the callee. ssl is NULL with insecure. */
	void (*on_peer)(void *arg, int fd, struct ssl_st *ssl, uint32_t node, unsigned link, bool data);
};

struct peer_listen_stats {
	uint64_t accepted, authenticated;
	uint64_t refused[PEER_WHY_N];
	uint32_t strangers; /* now */
};

/* Listens on every link address of conf->self (IP_FREEBIND: an address may come later). NULL: err says why. conf is
 * copied; tls must outlive the object or be replaced. */
struct peer_listen *peer_listen_new(struct loop *l, const struct sync_conf *conf, const struct peer_tls *tls,
				    const struct peer_listen_cb *cb, void *arg, char *err, size_t err_len);
/* New configuration: sockets whose address and port stay are kept open. 0 or -errno: then nothing changed. */
int peer_listen_conf(struct peer_listen *p, const struct sync_conf *conf, const struct peer_tls *tls, char *err,
		     size_t err_len);
/*
 * Before any is made: a listening socket of an earlier process, which is used where address and port are the same. Owned.
 * One that is not used by the first object that is made is closed.
 */
void peer_listen_inherit(int fd);
/* A copy of the socket of this link; -1: it has none. */
int peer_listen_copy(const struct peer_listen *p, unsigned link);
void peer_listen_free(struct peer_listen *p);
const struct peer_listen_stats *peer_listen_stats(const struct peer_listen *p);
void peer_listen_stats_clear(struct peer_listen *p);

#endif
