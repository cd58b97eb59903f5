/*
 * Purpose: the ctl channel's peers and links, shared by peer_io.c (the channel) and peer_ctl_link.c (one link).
 * Owns:    struct peer_ctl owns its peers, a peer its links and probes, a link its connection.
 * Thread:  CONTROL.
 * In/Out:  see peer_io.h.
 * Errors:  see peer_io.h.
 */
#ifndef KT_SYNC_PEER_IO_INT_H
#define KT_SYNC_PEER_IO_INT_H

#include "daemon/base/loop.h"
#include "sync/peer_conn.h"
#include "sync/peer_hello.h"
#include "sync/peer_io.h"

struct probe {
	struct peer *peer;
	int fd;
	struct loop_fd *lfd;
};

struct link {
	struct peer_ctl *p;
	struct peer *peer;
	uint8_t index;
	bool dials, up;
	struct peer_conn *conn;
	struct peer_retry retry;
	struct loop_timer *retry_timer;
	uint64_t boot_nonce; /* of the hello that brought it up */
	enum peer_why why;
	char text[PEER_SHAKE_TEXT];
	mono_t since;
	uint64_t attempts, connects, tx_records;
	struct peer_conn_stats before; /* of connections that ended */
};

struct peer {
	struct peer_ctl *p;
	uint32_t node;
	bool up, has_hello, probing;
	struct peer_hello hello;
	struct peer_window window;
	uint64_t tx_seq;
	mono_t heard;
	struct loop_timer *silence, *probe_timer;
	enum peer_probe probe_result;
	struct probe probes[SYNC_LINKS_MAX];
	struct link links[SYNC_LINKS_MAX];
	uint8_t n_links;
};

struct peer_ctl {
	struct loop *loop;
	struct sync_conf own;         /* a copy: a reload that is refused may free what it came from */
	const struct sync_conf *conf; /* NULL before the first one */
	struct loop_timer *retell;
	struct peer_tls *tls;
	struct peer_self self;
	struct peer_ctl_cb cb;
	void *arg;
	struct peer *peers[SYNC_NODES_MAX];
	uint8_t n_peers;
	struct sync_wire_stats stats;
	uint8_t buf[SYNC_CTL_MAX];
};

bool peer_any_link_up(const struct peer *pe);
/* Up or down: told once. link and text say why. */
void peer_set_up(struct peer *pe, bool up, uint8_t link, enum peer_why why, const char *text);

/* Attempts a connection; where that fails at once, again later. */
void link_dial(struct link *k);
/* A loop_timer_cb: the next attempt. */
void link_on_retry(void *arg, mono_t deadline);
/* Takes an authenticated connection. 0 or -ENOMEM; both are the link's from here on. */
int link_adopt(struct link *k, int fd, struct ssl_st *ssl);
/* A handshake in flight uses the keys of the old configuration: it begins anew. */
void link_restart(struct link *k);
/* Ends the connection, if there is one, and says nothing. */
void link_drop_conn(struct link *k);
/* As peer_conn_send. */
int link_write(struct link *k, uint64_t seq, const struct peer_msg *m);
void link_send_hello(struct link *k);

#endif
