/*
 * Purpose: one connection to a peer, either end, ctl or data: connect, handshake, records in, bytes out.
 * Owns:    struct peer_conn: socket, SSL object, buffers, loop objects.
 * Thread:  the thread of its loop.
 * In:      readiness.   Out: callbacks of struct peer_conn_cb; after on_down nothing follows.
 * Errors:  an enum peer_why and a line of text.
 *
 * Reads are budgeted: what is left comes again in the next pass. Writes go straight to TLS as one record per call; only
 * what the socket did not take waits in tx, up to its limit. Every function may be called inside the callbacks.
 */
#ifndef KT_SYNC_PEER_CONN_H
#define KT_SYNC_PEER_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/base/addr.h"
#include "daemon/base/loop.h"
#include "sync/peer_tls.h"
#include "sync/peer_why.h"
#include "sync/sync_wire.h"

struct peer_conn;
struct sockaddr;

#define PEER_CONNECT_NS (1 * NS_PER_SEC) /* TCP and TLS of a dialler together */

struct peer_conn_cb {
	/* Authenticated; nothing was read yet. Dialled connections only. */
	void (*on_open)(void *arg);
	/* A record whose type belongs on this connection. */
	void (*on_record)(void *arg, const struct sync_env *env);
	/* All records that had arrived were delivered (or the budget ended). May be NULL. */
	void (*on_pass)(void *arg);
	/* tx is empty again and the socket takes more. May be NULL. */
	void (*on_room)(void *arg);
	/* The end; the owner frees the connection now or later. */
	void (*on_down)(void *arg, enum peer_why why, const char *text);
};

struct peer_conn_conf {
	const struct sync_conf *conf; /* used during the call only */
	const struct peer_tls *tls;   /* NULL: plaintext (insecure). Must outlive the connection. */
	bool data;
	enum loop_class cls;
	struct sync_wire_stats *stats; /* drops are counted here; must outlive the connection */
};

/* Dials node's address on a link from the own address on that link. NULL with errno. key: which key of the file. */
struct peer_conn *peer_conn_dial(struct loop *l, const struct peer_conn_conf *pc, uint32_t node, unsigned link,
				 unsigned key, const struct peer_conn_cb *cb, void *arg);
/* Takes over an authenticated connection (fd and ssl, also on failure). NULL with errno. */
struct peer_conn *peer_conn_take(struct loop *l, const struct peer_conn_conf *pc, int fd, struct ssl_st *ssl,
				 const struct peer_conn_cb *cb, void *arg);
/* Closes at once (SSL close_notify and FIN are sent if the socket takes them). NULL is fine. */
void peer_conn_free(struct peer_conn *c);

bool peer_conn_is_open(const struct peer_conn *c);
/* Reads nothing before `until`: the sender has to wait. peer_conn_drain reads all the same. */
void peer_conn_pause(struct peer_conn *c, mono_t until);
/* The socket, for questions about its path; -1: closed. */
int peer_conn_fd(const struct peer_conn *c);
/* Sends len bytes (whole records). 0; ERR_FULL: nothing was taken since tx is at its limit (a ctl connection ends
 * then); -ENOTCONN. A failing socket is reported by on_down from the loop, not from here. */
int peer_conn_send(struct peer_conn *c, const void *buf, size_t len);
/* True when nothing waits in tx: what is sent now goes to the socket directly. */
bool peer_conn_tx_empty(const struct peer_conn *c);
/* Calls on_room when the socket can take more (TCP_NOTSENT_LOWAT decides on a data connection). */
void peer_conn_want_room(struct peer_conn *c);

enum peer_drain { PEER_DRAIN_EMPTY = 0, PEER_DRAIN_DOWN, PEER_DRAIN_TIME };
/* Reads and delivers until nothing is left in socket and buffers, the connection ends, or the deadline passes. */
enum peer_drain peer_conn_drain(struct peer_conn *c, mono_t until);

struct peer_conn_stats {
	uint64_t rx_bytes, tx_bytes, rx_records, tx_sends;
	uint64_t rx_skipped; /* records of a type that this version does not know */
	mono_t heard;        /* newest complete record */
};
const struct peer_conn_stats *peer_conn_stats(const struct peer_conn *c);
/* Counts from zero again; when it was heard and what was skipped stay. */
void peer_conn_stats_clear(struct peer_conn *c);

/* Socket helpers shared with the listener and the probe. */
unsigned peer_sockaddr(const struct addr *a, uint16_t port, void *out /* struct sockaddr_storage */);
bool peer_sockaddr_addr(const void *sa, struct addr *out);
/* TCP_NODELAY, TCP_USER_TIMEOUT (1 s ctl, 3 s data), keepalive; data also TCP_NOTSENT_LOWAT and a small SO_SNDBUF. */
void peer_sock_tune(int fd, bool data);
/* Starts a non-blocking connect from `from` to `to`. fd, or -errno. */
int peer_sock_connect(const struct addr *from, const struct addr *to, uint16_t port, bool data);
/* Outcome of a connect as our word: PEER_WHY_UP, REFUSED, TIMEOUT, UNREACHABLE, ERROR. */
enum peer_why peer_connect_why(int err);
const struct sync_node_conf *sync_conf_node(const struct sync_conf *c, uint32_t id);

#endif
